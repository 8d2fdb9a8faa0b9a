// SPDX-License-Identifier: MIT
// The option table, and what is made of it: see options.h. A new option is a field in struct
// options and a row here; only a new kind of value needs code.
#include "main/options.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "kern/process.h"
#include "main/host.h"
#include "rt/rt.h"
#include "wasm/engine.h"

enum option_kind {
    OPTION_FLAG,   // bool
    OPTION_TEXT,   // const char *
    OPTION_MAYBE,  // const char *, "" when given without "=value"
    OPTION_LIST,   // VEC(const char *)
    OPTION_COUNT,  // u64, at least 1
    OPTION_SIZE,   // u64 bytes: 65536, 64K, 512M, 2G
    OPTION_TIME,   // u64 nanoseconds: seconds, with a fraction if wanted
    OPTION_ENGINE, // const struct engine *
    OPTION_WEIGHT, // u64, 1 to 1000
    OPTION_MAY,    // u64: privileges, and MAY_GIVEN
};

struct option {
    const char *name, *value; // value: what help calls it, or NULL
    enum option_kind kind;
    u32 offset;   // in struct options
    u32 commands; // who has it
    const char *help;
};

#define FIELD(name) offsetof(struct options, name)
static const struct option table[] = {
    {"--dir", "HOST[::GUEST]", OPTION_LIST, FIELD(dirs),
     FOR_SNAPSHOT | FOR_WORKER | FOR_SERVE | FOR_RUN | FOR_BOOT,
     "let the program use the folder HOST, under the name GUEST; with :ro behind it only to read, "
     "with :copy a copy, whose changes are lost"},
    {"--disk", "IMAGE[::GUEST]", OPTION_LIST, FIELD(disks), FOR_SERVE | FOR_BOOT,
     "let the program use the file system on a disk, an image that `nebulet disk` has made, under "
     "the name GUEST (/disk); with :ro behind it only to read"},
    {"--env", "K[=V]", OPTION_LIST, FIELD(env),
     FOR_SNAPSHOT | FOR_WORKER | FOR_SERVE | FOR_RUN | FOR_BOOT,
     "set a variable of the program's environment; K alone takes yours"},
    {"--inherit-env", NULL, OPTION_FLAG, FIELD(inherit_env),
     FOR_WORKER | FOR_SERVE | FOR_RUN | FOR_BOOT, "give the program all of your environment"},
    {"--listen", "ADDRESS", OPTION_LIST, FIELD(listen), FOR_RUN | FOR_SERVE,
     "give the program a socket that listens at tcp:HOST:PORT, one of datagrams at udp:HOST:PORT, "
     "or those that are `inherited`: systemd's"},
    {"--allow-net", "RULE", OPTION_LIST, FIELD(allow_net), FOR_RUN | FOR_SERVE | FOR_BOOT,
     "let programs use the network (libsip): tcp:example.org:443, udp:10.0.0.0/8:53, "
     "listen:tcp:127.0.0.1:8080, dns:*.example.org; of each as many as wanted"},
    {"--dns", "ADDRESS", OPTION_LIST, FIELD(dns), FOR_RUN | FOR_SERVE | FOR_BOOT,
     "of --allow-net: the server that names are asked of, with :PORT behind it if wanted (those of "
     "/etc/resolv.conf)"},
    {"--route", "PATH=FILE", OPTION_LIST, FIELD(routes), FOR_SERVE,
     "run FILE, a program, for each request below PATH (CGI)"},
    {"--stream", "PATH=FILE", OPTION_LIST, FIELD(stream_routes), FOR_SERVE,
     "the same, but one process gets all requests, as messages"},
    {"--files", "PATH=FOLDER", OPTION_LIST, FIELD(files), FOR_SERVE,
     "the files of a folder, below PATH"},
    {"--nats", "URL", OPTION_TEXT, FIELD(nats), FOR_WORKER,
     "the server, or several with commas: nats://[USER:PASSWORD@]HOST[:PORT], or tls:// "
     "(nats://127.0.0.1:4222)"},
    {"--subject", "SUBJECT", OPTION_TEXT, FIELD(subject), FOR_WORKER,
     "messages of this subject, which may have * and >"},
    {"--queue", "NAME", OPTION_TEXT, FIELD(group), FOR_WORKER,
     "the queue group, each of whose messages one of its members gets (nebulet)"},
    {"--jetstream", "STREAM", OPTION_TEXT, FIELD(jetstream), FOR_WORKER,
     "messages that a stream of JetStream keeps until they are done with"},
    {"--durable", "NAME", OPTION_TEXT, FIELD(durable), FOR_WORKER,
     "its consumer, which is made when there is none"},
    {"--result", "SUBJECT", OPTION_TEXT, FIELD(result), FOR_WORKER,
     "publish what is written; who asked for a reply gets it in any case"},
    {"--dead", "SUBJECT", OPTION_TEXT, FIELD(dead), FOR_WORKER,
     "publish messages that were given up, and why"},
    {"--deliveries", "N", OPTION_COUNT, FIELD(deliveries), FOR_WORKER,
     "how often a message of a stream is tried before it is given up (5)"},
    {"--retry", "SECONDS", OPTION_TIME, FIELD(retry), FOR_WORKER,
     "before it is tried again, twice as long each time, up to a minute (1)"},
    {"--resident", NULL, OPTION_FLAG, FIELD(resident), FOR_WORKER,
     "one process gets all messages, as one of serve's --stream does"},
    {"--creds", "FILE", OPTION_TEXT, FIELD(creds), FOR_WORKER,
     "credentials (JWT and NKey) for the server"},
    {"--tls", NULL, OPTION_FLAG, FIELD(tls), FOR_WORKER, "use TLS in any case"},
    {"--tls-ca", "FILE", OPTION_TEXT, FIELD(tls_ca), FOR_WORKER,
     "certificates to know the server by, instead of the system's"},
    {"--tls-cert", "FILE", OPTION_TEXT, FIELD(tls_cert), FOR_WORKER, "our own certificate"},
    {"--tls-key", "FILE", OPTION_TEXT, FIELD(tls_key), FOR_WORKER, "and its key"},
    {"--argv0", "NAME", OPTION_TEXT, FIELD(argv0), FOR_RUN | FOR_BOOT | FOR_EXPLAIN,
     "the program's own name, instead of that of FILE"},
    {"--engine", "ENGINE", OPTION_ENGINE, FIELD(engine),
     FOR_SNAPSHOT | FOR_WORKER | FOR_SERVE | FOR_RUN | FOR_COMPILE | FOR_INSPECT | FOR_WAST |
         FOR_BENCH | FOR_BOOT,
     "fast (compiles, the default) or interp (interprets)"},
    {"--invoke", "FUNC", OPTION_TEXT, FIELD(invoke), FOR_RUN,
     "call an exported function with ARGS, and print what it returns"},
    {"--preload", "NAME=FILE", OPTION_LIST, FIELD(preload), FOR_RUN,
     "instantiate the module FILE first, in the same process: what it exports can be imported as "
     "NAME's"},
    {"--trap-unknown-imports", NULL, OPTION_FLAG, FIELD(trap_unknown), FOR_RUN,
     "run a program although it imports functions that nobody has: to call one is a trap"},
    {"--stack", "SIZE", OPTION_SIZE, FIELD(stack), FOR_RUN | FOR_BOOT,
     "bytes of a stack on which calls return, from 256K to 8M (8M); C's own is the linker's: -z "
     "stack-size"},
    {"--max-memory", "SIZE", OPTION_SIZE, FIELD(max_memory),
     FOR_SNAPSHOT | FOR_WORKER | FOR_SERVE | FOR_RUN | FOR_BOOT,
     "bytes for it, all that it starts, and what is kept for them: 65536, 64K, 512M"},
    {"--max-time", "SECONDS", OPTION_TIME, FIELD(max_time),
     FOR_SNAPSHOT | FOR_WORKER | FOR_SERVE | FOR_RUN | FOR_BOOT,
     "end the program and all that it has started after that time"},
    {"--max-cpu", "SECONDS", OPTION_TIME, FIELD(max_cpu),
     FOR_SNAPSHOT | FOR_WORKER | FOR_SERVE | FOR_RUN | FOR_BOOT | FOR_DISK,
     "the same after so much time of processors, taken by all of them together"},
    {"--max-handles", "N", OPTION_COUNT, FIELD(max_handles), FOR_RUN | FOR_BOOT,
     "handles that it and all that it starts may have"},
    {"--max-threads", "N", OPTION_COUNT, FIELD(max_threads), FOR_RUN | FOR_BOOT, "threads"},
    {"--max-messages", "N", OPTION_COUNT, FIELD(max_messages), FOR_RUN | FOR_BOOT,
     "messages that nobody has taken yet"},
    {"--max-processes", "N", OPTION_COUNT, FIELD(max_processes),
     FOR_WORKER | FOR_SERVE | FOR_RUN | FOR_BOOT, "processes, itself included"},
    {"--max-connections", "N", OPTION_COUNT, FIELD(max_connections), FOR_SERVE,
     "connections that are open at once (10000); others wait"},
    {"--max-body", "SIZE", OPTION_SIZE, FIELD(max_body), FOR_WORKER | FOR_SERVE,
     "bytes that a request may bring (16M)"},
    {"--max-log", "SIZE", OPTION_SIZE, FIELD(max_log), FOR_WORKER | FOR_SERVE,
     "bytes that handlers may write to standard error for each request (64K)"},
    {"--servers", "N", OPTION_COUNT, FIELD(servers), FOR_WORKER | FOR_SERVE,
     "server processes, for as many CPUs, which share connections and limits (1)"},
    {"--queue", "N", OPTION_COUNT, FIELD(queue), FOR_SERVE,
     "requests that wait for a handler before others are refused (1000)"},
    {"--idle", "SECONDS", OPTION_TIME, FIELD(idle), FOR_SERVE,
     "for how long a connection may say nothing (60), and a client take nothing"},
    {"--grace", "SECONDS", OPTION_TIME, FIELD(grace), FOR_WORKER | FOR_SERVE,
     "after SIGTERM, for requests that were begun (30)"},
    {"--metrics", "ADDRESS", OPTION_TEXT, FIELD(metrics), FOR_WORKER | FOR_SERVE,
     "serve /metrics (for Prometheus) and /health at another address"},
    {"--log", "FORMAT", OPTION_TEXT, FIELD(log), FOR_WORKER | FOR_SERVE,
     "a line for each request on stdout: common (the usual), json, or none"},
    {"--weight", "N", OPTION_WEIGHT, FIELD(weight), FOR_RUN | FOR_BOOT,
     "its share of a busy processor beside others, 1 to 1000 (100)"},
    {"--may", "LIST", OPTION_MAY, FIELD(may), FOR_RUN | FOR_BOOT,
     "of spawn,serve,connect,print,files,devices: only those; none; everything (without it: all "
     "but devices)"},
    {"--memory", "SIZE", OPTION_SIZE, FIELD(memory), FOR_SERVE | FOR_BOOT | FOR_WAST,
     "bytes of memory that the machine has (2G)"},
    {"--size", "SIZE", OPTION_SIZE, FIELD(size), FOR_DISK,
     "create: bytes that the disk has, from 64K to 8T"},
    {"--cpus", "N", OPTION_COUNT, FIELD(cpus),
     FOR_WORKER | FOR_SERVE | FOR_RUN | FOR_BOOT | FOR_WAST,
     "CPUs to use (run: all; in a machine of its own: 1)"},
    {"--machine", "TYPE", OPTION_TEXT, FIELD(machine), FOR_SERVE | FOR_BOOT | FOR_WAST,
     "microvm (the default) or q35"},
    {"--iommu", NULL, OPTION_FLAG, FIELD(iommu), FOR_SERVE | FOR_BOOT | FOR_WAST,
     "give the machine, a q35, an IOMMU, so that devices reach only the memory that their drivers "
     "were given for them"},
    {"--accel", "HOW", OPTION_TEXT, FIELD(accel), FOR_SERVE | FOR_BOOT | FOR_WAST,
     "kvm, or tcg, which emulates the machine (kvm where it can be used)"},
    {"--boot", NULL, OPTION_FLAG, FIELD(boot), FOR_SERVE | FOR_WAST,
     "in a machine of its own, under QEMU, with nothing but our kernel"},
    {"--trace", "FILE", OPTION_MAYBE, FIELD(trace), FOR_WORKER | FOR_SERVE | FOR_RUN | FOR_BOOT,
     "write every call to the system to FILE, or stderr: when, in which process, what it was "
     "given, "
     "what it answered"},
    {"--trace-calls", "LIST", OPTION_TEXT, FIELD(trace_calls),
     FOR_WORKER | FOR_SERVE | FOR_RUN | FOR_BOOT, "of these only: fd_read,path_*"},
    {"--stats", "json", OPTION_MAYBE, FIELD(stats), FOR_RUN | FOR_BOOT,
     "print, on stderr, what each process has used, at its end, and what was charged to each "
     "program at most, with all that it has started; json: one object a line"},
    {"--profile", "HOW", OPTION_TEXT, FIELD(profile), FOR_RUN,
     "guest[=FILE]: write where it spends its time to FILE (profile.folded), a line for each stack "
     "with its microseconds, of which flame graphs are made; perfmap: write where its functions "
     "are "
     "to /tmp/perf-PID.map, for perf (fast only)"},
    {"--gdb", "PORT", OPTION_MAYBE, FIELD(gdb), FOR_BOOT,
     "stop the machine before its first instruction, and let GDB have it (127.0.0.1:1234)"},
    {"--gdb", NULL, OPTION_FLAG, FIELD(jit), FOR_RUN,
     "let GDB know its functions and frames: gdb --args nebulet run --gdb FILE"},
    {"--time", NULL, OPTION_FLAG, FIELD(time), FOR_VALIDATE | FOR_COMPILE,
     "print what it took of the CPU, in nanoseconds, and sizes in bytes"},
    {"--repeat", "N", OPTION_COUNT, FIELD(repeat), FOR_VALIDATE | FOR_COMPILE,
     "do it N times, and print the best time"},
    {"--code", "FUNC", OPTION_MAYBE, FIELD(code), FOR_INSPECT,
     "disassemble what was compiled: all, or one function by name or number"},
    {"--features", "LIST", OPTION_TEXT, FIELD(features), FOR_VALIDATE,
     "refuse what uses others than these: simd,threads; mvp, wasm2, wasm3 and all are many at once "
     "(inspect names what a module uses)"},
    {"--validate-only", NULL, OPTION_FLAG, FIELD(validate_only), FOR_WAST,
     "validate modules, run nothing"},
    {"-v", NULL, OPTION_FLAG, FIELD(verbose), FOR_RUN | FOR_BOOT, "say sizes and times on stderr"},
    {"--help", NULL, OPTION_FLAG, FIELD(help), FOR_ALL, "print this"},
};

