// SPDX-License-Identifier: MIT
// The way from an import to the handler of a call. nebulet.def is expanded four times here: into
// the functions that fetch and check arguments (take_*), the shims that the guest calls, what the
// trace prints, and the signatures. The handlers are in nebulet_process.c, nebulet_ipc.c and
// nebulet_thread.c.
#include "abi/nebulet.h"

#include "abi/nebulet_call.h"
#include "abi/trace.h"
#include "abi/wasi.h"

// --- Fetching arguments

static inline status take_any(const struct process *p, nebulet_handle h, u32 rights,
                              struct object **out, u32 *have)
{
    const struct handle *e = handle_find(&p->handles, h);
    if (unlikely(!e))
        return ERR_BAD_HANDLE;
    *out = e->object;
    *have = e->rights;
    return (e->rights & rights) == rights ? OK : ERR_ACCESS_DENIED;
}

static inline status take_object(const struct process *p, nebulet_handle h, u8 type, u32 rights,
                                 struct object **out)
{
    const struct handle *e = handle_place(&p->handles, h);
    if (unlikely(e->number != h))
        return ERR_BAD_HANDLE;
    *out = e->object;
    u32 key = load_u32(&e->rights);
    if (likely((key & (rights | 0xffff0000u)) == (rights | (u32)type << 16)))
        return OK;
    return e->type != type ? ERR_WRONG_TYPE : ERR_ACCESS_DENIED;
}

// Bytes [address, address + n) of memory 0. n is below 2^40: nothing overflows.
static inline status check(const struct vmctx *vm, u64 address, u64 n)
{
    return likely((u32)address + n <= vm->mem->bytes) ? OK : ERR_OUT_OF_BOUNDS;
}

static inline u8 *at(const struct vmctx *vm, u64 address)
{
    return vm->mem_base + (u32)address;
}

#define TRY(expression)                                                                            \
    if (unlikely((e = (expression))))                                                              \
        return e;
