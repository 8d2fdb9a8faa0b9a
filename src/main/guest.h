// SPDX-License-Identifier: MIT
// What the command line gives to a program: arguments, environment, folders, standard streams.
#pragma once
#include "abi/wasi.h"
#include "main/host.h"
#include "main/listen.h"

// A value of --dir, HOST[::GUEST]: the folder, open, and a copy of its name on each side. What is
// not given is called on the other side what it is here. False after a message, and then nothing is
// the caller's.
struct guest_folder {
    struct vfs_file *dir;
    char *host, *guest;
};
const char *guest_folder_name(const char *given); // the guest's
bool guest_folder(const char *given, struct guest_folder *out);
void guest_folder_free(struct guest_folder *f);

// From --dir, --env, --argv0, and the operands of this program, of which the first is its file; and
// the listeners that it gets. NULL after a message.
struct wasi *guest_wasi(const struct options *o, const struct listeners *l, int argc, char **argv);
