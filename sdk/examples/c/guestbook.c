// SPDX-License-Identifier: MIT
// A form behind HTTP: each request is a process of its own, which finds the request in its
// environment and on standard input, and writes the answer. What is to stay is in a file.
//
//   clang-22 --target=wasm32-wasi -O2 guestbook.c -o guestbook.wasm
//   mkdir -p data; nebulet serve --dir data::/data guestbook.wasm
//
// Nothing here frees memory or guards against other requests: the process ends with the answer.
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define BOOK "/data/book.txt"

static const char *get(const char *name)
{
    const char *value = getenv(name);
    return value ? value : "";
}

static void escape(const char *text)
{
    for (; *text; text++)
        switch (*text) {
        case '<': fputs("&lt;", stdout); break;
        case '>': fputs("&gt;", stdout); break;
        case '&': fputs("&amp;", stdout); break;
        default: putchar(*text);
        }
}

// In place: %41 and + as they are in forms; no line ends.
static void decode(char *text)
{
    char *to = text;
    for (; *text; text++, to++) {
        unsigned byte;
        *to = *text == '+' ? ' ' : *text;
        if (*text == '%' && sscanf(text + 1, "%2x", &byte) == 1) {
            *to = (char)byte;
            text += 2;
        }
        if (*to == '\n' || *to == '\r' || *to == 0)
            *to = ' ';
    }
    *to = 0;
}

static int sign(void)
{
    static char body[4096];
    size_t n = fread(body, 1, sizeof body - 1, stdin);
    FILE *book = fopen(BOOK, "a");
    if (!book || strncmp(body, "text=", 5) || n < 6) {
        printf("Status: 400 Bad Request\nContent-Type: text/plain\n\nno text, or no %s\n", BOOK);
        return 0;
    }
    decode(body + 5);
    fprintf(book, "%s\n", body + 5);
    printf("Status: 303 See Other\nLocation: %s/\n\n", get("SCRIPT_NAME"));
    return fclose(book) != 0;
}

static void show(void)
{
    char line[4096];
    FILE *book = fopen(BOOK, "r");
    printf("Content-Type: text/html; charset=utf-8\n\n<!doctype html><title>Guest book</title>\n"
           "<form method=post><input name=text autofocus><button>Sign</button></form>\n<ul>\n");
    while (book && fgets(line, sizeof line, book)) {
        fputs("<li>", stdout);
        escape(line);
    }
    printf("</ul>\n");
}

int main(void)
{
    if (!strcmp(get("REQUEST_METHOD"), "POST"))
        return sign();
    show();
    return 0;
}
