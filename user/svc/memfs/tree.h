// SPDX-License-Identifier: MIT
// A file system in memory that answers 9P2000.L, a message at a time. It knows nothing of where
// messages come from: main.c brings them from channels, test/unit/ninep.c from nowhere at all.
//
// Whoever asks may be hostile: lengths are checked before anything is read, names have neither
// slashes nor zeros, and all that is kept, open numbers included, counts in a limit (ENOSPC).
#pragma once
#include <stddef.h>
#include <stdint.h>

struct tree;
struct client; // a connection: its numbers of files

struct tree *tree_new(uint64_t limit); // bytes; NULL: no memory
void tree_free(struct tree *t);        // no client is left
struct client *client_new(struct tree *t);
void client_free(struct client *c);
// Answers a message. Result: the bytes of the answer, at most `room`, which is 4,096 or more; 0: it
// was no message, and the connection is to end.
uint32_t client_answer(struct client *c, const uint8_t *request, uint32_t size, uint8_t *answer,
                       uint32_t room);
