// SPDX-License-Identifier: MIT
// Executes specification scripts: see script.h for their form.
//
// One store and one thread serve a whole script, as modules of a script link to each other. Nothing
// is freed before its end: a module that failed half way may have left its functions in the tables
// of others. Each record is read in full before it is acted upon, so a failure never loses the
// place. A record handler returns one of enum outcome and leaves the reason in r->text.
#include "main/script.h"

#include "base/fmt.h"
#include "base/vec.h"
#include "main/load.h"
#include "wasm/runtime.h"

enum outcome { PASSED, FAILED, SKIPPED }; // SKIPPED + enum script_skip

struct text {
    const u8 *p;
    u32 length;
};

struct entry {
    struct text name;
    struct instance *instance; // NULL: not there, because
    enum outcome outcome;      // of this
    struct rt_module *module;  // of a definition
};

typedef VEC(struct entry) entries;

struct action {
    u8 kind;
    struct text module, field;
    u32 nargs;
    const u8 *args; // struct script_value [nargs], unaligned
};

struct runner {
    const struct script_options *o;
    struct script_counts *counts;
    const u8 *p, *end;
    bool bad; // read past the end
    struct store *store;
    struct thread *thread;
    entries entries, definitions;
    VEC(u64) slots;
    const struct functype *type; // of the function called last
    valtype got;                 // type of the global read last; 0 after a call
    const struct vmctx *vm;      // that it, or the function, is of
    char text[256];
};

const char *script_skip_text(enum script_skip reason)
{
    switch (reason) {
    case SKIP_TEXT: return "text format";
    case SKIP_VALIDATE: return "not executed";
    case SKIP_COUNT: break;
    }
    return "?";
}

// --- Reading

static const u8 *take(struct runner *r, u64 n)
{
    const u8 *p = r->p;
    if ((u64)(r->end - p) < n) {
        r->bad = true;
        return NULL;
    }
    r->p += n;
    return p;
}

static u8 read_u8(struct runner *r)
{
    const u8 *p = take(r, 1);
    return p ? *p : 0;
}

static u32 read_u32(struct runner *r)
{
    const u8 *p = take(r, 4);
    return p ? load_u32(p) : 0;
}

static struct text read_text(struct runner *r)
{
    u32 n = read_u32(r);
    const u8 *p = take(r, n);
    return (struct text){p, p ? n : 0};
}

static const u8 *read_values(struct runner *r, u32 *n)
{
    *n = read_u32(r);
    return take(r, (u64)*n * sizeof(struct script_value));
}

static struct action read_action(struct runner *r)
{
    struct action a = {.kind = read_u8(r)};
    a.module = read_text(r);
    a.field = read_text(r);
    a.args = read_values(r, &a.nargs);
    return a;
}

static struct script_value value_at(const u8 *values, u32 i)
{
    struct script_value v;
    __builtin_memcpy(&v, values + (size_t)i * sizeof v, sizeof v);
    return v;
}

// --- Outcomes

__attribute__((format(printf, 2, 3))) static enum outcome fail(struct runner *r, const char *format,
                                                               ...)
{
    va_list args;
    va_start(args, format);
    fmt_va(r->text, sizeof r->text, format, args);
    va_end(args);
    return FAILED;
}

static bool same(struct text a, struct text b)
{
    return a.length == b.length && !memcmp(a.p, b.p, a.length);
}

static bool starts_with(const char *text, struct text prefix)
{
    return strlen(text) >= prefix.length && !memcmp(text, prefix.p, prefix.length);
}

// An error of the kind wanted must have the text wanted, up to what one script says behind a colon;
// the specification's own runner compares prefixes as well.
static enum outcome expect_error(struct runner *r, const struct error *e, status code,
                                 struct text want)
{
    if (e->code != code)
        return fail(r, "expected '%.*s', got %s: %s", (int)want.length, (const char *)want.p,
                    status_text(e->code), e->text);
    struct text begins = {want.p, 0};
    while (begins.length < want.length && want.p[begins.length] != ':')
        begins.length++;
    if (!starts_with(e->text, begins))
        return fail(r, "expected '%.*s', got '%s'", (int)want.length, (const char *)want.p,
                    e->text);
    return PASSED;
}

// Scripts may say more than the trap's text ("uninitialized element 2"), or less.
static enum outcome expect_trap(struct runner *r, status s, const char *got, struct text want)
{
    u32 n = (u32)strlen(got);
    if (s == OK)
        return fail(r, "expected the trap '%.*s', but it returned", (int)want.length,
                    (const char *)want.p);
    if (s == ERR_TRAP && !memcmp(want.p, got, want.length < n ? want.length : n))
        return PASSED;
    return fail(r, "expected the trap '%.*s', got %s: %s", (int)want.length, (const char *)want.p,
                status_text(s), got);
}

