// SPDX-License-Identifier: MIT
// Traps: raised by host functions and engines (rt_trap), by the hardware in compiled code (the
// fault hook), and by interrupts and deadlines. All end in arch_unwind, which takes the thread back
// to its entry.
//
// The hook judges a fault by where it happened. In compiled code or its stubs, every fault that the
// compiler can have meant is a trap; anything else there, and any fault in C, is a bug of ours,
// which the platform reports. So a fault never takes C apart, which may hold anything, locks too.
#include "arch/arch.h"
#include "plat/plat.h"
#include "rt/code.h"
#include "rt/memory.h"
#include "rt/thread.h"
#include "wasm/runtime.h"

#define RETRY_NS 1000000ull // after an interrupt that found no guest code

static void forget_frames(const struct thread *t, u8 *from)
{
    u8 *low = t->vm.stack_limit;
    if (from > low && from < t->vm.entry_sp)
        low = from;
    plat_stack_dropped(low, (size_t)(t->vm.entry_sp - low));
}

void rt_trap(struct vmctx *vm, enum trap trap)
{
    struct thread *t = (struct thread *)vm->thread;
    u8 *sp = __builtin_frame_address(0);
    t->vm.trap = trap;
    t->vm.trap_pc = NULL;
    t->vm.trap_sp = t->vm.last_sp;
    t->vm.trap_vm = vm;
    if (trap != TRAP_EXIT)
        trace_note(t, NULL, sp);
    forget_frames(t, sp);
    arch_unwind(&t->vm);
}

void rt_exit(struct vmctx *vm, u32 code)
{
    vm->thread->exit_code = code;
    rt_trap(vm, TRAP_EXIT);
}

// --- Interrupts. Requests to end come from anywhere, those to switch from this CPU's tick.

static const struct rt_scheduler *scheduler;

void rt_set_scheduler(const struct rt_scheduler *s)
{
    scheduler = s;
}

const struct rt_scheduler *rt_get_scheduler(void)
{
    return scheduler;
}

static void ask_to_switch(struct thread *t)
{
    __atomic_or_fetch(&t->vm.interrupt, VM_INTERRUPT_SWITCH, __ATOMIC_RELAXED);
    if (t->store->engine->code)
        t->vm.direct_limit = (u8 *)UINTPTR_MAX;
}

// False: nobody has asked to switch. One to end stays: it looks for its place in the guest
// (on_timer).
static bool take_request(struct vm_thread *t)
{
    u32 what = __atomic_fetch_and(&t->interrupt, ~VM_INTERRUPT_SWITCH, __ATOMIC_RELAXED);
    if (what == VM_INTERRUPT_SWITCH)
        allow_host(t);
    return what & VM_INTERRUPT_SWITCH;
}

enum trap rt_interrupted(struct vmctx *vm)
{
    struct vm_thread *t = vm->thread;
    if (take_request(t))
        scheduler->preempt(vm);
    return rt_pending(t);
}

u32 rt_look_up(void)
{
    struct vmctx *vm = thread_running_in();
    bool asked = vm && unlikely(__atomic_load_n(&vm->thread->interrupt, __ATOMIC_RELAXED));
    return asked ? rt_interrupted(vm) : TRAP_NONE;
}

void rt_check_interrupt(struct vmctx *vm)
{
    if (likely(!__atomic_load_n(&vm->thread->interrupt, __ATOMIC_RELAXED)))
        return;
    enum trap trap = rt_interrupted(vm);
    if (trap)
        rt_trap(vm, trap);
}

u64 rt_passed(struct vmctx *vm)
{
    rt_check_interrupt(vm);
    return 0;
}

// A trap that waits is left to the next tick, which finds the place in the code that it belongs to.
void rt_preempted(struct vmctx *vm)
{
    take_request(vm->thread);
    scheduler->preempt(vm);
    if (rt_pending(vm->thread))
        plat_timer(plat_now());
}

// --- The fault hook

bool trap_in_stubs(const u8 *pc)
{
    return pc >= arch_stub_import && pc < arch_stubs_end;
}

// div and idiv are F6 and F7 with /6 and /7; before the opcode there may be prefixes.
static enum trap divide_trap(const u8 *pc)
{
    u32 opcode = *pc, extension;
    while ((opcode & 0xf0) == 0x40 || opcode == 0x66)
        opcode = *++pc;
    if (opcode - 0xf6 > 1)
        return TRAP_NONE;
    extension = pc[1] & 0x38;
    return extension == 0x30 ? TRAP_DIV_ZERO : extension == 0x38 ? TRAP_INT_OVERFLOW : TRAP_NONE;
}

static enum trap illegal_trap(const u8 *pc)
{
    bool ud2 = pc[0] == 0x0f && pc[1] == 0x0b;
    return ud2 && pc[2] > TRAP_NONE && pc[2] < TRAPS ? (enum trap)pc[2] : TRAP_NONE;
}

static enum trap memory_trap(const struct thread *t, const struct plat_fault *f)
{
    if (thread_guards(t, f->address))
        return TRAP_STACK; // in arch_touch, `instance` is anything
    const struct vmctx *vm = (const struct vmctx *)(uintptr_t)*f->instance;
    // An access that begins in the reservation's last bytes ends behind it, and the processor may
    // name either page.
    u64 reach = VM_MEMORY_FRONT + MEMORY_RESERVATION + sizeof(union vm_global);
    u64 address = f->address + VM_MEMORY_FRONT;
    if (address - (u64)(uintptr_t)vm->mem_base < reach)
        return TRAP_MEMORY;
    for (u32 i = 1; i < vm->module->nmemories; i++)
        if (address - (u64)(uintptr_t)vm_far(vm, i)->base < reach)
            return TRAP_MEMORY;
    return TRAP_NONE;
}

