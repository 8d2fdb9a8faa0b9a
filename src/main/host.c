// SPDX-License-Identifier: MIT
// The program `nebulet`: finds the command, parses its options, runs it.
//
// This is one of the two files that join the core with a platform (the other is the kernel's). Each
// command has a file of its own; the tables below and in options.c are the whole of the command
// line.
#include "main/host.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "base/fmt.h"
#include "main/listen.h"
#include "main/manual.h"
#include "main/tracing.h"
#include "wasm/module.h"

static const struct command commands[] = {
    {"run", "FILE [ARGS...] [++ FILE [ARGS...]]...", "run programs",
     "Runs a WebAssembly program (WASI preview 1, and the module nebulet). Options come before\n"
     "FILE; everything after it is the program's. FILE may be - for standard input.\n"
     "++ begins a further program, which runs at the same time as a process of its own. `nebulet "
     "FILE`\n"
     "is the same as `nebulet run FILE`. The exit code is the program's, or the first that is not "
     "0; 134 after a trap, 137 for one that was killed, 2 on bad usage, 1 for\n"
     "other errors.\n",
     FOR_RUN, true, 1, cmd_run},
    {"boot", "FILE [ARGS...] [++ FILE [ARGS...]]...",
     "run programs in a machine of their own, on our kernel",
     "Runs programs as `nebulet run` does, but under QEMU, with nothing but the Nebulet kernel\n"
     "below it. The exit code is the program's, too. Folders (--dir) are devices of the machine,\n"
     "copies of them in its memory; a disk (--disk) is on an image of `nebulet disk`.\n",
     FOR_BOOT, true, 1, cmd_boot},
    {"serve", "[FILE]", "programs behind HTTP",
     "Serves HTTP/1.1. For each request FILE, a program (WASI), is run as a process of its own, "
     "as\n"
     "CGI has it: what the request says is in its environment, its body is standard input, and\n"
     "the answer is standard output. --max-memory, --max-time and --max-cpu hold for one request\n"
     "(64M, 30 s, 10 s), --max-processes is how many of them run at once (64). Without --listen "
     "it\n"
     "serves at http://127.0.0.1:8080/. SIGTERM ends it when all requests are answered.\n",
     FOR_SERVE, false, 0, cmd_serve},
    {"worker", "FILE", "programs behind NATS",
     "Takes messages from a server of NATS. For each of them FILE, a program (WASI), is run as a "
     "process\n"
     "of its own: the message is standard input, and what it writes is the reply, or the result.\n"
     "Messages come from a subject (--subject, shared by a queue group), or from a stream of "
     "JetStream\n"
     "(--jetstream, --durable), where each is acknowledged once its result has been published. "
     "Another\n"
     "exit code than 0, a trap or a limit is a failure: it is tried again (--deliveries), and "
     "given up\n"
     "then (--dead). Limits are those of serve, and hold for one message; --max-processes is how "
     "many\n"
     "are worked on at once (64). SIGTERM ends it when those are done with. It needs the library\n"
     "libnats.\n",
     FOR_WORKER, false, 1, cmd_worker},
    {"snapshot", "FILE OUT", "start a program once, and write a module that has been started",
     "Runs the function that FILE exports as wizer.initialize, and writes to OUT (-: standard\n"
     "output) a module that begins as it has left memory and globals. An export wizer.resume is "
     "its\n"
     "_start then. `serve` does that by itself.\n",
     FOR_SNAPSHOT, false, 2, cmd_snapshot},
    {"disk", "ACTION IMAGE [OPERANDS...]", "make images of disks, and see to what is in them",
     "Actions:\n"
     "  create IMAGE --size N     a new disk with an empty file system; the image is sparse\n"
     "  check IMAGE               read all that is in it\n"
     "  ls IMAGE [PATH]           list a directory\n"
     "  cat IMAGE PATH            print a file\n"
     "  get IMAGE PATH FILE       copy a file out of it (-: standard output)\n"
     "  put IMAGE FILE PATH       copy a file into it (-: standard input)\n"
     "  mkdir IMAGE PATH          make a directory\n"
     "  rm IMAGE PATH             remove a file or an empty directory\n"
     "A machine has such a disk through user/drv/virtio-blk and user/svc/fs (doc/files.md). Images "
     "that are used by\n"
     "somebody else must be left alone meanwhile.\n",
     FOR_DISK, false, 2, cmd_disk},
    {"validate", "FILE...", "check modules without running them",
     "Checks that modules are valid WebAssembly. Says nothing when all are.\n", FOR_VALIDATE, false,
     1, cmd_validate},
    {"compile", "FILE", "compile a module without running it",
     "Decodes, validates and compiles a module, and drops the result.\n", FOR_COMPILE, false, 1,
     cmd_compile},
    {"inspect", "FILE", "print what a module consists of",
     "Prints sections, imports, exports, tables, memories, globals, segments and functions with\n"
     "their sizes; or, with --code, what was compiled, through objdump.\n",
     FOR_INSPECT, false, 1, cmd_inspect},
    {"explain", "FILE [TEXT]", "say where in the source the places of a trace are",
     "Reads a text, from a file or standard input, and prints it with what the debug information "
     "and\n"
     "the names in the module FILE say of the lines of traces in it. `run` does that by itself.\n",
     FOR_EXPLAIN, false, 1, cmd_explain},
    {"wast", "FILE.json...", "run specification scripts in wast2json's form",
     "Expects the .wasm files beside each script. Prints every failure with its line, and ends\n"
     "with: N passed, N failed, N skipped.\n",
     FOR_WAST, false, 1, cmd_wast},
    {"bench-instantiate", "FILE", "measure how fast instances are created",
     "Creates and frees instances of a module in a loop; prints the time of one in nanoseconds.\n",
     FOR_BENCH, false, 1, cmd_bench_instantiate},
};

