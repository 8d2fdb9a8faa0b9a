// SPDX-License-Identifier: MIT
// nebulet run: loads modules, links them to WASI and the nebulet calls, and runs them to their
// ends.
//
// Each program is a process of its own (main/job.h). The order is that of the WASI application ABI:
// the start section, then `_start` of a command; a reactor's `_initialize`, and then the function
// that --invoke names. With --invoke a command's `_start` is not called, as in wasmtime. Start-up
// time counts here: nothing is opened, mapped or allocated that the program does not need.
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "main/explain.h"
#include "main/folder.h"
#include "main/gdb.h"
#include "main/guest.h"
#include "main/host.h"
#include "main/imports.h"
#include "main/job.h"
#include "main/network.h"
#include "main/profile.h"
#include "main/tracing.h"
#include "plat/linux/hostfs.h"
#include "plat/plat.h"

struct program {
    const struct options *o;
    const struct folders *folders;
    const struct listeners *listeners;
    struct imports *imports;
    struct vm_func *first; // of modules that were preloaded
    struct operands own;
    struct file file;
    struct job job;
    const struct functype *invoked;
    u64 *slots;
    u64 run_ns;
    struct explanation explanation; // of its trap
};

static double ms(u64 ns)
{
    return (double)ns / 1e6;
}

static void report(const struct program *p)
{
    const struct rt_module *rm = p->job.module->module;
    const struct module *m = rm->m;
    complain("%s: %zu bytes, %u functions, engine %s", p->file.name, p->file.size,
             m->nfuncs - m->nimported_funcs, p->o->engine->name);
    complain("decode %.3f ms, load %.3f ms, %u bytes of code, %u bytes of machine code of what was "
             "called, "
             "run %.3f ms",
             ms(rm->decode_ns), ms(rm->load_ns), m->code_end - m->code_start, rm->compiled.used,
             ms(p->run_ns));
}

// --- Statistics (--stats), a line for every process, also for those that programs have started.

// A line is written at once, for another CPU may have one, too.
static void print_json(const struct process *p, const struct nebulet_info *i)
{
    char line[JOB_JSON_MAX];
    fwrite(line, 1, job_json(p, i, line), stderr);
}

static void print_stats(const struct process *p, const struct nebulet_info *i)
{
    static bool titled;
    if (!titled)
        fprintf(stderr, "%6s %-20s %10s %9s %9s %9s %9s %10s %10s\n", "id", "name", "cpu ms",
                "switches", "preempted", "sent", "received", "memory KiB", "kernel KiB");
    titled = true;
    fprintf(stderr, "%6u %-20s %10.3f %9llu %9llu %9llu %9llu %10llu %10.1f\n", i->id, p->name,
            ms(i->cpu_ns), (unsigned long long)i->switches, (unsigned long long)i->preemptions,
            (unsigned long long)i->sent, (unsigned long long)i->received,
            (unsigned long long)(i->memory_peak >> 10), (double)i->kernel_memory / 1024);
}

// --- A program

static bool explains(struct job *j, const char *text, size_t n)
{
    struct program *p = (struct program *)((char *)j - offsetof(struct program, job));
    return explain_begin(&p->explanation, &p->file, j->module->module->m, text, n);
}

static status prepare(struct process *process, struct error *e)
{
    struct job *j = process->owner;
    struct program *p = (struct program *)((char *)j - offsetof(struct program, job));
    p->first = calloc(2 * p->imports->preloads.count + 1, sizeof *p->first);
    status s = p->first ? imports_bind(p->imports, process, p->first, e) : ERR_NO_MEMORY;
    return s ? s : imports_trap(p->imports, process, j->module->module->m, e);
}

static int load(struct program *p)
{
    struct error e = {0};
    if (!file_read(p->own.argv[0], &p->file))
        return EXIT_ERROR;
    p->job = (struct job){
        .name = file_base_name(p->own.argv[0]),
        .bytes = p->file.bytes,
        .size = p->file.size,
        .config = {.limits = options_limits(p->o), .prepare = prepare},
        .trace = p->o->trace != NULL,
    };
    return job_load(&p->job, &e) ? complain_module(&p->file, &e) : EXIT_OK;
}

