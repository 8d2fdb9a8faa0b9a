// SPDX-License-Identifier: MIT
// Starting QEMU and moving bytes; see machine.h. QEMU's standard input and output, which are the
// serial port's, are pipes of ours, and the virtio console is a socket, to which both directions
// move when the kernel says so: what we read goes in with its end marked, and what comes out is
// sorted into our output and errors (plat/pc/console.h says how). When these cannot be written, the
// program is told. Nothing here waits for one of them while another one could move.
#define _GNU_SOURCE
#include "main/machine.h"

#include <cpuid.h>
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
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include "main/archive.h"
#include "main/host.h"
#include "plat/linux/hostfile.h"
#include "plat/linux/lines.h"
#include "plat/pc/console.h"

#define QEMU "qemu-system-x86_64"
#define KERNEL "nebulet.elf"

enum { DLE = 0x10, PART = 16384 };
enum { ARCHIVE_FD = STDERR_FILENO + 1, QUICK_FD }; // in QEMU
enum { MICROVM_DEVICES = 7, FOLDERS_MAX = 24, FOLDER_WORDS = 4 };
enum { LEAST_MEMORY = 16 << 20, USUAL_MEMORY = 2000 << 20 };

struct way {
    int to, from;          // QEMU's input and output; from -1: closed
    u8 out[2 * PART + 16]; // on its way in: data, its end, and what is said of output
    size_t out_at, out_size;
    u8 in[PART]; // what came out and is not sorted yet
    size_t in_at, in_size;
    u8 data[PART]; // of that, for the stream
    size_t data_at, data_size;
    u8 control; // of which bytes are to come: 0, DLE or 'E'
    int stream;
    bool blocked; // it takes nothing now
};
enum { SERIAL, QUICK, WAYS };

struct link {
    const struct machine *machine;
    VEC(char) told;   // so far, of a trap
    VEC(char) traced; // of a line
    struct way ways[WAYS];
    bool moved; // what is to go in goes the quick way, and what comes out of that is looked at
    pid_t child;
    bool input_open;
    u32 granted;                  // bytes of data that the kernel has room for
    bool closed[CONSOLE_STREAMS]; // nobody reads it any more
    int code;                     // -1: not told
};

// --- KVM. Without VMX or SVM there are kernels that offer it all the same (PVM), for guests made
// for that; of any other they emulate the instructions that they know, and stop it at the next one.
static bool virtualizes(void)
{
    u32 a, b, c, d;
    return (__get_cpuid(1, &a, &b, &c, &d) && c & bit_VMX) ||
           (__get_cpuid(0x80000001, &a, &b, &c, &d) && c & 1u << 2);
}

// NULL when it can be used; otherwise why not.
static const char *no_kvm(void)
{
    int kvm = open("/dev/kvm", O_RDWR | O_CLOEXEC), machine = -1;
    const char *why = NULL;
    if (kvm < 0 || (machine = ioctl(kvm, KVM_CREATE_VM, 0)) < 0)
        why = strerror(errno);
    else if (!virtualizes())
        why = "the CPU has neither VMX nor SVM";
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
    m->iommu = o->iommu;
    m->type = o->machine ? o->machine : o->iommu ? "q35" : "microvm";
    m->gdb = o->gdb;
    u32 port = 0;
    for (const char *c = o->gdb ? o->gdb : "1"; *c; c++)
        port = *c < '0' || *c > '9' || port > UINT16_MAX ? UINT32_MAX : port * 10 + (u32)(*c - '0');
    if (port > UINT16_MAX || (o->gdb && *o->gdb && !port)) {
        complain("--gdb=%s: a port is 1 to 65535", o->gdb);
        return false;
    }
    if (m->memory < LEAST_MEMORY) {
        complain("--memory: a machine has at least 16M");
        return false;
    }
    if (!str_eq(m->type, "microvm") && !str_eq(m->type, "q35")) {
        complain("--machine %s: there are microvm and q35", m->type);
        return false;
    }
    if (m->iommu && str_eq(m->type, "microvm")) {
        complain("--iommu: a machine of type microvm has no IOMMU; --machine q35 has one");
        return false;
    }
    return choose_accel(o, m);
}

