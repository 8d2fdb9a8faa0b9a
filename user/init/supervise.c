// SPDX-License-Identifier: MIT
// The loop: start what can start, wait until a process is over or a back-off is, decide what
// becomes of it. Each start and end is one line on the console, "init: NAME: WHAT".
#include "supervise.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "device.h"
#include "file.h"

enum { MODULE_MAX = 256 << 20 };
#define BACK_OFF_MAX (60 * SIP_SECOND)
#define STEADY (60 * SIP_SECOND) // who ran so long has earned its restarts anew
#define SHOWS (2 * SIP_SECOND)   // until then who shows what init says must have offered that
#define SERVED (10 * SIP_SECOND) // until then a server must have offered its folder

static bool quiet;

// --- What init says goes to the console, and to a service that shows it. What is said before there
// is one, or while it is started again, waits here, as far as there is room.
static struct {
    nebulet_handle stream;
    bool wanted;
    uint32_t size;
    char waits[4096];
} shown = {.stream = NEBULET_NO_HANDLE};

// It takes all at once, or it is not waited for: init has others to look after.
static void show(const char *text, uint32_t size)
{
    if (shown.stream != NEBULET_NO_HANDLE) {
        int64_t n = nebulet_stream_write(shown.stream, text, size, NEBULET_AT_ONCE);
        if (n >= 0 || n == NEBULET_ERR_SHOULD_WAIT)
            return;
        sip_close(shown.stream);
        shown.stream = NEBULET_NO_HANDLE;
    }
    if (!shown.wanted || size > sizeof shown.waits - shown.size)
        return;
    memmove(shown.waits + shown.size, text, size);
    shown.size += size;
}

// After it has started: it gets a stream, and what has waited.
static void show_by(const char *service)
{
    nebulet_handle ends[2];
    int64_t channel = nebulet_service_connect(service, (uint32_t)strlen(service), sip_after(SHOWS));
    if (channel < 0)
        return;
    if (sip_stream(ends) >= 0) {
        bool given = sip_send_handle((nebulet_handle)channel, "", 0, ends[1]) >= 0;
        sip_close(given ? shown.stream : ends[1]);
        if (given)
            shown.stream = ends[0];
        else
            sip_close(ends[0]);
    }
    sip_close((nebulet_handle)channel);
    uint32_t size = shown.size;
    if (shown.stream != NEBULET_NO_HANDLE && size) {
        shown.size = 0;
        show(shown.waits, size);
    }
}

static void say(const struct service *s, const char *format, ...) SIP_PRINTF(2, 3);
static void say(const struct service *s, const char *format, ...)
{
    char text[300];
    va_list list;
    va_start(list, format);
    sip_format_list(text, sizeof text, format, list);
    va_end(list);
    char line[400];
    sip_format(line, sizeof line, "init: %s: %s\n", s->name, text);
    if (quiet)
        fputs(line, stderr);
    else
        sip_printf("%s", line);
    show(line, (uint32_t)strlen(line));
}

// --- Starting

static bool compile(struct service *s)
{
    char message[160];
    size_t size = 0;
    char *bytes = file_read(s->file, MODULE_MAX, &size);
    if (!bytes) {
        say(s, "failed for good: %.100s: %s", s->file, strerror(errno));
        return false;
    }
    int64_t module = sip_compile(bytes, size, message, sizeof message);
    free(bytes);
    if (module >= 0)
        s->module = (nebulet_handle)module;
    else
        say(s, "failed for good: %.100s: %s%s%s", s->file, sip_error_text(module),
            message[0] ? ": " : "", message);
    return module >= 0;
}

// A file that several services have is compiled once; their handles are the same.
static bool get_module(struct manifest *m, struct service *s)
{
    for (uint32_t i = 0; s->module == NEBULET_NO_HANDLE && i < m->count; i++)
        if (m->services[i].module != NEBULET_NO_HANDLE && !strcmp(m->services[i].file, s->file))
            s->module = m->services[i].module;
    return s->module != NEBULET_NO_HANDLE || compile(s);
}

