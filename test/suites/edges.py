# SPDX-License-Identifier: MIT
"""Tables and memories with addresses of 32 and of 64 bits, several of each in one module, at their edges: operands
near the length of what they are for, near 2^32 and 2^64, and such as are right in their lower 32 bits alone. What must
come out is said by a model of a few lines; script() makes what `nebulet wast` reads of it.
"""
import json
import random

from .pressure import signed, unsigned, vector

I32, I64 = 0x7F, 0x7E
NAMES = {I32: "i32", I64: "i64"}
TABLES = [I32, I64, I64]  # by type of their addresses; behind them, one more holds what is put into these
SOURCE = len(TABLES)
MEMORIES = [I32, I64, I32, I64]
ELEMENTS, TABLE_MOST, PAGE, MEMORY_MOST = 10, 40, 65536, 3
OFFSETS = {I32: [0, 5, 65535, 1 << 31, 2**32 - 1],
           I64: [0, 5, 65535, 2**32 - 1, 1 << 32, 1 << 33, 1 << 63, 2**64 - PAGE, 2**64 - 1]}
DATA = bytes(range(1, 101))


class Trap(Exception):
    pass


def part(sequence, at, n, what):
    """Of which there is as much: what every access asks first."""
    if at + n > len(sequence):
        raise Trap(f"out of bounds {what} access")
    return slice(at, at + n)


class State:
    def __init__(self):
        self.tables = [[None] * ELEMENTS for _ in TABLES] + [list(range(ELEMENTS))]
        self.memories = [bytearray(PAGE) for _ in MEMORIES]

    def element(self, k):
        return self.tables[SOURCE][part(self.tables[SOURCE], k, 1, "table")]

    def call(self, t, i):
        if i >= len(self.tables[t]):
            raise Trap("undefined element")
        if self.tables[t][i] is None:
            raise Trap("uninitialized element")
        return self.tables[t][i]

    def is_null(self, t, i):
        return int(self.tables[t][part(self.tables[t], i, 1, "table")] == [None])

    def fill(self, t, i, k, n):
        what, where = self.element(k), part(self.tables[t], i, n, "table")
        self.tables[t][where] = what * n

    def grow(self, t, k, n):
        what, had = self.element(k), len(self.tables[t])
        if had + n > TABLE_MOST:
            return -1
        self.tables[t] += what * n
        return had

    @staticmethod
    def copy(to, i, source, k, n, what):
        copied = source[part(source, k, n, what)]
        to[part(to, i, n, what)] = copied

    def load(self, m, address, n):
        return int.from_bytes(self.memories[m][part(self.memories[m], address, n, "memory")], "little")

    def store(self, m, address, n, value):
        self.memories[m][part(self.memories[m], address, n, "memory")] = (value & 256**n - 1).to_bytes(n, "little")

    def memory_fill(self, m, i, value, n):
        where = part(self.memories[m], i, n, "memory")
        self.memories[m][where] = bytes([value & 255]) * n

    def memory_grow(self, m, n):
        had = len(self.memories[m]) // PAGE
        if had + n > MEMORY_MOST:
            return -1
        self.memories[m] += bytes(PAGE * n)
        return had


def shorter(a, b):
    return I64 if a == b == I64 else I32


