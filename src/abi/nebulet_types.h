// SPDX-License-Identifier: MIT
// What a program and the platform say to each other in memory: structs and constants of the calls
// in abi/nebulet.def. The core includes it, and so does every guest (as <nebulet/types.h>): it
// needs nothing but <stdint.h>, and every layout is the same in 32 and 64 bits, little-endian.
#pragma once
#include <stdint.h>

typedef uint32_t nebulet_handle;
#define NEBULET_NO_HANDLE UINT32_MAX

// A point of the monotonic clock in ns, until which a call may wait.
#define NEBULET_AT_ONCE UINT64_C(0) // do not wait: SHOULD_WAIT
#define NEBULET_FOREVER UINT64_MAX

enum nebulet_rights {
    NEBULET_DUPLICATE = 1,
    NEBULET_TRANSFER = 2, // may be sent in a message, or given to a new process
    NEBULET_READ = 4,
    NEBULET_WRITE = 8,
    NEBULET_SAME_RIGHTS = 1u << 31, // for handle_duplicate: all that the original has
};

enum nebulet_signal {
    NEBULET_READABLE = 1,
    NEBULET_WRITABLE = 2,
    NEBULET_PEER_CLOSED = 4,
    NEBULET_PEER_SIGNALED = 8, // user signals of the peer changed: object_signal on the other end
    NEBULET_EVENT_SIGNALED = 16,
    NEBULET_HANDLE_CLOSED = 32, // object_wait_many: the handle was closed meanwhile
    NEBULET_ENDED = 64,         // a process or thread is over
    NEBULET_USER = (int)0xff000000,
};

enum nebulet_limit {
    NEBULET_MESSAGE_MAX = 65536,  // bytes in a message
    NEBULET_MESSAGE_HANDLES = 64, // handles in a message
    NEBULET_QUEUE_MAX = 1000,     // messages in a channel
    NEBULET_STREAM_SIZE = 65536,  // bytes in a stream
    NEBULET_WAIT_MAX = 1024,      // items of object_wait_many, places of a set
    NEBULET_PLACES_MAX = 256,     // of sets, for one object
    NEBULET_MAPPINGS_MAX = 64,    // of memory objects, in a process
    NEBULET_NAME_MAX = 63,        // bytes of a name of a process or service
    NEBULET_DMA_MAX = 2097152,    // bytes of memory for a device, in one piece
    NEBULET_RANGES = 7,           // of a device; of one on the PCI bus the first six are BARs
};

// What a process may do beyond its handles; a child has no more than its parent.
enum nebulet_privilege {
    NEBULET_MAY_SPAWN = 1,   // wasm_compile, process_create
    NEBULET_MAY_SERVE = 2,   // service_create
    NEBULET_MAY_CONNECT = 4, // service_connect
    NEBULET_MAY_PRINT = 8,   // print, and standard streams
    NEBULET_MAY_FILES = 16,  // the directories of its parent
    NEBULET_MAY_DEVICES =
        32, // device_list, device_open: who may have any device may have all memory
    NEBULET_MAY_ALL = 63,
    NEBULET_MAY_USUAL = 31, // of a program for which nothing else is said
};
// Their names, in manifests and on command lines: rows of an array of structs.
#define NEBULET_PRIVILEGE_NAMES                                                                    \
    {"spawn", NEBULET_MAY_SPAWN}, {"serve", NEBULET_MAY_SERVE}, {"connect", NEBULET_MAY_CONNECT},  \
        {"print", NEBULET_MAY_PRINT}, {"files", NEBULET_MAY_FILES},                                \
        {"devices", NEBULET_MAY_DEVICES}, {"everything", NEBULET_MAY_ALL}, {"nothing", 0}

