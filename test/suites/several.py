# SPDX-License-Identifier: MIT
"""Modules about instructions that `fast` compiles several at once, and about operands in the frame.

regress.py runs them on all engines. What a function computes goes into one number, so that an engine
that has any of it otherwise is found out; those called "... past the end" trap.
"""
import itertools

WIDER = ("i16x8.extend_{}_i8x16_{}", "i32x4.extend_{}_i16x8_{}", "i64x2.extend_{}_i32x4_{}")
TAKERS = ("i8x16.add i16x8.sub i32x4.mul v128.xor v128.andnot i8x16.gt_s i8x16.lt_s i16x8.le_u i32x4.ge_s f32x4.add "
          "f64x2.sub f32x4.lt f64x2.gt f32x4.ne f32x4.pmin i8x16.narrow_i16x8_u i32x4.dot_i16x8_s i8x16.add_sat_s "
          "i8x16.avgr_u i16x8.q15mulr_sat_s i64x2.ne").split()
# 100 and more are bytes of the second operand.
SHUFFLES = {
    "interleaved": "0 100 1 101 2 102 3 103 4 104 5 105 6 106 7 107",
    "interleaved, of the second": "108 109 8 9 110 111 10 11 112 113 12 13 114 115 14 15",
    "interleaved quads": "8 9 10 11 12 13 14 15 108 109 110 111 112 113 114 115",
    "blended": "0 1 102 103 4 5 106 107 108 109 10 11 112 113 14 15",
    "in a row": "1 2 3 4 5 6 7 8 9 10 11 12 13 14 15 100",
    "in a row, of the second": "105 106 107 108 109 110 111 112 113 114 115 0 1 2 3 4",
    "doubles": "4 5 6 7 0 1 2 3 112 113 114 115 100 101 102 103",
    "doubles, of the second": "104 105 106 107 104 105 106 107 12 13 14 15 0 1 2 3",
    "any": "3 115 0 100 7 7 106 9 114 1 15 101 12 112 5 104",
    "any, of the second": "103 15 100 0 107 107 6 109 14 101 115 1 112 12 105 4",
    "of one": "3 2 1 0 7 6 5 4 11 10 9 8 15 14 13 12",
    "of the other": "100 100 100 100 100 100 100 100 115 115 115 115 115 115 115 115",
}
SWIZZLES = ("15 0 16 255 128 1 127 14 17 32 8 143 3 112 11 16", "0 1 2 3 4 5 6 7 8 9 10 11 12 13 14 15", "16 " * 16)
HEAD = """(module (memory 1 1)
  (data (i32.const 0) "{}") (data (i32.const 65504) "{}")
  (func $sum (param $v v128) (result i64)
    (i64.add (i64.mul (i64x2.extract_lane 0 (local.get $v)) (i64.const 0x9e3779b97f4a7c15))
             (i64x2.extract_lane 1 (local.get $v))))
""".format(*("".join(f"\\{(i * k + i // 3) % 256:02x}" for i in range(32)) for k in (0x4d, 0xa7)))
VECTORS = """(local $a v128) (local $b v128) (local $c v128)
    (local.set $a (v128.const i32x4 0x80ff7f01 0x04837e05 0xfe81fd06 0x00fcfb87))
    (local.set $b (v128.const i64x2 0x8001fffe7ffd0203 0xc0deff80817f00aa))"""


def function(name, value, before="", param="i32", kind="i64", local=VECTORS):
    return f"""(func (export "{name}") (param $p {param}) (result {kind}) {local} {before} {value})\n"""


def mixed(values, kind="i64"):
    """All of them in one."""
    mix, *rest = values
    for value in rest:
        mix = f"({kind}.xor ({kind}.rotl {mix} ({kind}.const 5))\n {value})"
    return mix


def loop(rounds, body):
    return f"""(local.set $n (i32.const 0))
    (loop $l {body} (br_if $l (i32.lt_u (local.tee $n (i32.add (local.get $n) (i32.const 1))) (i32.const {rounds}))))"""


def vector(value):
    return f"(call $sum {value})"


def wider(first, ways, value):
    for i, way in enumerate(ways):
        value = f"({WIDER[first + i].format(*way)} {value})"
    return value


def taken():
    """A vector that is loaded, by what comes next."""
    for op in TAKERS:
        values = []
        for at in ("(i32.and (local.get $p) (i32.const 15))", "(i32.const 65520)"):
            both = f"({op} (local.get $a) (v128.load {at}))"
            values += [vector(v) for v in (both, f"({op} (v128.load {at}) (local.get $b))", f"(local.tee $a {both})",
                                           f"(local.tee $b {both})", "(local.get $a)", "(local.get $b)")]
        yield function(op, mixed(values))
        yield function(f"{op} past the end",
                       vector(f"({op} (local.get $a) (v128.load offset=1 (i32.const 65520)))"))


