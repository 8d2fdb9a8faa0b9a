// SPDX-License-Identifier: MIT
// A service on one thread, and clients on others: requests of many at a time, one who does not take
// the answers, one who sends too much, and the end.
#include <string.h>
#include <sip.h>

enum { CLIENTS = 20, REQUESTS = 50 };

static uint32_t connected, gone, handles;

static enum sip_verdict answer(struct sip_service *service, struct sip_client *client,
                               const struct sip_request *request)
{
    (void)service;
    handles += request->handle_count;
    if (request->size == 4 && !memcmp(request->bytes, "stop", 4))
        return SIP_STOP;
    if (request->size == 3 && !memcmp(request->bytes, "bye", 3))
        return SIP_HANG_UP;
    sip_answer(client, request->bytes, request->size);
    return SIP_GO_ON;
}

static void count_connected(struct sip_service *service, struct sip_client *client)
{
    (void)service;
    client->state = &connected;
    connected++;
}

static void count_gone(struct sip_service *service, struct sip_client *client)
{
    (void)service;
    gone += client->state == &connected;
}

static int32_t serve(void *arg)
{
    struct sip_service service = {
        .request = answer, .connected = count_connected, .gone = count_gone};
    (void)arg;
    return (int32_t)sip_serve("echo", &service);
}

static nebulet_handle connect(void)
{
    return (nebulet_handle)sip_must(sip_connect("echo"), "connecting");
}

static int32_t be_client(void *arg)
{
    uint32_t number = (uint32_t)(uintptr_t)arg, answered = 0;
    nebulet_handle channel = connect();
    for (uint32_t i = 0; i < REQUESTS; i++) {
        uint32_t request = number * 1000 + i, reply = 0;
        sip_must(sip_call_value(channel, &request, &reply), "calling");
        answered += reply == request;
    }
    sip_close(channel);
    return (int32_t)answered;
}

// Each end has a queue: this one's is full of answers at some point, and it is cut off.
static void do_not_listen(void)
{
    nebulet_handle channel = connect();
    int64_t result;
    uint32_t sent = 0;
    while ((result = sip_send(channel, &sent, sizeof sent)) >= 0)
        sent++;
    sip_printf("who does not listen: %s, %s\n", sip_error_text(result),
               sent >= NEBULET_QUEUE_MAX ? "when it was full" : "too early");
    sip_close(channel);
}

static void give_handles(void)
{
    nebulet_handle channel = connect(), event = (nebulet_handle)nebulet_event_create();
    char text[8];
    sip_must(sip_send_handle(channel, "gift", 4, event), "giving");
    int64_t size = sip_recv(channel, text, sizeof text);
    sip_printf("who gives a handle: %.*s\n", (int)size, text);
    sip_send(channel, "bye", 3);
    sip_printf("who says bye: %s\n", sip_error_text(sip_recv(channel, text, sizeof text)));
    sip_close(channel);
}

int main(void)
{
    struct sip_thread server, clients[CLIENTS];
    int32_t answered = 0, result = 1;

    sip_must(sip_thread_start(&server, serve, NULL, 0), "the server");
    for (int i = 0; i < CLIENTS; i++)
        sip_must(sip_thread_start(&clients[i], be_client, (void *)i, 8192), "a client");
    for (int i = 0; i < CLIENTS; i++) {
        sip_must(sip_thread_join(&clients[i], &result), "joining");
        answered += result;
    }
    sip_printf("%d requests answered\n", answered);
    do_not_listen();
    give_handles();
    sip_must(sip_send(connect(), "stop", 4), "stopping");
    sip_must(sip_thread_join(&server, &result), "joining the server");
    sip_printf("the server returns %d, %u handles came\n", result, handles);
    sip_printf("%u clients came, %u have gone\n", connected, gone);
    sip_printf("afterwards: %s, ", sip_error_text(sip_connect_until("echo", NEBULET_AT_ONCE)));
    uint64_t until = sip_after(20 * SIP_MS);
    int64_t late = sip_connect_until("echo", until);
    sip_printf("%s%s\n", sip_error_text(late), sip_now() < until ? " too early" : "");
    return 0;
}
