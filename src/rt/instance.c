// SPDX-License-Identifier: MIT
// Instantiation, in two halves. The first binds every import to something of the right type and
// allocates; it can fail and then leaves nothing. The second writes segments, of which one that is
// out of bounds ends it with a trap: what was written before stays, and since functions of the
// instance may by then be in tables of others, the instance stays too, out of reach, until the
// store goes.
#include "rt/instance.h"
#include "base/fmt.h"
#include "base/lookup.h"
#include "arch/arch.h"
#include "rt/gc.h"
#include "wasm/leb.h"
#include "wasm/runtime.h"

struct store *vm_store(const struct vmctx *vm)
{
    return vm->instance->store;
}

struct vmctx *instance_vm(struct instance *i)
{
    return &i->vm;
}

// At step i of a loop that the module has the length of.
static status go_on(u32 i, struct error *e)
{
    enum { AT_ONCE = 256 };
    if (likely((i + 1) % AT_ONCE) || !look_up() || !e)
        return OK;
    return error_set(e, ERR_CANCELLED, ERROR_NO_OFFSET, "the process ends");
}

static void *at(struct instance *i, u32 offset)
{
    return (u8 *)&i->vm + offset;
}

// --- Imports

const char *func_type_text(char *buffer, size_t n, const struct functype *f)
{
    size_t length = fmt(buffer, n, "(");
    for (u32 i = 0; i < f->nparams + f->nresults && length < n; i++) {
        if (i == f->nparams)
            length += fmt(buffer + length, n - length, ") -> (");
        bool first = i == 0 || i == f->nparams;
        const char *type = valtype_text(f->types[i]);
        length += fmt(buffer + length, n - length, "%s%s", first ? "" : " ", type);
    }
    if (length < n)
        fmt(buffer + length, n - length, "%s)", f->nresults ? "" : ") -> (");
    return buffer;
}

__attribute__((format(printf, 3, 4))) static status
incompatible(const struct import *i, struct error *e, const char *format, ...)
{
    char detail[130];
    va_list args;
    va_start(args, format);
    fmt_va(detail, sizeof detail, format, args);
    va_end(args);
    return error_set(e, ERR_UNLINKABLE, ERROR_NO_OFFSET,
                     "incompatible import type for \"%.*s\".\"%.*s\": %s", (int)i->module.length,
                     i->module.p, (int)i->field.length, i->field.p, detail);
}

static bool limits_fit(u64 present, u64 declared_max, const struct limits *want)
{
    return present >= want->min && (want->max == UINT64_MAX || declared_max <= want->max);
}

static bool has_names(const struct store *s)
{
    return s->registrations || s->items;
}

static bool bind_known(struct instance *in, u32 import)
{
    const struct vm_func *f = __atomic_load_n(&in->module->bound[import], __ATOMIC_RELAXED);
    if (!f || has_names(in->store))
        return false;
    *vm_import(&in->vm, in->vm.module->imports[import].index) = *f;
    return true;
}

static status bind_func(struct instance *in, const struct import *i, const struct extern_ *x,
                        struct error *e)
{
    const struct functype *want = module_func_type(in->vm.module, i->index);
    const struct vm_func *f = x->func->ref;
    if (f->type != want->id && !type_is(&in->store->realm->types, f->type, want->id)) {
        char a[56], b[56];
        return incompatible(i, e, "wanted %s, found %s", func_type_text(a, sizeof a, want),
                            func_type_text(b, sizeof b, x->func_type));
    }
    struct vm_func *cell = vm_import(&in->vm, i->index);
    *cell = *f;
    if (f->index != VM_FUNC_HOST && f->code)
        cell->code = arch_stub_import;
    if (f->index == VM_FUNC_HOST && !has_names(in->store))
        __atomic_store_n(&in->module->bound[i - in->vm.module->imports], f, __ATOMIC_RELAXED);
    return OK;
}

