// SPDX-License-Identifier: MIT
// The scenarios: a few small programs each, and what must come of them in every order. That all
// comes to its end, and nothing is left, is looked at in scenario.c. Handles given before a process
// begins count from 0.
#include "state.h"

#include "scenario.h"

#define PROGRAM(name)                                                                              \
    static u32 name##_runs(struct vmctx *vm, u32 arg);                                             \
    static const struct program name = {.start = name##_runs};                                     \
    static u32 name##_runs(struct vmctx *vm, u32 arg __attribute__((unused)))
#define THREAD(name) static u32 name(struct vmctx *vm, u32 arg)
#define FOREVER NEBULET_FOREVER
#define AFTER_US(n) (1000000000ull + (n) * 1000ull)

static u32 done[8]; // what programs have come to

static s64 send(struct vmctx *vm, u64 channel, u32 value)
{
    store_u32(guest_bytes(vm, 0), value);
    return CALL(channel_send, channel, 0, 4, 0, 0, FOREVER);
}

static s64 send_handle(struct vmctx *vm, u64 channel, nebulet_handle h, u64 deadline)
{
    store_u32(guest_bytes(vm, 16), h);
    return CALL(channel_send, channel, 0, 4, 16, 1, deadline);
}

// The value, or an error.
static s64 recv(struct vmctx *vm, u64 channel, u64 deadline)
{
    s64 n = CALL(channel_recv, channel, 32, 8, 0, 0, 0, deadline);
    return n < 0 ? n : load_u32(guest_bytes(vm, 32));
}

static s64 recv_handle(struct vmctx *vm, u64 channel, nebulet_handle *out)
{
    s64 n = CALL(channel_recv, channel, 32, 8, 48, 1, 0, FOREVER);
    *out = load_u32(guest_bytes(vm, 48));
    return n;
}

static s64 call(struct vmctx *vm, u64 channel, u32 value, u64 deadline)
{
    store_u32(guest_bytes(vm, 0), value);
    s64 n = CALL(channel_call, channel, 0, 4, 32, 8, deadline);
    return n < 0 ? n : load_u32(guest_bytes(vm, 32));
}

static s64 wait_end(struct vmctx *vm, u64 process, u32 *how)
{
    s64 s = CALL(process_wait, process, FOREVER, 64);
    *how = load_u32(guest_bytes(vm, 64));
    return s;
}

static struct process *two(const struct program *a, const struct program *b)
{
    struct process *p = scenario_process(a, NULL), *q = scenario_process(b, NULL);
    scenario_connect(p, q);
    scenario_begin(p);
    scenario_begin(q);
    return p;
}

static void give_process(struct process *to, struct process *p)
{
    object_ref(&p->object);
    scenario_give(to, &p->object);
}

// --- A message there and one back

PROGRAM(ping)
{
    EXPECT(send(vm, 0, 41) == 0);
    EXPECT(recv(vm, 0, FOREVER) == 42);
    done[0]++;
    return 0;
}

PROGRAM(pong)
{
    s64 value = recv(vm, 0, FOREVER);
    EXPECT(value == 41);
    EXPECT(send(vm, 0, 42) == 0);
    done[0]++;
    return 0;
}

static void ping_pong(void)
{
    two(&ping, &pong);
}

static void both_done(void)
{
    EXPECT(done[0] == 2);
}

// --- Questions and answers, by which the CPU changes hands

PROGRAM(client)
{
    EXPECT(call(vm, 0, 1, FOREVER) == 2);
    EXPECT(call(vm, 0, 3, FOREVER) == 4);
    done[0]++;
    return 0;
}

PROGRAM(server)
{
    s64 value = recv(vm, 0, FOREVER);
    while (value > 0)
        value = call(vm, 0, (u32)value + 1, FOREVER);
    EXPECT(value == ERR_PEER_CLOSED);
    done[0]++;
    return 0;
}

static void calls(void)
{
    two(&client, &server);
}

// --- The client is killed: while it runs, waits, or has handed over

PROGRAM(killer)
{
    u32 how;
    EXPECT(CALL(process_kill, 0) == 0 || done[1]);
    EXPECT(wait_end(vm, 0, &how) == 0);
    EXPECT(how == NEBULET_KILLED || done[1]);
    done[2]++;
    return 0;
}

PROGRAM(victim_of_call)
{
    for (u32 i = 1; i < 6; i += 2)
        EXPECT(call(vm, 0, i, FOREVER) == i + 1);
    done[1] = 1;
    return 0;
}

// Begun after its victim.
static void begin_killer(struct process *victim)
{
    struct process *p = scenario_process(&killer, NULL);
    give_process(p, victim);
    scenario_begin(p);
}

static void begin_with_killer(const struct program *p)
{
    struct process *victim = scenario_process(p, NULL);
    scenario_begin(victim);
    begin_killer(victim);
}

static void kill_call(void)
{
    begin_killer(two(&victim_of_call, &server));
}

static void killed_once(void)
{
    EXPECT(done[2] == 1);
}

// --- A wait with a deadline, and somebody who kills the process that waits

PROGRAM(waits_until)
{
    s64 e = CALL(event_create, 0);
    EXPECT(CALL(object_wait_one, e, NEBULET_EVENT_SIGNALED, AFTER_US(100)) == ERR_TIMED_OUT);
    done[1] = 1;
    return 0;
}

static void kill_wait(void)
{
    begin_with_killer(&waits_until);
}

// --- Two who kill, two who start

PROGRAM(burns)
{
    (void)vm;
    guest_burn();
    return 0;
}

PROGRAM(kills_too)
{
    u32 how;
    s64 s = CALL(process_kill, 0);
    EXPECT(s == 0 || s == ERR_BAD_STATE);
    done[0] += s == 0;
    EXPECT(wait_end(vm, 0, &how) == 0 && how == NEBULET_KILLED);
    return 0;
}

static void pair_with(const struct program *a, const struct program *b, struct process *victim)
{
    struct process *p = scenario_process(a, NULL), *q = scenario_process(b, NULL);
    give_process(p, victim);
    give_process(q, victim);
    scenario_begin(p);
    scenario_begin(q);
}

static void two_killers(void)
{
    struct process *victim = scenario_process(&burns, NULL);
    scenario_begin(victim);
    pair_with(&kills_too, &kills_too, victim);
}

static void done_once(void)
{
    EXPECT(done[0] == 1);
}

PROGRAM(returns)
{
    (void)vm;
    done[1]++;
    return 0;
}

PROGRAM(starts)
{
    u32 how;
    s64 s = CALL(process_start, 0);
    EXPECT(s == 0 || s == ERR_BAD_STATE);
    done[0] += s == 0;
    EXPECT(wait_end(vm, 0, &how) == 0 && how == NEBULET_EXITED);
    return 0;
}

static void two_starters(void)
{
    pair_with(&starts, &starts, scenario_process(&returns, NULL));
}

static void ran_once(void)
{
    EXPECT(done[0] == 1 && done[1] == 1);
}

// --- Begin against kill, and who waits for the end

PROGRAM(starts_killed)
{
    u32 how;
    s64 s = CALL(process_start, 0);
    EXPECT(s == 0 || s == ERR_BAD_STATE);
    EXPECT(wait_end(vm, 0, &how) == 0 && (how == NEBULET_EXITED || how == NEBULET_KILLED));
    return 0;
}

PROGRAM(kills_starting)
{
    s64 s = CALL(process_kill, 0);
    EXPECT(s == 0 || s == ERR_BAD_STATE);
    return 0;
}

static void start_and_kill(void)
{
    pair_with(&starts_killed, &kills_starting, scenario_process(&returns, NULL));
}

// --- An unborn process has a channel in whose queue its own handle would lie. It has nothing to
// call, so that it comes back from its beginning unborn.

static const struct program nothing;

PROGRAM(starts_nothing)
{
    s64 s = CALL(process_start, 0);
    EXPECT(s == ERR_BAD_STATE);
    return 0;
}

PROGRAM(sends_unborn)
{
    s64 s = send_handle(vm, 1, 0, FOREVER);
    EXPECT(s == ERR_INVALID_ARG || s == 0 || s == ERR_PEER_CLOSED);
    return 0;
}

static void unborn_in_its_queue(const struct program *other, const struct program *unborn)
{
    struct process *u = scenario_process(unborn, NULL);
    struct process *a = scenario_process(other, NULL), *b = scenario_process(&sends_unborn, NULL);
    give_process(a, u);
    give_process(b, u);
    scenario_connect(u, b);
    scenario_forget(u);
    scenario_begin(a);
    scenario_begin(b);
}

static void unborn_begins(void)
{
    unborn_in_its_queue(&starts_nothing, &nothing);
}

static void unborn_is_killed(void)
{
    unborn_in_its_queue(&kills_starting, &nothing);
}

// One that does begin takes its message, or leaves it.
PROGRAM(takes_one)
{
    nebulet_handle h;
    s64 n = recv_handle(vm, 0, &h);
    EXPECT(n == 4 || n == ERR_PEER_CLOSED);
    return 0;
}

PROGRAM(starts_only)
{
    EXPECT(CALL(process_start, 0) == 0);
    return 0;
}

static void unborn_lives(void)
{
    unborn_in_its_queue(&starts_only, &takes_one);
}

// --- A handle in a message, and the end that it is sent to closes

PROGRAM(sends_end)
{
    EXPECT(CALL(channel_create, 80) == 0);
    u64 mine = load_u32(guest_bytes(vm, 80));
    s64 s = send_handle(vm, 0, load_u32(guest_bytes(vm, 84)), FOREVER);
    EXPECT(s == 0 || s == ERR_PEER_CLOSED);
    if (s == 0)
        EXPECT(CALL(object_wait_one, mine, NEBULET_PEER_CLOSED, FOREVER) > 0);
    done[0]++;
    return 0;
}

PROGRAM(closes)
{
    EXPECT(CALL(handle_close, 0) == 0);
    done[0]++;
    return 0;
}

static void handle_in_flight(void)
{
    two(&sends_end, &closes);
}

PROGRAM(takes_end)
{
    nebulet_handle h;
    EXPECT(recv_handle(vm, 0, &h) == 4);
    EXPECT(CALL(handle_close, h) == 0);
    done[0]++;
    return 0;
}

static void handle_arrives(void)
{
    two(&sends_end, &takes_end);
}

// --- Two who would each put an end into the queue of the other's

PROGRAM(sends_crosswise)
{
    s64 s = send_handle(vm, 0, 1, FOREVER);
    EXPECT(s == 0 || s == ERR_INVALID_ARG || s == ERR_PEER_CLOSED);
    done[1]++;
    return 0;
}

static void crosswise(void)
{
    struct process *p = scenario_process(&sends_crosswise, NULL);
    struct process *q = scenario_process(&sends_crosswise, NULL);
    struct channel *a1, *a2, *b1, *b2;
    EXPECT(!channel_new(&a1, &a2) && !channel_new(&b1, &b2));
    scenario_give(p, &a1->object);
    scenario_give(p, &b2->object);
    scenario_give(q, &b1->object);
    scenario_give(q, &a2->object);
    scenario_begin(p);
    scenario_begin(q);
}

// --- The queue is full: the other end takes, closes, or the sender is killed

PROGRAM(fills)
{
    for (u32 i = 1; i <= NEBULET_QUEUE_MAX + 1; i++) {
        s64 s = send(vm, 0, i);
        EXPECT(s == 0 || s == ERR_PEER_CLOSED);
    }
    done[1] = 1;
    return 0;
}

PROGRAM(takes_all)
{
    for (u32 i = 1; i <= NEBULET_QUEUE_MAX + 1; i++)
        EXPECT(recv(vm, 0, FOREVER) == i);
    EXPECT(recv(vm, 0, FOREVER) == ERR_PEER_CLOSED);
    done[0]++;
    return 0;
}

PROGRAM(takes_one_and_closes)
{
    EXPECT(recv(vm, 0, FOREVER) == 1);
    EXPECT(CALL(handle_close, 0) == 0);
    done[0]++;
    return 0;
}

static void full_queue(void)
{
    two(&fills, &takes_all);
}

static void full_queue_closes(void)
{
    two(&fills, &takes_one_and_closes);
}

// Two processes send into the same queue: who is woken for room may find it taken.
PROGRAM(sends_too)
{
    EXPECT(send(vm, 0, NEBULET_QUEUE_MAX + 2) == 0);
    return 0;
}

PROGRAM(takes_from_both)
{
    u32 seen = 0, n = 0;
    for (s64 value; (value = recv(vm, 0, FOREVER)) > 0; n++)
        seen |= 1u << value;
    EXPECT(n == NEBULET_QUEUE_MAX + 2 && seen == (2u << n) - 2);
    done[0]++;
    return 0;
}

static void full_queue_two(void)
{
    struct process *p = scenario_process(&fills, NULL);
    struct process *q = scenario_process(&takes_from_both, NULL);
    struct process *r = scenario_process(&sends_too, NULL);
    scenario_connect(p, q);
    struct object *o = scenario_given(p, 0);
    object_ref(o);
    scenario_give(r, o);
    scenario_begin(p);
    scenario_begin(q);
    scenario_begin(r);
}

PROGRAM(takes_late)
{
    while (recv(vm, 0, FOREVER) > 0)
        ;
    done[0]++;
    return 0;
}

static void full_queue_kill(void)
{
    begin_killer(two(&fills, &takes_late));
}

// --- Threads of one process

static u64 spawn(struct vmctx *vm, u32 function, u32 arg)
{
    s64 h = CALL(thread_spawn, function, arg, 0);
    EXPECT(h >= 0);
    return (u64)h;
}

THREAD(exits_with)
{
    CALL(thread_exit, arg);
    return 0;
}

THREAD(gives_back)
{
    (void)vm;
    return arg;
}

static u32 joins_runs(struct vmctx *vm, u32 arg)
{
    (void)arg;
    u64 a = spawn(vm, 0, 5), b = spawn(vm, 1, 6);
    EXPECT(CALL(thread_join, b, FOREVER) == 6);
    EXPECT(CALL(thread_join, a, FOREVER) == 5);
    done[0]++;
    return 0;
}
static const struct program joins = {joins_runs, {exits_with, gives_back}};

static void thread_join_exit(void)
{
    scenario_begin(scenario_process(&joins, NULL));
}

// The main thread returns while another waits, and somebody else waits for the process.
THREAD(waits_for_ever)
{
    (void)arg;
    s64 e = CALL(event_create, 0);
    EXPECT(CALL(object_wait_one, e, NEBULET_EVENT_SIGNALED, FOREVER) < 0);
    return 0;
}

static u32 leaves_runs(struct vmctx *vm, u32 arg)
{
    (void)arg;
    spawn(vm, 0, 0);
    CALL(thread_yield, 0);
    return 0;
}
static const struct program leaves = {leaves_runs, {waits_for_ever}};

PROGRAM(waits_end)
{
    u32 how;
    s64 s = CALL(process_wait, 0, AFTER_US(500), 0);
    EXPECT(s == 0 || s == ERR_TIMED_OUT);
    EXPECT(wait_end(vm, 0, &how) == 0 && how == NEBULET_EXITED);
    done[0]++;
    return 0;
}

static void end_and_wait(void)
{
    struct process *p = scenario_process(&leaves, NULL);
    struct process *a = scenario_process(&waits_end, NULL);
    give_process(a, p);
    scenario_begin(a);
    scenario_begin(p);
}

// Turns, which pass without the scheduler.
THREAD(yields)
{
    for (u32 i = 0; i < arg; i++)
        EXPECT(CALL(thread_yield, 0) == 0);
    return 0;
}

static u32 takes_turns_runs(struct vmctx *vm, u32 arg)
{
    (void)arg;
    u64 a = spawn(vm, 0, 2);
    EXPECT(CALL(thread_yield, 0) == 0);
    EXPECT(CALL(thread_yield, 0) == 0);
    EXPECT(CALL(thread_join, a, FOREVER) == 0);
    done[1] = 1;
    return 0;
}
static const struct program takes_turns = {takes_turns_runs, {yields}};

static void turns_kill(void)
{
    begin_with_killer(&takes_turns);
}

// Two that wait to receive at one end, which a third closes; the other end is still there.
THREAD(receives)
{
    (void)arg;
    s64 s = recv(vm, 0, FOREVER);
    EXPECT(s == 7 || s == ERR_PEER_CLOSED || s == ERR_BAD_HANDLE);
    done[1] += s == 7;
    return 0;
}

static u32 closes_own_runs(struct vmctx *vm, u32 arg)
{
    (void)arg;
    u64 a = spawn(vm, 0, 0), b = spawn(vm, 0, 0);
    EXPECT(CALL(thread_yield, 0) == 0);
    EXPECT(CALL(handle_close, 0) == 0);
    EXPECT(CALL(thread_join, a, FOREVER) == 0);
    EXPECT(CALL(thread_join, b, FOREVER) == 0);
    done[0]++;
    return 0;
}
static const struct program closes_own = {closes_own_runs, {receives}};

PROGRAM(sends_one)
{
    s64 s = send(vm, 0, 7);
    EXPECT(s == 0 || s == ERR_PEER_CLOSED);
    done[0]++;
    return 0;
}

static void last_handle(void)
{
    two(&closes_own, &sends_one);
}

// Many wait for room in a queue that goes.
THREAD(sends_arg)
{
    s64 s = send(vm, 0, arg);
    EXPECT(s == 0 || s == ERR_PEER_CLOSED);
    return 0;
}

static u32 sends_by_many_runs(struct vmctx *vm, u32 arg)
{
    u64 threads[4];
    (void)arg;
    for (u32 i = 0; i < countof(threads); i++)
        threads[i] = spawn(vm, 0, i + 1);
    sends_arg(vm, 1);
    for (u32 i = 0; i < countof(threads); i++)
        EXPECT(CALL(thread_join, threads[i], FOREVER) == 0);
    return 0;
}
static const struct program sends_by_many = {sends_by_many_runs, {sends_arg}};

static void full_queue_many(void)
{
    two(&sends_by_many, &takes_one_and_closes);
}

// What a thread waits for is closed by its sibling, and signaled by nobody any more.
THREAD(waits_closed)
{
    s64 s = CALL(object_wait_one, arg, NEBULET_EVENT_SIGNALED, AFTER_US(50));
    EXPECT(s == ERR_TIMED_OUT || s == ERR_BAD_HANDLE);
    return 0;
}

static u32 closes_event_runs(struct vmctx *vm, u32 arg)
{
    (void)arg;
    s64 e = CALL(event_create, 0);
    u64 a = spawn(vm, 0, (u32)e);
    EXPECT(CALL(thread_yield, 0) == 0);
    EXPECT(CALL(handle_close, (u64)e) == 0);
    EXPECT(CALL(thread_join, a, FOREVER) == 0);
    done[0]++;
    return 0;
}
static const struct program closes_event = {closes_event_runs, {waits_closed}};

static void event_closes(void)
{
    scenario_begin(scenario_process(&closes_event, NULL));
}

// --- Words

THREAD(waits_at_word)
{
    (void)arg;
    s64 s = guest_wait(vm, 128, 100000);
    EXPECT(s == 0 || s == 2);
    done[3] += s == 0;
    return 0;
}

static u32 notifies_runs(struct vmctx *vm, u32 arg)
{
    (void)arg;
    u64 a = spawn(vm, 0, 0), b = spawn(vm, 0, 0);
    EXPECT(CALL(thread_yield, 0) == 0);
    u32 woken = guest_notify(vm, 128, 2);
    EXPECT(CALL(thread_join, a, FOREVER) == 0);
    EXPECT(CALL(thread_join, b, FOREVER) == 0);
    EXPECT(woken == done[3]);
    done[1] = 1;
    return 0;
}
static const struct program notifies = {notifies_runs, {waits_at_word}};

static void word_kill(void)
{
    begin_with_killer(&notifies);
}

THREAD(locks)
{
    (void)arg;
    EXPECT(CALL(pfex_acquire, 128) == 0);
    u32 seen = done[3];
    guest_poll(vm);
    EXPECT(CALL(thread_yield, 0) == 0);
    EXPECT(done[3] == seen);
    done[3]++;
    EXPECT(CALL(pfex_release, 128) == 0);
    return 0;
}

static u32 locks_too_runs(struct vmctx *vm, u32 arg)
{
    u64 a = spawn(vm, 0, 0);
    locks(vm, arg);
    EXPECT(CALL(thread_join, a, FOREVER) == 0);
    EXPECT(done[3] == 2);
    done[1] = 1;
    return 0;
}
static const struct program locks_too = {locks_too_runs, {locks}};

static void lock_kill(void)
{
    begin_with_killer(&locks_too);
}

// --- Time

// A timer is set, waited for, set anew and closed by two threads.
THREAD(sets_anew)
{
    EXPECT(CALL(timer_set, arg, AFTER_US(300), 0) == 0);
    return 0;
}

static u32 sets_timer_runs(struct vmctx *vm, u32 arg)
{
    (void)arg;
    s64 t = CALL(timer_create, 0);
    EXPECT(CALL(timer_set, (u64)t, AFTER_US(100), 50000) == 0);
    u64 other = spawn(vm, 0, (u32)t);
    EXPECT(CALL(object_wait_one, (u64)t, NEBULET_EVENT_SIGNALED, FOREVER) > 0);
    EXPECT(CALL(thread_join, other, FOREVER) == 0);
    EXPECT(CALL(timer_set, (u64)t, FOREVER, 0) == 0);
    s64 s = CALL(object_wait_one, (u64)t, NEBULET_EVENT_SIGNALED, AFTER_US(900));
    EXPECT(s == ERR_TIMED_OUT);
    EXPECT(CALL(timer_set, (u64)t, AFTER_US(1000), 0) == 0);
    EXPECT(CALL(handle_close, (u64)t) == 0);
    done[0]++;
    return 0;
}
static const struct program sets_timer = {sets_timer_runs, {sets_anew}};

static void timers(void)
{
    scenario_begin(scenario_process(&sets_timer, NULL));
    scenario_begin(scenario_process(&returns, NULL));
}

PROGRAM(watched)
{
    EXPECT(CALL(watchdog_setup, 1000000) == 0);
    guest_compute(400000);
    EXPECT(CALL(watchdog_alive, 0) == 0);
    guest_compute(400000);
    done[1] = 1;
    return 0;
}

PROGRAM(waits_watched)
{
    u32 how;
    EXPECT(wait_end(vm, 0, &how) == 0);
    EXPECT(how == (done[1] ? (u32)NEBULET_EXITED : (u32)NEBULET_WATCHDOG) ||
           (done[1] && how == NEBULET_WATCHDOG));
    done[0]++;
    return 0;
}

static void watchdog(void)
{
    struct process *p = scenario_process(&watched, NULL);
    struct process *a = scenario_process(&waits_watched, NULL);
    give_process(a, p);
    scenario_begin(a);
    scenario_begin(p);
}

// A limit of processor time, reached by who may also come to its end by itself, or be killed.
PROGRAM(computes)
{
    (void)vm;
    for (u32 i = 0; i < 4; i++)
        guest_compute(500000);
    done[1] = 1;
    return 0;
}

PROGRAM(kills_limited)
{
    u32 how;
    s64 s = CALL(process_kill, 0);
    EXPECT(s == 0 || s == ERR_BAD_STATE);
    EXPECT(wait_end(vm, 0, &how) == 0);
    EXPECT(how == NEBULET_KILLED || how == NEBULET_LIMIT || (done[1] && how == NEBULET_EXITED));
    EXPECT((s == 0) == (how == NEBULET_KILLED));
    done[0]++;
    return 0;
}

static void cpu_limit(void)
{
    struct process_config limited = {.limits = {.cpu_ns = 1000000}};
    struct process *p = scenario_process(&computes, &limited);
    struct process *a = scenario_process(&kills_limited, NULL);
    give_process(a, p);
    scenario_begin(p);
    scenario_begin(a);
}

// A limit of time by the clock.
PROGRAM(waits_limited)
{
    u32 how;
    EXPECT(wait_end(vm, 0, &how) == 0 && how == NEBULET_LIMIT);
    done[0]++;
    return 0;
}

static void wall_limit(void)
{
    struct process_config limited = {.limits = {.wall_ns = 2000000}};
    struct process *p = scenario_process(&burns, &limited);
    struct process *a = scenario_process(&waits_limited, NULL);
    give_process(a, p);
    scenario_begin(a);
    scenario_begin(p);
}

// --- Services

static u64 name_at(struct vmctx *vm)
{
    memcpy(guest_bytes(vm, 96), "echo", 4);
    return 96;
}

PROGRAM(serves)
{
    nebulet_handle h;
    s64 door = CALL(service_create, name_at(vm), 4);
    EXPECT(door >= 0);
    EXPECT(recv_handle(vm, (u64)door, &h) == 0);
    EXPECT(recv(vm, h, FOREVER) == 9);
    EXPECT(send(vm, h, 10) == 0);
    done[0]++;
    return 0;
}

PROGRAM(connects)
{
    s64 c = CALL(service_connect, name_at(vm), 4, FOREVER);
    EXPECT(c >= 0);
    EXPECT(call(vm, (u64)c, 9, FOREVER) == 10);
    done[0]++;
    return 0;
}

static void service(void)
{
    scenario_begin(scenario_process(&connects, NULL));
    scenario_begin(scenario_process(&serves, NULL));
}

// Offered, and gone again; who connects comes before, between or after.
PROGRAM(offers_and_closes)
{
    s64 door = CALL(service_create, name_at(vm), 4);
    EXPECT(door >= 0);
    EXPECT(CALL(handle_close, (u64)door) == 0);
    done[0]++;
    return 0;
}

PROGRAM(tries_to_connect)
{
    s64 c = CALL(service_connect, name_at(vm), 4, AFTER_US(200));
    if (c >= 0)
        EXPECT(recv(vm, (u64)c, FOREVER) == ERR_PEER_CLOSED);
    else
        EXPECT(c == ERR_NOT_FOUND);
    done[0]++;
    return 0;
}

static void service_closes(void)
{
    scenario_begin(scenario_process(&tries_to_connect, NULL));
    scenario_begin(scenario_process(&offers_and_closes, NULL));
}

// --- Streams

static void connect_stream(struct process *writer, struct process *reader)
{
    struct stream *w, *r;
    EXPECT(!stream_new(&w, &r));
    scenario_give(writer, &w->object);
    scenario_give(reader, &r->object);
}

PROGRAM(writes)
{
    for (u32 sent = 0; sent < 12;) {
        s64 n = CALL(stream_write, 0, 160 + sent, 12 - sent, FOREVER);
        EXPECT(n > 0 || n == ERR_PEER_CLOSED);
        if (n < 0)
            break;
        sent += (u32)n;
    }
    done[0]++;
    return 0;
}

PROGRAM(reads)
{
    u32 got = 0;
    s64 n;
    while ((n = CALL(stream_read, 0, 160, 5, FOREVER)) > 0)
        got += (u32)n;
    EXPECT(n == ERR_PEER_CLOSED && got == 12);
    done[0]++;
    return 0;
}

PROGRAM(reads_and_closes)
{
    EXPECT(CALL(stream_read, 0, 160, 5, FOREVER) > 0);
    EXPECT(CALL(handle_close, 0) == 0);
    done[0]++;
    return 0;
}

static void stream_between(const struct program *writer, const struct program *reader)
{
    struct process *p = scenario_process(writer, NULL), *q = scenario_process(reader, NULL);
    connect_stream(p, q);
    scenario_begin(p);
    scenario_begin(q);
}

static void streams(void)
{
    stream_between(&writes, &reads);
}

static void stream_closes(void)
{
    stream_between(&writes, &reads_and_closes);
}

// One reads, beside a sibling that runs, or whose time is over as something comes.
THREAD(reads_a_word)
{
    s64 n = CALL(stream_read, 0, 160, 4, arg ? AFTER_US(arg) : FOREVER);
    EXPECT(n == 4 || n == ERR_PEER_CLOSED || (arg && n == ERR_TIMED_OUT));
    done[1] += n == 4;
    return 0;
}

static u32 reads_beside_runs(struct vmctx *vm, u32 arg)
{
    (void)arg;
    u64 a = spawn(vm, 0, 0), b = spawn(vm, 0, 30);
    EXPECT(CALL(thread_yield, 0) == 0);
    guest_point();
    EXPECT(CALL(thread_join, a, FOREVER) == 0);
    EXPECT(CALL(thread_join, b, FOREVER) == 0);
    done[0]++;
    return 0;
}
static const struct program reads_beside = {reads_beside_runs, {reads_a_word}};

PROGRAM(writes_a_word)
{
    EXPECT(CALL(stream_write, 0, 160, 4, FOREVER) == 4);
    EXPECT(CALL(handle_close, 0) == 0);
    done[0]++;
    return 0;
}

static void stream_beside(void)
{
    stream_between(&writes_a_word, &reads_beside);
}

static void beside_done(void)
{
    EXPECT(done[0] == 2 && done[1] == 1);
}

// --- Waits for several objects

PROGRAM(waits_many)
{
    u32 items[] = {0, NEBULET_PEER_SIGNALED | NEBULET_PEER_CLOSED, 0, 1, NEBULET_EVENT_SIGNALED, 0};
    memcpy(guest_bytes(vm, 200), items, sizeof items);
    s64 n = CALL(object_wait_many, 200, 2, FOREVER);
    EXPECT(n == 1 || n == 2);
    memcpy(items, guest_bytes(vm, 200), sizeof items);
    EXPECT(items[2] & NEBULET_PEER_SIGNALED || items[5] & NEBULET_EVENT_SIGNALED);
    done[0]++;
    return 0;
}

PROGRAM(signals_both)
{
    EXPECT(CALL(object_signal, 0, 0, 1u << 24) == 0);
    EXPECT(CALL(object_signal, 1, 0, NEBULET_EVENT_SIGNALED) == 0);
    done[0]++;
    return 0;
}

static void wait_many(void)
{
    struct process *p = scenario_process(&waits_many, NULL);
    struct process *q = scenario_process(&signals_both, NULL);
    struct event *e = event_new();
    EXPECT(e);
    scenario_connect(p, q);
    object_ref(&e->object);
    scenario_give(p, &e->object);
    scenario_give(q, &e->object);
    scenario_begin(p);
    scenario_begin(q);
}

// Two processes with an event, which is handle 0 of both.
static void share_event(const struct program *first, const struct program *second)
{
    struct process *p = scenario_process(first, NULL);
    struct process *q = scenario_process(second, NULL);
    struct event *e = event_new();
    EXPECT(e);
    object_ref(&e->object);
    scenario_give(p, &e->object);
    scenario_give(q, &e->object);
    scenario_begin(p);
    scenario_begin(q);
}

// More than may be joined under the lock at once, and the one that is signaled twice.
PROGRAM(waits_for_pulse)
{
    enum { ITEMS = 66 };
    struct nebulet_wait items[ITEMS];
    for (u32 i = 0; i < ITEMS; i++)
        items[i] = (struct nebulet_wait){.handle = 0, .signals = i < 2 ? 1u << 24 : 1u << 25};
    memcpy(guest_bytes(vm, 200), items, sizeof items);
    EXPECT(CALL(object_wait_many, 200, ITEMS, FOREVER) == 2);
    done[0]++;
    return 0;
}

PROGRAM(pulses)
{
    EXPECT(CALL(object_signal, 0, 0, 1u << 24) == 0);
    EXPECT(CALL(object_signal, 0, 1u << 24, 0) == 0);
    EXPECT(CALL(object_signal, 0, 0, 1u << 24) == 0);
    done[0]++;
    return 0;
}

static void wait_pulse(void)
{
    share_event(&waits_for_pulse, &pulses);
}

// --- A life from its beginning to its end, which its parent sees

PROGRAM(answers_once)
{
    s64 value = recv(vm, 0, FOREVER);
    EXPECT(value == 3 || value == ERR_PEER_CLOSED);
    if (value == 3)
        send(vm, 0, 4);
    CALL(exit, 17);
    return 0;
}

// What may fail for want of memory, when allocations do.
static bool failed(s64 result)
{
    return result == ERR_NO_MEMORY && model_heap_fails();
}

PROGRAM(has_child)
{
    done[0]++;
    if (failed(CALL(channel_create, 80)))
        return 0;
    u64 mine = load_u32(guest_bytes(vm, 80)), its = load_u32(guest_bytes(vm, 84));
    s64 c = CALL(process_create, 0, its, 0, 0, 0, 0), s;
    if (failed(c))
        return 0;
    EXPECT(c >= 0);
    if (failed(s = CALL(process_start, (u64)c)))
        return 0;
    EXPECT(s == 0);
    if (failed(s = call(vm, mine, 3, FOREVER)))
        return 0;
    EXPECT(s == 4 || (s == ERR_PEER_CLOSED && model_heap_fails()));
    EXPECT(CALL(process_wait, (u64)c, FOREVER, 64) == 0);
    EXPECT(load_u32(guest_bytes(vm, 64)) == NEBULET_EXITED);
    EXPECT(load_u32(guest_bytes(vm, 68)) == 17);
    return 0;
}

static void child(void)
{
    struct process *p = scenario_process(&has_child, NULL);
    scenario_give_module(p, &answers_once);
    scenario_begin(p);
}

// --- More to do than CPUs; one sleeps when work comes

PROGRAM(works)
{
    (void)vm;
    guest_compute(2000);
    guest_point();
    done[0]++;
    return 0;
}

PROGRAM(brings_work)
{
    EXPECT(CALL(process_start, 0) == 0);
    EXPECT(CALL(object_wait_many, 0, 0, AFTER_US(1000)) == ERR_TIMED_OUT);
    EXPECT(CALL(process_start, 1) == 0); // the other CPU has done that, and sleeps
    done[0]++;
    return 0;
}

static void work_comes(void)
{
    struct process *p = scenario_process(&brings_work, NULL);
    struct process *a = scenario_process(&works, NULL), *b = scenario_process(&works, NULL);
    give_process(p, a);
    give_process(p, b);
    scenario_begin(p);
}

// Work that only the second CPU may do.
static void work_pinned(void)
{
    struct process_config pinned = {.limits = {.cpu = 2}};
    struct process *p = scenario_process(&brings_work, NULL);
    struct process *a = scenario_process(&works, &pinned), *b = scenario_process(&works, &pinned);
    give_process(p, a);
    give_process(p, b);
    scenario_begin(p);
}

static void three_done(void)
{
    EXPECT(done[0] == 3);
}

static void three_at_once(void)
{
    for (u32 i = 0; i < 3; i++)
        scenario_begin(scenario_process(&works, NULL));
}

// An event wakes a process whose CPU may be about to sleep.
PROGRAM(waits_event)
{
    EXPECT(CALL(object_wait_one, 0, NEBULET_EVENT_SIGNALED, FOREVER) > 0);
    done[0]++;
    return 0;
}

PROGRAM(signals_event)
{
    EXPECT(CALL(object_signal, 0, 0, NEBULET_EVENT_SIGNALED) == 0);
    done[0]++;
    return 0;
}

static void event_wakes(void)
{
    share_event(&waits_event, &signals_event);
}

// --- Sets of waits. The guest's bytes from 256 on are what is ready.

static s64 wait_in_set(struct vmctx *vm, u64 set, u32 *place)
{
    s64 n = CALL(waitset_wait, set, 256, 1, FOREVER);
    *place = load_u32(guest_bytes(vm, 256));
    return n;
}

// A set with a shared event in it, of which the last handle goes somewhere while it is signaled.
PROGRAM(waits_for_set)
{
    u32 place;
    s64 e = CALL(event_create, 0), s = CALL(waitset_create, 0);
    EXPECT(CALL(waitset_put, (u64)s, 3, 0, NEBULET_EVENT_SIGNALED) == 0);
    EXPECT(CALL(waitset_put, (u64)s, 4, (u64)e, NEBULET_EVENT_SIGNALED) == 0);
    EXPECT(CALL(object_signal, (u64)e, 0, 1u << 24) == 0); // not for that
    EXPECT(wait_in_set(vm, (u64)s, &place) == 1 && place == 3);
    EXPECT(CALL(handle_close, 0) == 0);
    EXPECT(CALL(object_signal, (u64)e, 0, NEBULET_EVENT_SIGNALED) == 0);
    do // the other one may have it still
        EXPECT(wait_in_set(vm, (u64)s, &place) == 1);
    while (place == 3);
    done[0]++;
    return 0;
}

PROGRAM(signals_and_closes)
{
    EXPECT(CALL(object_signal, 0, 0, NEBULET_EVENT_SIGNALED) == 0);
    EXPECT(CALL(handle_close, 0) == 0);
    done[0]++;
    return 0;
}

static void set_waits(void)
{
    share_event(&waits_for_set, &signals_and_closes);
}

// An object that is in two sets and waited for besides, so that its signals are told of late: it
// dies before that, or a set does, or what it was put in place of comes back.
PROGRAM(has_two_sets)
{
    s64 e = CALL(event_create, 0), s = CALL(waitset_create, 0), z = CALL(waitset_create, 0);
    EXPECT(CALL(waitset_put, (u64)s, 0, (u64)e, NEBULET_EVENT_SIGNALED) == 0);
    EXPECT(CALL(waitset_put, (u64)z, 1, (u64)e, NEBULET_EVENT_SIGNALED) == 0);
    EXPECT(CALL(waitset_put, (u64)z, 2, 0, NEBULET_EVENT_SIGNALED) == 0);
    EXPECT(CALL(waitset_put, (u64)s, 2, 0, NEBULET_EVENT_SIGNALED) == 0);
    EXPECT(CALL(object_signal, (u64)e, 0, NEBULET_EVENT_SIGNALED) == 0);
    EXPECT(CALL(handle_close, (u64)e) == 0);
    EXPECT(CALL(handle_close, (u64)z) == 0);
    EXPECT(CALL(waitset_put, (u64)s, 2, 0, NEBULET_EVENT_SIGNALED | 1u << 24) == 0);
    u32 place;
    EXPECT(wait_in_set(vm, (u64)s, &place) == 1 && place == 2);
    done[0]++;
    return 0;
}

static void set_dies(void)
{
    share_event(&has_two_sets, &signals_and_closes);
}

// Who waits for a set is killed, and the set dies with its process, while what is in it is
// signaled.
PROGRAM(is_killed_in_set)
{
    u32 place;
    s64 e = CALL(event_create, 0), s = CALL(waitset_create, 0);
    EXPECT(CALL(waitset_put, (u64)s, 33, 0, NEBULET_READABLE) == 0);
    EXPECT(CALL(waitset_put, (u64)s, 1, (u64)e, NEBULET_EVENT_SIGNALED) == 0);
    EXPECT(wait_in_set(vm, (u64)s, &place) == 1 && place == 33);
    EXPECT(recv(vm, 0, FOREVER) == 5);
    wait_in_set(vm, (u64)s, &place);
    return 0;
}

PROGRAM(sends_and_kills)
{
    u32 how;
    s64 s = send(vm, 0, 5);
    EXPECT(s == 0 || s == ERR_PEER_CLOSED);
    EXPECT(CALL(process_kill, 1) == 0);
    EXPECT(wait_end(vm, 1, &how) == 0 && how == NEBULET_KILLED);
    done[0]++;
    return 0;
}

static void set_kill(void)
{
    struct process *p = scenario_process(&is_killed_in_set, NULL),
                   *q = scenario_process(&sends_and_kills, NULL);
    scenario_connect(p, q);
    give_process(q, p);
    scenario_begin(p);
    scenario_begin(q);
}

#define SCENARIO(name, cpus, begin, check, what) {#name, what, cpus, begin, check, false},
#define SCENARIO_MEMORY(name, cpus, begin, check, what) {#name, what, cpus, begin, check, true},
const struct scenario model_scenarios[] = {
#include "scenarios.def"
};
const u32 model_nscenarios = countof(model_scenarios);
