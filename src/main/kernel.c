// SPDX-License-Identifier: MIT
// The kernel: reads what to run from the command line, runs it, and switches the machine off.
//
// The command line is words, separated by spaces. Words before `init=` set things up for the
// program; those after it are its arguments, up to a word `--`, after which the next program
// follows; with `++` instead, the next one runs at the same time. Settings but `env.` and `dir=`
// hold for later programs, too. One given twice holds as given last; there may be several env. and
// dir=. A word that is neither one of these nor one that loaders add by themselves (words.h) ends
// the machine.
//
//   init=/app.wasm A B ...  run that file of the archive
//   engine=NAME             fast or interp
//   env.NAME=VALUE          a variable of its environment
//   dir=GUEST::PATH         a directory of the archive, under the name GUEST; without any dir=, the
//                           whole archive is there as /; or a program, which serves it
//                           (doc/files.md), once for all that run with it
//   dir.ro=GUEST::PATH      the same, and nothing in it can be changed
//   own=N                   the directories that follow are had by so many generations of
//                           processes, the program the first; 0: by all, as without
//   dir=                    none at all
//   name=NAME               its own name, argv[0], instead of the file's
//   stdin=/PATH             standard input is that file
//   input=/PATH             console input begins with that file; input.all=/PATH: and ends there
//   argc=N                  exactly N words behind init= are arguments, whatever they are
//   refuse=N, refuse.all=N  for tests: the Nth request for memory finds none, and those after it
//   time=NS                 end it, and all that it has started, after that many nanoseconds
//   cpu=NS                  the same after so many of processors
//   tick=NS                 for tests: timer interrupts that often, which do nothing
//   memory=BYTES            it, all that it starts, and what is kept for them may take so much
//   handles=N threads=N messages=N processes=N weight=N   as for `nebulet run`
//   stack=BYTES             as --stack of `nebulet run`
//                           (of time=, cpu=, memory= and these, 0: as without)
//   may=BITS                what it may do (enum nebulet_privilege)
//   trace=CALLS             as --trace-calls of `nebulet run`; * are all
//   stats, stats=json, -v   as there
//   more                    the next program runs at the same time
//   daemon                  the next program is there for the others, and killed when they are over
//   keep                    files that programs write are there for the next one
//   wast=/PATH ...          run specification scripts instead of a program (main/script.h)
//   tty=DIGITS              which of the standard streams are terminals
//   console=multiplex       see plat/pc/console.h
//   iommu                   devices reach only what their drivers were given; without an IOMMU that
//                           can see to that, nothing runs
//   words=/PATH             go on with the words in that file, each ended by a zero byte
//
// Where the archive is a module itself, that is what runs, whether or not there is an init=.
//
// What a program took must be back when it has ended: pages and heap are compared with before.
#include "abi/folder.h"
#include "abi/trace.h"
#include "abi/wait_files.h"
#include "base/fmt.h"
#include "base/vec.h"
#include "fs/bundle.h"
#include "kern/channel.h"
#include "main/job.h"
#include "main/script.h"
#include "main/words.h"
#include "plat/pc/console.h"
#include "plat/pc/iommu.h"
#include "plat/pc/pc.h"
#include "plat/pc/x86.h"

enum { CODE_OK, CODE_ERROR, CODE_USAGE, CODE_TRAP = JOB_TRAPPED };
enum { WEIGHT_MAX = 1000 };

struct dir {
    char *given; // GUEST::PATH, to be cut
    bool read_only;
    u32 own; // struct wasi_preopen
};

struct launch {
    const struct engine *engine;
    const char *init, *name, *stdin_path;
    const char *trace; // of which calls; NULL: none
    bool wast, verbose, stats, json, keep, no_dirs, counted;
    bool more; // another one is to run at the same time
    bool daemon;
    bool refuse_all;
    u64 argc, refuse, stack, tick;
    u32 own;
    struct limits_of_process limits;
    VEC(const char *) args, env;
    VEC(struct dir) dirs;
};

