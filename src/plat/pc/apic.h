// SPDX-License-Identifier: MIT
// Registers of the local APIC (SDM 3A 11.4), by their offsets in memory.
#pragma once
#include "base/types.h"

enum {
    APIC_ID = 0x20,
    APIC_EOI = 0xb0,
    APIC_SPURIOUS = 0xf0,
    APIC_COMMAND = 0x300,
    APIC_COMMAND_TO = 0x310,
    APIC_TIMER = 0x320,
    APIC_TIMER_START = 0x380,
    APIC_TIMER_NOW = 0x390,
    APIC_TIMER_DIVIDE = 0x3e0,
};
enum {
    APIC_MASKED = 1 << 16,
    APIC_DEADLINE = 2 << 17,
    APIC_PENDING = 1 << 12,
    APIC_NMI_ALL = 0xc4400,   // to all but ourselves
    APIC_INIT_ALL = 0xc4500,  // likewise
    APIC_START_ALL = 0xc4600, // + page where they start
};

u32 apic_read(u32 offset);
void apic_write(u32 offset, u32 value);
