// SPDX-License-Identifier: MIT
// nebulet run: loads one module, links it to WASI and the nebulet calls, and runs it to its end.
//
// The order is that of the WASI application ABI: the start section, then `_start` of a command; a
// reactor's `_initialize`, and then the function that --invoke names. With --invoke a command's
// `_start` is not called, as in wasmtime. Start-up time counts here: nothing is opened, mapped or
// allocated that the program does not need.
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "main/guest.h"
#include "main/host.h"
#include "main/load.h"
#include "plat/plat.h"

struct program {
    const struct options *o;
    struct file file;
    struct process process;
    struct store *store;
    struct rt_module *module;
    struct instance *instance;
    struct thread *thread;
    u64 run_ns;
};

static double ms(u64 ns)
{
    return (double)ns / 1e6;
}

static void report(const struct program *p)
{
    const struct rt_module *rm = p->module;
    const struct module *m = rm->m;
    complain("%s: %zu bytes, %u functions, engine %s", p->file.name, p->file.size,
             m->nfuncs - m->nimported_funcs, p->o->engine->name);
    complain("decode %.3f ms, compile %.3f ms (%u bytes of code to %u bytes of machine code), "
             "run %.3f ms",
             ms(rm->decode_ns), ms(rm->compile_ns), m->code_end - m->code_start,
             rm->compiled.space.used, ms(p->run_ns));
}

static int load(struct program *p)
{
    struct error e = {0};
    if (!file_read(p->o->argv[0], &p->file))
        return EXIT_ERROR;
    if (rt_init() != OK || !(p->store = store_create(p->o->engine)) ||
        !(p->thread = thread_create(p->store))) {
        complain("cannot set the runtime up: out of memory");
        return EXIT_ERROR;
    }
    store_limit(p->store, p->o->max_memory);
    if (rt_module_load(p->store, p->file.bytes, p->file.size, &p->module, &e) != OK)
        return complain_module(&p->file, &e);
    return EXIT_OK;
}

static int link_program(struct program *p)
{
    struct error e = {0};
    status s = guest_imports(p->store);
    if (s == OK)
        s = instance_create(p->store, p->module, &p->process, &p->instance, &e);
    if (s == OK)
        return EXIT_OK;
    complain("%s: %s: %s", p->file.name, status_text(s), *e.text ? e.text : status_text(s));
    if (s == ERR_UNLINKABLE)
        hint(
            "programs get WASI preview 1 (wasi_snapshot_preview1; build for wasm32-wasip1) and the "
            "module nebulet");
    else if (s == ERR_NO_MEMORY && p->o->max_memory)
        hint("--max-memory allows %llu bytes", (unsigned long long)p->o->max_memory);
    return s == ERR_TRAP ? EXIT_TRAP : EXIT_ERROR;
}

// The exit code that the end of a call means; EXIT_OK to go on.
static int ended(struct program *p, status s)
{
    if (s == OK)
        return EXIT_OK;
    if (s == ERR_EXIT)
        return (int)(thread_vm(p->thread)->exit_code & 0xff);
    if (s != ERR_TRAP) {
        complain("%s: %s", p->file.name, status_text(s));
        return EXIT_ERROR;
    }
    char text[8192];
    size_t n = thread_describe_trap(p->thread, text, sizeof text);
    fflush(stdout);
    fprintf(stderr, "nebulet: %s%s", text, n && text[strlen(text) - 1] == '\n' ? "" : "\n");
    return EXIT_TRAP;
}

static bool find_func(struct program *p, const char *name, struct extern_ *out)
{
    return instance_export(p->instance, name, strlen(name), out) == OK && out->kind == EXTERN_FUNC;
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

// Calls a function without parameters or results.
static int call_plain(struct program *p, const char *name, const struct extern_ *x)
{
    if (x->func_type->nparams || x->func_type->nresults) {
        complain("%s: %s has parameters or results, so it is not the start of a program",
                 p->file.name, name);
        return EXIT_ERROR;
    }
    return ended(p, thread_call(p->thread, x->func, (u64[1]){0}));
}

static bool parse_arguments(const struct program *p, const struct functype *type, u64 *slots)
{
    u32 given = (u32)p->o->argc - 1;
    if (given != type->nparams) {
        complain("%s takes %u arguments, not %u", p->o->invoke, type->nparams, given);
        return false;
    }
    for (u32 i = 0; i < given; i++)
        if (!value_parse(type->types[i], p->o->argv[i + 1], &slots[i])) {
            complain("%s is not an %s, as argument %u of %s must be", p->o->argv[i + 1],
                     valtype_text(type->types[i]), i + 1, p->o->invoke);
            return false;
        }
    return true;
}

static int invoke(struct program *p)
{
    struct extern_ x;
    if (!find_func(p, p->o->invoke, &x)) {
        complain("%s exports no function %s", p->file.name, p->o->invoke);
        list_exports(p->module->m);
        return EXIT_ERROR;
    }
    const struct functype *type = x.func_type;
    u32 n = type->nparams > type->nresults ? type->nparams : type->nresults;
    u64 *slots = calloc(n + 1, sizeof *slots);
    int code = EXIT_USAGE;
    if (slots && parse_arguments(p, type, slots)) {
        status s = thread_call(p->thread, x.func, slots);
        code = ended(p, s);
        for (u32 i = 0; s == OK && i < type->nresults; i++)
            value_print(type->types[type->nparams + i], slots[i]);
    }
    free(slots);
    return code;
}

static int run(struct program *p)
{
    struct extern_ x;
    status s = instance_run_start(p->instance, p->thread);
    if (s != OK)
        return ended(p, s);
    if (!p->o->invoke && find_func(p, "_start", &x))
        return call_plain(p, "_start", &x);
    bool reactor = find_func(p, "_initialize", &x);
    if (reactor) {
        int code = call_plain(p, "_initialize", &x);
        if (code)
            return code;
    }
    if (p->o->invoke)
        return invoke(p);
    if (reactor || p->module->m->start != UINT32_MAX)
        return EXIT_OK;
    complain("%s exports neither _start nor _initialize; name a function with --invoke",
             p->file.name);
    list_exports(p->module->m);
    return EXIT_ERROR;
}

int cmd_run(struct options *o)
{
    struct program p = {.o = o};
    int code = load(&p);
    if (!code && !guest_create(&p.process, o))
        code = EXIT_ERROR;
    if (!code)
        code = link_program(&p);
    if (!code) {
        signal(SIGPIPE, SIG_IGN); // the program is to see the error, as on its own
        u64 start = plat_now();
        if (o->max_time)
            thread_deadline(p.thread, start + o->max_time);
        code = run(&p);
        p.run_ns = plat_now() - start;
        if (o->verbose)
            report(&p);
    }
    if (p.thread)
        thread_free(p.thread);
    if (p.store)
        store_free(p.store);
    guest_free(&p.process);
    file_free(&p.file);
    return code;
}
