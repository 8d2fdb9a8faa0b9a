# SPDX-License-Identifier: MIT
"""Programs that make objects, as modules: no compiler on hand emits structs and arrays, so this is an
assembler for two of them.

Each is a WASI command that prints a check sum, and on stderr the time that it took, as the programs of
bench/prog do. `trees` is Boehm's benchmark of binary trees: one that lives throughout, and beside it
many short ones. `map` is a hash map with chained entries and arrays of bytes as values: keys come and
go, and the table doubles.
"""
I32, I64, I8 = 0x7f, 0x7e, 0x78
BLOCK, VOID = 0x02, 0x40


def leb(n):
    out = bytearray()
    while True:
        byte, n = n & 0x7f, n >> 7
        if not n:
            return bytes([*out, byte])
        out.append(byte | 0x80)


def sleb(n):
    out = bytearray()
    while True:
        byte, n = n & 0x7f, n >> 7
        if n == (-1 if byte & 0x40 else 0):
            return bytes([*out, byte])
        out.append(byte | 0x80)


def vector(items):
    return leb(len(items)) + b"".join(items)


def ref(index, null=True):
    return bytes([0x63 if null else 0x64]) + sleb(index)


def value(t):
    return bytes([t]) if isinstance(t, int) else t


def function_type(params, results):
    return b"\x60" + vector([value(t) for t in params]) + vector([value(t) for t in results])


def struct_type(fields):
    return b"\x5f" + vector([value(t) + b"\1" for t in fields])


def array_type(element):
    return b"\x5e" + value(element) + b"\1"


# --- Instructions: bytes, operands first

OPS = {"unreachable": 0x00, "else": 0x05, "end": 0x0b, "return": 0x0f, "drop": 0x1a, "i32.eqz": 0x45, "i32.eq": 0x46,
       "i32.ne": 0x47, "i32.lt_u": 0x49, "i32.gt_u": 0x4b, "i32.ge_u": 0x4f, "i64.eqz": 0x50, "i32.add": 0x6a,
       "i32.sub": 0x6b, "i32.mul": 0x6c, "i32.and": 0x71, "i32.xor": 0x73, "i32.shl": 0x74, "i32.shr_u": 0x76,
       "i64.add": 0x7c, "i64.sub": 0x7d, "i64.div_u": 0x80, "i64.rem_u": 0x82, "i32.wrap_i64": 0xa7,
       "i64.extend_i32_u": 0xad, "ref.is_null": 0xd1, "ref.as_non_null": 0xd4}


def op(name, *operands):
    return b"".join(operands) + bytes([OPS[name]])


def const(n):
    return b"\x41" + sleb(n)


def const64(n):
    return b"\x42" + sleb(n)


def get(local):
    return b"\x20" + leb(local)


def put(local, x):
    return x + b"\x21" + leb(local)


def tee(local, x):
    return x + b"\x22" + leb(local)


def call(function, *operands):
    return b"".join(operands) + b"\x10" + leb(function)


def null(t):
    return b"\xd0" + sleb(t)


def new(t, *fields):
    return b"".join(fields) + b"\xfb\x00" + leb(t)


def field(t, n, x):
    return x + b"\xfb\x02" + leb(t) + leb(n)


def set_field(t, n, x, v):
    return x + v + b"\xfb\x05" + leb(t) + leb(n)


def new_array(t, n):
    return n + b"\xfb\x07" + leb(t)


def filled_array(t, v, n):
    return v + n + b"\xfb\x06" + leb(t)


def element(t, x, i):
    return x + i + b"\xfb\x0b" + leb(t)


def byte_element(t, x, i):
    return x + i + b"\xfb\x0d" + leb(t)


def set_element(t, x, i, v):
    return x + i + v + b"\xfb\x0e" + leb(t)


def length(x):
    return x + b"\xfb\x0f"


def if_(condition, then, other=None, t=VOID):
    return condition + bytes([0x04]) + value(t) + then + (b"\x05" + other if other else b"") + b"\x0b"


def while_(condition, *body):
    return (b"\x02\x40\x03\x40" + condition + b"\x45\x0d\1" + b"".join(body) + b"\x0c\0\x0b\x0b")


def add_to(local, n):
    return put(local, op("i32.add", get(local), const(n)))


# --- Modules

