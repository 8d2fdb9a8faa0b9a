// SPDX-License-Identifier: MIT
// What the kernel does on a thread's stack, it does wherever that stands: here calls begin at each
// place within a page, of a stack of which no page below is there yet. (A lock that page faults
// take was held over a first touch of the stack.)
#include "nebulet.h"

enum { PLACES = 300, WINDOW = 32 << 20, LARGE = 1 << 20 };

static u32 memory, module, again;

static void unmaps(void) // the page table, too, for nothing else is near
{
    EXPECT(nb_memory_unmap(WINDOW, 4096), 0);
}

static void maps(void)
{
    EXPECT(nb_memory_map(memory, WINDOW + (4 << 20), 0, 4096), 0);
    EXPECT(nb_memory_unmap(WINDOW + (4 << 20), 4096), 0);
}

static void makes(void)
{
    u32 m = GOOD(nb_memory_create(LARGE));
    EXPECT(nb_handle_close(m), 0);
}

static void begets(void)
{
    u32 p = GOOD(nb_process_create(module, NEBULET_NO_HANDLE, NULL, 0, NULL, 0));
    EXPECT(nb_handle_close(p), 0);
}

static void sends(void)
{
    static char bytes[NEBULET_MESSAGE_MAX];
    u32 e[2];
    EXPECT(nb_channel_create(&e), 0);
    EXPECT(nb_channel_send(e[0], bytes, sizeof bytes, NULL, 0, NOW), 0);
    EXPECT(nb_handle_close(e[0]), 0);
    EXPECT(nb_handle_close(e[1]), 0);
}

static void grows(void)
{
    TRUE(__builtin_wasm_memory_grow(0, 0) != SIZE_MAX);
    EXPECT(nb_object_wait_many(NULL, 0, now() + 1), ERR_TIMED_OUT);
}

static void (*const calls[])(void) = {unmaps, maps, makes, begets, sends, grows};

static __attribute__((noinline)) u32 down(u32 n, u32 call)
{
    if (!n)
        return calls[call](), 1;
    u32 below = down(n - 1, call);
    __asm__ volatile("" : "+r"(below)); // no loop
    return below + n;
}

// Its stack stays, so that the next one begins on a new one.
static void steps(u32 what)
{
    u32 sum = down(what % PLACES, what / PLACES);
    __asm__ volatile("" : : "r"(sum));
    GOOD(nb_object_wait_one(again, NEBULET_EVENT_SIGNALED, FOREVER));
}

int main(int argc, char **argv)
{
    static u32 threads[PLACES];
    (void)argc;
    own_name = argv[0];
    TRUE(__builtin_wasm_memory_grow(0, 2 * WINDOW >> 16) != SIZE_MAX);
    memory = GOOD(nb_memory_create(4096));
    module = own_module();
    for (u32 call = 0; call < countof(calls); call++) {
        again = GOOD(nb_event_create());
        for (u32 i = 0; i < PLACES; i++) {
            if (calls[call] == unmaps)
                EXPECT(nb_memory_map(memory, WINDOW, 0, 4096), 0);
            threads[i] = THREAD(steps, call * PLACES + i);
            nb_thread_yield();
        }
        EXPECT(nb_object_signal(again, 0, NEBULET_EVENT_SIGNALED), 0);
        for (u32 i = 0; i < PLACES; i++) {
            EXPECT(nb_thread_join(threads[i], FOREVER), 0);
            EXPECT(nb_handle_close(threads[i]), 0);
        }
        EXPECT(nb_handle_close(again), 0);
    }
    puts("steps");
    return 0;
}
