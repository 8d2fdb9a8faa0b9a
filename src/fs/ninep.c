// SPDX-License-Identifier: MIT
// 9P2000.L, the client's side: see ninep.h.
//
// A connection has one buffer, in which a request is written and its answer arrives; whoever has
// begun (the transport's begin) has it for himself, and positions of files and listings with it.
// Numbers of files (fids) are never used twice. A file may be closed where nothing can wait, so it
// is only put into a list then, and the next request is preceded by telling the server.
//
// A path is walked by the names in it, up to 16 at once, and the server tells what each of them is.
// The target of a link is put in its place in the text, and ".." takes the name before it away,
// once that is known to be a directory: so what is asked for never contains either, and a program
// cannot get out of the directory that a path is relative to, whatever others rename meanwhile.
//
// Who is ended while he waits leaves an answer that is still to come: as many of these are skipped.
//
// A server that dies takes its numbers with it. When another can be had, that is a new session: a
// file is looked up again by its path before it is used the next time, and is the same if the
// server says so (a qid has a version that nothing else of that name has). What was written and not
// synced may be lost, so then the file is E_IO; E_STALE is one that has another path now, or of
// which cannot be known that it is the same. What was asked when the server died is E_IO, for
// nobody knows whether it was done.
#include "fs/ninep.h"

#include <stdarg.h>

#include "base/heap.h"
#include "base/lookup.h"

enum message {
    R_ERROR = 7,
    T_LOPEN = 12,
    T_LCREATE = 14,
    T_SYMLINK = 16,
    T_READLINK = 22,
    T_GETATTR = 24,
    T_SETATTR = 26,
    T_READDIR = 40,
    T_FSYNC = 50,
    T_LINK = 70,
    T_MKDIR = 72,
    T_RENAMEAT = 74,
    T_UNLINKAT = 76,
    T_VERSION = 100,
    T_ATTACH = 104,
    T_WALK = 110,
    T_READ = 116,
    T_WRITE = 118,
    T_CLUNK = 120,
};

enum {
    HEADER = 7,       // size[4] type[1] tag[2]
    DATA_HEADER = 24, // of the messages that carry data
    LEAST = 4096,     // a smaller message would not hold a path
    LISTED = 8192,    // bytes of names that are asked for at once
    NAMES = 16,       // of a walk
    ANYBODY = -1,     // user and group: as the server has it
    NO_FID = -1,
    ROOT = 0, // its number
    NO_TAG = 0xffff,
    QID_DIRECTORY = 0x80,
    QID_LINK = 2,
    // Linux's numbers.
    O_READ_WRITE = 2,
    O_WRITE = 1,
    O_CREATE = 0100,
    O_EXCLUSIVE = 0200,
    O_TRUNCATE = 01000,
    O_NOT_BLOCKING = 04000,
    O_DIRECTORY = 0200000,
    REMOVE_DIRECTORY = 0x200,
    ATTRIBUTES = 0x7ff,
    SET_SIZE = 8,
    SET_ATIME = 16,
    SET_MTIME = 32,
    SET_ATIME_TO = 128,
    SET_MTIME_TO = 256,
};

struct reader {
    const u8 *bytes;
    u32 at, end;
};

struct ninep {
    struct ninep_transport *transport;
    u64 dev;
    u32 files;                 // that are open
    struct ninep_file *closed; // that the server is to be told of
    // Of whoever has begun:
    u8 *buffer;
    u32 message; // bytes that one may have
    struct reader in;
    u32 next_fid, abandoned;
    u32 session; // how many servers there were
    u16 tag;
    bool dead, lost; // lost: there may be another server
};

struct ninep_file {
    struct vfs_file f;
    struct ninep *m;
    u32 fid, list; // as it is walked from; as it is listed, or NO_FID
    u64 ino, position;
    struct ninep_file *next; // closed
    char *path;              // from the root; NULL: it is that, or the path is too long
    u32 session, listing;    // that the numbers are of, and those of names
    u32 version, how;        // as it was opened
    bool unsynced;
    enum fs_error stale; // it cannot be had any more
    u8 *block;           // of a directory: what T_READDIR has brought
    struct reader names; // in there
    u64 first, cookie;   // of the block, and of the next name
};

// How far data have come.
struct cursor {
    const struct vfs_iov *v, *end;
    size_t moved; // of *v
};

struct qid {
    u8 type;
    u32 version;
    u64 path;
};

static struct ninep_file *ninep_file(struct vfs_file *f)
{
    return container_of(f, struct ninep_file, f);
}

// --- Messages

static void copy_data(struct cursor *c, u8 *message, u32 n, bool out)
{
    while (n) {
        size_t part = c->v->n - c->moved < n ? c->v->n - c->moved : n;
        u8 *p = c->v->p + c->moved;
        memcpy(out ? p : message, out ? message : p, part);
        message += part, n -= (u32)part, c->moved += part;
        if (c->moved == c->v->n)
            c->v++, c->moved = 0;
    }
}

static u32 size_of(char letter)
{
    switch (letter) {
    case 'b': return 1;
    case 'w':
    case 's': return 2;
    case 'd':
    case 'v': return 4;
    case 'q': return 8;
    case 'Q': return 13;
    default: return 0;
    }
}

// Fields by a letter each: b, w, d, q: numbers of 1, 2, 4, 8 bytes; with an address and a length:
// s: a text, r: bytes as they are, v: data from a cursor. False: too much.
static bool put(struct ninep *m, u8 type, u16 tag, const char *format, va_list list)
{
    u8 *p = m->buffer + HEADER, *end = m->buffer + m->message;
    for (; *format; format++) {
        u32 size = size_of(*format);
        void *from = NULL;
        if (*format == 's' || *format == 'r' || *format == 'v')
            from = va_arg(list, void *);
        u64 v = *format == 'q' ? va_arg(list, u64) : va_arg(list, u32);
        if ((u64)(end - p) < size + (from ? v : 0))
            return false;
        memcpy(p, &v, size);
        p += size;
        if (*format == 'v')
            copy_data(from, p, (u32)v, false);
        else if (from)
            memcpy(p, from, v);
        p += from ? v : 0;
    }
    u32 size = (u32)(p - m->buffer);
    store_u32(m->buffer, size);
    m->buffer[4] = type;
    store_u16(m->buffer + 5, tag);
    m->in = (struct reader){m->buffer, HEADER, size};
    return true;
}

