// SPDX-License-Identifier: MIT
// Holds the assembler's offsets (offsets.h) to the layouts in vmctx.h and arch.h. It makes no code.
#include "arch/arch.h"

#include "arch/x86_64/offsets.h"

#define AT(type, member, number) _Static_assert(offsetof(struct type, member) == (number), #member)

AT(vmctx, mem_base, VMCTX_MEM_BASE);
AT(vmctx, thread, VMCTX_THREAD);
AT(vmctx, scratch, VMCTX_SCRATCH);
AT(vmctx, own, VMCTX_OWN);
AT(vm_thread, sp, VM_THREAD_SP);
AT(vm_thread, stack_limit, VM_THREAD_STACK_LIMIT);
AT(vm_thread, host_limit, VM_THREAD_HOST_LIMIT);
AT(vm_thread, last_sp, VM_THREAD_LAST_SP);
AT(vm_thread, link, VM_THREAD_LINK);
AT(vm_thread, link_end, VM_THREAD_LINK_END);
AT(vm_thread, entry_sp, VM_THREAD_ENTRY_SP);
AT(vm_thread, direct_limit, VM_THREAD_DIRECT_LIMIT);
AT(vm_thread, interrupt, VM_THREAD_INTERRUPT);
AT(vm_thread, turn, VM_THREAD_TURN);
AT(vm_thread, result, VM_THREAD_RESULT);
AT(vm_thread, then, VM_THREAD_THEN);
AT(vm_thread, ready, VM_THREAD_READY);
AT(vm_thread, resume, VM_THREAD_RESUME);
AT(vm_thread, resume_sp, VM_THREAD_RESUME_SP);
AT(vm_func, code, VM_FUNC_CODE);
AT(vm_func, vm, VM_FUNC_VM);
AT(vm_func, ref, VM_FUNC_REF);
AT(vm_func, index, VM_FUNC_INDEX);
AT(vm_host, direct, VM_HOST_DIRECT);
AT(vm_link, ret, VM_LINK_RET);
AT(vm_link, vm, VM_LINK_VM);
_Static_assert(sizeof(struct vm_link) == VM_LINK_SIZE, "vm_link");
AT(arch_call, func, CALL_FUNC);
AT(arch_call, vm, CALL_VM);
AT(arch_call, gpr, CALL_GPR);
AT(arch_call, xmm, CALL_XMM);
AT(arch_call, stack, CALL_STACK);
AT(arch_call, nstack, CALL_NSTACK);
AT(arch_call, nresults_stack, CALL_NRESULTS);
_Static_assert(TRAP_STACK == TRAP_STACK_NUMBER, "the byte behind the stubs' ud2");
_Static_assert(VM_INTERRUPT_SWITCH == INTERRUPT_SWITCH, "interrupt");
_Static_assert(VM_HOST_STACK == HOST_STACK, "stack of host functions");
_Static_assert(VM_READY == READY && VM_READY_CELLS == READY_CELLS, "of that, what is there");
_Static_assert(ARCH_PAGE == PAGE, "pages");
_Static_assert(VM_FUNC_HOST == UINT32_MAX, "the stubs compare with -1");
_Static_assert(sizeof(struct arch_landing) == 88, "what arch_throw makes room for");
