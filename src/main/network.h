// SPDX-License-Identifier: MIT
// --allow-net: the service "net" beside the programs of a command, over sockets of this system.
#pragma once
#include "base/vec.h"
#include "main/host.h"
#include "main/job.h"

struct network {
    VEC(const char *) args;
    VEC(char *) servers; // ours, for --dns
    struct file file;
    struct job job;
};

// What the service is told in options, for other ways of starting it: "--allow-net", RULE, ... and
// whom to ask for names where nobody is named: `usual`, or NULL, those of this system. False: out
// of memory, after a message.
bool network_args(struct network *n, const struct options *o, const char *usual);
// After jobs_init, and before any program is linked: finds out whether rules and addresses are well
// formed, and then begins the service, which ends when nobody else is left. Without --allow-net
// nothing is done. EXIT_OK, or an exit_code after a message.
int network_begin(struct network *n, const struct options *o);
// Only whether they are well formed, with nothing else set up.
int network_check(const struct options *o);
void network_free(struct network *n); // before jobs_free