// The same letters; Q: a struct qid; s: the address of a text, and its length. False: there is not
// so much.
static bool take(struct reader *r, const char *format, ...)
{
    va_list list;
    bool fits = true;
    va_start(list, format);
    for (; *format && fits; format++) {
        u32 size = size_of(*format), length = 0;
        const u8 *p = r->bytes + r->at;
        if (r->end - r->at < size) {
            fits = false;
            break;
        }
        r->at += size;
        void *to = va_arg(list, void *);
        if (*format == 'Q') {
            *(struct qid *)to = (struct qid){p[0], load_u32(p + 1), load_u64(p + 5)};
        } else if (*format == 's') {
            length = load_u16(p);
            *(const char **)to = (const char *)p + 2;
            *va_arg(list, u32 *) = length;
        } else {
            memcpy(to, p, size);
        }
        fits = length <= r->end - r->at;
        r->at += fits ? length : 0;
    }
    va_end(list);
    return fits;
}

// Linux's numbers, up to its last, in ours.
static enum fs_error error_of(u32 number)
{
    static const u8 ours[] = {
        [1] = E_PERM,      [2] = E_NOENT,      [3] = E_SRCH,         [4] = E_IO,
        [5] = E_IO,        [6] = E_NXIO,       [7] = E_2BIG,         [9] = E_BADF,
        [11] = E_AGAIN,    [12] = E_NOMEM,     [13] = E_ACCES,       [14] = E_FAULT,
        [16] = E_BUSY,     [17] = E_EXIST,     [18] = E_XDEV,        [19] = E_NODEV,
        [20] = E_NOTDIR,   [21] = E_ISDIR,     [22] = E_INVAL,       [23] = E_NFILE,
        [24] = E_MFILE,    [25] = E_NOTTY,     [26] = E_TXTBSY,      [27] = E_FBIG,
        [28] = E_NOSPC,    [29] = E_SPIPE,     [30] = E_ROFS,        [31] = E_MLINK,
        [32] = E_PIPE,     [34] = E_RANGE,     [36] = E_NAMETOOLONG, [38] = E_NOSYS,
        [39] = E_NOTEMPTY, [40] = E_LOOP,      [75] = E_OVERFLOW,    [84] = E_ILSEQ,
        [95] = E_NOTSUP,   [110] = E_TIMEDOUT, [116] = E_STALE,      [122] = E_DQUOT,
    };
    enum fs_error e = number < countof(ours) ? (enum fs_error)ours[number] : E_IO;
    return e ? e : E_IO;
}

static enum fs_error die(struct ninep *m)
{
    m->dead = true;
    return E_IO;
}

// The transport has failed.
static enum fs_error lose(struct ninep *m)
{
    if (!m->transport->gone || !m->transport->gone(m->transport))
        return die(m);
    m->lost = true;
    return E_IO;
}

// The answer to a request of that type and tag.
static enum fs_error receive(struct ninep *m, u8 type, u16 tag)
{
    for (;;) {
        u32 size = 0, number;
        enum fs_error e = m->transport->receive(m->transport, m->buffer, m->message, &size);
        if (e == E_INTR)
            m->abandoned++;
        if (e)
            return e == E_INTR ? e : lose(m);
        if (size < HEADER || load_u32(m->buffer) != size)
            return die(m);
        m->in = (struct reader){m->buffer, HEADER, size};
        if (load_u16(m->buffer + 5) != tag) {
            if (!m->abandoned)
                return die(m);
            m->abandoned--;
            if (look_up()) {
                m->abandoned++;
                return E_INTR;
            }
            continue;
        }
        if (m->buffer[4] == R_ERROR)
            return take(&m->in, "d", &number) ? error_of(number) : die(m);
        return m->buffer[4] == type + 1 ? E_SUCCESS : die(m);
    }
}

static enum fs_error rpc(struct ninep *m, enum message type, const char *format, ...)
{
    va_list list;
    u16 tag = NO_TAG;
    if (m->dead || m->lost)
        return E_IO;
    if (type != T_CLUNK && look_up()) // a thread that ends still tells what it has no use for
        return E_INTR;
    if (type != T_VERSION)
        tag = m->tag = m->tag == NO_TAG - 1 ? 0 : (u16)(m->tag + 1);
    va_start(list, format);
    bool fits = put(m, (u8)type, tag, format, list);
    va_end(list);
    if (!fits)
        return E_NAMETOOLONG;
    enum fs_error e = m->transport->send(m->transport, m->buffer, m->in.end);
    if (e)
        return e == E_IO ? lose(m) : e;
    return receive(m, (u8)type, tag);
}

static void clunk(struct ninep *m, u32 fid)
{
    if (fid != (u32)NO_FID)
        rpc(m, T_CLUNK, "d", fid);
}

// --- The connection

static enum fs_error attach(struct ninep *m, u64 *ino)
{
    static const char version[] = "9P2000.L";
    const char *text;
    u32 length, size;
    struct qid q = {0};
    if (!m->buffer && !(m->buffer = heap_alloc(NINEP_MESSAGE)))
        return E_NOMEM;
    m->message = NINEP_MESSAGE;
    enum fs_error e = rpc(m, T_VERSION, "ds", NINEP_MESSAGE, version, (u32)sizeof version - 1);
    if (!e &&
        !(take(&m->in, "ds", &size, &text, &length) && size >= LEAST && size <= NINEP_MESSAGE &&
          length == sizeof version - 1 && !memcmp(text, version, length)))
        e = E_IO;
    if (!e)
        m->message = size;
    if (!e)
        e = rpc(m, T_ATTACH, "ddssd", ROOT, NO_FID, "", 0, "", 0, ANYBODY);
    if (!e && !take(&m->in, "Q", &q))
        e = E_IO;
    if (!e && !(q.type & QID_DIRECTORY))
        e = E_NOTDIR;
    *ino = q.path;
    m->session += !e;
    if (e == E_INTR && !m->session) { // the next one begins anew
        heap_free(m->buffer);
        m->buffer = NULL;
    } else if (e == E_INTR) {
        m->lost = true; // likewise
    } else if (e && !m->lost) {
        m->dead = true;
    }
    return e;
}

// A server in the place of the one that is gone.
static enum fs_error attach_again(struct ninep *m)
{
    u64 ino;
    enum fs_error e = m->transport->again(m->transport);
    if (e == E_NOTSUP)
        return die(m);
    m->lost = e;
    m->abandoned = 0;
    return e ? e : attach(m, &ino);
}

