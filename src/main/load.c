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

status instance_run_start(struct instance *i, struct thread *t)
{
    struct vm_func f;
    return instance_start(i, &f) ? thread_call(t, &f, (u64[1]){0}) : OK;
}
