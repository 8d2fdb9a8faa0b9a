// SPDX-License-Identifier: MIT
// The server of HTTP: what it is told to serve, its listeners and threads, and its end.
//
// All that it has comes in the first message on handle 0, from whoever starts it: lines of a word
// and a value (doc/serve.md), and a handle for each listener and each module, in the order of the
// lines that name them. A further message takes the place of the first, but for listeners: no
// connection notices. A signal there, or its end, asks it to end: no connection is accepted any
// more, those that idle are closed, and what was begun is answered.
//
// Threads stand in line for connections: one accepts, the others wait for its place. Who accepts
// sees to it that there is another. So there is always one that accepts, until there are as many
// connections as may be.
#include "http.h"

#include <stdlib.h>
#include <string.h>
#include <wasi/api.h>

enum { STACK = 16384, LISTENERS_MAX = 16 };

struct server server;

struct port {
    nebulet_handle listener;
    bool metrics;
    struct sip_mutex turn; // to accept
    struct sip_mutex lock;
    uint32_t threads, idle, most;
};
static struct port ports[LISTENERS_MAX];
static uint32_t port_count;

static int32_t work(void *arg);

// --- What it is told

static struct {
    struct site *served, *old; // old: for the thread of reload() alone
} sites;

// A turn ends in a loop or a call, and there is none: so these need no lock.
struct site *site_take(void)
{
    struct site *s = sites.served;
    s->users++;
    return s;
}

void site_drop(struct site *s)
{
    s->users--;
}

// A message that is being read. What is wrong with it is said once, and nothing of it counts.
struct told {
    struct site *site;
    struct route *last;
    nebulet_handle handles[NEBULET_MESSAGE_HANDLES];
    uint32_t used, count;
    bool wrong;
};

SIP_PRINTF(2, 3) static void wrong(struct told *t, const char *format, ...)
{
    char line[200];
    va_list list;
    va_start(list, format);
    sip_format_list(line, sizeof line, format, list);
    va_end(list);
    if (!t->wrong)
        log_error("http: %s", line);
    t->wrong = true;
}

static nebulet_handle next_handle(struct told *t)
{
    if (t->used < t->count)
        return t->handles[t->used++];
    wrong(t, "a handle is missing");
    return NEBULET_NO_HANDLE;
}

static void add_port(struct told *t, bool metrics)
{
    if (sites.served || port_count == LISTENERS_MAX)
        wrong(t, sites.served ? "listeners stay what they are" : "too many listeners");
    else
        ports[port_count++] = (struct port){.listener = next_handle(t), .metrics = metrics};
}

// Longer paths before shorter ones, so that the first that fits is the best; of two that are the
// same the earlier one.
static void add_route(struct told *t, enum route_kind kind, const char *path)
{
    struct route *r = calloc(1, sizeof *r), **at = &t->site->routes;
    size_t n = strlen(path);
    if (!(t->last = r)) {
        wrong(t, "out of memory");
        return;
    }
    while (n && path[n - 1] == '/')
        n--;
    *r = (struct route){.site = t->site,
                        .path = path,
                        .length = n,
                        .kind = kind,
                        .name = "",
                        .module = NEBULET_NO_HANDLE,
                        .log = NEBULET_NO_HANDLE,
                        .copier.from = NEBULET_NO_HANDLE};
    while (*at && (*at)->length >= n)
        at = &(*at)->next;
    r->next = *at;
    *at = r;
    if (kind != ROUTE_FILES)
        r->module = next_handle(t);
}

static int find_folder(struct told *t, const char *name)
{
    __wasi_prestat_t stat;
    char found[64];
    for (int fd = 3; !__wasi_fd_prestat_get(fd, &stat); fd++) {
        size_t n = stat.u.dir.pr_name_len;
        if (n < sizeof found && !__wasi_fd_prestat_dir_name(fd, (uint8_t *)found, n) &&
            n == strlen(name) && !memcmp(found, name, n))
            return fd;
    }
    wrong(t, "there is no folder %s", name);
    return -1;
}

