// SPDX-License-Identifier: MIT
// Inside the shell: where it shows things, and the programs that it has started.
#pragma once
#include <sip.h>

#include "line.h"

// --- main.c: the screen, as far as there is one; else it is lost
void show(const char *text, size_t size);
void show_fresh(void); // goes to a new row, unless at the beginning of one
void say(const char *format, ...) SIP_PRINTF(1, 2);

// --- jobs.c: programs. Each has a number from 1 on.
enum { JOBS = 16 };
struct job {
    char name[40];
    nebulet_handle process;
    nebulet_handle in, out; // its standard input, which is written; its output, which is read
    bool background;
};
extern struct job jobs[JOBS]; // free: no process
static inline bool job_is(const struct job *j)
{
    return j->process != NEBULET_NO_HANDLE;
}
void jobs_init(void);
// Starts a program: its file, and its words. NULL: it was said why not.
struct job *job_start(char **words, bool background);
void job_input(struct job *j, const char *text, size_t size);
void job_end_input(struct job *j);
// What it has written is shown. False: it is over, which was said if it did not end well.
bool job_look(struct job *j, bool has_ended);
void jobs_list(void);
void job_kill(const char *number);
void jobs_end(void); // all of them

// --- commands.c
// Does what a line says. NULL: nothing is left to wait for; otherwise the program that is. *leave:
// it says so.
struct job *command(char *line, bool *leave);
