// SPDX-License-Identifier: MIT
// A process for each request, as CGI has it (RFC 3875): the request in its environment, the body on
// standard input, and what it writes is the answer. Or one process that stays, and gets all
// requests as messages: the same variables, with two streams in the place of the standard ones.
//
// A handler is begun when the body is there, or as much of it as a stream takes, so that a slow
// client holds nothing but its connection. What it writes is kept until it has ended, while it fits
// a buffer: then its length is known, and if the handler ends in a trap, the client is told of an
// error and not of the half of an answer. Longer ones, and those that keep us waiting, go out in
// chunks.
#include "http.h"

#include <stdlib.h>
#include <string.h>

enum { PATIENCE_MS = 20, BODY_FIRST = NEBULET_STREAM_SIZE };

// --- Slots

struct waiting {
    struct waiting *next;
    nebulet_handle event;
    bool given;
};

static bool give_up(struct slots *s, struct waiting *me)
{
    sip_lock(&s->lock);
    struct waiting **at = &s->first;
    while (*at && *at != me)
        at = &(*at)->next;
    if (*at) {
        *at = me->next;
        s->last = me->next ? s->last : at;
        s->waiting--;
    }
    sip_unlock(&s->lock);
    return me->given;
}

static bool stand_in_line(struct slots *s)
{
    int64_t event = nebulet_event_create();
    struct waiting me = {.event = (nebulet_handle)event};
    if (event < 0)
        return false;
    sip_lock(&s->lock);
    bool room = s->waiting < s->queue;
    if (room && s->used < s->most) {
        s->used++;
        me.given = true;
    } else if (room) {
        s->waiting++;
        *s->last = &me;
        s->last = &me.next;
    }
    sip_unlock(&s->lock);
    if (room && !me.given)
        nebulet_object_wait_one(me.event, NEBULET_EVENT_SIGNALED, sip_after(server.idle_ns));
    bool given = room && give_up(s, &me);
    sip_close(me.event);
    return given;
}

// A turn ends in a loop or a call, and there is none: so this needs no lock.
static bool slots_take(struct connection *c, struct slots *s)
{
    bool given = s->used < s->most;
    s->used += given;
    if (!given) {
        given = stand_in_line(s);
        c->now = sip_now();
    }
    return given;
}

static void slots_give(struct slots *s)
{
    if (!s->waiting) {
        s->used--;
        return;
    }
    sip_lock(&s->lock);
    struct waiting *w = s->first;
    if (w) {
        s->first = w->next;
        s->last = s->first ? s->last : &s->first;
        s->waiting--;
        w->given = true;
        sip_signal(w->event); // its owner does not go on before the lock is free
    } else {
        s->used--;
    }
    sip_unlock(&s->lock);
}

void slot_give(struct connection *c)
{
    if (!c->slot)
        return;
    count(&counts.running, -1);
    slots_give(c->slot);
    c->slot = NULL;
}

// --- The environment

// There is room for all that a head can make of it and BEYOND, so only what the site has is asked
// for that. Most is short, and then so many bytes are moved as are two words, whatever follows it:
// all that is copied from lies before the end of a connection, or is a constant.
enum { BEYOND = 16 };
static inline char *put(char *at, const char *p, size_t n)
{
    if (n <= BEYOND)
        memcpy(at, p, BEYOND);
    else
        copy_text(at, p, n);
    return at + n;
}

// With a final 0. The name is a literal: copying it is a few moves.
#define variable(at, name, p, n)                                                                   \
    put_value((char *)memcpy(at, name "=", sizeof name) + sizeof name, p, n)
static inline char *put_value(char *at, const char *p, size_t n)
{
    at = put(at, p, n);
    *at = 0;
    return at + 1;
}

static char *put_number(char *at, uint64_t n)
{
    char text[20], *from = text + sizeof text;
    do
        *--from = (char)('0' + n % 10);
    while ((n /= 10));
    return put_value(at, from, (size_t)(text + sizeof text - from));
}

