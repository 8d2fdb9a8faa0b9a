// SPDX-License-Identifier: MIT
// Unit test of folders that are served (fs/ninep.h): what every back end does (fs.h), on the server
// of user/svc/memfs, which answers at once; what a server could lie about; allocations that fail;
// who is ended while he waits; and that the server keeps no number of a file that nobody has.
#include "fs/ninep.h"
#include "test/unit/fs.h"
#include "test/unit/heap.h"
#include "user/svc/memfs/tree.c"
#include "user/svc/ninep.c"

static struct store *tree;
static struct client *client;
static u8 answer[NINEP_MESSAGE];
static u32 answer_size, messages, begun, dropped;
static u64 seed;
static enum { HONEST, GONE, BY_CHANCE, CUT, WRONG_TAG } server;
static u32 ends_at; // from that message on nobody waits for answers; 0: never
// Answers that nobody has waited for, the oldest first.
enum { LATE = 200 };
static u8 *late[LATE];
static u32 late_size[LATE], late_first, late_end;

static u32 chance(u32 n)
{
    seed = seed * 6364136223846793005 + 1442695040888963407;
    return (u32)(seed >> 33) % n;
}

static enum fs_error t_begin(struct ninep_transport *t)
{
    (void)t;
    CHECK(!begun++);
    return E_SUCCESS;
}

static void t_end(struct ninep_transport *t)
{
    (void)t;
    CHECK(begun-- == 1);
}

static enum fs_error t_send(struct ninep_transport *t, const u8 *bytes, u32 size)
{
    (void)t;
    messages++;
    CHECK(load_u32(bytes) == size);
    if (server == GONE)
        return E_IO;
    answer_size = client_answer(client, bytes, size, answer, sizeof answer);
    CHECK(answer_size >= 7);
    return E_SUCCESS;
}

// Bytes that are changed, a few or many, anywhere behind the size and the tag.
static void lie(void)
{
    u32 n = 1 + chance(8);
    if (chance(4) == 0)
        answer_size = 7 + chance(answer_size - 6);
    if (chance(8) == 0)
        answer_size = answer_size + chance(64);
    for (u32 i = 0; i < n; i++) {
        u32 at = answer_size > 7 ? 7 + chance(answer_size - 7) : 4;
        answer[at] = (u8)(chance(2) ? chance(256) : chance(2) ? 255 : 0);
    }
    if (chance(50) == 0)
        answer[4] = (u8)chance(256);
    if (chance(200) == 0)
        answer[5]++;
    store_u32(answer, chance(200) ? answer_size : chance(100));
}

static enum fs_error t_receive(struct ninep_transport *t, u8 *bytes, u32 room, u32 *size)
{
    (void)t;
    if (ends_at && messages >= ends_at) {
        if (answer_size && late_end < LATE) {
            late[late_end] = memcpy(malloc(answer_size), answer, answer_size);
            late_size[late_end++] = answer_size;
            answer_size = 0;
        }
        return E_INTR;
    }
    if (late_first < late_end) {
        memcpy(bytes, late[late_first], *size = late_size[late_first]);
        free(late[late_first++]);
        return E_SUCCESS;
    }
    if (server == BY_CHANCE)
        lie();
    if (server == CUT)
        store_u32(answer, answer_size -= answer_size > 50 ? 40 : 1);
    if (server == WRONG_TAG)
        answer[5]++;
    *size = answer_size;
    answer_size = 0;
    if (*size > room)
        return E_IO;
    memcpy(bytes, answer, *size);
    return E_SUCCESS;
}

static void t_drop(struct ninep_transport *t)
{
    (void)t;
    dropped++;
}

static struct ninep_transport transport = {t_begin, t_end, t_send, t_receive, NULL, NULL, t_drop};

static struct vfs_file *begin(void)
{
    server = HONEST;
    answer_size = late_first = late_end = messages = ends_at = dropped = 0;
    tree = tree_new(1 << 24);
    client = client_new(tree);
    return ninep_folder(&transport, 1);
}

static void end(struct vfs_file *root)
{
    vfs_close(root);
    CHECK(dropped == 1 && !begun);
    client_free(client);
    tree_free(tree);
}

