// SPDX-License-Identifier: MIT
// Threads, from the first, which begins a process, to the last, which ends it: see process.h.
#include "base/heap.h"
#include "kern/cpu.h"
#include "kern/memory.h"
#include "kern/sched.h"
#include "kern/word.h"
#include "plat/plat.h"

static void set_up(struct process *p, struct kthread *t, struct thread *rt)
{
    t->rt = rt;
    object_init(&t->object, OBJECT_thread);
    t->process = p;
    thread_vm(rt)->user = t;
    t->vm = instance_vm(p->instance);
    t->next_turn = t->last_turn = t;
    t->deadline = NEBULET_FOREVER;
}

static struct thread *beside(const struct process *p)
{
    return thread_create_beside(p->instance, !p->module->without_wasi);
}

// A sibling that counts against no limit; NULL: no memory. Frees the thread that it is not to be.
SELDOM static struct kthread *make_thread(struct process *p, struct thread *rt)
{
    bool no_room = !rt || words_reserve(&p->words, p->nthreads + 1) != OK;
    struct kthread *t = no_room ? NULL : heap_zalloc(sizeof *t);
    if (t)
        set_up(p, t, rt);
    else
        thread_free(rt);
    return t;
}

static status new_thread(struct process *p, struct kthread **out)
{
    if (p->nthreads >= p->limits.threads || !account_charge(p->account, ACCOUNT_THREADS, 1))
        return ERR_NO_RESOURCES;
    if ((*out = make_thread(p, beside(p))))
        return OK;
    account_discharge(p->account, ACCOUNT_THREADS, 1);
    return ERR_NO_MEMORY;
}

static status new_main(struct process *p)
{
    if (!account_charge(p->account, ACCOUNT_THREADS, 1))
        return ERR_NO_RESOURCES;
    struct thread *rt = beside(p);
    if (rt) {
        set_up(p, &p->main, rt);
        return OK;
    }
    account_discharge(p->account, ACCOUNT_THREADS, 1);
    return ERR_NO_MEMORY;
}

// One that was never started.
static void drop_thread(struct kthread *t)
{
    thread_free(t->rt);
    instance_free(t->own_instance);
    account_discharge(t->process->account, ACCOUNT_THREADS, 1);
    if (t != &t->process->main)
        heap_free(t);
}

// A reference for being alive; the lock is held.
static void start(struct kthread *t)
{
    struct process *p = t->process;
    object_ref(&t->object);
    t->id = ++p->next_thread;
    t->next_thread = p->threads;
    t->self_thread = &p->threads;
    if (t->next_thread)
        t->next_thread->self_thread = &t->next_thread;
    p->threads = t;
    p->nthreads++;
    thread_next_call(t);
    sched_begin(t);
}

bool thread_next_call(struct kthread *t)
{
    const struct process *p = t->process;
    u32 first = t == &p->main ? p->nfirst : 0, call = t->call;
    if (call == first + t->ncalls || (call && thread_result(t->rt)))
        return false;
    bool last = ++t->call == first + t->ncalls;
    u64 *slots = last && p->slots && t->id == 1 ? p->slots : t->slots;
    thread_prepare(t->rt, call < first ? &p->first[call] : t->calls[call - first], slots,
                   sched_on_ended);
    return true;
}

static void add_call(struct kthread *t, const struct vm_func *f)
{
    t->calls[t->ncalls++] = f;
}

static void add_start(struct kthread *t, struct instance *in)
{
    if (instance_start(in, &t->start))
        add_call(t, &t->start);
}

static status main_thread(struct process *p, const struct vm_func *invoke)
{
    const struct module_object *m = p->module;
    struct kthread *t = &p->main;
    status s = new_main(p);
    if (s)
        return s;
    add_start(t, p->instance);
    const struct export *x = invoke || !m->start ? m->initialize : m->start;
    if (x)
        add_call(t, vm_funcref(t->vm, x->index));
    if (invoke)
        add_call(t, invoke);
    if (!t->ncalls) {
        drop_thread(t);
        return ERR_NOT_FOUND;
    }
    return OK;
}

// Others may want to begin it, too: the first has it.
static bool claim(struct process *p)
{
    kern_acquire();
    bool ours = !p->begun && p->state == NEBULET_CREATED;
    if (ours) {
        p->begun = true;
        object_ref(&p->object); // for being alive
    }
    kern_release();
    return ours;
}

static void live(struct process *p)
{
    process_keeps(p, -1);
    p->state = NEBULET_LIVES;
    budget_begins(p);
    start(&p->main);
}

status process_begin(struct process *p, const struct vm_func *invoke)
{
    if (!claim(p))
        return ERR_BAD_STATE;
    status s = main_thread(p, invoke);
    kern_acquire();
    if (budget_is_over(p)) {
        p->reported = true;
        process_stop_locked(p, NEBULET_LIMIT, 0);
    }
    bool killed = p->state != NEBULET_CREATED;
    if (killed) {
        kern_release();
        if (!s)
            drop_thread(&p->main);
        process_over(p);
        return OK;
    }
    if (s) {
        p->begun = false;
        object_unref(&p->object);
    } else {
        live(p);
    }
    kern_release();
    return s;
}

