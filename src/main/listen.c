// SPDX-License-Identifier: MIT
// Listeners of the command line: see listen.h.
#include "main/listen.h"

#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "main/host.h"

enum { FIRST_INHERITED = 3, INHERITED_MAX = 1000 }; // of sd_listen_fds(3)

static bool add(struct listeners *l, struct listener x)
{
    if (vec_push(&l->all, x))
        return true;
    vfs_close(x.file);
    complain("out of memory");
    return false;
}

static bool add_inherited(struct listeners *l)
{
    const char *pid = getenv("LISTEN_PID"), *count = getenv("LISTEN_FDS");
    long n = count ? strtol(count, NULL, 10) : 0;
    if (!pid || strtol(pid, NULL, 10) != getpid() || n < 1 || n > INHERITED_MAX) {
        complain("--listen inherited: nobody has opened sockets for this process (LISTEN_PID, "
                 "LISTEN_FDS)");
        return false;
    }
    for (int fd = FIRST_INHERITED; fd < FIRST_INHERITED + n; fd++) {
        struct listener x;
        enum fs_error e = socket_inherit(fd, &x.address, &x.datagrams, &x.file);
        if (e) {
            complain("--listen inherited: descriptor %d: %s", fd, fs_error_text(e));
            return false;
        }
        if (!add(l, x))
            return false;
    }
    return true;
}

static bool parse(const char *given, struct listener *x, bool *inherited)
{
    enum { PREFIX = 4 };
    *x = (struct listener){.datagrams = !strncmp(given, "udp:", PREFIX)};
    const char *text = x->datagrams || !strncmp(given, "tcp:", PREFIX) ? given + PREFIX : given;
    *inherited = str_eq(text, "inherited");
    if (*inherited || socket_parse(text, &x->address))
        return true;
    complain("--listen %s: not an address and a port", given);
    hint("tcp:127.0.0.1:8080, tcp:[::1]:8080, or tcp::8080 for all addresses of this machine; "
         "udp: likewise");
    return false;
}

static bool check(const char *given, bool http)
{
    struct listener x;
    bool inherited, good = parse(given, &x, &inherited);
    if (!good || !http || !x.datagrams)
        return good;
    complain("--listen %s: HTTP comes by connections", given);
    return false;
}

bool listeners_check(const struct options *o, bool http)
{
    bool good = !o->metrics || check(o->metrics, true);
    for (u32 i = 0; i < o->listen.count && good; i++)
        good = check(o->listen.at[i], http);
    return good;
}

bool listeners_add(struct listeners *l, const char *given)
{
    struct listener x;
    bool inherited;
    if (!parse(given, &x, &inherited))
        return false;
    if (inherited)
        return add_inherited(l);
    enum fs_error e =
        x.datagrams ? socket_answers(&x.address, &x.file) : socket_listen(&x.address, &x.file);
    if (e) {
        complain("--listen %s: %s", given, fs_error_text(e));
        if (e == E_ADDRINUSE)
            hint("another program listens there; port 0 takes one that is free");
        else if (e == E_ACCES)
            hint("ports below 1024 are root's");
        return false;
    }
    return add(l, x);
}

void listeners_free(struct listeners *l)
{
    for (u32 i = 0; i < l->all.count; i++)
        vfs_close(l->all.at[i].file);
    vec_free(&l->all);
}
