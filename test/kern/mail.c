// SPDX-License-Identifier: MIT
// A message from memory to memory, or what is written to a stream, by another CPU, into pages that
// the receiver's other thread maps over at that moment: it comes to the one page or to the other,
// and nothing else happens.
#include "nebulet.h"

#define PAGE 4096u
enum { SIZE = 4 * PAGE, ROUNDS = 60 };

static _Alignas(65536) unsigned char window[SIZE], meeting[PAGE], text[SIZE];

// What both processes have at once.
struct turns {
    _Atomic u32 waits, go, sent;
};
static struct turns *const turns = (struct turns *)meeting;

static void share(u32 memory)
{
    EXPECT(nb_memory_map(memory, (u32)(uintptr_t)meeting, 0, PAGE), 0);
}

static void until(_Atomic u32 *word, u32 round)
{
    while (*word < round)
        nb_thread_yield();
}

static int sends(bool writes)
{
    u32 got[2];
    EXPECT(nb_channel_recv(0, NULL, 0, got, 2, NULL, FOREVER), 0);
    share(got[0]);
    for (u32 round = 1; round <= ROUNDS; round++) {
        until(&turns->go, round);
        for (volatile u32 i = 0; i < round % 16 * 32; i++)
            ;
        memset(text, (int)round, sizeof text);
        if (writes)
            EXPECT(nb_stream_write(got[1], text, sizeof text, FOREVER), SIZE);
        else
            EXPECT(nb_channel_send(0, text, sizeof text, NULL, 0, FOREVER), 0);
        turns->sent = round;
    }
    return 0;
}

static u32 channel, stream;

static void takes(u32 reads)
{
    for (u32 round = 1; round <= ROUNDS; round++) {
        turns->waits = round;
        if (reads)
            EXPECT(nb_stream_read(stream, window, SIZE, FOREVER), SIZE);
        else
            EXPECT(nb_channel_recv(channel, window, SIZE, NULL, 0, NULL, FOREVER), SIZE);
    }
}

static void meet(bool by_stream)
{
    u32 theirs, ends[2], m = GOOD(nb_memory_create(PAGE)),
                         over = GOOD(nb_memory_create(sizeof window));
    pair(&channel, &theirs);
    EXPECT(nb_stream_create(&ends), 0);
    stream = ends[1];
    share(m);
    u32 p = child(by_stream ? "writes" : "sends", theirs, NULL), t = THREAD(takes, by_stream);
    EXPECT(nb_channel_send(channel, "", 0, (u32[2]){m, ends[0]}, 2, FOREVER), 0);
    for (u32 round = 1; round <= ROUNDS; round++) {
        until(&turns->waits, round);
        turns->go = round;
        while (turns->sent < round) {
            for (u32 i = 0; i < SIZE; i += PAGE)
                window[i] = 1;
            EXPECT(nb_memory_map(over, (u32)(uintptr_t)window, 0, SIZE), 0);
            EXPECT(nb_memory_unmap((u32)(uintptr_t)window, SIZE), 0);
            nb_thread_yield();
        }
    }
    EXPECT(nb_thread_join(t, FOREVER), 0);
    ENDED(p, NEBULET_EXITED, 0);
    EXPECT(nb_memory_unmap((u32)(uintptr_t)meeting, PAGE), 0);
    EXPECT(nb_handle_close(t), 0);
    EXPECT(nb_handle_close(over), 0);
    EXPECT(nb_handle_close(channel), 0);
    EXPECT(nb_handle_close(stream), 0);
}

int main(int argc, char **argv)
{
    own_name = argv[0];
    if (argc > 1)
        return sends(!strcmp(argv[1], "writes"));
    meet(false);
    meet(true);
    puts("mail");
    return 0;
}
