// SPDX-License-Identifier: MIT
// Threads of a process that wait at an address: see word.h.
//
// A thread that waits is in its process's list like every other and has its `word` set; the list is
// in order of creation, so a ticket, taken when the wait begins, makes the order that of arrival.
#include "kern/word.h"
#include "kern/sched.h"
#include "plat/plat.h"

// With the kernel lock. `kind` keeps locks and waits apart.
enum { KIND_WAIT = 1, KIND_LOCK = 2 };
#define WORD(address, kind) ((u64)(address) << 2 | (kind))

static status wait_at(u64 word, u64 deadline)
{
    struct kthread *t = sched_self();
    t->word = word;
    t->ticket = ++t->process->next_ticket;
    status s = sched_wait(deadline);
    t->word = 0;
    return s;
}

// The one that has waited longest at an address.
static struct kthread *first_at(struct process *p, u64 word)
{
    struct kthread *first = NULL;
    for (struct kthread *t = p->threads; t; t = t->next_thread)
        if (t->word == word && t->status == THREAD_WAITS && (!first || t->ticket < first->ticket))
            first = t;
    return first;
}

s64 word_wait_ns(struct vmctx *vm, u64 address, s64 timeout_ns)
{
    (void)vm;
    u64 now = timeout_ns < 0 ? 0 : plat_now();
    u64 deadline = now + (u64)timeout_ns < now ? NEBULET_FOREVER : now + (u64)timeout_ns;
    if (timeout_ns < 0)
        deadline = NEBULET_FOREVER;
    kern_acquire();
    status s = wait_at(WORD(address, KIND_WAIT), deadline);
    kern_release();
    return s == ERR_TIMED_OUT ? 2 : 0;
}

u32 word_notify(struct vmctx *vm, u64 address, u32 count)
{
    struct process *p = vm->process;
    struct kthread *t;
    u32 woken = 0;
    kern_acquire();
    for (; woken < count && (t = first_at(p, WORD(address, KIND_WAIT))); woken++) {
        t->word = 0;
        sched_wake(t, OK);
    }
    kern_release();
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
    kern_acquire();
    status s = wait_at(WORD(address, KIND_LOCK), NEBULET_FOREVER);
    kern_release();
    return s;
}

status pfex_release(struct vmctx *vm, u32 address)
{
    u8 *word = vm->mem_base + address;
    u32 was = load_u32(word);
    if (was == 0)
        return ERR_BAD_STATE;
    if (was == 1) {
        store_u32(word, 0);
        return OK;
    }
    kern_acquire();
    struct process *p = vm->process;
    struct kthread *t = first_at(p, WORD(address, KIND_LOCK));
    if (t) {
        t->word = 0;
        sched_wake(t, OK);
    }
    store_u32(word, !t ? 0 : first_at(p, WORD(address, KIND_LOCK)) ? 2 : 1);
    kern_release();
    return OK;
}
