// SPDX-License-Identifier: MIT
// What the handlers of the platform's calls share: their arguments, as nebulet.def makes them.
//
// A handler gets arguments that are checked: objects of the right type that the handle has the
// rights for, memory within bounds. It answers with what the guest gets. Objects are the process's
// own as long as the handler does not wait; kern/ keeps those that it waits for. Memory stays where
// it is, but what is in it may change while the handler waits. When the process ends meanwhile, a
// wait gives CANCELLED: the handler lets go of everything and returns, and the shim ends the
// thread.
#pragma once
#include "abi/nebulet.h"
#include "abi/nebulet_types.h"
#include "kern/channel.h"
#include "kern/event.h"
#include "kern/sched.h"
#include "kern/service.h"
#include "kern/stream.h"
#include "kern/waitset.h"
#include "wasm/runtime.h"

typedef struct process object_process;
typedef struct kthread object_thread;
typedef struct channel object_channel;
typedef struct stream object_stream;
typedef struct event object_event;
typedef struct waitset object_waitset;
typedef struct timer object_timer;
typedef struct module_object object_module;
typedef struct memory_object object_memory;
typedef struct device object_device;
typedef struct interrupt object_interrupt;

#define CALL(number, name, waits, privilege, args, errors, doc)                                    \
    struct call_##name {                                                                           \
        args                                                                                       \
    };
#define OBJECT(x, type, rights) object_##type *x;
#define ANY(x, rights)                                                                             \
    struct object *x;                                                                              \
    u32 x##_rights; // that the handle has
#define HANDLE(x) nebulet_handle x;
#define NUM(x) u32 x;
#define LONG(x) u64 x;
#define DEADLINE(x) u64 x;
#define IN(x)                                                                                      \
    const u8 *x;                                                                                   \
    u32 x##_size;
#define BUFFER(x)                                                                                  \
    u8 *x;                                                                                         \
    u32 x##_size;
#define LIST(x, type)                                                                              \
    u8 *x;                                                                                         \
    u32 x##_count;
#define OUT(x, type) u8 *x;
#define MAYBE(x, type) u8 *x;
#define WORD(x) u32 x;
#include "abi/nebulet.def"

#define CALL(number, name, waits, privilege, args, errors, doc)                                    \
    s64 call_##name(struct vmctx *vm, struct process *p, const struct call_##name *a);
#include "abi/nebulet.def"

// Before the handler of a call that HANDS: gives the thread to leave for, or has done nothing:
// NULL.
#define CALL(number, name, waits, privilege, args, errors, doc) HAND_##waits(name)
#define HAND_WAITS(name)
#define HAND_PLAIN(name)
#define HAND_SLOW(name)
#define HAND_PASSES(name)
#define HAND_HANDS(name)                                                                           \
    struct vm_thread *hand_##name(struct vmctx *vm, const struct call_##name *a);
#include "abi/nebulet.def"
#undef HAND_HANDS

// A handle for an object whose reference the caller has, which goes with it, also when there is no
// room: NO_RESOURCES, NO_MEMORY.
s64 call_give(struct process *p, struct object *o, u32 rights);
// Two, whose numbers go to `ends`.
s64 call_give_two(struct process *p, struct object *a, u32 a_rights, struct object *b, u32 b_rights,
                  u8 *ends);
