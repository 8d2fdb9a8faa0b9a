// SPDX-License-Identifier: MIT
// The validator's errors, operand stack and immediates (see validator.h).
//
// Lists of types are compared and copied in loops without an early exit that the compiler makes
// vectors of: a call with 1000 parameters is two bytes of code, and must not cost a thousand steps.
// Where types are not the same but subtypes it does, and looks up.
#include "wasm/validator.h"
#include "base/fmt.h"
#include "base/lookup.h"

struct cursor fail(struct validator *v, status code, const char *format, ...)
{
    char text[sizeof v->e->text];
    va_list args;
    va_start(args, format);
    fmt_va(text, sizeof text, format, args);
    va_end(args);
    error_set(v->e, code, (u64)(v->pc - v->m->bytes), "%s", text);
    return failed;
}

struct cursor no_memory(struct validator *v)
{
    return fail(v, ERR_NO_MEMORY, "out of memory");
}

struct cursor illegal(struct validator *v, u32 prefix, u32 op)
{
    if (prefix)
        return fail(v, ERR_MALFORMED, "illegal opcode %02x %x", prefix, op);
    return fail(v, ERR_MALFORMED, "illegal opcode %02x", op);
}

static const char *type_text(valtype type)
{
    return type ? valtype_text(type) : "any";
}

valtype *mismatch(struct validator *v, valtype expected, valtype found)
{
    fail(v, ERR_INVALID, "type mismatch: expected %s, found %s", type_text(expected),
         type_text(found));
    return NULL;
}

static valtype *underflow(struct validator *v, const char *expected)
{
    fail(v, ERR_INVALID, "type mismatch: expected %s, found nothing", expected);
    return NULL;
}

void note_simd(struct validator *v)
{
    v->simd = true;
}

static bool stack_grow(struct validator *v, u64 need)
{
    size_t capacity = (size_t)(v->limit - v->stack);
    ptrdiff_t base = v->base - v->stack, high = v->high - v->stack;
    if (need > MAX_STACK) {
        fail(v, ERR_INVALID, "too many operands (the limit is %u)", MAX_STACK);
        return false;
    }
    capacity = need > capacity * 2 ? need : capacity * 2;
    if (capacity > MAX_STACK)
        capacity = MAX_STACK;
    valtype *stack = heap_resize(v->stack, capacity * sizeof *stack);
    if (!stack) {
        no_memory(v);
        return false;
    }
    v->base = stack + base;
    v->high = stack + high;
    v->stack = stack;
    v->limit = stack + capacity;
    return true;
}

// Makes room for n more values, and keeps the mark of the highest stack. May move the stack.
valtype *raise(struct validator *v, valtype *sp, u32 n)
{
    size_t height = (size_t)(sp - v->stack);
    if (n > (size_t)(v->limit - sp) && !stack_grow(v, (u64)height + n))
        return NULL;
    sp = v->stack + height;
    if (sp + n > v->high)
        v->high = sp + n;
    return sp;
}

valtype *push_list(struct validator *v, valtype *sp, const valtype *types, u32 n)
{
    if (n > (size_t)(v->high - sp)) {
        sp = raise(v, sp, n);
        if (!sp)
            return NULL;
    }
    memcpy(sp, types, n * sizeof *types);
    bool simd = false;
#pragma clang loop vectorize(enable)
    for (u32 i = 0; i < n; i++)
        simd |= types[i] == TYPE_V128;
    if (unlikely(simd))
        note_simd(v);
    return sp + n;
}

// *type is 0 when unreachable code leaves it open.
valtype *pop_any(struct validator *v, valtype *sp, valtype *type)
{
    *type = 0;
    if (likely(sp > v->base)) {
        *type = sp[-1];
        return sp - 1;
    }
    return innermost(v)->unreachable ? sp : underflow(v, "a value");
}

valtype *pop_slow(struct validator *v, valtype *sp, valtype type)
{
    if (sp == v->base && !innermost(v)->unreachable)
        return underflow(v, valtype_text(type));
    valtype found;
    sp = pop_any(v, sp, &found);
    return matches(v, found, type) ? sp : mismatch(v, type, found);
}

static bool types_same(const valtype *found, const valtype *expected, size_t n)
{
    if (n >= 32 && memcmp(found, expected, n * sizeof *found) == 0)
        return true;
    u32 bad = 0; // no early exit: this is a vector loop
#pragma clang loop vectorize(enable)
    for (size_t i = 0; i < n; i++)
        bad |= found[i] == TYPE_ANYTHING ? 0 : found[i] ^ expected[i];
    return !bad;
}

bool match_many(struct validator *v, const valtype *a, const valtype *b, u32 n)
{
    enum { FEW = 16 };
    if (likely(!n || types_same(a, b, n)))
        return true;
    if (n > FEW && look_up())
        return fail(v, ERR_CANCELLED, "the process ends").sp;
    valtype is = 0, was = 0; // the pair before; many are alike
    while (n-- > 0) {
        if (a[n] == is && b[n] == was)
            continue;
        is = a[n], was = b[n];
        if (!matches(v, is, was))
            return mismatch(v, was, is) != NULL;
    }
    return true;
}

