// SPDX-License-Identifier: MIT
// What compiled code sees of an instance: fixed layouts, shared by the runtime, the interpreter and
// the compilers. R14 points to the vmctx, R15 to the base of memory 0.
//
// One allocation holds the struct and, behind it, arrays whose offsets the decoder has put into
// module->layout:
//
//   imports           struct vm_func [imported functions]
//   imported_globals  union vm_global * [imported globals]
//   tables            struct vm_table * [tables, imported ones too]
//   tags              struct vm_tag * [tags, imported ones too]
//   memories          struct vm_far [memories], if there are several
//   globals           union vm_global [own globals], of 16 bytes: one instruction reaches them
//   refs              struct vm_func [functions whose reference can be taken: exported, in element
//                     segments, ref.func]
//   own_tags          struct vm_tag [own tags]
//
// A function reference is a pointer to a vm_func (0 = null): to the canonical one, which lives in
// the instance that defines the function (its `refs`), or in the host module that offers it.
#pragma once
#include "wasm/module.h"

struct vmctx;

// A host function reads its arguments from slots[0..] and writes its results there: i32 in the low
// half (the upper half of an argument is zero; results may leave it undefined), floats as bits. It
// runs on the caller's coroutine stack.
typedef void vm_host_fn(struct vmctx *vm, u64 *slots);

struct vm_func {
    const void
        *code; // what compiled code calls, with R11 = this vm_func; NULL under the interpreter
    union {
        struct vmctx *vm; // of the instance that defines it
        vm_host_fn *host; // when index == VM_FUNC_HOST
    };
    const struct vm_func *ref; // the canonical one
    u32 type;                  // canonical type id; 0 in an empty table element
    u32 index;                 // function index in its module
};
#define VM_FUNC_HOST UINT32_MAX

// A host function that compiled code may call without cells: up to five integer arguments in
// registers, a sixth in vm->scratch (those it does not have are undefined), an i64 as the result.
typedef u64 vm_direct_fn(u64 a, u64 b, u64 c, u64 d, u64 e, struct vmctx *vm);

// The same for one that may end by handing over: what it returns then is the thread that is to run
// on this CPU, with rt_switch_lock held; its own has done all it has to do but to be left.
struct vm_outcome {
    u64 result;
    struct vm_thread *to; // NULL: the result is there
};
// The convention saves no registers, which the stub does once for all, and has the first four
// arguments in r12 to r15. The call's own follow where C has them; if there are more than six, two
// more are at `more` (arch_stub_hand8).
typedef __attribute__((preserve_none)) struct vm_outcome vm_hand_fn(const u64 *more, u64 r13,
                                                                    struct vmctx *vm, u64 r15,
                                                                    u64 a, u64 b, u64 c, u64 d,
                                                                    u64 e, u64 f);

// The canonical vm_func of a host function.
struct vm_host {
    struct vm_func func;  // first
    vm_direct_fn *direct; // or, by arch_stub_hand, vm_hand_fn; NULL: it has cells
};

union vm_global {
    u32 i32;
    u64 i64;
    f32 f32;
    f64 f64;
    u64 ref; // funcref: struct vm_func *; exnref: see vm_exception; others: see vm_heap
    u8 v128[16];
} __attribute__((aligned(16)));

// A table element is a copy of the vm_func it refers to, so that an indirect call needs no further
// load; ref is what table.get returns. An empty one is all zero. In tables of other references only
// ref is used.
struct vm_table {
    struct vm_func *at;
    u64 length;
    u64 max;      // elements
    valtype elem; // the topmost supertype: funcref, externref, anyref, exnref
};

// A tag is what it is by its address.
struct vm_tag {
    const struct module *module; // that it is defined in,
    u32 index;                   // and its number there
    u32 type;                    // canonical type id
};

// An exception (rt/exception.c). References to it are not pointers, but VM_EXCEPTION and a number:
// whoever looks for them on a stack knows one when he sees it.
struct vm_exception {
    const struct vm_tag *tag;
    u64 ref;
    struct vm_exception *next;
    u32 ncells; // two of a v128
    bool kept;  // there may be references to it
    bool live;  // while they are looked for
    u64 cells[];
};
#define VM_EXCEPTION 0x4e455845ull << 32

struct vm_memory {
    u8 *base;  // of a reservation that covers every 32-bit index; see VM_MEMORY_GUARD
    u64 bytes; // accessible now
    u64 max;   // bytes
};

// A memory of several. The base never changes.
struct vm_far {
    u8 *base;
    struct vm_memory *memory;
    u64 max; // declared, in pages
    u64 own; // the instance has made it
};

// From base on, 4 GiB plus this much are reserved; what is not accessible faults. Compiled code may
// use static offsets below the guard's size without a check.
#define VM_MEMORY_GUARD (2ull << 30)
// And this much in front of a memory with addresses of 64 bits.
#define VM_MEMORY_FRONT (1ull << 20)

