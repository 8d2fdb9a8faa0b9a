// SPDX-License-Identifier: MIT
// nebulet validate, compile and bench-instantiate: what happens to a module short of running it,
// and how long it takes: in CPU time, which other programs change little, and as the best of
// --repeat runs, of which the first one pays for memory that is touched for the first time.
#include <stdio.h>

#include "abi/nebulet.h"
#include "abi/wasi.h"
#include "main/features.h"
#include "main/host.h"
#include "main/load.h"
#include "plat/plat.h"

static u32 code_bytes(const struct module *m)
{
    return m->code_end - m->code_start;
}

static int refuse_features(const struct file *f, const struct module *m, u32 allowed)
{
    u32 at[FEATURES];
    int code = EXIT_OK;
    features_find(m, at);
    for (u32 i = 0; i < FEATURES; i++)
        if (at[i] && !(allowed & 1u << i)) {
            complain("%s: uses %s, at offset 0x%x", f->name, feature_name((enum feature)i), at[i]);
            code = EXIT_ERROR;
        }
    return code;
}

static int validate_file(const struct options *o, u32 allowed, const char *name)
{
    struct file f;
    if (!file_read(name, &f))
        return EXIT_ERROR;
    int code = EXIT_OK;
    u64 best = UINT64_MAX;
    u32 bytes = 0;
    for (u64 i = 0; i < o->repeat && !code; i++) {
        struct error e = {0};
        struct module *m;
        u64 start = plat_cpu_time();
        if (module_validate(f.bytes, f.size, &m, &e) != OK) {
            code = complain_module(&f, &e);
        } else {
            u64 took = plat_cpu_time() - start;
            best = took < best ? took : best;
            bytes = code_bytes(m);
            if (i == 0 && o->features)
                code = refuse_features(&f, m, allowed);
            module_free(m);
        }
    }
    if (o->time && !code)
        printf("compile_ns %llu code_bytes %u\n", (unsigned long long)best, bytes);
    file_free(&f);
    return code;
}

int cmd_validate(struct options *o)
{
    int code = EXIT_OK;
    u32 allowed = 0;
    if (o->features && !features_parse(o->features, &allowed))
        return EXIT_USAGE;
    for (int i = 0; i < o->argc; i++)
        if (validate_file(o, allowed, o->argv[i]))
            code = EXIT_ERROR;
    return code;
}

struct compile_result {
    u64 ns;
    u32 code_bytes, machine_bytes;
};

static int compile_once(const struct options *o, const struct file *f, struct compile_result *best)
{
    struct error e = {0};
    struct rt_module *rm;
    int code = EXIT_OK;
    struct store *s = store_create(o->engine);
    if (!s)
        return complain("out of memory"), EXIT_ERROR;
    store_compile_at_once(s);
    u64 start = plat_cpu_time();
    if (rt_module_load(s, f->bytes, f->size, &rm, &e) != OK) {
        code = complain_module(f, &e);
    } else {
        u64 took = plat_cpu_time() - start;
        if (took < best->ns)
            *best = (struct compile_result){took, code_bytes(rm->m), rm->compiled.used};
        rt_module_free(rm);
    }
    store_free(s);
    return code;
}

int cmd_compile(struct options *o)
{
    struct file f;
    if (rt_init() != OK)
        return complain_setup();
    if (!file_read(o->argv[0], &f))
        return EXIT_ERROR;
    struct compile_result best = {.ns = UINT64_MAX};
    int code = EXIT_OK;
    for (u64 i = 0; i < o->repeat && !code; i++)
        code = compile_once(o, &f, &best);
    if (o->time && !code)
        printf("compile_ns %llu code_bytes %u machine_bytes %u\n", (unsigned long long)best.ns,
               best.code_bytes, best.machine_bytes);
    file_free(&f);
    return code;
}

// The best of 20 rounds, each of about 10 ms.
static status measure_instances(struct store *s, struct rt_module *rm, u64 *ns, struct error *e)
{
    u64 n = 1, done = 0;
    *ns = UINT64_MAX;
    for (u32 round = 0; round < 20; done = 0, round++) {
        u64 start = plat_now(), took;
        for (u64 i = 0; i < n; i++, done++) {
            struct instance *instance;
            status st = instance_create(s, rm, NULL, &instance, e);
            if (st != OK)
                return st;
            instance_free(instance);
        }
        took = plat_now() - start;
        if (took < 10000000)
            n *= 2, round = took < 2000000 ? 0 : round;
        *ns = took / done < *ns ? took / done : *ns;
    }
    return OK;
}

int cmd_bench_instantiate(struct options *o)
{
    struct file f;
    struct store *s;
    struct rt_module *rm;
    struct error e = {0};
    u64 ns;
    if (rt_init() != OK || !(s = store_create(o->engine)) || nebulet_register(s, false) ||
        wasi_register(s))
        return complain_setup();
    if (!file_read(o->argv[0], &f)) {
        store_free(s);
        return EXIT_ERROR;
    }
    int code = EXIT_OK;
    if (rt_module_load(s, f.bytes, f.size, &rm, &e) != OK ||
        measure_instances(s, rm, &ns, &e) != OK)
        code = complain_module(&f, &e);
    else
        printf("instantiate_ns %llu\n", (unsigned long long)ns);
    store_free(s);
    file_free(&f);
    return code;
}
