// SPDX-License-Identifier: MIT
// Bad input in the form of whole programs: modules that were valid, changed in a few places.
//
//   mutate [--seconds S] [--count N] [--seed N] [--keep DIR] FILE.wasm...
//
// Each input is decoded and validated; what is still valid is compiled by fast and thrown away.
// None may crash, take more than a second, or more memory than 100 times its size and 2 MiB, heap
// and code together; and nothing may be left behind.
//
// An input is one of the files given, or a module of the generator. A mutation changes a few bytes
// anywhere, or within one section or one body, whose sizes are then put right, so that it gets past
// the first header. Large files come rarely, as they take long.
//
// As in differ, children work and the parent watches: an input that kills its child, or takes
// longer than it may, is reported by its number, and written to DIR.
#include "test/fuzz/generate.h"
#include "test/unit/heap.h"
#include "rt/rt.h"
#include "wasm/leb.h"
#include "wasm/validate.h"
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

enum {
    CHUNK = 50000,
    LARGE = 32 << 10, // bytes, from which on a file comes rarely
    LIMIT_SECONDS = 1,
    FAILURES = 20,
};

struct options {
    u64 seed, count, seconds;
    const char *keep;
};

struct progress { // shared with the children
    u64 seed;
    u64 valid, bytes, failed;
    f64 slowest;
};

static struct progress *progress;
static VEC(struct bytes) files;
static VEC(u32) small, large; // indices into files

// --- Numbers

static u64 state;

static u32 below(u32 n)
{
    u64 z = state += 0x9e3779b97f4a7c15; // splitmix64
    z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9;
    z = (z ^ (z >> 27)) * 0x94d049bb133111eb;
    return (u32)((z ^ (z >> 31)) >> 32) % n;
}

static f64 now(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (f64)t.tv_sec + (f64)t.tv_nsec / 1e9;
}

// --- Bytes

static void put(struct bytes *b, const void *p, size_t n)
{
    if (!vec_reserve(b, (u32)n))
        abort();
    if (n)
        memcpy(b->at + b->count, p, n);
    b->count += (u32)n;
}

// Sizes are written with 5 bytes, which is valid and of one length.
static void put_size(struct bytes *b, u32 value)
{
    u8 leb[5];
    for (u32 i = 0; i < 5; i++)
        leb[i] = (u8)((value >> (7 * i) & 0x7f) | (i < 4 ? 0x80 : 0));
    put(b, leb, 5);
}

// --- Mutation

static u8 interesting(void)
{
    static const u8 values[] = {0,    1,    2,    0x0b, 0x3f, 0x40, 0x60, 0x6f,
                                0x70, 0x7b, 0x7c, 0x7d, 0x7e, 0x7f, 0x80, 0xfc,
                                0xfd, 0xfe, 0xff, 0x20, 0x41, 0x10, 0x11};
    return below(2) ? values[below(countof(values))] : (u8)below(256);
}

// One change in b[from, end), which may grow.
static void edit(struct bytes *b, u32 from)
{
    u32 n = b->count - from, at = from + below(n + 1), run = 1 + below(below(4) ? 4 : 64);
    if (run > b->count - at)
        run = b->count - at;
    if (!vec_reserve(b, run + 8))
        abort();
    switch (below(6)) {
    case 0:
    case 1:
        if (at < b->count)
            b->at[at] = interesting();
        break;
    case 2:
        if (at < b->count)
            b->at[at] ^= (u8)(1u << below(8));
        break;
    case 3: // leave out
        memmove(b->at + at, b->at + at + run, b->count - at - run);
        b->count -= run;
        break;
    case 4: // insert, mostly what makes a large number
        run = 1 + below(8);
        memmove(b->at + at + run, b->at + at, b->count - at);
        for (u32 i = 0; i < run; i++)
            b->at[at + i] = below(3) ? 0xff : interesting();
        b->count += run;
        break;
    default: // say it twice
        memmove(b->at + at + run, b->at + at, b->count - at);
        b->count += run;
    }
}

static void edits(struct bytes *b, u32 from)
{
    for (u32 n = 1 + below(below(3) ? 2 : 8); n; n--)
        edit(b, from);
}

struct part {
    const u8 *head, *p, *end; // head: where its size is written
};

static bool part_at(const u8 *p, const u8 *end, struct part *out)
{
    u32 size = 0, shift = 0;
    out->head = p;
    do {
        if (p == end || shift > 28)
            return false;
        size |= (u32)(*p & 0x7f) << shift;
        shift += 7;
    } while (*p++ & 0x80);
    out->p = p;
    out->end = p + size;
    return size <= (size_t)(end - p);
}

