// SPDX-License-Identifier: MIT
// Channels: order, full queues, handles in messages, peers that go, cycles, several at one end.
#include "nebulet.h"

static void order(void)
{
    u32 a, b;
    pair(&a, &b);
    for (u32 round = 0; round < 3; round++) {
        for (u32 i = 0; i < NEBULET_QUEUE_MAX; i++)
            EXPECT(send_word(a, i), 0);
        EXPECT(nb_object_wait_one(a, NEBULET_WRITABLE, NOW), ERR_SHOULD_WAIT);
        EXPECT(nb_channel_send(a, "x", 1, NULL, 0, NOW), ERR_SHOULD_WAIT);
        EXPECT(nb_channel_send(a, "x", 1, NULL, 0, 1), ERR_TIMED_OUT);
        u64 until = now() + 5 * MS;
        EXPECT(nb_channel_send(a, "x", 1, NULL, 0, until), ERR_TIMED_OUT);
        TRUE(now() >= until);
        for (u32 i = 0; i < NEBULET_QUEUE_MAX; i++)
            EXPECT(recv_word(b, NOW), i);
        EXPECT(nb_object_wait_one(a, NEBULET_WRITABLE, NOW), NEBULET_WRITABLE);
        EXPECT(recv_word(b, NOW), ERR_SHOULD_WAIT);
        EXPECT(recv_word(b, 1), ERR_TIMED_OUT);
        EXPECT(recv_word(b, now() + MS), ERR_TIMED_OUT);
    }
    EXPECT(nb_handle_close(a), 0);
    EXPECT(recv_word(b, FOREVER), ERR_PEER_CLOSED);
    EXPECT(send_word(b, 1), ERR_PEER_CLOSED);
    EXPECT(nb_object_wait_one(b, NEBULET_PEER_CLOSED, FOREVER), NEBULET_PEER_CLOSED);
    EXPECT(nb_handle_close(b), 0);
}

// Of two threads: what is sent is what was there before.
static unsigned char shared[9000];
static u32 shared_end;

static u32 receives_beside(u32 n)
{
    return (u32)nb_channel_recv(shared_end, shared + n, 8000, NULL, 0, NULL, FOREVER);
}

static void overlapping(void)
{
    static unsigned char before[sizeof shared];
    static const u32 n[] = {40, 64, 65, 200, 4000};
    u32 end;
    pair(&end, &shared_end);
    for (u32 i = 0; i < countof(n) * 2; i++) {
        u32 size = n[i / 2], to = i % 2 ? 100 : 108, from = i % 2 ? 104 : 100;
        u32 t = THREAD(receives_beside, to);
        nb_thread_yield();
        for (u32 k = 0; k < sizeof shared; k++)
            shared[k] = before[k] = (unsigned char)(k * 13 + (k >> 8) + i);
        EXPECT(nb_channel_send(end, shared + from, size, NULL, 0, FOREVER), 0);
        EXPECT(nb_thread_join(t, FOREVER), size);
        EXPECT(memcmp(shared + to, before + from, size), 0);
    }
}

static void sizes(void)
{
    static unsigned char out[NEBULET_MESSAGE_MAX], in[NEBULET_MESSAGE_MAX];
    static const u32 n[] = {0, 1, 15, 16, 4095, 4096, 40000, NEBULET_MESSAGE_MAX};
    struct nebulet_message m;
    u32 a, b, h[4];
    pair(&a, &b);
    for (u32 i = 0; i < sizeof out; i++)
        out[i] = (unsigned char)(i * 31 >> 3);
    for (u32 i = 0; i < countof(n); i++) {
        EXPECT(nb_channel_send(a, out, n[i], NULL, 0, NOW), 0);
        if (n[i]) {
            EXPECT(nb_channel_recv(b, in, n[i] - 1, NULL, 0, &m, NOW), ERR_BUFFER_TOO_SMALL);
            EXPECT(m.bytes, n[i]);
        }
        memset(in, 0, sizeof in);
        EXPECT(nb_channel_recv(b, in, sizeof in, NULL, 0, &m, NOW), n[i]);
        EXPECT(memcmp(in, out, n[i]), 0);
    }
    h[0] = GOOD(nb_event_create());
    h[1] = GOOD(nb_event_create());
    h[2] = GOOD(nb_handle_duplicate(h[1], NEBULET_READ | NEBULET_TRANSFER));
    u32 twice[] = {h[0], h[0]};
    EXPECT(nb_channel_send(a, "abc", 3, twice, 2, NOW), ERR_INVALID_ARG);
    twice[1] = 12345;
    EXPECT(nb_channel_send(a, "abc", 3, twice, 2, NOW), ERR_BAD_HANDLE);
    EXPECT(nb_channel_send(a, "abc", 3, h, 3, NOW), 0);
    EXPECT(nb_event_rearm(h[0]), ERR_BAD_HANDLE);
    EXPECT(nb_channel_recv(b, in, 3, h, 2, &m, NOW), ERR_BUFFER_TOO_SMALL);
    EXPECT(m.handles, 3);
    EXPECT(nb_channel_recv(b, in, 3, h, 4, &m, NOW), 3);
    EXPECT(m.handles, 3);
    EXPECT(nb_event_rearm(h[2]), ERR_ACCESS_DENIED);
    EXPECT(nb_object_signal(h[1], 0, NEBULET_EVENT_SIGNALED), 0);
    EXPECT(nb_object_wait_one(h[2], NEBULET_EVENT_SIGNALED, NOW), NEBULET_EVENT_SIGNALED);
    for (u32 i = 0; i < 3; i++)
        EXPECT(nb_handle_close(h[i]), 0);
    EXPECT(nb_handle_close(a), 0);
    EXPECT(nb_handle_close(b), 0);
}

