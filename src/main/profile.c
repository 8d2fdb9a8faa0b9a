// SPDX-License-Identifier: MIT
// perf samples addresses and looks their names up when it reports, so the file is written when the
// programs are over: nothing is done while they run.
//
// Our own samples are taken where a thread may be preempted: a timer of each CPU's, that counts the
// time it is used, kicks it as the scheduler's does, and what the scheduler is asked then goes
// through here first. So it is between two instructions of compiled code or in a call, no lock is
// held, and frames can be found as after a trap. A sample stands for all of the CPU's time since
// the one before, but for what sampling itself has taken. It runs on a stack of its own: the
// guest's may end here.
#define _GNU_SOURCE
#include "main/profile.h"

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "arch/arch.h"
#include "kern/process.h"
#include "plat/linux/linux.h"
#include "rt/rt.h"
#include "wasm/leb.h"
#include "wasm/module.h"

// In a folder that is everybody's, so it is a new file, whatever is there.
FILE *profile_map_create(void)
{
    char path[64];
    snprintf(path, sizeof path, "/tmp/perf-%d.map", (int)getpid());
    unlink(path);
    int fd = open(path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
    FILE *map = fd < 0 ? NULL : fdopen(fd, "w");
    if (map)
        return map;
    complain("%s: %s", path, strerror(errno));
    if (fd >= 0)
        close(fd);
    return NULL;
}

void profile_map_add(FILE *to, const struct rt_module *rm)
{
    const struct compiled *c = &rm->compiled;
    const struct module *m = rm->m;
    for (u32 i = 0; c->funcs && i < m->nfuncs - m->nimported_funcs; i++) {
        const struct func_code *f = &c->funcs[i];
        u32 index = m->nimported_funcs + i;
        if (!f->end)
            continue;
        fprintf(to, "%lx %x ", (unsigned long)(c->run + f->start), f->end - f->start);
        print_func(to, m, index);
        fputc('\n', to);
    }
}

bool profile_parse(const char *value, struct profile *out)
{
    static const char usual[] = "profile.folded", samples[] = "guest=";
    *out = (struct profile){0};
    if (!value)
        return true;
    if (str_eq(value, "perfmap"))
        out->map = true;
    else if (str_eq(value, "guest"))
        out->samples = usual;
    else if (!strncmp(value, samples, sizeof samples - 1) && value[sizeof samples - 1])
        out->samples = value + sizeof samples - 1;
    else
        complain("--profile %s: there are perfmap and guest", value);
    return out->map || out->samples;
}

// --- Samples

enum {
    STACK = 256 << 10,
    FRAMES = 200,
    STACKS = 1 << 16, // different ones, which are counted each for itself
    KEY_MOST = 16 << 10,
};
#define EVERY_NS 1000000ull

// By the text of a stack; the lock guards all of it.
static struct {
    pthread_mutex_t lock;
    struct stack {
        char *text; // NULL: free
        u64 ns;
    } *at;
    u32 count;
    u64 others; // ns, of those for which there is no place
    u64 samples;
} found = {.lock = PTHREAD_MUTEX_INITIALIZER};

// Of each CPU, which alone touches it.
static struct sampler {
    bool busy;
    u8 *stack;
    void *sp, *back; // of the stack, and of who wants a sample
    struct plat_stack own, other;
    struct vmctx *vm;
    u64 ns, since; // of this sample, and of the CPU's time when the last one was over
    char key[KEY_MOST];
} *samplers;

static const struct rt_scheduler *scheduler;

static u64 cpu_time(void)
{
    struct timespec t;
    clock_gettime(CLOCK_THREAD_CPUTIME_ID, &t);
    return (u64)t.tv_sec * 1000000000 + (u64)t.tv_nsec;
}

static u64 hash(const char *text)
{
    u64 h = 0xcbf29ce484222325;
    for (; *text; text++)
        h = (h ^ (u8)*text) * 0x100000001b3;
    return h ^ h >> 32;
}

// With the lock. NULL: there is no place for it.
static struct stack *find_stack(const char *text)
{
    for (u64 at = hash(text);; at++) {
        struct stack *s = &found.at[at % (2 * STACKS)];
        if (s->text && !str_eq(s->text, text))
            continue;
        if (!s->text && (found.count == STACKS || !(s->text = strdup(text))))
            return NULL;
        found.count += !s->ns;
        return s;
    }
}

// What would end a frame or a line there does not.
static void tidy(char *text)
{
    for (; *text; text++)
        if (*text == ';')
            *text = ':';
}

static void print_frame(FILE *to, const struct module *m, u32 func)
{
    char name[256] = "";
    FILE *f = fmemopen(name, sizeof name, "w");
    if (f) {
        print_func(f, m, func);
        fclose(f);
    }
    name[sizeof name - 1] = 0;
    tidy(name);
    fprintf(to, ";%s", name);
}

// The import that the innermost frame is calling, if it is one.
static void print_host(FILE *to, const struct trace_frame *f)
{
    const struct module *m = f->module;
    const u8 *p = m->bytes + f->offset;
    if (!f->offset || *p++ != 0x10)
        return;
    u32 func = leb_u32(&p);
    for (u32 i = 0; func < m->nimported_funcs && i < m->nimports; i++)
        if (m->imports[i].kind == EXTERN_FUNC && m->imports[i].index == func) {
            fputs(";", to);
            print_text(to, m->imports[i].field.p, m->imports[i].field.length);
        }
}

static void take(struct sampler *s)
{
    struct trace_frame frames[FRAMES];
    const struct process *p = s->vm->process;
    u32 n = thread_sample(s->vm, frames, FRAMES);
    FILE *to = fmemopen(s->key, sizeof s->key, "w");
    if (!to)
        return;
    char name[NEBULET_NAME_MAX + 1];
    snprintf(name, sizeof name, "%s", p ? p->name : "?");
    tidy(name);
    print_text(to, name, strlen(name));
    if (n == FRAMES)
        fputs(";...", to);
    for (u32 i = n; i--;)
        print_frame(to, frames[i].module, frames[i].func);
    if (n)
        print_host(to, &frames[0]);
    fclose(to);
    s->key[sizeof s->key - 1] = 0;
    pthread_mutex_lock(&found.lock);
    struct stack *stack = find_stack(s->key);
    *(stack ? &stack->ns : &found.others) += s->ns;
    found.samples++;
    pthread_mutex_unlock(&found.lock);
}

static void sampler_main(void *argument)
{
    struct sampler *s = argument;
    for (;;) {
        if (PLAT_TRACKS_STACKS)
            plat_stack_enter(&s->own, &s->other);
        take(s);
        if (PLAT_TRACKS_STACKS)
            plat_stack_leave(&s->own, &s->other);
        arch_switch(&s->sp, &s->back);
    }
}

static void sample(struct sampler *s, struct vmctx *vm)
{
    u64 now = cpu_time();
    s->ns = now - s->since;
    s->vm = vm;
    if (!s->stack) {
        if (!(s->stack = malloc(STACK)))
            return;
        s->own = (struct plat_stack){.low = s->stack, .size = STACK};
        s->sp = arch_prepare(s->stack + STACK, sampler_main, s);
    }
    if (PLAT_TRACKS_STACKS)
        plat_stack_leave(&s->other, &s->own);
    arch_switch(&s->back, &s->sp);
    if (PLAT_TRACKS_STACKS)
        plat_stack_enter(&s->other, NULL);
    s->since = cpu_time();
}

// While a sample is taken, others ask for the CPU in vain: they get it when it is done.
static void preempt(struct vmctx *vm)
{
    struct sampler *s = &samplers[plat_cpu_id()];
    if (s->busy)
        return;
    s->busy = true;
    if (cpu_time() - s->since >= EVERY_NS / 2)
        sample(s, vm);
    s->busy = false;
    scheduler->preempt(vm);
}

static bool tick(struct thread *t)
{
    return scheduler->tick(t);
}

void profile_prepare(const struct profile *p)
{
    if (p->samples)
        linux_kick_every(EVERY_NS);
    if (p->map)
        linux_unname_code();
}

bool profile_start(void)
{
    static const struct rt_scheduler ours = {tick, preempt};
    scheduler = rt_get_scheduler();
    samplers = calloc(CPUS_MAX, sizeof *samplers);
    found.at = calloc(2 * STACKS, sizeof *found.at);
    if (!samplers || !found.at)
        return complain("out of memory"), false;
    samplers[plat_cpu_id()].since = cpu_time();
    rt_set_scheduler(&ours);
    return true;
}

bool profile_write(const char *path)
{
    FILE *to = fopen(path, "we");
    u64 sum = found.others;
    for (u32 i = 0; to && i < 2 * STACKS; i++) {
        const struct stack *s = &found.at[i];
        sum += s->ns;
        if (s->ns >= 1000)
            fprintf(to, "%s %llu\n", s->text, (unsigned long long)(s->ns + 500) / 1000);
    }
    if (to && found.others >= 1000)
        fprintf(to, "(others) %llu\n", (unsigned long long)found.others / 1000);
    if (!to || fclose(to))
        return complain("%s: %s", path, strerror(errno)), false;
    complain("%s: %llu samples of %.3f s", path, (unsigned long long)found.samples,
             (double)sum / 1e9);
    return true;
}
