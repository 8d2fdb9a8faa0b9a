// SPDX-License-Identifier: MIT
// Processes, made and ended: see process.h.
#include "kern/process.h"
#include "base/fmt.h"
#include "base/assert.h"
#include "base/heap.h"
#include "base/lookup.h"
#include "kern/channel.h"
#include "kern/memory.h"
#include "kern/sched.h"
#include "kern/share.h"
#include "kern/word.h"
#include "plat/plat.h"

// --- Modules

static const struct export *global_named(const struct module *m, const char *name)
{
    const struct export *x = module_export(m, name, strlen(name));
    bool fits = x && x->kind == EXTERN_GLOBAL && m->globals[x->index].mutable &&
                m->globals[x->index].type == TYPE_I32;
    return fits ? x : NULL;
}

static const struct export *func_named(const struct module *m, const char *name)
{
    const struct export *x = module_export(m, name, strlen(name));
    if (!x || x->kind != EXTERN_FUNC)
        return NULL;
    const struct functype *type = module_func_type(m, x->index);
    return type->nparams || type->nresults ? NULL : x;
}

static void find_exports(struct module_object *o)
{
    const struct module *m = o->module->m;
    o->stack_pointer = global_named(m, "__stack_pointer");
    o->tls_base = global_named(m, "__tls_base");
    o->start = func_named(m, "_start");
    o->initialize = func_named(m, "_initialize");
}

SELDOM status module_new(const u8 *bytes, size_t size, bool copy, struct module_object **out,
                         struct error *e)
{
    struct module_object *m = heap_zalloc(sizeof *m);
    if (!m)
        return error_set(e, ERR_NO_MEMORY, ERROR_NO_OFFSET, "out of memory");
    object_init(&m->object, OBJECT_module);
    status s = OK;
    if (copy && !(m->bytes = heap_alloc(size)))
        s = error_set(e, ERR_NO_MEMORY, ERROR_NO_OFFSET, "out of memory for the bytes");
    else if (copy && look_up_copy(m->bytes, bytes, size))
        s = ERR_CANCELLED;
    if (!s)
        s = rt_module_load(kern_store(), copy ? m->bytes : bytes, size, &m->module, e);
    if (s) {
        heap_free(m->bytes);
        heap_free(m);
        return s;
    }
    find_exports(m);
    *out = m;
    return OK;
}

bool module_destroy(struct object *o)
{
    struct module_object *m = container_of(o, struct module_object, object);
    spin_release(&rt_switch_lock);
    rt_module_free(m->module);
    heap_free(m->bytes);
    heap_free(m);
    spin_acquire(&rt_switch_lock);
    return true;
}

// --- Made

enum { DEFAULT_HANDLES = 65536, DEFAULT_THREADS = 10000, DEFAULT_WEIGHT = 100 };

// What it is given, but not more than its maker has; 0: not said.
static u32 limit_of(u32 own, u32 makers, u32 otherwise)
{
    u32 n = makers && (!own || own > makers) ? makers : own;
    return n ? n : otherwise;
}

static void set_limits(struct process *p, const struct process_config *config)
{
    const struct limits_of_process *own = &config->limits;
    const struct process *maker = config->parent;
    u32 handles = limit_of(own->handles, maker ? maker->handles.limit : 0, DEFAULT_HANDLES);
    p->handles.limit = handles < HANDLE_LIMIT ? handles : HANDLE_LIMIT - 1;
    p->handles.limited = account_limited(p->account, ACCOUNT_HANDLES);
    p->limits.threads = limit_of(own->threads, maker ? maker->limits.threads : 0, DEFAULT_THREADS);
    p->limits.privileges = own->privileges & (maker ? maker->limits.privileges : UINT32_MAX);
    p->limits.weight = own->weight ? own->weight : DEFAULT_WEIGHT;
    p->limits.cpu = own->cpu;
}