static const char *trapped(const struct runner *r)
{
    return trap_text(thread_vm(r->thread)->trap);
}

// --- Modules

// As rt_module_load; a module that is not supported may be invalid, too.
static status load(struct runner *r, struct text bytes, struct rt_module **out, struct error *e)
{
    *out = NULL;
    if (r->o->validate_only)
        return module_validate(bytes.p, bytes.length, NULL, e);
    status s = rt_module_load(r->store, bytes.p, bytes.length, out, e);
    if (s != ERR_NOT_SUPPORTED)
        return s;
    struct error invalid = {0};
    status valid = module_validate(bytes.p, bytes.length, NULL, &invalid);
    if (valid != OK)
        *e = invalid, s = valid;
    return s;
}

static enum outcome load_good(struct runner *r, struct text bytes, struct rt_module **out)
{
    struct error e = {0};
    return load(r, bytes, out, &e) == OK ? PASSED
                                         : fail(r, "%s at offset 0x%llx: %s", status_text(e.code),
                                                (unsigned long long)e.offset, e.text);
}

static enum outcome instantiate(struct runner *r, struct rt_module *m, struct instance **out)
{
    struct error e = {0};
    if (!m) // only validated
        return PASSED;
    if (instance_create(r->store, m, NULL, out, &e) != OK)
        return fail(r, "%s: %s", status_text(e.code), e.text);
    status s = instance_run_start(*out, r->thread);
    if (s != OK) {
        *out = NULL;
        return fail(r, "the start function: %s: %s", status_text(s), trapped(r));
    }
    return PASSED;
}

static enum outcome add(struct runner *r, entries *to, struct entry entry, enum outcome outcome)
{
    entry.outcome = outcome == FAILED     ? FAILED
                    : r->o->validate_only ? SKIPPED + SKIP_VALIDATE
                                          : PASSED;
    return vec_push(to, entry) ? outcome : fail(r, "out of memory");
}

static enum outcome run_module(struct runner *r, bool definition)
{
    struct entry entry = {.name = read_text(r)};
    struct text bytes = read_text(r);
    if (r->bad)
        return FAILED;
    enum outcome outcome = load_good(r, bytes, &entry.module);
    if (outcome == PASSED && !definition)
        outcome = instantiate(r, entry.module, &entry.instance);
    return add(r, definition ? &r->definitions : &r->entries, entry, outcome);
}

static enum outcome skip_text_module(struct runner *r)
{
    struct entry entry = {.outcome = SKIPPED + SKIP_TEXT};
    return vec_push(&r->entries, entry) ? entry.outcome : fail(r, "out of memory");
}

// The latest module of a name, or the latest one. PASSED, or what became of it.
static enum outcome find_in(struct runner *r, const entries *in, struct text name,
                            struct entry *out)
{
    for (u32 i = in->count; i-- > 0;) {
        const struct entry *entry = &in->at[i];
        if (name.length && !same(entry->name, name))
            continue;
        *out = *entry;
        return entry->outcome == FAILED ? fail(r, "its module has failed") : entry->outcome;
    }
    return fail(r, "no such module");
}

static enum outcome find(struct runner *r, struct text name, struct instance **out)
{
    struct entry entry = {0};
    enum outcome outcome = find_in(r, &r->entries, name, &entry);
    *out = entry.instance;
    return outcome;
}

static enum outcome run_instance(struct runner *r)
{
    struct entry entry = {.name = read_text(r)}, definition = {0};
    struct text of = read_text(r);
    enum outcome outcome = r->bad ? FAILED : find_in(r, &r->definitions, of, &definition);
    if (outcome == PASSED)
        outcome = instantiate(r, definition.module, &entry.instance);
    return add(r, &r->entries, entry, outcome);
}

static enum outcome run_register(struct runner *r)
{
    struct text name = read_text(r), as = read_text(r);
    struct instance *instance;
    enum outcome outcome = r->bad ? FAILED : find(r, name, &instance);
    if (outcome != PASSED)
        return outcome;
    status s = store_register(r->store, (const char *)as.p, as.length, instance);
    return s == OK ? PASSED : fail(r, "%s", status_text(s));
}

// --- Actions

