// SPDX-License-Identifier: MIT
// A hostile guest for each kind of thing that can be kept for one: it asks for more until it is
// refused, or for a great many. It has a limit of memory, and whoever runs it looks at what the
// whole program or machine takes (test/suites/kern.py): what is told must be what is taken.
//
//     keeps KIND        begins with "kept", if it could do what it is to do
#include "nebulet.h"

static void print(s64 n, s64 last)
{
    printf("kept %lld, then %lld\n", (long long)n, (long long)last);
}

// --- In the tables and queues of the kernel

static void channels(void)
{
    u32 e[2], ends[NEBULET_MESSAGE_HANDLES], queue[2] = {0};
    s64 s = 0, n = 0;
    for (; s == 0; n += s == 0) {
        if (n % NEBULET_QUEUE_MAX == 0 && (s = nb_channel_create(&queue)))
            break;
        u32 have = 0;
        for (; have < countof(ends) && (s = nb_channel_create(&e)) == 0; have += 2)
            memcpy(&ends[have], e, sizeof e);
        if (!s)
            s = nb_channel_send(queue[0], NULL, 0, ends, have, NOW);
    }
    print(n, s);
}

static void messages(void)
{
    static char bytes[NEBULET_MESSAGE_MAX];
    u32 e[2];
    s64 s = 0, n = 0;
    for (u32 size = sizeof bytes;; size = size / 3) {
        if ((s = nb_channel_create(&e)))
            break;
        while ((s = nb_channel_send(e[0], bytes, size, NULL, 0, NOW)) == 0)
            n++;
        if (s != ERR_SHOULD_WAIT && !size)
            break;
        if (s == ERR_SHOULD_WAIT)
            size *= 3;
    }
    print(n, s);
}

static void handles(void)
{
    u32 e = GOOD(nb_event_create());
    s64 s = 0, n = 0;
    for (; (s = nb_handle_duplicate(e, NEBULET_SAME_RIGHTS)) >= 0; n++)
        ;
    print(n, s);
}

static void events(void)
{
    s64 s = 0, n = 0;
    for (; (s = n % 2 ? nb_event_create() : nb_timer_create()) >= 0; n++)
        if (n % 2 == 0)
            EXPECT(nb_timer_set((u32)s, now() + 3600 * 1000 * MS, 0), 0);
    print(n, s);
}

static void streams(void)
{
    u32 e[2];
    s64 s = 0, n = 0;
    for (; s >= 0; n += s >= 0)
        if ((s = nb_stream_create(&e)) == 0)
            s = nb_stream_write(e[0], "x", 1, NOW);
    print(n, s);
}

// --- In processes

static void arguments(void)
{
    enum { SIZE = 20 << 20 };
    char *args = malloc(SIZE);
    TRUE(args != NULL);
    memset(args, 'x', SIZE);
    args[SIZE - 1] = 0;
    s64 s = 0, n = 0;
    while ((s = nb_process_create(own_module(), NEBULET_NO_HANDLE, NULL, 0, args, SIZE)) >= 0)
        n++;
    print(n, s);
}

static void memories(void)
{
    s64 s = 0, n = 0;
    u32 module = own_module();
    char args[] = "keeps.wasm\0fills";
    while ((s = nb_process_create(module, NEBULET_NO_HANDLE, NULL, 0, args, sizeof args)) >= 0) {
        if (nb_process_start((u32)s))
            break;
        n++;
        sleep_ms(1);
    }
    print(n, s);
}

static void fills(void)
{
    for (size_t page; (page = __builtin_wasm_memory_grow(0, 1)) != SIZE_MAX;)
        memset((void *)(page << 16), 1, 1 << 16);
    sleep_ms(1000);
}

static const struct kind {
    const char *name;
    void (*fn)(void);
} kinds[] = {
    {"channels", channels}, {"messages", messages},   {"handles", handles},   {"events", events},
    {"streams", streams},   {"arguments", arguments}, {"memories", memories}, {"fills", fills},
};

int main(int argc, char **argv)
{
    own_name = argv[0];
    for (u32 i = 0; argc > 1 && i < countof(kinds); i++)
        if (!strcmp(argv[1], kinds[i].name))
            return kinds[i].fn(), 0;
    puts("keeps");
    return argc > 1;
}