// Not those that have a variable of their own or are the connection's; nor Proxy, which programs
// take for something else; nor names with an underscore, which would look like others.
static bool is_passed_on(const struct field *f)
{
    switch (f->known) {
    case FIELD_CONNECTION:
    case FIELD_CONTENT_LENGTH:
    case FIELD_CONTENT_TYPE:
    case FIELD_EXPECT:
    case FIELD_KEEP_ALIVE:
    case FIELD_PROXY:
    case FIELD_TE:
    case FIELD_TRANSFER_ENCODING:
    case FIELD_UPGRADE: return false;
    case FIELD_HOST: return true;
    case FIELD_COOKIE:
    case FIELD_DATE:
    case FIELD_LOCATION:
    case FIELD_OTHER:
    case FIELD_STATUS:
    case FIELD_TRAILER: break;
    }
    return !find_byte(f->name.p, f->name.n, '_');
}

static bool same_name(struct text a, struct text b)
{
    if (a.n != b.n)
        return false;
    for (size_t i = 0; i < a.n; i++)
        if ((a.p[i] | 0x20) != (b.p[i] | 0x20))
            return false;
    return true;
}

static bool came_before(const struct request *q, uint32_t i)
{
    for (uint32_t k = 0; k < i; k++)
        if (same_name(q->fields[k].name, q->fields[i].name))
            return true;
    return false;
}

// Eight characters of a name, which are ASCII, as a variable has them.
static inline void put_upper(char *at, const char *p)
{
    const uint64_t ones = 0x0101010101010101, high = ones << 7;
    uint64_t x;
    memcpy(&x, p, 8);
    uint64_t is_lower = (x + ones * (0x80 - 'a')) & ~(x + ones * (0x7f - 'z')) & high;
    uint64_t is_dash = ~((x ^ ones * '-') + ones * 0x7f) & high;
    x ^= is_lower >> 2 | (is_dash >> 7) * ('-' ^ '_');
    memcpy(at, &x, 8);
}

// Where the target names a host, that is the one which was asked (RFC 9112, 3.2.2).
static char *put_field(char *at, const struct request *q, uint32_t i)
{
    struct text name = q->fields[i].name;
    bool host = q->fields[i].known == FIELD_HOST; // of which there is one
    struct text value = host ? q->host : q->fields[i].value;
    memcpy(at, "HTTP_", 5);
    at += 5;
    for (size_t done = 0; done < name.n; done += 8)
        put_upper(at + done, name.p + done);
    at += name.n;
    *at++ = '=';
    at = put(at, value.p, value.n);
    for (uint32_t k = host ? q->count : i + 1; k < q->count; k++)
        if (same_name(q->fields[k].name, name)) {
            *at++ = q->fields[i].known == FIELD_COOKIE ? ';' : ',';
            *at++ = ' ';
            at = put(at, q->fields[k].value.p, q->fields[k].value.n);
        }
    *at = 0;
    return at + 1;
}

static char *put_server(char *at, struct text host)
{
    size_t n = host.n;
    while (n && host.p[n - 1] >= '0' && host.p[n - 1] <= '9')
        n--;
    bool port = n && n < host.n && host.p[n - 1] == ':';
    if (host.p)
        at = variable(at, "SERVER_NAME", host.p, port ? n - 1 : host.n);
    else
        at = variable(at, "SERVER_NAME", "localhost", 9);
    if (port)
        return variable(at, "SERVER_PORT", host.p + n, host.n - n);
    return variable(at, "SERVER_PORT", "80", 2);
}

static void address_text(const struct nebulet_address *a, char out[48])
{
    const uint8_t *b = (const uint8_t *)a->bytes;
    if (a->family == 4) {
        sip_format(out, 48, "%u.%u.%u.%u", b[0], b[1], b[2], b[3]);
        return;
    }
    size_t n = 0;
    for (int i = 0; i < 16; i += 2)
        n += sip_format(out + n, 48 - n, i ? ":%x" : "%x", b[i] << 8 | b[i + 1]);
}

