// SPDX-License-Identifier: MIT
// channel_call, and channel_send with channel_recv behind it, whose two ends hand the CPU to each
// other: sizes, nesting, siblings that run meanwhile, and everything that can come instead of the
// answer.
#include "nebulet.h"

enum { ROUNDS = 3000 };
static unsigned char in[NEBULET_MESSAGE_MAX], out[NEBULET_MESSAGE_MAX];

// --- The other process, by what it is told

// Each byte of the answer is one more than the question's.
static void answers(void)
{
    s64 n = nb_channel_recv(0, in, sizeof in, NULL, 0, NULL, FOREVER);
    while (n >= 0) {
        for (s64 i = 0; i < n; i++)
            in[i]++;
        n = nb_channel_call(0, in, (u32)n, in, sizeof in, FOREVER);
    }
    EXPECT(n, ERR_PEER_CLOSED);
}

static void answers_in_two(void)
{
    s64 n;
    while ((n = nb_channel_recv(0, in, sizeof in, NULL, 0, NULL, FOREVER)) >= 0) {
        for (s64 i = 0; i < n; i++)
            in[i]++;
        if (nb_channel_send(0, in, (u32)n, NULL, 0, FOREVER) < 0)
            return;
    }
    EXPECT(n, ERR_PEER_CLOSED);
}

// The first message brings the channel of the next one in the chain, which it asks.
static void passes_on(void)
{
    u32 next, word;
    EXPECT(nb_channel_recv(0, NULL, 0, &next, 1, NULL, FOREVER), 0);
    s64 n = nb_channel_recv(0, &word, 4, NULL, 0, NULL, FOREVER);
    while (n == 4) {
        EXPECT(nb_channel_call(next, &word, 4, &word, 4, FOREVER), 4);
        word *= 2;
        n = nb_channel_call(0, &word, 4, &word, 4, FOREVER);
    }
}

static int asks(void)
{
    u32 word = 1;
    return -(int)nb_channel_call(0, &word, 4, &word, 4, FOREVER);
}

static int asks_in_two(void)
{
    u32 word = 1;
    send_word(0, word);
    return -(int)nb_channel_recv(0, &word, 4, NULL, 0, NULL, FOREVER);
}

static void asks_and_counts(void)
{
    for (u32 word = 0; nb_channel_call(0, &word, 4, &word, 4, FOREVER) == 4;)
        word++;
}

static void asks_and_counts_in_two(void)
{
    u32 word = 0;
    while (send_word(0, word) == 0 && nb_channel_recv(0, &word, 4, NULL, 0, NULL, FOREVER) == 4)
        word++;
}

static int child_main(const char *what)
{
    if (!strcmp(what, "answers"))
        return answers(), 0;
    if (!strcmp(what, "answers in two"))
        return answers_in_two(), 0;
    if (!strcmp(what, "passes on"))
        return passes_on(), 0;
    if (!strcmp(what, "asks"))
        return asks();
    if (!strcmp(what, "asks and counts"))
        return asks_and_counts(), 0;
    if (!strcmp(what, "asks in two"))
        return asks_in_two();
    if (!strcmp(what, "asks and counts in two"))
        return asks_and_counts_in_two(), 0;
    for (;;) // spins
        ;
}

static u32 start(const char *what, const struct nebulet_options *o, u32 *end)
{
    u32 theirs;
    pair(end, &theirs);
    return child(what, theirs, o);
}

// --- The tests

static s64 in_two(u32 end, u32 size)
{
    s64 s = nb_channel_send(end, out, size, NULL, 0, FOREVER);
    return s ? s : nb_channel_recv(end, in, sizeof in, NULL, 0, NULL, FOREVER);
}

static void ask(u32 end, u32 size, u32 seed)
{
    for (u32 i = 0; i < size; i++)
        out[i] = (unsigned char)(i * 7 + seed);
    if (seed % 3)
        EXPECT(nb_channel_call(end, out, size, in, sizeof in, FOREVER), size);
    else
        EXPECT(in_two(end, size), size);
    for (u32 i = 0; i < size; i++)
        if (in[i] != (unsigned char)(out[i] + 1))
            EXPECT(i, -1);
}

