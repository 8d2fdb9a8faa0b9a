# SPDX-License-Identifier: MIT
"""The WebAssembly 2.0 specification suite, through `nebulet wast`, on each engine.

A case is one script; it counts as many tests as the script has commands, and the sum must be right:
a runner that loses commands would otherwise look as if it passed. Modules in the text format are
skipped, for Nebulet has no parser for it.
"""
import json
import re

from . import base

HOW = ("convert each NAME.wast of the official testsuite with wast2json to NAME/NAME.json with its "
       ".wasm files beside it (the SIMD scripts in a folder simd)")

# Lines of 2.0's scripts that 3.0 says the opposite of: a constant expression may use globals that are not imported.
NEWER = ["data.wast:89", "data.wast:93", "elem.wast:171", "elem.wast:175", "global.wast:352", "global.wast:356"]


def counts_of(out):
    """What `nebulet wast` says at its end, with what 3.0 says the opposite of."""
    text = out.decode("utf-8", "backslashreplace")
    counts = base.parse_counts(text)
    for place in NEWER if counts else ():
        newer = len(re.findall(rf"(?m)^{place}: expected .*, but the module is valid$", text))
        counts.failed -= newer
        counts.passed += newer
    return counts


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


def cases(bench):
    folder = base.unpack_suite(bench, "wasm-2.0", "the WebAssembly 2.0 specification suite", HOW)
    for engine in bench.engines:
        for script in sorted(folder.rglob("*.json")):
            name = str(script.relative_to(folder).parent)
            yield base.Case(name, engine, lambda e=engine, s=script: run_script(bench, e, s))
