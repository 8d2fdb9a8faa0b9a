// SPDX-License-Identifier: MIT
// Locals and globals.
#include "fast/emit.h"

static void set(struct fast *f, u32 local, bool tee)
{
    enum ty t = f->local_type[local];
    if (has_lanes(f) && t == TV128 && lanes_set(f, local, tee))
        return;
    struct slot *s = pop_slot(f);
    if (unlikely(f->far) && t == T64)
        set_sum(f, local, s);
    if (s->kind == SLOT_LOCAL && s->local == local) { // x = x
        if (tee)
            push_local(f, local, false);
        return;
    }
    u32 now = f->local_reg[local];
    if (s->kind == SLOT_CONST) {
        if (f->ref_head[local])
            refs_materialize(f, local);
        u32 r = now != NO_REG ? now : reg_alloc(f, class_of(t));
        f->busy |= BIT(r);
        if (!s->imm && !ty_fp(t) && !f->zf_at) // the flags tell of nothing
            x64_reg(&f->a, I_XOR, false, r, r);
        else
            const_to_reg(f, t, r, s->imm);
        cache_put(f, r, local, true);
        if (tee && ty_fp(t))
            push_local(f, local, false);
        else if (tee)
            push_const(f, t, s->imm);
        return;
    }
    bool pin = now != NO_REG && pinned(f, now);
    if (pin && s->last && s->kind == SLOT_LOCAL && f->local_reg[s->local] == NO_REG &&
        slot_lanes(f, s) == NO_LANES) { // no way round
        if (f->ref_head[local])
            refs_materialize(f, local);
        load_frame(f, f->local_type[s->local], now, s->local);
        f->busy |= BIT(now);
        f->dirty |= BIT(now);
        if (tee)
            push_local(f, local, false);
        return;
    }
    u32 v = value_reg(f, s);
    if (f->ref_head[local])
        refs_materialize(f, local);
    now = f->local_reg[local];
    if (now != NO_REG && pinned(f, now)) {
        move_reg(f, t, now, v);
        f->busy |= BIT(now);
        f->dirty |= BIT(now);
    } else {
        if (now != NO_REG)
            cache_remove(f, now);
        if (!owned(f, v)) { // another local's: copy
            u32 copy = now != NO_REG ? now : reg_alloc(f, class_of(t));
            f->busy |= BIT(copy);
            move_reg(f, t, copy, v);
            v = copy;
        }
        cache_put(f, v, local, true);
    }
    if (tee)
        push_local(f, local, false);
}

void local_set(struct fast *f, u32 local, bool tee)
{
    const u8 *before = f->a.p;
    f->use++;
    if (f->zf_at != before)
        f->zf_at = NULL;
    set(f, local, tee);
    flags_kept(f, before);
}

static struct x64_operand global_at(struct fast *f, u32 global)
{
    const struct module *m = f->m;
    if (global >= m->nimported_globals)
        return x64_at(INSTANCE, (s32)(m->layout.globals + (global - m->nimported_globals) * 16));
    x64_mem(&f->a, I_MOV_LOAD, true, SCRATCH,
            x64_at(INSTANCE, (s32)(m->layout.imported_globals + global * 8)));
    return x64_at(SCRATCH, 0);
}

void global_get(struct fast *f, u32 global)
{
    enum ty t = ty_of(f->m->globals[global].type);
    struct x64_operand m = global_at(f, global);
    u32 dst = result_begin(f, t, NO_REG);
    load_mem(f, t, dst, m);
    result_end(f, t, dst);
}

void global_set(struct fast *f, u32 global)
{
    struct slot *s = pop_slot(f);
    enum ty t = s->type;
    u32 v = value_reg(f, s); // may use the scratch register, so before global_at does
    struct x64_operand m = global_at(f, global);
    store_mem(f, t, v, m);
}
