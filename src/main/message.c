// SPDX-License-Identifier: MIT
// Messages as requests: see message.h.
#include "main/message.h"

#ifdef NATS_VERSION_MAJOR
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#define ACK "$JS.ACK."

bool message_is_acknowledged_by(const char *reply)
{
    return reply && !strncmp(reply, ACK, strlen(ACK));
}

static u64 number_of(const char *p)
{
    return strtoull(p, NULL, 10);
}

// $JS.ACK.<stream>.<consumer>.<deliveries>.<number>.<number of the consumer's>.<time>.<left>, and
// newer servers have domain and account in front, and perhaps more behind.
static void read_reply(struct info *i)
{
    const char *part[12];
    int n = 0;
    for (const char *p = i->reply + strlen(ACK); p && n < (int)countof(part); n++) {
        part[n] = p;
        p = strchr(p, '.');
        p = p ? p + 1 : NULL;
    }
    int at = n >= 9 ? 2 : 0;
    if (n < 7)
        return;
    i->of_stream = true;
    i->stream = part[at];
    i->stream_n = (int)(part[at + 1] - part[at]) - 1;
    i->consumer = part[at + 1];
    i->consumer_n = (int)(part[at + 2] - part[at + 1]) - 1;
    i->deliveries = number_of(part[at + 2]);
    i->number = number_of(part[at + 3]);
    snprintf(i->id, sizeof i->id, "%.*s.%.*s.%llu", i->stream_n, i->stream, i->consumer_n,
             i->consumer, (unsigned long long)i->number);
}

void message_read(const struct nats *n, natsMsg *m, bool of_stream, struct info *out)
{
    out->subject = n->natsMsg_GetSubject(m);
    out->reply = n->natsMsg_GetReply(m);
    out->data = n->natsMsg_GetData(m);
    out->size = n->natsMsg_GetDataLength(m);
    out->of_stream = false;
    *out->id = 0;
    if (of_stream) // else anybody may have made that subject
        read_reply(out);
}

// --- Its head

struct head {
    char *p;
    size_t n;
    bool full;
};

static void add(struct head *h, const char *p, size_t n)
{
    h->full |= n > MESSAGE_HEAD - h->n;
    if (h->full)
        return;
    memcpy(h->p + h->n, p, n);
    h->n += n;
}

static void add_text(struct head *h, const char *text)
{
    add(h, text, strlen(text));
}

static void add_number(struct head *h, u64 n)
{
    char text[20], *at = text + sizeof text;
    do
        *--at = (char)('0' + n % 10);
    while ((n /= 10));
    add(h, at, (size_t)(text + sizeof text - at));
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

static bool add_header(void *to, const char *name, const char *value)
{
    struct head *h = to;
    if (!is_field(name, value))
        return true;
    add_text(h, name);
    add(h, ": ", 2);
    add_text(h, value);
    add(h, "\r\n", 2);
    return !h->full;
}

static void add_path(struct head *h, const char *subject)
{
    static const char digits[] = "0123456789ABCDEF";
    add_text(h, "POST /");
    for (; *subject; subject++) {
        unsigned char c = (unsigned char)*subject;
        bool plain = (c >= '0' && c <= '9') || ((c | 0x20) >= 'a' && (c | 0x20) <= 'z') ||
                     c == '.' || c == '-' || c == '_';
        char text[3] = {plain ? (char)c : c == '/' ? '_' : '%', digits[c >> 4], digits[c & 15]};
        add(h, text, *text == '%' ? 3 : 1);
    }
}

bool message_head(const struct nats *n, natsMsg *m, const struct info *i, char head[MESSAGE_HEAD],
                  size_t *size)
{
    struct head h = {.p = head};
    add_path(&h, i->subject);
    add_text(&h, " HTTP/1.1\r\nHost: nats\r\nContent-Length: ");
    add_number(&h, (u64)i->size);
    add_text(&h, "\r\nNats-Subject: ");
    add_text(&h, i->subject);
    if (i->of_stream) {
        add_text(&h, "\r\nNats-Stream: ");
        add(&h, i->stream, (size_t)i->stream_n);
        add_text(&h, "\r\nNats-Sequence: ");
        add_number(&h, i->number);
        add_text(&h, "\r\nNats-Num-Delivered: ");
        add_number(&h, i->deliveries);
    } else if (i->reply) {
        add_text(&h, "\r\nNats-Reply: ");
        add_text(&h, i->reply);
    }
    add(&h, "\r\n", 2);
    each_header(n, m, add_header, &h);
    add(&h, "\r\n", 2);
    *size = h.n;
    return !h.full;
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

void message_copy_headers(const struct nats *n, natsMsg *from, natsMsg *to)
{
    struct copy c = {n, to};
    each_header(n, from, copy_header, &c);
}
#endif
