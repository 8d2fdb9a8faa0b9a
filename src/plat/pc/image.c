// SPDX-License-Identifier: MIT
// Images: pages that reservations begin with, until they write to them.
//
// A reservation that an image is mapped to (vm.c) gets its pages by faults, as always: a page that
// is read first is the image's own, shared by all and not writable; one that is written to is a
// copy. A shared page that is written to after all is replaced, and that costs a second fault and,
// when several CPUs run, an interrupt to all of them. So the image remembers which of its pages
// that has happened to, in their notes: they are copied at once from then on.
//
// Copies were promised when the reservation was committed; shared pages take nothing from anybody,
// and table_unmap leaves them alone. Pages of zeros have no page in the image.
#include "base/heap.h"
#include "base/lookup.h"
#include "plat/pc/pc.h"
#include "plat/pc/x86.h"

struct plat_image {
    u64 count;
    u64 pages[]; // 0: zeros
};

enum { NOTE_WRITTEN = 1 }; // all others are below pages.c's

static bool all_zero(const u8 *p, size_t n)
{
    return !n || (!*p && !memcmp(p, p + 1, n - 1));
}

static bool look_from_time_to_time(u64 at)
{
    return at % LOOK_UP == 0 && look_up();
}

static bool add_page(struct plat_image *i, const u8 *p, size_t n)
{
    u64 page = all_zero(p, n) ? 0 : page_alloc(0);
    i->pages[i->count++] = page;
    if (!page)
        return all_zero(p, n);
    *page_note(page) = 0;
    memcpy((u8 *)page, p, n);
    memset((u8 *)page + n, 0, PLAT_PAGE - n);
    return true;
}

struct plat_image *plat_image_create(const void *bytes, size_t size)
{
    u64 count = (size + PLAT_PAGE - 1) / PLAT_PAGE;
    struct plat_image *i = heap_zalloc(sizeof *i + count * sizeof(u64));
    for (size_t at = 0; i && at < size; at += PLAT_PAGE) {
        size_t n = size - at < PLAT_PAGE ? size - at : PLAT_PAGE;
        if (look_from_time_to_time(at) || !add_page(i, (const u8 *)bytes + at, n)) {
            plat_image_free(i);
            i = NULL;
        }
    }
    return i;
}

void plat_image_free(struct plat_image *i)
{
    for (u64 n = 0; i && n < i->count; n++) {
        look_from_time_to_time(n * PLAT_PAGE);
        if (i->pages[n])
            page_free(i->pages[n], 0);
    }
    heap_free(i);
}

size_t image_size(const struct plat_image *i)
{
    return i->count * PLAT_PAGE;
}

// String instructions: the vector registers may be compiled code's.
static void copy(u64 to, u64 from)
{
    u64 n = PLAT_PAGE / 8;
    __asm__ volatile("rep movsq" : "+D"(to), "+S"(from), "+c"(n) : : "memory");
}

static u64 copy_of(u64 page)
{
    u64 fresh = page_claim();
    copy(fresh, page);
    return fresh;
}

static u64 page_at(const struct plat_image *i, u64 offset)
{
    return offset / PLAT_PAGE < i->count ? i->pages[offset / PLAT_PAGE] : 0;
}

bool image_renew(const struct plat_image *i, u64 offset, u64 page)
{
    u64 from = page_at(i, offset);
    if (from)
        copy(page, from);
    return from;
}

bool image_fault(const struct plat_image *i, u64 offset, u64 address, bool write)
{
    u64 page = page_at(i, offset);
    if (!page)
        return false;
    if (!write && *page_note(page) != NOTE_WRITTEN) {
        table_map(address, page, PTE_SHARED | PTE_NX);
        return true;
    }
    u64 own = copy_of(page);
    if (!table_map(address, own, PTE_WRITE | PTE_NX))
        page_unclaim(own); // another CPU was faster
    return true;
}

bool image_write(u64 address)
{
    u64 entry = table_entry(address), page = entry & PTE_ADDRESS;
    if (!(entry & PTE_SHARED))
        return entry & PTE_WRITE; // another CPU was faster
    *page_note(page) = NOTE_WRITTEN;
    u64 own = copy_of(page);
    if (!table_replace(address, page, own | PTE_WRITE | PTE_NX))
        page_unclaim(own);
    return true;
}
