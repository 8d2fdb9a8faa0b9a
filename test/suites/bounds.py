# SPDX-License-Identifier: MIT
"""Nothing takes long that keeps others from going on. The kernel that measures (test/probe) runs each
program of test/kern, and those of test/bounds, which want it to take long, on a machine whose time is
the number of instructions, and says for how long every lock was held.

One CPU: QEMU's clock counts the instructions of all, so a second one's would show in the first one's
locks.
"""
import pathlib
import re
import shutil
import subprocess

from . import base, boot, kern

KERNEL = "test/kernel/probe.elf"
SHIFT = 3
COUNT = ["-icount", f"shift={SHIFT},sleep=off", "-seed", "1", "-rtc",
         "base=2026-01-01T00:00:00,clock=vm"]
LONGEST = 20000  # instructions that a lock may be held
LONGER = {"memory.c": 130000, "console.c": 40000}  # where locks are taken that are still too long
SOURCES = base.ROOT / "test/bounds"
ARGUMENTS = {"soak": ["300", "1"], "fuzz": ["run", "20000", "1"], "registers": ["exact"],
             "watchdog": ["exact"], "preempt": ["exact"]}
BESIDE = {"fair": ["notify.wat"]}  # what a program starts
INPUT = {"parking": bytes(range(65, 105))}
HELD = re.compile(rb"probe: held (\d+) (\d+) (\w+) (\w+)\n")
WORST = 8  # places that a failure tells of


def source_of(kernel, address):
    """Where an instruction comes from, innermost function first. What is given is the next one's
    address."""
    told = subprocess.run(["llvm-symbolizer-22", "-e", str(kernel), "--output-style=GNU", "-p",
                           hex(int(address, 16) - 1)], capture_output=True, text=True, check=False)
    names = re.findall(r"(?:^| )(\w+) at \S*?([\w.]+:\d+)", told.stdout, re.M)
    return " < ".join(f"{name} ({where})" for name, where in names[:4]) or address.decode()


def locks_held(bench, rest):
    """Fails when one was held for too long; says where."""
    found = [(int(ticks) >> SHIFT, int(count), taken, given)
             for ticks, count, taken, given in HELD.findall(rest)]
    if not found:
        raise base.Failed("it tells of no lock\n" + base.excerpt(rest))
    kernel = bench.program.parent / KERNEL
    late = [(n, f"held for {n} instructions at most, {count} times: taken in "
                f"{source_of(kernel, taken)}; given back in {source_of(kernel, given)}")
            for n, count, taken, given in found if n > LONGEST]
    late = [text for n, text in late
            if n > max((most for where, most in LONGER.items() if f"({where}:" in text), default=0)]
    if late:
        raise base.Failed("\n".join(late[:WORST]))


def build(source):
    if source.suffix == ".c":
        return kern.build(source)
    wasm = kern.BUILT / f"{source.stem}.wasm"
    wasm.parent.mkdir(parents=True, exist_ok=True)
    base.run(["wat2wasm", "--enable-threads", source, "-o", wasm]).check()
    return wasm


def run(bench, engine, source):
    wasm = build(source)
    files = {wasm.name: wasm.read_bytes(), "input": INPUT.get(source.stem, b"")}
    for other in BESIDE.get(source.stem, []):
        files[f"{pathlib.Path(other).stem}.wasm"] = build(SOURCES / other).read_bytes()
    words = [f"engine={engine}", "input.all=/input", f"init=/{wasm.name}", *ARGUMENTS.get(source.stem, base.read_lines(
        source.with_suffix(".args"))), "--"]
    found, rest = boot.run_many(bench, words, files, limit=250, flags=COUNT, kernel=KERNEL,
                                memory=1536 if engine == "interp" else 512)  # stacks are larger there
    if len(found) != 1:
        raise base.Failed(f"it has not come to an end\n{base.excerpt(rest)}")
    out, err, code = found[0]
    base.Result(code, out, err).check(0)
    locks_held(bench, rest)


def cases(bench):
    if not shutil.which(boot.QEMU[0]):
        raise base.Unavailable("QEMU is not installed (qemu-system-x86)")
    if not (bench.program.parent / KERNEL).exists():
        raise base.Unavailable(f"no {KERNEL} beside {bench.program}: run make unit first")
    for source in sorted([*kern.SOURCES.glob("*.c"), *SOURCES.glob("*.[cw]*")]):
        for engine in bench.engines:
            yield base.Case(f"{source.stem}, locks", engine,
                            lambda e=engine, s=source: run(bench, e, s))
