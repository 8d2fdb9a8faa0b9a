// SPDX-License-Identifier: MIT
// Threads of one process: made, joined, ended; stacks of their own; loops that let siblings run;
// pfex locks.
#include "nebulet.h"

static u32 doubles(u32 n)
{
    return 2 * n;
}

static u32 exits(u32 n)
{
    nb_thread_exit(n + 1);
}

static void nothing(void)
{
}

static void made(void)
{
    u32 t = THREAD(doubles, 21);
    EXPECT(nb_thread_join(t, NOW), ERR_SHOULD_WAIT);
    EXPECT(nb_thread_join(t, FOREVER), 42);
    EXPECT(nb_thread_join(t, NOW), 42);
    EXPECT(nb_object_wait_one(t, NEBULET_ENDED, NOW), NEBULET_ENDED);
    EXPECT(nb_handle_close(t), 0);
    t = THREAD(exits, 7);
    EXPECT(nb_thread_join(t, FOREVER), 8);
    EXPECT(nb_handle_close(t), 0);
    EXPECT(nb_thread_spawn((u32)(uintptr_t)nothing, 0, 0), ERR_INVALID_ARG); // its type
    EXPECT(nb_thread_spawn(0, 0, 0), ERR_INVALID_ARG);
    EXPECT(nb_thread_spawn(0xffffffff, 0, 0), ERR_INVALID_ARG);
}

// --- Stacks: each thread recurses with locals of its own while others do.
static u32 recurses(u32 n)
{
    return deep(n * 1000, 50, 3);
}

static void stacks(void)
{
    u32 t[20];
    for (u32 i = 0; i < 20; i++)
        t[i] = THREAD(recurses, i);
    EXPECT(deep(7, 100, 3), 101);
    for (u32 i = 0; i < 20; i++) {
        EXPECT(nb_thread_join(t[i], FOREVER), 51);
        EXPECT(nb_handle_close(t[i]), 0);
    }
}

// --- A loop without calls does not keep others from running.
static volatile u32 flag, turns[3];

static void spins(u32 i)
{
    while (!flag)
        turns[i]++;
}

static void polls(void)
{
    u32 t[3];
    flag = 0;
    for (u32 i = 0; i < 3; i++)
        t[i] = THREAD(spins, i);
    for (u64 until = now() + 10000 * MS; now() < until && !(turns[0] && turns[1] && turns[2]);)
        ;
    flag = 1;
    for (u32 i = 0; i < 3; i++) {
        EXPECT(nb_thread_join(t[i], FOREVER), 0); // it returns nothing
        TRUE(turns[i] > 0);
        EXPECT(nb_handle_close(t[i]), 0);
    }
}

// --- Locks: what lies between them is never done by two.
static u32 lock;
static volatile u32 inside, count;

static void locks(u32 n)
{
    for (u32 i = 0; i < n; i++) {
        nb_pfex_acquire(&lock);
        if (inside++)
            nb_exit(77);
        count++;
        if (i % 5 == 0)
            nb_thread_yield();
        inside--;
        nb_pfex_release(&lock);
    }
}

static void pfex(void)
{
    u32 t[10];
    EXPECT(nb_pfex_release(&lock), ERR_BAD_STATE);
    for (u32 i = 0; i < 10; i++)
        t[i] = THREAD(locks, 500);
    for (u32 i = 0; i < 10; i++) {
        GOOD(nb_thread_join(t[i], FOREVER));
        EXPECT(nb_handle_close(t[i]), 0);
    }
    EXPECT(count, 5000);
    EXPECT(lock, 0);
}

// --- In line: who came first gets the lock first.
static u32 order[8];
static volatile u32 next;

static void lines_up(u32 i)
{
    nb_pfex_acquire(&lock);
    order[next++] = i;
    nb_pfex_release(&lock);
}

static void fair(void)
{
    u32 t[8];
    EXPECT(nb_pfex_acquire(&lock), 0);
    for (u32 i = 0; i < 8; i++) {
        t[i] = THREAD(lines_up, i);
        nb_thread_yield();
    }
    EXPECT(next, 0);
    EXPECT(nb_pfex_release(&lock), 0);
    for (u32 i = 0; i < 8; i++) {
        GOOD(nb_thread_join(t[i], FOREVER));
        EXPECT(order[i], i);
        EXPECT(nb_handle_close(t[i]), 0);
    }
}

// --- Ends: one that has left its siblings, one that is joined by many, one that joins itself.
static u32 victim;

static u32 joins(u32 i)
{
    return (u32)nb_thread_join(victim, FOREVER) + i;
}

static u32 self;

static u32 joins_itself(u32 i)
{
    (void)i;
    return nb_thread_join(self, FOREVER) == ERR_BAD_STATE;
}

static void ends(void)
{
    u32 t[10], e = GOOD(nb_event_create());
    victim = THREAD(doubles, 50);
    for (u32 i = 0; i < 10; i++)
        t[i] = THREAD(joins, i);
    for (u32 i = 0; i < 10; i++) {
        EXPECT(nb_thread_join(t[i], FOREVER), 100 + i);
        EXPECT(nb_handle_close(t[i]), 0);
    }
    EXPECT(nb_handle_close(victim), 0);
    self = THREAD(joins_itself, 0);
    EXPECT(nb_thread_join(self, FOREVER), 1);
    EXPECT(nb_handle_close(self), 0);
    EXPECT(nb_handle_close(e), 0);
    for (u32 i = 0; i < 2000; i++) { // no handle is left when it ends
        char *stack = malloc(4096);
        u32 h = GOOD(nb_thread_spawn((u32)(uintptr_t)doubles, i, (u32)(uintptr_t)stack + 4096));
        if (i % 2)
            EXPECT(nb_thread_join(h, FOREVER), 2 * i);
        EXPECT(nb_handle_close(h), 0);
        if (!(i % 2))
            nb_thread_yield();
        free(stack);
    }
}

// As a child: the main thread leaves, the others go on, and the last one's end is the process's.
static volatile u32 left;

static void waits_then_ends(u32 i)
{
    sleep_ms(5);
    if (++left == 3)
        nb_exit(40 + i * 0);
}

static int leaves(void)
{
    for (u32 i = 0; i < 3; i++)
        THREAD(waits_then_ends, i);
    nb_thread_exit(9);
}

// As a child with room for five threads.
static int few(void)
{
    char *stack = malloc(4096);
    for (u32 i = 0; i < 4; i++)
        if (nb_thread_spawn((u32)(uintptr_t)spins, 0, (u32)(uintptr_t)stack + 4096) < 0)
            return 1;
    return nb_thread_spawn((u32)(uintptr_t)spins, 0, (u32)(uintptr_t)stack + 4096) ==
                   ERR_NO_RESOURCES
               ? 5
               : 2;
}

int main(int argc, char **argv)
{
    own_name = argv[0];
    if (argc > 1)
        return argv[1][0] == 'l' ? leaves() : few();
    made();
    stacks();
    polls();
    pfex();
    fair();
    ends();
    ENDED(child("leaves", NEBULET_NO_HANDLE, NULL), NEBULET_EXITED, 40);
    struct nebulet_options o = {.threads = 5};
    ENDED(child("few", NEBULET_NO_HANDLE, &o), NEBULET_EXITED, 5);
    puts("threads");
    return 0;
}
