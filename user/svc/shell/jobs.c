// SPDX-License-Identifier: MIT
// Programs that the shell has started: their streams, their ends.
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "shell.h"

enum { MODULE_MAX = 256 << 20 };
struct job jobs[JOBS];

void jobs_init(void)
{
    for (uint32_t i = 0; i < JOBS; i++)
        jobs[i].process = NEBULET_NO_HANDLE;
}

// --- Starting

static int open_program(const char *name)
{
    static const char *const forms[] = {"%s", "%s.wasm", "/%s.wasm", "/%s"};
    char path[300];
    int fd = -1;
    for (uint32_t i = strchr(name, '/') ? 0 : 2; i < 4 && fd < 0; i++) {
        struct stat about;
        sip_format(path, sizeof path, forms[i], name);
        if (stat(path, &about) == 0 && S_ISREG(about.st_mode))
            fd = open(path, O_RDONLY);
    }
    return fd;
}

static uint8_t *read_program(const char *name, size_t *size)
{
    struct stat about;
    uint8_t *bytes = NULL;
    int fd = open_program(name);
    if (fd < 0) {
        say("%s: there is no such program (try help)\n", name);
        return NULL;
    }
    if (fstat(fd, &about) == 0 && about.st_size <= MODULE_MAX)
        bytes = malloc((size_t)about.st_size + 1);
    ssize_t n = 1;
    for (*size = 0; bytes && n > 0; *size += n > 0 ? (size_t)n : 0)
        n = read(fd, bytes + *size, (size_t)about.st_size - *size);
    if (!bytes || n < 0)
        say("%s: cannot be read\n", name);
    close(fd);
    if (n < 0) {
        free(bytes);
        return NULL;
    }
    return bytes;
}

static int64_t compile(const char *name)
{
    char message[160];
    size_t size;
    uint8_t *bytes = read_program(name, &size);
    if (!bytes)
        return NEBULET_ERR_NOT_FOUND;
    int64_t module = sip_compile(bytes, size, message, sizeof message);
    free(bytes);
    if (module < 0)
        say("%s: %s%s%s\n", name, sip_error_text(module), message[0] ? ": " : "", message);
    return module;
}

// Both outputs are one stream, so that what is written stays in order. Whatever goes wrong, what is
// left is closed by the caller.
static int64_t connect(struct job *j, nebulet_handle process)
{
    nebulet_handle in[2] = {NEBULET_NO_HANDLE, NEBULET_NO_HANDLE}, out[2];
    int64_t result = sip_stream(in);
    if (result < 0)
        return result;
    j->in = in[0];
    if ((result = sip_stdio(process, 0, in[1])) < 0) {
        sip_close(in[1]);
        return result;
    }
    if ((result = sip_stream(out)) < 0)
        return result;
    j->out = out[1];
    int64_t second = nebulet_handle_duplicate(out[0], NEBULET_SAME_RIGHTS);
    result = second < 0 ? second : sip_stdio(process, 2, (nebulet_handle)second);
    if (result < 0 && second >= 0)
        sip_close((nebulet_handle)second);
    if (result >= 0)
        result = sip_stdio(process, 1, out[0]);
    if (result < 0)
        sip_close(out[0]);
    return result;
}

static void close_job(struct job *j)
{
    const nebulet_handle all[] = {j->in, j->out, j->process};
    for (uint32_t i = 0; i < 3; i++)
        if (all[i] != NEBULET_NO_HANDLE)
            sip_close(all[i]);
    j->process = NEBULET_NO_HANDLE;
}