static bool slots_prepare(struct runner *r, const struct action *a)
{
    u32 n = r->type->nparams > r->type->nresults ? r->type->nparams : r->type->nresults;
    r->slots.count = 0;
    if (!vec_reserve(&r->slots, 2 * n + 1))
        return false;
    u64 *slot = r->slots.at;
    for (u32 i = 0; i < a->nargs; i++) {
        struct script_value v = value_at(a->args, i);
        u32 n_slots = type_slots(r->type->types[i]);
        memcpy(slot, v.bits, n_slots * sizeof *slot);
        slot += n_slots;
    }
    return true;
}

static enum outcome invoke(struct runner *r, const struct action *a, const struct extern_ *x,
                           status *result)
{
    if (a->nargs != x->func_type->nparams)
        return fail(r, "%u arguments for %u parameters", a->nargs, x->func_type->nparams);
    r->type = x->func_type;
    if (!slots_prepare(r, a))
        return fail(r, "out of memory");
    *result = thread_call(r->thread, x->func, r->slots.at);
    return PASSED;
}

// PASSED when the action was taken, whatever it came to: that is in *result.
static enum outcome act(struct runner *r, const struct action *a, status *result)
{
    struct instance *instance;
    struct extern_ x;
    enum outcome outcome = r->bad ? FAILED : find(r, a->module, &instance);
    if (outcome != PASSED)
        return outcome;
    u8 kind = a->kind == SCRIPT_GET ? EXTERN_GLOBAL : EXTERN_FUNC;
    status s = instance_export(instance, (const char *)a->field.p, a->field.length, &x);
    if (s != OK || x.kind != kind)
        return fail(r, "no such export: %.*s", (int)a->field.length, (const char *)a->field.p);
    r->got = 0;
    r->vm = instance_vm(instance);
    if (a->kind == SCRIPT_INVOKE)
        return invoke(r, a, &x, result);
    if (!vec_reserve(&r->slots, 2))
        return fail(r, "out of memory");
    memcpy(r->slots.at, x.global, 2 * sizeof *r->slots.at);
    r->got = x.global_type.type;
    *result = OK;
    return PASSED;
}

static enum outcome run_action(struct runner *r)
{
    struct action a = read_action(r);
    status s;
    enum outcome outcome = act(r, &a, &s);
    if (outcome == PASSED && s != OK)
        return fail(r, "%s: %s", status_text(s), trapped(r));
    return outcome;
}

// --- Results

// Canonical: only the quiet bit of the payload; arithmetic: the quiet bit and any others.
static bool nan_matches(u64 bits, u32 size, bool canonical)
{
    u64 quiet = size == 4 ? 0x7fc00000u : 0x7ff8000000000000u;
    u64 sign = size == 4 ? 0x80000000u : 0x8000000000000000u;
    return canonical ? (bits & ~sign) == quiet : (bits & quiet) == quiet;
}

static u64 lane_bits(const void *p, u32 size)
{
    u64 bits = 0;
    memcpy(&bits, p, size);
    return bits;
}

static enum outcome compare_lane(struct runner *r, u32 i, u32 lane, const struct script_value *want,
                                 u64 got)
{
    u64 bits = lane_bits(want->bits + lane * want->lane_size, want->lane_size);
    const char *type = valtype_text(want->type);
    bool canonical = want->canonical >> lane & 1;
    if (canonical || (want->arithmetic >> lane & 1))
        return nan_matches(got, want->lane_size, canonical)
                   ? PASSED
                   : fail(r, "result %u: %s 0x%llx in lane %u, expected a%s NaN", i, type,
                          (unsigned long long)got, lane, canonical ? " canonical" : "n arithmetic");
    return got == bits ? PASSED
                       : fail(r, "result %u: %s 0x%llx in lane %u, expected 0x%llx", i, type,
                              (unsigned long long)got, lane, (unsigned long long)bits);
}

// A reference has one lane, the whole.
static enum outcome compare(struct runner *r, u32 i, const struct script_value *wanted,
                            valtype type, const u64 *got)
{
    struct script_value want = *wanted;
    if (want.type != type && !(want.type == SCRIPT_REF && is_reftype(type)))
        return fail(r, "result %u is an %s, expected an %s", i, valtype_text(type),
                    valtype_text(want.type));
    if (want.any)
        return !*got ? fail(r, "result %u is null", i)
               : rt_ref_is(r->vm, want.any, *got)
                   ? PASSED
                   : fail(r, "result %u is no %s", i, valtype_text(want.any));
    u32 lanes = type == TYPE_V128 && want.lane_size ? 16 / want.lane_size : 1;
    if (!want.lane_size || want.lane_size > 8)
        want.lane_size = 8;
    enum outcome outcome = PASSED;
    for (u32 lane = 0; lane < lanes && outcome == PASSED; lane++) {
        const u8 *p = (const u8 *)got + lane * want.lane_size;
        outcome = compare_lane(r, i, lane, &want, lane_bits(p, want.lane_size));
    }
    return outcome;
}

