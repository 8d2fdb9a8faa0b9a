// SPDX-License-Identifier: MIT
// HTTP/1 as bytes: see parse.h.
#include "parse.h"

#include <string.h>

// --- Characters

// Loops end turns (sip.h), so each round of one is dear: four bytes are looked at in one.
// NAME: of a host's name or address (RFC 3986). PLAIN: of a target, but no slash and no escape.
enum { TCHAR = 1, VALUE = 2, TARGET = 4, NAME = 8, PLAIN = 16, PART = TARGET | PLAIN };
static const uint8_t kinds[256] = {
    ['\t'] = VALUE,
    [' '] = VALUE,
    ['!'] = TCHAR | VALUE | PART | NAME,
    ['"'] = VALUE | PART,
    ['#'] = TCHAR | VALUE,
    ['$'] = TCHAR | VALUE | PART | NAME,
    ['%'] = TCHAR | VALUE | TARGET | NAME,
    ['&' ... '\''] = TCHAR | VALUE | PART | NAME,
    ['(' ... ')'] = VALUE | PART | NAME,
    ['*' ... '+'] = TCHAR | VALUE | PART | NAME,
    [','] = VALUE | PART | NAME,
    ['-' ... '.'] = TCHAR | VALUE | PART | NAME,
    ['/'] = VALUE | TARGET,
    ['0' ... '9'] = TCHAR | VALUE | PART | NAME,
    [':'] = VALUE | PART,
    [';'] = VALUE | PART | NAME,
    ['<'] = VALUE | PART,
    ['='] = VALUE | PART | NAME,
    ['>' ... '@'] = VALUE | PART,
    ['A' ... 'Z'] = TCHAR | VALUE | PART | NAME,
    ['[' ... ']'] = VALUE | PART,
    ['^'] = TCHAR | VALUE | PART,
    ['_'] = TCHAR | VALUE | PART | NAME,
    ['`'] = TCHAR | VALUE | PART,
    ['a' ... 'z'] = TCHAR | VALUE | PART | NAME,
    ['{'] = VALUE | PART,
    ['|'] = TCHAR | VALUE | PART,
    ['}'] = VALUE | PART,
    ['~'] = TCHAR | VALUE | PART | NAME,
    [128 ... 255] = VALUE,
};

// How many there are of that kind, before the first that is not.
static size_t count_of(const char *text, size_t n, uint8_t kind)
{
    const uint8_t *begin = (const uint8_t *)text, *p = begin, *end = p + n;
    for (; end - p >= 4 && kinds[p[0]] & kinds[p[1]] & kinds[p[2]] & kinds[p[3]] & kind; p += 4)
        ;
    for (; p < end && kinds[*p] & kind; p++)
        ;
    return (size_t)(p - begin);
}

static bool is_tchar(unsigned char c)
{
    return kinds[c] & TCHAR;
}

#define ONES 0x0101010101010101ull

static inline uint64_t load(const char *p)
{
    uint64_t x;
    memcpy(&x, p, 8);
    return x;
}

// Of eight bytes: the lowest bit that is set is that of the first one that is below `least` (at
// most 128), or is c.
static inline uint64_t below(uint64_t x, uint8_t least)
{
    return (x - ONES * least) & ~x & ONES << 7;
}

static inline uint64_t matches(uint64_t x, char c)
{
    return below(x ^ ONES * (uint8_t)c, 1);
}

