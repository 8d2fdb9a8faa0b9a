// SPDX-License-Identifier: MIT
// Messages of NATS as requests of HTTP: see worker.h.
//
//   nats-server ══ libnats ── take ──> a slot ══ socket pair ══ user/svc/http ══> a process
//                        <── publish, acknowledge ──┘
//
// As many slots are there as processes may run at once, a thread and a connection each, and a slot
// has one message from its arrival until what has become of it is known to the server. So nothing
// is taken that nobody works on: what waits, waits at the server. Slots without a message stand in
// line; one of them fetches for all of them.
//
// A message of a stream is acknowledged when its result has been published, and a result has the
// name of its message (Nats-Msg-Id): who does a message once more, for somebody died in between,
// makes no second result. Failures are tried again a few times, later and later; what is given up
// is said on stderr, published if somebody wants that, and terminated, so that it never comes
// again.
#include "main/worker.h"

#include "main/nats.h"

#ifndef NATS_VERSION_MAJOR
bool worker_open(const struct options *o, struct worker **out)
{
    (void)o, (void)out;
    return nats_open() != NULL;
}

bool worker_attach(struct worker *w, u32 number, u32 servers, struct channel **connections,
                   struct channel **more)
{
    (void)w, (void)number, (void)servers, (void)connections, (void)more;
    return false;
}

bool worker_begin(struct worker *w, int bell)
{
    (void)w, (void)bell;
    return false;
}

bool worker_over(struct worker *w)
{
    return w == NULL;
}

bool worker_close(struct worker *w)
{
    return w == NULL;
}
#else
#include <errno.h>
#include <poll.h>
#include <pthread.h>
#include <semaphore.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/socket.h>
#include <sys/uio.h>
#include <time.h>
#include <unistd.h>

#include "base/fmt.h"
#include "kern/channel.h"
#include "kern/sched.h"
#include "main/host.h"
#include "main/net.h"
#include "plat/plat.h"

enum {
    SLOTS = 64,
    SERVERS = 16,
    HEAD = 17 << 10, // user/svc/http takes 16 KiB
    ANSWER = 16 << 10,
    ANSWER_KEPT = 1 << 20, // of a buffer that became larger than usual
    DELIVERIES = 5,
    FETCH_MS = 1000,
    PAUSE_MS = 100, // after an error
    STACK = 128 << 10,
};
static const s64 second = 1000000000;

struct bytes {
    char *p;
    size_t n, room;
};

// An answer as it comes: where its body begins, and what is known of its end.
struct answer {
    struct bytes raw;
    int status;
    bool headed, chunked, closes;
    size_t body, end, at; // of the body; `at`: chunks are read so far
    u64 left;             // of the body, or of the chunk with its line end
};

struct slot {
    struct worker *w;
    u32 server;
    int fd; // of its connection, or -1
    bool wants;
    sem_t connected;
    struct answer answer;
    char head[HEAD];
};

struct worker {
    const struct nats *n;
    const struct options *o;
    natsConnection *connection;
    natsSubscription *subscription;
    jsCtx *js;
    bool result_kept, dead_kept; // by a stream, which says so
    u64 deliveries;
    s64 retry;
    u32 servers;
    struct channel *to[SERVERS], *from[SERVERS];
    struct outside_channel more;
    struct slot *slots;
    u32 count;
    // Guarded by lock
    pthread_mutex_t lock;
    pthread_cond_t turn, done;
    natsMsgList batch;
    int next;
    u32 idle, active;
    bool fetching, drained;
    // The rest are atomics.
    sem_t ask, wanted;
    bool ending, over, draining, told, failed, left;
    int bell;
    u64 succeeded, again, gone, reconnects;
};

#define GET(x) __atomic_load_n(&(x), __ATOMIC_ACQUIRE)
#define SET(x, v) __atomic_store_n(&(x), v, __ATOMIC_RELEASE)
#define COUNT(x) __atomic_fetch_add(&(x), 1, __ATOMIC_RELAXED)

// A line of one write: slots do not mix theirs. What messages say is shown as text.
__attribute__((format(printf, 1, 2))) static void say(const char *format, ...)
{
    char line[1024] = "nebulet: ";
    size_t prefix = strlen(line), room = sizeof line - prefix - 1;
    va_list args;
    va_start(args, format);
    int length = vsnprintf(line + prefix, room, format, args);
    va_end(args);
    size_t n = prefix + (length < 0 ? 0 : (size_t)length < room ? (size_t)length : room - 1);
    for (size_t i = prefix; i < n; i++)
        line[i] = fmt_shown(line, n, i);
    line[n++] = '\n';
    if (write(STDERR_FILENO, line, n) < 0)
        return; // nobody listens
}

static void pause_ms(u32 ms)
{
    nanosleep(&(struct timespec){ms / 1000, ms % 1000 * 1000000}, NULL);
}

// --- Connections

static void close_slot(struct slot *s)
{
    if (s->fd >= 0)
        close(s->fd);
    s->fd = -1;
}

