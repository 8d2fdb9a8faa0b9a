// SPDX-License-Identifier: MIT
// Messages of DNS (RFC 1035, 6891). What comes is anybody's: each pointer of a name leads back, and
// there are few of them; a name has 255 bytes at most, and an answer as many records as fit in it,
// which are gone through once if aliases come in their order, and else four times at most: then the
// last one is asked for anew.
#include "net.h"

#include <string.h>

enum { HEAD = 12, LABEL = 63, CNAME = 5, OPT = 41, IN = 1, CHAIN = 16, POINTERS = 32, PASSES = 4 };
enum { QR = 0x8000, OPCODE = 0x7800, TC = 0x0200, RD = 0x0100, RCODE = 15, NXDOMAIN = 3 };

static bool is_letter(char c)
{
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '-' ||
           c == '_';
}

bool dns_is_name(const char *name)
{
    size_t n = strlen(name), label = 0;
    if (n && name[n - 1] == '.')
        n--;
    if (!n || n > 253)
        return false;
    for (size_t i = 0; i < n; i++)
        if (name[i] == '.' ? !label : !is_letter(name[i]))
            return false;
        else if ((label = name[i] == '.' ? 0 : label + 1) > LABEL)
            return false;
    return label;
}

// RFC 6761: this machine, and no business of a server's.
bool dns_is_local(const char *name)
{
    static const char local[] = "localhost";
    for (uint32_t i = 0; i < sizeof local - 1; i++)
        if ((name[i] | 0x20) != local[i])
            return false;
    name += sizeof local - 1;
    return !*name || !strcmp(name, ".");
}

static void put16(uint8_t *at, uint32_t value)
{
    at[0] = (uint8_t)(value >> 8);
    at[1] = (uint8_t)value;
}

static uint32_t get16(const uint8_t *at)
{
    return (uint32_t)at[0] << 8 | at[1];
}

uint32_t dns_query(uint8_t out[DNS_MOST], uint16_t id, const char *name, uint32_t type)
{
    static const uint8_t opt[] = {0, 0, OPT, DNS_MOST >> 8, DNS_MOST & 255, 0, 0, 0, 0, 0, 0};
    if (!dns_is_name(name))
        return 0;
    memset(out, 0, HEAD);
    put16(out, id);
    put16(out + 2, RD);
    out[5] = 1;  // question
    out[11] = 1; // OPT
    uint32_t at = HEAD;
    for (const char *p = name; *p;) {
        uint32_t n = (uint32_t)strcspn(p, ".");
        out[at++] = (uint8_t)n;
        memcpy(out + at, p, n);
        at += n;
        p += n + (p[n] == '.');
    }
    out[at++] = 0;
    put16(out + at, type);
    put16(out + at + 2, IN);
    memcpy(out + at + 4, opt, sizeof opt);
    return at + 4 + (uint32_t)sizeof opt;
}

struct message {
    const uint8_t *bytes;
    uint32_t size;
};

// Where it goes on behind a name; 0: it is none, or more than a host has. A pointer leads to before
// where its name began.
static uint32_t read_name(const struct message *m, uint32_t at, char out[NET_NAME])
{
    uint32_t n = 0, behind = 0, begin = at, pointers = 0;
    for (;;) {
        if (at >= m->size)
            return 0;
        uint32_t length = m->bytes[at];
        if (length >= 0xc0) {
            if (at + 2 > m->size)
                return 0;
            uint32_t to = get16(m->bytes + at) & 0x3fff;
            behind = behind ? behind : at + 2;
            if (to >= begin || ++pointers > POINTERS)
                return 0;
            at = begin = to;
            continue;
        }
        if (length > LABEL || at + 1 + length > m->size)
            return 0;
        at++;
        if (!length)
            break;
        if (n + length + 1 > 254)
            return 0;
        for (uint32_t i = 0; i < length; i++, at++)
            // What is no letter of a host's name is nobody's that was asked for.
            out[n++] = is_letter((char)m->bytes[at]) ? (char)m->bytes[at] : '?';
        out[n++] = '.';
    }
    out[n ? n - 1 : 0] = 0;
    return behind ? behind : at;
}

static bool same_name(const char *a, const char *b)
{
    for (; *a && *b; a++, b++) {
        char x = *a >= 'A' && *a <= 'Z' ? (char)(*a | 0x20) : *a;
        char y = *b >= 'A' && *b <= 'Z' ? (char)(*b | 0x20) : *b;
        if (x != y)
            return false;
    }
    return (!*a || !strcmp(a, ".")) && (!*b || !strcmp(b, "."));
}

// The records of an answer once more: those of `name`. The number of times that it was another one,
// which `name` has become.
static uint32_t look_through(const struct message *m, uint32_t at, uint32_t records,
                             char name[NET_NAME], uint32_t type,
                             struct nebulet_address found[NET_ADDRESSES], uint32_t *count)
{
    char owner[NET_NAME];
    uint32_t aliases = 0;
    for (; records; records--) {
        if (!(at = read_name(m, at, owner)) || at + 10 > m->size)
            break;
        uint32_t is = get16(m->bytes + at), class = get16(m->bytes + at + 2);
        uint32_t size = get16(m->bytes + at + 8), wanted = type == DNS_A ? 4 : 16;
        at += 10;
        if (size > m->size - at)
            break;
        if (class == IN && same_name(owner, name)) {
            if (is == CNAME && read_name(m, at, owner) && dns_is_name(owner)) {
                memcpy(name, owner, sizeof owner);
                aliases++;
            }
            if (is == type && size == wanted && *count < NET_ADDRESSES) {
                struct nebulet_address *a = &found[(*count)++];
                *a = (struct nebulet_address){.family = wanted == 4 ? 4 : 6};
                memcpy(a->bytes, m->bytes + at, wanted);
            }
        }
        at += size;
    }
    return aliases;
}

int32_t dns_answer(const uint8_t *bytes, uint32_t size, uint16_t id, char name[NET_NAME],
                   uint32_t type, struct nebulet_address found[NET_ADDRESSES], uint32_t *count,
                   bool *again)
{
    struct message m = {bytes, size};
    char asked[NET_NAME];
    *again = false;
    if (size < HEAD || get16(bytes) != id || get16(bytes + 4) != 1)
        return NEBULET_ERR_BAD_STATE;
    uint32_t flags = get16(bytes + 2), at = read_name(&m, HEAD, asked);
    if ((flags & (QR | OPCODE)) != QR || !at || at + 4 > size || !same_name(asked, name) ||
        get16(bytes + at) != type || get16(bytes + at + 2) != IN)
        return NEBULET_ERR_BAD_STATE;
    if ((flags & RCODE) == NXDOMAIN)
        return NEBULET_ERR_NOT_FOUND;
    if (flags & RCODE)
        return NEBULET_ERR_UNAVAILABLE;
    uint32_t before = *count, hops = 0, more = 1;
    for (uint32_t i = 0; i < PASSES && more && *count == before; i++) {
        more = look_through(&m, at + 4, get16(bytes + 6), name, type, found, count);
        if ((hops += more) > CHAIN)
            return NEBULET_ERR_UNAVAILABLE;
    }
    if (*count > before)
        return 0;
    if (hops && same_name(asked, name))
        return NEBULET_ERR_UNAVAILABLE;
    *again = hops != 0;
    return *again ? 0 : flags & TC ? NEBULET_ERR_BUFFER_TOO_SMALL : NEBULET_ERR_NOT_FOUND;
}
