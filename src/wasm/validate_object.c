// SPDX-License-Identifier: MIT
// Structs, arrays, i31 and casts in the validator: all of prefix 0xfb (see validator.h).
#include "wasm/validator.h"
#include "base/lookup.h"

// Immediates

static const struct functype *imm_form(struct validator *v, const u8 **p, u32 form)
{
    u32 type;
    *p = imm_index(v, *p, v->m->ntypes, "type", &type);
    if (!*p)
        return NULL;
    const struct functype *t = &v->m->types[type];
    if (t->form == form)
        return t;
    fail(v, ERR_INVALID, "type mismatch: type %u is no %s type", type,
         form == FORM_STRUCT ? "struct" : "array");
    return NULL;
}

static const struct functype *imm_struct(struct validator *v, const u8 **p)
{
    return imm_form(v, p, FORM_STRUCT);
}

static const struct functype *imm_array(struct validator *v, const u8 **p)
{
    return imm_form(v, p, FORM_ARRAY);
}

// The element of an array that is written to where it is there already; 0: it cannot be.
static valtype mutable_element(struct validator *v, const struct functype *t)
{
    if (t && (t->types[0] & TYPE_MUTABLE))
        return t->types[0];
    if (t)
        fail(v, ERR_INVALID, "array is immutable");
    return 0;
}

static const u8 *imm_numbers(struct validator *v, const u8 *p, valtype element)
{
    u32 segment;
    if (is_reftype(field_type(element)))
        return fail(v, ERR_INVALID, "array type is not numeric or vector").p;
    p = imm_u32(v, p, &segment);
    if (p && !v->m->has_data_count)
        return fail(v, ERR_MALFORMED, "data count section required").p;
    return p && segment >= v->m->ndatas ? unknown(v, "data segment", segment) : p;
}

static const u8 *imm_references(struct validator *v, const u8 *p, valtype element)
{
    u32 segment;
    p = imm_index(v, p, v->m->nelems, "elem segment", &segment);
    if (!p || matches(v, v->m->elems[segment].type, field_type(element)))
        return p;
    mismatch(v, field_type(element), v->m->elems[segment].type);
    return NULL;
}

// What is taken and left, with R for a reference to t that may be null, N for one that is not, and
// A for an element.
static struct cursor shape(struct validator *v, struct cursor c, const struct functype *t,
                           valtype element, const char *params, const char *results)
{
    const valtype types[4] = {field_type(element), 0, t->self[1], t->self[0]};
    if (types[0] == TYPE_V128)
        note_simd(v);
    return c.p ? at(c.p, apply_types(v, c.sp, params, results, types)) : failed;
}

// Making

// 0 if all are the types that fields of these types, or all of the first, have on the stack. No
// early exit: this is a vector loop.
static inline u32 differ(const valtype *found, const valtype *types, u32 n, bool each)
{
    u32 bad = 0;
#pragma clang loop vectorize(enable)
    for (u32 i = 0; i < n; i++)
        bad |= found[i] == TYPE_ANYTHING ? 0 : found[i] ^ field_type(each ? types[i] : types[0]);
    return bad;
}

// Takes n such values off. Three bytes can want thousands.
static valtype *pop_fields(struct validator *v, valtype *sp, const valtype *types, u32 n, bool each)
{
    enum { FEW = 16 };
    size_t have = (size_t)(sp - v->base);
    if (have < n && !innermost(v)->unreachable)
        return fail(v, ERR_INVALID, "type mismatch: expected %u values, found %u", n, (u32)have).sp;
    if (have < n) {
        types += each ? n - have : 0;
        n = (u32)have;
    }
    sp -= n;
    if (n > FEW && look_up())
        return fail(v, ERR_CANCELLED, "the process ends").sp;
    if (likely(!(each ? differ(sp, types, n, true) : differ(sp, types, n, false))))
        return sp;
    for (u32 i = 0; i < n; i++) {
        valtype want = field_type(each ? types[i] : types[0]);
        if (!matches(v, sp[i], want))
            return mismatch(v, want, sp[i]);
    }
    return sp;
}

// What makes an object calls the runtime.

static struct cursor op_struct_new(struct validator *v, struct cursor c, bool fields)
{
    note_call(v);
    const struct functype *t = imm_struct(v, &c.p);
    if (!t)
        return failed;
    if (!fields && !t->bare)
        return fail(v, ERR_INVALID, "type mismatch: struct type is not defaultable");
    if (fields)
        c.sp = pop_fields(v, c.sp, t->types, t->nparams, true);
    return c.sp ? at(c.p, push(v, c.sp, t->self[1])) : failed;
}

static struct cursor op_array_new(struct validator *v, struct cursor c)
{
    note_call(v);
    const struct functype *t = imm_array(v, &c.p);
    return t ? shape(v, c, t, t->types[0], "Ai", "N") : failed;
}

