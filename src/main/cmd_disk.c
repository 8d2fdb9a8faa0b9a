// SPDX-License-Identifier: MIT
// nebulet disk: images of disks for programs in machines (doc/files.md). What is on one is seen to
// by the file server of such machines itself, user/svc/fs, which runs here as a program that has
// the image's folder and nothing else, which it may write to only where the image is to change: an
// image that somebody has made up may end it, but reaches no further than there. Data of `get` and
// `put` are its standard streams.
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "main/host.h"
#include "main/machine.h"

enum { LEAST = 64 << 10, ARGS = 8 };
#define MOST (8ull << 40)
#define SECOND 1000000000ull

enum disk_form { ALONE, WITH_PATH, MAYBE_PATH, FROM_FILE, TO_FILE };

static const struct action {
    const char *name, *operands;
    enum disk_form form;
    bool writes;
} actions[] = {
    {"create", "IMAGE", ALONE, true},           {"check", "IMAGE", ALONE, false},
    {"ls", "IMAGE [PATH]", MAYBE_PATH, false},  {"cat", "IMAGE PATH", WITH_PATH, false},
    {"get", "IMAGE PATH FILE", TO_FILE, false}, {"put", "IMAGE FILE PATH", FROM_FILE, true},
    {"mkdir", "IMAGE PATH", WITH_PATH, true},   {"rm", "IMAGE PATH", WITH_PATH, true},
};

static const char *action_name(const void *context, u32 i)
{
    (void)context;
    return i < countof(actions) ? actions[i].name : NULL;
}

static const struct action *find(const char *name)
{
    for (u32 i = 0; i < countof(actions); i++)
        if (str_eq(actions[i].name, name))
            return &actions[i];
    const char *near = nearest_name(name, action_name, NULL);
    complain("disk has no action '%s'", name);
    hint("%s%s", near ? "did you mean " : "nebulet help disk", near ? near : "");
    return NULL;
}

static bool right_operands(const struct action *a, const struct options *o)
{
    int n = o->argc - 2;
    bool right = a->form == ALONE        ? n == 0
                 : a->form == MAYBE_PATH ? n == 0 || n == 1
                 : a->form == WITH_PATH  ? n == 1
                                         : n == 2;
    if (!right)
        complain("disk %s needs %s", a->name, a->operands);
    return right;
}

static bool sensible(const struct action *a, const struct options *o)
{
    bool sized = !str_eq(a->name, "create") || (o->size >= LEAST && o->size <= MOST);
    if (!sized)
        complain("--size: a disk has from 64K to 8T%s", o->size ? "" : ", which must be said");
    return sized;
}

// A new image is sparse. One that is there stays.
static bool create(const char *path, u64 size)
{
    int fd = open(path, O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, 0666);
    bool done = fd >= 0 && !ftruncate(fd, (off_t)(size & ~4095ull));
    if (!done)
        complain("%s: %s", path, strerror(errno));
    if (fd >= 0)
        close(fd);
    if (fd >= 0 && !done)
        unlink(path);
    return done;
}

// Where data of `get` go: beside the file until all of them are there, so that what was in it stays
// when something goes wrong. What is no file (a terminal, /dev/null) is written to as it is.
struct target {
    int folder;       // the working directory before it is the image's
    char *path, *new; // NULL: it is written to as it is
};

// The file in the place of one of the standard streams.
static bool redirect(const char *path, int stream, struct target *t)
{
    struct stat st;
    int how = O_RDONLY;
    if (str_eq(path, "-"))
        return true;
    if (stream && (stat(path, &st) ? errno == ENOENT : S_ISREG(st.st_mode))) {
        t->folder = open(".", O_PATH | O_DIRECTORY | O_CLOEXEC);
        t->path = strdup(path);
        if (!t->path || asprintf(&t->new, "%s.part", path) < 0)
            t->new = NULL;
        if (!t->new)
            return complain("out of memory"), false;
        path = t->new;
        how = O_WRONLY | O_CREAT | O_EXCL;
    } else if (stream) {
        how = O_WRONLY;
    }
    int fd = open(path, how | O_CLOEXEC, 0666);
    if (fd >= 0 && dup2(fd, stream) == stream) {
        close(fd);
        return true;
    }
    complain("%s: %s", path, strerror(errno));
    free(t->new); // it is not ours
    t->new = NULL;
    return false;
}

