// SPDX-License-Identifier: MIT
// See source.h. libdw reads ELF, so the sections are given to it as an ELF file of their own, in
// memory: a header, the sections' contents, their names, and the section headers.
#include "main/source.h"

#include <dwarf.h>
#include <elf.h>
#include <elfutils/libdw.h>
#include <libiberty/demangle.h>
#include <stdlib.h>
#include <string.h>

#include "wasm/module.h"

enum { SECTIONS_MOST = 32 };

struct part {
    const char *name;
    u32 name_length;
    const u8 *bytes;
    u32 size;
};

struct source {
    const struct module *m;
    u8 *file;
    Elf *elf;
    Dwarf *dwarf;
};

// --- The sections

static void *append(u8 *file, size_t *at, const void *bytes, size_t n)
{
    memcpy(file + *at, bytes, n);
    *at += n;
    return file + *at - n;
}

static bool number(const u8 **p, const u8 *end, u32 *out)
{
    u64 v = 0;
    for (u32 shift = 0; *p < end && shift < 35; shift += 7) {
        u8 b = *(*p)++;
        v |= (u64)(b & 0x7f) << shift;
        if (!(b & 0x80))
            return *out = (u32)v, v <= UINT32_MAX;
    }
    return false;
}

// A custom section's content as a part, if it is one of DWARF's.
static bool dwarf_part(const u8 *p, const u8 *end, struct part *out)
{
    static const char prefix[] = ".debug_";
    u32 length;
    if (!number(&p, end, &length) || length > (size_t)(end - p))
        return false;
    *out = (struct part){(const char *)p, length, p + length, (u32)(end - p) - length};
    return length > strlen(prefix) && !memcmp(p, prefix, strlen(prefix));
}

// The section at *p, which is moved behind it. False: it is cut off, or the end.
static bool next_section(const u8 **p, const u8 *end, u8 *id, const u8 **content)
{
    u32 size;
    const u8 *at = *p;
    if (at >= end)
        return false;
    *id = *at++;
    if (!number(&at, end, &size) || size > (size_t)(end - at))
        return false;
    *content = at;
    *p = at + size;
    return true;
}

static u32 find_parts(const struct module *m, struct part parts[SECTIONS_MOST])
{
    const u8 *p = m->bytes + 8, *end = m->bytes + m->size, *content;
    u8 id;
    u32 n = 0;
    while (n < SECTIONS_MOST && next_section(&p, end, &id, &content))
        n += id == 0 && dwarf_part(content, p, &parts[n]);
    return n;
}

bool source_has(const struct module *m)
{
    struct part parts[SECTIONS_MOST];
    return find_parts(m, parts);
}

// Where only custom sections follow; the end: something there is cut off, or this is no module.
static const u8 *behind_all(const u8 *bytes, const u8 *end)
{
    const u8 *p = bytes + 8, *last = p, *content;
    u8 id;
    if (end - bytes < 8 || memcmp(bytes, "\0asm", 4))
        return end;
    while (next_section(&p, end, &id, &content))
        last = id ? p : last;
    return p == end ? last : end;
}

size_t source_leave_out(u8 *out, const u8 *bytes, size_t size)
{
    const u8 *end = bytes + size, *p = behind_all(bytes, end), *content;
    size_t n = (size_t)(p - bytes);
    struct part part;
    u8 id;
    memcpy(out, bytes, n);
    for (const u8 *from = p; next_section(&p, end, &id, &content); from = p)
        if (!dwarf_part(content, p, &part))
            append(out, &n, from, (size_t)(p - from));
    return n;
}

// --- As ELF

