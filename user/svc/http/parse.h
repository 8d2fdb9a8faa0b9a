// SPDX-License-Identifier: MIT
// HTTP/1 as bytes (RFC 9112): the head of a request, and bodies in chunks.
//
// Strict where leniency has been used to smuggle requests past others: lines end with CR LF and
// with nothing else, names are followed by their colon at once, no line is folded, and there is one
// length or none. Nothing here recurses, allocates, or looks behind what it is given; a head is
// looked at when all of it is there, and found by its end, which is searched for once.
#pragma once
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum {
    HEAD_MAX = 16384,  // bytes of a head, else 431
    TARGET_MAX = 8000, // bytes of a target, else 414
    METHOD_MAX = 32,
    FIELDS_MAX = 100, // lines of a head, else 431
    EXTRA_MAX = 8192, // bytes of extensions and trailers of a body in chunks
};

struct text {
    const char *p;
    size_t n;
};

// Names of fields of which something is known; all others are FIELD_OTHER.
enum known {
    FIELD_OTHER,
    FIELD_CONNECTION,
    FIELD_CONTENT_LENGTH,
    FIELD_CONTENT_TYPE,
    FIELD_COOKIE,
    FIELD_DATE,
    FIELD_EXPECT,
    FIELD_HOST,
    FIELD_KEEP_ALIVE,
    FIELD_LOCATION,
    FIELD_PROXY,
    FIELD_STATUS,
    FIELD_TE,
    FIELD_TRAILER,
    FIELD_TRANSFER_ENCODING,
    FIELD_UPGRADE,
};

struct field {
    struct text name, value;
    enum known known;
};

struct request {
    struct text method, target; // as they stand there
    struct text path, query;    // of the target; the path is not decoded. query.p NULL: none
    struct text host;           // with its port; n 0: none (HTTP/1.0)
    struct text type;           // of the body; p NULL: it is not said
    uint32_t minor;             // of HTTP/1.minor
    bool chunked, has_length, close, keep_alive, expects;
    uint64_t length;
    size_t size;   // of the head
    uint32_t same; // struct lines' number, where its lines are those; 0: they are not kept
    uint32_t count;
    struct field fields[FIELDS_MAX];
};

// The lines of fields of the last head that was taken to a struct request, which mostly are those
// of the next one, too, byte for byte: who asks again says the same of itself. Then they say what
// they said, and what the request has of them, and has still, lies here. All zeros at first, and
// when that request is another one.
struct lines {
    uint32_t size; // with the empty line; 0: nothing is kept
    uint32_t number, count;
    bool close, keep_alive;
    struct text host, type;
    char bytes[1024];
};

// Where the head ends that begins at p: behind its empty line; 0: not among these n bytes. *seen is
// 0 at first, and then how far it has been looked for.
size_t head_end(const char *p, size_t n, size_t *seen);
// A whole head of n bytes. 0, or the status to answer with.
int head_parse(const char *p, size_t n, struct request *r, struct lines *k);
// The same with whatever behind it; *used: where it ends. 0 is as good as head_end and head_parse;
// anything else may be so because not all of it is there.
int head_take(const char *p, size_t n, struct request *r, struct lines *k, size_t *used);
// The value of the first field of that name, in lower case; p NULL: none.
struct text request_field(const struct request *r, const char *name);

// A line of a head at p, of n bytes at most: its name, which is followed by a colon, and its value,
// without blanks around it. Behind the value comes the line's end, which is not looked at. How many
// bytes there are before that; 0: it is no such line, or does not end there.
size_t field_take(const char *p, size_t n, struct field *f);

bool bytes_are(const char *p, const char *s, size_t n);
// Mostly with a literal, whose length is then no work at all. What is looked at has no controls.
bool bytes_are_nocase(const char *p, const char *lower, size_t n);
static inline bool text_is(struct text t, const char *s)
{
    return t.n == __builtin_strlen(s) && !__builtin_memcmp(t.p, s, t.n);
}
static inline bool text_is_nocase(struct text t, const char *lower)
{
    return t.n == __builtin_strlen(lower) && bytes_are_nocase(t.p, lower, t.n);
}
// As memcpy, for texts: mostly a few bytes, for which a call or a loop is dear.
static inline void copy_text(char *to, const char *from, size_t n)
{
    if (n > 40) {
        __builtin_memcpy(to, from, n);
    } else if (n >= 8) {
        uint64_t last;
        __builtin_memcpy(&last, from + n - 8, 8);
        for (size_t i = 0; i + 8 < n; i += 8)
            __builtin_memcpy(to + i, from + i, 8);
        __builtin_memcpy(to + n - 8, &last, 8);
    } else if (n >= 4) {
        uint32_t first, last;
        __builtin_memcpy(&first, from, 4);
        __builtin_memcpy(&last, from + n - 4, 4);
        __builtin_memcpy(to, &first, 4);
        __builtin_memcpy(to + n - 4, &last, 4);
    } else if (n) {
        to[0] = from[0];
        to[n / 2] = from[n / 2];
        to[n - 1] = from[n - 1];
    }
}
// As memchr, eight bytes at a time.
const char *find_byte(const char *p, size_t n, char c);
// A path with its escapes decoded and without dots, of at most n bytes with a final 0: how long, or
// -1: it is none, or leads out of the root.
int path_decode(struct text path, char *out, size_t room);
// Decimal digits, and nothing else. False: it is none, or too large.
bool text_number(struct text t, uint64_t *out);

// A body in chunks, a piece at a time.
struct chunks {
    uint64_t left;  // of this chunk
    uint32_t extra; // bytes that were no data
    uint8_t state, digits;
};
enum chunk { CHUNK_MORE, CHUNK_DATA, CHUNK_END, CHUNK_BAD };
// Takes *used of the n bytes. CHUNK_DATA: *data are bytes of the body, among these. CHUNK_MORE: all
// were taken.
enum chunk chunks_take(struct chunks *c, const char *p, size_t n, size_t *used, struct text *data);
