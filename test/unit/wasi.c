// SPDX-License-Identifier: MIT
// Unit test of the WASI calls, without a runtime: the tables that wasi_register hands out are
// called on a memory of the test's own, over a file system in memory. Signatures against the
// specification's, rights, numbers of descriptors, calls that wait, while other threads close their
// files and while they are ended, and every allocation failing once.
#include "abi/wasi.h"
#include "abi/wasi_call.h"
#include "fs/memory.h"
#include "kern/process.h"
#include "plat/plat.h"
#include "test/unit/heap.h"

#include <setjmp.h>
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

// --- What the calls need of the runtime and the machine.
static struct {
    const char *name;
    const struct host_func *funcs;
    size_t count;
} tables[3];
static size_t ntables;
static u32 interrupts;
static struct vm_thread thread;
static jmp_buf ended; // where a thread that is interrupted goes
static u64 clock_now = 1000;

status store_host_module(struct store *s, const char *name, const struct host_func *funcs, size_t n)
{
    (void)s;
    tables[ntables].name = name;
    tables[ntables].funcs = funcs;
    tables[ntables++].count = n;
    return OK;
}

void rt_exit(struct vmctx *vm, u32 code)
{
    (void)vm, (void)code;
    abort();
}

enum trap rt_interrupted(struct vmctx *vm)
{
    enum trap trap = rt_pending(vm->thread);
    interrupts++;
    vm->thread->interrupt = 0;
    return trap;
}

void rt_trap(struct vmctx *vm, enum trap trap)
{
    (void)vm, (void)trap;
    longjmp(ended, 1);
}

void rt_check_interrupt(struct vmctx *vm)
{
    enum trap trap = vm->thread->interrupt ? rt_interrupted(vm) : TRAP_NONE;
    if (trap)
        rt_trap(vm, trap);
}

u64 plat_now(void)
{
    return clock_now++;
}

u64 plat_wall_clock(void)
{
    return 1700000000000000000 + clock_now++;
}

u64 plat_cpu_time(void)
{
    return 5;
}

void plat_wait(u64 until)
{
    clock_now = until;
}

status plat_entropy(void *p, size_t n)
{
    memset(p, 7, n);
    return OK;
}

void plat_console_write(const char *p, size_t n)
{
    (void)p, (void)n;
}

// --- A guest.
static u8 bytes[65536];
static struct vm_memory memory = {bytes, sizeof bytes, sizeof bytes};
static struct process process;
static struct vmctx vm = {.mem = &memory, .process = &process, .thread = &thread};

enum { OUT_AT = 1024, PATH_AT = 2048, IOV_AT = 4096, DATA_AT = 8192 };

static u64 slots[16];

static const struct host_func *find_call(const char *name)
{
    for (size_t i = 0; i < tables[0].count; i++)
        if (strcmp(tables[0].funcs[i].name, name) == 0)
            return &tables[0].funcs[i];
    printf("no call %s\n", name);
    abort();
}

static enum fs_error run(const char *name)
{
    find_call(name)->fn(&vm, slots);
    return (enum fs_error)(u32)slots[0];
}

#define CALLS(name, ...)                                                                           \
    (memcpy(slots, (u64[]){__VA_ARGS__}, sizeof((u64[]){__VA_ARGS__})), run(name))

static u64 put_path(const char *path)
{
    memcpy(bytes + PATH_AT, path, strlen(path));
    return strlen(path);
}

static enum fs_error open_with(const char *path, u32 dir, u32 oflags, u64 base, u64 inheriting)
{
    u64 n = put_path(path);
    return CALLS("path_open", dir, 0, PATH_AT, n, oflags, base, inheriting, 0, OUT_AT);
}

static u32 opened(void)
{
    return load_u32(bytes + OUT_AT);
}

static enum fs_error data(const char *name, u32 fd, u32 size)
{
    store_u32(bytes + IOV_AT, DATA_AT);
    store_u32(bytes + IOV_AT + 4, size);
    return CALLS(name, fd, IOV_AT, 1, OUT_AT);
}

static struct wasi *make(struct vfs_file *in, struct vfs_file *root)
{
    const char *const args[] = {"prog", "x"}, *const env[] = {"A=b"};
    struct wasi_preopen pre = {"/", root, false};
    struct wasi_config config = {.args = args,
                                 .nargs = 2,
                                 .env = env,
                                 .nenv = 1,
                                 .in = in,
                                 .preopens = &pre,
                                 .npreopens = 1};
    return wasi_create(&config);
}

