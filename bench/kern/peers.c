/* SPDX-License-Identifier: MIT */
/*
 * peers: what Linux itself takes for what kern.c measures: a system call, a switch between two
 * processes, round trips through pipes, a hand-over between two threads, a process, a window on
 * memory that others can have.
 *
 *     peers WHAT N         getppid, yield, pipe, futex, spawn, mmap; work: two processes that
 * compute
 *
 * Prints "WHAT VALUE", nanoseconds for all N. One CPU or two: that of whoever starts it.
 */
#define _GNU_SOURCE
#include <linux/futex.h>
#include <pthread.h>
#include <sched.h>
#include <spawn.h>
#include <stdatomic.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

static uint64_t now(void)
{
    struct timespec t;

    clock_gettime(CLOCK_MONOTONIC, &t);
    return (uint64_t)t.tv_sec * 1000000000 + (uint64_t)t.tv_nsec;
}

static void getppids(int n)
{
    for (int i = 0; i < n; i++)
        syscall(SYS_getppid);
}

static void yield_both(int n)
{
    pid_t child = fork();

    for (int i = 0; i < n; i++)
        sched_yield();
    if (!child)
        _exit(0);
    waitpid(child, NULL, 0);
}

static void pipes(int n)
{
    int there[2], back[2];
    char bytes[64] = "";

    if (pipe(there) || pipe(back))
        exit(1);
    pid_t child = fork();
    if (!child) {
        close(there[1]);
        while (read(there[0], bytes, sizeof bytes) > 0)
            if (write(back[1], bytes, sizeof bytes) < 0)
                break;
        _exit(0);
    }
    for (int i = 0; i < n; i++)
        if (write(there[1], bytes, sizeof bytes) < 0 || read(back[0], bytes, sizeof bytes) < 0)
            exit(1);
    close(there[1]);
    waitpid(child, NULL, 0);
}

static _Atomic uint32_t turn;
static int rounds;

static void take_turns(uint32_t mine)
{
    for (int i = 0; i < rounds; i++) {
        while (atomic_load(&turn) != mine)
            syscall(SYS_futex, &turn, FUTEX_WAIT_PRIVATE, !mine, NULL, NULL, 0);
        atomic_store(&turn, !mine);
        syscall(SYS_futex, &turn, FUTEX_WAKE_PRIVATE, 1, NULL, NULL, 0);
    }
}

static void *other(void *unused)
{
    take_turns(1);
    return unused;
}

static void futexes(int n)
{
    pthread_t thread;

    rounds = n / 2;
    if (pthread_create(&thread, NULL, other, NULL))
        exit(1);
    take_turns(0);
    pthread_join(thread, NULL);
}

static void spawns(int n, const char *self)
{
    char *const argv[] = {(char *)self, NULL}, *const env[] = {NULL};

    for (int i = 0; i < n; i++) {
        pid_t child;
        if (posix_spawn(&child, self, NULL, NULL, argv, env))
            exit(1);
        waitpid(child, NULL, 0);
    }
}

static void mmaps(int n)
{
    enum { WINDOW = 65536 };
    int file = memfd_create("window", MFD_CLOEXEC);

    if (file < 0 || ftruncate(file, WINDOW))
        exit(1);
    for (int i = 0; i < n; i++) {
        void *p = mmap(NULL, WINDOW, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_POPULATE, file, 0);
        if (p == MAP_FAILED || munmap(p, WINDOW))
            exit(1);
    }
    close(file);
}

static void work_both(int n)
{
    pid_t child = fork();
    uint64_t x = 0;

    for (uint64_t i = (uint64_t)n; i; i--) {
        x = (x ^ i) * 0x9e3779b97f4a7c15;
        __asm__ volatile("" : "+r"(x));
    }
    if (!child)
        _exit(0);
    waitpid(child, NULL, 0);
}

int main(int argc, char **argv)
{
    const char *what = argc > 1 ? argv[1] : "";
    int n = argc > 2 ? atoi(argv[2]) : 0;

    if (argc < 2)
        return 0;
    uint64_t begin = now();
    if (!strcmp(what, "getppid"))
        getppids(n);
    else if (!strcmp(what, "yield"))
        yield_both(n / 2);
    else if (!strcmp(what, "mmap"))
        mmaps(n);
    else if (!strcmp(what, "pipe"))
        pipes(n);
    else if (!strcmp(what, "futex"))
        futexes(n);
    else if (!strcmp(what, "work"))
        work_both(n);
    else if (!strcmp(what, "spawn"))
        spawns(n, argv[0]);
    else
        return 2;
    printf("%s %llu\n", what, (unsigned long long)(now() - begin));
    return 0;
}