static status bind_table(struct instance *in, const struct import *i, const struct extern_ *x,
                         struct error *e)
{
    const struct table_type *want = &in->vm.module->tables[i->index];
    if (x->table_type.limits.wide != want->limits.wide)
        return incompatible(i, e, "wanted a table with indices of %s bits",
                            want->limits.wide ? "64" : "32");
    if (x->table_type.elem != type_outside(in->vm.module, want->elem))
        return incompatible(i, e, "wanted a table of %s, found one of %s", valtype_text(want->elem),
                            valtype_text(x->table_type.elem));
    if (!limits_fit(x->table->length, x->table_type.limits.max, &want->limits))
        return incompatible(i, e, "the table's limits do not fit");
    ((struct vm_table **)at(in, in->vm.module->layout.tables))[i->index] = x->table;
    in->table_max[i->index] = x->table_type.limits.max;
    return OK;
}

static const char *shared_text(bool shared)
{
    return shared ? "a shared" : "an unshared";
}

static status bind_memory(struct instance *in, const struct import *i, const struct extern_ *x,
                          struct error *e)
{
    const struct limits *want = &in->vm.module->memories[i->index];
    if (!limits_fit(x->memory->bytes / WASM_PAGE, x->memory_type.max, want))
        return incompatible(i, e, "the memory's limits do not fit");
    if (x->memory_type.shared != want->shared)
        return incompatible(i, e, "wanted %s memory, found %s one", shared_text(want->shared),
                            shared_text(!want->shared));
    if (x->memory_type.wide != want->wide)
        return incompatible(i, e, "wanted a memory with addresses of %s bits",
                            want->wide ? "64" : "32");
    if (in->vm.module->nmemories > 1)
        *vm_far(&in->vm, i->index) =
            (struct vm_far){x->memory->base, x->memory, x->memory_type.max, false};
    if (i->index)
        return OK;
    in->vm.mem = x->memory;
    in->memory_max = x->memory_type.max;
    return OK;
}

static status bind_global(struct instance *in, const struct import *i, const struct extern_ *x,
                          struct error *e)
{
    const struct global_type *want = &in->vm.module->globals[i->index];
    const struct global_type *is = &x->global_type;
    valtype wanted = type_outside(in->vm.module, want->type);
    if (is->mutable != want->mutable ||
        (is->mutable ? is->type != wanted
                     : !types_match(&in->store->realm->types, is->type, wanted)))
        return incompatible(i, e, "wanted a %s%s global, found a %s%s one",
                            want->mutable ? "mutable " : "", valtype_text(want->type),
                            is->mutable ? "mutable " : "", valtype_text(is->type));
    ((union vm_global **)at(in, in->vm.module->layout.imported_globals))[i->index] = x->global;
    return OK;
}

static status bind_tag(struct instance *in, const struct import *i, const struct extern_ *x,
                       struct error *e)
{
    const struct module *m = in->vm.module, *from = x->tag->module;
    const struct functype *want = module_tag_type(m, i->index);
    if (x->tag->type != want->id) {
        char a[56], b[56];
        return incompatible(i, e, "wanted a tag of %s, found one of %s",
                            func_type_text(a, sizeof a, want),
                            func_type_text(b, sizeof b, module_tag_type(from, x->tag->index)));
    }
    ((const struct vm_tag **)at(in, m->layout.tags))[i->index] = x->tag;
    return OK;
}

static status bind_import(struct instance *in, const struct import *i, struct error *e)
{
    static const char *const kinds[] = {"function", "table", "memory", "global", "tag"};
    struct extern_ x;
    status s = names_find(in->store, i, &x, e);
    if (s)
        return s;
    if (x.kind != i->kind)
        return incompatible(i, e, "wanted a %s, found a %s", kinds[i->kind], kinds[x.kind]);
    switch ((enum extern_kind)i->kind) {
    case EXTERN_FUNC: return bind_func(in, i, &x, e);
    case EXTERN_TABLE: return bind_table(in, i, &x, e);
    case EXTERN_MEMORY: return bind_memory(in, i, &x, e);
    case EXTERN_GLOBAL: return bind_global(in, i, &x, e);
    case EXTERN_TAG: return bind_tag(in, i, &x, e);
    }
    return ERR_INTERNAL;
}

// --- Own things

static void make_refs(struct instance *in)
{
    const struct module *m = in->vm.module;
    const struct compiled *c = &in->module->pub.compiled;
    struct vm_func *refs = at(in, m->layout.refs);
    for (u32 i = 0; i < m->nrefs; i++) {
        u32 func = in->module->refs[i];
        const u8 *code = NULL;
        if (c->engine->code)
            code = module_code(in->module, func);
        go_on(i, NULL);
        refs[i] = (struct vm_func){
            .code = code,
            .vm = &in->vm,
            .ref = &refs[i],
            .type = module_func_type(m, func)->id,
            .index = func,
        };
    }
}

