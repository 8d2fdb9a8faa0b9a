// SPDX-License-Identifier: MIT
// Unit test of the host's folders and streams under the VFS: what every back end does (fs.h), with
// the kernel confining paths (openat2) and with the walk; then every way out of a folder that we
// know of, links that others made included, while another thread keeps exchanging a folder for a
// link that leads out. Works in a temporary folder of its own.
#define _GNU_SOURCE
#include "plat/linux/hostfs.h"
#include "fs/memory.h"
#include "plat/plat.h"
#include "test/unit/fs.h"

#include <fcntl.h>
#include <ftw.h>
#include <pthread.h>
#include <pty.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

// --- The host.
static char scratch[] = "/tmp/nebulet-fs-XXXXXX";

static const char *inside(const char *name)
{
    static _Thread_local char path[4][512];
    static _Thread_local int turn;
    char *p = path[turn++ % 4];
    snprintf(p, sizeof path[0], "%s/%s", scratch, name);
    return p;
}

static void host_write(const char *name, const char *text)
{
    FILE *f = fopen(inside(name), "w");
    if (f) {
        fputs(text, f);
        fclose(f);
    }
}

// Links that no WASI call makes, but that a folder may hold.
static void test_foreign_links(bool walk)
{
    struct vfs_file *root = NULL;
    struct vfs_stat st;
    char buffer[600];
    u32 n;
    CHECK(symlink("/", inside("box/slash")) == 0);
    CHECK(symlink(inside("secret"), inside("box/absolute")) == 0);
    CHECK(symlink(inside("box/own"), inside("box/home")) == 0); // absolute, though it leads back in
    CHECK(symlink("../secret", inside("box/relative")) == 0);
    CHECK(symlink("relative", inside("box/second")) == 0);
    CHECK(symlink("/proc/self/cwd", inside("box/magic")) == 0);
    CHECK(symlink("slash/etc/passwd", inside("box/deep")) == 0);
    host_write("box/own", "own");
    CHECK_OK(hostfs_open(inside("box"), walk, &root));
    static const char *const out[] = {"slash",    "slash/etc/passwd", "absolute", "home",
                                      "relative", "second",           "magic",    "magic/x",
                                      "deep",     "slash/",           "relative/"};
    for (size_t i = 0; i < countof(out); i++) {
        CHECK_ERROR(try_open(root, out[i], VFS_READ | VFS_FOLLOW), E_PERM);
        CHECK_ERROR(try_open(root, out[i], NEW | VFS_FOLLOW), E_PERM, E_ISDIR);
        CHECK_ERROR(vfs_path_stat(root, out[i], true, &st), E_PERM);
        CHECK_ERROR(vfs_path_times(root, out[i], true, &(struct vfs_times){0}), E_PERM);
    }
    CHECK_ERROR(vfs_mkdir(root, "slash/tmp/x"), E_PERM);
    CHECK_ERROR(vfs_unlink(root, "slash/tmp/x"), E_PERM);
    CHECK_ERROR(vfs_rename(root, "own", root, "slash/tmp/x"), E_PERM);
    CHECK_ERROR(vfs_link(root, "slash/etc/passwd", root, "x"), E_PERM);
    CHECK_ERROR(vfs_link(root, "slash/", root, "x"), E_NOTDIR);
    CHECK_OK(vfs_path_stat(root, "slash", false, &st));
    CHECK(st.type == VFS_SYMBOLIC_LINK);
    CHECK_OK(vfs_readlink(root, "slash", buffer, sizeof buffer, &n));
    for (size_t i = 0; i < 7; i++)
        CHECK_OK(vfs_unlink(root, (const char *[]){"slash", "absolute", "home", "relative",
                                                   "second", "magic", "deep"}[i]));
    struct vfs_dirent e, dot = {0}, dotdot = {0};
    for (u64 cookie = 0; vfs_readdir(root, cookie, &e) == E_SUCCESS; cookie = e.next)
        if (strcmp(e.name, ".") == 0)
            dot = e;
        else if (strcmp(e.name, "..") == 0)
            dotdot = e;
    CHECK(dot.ino && dot.ino == dotdot.ino); // nothing above is told
    CHECK_OK(vfs_unlink(root, "own"));
    vfs_close(root);
}