static struct cursor op_array_new_default(struct validator *v, struct cursor c)
{
    note_call(v);
    const struct functype *t = imm_array(v, &c.p);
    if (t && !t->bare)
        return fail(v, ERR_INVALID, "type mismatch: array type is not defaultable");
    return t ? shape(v, c, t, t->types[0], "i", "N") : failed;
}

static struct cursor op_array_new_fixed(struct validator *v, struct cursor c)
{
    note_call(v);
    u32 n = 0;
    const struct functype *t = imm_array(v, &c.p);
    if (t)
        c.p = imm_u32(v, c.p, &n);
    if (!t || !c.p)
        return failed;
    if (n > MAX_FIXED)
        return fail(v, ERR_INVALID, "too many elements (the limit is %u)", MAX_FIXED);
    c.sp = pop_fields(v, c.sp, t->types, n, false);
    return c.sp ? at(c.p, push(v, c.sp, t->self[1])) : failed;
}

static struct cursor op_array_new_segment(struct validator *v, struct cursor c, bool data)
{
    note_call(v);
    const struct functype *t = imm_array(v, &c.p);
    if (!t)
        return failed;
    c.p = (data ? imm_numbers : imm_references)(v, c.p, t->types[0]);
    return shape(v, c, t, t->types[0], "ii", "N");
}

// Fields and elements

// A packed one is extended when it is read, and no other.
static bool check_packed(struct validator *v, valtype field, bool extended)
{
    if (field_packed(field) != extended)
        fail(v, ERR_INVALID, "type mismatch: field is %spacked", extended ? "un" : "");
    return field_packed(field) == extended;
}

static struct cursor op_struct_field(struct validator *v, struct cursor c, bool extended, bool set)
{
    u32 field;
    const struct functype *t = imm_struct(v, &c.p);
    if (t)
        c.p = imm_index(v, c.p, t->nparams, "field", &field);
    if (!t || !c.p)
        return failed;
    valtype type = t->types[field];
    if (set && !(type & TYPE_MUTABLE))
        return fail(v, ERR_INVALID, "field is immutable");
    if (!set && !check_packed(v, type, extended))
        return failed;
    return set ? shape(v, c, t, type, "RA", "") : shape(v, c, t, type, "R", "A");
}

static struct cursor op_array_get(struct validator *v, struct cursor c, bool extended)
{
    const struct functype *t = imm_array(v, &c.p);
    if (!t || !check_packed(v, t->types[0], extended))
        return failed;
    return shape(v, c, t, t->types[0], "Ri", "A");
}

static struct cursor op_array_write(struct validator *v, struct cursor c, const char *params)
{
    note_call(v);
    const struct functype *t = imm_array(v, &c.p);
    return mutable_element(v, t) ? shape(v, c, t, t->types[0], params, "") : failed;
}

static struct cursor op_array_init(struct validator *v, struct cursor c, bool data)
{
    note_call(v);
    const struct functype *t = imm_array(v, &c.p);
    if (!mutable_element(v, t))
        return failed;
    c.p = (data ? imm_numbers : imm_references)(v, c.p, t->types[0]);
    return shape(v, c, t, t->types[0], "Riii", "");
}

static struct cursor op_array_copy(struct validator *v, struct cursor c)
{
    note_call(v);
    const struct functype *to = imm_array(v, &c.p), *from = to ? imm_array(v, &c.p) : NULL;
    if (!from || !mutable_element(v, to))
        return failed;
    valtype a = from->types[0] & ~TYPE_MUTABLE, b = to->types[0] & ~TYPE_MUTABLE;
    if (!matches(v, a, b))
        return fail(v, ERR_INVALID, "array types do not match");
    const valtype types[4] = {to->self[0], from->self[0]};
    return at(c.p, apply_types(v, c.sp, "AiBii", "", types));
}

// References

// Casts of functions may look at types with the runtime's help, too.
static struct cursor op_cast(struct validator *v, struct cursor c, bool null, bool test)
{
    note_call(v);
    valtype type = 0;
    c.p = imm_heaptype(v, c.p, null, &type);
    c.sp = c.p ? pop(v, c.sp, module_top(v->m, type)) : NULL;
    return c.sp ? at(c.p, push(v, c.sp, test ? TYPE_I32 : type)) : failed;
}

