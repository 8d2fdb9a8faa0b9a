// SPDX-License-Identifier: MIT
// Fuzz target (libFuzzer): the decoder and the validator on hostile bytes.
//
// Each input is decoded, all its bodies are validated with everything asked for, and what came out
// is checked: branch entries must lead into the body and into the table, uses must name locals,
// names must lie in the module. Memory is counted: no more than 100 times the input and 1 MiB.
// Whoever reads the results does so unchecked, so this is where they are checked.
//
// Mutation knows the outer form of a module: half of the time it changes the inside of one section
// or one body and repairs the sizes around it, so that changes get past the section headers.
#include "test/unit/heap.h"
#include "wasm/validate.h"
#include "wasm/vmctx.h"
#include <stdio.h>

int LLVMFuzzerTestOneInput(const u8 *data, size_t size);
size_t LLVMFuzzerCustomMutator(u8 *data, size_t size, size_t max, unsigned seed);
size_t LLVMFuzzerMutate(u8 *data, size_t size, size_t max);

#define CHECK(cond)                                                                                \
    do {                                                                                           \
        if (!(cond)) {                                                                             \
            fprintf(stderr, "%s:%d: %s\n", __FILE__, __LINE__, #cond);                             \
            abort();                                                                               \
        }                                                                                          \
    } while (0)

// What the results promise ------------------------------------------------------------------------

static void check_body(const struct body *b)
{
    s64 size = b->end - b->code;
    CHECK(size > 0 && b->end[-1] == OP_end);
    for (u32 i = 0; i < b->nbranches; i++) {
        const struct branch *br = &b->branches[i];
        CHECK(br->dpc > -size && br->dpc < size);
        CHECK((s64)i + br->dside >= 0 && (s64)i + br->dside <= b->nbranches);
        CHECK(br->keep <= MAX_RESULTS && (br->drop & ~BRANCH_POLL) <= b->max_stack);
    }
    for (u32 i = 0; i < b->nuses; i++)
        CHECK((b->uses[i] & 0xffff) < b->nlocals);
    for (u32 i = 0; i < b->nloops; i++)
        CHECK(b->loops[i].uses_start <= b->loops[i].uses_end && b->loops[i].uses_end <= b->nuses);
    for (u32 i = 0; i < b->nlocals; i++)
        CHECK(valtype_text(b->locals[i])[0] != '?' &&
              (i >= b->type->nparams || !(b->zero[i / 64] >> i % 64 & 1)));
}

static void check_name(const struct module *m, struct name n)
{
    const u8 *p = (const u8 *)n.p;
    CHECK(n.length == 0 || (p >= m->bytes && p + n.length <= m->bytes + m->size));
}

static void check_module(const struct module *m)
{
    for (u32 i = 0; i < m->nexports; i++) {
        check_name(m, m->exports[i].name);
        CHECK(module_export(m, m->exports[i].name.p, m->exports[i].name.length) == &m->exports[i]);
    }
    for (u32 i = 0; i < m->nimports; i++)
        check_name(m, m->imports[i].module);
    for (u32 i = 0; m->func_names && i < m->nfuncs; i++)
        check_name(m, m->func_names[i]);
    for (u32 i = 0; i < m->nfuncs; i++)
        CHECK(m->funcs[i].type < m->ntypes && m->funcs[i].ref <= m->nrefs &&
              m->funcs[i].end <= m->size);
    for (u32 i = 0; i < m->nelems; i++)
        for (u32 k = 0; m->elems[i].funcs && k < m->elems[i].count; k++)
            CHECK(m->elems[i].funcs[k] < m->nfuncs);
    CHECK(m->layout.size >= sizeof(struct vmctx) && m->layout.globals % 16 == 0);
}

int LLVMFuzzerTestOneInput(const u8 *data, size_t size)
{
    struct module *m;
    struct error e;
    test_heap.live = test_heap.peak = 0;
    if (module_decode(data, size, &m, &e) == OK) {
        struct validator *v = validator_create();
        check_module(m);
        for (u32 i = m->nimported_funcs; i < m->nfuncs; i++) {
            struct body b;
            if (validate_body(v, m, i, WANT_BRANCHES | WANT_USES, &b, &e) == OK)
                check_body(&b);
        }
        validator_free(v);
        module_free(m);
    }
    CHECK(test_heap.live == 0);
    CHECK(test_heap.peak <= 100 * size + (1 << 20));
    return 0;
}

// Mutation ----------------------------------------------------------------------------------------

static size_t get_leb(const u8 *p, const u8 *end, u32 *value)
{
    *value = 0;
    for (size_t n = 0; n < 5 && p + n < end; n++) {
        *value |= (u32)(p[n] & 0x7f) << (7 * n);
        if (p[n] < 0x80)
            return n + 1;
    }
    return 0;
}

// Sizes are written with 5 bytes, which is valid and of one length.
static void put_leb(u8 *p, size_t value)
{
    for (u32 i = 0; i < 5; i++)
        p[i] = (u8)((value >> (7 * i) & 0x7f) | (i < 4 ? 0x80 : 0));
}

struct part {
    size_t at, size, content; // of the size field, its length, of the content
    u32 length;
};

static bool part_at(const u8 *data, size_t size, size_t at, struct part *p)
{
    p->at = at;
    p->size = at < size ? get_leb(data + at, data + size, &p->length) : 0;
    p->content = at + p->size;
    return p->size && p->length <= size - p->content;
}

// Replaces the content of a part by a mutated one, and its size field; returns the new total size.
static size_t mutate_part(u8 *data, size_t size, size_t max, const struct part *p)
{
    size_t grown = size - p->size + 5;
    if (grown + 16 > max) // LLVMFuzzerMutate wants some room
        return 0;
    size_t rest = size - p->content - p->length;
    u8 *tail = malloc(rest + 1);
    memcpy(tail, data + p->content + p->length, rest);
    memmove(data + p->at + 5, data + p->content, p->length);
    size_t n = LLVMFuzzerMutate(data + p->at + 5, p->length, max - grown + p->length);
    put_leb(data + p->at, n);
    memcpy(data + p->at + 5 + n, tail, rest);
    free(tail);
    return p->at + 5 + n + rest;
}

static bool pick_section(const u8 *data, size_t size, unsigned seed, struct part *picked, u8 *id)
{
    u32 count = 0;
    struct part p;
    for (size_t at = 8; at < size && part_at(data, size, at + 1, &p); at = p.content + p.length)
        if (++count && seed % count == 0) {
            *picked = p;
            *id = data[at];
            seed /= count;
        }
    return count > 0;
}

static bool pick_body(const u8 *data, size_t size, unsigned seed, const struct part *code,
                      struct part *picked)
{
    u32 n, count = 0;
    struct part p;
    size_t at = code->content + get_leb(data + code->content, data + size, &n);
    for (; at < code->content + code->length && part_at(data, size, at, &p);
         at = p.content + p.length)
        if (++count && seed % count == 0) {
            *picked = p;
            seed /= count;
        }
    return count > 0;
}

size_t LLVMFuzzerCustomMutator(u8 *data, size_t size, size_t max, unsigned seed)
{
    struct part section, body;
    u8 id = 0;
    if (seed % 2 == 0 || !pick_section(data, size, seed / 8, &section, &id))
        return LLVMFuzzerMutate(data, size, max);
    size_t n;
    if (id == 10 && seed % 8 != 1 && pick_body(data, size, seed / 64, &section, &body)) {
        if (max < size + 32)
            return LLVMFuzzerMutate(data, size, max);
        n = mutate_part(data, size, max - 5, &body);
        if (!n)
            return LLVMFuzzerMutate(data, size, max);
        // The section around it: its new size, in 5 bytes too.
        size_t length = section.length + (n - size);
        memmove(data + section.at + 5, data + section.content, n - section.content);
        put_leb(data + section.at, length);
        return n + 5 - section.size;
    }
    n = mutate_part(data, size, max, &section);
    return n ? n : LLVMFuzzerMutate(data, size, max);
}