// On the CPU for it.
static void connect_slot(struct slot *s)
{
    int pair[2];
    enum fs_error e = E_SUCCESS;
    if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair))
        say("a connection: %s", strerror(errno));
    else if ((e = net_connection(pair[1], s->w->to[s->server])))
        close(pair[0]), say("a connection: %s", fs_error_text(e));
    else
        s->fd = pair[0];
    SET(s->wants, false);
    sem_post(&s->connected);
}

static void connect_slots(void *worker)
{
    struct worker *w = worker;
    while (!GET(w->over)) {
        if (sem_wait(&w->wanted))
            continue;
        for (u32 i = 0; i < w->count; i++)
            if (GET(w->slots[i].wants))
                connect_slot(&w->slots[i]);
    }
}

// The server ends connections that idle. False: there is none to be had.
static bool has_connection(struct slot *s)
{
    struct pollfd p = {.fd = s->fd, .events = POLLIN};
    if (s->fd >= 0 && !poll(&p, 1, 0))
        return true;
    close_slot(s);
    if (GET(s->w->over))
        return false;
    SET(s->wants, true);
    sem_post(&s->w->wanted);
    while (sem_wait(&s->connected))
        ;
    return s->fd >= 0;
}

// --- Answers: what user/svc/http says, and no more than that.

static bool bytes_room(struct bytes *b, size_t n)
{
    if (b->room - b->n >= n)
        return true;
    size_t room = 2 * b->room > b->n + n ? 2 * b->room : b->n + n;
    char *p = realloc(b->p, room);
    if (!p)
        return false;
    b->p = p;
    b->room = room;
    return true;
}

static const char *field_of(const char *head, size_t n, const char *name)
{
    const char *found = memmem(head, n, name, strlen(name));
    return found ? found + strlen(name) : NULL;
}

static bool take_head(struct answer *a)
{
    const char *end = memmem(a->raw.p, a->raw.n, "\r\n\r\n", 4);
    if (!end)
        return true;
    size_t n = (size_t)(end - a->raw.p) + 2;
    const char *length = field_of(a->raw.p, n, "\r\nContent-Length: ");
    if (n < 14 || memcmp(a->raw.p, "HTTP/1.1 ", 9))
        return false;
    a->headed = true;
    a->status = atoi(a->raw.p + 9);
    a->chunked = field_of(a->raw.p, n, "\r\nTransfer-Encoding: chunked\r\n") != NULL;
    a->closes = field_of(a->raw.p, n, "\r\nConnection: close\r\n") != NULL;
    a->left = length ? strtoull(length, NULL, 10) : 0;
    a->body = a->at = a->end = n + 2;
    return length || a->chunked || a->status == 204 || a->status == 304;
}

// Chunks become one body in place.
static int take_chunks(struct answer *a)
{
    struct bytes *b = &a->raw;
    while (a->at < b->n) {
        if (!a->left) {
            const char *line = b->p + a->at, *end = memmem(line, b->n - a->at, "\r\n", 2);
            if (!end)
                return 0;
            u64 size = strtoull(line, NULL, 16);
            if (!size)
                return b->n - a->at < 5 ? 0 : 1;
            a->at += (size_t)(end - line) + 2;
            a->left = size + 2;
        }
        size_t n = b->n - a->at < a->left ? b->n - a->at : (size_t)a->left;
        size_t data = a->left <= 2 ? 0 : n < a->left - 2 ? n : (size_t)a->left - 2;
        memmove(b->p + a->end, b->p + a->at, data);
        a->end += data;
        a->at += n;
        a->left -= n;
    }
    a->at = b->n = a->end;
    return 0;
}

// 1: it is there; 0: there is more to come; -1: it is none.
static int take_answer(struct answer *a)
{
    if (!a->headed && !take_head(a))
        return -1;
    if (!a->headed)
        return 0;
    if (a->chunked)
        return take_chunks(a);
    a->end = a->raw.n;
    return a->end - a->body >= a->left;
}

// Sends, and receives until the answer is there: both at once, for neither may wait for the other.
// 0: there was none, for the connection was over before it; -1: it ended within; -2: it is longer
// than it may be.
static int exchange(struct slot *s, struct iovec v[2], size_t most)
{
    struct answer *a = &s->answer;
    struct msghdr m = {.msg_iov = v, .msg_iovlen = 2};
    size_t left = v[0].iov_len + v[1].iov_len;
    *a = (struct answer){.raw = {a->raw.p, 0, a->raw.room}};
    for (;;) {
        int here = left ? MSG_DONTWAIT : 0;
        ssize_t n = left ? sendmsg(s->fd, &m, MSG_NOSIGNAL | here) : 0;
        if (n < 0 && errno != EAGAIN && errno != EINTR && errno != EPIPE)
            return 0;
        for (int i = 0; n > 0 && i < 2; i++) {
            size_t part = (size_t)n < v[i].iov_len ? (size_t)n : v[i].iov_len;
            v[i] = (struct iovec){(char *)v[i].iov_base + part, v[i].iov_len - part};
            n -= (ssize_t)part;
            left -= part;
        }
        if (left) {
            struct pollfd p = {.fd = s->fd, .events = POLLIN | POLLOUT};
            if (poll(&p, 1, -1) < 0 || !(p.revents & ~POLLOUT))
                continue;
        }
        if (!bytes_room(&a->raw, ANSWER))
            return -1;
        n = recv(s->fd, a->raw.p + a->raw.n, a->raw.room - a->raw.n, here);
        if (n < 0 && (errno == EINTR || errno == EAGAIN))
            continue;
        if (n <= 0)
            return a->raw.n ? -1 : 0;
        a->raw.n += (size_t)n;
        int done = take_answer(a);
        if (done < 0)
            return -1;
        if (a->raw.n > HEAD + most + ANSWER || (a->headed && a->end - a->body > most))
            return -2;
        if (done) {
            if (left || a->closes)
                close_slot(s);
            return a->status;
        }
    }
}

