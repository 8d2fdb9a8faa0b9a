// SPDX-License-Identifier: MIT
// Turns. The threads of a process that can run form a ring, in the order of their turns. As long as
// they only pass the turn on, they do so without the scheduler (arch_stub_pass, vm_thread.turn);
// `ring` is set right when one of them comes to it.
#include "kern/cpu.h"

void turn_tell(struct kthread *t)
{
    const struct kthread *next = t->next_turn;
    if (t->status == THREAD_OVER)
        return;
    bool plain = next != t && next->status == THREAD_READY && next->vm == t->vm;
    thread_vm(t->rt)->turn = plain && !PLAT_TRACKS_STACKS ? thread_vm(next->rt) : NULL;
}

void turn_add(struct process *p, struct kthread *t)
{
    struct kthread *first = p->ring;
    assert(t->next_turn == t && t->last_turn == t && t->process == p);
    if (!first) {
        p->ring = t;
        return;
    }
    t->next_turn = first;
    t->last_turn = first->last_turn;
    t->last_turn->next_turn = t;
    first->last_turn = t;
    turn_tell(t->last_turn);
    turn_tell(t);
}

void turn_remove(struct kthread *t)
{
    struct kthread *next = t->next_turn, *last = t->last_turn;
    assert(next->last_turn == t && last->next_turn == t && t->process->ring);
    if (next == t) {
        t->process->ring = NULL;
        return;
    }
    t->process->ring = next;
    t->next_turn = t->last_turn = t;
    next->last_turn = last;
    last->next_turn = next;
    turn_tell(last);
    turn_tell(t);
}

SELDOM void turn_keep_globals(struct kthread *t)
{
    for (u32 i = 0; i < countof(t->own); i++)
        t->own[i] = *t->vm->own[i];
}

SELDOM void turn_show_globals(const struct kthread *t)
{
    for (u32 i = 0; i < countof(t->own); i++)
        *t->vm->own[i] = t->own[i];
}
