// SPDX-License-Identifier: MIT
// The same worker natively, as one would write it with libnats: messages are answered in the
// process itself. With a stream they are fetched 256 at a time, and acknowledged when their results
// are kept.
//
//   echo URL SUBJECT                      what comes on a subject is its answer
//   echo URL STREAM CONSUMER RESULTS      what is in a stream is published to a subject
#include <nats/nats.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static void must(natsStatus e, const char *what)
{
    if (e) {
        fprintf(stderr, "%s: %s\n", what, natsStatus_GetText(e));
        exit(1);
    }
}

static void ready(void)
{
    puts("ready");
    fflush(stdout);
}

static void answer(natsConnection *c, natsSubscription *s, natsMsg *m, void *closure)
{
    (void)s, (void)closure;
    must(natsConnection_Publish(c, natsMsg_GetReply(m), natsMsg_GetData(m),
                                natsMsg_GetDataLength(m)),
         "publish");
    natsMsg_Destroy(m);
}

static void on_subject(natsConnection *c, const char *subject)
{
    natsSubscription *s;
    must(natsConnection_QueueSubscribe(&s, c, subject, "bench", answer, NULL), "subscribe");
    must(natsConnection_Flush(c), "flush");
    ready();
    for (;;)
        nats_Sleep(1000);
}

// The closure of an acknowledgement is one for all, so the message is found by its Nats-Msg-Id.
static struct {
    natsMsg *m;
} under_way[65536];

static void kept(jsCtx *js, natsMsg *result, jsPubAck *ack, jsPubAckErr *error, void *closure)
{
    const char *id;
    (void)js, (void)closure;
    if (error || !ack)
        exit(1);
    must(natsMsgHeader_Get(result, "Nats-Msg-Id", &id), "its id");
    natsMsg **m = &under_way[strtoull(id, NULL, 10) % 65536].m;
    must(natsMsg_Ack(*m, NULL), "acknowledge");
    natsMsg_Destroy(*m);
    natsMsg_Destroy(result);
}

static void work_on(jsCtx *js, natsMsg *m, const char *results)
{
    jsMsgMetaData *meta;
    natsMsg *result;
    char id[24];
    must(natsMsg_GetMetaData(&meta, m), "its number");
    snprintf(id, sizeof id, "%llu", (unsigned long long)meta->Sequence.Stream);
    under_way[meta->Sequence.Stream % 65536].m = m;
    jsMsgMetaData_Destroy(meta);
    must(natsMsg_Create(&result, results, NULL, natsMsg_GetData(m), natsMsg_GetDataLength(m)),
         "a result");
    must(natsMsgHeader_Set(result, "Nats-Msg-Id", id), "its id");
    must(js_PublishMsgAsync(js, &result, NULL), "publish");
}

static void on_stream(natsConnection *c, char **names)
{
    jsCtx *js;
    jsOptions jo;
    jsSubOptions so;
    jsErrCode code;
    natsSubscription *s;
    must(jsOptions_Init(&jo), "options");
    jo.PublishAsync.AckHandler = kept;
    must(natsConnection_JetStream(&js, c, &jo), "JetStream");
    must(jsSubOptions_Init(&so), "options");
    so.Stream = names[0];
    so.Consumer = names[1];
    must(js_PullSubscribe(&s, js, NULL, names[1], NULL, &so, &code), "subscribe");
    ready();
    for (;;) {
        natsMsgList all = {0};
        natsStatus e = natsSubscription_Fetch(&all, s, 256, 1000, &code);
        if (e != NATS_TIMEOUT)
            must(e, "fetch");
        for (int i = 0; i < all.Count; i++) {
            work_on(js, all.Msgs[i], names[2]);
            all.Msgs[i] = NULL;
        }
        natsMsgList_Destroy(&all);
    }
}

int main(int argc, char **argv)
{
    natsConnection *c;
    if (argc != 3 && argc != 5)
        return 2;
    must(nats_Open(0), "libnats");
    must(natsConnection_ConnectTo(&c, argv[1]), argv[1]);
    if (argc == 3)
        on_subject(c, argv[2]);
    on_stream(c, argv + 2);
}