static void add_variable(struct told *t, const char *value)
{
    struct site *s = t->site;
    size_t n = strlen(value) + 1;
    char *more = realloc(s->environment, s->environment_size + n);
    if (!more) {
        wrong(t, "out of memory");
        return;
    }
    memcpy(more + s->environment_size, value, n);
    s->environment = more;
    s->environment_size += n;
}

static uint64_t number(struct told *t, const char *value)
{
    uint64_t n;
    if (!text_number((struct text){value, strlen(value)}, &n))
        wrong(t, "%s is no number", value);
    return n;
}

static void take_line(struct told *t, const char *word, const char *value)
{
    struct site *s = t->site;
    if (!strcmp(word, "listen") || !strcmp(word, "metrics"))
        add_port(t, *word == 'm');
    else if (!strcmp(word, "other"))
        t->wrong |= !others_add(next_handle(t));
    else if (!strcmp(word, "counts"))
        t->wrong |= !others_answer(next_handle(t));
    else if (!strcmp(word, "more"))
        server.more = next_handle(t);
    else if (!strcmp(word, "cgi"))
        add_route(t, ROUTE_CGI, value);
    else if (!strcmp(word, "stream"))
        add_route(t, ROUTE_STREAM, value);
    else if (!strcmp(word, "files"))
        add_route(t, ROUTE_FILES, value);
    else if (!strcmp(word, "name") && t->last)
        t->last->name = value;
    else if (!strcmp(word, "env"))
        add_variable(t, value);
    else if (!strcmp(word, "memory"))
        s->limits.memory = number(t, value);
    else if (!strcmp(word, "time"))
        s->limits.wall_ns = number(t, value);
    else if (!strcmp(word, "cpu"))
        s->limits.cpu_ns = number(t, value);
    else if (!strcmp(word, "handlers"))
        s->handlers = (uint32_t)number(t, value);
    else if (!strcmp(word, "queue"))
        s->queue = (uint32_t)number(t, value);
    else if (!strcmp(word, "plain"))
        s->plain = number(t, value) != 0;
    else if (!strcmp(word, "connections"))
        server.connections_max = (uint32_t)number(t, value);
    else if (!strcmp(word, "body"))
        server.body_max = number(t, value);
    else if (!strcmp(word, "idle"))
        server.idle_ns = number(t, value);
    else if (!strcmp(word, "grace"))
        server.grace_ns = number(t, value);
    else if (!strcmp(word, "errors"))
        server.log_max = number(t, value);
    else if (!strcmp(word, "folders"))
        s->limits.privileges |= NEBULET_MAY_FILES;
    else if (!strcmp(word, "network"))
        s->limits.privileges |= NEBULET_MAY_CONNECT;
    else if (!strcmp(word, "log"))
        server.log = !strcmp(value, "json")   ? LOG_JSON
                     : !strcmp(value, "none") ? LOG_NONE
                                              : LOG_COMMON;
    else
        wrong(t, "%s %s: not understood", word, value);
}

static void take_lines(struct told *t)
{
    for (char *line = t->site->text, *end; (end = strchr(line, '\n')); line = end + 1) {
        char *value = strchr(line, ' ');
        *end = 0;
        if (value && value < end) {
            *value++ = 0;
            take_line(t, line, value);
        } else {
            wrong(t, "%s: not understood", line);
        }
    }
}

// --- A site

static void close_one(nebulet_handle *h)
{
    if (*h != NEBULET_NO_HANDLE)
        sip_close(*h);
    *h = NEBULET_NO_HANDLE;
}

