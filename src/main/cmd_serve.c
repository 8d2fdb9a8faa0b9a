// SPDX-License-Identifier: MIT
// nebulet serve: programs behind HTTP.
//
// What serves is a program like any other, user/svc/http, and gets what it needs and nothing else:
// listeners, the modules of its routes, compiled here so that what is wrong with one is said before
// anybody is served, and folders. All of that is the first message on its handle 0 (doc/serve.md),
// a text and handles; a signal there asks it to end, and further messages, after SIGHUP, say anew
// what is served.
#include <errno.h>
#include <semaphore.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "abi/wait_files.h"
#include "kern/sched.h"
#include "main/archive.h"
#include "main/folder.h"
#include "main/guest.h"
#include "main/host.h"
#include "main/job.h"
#include "main/listen.h"
#include "main/machine.h"
#include "main/net.h"
#include "main/network.h"
#include "main/serve.h"
#include "main/snapshot.h"
#include "main/tracing.h"
#include "main/worker.h"
#include "plat/linux/hostfs.h"
#include "plat/linux/linux.h"
#include "plat/plat.h"

#define HTTP "http.wasm"
enum {
    END = 1 << 24, // the signal that asks the server to end
    HANDLERS = 64,
    QUEUE = 1000,
    CONNECTIONS = 10000,
    CONNECTIONS_MAX = 200000,
    BESIDE = 5000, // threads: those of routes, of metrics, the log's
};

static int bell = -1;

static bool out_of_memory(void)
{
    complain("out of memory");
    return false;
}

// --- What the server is told: lines of a word and a value.

__attribute__((format(printf, 2, 3))) static void tell(struct told *t, const char *format, ...)
{
    char *line;
    va_list args;
    va_start(args, format);
    int n = vasprintf(&line, format, args);
    va_end(args);
    for (int i = 0; i < n; i++)
        t->failed |= !vec_push(&t->text, line[i]);
    t->failed |= n < 0 || !vec_push(&t->text, '\n');
    if (n >= 0)
        free(line);
}

static bool one_line(const char *what, const char *text)
{
    if (!strchr(text, '\n'))
        return true;
    complain("%s: a value has no line ends here", what);
    return false;
}

static void give(struct told *t, struct object *o)
{
    if (vec_push(&t->handles, ((struct sent_handle){o, HANDLE_ALL_RIGHTS})))
        object_ref(o);
    else
        t->failed = true;
}

static void free_told(struct told *t)
{
    for (u32 i = 0; i < t->handles.count; i++)
        object_release(t->handles.at[i].object);
    vec_free(&t->handles);
    vec_free(&t->text);
}

// --- Routes

// A module; one that can be started once and for all is, and then begins there.
static bool load_module(struct serve *s, const char *name, struct file *file,
                        struct module_object **out)
{
    struct error e = {0};
    static const char initialize[] = SNAPSHOT_INITIALIZE;
    if (!file_read(name, file))
        return false;
    if (module_new(file->bytes, file->size, true, out, &e)) {
        complain_module(file, &e);
        file_free(file);
        return false;
    }
    if (!module_export((*out)->module->m, initialize, strlen(initialize)))
        return true;
    object_release(&(*out)->object);
    file_free(file);
    if (!snapshot_file(s->o, name, file))
        return false;
    if (!module_new(file->bytes, file->size, true, out, &e))
        return true;
    complain_module(file, &e);
    file_free(file);
    return false;
}

static bool add_module(struct serve *s, const char *path, const char *name, const char *how)
{
    struct file file;
    struct module_object *m;
    bool done = true;
    if (!load_module(s, name, &file, &m))
        return false;
    if (!m->start) {
        complain(
            "%s exports no _start: a handler is a program (WASI), which is run for each request",
            name);
        done = false;
    } else {
        if (s->archive)
            tell(&s->told, "module /serve/%u.wasm", ++s->modules);
        tell(&s->told, "%s %s", how, path);
        tell(&s->told, "name %s", file_base_name(name));
        if (s->archive)
            done = serve_boot_module(s->archive, s->modules, &file);
        else
            give(&s->told, &m->object);
    }
    object_release(&m->object);
    file_free(&file);
    return done;
}