// --- Signatures: those of the specification, written by hand.
static void test_signatures(void)
{
    static const char *const want[] = {"args_get ii:i",
                                       "args_sizes_get ii:i",
                                       "environ_get ii:i",
                                       "environ_sizes_get ii:i",
                                       "clock_res_get ii:i",
                                       "clock_time_get iIi:i",
                                       "fd_advise iIIi:i",
                                       "fd_allocate iII:i",
                                       "fd_close i:i",
                                       "fd_datasync i:i",
                                       "fd_fdstat_get ii:i",
                                       "fd_fdstat_set_flags ii:i",
                                       "fd_fdstat_set_rights iII:i",
                                       "fd_filestat_get ii:i",
                                       "fd_filestat_set_size iI:i",
                                       "fd_filestat_set_times iIIi:i",
                                       "fd_pread iiiIi:i",
                                       "fd_prestat_get ii:i",
                                       "fd_prestat_dir_name iii:i",
                                       "fd_pwrite iiiIi:i",
                                       "fd_read iiii:i",
                                       "fd_readdir iiiIi:i",
                                       "fd_renumber ii:i",
                                       "fd_seek iIii:i",
                                       "fd_sync i:i",
                                       "fd_tell ii:i",
                                       "fd_write iiii:i",
                                       "path_create_directory iii:i",
                                       "path_filestat_get iiiii:i",
                                       "path_filestat_set_times iiiiIIi:i",
                                       "path_link iiiiiii:i",
                                       "path_open iiiiiIIii:i",
                                       "path_readlink iiiiii:i",
                                       "path_remove_directory iii:i",
                                       "path_rename iiiiii:i",
                                       "path_symlink iiiii:i",
                                       "path_unlink_file iii:i",
                                       "poll_oneoff iiii:i",
                                       "proc_exit i:",
                                       "proc_raise i:i",
                                       "sched_yield :i",
                                       "random_get ii:i",
                                       "sock_accept iii:i",
                                       "sock_recv iiiiii:i",
                                       "sock_send iiiii:i",
                                       "sock_shutdown ii:i"};
    CHECK(wasi_register(NULL) == OK && ntables == 3);
    CHECK(strcmp(tables[0].name, "wasi_snapshot_preview1") == 0);
    CHECK(strcmp(tables[1].name, "wasi_unstable") == 0);
    CHECK(strcmp(tables[2].name, "wasi_unstable") == 0);
    CHECK(tables[2].count == 4); // what differs: stat twice, seek, poll
    for (size_t t = 0; t < 2; t++) {
        CHECK(tables[t].count == countof(want));
        for (size_t i = 0; i < countof(want) && i < tables[t].count; i++) {
            char text[64];
            snprintf(text, sizeof text, "%s %s", tables[t].funcs[i].name, tables[t].funcs[i].type);
            CHECK(strcmp(text, want[i]) == 0);
        }
    }
}

