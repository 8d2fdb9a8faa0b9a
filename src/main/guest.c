// SPDX-License-Identifier: MIT
// From options to a WASI process: see guest.h. The program sees what the options name and nothing
// else; of our environment it gets the variables that --env asks for.
#include "main/guest.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "abi/wait_files.h"
#include "plat/linux/hostfs.h"

struct setup {
    VEC(const char *) args;
    VEC(char *) env;               // "K=V", ours
    VEC(struct wasi_preopen) dirs; // names ours
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

void guest_folder_free(struct guest_folder *f)
{
    vfs_close(f->dir);
    free(f->host);
    free(f->guest);
}

const char *guest_folder_name(const char *given)
{
    const char *colons = strstr(given, "::");
    return colons ? colons + 2 : given;
}

bool guest_folder(const char *given, struct guest_folder *out)
{
    const char *colons = strstr(given, "::");
    *out = (struct guest_folder){
        .host = colons ? strndup(given, (size_t)(colons - given)) : strdup(given),
        .guest = strdup(guest_folder_name(given)),
    };
    bool all = out->host && out->guest;
    enum fs_error e = all ? hostfs_open(out->host, false, &out->dir) : E_NOMEM;
    if (e == E_SUCCESS)
        return true;
    complain("--dir %s: %s", given, fs_error_text(e));
    guest_folder_free(out);
    return false;
}

static bool add_dir(struct setup *s, const char *given)
{
    struct guest_folder f;
    if (!guest_folder(given, &f))
        return false;
    struct wasi_preopen pre = {.dir = f.dir, .name = f.guest};
    if (!vec_push(&s->dirs, pre)) {
        guest_folder_free(&f);
        return out_of_memory();
    }
    free(f.host);
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

static bool setup_fill(struct setup *s, const struct options *o, const struct listeners *l,
                       int argc, char **argv)
{
    bool done = add_args(s, o, argc, argv) && add_env(s, o) && add_listeners(s, l);
    for (u32 i = 0; i < o->dirs.count && done; i++)
        done = add_dir(s, o->dirs.at[i]);
    for (u32 i = 0; i < o->shares.count && done; i++)
        done = add_dir(s, o->shares.at[i]);
    return done;
}

static void setup_free(struct setup *s)
{
    for (u32 i = 0; i < s->env.count; i++)
        free(s->env.at[i]);
    for (u32 i = 0; i < s->dirs.count; i++) {
        free((char *)s->dirs.at[i].name);
        vfs_close(s->dirs.at[i].dir);
    }
    vec_free(&s->args);
    vec_free(&s->env);
    vec_free(&s->dirs);
    vec_free(&s->listeners);
}

struct wasi *guest_wasi(const struct options *o, const struct listeners *l, int argc, char **argv)
{
    struct setup s = {0};
    struct wasi *w = NULL;
    if (setup_fill(&s, o, l, argc, argv)) {
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
                                     .yield = files_yield,
                                     .trace = o->trace};
        if (!all || !(w = wasi_create(&config)))
            out_of_memory();
        for (int i = 0; i < 3; i++)
            vfs_close(streams[i]);
    }
    setup_free(&s);
    return w;
}