// Constant expressions: their operands are the store's, where the collector finds those that are
// references.

static union vm_global *operand(struct store *s, u32 below)
{
    return &s->operands.at[s->operands.count - 1 - below];
}

static void push(struct store *s, union vm_global v)
{
    s->operands.at[s->operands.count++] = v; // room was made for all
}

static u64 pop(struct store *s)
{
    return s->operands.at[--s->operands.count].i64;
}

// The instructions with operands of integers.
static void arithmetic(struct store *s, u32 op)
{
    u64 *a = &operand(s, 1)->i64, b = operand(s, 0)->i64;
    switch (op) {
    case OP_i32_add: *a = (u32)(*a + b); break;
    case OP_i32_sub: *a = (u32)(*a - b); break;
    case OP_i32_mul: *a = (u32)(*a * b); break;
    case OP_i64_add: *a += b; break;
    case OP_i64_sub: *a -= b; break;
    case OP_i64_mul: *a *= b; break;
    default: break;
    }
    s->operands.count--;
}

static u64 make_struct(struct instance *in, const struct functype *t, bool fields)
{
    struct store *s = in->store;
    u64 ref = object_new_struct(&in->vm, t);
    for (u32 i = fields ? t->nparams : 0; i-- > 0 && ref;)
        memcpy((u8 *)vm_object(&in->vm, ref) + struct_place(t, i),
               &s->operands.at[--s->operands.count], module_field_size(in->vm.module, t->types[i]));
    return ref;
}

static u64 make_array(struct instance *in, const struct functype *t, u32 op, const u8 **p)
{
    struct store *s = in->store;
    u32 n = op == OP_array_new_fixed ? leb_u32(p) : (u32)pop(s), step = array_step(t);
    u64 ref = object_new_array(&in->vm, t, n);
    if (op == OP_array_new) {
        union vm_global *value = &s->operands.at[--s->operands.count];
        memcpy(in->vm.heap->operand, value, sizeof in->vm.heap->operand);
        if (ref)
            rt_array_fill(&in->vm, ref, 0, value->i64, n);
    }
    for (u32 i = op == OP_array_new_fixed ? n : 0; i-- > 0 && ref;)
        memcpy(vm_object(&in->vm, ref)->at + (u64)i * step, &s->operands.at[--s->operands.count],
               step);
    return ref;
}

static bool make_object(struct instance *in, u32 op, const u8 **p)
{
    const struct functype *t = &in->vm.module->types[leb_u32(p)];
    u64 ref = op <= OP_struct_new_default ? make_struct(in, t, op == OP_struct_new)
                                          : make_array(in, t, op, p);
    push(in->store, (union vm_global){.ref = ref});
    return ref;
}

// The instructions without operands.
static union vm_global constant(const struct instance *in, u32 op, const u8 **p)
{
    union vm_global v = {.v128 = {0}};
    switch (op) {
    case OP_i32_const: v.i32 = (u32)leb_s32(p); break;
    case OP_i64_const: v.i64 = leb_s64(p); break;
    case OP_f32_const:
        v.i32 = load_u32(*p);
        *p += 4;
        break;
    case OP_f64_const:
        v.i64 = load_u64(*p);
        *p += 8;
        break;
    case OP_v128_const:
        memcpy(v.v128, *p, sizeof v.v128);
        *p += sizeof v.v128;
        break;
    case OP_global_get: v = *vm_global(&in->vm, leb_u32(p)); break;
    case OP_ref_func: v.ref = (u64)(uintptr_t)vm_funcref(&in->vm, leb_u32(p)); break;
    default: leb_s64(p); break; // ref.null
    }
    return v;
}

