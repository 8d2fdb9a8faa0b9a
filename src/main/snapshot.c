// SPDX-License-Identifier: MIT
// Modules that have been started already: see snapshot.h.
//
// The module's bytes are walked section by section. Most are copied; memory, globals, exports, data
// and their count are written anew, and the start section is left out. Nothing that is copied names
// data but by its number, so segments keep theirs: what was active is empty now, as it was behind
// the start, and what the memory holds comes behind them.
#include "main/snapshot.h"

#include <stdlib.h>
#include <string.h>

#include "rt/instance.h"
#include "wasm/leb.h"
#include "wasm/module.h"
#include "wasm/vmctx.h"

enum { GAP = 64 }; // fewer zeros than that do not end a segment
enum section {
    MEMORY = 5,
    GLOBAL = 6,
    EXPORT = 7,
    START = 8,
    CODE = 10,
    DATA = 11,
    DATA_COUNT = 12
};
enum {
    I32_CONST = 0x41,
    I64_CONST,
    F32_CONST,
    F64_CONST,
    END = 0x0b,
    VECTOR = 0xfd,
    V128_CONST = 12
};
enum { GLOBAL_GET = 0x23, REF_NULL = 0xd0, REF_FUNC = 0xd2, REF_TO = 0x63, REF_TO_NULL = 0x64 };

struct snapshot {
    struct vmctx *vm;
    const struct module *m;
    u8 *before; // own globals, and then own tables
    size_t size;
};

// --- What must not change

static size_t table_bytes(const struct vm_table *t)
{
    return t->length * sizeof *t->at;
}

static size_t globals_bytes(const struct module *m)
{
    return (m->nglobals - m->nimported_globals) * sizeof(union vm_global);
}

struct snapshot *snapshot_begin(struct instance *in)
{
    struct vmctx *vm = instance_vm(in);
    const struct module *m = vm->module;
    struct snapshot *s = calloc(1, sizeof *s);
    size_t size = globals_bytes(m);
    for (u32 i = m->nimported_tables; i < m->ntables; i++)
        size += table_bytes(vm_table(vm, i));
    if (!s || !(s->before = malloc(size + 1))) {
        free(s);
        return NULL;
    }
    s->vm = vm;
    s->m = m;
    s->size = size;
    u8 *to = s->before;
    if (m->nglobals > m->nimported_globals)
        memcpy(to, vm_global(vm, m->nimported_globals), globals_bytes(m));
    to += globals_bytes(m);
    for (u32 i = m->nimported_tables; i < m->ntables; i++) {
        const struct vm_table *t = vm_table(vm, i);
        if (t->length)
            memcpy(to, t->at, table_bytes(t));
        to += table_bytes(t);
    }
    return s;
}

void snapshot_free(struct snapshot *s)
{
    if (s)
        free(s->before);
    free(s);
}

static bool is_number(valtype t)
{
    return t == TYPE_I32 || t == TYPE_I64 || t == TYPE_F32 || t == TYPE_F64 || t == TYPE_V128;
}

static bool same_references(const struct snapshot *s)
{
    const struct module *m = s->m;
    const union vm_global *before = (const union vm_global *)s->before;
    for (u32 i = m->nimported_globals; i < m->nglobals; i++, before++)
        if (!is_number(m->globals[i].type) && vm_global(s->vm, i)->ref != before->ref)
            return false;
    return true;
}

// What an element leads to, but not by which code: that is compiled when it is called first.
static bool same_tables(const struct snapshot *s)
{
    const u8 *before = s->before + globals_bytes(s->m), *end = s->before + s->size;
    for (u32 i = s->m->nimported_tables; i < s->m->ntables; i++) {
        const struct vm_table *t = vm_table(s->vm, i);
        const struct vm_func *f = (const struct vm_func *)before;
        if (table_bytes(t) > (size_t)(end - before))
            return false;
        for (u64 k = 0; k < t->length; k++)
            if (t->at[k].ref != f[k].ref)
                return false;
        before += table_bytes(t);
    }
    return before == end;
}

