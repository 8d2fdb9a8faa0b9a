// SPDX-License-Identifier: MIT
// A service that knows channels by name, and clients that find each other by it: each offers a
// channel of its own under its name, looks the next one up, greets it, and waits to be greeted. So
// they stand in a ring, though none was given anything but its name.
#include "part.h"

enum { CLIENTS = 4, NAMES_MAX = 16, NAME_SIZE = 16 };

enum verb { OFFER, FIND };
struct request {
    uint32_t verb;
    char name[NAME_SIZE];
};

// --- The service

static struct {
    char name[NAME_SIZE];
    nebulet_handle channel;
} known[NAMES_MAX];
static uint32_t known_count;

static void offer(const char *name, nebulet_handle *channel)
{
    if (known_count == NAMES_MAX)
        return;
    memcpy(known[known_count].name, name, NAME_SIZE);
    known[known_count++].channel = *channel;
    *channel = NEBULET_NO_HANDLE; // it is ours now
}

// A handle of that channel, and the service keeps its own.
static void find(struct sip_client *client, const char *name)
{
    for (uint32_t i = 0; i < known_count; i++) {
        if (strcmp(known[i].name, name))
            continue;
        int64_t copy = nebulet_handle_duplicate(known[i].channel, NEBULET_SAME_RIGHTS);
        nebulet_handle handle = (nebulet_handle)sip_must(copy, "a copy");
        if (nebulet_channel_send(client->channel, NULL, 0, &handle, 1, NEBULET_AT_ONCE) < 0)
            sip_close(handle);
        return;
    }
    sip_answer(client, NULL, 0);
}

static enum sip_verdict serve(struct sip_service *service, struct sip_client *client,
                              const struct sip_request *request)
{
    struct request r;
    (void)service;
    if (request->size != sizeof r)
        return SIP_HANG_UP;
    memcpy(&r, request->bytes, sizeof r);
    r.name[NAME_SIZE - 1] = 0;
    if (r.verb == OFFER && request->handle_count == 1)
        offer(r.name, request->handles);
    else if (r.verb == FIND)
        find(client, r.name);
    return SIP_GO_ON;
}

// Ends when all clients that there ever were have gone.
static int clients_left = CLIENTS;
static enum sip_verdict serve_until_last(struct sip_service *service, struct sip_client *client,
                                         const struct sip_request *request)
{
    if (request->size == 0)
        return --clients_left == 0 ? SIP_STOP : SIP_HANG_UP;
    return serve(service, client, request);
}

static int service(void)
{
    struct sip_service names = {.request = serve_until_last};
    sip_must(sip_serve("names", &names), "serving names");
    return 0;
}

// --- A client

static nebulet_handle look_up(nebulet_handle names, const char *name)
{
    struct request r = {.verb = FIND};
    nebulet_handle found;
    strcpy(r.name, name);
    for (;;) {
        sip_must(sip_send_value(names, &r), "asking");
        sip_must(sip_recv_handle(names, NULL, 0, &found), "the answer");
        if (found != NEBULET_NO_HANDLE)
            return found;
        sip_sleep(SIP_MS);
    }
}

static int client(const char *word)
{
    uint32_t number = (uint32_t)(word[0] - '0');
    struct request r = {.verb = OFFER};
    char next[NAME_SIZE], greeting[64];
    nebulet_handle ends[2];

    nebulet_handle names = (nebulet_handle)sip_must(sip_connect("names"), "connecting");
    sip_must(sip_channel(ends), "a channel");
    sip_format(r.name, sizeof r.name, "client-%u", number);
    sip_must(sip_send_handle(names, &r, sizeof r, ends[0]), "offering");
    sip_format(next, sizeof next, "client-%u", (number + 1) % CLIENTS);
    nebulet_handle other = look_up(names, next);
    size_t size = sip_format(greeting, sizeof greeting, "%s greets %s", r.name, next);
    sip_must(sip_send(other, greeting, size), "greeting");
    size = (size_t)sip_must(sip_recv(ends[1], greeting, sizeof greeting), "being greeted");
    sip_must(sip_send(0, greeting, size), "reporting"); // to the one that started us
    sip_must(sip_send(names, NULL, 0), "leaving");
    return 0;
}

// --- All of them

int main(int argc, char **argv)
{
    struct nebulet_options options = {.privileges = NEBULET_MAY_PRINT | NEBULET_MAY_SERVE};
    nebulet_handle reports[CLIENTS], processes[CLIENTS], ends[2];
    char text[64], number[2] = "0";

    if (argc > 1)
        return argc > 2 ? client(argv[2]) : service();
    nebulet_handle module = part_module(argv[0]);
    nebulet_handle server = part_start(module, "names", NULL, &options, NEBULET_NO_HANDLE);
    options.privileges = NEBULET_MAY_PRINT | NEBULET_MAY_CONNECT;
    for (uint32_t i = 0; i < CLIENTS; i++) {
        number[0] = (char)('0' + i);
        sip_must(sip_channel(ends), "a channel");
        reports[i] = ends[0];
        processes[i] = part_start(module, "client", number, &options, ends[1]);
    }
    for (uint32_t i = 0; i < CLIENTS; i++) {
        int64_t size = sip_must(sip_recv(reports[i], text, sizeof text), "a report");
        sip_printf("%.*s\n", (int)size, text);
        part_end(processes[i], "client");
    }
    part_end(server, "names");
    return 0;
}
