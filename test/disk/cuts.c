// SPDX-License-Identifier: MIT
// Losses of power, all of them: a row of operations on user/svc/fs, on a disk in memory whose power
// goes after the n-th write or flush, for every n until the row comes to its end.
//
// A sector that was written and not flushed when the power goes is there, or is as it was, by
// chance, each for itself: so order counts only where there is a flush. What is found then must be
// all that was there before the operation that was under way, or all that it makes, and nothing
// else: every byte of every file is compared. Then the row goes on there, which shows that the disk
// can be written to.
//
// cuts SEED STEPS
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "user/svc/fs/volume.h"

enum { BLOCKS = 96, SECTOR = 512, SECTORS = BLOCKS * DISK_BLOCK / SECTOR };
enum { NAMES = 6, LARGEST = 24000, MEMORY = 8 << 20 };

#define CHECK(cond) ((cond) ? (void)0 : failed(__LINE__, #cond))

static uint8_t now[SECTORS][SECTOR], flushed[SECTORS][SECTOR];
static bool fresh[SECTORS]; // written since the last flush
static int64_t writes_left; // and flushes, until the power goes
static uint64_t dice, seed, n;

static struct state {
    int64_t size[NAMES]; // -1: it is not there
    uint8_t bytes[NAMES][LARGEST];
} before, after;

static void failed(int line, const char *what)
{
    printf("line %d: %s, cut %llu of seed %llu\n", line, what, (unsigned long long)n,
           (unsigned long long)seed);
    exit(1);
}

static uint32_t chance(uint32_t of)
{
    dice = dice * 6364136223846793005 + 1442695040888963407;
    return (uint32_t)(dice >> 33) % of;
}

// --- The disk

static bool disk_read(struct disk *d, uint32_t block, uint32_t at, void *bytes, uint32_t size)
{
    (void)d;
    if (writes_left < 0)
        return false;
    memcpy(bytes, now[(block * DISK_BLOCK + at) / SECTOR], size);
    return true;
}

static bool disk_write(struct disk *d, uint32_t block, uint32_t at, const void *bytes,
                       uint32_t size)
{
    (void)d;
    for (uint32_t i = 0; i < size / SECTOR; i++) {
        if (--writes_left < 0) // also between sectors of one write
            return false;
        uint32_t sector = (block * DISK_BLOCK + at) / SECTOR + i;
        memcpy(now[sector], (const uint8_t *)bytes + i * SECTOR, SECTOR);
        fresh[sector] = true;
    }
    return true;
}

static bool disk_flush(struct disk *d)
{
    (void)d;
    if (--writes_left < 0) // before it: what was written last is there or not
        return false;
    for (uint32_t i = 0; i < SECTORS; i++)
        if (fresh[i])
            memcpy(flushed[i], now[i], SECTOR), fresh[i] = false;
    return true;
}

static void lose_power(void)
{
    for (uint32_t i = 0; i < SECTORS; i++) {
        if (fresh[i] && chance(2))
            memcpy(flushed[i], now[i], SECTOR);
        memcpy(now[i], flushed[i], SECTOR);
        fresh[i] = false;
    }
}

static struct disk disk = {
    .blocks = BLOCKS, .read = disk_read, .write = disk_write, .flush = disk_flush};

static struct disk *seen = &disk; // by the file system: of odd seeds, through its cache

// What is in memory is lost, too: there is a block that is not, and to read that fails.
static void switch_off(void)
{
    uint8_t bytes[DISK_BLOCK];
    writes_left = -1;
    for (uint32_t i = 0; i < BLOCKS && seen->read(seen, i, 0, bytes, DISK_BLOCK); i++)
        ;
}

// --- Operations. Each makes `after` out of `before`, and the same on the disk; false: it failed.

static struct name name_of(uint32_t i)
{
    static const char *const names[NAMES] = {"a", "b", "some longer name", "d", "e", "f"};
    return (struct name){names[i], (uint32_t)strlen(names[i])};
}

static struct node *find(struct store *s, uint32_t i, int *error)
{
    struct node *node = NULL;
    *error = s->ops->find(s, s->root, name_of(i), &node);
    return *error ? NULL : node;
}

// Anew, or a part of what is there; closed or synced, which is the same.
static bool op_write(struct store *s, uint32_t i)
{
    bool anew = before.size[i] < 0 || chance(3) == 0;
    uint32_t limit = chance(2) ? 600 : LARGEST;
    uint32_t at = anew ? 0 : chance((uint32_t)before.size[i] + 1), size = chance(limit);
    size = size < LARGEST - at ? size : LARGEST - at;
    for (uint32_t k = 0; k < size; k++)
        after.bytes[i][at + k] = (uint8_t)chance(256);
    if (anew || at + size > after.size[i])
        after.size[i] = at + size;
    int e;
    struct node *node = find(s, i, &e);
    if (e == NOENT)
        e = s->ops->make(s, s->root, name_of(i), IS_FILE | 0644, (struct name){0}, &node);
    if (e)
        return false;
    if (!(e = s->ops->open(s, node)) && anew)
        e = s->ops->set_size(s, node, 0);
    if (!e && size)
        e = s->ops->write(s, node, at, after.bytes[i] + at, size);
    if (!e && chance(2))
        e = s->ops->sync(s, node);
    node_let_go(s, node);
    return !e;
}