// False: no memory.
static bool run(struct instance *in, const u8 *p)
{
    struct store *s = in->store;
    for (;;) {
        u32 op = *p++;
        go_on(s->computed++, NULL);
        if (op >= 0xfb)
            op = op_prefixed(op, leb_u32(&p));
        switch (op) {
        case OP_end: return true;
        case OP_struct_new:
        case OP_struct_new_default:
        case OP_array_new:
        case OP_array_new_default:
        case OP_array_new_fixed:
            if (!make_object(in, op, &p))
                return false;
            break;
        case OP_ref_i31: operand(s, 0)->ref = vm_i31(operand(s, 0)->i32); break;
        case OP_any_convert_extern:
        case OP_extern_convert_any: break;
        case OP_i32_add ... OP_i64_mul: arithmetic(s, op); break;
        default: push(s, constant(in, op, &p)); break;
        }
    }
}

static bool compute(struct instance *in, const struct constexpr_ *x, union vm_global *out)
{
    struct store *s = in->store;
    if (!vec_reserve(&s->operands, x->index))
        return false;
    memset(s->operands.at, 0, x->index * sizeof *s->operands.at);
    struct gc_held held = {s->held, (const u64 *)(const void *)s->operands.at, 2 * x->index};
    s->held = &held;
    bool done = run(in, x->code);
    s->held = held.next;
    *out = s->operands.at[0];
    s->operands.count = 0;
    return done;
}

static status evaluate(struct instance *in, const struct constexpr_ *x, union vm_global *out,
                       struct error *e)
{
    union vm_global v = {.v128 = {0}};
    bool done = true;
    switch (x->kind) {
    case CONST_VALUE:
        if (x->type == TYPE_V128)
            memcpy(v.v128, x->v128, sizeof v.v128);
        else
            v.i64 = x->bits;
        break;
    case CONST_GLOBAL: v = *vm_global(&in->vm, x->index); break;
    case CONST_REF_NULL: break;
    case CONST_REF_FUNC: v.ref = (u64)(uintptr_t)vm_funcref(&in->vm, x->index); break;
    case CONST_CODE: done = compute(in, x, &v); break;
    }
    *out = v;
    return done ? OK
                : error_set(e, ERR_NO_MEMORY, ERROR_NO_OFFSET,
                            "no memory for what a constant expression makes");
}

static status make_globals(struct instance *in, struct error *e)
{
    const struct module *m = in->vm.module;
    for (u32 i = m->nimported_globals; i < m->nglobals; i++)
        if (evaluate(in, &m->global_init[i - m->nimported_globals], vm_global(&in->vm, i), e) ||
            go_on(i, e))
            return e->code;
    return OK;
}

static status fill_tables(struct instance *in, struct error *e)
{
    const struct module *m = in->vm.module;
    for (u32 i = m->nimported_tables; i < m->ntables; i++) {
        const struct constexpr_ *x = &m->table_init[i - m->nimported_tables];
        union vm_global v;
        if (x->kind == CONST_REF_NULL)
            continue;
        if (evaluate(in, x, &v, e) || go_on(i, e))
            return e->code;
        rt_table_fill(&in->vm, i, 0, v.ref, vm_table(&in->vm, i)->length);
    }
    return OK;
}

// What segments hold is computed once.
static status make_elems(struct instance *in, struct error *e)
{
    const struct module *m = in->vm.module;
    for (u32 i = 0; i < m->nelems; i++) {
        const struct elem_segment *s = &m->elems[i];
        if (go_on(i, e))
            return e->code;
        if (!s->computed)
            continue;
        if (!in->elems)
            in->elems = heap_array(m->nelems, sizeof *in->elems);
        if (!in->elems || !(in->elems[i] = heap_array(s->count, sizeof *in->elems[i])))
            return error_set(e, ERR_NO_MEMORY, ERROR_NO_OFFSET, "no memory for an elem segment");
        for (u32 k = 0; k < s->count; k++) {
            union vm_global v;
            if (evaluate(in, &s->exprs[k], &v, e) || go_on(k, e))
                return e->code;
            in->elems[i][k] = v.ref;
        }
    }
    return OK;
}

static void make_tags(struct instance *in)
{
    const struct module *m = in->vm.module;
    const struct vm_tag **tags = at(in, m->layout.tags);
    struct vm_tag *own = at(in, m->layout.own_tags);
    for (u32 i = m->nimported_tags; i < m->ntags; i++, own++) {
        *own = (struct vm_tag){m, i, module_tag_type(m, i)->id};
        tags[i] = own;
        go_on(i, NULL);
    }
}

