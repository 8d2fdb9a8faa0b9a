// SPDX-License-Identifier: MIT
// Files of a folder: with types, tags and times by which a client knows what it has, and ranges
// (RFC 9110, sections 8.8, 13 and 14).
//
// A folder is a descriptor that no path leads out of; names that begin with a dot are not served.
// What is small is kept for a second, for to open a file, look at it and read it costs more than
// all else that is done for it: so what has been changed is seen a second later.
#include "http.h"

#include <stdlib.h>
#include <string.h>
#include <wasi/api.h>

// --- Times

static const char days[] = "ThuFriSatSunMonTueWed",
                  months[] = "JanFebMarAprMayJunJulAugSepOctNovDec";

// Days since 1970 of a date of the Gregorian calendar, and back; years begin in March.
static int64_t day_number(int64_t year, int64_t month, int64_t day)
{
    year -= month <= 2;
    int64_t era = year / 400, of_era = year % 400;
    int64_t of_year = (153 * (month + (month > 2 ? -3 : 9)) + 2) / 5 + day - 1;
    return era * 146097 + of_era * 365 + of_era / 4 - of_era / 100 + of_year - 719468;
}

void time_text(uint64_t seconds, char out[32])
{
    int64_t number = (int64_t)(seconds / 86400), z = number + 719468, era = z / 146097,
            d = z % 146097;
    int64_t y = (d - d / 1460 + d / 36524 - d / 146096) / 365, n = d - (365 * y + y / 4 - y / 100);
    int64_t m = (5 * n + 2) / 153, day = n - (153 * m + 2) / 5 + 1, month = m < 10 ? m + 3 : m - 9;
    uint32_t t = (uint32_t)(seconds % 86400);
    sip_format(out, 32, "%.3s, %02d %.3s %04d %02u:%02u:%02u GMT", days + number % 7 * 3, (int)day,
               months + (month - 1) * 3, (int)(y + era * 400 + (month <= 2)), t / 3600, t / 60 % 60,
               t % 60);
}

// By a pattern: letters that repeat are the digits of a value, or the name of the month (m), or
// any character (a).
static bool take_time(struct text t, const char *pattern, int64_t value[6])
{
    static const char fields[] = "ymdHnS";
    memset(value, 0, 6 * sizeof *value);
    if (t.n != strlen(pattern))
        return false;
    for (size_t i = 0; i < t.n; i++) {
        const char *field = strchr(fields, pattern[i]);
        if (pattern[i] == 'm') {
            while (value[1] < 12 && memcmp(months + value[1] * 3, t.p + i, 3))
                value[1]++;
            i += 2;
        } else if (field && t.p[i] >= '0' && t.p[i] <= '9') {
            value[field - fields] = value[field - fields] * 10 + t.p[i] - '0';
        } else if (field ? t.p[i] != ' ' || pattern[i] != 'd' // " 6"
                         : pattern[i] != 'a' && t.p[i] != pattern[i]) {
            return false;
        }
    }
    return value[1] < 12;
}

// As all write it, and as they wrote it once: RFC 9110, 5.6.7.
bool time_parse(struct text t, uint64_t *seconds)
{
    int64_t v[6];
    const char *comma = t.n ? memchr(t.p, ',', t.n) : NULL;
    struct text rest = {comma, comma ? t.n - (size_t)(comma - t.p) : 0};
    if (take_time(rest, ", dd-mmm-yy HH:nn:SS GMT", v))
        v[0] += v[0] < 70 ? 2000 : 1900;
    else if (!take_time(t, "aaa, dd mmm yyyy HH:nn:SS GMT", v) &&
             !take_time(t, "aaa mmm dd HH:nn:SS yyyy", v))
        return false;
    *seconds =
        (uint64_t)(day_number(v[0], v[1] + 1, v[2]) * 86400 + v[3] * 3600 + v[4] * 60 + v[5]);
    return v[0] >= 1970;
}

// --- Types

