// SPDX-License-Identifier: MIT
// How a program waits for files and clocks under the scheduler: its thread parks, and watches
// (fs/vfs.h) wake it.
#include "abi/wait_files.h"

#include "base/heap.h"
#include "base/lookup.h"
#include "kern/sched.h"
#include "plat/plat.h"

struct file_waiter {
    struct kthread *thread;
    bool woken;
};

struct file_watch {
    struct vfs_watch watch; // first
    struct file_waiter *waiter;
};

static void on_ready(struct vfs_watch *w)
{
    struct file_waiter *waiter = ((struct file_watch *)w)->waiter;
    kern_acquire();
    waiter->woken = true;
    sched_wake(waiter->thread, OK);
    kern_release();
}

enum { AT_ONCE = 256 }; // files, between two looks

// True also when the process is to end.
static bool look(struct vfs_poll *items, u32 n)
{
    bool any = false;
    for (u32 i = 0; i < n; i++) {
        vfs_ready(&items[i]);
        any |= items[i].ready;
        if (i % AT_ONCE == AT_ONCE - 1 && look_up())
            return true;
    }
    return any;
}

// False: one of them is always ready, or cannot be watched, or the process is to end.
static bool watch(struct vfs_poll *items, u32 n, struct file_watch *w, struct file_waiter *waiter)
{
    bool all = true;
    for (u32 i = 0; i < n; i++) {
        w[i] = (struct file_watch){{.ready = on_ready, .write = items[i].write}, waiter};
        all &= !vfs_watch_add(items[i].file, &w[i].watch);
        if (i % AT_ONCE == AT_ONCE - 1 && look_up())
            return false;
    }
    return all;
}

// files: how many are waited for; a clock alone needs nobody who looks for I/O.
static status park(struct file_waiter *waiter, u32 files, u64 until)
{
    status s = OK;
    kern_acquire();
    sched_io_waits(files != 0);
    if (!waiter->woken)
        s = sched_wait(waiter->thread, until ? until : 1);
    sched_io_waits(-(s32)(files != 0));
    kern_release();
    return s;
}

static enum fs_error wait_for(struct vfs_poll *items, u32 n, struct file_watch *w, u64 until)
{
    struct file_waiter waiter = {.thread = sched_self()};
    bool may_wait = watch(items, n, w, &waiter);
    status s = OK;
    if (may_wait && !look(items, n))
        s = park(&waiter, n, until);
    for (u32 i = 0; i < n; i++) {
        vfs_watch_drop(&w[i].watch);
        if (i % AT_ONCE == AT_ONCE - 1)
            look_up();
    }
    look(items, n);
    return s == ERR_CANCELLED ? E_INTR : E_SUCCESS;
}

enum fs_error files_wait(struct vfs_poll *items, u32 n, u64 until)
{
    struct file_watch few[4], *w = few;
    if (look(items, n) || (until != UINT64_MAX && until <= plat_now()))
        return E_SUCCESS;
    if (n > countof(few) && !(w = heap_array(n, sizeof *w)))
        return E_NOMEM;
    enum fs_error e = wait_for(items, n, w, until);
    if (w != few)
        heap_free(w);
    return e;
}

void files_put(struct vfs_file *f, const void *p, size_t n)
{
    enum { PIECE = 64 << 10 };
    enum fs_error e = E_SUCCESS;
    for (u64 done; n && !look_up() && (!e || e == E_AGAIN || e == E_INTR); n -= done) {
        struct vfs_iov v = {(u8 *)p, n < PIECE ? n : PIECE};
        struct vfs_poll item = {.file = f, .write = true};
        done = 0;
        e = vfs_write(f, &v, 1, VFS_HERE, &done);
        if (e)
            done = 0;
        if (e == E_AGAIN && files_wait(&item, 1, UINT64_MAX) == E_INTR)
            return;
        p = (const u8 *)p + done;
    }
}

void files_yield(struct vmctx *vm)
{
    (void)vm;
    kern_acquire();
    sched_pass();
    kern_release();
}
