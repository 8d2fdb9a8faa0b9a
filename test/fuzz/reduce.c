// SPDX-License-Identifier: MIT
// The reducer: see reduce.h.
//
// Bodies are cut into instructions. Runs of them, long ones first, are left out, or replaced by one
// that pushes a constant or drops a value; blocks lose their two ends. What is not valid any more
// is thrown away before anybody runs it, so nothing here needs to know types. Whole bodies go the
// same way. That repeats until nothing helps.
#include "test/fuzz/reduce.h"
#include "fast/state.h"
#include "main/load.h"
#include <stdlib.h>
#include <string.h>

struct instruction {
    const u8 *p;
    u32 size;
};

struct body_text {
    struct instruction locals; // their declarations, one piece
    VEC(struct instruction) code;
};

struct reduction {
    struct bytes original; // what all instructions point into
    struct bytes candidate;
    const u8 *code_section, *rest; // from its id; what comes after it
    struct body_text *bodies;
    u32 nbodies;
    bool (*fails)(const struct bytes *module);
};

// --- Apart and together

static void put(struct bytes *b, const void *p, u32 n)
{
    if (!vec_reserve(b, n))
        abort();
    if (n)
        memcpy(b->at + b->count, p, n);
    b->count += n;
}

// Five bytes, so that sizes can be filled in later.
static void put_size(u8 *at, u32 value)
{
    for (u32 i = 0; i < 5; i++)
        at[i] = (u8)((value >> (7 * i) & 0x7f) | (i < 4 ? 0x80 : 0));
}

static u32 open_size(struct bytes *b)
{
    put(b, "\0\0\0\0\0", 5);
    return b->count;
}

static void close_size(struct bytes *b, u32 start)
{
    put_size(b->at + start - 5, b->count - start);
}

static void split_body(const u8 *p, const u8 *end, struct body_text *out)
{
    const u8 *start = p;
    for (u32 groups = leb_u32(&p); groups; groups--) {
        leb_u32(&p);
        p = type_skip(p);
    }
    out->locals = (struct instruction){start, (u32)(p - start)};
    while (p < end) {
        start = p;
        u32 op = *p++;
        if (op >= 0xfb)
            op = op_prefixed(op, leb_u32(&p));
        ops_skip(&p, op);
        struct instruction i = {start, (u32)(p - start)};
        if (!vec_push(&out->code, i))
            abort();
    }
}

static void split(struct reduction *r, const struct module *m)
{
    u32 own = m->nfuncs - m->nimported_funcs;
    r->nbodies = own;
    r->bodies = calloc(own + 1, sizeof *r->bodies);
    const u8 *p = m->bytes + 8;
    while (p < m->bytes + m->size && *p != 10) {
        p++;
        u32 size = leb_u32(&p);
        p += size;
    }
    r->code_section = p;
    r->rest = m->bytes + m->code_end;
    for (u32 i = 0; i < own; i++) {
        const struct func *f = &m->funcs[m->nimported_funcs + i];
        split_body(m->bytes + f->start, m->bytes + f->end, &r->bodies[i]);
    }
}

static void join(struct reduction *r)
{
    struct bytes *out = &r->candidate;
    out->count = 0;
    put(out, r->original.at, (u32)(r->code_section - r->original.at));
    put(out, "\n", 1);
    u32 section = open_size(out);
    put(out, "\0\0\0\0\0", 5);
    put_size(out->at + out->count - 5, r->nbodies);
    for (u32 i = 0; i < r->nbodies; i++) {
        const struct body_text *b = &r->bodies[i];
        u32 start = open_size(out);
        put(out, b->locals.p, b->locals.size);
        for (u32 k = 0; k < b->code.count; k++)
            put(out, b->code.at[k].p, b->code.at[k].size);
        close_size(out, start);
    }
    close_size(out, section);
    put(out, r->rest, (u32)(r->original.at + r->original.count - r->rest));
}

static bool still_fails(struct reduction *r)
{
    struct error e = {0};
    join(r);
    return module_validate(r->candidate.at, r->candidate.count, NULL, &e) == OK &&
           r->fails(&r->candidate);
}

// --- Attempts

