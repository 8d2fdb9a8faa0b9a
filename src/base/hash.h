// SPDX-License-Identifier: MIT
// The hash of bytes that somebody else chooses, with a key (plat_hash_key) that they do not know:
// so nobody can offer many names, types or addresses that meet in one place of a table. Eight bytes
// are multiplied at a time, and both halves of the product count; where it begins and what it
// multiplies by are secret.
#pragma once
#include "base/types.h"

static inline u64 hash_fold(u64 a, u64 b)
{
    unsigned __int128 p = (unsigned __int128)a * b;
    return (u64)p ^ (u64)(p >> 64);
}

static inline u64 hash_bytes(u64 key, const void *bytes, size_t n)
{
    const u8 *p = bytes;
    u64 by = (key << 32 | key >> 32) | 1, h = key ^ n, word;
    for (; n >= 8; p += 8, n -= 8) {
        memcpy(&word, p, 8);
        h = hash_fold(h ^ word, by);
    }
    word = 0;
    memcpy(&word, p, n);
    return hash_fold(hash_fold(h ^ word, by), by ^ 0x9e3779b97f4a7c15ull);
}
