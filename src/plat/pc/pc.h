// SPDX-License-Identifier: MIT
// What the files of this platform share with each other, and with main/kernel.c.
//
// Files marked [G] in the Makefile's list (PC_PLAIN) run while compiled code has been interrupted
// anywhere, and its floating-point registers with it: they are compiled to general registers only.
#pragma once
#include "base/types.h"
#include "plat/plat.h"

#include "plat/pc/layout.h"

// For what is whole pages: kernel.ld puts them one behind the other, the first where a page begins.
// Had each an alignment, so would the segment have one, in the file too.
#define WHOLE_PAGES __attribute__((section(".bss.4096")))

enum { CPUS_MAX = 64 };

#define GIB (1ull << 30)
#define WINDOW_SMALL (1024 * GIB)  // reservations of up to 2 MiB
#define WINDOW_CODE (1088 * GIB)   // code as it is run, and, CODE_WINDOW_MAX above, as written
#define WINDOW_MIDDLE (1096 * GIB) // reservations of up to 32 MiB
#define WINDOW_HUGE (2120 * GIB)   // of up to 8 GiB: all the rest
#define CODE_WINDOW_MAX (2 * GIB)

// --- What the boot loader said (boot.c). Texts and bytes stay where the loader put them.
struct boot {
    const char *command_line; // never NULL
    const u8 *archive;        // NULL: none
    u64 archive_size;
    u64 rsdp;                  // 0: unknown
    u64 entry_tsc, paging_tsc; // time stamps
};
extern struct boot boot;
enum { RANGES_MAX = 32 };
struct range {
    u64 from, to;
};
// Reads it all, and maps RAM; then tells each piece of it that nobody uses.
void boot_read(u64 info);
u64 boot_each_free(void (*free)(u64 from, u64 to)); // returns the end of all RAM
bool boot_has_ram(u64 from, u64 to);                // somewhere in there

// --- Physical pages (pages.c). An address of RAM is its own pointer.
void pages_init(u64 top);         // top: the end of RAM
void pages_add(u64 from, u64 to); // early, in any order
u64 page_alloc(u32 order);        // 2^order pages, contents undefined; 0: none left
void page_free(u64 page, u32 order);
void page_free_run(u64 page, u64 count); // any part of what was allocated
bool pages_promise(u64 count); // sets pages aside for page_claim; false: there are not enough
void pages_unpromise(u64 count);
// For tests: of the requests for pages or blocks of the heap that come from now on, the nth is
// refused, and with `all`, those after it, too. 0: none.
void memory_refuse(u64 n, bool all);
bool memory_refused(void);   // this one
u64 page_claim(void);        // one that was promised
void page_unclaim(u64 page); // it is free and promised again
void page_clear(u64 page);
extern bool page_clear_wide; // there are registers of 32 bytes (AVX)
u64 pages_free_count(void);
u8 *page_note(u64 page); // a byte for whoever has allocated the page

// --- Page tables (tables.c)
struct mapped {
    u64 address, page;
};
void direct_map(u64 address, u64 size);        // RAM, read and write
void direct_map_device(u64 address, u64 size); // uncached, within one GiB
// Of this map no page that is closed can be written to. (Other CPUs may not know yet.) To close one
// takes pages for tables, which are promised: direct_pages are enough for all.
void direct_close(u64 page);
void direct_open(const struct mapped *m, u32 n);
extern u64 direct_pages;
// Some tables stay for ever, once they are made; false: no memory. The others are claimed, so
// whoever maps has promised them (tables_needed). False: something is mapped there already.
bool table_prepare(u64 address);
u64 tables_needed(u64 from, u64 to); // to map all of it, at most
bool table_map(u64 address, u64 page, u64 flags);
u64 table_entry(u64 address);               // 0: not mapped
void table_protect(u64 address, u64 flags); // a page that is mapped
// For all CPUs, if that page is still there; likewise.
bool table_replace(u64 address, u64 page, u64 entry);
// Pages of somebody else's, where nothing is mapped: all of them, as table_map would one.
void table_share(u64 address, const u64 *pages, u64 count, u64 flags);
// Calls `each` for those pages that have been written to and are not shared; stops when `most` such
// are there, and returns how far it came.
u64 table_each_written(u64 address, u64 end, u32 most,
                       void (*each)(const void *context, u64 address, u64 page),
                       const void *context);
// How many pages are there, `most` at most, which they are, and how far it came.
u32 table_mapped(u64 address, u64 end, struct mapped *out, u32 most, u64 *to);
// Unmaps a range, and when no CPU knows of it any more, calls `drop` for each page that was there
// and gives empty tables back. Without `drop`, that is left to the next call.
void table_unmap(u64 address, u64 size, void (*drop)(u64 page));