static u32 parts(const u8 *p, const u8 *end, u32 skip, struct part *out, u32 max)
{
    u32 n = 0;
    for (; n < max && p + skip < end && part_at(p + skip, end, &out[n]); n++)
        p = out[n].end;
    return n;
}

// The content of a code section, with one body changed.
static void mutate_body(struct bytes *out, const struct part *code)
{
    struct part bodies[256];
    const u8 *p = code->p;
    while (p < code->end && *p++ & 0x80)
        ;
    u32 n = parts(p, code->end, 0, bodies, countof(bodies));
    if (!n) {
        put(out, code->p, (size_t)(code->end - code->p));
        return;
    }
    const struct part *body = &bodies[below(n)];
    struct bytes content = {0};
    put(&content, body->p, (size_t)(body->end - body->p));
    edits(&content, 0);
    put(out, code->p, (size_t)(body->head - code->p));
    put_size(out, content.count);
    put(out, content.at, content.count);
    put(out, body->end, (size_t)(code->end - body->end));
    vec_free(&content);
}

static void mutate_section(struct bytes *out, const struct bytes *in)
{
    struct part sections[64];
    const u8 *end = in->at + in->count;
    u32 n = in->count > 8 ? parts(in->at + 8, end, 1, sections, countof(sections)) : 0;
    if (!n) {
        put(out, in->at, in->count);
        edits(out, 0);
        return;
    }
    const struct part *s = &sections[below(n)];
    for (u32 i = 0; i < n; i++)
        if (sections[i].head[-1] == 10 && below(2))
            s = &sections[i];
    struct bytes content = {0};
    if (s->head[-1] == 10 && below(8)) {
        mutate_body(&content, s);
    } else {
        put(&content, s->p, (size_t)(s->end - s->p));
        edits(&content, 0);
    }
    put(out, in->at, (size_t)(s->head - in->at));
    put_size(out, content.count);
    put(out, content.at, content.count);
    put(out, s->end, (size_t)(end - s->end));
    vec_free(&content);
}

static void make_input(u64 seed, struct bytes *out)
{
    static struct bytes generated;
    const struct bytes *from = &generated;
    state = seed * 0x2545f4914f6cdd1d;
    out->count = 0;
    if (large.count && below(2000) == 0) {
        from = &files.at[large.at[below(large.count)]];
    } else if (small.count && below(8)) {
        from = &files.at[small.at[below(small.count)]];
    } else if (!generated.count || below(8) == 0 || seed % CHUNK == 0) {
        // The same for a while, since to generate takes longer than to look at one.
        generated.count = 0;
        generate(&(struct choices){.state = seed / CHUNK}, 0, &generated);
    }
    if (below(4)) {
        mutate_section(out, from);
    } else {
        put(out, from->at, from->count);
        edits(out, 0);
    }
}

// --- One input

static bool failed(const char *text, u64 a, u64 b)
{
    printf("FAIL input %llu: %s (%llu, %llu)\n", (unsigned long long)progress->seed, text,
           (unsigned long long)a, (unsigned long long)b);
    return false;
}

static bool validate(const struct bytes *in)
{
    struct module *m;
    struct error e = {0};
    if (module_decode(in->at, in->count, &m, &e))
        return false;
    struct validator *v = validator_create();
    bool valid = true;
    for (u32 i = m->nimported_funcs; i < m->nfuncs && valid; i++) {
        struct body b;
        valid = validate_body(v, m, i, WANT_BRANCHES | WANT_USES, &b, &e) == OK;
    }
    validator_free(v);
    module_free(m);
    return valid;
}

// Returns the bytes of code.
static u64 compile(const struct bytes *in)
{
    struct store *s = store_create(&fast_engine);
    struct rt_module *m;
    struct error e = {0};
    u64 used = 0;
    if (s)
        store_compile_at_once(s);
    if (s && rt_module_load(s, in->at, in->count, &m, &e) == OK) {
        used = m->compiled.used;
        rt_module_free(m);
    }
    store_free(s);
    return used;
}

static bool check(const struct bytes *in)
{
    size_t before = test_heap.live, limit = 100 * (size_t)in->count + (2 << 20);
    test_heap.peak = before;
    f64 start = now();
    if (validate(in)) {
        progress->valid++;
        u64 code = compile(in);
        if (code > limit)
            return failed("code", code, limit);
    }
    f64 took = now() - start;
    progress->bytes += in->count;
    if (took > progress->slowest)
        progress->slowest = took;
    if (took > LIMIT_SECONDS)
        return failed("time in ms", (u64)(took * 1000), LIMIT_SECONDS * 1000);
    if (test_heap.live != before)
        return failed("bytes left behind", test_heap.live - before, 0);
    return test_heap.peak - before <= limit || failed("heap", test_heap.peak - before, limit);
}

