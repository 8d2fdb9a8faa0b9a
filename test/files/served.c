// SPDX-License-Identifier: MIT
// Runs a program whose folders are served by processes: served SERVER COPY PROGRAM COUNT NAME...
// ARG... starts a server of COUNT file systems, each of which is filled with what is in /seed/0,
// /seed/1, ... by COPY and then given to the program under its NAME. Ends as the program does.
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>
#include <sip.h>

enum { FOLDERS_MAX = 8 };

static nebulet_handle compile(const char *path)
{
    struct stat st;
    char why[200] = "";
    int fd = open(path, O_RDONLY);
    if (fd < 0 || fstat(fd, &st))
        sip_panic("served: %s is not there", path);
    char *bytes = malloc((size_t)st.st_size);
    for (ssize_t n, at = 0; bytes && at < st.st_size; at += n)
        if ((n = read(fd, bytes + at, (size_t)(st.st_size - at))) <= 0)
            sip_panic("served: %s cannot be read", path);
    close(fd);
    int64_t module = sip_compile(bytes, (size_t)st.st_size, why, sizeof why);
    free(bytes);
    if (module < 0)
        sip_panic("served: %s: %s: %s", path, sip_error_text(module), why);
    return (nebulet_handle)module;
}

static void add_folder(nebulet_handle process, unsigned i, const char *name)
{
    char service[] = "files0";
    service[5] = (char)('0' + i);
    int64_t channel = sip_must(sip_connect(service), "served: connecting");
    sip_must(sip_folder(process, (nebulet_handle)channel, name), "served: a folder");
}

static int run(nebulet_handle process)
{
    struct nebulet_exit how;
    char text[80];
    sip_must(nebulet_process_start(process), "served: starting");
    sip_must(sip_join(process, &how), "served: waiting");
    if (how.how == NEBULET_EXITED)
        return (int)how.code;
    sip_describe_exit(text, sizeof text, &how);
    return 134;
}

int main(int argc, char **argv)
{
    struct nebulet_options server = {.name = "server",
                                     .privileges = NEBULET_MAY_PRINT | NEBULET_MAY_SERVE};
    struct nebulet_options copies = {.name = "copy",
                                     .privileges = NEBULET_MAY_PRINT | NEBULET_MAY_FILES};
    struct nebulet_options program = {.privileges = NEBULET_MAY_PRINT};
    nebulet_handle servers[FOLDERS_MAX];
    if (argc < 5)
        sip_panic("served: arguments are missing");
    unsigned count = (unsigned)atoi(argv[4]);
    if (count > FOLDERS_MAX || (unsigned)argc < 5 + count)
        sip_panic("served: arguments are missing");
    nebulet_handle serves = compile(argv[1]), copy = compile(argv[2]), module = compile(argv[3]);
    for (unsigned i = 0; i < count; i++) {
        char name[] = "files0", from[] = "/seed/0";
        name[5] = from[6] = (char)('0' + i);
        const char *const args[] = {"memfs", name, NULL}, *const copy_args[] = {"copy", from, "/to",
                                                                                NULL};
        servers[i] = (nebulet_handle)sip_must(sip_start(serves, args, &server, NEBULET_NO_HANDLE),
                                              "served: a server");
        int64_t p =
            sip_must(sip_create(copy, copy_args, &copies, NEBULET_NO_HANDLE), "served: copy");
        add_folder((nebulet_handle)p, i, "/to");
        if (run((nebulet_handle)p))
            sip_panic("served: the copy failed");
    }
    char *names[FOLDERS_MAX];
    for (unsigned i = 0; i < count; i++)
        names[i] = argv[5 + i];
    argv[4 + count] = argv[3] + 1; // it begins with a slash
    int64_t p = sip_must(
        sip_create(module, (const char *const *)argv + 4 + count, &program, NEBULET_NO_HANDLE),
        "served: the program");
    for (unsigned i = 0; i < count; i++)
        add_folder((nebulet_handle)p, i, names[i]);
    int code = run((nebulet_handle)p);
    for (unsigned i = 0; i < count; i++) {
        nebulet_process_kill(servers[i]);
        sip_join(servers[i], NULL);
    }
    return code;
}
