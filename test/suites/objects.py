# SPDX-License-Identifier: MIT
"""Scripts about structs, arrays, i31 and casts, beyond the official ones: every type of field and
element, casts of deep hierarchies, bounds and sizes, constant expressions, segments, exceptions and
several instances. Debian's wast2json cannot make such modules, so they are put together here, and
spec.py runs them like the others.
"""
import json
import os
import re
import struct

from . import base
from .pressure import signed as s, unsigned as u, vector as vec

TABLE = base.ROOT / "src/wasm/ops.def"
I8, I16, I32, I64, F32, F64, V128 = 0x78, 0x77, 0x7F, 0x7E, 0x7D, 0x7C, 0x7B
FUNC, EXTERN, ANY, EQ, I31, STRUCT, ARRAY, EXN, NONE = 0x70, 0x6F, 0x6E, 0x6D, 0x6C, 0x6B, 0x6A, 0x69, 0x71
END = b"\x0B"


def heap(t):
    """A heap type: a byte of types.def, or ("type", index)."""
    return s(t[1]) if isinstance(t, tuple) else bytes([t])


def ref(t, null=True):
    return bytes([0x63 if null else 0x64]) + heap(t)


def typ(t):
    return t if isinstance(t, bytes) else bytes([t])


def opcodes():
    """By text: the bytes, with the prefix."""
    rows = re.findall(r'^[A-Z]+\((0x\w+), \w+, "([^"]+)"', TABLE.read_text(), re.M)
    for code, text in rows:
        n = int(code, 16)
        shift = 8 if n < 0x10000 else 12
        yield text, bytes([n]) if n < 0x100 else bytes([n >> shift]) + u(n & ((1 << shift) - 1))


OPS = dict(opcodes())


def op(text, *immediates):
    """An instruction; immediates are unsigned numbers, or bytes as they are."""
    return OPS[text] + b"".join(u(x) if isinstance(x, int) else x for x in immediates)


def i32(n):
    return b"\x41" + s(n)


def i64(n):
    return b"\x42" + s(n)


def f32(x):
    return b"\x43" + struct.pack("<f", x)


def f64(x):
    return b"\x44" + struct.pack("<d", x)


def v128(n):
    return b"\xFD\x0C" + n.to_bytes(16, "little")


def get(n):
    return op("local.get", n)


def field(t, mutable=True):
    return typ(t) + bytes([mutable])


def struct_of(*fields):
    return b"\x5F" + vec(fields)


def array_of(f):
    return b"\x5E" + f


def func_of(params, results):
    return b"\x60" + vec([typ(t) for t in params]) + vec([typ(t) for t in results])


def sub(content, *supers, final=False):
    return bytes([0x4F if final else 0x50]) + vec([u(x) for x in supers]) + content


def rec(*types):
    return b"\x4E" + vec(types)


class Module:
    """Types are given as entries of the section; functions make their own behind them."""

    def __init__(self, *types, ntypes=None):
        self.types, self.ntypes = list(types), len(types) if ntypes is None else ntypes
        self.imports, self.funcs, self.exports, self.code = [], [], [], []
        self.globals, self.tables, self.elems, self.datas, self.tags = [], [], [], [], []
        self.nimported = 0

    def type(self, content):
        self.types.append(content)
        self.ntypes += 1
        return self.ntypes - 1

    def imported(self, module, name, params, results):
        self.imports.append(u(len(module)) + module.encode() + u(len(name)) + name.encode() + b"\0"
                            + u(self.type(func_of(params, results))))
        self.nimported += 1
        return self.nimported - 1

    def func(self, name, params, results, *code, locals=()):
        self.funcs.append(u(self.type(func_of(params, results))))
        index = self.nimported + len(self.funcs) - 1
        if name:
            self.exports.append(u(len(name)) + name.encode() + b"\0" + u(index))
        body = vec([u(1) + typ(t) for t in locals]) + b"".join(code) + END
        self.code.append(u(len(body)) + body)
        return index

    def export(self, name, kind, index):
        self.exports.append(u(len(name)) + name.encode() + bytes([kind]) + u(index))

    def bytes(self):
        out = b"\0asm\1\0\0\0"

        def section(number, items, count=None):
            nonlocal out
            if items:
                content = u(len(items) if count is None else count) + b"".join(items)
                out += bytes([number]) + u(len(content)) + content

        section(1, self.types, len(self.types))
        section(2, self.imports)
        section(3, self.funcs)
        section(4, self.tables)
        section(13, self.tags)
        section(6, self.globals)
        section(7, self.exports)
        section(9, self.elems)
        if self.datas:
            out += b"\x0C" + u(len(u(len(self.datas)))) + u(len(self.datas))
        section(10, self.code)
        section(11, self.datas)
        return out