static struct ninep_file *next_closed(struct ninep *m)
{
    struct ninep_file *n = __atomic_load_n(&m->closed, __ATOMIC_ACQUIRE);
    while (n && !__atomic_compare_exchange_n(&m->closed, &n, n->next, false, __ATOMIC_ACQUIRE,
                                             __ATOMIC_ACQUIRE)) {
    }
    return n;
}

static void file_free(struct ninep_file *n)
{
    heap_free(n->path);
    heap_free(n->block);
    heap_free(n);
}

static enum fs_error renew(struct ninep_file *n);

// Success: the caller has the connection for himself, until leave.
static enum fs_error enter(struct vfs_file *f)
{
    struct ninep_file *file = ninep_file(f);
    struct ninep *m = file->m;
    enum fs_error e = m->transport->begin(m->transport);
    if (e)
        return e;
    if (m->dead)
        e = E_IO;
    else if (!m->session && !m->lost) // then there is no file but the root
        e = attach(m, &file->ino);
    else if (m->lost || (m->transport->gone && m->transport->gone(m->transport)))
        e = attach_again(m);
    for (struct ninep_file *n; !e && !m->dead && (n = next_closed(m));) {
        if (n->session == m->session) {
            clunk(m, n->fid);
            clunk(m, n->list);
        }
        file_free(n);
    }
    if (!e && file->session != m->session)
        e = renew(file);
    if (e)
        m->transport->end(m->transport);
    return e;
}

static enum fs_error leave(struct vfs_file *f, enum fs_error e)
{
    struct ninep_transport *t = ninep_file(f)->m->transport;
    t->end(t);
    return e;
}

static void ninep_close(struct vfs_file *f)
{
    struct ninep_file *n = ninep_file(f);
    struct ninep *m = n->m;
    n->next = __atomic_load_n(&m->closed, __ATOMIC_RELAXED);
    while (!__atomic_compare_exchange_n(&m->closed, &n->next, n, false, __ATOMIC_RELEASE,
                                        __ATOMIC_RELAXED)) {
    }
    if (__atomic_sub_fetch(&m->files, 1, __ATOMIC_ACQ_REL))
        return;
    while ((n = next_closed(m)))
        file_free(n);
    m->transport->drop(m->transport);
    heap_free(m->buffer);
    heap_free(m);
}

// --- Paths

enum last { LAST_NAME, LAST_SELF, LAST_FOLLOW }; // as in memory_path.c

struct walk {
    struct ninep *m;
    u32 base;       // what the path is relative to
    u32 fid;        // how far it has come, or NO_FID
    struct qid qid; // what that is
    u32 at;         // the text behind it
    u32 links;
    bool directory;   // the path ended in dots
    bool missing;     // E_NOENT: it is only the last name that is not there
    const char *name; // the last one, LAST_NAME or missing; NULL: the path ended in dots
    u32 length;
    bool slash; // behind the last one
    char path[VFS_PATH];
};

struct piece {
    u32 at, n;
};

static struct piece next_piece(const struct walk *w, u32 at)
{
    while (w->path[at] == '/')
        at++;
    u32 n = 0;
    while (w->path[at + n] && w->path[at + n] != '/')
        n++;
    return (struct piece){at, n};
}

static bool only_slashes(const struct walk *w, u32 at)
{
    return next_piece(w, at).n == 0;
}

// Puts a text in the place of another, which is `n` bytes long.
static bool splice(struct walk *w, u32 at, u32 n, const char *text, u32 length)
{
    u32 rest = (u32)strlen(w->path + at + n) + 1;
    if (at + length + rest > sizeof w->path)
        return false;
    memmove(w->path + at + length, w->path + at + n, rest);
    memcpy(w->path + at, text, length);
    return true;
}

static u32 where(const struct walk *w)
{
    return w->fid == (u32)NO_FID ? w->base : w->fid;
}

// From where it has come to: so many names further, to a number of its own. How many of them there
// were: fewer, and the number is nobody's.
static enum fs_error walk_names(struct walk *w, const struct piece *names, u16 n, u32 *fid,
                                struct qid *qids, u16 *got)
{
    struct ninep *m = w->m;
    char text[NAMES * (VFS_NAME + 2)];
    u32 used = 0;
    for (u32 i = 0; i < n; i++) {
        store_u16((u8 *)text + used, (u16)names[i].n);
        memcpy(text + used + 2, w->path + names[i].at, names[i].n);
        used += 2 + names[i].n;
    }
    if (m->next_fid == (u32)NO_FID) // all are used up
        return die(m);
    *fid = m->next_fid++;
    enum fs_error e = rpc(m, T_WALK, "ddwr", where(w), *fid, n, text, used);
    if (e == E_INTR)
        clunk(m, *fid);
    if (e)
        return e;
    bool fits = take(&m->in, "w", got) && *got <= n && (*got || !n);
    for (u32 i = 0; fits && i < *got; i++)
        fits = take(&m->in, "Q", &qids[i]);
    return fits ? E_SUCCESS : E_IO;
}

static void go_on(struct walk *w, u32 fid)
{
    clunk(w->m, w->fid);
    w->fid = fid;
}

static void done(struct walk *w)
{
    go_on(w, (u32)NO_FID);
}

// The link that a name is: its target takes its place.
static enum fs_error expand_link(struct walk *w, u32 link, struct piece name)
{
    const char *target;
    u32 length;
    enum fs_error e = rpc(w->m, T_READLINK, "d", link);
    if (e)
        return e;
    if (!take(&w->m->in, "s", &target, &length))
        return E_IO;
    if (++w->links > VFS_LINKS)
        return E_LOOP;
    for (u32 i = 0; i < length; i++)
        if (!target[i])
            return E_IO;
    if (!length)
        return E_NOENT;
    if (target[0] == '/')
        return E_PERM;
    return splice(w, name.at, name.n, target, length) ? E_SUCCESS : E_NAMETOOLONG;
}

// Name i is a link; `have`: fid is where all of them lead to.
static enum fs_error at_link(struct walk *w, const struct piece *names, u32 i, bool have, u32 fid,
                             bool *more)
{
    struct qid qids[NAMES];
    enum fs_error e = E_SUCCESS;
    u16 got;
    if (have)
        clunk(w->m, fid);
    e = walk_names(w, names, (u16)(i + 1), &fid, qids, &got);
    if (e || got != i + 1)
        return e ? e : E_IO;
    e = expand_link(w, fid, names[i]);
    clunk(w->m, fid);
    *more = true;
    return e;
}

