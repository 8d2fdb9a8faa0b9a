// SPDX-License-Identifier: MIT
// Which executions there are of a scenario, one after the other, each from the beginning.
//
// An execution is the list of ways that it took at its points. Some ways are free, others are a
// deviation: a CPU is taken from who could have gone on, time jumps, an allocation fails. All
// executions with up to so many deviations come in the order of a depth-first search, by the last
// point that has a way left (after Musuvathi and Qadeer, "Iterative Context Bounding", PLDI 2007);
// then those of chance, whose numbers begin with a seed. Nothing but the list is kept in between:
// the variables of an execution lie in sections of their own and are set back.
#include "arch/arch.h"
#include "base/heap.h"
#include "base/status.h"
#include "model.h"
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <ucontext.h>
#include <unistd.h>

enum { STEPS_MAX = 60000, NOTES_MAX = 60000, SHOWN = 80, BOUNDS = 8 };

struct step {
    u8 taken, ways, free;
    u16 before; // deviations
};

static struct {
    const struct scenario *scenario;
    struct step steps[STEPS_MAX];
    u32 nsteps, nfixed; // of which so many are given
    u32 used, bound;
    bool by_chance;
    u32 rate; // one point in so many deviates
    u64 seed;
    void *sp; // of main's stack
    bool failed;
    char problem[400];
    u64 executions, points;
    u32 deepest;
} x;

static struct {
    struct note {
        const void *pc;
        char text[120];
    } at[NOTES_MAX];
    u32 n;
} notes;
bool model_noting;

// --- Choices

static u64 chance(u64 n)
{
    x.seed ^= x.seed << 13;
    x.seed ^= x.seed >> 7;
    x.seed ^= x.seed << 17;
    return (x.seed >> 11) % n;
}

static u32 pick(u32 n, u32 free)
{
    if (!x.by_chance)
        return 0;
    return (u32)chance(chance(x.rate) ? free : n);
}

u32 model_choose(u32 n, u32 free)
{
    if (n == 1)
        return 0;
    if (x.nsteps == STEPS_MAX)
        model_fail("livelock: %u choices and no end", STEPS_MAX);
    struct step *s = &x.steps[x.nsteps];
    u32 way = x.nsteps < x.nfixed ? s->taken : pick(n, free);
    if (way >= n)
        model_fail("choice %u: there is no way %u; the schedule is another program's", x.nsteps,
                   way);
    *s = (struct step){(u8)way, (u8)n, (u8)free, (u16)x.used};
    x.nsteps++;
    x.used += way >= free;
    return way;
}

// The next list within the bound. False: there is none.
static bool advance(void)
{
    while (x.nsteps) {
        struct step *s = &x.steps[x.nsteps - 1];
        u32 way = s->taken + 1u;
        if (way < s->ways && s->before + (way >= s->free) <= x.bound) {
            s->taken = (u8)way;
            x.nfixed = x.nsteps;
            return true;
        }
        x.nsteps--;
    }
    return false;
}

// --- An execution

extern u8 __start_model_bss[], __stop_model_bss[];
extern __attribute__((weak)) u8 __start_model_data[], __stop_model_data[]; // there may be none
static u8 *data_before;

static void save(void)
{
    size_t n = (size_t)(__stop_model_data - __start_model_data);
    if (!(data_before = malloc(n + 1)))
        abort();
    memcpy(data_before, __start_model_data, n);
}

static void set_back(void)
{
    memcpy(__start_model_data, data_before, (size_t)(__stop_model_data - __start_model_data));
    memset(__start_model_bss, 0, (size_t)(__stop_model_bss - __start_model_bss));
}

static __attribute__((noreturn)) void leave(void)
{
    void *gone;
    arch_switch(&gone, &x.sp);
    __builtin_unreachable();
}

void model_fail(const char *format, ...)
{
    va_list args;
    va_start(args, format);
    vsnprintf(x.problem, sizeof x.problem, format, args);
    va_end(args);
    x.failed = true;
    leave();
}

void model_over(void)
{
    leave();
}

void model_note(const void *pc, const char *format, ...)
{
    if (!model_noting || notes.n == NOTES_MAX)
        return;
    struct note *n = &notes.at[notes.n++];
    n->pc = pc;
    va_list args;
    va_start(args, format);
    vsnprintf(n->text, sizeof n->text, format, args);
    va_end(args);
}

const struct scenario *model_scenario(void)
{
    return x.scenario;
}