const char *snapshot_unfit(const struct snapshot *s)
{
    const struct module *m = s->m;
    if (m->nmemories != 1 || m->nimported_memories || m->memories[0].shared || m->memories[0].wide)
        return "it has another memory than one of its own, of 32 bits";
    if (m->threads)
        return "it can start threads";
    if (m->objects) // what is in them may have changed behind the same reference
        return "it makes structs or arrays";
    if (m->nimported_globals || m->nimported_tables)
        return "it imports globals or tables";
    if (!same_references(s))
        return "a global has another reference now";
    for (u32 i = 0; i < m->nelems; i++)
        if (m->elems[i].mode == SEGMENT_PASSIVE && s->vm->instance->dropped_elems[i])
            return "an element segment has been dropped";
    return same_tables(s) ? NULL : "a table has been changed";
}

// --- Writing: what cannot be written for want of memory is noticed in the end.

struct writer {
    snapshot_bytes bytes;
    bool failed;
};

static void put(struct writer *w, const void *p, size_t n)
{
    w->failed |= n > UINT32_MAX / 2 || !vec_reserve(&w->bytes, (u32)n);
    if (w->failed || !n)
        return;
    memcpy(w->bytes.at + w->bytes.count, p, n);
    w->bytes.count += (u32)n;
}

static void put_byte(struct writer *w, u8 b)
{
    put(w, &b, 1);
}

static void put_u64(struct writer *w, u64 n)
{
    for (; n >= 0x80; n >>= 7)
        put_byte(w, (u8)(n | 0x80));
    put_byte(w, (u8)n);
}

static void put_s64(struct writer *w, s64 n)
{
    for (; n < -0x40 || n >= 0x40; n >>= 7)
        put_byte(w, (u8)((u64)n | 0x80));
    put_byte(w, (u8)n & 0x7f);
}

static void put_section(struct writer *w, u8 id, struct writer *content)
{
    put_byte(w, id);
    put_u64(w, content->bytes.count);
    put(w, content->bytes.at, content->bytes.count);
    w->failed |= content->failed;
    vec_free(&content->bytes);
}

// --- Sections

static void write_memory(const struct snapshot *s, struct writer *w)
{
    const struct limits *l = &s->m->memories[0];
    bool bounded = l->max != UINT64_MAX;
    put_u64(w, 1);
    put_byte(w, bounded);
    put_u64(w, s->vm->mem->bytes / WASM_PAGE);
    if (bounded)
        put_u64(w, l->max);
}

static void skip_type(const u8 **p)
{
    u8 first = *(*p)++;
    if (first == REF_TO || first == REF_TO_NULL)
        leb_s64(p);
}

// Past a constant expression, of a module that is valid. False: it has what we do not know.
static bool skip_constant(const u8 **p)
{
    for (;;)
        switch (*(*p)++) {
        case END: return true;
        case I32_CONST:
        case I64_CONST:
        case REF_NULL: leb_s64(p); break;
        case GLOBAL_GET:
        case REF_FUNC: leb_u32(p); break;
        case F32_CONST: *p += 4; break;
        case F64_CONST: *p += 8; break;
        case 0x6a: // additions and the like (extended constants)
        case 0x6b:
        case 0x6c:
        case 0x7c:
        case 0x7d:
        case 0x7e: break;
        case VECTOR:
            if (leb_u32(p) != V128_CONST)
                return false;
            *p += 16;
            break;
        default: return false;
        }
}

static void put_constant(struct writer *w, valtype type, const union vm_global *g)
{
    if (type == TYPE_I32) {
        put_byte(w, I32_CONST);
        put_s64(w, (s32)g->i32);
    } else if (type == TYPE_I64) {
        put_byte(w, I64_CONST);
        put_s64(w, (s64)g->i64);
    } else if (type == TYPE_F32) {
        put_byte(w, F32_CONST);
        put(w, g, 4);
    } else if (type == TYPE_F64) {
        put_byte(w, F64_CONST);
        put(w, g, 8);
    } else {
        put_byte(w, VECTOR);
        put_byte(w, V128_CONST);
        put(w, g, 16);
    }
    put_byte(w, END);
}

static void write_globals(const struct snapshot *s, const u8 *p, struct writer *w)
{
    u32 n = leb_u32(&p);
    put_u64(w, n);
    for (u32 i = 0; i < n; i++) {
        const struct global_type *g = &s->m->globals[i];
        const u8 *from = p;
        skip_type(&p);
        p++; // can it be written?
        const u8 *value = p;
        w->failed |= !skip_constant(&p);
        if (w->failed)
            return;
        if (g->mutable && is_number(g->type)) {
            put(w, from, (size_t)(value - from));
            put_constant(w, g->type, vm_global(s->vm, i));
        } else {
            put(w, from, (size_t)(p - from));
        }
    }
}