static enum outcome compare_any(struct runner *r, u32 i, const u8 *wanted, u32 alternatives,
                                valtype type, const u64 *got)
{
    enum outcome outcome = FAILED;
    for (u32 a = 0; a < alternatives && outcome != PASSED; a++) {
        struct script_value want = value_at(wanted, a);
        outcome = compare(r, i, &want, type, got);
    }
    return outcome;
}

static enum outcome run_return(struct runner *r)
{
    struct action a = read_action(r);
    u32 values;
    const u8 *wanted = read_values(r, &values);
    status s;
    enum outcome outcome = act(r, &a, &s);
    if (outcome != PASSED)
        return outcome;
    if (s != OK)
        return fail(r, "%s: %s", status_text(s), trapped(r));
    u32 nresults = r->got ? 1 : r->type->nresults, i = 0, at = 0;
    const u64 *slot = r->slots.at;
    for (; at < values && outcome == PASSED; i++) {
        struct script_value want = value_at(wanted, at);
        u32 first = want.type == SCRIPT_EITHER, n = first ? want.alternatives : 1;
        if (i >= nresults || at + first + n > values)
            return fail(r, "%u results, expected more", nresults);
        valtype type = r->got ? r->got : r->type->types[r->type->nparams + i];
        outcome = compare_any(r, i, wanted + (at + first) * sizeof want, n, type, slot);
        slot += type_slots(type);
        at += first + n;
    }
    return outcome == PASSED && i != nresults ? fail(r, "%u results, expected %u", nresults, i)
                                              : outcome;
}

static enum outcome run_trap(struct runner *r, u8 command)
{
    const char *uncaught = trap_text(TRAP_EXCEPTION);
    struct action a = read_action(r);
    struct text want = {(const u8 *)uncaught, (u32)strlen(uncaught)};
    if (command != SCRIPT_EXCEPTION)
        want = read_text(r);
    status s;
    enum outcome outcome = act(r, &a, &s);
    return outcome == PASSED ? expect_trap(r, s, trapped(r), want) : outcome;
}

// --- Modules that must not come to life

static enum outcome run_rejected(struct runner *r, status code)
{
    struct text bytes = read_text(r), want = read_text(r);
    struct error e = {0};
    struct rt_module *m;
    if (r->bad)
        return FAILED;
    if (load(r, bytes, &m, &e) != OK)
        return expect_error(r, &e, code, want);
    rt_module_free(m);
    return fail(r, "expected '%.*s', but the module is valid", (int)want.length,
                (const char *)want.p);
}

static enum outcome run_unlinked(struct runner *r, bool unlinkable)
{
    struct text bytes = read_text(r), want = read_text(r);
    struct error e = {0};
    struct rt_module *m;
    struct instance *instance;
    if (r->bad)
        return FAILED;
    if (load(r, bytes, &m, &e) != OK)
        return fail(r, "%s: %s", status_text(e.code), e.text);
    if (!m)
        return SKIPPED + SKIP_VALIDATE;
    status s = instance_create(r->store, m, NULL, &instance, &e);
    if (unlinkable)
        return s == OK ? fail(r, "expected '%.*s', but it links", (int)want.length,
                              (const char *)want.p)
                       : expect_error(r, &e, ERR_UNLINKABLE, want);
    if (s != OK)
        return expect_trap(r, s, e.text, want);
    return expect_trap(r, instance_run_start(instance, r->thread), trapped(r), want);
}

// --- The module "spectest", which scripts may import from. Its functions are the host's, and do
// nothing; the rest is a module, given here in the binary format, that passes them on.

static void print_nothing(struct vmctx *vm, u64 *slots)
{
    (void)vm;
    (void)slots;
}

static const struct host_func host[] = {
    {"print", ":", print_nothing, NULL},           {"print_i32", "i:", print_nothing, NULL},
    {"print_i64", "I:", print_nothing, NULL},      {"print_f32", "f:", print_nothing, NULL},
    {"print_f64", "F:", print_nothing, NULL},      {"print_i32_f32", "if:", print_nothing, NULL},
    {"print_f64_f64", "FF:", print_nothing, NULL},
};

