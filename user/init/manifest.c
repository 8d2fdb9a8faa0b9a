// SPDX-License-Identifier: MIT
// Reading a manifest: lines of words, the first says what the others mean. Whoever wrote it may
// have had bad intentions, so everything has a limit, and the time is linear but for a sort.
#include "manifest.h"

#include <stdlib.h>
#include <string.h>

#include "device.h"

enum {
    SERVICES_MAX = 1000, // all are waited for at once
    WORDS_MAX = 256,     // in a line
    RESTARTS = 10,
    WEIGHT_MAX = 1000,
    FOLDERS_MAX = 32,
    FOLDER_NAME_MAX = 255,
};

struct parser {
    struct manifest *m;
    uint32_t size; // of m->services
    uint32_t line;
    uint32_t given; // to the service so far: a bit for each of `keys` that is there once
    char *at;
    char *words[WORDS_MAX];
    uint32_t count;
    char *error;
    size_t room;
};

// Always false, so that it can be returned.
static bool fail(struct parser *p, uint32_t line, const char *format, ...) SIP_PRINTF(3, 4);
static bool fail(struct parser *p, uint32_t line, const char *format, ...)
{
    va_list list;
    va_start(list, format);
    sip_format_list(p->error, p->room, format, list);
    va_end(list);
    p->line = line;
    return false;
}

static bool out_of_memory(struct parser *p)
{
    return fail(p, p->line, "out of memory");
}

// --- Words

// A word in quotes: \ before a quote or itself stands for that. What remains moves to the left.
static bool quoted(struct parser *p)
{
    char *to = p->at++;
    p->words[p->count++] = to;
    while (*p->at != '"') {
        if (*p->at == '\\' && (p->at[1] == '"' || p->at[1] == '\\'))
            p->at++;
        if (*p->at == 0 || *p->at == '\n')
            return fail(p, p->line, "a quote without its end");
        *to++ = *p->at++;
    }
    p->at++;
    *to = 0;
    return true;
}

static bool is_blank(char c)
{
    return c == ' ' || c == '\t' || c == '\r';
}

static void plain(struct parser *p)
{
    p->words[p->count++] = p->at;
    while (*p->at && *p->at != '\n' && !is_blank(*p->at))
        p->at++;
}

// Takes the words of a line and goes on to the next; a final 0 goes over what ends a word, so the
// end of the line is looked at before.
static bool split_line(struct parser *p)
{
    p->count = 0;
    for (;;) {
        while (is_blank(*p->at))
            p->at++;
        if (*p->at == '#')
            p->at += strcspn(p->at, "\n");
        if (*p->at == 0)
            return true;
        if (*p->at == '\n') {
            *p->at++ = 0;
            return true;
        }
        if (p->count == WORDS_MAX)
            return fail(p, p->line, "more than %d words", WORDS_MAX);
        bool is_quoted = *p->at == '"';
        if (!is_quoted)
            plain(p);
        else if (!quoted(p))
            return false;
        if (is_blank(*p->at))
            *p->at++ = 0;
        else if (is_quoted && *p->at && *p->at != '\n')
            return fail(p, p->line, "a blank is missing after a quote");
    }
}

// --- Values

struct unit {
    const char *name;
    uint64_t size;
};
static const struct unit sizes[] = {
    {"", 1}, {"K", 1 << 10}, {"M", 1 << 20}, {"G", 1 << 30}, {NULL, 0}};
static const struct unit times[] = {
    {"ns", 1}, {"us", SIP_US}, {"ms", SIP_MS}, {"s", SIP_SECOND}, {NULL, 0}};
static const struct unit numbers[] = {{"", 1}, {NULL, 0}};

// Digits and a unit, which together are at least 1 and at most max.
static bool parse(struct parser *p, const char *word, const struct unit *units, uint64_t max,
                  uint64_t *out)
{
    uint64_t n = 0;
    const char *at = word;
    bool fits = true;
    for (; *at >= '0' && *at <= '9'; at++)
        fits &= !__builtin_mul_overflow(n, 10, &n) &&
                !__builtin_add_overflow(n, (uint64_t)(*at - '0'), &n);
    while (units->name && strcmp(units->name, at))
        units++;
    if (at == word || !units->name)
        return fail(p, p->line, "%s: \"%.40s\" is not a number%s", p->words[0], word,
                    at == word ? "" : " with a unit that is known here");
    fits &= !__builtin_mul_overflow(n, units->size, out);
    if (!fits || *out == 0 || *out > max)
        return fail(p, p->line, "%s: %.40s is too %s", p->words[0], word,
                    fits && *out == 0 ? "small" : "large");
    return true;
}

