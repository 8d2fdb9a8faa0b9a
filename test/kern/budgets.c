// SPDX-License-Identifier: MIT
// A limit is a budget: what a process starts takes of it, however deep, and whoever is left when
// its maker is gone.
#include "nebulet.h"

enum { SPINNERS = 4, WAITERS = 150 };

static void spin(void)
{
    for (;;)
        __asm__ volatile("");
}

static void wait_for_ever(void)
{
    nb_object_wait_one(GOOD(nb_event_create()), NEBULET_EVENT_SIGNALED, FOREVER);
}

// Leaves processes behind that would never end, each with the end of a channel that it was given.
static void leaves(const char *what, u32 count)
{
    for (u32 i = 0; i < count; i++) {
        u32 e[2];
        EXPECT(nb_channel_create(&e), 0);
        u32 p = child(what, e[1], NULL);
        u32 both[2] = {p, e[0]};
        EXPECT(nb_channel_send(0, NULL, 0, both, 2, FOREVER), 0);
    }
}

// What is left ends, too, when the budget is used up: takes the processes' handles out of a
// channel. They have used no more than that. The clock that a CPU's time is read from runs on while
// a busy machine lets the CPU wait.
static void all_end(u32 from, u32 count, u64 limit_ns)
{
    struct nebulet_info info;
    u64 used = 0, most = limit_ns + 200 * MS;
    u32 i = 0, got[2];
    for (; i < count && nb_channel_recv(from, NULL, 0, got, 2, NULL, NOW) == 0; i++) {
        EXPECT(nb_process_wait(got[0], FOREVER, NULL), 0);
        EXPECT(nb_process_info(got[0], &info), 0);
        used += info.cpu_ns;
        ENDED(got[0], NEBULET_LIMIT, 0);
        EXPECT(nb_handle_close(got[1]), 0);
    }
    blame_machine("none was made", i ? 0 : limit_ns); // all, if there was time for them
    blame_machine("used too much", used > most ? used - most : 0);
}

static void cpu_time(void)
{
    struct nebulet_options o = {.cpu_ns = 1000 * MS, .privileges = NEBULET_MAY_ALL};
    u32 e[2];
    EXPECT(nb_channel_create(&e), 0);
    u32 p = child("spinners", e[1], &o);
    EXPECT(nb_process_wait(p, FOREVER, NULL), 0);
    all_end(e[0], SPINNERS, o.cpu_ns);
    EXPECT(nb_handle_close(p), 0);
    EXPECT(nb_handle_close(e[0]), 0);
}

// A process of the account that runs ends all, also those that wait.
static void waiters(void)
{
    struct nebulet_options o = {.cpu_ns = 1500 * MS, .privileges = NEBULET_MAY_ALL};
    u32 e[2];
    EXPECT(nb_channel_create(&e), 0);
    u32 p = child("waiters", e[1], &o);
    EXPECT(nb_process_wait(p, FOREVER, NULL), 0);
    all_end(e[0], WAITERS + 1, o.cpu_ns);
    EXPECT(nb_handle_close(p), 0);
    EXPECT(nb_handle_close(e[0]), 0);
}

// Counts: the child's and the grandchild's are one.
static s64 grandchildren(u32 module)
{
    s64 p, n = 0;
    char args[] = "budgets.wasm\0nothing";
    while ((p = nb_process_create(module, NEBULET_NO_HANDLE, NULL, 0, args, sizeof args)) >= 0)
        n++;
    EXPECT(p, ERR_NO_RESOURCES);
    return n;
}

static void handles(void)
{
    struct nebulet_options o = {.handles = 20, .privileges = NEBULET_MAY_ALL};
    ENDED(child("counts", NEBULET_NO_HANDLE, &o), NEBULET_EXITED, 0);
}

static void counts(void)
{
    u32 module = own_module(), e[16], n = 0;
    s64 got;
    while ((got = nb_event_create()) >= 0 && n < 16)
        e[n++] = (u32)got;
    TRUE(n < 16 || got >= 0);
    for (; n > 12; n--)
        EXPECT(nb_handle_close(e[n - 1]), 0);
    TRUE(grandchildren(module) <= 8);
}

// One that waits for ever ends when its time on the wall is over.
static void wall_time(void)
{
    struct nebulet_options o = {.wall_ns = 20 * MS, .privileges = NEBULET_MAY_ALL};
    ENDED(child("waits", NEBULET_NO_HANDLE, &o), NEBULET_LIMIT, 0);
    o.reserved = 1;
    EXPECT(nb_process_create(own_module(), NEBULET_NO_HANDLE, &o, sizeof o, NULL, 0),
           ERR_INVALID_ARG);
}

// Who only ever runs for moments uses its time up, too: no tick need find it at work.
static void answers(void)
{
    while (!nb_channel_recv(0, NULL, 0, NULL, 0, NULL, FOREVER))
        nb_channel_send(0, NULL, 0, NULL, 0, FOREVER);
}

static void moments(void)
{
    enum { MOST = 20000 };
    struct nebulet_options o = {.cpu_ns = 4 * MS, .privileges = NEBULET_MAY_ALL};
    struct nebulet_info info;
    u32 a, b, n = 0;
    pair(&a, &b);
    u32 p = child("answers", b, &o);
    while (n < MOST && !nb_channel_send(a, NULL, 0, NULL, 0, FOREVER) &&
           !nb_channel_recv(a, NULL, 0, NULL, 0, NULL, FOREVER)) {
        n++;
        for (u64 until = now() + MS / 10; now() < until;)
            ;
    }
    EXPECT(nb_process_info(p, &info), 0);
    u64 most = o.cpu_ns + 2 * MS; // to tell of it takes some, too
    TRUE(n < MOST);
    blame_machine("used too much in moments", info.cpu_ns > most ? info.cpu_ns - most : 0);
    ENDED(p, NEBULET_LIMIT, 0);
    EXPECT(nb_handle_close(a), 0);
}

// It is one, and may make one more.
static void processes(void)
{
    struct nebulet_options o = {.processes = 2, .privileges = NEBULET_MAY_ALL};
    ENDED(child("makes", NEBULET_NO_HANDLE, &o), NEBULET_EXITED, 0);
}

static void makes(void)
{
    u32 module = own_module();
    u32 p = GOOD(nb_process_create(module, NEBULET_NO_HANDLE, NULL, 0, NULL, 0));
    EXPECT(nb_process_create(module, NEBULET_NO_HANDLE, NULL, 0, NULL, 0), ERR_NO_RESOURCES);
    EXPECT(nb_handle_close(p), 0);
}

int main(int argc, char **argv)
{
    own_name = argv[0];
    const char *what = argc > 1 ? argv[1] : "";
    if (!strcmp(what, "spin"))
        spin();
    else if (!strcmp(what, "waits"))
        wait_for_ever();
    else if (!strcmp(what, "spinners"))
        leaves("spin", SPINNERS);
    else if (!strcmp(what, "waiters"))
        leaves("waits", WAITERS), leaves("spin", 1);
    else if (!strcmp(what, "counts"))
        counts();
    else if (!strcmp(what, "makes"))
        makes();
    else if (!strcmp(what, "answers"))
        answers();
    exact_time = !strcmp(what, "exact");
    if (*what && !exact_time)
        return 0;
    cpu_time();
    waiters();
    handles();
    wall_time();
    processes();
    moments();
    puts("budgets");
    return 0;
}
