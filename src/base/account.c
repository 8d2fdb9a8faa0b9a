// SPDX-License-Identifier: MIT
// Accounts: see account.h. While an account is held its own record is charged to it, so what is
// kept on its behalf counts all that refers to it, and who brings that to nothing frees it. Those
// above are held by it, so they cannot go meanwhile.
#include "base/account.h"
#include "base/heap.h"

// Never more than the limit: account_charge relies on it.
static void note_peak(struct meter *m, u64 used)
{
    used = used < m->most ? used : m->most;
    u64 peak = __atomic_load_n(&m->peak, __ATOMIC_RELAXED);
    while (used > peak && !__atomic_compare_exchange_n(&m->peak, &peak, used, true,
                                                       __ATOMIC_RELAXED, __ATOMIC_RELAXED))
        ;
}

// In all accounts from `x` up to, but without, `end`.
static void take_off(struct account *x, const struct account *end, enum account_kind kind, u64 n)
{
    for (struct account *parent; x != end; x = parent) {
        parent = x->parent; // x may be gone as soon as it is nothing
        __atomic_sub_fetch(&x->of[kind].used, n, __ATOMIC_ACQ_REL);
    }
}

bool account_charged(struct account *a, enum account_kind kind, u64 n, u64 used)
{
    struct account *x = a;
    while (true) {
        struct meter *m = &x->of[kind];
        if (unlikely(used > m->most || used < n)) {
            take_off(a, x->parent, kind, n);
            return false;
        }
        if (unlikely(used > m->peak))
            note_peak(m, used);
        if (!(x = x->parent))
            return true;
        used = __atomic_add_fetch(&x->of[kind].used, n, __ATOMIC_RELAXED);
    }
}

// True: nothing refers to `a` any more.
static inline bool is_last(struct account *a, enum account_kind kind, u64 n)
{
    struct account *parent = a->parent; // as above
    u64 left = __atomic_sub_fetch(&a->of[kind].used, n, __ATOMIC_ACQ_REL);
    if (unlikely(parent != NULL))
        take_off(parent, NULL, kind, n);
    return !left && kind == ACCOUNT_KEPT;
}

// And those above that only it referred to.
static __attribute__((noinline)) void end(struct account *a)
{
    do {
        struct account *parent = a->parent;
        raw_free(a);
        a = parent;
    } while (a && !__atomic_sub_fetch(&a->refs, 1, __ATOMIC_ACQ_REL) &&
             is_last(a, ACCOUNT_KEPT, a->size));
}

void account_discharge(struct account *a, enum account_kind kind, u64 n)
{
    if (a && unlikely(is_last(a, kind, n)))
        end(a);
}

bool account_charge_memory(struct account *a, u64 bytes, u64 tables)
{
    if (!account_charge(a, ACCOUNT_MEMORY, bytes))
        return false;
    if (account_charge(a, ACCOUNT_KEPT, bytes + tables))
        return true;
    account_discharge(a, ACCOUNT_MEMORY, bytes);
    return false;
}

void account_discharge_memory(struct account *a, u64 bytes, u64 tables)
{
    account_discharge(a, ACCOUNT_MEMORY, bytes);
    account_discharge(a, ACCOUNT_KEPT, bytes + tables);
}

void account_take(struct account *a, enum account_kind kind, u64 n)
{
    for (; a; a = a->parent)
        note_peak(&a->of[kind], __atomic_add_fetch(&a->of[kind].used, n, __ATOMIC_RELAXED));
}

struct account *account_limited(struct account *a, enum account_kind kind)
{
    while (a && a->of[kind].most == UINT64_MAX)
        a = a->parent;
    return a;
}

bool account_has_room(const struct account *a, enum account_kind kind, u64 n)
{
    for (; a; a = a->parent) {
        u64 used = __atomic_load_n(&a->of[kind].used, __ATOMIC_RELAXED), most = a->of[kind].most;
        if (used > most || n > most - used)
            return false;
    }
    return true;
}

struct account *account_new(struct account *parent, const u64 most[ACCOUNT_KINDS], size_t size)
{
    u32 depth = parent ? parent->depth + 1 : 0;
    struct account *a = depth < ACCOUNT_DEPTH ? raw_zalloc(size, parent) : NULL;
    if (!a)
        return NULL;
    a->parent = parent;
    a->refs = 1;
    a->depth = depth;
    a->size = (u32)size;
    for (u32 i = 0; i < ACCOUNT_KINDS; i++)
        a->of[i].most = most[i] ? most[i] : UINT64_MAX;
    u64 memory = most[ACCOUNT_MEMORY], more = parent ? ACCOUNT_ALLOWANCE_CHILD : ACCOUNT_ALLOWANCE;
    more += memory / ACCOUNT_TABLES;
    if (memory)
        a->of[ACCOUNT_KEPT].most = memory + more < memory ? UINT64_MAX : memory + more;
    if (!account_charge(a, ACCOUNT_KEPT, size)) {
        raw_free(a);
        return NULL;
    }
    if (parent)
        account_ref(parent);
    return a;
}

void account_ref(struct account *a)
{
    __atomic_add_fetch(&a->refs, 1, __ATOMIC_RELAXED);
}

void account_unref(struct account *a)
{
    if (a && !__atomic_sub_fetch(&a->refs, 1, __ATOMIC_ACQ_REL))
        account_discharge(a, ACCOUNT_KEPT, a->size);
}
