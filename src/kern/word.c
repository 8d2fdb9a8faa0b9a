// SPDX-License-Identifier: MIT
// Threads of a process that wait at an address: see word.h.
//
//   bucket ──> first at address A ──other──> first at address B ──other──> ...
//                 next │ ^ last                 (alone: its own next and last)
//                      v │
//                 the others at A, in a circle, in the order in which they came
//
// All that belongs to the process, which runs on one CPU at a time, and its threads change places
// only in calls: so it needs no lock. Who was woken by a deadline, or because the process ends,
// takes itself out when it runs; until then it may be there and no longer wait, which only the
// kernel lock tells. The hash multiplies by a key: nobody can make addresses that meet in a bucket.
#include "kern/word.h"
#include "base/heap.h"
#include "base/lookup.h"
#include "kern/sched.h"
#include "plat/plat.h"
#include "wasm/runtime.h"

// `kind` keeps locks and waits apart.
enum { KIND_WAIT = 1, KIND_LOCK = 2 };
#define WORD(address, kind) ((u64)(address) << 2 | (kind))

// Where the first at an address is, or its place.
static struct kthread **first_at(struct word_table *w, u64 word)
{
    struct kthread **at = w->buckets ? &w->buckets[word * w->key >> (64 - w->bits)] : &w->only;
    while (*at && (*at)->waits.word != word)
        at = &(*at)->waits.other;
    return at;
}

static void line_up(struct word_table *w, struct kthread *t, u64 word)
{
    struct kthread **at = first_at(w, word), *first = *at;
    t->waits = (struct waits){word, t, t, NULL};
    if (!first) {
        *at = t;
        return;
    }
    t->waits.next = first;
    t->waits.last = first->waits.last;
    t->waits.last->waits.next = first->waits.last = t;
}

static void leave(struct word_table *w, struct kthread *t)
{
    struct kthread **at = first_at(w, t->waits.word), *next = t->waits.next;
    assert(*at);
    next->waits.last = t->waits.last;
    t->waits.last->waits.next = next;
    if (*at == t && next == t) {
        *at = t->waits.other;
    } else if (*at == t) {
        next->waits.other = t->waits.other;
        *at = next;
    }
    t->waits.word = 0;
}

static void move_all(struct word_table *to, struct kthread *first)
{
    for (struct kthread *t = first, *other; t; t = other) {
        struct kthread **at = first_at(to, t->waits.word);
        other = t->waits.other;
        t->waits.other = NULL;
        *at = t;
    }
}

status words_reserve(struct word_table *w, u32 threads)
{
    u64 n = w->buckets ? 1ull << w->bits : 0;
    if (threads <= n)
        return OK;
    struct word_table now = {.key = w->key, .bits = w->buckets ? w->bits + 1 : 3};
    if (!now.key)
        now.key = plat_hash_key() | 1;
    if (!(now.buckets = heap_array(1u << now.bits, sizeof *now.buckets)))
        return ERR_NO_MEMORY;
    move_all(&now, w->only);
    for (u64 i = 0; i < n; i++)
        move_all(&now, w->buckets[i]);
    heap_free(w->buckets);
    *w = now;
    return OK;
}

static status wait_at(u64 word, u64 deadline)
{
    struct kthread *t = sched_self();
    struct word_table *w = &t->process->words;
    line_up(w, t, word);
    kern_acquire();
    status s = sched_wait(t, deadline);
    kern_release();
    if (t->waits.word)
        leave(w, t);
    return s;
}

s64 word_wait_ns(struct vmctx *vm, u64 address, s64 timeout_ns)
{
    (void)vm;
    u64 now = timeout_ns < 0 ? 0 : plat_now();
    u64 deadline = now + (u64)timeout_ns < now ? NEBULET_FOREVER : now + (u64)timeout_ns;
    if (timeout_ns < 0)
        deadline = NEBULET_FOREVER;
    return wait_at(WORD(address, KIND_WAIT), deadline) == ERR_TIMED_OUT ? 2 : 0;
}

// Wakes up to `count` of those who wait at an address, and no more than a few with the lock held.
static u32 wake_some(struct word_table *w, u64 word, u32 count)
{
    enum { AT_ONCE = 8 }; // each may have a deadline to be taken back
    struct kthread *t;
    u32 woken = 0;
    kern_acquire();
    for (u32 i = 0; i < AT_ONCE && woken < count && (t = *first_at(w, word)); i++) {
        leave(w, t);
        if (t->status != THREAD_WAITS)
            continue;
        sched_wake(t, OK);
        woken++;
    }
    kern_release();
    return woken;
}

// Other processes may run in between, but none of this one's threads: so nobody else comes to wait.
u32 word_notify(struct vmctx *vm, u64 address, u32 count)
{
    struct word_table *w = &((struct process *)vm->process)->words;
    u64 word = WORD(address, KIND_WAIT);
    u32 woken = 0;
    while (woken < count && *first_at(w, word)) {
        woken += wake_some(w, word, count - woken);
        look_up();
    }
    return woken;
}

// The word is handed over held, so nobody overtakes who waits.
status pfex_acquire(struct vmctx *vm, u32 address)
{
    u8 *word = vm->mem_base + address;
    if (load_u32(word) == 0) {
        store_u32(word, 1);
        return OK;
    }
    store_u32(word, 2);
    return wait_at(WORD(address, KIND_LOCK), NEBULET_FOREVER);
}

status pfex_release(struct vmctx *vm, u32 address)
{
    u8 *at = vm->mem_base + address;
    u32 was = load_u32(at), woken = 0;
    if (was == 0)
        return ERR_BAD_STATE;
    struct word_table *w = &((struct process *)vm->process)->words;
    u64 word = WORD(address, KIND_LOCK);
    while (was != 1 && !woken && *first_at(w, word))
        woken = wake_some(w, word, 1);
    store_u32(at, !woken ? 0 : *first_at(w, word) ? 2 : 1);
    return OK;
}
