// SPDX-License-Identifier: MIT
// Fuzz target (libFuzzer): what name servers answer (user/svc/net/dns.c, and names.c, which asks
// on), and rules and addresses as text (rules.c, sdk/src/address.c).
//
// An input begins with a byte that says which. Answers: each is a byte that says how it is brought,
// two of its length, and its bytes; number and question of most are repaired, for without these
// nothing else is looked at. What is asked for by TCP comes in such pieces, the first one with its
// length in front. Rules: lines, and then each line is an address that is asked about.
#pragma clang diagnostic ignored "-Wunknown-attributes"
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include "sdk/src/address.c"
#include "user/svc/net/address.c"
#define send names_send
#define end names_over
#define local dns_local_name
#include "user/svc/net/dns.c"
#include "user/svc/net/names.c"
#undef send
#undef end
#define count rules_count
#include "user/svc/net/rules.c"
#undef count

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

#define CHECK(cond)                                                                                \
    do {                                                                                           \
        if (!(cond)) {                                                                             \
            fprintf(stderr, "%s:%d: %s\n", __FILE__, __LINE__, #cond);                             \
            abort();                                                                               \
        }                                                                                          \
    } while (0)

size_t sip_format(char *out, size_t room, const char *format, ...)
{
    va_list list;
    va_start(list, format);
    int n = vsnprintf(out, room, format, list);
    va_end(list);
    return (size_t)n;
}

// --- What names.c wants of others

static uint64_t now;
static uint8_t question[DNS_MOST];
static uint32_t question_size, questions, sockets, handles;
static struct dial *dialed;
static struct watch *watched;
static const uint8_t *came; // by TCP
static size_t came_size;

uint64_t sip_after(uint64_t ns)
{
    return now + ns;
}

void sip_random(void *bytes, size_t n)
{
    memset(bytes, (int)(now & 0x7f), n);
}

int32_t dgram_open(struct udp *u, struct nebulet_address *own)
{
    (void)own;
    u->socket = u;
    return sockets++, 0;
}

void dgram_close(struct udp *u)
{
    sockets -= u->socket != NULL;
    u->socket = NULL;
}

void dgram_send(struct udp *u, const struct nebulet_address *to, const uint8_t *bytes, uint32_t n)
{
    CHECK(u->socket && to->port == 53 && n > HEAD && n <= DNS_MOST);
    CHECK(++questions <= 4 * (TRIES + HOPS)); // whatever is answered
    memcpy(question, bytes, n);
    question_size = n - 11; // OPT
}

int32_t dial_begin(struct dial *d, const struct nebulet_address *to)
{
    CHECK(!dialed && !handles && to->port == 53);
    CHECK(++questions <= 4 * (TRIES + HOPS));
    if (now & 2)
        return NEBULET_ERR_UNAVAILABLE;
    dialed = d->state = d;
    return 0;
}

void dial_end(struct dial *d)
{
    CHECK(!d->state || d->state == dialed);
    if (d->state)
        dialed = d->state = NULL;
}

void watch_for(struct watch *w, nebulet_handle handle, uint32_t signals)
{
    CHECK(!watched && handle == 1 && signals);
    watched = w;
}

void watch_end(struct watch *w)
{
    if (watched == w)
        watched = NULL;
}

void sip_close(nebulet_handle handle)
{
    CHECK(handle >= 1 && handle <= 2 && handles--);
}

int64_t nebulet_stream_write(nebulet_handle stream, const void *from, uint32_t n, uint64_t until)
{
    const uint8_t *bytes = from;
    CHECK(stream == 2 && handles == 2 && until == NEBULET_AT_ONCE);
    CHECK(n == 2u + (bytes[0] << 8 | bytes[1]));
    memcpy(question, bytes + 2, n - 2);
    question_size = n - 2 - 11; // OPT
    return n;
}

int64_t nebulet_stream_read(nebulet_handle stream, void *to, uint32_t room, uint64_t until)
{
    CHECK(stream == 1 && handles == 2 && until == NEBULET_AT_ONCE && room);
    uint32_t n = came_size < room ? (uint32_t)came_size : room;
    if (!n)
        return NEBULET_ERR_PEER_CLOSED;
    memcpy(to, came, n);
    came += n;
    came_size -= n;
    return n;
}

bool have_ipv6(void)
{
    return now & 1;
}

// --- Answers

static int32_t result;
static bool over;

static void done(struct lookup *l, int32_t how)
{
    CHECK(!over && l->count <= NET_ADDRESSES && (how < 0 || l->count));
    over = true;
    result = how;
}

// An empty one is the end, or nobody there.
static void bring_piece(struct lookup *l, const uint8_t *bytes, uint32_t n)
{
    static uint8_t piece[2 + 2 * 65536];
    static nebulet_handle ends[2] = {1, 2};
    bool first = dialed;
    if (first) {
        dialed = l->dial.state = NULL;
        handles = n ? 2 : 0;
        l->dial.done(&l->dial, n ? 0 : NEBULET_ERR_TIMED_OUT, n ? ends : NULL);
        if (!n)
            return;
        piece[0] = (uint8_t)(n >> 8);
        piece[1] = (uint8_t)n;
    }
    memcpy(piece + 2, bytes, n);
    came = piece + (first ? 0 : 2);
    came_size = n + (first ? 2 : 0);
    do
        watched->ready(watched, NEBULET_READABLE);
    while (watched && came_size);
}

static void bring(struct lookup *l, uint8_t how, const uint8_t *bytes, uint32_t n)
{
    uint32_t front = how & 1 ? question_size : 0;
    uint8_t *message = malloc(front + n ? front + n : 1); // the sanitizers see its end
    memcpy(message, question, front);
    if (n)
        memcpy(message + front, bytes, n);
    if (front) {
        message[2] |= how & 0x80 ? 0x82 : 0x80; // cut short
        message[3] = how & 2 ? message[3] : 0;
        message[7] = how >> 2 & 31; // so many records
        message[11] = 0;
    }
    if (l->udp.socket)
        l->udp.received(&l->udp, &servers[l->server], message, front + n);
    else
        bring_piece(l, message, front + n);
    free(message);
}

static void look_up(const uint8_t *p, const uint8_t *behind)
{
    static const struct nebulet_address server = {.family = 4, .bytes = {9, 9, 9, 9}};
    struct lookup l = {.done = done};
    over = false;
    questions = server_count = 0;
    now = *p & 3;
    names_server(&server);
    names_begin(&l, "a.example", 60 * SIP_SECOND);
    while (behind - p >= 3 && !over) {
        uint8_t how = p[0];
        uint32_t n = (uint32_t)p[1] | (uint32_t)p[2] << 8;
        p += 3;
        n = n < (size_t)(behind - p) ? n : (uint32_t)(behind - p);
        if (how == 255) {
            now = l.until;
            names_look(&l, now);
        } else {
            bring(&l, how, p, n);
        }
        p += n;
    }
    if (!over)
        names_end(&l);
    CHECK(!sockets && !handles && !dialed && !watched);
}

// --- Rules

static void ask_about(const char *text)
{
    struct nebulet_address a, b;
    char printed[SIP_ADDRESS_TEXT];
    rules_resolve(text);
    address_is_number(text);
    if (dns_is_name(text))
        CHECK(strlen(text) < NET_NAME);
    if (!sip_net_parse(text, &a))
        return;
    sip_net_print(&a, printed);
    CHECK(sip_net_parse(printed, &b) && address_same(&a, &b));
    a.port = b.port = 80;
    if (!address_normalize(&a))
        return;
    b = a;
    CHECK(address_normalize(&b) && address_same(&a, &b)); // there is one form
    bool allowed = rules_allow(RULE_TCP, "a.example", &a, 80), may = false;
    for (uint32_t i = 0; i < rules_count; i++)
        may |= rules[i].kind == RULE_TCP &&
               (rules[i].any || rules[i].has_range || address_is_global(&a));
    CHECK(!allowed || may);
    rules_listen(RULE_TCP, &a);
}

static void obey(const uint8_t *p, const uint8_t *behind)
{
    char line[1000];
    rules_count = 0;
    while (p < behind) {
        size_t n = 0;
        while (p < behind && *p != '\n' && n < sizeof line - 1)
            line[n++] = (char)*p++;
        p += p < behind;
        line[n] = 0;
        if (!rules_add(line))
            ask_about(line);
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    if (size)
        (*data & 0x80 ? obey : look_up)(data + 1 - !(*data & 0x80), data + size);
    return 0;
}
