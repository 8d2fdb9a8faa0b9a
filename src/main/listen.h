// SPDX-License-Identifier: MIT
// Listeners of the command line, --listen: each is bound before anything runs, so what is wrong
// with one is said at once, and the port that the kernel chose (port 0) is known.
#pragma once
#include "base/vec.h"
#include "main/options.h"
#include "plat/linux/socket.h"

struct listener {
    struct vfs_file *file;
    struct socket_address address;
    bool datagrams;
};
struct listeners {
    VEC(struct listener) all;
};

// Adds what one --listen names: tcp:ADDRESS:PORT, udp:ADDRESS:PORT, or `inherited`: those that
// systemd has opened (LISTEN_PID, LISTEN_FDS). False after a message.
// Whether each of them names anything; http: that requests can come by.
bool listeners_check(const struct options *o, bool http);
bool listeners_add(struct listeners *l, const char *given);
void listeners_free(struct listeners *l);