static u32 numbers(void)
{
    u32 n = 0;
    for (u32 i = 0; i < BUCKETS; i++)
        for (const struct number *f = client->numbers[i]; f; f = f->next)
            n++;
    return n;
}

// Closed files are told of when something else is asked for.
static u32 numbers_after(struct vfs_file *root)
{
    struct vfs_stat st;
    CHECK_OK(vfs_stat(root, &st));
    return numbers();
}

static void test_files(void)
{
    struct vfs_file *root = begin(), *same = vfs_ref(root);
    test_backend("9P", root);
    CHECK(numbers_after(same) == 2); // one by which it was listed
    end(same);
}

// Text that takes several messages, through vectors of odd lengths.
static void test_much(void)
{
    static u8 out[200000], in[200000];
    struct vfs_file *root = begin(), *f = open_file(root, "much", NEW);
    struct vfs_iov w[] = {{out, 1}, {out + 1, 99998}, {NULL, 0}, {out + 99999, 100001}};
    struct vfs_iov r[] = {{in, 65000}, {in + 65000, 3}, {in + 65003, 134997}};
    struct vfs_stat st;
    u64 moved = 0;
    for (u32 i = 0; i < sizeof out; i++)
        out[i] = (u8)(i * 7 + i / 256);
    CHECK_OK(vfs_write(f, w, countof(w), VFS_HERE, &moved));
    CHECK(moved == sizeof out);
    CHECK_OK(vfs_read(f, r, countof(r), 0, &moved));
    CHECK(moved == sizeof in && !memcmp(in, out, sizeof in));
    CHECK_OK(vfs_stat(f, &st));
    CHECK(st.size == sizeof out);
    f->flags = VFS_APPEND;
    CHECK(put(f, "end", VFS_HERE) == 3 && reads(f, sizeof out, "end"));
    vfs_close(f);
    CHECK(numbers_after(root) == 1);
    end(root);
}

// Paths of more names than a walk has, and ways up, which only lead where the walk has been.
static void test_walks(void)
{
    struct vfs_file *root = begin(), *inner;
    char path[VFS_PATH] = "";
    for (u32 i = 0; i < 40; i++) {
        strcat(path, i ? "/d" : "d");
        CHECK_OK(vfs_mkdir(root, path));
    }
    strcat(path, "/file");
    CHECK_OK(put_file(root, path, "deep"));
    CHECK(holds(root, path, "deep"));
    CHECK(stat_of(root, path, false).size == 4);
    strcpy(path, "d/d/d/./../d/../../d/../d/d");
    CHECK(stat_of(root, path, false).type == VFS_DIRECTORY);
    inner = open_file(root, "d/d", VFS_READ);
    CHECK(inner && inner->type == VFS_DIRECTORY);
    CHECK_ERROR(try_open(inner, "..", VFS_READ), E_PERM);
    CHECK_ERROR(try_open(inner, "d/../../d", VFS_READ), E_PERM);
    CHECK_OK(vfs_symlink(inner, "d/../d/d", "link"));
    CHECK(stat_of(inner, "link/d/..", true).ino == stat_of(inner, "d/d", true).ino);
    CHECK_OK(vfs_symlink(inner, "../d", "out"));
    CHECK_ERROR(try_open(inner, "out", VFS_READ | VFS_FOLLOW), E_PERM);
    CHECK_OK(try_open(root, "d/d/out", VFS_READ | VFS_FOLLOW));
    CHECK_OK(vfs_symlink(root, "loop", "loop"));
    CHECK_ERROR(try_open(root, "loop/x", VFS_READ | VFS_FOLLOW), E_LOOP);
    CHECK_ERROR(vfs_rename(root, "d", inner, "d2"), E_INVAL);
    vfs_close(inner);
    CHECK(numbers_after(root) == 1);
    end(root);
}

