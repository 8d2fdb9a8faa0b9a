// SPDX-License-Identifier: MIT
// Processes: every way to end, kills in every state, limits, privileges, services.
#include "nebulet.h"

static u32 word_of_pfex;

static u32 recurse(u32 n)
{
    return word_of_pfex == 9 ? n : recurse(n + 1) * 3 + n;
}

static void traps(u32 n)
{
    nb_thread_yield();
    if (n == 3)
        __builtin_trap();
    nb_object_wait_many(NULL, 0, FOREVER);
}

static void idles(u32 n)
{
    while (n)
        ;
    recv_word(0, FOREVER);
}

static void leaves(u32 n)
{
    if (n == 2)
        nb_exit(123);
    nb_object_wait_many(NULL, 0, FOREVER);
}

static void locks(u32 n)
{
    (void)n;
    nb_pfex_acquire(&word_of_pfex);
}

static int waits(const char *how)
{
    u32 e[2], h = GOOD(nb_event_create());
    GOOD(nb_stream_create(&e));
    switch (how[4]) {
    case 's': nb_object_wait_many(NULL, 0, now() + 3600000 * MS); break;
    case 'r': recv_word(0, FOREVER); break;
    case 'e': nb_object_wait_one(h, NEBULET_EVENT_SIGNALED, FOREVER); break;
    case 'b': nb_stream_read(e[1], e, 4, FOREVER); break;
    case 'p': nb_pfex_acquire(&word_of_pfex), nb_pfex_acquire(&word_of_pfex); break;
    case 'n': nb_service_connect("nobody has this name", 20, FOREVER); break;
    case 'f':
        while (send_word(0, 1) >= 0)
            ;
        break;
    }
    return 1;
}

static int child_main(const char *what)
{
    volatile u32 zero = 0;
    if (!strcmp(what, "return"))
        return 5;
    if (!strcmp(what, "exit"))
        nb_exit(300);
    if (!strcmp(what, "unreachable"))
        __builtin_trap();
    if (!strcmp(what, "divide"))
        return 5 / (int)zero;
    if (!strcmp(what, "recurse"))
        return (int)recurse(0);
    if (!strcmp(what, "wild"))
        return *(volatile int *)0xfffffff0;
    if (!strncmp(what, "wait", 4))
        return waits(what);
    if (!strcmp(what, "spin") || !strcmp(what, "calls"))
        for (;;)
            if (what[0] == 'c')
                nb_null();
    void (*thread)(u32) = !strcmp(what, "thread traps")   ? traps
                          : !strcmp(what, "thread exits") ? leaves
                          : !strcmp(what, "locks")        ? locks
                                                          : idles;
    nb_pfex_acquire(&word_of_pfex);
    for (u32 i = 0; i < 8; i++)
        THREAD(thread, i);
    recv_word(0, FOREVER);
    return 9;
}

static void ends(void)
{
    u32 a, b;
    ENDED(child("return", NEBULET_NO_HANDLE, NULL), NEBULET_EXITED, 5);
    ENDED(child("exit", NEBULET_NO_HANDLE, NULL), NEBULET_EXITED, 300);
    ENDED(child("unreachable", NEBULET_NO_HANDLE, NULL), NEBULET_TRAPPED, 0);
    ENDED(child("divide", NEBULET_NO_HANDLE, NULL), NEBULET_TRAPPED, 0);
    ENDED(child("recurse", NEBULET_NO_HANDLE, NULL), NEBULET_TRAPPED, 0);
    ENDED(child("wild", NEBULET_NO_HANDLE, NULL), NEBULET_TRAPPED, 0);
    pair(&a, &b);
    ENDED(child("thread traps", b, NULL), NEBULET_TRAPPED, 0);
    EXPECT(recv_word(a, FOREVER), ERR_PEER_CLOSED);
    EXPECT(nb_handle_close(a), 0);
    pair(&a, &b);
    ENDED(child("thread exits", b, NULL), NEBULET_EXITED, 123);
    EXPECT(nb_handle_close(a), 0);
    pair(&a, &b);
    u32 p = child("locks", b, NULL);
    EXPECT(send_word(a, 1), 0);
    ENDED(p, NEBULET_EXITED, 9);
    EXPECT(nb_handle_close(a), 0);
}

static void kill_one(const char *what, u32 delay)
{
    struct nebulet_info info;
    u32 a, b;
    pair(&a, &b);
    u32 p = unborn(what, b, NULL);
    EXPECT(nb_process_info(p, &info), 0);
    EXPECT(info.state, NEBULET_CREATED);
    EXPECT(info.handles, 1);
    EXPECT(nb_process_wait(p, NOW, NULL), ERR_SHOULD_WAIT);
    if (delay)
        EXPECT(nb_process_start(p), 0);
    if (delay > 1)
        EXPECT(nb_process_start(p), ERR_BAD_STATE);
    if (delay == 2)
        nb_thread_yield();
    if (delay > 2)
        sleep_ms(delay - 2);
    EXPECT(nb_process_kill(p), 0);
    EXPECT(nb_process_wait(p, FOREVER, NULL), 0);
    EXPECT(nb_process_kill(p), ERR_BAD_STATE);
    EXPECT(nb_process_start(p), ERR_BAD_STATE);
    EXPECT(nb_process_info(p, &info), 0);
    EXPECT(info.state, NEBULET_OVER);
    EXPECT(info.handles, 0);
    EXPECT(info.memory, 0);
    EXPECT(nb_channel_send(a, NULL, 0, NULL, 0, NOW), ERR_PEER_CLOSED);
    ENDED(p, NEBULET_KILLED, 0);
    EXPECT(nb_handle_close(a), 0);
}

