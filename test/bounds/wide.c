// SPDX-License-Identifier: MIT
// Modules that have very many of one thing, each compiled, made a process of, which runs, and lost:
// no walk over any of them keeps others waiting. (That none does, whoever runs this sees.)
#include "../kern/nebulet.h"

enum {
    MANY = 200000,
    SECTIONS = 12,
    TYPE = 1,
    IMPORT,
    FUNCTION,
    TABLE,
    MEMORY,
    GLOBAL,
    EXPORT,
    START,
    ELEMENT,
    CODE,
    DATA
};

static unsigned char bytes[MANY * 20];
static u32 size;

static void byte(u32 b)
{
    bytes[size++] = (unsigned char)b;
}

static void number(u32 n)
{
    for (; n >= 128; n >>= 7)
        byte((n & 127) | 128);
    byte(n);
}

static void text(const char *s)
{
    u32 n = (u32)strlen(s);
    number(n);
    memcpy(bytes + size, s, n);
    size += n;
}

// A name that no other number has.
static void name_of(u32 i)
{
    byte(4);
    for (u32 k = 0; k < 4; k++, i /= 26)
        byte('a' + i % 26);
}

// One of the things, the i-th.
static void import_one(u32 i)
{
    (void)i;
    text("nebulet");
    text("null");
    byte(0), byte(1);
}

static void function_one(u32 i)
{
    (void)i;
    byte(0);
}

static void table_one(u32 i)
{
    (void)i;
    byte(0x70), byte(0), byte(1);
}

static void global_one(u32 i)
{
    byte(0x7f), byte(1), byte(0x41), byte(i & 63), byte(0x0b);
}

static void export_one(u32 i)
{
    name_of(i);
    byte(0), number(0);
}

static void element_one(u32 i)
{
    (void)i;
    byte(0), byte(0x41), byte(0), byte(0x0b), byte(1), byte(0);
}

static void code_one(u32 i)
{
    (void)i;
    byte(2), byte(0), byte(0x0b);
}

static void data_one(u32 i)
{
    byte(0), byte(0x41), byte(i & 63), byte(0x0b), byte(1), byte(i & 127);
}

static void (*const one[SECTIONS])(u32 i) = {
    [IMPORT] = import_one, [FUNCTION] = function_one, [TABLE] = table_one, [GLOBAL] = global_one,
    [EXPORT] = export_one, [ELEMENT] = element_one,   [CODE] = code_one,   [DATA] = data_one,
};

static void section(u32 id, u32 count)
{
    byte(id);
    u32 at = size;
    size += 5;
    number(count);
    for (u32 i = 0; i < count; i++)
        one[id](i);
    for (u32 i = 0, n = size - at - 5; i < 5; i++, n >>= 7)
        bytes[at + i] = (unsigned char)((n & 127) | (i < 4 ? 128 : 0));
}

static void make(u32 many, u32 count)
{
    static const unsigned char head[] = {0, 'a', 's',  'm', 1, 0,    0, 0, TYPE,
                                         8, 2,   0x60, 0,   0, 0x60, 0, 1, 0x7e};
    u32 funcs = many == FUNCTION ? count : 1, tables = many == TABLE ? count : 1;
    memcpy(bytes, head, size = sizeof head);
    if (many == IMPORT)
        section(IMPORT, count);
    section(FUNCTION, funcs);
    section(TABLE, tables);
    byte(MEMORY), byte(3), byte(1), byte(0), byte(1);
    section(GLOBAL, many == GLOBAL ? count : 1);
    section(EXPORT, many == EXPORT ? count : 1);
    if (many == ELEMENT)
        section(ELEMENT, count);
    section(CODE, funcs);
    if (many == DATA)
        section(DATA, count);
}

static const struct {
    u32 section, count;
} kinds[] = {{IMPORT, MANY}, {FUNCTION, MANY}, {TABLE, 50000}, {GLOBAL, MANY},
             {EXPORT, MANY}, {ELEMENT, MANY},  {DATA, MANY}};

int main(int argc, char **argv)
{
    static char message[200];
    (void)argc, (void)argv;
    for (u32 i = 0; i < countof(kinds); i++) {
        make(kinds[i].section, kinds[i].count);
        s64 m = nb_wasm_compile(bytes, size, message, sizeof message);
        if (m < 0)
            printf("section %u: %s\n", kinds[i].section, message);
        EXPECT(m >= 0, 1);
        for (u32 k = 0; k < 2; k++) {
            s64 p = nb_process_create((u32)m, NEBULET_NO_HANDLE, NULL, 0, NULL, 0);
            if (p < 0)
                printf("section %u: %lld\n", kinds[i].section, p);
            EXPECT(nb_handle_close(GOOD(p)), 0);
        }
        EXPECT(nb_handle_close((u32)m), 0);
    }
    puts("wide");
    return 0;
}