static u32 answer_to(u32 word)
{
    u32 sum = 0;
    for (u32 i = 0; i < 32; i += 8)
        sum |= ((word >> i) + 1 & 0xff) << i;
    return sum;
}

static void sizes(const char *other)
{
    static const u32 n[] = {0, 1, 8, 31, 32, 33, 63, 64, 65, 1000, NEBULET_MESSAGE_MAX};
    u32 end, p = start(other, NULL, &end);
    for (u32 i = 0; i < countof(n) * 3; i++)
        ask(end, n[i / 3], i);
    for (u32 i = 0; i < ROUNDS; i++)
        ask(end, i % 100, i);
    EXPECT(nb_channel_call(end, out, NEBULET_MESSAGE_MAX + 1, in, 4, FOREVER), ERR_INVALID_ARG);
    EXPECT(nb_handle_close(end), 0);
    ENDED(p, NEBULET_EXITED, 0);
}

static void chain(void)
{
    u32 a, b, c, last = start("answers", NULL, &c), word;
    u32 second = start("passes on", NULL, &b), first = start("passes on", NULL, &a);
    EXPECT(nb_channel_send(b, NULL, 0, &c, 1, NOW), 0);
    EXPECT(nb_channel_send(a, NULL, 0, &b, 1, NOW), 0);
    for (u32 i = 0; i < ROUNDS; i++) {
        word = i << 8;
        EXPECT(nb_channel_call(a, &word, 4, &word, 4, FOREVER), 4);
        EXPECT(word, answer_to(i << 8) * 4);
    }
    EXPECT(nb_handle_close(a), 0);
    ENDED(first, NEBULET_EXITED, 0);
    ENDED(second, NEBULET_EXITED, 0);
    ENDED(last, NEBULET_EXITED, 0);
}

// While one thread asks, others of its process run, each with a stack of its own.
static u32 done, end_of_siblings;

static u32 sibling(u32 n)
{
    u32 rounds = 0;
    while (!done && deep(n * 1000, 10, 1) == 11)
        rounds++;
    return done ? rounds : 0;
}

static u32 asks_deep(u32 depth)
{
    volatile u32 word = depth * 1000;
    u32 got = 0, asked = word;
    EXPECT(nb_channel_call(end_of_siblings, &asked, 4, &got, 4, FOREVER), 4);
    EXPECT(got, answer_to(word));
    return depth ? asks_deep(depth - 1) + 1 : 1;
}

static void siblings(void)
{
    u32 p = start("answers", NULL, &end_of_siblings), t[3];
    for (u32 i = 0; i < 3; i++)
        t[i] = THREAD(sibling, i + 1);
    for (u32 i = 0; i < 200; i++)
        EXPECT(asks_deep(10), 11);
    done = 1;
    for (u32 i = 0; i < 3; i++)
        TRUE(nb_thread_join(t[i], FOREVER) > 0);
    EXPECT(nb_handle_close(end_of_siblings), 0);
    ENDED(p, NEBULET_EXITED, 0);
}

// Two threads ask by the same end: who asked first has the first answer. `at`: who comes next.
static u32 two_end, asked[2];

static u32 asks_too(u32 n)
{
    u32 word = n;
    asked[n] = 1;
    EXPECT(nb_channel_call(two_end, &word, 4, &word, 4, FOREVER), 4);
    return word;
}

static void two_at_once(void)
{
    u32 other, t[2];
    pair(&two_end, &other);
    for (u32 i = 0; i < 2; i++) {
        t[i] = THREAD(asks_too, i);
        while (!asked[i])
            nb_thread_yield();
        nb_thread_yield();
    }
    EXPECT(recv_word(other, FOREVER), 0);
    EXPECT(recv_word(other, FOREVER), 1);
    EXPECT(send_word(other, 10), 0);
    EXPECT(send_word(other, 11), 0);
    EXPECT(nb_thread_join(t[0], FOREVER), 10);
    EXPECT(nb_thread_join(t[1], FOREVER), 11);
    asked[0] = 0; // again, and the handle is closed meanwhile
    t[0] = THREAD(asks_too, 0);
    EXPECT(recv_word(other, FOREVER), 0);
    EXPECT(nb_handle_close(two_end), 0);
    EXPECT(send_word(other, 12), 0);
    EXPECT(nb_thread_join(t[0], FOREVER), 12);
    EXPECT(send_word(other, 13), ERR_PEER_CLOSED);
}

