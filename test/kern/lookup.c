// SPDX-License-Identifier: MIT
// Calls that take long look up: beside each of them another process on the same CPU is never kept
// waiting for much longer than a slice, and whoever makes the call ends in the middle of it.
#include "nebulet.h"

#include <wasi/api.h>

enum { GAP_MS = 20, END_MS = 25, BYTES = 48 << 20 };

static char *memory(size_t n)
{
    char *p = malloc(n);
    TRUE(p != NULL);
    return p;
}

// --- What takes long; each for ever.
static void fills(void)
{
    char *p = memory(BYTES);
    for (int i = 0;; i++)
        memset(p, i, BYTES);
}

static void copies(void)
{
    char *p = memory(BYTES);
    for (int i = 0;; i ^= 1)
        memmove(p + i, p + !i, BYTES - 1);
}

static void random_wasi(void)
{
    char *p = memory(BYTES);
    for (;;)
        EXPECT(__wasi_random_get((uint8_t *)p, BYTES), 0);
}

static void random_ours(void)
{
    char *p = memory(BYTES);
    for (;;)
        EXPECT(nb_cprng_fill(p, BYTES), 0);
}

static const struct {
    const char *name;
    void (*run)(void);
} calls[] = {
    {"fills", fills},
    {"copies", copies},
    {"random_wasi", random_wasi},
    {"random_ours", random_ours},
};

// --- Who waits
// Answers with the longest time between two looks at the clock, when it is told to stop.
static int watches(void)
{
    u64 worst = 0, last = now();
    while (recv_word(0, NOW) == ERR_SHOULD_WAIT) {
        u64 t = now();
        if (t - last > worst)
            worst = t - last;
        last = t;
    }
    return send_word(0, (u32)(worst / 1000)) ? 1 : 0;
}

static void beside(const char *name)
{
    enum { RUN_MS = 150 };
    struct nebulet_options o = {.privileges = NEBULET_MAY_ALL, .cpu = 1};
    struct nebulet_exit e;
    u32 a, b;
    char what[80];
    pair(&a, &b);
    u32 busy = child(name, NEBULET_NO_HANDLE, &o), watch = child("watches", b, &o);
    sleep_ms(RUN_MS);
    EXPECT(nb_process_wait(busy, NOW, &e), ERR_SHOULD_WAIT);
    u64 start = now();
    EXPECT(nb_process_kill(busy), 0);
    ENDED(busy, NEBULET_KILLED, 0);
    u64 took = now() - start;
    EXPECT(send_word(a, 0), 0);
    u64 gap = (u64)recv_word(a, FOREVER) * 1000;
    ENDED(watch, NEBULET_EXITED, 0);
    EXPECT(nb_handle_close(a), 0);
    snprintf(what, sizeof what, "%s: the gap beside it is too long", name);
    blame_machine(what, gap > GAP_MS * MS ? gap - GAP_MS * MS : 0);
    snprintf(what, sizeof what, "%s: its end takes too long", name);
    blame_machine(what, took > END_MS * MS ? took - END_MS * MS : 0);
}

int main(int argc, char **argv)
{
    own_name = argv[0];
    exact_time = argc > 1 && !strcmp(argv[1], "exact");
    if (argc > 1 && !strcmp(argv[1], "watches"))
        return watches();
    for (u32 i = 0; i < countof(calls); i++) {
        if (argc > 1 && !strcmp(argv[1], calls[i].name))
            calls[i].run();
        if (argc == 1 || exact_time)
            beside(calls[i].name);
    }
    puts("lookup");
    return 0;
}
