// SPDX-License-Identifier: MIT
// Which addresses of 64 bits are known to be below 4 GiB, so that one check does for many accesses.
//
// How it thinks
//   A value has a number, and a sum is such a value plus a constant, modulo 2^64. A local's value
//   gets a number when somebody first asks; what is a constant away from it, there or in another
//   local, is a sum of the same number. A check of one sum tells of all others of its number: what
//   is no further above than the guard is large faults if it is not in the memory, and so does what
//   is a little below it, if no offset brings it back from below zero. Code that has come past such
//   an access knows the same of that sum.
//
//   A number means the same wherever it is known, and what has been checked stays so. But a label
//   is reached past neither: there only that holds which did before its block. At the head of a
//   loop all holds that did before it, but for the names of locals that the loop writes. Whether a
//   local has been written since it was named, the validator's log of uses tells; it is looked at
//   in the order of the code, so that of a block's arms each counts.
#include "fast/emit.h"

void sums_join(struct fast *f, u32 found)
{
    for (u32 i = 0; i < countof(f->named); i++)
        if (f->named[i].found > found)
            f->named[i].since = NULL;
    for (u32 i = 0; i < countof(f->below); i++)
        if (f->below[i].found > found)
            f->below[i].is.value = 0;
}

void sums_loop(struct fast *f, const u32 *weight)
{
    for (u32 i = 0; i < countof(f->named); i++)
        if (f->named[i].since && (!weight || (weight[f->named[i].local] & LOCAL_USE_WRITE)))
            f->named[i].since = NULL;
}

// What the local has been named; NULL: nothing.
static struct named *find(struct fast *f, u32 local)
{
    enum { LOOK_BACK = 1024 }; // all together look at every use once at most, for each name
    for (u32 i = 0; i < countof(f->named); i++) {
        struct named *n = &f->named[i];
        if (!n->since || n->local != local)
            continue;
        bool stale = f->use - n->since > LOOK_BACK;
        for (const local_use *u = n->since; !stale && u < f->use; u++)
            stale = (*u & LOCAL_USE_WRITE) && (*u & 0xffff) == local;
        n->since = stale ? NULL : f->use;
        return stale ? NULL : n;
    }
    return NULL;
}

void sum_unname(struct fast *f, u32 local)
{
    for (u32 i = 0; i < countof(f->named); i++)
        if (f->named[i].local == local)
            f->named[i].since = NULL;
}

void sum_name(struct fast *f, u32 local, struct sum is)
{
    sum_unname(f, local);
    f->named[f->named_next++ % countof(f->named)] = (struct named){f->use, local, ++f->found, is};
}

static struct sum of_local(struct fast *f, u32 local)
{
    const struct named *n = find(f, local);
    if (n)
        return n->is;
    struct sum is = {++f->values, 0};
    sum_name(f, local, is);
    return is;
}

struct sum sum_of(struct fast *f, const struct slot *s)
{
    if (s->bits == BITS_SUM)
        return (struct sum){s->next, s->imm};
    if (s->kind == SLOT_LOCAL && f->local_type[s->local] == T64)
        return of_local(f, s->local);
    return (struct sum){0, 0};
}

void slot_sum(struct fast *f, struct slot *s)
{
    if (s->bits || f->local_type[s->local] != T64)
        return;
    struct sum is = of_local(f, s->local);
    s->bits = BITS_SUM;
    s->next = is.value;
    s->imm = is.add;
}

static void note(struct fast *f, struct sum is)
{
    f->below[f->below_next++ % countof(f->below)] = (struct below){is, ++f->found};
}

void result_is_below(struct fast *f, u32 sp)
{
    if (f->sp > sp && (f->slots[sp].kind != SLOT_LOCAL || f->slots[sp].last))
        return; // the slot says it
    if (f->local_type[f->hint.local] == T64)
        note(f, of_local(f, f->hint.local));
}

void set_sum(struct fast *f, u32 local, const struct slot *s)
{
    bool narrow = s->bits && s->bits <= 32;
    struct sum is = narrow ? (struct sum){++f->values, 0} : sum_of(f, s);
    if (narrow)
        note(f, is);
    if (is.value)
        sum_name(f, local, is);
}

bool sum_is_below(struct fast *f, const struct slot *s, u64 offset)
{
    if (s->bits && s->bits <= 32)
        return true;
    struct sum is = sum_of(f, s);
    if (!is.value)
        return false;
    for (u32 i = 0; i < countof(f->below); i++) {
        struct below *b = &f->below[i];
        if (b->is.value != is.value)
            continue;
        if (is.add - b->is.add < VM_MEMORY_GUARD - WASM_PAGE - offset)
            return true;
        if (!offset && b->is.add - is.add <= VM_MEMORY_FRONT) {
            // Nothing is lost of one that is forgotten no later.
            if (b->found > f->ctls.at[f->ctls.count - 1].found)
                b->is = is;
            else
                note(f, is);
            return true;
        }
    }
    note(f, is);
    return false;
}
