// SPDX-License-Identifier: MIT
// What a process has used is charged to it, though it gives the CPU to a fresh thread before
// anybody looks: its limit of time ends it, and others have their share.
#include "nebulet.h"

static char stack[16384] __attribute__((aligned(16)));

static void nothing(u32 n)
{
    (void)n;
}

static void computes(u64 ns)
{
    for (u64 end = now() + ns; now() < end;)
        ;
}

static void hides(void)
{
    for (u64 end = now() + 1000 * MS; now() < end;) {
        computes(5 * MS);
        u32 t =
            GOOD(nb_thread_spawn((u32)(uintptr_t)nothing, 0, (u32)(uintptr_t)stack + sizeof stack));
        nb_thread_yield();
        EXPECT(nb_thread_join(t, FOREVER), 0);
        EXPECT(nb_handle_close(t), 0);
    }
}

// Messages that nobody takes, and streams: as much as the limit has room for, and again when they
// are gone. The program itself has some hundred KB.
static void keeps(void)
{
    static char bytes[NEBULET_MESSAGE_MAX];
    enum { HALF = NEBULET_STREAM_SIZE / 2 }; // as little as needs the ring of the whole size
    u32 mine, other, sent = 0, streams = 0, again = 0, e[2], first[2];
    pair(&mine, &other);
    while (nb_channel_send(mine, bytes, sizeof bytes, NULL, 0, NOW) == 0)
        sent++;
    TRUE(sent >= 16 && sent < 64);
    EXPECT(nb_channel_send(mine, bytes, sizeof bytes, NULL, 0, NOW), ERR_NO_MEMORY);
    EXPECT(nb_stream_create(&first), 0);
    EXPECT(nb_stream_write(first[0], bytes, HALF, NOW), ERR_NO_MEMORY);
    EXPECT(nb_channel_recv(other, bytes, sizeof bytes, NULL, 0, NULL, NOW), sizeof bytes);
    EXPECT(nb_stream_write(first[0], bytes, HALF, NOW), HALF);
    EXPECT(nb_handle_close(other), 0); // with all that is in it
    for (s64 n = HALF; n == HALF; streams += n == HALF) {
        EXPECT(nb_stream_create(&e), 0);
        n = nb_stream_write(e[0], bytes, HALF, NOW);
        TRUE(n == HALF || n == ERR_NO_MEMORY);
    }
    TRUE(streams >= sent - 2 && streams <= sent); // one takes a little more than a message
    EXPECT(nb_handle_close(first[0]), 0);
    EXPECT(nb_handle_close(first[1]), 0);
    pair(&mine, &other);
    while (nb_channel_send(mine, bytes, sizeof bytes / 2, NULL, 0, NOW) == 0)
        again++;
    TRUE(again >= 1 && again <= 4); // in less than two streams: what was left, and the first one
}

int main(int argc, char **argv)
{
    own_name = argv[0];
    if (argc > 1) {
        if (!strcmp(argv[1], "hides"))
            hides();
        else if (!strcmp(argv[1], "keeps"))
            keeps();
        else
            computes(1000 * MS);
        return 0;
    }
    struct nebulet_options limited = {.cpu_ns = 50 * MS}, first_cpu = {.cpu = 1},
                           small = {.memory = 4 << 20};
    struct nebulet_info info;
    ENDED(child("keeps", NEBULET_NO_HANDLE, &small), NEBULET_EXITED, 0);
    u32 p = child("hides", NEBULET_NO_HANDLE, &limited);
    ENDED(p, NEBULET_LIMIT, 0);
    p = child("hides", NEBULET_NO_HANDLE, &first_cpu);
    u32 q = child("computes", NEBULET_NO_HANDLE, &first_cpu);
    sleep_ms(400);
    EXPECT(nb_process_info(q, &info), 0);
    TRUE(info.cpu_ns > 50 * MS);
    EXPECT(nb_process_kill(p), 0);
    EXPECT(nb_process_kill(q), 0);
    ENDED(p, NEBULET_KILLED, 0);
    ENDED(q, NEBULET_KILLED, 0);
    puts("charged");
    return 0;
}