// True: it has passed.
static bool execute(void)
{
    set_back();
    x.nsteps = x.used = 0;
    x.failed = false;
    model_boot(&x.sp);
    x.executions++;
    x.points += x.nsteps;
    x.deepest = x.nsteps > x.deepest ? x.nsteps : x.deepest;
    return !x.failed;
}

// A fault is a failure like others. It is reported from a stack of its own.
static u8 fault_stack[2][64 << 10];
static struct {
    u64 address, pc;
} fault;

static void after_fault(void)
{
    model_note((const void *)fault.pc, "faults");
    model_fail("a fault at address 0x%llx", (unsigned long long)fault.address);
}

static void on_fault(int number, siginfo_t *info, void *context)
{
    ucontext_t *u = context;
    (void)number;
    fault.address = (u64)(uintptr_t)info->si_addr;
    fault.pc = (u64)u->uc_mcontext.gregs[REG_RIP] + 1;
    u->uc_mcontext.gregs[REG_RIP] = (greg_t)(uintptr_t)after_fault;
    u->uc_mcontext.gregs[REG_RSP] = (greg_t)(uintptr_t)(fault_stack[1] + sizeof fault_stack[1] - 8);
}

static void catch_faults(void)
{
    stack_t stack = {.ss_sp = fault_stack[0], .ss_size = sizeof fault_stack[0]};
    struct sigaction a = {.sa_sigaction = on_fault,
                          .sa_flags = SA_SIGINFO | SA_ONSTACK | SA_NODEFER};
    sigaltstack(&stack, NULL);
    sigaction(SIGSEGV, &a, NULL);
    sigaction(SIGBUS, &a, NULL);
    sigaction(SIGILL, &a, NULL);
    sigaction(SIGFPE, &a, NULL);
}

// --- What is said of one that failed

// Equal ways in a row are "way*times"; the zeros at the end go without saying.
static void print_ways(void)
{
    u32 n = x.nsteps;
    while (n && !x.steps[n - 1].taken)
        n--;
    if (!n)
        printf("0");
    for (u32 i = 0, k; i < n; i = k) {
        for (k = i + 1; k < n && x.steps[k].taken == x.steps[i].taken;)
            k++;
        printf(k - i > 1 ? "%s%u*%u" : "%s%u", i ? "." : "", x.steps[i].taken, k - i);
    }
}

static bool read_ways(const char *p)
{
    x.nfixed = 0;
    while (*p) {
        char *end;
        u64 way = strtoul(p, &end, 10), times = 1;
        if (end == p)
            return false;
        if (*end == '*')
            times = strtoul(end + 1, &end, 10);
        for (; times && x.nfixed < STEPS_MAX; times--)
            x.steps[x.nfixed++].taken = (u8)way;
        p = *end == '.' ? end + 1 : end;
        if (*end && *end != '.')
            return false;
    }
    return true;
}

// The function and line of each note's place, from outside; without that, its address.
static void print_notes(u32 from)
{
    char self[256] = "", line[512];
    if (readlink("/proc/self/exe", self, sizeof self - 1) < 0)
        return;
    for (u32 i = from; i < notes.n; i++) {
        const struct note *n = &notes.at[i];
        printf("  %s", n->text);
        if (n->pc) {
            snprintf(line, sizeof line, "addr2line -fipse %s 0x%llx 2>/dev/null", self,
                     (unsigned long long)(uintptr_t)n->pc - 1);
            FILE *f = popen(line, "r");
            bool seen = false;
            while (f && fgets(line, sizeof line, f)) {
                char *name = line;
                if (!strncmp(name, " (inlined by) ", 14))
                    name += 14;
                name[strcspn(name, "\n")] = 0;
                bool lock = !strncmp(name, "spin_", 5) || !strncmp(name, "kern_acquire", 12) ||
                            !strncmp(name, "kern_release", 12);
                if (!seen && !lock)
                    printf(": %s", name), seen = true;
            }
            if (f)
                pclose(f);
        }
        printf("\n");
    }
}

static void replay(bool whole)
{
    model_noting = true;
    notes.n = 0;
    x.nfixed = x.nsteps;
    execute();
    model_noting = false;
    u32 from = !whole && notes.n > SHOWN ? notes.n - SHOWN : 0;
    if (from)
        printf("  ... %u lines before\n", from);
    print_notes(from);
}

static void report(void)
{
    printf("FAIL %s: %s\n", x.scenario->name, x.problem);
    replay(false);
    printf("  replay: build/model/model %s --replay ", x.scenario->name);
    print_ways();
    printf("\n");
    fflush(stdout);
}

// --- All of it

static struct {
    u32 bound;
    double seconds; // of executions by chance, for all scenarios
    u64 seed, most; // executions of a scenario and bound
    bool quiet;
} options = {2, 0, 1, UINT64_MAX, false};