// --- Children

static void keep(const struct options *o, const struct bytes *in)
{
    char name[4200];
    snprintf(name, sizeof name, "%s/mutated-%llu.wasm", o->keep,
             (unsigned long long)progress->seed);
    FILE *f = fopen(name, "wb");
    if (!f || fwrite(in->at, 1, in->count, f) != in->count || fclose(f))
        fprintf(stderr, "mutate: %s: %s\n", name, strerror(errno));
    printf("     %s\n", name);
    progress->failed++;
}

static void work(const struct options *o, u64 end, f64 deadline)
{
    struct bytes in = {0};
    if (rt_init())
        _exit(2);
    // What make_input keeps is not the input's.
    for (; progress->seed < end && now() < deadline && progress->failed < FAILURES;
         progress->seed++) {
        alarm(10);
        make_input(progress->seed, &in);
        if (!check(&in))
            keep(o, &in);
    }
    fflush(stdout);
    _exit(0);
}

static void run(const struct options *o, f64 deadline)
{
    u64 end = o->count ? o->seed + o->count : UINT64_MAX;
    progress->seed = o->seed;
    while (progress->seed < end && now() < deadline && progress->failed < FAILURES) {
        u64 stop = (progress->seed / CHUNK + 1) * CHUNK;
        fflush(stdout);
        pid_t child = fork();
        if (child == 0)
            work(o, stop < end ? stop : end, deadline);
        int how;
        waitpid(child, &how, 0);
        if (WIFEXITED(how) && WEXITSTATUS(how) == 0)
            continue;
        struct bytes in = {0};
        failed(WIFSIGNALED(how) ? "died by signal" : "died with code",
               (u64)(WIFSIGNALED(how) ? WTERMSIG(how) : WEXITSTATUS(how)), 0);
        make_input(progress->seed, &in);
        keep(o, &in);
        vec_free(&in);
        progress->seed++;
    }
}

// --- The command line

static bool add_file(const char *name)
{
    struct bytes b = {0};
    FILE *f = fopen(name, "rb");
    u8 buffer[1 << 14];
    for (size_t n; f && (n = fread(buffer, 1, sizeof buffer, f));)
        put(&b, buffer, n);
    if (!f || fclose(f)) {
        fprintf(stderr, "mutate: %s: %s\n", name, strerror(errno));
        return false;
    }
    if (!vec_push(&files, b))
        abort();
    u32 index = files.count - 1;
    return b.count > LARGE ? vec_push(&large, index) : vec_push(&small, index);
}

static bool parse(struct options *o, char ***argv)
{
    for (; **argv && !strncmp(**argv, "--", 2); *argv += 2) {
        const char *name = (*argv)[0], *value = (*argv)[1];
        if (!value)
            return false;
        if (str_eq(name, "--seconds"))
            o->seconds = strtoull(value, NULL, 0);
        else if (str_eq(name, "--count"))
            o->count = strtoull(value, NULL, 0);
        else if (str_eq(name, "--seed"))
            o->seed = strtoull(value, NULL, 0);
        else if (str_eq(name, "--keep"))
            o->keep = value;
        else
            return false;
    }
    return o->seconds || o->count;
}

int main(int argc, char **argv)
{
    struct options o = {.keep = "."};
    (void)argc;
    argv++;
    if (!parse(&o, &argv)) {
        fprintf(stderr,
                "usage: mutate [--seconds S] [--count N] [--seed N] [--keep DIR] FILE.wasm...\n");
        return 2;
    }
    for (; *argv; argv++)
        if (!add_file(*argv))
            return 2;
    progress =
        mmap(NULL, sizeof *progress, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    if (progress == MAP_FAILED)
        return 2;
    f64 start = now();
    run(&o, o.seconds ? start + (f64)o.seconds : 1e300);
    f64 seconds = now() - start;
    u64 inputs = progress->seed - o.seed;
    printf("mutated: %llu modules, %llu of them valid, %.1f s, %.0f modules/s, %.1f MB/s, slowest "
           "%.0f ms, "
           "%llu failed\n",
           (unsigned long long)inputs, (unsigned long long)progress->valid, seconds,
           (f64)inputs / seconds, (f64)progress->bytes / seconds / 1e6, progress->slowest * 1000,
           (unsigned long long)progress->failed);
    return progress->failed ? 1 : 0;
}
