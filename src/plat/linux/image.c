// SPDX-License-Identifier: MIT
// Images on Linux: a memory file each, of which reservations have private mappings. The kernel
// shares what is read and copies what is written; pages of zeros are holes in the file.
// MADV_DONTNEED, which is plat_zero, brings back what is in the file.
#define _GNU_SOURCE
#include "base/heap.h"
#include "base/lookup.h"
#include "plat/linux/linux.h"
#include <sys/mman.h>
#include <unistd.h>

const struct plat_costs plat_costs = {.zero = (128 << 10) + 1, .image = 8 << 10};

struct plat_image {
    int file;
    size_t size;
    u64 held;
};

static bool is_zero(const u8 *p, size_t n)
{
    return !*p && !memcmp(p, p + 1, n - 1);
}

static bool write_at(int file, const u8 *p, size_t n, size_t at)
{
    while (n) {
        ssize_t done = pwrite(file, p, n, (off_t)at);
        if (done <= 0)
            return false;
        p += done, n -= (size_t)done, at += (size_t)done;
    }
    return true;
}

static bool write_pages(int file, const u8 *bytes, size_t size)
{
    for (size_t at = 0; at < size; at += PLAT_PAGE) {
        size_t n = size - at < PLAT_PAGE ? size - at : PLAT_PAGE;
        if (at % LOOK_UP == 0 && look_up())
            return false;
        if (!is_zero(bytes + at, n) && !write_at(file, bytes + at, n, at))
            return false;
    }
    return true;
}

struct plat_image *plat_image_create(const void *bytes, size_t size)
{
    struct plat_image *i = heap_alloc(sizeof *i);
    if (!i)
        return NULL;
    i->size = ALIGN_UP(size, PLAT_PAGE);
    i->held = 0;
    i->file = memfd_create("nebulet-image", MFD_CLOEXEC);
    if (i->file >= 0 && !ftruncate(i->file, (off_t)i->size) && write_pages(i->file, bytes, size)) {
        linux_note_file(i->file, &i->held);
        return i;
    }
    plat_image_free(i);
    return NULL;
}

void plat_image_free(struct plat_image *i)
{
    if (!i)
        return;
    if (i->file >= 0)
        close(i->file);
    linux_note_file(-1, &i->held);
    heap_free(i);
}

status plat_image_map(struct plat_image *i, void *p)
{
    int flags = MAP_PRIVATE | MAP_FIXED | MAP_NORESERVE;
    if (!i->size)
        return OK;
    return mmap(p, i->size, PROT_READ | PROT_WRITE, flags, i->file, 0) == MAP_FAILED ? ERR_NO_MEMORY
                                                                                     : OK;
}

void plat_image_unmap(struct plat_image *i, void *p)
{
    int flags = MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED | MAP_NORESERVE;
    if (i->size && mmap(p, i->size, PROT_READ | PROT_WRITE, flags, -1, 0) == MAP_FAILED)
        linux_die("cannot unmap an image of %zu bytes at %p", i->size, p);
}
