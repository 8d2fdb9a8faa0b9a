# SPDX-License-Identifier: MIT
"""The unit tests: every executable in build/test, which prints its own "N passed, N failed"."""
import os

from . import base


def run_unit(program):
    result = base.run([program], limit=300)
    counts = base.parse_counts(result.out.decode("utf-8", "backslashreplace"))
    if counts is None or (result.code != 0 and not counts.failed):
        raise base.Failed(f"exit code {result.code}\n" + base.excerpt(result.out + result.err))
    if counts.failed:
        counts.problem = base.excerpt(result.out + result.err, 40)
    counts.note = "by the program itself"
    return counts


def cases(_bench):
    folder = base.ROOT / "build/test"
    programs = [p for p in sorted(folder.glob("*")) if p.is_file() and os.access(p, os.X_OK)]
    if not programs:
        raise base.Unavailable("build/test has no programs")
    return [base.Case(p.name, "", lambda p=p: run_unit(p)) for p in programs]