// A folder above /proc does not give /proc, and one in it not what its links to descriptors lead
// to.
static void test_processes(bool walk)
{
    struct vfs_file *root = NULL;
    char fd[16];
    CHECK_OK(hostfs_open("/", walk, &root));
    static const char *const files[] = {"proc/self/mem", "proc/self/maps", "proc/self/fd",
                                        "proc/../proc/self/mem"};
    for (size_t i = 0; i < countof(files); i++)
        CHECK_ERROR(try_open(root, files[i], VFS_READ | VFS_FOLLOW), E_PERM);
    CHECK_ERROR(try_open(root, "proc/self/mem", VFS_READ | VFS_WRITE), E_PERM);
    vfs_close(root);
    CHECK_OK(hostfs_open("/proc/self", walk, &root));
    CHECK_OK(try_open(root, "maps", VFS_READ));
    vfs_close(root);
    CHECK_OK(hostfs_open("/proc/self/fd", walk, &root));
    int pipe_fds[2], memory = memfd_create("memory", MFD_CLOEXEC);
    CHECK(memory >= 0 && pipe(pipe_fds) == 0);
    for (int i = 0; i < 3; i++) {
        snprintf(fd, sizeof fd, "%d", i ? pipe_fds[i - 1] : memory);
        CHECK_ERROR(try_open(root, fd, VFS_READ | VFS_FOLLOW), E_LOOP, E_PERM, E_NOENT);
        CHECK_ERROR(try_open(root, fd, VFS_READ), E_LOOP, E_PERM, E_NOENT);
    }
    vfs_close(root);
    close(memory);
    close(pipe_fds[0]);
    close(pipe_fds[1]);
}

static atomic_bool stop;

// box/swap is by turns a folder and a link out of the box; box/a/deep moves out of box/a and back.
static void *swapper(void *unused)
{
    (void)unused;
    while (!stop) {
        renameat2(AT_FDCWD, inside("box/swap"), AT_FDCWD, inside("box/other"), RENAME_EXCHANGE);
        rename(inside("box/a/deep"), inside("box/deep"));
        rename(inside("box/deep"), inside("box/a/deep"));
    }
    return NULL;
}

static const char *read_some(struct vfs_file *root, const char *path)
{
    static char text[16];
    struct vfs_file *f = open_file(root, path, VFS_READ | VFS_FOLLOW);
    u64 done = 0;
    if (!f)
        return "";
    vfs_read(f, &(struct vfs_iov){(u8 *)text, sizeof text - 1}, 1, VFS_HERE, &done);
    text[done] = 0;
    vfs_close(f);
    return text;
}

