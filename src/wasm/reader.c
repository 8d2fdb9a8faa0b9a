// SPDX-License-Identifier: MIT
// The slow paths of the reader (see reader.h): LEB128 numbers of several bytes, names, counts,
// types.
//
// A number of N bits has at most ceil(N / 7) bytes, and the unused bits of the last one must be
// zero or, for signed numbers, copies of the sign (specification 5.2.2). "too large" is judged
// before "too long", byte by byte.
#include "wasm/reader.h"
#include "base/fmt.h"
#include "base/lookup.h"

// The number at p, which goes on for at least 8 bytes; p is NULL when the number is longer than 5.
// (Linkers write all numbers that they may have to change with 5 bytes.)
static struct leb leb_of_5(const u8 *p)
{
    u64 w = load_u64(p), ends = ~w & 0x8080808080;
    if (!ends)
        return (struct leb){NULL, 0};
    w &= ends ^ (ends - 1);
    return (struct leb){p + (__builtin_ctzll(ends) >> 3) + 1,
                        (w & 0x7f) | (w >> 1 & 0x3f80) | (w >> 2 & 0x1fc000) |
                            (w >> 3 & 0xfe00000) | (w >> 4 & 0x7f0000000)};
}

struct leb leb_check_u(const u8 *p, const u8 *end, u32 bits)
{
    if (likely(end - p >= 8)) {
        struct leb n = leb_of_5(p);
        if (n.p && (bits > 35 || !(n.value >> bits)))
            return n;
    }
    u64 value = 0;
    for (u32 shift = 0; shift < bits; shift += 7) {
        if (p == end)
            return (struct leb){NULL, LEB_END};
        u8 b = *p++;
        u32 left = bits - shift;
        if (left < 7 && (b & 0x7f) >> left)
            return (struct leb){NULL, LEB_TOO_LARGE};
        value |= (u64)(b & 0x7f) << shift;
        if (b < 0x80)
            return (struct leb){p, value};
    }
    return (struct leb){NULL, LEB_TOO_LONG};
}

struct leb leb_check_s(const u8 *p, const u8 *end, u32 bits)
{
    u64 value = 0;
    for (u32 shift = 0; shift < bits; shift += 7) {
        if (p == end)
            return (struct leb){NULL, LEB_END};
        u8 b = *p++;
        u32 left = bits - shift;
        if (left < 7) {
            u8 mask = (u8)(0x7f << (left - 1)) & 0x7f;
            if ((b & mask) != 0 && (b & mask) != mask)
                return (struct leb){NULL, LEB_TOO_LARGE};
        }
        value |= (u64)(b & 0x7f) << shift;
        if (b >= 0x80)
            continue;
        if ((b & 0x40) && shift + 7 < 64)
            value |= ~0ull << (shift + 7);
        return (struct leb){p, value};
    }
    return (struct leb){NULL, LEB_TOO_LONG};
}

const char *leb_error_text(u64 reason)
{
    switch ((enum leb_error)reason) {
    case LEB_END: break;
    case LEB_TOO_LONG: return "integer representation too long";
    case LEB_TOO_LARGE: return "integer too large";
    }
    return "unexpected end of section or function";
}

bool read_error(struct reader *r, status code, const u8 *at, const char *format, ...)
{
    if (!r->e->code) {
        char text[sizeof r->e->text];
        va_list args;
        va_start(args, format);
        fmt_va(text, sizeof text, format, args);
        va_end(args);
        error_set(r->e, code, (u64)(at - r->base), "%s", text);
    }
    r->p = r->end;
    return false;
}

bool read_look(struct reader *r)
{
    return !look_up() || read_error(r, ERR_CANCELLED, r->p, "the process ends");
}

u64 read_leb(struct reader *r, u32 bits, bool sign)
{
    struct leb n = sign ? leb_check_s(r->p, r->end, bits) : leb_check_u(r->p, r->end, bits);
    if (unlikely(!n.p)) {
        read_error(r, ERR_MALFORMED, r->p, "%s", leb_error_text(n.value));
        return 0;
    }
    r->p = n.p;
    return n.value;
}

// The length of the UTF-8 sequence at p, 0 when there is none (Unicode table 3-7).
static size_t utf8_sequence(const u8 *p, size_t n)
{
    u8 a = p[0];
    if (a < 0x80)
        return 1;
    if (a < 0xc2 || n < 2)
        return 0;
    u8 b = p[1];
    if (a < 0xe0)
        return (b & 0xc0) == 0x80 ? 2 : 0;
    if (n < 3 || (p[2] & 0xc0) != 0x80)
        return 0;
    if (a < 0xf0) {
        u8 low = a == 0xe0 ? 0xa0 : 0x80, high = a == 0xed ? 0x9f : 0xbf;
        return b >= low && b <= high ? 3 : 0;
    }
    if (a > 0xf4 || n < 4 || (p[3] & 0xc0) != 0x80)
        return 0;
    u8 low = a == 0xf0 ? 0x90 : 0x80, high = a == 0xf4 ? 0x8f : 0xbf;
    return b >= low && b <= high ? 4 : 0;
}

static bool is_ascii(const u8 *p, size_t n)
{
    u64 seen = n >= 8 ? load_u64(p + n - 8) : 0;
    size_t i = 0;
    for (; i + 8 < n; i += 8)
        seen |= load_u64(p + i);
    for (; n < 8 && i < n; i++)
        seen |= p[i];
    return !(seen & 0x8080808080808080);
}

bool utf8_valid(const u8 *p, size_t n)
{
    if (is_ascii(p, n))
        return true;
    while (n) {
        size_t step = utf8_sequence(p, n);
        if (!step)
            return false;
        p += step, n -= step;
    }
    return true;
}

struct name read_name(struct reader *r)
{
    const u8 *at = r->p;
    u32 n = read_u32(r);
    // As the reference interpreter counts: from the length on.
    if (read_ok(r) && n > (size_t)(r->end - at))
        read_error(r, ERR_MALFORMED, at, "length out of bounds");
    const u8 *p = read_bytes(r, n);
    if (!p)
        return (struct name){"", 0};
    enum { LONG = 4096 };
    if (n >= LONG && !read_look(r))
        return (struct name){"", 0};
    if (!utf8_valid(p, n))
        read_error(r, ERR_MALFORMED, p, "malformed UTF-8 encoding");
    else if (n > MAX_NAME)
        read_error(r, ERR_INVALID, at, "name too long (%u bytes; the limit is %u)", n, MAX_NAME);
    return (struct name){(const char *)p, n};
}

u32 read_count(struct reader *r, u32 least, u32 max, const char *what)
{
    const u8 *at = r->p;
    u32 n = read_u32(r);
    if (!read_ok(r))
        return 0;
    if (n > (size_t)(r->end - at))
        read_error(r, ERR_MALFORMED, at, "length out of bounds");
    else if (n > read_left(r) / least)
        read_error(r, ERR_MALFORMED, at, "unexpected end of section or function");
    else if (n > max)
        read_error(r, ERR_INVALID, at, "too many %s (%u; the limit is %u)", what, n, max);
    return read_ok(r) ? n : 0;
}
