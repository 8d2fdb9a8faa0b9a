// SPDX-License-Identifier: MIT
// Two processes with a watchdog: one that says in time that it is alive, and one that at some point
// hangs in a loop without a call. The second is ended, the first is not.
#include "part.h"

enum { TURNS = 10 };
#define TICK SIP_SECOND // long, for a machine that has much else to do

static int good(void)
{
    sip_must(nebulet_watchdog_setup(TICK), "good");
    for (int i = 0; i < TURNS; i++) {
        sip_sleep(TICK / 8);
        sip_must(nebulet_watchdog_alive(), "good");
    }
    return 0;
}

static int bad(void)
{
    static volatile uint32_t n;
    sip_must(nebulet_watchdog_setup(TICK), "bad");
    for (int i = 0; i < TURNS; i++)
        sip_must(nebulet_watchdog_alive(), "bad");
    sip_printf("bad: hangs\n");
    for (;;)
        n++;
}

int main(int argc, char **argv)
{
    struct nebulet_options options = {.privileges = NEBULET_MAY_PRINT};
    if (argc > 1)
        return !strcmp(argv[1], "good") ? good() : bad();
    nebulet_handle module = part_module(argv[0]);
    nebulet_handle first = part_start(module, "good", NULL, &options, NEBULET_NO_HANDLE);
    nebulet_handle second = part_start(module, "bad", NULL, &options, NEBULET_NO_HANDLE);
    part_end(second, "bad");
    part_end(first, "good");
    return 0;
}
