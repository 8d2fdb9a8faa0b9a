# SPDX-License-Identifier: MIT
"""What fuzzing has found, test/fuzz/regress: drop a module in, named after what went wrong.

Each runs on all engines at once, and on V8 when there is a node: see test/fuzz/differ.c, which says
how exported functions are called. There are no expected results, the engines must agree.
"""
import shutil

from . import base

SOURCES = base.ROOT / "test/fuzz/regress"
DIFFER = base.ROOT / "build/fuzz/differ"
BUILT = base.ROOT / "build/fuzz/regress"


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


def cases(_bench):
    if not DIFFER.exists():
        raise base.Unavailable(f"{DIFFER.relative_to(base.ROOT)} is not built")
    BUILT.mkdir(parents=True, exist_ok=True)
    for source in sorted(SOURCES.glob("*.wat")):
        yield base.Case(source.stem, "", lambda s=source: run_regression(s))
