// SPDX-License-Identifier: MIT
// Inside the runtime: the objects of a store, and who throws away what nobody refers to. gc.c has
// the room that they lie in, mark.c finds those that are in use.
#pragma once
#include "rt/store.h"

// Makes the store's heap if there is none yet: before there is an instance of a module that has
// types of objects. False: no memory.
bool gc_begin(struct store *s);
void gc_attach(struct instance *i); // a new one, to the heap that there is
// From now on there is one collection at most, until that is over. Constant expressions are
// computed while nobody can end the process, and some bytes of them can make gigabytes of garbage:
// so what they make has to fit in as a whole.
void gc_restrain(struct store *s, bool on);
// Nothing of the store is called any more. Looks up.
void gc_end(struct store *s);
// Frees objects and exceptions that nobody can have a reference to any more, and gives memory back.
// To be called on a thread of the store, or while none of it runs. False: the process is to end,
// and nothing has been freed.
bool gc_collect(struct store *s);
// An instance goes before its store does, but objects of its module's types may stay: they are kept
// until the heap goes.
void gc_keep_types(struct store *s, struct module_record *m);

// Words of C that are looked at, too, as long as they are in the store's list: where constant
// expressions are computed there is no thread whose stack they would lie on.
struct gc_held {
    struct gc_held *next;
    const u64 *at;
    u32 count;
};

// --- Inside the collector

enum {
    GC_UNIT = 8192,
    GC_SHIFT = 13,
    GC_WORDS = 8,         // of bits, of a unit,
    GC_SPREAD = 1024,     // and the bytes that each stands for
    GC_GROUP = 64,        // units
    GC_UNITS = 65535 * 8, // at most: no cell ends at 4 GiB
    GC_BINS = 20,
    GC_MARKS = GC_UNIT / 2 / sizeof(u32), // that may wait in unit 0, behind a page of zeros: what
                                          // null leads to is an object of no type
    GC_RECORDS = 128,
};

// What a unit belongs to: a span of objects, of that class, or of one large one; or a run of free
// ones. Where a span or a run begins and ends, `first` is right; within spans, everywhere.
enum { GC_LARGE = VM_HEAP_CLASSES, GC_FREE, GC_GIVEN /* memory_give */, GC_OWN };
// Of a span, which cells are allocated: all; those with a bit of the latest collection; as that,
// and all below the run that is being allocated from (vm_run).
enum { GC_FULL, GC_SWEEPABLE, GC_CURRENT };

struct unit {
    u32 first;
    u32 count;      // of the first: units of its span or run
    u32 next, prev; // of the first: in whatever list that is in; prev of free runs only
    u8 kind, state;
};

// Units in a row, and a bit for every 16 bytes of theirs. Those of all that are of a kind lie on as
// few pages as there can be: that is where marking goes back and forth.
struct gc_group {
    struct unit units[GC_GROUP];
    // What marking keeps of groups (mark.c), of so many from here on: those of the first group are
    // of groups 0 to 127, and so on, on pages of their own, too.
    struct gc_grey {
        u64 units; // that have grey objects
        u32 next;  // the next group that has
    } grey[GC_RECORDS];
    // An object begins there that was reached, of two collections; and of those that the one that
    // is going on has reached, which have been looked into, or wait for it in the list.
    _Alignas(4096) u64 live[2][GC_GROUP * GC_WORDS];
    u64 black[GC_GROUP * GC_WORDS];
};
_Static_assert(sizeof(struct gc_group) == 4 * 4096, "pages");

struct gc {
    struct vm_heap vm; // first
    struct store *store;
    struct vm_memory *memory;
    struct gc_group *groups;      // a reservation
    u32 count;                    // of units that the memory has
    u64 accessible;               // bytes of the groups' records
    u32 latest;                   // which bits are the latest collection's
    u32 current[VM_HEAP_CLASSES]; // the span that the class's run is in; 0: there is none
    u32 sweepable[VM_HEAP_CLASSES], dense[VM_HEAP_CLASSES]; // spans with room; with little of it
    u32 bins[2][GC_BINS];  // free runs of 2^n units or more, and those given back
    u64 allocated, enough; // bytes since the latest collection; how many make the next one
    u64 live, peak_live, collections, most; // collections: see gc_restrain
    VEC(struct module_record *) kept;
};

static inline struct unit *gc_unit(const struct gc *gc, u32 n)
{
    return &gc->groups[n / GC_GROUP].units[n % GC_GROUP];
}

static inline u64 *gc_live(struct gc_group *groups, u32 which, u32 at)
{
    return &groups[(at >> GC_SHIFT) / GC_GROUP].live[which][at / GC_SPREAD % (GC_GROUP * GC_WORDS)];
}

static inline bool gc_bit(const struct gc *gc, u32 at) // of the latest collection
{
    return *gc_live(gc->groups, gc->latest, at) >> at / 16 % 64 & 1;
}

// A bit is the 16 bytes that an object begins in, of which there is one at most: where the first
// cell is that begins no sooner, of those in a row from one on.
static inline u32 gc_cell(u32 one, u32 at, u32 cell)
{
    return at <= one ? one : one + (at - one + cell - 1) / cell * cell;
}

// Sets the bits of all objects in use that are not the latest's, and the exceptions' `live`. How
// many words it has looked through for references; false: the process is to end, and no exception
// has been marked.
bool mark(struct store *s, u64 *words);
