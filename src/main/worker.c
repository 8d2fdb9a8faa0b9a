// SPDX-License-Identifier: MIT
// Messages of NATS as requests of HTTP: see worker.h.
//
//   nats-server ══ libnats ── take ──> a slot ── streams ── user/svc/http ──> a process
//                        <── publish, acknowledge ──┘
//
// As many slots are there as processes may run at once, and a slot has one message from its arrival
// until what has become of it is known to the server. So nothing is taken that nobody works on:
// what waits, waits at the server.
//
// All of it is one loop on a CPU of its own, which libnats has as its event loop: it reads what the
// server says, gives messages to slots, publishes what slots answer, and never waits for one of
// them; what is published goes out once a turn. Whatever the server is asked for is answered by a
// message as well: those of a stream come after requests for so many of them (pulls), and that a
// result is kept comes to the inbox that was named with it.
//
//   a slot: idle ──give──> ASKED ──answer──> settled: idle
//                                       └──> KEEPING, until a stream has said so ──> settled: idle
//                                             └──> HELD, if it does not, and KEEPING again
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
#include <pthread.h>
#include <semaphore.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <time.h>
#include <unistd.h>

#include "base/fmt.h"
#include "kern/sched.h"
#include "main/host.h"
#include "main/message.h"
#include "main/slot.h"
#include "plat/plat.h"

enum {
    SLOTS = 64,
    SERVERS = 16,
    DELIVERIES = 5,
    PULLS = 8, // under way at once
    STACK = 128 << 10,
    INBOX = 64,
    MUCH = 8,
    DROPPED = 256,
    DROPPED_BYTES = 1 << 20,
    PAYLOAD_MAX = 64 << 20, // no server of NATS takes more
};
static const u64 second = 1000000000, ms = 1000000;
static const u64 pull_lasts = second, keeping_lasts = 5 * second, pause_lasts = 100 * ms,
                 turn_lasts = ms / 4;

enum phase { IDLE, ASKED, KEEPING, HELD };

struct work {
    struct slot slot;
    struct worker *w;
    enum phase phase;
    bool waits, asked_twice, complained; // waits: for a connection that is free
    bool buries;  // what a stream is to keep is no result, but a message that is given up
    char why[64]; // it is
    natsMsg *m;
    struct info i;
    size_t head_size;
    u64 turn, until; // KEEPING: what names it, and when patience is over, as that of HELD is
    char head[MESSAGE_HEAD];
};

struct pull {
    u64 id, until;
    u32 left;
};

struct worker {
    const struct nats *n;
    const struct options *o;
    natsConnection *connection;
    natsSubscription *subscription; // of a stream: to the inbox
    bool of_stream;
    bool result_kept, dead_kept; // by a stream, which says so
    u64 deliveries, retry;
    u32 servers;
    struct channel *to[SERVERS], *from[SERVERS];
    struct outside_channel more;
    char inbox[INBOX];
    size_t inbox_n;
    // The loop's.
    struct slots slots;
    struct work *all, **free;
    u32 count, idle, waiting;
    natsMsg **backlog; // `count` at most: they came without having been asked for
    u32 nbacklog;
    natsMsg *dropped[DROPPED];
    u32 ndropped;
    u64 dropped_bytes;
    struct pull pulls[PULLS];
    u64 names, next_pull, next_look, turned;
    bool draining, drained, told, finished;
    // The server's socket, and whether it is polled for writing, too.
    int poll;
    bool polls_writing;
    // The rest are atomics.
    natsConnection *attached;
    int fd;
    sem_t ask, done, stopped;
    bool runs, begun, ending, over, writes, anew, failed, left;
    int bell;
    u64 succeeded, again, gone, held, reconnects; // held: results that nobody has taken so far
};

#define GET(x) __atomic_load_n(&(x), __ATOMIC_ACQUIRE)
#define SET(x, v) __atomic_store_n(&(x), v, __ATOMIC_RELEASE)
#define COUNT(x) __atomic_fetch_add(&(x), 1, __ATOMIC_RELAXED)

// A line of one write: threads do not mix theirs. What messages say is shown as text.
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

// --- What becomes of a message

