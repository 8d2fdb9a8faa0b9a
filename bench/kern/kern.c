/* SPDX-License-Identifier: MIT */
/*
 * kern: what the kernel's own operations cost: calls, switches, messages, processes. The other
 * modules of this folder must be there as /NAME.wasm.
 *
 *     kern calls N         a loop of N, then N null calls, N calls that check a handle
 *     kern switch N        two threads yield to each other N times each
 *     kern channel N CPU   N round trips of 64 bytes with a process on CPU (0: any, 1: the first):
 *                          by a send and a receive at each end, then by one call at each
 *     kern process N       N processes, one after the other: made, started, ended, waited for
 *     kern herd N          N processes that all live at the same time, and answer a message
 *     kern idle N          the same; it goes on when there is input
 *     kern map N           N windows of 64 KiB on a memory object, one after the other, and undone
 *     kern ring N          N MiB through a ring in a memory object, from one process to another,
 * copied in and out kern work N P IDLE   P processes run through a loop of N at the same time, IDLE
 * others wait
 *
 *     kern pinned WORDS... does that in a process of its own, on the first CPU
 *
 * Prints lines "NAME VALUE": nanoseconds for all N, or bytes. In the kernel under QEMU's -icount a
 * nanosecond is an instruction.
 */
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "abi/nebulet_types.h"

