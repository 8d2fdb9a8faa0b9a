// SPDX-License-Identifier: MIT
// The few functions of the base layer that are not inline: status texts, the sticky error, vec
// growth.
#include "base/fmt.h"
#include "base/lookup.h"
#include "base/status.h"
#include "base/vec.h"

u32 (*look_up_hook)(void);

u32 look_up_copy(void *to, const void *from, size_t size)
{
    u32 ends = 0;
    for (size_t at = 0, n; at < size && !ends; at += n) {
        n = size - at < LOOK_UP ? size - at : LOOK_UP;
        memcpy((u8 *)to + at, (const u8 *)from + at, n);
        ends = at + n < size ? look_up() : 0;
    }
    return ends;
}

const char *status_text(status s)
{
    switch ((enum status_code)s) {
    case OK: return "ok";
#define ERROR(number, name, text)                                                                  \
    case ERR_##name: return text;
#include "base/errors.def"
#undef ERROR
    }
    return "unknown status";
}

status error_set(struct error *e, status code, u64 offset, const char *format, ...)
{
    if (e->code)
        return e->code;
    e->code = code;
    e->offset = offset;
    va_list args;
    va_start(args, format);
    fmt_va(e->text, sizeof e->text, format, args);
    va_end(args);
    for (size_t i = 0, n = strlen(e->text); i < n; i++) // names in it come from the module
        e->text[i] = fmt_shown(e->text, n, i);
    return code;
}

bool vec_grow(void **at, u32 *capacity, u64 need, size_t size)
{
    u64 n = *capacity ? (u64)*capacity * 2 : 16;
    if (n < need)
        n = need;
    if (n > INT32_MAX)
        return false;
    void *p = heap_resize(*at, (size_t)n * size);
    if (!p)
        return false;
    *at = p;
    *capacity = (u32)n;
    return true;
}