struct job *job_start(char **words, bool background)
{
    struct job *j = jobs;
    while (j < jobs + JOBS && job_is(j))
        j++;
    if (j == jobs + JOBS) {
        say("there are %u programs already: kill one\n", JOBS);
        return NULL;
    }
    int64_t module = compile(words[0]);
    if (module < 0)
        return NULL;
    int64_t process =
        sip_create((nebulet_handle)module, (const char *const *)words, NULL, NEBULET_NO_HANDLE);
    int64_t result = process;
    sip_close((nebulet_handle)module);
    *j = (struct job){
        .process = NEBULET_NO_HANDLE, .in = NEBULET_NO_HANDLE, .out = NEBULET_NO_HANDLE};
    sip_format(j->name, sizeof j->name, "%s", words[0]);
    j->background = background;
    if (process >= 0) {
        j->process = (nebulet_handle)process;
        result = connect(j, j->process);
    }
    if (result == NEBULET_ERR_NOT_SUPPORTED) // it has no standard streams
        result = 0;
    if (result >= 0)
        result = nebulet_process_start(j->process);
    if (result < 0) {
        say("%s: %s\n", words[0], sip_error_text(result));
        close_job(j);
        return NULL;
    }
    if (background)
        job_end_input(j);
    return j;
}

// --- Streams

// More than it has not read for 64 KiB is lost.
void job_input(struct job *j, const char *text, size_t size)
{
    if (j->in == NEBULET_NO_HANDLE)
        return;
    int64_t n = nebulet_stream_write(j->in, text, (uint32_t)size, NEBULET_AT_ONCE);
    if (n < (int64_t)size)
        show("\a", 1);
}

void job_end_input(struct job *j)
{
    if (j->in != NEBULET_NO_HANDLE)
        sip_close(j->in);
    j->in = NEBULET_NO_HANDLE;
}

// A little of it: keys are looked at in between.
static bool show_some(struct job *j)
{
    char text[4096];
    if (j->out == NEBULET_NO_HANDLE)
        return false;
    int64_t n = nebulet_stream_read(j->out, text, sizeof text, NEBULET_AT_ONCE);
    if (n > 0)
        show(text, (size_t)n);
    if (n < 0 && n != NEBULET_ERR_SHOULD_WAIT) { // it has closed that, which need not be its end
        sip_close(j->out);
        j->out = NEBULET_NO_HANDLE;
    }
    return n > 0;
}

bool job_look(struct job *j, bool has_ended)
{
    struct nebulet_exit how;
    char text[80];
    if (show_some(j) || !has_ended)
        return true;
    if (nebulet_process_wait(j->process, NEBULET_AT_ONCE, &how) < 0)
        return true; // it is about to be
    sip_describe_exit(text, sizeof text, &how);
    show_fresh();
    if (j->background || how.how != NEBULET_EXITED || how.code)
        say("[%u] %s: %s\n", (unsigned)(j - jobs) + 1, j->name, text);
    close_job(j);
    return false;
}

// --- Commands on them

void jobs_list(void)
{
    bool any = false;
    for (uint32_t i = 0; i < JOBS; i++) {
        struct nebulet_info about;
        if (!job_is(&jobs[i]) || nebulet_process_info(jobs[i].process, &about) < 0)
            continue;
        if (!any)
            say("NUMBER  PROCESS  CPU ms  MEMORY KiB  NAME\n");
        any = true;
        say("%6u  %7u  %6llu  %10llu  %s\n", i + 1, about.id, about.cpu_ns / SIP_MS,
            about.memory >> 10, jobs[i].name);
    }
    if (!any)
        say("no program runs\n");
}

void job_kill(const char *number)
{
    char *end;
    unsigned long n = strtoul(number, &end, 10);
    if (*end || end == number || n < 1 || n > JOBS || !job_is(&jobs[n - 1]))
        say("kill: %s is not the number of a program (try ps)\n", number);
    else
        nebulet_process_kill(jobs[n - 1].process);
}

void jobs_end(void)
{
    for (uint32_t i = 0; i < JOBS; i++)
        if (job_is(&jobs[i])) {
            nebulet_process_kill(jobs[i].process);
            nebulet_process_wait(jobs[i].process, NEBULET_FOREVER, NULL);
            close_job(&jobs[i]);
        }
}