// process_create. Bytes that the caller's struct does not have count as 0, which is the default.
struct nebulet_options {
    uint64_t memory;     // bytes, with all that is kept for it; 0: no limit but the parent's
    uint64_t cpu_ns;     // of processor time; 0: no limit
    uint32_t handles;    // in its table; 0: as the parent
    uint32_t threads;    // 0: as the parent
    uint32_t messages;   // queued for it in all its channels; 0: as the parent
    uint32_t weight;     // share of the processor, 1 to 1000, of its own; 0: in its maker's
    uint32_t privileges; // enum nebulet_privilege; without any options: the parent's
    uint32_t cpu;        // 0: any; N: stay on CPU N - 1
    char name[64];       // with a final 0; empty: the parent's
    uint64_t wall_ns;    // from when it begins; 0: no limit
    uint32_t processes;  // that it is and makes; 0: no limit but the parent's
    uint32_t reserved;   // 0
};

enum nebulet_end {
    NEBULET_EXITED, // returned or called exit
    NEBULET_TRAPPED,
    NEBULET_KILLED,
    NEBULET_WATCHDOG, // missed its tick
    NEBULET_LIMIT,    // of processor time
};

// process_wait
struct nebulet_exit {
    uint32_t how;  // enum nebulet_end
    uint32_t code; // EXITED: the exit code; TRAPPED: the number of the trap
};

// process_info
struct nebulet_info {
    uint64_t cpu_ns;         // processor time used
    uint64_t memory;         // bytes of linear memories and tables now
    uint64_t memory_peak;    // and at most
    uint64_t kernel_memory;  // bytes that the kernel keeps for it, code of its module not counted
    uint64_t switches;       // how often one of its threads was given a CPU
    uint64_t preemptions;    // how often it was taken away
    uint64_t sent, received; // messages
    uint32_t id;
    uint32_t handles, threads;
    uint32_t state; // enum nebulet_state
};
enum nebulet_state { NEBULET_CREATED, NEBULET_LIVES, NEBULET_ENDS, NEBULET_OVER };

// channel_recv: what the message that was taken, or was too large, has.
struct nebulet_message {
    uint32_t bytes, handles;
};

// object_wait_many
struct nebulet_wait {
    nebulet_handle handle;
    uint32_t signals;  // any of them
    uint32_t observed; // out
};

// waitset_wait
struct nebulet_ready {
    uint32_t place;    // in the set
    uint32_t observed; // all signals of the object
};

// device_list, device_info
enum nebulet_bus { NEBULET_VIRTIO_MMIO = 1, NEBULET_PCI, NEBULET_PC };
enum nebulet_pc { NEBULET_PC_PS2 = 1, NEBULET_PC_VGA, NEBULET_PC_RTC, NEBULET_PC_SERIAL };
enum nebulet_range { NEBULET_NO_RANGE, NEBULET_REGISTERS, NEBULET_PORTS, NEBULET_CONFIGURATION };
struct nebulet_device {
    uint32_t bus;        // enum nebulet_bus
    uint32_t vendor, id; // PCI's; of VIRTIO_MMIO: 0x1af4, its type; of PC: 0, enum nebulet_pc
    uint32_t interrupts; // how many
    uint32_t dma;        // 1: it reaches memory by itself
    uint32_t taken;      // 1: somebody has it
    uint32_t kinds[7];   // enum nebulet_range
    uint32_t sizes[7];   // bytes
};

// Of a peer, or to connect to; as it stands on the wire.
struct nebulet_address {
    char bytes[16];
    uint32_t family; // 4 or 6: so many of the bytes count, 4 or 16
    uint32_t port;
    uint32_t scope; // of a link-local address
};

enum nebulet_clock { NEBULET_MONOTONIC, NEBULET_REALTIME };

_Static_assert(sizeof(struct nebulet_options) == 120, "ABI");
_Static_assert(sizeof(struct nebulet_exit) == 8, "ABI");
_Static_assert(sizeof(struct nebulet_info) == 80, "ABI");
_Static_assert(sizeof(struct nebulet_message) == 8, "ABI");
_Static_assert(sizeof(struct nebulet_wait) == 12, "ABI");
_Static_assert(sizeof(struct nebulet_ready) == 8, "ABI");
_Static_assert(sizeof(struct nebulet_device) == 80, "ABI");
_Static_assert(sizeof(struct nebulet_address) == 28, "ABI");
