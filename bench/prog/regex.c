/* SPDX-License-Identifier: MIT */
/*
 * regex: regular expressions are compiled to a small code, which a matcher with a stack of choices
 * runs over lines of text: a switch in a loop, loads of single bytes, branches that follow the
 * data.
 */
#include "bench.h"

enum kind { CHAR, ANY, SET, SPLIT, JUMP, START, FINISH, MATCH };
enum { CODES = 128, SETS = 16, CHOICES = 256, TEXT = 1 << 15 };

/* SPLIT tries a first, then b; JUMP goes to a; SET is set number a. */
struct code {
    u8 kind, value;
    u16 a, b;
};

struct regex {
    struct code codes[CODES];
    u8 sets[SETS][32];
    u32 count, nsets;
    const char *at; /* the pattern, while it is read */
};

static void emit_at(struct regex *r, u32 place, struct code code)
{
    if (r->count == CODES)
        bench_fail("regex: too long");
    memmove(r->codes + place + 1, r->codes + place, (r->count - place) * sizeof(code));
    r->codes[place] = code;
    r->count++;
}

static void emit(struct regex *r, u32 kind, u32 value, u32 a, u32 b)
{
    emit_at(r, r->count, (struct code){(u8)kind, (u8)value, (u16)a, (u16)b});
}

static void set_range(u8 *set, u32 from, u32 to)
{
    for (; from <= to; from++)
        set[from / 8] |= (u8)(1 << from % 8);
}

/* [a-z0-9_] or [^...]; the bracket is behind us. */
static void parse_set(struct regex *r)
{
    u8 *set = r->sets[r->nsets];
    int negated = *r->at == '^';

    if (r->nsets == SETS)
        bench_fail("regex: too many sets");
    for (r->at += negated; *r->at != ']'; r->at++) {
        u32 from = (u8)*r->at, to = from;

        if (r->at[1] == '-' && r->at[2] != ']')
            to = (u8) * (r->at += 2);
        set_range(set, from, to);
    }
    r->at++;
    for (u32 i = 0; negated && i < 32; i++)
        set[i] = (u8)~set[i];
    emit(r, SET, 0, r->nsets++, 0);
}

static void parse_choice(struct regex *r);

static void parse_atom(struct regex *r)
{
    char c = *r->at++;

    if (c == '(') {
        parse_choice(r);
        r->at++;
    } else if (c == '[') {
        parse_set(r);
    } else if (c == '.') {
        emit(r, ANY, 0, 0, 0);
    } else if (c == '^') {
        emit(r, START, 0, 0, 0);
    } else if (c == '$') {
        emit(r, FINISH, 0, 0, 0);
    } else {
        emit(r, CHAR, (u8)(c == '\\' ? *r->at++ : c), 0, 0);
    }
}

/* Targets of code that moved up by one. */
static void shift(struct regex *r, u32 from)
{
    for (u32 i = from; i < r->count; i++)
        if (r->codes[i].kind == SPLIT || r->codes[i].kind == JUMP) {
            r->codes[i].a++;
            r->codes[i].b++;
        }
}

static void parse_sequence(struct regex *r)
{
    while (*r->at != 0 && *r->at != '|' && *r->at != ')') {
        u32 start = r->count;

        parse_atom(r);
        if (*r->at == '*' || *r->at == '?') {
            int again = *r->at == '*';

            shift(r, start);
            emit_at(r, start, (struct code){SPLIT, 0, (u16)(start + 1), 0});
            if (again)
                emit(r, JUMP, 0, start, 0);
            r->codes[start].b = (u16)r->count;
            r->at++;
        } else if (*r->at == '+') {
            emit(r, SPLIT, 0, start, r->count + 1);
            r->at++;
        }
    }
}

static void parse_choice(struct regex *r)
{
    u32 start = r->count;

    parse_sequence(r);
    while (*r->at == '|') {
        u32 jump;

        r->at++;
        shift(r, start);
        emit_at(r, start, (struct code){SPLIT, 0, (u16)(start + 1), (u16)(r->count + 2)});
        jump = r->count;
        emit(r, JUMP, 0, 0, 0);
        parse_sequence(r);
        r->codes[jump].a = (u16)r->count;
    }
}