bool machine_folders(const struct options *o, struct machine *m)
{
    u32 devices = m->network != NULL;
    for (u32 i = 0; i < m->folders->all.count; i++) {
        const struct folder *f = &m->folders->all.at[i];
        devices += f->how != FOLDER_COPY;
        if (f->dir && f->how != FOLDER_COPY && file_is_process(f->host)) {
            complain("--dir %s: /proc is other processes here, and none of the machine's", f->host);
            return false;
        }
    }
    u32 most = o->machine && str_eq(o->machine, "microvm") ? MICROVM_DEVICES : FOLDERS_MAX;
    if (devices > most) {
        complain("--dir, --disk: a machine%s has no more than %u folders",
                 most < FOLDERS_MAX ? " of type microvm" : "", most);
        hint("of those given with :copy there may be more");
        return false;
    }
    if (devices > MICROVM_DEVICES)
        m->type = "q35";
    return true;
}

// --- The kernel's image, and drivers: beside this program, or where `make install` puts them.
bool machine_find(const char *name, const char *how, char *path, size_t n)
{
    static const char *const places[] = {"/",
                                         "/drv/",
                                         "/svc/",
                                         "/user/",
                                         "/../lib/nebulet/",
                                         "/../lib/nebulet/drv/",
                                         "/../lib/nebulet/svc/",
                                         "/../lib/nebulet/user/"};
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

bool machine_archive_folders(const struct folders *folders, struct archive *a)
{
    char path[4096], name[32];
    for (u32 i = 0; i < folders->all.count && !a->failed; i++) {
        const struct folder *one = &folders->all.at[i];
        struct file f;
        if (one->how == FOLDER_COPY)
            continue;
        if (!machine_find(one->dir ? "virtio-9p.wasm" : "disk.wasm",
                          one->dir ? "build it with make" : "build it with make userspace", path,
                          sizeof path) ||
            !file_read(path, &f))
            return false;
        snprintf(name, sizeof name, "share/%u", i);
        archive_file(a, name, f.bytes, f.size);
        file_free(&f);
    }
    return true;
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
static char *folder_option(const struct folder *f, u32 i)
{
    char *text = malloc(2 * strlen(f->host) + 120), *to = text;
    const char *read_only = f->how == FOLDER_READ ? "on" : "off";
    if (!text)
        _exit(127);
    if (f->dir)
        to += sprintf(to, "local,id=folder%u,security_model=none,multidevs=%s,readonly=%s,path=", i,
                      folder_has_processes(f) ? "forbid" : "remap", read_only);
    else
        to += sprintf(
            to, "if=none,format=raw,id=folder%u,read-only=%s,file.driver=file,file.filename=", i,
            read_only);
    for (const char *host = f->host; *host; host++) {
        if (*host == ',')
            *to++ = ',';
        *to++ = *host;
    }
    *to = 0;
    return text;
}

// How QEMU's devices of virtio end.
static const char *bus(const struct machine *m)
{
    return str_eq(m->type, "microvm") ? "device"
           : m->iommu                 ? "pci,iommu_platform=on,disable-legacy=on"
                                      : "pci";
}

static void add_folders(const struct machine *m, const char **argv)
{
    char *device;
    for (u32 i = 0; m->folders && i < m->folders->all.count; i++) {
        const struct folder *f = &m->folders->all.at[i];
        if (f->how == FOLDER_COPY)
            continue;
        if (asprintf(&device,
                     f->dir ? "virtio-9p-%s,fsdev=folder%u,mount_tag=%u"
                            : "virtio-blk-%s,drive=folder%u,serial=%u",
                     bus(m), i, i) < 0)
            _exit(127);
        *argv++ = f->dir ? "-fsdev" : "-drive";
        *argv++ = folder_option(f, i);
        *argv++ = "-device";
        *argv++ = device;
    }
    *argv = NULL;
}

static void run_qemu(const struct machine *m, const char *kernel)
{
    char memory[32], cpus[32], type[64], archive[32], quick[32], console[80], network[80];
    char *line, *gdb;
    snprintf(memory, sizeof memory, "%llu", (unsigned long long)((m->memory + 1048575) >> 20));
    snprintf(cpus, sizeof cpus, "%llu", (unsigned long long)m->cpus);
    snprintf(type, sizeof type, "%s%s", m->type, str_eq(m->type, "microvm") ? ",acpi=off" : "");
    snprintf(quick, sizeof quick, "socket,id=quick,fd=%d", QUICK_FD);
    snprintf(archive, sizeof archive, "/proc/self/fd/%d", ARCHIVE_FD);
    snprintf(console, sizeof console, "virtio-serial-%s", bus(m));
    snprintf(network, sizeof network, "virtio-net-%s,netdev=net", bus(m));
    if (asprintf(&line, "console=multiplex %s%s", m->iommu ? "iommu " : "", m->line) < 0)
        _exit(127);
    const char *argv[48 + 2 + 2 + 3 + FOLDERS_MAX * FOLDER_WORDS] = {
        QEMU,
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
        "-global",
        "virtio-mmio.force-legacy=false",
        "-chardev",
        quick,
        "-device",
        console,
        "-device",
        "virtserialport,chardev=quick",
        "-device",
        "isa-debug-exit,iobase=0xf4,iosize=4",
        "-kernel",
        kernel,
        "-initrd",
        archive,
        "-append",
        line,
        "-accel",
        m->kvm ? m->iommu ? "kvm,kernel-irqchip=split" : "kvm" : "tcg",
        NULL};
    u32 words = 0;
    while (argv[words])
        words++;
    if (m->kvm && m->tcg) {
        argv[words++] = "-accel";
        argv[words++] = "tcg";
    }
    if (m->iommu) {
        argv[words++] = "-device";
        argv[words++] = "intel-iommu,intremap=on";
    }
    if (m->network) {
        argv[words++] = "-netdev";
        argv[words++] = m->network;
        argv[words++] = "-device";
        argv[words++] = network;
    }
    if (m->gdb) {
        const char *port = *m->gdb ? m->gdb : "1234";
        if (asprintf(&gdb, "tcp:127.0.0.1:%s", port) < 0)
            _exit(127);
        argv[words++] = "-S";
        argv[words++] = "-gdb";
        argv[words++] = gdb;
        complain("the machine waits: gdb %s -ex 'target remote :%s'", kernel, port);
    }
    add_folders(m, argv + words);
    execvp(QEMU, (char *const *)argv);
    complain("%s: %s", QEMU, strerror(errno));
    if (errno == ENOENT)
        hint("install QEMU: apt-get install qemu-system-x86");
    _exit(127);
}

// QEMU gets its streams, the archive and the quick way, and nothing else that is open here. (Ours
// are above 2.) Both are duplicates above these places first, for they may lie there.
static void give_streams(const struct machine *m, int in, int out, int quick)
{
    int archive = fcntl(m->archive, F_DUPFD, QUICK_FD + 1);
    quick = fcntl(quick, F_DUPFD, QUICK_FD + 1);
    dup2(in, STDIN_FILENO);
    dup2(out, STDOUT_FILENO);
    if (archive < 0 || quick < 0 || dup2(archive, ARCHIVE_FD) < 0 || dup2(quick, QUICK_FD) < 0) {
        complain("cannot start %s: %s", QEMU, strerror(errno));
        _exit(127);
    }
    closefrom(QUICK_FD + 1);
}

static bool start(const struct machine *m, struct link *l)
{
    char kernel[4096];
    int in[2], out[2], quick[2];
    if (!find_kernel(kernel, sizeof kernel))
        return false;
    if (pipe2(in, O_CLOEXEC) || pipe2(out, O_CLOEXEC) ||
        socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, quick) || (l->child = fork()) < 0) {
        complain("cannot start %s: %s", QEMU, strerror(errno));
        return false;
    }
    if (!l->child) {
        prctl(PR_SET_PDEATHSIG, SIGKILL);
        if (m->apart)
            setpgid(0, 0);
        give_streams(m, in[0], out[1], quick[1]);
        run_qemu(m, kernel);
    }
    close(in[0]);
    close(out[1]);
    close(quick[1]);
    l->ways[SERIAL].to = in[1];
    l->ways[SERIAL].from = out[0];
    l->ways[QUICK].to = l->ways[QUICK].from = quick[0];
    fcntl(in[1], F_SETFL, O_NONBLOCK);
    fcntl(quick[0], F_SETFL, O_NONBLOCK);
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

static struct way *way_in(struct link *l)
{
    return &l->ways[l->moved ? QUICK : SERIAL];
}

static void queue(struct way *w, u8 byte)
{
    w->out[w->out_size++] = byte;
}

static void take_input(struct link *l)
{
    struct way *w = way_in(l);
    u8 part[PART];
    ssize_t n = read(STDIN_FILENO, part, l->granted < PART ? l->granted : PART);
    if (n < 0 && (errno == EINTR || errno == EAGAIN))
        return;
    for (ssize_t i = 0; i < n; i++) {
        if (part[i] == DLE)
            queue(w, DLE);
        queue(w, part[i]);
    }
    if (n > 0) {
        l->granted -= (u32)n;
        return;
    }
    l->input_open = false;
    queue(w, DLE);
    queue(w, 'Z');
}

static void send_input(struct link *l, struct way *w)
{
    ssize_t n = write(w->to, w->out + w->out_at, w->out_size - w->out_at);
    if (n > 0)
        w->out_at += (size_t)n;
    else if (errno != EAGAIN && errno != EINTR)
        w->out_at = w->out_size, l->input_open = false;
    if (w->out_at == w->out_size)
        w->out_at = w->out_size = 0;
}

// Output does not arrive, and the program is to know. When there is no room to say so, it has been
// said a moment ago.
static void tell(struct link *l, int stream, int error)
{
    struct way *w = way_in(l);
    l->closed[stream] = error == EPIPE;
    if (w->out_size + 3 > sizeof w->out - 4) // input's end fits, too, and that it moves
        return;
    queue(w, DLE);
    queue(w, (u8)('0' + stream));
    queue(w, (u8)host_error(error));
}

static int descriptor(const struct way *w)
{
    return w->stream >= CONSOLE_TELL ? CONSOLE_ERR : w->stream;
}

static void end_told(struct link *l)
{
    if (l->told.count)
        l->machine->told(l->machine->context, l->told.at, l->told.count);
    l->told.count = 0;
}

// Those that are whole, or too long to be lines.
static void put_trace(struct link *l, const u8 *p, size_t n)
{
    enum { LINE_MOST = 1 << 16 };
    if (!vec_reserve(&l->traced, (u32)n))
        return;
    memcpy(l->traced.at + l->traced.count, p, n);
    l->traced.count += (u32)n;
    const char *last = memrchr(l->traced.at, '\n', l->traced.count);
    u32 whole = last ? (u32)(last + 1 - l->traced.at) : 0;
    if (l->traced.count > LINE_MOST)
        whole = l->traced.count;
    lines_put(l->traced.at, whole);
    l->traced.count -= whole;
    memmove(l->traced.at, l->traced.at + whole, l->traced.count);
}

// Writes data, as far as that does not wait; how much is done with.
static size_t put(struct link *l, struct way *w, const u8 *p, size_t n)
{
    enum { TOLD_MOST = 1 << 16 };
    if (w->stream == CONSOLE_TELL && l->told.count < TOLD_MOST && vec_reserve(&l->told, (u32)n)) {
        memcpy(l->told.at + l->told.count, p, n);
        l->told.count += (u32)n;
        return n;
    }
    if (w->stream == CONSOLE_TRACE) {
        put_trace(l, p, n);
        return n;
    }

    enum { FITS = 4096 }; // where there is room, so much does
    int stream = descriptor(w);
    struct pollfd to = {.fd = stream, .events = POLLOUT};
    if (l->closed[stream])
        return n;
    w->blocked = poll(&to, 1, 0) <= 0;
    if (w->blocked)
        return 0;
    lines_begin();
    ssize_t done = write(stream, p, n < FITS ? n : FITS);
    int error = errno;
    lines_end(stream, &(struct vfs_iov){(u8 *)p, n}, 1, done);
    errno = error;
    if (done >= 0)
        return (size_t)done;
    if (errno == EINTR)
        return 0;
    w->blocked = errno == EAGAIN;
    if (!w->blocked)
        tell(l, stream, errno);
    return w->blocked ? 0 : n;
}

static void move_ways(struct link *l)
{
    if (l->moved)
        return;
    queue(&l->ways[SERIAL], DLE);
    queue(&l->ways[SERIAL], 'V');
    l->ways[QUICK].stream = l->ways[SERIAL].stream;
    l->moved = true;
}

static void control(struct link *l, struct way *w, u8 byte)
{
    w->control = 0;
    switch (byte) {
    case '1':
    case '2':
        end_told(l);
        w->stream = byte - '0';
        break;
    case '3': w->stream = l->machine->told ? CONSOLE_TELL : CONSOLE_ERR; break;
    case '4': w->stream = CONSOLE_TRACE; break;
    case 'E': w->control = 'E'; break;
    case 'R': l->granted += CONSOLE_GRANT; break;
    case 'V': move_ways(l); break;
    }
}

// Takes what is for one stream out of what has come, up to what is not data.
static void sort(struct link *l, struct way *w)
{
    w->data_at = w->data_size = 0;
    while (w->in_at < w->in_size) {
        const u8 *p = w->in + w->in_at, *end = w->in + w->in_size, *next;
        size_t n = 1;
        if (!w->control && *p != DLE) {
            next = memchr(p, DLE, (size_t)(end - p));
            n = (size_t)((next ? next : end) - p);
            memcpy(w->data + w->data_size, p, n);
            w->data_size += n;
        } else if (!w->control) {
            w->control = DLE;
        } else if (w->control == DLE && *p == DLE) {
            w->data[w->data_size++] = DLE;
            w->control = 0;
        } else if (w->data_size) {
            return; // first that
        } else if (w->control == DLE) {
            control(l, w, *p);
        } else { // the worst of several programs, as the kernel has it: the latest failure
            l->code = *p || l->code < 0 ? *p : l->code;
            w->control = 0;
        }
        w->in_at += n;
    }
}

static bool is_sorted(const struct way *w)
{
    return w->in_at == w->in_size && w->data_at == w->data_size;
}

static void put_sorted(struct link *l, struct way *w)
{
    w->blocked = false;
    while (!is_sorted(w) && !w->blocked) {
        if (w->data_at < w->data_size)
            w->data_at += put(l, w, w->data + w->data_at, w->data_size - w->data_at);
        else
            sort(l, w);
    }
}

static void read_output(struct way *w)
{
    ssize_t n = read(w->from, w->in, sizeof w->in);
    if (n < 0 && (errno == EINTR || errno == EAGAIN))
        return;
    if (n <= 0)
        w->from = -1;
    w->in_at = 0;
    w->in_size = n < 0 ? 0 : (size_t)n;
}

// False when QEMU has closed its output and all of it is out.
static bool move(struct link *l)
{
    enum { OUTPUT, SEND, STREAM, EACH };
    u32 ways = l->moved ? WAYS : 1;
    struct pollfd fds[EACH * WAYS + 1];
    bool over = true;
    for (u32 i = 0; i < ways; i++) {
        struct way *w = &l->ways[i];
        bool pending = w->out_at < w->out_size, sorted = is_sorted(w);
        fds[EACH * i + OUTPUT] = (struct pollfd){.fd = sorted ? w->from : -1, .events = POLLIN};
        fds[EACH * i + SEND] = (struct pollfd){.fd = pending ? w->to : -1, .events = POLLOUT};
        fds[EACH * i + STREAM] =
            (struct pollfd){.fd = sorted ? -1 : descriptor(w), .events = POLLOUT};
        over &= w->from < 0 && sorted;
    }
    if (over)
        return false;
    bool wants = l->granted && l->input_open && !way_in(l)->out_size;
    fds[EACH * ways] = (struct pollfd){.fd = wants ? STDIN_FILENO : -1, .events = POLLIN};
    if (poll(fds, EACH * ways + 1, -1) < 0)
        return errno == EINTR;
    if (fds[EACH * ways].revents)
        take_input(l);
    for (u32 i = 0; i < ways; i++) {
        struct way *w = &l->ways[i];
        if (fds[EACH * i + SEND].revents)
            send_input(l, w);
        if (fds[EACH * i + OUTPUT].revents)
            read_output(w);
        put_sorted(l, w);
    }
    return true;
}

static volatile pid_t running; // 0: there is no machine

void machine_kill(void)
{
    if (running > 0)
        kill(running, SIGKILL);
}

int machine_run(const struct machine *m)
{
    static struct link l = {.ways = {{.stream = STDOUT_FILENO}}, .code = -1};
    int status = 0;
    l.machine = m;
    l.input_open = !m->no_input;
    if (!start(m, &l))
        return EXIT_ERROR;
    running = l.child;
    signal(SIGPIPE, SIG_IGN);
    while (move(&l))
        ;
    end_told(&l);
    vec_free(&l.told);
    vec_free(&l.traced);
    while (waitpid(l.child, &status, 0) < 0 && errno == EINTR)
        ;
    running = 0;
    if (l.code >= 0)
        return l.code;
    if (!WIFEXITED(status) || WEXITSTATUS(status) != 127)
        complain("the machine has stopped before the program had ended");
    return EXIT_ERROR;
}
