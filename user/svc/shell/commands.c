// SPDX-License-Identifier: MIT
// What can be typed.
#include <dirent.h>
#include <errno.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>

#include "shell.h"

enum { WORDS = 64 };

static void help(char **words);

static void list(char **words)
{
    const char *path = words[1] ? words[1] : "/";
    DIR *d = opendir(path);
    struct dirent *e;
    if (!d) {
        say("ls: %s: %s\n", path, strerror(errno));
        return;
    }
    while ((e = readdir(d))) {
        char full[600];
        struct stat about = {0};
        sip_format(full, sizeof full, "%s/%s", path, e->d_name);
        if (!strcmp(e->d_name, ".") || !strcmp(e->d_name, "..") || stat(full, &about))
            continue;
        bool folder = S_ISDIR(about.st_mode);
        if (folder)
            say("%10s  %s/\n", "", e->d_name);
        else
            say("%10llu  %s\n", (unsigned long long)about.st_size, e->d_name);
    }
    closedir(d);
}

static void date(char **words)
{
    (void)words;
    char text[64];
    struct tm t;
    time_t now = (time_t)(nebulet_clock_now(NEBULET_REALTIME) / (int64_t)SIP_SECOND);
    strftime(text, sizeof text, "%Y-%m-%d %H:%M:%S UTC, %A", gmtime_r(&now, &t));
    say("%s\n", text);
}

static void processes(char **words)
{
    (void)words;
    jobs_list();
}

static void kill(char **words)
{
    if (!words[1])
        say("usage: kill NUMBER...\n");
    while (*++words)
        job_kill(*words);
}

static void clear(char **words)
{
    (void)words;
    say("\33[H\33[2J");
}

static const struct {
    const char *name, *operands, *what;
    void (*run)(char **words); // NULL: exit
} commands[] = {
    {"help", "", "this", help},
    {"ls", "[FOLDER]", "files; those with .wasm are programs", list},
    {"ps", "", "programs that run", processes},
    {"kill", "NUMBER...", "ends programs", kill},
    {"date", "", "date and time", date},
    {"clear", "", "an empty screen", clear},
    {"exit", "", "ends the machine, with all that runs", NULL},
};
enum { COMMANDS = sizeof commands / sizeof *commands };

static void help(char **words)
{
    (void)words;
    say("NAME [WORD...]         runs /NAME.wasm with these arguments; & behind them: in the "
        "background\n");
    for (uint32_t i = 0; i < COMMANDS; i++)
        say("%-7s %-14s %s\n", commands[i].name, commands[i].operands, commands[i].what);
    say("Ctrl-C ends the program that runs; Ctrl-D is the end of its input.\n");
}

// In place. Quotes keep blanks together; a \ takes what follows as it is.
static bool split(char *line, char **words)
{
    uint32_t n = 0;
    for (char *from = line, *to;;) {
        while (*from == ' ')
            from++;
        if (!*from) {
            words[n] = NULL;
            return true;
        }
        if (n == WORDS) {
            say("more than %u words\n", WORDS);
            return false;
        }
        words[n++] = to = from;
        for (char quote = 0; *from && (quote || *from != ' '); from++)
            if (*from == quote)
                quote = 0;
            else if (!quote && (*from == '"' || *from == '\''))
                quote = *from;
            else
                *to++ = *from == '\\' && from[1] && quote != '\'' ? *++from : *from;
        if (*from)
            from++;
        *to = 0;
    }
}

struct job *command(char *line, bool *leave)
{
    char *words[WORDS + 1];
    if (!split(line, words) || !words[0])
        return NULL;
    for (uint32_t i = 0; i < COMMANDS; i++)
        if (!strcmp(words[0], commands[i].name)) {
            if (commands[i].run)
                commands[i].run(words);
            else
                *leave = true;
            return NULL;
        }
    uint32_t n = 0;
    while (words[n])
        n++;
    bool background = n > 1 && !strcmp(words[n - 1], "&");
    if (background)
        words[n - 1] = NULL;
    struct job *j = job_start(words, background);
    if (j && background)
        say("[%u] %s\n", (unsigned)(j - jobs) + 1, j->name);
    return background ? NULL : j;
}
