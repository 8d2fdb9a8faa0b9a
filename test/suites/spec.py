# SPDX-License-Identifier: MIT
"""The WebAssembly 3.0 specification suite, through `nebulet wast`, on each engine.

A case is one script; it counts as many tests as the script has commands, and the sum must be right:
a runner that loses commands would otherwise look as if it passed. Modules in the text format are
skipped, for Nebulet has no parser for it.
"""
import json

from . import base, objects

HOW = ("convert each NAME.wast of the official testsuite with wast2json to NAME/NAME.json with its "
       ".wasm files beside it (the SIMD scripts in a folder simd)")

SOURCES = base.ROOT / "test/scripts"
BUILT = base.ROOT / "build/spec/own"

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


def own_scripts():
    """Those of test/scripts, and of objects.py: what the official ones do not reach."""
    BUILT.mkdir(parents=True, exist_ok=True)
    for source in sorted(SOURCES.glob("*.wast")):
        built = BUILT / f"{source.stem}.json"
        if not built.exists() or built.stat().st_mtime < source.stat().st_mtime:
            base.run(["wast2json", "--enable-all", source, "-o", built]).check()
        yield f"own/{source.stem}", built
    yield from objects.write(BUILT)


def scripts(bench):
    """(name, JSON file) of each."""
    new = base.unpack_suite(bench, "wasm-3.0", "the WebAssembly 3.0 specification suite", HOW)
    for script in sorted(new.rglob("*.json")):
        yield str(script.relative_to(new).parent), script
    yield from own_scripts()


def cases(bench):
    for engine in bench.engines:
        for name, script in scripts(bench):
            yield base.Case(name, engine, lambda e=engine, s=script: run_script(bench, e, s))
