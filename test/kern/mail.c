// SPDX-License-Identifier: MIT
// A message from memory to memory, by another CPU, into pages that the receiver's other thread maps
// over at that moment: it comes to the one page or to the other, and nothing else happens.
#include "nebulet.h"

#define PAGE 4096u
enum { SIZE = 4 * PAGE, ROUNDS = 100 };

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

static int sends(void)
{
    u32 memory;
    EXPECT(nb_channel_recv(0, NULL, 0, &memory, 1, NULL, FOREVER), 0);
    share(memory);
    for (u32 round = 1; round <= ROUNDS; round++) {
        until(&turns->go, round);
        for (volatile u32 i = 0; i < round % 16 * 32; i++)
            ;
        memset(text, (int)round, sizeof text);
        EXPECT(nb_channel_send(0, text, sizeof text, NULL, 0, FOREVER), 0);
        turns->sent = round;
    }
    return 0;
}

static u32 channel;

static void takes(u32 arg)
{
    (void)arg;
    for (u32 round = 1; round <= ROUNDS; round++) {
        turns->waits = round;
        EXPECT(nb_channel_recv(channel, window, SIZE, NULL, 0, NULL, FOREVER), SIZE);
    }
}

int main(int argc, char **argv)
{
    u32 theirs;
    own_name = argv[0];
    if (argc > 1 && !strcmp(argv[1], "sends"))
        return sends();
    pair(&channel, &theirs);
    u32 m = GOOD(nb_memory_create(PAGE)), over = GOOD(nb_memory_create(sizeof window));
    share(m);
    u32 p = child("sends", theirs, NULL), t = THREAD(takes, 0);
    EXPECT(nb_channel_send(channel, "", 0, &m, 1, FOREVER), 0);
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
    puts("mail");
    return 0;
}
