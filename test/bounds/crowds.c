// SPDX-License-Identifier: MIT
// As many threads as a process may have wait for the same thing, which then comes. Each crowd is a
// process of its own, which ends with it; the last one does not, and is killed. (That no lock is
// held for long meanwhile, whoever runs this sees.)
#include "../kern/nebulet.h"

enum { CROWD = 9990, STACK = 256 };

static char stacks[CROWD][STACK] __attribute__((aligned(16)));
static u32 ready, done, given, word;
static u64 at;

static void gather(void (*function)(u32))
{
    for (u32 i = 0; i < CROWD; i++) {
        u32 t = GOOD(nb_thread_spawn((u32)(uintptr_t)function, i, (u32)(uintptr_t)stacks[i + 1]));
        EXPECT(nb_handle_close(t), 0);
    }
    while (ready < CROWD)
        nb_thread_yield();
}

static void until_all_are_done(void)
{
    while (done < CROWD)
        nb_thread_yield();
}

// --- An event
static void waits_for_event(u32 i)
{
    (void)i;
    ready++;
    done += nb_object_wait_one(given, NEBULET_EVENT_SIGNALED, FOREVER) == NEBULET_EVENT_SIGNALED;
}

// Whoever waits for another signal goes on waiting.
static void waits_for_another(u32 i)
{
    ready++;
    done += nb_object_wait_one(given, i % 2 ? 1u << 24 : NEBULET_EVENT_SIGNALED, FOREVER) > 0;
}

static void event(void)
{
    given = GOOD(nb_event_create());
    gather(waits_for_event);
    EXPECT(nb_object_signal(given, 0, NEBULET_EVENT_SIGNALED), 0);
    until_all_are_done();
}

static void signals(void)
{
    given = GOOD(nb_event_create());
    gather(waits_for_another);
    EXPECT(nb_object_signal(given, 0, NEBULET_EVENT_SIGNALED), 0);
    while (done < CROWD / 2)
        nb_thread_yield();
    EXPECT(nb_object_signal(given, NEBULET_EVENT_SIGNALED, 0), 0);
    for (u32 i = 0; i < 100; i++)
        EXPECT(nb_object_signal(given, 0, 1u << 25), 0);
    EXPECT(done, CROWD / 2);
    EXPECT(nb_object_signal(given, 0, 1u << 24), 0);
    until_all_are_done();
}

// All are woken, but before they run what they were woken for is gone, so that they wait again.
static void waits_for_several(u32 i)
{
    struct nebulet_wait w[2] = {{given, NEBULET_EVENT_SIGNALED, 0}, {given, 1u << 24, 0}};
    (void)i;
    ready++;
    done += nb_object_wait_many(w, 2, FOREVER) > 0;
}

static void woken_for_nothing(void (*waits)(u32))
{
    given = GOOD(nb_event_create());
    gather(waits);
    for (u32 i = 0; i < 3; i++) {
        EXPECT(nb_object_signal(given, 0, NEBULET_EVENT_SIGNALED), 0);
        EXPECT(nb_object_signal(given, NEBULET_EVENT_SIGNALED, 0), 0);
        nb_object_wait_many(NULL, 0, now() + 200 * MS);
        EXPECT(done, 0);
    }
    EXPECT(nb_object_signal(given, 0, NEBULET_EVENT_SIGNALED), 0);
    until_all_are_done();
}

static void nothing(void)
{
    woken_for_nothing(waits_for_event);
}

static void nothing_of_several(void)
{
    woken_for_nothing(waits_for_several);
}

// --- A channel, from both sides, and with a time for each
static void receives(u32 i)
{
    u32 message;
    ready++;
    done += nb_channel_recv(given, &message, 4, NULL, 0, NULL, i % 2 ? FOREVER : at) ==
            (i % 2 ? ERR_PEER_CLOSED : ERR_TIMED_OUT);
}

static void receivers(void)
{
    u32 other;
    pair(&given, &other);
    at = now() + 600 * MS;
    gather(receives);
    while (done < CROWD / 2)
        nb_object_wait_many(NULL, 0, now() + MS);
    EXPECT(nb_handle_close(other), 0);
    until_all_are_done();
}

static void sends(u32 i)
{
    ready++;
    done += nb_channel_send(given, &i, 4, NULL, 0, FOREVER) == ERR_PEER_CLOSED;
}

static void senders(void)
{
    u32 other;
    pair(&given, &other);
    for (u32 i = 0; i < NEBULET_QUEUE_MAX; i++)
        EXPECT(send_word(given, i), 0);
    gather(sends);
    EXPECT(nb_handle_close(other), 0);
    until_all_are_done();
}

// --- A service
static void connects(u32 i)
{
    (void)i;
    ready++;
    s64 c = nb_service_connect("crowd", 5, FOREVER);
    done += c >= 0 || c == ERR_NO_RESOURCES; // when too many connections wait
}

static void service(void)
{
    gather(connects);
    for (u32 i = 0; i < 100; i++)
        GOOD(nb_service_create(&i, 4)); // others
    GOOD(nb_service_create("crowd", 5));
    until_all_are_done();
}

// --- The end of a process
static void waits_for_end(u32 i)
{
    (void)i;
    ready++;
    done += nb_process_wait(given, FOREVER, NULL) == 0;
}

static void end(void)
{
    given = unborn("none", NEBULET_NO_HANDLE, NULL);
    gather(waits_for_end);
    EXPECT(nb_process_kill(given), 0);
    until_all_are_done();
}

// --- A lock
static void locks(u32 i)
{
    (void)i;
    ready++;
    EXPECT(nb_pfex_acquire(&word), 0);
    EXPECT(done++, i); // in the order in which they came
    EXPECT(nb_pfex_release(&word), 0);
}

static void lock(void)
{
    EXPECT(nb_pfex_acquire(&word), 0);
    gather(locks);
    EXPECT(nb_pfex_release(&word), 0);
    until_all_are_done();
}

// --- Its own end
static void killed(void)
{
    given = GOOD(nb_event_create());
    gather(waits_for_event);
    EXPECT(nb_channel_send(0, NULL, 0, NULL, 0, FOREVER), 0);
    for (;;)
        ;
}

static const struct {
    const char *name;
    void (*run)(void);
} crowds[] = {{"event", event},         {"signals", signals},
              {"nothing", nothing},     {"nothing of several", nothing_of_several},
              {"receivers", receivers}, {"senders", senders},
              {"service", service},     {"end", end},
              {"lock", lock},           {"killed", killed}};

int main(int argc, char **argv)
{
    own_name = argv[0];
    for (u32 i = 0; i < countof(crowds) && argc > 1; i++)
        if (!strcmp(argv[1], crowds[i].name))
            return crowds[i].run(), 7;
    for (u32 i = 0; i < countof(crowds); i++) {
        u32 a, b;
        pair(&a, &b);
        u32 p = child(crowds[i].name, b, NULL);
        if (crowds[i].run == killed) {
            EXPECT(nb_channel_recv(a, NULL, 0, NULL, 0, NULL, FOREVER), 0);
            EXPECT(nb_process_kill(p), 0);
            ENDED(p, NEBULET_KILLED, 0);
        } else {
            ENDED(p, NEBULET_EXITED, 7);
        }
        EXPECT(nb_handle_close(a), 0);
    }
    puts("crowds");
    return 0;
}