static void test_rights(void)
{
    u64 all = (1 << 30) - 1;
    CHECK(open_with("f", 3, 1, all, all) == E_SUCCESS && opened() == 0); // 0 to 2 are closed
    CHECK(CALLS("fd_fdstat_get", 0, OUT_AT) == E_SUCCESS);
    CHECK(bytes[OUT_AT] == VFS_REGULAR_FILE && load_u64(bytes + OUT_AT + 16) == all);
    CHECK(!(load_u64(bytes + OUT_AT + 8) & R_PATH_OPEN) &&
          load_u64(bytes + OUT_AT + 8) & R_FD_WRITE);
    CHECK(data("fd_write", 0, 10) == E_SUCCESS && opened() == 10);
    CHECK(CALLS("fd_fdstat_set_rights", 0, R_FD_READ | R_FD_TELL, 0) == E_SUCCESS);
    CHECK(CALLS("fd_fdstat_set_rights", 0, R_FD_READ | R_FD_WRITE, 0) == E_NOTCAPABLE);
    CHECK(data("fd_write", 0, 10) == E_NOTCAPABLE);
    CHECK(data("fd_read", 0, 10) == E_SUCCESS && opened() == 0);
    CHECK(CALLS("fd_seek", 0, 0, 1, OUT_AT) == E_SUCCESS); // as fd_tell
    CHECK(CALLS("fd_seek", 0, 0, 0, OUT_AT) == E_NOTCAPABLE);
    CHECK(open_with("f", 0, 0, 0, 0) == E_NOTDIR);
    CHECK(CALLS("fd_readdir", 0, DATA_AT, 100, 0, OUT_AT) == E_NOTDIR);
    CHECK(CALLS("sock_shutdown", 0, 1) == E_NOTSOCK);
    CHECK(data("fd_read", 3, 10) == E_ISDIR);
    CHECK(open_with(".", 3, 2, R_PATH_OPEN | R_PATH_CREATE_FILE, R_FD_READ) == E_SUCCESS);
    u32 d = opened();
    CHECK(d == 1);
    CHECK(open_with("f", d, 0, R_FD_READ, 0) == E_SUCCESS && opened() == 2);
    CHECK(open_with("f", d, 0, R_FD_WRITE, 0) == E_NOTCAPABLE);
    CHECK(open_with("f", d, 0, 0, R_FD_WRITE) == E_NOTCAPABLE);
    CHECK(open_with("f", d, 8, R_FD_READ, 0) == E_NOTCAPABLE); // truncate
    CHECK(open_with("f", d, 0, R_FD_READ | 1ull << 40, 0) == E_SUCCESS && opened() == 4);
    CHECK(CALLS("path_create_directory", d, PATH_AT, 1) == E_NOTCAPABLE);
    CHECK(CALLS("fd_close", 1) == E_SUCCESS && CALLS("fd_close", 1) == E_BADF);
    CHECK(CALLS("fd_renumber", 2, 1) == E_BADF && CALLS("fd_renumber", 4, 2) == E_SUCCESS);
    CHECK(open_with("f", 3, 0, R_FD_READ, 0) == E_SUCCESS && opened() == 1);
    CHECK(CALLS("fd_renumber", 3, 1) == E_SUCCESS); // the preopen keeps its name
    CHECK(CALLS("fd_prestat_get", 1, OUT_AT) == E_SUCCESS && load_u32(bytes + OUT_AT + 4) == 1);
    CHECK(CALLS("fd_prestat_get", 0, OUT_AT) == E_BADF);
}

static void test_paths(void)
{
    static const struct {
        const char *path;
        u32 size;
        enum fs_error want;
    } cases[] = {{"", 0, E_NOENT},
                 {"/", 1, E_PERM},
                 {"/f", 2, E_PERM},
                 {"f\0", 2, E_INVAL},
                 {"\xff", 1, E_ILSEQ},
                 {"\xc3", 1, E_ILSEQ},
                 {"\xc0\x80", 2, E_ILSEQ},
                 {"\xed\xa0\x80", 3, E_ILSEQ},
                 {"\xf4\x90\x80\x80", 4, E_ILSEQ},
                 {"\xf8\x88\x80\x80", 4, E_ILSEQ},
                 {"\x80", 1, E_ILSEQ},
                 {"\xe2\x82\xac", 3, E_SUCCESS},
                 {"\xf0\x9f\x98\x80", 4, E_SUCCESS},
                 {"..", 2, E_PERM},
                 {"f/..", 4, E_NOTDIR}};
    CHECK(open_with("f", 3, 1, 0, 0) == E_SUCCESS);
    for (size_t i = 0; i < countof(cases); i++) {
        memcpy(bytes + PATH_AT, cases[i].path, cases[i].size);
        CHECK(CALLS("path_open", 3, 0, PATH_AT, cases[i].size, 1, 0, 0, 0, OUT_AT) ==
              cases[i].want);
    }
    memset(bytes + DATA_AT, 'x', 5000);
    CHECK(CALLS("path_open", 3, 0, DATA_AT, 4096, 1, 0, 0, 0, OUT_AT) == E_NAMETOOLONG);
    CHECK(CALLS("path_open", 3, 0, DATA_AT, 300, 1, 0, 0, 0, OUT_AT) == E_NAMETOOLONG);
    CHECK(CALLS("path_open", 3, 0, sizeof bytes - 1, 2, 1, 0, 0, 0, OUT_AT) == E_FAULT);
    CHECK(CALLS("path_open", 3, 0, UINT32_MAX, UINT32_MAX, 1, 0, 0, 0, OUT_AT) == E_FAULT);
    CHECK(CALLS("path_open", 3, 2, DATA_AT, 1, 1, 0, 0, 0, OUT_AT) == E_INVAL);
    CHECK(CALLS("path_symlink", PATH_AT, put_path("/etc"), 3, DATA_AT, 1) == E_PERM);
}

