// SPDX-License-Identifier: MIT
// Starting QEMU and moving bytes; see machine.h. QEMU's standard input and output are pipes of
// ours: what we read goes in with its end marked, and what comes out is sorted into our output and
// errors. Nothing here waits for one pipe while another one could move.
#define _GNU_SOURCE
#include "main/machine.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include "main/host.h"

#define QEMU "qemu-system-x86_64"
#define KERNEL "nebulet.elf"

enum { DLE = 0x10, PART = 4096 };
enum { ARCHIVE_FD = STDERR_FILENO + 1 }; // in QEMU
enum { LEAST_MEMORY = 16 << 20, USUAL_MEMORY = 2000 << 20 };

struct link {
    int to, from; // QEMU's input and output
    pid_t child;
    bool ready; // for input
    bool input_open;
    u8 out[2 * PART + 2]; // on its way in
    size_t out_at, out_size;
    bool escape, wants_code; // of what comes out
    int stream;
    int code; // -1: not told
};

bool machine_options(const struct options *o, struct machine *m)
{
    m->memory = o->memory ? o->memory : USUAL_MEMORY;
    m->cpus = o->cpus ? o->cpus : 1;
    m->type = o->machine ? o->machine : "microvm";
    if (m->memory < LEAST_MEMORY) {
        complain("--memory: a machine has at least 16M");
        return false;
    }
    if (!str_eq(m->type, "microvm") && !str_eq(m->type, "q35")) {
        complain("--machine %s: there are microvm and q35", m->type);
        return false;
    }
    return true;
}

// --- The kernel's image: beside this program, or where `make install` puts it.
static bool find_kernel(char *path, size_t n)
{
    static const char *const places[] = {"/" KERNEL, "/../lib/nebulet/" KERNEL};
    const char *named = getenv("NEBULET_KERNEL");
    if (named) {
        snprintf(path, n, "%s", named);
        if (!access(path, R_OK))
            return true;
        complain("%s: %s", path, strerror(errno));
        return false;
    }
    char self[3900];
    ssize_t length = readlink("/proc/self/exe", self, sizeof self - 1);
    self[length > 0 ? length : 0] = 0;
    char *slash = strrchr(self, '/');
    if (slash)
        *slash = 0;
    for (u32 i = 0; i < countof(places); i++) {
        snprintf(path, n, "%s%s", self, places[i]);
        if (!access(path, R_OK))
            return true;
    }
    complain("there is no kernel (%s) beside this program", KERNEL);
    hint("build it with make, or name it in NEBULET_KERNEL");
    return false;
}

// --- The child

static void run_qemu(const struct machine *m, const char *kernel)
{
    char memory[32], cpus[32], type[64], archive[32], *line;
    snprintf(memory, sizeof memory, "%llu", (unsigned long long)((m->memory + 1048575) >> 20));
    snprintf(cpus, sizeof cpus, "%llu", (unsigned long long)m->cpus);
    snprintf(type, sizeof type, "%s%s", m->type, str_eq(m->type, "microvm") ? ",acpi=off" : "");
    snprintf(archive, sizeof archive, "/proc/self/fd/%d", ARCHIVE_FD);
    if (asprintf(&line, "console=multiplex %s", m->line) < 0)
        _exit(127);
    execlp(QEMU, QEMU, "-nodefaults", "-no-user-config", "-display", "none", "-no-reboot", "-accel",
           "tcg", "-cpu", "max", "-machine", type, "-m", memory, "-smp", cpus, "-chardev",
           "stdio,id=console,signal=off", "-serial", "chardev:console", "-device",
           "isa-debug-exit,iobase=0xf4,iosize=4", "-kernel", kernel, "-initrd", archive, "-append",
           line, (char *)NULL);
    complain("%s: %s", QEMU, strerror(errno));
    if (errno == ENOENT)
        hint("install QEMU: apt-get install qemu-system-x86");
    _exit(127);
}

// QEMU gets its streams and the archive, and nothing else that is open here. (Ours are above 2.)
static void give_streams(const struct machine *m, int in, int out)
{
    dup2(in, STDIN_FILENO);
    dup2(out, STDOUT_FILENO);
    if (m->archive == ARCHIVE_FD)
        fcntl(ARCHIVE_FD, F_SETFD, 0);
    else
        dup2(m->archive, ARCHIVE_FD);
    closefrom(ARCHIVE_FD + 1);
}

