// SPDX-License-Identifier: MIT
// A connection: requests one after the other, their bodies, and answers.
//
// While nobody says anything a connection is a struct client and a thread that waits. With the
// first byte it gets a struct connection, which is given back when a request is answered and
// nothing follows it. Whatever goes wrong with a request that leaves in doubt where the next one
// begins ends the connection.
#include "http.h"

#include <stdlib.h>
#include <string.h>

// A turn ends in a loop or a call: who takes one out or puts one in does it in one turn. What lies
// in the pool beyond as many as are used and a few has been emptied: pages that are wholly within
// it take no memory, for an object is put in their place, and taken out again.
enum { PAGE = 4096, KEPT = 64 };
static struct pool {
    struct connection *kept, *emptied;
    uint32_t used, n; // n: in `kept`
    nebulet_handle pages;
} pool = {.pages = NEBULET_NO_HANDLE};

// Behind what stays, wherever in a page it begins.
enum { STAYS = sizeof(struct connection *) };
enum { EMPTIED = (sizeof(struct connection) - STAYS - PAGE) / PAGE * PAGE };
_Static_assert(offsetof(struct connection, next) == 0, "it stays");

// False: its pages are as they were, or gone already: in any case it can be used.
static bool empty(struct connection *c)
{
    uint32_t at = ((uint32_t)(uintptr_t)c + STAYS + PAGE - 1) / PAGE * PAGE;
    if (pool.pages == NEBULET_NO_HANDLE) {
        int64_t pages = nebulet_memory_create(EMPTIED);
        if (pages < 0)
            return false;
        if (pool.pages == NEBULET_NO_HANDLE)
            pool.pages = (nebulet_handle)pages;
        else
            sip_close((nebulet_handle)pages); // another thread was quicker
    }
    if (nebulet_memory_map(pool.pages, at, 0, EMPTIED) < 0)
        return false;
    sip_must(nebulet_memory_unmap(at, EMPTIED), "http: memory"); // two must not have it
    return true;
}

static struct connection *take(struct client *client)
{
    struct connection **from = pool.kept ? &pool.kept : &pool.emptied, *c = *from;
    if (c)
        *from = c->next;
    pool.n -= c && from == &pool.kept;
    pool.used++;
    bool known = c && from == &pool.kept;
    if (!c && !(c = malloc(sizeof *c))) {
        pool.used--;
        return NULL;
    }
    if (!known) {
        c->lines.size = c->lines.number = c->passed_size = 0;
        c->always.size = 0;
    }
    c->client = client;
    c->slot = NULL;
    return c;
}

// With each that comes back one fewer is used, so two may be too many.
static void give_back(struct connection *c)
{
    c->next = pool.kept;
    pool.kept = c;
    pool.n++;
    pool.used--;
    for (int i = 0; i < 2 && pool.n > pool.used + KEPT; i++) {
        struct connection *surplus = pool.kept;
        pool.kept = surplus->next;
        pool.n--;
        bool emptied = empty(surplus);
        struct connection **to = emptied ? &pool.emptied : &pool.kept;
        surplus->next = *to;
        *to = surplus;
        pool.n += !emptied;
    }
}

// --- Reading

// Connections that nobody says anything on, so that they can be ended.
static struct client *idle;

// A turn ends in a loop or a call, and there is none in these.
static void idle_enter(struct client *client)
{
    client->next = idle;
    client->at = &idle;
    if (idle)
        idle->at = &client->next;
    idle = client;
}

static void idle_leave(struct client *client)
{
    *client->at = client->next;
    if (client->next)
        client->next->at = client->at;
    client->at = NULL;
}

// Until somebody says something, which is read; `now`, if it is not 0, is not long ago. 0: the
// connection is of no use any more. Whoever is taken from the list meanwhile has been closed.
static size_t wait_for_request(struct client *client, uint64_t now, char *to, uint32_t room)
{
    uint64_t until = now && server.idle_ns < NEBULET_FOREVER - now ? now + server.idle_ns
                                                                   : sip_after(server.idle_ns);
    if (server.ending)
        return 0;
    idle_enter(client);
    int64_t n = nebulet_stream_read(client->in, to, room, until);
    if (!client->at) {
        client->closed = true;
        return 0;
    }
    idle_leave(client);
    if (n <= 0)
        return 0;
    count(&counts.bytes_in, n);
    return (size_t)n;
}

