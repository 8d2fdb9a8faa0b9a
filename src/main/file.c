// SPDX-License-Identifier: MIT
// Reading modules from files, and saying what is wrong with them.
//
// The bytes are read into memory of our own, not mapped: a mapped file can change under us, even by
// the program that runs from it, and both the interpreter (which runs the validated bytes in place)
// and the tables of a module trust that what was validated stays as it was. Reading costs about as
// much as the page faults of a mapping, and a hundredth of compiling.
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/heap.h"
#include "main/host.h"
#include "plat/linux/hostfile.h"

// Reads to the end, whatever the size was said to be; false with errno set, also where there are
// more bytes than `most`.
static bool read_all(int fd, size_t expected, size_t most, struct file *out)
{
    size_t capacity = expected + 1; // the read that finds the end fits, too
    if (!(out->bytes = heap_alloc(capacity)))
        return errno = ENOMEM, false;
    for (;;) {
        ssize_t n = read(fd, out->bytes + out->size, capacity - out->size);
        if (n < 0 && errno == EINTR)
            continue;
        if (n <= 0)
            return n == 0;
        out->size += (size_t)n;
        if (out->size > most)
            return errno = EFBIG, false;
        if (out->size < capacity)
            continue;
        u8 *more = heap_resize(out->bytes, capacity = capacity * 2 + 65536);
        if (!more)
            return errno = ENOMEM, false;
        out->bytes = more;
    }
}

bool file_read(const char *name, struct file *out)
{
    *out = (struct file){.name = name};
    bool is_stdin = str_eq(name, "-");
    int fd = is_stdin ? STDIN_FILENO : open(name, O_RDONLY | O_CLOEXEC);
    struct stat st;
    bool done = fd >= 0 && !fstat(fd, &st) &&
                read_all(fd, S_ISREG(st.st_mode) ? (size_t)st.st_size : 65535, SIZE_MAX, out);
    if (!done)
        complain("%s: %s", name, strerror(errno));
    if (fd >= 0 && !is_stdin)
        close(fd);
    if (!done)
        file_free(out);
    return done;
}

bool file_copy(const char *name, struct file *out)
{
    enum { MORE = 1 << 20 };
    *out = (struct file){.name = name};
    int fd = open(name, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOFOLLOW);
    struct stat st;
    bool done = fd >= 0 && !fstat(fd, &st) && (S_ISREG(st.st_mode) || (errno = EINVAL, false)) &&
                read_all(fd, (size_t)st.st_size, (size_t)st.st_size + MORE, out);
    if (!done)
        complain("%s: %s: it is left out", name, strerror(errno));
    if (fd >= 0)
        close(fd);
    if (!done)
        file_free(out);
    return done;
}

void file_free(struct file *f)
{
    heap_free(f->bytes);
    f->bytes = NULL;
}

const char *file_base_name(const char *path)
{
    const char *slash = strrchr(path, '/');
    return slash ? slash + 1 : path;
}

bool file_is_process(const char *path)
{
    int fd = open(path, O_PATH | O_CLOEXEC);
    bool is = fd >= 0 && host_of_processes(fd);
    if (fd >= 0)
        close(fd);
    return is;
}

static bool looks_like_text(const struct file *f)
{
    size_t i = 0;
    while (i < f->size && strchr(" \t\r\n", f->bytes[i]) && f->bytes[i])
        i++;
    return i < f->size && (f->bytes[i] == '(' || f->bytes[i] == ';');
}

// Bytes that have a meaning in a proposal that is not here yet: what the decoder says of
// them, and which they are.
static const struct {
    const char *text;
    u8 low, high;
    const char *proposal;
} later[] = {
    {"illegal opcode", 0xe0, 0xe6, "stack switching"},
    {"malformed function type", 0x5d, 0x5d, "stack switching"},
    {"malformed limits flags", 8, 15, "custom page sizes"},
    {"malformed value type", 0x67, 0x67, "references to strings"},
};

static void hint_later(const struct file *f, const struct error *e)
{
    if (e->offset >= f->size)
        return;
    u8 byte = f->bytes[e->offset];
    for (size_t i = 0; i < sizeof later / sizeof *later; i++) {
        if (strncmp(e->text, later[i].text, strlen(later[i].text)) || byte < later[i].low ||
            byte > later[i].high)
            continue;
        hint("this may be a module that uses %s; nebulet does not have that", later[i].proposal);
        return;
    }
}

static void hint_module(const struct file *f, const struct error *e)
{
    static const u8 component[8] = {0, 'a', 's', 'm', 13, 0, 1, 0}, gzip[2] = {0x1f, 0x8b};
    if (!f->size)
        hint("the file is empty");
    else if (looks_like_text(f))
        hint("this is WebAssembly text; make a module of it: wat2wasm %s -o FILE.wasm", f->name);
    else if (f->size >= 8 && !memcmp(f->bytes, component, 8))
        hint("this is a component; nebulet runs core modules (build for " WASI_TARGET ")");
    else if (f->size >= 2 && !memcmp(f->bytes, gzip, 2))
        hint("this is a compressed file; unpack it first");
    else
        hint_later(f, e);
}

int complain_module(const struct file *f, const struct error *e)
{
    if (e->offset == ERROR_NO_OFFSET)
        complain("%s: %s: %s", f->name, status_text(e->code), e->text);
    else
        complain("%s: %s at offset 0x%llx: %s", f->name, status_text(e->code),
                 (unsigned long long)e->offset, e->text);
    if (e->code == ERR_MALFORMED)
        hint_module(f, e);
    return EXIT_ERROR;
}
