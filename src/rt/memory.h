// SPDX-License-Identifier: MIT
// Inside the runtime: linear memories and tables.
#pragma once
#include "rt/store.h"

#define MEMORY_RESERVATION ((4ull << 30) + VM_MEMORY_GUARD)

// A reservation and the memory in it. When nobody uses it, its first `bytes` bytes are accessible
// and zero. In front of the memory is room for a thread's stacks.
struct memory_slot {
    struct vm_memory vm; // first: vm_memory pointers of the runtime are slot pointers
    struct memory_slot *next;
    struct plat_image *image; // it begins with; NULL: none
    bool patched;             // memory_share: what it began with is not all there any more
    bool wide;                // there is VM_MEMORY_FRONT before it
    u64 given;                // bytes of it that nobody pays for (memory_give)
    struct thread *thread;    // in front of it, in use or not; NULL: there has been none yet
};

// A memory of limits->min pages from the realm's pool. ERR_NO_MEMORY, also when the store's limit
// is reached.
// `image`, if it is not NULL, is one that the memory may begin with already.
status memory_create(struct store *s, const struct limits *limits, struct plat_image *image,
                     struct vm_memory **out);
// Lets one that is new begin with an image. False: it cannot be done.
bool memory_image(struct vm_memory *m, struct plat_image *image);
// Gives back what is large of one that nobody uses any more, and looks up between its pieces: to
// give pages back takes time for each that was touched. From then on it is a small one.
void memory_shrink(struct store *s, struct vm_memory *m);
// Its first `bytes` stay; of the rest, `given` are so.
void memory_cut(struct store *s, struct vm_memory *m, u64 bytes, u64 given);
// Pages in the middle of one: they become zero and take no memory. Nobody pays for them until they
// are taken again, which has to be before they are used. Looks up.
void memory_give(struct store *s, struct vm_memory *m, u64 at, u64 bytes);
bool memory_take(struct store *s, struct vm_memory *m, u64 bytes); // false: nobody pays
static inline u64 memory_front(const struct memory_slot *m)
{
    return m->wide ? VM_MEMORY_FRONT : 0;
}
static inline u64 memory_given(const struct vm_memory *m) // so many bytes
{
    return ((const struct memory_slot *)m)->given;
}
void memory_free(struct store *s, struct vm_memory *m); // back to the pool; NULL is fine
// Old size in pages, or -1.
s64 memory_grow(struct store *s, struct vm_memory *m, u64 pages);
status memory_none(struct store *s);                         // makes s->no_memory usable
void memories_free(struct store *s);                         // store_memory's
void memories_release(struct realm *r);                      // the pool
void memories_forget(struct realm *r, struct plat_image *i); // which is about to go
void store_count(struct store *s, u64 bytes); // that memories and tables have more, for information
// Bytes of memory that the store has, and those of page tables that these take. False: past a
// limit.
bool store_charge(struct store *s, u64 bytes, u64 beside);
void store_discharge(struct store *s, u64 bytes, u64 beside); // when the pages are gone

// Tables know how their elements are allocated.
struct rt_table {
    struct vm_table vm;  // first: vm_table pointers are rt_table pointers
    u64 capacity;        // elements that fit without another allocation
    u64 reserved;        // bytes of a reservation; 0: on the heap
    struct store *store; // whose limit its elements count against
};

struct owned_table {
    struct owned_table *next;
    struct rt_table table;
};

status table_create(struct store *s, const struct table_type *type, struct rt_table *out);
void table_free(struct rt_table *t); // a zeroed one is fine
void tables_free(struct store *s);   // store_table's
// Makes it `length` elements long (not shorter), the new ones empty. False: past its maximum or the
// store's limit, or no memory.
bool table_resize(struct rt_table *t, u64 length);

static inline struct vm_func table_element(valtype elem, u64 ref)
{
    if (elem == TYPE_FUNCREF && ref)
        return *(const struct vm_func *)ref;
    return (struct vm_func){.ref = (const struct vm_func *)ref};
}
