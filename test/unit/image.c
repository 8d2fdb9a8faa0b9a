// SPDX-License-Identifier: MIT
// Unit test of images and shared memory (plat/plat.h): every reservation sees the image and its own
// writes, and what plat_zero, plat_image_unmap and plat_decommit bring back; of shared memory all
// see all writes, also where an image was.
#include "base/types.h"
#include "plat/plat.h"
#include <stdio.h>
#include <stdlib.h>

enum { PAGES = 5, COMMITTED = 16 * PLAT_PAGE, SIZE = PAGES * PLAT_PAGE - 1000 };

static int passed, failed;
static u8 bytes[SIZE];

#define CHECK(x)                                                                                   \
    do {                                                                                           \
        if (x) {                                                                                   \
            passed++;                                                                              \
        } else {                                                                                   \
            failed++;                                                                              \
            printf("%s:%d: %s\n", __FILE__, __LINE__, #x);                                         \
        }                                                                                          \
    } while (0)

static u8 *reserve(void)
{
    u8 *p = plat_reserve(1 << 30);
    CHECK(p && plat_commit(p, COMMITTED) == OK);
    return p;
}

static bool zero(const u8 *p, size_t n)
{
    while (n && !*p)
        p++, n--;
    return !n;
}

static bool as_image(const u8 *p)
{
    return !memcmp(p, bytes, SIZE) && zero(p + SIZE, COMMITTED - SIZE);
}

static void test_sharing(struct plat_image *image)
{
    u8 *a = reserve(), *b = reserve();
    CHECK(plat_image_map(image, a) == OK);
    CHECK(plat_image_map(image, b) == OK);
    CHECK(as_image(a));
    for (size_t page = 0; page < PAGES; page++)
        a[page * PLAT_PAGE + 17] ^= 0xff; // read before, written now
    CHECK(as_image(b));
    CHECK(a[17] == (bytes[17] ^ 0xff) && a[18] == bytes[18]);
    memset(b, 1, PLAT_PAGE);
    CHECK(a[0] == bytes[0]);
    plat_zero(a, COMMITTED);
    CHECK(as_image(a));
    plat_release(a, 1 << 30);
    plat_release(b, 1 << 30);
}

static void test_ends(struct plat_image *image)
{
    u8 *p = reserve();
    CHECK(plat_image_map(image, p) == OK);
    p[0] ^= 1;
    plat_image_unmap(image, p);
    CHECK(zero(p, COMMITTED));
    plat_zero(p, COMMITTED);
    CHECK(plat_image_map(image, p) == OK);
    memset(p, 7, COMMITTED);
    plat_zero(p, COMMITTED);
    CHECK(as_image(p));
    plat_decommit(p, COMMITTED);
    CHECK(plat_commit(p, COMMITTED) == OK);
    CHECK(zero(p, COMMITTED));
    plat_release(p, 1 << 30);
}

static void test_shared(struct plat_image *image)
{
    u8 *a = reserve(), *b = reserve();
    struct plat_shared *m = plat_shared_create(3 * PLAT_PAGE);
    CHECK(m);
    CHECK(plat_image_map(image, a) == OK);
    memset(b, 1, COMMITTED);
    CHECK(plat_shared_map(m, 0, a + PLAT_PAGE, 3 * PLAT_PAGE) == OK);
    CHECK(plat_shared_map(m, PLAT_PAGE, b + 8 * PLAT_PAGE, PLAT_PAGE) == OK);
    CHECK(zero(a + PLAT_PAGE, 3 * PLAT_PAGE) && zero(b + 8 * PLAT_PAGE, PLAT_PAGE));
    CHECK(a[PLAT_PAGE - 1] == bytes[PLAT_PAGE - 1] && a[4 * PLAT_PAGE] == bytes[4 * PLAT_PAGE]);
    CHECK(b[8 * PLAT_PAGE - 1] == 1 && b[9 * PLAT_PAGE] == 1);
    a[2 * PLAT_PAGE + 9] = 42;
    CHECK(b[8 * PLAT_PAGE + 9] == 42);
    plat_shared_unmap(b + 8 * PLAT_PAGE, PLAT_PAGE);
    CHECK(zero(b + 8 * PLAT_PAGE, PLAT_PAGE) && a[2 * PLAT_PAGE + 9] == 42);
    plat_shared_unmap(a + PLAT_PAGE, 3 * PLAT_PAGE);
    plat_image_unmap(image, a);
    plat_zero(a, COMMITTED);
    CHECK(zero(a, COMMITTED));
    plat_release(a, 1 << 30);
    plat_release(b, 1 << 30);
    while (!plat_shared_free(m))
        ;
}

int main(void)
{
    for (size_t i = 0; i < SIZE; i++)
        bytes[i] = i / PLAT_PAGE == 3 ? 0 : (u8)(i * 7 + i / PLAT_PAGE);
    struct plat_image *image = plat_image_create(bytes, SIZE);
    CHECK(image);
    memset(bytes, 0, SIZE); // it is a copy
    for (size_t i = 0; i < SIZE; i++)
        bytes[i] = i / PLAT_PAGE == 3 ? 0 : (u8)(i * 7 + i / PLAT_PAGE);
    test_sharing(image);
    test_ends(image);
    test_shared(image);
    plat_image_free(image);
    plat_image_free(NULL);
    printf("%d passed, %d failed\n", passed, failed);
    return failed != 0;
}