#define CALL(name)                                                                                 \
    __attribute__((import_module("nebulet"), import_name(#name))) int64_t nebulet_##name
CALL(null)(void);
CALL(wasm_compile)(const void *bytes, uint32_t size, char *message, uint32_t room);
CALL(process_create)(uint32_t module, uint32_t channel, const void *options, uint32_t options_size,
                     const char *args, uint32_t args_size);
CALL(process_start)(uint32_t process);
CALL(process_wait)(uint32_t process, uint64_t deadline, struct nebulet_exit *exit);
CALL(process_info)(uint32_t process, struct nebulet_info *info);
CALL(channel_create)(uint32_t ends[2]);
CALL(channel_send)(uint32_t channel, const void *bytes, uint32_t size, const uint32_t *handles,
                   uint32_t nhandles, uint64_t deadline);
CALL(channel_recv)(uint32_t channel, void *bytes, uint32_t size, uint32_t *handles,
                   uint32_t nhandles, struct nebulet_message *message, uint64_t deadline);
CALL(channel_call)(uint32_t channel, const void *bytes, uint32_t size, void *answer, uint32_t room,
                   uint64_t deadline);
CALL(handle_close)(uint32_t handle);
CALL(object_wait_one)(uint32_t object, uint32_t signals, uint64_t deadline);
CALL(handle_duplicate)(uint32_t handle, uint32_t rights);
CALL(null_channel)(uint32_t channel);
CALL(thread_yield)(void);
CALL(thread_spawn)(uint32_t function, uint32_t arg, uint32_t stack);
CALL(thread_join)(uint32_t thread, uint64_t deadline);
CALL(clock_now)(uint32_t clock);
CALL(memory_create)(uint64_t bytes);
CALL(memory_map)(uint32_t memory, uint32_t address, uint64_t offset, uint32_t bytes);
CALL(memory_unmap)(uint32_t address, uint32_t bytes);

static uint64_t now(void)
{
    return (uint64_t)nebulet_clock_now(NEBULET_MONOTONIC);
}

static int64_t check(int64_t result, const char *what)
{
    if (result >= 0)
        return result;
    printf("FAILED %s: %lld\n", what, (long long)result);
    exit(1);
}

static void report(const char *name, uint64_t value)
{
    printf("%s %llu\n", name, (unsigned long long)value);
}

static uint32_t load(const char *name)
{
    static char bytes[65536], message[256];
    char path[64];

    snprintf(path, sizeof path, "/%s.wasm", name);
    FILE *file = fopen(path, "rb");
    check(file ? 0 : -1, path);
    size_t size = fread(bytes, 1, sizeof bytes, file);
    fclose(file);
    int64_t module = nebulet_wasm_compile(bytes, (uint32_t)size, message, sizeof message);
    check(module, message);
    return (uint32_t)module;
}

/* A process that runs; *channel is the other end of its handle 0. */
static uint32_t start(uint32_t module, uint32_t cpu, uint32_t *channel)
{
    struct nebulet_options options = {.cpu = cpu, .name = "child"};
    uint32_t ends[2];

    check(nebulet_channel_create(ends), "channel_create");
    uint32_t process = (uint32_t)check(
        nebulet_process_create(module, ends[1], &options, sizeof options, "", 0), "process_create");
    check(nebulet_process_start(process), "process_start");
    *channel = ends[0];
    return process;
}

static void send(uint32_t channel, const void *bytes, uint32_t size)
{
    check(nebulet_channel_send(channel, bytes, size, NULL, 0, NEBULET_FOREVER), "channel_send");
}

static void receive(uint32_t channel, void *bytes, uint32_t size)
{
    int64_t n = nebulet_channel_recv(channel, bytes, size, NULL, 0, NULL, NEBULET_FOREVER);
    check(n == size ? 0 : n < 0 ? n : -1, "channel_recv");
}

/* Closes the channel, which ends it, and waits until it is over. */
static void finish(uint32_t process, uint32_t channel)
{
    struct nebulet_exit end;

    nebulet_handle_close(channel);
    check(nebulet_process_wait(process, NEBULET_FOREVER, &end), "process_wait");
    check(end.how == NEBULET_EXITED && end.code == 0 ? 0 : -1, "the end of a process");
    nebulet_handle_close(process);
}

static void calls(uint32_t n)
{
    uint32_t ends[2];
    check(nebulet_channel_create(ends), "channel_create");
    uint64_t start = now();
    for (uint32_t i = 0; i < n; i++)
        __asm__ volatile("" : "+r"(i));
    uint64_t loop = now() - start;
    start = now();
    for (uint32_t i = 0; i < n; i++)
        nebulet_null();
    uint64_t null = now() - start;
    start = now();
    for (uint32_t i = 0; i < n; i++)
        nebulet_null_channel(ends[0]);
    uint64_t checked = now() - start;
    report("loop", loop);
    report("null", null);
    report("checked", checked);
}

static uint32_t yields;

static void yielder(uint32_t n)
{
    for (uint32_t i = 0; i < n; i++)
        nebulet_thread_yield();
    yields += n;
}

static void yield_both(uint32_t n)
{
    static _Alignas(16) char stacks[2][4096];
    uint32_t threads[2];
    for (int i = 0; i < 2; i++)
        threads[i] = (uint32_t)check(nebulet_thread_spawn((uint32_t)(uintptr_t)yielder, n,
                                                          (uint32_t)(uintptr_t)stacks[i + 1]),
                                     "thread_spawn");
    for (int i = 0; i < 2; i++) {
        check(nebulet_thread_join(threads[i], NEBULET_FOREVER), "thread_join");
        nebulet_handle_close(threads[i]);
    }
}

/* The first timer that is set waits until the clock's rate is known. */
static void switches(uint32_t n)
{
    yield_both(10);
    uint64_t begin = now();
    yield_both(10);
    uint64_t fixed = now() - begin;
    begin = now();
    yield_both(n + 10);
    report("switch", now() - begin - fixed);
    check(yields == 2 * n + 60 ? 0 : -1, "yields");
    begin = now();
    for (uint32_t i = 0; i < 2 * n; i++)
        nebulet_null();
    report("null", now() - begin);
}

static void send_and_receive(uint32_t end, uint32_t n)
{
    static char bytes[64];
    for (uint32_t i = 0; i < n; i++) {
        send(end, bytes, sizeof bytes);
        receive(end, bytes, sizeof bytes);
    }
}

static void call(uint32_t end, uint32_t n)
{
    static char bytes[64];
    for (uint32_t i = 0; i < n; i++)
        check(nebulet_channel_call(end, bytes, sizeof bytes, bytes, sizeof bytes, NEBULET_FOREVER),
              "channel_call");
}

static void channel(uint32_t n, uint32_t cpu)
{
    static void (*const trips[])(uint32_t end, uint32_t n) = {send_and_receive, call};
    static const char *const names[] = {"echo", "answer"}, *const lines[] = {"channel", "call"};
    for (int i = 0; i < 2; i++) {
        uint32_t end, process = start(load(names[i]), cpu, &end);
        trips[i](end, 100);
        uint64_t begin = now();
        trips[i](end, n);
        report(lines[i], now() - begin);
        finish(process, end);
    }
}

static void exits(uint32_t module, uint32_t n)
{
    struct nebulet_options options = {.name = "child"};
    for (uint32_t i = 0; i < n; i++) {
        struct nebulet_exit end;
        uint32_t p = (uint32_t)check(
            nebulet_process_create(module, NEBULET_NO_HANDLE, &options, sizeof options, "", 0),
            "process_create");
        check(nebulet_process_start(p), "process_start");
        check(nebulet_process_wait(p, NEBULET_FOREVER, &end), "process_wait");
        check(end.how == NEBULET_EXITED ? 0 : -1, "exit");
        nebulet_handle_close(p);
    }
}

static void processes(uint32_t n)
{
    uint32_t module = load("exit");
    exits(module, 20);
    uint64_t begin = now();
    exits(module, n);
    report("process", now() - begin);
}

static void map_and_unmap(uint32_t memory, uint32_t n)
{
    enum { WINDOW = 65536 };
    static _Alignas(4096) char window[WINDOW];
    for (uint32_t i = 0; i < n; i++) {
        check(nebulet_memory_map(memory, (uint32_t)(uintptr_t)window, 0, WINDOW), "memory_map");
        check(nebulet_memory_unmap((uint32_t)(uintptr_t)window, WINDOW), "memory_unmap");
    }
}

static void maps(uint32_t n)
{
    uint32_t memory = (uint32_t)check(nebulet_memory_create(65536), "memory_create");
    map_and_unmap(memory, 20);
    uint64_t begin = now();
    map_and_unmap(memory, n);
    report("map", now() - begin);
}

/* --- A ring: free-running indices, each written by one side. */

enum { RING = 1 << 18, PIECE = 1 << 14 };
static _Alignas(4096) struct {
    _Alignas(64) volatile uint32_t in;
    _Alignas(64) volatile uint32_t out;
    _Alignas(4096) char bytes[RING];
} ring;
static char piece[PIECE];

static void copied(void)
{
    __asm__ volatile("" : : : "memory");
}

/* Until an index is another one; who has looked often rests, for the other side may want the CPU.
 */
static void ring_wait(const volatile uint32_t *index, uint32_t is, uint32_t channel)
{
    enum { LOOKS = 2000, REST = 50000 };
    for (uint32_t i = 0; *index == is; i++)
        if (i > LOOKS)
            nebulet_object_wait_one(channel, NEBULET_PEER_CLOSED, now() + REST);
}

static void ring_map(uint32_t memory)
{
    check(nebulet_memory_map(memory, (uint32_t)(uintptr_t)&ring, 0, sizeof ring), "memory_map");
}

/* In the other process: its channel brings the ring, and takes how much has come. */
static void ring_read(void)
{
    uint32_t memory, n, first;
    struct nebulet_message got;
    check(nebulet_channel_recv(0, &n, sizeof n, &memory, 1, &got, NEBULET_FOREVER), "channel_recv");
    ring_map(memory);
    for (uint32_t i = 0; i < n; i++, ring.out += PIECE) {
        ring_wait(&ring.in, ring.out, 0);
        copied();
        memcpy(piece, ring.bytes + ring.out % RING, PIECE);
        copied();
        memcpy(&first, piece, sizeof first);
        check(first == i ? 0 : -1, "what comes out of the ring");
    }
    send(0, &n, sizeof n);
}

static void ring_write(uint32_t megabytes)
{
    static const char words[] = "kern\0reader";
    struct nebulet_options options = {.privileges = NEBULET_MAY_ALL, .name = "reader"};
    uint32_t n = megabytes * ((1 << 20) / PIECE), ends[2], done;
    uint32_t memory = (uint32_t)check(nebulet_memory_create(sizeof ring), "memory_create");
    uint32_t copy = (uint32_t)check(nebulet_handle_duplicate(memory, NEBULET_SAME_RIGHTS), "ring");
    ring_map(memory);
    check(nebulet_channel_create(ends), "channel_create");
    check(nebulet_channel_send(ends[0], &n, sizeof n, &copy, 1, NEBULET_FOREVER), "channel_send");
    uint32_t reader = (uint32_t)check(nebulet_process_create(load("kern"), ends[1], &options,
                                                             sizeof options, words, sizeof words),
                                      "process_create");
    check(nebulet_process_start(reader), "process_start");
    uint64_t begin = now();
    for (uint32_t i = 0; i < n; i++, ring.in += PIECE) {
        ring_wait(&ring.out, ring.in - RING, ends[0]);
        memcpy(piece, &i, sizeof i);
        copied();
        memcpy(ring.bytes + ring.in % RING, piece, PIECE);
        copied();
    }
    receive(ends[0], &done, sizeof done);
    report("ring", now() - begin);
    finish(reader, ends[0]);
}

static void herd(uint32_t n, int wait)
{
    uint32_t module = load("echo");
    uint32_t *ends = calloc(n, sizeof *ends), *all = calloc(n, sizeof *all);
    struct nebulet_info info = {0};
    uint64_t begin = now(), kernel_memory = 0;

    check(ends && all ? 0 : -1, "calloc");
    for (uint32_t i = 0; i < n; i++)
        all[i] = start(module, 0, &ends[i]);
    for (uint32_t i = 0; i < n; i++)
        send(ends[i], &i, sizeof i);
    for (uint32_t i = 0, got; i < n; i++) {
        receive(ends[i], &got, sizeof got);
        check(got == i ? 0 : -1, "an answer");
    }
    nebulet_thread_yield();
    for (uint32_t i = 0; i < n; i++) {
        check(nebulet_process_info(all[i], &info), "process_info");
        kernel_memory += info.kernel_memory;
    }
    report("alive", n);
    report("kernel_memory", n ? kernel_memory / n : 0);
    report("herd", now() - begin);
    fflush(stdout);
    if (wait)
        getchar();
    for (uint32_t i = 0; i < n; i++)
        finish(all[i], ends[i]);
    report("over", now() - begin);
}

static void work(uint64_t n, uint32_t count, uint32_t idle)
{
    enum { MOST = 16 };
    uint32_t module = load("work"), echo = load("echo"), ends[MOST], all[MOST], end;
    uint64_t begin, result;

    for (uint32_t i = 0; i < idle; i++)
        start(echo, 0, &end);
    nebulet_thread_yield();
    count = count < MOST ? count : MOST;
    for (uint32_t i = 0; i < count; i++)
        all[i] = start(module, 0, &ends[i]);
    nebulet_thread_yield();
    begin = now();
    for (uint32_t i = 0; i < count; i++)
        send(ends[i], &n, sizeof n);
    for (uint32_t i = 0; i < count; i++)
        receive(ends[i], &result, sizeof result);
    report("work", now() - begin);
    for (uint32_t i = 0; i < count; i++)
        finish(all[i], ends[i]);
}

static void pinned(int argc, char **argv)
{
    struct nebulet_options options = {.cpu = 1, .privileges = NEBULET_MAY_ALL, .name = "kern"};
    struct nebulet_exit end;
    char words[256];
    uint32_t size = 0;

    for (int i = 0; i < argc; i++)
        size += (uint32_t)snprintf(words + size, sizeof words - size, "%s", argv[i]) + 1;
    uint32_t process =
        (uint32_t)check(nebulet_process_create(load("kern"), NEBULET_NO_HANDLE, &options,
                                               sizeof options, words, size),
                        "process_create");
    check(nebulet_process_start(process), "process_start");
    check(nebulet_process_wait(process, NEBULET_FOREVER, &end), "process_wait");
}

int main(int argc, char **argv)
{
    if (argc > 2 && !strcmp(argv[1], "pinned")) {
        argv[1] = argv[0];
        pinned(argc - 1, argv + 1);
        return 0;
    }
    const char *what = argc > 1 ? argv[1] : "";
    uint32_t n[3] = {0, 0, 0};

    for (int i = 0; i < 3 && i + 2 < argc; i++)
        n[i] = (uint32_t)strtoul(argv[i + 2], NULL, 10);
    if (!strcmp(what, "calls"))
        calls(n[0]);
    else if (!strcmp(what, "switch"))
        switches(n[0]);
    else if (!strcmp(what, "channel"))
        channel(n[0], n[1]);
    else if (!strcmp(what, "process"))
        processes(n[0]);
    else if (!strcmp(what, "map"))
        maps(n[0]);
    else if (!strcmp(what, "ring"))
        ring_write(n[0]);
    else if (!strcmp(what, "reader"))
        ring_read();
    else if (!strcmp(what, "idle") || !strcmp(what, "herd"))
        herd(n[0], what[0] == 'i');
    else if (!strcmp(what, "work"))
        work(n[0], n[1], n[2]);
    else
        return 2;
    return 0;
}