// The names of sections come behind their contents; the first of each is empty. NULL: no memory.
static u8 *elf_of(const struct part *parts, u32 n, size_t *size)
{
    static const char own_name[] = "\0.shstrtab";
    size_t room = sizeof(Elf32_Ehdr) + sizeof own_name + (n + 2) * sizeof(Elf32_Shdr) + 8;
    for (u32 i = 0; i < n; i++)
        room += (size_t)parts[i].size + parts[i].name_length + 1;
    u8 *file = room < INT32_MAX ? calloc(1, room) : NULL;
    if (!file)
        return NULL;
    Elf32_Shdr headers[SECTIONS_MOST + 2] = {0};
    size_t at = sizeof(Elf32_Ehdr);
    for (u32 i = 0; i < n; i++) {
        headers[i + 1] = (Elf32_Shdr){.sh_type = SHT_PROGBITS,
                                      .sh_offset = (u32)at,
                                      .sh_size = parts[i].size,
                                      .sh_addralign = 1};
        append(file, &at, parts[i].bytes, parts[i].size);
    }
    size_t names = at;
    append(file, &at, own_name, sizeof own_name);
    for (u32 i = 0; i < n; i++) {
        headers[i + 1].sh_name = (u32)(at - names);
        append(file, &at, parts[i].name, parts[i].name_length);
        at++;
    }
    headers[n + 1] = (Elf32_Shdr){.sh_name = 1,
                                  .sh_type = SHT_STRTAB,
                                  .sh_offset = (u32)names,
                                  .sh_size = (u32)(at - names),
                                  .sh_addralign = 1};
    at = (at + 7) & ~(size_t)7;
    Elf32_Ehdr header = {
        .e_ident = {ELFMAG0, ELFMAG1, ELFMAG2, ELFMAG3, ELFCLASS32, ELFDATA2LSB, EV_CURRENT},
        .e_type = ET_EXEC,
        .e_version = EV_CURRENT,
        .e_shoff = (u32)at,
        .e_ehsize = sizeof header,
        .e_shentsize = sizeof headers[0],
        .e_shnum = (u16)(n + 2),
        .e_shstrndx = (u16)(n + 1),
    };
    append(file, &at, headers, (n + 2) * sizeof headers[0]);
    memcpy(file, &header, sizeof header);
    *size = at;
    return file;
}

struct source *source_open(const struct module *m)
{
    struct part parts[SECTIONS_MOST];
    u32 n = find_parts(m, parts);
    struct source *s = n ? calloc(1, sizeof *s) : NULL;
    size_t size;
    if (!s)
        return NULL;
    s->m = m;
    elf_version(EV_CURRENT);
    if ((s->file = elf_of(parts, n, &size)) && (s->elf = elf_memory((char *)s->file, size)) &&
        (s->dwarf = dwarf_begin_elf(s->elf, DWARF_C_READ, NULL)))
        return s;
    source_close(s);
    return NULL;
}

void source_close(struct source *s)
{
    if (!s)
        return;
    dwarf_end(s->dwarf);
    elf_end(s->elf);
    free(s->file);
    free(s);
}

// --- Places

// The next unit from *at on whose code has the address.
static bool next_unit(struct source *s, Dwarf_Addr address, Dwarf_Off *at, Dwarf_Die *out)
{
    Dwarf_Off next;
    size_t header;
    bool found = false;
    for (; !found && dwarf_nextcu(s->dwarf, *at, &next, &header, NULL, NULL, NULL) == 0; *at = next)
        found = dwarf_offdie(s->dwarf, *at + header, out) && dwarf_haspc(out, address) == 1;
    return found;
}

// The function of the module that has the address.
static bool function_of(const struct module *m, Dwarf_Addr address, Dwarf_Addr *from,
                        Dwarf_Addr *to)
{
    for (u32 i = m->nimported_funcs; i < m->nfuncs; i++) {
        *from = m->funcs[i].start - m->code_start;
        *to = m->funcs[i].end - m->code_start;
        if (*from <= address && address < *to)
            return true;
    }
    return false;
}

// Is a function, as it is said to be, a part of one? A linker puts another one in its place
// (--wrap) without a word of that in here, and then it would reach into those that follow.
static bool lies_within(Dwarf_Die *function, Dwarf_Addr from, Dwarf_Addr to)
{
    enum { SIZE = 5 }; // in front of it, which is a part for some
    Dwarf_Addr low, high;
    return dwarf_lowpc(function, &low) || dwarf_highpc(function, &high) ||
           (low + SIZE >= from && high <= to);
}

static int attribute_number(Dwarf_Die *die, u32 name)
{
    Dwarf_Attribute a;
    Dwarf_Word value;
    return dwarf_attr(die, name, &a) && !dwarf_formudata(&a, &value) && value < INT32_MAX
               ? (int)value
               : 0;
}

