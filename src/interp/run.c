// SPDX-License-Identifier: MIT
// The instructions of the interpreter.
//
// Threaded code without code: every instruction is a function that ends in a tail call to the
// function of the next opcode byte. preserve_none passes the whole state in registers and musttail
// makes the call a jump, so that a handler is what one would write in assembler, and the C stack
// does not grow, whatever the guest does. State:
//
//   t      dispatch tables, one for each number of operands in registers (see handlers.h)
//   mem    base of memory 0, and
//   bytes  its size: reloaded after anything that may have changed them
//   frame  the activation's record; frame->vm is the instance
//   pc     the instruction, in the module's bytes
//   sp     above the topmost operand in memory
//   side   the next entry of the side table (struct branch)
//   r0 r1  the topmost operands (r1 is where x86 shifts want a count)
//   fp     the locals
//
// handlers.h holds the hot instructions and the regular rows of ops.def, this file the others,
// which want all operands in memory (depth 0), and what calls are made of. Validation has accepted
// every byte that is decoded here.
//
// Where the compiler is asked for small code (-Os), as for the kernel, the interpreter is small by
// itself too: all operands are in memory, so that there is one handler of each instruction.
//
// Every i32 and f32 cell has a zero upper half. A trap stores the pc in frame->call, sets
// thread->trap and returns ERR_TRAP from the whole run. An asynchronous request (thread->interrupt)
// is looked at where code goes back or calls and behind bulk operations, and one to let other
// threads run (vmctx->poll) where it goes back and the side table says so. Modules with much code
// that does none of these have tables of their own, in which all instructions are one that counts,
// looks from time to time, and goes on to the real one.
#include "interp/interp.h"
#include "wasm/leb.h"
#include "wasm/num.h"
#include "wasm/runtime.h"

// How many operands may be in registers, and whether each handler has a copy of a common part.
#ifdef __OPTIMIZE_SIZE__
#define REGISTERS 0
#define COMMON_PART __attribute__((noinline))
#else
#define REGISTERS 2
#define COMMON_PART __attribute__((always_inline)) inline
#endif

struct tables;

#define STATE                                                                                      \
    const struct tables *t, u8 *mem, u64 bytes, struct frame *frame, const u8 *pc, u64 *sp,        \
        const struct branch *side, u64 r1, u64 r0, u64 *fp
#define ARGS t, mem, bytes, frame, pc, sp, side, r1, r0, fp

#define HANDLER_CC __attribute__((preserve_none))
typedef HANDLER_CC status handler(STATE);

// Opcodes 0 to 0xff, then those of the prefix 0xfc. Those of 0xfe have a table for themselves.
enum { PREFIX_FC = 0x100, TABLE_SIZE = PREFIX_FC + 0x17, ATOMICS = 0x4f };
#define TABLE_INDEX(code) ((code) < 0x100 ? (code) : PREFIX_FC + ((code) & 0xff))
struct tables {
    handler *at[REGISTERS + 1][TABLE_SIZE];
    bool wide;                 // of modules that use v128
    const struct tables *real; // where all of at[] counts; NULL: it does not
};
static const struct tables tables, wide_tables;
static handler *const atomics[ATOMICS];

// The byte that the bottom record returns to; no opcode of WebAssembly.
enum { OP_leave = 0xff, OP_prefix_fb = 0xfb, OP_prefix_fc, OP_prefix_fd, OP_prefix_fe };
static const u8 leave_code[] = {OP_leave};

// --- The language of handlers

#define GO(target) __attribute__((musttail)) return (target)(ARGS)
#define BEGIN u32 depth = DEPTH
// Ends the run.
#define STOP(result)                                                                               \
    do {                                                                                           \
        (void)t, (void)mem, (void)bytes, (void)frame, (void)pc, (void)sp, (void)side;              \
        (void)r0, (void)r1, (void)fp;                                                              \
        return (result);                                                                           \
    } while (0)
// The next instruction, with what is in registers now; what r0 and r1 hold otherwise is nobody's
// concern.
#define NEXT                                                                                       \
    do {                                                                                           \
        handler *next_handler = t->at[depth][*pc];                                                 \
        APART(next_handler);                                                                       \
        if (depth < 1)                                                                             \
            ANYTHING(r0);                                                                          \
        if (depth < 2)                                                                             \
            ANYTHING(r1);                                                                          \
        GO(next_handler);                                                                          \
    } while (0)
// The compiler is not to join the ends of paths: each has its own jump, which is predicted by
// itself.
#ifdef __OPTIMIZE_SIZE__
#define APART(x)
#else
#define APART_AT(x, place) __asm__ volatile("# " #place : "+r"(x))
#define APART_IN(x, place) APART_AT(x, place)
#define APART(x) APART_IN(x, __COUNTER__)
#endif
#define ANYTHING(x) __asm__ volatile("" : "=r"(x))
#define OPAQUE(x) __asm__("" : "+r"(x)) // the compiler is not to take x apart again

#define POP                                                                                        \
    ({                                                                                             \
        u64 top_ = depth == 0 ? *--sp : depth == 1 ? r0 : r1;                                      \
        depth -= depth > 0;                                                                        \
        top_;                                                                                      \
    })
#define PUSH(value)                                                                                \
    do {                                                                                           \
        u64 pushed_ = (value);                                                                     \
        if (depth == 2)                                                                            \
            *sp++ = r0, r0 = r1;                                                                   \
        if (MOST == 0)                                                                             \
            *sp++ = pushed_;                                                                       \
        else if (depth == 0)                                                                       \
            r0 = pushed_;                                                                          \
        else                                                                                       \
            r1 = pushed_;                                                                          \
        depth += depth < MOST;                                                                     \
    } while (0)
