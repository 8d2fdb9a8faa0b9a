// SPDX-License-Identifier: MIT
// Answers to questions for names (user/svc/net/dns.c), and rules (rules.c) with addresses and what
// some take for them: what a message means, in what order its records ever are, and what it may
// cost.
#pragma clang diagnostic ignored "-Wunknown-attributes"
#include <stdarg.h>
#include <stdio.h>

#include "sdk/src/address.c"
#include "user/svc/net/address.c"
#include "user/svc/net/dns.c"
#include "user/svc/net/rules.c"

size_t sip_format(char *out, size_t room, const char *format, ...)
{
    va_list list;
    va_start(list, format);
    int n = vsnprintf(out, room, format, list);
    va_end(list);
    return (size_t)n;
}

static unsigned passed, failed;

#define CHECK(cond)                                                                                \
    do {                                                                                           \
        if (cond) {                                                                                \
            passed++;                                                                              \
        } else {                                                                                   \
            failed++;                                                                              \
            printf("%s:%d: %s\n", __FILE__, __LINE__, #cond);                                      \
        }                                                                                          \
    } while (0)

// --- Answers

enum { ID = 0x1234 };
static uint8_t bytes[65536];
static uint32_t size;

static void put_name(const char *name)
{
    while (*name) {
        uint32_t n = (uint32_t)strcspn(name, ".");
        bytes[size++] = (uint8_t)n;
        memcpy(bytes + size, name, n);
        size += n;
        name += n + (name[n] == '.');
    }
    bytes[size++] = 0;
}

static void put(uint32_t value)
{
    put16(bytes + size, value);
    size += 2;
}

static void begin(const char *name, uint32_t type)
{
    size = dns_query(bytes, ID, name, type) - 11; // without OPT
    put16(bytes + 2, QR | RD);
    bytes[11] = 0;
}

static void head(uint32_t type, uint32_t length)
{
    put(type);
    put(IN);
    put(0);
    put(60);
    put(length);
    put16(bytes + 6, get16(bytes + 6) + 1);
}

static void address(const char *owner, uint8_t last)
{
    put_name(owner);
    head(DNS_A, 4);
    bytes[size++] = 10, bytes[size++] = 0, bytes[size++] = 0, bytes[size++] = last;
}

static void alias(const char *owner, const char *to)
{
    put_name(owner);
    uint32_t at = size + 8;
    head(CNAME, 0);
    put_name(to);
    put16(bytes + at, size - at - 2);
}

static struct nebulet_address found[NET_ADDRESSES];
static uint32_t found_count;
static char name[NET_NAME];
static bool again;

static int32_t answer(const char *asked)
{
    strcpy(name, asked);
    found_count = 0;
    return dns_answer(bytes, size, ID, name, DNS_A, found, &found_count, &again);
}

static void chains(void)
{
    char a[16], b[16];
    begin("a0", DNS_A);
    for (uint32_t i = 0; i < CHAIN; i++) {
        snprintf(a, sizeof a, "a%u", i);
        snprintf(b, sizeof b, "A%u", i + 1);
        alias(a, b);
    }
    address("a16", 7);
    CHECK(answer("a0") == 0 && found_count == 1 && found[0].bytes[3] == 7 && !again);

    for (uint32_t n = 1; n <= CHAIN; n++) { // backwards: a few, else it asks on
        begin("a0", DNS_A);
        address("a16", 7);
        for (uint32_t i = n; i-- > 0;) {
            snprintf(a, sizeof a, "a%u", i);
            snprintf(b, sizeof b, "a%u", i + 1 == n ? 16 : i + 1);
            alias(a, b);
        }
        CHECK(answer("a0") == 0 &&
              (n < PASSES ? found_count == 1 && found[0].bytes[3] == 7
                          : again && !strcmp(name, n == PASSES ? "a16" : "a4")));
    }

    begin("a0", DNS_A);
    for (uint32_t i = 0; i <= CHAIN; i++) {
        snprintf(a, sizeof a, "a%u", i);
        snprintf(b, sizeof b, "a%u", i + 1);
        alias(a, b);
    }
    CHECK(answer("a0") == NEBULET_ERR_UNAVAILABLE);

    begin("a", DNS_A);
    alias("a", "b");
    alias("b", "a");
    CHECK(answer("a") == NEBULET_ERR_UNAVAILABLE);

    begin("a", DNS_A);
    alias("a", "b.example");
    address("a", 1); // of what is not asked for any more
    CHECK(answer("a") == 0 && again && !found_count && !strcmp(name, "b.example"));
}

// Pointers that lead from one to the next, each back: so many steps for two bytes.
static void pointers(uint32_t n, int32_t wanted)
{
    begin("a", DNS_A);
    uint32_t first = size + 11; // behind the head of a record that nobody wants
    bytes[size++] = 0;
    head(OPT, 2 * n);
    for (uint32_t i = 0; i < n; i++)
        put(0xc000 | (i ? first + 2 * (i - 1) : HEAD));
    put(0xc000 | (first + 2 * (n - 1)));
    head(DNS_A, 4);
    bytes[size++] = 10, bytes[size++] = 0, bytes[size++] = 0, bytes[size++] = 9;
    CHECK(answer("a") == wanted);
}

// --- Rules

static bool allows_tcp(const char *text, const char *host)
{
    struct nebulet_address a;
    bool literal = sip_net_parse(text, &a);
    a.port = 80;
    return literal && address_normalize(&a) && rules_allow(RULE_TCP, host, &a, 80);
}

static void names_of_anybody(void)
{
    CHECK(rules_add("tcp:*.example.org:80") && rules_add("tcp:db.example@10.0.0.0/8:80"));
    CHECK(allows_tcp("93.184.216.34", "www.example.org"));
    CHECK(allows_tcp("2606:2800:220:1::1", "WWW.example.ORG."));
    CHECK(!allows_tcp("93.184.216.34", "example.org") && !allows_tcp("93.184.216.34", NULL));
    CHECK(!allows_tcp("93.184.216.34", "example.org.evil") && !allows_tcp("93.184.216.34", ""));
    CHECK(!allows_tcp("93.184.216.34", "xexample.org"));
    CHECK(allows_tcp("10.1.2.3", "db.example") && !allows_tcp("11.1.2.3", "db.example"));
    CHECK(allows_tcp("::ffff:10.1.2.3", "db.example") &&
          !allows_tcp("10.1.2.3", "www.example.org"));
    static const char *const not_global[] = {
        "127.0.0.1",         "0.0.0.0",         "0.1.2.3",       "10.0.0.1",
        "100.64.0.1",        "169.254.169.254", "172.16.0.1",    "172.31.255.255",
        "192.168.0.1",       "192.0.0.8",       "198.18.0.1",    "224.0.0.1",
        "255.255.255.255",   "240.0.0.1",       "::1",           "::",
        "::ffff:127.0.0.1",  "::127.0.0.1",     "fe80::1",       "fec0::1",
        "fc00::1",           "fd00:ec2::254",   "ff02::1",       "64:ff9b::7f00:1",
        "64:ff9b::a00:1",    "64:ff9b:1::1",    "2002:7f00:1::", "2002:a00:1::",
        "2001::80ff:fffe",   "2001:db8::1",     "3fff::1",       "100::1",
        "::ffff:0:127.0.0.1"};
    for (uint32_t i = 0; i < sizeof not_global / sizeof *not_global; i++)
        CHECK(!allows_tcp(not_global[i], "www.example.org"));
}

// What was cut short counts for what is in it.
static void cut_short(void)
{
    begin("a0", DNS_A);
    put16(bytes + 2, QR | RD | TC);
    CHECK(answer("a0") == NEBULET_ERR_BUFFER_TOO_SMALL && !found_count && !again);
    alias("a0", "a1");
    CHECK(answer("a0") == 0 && !found_count && again);
    address("a1", 7);
    CHECK(answer("a0") == 0 && found_count == 1 && !again);
    put16(bytes + 2, QR | RD | TC | NXDOMAIN);
    CHECK(answer("a0") == NEBULET_ERR_NOT_FOUND);
}

int main(void)
{
    chains();
    cut_short();
    pointers(1, 0);
    pointers(POINTERS - 1, 0);
    pointers(POINTERS, NEBULET_ERR_NOT_FOUND);
    pointers(700, NEBULET_ERR_NOT_FOUND);
    names_of_anybody();
    printf("%u passed, %u failed\n", passed, failed);
    return failed != 0;
}