struct program {
    const char *init; // for messages
    struct bundle_file file;
    struct vfs_file *input, *served; // until all are loaded: the folder that it serves
    struct job job;
    bool daemon;
};
enum { TOGETHER = 64 }; // programs that run at the same time
static struct program programs[TOGETHER];
static u32 started;

static struct vfs_file *root; // the archive as a file system; NULL: not needed so far
static u64 first_instruction;
static u8 last_failure;

__attribute__((format(printf, 1, 2))) static void say(const char *format, ...)
{
    char text[1024] = "nebulet: ";
    va_list args;
    va_start(args, format);
    size_t n = 9 + fmt_va(text + 9, sizeof text - 10, format, args);
    va_end(args);
    if (n > sizeof text - 2)
        n = sizeof text - 2;
    text[n++] = '\n';
    plat_console_write(text, n);
}

// --- Words

__attribute__((noreturn)) static void stop(int code)
{
    console_ended((u8)code);
    plat_exit(code);
}

__attribute__((noreturn)) static void wrong(const struct words *w, const char *word,
                                            const char *why)
{
    char text[1000];
    words_wrong(w, word, why, text, sizeof text);
    say("%s", text);
    stop(CODE_USAGE);
}

static const struct engine *engine_of(const char *name) // NULL: there is none
{
    static const struct engine *const engines[] = {&fast_engine, &interp_engine};
    for (u32 i = 0; i < countof(engines); i++)
        if (str_eq(name, engines[i]->name))
            return engines[i];
    return NULL;
}

// The archive is a program itself, and no files.
static bool is_module(void)
{
    return boot.archive_size >= 4 && !memcmp(boot.archive, "\0asm", 4);
}

static bool archive_file(const char *path, struct bundle_file *out)
{
    while (*path == '/')
        path++;
    enum fs_error e = bundle_find(boot.archive, is_module() ? 0 : boot.archive_size, path, out);
    if (e == E_INVAL)
        say("the archive is neither a tar (ustar) nor a module, or damaged");
    if (e)
        say("%s: %s", path, fs_error_name(e));
    return !e;
}

static bool program_file(const char *path, struct bundle_file *out)
{
    *out = (struct bundle_file){boot.archive, boot.archive_size};
    return is_module() || archive_file(path, out);
}

// The words of a file, copied, for they are cut into strings where they lie.
static bool read_words(const char *path, struct words *w)
{
    struct bundle_file e;
    if (!archive_file(path, &e))
        return false;
    char *copy = heap_alloc(e.size + 1);
    if (!copy)
        return false;
    memcpy(copy, e.bytes, e.size);
    copy[e.size] = 0;
    *w = (struct words){copy, copy + e.size, true, path, 0};
    return true;
}

static void preload(const char *path, bool all)
{
    struct bundle_file e;
    if (archive_file(path, &e))
        console_preload(e.bytes, e.size, all);
}

static void confine_devices(void)
{
    const char *why = iommu_start();
    if (!why)
        return;
    say("iommu: %s", why);
    stop(CODE_ERROR);
}

static const char *large(const char *value, u64 *out)
{
    return word_number(value, out) ? NULL : "not a number";
}

static const char *small(const char *value, u32 most, u32 *out)
{
    u64 n = 0;
    const char *why = large(value, &n);
    *out = (u32)n;
    return n > most ? "too large" : why;
}

