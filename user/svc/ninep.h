// SPDX-License-Identifier: MIT
// 9P2000.L, the server's side: answers a message at a time, and knows neither where messages come
// from (channels bring them to main.c of each server, test/unit/ninep.c calls directly) nor how
// files are kept. That is a store's: its functions work on nodes, each of which is a file, a
// directory or a link, found in another by name.
//
// Whoever asks may be hostile: lengths are checked before anything is read, names have neither
// slashes nor zeros, are not "." or "..", and all that is kept, open numbers included, counts in a
// limit (ENOSPC, ENOMEM).
//
// A node is there as long as a number of a client stands for it, or somebody holds it; then
// store_ops.idle is told, which may free it.
#pragma once
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum { NINEP_NAME_MAX = 255, NINEP_TARGET_MAX = 4000 };
enum { IS_DIRECTORY = 0040000, IS_FILE = 0100000, IS_LINK = 0120000, KIND = 0170000 };
// Linux's numbers: the protocol's.
enum {
    PERM = 1,
    NOENT = 2,
    IO = 5,
    BADF = 9,
    NOMEM = 12,
    EXIST = 17,
    NOTDIR = 20,
    ISDIR = 21,
    INVAL = 22,
    FBIG = 27,
    NOSPC = 28,
    ROFS = 30,
    NAMETOOLONG = 36,
    NOTEMPTY = 39,
    NOTSUP = 95
};

struct node {
    uint32_t mode, numbers;       // numbers: and holds, that lead to it
    uint32_t names, below;        // that lead to it; of a directory: directories in it
    uint32_t version;             // another for what else ever has its name; 0: that is not known
    uint64_t ino, size, times[3]; // ns: read, written, changed
    struct node *parent;          // of a directory; NULL: it is the root, or was removed
};

struct name {
    const char *text; // of `length` bytes, nothing behind them
    uint32_t length;
};

// What a listing is told; false: there is no more room.
struct listing;
bool list_entry(struct listing *l, uint64_t ino, uint32_t mode, uint64_t next, struct name name);

// Results are 0 or an error. Nodes that are given to find and make are held for the caller.
struct store;
struct store_ops {
    int (*find)(struct store *s, struct node *d, struct name name, struct node **out);
    // Under a name that is not there; target: of a link.
    int (*make)(struct store *s, struct node *d, struct name name, uint32_t mode,
                struct name target, struct node **out);
    // NULL: there are no further names.
    int (*link)(struct store *s, struct node *d, struct name name, struct node *n);
    // Both are told what they find there. What is asked for is allowed, but that a directory may
    // have something in it (NOTEMPTY).
    int (*remove)(struct store *s, struct node *d, struct name name, struct node *n);
    int (*rename)(struct store *s, struct node *from, struct name name, struct node *n,
                  struct node *to, struct name to_name, struct node *over);
    int (*open)(struct store *s, struct node *n); // NULL: nothing is to be done
    // *size: bytes that are wanted, then those that there were. Also of a link, from 0.
    int (*read)(struct store *s, struct node *n, uint64_t offset, uint8_t *bytes, uint64_t *size);
    int (*write)(struct store *s, struct node *n, uint64_t offset, const uint8_t *bytes,
                 uint64_t size);
    int (*set_size)(struct store *s, struct node *n, uint64_t size);
    // Mode or times are others; NULL: there is no need to tell.
    int (*changed)(struct store *s, struct node *n);
    // Names from the one with that number on; *state: NULL for a new listing, and what is there is
    // freed by end_list. Numbers begin with 2.
    int (*list)(struct store *s, struct node *d, uint64_t from, struct listing *l, void **state);
    void (*end_list)(struct store *s, void *state);
    int (*sync)(struct store *s, struct node *n); // NULL: all is where it will be
    int (*quiet)(struct store *s); // the same of all files, a second after something was asked
    void (*space)(struct store *s, uint64_t *bytes, uint64_t *free);
    void (*idle)(struct store *s, struct node *n);
};

struct store {
    const struct store_ops *ops;
    struct node *root;
    uint64_t used, limit; // of memory
    bool read_only;
};

void *store_take(struct store *s, size_t size); // zeroed; NULL: beyond the limit, or none
void store_give(struct store *s, void *p, size_t size);
void node_hold(struct node *n);
void node_let_go(struct store *s, struct node *n);
void node_touch(struct node *n); // written, changed: now
uint64_t node_now(void);         // ns
static inline bool node_is(const struct node *n, uint32_t kind)
{
    return (n->mode & KIND) == kind;
}

struct client; // a connection: its numbers of files
struct client *client_new(struct store *s);
void client_free(struct client *c);
// Answers a message. Result: the bytes of the answer, at most `room`, which is 4,096 or more; 0: it
// was no message, and the connection is to end.
uint32_t client_answer(struct client *c, const uint8_t *request, uint32_t size, uint8_t *answer,
                       uint32_t room);

// Offers the service and serves the store to all who connect, until it fails; or until the peer of
// the channel on handle 0 closes, which init does for who has time to end (doc/init.md).
int64_t ninep_serve(const char *name, struct store *s);
// Serves the one client on that channel, until it is gone.
int64_t ninep_serve_one(uint32_t channel, struct store *s);
