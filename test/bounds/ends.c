// SPDX-License-Identifier: MIT
// Ends of what is large: memory, stack, a module with its code and data; of a thousand
// processes, of which each has the next one in a queue, and of a thousand that live and learn from
// their maker's end that it is time.
#include "../kern/nebulet.h"

enum { CHAIN = 1000, BODY = 4 << 20 };

static u64 stack_filled(u32 n, u64 a, u64 b)
{
    if (!n)
        return a;
    u64 below = stack_filled(n - 1, b, a ^ n);
    __asm__ volatile("" : "+r"(below));
    return below + a + b;
}

// To what is freed at once when it ends: 16 MiB of memory, and the stack.
static void fills(void)
{
    for (size_t page; __builtin_wasm_memory_size(0) < 256 &&
                      (page = __builtin_wasm_memory_grow(0, 1)) != SIZE_MAX;)
        memset((void *)(page << 16), 1, 1 << 16);
    stack_filled(60000, 1, 2);
}

static void large_ends(void)
{
    for (u32 i = 0; i < 3; i++)
        ENDED(child("fills", NEBULET_NO_HANDLE, NULL), NEBULET_EXITED, 0);
}

static uint8_t *put_number(uint8_t *p, u32 n)
{
    for (u32 i = 0; i < 5; i++)
        *p++ = (uint8_t)(n >> 7 * i & 0x7f) | (i < 4 ? 0x80 : 0);
    return p;
}

// A function that calls itself, and as many bytes of data.
static void modules(void)
{
    static const uint8_t start[] = {0, 'a', 's', 'm', 1, 0, 0, 0, 1, 4,    1, 0x60, 0,
                                    0, 3,   2,   1,   0, 5, 6, 1, 1, 0xff, 1, 0xff, 1};
    uint8_t *bytes = malloc(3 * BODY), *p = bytes + sizeof start;
    memcpy(bytes, start, sizeof start);
    *p++ = 10;
    p = put_number(p, 1 + 5 + 2 + BODY);
    *p++ = 1;
    p = put_number(p, 2 + BODY);
    *p++ = 0;
    for (u32 i = 0; i < BODY; i += 2)
        *p++ = 0x10, *p++ = 0;
    *p++ = 0x0b;
    *p++ = 11;
    p = put_number(p, 1 + 4 + 5 + BODY);
    memcpy(p, "\1\0\x41\0\x0b", 5);
    p = put_number(p + 5, BODY);
    memset(p, 1, BODY);
    char message[100];
    s64 m = nb_wasm_compile(bytes, (u32)(p + BODY - bytes), message, sizeof message);
    if (m < 0)
        puts(message);
    for (u32 i = 0; i < 3; i++) {
        u32 made = GOOD(nb_process_create(GOOD(m), NEBULET_NO_HANDLE, NULL, 0, NULL, 0));
        EXPECT(nb_handle_close(made), 0);
    }
    EXPECT(nb_handle_close((u32)m), 0);
    free(bytes);
}

// Of processes that do not live, the first is given up.
static void queues(void)
{
    u32 next = unborn("", NEBULET_NO_HANDLE, NULL), near, far;
    for (u32 i = 0; i < CHAIN; i++) {
        pair(&near, &far);
        EXPECT(nb_channel_send(near, NULL, 0, &next, 1, NOW), 0);
        EXPECT(nb_handle_close(near), 0);
        next = unborn("", far, NULL);
    }
    EXPECT(nb_handle_close(next), 0);
}

static void makes_next(u32 depth, u32 module, u32 done)
{
    u32 near, far, sent[2] = {module, done};
    char args[] = "ends.wasm\0link";
    if (depth == CHAIN) {
        EXPECT(send_word(done, depth), 0);
        return;
    }
    pair(&near, &far);
    u32 p = GOOD(nb_process_create(module, far, NULL, 0, args, sizeof args));
    depth++;
    EXPECT(nb_channel_send(near, &depth, sizeof depth, sent, 2, NOW), 0);
    EXPECT(nb_process_start(p), 0);
}

static void link(void)
{
    u32 depth, got[2];
    EXPECT(nb_channel_recv(0, &depth, sizeof depth, got, 2, NULL, FOREVER), sizeof depth);
    makes_next(depth, got[0], got[1]);
    nb_object_wait_one(0, NEBULET_PEER_CLOSED, FOREVER);
}

static void first(void)
{
    makes_next(0, own_module(), 0);
    sleep_ms(100000);
}

// All but the last one end because their maker has, and then nobody has the channel any more.
static void chain(void)
{
    u32 near, far;
    pair(&near, &far);
    u32 p = child("first", far, NULL);
    EXPECT(recv_word(near, FOREVER), CHAIN);
    EXPECT(nb_process_kill(p), 0);
    EXPECT(nb_object_wait_one(near, NEBULET_PEER_CLOSED, FOREVER) > 0, 1);
}

int main(int argc, char **argv)
{
    own_name = argv[0];
    if (argc > 1 && !strcmp(argv[1], "fills"))
        return fills(), 0;
    if (argc > 1 && !strcmp(argv[1], "link"))
        return link(), 0;
    if (argc > 1 && !strcmp(argv[1], "first"))
        return first(), 0;
    large_ends();
    modules();
    queues();
    chain();
    puts("ends");
    return 0;
}