#define SPILL                                                                                      \
    do {                                                                                           \
        if (depth > 0)                                                                             \
            *sp++ = r0;                                                                            \
        if (depth > 1)                                                                             \
            *sp++ = r1;                                                                            \
        depth = 0;                                                                                 \
    } while (0)

// Traps. TRAP at the instruction at pc, TRAP_CALL at the one that frame->call points to.
#define TRAP(kind)                                                                                 \
    do {                                                                                           \
        frame->call = pc;                                                                          \
        TRAP_CALL(kind);                                                                           \
    } while (0)
#define TRAP_CALL(kind)                                                                            \
    do {                                                                                           \
        r0 = (kind);                                                                               \
        GO(raise);                                                                                 \
    } while (0)

#define INTERRUPT (*(volatile u32 *)&frame->vm->thread->interrupt)

// Who looks at the frames finds them.
static enum trap interrupted(struct frame *frame)
{
    frame->vm->thread->last_sp = (u8 *)frame;
    return rt_interrupted(frame->vm);
}
#define POLL (*(volatile u32 *)&frame->vm->poll)
#define TABLES(vm) (vm_program(vm)->tables)
#define RELOAD_MEMORY (mem = frame->vm->mem_base, bytes = memory_bytes(frame->vm))
// Leaves the activation for its caller's, which goes on behind the call.
#define TO_CALLER                                                                                  \
    do {                                                                                           \
        struct vmctx *left_ = (frame++)->vm;                                                       \
        fp = frame->fp;                                                                            \
        pc = frame->pc;                                                                            \
        side = frame->side;                                                                        \
        if (unlikely(frame->vm != left_)) {                                                        \
            frame->vm->thread = left_->thread;                                                     \
            t = TABLES(frame->vm);                                                                 \
            RELOAD_MEMORY;                                                                         \
        }                                                                                          \
    } while (0)

// Takes an entry of the side table.
#define BRANCH(entry)                                                                              \
    do {                                                                                           \
        const struct branch *branch_ = (entry);                                                    \
        if (unlikely(branch_->drop) || (branch_->dpc <= 0 && unlikely(INTERRUPT))) {               \
            SPILL;                                                                                 \
            r0 = (u64)branch_;                                                                     \
            GO(branch_slow);                                                                       \
        }                                                                                          \
        pc += branch_->dpc;                                                                        \
        side = branch_ + branch_->dside;                                                           \
        NEXT;                                                                                      \
    } while (0)

// The end of an access is below 2^34: nothing overflows. The access itself is at mem + end - size.
#define BOUNDS(end, size)                                                                          \
    do {                                                                                           \
        OPAQUE(end);                                                                               \
        if (unlikely((end) > bytes)) {                                                             \
            r0 = (end) - (size);                                                                   \
            GO(trap_memory);                                                                       \
        }                                                                                          \
    } while (0)

