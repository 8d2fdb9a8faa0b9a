// SPDX-License-Identifier: MIT
// The command line as a table: one row per option makes parsing, help and the hints for misspelt
// names.
//
// A command sees only the options whose row names it. Options come before the operands; what
// follows the first operand is left alone for commands that pass arguments on (run), and may still
// hold options for the others. Both "--name value" and "--name=value" are understood, "--" ends the
// options, and "-" alone is an operand. Texts point into argv; nothing is copied.
#pragma once
#include "base/vec.h"

struct engine;
struct limits_of_process;
#define MAY_GIVEN (1ull << 32)

enum command_bit {
    FOR_RUN = 1,
    FOR_VALIDATE = 2,
    FOR_COMPILE = 4,
    FOR_INSPECT = 8,
    FOR_WAST = 16,
    FOR_BENCH = 32,
    FOR_BOOT = 64,
    FOR_EXPLAIN = 128,
    FOR_SERVE = 256,
    FOR_DISK = 512,
    FOR_SNAPSHOT = 1024,
    FOR_WORKER = 2048,
    FOR_ALL = 4095,
};

struct options {
    const struct engine *engine;
    VEC(const char *) dirs;    // HOST[::GUEST], and perhaps :ro, :copy or :rw
    VEC(const char *) disks;   // IMAGE[::GUEST], and perhaps :ro
    VEC(const char *) env;     // K[=V]
    VEC(const char *) preload; // NAME=FILE
    bool inherit_env;          // all of ours are there already, before those given
    VEC(const char *) listen;
    VEC(const char *) allow_net, dns;               // rules, and addresses
    VEC(const char *) routes, stream_routes, files; // serve: PATH=WHAT, or WHAT
    const char *argv0, *invoke;
    const char *code;      // inspect --code: "" for all functions, NULL when not asked
    u64 max_memory;        // bytes; 0: no limit
    u64 max_time, max_cpu; // nanoseconds; 0: no limit
    u64 max_handles, max_threads, max_messages, max_processes, weight; // 0: not given
    u64 may;                   // enum nebulet_privilege, with MAY_GIVEN; 0: not given
    u64 repeat;                // at least 1
    const char *machine;       // boot: NULL, or as given
    bool iommu;                // boot
    const char *accel;         // boot: NULL, or as given
    u64 memory;                // boot: 0 when not given
    u64 size;                  // disk: 0 when not given
    u64 cpus;                  // 0 when not given
    const char *metrics, *log; // serve: NULL, or as given
    u64 servers, queue, max_connections, max_body, max_log, grace, idle; // serve: 0 when not given
    // worker: NULL or 0 when not given
    const char *nats, *subject, *group, *jetstream, *durable, *result, *dead;
    const char *creds, *tls_ca, *tls_cert, *tls_key;
    u64 deliveries, retry;
    bool tls, resident;
    const char *stats;               // run and boot: NULL, "" for lines, or "json"
    const char *features;            // validate: NULL, or as given
    const char *trace, *trace_calls; // run, boot, serve: NULL; "" is stderr
    const char *profile;             // run: NULL, or as given
    const char *gdb;                 // boot: NULL, "" or a port
    bool jit, trap_unknown;          // run: --gdb, --trap-unknown-imports
    u64 stack;                       // 0: as it is
    bool verbose, time, validate_only, boot, help;
    int argc; // the operands
    char **argv;
};

struct command {
    const char *name, *operands;
    const char *summary; // one line
    const char *details; // lines for its own help
    enum command_bit bit;
    bool passes_arguments; // everything after the first operand belongs to somebody else
    int min_operands;
    int (*run)(struct options *o); // the exit code
};

// False after a message when the command line is wrong.
bool options_parse(const struct command *c, struct options *o, int argc, char **argv);
void options_free(struct options *o);
// The operands as programs, each a file and its arguments: `++` and a file begin a further one.
// There is room for argc of them; how many there are.
struct operands {
    int argc;
    char **argv;
};
int options_split(const struct options *o, struct operands *out);
struct limits_of_process options_limits(const struct options *o); // for run and boot
// The options of a command, a line or more each.
void options_print(const struct command *c);
// Option i of a command; false: it has no more.
struct option_text {
    const char *name, *value, *help; // value: what help calls it, or NULL
    bool maybe;                      // it can be left out
};
bool option_text(const struct command *c, u32 i, struct option_text *out);
// The nearest of the names that each(context, i) gives until NULL, or NULL if none is near.
const char *nearest_name(const char *to, const char *(*each)(const void *context, u32 i),
                         const void *context);
