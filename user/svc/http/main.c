// SPDX-License-Identifier: MIT
// The server of HTTP: what it is told to serve, its listeners and threads, and its end.
//
// All that it has comes in the first message on handle 0, from whoever starts it: lines of a word
// and a value (doc/serve.md), and a handle for each listener and each module, in the order of the
// lines that name them. A signal there, or its end, asks it to end: no connection is accepted any
// more, those that idle are closed, and what was begun is answered.
//
// Threads stand in line for connections: one accepts, the others wait for its place. Who has
// accepted the last one that waited starts another. So there is always one that accepts, until
// there are as many connections as may be.
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
    char text[NEBULET_MESSAGE_MAX + 1];
    nebulet_handle handles[NEBULET_MESSAGE_HANDLES];
    uint32_t used, count;
} told;

static nebulet_handle next_handle(void)
{
    if (told.used == told.count)
        sip_panic("http: a handle is missing");
    return told.handles[told.used++];
}

static void *room_for(size_t n)
{
    void *p = calloc(1, n);
    if (!p)
        sip_panic("http: out of memory");
    return p;
}

static void add_port(bool metrics)
{
    if (port_count == LISTENERS_MAX)
        sip_panic("http: more than %d listeners", LISTENERS_MAX);
    ports[port_count++] = (struct port){.listener = next_handle(), .metrics = metrics};
}

// Longer paths before shorter ones, so that the first that fits is the best; of two that are the
// same the earlier one.
static struct route *add_route(enum route_kind kind, const char *path)
{
    struct route *r = room_for(sizeof *r), **at = &server.routes;
    size_t n = strlen(path);
    while (n && path[n - 1] == '/')
        n--;
    *r = (struct route){.path = path,
                        .length = n,
                        .kind = kind,
                        .process = NEBULET_NO_HANDLE,
                        .channel = NEBULET_NO_HANDLE};
    while (*at && (*at)->length >= n)
        at = &(*at)->next;
    r->next = *at;
    *at = r;
    if (kind != ROUTE_FILES)
        r->module = next_handle();
    return r;
}

static int find_folder(const char *name)
{
    __wasi_prestat_t stat;
    char found[64];
    for (int fd = 3; !__wasi_fd_prestat_get(fd, &stat); fd++) {
        size_t n = stat.u.dir.pr_name_len;
        if (n < sizeof found && !__wasi_fd_prestat_dir_name(fd, (uint8_t *)found, n) &&
            n == strlen(name) && !memcmp(found, name, n))
            return fd;
    }
    sip_panic("http: there is no folder %s", name);
}

static void add_variable(const char *value)
{
    size_t n = strlen(value) + 1;
    char *more = realloc(server.environment, server.environment_size + n);
    if (!more)
        sip_panic("http: out of memory");
    memcpy(more + server.environment_size, value, n);
    server.environment = more;
    server.environment_size += n;
}

static uint64_t number(const char *value)
{
    uint64_t n;
    if (!text_number((struct text){value, strlen(value)}, &n))
        sip_panic("http: %s is no number", value);
    return n;
}

static void take_line(const char *word, const char *value)
{
    static struct route *last;
    if (!strcmp(word, "listen") || !strcmp(word, "metrics"))
        add_port(*word == 'm');
    else if (!strcmp(word, "cgi"))
        last = add_route(ROUTE_CGI, value);
    else if (!strcmp(word, "stream"))
        last = add_route(ROUTE_STREAM, value);
    else if (!strcmp(word, "files"))
        last = add_route(ROUTE_FILES, value);
    else if (!strcmp(word, "name") && last)
        last->name = value;
    else if (!strcmp(word, "env"))
        add_variable(value);
    else if (!strcmp(word, "memory"))
        server.limits.memory = number(value);
    else if (!strcmp(word, "time"))
        server.limits.wall_ns = number(value);
    else if (!strcmp(word, "cpu"))
        server.limits.cpu_ns = number(value);
    else if (!strcmp(word, "handlers"))
        server.handlers = (uint32_t)number(value);
    else if (!strcmp(word, "queue"))
        server.queue = (uint32_t)number(value);
    else if (!strcmp(word, "connections"))
        server.connections_max = (uint32_t)number(value);
    else if (!strcmp(word, "body"))
        server.body_max = number(value);
    else if (!strcmp(word, "idle"))
        server.idle_ns = number(value);
    else if (!strcmp(word, "grace"))
        server.grace_ns = number(value);
    else if (!strcmp(word, "folders"))
        server.limits.privileges |= NEBULET_MAY_FILES;
    else if (!strcmp(word, "log"))
        server.log = !strcmp(value, "json")   ? LOG_JSON
                     : !strcmp(value, "none") ? LOG_NONE
                                              : LOG_COMMON;
    else
        sip_panic("http: %s %s: not understood", word, value);
}