class Script:
    def __init__(self, name):
        self.name, self.commands, self.files = name, [], []

    def add(self, **command):
        self.commands.append({"line": len(self.commands) + 1, **command})

    def module(self, m, kind="module", **more):
        file = f"{self.name}.{len(self.files)}.wasm"
        self.files.append((file, m.bytes()))
        self.add(type=kind, filename=file, **more)

    def call(self, field, *args):
        return {"type": "invoke", "field": field, "args": list(args)}

    def returns(self, field, args, *expected):
        self.add(type="assert_return", action=self.call(field, *args), expected=list(expected))

    def traps(self, field, args, text):
        self.add(type="assert_trap", action=self.call(field, *args), expected=[], text=text)


def value(kind, bits):
    return {"type": kind, "value": str(bits)}


def int32(n):
    return value("i32", n & 0xFFFFFFFF)


def vector(n):
    return {"type": "v128", "lane_type": "i32",
            "value": [str(n >> (32 * i) & 0xFFFFFFFF) for i in range(4)]}


# --- Fields and elements

VECTOR = 0x0123456789ABCDEF_FEDCBA9876543210
# Of a storage type: its bytes, the type on the stack, a constant, what comes out of it, how it is
# read, and what is there by default.
NUMBERS = [
    ("i8 signed", I8, I32, i32(0x1F0), int32(-16), "_s", int32(0)),
    ("i8 unsigned", I8, I32, i32(0x1F0), int32(0xF0), "_u", int32(0)),
    ("i16 signed", I16, I32, i32(0x1F001), int32(-0xFFF), "_s", int32(0)),
    ("i16 unsigned", I16, I32, i32(0x1F001), int32(0xF001), "_u", int32(0)),
    ("i32", I32, I32, i32(-2), int32(-2), "", int32(0)),
    ("i64", I64, I64, i64(-0x123456789AB), value("i64", (1 << 64) - 0x123456789AB), "", value("i64", 0)),
    ("f32", F32, F32, f32(-1.5), value("f32", 0xBFC00000), "", value("f32", 0)),
    ("f64", F64, F64, f64(1e300), value("f64", struct.unpack("<Q", struct.pack("<d", 1e300))[0]), "", value("f64", 0)),
    ("v128", V128, V128, v128(VECTOR), vector(VECTOR), "", vector(0)),
]
NULL = {"type": "refnull"}
# References are told by what kind they are: i31, array 1 of this module, function 0, the host's.
REFERENCES = [
    ("anyref", ref(ANY), op("ref.i31"), {"type": "i31ref"}),
    ("eqref", ref(EQ), None, {"type": "structref"}),
    ("structref", ref(STRUCT), None, {"type": "structref"}),
    ("i31ref", ref(I31), op("ref.i31"), {"type": "i31ref"}),
    ("funcref", ref(FUNC), op("ref.func", 0), {"type": "funcref"}),
    ("externref", ref(EXTERN), op("ref.i31") + op("extern.convert_any"), {"type": "externref"}),
]


def rows():
    """(text, storage type, type, code that makes a value, the value, get's ending, default)."""
    yield from NUMBERS
    for text, t, make, found in REFERENCES:
        code = op("struct.new_default", 0) if make is None else make
        if make is not None and make[:1] == b"\xFB":
            code = i32(77) + make
        yield text, t, t, code, found, "", NULL


