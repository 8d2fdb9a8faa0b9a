// SPDX-License-Identifier: MIT
// Unit test of plat_cpu_start on Linux: what runs there must be able to take faults, so it is a
// mistake to start one before plat_on_fault, and told of at once.
#include "plat/plat.h"

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <unistd.h>

enum { RAN = 3, DIED = 70, TOO_LATE_S = 60 };

static bool hook(struct plat_fault *f)
{
    (void)f;
    return false;
}

static void entry(void *nothing)
{
    (void)nothing;
    _exit(RAN);
}

// How a process that starts a CPU ends.
static int start(bool hooked)
{
    pid_t child = fork();
    if (!child) {
        alarm(TOO_LATE_S);
        dup2(open("/dev/null", O_WRONLY), STDERR_FILENO);
        if (hooked)
            plat_on_fault(hook);
        plat_cpu_start(1, entry, NULL);
        for (;;)
            pause();
    }
    int how = 0;
    waitpid(child, &how, 0);
    return how;
}

int main(void)
{
    int with = start(true), without = start(false);
    bool right = WIFEXITED(with) && WEXITSTATUS(with) == RAN && WIFEXITED(without) &&
                 WEXITSTATUS(without) == DIED;
    if (!right)
        printf("with a hook: %x; without: %x\n", with, without);
    printf("%d passed, %d failed\n", right, !right);
    return !right;
}
