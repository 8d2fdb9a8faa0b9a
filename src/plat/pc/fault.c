// SPDX-License-Identifier: MIT
// Faults and interrupts, as the stubs in vectors.S hand them on.
//
// A fault becomes struct plat_fault, whose pointers lead into the saved machine state, so that what
// the hook changes is what the stub restores. A fault that the hook does not want is a bug of ours.
#include "base/assert.h"
#include "base/fmt.h"
#include "plat/pc/iommu.h"
#include "plat/pc/pc.h"
#include "plat/pc/x86.h"

bool fault_page(u64 address, const u64 *saved);
void fault_trap(struct frame *f);
void fault_interrupt(struct frame *f);
__attribute__((noreturn)) void fault_nested(struct frame *f);

static plat_fault_hook *fault_hook;

void plat_on_fault(plat_fault_hook *hook)
{
    fault_hook = hook;
}

// A page that is not there, or not yet a copy: saved = error code, rip, cs, rflags, rsp. Quick, for
// it comes often.
bool fault_page(u64 address, const u64 *saved)
{
    return likely(!(saved[0] & ERROR_PRESENT)) ? vm_fault(address, saved)
                                               : saved[0] & ERROR_WRITE && vm_write_fault(address);
}

static struct plat_fault fault_of(struct frame *f, u32 kind)
{
    return (struct plat_fault){
        .kind = (__typeof__(((struct plat_fault *)0)->kind))kind,
        .address = read_cr2(), // of no meaning after other faults
        .pc = &f->rip,
        .sp = &f->rsp,
        .argument = &f->rdi,
        .instance = &f->r14,
        .element = &f->rax,
    };
}

static const char *text_of(u64 vector)
{
    switch (vector) {
    case VECTOR_DIVIDE: return "division error";
    case VECTOR_NMI: return "non-maskable interrupt";
    case VECTOR_ILLEGAL: return "illegal instruction";
    case VECTOR_DOUBLE: return "double fault";
    case VECTOR_GENERAL: return "general protection fault";
    case VECTOR_PAGE: return "page fault";
    case VECTOR_MACHINE: return "machine check";
    default: return "unexpected exception";
    }
}

static void die(struct frame *f)
{
    if (f->vector == VECTOR_PAGE)
        pc_panic(f, "page fault at 0x%lx", (unsigned long)read_cr2());
    pc_panic(f, "%s", text_of(f->vector));
}

void fault_trap(struct frame *f)
{
    static const u8 kinds[VECTOR_TIMER] = {
        [VECTOR_PAGE] = 1 + FAULT_MEMORY,
        [VECTOR_DIVIDE] = 1 + FAULT_DIVIDE,
        [VECTOR_ILLEGAL] = 1 + FAULT_ILLEGAL,
    };
    u32 kind = kinds[f->vector];
    struct plat_fault fault = fault_of(f, kind - 1);
    if (!kind || !fault_hook || !fault_hook(&fault))
        die(f);
}

void fault_nested(struct frame *f)
{
    die(f);
    __builtin_unreachable();
}

void fault_interrupt(struct frame *f)
{
    if (f->vector == VECTOR_SPURIOUS)
        return;
    struct cpu *c = this_cpu();
    bool device = f->vector - VECTOR_DEVICE < PLAT_INTERRUPTS;
    if (device)
        device_interrupt((u32)(f->vector - VECTOR_DEVICE));
    else if (f->vector == VECTOR_BULK)
        bulk_acknowledge(); // before the line is looked at again
    else if (f->vector == VECTOR_PIN)
        device_pins(), device = true;
    else if (f->vector == VECTOR_IOMMU)
        iommu_interrupt();
    apic_end();
    bool done = device && c->idle; // all that matters is that it wakes
    if (c->idle)
        tlb_wake(c);
    if (f->vector == VECTOR_FLUSH) {
        tlb_answer();
        return;
    }
    c->kicked = true;
    if (f->vector == VECTOR_TIMER)
        time_ran_out();
    else if (!device && (f->vector == VECTOR_SERIAL || f->vector == VECTOR_BULK))
        serial_interrupt(), done = true;
    if (!done && fault_hook) {
        struct plat_fault fault = fault_of(f, FAULT_TIMER);
        fault_hook(&fault);
    }
    time_stress();
}

// --- The end

extern const u8 text_start[], text_end[];

static void print_registers(const struct frame *f)
{
    const struct {
        const char *name;
        u64 value;
    } all[] = {
        {"rip", f->rip}, {"rsp", f->rsp}, {"rax", f->rax},    {"rbx", f->rbx},   {"rcx", f->rcx},
        {"rdx", f->rdx}, {"rsi", f->rsi}, {"rdi", f->rdi},    {"rbp", f->rbp},   {"r8 ", f->r8},
        {"r9 ", f->r9},  {"r10", f->r10}, {"r11", f->r11},    {"r12", f->r12},   {"r13", f->r13},
        {"r14", f->r14}, {"r15", f->r15}, {"flg", f->rflags}, {"err", f->error},
    };
    char line[64];
    for (u32 i = 0; i < countof(all); i++)
        plat_console_write(line, fmt(line, sizeof line, "  %s %016lx%s", all[i].name,
                                     (unsigned long)all[i].value, i % 4 == 3 ? "\n" : ""));
    plat_console_write("\n", 1);
}

static bool readable(u64 address)
{
    return address < 4ull << 20 ? address >= 0x1000 : table_entry(address) != 0;
}

// There are no frame pointers: whatever on the stack points into the text may be a return address.
static void print_backtrace(u64 sp)
{
    char line[64];
    u32 found = 0;
    for (u32 i = 0; i < 1024 && found < 24 && !(sp & 7) && readable(sp); i++, sp += 8) {
        u64 word = load_u64((const void *)sp);
        if (word <= (u64)text_start || word >= (u64)text_end)
            continue;
        plat_console_write(line, fmt(line, sizeof line, "  from %lx\n", (unsigned long)word));
        found++;
    }
}

void assert_failed(const char *where)
{
    pc_panic(NULL, "%s", where);
}

void pc_panic(const struct frame *f, const char *format, ...)
{
    static bool again;
    char text[256];
    smp_end();
    console_seize();
    va_list args;
    va_start(args, format);
    fmt_va(text, sizeof text, format, args);
    va_end(args);
    if (!again) {
        again = true;
        plat_console_write("nebulet: fatal: ", 16);
        plat_console_write(text, strlen(text));
        plat_console_write("\n", 1);
        if (f)
            print_registers(f);
        print_backtrace(f ? f->rsp : (u64)__builtin_frame_address(0));
    }
    pc_exit(70);
}
