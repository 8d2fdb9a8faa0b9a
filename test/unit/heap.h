// SPDX-License-Identifier: MIT
// Making allocations of the unit tests' heap fail; see heap.c.
#pragma once

extern long test_heap_left;
