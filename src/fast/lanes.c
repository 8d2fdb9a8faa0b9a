// SPDX-License-Identifier: MIT
// Vectors that are held lane by lane.
//
// Where clang has made four variables of a loop one v128, whose lanes are then taken out one after
// the other and put together again, the way through a vector register and back is most of what a
// round takes. The validator says which locals are of that kind (validate_lanes.c). Each of them is
// four more locals, of type i32: they are pinned, cached, stored and joined as all others are, and
// the vector itself is nowhere. Whoever wants it whole gets it put together (lanes_load); whatever
// sets it whole takes it apart. So this is right whatever the code does with them.
//
//   local.get x; i32x4.extract_lane 2      the local x.2, no code
//   i32x4.splat, i32x4.replace_lane        a vector on the operand stack in work: the value becomes
//                                          a lane of it, which is a cached local, too
//   v128.load; v128.xor; local.set x       of such a vector: with memory, lane by lane
//   i32x4.shr_u and v128.and by constants  nothing, until lanes are wanted; what x is can be that,
//                                          too: its lanes are computed from those of another vector
//
// What has not been computed (f->lazy) holds in straight code: it is computed when what it is made
// of changes, and wherever control may go elsewhere, there by instructions that leave the flags
// alone.
//
// A vector in work is the one slot's that refers to it; it is free when there is none. Bodies with
// calls have no such locals, so arguments are never moved to where lanes are.
#include "fast/emit.h"

u32 lanes_locals(const struct body *body)
{
    return LANES_HELD && body->nlanes ? (body->nlanes + BUILDING) * 4 + BUILDING : 0;
}

void lanes_begin(struct fast *f)
{
    const struct body *b = f->body;
    if (!(f->features & X64_AVX))
        return;
    f->nlanes = b->nlanes + BUILDING;
    u32 next = b->nlocals;
    for (u32 g = 0; g < f->nlanes; g++) {
        struct lanes *l = &f->lanes[g];
        bool named = g < b->nlanes;
        *l = (struct lanes){.local = named ? b->lanes[g].local : next};
        l->built = named && b->lanes[g].built;
        if (!named)
            f->local_type[next++] = TV128;
        l->first = next;
        for (u32 i = 0; i < 4; i++)
            f->local_type[next++] = T32;
    }
}

__attribute__((noinline)) u32 lanes_of(const struct fast *f, u32 local)
{
    for (u32 g = 0; g < f->nlanes; g++)
        if (f->lanes[g].local == local)
            return g;
    return NO_LANES;
}

static bool building(const struct fast *f, u32 g)
{
    return g >= f->nlanes - BUILDING;
}

static bool lazy(const struct fast *f, u32 g)
{
    return f->lazy & BIT(g);
}

// The local that has the lane, of one that is no constant.
static u32 lane_of(const struct fast *f, u32 g, u32 i)
{
    const struct lanes *l = &f->lanes[g];
    if (lazy(f, g))
        return f->lanes[l->of].first + i;
    return l->first + (building(f, g) && !(l->own >> i & 1) ? 0 : i);
}

static union v128 same_lanes(u32 x)
{
    u64 two = (u64)x << 32 | x;
    return (union v128){{two, two}};
}

static union v128 constant_of(const struct fast *f, u64 imm)
{
    return imm ? f->vectors.at[imm - 1] : (union v128){{0, 0}};
}

// insn reg, lane: that is in a register, or in the frame. Most of what is written here is written
// by this one.
__attribute__((noinline)) static void with_lane(struct fast *f, u32 insn, u32 reg, u32 local)
{
    u32 r = f->local_reg[local];
    if (r != NO_REG)
        x64_reg(&f->a, insn, false, reg, r);
    else
        x64_mem(&f->a, insn, false, reg, frame_at(f, local));
}

// A lane has been written where with_lane() finds it.
static void written(struct fast *f, u32 local)
{
    u32 r = f->local_reg[local];
    if (r != NO_REG) {
        f->busy |= BIT(r);
        f->dirty |= BIT(r);
    }
}

