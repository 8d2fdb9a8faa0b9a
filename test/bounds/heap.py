# SPDX-License-Identifier: MIT
"""A heap that takes long to look through: a chain of many links, then an array of as many references, and
all of it dropped. Put together by what the suite `objects` has for that."""
from suites.objects import I32, Module, field, get, i32, op, ref, struct_of, array_of

MANY = 200000
NODE, ARRAY = 0, 1
node, nodes = ref(("type", NODE)), ref(("type", ARRAY))
CHAIN, WIDE, I = 0, 1, 2


def put(local):
    return op("local.set", local)



def times(n, *code):
    return (i32(0) + put(I) + b"\x03\x40" + b"".join(code) + get(I) + i32(1) + op("i32.add")
            + op("local.tee", I) + i32(n) + op("i32.lt_u") + b"\x0d\x00\x0b")


m = Module(struct_of(field(node), field(node)), array_of(field(node)))
m.func("_start", [], [],
       times(MANY, get(CHAIN), op("ref.null", bytes([NODE])), op("struct.new", NODE), put(CHAIN)),
       i32(MANY), op("array.new_default", ARRAY), put(WIDE),
       times(MANY, get(WIDE), get(I), get(CHAIN), op("ref.null", bytes([NODE])), op("struct.new", NODE),
             op("array.set", ARRAY)),
       op("ref.null", bytes([NODE])), put(CHAIN), op("ref.null", bytes([ARRAY])), put(WIDE),
       times(3 * MANY, op("struct.new_default", NODE), op("drop")),
       locals=[node, nodes, I32])
MODULE = m.bytes()
