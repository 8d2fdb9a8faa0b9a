# SPDX-License-Identifier: MIT
"""doc/abi.md: what the tables say, for people. sdk/bindings markdown prints it, check/abi compares."""
import textwrap

import table

INTRODUCTION = """\
# The platform's calls

<!-- Made from src/abi/nebulet.def, nebulet_types.h, wasi.def and src/base/errors.def by
     `sdk/bindings markdown >doc/abi.md`; make check fails when it is out of date. -->

What a program may import from `nebulet` (`abi` and `env` are the same module by older names). Addresses
and sizes are i32, and mean memory 0. Every call returns an i64: 0 or a result that is not negative, or
one of the [errors](#errors). In C the prototypes are in `<nebulet/calls.h>`, the types in
`<nebulet/types.h>`.

Before a call does anything, its arguments are checked from left to right:

- its privilege: `ACCESS_DENIED` when the process does not have it;
- a handle: `BAD_HANDLE` when it is not open, `WRONG_TYPE` when it is of another object,
  `ACCESS_DENIED` when it lacks a right that the call needs;
- memory: `OUT_OF_BOUNDS` when a byte of it is outside.

Structs may lie at any address; a lock's word is aligned. A **deadline** is a point of the monotonic clock in ns
(`clock_now`): `NEBULET_FOREVER` waits as long as it takes, 0 does not wait, and `SHOULD_WAIT` says that it
would have had to; `TIMED_OUT` says that the time is over. A call that waits parks its thread only.
"""

# By the tens of the calls' numbers.
GROUPS = {0: "Handles", 1: "Modules and processes", 2: "Channels", 3: "Streams", 4: "Events and waiting",
          5: "Threads", 6: "Time", 7: "Watchdog", 8: "Random numbers", 9: "Services",
          11: "Shared memory", 12: "Devices", 10: "Console and end"}

WIDTH = 110  # of a paragraph
MEMORY = {"IN", "BUFFER", "LIST", "OUT", "MAYBE", "WORD"}
WASM = {"LONG": "i64", "DEADLINE": "i64", "IN": "i32 i32", "BUFFER": "i32 i32", "LIST": "i32 i32"}
C_TYPES = {"OBJECT": "nebulet_handle {0}", "ANY": "nebulet_handle {0}", "HANDLE": "nebulet_handle {0}",
           "NUM": "uint32_t {0}", "LONG": "uint64_t {0}", "DEADLINE": "uint64_t {0}",
           "IN": "const void *{0}, uint32_t {0}_size", "BUFFER": "void *{0}, uint32_t {0}_size",
           "LIST": "{1} *{0}, uint32_t {0}_count", "MAYBE": "{1} *{0}", "WORD": "uint32_t *{0}"}


def c_argument(a):
    if a.kind != "OUT":
        return C_TYPES[a.kind].format(a.name, a.type)
    base, bracket, count = a.type.partition("[")
    return f"{base} (*{a.name})[{count}" if bracket else f"{base} *{a.name}"


def prototype(call, width=98):
    """In C, with line breaks between arguments."""
    head = f"{'int64_t' if call.returns else 'noreturn void'} nebulet_{call.name}("
    arguments = [c_argument(a) for a in call.arguments] or ["void"]
    lines, line = [], head
    for i, text in enumerate(arguments):
        text += ");" if i == len(arguments) - 1 else ","
        if len(line) + 1 + len(text) > width and line != head:
            lines.append(line)
            line = " " * len(head) + text
        else:
            line += text if line.endswith("(") else " " + text
    return "\n".join([*lines, line])


def signature(call):
    arguments = " ".join(WASM.get(a.kind, "i32") for a in call.arguments)
    return f"({arguments}) -> {'i64' if call.returns else '()'}"


def rights_text(rights):
    words = [w for w in rights.replace("_", " ").split() if w not in ("0", "")]
    return f", with {' and '.join(words)}" if words else ""


def article(word):
    return f"{'an' if word[0] in 'aeiou' else 'a'} {word}"


def array_text(type_name):
    base, bracket, count = type_name.partition("[")
    return f"{count[:-1]} x `{base}`" if bracket else f"`{base}`"


def argument_text(a):
    return {
        "OBJECT": lambda: f"{article(a.type)}{rights_text(a.rights)}",
        "ANY": lambda: f"any object{rights_text(a.rights)}",
        "HANDLE": lambda: "a handle, given up by the call",
        "NUM": lambda: "a number",
        "LONG": lambda: "a number of 64 bits",
        "DEADLINE": lambda: "until when to wait",
        "IN": lambda: "bytes that are read",
        "BUFFER": lambda: "bytes that are written",
        "LIST": lambda: f"an array of `{a.type}`",
        "OUT": lambda: f"where {array_text(a.type)} is written",
        "MAYBE": lambda: f"where {array_text(a.type)} is written; 0: nowhere",
        "WORD": lambda: "an aligned word, a lock",
    }[a.kind]()