// With a reference. NULL: no memory, or too deep.
static struct account *account_with(struct account *maker, const struct limits_of_process *own)
{
    u64 most[ACCOUNT_KINDS] = {
        [ACCOUNT_MEMORY] = own->memory,       [ACCOUNT_HANDLES] = own->handles,
        [ACCOUNT_THREADS] = own->threads,     [ACCOUNT_MESSAGES] = own->messages,
        [ACCOUNT_PROCESSES] = own->processes,
    };
    bool less = !maker || own->cpu_ns || own->wall_ns;
    for (u32 i = 0; i < countof(most) && !less; i++)
        less = most[i] && most[i] < maker->of[i].most;
    if (!less) {
        account_ref(maker);
        return maker;
    }
    struct budget *b = budget_new(maker, most, own->cpu_ns, own->wall_ns);
    return b ? &b->account : NULL;
}

// Its maker's account, but one of its own when it is given less of something.
static status account_for(struct process *p, const struct process_config *config)
{
    const struct limits_of_process *own = &config->limits;
    struct account *maker = config->parent ? config->parent->account : NULL;
    bool asks = own->memory | own->handles | own->threads | own->messages | own->processes |
                own->cpu_ns | own->wall_ns;
    p->account = maker;
    if (asks || !maker)
        p->account = account_with(maker, own);
    else
        account_ref(maker);
    p->limited = p->account != maker;
    if (!p->account)
        return maker && maker->depth + 1 == ACCOUNT_DEPTH ? ERR_NO_RESOURCES : ERR_NO_MEMORY;
    if (account_charge(p->account, ACCOUNT_PROCESSES, 1))
        return OK;
    account_unref(p->account);
    p->account = NULL;
    return ERR_NO_RESOURCES;
}

static void leave_account(struct process *p)
{
    account_discharge(p->account, ACCOUNT_PROCESSES, 1);
    account_unref(p->account);
}

// A module with threads imports its memory, so that all instances have the same: it is the
// process's.
static status give_shared_memory(struct process *p, struct error *e)
{
    const struct module *m = p->module->module->m;
    enum { AT_ONCE = 1 << 14 };
    for (u32 i = 0; i < m->nimports; i++) {
        const struct import *import = &m->imports[i];
        if (i % AT_ONCE == AT_ONCE - 1)
            look_up();
        if (import->kind != EXTERN_MEMORY || !m->memories[import->index].shared)
            continue;
        const struct limits *pages = &m->memories[import->index];
        struct vm_memory *memory = store_memory(p->store, pages);
        if (!memory)
            return error_set(e, ERR_NO_MEMORY, ERROR_NO_OFFSET, "no memory for %lu pages",
                             (unsigned long)pages->min);
        struct extern_ item = {.kind = EXTERN_MEMORY, .memory = memory, .memory_type = *pages};
        status s = store_import_item(p->store, import, &item);
        if (s)
            return s;
    }
    return OK;
}

static void set_own(const struct process *p, u32 i, const struct export *x)
{
    struct vmctx *vm = instance_vm(p->instance);
    if (x)
        vm->own[i] = &vm_global(vm, x->index)->i64;
}

static status link(struct process *p, const struct process_config *config, struct error *e)
{
    status s = give_shared_memory(p, e);
    if (!s && config->prepare)
        s = config->prepare(p, e);
    if (!s)
        s = instance_create(p->store, p->module->module, p, &p->instance, e);
    if (s)
        return s;
    set_own(p, 0, p->module->stack_pointer);
    set_own(p, 1, p->module->tls_base);
    return OK;
}

// One of its own, if it has a weight: then that counts there, and its own is like all others. Else
// it will be its maker's.
static bool make_share(struct process *p, const struct process_config *config)
{
    struct share *maker = config->parent ? config->parent->share : NULL;
    if (maker && !config->limits.weight)
        return true;
    p->share = share_new(maker, p->limits.weight);
    if (p->share && p->share != maker)
        p->limits.weight = DEFAULT_WEIGHT;
    return p->share;
}

