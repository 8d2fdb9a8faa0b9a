// SPDX-License-Identifier: MIT
// What is written to a stream comes in that order, although who waits to read is told of the first
// of it late, behind thousands of others in line, and his memory lies still by then.
#include "nebulet.h"

#define PAGE 4096u
enum { ROUNDS = 20, CROWD = 48 };

static _Alignas(65536) unsigned char meeting[PAGE];

// What both processes have at once.
struct turns {
    _Atomic u32 go, sent, stops, done;
};
static struct turns *const turns = (struct turns *)meeting;

static void share(u32 memory)
{
    EXPECT(nb_memory_map(memory, (u32)(uintptr_t)meeting, 0, PAGE), 0);
}

static void spin_until(_Atomic u32 *word, u32 round)
{
    while (*word < round)
        ;
}

static int writes(void)
{
    u32 got[2];
    EXPECT(nb_channel_recv(0, NULL, 0, got, 2, NULL, FOREVER), 0);
    share(got[0]);
    for (u32 round = 1; round <= ROUNDS; round++) {
        while (turns->go < round)
            nb_thread_yield();
        EXPECT(nb_stream_write(got[1], "first", 5, FOREVER), 5);
        turns->sent = round;
        spin_until(&turns->stops, round);
        for (volatile u32 i = 0; i < round * 2000; i++)
            ;
        EXPECT(nb_stream_write(got[1], "again", 5, FOREVER), 5);
        turns->done = round;
    }
    return 0;
}

static u32 stream;
static char bytes[10];

static void reads(u32 arg)
{
    (void)arg;
    for (u32 n = 0; n < sizeof bytes;)
        n += GOOD(nb_stream_read(stream, bytes + n, sizeof bytes - n, FOREVER));
}

static struct nebulet_wait items[NEBULET_WAIT_MAX];
static char stacks[CROWD + 1][256] __attribute__((aligned(16)));

// Each is in line 1,024 times.
static void stands(u32 arg)
{
    (void)arg;
    nb_object_wait_many(items, NEBULET_WAIT_MAX, FOREVER);
}

int main(int argc, char **argv)
{
    u32 ours, theirs, ends[2], m;
    own_name = argv[0];
    if (argc > 1)
        return writes();
    pair(&ours, &theirs);
    EXPECT(nb_stream_create(&ends), 0);
    stream = ends[1];
    for (u32 i = 0; i < NEBULET_WAIT_MAX; i++)
        items[i] = (struct nebulet_wait){.handle = stream, .signals = NEBULET_USER};
    for (u32 i = 0; i < CROWD; i++)
        GOOD(nb_thread_spawn((u32)(uintptr_t)stands, i, (u32)(uintptr_t)stacks[i + 1]));
    nb_thread_yield();
    m = GOOD(nb_memory_create(PAGE));
    share(m);
    u32 p = child("writes", theirs, NULL);
    EXPECT(nb_channel_send(ours, "", 0, (u32[2]){m, ends[0]}, 2, FOREVER), 0);
    for (u32 round = 1; round <= ROUNDS; round++) {
        u32 t = THREAD(reads, 0);
        nb_thread_yield(); // it waits
        turns->go = round;
        spin_until(&turns->sent, round);
        turns->stops = round;
        do
            sleep_ms(1);
        while (turns->done < round);
        GOOD(nb_thread_join(t, FOREVER));
        EXPECT(nb_handle_close(t), 0);
        if (memcmp(bytes, "firstagain", sizeof bytes))
            EXPECT(nb_process_kill(p), 0);
        EXPECT(memcmp(bytes, "firstagain", sizeof bytes), 0);
    }
    ENDED(p, NEBULET_EXITED, 0);
    puts("overtaken");
    return 0;
}
