// SPDX-License-Identifier: MIT
// Runs a guest of test/kern with a heap that counts, and that can be told to fail now and then, and
// compares what is in use before and after: heap, and address space.
//
//     host MODULE.wasm ENGINE CPUS FAIL ARGUMENTS...     FAIL: one allocation in so many; 0: none
#include <fcntl.h>
#include <malloc.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "abi/wait_files.h"
#include "base/heap.h"
#include "main/job.h"
#include "plat/linux/hostfs.h"
#include "plat/plat.h"

enum { SPARED = 3000 }; // allocations, so that the guest gets going
static u64 live, blocks, fail_one_in, asked, random_state = 88172645463325252ull;

static bool fails(void)
{
    if (!fail_one_in || __atomic_add_fetch(&asked, 1, __ATOMIC_RELAXED) < SPARED)
        return false;
    u64 x = __atomic_add_fetch(&random_state, 0x9e3779b97f4a7c15ull, __ATOMIC_RELAXED);
    x = (x ^ x >> 30) * 0xbf58476d1ce4e5b9ull;
    return (x ^ x >> 31) % fail_one_in == 0;
}

static void *count(void *block)
{
    __atomic_add_fetch(&live, malloc_usable_size(block), __ATOMIC_RELAXED);
    __atomic_add_fetch(&blocks, 1, __ATOMIC_RELAXED);
    return block;
}

const size_t raw_paid;

void *raw_alloc(size_t size, struct account *payer)
{
    (void)payer;
    return fails() ? NULL : count(malloc(size ? size : 1));
}

void *raw_zalloc(size_t size, struct account *payer)
{
    (void)payer;
    return fails() ? NULL : count(calloc(1, size ? size : 1));
}

void raw_free(void *block)
{
    if (!block)
        return;
    __atomic_sub_fetch(&live, malloc_usable_size(block), __ATOMIC_RELAXED);
    __atomic_sub_fetch(&blocks, 1, __ATOMIC_RELAXED);
    free(block);
}

size_t raw_size(const void *block)
{
    return malloc_usable_size((void *)block) + sizeof(size_t);
}

size_t raw_room(const void *block)
{
    return malloc_usable_size((void *)block);
}

size_t raw_takes(const void *block, size_t size)
{
    (void)block, (void)size;
    return RAW_MOVES;
}

void *raw_resize(void *block, size_t size)
{
    (void)size;
    return block;
}

static u64 address_space(void)
{
    unsigned long pages = 0;
    FILE *f = fopen("/proc/self/statm", "r");
    if (!f || fscanf(f, "%lu", &pages) != 1)
        pages = 0;
    if (f)
        fclose(f);
    return pages;
}

static struct wasi *wasi_of(char **args, u32 n, const char *folder)
{
    struct wasi_preopen root = {.name = "/"};
    if (hostfs_open(folder, false, &root.dir))
        return NULL;
    struct vfs_file *streams[3];
    for (int i = 0; i < 3; i++)
        streams[i] = hostfs_adopt(i);
    struct wasi_config config = {.args = (const char *const *)args,
                                 .nargs = n,
                                 .in = streams[0],
                                 .out = streams[1],
                                 .err = streams[2],
                                 .preopens = &root,
                                 .npreopens = 1,
                                 .wait = files_wait,
                                 .yield = files_yield};
    struct wasi *w = wasi_create(&config);
    for (int i = 0; i < 3; i++)
        vfs_close(streams[i]);
    vfs_close(root.dir);
    return w;
}

static int run(const u8 *bytes, size_t size, const struct engine *engine, u32 cpus, char **args,
               u32 nargs, const char *folder, u64 one_in)
{
    struct error e = {0};
    if (jobs_init(engine, cpus, true, NULL))
        return 2;
    struct vfs_file *out = hostfs_adopt(1), *err = hostfs_adopt(2);
    if (!out || !err)
        return 2;
    jobs_print(out, err);
    struct job j = {.name = args[0],
                    .bytes = bytes,
                    .size = size,
                    .config = {.limits = {.privileges = NEBULET_MAY_ALL}}};
    j.wasi = wasi_of(args, nargs, folder);
    status s = j.wasi ? job_load(&j, &e) : ERR_NO_MEMORY;
    if (!s)
        s = job_link(&j, &e);
    if (!s)
        s = job_begin(&j);
    fail_one_in = one_in;
    asked = 0;
    if (!s)
        jobs_run();
    fail_one_in = 0;
    if (s)
        fprintf(stderr, "%s: %s\n", status_text(s), e.text);
    job_free(&j);
    vfs_close(out);
    vfs_close(err);
    jobs_free();
    return s ? 2 : j.code;
}

int main(int argc, char **argv)
{
    static char folder[4096];
    struct stat st;
    if (argc < 5)
        return 2;
    int fd = open(argv[1], O_RDONLY);
    u8 *bytes = fd >= 0 && !fstat(fd, &st) ? malloc((size_t)st.st_size) : NULL;
    if (!bytes || read(fd, bytes, (size_t)st.st_size) != st.st_size)
        return 2;
    close(fd);
    const struct engine *engine = strcmp(argv[2], "interp") ? &fast_engine : &interp_engine;
    u32 cpus = (u32)atoi(argv[3]);
    u64 one_in = (u64)atoll(argv[4]), space = 0;
    char *slash = strrchr(argv[1], '/');
    snprintf(folder, sizeof folder, "%.*s", slash ? (int)(slash - argv[1]) : 1,
             slash ? argv[1] : ".");
    char **args = &argv[4];
    args[0] = slash ? slash + 1 : argv[1];
    int code = 0;
    for (int round = 0; round < 2; round++) {
        u64 live_before = live, blocks_before = blocks;
        code = run(bytes, (size_t)st.st_size, engine, cpus, args, (u32)argc - 4, folder, one_in);
        if (code)
            return code;
        if (round && (live != live_before || blocks != blocks_before)) { // some things stay
            fprintf(stderr, "%lld bytes in %lld blocks are left behind\n",
                    (long long)(live - live_before), (long long)(blocks - blocks_before));
            return 1;
        }
        u64 now = address_space();
        if (round && now > space + 16384) { // malloc's own arenas may grow a little
            fprintf(stderr, "%llu pages of address space are left behind\n",
                    (unsigned long long)(now - space));
            return 1;
        }
        space = now;
    }
    free(bytes);
    return 0;
}
