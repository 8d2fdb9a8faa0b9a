// SPDX-License-Identifier: MIT
// Jobs: see job.h.
#include "main/job.h"
#include "abi/nebulet.h"
#include "abi/wait_files.h"
#include "base/fmt.h"
#include "base/heap.h"
#include "plat/plat.h"

static job_report_fn *report_to;
static struct vfs_file *print_to, *tell_to;
static job_tell_fn *tell_else; // NULL: nobody

__attribute__((format(printf, 1, 2))) static void say(const char *format, ...)
{
    char text[256];
    va_list args;
    va_start(args, format);
    size_t n = fmt_va(text, sizeof text, format, args);
    va_end(args);
    plat_console_write(text, n < sizeof text ? n : sizeof text - 1);
}

static bool is_own(const struct process *p)
{
    const struct job *j = p->owner;
    return j && j->process == p;
}

// One write, so that lines of several CPUs do not mix. A program's own trap needs no name.
static void on_trap(struct process *p, struct thread *t)
{
    enum { ROOM = 8192, LITTLE = 1024 };
    char little[LITTLE], *all = heap_alloc(ROOM), *text = all ? all : little;
    size_t room = all ? ROOM : LITTLE;
    size_t n = fmt(text, room, is_own(p) ? "nebulet: " : "nebulet: %s: ", p->name);
    n += thread_describe_trap(t, p->name, text + n, room - 1 - n);
    n = n < room - 2 ? n : room - 2;
    if (text[n - 1] != '\n')
        text[n++] = '\n';
    if (is_own(p) && tell_else && tell_else(p->owner, text, n))
        ;
    else if (sched_self())
        files_put(tell_to, text, n);
    else
        plat_console_write(text, n);
    heap_free(all);
}

void jobs_tell(job_tell_fn *tell)
{
    tell_else = tell;
}

static void print(const u8 *text, size_t n)
{
    files_put(print_to, text, n);
}

static int code_of(const struct process *p)
{
    switch ((enum nebulet_end)p->how) {
    case NEBULET_EXITED: return (int)(p->code & 0xff);
    case NEBULET_TRAPPED:
    case NEBULET_LIMIT: return JOB_TRAPPED;
    case NEBULET_KILLED:
    case NEBULET_WATCHDOG: break;
    }
    return JOB_KILLED;
}

static void charged_text(const struct account *a, char text[JOB_CHARGED_MAX])
{
    static const char *const names[ACCOUNT_KINDS] = {
        [ACCOUNT_KEPT] = "KiB",          [ACCOUNT_MEMORY] = "KiB of memories among them",
        [ACCOUNT_HANDLES] = "handles",   [ACCOUNT_THREADS] = "threads",
        [ACCOUNT_MESSAGES] = "messages", [ACCOUNT_PROCESSES] = "processes",
    };
    text[0] = 0;
    for (u32 i = 0; i < ACCOUNT_KINDS; i++) {
        u64 peak = a->of[i].peak;
        size_t n = strlen(text);
        if (peak)
            fmt(text + n, JOB_CHARGED_MAX - n, "%s%llu %s", n ? ", " : "",
                (unsigned long long)(i <= ACCOUNT_MEMORY ? peak >> 10 : peak), names[i]);
    }
}

static void on_leave(struct process *p)
{
    struct job *j = p->owner;
    if (is_own(p) && j->leaving)
        j->leaving(j);
}

static void on_end(struct process *p)
{
    struct nebulet_info info;
    if (p->how == NEBULET_WATCHDOG)
        say("nebulet: %s: killed by its watchdog\n", p->name);
    else if (p->how == NEBULET_LIMIT && !p->reported)
        say("nebulet: %s: time limit exceeded\n", p->name);
    if (!report_to && !is_own(p))
        return;
    kern_acquire();
    process_info(p, &info);
    kern_release();
    if (report_to)
        report_to(p, &info);
    if (report_to && p->limited && !is_own(p)) {
        char text[JOB_CHARGED_MAX];
        charged_text(p->account, text);
        say("nebulet: %u %s: charged at most %s so far\n", p->id, p->name, text);
    }
    if (!is_own(p))
        return;
    struct job *j = p->owner;
    j->code = code_of(p);
    j->info = info;
}

