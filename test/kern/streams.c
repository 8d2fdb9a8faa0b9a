// SPDX-License-Identifier: MIT
// Streams: bytes through a pipe of 64 KiB, both ends closed, deadlines, the wrong end.
#include "nebulet.h"

static unsigned char bytes[100000], got[100000];

static void alone(void)
{
    u32 e[2];
    EXPECT(nb_stream_create(&e), 0);
    EXPECT(nb_stream_read(e[0], got, 1, NOW), ERR_BAD_STATE);
    EXPECT(nb_stream_write(e[1], bytes, 1, NOW), ERR_BAD_STATE);
    EXPECT(nb_stream_read(e[1], got, 1, NOW), ERR_SHOULD_WAIT);
    EXPECT(nb_stream_read(e[1], got, 1, 1), ERR_TIMED_OUT);
    EXPECT(nb_stream_write(e[0], bytes, sizeof bytes, NOW), NEBULET_STREAM_SIZE);
    EXPECT(nb_stream_write(e[0], bytes, 1, NOW), ERR_SHOULD_WAIT);
    EXPECT(nb_stream_write(e[0], bytes, 1, now() + MS), ERR_TIMED_OUT);
    EXPECT(nb_object_wait_one(e[0], NEBULET_WRITABLE, NOW), ERR_SHOULD_WAIT);
    EXPECT(nb_object_wait_one(e[1], NEBULET_READABLE, NOW), NEBULET_READABLE);
    EXPECT(nb_stream_read(e[1], got, 0, NOW), 0); // makes no room
    EXPECT(nb_object_wait_one(e[0], NEBULET_WRITABLE, NOW), ERR_SHOULD_WAIT);
    EXPECT(nb_stream_write(e[0], bytes, 1, NOW), ERR_SHOULD_WAIT);
    EXPECT(nb_stream_read(e[1], got, 60000, NOW), 60000);
    EXPECT(nb_object_wait_one(e[0], NEBULET_WRITABLE, NOW), NEBULET_WRITABLE);
    EXPECT(nb_stream_write(e[0], bytes + 65536, 34464, NOW), 34464); // over the ring's end
    EXPECT(nb_stream_read(e[1], got + 60000, 50000, NOW), 40000);
    EXPECT(memcmp(got, bytes, sizeof bytes), 0);
    EXPECT(nb_stream_write(e[0], "ab", 2, NOW), 2);
    EXPECT(nb_handle_close(e[0]), 0);
    EXPECT(nb_stream_read(e[1], got, 10, FOREVER), 2);
    EXPECT(nb_stream_read(e[1], got, 10, FOREVER), ERR_PEER_CLOSED);
    EXPECT(nb_handle_close(e[1]), 0);
    EXPECT(nb_stream_create(&e), 0);
    EXPECT(nb_stream_write(e[0], "ab", 2, NOW), 2);
    EXPECT(nb_handle_close(e[1]), 0);
    EXPECT(nb_stream_write(e[0], "ab", 2, FOREVER), ERR_PEER_CLOSED);
    EXPECT(nb_handle_close(e[0]), 0);
}

// From memory to memory, where somebody waits to read: as if it had been read out of the ring.
static struct straight {
    u32 end, room, n;
    s64 got;
    unsigned char bytes[200];
} wants[2];

static void reads(u32 which)
{
    struct straight *s = &wants[which];
    s->got = nb_stream_read(s->end, s->bytes, s->room, s->n ? now() + s->n * MS : FOREVER);
}

