// SPDX-License-Identifier: MIT
// The last handle of a stream's end is closed while another thread waits to move more than is moved
// at once: the end is there until that call is over, all of it, and gone then.
#include "nebulet.h"

enum { MORE = 40000, ROUNDS = 50 };

static unsigned char bytes[NEBULET_STREAM_SIZE], got[NEBULET_STREAM_SIZE + MORE];
static u32 end, waited;
static volatile bool begun;
static s64 moved;

static void writes(u32 arg)
{
    (void)arg;
    begun = true;
    moved = nb_stream_write(end, bytes, MORE, FOREVER);
}

static void reads(u32 arg)
{
    (void)arg;
    begun = true;
    moved = nb_stream_read(end, got, MORE, FOREVER);
}

// Who waits with an end that has no handle any more; if its turn ended just before it did, it never
// had one.
static u32 begin(void (*function)(u32), u32 its_end)
{
    end = its_end;
    begun = false;
    u32 t = THREAD(function, 0);
    while (!begun)
        nb_thread_yield();
    EXPECT(nb_handle_close(end), 0);
    return t;
}

// How many bytes it has moved.
static u32 finish(u32 t)
{
    GOOD(nb_thread_join(t, FOREVER));
    EXPECT(nb_handle_close(t), 0);
    if (moved == ERR_BAD_HANDLE)
        return 0;
    TRUE(moved > 0 && moved <= MORE);
    waited++;
    return (u32)moved;
}

static void writer(void)
{
    u32 e[2];
    EXPECT(nb_stream_create(&e), 0);
    EXPECT(nb_stream_write(e[0], bytes, sizeof bytes, NOW), sizeof bytes);
    u32 t = begin(writes, e[0]), n = 0;
    for (s64 more; (more = nb_stream_read(e[1], got + n, sizeof got - n, FOREVER)) > 0;)
        n += (u32)more;
    EXPECT(finish(t), n - sizeof bytes);
    EXPECT(memcmp(got, bytes, sizeof bytes), 0);
    EXPECT(memcmp(got + sizeof bytes, bytes, n - sizeof bytes), 0);
    EXPECT(nb_handle_close(e[1]), 0);
}

static void reader(void)
{
    u32 e[2];
    EXPECT(nb_stream_create(&e), 0);
    u32 t = begin(reads, e[1]);
    s64 written = nb_stream_write(e[0], bytes, MORE, NOW);
    u32 n = finish(t);
    TRUE(n ? n <= written : written == ERR_PEER_CLOSED);
    EXPECT(memcmp(got, bytes, n), 0);
    EXPECT(nb_stream_write(e[0], bytes, 1, NOW), ERR_PEER_CLOSED);
    EXPECT(nb_handle_close(e[0]), 0);
}

int main(void)
{
    for (u32 i = 0; i < sizeof bytes; i++)
        bytes[i] = (unsigned char)(i * 2654435761u >> 24);
    for (u32 i = 0; i < ROUNDS; i++) {
        writer();
        reader();
    }
    TRUE(waited > ROUNDS);
    puts("closed");
    return 0;
}
