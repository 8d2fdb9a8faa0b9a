// SPDX-License-Identifier: MIT
// Fuzz target (libFuzzer): what a file server answers (fs/ninep.c), and what its clients ask of
// ours (user/svc/memfs).
//
// An input is a row of messages: a byte that says how it is brought, two of its length, its bytes.
// Size, tag and type of an answer are repaired half of the time, for without these nothing else is
// looked at. The client does what a program could; memory is counted, and all of it is back at
// the end. The same messages then go to the server as requests.
#include <stdio.h>

#include "fs/ninep.h"
#include "test/unit/heap.h"
#include "user/svc/memfs/tree.c"
#include "user/svc/ninep.c"

int LLVMFuzzerTestOneInput(const u8 *data, size_t size);

#define CHECK(cond)                                                                                \
    do {                                                                                           \
        if (!(cond)) {                                                                             \
            fprintf(stderr, "%s:%d: %s\n", __FILE__, __LINE__, #cond);                             \
            abort();                                                                               \
        }                                                                                          \
    } while (0)

static struct {
    const u8 *p, *end;
} input;
static u8 last[HEADER]; // of the request

// The next message, and how it is brought.
static u8 next_message(const u8 **bytes, u32 *size)
{
    *size = 0;
    if (input.end - input.p < 3)
        return 0;
    u8 how = input.p[0];
    u32 n = load_u16(input.p + 1);
    input.p += 3;
    *size = n < input.end - input.p ? n : (u32)(input.end - input.p);
    *bytes = input.p;
    input.p += *size;
    return how;
}

static enum fs_error t_begin(struct ninep_transport *t)
{
    (void)t;
    return E_SUCCESS;
}

static void t_end(struct ninep_transport *t)
{
    (void)t;
}

static enum fs_error t_send(struct ninep_transport *t, const u8 *bytes, u32 size)
{
    (void)t;
    CHECK(size >= HEADER && size <= NINEP_MESSAGE && load_u32(bytes) == size);
    memcpy(last, bytes, HEADER);
    return input.end - input.p >= 3 ? E_SUCCESS : E_IO;
}

static enum fs_error t_receive(struct ninep_transport *t, u8 *bytes, u32 room, u32 *size)
{
    const u8 *message;
    (void)t;
    if (input.end - input.p < 3)
        return E_IO;
    u8 how = next_message(&message, size);
    if (how == 255)
        return E_INTR;
    bool repaired = how & 1;
    if (*size + (repaired ? HEADER : 0) > room)
        return E_IO;
    memcpy(bytes + (repaired ? HEADER : 0), message, *size);
    if (repaired) {
        *size += HEADER;
        store_u32(bytes, *size);
        bytes[4] = how & 2 ? 7 : (u8)(last[4] + 1);
        memcpy(bytes + 5, last + 5, 2);
    }
    return E_SUCCESS;
}

static void t_drop(struct ninep_transport *t)
{
    (void)t;
}

static void use_file(struct vfs_file *f)
{
    struct vfs_stat st;
    u8 text[300] = "text";
    u64 done = 0;
    struct vfs_iov v[] = {{text, 7}, {text + 7, sizeof text - 7}};
    if (vfs_read(f, v, 2, VFS_HERE, &done) == E_SUCCESS)
        CHECK(done <= sizeof text);
    if (vfs_write(f, v, 2, 5, &done) == E_SUCCESS)
        CHECK(done <= sizeof text);
    vfs_seek(f, 1, VFS_SEEK_END, &done);
    vfs_stat(f, &st);
    vfs_set_size(f, 3);
}

static void use_directory(struct vfs_file *d)
{
    struct vfs_dirent e = {.next = 0};
    for (u32 i = 0; i < 20 && vfs_readdir(d, e.next, &e) == E_SUCCESS; i++)
        CHECK(e.length && e.length == strlen(e.name) && !strchr(e.name, '/'));
}

static void use(struct vfs_file *root)
{
    static const char *const paths[] = {"a", "a/b/../c", "l/x/", "./a/.",
                                        "a/b/c/d/e/f/g/h/i/j/k/l/m/n/o/p/q"};
    struct vfs_stat st;
    char text[64];
    u32 length;
    for (u32 round = 0; round < 10 && input.end - input.p >= 3; round++)
        for (u32 i = 0; i < countof(paths); i++) {
            struct vfs_file *f = NULL;
            u32 how = round % 2 ? VFS_READ | VFS_FOLLOW : VFS_READ | VFS_WRITE | VFS_CREATE;
            if (vfs_open(root, paths[i], how, 0, &f) == E_SUCCESS) {
                if (f->type == VFS_DIRECTORY)
                    use_directory(f);
                else
                    use_file(f);
                vfs_close(f);
            }
            vfs_path_stat(root, paths[i], round % 3, &st);
            if (vfs_readlink(root, paths[i], text, sizeof text, &length) == E_SUCCESS)
                CHECK(length <= sizeof text);
            vfs_rename(root, paths[i], root, paths[(i + round) % countof(paths)]);
            vfs_link(root, paths[i], root, "new");
            vfs_unlink(root, paths[i]);
        }
    use_directory(root);
}

static void ask(const u8 *data, size_t size)
{
    static u8 request[NINEP_MESSAGE + HEADER], answer[NINEP_MESSAGE];
    struct store *t = tree_new(1 << 20);
    struct client *c = client_new(t);
    const u8 *bytes;
    u32 n;
    input.p = data;
    input.end = data + size;
    while (input.end - input.p >= 3) {
        u8 how = next_message(&bytes, &n);
        memcpy(request + HEADER, bytes, n);
        request[4] = how;
        store_u16(request + 5, 1);
        store_u32(request, n + HEADER);
        u32 got = client_answer(c, request, n + HEADER, answer, sizeof answer);
        CHECK(got >= HEADER && got <= sizeof answer && load_u32(answer) == got);
        CHECK(t->used <= t->limit);
    }
    client_free(c);
    tree_free(t);
}

int LLVMFuzzerTestOneInput(const u8 *data, size_t size)
{
    struct ninep_transport transport = {t_begin, t_end, t_send, t_receive, NULL, NULL, t_drop};
    input.p = data;
    input.end = data + size;
    struct vfs_file *root = ninep_folder(&transport, 1);
    CHECK(root);
    use(root);
    vfs_close(root);
    CHECK(test_heap.live == 0 && test_heap.peak < 1 << 18);
    test_heap.peak = 0;
    ask(data, size);
    return 0;
}