// Other spellings of rows above.
static const char *const aliases[][2] = {{"-h", "--help"}, {"--verbose", "-v"}};

static const struct option *find(const struct command *c, const char *name, size_t length)
{
    for (u32 i = 0; i < countof(aliases); i++)
        if (strlen(aliases[i][0]) == length && !memcmp(aliases[i][0], name, length))
            name = aliases[i][1], length = strlen(name);
    for (u32 i = 0; i < countof(table); i++)
        if ((table[i].commands & c->bit) && strlen(table[i].name) == length &&
            !memcmp(table[i].name, name, length))
            return &table[i];
    return NULL;
}

static bool parse_count(const char *text, u64 *out)
{
    char *end;
    *out = strtoull(text, &end, 10);
    return *text >= '0' && *text <= '9' && !*end && *out > 0;
}

static bool parse_size(const char *text, u64 *out)
{
    static const char units[] = "KMGT";
    char *end;
    u64 n = strtoull(text, &end, 10);
    if (*text < '0' || *text > '9')
        return false;
    u32 shift = 0;
    const char *unit = *end ? strchr(units, *end & ~0x20) : NULL;
    if (unit)
        shift = 10 * (u32)(unit - units + 1), end++;
    if (shift && *end == 'i')
        end++;
    if (*end == 'B')
        end++;
    *out = n << shift;
    return !*end && *out >> shift == n && n > 0;
}