// ".." is at p: it and the name before it, which is a directory, go, and the walk begins anew.
static enum fs_error step_up(struct walk *w, struct piece p)
{
    u32 at = p.at;
    while (at && w->path[at - 1] == '/')
        at--;
    if (!at)
        return E_PERM;
    while (at && w->path[at - 1] != '/')
        at--;
    splice(w, at, p.at + p.n - at, "", 0);
    done(w);
    w->qid.type = QID_DIRECTORY;
    w->at = 0;
    return E_SUCCESS;
}

// What names from there on lead to, up to dots or the end. *more: there is something left.
static enum fs_error step(struct walk *w, enum last last, bool *more)
{
    struct piece names[NAMES], p = {w->at, 0};
    struct qid qids[NAMES];
    u32 fid;
    u16 n = 0, got;
    bool up = false, end = false;
    for (u32 at = w->at; n < NAMES && !up && !end; at = p.at + p.n) {
        p = next_piece(w, at);
        bool dots = p.n && p.n <= 2 && w->path[p.at] == '.' && w->path[p.at + p.n - 1] == '.';
        bool at_end = only_slashes(w, p.at + p.n);
        if (!p.n) {
            end = true;
        } else if (dots) {
            w->directory |= at_end;
            up = p.n == 2;
            if (!up) {
                splice(w, p.at, 1, "", 0);
                p.n = 0;
            }
        } else if (p.n > VFS_NAME) {
            return E_NAMETOOLONG;
        } else if (at_end && last == LAST_NAME && !w->directory) {
            w->name = w->path + p.at;
            w->length = p.n;
            w->slash = w->path[p.at + p.n];
            end = true;
        } else {
            names[n++] = p;
        }
    }
    end |= n == NAMES && only_slashes(w, p.at + p.n);
    *more = !end;
    if (n) {
        const struct piece *z = &names[n - 1];
        bool final = end && !w->name, slash = final && (w->path[z->at + z->n] || w->directory);
        enum fs_error e = walk_names(w, names, n, &fid, qids, &got);
        if (e == E_NOENT && n == 1 && final && !w->directory) {
            w->missing = true;
            w->name = w->path + z->at;
            w->length = z->n;
            w->slash = slash;
        }
        if (e)
            return e;
        for (u32 i = 0; i < got; i++) {
            bool keep = final && i + 1u == n && !slash;
            if (qids[i].type & QID_LINK && !(keep && last == LAST_SELF))
                return at_link(w, names, i, got == n, fid, more);
            if (!(qids[i].type & QID_DIRECTORY) && !keep) {
                if (got == n)
                    clunk(w->m, fid);
                return E_NOTDIR;
            }
        }
        if (got < n) { // what is wrong with the next one it says when that is asked for alone
            n = got;
            e = walk_names(w, names, n, &fid, qids, &got);
            if (e || got < n)
                return e ? e : E_IO;
            *more = true;
            up = false;
            p = names[n - 1];
        }
        go_on(w, fid);
        w->qid = qids[n - 1];
    }
    w->at = p.at + p.n;
    return up ? step_up(w, p) : E_SUCCESS;
}

static enum fs_error walk_path(struct ninep *m, u32 base, u64 ino, const char *path, enum last last,
                               struct walk *w)
{
    enum fs_error e = E_SUCCESS;
    bool more = true;
    w->m = m;
    w->base = base;
    w->fid = (u32)NO_FID;
    w->qid = (struct qid){QID_DIRECTORY, 0, ino};
    w->at = w->links = 0;
    w->directory = w->missing = w->slash = false;
    w->name = NULL;
    memcpy(w->path, path, strlen(path) + 1);
    while (more && !e)
        e = step(w, last, &more);
    if (e && !w->missing)
        done(w);
    return e;
}

static enum fs_error find(struct vfs_file *d, const char *path, enum last last, struct walk *w)
{
    const struct ninep_file *n = ninep_file(d);
    return walk_path(n->m, n->fid, n->ino, path, last, w);
}

// --- What is done to a file that the server knows by number

static enum vfs_type type_of(u32 kind)
{
    switch (kind) {
    case 2: return VFS_CHARACTER_DEVICE;
    case 4: return VFS_DIRECTORY;
    case 6: return VFS_BLOCK_DEVICE;
    case 8: return VFS_REGULAR_FILE;
    case 10: return VFS_SYMBOLIC_LINK;
    case 12: return VFS_SOCKET_STREAM;
    default: return VFS_UNKNOWN;
    }
}

static enum fs_error get_attributes(struct ninep *m, u32 fid, struct vfs_stat *out)
{
    u64 skip, seconds[3], ns[3];
    u32 mode, owner;
    struct qid q;
    enum fs_error e = rpc(m, T_GETATTR, "dq", fid, (u64)ATTRIBUTES);
    if (e)
        return e;
    *out = (struct vfs_stat){.dev = m->dev};
    if (!take(&m->in, "qQdddqqqqqqqqqqq", &skip, &q, &mode, &owner, &owner, &out->nlink, &skip,
              &out->size, &skip, &skip, &seconds[0], &ns[0], &seconds[1], &ns[1], &seconds[2],
              &ns[2]))
        return E_IO;
    out->ino = q.path;
    out->type = type_of(mode >> 12 & 15);
    out->atime = seconds[0] * 1000000000 + ns[0];
    out->mtime = seconds[1] * 1000000000 + ns[1];
    out->ctime = seconds[2] * 1000000000 + ns[2];
    return E_SUCCESS;
}

// How many bytes of an open file there are, by reading: at most two requests for each bit of that.
static enum fs_error find_end(struct ninep *m, u32 fid, u64 *size)
{
    u64 there = 0, end = 1; // bytes that are; what is asked for is whether all before `end` are
    enum fs_error e = E_SUCCESS;
    for (bool more = true, found; !e && (more || end - there > 1);) {
        u64 at = more ? end : there + (end - there) / 2;
        u32 got = 0;
        e = rpc(m, T_READ, "dqd", fid, at - 1, 1);
        if (!e && !take(&m->in, "d", &got))
            e = E_IO;
        found = got;
        more &= found && at < 1ull << 62;
        there = found ? at : there;
        end = more ? 2 * at : found ? end : at;
    }
    *size = there;
    return e;
}