static status make_tables(struct instance *in, struct error *e)
{
    const struct module *m = in->vm.module;
    struct vm_table **tables = at(in, m->layout.tables);
    for (u32 i = m->nimported_tables; i < m->ntables; i++) {
        struct rt_table *t = &in->tables[i - m->nimported_tables];
        struct table_type type = m->tables[i];
        type.elem = module_top(m, type.elem);
        if (table_create(in->store, &type, t))
            return error_set(e, ERR_NO_MEMORY, ERROR_NO_OFFSET,
                             "no memory for a table of %lu elements",
                             (unsigned long)m->tables[i].limits.min);
        tables[i] = &t->vm;
        if (go_on(i, e))
            return e->code;
    }
    return OK;
}

// Those beside memory 0, which is in the list, too.
static status make_far_memories(struct instance *in, struct error *e)
{
    const struct module *m = in->vm.module;
    if (!m->nimported_memories)
        *vm_far(&in->vm, 0) = (struct vm_far){in->vm.mem_base, in->vm.mem, in->memory_max, false};
    for (u32 i = m->nimported_memories ? m->nimported_memories : 1; i < m->nmemories; i++) {
        struct vm_memory *memory;
        if (memory_create(in->store, &m->memories[i], NULL, &memory))
            return error_set(e, ERR_NO_MEMORY, ERROR_NO_OFFSET, "no memory for %lu pages",
                             (unsigned long)m->memories[i].min);
        *vm_far(&in->vm, i) = (struct vm_far){memory->base, memory, m->memories[i].max, true};
        if (go_on(i, e))
            return e->code;
    }
    return OK;
}

static void free_far_memories(struct instance *in)
{
    const struct module *m = in->vm.module;
    for (u32 i = m->nimported_memories; m->nmemories > 1 && i < m->nmemories; i++)
        if (vm_far(&in->vm, i)->own)
            memory_free(in->store, vm_far(&in->vm, i)->memory);
}

static status make_memory(struct instance *in, struct error *e)
{
    const struct module *m = in->vm.module;
    if (m->nmemories && !m->nimported_memories) {
        in->memory_max = m->memories[0].max;
        in->image = module_image(in->module);
        // With tables of others, this may fail halfway and yet be seen: what is to be written last
        // must not be there before.
        struct plat_image *early = m->nimported_tables ? NULL : in->image;
        if (memory_create(in->store, &m->memories[0], early, &in->own_memory))
            return error_set(e, ERR_NO_MEMORY, ERROR_NO_OFFSET, "no memory for %lu pages",
                             (unsigned long)m->memories[0].min);
        in->vm.mem = in->own_memory;
    } else if (!m->nmemories) {
        if (memory_none(in->store))
            return error_set(e, ERR_NO_MEMORY, ERROR_NO_OFFSET, "out of address space");
        in->vm.mem = &in->store->no_memory;
    }
    in->vm.mem_base = in->vm.mem->base;
    in->vm.own[0] = in->vm.own[1] = &in->vm.scratch;
    in->vm.last_byte = UINT32_MAX;
    return m->nmemories > 1 ? make_far_memories(in, e) : OK;
}

// --- Segments

static status trapped(enum trap trap, struct error *e)
{
    return trap ? error_set(e, ERR_TRAP, ERROR_NO_OFFSET, "%s", trap_text(trap)) : OK;
}

static status offset_of(struct instance *in, const struct constexpr_ *x, u64 *out, struct error *e)
{
    union vm_global v;
    if (evaluate(in, x, &v, e))
        return e->code;
    *out = x->type == TYPE_I64 ? v.i64 : v.i32;
    return OK;
}

static status write_elems(struct instance *in, struct error *e)
{
    const struct module *m = in->vm.module;
    for (u32 i = 0; i < m->nelems; i++) {
        const struct elem_segment *s = &m->elems[i];
        if (go_on(i, e))
            return e->code;
        if (s->mode == SEGMENT_PASSIVE)
            continue;
        enum trap trap = TRAP_NONE;
        u64 offset = 0;
        if (s->mode == SEGMENT_ACTIVE && offset_of(in, &s->offset, &offset, e))
            return e->code;
        if (s->mode == SEGMENT_ACTIVE)
            trap = rt_table_init(&in->vm, s->table, i, offset, 0, s->count);
        if (trap)
            return trapped(trap, e);
        rt_elem_drop(&in->vm, i);
    }
    return OK;
}

