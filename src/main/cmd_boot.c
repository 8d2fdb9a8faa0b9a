// SPDX-License-Identifier: MIT
// nebulet boot: runs a program as nebulet run does, but in a machine of its own under QEMU, with
// nothing but our kernel below it. The program and copies of folders go there in an archive, and
// what it is to do in a file of words (main/kernel.c says which) beside them; other folders are
// devices.
#define _GNU_SOURCE
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "kern/process.h"
#include "main/archive.h"
#include "main/explain.h"
#include "main/folder.h"
#include "main/guest.h"
#include "main/host.h"
#include "main/machine.h"
#include "main/network.h"
#include "main/tracing.h"
#include "wasm/module.h"

struct words {
    VEC(char) text;
    bool failed;
};

// Appends a word of up to three parts.
static void add(struct words *w, const char *a, const char *b, const char *c)
{
    const char *parts[] = {a, b, c};
    for (u32 i = 0; i < countof(parts); i++)
        for (const char *p = parts[i]; *p; p++)
            w->failed |= !vec_push(&w->text, *p);
    w->failed |= !vec_push(&w->text, 0);
}

static void add_number(struct words *w, const char *name, u64 n)
{
    char text[24];
    snprintf(text, sizeof text, "%llu", (unsigned long long)n);
    add(w, name, text, "");
}

// A copy lies in the archive. In the place of any other folder the kernel finds a program, which is
// its driver, and whose name is the device's.
static void add_folder(struct words *w, const struct folder *f, u32 number)
{
    char place[32];
    snprintf(place, sizeof place, "::/%s/%u", f->how == FOLDER_COPY ? "folder" : "share", number);
    add(w, f->how == FOLDER_READ ? "dir.ro=" : "dir=", f->guest, place);
}

static void add_env(struct words *w, const char *given)
{
    const char *value = strchr(given, '=') ? "" : getenv(given);
    if (strchr(given, '='))
        add(w, "env.", given, "");
    else if (value) {
        add(w, "env.", given, "=");
        w->text.count--;
        add(w, value, "", "");
    }
}

// What holds for all programs.
static void describe_all(struct words *w, const struct options *o)
{
    add(w, "engine=", o->engine->name, "");
    char terminals[] = "012", *end = terminals;
    for (int fd = 0; fd < 3; fd++)
        if (isatty(fd))
            *end++ = (char)('0' + fd);
    *end = 0;
    if (*terminals)
        add(w, "tty=", terminals, "");
    if (o->verbose)
        add(w, "-v", "", "");
    if (o->trace)
        add(w, "trace=", tracing_calls(o), "");
    if (o->stats)
        add(w, *o->stats ? "stats=" : "stats", o->stats, "");
    const struct limits_of_process l = options_limits(o);
    const struct {
        const char *word;
        u64 value;
    } limits[] = {{"memory=", l.memory},       {"time=", l.wall_ns},    {"cpu=", l.cpu_ns},
                  {"handles=", l.handles},     {"threads=", l.threads}, {"messages=", l.messages},
                  {"processes=", l.processes}, {"weight=", l.weight},   {"stack=", o->stack}};
    for (u32 i = 0; i < countof(limits); i++)
        if (limits[i].value)
            add_number(w, limits[i].word, limits[i].value);
    if (o->may)
        add_number(w, "may=", l.privileges);
}

// The name of a program in the archive: no two are the same.
static const char *file_in_archive(char *buffer, size_t n, const struct operands *own, int i)
{
    const char *name = file_base_name(own->argv[0]);
    snprintf(buffer, n, "programs/%d/%s", i, str_eq(name, "-") ? "program" : name);
    return buffer;
}

static void describe(struct words *w, const struct options *o, const struct folders *folders,
                     const struct operands *own, int i, bool more)
{
    char file[512];
    add(w, "dir=", "", "");
    for (u32 k = 0; k < folders->all.count; k++)
        add_folder(w, &folders->all.at[k], k);
    for (u32 k = 0; k < o->env.count; k++)
        add_env(w, o->env.at[k]);
    if (o->argv0)
        add(w, "name=", o->argv0, "");
    if (more)
        add(w, "more", "", "");
    add_number(w, "argc=", (u64)own->argc - 1);
    add(w, "init=/", file_in_archive(file, sizeof file, own, i), "");
    for (int k = 1; k < own->argc; k++)
        add(w, own->argv[k], "", "");
}

static void add_input(struct words *w, struct archive *a, bool *all)
{
    struct early e = {0};
    if (!machine_early_input(&e))
        a->failed = true;
    if (e.all || e.bytes.count) {
        archive_file(a, "input", e.bytes.at, e.bytes.count);
        add(w, e.all ? "input.all=" : "input=", "/input", "");
    }
    *all = e.all;
    vec_free(&e.bytes);
}

static bool archive_programs(struct archive *a, const struct operands *programs, int n,
                             struct file *files)
{
    for (int i = 0; i < n; i++) {
        char name[512];
        struct file *f = &files[i];
        if (!file_read(programs[i].argv[0], f))
            return false;
        archive_module(a, file_in_archive(name, sizeof name, &programs[i], i), f->bytes, f->size);
    }
    return true;
}

