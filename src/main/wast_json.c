// SPDX-License-Identifier: MIT
// wast2json's JSON to binary scripts, with the library cJSON.
//
// The library is opened when the first script is read, so that no other command pays for loading
// it. Names may hold a zero character, which cJSON's terminated strings cannot: it is replaced by
// one of Unicode's private use area in the JSON text, where wast2json never writes an escape for
// such a one, and put back when a text goes into the script.
#include "main/wast_json.h"

#include <cjson/cJSON.h>
#include <dlfcn.h>
#include <stdlib.h>
#include <string.h>

#include "main/host.h"
#include "main/script.h"
#include "wasm/vmctx.h"

#define ZERO_ESCAPE "\\u0000"
#define ZERO_STAND_IN "\\ue0ff"
#define ZERO_UTF8 "\xee\x83\xbf"

static struct json {
    cJSON *(*parse)(const char *text, size_t size);
    cJSON *(*item)(const cJSON *object, const char *name);
    void (*free)(cJSON *item);
} json;

struct writer {
    struct wast *out;
    const char *path; // of the JSON file
    bool failed;      // out of memory, or a form that is not understood, after a message
};

static bool open_library(void)
{
    void *library = json.parse ? NULL : dlopen("libcjson.so.1", RTLD_NOW);
    if (library) {
        json.item = (__typeof__(json.item))dlsym(library, "cJSON_GetObjectItemCaseSensitive");
        json.free = (__typeof__(json.free))dlsym(library, "cJSON_Delete");
        if (json.item && json.free)
            json.parse = (__typeof__(json.parse))dlsym(library, "cJSON_ParseWithLength");
    }
    if (json.parse)
        return true;
    complain("reading scripts needs the library libcjson.so.1");
    hint("on Debian: apt install libcjson1");
    return false;
}

// --- Writing

static void problem(struct writer *w, const cJSON *command, const char *what)
{
    const cJSON *line = command ? json.item(command, "line") : NULL;
    if (!w->failed)
        line ? complain("%s: line %d: %s", w->path, line->valueint, what)
             : complain("%s: %s", w->path, what);
    w->failed = true;
}

static void put(struct writer *w, const void *p, size_t n)
{
    __typeof__(&w->out->script) v = &w->out->script;
    if (n > INT32_MAX || !vec_reserve(v, (u32)n)) {
        problem(w, NULL, "out of memory");
        return;
    }
    if (n)
        memcpy(v->at + v->count, p, n);
    v->count += (u32)n;
}

static void put_u8(struct writer *w, u8 value)
{
    put(w, &value, 1);
}

static void put_u32(struct writer *w, u32 value)
{
    put(w, &value, 4);
}

static const char *text_of(const cJSON *object, const char *name)
{
    const cJSON *item = object ? json.item(object, name) : NULL;
    return item && item->valuestring ? item->valuestring : "";
}

static void put_text(struct writer *w, const char *text)
{
    u32 at = w->out->script.count;
    put_u32(w, 0);
    for (const char *zero; (zero = strstr(text, ZERO_UTF8)); text = zero + strlen(ZERO_UTF8)) {
        put(w, text, (size_t)(zero - text));
        put_u8(w, 0);
    }
    put(w, text, strlen(text));
    if (!w->failed)
        store_u32(w->out->script.at + at, w->out->script.count - at - 4);
}

static void put_file(struct writer *w, const char *name)
{
    struct file f;
    size_t folder = (size_t)(file_base_name(w->path) - w->path), n = strlen(name);
    char *path = malloc(folder + n + 1);
    if (!path) {
        problem(w, NULL, "out of memory");
        return;
    }
    memcpy(path, w->path, folder);
    memcpy(path + folder, name, n + 1);
    if (file_read(path, &f)) {
        put_u32(w, (u32)f.size);
        put(w, f.bytes, f.size);
        file_free(&f);
    } else {
        w->failed = true;
    }
    free(path);
}

// --- Values

