// SPDX-License-Identifier: MIT
// Who asked for what, on standard output, a line each; errors, on standard error; and counts.
//
// Lines are gathered and written a few times a second, or when there are many: a system call for
// each would cost as much as a small answer. Other servers may write to the same pipe, which takes
// as much as ATOMIC at once or not at all: so that is the most that a line has and that is written
// in one. What is logged of a request is what it said, with quotes, backslashes and whatever is not
// ASCII escaped, so nobody can forge a line. Handlers may write text, but nothing that a terminal
// acts upon, and so much for each request.
#include "http.h"

#include <string.h>
#include <wasi/api.h>

enum {
    STACK = 16384,
    ROOM = 65536,
    ATOMIC = 4096,    // PIPE_BUF of Linux
    SHOWN_MAX = 1200, // bytes of a text of a request, as it is shown; a line has three
    TEXT_MAX = 1000,  // of a line on standard error, where each may be shown as four
    NAME_SHOWN = 60,
    QUIET_MS = 1000, // then it is said what was cut
};

struct counts counts;
static struct sip_mutex log_lock, error_lock;
static char lines[ROOM];
static size_t used;

// A turn ends in a loop or a call, and there is none: this needs no lock.
void count(uint64_t *what, int64_t n)
{
    *what += (uint64_t)n;
}

void counts_read(struct counts *out)
{
    *out = counts;
}

static void write_all(int fd, const char *p, size_t n)
{
    while (n) {
        __wasi_ciovec_t v = {(const uint8_t *)p, n};
        __wasi_size_t done;
        if (__wasi_fd_write(fd, &v, 1, &done) || !done)
            return;
        p += done;
        n -= done;
    }
}

// With the lock, over the write: so lines stay in order, and who logs more than is taken waits.
static void flush(void)
{
    for (size_t at = 0, n; at < used; at += n) {
        n = used - at;
        if (n > ATOMIC)
            for (n = ATOMIC; lines[at + n - 1] != '\n';)
                n--;
        write_all(1, lines + at, n);
    }
    used = 0;
}

static void log_flush(void)
{
    sip_lock(&log_lock);
    flush();
    sip_unlock(&log_lock);
}

static volatile bool all_out;

static int32_t write_rest(void *unused)
{
    (void)unused;
    site_hush();
    log_flush();
    all_out = true;
    return 0;
}

// Where nobody takes it, whoever asks does not wait for ever.
void log_end(uint64_t until)
{
    struct sip_thread t;
    if (sip_thread_start(&t, write_rest, NULL, STACK) < 0)
        return;
    while (!all_out && sip_now() < until)
        sip_sleep(SIP_MS);
}

int32_t log_writer(void *unused)
{
    (void)unused;
    for (;;) {
        sip_sleep(200 * SIP_MS);
        if (*(volatile size_t *)&used)
            log_flush();
    }
}

// The length of a character that may be shown as it is; 0: it is no text, or a terminal or an
// editor would act upon it (RFC 3629; C0, C1, line separators, marks of direction).
static size_t plain(const unsigned char *p, size_t n)
{
    if (*p < 0x80)
        return (*p >= ' ' && *p < 0x7f) || *p == '\t';
    size_t length = *p >= 0xf0 ? 4 : *p >= 0xe0 ? 3 : 2;
    if (*p < 0xc2 || *p > 0xf4 || length > n)
        return 0;
    uint32_t c = *p & (0xffu >> (length + 1));
    for (size_t i = 1; i < length; i++) {
        if ((p[i] & 0xc0) != 0x80)
            return 0;
        c = c << 6 | (p[i] & 0x3f);
    }
    static const uint32_t least[] = {0, 0, 0xa0, 0x800, 0x10000};
    bool acts = (c >= 0x200e && c <= 0x200f) || (c >= 0x2028 && c <= 0x202e) ||
                (c >= 0x2066 && c <= 0x2069) || c == 0x61c;
    return c < least[length] || c > 0x10ffff || c >> 11 == 0xd800 >> 11 || acts ? 0 : length;
}

static size_t shown(char *to, const char *from, size_t n)
{
    static const char hex[] = "0123456789abcdef";
    size_t m = 0;
    for (size_t i = 0, length; i < n; i += length) {
        unsigned char c = (unsigned char)from[i];
        length = plain((const unsigned char *)from + i, n - i);
        if (length) {
            memcpy(to + m, from + i, length);
            m += length;
            continue;
        }
        length = 1;
        to[m++] = '\\';
        to[m++] = 'x';
        to[m++] = hex[c >> 4];
        to[m++] = hex[c & 15];
    }
    return m;
}

// A line on standard error; n <= TEXT_MAX. `name` may be NULL.
static void write_line(const char *name, const char *p, size_t n)
{
    static char out[NAME_SHOWN + 3 + 4 * TEXT_MAX];
    _Static_assert(sizeof out <= ATOMIC, "whatever others write");
    sip_lock(&error_lock);
    size_t m = name ? sip_format(out, sizeof out, "%.*s: ", NAME_SHOWN, name) : 0;
    m += shown(out + m, p, n);
    out[m++] = '\n';
    write_all(2, out, m);
    sip_unlock(&error_lock);
}

