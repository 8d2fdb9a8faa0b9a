// SPDX-License-Identifier: MIT
// Addresses as text, of which there is one form only: of IPv4 four decimal numbers, without zeros
// in front.
#include <string.h>
#include <sip_net.h>

static bool parse_v4(const char *p, uint8_t out[4])
{
    for (uint32_t i = 0; i < 4; i++) {
        uint32_t n = 0, digits = 0;
        for (; *p >= '0' && *p <= '9' && digits < 4; p++, digits++)
            n = n * 10 + (uint32_t)(*p - '0');
        if (!digits || digits > 3 || n > 255 || (digits > 1 && p[-(int)digits] == '0'))
            return false;
        out[i] = (uint8_t)n;
        if (*p++ != (i < 3 ? '.' : 0))
            return false;
    }
    return true;
}

static int hex(char c)
{
    if (c >= '0' && c <= '9')
        return c - '0';
    c |= 0x20;
    return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

// Groups of 16 bits, of which one run of zeros may be left out, and the last two may be IPv4.
static bool parse_v6(const char *p, uint8_t out[16])
{
    uint32_t n = 0, gap = 17; // bytes so far, and in front of the gap
    if (p[0] == ':' && p[1] != ':')
        return false;
    for (bool first = true; *p; first = false) {
        if (p[0] == ':' && p[1] == ':') {
            if (gap <= 16)
                return false;
            gap = n;
            p += 2;
            if (!*p)
                break;
        } else if (!first && *p++ != ':') {
            return false;
        }
        uint32_t value = 0, digits = 0;
        const char *group = p;
        for (; hex(*p) >= 0 && digits < 5; p++, digits++)
            value = value << 4 | (uint32_t)hex(*p);
        if (*p == '.') {
            if (n > 12 || !parse_v4(group, out + n))
                return false;
            n += 4;
            p += strlen(p);
            break;
        }
        if (!digits || digits > 4 || n > 14)
            return false;
        out[n++] = (uint8_t)(value >> 8);
        out[n++] = (uint8_t)value;
    }
    if (gap > 16)
        return n == 16;
    if (n == 16)
        return false;
    memmove(out + 16 - (n - gap), out + gap, n - gap);
    memset(out + gap, 0, 16 - n);
    return true;
}

bool sip_net_parse(const char *text, struct nebulet_address *out)
{
    uint8_t bytes[16] = {0};
    *out = (struct nebulet_address){.family = strchr(text, ':') ? 6 : 4};
    if (!(out->family == 6 ? parse_v6(text, bytes) : parse_v4(text, bytes)))
        return false;
    memcpy(out->bytes, bytes, out->family == 6 ? 16 : 4);
    return true;
}

// The first of the longest runs of at least two groups of zeros is left out (RFC 5952).
static size_t print_v6(const uint8_t *b, char *out, size_t room)
{
    uint32_t groups[8], gap = 8, most = 1;
    size_t n = 0;
    for (uint32_t i = 0; i < 8; i++)
        groups[i] = (uint32_t)b[2 * i] << 8 | b[2 * i + 1];
    for (uint32_t i = 0, k; i < 8; i = k + 1) {
        for (k = i; k < 8 && !groups[k]; k++)
            ;
        if (k - i > most)
            most = k - i, gap = i;
    }
    for (uint32_t i = 0; i < 8; i++) {
        if (i == gap) {
            n += sip_format(out + n, room - n, "::");
            i += most - 1;
            continue;
        }
        n += sip_format(out + n, room - n, i && out[n - 1] != ':' ? ":%x" : "%x", groups[i]);
    }
    return n;
}

void sip_net_print(const struct nebulet_address *a, char out[SIP_ADDRESS_TEXT])
{
    const uint8_t *b = (const uint8_t *)a->bytes;
    char text[48];
    if (a->family == 6)
        print_v6(b, text, sizeof text);
    else
        sip_format(text, sizeof text, "%u.%u.%u.%u", b[0], b[1], b[2], b[3]);
    sip_format(out, SIP_ADDRESS_TEXT,
               !a->port         ? "%s"
               : a->family == 6 ? "[%s]:%u"
                                : "%s:%u",
               text, a->port);
}
