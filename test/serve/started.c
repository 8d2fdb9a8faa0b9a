// SPDX-License-Identifier: MIT
// A handler that is started once: what takes long has been done when a request comes. By words of
// its environment it does then what cannot be kept.
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <wasi/libc-environ.h>

enum { SIZE = 1 << 16 };

static unsigned table[SIZE], sum, requests;
static char *list[1000];
static double ratio;

extern void __wasm_call_ctors(void);

__attribute__((constructor)) static void construct(void)
{
    ratio += 0.5;
}

__attribute__((export_name("wizer.initialize"))) void initialize(void)
{
    __wasm_call_ctors();
    const char *what = getenv("WHAT") ? getenv("WHAT") : "";
    unsigned x = 1;
    for (int i = 0; i < SIZE; i++)
        table[i] = x = x * 1664525 + 1013904223;
    for (int i = 0; i < 1000; i++) {
        list[i] = malloc(100);
        snprintf(list[i], 100, "entry %d", i);
    }
    for (int i = 0; i < SIZE; i++)
        sum ^= table[i];
    if (!strcmp(what, "open") && !fopen("/data/page.txt", "r"))
        abort();
    if (!strcmp(what, "closed") && fclose(fopen("/data/page.txt", "r")))
        abort();
    if (!strcmp(what, "trap"))
        __builtin_trap();
    if (!strcmp(what, "exit"))
        exit(3);
    fprintf(stderr, "started\n");
    __wasilibc_deinitialize_environ(); // that of the request is another
}

__attribute__((export_name("wizer.resume"))) void resume(void)
{
    unsigned again = 0;
    for (int i = 0; i < SIZE; i++)
        again ^= table[i];
    table[requests++] = 7; // nobody else sees that
    printf("Content-Type: text/plain\n\n%s %u %.1f %s %s\n", again == sum ? "same" : "other",
           requests, ratio, list[999], getenv("PATH_INFO") ? getenv("PATH_INFO") : "-");
    fflush(stdout);
}

int main(void)
{
    printf("Content-Type: text/plain\n\nnot started: %u %.1f\n", sum, ratio);
}
