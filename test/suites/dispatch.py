# SPDX-License-Identifier: MIT
"""Interpreters: a loop that reads an operation, jumps by a table to the code for it, and comes back from many places.
Such loops are compiled in their own way (src/fast/flow.c). Headers, operations and the ways back are chosen by chance,
of what test/suites/chains.py has. An address only grows, so each program comes to its end.
"""
import random
import struct

from .chains import (LETTERS, LOCAL, NUMBERS, READ, SINKS, SUM, TYPES, WIDER, WORDS, Rows, constant, get, put, section,
                     signed, unsigned, vector)

PC, OP = 1, LOCAL["i", 3]
LENGTH, REST = 64, 200
PROGRAM = 65536 - LENGTH - REST  # bytes of operations, at the end of memory: whatever they are, it comes to an end
PLAIN = {"i32.add", "i32.sub", "i32.mul", "i32.and", "i32.or", "i32.xor", "i32.shl", "i32.shr_u", "i32.rotl"}


def statement(rng, rows, back):
    t = rng.choice("iiillfdv")
    code = rows.apply(rng, rng.choice(rows.to[t]))
    chance = rng.random()
    if chance < 0.3:
        return code + rng.choice(SINKS[t]) + get(SUM) + b"\x42\x1f\x7e\x7c" + put(SUM)
    if chance < 0.4:
        return rows.apply(rng, rng.choice(rows.to["i"])) + b"\x04\x40" + code + put(LOCAL[t, rng.randrange(3)]) + b"\x0b"
    if chance < 0.5:
        return code + put(LOCAL[t, 0]) + rows.apply(rng, rng.choice(rows.to["i"])) + b"\x0d" + unsigned(back)
    if chance < 0.55:
        return code + put(LOCAL[t, 2]) + get(SUM) + b"\x10\0" + put(SUM)
    return code + put(LOCAL[t, rng.randrange(3)])


def header(rng, rows):
    """The number of the operation is on the stack."""
    code = get(PC) + WIDER + b"\x2d\0" + unsigned(PROGRAM)
    if rng.random() < 0.5:
        code += b"\x22" + unsigned(OP)
    step = get(PC) + b"\x41\1\x6a" + put(PC)
    if rng.random() < 0.6:
        code += step
    else:
        code = step + code
    for _ in range(rng.randrange(3)):
        plain = [row for row in rows.of["i"] if row[0] in PLAIN]
        code += rng.choice([constant(rng, "i"), get(LOCAL["i", rng.randrange(3)])]) + rng.choice(plain)[1]
    return code + (b"\x41\7\x71" if rng.random() < 0.5 else b"")


def function(rng, rows, far):
    many = rng.randrange(2, 9)
    blocks = b"\x02\x40" * (many + 1)
    first = header(rng, rows)
    code = b""
    for n in (0, 1):
        code += get(0) + b"\x42" + signed(5 * n) + b"\x88\x42" + signed(8 * WORDS - 8) + b"\x83" + (b"" if far else b"\xa7") + b"\x29\3\0"
        code += put(LOCAL["l", n]) + get(LOCAL["l", n]) + b"\xa7" + put(LOCAL["i", n])
    code += get(0) + b"\xa7\x41" + signed(LENGTH - 1) + b"\x71" + put(PC)
    code += b"\x03\x40" + blocks + first
    labels = [rng.randrange(many + 1) for _ in range(rng.randrange(1, 10))]
    if rng.random() < 0.3:
        labels[rng.randrange(len(labels))] = many + 1  # the loop itself
    code += b"\x0e" + vector([unsigned(n) for n in labels]) + unsigned(rng.choice([many, rng.randrange(many + 1)]))
    for i in range(many):
        code += b"\x0b"
        back = many - i
        for _ in range(rng.randrange(4)):
            code += statement(rng, rows, back)
        if rng.random() < 0.85:
            code += b"\x0c" + unsigned(back)
    code += b"\x0b\x0b"
    for t in "il":
        for n in range(3):
            code += get(LOCAL[t, n]) + (b"\xad" if t == "i" else b"") + get(SUM) + b"\x42\x1f\x7e\x7c" + put(SUM)
    code += get(SUM)
    code = code.replace(READ, b"\x41\xff\1\x71" + WIDER + b"\x31\0\0").replace(WIDER, b"\xad" if far else b"")
    groups = [b"\2\x7f", b"\1\x7e"] + [b"\4" + bytes([TYPES[t]]) for t in LETTERS]
    body = vector(groups) + code + b"\x0b"
    return unsigned(len(body)) + body


def module(seed, count):
    rng, rows, far = random.Random(seed), Rows(), seed % 2 == 1
    names = [f"{seed} {i}".encode() for i in range(count)]
    data = b"".join(struct.pack("<Q", rng.choice(NUMBERS) & 2**64 - 1) for _ in range(WORDS))
    program = bytes(rng.randrange(10) for _ in range(LENGTH)) + b"\xff" * REST
    return b"\0asm\1\0\0\0" + b"".join([
        section(1, [b"\x60\1\x7e\1\x7e"]), section(3, [b"\0"] * (count + 1)),
        section(5, [bytes([4 if far else 0]) + b"\1"]),
        section(7, [unsigned(len(n)) + n + b"\0" + unsigned(i + 1) for i, n in enumerate(names)]),
        section(10, [unsigned(4) + b"\0\x20\0\x0b", *(function(rng, rows, far) for _ in range(count))]),
        section(11, [b"\0" + (b"\x42" if far else b"\x41") + signed(at) + b"\x0b" + unsigned(len(what)) + what
                     for at, what in ((0, data), (PROGRAM, program))])])
