// SPDX-License-Identifier: MIT
// The lines of --trace: see trace.h.
#include "abi/trace.h"
#include "base/fmt.h"
#include "kern/process.h"
#include "plat/plat.h"

enum { SHOWN = 80 }; // bytes of a path

// Set before anything runs.
static struct {
    void (*to)(const char *line, size_t n);
    const char *calls;
    u64 start;
} wanted = {.to = plat_console_write};

void trace_to(void (*to)(const char *line, size_t n), const char *calls)
{
    wanted.to = to;
    wanted.calls = calls;
    wanted.start = plat_now();
}

bool trace_lists(const char *call, const char *name)
{
    while (call && *call) {
        const char *n = name;
        while (*n && *n == *call)
            n++, call++;
        if (*call == '*' || (!*n && (!*call || *call == ',')))
            return true;
        while (*call && *call++ != ',')
            ;
    }
    return !call;
}

void trace_print(struct trace_line *l, const char *format, ...)
{
    va_list args;
    va_start(args, format);
    size_t room = sizeof l->text - l->n, n = fmt_va(l->text + l->n, room, format, args);
    va_end(args);
    l->n += n < room ? n : room - 1;
}

static void print_path(struct trace_line *l, const struct vmctx *vm, u32 address, u32 n)
{
    if (!vm->mem || (u64)address + n > vm->mem->bytes) {
        trace_print(l, "0x%x[%u]", address, n);
        return;
    }
    const u8 *p = vm->mem->base + address;
    trace_print(l, "\"");
    for (u32 i = 0; i < n && i < SHOWN; i++)
        trace_print(l, p[i] < 32 || p[i] == '"' || p[i] == '\\' || p[i] > 126 ? "\\x%02x" : "%c",
                    p[i]);
    trace_print(l, n > SHOWN ? "\"..." : "\"");
}

bool trace_call(struct trace_line *l, const struct vmctx *vm, const char *name,
                const struct arg_info *info, const u64 *cells)
{
    if (!trace_lists(wanted.calls, name))
        return false;
    u64 us = (plat_now() - wanted.start) / 1000;
    trace_print(l, "%u.%06u %u %s(", (u32)(us / 1000000), (u32)(us % 1000000),
                ((const struct process *)vm->process)->id, name);
    for (const struct arg_info *i = info; i->name; i++) {
        trace_print(l, "%s%s=", i == info ? "" : ", ", i->name);
        switch (i->kind) {
        case 'd': trace_print(l, "%u", (u32)*cells++); break;
        case 'l': trace_print(l, "%llu", (unsigned long long)*cells++); break;
        case 'x': trace_print(l, "0x%x", (u32)*cells++); break;
        case 'p':
            print_path(l, vm, (u32)cells[0], (u32)cells[1]);
            cells += 2;
            break;
        default: trace_print(l, "0x%x[%u]", (u32)cells[0], (u32)cells[1]); cells += 2;
        }
    }
    return true;
}

void trace_end(const struct trace_line *l)
{
    wanted.to(l->text, l->n);
}
