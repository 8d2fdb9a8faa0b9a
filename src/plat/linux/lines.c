// SPDX-License-Identifier: MIT
// See lines.h. One lock is held over each write, ours and programs', so that nothing gets between a
// look at what was written last and what comes behind that. Those writes do not wait (hostfile.c).
#define _GNU_SOURCE
#include "plat/linux/lines.h"

#include <pthread.h>
#include <sys/stat.h>

#include "base/vec.h"
#include "plat/linux/linux.h"

enum { HELD_MOST = 1 << 20 };

static struct {
    int to;    // -1: nowhere
    int error; // errno of the first line that could not be written
    struct {
        bool shared;      // it is the same file
        bool within;      // a line, of which the program has not written the end
    } out[3];             // by descriptor
    pthread_mutex_t lock; // of what changes: within, held
    VEC(char) held;
} lines = {.to = -1, .lock = PTHREAD_MUTEX_INITIALIZER};

void lines_open(int fd)
{
    struct stat ours, theirs;
    lines.to = fd;
    for (int i = 1; i < 3; i++)
        lines.out[i].shared = !fstat(fd, &ours) && !fstat(i, &theirs) &&
                              ours.st_dev == theirs.st_dev && ours.st_ino == theirs.st_ino;
}

bool lines_share(int fd)
{
    return fd > 0 && fd < 3 && lines.out[fd].shared;
}

static void put(const char *text, size_t n)
{
    int error = linux_write(lines.to, text, n);
    lines.error = lines.error ? lines.error : error;
}

static bool within(void)
{
    return lines.out[1].within || lines.out[2].within;
}

static void let_go(void)
{
    put(lines.held.at, lines.held.count);
    lines.held.count = 0;
}

static void end_line(void)
{
    if (within())
        put("\n", 1);
    lines.out[1].within = lines.out[2].within = false;
}

void lines_put(const char *text, size_t n)
{
    pthread_mutex_lock(&lines.lock);
    bool fits = n <= HELD_MOST - lines.held.count;
    if (!within() || !fits || !vec_reserve(&lines.held, (u32)n)) {
        end_line();
        let_go();
        put(text, n);
    } else {
        memcpy(lines.held.at + lines.held.count, text, n);
        lines.held.count += (u32)n;
    }
    pthread_mutex_unlock(&lines.lock);
}

int lines_close(void)
{
    if (lines.to < 0)
        return 0;
    if (lines.held.count)
        end_line();
    let_go();
    vec_free(&lines.held);
    lines.to = -1;
    lines.out[1].shared = lines.out[2].shared = false;
    return lines.error;
}

void lines_begin(void)
{
    pthread_mutex_lock(&lines.lock);
}

void lines_end(int fd, const struct vfs_iov *v, u32 n, s64 written)
{
    const u8 *last = NULL;
    for (size_t left = written > 0 ? (size_t)written : 0; left && n; v++, n--) {
        size_t part = v->n < left ? v->n : left;
        if (part)
            last = v->p + part - 1;
        left -= part;
    }
    if (last && lines.out[fd].shared)
        lines.out[fd].within = *last != '\n';
    if (!within())
        let_go();
    pthread_mutex_unlock(&lines.lock);
}
