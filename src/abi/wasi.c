// SPDX-License-Identifier: MIT
// WASI preview 1: the record of a program, and the way from an import to its handler.
//
// wasi.def is expanded here into what the shims, which the guest calls, have to know of a call, and
// into the tables of names and signatures. The handlers are in wasi_fd.c, wasi_path.c, wasi_poll.c
// and wasi_system.c.
#include "abi/wasi.h"

#include "abi/trace.h"
#include "abi/wasi_call.h"
#include "base/lookup.h"
#include "kern/process.h"
#include "plat/plat.h"

// --- A program's record.
static bool copy_strings(struct wasi_strings *to, const char *const *from, u32 n)
{
    size_t size = 0;
    for (u32 i = 0; i < n; i++)
        size += strlen(from[i]) + 1;
    if (size > INT32_MAX || !(to->bytes = heap_alloc(size + 1)))
        return false;
    to->count = n;
    to->size = (u32)size;
    char *p = to->bytes;
    for (u32 i = 0; i < n; i++) {
        size_t length = strlen(from[i]) + 1;
        memcpy(p, from[i], length);
        p += length;
    }
    return true;
}

static bool add_fd(struct wasi *w, struct vfs_file *file, const char *preopen, u32 own)
{
    struct wasi_fd fd = {.file = vfs_ref(file), .own = own};
    if (file)
        fd.base = preopen ? wasi_rights(file) : wasi_stream_rights(file);
    if (preopen) {
        size_t size = strlen(preopen) + 1;
        fd.inheriting = R_ALL;
        fd.preopen = heap_alloc(size);
        if (fd.preopen)
            memcpy(fd.preopen, preopen, size);
    }
    if ((preopen && !fd.preopen) || !vec_push(&w->fds, fd)) {
        vfs_close(file);
        heap_free(fd.preopen);
        return false;
    }
    return true;
}

static bool fill(struct wasi *w, const struct wasi_config *config)
{
    if (!copy_strings(&w->args, config->args, config->nargs) ||
        !copy_strings(&w->env, config->env, config->nenv) || !add_fd(w, config->in, NULL, 0) ||
        !add_fd(w, config->out, NULL, 0) || !add_fd(w, config->err, NULL, 0))
        return false;
    for (u32 i = 0; i < config->npreopens; i++)
        if (!add_fd(w, config->preopens[i].dir, config->preopens[i].name, config->preopens[i].own))
            return false;
    for (u32 i = 0; i < config->nlisteners; i++)
        if (!add_fd(w, config->listeners[i], NULL, 1))
            return false;
    return true;
}

// Without anybody else who could run: looks, and sleeps until something may have changed.
static enum fs_error wait_plain(struct vfs_poll *items, u32 n, u64 until)
{
    bool any = false;
    for (u32 i = 0; i < n; i++) {
        vfs_ready(&items[i]);
        any |= items[i].ready;
    }
    if (any || (until != UINT64_MAX && plat_now() >= until))
        return E_SUCCESS;
    plat_wait(until);
    return E_INTR;
}

struct wasi *wasi_create(const struct wasi_config *config)
{
    struct wasi *w = heap_zalloc(sizeof *w);
    if (!w)
        return NULL;
    w->wait = config->wait ? config->wait : wait_plain;
    w->yield = config->yield;
    if (!fill(w, config)) {
        wasi_free(w);
        return NULL;
    }
    return w;
}

void wasi_free(struct wasi *w)
{
    if (!w)
        return;
    enum { AT_ONCE = 256 };
    for (u32 i = 0; i < w->fds.count; i++) {
        vfs_close(w->fds.at[i].file);
        heap_free(w->fds.at[i].preopen);
        if (i % AT_ONCE == AT_ONCE - 1)
            look_up();
    }
    vec_free(&w->fds);
    heap_free(w->args.bytes);
    heap_free(w->env.bytes);
    heap_free(w);
}

// --- Fetching arguments.

// From TAKE_PATH on: two cells.
enum arg_take { TAKE_FD, TAKE_NUM, TAKE_LONG, TAKE_OUT, TAKE_PATH, TAKE_BUFFER, TAKE_IOVS };