def widened():
    """Lanes made wider once to three times, of a register and of what is loaded."""
    ways = list(itertools.product(("low", "high"), "su"))
    for first, times in ((f, t) for f in range(3) for t in range(1, 4 - f)):
        chains = list(itertools.product(ways, repeat=times))
        name = f"wider {first} {times}"
        yield function(name, mixed(vector(v) for c in chains for v in (wider(first, c, "(local.get $a)"), (
            f"(local.tee $b {wider(first, c, '(local.get $a)')})"))))
        for bits in (32, 64):
            load, end = f"(v128.load{bits}_zero {{}}(i32.const {{}}))", 65536 - bits // 8
            yield function(f"{name} load{bits}", mixed(
                vector(wider(first, c, load.format("", at))) for c in chains for at in (3, end)))
            yield function(f"{name} load{bits} past the end",
                           vector(wider(first, [("low", "u")] * times, load.format("offset=1 ", end))))


def shuffled():
    """Into locals that are operands, and into others."""
    for name, lanes in SHUFFLES.items():
        lanes = " ".join(str(int(lane) % 100 + int(lane) // 100 * 16) for lane in lanes.split())
        both = f"(i8x16.shuffle {lanes} (local.get $a) (local.get $b))"
        turn = "(local.set $a (i8x16.add (local.get $a) (local.get $b)))"
        loops = [loop(3, f"{do} {turn}") for do in (
            f"(local.set $a {both})", f"(local.set $b {both})",
            f"(local.set $c {both}) (local.set $b (v128.xor (local.get $b) (local.get $c)))",
            f"(local.set $a (i8x16.shuffle {lanes} (local.get $a) (local.get $a)))")]
        yield function(f"shuffle {name}", mixed(vector(f"(local.get ${v})") for v in "abc"), " ".join(loops),
                       local=f"(local $n i32) {VECTORS}")
    for i, lanes in enumerate(SWIZZLES):
        mask = f"(v128.const i8x16 {lanes})"
        yield function(f"swizzle {i}", mixed(vector(v) for v in (
            f"(local.tee $b (i8x16.swizzle (local.get $a) {mask}))", "(local.get $a)",
            f"(i8x16.swizzle {mask} (local.get $b))", f"(local.tee $a (i8x16.swizzle (local.get $a) {mask}))")))


def extended():
    """An i32 that is loaded and becomes an i64."""
    for load, size in (("load", 4), ("load8_u", 1), ("load16_u", 2), ("load8_s", 1), ("load16_s", 2)):
        for sign in "su":
            value = f"(i64.extend_i32_{sign} (i32.{load} {{}}))"
            end = value.format(f"(i32.const {65536 - size})")
            yield function(f"{load} {sign}", mixed([end, "(local.get $s)"]), loop(9, f"""
                (local.set $v {value.format("(local.get $n)")})
                (local.set $s (i64.add (i64.rotl (local.get $s) (i64.const 9)) (i64.mul (local.get $v) (local.get $v))))
                (local.set $s (i64.xor (local.get $s) {value.format(
                    "offset=1 (i32.shl (i32.and (local.get $n) (i32.const 3)) (i32.const 1))")}))
                (if (i64.lt_s {value.format("(local.get $n)")} (i64.const 5))
                    (then (local.set $s (i64.add (local.get $s) (i64.const 77)))))"""),
                           local="(local $n i32) (local $s i64) (local $v i64)")
            yield function(f"{load} {sign} past the end", value.format(f"(i32.const {65537 - size})"), local="")


def in_the_frame():
    """Parts and products of locals, more than there are registers."""
    many = 16
    for kind, op, more in (
            *(("i64", "and", f"(i64.const {mask})") for mask in (0xffffffff, 0xffff, 0xff, 0x7fffffff)),
            *(("i32", "and", f"(i32.const {mask})") for mask in (0xffffffff, 0xffff, 0xff)),
            ("i64", "mul", "(local.get $x{})"), ("i32", "mul", "(local.get $x{})")):
        body = ""
        for i in range(many):
            b, c, d = (i * 5 + 3) % many, (i * 7 + 1) % many, (i * 3 + 2) % many
            part = f"({kind}.{op} (local.get $x{b}) {more.format(c)})"
            body += f"""(local.set $x{i} ({kind}.add {part} (local.get $x{d})))
                (if ({kind}.eqz {part}) (then (local.set $x{c} ({kind}.const 9))))""" if i % 4 == 1 else (
                    f"(local.set $x{i} ({kind}.add {part} ({kind}.mul (local.get $x{d}) (local.get $x{i}))))")
            body += f"(local.set $x{c} {part})" if i % 3 == 0 else ""
        local = "(local $n i32)" + "".join(f"(local $x{i} {kind})" for i in range(many)) + "".join(
            f"(local.set $x{i} ({kind}.add (local.get $p) ({kind}.const {i * 0x1234567 + 1})))" for i in range(many))
        yield function(f"{kind} {op} {more}", mixed((f"(local.get $x{i})" for i in range(many)), kind), loop(4, body),
                       param=kind, kind=kind, local=local)


def vectors():
    return HEAD + "".join([*taken(), *widened(), *shuffled()]) + ")"


def integers():
    return HEAD + "".join([*extended(), *in_the_frame()]) + ")"