static int link_program(struct program *p)
{
    struct error e = {0};
    if (!(p->job.wasi = guest_wasi(p->o, p->folders, p->listeners, p->own.argc, p->own.argv)))
        return EXIT_ERROR;
    status s = job_link(&p->job, &e);
    if (s == OK && p->o->jit && !gdb_add(kern_store(), p->job.module->module))
        complain("out of memory for what GDB is to know");
    if (s == OK)
        return EXIT_OK;
    complain("%s: %s: %s", p->file.name, status_text(s), *e.text ? e.text : status_text(s));
    if (s == ERR_UNLINKABLE)
        hint("programs get WASI preview 1 (wasi_snapshot_preview1; build for " WASI_TARGET
             ") and the module nebulet");
    else if (s == ERR_NO_MEMORY && p->o->max_memory)
        hint("--max-memory allows %llu bytes", (unsigned long long)p->o->max_memory);
    return s == ERR_TRAP ? EXIT_TRAP : EXIT_ERROR;
}

static bool find_func(struct program *p, const char *name, struct extern_ *out)
{
    struct instance *i = p->job.process->instance;
    return instance_export(i, name, strlen(name), out) == OK && out->kind == EXTERN_FUNC;
}

static const char *export_name(const void *context, u32 i)
{
    static char text[64];
    const struct module *m = context;
    for (u32 k = 0; k < m->nexports; k++)
        if (m->exports[k].kind == EXTERN_FUNC && i-- == 0) {
            snprintf(text, sizeof text, "%.*s", (int)m->exports[k].name.length,
                     m->exports[k].name.p);
            return text;
        }
    return NULL;
}

static void list_exports(const struct module *m)
{
    const char *name;
    fputs("hint: it exports", stderr);
    for (u32 i = 0; i < 20 && (name = export_name(m, i)); i++) {
        fputs(i ? ", " : " ", stderr);
        print_text(stderr, name, strlen(name));
    }
    fprintf(stderr, "%s\n", export_name(m, 20) ? ", ..." : export_name(m, 0) ? "" : " no function");
}

static bool parse_arguments(const struct program *p, const struct functype *type, u64 *slots)
{
    u32 given = (u32)p->own.argc - 1;
    if (given != type->nparams) {
        complain("%s takes %u arguments, not %u", p->o->invoke, type->nparams, given);
        return false;
    }
    for (u32 i = 0; i < given; slots += type_slots(type->types[i++]))
        if (!value_parse(type->types[i], p->own.argv[i + 1], slots)) {
            complain("%s is not an %s, as argument %u of %s must be", p->own.argv[i + 1],
                     valtype_text(type->types[i]), i + 1, p->o->invoke);
            return false;
        }
    return true;
}

static int prepare_invoke(struct program *p)
{
    struct extern_ x;
    if (!find_func(p, p->o->invoke, &x)) {
        complain("%s exports no function %s", p->file.name, p->o->invoke);
        list_exports(p->job.module->module->m);
        return EXIT_ERROR;
    }
    const struct functype *type = x.func_type;
    u32 n = type->nparams > type->nresults ? type->nparams : type->nresults;
    p->slots = calloc(2 * n + 1, sizeof *p->slots);
    if (!p->slots || !parse_arguments(p, type, p->slots))
        return EXIT_USAGE;
    p->job.process->slots = p->slots;
    p->job.invoke = x.func;
    p->invoked = type;
    return EXIT_OK;
}

static int begin(struct program *p)
{
    int code = p->o->invoke ? prepare_invoke(p) : EXIT_OK;
    if (code)
        return code;
    const char *unfit = job_unfit(&p->job);
    if (unfit) {
        complain("%s: %s has parameters or results, so it is not the start of a program",
                 p->file.name, unfit);
        return EXIT_ERROR;
    }
    status s = job_begin(&p->job);
    if (s == OK)
        return EXIT_OK;
    if (s != ERR_NOT_FOUND) {
        complain("%s: %s", p->file.name, status_text(s));
        return EXIT_ERROR;
    }
    complain("%s exports neither _start nor _initialize; name a function with --invoke",
             p->file.name);
    list_exports(p->job.module->module->m);
    return EXIT_ERROR;
}

static void print_results(const struct program *p)
{
    if (!p->invoked || p->job.process->how != NEBULET_EXITED)
        return;
    const valtype *types = p->invoked->types + p->invoked->nparams;
    const u64 *slots = p->slots;
    for (u32 i = 0; i < p->invoked->nresults; slots += type_slots(types[i++]))
        value_print(types[i], slots);
}

static void write_map(const struct program *programs, int n)
{
    FILE *map = profile_map_create();
    for (int i = 0; map && i < n; i++)
        if (programs[i].job.module)
            profile_map_add(map, programs[i].job.module->module);
    if (map && fclose(map))
        complain("the profile cannot be written");
}

static void unload(struct program *p)
{
    job_free(&p->job);
    file_free(&p->file);
    free(p->slots);
    free(p->first);
}

// --- All of them

