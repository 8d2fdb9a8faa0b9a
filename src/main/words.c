// SPDX-License-Identifier: MIT
// See words.h. A list is one text, each word with a space behind it, so that it can be printed.
#include "main/words.h"

#include "base/fmt.h"

#define WORD(name, text) text " "
static const char ours[] = WORDS(WORD);
#undef WORD

char *words_next(struct words *w)
{
    while (!w->zeros && w->at < w->end && *w->at == ' ')
        w->at++;
    if (w->at >= w->end)
        return NULL;
    char *word = w->at;
    while (w->at < w->end && *w->at && (w->zeros || *w->at != ' '))
        w->at++;
    if (w->at < w->end)
        *w->at++ = 0;
    w->count++;
    return word;
}

// *place: how many there are before it.
static bool find(const char *list, const char *word, const char **value, u32 *place)
{
    for (*place = 0; *list; ++*place) {
        const char *p = word;
        for (; *list != ' ' && *list != '*' && *list == *p; list++)
            p++;
        *value = p;
        if (*list == '*' || (*list == ' ' && (!*p || list[-1] == '=' || list[-1] == '.')))
            return true;
        while (*list++ != ' ')
            ;
    }
    return false;
}

enum word word_find(const char *word, const char **value)
{
    static const char others[] = WORDS_OF_OTHERS;
    u32 place;
    if (find(ours, word, value, &place))
        return (enum word)place;
    return find(others, word, value, &place) ? WORD_OF_OTHERS : WORD_UNKNOWN;
}

bool word_number(const char *text, u64 *out)
{
    u64 n = 0;
    const char *p = text;
    for (; *p >= '0' && *p <= '9'; p++)
        if (__builtin_mul_overflow(n, 10, &n) || __builtin_add_overflow(n, (u64)(*p - '0'), &n))
            return false;
    *out = n;
    return p != text && !*p;
}

size_t words_wrong(const struct words *w, const char *word, const char *why, char *text, size_t n)
{
    enum { SHOWN = 64 };
    char shown[SHOWN + 1];
    size_t length = strlen(word), i = 0;
    for (; i < length && i < SHOWN; i++)
        shown[i] = fmt_shown(word, length, i);
    shown[i] = 0;
    return fmt(text, n, "word %u of %s, \"%s%s\": %s%s", w->count,
               w->file ? w->file : "the command line", shown, i < length ? "..." : "",
               why ? why : "unknown; there are ", why ? "" : ours);
}