// NULL, or what is wrong with it.
static const char *set(struct launch *l, struct words *w, enum word word, const char *value)
{
    const char *why;
    u64 n = 0;
    switch (word) {
    case WORD_engine:
        l->engine = engine_of(value);
        return l->engine ? NULL : "there are fast and interp";
    case WORD_words: return read_words(value, w) ? NULL : "it cannot be read";
    case WORD_env: vec_push(&l->env, value); break;
    case WORD_dir:
    case WORD_dir_ro:
        l->no_dirs |= !*value;
        if (*value)
            vec_push(&l->dirs, ((struct dir){(char *)value, word == WORD_dir_ro, l->own}));
        break;
    case WORD_trace: trace_to(console_trace, l->trace = value); break;
    case WORD_name: l->name = value; break;
    case WORD_stdin: l->stdin_path = value; break;
    case WORD_input: preload(value, false); break;
    case WORD_input_all: preload(value, true); break;
    case WORD_tty:
        for (; *value >= '0' && *value < '0' + CONSOLE_STREAMS; value++)
            console_terminal((u32)(*value - '0'));
        return *value ? "not digits of streams" : NULL;
    case WORD_argc: l->counted = true; return large(value, &l->argc);
    case WORD_memory: return large(value, &l->limits.memory);
    case WORD_time: return large(value, &l->limits.wall_ns);
    case WORD_cpu: return large(value, &l->limits.cpu_ns);
    case WORD_handles: return small(value, UINT32_MAX, &l->limits.handles);
    case WORD_threads: return small(value, UINT32_MAX, &l->limits.threads);
    case WORD_messages: return small(value, UINT32_MAX, &l->limits.messages);
    case WORD_processes: return small(value, UINT32_MAX, &l->limits.processes);
    case WORD_weight: return small(value, WEIGHT_MAX, &l->limits.weight);
    case WORD_may: return small(value, NEBULET_MAY_ALL, &l->limits.privileges);
    case WORD_own: return small(value, UINT32_MAX, &l->own);
    case WORD_stack: return large(value, &l->stack);
    case WORD_refuse:
    case WORD_refuse_all: l->refuse_all = word == WORD_refuse_all; return large(value, &l->refuse);
    case WORD_tick:
        why = large(value, &n);
        time_tick(n);
        return why;
    case WORD_verbose: l->verbose = true; break;
    case WORD_stats: l->stats = true; break;
    case WORD_stats_json: l->json = true; break;
    case WORD_more: l->more = true; break;
    case WORD_keep: l->keep = true; break;
    case WORD_daemon: l->daemon = true; break;
    case WORD_multiplex: console_multiplex(); break;
    case WORD_iommu: confine_devices(); break;
    case WORD_UNKNOWN: return "";
    case WORD_OF_OTHERS: break;
    case WORD_init:
    case WORD_wast: l->init = value, l->wast = word == WORD_wast; break;
    }
    return NULL;
}

// The machine announces its devices behind whatever it was given.
static bool is_announcement(const char *word)
{
    static const char text[] = "virtio_mmio.device=";
    return strlen(word) >= sizeof text && !memcmp(word, text, sizeof text - 1);
}

// The next program; false: there is none.
static bool next_launch(struct launch *l, struct words *w)
{
    char *word;
    l->init = l->name = l->stdin_path = NULL;
    l->args.count = l->env.count = l->dirs.count = 0;
    l->no_dirs = l->counted = l->more = l->daemon = false;
    l->own = 0;
    while (!l->init && (word = words_next(w))) {
        struct words here = *w; // it may be a file that they go on in
        const char *value;
        enum word what = word_find(word, &value);
        const char *why = set(l, w, what, value);
        if (why)
            wrong(&here, word, what == WORD_UNKNOWN ? NULL : why);
    }
    if (!l->init)
        return false;
    for (u64 i = 0; !l->counted || i < l->argc; i++) {
        if (!(word = words_next(w)) || (!l->counted && str_eq(word, "--")))
            break;
        if (!l->counted && (l->more = str_eq(word, "++")))
            break;
        if (!l->counted && is_announcement(word))
            continue;
        if (!vec_push(&l->args, word))
            return false;
    }
    return true;
}

// --- A program

static const char *base_name(const char *path)
{
    const char *base = path;
    for (; *path; path++)
        if (*path == '/')
            base = path + 1;
    return base;
}

