// SPDX-License-Identifier: MIT
// Block devices: what a client of the service "block" sends, and gets.
//
// The first message has no bytes and one handle: a memory object, where the client's data are. The
// answer to it is a struct block_about. From then on a message is one to BLOCK_MOST requests, and
// an answer one to BLOCK_MOST struct block_answer, in the order in which they are done; data have
// been written to the memory, or taken from it, before the answer is sent. A client may have
// BLOCK_MOST requests in flight. One that asks for what is not in the contract (another size of
// message, more requests than that, a second memory object) is hung up on; a request that cannot be
// done is answered.
#pragma once
#include <stdint.h>

enum { BLOCK_MOST = 16, BLOCK_SECTOR = 512, BLOCK_ID_BYTES = 20, BLOCK_MEMORY_MOST = 1 << 20 };

enum block_op {
    BLOCK_READ,
    BLOCK_WRITE,
    BLOCK_FLUSH,  // what was answered before is there after a loss of power
    BLOCK_GET_ID, // BLOCK_ID_BYTES of text, 0s behind it
};

struct block_about {
    uint64_t sectors; // of BLOCK_SECTOR bytes
    uint32_t most;    // bytes that one request may have
    uint32_t read_only;
};

struct block_request {
    uint32_t op, tag; // tag: the client's own, for the answer
    uint64_t sector;
    uint32_t offset, bytes; // in the memory; whole sectors
};

// result: the bytes that were moved, or an error. OUT_OF_BOUNDS: beyond the end of the device, or
// of the memory. INVALID_ARG: not whole sectors, none, too many, or an unknown op. ACCESS_DENIED:
// the device is read-only. NOT_SUPPORTED: the device says so. INTERNAL: it has failed.
struct block_answer {
    uint32_t tag;
    int32_t result;
};
