// SPDX-License-Identifier: MIT
// Sets of waits: what is told, in which order, and who leaves when.
#include "nebulet.h"

enum { SIGNALED = NEBULET_EVENT_SIGNALED };
static struct nebulet_ready ready[NEBULET_WAIT_MAX];

static u32 new_set(void)
{
    return GOOD(nb_waitset_create());
}

static s64 look(u32 set, u32 n)
{
    return nb_waitset_wait(set, ready, n, NOW);
}

static void one_place(void)
{
    u32 s = new_set(), e = GOOD(nb_event_create());
    EXPECT(look(s, 4), ERR_SHOULD_WAIT);
    EXPECT(nb_waitset_wait(s, ready, 4, 1), ERR_TIMED_OUT);
    EXPECT(nb_waitset_put(s, 1023, e, SIGNALED), 0);
    EXPECT(nb_waitset_wait(s, ready, 4, now() + MS), ERR_TIMED_OUT);
    EXPECT(nb_object_wait_one(s, NEBULET_READABLE, NOW), ERR_SHOULD_WAIT);
    EXPECT(nb_object_signal(e, 0, 0x01000000), 0); // another one
    EXPECT(look(s, 4), ERR_SHOULD_WAIT);
    EXPECT(nb_object_signal(e, 0, SIGNALED), 0);
    EXPECT(nb_object_wait_one(s, NEBULET_READABLE, NOW), NEBULET_READABLE);
    for (u32 i = 0; i < 3; i++) { // as long as it is there
        EXPECT(nb_waitset_wait(s, ready, 4, FOREVER), 1);
        EXPECT(ready[0].place, 1023);
        EXPECT(ready[0].observed, SIGNALED | 0x01000000);
    }
    EXPECT(nb_event_rearm(e), 1);
    EXPECT(look(s, 4), ERR_SHOULD_WAIT);
    EXPECT(nb_object_wait_one(s, NEBULET_READABLE, NOW), ERR_SHOULD_WAIT);
    // Another wait in its place, for what is there already.
    EXPECT(nb_waitset_put(s, 1023, e, 0x01000000), 0);
    EXPECT(look(s, 4), 1);
    EXPECT(nb_waitset_put(s, 1023, e, SIGNALED), 0);
    EXPECT(look(s, 4), ERR_SHOULD_WAIT);
    EXPECT(nb_object_signal(e, 0, SIGNALED), 0);
    EXPECT(nb_waitset_put(s, 1023, NEBULET_NO_HANDLE, 0), 0); // while it is ready
    EXPECT(look(s, 4), ERR_SHOULD_WAIT);
    EXPECT(nb_handle_close(e), 0);
    EXPECT(nb_handle_close(s), 0);
}

static void errors(void)
{
    u32 s = new_set(), other = new_set(), e = GOOD(nb_event_create());
    u32 written = GOOD(nb_handle_duplicate(e, NEBULET_WRITE)),
        seen = GOOD(nb_handle_duplicate(s, NEBULET_READ));
    EXPECT(nb_waitset_put(s, 1024, e, SIGNALED), ERR_INVALID_ARG);
    EXPECT(nb_waitset_put(s, UINT32_MAX, NEBULET_NO_HANDLE, 0), ERR_INVALID_ARG);
    for (u32 i = 0; i <= NEBULET_PLACES_MAX; i++)
        EXPECT(nb_waitset_put(i % 2 ? s : other, i, e, SIGNALED),
               i < NEBULET_PLACES_MAX ? 0 : ERR_NO_RESOURCES);
    EXPECT(nb_waitset_put(s, 1, e, SIGNALED), 0); // in its own place
    EXPECT(nb_waitset_put(s, 1, NEBULET_NO_HANDLE, 0), 0);
    EXPECT(nb_waitset_put(other, 1023, e, SIGNALED), 0);
    EXPECT(nb_waitset_put(s, 0, s, NEBULET_READABLE), ERR_INVALID_ARG);
    EXPECT(nb_waitset_put(s, 0, other, NEBULET_READABLE), ERR_INVALID_ARG);
    EXPECT(nb_waitset_put(s, 0, 77777, SIGNALED), ERR_BAD_HANDLE);
    EXPECT(nb_waitset_put(s, 0, written, SIGNALED), ERR_ACCESS_DENIED);
    EXPECT(nb_waitset_put(e, 0, e, SIGNALED), ERR_WRONG_TYPE);
    EXPECT(nb_waitset_put(seen, 0, e, SIGNALED), ERR_ACCESS_DENIED);
    EXPECT(nb_waitset_put(s, 77, NEBULET_NO_HANDLE, 0), 0); // nothing is there
    EXPECT(nb_waitset_wait(s, ready, 0, FOREVER), ERR_INVALID_ARG);
    EXPECT(nb_waitset_wait(s, (struct nebulet_ready *)-16, 4, NOW), ERR_OUT_OF_BOUNDS);
    EXPECT(look(seen, 1), ERR_SHOULD_WAIT);
    EXPECT(nb_handle_close(written), 0);
    EXPECT(nb_handle_close(seen), 0);
    EXPECT(nb_handle_close(e), 0);
    EXPECT(nb_handle_close(other), 0);
    EXPECT(nb_handle_close(s), 0);
}