static double now(void)
{
    struct timespec t;
    clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &t);
    return (double)t.tv_sec + (double)t.tv_nsec / 1e9;
}

// Those with up to `bound` deviations. False: one has failed.
static bool search_all(u32 bound, bool *complete)
{
    u64 n = 0;
    x.bound = bound;
    x.nfixed = 0;
    do {
        if (n++ == options.most) {
            *complete = false;
            return true;
        }
        if (!execute())
            return false;
    } while (advance());
    return true;
}

static bool search_by_chance(double seconds)
{
    double until = now() + seconds;
    bool good = true;
    x.by_chance = true;
    x.nfixed = 0;
    while (good && now() < until) {
        x.rate = 4u << 2 * chance(4);
        good = execute();
    }
    x.by_chance = false;
    return good;
}

static bool explore(const struct scenario *s, double seconds)
{
    double start = now();
    bool good = true, complete = true;
    u64 n[BOUNDS] = {0}, before;
    x.scenario = s;
    x.points = x.deepest = 0;
    x.seed = options.seed * 0x9e3779b97f4a7c15 + 1;
    for (u32 b = 0; b <= options.bound && good; b++) {
        before = x.executions;
        good = search_all(b, &complete);
        n[b] = x.executions - before;
    }
    before = x.executions;
    if (good && seconds > 0)
        good = search_by_chance(seconds);
    u64 random = x.executions - before;
    printf("%s %-24s %u CPUs, up to %4u choices; executions with 0..%u deviations:",
           good ? "pass" : "----", s->name, s->cpus, x.deepest, options.bound);
    for (u32 b = 0; b <= options.bound; b++)
        printf(" %llu", (unsigned long long)n[b]);
    printf("%s; by chance %llu; %.1f s\n", complete ? " (all)" : " (cut short)",
           (unsigned long long)random, now() - start);
    if (!good)
        report();
    fflush(stdout);
    return good;
}

static const struct scenario *scenario_named(const char *name)
{
    for (u32 i = 0; i < model_nscenarios; i++)
        if (!strcmp(model_scenarios[i].name, name))
            return &model_scenarios[i];
    fprintf(stderr, "model: there is no scenario %s\n", name);
    exit(2);
}

static int usage(void)
{
    fprintf(stderr, "usage: model [--bound N] [--seconds N] [--seed N] [--most N] [SCENARIO...]\n"
                    "       model SCENARIO --replay WAYS\n"
                    "       model --list\n");
    return 2;
}

static int replay_one(const struct scenario *s, const char *ways)
{
    x.scenario = s;
    if (!s || !read_ways(ways))
        return usage();
    x.nsteps = x.nfixed;
    replay(true);
    printf("%s\n", x.failed ? x.problem : "passes");
    return x.failed;
}

int main(int argc, char **argv)
{
    const struct scenario *chosen[64];
    const char *ways = NULL;
    u32 n = 0, passed = 0, failed = 0;
    for (int i = 1; i < argc; i++) {
        const char *a = argv[i], *value = i + 1 < argc ? argv[i + 1] : NULL;
        if (!strcmp(a, "--list")) {
            for (u32 k = 0; k < model_nscenarios; k++)
                printf("%-24s %s\n", model_scenarios[k].name, model_scenarios[k].what);
            return 0;
        }
        if (a[0] != '-' && n < countof(chosen)) {
            chosen[n++] = scenario_named(a);
            continue;
        }
        if (!value)
            return usage();
        i++;
        if (!strcmp(a, "--bound"))
            options.bound = (u32)strtoul(value, NULL, 10) % BOUNDS;
        else if (!strcmp(a, "--seconds"))
            options.seconds = strtod(value, NULL);
        else if (!strcmp(a, "--seed"))
            options.seed = strtoull(value, NULL, 10);
        else if (!strcmp(a, "--most"))
            options.most = strtoull(value, NULL, 10);
        else if (!strcmp(a, "--replay"))
            ways = value;
        else
            return usage();
    }
    save();
    catch_faults();
    if (ways)
        return replay_one(n == 1 ? chosen[0] : NULL, ways);
    for (; !n || passed + failed < n;) {
        if (!n)
            for (; n < model_nscenarios && n < countof(chosen); n++)
                chosen[n] = &model_scenarios[n];
        bool good = explore(chosen[passed + failed], options.seconds / n);
        passed += good;
        failed += !good;
    }
    printf("%u passed, %u failed\n", passed, failed);
    return failed != 0;
}
