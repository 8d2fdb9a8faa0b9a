// SPDX-License-Identifier: MIT
// Rules: what may be reached and where may be listened. Without any, nothing.
//
//     [listen:] tcp|udp : HOST : PORTS        dns : NAME
//
// A host is an address, a range of addresses, a name, a name and a range that it may be in, or *; a
// name that begins with *. is all below it. An address is looked at as it is connected to, and not
// as it was written; what a name leads to is allowed to be of the Internet at large, or else where
// the rule says (NAME@RANGE): who can answer for a name shall not choose whom of this machine or
// its neighbours a program talks to.
#include "net.h"

#include <sip_net.h>

#include <string.h>

enum { RULES = 64 };

static struct rule {
    uint32_t kind;
    bool any;       // host
    bool has_range; // where, or what the name may be
    char name[NET_NAME];
    struct nebulet_address range;
    uint32_t bits;
    uint32_t first, last; // port
} rules[RULES];
static uint32_t count;

// --- Parsing

static const char *after(const char *text, const char *word)
{
    size_t n = strlen(word);
    return strncmp(text, word, n) ? NULL : text + n;
}

static bool parse_number(const char *text, uint32_t most, uint32_t *out)
{
    *out = 0;
    for (uint32_t digits = 0; *text; text++)
        if (*text < '0' || *text > '9' || ++digits > 5)
            return false;
        else
            *out = *out * 10 + (uint32_t)(*text - '0');
    return *out <= most;
}

static bool parse_ports(struct rule *r, char *text)
{
    char *dash = strchr(text, '-');
    r->last = UINT16_MAX;
    if (!strcmp(text, "*"))
        return true;
    if (dash)
        *dash = 0;
    const char *last = dash ? dash + 1 : text;
    return *text && *last && parse_number(text, UINT16_MAX, &r->first) &&
           parse_number(last, UINT16_MAX, &r->last) && r->first <= r->last;
}

// ADDRESS[/BITS], an IPv6 one in brackets, which may have the slash in them, too.
static bool parse_range(struct rule *r, char *text)
{
    char *slash = strchr(text, '/'), *bracket = strchr(text, ']');
    bool v6 = *text == '[';
    if (v6 && (!bracket || (bracket[1] && bracket + 1 != slash)))
        return false;
    if (slash)
        *slash = 0;
    if (bracket)
        *bracket = 0;
    if (!sip_net_parse(text + v6, &r->range) || (r->range.family == 6) != v6)
        return false;
    r->bits = v6 ? 128 : 32;
    r->has_range = true;
    return !slash || (slash[1] && parse_number(slash + 1, r->bits, &r->bits));
}

static bool parse_name(struct rule *r, char *text)
{
    char *at = strchr(text, '@');
    if (at)
        *at = 0;
    const char *plain = after(text, "*.");
    if (!dns_is_name(plain ? plain : text) || address_is_number(text))
        return false;
    memcpy(r->name, text, strlen(text) + 1);
    size_t n = strlen(r->name);
    if (r->name[n - 1] == '.')
        r->name[n - 1] = 0;
    return !at || parse_range(r, at + 1);
}

static bool push(const struct rule *r)
{
    if (count == RULES)
        return false;
    rules[count++] = *r;
    return true;
}

static bool add_local(struct rule r)
{
    char v4[] = "127.0.0.1", v6[] = "[::1]";
    return parse_range(&r, v4) && push(&r) && parse_range(&r, v6) && push(&r);
}

static bool add_host(struct rule *r, char *host)
{
    if (!strcmp(host, "*"))
        return r->any = true, push(r);
    if (dns_is_local(host))
        return add_local(*r);
    bool is_number = *host == '[' || (*host >= '0' && *host <= '9');
    if (is_number && r->kind != RULE_DNS && parse_range(r, host))
        return push(r);
    if (*host == '[' || r->kind & RULE_LISTEN)
        return false;
    return !r->has_range && parse_name(r, host) && push(r);
}

bool rules_add(const char *text)
{
    char host[2 * NET_NAME];
    struct rule r = {0};
    const char *p;
    if ((p = after(text, "listen:")))
        r.kind = RULE_LISTEN, text = p;
    if ((p = after(text, "tcp:")))
        r.kind |= RULE_TCP;
    else if ((p = after(text, "udp:")))
        r.kind |= RULE_UDP;
    else if (!r.kind && (p = after(text, "dns:")))
        r.kind = RULE_DNS;
    if (!p || strlen(p) >= sizeof host)
        return false;
    strcpy(host, p);
    if (r.kind == RULE_DNS)
        return r.last = UINT16_MAX, *host != '[' && !strchr(host, '@') && add_host(&r, host);
    char *colon = strrchr(host, ':');
    if (!colon || colon == host)
        return false;
    *colon = 0;
    return parse_ports(&r, colon + 1) && add_host(&r, host);
}

// --- What they allow

static bool names_match(const char *rule, const char *name)
{
    size_t n = strlen(name), m;
    n -= n && name[n - 1] == '.';
    if (rule[0] == '*' && rule[1] == '.') {
        m = strlen(++rule);
        if (n <= m)
            return false;
        name += n - m, n = m;
    }
    if (strlen(rule) != n)
        return false;
    for (size_t i = 0; i < n; i++) {
        char a = rule[i], b = name[i];
        a = a >= 'A' && a <= 'Z' ? (char)(a | 0x20) : a;
        b = b >= 'A' && b <= 'Z' ? (char)(b | 0x20) : b;
        if (a != b)
            return false;
    }
    return true;
}

static bool in_range(const struct rule *r, const struct nebulet_address *a)
{
    if (!r->has_range || r->range.family != a->family)
        return false;
    for (uint32_t i = 0; i < r->bits; i++)
        if ((r->range.bytes[i / 8] ^ a->bytes[i / 8]) >> (7 - i % 8) & 1)
            return false;
    return true;
}

bool rules_resolve(const char *name)
{
    for (uint32_t i = 0; i < count; i++) {
        const struct rule *r = &rules[i];
        if (!(r->kind & RULE_LISTEN) && (r->any || (*r->name && names_match(r->name, name))))
            return true;
    }
    return false;
}

static bool allows(const struct rule *r, const char *name, const struct nebulet_address *a)
{
    if (r->any)
        return true;
    if (!*r->name)
        return in_range(r, a);
    return name && names_match(r->name, name) &&
           (r->has_range ? in_range(r, a) : address_is_global(a));
}

static bool allowed(uint32_t kind, const char *name, const struct nebulet_address *a, uint32_t port)
{
    for (uint32_t i = 0; i < count; i++)
        if (rules[i].kind == kind && port >= rules[i].first && port <= rules[i].last &&
            allows(&rules[i], name, a))
            return true;
    return false;
}

bool rules_allow(uint32_t kind, const char *name, const struct nebulet_address *a, uint32_t port)
{
    struct nebulet_address inner;
    if (address_inner(a, &inner) && !allowed(kind, name, &inner, port))
        return false;
    return allowed(kind, name, a, port);
}

int32_t rules_listen(uint32_t kind, struct nebulet_address *a)
{
    if ((a->family != 4 && a->family != 6) || a->port > UINT16_MAX ||
        (!address_is_any(a) && !address_normalize(a)))
        return NEBULET_ERR_INVALID_ARG;
    for (uint32_t i = 0; i < count; i++) {
        const struct rule *r = &rules[i];
        if (r->kind == (kind | RULE_LISTEN) && a->port >= r->first && a->port <= r->last &&
            (r->any || in_range(r, a)))
            return 0;
    }
    return NEBULET_ERR_ACCESS_DENIED;
}