// The paths are tried while the folders move; whatever is reached must be of the box. What is
// created must not turn up outside.
static void test_races(bool walk)
{
    pthread_t thread;
    struct vfs_file *root = NULL;
    u32 reached = 0, escaped = 0;
    struct vfs_stat st;
    mkdir(inside("box/swap"), 0777);
    mkdir(inside("box/a"), 0777);
    mkdir(inside("box/a/deep"), 0777);
    host_write("box/swap/secret", "inside");
    host_write("box/secret", "inside");
    CHECK(symlink("..", inside("box/other")) == 0);
    CHECK_OK(hostfs_open(inside("box"), walk, &root));
    stop = false;
    pthread_create(&thread, NULL, swapper, NULL);
    enum { ROUNDS = 1000, MANY = 1000000 };
    for (u32 round = 0; round < ROUNDS || (!reached && round < MANY); round++) {
        static const char *const paths[] = {"swap/secret", "a/deep/../../../secret",
                                            "a/deep/../../secret", "other/secret"};
        for (size_t i = 0; i < countof(paths); i++) {
            const char *text = read_some(root, paths[i]);
            reached += strcmp(text, "inside") == 0;
            escaped += strcmp(text, "OUTSIDE") == 0;
        }
        vfs_mkdir(root, "swap/made");
        vfs_rmdir(root, "swap/made");
        vfs_rename(root, "secret", root, "swap/moved");
        vfs_rename(root, "swap/moved", root, "secret");
        vfs_path_times(root, "swap/secret", true,
                       &(struct vfs_times){VFS_TIME_SET, VFS_TIME_SET, 1, 1});
        escaped += access(inside("made"), F_OK) == 0 || access(inside("moved"), F_OK) == 0;
    }
    stop = true;
    pthread_join(thread, NULL);
    struct vfs_file *above = NULL;
    CHECK_OK(hostfs_open(scratch, walk, &above));
    CHECK_OK(vfs_path_stat(above, "secret", false, &st));
    CHECK(st.mtime != 1);
    CHECK(reached > 0);
    CHECK(escaped == 0);
    vfs_close(above);
    vfs_close(root);
    static const char *const names[] = {
        "box/swap",       "box/other",       "box/secret",    "box/swap/secret", "box/other/secret",
        "box/swap/moved", "box/other/moved", "box/swap/made", "box/other/made",  "box/a/deep",
        "box/deep",       "box/a",           "box/swap",      "box/other"};
    for (size_t i = 0; i < countof(names); i++)
        remove(inside(names[i]));
}

// --- The back ends agree: the same random calls, by paths of few names, on all of them.
static u32 random_state = 88172645u;

static u32 draw(u32 n)
{
    random_state ^= random_state << 13;
    random_state ^= random_state >> 17;
    random_state ^= random_state << 5;
    return random_state % n;
}

static void draw_path(char *p)
{
    static const char *const names[] = {"a", "b", "c", "d", "a", "b", "c", "d", ".", ".."};
    u32 n = 1 + draw(4);
    *p = 0;
    for (u32 i = 0; i < n; i++) {
        strcat(p, names[draw(countof(names))]);
        strcat(p, i + 1 < n || draw(8) == 0 ? draw(10) ? "/" : "//" : "");
    }
}

struct random_call {
    u32 op, how;
    char path[64], to[64];
};

static enum fs_error make_call(struct vfs_file *root, const struct random_call *c, u64 *result)
{
    struct vfs_stat st = {0};
    struct vfs_times t = {VFS_TIME_KEEP, VFS_TIME_SET, 0, 1000};
    char target[64];
    u32 n = 0;
    enum fs_error e;
    switch (c->op) {
    case 0:
    case 1: return vfs_mkdir(root, c->path);
    case 2: return vfs_rmdir(root, c->path);
    case 3: return vfs_unlink(root, c->path);
    case 4: return vfs_rename(root, c->path, root, c->to);
    case 5: return vfs_link(root, c->path, root, c->to);
    case 6:
    case 7: return vfs_symlink(root, c->to, c->path);
    case 8:
        e = vfs_readlink(root, c->path, target, sizeof target, &n);
        *result = n;
        return e;
    case 9: return vfs_path_times(root, c->path, c->how & 1, &t);
    case 10:
        e = vfs_path_stat(root, c->path, c->how & 1, &st);
        *result = st.type << 8 | (e ? 0 : st.nlink);
        return e;
    default: return try_open(root, c->path, c->how);
    }
}

// Where several errors are true at once, back ends may differ in which they tell.
static bool same_answer(const struct random_call *c, enum fs_error a, enum fs_error b)
{
    bool exclusive = a != E_SUCCESS && b != E_SUCCESS;
    return a == b || (exclusive && (c->op == 4 || c->op == 5 || c->op > 10));
}

