# SPDX-License-Identifier: MIT
"""Chains of two instructions, of which the second has what the first one made: what a compiler knows of a value (bits
that are zero, flags, a constant, an address that is a sum) it knows from one instruction for the next, and it must not
know it for longer than it is so.

A chain is chosen by chance: an instruction, how its value goes on (`LINKS`: on the stack, by a local, from one of two
ways that meet, round a loop, over a call), another one, and what the end is for (`SINKS`: a condition, an address, all
of its bits). Operands and constants are at the edges of their types. The differ (test/fuzz/differ.c) runs the functions
on all engines, which must agree. An address reads from a memory of 4 GiB: a bit above them is out of bounds.
"""
import random
import struct

from . import pressure
from .pressure import TYPES, get, opcode, put, section, signed, unsigned, vector

NUMBERS = [0, 1, 2, 3, 4, 5, 7, 8, 9, 10, 15, 16, 24, 31, 32, 33, 63, 64, 100, 127, 128, 255, 256, 1000, 0x7fff, 0x8000, 0xffff,
           0x10000, 0x7fffffff, 0x80000000, 0xffffffff, 0x100000000, 0x7fffffffffffffff, -1, -2, -4, -8, -128, -32768, -2**31, -2**63]
REALS = [0.0, -0.0, 1.0, -1.5, 0.5, 2.0, 3e9, -3e9, 1e19, 1e-40, 1e300, float("inf"), float("nan")]
WORDS = 32  # where operands come from, in memory
LETTERS = "ilfdv"
LOAD = {"i": b"\x28", "l": b"\x29", "f": b"\x2a", "d": b"\x2b", "v": b"\xfd\0"}
FIRST = 1 + 3  # behind the parameter: round, condition, sum
ROUNDS, CONDITION, SUM = 1, 2, 3
# Of each type: two operands, a link, a spare.
LOCAL = {(t, n): FIRST + LETTERS.index(t) * 4 + n for t in LETTERS for n in range(4)}
LINK, SPARE = 2, 3
# What depends on the memory's addresses: an i32 as one of them, and a byte that is read there.
WIDER, READ = b"WIDER", b"READ"
# What compilers know most of: these come more often.
TELLING = {"and", "shl", "shr_u", "eqz", "wrap_i64", "extend_i32_u", "select", "load8_u", "load16_u", "ne", "lt_u"}
DIVISIONS = {f"i{bits}.{what}" for bits in (32, 64) for what in ("div_s", "div_u", "rem_s", "rem_u")}


def wrapped(n, bits):
    n &= (1 << bits) - 1
    return n - (1 << bits) if n >> (bits - 1) else n


def constant(rng, t, least=None):
    n = rng.choice([0, 1, -1, 31, 32] if rng.random() < 0.4 else NUMBERS)
    n = 3 if n == least else n
    if t == "i":
        return b"\x41" + signed(wrapped(n, 32) or (least == 0))
    if t == "l":
        return b"\x42" + signed(wrapped(n, 64))
    if t == "f":
        value = rng.choice(REALS)
        return b"\x43" + struct.pack("<f", value if abs(value) < 1e38 else float("inf"))
    if t == "d":
        return b"\x44" + struct.pack("<d", rng.choice(REALS))
    return b"\xfd\x0c" + struct.pack("<QQ", n & 2**64 - 1, rng.choice(NUMBERS) & 2**64 - 1)


def operand(rng, t):
    """Of no chain: a local, a constant, or what is in memory."""
    chance = rng.random()
    if chance < 0.15:
        return place(rng) + LOAD[t] + b"\0" + unsigned(rng.randrange(8))
    return constant(rng, t) if chance < 0.45 else get(LOCAL[t, rng.randrange(2)])


def place(rng):
    """An address of words."""
    if rng.random() < 0.3:
        return b"\x41" + signed(8 * rng.randrange(WORDS)) + WIDER
    return get(LOCAL["i", rng.randrange(2)]) + b"\x41" + signed(8 * WORDS - 8) + b"\x71" + WIDER


def often(text):
    return 4 if text.split(".")[1] in TELLING else 1