static int failed(const struct program *p, const struct error *e)
{
    const char *name = base_name(p->init);
    if (e->offset == ERROR_NO_OFFSET)
        say("%s: %s: %s", name, status_text(e->code), e->text);
    else
        say("%s: %s at offset 0x%lx: %s", name, status_text(e->code), (unsigned long)e->offset,
            e->text);
    return e->code == ERR_TRAP ? CODE_TRAP : CODE_ERROR;
}

static bool mount(void)
{
    u64 limit = pages_free_count() * PLAT_PAGE / 2;
    enum fs_error e =
        root ? E_SUCCESS
             : bundle_mount(boot.archive, is_module() ? 0 : boot.archive_size, limit, 1, &root);
    if (e)
        say("the archive: %s", fs_error_name(e));
    return !e;
}

static enum fs_error open_path(const char *path, u32 how, struct vfs_file **out)
{
    while (*path == '/')
        path++;
    return mount() ? vfs_open(root, *path ? path : ".", how, 0, out) : E_NOMEM;
}

// A folder that is a program is what that serves (doc/files.md), beside those that it is for: it
// gets the other end of the channel as its handle 0, one that tells of further such channels as its
// handle 1, and its file's name as an argument.
static enum fs_error start_server(const char *path, struct vfs_file **out)
{
    struct program *p = &programs[started];
    const char *args[] = {"server", base_name(path)};
    struct wasi_config config = {.args = args,
                                 .nargs = countof(args),
                                 .out = console_file(CONSOLE_OUT),
                                 .err = console_file(CONSOLE_ERR)};
    struct channel *here, *there, *control, *asked;
    struct error e = {0};
    if (started == TOGETHER)
        return E_MFILE;
    *p = (struct program){.init = path};
    started++;
    if (!archive_file(path, &p->file) || channel_new(&here, &there))
        return E_NOMEM;
    if (channel_new(&control, &asked)) {
        object_release(&here->object);
        object_release(&there->object);
        return E_NOMEM;
    }
    p->job = (struct job){
        .name = args[0],
        .bytes = p->file.bytes,
        .size = p->file.size,
        .wasi = wasi_create(&config),
        .config = {.limits = {.privileges = NEBULET_MAY_ALL & ~NEBULET_MAY_FILES}},
    };
    if (!p->job.wasi || job_load(&p->job, &e) || job_link(&p->job, &e)) {
        struct channel *all[] = {here, there, control, asked};
        for (u32 i = 0; i < countof(all); i++)
            object_release(&all[i]->object);
        return e.code ? (failed(p, &e), E_IO) : E_NOMEM;
    }
    kern_acquire();
    handle_add(&p->job.process->handles, &there->object, HANDLE_ALL_RIGHTS);
    handle_add(&p->job.process->handles, &asked->object, HANDLE_ALL_RIGHTS);
    process_keeps(p->job.process, 1);
    kern_release();
    p->served = *out = folder_on(here, control);
    if (!*out) {
        object_release(&here->object);
        object_release(&control->object);
    }
    return *out ? E_SUCCESS : E_NOMEM;
}

static enum fs_error serve(const char *path, bool read_only, struct vfs_file **out)
{
    for (u32 i = 0; i < started; i++) {
        struct vfs_file *f = programs[i].served;
        if (f && f->read_only == read_only && str_eq(programs[i].init, path)) {
            *out = vfs_ref(f);
            return E_SUCCESS;
        }
    }
    enum fs_error e = start_server(path, out);
    if (!e)
        vfs_ref(*out)->read_only = read_only;
    return e;
}

// GUEST::PATH, cut where the last two colons are.
static enum fs_error add_dir(const struct dir *d, struct wasi_preopen *out)
{
    char *given = d->given;
    char *path = given + strlen(given);
    while (path > given && (path[0] != ':' || path[1] != ':'))
        path--;
    bool whole = path[0] != ':' || path[1] != ':';
    if (!whole)
        *path = 0;
    out->name = given;
    out->own = d->own;
    enum fs_error e = open_path(whole ? "/" : path + 2, VFS_READ | VFS_DIR_ONLY, &out->dir);
    if (!e)
        out->dir->read_only = d->read_only;
    return e == E_NOTDIR ? serve(path + 2, d->read_only, &out->dir) : e;
}