// The length of the UTF-8 sequence at p, of at most n bytes; 0 when it is none.
static u32 utf8_length(const u8 *p, u32 n)
{
    static const u32 least[] = {0, 0, 0x80, 0x800, 0x10000};
    u32 length = p[0] < 0x80 ? 1 : p[0] >= 0xf8 ? 0 : p[0] >= 0xf0 ? 4 : p[0] >= 0xe0 ? 3 : 2;
    if (length == 1)
        return 1;
    if (p[0] < 0xc0 || length > n || length == 0)
        return 0;
    u32 code = p[0] & (0x7fu >> length);
    for (u32 i = 1; i < length; i++) {
        if ((p[i] & 0xc0) != 0x80)
            return 0;
        code = code << 6 | (p[i] & 0x3f);
    }
    bool good = code >= least[length] && code <= 0x10ffff && (code < 0xd800 || code > 0xdfff);
    return good ? length : 0;
}

static enum fs_error check_path(const u8 *p, u32 n)
{
    if (n == 0)
        return E_NOENT;
    if (p[0] == '/')
        return E_PERM;
    if (n >= VFS_PATH)
        return E_NAMETOOLONG;
    for (u32 i = 0, step; i < n; i += step) {
        if (p[i] == 0)
            return E_INVAL;
        step = utf8_length(p + i, n - i);
        if (!step)
            return E_ILSEQ;
    }
    return E_SUCCESS;
}

static enum fs_error take_path(const struct call *c, const u64 *slots, char out[VFS_PATH])
{
    u32 n = (u32)slots[1], copied = n < VFS_PATH ? n : VFS_PATH;
    const u8 *p = guest(c, (u32)slots[0], n);
    if (!p)
        return E_FAULT;
    memcpy(out, p, copied); // first, for another process may change it (kern/memory.h)
    enum fs_error e = check_path((const u8 *)out, n);
    if (!e)
        out[n] = 0;
    return e;
}

static enum fs_error take_iovs(const struct call *c, const u64 *slots, struct vfs_iov *out,
                               u32 *count)
{
    u32 n = (u32)slots[1];
    u64 total = 0;
    const u8 *p = guest(c, (u32)slots[0], n * 8ull);
    if (!p)
        return E_FAULT;
    bool cut = n > MAX_IOVS; // a part is moved then, as a call may at any time
    n = cut ? MAX_IOVS : n;
    for (u32 i = 0; i < n; i++) {
        u32 size = load_u32(p + 8 * i + 4);
        out[i].n = size;
        out[i].p = guest(c, load_u32(p + 8 * i), size);
        if (!out[i].p)
            return E_FAULT;
        total += size;
    }
    *count = n;
    return total > UINT32_MAX || (cut && !total) ? E_INVAL : E_SUCCESS;
}

static enum fs_error take_buffer(const struct call *c, const u64 *slots, u8 **p, u32 *size)
{
    *size = (u32)slots[1];
    *p = guest(c, (u32)slots[0], *size);
    return *p ? E_SUCCESS : E_FAULT;
}

static enum fs_error take_number(u32 number, u32 mask, u32 *out)
{
    *out = number;
    return number & ~mask ? E_INVAL : E_SUCCESS;
}

static enum fs_error take_address(const struct call *c, u32 address, u32 size, u32 *out)
{
    *out = address;
    return guest(c, address, size) ? E_SUCCESS : E_FAULT;
}

static enum fs_error take_fd(struct call *c, u32 number, u64 rights, struct wasi_fd **out)
{
    enum fs_error e = wasi_find_fd(c->wasi, number, rights, out);
    if (unlikely(!e && (*out)->file->parks))
        c->held[c->nheld++] = vfs_ref((*out)->file);
    return e;
}

static void let_go(struct call *c)
{
    while (unlikely(c->nheld))
        vfs_close(c->held[--c->nheld]);
}