class Module:
    """Functions are numbered as they are declared; the first are what the frame of every program is."""

    def __init__(self):
        self.types, self.functions, self.bodies = [], [], []
        command = self.type(function_type([], []))
        write = self.type(function_type([I32] * 4, [I32]))
        clock = self.type(function_type([I32, I64, I32], [I32]))
        self.imports = [(b"fd_write", write), (b"clock_time_get", clock)]
        self.print = self.function([I32, I64, I32], [])
        self.start = self.function([], [], command)

    def type(self, t):
        self.types.append(t)
        return len(self.types) - 1

    def function(self, params, results, t=None):
        self.functions.append(self.type(function_type(params, results)) if t is None else t)
        self.bodies.append(None)
        return len(self.imports) + len(self.functions) - 1

    def body(self, function, local_types, *code):
        decls = vector([leb(1) + value(t) for t in local_types])
        whole = decls + b"".join(code) + b"\x0b"
        self.bodies[function - len(self.imports)] = leb(len(whole)) + whole

    def finish(self, work):
        """`work` is code that leaves an i64 on the stack."""
        self.print_number()
        now = call(1, const(2), const64(0), const(64)) + op("drop") + const(64) + b"\x29\3\0"
        self.body(self.start, [I64, I64], put(0, now), put(1, work), put(0, op("i64.sub", now, get(0))),
                  call(self.print, const(1), get(1), const(0)), call(self.print, const(2), get(0), const(8)))

        def section(number, content):
            return bytes([number]) + leb(len(content)) + content

        name = b"wasi_snapshot_preview1"
        imports = [leb(len(name)) + name + leb(len(n)) + n + b"\0" + leb(t) for n, t in self.imports]
        exports = [b"\6memory\2\0", b"\6_start\0" + leb(self.start)]
        return (b"\0asm\1\0\0\0" + section(1, vector(self.types)) + section(2, vector(imports))
                + section(3, vector([leb(t) for t in self.functions])) + section(5, b"\1\0\1")
                + section(7, vector(exports)) + section(10, vector(self.bodies))
                + section(11, b"\1\0" + const(120) + b"\x0b" + leb(8) + b"time_ns "))

    def print_number(self):
        """print(file, n, skip): the last `skip` bytes in front of it, the number and a line's end. It is
        written backwards from address 199 on; what is in front of it is copied."""
        digits = (put(3, const(199)) + const(199) + const(10) + b"\x3a\0\0"
                  + b"\x03\x40" + put(3, op("i32.sub", get(3), const(1))) + get(3)
                  + op("i32.add", op("i32.wrap_i64", op("i64.rem_u", get(1), const64(10))), const(48)) + b"\x3a\0\0"
                  + put(1, op("i64.div_u", get(1), const64(10)))
                  + op("i32.eqz", op("i64.eqz", get(1))) + b"\x0d\0\x0b")
        prefix = put(3, op("i32.sub", get(3), get(2))) + get(3) + const(120) + get(2) + b"\xfc\x0a\0\0"
        write = (const(0) + get(3) + b"\x36\2\0" + const(4) + op("i32.sub", const(200), get(3)) + b"\x36\2\0"
                 + call(0, get(0), const(0), const(1), const(8)) + op("drop"))
        self.body(self.print, [I32], digits, prefix, write)


def trees(scale):
    """Depths from 4 to 16; at scale 1 some 70 million nodes."""
    m = Module()
    node = len(m.types)
    m.type(struct_type([ref(node), ref(node)]))
    make = m.function([I32], [ref(node, False)])
    count = m.function([ref(node)], [I32])
    run = m.function([], [I64])
    less = op("i32.sub", get(0), const(1))
    m.body(make, [], if_(get(0), new(node, call(make, less), call(make, less)),
                         new(node, null(node), null(node)), ref(node, False)))
    left, right = field(node, 0, get(0)), field(node, 1, get(0))
    m.body(count, [], if_(op("ref.is_null", left), const(1),
                          op("i32.add", op("i32.add", call(count, left), call(count, right)), const(1)), I32))
    depth, i, many, long, total = 0, 1, 2, 3, 4
    times = max(1, int(64 * scale))
    many_of = op("i32.mul", op("i32.shl", const(1), op("i32.sub", const(16), get(depth))), const(times))
    m.body(run, [I32, I32, I32, ref(node), I64], put(long, call(make, const(16))), put(depth, const(4)),
           while_(op("i32.lt_u", get(depth), const(17)), put(many, many_of), put(i, const(0)),
                  while_(op("i32.lt_u", get(i), get(many)),
                         put(total, op("i64.add", get(total), op("i64.extend_i32_u", call(count, call(make, get(depth)))))),
                         add_to(i, 1)),
                  add_to(depth, 4)),
           op("i64.add", get(total), op("i64.extend_i32_u", call(count, get(long)))))
    return m.finish(call(run))


