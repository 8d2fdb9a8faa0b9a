// SPDX-License-Identifier: MIT
// The service "net", in parts, of which the first rows, down to dns.c, know nothing of where they
// run:
//
//   watch.c    what is waited for
//   clients.c  who asks
//   reach.c    connections that are asked for, names, datagrams
//   rules.c    what may be reached, and from where; address.c: addresses as text, and their forms
//   options.c  what it is told; ports.c: the little that one is told which only listens
//   names.c    names and addresses; dns.c: the messages for that
//   main.c     with lwIP, over a network device: what it is told, the loop, lwIP's clock
//   link.c     frames: the client of the service "ethernet"
//   listen.c   listeners, and connections as streams
//   udp.c      datagrams
//   ../sockets with the sockets of a host instead
//
// One thread does everything: lwIP knows no others. It waits for the objects of all that it has,
// each of which is a struct watch.
#pragma once
#include <nebulet/net.h>
#include <sip.h>

// Who only listens is built without reach.c, whose functions are NULL then.
#define PERHAPS __attribute__((weak))

// --- Waiting

// Something to wait for. Whoever has it changes `signals` with watch_for, 0: for nothing.
struct watch {
    void (*ready)(struct watch *w, uint32_t signals); // may end itself and others
    uint32_t place;                                   // in the list; 0: it is in none
};
void watch_for(struct watch *w, nebulet_handle handle, uint32_t signals);
void watch_end(struct watch *w);
uint32_t watch_room(void);          // so many more may be waited for
void watch_wait(uint64_t deadline); // and calls who is ready
extern uint64_t watch_now;          // when the last wait was over

// --- Addresses

// It looks like one of the many other forms of numbers that some take for IPv4: no name of DNS.
bool address_is_number(const char *text);
// An IPv4 address in the form of IPv6 (::ffff:a.b.c.d) becomes itself. False: no address that
// anybody can be at: a family that there is not, zeros, a zone where there is none.
bool address_normalize(struct nebulet_address *a);
// An IPv4 address that a gateway may come to by this one of IPv6 (NAT64, 6to4, Teredo, and the
// like): what is allowed must be so for it, too.
bool address_inner(const struct nebulet_address *a, struct nebulet_address *inner);
// Somebody's on the Internet at large, and nobody's of this machine, link, site, or of several.
bool address_is_global(const struct nebulet_address *a);
bool address_same(const struct nebulet_address *a, const struct nebulet_address *b);
bool address_is_any(const struct nebulet_address *a); // all zeros

// --- Rules (doc/net.md has their grammar)

enum rule_kind { RULE_TCP = 1, RULE_UDP = 2, RULE_DNS = 4, RULE_LISTEN = 8 };

bool rules_add(const char *text); // false: it is none
// Whether anything to do with that name may be asked for.
bool rules_resolve(const char *name);
// Whether an address, normalized, may be reached at that port; name: whose it is, or NULL.
bool rules_allow(uint32_t kind, const char *name, const struct nebulet_address *a, uint32_t port);
// Whether that address of ours, or with zeros any, may be listened at: 0, ACCESS_DENIED,
// INVALID_ARG.
int32_t rules_listen(uint32_t kind, struct nebulet_address *a);

// --- What it is told: --allow-net RULE, --dns ADDRESS[:PORT]. False: anything else.
bool net_option(const char *option, const char *value);

// --- UDP, of clients and of our own

struct udp {
    void (*received)(struct udp *u, const struct nebulet_address *from, const uint8_t *bytes,
                     uint32_t size);
    void *socket; // NULL: closed
    nebulet_handle channel;
    struct watch watch;
};
// *own: where it shall be, with zeros for what does not matter, and then where it is.
int32_t dgram_open(struct udp *u, struct nebulet_address *own);
void dgram_send(struct udp *u, const struct nebulet_address *to, const uint8_t *bytes,
                uint32_t size);
void dgram_close(struct udp *u); // also one that is not open

// --- Connections that are asked for

struct dial {
    void (*done)(struct dial *d, int32_t result, nebulet_handle theirs[2]);
    void *state; // NULL: it is not under way
    uint32_t who;
};
int32_t dial_begin(struct dial *d,
                   const struct nebulet_address *to); // 0, and `done` is called later
void dial_end(struct dial *d);

// --- Names

struct lookup {
    void (*done)(struct lookup *l, int32_t result); // not called any more after names_end
    struct nebulet_address found[NET_ADDRESSES];
    uint32_t count;
    struct udp udp;
    char name[NET_NAME]; // that is being asked for
    uint32_t hops, tries, type, server;
    uint16_t id;
    uint64_t until, deadline; // of this try, of all
    bool begun;
    int32_t worst;
    // By TCP, of what did not fit a datagram
    struct dial dial; // for whom
    struct watch watch;
    nebulet_handle in, out; // NEBULET_NO_HANDLE: there is no connection
    uint8_t *answer;        // with its length in front, and how much has come
    uint32_t got;
};
bool names_server(const struct nebulet_address *a); // whom to ask, the first one first; false: full
void names_begin(struct lookup *l, const char *name, uint64_t deadline);
void names_end(struct lookup *l);
void names_look(struct lookup *l, uint64_t now); // what is overdue

// --- DNS: messages of RFC 1035

enum { DNS_A = 1, DNS_AAAA = 28, DNS_MOST = 1232 };
// Bytes of a query, or 0: not a name.
uint32_t dns_query(uint8_t out[DNS_MOST], uint16_t id, const char *name, uint32_t type);
bool dns_is_name(const char *name);
bool dns_is_local(const char *name);
// The answer to such a query. 0: found[] has *count more addresses; or the name is another one, of
// which it says nothing: `name` has become that, and *again is set. NOT_FOUND; UNAVAILABLE: the
// server fails. BAD_STATE: it is no answer to this.
int32_t dns_answer(const uint8_t *bytes, uint32_t size, uint16_t id, char name[NET_NAME],
                   uint32_t type, struct nebulet_address found[NET_ADDRESSES], uint32_t *count,
                   bool *again);

// --- What is below: lwIP, or sockets

// *own as in dgram_open. What comes is that process's.
int32_t listen_begin(struct nebulet_address *own, uint32_t who, nebulet_handle *theirs);
bool all_is_out(void); // of what programs have written
bool have_ipv6(void);

// --- Clients

struct client {
    struct watch watch;
    nebulet_handle channel;
    bool used, busy, flushes; // busy: it waits for an answer; flushes: to NET_FLUSH
    uint8_t answers;          // that it got on this channel
    uint32_t who;             // which process it is
    uint64_t since;           // it was last heard of
    uint64_t deadline;        // when all of it is overdue
    struct net_request asks;  // while it is busy
    // reach.c's
    struct lookup lookup;
    struct dial dial;
    uint32_t next; // of the addresses found
    int32_t worst; // why those before were not it
};
extern uint32_t clients_busy; // who wait for an answer
void clients_begin(void);
// Before each wait. The time at which something is overdue.
uint64_t clients_look(void);
// Either one is the end of what it has asked for. What is given goes with the answer.
void client_answer(struct client *c, const struct net_answer *a, nebulet_handle *given, uint32_t n);
void client_fail(struct client *c, int32_t result);

// CONNECT, RESOLVE, UDP.
PERHAPS void reach_begin(struct client *c);
PERHAPS void reach_end(struct client *c);
PERHAPS void reach_late(struct client *c, uint64_t now);
// How many of n places a process has; `busy`: where it waits for an answer.
PERHAPS uint32_t reach_places(const struct client *c, uint32_t n, uint32_t who, bool busy);
