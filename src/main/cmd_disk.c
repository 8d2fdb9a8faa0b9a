// SPDX-License-Identifier: MIT
// nebulet disk: images of disks for programs in machines (doc/files.md). What is on one is seen to
// by the file server of such machines itself, user/svc/fs, which runs here as a program that has
// the image's folder and nothing else: what an image that somebody has made up does to it ends it,
// and nothing more. Data of `get` and `put` are its standard streams.
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

// A new image is sparse. One that is there stays.
static bool create(const char *path, u64 size)
{
    if (size < LEAST || size > MOST) {
        complain("--size: a disk has from 64K to 8T%s", size ? "" : ", which must be said");
        return false;
    }
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

// The file in the place of one of the standard streams.
static bool redirect(const char *path, int stream)
{
    int how = stream ? O_WRONLY | O_CREAT | O_TRUNC : O_RDONLY;
    if (str_eq(path, "-"))
        return true;
    int fd = open(path, how | O_CLOEXEC, 0666);
    if (fd >= 0 && dup2(fd, stream) == stream) {
        close(fd);
        return true;
    }
    complain("%s: %s", path, strerror(errno));
    return false;
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
    if (!a || !right_operands(a, o))
        return EXIT_USAGE;
    bool creates = str_eq(a->name, "create");
    const char *path = o->argc > 2 ? o->argv[a->form == FROM_FILE ? 3 : 2] : NULL, *image;
    if (path && strlen(path) > 4000)
        return complain("%.40s...: the path is too long", path), EXIT_ERROR;
    if (!machine_find("fs.wasm", "build it with make userspace", server, sizeof server) ||
        (creates && !create(o->argv[1], o->size)) ||
        (a->form == TO_FILE && !redirect(o->argv[3], STDOUT_FILENO)) ||
        (a->form == FROM_FILE && !redirect(o->argv[2], STDIN_FILENO)))
        return creates && !o->size ? EXIT_USAGE : EXIT_ERROR;
    char *whole = strdup(o->argv[1]);
    image = whole ? enter_folder(whole) : NULL;
    int code = image ? run(o, a, server, image, path) : EXIT_ERROR;
    free(whole);
    return code;
}