static void test_vectors(void)
{
    CHECK(open_with("v", 3, 1, R_FD_WRITE | R_FD_READ | R_FD_SEEK, 0) == E_SUCCESS);
    u32 fd = opened();
    for (u32 i = 0; i < 1025; i++) {
        store_u32(bytes + IOV_AT + 8 * i, 0);
        store_u32(bytes + IOV_AT + 8 * i + 4, 0);
    }
    CHECK(CALLS("fd_write", fd, IOV_AT, 1024, OUT_AT) == E_SUCCESS && opened() == 0);
    CHECK(CALLS("fd_write", fd, IOV_AT, 1025, OUT_AT) == E_INVAL);
    CHECK(CALLS("fd_write", fd, IOV_AT, 0x20000001, OUT_AT) == E_FAULT);
    CHECK(data("fd_write", fd, sizeof bytes) == E_FAULT);
    CHECK(data("fd_write", fd, sizeof bytes - DATA_AT) == E_SUCCESS);
    CHECK(CALLS("fd_write", fd, IOV_AT, 1, sizeof bytes - 3) == E_FAULT);
    CHECK(CALLS("fd_pread", fd, IOV_AT, 1, UINT64_MAX, OUT_AT) == E_INVAL);
    vm.mem = NULL; // a module without memory
    CHECK(CALLS("fd_write", fd, IOV_AT, 1, OUT_AT) == E_FAULT);
    vm.mem = &memory;
}

// --- A stream that is interrupted before it has anything.
static u32 patience;
static void stream_close(struct vfs_file *f)
{
    (void)f;
}

static enum fs_error stream_read(struct vfs_file *f, const struct vfs_iov *v, u32 n, u64 offset,
                                 u64 *done)
{
    (void)f, (void)n, (void)offset;
    if (patience) {
        patience--;
        return E_INTR;
    }
    v[0].p[0] = 'y';
    *done = 1;
    return E_SUCCESS;
}

static void stream_ready(struct vfs_poll *p)
{
    p->ready = !p->write && clock_now > 50000;
}

static const struct vfs_ops stream_ops = {
    .close = stream_close, .read = stream_read, .ready = stream_ready};
static struct vfs_file stream = {
    .ops = &stream_ops, .refs = 1, .terminal = true, .type = VFS_CHARACTER_DEVICE};

static enum fs_error wait_interrupted(struct vfs_poll *items, u32 n, u64 until)
{
    if (patience) {
        patience--;
        return E_INTR;
    }
    for (u32 i = 0; i < n; i++)
        vfs_ready(&items[i]);
    clock_now = until;
    return E_SUCCESS;
}

static void put_sub(u32 at, u64 userdata, u8 tag, u32 id, u64 timeout)
{
    memset(bytes + at, 0, 48);
    store_u64(bytes + at, userdata);
    bytes[at + 8] = tag;
    store_u32(bytes + at + 16, id);
    if (tag == 0)
        store_u64(bytes + at + 24, timeout);
}

static void test_interrupts(struct vfs_file *root)
{
    process.wasi = make(&stream, root);
    interrupts = 0;
    patience = 3;
    CHECK(data("fd_read", 0, 10) == E_SUCCESS && patience == 0 && bytes[DATA_AT] == 'y');
    CHECK(CALLS("fd_tell", 0, OUT_AT) == E_SPIPE);
    put_sub(DATA_AT, 1, 0, 1, 1000);
    put_sub(DATA_AT + 48, 2, 1, 0, 0);
    process.wasi->wait = wait_interrupted;
    patience = 2;
    u64 start = clock_now;
    thread.interrupt = VM_INTERRUPT_SWITCH; // others run, and it goes on where it was
    CHECK(CALLS("poll_oneoff", DATA_AT, DATA_AT, 2, OUT_AT) == E_SUCCESS && patience == 0);
    CHECK(interrupts == 1);
    CHECK(opened() == 1 && load_u64(bytes + DATA_AT) == 1 && clock_now - start < 1100);
    wasi_free(process.wasi);
    process.wasi = make(&stream, root); // by plat_wait
    put_sub(DATA_AT, 1, 0, 1, 10000);
    put_sub(DATA_AT + 48, 2, 0, 1, 100000);
    CHECK(CALLS("poll_oneoff", DATA_AT, DATA_AT, 2, OUT_AT) == E_SUCCESS && opened() == 1);
    wasi_free(process.wasi);
    process.wasi = NULL;
    CHECK(CALLS("fd_close", 0) == E_NOSYS);
    vm.process = NULL;
    CHECK(CALLS("sched_yield", 0) == E_NOSYS);
    vm.process = &process;
}

