// SPDX-License-Identifier: MIT
// The loop of a service: one thread, which waits for a new client and for requests of all others.
// items[0] is the channel that brings clients; items[i] waits for clients[i], but items[1] for the
// object of a service that has one.
#include <stdlib.h>
#include <string.h>
#include <sip.h>

enum { FIRST_SIZE = 8 };

struct loop {
    struct sip_service *service;
    struct nebulet_wait *items;
    struct sip_client *clients;
    uint32_t count, size;
    uint8_t *bytes; // of a request
    nebulet_handle handles[NEBULET_MESSAGE_HANDLES];
};

static bool grow(struct loop *l)
{
    uint32_t size = l->size ? 2 * l->size : FIRST_SIZE;
    struct nebulet_wait *items = realloc(l->items, size * sizeof *items);
    if (items)
        l->items = items;
    struct sip_client *clients = realloc(l->clients, size * sizeof *clients);
    if (clients)
        l->clients = clients;
    if (items && clients)
        l->size = size;
    return items && clients;
}

static bool add(struct loop *l, nebulet_handle channel)
{
    if (l->count == NEBULET_WAIT_MAX || (l->count == l->size && !grow(l)))
        return false;
    l->items[l->count] =
        (struct nebulet_wait){.handle = channel, .signals = NEBULET_READABLE | NEBULET_PEER_CLOSED};
    l->clients[l->count++] = (struct sip_client){.channel = channel};
    return true;
}

static void hang_up(struct loop *l, uint32_t i)
{
    if (l->service->gone)
        l->service->gone(l->service, &l->clients[i]);
    sip_close(l->clients[i].channel);
    l->count--;
    l->items[i] = l->items[l->count];
    l->clients[i] = l->clients[l->count];
}

// A client that there is no room for is turned away: its channel closes. Result: 1, if one came.
static int64_t accept_client(struct loop *l)
{
    nebulet_handle channel = NEBULET_NO_HANDLE;
    int64_t result =
        nebulet_channel_recv(l->items[0].handle, NULL, 0, &channel, 1, NULL, NEBULET_AT_ONCE);
    if (result < 0)
        return result == NEBULET_ERR_SHOULD_WAIT ? 0 : result;
    if (!add(l, channel))
        sip_close(channel);
    else if (l->service->connected)
        l->service->connected(l->service, &l->clients[l->count - 1]);
    return 1;
}

void sip_take_clients(struct sip_service *service)
{
    enum { AT_ONCE = 64 };
    for (uint32_t i = 0; i < AT_ONCE && accept_client(service->loop) > 0; i++)
        ;
}

static enum sip_verdict handle_request(struct loop *l, struct sip_client *client)
{
    struct nebulet_message got = {0};
    int64_t size = nebulet_channel_recv(client->channel, l->bytes, NEBULET_MESSAGE_MAX, l->handles,
                                        NEBULET_MESSAGE_HANDLES, &got, NEBULET_AT_ONCE);
    if (size == NEBULET_ERR_SHOULD_WAIT)
        return SIP_GO_ON;
    if (size < 0)
        return SIP_HANG_UP;
    struct sip_request request = {.bytes = l->bytes,
                                  .size = (uint32_t)size,
                                  .handles = l->handles,
                                  .handle_count = got.handles};
    enum sip_verdict verdict = l->service->request(l->service, client, &request);
    for (uint32_t i = 0; i < got.handles; i++)
        sip_close(l->handles[i]);
    return verdict == SIP_GO_ON && client->cut_off ? SIP_HANG_UP : verdict;
}

static bool happened(const struct nebulet_wait *item)
{
    return item->observed & item->signals;
}

static void look(struct loop *l)
{
    l->service->look(l->service, happened(&l->items[1]));
    l->items[1] = (struct nebulet_wait){.handle = l->service->object,
                                        .signals = NEBULET_EVENT_SIGNALED | NEBULET_PEER_CLOSED};
}

// From the last to the first, for a client that goes is replaced by the last.
static int64_t turn(struct loop *l, bool *stop)
{
    struct sip_service *s = l->service;
    uint32_t first = s->look ? 2 : 1;
    if (s->look)
        look(l);
    int64_t result =
        nebulet_object_wait_many(l->items, l->count, s->look ? s->until : NEBULET_FOREVER);
    if (result == NEBULET_ERR_TIMED_OUT)
        result = 0;
    for (uint32_t i = l->count; result >= 0 && --i >= first && !*stop;) {
        if (!happened(&l->items[i]))
            continue;
        enum sip_verdict verdict = handle_request(l, &l->clients[i]);
        *stop = verdict == SIP_STOP;
        if (verdict == SIP_HANG_UP)
            hang_up(l, i);
    }
    if (result >= 0 && !*stop && happened(&l->items[0]))
        result = accept_client(l);
    return result;
}

static int64_t run(struct loop *l, nebulet_handle listen)
{
    bool stop = false;
    uint32_t first = l->service->look ? 2 : 1;
    bool ready = l->bytes && add(l, listen) && (first == 1 || add(l, l->service->object));
    int64_t result = ready ? 0 : NEBULET_ERR_NO_MEMORY;
    while (result >= 0 && !stop)
        result = turn(l, &stop);
    while (l->count > first)
        hang_up(l, l->count - 1);
    return result < 0 ? result : 0;
}

int64_t sip_serve(const char *name, struct sip_service *service)
{
    int64_t listen = nebulet_service_create(name, (uint32_t)strlen(name));
    if (listen < 0)
        return listen;
    struct loop l = {.service = service, .bytes = malloc(NEBULET_MESSAGE_MAX)};
    service->loop = &l;
    int64_t result = run(&l, (nebulet_handle)listen);
    sip_close((nebulet_handle)listen);
    free(l.bytes);
    free(l.items);
    free(l.clients);
    return result;
}

int64_t sip_answer(struct sip_client *client, const void *bytes, size_t size)
{
    int64_t result =
        nebulet_channel_send(client->channel, bytes, (uint32_t)size, NULL, 0, NEBULET_AT_ONCE);
    if (result < 0)
        client->cut_off = true;
    return result;
}

int64_t sip_connect(const char *name)
{
    return sip_connect_until(name, NEBULET_FOREVER);
}

int64_t sip_connect_until(const char *name, uint64_t deadline)
{
    return nebulet_service_connect(name, (uint32_t)strlen(name), deadline);
}
