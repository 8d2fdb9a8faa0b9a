# SPDX-License-Identifier: MIT
"""Vectors that are built of four values, and of which lanes are taken: compiled as four locals, where that pays
(src/wasm/validate_lanes.c, src/fast/lanes.c). Statements are chosen by chance: vectors are built on the stack with code
in between, shifted, masked, combined with memory, kept whole, overwritten while older values wait on the stack, and
carried round loops, out of blocks and into tail calls.
"""
import random
import struct

from .chains import NUMBERS, get, put, section, signed, unsigned, vector, wrapped

WORDS = 64
INTS, VECTORS = range(1, 7), range(7, 12)
SUM, TURNS = 12, 13  # i64; and i32 for each depth of loops
OPS = [b"\x6a", b"\x6b", b"\x71", b"\x72", b"\x73"]  # add sub and or xor
VECTOR_OPS = [b"\xae\1", b"\xb1\1", b"\x4e", b"\x50", b"\x51", b"\x51", b"\x51"]


def tee(local):
    return b"\x22" + unsigned(local)


class Maker:
    def __init__(self, rng):
        self.rng = rng

    def number(self):
        return b"\x41" + signed(wrapped(self.rng.choice(NUMBERS), 32))

    def address(self):
        rng = self.rng
        if rng.random() < 0.4:
            return b"\x41" + signed(8 * rng.randrange(WORDS - 2))
        return get(rng.choice(INTS)) + b"\x41" + signed(8 * WORDS - 24) + b"\x71"

    def lane(self, depth):
        rng = self.rng
        chance = rng.random()
        of = get(rng.choice(VECTORS)) if chance < 0.75 else self.vector(depth - 1)
        return of + b"\xfd\x1b" + bytes([rng.randrange(4)])

    def integer(self, depth):
        rng = self.rng
        chance = rng.random()
        if depth <= 0 or chance < 0.15:
            return get(rng.choice(INTS)) if rng.random() < 0.8 else self.number()
        if chance < 0.55:
            return self.lane(depth)
        if chance < 0.65:  # a table
            return self.lane(depth) + b"\x41" + signed(rng.choice([0, 3, 8, 16, 24])) + b"\x76\x41\x3f\x71\x41\3\x74\x28\2\0"
        if chance < 0.7:
            return self.integer(depth - 1) + tee(rng.choice(INTS))
        if chance < 0.75:
            return self.integer(depth - 1) + b"\x41" + signed(rng.randrange(32)) + rng.choice([b"\x74", b"\x76", b"\x77"])
        if chance < 0.78:
            return self.vector(depth - 1) + rng.choice([b"\xfd\xa3\1", b"\xfd\xa4\1", b"\xfd\x64", b"\xfd\x19\3"])
        if chance < 0.8:
            return b"\x02\x7f" + self.integer(depth - 1) + self.integer(depth - 1) + b"\x0d\0\x0b"
        if chance < 0.86:  # an older lane waits while the vector becomes another
            of = rng.choice(VECTORS)
            return self.lane_of(of) + self.built(depth - 1) + tee(of) + b"\xfd\x1b" + bytes([rng.randrange(4)]) + rng.choice(OPS)
        return self.integer(depth - 1) + self.integer(depth - 1) + rng.choice(OPS)

    def lane_of(self, vector):
        return get(vector) + b"\xfd\x1b" + bytes([self.rng.randrange(4)])

    def derived(self):
        """Bytes of one vector become another, and the first one is set while the second is in use."""
        rng = self.rng
        of, to = rng.sample(VECTORS, 2)
        code = get(of) + b"\x41" + signed(8 * rng.randrange(4)) + b"\xfd\xad\1\xfd\x0c" + struct.pack("<I", 255) * 4 + b"\xfd\x4e" + put(to)
        if rng.random() < 0.7:
            code += self.built(2) + put(of)
        return code + self.lane_of(to) + put(rng.choice(INTS))

    def built(self, depth):
        rng = self.rng
        code = self.integer(depth - 1) + b"\xfd\x11"
        lanes = [1, 2, 3] if rng.random() < 0.6 else [rng.randrange(4) for _ in range(rng.randrange(5))]
        for lane in lanes:
            code += self.integer(depth - 1) + b"\xfd\x1c" + bytes([lane])
        return code

    def vector(self, depth):
        rng = self.rng
        chance = rng.random()
        if depth <= 0 or chance < 0.2:
            return get(rng.choice(VECTORS))
        if chance < 0.45:
            return self.built(depth)
        if chance < 0.6:
            return self.vector(depth - 1) + b"\x41" + signed(rng.choice([0, 1, 8, 8, 16, 16, 24, 31, 33])) + b"\xfd\xad\1"
        if chance < 0.7:
            mask = rng.choice([0xff, 0xff, 0xffff, 0, 0xffffffff, 0x80000001, 0x3fc])
            constant = b"\xfd\x0c" + struct.pack("<I", mask) * 4
            if rng.random() < 0.3:
                constant += tee(rng.choice(VECTORS))
            return self.vector(depth - 1) + constant + b"\xfd\x4e"
        if chance < 0.82:
            return self.vector(depth - 1) + self.address() + b"\xfd\0\2" + unsigned(rng.choice([0, 4, 8])) + b"\xfd" + rng.choice(VECTOR_OPS)
        if chance < 0.86:
            return self.vector(depth - 1) + self.vector(depth - 1) + b"\xfd" + rng.choice(VECTOR_OPS)
        if chance < 0.92:
            return self.vector(depth - 1) + tee(rng.choice(VECTORS))
        if chance < 0.94:
            return b"\x02\x7b" + self.vector(depth - 1) + self.integer(depth - 1) + b"\x0d\0\x0b"
        if chance < 0.96:
            return self.vector(depth - 1) + self.vector(depth - 1) + self.integer(depth - 1) + b"\x1c\1\x7b"
        if chance < 0.98:
            return self.address() + b"\xfd\0\2\0"
        return b"\xfd\x0c" + struct.pack("<IIII", *(rng.choice(NUMBERS) & 0xffffffff for _ in range(4)))

    def statements(self, depth, loops):
        return b"".join(self.statement(depth, loops) for _ in range(self.rng.randrange(1, 6)))

    def statement(self, depth, loops):
        rng = self.rng
        chance = rng.random()
        if chance < 0.1:
            return self.derived()
        if chance < 0.35:
            return self.vector(3) + put(rng.choice(VECTORS))
        if chance < 0.6:
            return self.integer(3) + b"\xad" + get(SUM) + b"\x42\x1f\x7e\x7c" + put(SUM)
        if chance < 0.75 or depth <= 0:
            return self.integer(3) + put(rng.choice(INTS))
        if chance < 0.8:
            return self.address() + self.vector(2) + b"\xfd\x0b\2\0"
        if chance < 0.86:
            return self.integer(2) + b"\x04\x40" + self.statements(depth - 1, loops) + (
                b"\x05" + self.statements(depth - 1, loops) if rng.random() < 0.5 else b"") + b"\x0b"
        if chance < 0.92:
            return b"\x02\x40" + self.statements(depth - 1, loops) + self.integer(2) + b"\x0d\0" + self.statements(
                depth - 1, loops) + b"\x0b"
        if chance < 0.93:
            return b"\x02\x40\x02\x40" + self.statements(depth - 1, loops) + self.integer(2) + b"\x41\1\x71\x0e\1\0\1\x0b" + self.statements(
                depth - 1, loops) + b"\x0b"
        return self.loop(depth, loops) if loops < 3 else b""

    def loop(self, depth, loops):
        turn = TURNS + loops
        code = b"\x41\0" + put(turn) + b"\x03\x40" + self.statements(depth - 1, loops + 1)
        return code + get(turn) + b"\x41\1\x6a" + tee(turn) + b"\x41" + signed(self.rng.randrange(1, 4)) + b"\x49\x0d\0\x0b"


