// SPDX-License-Identifier: MIT
// A copy that is too long, by an instruction or by libc.
#include <stddef.h>

struct buffer {
    unsigned char bytes[256];
};

__attribute__((noinline)) static void fill(struct buffer *b, size_t n)
{
    for (size_t i = 0; i < n; i++)
        ((volatile unsigned char *)b->bytes)[i] = 1; // HERE
}

int main(int argc, char **argv)
{
    static struct buffer b;
    (void)argv;
    fill(&b, (size_t)argc << 24);
    return b.bytes[0];
}
