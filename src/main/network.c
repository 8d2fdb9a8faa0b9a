// SPDX-License-Identifier: MIT
// The service "net": see network.h. It is a program, user/svc/sockets, which has the sockets of
// this system as a capability, its handle 0 (main/net.h), and programs have the service: so what
// they may reach, names, and how many of them ask at once is decided in a process that is bounded
// and isolated like any other, by the same code as in a machine of its own. Bytes of connections do
// not go through it.
#include "main/network.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "abi/wait_files.h"
#include "main/machine.h"
#include "main/net.h"
#include "plat/linux/hostfs.h"

#define SERVICE "sockets.wasm"
enum { MEMORY = 64 << 20, HANDLES = 4096, SERVERS = 3 };

static bool add(struct network *n, const char *option, const char *value)
{
    if (value && vec_push(&n->args, option) && vec_push(&n->args, value))
        return true;
    complain("out of memory");
    return false;
}

static bool add_own_servers(struct network *n)
{
    struct socket_address found[SERVERS];
    u32 count = socket_name_servers(found, SERVERS);
    for (u32 i = 0; i < count; i++) {
        char text[SOCKET_TEXT], *copy;
        socket_print(&found[i], text);
        if (!(copy = strdup(text)) || !vec_push(&n->servers, copy)) {
            free(copy);
            complain("out of memory");
            return false;
        }
        if (!add(n, "--dns", copy))
            return false;
    }
    return true;
}

bool network_args(struct network *n, const struct options *o, const char *usual)
{
    for (u32 i = 0; i < o->allow_net.count; i++)
        if (!add(n, "--allow-net", o->allow_net.at[i]))
            return false;
    for (u32 i = 0; i < o->dns.count; i++)
        if (!add(n, "--dns", o->dns.at[i]))
            return false;
    if (o->dns.count)
        return true;
    return usual ? add(n, "--dns", usual) : add_own_servers(n);
}

static struct wasi *make_wasi(const struct network *n, bool check)
{
    struct vfs_file *out = hostfs_adopt(1), *err = hostfs_adopt(2);
    struct wasi *w = NULL;
    VEC(const char *) args = {0};
    bool all = out && err && vec_push(&args, "net") && (!check || vec_push(&args, "--check"));
    for (u32 i = 0; i < n->args.count && all; i++)
        all = vec_push(&args, n->args.at[i]);
    struct wasi_config config = {.args = args.at,
                                 .nargs = args.count,
                                 .out = out,
                                 .err = err,
                                 .wait = files_wait,
                                 .yield = files_yield};
    if (all)
        w = wasi_create(&config);
    vfs_close(out);
    vfs_close(err);
    vec_free(&args);
    return w;
}

static int link_service(struct network *n, bool check)
{
    struct error e = {0};
    n->job =
        (struct job){.name = "net",
                     .bytes = n->file.bytes,
                     .size = n->file.size,
                     .config = {.limits = {.memory = MEMORY,
                                           .handles = HANDLES,
                                           .threads = 1,
                                           .privileges = NEBULET_MAY_SERVE | NEBULET_MAY_PRINT}},
                     .wasi = make_wasi(n, check)};
    status s = n->job.wasi ? job_load(&n->job, &e) : ERR_NO_MEMORY;
    if (!s)
        s = job_link(&n->job, &e);
    if (!s)
        return EXIT_OK;
    complain(SERVICE ": %s", *e.text ? e.text : status_text(s));
    return EXIT_ERROR;
}

static int check(struct network *n)
{
    int code = link_service(n, true);
    if (!code && job_begin(&n->job))
        code = EXIT_ERROR;
    jobs_run();
    if (!code)
        code = n->job.code;
    job_free(&n->job);
    return code;
}

static int begin(struct network *n)
{
    int code = link_service(n, false);
    struct channel *sockets = code ? NULL : net_sockets();
    if (code)
        return code;
    if (!sockets || handles_reserve(&n->job.process->handles, 1)) {
        complain("out of memory");
        if (sockets)
            object_release(&sockets->object);
        return EXIT_ERROR;
    }
    kern_acquire();
    handle_add(&n->job.process->handles, &sockets->object, HANDLE_ALL_RIGHTS);
    sched_daemon(n->job.process);
    kern_release();
    return job_begin(&n->job) ? EXIT_ERROR : EXIT_OK;
}

static int load(struct network *n, const struct options *o)
{
    char path[4096];
    if (!network_args(n, o, NULL) ||
        !machine_find(SERVICE, "build it with make userspace", path, sizeof path) ||
        !file_read(path, &n->file))
        return EXIT_ERROR;
    return check(n);
}

int network_begin(struct network *n, const struct options *o)
{
    int code = o->allow_net.count ? load(n, o) : EXIT_OK;
    if (code || !o->allow_net.count)
        return code;
    socket_many();
    return begin(n);
}

int network_check(const struct options *o)
{
    struct network n = {0};
    if (!o->allow_net.count)
        return EXIT_OK;
    if (jobs_init(o->engine, 1, false, NULL))
        return complain_setup();
    int code = load(&n, o);
    network_free(&n);
    jobs_free();
    return code;
}

void network_free(struct network *n)
{
    job_free(&n->job);
    file_free(&n->file);
    for (u32 i = 0; i < n->servers.count; i++)
        free(n->servers.at[i]);
    vec_free(&n->servers);
    vec_free(&n->args);
}