static void drop_share(struct process *p)
{
    kern_acquire();
    share_unref(p->share);
    kern_release();
}

// It is for messages, and may come from a guest.
static void copy_name(char *to, const char *from)
{
    size_t i = 0;
    for (; from[i] && i < NEBULET_NAME_MAX; i++) {
        u8 c = (u8)from[i]; // nearly always the former:
        to[i] = c >= 0x20 && c < 0x7f ? (char)c : fmt_shown(from, strlen(from), i);
    }
    to[i] = 0;
}

status process_new(struct module_object *m, const struct process_config *config,
                   struct process **out, struct error *e)
{
    struct process *p = heap_zalloc(sizeof *p);
    status s = p ? account_for(p, config) : ERR_NO_MEMORY;
    if (!s && !(p->store = store_share(kern_store(), p->account, m->module)))
        s = ERR_NO_MEMORY;
    if (s) {
        if (p && p->account)
            leave_account(p);
        heap_free(p);
        return error_set(e, s, ERROR_NO_OFFSET, "no more processes");
    }
    object_init(&p->object, OBJECT_process);
    p->module = m;
    set_limits(p, config);
    handles_init(&p->handles);
    p->timed = budget_timed(p->account);
    p->hand_mask = p->timed ? 0 : UINT32_MAX;
    p->owner = config->owner;
    if (config->name)
        copy_name(p->name, config->name);
    else
        memcpy(p->name, config->parent->name, sizeof p->name);
    if (make_share(p, config))
        s = link(p, config, e);
    else
        s = error_set(e, ERR_NO_MEMORY, ERROR_NO_OFFSET, "out of memory for a share");
    if (s) {
        drop_share(p);
        store_free(p->store);
        leave_account(p);
        heap_free(p);
        return s;
    }
    kern_acquire();
    if (!p->share)
        p->share = share_ref(config->parent->share);
    object_ref(&m->object);
    sched_add(p);
    if (config->parent && config->parent->daemon)
        sched_daemon(p);
    kern_release();
    *out = p;
    return OK;
}

// --- Taken apart

// Others may ask for its figures meanwhile (process_info).
static void dismantle(struct process *p)
{
    kern_acquire();
    struct store *store = p->store;
    store_memory_used(store, &p->stats.memory_peak);
    p->store = NULL;
    p->instance = NULL;
    kern_release();
    store_free(store);
    if (kern_hooks()->release)
        kern_hooks()->release(p);
}

// Nothing buries another's dead: what the last handle of an unborn process frees may be a further
// one, and so on. It has one at most, which it was made with.
static void drop_handles(struct process *p)
{
    for (u32 i = 0; i < p->handles.capacity; i++) {
        struct handle *h = handle_at(&p->handles, i);
        if (h)
            object_unref(handle_remove(&p->handles, h));
    }
}

void process_over(struct process *p)
{
    assert(!p->threads && !p->nthreads);
    if (kern_hooks()->ending)
        kern_hooks()->ending(p);
    mappings_drop(p);
    dismantle(p);
    handles_free(&p->handles);
    if (p->words.buckets)
        heap_free(p->words.buckets);
    object_release(&p->module->object);
    kern_acquire();
    alarm_cancel(&p->watchdog);
    p->state = NEBULET_OVER;
    object_set(&p->object, NEBULET_ENDED);
    sched_remove(p);
    object_unref(&p->object);
    kern_release();
}

bool process_destroy(struct object *o)
{
    struct process *p = container_of(o, struct process, object);
    if (!p->begun) {
        sched_remove(p);
        process_keeps(p, -1);
        drop_handles(p);
        object_unref(&p->module->object);
        spin_release(&rt_switch_lock);
        handles_free(&p->handles);
        store_free(p->store);
        if (kern_hooks()->release)
            kern_hooks()->release(p);
        spin_acquire(&rt_switch_lock);
    }
    assert(p->main.object.refs <= 1);
    share_unref(p->share);
    leave_account(p);
    heap_free(p);
    return true;
}

