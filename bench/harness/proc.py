# SPDX-License-Identifier: MIT
"""Runs processes: with a time limit, pinned to one core, measured from start to exit."""
import os
import subprocess
import tempfile
from dataclasses import dataclass


class Failed(Exception):
    """A command did not do what it must; the message says which and how."""


@dataclass
class Result:
    code: int
    stdout: str
    stderr: str

    def why(self):
        """What went wrong, in one line."""
        lines = (self.stderr or self.stdout).strip().splitlines()
        return f"exit {self.code}" + (f": {lines[-1][:120]}" if lines else "")


@dataclass
class Sample:
    """One run of a process, start to exit."""
    wall_ns: int
    cpu_ns: int
    rss_kb: int
    code: int


def pin():
    """Pins this process, and what it will start, to the last core it may use; returns which."""
    core = max(os.sched_getaffinity(0))
    os.sched_setaffinity(0, {core})
    return core


def run(command, env=None, timeout=600):
    """Runs a command to its end. A command that cannot start or takes too long is a Result too."""
    try:
        done = subprocess.run([str(c) for c in command], env={**os.environ, **(env or {})},
                              stdin=subprocess.DEVNULL, capture_output=True, timeout=timeout,
                              text=True, errors="replace", check=False)
    except subprocess.TimeoutExpired:
        return Result(-1, "", f"no end after {timeout} s")
    except OSError as error:
        return Result(-1, "", str(error))
    return Result(done.returncode, done.stdout, done.stderr)


def check(command, timeout=600):
    """Runs a command that must succeed; returns its standard output."""
    result = run(command, timeout=timeout)
    if result.code != 0:
        words = " ".join(str(c) for c in command)
        raise Failed(f"{words}\n{result.stderr.strip()[-2000:]}")
    return result.stdout


def measure(helper, command, times, timeout=600):
    """Runs a command `times` times under bench/measure.c; returns the Result of all and Samples."""
    with tempfile.NamedTemporaryFile("r") as report:
        result = run([helper, report.name, times, *command], timeout=timeout)
        rows = [[int(word) for word in line.split()] for line in report]
    samples = [Sample(wall, user + system, rss, code) for wall, user, system, rss, code in rows]
    if result.code == 0 and any(s.code != 0 for s in samples):
        result.code = next(s.code for s in samples if s.code != 0)
    return result, samples
