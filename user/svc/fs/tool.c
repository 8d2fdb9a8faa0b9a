// SPDX-License-Identifier: MIT
// See tool.h. Data come from standard input and go to standard output. Messages are whole lines, on
// standard error.
#include "tool.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "volume.h"

enum { MEMORY = 256 << 20, PIECE = 65536 };
enum { CODE_OK, CODE_ERROR, CODE_USAGE };

static uint8_t piece[PIECE];
static const char *image; // for messages

__attribute__((format(printf, 1, 2))) static int fail(const char *format, ...)
{
    va_list list;
    va_start(list, format);
    fputs("nebulet: ", stderr);
    vfprintf(stderr, format, list);
    fputc('\n', stderr);
    va_end(list);
    return CODE_ERROR;
}

// The protocol's errors are Linux's numbers, WASI has others.
static const char *text_of(int e)
{
    switch (e) {
    case NOENT: return "no such file or directory";
    case IO: return "the disk cannot be read or written, or is damaged";
    case NOMEM: return "out of memory";
    case EXIST: return "it exists";
    case NOTDIR: return "not a directory";
    case ISDIR: return "is a directory";
    case FBIG: return "a file has at most 2 GiB";
    case NOSPC: return "no space left on the disk";
    case ROFS: return "the disk is read-only";
    case NAMETOOLONG: return "the name is too long";
    case NOTEMPTY: return "the directory is not empty";
    default: return "that cannot be done";
    }
}

// --- Paths. Links are not followed.

static struct name next_name(const char **path)
{
    *path += strspn(*path, "/");
    struct name name = {*path, (uint32_t)strcspn(*path, "/")};
    *path += name.length;
    return name;
}

// What is at a path, held; or all but the last of its names, and *last.
static int walk(struct store *s, const char *path, struct node **out, struct name *last)
{
    struct node *n = s->root, *next;
    struct name name = next_name(&path);
    int e = 0;
    node_hold(n);
    while (!e && name.length && !(last && !path[strspn(path, "/")])) {
        if (name.text[0] == '.' && (name.length == 1 || (name.length == 2 && name.text[1] == '.')))
            e = INVAL;
        else if (name.length > NINEP_NAME_MAX)
            e = NAMETOOLONG;
        else if (!node_is(n, IS_DIRECTORY))
            e = NOTDIR;
        else
            e = s->ops->find(s, n, name, &next);
        if (!e) {
            node_let_go(s, n);
            n = next;
            name = next_name(&path);
        }
    }
    if (!e && last) {
        *last = name;
        e = !name.length ? EXIST : !node_is(n, IS_DIRECTORY) ? NOTDIR : 0;
    }
    if (e)
        node_let_go(s, n);
    else
        *out = n;
    return e;
}

// --- Commands: an error, or 0.

// Names are whatever the image says.
static void print_name(struct name name)
{
    for (uint32_t i = 0; i < name.length; i++)
        putchar((uint8_t)name.text[i] < ' ' || name.text[i] == 127 ? '?' : name.text[i]);
    putchar('\n');
}

static int print_entry(void *context, struct name name, uint32_t mode, uint64_t size)
{
    char kind = (mode & KIND) == IS_DIRECTORY ? 'd' : (mode & KIND) == IS_LINK ? 'l' : '-';
    (void)context;
    printf("%c%c%c%c%c%c%c%c%c%c %10llu ", kind, mode & 0400 ? 'r' : '-', mode & 0200 ? 'w' : '-',
           mode & 0100 ? 'x' : '-', mode & 040 ? 'r' : '-', mode & 020 ? 'w' : '-',
           mode & 010 ? 'x' : '-', mode & 04 ? 'r' : '-', mode & 02 ? 'w' : '-',
           mode & 01 ? 'x' : '-', (unsigned long long)size);
    print_name(name);
    return 0;
}