// The network's driver and service, beside all programs, whose limits it has not.
static bool add_network(struct words *w, const struct options *o, struct archive *a,
                        struct network *n)
{
    static const char *const free_of[] = {"memory=0",  "time=0",     "cpu=0",       "handles=0",
                                          "threads=0", "messages=0", "processes=0", "weight=0"};
    char path[4096];
    if (!o->allow_net.count)
        return true;
    if (!network_args(n, o, MACHINE_NAMES) ||
        !machine_find("network.wasm", "build it with make userspace", path, sizeof path) ||
        !file_read(path, &n->file))
        return false;
    archive_module(a, "network.wasm", n->file.bytes, n->file.size);
    for (u32 i = 0; i < countof(free_of); i++)
        add(w, free_of[i], "", "");
    add(w, "daemon", "", "");
    add(w, "dir=", "", "");
    add_number(w, "may=", NEBULET_MAY_ALL & ~NEBULET_MAY_FILES);
    add_number(w, "argc=", 4 + n->args.count);
    add(w, "init=/network.wasm", "", "");
    add(w, "--address", "", "");
    add(w, MACHINE_ADDRESS "/24", "", "");
    add(w, "--gateway", "", "");
    add(w, MACHINE_GATEWAY, "", "");
    for (u32 i = 0; i < n->args.count; i++)
        add(w, n->args.at[i], "", "");
    return true;
}

static bool fill(struct archive *a, const struct options *o, const struct folders *folders,
                 struct operands *programs, struct file *files, struct machine *m)
{
    struct words w = {0};
    struct network network = {0};
    int n = options_split(o, programs);
    archive_start(a);
    add_input(&w, a, &m->no_input);
    describe_all(&w, o);
    for (int i = 0; i < n; i++)
        describe(&w, o, folders, &programs[i], i, i + 1 < n || o->allow_net.count);
    bool networked = add_network(&w, o, a, &network);
    folders_archive(folders, a);
    if (w.failed) {
        complain("out of memory");
        a->failed = true;
    }
    archive_file(a, "words", w.text.at, w.text.count);
    vec_free(&w.text);
    network_free(&network);
    return networked && machine_archive_folders(folders, a) &&
           archive_programs(a, programs, n, files) && archive_finish(a);
}

// --- Traps, which are told here as `run` tells them

struct told {
    struct file *files; // of the programs: what is at their paths may be another one by now
    int n;              // at most
    VEC(struct explanation) explanations;
};

static bool is_of(const struct name module, const char *text, size_t n)
{
    char *place = NULL;
    bool found = module.length && asprintf(&place, "(%.*s:0x", (int)module.length, module.p) > 0 &&
                 memmem(text, n, place, strlen(place));
    free(place);
    return found;
}

// False: the text is not of that program, or there is nothing to add.
static bool explain(struct told *t, const struct file *f, const char *text, size_t n)
{
    struct module *m;
    struct error e = {0};
    if (module_decode(f->bytes, f->size, &m, &e))
        return false;
    const char *base = file_base_name(f->name);
    struct name file = {base, (u32)strlen(base)};
    struct explanation x;
    bool done = (is_of(file, text, n) || is_of(m->module_name, text, n)) &&
                vec_reserve(&t->explanations, 1) && explain_begin(&x, f, m, text, n);
    if (done)
        t->explanations.at[t->explanations.count++] = x;
    module_free(m);
    return done;
}

static void on_told(void *context, const char *text, size_t n)
{
    struct told *t = context;
    bool done = false;
    for (int i = 0; !done && i < t->n && t->files[i].bytes; i++)
        done = explain(t, &t->files[i], text, n);
    if (!done)
        fwrite(text, 1, n, stderr);
}

int cmd_boot(struct options *o)
{
    struct archive a = {.fd = -1};
    struct folders folders = {0};
    struct told told = {.n = o->argc};
    struct machine m = {
        .line = "words=/words", .folders = &folders, .told = on_told, .context = &told};
    struct operands *programs = calloc((size_t)o->argc, sizeof *programs);
    told.files = calloc((size_t)o->argc, sizeof *told.files);
    int code = machine_options(o, &m) ? network_check(o) : EXIT_USAGE;
    if (o->allow_net.count)
        m.network = "user,id=net";
    code = code ? code : EXIT_ERROR;
    if (code == EXIT_ERROR && programs && told.files && tracing_begin(o) &&
        folders_open(&folders, o) && machine_folders(o, &m) &&
        fill(&a, o, &folders, programs, told.files, &m)) {
        m.archive = a.fd;
        code = machine_run(&m);
    }
    tracing_end();
    for (u32 i = 0; i < told.explanations.count; i++)
        explain_end(&told.explanations.at[i]);
    vec_free(&told.explanations);
    for (int i = 0; i < told.n && told.files; i++)
        file_free(&told.files[i]);
    free(told.files);
    archive_free(&a);
    folders_free(&folders);
    free(programs);
    return code;
}