// --- Reservations (vm.c) and the code window (code.c)
enum { ERROR_PRESENT = 1, ERROR_WRITE = 2 }; // of a page fault
// A page that is not there, touched by what was interrupted at saved[1] with the stack pointer
// saved[4]; saved[0] is the error. True: the page is there now.
bool vm_fault(u64 address, const u64 *saved);
bool vm_write_fault(u64 address); // one that is there, and not writable; true: it is now
bool code_fault(u64 address);
extern u64 vm_kept_pages; // that nobody has: records of slots, tables of all, the heap's last ones
static inline void vm_keep(s64 pages)
{
    __atomic_fetch_add(&vm_kept_pages, (u64)pages, __ATOMIC_RELAXED);
}
u64 vm_keep_page(void);                   // one of those, all zero; 0: no memory
void vm_drop(void *p, size_t size);       // makes committed pages, above any stack, new again
void *vm_alloc(size_t size);              // a reservation with its front committed, for the heap
bool vm_fits(const void *p, size_t size); // it may have that much
bool vm_resize(void *p, size_t size);     // false: no memory
size_t vm_size(const void *p);            // bytes committed from the front on

u64 heap_used(void); // bytes

// --- Images (image.c)
size_t image_size(const struct plat_image *i);
// False: there is nothing of the image. The second: it is not about an image.
bool image_fault(const struct plat_image *i, u64 offset, u64 address, bool write);
bool image_write(u64 address);
bool image_renew(const struct plat_image *i, u64 offset, u64 page); // a copy

// --- CPUs (cpu.c, smp.c)
struct tss {
    u32 reserved0;
    u64 rsp[3];
    u64 reserved1;
    u64 ist[7];
    u64 reserved2;
    u16 reserved3, io_map;
} __attribute__((packed));
_Static_assert(sizeof(struct tss) == 104, "SDM 3A 8.7");

struct cpu {
    struct cpu *self;
    u64 nested_stack; // of faults while the hook works on another one
    bool in_hook;     // it does
    u32 reserved;
    struct tss tss;
    u32 id, apic_id;
    bool online;                 // it has come up
    bool runs;                   // core code, or will at once
    volatile bool kicked;        // and not yet looked up
    bool idle;                   // it halts; see tlb.c
    u64 flush_asked, flush_done; // how often to forget the page tables
    void (*volatile entry)(void *);
    void *argument;
    u64 clock;    // plat_now() less what it has run for; or, while it sleeps, the latter and
                  // CPU_ASLEEP
    u64 timer_at; // what plat_timer has asked for
    u64 gdt[6] __attribute__((aligned(16)));
};
_Static_assert(offsetof(struct cpu, self) == CPU_SELF, "assembler");
_Static_assert(offsetof(struct cpu, nested_stack) == CPU_NESTED_STACK, "assembler");
_Static_assert(offsetof(struct cpu, in_hook) == CPU_IN_HOOK, "assembler");
_Static_assert(offsetof(struct cpu, tss) + offsetof(struct tss, ist) == CPU_FAULT_STACK,
               "assembler");

// Volatile, for a function that has switched threads may be on another CPU than before.
static inline struct cpu *this_cpu(void)
{
    struct cpu *c; // volatile: a coroutine may go on on another CPU
    __asm__ volatile("mov %%fs:0, %0" : "=r"(c));
    return c;
}

extern struct cpu cpu0;
enum { IST_FAULT = 1, IST_INTERRUPT, IST_DOUBLE, IST_MACHINE };
void cpu_setup(struct cpu *c, u8 *stacks); // on the CPU itself
enum { CPU_STACKS = 2 * HOOK_STACK_SIZE + 4 * IST_STACK_SIZE };
#define CPU_ASLEEP (1ull << 63)
void smp_init(void);
struct cpu *smp_cpu(u32 id);
void smp_halt(struct cpu *c); // until an interrupt or a kick; interrupts are off before and after
void smp_end(void);           // for whoever ends the machine: others stop, or this one does

// --- Page tables and several CPUs (tlb.c)
extern u32 tlb_cpus;                // that run core code, and may know page tables
void tlb_flush_others(bool tables); // all they know of pages, and of tables, too
void tlb_answer(void);              // does what another CPU has asked for; interrupts are off
void tlb_wake(struct cpu *c);       // a CPU that was idle; likewise