// --- A stream that is not ready, and what happens while a call waits for it.
static struct {
    struct vfs_file f;
    u64 room;      // bytes that it takes, or gives, now
    u64 moved;     // so far
    u32 sum;       // of what was written
    bool file_end; // instead of waiting
} slow;

static enum fs_error slow_move(const struct vfs_iov *v, u32 n, bool write, u64 *done)
{
    *done = 0;
    for (u32 i = 0; i < n; i++)
        for (size_t k = 0; k < v[i].n && slow.room; k++, slow.room--, ++*done) {
            if (write)
                slow.sum = slow.sum * 31 + v[i].p[k];
            else
                v[i].p[k] = 'z';
        }
    slow.moved += *done;
    return *done || slow.file_end || (n == 1 && !v->n) ? E_SUCCESS : E_AGAIN;
}

static enum fs_error slow_read(struct vfs_file *f, const struct vfs_iov *v, u32 n, u64 offset,
                               u64 *done)
{
    (void)f, (void)offset;
    return slow_move(v, n, false, done);
}

static enum fs_error slow_write(struct vfs_file *f, const struct vfs_iov *v, u32 n, u64 offset,
                                u64 *done)
{
    (void)f, (void)offset;
    return slow_move(v, n, true, done);
}

static enum fs_error slow_recv(struct vfs_file *f, const struct vfs_iov *v, u32 n, u32 flags,
                               u64 *done, bool *truncated)
{
    (void)f, (void)flags;
    *truncated = false;
    return slow_move(v, n, false, done);
}

static enum fs_error slow_set_flags(struct vfs_file *f, u32 flags)
{
    f->flags = flags;
    return E_SUCCESS;
}

static void slow_ready(struct vfs_poll *p)
{
    p->ready = slow.room || slow.file_end;
}

static const struct vfs_ops slow_ops = {.close = stream_close,
                                        .read = slow_read,
                                        .write = slow_write,
                                        .recv = slow_recv,
                                        .set_flags = slow_set_flags,
                                        .ready = slow_ready};

static u32 waits;
static void (*meanwhile)(void); // what others do while a call waits
static enum fs_error wait_answer;

static enum fs_error wait_for_slow(struct vfs_poll *items, u32 n, u64 until)
{
    (void)until;
    waits++;
    CHECK(n == 0 || slow.f.refs > 2 || !process.wasi->fds.at[0].file); // held while it waits
    slow.room += 10;
    if (meanwhile)
        meanwhile();
    for (u32 i = 0; i < n; i++)
        vfs_ready(&items[i]);
    return wait_answer;
}

static void start_slow(struct vfs_file *root, enum vfs_type type)
{
    slow.f = (struct vfs_file){.ops = &slow_ops, .refs = 1, .type = type};
    slow.room = slow.moved = slow.sum = 0;
    slow.file_end = false;
    waits = 0;
    meanwhile = NULL;
    wait_answer = E_SUCCESS;
    thread.interrupt = 0;
    process.wasi = make(&slow.f, root);
    process.wasi->wait = wait_for_slow;
}

static void end_slow(void)
{
    wasi_free(process.wasi);
    process.wasi = NULL;
    CHECK(slow.f.refs == 1);
}