class Rows:
    def __init__(self):
        self.all, self.to, self.of, self.loads = [], {}, {}, set()
        for text, number, immediate, params, results, far in pressure.rows():
            if far and len(params) == 1 and len(results) == 1 and number >> 8 != 0xfe:
                row = text, opcode(number) + immediate, params, results
                self.to.setdefault(results, []).extend([row] * often(text))
                self.loads.add(text)
                continue
            if far or len(results) != 1 or not params or (text not in DIVISIONS and "trunc_f" in text and "sat" not in text):
                continue
            self.all.append((text, opcode(number) + immediate, params, results))
        self.all += [(f"{t}.select", b"\x1b" if t != "v" else b"\x1c\1\x7b", t + t + "i", t) for t in LETTERS]
        for row in self.all:
            for t in set(row[2]):
                self.of.setdefault(t, []).extend([row] * often(row[0]))
            self.to.setdefault(row[3], []).extend([row] * often(row[0]))
        pairs = [(t, a, b) for t in LETTERS for a in self.to[t] for b in self.of[t]]
        self.scalars = [(t, a, b) for t, a, b in pairs if "v" not in a[2] + a[3] + b[2] + b[3]]
        self.vectors = [(t, a, b) for t, a, b in pairs if "v" in a[2] + a[3] + b[2] + b[3]]

    def apply(self, rng, row, given=None, on_stack=False):
        """The row's code, with the code `given` as one of its operands, as the first one if it is on the stack already."""
        text, code, params, _ = row
        places = [i for i, t in enumerate(params) if given and t == given[0]]
        at = rng.choice(places) if places and rng.random() < 0.3 and not on_stack else places[0] if places else None
        out = b""
        for i, t in enumerate(params):
            if i == at:
                out += given[1]
            elif text in self.loads:
                out += place(rng)
            elif text in DIVISIONS and i:
                out += constant(rng, t, 0)
            else:
                out += operand(rng, t)
        return out + code


# --- How a value goes from one instruction to the next: of a type, the codes of two that make it, and of one that uses
# it. What they leave is what the use does.

def direct(_rng, _t, one, _other, use):
    return use(one)


def by_local(_rng, t, one, _other, use):
    return one + put(LOCAL[t, LINK]) + use(get(LOCAL[t, LINK]))


def by_tee(_rng, t, one, _other, use):
    return one + b"\x22" + unsigned(LOCAL[t, LINK]) + b"\x1a" + use(get(LOCAL[t, LINK]))


def by_if(_rng, t, one, other, use):
    code = get(CONDITION) + b"\x04" + bytes([TYPES[t]]) + one + b"\x05" + other + b"\x0b"
    return use(code)


def by_if_local(_rng, t, one, other, use):
    code = one + put(LOCAL[t, LINK]) + get(CONDITION) + b"\x04\x40" + other + put(LOCAL[t, LINK]) + b"\x0b"
    return code + use(get(LOCAL[t, LINK]))


def by_br_if(_rng, t, one, other, use):
    code = b"\x02" + bytes([TYPES[t]]) + one + get(CONDITION) + b"\x0d\0\x1a" + other + b"\x0b"
    return use(code)


def by_select(_rng, t, one, other, use):
    return use(one + other + get(CONDITION) + b"\x1c\1" + bytes([TYPES[t]]))


def overwritten(_rng, t, one, other, use):
    """The older value is on the stack while its local has another."""
    code = one + put(LOCAL[t, LINK]) + get(LOCAL[t, LINK]) + other + put(LOCAL[t, LINK])
    return use(code)


def apart(_rng, t, one, other, use):
    return one + put(LOCAL[t, LINK]) + other + put(LOCAL[t, SPARE]) + use(get(LOCAL[t, LINK]))


def waiting(_rng, t, one, other, use):
    """On the stack, while there is something else."""
    return one + other + put(LOCAL[t, SPARE]) + use(b"") if use.firsts else use(one)


def old(_rng, t, one, other, use):
    """A local's older value is on the stack."""
    code = get(LOCAL[t, 0]) + one + b"\x1a" + other + put(LOCAL[t, 0])
    return code + use(b"") if use.firsts else use(one)


def followed(_rng, t, one, other, use):
    """The value is used after something that decides by what it makes itself."""
    link = LOCAL[t, LINK]
    code = one + put(link) + other + TO_BOOL[t] + b"\x04\x40" + get(SUM) + b"\x42\1\x7c" + put(SUM) + b"\x0b"
    return code + use(get(link))


def over_call(_rng, _t, one, _other, use):
    return use(one + b"\x42\0\x10\0\x1a")


def by_loop(_rng, t, one, other, use):
    """What the first round has is not what the next one has."""
    turn = LOCAL["i", SPARE]
    code = b"\x41\0" + put(turn) + one + put(LOCAL[t, LINK]) + b"\x03\x40" + use(get(LOCAL[t, LINK])) + kept(use.result)
    code += other + put(LOCAL[t, LINK])
    return code + get(turn) + b"\x41\1\x6a\x22" + unsigned(turn) + b"\x41\3\x49\x0d\0\x0b" + get(LOCAL[use.result, SPARE])


