// SPDX-License-Identifier: MIT
// Finding an export by its name, and finding names that are exported twice.
//
// Exports are sorted into buckets by a hash, and within a bucket by name, by heapsort: names chosen
// to collide cost O(n log n) comparisons instead of O(n^2), and with ordinary ones a bucket holds
// one or two. Equal names end up side by side. Two arrays of u32 hold the result.
#include "wasm/decode.h"
#include "base/lookup.h"

static u32 hash_name(const char *p, size_t n)
{
    u64 h = n * 0x9e3779b97f4a7c15ull;
    for (; n >= 8; p += 8, n -= 8)
        h = (h ^ load_u64(p)) * 0x9e3779b97f4a7c15ull, h ^= h >> 29;
    for (; n; p++, n--)
        h = (h ^ (u8)*p) * 0x9e3779b97f4a7c15ull;
    return (u32)(h >> 32);
}

static int compare(const char *a, size_t na, const char *b, size_t nb)
{
    if (na != nb)
        return na < nb ? -1 : 1;
    return memcmp(a, b, na);
}

static int compare_exports(const struct module *m, u32 a, u32 b)
{
    const struct name *x = &m->exports[a].name, *y = &m->exports[b].name;
    return compare(x->p, x->length, y->p, y->length);
}

static void sift_down(const struct module *m, u32 *at, u32 root, u32 n)
{
    for (u32 child; (child = 2 * root + 1) < n; root = child) {
        if (child + 1 < n && compare_exports(m, at[child], at[child + 1]) < 0)
            child++;
        if (compare_exports(m, at[root], at[child]) >= 0)
            return;
        u32 t = at[root];
        at[root] = at[child];
        at[child] = t;
    }
}

// Names that all collide make one bucket of all.
static void look(u32 i)
{
    enum { AT_ONCE = 512 };
    if (i % AT_ONCE == AT_ONCE - 1)
        look_up();
}

static void sort_bucket(const struct module *m, u32 *at, u32 n)
{
    for (u32 i = n / 2; i-- > 0;) {
        look(i);
        sift_down(m, at, i, n);
    }
    for (u32 i = n; i-- > 1;) {
        look(i);
        u32 t = at[0];
        at[0] = at[i];
        at[i] = t;
        sift_down(m, at, 0, i);
    }
}

// Counting sort by hash: bucket b is [bucket[b], bucket[b + 1]) of order.
static void fill_buckets(struct module *m)
{
    u32 nbuckets = m->export_mask + 1;
    u32 *start = m->export_bucket;
    memset(start, 0, (nbuckets + 1) * sizeof *start);
    for (u32 i = 0; i < m->nexports; look(i++))
        start[hash_name(m->exports[i].name.p, m->exports[i].name.length) & m->export_mask]++;
    u32 sum = 0;
    for (u32 b = 0; b <= nbuckets; b++) {
        sum += start[b];
        start[b] = sum; // the end of b: filling counts it down to the start
    }
    for (u32 i = m->nexports; i-- > 0; look(i))
        m->export_order[--start[hash_name(m->exports[i].name.p, m->exports[i].name.length) &
                                m->export_mask]] = i;
}

static status find_duplicates(const struct module *m, const u32 *at, u32 n, struct error *e)
{
    for (u32 i = 1; i < n; i++) {
        const struct name *x = &m->exports[at[i]].name;
        if (compare_exports(m, at[i - 1], at[i]) == 0)
            return error_set(e, ERR_INVALID, (u64)((const u8 *)x->p - m->bytes),
                             "duplicate export name \"%.*s\"",
                             (int)(x->length < 100 ? x->length : 100), x->p);
    }
    return OK;
}

status exports_index(struct module *m, struct error *e)
{
    u32 nbuckets = 1;
    while (nbuckets < m->nexports)
        nbuckets *= 2;
    m->export_mask = nbuckets - 1;
    m->export_order = arena_array(m->arena, m->nexports, sizeof *m->export_order);
    m->export_bucket = arena_array(m->arena, nbuckets + 1, sizeof *m->export_bucket);
    if (!m->export_order || !m->export_bucket)
        return error_set(e, ERR_NO_MEMORY, 0, "out of memory");
    fill_buckets(m);
    enum { AT_ONCE = 4096 };
    for (u32 b = 0; b < nbuckets; b++) {
        if (b % AT_ONCE == AT_ONCE - 1 && look_up())
            return error_set(e, ERR_CANCELLED, 0, "the process ends");
        u32 *at = m->export_order + m->export_bucket[b];
        u32 n = m->export_bucket[b + 1] - m->export_bucket[b];
        if (n < 2)
            continue;
        sort_bucket(m, at, n);
        if (find_duplicates(m, at, n, e))
            return e->code;
    }
    return OK;
}

const struct export *module_export(const struct module *m, const char *name, size_t length)
{
    if (!m->nexports)
        return NULL;
    u32 b = hash_name(name, length) & m->export_mask;
    u32 low = m->export_bucket[b], high = m->export_bucket[b + 1];
    while (low < high) {
        u32 mid = low + (high - low) / 2;
        const struct export *ex = &m->exports[m->export_order[mid]];
        int c = compare(ex->name.p, ex->name.length, name, length);
        if (c == 0)
            return ex;
        if (c < 0)
            low = mid + 1;
        else
            high = mid;
    }
    return NULL;
}
