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
    threads();
    between();
    puts("streams");
    return 0;
}
