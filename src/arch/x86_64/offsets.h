// SPDX-License-Identifier: MIT
// The offsets that the assembler files use. Assembler cannot say offsetof, so the numbers stand
// here, and offsets.c asserts each of them against the C declarations: a layout that moves stops
// the build.
#pragma once

#define VMCTX_MEM_BASE 64
#define VMCTX_THREAD 16
#define VMCTX_SCRATCH 48
#define VMCTX_OWN 72

#define VM_THREAD_SP 0
#define VM_THREAD_STACK_LIMIT 8
#define VM_THREAD_HOST_LIMIT 16
#define VM_THREAD_LAST_SP 24
#define VM_THREAD_LINK 32
#define VM_THREAD_LINK_END 40
#define VM_THREAD_ENTRY_SP 48
#define VM_THREAD_DIRECT_LIMIT 56
#define VM_THREAD_INTERRUPT 80
#define VM_THREAD_TURN 120
#define VM_THREAD_RESULT 128
#define VM_THREAD_THEN 136
#define VM_THREAD_READY 152
#define VM_THREAD_RESUME 160
#define VM_THREAD_RESUME_SP 168

#define VM_FUNC_CODE 0
#define VM_FUNC_VM 8
#define VM_FUNC_REF 16
#define VM_FUNC_INDEX 28
#define VM_HOST_DIRECT 32

#define VM_LINK_RET 0
#define VM_LINK_VM 8
#define VM_LINK_SIZE 16

#define CALL_FUNC 0
#define CALL_VM 8
#define CALL_GPR 16
#define CALL_XMM 64
#define CALL_STACK 192
#define CALL_NSTACK 200
#define CALL_NRESULTS 208

#define TRAP_STACK_NUMBER 10
#define INTERRUPT_SWITCH 0x100
#define HOST_STACK 0x10000
#define READY 0x2000
#define READY_CELLS 0x8000
#define PAGE 4096
