// SPDX-License-Identifier: MIT
// Starting QEMU and moving bytes; see machine.h. QEMU's standard input and output are pipes of
// ours: what we read goes in with its end marked, and what comes out is sorted into our output and
// errors (plat/pc/console.h says how). When these cannot be written, the program is told. Nothing
// here waits for one pipe while another one could move.
#define _GNU_SOURCE
#include "main/machine.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <linux/kvm.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include "main/host.h"
#include "plat/linux/hostfile.h"
#include "plat/pc/console.h"

#define QEMU "qemu-system-x86_64"
#define KERNEL "nebulet.elf"

enum { DLE = 0x10, PART = 4096 };
enum { ARCHIVE_FD = STDERR_FILENO + 1 }; // in QEMU
enum { SHARES_MAX = 8, SHARE_WORDS = 4 };
enum { LEAST_MEMORY = 16 << 20, USUAL_MEMORY = 2000 << 20 };

struct link {
    int to, from; // QEMU's input and output
    pid_t child;
    bool input_open;
    u32 granted;           // bytes of data that the kernel has room for
    u8 out[2 * PART + 16]; // on its way in: data, its end, and what is said of output
    size_t out_at, out_size;
    u8 in[PART]; // what came out and is not sorted yet
    size_t in_at, in_size;
    u8 control; // of which bytes are to come: 0, DLE or 'E'
    int stream;
    bool blocked;                 // it takes nothing now
    bool closed[CONSOLE_STREAMS]; // nobody reads it any more
    int code;                     // -1: not told
};

// --- KVM. NULL when it can be used; otherwise why not.
static const char *no_kvm(void)
{
    int kvm = open("/dev/kvm", O_RDWR | O_CLOEXEC), machine = -1;
    const char *why = NULL;
    if (kvm < 0 || (machine = ioctl(kvm, KVM_CREATE_VM, 0)) < 0)
        why = strerror(errno);
    if (machine >= 0)
        close(machine);
    if (kvm >= 0)
        close(kvm);
    return why;
}

static bool choose_accel(const struct options *o, struct machine *m)
{
    const char *why = NULL;
    bool given = o->accel != NULL, kvm = given && str_eq(o->accel, "kvm");
    if (given && !kvm && !str_eq(o->accel, "tcg")) {
        complain("--accel %s: there are kvm and tcg", o->accel);
        return false;
    }
    if (!given || kvm)
        why = no_kvm();
    if (why && kvm) {
        complain("--accel kvm: /dev/kvm: %s", why);
        hint("--accel tcg emulates the machine");
        return false;
    }
    if (why && o->verbose)
        complain("no KVM (/dev/kvm: %s): the machine is emulated", why);
    m->kvm = kvm || (!given && !why);
    m->tcg = !kvm;
    return true;
}

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
    if (o->shares.count > SHARES_MAX) {
        complain("--share: more than %d", SHARES_MAX);
        return false;
    }
    return choose_accel(o, m);
}

// --- The kernel's image, and drivers: beside this program, or where `make install` puts them.
bool machine_find(const char *name, const char *how, char *path, size_t n)
{
    static const char *const places[] = {"/", "/drv/", "/svc/", "/../lib/nebulet/"};
    char self[3900];
    ssize_t length = readlink("/proc/self/exe", self, sizeof self - 1);
    self[length > 0 ? length : 0] = 0;
    char *slash = strrchr(self, '/');
    if (slash)
        *slash = 0;
    for (u32 i = 0; i < countof(places); i++) {
        snprintf(path, n, "%s%s%s", self, places[i], name);
        if (!access(path, R_OK))
            return true;
    }
    complain("there is no %s beside this program", name);
    hint("%s", how);
    return false;
}

static bool find_kernel(char *path, size_t n)
{
    const char *named = getenv("NEBULET_KERNEL");
    if (!named)
        return machine_find(KERNEL, "build it with make, or name it in NEBULET_KERNEL", path, n);
    snprintf(path, n, "%s", named);
    if (!access(path, R_OK))
        return true;
    complain("%s: %s", path, strerror(errno));
    return false;
}

// --- The child

// A comma within a value is written twice.
static char *share_option(const char *host, u32 i)
{
    char *text = malloc(2 * strlen(host) + 100), *to = text;
    if (!text)
        _exit(127);
    to += sprintf(to, "local,id=share%u,security_model=none,multidevs=remap,path=", i);
    for (; *host; host++) {
        if (*host == ',')
            *to++ = ',';
        *to++ = *host;
    }
    *to = 0;
    return text;
}

static void add_shares(const struct machine *m, const char **argv)
{
    char *device;
    if (m->nshares) {
        *argv++ = "-global";
        *argv++ = "virtio-mmio.force-legacy=false";
    }
    for (u32 i = 0; i < m->nshares; i++) {
        if (asprintf(&device, "virtio-9p-%s,fsdev=share%u,mount_tag=%u",
                     str_eq(m->type, "microvm") ? "device" : "pci", i, i) < 0)
            _exit(127);
        *argv++ = "-fsdev";
        *argv++ = share_option(m->shares[i], i);
        *argv++ = "-device";
        *argv++ = device;
    }
    *argv = NULL;
}

