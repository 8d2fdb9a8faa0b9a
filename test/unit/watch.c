// SPDX-License-Identifier: MIT
// Unit test of vfs_watch on descriptors of the host: what becomes ready, when, and for whom;
// several watches on one descriptor; watches dropped while other threads deliver.
#include "fs/memory.h"
#include "plat/linux/hostfs.h"
#include "plat/plat.h"

#include <fcntl.h>
#include <pthread.h>
#include <pty.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

static int passed, failed;
#define CHECK(cond)                                                                                \
    do {                                                                                           \
        if (cond) {                                                                                \
            passed++;                                                                              \
        } else {                                                                                   \
            failed++;                                                                              \
            printf("%s:%d: %s\n", __FILE__, __LINE__, #cond);                                      \
        }                                                                                          \
    } while (0)

struct waiter {
    struct vfs_watch w;
    int calls;
};

static void called(struct vfs_watch *w)
{
    __atomic_add_fetch(&((struct waiter *)w)->calls, 1, __ATOMIC_RELEASE);
}

static int calls(struct waiter *x)
{
    return __atomic_load_n(&x->calls, __ATOMIC_ACQUIRE);
}

static enum fs_error watch(struct waiter *x, struct vfs_file *f, bool write)
{
    *x = (struct waiter){.w = {.ready = called, .write = write}};
    return vfs_watch_add(f, &x->w);
}

// A pair of descriptors, as files.
struct pair {
    int fd[2]; // what is written to [1] is read from [0]
    struct vfs_file *f[2];
};

static struct pair pair_of(int a, int b)
{
    struct pair p = {{a, b}, {hostfs_adopt(a), hostfs_adopt(b)}};
    if (!p.f[0] || !p.f[1])
        abort();
    return p;
}

static struct pair new_pipe(void)
{
    int fd[2];
    if (pipe(fd))
        abort();
    return pair_of(fd[0], fd[1]);
}

static struct pair new_sockets(void)
{
    int fd[2];
    if (socketpair(AF_UNIX, SOCK_STREAM, 0, fd))
        abort();
    return pair_of(fd[0], fd[1]);
}

static struct pair new_terminal(void)
{
    int master, slave;
    if (openpty(&master, &slave, NULL, NULL, NULL))
        abort();
    return pair_of(slave, master);
}

static void end(struct pair *p)
{
    for (int i = 0; i < 2; i++) {
        vfs_close(p->f[i]);
        close(p->fd[i]);
    }
}

static void put(int fd, const char *text)
{
    if (write(fd, text, strlen(text)) != (ssize_t)strlen(text))
        abort();
}

static void read_when_ready(struct pair p)
{
    struct waiter x;
    CHECK(watch(&x, p.f[0], false) == E_SUCCESS);
    plat_poll();
    CHECK(calls(&x) == 0);
    put(p.fd[1], "hello\n");
    plat_wait(plat_now() + 1000000000);
    CHECK(calls(&x) == 1);
    plat_poll();
    CHECK(calls(&x) == 1); // once
    vfs_watch_drop(&x.w);

    CHECK(watch(&x, p.f[0], false) == E_SUCCESS); // is so already
    plat_poll();
    CHECK(calls(&x) == 1);
    vfs_watch_drop(&x.w);
    vfs_watch_drop(&x.w); // again: nothing

    CHECK(watch(&x, p.f[0], false) == E_SUCCESS);
    vfs_watch_drop(&x.w);
    plat_poll();
    CHECK(calls(&x) == 0); // dropped
    end(&p);
}

static void hang_up(void)
{
    struct waiter x;
    struct pair p = new_pipe();
    CHECK(watch(&x, p.f[0], false) == E_SUCCESS);
    close(p.fd[1]);
    plat_wait(plat_now() + 1000000000);
    CHECK(calls(&x) == 1);
    vfs_watch_drop(&x.w);
    p.fd[1] = -1;
    end(&p);
}

// Both directions, and twice the same, on one descriptor.
static void several(void)
{
    struct waiter x[4];
    struct pair p = new_sockets();
    for (int i = 0; i < 3; i++)
        CHECK(watch(&x[i], p.f[0], false) == E_SUCCESS);
    CHECK(watch(&x[3], p.f[0], true) == E_SUCCESS);
    plat_poll();
    CHECK(calls(&x[3]) == 1 && calls(&x[0]) + calls(&x[1]) + calls(&x[2]) == 0);
    vfs_watch_drop(&x[1].w);
    put(p.fd[1], "!");
    plat_poll();
    CHECK(calls(&x[0]) == 1 && calls(&x[1]) == 0 && calls(&x[2]) == 1);
    for (int i = 0; i < 4; i++)
        vfs_watch_drop(&x[i].w);
    end(&p);
}

static void write_when_ready(void)
{
    struct waiter x;
    struct pair p = new_pipe();
    static char block[1 << 16];
    int flags = fcntl(p.fd[1], F_GETFL);
    fcntl(p.fd[1], F_SETFL, flags | O_NONBLOCK);
    while (write(p.fd[1], block, sizeof block) > 0)
        ;
    CHECK(watch(&x, p.f[1], true) == E_SUCCESS);
    plat_poll();
    CHECK(calls(&x) == 0);
    while (calls(&x) == 0 && read(p.fd[0], block, sizeof block) > 0)
        plat_poll();
    CHECK(calls(&x) == 1);
    vfs_watch_drop(&x.w);
    end(&p);
}

// Files that are always ready say so.
static void always_ready(void)
{
    struct waiter x;
    char name[] = "/tmp/watch.XXXXXX";
    int fd = mkstemp(name);
    struct vfs_file *f = hostfs_adopt(fd), *memory = memfs_create(1 << 20, 1);
    CHECK(watch(&x, f, false) == E_NOTSUP && watch(&x, f, true) == E_NOTSUP);
    vfs_watch_drop(&x.w);
    CHECK(watch(&x, memory, false) == E_NOTSUP);
    vfs_watch_drop(&x.w);
    vfs_close(memory);
    vfs_close(f);
    close(fd);
    unlink(name);
}

static void times(void)
{
    u64 start = plat_now(), took;
    struct waiter x;
    struct pair p = new_pipe();
    plat_wait(start + 3000000);
    took = plat_now() - start;
    CHECK(took >= 3000000);
    CHECK(watch(&x, p.f[0], false) == E_SUCCESS);
    start = plat_now();
    plat_wait(start + 300000); // finer than a millisecond
    took = plat_now() - start;
    CHECK(took >= 300000 && calls(&x) == 0);
    vfs_watch_drop(&x.w);
    end(&p);
}

// --- Waiting by watches, as a vfs_wait_fn does it that has no descriptors of its own.
enum { ITEMS = 4 };

static bool look(struct vfs_poll *items, u32 n)
{
    bool any = false;
    for (u32 i = 0; i < n; i++) {
        vfs_ready(&items[i]);
        any |= items[i].ready;
    }
    return any;
}

static enum fs_error wait_by_watches(struct vfs_poll *items, u32 n, u64 until)
{
    struct waiter x[ITEMS];
    bool any = look(items, n);
    u32 added = 0;
    for (; added < n && !any; added++)
        any = watch(&x[added], items[added].file, items[added].write) != E_SUCCESS;
    while (!any && plat_now() < until) {
        // A scheduler's `ready` kicks a CPU that sleeps; ours may have been called on another
        // thread.
        plat_wait(plat_now() + 1000000);
        for (u32 i = 0; i < n; i++)
            any |= calls(&x[i]) > 0;
    }
    while (added)
        vfs_watch_drop(&x[--added].w);
    look(items, n);
    return E_SUCCESS;
}

enum { LONG = 3000000 };

static void *write_all(void *file)
{
    static u8 block[100000];
    struct vfs_iov v = {block, sizeof block};
    struct vfs_poll p = {.file = file, .write = true};
    for (u64 all = 0, done; all < LONG; all += done)
        if (vfs_write(file, &v, 1, VFS_HERE, &done) == E_AGAIN) {
            wait_by_watches(&p, 1, UINT64_MAX);
            done = 0;
        }
    return NULL;
}

static void move_much(struct pair p)
{
    static u8 block[70000];
    struct vfs_iov v = {block, sizeof block};
    struct vfs_poll items[] = {{.file = p.f[0]}, {.file = p.f[0]}};
    u64 all = 0, done;
    pthread_t writer;
    CHECK(wait_by_watches(items, 2, plat_now() + 1000000) == E_SUCCESS && !items[0].ready);
    pthread_create(&writer, NULL, write_all, p.f[1]);
    for (; all < LONG; all += done)
        if (vfs_read(p.f[0], &v, 1, VFS_HERE, &done) == E_AGAIN) {
            wait_by_watches(items, 2, UINT64_MAX);
            done = 0;
        }
    pthread_join(writer, NULL);
    CHECK(all >= LONG);
    end(&p);
}

// --- Several threads.
static bool over;

static void *deliver(void *unused)
{
    while (!__atomic_load_n(&over, __ATOMIC_ACQUIRE))
        plat_wait(plat_now() + 1000000);
    return unused;
}

enum { ROUNDS = 3000 };

// Each round's watch lies where the last one's lay: one that is called late shows.
static void *watch_and_drop(void *unused)
{
    struct pair p = new_pipe();
    char c;
    long wrong = 0;
    for (int i = 0; i < ROUNDS; i++) {
        struct waiter x;
        wrong += watch(&x, p.f[0], false) != E_SUCCESS;
        put(p.fd[1], "x");
        for (int k = 0; k < i % 64; k++)
            __asm__ volatile("pause");
        vfs_watch_drop(&x.w);
        int before = calls(&x);
        memset(&x, 0x5a, sizeof x);
        wrong += before > 1 || read(p.fd[0], &c, 1) != 1;
    }
    end(&p);
    (void)unused;
    return (void *)wrong;
}

static void *watch_and_wait(void *unused)
{
    struct pair p = new_sockets();
    char c;
    long wrong = 0;
    for (int i = 0; i < ROUNDS; i++) {
        struct waiter x;
        wrong += watch(&x, p.f[0], false) != E_SUCCESS;
        put(p.fd[1], "x");
        while (!calls(&x))
            plat_wait(plat_now() + 100000000);
        vfs_watch_drop(&x.w);
        wrong += calls(&x) != 1 || read(p.fd[0], &c, 1) != 1;
    }
    end(&p);
    (void)unused;
    return (void *)wrong;
}

static void threads(void)
{
    void *(*const work[])(void *) = {watch_and_drop, watch_and_wait, watch_and_drop,
                                     watch_and_wait};
    pthread_t deliverers[2], workers[4];
    for (int i = 0; i < 2; i++)
        pthread_create(&deliverers[i], NULL, deliver, NULL);
    for (int i = 0; i < 4; i++)
        pthread_create(&workers[i], NULL, work[i], NULL);
    for (int i = 0; i < 4; i++) {
        void *wrong;
        pthread_join(workers[i], &wrong);
        CHECK(wrong == NULL);
    }
    __atomic_store_n(&over, true, __ATOMIC_RELEASE);
    for (int i = 0; i < 2; i++)
        pthread_join(deliverers[i], NULL);
}

int main(void)
{
    plat_poll(); // nothing was watched yet
    times();
    read_when_ready(new_pipe());
    read_when_ready(new_sockets());
    read_when_ready(new_terminal());
    hang_up();
    several();
    write_when_ready();
    always_ready();
    move_much(new_pipe());
    move_much(new_sockets());
    threads();
    printf("%d passed, %d failed\n", passed, failed);
    return failed != 0;
}