static bool parse_u32(struct parser *p, uint64_t max, uint32_t *out)
{
    uint64_t n = 0;
    bool ok = parse(p, p->words[1], numbers, max, &n);
    *out = (uint32_t)n;
    return ok;
}

// --- Lines within a service

static bool set_file(struct parser *p, struct service *s)
{
    s->file = p->words[1];
    return true;
}

static bool set_device(struct parser *p, struct service *s)
{
    s->device = p->words[1];
    return device_known(s->device) ||
           fail(p, p->line, "device: unknown device \"%.40s\"", p->words[1]);
}

static bool set_console(struct parser *p, struct service *s)
{
    size_t n = strlen(p->words[1]);
    s->console = p->words[1];
    return (n && n <= NEBULET_NAME_MAX) ||
           fail(p, p->line, "console: the name is empty or too long");
}

static bool set_args(struct parser *p, struct service *s)
{
    const char **args = malloc((p->count + 1) * sizeof *args);
    if (!args)
        return out_of_memory(p);
    args[0] = s->name;
    memcpy(args + 1, p->words + 1, (p->count - 1) * sizeof *args);
    args[p->count] = NULL;
    free(s->args);
    s->args = args;
    return true;
}

static bool set_may(struct parser *p, struct service *s)
{
    static const struct {
        const char *name;
        uint32_t privilege;
    } known[] = {NEBULET_PRIVILEGE_NAMES};
    s->options.privileges = 0;
    for (uint32_t i = 1; i < p->count; i++) {
        uint32_t k = 0, count = sizeof known / sizeof *known;
        while (k < count && strcmp(known[k].name, p->words[i]))
            k++;
        if (k == count)
            return fail(p, p->line, "may: unknown privilege \"%.40s\"", p->words[i]);
        s->options.privileges |= known[k].privilege;
    }
    return true;
}

static bool set_memory(struct parser *p, struct service *s)
{
    return parse(p, p->words[1], sizes, UINT64_MAX, &s->options.memory);
}

static bool set_cpu(struct parser *p, struct service *s)
{
    return parse(p, p->words[1], times, UINT64_MAX, &s->options.cpu_ns);
}

static bool set_handles(struct parser *p, struct service *s)
{
    return parse_u32(p, UINT32_MAX, &s->options.handles);
}

static bool set_threads(struct parser *p, struct service *s)
{
    return parse_u32(p, UINT32_MAX, &s->options.threads);
}

static bool set_messages(struct parser *p, struct service *s)
{
    return parse_u32(p, UINT32_MAX, &s->options.messages);
}

static bool set_weight(struct parser *p, struct service *s)
{
    return parse_u32(p, WEIGHT_MAX, &s->options.weight);
}

// restart POLICY [MAXIMUM [BACK-OFF]]
static bool set_restart(struct parser *p, struct service *s)
{
    static const char *const names[] = {"never", "on-failure", "always"};
    uint32_t policy = 0, count = sizeof names / sizeof *names;
    uint64_t max = RESTARTS;
    while (policy < count && strcmp(names[policy], p->words[1]))
        policy++;
    if (policy == count)
        return fail(p, p->line, "restart: unknown policy \"%.40s\"", p->words[1]);
    if (p->count > 2 && !parse(p, p->words[2], numbers, UINT32_MAX, &max))
        return false;
    s->restart = (enum restart)policy;
    s->restarts_max = (uint32_t)max;
    return p->count <= 3 || parse(p, p->words[3], times, 3600 * SIP_SECOND, &s->back_off);
}

static bool set_needs(struct parser *p, struct service *s)
{
    uint32_t count = p->count - 1;
    struct need *needs = realloc(s->needs, (s->need_count + count) * sizeof *needs);
    if (!needs)
        return out_of_memory(p);
    s->needs = needs;
    for (uint32_t i = 0; i < count; i++)
        needs[s->need_count++] = (struct need){.name = p->words[i + 1], .line = p->line};
    return true;
}

