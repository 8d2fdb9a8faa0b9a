// SPDX-License-Identifier: MIT
// Inside the runtime: what hangs from a store, and the records behind the public pointers.
//
// A store is used by one CPU at a time and takes no lock. What stores share is their realm: types,
// which compiled code has the numbers of, host functions, modules, and the pools of memories and
// stacks. A realm has one lock.
//
// Ownership: a store owns its instances and threads, the realm the rest; a module lives until it is
// given up and its last instance is gone; an instance owns its memory and its own tables. Lists are
// doubly linked through `next` and a pointer to whatever points here.
#pragma once
#include "base/lock.h"
#include "base/vec.h"
#include "rt/rt.h"
#include "wasm/runtime.h"

#define LIST_ADD(head, item)                                                                       \
    do {                                                                                           \
        (item)->next = *(head);                                                                    \
        (item)->self = (head);                                                                     \
        if ((item)->next)                                                                          \
            (item)->next->self = &(item)->next;                                                    \
        *(head) = (item);                                                                          \
    } while (0)

#define LIST_REMOVE(item)                                                                          \
    do {                                                                                           \
        *(item)->self = (item)->next;                                                              \
        if ((item)->next)                                                                          \
            (item)->next->self = (item)->self;                                                     \
    } while (0)

struct realm;

// --- Types (types.c): one record per distinct type, found by hash, counted by its users.
struct rt_type {
    struct vm_type vm; // first
    struct functype t; // t.id = index in the table; what it says of others, it says by their ids
    u64 hash;          // of the first type of a group, as
    u32 users;         // is this, and
    u32 next;          // the id of the next one in the bucket
    u32 *ids;          // those of all; NULL: of this one alone
    const void *thunk; // for host functions of this type, once one is bound
    // What the collector looks at in objects of it (gc.c): how many references to objects, and how
    // many to exceptions; of an array, of each element, and there are no places of those.
    u32 nrefs, nexnrefs;
    const u32 *places; // where they lie, in this order
    valtype types[];
};

struct type_table {
    spinlock lock;            // of all of it, but for records that are in use
    u64 key;                  // of the hash; 0: none yet
    struct type_slot {        // place i is that of number i, and of bucket i
        struct rt_type *type; // NULL: free
        u32 bucket;           // the first one in it
        u32 next;             // the next free number
    } *at;
    u32 room;          // places that the array has
    u32 ids, nbuckets; // how many there have been of each, number 0 included
    u32 ngroups;
    u32 unused; // a free number, 0: none
};

_Static_assert(sizeof(struct type_slot) == sizeof(struct vm_type_slot) &&
                   !offsetof(struct type_slot, type) && !offsetof(struct rt_type, vm),
               "compiled code looks at displays");

// Gives the types of the group that begins at `first` their ids. Its first type's record, with a
// user more; NULL: no memory.
struct rt_type *type_intern(struct type_table *t, struct functype *types, u32 first);
void type_drop(struct type_table *t, u32 id); // of a group's first type
// A module's type of values in terms of ids, for what several modules see.
valtype type_outside(const struct module *m, valtype t);
// Does a do where b is wanted; is one the other or a subtype? Of types in use, so without a lock.
bool types_match(const struct type_table *t, valtype a, valtype b);
bool type_is(const struct type_table *t, u32 id, u32 wanted);
static inline struct rt_type *type_at(const struct type_table *t, u32 id) // that was given out
{
    return t->at[id].type;
}
void types_free(struct type_table *t); // with whatever is still in it

// --- Names that imports are looked up by (names.c).
struct host_item {
    const char *name;
    u32 length, hash;
    struct extern_ item;
};

struct host_module {
    struct host_module *next;
    const char *name;
    u32 length;
    VEC(struct host_item) items;
    u32 *buckets; // index + 1 of an item; open addressing
    u32 nbuckets;
    struct host_offer { // newest first
        struct host_offer *next;
        const struct host_func *funcs;
        size_t count;
    } *offers;
    struct host_accepted {
        struct host_accepted *next;
        struct vm_host host;
    } *accepted;
};

struct store_item {
    struct store_item *next;
    struct name module, field;
    struct extern_ item;
};

struct registration {
    struct registration *next;
    struct instance *instance;
    u32 length;
    char name[];
};

// Finds what an import is to be bound to; host functions come with their thunk. ERR_UNLINKABLE with
// the text.
status names_find(struct store *s, const struct import *i, struct extern_ *out, struct error *e);
void names_forget(struct store *s, const struct instance *i);
void names_drop(struct store *s); // registrations and items
void names_free(struct realm *r);

