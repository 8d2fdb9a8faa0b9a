// SPDX-License-Identifier: MIT
// nebulet wast: runs specification scripts, and adds up how they went. The last line is that of all
// scripts together: "N passed, N failed, N skipped". With --boot they run in the kernel, which is
// given their binary forms and prints the same.
#include <stdio.h>

#include "main/archive.h"
#include "main/host.h"
#include "main/machine.h"
#include "main/script.h"
#include "main/wast_json.h"

struct words {
    VEC(char) text;
};

static void report(void *context, u32 line, const char *text)
{
    printf("%s:%u: %s\n", (const char *)context, line, text);
}

// False when the script could not be run to its end.
static bool run_script(const struct options *o, const char *path, struct script_counts *counts)
{
    struct wast w;
    status s = OK;
    bool readable = wast_read(path, &w);
    if (readable) {
        struct script_options so = {.engine = o->engine,
                                    .validate_only = o->validate_only,
                                    .report = report,
                                    .context = w.source && *w.source ? w.source : (char *)path};
        s = script_run(&so, w.script.at, w.script.count, counts);
        if (s != OK)
            complain("%s: the script cannot be run: %s", path, status_text(s));
    }
    wast_free(&w);
    return readable && s == OK;
}

static void print_counts(const struct script_counts *c)
{
    u32 skipped = 0;
    for (u32 i = 0; i < SKIP_COUNT; skipped += c->skipped[i++])
        if (c->skipped[i])
            printf("skipped, %s: %u\n", script_skip_text(i), c->skipped[i]);
    printf("%u passed, %u failed, %u skipped\n", c->passed, c->failed, skipped);
}

// --- In the kernel

// Appends the words that make the kernel run a script: its name in the archive, which ends with the
// name that messages have. The first one starts the list.
static void add_script(struct archive *a, struct words *words, const char *path, int number)
{
    struct wast w;
    char name[64];
    if (!wast_read(path, &w)) {
        a->failed = true;
    } else {
        const char *source = file_base_name(w.source && *w.source ? w.source : path);
        int n = snprintf(name, sizeof name, "%d/%.40s", number, source);
        archive_file(a, name, w.script.at, w.script.count);
        a->failed |= !vec_reserve(&words->text, 80);
        for (const char *p = number ? "/" : "wast=/"; *p && !a->failed; p++)
            words->text.at[words->text.count++] = *p;
        for (int i = 0; i <= n && !a->failed; i++)
            words->text.at[words->text.count++] = name[i];
    }
    wast_free(&w);
}

static int boot(const struct options *o)
{
    struct archive a;
    struct words words = {0};
    char line[80];
    struct machine m = {.line = line};
    if (!machine_options(o, &m))
        return EXIT_USAGE;
    archive_start(&a);
    for (int i = 0; i < o->argc && !a.failed; i++)
        add_script(&a, &words, o->argv[i], i);
    archive_file(&a, "words", words.text.at, words.text.count);
    snprintf(line, sizeof line, "engine=%s words=/words", o->engine->name);
    m.archive = a.fd;
    int code = archive_finish(&a) ? machine_run(&m) : EXIT_ERROR;
    vec_free(&words.text);
    archive_free(&a);
    return code;
}

int cmd_wast(struct options *o)
{
    struct script_counts counts = {0};
    if (o->boot)
        return boot(o);
    if (rt_init() != OK)
        return complain_setup();
    for (int i = 0; i < o->argc; i++)
        if (!run_script(o, o->argv[i], &counts))
            counts.failed++;
    print_counts(&counts);
    return counts.failed ? EXIT_ERROR : EXIT_OK;
}
