// SPDX-License-Identifier: MIT
// Clocks run forwards, have a resolution, and a sleep lasts as long as it should.
#include <stdio.h>
#include <time.h>

static long long now(clockid_t clock)
{
    struct timespec t;
    if (clock_gettime(clock, &t) != 0)
        return -1;
    return t.tv_sec * 1000000000LL + t.tv_nsec;
}

int main(void)
{
    struct timespec res = {0, 0};
    struct timespec pause = {0, 20000000};
    long long last = now(CLOCK_MONOTONIC);
    int forwards = 1;

    for (int i = 0; i < 10000; i++) {
        long long t = now(CLOCK_MONOTONIC);
        forwards &= t >= last;
        last = t;
    }
    printf("monotonic: %s\n", forwards && last > 0 ? "ok" : "backwards");
    // 2024 to 2100.
    long long wall = now(CLOCK_REALTIME) / 1000000000;
    printf("realtime: %s\n", wall > 1704067200 && wall < 4102444800 ? "ok" : "wrong");
    printf("resolution: %s\n",
           clock_getres(CLOCK_MONOTONIC, &res) == 0 && (res.tv_nsec > 0 || res.tv_sec > 0)
               ? "ok"
               : "wrong");
    long long start = now(CLOCK_MONOTONIC);
    int slept = nanosleep(&pause, NULL);
    long long took = now(CLOCK_MONOTONIC) - start;
    printf("sleep: %d, %s\n", slept, took >= 20000000 && took < 5000000000 ? "ok" : "wrong");
    return 0;
}
