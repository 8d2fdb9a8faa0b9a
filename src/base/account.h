// SPDX-License-Identifier: MIT
// Accounts: who pays for what, and how much each may have.
//
//   what main starts ── limits of the command line
//     ├─ its processes, and theirs, unless they are given limits of their own:
//     └─ account of a child with limits <── processes of that child
//
// Whatever is kept on somebody's behalf is charged to an account when it is made and given back
// when it goes; a charge counts in the account and in all above it, so what a child takes is taken
// from its maker. A charge that would pass a limit anywhere is refused, and nothing has happened.
// No lock is needed: counts are atomic, and one that is refused may for a moment make another fail
// that would just have fitted.
//
// An account lives as long as somebody holds it or anything is charged to it: a message may outlive
// who sent it. ACCOUNT_KEPT, which everything that has bytes counts in, is therefore also the count
// of what refers to it.
#pragma once
#include "base/types.h"

enum account_kind {
    ACCOUNT_KEPT,   // bytes of everything
    ACCOUNT_MEMORY, // bytes of linear memories among them: exact, for a program counts on them
    ACCOUNT_HANDLES,
    ACCOUNT_THREADS,
    ACCOUNT_MESSAGES, // sent, and not taken yet
    ACCOUNT_PROCESSES,
    ACCOUNT_KINDS,
};

// Beyond the limit of memory, for what the kernel keeps, so that a program may use its limit to the
// byte, and a part of it more for page tables. That of a child is out of its maker's.
enum {
    ACCOUNT_ALLOWANCE = 1 << 20,
    ACCOUNT_ALLOWANCE_CHILD = 128 << 10,
    ACCOUNT_TABLES = 256, // so much of it
    ACCOUNT_DEPTH = 16,
    ACCOUNT_SLABS = 19
};

struct account {
    struct account *parent; // NULL: of what was started from outside
    u32 refs, depth;
    u32 size; // of the record
    struct meter {
        u64 used, peak, most; // peak <= most
    } of[ACCOUNT_KINDS];
    struct slab *partial[ACCOUNT_SLABS]; // see slab.h
};

// A record of `size` bytes that begins with an account, the rest zero. `most`: limits by kind, 0:
// none; that of ACCOUNT_KEPT follows from that of memory. With a reference. NULL: no memory, or too
// deep.
struct account *account_new(struct account *parent, const u64 most[ACCOUNT_KINDS], size_t size);
void account_ref(struct account *a);
void account_unref(struct account *a); // NULL is fine

// The rest of account_charge: `a` has been charged, which makes `used`.
bool account_charged(struct account *a, enum account_kind kind, u64 n, u64 used);
// NULL pays for nobody, without limits. The caller holds the account.
static inline bool account_charge(struct account *a, enum account_kind kind, u64 n)
{
    if (!a)
        return true;
    struct meter *m = &a->of[kind];
    u64 used = __atomic_add_fetch(&m->used, n, __ATOMIC_RELAXED);
    bool plain = !a->parent && used <= m->peak && used >= n;
    return likely(plain) || account_charged(a, kind, n, used);
}
void account_discharge(struct account *a, enum account_kind kind, u64 n);
// Bytes of linear memories and memory objects, for which the limit of memory holds to the byte, and
// of the page tables that these take.
bool account_charge_memory(struct account *a, u64 bytes, u64 tables);
void account_discharge_memory(struct account *a, u64 bytes, u64 tables);
// For what may not fail: is there room for n more, here and above, and a charge that is not
// refused. Two CPUs that ask at the same time may both be told so.
bool account_has_room(const struct account *a, enum account_kind kind, u64 n);
void account_take(struct account *a, enum account_kind kind, u64 n);
// The nearest with a limit of that kind; NULL: there is none.
struct account *account_limited(struct account *a, enum account_kind kind);