// --- Fusion. A handler may look at the next opcode and, when it is one that often follows, do its
// work too: that saves a dispatch, which costs more than the instruction. Nothing is rewritten, and
// each instruction still has its handler.
#define IF_LONG(id)                                                                                \
    if (unlikely(pc[1] & 0x80))                                                                    \
    GO(SAME_DEPTH(id##_long))
#define NEXT_IS(id) (*pc == OP_##id)
#define NEXT_IS_SHORT(id) (*pc == OP_##id && !(pc[1] & 0x80)) /* with an immediate of one byte */

// Goes on after an instruction that a local.get often follows: a quarter of all instructions are.
#define NEXT_OR_LOCAL                                                                              \
    do {                                                                                           \
        if (!WIDE && NEXT_IS_SHORT(local_get)) {                                                   \
            PUSH(fp[pc[1]]);                                                                       \
            pc += 2;                                                                               \
            NEXT;                                                                                  \
        }                                                                                          \
        NEXT;                                                                                      \
    } while (0)

// Ends an instruction with a result, which may go to a local at once. pc is on the next one; the
// instructions of locals are neighbours, so that one comparison tells that it is none of them.
#define RESULT(value)                                                                              \
    do {                                                                                           \
        u64 result_ = (value);                                                                     \
        u32 next_ = *pc - OP_local_get;                                                            \
        if (WIDE || next_ > OP_local_tee - OP_local_get || unlikely(pc[1] & 0x80)) {               \
            PUSH(result_);                                                                         \
            NEXT;                                                                                  \
        }                                                                                          \
        u64 *local_ = &fp[pc[1]];                                                                  \
        pc += 2;                                                                                   \
        if (next_ == OP_local_set - OP_local_get) {                                                \
            *local_ = result_;                                                                     \
            NEXT_OR_LOCAL;                                                                         \
        }                                                                                          \
        PUSH(result_);                                                                             \
        if (next_ == OP_local_tee - OP_local_get) {                                                \
            *local_ = result_;                                                                     \
            NEXT;                                                                                  \
        }                                                                                          \
        PUSH(*local_);                                                                             \
        NEXT;                                                                                      \
    } while (0)

// What a type's cell holds as a C value, and back.
#define T_I32 u32
#define T_I64 u64
#define T_F32 f32
#define T_F64 f64
#define GET_I32(cell) ((u32)(cell))
#define GET_I64(cell) (cell)
#define GET_F32(cell) bits_f32((u32)(cell))
#define GET_F64(cell) bits_f64(cell)
#define PUT_I32(v) ((u64)(u32)(v))
#define PUT_I64(v) ((u64)(v))
#define PUT_F32(v) ((u64)f32_bits(v))
#define PUT_F64(v) f64_bits(v)

// --- Immediates. leb.h would do, but these are quick where linkers leave padded numbers of five
// bytes, as they do for the indices of functions and globals and for addresses, and they keep to
// the few registers that a handler has left.

struct number {
    const u8 *next;
    u64 value;
};

// One of two bytes and more: quick for two, and for what linkers leave, below 2^21 in five.
// preserve_most: a handler that calls it has nothing to save.
static COMMON_PART __attribute__((preserve_most)) struct number long_number(const u8 *p)
{
    if (p[1] < 0x80)
        return (struct number){p + 2, p[0] + ((u32)p[1] << 7) - 0x80};
    u32 w = load_u32(p); // three bytes at least, and an instruction follows
    u32 v = (w & 0x7f) | (w >> 1 & 0x3f80) | (w >> 2 & 0x1fc000);
    if (likely((w & 0xff808080) == 0x80808080 && p[4] == 0))
        return (struct number){p + 5, v};
    if (!(w & 0x800000))
        return (struct number){p + 3, v};
    v |= w >> 3 & 0xfe00000;
    if (!(w & 0x80000000))
        return (struct number){p + 4, v};
    return (struct number){p + 5, v | (u32)p[4] << 28};
}

static inline u32 imm_u32(const u8 **pp)
{
    const u8 *p = *pp;
    if (likely(p[0] < 0x80))
        return *pp = p + 1, p[0];
    struct number n = long_number(p);
    *pp = n.next;
    return (u32)n.value;
}

static inline u32 imm_s32(const u8 **pp)
{
    const u8 *p = *pp;
    u32 v = imm_u32(pp);
    if (likely(*pp - p == 5))
        return v;
    u32 unused = 32 - 7 * (u32)(*pp - p);
    return (u32)((s32)(v << unused) >> unused);
}

// Over a LEB128 number.
#define SKIP_LEB(pc) while (unlikely(*(pc)++ & 0x80))
#define SKIP_TYPE(pc) pc = type_skip(pc)

// The offset of a memarg; the alignment is a hint that tells nothing here.
static inline u32 imm_memarg(const u8 **pp)
{
    SKIP_LEB(*pp);
    OPAQUE(*pp);
    return imm_u32(pp);
}

// --- Parts

static inline u64 memory_bytes(const struct vmctx *vm)
{
    return vm->mem ? vm->mem->bytes : 0;
}

static inline u64 global_read(const struct vmctx *vm, u32 index)
{
    u64 value = vm_global(vm, index)->i64;
    valtype type = vm->module->globals[index].type;
    return type == TYPE_I32 || type == TYPE_F32 ? (u32)value : value;
}

static __attribute__((noinline)) HANDLER_CC status raise(STATE)
{
    struct vm_thread *thread = frame->vm->thread;
    thread->trap = (u32)r0;
    thread->trap_pc = NULL;
    thread->trap_vm = frame->vm;
    thread->last_sp = (u8 *)frame;
    STOP(ERR_TRAP);
}

// At the address r0 of memory 0.
static __attribute__((noinline)) HANDLER_CC status trap_memory(STATE)
{
    frame->vm->thread->trap_address = (u64)(uintptr_t)mem + r0;
    TRAP(TRAP_MEMORY);
}

// The same where frame->call has been set.
static __attribute__((noinline)) HANDLER_CC status trap_atomic(STATE)
{
    frame->vm->thread->trap_address = (u64)(uintptr_t)mem + r0;
    TRAP_CALL(TRAP_MEMORY);
}

// Of a call through a table: for the trap r0, what the thread tells of it is r1.
static __attribute__((noinline)) HANDLER_CC status trap_indirect(STATE)
{
    frame->vm->thread->trap_address = r1;
    TRAP_CALL(r0);
}

// Depth 0: what is left of an instruction when its operands have gone to memory, or when it is a
// call.
#define DEPTH 0
#define MOST REGISTERS // operands in registers after an instruction
#define WIDE 0
#define HANDLER(id) static HANDLER_CC status op_##id##_0(STATE)
#define SAME_DEPTH(id) op_##id##_0

// Lets other threads run before the instruction at pc.
static __attribute__((noinline)) HANDLER_CC status poll(STATE)
{
    BEGIN;
    frame->call = pc;
    frame->vm->thread->last_sp = (u8 *)frame;
    rt_poll(frame->vm);
    RELOAD_MEMORY;
    NEXT;
}

// The same for an interrupt.
static __attribute__((noinline)) HANDLER_CC status look(STATE)
{
    BEGIN;
    frame->call = pc;
    enum trap trap = interrupted(frame);
    if (trap)
        TRAP_CALL(trap);
    RELOAD_MEMORY;
    NEXT;
}

// Takes the entry r0 of the side table, which drops cells below those it keeps, or polls; or there
// is an interrupt.
static HANDLER_CC status branch_slow(STATE)
{
    BEGIN;
    const struct branch *branch = (const struct branch *)r0;
    u64 *from = sp - branch->keep, *to = from - (branch->drop & ~BRANCH_POLL);
    for (u32 i = 0; i < branch->keep; i++)
        to[i] = from[i];
    for (u32 i = 0; t->wide && i < branch->keep; i++)
        to[i + VM_CELLS] = from[i + VM_CELLS];
    sp = to + branch->keep;
    if (branch->dpc <= 0 && unlikely(INTERRUPT)) {
        frame->call = pc;
        enum trap trap = interrupted(frame);
        if (trap)
            TRAP_CALL(trap);
        RELOAD_MEMORY;
    }
    pc += branch->dpc;
    side = branch + branch->dside;
    if ((branch->drop & BRANCH_POLL) && unlikely(POLL))
        GO(poll);
    NEXT;
}

static HANDLER_CC status return_many(STATE)
{
    BEGIN;
    u32 nresults = frame->code->nresults;
    const u64 *from = sp - nresults;
    for (u32 i = 0; i < nresults; i++)
        fp[i] = from[i];
    for (u32 i = 0; t->wide && i < nresults; i++)
        fp[i + VM_CELLS] = from[i + VM_CELLS];
    sp = fp + nresults;
    TO_CALLER;
    NEXT;
}

// Enters the function r0 (struct code) of the instance r1. The caller's record has pc, call and
// side.
static HANDLER_CC status enter_code(STATE)
{
    BEGIN;
    const struct code *code = (const struct code *)r0;
    enum trap trap = unlikely(INTERRUPT) ? interrupted(frame) : TRAP_NONE;
    if (unlikely(trap))
        TRAP_CALL(trap);
    u64 *base = sp - code->nparams;
    if (unlikely((u64)((u64 *)frame - base) < code->need))
        TRAP_CALL(TRAP_STACK);
    struct vm_thread *thread = frame->vm->thread;
    if (unlikely(base + code->need > thread->cells_ready) ||
        unlikely((u64 *)(frame - 1) < thread->frames_ready)) {
        thread->last_sp = (u8 *)frame;
        interp_room(frame->vm, base + code->need, frame - 1);
    }
    if (unlikely(t->wide)) {
        thread->last_sp = (u8 *)frame;
        interp_upper(frame->vm, base, sp, code);
    }
    fp = base;
    base += code->nlocals;
    for (; sp < base; sp += 2)
        *(struct pair { u64 a, b; } *)sp = (struct pair){0, 0};
    sp = base;
    frame--;
    frame->code = code;
    frame->vm = (struct vmctx *)r1;
    frame->fp = fp;
    frame->end = code->end;
    pc = code->start;
    side = code->side;
    NEXT;
}

// A host function leaves the upper halves of its narrow results undefined.
static inline void clear_upper(const struct functype *type, u64 *results)
{
    for (u32 i = 0; i < type->nresults; i++) {
        valtype result = type->types[type->nparams + i];
        if (result == TYPE_I32 || result == TYPE_F32)
            results[i] = (u32)results[i];
    }
}

// Calls the host function r0, whose type is r1. The cells that are free are the thread's, should it
// call back.
static HANDLER_CC status call_host(STATE)
{
    BEGIN;
    const struct vm_func *f = (const struct vm_func *)r0;
    const struct functype *type = (const struct functype *)r1;
    struct vmctx *vm = frame->vm;
    struct vm_thread *thread = vm->thread;
    thread->last_sp = (u8 *)frame;
    thread->cells = fp + (frame->code->need - FRAME_CELLS);
    thread->cells_end = (u64 *)frame;
    u64 *slots = sp - type->nparams;
    f->host(vm, slots);
    vm->thread = thread; // others may have run in between
    clear_upper(type, slots);
    sp = slots + type->nresults;
    pc = frame->pc;
    RELOAD_MEMORY;
    NEXT;
}

// Calls the canonical function r0, whose type is r1, of whatever owner.
static HANDLER_CC status call_func(STATE)
{
    const struct vm_func *f = (const struct vm_func *)r0;
    if (f->index == VM_FUNC_HOST)
        GO(call_host);
    struct program *program = vm_program(f->vm);
    if (unlikely(!program))
        TRAP_CALL(TRAP_INTERNAL);
    r0 = (u64)&program->funcs[f->index - program->nimported];
    r1 = (u64)f->vm;
    if (f->vm != frame->vm) {
        f->vm->thread = frame->vm->thread;
        t = TABLES(f->vm);
        mem = f->vm->mem_base;
        bytes = memory_bytes(f->vm);
    }
    GO(enter_code);
}

// --- Calls

HANDLER(call)
{
    const u8 *next = pc + 1;
    u32 index = imm_u32(&next);
    struct vmctx *vm = frame->vm;
    struct program *program = vm_program(vm);
    frame->call = pc;
    frame->pc = next;
    frame->side = side;
    if (likely(index >= program->nimported)) {
        r0 = (u64)&program->funcs[index - program->nimported];
        r1 = (u64)vm;
        GO(enter_code);
    }
    r0 = (u64)vm_import(vm, index)->ref;
    r1 = (u64)module_func_type(vm->module, index);
    GO(call_func);
}

// r0 = the element that the operand says, of the type r1.
#define INDIRECT_TARGET                                                                            \
    const u8 *next = pc + 1;                                                                       \
    u32 type_index = imm_u32(&next);                                                               \
    const struct vm_table *table = vm_table(frame->vm, imm_u32(&next));                            \
    const struct functype *type = &frame->vm->module->types[type_index];                           \
    u64 index = *--sp;                                                                             \
    frame->call = pc;                                                                              \
    if (unlikely(index >= table->length)) {                                                        \
        r0 = TRAP_UNDEFINED_ELEMENT, r1 = index;                                                   \
        GO(trap_indirect);                                                                         \
    }                                                                                              \
    const struct vm_func *f = &table->at[index];                                                   \
    if (unlikely(f->type != type->id) &&                                                           \
        !(type->open && rt_is_function(frame->vm, f->type, type_index))) {                         \
        r0 = f->type ? TRAP_INDIRECT_CALL : TRAP_UNINITIALIZED_ELEMENT, r1 = (u64)f;               \
        GO(trap_indirect);                                                                         \
    }                                                                                              \
    r0 = (u64)f;                                                                                   \
    r1 = (u64)type

HANDLER(call_indirect)
{
    INDIRECT_TARGET;
    frame->pc = next;
    frame->side = side;
    GO(call_func);
}

#define REF_TARGET                                                                                 \
    const u8 *next = pc + 1;                                                                       \
    r1 = (u64) & frame->vm->module->types[imm_u32(&next)];                                         \
    r0 = *--sp;                                                                                    \
    frame->call = pc;                                                                              \
    if (unlikely(!r0))                                                                             \
    TRAP_CALL(TRAP_NULL_FUNCTION)

HANDLER(call_ref)
{
    REF_TARGET;
    frame->pc = next;
    frame->side = side;
    GO(call_func);
}

// --- Exceptions

// Where the thread's exception is caught, which the innermost frame throws.
static HANDLER_CC status unwind(STATE)
{
    BEGIN;
    enum { AT_ONCE = 64 };
    struct vm_thread *thread = frame->vm->thread;
    const struct vm_exception *e = thread->exception;
    const struct handler_note *h = NULL;
    struct frame *to = frame;
    u32 height = 0, steps = 0;
    for (u32 n = 1; to->code && !(h = interp_handler(to, e->tag, &height, &steps)); to++, n++) {
        enum trap trap = n % AT_ONCE == 0 && unlikely(INTERRUPT) ? interrupted(frame) : 0;
        if (unlikely(trap))
            TRAP_CALL(trap);
    }
    if (unlikely(!h)) {
        thread->uncaught = e->tag;
        TRAP_CALL(TRAP_EXCEPTION);
    }
    frame = to;
    frame->vm->thread = thread;
    t = TABLES(frame->vm);
    RELOAD_MEMORY;
    fp = frame->fp;
    sp = fp + frame->code->nlocals + height;
    const u64 *cells = e->cells;
    const struct functype *type = h->pays ? module_tag_type(frame->vm->module, h->tag) : NULL;
    for (u32 i = 0; type && i < type->nparams; i++, sp++) {
        *sp = *cells++;
        if (type->types[i] == TYPE_V128)
            sp[VM_CELLS] = *cells++;
    }
    u64 ref = rt_exception_caught(frame->vm, h->keeps);
    const struct program *program = vm_program(frame->vm);
    pc = frame->vm->module->bytes + h->pc;
    side = program->branches + h->side;
    if (h->table) {
        if (h->keeps)
            *sp++ = ref;
        BRANCH(side);
    }
    if (h->keeps)
        fp[h->hidden] = ref;
    NEXT;
}

HANDLER(throw)
{
    const u8 *next = pc + 1;
    u32 tag = imm_u32(&next);
    const struct functype *type = module_tag_type(frame->vm->module, tag);
    frame->call = pc;
    frame->vm->thread->last_sp = (u8 *)frame;
    u64 *cells = rt_exception_new(frame->vm, tag)->cells;
    sp -= type->nparams;
    for (u32 i = 0; i < type->nparams; i++) {
        *cells++ = sp[i];
        if (type->types[i] == TYPE_V128)
            *cells++ = sp[i + VM_CELLS];
    }
    GO(unwind);
}

HANDLER(throw_ref)
{
    frame->call = pc;
    frame->vm->thread->last_sp = (u8 *)frame;
    rt_exception_take(frame->vm, sp[-1]);
    GO(unwind);
}

HANDLER(rethrow)
{
    frame->call = pc;
    frame->vm->thread->last_sp = (u8 *)frame;
    rt_exception_take(frame->vm, fp[side->keep]);
    GO(unwind);
}

HANDLER(try)
{
    BEGIN;
    pc++;
    SKIP_TYPE(pc);
    NEXT;
}

HANDLER(delegate)
{
    BEGIN;
    pc++;
    SKIP_LEB(pc);
    NEXT;
}

// The code before it goes on behind the end.
HANDLER(catch)
{
    BEGIN;
    BRANCH(side);
}

HANDLER(catch_all)
{
    BEGIN;
    BRANCH(side);
}

HANDLER(try_table)
{
    BEGIN;
    pc++;
    SKIP_TYPE(pc);
    u32 n = imm_u32(&pc);
    side += n;
    for (; n > 0; n--) {
        if (*pc++ < 2) // a tag
            SKIP_LEB(pc);
        SKIP_LEB(pc);
    }
    NEXT;
}

// --- Tail calls: the arguments go to where the locals are, and the record to the next activation.

// Lets other threads run where that is looked for: calls in a circle are a loop. They may change
// what a table has, so nothing is looked up before.
#define TAIL_POLL                                                                                  \
    do {                                                                                           \
        frame->call = pc;                                                                          \
        if (unlikely(POLL) && module_polls(frame->vm->module, frame->code->index)) {               \
            frame->vm->thread->last_sp = (u8 *)frame;                                              \
            rt_poll(frame->vm);                                                                    \
            RELOAD_MEMORY;                                                                         \
        }                                                                                          \
    } while (0)

// Puts the topmost operands there.
#define TAIL_ARGUMENTS(count)                                                                      \
    do {                                                                                           \
        u32 n_ = (count);                                                                          \
        const u64 *from_ = sp - n_;                                                                \
        for (u32 i = 0; i < n_; i++)                                                               \
            fp[i] = from_[i];                                                                      \
        for (u32 i = 0; t->wide && i < n_; i++)                                                    \
            fp[i + VM_CELLS] = from_[i + VM_CELLS];                                                \
        sp = fp + n_;                                                                              \
    } while (0)

// Calls the host function r0, whose type is r1 and whose arguments are the locals, for the caller.
static HANDLER_CC status tail_host(STATE)
{
    BEGIN;
    const struct vm_func *f = (const struct vm_func *)r0;
    const struct functype *type = (const struct functype *)r1;
    struct vmctx *vm = frame->vm;
    struct vm_thread *thread = vm->thread;
    thread->last_sp = (u8 *)(frame + 1);
    thread->cells = fp + (frame->code->need - FRAME_CELLS);
    thread->cells_end = (u64 *)frame;
    f->host(vm, fp);
    vm->thread = thread;
    clear_upper(type, fp);
    sp = fp + type->nresults;
    TO_CALLER;
    RELOAD_MEMORY;
    NEXT;
}

// Calls the canonical function r0, whose type is r1, of whatever owner.
static HANDLER_CC status tail_func(STATE)
{
    const struct vm_func *f = (const struct vm_func *)r0;
    TAIL_ARGUMENTS(((const struct functype *)r1)->nparams);
    if (f->index == VM_FUNC_HOST)
        GO(tail_host);
    struct vmctx *vm = (frame++)->vm;
    if (unlikely(frame->vm != vm)) {
        frame->vm->thread = vm->thread;
        t = TABLES(frame->vm);
        RELOAD_MEMORY;
    }
    GO(call_func);
}

HANDLER(return_call)
{
    const u8 *next = pc + 1;
    u32 index = imm_u32(&next);
    struct vmctx *vm = frame->vm;
    struct program *program = vm_program(vm);
    TAIL_POLL;
    if (unlikely(index < program->nimported)) {
        r0 = (u64)vm_import(vm, index)->ref;
        r1 = (u64)module_func_type(vm->module, index);
        GO(tail_func);
    }
    const struct code *code = &program->funcs[index - program->nimported];
    TAIL_ARGUMENTS(code->nparams);
    frame++;
    if (unlikely(frame->vm != vm))
        frame->vm->thread = vm->thread;
    r0 = (u64)code;
    r1 = (u64)vm;
    GO(enter_code);
}

HANDLER(return_call_indirect)
{
    TAIL_POLL;
    INDIRECT_TARGET;
    GO(tail_func);
}

HANDLER(return_call_ref)
{
    TAIL_POLL;
    REF_TARGET;
    GO(tail_func);
}

// --- The rest: rare ones, and those that are calls into the runtime

HANDLER(unreachable)
{
    TRAP(TRAP_UNREACHABLE);
}

HANDLER(memory_size)
{
    BEGIN;
    pc++;
    PUSH(vm_memory(frame->vm, imm_u32(&pc))->bytes / WASM_PAGE);
    NEXT;
}

HANDLER(memory_grow)
{
    BEGIN;
    pc++;
    u32 memory = imm_u32(&pc);
    u64 old = (u64)rt_far_grow(frame->vm, memory, sp[-1]);
    sp[-1] = frame->vm->module->memories[memory].wide ? old : (u32)old;
    RELOAD_MEMORY;
    NEXT;
}

HANDLER(ref_null)
{
    BEGIN;
    PUSH(0);
    pc++;
    SKIP_LEB(pc);
    NEXT;
}

HANDLER(ref_is_null)
{
    BEGIN;
    u64 ref = POP;
    PUSH(ref == 0);
    pc++;
    NEXT;
}

HANDLER(ref_eq)
{
    BEGIN;
    sp--;
    sp[-1] = sp[-1] == sp[0];
    pc++;
    NEXT;
}

HANDLER(ref_func)
{
    BEGIN;
    pc++;
    PUSH((u64)vm_funcref(frame->vm, imm_u32(&pc)));
    NEXT;
}

HANDLER(ref_as_non_null)
{
    BEGIN;
    if (unlikely(!sp[-1]))
        TRAP(TRAP_NULL);
    pc++;
    NEXT;
}

HANDLER(br_on_null)
{
    BEGIN;
    if (!sp[-1]) {
        sp--;
        BRANCH(side);
    }
    side++;
    pc++;
    SKIP_LEB(pc);
    NEXT;
}

HANDLER(br_on_non_null)
{
    BEGIN;
    if (sp[-1])
        BRANCH(side);
    sp--;
    side++;
    pc++;
    SKIP_LEB(pc);
    NEXT;
}

HANDLER(table_get)
{
    BEGIN;
    const u8 *next = pc + 1;
    u64 ref = 0;
    enum trap trap = rt_table_get(frame->vm, imm_u32(&next), sp[-1], &ref);
    if (trap)
        TRAP(trap);
    sp[-1] = ref;
    pc = next;
    NEXT;
}

HANDLER(table_set)
{
    BEGIN;
    const u8 *next = pc + 1;
    enum trap trap = rt_table_set(frame->vm, imm_u32(&next), sp[-2], sp[-1]);
    if (trap)
        TRAP(trap);
    sp -= 2;
    pc = next;
    NEXT;
}

// After the prefix. frame->call is at the prefix.

// Ends an instruction that took n operands and may have trapped.
#define DONE(n, outcome)                                                                           \
    do {                                                                                           \
        enum trap trap_ = (outcome);                                                               \
        if (trap_)                                                                                 \
            TRAP_CALL(trap_);                                                                      \
        sp -= (n);                                                                                 \
        if (unlikely(INTERRUPT))                                                                   \
            GO(look);                                                                              \
        NEXT;                                                                                      \
    } while (0)

HANDLER(memory_init)
{
    BEGIN;
    pc++;
    u32 segment = imm_u32(&pc), memory = imm_u32(&pc);
    DONE(3, rt_far_init(frame->vm, segment, memory, sp[-3], (u32)sp[-2], (u32)sp[-1]));
}

HANDLER(data_drop)
{
    BEGIN;
    pc++;
    rt_data_drop(frame->vm, imm_u32(&pc));
    NEXT;
}

HANDLER(memory_copy)
{
    BEGIN;
    pc++;
    u32 dst = imm_u32(&pc), src = imm_u32(&pc);
    DONE(3, rt_far_copy(frame->vm, dst, src, sp[-3], sp[-2], sp[-1]));
}

HANDLER(memory_fill)
{
    BEGIN;
    pc++;
    u32 memory = imm_u32(&pc);
    DONE(3, rt_far_fill(frame->vm, memory, sp[-3], (u32)sp[-2], sp[-1]));
}

HANDLER(table_init)
{
    BEGIN;
    pc++;
    u32 segment = imm_u32(&pc), table = imm_u32(&pc);
    DONE(3, rt_table_init(frame->vm, table, segment, sp[-3], (u32)sp[-2], (u32)sp[-1]));
}

HANDLER(elem_drop)
{
    BEGIN;
    pc++;
    rt_elem_drop(frame->vm, imm_u32(&pc));
    NEXT;
}

HANDLER(table_copy)
{
    BEGIN;
    pc++;
    u32 dst = imm_u32(&pc), src = imm_u32(&pc);
    DONE(3, rt_table_copy(frame->vm, dst, src, sp[-3], sp[-2], sp[-1]));
}

HANDLER(table_grow)
{
    BEGIN;
    pc++;
    u32 table = imm_u32(&pc);
    u64 old = (u64)rt_table_grow(frame->vm, table, sp[-2], sp[-1]);
    sp[-2] = frame->vm->module->tables[table].limits.wide ? old : (u32)old;
    sp--;
    NEXT;
}

HANDLER(table_size)
{
    BEGIN;
    pc++;
    PUSH(vm_table(frame->vm, imm_u32(&pc))->length);
    NEXT;
}

HANDLER(table_fill)
{
    BEGIN;
    pc++;
    u32 table = imm_u32(&pc);
    DONE(3, rt_table_fill(frame->vm, table, sp[-3], sp[-2], sp[-1]));
}

// Of 128 bits: two, or two halves, come, and one goes.
#define WIDE_OP(id, n, value)                                                                      \
    HANDLER(id)                                                                                    \
    {                                                                                              \
        BEGIN;                                                                                     \
        pc++;                                                                                      \
        sp -= (n);                                                                                 \
        unsigned __int128 result = (value);                                                        \
        sp += 2;                                                                                   \
        sp[-2] = (u64)result;                                                                      \
        sp[-1] = (u64)(result >> 64);                                                              \
        NEXT;                                                                                      \
    }
#define WIDE_AT(i) ((unsigned __int128)sp[(i) + 1] << 64 | sp[i])
WIDE_OP(i64_add128, 4, WIDE_AT(0) + WIDE_AT(2))
WIDE_OP(i64_sub128, 4, WIDE_AT(0) - WIDE_AT(2))
WIDE_OP(i64_mul_wide_s, 2, (unsigned __int128)((__int128)(s64)sp[0] * (s64)sp[1]))
WIDE_OP(i64_mul_wide_u, 2, (unsigned __int128)sp[0] * sp[1])

#define COLD_OPS                                                                                   \
    COLD(try)                                                                                      \
    COLD(catch)                                                                                    \
    COLD(throw)                                                                                    \
    COLD(rethrow)                                                                                  \
    COLD(throw_ref)                                                                                \
    COLD(delegate)                                                                                 \
    COLD(catch_all)                                                                                \
    COLD(try_table)                                                                                \
    COLD(call)                                                                                     \
    COLD(call_indirect)                                                                            \
    COLD(return_call)                                                                              \
    COLD(call_ref)                                                                                 \
    COLD(return_call_ref)                                                                          \
    COLD(ref_as_non_null)                                                                          \
    COLD(br_on_null)                                                                               \
    COLD(br_on_non_null)                                                                           \
    COLD(return_call_indirect)                                                                     \
    COLD(unreachable)                                                                              \
    COLD(memory_size)                                                                              \
    COLD(memory_grow)                                                                              \
    COLD(ref_null)                                                                                 \
    COLD(ref_is_null)                                                                              \
    COLD(ref_func)                                                                                 \
    COLD(table_get)                                                                                \
    COLD(table_set)                                                                                \
    COLD(memory_init)                                                                              \
    COLD(data_drop)                                                                                \
    COLD(memory_copy)                                                                              \
    COLD(memory_fill)                                                                              \
    COLD(table_init)                                                                               \
    COLD(elem_drop)                                                                                \
    COLD(table_copy)                                                                               \
    COLD(table_grow)                                                                               \
    COLD(table_size)                                                                               \
    COLD(table_fill)                                                                               \
    COLD(i64_add128)                                                                               \
    COLD(i64_sub128)                                                                               \
    COLD(i64_mul_wide_s)                                                                           \
    COLD(i64_mul_wide_u)                                                                           \
    COLD(ref_eq)                                                                                   \
    COLD(prefix_fb)                                                                                \
    COLD(prefix_fe)                                                                                \
    COLD(leave)

#include "interp/atomics.h"

// A memarg whose offset may have more bytes than it needs, as 64 bits would: modules with such ones
// have no handlers of their own here.
static inline u64 imm_atomic(const u8 **pp)
{
    SKIP_LEB(*pp);
    return leb_u64(pp);
}

HANDLER(prefix_fe)
{
    frame->call = pc++;
    u32 op = imm_u32(&pc);
    if (op != (u8)OP_atomic_fence)
        r0 = imm_atomic(&pc);
    GO(atomics[op]);
}

HANDLER(prefix_fb)
{
    BEGIN;
    const u8 *next = pc + 1;
    u32 op = 0xfb00 | leb_u32(&next);
    frame->call = pc;
    frame->vm->thread->last_sp = (u8 *)frame;
    if (op == OP_br_on_cast || op == OP_br_on_cast_fail) {
        if (interp_cast(frame->vm, pc + 1, sp[-1]))
            BRANCH(side);
        side++;
        pc = next + 1;
        SKIP_LEB(pc);
        SKIP_LEB(pc);
        SKIP_LEB(pc);
        NEXT;
    }
    struct interp_step done = interp_object(frame->vm, pc + 1, sp);
    if (unlikely(!done.pc))
        TRAP_CALL(frame->vm->thread->trap);
    pc = done.pc;
    sp = done.sp;
    if (unlikely(INTERRUPT))
        GO(look);
    NEXT;
}

HANDLER(prefix_fd)
{
    BEGIN;
    struct interp_step done = interp_simd(frame->vm, pc + 1, sp);
    if (unlikely(!done.pc))
        TRAP(TRAP_MEMORY);
    pc = done.pc;
    sp = done.sp;
    NEXT;
}

HANDLER(far)
{
    BEGIN;
    struct interp_step done = interp_far(frame->vm, pc, sp);
    if (unlikely(!done.pc))
        TRAP(TRAP_MEMORY);
    pc = done.pc;
    sp = done.sp;
    NEXT;
}

HANDLER(leave)
{
    STOP(OK);
}

// --- The hot instructions, once for each depth

#if REGISTERS > 0
static HANDLER_CC status op_br_1(STATE);
#define BR_AT(depth) ((depth) == 0 ? op_br_0 : op_br_1)
#else
#define BR_AT(depth) op_br_0
#endif

#include "interp/handlers.h"
#undef DEPTH
#undef HANDLER
#undef SAME_DEPTH

#if REGISTERS > 0
#define DEPTH 1
#define HANDLER(id) static HANDLER_CC status op_##id##_1(STATE)
#define SAME_DEPTH(id) op_##id##_1
#include "interp/handlers.h"
#undef DEPTH
#undef HANDLER
#undef SAME_DEPTH

#define DEPTH 2
#define HANDLER(id) static HANDLER_CC status op_##id##_2(STATE)
#define SAME_DEPTH(id) op_##id##_2
#include "interp/handlers.h"
#undef DEPTH
#undef HANDLER
#undef SAME_DEPTH
#endif

// Of modules that use v128. All operands are in memory, and where a value may be of any type both
// halves are moved.
#undef MOST
#undef WIDE
#undef BR_AT
#define DEPTH 0
#define MOST 0
#define WIDE 1
#define HANDLER(id) static HANDLER_CC status op_##id##_wide(STATE)
#define SAME_DEPTH(id) op_##id##_wide
#define BR_AT(depth) op_br_wide
#include "interp/handlers.h"

#if REGISTERS > 0
// Behind one that has left its result in a register, as those may that all modules share.
HANDLER(settle)
{
    BEGIN;
    *sp++ = r0;
    NEXT;
}
#endif

// Unused numbers stay NULL: validated code has none.
static const struct tables tables = {.at = {
                                         {
#define EACH(code, id, ...) [TABLE_INDEX(code)] = op_##id##_0,
#include "wasm/ops.def"
                                             [OP_prefix_fb] = op_prefix_fb_0,
                                             [OP_prefix_fc] = op_prefix_fc_0,
                                             [OP_prefix_fe] = op_prefix_fe_0,
                                             [OP_leave] = op_leave_0,
                                         },
#if REGISTERS > 0
                                         {
#define EACH(code, id, ...) [TABLE_INDEX(code)] = op_##id##_1,
#include "wasm/ops.def"
                                             [OP_prefix_fb] = op_prefix_fb_1,
                                             [OP_prefix_fc] = op_prefix_fc_1,
                                             [OP_prefix_fe] = op_prefix_fe_1,
                                             [OP_leave] = op_leave_1,
                                         },
                                         {
#define EACH(code, id, ...) [TABLE_INDEX(code)] = op_##id##_2,
#include "wasm/ops.def"
                                             [OP_prefix_fb] = op_prefix_fb_2,
                                             [OP_prefix_fc] = op_prefix_fc_2,
                                             [OP_prefix_fe] = op_prefix_fe_2,
                                             [OP_leave] = op_leave_2,
                                         },
#endif
                                     }};

static const struct tables wide_tables = {
    {
        {
#define EACH(code, id, ...) [TABLE_INDEX(code)] = op_##id##_wide,
#include "wasm/ops.def"
            [OP_prefix_fb] = op_prefix_fb_wide,
            [OP_prefix_fc] = op_prefix_fc_wide,
            [OP_prefix_fd] = op_prefix_fd_0,
            [OP_prefix_fe] = op_prefix_fe_wide,
            [OP_leave] = op_leave_wide,
        },
#if REGISTERS > 0
        {[0 ... TABLE_SIZE - 1] = op_settle_wide},
#endif
    },
    .wide = true,
};

static handler *const atomics[ATOMICS] = {
#define EACH_ATOMIC(code, id, ...) [(code) & 0xff] = op_##id##_0,
#include "wasm/ops.def"
};

status interp_tables(struct program *p, bool counts)
{
    static handler *const counting[] = {
        op_counted_0,
#if REGISTERS > 0
        op_counted_1,
        op_counted_2,
#endif
    };
    p->tables = p->wide ? &wide_tables : &tables;
    if (!counts && !p->far)
        return OK;
    struct tables *own = p->own = heap_alloc(2 * sizeof *own);
    if (!own)
        return ERR_NO_MEMORY;
    own[0] = own[1] = *p->tables;
    for (u32 code = OP_i32_load; p->far && code <= OP_i64_store32; code++)
        own[0].at[0][code] = own[1].at[0][code] = op_far_0;
    for (u32 i = 0; i < PREFIX_FC; i++)
        for (u32 depth = 0; depth < (p->wide ? 1 : countof(counting)); depth++)
            own[1].at[depth][i] = counting[depth];
    own[1].real = own;
    p->tables = own + counts;
    return OK;
}

status interp_run(const struct vm_func *f, u64 *cells, struct frame *bottom)
{
    const struct program *program = vm_program(f->vm);
    const struct code *code = &program->funcs[f->index - program->nimported];
    *bottom = (struct frame){.vm = f->vm, .fp = cells, .pc = leave_code, .call = leave_code};
    return enter_code(TABLES(f->vm), f->vm->mem_base, memory_bytes(f->vm), bottom, leave_code,
                      cells + code->nparams, NULL, (u64)f->vm, (u64)code, cells);
}