// All places, with room for few: each has its turn before one comes again.
static void many(void)
{
    static u32 e[NEBULET_WAIT_MAX], times[NEBULET_WAIT_MAX];
    u32 s = new_set(), seen = 0;
    for (u32 i = 0; i < NEBULET_WAIT_MAX; i++) {
        e[i] = GOOD(nb_event_create());
        EXPECT(nb_waitset_put(s, i, e[i], SIGNALED), 0);
        EXPECT(nb_object_signal(e[i], 0, SIGNALED), 0);
    }
    while (seen < 3 * NEBULET_WAIT_MAX) {
        u32 n = GOOD(look(s, 100));
        TRUE(n > 0 && n <= 100);
        seen += n;
        for (u32 i = 0; i < n; i++)
            TRUE(times[ready[i].place]++ < 1 + (seen - 1) / NEBULET_WAIT_MAX);
    }
    // Most are ready no more, and that is seen although it is more than is looked at in one piece.
    for (u32 i = 0; i < NEBULET_WAIT_MAX; i++)
        if (i != 500)
            EXPECT(nb_event_rearm(e[i]), 1);
    EXPECT(nb_waitset_wait(s, ready, NEBULET_WAIT_MAX, FOREVER), 1);
    EXPECT(ready[0].place, 500);
    // The set goes first for one half of them, and they for the other.
    for (u32 i = 0; i < NEBULET_WAIT_MAX; i += 2)
        EXPECT(nb_handle_close(e[i]), 0);
    EXPECT(look(s, 9), ERR_SHOULD_WAIT);
    EXPECT(nb_handle_close(s), 0);
    for (u32 i = 1; i < NEBULET_WAIT_MAX; i += 2) {
        EXPECT(nb_object_signal(e[i], 0, SIGNALED), 0);
        EXPECT(nb_handle_close(e[i]), 0);
    }
}

// A set keeps nothing alive, and an object that is in several leaves all of them.
static void keeps_nothing(void)
{
    u32 s[3] = {new_set(), new_set(), new_set()}, a, b, copy;
    pair(&a, &b);
    for (u32 i = 0; i < countof(s); i++)
        for (u32 k = 0; k < 40; k++)
            EXPECT(nb_waitset_put(s[i], k, b, NEBULET_READABLE), 0);
    EXPECT(nb_channel_send(a, "x", 1, NULL, 0, FOREVER), 0);
    EXPECT(nb_waitset_wait(s[1], ready, 50, FOREVER), 40);
    copy = GOOD(nb_handle_duplicate(b, NEBULET_READ));
    EXPECT(nb_handle_close(b), 0); // there is another handle
    EXPECT(nb_waitset_wait(s[2], ready, 50, FOREVER), 40);
    EXPECT(nb_handle_close(copy), 0);
    EXPECT(nb_object_wait_one(a, NEBULET_PEER_CLOSED, FOREVER), NEBULET_PEER_CLOSED);
    for (u32 i = 0; i < countof(s); i++) {
        EXPECT(look(s[i], 50), ERR_SHOULD_WAIT);
        EXPECT(nb_waitset_put(s[i], 3, a, NEBULET_PEER_CLOSED), 0); // its place is free
        EXPECT(look(s[i], 50), 1);
        EXPECT(nb_handle_close(s[i]), 0);
    }
    EXPECT(nb_handle_close(a), 0);
}

// --- Among threads

static u32 shared, event;

static void waits(u32 n)
{
    struct nebulet_ready r[2];
    EXPECT(nb_waitset_wait(shared, r, 2, FOREVER), 1);
    EXPECT(r[0].place, n);
}