#define OBJECT(x, type, rights)                                                                    \
    TRY(take_object(p, (u32) * s++, OBJECT_##type, RIGHTS(rights), &o))                            \
    a->x = (object_##type *)o;
#define ANY(x, rights)                                                                             \
    TRY(take_any(p, (u32) * s++, RIGHTS(rights), &o, &a->x##_rights))                              \
    a->x = o;
#define NEBULET_READ_WRITE (NEBULET_READ | NEBULET_WRITE)
#define RIGHTS(name) NEBULET_##name
#define HANDLE(x) a->x = (u32) * s++;
#define NUM(x) a->x = (u32) * s++;
#define LONG(x) a->x = *s++;
#define DEADLINE(x) a->x = *s++;
#define IN(x)                                                                                      \
    TRY(check(vm, s[0], (u32)s[1]))                                                                \
    a->x = at(vm, s[0]);                                                                           \
    a->x##_size = (u32)s[1];                                                                       \
    s += 2;
#define BUFFER(x) IN(x)
#define LIST(x, type)                                                                              \
    TRY(check(vm, s[0], (u64)(u32)s[1] * sizeof(type)))                                            \
    a->x = at(vm, s[0]);                                                                           \
    a->x##_count = (u32)s[1];                                                                      \
    s += 2;
#define OUT(x, type)                                                                               \
    TRY(check(vm, *s, sizeof(type)))                                                               \
    a->x = at(vm, *s++);
#define MAYBE(x, type)                                                                             \
    TRY((u32) * s ? check(vm, *s, sizeof(type)) : OK)                                              \
    a->x = (u32) * s ? at(vm, *s) : NULL;                                                          \
    s++;
#define WORD(x)                                                                                    \
    TRY(check(vm, *s, sizeof(u32)))                                                                \
    a->x = (u32) * s++;                                                                            \
    TRY(a->x % sizeof(u32) ? ERR_INVALID_ARG : OK)
#define CALL(number, name, waits, privilege, args, errors, doc)                                    \
    static inline status take_##name(struct vmctx *vm, struct process *p, const u64 *s,            \
                                     struct call_##name *a)                                        \
    {                                                                                              \
        status e = OK;                                                                             \
        struct object *o;                                                                          \
        (void)vm, (void)p, (void)s, (void)a, (void)o;                                              \
        args return e;                                                                             \
    }
#include "abi/nebulet.def"
#undef TRY

// --- The trace

#define OBJECT(x, type, rights) {.name = #x, .kind = 'd'},
#define ANY(x, rights) {.name = #x, .kind = 'd'},
#define HANDLE(x) {.name = #x, .kind = 'd'},
#define NUM(x) {.name = #x, .kind = 'd'},
#define LONG(x) {.name = #x, .kind = 'l'},
#define DEADLINE(x) {.name = #x, .kind = 'l'},
#define IN(x) {.name = #x, .kind = 'b'},
#define BUFFER(x) {.name = #x, .kind = 'b'},
#define LIST(x, type) {.name = #x, .kind = 'b'},
#define OUT(x, type) {.name = #x, .kind = 'x'},
#define MAYBE(x, type) {.name = #x, .kind = 'x'},
#define WORD(x) {.name = #x, .kind = 'x'},
#define CALL(number, name, waits, privilege, args, errors, doc)                                    \
    static const struct arg_info info_##name[] = {args LAST_ARG};
#define NORETURN(number, name, args, doc)                                                          \
    static const struct arg_info info_##name[] = {args LAST_ARG};
#include "abi/nebulet.def"

// Without a result: it does not come back.
__attribute__((cold, noinline)) static void trace(const struct vmctx *vm, const char *name,
                                                  const struct arg_info *info, const u64 *slots,
                                                  const s64 *result)
{
    struct trace_line l = {.n = 0};
    if (!trace_call(&l, vm, name, info, slots))
        return;
    if (!result)
        trace_print(&l, ") = ?\n");
    else if (*result < 0)
        trace_print(&l, ") = %s\n", status_text((status)*result));
    else
        trace_print(&l, ") = %lld\n", (long long)*result);
    trace_end(&l);
}

// --- The shims

enum { CELLS_DIRECT = 6, CELLS_MAX = 8 };

static __attribute__((noinline)) void finish(struct vmctx *vm, const char *name,
                                             const struct arg_info *info, u64 *slots, s64 result)
{
    const struct process *p = vm->process;
    if (unlikely(p && p->trace))
        trace(vm, name, info, slots, &result);
    rt_check_interrupt(vm);
    slots[0] = (u64)result;
}

// All that a shim does, once for all: each would be three times as long.
static __attribute__((noinline)) void by_cells(struct vmctx *vm, u64 *slots, vm_direct_fn *direct,
                                               const char *name, const struct arg_info *info, u32 n)
{
    u64 c[CELLS_DIRECT] = {0};
    s64 result = ERR_NOT_SUPPORTED;
    for (u32 i = 0; i < n; i++)
        c[i] = slots[i];
    vm->scratch = c[5];
    if (likely(vm->process))
        result = (s64)direct(c[0], c[1], c[2], c[3], c[4], vm);
    finish(vm, name, info, slots, result);
}

#define PRIVILEGE_FREE 0u
#define PRIVILEGE_MAY_SPAWN NEBULET_MAY_SPAWN
#define PRIVILEGE_MAY_SERVE NEBULET_MAY_SERVE
#define PRIVILEGE_MAY_CONNECT NEBULET_MAY_CONNECT
#define PRIVILEGE_MAY_PRINT NEBULET_MAY_PRINT
#define PRIVILEGE_MAY_DEVICES NEBULET_MAY_DEVICES

// A call comes with its arguments in registers (vm_direct_fn), which the checks then work on: from
// compiled code, if there are at most six and nobody wants a trace. Or it comes with cells.
//
// A request to switch or to end that has come meanwhile is looked at after calls that may wait.
// After the others it finds the thread in its own code, or the next call finds it
// (arch_stub_direct).
#define AFTER_WAITS(vm)                                                                            \
    if (unlikely(__atomic_load_n(&vm->thread->interrupt, __ATOMIC_RELAXED)))                       \
    rt_check_interrupt(vm)
#define AFTER_PLAIN(vm) ((void)0)
#define AFTER_SLOW AFTER_WAITS
#define AFTER_PASSES AFTER_WAITS
#define AFTER_HANDS AFTER_WAITS
#define CALL(number, name, waits, privilege, args, errors, doc)                                    \
    static inline __attribute__((always_inline)) s64 do_##name(struct vmctx *vm, const u64 *slots) \
    {                                                                                              \
        struct process *p = vm->process;                                                           \
        struct call_##name a;                                                                      \
        if ((p->limits.privileges & PRIVILEGE_##privilege) != PRIVILEGE_##privilege)               \
            return ERR_ACCESS_DENIED;                                                              \
        s64 result = take_##name(vm, p, slots, &a);                                                \
        return likely(!result) ? call_##name(vm, p, &a) : result;                                  \
    }                                                                                              \
    static u64 direct_##name(u64 c0, u64 c1, u64 c2, u64 c3, u64 c4, struct vmctx *vm)             \
    {                                                                                              \
        const u64 slots[CELLS_MAX] = {c0, c1, c2, c3, c4, vm->scratch};                            \
        s64 result = do_##name(vm, slots);                                                         \
        AFTER_##waits(vm);                                                                         \
        return (u64)result;                                                                        \
    }                                                                                              \
    static void shim_##name(struct vmctx *vm, u64 *slots)                                          \
    {                                                                                              \
        enum { N = 0 args };                                                                       \
        if (N <= CELLS_DIRECT)                                                                     \
            by_cells(vm, slots, direct_##name, #name, info_##name, N);                             \
        else                                                                                       \
            finish(vm, #name, info_##name, slots,                                                  \
                   vm->process ? do_##name(vm, slots) : ERR_NOT_SUPPORTED);                        \
    }                                                                                              \
    OUTCOME_##waits(name, privilege, args)
#define OUTCOME_WAITS(name, privilege, args)
#define OUTCOME_PLAIN(name, privilege, args)
#define OUTCOME_SLOW(name, privilege, args)
#define OUTCOME_PASSES(name, privilege, args)
#define OUTCOME_HANDS(name, privilege, args)                                                       \
    static __attribute__((preserve_none)) struct vm_outcome outcome_##name(                        \
        const u64 *more, u64 r13, struct vmctx *vm, u64 r15, u64 c0, u64 c1, u64 c2, u64 c3,       \
        u64 c4, u64 c5)                                                                            \
    {                                                                                              \
        enum { N = 0 args };                                                                       \
        const u64 slots[CELLS_MAX] = {c0, c1, c2, c3, c4, c5, N > 6 ? more[0] : 0};                \
        struct call_##name a;                                                                      \
        (void)more, (void)r13, (void)r15;                                                          \
        _Static_assert(PRIVILEGE_##privilege == 0, "everybody may");                               \
        s64 result = take_##name(vm, vm->process, slots, &a);                                      \
        if (likely(!result)) {                                                                     \
            struct vm_thread *to = hand_##name(vm, &a);                                            \
            if (likely(to))                                                                        \
                return (struct vm_outcome){0, to};                                                 \
            const struct call_##name copy = a; /* so that a itself need not be in memory */        \
            result = call_##name(vm, vm->process, &copy);                                          \
            AFTER_WAITS(vm);                                                                       \
        }                                                                                          \
        return (struct vm_outcome){(u64)result, NULL};                                             \
    }
#define OBJECT(x, type, rights) +1
#define ANY(x, rights) +1
#define HANDLE(x) +1
#define NUM(x) +1
#define LONG(x) +1
#define DEADLINE(x) +1
#define IN(x) +2
#define BUFFER(x) +2
#define LIST(x, type) +2
#define OUT(x, type) +1
#define MAYBE(x, type) +1
#define WORD(x) +1
#define NORETURN(number, name, args, doc)                                                          \
    static void shim_##name(struct vmctx *vm, u64 *slots)                                          \
    {                                                                                              \
        struct process *p = vm->process;                                                           \
        struct call_##name a;                                                                      \
        if (p && p->trace)                                                                         \
            trace(vm, #name, info_##name, slots, NULL);                                            \
        take_##name(vm, p, slots, &a);                                                             \
        call_##name(vm, p, &a);                                                                    \
    }
#include "abi/nebulet.def"

// --- Handles for new objects

s64 call_give(struct process *p, struct object *o, u32 rights)
{
    status s = handles_reserve(&p->handles, 1);
    if (!s)
        return handle_add(&p->handles, o, rights);
    object_release(o);
    return s;
}

s64 call_give_two(struct process *p, struct object *a, u32 a_rights, struct object *b, u32 b_rights,
                  u8 *ends)
{
    status s = handles_reserve(&p->handles, 2);
    if (s) {
        object_release(a);
        object_release(b);
        return s;
    }
    store_u32(ends, handle_add(&p->handles, a, a_rights));
    store_u32(ends + 4, handle_add(&p->handles, b, b_rights));
    return OK;
}

// --- WASI's threads, which need no table of their own

static void shim_thread_spawn_wasi(struct vmctx *vm, u64 *slots)
{
    struct process *p = vm->process;
    s64 id = p ? thread_new_wasi(p, (u32)slots[0]) : ERR_NOT_SUPPORTED;
    rt_check_interrupt(vm);
    slots[0] = (u32)id;
}

static const struct host_func wasi_threads[] = {
    {"thread-spawn", "i:i", shim_thread_spawn_wasi, NULL}};

// --- The tables

#define OBJECT(x, type, rights) "i"
#define ANY(x, rights) "i"
#define HANDLE(x) "i"
#define NUM(x) "i"
#define LONG(x) "I"
#define DEADLINE(x) "I"
#define IN(x) "ii"
#define BUFFER(x) "ii"
#define LIST(x, type) "ii"
#define OUT(x, type) "i"
#define MAYBE(x, type) "i"
#define WORD(x) "i"
#define CALL(number, name, waits, privilege, args, errors, doc)                                    \
    {#name, args ":I" TYPE_##waits, shim_##name,                                                   \
     sizeof(args "") - 1 <= MOST_##waits ? DIRECT_##waits(name) : NULL},
#define NORETURN(number, name, args, doc) {#name, args ":", shim_##name, NULL},
#define MOST_WAITS CELLS_DIRECT
#define MOST_PLAIN CELLS_DIRECT
#define MOST_SLOW CELLS_DIRECT
#define MOST_PASSES CELLS_DIRECT
#define MOST_HANDS CELLS_MAX
#define DIRECT_WAITS(name) direct_##name
#define DIRECT_PLAIN(name) direct_##name
#define DIRECT_SLOW(name) direct_##name
#define DIRECT_PASSES(name) direct_##name
#define DIRECT_HANDS(name) (vm_direct_fn *)(void *)(vm_hand_fn *)outcome_##name
#define TYPE_WAITS
#define TYPE_PLAIN
#define TYPE_SLOW
#define TYPE_PASSES "!"
#define TYPE_HANDS ">"
static const struct host_func calls[] = {
#include "abi/nebulet.def"
};

status nebulet_register(struct store *s, bool trace)
{
    static const char *const names[] = {NEBULET_MODULES};
    if (trace)
        store_use_cells(s);
    status e = store_host_module(s, "wasi", wasi_threads, countof(wasi_threads));
    for (u32 i = 0; i < countof(names) && !e; i++)
        e = store_host_module(s, names[i], calls, countof(calls));
    return e;
}

void nebulet_release(struct process *p)
{
    wasi_free(p->wasi);
    p->wasi = NULL;
}