const struct engine *engine_find(const char *name)
{
    static const struct engine *const engines[] = {&fast_engine, &interp_engine};
    for (u32 i = 0; i < countof(engines); i++)
        if (!name || str_eq(name, engines[i]->name))
            return engines[i];
    return NULL;
}

static void say(const char *prefix, const char *format, va_list args)
{
    fflush(stdout);
    fputs(prefix, stderr);
    vfprintf(stderr, format, args);
    fputc('\n', stderr);
}

void complain(const char *format, ...)
{
    va_list args;
    va_start(args, format);
    say("nebulet: ", format, args);
    va_end(args);
}

int complain_setup(void)
{
    complain("cannot set the runtime up: %s", strerror(errno));
    return EXIT_ERROR;
}

void hint(const char *format, ...)
{
    va_list args;
    va_start(args, format);
    say("hint: ", format, args);
    va_end(args);
}

void print_text(FILE *to, const void *text, size_t length)
{
    for (size_t i = 0; i < length; i++)
        putc(fmt_shown(text, length, i), to);
}

void print_func(FILE *to, const struct module *m, u32 index)
{
    if (m->func_names && m->func_names[index].length)
        print_text(to, m->func_names[index].p, m->func_names[index].length);
    else
        fprintf(to, "$f%u", index);
}

static const struct command *find(const char *name)
{
    for (u32 i = 0; i < countof(commands); i++)
        if (str_eq(commands[i].name, name))
            return &commands[i];
    return NULL;
}

const struct command *command_at(u32 i)
{
    return i < countof(commands) ? &commands[i] : NULL;
}

static const char *command_name(const void *context, u32 i)
{
    (void)context;
    return i < countof(commands) ? commands[i].name : i == countof(commands) ? "help" : NULL;
}

static int unknown(const char *name)
{
    complain("there is no command '%s'", name);
    const char *near = nearest_name(name, command_name, NULL);
    if (near)
        hint("did you mean %s?", near);
    else
        hint("nebulet --help lists them");
    return EXIT_USAGE;
}

static bool ends_in(const char *name, const char *end)
{
    size_t n = strlen(name), length = strlen(end);
    return n > length && str_eq(name + n - length, end);
}