// Objects that would keep each other alive, and chains that may not be followed on a stack.
static void cycles(void)
{
    u32 a, b, c, d, x, y;
    pair(&a, &b);
    pair(&c, &d);
    u32 copy = GOOD(nb_handle_duplicate(b, NEBULET_SAME_RIGHTS));
    EXPECT(nb_channel_send(a, NULL, 0, &copy, 1, NOW), ERR_INVALID_ARG);
    u32 self = GOOD(nb_handle_duplicate(a, NEBULET_SAME_RIGHTS));
    EXPECT(nb_channel_send(a, NULL, 0, &self, 1, NOW), ERR_INVALID_ARG);
    EXPECT(nb_channel_send(c, NULL, 0, &copy, 1, NOW), 0); // b lies in d
    u32 dd = GOOD(nb_handle_duplicate(d, NEBULET_SAME_RIGHTS));
    EXPECT(nb_channel_send(a, NULL, 0, &dd, 1, NOW), ERR_INVALID_ARG); // d in b
    u32 p = unborn("none", dd, NULL);
    EXPECT(nb_channel_send(c, NULL, 0, &p, 1, NOW), ERR_INVALID_ARG); // a process with d in d
    u32 all[] = {a, b, c, d, self, p};
    for (u32 i = 0; i < countof(all); i++)
        EXPECT(nb_handle_close(all[i]), 0);
    // Both ends of several channels die in one message.
    pair(&a, &b);
    for (u32 round = 0; round < 20; round++) {
        u32 h[8];
        for (u32 i = 0; i < 8; i += 2)
            pair(&h[i], &h[i + 1]);
        EXPECT(nb_channel_send(a, NULL, 0, h, 8, NOW), 0);
    }
    EXPECT(nb_handle_close(b), 0);
    EXPECT(nb_handle_close(a), 0);
    // Each channel lies in the next one, each unborn process in the next one's table.
    pair(&a, &b);
    for (u32 i = 0; i < 3000; i++) {
        pair(&x, &y);
        EXPECT(nb_channel_send(x, NULL, 0, &b, 1, NOW), 0);
        EXPECT(nb_handle_close(x), 0);
        b = y;
    }
    EXPECT(nb_handle_close(b), 0);
    EXPECT(nb_channel_send(a, NULL, 0, NULL, 0, NOW), ERR_PEER_CLOSED);
    EXPECT(nb_handle_close(a), 0);
    pair(&a, &b);
    for (u32 i = 0; i < 400; i++) {
        u32 q = unborn("none", b, NULL);
        pair(&x, &b);
        EXPECT(nb_channel_send(x, NULL, 0, &q, 1, NOW), 0);
        EXPECT(nb_handle_close(x), 0);
    }
    EXPECT(nb_handle_close(b), 0);
    EXPECT(nb_channel_send(a, NULL, 0, NULL, 0, NOW), ERR_PEER_CLOSED);
    EXPECT(nb_handle_close(a), 0);
}

// --- Threads at one end

static u32 end, results[8];
static volatile u32 done;

static void receives(u32 i)
{
    char text[64];
    u32 room = i < 4 ? 4 : 64;
    results[i] = (u32)nb_channel_recv(end, text, room, NULL, 0, NULL, FOREVER);
    done++;
}

static void sends(u32 i)
{
    results[i] = (u32)send_word(end, 5000 + i);
    done++;
}