// --- Requests

struct info {
    const char *subject, *reply, *data;
    int size;
    jsMsgMetaData *meta; // NULL: it is in no stream
    char id[512];        // of the message, where it is in one
};

static bool add(char *to, size_t *n, const char *format, ...)
{
    va_list args;
    va_start(args, format);
    int length = vsnprintf(to + *n, HEAD - *n, format, args);
    va_end(args);
    if (length < 0 || (size_t)length >= HEAD - *n)
        return false;
    *n += (size_t)length;
    return true;
}

// What is said of the message, and what HTTP has for itself, does not come from its headers.
static bool is_ours(const char *name)
{
    static const char *const ours[] = {"host",
                                       "content-length",
                                       "transfer-encoding",
                                       "connection",
                                       "expect",
                                       "upgrade",
                                       "trailer",
                                       "te",
                                       "keep-alive",
                                       "proxy",
                                       "nats-subject",
                                       "nats-reply",
                                       "nats-stream",
                                       "nats-sequence",
                                       "nats-num-delivered",
                                       "nebulet-error",
                                       "content-encoding",
                                       "date"};
    for (u32 i = 0; i < countof(ours); i++)
        if (!strcasecmp(name, ours[i]))
            return true;
    return false;
}

static bool is_field(const char *name, const char *value)
{
    static const char others[] = "!#$%&'*+-.^_`|~";
    if (!*name)
        return false;
    for (; *name; name++)
        if (!(*name >= '0' && *name <= '9') && !((*name | 0x20) >= 'a' && (*name | 0x20) <= 'z') &&
            !strchr(others, *name))
            return false;
    for (; *value; value++)
        if (((unsigned char)*value < ' ' && *value != '\t') || *value == 0x7f)
            return false;
    return true;
}

// Each header of a message; false: fn said so.
static bool each_header(const struct nats *n, natsMsg *m,
                        bool (*fn)(void *to, const char *name, const char *value), void *to)
{
    const char **names = NULL, **values;
    int count = 0, many;
    bool done = true;
    if (n->natsMsgHeader_Keys(m, &names, &count))
        return true;
    for (int i = 0; i < count && done; i++) {
        if (is_ours(names[i]) || n->natsMsgHeader_Values(m, names[i], &values, &many))
            continue;
        for (int k = 0; k < many && done; k++)
            done = fn(to, names[i], values[k]);
        free((void *)values);
    }
    free((void *)names);
    return done;
}

struct head {
    char *p;
    size_t n;
};

static bool add_header(void *to, const char *name, const char *value)
{
    struct head *h = to;
    return !is_field(name, value) || add(h->p, &h->n, "%s: %s\r\n", name, value);
}

static bool add_path(struct head *h, const char *subject)
{
    bool fits = add(h->p, &h->n, "POST /");
    for (; *subject && fits; subject++) {
        unsigned char c = (unsigned char)*subject;
        bool plain = (c >= '0' && c <= '9') || ((c | 0x20) >= 'a' && (c | 0x20) <= 'z') ||
                     c == '.' || c == '-' || c == '_';
        fits = plain      ? add(h->p, &h->n, "%c", c)
               : c == '/' ? add(h->p, &h->n, "_")
                          : add(h->p, &h->n, "%%%02X", c);
    }
    return fits && add(h->p, &h->n, " HTTP/1.1\r\nHost: nats\r\n");
}

// False: there is more of it than fits.
static bool make_head(struct slot *s, natsMsg *m, const struct info *i, size_t *n)
{
    struct head h = {s->head, 0};
    bool fits = add_path(&h, i->subject) &&
                add(h.p, &h.n, "Content-Length: %d\r\nNats-Subject: %s\r\n", i->size, i->subject);
    if (i->meta)
        fits = fits && add(h.p, &h.n,
                           "Nats-Stream: %s\r\nNats-Sequence: %llu\r\nNats-Num-Delivered: %llu\r\n",
                           i->meta->Stream, (unsigned long long)i->meta->Sequence.Stream,
                           (unsigned long long)i->meta->NumDelivered);
    else if (i->reply)
        fits = fits && add(h.p, &h.n, "Nats-Reply: %s\r\n", i->reply);
    fits = fits && each_header(s->w->n, m, add_header, &h) && add(h.p, &h.n, "\r\n");
    *n = h.n;
    return fits;
}