void lanes_load(struct fast *f, u32 dst, u32 g)
{
    const struct lanes *l = &f->lanes[g];
    if (lazy(f, g) && l->constant) {
        const_to_reg(f, TV128, dst, l->imm);
        return;
    }
    with_lane(f, I_MOVD_TO_XMM, dst, lane_of(f, g, 0));
    if (building(f, g) && !lazy(f, g) && !(l->own & 14)) {
        x64_reg(&f->a, I_PSHUFD, false, dst, dst);
        x64_byte(&f->a, 0);
        return;
    }
    for (u32 i = 1; i < 4; i++) {
        with_lane(f, I_PINSRD, dst, lane_of(f, g, i));
        x64_byte(&f->a, i);
    }
    if (!lazy(f, g))
        return;
    if (l->shift)
        simd_shift(f, I_PSRLD, dst, dst, l->shift);
    if (l->mask != UINT32_MAX) {
        union v128 mask = same_lanes(l->mask);
        vector_operand(f, x64_three(I_PAND, dst), dst, &mask);
    }
}

static void take_apart(struct fast *f, u32 g, u32 xmm)
{
    f->lazy &= ~BIT(g);
    f->lanes[g].own = 15;
    for (u32 i = 0; i < 4; i++) {
        u32 local = f->lanes[g].first + i;
        with_lane(f, i ? I_PEXTRD : I_MOVD_FROM_XMM, xmm, local);
        if (i)
            x64_byte(&f->a, i);
        written(f, local);
    }
}

static void settle(struct fast *f, u32 g)
{
    if (!building(f, g) || f->ref_head[f->lanes[g].local]) {
        lanes_load(f, SCRATCH_XMM, g);
        take_apart(f, g, SCRATCH_XMM);
    }
    f->lazy &= ~BIT(g);
}

void lanes_settle(struct fast *f)
{
    u32 busy = f->busy; // the instruction may want all registers
    for (u32 m = f->lazy; m; m &= m - 1)
        settle(f, (u32)__builtin_ctz(m));
    f->busy = busy;
}

// Lanes that nobody wants any more need not be stored.
static void forget(struct fast *f, u32 g)
{
    for (u32 i = 0; i < 4; i++) {
        u32 r = f->local_reg[f->lanes[g].first + i];
        if (r != NO_REG && !pinned(f, r))
            cache_remove(f, r);
    }
}

// The popped slot has been read.
__attribute__((noinline)) static void done(struct fast *f, const struct slot *s, u32 g)
{
    if (f->ref_head[s->local] || !(building(f, g) || s->last))
        return;
    f->lazy &= ~BIT(g);
    if (building(f, g))
        forget(f, g);
}

// A vector in work, whose lanes are not set; NO_LANES: there is none that is free.
__attribute__((noinline)) static u32 begin(struct fast *f)
{
    for (u32 g = f->nlanes - BUILDING; g < f->nlanes; g++) {
        if (f->ref_head[f->lanes[g].local])
            continue;
        f->lazy &= ~BIT(g);
        f->lanes[g].own = 0;
        forget(f, g);
        return g;
    }
    return NO_LANES;
}

// --- What vectors are set to

// A local of 32 bits, which is not pinned, becomes what is in r.
__attribute__((noinline)) static void lane_set(struct fast *f, u32 local, u32 r)
{
    u32 now = f->local_reg[local];
    if (now != NO_REG)
        cache_remove(f, now);
    if (!owned(f, r)) {
        u32 copy = reg_alloc(f, GPR_MASK);
        move_reg(f, T32, copy, r);
        r = copy;
    }
    cache_put(f, r, local, true);
}

__attribute__((noinline)) static void lane_copy(struct fast *f, u32 to, u32 from)
{
    u32 r = f->local_reg[to];
    with_lane(f, I_MOV_LOAD, r != NO_REG ? r : SCRATCH, from);
    if (r == NO_REG)
        store_frame(f, T32, to, SCRATCH);
    written(f, to);
}

// From a vector in work, whose registers may go on.
static void move_lanes(struct fast *f, u32 g, u32 from)
{
    for (u32 i = 0; i < 4; i++) {
        u32 to = f->lanes[g].first + i, lane = lane_of(f, from, i), r = f->local_reg[lane];
        bool taken = r != NO_REG && f->lanes[from].own == 15;
        if (f->local_reg[to] != NO_REG && !pinned(f, f->local_reg[to]))
            cache_remove(f, f->local_reg[to]);
        if (taken && f->local_reg[to] == NO_REG) {
            cache_remove(f, r);
            cache_put(f, r, to, true);
            f->busy |= BIT(r);
        } else {
            lane_copy(f, to, lane);
        }
    }
}