def hash_map(scale):
    """Keys of 2^18 at random, of which each is put, found or removed; at scale 1 some eight million times."""
    m = Module()
    text = m.type(array_type(I8))
    entry = len(m.types)
    m.type(struct_type([I32, ref(text), ref(entry)]))
    table = m.type(array_type(ref(entry)))
    maps = m.type(struct_type([ref(table), I32]))
    find = m.function([ref(maps), I32], [ref(entry)])
    put_key = m.function([ref(maps), I32, I32], [])
    remove = m.function([ref(maps), I32], [])
    double = m.function([ref(maps)], [])
    run = m.function([], [I64])

    def bucket(t, key):
        mixed = op("i32.mul", key, const(-1640531527))
        return op("i32.and", op("i32.shr_u", mixed, const(12)), op("i32.sub", length(get(t)), const(1)))

    m.body(find, [ref(table), ref(entry)], put(2, field(maps, 0, get(0))),
           put(3, element(table, get(2), bucket(2, get(1)))),
           while_(op("i32.eqz", op("ref.is_null", get(3))),
                  if_(op("i32.eq", field(entry, 0, get(3)), get(1)), get(3) + op("return")),
                  put(3, field(entry, 2, get(3)))),
           null(entry))
    value_of = filled_array(text, get(1), op("i32.add", const(8), op("i32.and", get(2), const(31))))
    m.body(put_key, [ref(entry), ref(table), I32], put(3, call(find, get(0), get(1))),
           if_(op("ref.is_null", get(3)),
               if_(op("i32.gt_u", field(maps, 1, get(0)), length(field(maps, 0, get(0)))), call(double, get(0)))
               + put(4, field(maps, 0, get(0))) + put(5, bucket(4, get(1)))
               + set_element(table, get(4), get(5), new(entry, get(1), value_of, element(table, get(4), get(5))))
               + set_field(maps, 1, get(0), op("i32.add", field(maps, 1, get(0)), const(1))),
               set_field(entry, 1, get(3), value_of)))
    m.body(remove, [ref(table), I32, ref(entry), ref(entry)], put(2, field(maps, 0, get(0))),
           put(3, bucket(2, get(1))), put(4, element(table, get(2), get(3))),
           while_(op("i32.eqz", op("ref.is_null", get(4))),
                  if_(op("i32.eq", field(entry, 0, get(4)), get(1)),
                      if_(op("ref.is_null", get(5)), set_element(table, get(2), get(3), field(entry, 2, get(4))),
                          set_field(entry, 2, get(5), field(entry, 2, get(4))))
                      + set_field(maps, 1, get(0), op("i32.sub", field(maps, 1, get(0)), const(1))) + op("return")),
                  put(5, get(4)), put(4, field(entry, 2, get(4)))))
    old, new_, i, e, rest, b = 1, 2, 3, 4, 5, 6
    m.body(double, [ref(table), ref(table), I32, ref(entry), ref(entry), I32], put(old, field(maps, 0, get(0))),
           put(new_, new_array(table, op("i32.shl", length(get(old)), const(1)))),
           while_(op("i32.lt_u", get(i), length(get(old))), put(e, element(table, get(old), get(i))),
                  while_(op("i32.eqz", op("ref.is_null", get(e))), put(rest, field(entry, 2, get(e))),
                         put(b, bucket(new_, field(entry, 0, get(e)))),
                         set_field(entry, 2, get(e), element(table, get(new_), get(b))),
                         set_element(table, get(new_), get(b), get(e)), put(e, get(rest))),
                  add_to(i, 1)),
           set_field(maps, 0, get(0), get(new_)))
    state, n, key, whole, total, found = 0, 1, 2, 3, 4, 5

    def shift(name, by):
        return put(state, op("i32.xor", get(state), op(name, get(state), const(by))))

    count = op("i64.extend_i32_u", op("i32.add", length(field(entry, 1, get(found))),
                                      byte_element(text, field(entry, 1, get(found)), const(5))))
    m.body(run, [I32, I32, I32, ref(maps), I64, ref(entry)], put(state, const(12345)),
           put(whole, new(maps, new_array(table, const(16)), const(0))),
           while_(op("i32.lt_u", get(n), const(max(1, int(8000000 * scale)))),
                  shift("i32.shl", 13), shift("i32.shr_u", 17), shift("i32.shl", 5),
                  put(key, op("i32.and", get(state), const((1 << 18) - 1))),
                  if_(op("i32.and", op("i32.shr_u", get(state), const(20)), const(3)),
                      call(put_key, get(whole), get(key), get(state)),
                      call(remove, get(whole), get(key))),
                  put(found, call(find, get(whole), op("i32.xor", get(key), const(1)))),
                  if_(op("i32.eqz", op("ref.is_null", get(found))), put(total, op("i64.add", get(total), count))),
                  add_to(n, 1)),
           op("i64.add", get(total), op("i64.extend_i32_u", field(maps, 1, get(whole)))))
    return m.finish(call(run))


PROGRAMS = {"trees": trees, "map": hash_map}
