// SPDX-License-Identifier: MIT
// See manual.h. A new command or option needs nothing here.
#include "main/manual.h"

#include <stdio.h>
#include <string.h>

#include "main/host.h"

// --- man

// Text that roff takes as it is: no line begins with its dot, no backslash or hyphen means
// anything.
static void roff(const char *text)
{
    bool at_start = true;
    for (; *text; text++) {
        if (at_start && (*text == '.' || *text == '\''))
            fputs("\\&", stdout);
        at_start = *text == '\n';
        if (*text == '\\')
            fputs("\\e", stdout);
        else if (*text == '-')
            fputs("\\-", stdout);
        else
            putchar(*text);
    }
}

static void print_options(const struct command *c)
{
    struct option_text o;
    for (u32 i = 0; option_text(c, i, &o); i++) {
        fputs(".TP\n.B ", stdout);
        roff(o.name);
        if (o.value)
            printf(o.maybe ? "\\fR[=\\fI%s\\fR]" : " \\fI%s\\fR", o.value);
        putchar('\n');
        roff(o.help);
        putchar('\n');
    }
}

void manual_print(void)
{
    const struct command *c;
    fputs(".TH NEBULET 1 \"\" \"nebulet " NEBULET_VERSION "\" \"User Commands\"\n.SH NAME\n"
          "nebulet \\- runs WebAssembly programs\n.SH SYNOPSIS\n",
          stdout);
    for (u32 i = 0; (c = command_at(i)); i++) {
        printf(".B nebulet %s\n[OPTIONS] ", c->name);
        roff(c->operands);
        fputs("\n.br\n", stdout);
    }
    fputs(".B nebulet\n[OPTIONS OF run] FILE [ARGS...]\n.SH DESCRIPTION\n"
          "Runs WebAssembly programs as isolated processes, each with the files, the memory, the "
          "time and the "
          "privileges that it is given, and nothing else: on Linux, or on a kernel of its own in a "
          "virtual machine.\n",
          stdout);
    for (u32 i = 0; (c = command_at(i)); i++) {
        printf(".SH \"NEBULET %s\"\n", c->name);
        roff(c->details);
        print_options(c);
    }
    fputs(".SH \"EXIT STATUS\"\nThat of the program that was run, or 134 after a trap, 137 after "
          "its watchdog or a kill, "
          "2 on bad usage, 1 for other errors.\n.SH ENVIRONMENT\n.TP\n.B NEBULET_KERNEL\n"
          "The kernel that \\fBboot\\fR takes, instead of the one that was installed.\n.SH FILES\n"
          "The kernel is \\fIlib/nebulet/nebulet.elf\\fR beside the folder of the program.\n",
          stdout);
}

// --- Shells

static void print_words(const struct command *c)
{
    struct option_text o;
    for (u32 i = 0; option_text(c, i, &o); i++)
        printf("%s%s", i ? " " : "", o.name);
}

static void print_commands(void)
{
    const struct command *c;
    for (u32 i = 0; (c = command_at(i)); i++)
        printf("%s%s", i ? " " : "", c->name);
}

static void bash(void)
{
    const struct command *c;
    fputs("_nebulet() {\n    local word=${COMP_WORDS[COMP_CWORD]} words=\n    case "
          "$COMP_CWORD:${COMP_WORDS[1]} in\n"
          "    1:*) words=\"",
          stdout);
    print_commands();
    fputs(" help --version\" ;;\n", stdout);
    for (u32 i = 0; (c = command_at(i)); i++) {
        printf("    *:%s) words=\"", c->name);
        print_words(c);
        fputs("\" ;;\n", stdout);
    }
    fputs("    esac\n    mapfile -t COMPREPLY < <(compgen -W \"$words\" -- \"$word\")\n"
          "    [[ $word == -* ]] || mapfile -t -O ${#COMPREPLY[@]} COMPREPLY < <(compgen -f -- "
          "\"$word\")\n}\n"
          "complete -o filenames -F _nebulet nebulet\n",
          stdout);
}

// Between single quotes, as all three shells read them; what ends them, or is the shell's, is left
// out.
static void plain(const char *text)
{
    for (; *text; text++)
        if (!strchr("'[]:", *text))
            putchar(*text);
}

static void zsh(void)
{
    const struct command *c;
    struct option_text o;
    fputs("#compdef nebulet\nif ((CURRENT == 2)); then\n    local -a commands=(", stdout);
    print_commands();
    fputs(" help)\n    compadd -a commands\n    _files\n    return\nfi\ncase $words[2] in\n",
          stdout);
    for (u32 i = 0; (c = command_at(i)); i++) {
        printf("%s) _arguments", c->name);
        for (u32 k = 0; option_text(c, k, &o); k++) {
            printf(" '%s%s[", o.name, o.value && !o.maybe && o.name[1] == '-' ? "=" : "");
            plain(o.help);
            fputs(o.value && !o.maybe ? "]:value:_files'" : "]'", stdout);
        }
        fputs(" '*:file:_files' ;;\n", stdout);
    }
    fputs("esac\n", stdout);
}

static void fish(void)
{
    const struct command *c;
    struct option_text o;
    for (u32 i = 0; (c = command_at(i)); i++) {
        printf("complete -c nebulet -n __fish_use_subcommand -a %s -d '", c->name);
        plain(c->summary);
        fputs("'\n", stdout);
        for (u32 k = 0; option_text(c, k, &o); k++) {
            bool is_long = !strncmp(o.name, "--", 2);
            printf("complete -c nebulet -n '__fish_seen_subcommand_from %s' -%c %s%s -d '", c->name,
                   is_long ? 'l' : 's', o.name + 1 + is_long, o.value && !o.maybe ? " -r" : "");
            plain(o.help);
            fputs("'\n", stdout);
        }
    }
}

bool completion_print(const char *shell)
{
    static const struct {
        const char *name;
        void (*print)(void);
    } shells[] = {{"bash", bash}, {"zsh", zsh}, {"fish", fish}};
    for (u32 i = 0; i < countof(shells); i++)
        if (str_eq(shells[i].name, shell))
            return shells[i].print(), true;
    return false;
}
