// SPDX-License-Identifier: MIT
// What the WASI handlers share: the record of a program, the layouts of the guest's structs, and
// the arguments of each call as wasi.def makes them.
//
// A handler gets arguments that are checked: files are open and have the rights, paths are clean,
// memory is in bounds. It answers with an errno, and writes results by put_*, at guest addresses,
// as its last act. It holds nothing (no memory, no reference) when it calls what may end the
// program: rt_exit, and rt_check_interrupt, which may also come back after others have run.
//
// A handler never waits: other threads of the program run meanwhile, and close files, grow tables,
// or end the program. It says what it waits for and answers E_INTR (wasi_wait); the shim waits,
// with a reference to the file, lets an interrupt have its way, and then fetches the arguments anew
// and calls the handler again. Calls on files that park do wait; the shim holds the file, and the
// handler looks at no descriptor afterwards. So nothing that was looked up goes through a wait: not
// a struct wasi_fd, not an address of guest memory. What does (how far a call is) stands in struct
// call, where the shim finds it when the thread is to end. A descriptor that was closed meanwhile
// is E_BADF. E_INTR from a file does the same without waiting, so it may only be answered when
// nothing has happened.
#pragma once
#include "abi/wasi.h"
#include "base/csprng.h"
#include "base/vec.h"
#include "wasm/runtime.h"

enum right_kind { F = 1, D = 2, S = 4 };
enum wasi_rights {
#define RIGHT(bit, name, kinds) R_##name = 1 << (bit),
#include "abi/rights.def"
};
#define R_ALL ((1ull << 30) - 1)

enum {
    MAX_FDS = 65536,
    MAX_IOVS = 1024, // as Linux has it
    MAX_SUBSCRIPTIONS = 65536,
};

struct wasi_fd {
    struct vfs_file *file; // NULL: the number is free
    u64 base, inheriting;  // rights
    char *preopen;         // name, or NULL
    u32 own;               // see struct wasi_preopen
    u32 polled[2];         // places among a poll's items, to read and to write, if it is there
};

// Strings one behind the other, each with its final 0. They are counted when somebody asks.
#define WASI_UNCOUNTED UINT32_MAX
struct wasi_strings {
    char *bytes;
    u32 count, size;
};
bool wasi_count(struct wasi_strings *s); // false: the caller is to end

struct wasi {
    VEC(struct wasi_fd) fds;
    u32 lowest; // no number below is free
    struct wasi_strings args, env;
    struct csprng random;
    bool seeded;
    vfs_wait_fn *wait;
    void (*yield)(struct vmctx *vm);
};

struct call {
    struct wasi *wasi;
    struct vmctx *vm;
    bool unstable; // wasi_unstable
    bool waits;    // what the handler answered E_INTR for; it is:
    u32 nitems;
    struct vfs_poll *items, file;
    u64 until;
    // How far the rounds before have come.
    u64 done; // bytes
    // Files that park (fs/vfs.h) in this round: others may close their descriptors meanwhile.
    u32 nheld;
    struct vfs_file *held[2];
    struct wasi_poll *poll; // the subscriptions of poll_oneoff
};

