// SPDX-License-Identifier: MIT
// GDB's interface for compilers at run time (its manual, "JIT Interface"): a list of object files
// in memory, and a function that it has a breakpoint in. Each of ours has symbols and .debug_frame,
// and says where code lies that is there already:
//
//   header | section headers | .symtab | .strtab | .debug_frame | names of sections
//
// Compiled code has no frame pointers. What a frame looks like is told once for a function: the
// pushes of the prologue, which are read from the code, the body's fixed size, and the way back.
// Where a callee pops its arguments, its caller's stack pointer lies that much higher. Not told is
// what a body pushes in between, for a call.
#include "main/gdb.h"

#include <elf.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/vec.h"
#include "main/host.h"
#include "target/x64/abi.h"
#include "wasm/module.h"

// --- What GDB looks at; the names are its own

enum { JIT_NOACTION, JIT_REGISTER };

struct jit_code_entry {
    struct jit_code_entry *next_entry, *prev_entry;
    const char *symfile_addr;
    u64 symfile_size;
};

extern struct jit_descriptor {
    u32 version, action_flag;
    struct jit_code_entry *relevant_entry, *first_entry;
} __jit_debug_descriptor;
struct jit_descriptor __jit_debug_descriptor = {.version = 1};

void __jit_debug_register_code(void);
__attribute__((noinline)) void __jit_debug_register_code(void)
{
    __asm__ volatile("" ::: "memory");
}

static bool announce(const char *file, size_t size)
{
    struct jit_code_entry *e = malloc(sizeof *e);
    if (!e)
        return false;
    *e = (struct jit_code_entry){.next_entry = __jit_debug_descriptor.first_entry,
                                 .symfile_addr = file,
                                 .symfile_size = size};
    if (e->next_entry)
        e->next_entry->prev_entry = e;
    __jit_debug_descriptor.first_entry = __jit_debug_descriptor.relevant_entry = e;
    __jit_debug_descriptor.action_flag = JIT_REGISTER;
    __jit_debug_register_code();
    __jit_debug_descriptor.action_flag = JIT_NOACTION;
    return true;
}

// --- An object file

struct object {
    FILE *symbols, *names, *frames;
    char *symbol_bytes, *name_bytes, *frame_bytes;
    size_t symbol_size, name_size, frame_size;
    u64 low, high; // of the code
};

static void put(FILE *to, u64 n, size_t bytes)
{
    fwrite(&n, 1, bytes, to);
}

static bool object_begin(struct object *o)
{
    *o = (struct object){.low = UINT64_MAX};
    o->symbols = open_memstream(&o->symbol_bytes, &o->symbol_size);
    o->names = open_memstream(&o->name_bytes, &o->name_size);
    o->frames = open_memstream(&o->frame_bytes, &o->frame_size);
    if (!o->symbols || !o->names || !o->frames)
        return false;
    fwrite(&(Elf64_Sym){0}, sizeof(Elf64_Sym), 1, o->symbols);
    putc(0, o->names);
    return true;
}

enum { TEXT = 1, SYMTAB, STRTAB, FRAMES, SECTION_NAMES, SECTIONS };

static void symbol(struct object *o, const u8 *at, size_t size)
{
    u64 address = (u64)(uintptr_t)at;
    fwrite(&(Elf64_Sym){.st_name = (Elf64_Word)ftell(o->names),
                        .st_info = ELF64_ST_INFO(STB_GLOBAL, STT_FUNC),
                        .st_shndx = TEXT,
                        .st_value = address,
                        .st_size = size},
           sizeof(Elf64_Sym), 1, o->symbols);
    o->low = address < o->low ? address : o->low;
    o->high = address + size > o->high ? address + size : o->high;
}

static void free_parts(struct object *o)
{
    free(o->symbol_bytes);
    free(o->name_bytes);
    free(o->frame_bytes);
}

