# SPDX-License-Identifier: MIT
"""What a call out of wasm, through a table and into WASI costs, an exception, and an instance of a
small module.

bench/calls.c and throw.cpp measure themselves; instances are made by `nebulet bench-instantiate` and by
bench/instantiate.mjs.
"""
import re

from harness import build, proc, table

CALLS = re.compile(r"^(host|indirect|wasi)_ps (\d+)", re.MULTILINE)
THROW = re.compile(r"^throw_ps (\d+)", re.MULTILINE)
INSTANTIATE = re.compile(r"^instantiate_ns (\d+)", re.MULTILINE)
BATCH = 1_000_000
# The older form of exceptions, which all engines have.
THROWING = ["clang++-22", "--target=wasm32-wasi", "-Wno-deprecated", "-O2", "--no-wasm-opt", "-nostdlib++",
            "-fwasm-exceptions", "-mllvm", "-wasm-use-legacy-eh=true", "-Wl,--strip-debug"]
ENGINES = ("native", "fast", "interp", "liftoff", "turbofan")


def build_calls(dirs):
    """calls.c natively, for nebulet, and for V8 (see there why V8 has its own)."""
    source = build.BENCH / "calls.c"
    build.make(dirs.native("calls"), [*build.NATIVE, source], source)
    build.make(dirs.wasm("calls"), [*build.GUEST, source], source)
    build.make(dirs.wasm("calls-v8"), [*build.GUEST, "-DNULL_RESULT=int", source], source)
    source = build.BENCH / "throw.cpp"
    build.make(dirs.native("throw"), ["g++", "-O2", source], source)
    build.make(dirs.wasm("throw"), [*THROWING, source], source)


def throw_cost(engine, quick):
    """Returns (ns or None, error or None)."""
    count = int(BATCH / 10 * engine.scale * (0.1 if quick else 1))
    result = proc.run(engine.command("throw", [str(count)]), timeout=120)
    time = THROW.search(result.stdout)
    if result.code != 0 or time is None:
        return None, result.why()
    return int(time[1]) / 1e3, None


def call_costs(engine, quick):
    """Returns {host, indirect, wasi: ns}, or an error."""
    is_v8 = engine.name in ("liftoff", "turbofan")
    batch = int(BATCH * engine.scale * (0.05 if quick else 1))
    program = "calls-v8" if is_v8 else "calls"
    result = proc.run(engine.command(program, [str(batch)]), timeout=120)
    if result.code != 0:
        return {}, result.why()
    return {name: int(ps) / 1e3 for name, ps in CALLS.findall(result.stdout)}, None


def instantiate_command(engine, dirs, module):
    if engine.name == "fast":
        return [dirs.build / "nebulet", "bench-instantiate", module]
    if engine.name == "turbofan":
        return [dirs.node(), build.BENCH / "instantiate.mjs", module]
    return None


def instantiate_cost(engine, dirs, module):
    """Returns (us or None, error or None)."""
    command = instantiate_command(engine, dirs, module)
    if command is None:
        return None, None
    result = proc.run(command, timeout=120)
    time = INSTANTIATE.search(result.stdout + result.stderr)
    if result.code != 0 or time is None:
        return None, result.why()
    return int(time[1]) / 1e3, None


def row(name, costs):
    return [name, *(table.number(costs.get(k)) for k in ("host", "indirect", "wasi", "throw", "instance"))]


def main(options, native, engines):
    """Runs the section; returns (what goes into the JSON file, failures)."""
    dirs = options.dirs
    build_calls(dirs)
    small = build.wat(dirs, "small")
    proc.pin()
    data, failed = {}, []
    for engine in [native, *engines]:
        if engine.name not in ENGINES:
            continue
        costs, error = call_costs(engine, options.quick)
        if error:
            failed.append(f"calls on {engine.name}: {error}")
        throw, error = throw_cost(engine, options.quick)
        if error:
            failed.append(f"throw on {engine.name}: {error}")
        instance, error = instantiate_cost(engine, dirs, small)
        if error:
            failed.append(f"instantiate on {engine.name}: {error}")
        data[engine.name] = {**costs, "throw": throw, "instance": instance}
    table.show("Calls and instances (loop included, least of many)",
               ["engine", "host call ns", "indirect ns", "WASI call ns", "throw ns", "instance us"],
               [row(name, costs) for name, costs in data.items()],
               ["native: through pointers that the compiler cannot see through"])
    return data, failed