// Nobody changes the table then.
void process_each_kept(struct process *p, bool (*each)(struct object *o))
{
    for (u32 i = 0; p->state == NEBULET_CREATED && i < p->handles.capacity; i++)
        if (handle_at(&p->handles, i) && !each(p->handles.at[i].object))
            return;
}

void process_keeps(struct process *p, s32 change)
{
    assert(p->handles.used <= 2); // what it was made with
    for (u32 i = 0; i < p->handles.used; i++)
        channel_kept(p->handles.at[i].object, change);
}

struct process *process_to_stop; // those of which threads have not been asked yet

static bool ask_to_end(struct kthread *t)
{
    if (t->returned || t->status == THREAD_OVER)
        return false;
    thread_request(t->rt, t->process->how == NEBULET_LIMIT ? TRAP_TIME : TRAP_KILLED);
    thread_vm(t->rt)->then = channel_called; // should it have handed over
    sched_wake(t, ERR_CANCELLED);
    return true;
}

// The next few of its threads.
static void ask_some(struct process *p)
{
    enum { AT_ONCE = 16 };
    bool asked = false; // one that ends by itself has nobody to be asked
    for (u32 i = 0; i < AT_ONCE && p->to_stop; i++) {
        struct kthread *t = p->to_stop;
        p->to_stop = t->next_thread;
        asked |= ask_to_end(t);
    }
    if (asked)
        sched_kick(p);
}

void process_stop_some(void)
{
    struct process *p = process_to_stop;
    ask_some(p);
    if (!p->to_stop) {
        process_to_stop = p->next_to_stop;
        object_unref(&p->object);
    }
}

// It ends already, but may take its time to tell why.
static void stop_mourning(struct process *p)
{
    if (!p->mourner)
        return;
    thread_request(p->mourner->rt, TRAP_KILLED);
    sched_wake(p->mourner, ERR_CANCELLED);
    sched_kick(p);
}

bool process_stop_locked(struct process *p, enum nebulet_end how, u32 code)
{
    if (p->state >= NEBULET_ENDS) {
        stop_mourning(p);
        return false;
    }
    p->how = (u8)how;
    p->code = code;
    if (p->state == NEBULET_CREATED)
        process_keeps(p, -1);
    p->state = NEBULET_ENDS;
    budget_leaves(p);
    if (!p->threads)
        return true;
    p->to_stop = p->threads;
    ask_some(p);
    if (!p->to_stop)
        return true;
    p->next_to_stop = process_to_stop;
    process_to_stop = p;
    object_ref(&p->object);
    kern_work = true;
    return true;
}

bool process_stop(struct process *p, enum nebulet_end how, u32 code, bool in_call)
{
    kern_acquire();
    bool done = process_stop_locked(p, how, code), unborn = done && !p->begun;
    if (unborn) {
        p->begun = true; // so to speak
        object_ref(&p->object);
    }
    if (in_call)
        kern_release_slowly();
    else
        kern_release();
    if (unborn)
        process_over(p);
    return done;
}

static u64 kernel_memory(const struct process *p)
{
    u64 n = sizeof *p + words_size(&p->words) + handles_size(&p->handles);
    n += p->instance ? instance_size(p->instance) : 0;
    u32 others = p->nthreads ? p->nthreads - 1 : 0;
    return n + p->nthreads * thread_size() + others * sizeof(struct kthread);
}

void process_info(const struct process *p, struct nebulet_info *out)
{
    *out = (struct nebulet_info){
        .cpu_ns = sched_used_ns(p),
        .kernel_memory = kernel_memory(p),
        .memory_peak = p->stats.memory_peak,
        .switches = p->stats.switches,
        .preemptions = p->stats.preemptions,
        .sent = p->stats.sent,
        .received = p->stats.received,
        .id = p->id,
        .handles = p->handles.used,
        .threads = p->nthreads,
        .state = p->state,
    };
    if (p->store)
        out->memory = store_memory_used(p->store, &out->memory_peak);
}