// Of a file that is open. A server may know it by its path (QEMU's does), and then it has no
// attributes any more once it is removed: but that it has no name, and that its data are there.
static enum fs_error file_attributes(const struct ninep_file *n, struct vfs_stat *out)
{
    enum fs_error e = get_attributes(n->m, n->fid, out);
    if (e != E_NOENT)
        return e;
    *out = (struct vfs_stat){.dev = n->m->dev, .ino = n->ino, .type = n->f.type};
    if (n->f.type == VFS_DIRECTORY)
        return E_SUCCESS;
    return find_end(n->m, n->fid, &out->size) ? e : E_SUCCESS;
}

static enum fs_error set_attributes(struct ninep *m, u32 fid, u32 which, u64 size,
                                    const struct vfs_times *t)
{
    return rpc(m, T_SETATTR,
               "ddddd"
               "qqqqq",
               fid, which, 0, ANYBODY, ANYBODY, size, t ? t->atime / 1000000000 : 0,
               t ? t->atime % 1000000000 : 0, t ? t->mtime / 1000000000 : 0,
               t ? t->mtime % 1000000000 : 0);
}

static enum fs_error set_times(struct ninep *m, u32 fid, const struct vfs_times *t)
{
    static const u32 atime[] = {0, SET_ATIME, SET_ATIME | SET_ATIME_TO};
    static const u32 mtime[] = {0, SET_MTIME, SET_MTIME | SET_MTIME_TO};
    return set_attributes(m, fid, atime[t->access] | mtime[t->modify], 0, t);
}

static enum fs_error ninep_stat(struct vfs_file *f, struct vfs_stat *out)
{
    enum fs_error e = enter(f);
    return e ? e : leave(f, file_attributes(ninep_file(f), out));
}

static enum fs_error ninep_set_size(struct vfs_file *f, u64 size)
{
    enum fs_error e = size > INT64_MAX ? E_FBIG : enter(f);
    struct ninep_file *n = ninep_file(f);
    if (e)
        return e;
    n->unsynced = true;
    return leave(f, set_attributes(n->m, n->fid, SET_SIZE, size, NULL));
}

static enum fs_error ninep_set_times(struct vfs_file *f, const struct vfs_times *t)
{
    enum fs_error e = enter(f);
    return e ? e : leave(f, set_times(ninep_file(f)->m, ninep_file(f)->fid, t));
}

static enum fs_error ninep_set_flags(struct vfs_file *f, u32 flags)
{
    if ((flags ^ f->flags) & (VFS_DSYNC | VFS_RSYNC | VFS_SYNC))
        return E_NOTSUP;
    f->flags = flags;
    return E_SUCCESS;
}

static enum fs_error ninep_sync(struct vfs_file *f, bool data_only)
{
    enum fs_error e = f->type == VFS_DIRECTORY ? E_SUCCESS : enter(f);
    if (e || f->type == VFS_DIRECTORY)
        return e;
    e = rpc(ninep_file(f)->m, T_FSYNC, "dd", ninep_file(f)->fid, (u32)data_only);
    ninep_file(f)->unsynced &= e != E_SUCCESS;
    return leave(f, e);
}

// Room on a disk cannot be asked for: the file becomes long enough.
static enum fs_error ninep_allocate(struct vfs_file *f, u64 offset, u64 length)
{
    u64 end;
    struct vfs_stat st;
    struct ninep_file *n = ninep_file(f);
    if (!length)
        return E_INVAL;
    if (__builtin_add_overflow(offset, length, &end) || end > INT64_MAX)
        return E_FBIG;
    enum fs_error e = enter(f);
    if (e)
        return e;
    e = file_attributes(n, &st);
    if (!e && end > st.size)
        n->unsynced = true, e = set_attributes(n->m, n->fid, SET_SIZE, end, NULL);
    return leave(f, e);
}

static enum fs_error ninep_advise(struct vfs_file *f, u64 offset, u64 length, u32 advice)
{
    (void)f;
    return advice > 5 || offset > INT64_MAX || length > INT64_MAX ? E_INVAL : E_SUCCESS;
}

// --- Data

static enum fs_error move_some(struct ninep_file *n, struct cursor *c, bool write, u64 offset,
                               u32 size, u32 *moved)
{
    struct ninep *m = n->m;
    enum fs_error e = write ? rpc(m, T_WRITE, "dqv", n->fid, offset, c, size)
                            : rpc(m, T_READ, "dqd", n->fid, offset, size);
    if (e)
        return e;
    if (!take(&m->in, "d", moved) || *moved > size)
        return E_IO;
    if (!write && *moved > m->in.end - m->in.at)
        return E_IO;
    if (!write)
        copy_data(c, m->buffer + m->in.at, *moved, true);
    return E_SUCCESS;
}

static enum fs_error move(struct vfs_file *f, const struct vfs_iov *v, u32 n, u64 offset, u64 *done,
                          bool write)
{
    struct ninep_file *file = ninep_file(f);
    struct cursor c = {v, v + n, 0};
    struct vfs_stat st;
    u64 size = 0;
    u32 moved, part;
    bool here = offset == VFS_HERE;
    *done = 0;
    enum fs_error e = enter(f);
    if (e)
        return e;
    file->unsynced |= write;
    for (u32 i = 0; i < n; i++)
        size += v[i].n;
    if (write && f->flags & VFS_APPEND && !(e = file_attributes(file, &st)))
        offset = st.size;
    else if (here)
        offset = file->position;
    u32 most = file->m->message - DATA_HEADER;
    do {
        struct cursor before = c;
        part = size - *done < most ? (u32)(size - *done) : most;
        moved = 0;
        if (e || !part || (e = move_some(file, &c, write, offset + *done, part, &moved)))
            break;
        if (write && moved < part) { // the cursor has gone further
            c = before;
            part = 0;
        }
        *done += moved;
    } while (moved == part && part);
    if (here)
        file->position = offset + *done;
    return leave(f, *done && e != E_INTR ? E_SUCCESS : e);
}

static enum fs_error ninep_read(struct vfs_file *f, const struct vfs_iov *v, u32 n, u64 offset,
                                u64 *done)
{
    return move(f, v, n, offset, done, false);
}

static enum fs_error ninep_write(struct vfs_file *f, const struct vfs_iov *v, u32 n, u64 offset,
                                 u64 *done)
{
    return move(f, v, n, offset, done, true);
}

