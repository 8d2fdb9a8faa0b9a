// SPDX-License-Identifier: MIT
// From options to a WASI process: see guest.h. The program sees what the options name and nothing
// else; of our environment it gets the variables that --env asks for.
#include "main/guest.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "abi/wait_files.h"
#include "main/folder.h"
#include "plat/linux/hostfs.h"

struct setup {
    VEC(const char *) args;
    VEC(char *) env;               // "K=V", ours
    VEC(struct wasi_preopen) dirs; // the folders'
    VEC(struct vfs_file *) listeners;
};

static bool out_of_memory(void)
{
    complain("out of memory");
    return false;
}

// argv[0] is the name of the file without its folder, as wasmtime has it.
static bool add_args(struct setup *s, const struct options *o, int argc, char **argv)
{
    if (!vec_push(&s->args, o->argv0 ? o->argv0 : file_base_name(argv[0])))
        return out_of_memory();
    for (int i = 1; i < argc; i++)
        if (!vec_push(&s->args, argv[i]))
            return out_of_memory();
    return true;
}

// The last one of a name wins, in the place of the first.
static bool set_variable(struct setup *s, char *text)
{
    size_t name = (size_t)(strchr(text, '=') - text) + 1;
    for (u32 i = 0; i < s->env.count; i++) {
        if (strncmp(s->env.at[i], text, name))
            continue;
        free(s->env.at[i]);
        s->env.at[i] = text;
        return true;
    }
    return vec_push(&s->env, text);
}

static bool add_env(struct setup *s, const struct options *o)
{
    for (u32 i = 0; i < o->env.count; i++) {
        const char *given = o->env.at[i], *value = strchr(given, '=') ? "" : getenv(given);
        char *text;
        if (!value)
            continue; // not set here either
        if (asprintf(&text, "%s%s%s", given, strchr(given, '=') ? "" : "=", value) < 0)
            return out_of_memory();
        if (!set_variable(s, text)) {
            free(text);
            return out_of_memory();
        }
    }
    return true;
}

static bool add_dirs(struct setup *s, const struct folders *f)
{
    for (u32 i = 0; i < f->all.count; i++) {
        struct wasi_preopen pre = {.dir = f->all.at[i].dir, .name = f->all.at[i].guest};
        if (!vec_push(&s->dirs, pre))
            return out_of_memory();
    }
    return true;
}

// As systemd has it, who lets a program find them: from 3 on where it has no folders.
static bool add_listeners(struct setup *s, const struct listeners *l)
{
    char *text;
    for (u32 i = 0; i < l->all.count; i++)
        if (!vec_push(&s->listeners, l->all.at[i].file))
            return out_of_memory();
    if (!l->all.count)
        return true;
    if (asprintf(&text, "LISTEN_FDS=%u", l->all.count) < 0)
        return out_of_memory();
    if (set_variable(s, text))
        return true;
    free(text);
    return out_of_memory();
}

static void setup_free(struct setup *s)
{
    for (u32 i = 0; i < s->env.count; i++)
        free(s->env.at[i]);
    vec_free(&s->args);
    vec_free(&s->env);
    vec_free(&s->dirs);
    vec_free(&s->listeners);
}

struct wasi *guest_wasi(const struct options *o, const struct folders *f, const struct listeners *l,
                        int argc, char **argv)
{
    struct setup s = {0};
    struct wasi *w = NULL;
    if (add_args(&s, o, argc, argv) && add_env(&s, o) && add_listeners(&s, l) && add_dirs(&s, f)) {
        struct vfs_file *streams[3];
        bool all = true;
        for (int i = 0; i < 3; i++)
            all &= (streams[i] = hostfs_adopt(i)) != NULL;
        struct wasi_config config = {.args = s.args.at,
                                     .nargs = s.args.count,
                                     .env = (const char *const *)s.env.at,
                                     .nenv = s.env.count,
                                     .in = streams[0],
                                     .out = streams[1],
                                     .err = streams[2],
                                     .preopens = s.dirs.at,
                                     .npreopens = s.dirs.count,
                                     .listeners = s.listeners.at,
                                     .nlisteners = s.listeners.count,
                                     .wait = files_wait,
                                     .yield = files_yield};
        if (!all || !(w = wasi_create(&config)))
            out_of_memory();
        for (int i = 0; i < 3; i++)
            vfs_close(streams[i]);
    }
    setup_free(&s);
    return w;
}
