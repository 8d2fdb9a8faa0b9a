// SPDX-License-Identifier: MIT
// Channels and streams.
#include <sip.h>

int64_t sip_channel(nebulet_handle ends[2])
{
    return nebulet_channel_create((nebulet_handle(*)[2])ends);
}

int64_t sip_send(nebulet_handle channel, const void *bytes, size_t size)
{
    return nebulet_channel_send(channel, bytes, (uint32_t)size, NULL, 0, NEBULET_FOREVER);
}

int64_t sip_send_handle(nebulet_handle channel, const void *bytes, size_t size,
                        nebulet_handle given)
{
    return nebulet_channel_send(channel, bytes, (uint32_t)size, &given, 1, NEBULET_FOREVER);
}

int64_t sip_recv_handle(nebulet_handle channel, void *bytes, size_t room, nebulet_handle *handle)
{
    *handle = NEBULET_NO_HANDLE;
    return nebulet_channel_recv(channel, bytes, (uint32_t)room, handle, 1, NULL, NEBULET_FOREVER);
}

int64_t sip_recv(nebulet_handle channel, void *bytes, size_t room)
{
    nebulet_handle handle;
    int64_t result = sip_recv_handle(channel, bytes, room, &handle);
    sip_close(handle);
    return result;
}

int64_t sip_call(nebulet_handle channel, const void *request, size_t size, void *answer,
                 size_t room)
{
    return nebulet_channel_call(channel, request, (uint32_t)size, answer, (uint32_t)room,
                                NEBULET_FOREVER);
}

int64_t sip_exactly(int64_t result, size_t size)
{
    return result < 0 || (uint64_t)result == size ? result : NEBULET_ERR_INVALID_ARG;
}

int64_t sip_stream(nebulet_handle ends[2])
{
    return nebulet_stream_create((nebulet_handle(*)[2])ends);
}

int64_t sip_write(nebulet_handle stream, const void *bytes, size_t size)
{
    const uint8_t *at = bytes;
    while (size) {
        int64_t n = nebulet_stream_write(stream, at, (uint32_t)size, NEBULET_FOREVER);
        if (n < 0)
            return n;
        at += n, size -= (size_t)n;
    }
    return 0;
}

int64_t sip_read(nebulet_handle stream, void *bytes, size_t room)
{
    int64_t n = nebulet_stream_read(stream, bytes, (uint32_t)room, NEBULET_FOREVER);
    return n == NEBULET_ERR_PEER_CLOSED ? 0 : n;
}