static void start_route(struct told *t, struct route *r)
{
    nebulet_handle ends[2];
    if (r->kind == ROUTE_FILES) {
        r->folder = find_folder(t, r->name);
        return;
    }
    r->options = t->site->limits;
    sip_format(r->options.name, sizeof r->options.name, "%s", r->name);
    r->name_size = (uint32_t)strlen(r->name) + 1;
    if (r->kind == ROUTE_STREAM) // it stays
        r->options.cpu_ns = r->options.wall_ns = 0;
    r->slots.most = t->site->handlers;
    r->slots.queue = t->site->queue;
    r->slots.last = &r->slots.first;
    if (sip_stream(ends) < 0) {
        wrong(t, "a stream cannot be made");
        return;
    }
    r->log = ends[0];
    r->copier = (struct log_copier){r->name, ends[1], &r->requests};
    if (sip_thread_start(&r->copying, log_copy, &r->copier, STACK) < 0) {
        close_one(&r->log);
        close_one(&r->copier.from);
        wrong(t, "a thread cannot be started");
    }
}

// Nobody uses it, and its handlers are over.
static void free_site(struct site *s)
{
    for (struct route *r; (r = s->routes);) {
        s->routes = r->next;
        resident_drop(r->resident);
        close_one(&r->module);
        if (r->log != NEBULET_NO_HANDLE) {
            close_one(&r->log);
            sip_thread_join(&r->copying, NULL);
            close_one(&r->copier.from);
        }
        free(r);
    }
    free(s->environment);
    free(s->text);
    free(s);
}

// Of handlers that are over, all that they wrote is told. Those that stay may have more to say.
void site_hush(void)
{
    for (struct route *r = site_take()->routes; r; r = r->next)
        if (r->kind == ROUTE_CGI && r->log != NEBULET_NO_HANDLE) {
            close_one(&r->log);
            sip_thread_join(&r->copying, NULL);
        }
}

// NULL, after a message: there is something wrong with it.
static struct site *receive_site(void)
{
    struct nebulet_message got;
    static uint64_t number;
    struct told t = {.site = calloc(1, sizeof(struct site))};
    if (!t.site || !(t.site->text = malloc(NEBULET_MESSAGE_MAX + 1)))
        sip_panic("http: out of memory");
    t.site->limits = (struct nebulet_options){
        .memory = 64 << 20, .cpu_ns = 10 * SIP_SECOND, .wall_ns = 30 * SIP_SECOND, .processes = 1};
    t.site->number = ++number;
    t.site->handlers = 64;
    t.site->queue = 1000;
    t.site->users = 1;
    int64_t n = nebulet_channel_recv(0, t.site->text, NEBULET_MESSAGE_MAX, t.handles,
                                     NEBULET_MESSAGE_HANDLES, &got, NEBULET_FOREVER);
    if (n < 0) {
        wrong(&t, "what to serve: %s", sip_error_text(n));
        n = 0;
    } else {
        t.count = got.handles;
    }
    t.site->text[n] = 0;
    take_lines(&t);
    for (struct route *r = t.site->routes; r; r = r->next)
        start_route(&t, r);
    while (t.used < t.count)
        sip_close(t.handles[t.used++]);
    if (!t.wrong)
        return t.site;
    free_site(t.site);
    return NULL;
}

// What was counted of a path goes on.
static void take_counts(struct site *s, const struct site *from)
{
    for (struct route *r = s->routes; r; r = r->next)
        for (const struct route *q = from->routes; q; q = q->next)
            if (r->length == q->length && !memcmp(r->path, q->path, r->length)) {
                r->requests = q->requests;
                r->failures = q->failures;
            }
}

static void start_log(void)
{
    static struct sip_thread t;
    if (server.log != LOG_NONE && !t.stack)
        sip_must(sip_thread_start(&t, log_writer, NULL, STACK), "http: a thread");
}

