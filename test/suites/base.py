# SPDX-License-Identifier: MIT
"""What every suite uses: cases, their outcomes, and running a program under a time limit.

A case fails by raising Failed with a text that says what differed; `expect` and `Result.check` do
that for the usual comparisons. Nothing here knows a particular suite.
"""
import dataclasses
import difflib
import functools
import os
import pathlib
import re
import subprocess
import tarfile
import threading
import typing

ROOT = pathlib.Path(__file__).resolve().parents[2]
ENGINES = ["interp", "fast"]
TRAP = 134  # the exit code of a program that trapped


class Failed(Exception):
    """The case does not pass; the text says what differed."""


class Skipped(Exception):
    """The case cannot run here; the text says why."""


class Unavailable(Exception):
    """The suite, or the case, cannot run here; the text says why and how to get what it needs."""


@dataclasses.dataclass
class Counts:
    passed: int = 0
    failed: int = 0
    skipped: int = 0
    problem: str = ""  # what went wrong, when something failed
    note: str = ""     # what was skipped, when something was

    def add(self, other):
        self.passed += other.passed
        self.failed += other.failed
        self.skipped += other.skipped

    def __str__(self):
        text = f"{self.passed} passed, {self.failed} failed"
        return text + (f", {self.skipped} skipped" if self.skipped else "")


@dataclasses.dataclass
class Case:
    name: str
    engine: str  # "" when the case does not depend on one
    run: typing.Callable[[], typing.Optional[Counts]]

    @property
    def title(self):
        return f"{self.name} [{self.engine}]" if self.engine else self.name


@dataclasses.dataclass
class Result:
    code: int
    out: bytes
    err: bytes

    def check(self, code=0, out=None, err=None):
        """Fails unless code, output and messages are as given; None says that anything will do."""
        problems = []
        if self.code != code:
            problems.append(f"exit code {self.code}, expected {code}")
        if out is not None and self.out != out:
            problems.append(difference("stdout", out, self.out))
        if err is not None and self.err != err:
            problems.append(difference("stderr", err, self.err))
        if problems:
            if err is None and self.err:
                problems.append("stderr: " + excerpt(self.err))
            raise Failed("\n".join(problems))
        return self


def is_sanitized(program):
    """Is it built with a sanitizer, which takes memory of its own?"""
    return b"__asan_init" in program.read_bytes()


class Bench:
    """The program under test, and where things are."""

    def __init__(self, engine, jobs):
        self.program = pathlib.Path(os.environ.get("NEBULET", ROOT / "build/nebulet")).absolute()
        self.spec = pathlib.Path(os.environ.get("NEBULET_SPEC", ROOT.parent / "shared/spec"))
        self.engines = ENGINES if engine == "all" else [engine]
        self.jobs = jobs

    def nebulet(self, *args, **how):
        return run([self.program, *args], **how)


def run(command, stdin=b"", cwd=None, env=None, limit=300, pass_fds=()):
    """Runs a command to its end or to `limit` seconds, whichever comes first: far more than it takes,
    for the machine may be busy."""
    command = [str(part) for part in command]
    try:
        done = subprocess.run(command, input=stdin, cwd=cwd, env=env, capture_output=True,
                              timeout=limit, check=False, pass_fds=pass_fds)
    except subprocess.TimeoutExpired as late:
        said = excerpt((late.stdout or b"") + (late.stderr or b""))
        raise Failed(f"still running after {limit} s: {' '.join(command)}\n{said}") from None
    if done.returncode < 0:
        raise Failed(f"killed by signal {-done.returncode}: {' '.join(command)}\n{excerpt(done.stderr)}")
    return Result(done.returncode, done.stdout, done.stderr)


def excerpt(data, lines=12):
    """The first and the last lines of a text: a message often comes first, a total last."""
    text = data.decode("utf-8", "backslashreplace").rstrip("\n").split("\n")
    if len(text) > lines:
        text = text[:lines // 2] + ["..."] + text[-lines // 2:]
    return "\n".join(text)


def difference(what, expected, actual, lines=20):
    """The first lines of a unified diff, or where two binary texts part."""
    if b"\0" in expected + actual:
        at = next((i for i, (a, b) in enumerate(zip(expected, actual)) if a != b),
                  min(len(expected), len(actual)))
        return f"{what}: {len(actual)} bytes, expected {len(expected)}; first difference at {at}"
    texts = [t.decode("utf-8", "backslashreplace").splitlines() for t in (expected, actual)]
    diff = list(difflib.unified_diff(*texts, f"{what} expected", f"{what} actual", lineterm="", n=1))
    if not diff:
        return f"{what}: differs in its line ends"
    return "\n".join(diff[:lines] + (["..."] if len(diff) > lines else []))


def match_in_order(patterns, text):
    """The first pattern that no line matches after the line of the pattern before it, or None."""
    lines = iter(text.splitlines())
    for pattern in patterns:
        if not any(re.search(pattern, line) for line in lines):
            return pattern
    return None


def parse_counts(text):
    """The Counts in a last line "N passed, N failed[, N skipped]", or None."""
    last = text.rstrip().rsplit("\n", 1)[-1]
    found = re.search(r"(\d+) passed, (\d+) failed(?:, (\d+) skipped)?\s*$", last)
    return Counts(*(int(n or 0) for n in found.groups())) if found else None


def once(function):
    """For what cases share, such as a program that is built: who asks first makes it, and the others have it, too."""
    cached, lock = functools.cache(function), threading.Lock()

    @functools.wraps(function)
    def one_at_a_time(*args):
        with lock:
            return cached(*args)
    return one_at_a_time


def read_lines(path):
    """The lines of a file, none when there is no such file."""
    return path.read_text().splitlines() if path.exists() else []


def unpack_suite(bench, name, what, how):
    """Unpacks NEBULET_SPEC/NAME.tar.xz into build/spec/NAME, once, and returns that folder."""
    archive = bench.spec / f"{name}.tar.xz"
    target = ROOT / "build/spec" / name
    stamp = target / ".unpacked"
    if not archive.exists():
        raise Unavailable(f"{what} is not here. To run it, {how}, pack it as {archive.name} and put "
                          f"that into the folder that NEBULET_SPEC names (../shared/spec, when it "
                          f"is not set)")
    if not stamp.exists() or stamp.stat().st_mtime < archive.stat().st_mtime:
        target.mkdir(parents=True, exist_ok=True)
        with tarfile.open(archive) as tar:
            tar.extractall(target)
        stamp.touch()
    return target
