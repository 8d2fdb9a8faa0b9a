// SPDX-License-Identifier: MIT
// A machine (QEMU) that runs our kernel: started, connected to our standard streams, waited for.
//
// Its serial port, or a virtio console, carries input, output and errors, told apart as
// plat/pc/console.h says.
#pragma once
#include "base/vec.h"
#include "main/folder.h"
#include "main/options.h"

// In QEMU's networks, which are all the same.
#define MACHINE_ADDRESS "10.0.2.15"
#define MACHINE_GATEWAY "10.0.2.2"
#define MACHINE_NAMES "10.0.2.3" // asks whom the host asks, who may be reached from there only

struct machine {
    int archive;      // file descriptor of what it boots with
    const char *line; // the kernel's command line, after console=multiplex
    u64 memory;       // bytes
    u64 cpus;
    const char *type; // microvm or q35
    bool iommu;       // devices reach only what their drivers were given: a q35
    bool kvm, tcg;    // how it may run: the first of them that does
    const char *gdb;  // port at which it waits for GDB; "": the usual one; NULL: it does not
    bool no_input;    // there is none to pass on
    // Those that are no copies are devices, their places the tags. NULL: there are none.
    const struct folders *folders;
    // Of a device for the network, QEMU's -netdev (its id is net); NULL: there is none.
    const char *network;
    bool apart; // signals of the terminal are not QEMU's
    // Gets what the kernel tells of a program's trap. NULL: it goes to the errors.
    void (*told)(void *context, const char *text, size_t n);
    void *context;
};

// From --memory, --cpus, --machine, --iommu and --accel; false after a message.
bool machine_options(const struct options *o, struct machine *m);
// Whether it can have its folders; one that has many is a q35. False after a message.
bool machine_folders(const struct options *o, struct machine *m);
// Puts who serves each of them into an archive, as share/N, N its place: a driver, or what starts
// one and the file system on a disk. False after a message.
struct archive;
bool machine_archive_folders(const struct folders *f, struct archive *a);
// Reads standard input as long as it comes without delay: what is there already need not go through
// the machine's slow port. Sets *all when that was its end, and then machine_run reads no more of
// it. False after a message.
struct early {
    VEC(u8) bytes;
    bool all;
};
bool machine_early_input(struct early *e);

// The path of a file that comes with this program; false after a message: `hint` says how it is
// made.
bool machine_find(const char *name, const char *how, char *path, size_t n);

// The exit code of the last program, or an exit_code after a message.
int machine_run(const struct machine *m);
// Ends it at once; from a handler of signals, too.
void machine_kill(void);