static void set_lazy(struct fast *f, u32 g, struct lanes is)
{
    struct lanes *l = &f->lanes[g];
    f->lazy |= BIT(g);
    l->constant = is.constant;
    l->of = is.of;
    l->shift = is.shift;
    l->mask = is.mask;
    l->imm = is.imm;
}

// What the vector of a slot is; false: lanes in work, which have been set one by one.
__attribute__((noinline)) static bool meaning(const struct fast *f, u32 g, struct lanes *is)
{
    if (lazy(f, g))
        *is = f->lanes[g];
    else
        *is = (struct lanes){.of = (u8)g, .mask = UINT32_MAX};
    return lazy(f, g) || !building(f, g);
}

// Before it is set: what is lanes of it is computed.
__attribute__((noinline)) static void settle_derived(struct fast *f, u32 g)
{
    for (u32 m = f->lazy & ~BIT(g); m; m &= m - 1) {
        u32 other = (u32)__builtin_ctz(m);
        if (!f->lanes[other].constant && f->lanes[other].of == g)
            settle(f, other);
    }
}

// And slots that refer to it, or to its lanes, get copies.
__attribute__((noinline)) static void unrefer(struct fast *f, u32 g)
{
    const struct lanes *l = &f->lanes[g];
    refs_materialize(f, l->local);
    for (u32 i = 0; i < 4; i++)
        refs_materialize(f, l->first + i);
}

bool lanes_set(struct fast *f, u32 local, bool tee)
{
    u32 g = lanes_of(f, local);
    if (g == NO_LANES)
        return false;
    settle_derived(f, g);
    struct slot s = pop(f);
    u32 from = slot_lanes(f, &s);
    if (from != g) {
        struct lanes is;
        u32 xmm = NO_REG;
        if (from == NO_LANES && s.kind != SLOT_CONST)
            xmm = value_reg(f, &s);
        unrefer(f, g);
        if (xmm != NO_REG) {
            take_apart(f, g, xmm);
        } else if (s.kind == SLOT_CONST) {
            set_lazy(f, g, (struct lanes){.constant = true, .imm = s.imm});
        } else if (meaning(f, from, &is)) {
            set_lazy(f, g, is);
        } else {
            f->lazy &= ~BIT(g);
            move_lanes(f, g, from);
        }
        if (from != NO_LANES)
            done(f, &s, from);
    }
    if (!tee)
        return true;
    if (s.kind == SLOT_CONST)
        push_const(f, TV128, s.imm);
    else
        push_local(f, local, false);
    return true;
}

// --- Instructions
bool lanes_splat(struct fast *f, const struct slot *s)
{
    u32 g = begin(f);
    if (g == NO_LANES)
        return false;
    lane_set(f, f->lanes[g].first, value_reg(f, s));
    f->lanes[g].own = 1;
    push_local(f, f->lanes[g].local, false);
    return true;
}

bool lanes_replace(struct fast *f, const struct slot *s)
{
    u32 g = slot_lanes(f, &f->slots[f->sp - 1]);
    if (g == NO_LANES || !building(f, g) || lazy(f, g))
        return false;
    struct lanes *l = &f->lanes[g];
    u32 lane = *f->pc++, v = value_reg(f, s);
    for (u32 i = 1; !lane && i < 4; i++) // the others were as this was
        if (!(l->own >> i & 1))
            lane_copy(f, l->first + i, l->first);
    if (!lane)
        l->own = 15;
    lane_set(f, l->first + lane, v);
    l->own |= 1 << lane;
    return true;
}

static void take_lane(struct fast *f, u32 local, const struct lanes *is)
{
    u32 r = f->local_reg[local], sp = f->sp;
    if (r != NO_REG)
        f->busy |= BIT(r);
    u32 mask = is->mask & UINT32_MAX >> is->shift, dst = result_begin(f, T32, NO_REG);
    with_lane(f, I_MOV_LOAD, dst, local);
    if (is->shift)
        x64_shift_imm(&f->a, SH_SHR, false, dst, is->shift);
    if (mask != UINT32_MAX >> is->shift)
        x64_imm(&f->a, G1_AND, false, dst, (s32)mask);
    result_end(f, T32, dst);
    result_bits(f, sp, mask ? 32 - (u32)__builtin_clz(mask) : 1);
}

