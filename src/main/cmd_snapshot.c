// SPDX-License-Identifier: MIT
// nebulet snapshot: starts a program once, up to where its requests begin, and writes a module that
// begins there; and the same for `serve`, by another process of this program.
//
// What is run is the export `wizer.initialize`, as Wizer has it. What belongs to the system cannot
// be in a module: whoever has opened something and not closed it is refused.
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <spawn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#include "main/folder.h"
#include "main/guest.h"
#include "main/host.h"
#include "main/job.h"
#include "main/snapshot.h"
#include "plat/linux/hostfs.h"
#include "plat/plat.h"

extern char **environ;

struct started {
    struct job job;
    struct file file;
    struct snapshot *snapshot;
    snapshot_bytes bytes;
    const char *unfit;
    bool failed; // out of memory
};

// While all is still there that the program has had.
static void on_leave(struct job *j)
{
    struct started *s = container_of(j, struct started, job);
    const struct process *p = j->process;
    if (p->how != NEBULET_EXITED)
        return;
    s->unfit = p->code                ? "it has ended with another exit code than 0"
               : p->handles.used      ? "it has handles that are open"
               : !wasi_plain(p->wasi) ? "it has files that are open"
                                      : snapshot_unfit(s->snapshot);
    if (!s->unfit)
        s->failed = !snapshot_write(s->snapshot, &s->bytes);
}

static int fail(const char *file, const char *why)
{
    complain("%s: no snapshot can be made: %s", file, why);
    return EXIT_ERROR;
}

static int start(struct started *s, const struct options *o, const struct folders *f)
{
    struct error e = {0};
    struct extern_ x;
    const struct listeners none = {0};
    const char *name = o->argv[0];
    if (!file_read(name, &s->file))
        return EXIT_ERROR;
    s->job = (struct job){.name = file_base_name(name),
                          .bytes = s->file.bytes,
                          .size = s->file.size,
                          .config = {.limits = options_limits(o)},
                          .leaving = on_leave};
    if (job_load(&s->job, &e))
        return complain_module(&s->file, &e);
    if (!(s->job.wasi = guest_wasi(o, f, &none, 1, o->argv)))
        return EXIT_ERROR;
    status failed = job_link(&s->job, &e);
    if (failed)
        return fail(name, *e.text ? e.text : status_text(failed));
    struct instance *in = s->job.process->instance;
    if (instance_export(in, SNAPSHOT_INITIALIZE, strlen(SNAPSHOT_INITIALIZE), &x) ||
        x.kind != EXTERN_FUNC || x.func_type->nparams || x.func_type->nresults)
        return fail(name, "it exports no function " SNAPSHOT_INITIALIZE
                          " without parameters and results");
    if (!(s->snapshot = snapshot_begin(in)))
        return fail(name, "out of memory");
    s->job.invoke = x.func;
    failed = job_begin(&s->job);
    return failed ? fail(name, status_text(failed)) : EXIT_OK;
}

static int write_out(const struct started *s, const char *name)
{
    bool out = str_eq(name, "-");
    FILE *to = out ? stdout : fopen(name, "wbe");
    bool done = to && fwrite(s->bytes.at, 1, s->bytes.count, to) == s->bytes.count;
    done = done && !(out ? fflush(to) : fclose(to));
    if (!done)
        complain("%s: %s", name, strerror(errno));
    return done ? EXIT_OK : EXIT_ERROR;
}

static int snapshot(struct started *s, const struct options *o, const struct folders *f)
{
    int code = start(s, o, f);
    if (code)
        job_stop(&s->job);
    jobs_run();
    if (code)
        return code;
    if (s->job.code && s->job.process->how != NEBULET_EXITED)
        return s->job.code;
    if (s->unfit || s->failed)
        return fail(o->argv[0],
                    s->unfit ? s->unfit : "out of memory, or a global is not understood");
    return write_out(s, o->argv[1]);
}

int cmd_snapshot(struct options *o)
{
    struct started s = {0};
    struct folders f = {0};
    if (o->argc != 2) {
        complain("snapshot takes two files: a module, and where to write what it becomes");
        return EXIT_USAGE;
    }
    if (jobs_init(o->engine, 1, false, NULL))
        return complain_setup();
    struct vfs_file *out = hostfs_adopt(1), *err = hostfs_adopt(2);
    if (!out || !err)
        return complain_setup();
    jobs_print(out, err);
    jobs_leave();
    signal(SIGPIPE, SIG_IGN);
    int code = folders_open(&f, o) && folders_copy(&f) ? snapshot(&s, o, &f) : EXIT_ERROR;
    snapshot_free(s.snapshot);
    vec_free(&s.bytes);
    job_free(&s.job);
    file_free(&s.file);
    jobs_free();
    folders_free(&f);
    vfs_close(out);
    vfs_close(err);
    return code;
}

// --- For others: by a process, so that it can be done while others run.

struct words {
    VEC(char *) all;
    bool failed;
};

static void add(struct words *w, const char *text)
{
    char *copy = text ? strdup(text) : NULL;
    w->failed |= (text && !copy) || !vec_push(&w->all, copy);
}

static void add_number(struct words *w, const char *option, u64 n, bool time)
{
    char text[80];
    snprintf(text, sizeof text, time ? "%s=%llu.%09llu" : "%s=%llu", option,
             (unsigned long long)(time ? n / 1000000000 : n), (unsigned long long)(n % 1000000000));
    if (n)
        add(w, text);
}

static void make_words(struct words *w, const struct options *o, const char *name, int fd)
{
    char out[40];
    snprintf(out, sizeof out, "/dev/fd/%d", fd);
    add(w, "nebulet");
    add(w, "snapshot");
    add(w, "--engine");
    add(w, o->engine->name);
    for (u32 i = 0; i < o->dirs.count; i++) {
        add(w, "--dir");
        add(w, o->dirs.at[i]);
    }
    for (u32 i = 0; i < o->env.count; i++) {
        add(w, "--env");
        add(w, o->env.at[i]);
    }
    add_number(w, "--max-memory", o->max_memory, false);
    add_number(w, "--max-time", o->max_time, true);
    add_number(w, "--max-cpu", o->max_cpu, true);
    add(w, "--");
    add(w, name);
    add(w, out);
    add(w, NULL);
}

// Its standard output is our standard error: ours is the log.
static bool run(char **words)
{
    posix_spawn_file_actions_t actions;
    pid_t pid;
    int state = -1;
    if (posix_spawn_file_actions_init(&actions))
        return false;
    bool done = !posix_spawn_file_actions_adddup2(&actions, 2, 1) &&
                !posix_spawn(&pid, "/proc/self/exe", &actions, NULL, words, environ);
    posix_spawn_file_actions_destroy(&actions);
    while (done && waitpid(pid, &state, 0) < 0)
        done = errno == EINTR;
    return done && WIFEXITED(state) && !WEXITSTATUS(state);
}

bool snapshot_file(const struct options *o, const char *name, struct file *file)
{
    struct words w = {0};
    char path[40];
    int fd = memfd_create("nebulet-snapshot", 0);
    make_words(&w, o, name, fd);
    bool done = fd >= 0 && !w.failed;
    if (!done)
        complain("%s: no snapshot can be made: %s", name, strerror(fd < 0 ? errno : ENOMEM));
    done = done && run(w.all.at);
    for (u32 i = 0; i < w.all.count; i++)
        free(w.all.at[i]);
    vec_free(&w.all);
    snprintf(path, sizeof path, "/dev/fd/%d", fd);
    done = done && file_read(path, file);
    file->name = name;
    if (fd >= 0)
        close(fd);
    return done;
}