// In a machine it is a device.
static bool share(struct serve *s, struct wasi_preopen p, const char *folder)
{
    struct folder f = {
        .dir = p.dir, .host = strdup(folder), .guest = strdup(p.name), .how = FOLDER_READ};
    if (!f.host || !f.guest || !vec_push(&s->shared.all, f)) {
        free(f.host);
        free(f.guest);
        return out_of_memory();
    }
    vfs_ref(p.dir);
    return true;
}

static bool add_files(struct serve *s, const char *path, const char *folder, const char *how)
{
    struct wasi_preopen p = {.own = 1};
    enum fs_error e = hostfs_open(folder, false, &p.dir);
    if (e) {
        complain("--files %s=%s: %s", path, folder, fs_error_text(e));
        return false;
    }
    char *name;
    if (asprintf(&name, "/files/%u", s->folders.count) < 0)
        name = NULL;
    p.name = name;
    if (!name || !vec_push(&s->folders, p)) {
        vfs_close(p.dir);
        free(name);
        return out_of_memory();
    }
    tell(&s->told, "%s %s", how, path);
    tell(&s->told, "name %s", name);
    return !s->archive || share(s, p, folder);
}

// PATH=WHAT, or WHAT for all paths.
static bool add_route(struct serve *s, const char *option, const char *how, const char *given,
                      bool (*add)(struct serve *s, const char *path, const char *what,
                                  const char *how))
{
    const char *equals = *given == '/' ? strchr(given, '=') : NULL;
    char *path = equals ? strndup(given, (size_t)(equals - given)) : strdup("/");
    const char *what = equals ? equals + 1 : given;
    bool done = path && one_line(option, given);
    if (done && strpbrk(path, " ?#%\t\r")) {
        complain("%s %s: a path is written without spaces, and as it is after decoding", option,
                 given);
        done = false;
    }
    done = done && add(s, path, what, how);
    free(path);
    return done;
}

static bool add_routes(struct serve *s)
{
    const struct options *o = s->o;
    for (u32 i = 0; i < o->env.count; i++) {
        const char *given = o->env.at[i], *value = strchr(given, '=') ? "" : getenv(given);
        if (!one_line("--env", given) || (value && !one_line("--env", value)))
            return false;
        if (value)
            tell(&s->told, "env %s%s%s", given, strchr(given, '=') ? "" : "=", value);
    }
    for (u32 i = 0; i < o->routes.count; i++)
        if (!add_route(s, "--route", "cgi", o->routes.at[i], add_module))
            return false;
    for (u32 i = 0; i < o->stream_routes.count; i++)
        if (!add_route(s, "--stream", "stream", o->stream_routes.at[i], add_module))
            return false;
    for (u32 i = 0; i < o->files.count; i++)
        if (!add_route(s, "--files", "files", o->files.at[i], add_files))
            return false;
    return o->argc == 0 ||
           add_route(s, "FILE", o->resident ? "stream" : "cgi", o->argv[0], add_module);
}

static bool add_folders(struct serve *s)
{
    struct folders given = {0};
    if (s->archive) // behind those of --files
        return folders_open(&s->shared, s->o);
    bool done = folders_open(&given, s->o) && folders_copy(&given);
    for (u32 i = 0; done && i < given.all.count; i++) {
        struct folder *f = &given.all.at[i];
        struct wasi_preopen pre = {.dir = f->dir, .name = strdup(f->guest)};
        if ((done = pre.name && vec_push(&s->folders, pre)))
            vfs_ref(f->dir);
        else
            free((char *)pre.name), out_of_memory();
    }
    folders_free(&given);
    return done;
}

// --- Listeners

static u64 server_count(const struct options *o)
{
    return o->servers && !o->boot ? o->servers : 1;
}

static bool open_listeners(struct serve *s)
{
    const struct options *o = s->o;
    for (u32 i = 0; i < o->listen.count; i++)
        if (!listeners_add(&s->listeners, o->listen.at[i]))
            return false;
    if (!o->listen.count && !s->worker && !listeners_add(&s->listeners, "tcp:127.0.0.1:8080"))
        return false;
    s->metrics = s->listeners.all.count;
    if (o->metrics && !listeners_add(&s->listeners, o->metrics))
        return false;
    for (u32 i = 0; i < s->listeners.all.count; i++)
        if (s->listeners.all.at[i].datagrams) {
            complain("--listen inherited: HTTP comes by connections");
            return false;
        }
    return true;
}