// After an end, or a start that did not succeed: what next?
static void decide(struct service *s, bool well, const char *what)
{
    bool again = s->restart == RESTART_ALWAYS || (s->restart == RESTART_ON_FAILURE && !well);
    if (s->started_at && sip_now() - s->started_at >= STEADY)
        s->restarts = 0;
    if (again && s->restarts < s->restarts_max) {
        s->wait = s->restarts++ ? s->wait * 2 : s->back_off;
        s->wait = s->wait < BACK_OFF_MAX ? s->wait : BACK_OFF_MAX;
        s->again_at = sip_after(s->wait);
        s->state = BACKS_OFF;
        say(s, "%s; starts again in %llu ms (%u of %u)", what, s->wait / SIP_MS, s->restarts,
            s->restarts_max);
        return;
    }
    s->state = well ? OVER : FAILED;
    if (!well || !quiet)
        say(s, "%s%s", what, well ? "" : "; failed for good");
}

static void close_told(struct service *s)
{
    if (s->told != NEBULET_NO_HANDLE)
        sip_close(s->told);
    s->told = NEBULET_NO_HANDLE;
}

// What becomes its handle 0: a channel with a message, in which the device is, or one by which it
// is told to end, or both; NEBULET_NO_HANDLE when it needs neither.
static int64_t make_channel(struct service *s)
{
    nebulet_handle ends[2];
    int64_t device = s->device ? device_take(s->device) : NEBULET_NO_HANDLE;
    if ((!s->device && !s->grace) || device < 0)
        return device;
    int64_t result = sip_channel(ends);
    if (result >= 0) {
        if (s->device)
            result = sip_send_handle(ends[0], s->device, strlen(s->device), (nebulet_handle)device);
        s->told = ends[0];
        if (!s->grace)
            close_told(s);
        if (result >= 0)
            return ends[1];
        sip_close(ends[1]);
    }
    if (s->device)
        sip_close((nebulet_handle)device);
    return result;
}

static int64_t give_folders(const struct service *s, nebulet_handle process, char *what,
                            size_t room)
{
    int64_t result = 0;
    for (uint32_t i = 0; i < s->folder_count && result >= 0; i++) {
        const struct folder *f = &s->folders[i];
        int64_t channel =
            nebulet_service_connect(f->server, (uint32_t)strlen(f->server), sip_after(SERVED));
        result = channel < 0 ? channel
                             : sip_folder_of(process, (nebulet_handle)channel, f->name, f->server);
        if (result < 0)
            sip_format(what, room, "does not start: folder %.60s of %s: %s", f->name, f->server,
                       sip_error_text(result));
        if (result < 0 && channel >= 0)
            sip_close((nebulet_handle)channel);
    }
    return result;
}

// Made, given what it gets, and started; or what went wrong is said in `what`.
static int64_t begin(struct service *s, char *what, size_t room)
{
    int64_t channel = make_channel(s);
    if (channel < 0) {
        sip_format(what, room, "does not start: device %s: %s", s->device ? s->device : "none",
                   sip_error_text(channel));
        return channel;
    }
    int64_t process = sip_create(s->module, s->args, &s->options, (nebulet_handle)channel);
    int64_t result = process;
    sip_format(what, room, "does not start: %s", sip_error_text(process));
    if (process < 0 && channel != NEBULET_NO_HANDLE)
        sip_close((nebulet_handle)channel);
    if (process >= 0)
        result = give_folders(s, (nebulet_handle)process, what, room);
    if (result >= 0 && (result = nebulet_process_start((nebulet_handle)process)) < 0)
        sip_format(what, room, "does not start: %s", sip_error_text(result));
    if (result < 0 && process >= 0)
        sip_close((nebulet_handle)process);
    return result < 0 ? result : process;
}

static void start(struct manifest *m, struct service *s)
{
    char what[200];
    s->started_at = 0;
    if (!get_module(m, s)) {
        s->state = FAILED;
        return;
    }
    int64_t process = begin(s, what, sizeof what);
    if (process < 0) {
        close_told(s);
        decide(s, false, what);
        return;
    }
    s->process = (nebulet_handle)process;
    s->started_at = sip_now();
    s->state = RUNS;
    if (!quiet)
        say(s, "started");
    if (s->console)
        show_by(s->console);
}