static void test_reads_that_wait(struct vfs_file *root)
{
    start_slow(root, VFS_UNKNOWN);
    CHECK(data("fd_read", 0, 100) == E_SUCCESS && opened() == 10 && waits == 1);
    CHECK(data("fd_read", 0, 0) == E_SUCCESS && opened() == 0 && waits == 1);
    CHECK(CALLS("fd_fdstat_set_flags", 0, VFS_NONBLOCK) == E_SUCCESS);
    CHECK(data("fd_read", 0, 100) == E_AGAIN && waits == 1);
    CHECK(CALLS("fd_fdstat_set_flags", 0, 0) == E_SUCCESS);
    wait_answer = E_INTR; // for nothing
    CHECK(data("fd_read", 0, 100) == E_SUCCESS && opened() == 10 && waits == 2);
    wait_answer = E_NOMEM;
    CHECK(data("fd_read", 0, 100) == E_NOMEM);
    end_slow();
}

// All of it goes out, in as many rounds as that takes.
static void test_writes_that_wait(struct vfs_file *root)
{
    u32 sum = 0;
    start_slow(root, VFS_UNKNOWN);
    for (u32 i = 0; i < 100; i++) {
        bytes[DATA_AT + i] = (u8)(i * 7);
        sum = sum * 31 + (u8)(i * 7);
    }
    for (u32 i = 0; i < 4; i++) { // 0, 33, 34, 33 bytes
        static const u32 sizes[] = {0, 33, 34, 33}, starts[] = {0, 0, 33, 67};
        store_u32(bytes + IOV_AT + 8 * i, DATA_AT + starts[i]);
        store_u32(bytes + IOV_AT + 8 * i + 4, sizes[i]);
    }
    slow.room = 5;
    CHECK(CALLS("fd_write", 0, IOV_AT, 4, OUT_AT) == E_SUCCESS);
    CHECK(opened() == 100 && slow.moved == 100 && slow.sum == sum && waits == 10);
    CHECK(CALLS("fd_fdstat_set_flags", 0, VFS_NONBLOCK) == E_SUCCESS);
    slow.room = 5;
    CHECK(CALLS("fd_write", 0, IOV_AT, 4, OUT_AT) == E_SUCCESS && opened() == 5);
    CHECK(CALLS("fd_write", 0, IOV_AT, 4, OUT_AT) == E_AGAIN);
    slow.f.flags = 0;
    slow.f.type = VFS_REGULAR_FILE; // a full disk: no use to wait
    slow.room = 5;
    CHECK(CALLS("fd_write", 0, IOV_AT, 4, OUT_AT) == E_SUCCESS && opened() == 5);
    end_slow();
}

static void test_recv_all(struct vfs_file *root)
{
    start_slow(root, VFS_SOCKET_STREAM);
    data("fd_read", 99, 25); // for the vector
    CHECK(CALLS("sock_recv", 0, IOV_AT, 1, 2, OUT_AT, OUT_AT + 8) == E_SUCCESS);
    CHECK(opened() == 25 && waits == 3 && slow.room == 5);
    CHECK(CALLS("sock_recv", 0, IOV_AT, 1, 0, OUT_AT, OUT_AT + 8) == E_SUCCESS && opened() == 5);
    end_slow();
}

static void close_it(void)
{
    u64 saved[16];
    memcpy(saved, slots, sizeof slots); // those of the call that waits
    CHECK(CALLS("fd_close", 0) == E_SUCCESS);
    memcpy(slots, saved, sizeof slots);
}

static void open_many(void)
{
    u64 saved[16];
    memcpy(saved, slots, sizeof slots);
    for (u32 i = 0; i < 100; i++)
        CHECK(open_with("f", 3, 1, R_FD_WRITE, 0) == E_SUCCESS);
    memcpy(slots, saved, sizeof slots);
}

static void end_it(void)
{
    thread.interrupt = TRAP_TIME;
}

// Other threads of the program meanwhile: the table moves, the file is closed.
static void test_others(struct vfs_file *root)
{
    start_slow(root, VFS_UNKNOWN);
    meanwhile = open_many;
    CHECK(data("fd_read", 0, 100) == E_SUCCESS && opened() == 10);
    meanwhile = close_it;
    CHECK(data("fd_read", 0, 100) == E_BADF);
    end_slow();
    start_slow(root, VFS_UNKNOWN);
    put_sub(DATA_AT, 1, 1, 0, 0);
    put_sub(DATA_AT + 48, 2, 2, 0, 0);
    meanwhile = close_it;
    CHECK(CALLS("poll_oneoff", DATA_AT, DATA_AT, 2, OUT_AT) == E_SUCCESS && opened() == 2);
    end_slow();
}

