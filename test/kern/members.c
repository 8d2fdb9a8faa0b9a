// SPDX-License-Identifier: MIT
// One program signals again and again what 260,000 places of its own sets wait for. Another one's
// calls come back for all that, what it gives up is freed, and a process of many threads is ended.
#include "nebulet.h"

enum {
    SETS = 256,
    STREAMS = SETS * NEBULET_WAIT_MAX / NEBULET_PLACES_MAX,
    THREADS = 40,
    EVENTS = 60,
    ROUNDS = 60
};

static char stacks[THREADS][256] __attribute__((aligned(16)));

static void waits(u32 arg)
{
    (void)arg;
    nb_object_wait_many(NULL, 0, FOREVER);
}

static int has_threads(void)
{
    for (u32 i = 0; i + 1 < THREADS; i++)
        GOOD(nb_thread_spawn((u32)(uintptr_t)waits, i, (u32)(uintptr_t)stacks[i + 1]));
    send_word(0, 1);
    waits(0);
    return 1;
}

static int signals(void)
{
    static u32 ends[STREAMS][2];
    char byte;
    for (u32 i = 0; i < STREAMS; i++)
        EXPECT(nb_stream_create(&ends[i]), 0);
    for (u32 i = 0; i < SETS; i++) {
        u32 s = GOOD(nb_waitset_create());
        for (u32 k = 0; k < NEBULET_WAIT_MAX; k++)
            EXPECT(nb_waitset_put(s, k, ends[(i * NEBULET_WAIT_MAX + k) % STREAMS][1],
                                  NEBULET_READABLE),
                   0);
    }
    send_word(0, 1);
    for (u32 i = 0;; i++) {
        nb_stream_write(ends[i % STREAMS][0], "x", 1, NOW);
        nb_stream_read(ends[i % STREAMS][1], &byte, 1, NOW);
    }
}

// Twice as much as it may have at a time.
static int gives_up(void)
{
    static char bytes[NEBULET_STREAM_SIZE];
    send_word(0, 1);
    for (u32 i = 0; i < ROUNDS; i++) {
        u32 ends[2];
        EXPECT(nb_stream_create(&ends), 0);
        EXPECT(nb_stream_write(ends[0], bytes, sizeof bytes, NOW), sizeof bytes);
        EXPECT(nb_handle_close(ends[0]), 0);
        EXPECT(nb_handle_close(ends[1]), 0);
    }
    return 0;
}

int main(int argc, char **argv)
{
    own_name = argv[0];
    if (argc > 1)
        return *argv[1] == 's' ? signals() : *argv[1] == 'g' ? gives_up() : has_threads();
    struct nebulet_options o = {.memory = 2 << 20, .privileges = NEBULET_MAY_ALL};
    u32 a, b, c, d, e, f;
    pair(&a, &b);
    pair(&c, &d);
    pair(&e, &f);
    u32 p = child("signals", b, NULL), q = child("has threads", d, NULL);
    EXPECT(recv_word(c, FOREVER), 1);
    EXPECT(recv_word(a, FOREVER), 1);
    u32 r = child("gives up", f, &o);
    EXPECT(recv_word(e, FOREVER), 1);
    ENDED(r, NEBULET_EXITED, 0);
    for (u32 i = 0; i < EVENTS; i++) {
        if (i % 10 == 0)
            sleep_ms(10);
        u32 event = GOOD(nb_event_create());
        EXPECT(nb_object_signal(event, 0, NEBULET_EVENT_SIGNALED), 0);
        EXPECT(nb_handle_close(event), 0);
    }
    EXPECT(nb_process_kill(q), 0);
    ENDED(q, NEBULET_KILLED, 0);
    EXPECT(nb_process_kill(p), 0);
    ENDED(p, NEBULET_KILLED, 0);
    puts("members");
    return 0;
}
