// SPDX-License-Identifier: MIT
// HTTP/1 as bytes: see parse.h.
#include "parse.h"

#include <string.h>

// --- Characters

// Loops end turns (sip.h), so each round of one is dear: four bytes are looked at in one.
enum { TCHAR = 1, VALUE = 2, TARGET = 4, HOST = 8 }; // HOST: of a name or an address (RFC 3986)
static const uint8_t kinds[256] = {
    ['\t'] = VALUE,
    [' '] = VALUE,
    ['!'] = TCHAR | VALUE | TARGET | HOST,
    ['"'] = VALUE | TARGET,
    ['#'] = TCHAR | VALUE,
    ['$' ... '\''] = TCHAR | VALUE | TARGET | HOST,
    ['(' ... ')'] = VALUE | TARGET | HOST,
    ['*' ... '+'] = TCHAR | VALUE | TARGET | HOST,
    [','] = VALUE | TARGET | HOST,
    ['-' ... '.'] = TCHAR | VALUE | TARGET | HOST,
    ['/'] = VALUE | TARGET,
    ['0' ... '9'] = TCHAR | VALUE | TARGET | HOST,
    [':'] = VALUE | TARGET,
    [';'] = VALUE | TARGET | HOST,
    ['<'] = VALUE | TARGET,
    ['='] = VALUE | TARGET | HOST,
    ['>' ... '@'] = VALUE | TARGET,
    ['A' ... 'Z'] = TCHAR | VALUE | TARGET | HOST,
    ['[' ... ']'] = VALUE | TARGET,
    ['^'] = TCHAR | VALUE | TARGET,
    ['_'] = TCHAR | VALUE | TARGET | HOST,
    ['`'] = TCHAR | VALUE | TARGET,
    ['a' ... 'z'] = TCHAR | VALUE | TARGET | HOST,
    ['{'] = VALUE | TARGET,
    ['|'] = TCHAR | VALUE | TARGET,
    ['}'] = VALUE | TARGET,
    ['~'] = TCHAR | VALUE | TARGET | HOST,
    [128 ... 255] = VALUE,
};

static bool are_all(const char *text, size_t n, uint8_t kind)
{
    const uint8_t *p = (const uint8_t *)text, *end = p + n;
    for (; end - p >= 4; p += 4)
        if (!(kinds[p[0]] & kinds[p[1]] & kinds[p[2]] & kinds[p[3]] & kind))
            return false;
    for (; p < end; p++)
        if (!(kinds[*p] & kind))
            return false;
    return true;
}

static bool is_tchar(unsigned char c)
{
    return kinds[c] & TCHAR;
}

// The lowest bit that is set is that of the first byte that is c.
static inline uint64_t matches(const char *p, char c)
{
    const uint64_t ones = 0x0101010101010101;
    uint64_t x;
    memcpy(&x, p, 8);
    x ^= ones * (uint8_t)c;
    return (x - ones) & ~x & ones << 7;
}

// The last eight may have been looked at in part, without finding it.
const char *find_byte(const char *p, size_t n, char c)
{
    const char *end = p + n;
    uint64_t x;
    for (; end - p >= 8; p += 8)
        if ((x = matches(p, c)))
            return p + __builtin_ctzll(x) / 8;
    if (n >= 8)
        return (x = matches(end - 8, c)) ? end - 8 + __builtin_ctzll(x) / 8 : NULL;
    for (; p < end; p++)
        if (*p == c)
            return p;
    return NULL;
}

static char lower(char c)
{
    return c >= 'A' && c <= 'Z' ? (char)(c | 0x20) : c;
}