static void run_qemu(const struct machine *m, const char *kernel)
{
    char memory[32], cpus[32], type[64], archive[32], *line;
    snprintf(memory, sizeof memory, "%llu", (unsigned long long)((m->memory + 1048575) >> 20));
    snprintf(cpus, sizeof cpus, "%llu", (unsigned long long)m->cpus);
    snprintf(type, sizeof type, "%s%s", m->type, str_eq(m->type, "microvm") ? ",acpi=off" : "");
    snprintf(archive, sizeof archive, "/proc/self/fd/%d", ARCHIVE_FD);
    if (asprintf(&line, "console=multiplex %s", m->line) < 0)
        _exit(127);
    const char *argv[40 + 2 + SHARES_MAX * SHARE_WORDS] = {QEMU,
                                                           "-nodefaults",
                                                           "-no-user-config",
                                                           "-display",
                                                           "none",
                                                           "-no-reboot",
                                                           "-cpu",
                                                           "max",
                                                           "-machine",
                                                           type,
                                                           "-m",
                                                           memory,
                                                           "-smp",
                                                           cpus,
                                                           "-chardev",
                                                           "stdio,id=console,signal=off",
                                                           "-serial",
                                                           "chardev:console",
                                                           "-device",
                                                           "isa-debug-exit,iobase=0xf4,iosize=4",
                                                           "-kernel",
                                                           kernel,
                                                           "-initrd",
                                                           archive,
                                                           "-append",
                                                           line,
                                                           "-accel",
                                                           m->kvm ? "kvm" : "tcg",
                                                           NULL};
    u32 words = 0;
    while (argv[words])
        words++;
    if (m->kvm && m->tcg) {
        argv[words++] = "-accel";
        argv[words++] = "tcg";
    }
    add_shares(m, argv + words);
    execvp(QEMU, (char *const *)argv);
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
        if (n < 0 && errno == EAGAIN)
            break;
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
    l->out[l->out_size++] = byte;
}

static void take_input(struct link *l)
{
    u8 part[PART];
    ssize_t n = read(STDIN_FILENO, part, l->granted < PART ? l->granted : PART);
    if (n < 0 && (errno == EINTR || errno == EAGAIN))
        return;
    for (ssize_t i = 0; i < n; i++) {
        if (part[i] == DLE)
            queue(l, DLE);
        queue(l, part[i]);
    }
    if (n > 0) {
        l->granted -= (u32)n;
        return;
    }
    l->input_open = false;
    queue(l, DLE);
    queue(l, 'Z');
}

static void send_input(struct link *l)
{
    ssize_t n = write(l->to, l->out + l->out_at, l->out_size - l->out_at);
    if (n > 0)
        l->out_at += (size_t)n;
    else if (errno != EAGAIN && errno != EINTR)
        l->out_at = l->out_size, l->input_open = false;
    if (l->out_at == l->out_size)
        l->out_at = l->out_size = 0;
}

// Output does not arrive, and the program is to know. When there is no room to say so, it has been
// said a moment ago.
static void tell(struct link *l, int error)
{
    l->closed[l->stream] = error == EPIPE;
    if (l->out_size + 3 > sizeof l->out - 2) // input's end fits, too
        return;
    queue(l, DLE);
    queue(l, (u8)('0' + l->stream));
    queue(l, (u8)host_error(error));
}

// Writes data, as far as that does not wait; how much is done with.
static size_t put(struct link *l, const u8 *p, size_t n)
{
    struct pollfd to = {.fd = l->stream, .events = POLLOUT};
    if (l->closed[l->stream])
        return n;
    l->blocked = poll(&to, 1, 0) <= 0; // where there is room, a part this small fits
    if (l->blocked)
        return 0;
    ssize_t done = write(l->stream, p, n);
    if (done >= 0)
        return (size_t)done;
    if (errno == EINTR)
        return 0;
    l->blocked = errno == EAGAIN;
    if (!l->blocked)
        tell(l, errno);
    return l->blocked ? 0 : n;
}

static void control(struct link *l, u8 byte)
{
    l->control = 0;
    switch (byte) {
    case '1':
    case '2': l->stream = byte - '0'; break;
    case 'E': l->control = 'E'; break;
    case 'R': l->granted += CONSOLE_GRANT; break;
    }
}

static void sort_one(struct link *l)
{
    const u8 *p = l->in + l->in_at, *end = l->in + l->in_size;
    if (l->control == 'E') {
        // The worst of several programs, as the kernel has it: the latest failure.
        l->code = *p || l->code < 0 ? *p : l->code;
        l->control = 0;
    } else if (l->control == DLE && *p != DLE) {
        control(l, *p);
    } else if (l->control == DLE || (*p != DLE)) {
        const u8 *next = p + 1;
        while (!l->control && next < end && *next != DLE)
            next++;
        size_t done = put(l, p, (size_t)(next - p));
        l->in_at += done;
        if (done)
            l->control = 0;
        return;
    } else {
        l->control = DLE;
    }
    l->in_at++;
}

// False when QEMU has closed its output and all of it is out.
static bool move(struct link *l)
{
    bool pending = l->out_at < l->out_size, sorted = l->in_at == l->in_size;
    struct pollfd fds[] = {
        {.fd = sorted ? l->from : -1, .events = POLLIN},
        {.fd = pending ? l->to : -1, .events = POLLOUT},
        {.fd = !pending && l->granted && l->input_open ? STDIN_FILENO : -1, .events = POLLIN},
        {.fd = sorted ? -1 : l->stream, .events = POLLOUT},
    };
    if (poll(fds, countof(fds), -1) < 0)
        return errno == EINTR;
    if (fds[1].revents)
        send_input(l);
    if (fds[2].revents)
        take_input(l);
    if (fds[0].revents) {
        ssize_t n = read(l->from, l->in, sizeof l->in);
        if (n <= 0)
            return n < 0 && errno == EINTR;
        l->in_at = 0;
        l->in_size = (size_t)n;
    }
    l->blocked = false;
    while (l->in_at < l->in_size && !l->blocked)
        sort_one(l);
    return true;
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