// What begins with a program, or with options for one, is `run`.
static bool begins_a_program(const char *name)
{
    return *name == '-' || strchr(name, '/') || ends_in(name, ".wasm") || ends_in(name, ".wat");
}

static int help(void)
{
    enum { FOR_MEASURING = FOR_COMPILE | FOR_WAST | FOR_BENCH };
    printf("nebulet " NEBULET_VERSION ": runs WebAssembly programs\n\n"
           "Usage: nebulet FILE.wasm [ARGS...]\n"
           "       nebulet COMMAND [OPTIONS] FILE...\n");
    for (u32 measuring = 0; measuring < 2; measuring++) {
        puts(measuring ? "\nTo test and measure Nebulet itself:" : "\nCommands:");
        for (u32 i = 0; i < countof(commands); i++)
            if (measuring == ((commands[i].bit & FOR_MEASURING) != 0))
                printf("  %-18s  %s\n", commands[i].name, commands[i].summary);
    }
    printf("\nnebulet help COMMAND says more about one. nebulet --version prints the version.\n"
           "nebulet help --man prints the manual page, nebulet help --completion SHELL what "
           "completes words there.\n");
    return EXIT_OK;
}

static int help_command(const struct command *c)
{
    printf("Usage: nebulet %s [OPTIONS] %s\n\n%s\nOptions:\n", c->name, c->operands, c->details);
    options_print(c);
    return EXIT_OK;
}

static int help_about(int argc, char **argv)
{
    const struct command *c = find(argv[0]);
    if (c)
        return help_command(c);
    if (str_eq(argv[0], "--man"))
        return manual_print(), EXIT_OK;
    if (!str_eq(argv[0], "--completion"))
        return unknown(argv[0]);
    if (argc > 1 && completion_print(argv[1]))
        return EXIT_OK;
    complain("help --completion needs a shell: bash, zsh or fish");
    return EXIT_USAGE;
}

static int run_command(const struct command *c, int argc, char **argv)
{
    struct options o;
    int code = EXIT_USAGE;
    bool http = c->bit & (FOR_SERVE | FOR_WORKER);
    if (options_parse(c, &o, argc, argv) &&
        (o.help || (tracing_check(&o) && listeners_check(&o, http))))
        code = o.help ? help_command(c) : c->run(&o);
    options_free(&o);
    return code;
}

// What was printed may still fail to arrive.
static int finish(int code)
{
    bool lost = fflush(stdout) || ferror(stdout);
    if (lost && code == EXIT_OK) {
        complain("standard output cannot be written");
        code = EXIT_ERROR;
    }
    return code;
}

static int dispatch(int argc, char **argv)
{
    const char *name = argc > 1 ? argv[1] : "";
    const struct command *c = find(name);
    if (c)
        return run_command(c, argc - 2, argv + 2);
    if (str_eq(name, "--version") || str_eq(name, "-V"))
        return puts("nebulet " NEBULET_VERSION) < 0;
    if (str_eq(name, "help") && argc > 2)
        return help_about(argc - 2, argv + 2);
    if (str_eq(name, "help") || str_eq(name, "--help") || str_eq(name, "-h"))
        return help();
    if (begins_a_program(name))
        return run_command(find("run"), argc - 1, argv + 1);
    if (*name)
        return unknown(name);
    complain("no command given");
    hint("nebulet run FILE.wasm runs a program; nebulet --help lists all commands");
    return EXIT_USAGE;
}

// What is opened gets the lowest number that is free. So that nothing of ours is ever taken for a
// standard stream, by us, by QEMU or by a program that we run, none of these three numbers is free
// from here on.
static bool have_standard_streams(void)
{
    for (int fd = STDIN_FILENO; fd <= STDERR_FILENO; fd++)
        if (fcntl(fd, F_GETFD) < 0 && open("/dev/null", O_RDWR) != fd)
            return false;
    return true;
}

int main(int argc, char **argv)
{
    if (!have_standard_streams()) {
        complain("standard streams are closed, and /dev/null cannot take their place: %s",
                 strerror(errno));
        return EXIT_ERROR;
    }
    return finish(dispatch(argc, argv));
}
