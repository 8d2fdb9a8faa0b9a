# SPDX-License-Identifier: MIT
"""The WebAssembly 2.0 specification suite, through `nebulet wast`, on each engine.

A case is one script; it counts as many tests as the script has commands, and the sum must be right:
a runner that loses commands would otherwise look as if it passed. Modules in the text format are
skipped, for Nebulet has no parser for it. The SIMD scripts' modules are validated only.
"""
import json

from . import base

HOW = ("convert each NAME.wast of the official testsuite with wast2json to NAME/NAME.json with its "
       ".wasm files beside it (the SIMD scripts in a folder simd)")


def is_text(command):
    return command.get("module_type") == "text"


def run_script(bench, engine, script):
    commands = json.loads(script.read_bytes())["commands"]
    result = bench.nebulet("wast", "--engine", engine, script, limit=300)
    counts = base.parse_counts(result.out.decode("utf-8", "backslashreplace"))
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


def cases(bench):
    folder = base.unpack_suite(bench, "wasm-2.0", "the WebAssembly 2.0 specification suite", HOW)
    for engine in bench.engines:
        for script in sorted(folder.rglob("*.json")):
            name = str(script.relative_to(folder).parent)
            yield base.Case(name, engine, lambda e=engine, s=script: run_script(bench, e, s))