// Those that are open are to be closed, also when one is not.
static bool add_dirs(struct launch *l, struct wasi_preopen *dirs, u32 *n)
{
    enum fs_error e;
    for (u32 i = 0; i < l->dirs.count; i++, ++*n)
        if ((e = add_dir(&l->dirs.at[i], &dirs[i]))) {
            say("dir=%s: %s", l->dirs.at[i].given, fs_error_name(e));
            return false;
        }
    return true;
}

static bool make_wasi(struct program *p, struct launch *l)
{
    VEC(const char *) args = {0};
    char usual[] = "/::/";
    if (!l->dirs.count && !l->no_dirs)
        vec_push(&l->dirs, ((struct dir){usual, false, 0}));
    struct wasi_preopen *dirs = heap_array(l->dirs.count + 1, sizeof *dirs);
    u32 n = 0;
    enum fs_error e = dirs && add_dirs(l, dirs, &n) ? E_SUCCESS : E_NOMEM;
    if (!e && l->stdin_path && (e = open_path(l->stdin_path, VFS_READ, &p->input)))
        say("%s: %s", l->stdin_path, fs_error_name(e));
    vec_push(&args, l->name ? l->name : base_name(l->init));
    for (u32 i = 0; i < l->args.count; i++)
        vec_push(&args, l->args.at[i]);
    struct wasi_config config = {
        .args = args.at,
        .nargs = args.count,
        .env = l->env.at,
        .nenv = l->env.count,
        .in = p->input ? p->input : console_file(CONSOLE_IN),
        .out = console_file(CONSOLE_OUT),
        .err = console_file(CONSOLE_ERR),
        .preopens = dirs,
        .npreopens = n,
        .wait = files_wait,
        .yield = files_yield,
    };
    if (!e && args.count == l->args.count + 1)
        p->job.wasi = wasi_create(&config);
    while (n)
        vfs_close(dirs[--n].dir);
    heap_free(dirs);
    vec_free(&args);
    return p->job.wasi != NULL;
}

static int load(struct program *p, struct launch *l)
{
    struct error e = {0};
    *p = (struct program){.init = l->init};
    if (!program_file(l->init, &p->file))
        return CODE_ERROR;
    p->job = (struct job){
        .name = base_name(l->init),
        .bytes = p->file.bytes,
        .size = p->file.size,
        .config = {.limits = l->limits},
        .trace = l->trace != NULL,
    };
    if (!make_wasi(p, l)) {
        say("cannot set %s up", l->init);
        return CODE_ERROR;
    }
    status s = job_load(&p->job, &e);
    if (!s)
        s = job_link(&p->job, &e);
    if (s && !e.code)
        error_set(&e, s, ERROR_NO_OFFSET, "%s", status_text(s));
    if (!s && l->daemon) {
        p->daemon = true;
        kern_acquire();
        sched_daemon(p->job.process);
        kern_release();
    }
    return s ? failed(p, &e) : CODE_OK;
}

static int begin(struct program *p)
{
    const char *unfit = job_unfit(&p->job);
    if (unfit) {
        say("%s: %s has parameters or results, so it is not the start of a program",
            base_name(p->init), unfit);
        return CODE_ERROR;
    }
    status s = job_begin(&p->job);
    if (s == ERR_NOT_FOUND)
        say("%s exports neither _start nor _initialize", base_name(p->init));
    else if (s)
        say("%s: %s", base_name(p->init), status_text(s));
    return s ? CODE_ERROR : CODE_OK;
}