void log_error(const char *format, ...)
{
    char line[TEXT_MAX];
    va_list list;
    va_start(list, format);
    size_t n = sip_format_list(line, sizeof line, format, list);
    va_end(list);
    write_line(NULL, line, n < sizeof line ? n : sizeof line - 1);
}

struct line {
    char *p;
    size_t n;
};

static void add(struct line *l, const char *p, size_t n)
{
    n = n < ATOMIC - 1 - l->n ? n : ATOMIC - 1 - l->n; // its end is added last
    memcpy(l->p + l->n, p, n);
    l->n += n;
}

static void add_text(struct line *l, struct text t)
{
    static const char hex[] = "0123456789abcdef";
    size_t end = l->n + SHOWN_MAX;
    for (size_t i = 0; i < t.n && l->n + 6 <= end; i++) {
        unsigned char c = (unsigned char)t.p[i];
        char escaped[] = {'\\', 'u', '0', '0', hex[c >> 4], hex[c & 15]};
        if (c < ' ' || c >= 127 || c == '"' || c == '\\')
            add(l, escaped, 6);
        else
            add(l, t.p + i, 1);
    }
}

SIP_PRINTF(2, 3) static void add_format(struct line *l, const char *format, ...)
{
    char text[256];
    va_list list;
    va_start(list, format);
    size_t n = sip_format_list(text, sizeof text, format, list);
    va_end(list);
    add(l, text, n < sizeof text ? n : sizeof text - 1);
}

static struct text field(const struct connection *c, const char *name)
{
    struct text t = request_field(&c->request, name);
    return t.p ? t : (struct text){"-", 1};
}

// 29/Nov/2026:18:30:05 +0000
static void add_common_time(struct line *l)
{
    char t[32];
    time_text((uint64_t)nebulet_clock_now(NEBULET_REALTIME) / SIP_SECOND, t);
    add_format(l, "%.2s/%.3s/%.4s:%.8s +0000", t + 5, t + 8, t + 12, t + 17);
}

static void add_common(struct line *l, const struct connection *c, const char *address)
{
    const struct request *q = &c->request;
    add_format(l, "%s - - [", address);
    add_common_time(l);
    add(l, "] \"", 3);
    if (q->target.p) {
        add_text(l, q->method);
        add(l, " ", 1);
        add_text(l, q->target);
        add_format(l, " HTTP/1.%u", q->minor);
    }
    add_format(l, "\" %d %llu \"", c->status, (unsigned long long)c->sent);
    add_text(l, field(c, "referer"));
    add(l, "\" \"", 3);
    add_text(l, field(c, "user-agent"));
    add(l, "\"", 1);
}

static void add_json(struct line *l, const struct connection *c, const char *address)
{
    const struct request *q = &c->request;
    uint64_t now = (uint64_t)nebulet_clock_now(NEBULET_REALTIME);
    add_format(l, "{\"time\":%llu.%06llu,\"address\":\"%s\",\"method\":\"",
               (unsigned long long)(now / SIP_SECOND),
               (unsigned long long)(now % SIP_SECOND / 1000), address);
    add_text(l, q->method);
    add(l, "\",\"target\":\"", 12);
    add_text(l, q->target);
    add(l, "\",\"host\":\"", 10);
    add_text(l, q->host);
    add_format(l, "\",\"status\":%d,\"bytes\":%llu,\"body\":%llu,\"us\":%llu,\"agent\":\"",
               c->status, (unsigned long long)c->sent, (unsigned long long)c->body_read,
               (unsigned long long)((sip_now() - c->began) / 1000));
    add_text(l, field(c, "user-agent"));
    add(l, "\"}", 2);
}

void log_request(const struct connection *c)
{
    count(&counts.requests, 1);
    if (c->status >= 100 && c->status < 600)
        count(&counts.by_class[c->status / 100], 1);
    if (server.log == LOG_NONE)
        return;
    const char *address = c->client->address;
    sip_lock(&log_lock);
    if (ROOM - used < ATOMIC)
        flush();
    struct line l = {lines + used, 0};
    if (server.log == LOG_COMMON)
        add_common(&l, c, address);
    else
        add_json(&l, c, address);
    l.p[l.n++] = '\n';
    used += l.n;
    sip_unlock(&log_lock);
}

// --- What handlers write

struct copy {
    const struct log_copier *l;
    uint64_t seen, left, cut; // requests, bytes that may be written still, and that were not
    size_t n;
    char line[TEXT_MAX];
};

static void tell_cut(struct copy *c)
{
    if (c->cut)
        log_error("%.*s: %llu bytes more are not shown (--max-log)", NAME_SHOWN, c->l->name,
                  (unsigned long long)c->cut);
    c->cut = 0;
}

