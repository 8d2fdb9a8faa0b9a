// SPDX-License-Identifier: MIT
// Validation without an engine, and start functions: see load.h.
#include "main/load.h"

static status validate_bodies(const struct module *m, struct error *e)
{
    struct validator *v = validator_create();
    if (!v)
        return error_set(e, ERR_NO_MEMORY, ERROR_NO_OFFSET, "no memory for the validator");
    status s = OK;
    for (u32 f = m->nimported_funcs; f < m->nfuncs && s == OK; f++) {
        struct body body;
        s = validate_body(v, m, f, 0, &body, e);
    }
    validator_free(v);
    return s;
}

status module_validate(const u8 *bytes, size_t size, struct module **out, struct error *e)
{
    struct module *m;
    status s = module_decode(bytes, size, &m, e);
    if (s == OK)
        s = validate_bodies(m, e);
    if (s != OK || !out) {
        module_free(m);
        m = NULL;
    }
    if (out)
        *out = m;
    return s;
}

status instance_run_start(struct instance *i, const struct rt_module *rm, struct thread *t)
{
    const struct module *m = rm->m;
    if (m->start == UINT32_MAX)
        return OK;
    struct vmctx *vm = instance_vm(i);
    if (m->start < m->nimported_funcs)
        return thread_call(t, vm_import(vm, m->start)->ref, (u64[1]){0});
    // The start function need not be referable, so it may have no vm_func of its own.
    const struct compiled *c = &rm->compiled;
    struct vm_func f = {.vm = vm, .type = module_func_type(m, m->start)->id, .index = m->start};
    if (c->engine->code)
        f.code = c->space.run + c->funcs[m->start - m->nimported_funcs].entry;
    f.ref = &f;
    return thread_call(t, &f, (u64[1]){0});
}
