// SPDX-License-Identifier: MIT
// Unit test of initial memories (rt/image.c): the second instance and all later ones of a module
// begin with an image, and nobody can tell: neither by what the one before has written, nor when
// several live at a time, nor by what another module finds in the same reservation.
#include "plat/plat.h"
#include "rt/instance.h"

#include <stdio.h>

extern const struct engine interp_engine;

enum { PAGES = 3, FIRST = 1000, SECOND = 70001, SIZE = 20000 };

static int passed, failed;

#define CHECK(x)                                                                                   \
    do {                                                                                           \
        if (x) {                                                                                   \
            passed++;                                                                              \
        } else {                                                                                   \
            failed++;                                                                              \
            printf("%s:%d: %s\n", __FILE__, __LINE__, #x);                                         \
        }                                                                                          \
    } while (0)

static u8 buffers[2][3 * SIZE], *bytes; // modules live from their bytes
static size_t length;

static void put(const void *p, size_t n)
{
    memcpy(bytes + length, p, n);
    length += n;
}

static void put_number(u32 n, bool is_signed)
{
    for (; n >= (is_signed ? 64u : 128u); n >>= 7)
        bytes[length++] = (u8)n | 0x80;
    bytes[length++] = (u8)n;
}

static u8 data_at(size_t i)
{
    return (u8)(i * 31 + i / 256 + 1);
}

static void put_segment(u32 offset)
{
    put("\0\x41", 2); // active, i32.const
    put_number(offset, true);
    put("\x0b", 1);
    put_number(SIZE, false);
    for (size_t i = 0; i < SIZE; i++)
        bytes[length++] = data_at(i);
}

// A memory of three pages, and two segments or none.
static struct rt_module *load(struct store *s, bool data)
{
    struct error e = {0};
    struct rt_module *m = NULL;
    bytes = buffers[data];
    length = 0;
    put("\0asm\1\0\0\0\5\3\1\0\3", 13);
    if (data) {
        put("\x0b", 1);
        put_number(1 + 2 * (2 + 3 + 1 + 3 + SIZE) - 1, false);
        put("\2", 1);
        put_segment(FIRST);
        put_segment(SECOND);
    }
    CHECK(rt_module_load(s, bytes, length, &m, &e) == OK);
    return m;
}

static struct instance *make(struct store *s, struct rt_module *m)
{
    struct error e = {0};
    struct instance *i = NULL;
    CHECK(instance_create(s, m, NULL, &i, &e) == OK);
    return i;
}

static u8 wanted(size_t at, bool data)
{
    if (data && at - FIRST < SIZE)
        return data_at(at - FIRST);
    return data && at - SECOND < SIZE ? data_at(at - SECOND) : 0;
}

static bool is_new(struct instance *i, bool data)
{
    const u8 *p = instance_vm(i)->mem_base;
    for (size_t at = 0; at < PAGES * 65536; at++)
        if (p[at] != wanted(at, data))
            return false;
    return true;
}

int main(void)
{
    CHECK(rt_init() == OK);
    struct store *s = store_create(&interp_engine);
    struct rt_module *with = load(s, true);
    for (u32 round = 0; round < 4; round++) {
        struct instance *a = make(s, with), *b = make(s, with);
        CHECK(is_new(a, true));
        memset(instance_vm(a)->mem_base, 0xee, PAGES * 65536);
        CHECK(is_new(b, true));
        instance_vm(b)->mem_base[SECOND]++;
        instance_free(a);
        instance_free(b);
    }
    CHECK(container_of(with, struct module_record, pub)->image);
    struct rt_module *without = load(s, false);
    for (u32 round = 0; round < 3; round++) {
        struct instance *i = make(s, without);
        CHECK(is_new(i, false));
        instance_free(i);
    }
    rt_module_free(with);
    struct instance *last = make(s, without);
    CHECK(is_new(last, false));
    instance_free(last);
    rt_module_free(without);
    store_free(s);
    printf("%d passed, %d failed\n", passed, failed);
    return failed != 0;
}