static bool in_guest(const struct plat_fault *f)
{
    const u8 *pc = (const u8 *)(uintptr_t)*f->pc;
    return code_contains(pc) || trap_in_stubs(pc);
}

static enum trap classify(const struct thread *t, const struct plat_fault *f)
{
    const u8 *pc = (const u8 *)(uintptr_t)*f->pc;
    switch (f->kind) {
    case FAULT_MEMORY: return memory_trap(t, f);
    case FAULT_DIVIDE: return divide_trap(pc);
    case FAULT_ILLEGAL: return illegal_trap(pc);
    case FAULT_TIMER: break;
    }
    return TRAP_NONE;
}

static void resume_in_unwind(struct thread *t, struct plat_fault *f, enum trap trap)
{
    const u8 *pc = (const u8 *)(uintptr_t)*f->pc;
    u8 *sp = (u8 *)(uintptr_t)*f->sp;
    if (sp > (u8 *)t) // on the spare stack, for which there is no memory
        pc = t->vm.resume, sp = t->vm.resume_sp;
    t->vm.trap = trap;
    t->vm.trap_pc = pc;
    t->vm.trap_sp = sp;
    t->vm.trap_address = f->kind == FAULT_MEMORY ? f->address : *f->element;
    t->vm.trap_vm = (struct vmctx *)(uintptr_t)*f->instance;
    trace_note(t, pc, sp);
    forget_frames(t, sp);
    *f->pc = (u64)(uintptr_t)arch_unwind;
    *f->argument = (u64)(uintptr_t)&t->vm;
}

// Makes the thread call rt_preempted as if from where it is: compiled code keeps nothing below its
// stack pointer. Short of stack it does so on the spare one. False: it is in C, or has none.
static bool preempt_here(struct thread *t, struct plat_fault *f)
{
    u8 *sp = (u8 *)(uintptr_t)*f->sp, *spare = NULL;
    if (!code_contains((const void *)(uintptr_t)*f->pc) || sp < t->reservation || sp > (u8 *)t)
        return false;
    bool deep = sp < t->vm.stack_limit + VM_HOST_STACK;
    if (deep && !(spare = thread_spare(t)))
        return false;
    t->vm.resume = (const u8 *)(uintptr_t)*f->pc;
    t->vm.resume_sp = sp;
    *f->pc = (u64)(uintptr_t)(deep ? arch_stub_preempt_deep : arch_stub_preempt);
    if (deep)
        *f->sp = (u64)(uintptr_t)spare;
    return true;
}

// In C: an interpreter looks soon, and a guest of compiled code at its next
// call, if that has its arguments in registers, or when the call ends.
static void on_tick(struct thread *t, struct plat_fault *f)
{
    if (preempt_here(t, f))
        return;
    ask_to_switch(t);
    plat_timer(plat_now() + RETRY_NS);
}

// A tick may be early, late, or for a call that is over.
static void on_timer(struct thread *t, struct plat_fault *f)
{
    bool scheduled = t->ended && scheduler;
    bool wanted = scheduled && scheduler->tick(t); // it must know that its timer has gone
    if (t->deadline <= plat_now() && !rt_pending(&t->vm))
        thread_request(t, TRAP_TIME);
    if (!rt_pending(&t->vm)) {
        if (wanted)
            on_tick(t, f);
        else if (!scheduled)
            plat_timer(t->deadline);
        return;
    }
    if (t->vm.entry_sp && code_contains((const void *)(uintptr_t)*f->pc)) {
        resume_in_unwind(t, f, rt_pending(&t->vm));
        return;
    }
    if (wanted)
        ask_to_switch(t); // C code that gives things back before it ends lets others run, too
    // A guest that does little else than call the host might never be found in its own code: from
    // now on there is no stack for host functions, so its next call ends it.
    if (t->store->engine->code)
        t->vm.host_limit = t->vm.direct_limit = (u8 *)UINTPTR_MAX;
    plat_timer(plat_now() + RETRY_NS);
}

// The guest may go on: it has got the stack that it wants.
static bool has_more(struct thread *t, struct plat_fault *f)
{
    if (f->kind == FAULT_MEMORY)
        return thread_deepen(t, f->address);
    if (*f->pc != (u64)(uintptr_t)arch_stub_links_full || !thread_more_links(t))
        return false;
    *f->pc = (u64)(uintptr_t)arch_stub_link;
    return true;
}

bool trap_on_fault(struct plat_fault *f)
{
    struct thread *t = thread_running();
    if (f->kind == FAULT_TIMER) {
        if (t)
            on_timer(t, f);
        else if (scheduler)
            scheduler->tick(NULL);
        return true;
    }
    if (!t || !t->vm.entry_sp)
        return false;
    // The frames of C that is watched are larger than what is ready for them.
    bool guest = in_guest(f);
    if ((guest || PLAT_TRACKS_STACKS) && has_more(t, f))
        return true;
    if (!guest)
        return false;
    enum trap trap = classify(t, f);
    if (trap == TRAP_STACK && rt_pending(&t->vm))
        trap = rt_pending(&t->vm);
    if (trap)
        resume_in_unwind(t, f, trap);
    return trap != TRAP_NONE;
}
