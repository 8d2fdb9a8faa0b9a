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
// Of a descriptor that this process was started with: a stream socket that listens, or one of
// datagrams, of IPv4 or IPv6 (as socket_answers), which is then ours to close. E_NOTSOCK, E_INVAL.
enum fs_error socket_inherit(int fd, struct socket_address *address, bool *datagrams,
                             struct vfs_file **out);
// A connection of a listener, and who it is from. E_AGAIN, E_MFILE, ...
enum fs_error socket_accept(struct vfs_file *listener, struct socket_address *peer,
                            struct vfs_file **out);
// A connection that is being made: it is one as soon as it is writable, and socket_connected says
// what has become of it.
enum fs_error socket_connect(const struct socket_address *address, struct vfs_file **out);
enum fs_error socket_connected(struct vfs_file *f);
// A socket of datagrams. *address becomes what it is bound to.
enum fs_error socket_datagrams(struct socket_address *address, struct vfs_file **out);
// The same for who cannot say whom he writes to: whom the last one came from.
enum fs_error socket_answers(struct socket_address *address, struct vfs_file **out);
// The next datagram, up to `room` bytes: a longer one is thrown away, and so is one that says only
// that another was not delivered. E_AGAIN: there is none. E_INTR: there may be more behind many of
// those.
enum fs_error socket_receive(struct vfs_file *f, struct socket_address *from, u8 *bytes, u32 room,
                             u32 *size);
// What the system does not take now is lost.
void socket_send(struct vfs_file *f, const struct socket_address *to, const u8 *bytes, u32 size);
// The first name servers that the system asks, at most `room`; how many.
u32 socket_name_servers(struct socket_address *out, u32 room);
// A file that becomes readable when something is written to its descriptor, 8 bytes, which a signal
// handler may do.
enum fs_error socket_bell(int *fd, struct vfs_file **out);

// Whoever uses a socket all the time is told of each change of what can be done with it, from when
// it is attached until it is detached: `ready` is called as that of a struct vfs_watch is, under
// the I/O lock. What has not changed since is not told again, so: try, until E_AGAIN or less than
// all.
enum socket_event {
    SOCKET_READABLE = 1,
    SOCKET_WRITABLE = 2,
    SOCKET_READ_ENDS = 4, // behind what can still be read there is an end
    SOCKET_WRITE_ENDS = 8,
};
struct socket_source {
    void (*ready)(struct socket_source *s, u32 events);
    u32 slot;
};
enum fs_error socket_attach(struct vfs_file *f, struct socket_source *s);
// Afterwards ready is not called any more. Takes the I/O lock.
void socket_detach(struct socket_source *s);

// As many descriptors as the system allows; each connection is one.
void socket_many(void);