// folder NAME SERVER
static bool set_folder(struct parser *p, struct service *s)
{
    size_t name = strlen(p->words[1]), server = strlen(p->words[2]);
    if (s->folder_count == FOLDERS_MAX)
        return fail(p, p->line, "folder: more than %d", FOLDERS_MAX);
    if (name == 0 || name > FOLDER_NAME_MAX || server == 0 || server > NEBULET_NAME_MAX)
        return fail(p, p->line, "folder: a name is empty or too long");
    struct folder *folders = realloc(s->folders, (s->folder_count + 1) * sizeof *folders);
    if (!folders)
        return out_of_memory(p);
    s->folders = folders;
    folders[s->folder_count++] = (struct folder){p->words[1], p->words[2]};
    return true;
}

static bool set_daemon(struct parser *p, struct service *s)
{
    s->is_daemon = true;
    return p->count == 1 || parse(p, p->words[1], times, UINT64_MAX, &s->grace);
}

static const struct key {
    const char *name;
    uint32_t least, most; // words after it
    bool (*set)(struct parser *p, struct service *s);
    bool adds; // to what such lines have said before
} keys[] = {
    {"file", 1, 1, set_file, false},         {"device", 1, 1, set_device, false},
    {"args", 1, WORDS_MAX, set_args, false}, {"may", 1, WORDS_MAX, set_may, false},
    {"memory", 1, 1, set_memory, false},     {"cpu", 1, 1, set_cpu, false},
    {"handles", 1, 1, set_handles, false},   {"threads", 1, 1, set_threads, false},
    {"messages", 1, 1, set_messages, false}, {"weight", 1, 1, set_weight, false},
    {"restart", 1, 3, set_restart, false},   {"needs", 1, WORDS_MAX, set_needs, true},
    {"folder", 2, 2, set_folder, true},      {"daemon", 0, 1, set_daemon, false},
    {"console", 1, 1, set_console, false},
};

// --- Services

static struct service *grow(struct parser *p)
{
    struct manifest *m = p->m;
    if (m->count < p->size)
        return &m->services[m->count++];
    uint32_t size = p->size ? 2 * p->size : 16;
    struct service *services = realloc(m->services, size * sizeof *services);
    if (!services)
        return NULL;
    m->services = services;
    p->size = size;
    return &services[m->count++];
}

static bool begin_service(struct parser *p)
{
    if (p->count != 2)
        return fail(p, p->line, "service: one word follows, its name");
    const char *name = p->words[1];
    size_t length = strlen(name);
    if (length == 0 || length > NEBULET_NAME_MAX)
        return fail(p, p->line, "service: a name has 1 to %d bytes", NEBULET_NAME_MAX);
    if (p->m->count == SERVICES_MAX)
        return fail(p, p->line, "more than %d services", SERVICES_MAX);
    struct service *s = grow(p);
    if (!s)
        return out_of_memory(p);
    *s = (struct service){.name = name,
                          .line = p->line,
                          .options.privileges = NEBULET_MAY_PRINT,
                          .options.weight = 100, // a share of its own, whatever others start
                          .restarts_max = RESTARTS,
                          .back_off = 100 * SIP_MS,
                          .module = NEBULET_NO_HANDLE,
                          .process = NEBULET_NO_HANDLE,
                          .told = NEBULET_NO_HANDLE};
    memcpy(s->options.name, name, length);
    p->given = 0;
    p->count = 1; // no arguments so far
    return set_args(p, s);
}

static bool apply_line(struct parser *p)
{
    if (!strcmp(p->words[0], "service"))
        return begin_service(p);
    const struct key *key = keys, *end = keys + sizeof keys / sizeof *keys;
    while (key < end && strcmp(key->name, p->words[0]))
        key++;
    if (key == end)
        return fail(p, p->line, "unknown word \"%.40s\"", p->words[0]);
    if (p->m->count == 0)
        return fail(p, p->line, "%s: no service has begun", key->name);
    if (p->count - 1 < key->least)
        return fail(p, p->line, "%s: a value is missing", key->name);
    if (p->count - 1 > key->most)
        return fail(p, p->line, "%s: \"%.40s\" is too much", key->name, p->words[key->most + 1]);
    uint32_t bit = 1u << (key - keys);
    if (p->given & bit && !key->adds)
        return fail(p, p->line, "%s: the service has this line already", key->name);
    p->given |= bit;
    return key->set(p, &p->m->services[p->m->count - 1]);
}