def fields():
    """Each between neighbours that must stay what they are; by type."""
    script = Script("fields")
    for text, storage, t, make, found, how, default in rows():
        m = Module(struct_of(field(I8)))
        # 1: the fields, 2: an array
        m.type(struct_of(field(I8), field(storage), field(I8), field(storage, False), field(V128), field(storage)))
        m.type(array_of(field(storage)))
        m.func("referred", [], [])
        fresh = b"".join([i32(0x55), make, i32(0xAA), make, v128(VECTOR), make, op("struct.new", 1)])
        for k in (1, 3, 5):
            m.func(f"new {k}", [], [t], fresh, op(f"struct.get{how}", 1, k))
            m.func(f"default {k}", [], [t], op("struct.new_default", 1), op(f"struct.get{how}", 1, k))
        m.func("neighbours", [], [I32, I32, V128], op("struct.new_default", 1), op("local.tee", 0), make,
               op("struct.set", 1, 1), get(0), make, op("struct.set", 1, 5), get(0),
               op("struct.get_u", 1, 0), get(0), op("struct.get_s", 1, 2), get(0),
               op("struct.get", 1, 4), locals=[ref(("type", 1))])
        m.func("set", [], [t], op("struct.new_default", 1), op("local.tee", 0), make,
               op("struct.set", 1, 1), get(0), op(f"struct.get{how}", 1, 1), locals=[ref(("type", 1))])
        m.func("null get", [], [t], op("ref.null", heap(("type", 1))), op(f"struct.get{how}", 1, 5))
        m.func("null set", [], [], op("ref.null", heap(("type", 1))), make, op("struct.set", 1, 5))
        a = ref(("type", 2))
        keep = [a, a]
        read = op(f"array.get{how}", 2)
        m.func("array new", [I32, I32], [t], make, get(0), op("array.new", 2), get(1), read)
        m.func("array default", [I32, I32], [t], get(0), op("array.new_default", 2), get(1), read)
        m.func("array fixed", [I32], [t], *[make] * 40, op("array.new_fixed", 2, 40), get(0), read)
        m.func("array none", [], [I32], op("array.new_fixed", 2, 0), op("array.len"))
        m.func("array set", [I32, I32], [t], get(0), op("array.new_default", 2), op("local.tee", 2), get(1),
               make, op("array.set", 2), get(2), get(1), read, locals=keep)
        m.func("array beside", [I32, I32], [t], get(0), op("array.new_default", 2), op("local.tee", 2), get(1),
               make, op("array.set", 2), get(2), get(1), i32(1), op("i32.add"), read, locals=keep)
        m.func("fill", [I32, I32, I32], [t], i32(1000), op("array.new_default", 2), op("local.tee", 3), get(0),
               make, get(1), op("array.fill", 2), get(3), get(2), read, locals=keep)
        # From the one filled at the first 10 places to another, and within.
        m.func("copy", [I32, I32, I32, I32], [t], i32(1000), op("array.new_default", 2), op("local.tee", 4),
               i32(0), make, i32(10), op("array.fill", 2), i32(1000), op("array.new_default", 2),
               op("local.tee", 5), get(0), get(4), get(1), get(2), op("array.copy", 2, 2), get(5), get(3), read, locals=keep)
        m.func("move", [I32, I32, I32, I32], [t], i32(1000), op("array.new_default", 2), op("local.tee", 4),
               i32(0), make, i32(10), op("array.fill", 2), get(4), get(0), get(4), get(1), get(2),
               op("array.copy", 2, 2), get(4), get(3), read, locals=keep)
        m.func("array null", [I32], [t], op("ref.null", heap(NONE)), get(0), read)
        m.func("null fill", [], [], op("ref.null", heap(("type", 2))), i32(0), make, i32(0), op("array.fill", 2))
        m.func("constant index", [], [t], *[make] * 3, op("array.new_fixed", 2, 3), i32(2), read)
        m.func("constant beyond", [], [t], *[make] * 3, op("array.new_fixed", 2, 3), i32(3), read)
        script.module(m)
        for k in (1, 3, 5):
            script.returns(f"new {k}", [], found)
            script.returns(f"default {k}", [], default)
        script.returns("neighbours", [], int32(0), int32(0), vector(0))
        script.returns("set", [], found)
        script.traps("null get", [], "null structure reference")
        script.traps("null set", [], "null structure reference")
        for n, k in ((1, 0), (7, 6), (100000, 99999)):
            script.returns("array new", [int32(n), int32(k)], found)
            script.returns("array default", [int32(n), int32(k)], default)
            script.returns("array set", [int32(n), int32(k)], found)
            for name in ("array new", "array default", "array set"):
                for beyond in (n, n + 1, -1, 1 << 31):
                    script.traps(name, [int32(n), int32(beyond)], "out of bounds array access")
        script.returns("array beside", [int32(9), int32(7)], default)
        for k in (0, 39):
            script.returns("array fixed", [int32(k)], found)
        script.traps("array fixed", [int32(40)], "out of bounds array access")
        script.returns("array none", [], int32(0))
        for at, n, k, there in ((0, 1000, 999, 1), (0, 0, 0, 0), (1000, 0, 0, 0), (10, 5, 9, 0), (10, 5, 10, 1), (10, 5, 14, 1), (10, 5, 15, 0)):
            script.returns("fill", [int32(at), int32(n), int32(k)], found if there else default)
        for at, n in ((1001, 0), (1000, 1), (-1, 1), (1, -1), (-1, -1), (1 << 31, 1 << 31)):
            script.traps("fill", [int32(at), int32(n), int32(0)], "out of bounds array access")
            script.traps("copy", [int32(at), int32(0), int32(n), int32(0)], "out of bounds array access")
            script.traps("copy", [int32(0), int32(at), int32(n), int32(0)], "out of bounds array access")
        for to, start, n, k, there in ((5, 0, 10, 4, 0), (5, 0, 10, 5, 1), (5, 0, 10, 14, 1), (5, 0, 10, 15, 0), (0, 8, 4, 1, 1), (0, 8, 4, 2, 0)):
            script.returns("copy", [int32(to), int32(start), int32(n), int32(k)], found if there else default)
        for to, start, n, k, there in ((5, 0, 10, 14, 1), (5, 0, 10, 15, 0), (0, 5, 10, 4, 1), (0, 5, 10, 5, 0), (0, 5, 10, 9, 0)):
            script.returns("move", [int32(to), int32(start), int32(n), int32(k)], found if there else default)
        script.traps("array null", [int32(0)], "null array reference")
        script.traps("null fill", [], "null array reference")
        script.returns("constant index", [], found)
        script.traps("constant beyond", [], "out of bounds array access")
    return script


