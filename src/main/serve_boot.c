// SPDX-License-Identifier: MIT
// nebulet serve --boot: see serve.h. The archive is a folder `serve` with what init starts: the
// driver of the network's device, net, and user/svc/serve, which does there what cmd_serve.c does
// here. QEMU's own network forwards each address that is listened at to a port of the machine's.
//
// The end of the machine's standard input asks it to end, so that is a pipe of ours, and a signal
// closes it.
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "main/archive.h"
#include "main/folder.h"
#include "main/host.h"
#include "main/machine.h"
#include "main/network.h"
#include "main/serve.h"
#include "main/tracing.h"

enum { TO_SERVE = 2, TO_HTTP }; // generations of processes: init, serve, http

// What the machine has beside what is served. Who only listens needs less of net.
static const struct program {
    const char *file, *name;
    bool reaches, listens; // where handlers may reach others, where they may not
} programs[] = {{"init.wasm", "serve/init.wasm", true, true},
                {"virtio-net.wasm", "serve/virtio-net.wasm", true, true},
                {"net.wasm", "serve/net.wasm", true, false},
                {"net-listen.wasm", "serve/net.wasm", false, true},
                {"http.wasm", "serve/http.wasm", true, true},
                {"serve.wasm", "serve/serve.wasm", true, true}};

static volatile int input = -1; // -1: the machine has been asked to end

static bool archive_programs(const struct serve *s, struct archive *a)
{
    char path[4096];
    struct file f;
    for (const struct program *p = programs; p < programs + countof(programs); p++) {
        if (!(s->o->allow_net.count ? p->reaches : p->listens))
            continue;
        if (!machine_find(p->file, "build it with make userspace", path, sizeof path) ||
            !file_read(path, &f))
            return false;
        archive_module(a, p->name, f.bytes, f.size);
        file_free(&f);
    }
    return true;
}

// What net is told of where may be listened, and of whom handlers may reach. False after a message.
static bool print_rules(const struct serve *s, FILE *to)
{
    u32 count = s->listeners.all.count;
    struct network n = {0};
    bool all = true;
    if (s->o->allow_net.count) {
        all = network_args(&n, s->o, MACHINE_NAMES);
        fprintf(to, " --allow-net listen:tcp:*:%u-%u", SERVE_PORT, SERVE_PORT + count - 1);
        for (u32 i = 0; i < n.args.count; i++)
            fprintf(to, " %s", n.args.at[i]);
        network_free(&n);
    } else {
        for (u32 i = 0; i < count; i++)
            fprintf(to, " --listen %u", SERVE_PORT + i);
    }
    return all;
}

// Services of init.
static bool archive_manifest(const struct serve *s, struct archive *a)
{
    char *text = NULL;
    size_t size = 0;
    FILE *to = open_memstream(&text, &size);
    if (!to)
        return false;
    fprintf(to, "service ethernet\nfile /serve/virtio-net.wasm\ndevice virtio-net\n"
                "may serve print\nrestart always 1000000 5ms\ndaemon\n"
                "service net\nfile /serve/net.wasm\nmay serve connect print\nneeds ethernet\n"
                "restart always 1000000 5ms\ndaemon\n"
                "args --address " MACHINE_ADDRESS "/24 --gateway " MACHINE_GATEWAY);
    bool all = print_rules(s, to);
    fprintf(to, "\nservice serve\nfile /serve/serve.wasm\n"
                "may spawn connect print files\nneeds net\n");
    fclose(to);
    archive_file(a, "serve/manifest", text, size);
    free(text);
    return all;
}

// What the kernel is to do (main/kernel.c).
static bool archive_words(const struct serve *s, struct archive *a)
{
    char *text = NULL;
    size_t size = 0;
    FILE *to = open_memstream(&text, &size);
    if (!to)
        return false;
    fprintf(to, "engine=%s%cmay=%d%c", s->o->engine->name, 0, NEBULET_MAY_ALL, 0);
    if (s->o->trace)
        fprintf(to, "trace=%s%c", tracing_calls(s->o), 0);
    fprintf(to, "own=%u%cdir=/serve::/serve%c", TO_SERVE, 0, 0);
    for (u32 i = 0; i < s->shared.all.count; i++) {
        const struct folder *f = &s->shared.all.at[i];
        fprintf(to, "own=%u%cdir%s=%s::/%s/%u%c", i < s->o->files.count ? TO_HTTP : 0, 0,
                f->how == FOLDER_READ ? ".ro" : "", f->guest,
                f->how == FOLDER_COPY ? "folder" : "share", i, 0);
    }
    fprintf(to, "argc=2%cinit=/serve/init.wasm%c--quiet%c/serve/manifest%c", 0, 0, 0, 0);
    fclose(to);
    archive_file(a, "words", text, size);
    free(text);
    return true;
}

// Where host addresses are forwarded to; NULL after a message. The ports are ours until now, and
// QEMU's in a moment.
static char *network(struct serve *s)
{
    char *text = NULL, where[SOCKET_TEXT];
    size_t size = 0;
    FILE *to = open_memstream(&text, &size);
    if (!to)
        return NULL;
    fprintf(to, s->o->allow_net.count ? "user,id=net" : "user,id=net,restrict=on");
    for (u32 i = 0; i < s->listeners.all.count; i++) {
        const struct socket_address *a = &s->listeners.all.at[i].address;
        socket_print(a, where);
        if (a->length != 4) {
            complain("%s: QEMU forwards IPv4 addresses only", where);
            fclose(to);
            free(text);
            return NULL;
        }
        fprintf(to, ",hostfwd=tcp:%s-" MACHINE_ADDRESS ":%u", where, SERVE_PORT + i);
    }
    fclose(to);
    listeners_free(&s->listeners);
    return text;
}

static void on_signal(int number)
{
    int error = errno;
    (void)number;
    if (input < 0)
        machine_kill(); // it was asked before, and has not ended
    else
        close(input);
    input = -1;
    errno = error;
}

static bool take_input(void)
{
    int ends[2];
    if (pipe2(ends, O_CLOEXEC) || dup2(ends[0], STDIN_FILENO) < 0) {
        complain("cannot start: %s", strerror(errno));
        return false;
    }
    close(ends[0]);
    input = ends[1];
    struct sigaction action = {.sa_handler = on_signal, .sa_flags = SA_RESTART};
    sigaction(SIGTERM, &action, NULL);
    sigaction(SIGINT, &action, NULL);
    return true;
}

bool serve_boot_module(struct archive *a, u32 number, const struct file *f)
{
    char name[32];
    snprintf(name, sizeof name, "serve/%u.wasm", number);
    archive_module(a, name, f->bytes, f->size);
    return !a->failed;
}

int serve_boot(struct serve *s)
{
    struct archive *a = s->archive;
    struct machine m = {.line = "words=/words", .folders = &s->shared, .apart = true};
    char *net = NULL;
    int code = machine_options(s->o, &m) ? EXIT_ERROR : EXIT_USAGE;
    archive_file(a, "serve/told", s->told.text.at, s->told.text.count);
    folders_archive(&s->shared, a);
    if (code == EXIT_ERROR && archive_programs(s, a) && machine_archive_folders(&s->shared, a) &&
        archive_manifest(s, a) && archive_words(s, a) && archive_finish(a) && (net = network(s)) &&
        take_input()) {
        m.network = net;
        m.archive = a->fd;
        if (machine_folders(s->o, &m))
            code = machine_run(&m);
    }
    free(net);
    return code;
}