static void among_threads(void)
{
    u32 t[3];
    shared = new_set();
    event = GOOD(nb_event_create());
    EXPECT(nb_waitset_put(shared, 9, event, SIGNALED), 0);
    for (u32 i = 0; i < countof(t); i++) // all of them see it
        t[i] = THREAD(waits, 9);
    nb_thread_yield();
    EXPECT(nb_object_signal(event, 0, SIGNALED), 0);
    for (u32 i = 0; i < countof(t); i++) {
        GOOD(nb_thread_join(t[i], FOREVER));
        EXPECT(nb_handle_close(t[i]), 0);
    }
    EXPECT(nb_event_rearm(event), 1);
    t[0] = THREAD(waits, 5); // who waits sees what is put in later, and what was closed not at all
    t[1] = THREAD(waits, 5);
    nb_thread_yield();
    EXPECT(nb_handle_close(event), 0);
    event = GOOD(nb_event_create());
    EXPECT(nb_object_signal(event, 0, SIGNALED), 0);
    EXPECT(nb_waitset_put(shared, 5, event, SIGNALED), 0);
    for (u32 i = 0; i < 2; i++) {
        GOOD(nb_thread_join(t[i], FOREVER));
        EXPECT(nb_handle_close(t[i]), 0);
    }
    EXPECT(nb_event_rearm(event), 1);
    t[0] = THREAD(waits, 5);
    nb_thread_yield();
    EXPECT(nb_handle_close(shared), 0);
    EXPECT(nb_object_signal(event, 0, SIGNALED), 0); // the set is there as long as it waits
    GOOD(nb_thread_join(t[0], FOREVER));
    EXPECT(nb_handle_close(t[0]), 0);
    EXPECT(nb_handle_close(event), 0);
}

// --- Among processes: whoever has the set may put into it what is its own. One is killed in the
// middle of that, again and again, and nothing of it is left.

static void puts_its_own(void)
{
    nebulet_handle set;
    struct nebulet_message got;
    EXPECT(nb_channel_recv(0, NULL, 0, &set, 1, &got, FOREVER), 0);
    for (u32 i = 0;; i++) {
        u32 e = GOOD(nb_event_create());
        EXPECT(nb_waitset_put(set, i % 96, e, SIGNALED), 0);
        EXPECT(nb_object_signal(e, 0, SIGNALED), 0);
        if (i % 3)
            EXPECT(nb_handle_close(e), 0);
        else if (i > 1000)
            exit(0);
    }
}

static void among_processes(void)
{
    u32 s = new_set();
    for (u32 i = 0; i < 12; i++) {
        u32 a, b, copy = GOOD(nb_handle_duplicate(s, NEBULET_SAME_RIGHTS)), p;
        pair(&a, &b);
        p = child("puts", b, NULL);
        EXPECT(nb_channel_send(a, NULL, 0, &copy, 1, FOREVER), 0);
        u64 until = now() + (i % 4) * MS / 2;
        while (now() < until) {
            s64 n = nb_waitset_wait(s, ready, 64, until);
            TRUE(n == ERR_TIMED_OUT || (n > 0 && ready[0].place < 96));
        }
        if (i % 4 != 3)
            nb_process_kill(p);
        EXPECT(nb_process_wait(p, FOREVER, NULL), 0);
        EXPECT(nb_handle_close(p), 0);
        EXPECT(nb_handle_close(a), 0);
        EXPECT(look(s, 64), ERR_SHOULD_WAIT);
    }
    EXPECT(nb_handle_close(s), 0);
}

// --- Who puts in pays, up to what it may have, and gets it back

enum { MAY_HAVE = 2 << 20, TAKES = NEBULET_WAIT_MAX * 48 };

static u32 events[(MAY_HAVE / TAKES + 1) * NEBULET_WAIT_MAX / NEBULET_PLACES_MAX];

static u32 fill(void)
{
    u32 s[MAY_HAVE / TAKES + 1], n = 0;
    for (s64 how = 0; !how; n++) {
        TRUE(n < countof(s));
        s64 set = nb_waitset_create();
        if (set == ERR_NO_MEMORY)
            break;
        s[n] = GOOD(set);
        for (u32 i = 0; i < NEBULET_WAIT_MAX && !how; i++)
            how = nb_waitset_put(s[n], i, events[(n * NEBULET_WAIT_MAX + i) / NEBULET_PLACES_MAX],
                                 SIGNALED);
        TRUE(!how || how == ERR_NO_MEMORY);
    }
    for (u32 i = 0; i < n; i++)
        EXPECT(nb_handle_close(s[i]), 0);
    return n;
}

static void fills(void)
{
    for (u32 i = 0; i < countof(events); i++)
        events[i] = GOOD(nb_event_create());
    u32 n = fill();
    TRUE(n > 4);
    for (u32 i = 0; i < 3; i++)
        EXPECT(fill(), n);
    exit(0);
}

static void pays(void)
{
    struct nebulet_options o = {.memory = MAY_HAVE, .privileges = NEBULET_MAY_ALL};
    ENDED(child("fills", NEBULET_NO_HANDLE, &o), NEBULET_EXITED, 0);
}

int main(int argc, char **argv)
{
    own_name = argv[0];
    if (argc > 1 && !strcmp(argv[1], "puts"))
        puts_its_own();
    if (argc > 1)
        fills();
    one_place();
    errors();
    many();
    keeps_nothing();
    among_threads();
    among_processes();
    pays();
    puts("waitsets");
    return 0;
}