static int finish(struct target *t, int code)
{
    if (t->new && code == EXIT_OK && renameat(t->folder, t->new, t->folder, t->path))
        code = EXIT_ERROR, complain("%s: %s", t->path, strerror(errno));
    if (t->new && code != EXIT_OK)
        unlinkat(t->folder, t->new, 0);
    free(t->new);
    free(t->path);
    return code;
}

static bool is_same_file(const char *a, const char *b)
{
    struct stat x, y;
    return !stat(a, &x) && !stat(b, &y) && x.st_dev == y.st_dev && x.st_ino == y.st_ino;
}

// Where the image is becomes the working directory, and what is left of its path is its name there.
static const char *enter_folder(char *path)
{
    char *slash = strrchr(path, '/');
    struct stat st;
    bool there = !stat(path, &st);
    if (!there || !S_ISREG(st.st_mode)) {
        complain("%s: %s", path, there ? "not a file" : strerror(errno));
        return NULL;
    }
    if (slash)
        *slash = 0;
    if (slash && chdir(*path ? path : "/")) {
        complain("%s: %s", path, strerror(errno));
        return NULL;
    }
    return slash ? slash + 1 : path;
}

static int run(struct options *o, const struct action *a, const char *server, const char *image,
               const char *path)
{
    char in_guest[4100], file[300];
    snprintf(file, sizeof file, "/%s", image);
    snprintf(in_guest, sizeof in_guest, "/%s", path && *path == '/' ? path + 1 : path ? path : "");
    char *words[ARGS] = {(char *)server, "--tool", (char *)a->name, file, in_guest};
    o->argv = words;
    o->argc = path ? 5 : 4;
    struct stat st;
    if (!stat(image, &st) && !o->max_cpu) // of hostile images; honest ones need less
        o->max_cpu = 60 * SECOND + (u64)st.st_size / (10 << 20) * SECOND;
    return vec_push(&o->dirs, a->writes ? ".::/:rw" : ".::/:ro") ? cmd_run(o)
                                                                 : (complain("out of memory"), 1);
}

int cmd_disk(struct options *o)
{
    char server[4096];
    const struct action *a = find(o->argv[0]);
    if (!a || !right_operands(a, o) || !sensible(a, o))
        return EXIT_USAGE;
    bool creates = str_eq(a->name, "create");
    const char *path = o->argc > 2 ? o->argv[a->form == FROM_FILE ? 3 : 2] : NULL, *image;
    struct target target = {.folder = -1};
    if (path && strlen(path) > 4000)
        return complain("%.40s...: the path is too long", path), EXIT_ERROR;
    if ((a->form == TO_FILE || a->form == FROM_FILE) &&
        is_same_file(o->argv[1], o->argv[a->form == TO_FILE ? 3 : 2]))
        return complain("%s: it is the image itself", o->argv[1]), EXIT_ERROR;
    if (!machine_find("fs.wasm", "build it with make userspace", server, sizeof server) ||
        (creates && !create(o->argv[1], o->size)) ||
        (a->form == TO_FILE && !redirect(o->argv[3], STDOUT_FILENO, &target)) ||
        (a->form == FROM_FILE && !redirect(o->argv[2], STDIN_FILENO, &target)))
        return finish(&target, EXIT_ERROR);
    char *whole = strdup(o->argv[1]);
    image = whole ? enter_folder(whole) : NULL;
    int code = finish(&target, image ? run(o, a, server, image, path) : EXIT_ERROR);
    free(whole);
    return code;
}