static void straight(void)
{
    u32 e[2], t[2];
    EXPECT(nb_stream_create(&e), 0);
    struct nebulet_wait seen = {e[1], NEBULET_READABLE, 0};
    for (u32 room = 0; room < 150; room += 7) { // less than what comes, all of it, and more
        wants[0] = (struct straight){.end = e[1], .room = room};
        t[0] = THREAD(reads, 0);
        nb_thread_yield();
        EXPECT(nb_stream_write(e[0], bytes + room, 70, NOW), 70);
        u32 first = room < 70 ? room : 70;
        EXPECT(nb_object_wait_many(&seen, 1, NOW), first < 70 ? 1 : ERR_SHOULD_WAIT);
        GOOD(nb_thread_join(t[0], FOREVER));
        EXPECT(wants[0].got, first);
        EXPECT(memcmp(wants[0].bytes, bytes + room, first), 0);
        EXPECT(nb_stream_read(e[1], got, 100, NOW),
               first < 70 ? (s64)(70 - first) : ERR_SHOULD_WAIT);
        EXPECT(memcmp(got, bytes + room + first, 70 - first), 0);
        EXPECT(nb_handle_close(t[0]), 0);
    }
    // Two wait; one whose time is over has nothing, and nothing is lost with it.
    wants[0] = (struct straight){.end = e[1], .room = 10, .n = 1};
    wants[1] = (struct straight){.end = e[1], .room = 10};
    t[0] = THREAD(reads, 0);
    t[1] = THREAD(reads, 1);
    GOOD(nb_thread_join(t[0], FOREVER));
    EXPECT(wants[0].got, ERR_TIMED_OUT);
    EXPECT(nb_stream_write(e[0], "abc", 3, NOW), 3);
    GOOD(nb_thread_join(t[1], FOREVER));
    EXPECT(wants[1].got, 3);
    EXPECT(nb_handle_close(t[0]), 0);
    EXPECT(nb_handle_close(t[1]), 0);
    for (u32 i = 0; i < 2; i++) {
        wants[i] = (struct straight){.end = e[1], .room = 4};
        t[i] = THREAD(reads, i);
    }
    nb_thread_yield();
    EXPECT(nb_stream_write(e[0], "abcdefgh", 8, NOW), 8);
    for (u32 i = 0; i < 2; i++) {
        GOOD(nb_thread_join(t[i], FOREVER));
        EXPECT(wants[i].got, 4);
        EXPECT(memcmp(wants[i].bytes, i ? "efgh" : "abcd", 4), 0);
        EXPECT(nb_handle_close(t[i]), 0);
    }
    // Into what it is written from, and the end.
    wants[0] = (struct straight){.end = e[1], .room = 100};
    t[0] = THREAD(reads, 0);
    nb_thread_yield();
    memcpy(wants[0].bytes + 1, bytes, 90);
    EXPECT(nb_stream_write(e[0], wants[0].bytes + 1, 90, NOW), 90);
    GOOD(nb_thread_join(t[0], FOREVER));
    EXPECT(memcmp(wants[0].bytes, bytes, 90), 0);
    EXPECT(nb_handle_close(t[0]), 0);
    t[0] = THREAD(reads, 0);
    nb_thread_yield();
    EXPECT(nb_stream_write(e[0], "x", 1, NOW), 1);
    EXPECT(nb_handle_close(e[0]), 0);
    GOOD(nb_thread_join(t[0], FOREVER));
    EXPECT(wants[0].got, 1);
    EXPECT(nb_stream_read(e[1], got, 9, FOREVER), ERR_PEER_CLOSED);
    EXPECT(nb_handle_close(t[0]), 0);
    EXPECT(nb_handle_close(e[1]), 0);
}

static u32 end;

static void reader(u32 sum)
{
    u32 *total = (u32 *)(uintptr_t)sum;
    unsigned char piece[300];
    s64 n;
    while ((n = nb_stream_read(end, piece, sizeof piece, FOREVER)) > 0)
        for (s64 i = 0; i < n; i++)
            *total += piece[i];
}

static void threads(void)
{
    static u32 sums[4];
    u32 e[2], t[4], wanted = 0, sum = 0;
    EXPECT(nb_stream_create(&e), 0);
    end = e[1];
    for (u32 i = 0; i < 4; i++)
        t[i] = THREAD(reader, &sums[i]);
    for (u32 at = 0, n; at < sizeof bytes; at += n)
        n = GOOD(nb_stream_write(e[0], bytes + at, (u32)sizeof bytes - at, FOREVER));
    EXPECT(nb_handle_close(e[0]), 0);
    for (u32 i = 0; i < 4; i++) {
        GOOD(nb_thread_join(t[i], FOREVER));
        sum += sums[i];
    }
    for (u32 i = 0; i < sizeof bytes; i++)
        wanted += bytes[i];
    EXPECT(sum, wanted);
    EXPECT(nb_handle_close(e[1]), 0);
}

// Gets the end to write to by its channel.
static int source(void)
{
    u32 h;
    if (nb_channel_recv(0, NULL, 0, &h, 1, NULL, FOREVER))
        return 1;
    for (u32 round = 0; round < 20; round++)
        for (u32 at = 0; at < sizeof bytes;) {
            s64 n = nb_stream_write(h, bytes + at, (u32)sizeof bytes - at, FOREVER);
            if (n <= 0)
                return 2;
            at += (u32)n;
        }
    return 3;
}

static void between(void)
{
    u32 e[2], a, b;
    pair(&a, &b);
    EXPECT(nb_stream_create(&e), 0);
    u32 p = child("source", b, NULL);
    EXPECT(nb_channel_send(a, NULL, 0, e, 1, NOW), 0);
    u32 at = 0, total = 0;
    s64 n;
    while ((n = nb_stream_read(e[1], got, 7777, FOREVER)) > 0)
        for (s64 i = 0; i < n; i++, total++, at = (at + 1) % sizeof bytes)
            EXPECT(got[i], bytes[at]);
    EXPECT(n, ERR_PEER_CLOSED);
    EXPECT(total, 20 * sizeof bytes);
    ENDED(p, NEBULET_EXITED, 3);
    EXPECT(nb_handle_close(e[1]), 0);
    EXPECT(nb_handle_close(a), 0);
}

int main(int argc, char **argv)
{
    own_name = argv[0];
    for (u32 i = 0; i < sizeof bytes; i++)
        bytes[i] = (unsigned char)(i * 2654435761u >> 24);
    if (argc > 1)
        return source();
    alone();
    straight();
    threads();
    between();
    puts("streams");
    return 0;
}
