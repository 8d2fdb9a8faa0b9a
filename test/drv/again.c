// SPDX-License-Identifier: MIT
// again COUNT: files at /data while who serves them dies again and again. What was synced is there
// whenever it is asked for; what fails says so, and never is anything else read than what was
// written.
//
// A file stays open, and only read: it goes on by itself. Another one gets a record more each time,
// synced; when that fails it is opened anew, and has all records that were synced, and perhaps the
// one that was under way.
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <sip.h>

enum { RECORD = 100, FIXED = 5000 };
#define CHECK(cond)                                                                                \
    ((cond) ? (void)0 : sip_panic("line %d: %s (%s)", __LINE__, #cond, strerror(errno)))

static uint32_t failures, deaths; // in a row, and all
static char expected[FIXED], got[FIXED + 1];

// An error that a server which dies may bring; not for ever.
static void expect_death(void)
{
    deaths++;
    if ((errno != EIO && errno != ESTALE) || ++failures > 50)
        sip_panic("again: %s, %u times in a row", strerror(errno), failures);
}

static void record(char *out, uint32_t n)
{
    memset(out, 'a' + (int)(n % 26), RECORD);
    snprintf(out, RECORD, "%u", n);
}

static int open_again(const char *path, int how)
{
    int fd;
    while ((fd = open(path, how, 0644)) < 0)
        expect_death();
    return fd;
}

// Of the file that stays open.
static void read_fixed(int fd)
{
    ssize_t n;
    while ((n = pread(fd, got, FIXED + 1, 0)) < 0) {
        CHECK(errno == EIO); // it was asked for just then; the file itself is not lost
        expect_death();
    }
    CHECK(n == FIXED && !memcmp(got, expected, FIXED));
}

// The records that are there: all that were synced, and at most one more.
static uint32_t records(int fd, uint32_t synced)
{
    char one[RECORD], wanted[RECORD];
    for (uint32_t n = 0;; n++) {
        ssize_t bytes;
        while ((bytes = pread(fd, one, RECORD, (off_t)n * RECORD)) < 0)
            expect_death();
        if (bytes < RECORD) {
            if (n < synced || n > synced + 1)
                sip_panic("again: %u records of %u, then %d bytes", n, synced, (int)bytes);
            return n;
        }
        record(wanted, n);
        CHECK(!memcmp(one, wanted, RECORD));
    }
}

static void make_fixed(void)
{
    for (uint32_t i = 0; i < FIXED; i++)
        expected[i] = (char)('0' + i % 75);
    for (;;) {
        int fd = open_again("/data/fixed", O_WRONLY | O_CREAT | O_TRUNC);
        bool done = write(fd, expected, FIXED) == FIXED && !fsync(fd);
        if (!done)
            expect_death();
        close(fd);
        if (done)
            return;
    }
}

int main(int argc, char **argv)
{
    uint32_t count = argc > 1 ? (uint32_t)atoi(argv[1]) : 100, synced = 0;
    char one[RECORD];
    make_fixed();
    int fixed = open_again("/data/fixed", O_RDONLY), log = -1;
    while (synced < count) {
        if (log < 0) {
            log = open_again("/data/log", O_RDWR | O_CREAT);
            synced = records(log, synced);
        }
        record(one, synced);
        if (pwrite(log, one, RECORD, (off_t)synced * RECORD) == RECORD && !fsync(log)) {
            synced++;
            failures = 0;
        } else {
            expect_death();
            close(log);
            log = -1;
        }
        read_fixed(fixed);
    }
    printf("again: all records, %s\n", deaths ? "and deaths" : "nobody died");
    return 0;
}