static void test_agreement(void)
{
    static const char *const names[] = {"memory", "openat2", "walk"};
    struct vfs_file *roots[3] = {memfs_create(16 << 20, 1), NULL, NULL};
    u32 differences = 0, succeeded = 0;
    mkdir(inside("box1"), 0777);
    mkdir(inside("box2"), 0777);
    CHECK_OK(hostfs_open(inside("box1"), false, &roots[1]));
    CHECK_OK(hostfs_open(inside("box2"), true, &roots[2]));
    for (int i = 0; i < 20000; i++) {
        struct random_call c = {.op = draw(16),
                                .how = draw(32) | VFS_READ | (draw(2) ? VFS_WRITE : 0)};
        enum fs_error e[3];
        u64 result[3] = {0};
        draw_path(c.path);
        draw_path(c.to);
        for (int k = 0; k < 3; k++)
            e[k] = make_call(roots[k], &c, &result[k]);
        succeeded += e[0] == E_SUCCESS;
        for (int k = 1; k < 3; k++)
            if (!same_answer(&c, e[0], e[k]) || result[0] != result[k]) {
                if (differences++ < 20)
                    printf("op %u how %u %s %s: memory %s %llx, %s %s %llx\n", c.op, c.how, c.path,
                           c.to, fs_error_name(e[0]), (unsigned long long)result[0], names[k],
                           fs_error_name(e[k]), (unsigned long long)result[k]);
            }
    }
    CHECK(differences == 0);
    CHECK(succeeded > 1000);
    for (int k = 0; k < 3; k++)
        vfs_close(roots[k]);
}

static void test_streams(void)
{
    int pipe_fds[2], pair[2];
    char buffer[8];
    u64 done = 0;
    bool cut = false;
    struct vfs_iov v = {(u8 *)buffer, sizeof buffer};
    CHECK(hostfs_adopt(1000) == NULL);
    CHECK(pipe(pipe_fds) == 0 && socketpair(AF_UNIX, SOCK_STREAM, 0, pair) == 0);
    struct vfs_file *in = hostfs_adopt(pipe_fds[0]), *out = hostfs_adopt(pipe_fds[1]);
    struct vfs_poll p[] = {{.file = in}, {.file = out, .write = true}};
    CHECK_OK(hostfs_wait(p, 2, 0));
    CHECK(!p[0].ready && p[1].ready);
    u64 start = plat_now();
    CHECK_OK(hostfs_wait(p, 1, start + 20000000));
    CHECK(!p[0].ready && plat_now() - start >= 20000000);
    CHECK_OK(hostfs_wait(NULL, 0, plat_now() + 1000000));
    CHECK_OK(vfs_set_flags(in, VFS_NONBLOCK));
    CHECK_ERROR(vfs_read(in, &v, 1, VFS_HERE, &done), E_AGAIN);
    CHECK(!(fcntl(pipe_fds[0], F_GETFL) & O_NONBLOCK)); // others may share it
    CHECK(put(out, "abc", VFS_HERE) == 3);
    CHECK_OK(hostfs_wait(p, 2, UINT64_MAX));
    CHECK(p[0].ready && p[0].bytes == 3 && !p[0].hangup);
    CHECK(reads(in, VFS_HERE, "abc"));
    u64 at;
    CHECK_ERROR(vfs_seek(in, 0, VFS_SEEK_CUR, &at), E_SPIPE);
    CHECK_ERROR(vfs_read(in, &v, 1, 0, &done), E_SPIPE);
    close(pipe_fds[1]);
    vfs_ready(&p[0]);
    CHECK(p[0].ready && p[0].hangup);
    CHECK_ERROR(vfs_shutdown(in, true, false), E_NOTSOCK);
    vfs_close(out);
    vfs_close(in);
    close(pipe_fds[0]);
    struct vfs_file *s = hostfs_adopt(pair[0]), *t = hostfs_adopt(pair[1]);
    CHECK(s && s->type == VFS_SOCKET_STREAM);
    CHECK_OK(vfs_send(s, &(struct vfs_iov){(u8 *)"hi", 2}, 1, &done));
    CHECK_OK(vfs_recv(t, &v, 1, 1, &done, &cut)); // a look
    CHECK_OK(vfs_recv(t, &v, 1, 0, &done, &cut));
    CHECK(done == 2 && !cut && memcmp(buffer, "hi", 2) == 0);
    CHECK_OK(vfs_shutdown(s, false, true));
    CHECK_OK(vfs_recv(t, &v, 1, 0, &done, &cut));
    CHECK(done == 0);
    vfs_close(s);
    vfs_close(t);
    close(pair[0]);
    close(pair[1]);
}