static void compile(struct regex *r, const char *pattern)
{
    memset(r, 0, sizeof(*r));
    r->at = pattern;
    parse_choice(r);
    emit(r, MATCH, 0, 0, 0);
}

struct choice {
    u32 code, at;
};

/* Length of the match at `from`, or -1. */
static s32 match(const struct regex *r, const u8 *text, u32 size, u32 from)
{
    struct choice choices[CHOICES];
    u32 n = 0, pc = 0, at = from;

    for (;;) {
        const struct code *code = &r->codes[pc++];
        int fits = 1;

        switch ((enum kind)code->kind) {
        case CHAR: fits = at < size && text[at++] == code->value; break;
        case ANY: fits = at < size && text[at++] != '\n'; break;
        case SET:
            fits = at < size && r->sets[code->a][text[at] / 8] >> (text[at] % 8) & 1;
            at++;
            break;
        case SPLIT:
            if (n == CHOICES)
                bench_fail("regex: too many choices");
            choices[n++] = (struct choice){code->b, at};
            pc = code->a;
            break;
        case JUMP: pc = code->a; break;
        case START: fits = at == 0 || text[at - 1] == '\n'; break;
        case FINISH: fits = at == size || text[at] == '\n'; break;
        case MATCH: return (s32)(at - from);
        }
        if (!fits) {
            if (n == 0)
                return -1;
            pc = choices[--n].code;
            at = choices[n].at;
        }
    }
}

static u32 append(u8 *text, u32 at, const char *word)
{
    while (*word != 0)
        text[at++] = (u8)*word++;
    return at;
}

/* Lines of a log; returns the size. */
static u32 write_text(u8 *text, u64 *seed)
{
    static const char *const words[] = {"open",   "lost 17 of 250", "https://example.org/a?b=c",
                                        "error",  "10.20.30.40",    "warning",
                                        "x",      "john@mail.test", "Retry",
                                        "0x1f3c", "3.14159e-10",    "user_name",
                                        "failed", "2026-11-29",     "08:15:42",
                                        "...",    "\"quoted\"",     "done"};
    u32 at = 0;

    while (at < TEXT - 256) {
        for (u32 n = 3 + bench_random(seed) % 6; n > 0; n--) {
            at = append(text, at, words[bench_random(seed) % COUNT(words)]);
            text[at++] = n > 1 ? ' ' : '\n';
        }
    }
    return at;
}

static void check(void)
{
    static struct regex r;

    compile(&r, "^(ab|c[^d-f]+)*x?$");
    if (match(&r, (const u8 *)"abcghab", 7, 0) != 7 || match(&r, (const u8 *)"abcd", 4, 0) != -1)
        bench_fail("regex: does not match what it should");
}

static u64 bench_body(double scale)
{
    static const char *const patterns[] = {
        "(https?|ftp)://[a-z0-9.]+(/[^ \n]*)?",
        "[0-9]+\\.[0-9]+\\.[0-9]+\\.[0-9]+",
        "[a-z0-9_]+@[a-z0-9]+(\\.[a-z]+)+",
        "[0-9][0-9][0-9][0-9]-(0[1-9]|1[0-2])-[0-3][0-9]",
        "^.*(error|failed).*$",
        "lost [0-9]+ of [0-9]+",
        "\"[^\"\n]*\"",
        "[-+]?[0-9]+(\\.[0-9]+)?([eE][-+]?[0-9]+)?",
    };
    static struct regex regexes[COUNT(patterns)];
    static u8 text[TEXT];
    u32 rounds = bench_count(scale, 100);
    u64 seed = 23, sum = 0;
    u32 size = write_text(text, &seed);

    check();
    for (u32 p = 0; p < COUNT(patterns); p++)
        compile(&regexes[p], patterns[p]);
    for (u32 round = 0; round < rounds; round++)
        for (u32 p = 0; p < COUNT(patterns); p++) {
            u32 found = 0;

            for (u32 at = 0; at < size;) {
                s32 length = match(&regexes[p], text, size, at);

                if (length > 0) {
                    sum = bench_mix(sum, (u64)at << 32 | (u32)length);
                    found++;
                    at += (u32)length;
                } else {
                    at++;
                }
            }
            if (found == 0)
                bench_fail("regex: found nothing");
        }
    return sum;
}
