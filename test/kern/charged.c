// SPDX-License-Identifier: MIT
// What a process has used is charged to it, though it gives the CPU to a fresh thread before
// anybody looks: its limit of time ends it, and others have their share.
#include "nebulet.h"

static char stack[16384] __attribute__((aligned(16)));

static void nothing(u32 n)
{
    (void)n;
}

static void computes(u64 ns)
{
    for (u64 end = now() + ns; now() < end;)
        ;
}

static void hides(void)
{
    for (u64 end = now() + 1000 * MS; now() < end;) {
        computes(5 * MS);
        u32 t =
            GOOD(nb_thread_spawn((u32)(uintptr_t)nothing, 0, (u32)(uintptr_t)stack + sizeof stack));
        nb_thread_yield();
        EXPECT(nb_thread_join(t, FOREVER), 0);
        EXPECT(nb_handle_close(t), 0);
    }
}

int main(int argc, char **argv)
{
    own_name = argv[0];
    if (argc > 1) {
        if (!strcmp(argv[1], "hides"))
            hides();
        else
            computes(1000 * MS);
        return 0;
    }
    struct nebulet_options limited = {.cpu_ns = 50 * MS}, first_cpu = {.cpu = 1};
    struct nebulet_info info;
    u32 p = child("hides", NEBULET_NO_HANDLE, &limited);
    ENDED(p, NEBULET_LIMIT, 0);
    p = child("hides", NEBULET_NO_HANDLE, &first_cpu);
    u32 q = child("computes", NEBULET_NO_HANDLE, &first_cpu);
    sleep_ms(400);
    EXPECT(nb_process_info(q, &info), 0);
    TRUE(info.cpu_ns > 50 * MS);
    EXPECT(nb_process_kill(p), 0);
    EXPECT(nb_process_kill(q), 0);
    ENDED(p, NEBULET_KILLED, 0);
    ENDED(q, NEBULET_KILLED, 0);
    puts("charged");
    return 0;
}
