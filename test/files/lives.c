// SPDX-License-Identifier: MIT
// Folders and the lives of those who serve and use them: servers that die, say nothing, or too
// much, after any number of messages; users that are killed while they wait, and others who go on
// with the same folder; descriptors that a sibling closes meanwhile; what process_folder refuses.
//
// The program is parent, server and, by its arguments, the users.
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>
#include <sip.h>

#include "user/svc/memfs/tree.h"

static uint8_t request[NEBULET_MESSAGE_MAX], answer[NEBULET_MESSAGE_MAX];
static nebulet_handle module;

#define CHECK(c)                                                                                   \
    do {                                                                                           \
        if (!(c))                                                                                  \
            sip_panic("lives.c:%d: %s", __LINE__, #c);                                             \
    } while (0)

// --- Users

// Everything that can be done to a file. Once the server is gone all of it is EIO.
static int use(const char *folder)
{
    char path[100], text[100];
    struct stat st;
    sip_format(path, sizeof path, "%s/file", folder);
    errno = 0;
    int fd = open(path, O_RDWR | O_CREAT, 0666);
    if (fd < 0)
        return errno;
    if (write(fd, "some text", 9) != 9 || lseek(fd, -4, SEEK_END) != 5 ||
        read(fd, text, 100) != 4 || memcmp(text, "text", 4) || fstat(fd, &st) || st.st_size != 9 ||
        ftruncate(fd, 3))
        return errno;
    close(fd);
    DIR *d = opendir(folder);
    unsigned names = 0;
    if (!d)
        return errno;
    errno = 0;
    for (struct dirent *e; (e = readdir(d));)
        names += !strcmp(e->d_name, "file");
    if (names != 1)
        return errno;
    closedir(d);
    return unlink(path) ? errno : 0;
}

static int again(const char *folder, int times)
{
    for (int e; times-- > 0;)
        if ((e = use(folder)))
            return e;
    return 0;
}

static int fd_of_both;

static int32_t closes(void *unused)
{
    (void)unused;
    close(fd_of_both);
    for (int i = 0; i < 100; i++) // places in the table, which moves
        open("/", O_RDONLY | O_DIRECTORY);
    sip_must(sip_send(0, "closed", 6), "telling");
    return 0;
}

// One thread waits for an answer, which only comes when the other has closed what it waits for.
static int two_threads(void)
{
    struct sip_thread t;
    char text[10];
    fd_of_both = open("/f/slow", O_RDWR | O_CREAT, 0666);
    if (fd_of_both < 0 || write(fd_of_both, "0123456789", 10) != 10)
        return 1;
    sip_must(sip_thread_start(&t, closes, NULL, 0), "a thread");
    ssize_t n = pread(fd_of_both, text, 10, 0);
    sip_must(sip_thread_join(&t, NULL), "joining");
    return n == 10 || errno == EBADF ? 0 : 2;
}

// Its maker is killed; it has the same folder.
static int with_child(void)
{
    struct nebulet_options o = {.name = "heir",
                                .privileges = NEBULET_MAY_PRINT | NEBULET_MAY_FILES};
    const char *const args[] = {"lives", "again", NULL};
    nebulet_handle own;
    CHECK(sip_recv_handle(0, NULL, 0, &own) >= 0);
    int64_t p = sip_must(sip_start(own, args, &o, NEBULET_NO_HANDLE), "an heir");
    sip_must(sip_send_handle(0, NULL, 0, (nebulet_handle)p), "giving it");
    for (;;)
        use("/f/..");
}

// --- The parent

struct user {
    nebulet_handle process, channel, told;
    struct client *client;
};

static struct user start(struct store *t, const char *role, uint32_t privileges)
{
    struct nebulet_options o = {.name = "user", .privileges = NEBULET_MAY_PRINT | privileges};
    const char *const args[] = {"lives", role, NULL};
    nebulet_handle ends[2], words[2];
    struct user u = {.client = client_new(t)};
    sip_must(sip_channel(ends), "a channel");
    sip_must(sip_channel(words), "a channel");
    u.process = (nebulet_handle)sip_must(sip_create(module, args, &o, words[1]), "a process");
    sip_must(sip_folder(u.process, ends[1], "/f"), "a folder");
    sip_must(nebulet_process_start(u.process), "starting");
    u.channel = ends[0];
    u.told = words[0];
    return u;
}

// Answers one request. False: nobody asks any more.
static bool serve(struct user *u, uint64_t deadline)
{
    int64_t n = nebulet_channel_recv(u->channel, request, sizeof request, NULL, 0, NULL, deadline);
    if (n < 0)
        return false;
    uint32_t size = client_answer(u->client, request, (uint32_t)n, answer, sizeof answer);
    return sip_send(u->channel, answer, size) >= 0;
}

static uint32_t end(struct user *u, uint32_t how)
{
    struct nebulet_exit e;
    sip_must(sip_join(u->process, &e), "joining");
    CHECK(e.how == how);
    sip_close(u->channel);
    sip_close(u->told);
    client_free(u->client);
    return e.code;
}

static void honest(struct store *t)
{
    struct user u = start(t, "use", 0);
    while (serve(&u, NEBULET_FOREVER))
        ;
    CHECK(end(&u, NEBULET_EXITED) == 0);
}

enum { MESSAGES = 18 };

static void dies(struct store *t)
{
    for (int n = 0; n < MESSAGES; n++) {
        struct user u = start(t, "use", 0);
        for (int i = 0; i < n; i++)
            CHECK(serve(&u, NEBULET_FOREVER));
        sip_close(u.channel);
        u.channel = NEBULET_NO_HANDLE;
        uint32_t code = end(&u, NEBULET_EXITED);
        if (code != EIO)
            sip_panic("after %d messages: error %u", n, code);
    }
}

static void says_nothing(struct store *t)
{
    for (int n = 0; n < MESSAGES; n++) {
        struct user u = start(t, "use", 0);
        for (int i = 0; i < n; i++)
            CHECK(serve(&u, NEBULET_FOREVER));
        CHECK(nebulet_channel_recv(u.channel, request, sizeof request, NULL, 0, NULL,
                                   NEBULET_FOREVER) > 0);
        CHECK(nebulet_process_kill(u.process) >= 0);
        end(&u, NEBULET_KILLED);
    }
}

static void says_too_much(struct store *t)
{
    for (int n = 0; n < MESSAGES; n++) {
        struct user u = start(t, "use", 0);
        for (int i = 0; i < n; i++)
            CHECK(serve(&u, NEBULET_FOREVER));
        CHECK(nebulet_channel_recv(u.channel, request, sizeof request, NULL, 0, NULL,
                                   NEBULET_FOREVER) > 0);
        memset(answer, n, sizeof answer);
        for (int i = 0; i < 900; i++)
            if (nebulet_channel_send(u.channel, answer, n % 2 ? 1000 : 3, NULL, 0,
                                     NEBULET_AT_ONCE) < 0)
                break;
        CHECK(nebulet_channel_send(u.channel, answer, 0, &module, 1, NEBULET_AT_ONCE) < 0);
        uint32_t code = end(&u, NEBULET_EXITED);
        if (code != EIO)
            sip_panic("after %d messages: error %u", n, code);
    }
}

// Both its maker and itself wait for answers when the maker is killed.
static void outlived(struct store *t)
{
    for (int n = 1; n < MESSAGES; n++) {
        struct user u = start(t, "with_child", NEBULET_MAY_SPAWN | NEBULET_MAY_FILES);
        nebulet_handle copy = (nebulet_handle)sip_must(
                           nebulet_handle_duplicate(module, NEBULET_SAME_RIGHTS), "a copy"),
                       heir;
        struct nebulet_exit e;
        sip_must(sip_send_handle(u.told, NULL, 0, copy), "a module");
        CHECK(sip_recv_handle(u.told, NULL, 0, &heir) >= 0);
        for (int i = 0; i < n; i++)
            CHECK(serve(&u, NEBULET_FOREVER));
        CHECK(nebulet_process_kill(u.process) >= 0);
        while (serve(&u, NEBULET_FOREVER))
            ;
        sip_must(sip_join(heir, &e), "joining the heir");
        CHECK(e.how == NEBULET_EXITED && e.code == 0);
        end(&u, NEBULET_KILLED);
    }
}

static void closed_meanwhile(struct store *t)
{
    struct user u = start(t, "two_threads", 0);
    char word[10];
    for (;;) {
        int64_t n = nebulet_channel_recv(u.channel, request, sizeof request, NULL, 0, NULL,
                                         NEBULET_FOREVER);
        if (n < 0)
            break;
        if (request[4] == 116)
            CHECK(sip_recv(u.told, word, sizeof word) == 6);
        uint32_t size = client_answer(u.client, request, (uint32_t)n, answer, sizeof answer);
        if (sip_send(u.channel, answer, size) < 0)
            break;
    }
    CHECK(end(&u, NEBULET_EXITED) == 0);
}

static void refused(void)
{
    // Without an interface to WASI: an empty module.
    static const uint8_t bare[] = {0, 'a', 's', 'm', 1, 0, 0, 0};
    const char *const args[] = {"lives", "use", NULL};
    nebulet_handle ends[2], weak;
    nebulet_handle m =
        (nebulet_handle)sip_must(sip_compile(bare, sizeof bare, NULL, 0), "a module");
    nebulet_handle p =
        (nebulet_handle)sip_must(sip_create(module, args, NULL, NEBULET_NO_HANDLE), "a process");
    nebulet_handle q =
        (nebulet_handle)sip_must(sip_create(m, args, NULL, NEBULET_NO_HANDLE), "a process");
    char name[300];
    memset(name, 'n', sizeof name);
    sip_must(sip_channel(ends), "a channel");
    CHECK(nebulet_process_folder(p, 12345, "/f", 2) == NEBULET_ERR_BAD_HANDLE);
    CHECK(nebulet_process_folder(p, p, "/f", 2) == NEBULET_ERR_WRONG_TYPE);
    CHECK(nebulet_process_folder(p, ends[0], "", 0) == NEBULET_ERR_INVALID_ARG);
    CHECK(nebulet_process_folder(p, ends[0], "a\0", 2) == NEBULET_ERR_INVALID_ARG);
    CHECK(nebulet_process_folder(p, ends[0], name, 256) == NEBULET_ERR_INVALID_ARG);
    CHECK(nebulet_process_folder(q, ends[0], "/f", 2) == NEBULET_ERR_NOT_SUPPORTED);
    weak = (nebulet_handle)sip_must(
        nebulet_handle_duplicate(ends[0], NEBULET_READ | NEBULET_TRANSFER), "a weaker handle");
    CHECK(nebulet_process_folder(p, weak, "/f", 2) == NEBULET_ERR_ACCESS_DENIED);
    sip_must(sip_send(ends[1], "x", 1), "a message");
    CHECK(nebulet_process_folder(p, ends[0], "/f", 2) == NEBULET_ERR_BAD_STATE);
    CHECK(sip_recv(ends[0], name, sizeof name) == 1);
    CHECK(nebulet_process_folder(p, ends[0], name, 255) == 0);
    CHECK(nebulet_process_folder(p, ends[0], "/f", 2) == NEBULET_ERR_BAD_HANDLE);
    // Nothing that lies in the channel could keep the process, and with it the channel, alive.
    CHECK(nebulet_channel_send(ends[1], NULL, 0, &p, 1, NEBULET_AT_ONCE) ==
          NEBULET_ERR_INVALID_ARG);
    for (int i = 0, r = 0; r >= 0; i++) {
        nebulet_handle more[2];
        CHECK(i < 70);
        sip_must(sip_channel(more), "a channel");
        r = (int)nebulet_process_folder(p, more[0], "/g", 2);
        CHECK(r == 0 || r == NEBULET_ERR_NO_RESOURCES);
        sip_close(more[1]);
    }
    sip_close(ends[1]);
    sip_close(p); // it has never run
    CHECK(nebulet_process_kill(q) >= 0);
    CHECK(sip_channel(ends) >= 0);
    CHECK(nebulet_process_folder(q, ends[0], "/f", 2) == NEBULET_ERR_BAD_STATE);
}

static nebulet_handle compile_self(const char *path)
{
    struct stat st;
    int fd = open(path, O_RDONLY);
    CHECK(fd >= 0 && !fstat(fd, &st));
    char *bytes = malloc((size_t)st.st_size);
    CHECK(read(fd, bytes, (size_t)st.st_size) == st.st_size);
    nebulet_handle m =
        (nebulet_handle)sip_must(sip_compile(bytes, (size_t)st.st_size, NULL, 0), "myself");
    free(bytes);
    close(fd);
    return m;
}

int main(int argc, char **argv)
{
    const char *role = argc > 1 ? argv[1] : "";
    if (!strcmp(role, "use"))
        return use("/f");
    if (!strcmp(role, "again"))
        return again("/f", 5);
    if (!strcmp(role, "two_threads"))
        return two_threads();
    if (!strcmp(role, "with_child"))
        return with_child();
    struct store *t = tree_new(1 << 20);
    module = compile_self("/lives.wasm");
    honest(t);
    refused();
    dies(t);
    says_nothing(t);
    says_too_much(t);
    outlived(t);
    closed_meanwhile(t);
    tree_free(t);
    sip_printf("lives\n");
    return 0;
}