def function(rng):
    m = Maker(rng)
    code = b""
    for n, local in enumerate(INTS):
        code += get(0) + b"\x42" + signed(7 * n) + b"\x88\xa7" + put(local)
    for local in VECTORS:
        code += m.vector(2) + put(local)
    code += m.loop(4, 0)
    for local in VECTORS:
        code += get(local) + b"\xfd\x1d\0" + get(local) + b"\xfd\x1d\1\x7c" + get(SUM) + b"\x42\x1f\x7e\x7c" + put(SUM)
    for local in INTS:
        code += get(local) + b"\xad" + get(SUM) + b"\x42\x1f\x7e\x7c" + put(SUM)
    if rng.random() < 0.3:
        code += get(rng.choice(INTS)) + m.vector(1) + m.integer(1) + m.vector(1) + get(SUM) + b"\x12\0"
    else:
        code += get(SUM)
    body = vector([b"\6\x7f", b"\5\x7b", b"\1\x7e", b"\3\x7f"]) + code + b"\x0b"
    return unsigned(len(body)) + body


def module(seed, count):
    rng = random.Random(seed)
    names = [f"{seed} {i}".encode() for i in range(count)]
    words = b"".join(struct.pack("<Q", rng.choice(NUMBERS) & 2**64 - 1) for _ in range(WORDS))
    # Puts together what it gets.
    target = get(0) + b"\xad" + get(1) + b"\xfd\x1d\1\x7c" + get(2) + b"\xad\x42\5\x7e\x7c" + get(3) + b"\xfd\x1d\0\x7c" + get(4) + b"\x85\x0b"
    return b"\0asm\1\0\0\0" + b"".join([
        section(1, [b"\x60\1\x7e\1\x7e", b"\x60\5\x7f\x7b\x7f\x7b\x7e\1\x7e"]), section(3, [b"\1"] + [b"\0"] * count),
        section(5, [b"\0\1"]),
        section(7, [unsigned(len(n)) + n + b"\0" + unsigned(i + 1) for i, n in enumerate(names)]),
        section(10, [unsigned(len(target) + 1) + b"\0" + target, *(function(rng) for _ in range(count))]),
        section(11, [b"\0\x41\0\x0b" + unsigned(len(words)) + words])])