static void client_gone(struct client *client)
{
    count(&counts.open, -1);
    if (client->peers)
        --*client->peers;
}

// Who has something to read goes on by itself. Any call may end our turn, and then one that we look
// at may leave.
void connections_hush(void)
{
    for (struct client *client = idle; client;) {
        bool heard = nebulet_object_wait_one(client->in, NEBULET_READABLE | NEBULET_PEER_CLOSED,
                                             NEBULET_AT_ONCE) >= 0;
        if (client->at && heard) {
            client = client->next;
            continue;
        }
        if (client->at) {
            idle_leave(client);
            sip_close(client->in);
            sip_close(client->out);
            client_gone(client);
        }
        client = idle;
    }
}

static int64_t receive(struct connection *c, char *to, size_t room, uint64_t until)
{
    int64_t n = nebulet_stream_read(c->client->in, to, (uint32_t)room, until);
    if (n > 0)
        count(&counts.bytes_in, n);
    return n;
}

// 0, with the head in c->buffer, understood; or the status to answer with, or -1: there is nobody
// to answer. Some of it has come, and mostly all; then its end need not be looked for.
static int read_head(struct connection *c)
{
    struct request *q = &c->request;
    size_t seen = 0, size = 0;
    uint64_t until = NEBULET_AT_ONCE; // mostly it is all there, and nobody looks at a clock
    int wrong = 0;
    if (c->rest != c->buffer)
        memmove(c->buffer, c->rest, c->left);
    c->to = c->left;
    for (bool some = false;;) {
        if (c->to && !some && !head_take(c->buffer, c->to, q, &c->lines, &size))
            break;
        some = c->to;
        if ((size = head_end(c->buffer, c->to, &seen))) {
            wrong = head_parse(c->buffer, size, q, &c->lines);
            break;
        }
        if (c->to == BUFFER)
            return memchr(c->buffer, '\n', BUFFER) ? 431 : 414;
        int64_t n = receive(c, c->buffer + c->to, BUFFER - c->to, until);
        if (n == NEBULET_ERR_SHOULD_WAIT) {
            until = sip_after(server.idle_ns);
            continue;
        }
        if (n == NEBULET_ERR_TIMED_OUT && c->to)
            return 408;
        if (n <= 0)
            return -1;
        c->to += (size_t)n;
    }
    c->rest = c->buffer + size;
    c->left = c->to - size;
    return wrong;
}

// Until the client takes more. False: it does not, or the handler that we write for has no more
// time. One that is over meanwhile gives its slot back.
static bool wait_to_write(struct connection *c)
{
    uint64_t until = sip_after(server.idle_ns);
    if (!c->slot)
        return nebulet_object_wait_one(c->client->out, NEBULET_WRITABLE | NEBULET_PEER_CLOSED,
                                       until) >= 0;
    while (c->slot) {
        struct nebulet_wait wait[] = {{c->client->out, NEBULET_WRITABLE | NEBULET_PEER_CLOSED, 0},
                                      {c->over, c->over_signal, 0}};
        if (nebulet_object_wait_many(wait, 2, until < c->until ? until : c->until) < 0)
            return false;
        if (wait[0].observed & (NEBULET_WRITABLE | NEBULET_PEER_CLOSED))
            break;
        slot_give(c);
    }
    return true;
}

// All of it. Who takes nothing for a while is taken to be gone.
static bool write_all(struct connection *c, const char *p, size_t n)
{
    while (n) {
        int64_t put = nebulet_stream_write(c->client->out, p, (uint32_t)n, NEBULET_AT_ONCE);
        if (put == NEBULET_ERR_SHOULD_WAIT && wait_to_write(c)) {
            c->now = sip_now();
            continue;
        }
        if (put < 0) {
            c->keep = false;
            return false;
        }
        p += put;
        n -= (size_t)put;
        count(&counts.bytes_out, put);
    }
    return true;
}

// --- Bodies

static int broken(struct connection *c)
{
    c->has_body = c->keep = false;
    return -1;
}