static bool parse_time(const char *text, u64 *out)
{
    char *end;
    double seconds = strtod(text, &end);
    if (end == text || *end || !(seconds > 0) || seconds > 1e9)
        return false;
    *out = (u64)(seconds * 1e9);
    return true;
}

static bool parse_weight(const char *text, u64 *out)
{
    return parse_count(text, out) && *out <= 1000;
}

// As in the manifest of init (doc/init.md).
static bool parse_may(const char *text, u64 *out)
{
    static const struct {
        const char *name;
        u32 privileges;
    } known[] = {NEBULET_PRIVILEGE_NAMES, {"none", 0}};
    *out = MAY_GIVEN;
    for (size_t n; (n = strcspn(text, ",")); text += n + (text[n] == ',')) {
        u32 i = 0;
        while (i < countof(known) && (strlen(known[i].name) != n || memcmp(known[i].name, text, n)))
            i++;
        if (i == countof(known))
            return false;
        *out |= known[i].privileges;
    }
    return !*text;
}

static u32 small(u64 n)
{
    return n < UINT32_MAX ? (u32)n : UINT32_MAX;
}

struct limits_of_process options_limits(const struct options *o)
{
    return (struct limits_of_process){
        .memory = o->max_memory,
        .cpu_ns = o->max_cpu,
        .wall_ns = o->max_time,
        .handles = small(o->max_handles),
        .threads = small(o->max_threads),
        .messages = small(o->max_messages),
        .processes = small(o->max_processes),
        .weight = (u32)o->weight,
        .privileges = o->may ? (u32)o->may & NEBULET_MAY_ALL : NEBULET_MAY_USUAL,
    };
}