void client_met(struct client *client)
{
    static const char address[] = "REMOTE_ADDR=", port[] = "REMOTE_PORT=";
    static uint64_t number;
    char *at = client->remote;
    client->number = ++number;
    memcpy(at, address, sizeof address);
    client->address = at + sizeof address - 1;
    address_text(&client->peer, at + sizeof address - 1);
    at += strlen(at) + 1;
    memcpy(at, port, sizeof port - 1);
    at = put_number(at + sizeof port - 1, client->peer.port);
    client->remote_size = (uint32_t)(at - client->remote);
}

// length: NO_LENGTH, it is not known yet. What is there of the head twice is the target and the
// host; that a field becomes a variable adds a few bytes. False: it may not fit.
static bool make_environment(struct connection *c, const struct route *r, uint64_t length,
                             size_t *size)
{
    enum { OURS = 600 + BEYOND, OF_A_FIELD = 4 };
    static const char same[] = "GATEWAY_INTERFACE=CGI/1.1\0SERVER_SOFTWARE=nebulet\0"
                               "SERVER_PROTOCOL=HTTP/1.1";
    const struct request *q = &c->request;
    const struct client *client = c->client;
    size_t own = r->site->environment_size;
    char *at = c->environment;
    if (own > sizeof c->environment ||
        q->size + q->target.n + q->host.n + OURS + q->count * OF_A_FIELD >
            sizeof c->environment - own)
        return false;
    if (c->always.size && q->same && c->always.lines == q->same &&
        c->always.site == r->site->number && c->always.client == client->number) {
        at += c->always.size;
    } else {
        if (own)
            memcpy(at, r->site->environment, own);
        at = (char *)memcpy(at + own, same, sizeof same) + sizeof same;
        at[-2] = (char)('0' + q->minor);
        at = put_server(at, q->host);
        at = put(at, client->remote, client->remote_size);
        if (q->type.p)
            at = variable(at, "CONTENT_TYPE", q->type.p, q->type.n);
        for (uint32_t i = 0; i < q->count; i++)
            if (is_passed_on(&q->fields[i]) && !came_before(q, i))
                at = put_field(at, q, i);
        c->always.size = (size_t)(at - c->environment);
        c->always.lines = q->same;
        c->always.site = r->site->number;
        c->always.client = client->number;
    }
    at = variable(at, "REQUEST_METHOD", q->method.p, q->method.n);
    at = variable(at, "REQUEST_URI", q->target.p, q->target.n);
    at = variable(at, "SCRIPT_NAME", r->path, r->length);
    at = variable(at, "PATH_INFO", c->path + r->length, c->path_length - r->length);
    at = variable(at, "QUERY_STRING", q->query.p, q->query.n);
    if (length != NO_LENGTH && (q->chunked || q->has_length))
        at = put_number((char *)memcpy(at, "CONTENT_LENGTH=", 15) + 15, length);
    *size = (size_t)(at - c->environment);
    return true;
}

// --- A handler

struct handler {
    nebulet_handle process;    // its own, or
    struct resident *resident; // the route's, which outlives it
    nebulet_handle in;         // its standard input, written; NEBULET_NO_HANDLE: it has all
    nebulet_handle out;        // its standard output, read
    size_t n;                  // bytes in c->output
    size_t body;               // of which the head took so many
    bool plain;                // there is no head
    bool headed;               // the head has been understood
    bool ended;                // its output
    const char *wrong;         // what was wrong with it
};

static void close_one(nebulet_handle *h)
{
    if (*h != NEBULET_NO_HANDLE)
        sip_close(*h);
    *h = NEBULET_NO_HANDLE;
}