static const char *word_of(const struct serve *s, u32 listener)
{
    return listener < s->metrics ? "listen" : "metrics";
}

// To a machine, by its ports.
static void tell_ports(struct serve *s)
{
    for (u32 i = 0; i < s->listeners.all.count; i++) {
        char text[SOCKET_TEXT];
        socket_print(&s->listeners.all.at[i].address, text);
        tell(&s->told, "port %u", SERVE_PORT + i);
        tell(&s->told, "%s %s", word_of(s, i), text);
    }
}

// Servers accept from the same sockets: who has the time takes a connection.
static bool give_listeners(const struct serve *s, struct told *t, bool metrics)
{
    u32 count = metrics ? s->listeners.all.count : s->metrics;
    for (u32 i = 0; i < count; i++) {
        struct channel *c;
        char text[SOCKET_TEXT];
        const struct listener *l = &s->listeners.all.at[i];
        enum fs_error e = net_listener(l->file, &c);
        if (e) {
            complain("a listener: %s", fs_error_text(e));
            return false;
        }
        socket_print(&l->address, text);
        tell(t, "%s %s", word_of(s, i), text);
        give(t, &c->object);
        object_release(&c->object);
    }
    return true;
}

// A worker's connections are there before anybody asks for one.
static bool give_worker(const struct serve *s, struct told *t, u32 server)
{
    struct channel *connections, *more;
    if (!s->worker)
        return true;
    if (!worker_attach(s->worker, server, server_count(s->o), &connections, &more))
        return false;
    tell(t, "listen messages");
    give(t, &connections->object);
    object_release(&connections->object);
    if (more) {
        tell(t, "more 1");
        give(t, &more->object);
        object_release(&more->object);
    }
    return true;
}

// In a machine by who serves there.
static void announce(struct serve *s)
{
    for (u32 i = 0; i < s->listeners.all.count; i++) {
        char text[SOCKET_TEXT], line[SOCKET_TEXT + 64];
        socket_print(&s->listeners.all.at[i].address, text);
        snprintf(line, sizeof line,
                 i < s->metrics ? "serving at http://%s/" : "serving metrics at http://%s/metrics",
                 text);
        if (s->archive)
            tell(&s->told, "say nebulet: %s", line);
        else
            complain("%s", line);
    }
}

// --- The server

// Of what all may have together, each has its part.
static u64 part(const struct options *o, u64 given, u64 usual)
{
    u64 n = server_count(o);
    return n == 1 ? given : ((given ? given : usual) + n - 1) / n;
}

static void tell_limits(struct serve *s)
{
    const struct options *o = s->o;
    const struct {
        const char *word;
        u64 value;
    } limits[] = {{"memory", o->max_memory},
                  {"time", o->max_time},
                  {"cpu", o->max_cpu},
                  {"handlers", part(o, o->max_processes, HANDLERS)},
                  {"queue", part(o, o->queue, QUEUE)},
                  {"connections", part(o, o->max_connections, CONNECTIONS)},
                  {"body", o->max_body},
                  {"grace", o->grace},
                  {"idle", o->idle},
                  {"errors", o->max_log},
                  {"folders", o->dirs.count + o->disks.count},
                  {"network", o->allow_net.count}};
    for (u32 i = 0; i < countof(limits); i++)
        if (limits[i].value)
            tell(&s->told, "%s %llu", limits[i].word, (unsigned long long)limits[i].value);
    if (s->worker)
        tell(&s->told, "plain 1");
    tell(&s->told, "log %s", o->log ? o->log : "common");
}

static bool find_http(struct serve *s)
{
    char path[4096];
    const char *name = getenv("NEBULET_HTTP");
    if (name)
        return file_read(name, &s->http);
    return machine_find(HTTP, "build it with make userspace", path, sizeof path) &&
           file_read(path, &s->http);
}

