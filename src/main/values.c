// SPDX-License-Identifier: MIT
// Values as text, for --invoke: what a person types, and what is printed for each result.
#include <ctype.h>
#include <errno.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "main/host.h"
#include "wasm/types.h"

// Decimal or 0x..., from -2^(bits-1) to 2^bits - 1.
static bool parse_integer(const char *text, u32 bits, u64 *out)
{
    bool negative = *text == '-';
    const char *digits = text + (negative || *text == '+');
    char *end;
    errno = 0;
    u64 n = strtoull(digits, &end, digits[0] == '0' && (digits[1] | 0x20) == 'x' ? 16 : 10);
    if (*digits < '0' || *digits > '9' || *end || errno)
        return false;
    u64 top = UINT64_MAX >> (64 - bits), least = 1ull << (bits - 1);
    if (n > (negative ? least : top))
        return false;
    *out = (negative ? -n : n) & top;
    return true;
}

// 0x and up to 32 digits.
static bool parse_v128(const char *text, u64 *out)
{
    out[0] = out[1] = 0;
    size_t n = strlen(text);
    if (n < 3 || n > 34 || text[0] != '0' || (text[1] | 0x20) != 'x')
        return false;
    for (const char *p = text + 2; *p; p++) {
        if (!isxdigit((unsigned char)*p))
            return false;
        out[1] = out[1] << 4 | out[0] >> 60;
        out[0] = out[0] << 4 | (u64)(*p <= '9' ? *p - '0' : (*p | 0x20) - 'a' + 10);
    }
    return true;
}

bool value_parse(valtype type, const char *text, u64 *out)
{
    char *end = (char *)text;
    *out = 0;
    switch (type) {
    case TYPE_I32: return parse_integer(text, 32, out);
    case TYPE_I64: return parse_integer(text, 64, out);
    case TYPE_F32: store_f32(out, strtof(text, &end)); break;
    case TYPE_F64: store_f64(out, strtod(text, &end)); break;
    case TYPE_FUNCREF:
    case TYPE_EXTERNREF: return str_eq(text, "null");
    case TYPE_V128: return parse_v128(text, out);
    default: return false;
    }
    return end != text && !*end;
}

// The shortest text that reads back as the same number.
static void print_float(double value, bool single)
{
    char text[40];
    if (isnan(value)) {
        puts(signbit(value) ? "-nan" : "nan");
        return;
    }
    for (int digits = single ? 6 : 15; digits <= 17; digits++) {
        snprintf(text, sizeof text, "%.*g", digits, value);
        if (single ? strtof(text, NULL) == (float)value : strtod(text, NULL) == value)
            break;
    }
    puts(text);
}

void value_print(valtype type, const u64 *slots)
{
    u64 value = *slots;
    switch (type) {
    case TYPE_I32: printf("%d\n", (s32)value); break;
    case TYPE_I64: printf("%lld\n", (long long)value); break;
    case TYPE_F32: print_float((double)load_f32(&value), true); break;
    case TYPE_F64: print_float(load_f64(&value), false); break;
    case TYPE_V128:
        printf("0x%016llx%016llx\n", (unsigned long long)slots[1], (unsigned long long)value);
        break;
    default: puts(value ? valtype_text(type) : "null"); break;
    }
}
