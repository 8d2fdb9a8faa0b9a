// SPDX-License-Identifier: MIT
// The server of HTTP/1.1, in parts:
//
//   main.c        what it is told to serve, listeners, threads, the end
//   connection.c  a connection: requests one after the other, bodies, answers
//   parse.c       bytes of HTTP
//   cgi.c         a process for each request, or one that gets them as messages
//   files.c       files of a folder
//   log.c         who asked for what, and counts
//   others.c      counts of all, where several servers share the connections
//
// A thread serves a connection from its first byte to its last, and waits where there is nothing to
// do. As many threads are there as connections were open at once; those that are left over wait to
// accept. What two threads use has a lock, for a turn may end in any loop.
#pragma once
#include <sip.h>

#include "parse.h"

enum { BUFFER = HEAD_MAX, PATH_MAX_HERE = 4096 };

enum route_kind { ROUTE_CGI, ROUTE_STREAM, ROUTE_FILES };

// Handlers that run at once, and requests that wait for one to end, first come, first served.
struct waiting;
struct slots {
    struct sip_mutex lock;
    uint32_t used, most, waiting, queue;
    struct waiting *first, **last;
};

struct log_copier {
    const char *name;
    nebulet_handle from;
    const uint64_t *requests; // of the route, that have begun
};

// A process that gets requests, and the channel to it. It is there as long as anybody who has asked
// it, even if there is another one in its place meanwhile.
struct resident {
    uint32_t users; // requests, and 1 while it has its place
    nebulet_handle process, channel;
    const char *name;
    bool deaf; // it lived when it took no more requests: it ends with those that it has
};
void resident_drop(struct resident *s); // by one user; NULL is fine

struct site;
struct route {
    struct route *next; // longest path first
    struct site *site;
    const char *path; // without a final slash; "" matches all
    size_t length;
    enum route_kind kind;
    const char *name; // the module's, or the folder's
    uint32_t name_size;
    struct nebulet_options options; // of a process
    nebulet_handle module;
    int folder; // descriptor
    struct slots slots;
    nebulet_handle log; // its handlers' standard error, written
    struct log_copier copier;
    struct sip_thread copying;
    // Of a ROUTE_STREAM: who gets all requests, and the lock of who starts the next one.
    struct sip_mutex lock;
    struct resident *resident; // NULL: nobody yet
    uint64_t not_before;       // a further start
    uint64_t requests, failures;
};

// What is served, as one message has told it. A new one takes its place as a whole: requests that
// have begun go on with the one that they began with.
struct site {
    struct site *next; // of those that are not served any more
    uint64_t number;
    uint32_t users; // requests, and 1 while it is served
    char *text;     // of the message: paths and names lie there
    struct route *routes;
    char *environment; // variables that all handlers get, each with a final 0
    size_t environment_size;
    struct nebulet_options limits; // of a handler
    uint32_t handlers, queue;
    bool plain;     // what a process writes is the answer, without a head, and exit codes count
    uint64_t until; // no longer served: then handlers that stay are killed
};
// The one that is served, until site_drop.
struct site *site_take(void);
void site_drop(struct site *s);
void site_hush(void); // no request begins any more

struct server {
    uint64_t body_max, idle_ns, grace_ns, log_max;
    uint32_t connections_max;
    enum log_format { LOG_COMMON, LOG_JSON, LOG_NONE } log;
    nebulet_handle nothing; // a stream that has ended, to be read
    // Whoever brings connections may have more to tell: a message each time that it is asked for
    // one, `1` or `0`, whether it is well, and metrics. NEBULET_NO_HANDLE: there is nobody.
    nebulet_handle more;
    volatile bool ending;
    volatile uint64_t until; // then handlers are killed; NEBULET_FOREVER before the end
};
extern struct server server;

// What is counted.
struct counts {
    uint64_t connections, open, requests, by_class[6], bytes_in, bytes_out, refused, failed,
        running;
};
extern struct counts counts;
void count(uint64_t *what, int64_t n);
void counts_read(struct counts *out);

// A connection that nobody says anything on: all that it takes.
struct client {
    struct client *next, **at; // of the idle; at NULL: it is none
    nebulet_handle in, out;
    uint64_t number;
    struct nebulet_address peer;
    const char *address;  // its text, in `remote`
    char remote[80];      // what handlers have of it in their environment, the same each time
    uint32_t remote_size; // with each variable's 0
    bool metrics;         // it came by the listener for these
    bool closed;          // while it idled, by who ends
    uint32_t *peers;      // connections of its peer; NULL: these are not counted
};

