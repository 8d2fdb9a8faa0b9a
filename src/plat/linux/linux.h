// SPDX-License-Identifier: MIT
// What the files of this platform share with each other.
#pragma once
#include "plat/plat.h"
#include <signal.h>

enum { CPUS_MAX = 64 };

// Gives the calling pthread its signal stack and unblocks the signals. False: no memory.
bool linux_thread_signals(void);
int linux_kick_signal(void);
void linux_make_timer(void);
// From now on each CPU that gets a timer is also kicked whenever it has worked for so long.
void linux_kick_every(u64 ns);
// Set by the kick signal's handler on the CPU that it hit; plat_wait takes it back.
extern _Thread_local volatile bool linux_kicked;

// Sleeps until I/O is ready that somebody watches, or `timeout` (NULL: never) is over, or a signal
// comes, with this mask in force; and calls what watches (watch.c).
struct timespec;
void linux_sleep(const struct timespec *timeout, const sigset_t *mask);
void linux_kick_others(void); // CPUs that were started

// Before rt_init: perf looks for names of code only where no file is mapped (main/profile.c). Pages
// of code that is gone are not given back then.
void linux_unname_code(void);

// Writes all of it, also where it is taken slowly; an error ends that: its errno, or 0.
int linux_write(int fd, const void *p, size_t n);

// Bytes that memory files have, which are resident only where somebody has mapped them: notes those
// of one, which `had` so many; -1: none, it is gone.
void linux_note_file(int file, u64 *had);

// Prints what may be return addresses, from that stack pointer on; in signal handlers, too.
void linux_backtrace(u64 sp);
// Prints "nebulet: ..." and exits at once.
__attribute__((noreturn, format(printf, 1, 2))) void linux_die(const char *format, ...);
