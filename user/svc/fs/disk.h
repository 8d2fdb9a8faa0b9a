// SPDX-License-Identifier: MIT
// What a volume lies on.
#pragma once
#include <stdbool.h>
#include <stdint.h>

enum { DISK_BLOCK = 4096 };

struct disk {
    uint64_t blocks; // of DISK_BLOCK bytes
    bool read_only;
    // False: it has failed. Bytes: whole sectors of 512, within one block.
    bool (*read)(struct disk *d, uint32_t block, uint32_t at, void *bytes, uint32_t size);
    bool (*write)(struct disk *d, uint32_t block, uint32_t at, const void *bytes, uint32_t size);
    bool (*flush)(struct disk *d); // what was written is there after a loss of power
};

// A client of the service "block" (drv/block.h). A driver that dies is waited for, up to 10 s, and
// asked once more: what it was asked for can be done twice. NULL: there is none.
struct disk *disk_service(const char *name);
// The same disk, of which blocks that were used last are in memory: 256 KiB. NULL: no memory.
struct disk *disk_cached(struct disk *under);
// A file. NULL, and errno says why.
struct disk *disk_file(const char *path, bool read_only);