static void print_stats(const struct process *p, const struct nebulet_info *i)
{
    say("%u %s: cpu %lu us, %lu switches, %lu preemptions, %lu messages sent, %lu received, memory "
        "%lu KiB, kernel %lu bytes",
        i->id, p->name, (unsigned long)(i->cpu_ns / 1000), (unsigned long)i->switches,
        (unsigned long)i->preemptions, (unsigned long)i->sent, (unsigned long)i->received,
        (unsigned long)(i->memory_peak >> 10), (unsigned long)i->kernel_memory);
}

static void print_json(const struct process *p, const struct nebulet_info *i)
{
    char line[JOB_JSON_MAX];
    plat_console_write(line, job_json(p, i, line));
}

static void print_out(const u8 *text, size_t n)
{
    for (u64 done; n; text += done, n -= done) { // nothing else runs that could wait
        struct vfs_iov v = {(u8 *)text, n};
        vfs_write(console_file(CONSOLE_OUT), &v, 1, VFS_HERE, &done);
    }
}

// Those that are to run with the program at hand. Their lists grow and go: the first one's stay,
// for it is judged by what it leaves.
static int load_beside(struct launch *l, struct words *w, int code)
{
    static const struct launch none;
    const struct launch first = *l;
    l->args = none.args, l->env = none.env, l->dirs = none.dirs;
    while (l->more && next_launch(l, w)) {
        if (!code && started == TOGETHER) {
            say("more than %u programs at the same time", TOGETHER);
            code = CODE_ERROR;
        }
        if (!code)
            code = load(&programs[started++], l);
    }
    vec_free(&l->args);
    vec_free(&l->env);
    vec_free(&l->dirs);
    l->args = first.args, l->env = first.env, l->dirs = first.dirs;
    return code;
}

// The program at hand, and those beside it: when one cannot, none does.
static int load_all(struct launch *l, struct words *w)
{
    int code = load(&programs[started++], l);
    if (l->more)
        code = load_beside(l, w, code);
    for (u32 i = 0; i < started && !code; i++)
        code = begin(&programs[i]);
    return code;
}

// `nebulet boot` adds to it what it knows of the source.
static bool tell(struct job *j, const char *text, size_t n)
{
    (void)j;
    if (!console_is_multiplexed() || !sched_self())
        return false;
    files_put(console_file(CONSOLE_TELL), text, n);
    return true;
}

static int run_programs(struct launch *l, struct words *w)
{
    started = 0;
    if (jobs_init(l->engine, plat_cpu_count(), l->trace != NULL,
                  l->stats  ? print_stats
                  : l->json ? print_json
                            : NULL)) {
        say("cannot set the runtime up: out of memory");
        return CODE_ERROR;
    }
    if (l->stack >= STORE_STACK_LEAST && l->stack <= STORE_STACK_MOST)
        store_stack(kern_store(), l->stack);
    jobs_print(console_file(CONSOLE_OUT), console_file(CONSOLE_ERR));
    jobs_tell(tell);
    int code = load_all(l, w);
    for (u32 i = 0; i < started; i++) {
        vfs_close(programs[i].served); // whoever has it besides ends when its programs have
        programs[i].served = NULL;
    }
    if (!first_instruction)
        first_instruction = rdtsc();
    for (u32 i = 0; i < started && code; i++)
        job_stop(&programs[i].job);
    jobs_run();
    for (u32 i = 0; i < started && l->stats; i++) {
        char text[JOB_CHARGED_MAX];
        job_charged(&programs[i].job, text);
        say("%s: charged at most %s", programs[i].job.name, text);
    }
    if (l->stats)
        say("at most %lu KiB of memory in use", (unsigned long)(plat_memory_peak() >> 10));
    for (u32 i = 0; i < started; i++) {
        if (!code && !programs[i].daemon)
            code = programs[i].job.code;
        job_free(&programs[i].job);
        vfs_close(programs[i].input);
    }
    jobs_free();
    return code;
}

// --- Specification scripts