static int run_all(struct program *programs, int n)
{
    int code = EXIT_OK;
    for (int i = 0; i < n && !code; i++)
        code = load(&programs[i]);
    for (int i = 0; i < n && !code; i++)
        code = link_program(&programs[i]);
    for (int i = 0; i < n && !code; i++)
        code = begin(&programs[i]);
    for (int i = 0; i < n && code; i++)
        job_stop(&programs[i].job);
    bool failed = code;
    u64 start = plat_now();
    jobs_run();
    for (int i = 0; i < n && !failed; i++) {
        struct program *p = &programs[i];
        p->run_ns = plat_now() - start;
        explain_end(&p->explanation);
        print_results(p);
        if (p->o->verbose)
            report(p);
        if (!code)
            code = p->job.code;
    }
    return code;
}

// All programs have all of them. A port that was not chosen here has to be told.
static bool listen_all(const struct options *o, struct listeners *l)
{
    char text[SOCKET_TEXT];
    for (u32 i = 0; i < o->listen.count; i++)
        if (!listeners_add(l, o->listen.at[i]))
            return false;
    for (u32 i = 0; i < l->all.count; i++) {
        socket_print(&l->all.at[i].address, text);
        complain("listening at %s:%s", l->all.at[i].datagrams ? "udp" : "tcp", text);
    }
    if (l->all.count)
        socket_many();
    return true;
}

static int run_split(struct options *o, const struct folders *folders,
                     const struct profile *profile, struct program *programs,
                     struct operands *operands)
{
    struct listeners l = {0};
    struct imports imports = {0};
    if (!listen_all(o, &l)) {
        listeners_free(&l);
        return EXIT_ERROR;
    }
    u32 cpus = o->cpus ? (u32)o->cpus : plat_cpu_count();
    profile_prepare(profile);
    if (jobs_init(o->engine, cpus, o->trace != NULL,
                  !o->stats   ? NULL
                  : *o->stats ? print_json
                              : print_stats))
        return complain_setup();
    struct vfs_file *out = hostfs_adopt(1), *err = hostfs_adopt(2);
    if (!out || !err)
        return complain_setup();
    jobs_print(out, err);
    jobs_tell(explains);
    if (o->stack)
        store_stack(kern_store(), o->stack);
    if (o->jit)
        store_compile_at_once(kern_store());
    if (profile->samples && !profile_start())
        return EXIT_ERROR;
    signal(SIGPIPE, SIG_IGN); // the program is to see the error, as on its own
    int n = options_split(o, operands);
    for (int i = 0; i < n; i++)
        programs[i] = (struct program){
            .o = o, .folders = folders, .listeners = &l, .imports = &imports, .own = operands[i]};
    struct network network = {0};
    int code = network_begin(&network, o);
    if (!code)
        code = imports_load(o, &imports) ? run_all(programs, n) : EXIT_ERROR;
    if (network.job.process)
        job_stop(&network.job); // should nothing else have been run
    jobs_run();
    bool lines = o->stats && !*o->stats;
    for (int i = 0; i < n && lines; i++) {
        char text[JOB_CHARGED_MAX];
        job_charged(&programs[i].job, text);
        complain("%s: charged at most %s", programs[i].job.name, text);
    }
    if (lines)
        complain("at most %llu KiB of memory in use",
                 (unsigned long long)(plat_memory_peak() >> 10));
    if (profile->map)
        write_map(programs, n);
    if (profile->samples && !profile_write(profile->samples) && !code)
        code = EXIT_ERROR;
    network_free(&network);
    for (int i = 0; i < n; i++)
        unload(&programs[i]);
    for (u32 i = 0; i < imports.preloads.count; i++)
        if (imports.preloads.at[i].module)
            object_release(&imports.preloads.at[i].module->object);
    jobs_free();
    imports_free(&imports);
    vfs_close(out);
    vfs_close(err);
    listeners_free(&l);
    return code;
}

int cmd_run(struct options *o)
{
    struct program *programs = calloc((size_t)o->argc, sizeof *programs);
    struct operands *operands = calloc((size_t)o->argc, sizeof *operands);
    struct folders folders = {0};
    struct profile profile;
    int code = EXIT_ERROR;
    if (o->jit && !o->engine->code)
        code = EXIT_USAGE, complain("--gdb: the engine %s makes no machine code", o->engine->name);
    else if (!profile_parse(o->profile, &profile))
        code = EXIT_USAGE;
    else if (!programs || !operands)
        complain("out of memory");
    else if (tracing_begin(o) && folders_open(&folders, o) && folders_copy(&folders))
        code = run_split(o, &folders, &profile, programs, operands);
    tracing_end();
    folders_free(&folders);
    free(programs);
    free(operands);
    return code;
}