static bool object_end(struct object *o)
{
    static const char section_names[] = "\0.text\0.symtab\0.strtab\0.debug_frame\0.shstrtab";
    bool failed = fclose(o->symbols) | fclose(o->names) | fclose(o->frames);
    size_t at = sizeof(Elf64_Ehdr) + SECTIONS * sizeof(Elf64_Shdr);
    struct {
        Elf64_Ehdr header;
        Elf64_Shdr sections[SECTIONS];
    } head = {
        .header = {.e_ident = {ELFMAG0, ELFMAG1, ELFMAG2, ELFMAG3, ELFCLASS64, ELFDATA2LSB,
                               EV_CURRENT},
                   .e_type = ET_EXEC,
                   .e_machine = EM_X86_64,
                   .e_version = EV_CURRENT,
                   .e_shoff = sizeof(Elf64_Ehdr),
                   .e_ehsize = sizeof(Elf64_Ehdr),
                   .e_shentsize = sizeof(Elf64_Shdr),
                   .e_shnum = SECTIONS,
                   .e_shstrndx = SECTION_NAMES},
        .sections = {[TEXT] = {.sh_name = 1,
                               .sh_type = SHT_NOBITS,
                               .sh_flags = SHF_ALLOC | SHF_EXECINSTR,
                               .sh_addr = o->low,
                               .sh_size = o->high - o->low,
                               .sh_addralign = 1},
                     [SYMTAB] = {.sh_name = 7,
                                 .sh_type = SHT_SYMTAB,
                                 .sh_link = STRTAB,
                                 .sh_info = 1,
                                 .sh_entsize = sizeof(Elf64_Sym)},
                     [STRTAB] = {.sh_name = 15, .sh_type = SHT_STRTAB},
                     [FRAMES] = {.sh_name = 23, .sh_type = SHT_PROGBITS},
                     [SECTION_NAMES] = {.sh_name = 36, .sh_type = SHT_STRTAB}},
    };
    const struct {
        const void *bytes;
        size_t size;
    } parts[] = {[SYMTAB] = {o->symbol_bytes, o->symbol_size},
                 [STRTAB] = {o->name_bytes, o->name_size},
                 [FRAMES] = {o->frame_bytes, o->frame_size},
                 [SECTION_NAMES] = {section_names, sizeof section_names}};
    size_t size = at;
    for (u32 i = SYMTAB; i < SECTIONS; i++) {
        head.sections[i].sh_offset = size;
        head.sections[i].sh_size = parts[i].size;
        size += ALIGN_UP(parts[i].size, (size_t)8);
    }
    char *file = failed ? NULL : calloc(1, size);
    if (!file)
        return free_parts(o), false;
    memcpy(file, &head, sizeof head);
    for (u32 i = SYMTAB; i < SECTIONS; i++)
        memcpy(file + head.sections[i].sh_offset, parts[i].bytes, parts[i].size);
    free_parts(o);
    if (announce(file, size))
        return true;
    free(file);
    return false;
}

// --- Frames, as DWARF has them: one entry (CIE) that holds for all, and one (FDE) for each
// function

enum {
    CFA_ADVANCE4 = 0x04,
    CFA_OFFSET = 0x80, // | register
    CFA_DEF_CFA = 0x0c,
    CFA_DEF_CFA_OFFSET = 0x0e,
    CFA_VAL_OFFSET_SF = 0x15,
    DWARF_RSP = 7,
    DWARF_RIP = 16,
};

static void put_uleb(FILE *to, u64 n)
{
    for (; n > 127; n >>= 7)
        putc((int)(n & 127) | 128, to);
    putc((int)n, to);
}

// The bytes of an entry behind its length, padded with nops.
static void put_entry(FILE *to, const char *bytes, size_t size)
{
    size_t padding = ALIGN_UP(size + 4, (size_t)8) - size - 4;
    put(to, size + padding, 4);
    fwrite(bytes, 1, size, to);
    put(to, 0, padding);
}

// Saved registers lie below the return address in the order in which they were pushed.
static const u8 dwarf_register[16] = {0, 2, 1, 3, 7, 6, 4, 5, 8, 9, 10, 11, 12, 13, 14, 15};

static void put_common(FILE *to)
{
    const u8 bytes[] = {
        0xff,      0xff,        0xff,      0xff, // a CIE
        3,         0,           1,         0x78, // version 3, no augmentation, units of 1 and -8
        DWARF_RIP, CFA_DEF_CFA, DWARF_RSP, 8,    CFA_OFFSET | DWARF_RIP, 1};
    put_entry(to, (const char *)bytes, sizeof bytes);
}

struct frame_entry {
    FILE *to;
    const u8 *at; // as far as it has come
};

// From `at` on the return address lies behind so many bytes of stack.
static void put_state(struct frame_entry *e, const u8 *at, u64 bytes)
{
    if (at > e->at) {
        putc(CFA_ADVANCE4, e->to);
        put(e->to, (u64)(at - e->at), 4);
    }
    e->at = at > e->at ? at : e->at;
    putc(CFA_DEF_CFA_OFFSET, e->to);
    put_uleb(e->to, bytes + 8);
}

// push and pop of a 64-bit register, at p: its number and the instruction's length; else -1.
static int pushed(const u8 *p, u8 opcode, u32 *length)
{
    u32 prefix = *p == 0x41;
    *length = prefix + 1;
    return (p[prefix] & 0xf8) == opcode ? (int)(prefix << 3 | (p[prefix] & 7)) : -1;
}

static void put_prologue(struct frame_entry *e, const u8 *p, const u8 *body, u64 frame)
{
    u64 depth = 0;
    u32 length;
    for (int r; p < body && (r = pushed(p, 0x50, &length)) >= 0; p += length) {
        depth += 8;
        put_state(e, p + length, depth);
        putc(CFA_OFFSET | dwarf_register[r], e->to);
        put_uleb(e->to, (depth + 8) / 8);
    }
    put_state(e, body, frame);
}

