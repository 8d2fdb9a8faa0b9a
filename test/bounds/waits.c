// SPDX-License-Identifier: MIT
// Calls of WASI that get as much as they may have: subscriptions, open files, arguments, buffers.
#include "../kern/nebulet.h"

#include <fcntl.h>
#include <unistd.h>
#include <wasi/api.h>

enum { SUBSCRIPTIONS = 65536, FILES = 60000, ARGUMENTS = 8 << 20 };

static __wasi_subscription_t subs[SUBSCRIPTIONS];
static __wasi_event_t events[SUBSCRIPTIONS];

// Of descriptor `fd`, or of those from there on, and, last, of a clock.
static u32 polls(u32 fd, u32 step, u64 ns)
{
    size_t n = 0;
    for (u32 i = 0; i < SUBSCRIPTIONS - 1; i++) {
        subs[i].u.tag = __WASI_EVENTTYPE_FD_READ;
        subs[i].u.u.fd_read.file_descriptor = (__wasi_fd_t)(fd + i * step);
        subs[i].userdata = i;
    }
    subs[SUBSCRIPTIONS - 1].u.tag = __WASI_EVENTTYPE_CLOCK;
    subs[SUBSCRIPTIONS - 1].u.u.clock.id = __WASI_CLOCKID_MONOTONIC;
    subs[SUBSCRIPTIONS - 1].u.u.clock.timeout = ns;
    EXPECT(__wasi_poll_oneoff(subs, events, SUBSCRIPTIONS, &n), 0);
    return (u32)n;
}

static void files(void)
{
    int first = 0, last = 0;
    for (u32 i = 0; i < FILES; i++) {
        last = open("/file", O_CREAT | O_RDWR, 0666);
        TRUE(last > 0);
        first = first ? first : last;
    }
    EXPECT(last, first + FILES - 1);
    EXPECT(polls((u32)first, 1, 0), SUBSCRIPTIONS); // there, or no descriptor; and the time is over
    // They are closed when it ends.
}

static void arguments(void)
{
    char *args = malloc(ARGUMENTS);
    TRUE(args != NULL);
    memset(args, 'a', ARGUMENTS);
    u32 n = (u32)strlen(own_name) + 1;
    memcpy(args, own_name, n);
    memcpy(args + n, "all", 4);
    for (u32 i = n + 4; i < ARGUMENTS; i++)
        args[i] = i % 2 ? 0 : 'x';
    args[ARGUMENTS - 1] = 0;
    struct nebulet_options o = {.privileges = NEBULET_MAY_ALL};
    u32 p = GOOD(nb_process_create(own_module(), NEBULET_NO_HANDLE, &o, sizeof o, args, ARGUMENTS));
    EXPECT(nb_process_start(p), 0);
    ENDED(p, NEBULET_EXITED, 7);
    free(args);
}

int main(int argc, char **argv)
{
    own_name = argv[0];
    if (argc > 1)
        return argc > ARGUMENTS / 2 - 100 && !strcmp(argv[1], "all") ? 7 : 1;
    arguments();
    EXPECT(polls(0, 0, 20 * MS), SUBSCRIPTIONS - 1); // there is an end of input, at once
    files();
    puts("waits");
    return 0;
}
