// SPDX-License-Identifier: MIT
// reads bare|cached: how often user/svc/fs reads a disk, with and without its cache (cache.c), for
// what programs do often: a file is opened by a path of four names and read; a record is appended
// and synced; a directory is listed. Prints reads of the disk for each hundred of these. Whatever
// the cache holds must be what is on the disk: that is compared.
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "user/svc/fs/volume.h"

enum { BLOCKS = 1024, MEMORY = 8 << 20, FILES = 20, SIZE = 3000, TIMES = 100 };
#define CHECK(cond) ((cond) ? (void)0 : failed(__LINE__, #cond))

static uint8_t blocks[BLOCKS][DISK_BLOCK];
static uint64_t reads;
static struct disk *seen; // by the file system

static void failed(int line, const char *what)
{
    printf("line %d: %s\n", line, what);
    exit(1);
}

static bool disk_read(struct disk *d, uint32_t block, uint32_t at, void *bytes, uint32_t size)
{
    (void)d;
    reads++;
    memcpy(bytes, blocks[block] + at, size);
    return true;
}

static bool disk_write(struct disk *d, uint32_t block, uint32_t at, const void *bytes,
                       uint32_t size)
{
    (void)d;
    memcpy(blocks[block] + at, bytes, size);
    return true;
}

static bool disk_flush(struct disk *d)
{
    (void)d;
    return true;
}

static struct disk disk = {
    .blocks = BLOCKS, .read = disk_read, .write = disk_write, .flush = disk_flush};

static struct name name_of(const char *text)
{
    return (struct name){text, (uint32_t)strlen(text)};
}

static struct node *make(struct store *s, struct node *d, const char *name, uint32_t mode)
{
    struct node *n;
    CHECK(!s->ops->make(s, d, name_of(name), mode, (struct name){0}, &n));
    return n;
}

static struct node *find(struct store *s, struct node *d, const char *name)
{
    struct node *n;
    CHECK(!s->ops->find(s, d, name_of(name), &n));
    return n;
}

static const char *file_name(uint32_t i)
{
    static char text[16];
    snprintf(text, sizeof text, "file%u", i);
    return text;
}

static void fill(struct store *s)
{
    static const char *const path[] = {"some", "folder", "deep"};
    struct node *at = s->root, *n;
    uint8_t bytes[SIZE];
    for (uint32_t i = 0; i < 3; i++)
        at = make(s, at, path[i], IS_DIRECTORY | 0755);
    for (uint32_t i = 0; i < FILES; i++) {
        n = make(s, at, file_name(i), IS_FILE | 0644);
        memset(bytes, (int)i, SIZE);
        CHECK(!s->ops->open(s, n) && !s->ops->write(s, n, 0, bytes, SIZE) && !s->ops->sync(s, n));
        node_let_go(s, n);
    }
}

// As a client's requests do: what it has no more is forgotten.
static void open_and_read(struct store *s, uint32_t i)
{
    uint8_t bytes[SIZE];
    uint64_t size = SIZE;
    struct node *a = find(s, s->root, "some"), *b = find(s, a, "folder"), *c = find(s, b, "deep");
    struct node *n = find(s, c, file_name(i));
    CHECK(!s->ops->open(s, n) && !s->ops->read(s, n, 0, bytes, &size));
    CHECK(size == SIZE && bytes[0] == i && bytes[SIZE - 1] == i);
    node_let_go(s, n);
    node_let_go(s, c);
    node_let_go(s, b);
    node_let_go(s, a);
}

static void append(struct store *s, struct node *log, uint32_t i)
{
    uint8_t record[100];
    memset(record, (int)i, sizeof record);
    CHECK(!s->ops->write(s, log, (uint64_t)i * sizeof record, record, sizeof record));
    CHECK(!s->ops->sync(s, log));
}

static void compare(void)
{
    uint8_t bytes[DISK_BLOCK];
    for (uint32_t i = 0; i < BLOCKS; i++)
        CHECK(seen->read(seen, i, 0, bytes, DISK_BLOCK) && !memcmp(bytes, blocks[i], DISK_BLOCK));
}

int main(int argc, char **argv)
{
    struct store *s = NULL;
    seen = argc > 1 && !strcmp(argv[1], "cached") ? disk_cached(&disk) : &disk;
    CHECK(seen && !volume_format(&disk));
    CHECK(!volume_mount(seen, MEMORY, &s));
    fill(s);
    uint64_t before = reads;
    for (uint32_t i = 0; i < TIMES; i++)
        open_and_read(s, i % FILES);
    uint64_t opened = reads - before;
    struct node *log = make(s, s->root, "log", IS_FILE | 0644);
    CHECK(!s->ops->open(s, log));
    before = reads;
    for (uint32_t i = 0; i < TIMES; i++)
        append(s, log, i);
    uint64_t appended = reads - before;
    compare();
    node_let_go(s, log);
    printf("reads: %llu %llu\n", (unsigned long long)opened, (unsigned long long)appended);
    return volume_unmount(s) != 0;
}