enum verdict { DONE, AGAIN_LATER, NEVER };

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
    } known[] = {{-3, "there is no memory for it"},
                 {0, "nobody could be asked"},
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

static natsStatus publish(struct worker *w, const char *subject, const void *data, int size)
{
    return w->n->natsConnection_Publish(w->connection, subject, data, size);
}

// libnats leaves it to a thread of its own to free messages, which is woken for one, and busy with
// many: so they are given to it many at a time.
static void drop_all(struct worker *w)
{
    while (w->ndropped)
        w->n->natsMsg_Destroy(w->dropped[--w->ndropped]);
    w->dropped_bytes = 0;
}

static void drop(struct worker *w, natsMsg *m)
{
    w->dropped_bytes += (u64)w->n->natsMsg_GetDataLength(m);
    w->dropped[w->ndropped++] = m;
    if (w->ndropped == DROPPED || w->dropped_bytes > DROPPED_BYTES)
        drop_all(w);
}

// What is said of a message in a stream. It comes again when that is lost.
static natsStatus answer_stream(struct work *x, const char *what)
{
    return publish(x->w, x->i.reply, what, (int)strlen(what));
}

// The slot is free when its connection is.
static void let_go(struct work *x)
{
    struct worker *w = x->w;
    drop(w, x->m);
    x->m = NULL;
    x->phase = IDLE;
    if (x->complained && x->i.of_stream)
        __atomic_fetch_sub(&w->held, 1, __ATOMIC_RELAXED);
    if (slot_free(&x->slot))
        w->free[w->idle++] = x;
}

static void try_again(struct work *x)
{
    struct worker *w = x->w;
    char text[64];
    u64 delay = w->retry, most = 60 * second;
    for (u64 k = 1; k < x->i.deliveries && delay < most; k++)
        delay *= 2;
    delay = delay < most || delay == w->retry ? delay : most;
    COUNT(w->again);
    snprintf(text, sizeof text, "-NAK {\"delay\":%llu}", (unsigned long long)delay);
    answer_stream(x, text);
    let_go(x);
}

static void bury(struct work *x)
{
    const struct info *i = &x->i;
    COUNT(x->w->gone);
    if (i->of_stream) {
        say("%s, message %llu of %.*s: given up after %llu deliveries: %s", i->subject,
            (unsigned long long)i->number, i->stream_n, i->stream,
            (unsigned long long)i->deliveries, x->why);
        answer_stream(x, "+TERM");
    }
    let_go(x);
}

// Where a stream is to keep it: what it says then comes to the inbox by this name.
static natsStatus new_message(struct work *x, natsMsg **m, const char *subject, bool kept,
                              const char *data, size_t size)
{
    struct worker *w = x->w;
    char reply[INBOX + 48];
    snprintf(reply, sizeof reply, "%sr.%zu.%llu", w->inbox, (size_t)(x - w->all),
             (unsigned long long)++x->turn);
    natsStatus e = w->n->natsMsg_Create(m, subject, kept ? reply : NULL, data, (int)size);
    if (!e && *x->i.id)
        w->n->natsMsgHeader_Set(*m, "Nats-Msg-Id", x->i.id);
    return e;
}

static void wait_with(struct work *x, enum phase phase, u64 patience)
{
    x->w->waiting++;
    x->phase = phase;
    x->until = plat_now() + patience;
}

static natsStatus publish_message(struct work *x, natsMsg *m, bool kept)
{
    struct worker *w = x->w;
    natsStatus e = w->n->natsConnection_PublishMsg(w->connection, m);
    drop(w, m);
    if (!e && kept)
        wait_with(x, KEEPING, keeping_lasts);
    return e;
}

static natsStatus publish_dead(struct work *x)
{
    struct worker *w = x->w;
    const struct info *i = &x->i;
    natsMsg *m;
    char text[300];
    natsStatus e = new_message(x, &m, w->o->dead, w->dead_kept, i->data, (size_t)i->size);
    if (e)
        return e;
    message_copy_headers(w->n, x->m, m);
    w->n->natsMsgHeader_Set(m, "Nats-Subject", i->subject);
    w->n->natsMsgHeader_Set(m, "Nebulet-Error", x->why);
    if (i->of_stream) {
        w->n->natsMsgHeader_Set(m, "Nats-Msg-Id", i->id); // and no sender's
        snprintf(text, sizeof text, "%.*s", i->stream_n, i->stream);
        w->n->natsMsgHeader_Set(m, "Nats-Stream", text);
        snprintf(text, sizeof text, "%llu", (unsigned long long)i->number);
        w->n->natsMsgHeader_Set(m, "Nats-Sequence", text);
        snprintf(text, sizeof text, "%llu", (unsigned long long)i->deliveries);
        w->n->natsMsgHeader_Set(m, "Nats-Num-Delivered", text);
    }
    return publish_message(x, m, w->dead_kept);
}

// It comes again when this could not be told to who wants it, unless it never can be.
static void not_buried(struct work *x, const char *why, bool ever)
{
    say("--dead %s: %s", x->w->o->dead, why);
    if (x->i.of_stream && ever)
        try_again(x);
    else
        bury(x);
}

static void give_up(struct work *x)
{
    struct worker *w = x->w;
    natsStatus e = w->o->dead ? publish_dead(x) : NATS_OK;
    if (e)
        not_buried(x, w->n->natsStatus_GetText(e), e != NATS_MAX_PAYLOAD);
    else if (x->phase != KEEPING)
        bury(x);
    else
        x->buries = true;
}

// As services of NATS tell of errors.
static void reply_error(struct work *x, int status)
{
    struct worker *w = x->w;
    char code[16];
    natsMsg *m;
    if (!x->i.reply || x->i.of_stream || w->n->natsMsg_Create(&m, x->i.reply, NULL, NULL, 0))
        return;
    snprintf(code, sizeof code, "%d", status > 0 ? status : 500);
    w->n->natsMsgHeader_Set(m, "Nats-Service-Error-Code", code);
    w->n->natsMsgHeader_Set(m, "Nats-Service-Error", x->why);
    w->n->natsConnection_PublishMsg(w->connection, m);
    drop(w, m);
}

static void give_up_result(struct work *x, const char *why)
{
    snprintf(x->why, sizeof x->why, "%s", why);
    reply_error(x, 500);
    give_up(x);
}

// Of a stream it is held, and told again later: the work is done, and whoever takes no results now
// is not helped by more of them.
static void not_told(struct work *x, const char *why)
{
    if (!x->complained)
        say("the result of %s: %s", x->i.subject, why);
    if (!x->complained && x->i.of_stream)
        COUNT(x->w->held);
    x->complained = true;
    if (x->i.of_stream)
        wait_with(x, HELD, x->w->retry);
    else
        give_up_result(x, "its result could not be published");
}

static void done(struct work *x)
{
    natsStatus e = x->i.of_stream ? answer_stream(x, "+ACK") : NATS_OK;
    if (e) {
        not_told(x, x->w->n->natsStatus_GetText(e));
        return;
    }
    COUNT(x->w->succeeded);
    let_go(x);
}

static void tell_result(struct work *x)
{
    struct worker *w = x->w;
    const struct answer *a = &x->slot.answer;
    const char *data = a->raw.p + a->body;
    size_t size = a->end - a->body;
    natsStatus e = NATS_OK;
    natsMsg *m;
    char text[64];
    if (w->o->result && !(e = new_message(x, &m, w->o->result, w->result_kept, data, size)))
        e = publish_message(x, m, w->result_kept);
    if (!e && x->i.reply && !x->i.of_stream)
        e = publish(w, x->i.reply, data, (int)size);
    if (e == NATS_MAX_PAYLOAD) // with its header; and never will be shorter
        give_up_result(x, reason_of(-2, text));
    else if (e)
        not_told(x, w->n->natsStatus_GetText(e));
    else if (x->phase != KEEPING)
        done(x);
}

static void settle(struct work *x, int status)
{
    enum verdict v = verdict_of(status);
    char text[64];
    if (v == DONE) {
        tell_result(x);
    } else if (v == AGAIN_LATER && x->i.of_stream && x->i.deliveries < x->w->deliveries) {
        try_again(x);
    } else {
        snprintf(x->why, sizeof x->why, "%s", reason_of(status, text));
        reply_error(x, status);
        give_up(x);
    }
}

static void hold_no_longer(struct work *x)
{
    x->w->waiting--;
    x->phase = ASKED;
}

// What a stream says of what it was to keep: why not, or NULL.
static void kept(struct work *x, const char *why)
{
    hold_no_longer(x);
    if (x->buries && why)
        not_buried(x, why, true);
    else if (x->buries)
        bury(x);
    else if (why)
        not_told(x, why);
    else
        done(x);
}

// Nobody else is to have it meanwhile; at the end, somebody else is.
static void tell_again(struct work *x)
{
    hold_no_longer(x);
    if (GET(x->w->ending)) {
        try_again(x);
        return;
    }
    answer_stream(x, "+WPI");
    tell_result(x);
}

// --- Slots

static void give(struct work *x)
{
    struct worker *w = x->w;
    struct iovec request[2] = {{x->head, x->head_size}, {(char *)x->i.data, (size_t)x->i.size}};
    u64 most = (u64)w->n->natsConnection_GetMaxPayload(w->connection); // as the server says
    x->waits = !slot_give(&x->slot, request, most < PAYLOAD_MAX ? most : PAYLOAD_MAX);
}

// There is an idle slot.
static void start(struct worker *w, natsMsg *m)
{
    struct work *x = w->free[--w->idle];
    x->m = m;
    x->phase = ASKED;
    x->asked_twice = x->complained = x->buries = false;
    message_read(w->n, m, w->of_stream, &x->i);
    if (x->i.of_stream && x->i.deliveries > w->deliveries) {
        snprintf(x->why, sizeof x->why, "no worker has lived to say what became of it");
        give_up(x);
    } else if (message_head(w->n, m, &x->i, x->head, &x->head_size)) {
        give(x);
    } else {
        settle(x, 431);
    }
}

static void hear_slots(struct worker *w)
{
    for (struct slot *s = slots_take(&w->slots), *next; s; s = next) {
        struct work *x = container_of(s, struct work, slot);
        next = s->next;
        if (x->phase == IDLE) {
            w->free[w->idle++] = x;
        } else if (x->waits) {
            give(x);
        } else if (!s->status && !x->asked_twice) { // the connection was just ending
            x->asked_twice = true;
            give(x);
        } else {
            settle(x, s->status);
        }
    }
}

// --- Messages of a subject

// At the end what the server has sent us is still answered.
static void take_from_subject(struct worker *w)
{
    bool ending = GET(w->ending);
    natsStatus e = NATS_OK;
    if (ending && !w->draining) {
        w->draining = true;
        w->n->natsSubscription_Drain(w->subscription);
    }
    while (w->idle && !e) {
        natsMsg *m = NULL;
        e = w->n->natsSubscription_NextMsg(&m, w->subscription, ending);
        if (!e)
            start(w, m);
    }
    w->drained =
        ending && e && (e != NATS_TIMEOUT || !w->n->natsSubscription_IsValid(w->subscription));
}

// --- Messages of a stream

static u32 asked_for(const struct worker *w)
{
    u32 n = 0;
    for (u32 i = 0; i < PULLS; i++)
        n += w->pulls[i].left;
    return n;
}

// Of the oldest ones. The server may count otherwise, but the sum is the same.
static void came(struct worker *w, u32 n)
{
    while (n) {
        struct pull *first = NULL;
        for (struct pull *p = w->pulls; p < w->pulls + PULLS; p++)
            if (p->left && (!first || p->id < first->id))
                first = p;
        if (!first)
            return;
        u32 part = n < first->left ? n : first->left;
        first->left -= part;
        n -= part;
    }
}

// As many as there are idle slots, but not a few while others are still to come.
static void pull(struct worker *w, u64 now)
{
    u32 coming = asked_for(w) + w->nbacklog;
    u32 want = coming < w->idle ? w->idle - coming : 0;
    struct pull *p = w->pulls;
    while (p < w->pulls + PULLS && p->left)
        p++;
    if (!want || (coming && want < (w->count + 3) / 4) || now < w->next_pull || GET(w->ending) ||
        p == w->pulls + PULLS)
        return;
    char subject[600], reply[INBOX + 32], text[80];
    *p = (struct pull){.id = ++w->names, .left = want, .until = now + 2 * pull_lasts};
    snprintf(subject, sizeof subject, "$JS.API.CONSUMER.MSG.NEXT.%s.%s", w->o->jetstream,
             w->o->durable);
    snprintf(reply, sizeof reply, "%sp.%llu", w->inbox, (unsigned long long)p->id);
    int n = snprintf(text, sizeof text, "{\"batch\":%u,\"expires\":%llu}", want,
                     (unsigned long long)pull_lasts);
    if (w->n->natsConnection_PublishRequest(w->connection, subject, reply, text, n)) {
        p->left = 0;
        w->next_pull = now + pause_lasts;
    }
}

static const char *header_of(struct worker *w, natsMsg *m, const char *name)
{
    const char *value = NULL;
    return w->n->natsMsgHeader_Get(m, name, &value) ? NULL : value;
}

// A pull is over, with some of it left.
static void hear_pull(struct worker *w, natsMsg *m, const char *name)
{
    const char *status = header_of(w, m, "Status"),
               *left = header_of(w, m, "Nats-Pending-Messages");
    const char *why = header_of(w, m, "Description");
    u64 id = strtoull(name, NULL, 10);
    if (!status || !strcmp(status, "100"))
        return;
    for (struct pull *p = w->pulls; p < w->pulls + PULLS; p++) {
        if (p->id != id)
            continue;
        u32 n = left ? (u32)strtoul(left, NULL, 10) : p->left, own = n < p->left ? n : p->left;
        p->left -= own;
        came(w, n - own);
    }
    if (!strcmp(status, "404") || !strcmp(status, "408")) {
        w->told = false;
        return;
    }
    if (!w->told && !GET(w->ending))
        say("stream %s: %s", w->o->jetstream,
            why                      ? why
            : !strcmp(status, "503") ? "there is nobody who has it"
                                     : status);
    w->told = true;
    w->next_pull = plat_now() + pause_lasts;
}

static void hear_kept(struct worker *w, natsMsg *m, const char *name)
{
    char *end;
    u64 number = strtoull(name, &end, 10), turn = *end ? strtoull(end + 1, NULL, 10) : 0;
    const char *data = w->n->natsMsg_GetData(m);
    size_t n = (size_t)w->n->natsMsg_GetDataLength(m);
    if (number >= w->count || w->all[number].phase != KEEPING || w->all[number].turn != turn)
        return;
    struct work *x = &w->all[number];
    if (n && !memmem(data, n, "\"error\":", 8) && memmem(data, n, "\"seq\":", 6)) {
        kept(x, NULL);
    } else if (memmem(data, n, "\"err_code\":10054", 16)) { // it is too long, and always will be
        hold_no_longer(x);
        x->buries ? not_buried(x, "it is longer than the stream takes", false)
                  : give_up_result(x, "its output is longer than the stream takes");
    } else {
        kept(x, n ? "the stream does not take it" : "no stream has answered");
    }
}

static void hear_message(struct worker *w, natsMsg *m)
{
    const char *subject = w->n->natsMsg_GetSubject(m), *reply = w->n->natsMsg_GetReply(m);
    const char *name = subject + w->inbox_n;
    if (message_is_acknowledged_by(reply)) {
        came(w, 1);
        w->told = false;
        if (!GET(w->ending) && w->nbacklog < w->count)
            w->backlog[w->nbacklog++] = m;
        else
            publish(w, reply, "-NAK", 4), drop(w, m); // somebody else gets it at once
        return;
    }
    if (!strncmp(subject, w->inbox, w->inbox_n) && !strncmp(name, "p.", 2))
        hear_pull(w, m, name + 2);
    else if (!strncmp(subject, w->inbox, w->inbox_n) && !strncmp(name, "r.", 2))
        hear_kept(w, m, name + 2);
    drop(w, m);
}

// What has not been answered in time will not be.
static void look_at_clock(struct worker *w, u64 now)
{
    w->next_look = now + pause_lasts;
    for (struct pull *p = w->pulls; p < w->pulls + PULLS; p++)
        if (p->until <= now)
            p->left = 0;
    for (struct work *x = w->all; x < w->all + w->count && w->waiting; x++)
        if (x->phase == KEEPING && x->until <= now)
            kept(x, "no stream has answered");
        else if (x->phase == HELD && (x->until <= now || GET(w->ending)))
            tell_again(x);
}

static void take_from_stream(struct worker *w)
{
    u64 now = plat_now();
    natsMsg *m;
    u32 n = 0;
    if (__atomic_exchange_n(&w->anew, false, __ATOMIC_SEQ_CST)) // that server knows of none
        memset(w->pulls, 0, sizeof w->pulls);
    while (!w->n->natsSubscription_NextMsg(&m, w->subscription, 0))
        hear_message(w, m);
    while (w->idle && n < w->nbacklog)
        start(w, w->backlog[n++]);
    w->nbacklog -= n;
    memmove(w->backlog, w->backlog + n, w->nbacklog * sizeof *w->backlog);
    if (now >= w->next_look)
        look_at_clock(w, now);
    pull(w, now);
    w->drained = GET(w->ending) && !w->nbacklog && !asked_for(w);
}

// --- The loop

// Which libnats may call with its lock, from any thread.
static natsStatus on_attach(void **data, void *worker, natsConnection *c, natsSock fd)
{
    struct worker *w = worker;
    struct epoll_event e = {.events = EPOLLIN, .data.u32 = 1};
    *data = w;
    SET(w->attached, c);
    SET(w->fd, fd);
    return epoll_ctl(w->poll, EPOLL_CTL_ADD, fd, &e) ? NATS_ERR : NATS_OK;
}

static natsStatus on_detach(void *worker)
{
    struct worker *w = worker;
    epoll_ctl(w->poll, EPOLL_CTL_DEL, GET(w->fd), NULL);
    return NATS_OK;
}

static natsStatus on_read(void *worker, bool begins)
{
    return begins ? NATS_OK : on_detach(worker);
}

static natsStatus on_write(void *worker, bool begins)
{
    struct worker *w = worker;
    SET(w->writes, begins);
    if (begins)
        slots_wake(&w->slots);
    return NATS_OK;
}

// All that was published in a turn goes out at once. What the socket does not take waits until it
// does.
static void write_out(struct worker *w)
{
    if (GET(w->writes) && GET(w->attached))
        w->n->natsConnection_ProcessWriteEvent(GET(w->attached));
    bool more = GET(w->writes);
    if (more == w->polls_writing)
        return;
    w->polls_writing = more;
    struct epoll_event e = {.events = EPOLLIN | (more ? EPOLLOUT : 0), .data.u32 = 1};
    epoll_ctl(w->poll, EPOLL_CTL_MOD, GET(w->fd), &e);
}

static int patience(struct worker *w)
{
    int n = slots_rest(&w->slots);
    return n >= 0 ? n : GET(w->ending) ? 20 : w->of_stream && GET(w->begun) ? 100 : -1;
}

static void wait(struct worker *w)
{
    struct epoll_event e[2];
    int n = epoll_wait(w->poll, e, 2, patience(w));
    slots_awake(&w->slots);
    for (int i = 0; i < n; i++)
        if (e[i].data.u32)
            w->n->natsConnection_ProcessReadEvent(GET(w->attached));
        else if (read(w->slots.bell, &(u64){0}, 8) < 0)
            continue;
}

// Where much is under way, more is done in a turn when there are fewer of them.
static void pause_between(struct worker *w)
{
    u64 now = plat_now(), next = w->turned + turn_lasts;
    if (now < next && w->count - w->idle >= MUCH)
        nanosleep(&(struct timespec){.tv_nsec = (long)(next - now)}, NULL);
    w->turned = plat_now();
}

static void loop(void *worker)
{
    struct worker *w = worker;
    sched_visit();
    while (!GET(w->over)) {
        pause_between(w);
        wait(w);
        hear_slots(w);
        w->of_stream ? take_from_stream(w) : take_from_subject(w);
        if (w->drained && w->idle == w->count && !w->finished) {
            w->finished = true;
            sem_post(&w->done);
        }
        write_out(w);
    }
    sem_post(&w->stopped);
}

// Until there are CPUs of ours: what is asked at the beginning is answered by this.
static void *pump(void *worker)
{
    struct worker *w = worker;
    while (!GET(w->begun) && !GET(w->over)) {
        wait(w);
        write_out(w);
    }
    sem_post(&w->stopped);
    return NULL;
}

// --- The end

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

static void *end_all(void *worker)
{
    struct worker *w = worker;
    struct timespec until;
    u64 grace = w->o->grace ? w->o->grace : 30 * second;
    while (sem_wait(&w->ask))
        ;
    clock_gettime(CLOCK_REALTIME, &until);
    grace += (u64)until.tv_nsec;
    until.tv_sec += (time_t)(grace / second);
    until.tv_nsec = (long)(grace % second);
    while (sem_timedwait(&w->done, &until) && !(w->left = errno == ETIMEDOUT))
        ;
    if (w->left)
        say("worker: the grace is over, and something is still worked on");
    natsStatus e = w->n->natsConnection_FlushTimeout(w->connection, 5000);
    if (e)
        say("what was published last may be lost: %s", w->n->natsStatus_GetText(e));
    SET(w->failed, w->left || e);
    SET(w->over, true);
    slots_wake(&w->slots);
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
    slots_wake(&w->slots);
    return false;
}

static void stop_loop(struct worker *w)
{
    slots_wake(&w->slots);
    while (w->runs && sem_wait(&w->stopped))
        ;
    w->runs = false;
}

bool worker_begin(struct worker *w, int bell)
{
    w->bell = bell;
    for (u32 i = 0; i < w->count; i++) {
        w->all[i].w = w;
        slot_init(&w->all[i].slot, &w->slots, w->to[i % w->servers]);
        w->free[w->idle++] = &w->all[w->count - 1 - i];
    }
    SET(w->begun, true);
    stop_loop(w);
    w->runs = !plat_cpu_start(WORKER_CPU, loop, w);
    if (!w->runs)
        complain("cannot start a thread");
    else if (start_thread(end_all, w))
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
    if (w->left) { // something is still at it, and nothing may be taken from under it
        fflush(NULL);
        _exit(EXIT_ERROR);
    }
    SET(w->over, true);
    stop_loop(w);
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
    int n = snprintf(text, sizeof text,
                     "%c# TYPE nebulet_messages_total counter\n"
                     "nebulet_messages_total{result=\"done\"} %llu\n"
                     "nebulet_messages_total{result=\"again\"} %llu\n"
                     "nebulet_messages_total{result=\"given_up\"} %llu\n"
                     "# TYPE nebulet_messages_held gauge\n"
                     "nebulet_messages_held %llu\n"
                     "# TYPE nebulet_messages_dropped_total counter\n"
                     "nebulet_messages_dropped_total %lld\n"
                     "# TYPE nebulet_nats_connected gauge\n"
                     "nebulet_nats_connected %d\n"
                     "# TYPE nebulet_nats_reconnects_total counter\n"
                     "nebulet_nats_reconnects_total %llu\n",
                     connected && !GET(w->ending) ? '1' : '0',
                     (unsigned long long)GET(w->succeeded), (unsigned long long)GET(w->again),
                     (unsigned long long)GET(w->gone), (unsigned long long)GET(w->held),
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
    w->servers = servers;
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
    SET(w->anew, true);
    slots_wake(&w->slots);
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
           !failed(w, "NATS",
                   n->natsOptions_SetEventLoop(p, w, on_attach, on_read, on_write, on_detach)) &&
           !failed(w, "NATS", n->natsOptions_SetSendAsap(p, true)) && // there is no thread for it
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

// libnats 3.4 now and then signs nothing of what the server asks for ("Signature missing", one time
// in some 200), which looks like wrong credentials until it is asked again.
static natsStatus log_in(struct worker *w, natsOptions *p)
{
    natsStatus e = w->n->natsConnection_Connect(&w->connection, p);
    for (u32 again = 2; again && w->o->creds && e == NATS_CONNECTION_AUTH_FAILED; again--)
        e = w->n->natsConnection_Connect(&w->connection, p);
    return e;
}

// The loop is there first: what is asked for here is answered by it.
static bool connect_to(struct worker *w)
{
    natsOptions *p;
    struct epoll_event e = {.events = EPOLLIN};
    w->poll = epoll_create1(EPOLL_CLOEXEC);
    w->slots.bell = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    if (w->poll < 0 || w->slots.bell < 0 || epoll_ctl(w->poll, EPOLL_CTL_ADD, w->slots.bell, &e))
        return complain("worker: %s", strerror(errno)), false;
    if (!(w->runs = start_thread(pump, w)) || failed(w, "NATS", w->n->natsOptions_Create(&p)))
        return false;
    bool done = set_options(w, p) && !failed(w, "no connection to NATS", log_in(w, p));
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
    drop(w, m);
    return kept;
}

// There is none yet: it waits for as long as a process may take, and gives nothing up, which is
// ours to do, so that it is told.
static bool make_consumer(struct worker *w, jsCtx *js)
{
    const struct options *o = w->o;
    jsConsumerConfig c;
    jsErrCode code = 0;
    w->n->jsConsumerConfig_Init(&c);
    c.Durable = o->durable;
    c.AckPolicy = js_AckExplicit;
    c.AckWait = (s64)((o->max_time ? o->max_time : 30 * second) + 30 * second);
    c.MaxAckPending = 65536;
    c.FilterSubject = o->subject;
    return !failed(w, "--durable", w->n->js_AddConsumer(NULL, js, o->jetstream, &c, NULL, &code));
}

static void look_at_consumer(struct worker *w, const jsConsumerConfig *c)
{
    s64 time = (s64)(w->o->max_time ? w->o->max_time : 30 * second);
    if (c->MaxDeliver > 0 && (u64)c->MaxDeliver < w->deliveries)
        w->deliveries = (u64)c->MaxDeliver; // else the last one would be told to nobody
    if (c->AckWait && c->AckWait < time)
        say("--durable %s: messages come again after %lld s, when others may still work on them "
            "(--max-time %lld)",
            w->o->durable, (long long)(c->AckWait / (s64)second), (long long)(time / (s64)second));
}

static bool suits(struct worker *w, const jsConsumerConfig *c)
{
    const struct options *o = w->o;
    if (c->DeliverSubject)
        say("--durable %s: messages are pushed by that consumer, and workers pull them",
            o->durable);
    else if (o->subject && c->FilterSubject && strcmp(o->subject, c->FilterSubject))
        say("--durable %s: that consumer is for %s, not %s", o->durable, c->FilterSubject,
            o->subject);
    else
        return true;
    return false;
}

static bool find_consumer(struct worker *w)
{
    const struct options *o = w->o;
    jsErrCode code = 0;
    jsConsumerInfo *c = NULL;
    jsCtx *js;
    if (failed(w, "JetStream", w->n->natsConnection_JetStream(&js, w->connection, NULL)))
        return false;
    natsStatus e = w->n->js_GetConsumerInfo(&c, js, o->jetstream, o->durable, NULL, &code);
    if (e == NATS_NOT_FOUND && code != 10059) { // there is a stream
        if (!make_consumer(w, js))
            return false;
        e = w->n->js_GetConsumerInfo(&c, js, o->jetstream, o->durable, NULL, &code);
    }
    if (e)
        return !failed(w, "--jetstream", e);
    bool fits = suits(w, c->Config);
    look_at_consumer(w, c->Config);
    w->n->jsConsumerInfo_Destroy(c);
    return fits;
}

static bool open_stream(struct worker *w)
{
    char subject[INBOX + 2];
    natsInbox *inbox;
    w->of_stream = true;
    if (!find_consumer(w) || failed(w, "NATS", w->n->natsInbox_Create(&inbox)))
        return false;
    w->inbox_n = (size_t)snprintf(w->inbox, sizeof w->inbox, "%s.", (const char *)inbox);
    w->n->natsInbox_Destroy(inbox);
    w->result_kept = is_kept(w, w->o->result);
    w->dead_kept = is_kept(w, w->o->dead);
    snprintf(subject, sizeof subject, "%s>", w->inbox);
    return !failed(w, "--jetstream",
                   w->n->natsConnection_SubscribeSync(&w->subscription, w->connection, subject)) &&
           !failed(w, "--jetstream",
                   w->n->natsSubscription_SetPendingLimits(w->subscription, -1, -1));
}

static bool open_subject(struct worker *w)
{
    return !failed(w, "--subject",
                   w->n->natsConnection_QueueSubscribeSync(
                       &w->subscription, w->connection, w->o->subject,
                       w->o->group ? w->o->group : "nebulet")) &&
           !failed(w, "--subject", w->n->natsConnection_FlushTimeout(w->connection, 5000));
}

static bool make_slots(struct worker *w)
{
    w->count = w->o->max_processes ? (u32)w->o->max_processes : SLOTS;
    w->all = calloc(w->count, sizeof *w->all);
    w->free = calloc(w->count, sizeof *w->free);
    w->backlog = calloc(w->count, sizeof *w->backlog);
    return (w->all && w->free && w->backlog) || (complain("out of memory"), false);
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
    w->retry = o->retry ? o->retry : second;
    sem_init(&w->ask, 0, 0);
    sem_init(&w->done, 0, 0);
    sem_init(&w->stopped, 0, 0);
    return make_slots(w) && connect_to(w) && (o->jetstream ? open_stream(w) : open_subject(w));
}
#endif
