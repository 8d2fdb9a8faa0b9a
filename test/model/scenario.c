// SPDX-License-Identifier: MIT
// A scenario's frame: the kernel is started, processes are made, it runs until none is left, and
// all that was made must be gone.
#include "state.h"

#include "abi/nebulet.h"
#include "base/heap.h"
#include "base/lookup.h"
#include "scenario.h"

enum { MADE = 16 };

static struct made {
    struct process *p;
    u32 begins; // as the how manieth; 0: not
    u32 nhandles;
    bool forgotten;
} made[MADE];
static struct gift {
    struct made *to;
    struct object *o;
} gifts[2 * MADE];
static struct module_object *modules[MADE];
static u32 nmade, ngifts, nmodules, nbegin;
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
    if (nmade == MADE || process_new(module_of(p), &c, &out, &e))
        model_fail("a scenario has no process: %s", e.text);
    made[nmade++].p = out;
    return out;
}

static struct made *made_of(const struct process *p)
{
    struct made *m = made;
    while (m->p != p)
        m++;
    return m;
}

void scenario_begin(struct process *p)
{
    made_of(p)->begins = ++nbegin;
}

void scenario_forget(struct process *p)
{
    made_of(p)->forgotten = true;
}

nebulet_handle scenario_give(struct process *p, struct object *o)
{
    struct made *m = made_of(p);
    if (ngifts == countof(gifts))
        model_fail("a scenario gives too much");
    gifts[ngifts++] = (struct gift){m, o};
    return m->nhandles++;
}

struct object *scenario_given(struct process *p, u32 handle)
{
    const struct made *m = made_of(p);
    for (const struct gift *g = gifts; g < gifts + ngifts; g++)
        if (g->to == m && !handle--)
            return g->o;
    model_fail("a scenario has not given that");
}

static void give_all(const struct made *m)
{
    if (handles_reserve(&m->p->handles, m->nhandles + 1))
        model_fail("a scenario has no handles");
    for (const struct gift *g = gifts; g < gifts + ngifts; g++)
        if (g->to == m)
            handle_add(&m->p->handles, g->o, HANDLE_ALL_RIGHTS);
}

// Who lives may have many handles. What a process has before that counts as kept, as whoever makes
// one sees to.
static void set_out(void)
{
    for (u32 n = 1; n <= nbegin; n++)
        for (u32 i = 0; i < nmade; i++)
            if (made[i].begins == n && process_begin(made[i].p, NULL))
                model_fail("a process does not begin");
    for (u32 i = 0; i < nmade; i++)
        give_all(&made[i]);
    kern_acquire();
    for (u32 i = 0; i < nmade; i++) {
        if (!made[i].begins)
            process_keeps(made[i].p, 1);
        if (made[i].forgotten)
            object_unref(&made[i].p->object);
    }
    kern_release();
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
    heap_who_runs = model_payer;
    look_up_hook = model_look_up;
    if (kern_init(&model_engine, s->cpus, &hooks) || nebulet_register(kern_store(), false))
        model_fail("the kernel does not start");
    s->begin();
    set_out();
    running = true;
    kern_run();
    running = false;
    if (s->check)
        s->check();
    for (u32 i = 0; i < nmade; i++)
        if (!made[i].forgotten)
            object_release(&made[i].p->object);
    for (u32 i = 0; i < nmodules; i++)
        object_release(&modules[i]->object);
    kern_free();
    model_no_blocks();
    model_over();
}
