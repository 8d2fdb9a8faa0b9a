// SPDX-License-Identifier: MIT
// A machine (QEMU) that runs our kernel: started, connected to our standard streams, waited for.
//
// Its one serial port carries input, output and errors, told apart as plat/pc/console.h says.
#pragma once
#include "main/options.h"

struct machine {
    int archive;      // file descriptor of what it boots with
    const char *line; // the kernel's command line, after console=multiplex
    u64 memory;       // bytes
    u64 cpus;
    const char *type; // microvm or q35
};

// From --memory, --cpus and --machine; false after a message.
bool machine_options(const struct options *o, struct machine *m);
// The exit code of the last program, or an exit_code after a message.
int machine_run(const struct machine *m);