static enum fs_error ninep_seek(struct vfs_file *f, s64 offset, enum vfs_whence whence,
                                u64 *position)
{
    struct ninep_file *n = ninep_file(f);
    struct vfs_stat st = {.size = 0};
    s64 to;
    enum fs_error e = enter(f);
    if (e)
        return e;
    if (whence == VFS_SEEK_END)
        e = file_attributes(n, &st);
    else if (whence == VFS_SEEK_CUR)
        st.size = n->position;
    if (!e && __builtin_add_overflow((s64)st.size, offset, &to))
        e = E_OVERFLOW;
    if (!e && to < 0)
        e = E_INVAL;
    if (!e)
        *position = n->position = (u64)to;
    return leave(f, e);
}

// --- Listing

// One more number for a file, or one that a walk has come to.
static enum fs_error clone(struct walk *w)
{
    u32 fid;
    u16 got;
    enum fs_error e = w->fid == (u32)NO_FID ? walk_names(w, NULL, 0, &fid, NULL, &got) : E_SUCCESS;
    if (!e && w->fid == (u32)NO_FID)
        w->fid = fid;
    return e;
}

static enum fs_error open_list(struct ninep_file *d)
{
    struct walk w = {.m = d->m, .base = d->fid, .fid = (u32)NO_FID};
    enum fs_error e = clone(&w);
    if (!e && (e = rpc(d->m, T_LOPEN, "dd", w.fid, O_DIRECTORY)))
        done(&w);
    if (!e) {
        d->list = w.fid;
        d->listing = d->m->session;
    }
    return e;
}

static enum fs_error read_block(struct ninep_file *d, u64 cookie)
{
    struct ninep *m = d->m;
    u32 size, most = m->message - DATA_HEADER < LISTED ? m->message - DATA_HEADER : LISTED;
    enum fs_error e = d->list == (u32)NO_FID ? open_list(d) : E_SUCCESS;
    d->names.at = d->names.end = 0;
    if (!d->block && !(d->block = heap_alloc(LISTED)))
        return E_NOMEM;
    if (!e)
        e = rpc(m, T_READDIR, "dqd", d->list, cookie, most);
    if (e)
        return e;
    if (!take(&m->in, "d", &size) || size > most || size > m->in.end - m->in.at)
        return E_IO;
    memcpy(d->block, m->buffer + m->in.at, size);
    d->names = (struct reader){d->block, 0, size};
    d->first = d->cookie = cookie;
    return size ? E_SUCCESS : E_NOENT;
}

static bool good_name(const char *p, u32 n)
{
    for (u32 i = 0; i < n; i++)
        if (!p[i] || p[i] == '/')
            return false;
    return n && n <= VFS_NAME;
}

static enum fs_error take_name(struct ninep_file *d, struct vfs_dirent *out)
{
    struct qid q;
    u8 kind;
    const char *name;
    if (!take(&d->names, "Qqbs", &q, &out->next, &kind, &name, &out->length) ||
        !good_name(name, out->length) || !out->next || out->next > INT64_MAX) {
        d->names.end = 0;
        return E_IO;
    }
    d->cookie = out->next;
    memcpy(out->name, name, out->length);
    out->name[out->length] = 0;
    out->type = type_of(kind);
    out->ino = str_eq(out->name, "..") ? d->ino : q.path;
    return E_SUCCESS;
}

static enum fs_error ninep_readdir(struct vfs_file *f, u64 cookie, struct vfs_dirent *out)
{
    struct ninep_file *d = ninep_file(f);
    enum fs_error e = enter(f);
    if (e)
        return e;
    if (cookie && d->listing && d->listing != d->m->session)
        return leave(f, E_STALE); // what the number stands for went with the server
    if (d->cookie != cookie) {    // it may be a little way back
        d->names.at = 0;
        d->cookie = d->first;
    }
    while (!e && d->cookie != cookie && d->names.at < d->names.end)
        e = take_name(d, out);
    if (!e && (d->names.at >= d->names.end || d->cookie != cookie || !cookie))
        e = read_block(d, cookie);
    if (!e)
        e = take_name(d, out);
    return leave(f, e);
}

// --- By path

static const struct vfs_ops file_ops, directory_ops;

static struct ninep_file *file_of(struct ninep *m, u32 fid, enum vfs_type type, u32 flags)
{
    struct ninep_file *n = heap_zalloc(sizeof *n);
    if (!n)
        return NULL;
    n->f = (struct vfs_file){.ops = type == VFS_DIRECTORY ? &directory_ops : &file_ops,
                             .refs = 1,
                             .type = type,
                             .flags = flags,
                             .parks = true};
    n->m = m;
    n->fid = fid;
    n->list = (u32)NO_FID;
    n->session = m->session;
    __atomic_add_fetch(&m->files, 1, __ATOMIC_RELAXED);
    return n;
}

// The path of what a walk from a directory has come to, if there is memory, and use, for it.
static char *path_of(const struct walk *w, const struct vfs_file *directory)
{
    const char *base = ninep_file((struct vfs_file *)directory)->path;
    size_t n = base ? strlen(base) : 0, size = strlen(w->path) + 1;
    bool root = ninep_file((struct vfs_file *)directory)->fid == ROOT;
    char *path = NULL;
    if (w->m->transport->again && (base || root) && n + 1 + size <= VFS_PATH)
        path = heap_alloc(n + 1 + size);
    if (!path)
        return NULL;
    if (n)
        memcpy(path, base, n);
    path[n] = '/';
    memcpy(path + n + 1, w->path, size);
    return path;
}

// The number is the file's then.
static enum fs_error file_new(struct walk *w, const struct vfs_file *d, enum vfs_type type, u32 how,
                              u32 flags, struct vfs_file **out)
{
    struct ninep_file *n = file_of(w->m, w->fid, type, flags);
    if (!n)
        return E_NOMEM;
    n->path = path_of(w, d);
    n->how = how & (VFS_READ | VFS_WRITE);
    n->unsynced = how & VFS_TRUNCATE;
    n->version = w->qid.version;
    n->ino = w->qid.path;
    w->fid = (u32)NO_FID;
    *out = &n->f;
    return E_SUCCESS;
}

