// SPDX-License-Identifier: MIT
// What a process gets of its parent's interface to WASI.
#include "abi/wasi_call.h"
#include "base/lookup.h"

// How many of these bytes are 0. Eight at a time: a bit is left of each of those.
static u32 zeros(const u8 *p, u32 n)
{
    const u64 low = 0x7f7f7f7f7f7f7f7f;
    u32 count = 0, i = 0;
    for (; i + 8 <= n; i += 8) {
        u64 x = load_u64(p + i);
        count += (u32)__builtin_popcountll(~(((x & low) + low) | x | low));
    }
    for (; i < n; i++)
        count += !p[i];
    return count;
}

bool wasi_texts_copy(const u8 *texts, u32 size, char **out)
{
    char *bytes = size ? heap_alloc(size) : NULL;
    if (size && !bytes)
        return false;
    bool ends = look_up_copy(bytes, texts, size);
    if (size)
        bytes[size - 1] = 0; // it was, but others may have written there since
    *out = bytes;
    return !ends;
}

static struct wasi_strings uncounted(char *bytes, u32 size)
{
    return (struct wasi_strings){bytes, size ? WASI_UNCOUNTED : 0, size};
}

static bool set_args(struct wasi_strings *to, const u8 *args, u32 size)
{
    bool copied = wasi_texts_copy(args, size, &to->bytes);
    *to = uncounted(to->bytes, size);
    return copied;
}

bool wasi_count(struct wasi_strings *s)
{
    enum { AT_ONCE = 64 << 10 };
    u32 count = 0;
    for (u64 i = 0; s->count == WASI_UNCOUNTED && i < s->size; i += AT_ONCE) {
        if (i && look_up())
            return false;
        count +=
            zeros((const u8 *)s->bytes + i, s->size - i < AT_ONCE ? (u32)(s->size - i) : AT_ONCE);
    }
    if (s->count == WASI_UNCOUNTED)
        s->count = count;
    return true;
}

static bool copy_strings(struct wasi_strings *to, const struct wasi_strings *from)
{
    return set_args(to, (const u8 *)from->bytes, from->size);
}

static bool add(struct wasi *w, const struct wasi_fd *from)
{
    size_t size = from->preopen ? strlen(from->preopen) + 1 : 0;
    struct wasi_fd fd = *from;
    if (size && !(fd.preopen = heap_alloc(size)))
        return false;
    if (size)
        memcpy(fd.preopen, from->preopen, size);
    fd.own -= fd.own != 0;
    if (!vec_push(&w->fds, fd)) {
        heap_free(fd.preopen);
        return false;
    }
    vfs_ref(fd.file);
    return true;
}

static bool fill(struct wasi *w, const struct wasi *parent, bool streams, bool files)
{
    static const struct wasi_fd closed;
    for (u32 i = 0; i < 3; i++)
        if (!add(w, streams && i < parent->fds.count ? &parent->fds.at[i] : &closed))
            return false;
    for (u32 i = 3; i < parent->fds.count && files; i++)
        if (parent->fds.at[i].preopen && parent->fds.at[i].own != 1 && !add(w, &parent->fds.at[i]))
            return false;
    return true;
}

struct wasi *wasi_child(const struct wasi *parent, const u8 *args, u32 size, bool streams,
                        bool files)
{
    struct wasi *w = heap_zalloc(sizeof *w);
    if (!w)
        return NULL;
    w->wait = parent->wait;
    w->yield = parent->yield;
    if (set_args(&w->args, args, size) && copy_strings(&w->env, &parent->env) &&
        fill(w, parent, streams, files))
        return w;
    wasi_free(w);
    return NULL;
}

// Under the kernel lock: the table is small.
status wasi_add_folder(struct wasi *w, struct vfs_file *dir, char *name)
{
    enum { DIRECTORIES = 64 };
    struct wasi_fd fd = {dir, wasi_rights(dir), R_ALL, name, false, {0, 0}};
    if (w->fds.count >= DIRECTORIES)
        return ERR_NO_RESOURCES;
    return vec_push(&w->fds, fd) ? OK : ERR_NO_MEMORY;
}

struct vfs_file *wasi_set_stream(struct wasi *w, u32 number, struct vfs_file *file)
{
    struct wasi_fd *fd = &w->fds.at[number];
    struct vfs_file *old = fd->file;
    *fd = (struct wasi_fd){.file = file, .base = wasi_stream_rights(file)};
    return old;
}

char *wasi_set_environment(struct wasi *w, char *bytes, u32 size)
{
    char *old = w->env.bytes;
    w->env = uncounted(bytes, size);
    return old;
}

void wasi_withhold(struct wasi *w, bool streams, bool files)
{
    for (u32 i = 0; i < w->fds.count; i++) {
        struct wasi_fd *fd = &w->fds.at[i];
        if (i < 3 ? !streams : !files || !fd->preopen) // listeners are given one by one
            continue;
        vfs_close(fd->file);
        heap_free(fd->preopen);
        *fd = (struct wasi_fd){0};
    }
}

bool wasi_plain(const struct wasi *w)
{
    for (u32 i = 3; i < w->fds.count; i++)
        if (w->fds.at[i].file && !w->fds.at[i].preopen)
            return false;
    return true;
}
