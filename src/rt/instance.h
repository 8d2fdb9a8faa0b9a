// SPDX-License-Identifier: MIT
// Inside the runtime: the record behind an instance. The vmctx is its end, since the arrays that
// compiled code sees follow the vmctx.
#pragma once
#include "rt/memory.h"

struct instance {
    struct store *store;
    struct module_record *module;
    struct instance *next, **self;
    size_t size;                  // of this block
    struct vm_memory *own_memory; // NULL: imported, or none
    struct plat_image *image;     // of it; NULL: none
    struct rt_table *tables;      // own ones
    u64 *table_max; // declared, of imported tables, for further matching; UINT64_MAX: none
    u64 memory_max; // declared, in pages
    u8 *dropped_datas, *dropped_elems;
    u64 **elems; // by segment, what its expressions came to; NULL: they are looked at when they are
                 // wanted
    struct vmctx vm __attribute__((aligned(16)));
};

// What segments hold, of one that has not been dropped.
u64 segment_ref(const struct vmctx *vm, u32 segment, u32 i);
// As memmove, of any length; a trap if the process is to end.
enum trap bytes_copy(u8 *dst, const u8 *src, u64 n);
// New objects; 0: no memory.
u64 object_new_struct(struct vmctx *vm, const struct functype *t);
u64 object_new_array(struct vmctx *vm, const struct functype *t, u32 length);

// A function's type as text, in the buffer: "(i32 i64) -> (f32)".
const char *func_type_text(char *buffer, size_t n, const struct functype *f);

// One block: the record with vmctx and its arrays, then what only the runtime looks at.
size_t instance_bytes(const struct module *m);
// The place behind a store's record.
static inline struct instance *instance_inside(struct store *s)
{
    return (struct instance *)ALIGN_UP((uintptr_t)(s + 1), (uintptr_t)16);
}

_Static_assert(offsetof(struct instance, vm) + sizeof(struct vmctx) == sizeof(struct instance),
               "the arrays of the vmctx follow it");