// The body up to what a stream takes, and the end of that which is read. 0, or the status to answer
// with.
static int begin_body(struct connection *c, struct handler *h, nebulet_handle *read)
{
    nebulet_handle ends[2];
    const char *bytes;
    if (!c->has_body) {
        int64_t copy = nebulet_handle_duplicate(server.nothing, NEBULET_SAME_RIGHTS);
        *read = copy < 0 ? NEBULET_NO_HANDLE : (nebulet_handle)copy;
        return copy < 0 ? 503 : 0;
    }
    if (sip_stream(ends) < 0)
        return 503;
    h->in = ends[0];
    *read = ends[1];
    int status = 0;
    while (!status && c->has_body && c->body_read + BUFFER <= BODY_FIRST) {
        int n = body_read(c, &bytes, sip_after(server.idle_ns));
        if (n < 0)
            status = c->body_read > server.body_max ? 413 : c->late ? 408 : 400;
        else if (n && sip_write(h->in, bytes, (size_t)n) < 0)
            status = 503;
    }
    if (!c->has_body)
        close_one(&h->in);
    if (status)
        sip_close(*read);
    return status;
}

// Gives the process a stream; the handle is gone in any case.
static int64_t equip(nebulet_handle process, uint32_t number, int64_t stream)
{
    int64_t result = stream < 0 ? stream : sip_stdio(process, number, (nebulet_handle)stream);
    if (result < 0 && stream >= 0)
        sip_close((nebulet_handle)stream);
    return result;
}

static int64_t create(struct connection *c, const struct route *r, struct handler *h,
                      nebulet_handle in, size_t environment)
{
    nebulet_handle ends[2];
    int64_t process = nebulet_process_create(r->module, NEBULET_NO_HANDLE, &r->options,
                                             sizeof r->options, r->name, r->name_size);
    if (process < 0)
        return process;
    h->process = (nebulet_handle)process;
    int64_t result = sip_stream(ends);
    if (result < 0)
        return result;
    h->out = ends[1];
    result = equip(h->process, 1, ends[0]);
    if (result >= 0)
        result = nebulet_process_environment(h->process, c->environment, (uint32_t)environment);
    if (result >= 0)
        result = equip(h->process, 2, nebulet_handle_duplicate(r->log, NEBULET_SAME_RIGHTS));
    if (result >= 0)
        result = sip_stdio(h->process, 0, in);
    return result < 0 ? result : nebulet_process_start(h->process);
}

// --- A process that stays

static bool has_ended(nebulet_handle process)
{
    struct nebulet_info info;
    return !nebulet_process_info(process, &info) && info.state != NEBULET_LIVES;
}

void resident_drop(struct resident *s)
{
    if (!s || --s->users)
        return;
    if (s->deaf && !has_ended(s->process)) {
        log_error("%s: ended, for it takes no more requests", s->name);
        nebulet_process_kill(s->process);
    }
    close_one(&s->process);
    close_one(&s->channel);
    free(s);
}

static int64_t begin_resident(const struct route *r, struct resident *s)
{
    nebulet_handle ends[2];
    int64_t result = sip_channel(ends);
    if (result < 0)
        return result;
    s->channel = ends[0];
    result = nebulet_process_create(r->module, ends[1], &r->options, sizeof r->options, r->name,
                                    r->name_size);
    if (result < 0) {
        sip_close(ends[1]);
        return result;
    }
    s->process = (nebulet_handle)result;
    result = nebulet_process_environment(s->process, r->site->environment,
                                         (uint32_t)r->site->environment_size);
    if (result >= 0)
        result = equip(s->process, 2, nebulet_handle_duplicate(r->log, NEBULET_SAME_RIGHTS));
    return result < 0 ? result : nebulet_process_start(s->process);
}

