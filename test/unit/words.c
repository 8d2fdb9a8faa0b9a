// SPDX-License-Identifier: MIT
// Unit test of the kernel's words (main/words.h): each of ours and of the others' is known for what
// it is, and none that is almost one of them; numbers are whole; a message has the word's place,
// and no more of it than is sane to show.
#include "main/words.c"

#include <stdio.h>
#include <string.h>

static int passed, failed;
static const char *at = "";
#define CHECK(what)                                                                                \
    do {                                                                                           \
        if (what) {                                                                                \
            passed++;                                                                              \
        } else {                                                                                   \
            failed++;                                                                              \
            printf("%s:%d: \"%s\": %s\n", __FILE__, __LINE__, at, #what);                          \
        }                                                                                          \
    } while (0)

static void check(const char *word, enum word wanted, const char *wanted_value)
{
    const char *value;
    at = word;
    CHECK(word_find(word, &value) == wanted);
    if (wanted_value)
        CHECK(!strcmp(value, wanted_value));
}

static bool has_value(const char *word)
{
    char last = word[strlen(word) - 1];
    return last == '=' || last == '.';
}

// The word itself, with a value or something behind it, less its last byte, and with one changed.
static void check_around(const char *word, enum word what)
{
    char text[80];
    size_t n = strlen(word);
    if (word[n - 1] == '*') {
        snprintf(text, sizeof text, "%.*s", (int)n - 1, word);
        check(text, what, "");
        snprintf(text, sizeof text, "%.*sS0,115200", (int)n - 1, word);
        check(text, what, "S0,115200");
        snprintf(text, sizeof text, "%.*s", (int)n - 2, word);
        check(text, WORD_UNKNOWN, NULL);
        return;
    }
    check(word, what, "");
    snprintf(text, sizeof text, "%s/a=b.c d", word);
    check(text, has_value(word) ? what : WORD_UNKNOWN, has_value(word) ? "/a=b.c d" : NULL);
    snprintf(text, sizeof text, "%.*s~", (int)n - 1, word);
    check(text, WORD_UNKNOWN, NULL);
    snprintf(text, sizeof text, "%s", word);
    text[n / 2] ^= 1;
    check(text, WORD_UNKNOWN, NULL);
    snprintf(text, sizeof text, " %s", word);
    check(text, WORD_UNKNOWN, NULL);
}

static void check_lists(void)
{
#define WORD(name, text) check_around(text, WORD_##name);
    WORDS(WORD)
#undef WORD
    static char others[] = WORDS_OF_OTHERS;
    struct words w = {others, others + sizeof others - 1, false, NULL, 0};
    char *word;
    while ((word = words_next(&w)))
        check_around(word, WORD_OF_OTHERS);
    CHECK(w.count > 30);
}

static void check_line(void)
{
    static const struct {
        const char *word;
        enum word what;
    } all[] = {
        {"BOOT_IMAGE=(hd0)/boot/nebulet", WORD_OF_OTHERS},
        {"console=ttyS0,115200", WORD_OF_OTHERS},
        {"console=multiplex", WORD_multiplex},
        {"console=multiplx", WORD_UNKNOWN}, // and nothing of Linux's
        {"console=multiplexed", WORD_UNKNOWN},
        {"console=", WORD_UNKNOWN},
        {"console=hvc0", WORD_OF_OTHERS},
        {"console=null", WORD_OF_OTHERS},
        {"reboot=k", WORD_OF_OTHERS},
        {"8250.nr_uarts=0", WORD_OF_OTHERS},
        {"i8042.noaux", WORD_OF_OTHERS},
        {"virtio_mmio.device=4K@0xd0000000:5", WORD_OF_OTHERS},
        {"env.A=b=c", WORD_env},
        {"stats=json", WORD_stats_json},
        {"stats=jsonx", WORD_UNKNOWN},
        {"memroy=64", WORD_UNKNOWN},
        {"memory", WORD_UNKNOWN},
        {"Memory=64", WORD_UNKNOWN},
        {"dir.r=/::/", WORD_UNKNOWN},
        {"moreover", WORD_UNKNOWN},
        {"memory=1", WORD_memory},
        {"memory=2", WORD_memory}, // again
        {"--", WORD_UNKNOWN},
    };
    char line[1024] = "  ", *word;
    for (u32 i = 0; i < countof(all); i++)
        strcat(strcat(line, all[i].word), i % 3 ? " " : "   ");
    struct words w = {line, line + strlen(line), false, NULL, 0};
    for (u32 i = 0; (word = words_next(&w)); i++) {
        CHECK(w.count == i + 1 && !strcmp(word, all[i].word));
        check(word, all[i].what, NULL);
    }
    CHECK(w.count == countof(all));
}

static void check_file(void)
{
    char bytes[] = "more\0\0quiet splash\0env.A=x y";
    static const char *const wanted[] = {"more", "", "quiet splash", "env.A=x y"};
    static const enum word what[] = {WORD_more, WORD_UNKNOWN, WORD_UNKNOWN, WORD_env};
    struct words w = {bytes, bytes + sizeof bytes - 1, true, "/words", 0};
    char *word;
    for (u32 i = 0; (word = words_next(&w)); i++) {
        CHECK(!strcmp(word, wanted[i]));
        check(word, what[i], NULL);
    }
    CHECK(w.count == countof(wanted));
}

static void check_numbers(void)
{
    static const char *const none[] = {"",   "64M",  "0x10",
                                       "-1", "1 ",   "18446744073709551616",
                                       "1e", "1000", "99999999999999999999999999"};
    u64 n;
    for (u32 i = 0; i < countof(none); i++) {
        at = none[i];
        CHECK(word_number(at, &n) == !strcmp(at, "1000"));
    }
    at = "18446744073709551615";
    CHECK(word_number(at, &n) && n == UINT64_MAX);
    CHECK(word_number("0", &n) && !n);
}

static void check_message(void)
{
    char text[1000], small[20], word[2000];
    struct words w = {NULL, NULL, false, NULL, 3};
    words_wrong(&w, "memroy=64", NULL, text, sizeof text);
    at = text;
    CHECK(!strncmp(
        text, "word 3 of the command line, \"memroy=64\": unknown; there are init= dir= ", 71));
    CHECK(strstr(text, " dir.ro= ") && strstr(text, " tick=") && strlen(text) < 500);
    w.file = "/words";
    words_wrong(&w, "memory=64M", "not a number", text, sizeof text);
    CHECK(!strcmp(text, "word 3 of /words, \"memory=64M\": not a number"));
    memset(word, '\n', sizeof word - 1);
    word[sizeof word - 1] = 0;
    words_wrong(&w, word, "no", text, sizeof text);
    CHECK(!strchr(text, '\n') && strlen(text) < 120 && strstr(text, "...\": no"));
    CHECK(words_wrong(&w, word, "no", small, sizeof small) > sizeof small && strlen(small) == 19);
}

int main(void)
{
    check_lists();
    check_line();
    check_file();
    check_numbers();
    check_message();
    printf("%d passed, %d failed\n", passed, failed);
    return failed != 0;
}