// --- What one service has to do with others

static int by_name(const void *a, const void *b)
{
    const struct service *const *x = a, *const *y = b;
    return strcmp((*x)->name, (*y)->name);
}

static bool find_needs(struct parser *p, struct service *s, struct service **sorted)
{
    for (uint32_t i = 0; i < s->need_count; i++) {
        struct service key = {.name = s->needs[i].name}, *wanted = &key;
        struct service **found = bsearch(&wanted, sorted, p->m->count, sizeof *sorted, by_name);
        if (!found)
            return fail(p, s->needs[i].line, "needs: there is no service \"%.63s\"", key.name);
        s->needs[i].service = (uint32_t)(*found - p->m->services);
    }
    return true;
}

static bool check_services(struct parser *p, struct service **sorted)
{
    struct manifest *m = p->m;
    for (uint32_t i = 0; i < m->count; i++)
        sorted[i] = &m->services[i];
    qsort(sorted, m->count, sizeof *sorted, by_name);
    for (uint32_t i = 1; i < m->count; i++) {
        struct service *a = sorted[i - 1], *b = sorted[i];
        if (!strcmp(a->name, b->name))
            return fail(p, a->line > b->line ? a->line : b->line,
                        "service \"%.63s\" is there already", a->name);
    }
    for (uint32_t i = 0; i < m->count; i++)
        if (!m->services[i].file)
            return fail(p, m->services[i].line, "service \"%.63s\" has no file",
                        m->services[i].name);
        else if (!find_needs(p, &m->services[i], sorted))
            return false;
    return true;
}

// Of a service that has no place in the order: whoever goes from need to need gets into the circle,
// at the latest after as many steps as there are services.
static bool fail_circle(struct parser *p, uint32_t i)
{
    struct service *s = p->m->services;
    for (uint32_t step = 0; step < p->m->count; step++)
        i = s[i].needs[s[i].needs_met].service;
    return fail(p, s[i].line, "service \"%.63s\" needs itself, in a circle", s[i].name);
}

// Puts into the order all whose needs are there already, until nothing changes. A need that was
// found there is not looked for again.
static bool make_order(struct parser *p, bool *placed)
{
    struct manifest *m = p->m;
    uint32_t done = 0, before;
    do {
        before = done;
        for (uint32_t i = 0; i < m->count; i++) {
            struct service *s = &m->services[i];
            while (s->needs_met < s->need_count && placed[s->needs[s->needs_met].service])
                s->needs_met++;
            if (!placed[i] && s->needs_met == s->need_count)
                placed[i] = true, m->order[done++] = i;
        }
    } while (done != before);
    for (uint32_t i = 0; i < m->count; i++)
        if (!placed[i])
            return fail_circle(p, i);
    for (uint32_t i = 0; i < m->count; i++)
        m->services[i].needs_met = 0;
    return true;
}

static bool finish(struct parser *p)
{
    struct manifest *m = p->m;
    struct service **sorted = malloc((m->count + 1) * sizeof *sorted);
    bool *placed = calloc(m->count + 1, sizeof *placed);
    m->order = malloc((m->count + 1) * sizeof *m->order);
    bool ok = sorted && placed && m->order ? check_services(p, sorted) && make_order(p, placed)
                                           : out_of_memory(p);
    free(sorted);
    free(placed);
    return ok;
}

bool manifest_parse(struct manifest *m, char *text, size_t size, uint32_t *line, char *error,
                    size_t room)
{
    static struct parser parser; // its words are too many for the stack
    struct parser *p = &parser;
    bool ok = true;
    *m = (struct manifest){0};
    *p = (struct parser){.m = m, .line = 1, .at = text, .error = error, .room = room};
    for (; ok && *p->at; p->line += ok)
        ok = split_line(p) && (p->count == 0 || apply_line(p));
    if (ok && p->at != text + size)
        ok = fail(p, p->line, "a byte 0");
    if (ok && m->count == 0)
        ok = fail(p, p->line, "no service");
    ok = ok && finish(p);
    *line = p->line;
    return ok;
}