// In the place of one that has died, or hears nothing any more; but not all the time.
static int64_t start_resident(struct route *r)
{
    if (sip_now() < r->not_before)
        return NEBULET_ERR_UNAVAILABLE;
    r->not_before = sip_after(100 * SIP_MS);
    struct resident *s = malloc(sizeof *s);
    if (!s)
        return NEBULET_ERR_NO_MEMORY;
    *s = (struct resident){1, NEBULET_NO_HANDLE, NEBULET_NO_HANDLE, r->name, false};
    int64_t result = begin_resident(r, s);
    if (result < 0) {
        resident_drop(s);
        return result;
    }
    struct resident *was = r->resident;
    r->resident = s;
    if (was)
        was->deaf = !has_ended(was->process);
    resident_drop(was);
    return 0;
}

static int64_t tell(struct connection *c, struct resident *s, nebulet_handle given[2],
                    size_t environment, uint64_t until)
{
    return nebulet_channel_send(s->channel, c->environment, (uint32_t)environment, given, 2, until);
}

// Whoever is there is told at once; only if that fails it is seen whether it lives. One that has
// closed its channel hears nothing, whether it does or not.
static int64_t tell_or_start(struct connection *c, struct route *r, struct handler *h,
                             nebulet_handle given[2], size_t environment)
{
    int64_t result = NEBULET_ERR_PEER_CLOSED;
    if ((h->resident = r->resident)) {
        h->resident->users++;
        result = tell(c, h->resident, given, environment, NEBULET_AT_ONCE);
    }
    if (result == NEBULET_ERR_PEER_CLOSED) {
        sip_lock(&r->lock);
        struct resident *now = r->resident;
        result = !now || now == h->resident || has_ended(now->process) ? start_resident(r) : 0;
        if (result >= 0) {
            resident_drop(h->resident);
            h->resident = r->resident;
            h->resident->users++;
        }
        sip_unlock(&r->lock);
        result = result < 0 ? result : NEBULET_ERR_SHOULD_WAIT;
    }
    if (result == NEBULET_ERR_SHOULD_WAIT) {
        result = tell(c, h->resident, given, environment, sip_after(server.idle_ns));
        c->now = sip_now();
    }
    return result;
}

// The request is a message: its variables, the body, and where the answer goes.
static int64_t ask_resident(struct connection *c, struct route *r, struct handler *h,
                            nebulet_handle in, size_t environment)
{
    nebulet_handle ends[2];
    int64_t result = sip_stream(ends);
    if (result < 0)
        return result;
    h->out = ends[1];
    nebulet_handle given[2] = {in, ends[0]};
    result = tell_or_start(c, r, h, given, environment);
    if (result < 0)
        sip_close(ends[0]);
    return result;
}

// 0, or the status to answer with; `in` is used up.
static int start(struct connection *c, struct route *r, struct handler *h, nebulet_handle in)
{
    size_t environment;
    uint64_t length = c->has_body && c->request.chunked ? NO_LENGTH
                      : c->request.chunked              ? c->body_read
                                                        : c->request.length;
    int64_t result = 0;
    bool fits = make_environment(c, r, length, &environment), stays = r->kind == ROUTE_STREAM;
    if (fits)
        result = stays ? ask_resident(c, r, h, in, environment) : create(c, r, h, in, environment);
    c->over = stays ? h->out : h->process;
    c->over_signal = stays ? NEBULET_PEER_CLOSED : NEBULET_ENDED;
    c->until = NEBULET_FOREVER; // its own limit sees to it
    if (stays && r->site->limits.wall_ns < NEBULET_FOREVER - c->now)
        c->until = c->now + r->site->limits.wall_ns;
    if (fits && result >= 0)
        return 0;
    nebulet_handle_close(in); // it may be the process's already
    if (!fits)
        return 431;
    log_error("%s: %s", r->name, sip_error_text(result));
    return 503;
}

// --- What it writes

