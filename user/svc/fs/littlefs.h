// SPDX-License-Identifier: MIT
// littlefs, as Debian's source package micropython carries it (check/source fetches it), and what
// its interface leaves out. It is power-safe by design: what it changes is written to blocks that
// nothing leads to yet, and one checksummed entry of a log makes that the file.
#pragma once
#include <lfs2.h>

// What a name stands for and the attribute that it has, in one step: bytes of the attribute that it
// does not have are 0.
int littlefs_look(lfs2_t *lfs, const char *path, struct lfs2_info *info, uint8_t type, void *value,
                  uint32_t size);
// The same of the next name in a directory. 0: there is none.
int littlefs_next(lfs2_t *lfs, lfs2_dir_t *d, struct lfs2_info *info, uint8_t type, void *value,
                  uint32_t size);
// Every block that is in use, once, if the disk is as it should be.
int littlefs_blocks(lfs2_t *lfs, int (*each)(void *context, lfs2_block_t block), void *context);
// What was written is given to the device, and nothing leads to it yet.
int littlefs_flush(lfs2_t *lfs, lfs2_file_t *f);
