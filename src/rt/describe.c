// SPDX-License-Identifier: MIT
// What a trap was, for people: its text, what it probably came from, and where it was.
//
// The reason is told from what both engines know in the same way: which instruction it was, and the
// address or element that it wanted. So it is the same everywhere, or is not there.
#include "rt/instance.h"
#include "rt/thread.h"
#include "base/fmt.h"
#include "base/lookup.h"
#include "wasm/leb.h"

struct text {
    char *p;
    size_t room, length;
};

__attribute__((format(printf, 2, 3))) static void add(struct text *t, const char *format, ...)
{
    va_list args;
    va_start(args, format);
    size_t at = t->length < t->room ? t->length : t->room;
    t->length += fmt_va(t->p + at, t->room - at, format, args);
    va_end(args);
}

// Names come from the module and may be anything.
static void add_name(struct text *t, struct name name)
{
    enum { LONGEST = 120 };
    for (u32 i = 0; i < name.length && i < LONGEST; i++)
        add(t, "%c", fmt_shown((const char *)name.p, name.length, i));
    if (name.length > LONGEST)
        add(t, "...");
}

static struct name func_name(const struct module *m, u32 func)
{
    if (m->func_names && m->func_names[func].length)
        return m->func_names[func];
    enum { AT_ONCE = 1 << 16 };
    for (u32 i = 0; i < m->nexports && (i % AT_ONCE || !look_up()); i++)
        if (m->exports[i].kind == EXTERN_FUNC && m->exports[i].index == func)
            return m->exports[i].name;
    return (struct name){0};
}

static void add_func(struct text *t, const struct module *m, u32 func)
{
    struct name name = func_name(m, func);
    if (name.length)
        add_name(t, name);
    else
        add(t, "$f%u", func);
}

static void add_tag(struct text *t, const struct vm_tag *tag)
{
    const struct module *m = tag->module;
    enum { AT_ONCE = 1 << 16 };
    add(t, " (tag ");
    for (u32 i = 0; i < m->nexports && (i % AT_ONCE || !look_up()); i++) {
        if (m->exports[i].kind == EXTERN_TAG && m->exports[i].index == tag->index) {
            add_name(t, m->exports[i].name);
            add(t, ")");
            return;
        }
    }
    add(t, "%u)", tag->index);
}

static void add_frame(struct text *t, const struct trace_frame *f, const char *file)
{
    struct name module = f->module->module_name;
    add(t, "\n  at ");
    add_func(t, f->module, f->func);
    add(t, " (");
    add_name(t, module.length ? module : (struct name){file, (u32)strlen(file)});
    if (f->offset)
        add(t, ":0x%x", f->offset);
    add(t, ")");
}

// --- What it probably came from

// The memory that the instruction accesses; NULL: it is none that does so alone, or one whose
// address an engine checks by itself, and then does not know.
static const struct vm_memory *memory_of(const struct vmctx *vm, const u8 *pc)
{
    u8 op = *pc++;
    bool prefixed = op == 0xfd || op == 0xfe;
    if (!prefixed && (op < OP_i32_load || op > OP_i64_store32))
        return NULL;
    if (prefixed && leb_u32(&pc) < 0x10 && op == 0xfe)
        return NULL; // to wait or wake is a call
    struct memarg at = leb_memarg(&pc);
    bool covered = at.offset < VM_MEMORY_GUARD - WASM_PAGE;
    return covered && !vm->module->memories[at.memory].wide ? vm_memory(vm, at.memory) : NULL;
}

// Compilers for C and the like have it in the first global.
static bool stack_pointer(const struct vmctx *vm, u64 *out)
{
    const struct module *m = vm->module;
    if (!m->nglobals || !m->globals[0].mutable || m->globals[0].type != TYPE_I32)
        return false;
    *out = vm_global(vm, 0)->i32;
    return true;
}

static void memory_reason(struct text *t, const struct vm_thread *thread, const u8 *pc)
{
    enum { NEAR = 1 << 12, BELOW = 1 << 20 };
    const struct vm_memory *m = memory_of(thread->trap_vm, pc);
    if (!m || thread->trap_address < (u64)(uintptr_t)m->base)
        return;
    u64 address = thread->trap_address - (u64)(uintptr_t)m->base, end = m->bytes, sp;
    if (address < end)
        address = end; // it began within
    u64 below = (1ull << 32) - address;
    bool wraps = below <= BELOW, has = stack_pointer(thread->trap_vm, &sp);
    add(t, "\n  address 0x%lx", (unsigned long)address);
    if (wraps)
        add(t, ", %lu bytes below 0", (unsigned long)below);
    add(t, "; the memory ends at 0x%lx: ", (unsigned long)end);
    // A function that calls none uses what is below the stack pointer without moving it.
    if (has && (sp > end || (wraps && sp < NEAR)))
        add(t, "the C stack ran into its end (-Wl,-z,stack-size=BYTES makes it larger)");
    else if (wraps)
        add(t, "a null pointer with a negative index");
    else if (address - end < NEAR)
        add(t, "just beyond what there is");
    else
        add(t, "no pointer, or an overwritten one");
}

