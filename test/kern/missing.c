// SPDX-License-Identifier: MIT
// A little of everything that takes memory, by a program that shrugs at errors: what is refused to
// it shows in the kernel, if anywhere (boot.py refuses it every request for memory in turn).
#include "nebulet.h"

enum { SOON = 50 * MS };

static const unsigned char module[] = {
    0, 'a', 's', 'm', 1,   0,   0,   0,   1,   4,   1, 0x60, 0,  0, 3, 2, 1, 0, // (func)
    7, 10,  1,   6,   '_', 's', 't', 'a', 'r', 't', 0, 0,    10, 4, 1, 2, 0, 0x0b};

static void answers(u32 channel)
{
    u32 word;
    s64 n = nb_channel_recv(channel, &word, sizeof word, NULL, 0, NULL, now() + SOON);
    while (n >= 0)
        n = nb_channel_call(channel, &word, sizeof word, &word, sizeof word, now() + SOON);
}

static void recurses(u32 depth)
{
    volatile u32 frames = deep(1, depth, 50);
    (void)frames;
}

static s64 thread(void (*function)(u32), u32 arg)
{
    enum { STACK = 1 << 18 };
    char *stack = malloc(STACK);
    return stack ? nb_thread_spawn((u32)(uintptr_t)function, arg, (u32)(uintptr_t)stack + STACK)
                 : -1;
}

static void messages(void)
{
    u32 ends[2], word = 7, event;
    if (nb_channel_create(&ends) < 0)
        return;
    s64 t = thread(answers, ends[1]), e = nb_event_create();
    for (u32 i = 0; i < 3; i++)
        nb_channel_call(ends[0], &word, sizeof word, &word, sizeof word, now() + SOON);
    event = (u32)e;
    if (e >= 0 && nb_channel_send(ends[0], &word, sizeof word, &event, 1, NOW) < 0)
        nb_handle_close(event);
    nb_handle_close(ends[0]);
    if (t >= 0)
        nb_thread_join((u32)t, now() + SOON);
    nb_handle_close(ends[1]);
}

static void streams(void)
{
    static char bytes[9000];
    u32 ends[2];
    if (nb_stream_create(&ends) < 0)
        return;
    nb_stream_write(ends[0], bytes, sizeof bytes, NOW);
    nb_stream_read(ends[1], bytes, sizeof bytes, NOW);
    nb_handle_close(ends[0]);
    nb_handle_close(ends[1]);
}

static void processes(void)
{
    s64 m = nb_wasm_compile(module, sizeof module, NULL, 0);
    if (m < 0)
        return;
    for (u32 i = 0; i < 2; i++) {
        s64 p = nb_process_create((u32)m, NEBULET_NO_HANDLE, NULL, 0, "child", 6);
        if (p < 0)
            continue;
        if (nb_process_start((u32)p) >= 0)
            nb_process_wait((u32)p, now() + SOON, NULL);
        nb_handle_close((u32)p);
    }
    nb_handle_close((u32)m);
}

static void files(void)
{
    static char bytes[20000];
    FILE *f = fopen("/missing.file", "wb");
    if (!f)
        return;
    fwrite(bytes, 1, sizeof bytes, f);
    fclose(f);
    rename("/missing.file", "/missing.other");
    remove("/missing.other");
}

int main(int argc, char **argv)
{
    (void)argc, (void)argv;
    s64 deeper = thread(recurses, 1000);
    s64 timer = nb_timer_create();
    if (timer >= 0)
        nb_timer_set((u32)timer, now() + MS, 0);
    messages();
    streams();
    processes();
    files();
    recurses(3000);
    volatile char *block = malloc(300000);
    for (u32 i = 0; block && i < 300000; i += 1000)
        block[i] = 1;
    if (timer >= 0)
        nb_object_wait_one((u32)timer, NEBULET_EVENT_SIGNALED, now() + SOON);
    if (deeper >= 0)
        nb_thread_join((u32)deeper, now() + SOON);
    puts("missing");
    return 0;
}
