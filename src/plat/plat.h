// SPDX-License-Identifier: MIT
// The machine contract: everything the core asks of the thing it runs on. A platform is a folder
// beside this file (linux, pc, stub) that implements these functions; nothing else in the core
// knows which one it is.
//
// Sizes are bytes, addresses and sizes of page calls multiples of PLAT_PAGE, times nanoseconds.
// heap.h belongs to the contract too. Functions that can fail return a status or NULL; none of them
// raises a trap.
#pragma once
#include "base/status.h"

#define PLAT_PAGE 4096ull

// --- Address space. A reservation is unmapped and costs nothing; committed pages read as zero at
// first touch. What is committed of one is in one piece.
void *plat_reserve(size_t size); // NULL: no room
// From now on committed pages may be mapped by PLAT_LARGE_PAGE at once, where all of such a page is
// committed before any of it is touched. Advice: it takes memory for all of it then.
#define PLAT_LARGE_PAGE (2ull << 20)
void plat_prefer_large(void *p, size_t size);
// What is committed right below a stack is stack, too: the fault hook may do that.
status plat_commit(void *p, size_t size);
// The same for a stack, of which most will never be touched: memory is set aside for `ready_size`
// bytes from `ready` on, and for no others. A touch of those by compiled code or its stubs
// (arch/arch.h) for which there is none is a FAULT_MEMORY there; C code touches only what they have
// touched before. In its reservation it lies below anything else that is committed.
status plat_commit_stack(void *p, size_t size, const void *ready, size_t ready_size);
// C code may read the page, of a stack: it has been touched, or needs no memory.
bool plat_touched(const void *p);
// Bytes of page tables that the part [from, to) of a reservation takes when it is committed, at
// most, wherever it lies: who pays for what is committed pays for these, too.
static inline u64 plat_tables(u64 from, u64 to)
{
    u64 lowest = ((to - 1) >> 21) - (from >> 21) + 1, above = ((to - 1) >> 30) - (from >> 30) + 1;
    return from < to ? (lowest + above) * PLAT_PAGE : 0;
}
// Takes the pages back: unmapped or inaccessible, and zero when committed again.
void plat_decommit(void *p, size_t size);
void plat_release(void *p, size_t size); // the whole of a reservation
// The same for n of that size, in any order, which it changes; those that lie side by side may go
// at once.
void plat_release_all(void **at, u32 n, size_t size);
// Committed pages become again what they were before they were touched, and stay accessible: zero,
// or what is in an image that is mapped there.
void plat_zero(void *p, size_t size);

// --- Images: immutable runs of pages that many reservations can begin with. Each sees its own
// writes only, and takes memory for the pages that it has written to.
struct plat_image;
// The bytes are copied, and zeros fill the last page up; NULL: no memory, or the process is to
// end, for it looks up meanwhile, as freeing does (base/lookup.h).
struct plat_image *plat_image_create(const void *bytes, size_t size);
void plat_image_free(struct plat_image *i); // mapped nowhere; NULL is fine
// p: where what is committed of a reservation begins, or its stack ends; it has at least the
// image's pages. What was in those is gone; they are to be decommitted all together.
status plat_image_map(struct plat_image *i, void *p);
void plat_image_unmap(struct plat_image *i, void *p); // its pages are zero again

// --- Shared memory: pages that several reservations have at once, which all see each other's
// writes. They are there from the beginning, zero.
struct plat_shared;
// NULL: no memory, or the process is to end, for it looks up meanwhile.
struct plat_shared *plat_shared_create(size_t size);
// Gives back a part of what is mapped nowhere, in bounded time: true when nothing is left.
bool plat_shared_free(struct plat_shared *m);
// `size` bytes of it, from `offset` on, in the place of committed pages at p, which are gone. A
// failure leaves zeros there, and anything else than this and its undoing needs them unmapped.
status plat_shared_map(struct plat_shared *m, size_t offset, void *p, size_t size);
void plat_shared_unmap(void *p, size_t size); // committed pages are there again, as new

// From how many bytes on it is worth while
extern const struct plat_costs {
    size_t zero;  // to leave zeroing to plat_zero
    size_t image; // to map an image, instead of writing what is in it
} plat_costs;

// --- Code memory. One window of address space, so that calls within it are direct, mapped twice:
// `run` executable and read-only, and right behind that `write`, writable and never executable:
// there code may have data of its own. What is published cannot be written to, by whatever address.
struct plat_code {
    u8 *write;
    const u8 *run;
    size_t size;
};
status plat_code_window(size_t size, struct plat_code *out); // once
// Makes bytes [offset, offset + size) of the window usable for writing, gives them back.
status plat_code_commit(const struct plat_code *w, size_t offset, size_t size);
void plat_code_decommit(const struct plat_code *w, size_t offset, size_t size);
// Called when code is complete, before the first run. Whole pages.
void plat_code_publish(const struct plat_code *w, size_t offset, size_t size);
// Makes pages that are published writable once more, until they are published again; they may be
// run meanwhile.
status plat_code_open(const struct plat_code *w, size_t offset, size_t size);

// --- CPUs
u32 plat_cpu_count(void);
u32 plat_cpu_id(void);
status plat_cpu_start(u32 cpu, void (*entry)(void *), void *argument); // after plat_on_fault
void plat_cpu_kick(u32 cpu); // makes it look up from wasm code or from waiting

