// SPDX-License-Identifier: MIT
// Runs objdump over the bytes of the code space, as a flat binary in an anonymous file, and puts
// the names of functions into what it prints: a title where one begins, and behind calls to one.
// Addresses are offsets in the code space.
#include "main/disassemble.h"

#include <fcntl.h>
#include <spawn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#include "main/host.h"

extern char **environ;

static const struct name *func_name(const struct module *m, u32 func)
{
    return m->func_names && m->func_names[func].length ? &m->func_names[func] : NULL;
}

// The own function named so, by name, export or index; UINT32_MAX if there is none.
static u32 find(const struct module *m, const char *which)
{
    char *end;
    u32 length = (u32)strlen(which);
    for (u32 i = m->nimported_funcs; i < m->nfuncs; i++) {
        const struct name *n = func_name(m, i);
        if (n && n->length == length && !memcmp(n->p, which, length))
            return i;
    }
    const struct export *x = module_export(m, which, length);
    u64 i = x && x->kind == EXTERN_FUNC ? x->index : strtoull(which, &end, 10);
    if ((!x && (*end || !length)) || i < m->nimported_funcs || i >= m->nfuncs)
        return UINT32_MAX;
    return (u32)i;
}

// The own function (index among them) that begins at an offset, or UINT32_MAX. Functions are
// compiled in order.
static u32 func_at(const struct compiled *c, u64 offset)
{
    u32 low = 0, high = c->module->nfuncs - c->module->nimported_funcs;
    while (low < high) {
        u32 middle = low + (high - low) / 2;
        if (c->funcs[middle].entry == offset)
            return middle;
        if (c->funcs[middle].entry < offset)
            low = middle + 1;
        else
            high = middle;
    }
    return UINT32_MAX;
}

static void print_name(const struct module *m, u32 own)
{
    const struct name *n = func_name(m, own + m->nimported_funcs);
    putchar('<');
    if (n)
        print_text(stdout, n->p, n->length);
    else
        printf("%u", own + m->nimported_funcs);
    putchar('>');
}

static void print_title(const struct compiled *c, u32 own)
{
    const struct func_code *f = &c->funcs[own];
    printf("\n%u ", own + c->module->nimported_funcs);
    print_name(c->module, own);
    printf(": %u bytes, frame %u\n", f->end - f->entry, f->frame);
}

static u32 entry_at(const struct compiled *c, u64 address)
{
    return (u32)((address - (u64)((const u8 *)c->table - c->run)) / sizeof *c->table);
}

// "   12a:\t<bytes>\t<instruction>"
static void print_line(const struct compiled *c, char *line)
{
    char *end;
    u64 address = strtoull(line, &end, 16);
    if (end == line || *end != ':')
        return; // objdump's own titles
    u32 own = func_at(c, address);
    if (own != UINT32_MAX)
        print_title(c, own);
    line[strcspn(line, "\n")] = 0;
    fputs(line, stdout);
    const char *call = strstr(line, "call ");
    const char *through = call ? strstr(call, "# 0x") : NULL;
    if (through)
        own = entry_at(c, strtoull(through + 2, NULL, 16)) - ENTRY_FUNCS;
    else
        own = call ? func_at(c, strtoull(call + 5, NULL, 16)) : UINT32_MAX;
    if (own < c->module->nfuncs - c->module->nimported_funcs) {
        putchar(' ');
        print_name(c->module, own);
    }
    putchar('\n');
}

// Starts objdump on the file `fd`; its output comes out of the pipe that is returned, or -1.
static int start_objdump(int fd, u32 from, u32 to, pid_t *pid)
{
    char start[40], stop[40];
    int ends[2];
    if (pipe2(ends, O_CLOEXEC))
        return -1;
    snprintf(start, sizeof start, "--start-address=%u", from);
    snprintf(stop, sizeof stop, "--stop-address=%u", to);
    char *const argv[] = {"objdump", "-D",  "-b", "binary",          "-m", "i386:x86-64", "-M",
                          "intel",   start, stop, "/proc/self/fd/0", NULL};
    posix_spawn_file_actions_t actions;
    posix_spawn_file_actions_init(&actions);
    posix_spawn_file_actions_adddup2(&actions, fd, STDIN_FILENO);
    posix_spawn_file_actions_adddup2(&actions, ends[1], STDOUT_FILENO);
    int failed = posix_spawnp(pid, "objdump", &actions, NULL, argv, environ);
    posix_spawn_file_actions_destroy(&actions);
    close(ends[1]);
    if (!failed)
        return ends[0];
    close(ends[0]);
    return -1;
}

static bool print_all(const struct compiled *c, int fd, u32 from, u32 to)
{
    pid_t pid;
    fflush(stdout);
    int pipe_end = start_objdump(fd, from, to, &pid);
    FILE *lines = pipe_end < 0 ? NULL : fdopen(pipe_end, "r");
    if (!lines) {
        complain("objdump cannot be run");
        hint("on Debian: apt install binutils");
        return false;
    }
    char *line = NULL;
    size_t size = 0;
    int state;
    while (getline(&line, &size, lines) > 0)
        print_line(c, line);
    free(line);
    fclose(lines);
    return waitpid(pid, &state, 0) == pid && state == 0;
}

static bool write_all(int fd, const u8 *p, size_t n)
{
    while (n) {
        ssize_t written = write(fd, p, n);
        if (written <= 0)
            return false;
        p += written, n -= (size_t)written;
    }
    return true;
}

static void hint_near(const struct module *m, const char *which)
{
    u32 shown = 0;
    for (u32 i = m->nimported_funcs; m->func_names && i < m->nfuncs && shown < 3; i++) {
        struct name name = m->func_names[i];
        if (!memmem(name.p, name.length, which, strlen(which)))
            continue;
        fputs(shown++ ? ", " : "hint: there is ", stderr);
        print_text(stderr, name.p, name.length);
    }
    if (shown)
        fputc('\n', stderr);
    else
        hint("inspect without --code lists them");
}

bool disassemble(const struct compiled *c, const char *which)
{
    const struct module *m = c->module;
    u32 n = m->nfuncs - m->nimported_funcs, from = n ? c->funcs[0].start : 0;
    u32 to = n ? c->funcs[n - 1].end : 0;
    if (*which) {
        u32 func = find(m, which);
        if (func == UINT32_MAX) {
            complain("no function %s", which);
            hint_near(m, which);
            return false;
        }
        from = c->funcs[func - m->nimported_funcs].entry;
        to = c->funcs[func - m->nimported_funcs].end;
    }
    int fd = memfd_create("code", MFD_CLOEXEC);
    bool done =
        fd >= 0 && lseek(fd, from, SEEK_SET) >= 0 && write_all(fd, c->run + from, to - from);
    if (!done)
        complain("cannot write the code to a file");
    done = done && print_all(c, fd, from, to);
    if (fd >= 0)
        close(fd);
    return done;
}
