// SPDX-License-Identifier: MIT
// init [--quiet] [MANIFEST]: the first process of a system. Starts the services that the manifest
// names (/init.manifest, when none is given), and ends when all of them are over: with exit code 0,
// or 1 when one has failed for good or the manifest is no good. See doc/init.md.
#include <errno.h>
#include <string.h>

#include "file.h"
#include "supervise.h"

enum { MANIFEST_MAX = 256 << 10 };

int main(int argc, char **argv)
{
    bool quiet = argc > 1 && !strcmp(argv[1], "--quiet");
    const char *path = argc > 1 + quiet ? argv[1 + quiet] : "/init.manifest";
    struct manifest m;
    char error[120];
    uint32_t line;
    size_t size = 0;

    char *text = file_read(path, MANIFEST_MAX, &size);
    if (!text)
        sip_panic("init: %s: %s", path, strerror(errno));
    if (!manifest_parse(&m, text, size, &line, error, sizeof error))
        sip_panic("init: %s:%u: %s", path, line, error);
    uint32_t failed = supervise(&m, quiet);
    if (quiet)
        return failed != 0;
    if (failed)
        sip_printf("init: all over, %u failed\n", failed);
    else
        sip_printf("init: all over\n");
    return failed != 0;
}
