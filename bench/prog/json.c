/* SPDX-License-Identifier: MIT */
/*
 * json: a document is generated, parsed into a tree in an arena, walked, and written again:
 * character classes, small branches, recursion, linked nodes, number parsing.
 */
#include "bench.h"

enum { TEXT_MAX = 1 << 20, NODES_MAX = 1 << 17, DEPTH_MAX = 64 };

enum kind { NUL, FALSE, TRUE, NUMBER, STRING, ARRAY, OBJECT };

struct node {
    enum kind kind;
    u32 size;        /* bytes of a string, elements of an array or object */
    const char *key; /* of a member of an object, else NULL */
    u32 key_len;
    struct node *next;
    union {
        double number;
        const char *string;
        struct node *first;
    };
};

struct parser {
    const char *at, *end;
    u32 depth;
};

static char text[TEXT_MAX], written[TEXT_MAX + 64];
static struct node nodes[NODES_MAX];
static u32 node_count;

/* Writing: what both the generator and the serializer use. */

static char *put(char *to, const char *s)
{
    while (*s != 0)
        *to++ = *s++;
    return to;
}

static char *put_u32(char *to, u32 n)
{
    char digits[10];
    int len = 0;

    do {
        digits[len++] = (char)('0' + n % 10);
        n /= 10;
    } while (n != 0);
    while (len > 0)
        *to++ = digits[--len];
    return to;
}

/* Two digits after the point; the numbers here have no more. */
static char *put_number(char *to, double value)
{
    u32 hundredths;

    if (value < 0) {
        *to++ = '-';
        value = -value;
    }
    hundredths = (u32)(value * 100 + 0.5);
    to = put_u32(to, hundredths / 100);
    if (hundredths % 100 != 0) {
        *to++ = '.';
        *to++ = (char)('0' + hundredths / 10 % 10);
        *to++ = (char)('0' + hundredths % 10);
    }
    return to;
}

static char *put_record(char *to, u32 id, u64 *seed)
{
    static const char *const names[] = {"alpha", "beta", "gamma \\\"quoted\\\"", "d\\u00e9lta"};
    static const char *const flags[] = {"true", "false", "null"};

    to = put(put_u32(put(to, "{\"id\": "), id), ", \"name\": \"");
    to = put(put(to, names[bench_random(seed) % COUNT(names)]), "\", \"active\": ");
    to = put(put(to, flags[bench_random(seed) % COUNT(flags)]), ", \"values\": [");
    for (u32 n = bench_random(seed) % 6; n > 0; n--) {
        double value = (bench_random(seed) % 2000000) / 100.0 - 5000;

        to = put_number(to, value);
        to = n > 1 ? put(to, ", ") : to;
    }
    to = put(to, "], \"place\": {\"x\": ");
    to = put(put_u32(to, bench_random(seed) % 1000), ", \"y\": {\"deep\": [[], {}]}}}");
    return to;
}

static u32 make_text(u32 records)
{
    char *to = put(text, "[\n");
    u64 seed = 41;

    for (u32 i = 0; i < records && to < text + TEXT_MAX - 512; i++) {
        to = put(to, i > 0 ? ",\n  " : "  ");
        to = put_record(to, i, &seed);
    }
    return (u32)(put(to, "\n]") - text);
}

/* Parsing: by recursive descent; every function leaves `at` behind what it read. */

static struct node *parse_value(struct parser *p);

static char skip_space(struct parser *p)
{
    while (p->at < p->end && (*p->at == ' ' || *p->at == '\n' || *p->at == '\t'))
        p->at++;
    return p->at < p->end ? *p->at : 0;
}

static void expect(struct parser *p, char c)
{
    if (skip_space(p) != c)
        bench_fail("json: syntax");
    p->at++;
}

static struct node *new_node(enum kind kind)
{
    struct node *n = &nodes[node_count];

    if (++node_count > NODES_MAX)
        bench_fail("json: nodes");
    memset(n, 0, sizeof(*n));
    n->kind = kind;
    return n;
}

/* The raw bytes between the quotes: escapes are skipped, not decoded. */
static const char *parse_string(struct parser *p, u32 *len)
{
    const char *start;

    expect(p, '"');
    start = p->at;
    while (p->at < p->end && *p->at != '"')
        p->at += *p->at == '\\' ? 2 : 1;
    *len = (u32)(p->at - start);
    p->at++;
    return start;
}

