// SPDX-License-Identifier: MIT
// How a program waits for files and clocks under the scheduler: for struct wasi_config.
#pragma once
#include "fs/vfs.h"

struct vmctx;

vfs_wait_fn files_wait; // parks the running thread. E_INTR: its process ends
void files_yield(struct vmctx *vm);
// Writes all of it to a stream, for the running thread; parks where that has no room. Gives up when
// the process ends, or nobody reads.
void files_put(struct vfs_file *f, const void *p, size_t n);
