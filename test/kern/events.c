// SPDX-License-Identifier: MIT
// Signals, waiting for one object and for many, timers.
#include "nebulet.h"

static void signals(void)
{
    u32 e = GOOD(nb_event_create()), a, b;
    EXPECT(nb_event_rearm(e), 0);
    EXPECT(nb_object_signal(e, 0, NEBULET_EVENT_SIGNALED | 0x01000000), 0);
    EXPECT(nb_object_wait_one(e, 0x01000000, FOREVER), 0x01000010);
    EXPECT(nb_event_rearm(e), 1);
    EXPECT(nb_event_rearm(e), 0);
    EXPECT(nb_object_wait_one(e, NEBULET_EVENT_SIGNALED, NOW), ERR_SHOULD_WAIT);
    EXPECT(nb_object_wait_one(e, 0, NOW), ERR_INVALID_ARG);
    EXPECT(nb_object_signal(e, 0x01000000, 0x80000000), 0);
    EXPECT(nb_object_wait_one(e, 0x81000000, FOREVER), 0x80000000);
    EXPECT(nb_handle_close(e), 0);
    pair(&a, &b);
    EXPECT(nb_object_signal(a, 0, 0x02000000), 0);
    EXPECT(nb_object_wait_one(b, 0x02000000, NOW),
           0x02000000 | NEBULET_PEER_SIGNALED | NEBULET_WRITABLE);
    EXPECT(nb_object_signal(a, 0, NEBULET_EVENT_SIGNALED), ERR_INVALID_ARG);
    EXPECT(nb_handle_close(b), 0);
    EXPECT(nb_object_signal(a, 0, 0x02000000), 0);
    EXPECT(nb_object_wait_one(a, NEBULET_PEER_CLOSED | 0x02000000, NOW), NEBULET_PEER_CLOSED);
    EXPECT(nb_handle_close(a), 0);
}

static void many(void)
{
    static struct nebulet_wait w[NEBULET_WAIT_MAX + 1];
    u32 e[20];
    for (u32 i = 0; i < 20; i++) {
        e[i] = GOOD(nb_event_create());
        w[i] = (struct nebulet_wait){e[i], NEBULET_EVENT_SIGNALED, 99};
    }
    EXPECT(nb_object_wait_many(w, 20, NOW), ERR_SHOULD_WAIT);
    EXPECT(nb_object_wait_many(w, 3, 1), ERR_TIMED_OUT);
    EXPECT(nb_object_wait_many(NULL, 0, now() + MS), ERR_TIMED_OUT);
    EXPECT(nb_object_wait_many(NULL, 0, NOW), ERR_SHOULD_WAIT);
    EXPECT(nb_object_signal(e[7], 0, NEBULET_EVENT_SIGNALED), 0);
    EXPECT(nb_object_signal(e[19], 0, NEBULET_EVENT_SIGNALED), 0);
    EXPECT(nb_object_wait_many(w, 20, FOREVER), 2);
    for (u32 i = 0; i < 20; i++)
        EXPECT(w[i].observed, i == 7 || i == 19 ? NEBULET_EVENT_SIGNALED : 0);
    for (u32 i = 0; i < countof(w); i++) // one object many times
        w[i] = (struct nebulet_wait){e[7], NEBULET_EVENT_SIGNALED, 0};
    EXPECT(nb_object_wait_many(w, NEBULET_WAIT_MAX, NOW), NEBULET_WAIT_MAX);
    EXPECT(nb_object_wait_many(w, NEBULET_WAIT_MAX + 1, NOW), ERR_INVALID_ARG);
    w[5].handle = 77777;
    EXPECT(nb_object_wait_many(w, 20, NOW), ERR_BAD_HANDLE);
    w[5].handle = GOOD(nb_handle_duplicate(e[7], NEBULET_WRITE));
    EXPECT(nb_object_wait_many(w, 20, NOW), ERR_ACCESS_DENIED);
    EXPECT(nb_handle_close(w[5].handle), 0);
    for (u32 i = 0; i < 20; i++)
        EXPECT(nb_handle_close(e[i]), 0);
}

static u32 one, other;

static void closes(u32 h)
{
    nb_handle_close(h);
    nb_object_signal(other, 0, NEBULET_EVENT_SIGNALED);
}

static void signals_both(u32 count)
{
    for (u32 i = 0; i < count; i++) {
        nb_object_signal(i & 1 ? one : other, 0, NEBULET_EVENT_SIGNALED);
        nb_thread_yield();
    }
}

static void closed(void)
{
    one = GOOD(nb_event_create());
    other = GOOD(nb_event_create());
    struct nebulet_wait w[2] = {{one, 16, 0}, {other, 16, 0}};
    u32 t = THREAD(closes, one);
    EXPECT(nb_object_wait_many(w, 2, FOREVER), 1);
    EXPECT(w[0].observed, NEBULET_HANDLE_CLOSED);
    EXPECT(w[1].observed, NEBULET_EVENT_SIGNALED);
    GOOD(nb_thread_join(t, FOREVER));
    EXPECT(nb_handle_close(t), 0);
    w[0].handle = one = GOOD(nb_event_create());
    EXPECT(nb_event_rearm(other), 1);
    t = THREAD(signals_both, 1000);
    u32 seen = 0;
    while (seen < 1000) {
        GOOD(nb_object_wait_many(w, 2, FOREVER));
        seen += (u32)nb_event_rearm(one) + (u32)nb_event_rearm(other);
    }
    GOOD(nb_thread_join(t, FOREVER));
    EXPECT(nb_handle_close(t), 0);
    EXPECT(nb_handle_close(one), 0);
    EXPECT(nb_handle_close(other), 0);
}

