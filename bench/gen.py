#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Makes big modules out of small ones, to see whether a compiler is linear in its input.

    gen.py repeat IN.wasm OUT.wasm BYTES   the functions of IN over and over, up to BYTES of code
    gen.py nested OUT.wasm DEPTH           one function of blocks DEPTH deep, with branches

`repeat` keeps every section but the custom ones and appends copies of all functions: the copies
call the original functions, use the original globals and tables, and are never called themselves.
"""
import sys

MAGIC = b"\0asm\1\0\0\0"
TYPE, FUNCTION, EXPORT, CODE = 1, 3, 7, 10
CUSTOM = 0
MAX_FUNCTIONS = 900_000  # the JS API allows a million


def uleb(value):
    out = bytearray()
    while True:
        byte = value & 0x7F
        value >>= 7
        if value == 0:
            out.append(byte)
            return bytes(out)
        out.append(byte | 0x80)


def read_uleb(data, at):
    value = shift = 0
    while True:
        byte = data[at]
        at += 1
        value |= (byte & 0x7F) << shift
        shift += 7
        if byte < 0x80:
            return value, at


def sections(data):
    """Yields (id, payload) of each section."""
    if data[:8] != MAGIC:
        raise ValueError("not a WebAssembly module")
    at = 8
    while at < len(data):
        ident = data[at]
        size, start = read_uleb(data, at + 1)
        yield ident, data[start:start + size]
        at = start + size


def section(ident, payload):
    return bytes([ident]) + uleb(len(payload)) + payload


def code_bytes(data):
    """Size of the code section's contents."""
    return sum(len(payload) for ident, payload in sections(data) if ident == CODE)


def repeat(data, target):
    """The module `data` with its functions repeated up to `target` bytes of code."""
    parts = [part for part in sections(data) if part[0] != CUSTOM]
    functions = dict(parts)[CODE]
    count, start = read_uleb(functions, 0)
    times = max(1, min(target // (len(functions) - start), MAX_FUNCTIONS // count))
    out = [MAGIC]
    for ident, payload in parts:
        if ident in (FUNCTION, CODE):
            _, start = read_uleb(payload, 0)
            payload = uleb(count * times) + payload[start:] * times
        out.append(section(ident, payload))
    return b"".join(out)


def nested(depth):
    """One exported function: `depth` blocks opened, then a conditional branch before each end."""
    body = bytearray(b"\0")  # no locals
    body += b"\x02\x40" * depth
    for level in range(depth, 0, -1):
        body += b"\x20\x00\x0d" + uleb(level // 2) + b"\x0b"
    body += b"\x0b"
    return b"".join([
        MAGIC,
        section(TYPE, b"\1\x60\1\x7f\0"),
        section(FUNCTION, b"\1\0"),
        section(EXPORT, b"\1\1f\0\0"),
        section(CODE, b"\1" + uleb(len(body)) + bytes(body)),
    ])


def main(argv):
    if len(argv) == 5 and argv[1] == "repeat":
        with open(argv[2], "rb") as source:
            module = repeat(source.read(), int(argv[4]))
        target = argv[3]
    elif len(argv) == 4 and argv[1] == "nested":
        module = nested(int(argv[3]))
        target = argv[2]
    else:
        print(__doc__, file=sys.stderr)
        return 2
    with open(target, "wb") as out:
        out.write(module)
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv))
