// SPDX-License-Identifier: MIT
// What `nebulet serve` is asked for, for both ways of doing it: here (cmd_serve.c), and in a
// machine (serve_boot.c).
#pragma once
#include "abi/wasi.h"
#include "base/vec.h"
#include "kern/process.h"
#include "main/folder.h"
#include "main/host.h"
#include "main/job.h"
#include "main/listen.h"
#include "plat/linux/socket.h"

struct archive;
struct worker;

enum { SERVE_PORT = 8000 }; // of the machine, for the first listener; those behind it are the next

// What a server is told: lines of a word and a value, and the handles that some of them name.
struct told {
    VEC(char) text;
    VEC(struct sent_handle) handles;
    bool failed;
};

struct server {
    struct job job;
    struct channel *ours, *theirs;
};

struct serve {
    const struct options *o;
    struct file http;
    struct server *servers; // all alike, but that the first one is asked for metrics
    u32 nservers;
    struct listeners listeners;
    struct archive *archive; // of the machine; NULL: there is none
    struct worker *worker;   // who brings messages; NULL: they come by HTTP
    struct folders shared;   // folders of this machine that it has
    u32 metrics;             // the number of the first listener that is for metrics
    u32 modules;             // so many are in the archive
    VEC(struct wasi_preopen) folders;
    struct told told; // to all of them
    struct socket_source bell;
    struct vfs_file *bell_file;
};

// Serves, by HTTP or for a worker, until it is asked to end. The exit code.
int serve(const struct options *o, struct worker *w);
// With all that is told in s->told, modules in the archive and addresses bound: runs the machine.
// The exit code of the server, or an exit_code after a message.
int serve_boot(struct serve *s);
// A module of a route, by its number; false: out of memory.
bool serve_boot_module(struct archive *a, u32 number, const struct file *f);
