// SPDX-License-Identifier: MIT
// A handler that does what its path says: what handlers should do, and what they should not.
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <wasi/api.h>

extern char **environ;

static const char *get(const char *name)
{
    const char *value = getenv(name);
    return value ? value : "";
}

static void plain(const char *text)
{
    printf("Content-Type: text/plain\n\n%s", text);
}

static void list_environment(void)
{
    plain("");
    for (char **v = environ; *v; v++)
        printf("%s\n", *v);
}

static void echo(void)
{
    static char bytes[30000];
    printf("Content-Type: application/octet-stream\r\n\r\n");
    for (size_t n; (n = fread(bytes, 1, sizeof bytes, stdin)) > 0;)
        fwrite(bytes, 1, n, stdout);
}

static void fill(size_t n)
{
    plain("");
    while (n--)
        putchar('l');
}

// What another request has left would be seen here.
static void mark(void)
{
    static char marks[100000];
    int used = 0, fields = 0;
    for (size_t i = 0; i < sizeof marks; i++)
        used |= marks[i];
    memset(marks, 1, sizeof marks);
    char *block = malloc(100000);
    for (size_t i = 0; i < 100000; i++)
        used |= block[i];
    memset(block, 1, 100000);
    for (char **v = environ; *v; v++)
        fields += !strncmp(*v, "HTTP_X_", 7) && strncmp(*v, "HTTP_X_MINE", 11);
    plain("");
    printf("%s, %d field, descriptors", used ? "used" : "fresh", fields);
    for (unsigned fd = 0; fd < 100; fd++) {
        __wasi_fdstat_t stat;
        __wasi_prestat_t pre;
        char name[64] = "";
        if (__wasi_fd_fdstat_get(fd, &stat))
            continue;
        printf(" %u", fd);
        if (!__wasi_fd_prestat_get(fd, &pre) && pre.u.dir.pr_name_len < sizeof name &&
            !__wasi_fd_prestat_dir_name(fd, (uint8_t *)name, pre.u.dir.pr_name_len))
            printf("=%s", name);
    }
    puts("");
}

static int deep(volatile int n)
{
    volatile char room[1000];
    room[n % 1000] = 1;
    return n ? deep(n + 1) + room[0] : 0;
}

static volatile char *volatile kept;

static void take_memory(void)
{
    for (;;) {
        char *p = malloc(1 << 20);
        if (!p)
            abort();
        memset(p, 1, 1 << 20);
        kept = p;
    }
}

static int is(const char *path)
{
    return !strcmp(get("PATH_INFO"), path);
}

// A line more in a file, and then all of it.
static void keep(const char *path)
{
    char line[100];
    FILE *f = fopen(path, "a+");
    if (!f || fputs("kept\n", f) < 0 || fseek(f, 0, SEEK_SET)) {
        printf("Status: 500\n\n");
        return;
    }
    printf("Content-Type: text/plain\n\n");
    while (fgets(line, sizeof line, f))
        fputs(line, stdout);
    fclose(f);
}

int main(void)
{
    volatile int forever = 1;
    const char *query = get("QUERY_STRING");
    if (is("/plain"))
        plain("plain\n");
    else if (!strncmp(get("PATH_INFO"), "/env", 4))
        list_environment();
    else if (!strncmp(get("PATH_INFO"), "/path", 5)) {
        plain(get("PATH_INFO"));
        printf("?%s", query);
    } else if (is("/form")) {
        char body[1000];
        size_t n = fread(body, 1, sizeof body - 1, stdin);
        body[n] = 0;
        fprintf(stderr, "%s %s %s\n", get("REQUEST_METHOD"), get("CONTENT_TYPE"), body);
        printf("Content-Type: text/html\n\n<!doctype html><img src=\"/plain?shown\">");
    } else if (is("/host")) {
        plain(get("HTTP_HOST"));
        puts("");
    } else if (is("/echo"))
        echo();
    else if (is("/long"))
        fill(strtoul(query, NULL, 10));
    else if (is("/mark"))
        mark();
    else if (!strncmp(get("PATH_INFO"), "/keep/", 6))
        keep(get("PATH_INFO") + 5);
    else if (is("/trap")) {
        fprintf(stderr, "to the log\n");
        plain("half of it");
        fflush(stdout);
        __builtin_trap();
    } else if (is("/errors")) {
        for (unsigned long i = 0, n = strtoul(query, NULL, 10); i < n; i++)
            fprintf(stderr, "%099lu\n", i);
        plain("told\n");
    } else if (is("/terminal")) {
        fputs("a\x1b[2J\x9b"
              "0m\r\tb \xc3\xa9 \xc2\x9b \xe2\x80\xae \xed\xa0\x80 \xf0\x9f\x98\x80 \xc0\xaf \x7f\n"
              "no end of a line \xe2\x82",
              stderr);
        plain("told\n");
    } else if (is("/long-trap")) {
        fill(100000);
        fflush(stdout);
        __builtin_trap();
    } else if (is("/exit")) {
        plain("all the same\n");
        return 3;
    } else if (is("/nonsense"))
        printf("this is no head\n\nand no body\n");
    else if (is("/injects"))
        printf("X-Field: a\001b\n\n");
    else if (is("/half"))
        printf("Content-Type: text/plain\n");
    else if (is("/endless-head"))
        for (int i = 0; i < 10000; i++)
            printf("X-%d: y\n", i);
    else if (is("/memory"))
        take_memory();
    else if (is("/stack"))
        printf("%d\n", deep(1));
    else if (is("/loop"))
        while (forever)
            ;
    else if (is("/missing"))
        printf("Status: 404 Nothing of that kind\nContent-Type: text/plain\n\nnothing\n");
    else if (is("/moved"))
        printf("Location: /plain\n\n");
    else if (is("/status"))
        printf("Status: %s\n\n", query);
    else if (is("/waits")) {
        plain("begun\n");
        fflush(stdout);
        sleep(1000);
    } else if (is("/endless")) {
        plain("");
        while (puts("on and on and on") >= 0)
            ;
    } else if (is("/slow-pieces")) {
        plain("");
        for (int i = 0; i < 3; i++) {
            printf("piece %d\n", i);
            fflush(stdout);
            usleep(100000);
        }
    }
    return 0;
}
