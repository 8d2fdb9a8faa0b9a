// SPDX-License-Identifier: MIT
// Images of initial memories. A module whose data is large gets one when it is instantiated for the
// second time: from then on its memory begins as that (plat/plat.h), instead of being written.
//
// Only what every instance would write may be in it: active segments at constant offsets, all
// within the memory's least size, so that none can trap.
#include "rt/memory.h"
#include "base/lookup.h"
#include "plat/plat.h"

enum { NEW, SEEN, AT_WORK, DONE };

static bool is_constant(const struct module *m, const struct data_segment *s)
{
    u64 offset = (u32)s->offset.bits;
    return s->offset.kind == CONST_VALUE && offset + s->size <= m->memories[0].min * WASM_PAGE;
}

// The end of the last segment; 0: there cannot be an image, or it is not worth while. `pages`:
// bytes of the pages that it may have.
static u64 image_end(const struct module *m, u64 *pages)
{
    enum { AT_ONCE = 4096 };
    u64 end = 0, sum = 0;
    *pages = 0;
    if (module_far(m))
        return 0;
    for (u32 i = 0; i < m->ndatas; i++) {
        const struct data_segment *s = &m->datas[i];
        if (i % AT_ONCE == AT_ONCE - 1)
            look_up();
        if (s->mode != SEGMENT_ACTIVE)
            continue;
        if (!is_constant(m, s))
            return 0;
        u64 from = (u32)s->offset.bits, to = from + s->size;
        end = to > end ? to : end;
        sum += s->size;
        *pages += ALIGN_UP(to, PLAT_PAGE) - from / PLAT_PAGE * PLAT_PAGE;
    }
    *pages = *pages < end ? *pages : ALIGN_UP(end, PLAT_PAGE);
    bool worth = sum >= plat_costs.image && m->memories[0].min * WASM_PAGE >= plat_costs.zero;
    return worth ? end : 0;
}

static bool write(u8 *bytes, const struct data_segment *s)
{
    for (u32 at = 0, n; at < s->size; at += n) {
        n = s->size - at < LOOK_UP ? s->size - at : LOOK_UP;
        memcpy(bytes + (u32)s->offset.bits + at, s->bytes + at, n);
        if (look_up())
            return false;
    }
    return true;
}

// Paid by who pays for the module. NULL: it cannot be, or nobody has the memory.
static struct plat_image *make_image(struct module_record *r)
{
    const struct module *m = r->pub.m;
    struct account *payer = heap_payer(r);
    u64 pages, end = image_end(m, &pages);
    if (!end || !account_charge(payer, ACCOUNT_KEPT, pages))
        return NULL;
    u8 *bytes = heap_zalloc(end);
    bool good = bytes;
    for (u32 i = 0; i < m->ndatas && good; i++)
        if (m->datas[i].mode == SEGMENT_ACTIVE)
            good = write(bytes, &m->datas[i]);
    struct plat_image *image = good ? plat_image_create(bytes, end) : NULL;
    heap_free(bytes);
    if (image)
        r->image_bytes = pages;
    else
        account_discharge(payer, ACCOUNT_KEPT, pages);
    return image;
}

// Several CPUs may ask at the same time: one makes it, the others do without.
struct plat_image *module_image(struct module_record *r)
{
    u32 state = __atomic_load_n(&r->image_state, __ATOMIC_ACQUIRE);
    if (state == DONE)
        return r->image;
    if (state == AT_WORK || !__atomic_compare_exchange_n(&r->image_state, &state, state + 1, false,
                                                         __ATOMIC_ACQUIRE, __ATOMIC_RELAXED))
        return NULL;
    if (state == NEW)
        return NULL;
    r->image = make_image(r);
    // Who is to end has given up, perhaps: another one makes it.
    u32 now = r->image || !look_up() ? DONE : SEEN;
    __atomic_store_n(&r->image_state, now, __ATOMIC_RELEASE);
    return r->image;
}
