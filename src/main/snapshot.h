// SPDX-License-Identifier: MIT
// Modules that have been started already: a copy of a module whose memory and globals begin as
// those of an instance were.
//
// What such a module is, is plain WebAssembly: its data are what the memory was, so whoever runs it
// needs to know nothing, and instances share what they do not write (rt/image.c).
#pragma once
#include "base/vec.h"
#include "rt/rt.h"

// Of an instance that is linked and has not run: what must be as it was in the end. NULL: no
// memory.
struct snapshot;
struct snapshot *snapshot_begin(struct instance *in);
void snapshot_free(struct snapshot *s);
// Why what the instance has become cannot be written as a module; NULL: it can.
const char *snapshot_unfit(const struct snapshot *s);
// The module, without its start function and `initialize`; what it exports as `resume`, if
// anything, is its _start. False: no memory.
typedef VEC(u8) snapshot_bytes;
bool snapshot_write(const struct snapshot *s, snapshot_bytes *out);

#define SNAPSHOT_INITIALIZE "wizer.initialize"
#define SNAPSHOT_RESUME "wizer.resume"
