// SPDX-License-Identifier: MIT
// Sockets of the host: see socket.h. What is done with one is done as with any file (hostfile.c).
#include "plat/linux/socket.h"

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/heap.h"
#include "plat/linux/hostfile.h"

union any_address {
    struct sockaddr any;
    struct sockaddr_in v4;
    struct sockaddr_in6 v6;
};

static bool parse_port(const char *text, u16 *out)
{
    char *end;
    unsigned long n = strtoul(text, &end, 10);
    *out = (u16)n;
    return *text >= '0' && *text <= '9' && !*end && n <= UINT16_MAX;
}

static bool parse_host(const char *host, struct socket_address *out)
{
    out->length = 4;
    if (!*host || !strcmp(host, "*"))
        return true;
    if (!strcmp(host, "localhost"))
        host = "127.0.0.1";
    if (inet_pton(AF_INET, host, out->bytes) == 1)
        return true;
    size_t n = strlen(host);
    char inner[INET6_ADDRSTRLEN];
    if (n < 4 || n - 2 >= sizeof inner || host[0] != '[' || host[n - 1] != ']')
        return false;
    memcpy(inner, host + 1, n - 2);
    inner[n - 2] = 0;
    out->length = 16;
    return inet_pton(AF_INET6, inner, out->bytes) == 1;
}

bool socket_parse(const char *text, struct socket_address *out)
{
    const char *colon = strrchr(text, ':');
    char host[INET6_ADDRSTRLEN + 2];
    *out = (struct socket_address){.length = 4};
    if (!colon || (size_t)(colon - text) >= sizeof host)
        return false;
    memcpy(host, text, (size_t)(colon - text));
    host[colon - text] = 0;
    return parse_port(colon + 1, &out->port) && parse_host(host, out);
}

void socket_print(const struct socket_address *a, char out[SOCKET_TEXT])
{
    char host[INET6_ADDRSTRLEN];
    inet_ntop(a->length == 4 ? AF_INET : AF_INET6, a->bytes, host, sizeof host);
    snprintf(out, SOCKET_TEXT, a->length == 4 ? "%s:%u" : "[%s]:%u", host, a->port);
}

static socklen_t to_host(const struct socket_address *a, union any_address *out)
{
    memset(out, 0, sizeof *out);
    if (a->length == 4) {
        out->v4.sin_family = AF_INET;
        out->v4.sin_port = htons(a->port);
        memcpy(&out->v4.sin_addr, a->bytes, 4);
        return sizeof out->v4;
    }
    out->v6.sin6_family = AF_INET6;
    out->v6.sin6_port = htons(a->port);
    out->v6.sin6_scope_id = a->scope;
    memcpy(&out->v6.sin6_addr, a->bytes, 16);
    return sizeof out->v6;
}

static void from_host(const union any_address *a, struct socket_address *out)
{
    *out = (struct socket_address){.length = 4};
    if (a->any.sa_family == AF_INET6) {
        out->length = 16;
        out->port = ntohs(a->v6.sin6_port);
        out->scope = a->v6.sin6_scope_id;
        memcpy(out->bytes, &a->v6.sin6_addr, 16);
    } else if (a->any.sa_family == AF_INET) {
        out->port = ntohs(a->v4.sin_port);
        memcpy(out->bytes, &a->v4.sin_addr, 4);
    }
}

static enum fs_error listen_on(int fd, struct socket_address *address)
{
    union any_address a;
    socklen_t size = to_host(address, &a);
    int on = 1;
    setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on);
    if (address->length == 16)
        setsockopt(fd, IPPROTO_IPV6, IPV6_V6ONLY, &on, sizeof on);
    setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on); // its connections have it, too
    if (bind(fd, &a.any, size) || listen(fd, SOMAXCONN) ||
        getsockname(fd, &a.any, &(socklen_t){sizeof a}))
        return host_error(errno);
    from_host(&a, address);
    return E_SUCCESS;
}

