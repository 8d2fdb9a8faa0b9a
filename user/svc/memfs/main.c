// SPDX-License-Identifier: MIT
// A file server: memfs [NAME [MiB]] offers the service NAME ("files"), which serves an empty file
// system in memory, of at most so much (64), as 9P2000.L. All who connect see the same files; what
// is in them goes with the server.
#include <stdlib.h>
#include <sip.h>

#include "tree.h"

static uint8_t answer[NEBULET_MESSAGE_MAX];

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
    uint32_t size =
        client->state ? client_answer(client->state, r->bytes, r->size, answer, sizeof answer) : 0;
    return size && sip_answer(client, answer, size) >= 0 ? SIP_GO_ON : SIP_HANG_UP;
}

int main(int argc, char **argv)
{
    int mib = argc > 2 ? atoi(argv[2]) : 64;
    struct sip_service service = {.context = tree_new((uint64_t)mib << 20),
                                  .request = request,
                                  .connected = connected,
                                  .gone = gone};
    if (!service.context)
        sip_panic("memfs: out of memory");
    sip_must(sip_serve(argc > 1 ? argv[1] : "files", &service), "memfs");
    return 0;
}