// --- No call waits.
static u64 fill(struct vfs_file *f)
{
    static u8 block[1 << 20];
    struct vfs_iov v = {block, sizeof block};
    u64 all = 0, done = 0;
    enum fs_error e;
    while (!(e = vfs_write(f, &v, 1, VFS_HERE, &done)) && done)
        all += done;
    CHECK_ERROR(e, E_AGAIN);
    return all;
}

static u64 drain(struct vfs_file *f)
{
    static u8 block[1 << 20];
    struct vfs_iov v[2] = {{block, 100}, {block + 100, sizeof block - 100}};
    u64 all = 0, done = 0;
    enum fs_error e;
    while (!(e = vfs_read(f, v, 2, VFS_HERE, &done)) && done)
        all += done;
    CHECK_ERROR(e, E_AGAIN);
    return all;
}

// Of a pair of descriptors that others set up to wait, and that stay as they are.
static void never_waits(int from, int to)
{
    struct vfs_file *in = hostfs_adopt(from), *out = hostfs_adopt(to);
    u64 wrote = fill(out);
    CHECK(wrote > 0 && drain(in) == wrote);
    CHECK(fill(out) > 0);
    CHECK(!(fcntl(from, F_GETFL) & O_NONBLOCK) && !(fcntl(to, F_GETFL) & O_NONBLOCK));
    vfs_close(in);
    vfs_close(out);
    close(from);
    close(to);
}

static void test_terminal(void)
{
    int master, slave;
    CHECK(openpty(&master, &slave, NULL, NULL, NULL) == 0);
    struct termios t;
    tcgetattr(slave, &t);
    cfmakeraw(&t);
    tcsetattr(slave, TCSANOW, &t);
    struct vfs_file *in = hostfs_adopt(slave), *other = hostfs_adopt(slave);
    CHECK(in->terminal);
    CHECK(drain(in) == 0);
    CHECK(write(master, "keys", 4) == 4);
    struct vfs_poll p = {.file = in};
    CHECK_OK(hostfs_wait(&p, 1, UINT64_MAX));
    CHECK(p.ready && drain(in) == 4 && drain(other) == 0);
    CHECK(fill(other) > 0); // nobody reads the other side
    CHECK(!(fcntl(slave, F_GETFL) & O_NONBLOCK));
    vfs_close(in);
    vfs_close(other);
    CHECK(fcntl(slave, F_GETFD) >= 0);
    close(master);
    close(slave);
}