// --- What becomes of a message

enum verdict { DONE, AGAIN_LATER, NEVER };

// 0: nobody can say. Else a status of HTTP, or why there is none.
static int ask(struct slot *s, natsMsg *m, const struct info *i)
{
    size_t n, most = (size_t)s->w->n->natsConnection_GetMaxPayload(s->w->connection);
    if (!make_head(s, m, i, &n))
        return 431;
    int status = 0;
    for (int once = 0; once < 2 && !status && has_connection(s); once++) {
        struct iovec v[2] = {{s->head, n}, {(char *)i->data, (size_t)i->size}};
        status = exchange(s, v, most);
        if (status <= 0)
            close_slot(s);
    }
    return status;
}

static enum verdict verdict_of(int status)
{
    if (status == -2)
        return NEVER;
    if (status <= 0 || status >= 500 || status == 408 || status == 429)
        return AGAIN_LATER;
    return status >= 200 && status < 300 ? DONE : NEVER;
}

static const char *reason_of(int status, char text[64])
{
    static const struct {
        int status;
        const char *text;
    } known[] = {{0, "nobody could be asked"},
                 {-1, "its output broke off"},
                 {-2, "its output is longer than the server takes"},
                 {413, "the message is longer than --max-body"},
                 {431, "it has too many headers"},
                 {500, "it failed"},
                 {503, "it could not be started"},
                 {504, "it took too long"}};
    for (u32 i = 0; i < countof(known); i++)
        if (known[i].status == status)
            return known[i].text;
    snprintf(text, 64, "it answered %d", status);
    return text;
}

struct copy {
    const struct nats *n;
    natsMsg *m;
};

static bool copy_header(void *to, const char *name, const char *value)
{
    struct copy *c = to;
    c->n->natsMsgHeader_Add(c->m, name, value);
    return true;
}

// Published, and kept where a stream keeps it.
static natsStatus publish(struct worker *w, natsMsg *m, bool kept)
{
    jsErrCode code;
    return kept ? w->n->js_PublishMsg(NULL, w->js, m, NULL, &code)
                : w->n->natsConnection_PublishMsg(w->connection, m);
}

static natsStatus publish_result(struct slot *s, const struct info *i, const char *subject,
                                 bool kept)
{
    struct worker *w = s->w;
    const struct answer *a = &s->answer;
    natsMsg *m;
    natsStatus e =
        w->n->natsMsg_Create(&m, subject, NULL, a->raw.p + a->body, (int)(a->end - a->body));
    if (e)
        return e;
    if (*i->id)
        w->n->natsMsgHeader_Set(m, "Nats-Msg-Id", i->id);
    e = publish(w, m, kept);
    w->n->natsMsg_Destroy(m);
    return e;
}

// As services of NATS tell of errors.
static void reply_error(struct worker *w, const struct info *i, int status, const char *why)
{
    char code[16];
    natsMsg *m;
    if (!i->reply || i->meta || w->n->natsMsg_Create(&m, i->reply, NULL, NULL, 0))
        return;
    snprintf(code, sizeof code, "%d", status > 0 ? status : 500);
    w->n->natsMsgHeader_Set(m, "Nats-Service-Error-Code", code);
    w->n->natsMsgHeader_Set(m, "Nats-Service-Error", why);
    w->n->natsConnection_PublishMsg(w->connection, m);
    w->n->natsMsg_Destroy(m);
}

static natsStatus publish_dead(struct worker *w, natsMsg *from, const struct info *i,
                               const char *why)
{
    struct copy c = {w->n, NULL};
    char number[24];
    natsStatus e = w->n->natsMsg_Create(&c.m, w->o->dead, NULL, i->data, i->size);
    if (e)
        return e;
    each_header(w->n, from, copy_header, &c);
    w->n->natsMsgHeader_Set(c.m, "Nats-Subject", i->subject);
    w->n->natsMsgHeader_Set(c.m, "Nebulet-Error", why);
    if (i->meta) {
        snprintf(number, sizeof number, "%llu", (unsigned long long)i->meta->Sequence.Stream);
        w->n->natsMsgHeader_Set(c.m, "Nats-Stream", i->meta->Stream);
        w->n->natsMsgHeader_Set(c.m, "Nats-Sequence", number);
        snprintf(number, sizeof number, "%llu", (unsigned long long)i->meta->NumDelivered);
        w->n->natsMsgHeader_Set(c.m, "Nats-Num-Delivered", number);
        w->n->natsMsgHeader_Set(c.m, "Nats-Msg-Id", i->id);
    }
    e = publish(w, c.m, w->dead_kept);
    w->n->natsMsg_Destroy(c.m);
    return e;
}