// A further message: what it says is served from now on.
static void take_another(void)
{
    struct site *s = receive_site(), *old = sites.served;
    if (!s) {
        log_error("http: what was served is served on");
        return;
    }
    take_counts(s, old);
    sites.served = s;
    site_drop(old);
    old->until = sip_after(server.grace_ns);
    old->next = sites.old;
    sites.old = old;
    start_log();
    log_error("http: reloaded");
}

// Handlers that stay are told by the end of their channel that nothing more comes, and have time.
// False: some are not over.
static bool end_residents(struct site *s)
{
    bool over = true;
    for (struct route *r = s->routes; r; r = r->next) {
        if (!r->resident)
            continue;
        nebulet_handle process = r->resident->process;
        close_one(&r->resident->channel);
        if (sip_now() >= s->until)
            nebulet_process_kill(process);
        over &= nebulet_object_wait_one(process, NEBULET_ENDED, NEBULET_AT_ONCE) >= 0;
    }
    return over;
}

static void free_old(void)
{
    for (struct site **at = &sites.old, *s; (s = *at);) {
        if (!s->users && end_residents(s)) {
            *at = s->next;
            free_site(s);
        } else {
            at = &s->next;
        }
    }
}

// --- Connections

// Connections by peer, where so many peers have one place that one of many is not told from others
// that share it; which these are is chance. Of IPv6 a peer has a /64. Who is on this machine stands
// for others, as a proxy does, and is not counted.
enum { PEERS = 1024 };
static uint32_t peers[PEERS];
static uint64_t peers_chance;

static uint32_t *peer_place(const struct nebulet_address *a)
{
    static const char self[16] = {[15] = 1};
    uint64_t x = 0;
    memcpy(&x, a->bytes, a->family == 4 ? 4 : 8);
    if (a->family == 4 ? a->bytes[0] == 127 : !memcmp(a->bytes, self, sizeof self))
        return NULL;
    x = (x ^ peers_chance) * 0x9e3779b97f4a7c15;
    x = (x ^ x >> 32) * 0x9e3779b97f4a7c15;
    return &peers[x >> 54];
}

// The last eighth is for peers that have less than is left: so nobody can take all.
static bool may_have_one_more(const struct port *p, const struct client *client)
{
    uint32_t left = p->most - (p->threads - p->idle);
    return !client->peers || left > p->most / 8 || *client->peers < left;
}

// Until one comes. False: none will.
static bool take_client(struct port *p, struct client *client)
{
    nebulet_handle handles[2];
    struct nebulet_message got;
    for (;;) {
        int64_t n = nebulet_channel_recv(p->listener, &client->peer, sizeof client->peer, handles,
                                         2, &got, NEBULET_FOREVER);
        if (server.ending) {
            for (uint32_t i = 0; n >= 0 && i < got.handles; i++)
                sip_close(handles[i]);
            return false;
        }
        if (n == sizeof client->peer && got.handles == 2) {
            client->peers = peer_place(&client->peer);
            if (may_have_one_more(p, client))
                break;
            count(&counts.refused, 1);
            sip_close(handles[0]);
            sip_close(handles[1]);
            continue;
        }
        if (n != NEBULET_ERR_NO_RESOURCES && n != NEBULET_ERR_NO_MEMORY)
            sip_panic("http: a listener: %s", sip_error_text(n));
        sip_sleep(10 * SIP_MS); // descriptors or memory are short: others end
    }
    client->in = handles[0];
    client->out = handles[1];
    client->metrics = p->metrics;
    client->closed = false;
    if (client->peers)
        ++*client->peers;
    return true;
}

// With the port's lock.
static void start_thread(struct port *p)
{
    struct sip_thread t; // is never joined: threads stay
    if (p->threads < p->most && sip_thread_start(&t, work, p, STACK) >= 0) {
        p->threads++;
        p->idle++;
        sip_close(t.handle);
    }
}