static struct node *parse_number(struct parser *p)
{
    struct node *n = new_node(NUMBER);
    int negative = *p->at == '-';
    double value = 0, unit = 1;

    p->at += negative;
    for (; p->at < p->end && *p->at >= '0' && *p->at <= '9'; p->at++)
        value = value * 10 + (*p->at - '0');
    if (p->at < p->end && *p->at == '.')
        for (p->at++; p->at < p->end && *p->at >= '0' && *p->at <= '9'; p->at++) {
            value = value * 10 + (*p->at - '0');
            unit *= 10;
        }
    n->number = (negative ? -value : value) / unit;
    return n;
}

static struct node *parse_word(struct parser *p, const char *word, enum kind kind)
{
    for (; *word != 0; word++, p->at++)
        if (p->at >= p->end || *p->at != *word)
            bench_fail("json: word");
    return new_node(kind);
}

static struct node *parse_list(struct parser *p, enum kind kind, char close)
{
    struct node *list = new_node(kind);
    struct node **link = &list->first;

    if (++p->depth > DEPTH_MAX)
        bench_fail("json: depth");
    p->at++;
    while (skip_space(p) != close) {
        const char *key = NULL;
        u32 key_len = 0;

        if (list->size++ > 0)
            expect(p, ',');
        if (kind == OBJECT) {
            key = parse_string(p, &key_len);
            expect(p, ':');
        }
        *link = parse_value(p);
        (*link)->key = key;
        (*link)->key_len = key_len;
        link = &(*link)->next;
    }
    p->at++;
    p->depth--;
    return list;
}

static struct node *parse_value(struct parser *p)
{
    struct node *n;

    switch (skip_space(p)) {
    case '{': return parse_list(p, OBJECT, '}');
    case '[': return parse_list(p, ARRAY, ']');
    case 't': return parse_word(p, "true", TRUE);
    case 'f': return parse_word(p, "false", FALSE);
    case 'n': return parse_word(p, "null", NUL);
    case '"':
        n = new_node(STRING);
        n->string = parse_string(p, &n->size);
        return n;
    default: return parse_number(p);
    }
}

/* Walking. */

static u64 checksum(const struct node *n, u64 sum)
{
    for (; n != NULL; n = n->next) {
        sum = bench_mix(sum, (u64)n->kind << 32 | n->key_len);
        if (n->kind == NUMBER)
            sum = bench_mix_double(sum, n->number);
        else if (n->kind == STRING)
            sum = bench_mix(sum, (u8)n->string[n->size / 2]);
        else if (n->kind == ARRAY || n->kind == OBJECT)
            sum = checksum(n->first, sum + n->size);
    }
    return sum;
}

static char *put_quoted(char *to, const char *s, u32 len)
{
    *to++ = '"';
    for (u32 i = 0; i < len; i++)
        *to++ = s[i];
    *to++ = '"';
    return to;
}

static char *serialize(char *to, const struct node *n)
{
    switch (n->kind) {
    case NUL: return put(to, "null");
    case FALSE: return put(to, "false");
    case TRUE: return put(to, "true");
    case NUMBER: return put_number(to, n->number);
    case STRING: return put_quoted(to, n->string, n->size);
    case ARRAY:
    case OBJECT: break;
    }
    *to++ = n->kind == ARRAY ? '[' : '{';
    for (const struct node *e = n->first; e != NULL; e = e->next) {
        if (e->key != NULL)
            to = put(put_quoted(to, e->key, e->key_len), ":");
        to = serialize(to, e);
        if (e->next != NULL)
            *to++ = ',';
    }
    *to++ = n->kind == ARRAY ? ']' : '}';
    return to;
}

static u64 bench_body(double scale)
{
    u32 rounds = bench_count(scale, 120);
    u32 size = make_text(scale < 0.05 ? bench_count(scale * 20, 4000) : 4000);
    u64 sum = 0;

    for (u32 r = 0; r < rounds; r++) {
        struct parser p = {text, text + size, 0};
        struct node *root;
        u32 len;

        node_count = 0;
        root = parse_value(&p);
        len = (u32)(serialize(written, root) - written);
        sum = bench_mix(checksum(root, sum), (u64)len << 8 | (u8)written[len / 2]);
    }
    return sum;
}