static u32 open_flags(u32 how, u32 flags)
{
    u32 o = O_NOT_BLOCKING;
    o |= how & VFS_WRITE ? how & VFS_READ ? O_READ_WRITE : O_WRITE : 0;
    o |= how & VFS_TRUNCATE ? O_TRUNCATE : 0;
    o |= how & VFS_EXCLUSIVE ? O_EXCLUSIVE : 0;
    o |= flags & VFS_DSYNC ? 010000 : 0;
    return o | (flags & (VFS_SYNC | VFS_RSYNC) ? 04010000 : 0);
}

static enum fs_error create(struct walk *w, const struct vfs_file *d, u32 how, u32 flags,
                            struct vfs_file **out)
{
    enum fs_error e = clone(w);
    if (!e)
        e = rpc(w->m, T_LCREATE, "dsddd", w->fid, w->name, w->length,
                open_flags(how, flags) | O_CREATE, 0666, ANYBODY);
    if (!e && !take(&w->m->in, "Q", &w->qid))
        e = E_IO;
    return e ? e : file_new(w, d, VFS_REGULAR_FILE, how, flags, out);
}

static enum fs_error open_found(struct walk *w, const struct vfs_file *d, u32 how, u32 flags,
                                struct vfs_file **out)
{
    bool directory = w->qid.type & QID_DIRECTORY;
    if (!directory && how & VFS_DIR_ONLY)
        return E_NOTDIR;
    if (w->qid.type & QID_LINK)
        return E_LOOP;
    if (directory && how & (VFS_WRITE | VFS_CREATE | VFS_TRUNCATE))
        return E_ISDIR;
    enum fs_error e = clone(w);
    if (!e && !directory)
        e = rpc(w->m, T_LOPEN, "dd", w->fid, open_flags(how, flags));
    return e ? e : file_new(w, d, directory ? VFS_DIRECTORY : VFS_REGULAR_FILE, how, flags, out);
}

// Where the path leads to now, if that is the file.
static enum fs_error walk_again(struct ninep_file *n, struct walk *w)
{
    bool directory = n->f.type == VFS_DIRECTORY;
    enum fs_error e = walk_path(n->m, ROOT, 0, n->path, LAST_SELF, w);
    if (e)
        return e == E_NOENT || e == E_NOTDIR ? E_STALE : e;
    if (w->qid.path != n->ino || directory != !!(w->qid.type & QID_DIRECTORY) ||
        (!directory && (!n->version || w->qid.version != n->version)))
        return E_STALE;
    e = clone(w);
    if (!e && !directory)
        e = rpc(n->m, T_LOPEN, "dd", w->fid, open_flags(n->how, n->f.flags));
    return e;
}

// A file of a session before this one.
static enum fs_error renew(struct ninep_file *n)
{
    struct walk *w = NULL;
    enum fs_error e = n->stale;
    if (!e && n->fid != ROOT && (n->unsynced || !n->path))
        e = n->stale = n->unsynced ? E_IO : E_STALE;
    if (!e && n->fid != ROOT && !(w = heap_alloc(sizeof *w)))
        e = E_NOMEM;
    if (w) {
        e = walk_again(n, w);
        if (!e)
            n->fid = w->fid;
        else
            done(w);
        if (e == E_STALE)
            n->stale = e;
        heap_free(w);
    }
    if (e)
        return e;
    n->list = (u32)NO_FID;
    n->names = (struct reader){0};
    n->cookie = UINT64_MAX;
    n->session = n->m->session;
    return E_SUCCESS;
}

static enum fs_error ninep_open(struct vfs_file *d, const char *path, u32 how, u32 flags,
                                struct vfs_file **out)
{
    struct walk w;
    bool creates = how & VFS_CREATE, exclusive = creates && how & VFS_EXCLUSIVE;
    bool directory = creates && path[strlen(path) - 1] == '/'; // which this cannot make
    bool names = exclusive || directory;
    if (!creates)
        how &= ~(u32)VFS_EXCLUSIVE;
    enum fs_error e = enter(d);
    if (e)
        return e;
    e = find(d, path, names ? LAST_NAME : how & VFS_FOLLOW ? LAST_FOLLOW : LAST_SELF, &w);
    bool missing = e == E_NOENT && w.missing;
    if (!e && (directory || (exclusive && !w.name)))
        e = directory ? E_ISDIR : E_EXIST;
    else if ((missing && creates) || (!e && names))
        e = create(&w, d, how, flags, out);
    else if (!e)
        e = open_found(&w, d, how, flags, out);
    if (e)
        done(&w);
    return leave(d, e);
}

// One thing that is there, and what it is: what most calls want. Success: left by leave_found.
static enum fs_error enter_found(struct vfs_file *d, const char *path, enum last last,
                                 struct walk *w)
{
    enum fs_error e = enter(d);
    if (e)
        return e;
    e = find(d, path, last, w);
    if (e && w->missing)
        done(w);
    return e ? leave(d, e) : E_SUCCESS;
}

static enum fs_error leave_found(struct vfs_file *d, struct walk *w, enum fs_error e)
{
    done(w);
    return leave(d, e);
}

static enum fs_error ninep_path_stat(struct vfs_file *d, const char *path, bool follow,
                                     struct vfs_stat *out)
{
    struct walk w;
    enum fs_error e = enter_found(d, path, follow ? LAST_FOLLOW : LAST_SELF, &w);
    return e ? e : leave_found(d, &w, get_attributes(w.m, where(&w), out));
}

static enum fs_error ninep_path_times(struct vfs_file *d, const char *path, bool follow,
                                      const struct vfs_times *t)
{
    struct walk w;
    enum fs_error e = enter_found(d, path, follow ? LAST_FOLLOW : LAST_SELF, &w);
    return e ? e : leave_found(d, &w, set_times(w.m, where(&w), t));
}

static enum fs_error ninep_readlink(struct vfs_file *d, const char *path, char *buffer, u32 size,
                                    u32 *length)
{
    struct walk w;
    const char *target;
    u32 n;
    enum fs_error e = enter_found(d, path, LAST_SELF, &w);
    if (e)
        return e;
    if (!(w.qid.type & QID_LINK))
        return leave_found(d, &w, E_INVAL);
    e = rpc(w.m, T_READLINK, "d", w.fid);
    if (!e && !take(&w.m->in, "s", &target, &n))
        e = E_IO;
    if (!e) {
        *length = n < size ? n : size;
        memcpy(buffer, target, *length);
    }
    return leave_found(d, &w, e);
}

