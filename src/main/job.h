// SPDX-License-Identifier: MIT
// Programs that are run from outside: on Linux by a command, in the kernel by its command line. A
// job is one program, from its bytes to its exit code; several run together.
//
//   jobs_init, then for each: job_load, job_link, job_begin; then jobs_run; then job_free;
//   jobs_free
#pragma once
#include "abi/wasi.h"
#include "kern/sched.h"

// As a shell reports SIGABRT and SIGKILL.
enum { JOB_TRAPPED = 134, JOB_KILLED = 137 };

struct job {
    // The user's
    const char *name; // for messages
    const u8 *bytes;  // stay as long as the job
    size_t size;
    struct process_config config; // name and owner are filled in
    struct wasi *wasi;            // goes to the process
    bool trace;
    const struct vm_func *invoke; // NULL: none
    u64 *slots;                   // of invoke
    // At its end, while all that it has is there, after jobs_leave; NULL: nobody wants to know.
    void (*leaving)(struct job *j);
    // The job's
    struct module_object *module;
    struct process *process;
    int code;                 // once it is over
    struct nebulet_info info; // and what it has used
};

// Every process's end, also of those that a program has started: for statistics. May be NULL.
typedef void job_report_fn(const struct process *p, const struct nebulet_info *info);

// trace: of any of them.
status jobs_init(const struct engine *engine, u32 cpus, bool trace, job_report_fn *report);
// What is told of a trap of a program's own may go elsewhere: false, and it goes there all the
// same.
typedef bool job_tell_fn(struct job *j, const char *text, size_t n);
void jobs_tell(job_tell_fn *tell);
// Jobs' `leaving` is called.
void jobs_leave(void);
// Where the call `print` goes, and what is told of traps; the files must stay.
void jobs_print(struct vfs_file *out, struct vfs_file *err);
status job_load(struct job *j, struct error *e);
status job_link(struct job *j, struct error *e);
// The export that it would begin with but cannot, for it has parameters or results; NULL: there is
// none.
const char *job_unfit(const struct job *j);
// NOT_FOUND: the module exports nothing to begin with.
status job_begin(struct job *j);
// Ends it, should it have begun or not: for when another one cannot. jobs_run waits for that.
void job_stop(struct job *j);
void jobs_run(void);
// What it and all that it has made were charged at most, as a text; before job_free.
enum { JOB_CHARGED_MAX = 200 };
void job_charged(const struct job *j, char text[JOB_CHARGED_MAX]);
// What a process has used as a line of JSON; its length. The keys are what users' programs read:
// they stay (doc/debugging.md lists them).
enum { JOB_JSON_MAX = 1024 };
size_t job_json(const struct process *p, const struct nebulet_info *i, char text[JOB_JSON_MAX]);
void job_free(struct job *j); // at any point
void jobs_free(void);
