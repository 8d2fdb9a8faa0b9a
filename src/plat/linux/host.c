// SPDX-License-Identifier: MIT
// The rest of the machine contract on Linux: entropy, console, the end; and what sanitizers
// must know.
#define _GNU_SOURCE
#include "base/fmt.h"
#include "base/heap.h"
#include "plat/linux/linux.h"
#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/random.h>
#include <sys/stat.h>
#include <unistd.h>

// Linux has drivers.
const struct plat_devices *const plat_devices;
u64 plat_interrupts;

static u64 in_files, most_in_files;

void linux_note_file(int file, u64 *had)
{
    struct stat s = {0};
    if (file >= 0 && fstat(file, &s))
        return;
    u64 has = (u64)s.st_blocks * 512,
        now = __atomic_add_fetch(&in_files, has - *had, __ATOMIC_RELAXED);
    u64 most = __atomic_load_n(&most_in_files, __ATOMIC_RELAXED);
    *had = has;
    while (now > most && !__atomic_compare_exchange_n(&most_in_files, &most, now, true,
                                                      __ATOMIC_RELAXED, __ATOMIC_RELAXED))
        ;
}

// The kernel's own count, for what getrusage says includes who has started us; and what lies in
// files, of which a part may be in that.
u64 plat_memory_peak(void)
{
    FILE *f = fopen("/proc/self/status", "re");
    unsigned long long kib = 0;
    char line[128];
    while (f && !kib && fgets(line, sizeof line, f))
        sscanf(line, "VmHWM: %llu", &kib);
    if (f)
        fclose(f);
    return kib ? (kib << 10) + most_in_files : 0;
}

status plat_entropy(void *p, size_t n)
{
    u8 *at = p;
    while (n) {
        ssize_t got = getrandom(at, n, 0);
        if (got < 0 && errno == EINTR)
            continue;
        if (got <= 0)
            return ERR_UNAVAILABLE;
        at += got;
        n -= (size_t)got;
    }
    return OK;
}

int linux_write(int fd, const void *p, size_t n)
{
    for (const u8 *at = p; n;) {
        ssize_t done = write(fd, at, n);
        if (done < 0 && errno == EAGAIN)
            poll(&(struct pollfd){.fd = fd, .events = POLLOUT}, 1, -1);
        else if (done <= 0 && errno != EINTR)
            return errno;
        if (done > 0)
            at += done, n -= (size_t)done;
    }
    return 0;
}

void plat_console_write(const char *p, size_t n)
{
    linux_write(2, p, n);
}

void plat_exit(int code)
{
    exit(code);
}

void linux_die(const char *format, ...)
{
    char text[256] = "nebulet: ";
    va_list args;
    va_start(args, format);
    size_t n = 9 + fmt_va(text + 9, sizeof text - 10, format, args);
    va_end(args);
    if (n > sizeof text - 2)
        n = sizeof text - 2;
    text[n++] = '\n';
    plat_console_write(text, n);
    _exit(70);
}

// --- Sanitizers. A trap leaves frames without returning through them; the address sanitizer has
// marked the gaps in those frames, and the next call on the stack would trip over the marks.

#if __has_feature(address_sanitizer)
#include <sanitizer/asan_interface.h>
#include <sanitizer/common_interface_defs.h>

void plat_stack_leave(struct plat_stack *own, const struct plat_stack *to)
{
    __sanitizer_start_switch_fiber(&own->tool, to->low, to->size);
}

void plat_stack_enter(struct plat_stack *own, struct plat_stack *from)
{
    struct plat_stack unused;
    from = from ? from : &unused;
    __sanitizer_finish_switch_fiber(own->tool, &from->low, &from->size);
}

void plat_stack_dropped(void *low, size_t size)
{
    ASAN_UNPOISON_MEMORY_REGION(low, size);
}

// Locals on a fake stack would not be where the runtime compares stack pointers.
const char *__asan_default_options(void);
const char *__asan_default_options(void)
{
    return "detect_stack_use_after_return=0";
}
#else
void plat_stack_leave(struct plat_stack *own, const struct plat_stack *to)
{
    (void)own, (void)to;
}

void plat_stack_enter(struct plat_stack *own, struct plat_stack *from)
{
    (void)own, (void)from;
}

void plat_stack_dropped(void *low, size_t size)
{
    (void)low, (void)size;
}
#endif
