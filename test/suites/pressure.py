# SPDX-License-Identifier: MIT
"""Every row of src/wasm/ops.def that computes, loads or stores, where no register is free.

A function of each row and form, in a loop in which more locals of all types are used than there are
registers: those that an instruction needs for itself, it has to find. The operands are locals in
registers, the same local, the local that the result goes to, values above others on the stack,
constants, or locals in memory, one of them several times. The differ (test/fuzz/differ.c) runs the functions on all engines, which must agree.
"""
import itertools
import re

from . import base

TABLE = base.ROOT / "src/wasm/ops.def"
TYPES = {"i": 0x7F, "l": 0x7E, "f": 0x7D, "d": 0x7C, "v": 0x7B}
LETTERS = {"I32": "i", "I64": "l", "F32": "f", "F64": "d"}
MANY = {"i": 4, "l": 5, "f": 3, "d": 3, "v": 9}  # locals of each type: 24 are looked at for registers (src/fast/pins.c)
COLD = 3  # more of each type, for which there is no register
FORMS = range(8)
WIDE = {"i64.add128": "llll", "i64.sub128": "llll", "i64.mul_wide_s": "ll", "i64.mul_wide_u": "ll"}  # two results
MASK = 0xF8  # addresses: aligned, and within the memory


def unsigned(n):
    out = b""
    while n > 127:
        out, n = out + bytes([n & 127 | 128]), n >> 7
    return out + bytes([n])


def signed(n):
    out = b""
    while not -64 <= n < 64:
        out, n = out + bytes([n & 127 | 128]), n >> 7
    return out + bytes([n & 127])


def vector(items):
    return unsigned(len(items)) + b"".join(items)


def section(number, items):
    content = vector(items)
    return bytes([number]) + unsigned(len(content)) + content


def rows():
    """Of the table: (text, code, immediate bytes, parameters, results, whether the first is an address)."""
    for kind, code, text, rest in re.findall(
            r'^(UN|UNT|BIN|BINT|LOAD|STORE|ALOAD|ASTORE|RMW|CMPXCHG|V)\((0x\w+), \w+, "([^"]+)", (.*)\)$',
            TABLE.read_text(), re.M):
        words = [word.strip(' "') for word in rest.split(",")]
        number, immediate, far = int(code, 16), b"", False
        if kind == "V":
            what, params, results = words[0], words[1], words[2]
            of = int(what.rsplit("_", 1)[1]) if "_" in what else 0
            far = what.startswith("MEM")
            immediate = {"M": unsigned(0) + unsigned(4), "L": bytes([max(of - 1, 0)]), "N": b"",
                         "V": bytes(range(1, 17)), "S": bytes(range(31, 0, -2)) + b"\0"}[what[0]]
            immediate += bytes([1 & (15 >> of)]) if what.startswith("MEMLANE") else b""
        else:
            a = LETTERS[words[0]]
            far = kind not in ("UN", "UNT", "BIN", "BINT")
            params = {"UN": a, "UNT": a, "BIN": 2 * a, "BINT": 2 * a, "LOAD": "i", "ALOAD": "i",
                      "STORE": "i" + a, "ASTORE": "i" + a, "RMW": "i" + a, "CMPXCHG": "i" + 2 * a}[kind]
            results = "" if "STORE" in kind else a if far else LETTERS[words[1]]
            # An atomic access must have its natural alignment, others may have less.
            align = int(words[2]) if kind not in ("LOAD", "STORE", "UN", "UNT", "BIN", "BINT") else 0
            immediate = unsigned(align) + unsigned(8) if far else b""
        yield text, number, immediate, params, results, far
    for code, text in re.findall(r'^X\((0x\w+), \w+, "([^"]+)"', TABLE.read_text(), re.M):
        if text in WIDE:
            yield text, int(code, 16), b"", WIDE[text], "ll", False


def opcode(number):
    if number < 0x100:
        return bytes([number])
    prefix = number >> 8 if number < 0x10000 else number >> 12
    return bytes([prefix]) + unsigned(number - (prefix << (8 if number < 0x10000 else 12)))


def get(n):
    return b"\x20" + unsigned(n)


def put(n):
    return b"\x21" + unsigned(n)