static const char *type_of(const char *path)
{
    static const char *const types[][2] = {{"html", "text/html; charset=utf-8"},
                                           {"htm", "text/html; charset=utf-8"},
                                           {"css", "text/css; charset=utf-8"},
                                           {"js", "text/javascript; charset=utf-8"},
                                           {"mjs", "text/javascript; charset=utf-8"},
                                           {"json", "application/json"},
                                           {"txt", "text/plain; charset=utf-8"},
                                           {"md", "text/markdown; charset=utf-8"},
                                           {"csv", "text/csv; charset=utf-8"},
                                           {"xml", "application/xml"},
                                           {"svg", "image/svg+xml"},
                                           {"png", "image/png"},
                                           {"jpg", "image/jpeg"},
                                           {"jpeg", "image/jpeg"},
                                           {"gif", "image/gif"},
                                           {"webp", "image/webp"},
                                           {"avif", "image/avif"},
                                           {"ico", "image/x-icon"},
                                           {"woff", "font/woff"},
                                           {"woff2", "font/woff2"},
                                           {"wasm", "application/wasm"},
                                           {"pdf", "application/pdf"},
                                           {"zip", "application/zip"},
                                           {"gz", "application/gzip"},
                                           {"mp3", "audio/mpeg"},
                                           {"mp4", "video/mp4"},
                                           {"webm", "video/webm"},
                                           {"ogg", "audio/ogg"}};
    const char *dot = strrchr(path, '.'), *slash = strrchr(path, '/');
    if (!dot || (slash && slash > dot))
        return "application/octet-stream";
    struct text extension = {dot + 1, strlen(dot + 1)};
    for (size_t i = 0; i < sizeof types / sizeof *types; i++)
        if (text_is_nocase(extension, types[i][0]))
            return types[i][1];
    return "application/octet-stream";
}

// --- A file

enum { NO_FD = -1 };

struct file {
    int fd;                             // NO_FD: all of it is in c->output
    uint64_t size, mtime, from, length; // what is sent of it
    uint64_t mtime_ns;
    char tag[48];
};

static void close_file(struct file *f)
{
    if (f->fd != NO_FD && __wasi_fd_close(f->fd))
        sip_panic("http: a file was closed twice");
    f->fd = NO_FD;
}

static void describe(struct file *f, uint64_t size, uint64_t mtime_ns)
{
    f->size = f->length = size;
    f->from = 0;
    f->mtime_ns = mtime_ns;
    f->mtime = mtime_ns / SIP_SECOND;
    sip_format(f->tag, sizeof f->tag, "\"%llx-%llx\"", (unsigned long long)mtime_ns,
               (unsigned long long)size);
}

static int64_t read_at(const struct file *f, char *to, uint64_t n, uint64_t at)
{
    __wasi_iovec_t v = {(uint8_t *)to, n < BUFFER ? (size_t)n : BUFFER};
    __wasi_size_t got;
    return __wasi_fd_pread(f->fd, &v, 1, at, &got) ? -1 : (int64_t)got;
}

// --- Small files: a table of so many, of which each has one place where it can be.

enum { KEPT = 64, KEPT_SIZE = BUFFER };
#define KEPT_FOR SIP_SECOND

struct kept {
    int folder;
    uint64_t until, mtime_ns;
    size_t path, size; // bytes: the path, with its 0, and behind it the file
    char bytes[];
};

static struct {
    struct sip_mutex lock;
    struct kept *at[KEPT];
} kept;

static struct kept **place_of(int folder, const char *path, size_t *size)
{
    uint32_t hash = 2166136261u ^ (uint32_t)folder; // FNV-1a
    const char *p = path;
    for (; *p; p++)
        hash = (hash ^ (unsigned char)*p) * 16777619u;
    *size = (size_t)(p - path) + 1;
    return &kept.at[(hash ^ hash >> 16) % KEPT];
}

static bool take_kept(struct connection *c, int folder, const char *path, struct file *f)
{
    size_t n;
    sip_lock(&kept.lock);
    const struct kept *k = *place_of(folder, path, &n);
    bool found = k && k->folder == folder && k->path == n && !memcmp(k->bytes, path, n) &&
                 c->began < k->until;
    if (found) {
        f->fd = NO_FD;
        describe(f, k->size, k->mtime_ns);
        memcpy(c->output, k->bytes + n, k->size);
    }
    sip_unlock(&kept.lock);
    return found;
}

// Reads a small one, and closes it. What cannot be kept is served all the same.
static void keep(struct connection *c, int folder, const char *path, struct file *f)
{
    size_t n, size = (size_t)f->size;
    if (f->size > KEPT_SIZE || read_at(f, c->output, f->size, 0) != (int64_t)f->size)
        return;
    close_file(f);
    sip_lock(&kept.lock);
    struct kept **at = place_of(folder, path, &n);
    free(*at);
    if ((*at = malloc(sizeof **at + n + size))) {
        **at = (struct kept){folder, c->began + KEPT_FOR, f->mtime_ns, n, size};
        memcpy((*at)->bytes, path, n);
        memcpy((*at)->bytes + n, c->output, size);
    }
    sip_unlock(&kept.lock);
}