static bool load_server(struct serve *s, struct server *h)
{
    struct error e = {0};
    u64 connections = part(s->o, s->o->max_connections, CONNECTIONS);
    connections = connections ? connections : CONNECTIONS;
    u32 threads = (u32)(connections < CONNECTIONS_MAX ? connections : CONNECTIONS_MAX) + BESIDE;
    h->job = (struct job){
        .name = "http",
        .bytes = s->http.bytes,
        .size = s->http.size,
        .config = {.limits = {.privileges =
                                  NEBULET_MAY_SPAWN | NEBULET_MAY_PRINT | NEBULET_MAY_FILES |
                                  (s->o->allow_net.count ? NEBULET_MAY_CONNECT : 0), // handlers'

                              .threads = threads,
                              .handles = 4 * threads}},
        .trace = s->o->trace != NULL,
    };
    if (!job_load(&h->job, &e))
        return true;
    complain_module(&s->http, &e);
    return false;
}

static bool load_servers(struct serve *s)
{
    u32 n = (u32)server_count(s->o);
    if (!find_http(s))
        return false;
    if (!(s->servers = calloc(n, sizeof *s->servers)))
        return out_of_memory();
    for (s->nservers = n; n; n--)
        if (!load_server(s, &s->servers[n - 1]))
            return false;
    return true;
}

static struct wasi *http_wasi(const struct serve *s)
{
    struct wasi *w = NULL;
    struct vfs_file *streams[3];
    bool all = true;
    const char *args[] = {"http"};
    for (int i = 0; i < 3; i++)
        all &= (streams[i] = hostfs_adopt(i)) != NULL;
    struct wasi_config config = {.args = args,
                                 .nargs = 1,
                                 .out = streams[1],
                                 .err = streams[2],
                                 .preopens = s->folders.at,
                                 .npreopens = s->folders.count,
                                 .wait = files_wait,
                                 .yield = files_yield};
    if (!all || !(w = wasi_create(&config)))
        out_of_memory();
    for (int i = 0; i < 3; i++)
        vfs_close(streams[i]);
    return w;
}

// What is told to all, and what this one is told beside.
static bool send_all(const struct serve *s, struct server *h, struct told *t)
{
    for (u32 i = 0; i < s->told.text.count; i++)
        t->failed |= !vec_push(&t->text, s->told.text.at[i]);
    for (u32 i = 0; i < s->told.handles.count; i++)
        give(t, s->told.handles.at[i].object);
    if (t->failed || s->told.failed)
        return out_of_memory();
    if (t->text.count > NEBULET_MESSAGE_MAX || t->handles.count > NEBULET_MESSAGE_HANDLES) {
        complain("too many routes");
        return false;
    }
    kern_acquire();
    status e = channel_push(h->theirs, (const u8 *)t->text.at, t->text.count, t->handles.at,
                            t->handles.count);
    if (!e)
        t->handles.count = 0;
    kern_release();
    return !e || out_of_memory();
}

static bool start_server(struct serve *s, struct server *h, struct told *t)
{
    struct error e = {0};
    if (!(h->job.wasi = http_wasi(s)))
        return false;
    status failed = job_link(&h->job, &e);
    if (failed) {
        complain(HTTP ": %s", *e.text ? e.text : status_text(failed));
        return false;
    }
    if (channel_new(&h->ours, &h->theirs) || handles_reserve(&h->job.process->handles, 1))
        return out_of_memory();
    if (!give_listeners(s, t, h == s->servers) || !give_worker(s, t, (u32)(h - s->servers)) ||
        !send_all(s, h, t))
        return false;
    kern_acquire();
    object_ref(&h->theirs->object); // for the bell
    handle_add(&h->job.process->handles, &h->theirs->object, HANDLE_ALL_RIGHTS);
    kern_release();
    return !job_begin(&h->job) || out_of_memory();
}

// The first one asks the others what they have counted.
static bool start_servers(struct serve *s)
{
    struct told first = {0};
    bool done = true;
    for (u32 i = 1; i < s->nservers && done; i++) {
        struct channel *ask, *tells;
        struct told t = {0};
        if (channel_new(&ask, &tells)) {
            done = out_of_memory();
            break;
        }
        tell(&first, "other %u", i);
        give(&first, &ask->object);
        tell(&t, "counts %u", i);
        give(&t, &tells->object);
        object_release(&ask->object);
        object_release(&tells->object);
        done = start_server(s, &s->servers[i], &t);
        free_told(&t);
    }
    done = done && start_server(s, &s->servers[0], &first);
    free_told(&first);
    return done;
}