// Objects: structs and arrays (rt/gc.c). A reference of the hierarchies of `any` and `extern` has
// 32 bits, in a slot of 64 whose upper half is zero:
//
//   0                       null
//   31 bits, 1              an i31
//   30 bits, 1 0            a number of the host's
//   29 bits, 0 0 0          an object: the offset of its header from the heap's base
//
// The header is the canonical id of its type, and an array's length, which is 0 of structs
// (OBJECT_HEADER bytes).
//
struct vm_object {
    u32 type;   // at 0, where null leads, it is none
    u32 length; // of an array
    u8 at[];
};
_Static_assert(sizeof(struct vm_object) == OBJECT_HEADER, "what types are laid out behind");

// What allocates inline takes a cell from the run of its class, if there is one left:
//
//   if ((at = run->next) == run->end) -> rt_object_new
//   run->next = at + vm_heap_cell(class)
//
// Such a cell has anything in it: the header and all fields are to be written before anything else
// happens that may look at it, which is whatever can switch to another thread of the process: a
// call, a poll, an allocation. Preemption is none of these (the process goes on with the thread
// that it was taken from), and neither is an interrupt, so nothing of this need be in one step.
// What casts look at, of a type by its number: by depth, the types that it is a subtype of, and
// itself; 0: there is none.
enum { VM_DISPLAY = 8 };
struct vm_type {
    u32 display[VM_DISPLAY];
};
struct vm_type_slot {
    const struct vm_type *type;
    u64 unused;
};

enum { VM_HEAP_CLASSES = 48, VM_HEAP_SMALL = 32776 };
struct vm_heap {
    u8 *base; // never changes; 4 GiB and VM_MEMORY_GUARD are reserved
    struct vm_run {
        u32 next, end;
    } runs[VM_HEAP_CLASSES];
    const struct vm_type_slot *types;
    u64 operand[2]; // of array.new and array.fill, if it is no integer or reference
};

// The class of objects of that many bytes, of VM_HEAP_SMALL at most, header included: one for each
// multiple of 8 up to 136, above these four for each doubling, of what an array has beside its
// header.
static inline u32 vm_heap_class(u32 bytes)
{
    if (bytes <= 136)
        return bytes <= 16 ? 0 : (bytes - 9) / 8;
    u32 n = bytes - 9, bit = 31 - (u32)__builtin_clz(n);
    return 16 + (bit - 7) * 4 + ((n >> (bit - 2)) & 3);
}
// What they take.
static inline u32 vm_heap_cell(u32 class)
{
    return class < 16 ? (class + 2) * 8 : ((5 + class % 4) << (class / 4 + 1)) + 8;
}

static inline bool vm_is_object(u64 ref)
{
    return ref && !(ref & 7);
}
#define VM_HOST_REFS (1u << 30) // numbers of the host's are below
static inline u64 vm_host_ref(u32 number)
{
    return (u64)number << 2 | 2;
}
static inline bool vm_is_host_ref(u64 ref)
{
    return (ref & 3) == 2;
}
static inline u64 vm_i31(u32 value)
{
    return (u32)(value << 1 | 1);
}

// Where compiled code returns to after a call into another instance (see target/x64/stubs).
struct vm_link {
    const void *ret;
    struct vmctx *vm;
};

// One thread of execution: its stacks. Shared by all instances that it passes through.
struct vm_thread {
    void *sp;        // while it does not run; first (arch_switch)
    u8 *stack_limit; // frames of compiled code stay above; the guard page lies below
    u8 *host_limit;  // a host function with cells starts above: there VM_READY_CELLS bytes are
                     // ready. Beyond any stack when an interrupt waits for the next call of a host
                     // function by compiled code
    u8 *last_sp; // stack pointer of compiled code at its latest call to the host: [last_sp] is the
                 // return address
    struct vm_link *link, *link_end;
    u8 *entry_sp;     // where a trap unwinds to; 0 outside of compiled code
    u8 *direct_limit; // as host_limit, for calls with arguments in registers and VM_READY bytes:
                      // beyond any stack also when an interrupt to switch waits
    u64 *cells, *cells_end; // operand stack of the interpreter
    u32 interrupt; // set asynchronously: an enum trap, and VM_INTERRUPT_SWITCH. The interpreter
                   // looks at back edges and calls, C code at look_up()
    // The trap that ended it, for the message: kind, and where it was raised.
    u32 trap;
    u32 exit_code;     // when trap == TRAP_EXIT
    const u8 *trap_pc; // compiled: machine address; interpreter: NULL
    u8 *trap_sp;
    u64 trap_address; // what it wanted, where that is known: of a memory; of a call through a table
                      // the element's, or the index if there is none
    struct vm_thread *turn; // which runs when this one passes its turn (arch_stub_pass): it is
                            // parked in the same instance. NULL: the scheduler must look
    u64 result;             // of the call in which it has handed over (arch_stub_hand), unless
    u64 (*then)(struct vmctx *vm);   // this, if it is not NULL, has another: it is called with the
                                     // lock held, which it releases
    void *user;                      // the scheduler's
    u8 *ready;                       // the stack is there from here on: to touch it needs no memory
    const u8 *resume;                // where arch_stub_preempt goes on,
    u8 *resume_sp;                   // and, for arch_stub_preempt_deep, on which stack
    u64 *cells_ready, *frames_ready; // the interpreter's cells are there up to the first, and from
                                     // the second on,
    u64 *upper_ready; // and up to this one the upper halves, which v128 has VM_CELLS cells behind
                      // the lower ones, and whose page tables
    bool upper_paid;  // are paid
    struct vm_exception *exception; // that is being thrown, or was caught last and may be another
                                    // when the next one is thrown
    const struct vm_tag *uncaught;  // when trap == TRAP_EXCEPTION
    u32 steps;                      // that the interpreter has counted, where it does
    struct vmctx *trap_vm;          // the instance of trap_address
};
#define VM_CELLS (1u << 20)
// A host function may use so much of the stack,
#define VM_HOST_STACK (64u << 10)
// of which so much is ready, more than any needs: the kernel's functions, and those with cells,
// WASI's among them, which have paths and lists of buffers on their stacks.
#define VM_READY (8u << 10)
#define VM_READY_CELLS (32u << 10)
#define VM_INTERRUPT_SWITCH 0x100u // let another thread run

