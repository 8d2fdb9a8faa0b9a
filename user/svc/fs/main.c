// SPDX-License-Identifier: MIT
// A file server: fs [NAME [BLOCK]] offers the service NAME ("files"), which serves the file system
// on the disk that the service BLOCK ("block") is, as 9P2000.L. fs --one BLOCK serves it to the
// client on handle 0, until that is gone; exit code 2: there is none that could be served. fs
// --tool COMMAND IMAGE ... is the command that `nebulet disk` runs (tool.h).
#include <stdio.h>
#include <string.h>
#include <sip.h>

#include "tool.h"
#include "volume.h"

enum { MEMORY = 64 << 20 };

int main(int argc, char **argv)
{
    if (argc > 1 && !strcmp(argv[1], "--tool"))
        return tool(argc - 2, argv + 2);
    bool one = argc > 1 && !strcmp(argv[1], "--one");
    struct store *s = NULL;
    struct disk *d = disk_service(argc > 2 ? argv[2] : "block");
    d = d ? disk_cached(d) : NULL;
    if (!d || volume_mount(d, MEMORY, &s)) {
        fprintf(stderr, "fs: there is no %s\n", d ? "file system on the disk" : "disk");
        return 2;
    }
    sip_must(one ? ninep_serve_one(0, s) : ninep_serve(argc > 1 ? argv[1] : "files", s), "fs");
    return volume_unmount(s) != 0;
}
