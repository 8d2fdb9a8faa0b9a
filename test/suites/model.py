# SPDX-License-Identifier: MIT
"""The model checker for kern/: every scenario with one deviation, and bugs that it must find.

`make model` goes further; see test/model/README.md.
"""
from . import base

MODEL = base.ROOT / "build/model"


def run_model():
    result = base.run([MODEL / "model", "--bound", "1"], limit=300)
    text = (result.out + result.err).decode("utf-8", "backslashreplace")
    counts = base.parse_counts(text)
    if counts is None or (result.code != 0 and not counts.failed):
        raise base.Failed(f"exit code {result.code}\n" + base.excerpt(result.out + result.err))
    if counts.failed:
        counts.problem = text[text.find("FAIL"):][:4000]
    return counts


def run_mutant(program):
    """A kernel with a bug put in: its scenario must fail."""
    scenario = program.with_suffix(".scenario").read_text()
    result = base.run([program, "--bound", "2", scenario], limit=300)
    if result.code != 1 or b"\nFAIL " not in result.out:
        raise base.Failed("the bug is not found\n" + base.excerpt(result.out + result.err))


def cases(_bench):
    if not (MODEL / "model").exists():
        raise base.Unavailable("build/model/model does not exist: run make model")
    mutants = sorted(p for p in (MODEL / "mutants").glob("*") if not p.suffix)[:1]
    return [base.Case("scenarios", "", run_model)] + [
        base.Case(f"mutant {p.name}", "", lambda p=p: run_mutant(p)) for p in mutants]