int body_read(struct connection *c, const char **bytes, uint64_t until)
{
    while (c->has_body) {
        if (!c->left) {
            if (c->request.expects && !write_all(c, "HTTP/1.1 100 Continue\r\n\r\n", 25))
                return broken(c);
            c->request.expects = false;
            int64_t n = receive(c, c->body, BUFFER, until);
            if (n == NEBULET_ERR_SHOULD_WAIT)
                return BODY_LATER;
            c->now = sip_now();
            c->late = n == NEBULET_ERR_TIMED_OUT;
            if (n <= 0)
                return broken(c);
            c->rest = c->body;
            c->left = (size_t)n;
        }
        size_t used;
        struct text data = {c->rest, 0};
        if (c->request.chunked) {
            enum chunk what = chunks_take(&c->chunks, c->rest, c->left, &used, &data);
            if (what == CHUNK_BAD)
                return broken(c);
            c->has_body = what != CHUNK_END;
        } else {
            used = data.n = c->body_left < c->left ? (size_t)c->body_left : c->left;
            c->has_body = (c->body_left -= used) != 0;
        }
        c->rest += used;
        c->left -= used;
        c->body_read += data.n;
        if (c->body_read > server.body_max)
            return broken(c);
        *bytes = data.p;
        if (data.n)
            return (int)data.n;
    }
    return 0;
}

// What the answer did not wait for. A little of it is read, so that the connection can go on.
static void skip_body(struct connection *c)
{
    enum { MOST = 65536 };
    const char *bytes;
    uint64_t skipped = 0;
    if (!c->has_body)
        return;
    if (c->body_left > MOST || c->request.expects) {
        broken(c);
        return;
    }
    uint64_t until = sip_after(server.idle_ns);
    for (int n; (n = body_read(c, &bytes, until)) > 0;)
        if ((skipped += (uint64_t)n) > MOST)
            broken(c);
}

// --- Answers

const char *status_reason(int status)
{
    static const struct {
        int status;
        const char *reason;
    } known[] = {{200, "OK"},
                 {204, "No Content"},
                 {206, "Partial Content"},
                 {301, "Moved Permanently"},
                 {302, "Found"},
                 {303, "See Other"},
                 {304, "Not Modified"},
                 {400, "Bad Request"},
                 {403, "Forbidden"},
                 {404, "Not Found"},
                 {405, "Method Not Allowed"},
                 {408, "Request Timeout"},
                 {412, "Precondition Failed"},
                 {413, "Content Too Large"},
                 {414, "URI Too Long"},
                 {416, "Range Not Satisfiable"},
                 {417, "Expectation Failed"},
                 {431, "Request Header Fields Too Large"},
                 {500, "Internal Server Error"},
                 {501, "Not Implemented"},
                 {502, "Bad Gateway"},
                 {503, "Service Unavailable"},
                 {504, "Gateway Timeout"},
                 {505, "HTTP Version Not Supported"}};
    for (size_t i = 0; i < sizeof known / sizeof *known; i++)
        if (known[i].status == status)
            return known[i].reason;
    return "Unknown";
}

static inline void add(struct head *h, const char *p, size_t n)
{
    h->full |= n > sizeof h->bytes - h->n;
    if (h->full)
        return;
    if (__builtin_constant_p(n))
        memcpy(h->bytes + h->n, p, n);
    else
        copy_text(h->bytes + h->n, p, n);
    h->n += n;
}

void head_format(struct connection *c, const char *format, ...)
{
    char line[256];
    va_list list;
    va_start(list, format);
    size_t n = sip_format_list(line, sizeof line, format, list);
    va_end(list);
    add(&c->head, line, n < sizeof line ? n : sizeof line - 1);
}

static void add_number(struct head *h, uint64_t n)
{
    char text[20], *at = text + sizeof text;
    for (; n > UINT32_MAX; n /= 10)
        *--at = (char)('0' + n % 10);
    uint32_t rest = (uint32_t)n;
    do
        *--at = (char)('0' + rest % 10);
    while ((rest /= 10));
    add(h, at, (size_t)(text + sizeof text - at));
}