// "404 Not Found"; the reason may be left out.
static bool take_status(struct text value, int *status, struct text *reason)
{
    uint64_t n;
    struct text number = {value.p, value.n < 3 ? value.n : 3};
    if (!text_number(number, &n) || n < 200 || n > 599 || (value.n > 3 && value.p[3] != ' '))
        return false;
    *status = (int)n;
    *reason = value.n > 4 ? (struct text){value.p + 4, value.n - 4} : (struct text){NULL, 0};
    return true;
}

// What says how the answer is cut is ours to say.
static bool is_ours(enum known known)
{
    switch (known) {
    case FIELD_CONNECTION:
    case FIELD_CONTENT_LENGTH:
    case FIELD_DATE:
    case FIELD_KEEP_ALIVE:
    case FIELD_STATUS:
    case FIELD_TRAILER:
    case FIELD_TRANSFER_ENCODING:
    case FIELD_UPGRADE: return true;
    case FIELD_CONTENT_TYPE:
    case FIELD_COOKIE:
    case FIELD_EXPECT:
    case FIELD_HOST:
    case FIELD_LOCATION:
    case FIELD_OTHER:
    case FIELD_PROXY:
    case FIELD_TE: break;
    }
    return false;
}

struct stated {
    int status;
    struct text reason;
    bool stated, located, any;
    size_t size;  // of the head; 0: it is not all there
    size_t begin; // of what is passed on
};

// How long the end of a line is that is at p, LF or CR LF; 0: there is none.
static size_t line_end(const char *p, size_t n)
{
    if (n && *p == '\n')
        return 1;
    return n > 1 && *p == '\r' && p[1] == '\n' ? 2 : 0;
}

// Goes through the lines, up to an empty one, and passes them on under a status that was stated
// before. NULL, or what is wrong with one.
static const char *take_lines(struct connection *c, size_t n, struct stated *s)
{
    struct field f;
    const char *p = c->output, *end = p + n;
    s->size = 0;
    head_begin(c, s->status, s->reason);
    s->begin = c->head.n;
    for (size_t ends; !(ends = line_end(p, (size_t)(end - p)));) {
        size_t length = field_take(p, (size_t)(end - p), &f);
        ends = line_end(p + length, (size_t)(end - p) - length);
        if (!length || !ends)
            return find_byte(p, (size_t)(end - p), '\n') ? "a line of its head is none" : NULL;
        s->any = true;
        s->located |= f.known == FIELD_LOCATION;
        if (!is_ours(f.known))
            head_line(c, (struct text){p, length}, f.name, f.value);
        else if (f.known == FIELD_STATUS) {
            if (s->stated || !take_status(f.value, &s->status, &s->reason))
                return "its status is none";
            s->stated = true;
        }
        p += length + ends;
    }
    s->size = (size_t)(p - c->output) + line_end(p, (size_t)(end - p));
    return s->any ? NULL : "its head is empty";
}

// Its lines end what there is of ours.
static void keep_passed(struct connection *c, const struct stated *s)
{
    size_t lines = s->size - 2;
    if (s->status != 200 || s->size > sizeof c->passed || c->head.full ||
        c->head.n - s->begin != lines || !bytes_are(c->head.bytes + s->begin, c->output, lines))
        return;
    memcpy(c->passed, c->output, s->size);
    c->passed_size = (uint32_t)s->size;
}

static const char *take_head(struct connection *c, struct handler *h)
{
    struct stated s = {.status = 200};
    if (c->passed_size && h->n >= c->passed_size &&
        bytes_are(c->output, c->passed, c->passed_size)) {
        head_begin(c, 200, s.reason);
        head_lines(c, (struct text){c->output, c->passed_size - 2});
        h->body = c->passed_size;
        h->headed = true;
        return NULL;
    }
    const char *wrong = take_lines(c, h->n, &s);
    if (wrong || !s.size)
        return wrong;
    if (s.stated || s.located) { // now that it is known what comes first
        s.status = s.stated ? s.status : 302;
        s.stated = false;
        take_lines(c, h->n, &s);
    }
    keep_passed(c, &s);
    h->body = s.size;
    h->headed = true;
    return NULL;
}

