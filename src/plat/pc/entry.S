// SPDX-License-Identifier: MIT
// From the boot loader into C.
//
// PVH (QEMU, Firecracker, cloud-hypervisor) and multiboot2 (GRUB) both enter at `pc_entry` in 32-bit
// protected mode with paging off and EBX pointing to what the loader has to say. The kernel runs
// where it is loaded, so the first page tables are the last: they map each page of the kernel with
// what its segment may do, and nothing is ever writable and executable. Everything else is mapped
// later, by C.
//
// The same path serves the other CPUs (smp.c): a copy of ap_start lies below 1 MiB.
#include "plat/pc/layout.h"

#define CR0_PE 1
#define CR0_SET 0x80010033 // PG WP NE ET MP PE
#define CR4_SET 0x620      // OSXMMEXCPT OSFXSR PAE
#define EFER 0xc0000080
#define EFER_SET 0x900 // LME NXE

    .section .note.Xen, "a", @note
    .p2align 2
    .long 4, 8, 18 // name, descriptor, XEN_ELFNOTE_PHYS32_ENTRY
    .asciz "Xen"
    .quad pc_entry

    .section .multiboot2, "a", @progbits
    .p2align 3
header:
    .long 0xe85250d6, 0, header_end - header
    .long -(0xe85250d6 + (header_end - header))
    .short 0, 0 // end of tags
    .long 8
header_end:

    .text
    .code32
    .globl pc_entry
    .hidden pc_entry
    .type pc_entry, @function
pc_entry:
    cli
    cld
    rdtsc
    mov %eax, boot_stamp
    mov %edx, boot_stamp + 4
    mov $boot_stack_top, %esp

    // One page table entry for each page of the kernel: esi = flags below bit 32, edi = NX.
    mov $text_start, %eax
    mov $text_end, %ecx
    mov $1, %esi
    xor %edi, %edi
    call map
    mov $text_end, %eax
    mov $rodata_end, %ecx
    mov $0x80000000, %edi
    call map
    mov $rodata_end, %eax
    mov $kernel_end, %ecx
    mov $3, %esi
    call map

    movl $page_tables + 3, page_directory
    mov $kernel_end, %eax
    cmp $0x200000, %eax
    jbe 1f
    movl $page_tables + 4096 + 3, page_directory + 8
1:
    movl $page_directory + 3, page_pointers
    movl $page_pointers + 3, page_root
    call enter_long_mode
    ljmp $SELECTOR_CODE, $start64

// Maps [eax, ecx).
map:
    mov %eax, %edx
    shr $12, %edx
1:  cmp %ecx, %eax
    jae 2f
    lea (%eax, %esi), %ebp
    mov %ebp, page_tables(, %edx, 8)
    mov %edi, page_tables + 4(, %edx, 8)
    add $4096, %eax
    inc %edx
    jmp 1b
2:  ret

// Paging on, with a 64-bit code segment ready to be jumped to. Destroys eax, ecx, edx.
enter_long_mode:
    mov $CR4_SET, %eax
    mov %eax, %cr4
    mov $page_root, %eax
    mov %eax, %cr3
    mov $EFER, %ecx
    mov $EFER_SET, %eax
    xor %edx, %edx
    wrmsr
    mov $CR0_SET, %eax
    mov %eax, %cr0
    lgdt gdt_pointer
    ret

    .code64
start64:
    mov $SELECTOR_DATA, %eax
    mov %eax, %ds
    mov %eax, %es
    mov %eax, %ss
    mov %ebx, %edi
    xor %ebp, %ebp
    call pc_start
    ud2

// --- Other CPUs begin here, in a copy at AP_TRAMPOLINE, in real mode with CS:IP = 0x800:0.
    .section .rodata.trampoline, "a", @progbits
    .globl trampoline, trampoline_end
    .hidden trampoline, trampoline_end
    .code16
trampoline:
    cli
    xor %ax, %ax
    mov %ax, %ds
    lgdtl AP_TRAMPOLINE + (gdt_pointer_16 - trampoline)
    mov %cr0, %eax
    or $CR0_PE, %eax
    mov %eax, %cr0
    ljmpl $SELECTOR_CODE32, $ap_start
    .p2align 3
gdt_pointer_16:
    .short gdt_end - gdt - 1
    .long gdt
trampoline_end:

    .text
    .code32
ap_start:
    mov $SELECTOR_DATA, %eax
    mov %eax, %ds
    mov %eax, %ss
1:  lock btsl $0, ap_lock // one at a time
    jnc 2f
    pause
    jmp 1b
2:  mov $ap_lock, %esp // room for a return address below it
    call enter_long_mode
    ljmp $SELECTOR_CODE, $3f
    .code64
3:  mov $SELECTOR_DATA, %eax
    mov %eax, %ds
    mov %eax, %es
    mov %eax, %ss
    xor %ebp, %ebp
    mov ap_stack, %rsp
    mov ap_cpu, %rdi
    call smp_entered
    ud2

    .data
    .p2align 4 // as C has it for arrays of 16 bytes and more
    .globl gdt
    .hidden gdt
gdt:
    .quad 0
    .quad 0x00af9b000000ffff // 64-bit code
    .quad 0x00cf93000000ffff // data
    .quad 0, 0               // TSS of CPU 0; cpu.c fills it in
    .quad 0x00cf9b000000ffff // 32-bit code, for other CPUs on their way
gdt_end:
gdt_pointer:
    .short gdt_end - gdt - 1
    .quad gdt

    .bss
    .globl boot_stamp, boot_stack_top, page_root, ap_stack, ap_cpu, ap_lock
    .hidden boot_stamp, boot_stack_top, page_root, ap_stack, ap_cpu, ap_lock
    .p2align 3
boot_stamp: .skip 8
ap_stack: .skip 8
ap_cpu: .skip 8
    .skip 8
ap_lock: .skip 4

    .section .bss.4096, "aw", @nobits
page_root: .skip 4096
page_pointers: .skip 4096
page_directory: .skip 4096
    .globl page_tables
    .hidden page_tables
page_tables: .skip 8192 // the first 4 MiB
    .globl boot_stack_guard
    .hidden boot_stack_guard
boot_stack_guard: .skip 4096
    .skip STACK_SIZE
boot_stack_top:

    .section .note.GNU-stack, "", @progbits