enum fs_error socket_listen(struct socket_address *address, struct vfs_file **out)
{
    int family = address->length == 4 ? AF_INET : AF_INET6;
    int fd = socket(family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    if (fd < 0)
        return host_error(errno);
    enum fs_error e = listen_on(fd, address);
    if (!e)
        return host_file_new(fd, 0, NULL, out);
    close(fd);
    return e;
}

enum fs_error socket_accept(struct vfs_file *listener, struct socket_address *peer,
                            struct vfs_file **out)
{
    union any_address a = {0};
    int fd;
    do {
        fd = accept4(host_file(listener)->fd, &a.any, &(socklen_t){sizeof a},
                     SOCK_CLOEXEC | SOCK_NONBLOCK);
    } while (fd < 0 && (errno == EINTR || errno == ECONNABORTED));
    if (fd < 0)
        return host_error(errno);
    from_host(&a, peer);
    return host_file_new(fd, 0, NULL, out);
}

enum fs_error socket_connect(const struct socket_address *address, struct vfs_file **out)
{
    union any_address a;
    socklen_t size = to_host(address, &a);
    int fd = socket(a.any.sa_family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0), on = 1;
    if (fd < 0)
        return host_error(errno);
    setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
    if (!connect(fd, &a.any, size) || errno == EINPROGRESS)
        return host_file_new(fd, 0, NULL, out);
    enum fs_error e = host_error(errno);
    close(fd);
    return e;
}

enum fs_error socket_connected(struct vfs_file *f)
{
    int error = 0;
    getsockopt(host_file(f)->fd, SOL_SOCKET, SO_ERROR, &error, &(socklen_t){sizeof error});
    return error ? host_error(error) : E_SUCCESS;
}

enum fs_error socket_datagrams(struct socket_address *address, struct vfs_file **out)
{
    union any_address a;
    socklen_t size = to_host(address, &a);
    int fd = socket(a.any.sa_family, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0), on = 1;
    if (fd < 0)
        return host_error(errno);
    if (address->length == 16)
        setsockopt(fd, IPPROTO_IPV6, IPV6_V6ONLY, &on, sizeof on);
    if (!bind(fd, &a.any, size) && !getsockname(fd, &a.any, &(socklen_t){sizeof a})) {
        from_host(&a, address);
        return host_file_new(fd, 0, NULL, out);
    }
    enum fs_error e = host_error(errno);
    close(fd);
    return e;
}

// What comes there is answered: so it is known who has sent the latest.
static enum fs_error answers(struct vfs_file *f)
{
    _Static_assert(sizeof(union any_address) == sizeof(((struct host_peer *)0)->address),
                   "all fit");
    return (host_file(f)->peer = heap_zalloc(sizeof(struct host_peer))) ? E_SUCCESS : E_NOMEM;
}

enum fs_error socket_answers(struct socket_address *address, struct vfs_file **out)
{
    enum fs_error e = socket_datagrams(address, out);
    if (!e && (e = answers(*out)))
        vfs_close(*out);
    return e;
}

enum fs_error socket_inherit(int fd, struct socket_address *address, bool *datagrams,
                             struct vfs_file **out)
{
    union any_address a;
    int listens = 0, type = 0, on = fcntl(fd, F_GETFL);
    if (getsockopt(fd, SOL_SOCKET, SO_ACCEPTCONN, &listens, &(socklen_t){sizeof listens}) ||
        getsockopt(fd, SOL_SOCKET, SO_TYPE, &type, &(socklen_t){sizeof type}) ||
        getsockname(fd, &a.any, &(socklen_t){sizeof a}))
        return host_error(errno);
    *datagrams = type == SOCK_DGRAM && (a.any.sa_family == AF_INET || a.any.sa_family == AF_INET6);
    if (!*datagrams && !(listens && type == SOCK_STREAM))
        return E_INVAL;
    if (fcntl(fd, F_SETFD, FD_CLOEXEC) || fcntl(fd, F_SETFL, on | O_NONBLOCK))
        return host_error(errno);
    from_host(&a, address);
    enum fs_error e = host_file_new(fd, 0, NULL, out);
    if (!e && *datagrams && (e = answers(*out)))
        vfs_close(*out);
    return e;
}

enum fs_error socket_receive(struct vfs_file *f, struct socket_address *from, u8 *bytes, u32 room,
                             u32 *size)
{
    enum { AT_ONCE = 64 };
    union any_address a = {0};
    for (u32 i = 0; i < AT_ONCE; i++) {
        ssize_t n = recvfrom(host_file(f)->fd, bytes, room, MSG_DONTWAIT | MSG_TRUNC, &a.any,
                             &(socklen_t){sizeof a});
        if (n < 0 && errno == EAGAIN)
            return E_AGAIN;
        if (n < 0 || n > (ssize_t)room)
            continue;
        from_host(&a, from);
        *size = (u32)n;
        return E_SUCCESS;
    }
    return E_INTR;
}

void socket_send(struct vfs_file *f, const struct socket_address *to, const u8 *bytes, u32 size)
{
    union any_address a;
    socklen_t length = to_host(to, &a);
    while (sendto(host_file(f)->fd, bytes, size, MSG_DONTWAIT | MSG_NOSIGNAL, &a.any, length) < 0 &&
           errno == EINTR)
        ;
}

// As resolv.conf(5) has it.
u32 socket_name_servers(struct socket_address *out, u32 room)
{
    FILE *file = fopen("/etc/resolv.conf", "re");
    char line[512], host[INET6_ADDRSTRLEN + 1];
    u32 n = 0;
    while (file && n < room && fgets(line, sizeof line, file)) {
        struct socket_address a = {.length = 4, .port = 53};
        if (sscanf(line, "nameserver %46[0-9a-fA-F:.]", host) != 1)
            continue;
        if (strchr(host, ':'))
            a.length = 16;
        if (inet_pton(a.length == 4 ? AF_INET : AF_INET6, host, a.bytes) == 1)
            out[n++] = a;
    }
    if (file)
        fclose(file);
    return n;
}

enum fs_error socket_bell(int *fd, struct vfs_file **out)
{
    *fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    return *fd < 0 ? host_error(errno) : host_file_new(*fd, 0, NULL, out);
}

void socket_many(void)
{
    struct rlimit l;
    if (getrlimit(RLIMIT_NOFILE, &l) || l.rlim_cur == l.rlim_max)
        return;
    l.rlim_cur = l.rlim_max;
    setrlimit(RLIMIT_NOFILE, &l);
}