// What the name that a walk has ended before is, with a number in *fid.
static enum fs_error look_at_name(struct walk *w, struct qid *q, u32 *fid)
{
    struct piece name = {(u32)(w->name - w->path), w->length};
    u16 got;
    enum fs_error e = walk_names(w, &name, 1, fid, q, &got);
    return e;
}

static enum fs_error is_directory(struct walk *w, bool *directory)
{
    struct qid q;
    u32 fid;
    enum fs_error e = look_at_name(w, &q, &fid);
    if (e)
        return e;
    clunk(w->m, fid);
    *directory = q.type & QID_DIRECTORY;
    return E_SUCCESS;
}

static enum fs_error ninep_mkdir(struct vfs_file *d, const char *path)
{
    struct walk w;
    enum fs_error e = enter_found(d, path, LAST_NAME, &w);
    if (e)
        return e;
    e = !w.name ? E_EXIST : rpc(w.m, T_MKDIR, "dsdd", where(&w), w.name, w.length, 0777, ANYBODY);
    return leave_found(d, &w, e);
}

static enum fs_error ninep_rmdir(struct vfs_file *d, const char *path)
{
    struct walk w;
    enum fs_error e = enter_found(d, path, LAST_NAME, &w);
    if (e)
        return e;
    e = !w.name ? E_INVAL
                : rpc(w.m, T_UNLINKAT, "dsd", where(&w), w.name, w.length, REMOVE_DIRECTORY);
    return leave_found(d, &w, e);
}

static enum fs_error ninep_unlink(struct vfs_file *d, const char *path)
{
    struct walk w;
    bool directory = false;
    enum fs_error e = enter_found(d, path, LAST_NAME, &w);
    if (e)
        return e;
    if (!w.name)
        e = E_ISDIR;
    else if (w.slash && !(e = is_directory(&w, &directory)))
        e = directory ? E_ISDIR : E_NOTDIR;
    if (!e)
        e = rpc(w.m, T_UNLINKAT, "dsd", where(&w), w.name, w.length, 0);
    return leave_found(d, &w, e);
}

static enum fs_error slash_behind_new(struct walk *w)
{
    bool directory;
    enum fs_error e = !w->name ? E_EXIST : w->slash ? is_directory(w, &directory) : E_SUCCESS;
    return !e && w->slash ? E_EXIST : e;
}

static enum fs_error ninep_symlink(struct vfs_file *d, const char *target, const char *path)
{
    struct walk w;
    enum fs_error e = enter_found(d, path, LAST_NAME, &w);
    if (e)
        return e;
    e = slash_behind_new(&w);
    if (!e)
        e = rpc(w.m, T_SYMLINK, "dssd", where(&w), w.name, w.length, target, (u32)strlen(target),
                ANYBODY);
    return leave_found(d, &w, e);
}

// Two names of the same connection; both are to be left.
static enum fs_error enter_two(struct vfs_file *d, const char *path, struct vfs_file *to_dir,
                               const char *to, struct walk *a, struct walk *b)
{
    if (ninep_file(d)->m != ninep_file(to_dir)->m)
        return E_XDEV;
    enum fs_error e = enter_found(d, path, LAST_NAME, a);
    if (e)
        return e;
    if (ninep_file(to_dir)->session != a->m->session)
        e = renew(ninep_file(to_dir));
    if (!e)
        e = find(to_dir, to, LAST_NAME, b);
    return e ? leave_found(d, a, e) : E_SUCCESS;
}

static enum fs_error ninep_rename(struct vfs_file *d, const char *path, struct vfs_file *to_dir,
                                  const char *to)
{
    struct walk a, b;
    bool directory = true;
    enum fs_error e = enter_two(d, path, to_dir, to, &a, &b);
    if (e)
        return e;
    if (!a.name || !b.name)
        e = E_BUSY;
    else if (a.slash || b.slash)
        e = is_directory(&a, &directory);
    if (!e && !directory)
        e = E_NOTDIR;
    if (!e)
        e = rpc(a.m, T_RENAMEAT, "dsds", where(&a), a.name, a.length, where(&b), b.name, b.length);
    done(&b);
    return leave_found(d, &a, e);
}

static enum fs_error ninep_link(struct vfs_file *d, const char *path, struct vfs_file *to_dir,
                                const char *to)
{
    struct walk a, b;
    struct qid q;
    u32 fid = (u32)NO_FID;
    enum fs_error e = enter_two(d, path, to_dir, to, &a, &b);
    if (e)
        return e;
    e = a.name ? look_at_name(&a, &q, &fid) : E_PERM;
    if (!e && (q.type & QID_DIRECTORY || a.slash))
        e = q.type & QID_DIRECTORY ? E_PERM : E_NOTDIR;
    if (!e)
        e = slash_behind_new(&b);
    if (!e)
        e = rpc(a.m, T_LINK, "dds", where(&b), fid, b.name, b.length);
    clunk(a.m, fid);
    done(&b);
    return leave_found(d, &a, e);
}

static const struct vfs_ops file_ops = {
    .close = ninep_close,
    .read = ninep_read,
    .write = ninep_write,
    .seek = ninep_seek,
    .stat = ninep_stat,
    .set_size = ninep_set_size,
    .set_times = ninep_set_times,
    .set_flags = ninep_set_flags,
    .allocate = ninep_allocate,
    .advise = ninep_advise,
    .sync = ninep_sync,
};

static const struct vfs_ops directory_ops = {
    .close = ninep_close,
    .stat = ninep_stat,
    .set_times = ninep_set_times,
    .set_flags = ninep_set_flags,
    .readdir = ninep_readdir,
    .open = ninep_open,
    .path_stat = ninep_path_stat,
    .path_times = ninep_path_times,
    .mkdir = ninep_mkdir,
    .rmdir = ninep_rmdir,
    .unlink = ninep_unlink,
    .rename = ninep_rename,
    .link = ninep_link,
    .symlink = ninep_symlink,
    .readlink = ninep_readlink,
};

struct vfs_file *ninep_folder(struct ninep_transport *t, u64 dev)
{
    struct ninep *m = heap_zalloc(sizeof *m);
    struct ninep_file *n = m ? file_of(m, ROOT, VFS_DIRECTORY, 0) : NULL;
    if (!n) {
        heap_free(m);
        return NULL;
    }
    m->transport = t;
    m->dev = dev;
    m->next_fid = 1;
    return &n->f;
}
