// SPDX-License-Identifier: MIT
// CPUs and time on Linux. A CPU is a pthread; the thread that starts the program is CPU 0, and so
// is any other thread that the platform did not start.
//
// One real-time signal both kicks a CPU and tells that its timer has run out: either way its
// handler calls the fault hook with FAULT_TIMER, and whoever waits looks up. The signal is sent to
// the one pthread (SIGEV_THREAD_ID), so the handler runs where the wasm code runs. It is installed
// without SA_RESTART: blocking system calls of host functions end with EINTR.
#define _GNU_SOURCE
#include "base/assert.h"
#include "base/lock.h"
#include "plat/linux/linux.h"
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <stdlib.h>
#include <time.h>
#include <sys/syscall.h>
#include <unistd.h>

#ifndef sigev_notify_thread_id
#define sigev_notify_thread_id _sigev_un._tid
#endif

struct cpu {
    pthread_t thread;
    bool started;
    void (*entry)(void *);
    void *argument;
};

static struct cpu cpus[CPUS_MAX];
static _Thread_local u32 this_cpu;
static _Thread_local timer_t timer;
static _Thread_local bool has_timer;
static u64 kick_every; // ns; 0: never
_Thread_local volatile bool linux_kicked;

u32 plat_cpu_count(void)
{
    cpu_set_t set;
    int n = sched_getaffinity(0, sizeof set, &set) ? 1 : CPU_COUNT(&set);
    return n < CPUS_MAX ? (u32)n : CPUS_MAX;
}

u32 plat_cpu_id(void)
{
    return this_cpu;
}

__attribute__((constructor)) static void name_first_cpu(void)
{
    cpus[0] = (struct cpu){.thread = pthread_self(), .started = true};
}

static void *run_cpu(void *argument)
{
    struct cpu *c = argument;
    this_cpu = (u32)(c - cpus);
    if (!linux_thread_signals())
        linux_die("no memory for the signal stack of CPU %u", this_cpu);
    c->entry(c->argument);
    plat_timer(UINT64_MAX);
    return NULL;
}

status plat_cpu_start(u32 cpu, void (*entry)(void *), void *argument)
{
    if (cpu >= CPUS_MAX || cpus[cpu].started)
        return ERR_INVALID_ARG;
    cpus[cpu] = (struct cpu){.started = true, .entry = entry, .argument = argument};
    if (pthread_create(&cpus[cpu].thread, NULL, run_cpu, &cpus[cpu])) {
        cpus[cpu].started = false;
        return ERR_NO_RESOURCES;
    }
    return OK;
}

void plat_cpu_kick(u32 cpu)
{
    if (cpu < CPUS_MAX && cpus[cpu].started)
        pthread_kill(cpus[cpu].thread, linux_kick_signal());
}

void linux_kick_others(void)
{
    for (u32 i = 0; i < CPUS_MAX; i++)
        if (i != this_cpu)
            plat_cpu_kick(i);
}

void assert_failed(const char *where)
{
    linux_backtrace((u64)__builtin_frame_address(0));
    linux_die("fatal: %s", where);
}

void spinlock_wait(const spinlock *l)
{
    enum { SPINS = 200 };
    for (u32 i = 0; __atomic_load_n(&l->held, __ATOMIC_RELAXED); i++) {
        if (i < SPINS)
            __builtin_ia32_pause();
        else
            sched_yield();
    }
}

// --- Time

static u64 read_clock(clockid_t id)
{
    struct timespec t;
    clock_gettime(id, &t);
    return (u64)t.tv_sec * 1000000000 + (u64)t.tv_nsec;
}

u64 plat_now(void)
{
    return read_clock(CLOCK_MONOTONIC);
}

u64 plat_wall_clock(void)
{
    return read_clock(CLOCK_REALTIME);
}

u64 plat_cpu_time(void)
{
    return read_clock(CLOCK_PROCESS_CPUTIME_ID);
}

static struct timespec timespec_of(u64 ns)
{
    return (struct timespec){(time_t)(ns / 1000000000), (long)(ns % 1000000000)};
}

// Early, so that plat_timer may be called from the signal's handler.
void linux_make_timer(void)
{
    struct sigevent e = {.sigev_notify = SIGEV_THREAD_ID, .sigev_signo = linux_kick_signal()};
    e.sigev_notify_thread_id = (pid_t)syscall(SYS_gettid);
    has_timer = !timer_create(CLOCK_MONOTONIC, &e, &timer);
    timer_t work;
    if (kick_every && !timer_create(CLOCK_THREAD_CPUTIME_ID, &e, &work)) {
        struct itimerspec t = {timespec_of(kick_every), timespec_of(kick_every)};
        timer_settime(work, 0, &t, NULL);
    }
}

void linux_kick_every(u64 ns)
{
    kick_every = ns;
}

void plat_timer(u64 at)
{
    if (!has_timer)
        return;
    struct itimerspec t = {0}; // all zero disarms
    if (at != UINT64_MAX)
        t.it_value = timespec_of(at ? at : 1);
    timer_settime(timer, TIMER_ABSTIME, &t, NULL);
}

// The signal is blocked but in the sleep itself, so a kick between the test and the sleep ends the
// sleep.
void plat_wait(u64 until)
{
    sigset_t kick, before;
    sigemptyset(&kick);
    sigaddset(&kick, linux_kick_signal());
    pthread_sigmask(SIG_BLOCK, &kick, &before);
    u64 now = plat_now();
    if (!linux_kicked && until > now) {
        struct timespec t = timespec_of(until - now);
        sigdelset(&before, linux_kick_signal());
        linux_sleep(until == UINT64_MAX ? NULL : &t, &before);
    } else {
        plat_poll();
    }
    linux_kicked = false;
    pthread_sigmask(SIG_UNBLOCK, &kick, NULL);
}
