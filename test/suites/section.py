# SPDX-License-Identifier: MIT
"""Custom sections of modules."""
from . import base

SECTION_CUSTOM, NAMES_OF_FUNCTIONS = 0, 1


def leb(n):
    out = bytearray()
    while n >= 0x80:
        out.append(n & 0x7f | 0x80)
        n >>= 7
    return bytes(out + bytes([n]))


class Reader:
    def __init__(self, data, at=0):
        self.data, self.at = data, at

    def number(self):
        n = shift = 0
        while True:
            byte = self.data[self.at]
            self.at += 1
            n |= (byte & 0x7f) << shift
            shift += 7
            if byte < 0x80:
                return n

    def bytes(self):
        n = self.number()
        self.at += n
        return self.data[self.at - n:self.at]

    def parts(self):
        """Numbers, and bytes of a length that precedes them, to the end: sections are that."""
        while self.at < len(self.data):
            yield self.number(), Reader(self.bytes())


def functions(module):
    """name -> index, from the section "name"."""
    for number, section in Reader(module, 8).parts():
        if number == SECTION_CUSTOM and section.bytes() == b"name":
            for kind, names in section.parts():
                if kind == NAMES_OF_FUNCTIONS:
                    pairs = [(names.number(), names.bytes()) for _ in range(names.number())]
                    return {name.decode(): index for index, name in pairs}
    return {}


def custom(name, content):
    content = leb(len(name)) + name + content
    return bytes([SECTION_CUSTOM]) + leb(len(content)) + content


def add_noswitch(wasm, names):
    """Puts a section nebulet.noswitch at the end of a file, with these functions, which it has names for."""
    module = wasm.read_bytes()
    known = functions(module)
    missing = [name for name in names if name not in known]
    if missing:
        raise base.Failed(f"{wasm.name} has no function {', '.join(missing)}")
    content = leb(len(names)) + b"".join(leb(known[n]) for n in names)
    wasm.write_bytes(module + custom(b"nebulet.noswitch", content))
