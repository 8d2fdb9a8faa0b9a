// SPDX-License-Identifier: MIT
// A handler that stays and keeps count; and does what its path says, so that others see it.
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sip.h>

static char request[NEBULET_MESSAGE_MAX + 1], body[100000];

static const char *get(const char *name, size_t size)
{
    size_t n = strlen(name);
    for (const char *v = request; v < request + size; v += strlen(v) + 1)
        if (!strncmp(v, name, n) && v[n] == '=')
            return v + n + 1;
    return "";
}

static void write_text(nebulet_handle to, const char *text)
{
    sip_write(to, text, strlen(text));
}

static void echo(nebulet_handle from, nebulet_handle to)
{
    write_text(to, "Content-Type: text/plain\n\n");
    for (int64_t n; (n = sip_read(from, body, sizeof body)) > 0;)
        sip_write(to, body, (size_t)n);
}

int main(void)
{
    static nebulet_handle kept[2];
    char line[100];
    for (unsigned count = 1;; count++) {
        nebulet_handle streams[2];
        struct nebulet_message got;
        int64_t size = nebulet_channel_recv(0, request, NEBULET_MESSAGE_MAX, streams, 2, &got,
                                            NEBULET_FOREVER);
        if (size < 0)
            return 0;
        const char *path = get("PATH_INFO", (size_t)size);
        if (!strcmp(path, "/echo")) {
            echo(streams[0], streams[1]);
        } else if (!strcmp(path, "/keeps")) {
            memcpy(kept, streams, sizeof kept); // no answer, ever
            continue;
        } else if (!strcmp(path, "/half")) {
            write_text(streams[1], "Content-Type: text/plain\n\nhalf");
            __builtin_trap();
        } else if (!strcmp(path, "/trap")) {
            __builtin_trap();
        } else if (!strcmp(path, "/deaf")) { // and alive
            sip_close(0);
            write_text(streams[1], "Content-Type: text/plain\n\nno more\n");
            sip_close(streams[1]);
            sip_sleep(NEBULET_FOREVER);
        } else if (strcmp(path, "/nothing")) {
            sip_format(line, sizeof line, "Content-Type: text/plain\n\n%u %s %s\n", count, path,
                       getenv("SECRET") ? getenv("SECRET") : "-");
            write_text(streams[1], line);
        }
        sip_close(streams[0]);
        sip_close(streams[1]);
    }
}