// Whoever accepts leaves another behind, unless he is the last that may be. Where no thread can be
// started now he waits until one can, or one is idle again: else nobody would accept any more.
static void leave_another(struct port *p)
{
    for (bool left = false; !left && !server.ending;) {
        sip_lock(&p->lock);
        if (p->idle < 2)
            start_thread(p);
        left = p->idle > 1 || p->threads >= p->most;
        sip_unlock(&p->lock);
        if (!left)
            sip_sleep(10 * SIP_MS);
    }
}

static int32_t work(void *arg)
{
    struct port *p = arg;
    struct client client = {0};
    for (bool more = true; more;) {
        sip_lock(&p->turn);
        leave_another(p);
        more = take_client(p, &client);
        sip_lock(&p->lock);
        p->idle--;
        sip_unlock(&p->lock);
        sip_unlock(&p->turn);
        if (!more)
            break;
        client_met(&client);
        count(&counts.connections, 1);
        count(&counts.open, 1);
        connection_serve(&client);
        sip_lock(&p->lock);
        p->idle++;
        sip_unlock(&p->lock);
    }
    return 0;
}

// --- Beginning and end

static void start_port(struct port *p)
{
    p->most = p->metrics ? 8 : server.connections_max;
    sip_lock(&p->lock);
    start_thread(p);
    sip_unlock(&p->lock);
    if (!p->threads)
        sip_panic("http: no thread can be started");
}

static uint64_t open_connections(void)
{
    return *(volatile uint64_t *)&counts.open;
}

// On a thread: further messages, and what is left of earlier ones. Handlers' last words are waited
// for here, and who should take them may take nothing.
static int32_t reload(void *unused)
{
    (void)unused;
    while (!server.ending) {
        uint64_t until = sites.old ? sip_after(100 * SIP_MS) : NEBULET_FOREVER;
        int64_t seen = nebulet_object_wait_one(0, NEBULET_READABLE | NEBULET_PEER_CLOSED, until);
        if (seen > 0 && seen & NEBULET_PEER_CLOSED)
            break;
        if (seen > 0)
            take_another();
        free_old();
    }
    return 0;
}

// Serves until it is told to end.
static void serve(void)
{
    static struct sip_thread t;
    uint32_t ends = (uint32_t)NEBULET_USER | NEBULET_PEER_CLOSED;
    sip_must(sip_thread_start(&t, reload, NULL, STACK), "http: a thread");
    while (nebulet_object_wait_one(0, ends, NEBULET_FOREVER) <= 0)
        ;
    server.until = sip_after(server.grace_ns);
    server.ending = true;
}

static void wait_for_connections(uint64_t until)
{
    while (open_connections() && sip_now() < until)
        sip_sleep(5 * SIP_MS);
}

// Who works on something when the grace is over is killed, so that nobody waits for it.
static void end_handlers(void)
{
    struct site *s = site_take();
    wait_for_connections(sip_after(SIP_SECOND));
    s->until = server.until;
    while (!end_residents(s))
        sip_sleep(5 * SIP_MS);
    site_drop(s);
}

int main(void)
{
    nebulet_handle ends[2];
    server = (struct server){.body_max = 16 << 20,
                             .idle_ns = 60 * SIP_SECOND,
                             .grace_ns = 30 * SIP_SECOND,
                             .log_max = 64 << 10,
                             .connections_max = 10000,
                             .more = NEBULET_NO_HANDLE,
                             .until = NEBULET_FOREVER};
    sip_must(sip_stream(ends), "http: a stream");
    sip_close(ends[0]);
    server.nothing = ends[1];
    if (!(sites.served = receive_site()))
        return 1;
    start_log();
    nebulet_cprng_fill(&peers_chance, sizeof peers_chance);
    for (uint32_t i = 0; i < port_count; i++)
        start_port(&ports[i]);
    serve();
    connections_hush();
    wait_for_connections(server.until);
    bool left = open_connections();
    end_handlers();
    uint64_t soon = sip_after(SIP_SECOND);
    log_end(server.until > soon ? server.until : soon);
    return left;
}
