// SPDX-License-Identifier: MIT
// Small blocks: a page holds blocks of one size class for one account, and is charged to it whole.
//
// Who frees most of many small blocks keeps their pages, for as long as one of them is in use. If
// pages were shared, or only what is in use were charged, others would pay for what that leaves
// over. A page without a block in use goes back at once.
//
// Under the heap (base/heap.h), which has one lock for all of it, and on top of the platform's
// pages.
#pragma once
#include "base/account.h"

enum { SLAB_MAX = 2016, SLAB_PAGE = 4096 };

struct slab;

// With the heap's lock. At most SLAB_MAX bytes, for `payer` (NULL: nobody); NULL: no memory, or the
// payer has no room for another page. No block begins at a page.
void *slab_alloc(struct account *payer, size_t size);
// With the lock. NULL, or the page that nobody uses any more: to be given to slab_drop.
struct slab *slab_free(void *block);
// Without the lock, for an account may end with it. NULL is fine.
void slab_drop(struct slab *s);
size_t slab_size(const void *block); // of its class
u64 slab_used(void);                 // bytes of all blocks in use