// Checks the arguments that `slots` has, and puts them where the handler wants them.
static enum fs_error take(struct call *c, const struct arg_info *info, const u64 *slots, void *args)
{
    enum fs_error e = E_SUCCESS;
    for (const struct arg_info *i = info; i->name && !e; i++) {
        u32 number = (u32)*slots;
        void *to = (u8 *)args + i->at;
        switch ((enum arg_take)i->take) {
        case TAKE_FD: e = take_fd(c, number, i->detail, to); break;
        case TAKE_NUM: e = take_number(number, i->detail, to); break;
        case TAKE_LONG: *(u64 *)to = *slots; break;
        case TAKE_OUT: e = take_address(c, number, i->detail, to); break;
        case TAKE_PATH: e = take_path(c, slots, to); break;
        case TAKE_BUFFER: e = take_buffer(c, slots, to, (void *)((u8 *)args + i->detail)); break;
        case TAKE_IOVS: e = take_iovs(c, slots, to, (void *)((u8 *)args + i->detail)); break;
        }
        slots += i->take < TAKE_PATH ? 1 : 2;
    }
    return e;
}

// --- The trace.
enum { NO_RESULT = -1 };

static bool is_traced(const struct call *c)
{
    return c->wasi && ((const struct process *)c->vm->process)->trace;
}

__attribute__((cold, noinline)) static void
trace(const struct call *c, const char *name, const struct arg_info *info, const u64 *slots, s32 e)
{
    struct trace_line l = {.n = 0};
    if (!trace_call(&l, c->vm, name, info, slots))
        return;
    trace_print(&l, ") = %s\n", e == NO_RESULT ? "?" : fs_error_name((enum fs_error)e));
    trace_end(&l);
}

// --- Waiting.
enum fs_error wasi_wait_until(struct call *c, struct vfs_poll *items, u32 n, u64 until)
{
    c->waits = true;
    c->items = items;
    c->nitems = n;
    c->until = until;
    return E_INTR;
}

enum fs_error wasi_wait(struct call *c, struct vfs_file *f, bool write)
{
    if ((f->flags & VFS_NONBLOCK) || f->type == VFS_REGULAR_FILE || f->type == VFS_BLOCK_DEVICE)
        return E_AGAIN;
    c->file = (struct vfs_poll){.file = f, .write = write};
    return wasi_wait_until(c, &c->file, 1, UINT64_MAX);
}

static enum fs_error wait_now(struct call *c)
{
    struct vfs_file *held = c->items == &c->file ? vfs_ref(c->file.file) : NULL;
    enum fs_error e = c->wasi->wait(c->items, c->nitems, c->until);
    vfs_close(held);
    c->waits = false;
    return e;
}

// After E_INTR: E_SUCCESS to call the handler again, or what to answer. A thread that is to end
// does so here, when it has let go of what the call holds.
__attribute__((noinline)) static enum fs_error again(struct call *c)
{
    enum fs_error e = c->waits ? wait_now(c) : E_SUCCESS;
    bool interrupted = __atomic_load_n(&c->vm->thread->interrupt, __ATOMIC_RELAXED);
    enum trap trap = interrupted ? rt_interrupted(c->vm) : TRAP_NONE;
    if (e == E_INTR)
        e = E_SUCCESS;
    if (c->poll && (e || trap))
        wasi_poll_free(c);
    if (trap)
        rt_trap(c->vm, trap);
    return e;
}

// --- The shims.
static struct wasi *wasi_of(const struct vmctx *vm)
{
    const struct process *p = vm->process;
    return p ? p->wasi : NULL;
}

struct row {
    const char *name;
    const struct arg_info *info;
    enum fs_error (*handler)(struct call *c, void *args);
};

static struct call begin(struct vmctx *vm, bool unstable)
{
    return (struct call){.wasi = wasi_of(vm), .vm = vm, .unstable = unstable};
}

// A call of the guest; there is room for its arguments at `args`.
static void run(struct vmctx *vm, u64 *slots, bool unstable, const struct row *row, void *args)
{
    struct call c = begin(vm, unstable);
    enum fs_error e = E_NOSYS;
    while (likely(c.wasi != NULL)) {
        e = take(&c, row->info, slots, args);
        if (likely(!e))
            e = row->handler(&c, args);
        let_go(&c);
        if (likely(e != E_INTR) || (e = again(&c)))
            break;
    }
    if (unlikely(is_traced(&c)))
        trace(&c, row->name, row->info, slots, e);
    rt_check_interrupt(vm);
    slots[0] = e;
}