static void instead_of_the_answer(const char *asks, const char *asks_on, const char *answers)
{
    u32 end, p, word, h[1];
    // The other end goes.
    p = start(asks, NULL, &end);
    EXPECT(recv_word(end, FOREVER), 1);
    EXPECT(nb_handle_close(end), 0);
    ENDED(p, NEBULET_EXITED, -ERR_PEER_CLOSED);
    // The answer is too large, or has handles: it stays in the queue.
    p = start(asks, NULL, &end);
    EXPECT(recv_word(end, FOREVER), 1);
    EXPECT(nb_channel_send(end, "12345", 5, NULL, 0, NOW), 0);
    ENDED(p, NEBULET_EXITED, -ERR_BUFFER_TOO_SMALL);
    p = start(asks, NULL, &end);
    EXPECT(recv_word(end, FOREVER), 1);
    h[0] = GOOD(nb_event_create());
    EXPECT(nb_channel_send(end, "1234", 4, h, 1, NOW), 0);
    ENDED(p, NEBULET_EXITED, -ERR_BUFFER_TOO_SMALL);
    // It is killed, while it waits and while it and another hand the CPU to and fro.
    for (u32 i = 0; i < 100; i++) {
        p = start(asks, NULL, &end);
        EXPECT(recv_word(end, FOREVER), 1);
        EXPECT(nb_process_kill(p), 0);
        ENDED(p, NEBULET_KILLED, 0);
        EXPECT(recv_word(end, FOREVER), ERR_PEER_CLOSED);
        EXPECT(nb_handle_close(end), 0);
    }
    u32 a, b, q;
    for (u32 i = 0; i < 20; i++) {
        pair(&a, &b);
        p = child(answers, a, NULL);
        q = child(asks_on, b, NULL);
        nb_object_wait_many(NULL, 0, now() + i * MS / 10);
        EXPECT(nb_process_kill(i % 2 ? p : q), 0);
        ENDED(i % 2 ? p : q, NEBULET_KILLED, 0);
        ENDED(i % 2 ? q : p, NEBULET_EXITED, 0);
    }
}

// Time is up, or there is nobody.
static void too_late(void)
{
    u32 a, b, word;
    pair(&a, &b);
    EXPECT(nb_channel_call(a, "1", 1, &word, 4, NOW), ERR_SHOULD_WAIT);
    u64 until = now() + 5 * MS;
    EXPECT(nb_channel_call(a, "1", 1, &word, 4, until), ERR_TIMED_OUT);
    TRUE(now() >= until);
    EXPECT(nb_handle_close(b), 0);
    EXPECT(nb_channel_call(a, "1", 1, &word, 4, FOREVER), ERR_PEER_CLOSED);
    EXPECT(nb_handle_close(a), 0);
}

// Two that hand the CPU to each other and a third that wants it all: everybody gets some, and a
// limit of time ends even one that never has the CPU for long.
static void beside_others(void)
{
    struct nebulet_options first_cpu = {.cpu = 1}, limited = {.cpu = 1, .cpu_ns = 100 * MS};
    struct nebulet_info spun;
    u32 a, b, c;
    pair(&a, &b);
    u32 spins = start("spins", &first_cpu, &c);
    u32 p = child("answers", a, &first_cpu), q = child("asks and counts", b, &limited);
    ENDED(q, NEBULET_LIMIT, 0);
    ENDED(p, NEBULET_EXITED, 0);
    EXPECT(nb_process_info(spins, &spun), 0);
    TRUE(spun.cpu_ns > 50 * MS);
    EXPECT(nb_process_kill(spins), 0);
    ENDED(spins, NEBULET_KILLED, 0);
    EXPECT(nb_handle_close(c), 0);
}

int main(int argc, char **argv)
{
    own_name = argv[0];
    if (argc > 1)
        return child_main(argv[1]);
    sizes("answers");
    sizes("answers in two");
    chain();
    siblings();
    two_at_once();
    instead_of_the_answer("asks", "asks and counts", "answers");
    instead_of_the_answer("asks in two", "asks and counts in two", "answers in two");
    instead_of_the_answer("asks", "asks and counts", "answers in two");
    too_late();
    beside_others();
    puts("calls");
    return 0;
}
