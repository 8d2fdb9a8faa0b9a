// SPDX-License-Identifier: MIT
// Shared memory on Linux: an anonymous shared mapping, the master, of which reservations get
// duplicates: mremap with an old size of 0 makes a second mapping of the same pages (mremap(2)). So
// no descriptor is needed. All pages are there from the beginning, so that nobody is killed for
// touching one later.
#define _GNU_SOURCE
#include "base/heap.h"
#include "base/lookup.h"
#include "plat/linux/linux.h"
#include <sys/mman.h>

enum { PIECE = 1 << 20 };

struct plat_shared {
    u8 *master;
    size_t size; // what is left of it
};

static size_t piece_of(size_t size)
{
    return size < PIECE ? size : PIECE;
}

static bool fill(u8 *p, size_t size)
{
    for (size_t at = 0; at < size; at += PIECE)
        if (look_up() || madvise(p + at, piece_of(size - at), MADV_POPULATE_WRITE))
            return false;
    return true;
}

struct plat_shared *plat_shared_create(size_t size)
{
    struct plat_shared *m = heap_alloc(sizeof *m);
    if (!m)
        return NULL;
    m->size = size;
    m->master = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    if (m->master == MAP_FAILED) {
        heap_free(m);
        return NULL;
    }
    if (fill(m->master, size))
        return m;
    while (!plat_shared_free(m))
        look_up();
    return NULL;
}

// From its end.
bool plat_shared_free(struct plat_shared *m)
{
    size_t n = piece_of(m->size);
    m->size -= n;
    madvise(m->master + m->size, n, MADV_REMOVE);
    if (munmap(m->master + m->size, n))
        linux_die("cannot unmap %zu bytes at %p", n, (void *)(m->master + m->size));
    if (m->size)
        return false;
    heap_free(m);
    return true;
}

status plat_shared_map(struct plat_shared *m, size_t offset, void *p, size_t size)
{
    int flags = MREMAP_MAYMOVE | MREMAP_FIXED;
    if (mremap(m->master + offset, 0, size, flags, p) == MAP_FAILED) {
        plat_shared_unmap(p, size); // it may have got as far as that
        return ERR_NO_MEMORY;
    }
    madvise(p, size, MADV_POPULATE_WRITE); // sooner rather than by faults, if it can be
    return OK;
}

void plat_shared_unmap(void *p, size_t size)
{
    int flags = MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED | MAP_NORESERVE;
    if (mmap(p, size, PROT_READ | PROT_WRITE, flags, -1, 0) == MAP_FAILED)
        linux_die("cannot unmap %zu bytes at %p", size, p);
}