static bool is_named(const struct export *x, const char *name)
{
    return x->name.length == strlen(name) && !memcmp(x->name.p, name, x->name.length);
}

static void write_exports(const struct snapshot *s, struct writer *w)
{
    static const char start[] = "_start";
    const struct module *m = s->m;
    struct writer list = {0};
    u32 count = 0;
    bool resumes = module_export(m, SNAPSHOT_RESUME, strlen(SNAPSHOT_RESUME));
    for (u32 i = 0; i < m->nexports; i++) {
        const struct export *x = &m->exports[i];
        bool resume = is_named(x, SNAPSHOT_RESUME);
        if (is_named(x, SNAPSHOT_INITIALIZE) || (resumes && is_named(x, start)))
            continue;
        count++;
        put_u64(&list, resume ? strlen(start) : x->name.length);
        put(&list, resume ? start : (const char *)x->name.p,
            resume ? strlen(start) : x->name.length);
        put_byte(&list, (u8)x->kind);
        put_u64(&list, x->index);
    }
    put_u64(w, count);
    put(w, list.bytes.at, list.bytes.count);
    w->failed |= list.failed;
    vec_free(&list.bytes);
}

static void put_active(struct writer *w, u32 offset, const u8 *bytes, u32 size)
{
    put_byte(w, 0);
    put_byte(w, I32_CONST);
    put_s64(w, (s32)offset);
    put_byte(w, END);
    put_u64(w, size);
    put(w, bytes, size);
}

// The next run of bytes that are not all zero, from `at` on: its size; 0: there is none.
static u64 next_run(const u8 *p, u64 size, u64 *at)
{
    while (*at < size && (size - *at >= 8 && !load_u64(p + *at)))
        *at += 8;
    while (*at < size && !p[*at])
        ++*at;
    u64 end = *at;
    for (u64 i = *at; i < size && i - end < GAP; i++)
        if (p[i])
            end = i + 1;
    return end - *at;
}

// Numbers of segments matter only where instructions may name them.
static u32 kept_segments(const struct module *m)
{
    return m->has_data_count ? m->ndatas : 0;
}

static u32 write_data(const struct snapshot *s, struct writer *w)
{
    const struct module *m = s->m;
    u32 count = kept_segments(m);
    for (u32 i = 0; i < count; i++) {
        const struct data_segment *d = &m->datas[i];
        if (d->mode == SEGMENT_PASSIVE) { // one that has been dropped is empty
            u32 size = s->vm->instance->dropped_datas[i] ? 0 : d->size;
            put_byte(w, 1);
            put_u64(w, size);
            put(w, d->bytes, size);
        } else {
            put_active(w, 0, NULL, 0);
        }
    }
    const u8 *memory = s->vm->mem->base;
    for (u64 at = 0, n; (n = next_run(memory, s->vm->mem->bytes, &at)); at += n, count++)
        put_active(w, (u32)at, memory + at, (u32)n);
    return count;
}

bool snapshot_write(const struct snapshot *s, snapshot_bytes *out)
{
    enum { HEAD = 8 };
    struct writer w = {0}, data = {0}, all = {0};
    const u8 *p = s->m->bytes + HEAD, *end = s->m->bytes + s->m->size;
    u32 count = write_data(s, &data);
    put_u64(&all, count);
    put(&all, data.bytes.at, data.bytes.count);
    all.failed |= data.failed;
    vec_free(&data.bytes);
    put(&w, s->m->bytes, HEAD);
    while (p < end) {
        const u8 *from = p;
        u8 id = *p++;
        u32 size = leb_u32(&p);
        const u8 *content = p;
        struct writer anew = {0};
        p += size;
        switch (id) {
        case MEMORY: write_memory(s, &anew); break;
        case GLOBAL: write_globals(s, content, &anew); break;
        case EXPORT: write_exports(s, &anew); break;
        case DATA_COUNT: put_u64(&anew, count); break;
        case START:
        case DATA: continue;
        default: put(&w, from, (size_t)(p - from));
        }
        if (anew.bytes.count || anew.failed)
            put_section(&w, id, &anew);
        if (id == CODE) // what may come between is not ours to order
            put_section(&w, DATA, &all);
    }
    *out = w.bytes;
    return !w.failed;
}