// Others of its kind from now on: loops poll, and globals are swapped.
SELDOM static void start_sibling(struct process *p, struct kthread *t)
{
    kern_acquire();
    p->polls = true;
    start(t);
    kern_release();
}

SELDOM static bool thread_func(struct process *p, u32 function, const struct vm_func **out)
{
    const struct vmctx *vm = instance_vm(p->instance);
    if (!vm->module->ntables || vm_table(vm, 0)->elem != TYPE_FUNCREF ||
        function >= vm_table(vm, 0)->length)
        return false;
    const struct vm_func *f = vm_table(vm, 0)->at[function].ref;
    if (!f || f->index == VM_FUNC_HOST)
        return false;
    const struct functype *type = module_func_type(f->vm->module, f->index);
    *out = f;
    return type->nparams == 1 && type->types[0] == TYPE_I32 &&
           (type->nresults == 0 || (type->nresults == 1 && type->types[1] == TYPE_I32));
}

status thread_new(struct process *p, u32 function, u32 arg, u32 stack, struct kthread **out)
{
    const struct vm_func *f;
    if (!thread_func(p, function, &f) || (stack && !p->module->stack_pointer))
        return ERR_INVALID_ARG;
    struct kthread *t;
    status s = new_thread(p, &t);
    if (s)
        return s;
    add_call(t, f);
    t->slots[0] = arg;
    t->own[0] = stack;
    t->own[1] = *t->vm->own[1];
    start_sibling(p, t);
    *out = t;
    return OK;
}

SELDOM s64 thread_new_wasi(struct process *p, u32 arg)
{
    struct error e = {0};
    struct extern_ x;
    static const char name[] = "wasi_thread_start";
    struct kthread *t;
    const struct module *m = p->module->module->m;
    if (m->nmemories > m->nimported_memories)
        return ERR_NOT_SUPPORTED; // the new instance would have one of its own, and wait there for
                                  // ever
    status s = new_thread(p, &t);
    if (s)
        return s;
    s = instance_create(p->store, p->module->module, p, &t->own_instance, &e);
    if (!s)
        s = instance_export(t->own_instance, name, sizeof name - 1, &x);
    bool fits = !s && x.kind == EXTERN_FUNC && x.func_type->nparams == 2 &&
                x.func_type->nresults == 0 && x.func_type->types[0] == TYPE_I32 &&
                x.func_type->types[1] == TYPE_I32;
    if (!fits) {
        drop_thread(t);
        return s ? s : ERR_INVALID_ARG;
    }
    t->vm = instance_vm(t->own_instance);
    add_start(t, t->own_instance);
    add_call(t, x.func);
    t->slots[0] = p->next_thread + 1;
    t->slots[1] = arg;
    start_sibling(p, t);
    u32 id = t->id;
    object_release(&t->object);
    return id;
}

bool thread_destroy(struct object *o)
{
    heap_free(container_of(o, struct kthread, object));
    return true;
}

// Of a function without a result: 0, not the argument that is in the slot still.
static u32 value_of(const struct kthread *t, status s)
{
    const struct vm_func *f = t->calls[t->ncalls - 1];
    if (s == ERR_EXIT)
        return thread_vm(t->rt)->exit_code;
    if (s || f->index == VM_FUNC_HOST)
        return 0;
    return module_func_type(f->vm->module, f->index)->nresults ? (u32)t->slots[0] : 0;
}

// --- Telling of a trap. That takes time, for functions may have to be compiled again, and the
// console may be slow; so a further thread of the process does it, while the one that has trapped
// lies as it was. One that has used up its memory has nothing to tell with: so there is a little
// for all that did, which is nobody's.

static bool must_tell(const struct kthread *t)
{
    return !t->mourns && !t->process->reported && thread_result(t->rt) == ERR_TRAP &&
           thread_vm(t->rt)->trap != TRAP_KILLED && kern_hooks()->trapped;
}

static void mourn(struct vmctx *vm, u64 *slots)
{
    struct kthread *m = sched_self();
    (void)vm, (void)slots;
    m->told = true;
    kern_hooks()->trapped(m->process, m->mourns->rt);
}

static const struct vm_func mourning = {.host = mourn, .ref = &mourning, .index = VM_FUNC_HOST};

// Where nobody can do it in its own time: of a few frames, for that does not take long.
static void tell_briefly(struct kthread *t)
{
    thread_note_few(t->rt);
    kern_hooks()->trapped(t->process, t->rt);
}

// There was no memory even for what one that tells needs to begin.
static bool could_not_tell(const struct kthread *m)
{
    return m->mourns && !m->told && thread_result(m->rt) == ERR_TRAP &&
           thread_vm(m->rt)->trap != TRAP_KILLED;
}