def operations():
    """(parameters, results, code, meaning, what it is about) of each. In the code, numbers are parameters, taken in
    order; the meaning gets the state and these."""
    get_source = b"\x25" + unsigned(SOURCE)
    for t, a in enumerate(TABLES):
        n = unsigned(t)
        yield [a], [I32], [0, b"\x11\0" + n], lambda s, i, t=t: s.call(t, i), "call"
        yield [a], [I32], [0, b"\x13\0" + n], lambda s, i, t=t: s.call(t, i), "call"
        yield [a], [I32], [0, b"\x25" + n + b"\xd1"], lambda s, i, t=t: s.is_null(t, i), "element"
        yield ([a, I32], [], [0, 1, get_source + b"\x26" + n], lambda s, i, k, t=t: s.fill(t, i, k, 1), "set")
        yield ([I32, a], [a], [0, get_source, 1, b"\xfc\x0f" + n], lambda s, k, i, t=t: s.grow(t, k, i), "grow")
        yield [], [a], [b"\xfc\x10" + n], lambda s, t=t: len(s.tables[t]), "size"
        yield ([a, I32, a], [], [0, 1, get_source, 2, b"\xfc\x11" + n], lambda s, i, k, m, t=t: s.fill(t, i, k, m), "fill")
        yield ([a, I32, I32], [], [0, 1, 2, b"\xfc\x0c\1" + n],
               lambda s, i, k, m, t=t: s.copy(s.tables[t], i, range(ELEMENTS), k, m, "table"), "init")
        for f, b in enumerate([*TABLES, I32]):
            yield ([a, b, shorter(a, b)], [], [0, 1, 2, b"\xfc\x0e" + n + unsigned(f)],
                   lambda s, i, k, m, t=t, f=f: s.copy(s.tables[t], i, s.tables[f], k, m, "table"), "copy")
    for m, a in enumerate(MEMORIES):
        n = unsigned(m)
        for offset in OFFSETS[a]:
            at = (b"\0" if not m else b"\x40" + n) + unsigned(offset)
            for size, load, store, value in (1, b"\x2d", b"\x3a", I32), (8, b"\x29", b"\x37", I64):
                yield ([a], [value], [0, load + at],
                       lambda s, i, m=m, o=offset, z=size: s.load(m, i + o, z), "access")
                yield ([a, value], [], [0, 1, store + at],
                       lambda s, i, v, m=m, o=offset, z=size: s.store(m, i + o, z, v), "access")
            yield ([a], [I64], [0, b"\xfd\0" + at + b"\xfd\x1d\1"],
                   lambda s, i, m=m, o=offset: s.load(m, i + o, 16) >> 64, "access")
            yield ([], [I64], [(b"\x41" if a == I32 else b"\x42") + signed(-8) + b"\x29" + at],
                   lambda s, m=m, o=offset, a=a: s.load(m, (2**32 if a == I32 else 2**64) - 8 + o, 8), "access")
        yield [a], [a], [0, b"\x40" + n], lambda s, i, m=m: s.memory_grow(m, i), "memory grow"
        yield [], [a], [b"\x3f" + n], lambda s, m=m: len(s.memories[m]) // PAGE, "size"
        yield ([a, I32, a], [], [0, 1, 2, b"\xfc\x0b" + n], lambda s, i, v, k, m=m: s.memory_fill(m, i, v, k),
               "memory fill")
        yield ([a, I32, I32], [], [0, 1, 2, b"\xfc\x08\0" + n],
               lambda s, i, k, z, m=m: s.copy(s.memories[m], i, DATA, k, z, "memory"), "memory init")
        for f, b in enumerate(MEMORIES):
            yield ([a, b, shorter(a, b)], [], [0, 1, 2, b"\xfc\x0a" + n + unsigned(f)],
                   lambda s, i, k, z, m=m, f=f: s.copy(s.memories[m], i, s.memories[f], k, z, "memory"), "memory copy")


# Ways through code that accesses what is near two locals, P and Q, and changes them: an engine may know of one access
# what the other has shown. BITS decides about branches.
P, Q, BITS, COUNT, SUM = range(5)
WALKS, WALK = 400, [I64, I64, I32, I32, I64]
STEPS = [0, 0, 0, 1, -1, 8, -8, 100, -100, 4096, -4096, PAGE, -PAGE]
LARGE = [1 << 20, -(1 << 20), -(1 << 20) - 1, -(1 << 20) - PAGE, (2 << 30) - PAGE, (2 << 30) - 1, -(2 << 30), 1 << 32,
         6 << 30, 1 << 40, 1 << 63]


def get(local):
    return b"\x20" + unsigned(local)


