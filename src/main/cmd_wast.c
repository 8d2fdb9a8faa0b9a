// SPDX-License-Identifier: MIT
// nebulet wast: runs specification scripts, and adds up how they went. The last line is that of all
// scripts together: "N passed, N failed, N skipped".
#include <stdio.h>

#include "main/host.h"
#include "main/script.h"
#include "main/wast_json.h"

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
                                    .no_simd_exec = o->no_simd_exec,
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

int cmd_wast(struct options *o)
{
    struct script_counts counts = {0};
    if (rt_init() != OK)
        return complain("cannot set the runtime up"), EXIT_ERROR;
    for (int i = 0; i < o->argc; i++)
        if (!run_script(o, o->argv[i], &counts))
            counts.failed++;
    print_counts(&counts);
    return counts.failed ? EXIT_ERROR : EXIT_OK;
}
