// SPDX-License-Identifier: MIT
// WASI preview 1 for guests: the modules wasi_snapshot_preview1 and wasi_unstable.
//
// wasi_register makes the calls importable in a store; they act for the struct wasi of the process
// that vmctx->process points to (kern/process.h). abi/wasi.def has a row per call.
#pragma once
#include "fs/vfs.h"
#include "rt/rt.h"

struct wasi;

// A directory that the program has from the start, under a name by which it finds it.
struct wasi_preopen {
    const char *name;
    struct vfs_file *dir;
    u32 own; // so many generations have it, itself the first; 0: all that it starts
};

// What a program gets. Strings are copied, files are referenced: the caller may drop all of it.
struct wasi_config {
    const char *const *args; // args[0] is the program's name
    u32 nargs;
    const char *const *env; // "NAME=value"
    u32 nenv;
    struct vfs_file *in, *out, *err;     // 0, 1, 2; NULL: closed
    const struct wasi_preopen *preopens; // 3, 4, ...
    u32 npreopens;
    struct vfs_file *const *listeners; // behind these; LISTEN_FDS in `env` says how many
    u32 nlisteners;
    // How calls wait; NULL: by plat_wait. The calls hold files and memory meanwhile, so it comes
    // back even when the thread is to end: with E_INTR or E_CANCELED, rt_check_interrupt then being
    // what ends it. It may come back early.
    vfs_wait_fn *wait;
    void (*yield)(struct vmctx *vm); // sched_pass: others' turn; NULL: nothing
};

struct wasi *wasi_create(const struct wasi_config *config); // NULL: no memory
// For a child process: the environment of its parent, arguments of its own (each with a final 0),
// and, if it may have them, the parent's standard streams and directories. NULL: no memory.
struct wasi *wasi_child(const struct wasi *parent, const u8 *args, u32 size, bool streams,
                        bool files);
// One more directory, of a process that does not run yet; takes both over. NO_RESOURCES, NO_MEMORY.
status wasi_add_folder(struct wasi *w, struct vfs_file *dir, char *name);
// A standard stream (0, 1, 2), or an environment, in the place of the one that it has, of a process
// that does not run yet: gives that one back, for the caller to drop. NULL: there is no stream.
struct vfs_file *wasi_set_stream(struct wasi *w, u32 number, struct vfs_file *file);
char *wasi_set_environment(struct wasi *w, char *bytes, u32 size);
// Texts, each with a final 0, copied into a block of the heap, or NULL for none. False: no memory,
// or the caller is to end; what is in *out is to be freed all the same.
bool wasi_texts_copy(const u8 *texts, u32 size, char **out);
// Takes standard streams and directories away, before it is used.
void wasi_withhold(struct wasi *w, bool streams, bool files);
// Has it nothing open but standard streams and directories that it was given?
bool wasi_plain(const struct wasi *w);
void wasi_free(struct wasi *w); // closes its files; NULL is fine
status wasi_register(struct store *s);