static void try_again(struct worker *w, natsMsg *m, const struct info *i)
{
    u64 times = i->meta->NumDelivered;
    s64 delay = w->retry;
    for (u64 k = 1; k < times && delay < 60 * second; k++)
        delay *= 2;
    delay = delay < 60 * second || delay == w->retry ? delay : 60 * second;
    COUNT(w->again);
    if (w->n->natsMsg_NakWithDelay(m, delay / 1000000, NULL))
        return; // it comes again when nobody has acknowledged it in time
}

// It comes again when this could not be told to who wants it.
static void give_up(struct worker *w, natsMsg *m, const struct info *i, const char *why)
{
    natsStatus e = w->o->dead ? publish_dead(w, m, i, why) : NATS_OK;
    if (e)
        say("--dead %s: %s", w->o->dead, w->n->natsStatus_GetText(e));
    if (e && i->meta) {
        try_again(w, m, i);
        return;
    }
    COUNT(w->gone);
    if (!i->meta)
        return;
    say("%s, message %llu of %s: given up after %llu deliveries: %s", i->subject,
        (unsigned long long)i->meta->Sequence.Stream, i->meta->Stream,
        (unsigned long long)i->meta->NumDelivered, why);
    w->n->natsMsg_Term(m, NULL);
}

static bool tell_result(struct slot *s, natsMsg *m, const struct info *i)
{
    struct worker *w = s->w;
    natsStatus e = NATS_OK;
    if (w->o->result)
        e = publish_result(s, i, w->o->result, w->result_kept);
    if (!e && i->reply && !i->meta)
        e = publish_result(s, i, i->reply, false);
    if (!e && i->meta)
        e = w->n->natsMsg_Ack(m, NULL);
    if (e)
        say("the result of %s: %s", i->subject, w->n->natsStatus_GetText(e));
    return !e;
}

static void settle(struct slot *s, natsMsg *m, const struct info *i, int status)
{
    char text[64];
    struct worker *w = s->w;
    enum verdict v = verdict_of(status);
    if (v == DONE && tell_result(s, m, i)) {
        COUNT(w->succeeded);
        return;
    }
    const char *why = v == DONE ? "its result could not be published" : reason_of(status, text);
    if (i->meta && (v == DONE || (v == AGAIN_LATER && i->meta->NumDelivered < w->deliveries))) {
        try_again(w, m, i);
        return;
    }
    reply_error(w, i, status, why);
    give_up(w, m, i, why);
}

static void work_on(struct slot *s, natsMsg *m)
{
    struct worker *w = s->w;
    struct info i = {.subject = w->n->natsMsg_GetSubject(m),
                     .reply = w->n->natsMsg_GetReply(m),
                     .data = w->n->natsMsg_GetData(m),
                     .size = w->n->natsMsg_GetDataLength(m)};
    if (w->js && !w->n->natsMsg_GetMetaData(&i.meta, m))
        snprintf(i.id, sizeof i.id, "%s.%s.%llu", i.meta->Stream, i.meta->Consumer,
                 (unsigned long long)i.meta->Sequence.Stream);
    if (i.meta && i.meta->NumDelivered > w->deliveries)
        give_up(w, m, &i, "no worker has lived to say what became of it");
    else
        settle(s, m, &i, ask(s, m, &i));
    if (i.meta)
        w->n->jsMsgMetaData_Destroy(i.meta);
    w->n->natsMsg_Destroy(m);
    struct bytes *b = &s->answer.raw;
    if (b->room > ANSWER_KEPT) {
        free(b->p);
        *b = (struct bytes){0};
    }
}

// --- Slots

static bool fetch_from_stream(struct worker *w, int want)
{
    jsErrCode code = 0;
    if (GET(w->ending))
        return false;
    natsStatus e = w->n->natsSubscription_Fetch(&w->batch, w->subscription, want, FETCH_MS, &code);
    if (e && e != NATS_TIMEOUT) {
        if (!GET(w->told) && !GET(w->ending))
            say("stream %s: %s", w->o->jetstream, w->n->natsStatus_GetText(e));
        SET(w->told, true);
        pause_ms(PAUSE_MS);
    } else {
        SET(w->told, false);
    }
    return true;
}

// At the end what the server has sent us is still answered.
static bool fetch_from_subject(struct worker *w, int want)
{
    bool ending = GET(w->ending);
    if (ending && !w->draining) {
        w->draining = true;
        w->n->natsSubscription_Drain(w->subscription);
    }
    s64 patience = ending ? PAUSE_MS : FETCH_MS;
    natsStatus e = NATS_OK;
    for (; w->batch.Count < want && !e; patience = 0) {
        natsMsg *m = NULL;
        e = w->n->natsSubscription_NextMsg(&m, w->subscription, patience);
        if (!e)
            w->batch.Msgs[w->batch.Count++] = m;
    }
    if (e && e != NATS_TIMEOUT && !ending)
        pause_ms(PAUSE_MS);
    return !ending || w->batch.Count ||
           (e == NATS_TIMEOUT && w->n->natsSubscription_IsValid(w->subscription));
}

