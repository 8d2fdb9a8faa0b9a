// SPDX-License-Identifier: MIT
// Calls on modules and processes, the console, and the end.
#include "abi/nebulet_call.h"
#include "abi/wasi.h"
#include "base/fmt.h"
#include "base/lookup.h"

static bool is_ours(const struct name *module)
{
    static const char *const names[] = {NEBULET_MODULES};
    for (u32 i = 0; i < countof(names); i++)
        if (module->length == strlen(names[i]) && !memcmp(module->p, names[i], module->length))
            return true;
    return false;
}

// An interface to WASI takes time and memory to make, and many small processes have no use for it.
// Who can start others hands it down.
static bool needs_wasi(const struct module *m)
{
    static const char create[] = "process_create";
    enum { AT_ONCE = 1024 };
    for (u32 i = 0; i < m->nimports; i++) {
        const struct import *x = &m->imports[i];
        if (i % AT_ONCE == AT_ONCE - 1)
            look_up();
        bool creates =
            x->field.length == sizeof create - 1 && !memcmp(x->field.p, create, sizeof create - 1);
        if (x->kind == EXTERN_FUNC && (creates || !is_ours(&x->module)))
            return true;
    }
    return false;
}

SELDOM s64 call_wasm_compile(struct vmctx *vm, struct process *p, const struct call_wasm_compile *a)
{
    (void)vm;
    struct module_object *m;
    struct error e = {0};
    status s = module_new(a->bytes, a->bytes_size, true, &m, &e);
    if (!s) {
        m->without_wasi = !needs_wasi(m->module->m);
        return call_give(p, &m->object, HANDLE_ALL_RIGHTS);
    }
    if (a->message_size)
        fmt((char *)a->message, a->message_size,
            e.offset == ERROR_NO_OFFSET ? "%s" : "%s at offset 0x%llx", e.text,
            (unsigned long long)e.offset);
    return s == ERR_NO_MEMORY || s == ERR_NO_RESOURCES ? s : ERR_INVALID_ARG;
}

// --- process_create

static status read_options(const struct call_process_create *a, const struct process *parent,
                           struct nebulet_options *o)
{
    u32 n = a->options_size < sizeof *o ? a->options_size : sizeof *o;
    memset(o, 0, sizeof *o);
    memcpy(o, a->options, n);
    if (!n)
        o->privileges = parent->limits.privileges;
    if (o->name[NEBULET_NAME_MAX] || o->weight > 1000 || o->reserved ||
        o->privileges & ~(u32)NEBULET_MAY_ALL)
        return ERR_INVALID_ARG;
    return a->args_size && a->args[a->args_size - 1] ? ERR_INVALID_ARG : OK;
}

static struct process_config config_of(const struct nebulet_options *o, struct process *parent)
{
    return (struct process_config){
        .name = o->name[0] ? o->name : NULL,
        .parent = parent,
        .owner = parent->owner,
        .limits = {.memory = o->memory,
                   .cpu_ns = o->cpu_ns,
                   .wall_ns = o->wall_ns,
                   .handles = o->handles,
                   .threads = o->threads,
                   .messages = o->messages,
                   .processes = o->processes,
                   .weight = o->weight,
                   .privileges = o->privileges,
                   .cpu = o->cpu},
    };
}

static status check_channel(const struct process *p, nebulet_handle channel)
{
    const struct handle *h = handle_find(&p->handles, channel);
    if (channel == NEBULET_NO_HANDLE)
        return OK;
    if (!h)
        return ERR_BAD_HANDLE;
    if (h->object->type != OBJECT_channel)
        return ERR_WRONG_TYPE;
    return h->rights & NEBULET_TRANSFER ? OK : ERR_ACCESS_DENIED;
}

static status equip(struct process *p, struct process *child, const struct call_process_create *a)
{
    bool wasi = p->wasi && !a->module->without_wasi;
    if (wasi && !(child->wasi = wasi_child(p->wasi, a->args, a->args_size,
                                           child->limits.privileges & NEBULET_MAY_PRINT,
                                           child->limits.privileges & NEBULET_MAY_FILES)))
        return ERR_NO_MEMORY;
    if (a->channel == NEBULET_NO_HANDLE)
        return OK;
    status s = handles_reserve(&child->handles, 1);
    if (s)
        return s;
    struct handle *h = handle_find(&p->handles, a->channel);
    u32 rights = h->rights;
    kern_acquire();
    handle_add(&child->handles, handle_remove(&p->handles, h), rights);
    process_keeps(child, 1);
    kern_release();
    return OK;
}

static status error_of(status s)
{
    switch (s) {
    case ERR_UNLINKABLE: return ERR_NOT_FOUND;
    case ERR_TRAP: return ERR_INVALID_ARG; // an active segment is out of bounds
    default: return s;
    }
}

s64 call_process_create(struct vmctx *vm, struct process *p, const struct call_process_create *a)
{
    (void)vm;
    struct nebulet_options options;
    struct process *child;
    struct error e = {0};
    status s = check_channel(p, a->channel);
    if (!s)
        s = read_options(a, p, &options);
    if (!s)
        s = handles_reserve(&p->handles, 1);
    if (s)
        return s;
    struct process_config config = config_of(&options, p);
    s = process_new(a->module, &config, &child, &e);
    if (s)
        return error_of(s);
    child->trace = p->trace;
    s = equip(p, child, a);
    if (s) {
        object_release(&child->object);
        return s;
    }
    return call_give(p, &child->object, HANDLE_ALL_RIGHTS);
}

// --- Running ones

s64 call_process_start(struct vmctx *vm, struct process *p, const struct call_process_start *a)
{
    (void)vm, (void)p;
    status s = process_begin(a->process, NULL);
    return s == ERR_NOT_FOUND ? ERR_BAD_STATE : s;
}

s64 call_process_kill(struct vmctx *vm, struct process *p, const struct call_process_kill *a)
{
    (void)vm, (void)p;
    return process_stop(a->process, NEBULET_KILLED, 0, true) ? OK : ERR_BAD_STATE;
}

s64 call_process_wait(struct vmctx *vm, struct process *p, const struct call_process_wait *a)
{
    (void)vm, (void)p;
    kern_acquire();
    s64 result = object_wait(&a->process->object, NEBULET_ENDED, a->deadline);
    struct nebulet_exit end = {a->process->how, a->process->code};
    kern_release();
    if (result < 0)
        return result;
    if (a->exit)
        memcpy(a->exit, &end, sizeof end);
    return OK;
}

s64 call_process_info(struct vmctx *vm, struct process *p, const struct call_process_info *a)
{
    (void)vm, (void)p;
    struct nebulet_info info;
    kern_acquire();
    process_info(a->process, &info);
    kern_release();
    memcpy(a->info, &info, sizeof info);
    return OK;
}

// --- The rest

s64 call_print(struct vmctx *vm, struct process *p, const struct call_print *a)
{
    (void)vm, (void)p;
    if (kern_hooks()->print)
        kern_hooks()->print(a->text, a->text_size);
    return OK;
}

s64 call_exit(struct vmctx *vm, struct process *p, const struct call_exit *a)
{
    (void)p;
    rt_exit(vm, a->code);
}