static void kills(void)
{
    static const char *const what[] = {"spin",  "calls", "waits", "waitr", "waite", "waitb",
                                       "waitp", "waitn", "waitf", "idles", "locks"};
    for (u32 i = 0; i < countof(what); i++)
        for (u32 delay = 0; delay < 5; delay++)
            kill_one(what[i], delay);
    u32 p = child("return", NEBULET_NO_HANDLE, NULL);
    EXPECT(nb_process_wait(p, FOREVER, NULL), 0);
    EXPECT(nb_process_kill(p), ERR_BAD_STATE);
    ENDED(p, NEBULET_EXITED, 5);
    for (u32 i = 0; i < 50; i++) { // nobody waits for it
        u32 ours, theirs;          // so that it does not end by itself
        pair(&ours, &theirs);
        p = child(what[i % countof(what)], theirs, NULL);
        EXPECT(nb_process_kill(p), 0);
        EXPECT(nb_handle_close(p), 0);
        EXPECT(nb_handle_close(ours), 0);
    }
}

// --- What a process may take
static int takes(const char *what)
{
    u32 e[2], n = 0;
    switch (what[6]) {
    case 'm': // memory
        while (__builtin_wasm_memory_grow(0, 1) != (unsigned long)-1)
            n++;
        return n > 30 && n < 64 ? 11 : 1;
    case 'c': // processor time
        for (;;)
            ;
    case 'q': // messages
        GOOD(nb_channel_create(&e));
        for (u32 i = 0; i < 10; i++)
            EXPECT(send_word(e[0], i), 0);
        EXPECT(send_word(e[0], 10), ERR_NO_RESOURCES);
        EXPECT(send_word(e[1], 10), ERR_NO_RESOURCES);
        EXPECT(recv_word(e[1], NOW), 0);
        EXPECT(send_word(e[1], 10), 0);
        EXPECT(send_word(e[1], 10), ERR_NO_RESOURCES);
        return 13;
    case 'p': // privileges
        if (nb_wasm_compile(NULL, 0, NULL, 0) != ERR_ACCESS_DENIED ||
            nb_process_create(0, NEBULET_NO_HANDLE, NULL, 0, NULL, 0) != ERR_ACCESS_DENIED ||
            nb_service_create("a", 1) != ERR_ACCESS_DENIED ||
            nb_service_connect("a", 1, NOW) != ERR_ACCESS_DENIED ||
            nb_print("a", 1) != ERR_ACCESS_DENIED || fopen("/x", "r") || nb_event_create() < 0)
            return 2;
        return 14;
    }
    return 3;
}

static void limits(void)
{
    struct nebulet_options o = {.privileges = NEBULET_MAY_ALL, .memory = 4 << 20};
    ENDED(child("takes m", NEBULET_NO_HANDLE, &o), NEBULET_EXITED, 11);
    o.memory = 1000;
    EXPECT(nb_process_create(own_module(), NEBULET_NO_HANDLE, &o, sizeof o, NULL, 0),
           ERR_NO_MEMORY);
    o = (struct nebulet_options){.privileges = NEBULET_MAY_ALL, .cpu_ns = 20 * MS};
    u64 start = now();
    ENDED(child("takes c", NEBULET_NO_HANDLE, &o), NEBULET_LIMIT, 0);
    TRUE(now() - start >= 20 * MS);
    o.cpu_ns = UINT64_MAX - 5; // next to none
    ENDED(child("return", NEBULET_NO_HANDLE, &o), NEBULET_EXITED, 5);
    o = (struct nebulet_options){.privileges = NEBULET_MAY_ALL, .messages = 10};
    ENDED(child("takes q", NEBULET_NO_HANDLE, &o), NEBULET_EXITED, 13);
    o = (struct nebulet_options){.privileges = 0};
    ENDED(child("takes p", NEBULET_NO_HANDLE, &o), NEBULET_EXITED, 14);
    o.weight = 1001;
    EXPECT(nb_process_create(own_module(), NEBULET_NO_HANDLE, &o, sizeof o, NULL, 0),
           ERR_INVALID_ARG);
    o = (struct nebulet_options){.privileges = NEBULET_MAY_ALL + 1};
    EXPECT(nb_process_create(own_module(), NEBULET_NO_HANDLE, &o, sizeof o, NULL, 0),
           ERR_INVALID_ARG);
    EXPECT(nb_process_create(own_module(), NEBULET_NO_HANDLE, NULL, 0, "ab", 2), ERR_INVALID_ARG);
    char message[100];
    EXPECT(nb_wasm_compile("not wasm", 8, message, sizeof message), ERR_INVALID_ARG);
    TRUE(strlen(message) > 0);
}