// With the lock, which is given back meanwhile.
static void fetch(struct worker *w)
{
    int want = (int)w->idle;
    w->fetching = true;
    pthread_mutex_unlock(&w->lock);
    w->next = 0;
    if (w->js)
        w->n->natsMsgList_Destroy(&w->batch);
    w->batch.Count = 0;
    bool more = w->js ? fetch_from_stream(w, want) : fetch_from_subject(w, want);
    pthread_mutex_lock(&w->lock);
    w->fetching = false;
    w->drained = !more;
    // One is ours; who finds none fetches.
    for (int i = 0; i < w->batch.Count; i++)
        pthread_cond_signal(&w->turn);
    if (!more)
        pthread_cond_broadcast(&w->turn);
}

// NULL: there are no more.
static natsMsg *take(struct worker *w)
{
    natsMsg *m = NULL;
    pthread_mutex_lock(&w->lock);
    w->idle++;
    for (;;) {
        if (!w->fetching && w->next < w->batch.Count) {
            m = w->batch.Msgs[w->next];
            w->batch.Msgs[w->next++] = NULL;
            break;
        }
        if (w->drained)
            break;
        if (w->fetching)
            pthread_cond_wait(&w->turn, &w->lock);
        else
            fetch(w);
    }
    w->idle--;
    pthread_mutex_unlock(&w->lock);
    return m;
}

static void *run_slot(void *slot)
{
    struct slot *s = slot;
    struct worker *w = s->w;
    for (natsMsg *m; (m = take(w));)
        work_on(s, m);
    close_slot(s);
    pthread_mutex_lock(&w->lock);
    w->active--;
    pthread_cond_signal(&w->done);
    pthread_mutex_unlock(&w->lock);
    return NULL;
}

// --- The end

static void *end_all(void *worker)
{
    struct worker *w = worker;
    struct timespec until;
    s64 grace = w->o->grace ? (s64)w->o->grace : 30 * second;
    while (sem_wait(&w->ask))
        ;
    clock_gettime(CLOCK_REALTIME, &until);
    until.tv_sec += grace / second;
    until.tv_nsec += grace % second;
    until.tv_sec += until.tv_nsec / second;
    until.tv_nsec %= second;
    pthread_mutex_lock(&w->lock);
    while (w->active && pthread_cond_timedwait(&w->done, &w->lock, &until) != ETIMEDOUT)
        ;
    w->left = w->active != 0;
    pthread_mutex_unlock(&w->lock);
    if (w->left)
        say("worker: the grace is over, and something is still worked on");
    natsStatus e = w->n->natsConnection_FlushTimeout(w->connection, 5000);
    if (e)
        say("what was published last may be lost: %s", w->n->natsStatus_GetText(e));
    SET(w->failed, w->left || e);
    SET(w->over, true);
    sem_post(&w->wanted);
    if (write(w->bell, &(u64){1}, 8) < 0)
        say("worker: %s", strerror(errno));
    return NULL;
}

bool worker_over(struct worker *w)
{
    if (GET(w->over))
        return true;
    SET(w->ending, true);
    sem_post(&w->ask);
    return false;
}

static bool start_thread(void *(*run)(void *), void *argument)
{
    pthread_t thread;
    pthread_attr_t a;
    bool done = !pthread_attr_init(&a) && !pthread_attr_setstacksize(&a, STACK) &&
                !pthread_attr_setdetachstate(&a, PTHREAD_CREATE_DETACHED) &&
                !pthread_create(&thread, &a, run, argument);
    if (!done)
        complain("cannot start a thread");
    return done;
}

bool worker_begin(struct worker *w, int bell)
{
    w->bell = bell;
    w->active = w->count;
    bool done = start_thread(end_all, w);
    if (done && plat_cpu_start(WORKER_CPU, connect_slots, w)) {
        complain("cannot start a thread");
        done = false;
    }
    for (u32 i = 0; i < w->count && done; i++)
        done = start_thread(run_slot, &w->slots[i]);
    if (done)
        return true;
    w->left = true; // whatever has begun is still there
    SET(w->ending, true);
    SET(w->over, true);
    return false;
}

bool worker_close(struct worker *w)
{
    if (!w)
        return true;
    if (w->left) { // slots are still at it, and nothing may be taken from under them
        fflush(NULL);
        _exit(EXIT_ERROR);
    }
    if (w->connection)
        w->n->natsConnection_Destroy(w->connection);
    return !w->failed;
}

// --- Metrics