static u8 type_of(const char *text)
{
#define TYPE(byte, name, type_text, size)                                                          \
    if (str_eq(text, type_text))                                                                   \
        return is_reftype(byte) ? SCRIPT_REF : byte;
#include "wasm/types.def"
#undef TYPE
    if (str_eq(text, "either"))
        return SCRIPT_EITHER;
    return str_eq(text, "refnull") ? SCRIPT_REF : 0;
}

// The types of null alone.
static bool is_null(const char *text)
{
    return strncmp(text, "null", 4) == 0 || str_eq(text, "refnull");
}

static u8 reference_kind(const char *text)
{
#define HEAP(byte, name, type_text, heap)                                                          \
    if (str_eq(text, type_text))                                                                   \
        return byte;
#include "wasm/types.def"
    return 0;
}

static u32 lane_size(const char *lane)
{
    return lane[0] ? (u32)strtoul(lane + 1, NULL, 10) / 8 : 0;
}

// One lane, or a scalar as its only lane.
static void set_lane(struct script_value *v, u32 lane, const char *text)
{
    if (str_eq(text, "nan:canonical"))
        v->canonical |= (u16)(1u << lane);
    else if (str_eq(text, "nan:arithmetic"))
        v->arithmetic |= (u16)(1u << lane);
    u64 bits = strtoull(text, NULL, 10);
    memcpy(v->bits + lane * v->lane_size, &bits, v->lane_size);
}

static void set_reference(struct script_value *v, const cJSON *value, const char *type)
{
    u64 n;
    if (!value || !value->valuestring)
        v->any = is_null(type) ? 0 : reference_kind(type);
    else if (!str_eq(value->valuestring, "null"))
        n = vm_host_ref((u32)strtoul(value->valuestring, NULL, 10)), memcpy(v->bits, &n, sizeof n);
}

static u32 put_list(struct writer *w, const cJSON *list);

// Returns how many it has put.
static u32 put_value(struct writer *w, const cJSON *item)
{
    struct script_value v = {.type = type_of(text_of(item, "type"))};
    const cJSON *value = json.item(item, "value"), *values = json.item(item, "values");
    u32 lane = 0, at = w->out->script.count;
    switch (v.type) {
    case TYPE_V128:
        v.lane_size = (u8)lane_size(text_of(item, "lane_type"));
        for (const cJSON *i = value ? value->child : NULL; i; i = i->next)
            if (v.lane_size && (lane + 1) * v.lane_size <= 16 && i->valuestring)
                set_lane(&v, lane++, i->valuestring);
        break;
    case SCRIPT_REF: set_reference(&v, value, text_of(item, "type")); break;
    case SCRIPT_EITHER: break;
    case TYPE_I32:
    case TYPE_F32:
    case TYPE_I64:
    case TYPE_F64:
        v.lane_size = v.type == TYPE_I32 || v.type == TYPE_F32 ? 4 : 8;
        if (value && value->valuestring)
            set_lane(&v, 0, value->valuestring);
        break;
    default: problem(w, NULL, "a value of unknown type");
    }
    put(w, &v, sizeof v);
    if (v.type != SCRIPT_EITHER)
        return 1;
    u32 n = put_list(w, values);
    if (n > UINT8_MAX)
        problem(w, NULL, "too many alternatives");
    if (!w->failed)
        w->out->script.at[at + offsetof(struct script_value, alternatives)] = (u8)n;
    return 1 + n;
}

static u32 put_list(struct writer *w, const cJSON *list)
{
    u32 n = 0;
    for (const cJSON *i = list ? list->child : NULL; i; i = i->next)
        n += put_value(w, i);
    return n;
}

static void put_values(struct writer *w, const cJSON *list)
{
    u32 at = w->out->script.count;
    put_u32(w, 0);
    u32 n = put_list(w, list);
    if (!w->failed)
        store_u32(w->out->script.at + at, n);
}

static void put_action(struct writer *w, const cJSON *command)
{
    const cJSON *action = json.item(command, "action");
    put_u8(w, str_eq(text_of(action, "type"), "get") ? SCRIPT_GET : SCRIPT_INVOKE);
    put_text(w, text_of(action, "module"));
    put_text(w, text_of(action, "field"));
    put_values(w, action ? json.item(action, "args") : NULL);
}