static void take_all(void)
{
    struct nebulet_message got;
    int64_t n = nebulet_channel_recv(0, told.text, NEBULET_MESSAGE_MAX, told.handles,
                                     NEBULET_MESSAGE_HANDLES, &got, NEBULET_FOREVER);
    sip_must(n, "http: what to serve");
    told.count = got.handles;
    for (char *line = told.text, *end; (end = strchr(line, '\n')); line = end + 1) {
        char *value = strchr(line, ' ');
        *end = 0;
        if (!value || value > end)
            sip_panic("http: %s: not understood", line);
        *value++ = 0;
        take_line(line, value);
    }
}

// --- Connections

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
        if (n == sizeof client->peer && got.handles == 2)
            break;
        if (n != NEBULET_ERR_NO_RESOURCES && n != NEBULET_ERR_NO_MEMORY)
            sip_panic("http: a listener: %s", sip_error_text(n));
        sip_sleep(10 * SIP_MS); // descriptors or memory are short: others end
    }
    client->in = handles[0];
    client->out = handles[1];
    client->metrics = p->metrics;
    return true;
}

// With the port's lock. Without a thread there will be one when another is idle again.
static void start_thread(struct port *p)
{
    struct sip_thread t; // is never joined: threads stay
    if (p->threads < p->most && sip_thread_start(&t, work, p, STACK) >= 0) {
        p->threads++;
        p->idle++;
        sip_close(t.handle);
    }
}

static int32_t work(void *arg)
{
    struct port *p = arg;
    struct client client;
    for (bool more = true; more;) {
        sip_lock(&p->turn);
        more = take_client(p, &client);
        sip_lock(&p->lock);
        p->idle--;
        if (more && !p->idle)
            start_thread(p);
        sip_unlock(&p->lock);
        sip_unlock(&p->turn);
        if (!more)
            break;
        address_text(&client.peer, client.address);
        count(&counts.connections, 1);
        count(&counts.open, 1);
        connection_serve(&client);
        count(&counts.open, -1);
        sip_lock(&p->lock);
        p->idle++;
        sip_unlock(&p->lock);
    }
    return 0;
}

// --- Beginning and end

static void start_route(struct route *r)
{
    nebulet_handle ends[2];
    struct sip_thread t;
    if (r->kind == ROUTE_FILES) {
        r->folder = find_folder(r->name);
        return;
    }
    r->slots.most = server.handlers;
    r->slots.queue = server.queue;
    r->slots.last = &r->slots.first;
    sip_must(sip_stream(ends), "http: a stream");
    r->log = ends[0];
    struct log_copier *copier = room_for(sizeof *copier);
    *copier = (struct log_copier){r->name, ends[1]};
    sip_must(sip_thread_start(&t, log_copy, copier, STACK), "http: a thread");
}

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

int main(void)
{
    nebulet_handle ends[2];
    struct sip_thread t;
    server = (struct server){.body_max = 16 << 20,
                             .idle_ns = 60 * SIP_SECOND,
                             .grace_ns = 30 * SIP_SECOND,
                             .handlers = 64,
                             .queue = 1000,
                             .connections_max = 10000,
                             .limits = {.memory = 64 << 20,
                                        .cpu_ns = 10 * SIP_SECOND,
                                        .wall_ns = 30 * SIP_SECOND,
                                        .processes = 1}};
    take_all();
    sip_must(sip_stream(ends), "http: a stream");
    sip_close(ends[0]);
    server.nothing = ends[1];
    for (struct route *r = server.routes; r; r = r->next)
        start_route(r);
    if (server.log != LOG_NONE)
        sip_must(sip_thread_start(&t, log_writer, NULL, STACK), "http: a thread");
    for (uint32_t i = 0; i < port_count; i++)
        start_port(&ports[i]);
    nebulet_object_wait_one(0, (uint32_t)NEBULET_USER | NEBULET_PEER_CLOSED, NEBULET_FOREVER);
    server.ending = true;
    uint64_t until = sip_after(server.grace_ns);
    while (open_connections() && sip_now() < until)
        sip_sleep(5 * SIP_MS);
    log_flush();
    return open_connections() != 0;
}
