// SPDX-License-Identifier: MIT
// What lies behind a function's body: code out of line, which is collected in a buffer of its own
// while the body is compiled, polls, traps, the tables of br_table, and constants. What they refer
// to in the body is known by then.
#include "fast/state.h"

struct cold *cold_begin(struct fast *f, u8 *site, size_t size)
{
    // It is going to be there, too.
    if (f->a.p > f->hard_limit || (size_t)(f->hard_limit - f->a.p) < f->cold.count) {
        f->full = true;
        return NULL;
    }
    if (size > 1u << 20 || !vec_reserve(&f->cold, (u32)size + 64) || !vec_reserve(&f->colds, 1)) {
        f->oom = true;
        return NULL;
    }
    struct cold *c = &f->colds.at[f->colds.count++];
    *c = (struct cold){.site = site ? (u32)(site - f->start) : UINT32_MAX,
                       .start = f->cold.count,
                       .wasm = wasm_offset(f),
                       .adjust = f->rsp_adjust};
    f->cold_return = f->a.p;
    f->cold_limit = f->limit;
    f->a.p = f->cold.at + f->cold.count;
    f->limit = f->a.p + size;
    return c;
}

void cold_end(struct fast *f, struct cold *c)
{
    c->jmp = (u32)(x64_jmp(&f->a) - f->cold.at);
    f->cold.count = (u32)(f->a.p - f->cold.at);
    f->a.p = f->cold_return;
    f->limit = f->cold_limit;
    f->cold_return = NULL;
}

// --- Constants
void constant_operand(struct fast *f, u32 insn, u32 reg, u64 imm)
{
    enum { LATEST = 16 }; // of those before, as many are looked at
    u32 n = f->constants.count, i = n > LATEST ? n - LATEST : 0;
    while (i < n && f->constants.at[i] != imm)
        i++;
    struct constant_site s = {(u32)(x64_rip(&f->a, insn, false, reg) - f->start), i};
    if ((i == n && !vec_push(&f->constants, imm)) || !vec_push(&f->constant_sites, s))
        f->oom = true;
}

void vector_operand(struct fast *f, u32 insn, u32 reg, const union v128 *v)
{
    enum { LATEST = 32 };
    u32 n = f->constants.count, i = n > LATEST ? n - LATEST : 0;
    while (i + 1 < n && !(f->constants.at[i] == v->d[0] && f->constants.at[i + 1] == v->d[1]))
        i++;
    if (i + 1 >= n) {
        i = n;
        if (!vec_push(&f->constants, v->d[0]) || !vec_push(&f->constants, v->d[1]))
            f->oom = true;
    }
    struct constant_site s = {(u32)(x64_rip(&f->a, insn, false, reg) - f->start), i};
    if (!vec_push(&f->constant_sites, s))
        f->oom = true;
}

void vector_to_reg(struct fast *f, u32 dst, const union v128 *v)
{
    struct assembler *a = &f->a;
    if (!(v->d[0] | v->d[1])) {
        x64_reg(a, I_XORPS, false, dst, dst);
    } else if ((v->d[0] & v->d[1]) == UINT64_MAX) {
        x64_reg(a, I_PCMPEQD, false, dst, dst);
    } else if (!f->cold_return) {
        vector_operand(f, I_MOVUPS_LOAD, dst, v);
    } else {
        x64_mov_imm(a, SCRATCH, v->d[0]);
        x64_reg(a, I_MOVD_TO_XMM, true, dst, SCRATCH);
        x64_mov_imm(a, SCRATCH, v->d[1]);
        x64_reg(a, I_PINSRD, true, dst, SCRATCH);
        x64_byte(a, 1);
    }
}

// --- Behind the body
static void place_polls(struct fast *f)
{
    f->poll_start = here(f);
    for (u32 i = 0; i < f->polls.count && fast_room(f, POLL_BYTES); i++) {
        u8 *site = f->start + f->polls.at[i];
        x64_patch(site, f->a.p);
        x64_patch(x64_rip(&f->a, I_LEA, true, R11), site + 4); // where to go on
        call_entry(f, true, ENTRY_POLL);
    }
}

static void place_colds(struct fast *f)
{
    for (u32 i = 0; i < f->colds.count; i++) {
        struct cold *c = &f->colds.at[i];
        u32 end = c->jmp + 4;
        if (!fast_room(f, end - c->start))
            return;
        c->final = here(f);
        if (c->site != UINT32_MAX)
            x64_patch(f->start + c->site, f->a.p);
        memcpy(f->a.p, f->cold.at + c->start, end - c->start);
        f->a.p += end - c->start;
        x64_patch(f->a.p - 4, f->start + (c->is_offset ? c->target : f->labels.at[c->target]));
    }
}

// Code out of line lies as it did in its buffer.
static void place_calls(struct fast *f)
{
    enum { AT_ONCE = 1 << 15 };
    for (u32 i = 0; i < f->calls.count && f->colds.count; i++) {
        u32 *site = &f->calls.at[i].site;
        if (i % AT_ONCE == AT_ONCE - 1)
            fast_pause(f);
        if (*site & IN_COLD)
            *site = (*site & ~IN_COLD) - f->colds.at[0].start + f->colds.at[0].final;
    }
}

static void place_traps(struct fast *f)
{
    for (u32 i = 0; i < f->traps.count && fast_room(f, 16); i++) {
        x64_patch(f->start + f->traps.at[i].site, f->a.p);
        x64_trap(&f->a, f->traps.at[i].trap);
    }
}

static void place_tables(struct fast *f)
{
    while (here(f) & 3)
        x64_byte(&f->a, 0xcc);
    for (u32 i = 0; i < f->tables.count; i++) {
        struct jump_table *t = &f->tables.at[i];
        t->at = here(f);
        x64_patch(f->start + t->site, f->a.p);
        for (u32 k = 0; k < t->count && fast_room(f, 4); k++) {
            u32 e = f->jumps.at[t->first + k];
            u32 target = e & JUMP_COLD ? f->colds.at[e & ~JUMP_COLD].final : f->labels.at[e];
            x64_u32(&f->a, target - t->at);
        }
    }
}

static void place_copies(struct fast *f)
{
    enum { AT_ONCE = 1 << 15 };
    for (u32 i = 0; i < f->copies.count; i++) {
        if (i % AT_ONCE == AT_ONCE - 1)
            fast_pause(f);
        const struct jump_copy *c = &f->copies.at[i];
        const struct jump_table *t = &f->tables.at[c->table];
        x64_patch(f->start + t->site + c->further, f->start + t->at);
        x64_patch(f->start + t->jcc + c->further, f->start + f->labels.at[t->beyond]);
    }
}

static void place_constants(struct fast *f)
{
    while (here(f) & 7)
        x64_byte(&f->a, 0xcc);
    u32 base = here(f);
    for (u32 i = 0; i < f->constants.count && fast_room(f, 8); i++)
        x64_u64(&f->a, f->constants.at[i]);
    enum { AT_ONCE = 1 << 15 };
    for (u32 i = 0; i < f->constant_sites.count; i++) {
        if (i % AT_ONCE == AT_ONCE - 1)
            fast_pause(f);
        const struct constant_site *s = &f->constant_sites.at[i];
        x64_patch(f->start + s->site, f->start + base + s->index * 8);
    }
}

void cold_place(struct fast *f)
{
    place_polls(f);
    place_colds(f);
    place_calls(f);
    place_traps(f);
    place_tables(f);
    place_copies(f);
    if (f->constants.count)
        place_constants(f);
    if (f->throws.count)
        catch_place(f);
}