static struct cursor op_br_on_cast(struct validator *v, struct cursor c, bool fails)
{
    note_call(v);
    struct frame *f;
    valtype from = 0, to = 0;
    const u8 *flags = c.p;
    c.p = imm_bytes(v, c.p, 1);
    if (c.p && *flags > 3)
        return fail(v, ERR_MALFORMED, "malformed br_on_cast flags");
    if (c.p)
        c.p = imm_label(v, c.p, &f);
    if (c.p)
        c.p = imm_heaptype(v, c.p, *flags & 1, &from);
    if (c.p)
        c.p = imm_heaptype(v, c.p, *flags & 2, &to);
    if (!c.p)
        return failed;
    if (!matches(v, to, from))
        return at(c.p, mismatch(v, from, to));
    valtype rest = from | (is_defaultable(to) ? TYPE_NONNULL : 0);
    valtype taken = fails ? rest : to, left = fails ? to : rest;
    struct label l = label_of(f);
    if (!l.n)
        return fail(v, ERR_INVALID, "type mismatch: the label of a cast takes nothing");
    if (!matches(v, taken, l.types[l.n - 1]))
        return at(c.p, mismatch(v, l.types[l.n - 1], taken));
    valtype *sp = pop(v, c.sp, from);
    valtype *below = sp ? pop_many(v, sp, l.types, l.n - 1) : NULL;
    if (!below || !branch_to(v, f, sp + 1))
        return failed;
    sp = push_many(v, below, l.types, l.n - 1);
    return sp ? at(c.p, push(v, sp, left)) : failed;
}

// The other hierarchy's reference to the same; null stays null.
static struct cursor op_convert(struct validator *v, struct cursor c, valtype from, valtype to)
{
    valtype found;
    c.sp = pop_ref(v, c.sp, &found);
    if (!c.sp)
        return failed;
    if (!matches(v, found, from))
        return at(c.p, mismatch(v, from, found));
    return at(c.p, push(v, c.sp, to | (found & TYPE_NONNULL)));
}

static struct cursor op_array_len(struct validator *v, struct cursor c)
{
    const valtype types[4] = {TYPE_ARRAYREF};
    return at(c.p, apply_types(v, c.sp, "A", "i", types));
}

static struct cursor op_i31(struct validator *v, struct cursor c, bool get)
{
    const valtype types[4] = {TYPE_I31REF, TYPE_I31REF | TYPE_NONNULL};
    return at(c.p, apply_types(v, c.sp, get ? "A" : "i", get ? "i" : "B", types));
}

struct cursor op_ref_eq(struct validator *v, struct cursor c)
{
    const valtype types[4] = {TYPE_EQREF};
    return at(c.p, apply_types(v, c.sp, "AA", "i", types));
}

struct cursor op_fb(struct validator *v, struct cursor c)
{
    u32 op;
    c.p = imm_u32(v, c.p, &op);
    if (!c.p)
        return failed;
    switch (op < 0x100 ? 0xfb00 | op : 0) {
    case OP_struct_new: return op_struct_new(v, c, true);
    case OP_struct_new_default: return op_struct_new(v, c, false);
    case OP_struct_get: return op_struct_field(v, c, false, false);
    case OP_struct_get_s:
    case OP_struct_get_u: return op_struct_field(v, c, true, false);
    case OP_struct_set: return op_struct_field(v, c, false, true);
    case OP_array_new: return op_array_new(v, c);
    case OP_array_new_default: return op_array_new_default(v, c);
    case OP_array_new_fixed: return op_array_new_fixed(v, c);
    case OP_array_new_data: return op_array_new_segment(v, c, true);
    case OP_array_new_elem: return op_array_new_segment(v, c, false);
    case OP_array_get: return op_array_get(v, c, false);
    case OP_array_get_s:
    case OP_array_get_u: return op_array_get(v, c, true);
    case OP_array_set: return op_array_write(v, c, "RiA");
    case OP_array_len: return op_array_len(v, c);
    case OP_array_fill: return op_array_write(v, c, "RiAi");
    case OP_array_copy: return op_array_copy(v, c);
    case OP_array_init_data: return op_array_init(v, c, true);
    case OP_array_init_elem: return op_array_init(v, c, false);
    case OP_ref_test: return op_cast(v, c, false, true);
    case OP_ref_test_null: return op_cast(v, c, true, true);
    case OP_ref_cast: return op_cast(v, c, false, false);
    case OP_ref_cast_null: return op_cast(v, c, true, false);
    case OP_br_on_cast: return op_br_on_cast(v, c, false);
    case OP_br_on_cast_fail: return op_br_on_cast(v, c, true);
    case OP_any_convert_extern: return op_convert(v, c, TYPE_EXTERNREF, TYPE_ANYREF);
    case OP_extern_convert_any: return op_convert(v, c, TYPE_ANYREF, TYPE_EXTERNREF);
    case OP_ref_i31: return op_i31(v, c, false);
    case OP_i31_get_s:
    case OP_i31_get_u: return op_i31(v, c, true);
    default: return illegal(v, 0xfb, op);
    }
}