def add(local, k):
    return get(local) + b"\x42" + signed(k if k < 1 << 63 else k - (1 << 64)) + b"\x7c"


def walk(dice, m, depth=3):
    """Code, and the function that does the same to a state and locals."""
    code, does = b"", []
    for _ in range(dice.randrange(2, 7)):
        how, local, k = dice.random(), dice.choice([P, P, Q]), dice.choice(STEPS if dice.random() < .8 else LARGE)
        if how < .1:
            scale, at = dice.randrange(4), b"\x40" + unsigned(m) + b"\0"
            code += (get(SUM) + get(BITS) + b"\xad\x42" + signed(scale) + b"\x86\x31" + at + b"\x7c\x21"
                     + unsigned(SUM))

            def element(s, v, scale=scale):
                v[SUM] = (v[SUM] + s.load(m, v[BITS] << scale, 1)) % 2**64
            does.append(element)
        elif how < .55 or not depth:
            o, size, keep = dice.choice([0, 0, 0, 1, 8, 65535]), dice.choice([1, 8]), dice.random() < .3
            at = b"\x40" + unsigned(m) + unsigned(o)
            code += get(SUM) + add(local, k) + (b"\x22" + unsigned(local) if keep else b"")
            code += (b"\x31" if size == 1 else b"\x29") + at + b"\x7c\x21" + unsigned(SUM)

            def access(s, v, local=local, k=k, o=o, size=size, keep=keep):
                address = (v[local] + k) % 2**64
                v[local] = address if keep else v[local]
                v[SUM] = (v[SUM] + s.load(m, address + o, size)) % 2**64
            does.append(access)
        elif how < .75:
            to = P + Q - local if dice.random() < .5 else local
            k = dice.choice(LARGE) if dice.random() < .4 else k
            narrow = dice.random() < .2
            code += add(local, k) + (b"\xa7\xad" if narrow else b"") + b"\x21" + unsigned(to)

            def change(_, v, local=local, k=k, to=to, narrow=narrow):
                v[to] = (v[local] + k) % (2**32 if narrow else 2**64)
            does.append(change)
        elif how < .85:
            bit, arms = 1 << dice.randrange(10), [walk(dice, m, depth - 1) for _ in range(2)]
            test = get(BITS) + b"\x41" + signed(bit) + b"\x71"
            block = dice.random() < .5  # that is left in the middle
            code += (b"\x02\x40" + arms[0][0] + test + b"\x0d\0" + arms[1][0] if block else
                     test + b"\x04\x40" + arms[0][0] + b"\x05" + arms[1][0]) + b"\x0b"

            def branch(s, v, bit=bit, arms=arms, block=block):
                if block or v[BITS] & bit:
                    arms[0][1](s, v)
                if not v[BITS] & bit:
                    arms[1][1](s, v)
            does.append(branch)
        elif depth == 3:
            inner, times = walk(dice, m, 2), dice.randrange(1, 4)
            code += (b"\x41" + signed(times) + b"\x21" + unsigned(COUNT) + b"\x03\x40" + inner[0] + get(COUNT)
                     + b"\x41\1\x6b\x22" + unsigned(COUNT) + b"\x0d\0\x0b")

            def loop(s, v, inner=inner, times=times):
                for _ in range(times):
                    inner[1](s, v)
            does.append(loop)

    def all_of_it(s, v):
        for each in does:
            each(s, v)
    return code, all_of_it


def walks():
    dice = random.Random(64)
    for i in range(WALKS):
        code, does = walk(dice, MEMORIES.index(I64, i % 2 * 2))

        def meaning(s, *operands, does=does):
            v = list(operands)
            does(s, v)
            return v[SUM]
        yield WALK, [I64], [code + get(SUM)], meaning, "access"


def section(number, content):
    return bytes([number]) + unsigned(len(content)) + content


def body(code):
    content = b"\0" + b"".join(c if isinstance(c, bytes) else b"\x20" + unsigned(c) for c in code) + b"\x0b"
    return unsigned(len(content)) + content


