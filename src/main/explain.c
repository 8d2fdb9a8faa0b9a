// SPDX-License-Identifier: MIT
// See explain.h. The process is this program once more, so it begins with none of the memory of
// those who run here.
#include "main/explain.h"

#include <errno.h>
#include <fcntl.h>
#include <spawn.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "main/source.h"
#include "wasm/module.h"

extern char **environ;

static bool has_mangled_names(const struct module *m)
{
    for (u32 i = 0; i < m->nfuncs && m->func_names; i++) {
        struct name name = m->func_names[i];
        if (name.length > 2 && name.p[0] == '_' && (name.p[1] == 'Z' || name.p[1] == 'R'))
            return true;
    }
    return false;
}

// That reads `in` and writes to our stderr. 0: there is none.
static pid_t start(const char *module, int in)
{
    static const char self[] = "/proc/self/exe";
    char name[] = "nebulet", command[] = "explain", *argv[] = {name, command, (char *)module, NULL};
    posix_spawn_file_actions_t actions;
    posix_spawnattr_t attributes;
    sigset_t none;
    pid_t pid = 0;
    sigemptyset(&none);
    posix_spawn_file_actions_init(&actions);
    posix_spawnattr_init(&attributes);
    posix_spawnattr_setsigmask(&attributes, &none);
    posix_spawnattr_setflags(&attributes, POSIX_SPAWN_SETSIGMASK);
    if (posix_spawn_file_actions_adddup2(&actions, in, STDIN_FILENO) ||
        posix_spawn_file_actions_adddup2(&actions, STDERR_FILENO, STDOUT_FILENO) ||
        posix_spawn_file_actions_addopen(&actions, STDERR_FILENO, "/dev/null", O_WRONLY, 0) ||
        posix_spawn(&pid, self, &actions, &attributes, argv, environ))
        pid = 0;
    posix_spawnattr_destroy(&attributes);
    posix_spawn_file_actions_destroy(&actions);
    return pid;
}

bool explain_begin(struct explanation *x, const struct file *f, const struct module *m,
                   const char *text, size_t n)
{
    enum { PIPE_HOLDS = 65536 }; // Linux: without anybody who reads yet
    int ends[2];
    *x = (struct explanation){0};
    bool useful = has_mangled_names(m) || source_has(m);
    if (!useful || *f->name == '-' || n > PIPE_HOLDS || !(x->text = malloc(n)) ||
        pipe2(ends, O_CLOEXEC))
        return free(x->text), false;
    memcpy(x->text, text, n);
    x->size = n;
    if (write(ends[1], text, n) == (ssize_t)n)
        x->process = start(f->name, ends[0]);
    close(ends[0]);
    close(ends[1]);
    if (!x->process)
        free(x->text);
    return x->process;
}

void explain_end(struct explanation *x)
{
    int how = 0;
    if (!x->process)
        return;
    while (waitpid(x->process, &how, 0) < 0 && errno == EINTR)
        ;
    if (how)
        fwrite(x->text, 1, x->size, stderr);
    free(x->text);
    *x = (struct explanation){0};
}