def argument_errors(call):
    """Those that the arguments bring, in the order of the errors' numbers."""
    found = set(call.errors)
    if call.privilege:
        found.add("ACCESS_DENIED")
    for a in call.arguments:
        if a.kind in ("OBJECT", "ANY"):
            found |= {"BAD_HANDLE"} | ({"ACCESS_DENIED"} if rights_text(a.rights) else set())
        if a.kind == "OBJECT":
            found.add("WRONG_TYPE")
        if a.kind in MEMORY:
            found.add("OUT_OF_BOUNDS")
        if a.kind == "WORD":
            found.add("INVALID_ARG")
        if a.kind == "DEADLINE":
            found |= {"TIMED_OUT", "SHOULD_WAIT"}
    return [name for _, name, _ in table.errors() if name in found]


def argument_name(a):
    size = {"IN": "_size", "BUFFER": "_size", "LIST": "_count"}.get(a.kind)
    return f"`{a.name}`, `{a.name}{size}`" if size else f"`{a.name}`"


def call_section(call):
    yield f"### {call.name}"
    yield ""
    yield "```c"
    yield prototype(call)
    yield "```"
    yield ""
    yield textwrap.fill(call.doc, WIDTH)
    yield ""
    for a in call.arguments:
        yield f"- {argument_name(a)}: {argument_text(a)}"
    if call.arguments:
        yield ""
    facts = [f"Number {call.number}, `{signature(call)}`"]
    facts.append("may wait" if call.waits else "does not wait")
    facts.append(f"privilege `{call.privilege}`" if call.privilege else "no privilege needed")
    yield "; ".join(facts) + "."
    errors = argument_errors(call)
    if errors:
        yield textwrap.fill("Errors: " + ", ".join(f"`{e}`" for e in errors) + ".", WIDTH)
    yield ""


def calls_section():
    group = None
    for call in table.calls():
        if call.number // 10 != group:
            group = call.number // 10
            yield f"## {GROUPS[group]}"
            yield ""
        yield from call_section(call)


def overview():
    yield "| calls | |"
    yield "|---|---|"
    for group, title in GROUPS.items():
        names = [f"[{c.name}](#{c.name})" for c in table.calls() if c.number // 10 == group]
        yield f"| {title} | {' '.join(names)} |"
    yield ""


def escaped(text):
    return text.replace("|", "\\|")


def value_text(value):
    return str(value) if value < 1 << 24 and value >= 0 else hex(value)


def type_section(entry):
    yield f"### {entry.kind} {entry.name}"
    yield ""
    if entry.comment:
        yield entry.comment
        yield ""
    if entry.kind == "enum":
        yield "| value | name | |"
        yield "|---|---|---|"
        for m in entry.members:
            yield f"| {value_text(m.value)} | `{m.name}` | {escaped(m.comment)} |"
    else:
        yield "| offset | type | field | |"
        yield "|---|---|---|---|"
        for m in entry.members:
            array = f"[{m.count}]" if m.count else ""
            yield f"| {m.offset} | `{m.type}{array}` | `{m.name}` | {escaped(m.comment)} |"
        yield ""
        yield f"{entry.size} bytes."
    yield ""


def types_section():
    yield "## Types"
    yield ""
    yield "Little-endian, the same for every program. `nebulet_handle` is an i32."
    yield ""
    for name, value, said in table.constants():
        yield f"- `{name}`: {value_text(value)}{f' ({said})' if said else ''}"
    yield ""
    for entry in table.types():
        yield from type_section(entry)


def errors_section():
    yield "## Errors"
    yield ""
    yield "The numbers never change. In C the names begin with `NEBULET_ERR_`."
    yield ""
    yield "| number | name | text |"
    yield "|---|---|---|"
    for number, name, text in table.errors():
        yield f"| {number} | `{name}` | {text} |"
    yield ""
    yield "How a process that trapped has ended, `code` of `struct nebulet_exit`:"
    yield ""
    yield "; ".join(f"{i} {text}" for i, text in enumerate(table.traps(), 1)) + "."
    yield ""


WASI_TYPES = {"LONG": "i64", "PATH": "i32 i32", "BUFFER": "i32 i32", "IOVS": "i32 i32"}


def wasi_section():
    yield "## WASI"
    yield ""
    yield ("From `wasi_snapshot_preview1`, and `wasi_unstable` for older programs, with the signatures and the "
           "meaning of the WASI specification; the result is an errno.")
    yield ""
    yield "| call | signature |"
    yield "|---|---|"
    for name, arguments, returns in table.wasi_calls():
        text = " ".join(WASI_TYPES.get(a.kind, "i32") for a in arguments)
        yield f"| `{name}` | `({text}) -> {'i32' if returns else '()'}` |"


def markdown():
    yield INTRODUCTION
    yield from overview()
    yield from calls_section()
    yield from types_section()
    yield from errors_section()
    yield from wasi_section()
