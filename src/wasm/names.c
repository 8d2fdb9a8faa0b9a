// SPDX-License-Identifier: MIT
// The "name" custom section (specification appendix, name section): names of the module and of
// functions, for traces and tools. Whatever is wrong with it is left out, never an error: a custom
// section cannot make a module invalid.
#include "wasm/decode.h"
#include "wasm/reader.h"

enum { NAMES_MODULE = 0, NAMES_FUNCTION = 1 };

static status read_func_names(struct module *m, struct reader *r)
{
    if (!m->func_names) {
        m->func_names = arena_array(m->arena, m->nfuncs, sizeof *m->func_names);
        if (!m->func_names)
            return ERR_NO_MEMORY;
        memset(m->func_names, 0, m->nfuncs * sizeof *m->func_names);
    }
    u32 n = read_u32(r);
    for (u32 i = 0; i < n && read_goes_on(r, i); i++) {
        u32 func = read_u32(r);
        struct name name = read_name(r);
        if (read_ok(r) && func < m->nfuncs)
            m->func_names[func] = name;
    }
    return OK;
}

status names_read(struct module *m, const u8 *p, const u8 *end)
{
    struct error outer = {0};
    struct reader r = {p, end, m->bytes, &outer};
    for (u32 i = 0; r.p < r.end && read_goes_on(&r, i); i++) {
        u8 id = read_byte(&r);
        u32 size = read_u32(&r);
        const u8 *content = read_bytes(&r, size);
        if (!content)
            break;
        struct error inner = {0};
        struct reader sub = {content, content + size, m->bytes, &inner};
        if (id == NAMES_MODULE) {
            struct name name = read_name(&sub);
            if (read_ok(&sub))
                m->module_name = name;
        }
        if (id == NAMES_FUNCTION && read_func_names(m, &sub))
            return ERR_NO_MEMORY;
    }
    return OK;
}