// The last eight may have been looked at in part, without finding it.
const char *find_byte(const char *p, size_t n, char c)
{
    const char *end = p + n;
    uint64_t x;
    for (; end - p >= 8; p += 8)
        if ((x = matches(load(p), c)))
            return p + __builtin_ctzll(x) / 8;
    if (n >= 8)
        return (x = matches(load(end - 8), c)) ? end - 8 + __builtin_ctzll(x) / 8 : NULL;
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

static inline uint64_t controls(uint64_t x)
{
    return below(x, ' ') | matches(x, 127);
}

// How many there are before the first control that is no tab.
static size_t value_end(const char *text, size_t n)
{
    const char *p = text, *end = p + n;
    while (p < end) {
        uint64_t x = 0;
        for (; end - p >= 8 && !(x = controls(load(p))); p += 8)
            ;
        if (x)
            p += __builtin_ctzll(x) / 8;
        else
            p += count_of(p, (size_t)(end - p), VALUE);
        if (p == end || *p != '\t')
            break;
        p++;
    }
    return (size_t)(p - text);
}

// The last ones once more.
bool bytes_are(const char *p, const char *s, size_t n)
{
    size_t i = 0;
    if (n < 8)
        return !memcmp(p, s, n);
    for (; n - i >= 16; i += 16)
        if ((load(p + i) ^ load(s + i)) | (load(p + i + 8) ^ load(s + i + 8)))
            return false;
    return load(p + n - 8) == load(s + n - 8) && (n - i < 8 || load(p + i) == load(s + i));
}

// Four at a time, the last ones once more. In `s` are letters and what differs by that bit from
// controls only, so nothing else passes for it.
bool bytes_are_nocase(const char *p, const char *s, size_t n)
{
    enum { CASE = 0x20 };
    for (size_t i = 0; n >= 4; i += 4) {
        size_t at = i + 4 <= n ? i : n - 4;
        uint32_t a, b;
        memcpy(&a, p + at, 4);
        memcpy(&b, s + at, 4);
        if ((a ^ b) & ~(uint32_t)(CASE * ONES))
            return false;
        if (i + 4 >= n)
            return true;
    }
    for (size_t i = 0; i < n; i++)
        if ((p[i] ^ s[i]) & ~CASE)
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

static bool is_digit(char c)
{
    return c >= '0' && c <= '9';
}

// A name, an address, or one of IPv6 in brackets; with a port or without.
static bool is_host(struct text t)
{
    size_t i = 0;
    if (t.n && *t.p == '[') {
        for (i = 1; i < t.n && (hex_of(t.p[i]) >= 0 || t.p[i] == ':' || t.p[i] == '.'); i++)
            ;
        if (i == t.n || t.p[i++] != ']')
            return false;
    } else {
        i = count_of(t.p, t.n, NAME);
    }
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

static int take_version(const char *p, struct request *r)
{
    static const char http[] = "HTTP/";
    if (memcmp(p, http, 5) || p[6] != '.' || !is_digit(p[5]) || !is_digit(p[7]))
        return 400;
    r->minor = p[7] != '0';
    return p[5] == '1' ? 0 : 505;
}

static int take_first_line(struct text *rest, struct request *r)
{
    enum { VERSION = sizeof "HTTP/1.1" - 1, END = 2 };
    const char *p = rest->p, *end = p + rest->n;
    size_t n = count_of(p, rest->n, TCHAR);
    r->method = (struct text){p, n};
    p += n;
    if (!n || n > METHOD_MAX || p == end || *p++ != ' ')
        return 400;
    n = count_of(p, (size_t)(end - p), TARGET);
    r->target = (struct text){p, n};
    p += n;
    if (end - p < 1 + VERSION + END || *p != ' ' || p[1 + VERSION] != '\r' ||
        p[2 + VERSION] != '\n')
        return n > TARGET_MAX ? 414 : 400;
    rest->p = p + 1 + VERSION + END;
    rest->n = (size_t)(end - rest->p);
    int wrong = take_version(p + 1, r);
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

// By its length, for most are none of these.
static enum known known_name(struct text t)
{
#define IS(name, known) text_is_nocase(t, name) ? known
    switch (t.n) {
    case 2: return IS("te", FIELD_TE) : FIELD_OTHER;
    case 4: return IS("host", FIELD_HOST) : IS("date", FIELD_DATE) : FIELD_OTHER;
    case 5: return IS("proxy", FIELD_PROXY) : FIELD_OTHER;
    case 6:
        return IS("cookie", FIELD_COOKIE)
            : IS("status", FIELD_STATUS) : IS("expect", FIELD_EXPECT) : FIELD_OTHER;
    case 7: return IS("upgrade", FIELD_UPGRADE) : IS("trailer", FIELD_TRAILER) : FIELD_OTHER;
    case 8: return IS("location", FIELD_LOCATION) : FIELD_OTHER;
    case 10:
        return IS("connection", FIELD_CONNECTION)
            : IS("keep-alive", FIELD_KEEP_ALIVE) : FIELD_OTHER;
    case 12: return IS("content-type", FIELD_CONTENT_TYPE) : FIELD_OTHER;
    case 14: return IS("content-length", FIELD_CONTENT_LENGTH) : FIELD_OTHER;
    case 17: return IS("transfer-encoding", FIELD_TRANSFER_ENCODING) : FIELD_OTHER;
    default: return FIELD_OTHER;
    }
#undef IS
}

size_t field_take(const char *p, size_t n, struct field *f)
{
    size_t at = count_of(p, n, TCHAR);
    f->name = (struct text){p, at};
    if (!at || at == n || p[at] != ':') // a folded line begins with a space
        return 0;
    for (at++; at < n && (p[at] == ' ' || p[at] == '\t'); at++)
        ;
    size_t length = value_end(p + at, n - at), end = at + length;
    if (end == n)
        return 0;
    while (length && (p[at + length - 1] == ' ' || p[at + length - 1] == '\t'))
        length--;
    f->value = (struct text){p + at, length};
    f->known = known_name(f->name);
    return end;
}

struct seen {
    bool host, length, encoding;
};

// What a field says of the message itself.
static int take_meaning(const struct field *f, struct request *r, struct seen *seen)
{
    if (f->known == FIELD_OTHER)
        return 0;
    if (f->known == FIELD_CONTENT_LENGTH) {
        if (seen->length || !text_number(f->value, &r->length))
            return 400;
        seen->length = r->has_length = true;
    } else if (f->known == FIELD_TRANSFER_ENCODING) {
        if (seen->encoding || !r->minor)
            return 400;
        seen->encoding = true;
        if (!text_is_nocase(f->value, "chunked"))
            return 501;
        r->chunked = true;
    } else if (f->known == FIELD_HOST) {
        if (seen->host || !is_host(f->value))
            return 400;
        seen->host = true;
        if (!r->host.p)
            r->host = f->value;
    } else if (f->known == FIELD_CONNECTION) {
        take_options(f->value, r);
    } else if (f->known == FIELD_EXPECT) {
        if (!text_is_nocase(f->value, "100-continue"))
            return 417;
        r->expects = r->minor > 0;
    } else if (f->known == FIELD_CONTENT_TYPE && !r->type.p) {
        r->type = f->value;
    }
    return 0;
}

static int take_field(struct text *rest, struct request *r, struct seen *seen)
{
    if (r->count == FIELDS_MAX)
        return 431;
    struct field *f = &r->fields[r->count];
    size_t n = field_take(rest->p, rest->n, f);
    if (!n || rest->n - n < 2 || rest->p[n] != '\r' || rest->p[n + 1] != '\n')
        return 400;
    rest->p += n + 2, rest->n -= n + 2;
    r->count++;
    return take_meaning(f, r, seen);
}

static bool lines_again(struct text *rest, struct request *r, const struct lines *k)
{
    if (!k->size || rest->n < k->size || !r->minor || r->host.p ||
        !bytes_are(rest->p, k->bytes, k->size))
        return false;
    r->same = k->number;
    r->count = k->count;
    r->close = k->close;
    r->keep_alive = k->keep_alive;
    r->host = k->host;
    r->type = k->type;
    rest->p += k->size, rest->n -= k->size;
    return true;
}

// Where they say nothing of a body, and the target none of the host.
static void keep_lines(const char *p, size_t n, struct request *r, struct lines *k)
{
    if (n > sizeof k->bytes || !r->minor || r->host.p < p || r->host.p >= p + n || r->has_length ||
        r->chunked || r->expects)
        return;
    copy_text(k->bytes, p, n);
#define MOVE(at) at = k->bytes + (at - p)
    for (uint32_t i = 0; i < r->count; i++) {
        MOVE(r->fields[i].name.p);
        MOVE(r->fields[i].value.p);
    }
    MOVE(r->host.p);
    if (r->type.p)
        MOVE(r->type.p);
#undef MOVE
    k->number += k->number == UINT32_MAX ? 2 : 1;
    r->same = k->number;
    k->count = r->count;
    k->close = r->close;
    k->keep_alive = r->keep_alive;
    k->host = r->host;
    k->type = r->type;
    k->size = (uint32_t)n;
}

static int take_lines(struct text *rest, struct request *r)
{
    struct seen seen = {0};
    int wrong = 0;
    while (!wrong) {
        if (rest->n >= 2 && rest->p[0] == '\r' && rest->p[1] == '\n') {
            rest->p += 2, rest->n -= 2;
            break;
        }
        wrong = take_field(rest, r, &seen);
    }
    return !wrong && ((r->minor && !seen.host) || (seen.length && seen.encoding)) ? 400 : wrong;
}

int head_take(const char *p, size_t n, struct request *r, struct lines *k, size_t *used)
{
    struct text rest = {p, n};
    memset(r, 0, offsetof(struct request, fields));
    if (rest.n >= 2 && rest.p[0] == '\r' && rest.p[1] == '\n') // one too many, behind a body
        rest.p += 2, rest.n -= 2;
    int wrong = take_first_line(&rest, r);
    if (!wrong && !lines_again(&rest, r, k)) {
        const char *lines = rest.p;
        k->size = 0; // fields are others from now on
        wrong = take_lines(&rest, r);
        if (!wrong)
            keep_lines(lines, (size_t)(rest.p - lines), r, k);
    }
    *used = r->size = n - rest.n;
    return wrong;
}

int head_parse(const char *p, size_t n, struct request *r, struct lines *k)
{
    size_t used;
    int wrong = head_take(p, n, r, k, &used);
    return wrong || used == n ? wrong : 400;
}

struct text request_field(const struct request *r, const char *name)
{
    for (uint32_t i = 0; i < r->count; i++)
        if (text_is_nocase(r->fields[i].name, name))
            return r->fields[i].value;
    return (struct text){NULL, 0};
}

// --- Paths

// Most are decoded already: nothing is escaped, empty, or begins with a dot.
static bool is_plain(struct text t)
{
    for (size_t i = 1; i < t.n; i++) {
        if (t.p[i] == '.' || t.p[i] == '/')
            return false;
        i += count_of(t.p + i, t.n - i, PLAIN);
        if (i < t.n && t.p[i] != '/')
            return false;
    }
    return true;
}

int path_decode(struct text path, char *out, size_t room)
{
    size_t n = 0;
    if (!path.n || *path.p != '/')
        return -1;
    if (path.n < room && is_plain(path)) {
        copy_text(out, path.p, path.n);
        out[path.n] = 0;
        return (int)path.n;
    }
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
