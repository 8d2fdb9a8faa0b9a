// SPDX-License-Identifier: MIT
// nebulet explain: adds to a trap's trace where in the source its places are, and names as the
// source has them. `run` passes what it tells of a program's trap through a process that does this
// (explain.c).
//
// A module may be anybody's, and so is its debug information. Whoever reads it has first read all
// that it needs and then given up everything but computing and writing (seccomp): no files, no
// other processes. When it fails, the trace is printed as it was.
#include <errno.h>
#include <linux/audit.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "main/host.h"
#include "main/source.h"
#include "wasm/module.h"

// --- Giving up

enum { SECONDS_MOST = 10 };
#define DATA_MOST (1ull << 30) // bytes of memory

static bool confine(void)
{
#define LOAD(field) BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, field))
#define ALLOW(name)                                                                                \
    BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SYS_##name, 0, 1),                                         \
        BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW)
    struct sock_filter filter[] = {
        LOAD(arch),
        BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, AUDIT_ARCH_X86_64, 1, 0),
        BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_KILL_PROCESS),
        LOAD(nr),
        ALLOW(brk),
        ALLOW(munmap),
        ALLOW(mremap),
        ALLOW(madvise),
        ALLOW(futex),
        ALLOW(exit_group),
        BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SYS_write, 0, 3),
        LOAD(args[0]),
        BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, STDOUT_FILENO, 0, 5),
        BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
        BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SYS_mmap, 0, 3),
        LOAD(args[2]),
        BPF_JUMP(BPF_JMP | BPF_JSET | BPF_K, PROT_EXEC, 1, 0),
        BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
        BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ERRNO | EPERM),
    };
#undef LOAD
#undef ALLOW
    struct sock_fprog program = {sizeof filter / sizeof *filter, filter};
    struct rlimit time = {SECONDS_MOST, SECONDS_MOST}, none = {0, 0}, data = {DATA_MOST, DATA_MOST};
    return !close_range(STDERR_FILENO + 1, UINT32_MAX, 0) && !setrlimit(RLIMIT_CPU, &time) &&
           !setrlimit(RLIMIT_CORE, &none) && !setrlimit(RLIMIT_DATA, &data) &&
           !prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) &&
           !prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &program);
}

// --- A line of a trace

struct place {
    const char *name, *file; // not terminated
    size_t name_length, file_length;
    u32 offset;
};

// "  at NAME (FILE:0xOFFSET)", as rt/trace.c writes it. A name may have anything in it, so the end
// is looked at first.
static bool parse(const char *line, size_t n, struct place *out)
{
    static const char start[] = "  at ", before[] = " (", hex[] = ":0x";
    if (n < sizeof start || memcmp(line, start, sizeof start - 1) || line[n - 1] != ')')
        return false;
    const char *digits = line + n - 1;
    u64 offset = 0;
    for (u32 shift = 0; digits > line && shift < 32; shift += 4) {
        const char *c = memchr("0123456789abcdef", digits[-1], 16);
        if (!c)
            break;
        offset |= (u64)(c - (const char *)memchr("0123456789abcdef", '0', 16)) << shift;
        digits--;
    }
    const char *colon = digits - (sizeof hex - 1);
    if (digits == line + n - 1 || colon < line + sizeof start || memcmp(colon, hex, sizeof hex - 1))
        return false;
    const char *file = colon;
    while (file > line + sizeof start && memcmp(file - 2, before, 2))
        file--;
    if (file <= line + sizeof start)
        return false;
    *out = (struct place){line + sizeof start - 1, file,
                          (size_t)(file - 2 - (line + sizeof start - 1)), (size_t)(colon - file),
                          (u32)offset};
    return true;
}

static bool is_of(const struct place *p, const char *file, const struct module *m)
{
    struct name own = m->module_name;
    return (p->file_length == strlen(file) && !memcmp(p->file, file, p->file_length)) ||
           (own.length && p->file_length == own.length && !memcmp(p->file, own.p, own.length));
}

static void put_name(FILE *to, const char *name, size_t length)
{
    char *copy = strndup(name, length), *readable = copy ? source_demangle(copy) : NULL;
    const char *text = readable ? readable : name;
    print_text(to, text, readable ? strlen(readable) : length);
    free(readable);
    free(copy);
}

static struct name whole_name(const struct module *m, const struct place *p)
{
    for (u32 i = m->nimported_funcs; i < m->nfuncs && m->func_names; i++)
        if (m->funcs[i].start <= p->offset && p->offset < m->funcs[i].end &&
            m->func_names[i].length)
            return m->func_names[i];
    return (struct name){p->name, (u32)p->name_length};
}

static void put_place(FILE *to, const struct source_place *p)
{
    if (!p->file)
        return;
    print_text(to, p->file, strlen(p->file));
    if (p->line)
        fprintf(to, ":%d", p->line);
    if (p->line && p->column)
        fprintf(to, ":%d", p->column);
    fputs(", ", to);
}

static void put_frame(FILE *to, const struct module *m, struct source *s, const struct place *p)
{
    struct source_place places[SOURCE_INLINED_MOST];
    const char *names[SOURCE_INLINED_MOST];
    u32 n = s ? source_places(s, p->offset, places, names) : 0, i = 0;
    for (; i + 1 < n; i++) {
        fputs("  at ", to);
        put_name(to, names[i] ? names[i] : "?", names[i] ? strlen(names[i]) : 1);
        fputs(" (", to);
        put_place(to, &places[i]);
        fputs("inlined)\n", to);
    }
    struct name name = whole_name(m, p);
    fputs("  at ", to);
    put_name(to, name.p, name.length);
    fputs(" (", to);
    if (n)
        put_place(to, &places[i]);
    print_text(to, p->file, p->file_length);
    fprintf(to, ":0x%x)\n", p->offset);
}

static void explain(FILE *to, const char *file, const struct module *m, struct source *s,
                    const char *text, size_t n)
{
    struct place p;
    for (size_t length; n; text += length, n -= length) {
        const char *end = memchr(text, '\n', n);
        length = end ? (size_t)(end - text) + 1 : n;
        if (parse(text, end ? length - 1 : length, &p) && is_of(&p, file, m))
            put_frame(to, m, s, &p);
        else
            fwrite(text, 1, length, to);
    }
}

static bool write_all(const char *p, size_t n)
{
    for (ssize_t done; n; p += done, n -= (size_t)done)
        if ((done = write(STDOUT_FILENO, p, n)) < 0)
            return false;
    return true;
}

int cmd_explain(struct options *o)
{
    struct file module, text;
    struct module *m;
    struct error e = {0};
    char *out = NULL;
    size_t n = 0;
    if (!file_read(o->argv[0], &module) || !file_read(o->argc > 1 ? o->argv[1] : "-", &text))
        return EXIT_ERROR;
    if (module_decode(module.bytes, module.size, &m, &e))
        return complain_module(&module, &e);
    if (!confine()) {
        complain("debug information is not read, for this process cannot be confined: %s",
                 strerror(errno));
        return EXIT_ERROR;
    }
    FILE *to = open_memstream(&out, &n);
    if (!to)
        return complain("out of memory"), EXIT_ERROR;
    explain(to, o->argv0 ? o->argv0 : file_base_name(module.name), m, source_open(m),
            (const char *)text.bytes, text.size);
    if (fclose(to) || !write_all(out, n))
        return EXIT_ERROR;
    return EXIT_OK; // the process ends, and all of this with it
}