static void lines(void)
{
    u32 a, b, t[8];
    pair(&a, &b);
    end = b;
    for (u32 i = 0; i < 8; i++)
        t[i] = THREAD(receives, i);
    for (u32 i = 0; i < 8; i++)
        nb_thread_yield();
    EXPECT(done, 0);
    // It is too large for the first four: the fifth gets it.
    EXPECT(nb_channel_send(a, "0123456789", 10, NULL, 0, NOW), 0);
    for (u32 i = 0; i < 20; i++)
        nb_thread_yield();
    EXPECT(done, 5);
    for (u32 i = 0; i < 4; i++)
        EXPECT((int)results[i], ERR_BUFFER_TOO_SMALL);
    EXPECT((int)results[4], 10);
    EXPECT(nb_handle_close(a), 0);
    for (u32 i = 0; i < 8; i++) {
        GOOD(nb_thread_join(t[i], FOREVER));
        EXPECT(nb_handle_close(t[i]), 0);
    }
    for (u32 i = 5; i < 8; i++)
        EXPECT((int)results[i], ERR_PEER_CLOSED);
    EXPECT(nb_handle_close(b), 0);
    // Senders that wait for room; the receiver takes a part and goes.
    pair(&a, &b);
    end = a;
    done = 0;
    for (u32 i = 0; i < NEBULET_QUEUE_MAX; i++)
        EXPECT(send_word(a, i), 0);
    for (u32 i = 0; i < 8; i++)
        t[i] = THREAD(sends, i);
    for (u32 i = 0; i < 8; i++)
        nb_thread_yield();
    EXPECT(done, 0);
    for (u32 i = 0; i < 3; i++)
        EXPECT(recv_word(b, FOREVER), i);
    for (u32 i = 0; i < 8; i++)
        nb_thread_yield();
    EXPECT(done, 3);
    EXPECT(nb_handle_close(b), 0);
    for (u32 i = 0; i < 8; i++) {
        GOOD(nb_thread_join(t[i], FOREVER));
        EXPECT((int)results[i], i < 3 ? 0 : ERR_PEER_CLOSED);
        EXPECT(nb_handle_close(t[i]), 0);
    }
    EXPECT(nb_handle_close(a), 0);
}

// The handle that a thread waits with is closed by another.
static void closed_meanwhile(void)
{
    u32 a, b;
    for (u32 round = 0; round < 50; round++) {
        pair(&a, &b);
        end = b;
        done = 0;
        u32 t = THREAD(receives, 0);
        nb_thread_yield();
        EXPECT(nb_handle_close(b), 0);
        if (round % 2)
            EXPECT(nb_channel_send(a, "x", 1, NULL, 0, NOW), 0);
        else
            EXPECT(nb_handle_close(a), 0);
        GOOD(nb_thread_join(t, FOREVER));
        EXPECT((int)results[0], round % 2 ? 1 : ERR_PEER_CLOSED);
        if (round % 2) {
            EXPECT(nb_channel_send(a, "x", 1, NULL, 0, NOW), ERR_PEER_CLOSED);
            EXPECT(nb_handle_close(a), 0);
        }
        EXPECT(nb_handle_close(t), 0);
    }
}

// Deadlines that pass while the peer goes.
static void late(u32 i)
{
    u32 word;
    results[i] = (u32)nb_channel_recv(end, &word, 4, NULL, 0, NULL, now() + 200000);
    done++;
}

static void deadlines(void)
{
    u32 a, b, t[8];
    for (u32 round = 0; round < 50; round++) {
        pair(&a, &b);
        end = b;
        done = 0;
        for (u32 i = 0; i < 8; i++)
            t[i] = THREAD(late, i);
        nb_thread_yield();
        for (u64 until = now() + 100000 + round * 5000; now() < until;)
            ;
        EXPECT(nb_handle_close(a), 0);
        for (u32 i = 0; i < 8; i++) {
            GOOD(nb_thread_join(t[i], FOREVER));
            TRUE((int)results[i] == ERR_PEER_CLOSED || (int)results[i] == ERR_TIMED_OUT);
            EXPECT(nb_handle_close(t[i]), 0);
        }
        EXPECT(nb_handle_close(b), 0);
    }
}

// Another process takes everything, slowly, and checks the order.
static int sink(void)
{
    for (u32 i = 0;; i++) {
        s64 word = recv_word(0, FOREVER);
        if (word == ERR_PEER_CLOSED)
            return (int)(i / 100);
        if (word != i)
            return 101;
    }
}

static void between(void)
{
    u32 a, b;
    pair(&a, &b);
    u32 p = child("sink", b, NULL);
    for (u32 i = 0; i < 5000; i++)
        EXPECT(send_word(a, i), 0);
    EXPECT(nb_handle_close(a), 0);
    ENDED(p, NEBULET_EXITED, 50);
}

int main(int argc, char **argv)
{
    own_name = argv[0];
    if (argc > 1)
        return sink();
    order();
    sizes();
    overlapping();
    cycles();
    lines();
    closed_meanwhile();
    deadlines();
    between();
    puts("channels");
    return 0;
}