// The trap that the thread is asked to end with.
static inline enum trap rt_pending(const struct vm_thread *t)
{
    u32 what = __atomic_load_n(&t->interrupt, __ATOMIC_RELAXED);
    return (enum trap)(what & ~VM_INTERRUPT_SWITCH);
}

struct vmctx {
    u32 poll; // set asynchronously when another thread should run: loops of modules that can have
              // one look at it, and call rt_poll. It comes first: without a displacement the
              // comparison and its jump are one operation on many CPUs
    struct vm_memory *mem;
    struct vm_thread *thread;
    const struct module *module;
    struct instance *instance; // the runtime's own record (rt/instance.h)
    void *process;             // whom host functions act for
    u64 scratch;               // of compiled code
    void *engine_data;         // compiled->data of its module
    u8 *mem_base; // memory 0, or an unmapped reservation of zero length: never NULL in compiled
                  // code
    u64 *own[2]; // cells of globals of which each thread has a value of its own (the stack pointer,
                 // thread-local storage), or of nothing of interest: scratch
    u64 last_byte; // UINT32_MAX: no address of 64 bits is further (one instruction compares and
                   // jumps)
    u8 *heap_base; // of its store's objects, and
    struct vm_heap *heap; // where there is room for more; NULL: there have been none
} __attribute__((aligned(16)));

static inline struct vm_object *vm_object(const struct vmctx *vm, u64 ref)
{
    return (struct vm_object *)(void *)(vm->heap_base + ref);
}

static inline struct vm_func *vm_import(const struct vmctx *vm, u32 func)
{
    return (struct vm_func *)((u8 *)vm + vm->module->layout.imports) + func;
}

static inline union vm_global *vm_global(const struct vmctx *vm, u32 global)
{
    const struct module *m = vm->module;
    if (global < m->nimported_globals)
        return ((union vm_global **)((u8 *)vm + m->layout.imported_globals))[global];
    return (union vm_global *)((u8 *)vm + m->layout.globals) + (global - m->nimported_globals);
}

static inline struct vm_table *vm_table(const struct vmctx *vm, u32 table)
{
    return ((struct vm_table **)((u8 *)vm + vm->module->layout.tables))[table];
}

static inline const struct vm_tag *vm_tag(const struct vmctx *vm, u32 tag)
{
    return ((const struct vm_tag **)((u8 *)vm + vm->module->layout.tags))[tag];
}

static inline struct vm_far *vm_far(const struct vmctx *vm, u32 memory)
{
    return (struct vm_far *)((u8 *)vm + vm->module->layout.memories) + memory;
}

static inline struct vm_memory *vm_memory(const struct vmctx *vm, u32 memory)
{
    return vm->module->nmemories > 1 ? vm_far(vm, memory)->memory : vm->mem;
}

// The canonical vm_func of a function whose reference can be taken (module_func.ref != 0, or
// imported).
static inline const struct vm_func *vm_funcref(const struct vmctx *vm, u32 func)
{
    const struct module *m = vm->module;
    if (func < m->nimported_funcs)
        return vm_import(vm, func)->ref;
    return (struct vm_func *)((u8 *)vm + m->layout.refs) + (m->funcs[func].ref - 1);
}

_Static_assert(sizeof(struct vm_func) == 32, "compiled code scales table indices by shifting");
_Static_assert(sizeof(union vm_global) == 16, "global slots");
_Static_assert(sizeof(struct vm_far) == 32, "memories of several");
