// SPDX-License-Identifier: MIT
// Reading bytes that nobody has checked: a bounds-checked cursor with a sticky error, and the
// checked LEB128 readers.
//
// The first error is recorded in *r->e with its offset, and the cursor jumps to the end, so that
// everything read afterwards is 0 and loops over input run out; callers check once per item or
// section (read_ok). Texts are those of the specification's reference interpreter, which its test
// suite expects.
#pragma once
#include "base/status.h"
#include "wasm/module.h"

struct reader {
    const u8 *p, *end;
    const u8 *base; // offset 0 of the module
    struct error *e;
};

// A LEB128 number and where it ends; p is NULL when it is malformed, and value then says why.
struct leb {
    const u8 *p;
    u64 value;
};

enum leb_error { LEB_END, LEB_TOO_LONG, LEB_TOO_LARGE };

// Unsigned and signed numbers of at most `bits` bits; signed ones are extended to 64.
struct leb leb_check_u(const u8 *p, const u8 *end, u32 bits);
struct leb leb_check_s(const u8 *p, const u8 *end, u32 bits);
const char *leb_error_text(u64 reason);

// Records an error at `at` and ends the reading. Always false.
__attribute__((format(printf, 4, 5))) bool read_error(struct reader *r, status code, const u8 *at,
                                                      const char *format, ...);

u64 read_leb(struct reader *r, u32 bits, bool sign); // the slow path of the readers below

// A length-prefixed name; checks UTF-8. `what` is for messages.
struct name read_name(struct reader *r);

// The count of a vector whose elements take at least `least` bytes each, and that may have at most
// `max` elements: the count never exceeds what the remaining bytes can hold.
u32 read_count(struct reader *r, u32 least, u32 max, const char *what);

bool utf8_valid(const u8 *p, size_t n);

static inline bool read_ok(const struct reader *r)
{
    return likely(r->e->code == OK);
}

// The same at step i of a loop over the input, which looks up every so often: what may be read is
// gone when the process is to end.
bool read_look(struct reader *r);
static inline bool read_goes_on(struct reader *r, u32 i)
{
    enum { STEPS = 256 };
    return read_ok(r) && likely((i + 1) % STEPS || read_look(r));
}

static inline size_t read_left(const struct reader *r)
{
    return (size_t)(r->end - r->p);
}

static inline u8 read_byte(struct reader *r)
{
    if (likely(r->p < r->end))
        return *r->p++;
    read_error(r, ERR_MALFORMED, r->p, "unexpected end of section or function");
    return 0;
}

static inline u32 read_u32(struct reader *r)
{
    if (likely(r->p < r->end && *r->p < 0x80))
        return *r->p++;
    return (u32)read_leb(r, 32, false);
}

// n bytes in place; NULL when there are fewer.
static inline const u8 *read_bytes(struct reader *r, size_t n)
{
    if (unlikely(n > read_left(r))) {
        read_error(r, ERR_MALFORMED, r->p, "unexpected end of section or function");
        return NULL;
    }
    const u8 *p = r->p;
    r->p += n;
    return p;
}
