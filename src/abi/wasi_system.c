// SPDX-License-Identifier: MIT
// WASI: arguments, environment, clocks, random bytes, and the end of a program.
#include "abi/wasi_call.h"
#include "base/lookup.h"
#include "plat/plat.h"

enum clock { CLOCK_REAL, CLOCK_MONOTONIC, CLOCK_PROCESS, CLOCK_THREAD };

// Addresses at `pointers`, the strings at `bytes`.
static enum fs_error put_strings(struct call *c, struct wasi_strings *s, u32 pointers, u32 bytes)
{
    enum { AT_ONCE = 64 << 10 };
    if (!wasi_count(s))
        return E_INTR;
    u8 *p = guest(c, pointers, s->count * 4ull), *to = guest(c, bytes, s->size);
    if (!p || !to)
        return E_FAULT;
    for (u32 at = 0, start = 0; at < s->size; at++) {
        if (!s->bytes[at]) {
            store_u32(p, bytes + start);
            p += 4;
            start = at + 1;
        }
        if (at % AT_ONCE == AT_ONCE - 1 && look_up())
            return E_INTR;
    }
    return look_up_copy(to, s->bytes, s->size) ? E_INTR : E_SUCCESS;
}

static enum fs_error put_sizes(struct call *c, struct wasi_strings *s, u32 count, u32 size)
{
    if (!wasi_count(s))
        return E_INTR;
    put_u32(c, count, s->count);
    put_u32(c, size, s->size);
    return E_SUCCESS;
}

enum fs_error wasi_args_get(struct call *c, struct args_args_get *a)
{
    return put_strings(c, &c->wasi->args, a->argv, a->argv_buf);
}

enum fs_error wasi_args_sizes_get(struct call *c, struct args_args_sizes_get *a)
{
    return put_sizes(c, &c->wasi->args, a->argc, a->argv_buf_size);
}

enum fs_error wasi_environ_get(struct call *c, struct args_environ_get *a)
{
    return put_strings(c, &c->wasi->env, a->environ, a->environ_buf);
}

enum fs_error wasi_environ_sizes_get(struct call *c, struct args_environ_sizes_get *a)
{
    return put_sizes(c, &c->wasi->env, a->count, a->environ_buf_size);
}

// All clocks of the platform count nanoseconds. A process has one thread at a time to spend time
// on.
enum fs_error wasi_clock_res_get(struct call *c, struct args_clock_res_get *a)
{
    if (a->id > CLOCK_THREAD)
        return E_INVAL;
    put_u64(c, a->resolution, 1);
    return E_SUCCESS;
}

enum fs_error wasi_clock_time_get(struct call *c, struct args_clock_time_get *a)
{
    switch (a->id) {
    case CLOCK_REAL: put_u64(c, a->time, plat_wall_clock()); break;
    case CLOCK_MONOTONIC: put_u64(c, a->time, plat_now()); break;
    case CLOCK_PROCESS:
    case CLOCK_THREAD: put_u64(c, a->time, plat_cpu_time()); break;
    default: return E_INVAL;
    }
    return E_SUCCESS;
}

enum fs_error wasi_random_get(struct call *c, struct args_random_get *a)
{
    struct wasi *w = c->wasi;
    u8 seed[32];
    if (!w->seeded) {
        if (plat_entropy(seed, sizeof seed) != OK)
            return E_NOSYS;
        csprng_seed(&w->random, seed);
        w->seeded = true;
    }
    enum { AT_ONCE = 16 << 10 }; // of 4 GiB, which take seconds
    for (u32 done = 0, n; done < a->buf_size; done += n) {
        n = a->buf_size - done < AT_ONCE ? a->buf_size - done : AT_ONCE;
        rt_check_interrupt(c->vm);
        csprng_fill(&w->random, a->buf + done, n);
    }
    return E_SUCCESS;
}

enum fs_error wasi_sched_yield(struct call *c, struct args_sched_yield *a)
{
    (void)a;
    if (c->wasi->yield) {
        c->wasi->yield(c->vm);
        rt_check_interrupt(c->vm);
    }
    return E_SUCCESS;
}

enum fs_error wasi_proc_exit(struct call *c, struct args_proc_exit *a)
{
    rt_exit(c->vm, a->code);
}

// The program has no handlers, so a signal does what it does by default: nothing, or the end, with
// the exit code that a shell would show. Stopping is not possible.
enum fs_error wasi_proc_raise(struct call *c, struct args_proc_raise *a)
{
    enum { CHLD = 16, CONT = 17, STOP = 18, TTOU = 21, URG = 22, WINCH = 27, SYS = 30 };
    if (a->signal > SYS)
        return E_INVAL;
    if (a->signal >= STOP && a->signal <= TTOU)
        return E_NOTSUP;
    if (a->signal == 0 || a->signal == CHLD || a->signal == CONT || a->signal == URG ||
        a->signal == WINCH)
        return E_SUCCESS;
    rt_exit(c->vm, 128 + a->signal);
}