enum { HEAD_ROOM = HEAD_MAX + 1024, FIRST = 2048, FRONT = 512 };
struct head {
    char bytes[HEAD_ROOM];
    size_t n;
    bool full;
};

// A connection with a request, which is answered: out of a pool.
struct connection {
    struct connection *next; // in the pool
    struct client *client;
    struct site *site;   // while a request is answered
    char buffer[BUFFER]; // the head, and what came with it
    size_t to;           // bytes in it
    const char *rest;    // what was read and not used yet, there or in `body`
    size_t left;
    struct request request;
    struct lines lines;       // of it
    char path[PATH_MAX_HERE]; // decoded
    size_t path_length;
    uint64_t began; // of the monotonic clock
    uint64_t now;   // as it was seen last: whoever has waited looks again
    // The body
    char body[BUFFER];
    bool has_body; // there is more of it
    bool late;     // nobody has sent it in time
    uint64_t body_left, body_read;
    struct chunks chunks;
    // The answer
    int status;
    bool answered, keep;  // its head is out; the connection may be used again
    bool chunked, silent; // silent: to HEAD, and where no body may be
    uint64_t sent;        // bytes of the body
    struct head head;
    // Of a handler that answers it: the slot that it holds (NULL: none), what says by which signal
    // that it is over, and when it must be.
    struct slots *slot;
    nebulet_handle over;
    uint32_t over_signal;
    uint64_t until;
    char environment[2 * HEAD_MAX]; // of a handler
    // What of that is the same for each request that has the same lines: so many bytes, made of
    // these.
    struct {
        size_t size;
        uint64_t site, client;
        uint32_t lines;
    } always;
    // A head of a handler's that was passed on as it was: the next one's, mostly.
    uint32_t passed_size;
    char passed[256];
    char front[FRONT];   // for the head of an answer that lies in
    char output[BUFFER]; // what it writes
};

void client_met(struct client *client); // with `peer`: fills in what follows from it
// Serves it to its end.
void connection_serve(struct client *client);
void connections_hush(void); // closes those that idle

// --- The body of a request: some bytes of it, as they come, good until the next call; 0 at its
// end, -1 when it is broken, too long, or nobody sends it in time; BODY_LATER: that would be to
// wait, which was not wanted (NEBULET_AT_ONCE).
enum { BODY_LATER = -2 };
int body_read(struct connection *c, const char **bytes, uint64_t until);

// --- Answers. A head is begun and given fields; what says how long the body is, and whether the
// connection stays, is added when it is sent.
#define NO_LENGTH UINT64_MAX
void head_begin(struct connection *c, int status, struct text reason); // reason.n 0: the usual
void head_field(struct connection *c, struct text name, struct text value);
void head_lines(struct connection *c, struct text lines); // with their ends
// `line` has both, and its end behind it.
void head_line(struct connection *c, struct text line, struct text name, struct text value);
void head_format(struct connection *c, const char *format, ...) SIP_PRINTF(2, 3);
// Sends it with the first n bytes of the body. NO_LENGTH: it goes on until answer_end. False: the
// peer is gone.
bool answer_begin(struct connection *c, uint64_t length, const void *bytes, size_t n);
bool answer_bytes(struct connection *c, const void *bytes, size_t n);
bool answer_end(struct connection *c);
// A whole answer that says no more than its status; `fields` are lines with their ends, or "".
void answer_plain(struct connection *c, int status, const char *fields);
const char *status_reason(int status);

// --- Routes
// A handler is over: its slot is free for another, however long the client takes for what is left.
void slot_give(struct connection *c);
void cgi_answer(struct connection *c, struct route *r);
void files_answer(struct connection *c, struct route *r);
void metrics_answer(struct connection *c);

// --- Time
void time_text(uint64_t seconds, char out[32]); // as HTTP has it: 29 characters and a 0
bool time_parse(struct text t, uint64_t *seconds);

// --- Log
void log_request(const struct connection *c);
void log_error(const char *format, ...) SIP_PRINTF(1, 2);
void log_end(uint64_t until); // the rest is out, or it is that late
// On a thread: what handlers of a route write to standard error goes to ours, each line with their
// name in front, up to server.log_max bytes for each of their requests, until nobody is left who
// could.
int32_t log_copy(void *copier);
int32_t log_writer(void *unused); // on a thread: writes the log out now and then

// --- Other servers
bool others_add(nebulet_handle channel);    // one that can be asked; false: there are too many
bool others_answer(nebulet_handle channel); // where one may ask, on a thread; false: no memory
// Adds what they have counted, in all and of n routes in their order.
void others_counted(struct counts *sum, uint64_t *requests, uint32_t n);