static bool ends(const char *name)
{
    meanwhile = end_it;
    if (setjmp(ended))
        return true;
    if (strcmp(name, "poll_oneoff") == 0)
        CALLS("poll_oneoff", DATA_AT, DATA_AT, 2, OUT_AT);
    else
        data(name, 0, 100);
    return false;
}

// A thread that is ended while it waits leaves nothing behind, and neither does one that is
// refused.
static void test_ends(struct vfs_file *root)
{
    size_t before = test_heap.live;
    start_slow(root, VFS_UNKNOWN);
    CHECK(ends("fd_read"));
    CHECK(ends("fd_write"));
    put_sub(DATA_AT, 1, 1, 0, 0);
    put_sub(DATA_AT + 48, 2, 2, 0, 0);
    CHECK(ends("poll_oneoff"));
    CHECK(slow.f.refs == 2);
    meanwhile = NULL;
    wait_answer = E_CANCELED;
    CHECK(CALLS("poll_oneoff", DATA_AT, DATA_AT, 2, OUT_AT) == E_CANCELED && slow.f.refs == 2);
    put_sub(DATA_AT + 48, 2, 9, 0, 0);
    CHECK(CALLS("poll_oneoff", DATA_AT, DATA_AT, 2, OUT_AT) == E_INVAL && slow.f.refs == 2);
    end_slow();
    CHECK(test_heap.live == before);
}

static u32 yields;
static void yield(struct vmctx *v)
{
    yields += v == &vm;
}

static void test_yield(struct vfs_file *root)
{
    start_slow(root, VFS_UNKNOWN);
    CHECK(CALLS("sched_yield", 0) == E_SUCCESS && yields == 0);
    process.wasi->yield = yield;
    CHECK(CALLS("sched_yield", 0) == E_SUCCESS && yields == 1);
    end_slow();
}

// --- Each allocation fails once.
static enum fs_error use(void)
{
    enum fs_error e = open_with("new", 3, 1, R_FD_WRITE | R_FD_READ | R_POLL_FD_READWRITE, 0);
    u32 fd = opened();
    if (!e)
        e = data("fd_write", fd, 5000);
    put_sub(DATA_AT, 1, 1, fd, 0);
    if (!e)
        e = CALLS("poll_oneoff", DATA_AT, DATA_AT, 1, OUT_AT);
    if (!e)
        e = CALLS("random_get", DATA_AT, 100);
    return e;
}

static void test_failing_heap(void)
{
    size_t before = test_heap.live;
    bool through = false;
    for (long n = 0; n < 100 && !through; n++) {
        test_heap.left = n;
        struct vfs_file *root = memfs_create(1 << 20, 1);
        process.wasi = root ? make(NULL, root) : NULL;
        enum fs_error e = process.wasi ? use() : E_NOMEM;
        test_heap.left = -1;
        through = e == E_SUCCESS;
        CHECK(through || e == E_NOMEM || e == E_NOSPC);
        wasi_free(process.wasi);
        vfs_close(root);
        CHECK(test_heap.live == before);
    }
    process.wasi = NULL;
    CHECK(through);
}

static void test_limit_of_descriptors(void)
{
    enum fs_error e = E_SUCCESS;
    u32 n = 0;
    while (!e && n < MAX_FDS + 10) {
        e = open_with("f", 3, 0, 0, 0);
        n++;
    }
    CHECK(e == E_MFILE && process.wasi->fds.count == MAX_FDS);
}

int main(void)
{
    struct vfs_file *root = memfs_create(1 << 20, 1);
    test_signatures();
    void (*const tests[])(void) = {test_rights, test_paths, test_vectors,
                                   test_limit_of_descriptors};
    for (size_t i = 0; i < countof(tests); i++) {
        process.wasi = make(NULL, root);
        tests[i]();
        wasi_free(process.wasi);
    }
    test_interrupts(root);
    test_reads_that_wait(root);
    test_writes_that_wait(root);
    test_recv_all(root);
    test_others(root);
    test_ends(root);
    test_yield(root);
    vfs_close(root);
    test_failing_heap();
    CHECK(test_heap.live == 0);
    printf("%d passed, %d failed\n", passed, failed);
    return failed != 0;
}