// --- The end

static void on_signal(int number)
{
    int error = errno;
    (void)number;
    if (write(bell, &(u64){1}, 8) < 0)
        errno = error;
    errno = error;
}

static void on_bell(struct socket_source *source, u32 events)
{
    struct serve *s = container_of(source, struct serve, bell);
    if (!(events & SOCKET_READABLE) || (s->worker && !worker_over(s->worker)))
        return;
    spin_acquire(&rt_switch_lock); // as in net.c
    for (u32 i = 0; i < s->nservers; i++)
        object_set(&s->servers[i].theirs->object, END);
    spin_release(&rt_switch_lock);
}

static bool hang_bell(struct serve *s)
{
    enum fs_error e = socket_bell(&bell, &s->bell_file);
    s->bell.ready = on_bell;
    if (!e)
        e = socket_attach(s->bell_file, &s->bell);
    if (e) {
        complain("cannot wait for signals: %s", fs_error_text(e));
        return false;
    }
    struct sigaction action = {.sa_handler = on_signal, .sa_flags = SA_RESTART};
    sigaction(SIGTERM, &action, NULL);
    sigaction(SIGINT, &action, NULL);
    signal(SIGPIPE, SIG_IGN);
    return true;
}

static void free_sites(struct serve *s)
{
    for (u32 i = 0; i < s->folders.count; i++) {
        vfs_close(s->folders.at[i].dir);
        free((char *)s->folders.at[i].name);
    }
    folders_free(&s->shared);
    vec_free(&s->folders);
    free_told(&s->told);
}

static void take_apart(struct serve *s)
{
    for (u32 i = 0; i < s->nservers; i++) {
        struct server *h = &s->servers[i];
        if (h->ours)
            object_release(&h->ours->object);
        if (h->theirs)
            object_release(&h->theirs->object);
        job_free(&h->job);
    }
    free(s->servers);
    file_free(&s->http);
    listeners_free(&s->listeners);
    free_sites(s);
}

// --- A reload: what is served is read anew, compiled beside what is served, and told. A CPU of its
// own does that, on which nothing else runs, so nobody waits for it.

static sem_t wanted, over;
static volatile bool ending;

static void on_hangup(int number)
{
    (void)number;
    sem_post(&wanted);
}

static void reload(struct serve *s)
{
    struct serve anew = {.o = s->o, .worker = s->worker};
    bool done = add_routes(&anew);
    if (done)
        tell_limits(&anew);
    for (u32 i = 0; i < s->nservers && done; i++) {
        struct told t = {0};
        done = send_all(&anew, &s->servers[i], &t);
        free_told(&t);
    }
    if (!done)
        complain("reload: what was served is served on");
    free_sites(&anew);
}

// Who asks several times while one is under way gets one more: it begins after all of them.
static void reload_when_wanted(void *serve)
{
    sched_visit();
    while (!ending) {
        if (sem_wait(&wanted))
            continue;
        while (!sem_trywait(&wanted))
            ;
        if (!ending)
            reload(serve);
    }
    sem_post(&over);
}

// Before anything is read, so that whoever asks early is not the end of us.
static void note_hangups(void)
{
    struct sigaction action = {.sa_handler = on_hangup, .sa_flags = SA_RESTART};
    if (!sem_init(&wanted, 0, 0))
        sigaction(SIGHUP, &action, NULL);
}

static bool hang_on(struct serve *s)
{
    if (!sem_init(&over, 0, 0) && !plat_cpu_start(CPUS_MAX - 1, reload_when_wanted, s))
        return true;
    complain("cannot start a thread");
    return false;
}

// One that is under way need not come to its end: it may want to say something that nobody takes.
// False: it has something in hand still, so nothing may be taken apart.
static bool hang_off(void)
{
    enum { PATIENCE_S = 1 };
    struct timespec until;
    signal(SIGHUP, SIG_IGN);
    ending = true;
    sem_post(&wanted);
    clock_gettime(CLOCK_REALTIME, &until);
    until.tv_sec += PATIENCE_S;
    int e;
    while ((e = sem_timedwait(&over, &until)) && errno == EINTR)
        ;
    return !e;
}

static void stop(struct serve *s)
{
    for (u32 i = 0; i < s->nservers; i++)
        job_stop(&s->servers[i].job);
    jobs_run();
}

