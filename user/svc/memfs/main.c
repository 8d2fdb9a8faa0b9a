// SPDX-License-Identifier: MIT
// A file server: memfs [NAME [MiB]] offers the service NAME ("files"), which serves an empty file
// system in memory, of at most so much (64), as 9P2000.L. All who connect see the same files; what
// is in them goes with the server.
#include <stdlib.h>
#include <sip.h>

#include "tree.h"

int main(int argc, char **argv)
{
    int mib = argc > 2 ? atoi(argv[2]) : 64;
    struct store *tree = tree_new((uint64_t)mib << 20);
    if (!tree)
        sip_panic("memfs: out of memory");
    sip_must(ninep_serve(argc > 1 ? argv[1] : "files", tree), "memfs");
    return 0;
}
