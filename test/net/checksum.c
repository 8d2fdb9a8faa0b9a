// SPDX-License-Identifier: MIT
// The checksum of user/svc/net and a plain sum: for each length up to two rounds of the longest
// loop and a bit, at each offset in a vector, and of what sums become largest by, up to 64 KiB.
#include "../../user/svc/net/checksum.c"

#include <stdio.h>

enum { OFFSETS = 17, SHORT = 300, MOST = 65536 };
static uint8_t bytes[MOST + OFFSETS], copy[MOST + OFFSETS + 1];
static unsigned compared, differ;

static unsigned plain(const uint8_t *p, int size)
{
    unsigned sum = 0;
    for (int i = 0; i < size; i++) {
        sum += i & 1 ? (unsigned)p[i] << 8 : p[i];
        sum = (sum & 0xffff) + (sum >> 16);
    }
    return sum;
}

// What is around them does not count.
static void compare(const char *what, int offset, int size)
{
    unsigned wanted = plain(bytes + offset, size), got = net_checksum(bytes + offset, size);
    int at = (offset + size) % OFFSETS;
    copy[at + size] = 0x5a;
    unsigned copied = net_checksum_copy(copy + at, bytes + offset, size);
    compared++;
    if (got == wanted && copied == wanted && !memcmp(copy + at, bytes + offset, (size_t)size) &&
        copy[at + size] == 0x5a)
        return;
    differ++;
    printf("%s, %d bytes at %d: %04x, not %04x\n", what, size, offset, got, wanted);
}

static void fill(int kind)
{
    uint32_t random = 1;
    for (uint32_t i = 0; i < sizeof bytes; i++) {
        random = random * 1664525 + 1013904223;
        bytes[i] = kind == 0 ? random >> 24 : kind == 1 ? 0xff : kind == 2 ? (i & 1) << 7 : 0;
    }
}

int main(void)
{
    static const char *const kinds[] = {"anything", "ones", "halves", "zeros"};
    for (int kind = 0; kind < 4; kind++) {
        fill(kind);
        for (int offset = 0; offset < OFFSETS; offset++) {
            for (int size = 0; size <= SHORT; size++)
                compare(kinds[kind], offset, size);
            for (int size = MOST - 2; size <= MOST; size++)
                compare(kinds[kind], offset, size);
        }
    }
    printf("%u compared, %u differ\n", compared, differ);
    return differ != 0;
}
