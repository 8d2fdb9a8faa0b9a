// SPDX-License-Identifier: MIT
// Addresses: which texts are none and no names either, and what forms of bytes are the same one.
#include "net.h"

#include <string.h>

// The last label of a name is never a number, as inet_aton(3) reads them.
bool address_is_number(const char *text)
{
    size_t n = strlen(text);
    if (n && text[n - 1] == '.')
        n--;
    size_t at = n;
    while (at && text[at - 1] != '.')
        at--;
    if (at == n)
        return true;
    if (n - at >= 2 && text[at] == '0' && (text[at + 1] | 0x20) == 'x')
        return true;
    for (; at < n; at++)
        if (text[at] < '0' || text[at] > '9')
            return false;
    return true;
}

// --- Forms

struct range {
    uint8_t bytes[16];
    uint32_t bits;
};

static bool within(const void *bytes, const struct range *ranges, uint32_t n, uint32_t size)
{
    for (uint32_t i = 0; i < n; i++) {
        const struct range *r = &ranges[i];
        uint32_t whole = r->bits / 8, rest = r->bits % 8;
        const uint8_t *b = bytes;
        if (whole <= size && !memcmp(b, r->bytes, whole) &&
            (!rest || !((b[whole] ^ r->bytes[whole]) >> (8 - rest))))
            return true;
    }
    return false;
}
#define IS_IN(a, ranges, size) within((a)->bytes, ranges, sizeof ranges / sizeof *ranges, size)

static const struct range mapped[] = {{{[10] = 0xff, 0xff}, 96}};

bool address_is_any(const struct nebulet_address *a)
{
    static const char zeros[16];
    return !memcmp(a->bytes, zeros, sizeof zeros);
}

bool address_normalize(struct nebulet_address *a)
{
    static const struct range local[] = {{{0xfe, 0x80}, 10}, {{0xff}, 8}};
    if (a->family == 6 && IS_IN(a, mapped, 16)) {
        memcpy(a->bytes, a->bytes + 12, 4);
        a->family = 4;
    }
    if ((a->family != 4 && a->family != 6) || a->port > UINT16_MAX)
        return false;
    if (a->family == 4)
        memset(a->bytes + 4, 0, 12);
    return !address_is_any(a) && (!a->scope || (a->family == 6 && IS_IN(a, local, 16)));
}

bool address_inner(const struct nebulet_address *a, struct nebulet_address *inner)
{
    // Where in such an address the one of IPv4 stands, and what it is combined with (RFC 4291,
    // 6052, 8215, 3056, 4380).
    static const struct {
        struct range range;
        uint32_t at;
        uint8_t flip;
    } known[] = {{{{0}, 96}, 12, 0},
                 {{{0, 0x64, 0xff, 0x9b}, 96}, 12, 0},
                 {{{0, 0x64, 0xff, 0x9b, 0, 1}, 48}, 12, 0},
                 {{{0x20, 0x02}, 16}, 2, 0},
                 {{{0x20, 0x01, 0, 0}, 32}, 12, 0xff}};
    static const struct range low = {{0}, 120}; // ::1 is no form of 0.0.0.1
    for (uint32_t i = 0; a->family == 6 && i < sizeof known / sizeof *known; i++) {
        if (!within(a->bytes, &known[i].range, 1, 16) || within(a->bytes, &low, 1, 16))
            continue;
        *inner = (struct nebulet_address){.family = 4, .port = a->port};
        for (uint32_t k = 0; k < 4; k++)
            inner->bytes[k] = (char)(a->bytes[known[i].at + k] ^ known[i].flip);
        return true;
    }
    return false;
}

bool address_is_global(const struct nebulet_address *a)
{
    // The registries of special addresses (RFC 6890).
    static const struct range v4[] = {{{0}, 8},
                                      {{10}, 8},
                                      {{100, 64}, 10},
                                      {{127}, 8},
                                      {{169, 254}, 16},
                                      {{172, 16}, 12},
                                      {{192, 0, 0}, 24},
                                      {{192, 0, 2}, 24},
                                      {{192, 88, 99}, 24},
                                      {{192, 168}, 16},
                                      {{198, 18}, 15},
                                      {{198, 51, 100}, 24},
                                      {{203, 0, 113}, 24},
                                      {{224}, 3}};
    static const struct range v6[] = {{{0x20}, 3}}, v6_not[] = {{{0x20, 0x01, 0x0d, 0xb8}, 32},
                                                                {{0x20, 0x01, 0, 2}, 48},
                                                                {{0x20, 0x01, 0, 0x10}, 28},
                                                                {{0x20, 0x01, 0, 0x20}, 28},
                                                                {{0x3f, 0xff}, 20}};
    static const struct range nat64[] = {{{0, 0x64, 0xff, 0x9b}, 96}};
    struct nebulet_address inner;
    if (a->family == 4)
        return !IS_IN(a, v4, 4);
    if (address_inner(a, &inner) && !address_is_global(&inner))
        return false;
    return (IS_IN(a, v6, 16) && !IS_IN(a, v6_not, 16)) || IS_IN(a, nat64, 16);
}

bool address_same(const struct nebulet_address *a, const struct nebulet_address *b)
{
    return a->family == b->family && a->port == b->port && !memcmp(a->bytes, b->bytes, 16) &&
           (!a->scope || !b->scope || a->scope == b->scope);
}
