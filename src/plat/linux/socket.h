// SPDX-License-Identifier: MIT
// Sockets of the host: addresses as texts, listeners and connections as files of the VFS.
#pragma once
#include "fs/vfs.h"

enum { SOCKET_TEXT = 80 }; // room for an address as text

// An address and a port: 4 or 16 bytes, as they stand on the wire.
struct socket_address {
    u8 bytes[16];
    u32 length; // 4 or 16
    u32 scope;  // of a link-local one
    u16 port;
};

// "127.0.0.1:8080", "[::1]:8080", "localhost:8080" (127.0.0.1), ":8080" and "*:8080" (0.0.0.0);
// port 0 lets the kernel choose. False: it is none.
bool socket_parse(const char *text, struct socket_address *out);
void socket_print(const struct socket_address *a, char out[SOCKET_TEXT]);

// A TCP listener. *address becomes what it is bound to. It can be taken over at once by who listens
// there next (SO_REUSEADDR); an IPv6 one takes IPv6 only. E_ADDRINUSE, E_ACCES, E_ADDRNOTAVAIL, ...
enum fs_error socket_listen(struct socket_address *address, struct vfs_file **out);
// Of a descriptor that this process was started with: a stream socket that listens, which is then
// ours to close. E_NOTSOCK, E_INVAL.
enum fs_error socket_inherit(int fd, struct socket_address *address, struct vfs_file **out);
// As many descriptors as the system allows; each connection is one.
void socket_many(void);
