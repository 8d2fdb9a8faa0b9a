// SPDX-License-Identifier: MIT
// In place of src/base/probe.h: see test/probe/probe.c.
#pragma once
#include "base/types.h"

void probe_taken(const void *lock);
void probe_given(const void *lock);
void probe_deep(const void *lock);
void probe_fault(void);