static void start_if_possible(struct manifest *m, struct service *s)
{
    if (s->state == BACKS_OFF && sip_now() >= s->again_at)
        start(m, s);
    if (s->state != WAITS)
        return;
    for (; s->needs_met < s->need_count; s->needs_met++) {
        const struct service *needed = &m->services[s->needs[s->needs_met].service];
        if (needed->state == FAILED) {
            s->state = FAILED;
            say(s, "not started: %s failed", needed->name);
            return;
        }
        if (needed->state != RUNS && needed->state != OVER)
            return;
    }
    start(m, s);
}

// --- Waiting

static void end(struct service *s)
{
    struct nebulet_exit how = {0};
    char what[80];
    sip_must(sip_join(s->process, &how), "init: waiting for a process");
    s->process = NEBULET_NO_HANDLE;
    close_told(s);
    sip_describe_exit(what, sizeof what, &how);
    decide(s, how.how == NEBULET_EXITED && how.code == 0, what);
}

// Waits until something has to be done. items has room for all services.
static void wait_for_ends(struct manifest *m, struct nebulet_wait *items)
{
    uint64_t until = NEBULET_FOREVER;
    uint32_t count = 0;
    for (uint32_t i = 0; i < m->count; i++) {
        struct service *s = &m->services[i];
        if (s->state == RUNS)
            items[count++] = (struct nebulet_wait){.handle = s->process, .signals = NEBULET_ENDED};
        if (s->state == BACKS_OFF && s->again_at < until)
            until = s->again_at;
    }
    int64_t result = nebulet_object_wait_many(items, count, until);
    if (result == NEBULET_ERR_TIMED_OUT || result == NEBULET_ERR_SHOULD_WAIT)
        return;
    sip_must(result, "init: waiting");
    for (uint32_t i = 0, k = 0; i < m->count; i++)
        if (m->services[i].state == RUNS && items[k++].observed & NEBULET_ENDED)
            end(&m->services[i]);
}

static bool is_busy(const struct service *s)
{
    return s->state == WAITS || s->state == BACKS_OFF || s->state == RUNS;
}

// One that has time for it may see to what it has in hand.
static void end_daemon(struct service *s)
{
    close_told(s);
    if (s->grace)
        nebulet_object_wait_one(s->process, NEBULET_ENDED, sip_after(s->grace));
    nebulet_process_kill(s->process);
    sip_must(sip_join(s->process, NULL), "init: waiting for a daemon");
    if (!quiet)
        say(s, "ended, nobody needs it any more");
}

// Daemons that nobody is left to need. That they are killed is no failure.
static void end_daemons(struct manifest *m)
{
    for (uint32_t i = m->count; i-- > 0;) {
        struct service *s = &m->services[m->order[i]];
        if (s->state == RUNS)
            end_daemon(s);
        if (is_busy(s))
            s->state = OVER;
    }
}

static bool others_are_busy(const struct manifest *m)
{
    for (uint32_t i = 0; i < m->count; i++)
        if (!m->services[i].is_daemon && is_busy(&m->services[i]))
            return true;
    return false;
}

uint32_t supervise(struct manifest *m, bool only_errors)
{
    quiet = only_errors;
    struct nebulet_wait *items = calloc(m->count + 1, sizeof *items);
    uint32_t failed = 0;
    if (!items)
        sip_panic("init: out of memory");
    for (uint32_t i = 0; i < m->count; i++)
        shown.wanted |= m->services[i].console != NULL;
    for (;;) {
        for (uint32_t i = 0; i < m->count; i++)
            start_if_possible(m, &m->services[m->order[i]]);
        if (!others_are_busy(m))
            break;
        wait_for_ends(m, items);
    }
    end_daemons(m);
    free(items);
    for (uint32_t i = 0; i < m->count; i++)
        failed += m->services[i].state == FAILED;
    return failed;
}