static bool understand(struct connection *c, struct handler *h)
{
    if (h->headed)
        return true;
    if (h->plain) {
        head_begin(c, 200, (struct text){NULL, 0});
        return h->headed = true;
    }
    h->wrong = take_head(c, h);
    if (!h->wrong && !h->headed && (h->ended || h->n == BUFFER))
        h->wrong = h->n ? "its head does not end" : "it wrote nothing";
    return !h->wrong;
}

// Sends what is there. False: nobody takes it.
static bool pass_on(struct connection *c, struct handler *h)
{
    const char *bytes = c->output + h->body;
    size_t n = h->n - h->body;
    h->n = h->body = 0;
    return c->answered ? answer_bytes(c, bytes, n) : answer_begin(c, NO_LENGTH, bytes, n);
}

// One read of its output. False: there is no sense in going on.
static bool take_output(struct connection *c, struct handler *h, uint64_t until)
{
    if (h->n == BUFFER && (!understand(c, h) || !pass_on(c, h)))
        return false;
    int64_t n = nebulet_stream_read(h->out, c->output + h->n, (uint32_t)(BUFFER - h->n), until);
    bool first = !c->answered && !h->n; // came in time, and mostly is all of it
    if (n == NEBULET_ERR_TIMED_OUT || (n >= 0 && !first))
        c->now = sip_now();
    if (n == NEBULET_ERR_TIMED_OUT || n == NEBULET_ERR_SHOULD_WAIT) {
        bool something = h->headed && (h->n > h->body || !c->answered);
        return !something || n == NEBULET_ERR_SHOULD_WAIT || pass_on(c, h);
    }
    h->ended = n < 0;
    h->n += n < 0 ? 0 : (size_t)n;
    return understand(c, h);
}

// Its time is over, or that of all.
static bool is_late(const struct connection *c)
{
    return c->now >= c->until || c->now >= server.until;
}

// The rest of a body goes in while output comes out, whichever can; both may be waited for.
static bool pump(struct connection *c, struct handler *h)
{
    const char *bytes = NULL;
    int n = 0;
    while (h->in != NEBULET_NO_HANDLE && !h->ended && !is_late(c)) {
        if (!n && (n = body_read(c, &bytes, NEBULET_AT_ONCE)) == BODY_LATER)
            n = 0;
        if (n < 0)
            return false;
        if (!n && !c->has_body) {
            close_one(&h->in);
            return true;
        }
        int64_t put = n ? nebulet_stream_write(h->in, bytes, (uint32_t)n, NEBULET_AT_ONCE) : 0;
        if (put > 0)
            bytes += put, n -= (int)put;
        if (put < 0 && put != NEBULET_ERR_SHOULD_WAIT) {
            close_one(&h->in); // it wants no more
            return true;
        }
        if (!take_output(c, h, NEBULET_AT_ONCE))
            return false;
        if (put > 0 || h->ended)
            continue;
        struct nebulet_wait wait[] = {
            {h->out, NEBULET_READABLE | NEBULET_PEER_CLOSED, 0},
            {n ? h->in : c->client->in,
             (n ? NEBULET_WRITABLE : NEBULET_READABLE) | NEBULET_PEER_CLOSED, 0}};
        uint64_t idle = sip_after(server.idle_ns);
        int64_t seen = nebulet_object_wait_many(wait, 2, idle < c->until ? idle : c->until);
        c->now = sip_now();
        if (seen < 0)
            return false;
    }
    return true;
}