def by_loop_parameter(_rng, t, one, other, use):
    turn = LOCAL["i", SPARE]
    code = b"\x41\0" + put(turn) + one + b"\x03" + unsigned(TYPE_OF[t]) + put(LOCAL[t, LINK]) + use(get(LOCAL[t, LINK]))
    code += kept(use.result) + other
    code += get(turn) + b"\x41\1\x6a\x22" + unsigned(turn) + b"\x41\3\x49\x0d\0\x1a\x0b"
    return code + get(LOCAL[use.result, SPARE])


def by_parameter(_rng, t, one, other, use):
    """The same, which is used where it is."""
    turn = LOCAL["i", SPARE]
    if not use.firsts:
        return use(one)
    code = b"\x41\0" + put(turn) + one + b"\x03" + unsigned(TYPE_OF[t]) + use(b"") + kept(use.result) + other
    code += get(turn) + b"\x41\1\x6a\x22" + unsigned(turn) + b"\x41\3\x49\x0d\0\x1a\x0b"
    return code + get(LOCAL[use.result, SPARE])


def by_br_table(_rng, t, one, other, use):
    block = b"\x02" + bytes([TYPES[t]])
    return use(block + block + one + get(CONDITION) + b"\x0e\1\0\1\x0b\x1a" + other + b"\x0b")


def by_condition(_rng, t, one, other, use):
    """The value itself says whether there will be another."""
    link = LOCAL[t, LINK]
    code = one + b"\x22" + unsigned(link) + TO_BOOL[t] + b"\x04\x40" + other + put(link) + b"\x0b"
    return code + use(get(link))


def by_catch(_rng, t, one, other, use):
    link = LOCAL[t, LINK]
    code = one + put(link) + b"\x02\x40\x1f\x40\1\2\0" + other + put(link) + get(CONDITION) + b"\x04\x40\x08\0\x0b\x0b\x0b"
    return code + use(get(link))


def kept(t):
    return put(LOCAL[t, SPARE]) if t != "i" else b"\xad" + get(SUM) + b"\x42\x1f\x7e\x7c" + put(SUM)


LINKS = [direct, direct, by_local, by_tee, by_if, by_if_local, by_br_if, by_select, overwritten, apart, waiting, old, followed, over_call, by_loop,
         by_loop_parameter, by_parameter, by_br_table, by_condition, by_catch]
TO_BOOL = {"i": b"", "l": b"\x50", "f": b"\x43\0\0\0\0\x5e", "d": b"\x44" + bytes(8) + b"\x61", "v": b"\xfd\x53"}
TYPE_OF = {t: 1 + i for i, t in enumerate(LETTERS)}  # (param t)

# --- What the end is for: code that makes an i64 of it.
SELECTS = put(LOCAL["i", 1]) + get(LOCAL["l", 0]) + get(LOCAL["l", 1]) + get(LOCAL["i", 1]) + b"\x1b"
SINKS = {
    "i": [b"\xad", b"\x04\x7e\x42\3\x05\x42\5\x0b", READ, b"\xac", b"\x45\xad", b"\x04\x7e\x42\3\x05\x42\5\x0b", READ, b"\x41\0\x47\xad", b"\x41\1\x71\xad",
          b"\x41\4\x6a" + READ, b"\xc0\xad", SELECTS, b"\x41\x10\x76\xad"],
    "l": [b"", b"\xa7\xad", b"\xa7" + READ, b"\x50\xad", b"\xa7\x04\x7e\x42\3\x05\x42\5\x0b", b"\x42\0\x52\x04\x7e\x42\3\x05\x42\5\x0b",
          b"\x42\x20\x88\xa7\xad"],
    "f": [b"\xbc\xad", b"\x43\0\0\0\0\x5d\x04\x7e\x42\3\x05\x42\5\x0b", b"\xbb\xbd"],
    "d": [b"\xbd", b"\x44" + bytes(8) + b"\x64\x04\x7e\x42\3\x05\x42\5\x0b", b"\xb6\xbc\xad"],
    "v": [b"\xfd\x1d\0", b"\xfd\x1d\1", b"\xfd\x53\xad"],
}