static void timers(void)
{
    u32 t = GOOD(nb_timer_create());
    EXPECT(nb_timer_set(t, now() + 3600000 * (u64)MS, 0),
           0); // far away: a machine may stand still for long
    EXPECT(nb_object_wait_one(t, NEBULET_EVENT_SIGNALED, NOW), ERR_SHOULD_WAIT);
    u64 at = now() + 3 * MS;
    EXPECT(nb_timer_set(t, at, 0), 0);
    EXPECT(nb_object_wait_one(t, NEBULET_EVENT_SIGNALED, FOREVER), NEBULET_EVENT_SIGNALED);
    TRUE(now() >= at);
    EXPECT(nb_timer_set(t, FOREVER, 0), 0);
    EXPECT(nb_object_wait_one(t, NEBULET_EVENT_SIGNALED, now() + 2 * MS), ERR_TIMED_OUT);
    EXPECT(nb_timer_set(t, 0, 0), 0); // long ago
    EXPECT(nb_object_wait_one(t, NEBULET_EVENT_SIGNALED, FOREVER), NEBULET_EVENT_SIGNALED);
    u64 start = now();
    EXPECT(nb_timer_set(t, start + MS, MS), 0);
    for (u32 i = 0; i < 20; i++) {
        EXPECT(nb_object_wait_one(t, NEBULET_EVENT_SIGNALED, FOREVER), NEBULET_EVENT_SIGNALED);
        EXPECT(nb_object_signal(t, NEBULET_EVENT_SIGNALED, 0), 0);
    }
    TRUE(now() - start >= 20 * MS);
    // Periods that go past the end of time, and ones that are over before they have begun.
    static const u64 periods[] = {1, UINT64_MAX, UINT64_MAX - 1, 1ull << 63, UINT64_MAX - MS};
    u32 more[countof(periods)];
    for (u32 i = 0; i < countof(periods); i++) {
        more[i] = GOOD(nb_timer_create());
        EXPECT(nb_timer_set(more[i], now(), periods[i]), 0);
    }
    for (u32 i = 0; i < countof(periods); i++)
        EXPECT(nb_object_wait_one(more[i], NEBULET_EVENT_SIGNALED, FOREVER),
               NEBULET_EVENT_SIGNALED);
    volatile u32 work = 0;
    while (work < 3000000)
        work++;
    for (u32 i = 0; i < countof(periods); i++)
        EXPECT(nb_handle_close(more[i]), 0);
    EXPECT(nb_handle_close(t), 0);
}

// Who is woken before a deadline is not told of it later, whatever the next wait is; each deadline
// counts for its own wait, be it before or behind those before it.
static void deadlines(void)
{
    u32 t = GOOD(nb_timer_create()), e = GOOD(nb_event_create());
    static const u64 after[] = {3600000 * (u64)MS, 2 * MS, FOREVER, 3 * MS, 4 * MS};
    for (u32 i = 0; i < countof(after); i++) {
        u64 at = after[i] == FOREVER ? FOREVER : now() + after[i];
        EXPECT(nb_object_signal(t, NEBULET_EVENT_SIGNALED, 0), 0);
        EXPECT(nb_timer_set(t, now() + MS / 4, 0), 0);
        s64 seen = nb_object_wait_one(t, NEBULET_EVENT_SIGNALED, at);
        TRUE(seen == NEBULET_EVENT_SIGNALED || (seen == ERR_TIMED_OUT && now() >= at));
        u64 until = now() + 6 * MS;
        EXPECT(nb_object_signal(t, NEBULET_EVENT_SIGNALED, 0), 0);
        EXPECT(nb_timer_set(t, until, 0), 0);
        EXPECT(nb_object_wait_one(t, NEBULET_EVENT_SIGNALED, FOREVER), NEBULET_EVENT_SIGNALED);
        TRUE(now() >= until);
        until = now() + MS / 2;
        EXPECT(nb_object_wait_one(e, NEBULET_EVENT_SIGNALED, until), ERR_TIMED_OUT);
        TRUE(now() >= until);
    }
    EXPECT(nb_handle_close(e), 0);
    EXPECT(nb_handle_close(t), 0);
}

// Many at once, in no order, set anew and closed: each comes, and none early.
static void heap(void)
{
    static u32 t[300];
    static u64 at[300];
    u32 random = 1;
    for (u32 i = 0; i < 300; i++)
        t[i] = GOOD(nb_timer_create());
    for (u32 round = 0; round < 3; round++)
        for (u32 i = 0; i < 300; i++) {
            random = random * 1103515245 + 12345;
            at[i] = now() + (random >> 8) % (20 * MS);
            EXPECT(nb_timer_set(t[i], at[i], 0), 0);
        }
    for (u32 i = 0; i < 300; i += 3)
        EXPECT(nb_handle_close(t[i]), 0);
    for (u32 i = 0; i < 300; i++) {
        if (i % 3 == 0)
            continue;
        EXPECT(nb_object_wait_one(t[i], NEBULET_EVENT_SIGNALED, FOREVER), NEBULET_EVENT_SIGNALED);
        TRUE(now() >= at[i]);
        EXPECT(nb_handle_close(t[i]), 0);
    }
}

int main(int argc, char **argv)
{
    (void)argc;
    own_name = argv[0];
    signals();
    many();
    closed();
    timers();
    deadlines();
    heap();
    puts("events");
    return 0;
}
