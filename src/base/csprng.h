// SPDX-License-Identifier: MIT
// Random bytes that cannot be predicted: ChaCha20 (RFC 8439) with fast key erasure. Every request
// takes a new key from the generator's own output first, so that what was given out before cannot
// be found from what is in memory later.
#pragma once
#include "base/types.h"

struct csprng {
    u32 key[8];
};

void csprng_seed(struct csprng *r, const u8 seed[32]); // from a true source
void csprng_fill(struct csprng *r, void *p, size_t n);

// One block of the cipher with the 20-byte constant layout of RFC 8439: for tests.
void chacha20_block(const u32 key[8], u32 counter, const u32 nonce[3], u8 out[64]);
