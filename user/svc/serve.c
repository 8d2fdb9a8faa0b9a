// SPDX-License-Identifier: MIT
// What brings messages from channels to ninep.c.
//
// What was written is where it should be a second after, or when init says that it is time to end.
#include <stdlib.h>
#include <sip.h>

#include "ninep.h"

static uint8_t answer[NEBULET_MESSAGE_MAX];
static uint32_t asked; // since the last look

static void connected(struct sip_service *s, struct sip_client *client)
{
    client->state = client_new(s->context);
}

static void gone(struct sip_service *s, struct sip_client *client)
{
    (void)s;
    if (client->state)
        client_free(client->state);
}

static enum sip_verdict request(struct sip_service *s, struct sip_client *client,
                                const struct sip_request *r)
{
    (void)s;
    asked++;
    uint32_t size =
        client->state ? client_answer(client->state, r->bytes, r->size, answer, sizeof answer) : 0;
    return size && sip_answer(client, answer, size) >= 0 ? SIP_GO_ON : SIP_HANG_UP;
}

static void look(struct sip_service *service, bool told)
{
    struct store *s = service->context;
    if (asked && service->until == NEBULET_FOREVER)
        service->until = sip_after(SIP_SECOND);
    if (told || sip_now() >= service->until) {
        int e = s->ops->quiet(s);
        service->until = NEBULET_FOREVER;
        if (told)
            exit(e != 0);
    }
    asked = 0;
}

int64_t ninep_serve(const char *name, struct store *s)
{
    struct sip_service service = {.context = s,
                                  .request = request,
                                  .connected = connected,
                                  .gone = gone,
                                  .until = NEBULET_FOREVER};
    int64_t told = nebulet_object_wait_one(0, NEBULET_PEER_CLOSED, NEBULET_AT_ONCE);
    if (s->ops->quiet && told != NEBULET_ERR_BAD_HANDLE)
        service.look = look; // waits for handle 0, which is what service.object is
    return sip_serve(name, &service);
}

// The next request of the one client; while it asks for nothing, what was written gets where it
// should be.
static int64_t next_request(uint32_t channel, struct store *s, uint8_t *bytes)
{
    static uint64_t until = NEBULET_FOREVER;
    if (asked && s->ops->quiet && until == NEBULET_FOREVER)
        until = sip_after(SIP_SECOND);
    asked = 0;
    for (;;) {
        if (sip_now() >= until) {
            s->ops->quiet(s); // what it could not do is told to who syncs or closes
            until = NEBULET_FOREVER;
        }
        int64_t n = nebulet_channel_recv(channel, bytes, NEBULET_MESSAGE_MAX, NULL, 0, NULL, until);
        if (n != NEBULET_ERR_TIMED_OUT)
            return n;
    }
}

int64_t ninep_serve_one(uint32_t channel, struct store *s)
{
    static uint8_t bytes[NEBULET_MESSAGE_MAX];
    struct client *c = client_new(s);
    int64_t n = c ? next_request(channel, s, bytes) : NEBULET_ERR_NO_MEMORY;
    while (n >= 0) {
        uint32_t size = client_answer(c, bytes, (uint32_t)n, answer, sizeof answer);
        asked++;
        n = size ? sip_send(channel, answer, size) : NEBULET_ERR_PEER_CLOSED;
        if (n >= 0)
            n = next_request(channel, s, bytes);
    }
    if (c)
        client_free(c);
    return n == NEBULET_ERR_PEER_CLOSED ? 0 : n;
}