// The time of day changes once a second; it is written out anew by whoever finds it old, and put in
// place in one turn. Whether it is old the other clock says, which has been looked at.
static void add_date(struct connection *c)
{
    enum { LENGTH = 37 };
    static uint64_t until;
    static char line[LENGTH + 1];
    if (c->now >= until) {
        char text[32], fresh[LENGTH + 1];
        uint64_t wall = (uint64_t)nebulet_clock_now(NEBULET_REALTIME), now = sip_now();
        time_text(wall / SIP_SECOND, text);
        sip_format(fresh, sizeof fresh, "Date: %s\r\n", text);
        memcpy(line, fresh, sizeof line);
        until = now + SIP_SECOND - wall % SIP_SECOND;
    }
    add(&c->head, line, LENGTH);
}

void head_begin(struct connection *c, int status, struct text reason)
{
    c->status = status;
    c->head.n = 0;
    c->head.full = false;
    if (status == 200 && !reason.n) {
        add(&c->head, "HTTP/1.1 200 OK\r\n", 17);
    } else {
        add(&c->head, "HTTP/1.1 ", 9);
        add_number(&c->head, (uint64_t)status);
        if (!reason.n)
            reason = (struct text){status_reason(status), strlen(status_reason(status))};
        add(&c->head, " ", 1);
        add(&c->head, reason.p, reason.n);
        add(&c->head, "\r\n", 2);
    }
    add_date(c);
}

void head_lines(struct connection *c, struct text lines)
{
    add(&c->head, lines.p, lines.n);
}

// As it is, if it is as we should write it.
void head_line(struct connection *c, struct text line, struct text name, struct text value)
{
    if (value.p == line.p + name.n + 2 && name.p[name.n + 1] == ' ' &&
        value.p + value.n == line.p + line.n) {
        add(&c->head, line.p, line.n);
        add(&c->head, "\r\n", 2);
    } else {
        head_field(c, name, value);
    }
}

void head_field(struct connection *c, struct text name, struct text value)
{
    add(&c->head, name.p, name.n);
    add(&c->head, ": ", 2);
    add(&c->head, value.p, value.n);
    add(&c->head, "\r\n", 2);
}

static bool may_have_body(int status)
{
    return status >= 200 && status != 204 && status != 304;
}

static bool in_output(const struct connection *c, const void *bytes)
{
    const char *p = bytes;
    return c->head.n <= FRONT && p >= c->output && p < c->output + BUFFER;
}

bool answer_begin(struct connection *c, uint64_t length, const void *bytes, size_t n)
{
    struct head *h = &c->head;
    c->answered = true;
    c->chunked = length == NO_LENGTH && c->request.minor;
    c->silent |= !may_have_body(c->status);
    if (length == NO_LENGTH && !c->chunked)
        c->keep = false; // its end is that of the connection
    if (server.ending)
        c->keep = false;
    if (!may_have_body(c->status))
        c->chunked = false;
    else if (c->chunked)
        head_format(c, "Transfer-Encoding: chunked\r\n");
    else if (length != NO_LENGTH) {
        add(h, "Content-Length: ", 16);
        add_number(h, length);
        add(h, "\r\n", 2);
    }
    if (!c->keep)
        head_format(c, "Connection: close\r\n");
    else if (!c->request.minor)
        head_format(c, "Connection: keep-alive\r\n");
    add(h, "\r\n", 2);
    if (h->full) { // nothing was sent yet
        c->keep = false;
        return false;
    }
    if (c->silent)
        return write_all(c, h->bytes, h->n);
    if (!c->chunked && n && in_output(c, bytes)) { // there is room for it in front
        char *from = (char *)c + ((const char *)bytes - (const char *)c) - h->n;
        copy_text(from, h->bytes, h->n);
        c->sent += n;
        return write_all(c, from, h->n + n);
    }
    if (!c->chunked && n && n <= sizeof h->bytes - h->n) {
        add(h, bytes, n);
        c->sent += n;
        return write_all(c, h->bytes, h->n);
    }
    return write_all(c, h->bytes, h->n) && (!n || answer_bytes(c, bytes, n));
}

bool answer_bytes(struct connection *c, const void *bytes, size_t n)
{
    char size[20];
    if (c->silent || !n)
        return true;
    c->sent += n;
    if (!c->chunked)
        return write_all(c, bytes, n);
    size_t digits = sip_format(size, sizeof size, "%zx\r\n", n);
    return write_all(c, size, digits) && write_all(c, bytes, n) && write_all(c, "\r\n", 2);
}