static status tell_more(struct channel *c)
{
    struct worker *w = container_of(c->outside, struct worker, more);
    char text[1500];
    s64 dropped = 0;
    bool connected = w->n->natsConnection_Status(w->connection) == NATS_CONN_STATUS_CONNECTED;
    w->n->natsSubscription_GetDropped(w->subscription, (int64_t *)&dropped);
    int n =
        snprintf(text, sizeof text,
                 "%c# TYPE nebulet_messages_total counter\n"
                 "nebulet_messages_total{result=\"done\"} %llu\n"
                 "nebulet_messages_total{result=\"again\"} %llu\n"
                 "nebulet_messages_total{result=\"given_up\"} %llu\n"
                 "# TYPE nebulet_messages_dropped_total counter\n"
                 "nebulet_messages_dropped_total %lld\n"
                 "# TYPE nebulet_nats_connected gauge\n"
                 "nebulet_nats_connected %d\n"
                 "# TYPE nebulet_nats_reconnects_total counter\n"
                 "nebulet_nats_reconnects_total %llu\n",
                 connected && !GET(w->ending) ? '1' : '0', (unsigned long long)GET(w->succeeded),
                 (unsigned long long)GET(w->again), (unsigned long long)GET(w->gone),
                 (long long)dropped, connected, (unsigned long long)GET(w->reconnects));
    kern_acquire();
    status s = channel_push(c, (const u8 *)text, (u32)n, NULL, 0);
    kern_release();
    return s;
}

// It lies in the worker, which stays.
static void more_gone(struct channel *c)
{
    (void)c;
}

bool worker_attach(struct worker *w, u32 number, u32 servers, struct channel **connections,
                   struct channel **more)
{
    struct channel *c = NULL;
    *more = NULL;
    if (channel_new(&w->from[number], &w->to[number]))
        return complain("out of memory"), false;
    w->more = (struct outside_channel){.pull = tell_more, .gone = more_gone};
    if (!number && channel_new_outside(&w->more, &c))
        return complain("out of memory"), false;
    for (u32 i = 0; i < w->count; i++)
        w->slots[i].server = i % servers;
    object_ref(&w->to[number]->object);
    *connections = w->to[number];
    *more = c;
    return true;
}

// --- The beginning

static void on_disconnect(natsConnection *c, void *worker)
{
    struct worker *w = worker;
    (void)c;
    if (!GET(w->over))
        say("the connection to NATS is lost");
}

static void on_reconnect(natsConnection *c, void *worker)
{
    struct worker *w = worker;
    char url[256] = "";
    w->n->natsConnection_GetConnectedUrl(c, url, sizeof url);
    COUNT(w->reconnects);
    const char *at = strrchr(url, '@'); // before it stands who we are
    say("connected to NATS again: %s", at ? at + 1 : url);
}

static void on_error(natsConnection *c, natsSubscription *s, natsStatus e, void *worker)
{
    struct worker *w = worker;
    (void)c, (void)s;
    say("NATS: %s%s", w->n->natsStatus_GetText(e),
        e == NATS_SLOW_CONSUMER ? ": messages are dropped, for they come faster than they are "
                                  "worked on; JetStream would keep them"
                                : "");
}

static bool failed(struct worker *w, const char *what, natsStatus e)
{
    const char *more = w->n->nats_GetLastError(NULL);
    if (e)
        say("%s: %s%s%s", what, w->n->natsStatus_GetText(e), more && *more ? ": " : "",
            more && *more ? more : "");
    return e != NATS_OK;
}

static bool set_options(struct worker *w, natsOptions *p)
{
    const struct nats *n = w->n;
    const struct options *o = w->o;
    return !failed(w, "--nats",
                   n->natsOptions_SetURL(p, o->nats ? o->nats : "nats://127.0.0.1:4222")) &&
           !failed(w, "NATS", n->natsOptions_SetName(p, "nebulet worker")) &&
           !failed(w, "NATS", n->natsOptions_SetMaxReconnect(p, -1)) &&
           !failed(w, "NATS", n->natsOptions_SetReconnectWait(p, 250)) &&
           !failed(w, "NATS", n->natsOptions_SetDisconnectedCB(p, on_disconnect, w)) &&
           !failed(w, "NATS", n->natsOptions_SetReconnectedCB(p, on_reconnect, w)) &&
           !failed(w, "NATS", n->natsOptions_SetErrorHandler(p, on_error, w)) &&
           (!o->creds ||
            !failed(w, "--creds", n->natsOptions_SetUserCredentialsFromFiles(p, o->creds, NULL))) &&
           (!o->tls || !failed(w, "--tls", n->natsOptions_SetSecure(p, true))) &&
           (!o->tls_ca ||
            !failed(w, "--tls-ca", n->natsOptions_LoadCATrustedCertificates(p, o->tls_ca))) &&
           (!o->tls_cert ||
            !failed(w, "--tls-cert, --tls-key",
                    n->natsOptions_LoadCertificatesChain(p, o->tls_cert, o->tls_key)));
}

static bool connect_to(struct worker *w)
{
    natsOptions *p;
    if (failed(w, "NATS", w->n->natsOptions_Create(&p)))
        return false;
    bool done = set_options(w, p) && !failed(w, "no connection to NATS",
                                             w->n->natsConnection_Connect(&w->connection, p));
    w->n->natsOptions_Destroy(p);
    return done;
}