static bool is_hidden(const char *path)
{
    return path[0] == '.' || strstr(path, "/.");
}

// 0, or the status to answer with; 301: it is a folder.
static int open_file(struct connection *c, int folder, const char *path, struct file *f)
{
    __wasi_filestat_t stat;
    if (take_kept(c, folder, path, f))
        return 0;
    __wasi_errno_t e = __wasi_path_open(folder, __WASI_LOOKUPFLAGS_SYMLINK_FOLLOW, path, 0,
                                        __WASI_RIGHTS_FD_READ | __WASI_RIGHTS_FD_SEEK |
                                            __WASI_RIGHTS_FD_FILESTAT_GET,
                                        0, __WASI_FDFLAGS_NONBLOCK, &f->fd);
    if (e == __WASI_ERRNO_ACCES || e == __WASI_ERRNO_PERM || e == __WASI_ERRNO_NOTCAPABLE)
        return 403;
    if (e == __WASI_ERRNO_ISDIR)
        return 301;
    if (e == __WASI_ERRNO_MFILE || e == __WASI_ERRNO_NFILE)
        return 503;
    if (e)
        return 404;
    e = __wasi_fd_filestat_get(f->fd, &stat);
    if (e || stat.filetype != __WASI_FILETYPE_REGULAR_FILE) {
        close_file(f);
        return !e && stat.filetype == __WASI_FILETYPE_DIRECTORY ? 301 : 404;
    }
    describe(f, stat.size, stat.mtim);
    keep(c, folder, path, f);
    return 0;
}

// --- What the client has

static bool lists_tag(struct text list, const char *tag, bool weak)
{
    struct text wanted = {tag, strlen(tag)};
    for (size_t i = 0; i + wanted.n <= list.n; i++) // tags have quotes, so none lies within another
        if (!memcmp(list.p + i, wanted.p, wanted.n) &&
            (weak || i < 2 || memcmp(list.p + i - 2, "W/", 2)))
            return true;
    return text_is(list, "*");
}

// 0, or the status that what the client knows makes of it, in the order of RFC 9110, 13.2.2.
static int take_conditions(const struct request *q, const struct file *f)
{
    struct text match = request_field(q, "if-match"), none = request_field(q, "if-none-match");
    struct text until = request_field(q, "if-unmodified-since"),
                since = request_field(q, "if-modified-since");
    uint64_t seconds;
    if (match.p ? !lists_tag(match, f->tag, false)
                : until.p && time_parse(until, &seconds) && f->mtime > seconds)
        return 412;
    bool known = none.p ? lists_tag(none, f->tag, true)
                        : since.p && time_parse(since, &seconds) && f->mtime <= seconds;
    return known ? 304 : 0;
}

// One range of bytes; of several, and of what is none, all is sent. 0, 206 or 416.
static int take_range(const struct request *q, struct file *f)
{
    struct text range = request_field(q, "range"), same = request_field(q, "if-range");
    static const char bytes[] = "bytes=";
    uint64_t first = 0, last = f->size - 1, seconds;
    if (!range.p || range.n < sizeof bytes ||
        !text_is_nocase((struct text){range.p, sizeof bytes - 1}, bytes))
        return 0;
    if (same.p && !text_is(same, f->tag) && !(time_parse(same, &seconds) && seconds == f->mtime))
        return 0;
    range.p += sizeof bytes - 1, range.n -= sizeof bytes - 1;
    const char *dash = memchr(range.p, '-', range.n);
    if (!dash)
        return 0;
    struct text from = {range.p, (size_t)(dash - range.p)}, to = {dash + 1, range.n - from.n - 1};
    bool suffix = !from.n;
    if ((from.n && !text_number(from, &first)) || (to.n && !text_number(to, &last)) ||
        (suffix && !to.n) || (!suffix && to.n && last < first))
        return 0;
    if (suffix) {
        first = last < f->size ? f->size - last : 0;
        if (!last)
            return 416;
        last = f->size - 1;
    }
    if (first >= f->size)
        return 416;
    last = last < f->size ? last : f->size - 1;
    f->from = first;
    f->length = last - first + 1;
    return 206;
}

// --- The answer

static struct text text_of(const char *s)
{
    return (struct text){s, strlen(s)};
}