// All of them at once, if the module has an image.
static bool map_datas(struct instance *in)
{
    if (!in->image || !memory_image(in->own_memory, in->image))
        return false;
    for (u32 i = 0; i < in->vm.module->ndatas; i++) {
        if (in->vm.module->datas[i].mode == SEGMENT_ACTIVE)
            rt_data_drop(&in->vm, i);
        go_on(i, NULL);
    }
    return true;
}

static status write_datas(struct instance *in, struct error *e)
{
    const struct module *m = in->vm.module;
    if (map_datas(in))
        return OK;
    for (u32 i = 0; i < m->ndatas; i++) {
        const struct data_segment *s = &m->datas[i];
        if (go_on(i, e))
            return e->code;
        if (s->mode != SEGMENT_ACTIVE)
            continue;
        u64 offset;
        if (offset_of(in, &s->offset, &offset, e))
            return e->code;
        enum trap trap = rt_far_init(&in->vm, i, s->memory, offset, 0, s->size);
        if (trap)
            return trapped(trap, e);
        rt_data_drop(&in->vm, i);
    }
    return OK;
}

// --- The whole

// Offsets into the block.
struct places {
    size_t tables, table_max, dropped, end;
};

static struct places places_of(const struct module *m)
{
    struct places p;
    size_t vm_size = m->layout.size > sizeof(struct vmctx) ? m->layout.size : sizeof(struct vmctx);
    p.tables = ALIGN_UP(offsetof(struct instance, vm) + vm_size, (size_t)16);
    p.table_max = p.tables + (m->ntables - m->nimported_tables) * sizeof(struct rt_table);
    p.dropped = p.table_max + m->nimported_tables * sizeof(u64);
    p.end = p.dropped + m->ndatas + m->nelems;
    return p;
}

size_t instance_bytes(const struct module *m)
{
    return places_of(m).end;
}

static struct instance *allocate(struct store *s, struct module_record *r)
{
    const struct module *m = r->pub.m;
    struct places p = places_of(m);
    struct instance *in = s->room == r ? instance_inside(s) : heap_zalloc(p.end);
    if (!in)
        return NULL;
    s->room = s->room == r ? NULL : s->room;
    in->store = s;
    in->module = r;
    in->size = p.end;
    in->tables = (struct rt_table *)((u8 *)in + p.tables);
    in->table_max = (u64 *)((u8 *)in + p.table_max);
    in->dropped_datas = (u8 *)in + p.dropped;
    in->dropped_elems = in->dropped_datas + m->ndatas;
    in->vm.module = m;
    in->vm.instance = in;
    in->vm.engine_data = r->pub.compiled.data;
    module_used(r);
    LIST_ADD(&s->instances, in);
    gc_attach(in);
    return in;
}

static status link(struct instance *in, struct error *e)
{
    const struct module *m = in->vm.module;
    for (u32 i = 0; i < m->nimports; i++) {
        status s = bind_known(in, i) ? OK : bind_import(in, &m->imports[i], e);
        if (!s)
            s = go_on(i, e);
        if (s)
            return s;
    }
    status s = make_tables(in, e);
    if (!s)
        s = make_memory(in, e);
    if (s)
        return s;
    make_refs(in);
    if (in->vm.module->ntags)
        make_tags(in);
    if (m->objects && !gc_begin(in->store))
        return error_set(e, ERR_NO_MEMORY, ERROR_NO_OFFSET, "no memory for objects");
    gc_restrain(in->store, true);
    if (!(s = make_globals(in, e)) && !(s = fill_tables(in, e)))
        s = make_elems(in, e);
    gc_restrain(in->store, false);
    return s;
}

status instance_create(struct store *s, struct rt_module *m, void *process, struct instance **out,
                       struct error *e)
{
    *out = NULL;
    struct module_record *r = container_of(m, struct module_record, pub);
    struct instance *in = allocate(s, r);
    if (!in)
        return error_set(e, ERR_NO_MEMORY, ERROR_NO_OFFSET, "out of memory for the instance");
    in->vm.process = process;
    status result = link(in, e);
    if (result) {
        instance_free(in);
        return result;
    }
    if ((result = write_elems(in, e)) || (result = write_datas(in, e))) {
        if (!r->pub.m->nimported_tables)
            instance_free(in);
        return result;
    }
    *out = in;
    return OK;
}

