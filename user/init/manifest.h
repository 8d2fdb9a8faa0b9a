// SPDX-License-Identifier: MIT
// What init is to run: doc/init.md says how a manifest is written.
#pragma once
#include <sip.h>

enum restart { RESTART_NEVER, RESTART_ON_FAILURE, RESTART_ALWAYS };

enum state {
    WAITS,     // for what it needs
    BACKS_OFF, // until again_at
    RUNS,
    OVER,   // for good, and all was well
    FAILED, // for good
};

struct need {
    const char *name;
    uint32_t line;
    uint32_t service; // its place
};

struct folder {
    const char *name, *server; // by whom it is served: the name that it is connected to by
};

struct service {
    const char *name, *file;
    const char **args;   // the name first, then NULL
    const char *device;  // that it gets; NULL: none
    const char *console; // a name that it serves: what init says is shown there, too; NULL: none
    struct nebulet_options options;
    enum restart restart;
    uint32_t restarts_max;
    uint64_t back_off; // before the first restart; twice as long before each that follows
    bool is_daemon;    // ends when all others have ended
    uint64_t grace;    // then it is told, and has so long; 0: it is killed at once
    struct need *needs;
    uint32_t need_count;
    struct folder *folders;
    uint32_t folder_count;
    uint32_t line; // where it begins

    // What became of it, kept by supervise.c.
    enum state state;
    nebulet_handle module, process, told; // told: what it is told by, the other end of its handle 0
    uint32_t restarts;
    uint64_t wait, started_at, again_at;
    uint32_t needs_met; // so many of them run or are over
};

struct manifest {
    struct service *services;
    uint32_t count;
    uint32_t *order; // places of services, each after all that it needs
};

// Takes the text, of so many bytes and a 0, apart, in place: names and words stay where they are.
// When it is not well formed: false, and `*line` and `error` say where and why.
bool manifest_parse(struct manifest *m, char *text, size_t size, uint32_t *line, char *error,
                    size_t room);
