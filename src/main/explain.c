// SPDX-License-Identifier: MIT
// See explain.h. The process is this program once more, so it begins with none of the memory of
// those who run here.
#include "main/explain.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <spawn.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
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

// Bytes as a file of nobody else's, from its beginning; -1: there is none.
static int file_of(const void *bytes, size_t n)
{
    int fd = memfd_create("nebulet-explain", MFD_CLOEXEC);
    for (size_t done = 0; fd >= 0 && done < n;) {
        ssize_t part = write(fd, (const char *)bytes + done, n - done);
        if (part <= 0) {
            close(fd);
            return -1;
        }
        done += (size_t)part;
    }
    if (fd >= 0)
        lseek(fd, 0, SEEK_SET);
    return fd;
}

enum { MODULE_FD = 3 };

// That reads the text and the module, which frames call by its name, and writes to our stderr. 0:
// there is none.
static pid_t start(const char *called, int module, int text)
{
    static const char self[] = "/proc/self/exe";
    char name[] = "nebulet", command[] = "explain", option[] = "--argv0",
         file[] = "/proc/self/fd/3";
    char *argv[] = {name, command, option, (char *)called, file, NULL};
    posix_spawn_file_actions_t actions;
    posix_spawnattr_t attributes;
    sigset_t none;
    pid_t pid = 0;
    sigemptyset(&none);
    posix_spawn_file_actions_init(&actions);
    posix_spawnattr_init(&attributes);
    posix_spawnattr_setsigmask(&attributes, &none);
    posix_spawnattr_setflags(&attributes, POSIX_SPAWN_SETSIGMASK);
    if (posix_spawn_file_actions_adddup2(&actions, text, STDIN_FILENO) ||
        posix_spawn_file_actions_adddup2(&actions, STDERR_FILENO, STDOUT_FILENO) ||
        posix_spawn_file_actions_adddup2(&actions, module, MODULE_FD) ||
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
    enum { MODULE_MOST = 64 << 20 }; // bytes, which are copied
    *x = (struct explanation){0};
    if (!(has_mangled_names(m) || source_has(m)) || f->size > MODULE_MOST || !(x->text = malloc(n)))
        return false;
    memcpy(x->text, text, n);
    x->size = n;
    // The bytes that run: by its path a program could make another file of it, in a folder that it
    // may write to.
    int module = file_of(f->bytes, f->size), told = file_of(text, n);
    if (module > MODULE_FD && told > MODULE_FD)
        x->process = start(file_base_name(f->name), module, told);
    if (module >= 0)
        close(module);
    if (told >= 0)
        close(told);
    if (!x->process)
        free(x->text);
    return x->process;
}

// Whatever it does, it is over after some time.
static bool wait_for(pid_t pid, int *how)
{
    enum { TURNS = 3000, TURN_US = 10000 };
    pid_t done = 0;
    for (u32 i = 0; i < TURNS && !done; i++)
        if (!(done = waitpid(pid, how, WNOHANG)))
            usleep(TURN_US);
    if (done)
        return done == pid;
    kill(pid, SIGKILL);
    while (waitpid(pid, how, 0) < 0 && errno == EINTR)
        ;
    return false;
}

void explain_end(struct explanation *x)
{
    int how = 0;
    if (!x->process)
        return;
    if (!wait_for(x->process, &how) || how)
        fwrite(x->text, 1, x->size, stderr);
    free(x->text);
    *x = (struct explanation){0};
}