static bool op_remove(struct store *s, uint32_t i)
{
    int e;
    struct node *node = find(s, i, &e);
    if (before.size[i] < 0)
        return e == NOENT;
    after.size[i] = -1;
    if (e)
        return false;
    e = s->ops->remove(s, s->root, name_of(i), node);
    node_let_go(s, node);
    return !e;
}

static bool op_rename(struct store *s, uint32_t i, uint32_t to)
{
    int e, none;
    if (before.size[i] < 0 || i == to)
        return true;
    after.size[to] = before.size[i];
    memcpy(after.bytes[to], before.bytes[i], LARGEST);
    after.size[i] = -1;
    struct node *node = find(s, i, &e), *over;
    if (e)
        return false;
    over = find(s, to, &none);
    if (none && none != NOENT)
        e = none;
    else
        e = s->ops->rename(s, s->root, name_of(i), node, s->root, name_of(to), over);
    node_let_go(s, node);
    if (over)
        node_let_go(s, over);
    return !e;
}

// --- What is there

// 0: as in `before`; 1: as in `after`; 2: both; 3: a new file, still empty; -1: as in neither.
static int which(struct store *s, uint32_t i)
{
    static uint8_t bytes[LARGEST + 1];
    int e;
    struct node *node = find(s, i, &e);
    int64_t size = -1;
    CHECK(!e || e == NOENT);
    if (node) {
        uint64_t got = sizeof bytes;
        CHECK(node_is(node, IS_FILE) && !s->ops->open(s, node));
        CHECK(!s->ops->read(s, node, 0, bytes, &got) && got == node->size);
        size = (int64_t)got;
        node_let_go(s, node);
    }
    bool old =
        size == before.size[i] && (size < 0 || !memcmp(bytes, before.bytes[i], (size_t)size));
    bool new = size == after.size[i] && (size < 0 || !memcmp(bytes, after.bytes[i], (size_t)size));
    return old && new ? 2 : old ? 0 : new ? 1 : size == 0 && before.size[i] < 0 ? 3 : -1;
}

static void compare(struct store *s)
{
    int as = 2;
    for (uint32_t i = 0; i < NAMES; i++) {
        int one = which(s, i);
        CHECK(one >= 0);
        CHECK(as == 2 || one == 2 || one == as); // of one operation all or nothing
        if (one == 3)
            after.size[i] = 0;
        as = one == 3 ? 1 : one == 2 ? as : one;
    }
    if (as == 1)
        before = after;
    after = before;
}

static int count_name(void *context, struct name name, uint32_t mode, uint64_t size)
{
    (void)name, (void)mode, (void)size;
    ++*(uint32_t *)context;
    return 0;
}

static void look_again(void)
{
    struct store *s;
    uint32_t names = 0, wanted = 0;
    writes_left = INT64_MAX;
    CHECK(!volume_mount(seen, MEMORY, &s));
    compare(s);
    CHECK(!volume_list(s, s->root, count_name, &names));
    for (uint32_t i = 0; i < NAMES; i++)
        wanted += before.size[i] >= 0;
    CHECK(names == wanted);
    CHECK(op_write(s, 0) && (before = after, which(s, 0) == 2)); // it can be written to
    CHECK(!volume_unmount(s));
}

// False: the power went.
static bool run(uint32_t steps)
{
    struct store *s;
    if (volume_mount(seen, MEMORY, &s))
        return false;
    bool well = true;
    for (uint32_t i = 0; i < steps && well; i++) {
        uint32_t what = chance(5), name = chance(NAMES);
        well = what == 0   ? op_remove(s, name)
               : what == 1 ? op_rename(s, name, chance(NAMES))
                           : op_write(s, name);
        if (well && writes_left >= 0)
            before = after;
        else
            well = false;
    }
    well = !volume_unmount(s) && well;
    return well && writes_left >= 0;
}

int main(int argc, char **argv)
{
    seed = argc > 1 ? strtoull(argv[1], NULL, 10) : 1;
    uint32_t steps = argc > 2 ? (uint32_t)atoi(argv[2]) : 40;
    seen = seed % 2 ? disk_cached(&disk) : &disk;
    CHECK(seen);
    for (bool done = false; !done; n++) {
        switch_off();
        memset(now, 0, sizeof now);
        memset(fresh, 1, sizeof fresh);
        for (uint32_t i = 0; i < NAMES; i++)
            before.size[i] = after.size[i] = -1;
        writes_left = INT64_MAX;
        CHECK(!volume_format(seen));
        disk_flush(seen);
        writes_left = (int64_t)n;
        dice = seed;
        done = run(steps);
        dice += n;
        switch_off();
        lose_power();
        look_again();
    }
    printf("cuts: after each of %llu writes and flushes\n", (unsigned long long)n - 1);
    return 0;
}