// --- Time
u64 plat_now(void);        // monotonic
u64 plat_wall_clock(void); // since 1970
u64 plat_cpu_time(void);   // of this process or machine
void plat_timer(u64 at);   // calls the timer hook on this CPU at that time; UINT64_MAX: disarm

// --- Waiting. Other back ends' files than the platform's are always ready, so it is the platform
// that calls what watches a file (vfs_watch_add in fs/vfs.h).
void plat_wait(u64 until); // halts until a timer, a kick or I/O, and delivers; may wake for nothing
void plat_poll(void);      // delivers I/O that has become ready; never waits

// --- Devices that drivers may be written for. Nothing is looked for before the first of these
// calls. A device is told by its number; whoever calls has seen that it and its range are there,
// and that nobody else has it at hand.
enum plat_bus { BUS_VIRTIO_MMIO = 1, BUS_PCI, BUS_PC };
enum plat_pc { PC_PS2 = 1, PC_VGA, PC_RTC, PC_SERIAL };
enum plat_range_kind { RANGE_NONE, RANGE_MEMORY, RANGE_PORTS, RANGE_CONFIG };
enum { PLAT_RANGES = 7, PLAT_INTERRUPTS = 25, PLAT_DEVICES = 32 };
struct plat_device {
    u32 bus, vendor, id; // of virtio: 0x1af4, and its type; of the PC: its own numbers
    u32 interrupts;      // how many
    bool dma;
    struct plat_range {
        u64 base; // where it is; of no use to others
        u32 size; // bytes
        u32 kind;
    } ranges[PLAT_RANGES];
};
struct plat_devices {
    const struct plat_device *(*get)(u32 number); // NULL: no more
    // Ends its use: memory that it was given it does not touch any more. False: not yet, so ask
    // again.
    bool (*stop)(u32 number);
    // At most four bytes, aligned, within the range. ACCESS_DENIED: not this place.
    status (*read)(u32 number, u32 range, u32 offset, u32 bytes, u32 *value);
    status (*write)(u32 number, u32 range, u32 offset, u32 bytes, u32 value);
    // The pages that a range of registers lies in, to be mapped. ACCESS_DENIED: they have others',
    // too.
    status (*registers)(u32 number, u32 range, struct plat_shared **out);
    // Memory in one piece, at an address that the device knows, which from now on may reach it.
    struct plat_shared *(*memory)(u32 number, size_t size, u64 *address);
    // Bytes that such a piece takes at most beside its own, until the device is stopped.
    u64 (*beside)(void);
    // Says on the console why it was cut off.
    void (*tell)(u32 number);
    // Lets its nth interrupt come: the line that it comes by, below PLAT_INTERRUPTS. BAD_STATE: it
    // does already. NO_RESOURCES.
    s64 (*connect)(u32 number, u32 n);
    void (*disconnect)(u32 line);
    void (*ready)(u32 line); // for the next one
};
extern const struct plat_devices *const plat_devices; // NULL: this machine has none
// Lines by which an interrupt has come, a bit each, until who looks takes them; from PLAT_CUT_OFF
// on devices, which went where they may not, and reach no memory any more. A CPU that is
// interrupted looks up, as by a kick.
enum { PLAT_CUT_OFF = 32 };
extern u64 plat_interrupts;

// --- Faults. A hook sees the machine state where a fault or timer tick hit and may change it to
// resume elsewhere; after a fault, nothing but pc, sp and argument is sure to be there then.
struct plat_fault {
    enum { FAULT_MEMORY, FAULT_DIVIDE, FAULT_ILLEGAL, FAULT_TIMER } kind;
    u64 address; // FAULT_MEMORY
    u64 *pc, *sp;
    u64 *argument; // first argument register of the function that pc is set to
    u64 *instance; // the pinned register of compiled code (R14)
    u64 *element;  // the register with the element that it calls through (RAX)
};
// Returns false if the fault is not the guest's: the platform then dies with a message. Runs on a
// stack of its own, never on the faulting one; may not allocate.
typedef bool plat_fault_hook(struct plat_fault *f);
void plat_on_fault(plat_fault_hook *hook);

// --- What the host's debugging tools (sanitizers) must know of stacks; nothing elsewhere.
enum { PLAT_TRACKS_STACKS = __has_feature(address_sanitizer) }; // false: spare yourself the calls
struct plat_stack {
    const void *low;
    size_t size;
    void *tool;
};
// Before the running stack `own` is left for the stack `to`; after a switch, on the stack `own`:
// `from`, if it is not NULL, gets the bounds of the stack that was left.
void plat_stack_leave(struct plat_stack *own, const struct plat_stack *to);
void plat_stack_enter(struct plat_stack *own, struct plat_stack *from);
// The frames in this part of a stack are gone without having returned.
void plat_stack_dropped(void *low, size_t size);

// --- The rest of the world
u64 plat_memory_peak(
    void); // bytes that were in use at most, of this process or machine; 0: unknown
void plat_console_write(const char *p, size_t n); // diagnostics
status plat_entropy(void *p, size_t n);           // ERR_UNAVAILABLE without a source
// For base/hash.h: one that nobody can guess, where there is a source.
static inline u64 plat_hash_key(void)
{
    u64 key;
    return plat_entropy(&key, sizeof key) ? plat_now() * 0x9e3779b97f4a7c15ull : key;
}
__attribute__((noreturn)) void plat_exit(int code);
