// SPDX-License-Identifier: MIT
// Accounts with time: see account.h.
#include "kern/account.h"
#include "kern/cpu.h"

#define LOOK_NS 1000000000ull // at least that often
#define CLOSE_NS 1000000ull   // to the limit: nobody need look more often because others run, too
#define AGAIN_NS 50000ull     // between a few processes and the next few
#define AT_ONCE_NS 1          // a time that is over
enum { AT_ONCE = 16 };

static struct budget *above(const struct budget *b)
{
    return (struct budget *)b->account.parent;
}

static struct budget *of(const struct process *p)
{
    return (struct budget *)p->account;
}

struct budget *budget_timed(struct account *a)
{
    struct budget *b = (struct budget *)a;
    while (b && !b->cpu_ns)
        b = above(b);
    return b;
}

static void on_time(struct alarm *alarm);

struct budget *budget_new(struct account *maker, const u64 most[ACCOUNT_KINDS], u64 cpu_ns,
                          u64 wall_ns)
{
    struct budget *b = (struct budget *)account_new(maker, most, sizeof *b);
    if (!b)
        return NULL;
    b->cpu_ns = cpu_ns;
    b->wall_ns = wall_ns;
    b->last_alive = &b->alive;
    b->alarm.ring = on_time;
    return b;
}

// --- Who is alive

static void list_below(struct budget *b)
{
    struct budget *up = above(b);
    b->next = up->below;
    b->self = &up->below;
    if (b->next)
        b->next->self = &b->next;
    up->below = b;
}

static void delist_below(struct budget *b)
{
    *b->self = b->next;
    if (b->next)
        b->next->self = b->self;
}

void budget_begins(struct process *p)
{
    struct budget *b = of(p);
    p->next_alive = NULL;
    p->self_alive = b->last_alive;
    *b->last_alive = p;
    b->last_alive = &p->next_alive;
    for (; b; b = above(b)) {
        if (b->nalive++)
            continue;
        if (above(b))
            list_below(b);
        u64 now = b->wall_ns ? plat_now() : 0;
        if (b->wall_ns && !b->ends_at)
            b->ends_at = now + b->wall_ns < now ? UINT64_MAX : now + b->wall_ns;
        if (b->wall_ns)
            alarm_set(&b->alarm, NULL, b->ends_at);
    }
}

void budget_leaves(struct process *p)
{
    struct budget *b = of(p);
    if (!p->self_alive)
        return;
    *p->self_alive = p->next_alive;
    if (p->next_alive)
        p->next_alive->self_alive = p->self_alive;
    else
        b->last_alive = p->self_alive;
    p->self_alive = NULL;
    for (; b; b = above(b)) {
        if (--b->nalive)
            continue;
        alarm_cancel(&b->alarm);
        if (above(b))
            delist_below(b);
    }
}

bool budget_is_over(const struct process *p)
{
    for (const struct budget *b = of(p); b; b = above(b))
        if (b->over)
            return true;
    return false;
}

// --- The end. Whoever is told first stands for all: the rest end silently.

static void end_some(struct budget *b)
{
    for (u32 n = 0; n < AT_ONCE && b->nalive; n++) {
        struct budget *in = b;
        while (!in->alive)
            in = in->below;
        struct process *p = in->alive;
        p->reported = b->told;
        b->told = true;
        process_stop_locked(p, NEBULET_LIMIT, 0); // which leaves
    }
    if (b->nalive)
        alarm_set(&b->alarm, NULL, plat_now() + AGAIN_NS);
}

static void on_time(struct alarm *alarm)
{
    struct budget *b = container_of(alarm, struct budget, alarm);
    b->over = true;
    end_some(b);
}

// --- Time of CPUs

static u64 used_ns(u64 ticks)
{
    return (u64)((unsigned __int128)ticks * kern.ns_per_tick >> 20);
}

// Who runs for moments only has gone when the tick that was for it comes: so an alarm ends it,
// whoever has the CPU then. (Not here: whoever charges may be on the way from one thread to
// another.)
void budget_charge(struct budget *b, u64 ticks)
{
    for (; b; b = above(b)) {
        if (!b->cpu_ns)
            continue;
        b->ticks += ticks;
        bool told = b->over || !b->nalive || (b->alarm.heap && b->alarm.at == AT_ONCE_NS);
        if (!told && used_ns(b->ticks) >= b->cpu_ns)
            alarm_set(&b->alarm, NULL, AT_ONCE_NS);
    }
}

static bool covers(const struct budget *b, const struct process *p)
{
    const struct budget *x = p ? p->timed : NULL;
    while (x && x != b)
        x = above(x);
    return x != NULL;
}

// What one has left, and how many CPUs take of it.
static u64 left_of(const struct budget *b, u32 *runs)
{
    u64 ticks = b->ticks, now = cpu_ticks();
    *runs = 0;
    for (u32 i = 0; i < kern.started; i++) {
        const struct cpu *c = &sched_cpus[i];
        if (!covers(b, c->process))
            continue;
        ++*runs;
        ticks += now > c->since ? now - c->since : 0;
    }
    u64 used = used_ns(ticks);
    return used < b->cpu_ns ? b->cpu_ns - used : 0;
}

u64 budget_left_ns(struct budget *b)
{
    u64 least = LOOK_NS;
    for (; b; b = above(b)) {
        u32 runs;
        u64 left = b->cpu_ns ? left_of(b, &runs) : UINT64_MAX;
        if (left > CLOSE_NS && left != UINT64_MAX)
            left = left / (runs ? runs : 1) > CLOSE_NS ? left / (runs ? runs : 1) : CLOSE_NS;
        least = left < least ? left : least;
    }
    return least;
}

void budget_look(struct budget *b)
{
    for (; b; b = above(b)) {
        u32 runs;
        if (!b->cpu_ns || b->over || left_of(b, &runs))
            continue;
        b->over = true;
        end_some(b);
    }
}