// A field of the arguments: how it is shown, how it is taken, where it goes, and what else that
// needs to know.
#define FIELD(x, kind, how, detail) {#x, kind, how, offsetof(__typeof__(a), x), detail},
#define FD(x, rights) FIELD(x, 'd', TAKE_FD, rights)
#define NUM(x) FIELD(x, 'd', TAKE_NUM, UINT32_MAX)
#define LONG(x) FIELD(x, 'l', TAKE_LONG, 0)
#define FLAGS(x, mask) FIELD(x, 'x', TAKE_NUM, mask)
#define PATH(x) FIELD(x, 'p', TAKE_PATH, 0)
#define BUFFER(x) FIELD(x, 'b', TAKE_BUFFER, offsetof(__typeof__(a), x##_size))
#define IOVS(x) FIELD(x, 'b', TAKE_IOVS, offsetof(__typeof__(a), x##_count))
#define OUT(x, type) FIELD(x, 'x', TAKE_OUT, sizeof(type))
#define ADDR(x) FIELD(x, 'x', TAKE_NUM, UINT32_MAX)
#define INFO(...) static const struct arg_info info[] = {__VA_ARGS__ LAST_ARG}
#define CALL(id, versions, ...)                                                                    \
    static enum fs_error handle_##id(struct call *c, void *args)                                   \
    {                                                                                              \
        return wasi_##id(c, args);                                                                 \
    }                                                                                              \
    static void call_##id(struct vmctx *vm, u64 *slots, bool unstable)                             \
    {                                                                                              \
        struct args_##id a;                                                                        \
        INFO(__VA_ARGS__);                                                                         \
        static const struct row row = {#id, info, handle_##id};                                    \
        run(vm, slots, unstable, &row, &a);                                                        \
    }
#define NORETURN(id, ...)                                                                          \
    static void call_##id(struct vmctx *vm, u64 *slots, bool unstable)                             \
    {                                                                                              \
        struct args_##id a;                                                                        \
        INFO(__VA_ARGS__);                                                                         \
        struct call c = begin(vm, unstable);                                                       \
        if (is_traced(&c))                                                                         \
            trace(&c, #id, info, slots, NO_RESULT);                                                \
        take(&c, info, slots, &a);                                                                 \
        wasi_##id(&c, &a);                                                                         \
    }
#include "abi/wasi.def"

#define CALL(name, versions, args)                                                                 \
    static void new_##name(struct vmctx *vm, u64 *slots)                                           \
    {                                                                                              \
        call_##name(vm, slots, false);                                                             \
    }                                                                                              \
    OLD_##versions(name)
#define OLD_SAME(name)
#define OLD_DIFFERS(name)                                                                          \
    static void old_##name(struct vmctx *vm, u64 *slots)                                           \
    {                                                                                              \
        call_##name(vm, slots, true);                                                              \
    }
#include "abi/wasi.def"

// --- The tables.
#define FD(x, rights) "i"
#define NUM(x) "i"
#define LONG(x) "I"
#define FLAGS(x, mask) "i"
#define PATH(x) "ii"
#define BUFFER(x) "ii"
#define IOVS(x) "ii"
#define OUT(x, type) "i"
#define ADDR(x) "i"
#define CALL(name, versions, args) {#name, args ":i", new_##name, NULL},
#define NORETURN(name, args) {#name, args ":", new_##name, NULL},
static const struct host_func preview1[] = {
#include "abi/wasi.def"
};

#define FD(x, rights) "i"
#define NUM(x) "i"
#define LONG(x) "I"
#define FLAGS(x, mask) "i"
#define PATH(x) "ii"
#define BUFFER(x) "ii"
#define IOVS(x) "ii"
#define OUT(x, type) "i"
#define ADDR(x) "i"
#define ROW_SAME(name, args)
#define ROW_DIFFERS(name, args) {#name, args ":i", old_##name, NULL},
#define CALL(name, versions, args) ROW_##versions(name, args)
#define NORETURN(name, args)
static const struct host_func unstable[] = {
// what differs
#include "abi/wasi.def"
};

status wasi_register(struct store *s)
{
    status e = store_host_module(s, "wasi_snapshot_preview1", preview1, countof(preview1));
    static const char older[] = "wasi_unstable"; // of two offers the later one counts
    if (!e)
        e = store_host_module(s, older, preview1, countof(preview1));
    return e ? e : store_host_module(s, older, unstable, countof(unstable));
}