def sizes():
    """Lengths whose bytes are more than there can be, or than 32 bits hold."""
    script = Script("sizes")
    steps = {1: I8, 2: I16, 4: I32, 8: I64, 16: V128}
    m = Module(*[array_of(field(t)) for t in steps.values()])
    for i, step in enumerate(steps):
        m.func(f"new {step}", [I32], [I32], get(0), op("array.new_default", i), op("array.len"))
    script.module(m)
    for step in steps:
        script.returns(f"new {step}", [int32(100000)], int32(100000))
        for n in (0xFFFFFFFF, (1 << 32) // step - 1, ((1 << 32) - 8) // step, 0x80000000 if step > 1 else 0xFFFFFFF0):
            script.traps(f"new {step}", [int32(n)], "no memory for an object")
        script.returns(f"new {step}", [int32(5)], int32(5))
    return script


# --- Casts

DEPTH = 12


def casts():
    """Two chains of types below one root, each final at its end; every pair."""
    script = Script("casts")
    content = struct_of(field(I32))
    types = [sub(content)]
    for _ in range(2):
        for d in range(1, DEPTH):
            above = len(types) - 1 if d > 1 else 0
            types.append(sub(content, above, final=d == DEPTH - 1))
    m = Module(rec(*types), ntypes=len(types))
    n = len(types)
    supers = [{0}]
    for t in range(1, n):
        above = t - 1 if t not in (1, DEPTH) else 0
        supers.append(supers[above] | {t})
    cases = [("i31", i32(5) + op("ref.i31"))] + [(str(t), i32(t) + op("struct.new", t)) for t in range(n)]
    cases.append(("null", op("ref.null", heap(NONE))))
    m.func("make", [I32], [ref(ANY)], *[get(0) + i32(k) + op("i32.eq") + op("if", b"\x40") + code + op("return") + END
                                        for k, (_, code) in enumerate(cases)], op("ref.null", heap(NONE)))
    for t in range(n):
        h = heap(("type", t))
        for null in ("", " null"):
            m.func(f"test {t}{null}", [I32], [I32], get(0), op("call", 0), op(f"ref.test{null}", h))
            m.func(f"cast {t}{null}", [I32], [I32], get(0), op("call", 0), op(f"ref.cast{null}", h), op("ref.is_null"))
            flags = bytes([3 if null else 1])
            target = ref(("type", t), null != "")
            m.func(f"branch {t}{null}", [I32], [I32], op("block", target), get(0), op("call", 0),
                   op("br_on_cast", flags, 0, heap(ANY), h), op("drop"), i32(0), op("return"), END, op("drop"), i32(1))
            rest = ref(ANY, null == "")
            m.func(f"fail {t}{null}", [I32], [I32], op("block", rest), get(0), op("call", 0),
                   op("br_on_cast_fail", flags, 0, heap(ANY), h), op("drop"), i32(1), op("return"), END, op("drop"), i32(0))
            # The source is known to be a struct.
            m.func(f"struct {t}{null}", [I32], [I32], op("block", target), get(0), op("call", 0),
                   op("ref.cast null", heap(STRUCT)), op("br_on_cast", flags, 0, heap(STRUCT), h), op("drop"), i32(0),
                   op("return"), END, op("drop"), i32(1))
    script.module(m)
    for t in range(n):
        for null in ("", " null"):
            for k, (name, _) in enumerate(cases):
                is_null = name == "null"
                fits = is_null and null != "" or name.isdigit() and t in supers[int(name)]
                args = [int32(k)]
                script.returns(f"test {t}{null}", args, int32(fits))
                script.returns(f"branch {t}{null}", args, int32(fits))
                script.returns(f"fail {t}{null}", args, int32(fits))
                if name != "i31":
                    script.returns(f"struct {t}{null}", args, int32(fits))
                else:
                    script.traps(f"struct {t}{null}", args, "cast failure")
                if fits:
                    script.returns(f"cast {t}{null}", args, int32(is_null))
                else:
                    script.traps(f"cast {t}{null}", args, "cast failure")
    return script


def kinds():
    """Casts to what is no type of the module, of everything; of what comes from the host, too."""
    script = Script("kinds")
    m = Module(struct_of(), array_of(field(I8)), func_of([], []))
    m.func("f", [], [])
    things = ["null", "i31", "struct", "array", "host"]
    m.func("make", [I32, ref(EXTERN)], [ref(ANY)],
           *[get(0) + i32(k) + op("i32.eq") + op("if", b"\x40") + code + op("return") + END for k, code in enumerate([
               op("ref.null", heap(ANY)), i32(-1) + op("ref.i31"), op("struct.new_default", 0),
               i32(3) + op("array.new_default", 1), get(1) + op("any.convert_extern")])], op("ref.null", heap(ANY)))
    is_a = {ANY: "i31 struct array host", EQ: "i31 struct array", I31: "i31", STRUCT: "struct", ARRAY: "array", NONE: ""}
    for kind, who in is_a.items():
        for null in ("", " null"):
            m.func(f"test {kind}{null}", [I32, ref(EXTERN)], [I32], get(0), get(1), op("call", 1), op(f"ref.test{null}", heap(kind)))
            m.func(f"cast {kind}{null}", [I32, ref(EXTERN)], [ref(ANY)], get(0), get(1), op("call", 1), op(f"ref.cast{null}", heap(kind)))
            m.func(f"branch {kind}{null}", [I32, ref(EXTERN)], [I32], op("block", ref(kind, null != "")), get(0), get(1), op("call", 1),
                   op("br_on_cast", bytes([3 if null else 1]), 0, heap(ANY), heap(kind)), op("drop"), i32(0), op("return"), END, op("drop"), i32(1))
    for kind, result in ((FUNC, 1), (("type", 2), 0), (0x73, 0)):  # 0x73: nofunc
        m.func(f"func {kind}", [], [I32], op("ref.func", 0), op("ref.test", heap(kind)))
        m.func(f"null func {kind}", [], [I32], op("ref.null", heap(FUNC)), op("ref.test null", heap(kind)))
    m.func("own func", [], [I32], op("ref.func", 0), op("ref.cast", heap(("type", 3))), op("ref.is_null"))
    m.func("wrong func", [I32], [I32], op("ref.func", 1), op("ref.cast", heap(("type", 2))), op("ref.is_null"))
    m.func("there and back", [ref(EXTERN)], [ref(EXTERN)], get(0), op("any.convert_extern"), op("extern.convert_any"))
    m.func("i31 outside", [], [I32], i32(-9), op("ref.i31"), op("extern.convert_any"), op("any.convert_extern"),
           op("ref.cast", heap(I31)), op("i31.get_s"))
    script.module(m)
    host = value("externref", 41)
    for kind, who in is_a.items():
        for null in ("", " null"):
            for k, name in enumerate(things):
                fits = name in who.split() or (name == "null" and null != "")
                script.returns(f"test {kind}{null}", [int32(k), host], int32(fits))
                script.returns(f"branch {kind}{null}", [int32(k), host], int32(fits))
                expect = {"null": NULL, "host": value("anyref", 41)}.get(name, {"type": f"{name}ref"})
                if fits:
                    script.returns(f"cast {kind}{null}", [int32(k), host], expect)
                else:
                    script.traps(f"cast {kind}{null}", [int32(k), host], "cast failure")
    for kind, result in ((FUNC, 1), (("type", 2), 1), (0x73, 0)):
        script.returns(f"func {kind}", [], int32(result))
        script.returns(f"null func {kind}", [], int32(1))
    script.returns("own func", [], int32(0))
    script.traps("wrong func", [int32(0)], "cast failure")
    for n in (0, 1, (1 << 30) - 1):
        script.returns("there and back", [value("externref", n)], value("externref", n))
    script.returns("there and back", [{"type": "externref", "value": "null"}], NULL)
    script.returns("i31 outside", [], int32(-9))
    return script


# --- Where references are

def constants():
    """Constant expressions: nested, deep, wide; in globals, tables and segments."""
    script = Script("constants")
    pair = ref(("type", 0))
    m = Module(struct_of(field(I32), field(ref(ANY)), field(V128), field(F64)), array_of(field(I16)), array_of(field(ref(ANY))))

    def make(n, inner):
        return i32(n) + inner + v128(VECTOR) + f64(2.5) + op("struct.new", 0)

    nested = op("ref.null", heap(NONE))
    for n in range(200):
        nested = make(n, nested)
    one = typ(ref(("type", 0), False)) + b"\0"
    m.globals = [
        one + nested + END,
        typ(ref(("type", 1), False)) + b"\0" + b"".join(i32(n) for n in range(5000)) + op("array.new_fixed", 1, 5000) + END,
        ref(("type", 2), False) + b"\0" + op("global.get", 0) + i32(3) + op("array.new", 2) + END,
        ref(ANY) + b"\1" + i32(2) + i32(4) + op("i32.mul") + op("ref.i31") + op("extern.convert_any") + op("any.convert_extern") + END,
        one + op("struct.new_default", 0) + END,
        ref(("type", 1), False) + b"\0" + i32(300) + op("array.new_default", 1) + END,
    ]
    m.tables = [b"\x40\0" + ref(ANY) + b"\0" + u(4) + make(6, op("ref.null", heap(NONE))) + END, ref(EQ) + b"\0" + u(5)]
    m.elems = [
        # active, for table 1
        u(6) + u(1) + i32(1) + END + ref(EQ) + vec([make(7, op("ref.null", heap(NONE))) + END, i32(9) + op("ref.i31") + END, op("ref.null", heap(NONE)) + END]),
        # passive
        u(5) + ref(ANY) + vec([op("struct.new_default", 0) + END, op("global.get", 0) + END, i32(11) + op("ref.i31") + END]),
    ]
    m.datas = [u(1) + u(8) + b"\1\2\3\4\5\6\7\x88"]
    m.func("depth", [], [I32], op("global.get", 0), op("local.set", 0), op("loop", b"\x40"), get(1), i32(1), op("i32.add"), op("local.set", 1),
           op("block", b"\x40"), get(0), op("struct.get", 0, 1), op("ref.cast null", heap(("type", 0))), op("local.tee", 0),
           op("br_on_null", 0), op("drop"), op("br", 1), END, END, get(1), locals=[pair, I32])
    m.func("first", [], [I32, V128, F64], op("global.get", 0), op("struct.get", 0, 0), op("global.get", 0), op("struct.get", 0, 2),
           op("global.get", 0), op("struct.get", 0, 3))
    m.func("long", [I32], [I32], op("global.get", 1), get(0), op("array.get_u", 1))
    m.func("same", [], [I32], op("global.get", 2), i32(2), op("array.get", 2), op("ref.cast", heap(EQ)), op("global.get", 0), op("ref.eq"))
    m.func("i31", [], [I32], op("global.get", 3), op("ref.cast", heap(I31)), op("i31.get_u"))
    m.func("default", [], [I32], op("global.get", 5), op("array.len"), op("global.get", 4), op("struct.get", 0, 0), op("i32.add"))
    m.func("table", [I32], [I32], get(0), op("table.get", 0), op("ref.cast", heap(EQ)), i32(0), op("table.get", 0),
           op("ref.cast", heap(EQ)), op("ref.eq"))
    m.func("element", [I32], [ref(EQ)], get(0), op("table.get", 1))
    # What a segment has is made once.
    m.func("once", [], [I32], i32(0), i32(3), op("array.new_elem", 2, 1), i32(0), op("array.get", 2), op("ref.cast", heap(EQ)),
           i32(0), i32(2), op("array.new_elem", 2, 1), i32(0), op("array.get", 2), op("ref.cast", heap(EQ)), op("ref.eq"))
    m.func("segment", [I32, I32, I32], [ref(ANY)], get(0), get(1), op("array.new_elem", 2, 1), get(2), op("array.get", 2))
    m.func("init", [I32, I32, I32, I32], [ref(ANY)], i32(4), op("array.new_default", 2), op("local.tee", 4), get(0), get(1), get(2),
           op("array.init_elem", 2, 1), get(4), get(3), op("array.get", 2), locals=[ref(("type", 2))])
    m.func("data", [I32, I32, I32], [I32], get(0), get(1), op("array.new_data", 1, 0), get(2), op("array.get_s", 1))
    m.func("init data", [I32, I32, I32, I32], [I32], i32(4), op("array.new_default", 1), op("local.tee", 4), get(0), get(1), get(2),
           op("array.init_data", 1, 0), get(4), get(3), op("array.get_u", 1), locals=[ref(("type", 1))])
    m.func("drop", [], [], op("elem.drop", 1), op("data.drop", 0))
    script.module(m)
    script.returns("depth", [], int32(200))
    script.returns("first", [], int32(199), vector(VECTOR), value("f64", 0x4004000000000000))
    script.returns("long", [int32(4999)], int32(4999))
    script.returns("same", [], int32(1))
    script.returns("i31", [], int32(8))
    script.returns("default", [], int32(300))
    script.returns("table", [int32(3)], int32(1))
    for k, expected in ((0, NULL), (1, {"type": "structref"}), (2, {"type": "i31ref"}), (3, NULL), (4, NULL)):
        script.returns("element", [int32(k)], expected)
    for _ in range(2):
        script.returns("once", [], int32(1))
    script.returns("segment", [int32(1), int32(2), int32(1)], {"type": "i31ref"})
    script.returns("segment", [int32(0), int32(2), int32(1)], {"type": "structref"})
    script.returns("init", [int32(1), int32(2), int32(1), int32(1)], {"type": "i31ref"})
    script.returns("init", [int32(1), int32(2), int32(1), int32(2)], NULL)
    for args in ((0, 4), (3, 1), (-1, 1), (1, -1)):
        script.traps("segment", [int32(x) for x in args] + [int32(0)], "out of bounds table access")
    for args, text in (((3, 0, 2, 0), "array"), ((5, 0, 0, 0), "array"), ((0, 2, 2, 0), "table"), ((0, 4, 0, 0), "table")):
        script.traps("init", [int32(x) for x in args], f"out of bounds {text} access")
    script.returns("data", [int32(6), int32(1), int32(0)], int32(-0x77F9))
    script.returns("data", [int32(1), int32(3), int32(1)], int32(0x504))
    script.returns("init data", [int32(2), int32(4), int32(2), int32(3)], int32(0x8807))
    for args in ((8, 1), (7, 1), (0, 5), (9, 0), (-1, 1), (0, 0x80000001)):
        script.traps("data", [int32(x) for x in args] + [int32(0)], "out of bounds memory access")
    for args, text in (((3, 0, 2, 0), "array"), ((0, 6, 2, 0), "memory"), ((0, 9, 0, 0), "memory"), ((1, 0, -1, 0), "array")):
        script.traps("init data", [int32(x) for x in args], f"out of bounds {text} access")
    script.add(type="action", action=script.call("drop"), expected=[])
    script.traps("segment", [int32(0), int32(1), int32(0)], "out of bounds table access")
    script.traps("data", [int32(0), int32(1), int32(0)], "out of bounds memory access")
    script.traps("segment", [int32(0), int32(0), int32(0)], "out of bounds array access")
    return script


def live():
    """References in every place that the collector looks at, while much is made and dropped."""
    script = Script("live")
    cell, cells = ("type", 0), ("type", 1)
    m = Module(struct_of(field(I32), field(ref(ANY))), array_of(field(ref(("type", 0)))), array_of(field(I64)))
    tag = m.type(func_of([ref(cell)], []))
    m.tags = [b"\0" + u(tag)]
    m.globals = [ref(cell) + b"\1" + op("ref.null", heap(NONE)) + END]
    m.tables = [ref(ANY) + b"\0" + u(10)]

    def new(n):
        return n + op("ref.null", heap(NONE)) + op("struct.new", 0)

    # 0: 6 MB of garbage
    m.func("litter", [], [], op("loop", b"\x40"), i32(7), op("array.new_default", 2), op("drop"), get(0), i32(1), op("i32.add"),
           op("local.tee", 0), i32(100000), op("i32.lt_u"), op("br_if", 0), END, locals=[I32])
    m.func("local", [I32], [I32], new(get(0)), op("local.set", 1), op("call", 0), get(1), op("struct.get", 0, 0), locals=[ref(cell)])
    m.func("operand", [I32], [I32], new(get(0)), op("call", 0), op("struct.get", 0, 0))
    m.func("global", [I32], [I32], new(get(0)), op("global.set", 0), op("call", 0), op("global.get", 0), op("struct.get", 0, 0))
    m.func("table", [I32], [I32], i32(3), new(get(0)), op("table.set", 0), op("call", 0), i32(3), op("table.get", 0),
           op("ref.cast", heap(cell)), op("struct.get", 0, 0))
    m.func("field", [I32], [I32], i32(1), new(get(0)), op("struct.new", 0), op("call", 0), op("struct.get", 0, 1),
           op("ref.cast", heap(cell)), op("struct.get", 0, 0))
    m.func("element", [I32], [I32], new(get(0)), i32(50), op("array.new", 1), op("call", 0), i32(49), op("array.get", 1), op("struct.get", 0, 0))
    m.func("fixed", [I32], [I32], new(get(0)), new(get(0)), op("array.new_fixed", 1, 2), op("call", 0), i32(1), op("array.get", 1), op("struct.get", 0, 0))
    m.func("exception", [I32], [I32], op("block", ref(cell)), op("try_table", b"\x40", b"\1\0" + u(0) + u(0)), new(get(0)), op("throw", 0), END,
           op("unreachable"), END, op("call", 0), op("struct.get", 0, 0))
    m.func("thrown", [I32], [I32], op("block", ref(EXN, False)), op("try_table", b"\x40", b"\1\3" + u(0)), new(get(0)), op("throw", 0), END,
           op("unreachable"), END, op("call", 0), op("local.set", 1), op("block", ref(cell)), op("try_table", b"\x40", b"\1\0" + u(0) + u(0)),
           get(1), op("throw_ref"), END, op("unreachable"), END, op("struct.get", 0, 0), locals=[ref(EXN)])
    # A list that only its end is known of, longer than any stack of marks.
    m.func("list", [I32], [I32], op("loop", b"\x40"), get(2), get(1), op("struct.new", 0), op("local.set", 1), get(2), i32(1), op("i32.add"),
           op("local.tee", 2), get(0), op("i32.lt_u"), op("br_if", 0), END, op("call", 0), i32(0), op("local.set", 2),
           op("loop", b"\x40"), get(2), get(1), op("struct.get", 0, 0), op("i32.add"), op("local.set", 2), get(1), op("struct.get", 0, 1),
           op("ref.cast null", heap(cell)), op("local.tee", 1), op("ref.is_null"), op("i32.eqz"), op("br_if", 0), END, get(2), locals=[ref(cell), I32])
    script.module(m)
    for name in ("local", "operand", "global", "table", "field", "element", "fixed", "exception", "thrown"):
        script.returns(name, [int32(12345)], int32(12345))
    script.returns("list", [int32(50000)], int32(50000 * 49999 // 2))
    return script


def instances():
    """Types are equal beyond modules; and a module without any gets what others have made."""
    script = Script("instances")
    a = Module(struct_of(field(I32)), array_of(field(I8)), sub(struct_of(field(I64))))
    a.func("struct", [I32], [ref(ANY)], get(0), op("struct.new", 0))
    a.func("array", [I32], [ref(ARRAY)], get(0), op("array.new_default", 1))
    a.func("none", [], [ref(ARRAY)], op("ref.null", heap(ARRAY)))
    b = Module(array_of(field(I16)), struct_of(field(I32)), struct_of(field(I32, False)))
    make = b.imported("a", "struct", [I32], [ref(ANY)])
    b.func("same", [I32], [I32], get(0), op("call", make), op("ref.cast", heap(("type", 1))), op("struct.get", 1, 0))
    b.func("other", [I32], [I32], get(0), op("call", make), op("ref.test", heap(("type", 2))))
    c = Module()
    make = c.imported("a", "array", [I32], [ref(ARRAY)])
    none = c.imported("a", "none", [], [ref(ARRAY)])
    c.func("length", [I32], [I32], get(0), op("call", make), op("array.len"))
    c.func("none", [], [I32], op("call", none), op("array.len"))
    early = Module()
    early.func("length", [ref(ARRAY)], [I32], get(0), op("array.len"))
    late = Module(array_of(field(F64)))
    length = late.imported("early", "length", [ref(ARRAY)], [I32])
    late.func("through", [I32], [I32], get(0), op("array.new_default", 0), op("call", length))
    script.module(early)
    script.add(type="register", **{"as": "early"})
    script.module(late)
    script.returns("through", [int32(33)], int32(33))
    script.module(a)
    script.add(type="register", **{"as": "a"})
    script.module(b)
    script.returns("same", [int32(-5)], int32(-5))
    script.returns("other", [int32(-5)], int32(0))
    script.module(c)
    script.returns("length", [int32(1000)], int32(1000))
    script.traps("none", [], "null array reference")
    return script


GROUP = 10000


def one_of(t, first):
    return sub(struct_of(field(I32), field(ref(("type", (t * 7 + 1) % GROUP + first))), *[field(I8)] * (t % 3)))


def groups():
    """A group of very many types, as compilers make them, in two modules."""
    script = Script("groups")
    for name in ("one", "two"):
        m = Module(*([array_of(field(I32))] if name == "two" else []), rec(*[one_of(t, name == "two") for t in range(GROUP)]),
                   ntypes=GROUP + (name == "two"))
        first = int(name == "two")
        if name == "two":
            make = m.imported("one", "make", [I32], [ref(ANY)])
        else:
            m.func("make", [I32], [ref(ANY)], get(0), op("struct.new_default", first + GROUP - 1), op("local.tee", 1), get(0), op("struct.set", first + GROUP - 1, 0),
                   op("drop"), get(1), locals=[ref(("type", first + GROUP - 1))])
            make = 0
        m.func("is", [I32], [I32], get(0), op("call", make), op("ref.cast", heap(("type", first + GROUP - 1))), op("struct.get", first + GROUP - 1, 0))
        m.func("is not", [I32], [I32], get(0), op("call", make), op("ref.test", heap(("type", first + GROUP - 4))))
        script.module(m)
        script.returns("is", [int32(7)], int32(7))
        script.returns("is not", [int32(7)], int32(0))
        if name == "one":
            script.add(type="register", **{"as": "one"})
    return script


def flags():
    """A reference comes to where another value was, of which the flags say that it is not zero."""
    script = Script("flags")
    m = Module(struct_of(field(I32), field(I32)))
    null = op("ref.null", heap(("type", 0)))
    read = m.func(None, [ref(("type", 0)), I64], [I32], get(0), get(1), i64(0x1234), op("i64.and"), op("drop"), null,
                  op("local.set", 0), op("struct.get", 0, 1), get(1), op("drop"))
    m.func("null", [I64], [I32], null, get(0), op("call", read))
    m.func("other", [I64], [I32], i32(7), i32(8), op("struct.new", 0), get(0), op("call", read))
    script.module(m)
    for n in (0, 4):
        script.traps("null", [value("i64", n)], "null structure reference")
        script.returns("other", [value("i64", n)], int32(8))
    return script


def tails():
    """A tail call through a table, of a type that may have subtypes, calls the runtime: what is in registers elsewhere
    in the function must be there still."""
    script = Script("tails")
    m = Module(sub(func_of([], [I32])))
    m.tables.append(typ(FUNC) + b"\0" + u(1))
    hot = [get(1), i32(3), op("i32.mul"), op("local.set", 2)] * 4
    leave = [get(0), op("if", b"\x40"), i32(0), op("return_call_indirect", 0, 0), END]
    m.func("stays", [I32, I32], [I32], *hot, *leave, get(2), get(2), op("i32.add"), locals=[I32])
    script.module(m)
    script.returns("stays", [int32(0), int32(5)], int32(30))
    script.traps("stays", [int32(1), int32(5)], "uninitialized element")
    return script


def rethrows():
    """A frame that is large by nothing but the references that are kept to be thrown again, one after the other."""
    script = Script("rethrows")
    m = Module()
    m.tags.append(b"\0" + u(m.type(func_of([], []))))
    again = op("try", b"\x40"), get(0), op("if", b"\x40"), op("throw", 0), END, op("catch_all"), op("rethrow", 0), END
    many = m.func(None, [I32], [I32], *again * 5000, i32(7))
    m.func("none", [], [I32], i32(0), op("call", many))
    m.func("one", [], [I32], op("try", typ(I32)), i32(1), op("call", many), op("catch", 0), i32(8), END)
    script.module(m)
    script.returns("none", [], int32(7))
    script.returns("one", [], int32(8))
    return script


SCRIPTS = [fields, sizes, casts, kinds, constants, live, instances, groups, flags, tails, rethrows]


def write(folder):
    """Makes all of them there, if they are not; (name, JSON file) of each."""
    for make in SCRIPTS:
        file = folder / f"objects-{make.__name__}.json"
        if not file.exists() or file.stat().st_mtime < max(os.stat(path).st_mtime for path in (__file__, TABLE)):
            script = make()
            for name, content in script.files:
                (folder / name).write_bytes(content)
            file.write_text(json.dumps({"source_filename": f"{make.__name__} of objects.py", "commands": script.commands}))
        yield f"own/{file.stem}", file
