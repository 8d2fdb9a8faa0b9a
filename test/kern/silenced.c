// SPDX-License-Identifier: MIT
// A thousand processes are killed by their watchdogs, each with a message of the kernel's.
// Whoever reads these may be slow: no end waits for that for long (suites/boot.py reads nothing at
// first).
#include "nebulet.h"

enum { GROUPS = 50, TOGETHER = 20, LONGEST_MS = 3000 };

int main(int argc, char **argv)
{
    own_name = argv[0];
    if (argc > 1) {
        nb_watchdog_setup(MS);
        nb_object_wait_many(NULL, 0, FOREVER);
    }
    u64 longest = 0;
    for (u32 i = 0; i < GROUPS; i++) {
        u64 start = now();
        u32 p[TOGETHER];
        for (u32 k = 0; k < TOGETHER; k++)
            p[k] = child("dies", NEBULET_NO_HANDLE, NULL);
        for (u32 k = 0; k < TOGETHER; k++)
            ENDED(p[k], NEBULET_WATCHDOG, 0);
        longest = now() - start > longest ? now() - start : longest;
    }
    blame_machine("an end waits for messages",
                  longest > LONGEST_MS * MS ? longest - LONGEST_MS * MS : 0);
    puts("silenced");
    return 0;
}
