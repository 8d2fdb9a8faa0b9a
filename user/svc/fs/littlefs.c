// SPDX-License-Identifier: MIT
// The library and ours are one file for the compiler, for what it keeps to itself is used here.
//
// What it asserts of what it has read could be wrong, on a disk that somebody has made up: that
// ends the program.
#include <stdlib.h>
#include <sip.h>

#define LFS2_ASSERT(test) ((test) ? (void)0 : sip_panic("fs: the disk is damaged: %s", #test))
#define LFS2_NO_DEBUG
#define LFS2_NO_WARN
#define LFS2_NO_ERROR
#pragma clang diagnostic push
#pragma clang diagnostic ignored "-Weverything"
#include <lfs2.c>
#include <lfs2_util.c>
#pragma clang diagnostic pop

#include "littlefs.h"

static int attribute(lfs2_t *lfs, const lfs2_mdir_t *m, uint16_t id, uint8_t type, void *value,
                     uint32_t size)
{
    memset(value, 0, size);
    lfs2_stag_t tag = lfs2_dir_get(lfs, m, LFS2_MKTAG(0x7ff, 0x3ff, 0),
                                   LFS2_MKTAG(LFS2_TYPE_USERATTR + type, id, size), value);
    return tag < 0 && tag != LFS2_ERR_NOENT ? (int)tag : 0;
}

int littlefs_look(lfs2_t *lfs, const char *path, struct lfs2_info *info, uint8_t type, void *value,
                  uint32_t size)
{
    lfs2_mdir_t m;
    lfs2_stag_t tag = lfs2_dir_find(lfs, &m, &path, NULL);
    if (tag < 0)
        return (int)tag;
    int e = lfs2_dir_getinfo(lfs, &m, lfs2_tag_id(tag), info);
    return e ? e : attribute(lfs, &m, lfs2_tag_id(tag), type, value, size);
}

int littlefs_next(lfs2_t *lfs, lfs2_dir_t *d, struct lfs2_info *info, uint8_t type, void *value,
                  uint32_t size)
{
    int found;
    do
        found = lfs2_dir_read(lfs, d, info);
    while (found > 0 && d->pos <= 2); // the dots
    if (found <= 0)
        return found;
    int e = attribute(lfs, &d->m, (uint16_t)(d->id - 1), type, value, size);
    return e ? e : 1;
}

int littlefs_blocks(lfs2_t *lfs, int (*each)(void *context, lfs2_block_t block), void *context)
{
    return lfs2_fs_rawtraverse(lfs, each, context, false);
}

int littlefs_flush(lfs2_t *lfs, lfs2_file_t *f)
{
    return lfs2_file_flush(lfs, f);
}
