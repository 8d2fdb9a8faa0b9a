// SPDX-License-Identifier: MIT
// Vectors that are better held lane by lane: where clang has made four values one, and nearly all
// that is done with it is to take the lanes out again. Which locals are of that kind is only a
// question of speed, so bytes before and behind an instruction are looked at as what they most
// likely are. It takes a constant time for each instruction, and for each body.
#include "wasm/validator.h"

enum { AHEAD = 64 }; // uses of locals within which what has been built is expected to be written

// The local that an instruction of two bytes, of these two numbers, has at p.
static u32 local_at(const struct validator *v, const u8 *p, u8 op, u8 other)
{
    bool is = (*p == op || *p == other) && p[1] < 0x80 && p[1] < v->nlocals;
    return is && v->types[p[1]] == TYPE_V128 ? p[1] : UINT32_MAX;
}

static struct lane_seen *seen(struct validator *v, u32 local)
{
    u32 i = 0;
    while (i < v->nseen && v->seen[i].local != local)
        i++;
    if (local == UINT32_MAX || i == LANE_LOCALS)
        return NULL;
    if (i == v->nseen)
        v->seen[v->nseen++] = (struct lane_seen){.local = local};
    return &v->seen[i];
}

void lanes_note(struct validator *v, u32 op, const u8 *p)
{
    struct lane_seen *s = NULL;
    switch (0xfd00 | op) {
    case OP_i32x4_extract_lane:
        if (v->pc - v->code >= 2)
            s = seen(v, local_at(v, v->pc - 2, OP_local_get, OP_local_tee));
        if (s)
            s->taken += v->weight;
        break;
    case OP_i32x4_replace_lane:
        if (v->nbuilds < countof(v->builds))
            v->builds[v->nbuilds++] = v->uses.count;
        break;
    case OP_v128_and:
        if (v->end - p >= 2)
            s = seen(v, local_at(v, p, OP_local_set, OP_local_tee));
        if (s)
            s->derived = true;
        break;
    default: break;
    }
}

// Where that goes which is being built at number `use`.
static struct lane_seen *target(struct validator *v, u32 use)
{
    for (u32 n = 0; n < AHEAD && use < v->uses.count; n++, use++) {
        u32 local = v->uses.at[use] & 0xffff;
        if ((v->uses.at[use] & LOCAL_USE_WRITE) && v->types[local] == TYPE_V128)
            return seen(v, local);
    }
    return NULL;
}

// Where there are calls all lanes would have to be in the registers that those leave alone.
void lanes_choose(struct validator *v, struct body *out)
{
    bool any = false;
    for (u32 i = 0; i < v->nbuilds; i++) {
        struct lane_seen *s = target(v, v->builds[i]);
        if (s)
            s->built = true;
    }
    for (u32 i = 0; i < v->nseen; i++) {
        const struct lane_seen *s = &v->seen[i];
        u32 x = s->local;
        if (x < out->type->nparams || (v->zero[x / 64] >> x % 64 & 1) ||
            !(s->built || s->derived) || s->taken * 2 < v->webs.at[x].weight)
            continue;
        out->lanes[out->nlanes++] = (struct lane_local){(u16)x, s->built};
        any |= s->built;
    }
    if (!any || v->calls || v->tries.count)
        out->nlanes = 0;
}
