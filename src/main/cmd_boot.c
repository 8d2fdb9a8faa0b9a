// SPDX-License-Identifier: MIT
// nebulet boot: runs a program as nebulet run does, but in a machine of its own under QEMU, with
// nothing but our kernel below it. The program and its folders go there in an archive, and what it
// is to do in a file of words (main/kernel.c says which) beside them.
#define _GNU_SOURCE
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "main/archive.h"
#include "main/host.h"
#include "main/machine.h"

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

// HOST[::GUEST]
static void add_folder(struct words *w, struct archive *a, const char *given, u32 number)
{
    char name[32];
    const char *colons = strstr(given, "::");
    char *host = colons ? strndup(given, (size_t)(colons - given)) : strdup(given);
    snprintf(name, sizeof name, "folder/%u", number);
    if (host && *host)
        archive_folder(a, name, host);
    else
        w->failed = true;
    add(w, "dir=", colons ? colons + 2 : given, "");
    w->text.count--; // goes on
    add(w, "::/", name, "");
    free(host);
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

static void describe(struct words *w, struct archive *a, const struct options *o)
{
    const char *name = file_base_name(o->argv[0]);
    add(w, "engine=", o->engine->name, "");
    if (o->verbose)
        add(w, "-v", "", "");
    if (o->trace)
        add(w, "trace", "", "");
    if (o->max_time)
        add_number(w, "time=", o->max_time);
    if (o->max_memory)
        add_number(w, "memory=", o->max_memory);
    add(w, "dir=", "", "");
    for (u32 i = 0; i < o->dirs.count; i++)
        add_folder(w, a, o->dirs.at[i], i);
    for (u32 i = 0; i < o->env.count; i++)
        add_env(w, o->env.at[i]);
    if (o->argv0)
        add(w, "name=", o->argv0, "");
    add_number(w, "argc=", (u64)o->argc - 1);
    add(w, "init=/", str_eq(name, "-") ? "program" : name, "");
    for (int i = 1; i < o->argc; i++)
        add(w, o->argv[i], "", "");
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

static bool fill(struct archive *a, const struct options *o, bool *all)
{
    struct file f;
    struct words w = {0};
    const char *name = file_base_name(o->argv[0]);
    if (!file_read(o->argv[0], &f))
        return false;
    archive_start(a);
    add_input(&w, a, all);
    describe(&w, a, o);
    if (w.failed) {
        complain("out of memory");
        a->failed = true;
    }
    archive_file(a, "words", w.text.at, w.text.count);
    archive_file(a, str_eq(name, "-") ? "program" : name, f.bytes, f.size);
    vec_free(&w.text);
    file_free(&f);
    return archive_finish(a);
}

int cmd_boot(struct options *o)
{
    struct archive a = {.fd = -1};
    struct machine m = {.line = "words=/words"};
    int code = machine_options(o, &m) ? EXIT_ERROR : EXIT_USAGE;
    if (code == EXIT_ERROR && fill(&a, o, &m.no_input)) {
        m.archive = a.fd;
        code = machine_run(&m);
    }
    archive_free(&a);
    return code;
}
