/* SPDX-License-Identifier: MIT */
/*
 * measure: runs a command some times and says what each run took, start to exit.
 *
 *     measure FILE TIMES COMMAND [ARGUMENTS...]
 *
 * appends to FILE one line a run: wall ns, user ns, system ns, peak resident KB, exit status
 * (128 + signal when killed). The command keeps the standard streams. This is a program of its own,
 * because Linux counts the memory of the process that forks into the peak of its child: a small
 * parent keeps that floor below a megabyte, and the clock is read right beside vfork and wait.
 */
#define _GNU_SOURCE
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

struct sample {
    uint64_t wall_ns;
    struct rusage usage;
    int status;
};

static uint64_t now_ns(void)
{
    struct timespec t;

    clock_gettime(CLOCK_MONOTONIC, &t);
    return (uint64_t)t.tv_sec * 1000000000 + (uint64_t)t.tv_nsec;
}

static uint64_t to_ns(struct timeval t)
{
    return (uint64_t)t.tv_sec * 1000000000 + (uint64_t)t.tv_usec * 1000;
}

static int run(char **command, struct sample *out)
{
    uint64_t start = now_ns();
    int status;
    pid_t pid = vfork();

    if (pid == 0) {
        execvp(command[0], command);
        _exit(127);
    }
    if (pid < 0 || wait4(pid, &status, 0, &out->usage) != pid)
        return -1;
    out->wall_ns = now_ns() - start;
    out->status = WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
    return 0;
}

int main(int argc, char **argv)
{
    FILE *out;

    if (argc < 4 || (out = fopen(argv[1], "a")) == NULL) {
        fprintf(stderr, "usage: measure FILE TIMES COMMAND [ARGUMENTS...]\n");
        return 2;
    }
    for (int n = atoi(argv[2]); n > 0; n--) {
        struct sample s;

        if (run(argv + 3, &s) != 0)
            return 1;
        fprintf(out, "%llu %llu %llu %ld %d\n", (unsigned long long)s.wall_ns,
                (unsigned long long)to_ns(s.usage.ru_utime),
                (unsigned long long)to_ns(s.usage.ru_stime), s.usage.ru_maxrss, s.status);
    }
    return fclose(out) == 0 ? 0 : 1;
}