// Each request that begins may write as much.
static void renew(struct copy *c)
{
    uint64_t begun = *(const volatile uint64_t *)c->l->requests;
    if (begun == c->seen)
        return;
    c->seen = begun;
    c->left = server.log_max;
    tell_cut(c);
}

// The lines that are there; one that is too long is several.
static void take_lines(struct copy *c)
{
    for (char *end; c->n && ((end = memchr(c->line, '\n', c->n)) || c->n == TEXT_MAX);) {
        size_t length = end ? (size_t)(end - c->line) : c->n, taken = length + (end != NULL);
        if (taken <= c->left && !c->cut) {
            write_line(c->l->name, c->line, length);
            c->left -= taken;
        } else {
            c->cut += taken;
        }
        memmove(c->line, c->line + taken, c->n -= taken);
    }
}

int32_t log_copy(void *arg)
{
    struct copy c = {.l = arg, .left = server.log_max};
    for (;;) {
        uint64_t until = c.cut ? sip_after(QUIET_MS * SIP_MS) : NEBULET_FOREVER;
        int64_t got =
            nebulet_stream_read(c.l->from, c.line + c.n, (uint32_t)(TEXT_MAX - c.n), until);
        if (got <= 0 && got != NEBULET_ERR_TIMED_OUT)
            break;
        renew(&c);
        if (got > 0) {
            c.n += (size_t)got;
            take_lines(&c);
        } else {
            tell_cut(&c);
        }
    }
    tell_cut(&c);
    return 0;
}

// --- Metrics, as Prometheus reads them.

static void metric(struct connection *c, size_t *n, const char *name, const char *type,
                   const char *labels, uint64_t value)
{
    if (*type)
        *n += sip_format(c->output + *n, BUFFER - *n, "# TYPE %s %s\n", name, type);
    *n += sip_format(c->output + *n, BUFFER - *n, "%s%s %llu\n", name, labels,
                     (unsigned long long)value);
    *n = *n < BUFFER ? *n : BUFFER;
}

static void add_metrics(struct connection *c, size_t *n)
{
    enum { ROUTES = 256 };
    struct counts now;
    char labels[200];
    uint64_t requests[ROUTES];
    uint32_t i_route = 0;
    for (const struct route *r = c->site->routes; r && i_route < ROUTES; r = r->next)
        requests[i_route++] = r->requests;
    counts_read(&now);
    others_counted(&now, requests, i_route);
    i_route = 0;
    metric(c, n, "nebulet_connections_total", "counter", "", now.connections);
    metric(c, n, "nebulet_connections_open", "gauge", "", now.open);
    metric(c, n, "nebulet_requests_total", "counter", "", now.requests);
    for (int i = 2; i < 6; i++) {
        sip_format(labels, sizeof labels, "{class=\"%dxx\"}", i);
        metric(c, n, "nebulet_answers_total", i == 2 ? "counter" : "", labels, now.by_class[i]);
    }
    metric(c, n, "nebulet_received_bytes_total", "counter", "", now.bytes_in);
    metric(c, n, "nebulet_sent_bytes_total", "counter", "", now.bytes_out);
    metric(c, n, "nebulet_handlers_running", "gauge", "", now.running);
    metric(c, n, "nebulet_handlers_failed_total", "counter", "", now.failed);
    metric(c, n, "nebulet_requests_refused_total", "counter", "", now.refused);
    for (struct route *r = c->site->routes; r && i_route < ROUTES && *n < BUFFER - 1024;
         r = r->next) {
        int n_path = r->length < 100 ? (int)r->length : 100;
        sip_format(labels, sizeof labels, "{path=\"%.*s/\"}", n_path, r->path);
        metric(c, n, "nebulet_route_requests_total", r == c->site->routes ? "counter" : "", labels,
               requests[i_route++]);
    }
}

// What others have to tell; false: they are not well.
static bool ask_more(struct connection *c, size_t *n)
{
    char well = '1';
    if (server.more == NEBULET_NO_HANDLE)
        return true;
    int64_t got =
        nebulet_channel_recv(server.more, c->body, BUFFER, NULL, 0, NULL, NEBULET_AT_ONCE);
    if (got > 0) {
        size_t room = BUFFER - *n, bytes = (size_t)got - 1;
        well = *c->body;
        bytes = bytes < room ? bytes : 0; // a metric is there as a whole or not at all
        memcpy(c->output + *n, c->body + 1, bytes);
        *n += bytes;
    }
    return well == '1';
}

void metrics_answer(struct connection *c)
{
    static const struct text type = {"Content-Type", 12}, plain = {"text/plain; version=0.0.4", 25};
    size_t n = 0;
    if (!strcmp(c->path, "/health")) {
        answer_plain(c, server.ending || !ask_more(c, &n) ? 503 : 200, "");
        return;
    }
    if (strcmp(c->path, "/metrics")) {
        answer_plain(c, 404, "");
        return;
    }
    add_metrics(c, &n);
    ask_more(c, &n);
    head_begin(c, 200, (struct text){NULL, 0});
    head_field(c, type, plain);
    answer_begin(c, n, c->output, n);
}