void instance_free(struct instance *in)
{
    if (!in)
        return;
    const struct module *m = in->vm.module;
    names_forget(in->store, in);
    for (u32 i = m->nimported_tables; i < m->ntables; i++) {
        table_free(&in->tables[i - m->nimported_tables]);
        go_on(i, NULL);
    }
    for (u32 i = 0; in->elems && i < m->nelems; i++) {
        heap_free(in->elems[i]);
        go_on(i, NULL);
    }
    heap_free(in->elems);
    free_far_memories(in);
    memory_free(in->store, in->own_memory);
    LIST_REMOVE(in);
    if (m->objects)
        gc_keep_types(in->store, in->module);
    module_unused(in->module);
    if (in != instance_inside(in->store))
        heap_free(in);
}

// Host functions keep no references, but other instances may, and what they share.
static bool is_alone(const struct instance *in)
{
    const struct module *m = in->vm.module;
    bool alone = !m->nimported_tables && !m->nimported_globals && !m->nimported_tags;
    for (u32 i = 0; i < m->nimported_funcs && alone; i++) {
        alone = vm_import(&in->vm, i)->index == VM_FUNC_HOST;
        go_on(i, NULL);
    }
    return alone;
}

void instance_leave(struct instance *in)
{
    if (in && is_alone(in))
        instance_free(in);
}

size_t instance_size(const struct instance *in)
{
    return in->size;
}

// It need not be referable, so it may have no vm_func of its own.
bool instance_start(struct instance *in, struct vm_func *out)
{
    const struct module *m = in->vm.module;
    if (m->start == UINT32_MAX)
        return false;
    if (m->start < m->nimported_funcs) {
        *out = *vm_import(&in->vm, m->start)->ref;
        return true;
    }
    const struct compiled *c = &in->module->pub.compiled;
    *out = (struct vm_func){
        .vm = &in->vm, .type = module_func_type(m, m->start)->id, .index = m->start};
    if (c->engine->code)
        out->code = module_code(in->module, m->start);
    out->ref = out;
    return true;
}

// --- Exports

static void export_func(struct instance *in, u32 index, struct extern_ *out)
{
    out->func = vm_funcref(&in->vm, index);
    out->func_type = module_func_type(in->vm.module, index);
}

static void export_table(struct instance *in, u32 index, struct extern_ *out)
{
    const struct module *m = in->vm.module;
    bool own = index >= m->nimported_tables;
    out->table = vm_table(&in->vm, index);
    out->table_type = (struct table_type){
        .elem = type_outside(m, m->tables[index].elem),
        .limits = {.min = out->table->length,
                   .max = own ? m->tables[index].limits.max : in->table_max[index],
                   .wide = m->tables[index].limits.wide},
    };
}

static void export_memory(struct instance *in, u32 index, struct extern_ *out)
{
    out->memory = vm_memory(&in->vm, index);
    out->memory_type = in->vm.module->memories[index];
    out->memory_type.min = out->memory->bytes / WASM_PAGE;
    out->memory_type.max = index ? vm_far(&in->vm, index)->max : in->memory_max;
}

status instance_export(struct instance *in, const char *name, size_t length, struct extern_ *out)
{
    const struct export *x = module_export(in->vm.module, name, length);
    if (!x)
        return ERR_NOT_FOUND;
    *out = (struct extern_){.kind = x->kind};
    switch ((enum extern_kind)x->kind) {
    case EXTERN_FUNC: export_func(in, x->index, out); break;
    case EXTERN_TABLE: export_table(in, x->index, out); break;
    case EXTERN_MEMORY: export_memory(in, x->index, out); break;
    case EXTERN_GLOBAL:
        out->global = vm_global(&in->vm, x->index);
        out->global_type = in->vm.module->globals[x->index];
        out->global_type.type = type_outside(in->vm.module, out->global_type.type);
        break;
    case EXTERN_TAG: out->tag = vm_tag(&in->vm, x->index); break;
    }
    return OK;
}
