// SPDX-License-Identifier: MIT
// nebulet inspect: what a module consists of: sections, imports, exports, and the sizes of
// everything.
//
// The module is decoded and validated like any other, so what is printed is what would be run; only
// the list of sections is read from the bytes again. --code goes on in disassemble.c.
#include <stdio.h>

#include "main/disassemble.h"
#include "main/features.h"
#include "main/host.h"
#include "main/load.h"
#include "wasm/leb.h"

static const char *const section_names[] = {
    "custom", "type",  "import",  "function", "table", "memory",     "global",
    "export", "start", "element", "code",     "data",  "data count", "tag",
};

static const char *const kind_names[] = {"func", "table", "memory", "global", "tag"};

static void print_sections(const struct module *m)
{
    const u8 *p = m->bytes + 8, *end = m->bytes + m->size;
    printf("sections:\n");
    while (p < end) {
        u8 id = *p++;
        u32 size = leb_u32(&p);
        printf("  %-10s at 0x%06x, %10u bytes",
               id < countof(section_names) ? section_names[id] : "?", (u32)(p - m->bytes), size);
        if (id == 0) {
            const u8 *name = p;
            u32 length = leb_u32(&name);
            printf("  ");
            print_text(stdout, name, length);
        }
        putchar('\n');
        p += size;
    }
}

static void print_types(const struct functype *t)
{
    putchar('(');
    for (u32 i = 0; i < t->nparams; i++)
        printf("%s%s", i ? " " : "", valtype_text(t->types[i]));
    printf(") -> (");
    for (u32 i = 0; i < t->nresults; i++)
        printf("%s%s", i ? " " : "", valtype_text(t->types[t->nparams + i]));
    putchar(')');
}

static void print_limits(const struct limits *l, const char *unit)
{
    printf("%llu", (unsigned long long)l->min);
    if (l->max != UINT64_MAX)
        printf(" to %llu", (unsigned long long)l->max);
    printf(" %s%s", unit, l->shared ? ", shared" : "");
}

// What an import, export or definition of a kind is.
static void print_item(const struct module *m, u8 kind, u32 index)
{
    switch ((enum extern_kind)kind) {
    case EXTERN_FUNC: print_types(module_func_type(m, index)); break;
    case EXTERN_TABLE:
        print_limits(&m->tables[index].limits, valtype_text(m->tables[index].elem));
        break;
    case EXTERN_MEMORY: print_limits(&m->memories[index], "pages of 64 KiB"); break;
    case EXTERN_GLOBAL:
        printf("%s%s", m->globals[index].mutable ? "mutable " : "",
               valtype_text(m->globals[index].type));
        break;
    case EXTERN_TAG: print_types(module_tag_type(m, index)); break;
    }
    putchar('\n');
}

static void print_name(struct name name, const char *after)
{
    print_text(stdout, name.p, name.length);
    fputs(after, stdout);
}

static void print_imports(const struct module *m)
{
    printf("imports: %u\n", m->nimports);
    for (u32 i = 0; i < m->nimports; i++) {
        const struct import *x = &m->imports[i];
        printf("  %-6s %u  ", kind_names[x->kind], x->index);
        print_name(x->module, " ");
        print_name(x->field, "  ");
        print_item(m, x->kind, x->index);
    }
}

static void print_exports(const struct module *m)
{
    printf("exports: %u\n", m->nexports);
    for (u32 i = 0; i < m->nexports; i++) {
        const struct export *x = &m->exports[i];
        printf("  %-6s %u  ", kind_names[x->kind], x->index);
        print_name(x->name, "  ");
        print_item(m, x->kind, x->index);
    }
}

