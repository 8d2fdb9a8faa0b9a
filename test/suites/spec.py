# SPDX-License-Identifier: MIT
"""The WebAssembly 3.0 specification suite, through `nebulet wast`, on each engine.

A case is one script; it counts as many tests as the script has commands, and the sum must be right:
a runner that loses commands would otherwise look as if it passed. Modules in the text format are
skipped, for Nebulet has no parser for it. Scripts that need what is not there yet are listed with
the reason, and must fail.
"""
import json

from . import base

HOW = ("convert each NAME.wast of the official testsuite with wast2json to NAME/NAME.json with its "
       ".wasm files beside it (the SIMD scripts in a folder simd)")

SOURCES = base.ROOT / "test/scripts"
BUILT = base.ROOT / "build/spec/own"

LATER = {
    "GC":
        "gc/array gc/array_copy gc/array_fill gc/array_init_data gc/array_init_elem gc/array_new_data "
        "gc/array_new_elem gc/br_on_cast gc/br_on_cast_fail gc/extern gc/i31 gc/ref_cast "
        "gc/ref_eq gc/ref_test gc/struct gc/type-subtyping",
}


def counts_of(out):
    """What `nebulet wast` says at its end."""
    return base.parse_counts(out.decode("utf-8", "backslashreplace"))


def is_text(command):
    return command.get("module_type") == "text"


def run_script(bench, engine, script):
    commands = json.loads(script.read_bytes())["commands"]
    result = bench.nebulet("wast", "--engine", engine, script, limit=300)
    counts = counts_of(result.out)
    if counts is None:
        raise base.Failed(f"no counts in the last line, exit code {result.code}\n"
                          + base.excerpt(result.out + result.err))
    seen = counts.passed + counts.failed + counts.skipped
    if seen != len(commands):
        counts.failed += abs(len(commands) - seen)
        counts.problem = f"{len(commands)} commands in the script, {seen} in the result\n"
    text = sum(map(is_text, commands))
    if counts.skipped > text:
        counts.problem += f"{counts.skipped} skipped, only {text} are in the text format\n"
        counts.failed += 1
    if counts.failed:
        counts.problem += base.excerpt(result.out + result.err)
    counts.note = "text format"
    return counts


def later(bench, engine, reason, script):
    """A script that is said to need what is not there must fail."""
    counts = counts_of(bench.nebulet("wast", "--engine", engine, script, limit=300).out)
    if counts and not counts.failed:
        raise base.Failed(f"it passes: take it from the list of what needs {reason}")


def own_scripts():
    """Those of test/scripts: what the official ones do not reach."""
    BUILT.mkdir(parents=True, exist_ok=True)
    for source in sorted(SOURCES.glob("*.wast")):
        built = BUILT / f"{source.stem}.json"
        if not built.exists() or built.stat().st_mtime < source.stat().st_mtime:
            base.run(["wast2json", "--enable-all", source, "-o", built]).check()
        yield f"own/{source.stem}", built, None


def scripts(bench):
    """(name, JSON file, why it must fail or None) of each."""
    new = base.unpack_suite(bench, "wasm-3.0", "the WebAssembly 3.0 specification suite", HOW)
    reasons = {name: reason for reason, names in LATER.items() for name in names.split()}
    for script in sorted(new.rglob("*.json")):
        name = str(script.relative_to(new).parent)
        yield name, script, reasons.pop(name, None)
    yield from own_scripts()
    if reasons:
        raise base.Failed(f"no such scripts: {' '.join(reasons)}")


def cases(bench):
    for engine in bench.engines:
        for name, script, reason in scripts(bench):
            if reason:
                yield base.Case(f"{name}, later", engine,
                                lambda e=engine, r=reason, s=script: later(bench, e, r, s))
            else:
                yield base.Case(name, engine, lambda e=engine, s=script: run_script(bench, e, s))