// How it ended. NEBULET_EXITED and the like.
static struct nebulet_exit how_it_ended(struct handler *h, bool kill)
{
    struct nebulet_exit exit = {NEBULET_KILLED, 0};
    close_one(&h->in);
    close_one(&h->out);
    if (h->resident) {
        exit.how = NEBULET_EXITED; // with this request
        if (has_ended(h->resident->process))
            nebulet_process_wait(h->resident->process, NEBULET_FOREVER, &exit); // streams end first
        resident_drop(h->resident);
        h->resident = NULL;
        return exit;
    }
    if (h->process == NEBULET_NO_HANDLE)
        return exit;
    if (kill)
        nebulet_process_kill(h->process);
    sip_join(h->process, &exit);
    return exit;
}

static struct nebulet_exit end(struct connection *c, struct handler *h, bool kill)
{
    struct nebulet_exit exit = how_it_ended(h, kill);
    slot_give(c);
    return exit;
}

static void fail(struct connection *c, struct route *r, int status, const char *why)
{
    log_error("%s: %.*s %.*s: %s", r->name, (int)c->request.method.n, c->request.method.p,
              (int)c->request.target.n, c->request.target.p, why);
    count(&r->failures, 1);
    count(&counts.failed, 1);
    answer_plain(c, status, "");
}

// Its output has ended; what is kept of it is the answer, or its rest.
static void finish(struct connection *c, struct route *r, struct handler *h)
{
    char text[80];
    const char *bytes = c->output + h->body;
    size_t n = h->n - h->body;
    bool answered = c->answered;
    struct nebulet_exit exit = end(c, h, false);
    if (exit.how != NEBULET_EXITED || (h->plain && exit.code)) {
        c->keep = c->keep && !answered;
        sip_describe_exit(text, sizeof text, &exit);
        fail(c, r, exit.how == NEBULET_LIMIT ? 504 : 500, text);
        return;
    }
    if (!answered)
        answer_begin(c, n, bytes, n);
    else if (answer_bytes(c, bytes, n))
        answer_end(c);
    if (!c->keep && !answered && c->head.full) {
        c->answered = false;
        fail(c, r, 500, "its head is too long");
    }
}

// It mostly ends its output where it has written it, so what follows the first of it is there.
static void answer(struct connection *c, struct route *r, struct handler *h)
{
    bool going = pump(c, h);
    while (going && !h->ended && !is_late(c)) {
        going = take_output(c, h, c->now + PATIENCE_MS * SIP_MS);
        if (going && !h->ended && h->n)
            going = take_output(c, h, NEBULET_AT_ONCE);
    }
    bool late = !h->ended && is_late(c);
    if (going && h->ended && h->headed) {
        finish(c, r, h);
        return;
    }
    // A trap says more than that nothing was written.
    bool answered = c->answered;
    struct nebulet_exit exit = end(c, h, !h->ended);
    bool by_itself = h->ended && exit.how != NEBULET_EXITED;
    char text[80];
    if (by_itself)
        sip_describe_exit(text, sizeof text, &exit);
    c->keep = c->keep && !answered;
    fail(c, r, late || (by_itself && exit.how == NEBULET_LIMIT) ? 504 : 500,
         by_itself  ? text
         : h->wrong ? h->wrong
         : late     ? "it did not answer in time"
                    : "the client is gone");
}

void cgi_answer(struct connection *c, struct route *r)
{
    struct handler h = {
        .process = NEBULET_NO_HANDLE, .in = NEBULET_NO_HANDLE, .out = NEBULET_NO_HANDLE};
    nebulet_handle in;
    h.plain = r->site->plain && r->kind == ROUTE_CGI;
    count(&r->requests, 1);
    int status = begin_body(c, &h, &in);
    if (!status && !slots_take(c, &r->slots)) {
        sip_close(in);
        status = 503;
    } else if (!status) {
        count(&counts.running, 1);
        c->slot = &r->slots;
        status = start(c, r, &h, in);
        if (!status)
            answer(c, r, &h);
        else
            end(c, &h, true);
    }
    if (!status)
        return;
    close_one(&h.in);
    count(&counts.refused, status == 503);
    answer_plain(c, status, status == 503 ? "Retry-After: 1\r\n" : "");
}
