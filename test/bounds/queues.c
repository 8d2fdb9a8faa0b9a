// SPDX-License-Identifier: MIT
// What lies in queues, as much as can be: it is lost in the end, or lies in a chain, or is to be
// sent where it would keep itself alive.
#include "../kern/nebulet.h"

enum { CHAIN = 3000, WIDE = 600 };

// As many handles as a queue may have, of an object each, are lost with it.
static void full(void)
{
    u32 a, b, h[NEBULET_MESSAGE_HANDLES];
    pair(&a, &b);
    for (u32 i = 0; i < NEBULET_QUEUE_MAX; i++) {
        for (u32 k = 0; k < countof(h); k++)
            h[k] = GOOD(nb_event_create());
        EXPECT(nb_channel_send(a, NULL, 0, h, countof(h), NOW), 0);
    }
    EXPECT(nb_handle_close(b), 0);
    EXPECT(nb_channel_send(a, NULL, 0, NULL, 0, NOW), ERR_PEER_CLOSED);
    EXPECT(nb_handle_close(a), 0);
}

// Messages as large as can be, copied by those who wait for them, and kept.
static char bytes[65536], got[65536];
static void large(void)
{
    u32 a, b, w[2];
    pair(&a, &b);
    for (u32 i = 0; i < 60; i++) {
        memset(bytes, (int)i, sizeof bytes);
        EXPECT(nb_channel_send(a, bytes, sizeof bytes - i, NULL, 0, NOW), 0);
    }
    for (u32 i = 0; i < 30; i++) {
        EXPECT(nb_channel_recv(b, got, sizeof got, NULL, 0, NULL, NOW), sizeof bytes - i);
        TRUE(got[0] == (char)i && got[sizeof bytes - i - 1] == (char)i);
    }
    EXPECT(nb_handle_close(b), 0);
    EXPECT(nb_handle_close(a), 0);
    EXPECT(nb_stream_create(&w), 0);
    EXPECT(nb_stream_write(w[0], bytes, sizeof bytes, NOW), sizeof bytes);
    EXPECT(nb_stream_write(w[0], bytes, sizeof bytes, NOW), ERR_SHOULD_WAIT);
    EXPECT(nb_stream_read(w[1], got, sizeof got, NOW), sizeof got);
    TRUE(!memcmp(got, bytes, sizeof got));
    EXPECT(nb_handle_close(w[0]), 0);
    EXPECT(nb_handle_close(w[1]), 0);
}

// Each channel's queue has the next one's end in it; then all go at once.
static void chain(void)
{
    u32 first = 0, last = 0;
    for (u32 i = 0; i < CHAIN; i++) {
        u32 a, b;
        pair(&a, &b);
        if (i)
            EXPECT(nb_channel_send(a, NULL, 0, &last, 1, NOW), 0);
        EXPECT(nb_handle_close(a), 0);
        last = b;
    }
    EXPECT(nb_handle_close(last), 0);
    (void)first;
}

// An end that lies in a queue gets others: they are searched for it, within limits.
static void searched(void)
{
    u32 x, y, hold, held, far, near;
    pair(&x, &y);
    pair(&hold, &held);
    EXPECT(nb_channel_send(hold, NULL, 0, &y, 1, NOW), 0); // y is kept from us from now on
    pair(&near, &far);
    for (u32 i = 0; i < WIDE; i++) {
        u32 a, b;
        pair(&a, &b);
        EXPECT(nb_channel_send(near, NULL, 0, (u32[]){a, b}, 2, NOW), 0);
    }
    EXPECT(nb_channel_send(x, NULL, 0, &far, 1, NOW), ERR_NO_RESOURCES);
    EXPECT(nb_channel_send(x, NULL, 0, &held, 1, NOW), ERR_INVALID_ARG); // y, in held, in y
    // Held by somebody who runs, it may get all of that.
    EXPECT(nb_channel_recv(held, NULL, 0, &y, 1, NULL, NOW), 0);
    EXPECT(nb_channel_send(x, NULL, 0, &far, 1, NOW), 0);
    EXPECT(nb_channel_send(x, NULL, 0, &held, 1, NOW), 0);
    u32 all[] = {x, y, hold, near};
    for (u32 i = 0; i < countof(all); i++)
        EXPECT(nb_handle_close(all[i]), 0);
}

// Many items, of which the last one comes.
static void items(void)
{
    static struct nebulet_wait w[NEBULET_WAIT_MAX];
    for (u32 i = 0; i < countof(w); i++)
        w[i] = (struct nebulet_wait){.handle = GOOD(nb_event_create()),
                                     .signals = NEBULET_EVENT_SIGNALED};
    EXPECT(nb_object_wait_many(w, countof(w), now() + MS), ERR_TIMED_OUT);
    EXPECT(nb_object_signal(w[countof(w) - 1].handle, 0, NEBULET_EVENT_SIGNALED), 0);
    EXPECT(nb_object_wait_many(w, countof(w), FOREVER), 1);
    EXPECT(w[countof(w) - 1].observed, NEBULET_EVENT_SIGNALED);
    EXPECT(w[0].observed, 0);
    for (u32 i = 0; i < countof(w); i++)
        EXPECT(nb_handle_close(w[i].handle), 0);
}

// Taken into a large table.
static void table(void)
{
    static u32 many[60000];
    u32 a, b, h[NEBULET_MESSAGE_HANDLES];
    pair(&a, &b);
    for (u32 i = 0; i < countof(h); i++)
        h[i] = GOOD(nb_event_create());
    EXPECT(nb_channel_send(a, NULL, 0, h, countof(h), NOW), 0);
    for (u32 i = 0; i < countof(many); i++)
        many[i] = GOOD(nb_event_create());
    EXPECT(nb_channel_recv(b, NULL, 0, h, countof(h), NULL, NOW), 0);
    for (u32 i = 0; i < countof(many); i++)
        EXPECT(nb_handle_close(many[i]), 0);
    for (u32 i = 0; i < countof(h); i++)
        EXPECT(nb_handle_close(h[i]), 0);
    EXPECT(nb_handle_close(a), 0);
    EXPECT(nb_handle_close(b), 0);
}

int main(int argc, char **argv)
{
    own_name = argv[0];
    (void)argc;
    full();
    large();
    chain();
    searched();
    items();
    table();
    puts("queues");
    return 0;
}
