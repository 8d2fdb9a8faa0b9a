// SPDX-License-Identifier: MIT
// Faults on Linux: signals become struct plat_fault, whose pointers lead straight into the saved
// machine state, so that what the hook changes is what sigreturn restores.
//
// Handlers run on a signal stack per pthread, never on the faulting stack, which may have hit its
// guard page. A fault that the hook does not want is a bug of ours: a message, then the disposition
// from before us (a sanitizer's, or the default with its core dump) sees the same fault again.
#define _GNU_SOURCE
#include "arch/arch.h"
#include "base/assert.h"
#include "base/fmt.h"
#include "plat/linux/linux.h"
#include <pthread.h>
#include <signal.h>
#include <sys/auxv.h>
#include <sys/mman.h>
#include <sys/uio.h>
#include <ucontext.h>
#include <unistd.h>

enum { SIGNAL_STACK = 256 << 10 };

static const struct {
    int signal, kind;
} signals[] = {
    {SIGSEGV, FAULT_MEMORY},
    {SIGBUS, FAULT_MEMORY},
    {SIGFPE, FAULT_DIVIDE},
    {SIGILL, FAULT_ILLEGAL},
};

static plat_fault_hook *fault_hook;
static struct sigaction previous[countof(signals)];
static pthread_key_t stack_key; // frees the signal stack when its pthread ends

int linux_kick_signal(void)
{
    return SIGRTMIN;
}

static struct plat_fault fault_of(ucontext_t *u, int kind, u64 address)
{
    greg_t *g = u->uc_mcontext.gregs;
    return (struct plat_fault){
        .kind = (__typeof__(((struct plat_fault *)0)->kind))kind,
        .address = address,
        .pc = (u64 *)&g[REG_RIP],
        .sp = (u64 *)&g[REG_RSP],
        .argument = (u64 *)&g[REG_RDI],
        .instance = (u64 *)&g[REG_R14],
        .element = (u64 *)&g[REG_RAX],
    };
}

// --- The end: what may be called in a signal handler, and no more

extern const u8 __executable_start[], etext[];

static void print_registers(const greg_t *g)
{
    static const struct {
        const char *name;
        int at;
    } all[] = {
        {"rip", REG_RIP}, {"rsp", REG_RSP}, {"rax", REG_RAX}, {"rbx", REG_RBX}, {"rcx", REG_RCX},
        {"rdx", REG_RDX}, {"rsi", REG_RSI}, {"rdi", REG_RDI}, {"rbp", REG_RBP}, {"r8 ", REG_R8},
        {"r9 ", REG_R9},  {"r10", REG_R10}, {"r11", REG_R11}, {"r12", REG_R12}, {"r13", REG_R13},
        {"r14", REG_R14}, {"r15", REG_R15}, {"flg", REG_EFL}, {"err", REG_ERR},
    };
    char line[64];
    for (size_t i = 0; i < countof(all); i++)
        plat_console_write(line, fmt(line, sizeof line, "  %s %016lx%s", all[i].name,
                                     (unsigned long)g[all[i].at], i % 4 == 3 ? "\n" : ""));
    plat_console_write("\n", 1);
}

// There are no frame pointers: whatever on the stack points into the text may be a return address.
// The kernel reads it for us, since nothing says that it is there.
void linux_backtrace(u64 sp)
{
    enum { WORDS = 128, FOUND = 24, LOOKS = 16 };
    u64 words[WORDS], base = (u64)__executable_start, found = 0;
    char line[64];
    for (u32 look = 0; look < LOOKS; look++, sp += sizeof words) {
        struct iovec to = {words, sizeof words}, from = {(void *)sp, sizeof words};
        ssize_t n = process_vm_readv(getpid(), &to, 1, &from, 1, 0);
        for (ssize_t i = 0; i < n / 8 && found < FOUND; i++)
            if (words[i] > base && words[i] < (u64)etext && ++found)
                plat_console_write(line, fmt(line, sizeof line, "  from nebulet+%lx\n",
                                             (unsigned long)(words[i] - base)));
        if (n < (ssize_t)sizeof words)
            break;
    }
}

static void on_fault(int signal, siginfo_t *info, void *context)
{
    size_t i = 0;
    while (signals[i].signal != signal)
        i++;
    // Sent by kill() or raise(): not a fault, so no hook can mend it.
    bool real = info->si_code > 0;
    struct plat_fault f = fault_of(context, signals[i].kind, (u64)info->si_addr);
    if (real && fault_hook && fault_hook(&f))
        return;
    static const char *const what[] = {"bad memory access", "division error",
                                       "illegal instruction"};
    char text[160];
    size_t n = fmt(text, sizeof text, "nebulet: fatal: %s at address 0x%lx, pc 0x%lx, sp 0x%lx\n",
                   what[signals[i].kind], (unsigned long)f.address, (unsigned long)*f.pc,
                   (unsigned long)*f.sp);
    plat_console_write(text, n);
    print_registers(((ucontext_t *)context)->uc_mcontext.gregs);
    linux_backtrace(*f.sp);
    sigaction(signal, &previous[i], NULL);
    if (!real)
        pthread_kill(pthread_self(), signal);
}

static void on_kick(int signal, siginfo_t *info, void *context)
{
    (void)signal, (void)info;
    linux_kicked = true;
    struct plat_fault f = fault_of(context, FAULT_TIMER, 0);
    if (fault_hook)
        fault_hook(&f);
}

static void free_signal_stack(void *p)
{
    stack_t off = {.ss_flags = SS_DISABLE};
    sigaltstack(&off, NULL);
    munmap(p, SIGNAL_STACK);
}

bool linux_thread_signals(void)
{
    assert(fault_hook);
    void *p = mmap(NULL, SIGNAL_STACK, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (p == MAP_FAILED)
        return false;
    stack_t s = {.ss_sp = p, .ss_size = SIGNAL_STACK};
    if (sigaltstack(&s, NULL)) {
        munmap(p, SIGNAL_STACK);
        return false;
    }
    pthread_setspecific(stack_key, p);
    linux_make_timer();
    return true;
}

void plat_on_fault(plat_fault_hook *hook)
{
    if (fault_hook) {
        fault_hook = hook;
        return;
    }
    fault_hook = hook;
    if (pthread_key_create(&stack_key, free_signal_stack) || !linux_thread_signals())
        linux_die("no memory for a signal stack");
    struct sigaction a = {.sa_flags = SA_SIGINFO | SA_ONSTACK};
    sigemptyset(&a.sa_mask);
    sigaddset(&a.sa_mask, linux_kick_signal());
    a.sa_sigaction = on_fault;
    for (size_t i = 0; i < countof(signals); i++)
        sigaction(signals[i].signal, &a, &previous[i]);
    a.sa_sigaction = on_kick;
    sigaction(linux_kick_signal(), &a, NULL);
}