// clang-format off
#define IMPORT(length, name, type) "\4host" length name "\0" type
static const char spectest[] =
    "\0asm\1\0\0\0"
    "\x01\x1e\7" // types
    "\x60\0\0" "\x60\1\x7f\0" "\x60\1\x7e\0" "\x60\1\x7d\0" "\x60\1\x7c\0" "\x60\2\x7f\x7d\0"
    "\x60\2\x7c\x7c\0"
    "\x02\x7c\7" // imports
    IMPORT("\5", "print", "\0") IMPORT("\x9", "print_i32", "\1") IMPORT("\x9", "print_i64", "\2")
    IMPORT("\x9", "print_f32", "\3") IMPORT("\x9", "print_f64", "\4")
    IMPORT("\xd", "print_i32_f32", "\5") IMPORT("\xd", "print_f64_f64", "\6")
    "\x04\x9\2\x70\1\xa\x14\x70\5\xa\x14" // two tables of 10 to 20 functions, one with indices of 64 bits
    "\x05\4\1\1\1\2"        // a memory of 1 to 2 pages
    "\x06\x21\4"            // globals: 666, 666, 666.6, 666.6
    "\x7f\0\x41\x9a\5\xb" "\x7e\0\x42\x9a\5\xb" "\x7d\0\x43\x66\xa6\x26\x44\xb"
    "\x7c\0\x44\xcd\xcc\xcc\xcc\xcc\xd4\x84\x40\xb"
    "\x07\xa8\1\xe" // exports
    "\5table\1\0" "\7table64\1\1" "\6memory\2\0" "\xaglobal_i32\3\0" "\xaglobal_i64\3\1" "\xaglobal_f32\3\2"
    "\xaglobal_f64\3\3" "\5print\0\0" "\x9print_i32\0\1" "\x9print_i64\0\2" "\x9print_f32\0\3"
    "\x9print_f64\0\4" "\xdprint_i32_f32\0\5" "\xdprint_f64_f64\0\6";
// clang-format on

static status add_spectest(struct runner *r)
{
    struct error e = {0};
    struct rt_module *m;
    struct instance *instance;
    status s = store_host_module(r->store, "host", host, countof(host));
    if (s == OK)
        s = rt_module_load(r->store, (const u8 *)spectest, sizeof spectest - 1, &m, &e);
    if (s == OK)
        s = instance_create(r->store, m, NULL, &instance, &e);
    return s == OK ? store_register(r->store, "spectest", 8, instance) : s;
}

// --- The script

static enum outcome run_record(struct runner *r, u8 command)
{
    switch ((enum script_command)command) {
    case SCRIPT_MODULE:
    case SCRIPT_DEFINITION: return run_module(r, command == SCRIPT_DEFINITION);
    case SCRIPT_INSTANCE: return run_instance(r);
    case SCRIPT_REGISTER: return run_register(r);
    case SCRIPT_ACTION: return run_action(r);
    case SCRIPT_RETURN: return run_return(r);
    case SCRIPT_TRAP:
    case SCRIPT_EXHAUSTION:
    case SCRIPT_EXCEPTION: return run_trap(r, command);
    case SCRIPT_INVALID: return run_rejected(r, ERR_INVALID);
    case SCRIPT_MALFORMED: return run_rejected(r, ERR_MALFORMED);
    case SCRIPT_UNLINKABLE: return run_unlinked(r, true);
    case SCRIPT_UNINSTANTIABLE: return run_unlinked(r, false);
    case SCRIPT_TEXT_MODULE: return skip_text_module(r);
    case SCRIPT_TEXT_ASSERT: return SKIPPED + SKIP_TEXT;
    }
    r->bad = true;
    return FAILED;
}

static void count(struct runner *r, u32 line, enum outcome outcome)
{
    if (outcome == PASSED)
        r->counts->passed++;
    else if (outcome != FAILED)
        r->counts->skipped[outcome - SKIPPED]++;
    else if (r->counts->failed++, r->o->report)
        r->o->report(r->o->context, line, r->text);
}

static status run_records(struct runner *r)
{
    while (r->p < r->end) {
        u8 command = read_u8(r);
        u32 line = read_u32(r);
        enum outcome outcome = r->bad ? FAILED : run_record(r, command);
        if (r->bad)
            return ERR_INVALID_ARG;
        count(r, line, outcome);
    }
    return OK;
}

status script_run(const struct script_options *o, const u8 *script, size_t size,
                  struct script_counts *counts)
{
    struct runner r = {.o = o, .counts = counts, .p = script, .end = script + size};
    status s = ERR_NO_MEMORY;
    if (!(r.store = store_create(o->engine)))
        return s;
    if ((r.thread = thread_create(r.store)))
        s = add_spectest(&r);
    if (s == OK)
        s = run_records(&r);
    if (r.thread)
        thread_free(r.thread);
    store_free(r.store);
    vec_free(&r.entries);
    vec_free(&r.definitions);
    vec_free(&r.slots);
    return s;
}
