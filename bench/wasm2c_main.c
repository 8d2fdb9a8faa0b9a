/* SPDX-License-Identifier: MIT */
/*
 * wasm2c_main: main and the part of WASI preview 1 that the benchmark programs use, for modules
 * that wabt's wasm2c turned into C. Built with -DPROGRAM_H="x.h" where x.h came out of
 * `wasm2c -n prog`. Pointers from the module are trusted: this serves our own programs only.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <time.h>
#include <unistd.h>

#include PROGRAM_H

enum { ERRNO_SUCCESS = 0, ERRNO_BADF = 8, ERRNO_NOSYS = 52 };

struct Z_wasi_snapshot_preview1_instance_t {
    wasm_rt_memory_t *memory;
    u32 argc;
    char **argv;
};

typedef struct Z_wasi_snapshot_preview1_instance_t wasi;

#define WASI(name) Z_wasi_snapshot_preview1Z_##name

static void *at(wasi *w, u32 address)
{
    return w->memory->data + address;
}

static void put_u32(wasi *w, u32 address, u32 value)
{
    memcpy(at(w, address), &value, sizeof(value));
}

static u32 get_u32(wasi *w, u32 address)
{
    u32 value;

    memcpy(&value, at(w, address), sizeof(value));
    return value;
}

u32 WASI(args_sizes_get)(wasi *w, u32 count, u32 size)
{
    u32 bytes = 0;

    for (u32 i = 0; i < w->argc; i++)
        bytes += (u32)strlen(w->argv[i]) + 1;
    put_u32(w, count, w->argc);
    put_u32(w, size, bytes);
    return ERRNO_SUCCESS;
}

u32 WASI(args_get)(wasi *w, u32 pointers, u32 bytes)
{
    for (u32 i = 0; i < w->argc; i++) {
        u32 len = (u32)strlen(w->argv[i]) + 1;

        put_u32(w, pointers + 4 * i, bytes);
        memcpy(at(w, bytes), w->argv[i], len);
        bytes += len;
    }
    return ERRNO_SUCCESS;
}

u32 WASI(environ_sizes_get)(wasi *w, u32 count, u32 size)
{
    put_u32(w, count, 0);
    put_u32(w, size, 0);
    return ERRNO_SUCCESS;
}

u32 WASI(environ_get)(wasi *w, u32 pointers, u32 bytes)
{
    (void)w, (void)pointers, (void)bytes;
    return ERRNO_SUCCESS;
}

u32 WASI(clock_time_get)(wasi *w, u32 clock, u64 precision, u32 result)
{
    struct timespec t;
    u64 ns;

    (void)clock, (void)precision;
    clock_gettime(CLOCK_MONOTONIC, &t);
    ns = (u64)t.tv_sec * 1000000000 + (u64)t.tv_nsec;
    memcpy(at(w, result), &ns, sizeof(ns));
    return ERRNO_SUCCESS;
}

u32 WASI(fd_write)(wasi *w, u32 fd, u32 vectors, u32 count, u32 written)
{
    u32 total = 0;

    if (fd != 1 && fd != 2)
        return ERRNO_BADF;
    for (u32 i = 0; i < count; i++) {
        u32 from = get_u32(w, vectors + 8 * i), len = get_u32(w, vectors + 8 * i + 4);
        ssize_t n = write((int)fd, at(w, from), len);

        total += n > 0 ? (u32)n : 0;
    }
    put_u32(w, written, total);
    return ERRNO_SUCCESS;
}

/* A character device: what wasi-libc asks for before it buffers stdout. */
u32 WASI(fd_fdstat_get)(wasi *w, u32 fd, u32 result)
{
    u8 *stat = at(w, result);

    memset(stat, 0, 24);
    stat[0] = 2;
    memset(stat + 8, 0xff, 16);
    return fd < 3 ? ERRNO_SUCCESS : ERRNO_BADF;
}

u32 WASI(fd_seek)(wasi *w, u32 fd, u64 offset, u32 whence, u32 result)
{
    (void)w, (void)fd, (void)offset, (void)whence, (void)result;
    return ERRNO_NOSYS;
}

u32 WASI(fd_close)(wasi *w, u32 fd)
{
    (void)w, (void)fd;
    return ERRNO_SUCCESS;
}

void WASI(proc_exit)(wasi *w, u32 code)
{
    (void)w;
    exit((int)code);
}

#ifdef BOUND_MEMORY
/* Where the program has been told that its memory is. */
void bound_memory(wasm_rt_memory_t *memory, u32 pages, u32 max_pages);
void bound_memory(wasm_rt_memory_t *memory, u32 pages, u32 max_pages)
{
    void *wanted = (void *)BOUND_MEMORY;
    size_t size = (size_t)pages << 16;
    void *data = mmap(wanted, (size_t)8 << 30, PROT_NONE,
                      MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE | MAP_FIXED_NOREPLACE, -1, 0);

    if (data != wanted || mprotect(data, size, PROT_READ | PROT_WRITE) != 0) {
        perror("memory");
        exit(1);
    }
    *memory = (wasm_rt_memory_t){data, pages, max_pages, (u32)size};
}
#endif

int main(int argc, char **argv)
{
    static Z_prog_instance_t instance;
    wasi w = {NULL, (u32)argc, argv};

    wasm_rt_init();
    Z_prog_init_module();
    Z_prog_instantiate(&instance, &w);
    w.memory = Z_progZ_memory(&instance);
    Z_progZ__start(&instance);
    return 0;
}