bool lanes_extract(struct fast *f)
{
    u32 g = slot_lanes(f, &f->slots[f->sp - 1]);
    if (g == NO_LANES)
        return false;
    u32 lane = *f->pc++;
    struct slot s = pop(f);
    struct lanes is;
    bool known = meaning(f, g, &is);
    if (known && is.constant) {
        union v128 v = constant_of(f, is.imm);
        push_const(f, T32, load_u32(v.b + 4 * lane));
    } else if (known && !is.shift && is.mask == UINT32_MAX) {
        push_local(f, f->lanes[is.of].first + lane, false);
    } else {
        take_lane(f, lane_of(f, g, lane), &is);
    }
    done(f, &s, g);
    return true;
}

// A slot for lanes of another vector, in place of the one popped.
__attribute__((noinline)) static bool push_lazy(struct fast *f, struct lanes is)
{
    u32 g = begin(f);
    if (g == NO_LANES)
        return false;
    set_lazy(f, g, is);
    push_local(f, f->lanes[g].local, false);
    return true;
}

// What the vector on top is, if that is lanes of another one, and it can become what is made of it.
__attribute__((noinline)) static bool top_is(struct fast *f, u32 *g, struct lanes *is)
{
    *g = slot_lanes(f, &f->slots[f->sp - 1]);
    if (*g == NO_LANES || !meaning(f, *g, is) || is->constant)
        return false;
    if (building(f, *g))
        return true;
    for (u32 i = f->nlanes - BUILDING; i < f->nlanes; i++)
        if (!f->ref_head[f->lanes[i].local])
            return true;
    return false;
}

bool lanes_shift(struct fast *f, u32 count)
{
    struct lanes is;
    u32 g;
    if (!top_is(f, &g, &is) || is.shift + count > 31)
        return false;
    struct slot s = pop(f);
    done(f, &s, g);
    is.shift += (u8)count;
    is.mask >>= count;
    return push_lazy(f, is);
}

bool lanes_and(struct fast *f, const struct slot *s)
{
    struct lanes is, mask = {.constant = s->kind == SLOT_CONST, .imm = s->imm};
    u32 g, of = slot_lanes(f, s);
    if (of != NO_LANES)
        meaning(f, of, &mask);
    if (!mask.constant || !top_is(f, &g, &is))
        return false;
    union v128 v = constant_of(f, mask.imm), same = same_lanes(load_u32(v.b));
    if (v.d[0] != same.d[0] || v.d[1] != same.d[1])
        return false;
    struct slot a = pop(f);
    if (of != NO_LANES)
        done(f, s, of);
    done(f, &a, g);
    is.mask &= load_u32(v.b);
    return push_lazy(f, is);
}

// The vector that the next instruction sets, if all of its lanes are pinned, and none is in m.
static u32 set_next(const struct fast *f, struct x64_operand m, u32 *local, const u8 **next)
{
    if (*f->pc != OP_local_set && *f->pc != OP_local_tee)
        return NO_LANES;
    *next = f->pc + 1;
    *local = leb_u32(next);
    u32 g = lanes_of(f, *local);
    for (u32 i = 0; g != NO_LANES && i < 4; i++) {
        u32 r = f->local_reg[f->lanes[g].first + i];
        if (r == NO_REG || !pinned(f, r) || r == m.index)
            return NO_LANES;
    }
    return g;
}

bool lanes_with_memory(struct fast *f, u32 insn, struct x64_operand m)
{
    u32 scalar = insn == I_PXOR    ? I_XOR
                 : insn == I_POR   ? I_OR
                 : insn == I_PAND  ? I_AND
                 : insn == I_PADDD ? I_ADD
                                   : 0;
    u32 from = slot_lanes(f, &f->slots[f->sp - 1]), local;
    const u8 *next;
    if (from == NO_LANES || lazy(f, from) || !scalar || m.disp > INT32_MAX - 12)
        return false;
    u32 g = set_next(f, m, &local, &next);
    if (g == NO_LANES)
        return false;
    settle_derived(f, g);
    struct slot s = pop(f);
    unrefer(f, g);
    for (u32 i = 0; i < 4; i++, m.disp += 4) {
        u32 lane = f->lanes[g].first + i, source = lane_of(f, from, i);
        if (source != lane)
            lane_copy(f, lane, source);
        x64_mem(&f->a, scalar, false, f->local_reg[lane], m);
        written(f, lane);
    }
    f->lazy &= ~BIT(g);
    done(f, &s, from);
    f->use++;
    if (*f->pc == OP_local_tee)
        push_local(f, local, false);
    f->pc = next;
    return true;
}
