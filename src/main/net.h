// SPDX-License-Identifier: MIT
// Sockets as the kernel's objects: a listener is a channel, on which a message comes for each
// connection, with its two streams. On Linux this is the whole of the network (doc/net.md).
#pragma once
#include "kern/channel.h"
#include "plat/linux/socket.h"

// A message of it is the peer's struct nebulet_address and two handles: the stream that is read,
// and the one that is written. The listener is referenced. E_NOMEM, ...
enum fs_error net_listener(struct vfs_file *listener, struct channel **out);
// The sockets of this system for the service "net" (user/svc/sockets), which says what programs may
// do with them: a channel on which it asks for them. NULL: out of memory.
struct channel *net_sockets(void);
