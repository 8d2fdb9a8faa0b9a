// SPDX-License-Identifier: MIT
// Unit test of user/svc/http/parse.c, on Linux: made-up requests and bodies, whole and mutated, in
// blocks of just their size (the sanitizers look). http [CASES] makes so many. What is accepted
// must be what it says: one length, no byte that another could read as an end, a path within the
// root. How the bytes are cut must change nothing.
#include "user/svc/http/parse.c"

#include <ctype.h>
#include <stdio.h>
#include <stdlib.h>

enum { ROOM = 4096 };

static int failed;
static unsigned number; // of the case
static uint64_t seed;
#define CHECK(what)                                                                                \
    do {                                                                                           \
        if (!(what)) {                                                                             \
            failed++;                                                                              \
            if (failed < 20)                                                                       \
                printf("%s:%d: case %u: %s\n", __FILE__, __LINE__, number, #what);                 \
        }                                                                                          \
    } while (0)

static uint32_t any(uint32_t n)
{
    seed = seed * 6364136223846793005u + 1442695040888963407u;
    return (uint32_t)(seed >> 33) % n;
}

struct bytes {
    char p[ROOM * 2];
    size_t n;
};

static void add(struct bytes *b, const char *p, size_t n)
{
    n = n < sizeof b->p - b->n ? n : sizeof b->p - b->n;
    memcpy(b->p + b->n, p, n);
    b->n += n;
}

static void add_text(struct bytes *b, const char *text)
{
    add(b, text, strlen(text));
}

// A block of its own, without a byte more.
static char *block(const char *p, size_t n)
{
    char *copy = malloc(n ? n : 1);
    memcpy(copy, p, n);
    return copy;
}

static void mutate(struct bytes *b)
{
    static const char bytes[] = "\r\n\0 \t:;,/%.?0159afAF\x7f\xff-+*";
    for (uint32_t i = any(4); i && b->n; i--) {
        size_t at = any((uint32_t)b->n);
        switch (any(4)) {
        case 0: b->p[at] = bytes[any(sizeof bytes - 1)]; break;
        case 1: b->p[at] = (char)any(256); break;
        case 2: memmove(b->p + at, b->p + at + 1, --b->n - at); break;
        default: {
            size_t n = any(8) + 1, from = any((uint32_t)b->n);
            struct bytes copy = *b;
            b->n = at;
            add(b, copy.p + from, n < copy.n - from ? n : copy.n - from);
            add(b, copy.p + at, copy.n - at);
        }
        }
    }
}

// --- Heads

// What parse.c finds by tables and by eights, found plainly.
static bool is_token(struct text t)
{
    for (size_t i = 0; i < t.n; i++)
        if (!t.p[i] || (!isalnum((unsigned char)t.p[i]) && !strchr("!#$%&'*+-.^_`|~", t.p[i])))
            return false;
    return t.n;
}

static bool is_value(struct text t)
{
    for (size_t i = 0; i < t.n; i++)
        if (((unsigned char)t.p[i] < ' ' && t.p[i] != '\t') || t.p[i] == 127)
            return false;
    return true;
}

static void make_head(struct bytes *b)
{
    static const char *const methods[] = {"GET", "POST", "HEAD", "OPTIONS", "X-Y"};
    static const char *const targets[] = {"/",       "/a/b?c=d", "*",      "http://h/x", "/a/../b",
                                          "/%2e%2e", "/../x",    "/a//b/", "/%00",       "/./a/.."};
    static const char *const versions[] = {" HTTP/1.1\r\n", " HTTP/1.0\r\n", " HTTP/1.9\r\n",
                                           "\r\n"};
    static const char *const fields[] = {"Host: a\r\n",
                                         "Content-Length: 5\r\n",
                                         "Content-Length: 7\r\n",
                                         "Transfer-Encoding: chunked\r\n",
                                         "Transfer-Encoding: gzip\r\n",
                                         "Connection: close, x\r\n",
                                         "Expect: 100-continue\r\n",
                                         "X: y\r\n",
                                         " folded\r\n",
                                         "X : y\r\n",
                                         "X: \x01\r\n",
                                         "X: y\n",
                                         "\r\n"};
    b->n = 0;
    add_text(b, methods[any(5)]);
    add_text(b, " ");
    add_text(b, targets[any(10)]);
    add_text(b, versions[any(8) < 5 ? 0 : any(4)]);
    add_text(b, fields[0]);
    for (uint32_t i = any(6); i; i--)
        add_text(b, fields[any(3) ? 7 : any(13)]);
    add_text(b, "\r\n");
}

static size_t end_in_pieces(const char *p, size_t n)
{
    size_t seen = 0, end = 0;
    for (size_t have = 0; have < n && !end;) {
        have += any(3) ? 1 : any((uint32_t)(n - have)) + 1;
        char *part = block(p, have);
        end = head_end(part, have, &seen);
        free(part);
    }
    return end;
}

static bool within(struct text t, const char *p, size_t n)
{
    return !t.n || (t.p >= p && t.p + t.n <= p + n) || text_is(t, "/");
}

static void check_path(struct text path)
{
    char out[64];
    memset(out, 'x', sizeof out);
    int n = path_decode(path, out, sizeof out);
    if (n < 0)
        return;
    CHECK(n > 0 && n < (int)sizeof out && out[0] == '/' && strlen(out) == (size_t)n);
    CHECK(!strstr(out, "//") && !strstr(out, "/./") && !strstr(out, "/../"));
    CHECK(n < 3 || strcmp(out + n - 3, "/.."));
    CHECK(n < 2 || strcmp(out + n - 2, "/."));
}

static bool same_text(struct text a, struct text b)
{
    return a.n == b.n && !a.p == !b.p && (!a.n || !memcmp(a.p, b.p, a.n));
}

static bool says_the_same(const struct request *a, const struct request *b)
{
    bool same = a->count == b->count && a->minor == b->minor && a->chunked == b->chunked &&
                a->has_length == b->has_length && a->length == b->length && a->close == b->close &&
                a->keep_alive == b->keep_alive && a->expects == b->expects &&
                same_text(a->host, b->host) && same_text(a->type, b->type) &&
                same_text(a->method, b->method) && same_text(a->path, b->path) &&
                same_text(a->query, b->query);
    for (uint32_t i = 0; same && i < a->count; i++)
        same = same_text(a->fields[i].name, b->fields[i].name) &&
               same_text(a->fields[i].value, b->fields[i].value) &&
               a->fields[i].known == b->fields[i].known;
    return same;
}

// Taken with whatever is behind it, it is what it is when its end is looked for first.
static void check_taken(const char *p, size_t all, size_t n, int wrong, const struct request *r)
{
    static struct request t;
    static struct lines kept; // of whatever came before
    size_t used = 0;
    for (int again = 0; again < 2; again++) {
        bool taken = !head_take(p, all, &t, &kept, &used);
        CHECK(taken == (n && !wrong));
        if (!taken)
            return;
        CHECK(used == n && t.size == n && t.target.n == r->target.n &&
              t.target.p - p == r->target.p - (r->method.p - (t.method.p - p)));
        CHECK(says_the_same(&t, r));
        CHECK(!again || !t.same || kept.size);
    }
}

static void check_head(const struct bytes *b, bool *accepted)
{
    static struct request r;
    struct lines kept = {0};
    size_t seen = 0;
    char *p = block(b->p, b->n);
    size_t n = head_end(p, b->n, &seen);
    CHECK(n <= b->n && n == end_in_pieces(p, b->n));
    char *head = block(p, n);
    int wrong = n ? head_parse(head, n, &r, &kept) : 400;
    *accepted = !wrong;
    check_taken(p, b->n, n, wrong, &r);
    if (!wrong) {
        CHECK(!(r.chunked && r.has_length) && r.count <= FIELDS_MAX);
        CHECK(is_token(r.method) && within(r.method, head, n) && within(r.target, head, n));
        CHECK(within(r.path, head, n) && within(r.query, head, n));
        CHECK(within(r.host, head, n) || within(r.host, kept.bytes, kept.size));
        CHECK(r.path.n && (*r.path.p == '/' || text_is(r.path, "*")));
        CHECK(!r.minor || r.host.p);
        for (uint32_t i = 0; i < r.count; i++) {
            CHECK(is_token(r.fields[i].name) && is_value(r.fields[i].value));
            const char *from = r.same ? kept.bytes : head;
            size_t size = r.same ? kept.size : n;
            CHECK(within(r.fields[i].name, from, size) && within(r.fields[i].value, from, size));
        }
        CHECK(!memmem(head, n, "\n\n", 2) && !memmem(head, n, "\r\r", 2));
        check_path(r.path);
    }
    free(head);
    free(p);
}

// --- Bodies

static void make_chunks(struct bytes *b, struct bytes *body)
{
    static const char *const extensions[] = {"", "", "", ";a", ";a=\"b c\"", ";\t"};
    char size[32];
    b->n = body->n = 0;
    for (uint32_t i = any(5); i; i--) {
        size_t n = any(3) ? any(20) + 1 : any(300) + 1;
        snprintf(size, sizeof size, any(2) ? "%zx" : any(2) ? "%zX" : "000%zx", n);
        add_text(b, size);
        add_text(b, extensions[any(6)]);
        add_text(b, "\r\n");
        for (size_t k = 0; k < n; k++) {
            char c = any(4) ? (char)any(256) : "\r\n0;"[any(4)];
            add(b, &c, 1);
            add(body, &c, 1);
        }
        add_text(b, "\r\n");
    }
    add_text(b, any(2) ? "0\r\n" : "00;x\r\n");
    for (uint32_t i = any(3); i; i--)
        add_text(b, "Trailer: x\r\n");
    add_text(b, "\r\n");
}

// Takes them in pieces of at most that size. CHUNK_MORE: they do not end.
static enum chunk take_chunks(const struct bytes *b, uint32_t most, struct bytes *body,
                              size_t *used)
{
    struct chunks c = {0};
    body->n = *used = 0;
    for (size_t at = 0; at < b->n;) {
        size_t size = most ? any(most) + 1 : b->n, taken = 0;
        size = size < b->n - at ? size : b->n - at;
        char *piece = block(b->p + at, size);
        while (taken < size) {
            struct text data = {NULL, 0};
            size_t n;
            enum chunk what = chunks_take(&c, piece + taken, size - taken, &n, &data);
            CHECK(n <= size - taken && (n || what == CHUNK_BAD));
            taken += n;
            if (what == CHUNK_DATA)
                add(body, data.p, data.n);
            if (what == CHUNK_BAD || what == CHUNK_END) {
                *used = at + taken;
                free(piece);
                return what;
            }
        }
        free(piece);
        at += size;
    }
    return CHUNK_MORE;
}

static void check_chunks(const struct bytes *b, const struct bytes *wanted)
{
    static struct bytes whole, pieces, bytes;
    size_t used, n;
    enum chunk what = take_chunks(b, 0, &whole, &used);
    CHECK(what == take_chunks(b, 20, &pieces, &n) && n == used);
    CHECK(what == take_chunks(b, 1, &bytes, &n) && n == used);
    CHECK(what == CHUNK_BAD || (whole.n == pieces.n && !memcmp(whole.p, pieces.p, whole.n)));
    CHECK(what == CHUNK_BAD || (whole.n == bytes.n && !memcmp(whole.p, bytes.p, whole.n)));
    if (wanted)
        CHECK(what == CHUNK_END && used == b->n && whole.n == wanted->n &&
              !memcmp(whole.p, wanted->p, whole.n));
}

static void check_numbers(void)
{
    static const struct {
        const char *text;
        bool good;
    } cases[] = {{"0", true},
                 {"007", true},
                 {"999999999999999999", true},
                 {"1000000000000000000", false},
                 {"", false},
                 {"-1", false},
                 {"+1", false},
                 {"1 ", false},
                 {"0x1", false},
                 {"1a", false}};
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        uint64_t n;
        CHECK(text_number((struct text){cases[i].text, strlen(cases[i].text)}, &n) ==
              cases[i].good);
    }
}

int main(int argc, char **argv)
{
    static struct bytes b, body;
    unsigned cases = argc > 1 ? (unsigned)atoi(argv[1]) : 40000, good = 0;
    check_numbers();
    for (number = 0; number < cases; number++) {
        bool accepted;
        seed = number * 2654435761u + 1;
        make_head(&b);
        if (number % 2)
            mutate(&b);
        check_head(&b, &accepted);
        good += accepted;
        make_chunks(&b, &body);
        check_chunks(&b, &body);
        mutate(&b);
        check_chunks(&b, NULL);
    }
    CHECK(good > cases / 10 && good < cases * 9 / 10); // both kinds were there
    printf("http: %u cases, %u heads accepted\n%u passed, %d failed\n", cases, good, cases, failed);
    return failed != 0;
}