// --- Commands

// What a command's record holds behind its line, letter by letter: n name, F the binary of a
// module, i "instance", d "module", a "as", A action, v expected values, x text.
static const struct {
    const char *type;
    enum script_command command;
    const char *parts;
} commands[] = {
    {"module", SCRIPT_MODULE, "nF"},
    {"module_definition", SCRIPT_DEFINITION, "nF"},
    {"module_instance", SCRIPT_INSTANCE, "id"},
    {"register", SCRIPT_REGISTER, "na"},
    {"action", SCRIPT_ACTION, "A"},
    {"assert_return", SCRIPT_RETURN, "Av"},
    {"assert_trap", SCRIPT_TRAP, "Ax"},
    {"assert_exhaustion", SCRIPT_EXHAUSTION, "Ax"},
    {"assert_exception", SCRIPT_EXCEPTION, "A"},
    {"assert_invalid", SCRIPT_INVALID, "Fx"},
    {"assert_malformed", SCRIPT_MALFORMED, "Fx"},
    {"assert_unlinkable", SCRIPT_UNLINKABLE, "Fx"},
    {"assert_uninstantiable", SCRIPT_UNINSTANTIABLE, "Fx"},
};

static void put_part(struct writer *w, const cJSON *command, char part)
{
    const char *binary = text_of(command, "binary_filename");
    switch (part) {
    case 'n': put_text(w, text_of(command, "name")); break;
    case 'F': put_file(w, *binary ? binary : text_of(command, "filename")); break;
    case 'i': put_text(w, text_of(command, "instance")); break;
    case 'd': put_text(w, text_of(command, "module")); break;
    case 'a': put_text(w, text_of(command, "as")); break;
    case 'A': put_action(w, command); break;
    case 'v': put_values(w, json.item(command, "expected")); break;
    case 'x': put_text(w, text_of(command, "text")); break;
    }
}

static void put_command(struct writer *w, const cJSON *command)
{
    const cJSON *line = json.item(command, "line");
    const char *type = text_of(command, "type");
    bool text =
        str_eq(text_of(command, "module_type"), "text") && !*text_of(command, "binary_filename");
    for (u32 i = 0; i < countof(commands); i++) {
        if (!str_eq(type, commands[i].type))
            continue;
        enum script_command as = !text                                  ? commands[i].command
                                 : commands[i].command == SCRIPT_MODULE ? SCRIPT_TEXT_MODULE
                                                                        : SCRIPT_TEXT_ASSERT;
        put_u8(w, (u8)as);
        put_u32(w, line ? (u32)line->valueint : 0);
        for (const char *part = text ? "" : commands[i].parts; *part; part++)
            put_part(w, command, *part);
        return;
    }
    problem(w, command, "a command of unknown type");
}

static void replace_zeros(struct file *f)
{
    u8 *p = f->bytes, *end = f->bytes + f->size;
    while ((p = memmem(p, (size_t)(end - p), ZERO_ESCAPE, 6)))
        memcpy(p, ZERO_STAND_IN, 6);
}

bool wast_read(const char *path, struct wast *out)
{
    struct file f;
    struct writer w = {.out = out, .path = path};
    *out = (struct wast){0};
    if (!open_library() || !file_read(path, &f))
        return false;
    replace_zeros(&f);
    cJSON *root = json.parse((const char *)f.bytes, f.size);
    const cJSON *list = root ? json.item(root, "commands") : NULL;
    if (!list)
        problem(&w, NULL, "not a script in the form of wast2json, a tool of wabt's");
    for (const cJSON *c = list ? list->child : NULL; c && !w.failed; c = c->next)
        put_command(&w, c);
    if (root)
        out->source = strdup(text_of(root, "source_filename"));
    json.free(root);
    file_free(&f);
    return !w.failed;
}

void wast_free(struct wast *w)
{
    vec_free(&w->script);
    free(w->source);
}