// --- Services: the child is the client.
static int client(void)
{
    s64 c = nb_service_connect("test/echo", 9, FOREVER);
    if (c < 0 || nb_service_client((u32)c) != 0)
        return 1;
    for (u32 i = 0; i < 100; i++)
        if (send_word((u32)c, i) || recv_word((u32)c, FOREVER) != i + 1)
            return 2;
    return 15;
}

static void services(void)
{
    EXPECT(nb_service_connect("test/echo", 9, NOW), ERR_NOT_FOUND);
    EXPECT(nb_service_connect("test/echo", 9, now() + MS), ERR_NOT_FOUND);
    EXPECT(nb_service_create("", 0), ERR_INVALID_ARG);
    EXPECT(nb_service_create(own_name - 0, 64), ERR_INVALID_ARG);
    u32 p[4], c[4];
    for (u32 i = 0; i < 2; i++)
        p[i] = child("client", NEBULET_NO_HANDLE, NULL);
    sleep_ms(2); // they wait for the name
    u32 s = GOOD(nb_service_create("test/echo", 9));
    EXPECT(nb_service_create("test/echo", 9), ERR_ALREADY_EXISTS);
    for (u32 i = 2; i < 4; i++)
        p[i] = child("client", NEBULET_NO_HANDLE, NULL);
    for (u32 i = 0; i < 4; i++)
        EXPECT(nb_channel_recv(s, NULL, 0, &c[i], 1, NULL, FOREVER), 0);
    for (u32 i = 0; i < 4; i++) { // which of them it is
        struct nebulet_info info;
        u32 its = 0;
        EXPECT(nb_process_info(p[i], &info), 0);
        for (u32 k = 0; k < 4; k++)
            its += nb_service_client(c[k]) == info.id;
        EXPECT(its, 1);
    }
    for (u32 i = 0; i < 100; i++)
        for (u32 k = 0; k < 4; k++)
            EXPECT(send_word(c[k], (u32)EXPECT(recv_word(c[k], FOREVER), i) + 1), 0);
    for (u32 i = 0; i < 4; i++) {
        ENDED(p[i], NEBULET_EXITED, 15);
        EXPECT(nb_handle_close(c[i]), 0);
    }
    u32 x = GOOD(nb_service_connect("test/echo", 9, NOW)); // lies in the queue
    EXPECT(nb_handle_close(s), 0);
    EXPECT(recv_word(x, FOREVER), ERR_PEER_CLOSED);
    EXPECT(nb_handle_close(x), 0);
    EXPECT(nb_service_connect("test/echo", 9, NOW), ERR_NOT_FOUND);
    EXPECT(nb_handle_close(GOOD(nb_service_create("test/echo", 9))), 0);
}

// Makes a process that waits for what comes through a channel, and waits for ever.
static int makes(void)
{
    u32 a, b;
    pair(&a, &b);
    u32 both[2] = {child("echo", b, NULL), a};
    EXPECT(nb_channel_send(0, NULL, 0, both, 2, FOREVER), 0);
    nb_object_wait_many(NULL, 0, FOREVER);
    return 1;
}

static int echo(void)
{
    return send_word(0, (u32)recv_word(0, FOREVER) + 1) ? 1 : 5;
}

// Who is killed leaves running what it has made; whose time is up does not.
static void makers(bool by_limit)
{
    struct nebulet_options o = {.privileges = NEBULET_MAY_ALL, .wall_ns = by_limit ? 100 * MS : 0};
    u32 a, b, got[2];
    pair(&a, &b);
    u32 maker = child("makes", b, &o);
    s64 n = nb_channel_recv(a, NULL, 0, got, 2, NULL, FOREVER);
    if (!by_limit)
        EXPECT(nb_process_kill(maker), 0);
    ENDED(maker, by_limit ? NEBULET_LIMIT : NEBULET_KILLED, 0);
    EXPECT(nb_handle_close(a), 0);
    if (by_limit && n == ERR_PEER_CLOSED)
        return; // it came to nothing before
    EXPECT(n, 0);
    if (!by_limit) {
        EXPECT(send_word(got[1], 41), 0);
        EXPECT(recv_word(got[1], FOREVER), 42);
    }
    ENDED(got[0], by_limit ? NEBULET_LIMIT : NEBULET_EXITED, 5);
    EXPECT(nb_handle_close(got[1]), 0);
}

int main(int argc, char **argv)
{
    own_name = argv[0];
    if (argc > 1 && !strcmp(argv[1], "makes"))
        return makes();
    if (argc > 1 && !strcmp(argv[1], "echo"))
        return echo();
    if (argc > 1 && !strncmp(argv[1], "takes", 5))
        return takes(argv[1]);
    if (argc > 1 && !strcmp(argv[1], "client"))
        return client();
    if (argc > 1)
        return child_main(argv[1]);
    ends();
    kills();
    limits();
    makers(false);
    makers(true);
    services();
    puts("processes");
    return 0;
}