// Whether a stream has what is published there: then it is asked to say so.
static bool is_kept(struct worker *w, const char *subject)
{
    char ask_for[600];
    natsMsg *m = NULL;
    if (!subject || strpbrk(subject, "\"\\"))
        return false;
    snprintf(ask_for, sizeof ask_for, "{\"subject\":\"%s\"}", subject);
    if (w->n->natsConnection_RequestString(&m, w->connection, "$JS.API.STREAM.NAMES", ask_for,
                                           5000))
        return false;
    const char *data = w->n->natsMsg_GetData(m);
    size_t n = (size_t)w->n->natsMsg_GetDataLength(m);
    bool kept = memmem(data, n, "\"streams\":[\"", 12) != NULL;
    w->n->natsMsg_Destroy(m);
    return kept;
}

// There is none yet: it waits for as long as a process may take, and gives nothing up, which is
// ours to do, so that it is told.
static bool make_consumer(struct worker *w)
{
    const struct options *o = w->o;
    jsConsumerConfig c;
    jsErrCode code = 0;
    w->n->jsConsumerConfig_Init(&c);
    c.Durable = o->durable;
    c.AckPolicy = js_AckExplicit;
    c.AckWait = (s64)(o->max_time ? o->max_time : 30 * (u64)second) + 30 * second;
    c.MaxAckPending = 65536;
    c.FilterSubject = o->subject;
    return !failed(w, "--durable",
                   w->n->js_AddConsumer(NULL, w->js, o->jetstream, &c, NULL, &code));
}

static void look_at_consumer(struct worker *w, const jsConsumerConfig *c)
{
    s64 time = (s64)(w->o->max_time ? w->o->max_time : 30 * (u64)second);
    if (c->MaxDeliver > 0 && (u64)c->MaxDeliver < w->deliveries)
        w->deliveries = (u64)c->MaxDeliver; // else the last one would be told to nobody
    if (c->AckWait && c->AckWait < time)
        say("--durable %s: messages come again after %lld s, when others may still work on them "
            "(--max-time %lld)",
            w->o->durable, (long long)(c->AckWait / second), (long long)(time / second));
}

static bool open_stream(struct worker *w)
{
    const struct options *o = w->o;
    jsErrCode code = 0;
    jsConsumerInfo *c = NULL;
    jsSubOptions so;
    if (failed(w, "JetStream", w->n->natsConnection_JetStream(&w->js, w->connection, NULL)))
        return false;
    natsStatus e = w->n->js_GetConsumerInfo(&c, w->js, o->jetstream, o->durable, NULL, &code);
    if (e == NATS_NOT_FOUND && code != 10059) { // there is a stream
        if (!make_consumer(w))
            return false;
        e = w->n->js_GetConsumerInfo(&c, w->js, o->jetstream, o->durable, NULL, &code);
    }
    if (e)
        return !failed(w, "--jetstream", e);
    look_at_consumer(w, c->Config);
    w->n->jsConsumerInfo_Destroy(c);
    w->result_kept = is_kept(w, o->result);
    w->dead_kept = is_kept(w, o->dead);
    w->n->jsSubOptions_Init(&so);
    so.Stream = o->jetstream;
    so.Consumer = o->durable;
    return !failed(
        w, "--jetstream",
        w->n->js_PullSubscribe(&w->subscription, w->js, o->subject, o->durable, NULL, &so, &code));
}

static bool open_subject(struct worker *w)
{
    w->batch.Msgs = calloc(w->count, sizeof *w->batch.Msgs);
    if (!w->batch.Msgs)
        return complain("out of memory"), false;
    return !failed(w, "--subject",
                   w->n->natsConnection_QueueSubscribeSync(
                       &w->subscription, w->connection, w->o->subject,
                       w->o->group ? w->o->group : "nebulet")) &&
           !failed(w, "--subject", w->n->natsConnection_FlushTimeout(w->connection, 5000));
}

static bool make_slots(struct worker *w)
{
    w->count = w->o->max_processes ? (u32)w->o->max_processes : SLOTS;
    if (!(w->slots = calloc(w->count, sizeof *w->slots)))
        return complain("out of memory"), false;
    for (u32 i = 0; i < w->count; i++) {
        w->slots[i].w = w;
        w->slots[i].fd = -1;
        sem_init(&w->slots[i].connected, 0, 0);
    }
    return true;
}

bool worker_open(const struct options *o, struct worker **out)
{
    const struct nats *n = nats_open();
    struct worker *w = n ? calloc(1, sizeof *w) : NULL;
    if (!w)
        return n ? complain("out of memory"), false : false;
    *out = w;
    w->n = n;
    w->o = o;
    w->deliveries = o->deliveries ? o->deliveries : DELIVERIES;
    w->retry = o->retry ? (s64)o->retry : second;
    pthread_mutex_init(&w->lock, NULL);
    pthread_cond_init(&w->turn, NULL);
    pthread_cond_init(&w->done, NULL);
    sem_init(&w->ask, 0, 0);
    sem_init(&w->wanted, 0, 0);
    return make_slots(w) && connect_to(w) && (o->jetstream ? open_stream(w) : open_subject(w));
}
#endif
