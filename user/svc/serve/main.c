// SPDX-License-Identifier: MIT
// serve FILE: what `nebulet serve --boot` has in the machine in the place of itself. Starts http,
// with listeners of the service "net", and starts it again when it dies.
//
// The file has the lines that http is told (doc/serve.md), which pass through, and among them, in
// front of a line that wants a handle:
//
//     port N       the listener of the next line: that port of this machine
//     module FILE  the module of the next line
//     say TEXT     is said when there is somebody who answers
//     lives NS     processor time of each http, which then ends (tests)
//
// Listeners stay open here while http is started again, so that who connects meanwhile waits. The
// end of standard input asks for the end: http answers what was begun, and net sends all of it.
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <nebulet/net.h>
#include <sip.h>

#define HTTP "/serve/http.wasm"
#define DRAINED (10 * SIP_SECOND)
#define SHORT (10 * SIP_MS) // between two starts, at first
#define LONG SIP_SECOND     // and at most
enum { HANDLES = NEBULET_MESSAGE_HANDLES, THE_END = 1 << 24 };

static struct given {
    nebulet_handle handle; // a module's, or a listener's
    uint32_t port;         // 0: a module
} given[HANDLES];
static uint32_t count;
static char told[NEBULET_MESSAGE_MAX], said[4096];
static size_t told_size, said_size;
static nebulet_handle net = NEBULET_NO_HANDLE, http_module, control;
static volatile bool ending;
static uint64_t lives;
static uint32_t privileges = NEBULET_MAY_SPAWN | NEBULET_MAY_PRINT | NEBULET_MAY_FILES; // http's

// --- Files

static char *file_read(const char *path, size_t *size)
{
    struct stat about;
    int fd = open(path, O_RDONLY);
    if (fd < 0 || fstat(fd, &about))
        sip_panic("serve: %s cannot be opened", path);
    char *bytes = malloc((size_t)about.st_size + 1);
    if (!bytes)
        sip_panic("serve: out of memory");
    for (*size = 0; *size < (size_t)about.st_size;) {
        ssize_t n = read(fd, bytes + *size, (size_t)about.st_size - *size);
        if (n <= 0)
            sip_panic("serve: %s cannot be read", path);
        *size += (size_t)n;
    }
    close(fd);
    bytes[*size] = 0;
    return bytes;
}

static nebulet_handle module_of(const char *path)
{
    char message[160];
    size_t size;
    char *bytes = file_read(path, &size);
    int64_t module = sip_compile(bytes, size, message, sizeof message);
    if (module < 0)
        sip_panic("serve: %s: %s", path, message);
    free(bytes);
    return (nebulet_handle)module;
}

// --- The network

// Until there is a service; one that has died before it answered is asked for again.
static int64_t ask(const struct net_request *r, nebulet_handle *handle)
{
    struct net_answer a;
    for (;;) {
        if (net == NEBULET_NO_HANDLE)
            net = (nebulet_handle)sip_must(sip_connect("net"), "serve: net");
        *handle = NEBULET_NO_HANDLE;
        int64_t n = sip_send_value(net, r);
        if (n >= 0)
            n = sip_recv_handle(net, &a, sizeof a, handle);
        if (n == sizeof a)
            return a.result;
        sip_close(net);
        net = NEBULET_NO_HANDLE;
    }
}

static nebulet_handle listen(uint32_t port)
{
    struct net_request r = {.op = NET_LISTEN, .address.port = port};
    nebulet_handle listener;
    sip_must(ask(&r, &listener), "serve: listening");
    return listener;
}

static bool is_dead(nebulet_handle listener)
{
    return nebulet_object_wait_one(listener, NEBULET_PEER_CLOSED, NEBULET_AT_ONCE) >= 0;
}

// --- What it is told

static nebulet_handle *next(uint32_t port)
{
    if (count == HANDLES)
        sip_panic("serve: too many routes");
    given[count].port = port;
    return &given[count++].handle;
}