static void print_functions(const struct module *m)
{
    printf("functions: %u, %u of them imported, %u bytes of code\n", m->nfuncs, m->nimported_funcs,
           m->code_end - m->code_start);
    for (u32 i = m->nimported_funcs; i < m->nfuncs; i++) {
        const struct func *f = &m->funcs[i];
        printf("  %u  at 0x%06x, %u bytes  ", i, f->start, f->end - f->start);
        if (m->func_names && m->func_names[i].length)
            print_name(m->func_names[i], " ");
        print_types(module_func_type(m, i));
        putchar('\n');
    }
}

static void print_own(const struct module *m, const char *title, u8 kind, u32 from, u32 to)
{
    printf("%s: %u, %u of them imported\n", title, to, from);
    for (u32 i = from; i < to; i++) {
        printf("  %u  ", i);
        print_item(m, kind, i);
    }
}

static void print_segments(const struct module *m)
{
    static const char *const modes[] = {"active", "passive", "declarative"};
    printf("element segments: %u\n", m->nelems);
    for (u32 i = 0; i < m->nelems; i++)
        printf("  %u  %s, %u x %s\n", i, modes[m->elems[i].mode], m->elems[i].count,
               valtype_text(m->elems[i].type));
    printf("data segments: %u\n", m->ndatas);
    for (u32 i = 0; i < m->ndatas; i++) {
        const struct data_segment *d = &m->datas[i];
        printf("  %u  %s, %u bytes", i, modes[d->mode], d->size);
        if (d->mode == SEGMENT_ACTIVE && d->offset.kind == CONST_VALUE)
            printf(" to 0x%06llx", (unsigned long long)d->offset.bits);
        putchar('\n');
    }
}

static void print_features(const struct module *m)
{
    u32 at[FEATURES];
    const char *before = " ";
    features_find(m, at);
    printf("features:");
    for (u32 i = 0; i < FEATURES; i++)
        if (at[i])
            printf("%s%s", before, feature_name((enum feature)i)), before = ", ";
    puts(before[0] == ' ' ? " none beyond the first version's" : "");
}

static void print_module(const struct file *f, const struct module *m)
{
    printf("%s: %zu bytes", f->name, f->size);
    if (m->module_name.length)
        printf(", named "), print_name(m->module_name, "");
    putchar('\n');
    print_features(m);
    print_sections(m);
    print_imports(m);
    print_exports(m);
    print_own(m, "tables", EXTERN_TABLE, m->nimported_tables, m->ntables);
    print_own(m, "memories", EXTERN_MEMORY, m->nimported_memories, m->nmemories);
    print_own(m, "globals", EXTERN_GLOBAL, m->nimported_globals, m->nglobals);
    if (m->ntags)
        print_own(m, "tags", EXTERN_TAG, m->nimported_tags, m->ntags);
    if (m->start != UINT32_MAX)
        printf("start: function %u\n", m->start);
    print_segments(m);
    print_functions(m);
}

static int inspect_code(const struct options *o, const struct file *f)
{
    struct error e = {0};
    struct rt_module *rm;
    struct store *s;
    if (!o->engine->code) {
        complain("the engine %s makes no machine code", o->engine->name);
        return EXIT_USAGE;
    }
    if (rt_init() != OK || !(s = store_create(o->engine)))
        return complain_setup();
    int code = EXIT_OK;
    store_compile_at_once(s);
    if (rt_module_load(s, f->bytes, f->size, &rm, &e) != OK) {
        code = complain_module(f, &e);
    } else {
        code = disassemble(&rm->compiled, o->code) ? EXIT_OK : EXIT_ERROR;
        rt_module_free(rm);
    }
    store_free(s);
    return code;
}

int cmd_inspect(struct options *o)
{
    struct file f;
    struct error e = {0};
    struct module *m;
    int code = EXIT_OK;
    if (!file_read(o->argv[0], &f))
        return EXIT_ERROR;
    if (o->code) {
        code = inspect_code(o, &f);
    } else if (module_validate(f.bytes, f.size, &m, &e) != OK) {
        code = complain_module(&f, &e);
    } else {
        print_module(&f, m);
        module_free(m);
    }
    file_free(&f);
    return code;
}
