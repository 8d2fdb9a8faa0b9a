// SPDX-License-Identifier: MIT
// Reading ustar archives; see bundle.h. Numbers are octal texts of a fixed width, and a header is
// only believed when its checksum is right.
#include "fs/bundle.h"

#include "base/heap.h"
#include "fs/memory.h"

enum { BLOCK = 512 };

struct header {
    char name[100], mode[8], uid[8], gid[8], size[12], mtime[12], checksum[8];
    char type;
    char link[100], magic[6], version[2], user[32], group[32], major[8], minor[8], prefix[155];
    char rest[12];
};
_Static_assert(sizeof(struct header) == BLOCK, "POSIX.1 10.1.1");

static bool read_octal(const char *p, u32 n, u64 *out)
{
    u32 i = 0;
    u64 v = 0;
    while (i < n && p[i] == ' ')
        i++;
    if (i == n || p[i] < '0' || p[i] > '7')
        return false;
    for (; i < n && p[i] >= '0' && p[i] <= '7'; i++)
        v = v << 3 | (u64)(p[i] - '0');
    *out = v;
    return i == n || p[i] == ' ' || p[i] == 0;
}

// The sum of all bytes, those of the checksum itself taken for spaces.
static bool checksum_fits(const struct header *h)
{
    const u8 *p = (const u8 *)h;
    u64 stored, sum = 8 * ' ', lanes = 0; // of 16 bits
    for (u32 i = 0; i < BLOCK; i += 8)
        lanes +=
            (load_u64(p + i) & 0x00ff00ff00ff00ff) + (load_u64(p + i) >> 8 & 0x00ff00ff00ff00ff);
    for (; lanes; lanes >>= 16)
        sum += lanes & 0xffff;
    for (u32 i = 0; i < sizeof h->checksum; i++)
        sum -= (u8)h->checksum[i];
    return read_octal(h->checksum, sizeof h->checksum, &stored) && stored == sum;
}

static bool is_end(const struct header *h)
{
    const u8 *p = (const u8 *)h;
    for (u32 i = 0; i < BLOCK; i += 8)
        if (load_u64(p + i))
            return false;
    return true;
}

static u32 field_length(const char *p, u32 n)
{
    u32 i = 0;
    while (i < n && p[i])
        i++;
    return i;
}

// Appends the components of a text to a name; false when one of them is "..", or there is no room.
static bool append(struct bundle_entry *e, u32 *length, const char *p, u32 n)
{
    for (u32 i = 0; i < n;) {
        u32 start = i;
        while (i < n && p[i] != '/')
            i++;
        u32 part = i++ - start;
        const char *text = p + start;
        if (!part || (part == 1 && text[0] == '.'))
            continue;
        if ((part == 2 && text[0] == '.' && text[1] == '.') || *length + part + 2 > sizeof e->name)
            return false;
        if (*length)
            e->name[(*length)++] = '/';
        memcpy(e->name + *length, text, part);
        *length += part;
    }
    e->name[*length] = 0;
    return true;
}

// --- Extended headers: lines "LENGTH KEY=VALUE\n" in front of the entry that they are about.
struct text {
    const char *p; // NULL: not given
    u32 n;
};
struct extended {
    struct text path, link, mtime;
};

static bool read_record(struct text line, struct extended *x)
{
    static const char *const keys[] = {"path", "linkpath", "mtime"};
    struct text *const values[] = {&x->path, &x->link, &x->mtime};
    u32 n = 0;
    while (n < line.n && line.p[n] != '=')
        n++;
    if (n == line.n)
        return false;
    for (u32 i = 0; i < countof(keys); i++)
        if (strlen(keys[i]) == n && !memcmp(keys[i], line.p, n))
            *values[i] = (struct text){line.p + n + 1, line.n - n - 1};
    return true;
}

static bool read_records(const u8 *bytes, u64 size, struct extended *x)
{
    const char *p = (const char *)bytes;
    while (size) {
        u64 length = 0, digits = 0;
        for (; digits < size && p[digits] >= '0' && p[digits] <= '9' && length < VFS_PATH * 2;
             digits++)
            length = length * 10 + (u64)(p[digits] - '0');
        if (length > size || length < digits + 2 || p[digits] != ' ' || p[length - 1] != '\n')
            return false;
        struct text line = {p + digits + 1, (u32)(length - digits - 2)};
        if (!read_record(line, x))
            return false;
        p += length;
        size -= length;
    }
    return true;
}

// Seconds, with a fraction and a sign if need be; as u64 as vfs_stat has times before 1970.
static u64 read_time(struct text t)
{
    u64 v = 0, unit = 1000000000;
    u32 i = t.n && t.p[0] == '-';
    bool negative = i;
    for (; i < t.n && t.p[i] >= '0' && t.p[i] <= '9'; i++)
        v = v * 10 + (u64)(t.p[i] - '0');
    v *= unit;
    for (i++; i < t.n && t.p[i] >= '0' && t.p[i] <= '9'; i++)
        v += (unit /= 10) * (u64)(t.p[i] - '0');
    return negative ? 0 - v : v;
}

static bool read_name(const struct header *h, const struct extended *x, struct bundle_entry *e)
{
    u32 length = 0;
    e->name[0] = 0;
    if (x->path.p)
        return append(e, &length, x->path.p, x->path.n);
    return append(e, &length, h->prefix, field_length(h->prefix, sizeof h->prefix)) &&
           append(e, &length, h->name, field_length(h->name, sizeof h->name));
}