static struct kern_hooks hooks = {.trapped = on_trap, .ending = on_end, .release = nebulet_release};

status jobs_init(const struct engine *engine, u32 cpus, bool trace, job_report_fn *report)
{
    report_to = report;
    status s = rt_init();
    if (!s)
        s = kern_init(engine, cpus, &hooks);
    if (!s)
        s = nebulet_register(kern_store(), trace);
    if (!s)
        s = wasi_register(kern_store());
    if (s)
        kern_free();
    return s;
}

void jobs_leave(void)
{
    hooks.leaving = on_leave;
}

void jobs_print(struct vfs_file *out, struct vfs_file *err)
{
    print_to = out;
    tell_to = err;
    hooks.print = print;
}

status job_load(struct job *j, struct error *e)
{
    return module_new(j->bytes, j->size, false, &j->module, e);
}

status job_link(struct job *j, struct error *e)
{
    j->config.name = j->name;
    j->config.owner = j;
    status s = process_new(j->module, &j->config, &j->process, e);
    if (s)
        return s;
    u32 may = j->config.limits.privileges;
    wasi_withhold(j->wasi, !(may & NEBULET_MAY_PRINT), !(may & NEBULET_MAY_FILES));
    j->process->wasi = j->wasi;
    j->process->trace = j->trace;
    j->process->slots = j->slots;
    j->wasi = NULL;
    return OK;
}

static bool is_plain(struct instance *i, const char *name)
{
    struct extern_ x;
    return instance_export(i, name, strlen(name), &x) || x.kind != EXTERN_FUNC ||
           (!x.func_type->nparams && !x.func_type->nresults);
}

const char *job_unfit(const struct job *j)
{
    struct instance *i = j->process->instance;
    if (!is_plain(i, "_initialize"))
        return "_initialize";
    return j->invoke || is_plain(i, "_start") ? NULL : "_start";
}

status job_begin(struct job *j)
{
    return process_begin(j->process, j->invoke);
}

void job_stop(struct job *j)
{
    if (j->process)
        process_stop(j->process, NEBULET_KILLED, 0, false);
}

void jobs_run(void)
{
    kern_run();
}

void job_charged(const struct job *j, char text[JOB_CHARGED_MAX])
{
    text[0] = 0;
    if (j->process)
        charged_text(j->process->account, text);
}

// A name is anybody's text; there is room for all of it.
size_t job_json(const struct process *p, const struct nebulet_info *i, char text[JOB_JSON_MAX])
{
    _Static_assert(6 * NEBULET_NAME_MAX < JOB_JSON_MAX - 400, "with 7 numbers and their keys");
    const struct {
        const char *key;
        u64 value;
    } values[] = {{"cpu_ns", i->cpu_ns},
                  {"switches", i->switches},
                  {"preemptions", i->preemptions},
                  {"sent", i->sent},
                  {"received", i->received},
                  {"memory_peak", i->memory_peak},
                  {"kernel_memory", i->kernel_memory}};
    size_t n = fmt(text, JOB_JSON_MAX, "{\"process\":%u,\"name\":\"", i->id);
    for (const char *c = p->name; *c; c++)
        n += fmt(text + n, JOB_JSON_MAX - n,
                 *c == '"' || *c == '\\' ? "\\%c"
                 : (u8)*c < ' '          ? "\\u%04x"
                                         : "%c",
                 (u8)*c);
    n += fmt(text + n, JOB_JSON_MAX - n, "\"");
    for (u32 k = 0; k < countof(values); k++)
        n += fmt(text + n, JOB_JSON_MAX - n, ",\"%s\":%llu", values[k].key,
                 (unsigned long long)values[k].value);
    return n + fmt(text + n, JOB_JSON_MAX - n, "}\n");
}

void job_free(struct job *j)
{
    if (j->process)
        object_release(&j->process->object);
    if (j->module)
        object_release(&j->module->object);
    wasi_free(j->wasi);
    j->process = NULL;
    j->module = NULL;
    j->wasi = NULL;
}

void jobs_free(void)
{
    kern_free();
}
