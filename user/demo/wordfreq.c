// SPDX-License-Identifier: MIT
// Word frequencies: reads texts on standard input, counts their words and writes the most frequent
// ones with their counts and shares.
//
//   wordfreq [COUNT]   (ten, when not given)
//
// This is the job that `make run` shows: data in, a real program over it, the result out. A word is
// a run of letters, digits and bytes above 127 (so UTF-8 words stay whole), apostrophes within it
// included; ASCII letters count as lower case. The words live in one hash table with open
// addressing that doubles when it is three quarters full, their letters in blocks that are never
// moved. Words that are equally frequent are written in the order of their letters, so the output
// depends on the input alone.
#include <ctype.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { MAX_WORD = 256, BLOCK = 1 << 16, FIRST_SIZE = 1 << 12, SHOWN = 10 };

struct word {
    const char *text; /* NULL in a free slot */
    uint32_t length;
    uint32_t hash;
    uint64_t count;
};

struct counts {
    struct word *slots;
    uint32_t size; /* a power of two */
    uint32_t used;
    uint64_t words, lines, bytes;
};

static void *must(void *memory)
{
    if (!memory) {
        fputs("wordfreq: out of memory\n", stderr);
        exit(1);
    }
    return memory;
}

// Letters are kept until the end of the program: there is nothing to free one by one.
static const char *keep(const char *text, uint32_t length)
{
    static char *block;
    static uint32_t left;

    if (left < length) {
        block = must(malloc(BLOCK));
        left = BLOCK;
    }
    char *copy = block;
    memcpy(copy, text, length);
    block += length;
    left -= length;
    return copy;
}

// The slot that holds the word, or the free one where it belongs.
static struct word *find(struct word *slots, uint32_t size, const char *text, uint32_t length,
                         uint32_t hash)
{
    for (uint32_t at = hash & (size - 1);; at = (at + 1) & (size - 1)) {
        struct word *slot = &slots[at];
        if (!slot->text)
            return slot;
        if (slot->hash == hash && slot->length == length && memcmp(slot->text, text, length) == 0)
            return slot;
    }
}

static void grow(struct counts *counts)
{
    uint32_t size = counts->size ? counts->size * 2 : FIRST_SIZE;
    struct word *slots = must(calloc(size, sizeof(*slots)));

    for (uint32_t i = 0; i < counts->size; i++) {
        struct word *old = &counts->slots[i];
        if (old->text)
            *find(slots, size, old->text, old->length, old->hash) = *old;
    }
    free(counts->slots);
    counts->slots = slots;
    counts->size = size;
}

static void add(struct counts *counts, const char *text, uint32_t length)
{
    uint32_t hash = 2166136261u; /* FNV-1a */

    while (length > 0 && text[length - 1] == '\'')
        length--;
    if (length == 0)
        return;
    for (uint32_t i = 0; i < length; i++)
        hash = (hash ^ (unsigned char)text[i]) * 16777619u;
    if (counts->used >= counts->size / 4 * 3)
        grow(counts);
    struct word *slot = find(counts->slots, counts->size, text, length, hash);
    if (!slot->text) {
        *slot = (struct word){keep(text, length), length, hash, 0};
        counts->used++;
    }
    slot->count++;
    counts->words++;
}

static int is_letter(int c)
{
    return isalnum(c) || c >= 128;
}

static void read_words(struct counts *counts, FILE *input)
{
    static char buffer[BLOCK];
    char word[MAX_WORD];
    uint32_t length = 0;
    size_t n;

    while ((n = fread(buffer, 1, sizeof(buffer), input)) > 0) {
        counts->bytes += n;
        for (size_t i = 0; i < n; i++) {
            int c = (unsigned char)buffer[i];
            counts->lines += c == '\n';
            if ((is_letter(c) || (c == '\'' && length > 0)) && length < MAX_WORD) {
                word[length++] = (char)tolower(c);
            } else if (length > 0) {
                add(counts, word, length);
                length = 0;
            }
        }
    }
    if (length > 0)
        add(counts, word, length);
}

static int by_count(const void *left, const void *right)
{
    const struct word *a = left, *b = right;
    if (a->count != b->count)
        return a->count < b->count ? 1 : -1;
    int order = memcmp(a->text, b->text, a->length < b->length ? a->length : b->length);
    return order ? order : (a->length > b->length) - (a->length < b->length);
}

static void write_result(struct counts *counts, uint32_t shown)
{
    uint32_t filled = 0;

    for (uint32_t i = 0; i < counts->size; i++) {
        if (counts->slots[i].text)
            counts->slots[filled++] = counts->slots[i];
    }
    if (filled > 0)
        qsort(counts->slots, filled, sizeof(*counts->slots), by_count);
    printf("%llu bytes, %llu lines, %llu words, %u of them different\n",
           (unsigned long long)counts->bytes, (unsigned long long)counts->lines,
           (unsigned long long)counts->words, (unsigned)filled);
    for (uint32_t i = 0; i < filled && i < shown; i++) {
        const struct word *word = &counts->slots[i];
        printf("%3u. %-16.*s %8llu  %5.2f %%\n", (unsigned)i + 1, (int)word->length, word->text,
               (unsigned long long)word->count, 100.0 * word->count / counts->words);
    }
}

int main(int argc, char **argv)
{
    struct counts counts = {0};
    long shown = argc > 1 ? strtol(argv[1], NULL, 10) : SHOWN;

    if (argc > 2 || shown < 0) {
        fputs("usage: wordfreq [COUNT] < TEXT\n", stderr);
        return 2;
    }
    read_words(&counts, stdin);
    if (ferror(stdin)) {
        perror("wordfreq: standard input");
        return 1;
    }
    write_result(&counts, (uint32_t)shown);
    return ferror(stdout) || fflush(stdout) ? 1 : 0;
}