static int code_of(const struct serve *s)
{
    int code = EXIT_SUCCESS;
    for (u32 i = 0; i < s->nservers && !code; i++)
        code = s->servers[i].job.code;
    return code;
}

static int serve_all(struct serve *s)
{
    if (!s->archive)
        note_hangups();
    bool ready =
        add_routes(s) && add_folders(s) && (s->archive || load_servers(s)) && open_listeners(s);
    if (ready)
        tell_limits(s);
    if (ready && s->archive) {
        tell_ports(s);
        announce(s);
        return s->told.failed ? (out_of_memory(), EXIT_ERROR) : serve_boot(s);
    }
    if (!ready || !start_servers(s) || !hang_bell(s)) {
        stop(s);
        return EXIT_ERROR;
    }
    bool reloads = hang_on(s), begun = !s->worker || worker_begin(s->worker, bell);
    if (!begun)
        on_signal(0);
    announce(s);
    jobs_run();
    if (reloads && !hang_off())
        _exit(begun ? code_of(s) : EXIT_ERROR);
    return begun ? code_of(s) : EXIT_ERROR;
}

static bool has_inherited(const struct options *o)
{
    for (u32 i = 0; i < o->listen.count; i++)
        if (str_eq(o->listen.at[i], "inherited"))
            return true;
    return false;
}

enum { BOOT_LISTENERS = 16, BOOT_RULES = 63, SERVERS_MAX = 16 }; // of user/svc/net and http

static bool sensible(const struct options *o)
{
    static const char *const formats[] = {"common", "json", "none"};
    bool known = !o->log;
    for (u32 i = 0; i < countof(formats) && !known; i++)
        known = str_eq(o->log, formats[i]);
    if (!known)
        complain("--log %s: there are common, json and none", o->log);
    else if (o->argc > 1)
        complain("serve takes one FILE; more are for --route PATH=FILE");
    else if (!o->boot && o->disks.count)
        complain("--disk: disks are of machines: with --boot; here there is --dir");
    else if (o->boot && o->listen.count + !!o->metrics > BOOT_LISTENERS)
        complain("--boot: a machine listens at %d addresses at most", BOOT_LISTENERS);
    else if (o->boot && o->allow_net.count > BOOT_RULES)
        complain("--boot: --allow-net: %d rules at most", BOOT_RULES);
    else if (o->boot && o->servers > 1)
        complain("--boot: there is one server");
    else if (o->servers > SERVERS_MAX)
        complain("--servers: %d at most", SERVERS_MAX);
    else if (o->boot && has_inherited(o))
        complain("--boot: sockets of this system cannot be given to a machine");
    else if (!o->argc && !o->routes.count && !o->stream_routes.count && !o->files.count)
        complain("nothing to serve: name a FILE, --route, --stream or --files");
    else
        return true;
    hint("nebulet help serve");
    return false;
}

int cmd_serve(struct options *o)
{
    int code = !sensible(o) ? EXIT_USAGE : o->boot ? network_check(o) : EXIT_OK;
    return code ? code : serve(o, NULL);
}

int serve(const struct options *o, struct worker *w)
{
    struct serve s = {.o = o, .worker = w};
    struct archive a = {.fd = -1};
    if (!tracing_begin(o))
        return EXIT_ERROR;
    if (o->boot) {
        s.archive = &a;
        archive_start(&a);
    }
    socket_many();
    u32 cpus = o->cpus ? (u32)o->cpus : plat_cpu_count();
    if (jobs_init(o->engine, cpus < WORKER_CPU ? cpus : WORKER_CPU, o->trace != NULL, NULL))
        return complain_setup();
    struct vfs_file *out = hostfs_adopt(1), *err = hostfs_adopt(2);
    if (!out || !err)
        return complain_setup();
    jobs_print(out, err);
    struct network network = {0};
    int code = o->boot ? EXIT_OK : network_begin(&network, o);
    if (!code)
        code = serve_all(&s);
    if (network.job.process)
        job_stop(&network.job); // should nothing else have been run
    jobs_run();
    network_free(&network);
    take_apart(&s);
    archive_free(&a);
    jobs_free();
    vfs_close(out);
    vfs_close(err);
    tracing_end();
    return code;
}