// --- The guest's structs.
struct wasi_fdstat {
    u8 filetype;
    u16 flags;
    u64 base, inheriting;
};
struct wasi_prestat {
    u8 tag;
    u32 name_length;
};
struct wasi_filestat {
    u64 dev, ino;
    u8 filetype;
    u64 nlink, size, atim, mtim, ctim;
};
struct wasi_filestat_unstable {
    u64 dev, ino;
    u8 filetype;
    u32 nlink;
    u64 size, atim, mtim, ctim;
};
struct wasi_dirent {
    u64 next, ino;
    u32 name_length;
    u8 filetype;
};
struct wasi_subscription {
    u64 userdata;
    u8 tag;
    union {
        struct {
            u32 id;
            u64 timeout, precision;
            u16 flags;
        } clock;
        u32 fd;
    };
};
struct wasi_subscription_unstable {
    u64 userdata;
    u8 tag;
    union {
        struct {
            u64 identifier;
            u32 id;
            u64 timeout, precision;
            u16 flags;
        } clock;
        u32 fd;
    };
};
struct wasi_event {
    u64 userdata;
    u16 error;
    u8 tag;
    u64 bytes;
    u16 flags;
};
_Static_assert(sizeof(struct wasi_fdstat) == 24, "fdstat");
_Static_assert(offsetof(struct wasi_fdstat, base) == 8, "fdstat");
_Static_assert(sizeof(struct wasi_prestat) == 8, "prestat");
_Static_assert(sizeof(struct wasi_filestat) == 64, "filestat");
_Static_assert(offsetof(struct wasi_filestat, size) == 32, "filestat");
_Static_assert(sizeof(struct wasi_filestat_unstable) == 56, "filestat");
_Static_assert(offsetof(struct wasi_filestat_unstable, nlink) == 20, "filestat");
_Static_assert(sizeof(struct wasi_dirent) == 24, "dirent");
_Static_assert(sizeof(struct wasi_subscription) == 48, "subscription");
_Static_assert(offsetof(struct wasi_subscription, clock.timeout) == 24, "subscription");
_Static_assert(offsetof(struct wasi_subscription, clock.flags) == 40, "subscription");
_Static_assert(sizeof(struct wasi_subscription_unstable) == 56, "subscription");
_Static_assert(offsetof(struct wasi_subscription_unstable, clock.timeout) == 32, "subscription");
_Static_assert(sizeof(struct wasi_event) == 32, "event");
_Static_assert(offsetof(struct wasi_event, bytes) == 16, "event");

// --- Arguments and handlers.
#define CALL(name, versions, args)                                                                 \
    struct args_##name {                                                                           \
        args                                                                                       \
    };
#define FD(x, rights) struct wasi_fd *x;
#define NUM(x) u32 x;
#define LONG(x) u64 x;
#define FLAGS(x, mask) u32 x;
#define PATH(x) char x[VFS_PATH];
#define BUFFER(x)                                                                                  \
    u8 *x;                                                                                         \
    u32 x##_size;
#define IOVS(x)                                                                                    \
    struct vfs_iov x[MAX_IOVS];                                                                    \
    u32 x##_count;
#define OUT(x, type) u32 x;
#define ADDR(x) u32 x;
#include "abi/wasi.def"

#define CALL(name, versions, args) enum fs_error wasi_##name(struct call *c, struct args_##name *a);
#include "abi/wasi.def"

// --- Guest memory.

// The host address of n bytes of memory 0, or NULL. Good until the guest runs again.
static inline u8 *guest(const struct call *c, u32 address, u64 n)
{
    const struct vm_memory *m = c->vm->mem;
    if (!m || n > m->bytes || address > m->bytes - n)
        return NULL;
    return m->base + address;
}

#define PUT(T)                                                                                     \
    static inline void put_##T(const struct call *c, u32 address, T value)                         \
    {                                                                                              \
        u8 *p = guest(c, address, sizeof value);                                                   \
        if (p)                                                                                     \
            store_##T(p, value);                                                                   \
    }
PUT(u16)
PUT(u32)
PUT(u64)
#undef PUT

static inline enum fs_error put_bytes(const struct call *c, u32 address, const void *from, u32 size)
{
    u8 *p = guest(c, address, size);
    if (!p)
        return E_FAULT;
    memcpy(p, from, size);
    return E_SUCCESS;
}

// --- Waiting. Both answer E_INTR, or E_AGAIN when this file is not waited for.
enum fs_error wasi_wait(struct call *c, struct vfs_file *f, bool write);
enum fs_error wasi_wait_until(struct call *c, struct vfs_poll *items, u32 n, u64 until);
void wasi_poll_free(struct call *c);

// --- Descriptors (wasi_fd.c).
u64 wasi_rights(const struct vfs_file *f); // all that mean something for it
// Of what a program is started with as 0, 1 or 2. If that is a folder, what is in it is not given.
u64 wasi_stream_rights(const struct vfs_file *f);
enum fs_error wasi_find_fd(struct wasi *w, u32 number, u64 rights, struct wasi_fd **out);
// The lowest free number, with room for it; fds may move. E_MFILE, E_NOMEM.
enum fs_error wasi_reserve_fd(struct wasi *w, u32 *number);
void wasi_install_fd(struct wasi *w, u32 number, struct vfs_file *file, u64 base, u64 inheriting);
void wasi_release_fd(struct wasi *w, u32 number);
enum fs_error wasi_times(u32 fstflags, u64 atim, u64 mtim, struct vfs_times *out);
enum fs_error wasi_put_stat(struct call *c, u32 address, const struct vfs_stat *st);