// Everything once, whatever comes of it.
static void try_all(struct vfs_file *root)
{
    struct vfs_stat st;
    struct vfs_dirent e = {.next = 0};
    struct vfs_times t = {VFS_TIME_NOW, VFS_TIME_SET, 1, 2};
    struct vfs_file *f = NULL, *d = NULL;
    char text[300];
    u64 done = 0;
    u32 length = 0;
    struct vfs_iov v = {(u8 *)text, sizeof text};
    memset(text, 'x', sizeof text);
    vfs_mkdir(root, "a");
    vfs_symlink(root, "a/./b", "l");
    if (vfs_open(root, "a/b", NEW, 0, &f) == E_SUCCESS) {
        vfs_write(f, &v, 1, VFS_HERE, &done);
        vfs_read(f, &v, 1, 0, &done);
        vfs_seek(f, -1, VFS_SEEK_END, &done);
        vfs_set_size(f, 7);
        vfs_set_times(f, &t);
        vfs_allocate(f, 5, 50);
        vfs_sync(f, true);
        vfs_stat(f, &st);
        vfs_close(f);
    }
    if (vfs_open(root, "l", VFS_READ | VFS_FOLLOW, 0, &f) == E_SUCCESS) {
        if (vfs_read(f, &v, 1, VFS_HERE, &done) == E_SUCCESS)
            CHECK(done <= sizeof text);
        vfs_close(f);
    }
    if (vfs_readlink(root, "l", text, 10, &length) == E_SUCCESS)
        CHECK(length <= 10);
    vfs_rename(root, "a/b", root, "c");
    vfs_link(root, "c", root, "a/e");
    vfs_path_stat(root, "a/../a/e/", true, &st);
    if (vfs_open(root, "a", VFS_READ, 0, &d) == E_SUCCESS) {
        for (u32 i = 0; i < 20 && vfs_readdir(d, e.next, &e) == E_SUCCESS; i++)
            CHECK(e.length && e.length == strlen(e.name) && !strchr(e.name, '/'));
        vfs_close(d);
    }
    vfs_unlink(root, "c");
    vfs_unlink(root, "a/e");
    vfs_unlink(root, "l");
    vfs_path_times(root, "a", false, &t);
    vfs_rmdir(root, "a");
}

static void test_lies(void)
{
    for (u32 i = 0; i < 20000; i++) {
        struct vfs_file *root = begin();
        struct vfs_stat st;
        seed = i;
        if (i % 4)
            vfs_stat(root, &st); // attached
        server = BY_CHANCE;
        try_all(root);
        end(root);
    }
    for (server = GONE; server <= WRONG_TAG; server++) {
        if (server == BY_CHANCE)
            continue;
        int how = server;
        struct vfs_file *root = begin();
        struct vfs_stat st;
        CHECK_OK(vfs_stat(root, &st));
        server = how;
        CHECK_ERROR(vfs_stat(root, &st), E_IO);
        if (how != CUT) { // for good
            server = HONEST;
            u32 before = messages;
            CHECK_ERROR(vfs_stat(root, &st), E_IO);
            CHECK(messages == before);
        }
        end(root);
        server = how;
    }
}

// Ended before the nth message is answered: whoever comes next gets his own answers, and the server
// has no more numbers than it should.
static void test_ended(void)
{
    u32 n;
    for (n = 1;; n++) {
        struct vfs_file *root = begin();
        ends_at = n;
        try_all(root);
        bool all = messages < n;
        ends_at = 0;
        if (!all)
            try_all(root); // what was left behind
        CHECK_OK(put_file(root, "after", "mine"));
        CHECK(holds(root, "after", "mine"));
        CHECK(numbers_after(root) == 1);
        end(root);
        if (all)
            break;
    }
    CHECK(n > 50);
}

static void test_memory(void)
{
    for (int n = 0; n < 12; n++) {
        struct vfs_file *root = begin();
        test_heap.left = n;
        try_all(root);
        test_heap.left = -1;
        try_all(root);
        CHECK_OK(put_file(root, "after", "mine"));
        CHECK(numbers_after(root) == 1);
        end(root);
    }
}

int main(void)
{
    test_files();
    test_much();
    test_walks();
    test_lies();
    test_ended();
    test_memory();
    CHECK(test_heap.live == 0);
    printf("%d passed, %d failed\n", passed, failed);
    return failed != 0;
}
