// SPDX-License-Identifier: MIT
// printf's texts, without floating point. A sink takes the bytes: a caller's buffer, or one that is
// printed when it is full.
#include <sip.h>

enum { PRINT_SIZE = 500 };

struct sink {
    char *at;
    size_t room, used; // used goes on when the room is up
    size_t total;
    bool prints;
};

static void flush(struct sink *s)
{
    nebulet_print(s->at, (uint32_t)s->used);
    s->used = 0;
}

static void put(struct sink *s, char c)
{
    if (s->prints && s->used == s->room)
        flush(s);
    if (s->used < s->room)
        s->at[s->used] = c;
    s->used++;
    s->total++;
}

static void put_many(struct sink *s, char c, int n)
{
    while (n-- > 0)
        put(s, c);
}

struct spec {
    bool left, zeros, plus;
    int width, precision; // precision -1: none given
    int size;             // bytes of an integer
};

static int number(const char **format, va_list *list)
{
    int n = 0;
    if (**format == '*') {
        ++*format;
        return va_arg(*list, int);
    }
    for (; **format >= '0' && **format <= '9'; ++*format)
        n = n * 10 + **format - '0';
    return n;
}

static void parse_flags(struct spec *f, const char **format)
{
    for (;; ++*format) {
        if (**format == '-')
            f->left = true;
        else if (**format == '0')
            f->zeros = true;
        else if (**format == '+')
            f->plus = true;
        else
            return;
    }
}

static void parse_size(struct spec *f, const char **format)
{
    int longs = 0;
    f->size = sizeof(int);
    for (;; ++*format) {
        if (**format == 'l')
            f->size = ++longs == 2 ? 8 : sizeof(long);
        else if (**format == 'j')
            f->size = 8;
        else if (**format != 'h' && **format != 'z' && **format != 't')
            return;
    }
}

static struct spec parse(const char **format, va_list *list)
{
    struct spec f = {.precision = -1};
    parse_flags(&f, format);
    f.width = number(format, list);
    if (f.width < 0)
        f.left = true, f.width = -f.width;
    if (**format == '.') {
        ++*format;
        f.precision = number(format, list);
    }
    parse_size(&f, format);
    return f;
}

// Digits with what stands before them, in the width wanted.
static void put_number(struct sink *s, const struct spec *f, uint64_t n, unsigned base, char sign,
                       bool capitals)
{
    char digits[24];
    int count = 0;
    for (; n || !count; n /= base)
        digits[count++] = (capitals ? "0123456789ABCDEF" : "0123456789abcdef")[n % base];
    int zeros = f->precision > count ? f->precision - count : 0;
    int blank = f->width - count - zeros - (sign != 0);
    bool fill = f->zeros && !f->left && f->precision < 0;
    if (!f->left && !fill)
        put_many(s, ' ', blank);
    if (sign)
        put(s, sign);
    put_many(s, '0', zeros + (fill && blank > 0 ? blank : 0));
    while (count)
        put(s, digits[--count]);
    if (f->left)
        put_many(s, ' ', blank);
}

static void put_signed(struct sink *s, const struct spec *f, int64_t n)
{
    uint64_t absolute = n < 0 ? -(uint64_t)n : (uint64_t)n;
    put_number(s, f, absolute, 10, n < 0 ? '-' : f->plus ? '+' : 0, false);
}

static void put_text(struct sink *s, const struct spec *f, const char *text)
{
    int n = 0;
    text = text ? text : "(null)";
    while ((f->precision < 0 || n < f->precision) && text[n])
        n++;
    if (!f->left)
        put_many(s, ' ', f->width - n);
    for (int i = 0; i < n; i++)
        put(s, text[i]);
    if (f->left)
        put_many(s, ' ', f->width - n);
}

static uint64_t unsigned_arg(const struct spec *f, va_list *list)
{
    return f->size == 8 ? va_arg(*list, uint64_t) : va_arg(*list, unsigned);
}

static void convert(struct sink *s, char what, const struct spec *f, va_list *list)
{
    char c[2] = {0};
    switch (what) {
    case 'd':
    case 'i': put_signed(s, f, f->size == 8 ? va_arg(*list, int64_t) : va_arg(*list, int)); break;
    case 'u': put_number(s, f, unsigned_arg(f, list), 10, 0, false); break;
    case 'x':
    case 'X': put_number(s, f, unsigned_arg(f, list), 16, 0, what == 'X'); break;
    case 'p': put_number(s, f, (uintptr_t)va_arg(*list, void *), 16, 0, false); break;
    case 's': put_text(s, f, va_arg(*list, const char *)); break;
    case 'c':
        c[0] = (char)va_arg(*list, int);
        put_text(s, f, c);
        break;
    default: put(s, what);
    }
}

// Takes the list by address, for it goes through several hands.
static void format_list(struct sink *s, const char *format, va_list *list)
{
    for (; *format; format++) {
        if (*format != '%') {
            put(s, *format);
            continue;
        }
        format++;
        struct spec f = parse(&format, list);
        if (!*format)
            return;
        convert(s, *format, &f, list);
    }
}

size_t sip_format_list(char *out, size_t room, const char *format, va_list list)
{
    struct sink s = {.at = out, .room = room};
    va_list copy;
    va_copy(copy, list);
    format_list(&s, format, &copy);
    va_end(copy);
    if (room)
        out[s.total < room ? s.total : room - 1] = 0;
    return s.total;
}

size_t sip_format(char *out, size_t room, const char *format, ...)
{
    va_list list;
    va_start(list, format);
    size_t n = sip_format_list(out, room, format, list);
    va_end(list);
    return n;
}

static void print_list(const char *format, va_list *list)
{
    char text[PRINT_SIZE];
    struct sink s = {.at = text, .room = sizeof text, .prints = true};
    format_list(&s, format, list);
    if (s.used)
        flush(&s);
}

void sip_printf(const char *format, ...)
{
    va_list list;
    va_start(list, format);
    print_list(format, &list);
    va_end(list);
}

void sip_panic(const char *format, ...)
{
    va_list list;
    va_start(list, format);
    print_list(format, &list);
    va_end(list);
    sip_printf("\n");
    nebulet_exit(1);
}

void sip_fail(int64_t result, const char *what)
{
    sip_panic("%s: %s", what, sip_error_text(result));
}
