# SPDX-License-Identifier: MIT
"""The size of the nebulet program, stripped."""
from harness import build, proc, table

STRIP = "llvm-strip-22"


def main(options):
    """Runs the section; returns (what goes into the JSON file, failures)."""
    program = options.dirs.build / "nebulet"
    if not program.exists():
        build.say(f"size: no {program}: run make first")
        return {}, []
    stripped = options.dirs.out / "nebulet.stripped"
    proc.check([STRIP, "-o", stripped, program])
    size = stripped.stat().st_size
    table.show("Size", ["program", "KB"], [["nebulet, stripped", table.number(size / 1e3, 1)]])
    return {"bytes": size}, []