def limits(address, least, most):
    return bytes([1 if address == I32 else 5]) + unsigned(least) + unsigned(most)


def module(all_operations):
    types = [b"\x60\0\1\x7f"]
    functions = [(0, [b"\x41" + signed(i)]) for i in range(ELEMENTS)]
    for parameters, results, code, _, _ in all_operations:
        functions.append((len(types), code))
        types.append(b"\x60" + vector([bytes([t]) for t in parameters]) + vector([bytes([t]) for t in results]))
    numbers = vector([unsigned(i) for i in range(ELEMENTS)])
    exports = [f"{i}".encode() for i in range(len(all_operations))]
    return b"\0asm\1\0\0\0" + b"".join([
        section(1, vector(types)), section(3, vector([unsigned(t) for t, _ in functions])),
        section(4, vector([b"\x70" + limits(a, ELEMENTS, TABLE_MOST) for a in [*TABLES, I32]])),
        section(5, vector([limits(a, 1, MEMORY_MOST) for a in MEMORIES])),
        section(7, vector([unsigned(len(name)) + name + b"\0" + unsigned(ELEMENTS + i) for i, name in enumerate(exports)])),
        section(9, vector([b"\2" + unsigned(SOURCE) + b"\x41\0\x0b\0" + numbers, b"\1\0" + numbers])),
        section(12, b"\1"), section(10, vector([body(code) for _, code in functions])),
        section(11, vector([b"\1" + unsigned(len(DATA)) + DATA]))])


def operand(dice, kind, near):
    """Mostly such as work, or just do not."""
    how, most = dice.random(), 2**32 if kind == I32 else 2**64
    if how < .5:
        return dice.randrange(near + 3)
    if how < .7:
        return (near + dice.randrange(-10, 10)) % most
    if how < .85:
        return (dice.choice([1 << 31, 1 << 32, 1 << 33, 1 << 63, 2**32 - PAGE, 2**64 - PAGE])
                + dice.randrange(-12, 12)) % most
    if how < .95:
        return ((dice.randrange(1, 5) << 32) + dice.randrange(near + 2)) % most
    return dice.randrange(most)


def operands(dice, state, parameters, about):
    memory = about == "access" or about.startswith("memory")
    near = dice.choice([len(DATA), PAGE, 2 * PAGE, 3 * PAGE] if memory else [ELEMENTS, len(state.tables[0])])
    found = [operand(dice, kind, near) for kind in parameters]
    if about.endswith(("fill", "copy")) and dice.random() < .6:
        found[-1] = dice.randrange(min(near, 300))
    if about in ("set", "fill") and dice.random() < .8:
        found[1] = dice.randrange(ELEMENTS)
    if about == "grow":
        found[0] = dice.randrange(ELEMENTS)
    if about.endswith("grow") and dice.random() < .5:
        found[-1] = dice.randrange(3)
    return found


def script(path, seed, count):
    """Writes PATH, and the module that it names beside it."""
    dice, state, known = random.Random(seed), State(), [*operations(), *walks()]
    path.with_suffix(".wasm").write_bytes(module(known))
    commands = [{"type": "module", "line": 1, "filename": path.with_suffix(".wasm").name}]
    for line in range(2, count + 2):
        i = dice.randrange(len(known))
        parameters, results, _, meaning, about = known[i]
        found = operands(dice, state, parameters, about)
        command = {"line": line, "action": {
            "type": "invoke", "field": str(i),
            "args": [{"type": NAMES[kind], "value": str(value)} for kind, value in zip(parameters, found)]}}
        try:
            value = meaning(state, *found)
            command |= {"type": "assert_return", "expected": [
                {"type": NAMES[kind], "value": str(value % (2**32 if kind == I32 else 2**64))} for kind in results]}
        except Trap as trap:
            command |= {"type": "assert_trap", "text": str(trap), "expected": [{"type": NAMES[kind]} for kind in results]}
        commands.append(command)
    path.write_text(json.dumps({"source_filename": path.stem, "commands": commands}))