static void begin(struct connection *c, int status, const struct file *f)
{
    char date[32];
    time_text(f->mtime, date);
    head_begin(c, status, (struct text){NULL, 0});
    head_field(c, text_of("ETag"), text_of(f->tag));
    head_field(c, text_of("Last-Modified"), text_of(date));
    head_field(c, text_of("Accept-Ranges"), text_of("bytes"));
}

// A file that became shorter meanwhile leaves an answer that cannot be ended as it was begun.
static void send(struct connection *c, const struct file *f)
{
    uint64_t done = 0;
    bool here = f->fd == NO_FD;
    int64_t n = c->silent || !f->length ? 0
                : here                  ? (int64_t)f->length
                                        : read_at(f, c->output, f->length, f->from);
    const char *bytes = c->output + (here ? f->from : 0);
    bool good = n >= 0 && answer_begin(c, f->length, bytes, (size_t)n);
    for (done = good ? (uint64_t)n : 0; good && !c->silent && done < f->length;
         done += (uint64_t)n) {
        n = read_at(f, c->output, f->length - done, f->from + done);
        good = n > 0 && answer_bytes(c, c->output, (size_t)n);
    }
    if (!good)
        c->keep = false;
}

static void answer_file(struct connection *c, struct file *f, const char *path)
{
    const struct request *q = &c->request;
    int status = take_conditions(q, f);
    if (status == 412) {
        answer_plain(c, 412, "");
        return;
    }
    if (status) {
        begin(c, 304, f);
        answer_begin(c, 0, NULL, 0);
        return;
    }
    int range = text_is(q->method, "GET") ? take_range(q, f) : 0;
    begin(c, range ? range : 200, f);
    if (range == 206)
        head_format(c, "Content-Range: bytes %llu-%llu/%llu\r\n", (unsigned long long)f->from,
                    (unsigned long long)(f->from + f->length - 1), (unsigned long long)f->size);
    if (range == 416) {
        head_format(c, "Content-Range: bytes */%llu\r\n", (unsigned long long)f->size);
        answer_begin(c, 0, NULL, 0);
        return;
    }
    head_field(c, text_of("Content-Type"), text_of(type_of(path)));
    send(c, f);
}

static int open_index(struct connection *c, const struct route *r, char *path, size_t room,
                      struct file *f)
{
    static const char index[] = "index.html";
    if (strlen(path) + sizeof index > room)
        return 404;
    strcat(path, index);
    int status = open_file(c, r->folder, path, f);
    return status == 301 ? 404 : status;
}

// To the same path with a slash, from which relative links lead on.
static void redirect(struct connection *c)
{
    const struct request *q = &c->request;
    head_begin(c, 301, (struct text){NULL, 0});
    size_t n = q->path.n + 1 + (q->query.p ? q->query.n + 1 : 0);
    // Two slashes in front would name another host.
    if (n > BUFFER || (q->path.n > 1 && (q->path.p[1] == '/' || q->path.p[1] == '\\'))) {
        answer_plain(c, 404, "");
        return;
    }
    memcpy(c->output, q->path.p, q->path.n);
    c->output[q->path.n] = '/';
    if (q->query.p) {
        c->output[q->path.n + 1] = '?';
        memcpy(c->output + q->path.n + 2, q->query.p, q->query.n);
    }
    head_field(c, text_of("Location"), (struct text){c->output, n});
    answer_begin(c, 0, NULL, 0);
}

void files_answer(struct connection *c, struct route *r)
{
    struct file f;
    char *path = c->path + r->length;
    bool get = text_is(c->request.method, "GET") || text_is(c->request.method, "HEAD");
    count(&r->requests, 1);
    if (!get) {
        answer_plain(c, 405, "Allow: GET, HEAD\r\n");
        return;
    }
    path += *path == '/';
    size_t n = strlen(path);
    bool folder = !n || path[n - 1] == '/';
    int status = is_hidden(path) ? 404
                 : folder ? open_index(c, r, path, sizeof c->path - (size_t)(path - c->path), &f)
                          : open_file(c, r->folder, path, &f);
    if (!status && !n && c->path[c->path_length - 1] != '/') {
        close_file(&f);
        status = 301; // the folder itself, without its slash
    }
    if (status == 301) {
        redirect(c);
    } else if (status) {
        answer_plain(c, status, "");
    } else {
        answer_file(c, &f, path);
        close_file(&f);
    }
}
