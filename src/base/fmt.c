// SPDX-License-Identifier: MIT
// A bounded printf (see fmt.h). One pass over the format; every byte goes through put(), which
// counts always and stores only while there is room, so the result is never cut in the middle of
// the terminator.
#include "base/fmt.h"

struct out {
    char *buffer;
    size_t room, length;
};

struct spec {
    bool left, zero;
    int width, precision; // precision < 0: none
};

static void put(struct out *o, char c)
{
    if (o->length + 1 < o->room)
        o->buffer[o->length] = c;
    o->length++;
}

static void put_padded(struct out *o, const struct spec *s, const char *text, size_t n)
{
    size_t pad = s->width > 0 && (size_t)s->width > n ? (size_t)s->width - n : 0;
    if (s->left) {
        for (size_t i = 0; i < n; i++)
            put(o, text[i]);
        while (pad--)
            put(o, ' ');
        return;
    }
    if (s->zero && n && text[0] == '-') {
        put(o, '-');
        text++, n--;
    }
    while (pad--)
        put(o, s->zero ? '0' : ' ');
    for (size_t i = 0; i < n; i++)
        put(o, text[i]);
}

static void put_number(struct out *o, const struct spec *s, u64 value, bool negative, u32 radix,
                       bool upper)
{
    char digits[24];
    size_t at = sizeof digits;
    do {
        u32 d = (u32)(value % radix);
        digits[--at] = (char)(d < 10 ? '0' + d : (upper ? 'A' : 'a') + d - 10);
        value /= radix;
    } while (value);
    if (negative)
        digits[--at] = '-';
    put_padded(o, s, digits + at, sizeof digits - at);
}

static const char *parse_flags(const char *f, struct spec *s, va_list *args)
{
    *s = (struct spec){.precision = -1};
    for (;; f++) {
        if (*f == '-')
            s->left = true;
        else if (*f == '0')
            s->zero = true;
        else
            break;
    }
    if (*f == '*') {
        s->width = va_arg(*args, int);
        f++;
    }
    for (; *f >= '0' && *f <= '9'; f++)
        s->width = s->width * 10 + (*f - '0');
    if (*f != '.')
        return f;
    s->precision = 0;
    if (*++f == '*') {
        s->precision = va_arg(*args, int);
        f++;
    }
    for (; *f >= '0' && *f <= '9'; f++)
        s->precision = s->precision * 10 + (*f - '0');
    return f;
}

static void put_string(struct out *o, const struct spec *s, const char *text)
{
    size_t n = 0;
    if (!text)
        text = "(null)";
    while ((s->precision < 0 || n < (size_t)s->precision) && text[n])
        n++;
    put_padded(o, s, text, n);
}

size_t fmt_va(char *buffer, size_t n, const char *f, va_list list)
{
    struct out o = {buffer, n, 0};
    va_list args;
    va_copy(args, list);
    for (; *f; f++) {
        if (*f != '%') {
            put(&o, *f);
            continue;
        }
        struct spec s;
        f = parse_flags(f + 1, &s, &args);
        bool wide = false;
        for (; *f == 'l' || *f == 'z'; f++)
            wide = true;
        switch (*f) {
        case 'd':
        case 'i': {
            s64 v = wide ? va_arg(args, s64) : va_arg(args, int);
            put_number(&o, &s, v < 0 ? 0 - (u64)v : (u64)v, v < 0, 10, false);
            break;
        }
        case 'u':
        case 'x':
        case 'X': {
            u64 v = wide ? va_arg(args, u64) : va_arg(args, unsigned);
            put_number(&o, &s, v, false, *f == 'u' ? 10 : 16, *f == 'X');
            break;
        }
        case 'p': put_number(&o, &s, (u64)(uintptr_t)va_arg(args, void *), false, 16, false); break;
        case 'c': {
            char c = (char)va_arg(args, int);
            put_padded(&o, &s, &c, 1);
            break;
        }
        case 's': put_string(&o, &s, va_arg(args, const char *)); break;
        case 0: f--; break;
        default: put(&o, *f);
        }
    }
    va_end(args);
    if (n)
        buffer[o.length < n ? o.length : n - 1] = 0;
    return o.length;
}

size_t fmt(char *buffer, size_t n, const char *format, ...)
{
    va_list args;
    va_start(args, format);
    size_t length = fmt_va(buffer, n, format, args);
    va_end(args);
    return length;
}

char fmt_shown(const char *text, size_t n, size_t i)
{
    const u8 *p = (const u8 *)text;
    u8 c = p[i];
    size_t back = 0; // to the byte that begins the character
    if (c < 0x20 || c == 0x7f || (c == 0xc2 && i + 1 < n && p[i + 1] >= 0x80 && p[i + 1] < 0xa0))
        return '?';
    if (c < 0x80 || c >= 0xa0)
        return (char)c;
    while (back < 4 && back < i && (p[i - back] & 0xc0) == 0x80)
        back++;
    u8 first = p[i - back];
    size_t follow = first >= 0xf0 ? 3 : first >= 0xe0 ? 2 : first > 0xc2 ? 1 : 0;
    return back <= follow ? (char)c : '?';
}
