// SPDX-License-Identifier: MIT
// Who waits for input, for a pipe or for a time keeps nobody from computing, and is not kept
// waiting by one who computes without end. `parking [PIPE]` answers to each byte of standard input,
// and of the pipe, if there is one, in turns; test/suites/kern.py sees how soon.
#include <fcntl.h>
#include <time.h>
#include <unistd.h>

#include "nebulet.h"

enum { BYTES = 40, TIMES = 20, PERIOD = 3, LATE = 10 }; // ms

// How much later than it should something was: the machine may be at fault for what is much.
static u64 lateness(u64 at)
{
    u64 late = now() - at;
    TRUE(now() >= at);
    return late > LATE * MS ? late - MS : 0;
}

static void times(void)
{
    u64 late = 0;
    for (u32 i = 0; i < TIMES; i++) {
        u64 at = now() + PERIOD * MS;
        EXPECT(nb_object_wait_many(NULL, 0, at), ERR_TIMED_OUT);
        late += lateness(at);
        at = now() + PERIOD * MS;
        nanosleep(&(struct timespec){.tv_nsec = PERIOD * MS}, NULL);
        late += lateness(at);
    }
    blame_machine("woken late", late);
}

static void input(int pipe)
{
    for (u32 i = 0; i < BYTES; i++) {
        int from = pipe >= 0 && i % 2 ? pipe : STDIN_FILENO;
        char c = 0;
        EXPECT(read(from, &c, 1), 1);
        EXPECT(write(STDOUT_FILENO, &c, 1), 1);
    }
}

int main(int argc, char **argv)
{
    own_name = argv[0];
    if (argc > 1 && !strcmp(argv[1], "computes"))
        for (;;)
            ;
    int pipe = argc > 1 ? open(argv[1], O_RDONLY) : -1;
    TRUE(argc == 1 || pipe >= 0);
    struct nebulet_options first = {.privileges = NEBULET_MAY_ALL, .cpu = 1};
    struct nebulet_info before, after;
    u32 p = child("computes", NEBULET_NO_HANDLE, &first);
    sleep_ms(PERIOD);
    EXPECT(nb_process_info(p, &before), 0);
    u64 start = now();
    times();
    EXPECT(write(STDOUT_FILENO, ".", 1), 1); // ready for the first
    input(pipe);
    EXPECT(nb_process_info(p, &after), 0);
    // It has most of the time that others do not need.
    TRUE(after.cpu_ns - before.cpu_ns > (now() - start) / 2);
    EXPECT(nb_process_kill(p), 0);
    ENDED(p, NEBULET_KILLED, 0);
    return 0;
}