static int hex_of(char c)
{
    if (c >= '0' && c <= '9')
        return c - '0';
    c = lower(c);
    return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

bool is_token(struct text t)
{
    return t.n && are_all(t.p, t.n, TCHAR);
}

bool is_value(struct text t)
{
    return are_all(t.p, t.n, VALUE);
}

bool bytes_are_nocase(const char *p, const char *s, size_t n)
{
    for (size_t i = 0; i < n; i++)
        if (lower(p[i]) != s[i])
            return false;
    return true;
}

bool text_number(struct text t, uint64_t *out)
{
    uint64_t n = 0;
    *out = 0;
    if (t.n == 0 || t.n > 18)
        return false;
    for (const char *p = t.p, *end = p + t.n; p < end; p++) {
        if (*p < '0' || *p > '9')
            return false;
        n = n * 10 + (uint64_t)(*p - '0');
    }
    *out = n;
    return true;
}

static struct text trim(struct text t)
{
    while (t.n && (*t.p == ' ' || *t.p == '\t'))
        t.p++, t.n--;
    while (t.n && (t.p[t.n - 1] == ' ' || t.p[t.n - 1] == '\t'))
        t.n--;
    return t;
}

// --- Heads

size_t head_end(const char *p, size_t n, size_t *seen)
{
    for (size_t i = *seen; i < n;) {
        const char *line = find_byte(p + i, n - i, '\n');
        if (!line)
            break;
        i = (size_t)(line - p) + 1;
        size_t next = i + (i < n && p[i] == '\r');
        if (next < n && p[next] == '\n')
            return next + 1;
        if (next >= n) {
            *seen = i - 1; // what follows this line is not there yet
            return 0;
        }
    }
    *seen = n;
    return 0;
}

// The part up to a character, which is taken as well. False: it is not there.
static bool take_until(struct text *from, char end, struct text *out)
{
    const char *at = find_byte(from->p, from->n, end);
    if (!at)
        return false;
    *out = (struct text){from->p, (size_t)(at - from->p)};
    from->p += out->n + 1;
    from->n -= out->n + 1;
    return true;
}

// Without its CR LF. False: it ends otherwise, or has a CR elsewhere.
static bool take_line(struct text *from, struct text *line)
{
    if (!take_until(from, '\r', line) || !from->n || *from->p != '\n')
        return false;
    from->p++, from->n--;
    return !find_byte(line->p, line->n, '\n');
}

static bool is_digit(char c)
{
    return c >= '0' && c <= '9';
}

// Of a name, an address, or one of IPv6 in brackets.
static bool is_host_char(char c, bool bracketed)
{
    if (bracketed)
        return hex_of(c) >= 0 || c == ':' || c == '.';
    return kinds[(uint8_t)c] & HOST;
}

// With a port or without.
static bool is_host(struct text t)
{
    bool bracketed = t.n && *t.p == '[';
    size_t i = bracketed;
    while (i < t.n && is_host_char(t.p[i], bracketed))
        i++;
    if (bracketed && (i == t.n || t.p[i++] != ']'))
        return false;
    if (i < t.n && t.p[i] == ':')
        i++;
    else
        return i == t.n;
    while (i < t.n && is_digit(t.p[i]))
        i++;
    return i == t.n;
}

static int take_target(struct request *r)
{
    struct text t = r->target;
    static const char http[] = "http://";
    if (t.n > TARGET_MAX)
        return 414;
    if (!are_all(t.p, t.n, TARGET))
        return 400;
    if (t.n > sizeof http - 1 && text_is_nocase((struct text){t.p, sizeof http - 1}, http)) {
        t.p += sizeof http - 1, t.n -= sizeof http - 1;
        size_t n = 0;
        while (n < t.n && t.p[n] != '/' && t.p[n] != '?')
            n++;
        r->host = (struct text){t.p, n};
        if (!n || !is_host(r->host))
            return 400;
        t.p += n, t.n -= n;
        if (!t.n)
            t = (struct text){"/", 1};
    } else if (!t.n || (*t.p != '/' && !(text_is(t, "*") && text_is(r->method, "OPTIONS")))) {
        return 400;
    }
    const char *question = find_byte(t.p, t.n, '?');
    r->path = (struct text){t.p, question ? (size_t)(question - t.p) : t.n};
    if (question)
        r->query = (struct text){question + 1, t.n - r->path.n - 1};
    if (!r->path.n)
        r->path = (struct text){"/", 1};
    return 0;
}

static int take_version(struct text t, struct request *r)
{
    static const char http[] = "HTTP/";
    if (t.n != 8 || memcmp(t.p, http, 5) || t.p[6] != '.' || t.p[5] < '0' || t.p[5] > '9' ||
        t.p[7] < '0' || t.p[7] > '9')
        return 400;
    r->minor = t.p[7] != '0';
    return t.p[5] == '1' ? 0 : 505;
}

static int take_first_line(struct text line, struct request *r)
{
    if (!take_until(&line, ' ', &r->method) || !is_token(r->method) || r->method.n > 32 ||
        !take_until(&line, ' ', &r->target))
        return 400;
    int wrong = take_version(line, r);
    return wrong ? wrong : take_target(r);
}

static void take_options(struct text value, struct request *r)
{
    while (value.n) {
        struct text one;
        if (!take_until(&value, ',', &one)) {
            one = value;
            value.n = 0;
        }
        one = trim(one);
        r->close |= text_is_nocase(one, "close");
        r->keep_alive |= text_is_nocase(one, "keep-alive");
    }
}

struct seen {
    bool host, length, encoding;
};

// What a field says of the message itself.
static int take_meaning(const struct field *f, struct request *r, struct seen *seen)
{
    if (text_is_nocase(f->name, "content-length")) {
        if (seen->length || !text_number(f->value, &r->length))
            return 400;
        seen->length = r->has_length = true;
    } else if (text_is_nocase(f->name, "transfer-encoding")) {
        if (seen->encoding || !r->minor)
            return 400;
        seen->encoding = true;
        if (!text_is_nocase(f->value, "chunked"))
            return 501;
        r->chunked = true;
    } else if (text_is_nocase(f->name, "host")) {
        if (seen->host || !is_host(f->value))
            return 400;
        seen->host = true;
        if (!r->host.p)
            r->host = f->value;
    } else if (text_is_nocase(f->name, "connection")) {
        take_options(f->value, r);
    } else if (text_is_nocase(f->name, "expect")) {
        if (!text_is_nocase(f->value, "100-continue"))
            return 417;
        r->expects = r->minor > 0;
    }
    return 0;
}

static int take_field(struct text line, struct request *r, struct seen *seen)
{
    if (r->count == FIELDS_MAX)
        return 431;
    struct field *f = &r->fields[r->count];
    if (!take_until(&line, ':', &f->name) ||
        !is_token(f->name)) // a folded line begins with a space
        return 400;
    f->value = trim(line);
    if (!is_value(f->value))
        return 400;
    r->count++;
    return take_meaning(f, r, seen);
}

int head_parse(const char *p, size_t n, struct request *r)
{
    struct text rest = {p, n}, line;
    struct seen seen = {0};
    memset(r, 0, offsetof(struct request, fields));
    if (rest.n >= 2 && !memcmp(rest.p, "\r\n", 2)) // one empty line too many, behind a body
        rest.p += 2, rest.n -= 2;
    if (!take_line(&rest, &line))
        return 400;
    int wrong = take_first_line(line, r);
    while (!wrong) {
        if (!take_line(&rest, &line))
            return 400;
        if (!line.n)
            break;
        wrong = take_field(line, r, &seen);
    }
    if (wrong)
        return wrong;
    if ((r->minor && !seen.host) || (seen.length && seen.encoding) || rest.n)
        return 400;
    return 0;
}

struct text request_field(const struct request *r, const char *name)
{
    for (uint32_t i = 0; i < r->count; i++)
        if (text_is_nocase(r->fields[i].name, name))
            return r->fields[i].value;
    return (struct text){NULL, 0};
}

// --- Paths

int path_decode(struct text path, char *out, size_t room)
{
    size_t n = 0;
    if (!path.n || *path.p != '/')
        return -1;
    for (size_t i = 0; i < path.n; i++) {
        char c = path.p[i];
        if (c == '%') {
            int high = i + 2 < path.n ? hex_of(path.p[i + 1]) : -1;
            int low = i + 2 < path.n ? hex_of(path.p[i + 2]) : -1;
            if (high < 0 || low < 0)
                return -1;
            c = (char)(high << 4 | low);
            i += 2;
        }
        if (!c || n + 1 >= room)
            return -1;
        out[n++] = c;
    }
    out[n] = 0;
    // Component by component, in place: what was written is never ahead of what is read.
    size_t to = 0;
    for (size_t i = 0; i < n;) {
        size_t end = i + 1;
        while (end < n && out[end] != '/')
            end++;
        size_t length = end - i - 1;
        const char *name = out + i + 1;
        bool up = length == 2 && name[0] == '.' && name[1] == '.';
        if (up || (length == 1 && name[0] == '.')) {
            if (up && !to)
                return -1;
            while (up && out[--to] != '/')
                ;
            if (end == n)
                out[to++] = '/'; // a folder
        } else if (length || end == n) {
            memmove(out + to, out + i, end - i);
            to += end - i;
        }
        i = end;
    }
    if (!to)
        out[to++] = '/';
    out[to] = 0;
    return (int)to;
}

// --- Bodies

enum {
    SIZE,
    EXTENSION,
    SIZE_LF,
    DATA,
    DATA_CR,
    DATA_LF,
    TRAILER,
    TRAILER_TEXT,
    TRAILER_LF,
    LAST_LF
};

static enum chunk step(struct chunks *c, char b)
{
    int digit = hex_of(b);
    bool text = (unsigned char)b >= ' ' ? b != 127 : b == '\t';
    switch (c->state) {
    case SIZE:
        if (digit >= 0) {
            c->left = c->left << 4 | (uint64_t)digit;
            return ++c->digits > 15 ? CHUNK_BAD : CHUNK_MORE;
        }
        if (!c->digits || (b != '\r' && b != ';'))
            return CHUNK_BAD;
        c->state = b == '\r' ? SIZE_LF : EXTENSION;
        return CHUNK_MORE;
    case EXTENSION:
        if (b == '\r')
            c->state = SIZE_LF;
        return text || b == '\r' ? CHUNK_MORE : CHUNK_BAD;
    case SIZE_LF:
        c->digits = 0;
        c->state = c->left ? DATA : TRAILER;
        return b == '\n' ? CHUNK_MORE : CHUNK_BAD;
    case DATA_CR: c->state = DATA_LF; return b == '\r' ? CHUNK_MORE : CHUNK_BAD;
    case DATA_LF: c->state = SIZE; return b == '\n' ? CHUNK_MORE : CHUNK_BAD;
    case TRAILER:
        c->state = b == '\r' ? LAST_LF : TRAILER_TEXT;
        return b == '\r' || is_tchar((unsigned char)b) ? CHUNK_MORE : CHUNK_BAD;
    case TRAILER_TEXT:
        if (b == '\r')
            c->state = TRAILER_LF;
        return text || b == '\r' ? CHUNK_MORE : CHUNK_BAD;
    case TRAILER_LF: c->state = TRAILER; return b == '\n' ? CHUNK_MORE : CHUNK_BAD;
    default: return b == '\n' ? CHUNK_END : CHUNK_BAD;
    }
}

enum chunk chunks_take(struct chunks *c, const char *p, size_t n, size_t *used, struct text *data)
{
    for (*used = 0; *used < n;) {
        if (c->state == DATA) {
            size_t left = n - *used, m = c->left < left ? (size_t)c->left : left;
            *data = (struct text){p + *used, m};
            *used += m;
            if (!(c->left -= m))
                c->state = DATA_CR;
            return CHUNK_DATA;
        }
        // What is no data has a bound: in all, beyond the sizes that chunks of some length have.
        if (c->state == EXTENSION || c->state >= TRAILER)
            c->extra++;
        enum chunk what = c->extra > EXTRA_MAX ? CHUNK_BAD : step(c, p[(*used)++]);
        if (what != CHUNK_MORE)
            return what;
    }
    return CHUNK_MORE;
}