static void keep(char *to, size_t room, size_t *size, const char *text, size_t n)
{
    if (n + 1 > room - *size)
        sip_panic("serve: too many lines");
    memcpy(to + *size, text, n);
    to[*size + n] = '\n';
    *size += n + 1;
}

static void take_line(char *line)
{
    if (!strncmp(line, "port ", 5))
        *next((uint32_t)atoi(line + 5)) = listen((uint32_t)atoi(line + 5));
    else if (!strncmp(line, "module ", 7))
        *next(0) = module_of(line + 7);
    else if (!strncmp(line, "lives ", 6))
        lives = strtoull(line + 6, NULL, 10);
    else if (!strncmp(line, "say ", 4))
        keep(said, sizeof said, &said_size, line + 4, strlen(line + 4));
    else {
        if (!strncmp(line, "network ", 8)) // which only it can give to handlers
            privileges |= NEBULET_MAY_CONNECT;
        keep(told, sizeof told, &told_size, line, strlen(line));
    }
}

// --- http

static void send_all(nebulet_handle channel)
{
    nebulet_handle handles[HANDLES];
    for (uint32_t i = 0; i < count; i++) {
        if (given[i].port && is_dead(given[i].handle)) {
            sip_close(given[i].handle);
            given[i].handle = listen(given[i].port);
        }
        handles[i] = (nebulet_handle)sip_must(
            nebulet_handle_duplicate(given[i].handle, NEBULET_SAME_RIGHTS), "serve: a handle");
    }
    sip_must(
        nebulet_channel_send(channel, told, (uint32_t)told_size, handles, count, NEBULET_FOREVER),
        "serve: telling http");
}

static nebulet_handle start(void)
{
    static const char *const args[] = {"http", NULL};
    struct nebulet_options options = {.privileges = privileges, .cpu_ns = lives, .name = "http"};
    nebulet_handle ends[2];
    sip_must(sip_channel(ends), "serve: a channel");
    send_all(ends[0]);
    control = ends[0];
    nebulet_handle process =
        (nebulet_handle)sip_must(sip_start(http_module, args, &options, ends[1]), "serve: http");
    if (ending) // it was asked for in between
        nebulet_object_signal(control, 0, THE_END);
    return process;
}

static int32_t wait_for_end(void *unused)
{
    char bytes[64];
    ssize_t n;
    (void)unused;
    while ((n = read(0, bytes, sizeof bytes)) > 0)
        ;
    if (n < 0) // it has none
        return 0;
    ending = true;
    nebulet_object_signal(control, 0, THE_END);
    return 0;
}

// What http has written goes out, and nobody is left to write more.
static void drain(void)
{
    struct net_request r = {.op = NET_FLUSH};
    struct net_answer a;
    if (sip_send_value(net, &r) >= 0)
        nebulet_channel_recv(net, &a, sizeof a, NULL, 0, NULL, sip_after(DRAINED));
}

int main(int argc, char **argv)
{
    size_t size;
    struct sip_thread t;
    uint64_t wait = SHORT;
    char *text = file_read(argc > 1 ? argv[1] : "/serve/told", &size);
    for (char *line = text, *end; (end = strchr(line, '\n')); line = end + 1) {
        *end = 0;
        take_line(line);
    }
    http_module = module_of(HTTP);
    for (bool first = true;; first = false) {
        uint64_t began = sip_now();
        struct nebulet_exit how;
        char what[80];
        nebulet_handle process = start();
        if (first) {
            sip_must(sip_thread_start(&t, wait_for_end, NULL, 0), "serve: a thread");
            fwrite(said, 1, said_size, stderr);
        }
        sip_must(sip_join(process, &how), "serve: waiting for http");
        if (ending) {
            drain();
            return how.how == NEBULET_EXITED ? (int)how.code : 1;
        }
        sip_close(control);
        sip_describe_exit(what, sizeof what, &how);
        fprintf(stderr, "serve: http: %s; starts again\n", what);
        wait = sip_now() - began > 10 * LONG ? SHORT : wait;
        sip_sleep(wait);
        wait = wait < LONG / 2 ? 2 * wait : LONG;
    }
}
