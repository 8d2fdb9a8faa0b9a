// SPDX-License-Identifier: MIT
// Strings and blocks of memory: every length and alignment around a word, overlaps both ways.
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static uint32_t hash(const void *data, size_t size)
{
    const unsigned char *p = data;
    uint32_t h = 2166136261u;
    while (size--)
        h = (h ^ *p++) * 16777619u;
    return h;
}

int main(void)
{
    unsigned char a[300], b[300];
    uint32_t h = 0;

    for (int i = 0; i < 300; i++)
        a[i] = (unsigned char)(i * 7 + 1);
    for (volatile size_t size = 0; size < 70; size++) {
        for (size_t from = 0; from < 9; from++) {
            memset(b, 0xee, sizeof(b));
            memcpy(b + 9 - from, a + from, size);
            memmove(b + 100, b + 100 - from * 3, size);
            memmove(b + 200 - from * 2, b + 200, size);
            memset(b + 150 + from, (int)size, size);
            h = h * 31 + hash(b, sizeof(b));
        }
    }
    printf("%08x\n", h);

    char text[200] = "the quick brown fox";
    strcat(text, " jumps over the lazy dog");
    printf("%zu %s %s %d\n", strlen(text), strstr(text, "lazy"), strrchr(text, 'o'),
           strcmp("abc", "abd") < 0);
    int words = 0;
    for (char *word = strtok(text, " "); word; word = strtok(NULL, " "))
        words += (int)strlen(word) * (words + 1);
    printf("%d %ld %s\n", words, strtol("-0x7fF", NULL, 16), strchr("a,b", ','));
    return 0;
}
