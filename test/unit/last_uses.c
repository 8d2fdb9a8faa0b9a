// SPDX-License-Identifier: MIT
// Unit test of what the validator says about last uses of locals (LOCAL_USE_LAST and
// LOCAL_USE_LAST_BUT_ZERO): bodies of which the answer is known, and bodies by chance, whose flow
// is followed here from the end to the start until nothing changes. A read that is said to be the
// last one must be one; how many are found is counted, so that a validator that says nothing fails,
// too.
#include "test/unit/heap.h"
#include "wasm/validate.h"
#include <stdio.h>

static u32 passed, failed;

#define CHECK(cond)                                                                                \
    do {                                                                                           \
        if (cond) {                                                                                \
            passed++;                                                                              \
        } else {                                                                                   \
            failed++;                                                                              \
            printf("%s:%d: %s\n", __FILE__, __LINE__, #cond);                                      \
        }                                                                                          \
    } while (0)

enum { LOCALS = 4, PARAMS = 1, STATEMENTS = 60, VOID = 0x40 };

// --- A body of statements
enum kind { GET, SET, BLOCK, LOOP, IF, ELSE, END, BR, BR_IF };

struct statement {
    u8 kind, x;  // x: a local, or the depth of a branch's label
    u32 partner; // of what opens and closes: where it ends, or began; a branch: where it goes
};

struct program {
    struct statement at[STATEMENTS + 16];
    u32 n;
};

static struct validator *v;
static struct module *m;
static struct body body;
static u8 file[1024];

static void put(u8 **p, const void *from, size_t n)
{
    memcpy(*p, from, n);
    *p += n;
}

static void put_statement(u8 **p, const struct statement *s)
{
    switch ((enum kind)s->kind) {
    case GET: put(p, (const u8[]){0x20, s->x, 0x1a}, 3); break;
    case SET: put(p, (const u8[]){0x41, 0, 0x21, s->x}, 4); break;
    case BLOCK: put(p, (const u8[]){0x02, VOID}, 2); break;
    case LOOP: put(p, (const u8[]){0x03, VOID}, 2); break;
    case IF: put(p, (const u8[]){0x41, 1, 0x04, VOID}, 4); break;
    case ELSE: put(p, (const u8[]){0x05}, 1); break;
    case END: put(p, (const u8[]){0x0b}, 1); break;
    case BR: put(p, (const u8[]){0x0c, s->x}, 2); break;
    case BR_IF: put(p, (const u8[]){0x41, 1, 0x0d, s->x}, 4); break;
    }
}

// Validates a function with parameter 0 and locals 1 to 3, all of them i32.
static void note(const struct program *q)
{
    u8 code[768], *p = code;
    put(&p, (const u8[]){1, LOCALS - PARAMS, 0x7f}, 3);
    for (u32 i = 0; i < q->n; i++)
        put_statement(&p, &q->at[i]);
    put(&p, (const u8[]){0x0b}, 1);
    u32 size = (u32)(p - code);
    u8 *to = file;
    put(&to, "\0asm\1\0\0\0", 8);
    put(&to, (const u8[]){1, 5, 1, 0x60, 1, 0x7f, 0, 3, 2, 1, 0}, 11);
    u32 section = size + 3;
    put(&to,
        (const u8[]){10, (u8)(section | 0x80), (u8)(section >> 7), 1, (u8)(size | 0x80),
                     (u8)(size >> 7)},
        6);
    put(&to, code, size);
    struct error e;
    module_free(m);
    m = NULL;
    CHECK(module_decode(file, (size_t)(to - file), &m, &e) == OK &&
          validate_body(v, m, 0, WANT_USES, &body, &e) == OK);
}

static bool said(u32 use)
{
    local_use u = body.uses[use];
    u32 x = u & 0xffff;
    return (u & LOCAL_USE_LAST) ||
           ((u & LOCAL_USE_LAST_BUT_ZERO) && !(body.zero[x / 64] >> (x % 64) & 1));
}

// --- What is true
static void find_partners(struct program *q)
{
    u32 open[STATEMENTS + 1], depth = 0;
    for (u32 i = 0; i < q->n; i++) {
        struct statement *s = &q->at[i];
        if (s->kind == BLOCK || s->kind == LOOP || s->kind == IF) {
            open[depth++] = i;
        } else if (s->kind == ELSE || s->kind == END) {
            u32 from = open[depth - 1];
            q->at[from].partner = i; // of an if with else: the else; of the else: the end
            s->partner = from;
            open[depth - 1] = i;
            depth -= s->kind == END;
        }
    }
    depth = 0;
    for (u32 i = 0; i < q->n; i++) {
        struct statement *s = &q->at[i];
        if (s->kind == BLOCK || s->kind == LOOP || s->kind == IF)
            open[depth++] = i;
        else if (s->kind == END)
            depth--;
        if (s->kind != BR && s->kind != BR_IF)
            continue;
        s->partner = q->n; // the function's label
        if (s->x >= depth)
            continue;
        u32 to = open[depth - 1 - s->x];
        while (q->at[to].kind != LOOP && q->at[to].kind != END)
            to = q->at[to].partner;
        s->partner = to;
    }
}

// What is live before statement i, a bit for each local.
static u8 before(const struct program *q, const u8 *live, u32 i)
{
    const struct statement *s = &q->at[i];
    u32 end = s->partner;
    switch ((enum kind)s->kind) {
    case GET: return live[i + 1] | (u8)(1 << s->x);
    case SET: return live[i + 1] & (u8) ~(1 << s->x);
    case IF: return live[i + 1] | live[end + 1];
    case ELSE: return live[end]; // reached from the first arm
    case BR: return live[end];
    case BR_IF: return live[i + 1] | live[end];
    case BLOCK:
    case LOOP:
    case END: break;
    }
    return live[i + 1];
}

static void find_live(const struct program *q, u8 *live)
{
    memset(live, 0, q->n + 1);
    for (bool again = true; again;) {
        again = false;
        for (u32 i = q->n; i--;) {
            u8 now = before(q, live, i);
            again |= now != live[i];
            live[i] = now;
        }
    }
}

// Which statements control may come to.
static void find_reached(const struct program *q, bool *reached)
{
    memset(reached, 0, q->n + 1);
    reached[0] = true;
    for (bool again = true; again;) {
        again = false;
        for (u32 i = 0; i < q->n; i++) {
            const struct statement *s = &q->at[i];
            u32 next = s->kind == BR || s->kind == ELSE ? s->partner : i + 1;
            u32 other = s->kind == IF ? s->partner + 1 : s->kind == BR_IF ? s->partner : next;
            again |= reached[i] && !(reached[next] && reached[other]);
            reached[next] |= reached[i];
            reached[other] |= reached[i];
        }
    }
}

static u32 found, all;

static void compare(struct program *q, u64 seed)
{
    u8 live[STATEMENTS + 17];
    bool reached[STATEMENTS + 17];
    note(q);
    find_partners(q);
    find_live(q, live);
    find_reached(q, reached);
    for (u32 i = 0, use = 0; i < q->n; i++) {
        const struct statement *s = &q->at[i];
        if (s->kind > SET)
            continue;
        bool dead = !(live[i + 1] >> s->x & 1);
        if (s->kind == GET && reached[i]) {
            all += dead;
            found += dead && said(use);
            CHECK((body.uses[use] & 0xffff) == s->x);
            if (said(use) && !dead)
                printf("seed %llu, statement %u\n", (unsigned long long)seed, i);
            CHECK(dead || !said(use));
        }
        use++;
    }
}

// --- By chance
static u64 state;

static u32 below(u32 n)
{
    state = state * 6364136223846793005u + 1442695040888963407u;
    return (u32)(state >> 33) % n;
}

static void make(struct program *q)
{
    u8 open[STATEMENTS];
    u32 depth = 0;
    q->n = 0;
    while (q->n < STATEMENTS || depth) {
        struct statement s = {0};
        u32 dice = q->n < STATEMENTS ? below(20) : 14;
        if (dice < 7) {
            s = (struct statement){GET, (u8)below(LOCALS), 0};
        } else if (dice < 11) {
            s = (struct statement){SET, (u8)below(LOCALS), 0};
        } else if (dice < 14 && depth < 8) {
            s.kind = (u8)(BLOCK + below(3));
            open[depth++] = s.kind;
        } else if (dice < 16 && depth) {
            bool otherwise = open[depth - 1] == IF && q->n < STATEMENTS && below(2);
            s.kind = otherwise ? ELSE : END;
            if (otherwise)
                open[depth - 1] = ELSE;
            else
                depth--;
        } else if (dice < 19) {
            s = (struct statement){BR_IF, (u8)below(depth + 1), 0};
        } else {
            s = (struct statement){BR, (u8)below(depth + 1), 0};
        }
        q->at[q->n++] = s;
    }
}

// --- Known
#define KNOWN(...)                                                                                 \
    known(&(struct program){{__VA_ARGS__},                                                         \
                            sizeof((struct statement[]){__VA_ARGS__}) / sizeof(struct statement)})
static void known(struct program *q)
{
    compare(q, 0);
}

static void test_known(void)
{
    KNOWN({SET, 1, 0}, {GET, 1, 0}, {SET, 2, 0}, {GET, 1, 0});
    CHECK(!said(1) && said(3));
    KNOWN({GET, 1, 0}, {SET, 1, 0}); // read too early, but overwritten at once
    CHECK(said(0));
    KNOWN({GET, 1, 0}); // may be 0 from the start, and that is all that is looked at
    CHECK(!said(0));
    KNOWN({GET, 0, 0}); // a parameter
    CHECK(said(0));
    KNOWN({SET, 1, 0}, {LOOP, 0, 0}, {GET, 1, 0}, {BR_IF, 0, 0}, {END, 0, 0});
    CHECK(!said(1));
    KNOWN({SET, 1, 0}, {LOOP, 0, 0}, {SET, 2, 0}, {GET, 2, 0}, {GET, 1, 0}, {BR_IF, 0, 0},
          {END, 0, 0});
    CHECK(said(2) && !said(3));
    KNOWN({SET, 1, 0}, {BLOCK, 0, 0}, {GET, 1, 0}, {BR_IF, 0, 0}, {SET, 1, 0}, {END, 0, 0},
          {GET, 1, 0});
    CHECK(!said(1) && said(3));
    KNOWN({SET, 1, 0}, {IF, 0, 0}, {GET, 1, 0}, {ELSE, 0, 0}, {SET, 1, 0}, {END, 0, 0},
          {GET, 1, 0});
    CHECK(!said(1) && said(3));
    KNOWN({SET, 1, 0}, {IF, 0, 0}, {GET, 1, 0}, {ELSE, 0, 0}, {END, 0, 0}, {SET, 1, 0});
    CHECK(said(1));
    // One after the other in a loop, two blocks that each have a value of their own.
    KNOWN({LOOP, 0, 0}, {BLOCK, 0, 0}, {SET, 1, 0}, {GET, 1, 0}, {END, 0, 0}, {BLOCK, 0, 0},
          {SET, 1, 0}, {GET, 1, 0}, {END, 0, 0}, {BR_IF, 0, 0}, {END, 0, 0});
    CHECK(said(1) && said(3));
}

int main(void)
{
    v = validator_create();
    test_known();
    found = all = 0;
    for (u64 seed = 1; seed <= 20000; seed++) {
        struct program q;
        state = seed;
        make(&q);
        compare(&q, seed);
    }
    CHECK(found > all / 4);
    printf("%u of %u last reads are found\n", found, all);
    validator_free(v);
    module_free(m);
    printf("%u passed, %u failed\n", passed, failed);
    return failed != 0;
}
