// SPDX-License-Identifier: MIT
// Unit test of the memory file system on several CPUs at once: appends to one file, reads through
// one position, names that come, move and go, and files that are closed by whoever is last.
#include "fs/memory.h"

#include <pthread.h>
#include <stdio.h>
#include <string.h>

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

enum { THREADS = 4, ROUNDS = 2000, RECORD = 24 };

static struct vfs_file *root, *log_file, *shared;
static pthread_barrier_t start;

static void append_record(u32 thread, u32 round)
{
    char text[RECORD + 1];
    u64 done = 0;
    snprintf(text, sizeof text, "thread %u round %8u\n", thread, round);
    struct vfs_iov v[] = {{(u8 *)text, 10}, {(u8 *)text + 10, RECORD - 10}};
    vfs_write(log_file, v, 2, VFS_HERE, &done);
}

// Every record of `shared` is read once, by one of the threads.
static u64 read_records(void)
{
    u32 record[2] = {0, 0};
    u64 done, sum = 0;
    struct vfs_iov v = {(u8 *)record, sizeof record};
    while (vfs_read(shared, &v, 1, VFS_HERE, &done) == E_SUCCESS && done == sizeof record)
        sum += record[0];
    return sum;
}

static void names(u32 thread, u32 round)
{
    char own[32], common[32];
    struct vfs_file *f;
    struct vfs_dirent d;
    struct vfs_stat st;
    snprintf(own, sizeof own, "d/own%u", thread);
    snprintf(common, sizeof common, "d/common%u", round % 3);
    if (vfs_open(root, own, VFS_CREATE | VFS_WRITE, 0, &f) == E_SUCCESS) {
        vfs_allocate(f, 0, 10000);
        vfs_set_size(f, 5000);
        vfs_close(vfs_ref(f));
        vfs_close(f);
    }
    vfs_rename(root, own, root, common);
    vfs_link(root, common, root, own);
    vfs_path_stat(root, common, true, &st);
    vfs_unlink(root, common);
    vfs_unlink(root, own);
    vfs_mkdir(root, common);
    vfs_symlink(root, "x", own);
    vfs_unlink(root, own);
    vfs_rmdir(root, common);
    for (u64 cookie = 0; vfs_readdir(root, cookie, &d) == E_SUCCESS; cookie = d.next)
        ;
}

static void *work(void *argument)
{
    u32 thread = (u32)(uintptr_t)argument;
    pthread_barrier_wait(&start);
    u64 sum = read_records();
    for (u32 i = 0; i < ROUNDS; i++) {
        append_record(thread, i);
        names(thread, i);
    }
    vfs_close(log_file);
    return (void *)(uintptr_t)sum;
}

static u64 fill_shared(void)
{
    u64 done, sum = 0;
    for (u32 i = 0; i < 50000; i++) {
        u32 record[2] = {i * 2654435761u, 0};
        struct vfs_iov v = {(u8 *)record, sizeof record};
        vfs_write(shared, &v, 1, VFS_HERE, &done);
        sum += record[0];
    }
    u64 position;
    vfs_seek(shared, 0, VFS_SEEK_SET, &position);
    return sum;
}

// Whole records, and each thread's in their order.
static bool log_is_whole(struct vfs_file *f)
{
    u32 next[THREADS] = {0}, thread, round;
    for (u32 i = 0; i < THREADS * ROUNDS; i++) {
        char text[RECORD + 1] = {0};
        u64 done = 0;
        struct vfs_iov v = {(u8 *)text, RECORD};
        vfs_read(f, &v, 1, VFS_HERE, &done);
        if (sscanf(text, "thread %u round %u\n", &thread, &round) != 2 || thread >= THREADS ||
            round != next[thread]++)
            return false;
    }
    return true;
}

int main(void)
{
    pthread_t threads[THREADS];
    struct vfs_file *f = NULL;
    u64 sum = 0;
    root = memfs_create(64 << 20, 1);
    CHECK(vfs_mkdir(root, "d") == E_SUCCESS);
    CHECK(vfs_open(root, "log", VFS_CREATE | VFS_WRITE, VFS_APPEND, &log_file) == E_SUCCESS);
    CHECK(vfs_open(root, "shared", VFS_CREATE | VFS_WRITE | VFS_READ, 0, &shared) == E_SUCCESS);
    u64 want = fill_shared();
    pthread_barrier_init(&start, NULL, THREADS);
    for (u32 i = 0; i < THREADS; i++) {
        vfs_ref(log_file);
        pthread_create(&threads[i], NULL, work, (void *)(uintptr_t)i);
    }
    vfs_close(log_file); // the threads have theirs
    for (u32 i = 0; i < THREADS; i++) {
        void *part;
        pthread_join(threads[i], &part);
        sum += (u64)(uintptr_t)part;
    }
    CHECK(sum == want);
    CHECK(vfs_open(root, "log", VFS_READ, 0, &f) == E_SUCCESS);
    CHECK(log_is_whole(f));
    vfs_close(f);
    vfs_close(shared);
    CHECK(vfs_rmdir(root, "d") == E_SUCCESS); // nothing is left there
    vfs_close(root);
    printf("%d passed, %d failed\n", passed, failed);
    return failed != 0;
}
