// SPDX-License-Identifier: MIT
// Arguments and environment arrive whole: spaces, quotes, empty strings, UTF-8.
#include <stdio.h>
#include <stdlib.h>

extern char **environ;

int main(int argc, char **argv)
{
    printf("argc %d\n", argc);
    for (int i = 0; i < argc; i++)
        printf("argv[%d] = <%s>\n", i, argv[i]);
    int count = 0;
    for (char **e = environ; *e; e++)
        count++;
    printf("%d variables\n", count);
    printf("GREETING = <%s>\n", getenv("GREETING"));
    printf("EMPTY = <%s>\n", getenv("EMPTY"));
    printf("EQUALS = <%s>\n", getenv("EQUALS"));
    printf("MISSING = %s\n", getenv("MISSING") ? "there" : "not there");
    return 0;
}
