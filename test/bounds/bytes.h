// SPDX-License-Identifier: MIT
// Modules that a test writes, of BYTES at most.
#pragma once
#include "../kern/nebulet.h"

static unsigned char bytes[BYTES];
static u32 size;

static void byte(u32 b)
{
    bytes[size++] = (unsigned char)b;
}

// A number as five bytes of LEB128, whatever it is.
static void word(u32 n)
{
    for (u32 i = 0; i < 4; i++, n >>= 7)
        byte((n & 127) | 128);
    byte(n & 127);
}
