// SPDX-License-Identifier: MIT
// See line.h. A line longer than its row is shown in part, the part with the cursor.
#include "line.h"

#include <stdio.h>
#include <string.h>

enum { CONTROL = 0x1f };
#define CTRL(letter) ((letter) & CONTROL)

static void show(struct line *l, const char *text)
{
    l->show(text, strlen(text));
}

void line_show(struct line *l)
{
    char text[LINE_COLUMNS + 40];
    if (!l->prompt) {
        l->show(l->text, l->size);
        return;
    }
    uint32_t width = LINE_COLUMNS - 1 - (uint32_t)strlen(l->prompt);
    uint32_t from = l->at > width ? l->at - width : 0;
    uint32_t n = l->size - from < width ? l->size - from : width;
    int size = snprintf(text, sizeof text, "\r%s%.*s\33[K\33[%uG", l->prompt, (int)n,
                        l->text + from, (unsigned)(strlen(l->prompt) + l->at - from + 1));
    l->show(text, (size_t)size);
}

void line_begin(struct line *l, const char *prompt)
{
    l->size = l->at = l->back = 0;
    l->text[0] = 0;
    l->prompt = prompt;
    line_show(l);
}

static void set(struct line *l, const char *text)
{
    l->size = l->at = (uint32_t)strlen(text);
    memcpy(l->text, text, l->size + 1);
    line_show(l);
}

static void keep(struct line *l)
{
    uint32_t last = (l->next + LINE_HISTORY - 1) % LINE_HISTORY;
    if (!l->size || (l->kept && !strcmp(l->history[last], l->text)))
        return;
    memcpy(l->history[l->next], l->text, l->size + 1);
    l->next = (l->next + 1) % LINE_HISTORY;
    l->kept += l->kept < LINE_HISTORY;
}

static void go_back(struct line *l, bool further)
{
    if (further ? l->back == l->kept : !l->back)
        return;
    l->back += further ? 1 : -1u;
    set(l, l->back ? l->history[(l->next + LINE_HISTORY - l->back) % LINE_HISTORY] : "");
}

// What is in [from, to) goes.
static void cut(struct line *l, uint32_t from, uint32_t to)
{
    memmove(l->text + from, l->text + to, l->size - to + 1);
    l->size -= to - from;
    l->at = from;
    if (l->prompt)
        line_show(l);
    else
        for (; from < to; from++)
            show(l, "\b \b");
}

static void insert(struct line *l, char c)
{
    if (l->size == LINE_MOST) {
        show(l, "\a");
        return;
    }
    memmove(l->text + l->at + 1, l->text + l->at, l->size - l->at + 1);
    l->text[l->at++] = c;
    l->size++;
    if (l->prompt && l->at != l->size)
        line_show(l);
    else if (l->prompt && strlen(l->prompt) + l->size >= LINE_COLUMNS)
        line_show(l);
    else
        l->show(&c, 1);
}

static uint32_t word_before(const struct line *l)
{
    uint32_t from = l->at;
    while (from && l->text[from - 1] == ' ')
        from--;
    while (from && l->text[from - 1] != ' ')
        from--;
    return from;
}

static void go_to(struct line *l, uint32_t at)
{
    l->at = at;
    line_show(l);
}

// Keys that there are only where a line is edited.
static void edit(struct line *l, const char *key, size_t size)
{
    static const struct {
        const char *key;
        char as;
    } same[] = {{"\33[A", CTRL('p')}, {"\33[B", CTRL('n')},  {"\33[C", CTRL('f')},
                {"\33[D", CTRL('b')}, {"\33[1~", CTRL('a')}, {"\33[4~", CTRL('e')},
                {"\33[3~", CTRL('d')}};
    char c = size == 1 ? *key : 0;
    for (uint32_t i = 0; i < sizeof same / sizeof *same; i++)
        if (strlen(same[i].key) == size && !memcmp(same[i].key, key, size))
            c = same[i].as;
    switch (c) {
    case CTRL('a'): go_to(l, 0); break;
    case CTRL('b'): go_to(l, l->at - (l->at > 0)); break;
    case CTRL('d'): cut(l, l->at, l->at + (l->at < l->size)); break;
    case CTRL('e'): go_to(l, l->size); break;
    case CTRL('f'): go_to(l, l->at + (l->at < l->size)); break;
    case CTRL('k'):
        l->text[l->size = l->at] = 0;
        line_show(l);
        break;
    case CTRL('l'):
        show(l, "\33[H\33[2J");
        line_show(l);
        break;
    case CTRL('n'): go_back(l, false); break;
    case CTRL('p'): go_back(l, true); break;
    default: break;
    }
}

enum line_result line_key(struct line *l, const char *key, size_t size)
{
    char c = size == 1 ? *key : 0;
    if ((c == CTRL('d') && !l->size) || c == CTRL('c')) {
        show(l, c == CTRL('c') ? "^C\n" : "");
        return c == CTRL('c') ? LINE_INTERRUPTED : LINE_ENDED;
    }
    if (c == '\r' || c == '\n') {
        show(l, "\n");
        if (l->prompt)
            keep(l);
        return LINE_ENTERED;
    }
    if (c == 0x7f || c == '\b') {
        if (l->at)
            cut(l, l->at - 1, l->at);
    } else if (c == CTRL('u')) {
        cut(l, 0, l->at);
    } else if (c == CTRL('w')) {
        cut(l, word_before(l), l->at);
    } else if (c >= ' ' || (c == '\t' && !l->prompt)) {
        insert(l, c);
    } else if (l->prompt) {
        edit(l, key, size);
    }
    return LINE_GOES_ON;
}