valtype *pop_ref(struct validator *v, valtype *sp, valtype *type)
{
    sp = pop_any(v, sp, type);
    if (sp && *type == TYPE_ANYTHING)
        *type = TYPE_ANY_REF | TYPE_NONNULL;
    if (sp && !is_reftype(*type))
        return fail(v, ERR_INVALID, "type mismatch: expected a reference, found %s",
                    valtype_text(*type))
            .sp;
    return sp;
}

valtype *pop_list(struct validator *v, valtype *sp, const valtype *types, u32 n)
{
    size_t have = (size_t)(sp - v->base);
    if (unlikely(have < n)) {
        if (!innermost(v)->unreachable)
            return underflow(v, valtype_text(types[n - 1 - have]));
        types += n - have;
        n = (u32)have;
    }
    return likely(match_many(v, sp - n, types, n)) ? sp - n : NULL;
}

static valtype char_type(char c, const valtype types[4])
{
    switch (c) {
    case 'A': return types[0];
    case 'B': return types[1];
    case 'N': return types[2];
    case 'R': return types[3];
    case 'i': return TYPE_I32;
    case 'l': return TYPE_I64;
    case 'f': return TYPE_F32;
    case 'd': return TYPE_F64;
    default: return TYPE_V128;
    }
}

valtype *apply(struct validator *v, valtype *sp, const char *params, const char *results)
{
    return apply_types(v, sp, params, results, NULL);
}

valtype *apply_types(struct validator *v, valtype *sp, const char *params, const char *results,
                     const valtype types[4])
{
    size_t n = strlen(params);
    while (n-- > 0 && sp)
        sp = pop(v, sp, char_type(params[n], types));
    for (; *results && sp; results++)
        sp = push(v, sp, char_type(*results, types));
    return sp;
}

// Immediates

struct leb imm_slow(struct validator *v, const u8 *p, u32 bits, bool sign)
{
    const u8 *end = v->m->bytes + v->m->size; // what is wrong with it comes before where it ends
    struct leb n = sign ? leb_check_s(p, end, bits) : leb_check_u(p, end, bits);
    if (likely(n.p && n.p <= v->end))
        return n;
    fail(v, ERR_MALFORMED, "%s", leb_error_text(n.p ? LEB_END : n.value));
    return (struct leb){0};
}

const u8 *imm_bytes(struct validator *v, const u8 *p, size_t n)
{
    if (likely((size_t)(v->end - p) >= n))
        return p + n;
    fail(v, ERR_MALFORMED, "unexpected end of section or function");
    return NULL;
}

const u8 *unknown(struct validator *v, const char *what, u32 x)
{
    return fail(v, ERR_INVALID, "unknown %s %u", what, x).p;
}

const u8 *imm_zero(struct validator *v, const u8 *p)
{
    const u8 *next = imm_bytes(v, p, 1);
    if (likely(next && *p == 0))
        return next;
    fail(v, ERR_MALFORMED, "zero byte expected");
    return NULL;
}

const u8 *imm_memory(struct validator *v, const u8 *p, valtype *type)
{
    u32 memory;
    p = imm_index(v, p, v->m->nmemories, "memory", &memory);
    if (p)
        *type = limits_type(&v->m->memories[memory]);
    return p;
}

// Flags: log2 of the alignment, and whether the memory's index follows.
const u8 *imm_memarg(struct validator *v, const u8 *p, u32 natural, valtype *type)
{
    u32 flags, memory = 0;
    p = imm_u32(v, p, &flags);
    if (p && flags >= 2 * MEMARG_INDEX)
        return fail(v, ERR_MALFORMED, "malformed memop flags").p;
    if (p && (flags & MEMARG_INDEX))
        p = imm_u32(v, p, &memory);
    struct leb offset = p ? imm_slow(v, p, 64, false) : (struct leb){0};
    if (!offset.p)
        return NULL;
    if (memory >= v->m->nmemories)
        return unknown(v, "memory", memory);
    *type = limits_type(&v->m->memories[memory]);
    u32 align = flags & (MEMARG_INDEX - 1);
    if (align > natural)
        return fail(v, ERR_INVALID, "alignment must not be larger than natural (2^%u > 2^%u)",
                    align, natural)
            .p;
    if (*type == TYPE_I32 && offset.value > UINT32_MAX)
        return fail(v, ERR_INVALID, "offset out of range").p;
    v->far |= (flags & MEMARG_INDEX) || offset.p - p > 5; // memory 0 may be named, too
    return offset.p;
}

const u8 *imm_heaptype(struct validator *v, const u8 *p, bool null, valtype *type)
{
    struct reader r = {p, v->end, v->m->bytes, v->e};
    *type = read_heaptype(&r, v->m, null);
    return read_ok(&r) ? r.p : NULL;
}

const u8 *imm_valtype(struct validator *v, const u8 *p, valtype *type)
{
    struct reader r = {p, v->end, v->m->bytes, v->e};
    *type = read_valtype(&r, v->m);
    return read_ok(&r) ? r.p : NULL;
}

const u8 *imm_table(struct validator *v, const u8 *p, valtype *elem, valtype *type)
{
    u32 table;
    p = imm_index(v, p, v->m->ntables, "table", &table);
    if (p) {
        *elem = v->m->tables[table].elem;
        *type = limits_type(&v->m->tables[table].limits);
    }
    return p;
}