static bool set(const struct option *d, struct options *o, const char *value)
{
    void *field = (char *)o + d->offset;
    switch (d->kind) {
    case OPTION_FLAG: *(bool *)field = true; return true;
    case OPTION_MAYBE:
    case OPTION_TEXT: *(const char **)field = value; return true;
    case OPTION_LIST: {
        __typeof__(&o->dirs) list = field;
        return vec_push(list, value);
    }
    case OPTION_COUNT: return parse_count(value, field);
    case OPTION_SIZE: return parse_size(value, field);
    case OPTION_TIME: return parse_time(value, field);
    case OPTION_WEIGHT: return parse_weight(value, field);
    case OPTION_MAY: return parse_may(value, field);
    case OPTION_ENGINE: return (*(const struct engine **)field = engine_find(value)) != NULL;
    }
    return false;
}

bool option_text(const struct command *c, u32 i, struct option_text *out)
{
    for (u32 k = 0; k < countof(table); k++) {
        const struct option *d = &table[k];
        if (!(d->commands & c->bit) || i--)
            continue;
        *out = (struct option_text){d->name, d->value, d->help, d->kind == OPTION_MAYBE};
        return true;
    }
    return false;
}

static const char *option_name(const void *context, u32 i)
{
    struct option_text o;
    return option_text(context, i, &o) ? o.name : NULL;
}