static int do_ls(struct store *s, const char *path)
{
    struct node *n;
    int e = walk(s, path, &n, NULL);
    if (e)
        return e;
    const char *slash = strrchr(path, '/'), *base = slash ? slash + 1 : path;
    if (node_is(n, IS_DIRECTORY))
        e = volume_list(s, n, print_entry, NULL);
    else
        e = print_entry(NULL, (struct name){base, (uint32_t)strlen(base)}, n->mode, n->size);
    node_let_go(s, n);
    return e;
}

static int do_cat(struct store *s, const char *path)
{
    struct node *n;
    int e = walk(s, path, &n, NULL);
    if (e)
        return e;
    if (node_is(n, IS_DIRECTORY))
        e = ISDIR;
    for (uint64_t at = 0, got; !e && at < n->size; at += got) {
        got = n->size - at < PIECE ? n->size - at : PIECE;
        if (!(e = s->ops->read(s, n, at, piece, &got)) &&
            (!got || fwrite(piece, 1, got, stdout) != got))
            e = IO;
    }
    node_let_go(s, n);
    return e;
}

static int fill(struct store *s, struct node *n)
{
    size_t got;
    int e = s->ops->set_size(s, n, 0);
    for (uint64_t at = 0; !e && (got = fread(piece, 1, PIECE, stdin)); at += got)
        e = s->ops->write(s, n, at, piece, got);
    if (!e && ferror(stdin))
        e = IO;
    return e ? e : s->ops->sync(s, n);
}

static int make(struct store *s, const char *path, uint32_t mode, struct node **out)
{
    struct node *d;
    struct name name;
    int e = walk(s, path, &d, &name);
    if (e)
        return e;
    e = s->ops->find(s, d, name, out);
    if (!e && (mode & KIND) == IS_DIRECTORY) {
        node_let_go(s, *out);
        e = EXIST;
    } else if (e == NOENT) {
        e = name.length > NINEP_NAME_MAX ? NAMETOOLONG
                                         : s->ops->make(s, d, name, mode, (struct name){0}, out);
    }
    node_let_go(s, d);
    return e;
}

static int do_put(struct store *s, const char *path)
{
    struct node *n;
    int e = make(s, path, IS_FILE | 0644, &n);
    if (e)
        return e;
    e = node_is(n, IS_FILE) ? fill(s, n) : ISDIR;
    node_let_go(s, n);
    return e;
}

static int do_mkdir(struct store *s, const char *path)
{
    struct node *n;
    int e = make(s, path, IS_DIRECTORY | 0755, &n);
    if (!e)
        node_let_go(s, n);
    return e;
}

static int do_rm(struct store *s, const char *path)
{
    struct node *d, *n;
    struct name name;
    int e = walk(s, path, &d, &name);
    if (e)
        return e;
    if (!(e = s->ops->find(s, d, name, &n))) {
        e = s->ops->remove(s, d, name, n);
        node_let_go(s, n);
    }
    node_let_go(s, d);
    return e;
}

// --- Checking: no block is used twice, every file can be read, and its attributes.

struct check {
    struct store *s;
    uint8_t *used; // a bit for each block
    uint64_t blocks, count, files, directories, bytes;
    int problem;
};

static int use_block(void *context, uint32_t block)
{
    struct check *c = context;
    if (block >= c->blocks)
        return -IO;
    bool again = c->used[block / 8] >> block % 8 & 1;
    c->used[block / 8] |= (uint8_t)(1 << block % 8);
    c->count += !again;
    c->problem += again;
    return 0;
}

struct place {
    struct place *next;
    char path[];
};

struct queue {
    struct check *check;
    struct place *todo;
    const char *path;
};

static int read_all(struct store *s, const char *path)
{
    struct node *n;
    int e = walk(s, path, &n, NULL);
    if (e)
        return e;
    for (uint64_t at = 0, got; !e && at < n->size; at += got) {
        got = n->size - at < PIECE ? n->size - at : PIECE;
        if (!(e = s->ops->read(s, n, at, piece, &got)) && !got)
            e = IO;
    }
    node_let_go(s, n);
    return e;
}