// --- Modules (module.c), and when their functions are compiled (compile.c)
struct code_chunk {
    struct code_chunk *next;
    struct code_space space;
    u32 first[]; // for each page: of the own functions that begin there, one + 1; then
                 // func_code.next
};

struct module_record {
    struct rt_module pub;
    struct realm *realm;
    struct code_chunk
        *chunks; // newest first; that one is being filled. In the oldest one the table
    struct module_record *next, **self;
    u32 users;                // instances, and whoever has loaded it
    u32 ntypes;               // how many of its types are interned
    u32 *refs;                // function indices in the order of vmctx refs
    size_t instance_size;     // bytes of the record of an instance
    struct plat_image *image; // of the memory at first; NULL: none
    u64 image_bytes;          // what is charged for it
    u32 image_state;          // see image.c
    // By import, the host function that stores without names of their own have bound it to; NULL:
    // none has yet.
    const struct vm_func **bound;
};

// With a table in which no function has been compiled.
status module_code_init(struct module_record *m);
void module_code_free(struct module_record *m); // a zeroed one is fine
status module_compile_all(struct module_record *m, struct error *e);
// What a vm_func of the function is called by.
static inline const void *module_code(const struct module_record *m, u32 func)
{
    const struct compiled *c = &m->pub.compiled;
    const u8 **entry = &c->table[ENTRY_FUNCS + func - m->pub.m->nimported_funcs];
    const u8 *code = __atomic_load_n(entry, __ATOMIC_ACQUIRE);
    return code == arch_stub_first ? arch_stub_first_of : code;
}
// NULL: it has no code there.
const struct code_chunk *module_chunk_at(const struct module_record *m, const u8 *pc);
// The own function that has a place there, or one past the last.
u32 module_func_at(const struct module_record *m, const u8 *pc);

void module_used(struct module_record *m);   // an instance more
void module_unused(struct module_record *m); // a user less; the last one frees it
// What memory 0 of a new instance begins as, all active data written; NULL: write them.
struct plat_image *module_image(struct module_record *m);

struct thunk_space {
    struct thunk_space *next;
    struct code_space space;
};

enum { POOL_WARM = 16 }; // so many that lie in a pool may keep pages that nobody pays for

struct realm {
    const struct engine *engine;
    bool closing;                   // nothing is kept for later
    bool cells;                     // store_use_cells
    bool at_once;                   // store_compile_at_once
    u32 shorter;                    // bytes of each stack that are not used (store_stack)
    u32 ncompilers;                 // at work on small functions; atomic
    struct compiler *idle_compiler; // or NULL; atomic
    spinlock lock;                  // of everything below
    struct type_table types;
    struct host_module *hosts;
    struct module_record *modules;
    struct thunk_space *thunks;
    struct memory_slot *free_slots; // the pool
    u32 nfree_slots;
    u32 leaving_images; // slots that have left the pool with an image that they will not begin with
    u8 *no_memory;      // the base of instances without one; reserved at first use
    struct thread *free_threads, *leaving_threads;
    u32 nfree_threads, nleaving_threads;
};

// Those that there are (exception.c).
struct exceptions {
    VEC(uintptr_t) all; // by number
    u32 free;           // the first free one, all.count: there is none
    size_t bytes;
    size_t enough; // bytes: then all references are looked for again
};
void exceptions_free(struct store *s);
// That of a number, or NULL.
static inline struct vm_exception *exception_at(const struct exceptions *x, u64 n)
{
    return n < x->all.count && !(x->all.at[n] & 1) ? (struct vm_exception *)x->all.at[n] : NULL;
}
void exceptions_sweep(struct store *s, u64 words); // frees all that are not live; see mark (gc.h)
void exceptions_forget(struct store *s);           // none is

struct store {
    const struct engine *engine;
    struct realm *realm;
    bool owns_realm;                    // the first of its stores
    struct account *account;            // who pays for what is in it; NULL: nobody
    u64 memory, peak_memory;            // bytes of memories and tables
    struct registration *registrations; // newest first
    struct store_item *items;           // store_host_extern, newest first
    struct instance *instances;
    const struct module_record *room;   // behind this record there is room for an instance of it;
                                        // NULL: there is none, or it is used
    struct memory_slot *owned_memories; // store_memory
    struct owned_table *owned_tables;   // store_table
    struct vm_memory no_memory;         // of instances without one
    struct thread *threads;
    struct exceptions exceptions;
    struct gc *gc;                 // its objects; NULL: there have been none yet (gc.h)
    struct gc_held *held;          // see gc.h
    VEC(union vm_global) operands; // of the constant expression that is being computed
    u32 computed;                  // instructions of all of them
};

// The type of an object.
const struct functype *object_type(const struct vmctx *vm, u64 ref);

struct store *vm_store(const struct vmctx *vm);