static void report(void *context, u32 line, const char *text)
{
    char buffer[512];
    size_t n = fmt(buffer, sizeof buffer, "%s:%u: %s\n", (const char *)context, line, text);
    print_out((u8 *)buffer, n < sizeof buffer ? n : sizeof buffer - 1);
}

static void run_script(struct launch *l, const char *path, struct script_counts *counts)
{
    struct bundle_file e;
    struct script_options o = {
        .engine = l->engine, .report = report, .context = (void *)base_name(path)};
    status s = archive_file(path, &e) ? script_run(&o, e.bytes, e.size, counts) : ERR_NOT_FOUND;
    if (s == OK)
        return;
    say("%s: the script cannot be run: %s", path, status_text(s));
    counts->failed++;
}

static int run_scripts(struct launch *l)
{
    struct script_counts counts = {0};
    char text[128];
    u32 skipped = 0;
    run_script(l, l->init, &counts);
    for (u32 i = 0; i < l->args.count; i++)
        run_script(l, l->args.at[i], &counts);
    for (u32 i = 0; i < SKIP_COUNT; skipped += counts.skipped[i++])
        if (counts.skipped[i])
            print_out((u8 *)text, fmt(text, sizeof text, "skipped, %s: %u\n",
                                      script_skip_text((enum script_skip)i), counts.skipped[i]));
    print_out((u8 *)text, fmt(text, sizeof text, "%u passed, %u failed, %u skipped\n",
                              counts.passed, counts.failed, skipped));
    return counts.failed ? CODE_ERROR : CODE_OK;
}

// --- All of them

struct usage {
    u64 pages, heap;
};

static struct usage usage_now(void)
{
    return (struct usage){pages_free_count() + vm_kept_pages, heap_used()};
}

static void run_next(struct launch *l, struct words *w)
{
    struct usage before = usage_now();
    memory_refuse(l->refuse, l->refuse_all);
    int code = l->wast ? run_scripts(l) : run_programs(l, w);
    memory_refuse(0, false);
    if (root && !l->keep) {
        vfs_close(root);
        root = NULL;
    }
    struct usage now = usage_now();
    if (!l->keep && (now.pages != before.pages || now.heap != before.heap))
        pc_panic(NULL, "%s has left %ld pages and %ld bytes of heap behind", l->init,
                 (long)(before.pages - now.pages), (long)(now.heap - before.heap));
    if (l->verbose)
        say("%s: exit code %d; %lu pages free before and %lu after", l->init, code,
            (unsigned long)before.pages, (unsigned long)now.pages);
    if (code)
        last_failure = (u8)code;
    console_ended((u8)code);
}

static void print_stamps(void)
{
    say("ticks since entry: paging %lu, first wasm instruction %lu, exit %lu",
        (unsigned long)(boot.paging_tsc - boot.entry_tsc),
        (unsigned long)(first_instruction - boot.entry_tsc),
        (unsigned long)(rdtsc() - boot.entry_tsc));
    say("%u CPUs; %lu pages free, %lu bytes of heap in use", plat_cpu_count(),
        (unsigned long)pages_free_count(), (unsigned long)heap_used());
}

void kernel_main(void)
{
    static struct launch l = {.engine = &fast_engine, .limits = {.privileges = NEBULET_MAY_USUAL}};
    size_t n = strlen(boot.command_line);
    char *line = heap_alloc(n + 1);
    if (!line || rt_init())
        pc_panic(NULL, "no memory");
    memcpy(line, boot.command_line, n + 1);
    struct words w = {line, line + n, false, NULL, 0};
    u32 count = 0;
    vec_reserve(&l.dirs, 1); // or the first program would seem to have left it behind
    for (; next_launch(&l, &w); count++)
        run_next(&l, &w);
    if (!count && is_module()) {
        l.init = "/app.wasm";
        run_next(&l, &w);
    } else if (!count) {
        say("nothing to run: the command line names no init=FILE");
        last_failure = CODE_USAGE;
    }
    if (l.verbose)
        print_stamps();
    plat_exit(last_failure);
}
