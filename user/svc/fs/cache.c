// SPDX-License-Identifier: MIT
// A disk with its blocks that were read or written last in memory. Writes go to the disk at once,
// in the order in which they come, so what a loss of power leaves is the same as without.
//
// Blocks are there by sectors, for that is what is read and written. After an error nobody knows
// what is on the disk, so all is forgotten.
#include "disk.h"

#include <stdlib.h>
#include <string.h>

enum { SECTOR = 512, SECTORS = DISK_BLOCK / SECTOR, BLOCKS = 64 };
_Static_assert(SECTORS == 8, "a bit each");

struct entry {
    uint32_t block, used; // used: when, as the cache counts
    uint8_t there;        // a bit for each sector; 0: the entry is free
    uint8_t bytes[DISK_BLOCK];
};

struct cache {
    struct disk disk;
    struct disk *under;
    uint32_t clock;
    struct entry entries[BLOCKS];
};

static struct cache *cache_of(struct disk *d)
{
    return (struct cache *)d;
}

static uint8_t sectors(uint32_t at, uint32_t size)
{
    return (uint8_t)(((1u << size / SECTOR) - 1) << at / SECTOR);
}

static struct entry *find(struct cache *c, uint32_t block)
{
    for (uint32_t i = 0; i < BLOCKS; i++)
        if (c->entries[i].there && c->entries[i].block == block)
            return &c->entries[i];
    return NULL;
}

// For a block that is not there: a free one, or that which was used the longest time ago.
static struct entry *evict(struct cache *c, uint32_t block)
{
    struct entry *oldest = &c->entries[0];
    for (uint32_t i = 0; i < BLOCKS && oldest->there; i++)
        if (!c->entries[i].there || c->clock - c->entries[i].used > c->clock - oldest->used)
            oldest = &c->entries[i];
    oldest->there = 0;
    oldest->block = block;
    return oldest;
}

static bool forget(struct cache *c)
{
    for (uint32_t i = 0; i < BLOCKS; i++)
        c->entries[i].there = 0;
    return false;
}

static void keep(struct cache *c, struct entry *e, uint32_t block, uint32_t at, const void *bytes,
                 uint32_t size)
{
    e = e ? e : evict(c, block);
    memcpy(e->bytes + at, bytes, size);
    e->there |= sectors(at, size);
    e->used = ++c->clock;
}

static bool cache_read(struct disk *d, uint32_t block, uint32_t at, void *bytes, uint32_t size)
{
    struct cache *c = cache_of(d);
    struct entry *e = find(c, block);
    uint8_t wanted = sectors(at, size);
    if (e && (e->there & wanted) == wanted) {
        memcpy(bytes, e->bytes + at, size);
        e->used = ++c->clock;
        return true;
    }
    if (!c->under->read(c->under, block, at, bytes, size))
        return forget(c);
    keep(c, e, block, at, bytes, size);
    return true;
}

static bool cache_write(struct disk *d, uint32_t block, uint32_t at, const void *bytes,
                        uint32_t size)
{
    struct cache *c = cache_of(d);
    if (!c->under->write(c->under, block, at, bytes, size))
        return forget(c);
    keep(c, find(c, block), block, at, bytes, size);
    return true;
}

static bool cache_flush(struct disk *d)
{
    struct cache *c = cache_of(d);
    return c->under->flush(c->under) || forget(c);
}

struct disk *disk_cached(struct disk *under)
{
    struct cache *c = calloc(1, sizeof *c);
    if (!c)
        return NULL;
    c->disk = (struct disk){under->blocks, under->read_only, cache_read, cache_write, cache_flush};
    c->under = under;
    return &c->disk;
}
