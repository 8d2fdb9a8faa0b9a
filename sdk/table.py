# SPDX-License-Identifier: MIT
"""The platform's tables, read for those who write something else from them: sdk/bindings.

The C preprocessor reads the .def files, as it does for the platform itself, and makes Python literals
of their rows; nothing is said here that a row says. The header of types is C that keeps to a few
forms (enum, struct of integers and arrays, #define of a number), with comments after the members.
"""
import ast
import dataclasses
import pathlib
import re
import subprocess
import tempfile

ROOT = pathlib.Path(__file__).resolve().parents[1]
SOURCE = ROOT / "src"
ARGUMENTS = ["OBJECT", "ANY", "HANDLE", "NUM", "LONG", "DEADLINE", "IN", "BUFFER", "LIST", "OUT",
             "MAYBE", "WORD"]
WASI_ARGUMENTS = ["FD", "NUM", "LONG", "FLAGS", "PATH", "BUFFER", "IOVS", "OUT", "ADDR"]


@dataclasses.dataclass
class Argument:
    kind: str
    name: str
    type: str = ""    # of OBJECT, LIST, OUT, MAYBE
    rights: str = ""  # of OBJECT, ANY


@dataclasses.dataclass
class Call:
    number: int
    name: str
    waits: bool
    privilege: str  # "" when it is free
    arguments: list
    errors: list
    doc: str
    returns: bool = True


@dataclasses.dataclass
class Member:
    """Of an enum (type is "", value set) or a struct (offset, and count of an array or 0)."""
    name: str
    comment: str
    value: int = 0
    type: str = ""
    offset: int = 0
    count: int = 0


@dataclasses.dataclass
class Type:
    kind: str  # enum or struct
    name: str
    comment: str
    members: list
    size: int = 0


def expand(text):
    """The rows of a text for the preprocessor, which makes each a Python literal and a comma."""
    with tempfile.NamedTemporaryFile("w", suffix=".h") as file:
        file.write(text)
        file.flush()
        done = subprocess.run(["clang-22", "-E", "-P", f"-I{SOURCE}", file.name],
                              capture_output=True, text=True, check=True)
    return ast.literal_eval(f"[{done.stdout}]")


def argument_macros(kinds):
    """Macros that make of each argument a tuple of strings: its kind, and all that the row says."""
    return "".join(f"#define {k}(...) ({k!r}, #__VA_ARGS__),\n".replace("'", '"') for k in kinds)


def argument(kind, said):
    words = [w.strip() for w in said.split(",")]
    if kind == "OBJECT":
        return Argument(kind, words[0], words[1], words[2])
    if kind == "ANY":
        return Argument(kind, words[0], rights=words[1])
    return Argument(kind, words[0], *words[1:])


def calls():
    rows = expand(argument_macros(ARGUMENTS) + """
#define E(error) #error,
#define CALL(number, name, waits, privilege, args, errors, doc) \\
    (number, #name, #waits, #privilege, [args], [errors], doc, True),
#define NORETURN(number, name, args, doc) (number, #name, "PLAIN", "FREE", [args], [], doc, False),
#include "abi/nebulet.def"
""")
    return [Call(number, name, waits not in ("PLAIN", "SLOW"), "" if privilege == "FREE" else privilege,
                 [argument(*a) for a in args], errors, doc, returns)
            for number, name, waits, privilege, args, errors, doc, returns in rows]


def wasi_calls():
    """(name, arguments, whether it returns) of each."""
    rows = expand(argument_macros(WASI_ARGUMENTS) + """
#define CALL(name, versions, args) (#name, [args], True),
#define NORETURN(name, args) (#name, [args], False),
#include "abi/wasi.def"
""")
    return [(name, [argument(*a) for a in args], returns) for name, args, returns in rows]


def errors():
    """(number, name, text) of those that a call may return."""
    rows = expand('#define ERROR(number, name, text) (number, #name, text),\n'
                  '#include "base/errors.def"\n')
    return [row for row in rows if row[0] > -64]


def traps():
    """Texts, from number 1."""
    return expand('#define TRAP(name, text) text,\n#include "wasm/traps.def"\n')


# --- The header of types.
SIZES = {"uint64_t": 8, "uint32_t": 4, "nebulet_handle": 4, "char": 1}
TYPE = re.compile(r"((?://[^\n]*\n)*)(enum|struct) (\w+) \{(.*?)\};", re.S)
DEFINE = re.compile(r"#define (NEBULET_\w+) ([^/\\\n]+?) *(?://(.*))?$", re.M)
NUMBERS = {"UINT32_MAX": 2**32 - 1, "UINT64_MAX": 2**64 - 1}


def comment_text(lines):
    return " ".join(line.strip().lstrip("/").strip() for line in lines.splitlines()).strip()


def number_of(text, before):
    """The value of an enumerator's or a macro's text."""
    text = re.sub(r"UINT64_C\((\w+)\)|\(int\)", lambda m: m[1] or "", text.strip())
    if not text:
        return before + 1
    if text in NUMBERS:
        return NUMBERS[text]
    shifted = re.fullmatch(r"1u? << (\d+)", text)
    return 1 << int(shifted[1]) if shifted else int(text, 0)


def enum_members(body):
    value = -1
    for found in re.finditer(r"(NEBULET_\w+)(?: = ([^,/\n]+))?(?:,| *$)[ ]*(?://(.*))?", body, re.M):
        value = number_of(found[2] or "", value)
        yield Member(found[1], (found[3] or "").strip(), value)


def struct_members(body):
    offset = 0
    for found in re.finditer(r"(\w+) ([\w, \[\]]+);[ ]*(?://(.*))?", body):
        for name in found[2].split(","):
            name, _, count = name.strip().partition("[")
            size = SIZES[found[1]]
            offset = -(-offset // size) * size
            many = int(count[:-1]) if count else 0
            yield Member(name, (found[3] or "").strip(), type=found[1], offset=offset, count=many)
            offset += size * (many or 1)


def types():
    text = (SOURCE / "abi/nebulet_types.h").read_text()
    found = []
    for above, kind, name, body in TYPE.findall(text):
        members = list((enum_members if kind == "enum" else struct_members)(body))
        entry = Type(kind, name, comment_text(above), members)
        stated = re.search(rf"sizeof\(struct {name}\) == (\d+)", text)
        entry.size = int(stated[1]) if kind == "struct" and stated else 0
        found.append(entry)
    return found


def constants():
    """(name, value, comment) of each #define."""
    text = (SOURCE / "abi/nebulet_types.h").read_text()
    return [(name, number_of(value, 0), (said or "").strip())
            for name, value, said in DEFINE.findall(text)]