static const struct vm_table *called_table(const struct vmctx *vm, const u8 *pc, u32 *type)
{
    u8 op = *pc++;
    if (op != OP_call_indirect && op != OP_return_call_indirect)
        return NULL;
    *type = leb_u32(&pc);
    if (vm->module->types[*type].open)
        return NULL; // the runtime looks at it, and no register has it
    return vm_table(vm, leb_u32(&pc));
}

// The trap's address is the index, if there is no such element, or else where the element is.
static void call_reason(struct text *t, const struct vm_thread *thread, const u8 *pc)
{
    char want[120], found[120];
    const struct vmctx *vm = thread->trap_vm;
    u32 type;
    const struct vm_table *table = called_table(vm, pc, &type);
    if (!table)
        return;
    u64 index = thread->trap_address;
    if (thread->trap != TRAP_UNDEFINED_ELEMENT)
        index = (index - (u64)(uintptr_t)table->at) / sizeof *table->at;
    add(t, "\n  element %lu of a table of %lu", (unsigned long)index, (unsigned long)table->length);
    if (thread->trap != TRAP_INDIRECT_CALL || index >= table->length) {
        add(t, index ? ": what was called is no pointer to a function"
                     : ": a null pointer was called as a function");
        return;
    }
    const struct vm_func *f = table->at[index].ref;
    if (f->index == VM_FUNC_HOST)
        return;
    func_type_text(want, sizeof want, &vm->module->types[type]);
    const struct module *m = f->vm->module;
    add(t, ": ");
    add_func(t, m, f->index);
    add(t, " is %s, and was called as %s",
        func_type_text(found, sizeof found, module_func_type(m, f->index)), want);
}

// Host functions do not give up, but those that stand for what nobody has.
static void import_reason(struct text *t, const struct module *m, const u8 *pc)
{
    pc++;
    u32 func = leb_u32(&pc);
    for (u32 i = 0; i < m->nimports; i++)
        if (m->imports[i].kind == EXTERN_FUNC && m->imports[i].index == func) {
            add(t, "\n  nobody has what it calls: ");
            add_name(t, m->imports[i].module);
            add(t, ".");
            add_name(t, m->imports[i].field);
        }
}

static void add_reason(struct text *t, const struct vm_thread *thread,
                       const struct trace_frame *innermost)
{
    bool known = innermost->offset; // which instruction it was
    const u8 *pc = innermost->module->bytes + innermost->offset;
    switch (thread->trap) {
    case TRAP_UNREACHABLE:
        if (known && *pc == OP_call)
            import_reason(t, innermost->module, pc);
        else
            add(t, "\n  it gave up: abort(), a failed check, or what its compiler holds for "
                   "impossible");
        break;
    case TRAP_MEMORY:
        if (known && thread->trap_vm->module == innermost->module)
            memory_reason(t, thread, pc);
        break;
    case TRAP_UNDEFINED_ELEMENT:
    case TRAP_UNINITIALIZED_ELEMENT:
    case TRAP_INDIRECT_CALL:
        if (known && thread->trap_vm->module == innermost->module)
            call_reason(t, thread, pc);
        break;
    case TRAP_STACK: add(t, "\n  probably a recursion that does not end"); break;
    default: break;
    }
}

size_t thread_describe_trap(struct thread *t, const char *file, char *buffer, size_t n)
{
    enum { DEEPEST = 1 << 18 }; // frames that are counted, where only a full trace can tell
    struct text text = {buffer, n, 0};
    struct trace_frame few[TRACE_MAX], *frames = few;
    u32 max = TRACE_MAX;
    if (t->store->engine->trace && (frames = heap_array(DEEPEST, sizeof *frames)))
        max = DEEPEST;
    else
        frames = few;
    add(&text, "wasm trap: %s", trap_text((enum trap)t->vm.trap));
    if (t->vm.trap == TRAP_EXCEPTION)
        add_tag(&text, t->vm.uncaught);
    u32 count = thread_trace(t, frames, max);
    if (count)
        add_reason(&text, &t->vm, &frames[0]);
    for (u32 i = 0; i < count && i < TRACE_MAX; i++)
        add_frame(&text, &frames[i], file);
    u64 depth = t->depth > count ? t->depth : count;
    bool cut = t->cut || (t->store->engine->trace && count == max);
    if (depth > TRACE_MAX || cut)
        add(&text, "\n  ... %s%lu more", cut ? "at least " : "",
            (unsigned long)(depth - (depth < TRACE_MAX ? depth : TRACE_MAX)));
    if (frames != few)
        heap_free(frames);
    return text.length;
}