static bool unknown(const struct command *c, const char *name, size_t length)
{
    char text[64];
    snprintf(text, sizeof text, "%.*s", (int)length, name);
    complain("%s has no option '%s'", c->name, text);
    const char *near = nearest_name(text, option_name, c);
    if (near)
        hint("did you mean %s?", near);
    else
        hint("nebulet help %s lists them", c->name);
    return false;
}

// Takes the option at argv[*i] and, if it has one, its value.
static bool take(const struct command *c, struct options *o, int argc, char **argv, int *i)
{
    const char *arg = argv[*i], *equals = strchr(arg, '=');
    size_t length = equals ? (size_t)(equals - arg) : strlen(arg);
    const struct option *d = find(c, arg, length);
    if (!d)
        return unknown(c, arg, length);
    const char *value = equals ? equals + 1 : d->kind == OPTION_MAYBE ? "" : NULL;
    if (d->kind == OPTION_FLAG && equals) {
        complain("%s takes no value", d->name);
        return false;
    }
    if (d->value && !value && !(value = ++*i < argc ? argv[*i] : NULL)) {
        complain("%s needs a value: %s %s", d->name, d->name, d->value);
        return false;
    }
    if (set(d, o, value))
        return true;
    complain("%s %s: not a valid %s", d->name, value, d->value);
    hint("%s: %s", d->name, d->help);
    return false;
}

// Ours, and then those given, of which the last one wins.
static bool inherit(struct options *o)
{
    __typeof__(o->env) all = {0};
    for (char **e = environ; *e; e++)
        if (strchr(*e, '=') && !vec_push(&all, (const char *)*e))
            return vec_free(&all), false;
    for (u32 i = 0; i < o->env.count; i++)
        if (!vec_push(&all, o->env.at[i]))
            return vec_free(&all), false;
    vec_free(&o->env);
    memcpy(&o->env, &all, sizeof all);
    return true;
}

