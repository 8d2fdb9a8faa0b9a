# SPDX-License-Identifier: MIT
"""What fuzzing has found, test/fuzz/regress: drop a module in, named after what went wrong.

Each runs on all engines at once, and on V8 when there is a node: see test/fuzz/differ.c, which says
how exported functions are called. There are no expected results, the engines must agree.
"""
import re
import shutil

from . import base, chains, dispatch, edges, lanes, pressure, several

SOURCES = base.ROOT / "test/fuzz/regress"
DIFFER = base.ROOT / "build/fuzz/differ"
PLAIN = base.ROOT / "build/fuzz/plain"  # the same for a CPU without AVX
BUILT = base.ROOT / "build/fuzz/regress"
EDGES, CHAINS, LOOPS, LANES = 4000, 2000, 500, 500


def vectors_on_an_edge():
    """An edge out of line that carries many vector constants, and all registers with them."""
    n = 221
    types = " ".join(["v128"] * n)
    constants = "".join(f"(v128.const i64x2 {i * 0x123456789abcdef % 2**64} {i * 0x3123456789abcdef % 2**64})"
                        for i in range(1, n + 1))
    names = [(f"${outer}{i}", f"${inner}{i}", kind) for outer, inner, kind, many in
             (("a", "b", "i64", 8), ("x", "y", "f64", 11)) for i in range(many)]
    local = "".join(f"(local {a} {kind})(local {b} {kind})" for a, b, kind in names)

    def counts(which, times):
        return "".join(f"(local.set {n[which]} ({n[2]}.add (local.get {n[which]}) ({n[2]}.const 1)))"
                       for n in names) * times

    return f"""(module (func (export "f0") (param i32) (result i64) {local}
        {counts(0, 60)} (block (result {types})
            (loop {counts(1, 4)} {constants} local.get 0 br_if 1 {"drop " * n}) {constants})
        {"drop " * (n - 1)} i64x2.extract_lane 0 {counts(0, 1)}))"""


def vector_results():
    """As many results as there may be."""
    return f"""(module (func $f (result {"v128 " * 1000}) {"v128.const i64x2 1 2 " * 1000})
        (func (export "f0") (result i64) call $f {"drop " * 999} i64x2.extract_lane 1))"""


def long_code():
    """Of the shortest instruction that makes the most code."""
    return f"""(module (func (export "f0") (param i32) (result i32)
        local.get 0 i8x16.splat {"i8x16.popcnt " * 40000} i32x4.extract_lane 0))"""


GENERATED = {"vectors_on_an_edge": vectors_on_an_edge, "vector_results": vector_results,
             "long_code": long_code, "several_vectors": several.vectors, "several_integers": several.integers}


def run_generated(name):
    BUILT.mkdir(parents=True, exist_ok=True)
    source = BUILT / f"{name}.wat"
    source.write_text(GENERATED[name]())
    run_regression(source)


def run_regression(source):
    wasm = BUILT / (source.stem + ".wasm")
    batch = wasm.with_suffix(".batch")
    base.run(["wat2wasm", "--debug-names", source, "-o", wasm]).check()
    commands = [[DIFFER, "--batch", batch, wasm]]
    if shutil.which("node"):
        commands.append(["node", base.ROOT / "test/fuzz/v8.mjs", "--keep", BUILT, batch])
    for command in commands:
        result = base.run(command)
        if result.code != 0:
            raise base.Failed(base.excerpt(result.out + result.err))


def every_row(program):
    """All instructions that compute, load or store, where no register is free."""
    wasm = BUILT / f"every_row_{program.name}.wasm"
    content, functions = pressure.module()
    wasm.write_bytes(content)
    agree(program, wasm, functions)


def agree(program, wasm, functions):
    """All engines, on so many functions."""
    result = base.run([program, wasm])
    said = re.search(rb"(\d+) calls, .* 0 cut short, .* 0 failed$", result.out)
    if result.code != 0 or not said or int(said[1]) < 3 * functions:
        raise base.Failed(base.excerpt(result.out + result.err))


def made(maker, seed, functions):
    """A module of so many functions that `maker` makes by chance, on all engines."""
    wasm = BUILT / f"{maker.__name__.rpartition('.')[2]}{seed}.wasm"
    wasm.write_bytes(maker.module(seed, functions))
    for program in (DIFFER, PLAIN):
        agree(program, wasm, functions)


def at_edges(bench, seed):
    """Tables and memories of 32 and 64 bits: both engines are what the model says."""
    script = BUILT / f"edges{seed}.json"
    edges.script(script, seed, EDGES)
    for engine in bench.engines:
        bench.nebulet("wast", "--engine", engine, script).check(0, f"{EDGES + 1} passed, 0 failed, 0 skipped\n".encode())


def cases(bench):
    for program in (DIFFER, PLAIN):
        if not program.exists():
            raise base.Unavailable(f"{program.relative_to(base.ROOT)} is not built")
    BUILT.mkdir(parents=True, exist_ok=True)
    for source in sorted(SOURCES.glob("*.wat")):
        yield base.Case(source.stem, "", lambda s=source: run_regression(s))
    for program in (DIFFER, PLAIN):
        yield base.Case(f"every row without a free register, {program.name}", "", lambda p=program: every_row(p))
    for seed in range(1, 9):
        yield base.Case(f"chains of instructions {seed}", "", lambda s=seed: made(chains, s, CHAINS))
        yield base.Case(f"interpreters' loops {seed}", "", lambda s=seed: made(dispatch, s, LOOPS))
        yield base.Case(f"vectors by lanes {seed}", "", lambda s=seed: made(lanes, s, LANES))
    # A table of labels found no register free behind vectors that had been put together.
    yield base.Case("vectors by lanes, no register left", "", lambda: made(lanes, 117, 400))
    for seed in range(1, 5):
        yield base.Case(f"edges of tables and memories, {seed}", "", lambda s=seed: at_edges(bench, s))
    for name in GENERATED:
        yield base.Case(name, "", lambda n=name: run_generated(n))
