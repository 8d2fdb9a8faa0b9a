// SPDX-License-Identifier: MIT
// A scenario's frame: the kernel is started, processes are made, it runs until none is left, and
// all that was made must be gone.
#include "state.h"

#include "abi/nebulet.h"
#include "base/heap.h"
#include "scenario.h"

enum { MADE = 16 };

static struct process *processes[MADE];
static struct module_object *modules[MADE];
static u32 nprocesses, nmodules;
static bool running;

bool model_heap_fails(void)
{
    return running && model_scenario()->heap_fails;
}

static void print(const u8 *text, size_t n)
{
    (void)text, (void)n;
}

static struct module_object *module_of(const struct program *p)
{
    struct error e = {0};
    for (u32 i = 0; i < nmodules; i++)
        if (container_of(modules[i]->module, struct model_module, rt)->program == p)
            return modules[i];
    struct module_object *m;
    if (nmodules == MADE || module_new((const u8 *)p, sizeof *p, false, &m, &e))
        model_fail("a scenario has no module: %s", e.text);
    m->without_wasi = true;
    return modules[nmodules++] = m;
}

struct process *scenario_process(const struct program *p, const struct process_config *config)
{
    struct process_config c = config ? *config : (struct process_config){0};
    struct process *out;
    struct error e = {0};
    c.name = c.name ? c.name : "p";
    c.limits.privileges = NEBULET_MAY_ALL;
    if (nprocesses == MADE || process_new(module_of(p), &c, &out, &e))
        model_fail("a scenario has no process: %s", e.text);
    return processes[nprocesses++] = out;
}

// What a process has before it lives counts as kept (process_keeps), as whoever makes one sees to.
static void equipped(struct process *p)
{
    kern_acquire();
    process_keeps(p, 1);
    kern_release();
}

void scenario_begin(struct process *p)
{
    equipped(p);
    status s = process_begin(p, NULL);
    if (s)
        model_fail("a process does not begin: %d", s);
}

void scenario_forget(struct process *p)
{
    for (u32 i = 0; i < nprocesses; i++)
        if (processes[i] == p) {
            equipped(p);
            processes[i] = processes[--nprocesses];
            object_release(&p->object);
            return;
        }
}

nebulet_handle scenario_give(struct process *p, struct object *o)
{
    if (handles_reserve(&p->handles, 1))
        model_fail("a scenario has no handle");
    return handle_add(&p->handles, o, HANDLE_ALL_RIGHTS);
}

nebulet_handle scenario_give_module(struct process *p, const struct program *of)
{
    struct module_object *m = module_of(of);
    object_ref(&m->object);
    return scenario_give(p, &m->object);
}

void scenario_connect(struct process *a, struct process *b)
{
    struct channel *x, *y;
    if (channel_new(&x, &y))
        model_fail("a scenario has no channel");
    scenario_give(a, &x->object);
    scenario_give(b, &y->object);
}

void model_run_scenario(void *nothing)
{
    static const struct kern_hooks hooks = {.print = print, .release = nebulet_release};
    const struct scenario *s = model_scenario();
    (void)nothing;
    if (kern_init(&model_engine, s->cpus, &hooks) || nebulet_register(kern_store(), false))
        model_fail("the kernel does not start");
    s->begin();
    for (u32 i = 0; i < nprocesses; i++)
        if (!processes[i]->begun)
            equipped(processes[i]);
    running = true;
    kern_run();
    running = false;
    if (s->check)
        s->check();
    for (u32 i = 0; i < nprocesses; i++)
        object_release(&processes[i]->object);
    for (u32 i = 0; i < nmodules; i++)
        object_release(&modules[i]->object);
    kern_free();
    model_no_blocks();
    model_over();
}