static bool read_target(const struct header *h, const struct extended *x, struct bundle_entry *e)
{
    struct text t =
        x->link.p ? x->link : (struct text){h->link, field_length(h->link, sizeof h->link)};
    if (t.n >= sizeof e->target)
        return false;
    memcpy(e->target, t.p, t.n);
    e->target[t.n] = 0;
    return true;
}

static enum vfs_type type_of(char c)
{
    switch (c) {
    case 0:
    case '0': return VFS_REGULAR_FILE;
    case '2': return VFS_SYMBOLIC_LINK;
    case '5': return VFS_DIRECTORY;
    default: return VFS_UNKNOWN;
    }
}

// The header at *at, and what belongs to it; *at moves behind both.
static enum fs_error next_header(const u8 *archive, u64 size, u64 *at, const struct header **h,
                                 struct bundle_entry *out)
{
    if (*at > size || size - *at < BLOCK)
        return *at == size ? E_NOENT : E_INVAL;
    *h = (const struct header *)(archive + *at);
    if (is_end(*h))
        return E_NOENT;
    u64 room = size - *at - BLOCK;
    if (memcmp((*h)->magic, "ustar", 5) || !checksum_fits(*h) ||
        !read_octal((*h)->size, sizeof(*h)->size, &out->size))
        return E_INVAL;
    out->type = type_of((*h)->type);
    if (out->type == VFS_DIRECTORY || out->type == VFS_SYMBOLIC_LINK)
        out->size = 0;
    if (out->size > room)
        return E_INVAL;
    out->bytes = archive + *at + BLOCK;
    u64 padded = ALIGN_UP(out->size, (u64)BLOCK);
    *at += BLOCK + (padded < room ? padded : room);
    return E_SUCCESS;
}

enum fs_error bundle_next(const u8 *archive, u64 size, u64 *at, struct bundle_entry *out)
{
    struct extended x = {.path = {NULL, 0}};
    const struct header *h;
    enum fs_error e;
    while (!(e = next_header(archive, size, at, &h, out)) && h->type == 'x')
        if (!read_records(out->bytes, out->size, &x))
            return E_INVAL;
    if (e || out->type == VFS_UNKNOWN)
        return e;
    u64 seconds;
    out->mtime = x.mtime.p                                         ? read_time(x.mtime)
                 : read_octal(h->mtime, sizeof h->mtime, &seconds) ? seconds * 1000000000
                                                                   : 0;
    return read_name(h, &x, out) && read_target(h, &x, out) ? E_SUCCESS : E_INVAL;
}

enum fs_error bundle_find(const u8 *archive, u64 size, const char *name, struct bundle_file *out)
{
    struct bundle_entry *e = heap_alloc(sizeof *e);
    enum fs_error found = E_NOENT, error = e ? E_SUCCESS : E_NOMEM;
    for (u64 at = 0; !error && !(error = bundle_next(archive, size, &at, e));)
        if (e->type == VFS_REGULAR_FILE && str_eq(e->name, name)) {
            *out = (struct bundle_file){e->bytes, e->size};
            found = E_SUCCESS;
        }
    heap_free(e);
    return error == E_NOENT ? found : error;
}

// --- As a file system

// The directories on the way to the last component.
static enum fs_error make_parents(struct vfs_file *root, char *name)
{
    for (char *p = name; *p; p++) {
        if (*p != '/')
            continue;
        *p = 0;
        enum fs_error e = vfs_mkdir(root, name);
        *p = '/';
        if (e && e != E_EXIST)
            return e;
    }
    return E_SUCCESS;
}

static enum fs_error add_file(struct vfs_file *root, const struct bundle_entry *e)
{
    struct vfs_file *f;
    enum fs_error error = vfs_open(root, e->name, VFS_CREATE | VFS_EXCLUSIVE | VFS_WRITE, 0, &f);
    if (error)
        return error;
    memfs_back(f, e->bytes, e->size);
    vfs_close(f);
    return E_SUCCESS;
}

// An absolute link, which vfs_symlink would refuse: it is there, and nobody gets through it.
static enum fs_error add_link(struct vfs_file *root, const struct bundle_entry *e)
{
    return root->ops->symlink(root, e->target, e->name);
}

static enum fs_error add_node(struct vfs_file *root, struct bundle_entry *e)
{
    enum fs_error error = make_parents(root, e->name);
    if (error)
        return error;
    if (e->type == VFS_DIRECTORY) {
        error = vfs_mkdir(root, e->name);
        return error == E_EXIST ? E_SUCCESS : error;
    }
    error = vfs_unlink(root, e->name);
    if (error && error != E_NOENT)
        return error;
    return e->type == VFS_REGULAR_FILE ? add_file(root, e) : add_link(root, e);
}

static enum fs_error add(struct vfs_file *root, struct bundle_entry *e)
{
    struct vfs_times t = {VFS_TIME_SET, VFS_TIME_SET, e->mtime, e->mtime};
    enum fs_error error = add_node(root, e);
    return error ? error : vfs_path_times(root, e->name, false, &t);
}

enum fs_error bundle_mount(const u8 *archive, u64 size, u64 limit, u64 dev, struct vfs_file **out)
{
    struct bundle_entry *e = heap_alloc(sizeof *e);
    struct vfs_file *root = e ? memfs_create(limit, dev) : NULL;
    enum fs_error error = root ? E_SUCCESS : E_NOMEM, end = E_NOENT;
    for (u64 at = 0; !error && !(end = bundle_next(archive, size, &at, e));)
        if (e->type != VFS_UNKNOWN && *e->name)
            error = add(root, e);
    heap_free(e);
    if (!error && end != E_NOENT)
        error = end;
    if (error)
        vfs_close(root);
    else
        *out = root;
    return error;
}