static struct source_place place_of_call(Dwarf_Die *unit, Dwarf_Die *inlined)
{
    Dwarf_Files *files;
    size_t n;
    struct source_place p = {NULL, attribute_number(inlined, DW_AT_call_line),
                             attribute_number(inlined, DW_AT_call_column)};
    if (!dwarf_getsrcfiles(unit, &files, &n))
        p.file =
            dwarf_filesrc(files, (size_t)attribute_number(inlined, DW_AT_call_file), NULL, NULL);
    return p;
}

static const char *name_of(Dwarf_Die *die)
{
    Dwarf_Attribute a;
    const char *name = NULL;
    if (dwarf_attr_integrate(die, DW_AT_linkage_name, &a))
        name = dwarf_formstring(&a);
    return name ? name : dwarf_diename(die);
}

// The functions that were inlined at an address, from the outermost, in out[]: how many. ELSEWHERE:
// what the unit says of that address is of another function than the one from..to.
// (dwarf_getscopes finds none of those in functions of a namespace.)
#define ELSEWHERE UINT32_MAX
static u32 inlined_at(Dwarf_Die *unit, Dwarf_Addr address, Dwarf_Addr from, Dwarf_Addr to,
                      Dwarf_Die out[SOURCE_INLINED_MOST])
{
    enum { DEEPEST = 64 };
    Dwarf_Die path[DEEPEST];
    u32 n = 0, level = 0, around = 0; // path[around]: what has the address is below it
    for (int none = dwarf_child(unit, &path[0]);;) {
        while (none && level > around)
            none = dwarf_siblingof(&path[level - 1], &path[level - 1]), level--;
        if (none)
            return n;
        int tag = dwarf_tag(&path[level]);
        bool space = tag == DW_TAG_namespace || tag == DW_TAG_structure_type ||
                     tag == DW_TAG_class_type || tag == DW_TAG_module;
        bool here = !space && dwarf_haspc(&path[level], address) == 1;
        if (here && tag == DW_TAG_subprogram && !lies_within(&path[level], from, to))
            return ELSEWHERE;
        if (here && tag == DW_TAG_inlined_subroutine && n < SOURCE_INLINED_MOST)
            out[n++] = path[level];
        if ((space || here) && level + 1 < DEEPEST && dwarf_haschildren(&path[level]) == 1) {
            none = dwarf_child(&path[level], &path[level + 1]);
            level++;
            around = here ? level : around;
        } else if (here) {
            return n;
        } else {
            none = dwarf_siblingof(&path[level], &path[level]);
        }
    }
}

u32 source_places(struct source *s, u32 offset, struct source_place places[SOURCE_INLINED_MOST],
                  const char *names[SOURCE_INLINED_MOST])
{
    Dwarf_Addr address = offset - s->m->code_start, from, to;
    Dwarf_Die unit, inlined[SOURCE_INLINED_MOST];
    Dwarf_Line *line;
    Dwarf_Off at = 0;
    u32 n = ELSEWHERE;
    if (!function_of(s->m, address, &from, &to))
        return 0;
    while (n == ELSEWHERE && next_unit(s, address, &at, &unit))
        n = inlined_at(&unit, address, from, to, inlined);
    if (n == ELSEWHERE || !(line = dwarf_getsrc_die(&unit, address)))
        return 0;
    places[0] = (struct source_place){.file = dwarf_linesrc(line, NULL, NULL)};
    dwarf_lineno(line, &places[0].line);
    dwarf_linecol(line, &places[0].column);
    n = n < SOURCE_INLINED_MOST ? n : SOURCE_INLINED_MOST - 1;
    for (u32 i = 0; i < n; i++) {
        names[i] = name_of(&inlined[n - 1 - i]);
        places[i + 1] = place_of_call(&unit, &inlined[n - 1 - i]);
    }
    return n + 1;
}

// --- Names

char *source_demangle(const char *name)
{
    return cplus_demangle(name, DMGL_AUTO | DMGL_PARAMS | DMGL_ANSI);
}
