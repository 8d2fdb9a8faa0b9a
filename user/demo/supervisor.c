// SPDX-License-Identifier: MIT
// Processes that end in all the ways there are, and what their supervisor learns of it: exit codes,
// traps, being killed, limits. None of them does harm to another.
#include "part.h"

static volatile uint32_t zero, one = 1;

static int exits(void)
{
    exit(3);
}

static int traps(void)
{
    __builtin_trap();
}

static int divides(void)
{
    return (int)(one / zero);
}

static int reads_wild(void)
{
    return *(volatile int *)0xfffffff0u;
}

// Without variables in memory, so that it is the call stack that is full first.
static __attribute__((noinline)) uint32_t deeper(uint32_t n)
{
    return one ? deeper(n + 1) + one : n;
}

static int recurses(void)
{
    return (int)deeper(0);
}

static int spins(void)
{
    for (;;)
        one++;
}

// Takes memory as long as there is some.
static int grows(void)
{
    uint32_t blocks = 0;
    while (blocks < 1000 && malloc(1 << 20))
        blocks++;
    return blocks < 8 ? 1 : 0;
}

static int opens(void)
{
    int64_t result;
    int n = 0;
    while ((result = nebulet_event_create()) >= 0)
        n++;
    return result == NEBULET_ERR_NO_RESOURCES && n < 20 ? 20 : 0;
}

static int prints(void)
{
    return nebulet_print("it may not\n", 11) == NEBULET_ERR_ACCESS_DENIED ? 13 : 0;
}

static int connects(void)
{
    return sip_connect("anything") == NEBULET_ERR_ACCESS_DENIED ? 14 : 0;
}

// The kinds of options that a part gets.
enum { PLAIN, SHORT_TIME, LITTLE_MEMORY, FEW_HANDLES, IS_KILLED };
static const struct nebulet_options limits[] = {
    [PLAIN] = {.privileges = 0},           [SHORT_TIME] = {.cpu_ns = 50 * SIP_MS},
    [LITTLE_MEMORY] = {.memory = 4 << 20}, [FEW_HANDLES] = {.handles = 16},
    [IS_KILLED] = {.weight = 1},
};

static const struct part {
    const char *name;
    int (*run)(void);
    int limits;
} parts[] = {
    {"exits", exits, PLAIN},         {"traps", traps, PLAIN},
    {"divides", divides, PLAIN},     {"reads wild", reads_wild, PLAIN},
    {"recurses", recurses, PLAIN},   {"spins", spins, IS_KILLED},
    {"spins on", spins, SHORT_TIME}, {"grows", grows, LITTLE_MEMORY},
    {"opens", opens, FEW_HANDLES},   {"prints", prints, PLAIN},
    {"connects", connects, PLAIN},
};
enum { PARTS = sizeof parts / sizeof *parts };

static int supervise(const char *self)
{
    nebulet_handle processes[PARTS], module = part_module(self);
    for (int i = 0; i < PARTS; i++)
        processes[i] =
            part_start(module, parts[i].name, NULL, &limits[parts[i].limits], NEBULET_NO_HANDLE);
    for (int i = 0; i < PARTS; i++) {
        if (parts[i].limits == IS_KILLED)
            sip_must(nebulet_process_kill(processes[i]), "killing");
        part_end(processes[i], parts[i].name);
    }
    sip_printf("the supervisor is well\n");
    return 0;
}

int main(int argc, char **argv)
{
    for (int i = 0; argc > 1 && i < PARTS; i++)
        if (!strcmp(argv[1], parts[i].name))
            return parts[i].run();
    return supervise(argv[0]);
}