// Puts n instructions in the place of `count` at `at`; undone unless the module still fails.
static bool replace(struct reduction *r, struct body_text *b, u32 at, u32 count,
                    const struct instruction *with, u32 n)
{
    u32 before = b->code.count, total = before - count + n;
    struct instruction *old = b->code.at, *new = heap_alloc((total + 1) * sizeof *new);
    if (!new)
        abort();
    memcpy(new, old, at * sizeof *new);
    memcpy(new + at, with, n * sizeof *new);
    memcpy(new + at + n, old + at + count, (before - at - count) * sizeof *new);
    b->code.at = new;
    b->code.count = b->code.capacity = total;
    if (still_fails(r)) {
        heap_free(old);
        return true;
    }
    heap_free(new);
    b->code.at = old;
    b->code.count = b->code.capacity = before;
    return false;
}

static const struct instruction stand_ins[] = {
    {(const u8 *)"\x41\0", 2},       // i32.const 0
    {(const u8 *)"\x42\0", 2},       // i64.const 0
    {(const u8 *)"\x43\0\0\0\0", 5}, // f32.const 0
    {(const u8 *)"\x44\0\0\0\0\0\0\0\0", 9},
    {(const u8 *)"\x1a", 1}, // drop
    {(const u8 *)"\0", 1},   // unreachable
    {(const u8 *)"\x1a\x1a", 2},
    {(const u8 *)"\x1a\x41\0", 3},
    {(const u8 *)"\x1a\x42\0", 3},
    {(const u8 *)"\x1a\x1a\x41\0", 4},
};

static bool is_stand_in(const struct instruction *i)
{
    for (u32 k = 0; k < countof(stand_ins); k++)
        if (i->p == stand_ins[k].p)
            return true;
    return false;
}

static bool shrink_at(struct reduction *r, struct body_text *b, u32 at, u32 count)
{
    if (replace(r, b, at, count, NULL, 0))
        return true;
    if (count == 1 && is_stand_in(&b->code.at[at]))
        return false;
    for (u32 k = 0; k < countof(stand_ins); k++)
        if (replace(r, b, at, count, &stand_ins[k], 1))
            return true;
    return false;
}

static u32 matching_end(const struct body_text *b, u32 at)
{
    u32 depth = 0;
    for (u32 i = at; i < b->code.count; i++) {
        u8 op = *b->code.at[i].p;
        depth +=
            op == OP_block || op == OP_loop || op == OP_if || op == OP_try || op == OP_try_table;
        if ((op == OP_end || op == OP_delegate) && --depth == 0)
            return i;
    }
    return 0;
}

// A block without its ends; an if drops its condition.
static bool unwrap_at(struct reduction *r, struct body_text *b, u32 at)
{
    u8 op = *b->code.at[at].p;
    if (op != OP_block && op != OP_loop && op != OP_if)
        return false;
    u32 end = matching_end(b, at), n = 0;
    if (!end)
        return false;
    struct instruction *inside = calloc(end - at + 1, sizeof *inside);
    if (op == OP_if)
        inside[n++] = stand_ins[4];
    memcpy(inside + n, &b->code.at[at + 1], (end - at - 1) * sizeof *inside);
    bool done = replace(r, b, at, end - at + 1, inside, n + end - at - 1);
    free(inside);
    return done;
}

static bool shrink_body(struct reduction *r, struct body_text *b)
{
    bool progress = false;
    for (u32 count = b->code.count; count; count = count > 8 ? count / 2 : count - 1)
        for (u32 at = 0; at + count < b->code.count;) // the last one is the body's end
            if (shrink_at(r, b, at, count))
                progress = true;
            else
                at += count > 8 ? count / 2 : 1;
    for (u32 at = 0; at < b->code.count; at++)
        progress |= unwrap_at(r, b, at);
    return progress;
}

void reduce(struct bytes *module, bool (*fails)(const struct bytes *module))
{
    struct reduction r = {.fails = fails};
    struct error e = {0};
    struct module *m;
    put(&r.original, module->at, module->count);
    if (module_decode(r.original.at, r.original.count, &m, &e))
        return;
    split(&r, m);
    for (bool progress = true; progress;) {
        progress = false;
        for (u32 i = 0; i < r.nbodies; i++)
            progress |= shrink_body(&r, &r.bodies[i]);
    }
    join(&r);
    module->count = 0;
    put(module, r.candidate.at, r.candidate.count);
    for (u32 i = 0; i < r.nbodies; i++)
        vec_free(&r.bodies[i].code);
    free(r.bodies);
    vec_free(&r.candidate);
    vec_free(&r.original);
    module_free(m);
}