static int note(void *context, struct name name, uint32_t mode, uint64_t size)
{
    struct queue *q = context;
    bool directory = (mode & KIND) == IS_DIRECTORY;
    struct place *p = malloc(sizeof *p + strlen(q->path) + name.length + 2);
    if (!p)
        return NOMEM;
    sprintf(p->path, "%s/%.*s", q->path, (int)name.length, name.text);
    p->next = q->todo;
    q->todo = p;
    q->check->directories += directory;
    q->check->files += !directory;
    q->check->bytes += directory ? 0 : size;
    // Each takes a place in a block of which there are so many.
    return q->check->directories + q->check->files > q->check->blocks * DISK_BLOCK / 8 ? IO : 0;
}

static int visit(struct check *c)
{
    struct queue q = {.check = c};
    struct node *n;
    q.todo = calloc(1, sizeof *q.todo + 1);
    int e = q.todo ? 0 : NOMEM;
    while (q.todo) {
        struct place *p = q.todo;
        q.todo = p->next;
        q.path = p->path;
        if (!e && !(e = walk(c->s, p->path, &n, NULL))) {
            e = node_is(n, IS_DIRECTORY) ? volume_list(c->s, n, note, &q) : read_all(c->s, p->path);
            node_let_go(c->s, n);
        }
        if (e && !c->problem++)
            fail("%s: %s: %s", image, p->path[0] ? p->path : "/", text_of(e));
        free(p);
    }
    return e;
}

static int do_check(struct store *s, uint64_t blocks)
{
    struct check c = {.s = s, .blocks = blocks, .used = calloc(1, blocks / 8 + 1)};
    int e = c.used ? volume_walk(s, use_block, &c) : NOMEM;
    if (!e)
        e = visit(&c);
    free(c.used);
    if (!e && c.problem)
        e = IO;
    if (!e)
        printf("%llu files of %llu bytes in %llu directories; %llu of %llu KiB are used\n",
               (unsigned long long)c.files, (unsigned long long)c.bytes,
               (unsigned long long)c.directories + 1, (unsigned long long)c.count * 4,
               (unsigned long long)blocks * 4);
    return e;
}

// --- All of them

enum { LEAST_BLOCKS = 16 };

static int create(struct disk *d)
{
    if (d->blocks < LEAST_BLOCKS || d->blocks >> 31)
        return fail("%s: a disk has from 64 KiB to 8 TiB", image);
    int e = volume_format(d);
    return e ? fail("%s: %s", image, text_of(e)) : CODE_OK;
}

static const struct command {
    const char *name;
    int (*run)(struct store *s, const char *path);
    bool writes;
} commands[] = {{"ls", do_ls, false},   {"cat", do_cat, false},    {"get", do_cat, false},
                {"put", do_put, true},  {"mkdir", do_mkdir, true}, {"rm", do_rm, true},
                {"create", NULL, true}, {"check", NULL, false}};

static const struct command *command_of(const char *name)
{
    for (size_t i = 0; i < sizeof commands / sizeof *commands; i++)
        if (!strcmp(commands[i].name, name))
            return &commands[i];
    return NULL;
}

int tool(int argc, char **argv)
{
    const struct command *c = argc >= 2 ? command_of(argv[0]) : NULL;
    if (!c || argc > 3)
        return CODE_USAGE;
    image = argv[1] + strspn(argv[1], "/");
    struct store *s = NULL;
    struct disk *d = disk_file(argv[1], !c->writes);
    if (!d)
        return fail("%s: %s", image, strerror(errno));
    if (!strcmp(c->name, "create"))
        return create(d);
    if (volume_mount(d, MEMORY, &s))
        return fail("%s: there is no file system on it", image);
    const char *path = argc > 2 ? argv[2] : "/";
    int e = c->run ? c->run(s, path) : do_check(s, d->blocks), end = volume_unmount(s);
    if (fflush(stdout) && !e)
        e = IO;
    if (e || end)
        return fail("%s: %s%s%s", image, c->run ? path : "", c->run ? ": " : "",
                    text_of(e ? e : end));
    return CODE_OK;
}
