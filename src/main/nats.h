// SPDX-License-Identifier: MIT
// The library libnats, which is opened when it is first asked for: nobody else pays for it, and the
// program runs without it. Where its headers were not there when this was built, it never is.
#pragma once
#if __has_include(<nats/nats.h>)
#include <nats/nats.h>

#define NATS_FUNCTIONS(X)                                                                          \
    X(nats_Open)                                                                                   \
    X(natsStatus_GetText)                                                                          \
    X(nats_GetLastError)                                                                           \
    X(natsOptions_Create)                                                                          \
    X(natsOptions_Destroy)                                                                         \
    X(natsOptions_SetURL)                                                                          \
    X(natsOptions_SetName)                                                                         \
    X(natsOptions_SetMaxReconnect)                                                                 \
    X(natsOptions_SetReconnectWait)                                                                \
    X(natsOptions_SetEventLoop)                                                                    \
    X(natsOptions_SetSendAsap)                                                                     \
    X(natsOptions_SetUserCredentialsFromFiles)                                                     \
    X(natsOptions_SetSecure)                                                                       \
    X(natsOptions_LoadCATrustedCertificates)                                                       \
    X(natsOptions_LoadCertificatesChain)                                                           \
    X(natsOptions_SetDisconnectedCB)                                                               \
    X(natsOptions_SetReconnectedCB)                                                                \
    X(natsOptions_SetErrorHandler)                                                                 \
    X(natsConnection_Connect)                                                                      \
    X(natsConnection_Destroy)                                                                      \
    X(natsConnection_FlushTimeout)                                                                 \
    X(natsConnection_GetConnectedUrl)                                                              \
    X(natsConnection_GetMaxPayload)                                                                \
    X(natsConnection_JetStream)                                                                    \
    X(natsConnection_ProcessReadEvent)                                                             \
    X(natsConnection_ProcessWriteEvent)                                                            \
    X(natsConnection_Publish)                                                                      \
    X(natsConnection_PublishMsg)                                                                   \
    X(natsConnection_PublishRequest)                                                               \
    X(natsConnection_QueueSubscribeSync)                                                           \
    X(natsConnection_RequestString)                                                                \
    X(natsConnection_Status)                                                                       \
    X(natsConnection_SubscribeSync)                                                                \
    X(natsInbox_Create)                                                                            \
    X(natsInbox_Destroy)                                                                           \
    X(natsMsg_Create)                                                                              \
    X(natsMsg_Destroy)                                                                             \
    X(natsMsg_GetData)                                                                             \
    X(natsMsg_GetDataLength)                                                                       \
    X(natsMsg_GetReply)                                                                            \
    X(natsMsg_GetSubject)                                                                          \
    X(natsMsgHeader_Add)                                                                           \
    X(natsMsgHeader_Get)                                                                           \
    X(natsMsgHeader_Keys)                                                                          \
    X(natsMsgHeader_Set)                                                                           \
    X(natsMsgHeader_Values)                                                                        \
    X(natsSubscription_Drain)                                                                      \
    X(natsSubscription_GetDropped)                                                                 \
    X(natsSubscription_IsValid)                                                                    \
    X(natsSubscription_NextMsg)                                                                    \
    X(natsSubscription_SetPendingLimits)                                                           \
    X(jsConsumerConfig_Init)                                                                       \
    X(jsConsumerInfo_Destroy)                                                                      \
    X(js_AddConsumer)                                                                              \
    X(js_GetConsumerInfo)

struct nats {
#define X(name) __typeof__(&name) name;
    NATS_FUNCTIONS(X)
#undef X
};
#endif

struct nats;
// NULL after a message.
const struct nats *nats_open(void);
