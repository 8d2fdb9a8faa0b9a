// SPDX-License-Identifier: MIT
// What becomes of a message is what it says; the rest of them comes back as it is.
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

extern char **environ;
static char bytes[1 << 16];

static int is(const char *word, size_t n)
{
    return n >= strlen(word) && !memcmp(bytes, word, strlen(word));
}

// So long that others see it at work, and not longer: WORK says for how many rounds.
static void work(void)
{
    for (volatile unsigned i = 0, n = (unsigned)atoi(getenv("WORK")); i < n; i++)
        ;
}

int main(void)
{
    static int runs;
    size_t n = fread(bytes, 1, sizeof bytes, stdin);
    if (is("runs", n))
        return printf("%d\n", ++runs) < 0;
    if (is("env", n))
        for (char **e = environ; *e; e++)
            puts(*e);
    if (is("nothing", n))
        return 0;
    if (is("exit", n))
        return 3;
    if (is("trap", n))
        __builtin_trap();
    if (is("loop", n))
        for (volatile int i = 0;; i = i + 1)
            ;
    if (is("work", n))
        work();
    do
        fwrite(bytes, 1, n, stdout);
    while (is("flood", n) || (n = fread(bytes, 1, sizeof bytes, stdin)));
    if (is("half", n))
        return 3;
    return 0;
}