bool answer_end(struct connection *c)
{
    return c->silent || !c->chunked || write_all(c, "0\r\n\r\n", 5);
}

void answer_plain(struct connection *c, int status, const char *fields)
{
    char text[80];
    if (c->answered)
        return;
    size_t n = sip_format(text, sizeof text, "%d %s\n", status, status_reason(status));
    head_begin(c, status, (struct text){NULL, 0});
    add(&c->head, fields, strlen(fields));
    head_format(c, "Content-Type: text/plain\r\n");
    if (answer_begin(c, n, text, n))
        answer_end(c);
}

// --- Requests

static struct route *find_route(const struct connection *c)
{
    for (struct route *r = c->site->routes; r; r = r->next)
        if (c->path_length >= r->length && !memcmp(c->path, r->path, r->length) &&
            (c->path_length == r->length || c->path[r->length] == '/'))
            return r;
    return NULL;
}

static void respond(struct connection *c)
{
    const struct request *q = &c->request;
    int length = text_is(q->path, "*") ? 0 : path_decode(q->path, c->path, sizeof c->path);
    if (length < 0) {
        answer_plain(c, 400, "");
        return;
    }
    c->path_length = (size_t)length;
    if (text_is(q->method, "TRACE") || text_is(q->method, "CONNECT")) {
        answer_plain(c, 501, "");
        return;
    }
    if (q->has_length && q->length > server.body_max) {
        c->keep = false;
        answer_plain(c, 413, "");
        return;
    }
    if (!length) {
        answer_plain(c, 204, "Allow: GET, HEAD, POST, PUT, DELETE, OPTIONS\r\n");
        return;
    }
    struct route *r = c->client->metrics ? NULL : find_route(c);
    if (c->client->metrics)
        metrics_answer(c);
    else if (!r)
        answer_plain(c, 404, "");
    else if (r->kind == ROUTE_FILES)
        files_answer(c, r);
    else
        cgi_answer(c, r);
}

// False: there is no further request.
static bool serve_one(struct connection *c)
{
    struct request *q = &c->request;
    c->answered = c->silent = c->chunked = c->has_body = c->late = c->keep = false;
    c->status = 0;
    c->sent = c->body_read = c->body_left = 0;
    c->chunks = (struct chunks){0};
    int wrong = read_head(c);
    if (wrong < 0)
        return false;
    c->began = c->now = sip_now();
    c->site = site_take();
    if (wrong) {
        answer_plain(c, wrong, "");
    } else {
        c->keep = q->minor ? !q->close : q->keep_alive && !q->close;
        c->silent = text_is(q->method, "HEAD");
        c->has_body = q->chunked || q->length;
        c->body_left = q->length;
        respond(c);
        skip_body(c);
    }
    log_request(c);
    site_drop(c->site);
    return c->keep && !server.ending;
}

// What the peer still sends when we have nothing more to say would make it lose our answer.
static void linger(struct client *client)
{
    enum { MOST = 1 << 18 };
    char bytes[1024];
    uint64_t until = sip_after(SIP_SECOND);
    sip_close(client->out);
    client->out = NEBULET_NO_HANDLE;
    for (int64_t n, all = 0; all < MOST; all += n)
        if ((n = nebulet_stream_read(client->in, bytes, sizeof bytes, until)) <= 0)
            break;
}

void connection_serve(struct client *client)
{
    char first[FIRST];
    bool more = true, said = false;
    uint64_t now = 0;
    for (size_t n; more && (n = wait_for_request(client, now, first, sizeof first));) {
        struct connection *c = take(client);
        if (!c)
            break;
        copy_text(c->buffer, first, n);
        c->rest = c->buffer;
        c->left = n;
        do {
            more = serve_one(c);
        } while (more && c->left);
        said = c->answered;
        now = c->now;
        give_back(c);
    }
    if (client->closed)
        return;
    if (said && !more)
        linger(client);
    sip_close(client->in);
    if (client->out != NEBULET_NO_HANDLE)
        sip_close(client->out);
    client_gone(client);
}