SELDOM static void tell_of(struct kthread *t)
{
    struct process *p = t->process;
    enum { TAKES = 1 << 20 }; // as a rule, with what is compiled again for it
    bool has = account_has_room(p->account, ACCOUNT_KEPT, TAKES);
    struct thread *rt = has ? beside(p) : thread_create_for(p->store, kern.traces);
    struct kthread *m = make_thread(p, rt);
    p->reported = true;
    if (!m) {
        tell_briefly(t);
        return;
    }
    add_call(m, &mourning);
    m->mourns = t;
    kern_acquire();
    p->mourner = m;
    start(m);
    object_unref(&m->object);
    kern_release();
}

bool thread_may_wait(const struct kthread *t)
{
    return t->mourns && !rt_pending(thread_vm(t->rt));
}

bool thread_may_begin(const struct kthread *t)
{
    return t->process->state == NEBULET_LIVES || t->undertakes || thread_may_wait(t);
}

// --- The end

// One of its own threads does. Who ends already is not asked again, for that would cut short what
// is told of it.
static void stop(struct process *p, enum nebulet_end how, u32 code)
{
    kern_acquire();
    if (p->state < NEBULET_ENDS)
        process_stop_locked(p, how, code);
    kern_release();
}

// What the end of a thread means for its process.
static void judge(struct kthread *t)
{
    struct process *p = t->process;
    if (t->judged)
        return;
    t->judged = true;
    status s = t->begun ? thread_result(t->rt) : ERR_CANCELLED;
    enum trap trap = (enum trap)thread_vm(t->rt)->trap;
    t->value = value_of(t, s);
    if (s == ERR_EXIT && t->exits_alone) {
        // thread_exit: the process goes on
    } else if (s == ERR_EXIT) {
        stop(p, NEBULET_EXITED, thread_vm(t->rt)->exit_code);
    } else if (s == OK && t->id == 1) {
        stop(p, NEBULET_EXITED, 0);
    } else if (s == ERR_TRAP && trap != TRAP_KILLED) {
        bool tell = must_tell(t);
        stop(p, NEBULET_TRAPPED, trap);
        if (tell)
            tell_of(t);
    } else if (s != OK && s != ERR_TRAP && s != ERR_CANCELLED) {
        stop(p, NEBULET_TRAPPED, TRAP_INTERNAL);
    }
}

static bool alone(const struct kthread *t)
{
    for (const struct kthread *other = t->process->threads; other; other = other->next_thread)
        if (other != t && other->status != THREAD_OVER)
            return false;
    return true;
}

// The frames of one that has trapped are still to be told of, and lie where this would run.
void thread_ending(struct kthread *t)
{
    struct process *p = t->process;
    kern_acquire();
    bool last = !must_tell(t) && alone(t);
    kern_release();
    if (!last)
        return;
    judge(t); // what comes now is no part of its life
    if (kern_hooks()->leaving)
        kern_hooks()->leaving(p);
    p->emptied = true;
    mappings_drop(p);
    store_empty(p->store);
    handles_free(&p->handles);
    if (kern_hooks()->release)
        kern_hooks()->release(p);
}

// The CPU's stack is no place for what takes long: nobody else has the CPU meanwhile. So the last
// thread, if it has never begun, or could not have its trap told of, runs once more for that.
static void nothing(struct vmctx *vm, u64 *slots)
{
    (void)vm, (void)slots;
}

static const struct vm_func undertaking = {
    .host = nothing, .ref = &undertaking, .index = VM_FUNC_HOST};

static bool must_undertake(struct kthread *t)
{
    kern_acquire();
    t->undertakes = !t->process->emptied && alone(t);
    kern_release();
    if (t->undertakes)
        thread_prepare(t->rt, &undertaking, t->slots, sched_on_ended);
    return t->undertakes;
}

// With the lock. True: it was the last one.
static bool remove_thread(struct kthread *t)
{
    struct process *p = t->process;
    alarm_cancel(&t->alarm);
    *t->self_thread = t->next_thread;
    if (t->next_thread)
        t->next_thread->self_thread = t->self_thread;
    p->nthreads--;
    if (p->to_stop == t)
        p->to_stop = t->next_thread;
    if (!t->mourns)
        account_discharge(p->account, ACCOUNT_THREADS, 1);
    object_set(&t->object, NEBULET_ENDED);
    object_unref(&t->object);
    return !p->threads;
}

static void free_stacks(struct kthread *t)
{
    thread_free(t->rt);
    t->rt = NULL;
    instance_leave(t->own_instance);
    t->own_instance = NULL;
}

bool thread_over(struct kthread *t)
{
    struct process *p = t->process;
    struct kthread *dead = t->mourns;
    if (!t->undertakes)
        judge(t);
    if (p->mourner && p->mourner->mourns == t)
        return true;
    if (!p->emptied && must_undertake(t))
        return false;
    if (could_not_tell(t))
        tell_briefly(dead);
    kern_acquire();
    if (dead)
        p->mourner = NULL;
    kern_release();
    free_stacks(t);
    if (dead)
        free_stacks(dead);
    kern_acquire();
    if (dead)
        remove_thread(dead);
    bool last = remove_thread(t);
    if (last && p->state == NEBULET_LIVES)
        process_stop_locked(p, NEBULET_EXITED, 0);
    kern_release();
    if (last)
        process_over(p);
    return true;
}
