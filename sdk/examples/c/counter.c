// SPDX-License-Identifier: MIT
// A handler that stays: it gets requests as messages, and keeps count of them.
//
//   clang-22 --config=.../nebulet.cfg -O2 counter.c -o counter.wasm
//   nebulet serve --stream counter.wasm
//
// A message is the variables that a handler by CGI has in its environment, each with a final 0, and
// two handles: the stream that the body is read from, and the one that the answer is written to,
// which ends when it is closed.
#include <string.h>
#include <sip.h>

static char request[NEBULET_MESSAGE_MAX + 1];

static const char *get(const char *name, size_t size)
{
    size_t n = strlen(name);
    for (const char *v = request; v < request + size; v += strlen(v) + 1)
        if (!strncmp(v, name, n) && v[n] == '=')
            return v + n + 1;
    return "";
}

int main(void)
{
    char answer[1024];
    unsigned long count = 0;
    for (;;) {
        nebulet_handle streams[2];
        struct nebulet_message got;
        int64_t size = nebulet_channel_recv(0, request, NEBULET_MESSAGE_MAX, streams, 2, &got,
                                            NEBULET_FOREVER);
        if (size < 0)
            return 0; // the server is gone
        size_t n = sip_format(answer, sizeof answer, "Content-Type: text/plain\n\n%lu: %s %.900s\n",
                              ++count, get("REQUEST_METHOD", (size_t)size),
                              get("PATH_INFO", (size_t)size));
        sip_write(streams[1], answer, n < sizeof answer ? n : sizeof answer - 1);
        sip_close(streams[0]);
        sip_close(streams[1]);
    }
}