// More operands than the command says that it has; some see to that themselves.
static bool has_more(const struct command *c, int n)
{
    int most = 1;
    for (const char *p = c->operands; *p; p++)
        most += *p == ' ';
    return c->min_operands && !strstr(c->operands, "...") && n > most;
}

bool options_parse(const struct command *c, struct options *o, int argc, char **argv)
{
    *o = (struct options){.engine = engine_find(NULL), .repeat = 1, .argv = argv};
    bool ended = false;
    for (int i = 0; i < argc; i++) {
        if (!ended && str_eq(argv[i], "--")) {
            ended = true;
        } else if (!ended && argv[i][0] == '-' && argv[i][1]) {
            if (!take(c, o, argc, argv, &i))
                return false;
        } else {
            argv[o->argc++] = argv[i]; // never ahead of what is read
            ended |= c->passes_arguments;
        }
    }
    if (o->stack && (o->stack < STORE_STACK_LEAST || o->stack > STORE_STACK_MOST)) {
        complain("--stack: it is 256K to 8M");
        hint("C's own stack is the linker's: -Wl,-z,stack-size=BYTES");
        return false;
    }
    if (o->stats && *o->stats && !str_eq(o->stats, "json"))
        return complain("--stats=%s: there is --stats=json", o->stats), false;
    if (o->trace_calls && !o->trace)
        o->trace = "";
    if (o->inherit_env && !inherit(o))
        return complain("out of memory"), false;
    bool more = has_more(c, o->argc);
    if (o->help || (o->argc >= c->min_operands && !more))
        return true;
    complain(more ? "%s takes %s, and no more" : "%s needs %s", c->name, c->operands);
    hint("nebulet help %s", c->name);
    return false;
}

int options_split(const struct options *o, struct operands *out)
{
    int n = 0;
    for (int i = 0; i < o->argc; i++) {
        bool next = i + 1 < o->argc && str_eq(o->argv[i], "++");
        if (i == 0 || next)
            out[n++] = (struct operands){0, &o->argv[i + next]};
        if (!next)
            out[n - 1].argc++;
    }
    return n;
}

void options_free(struct options *o)
{
    vec_free(&o->dirs);
    vec_free(&o->disks);
    vec_free(&o->env);
    vec_free(&o->preload);
    vec_free(&o->listen);
    vec_free(&o->allow_net);
    vec_free(&o->dns);
    vec_free(&o->routes);
    vec_free(&o->stream_routes);
    vec_free(&o->files);
}

void options_print(const struct command *c)
{
    struct option_text o;
    for (u32 i = 0; option_text(c, i, &o); i++) {
        char left[40];
        const char *form = o.maybe ? "%s[=%s]" : o.value ? "%s %s" : "%s%s";
        snprintf(left, sizeof left, form, o.name, o.value ? o.value : "");
        printf("  %-22s  %s\n", left, o.help);
    }
}

// Levenshtein distance of two short texts, one row at a time.
static u32 distance(const char *a, const char *b)
{
    u32 row[33], m = (u32)strlen(a), n = (u32)strlen(b);
    if (m > 32 || n > 32)
        return UINT32_MAX;
    for (u32 j = 0; j <= n; j++)
        row[j] = j;
    for (u32 i = 1; i <= m; i++) {
        u32 diagonal = row[0];
        row[0] = i;
        for (u32 j = 1; j <= n; j++) {
            u32 best = diagonal + (a[i - 1] != b[j - 1]);
            diagonal = row[j];
            if (row[j] + 1 < best)
                best = row[j] + 1;
            if (row[j - 1] + 1 < best)
                best = row[j - 1] + 1;
            row[j] = best;
        }
    }
    return row[n];
}

// What one means is most of what one has written.
const char *nearest_name(const char *to, const char *(*each)(const void *context, u32 i),
                         const void *context)
{
    const char *best = NULL, *name;
    u32 letters = (u32)strlen(to + strspn(to, "-")), limit = 1 + 2 * letters / 3;
    limit = limit < 4 ? limit : 4;
    for (u32 i = 0; (name = each(context, i)); i++) {
        u32 d = distance(to, name);
        if (d < limit && d < strlen(name))
            best = name, limit = d;
    }
    return best;
}