CONSTANT = {"i": b"\x41" + signed(-123456), "l": b"\x42" + signed(0x123456789ABCDEF),
            "f": b"\x43\x00\x00\xA0\xBF", "d": b"\x44" + bytes([0x9A, 0x99, 0x99, 0x99, 0x99, 0x99, 1, 0xC0]),
            "v": b"\xFD\x0C" + bytes(range(200, 216))}
PLUS = {"i": b"\x6A", "l": b"\x7C", "f": b"\x92", "d": b"\xA0", "v": b"\xFD" + unsigned(0x6E)}
TO_LONG = {"i": b"\xAD", "l": b"", "f": b"\xBC\xAD", "d": b"\xBD", "v": b"\xFD\x1D\x00"}
FROM_LONG = {"i": b"\xA7", "l": b"", "f": b"\xB4", "d": b"\xB9", "v": b"\xFD\x12"}


def function(row, form):
    """(param $p i64) (result i64)"""
    _text, number, immediate, params, results, far = row
    first, count, groups = {}, 1, []
    for t, many in MANY.items():
        first[t], count = count, count + many + COLD
        groups.append(unsigned(many + COLD) + bytes([TYPES[t]]))
    rounds = count
    groups.append(unsigned(1) + b"\x7F")

    def place(t, n):
        return first[t] + n % MANY[t]

    def cold(t, n):
        return first[t] + MANY[t] + n % COLD

    code = b""
    for t, many in MANY.items():
        for n in range(many + COLD):
            code += get(0) + b"\x42" + signed(n * 0x1234567 - 3) + b"\x7E" + FROM_LONG[t] + put(first[t] + n)
    code += b"\x03\x40"
    # All of them, several times, each out of itself and the next. The form says from where on more often.
    for t, many in MANY.items():
        for n in [*range(many), *range(many), *((form * 3 + i) % many for i in range(many // 2))]:
            code += get(place(t, n)) + get(place(t, n + 1)) + PLUS[t] + put(place(t, n))
    below = [] if form < 3 or form == 6 else [t for t in "ilfdv" for _ in range(2)]
    for i, t in enumerate(below):
        code += get(place(t, i)) + get(place(t, i + 2)) + PLUS[t]
    for i, t in enumerate(params):
        n = form * 3 + (0 if form in (1, 4) else i)
        if form > 5:
            code += get(cold(t, i if form == 6 else 0))
        elif form == 2 and i == len(params) - 1 and not (far and not i):
            code += CONSTANT[t]
        elif form == 5:
            code += get(place(t, n)) + get(place(t, n + 1)) + PLUS[t]
        else:
            code += get(place(t, n))
        if far and not i:
            code += b"\x41" + signed(MASK) + b"\x71"
    code += opcode(number) + immediate
    for i, t in enumerate(results):
        code += put(cold(t, i) if form > 5 else place(t, form * 3 + (0 if form else 2) + i))
    for i, t in reversed(list(enumerate(below))):
        code += put(place(t, i + 4))
    code += get(rounds) + b"\x41\x01\x6A\x22" + unsigned(rounds) + b"\x41\x03\x49\x0D\x00\x0B"
    code += b"\x42\x00"
    for t, many in MANY.items():
        for n in range(many + COLD):
            code += b"\x42" + signed(31) + b"\x7E" + get(first[t] + n) + TO_LONG[t] + b"\x7C"
            if t == "v":
                code += get(first[t] + n) + b"\xFD\x1D\x01\x7C"
    body = vector(groups) + code + b"\x0B"
    return unsigned(len(body)) + body


def module():
    """The bytes of a module with all of them, and how many there are."""
    wanted = list(itertools.product(rows(), FORMS))
    names = [f"{row[0]} {form}".encode() for row, form in wanted]
    return b"\0asm\1\0\0\0" + b"".join([
        section(1, [b"\x60\1\x7e\1\x7e"]), section(3, [b"\0"] * len(wanted)), section(5, [b"\0\1"]),
        section(7, [unsigned(len(n)) + n + b"\0" + unsigned(i) for i, n in enumerate(names)]),
        section(10, [function(row, form) for row, form in wanted])]), len(wanted)
