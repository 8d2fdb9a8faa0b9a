// SPDX-License-Identifier: MIT
// The end of the machine: QEMU's isa-debug-exit where there is one, ACPI's S5 state, a reset
// through the keyboard controller (which ends a micro-VM, and Firecracker), and last a triple
// fault.
//
// isa-debug-exit turns a number n into the exit code 2n + 1 of QEMU, so codes beyond 127 do not
// come out whole; main/kernel.c tells them on the console as well.
#include "plat/pc/acpi.h"
#include "plat/pc/pc.h"
#include "plat/pc/x86.h"

enum { DEBUG_EXIT = 0xf4, KEYBOARD = 0x64, KEYBOARD_RESET = 0xfe };

void pc_exit(u32 code)
{
    smp_end();
    serial_drain(0);
    out32(DEBUG_EXIT, code);
    acpi_power_off();
    out8(KEYBOARD, KEYBOARD_RESET);
    for (u32 i = 0; i < 1000000; i++)
        cpu_pause();
    struct {
        u16 limit;
        u64 base;
    } __attribute__((packed)) none = {0, 0};
    __asm__ volatile("lidt %0; ud2" : : "m"(none));
    __builtin_unreachable();
}

void plat_exit(int code)
{
    pc_exit((u32)code & 0xff);
}
