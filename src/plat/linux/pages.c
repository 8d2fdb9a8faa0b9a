// SPDX-License-Identifier: MIT
// Address space and code memory on Linux.
//
// A reservation is a PROT_NONE mapping that is never charged (MAP_NORESERVE); to commit is to
// change its protection, and the kernel brings the pages at first touch, zeroed. To decommit is to
// map fresh PROT_NONE pages over it.
//
// Code lives in one memory file that is mapped twice, once writable and once executable, so no page
// is ever both and nothing changes protection while code runs. The file is sparse: a page costs
// nothing until it is written to, and a hole is punched into it when its code is gone.
#define _GNU_SOURCE
#include "base/lock.h"
#include "plat/linux/linux.h"
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

static int code_file = -1; // or nowhere, and then its window has no file's name
static bool code_unnamed;

static void note_code(void)
{
    static u64 held;
    static spinlock lock;
    spin_acquire(&lock);
    linux_note_file(code_file, &held);
    spin_release(&lock);
}

static bool whole_pages(const void *p, size_t size)
{
    return !(((uintptr_t)p | size) & (PLAT_PAGE - 1));
}

// A program may have 65,530 mappings, and Linux aligns large ones to huge pages. Without holes
// between them, what is inaccessible at the end of one reservation and the beginning of the next is
// the same mapping.
static size_t rounded(size_t size)
{
    return ALIGN_UP(size, PLAT_LARGE_PAGE);
}

void *plat_reserve(size_t size)
{
    if (size > SIZE_MAX / 2)
        return NULL;
    void *p =
        mmap(NULL, rounded(size), PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    return p == MAP_FAILED ? NULL : p;
}

status plat_commit(void *p, size_t size)
{
    if (!whole_pages(p, size))
        return ERR_INVALID_ARG;
    if (!size)
        return OK;
    return mprotect(p, size, PROT_READ | PROT_WRITE) ? ERR_NO_MEMORY : OK;
}

void plat_prefer_large(void *p, size_t size)
{
    madvise(p, size, MADV_HUGEPAGE);
}

status plat_commit_stack(void *p, size_t size, const void *ready, size_t ready_size)
{
    (void)ready, (void)ready_size;
    return plat_commit(p, size);
}

bool plat_touched(const void *p)
{
    (void)p;
    return true;
}

void plat_decommit(void *p, size_t size)
{
    if (!size)
        return;
    int flags = MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE | MAP_FIXED;
    if (mmap(p, size, PROT_NONE, flags, -1, 0) == MAP_FAILED)
        linux_die("cannot give back %zu bytes at %p", size, p);
}

void plat_release(void *p, size_t size)
{
    if (munmap(p, rounded(size)))
        linux_die("cannot unmap %zu bytes at %p", size, p);
}

void plat_release_all(void **at, u32 n, size_t size)
{
    for (u32 i = 1; i < n; i++) { // a few, and nearly in order
        void *p = at[i];
        u32 k = i;
        for (; k && (uintptr_t)at[k - 1] > (uintptr_t)p; k--)
            at[k] = at[k - 1];
        at[k] = p;
    }
    for (u32 i = 0, end; i < n; i = end) {
        for (end = i + 1; end < n; end++)
            if ((u8 *)at[end] != (u8 *)at[i] + (end - i) * rounded(size))
                break;
        plat_release(at[i], (end - i) * rounded(size));
    }
}

void plat_zero(void *p, size_t size)
{
    if (size && madvise(p, size, MADV_DONTNEED))
        memset(p, 0, size);
}

// --- Code

void linux_unname_code(void)
{
    code_unnamed = true;
}

// Shared memory that has no file, a second time: Linux says of it what it says of /dev/zero.
static status unnamed_window(size_t size, struct plat_code *out)
{
    u8 *run = mmap(NULL, 2 * size, PROT_NONE, MAP_SHARED | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    if (run == MAP_FAILED)
        return ERR_NO_MEMORY;
    u8 *write = mremap(run, 0, size, MREMAP_MAYMOVE | MREMAP_FIXED, run + size);
    if (write == MAP_FAILED || mprotect(run, size, PROT_READ | PROT_EXEC)) {
        munmap(run, 2 * size);
        return ERR_NO_MEMORY;
    }
    *out = (struct plat_code){write, run, size};
    return OK;
}

status plat_code_window(size_t size, struct plat_code *out)
{
    if (code_unnamed)
        return unnamed_window(size, out);
    int file = memfd_create("nebulet-code", MFD_CLOEXEC);
    if (file < 0)
        return ERR_NO_RESOURCES;
    enum { SHARED = MAP_SHARED | MAP_NORESERVE };
    u8 *run = MAP_FAILED, *write = MAP_FAILED;
    if (!ftruncate(file, (off_t)size))
        run = mmap(NULL, 2 * size, PROT_NONE, SHARED, file, 0);
    if (run != MAP_FAILED)
        write = mmap(run + size, size, PROT_NONE, SHARED | MAP_FIXED, file, 0);
    if (write == MAP_FAILED || mprotect(run, size, PROT_READ | PROT_EXEC)) {
        if (run != MAP_FAILED)
            munmap(run, 2 * size);
        close(file);
        return ERR_NO_MEMORY;
    }
    madvise(run, 2 * size, MADV_DONTDUMP);
    code_file = file;
    *out = (struct plat_code){write, run, size};
    return OK;
}

status plat_code_commit(const struct plat_code *w, size_t offset, size_t size)
{
    bool inside = offset <= w->size && size <= w->size - offset;
    if (!inside || !whole_pages((void *)offset, size))
        return ERR_INVALID_ARG;
    return mprotect(w->write + offset, size, PROT_READ | PROT_WRITE) ? ERR_NO_MEMORY : OK;
}

status plat_code_open(const struct plat_code *w, size_t offset, size_t size)
{
    return plat_code_commit(w, offset, size);
}

// This makes fewer ranges out of more, so it cannot fail, unless somebody opens and closes others
// beside it at that moment, and there are as many as Linux allows.
static void protect(const struct plat_code *w, size_t offset, size_t size)
{
    if (mprotect(w->write + offset, size, PROT_NONE))
        fprintf(stderr, "nebulet: code cannot be protected: %s\n", strerror(errno));
}

void plat_code_decommit(const struct plat_code *w, size_t offset, size_t size)
{
    if (!size)
        return;
    protect(w, offset, size);
    fallocate(code_file, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, (off_t)offset, (off_t)size);
    note_code();
}

// x86 keeps instruction fetch coherent with stores, through any mapping; jumping to the code orders
// the two. Written pages would be resident a second time where they run: they are forgotten here.
void plat_code_publish(const struct plat_code *w, size_t offset, size_t size)
{
    size_t from = offset & ~(size_t)(PLAT_PAGE - 1);
    size_t whole = ALIGN_UP(offset + size, (size_t)PLAT_PAGE) - from;
    protect(w, from, whole);
    madvise(w->write + from, whole, MADV_DONTNEED);
    note_code();
}