static void test_fifo(void)
{
    struct vfs_file *root = NULL, *in = NULL, *out = NULL;
    u8 byte;
    u64 done = 7;
    struct vfs_iov v = {&byte, 1};
    CHECK(mkfifo(inside("box/fifo"), 0600) == 0);
    CHECK_OK(hostfs_open(inside("box"), false, &root));
    CHECK_ERROR(vfs_open(root, "fifo", VFS_WRITE, 0, &out), E_AGAIN); // nobody reads yet
    CHECK_ERROR(vfs_open(root, "fifo", VFS_WRITE, VFS_NONBLOCK, &out), E_NXIO);
    CHECK_OK(vfs_open(root, "fifo", VFS_READ, 0, &in));
    CHECK_ERROR(vfs_read(in, &v, 1, VFS_HERE, &done), E_AGAIN); // nobody writes yet
    CHECK_OK(vfs_read(in, &(struct vfs_iov){&byte, 0}, 1, VFS_HERE, &done));
    CHECK_OK(vfs_open(root, "fifo", VFS_WRITE, 0, &out));
    CHECK_ERROR(vfs_read(in, &v, 1, VFS_HERE, &done), E_AGAIN);
    CHECK(put(out, "x", VFS_HERE) == 1);
    CHECK_OK(vfs_read(in, &v, 1, VFS_HERE, &done));
    CHECK(done == 1 && byte == 'x');
    vfs_close(out);
    CHECK_OK(vfs_read(in, &v, 1, VFS_HERE, &done));
    CHECK(done == 0); // the end
    vfs_close(in);
    vfs_close(root);
    CHECK(unlink(inside("box/fifo")) == 0);
}

static void test_listener(void)
{
    struct sockaddr_un a = {.sun_family = AF_UNIX};
    struct vfs_file *peer = NULL;
    u8 byte;
    u64 done;
    bool cut;
    snprintf(a.sun_path, sizeof a.sun_path, "%s", inside("box/socket"));
    int fd = socket(AF_UNIX, SOCK_STREAM, 0), caller = socket(AF_UNIX, SOCK_STREAM, 0);
    struct vfs_file *listener = hostfs_adopt(fd);
    CHECK_ERROR(vfs_accept(listener, 0, &peer), E_INVAL); // does not listen
    CHECK(bind(fd, (void *)&a, sizeof a) == 0 && listen(fd, 5) == 0);
    CHECK_ERROR(vfs_accept(listener, 0, &peer), E_AGAIN);
    CHECK(connect(caller, (void *)&a, sizeof a) == 0);
    CHECK_OK(vfs_accept(listener, 0, &peer));
    CHECK(peer && peer->flags == 0);
    CHECK_ERROR(vfs_recv(peer, &(struct vfs_iov){&byte, 1}, 1, 0, &done, &cut), E_AGAIN);
    CHECK(fill(peer) > 0);
    vfs_close(peer);
    vfs_close(listener);
    close(fd);
    close(caller);
    unlink(inside("box/socket"));
}

static void test_waiting(void)
{
    int fd[2];
    CHECK(pipe(fd) == 0);
    never_waits(fd[0], fd[1]);
    CHECK(socketpair(AF_UNIX, SOCK_STREAM, 0, fd) == 0);
    never_waits(fd[0], fd[1]);
    test_terminal();
    test_fifo();
    test_listener();
}

static int remove_one(const char *path, const struct stat *st, int type, struct FTW *where)
{
    (void)st, (void)type, (void)where;
    return remove(path);
}

static void test_host(void)
{
    struct vfs_file *root = NULL;
    CHECK(mkdtemp(scratch) != NULL && mkdir(inside("box"), 0777) == 0);
    host_write("secret", "OUTSIDE");
    CHECK_ERROR(hostfs_open(inside("no"), false, &root), E_NOENT);
    CHECK_ERROR(hostfs_open(inside("secret"), false, &root), E_NOTDIR);
    for (int walk = 0; walk < 2; walk++) {
        if (hostfs_open(inside("box"), walk, &root) == E_SUCCESS)
            test_backend(walk ? "walk" : "openat2", root);
        backend = walk ? "walk" : "openat2";
        test_foreign_links(walk);
        test_processes(walk);
        test_races(walk);
    }
    backend = "";
    test_agreement();
    test_streams();
    test_waiting();
    CHECK(nftw(scratch, remove_one, 16, FTW_DEPTH | FTW_PHYS) == 0);
}

int main(void)
{
    test_host();
    printf("%d passed, %d failed\n", passed, failed);
    return failed != 0;
}