static void put_epilogue(struct frame_entry *e, const u8 *p, const u8 *cold, u64 frame)
{
    u64 depth = frame;
    u32 length;
    if (p[0] == 0x48 && (p[1] == 0x83 || p[1] == 0x81)) { // add rsp
        u32 bytes;
        memcpy(&bytes, p + 3, sizeof bytes);
        depth -= p[1] == 0x83 ? p[3] : bytes;
        p += p[1] == 0x83 ? 4 : 7;
        put_state(e, p, depth);
    }
    for (; p < cold && pushed(p, 0x58, &length) >= 0; p += length) {
        depth -= 8;
        put_state(e, p + length, depth);
    }
    put_state(e, cold, frame);
}

// f: its parts, or NULL, and then its stack is everywhere as it is at its call. args: bytes that it
// pops.
static bool put_frame(FILE *to, const u8 *from, size_t size, const u8 *run,
                      const struct func_code *f, u64 frame, u32 args)
{
    char *bytes = NULL;
    size_t length = 0;
    struct frame_entry e = {open_memstream(&bytes, &length), from};
    if (!e.to)
        return false;
    put(e.to, 0, 4); // the CIE that it goes with
    put(e.to, (u64)(uintptr_t)from, 8);
    put(e.to, size, 8);
    if (args) {
        putc(CFA_VAL_OFFSET_SF, e.to);
        put_uleb(e.to, DWARF_RSP);
        for (s64 n = -(s64)(args / 8);; n >>= 7) { // signed LEB128
            bool last = n >= -64;
            putc((int)(n & 127) | (last ? 0 : 128), e.to);
            if (last)
                break;
        }
    }
    if (f) {
        put_prologue(&e, run + f->pushes, run + f->body, frame);
        put_epilogue(&e, run + f->epilogue, run + f->cold, frame);
    } else {
        put_state(&e, from, frame);
    }
    bool failed = fclose(e.to);
    if (!failed)
        put_entry(to, bytes, length);
    free(bytes);
    return !failed;
}

// --- What there is

static bool add_func(struct object *o, const struct compiled *c, u32 index)
{
    const struct module *m = c->module;
    const struct func_code *f = &c->funcs[index - m->nimported_funcs];
    const u8 *from = c->run + f->entry;
    symbol(o, from, f->end - f->entry);
    print_func(o->names, m, index);
    putc(0, o->names);
    u32 args = abi_stack_of(module_func_type(m, index)).args;
    return put_frame(o->frames, from, f->end - f->entry, c->run, f, f->frame, args);
}

// What calls host functions of a type, which lies one behind the other.
struct thunk {
    const u8 *at;
    const struct functype *type;
};

static int by_place(const void *a, const void *b)
{
    const struct thunk *x = a, *y = b;
    return x->at < y->at ? -1 : x->at > y->at;
}

static bool add_thunks(struct object *o, const struct store *s, const struct module *m)
{
    enum { MOST = 512 };
    struct thunk *all = calloc(m->nimported_funcs + 1, sizeof *all);
    u32 n = 0;
    for (u32 i = 0; all && i < m->nimported_funcs; i++) {
        const struct functype *type = module_func_type(m, i);
        all[n] = (struct thunk){store_thunk(s, type->id), type};
        n += all[n].at != NULL;
    }
    if (!all)
        return false;
    qsort(all, n, sizeof *all, by_place);
    bool done = true;
    for (u32 i = 0; i < n; i++) {
        const struct functype *t = all[i].type;
        size_t size = i + 1 < n && all[i + 1].at - all[i].at < MOST
                          ? (size_t)(all[i + 1].at - all[i].at)
                          : MOST;
        if (i + 1 < n && all[i + 1].at == all[i].at)
            continue;
        u32 cells = t->nparams > t->nresults ? t->nparams : t->nresults;
        symbol(o, all[i].at, size);
        fwrite("(host)", 1, sizeof "(host)", o->names);
        done &= put_frame(o->frames, all[i].at, size, NULL, NULL, ALIGN_UP(cells * 8, 16u) + 8,
                          abi_stack_of(t).args);
    }
    free(all);
    return done;
}

bool gdb_add(const struct store *s, const struct rt_module *rm)
{
    const struct module *m = rm->m;
    struct object o;
    bool done = object_begin(&o);
    if (!done)
        return false;
    put_common(o.frames);
    for (u32 i = m->nimported_funcs; done && i < m->nfuncs; i++)
        done = add_func(&o, &rm->compiled, i);
    done = done && add_thunks(&o, s, m);
    return object_end(&o) && done;
}
