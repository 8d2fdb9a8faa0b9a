# SPDX-License-Identifier: MIT
"""How fast modules are validated and compiled, in MB (10^6 bytes) of code section a second, and the
peak memory of the process that does it.

Inputs: the real programs in build/real, one of them multiplied to 30 MB of code, and a function of
blocks nested 100,000 deep: a compiler that is not linear shows on the last two.
"""
import importlib.util
import re
from dataclasses import dataclass

from harness import build, proc, table
from harness.engines import V8

TIME = re.compile(r"^(?:compile|validate)_ns (\d+)", re.MULTILINE)
BIG_BYTES = 30_000_000
NESTED_DEPTH = 100_000
ENGINE = {"validate": "fast"}  # the engine that brings in what is no engine itself


def load_gen():
    """bench/gen.py as a module."""
    spec = importlib.util.spec_from_file_location("gen", build.BENCH / "gen.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


GEN = load_gen()


@dataclass
class Cell:
    """One compiler on one module."""
    ns: int = None
    rss_kb: int = None
    error: str = None


def inputs(dirs, quick):
    """Returns the modules' paths, the generated ones made when they are missing."""
    real = sorted(dirs.real.glob("*.wasm"), key=lambda p: p.stat().st_size)
    if not real:
        build.say("no real programs in build/real: only our own are compiled")
        build.program(dirs, "json")
        real = [dirs.wasm("json")]
    if quick:
        return real
    big, nested = dirs.wasm("big"), dirs.wasm("nested")
    if build.stale(big, real[-1], build.BENCH / "gen.py"):
        big.write_bytes(GEN.repeat(real[-1].read_bytes(), BIG_BYTES))
    if build.stale(nested, build.BENCH / "gen.py"):
        nested.write_bytes(GEN.nested(NESTED_DEPTH))
    return [*real, big, nested]


def program(dirs):
    """The program as it is installed, if `make release` has built that of today."""
    plain, release = dirs.build / "nebulet", dirs.build / "release/nebulet"
    made = [p.stat().st_mtime if p.exists() else 0 for p in (plain, release)]
    return release if made[1] > made[0] else plain


def compilers(dirs):
    """{name: (command without the module, what it needs)}"""
    nebulet, node = program(dirs), dirs.node()
    script = build.BENCH / "compile.mjs"
    return {
        "validate": ([nebulet, "validate", "--time"], nebulet),
        "fast": ([nebulet, "compile", "--time", "--engine", "fast"], nebulet),
        "liftoff": ([node, *V8, "--liftoff-only", "--wasm-num-compilation-tasks=0", script], node),
    }


def run_once(helper, command, cell):
    result, samples = proc.measure(helper, command, 1)
    time = TIME.search(result.stdout + result.stderr)
    if result.code != 0 or time is None:
        cell.error = result.why() if result.code != 0 else "prints no time"
        return
    cell.ns = min(int(time[1]), cell.ns or int(time[1]))
    cell.rss_kb = min(samples[0].rss_kb, cell.rss_kb or samples[0].rss_kb)


def run_module(helper, path, able, reps):
    """All compilers on one module, interleaved; returns {name: Cell}."""
    cells = {name: Cell() for name in able}
    for _ in range(reps):
        for name, command in able.items():
            if not cells[name].error:
                run_once(helper, [*command, path], cells[name])
    return cells


def speed(cell, code):
    if cell.error:
        return "FAIL"
    return table.number(code * 1e3 / cell.ns, 1) if cell.ns else "-"


def memory(cell):
    return table.number(cell.rss_kb / 1e3 if cell.rss_kb else None, 1)


def show(results, sizes, able, notes):
    head = ["module", "wasm MB", "code MB", *(f"{name} MB/s" for name in able),
            *(f"{name} peak MB" for name in able)]
    rows = [[name, table.number(sizes[name][0] / 1e6), table.number(sizes[name][1] / 1e6),
             *(speed(cells[c], sizes[name][1]) for c in able),
             *(memory(cells[c]) for c in able)] for name, cells in results.items()]
    table.show("Compile speed, MB of code section a second, and peak memory", head, rows, notes)


def idle_note(helper, dirs):
    """Node's memory without a module: to be subtracted."""
    _, samples = proc.measure(helper, [dirs.node(), *V8, build.BENCH / "compile.mjs"], 3)
    rss = min((s.rss_kb for s in samples), default=0)
    return f"liftoff's peak includes node itself: {rss / 1e3:.1f} MB before it compiles"


def main(options):
    """Runs the section; returns (what goes into the JSON file, failures)."""
    dirs = options.dirs
    helper = build.measure(dirs)
    paths = inputs(dirs, options.quick)
    known = compilers(dirs)
    known = {name: c for name, c in known.items() if ENGINE.get(name, name) in options.names}
    able = {name: command for name, (command, needs) in known.items() if needs.exists()}
    notes = [f"{name}: not there ({needs})" for name, (_, needs) in known.items()
             if name not in able]
    notes.append(f"validate, fast: {program(dirs).relative_to(dirs.build)}")
    proc.pin()
    if "liftoff" in able:
        notes.append(idle_note(helper, dirs))
    results, sizes = {}, {}
    for path in paths:
        build.say(f"  {path.stem}")
        data = path.read_bytes()
        sizes[path.stem] = len(data), GEN.code_bytes(data)
        results[path.stem] = run_module(helper, path, able, options.reps)
    show(results, sizes, able, notes)
    failed = [f"{name} of {module}: {cell.error}" for module, cells in results.items()
              for name, cell in cells.items() if cell.error]
    return {m: {n: vars(c) for n, c in cells.items()} for m, cells in results.items()}, failed
