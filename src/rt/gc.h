// SPDX-License-Identifier: MIT
// Inside the runtime: the objects of a store, and who throws away what nobody refers to (gc.c).
#pragma once
#include "rt/store.h"

// Makes the store's heap if there is none yet, and lets the instance have it: for each instance of
// a module that has types of objects. False: no memory.
bool gc_begin(struct instance *i);
// Nothing of the store is called any more. Looks up.
void gc_end(struct store *s);
// Frees objects and exceptions that nobody can have a reference to any more, and gives memory back.
// To be called on a thread of the store, or while none of it runs. False: the process is to end,
// and all is as it was.
bool gc_collect(struct store *s);
// An instance goes before its store does, but objects of its module's types may stay.
void gc_keeps(struct store *s, struct module_record *m);

// Words of C that are looked at, too, as long as they are in the store's list: where constant
// expressions are computed there is no thread whose stack they would lie on.
struct gc_held {
    struct gc_held *next;
    const u64 *at;
    u32 count;
};
