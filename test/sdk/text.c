// SPDX-License-Identifier: MIT
// Formatting, and the texts of numbers.
#include <string.h>
#include <sip.h>

static void formats(void)
{
    char text[8];
    sip_printf("%d %i %u %x %X %c %s %% %p\n", -1, 2, 4000000000u, 0xbeef, 0xbeef, 'c', "text",
               (void *)16);
    sip_printf("<%5d> <%-5d> <%05d> <%+d> <%*d> <%.4d>\n", 12, 12, -12, 12, 6, 12, 12);
    sip_printf("<%6s> <%-6s> <%.2s> <%.*s>\n", "abc", "abc", "abc", 1, "abc");
    sip_printf("%lld %llu %llx %ld %zu %jd\n", INT64_MIN, UINT64_MAX, UINT64_MAX, -5l, sizeof text,
               (intmax_t)6);
    size_t n = sip_format(text, sizeof text, "%s", "a long text");
    sip_printf("%zu: %s\n", n, text);
    n = sip_format(text, 0, "nowhere");
    sip_printf("%zu: %s\n", n, text);
}

static void meanings(void)
{
    static const struct nebulet_exit ends[] = {
        {NEBULET_EXITED, 7}, {NEBULET_TRAPPED, 4},  {NEBULET_TRAPPED, 99},
        {NEBULET_KILLED, 0}, {NEBULET_WATCHDOG, 0}, {NEBULET_LIMIT, 0},
    };
    char text[60];
    for (int i = 1; i >= -20; i -= 7)
        sip_printf("%d: %s\n", i, sip_error_text(i));
    for (size_t i = 0; i < sizeof ends / sizeof *ends; i++) {
        sip_describe_exit(text, sizeof text, &ends[i]);
        sip_printf("%s\n", text);
    }
}

// Longer than what is printed in one piece.
static void long_text(void)
{
    char text[1201];
    memset(text, 'x', sizeof text - 1);
    text[sizeof text - 1] = 0;
    sip_printf("%s\n", text);
}

int main(void)
{
    formats();
    meanings();
    long_text();
    return 0;
}