static bool start(const struct machine *m, struct link *l)
{
    char kernel[4096];
    int in[2], out[2];
    if (!find_kernel(kernel, sizeof kernel))
        return false;
    if (pipe2(in, O_CLOEXEC) || pipe2(out, O_CLOEXEC) || (l->child = fork()) < 0) {
        complain("cannot start %s: %s", QEMU, strerror(errno));
        return false;
    }
    if (!l->child) {
        prctl(PR_SET_PDEATHSIG, SIGKILL);
        give_streams(m, in[0], out[1]);
        run_qemu(m, kernel);
    }
    close(in[0]);
    close(out[1]);
    l->to = in[1];
    l->from = out[0];
    fcntl(l->to, F_SETFL, O_NONBLOCK);
    return true;
}

// --- Bytes

bool machine_early_input(struct early *e)
{
    enum { DELAY_MS = 20, MOST = 64 << 20 };
    struct pollfd in = {.fd = STDIN_FILENO, .events = POLLIN};
    while (!isatty(STDIN_FILENO) && e->bytes.count < MOST && poll(&in, 1, DELAY_MS) > 0) {
        if (!vec_reserve(&e->bytes, PART)) {
            complain("out of memory");
            return false;
        }
        ssize_t n = read(STDIN_FILENO, e->bytes.at + e->bytes.count, PART);
        if (n < 0 && errno == EINTR)
            continue;
        if (n <= 0) {
            e->all = true;
            break;
        }
        e->bytes.count += (u32)n;
    }
    return true;
}

static void queue(struct link *l, u8 byte)
{
    if (byte == DLE)
        l->out[l->out_size++] = DLE;
    l->out[l->out_size++] = byte;
}

static void take_input(struct link *l)
{
    u8 part[PART];
    ssize_t n = read(STDIN_FILENO, part, sizeof part);
    if (n < 0 && errno == EINTR)
        return;
    l->out_at = l->out_size = 0;
    for (ssize_t i = 0; i < n; i++)
        queue(l, part[i]);
    if (n > 0)
        return;
    l->input_open = false;
    l->out[l->out_size++] = DLE;
    l->out[l->out_size++] = 'Z';
}

static void send_input(struct link *l)
{
    ssize_t n = write(l->to, l->out + l->out_at, l->out_size - l->out_at);
    if (n > 0)
        l->out_at += (size_t)n;
    else if (errno != EAGAIN && errno != EINTR)
        l->out_at = l->out_size, l->input_open = false;
}

static void put(int fd, const u8 *p, size_t n)
{
    while (n) {
        ssize_t done = write(fd, p, n);
        if (done < 0 && errno != EINTR)
            return;
        if (done > 0)
            p += done, n -= (size_t)done;
    }
}

static void control(struct link *l, u8 byte)
{
    switch (byte) {
    case '1':
    case '2': l->stream = byte - '0'; break;
    case 'E': l->wants_code = true; break;
    case 'R': l->ready = true; break;
    default: put(l->stream, &byte, 1);
    }
}

static void sort_output(struct link *l, const u8 *p, size_t n)
{
    for (size_t start = 0, i = 0; i <= n; i++) {
        bool plain = i < n && !l->escape && !l->wants_code && p[i] != DLE;
        if (plain)
            continue;
        put(l->stream, p + start, i - start);
        start = i + 1;
        if (i == n)
            break;
        if (l->wants_code) {
            // The worst of several programs, as the kernel has it: the latest failure.
            l->code = p[i] || l->code < 0 ? p[i] : l->code;
            l->wants_code = false;
        } else if (l->escape) {
            l->escape = false;
            control(l, p[i]);
        } else {
            l->escape = true;
        }
    }
}

// False when QEMU has closed its output.
static bool move(struct link *l)
{
    bool pending = l->out_at < l->out_size;
    struct pollfd fds[] = {
        {.fd = l->from, .events = POLLIN},
        {.fd = pending ? l->to : -1, .events = POLLOUT},
        {.fd = !pending && l->ready && l->input_open ? STDIN_FILENO : -1, .events = POLLIN},
    };
    if (poll(fds, countof(fds), -1) < 0)
        return errno == EINTR;
    if (fds[1].revents)
        send_input(l);
    if (fds[2].revents)
        take_input(l);
    if (!fds[0].revents)
        return true;
    u8 part[PART];
    ssize_t n = read(l->from, part, sizeof part);
    if (n > 0)
        sort_output(l, part, (size_t)n);
    return n > 0 || (n < 0 && errno == EINTR);
}

int machine_run(const struct machine *m)
{
    static struct link l = {.stream = STDOUT_FILENO, .code = -1};
    int status = 0;
    l.input_open = !m->no_input;
    if (!start(m, &l))
        return EXIT_ERROR;
    signal(SIGPIPE, SIG_IGN);
    while (move(&l))
        ;
    while (waitpid(l.child, &status, 0) < 0 && errno == EINTR)
        ;
    if (l.code >= 0)
        return l.code;
    if (!WIFEXITED(status) || WEXITSTATUS(status) != 127)
        complain("the machine has stopped before the program had ended");
    return EXIT_ERROR;
}
