// SPDX-License-Identifier: MIT
// LEB128 readers for bytes that the validator has accepted: no bounds checks, one-byte fast path.
#pragma once
#include "wasm/types.h"

static inline u32 leb_u32(const u8 **pp)
{
    const u8 *p = *pp;
    u32 v = *p++;
    if (unlikely(v & 0x80)) {
        v &= 0x7f;
        for (u32 shift = 7;; shift += 7) {
            u32 b = *p++;
            v |= (b & 0x7f) << shift;
            if (!(b & 0x80))
                break;
        }
    }
    *pp = p;
    return v;
}

static inline u64 leb_u64(const u8 **pp)
{
    const u8 *p = *pp;
    u64 v = *p++;
    if (unlikely(v & 0x80)) {
        v &= 0x7f;
        for (u32 shift = 7;; shift += 7) {
            u64 b = *p++;
            v |= (b & 0x7f) << shift;
            if (!(b & 0x80))
                break;
        }
    }
    *pp = p;
    return v;
}

// Behind a type of values or of a block.
static inline const u8 *type_skip(const u8 *p)
{
    if (unlikely((u8)(*p - TYPE_REF) < 2)) // what it refers to follows
        p++;
    while (unlikely(*p++ & 0x80))
        ;
    return p;
}

// Where an instruction accesses memory: the alignment is a hint that tells nothing.
struct memarg {
    u64 offset;
    u32 memory;
};

static inline struct memarg leb_memarg(const u8 **pp)
{
    u32 flags = leb_u32(pp), memory = flags & MEMARG_INDEX ? leb_u32(pp) : 0;
    return (struct memarg){leb_u64(pp), memory};
}

static inline u64 leb_s64(const u8 **pp)
{
    const u8 *p = *pp;
    u64 v = 0;
    u32 shift = 0;
    u8 b = *p;
    if (likely(!(b & 0x80))) {
        *pp = p + 1;
        return (u64)((s64)((u64)b << 57) >> 57);
    }
    do {
        b = *p++;
        v |= (u64)(b & 0x7f) << shift;
        shift += 7;
    } while (b & 0x80);
    if (shift < 64 && (b & 0x40))
        v |= ~0ull << shift;
    *pp = p;
    return v;
}

static inline s32 leb_s32(const u8 **pp)
{
    return (s32)leb_s64(pp);
}