class Use:
    """The second instruction, and sometimes a third."""

    def __init__(self, rng, rows, row, t):
        self.rng, self.rows, self.rows_of, self.t, self.result = rng, rows, [row], t, row[3]
        if rng.random() < 0.4:
            self.rows_of.append(rng.choice(rows.of[self.result]))
            self.result = self.rows_of[-1][3]
        types = [t] + [row[3] for row in self.rows_of]
        self.firsts = all(row[2][0] == t for row, t in zip(self.rows_of, types))  # what goes on is a first operand

    def __call__(self, code):
        t, on_stack = self.t, not code
        for row in self.rows_of:
            code, t = self.rows.apply(self.rng, row, (t, code), on_stack), row[3]
        return code


def function(rng, rows, pair, far):
    t, first, second = pair
    one, other = rows.apply(rng, first), rows.apply(rng, rng.choice(rows.to[t]))
    if rng.random() < 0.3:
        other = constant(rng, t)
    if rng.random() < 0.3:
        one, other = other, one
    use = Use(rng, rows, second, t)
    code = b"\x03\x40"  # a round for each of some words
    for n, shift in ((0, 0), (1, 5)):
        code += get(0) + b"\x42" + signed(shift) + b"\x88" + get(ROUNDS) + b"\xad\x42" + signed(8 + 24 * n) + b"\x7e\x7c"
        code += b"\x42" + signed(8 * WORDS - 8) + b"\x83" + (b"" if far else b"\xa7") + b"\x29\3\0" + put(LOCAL["l", n])
        code += get(LOCAL["l", n]) + b"\xa7" + put(LOCAL["i", n]) + get(LOCAL["i", n]) + b"\xbe" + put(LOCAL["f", n])
        code += get(LOCAL["l", n]) + b"\xb9" + put(LOCAL["d", n]) + get(LOCAL["l", n]) + b"\xfd\x12" + put(LOCAL["v", n])
    sink = rng.choice(SINKS[use.result])
    if rng.random() < 0.3:  # for two things
        both = LOCAL[use.result, 1]
        sink = b"\x22" + unsigned(both) + sink + get(both) + rng.choice(SINKS[use.result]) + b"\x7c"
    if far and use.result == "l" and rng.random() < 0.5:
        sink = b"\x42" + signed(rng.choice([0xff, 0xfff8, 0x7fffffff, 0xffffffff])) + b"\x83" + (
            b"\x42" + signed(rng.choice([1, 8, -1, 0x10000, 0xffffffff])) + b"\x7c" if rng.random() < 0.5 else b"") + b"\x31\0" + unsigned(
            rng.choice([0, 1, 0xfff, 0x100000, 0xffffffff, 0x100000000]))
    code += get(LOCAL["l", 0]) + b"\x42\3\x83\x50" + put(CONDITION)
    code += rng.choice(LINKS)(rng, t, one, other, use) + sink + get(SUM) + b"\x42\x1f\x7e\x7c" + put(SUM)
    code += get(ROUNDS) + b"\x41\1\x6a\x22" + unsigned(ROUNDS) + b"\x41\x08\x49\x0d\0\x0b" + get(SUM)
    code = code.replace(READ, WIDER + b"\x31\0" + unsigned(rng.choice([0, 0, 1, 8, 0x1000, 0x7fffffff])))
    code = code.replace(WIDER, b"\xad" if far else b"")
    groups = [b"\2\x7f", b"\1\x7e"] + [b"\4" + bytes([TYPES[t]]) for t in LETTERS]
    body = vector(groups) + code + b"\x0b"
    return unsigned(len(body)) + body


def module(seed, count):
    """Every other one has a memory with addresses of 64 bits."""
    far = seed % 2 == 1
    rng, rows = random.Random(seed), Rows()
    pairs = [rng.choice(rows.scalars if rng.random() < 0.8 else rows.vectors) for _ in range(count)]
    names = [f"{seed} {i}".encode() for i in range(count)]
    words = b"".join(struct.pack("<Q", rng.choice(NUMBERS) & 2**64 - 1) for _ in range(WORDS))
    same = b"\x20\0\x0b"
    return b"\0asm\1\0\0\0" + b"".join([
        section(1, [b"\x60\1\x7e\1\x7e", *(b"\x60\1" + bytes([TYPES[t]]) + b"\0" for t in LETTERS), b"\x60\0\0"]),
        section(3, [b"\0"] * (count + 1)), section(5, [bytes([4 if far else 0]) + unsigned(65536)]), section(13, [b"\0\6"]),
        section(7, [unsigned(len(n)) + n + b"\0" + unsigned(i + 1) for i, n in enumerate(names)]),
        section(10, [unsigned(4) + b"\0" + same, *(function(rng, rows, pair, far) for pair in pairs)]),
        section(11, [b"\0" + (b"\x42" if far else b"\x41") + b"\0\x0b" + unsigned(len(words)) + words])])