// --- Interrupts (vectors.S, fault.c, apic.c)
enum vector {
    VECTOR_DIVIDE = 0,
    VECTOR_NMI = 2,
    VECTOR_ILLEGAL = 6,
    VECTOR_DOUBLE = 8,
    VECTOR_GENERAL = 13,
    VECTOR_PAGE = 14,
    VECTOR_MACHINE = 18,
    VECTOR_TIMER = 32,
    VECTOR_SERIAL,
    VECTOR_KICK,
    VECTOR_FLUSH,
    VECTOR_DEVICE, // PLAT_INTERRUPTS of them
    VECTOR_IOMMU = 61,
    VECTOR_BULK,     // one that is an edge's, too, would lose its level
    VECTOR_SPURIOUS, // its low four bits must be set on old CPUs
    VECTOR_PIN,
    VECTORS,
};

// What the stubs in vectors.S leave.
struct frame {
    u64 r15, r14, r13, r12, rbp, rbx, r11, r10, r9, r8, rdi, rsi, rdx, rcx, rax;
    u64 vector, error;
    u64 rip, cs, rflags, rsp, ss;
};
extern const u8 vectors[]; // VECTOR_SIZE bytes of code each
enum { VECTOR_SIZE = 16 };

void cpu_gate(u32 vector); // lets it come; those of devices are shut until there is one

void apic_init(void);
void apic_init_cpu(void);
void apic_end(void); // of interrupt
void apic_send(u32 apic_id, u32 command);
u32 apic_id(void);
void apic_route(u32 input, u32 how); // an interrupt line of the machine, to CPU 0
enum { ROUTE_LEVEL = 1 << 15, ROUTE_MASKED = 1 << 16 }; // + vector
void apic_mask(u32 input, u32 how);                     // the same, where it goes stays

// --- Devices (device.c), and shared memory that is theirs (shared.c); NULL: no memory
struct plat_shared *shared_registers(u64 address, u64 size);
struct plat_shared *shared_run(u64 size); // in one piece, of 2 MiB at most
u64 shared_address(const struct plat_shared *m);
u32 apic_inputs(void);              // lines of the machine
bool apic_is_wide(void);            // its numbers may be of 32 bits
#define MESSAGE_ADDRESS 0xfee00000u // + the CPU's number << 12: who writes there interrupts it
enum { SERIAL_INPUT = 4 };
void device_interrupt(u32 line);
void device_pins(void);

void time_init(void);
void time_settle(void);  // waits until every CPU can tell the time
void time_ran_out(void); // the timer's interrupt is here
void time_tick(u64 ns);  // for tests: interrupts that often, for nothing; 0: none
extern u64 time_ticks;   // what that has set
void time_stress_now(void);
static inline void time_stress(void)
{
    if (unlikely(time_ticks))
        time_stress_now();
}
void time_wake_one(void); // from an interrupt that brought work: a CPU that waits, if this does not
u64 rtc_read(void);       // ns since 1970

// --- Console (serial.c, bulk.c, console.c)
void serial_init(void);
void serial_interrupt(void);
enum { SERIAL_OUT = 16 << 10 };      // bytes of output that can wait for the port
u32 serial_waiting(void);            // how many do
void serial_put(const u8 *p, u32 n); // there is room for them
void serial_push(void);              // as much as the port takes now
void serial_drain(u32 most);         // until no more wait; spins
void serial_seize(void);             // this CPU is the only one left
// From here on what is put goes the quick way, and so does what comes, once the other side has said
// so (serial_input_moves). False: there is none, and nothing has changed.
bool serial_prepare(void); // before, with no lock held
void serial_move(void);
void serial_input_moves(void); // the caller holds the lock of what it reads into
// Up to n bytes that have arrived; 0: none now.
size_t serial_read(void *p, size_t n);
bool serial_has_input(void);
void console_seize(void);   // output is this CPU's from now on
bool console_pending(void); // there is input, and somebody waits for it
bool console_deliver(void); // calls those; false: there was nothing to do

// The quick way (bulk.c)
enum { BULK_IN = 64 << 10 }; // bytes of input that can wait
// Room for those; NULL: there is none, or no memory. What is sent lies in these whole pages.
u8 *bulk_open(const u8 *out, u32 bytes);
void bulk_send(const u8 *a, u32 n, const u8 *b, u32 m); // two pieces, which stay until
bool bulk_sent(void);                                   // they are sent: says so once
const u8 *bulk_received(u32 *n);                        // the next piece of input; NULL: none
void bulk_receive(const u8 *part);                      // it has been seen to
void bulk_acknowledge(void);                            // the interrupt

// Prints "nebulet: fatal: ..." with registers, if there are any, and a backtrace; ends the machine.
__attribute__((noreturn, format(printf, 2, 3))) void pc_panic(const struct frame *f,
                                                              const char *format, ...);
// Ends the machine with a number that the outside may be able to see.
__attribute__((noreturn)) void pc_exit(u32 code);

__attribute__((noreturn)) void kernel_main(void); // main/kernel.c
