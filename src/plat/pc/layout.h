// SPDX-License-Identifier: MIT
// Numbers that the assembler, the linker script and C agree on; pc.c asserts what C can see.
//
// The address space, low to high:
//
//   0x1000 - RAM's end     all of RAM at its own address (what exists of it), never executable but
//                          for the kernel's text
//   WINDOW_SMALL           reservations of up to 2 MiB
//   WINDOW_CODE            the code window, twice
//   WINDOW_MIDDLE          reservations of up to 32 MiB: threads that have none with a memory
//   WINDOW_HUGE            reservations of up to 8 GiB, to the end: linear memories
#pragma once

#define STACK_SIZE 65536      // of CPU 0's C code
#define HOOK_STACK_SIZE 65536 // of faults and interrupts, and what the hook does about them
#define IST_STACK_SIZE 4096   // of what never calls the hook

#define SELECTOR_CODE 8
#define SELECTOR_DATA 16
#define SELECTOR_TSS 24 // of 16 bytes
#define SELECTOR_CODE32 40

// struct cpu, which FS points to
#define CPU_SELF 0
#define CPU_NESTED_STACK 8
#define CPU_IN_HOOK 16
#define CPU_FAULT_STACK 60 // the first IST entry of its TSS

#define AP_TRAMPOLINE 0x8000 // where other CPUs start, in real mode
