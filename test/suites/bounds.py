# SPDX-License-Identifier: MIT
"""Nothing takes long that keeps others from going on. The kernel that measures (test/probe) runs each
program of test/kern, and those of test/bounds, which want it to take long, on a machine whose time is
the number of instructions, and says for how long every lock was held, and for how long C had the CPU
without looking up.

One CPU: QEMU's clock counts the instructions of all, so a second one's would show in the first one's
locks.
"""
import pathlib
import re
import runpy
import shutil
import subprocess

from . import base, boot, kern

KERNEL = "test/kernel/probe.elf"
SHIFT = 3
COUNT = ["-icount", f"shift={SHIFT},sleep=off", "-seed", "1", "-rtc",
         "base=2026-01-01T00:00:00,clock=vm"]
LONGEST = 20000  # instructions that a lock may be held
KEPT = 2000000  # that C may have a CPU without looking whether others want it
SOURCES = base.ROOT / "test/bounds"
ARGUMENTS = {"soak": ["300", "1"], "fuzz": ["run", "20000", "1"]}
ARE_EXACT = {"registers", "watchdog", "preempt"}
THREAD_ENDS = {"fast": "4400", "interp": "7200"}  # instructions that the end of one of a thousand may take
BESIDE = {"fair": ["notify.wat"]}  # what a program starts
INPUT = {"parking": bytes(range(65, 105))}
TOLD = re.compile(rb"probe: (held|kept) (\d+) (\d+) (\w+) (\w+)\n")
WORST = 8  # places that a failure tells of


def source_of(kernel, address):
    """Where an instruction comes from, innermost function first. What is given is the next one's
    address."""
    told = subprocess.run(["llvm-symbolizer-22", "-e", str(kernel), "--output-style=GNU", "-p",
                           hex(int(address, 16) - 1)], capture_output=True, text=True, check=False)
    names = re.findall(r"(?:^| )(\w+) at \S*?([\w.]+:\d+)", told.stdout, re.M)
    return " < ".join(f"{name} ({where})" for name, where in names[:4]) or address.decode()


def told(rest, what):
    found = [(int(ticks) >> SHIFT, int(count), start, end)
             for kind, ticks, count, start, end in TOLD.findall(rest) if kind == what]
    if not found:
        raise base.Failed(f"it does not tell what was {what.decode()}\n" + base.excerpt(rest))
    return found


def late(bench, rest):
    """What took too long, a line each."""
    kernel = bench.program.parent / KERNEL
    kept = [f"C has the CPU for {n} instructions at most, {count} times: from "
            f"{source_of(kernel, start)} to {source_of(kernel, end)}"
            for n, count, start, end in told(rest, b"kept") if n > KEPT]
    return kept + [f"held for {n} instructions at most, {count} times: taken in "
                   f"{source_of(kernel, taken)}; given back in {source_of(kernel, given)}"
                   for n, count, taken, given in told(rest, b"held") if n > LONGEST]


def build(source):
    if source.suffix == ".c":
        return kern.build(source)
    wasm = kern.BUILT / f"{source.stem}.wasm"
    wasm.parent.mkdir(parents=True, exist_ok=True)
    if source.suffix == ".py":
        wasm.write_bytes(runpy.run_path(str(source))["MODULE"])
        return wasm
    base.run(["wat2wasm", "--enable-threads", source, "-o", wasm]).check()
    return wasm


def arguments(source, engine):
    if source.stem == "throngs":
        return [THREAD_ENDS[engine]]
    if source.stem in ARE_EXACT:
        return kern.exact(source, engine)
    return ARGUMENTS.get(source.stem, base.read_lines(source.with_suffix(".args")))


def boot_probe(bench, engine, source, flags=(), args=None):
    wasm = build(source)
    files = kern.files_of(source) if source.suffix == ".c" else {wasm.name: wasm.read_bytes()}
    files["input"] = INPUT.get(source.stem, b"")
    for other in BESIDE.get(source.stem, []):
        files[f"{pathlib.Path(other).stem}.wasm"] = build(SOURCES / other).read_bytes()
    own = arguments(source, engine) if args is None else args
    words = [f"engine={engine}", "input.all=/input", f"init=/{wasm.name}", *own, "--"]
    found, rest = boot.run_many(bench, words, files, limit=250, flags=[*COUNT, *flags], kernel=KERNEL,
                                memory=1536 if engine == "interp" else 512)  # stacks are larger there
    return found, rest


def run(bench, engine, source):
    found, rest = boot_probe(bench, engine, source)
    if len(found) != 1:
        raise base.Failed(f"it has not come to an end\n{base.excerpt(rest)}")
    out, err, code = found[0]
    base.Result(code, out, err).check(0)
    if lines := late(bench, rest):
        raise base.Failed("\n".join(lines[:WORST]))


def told_to(word):
    return ["-append", f"console=multiplex words=/words probe={word}"]


def deaf(bench, engine):
    """Were it not for the looks, this would be told of: one of the calls is enough."""
    _, rest = boot_probe(bench, engine, kern.SOURCES / "lookup.c", told_to("deaf"), ["only", "fills"])
    if not any(line.startswith("C has the CPU") for line in late(bench, rest)):
        raise base.Failed("nobody looks up, and nobody notices\n" + base.excerpt(rest))


def holds(bench, engine):
    """A thread that is unwound with a lock held is the end."""
    _, rest = boot_probe(bench, engine, kern.SOURCES / "lookup.c", told_to("holds"))
    if b"fatal: a thread is unwound with a lock held" not in rest:
        raise base.Failed("nobody has noticed\n" + base.excerpt(rest))


def cases(bench):
    if not shutil.which(boot.QEMU[0]):
        raise base.Unavailable("QEMU is not installed (qemu-system-x86)")
    if not (bench.program.parent / KERNEL).exists():
        raise base.Unavailable(f"no {KERNEL} beside {bench.program}: run make unit first")
    for source in sorted([*kern.SOURCES.glob("*.c"), *SOURCES.glob("*.[cw]*"), *SOURCES.glob("*.py")]):
        for engine in bench.engines:
            yield base.Case(f"{source.stem}, locks and looks", engine,
                            lambda e=engine, s=source: run(bench, e, s))
    for engine in bench.engines:
        yield base.Case("nobody looks up", engine, lambda e=engine: deaf(bench, e))
        yield base.Case("unwound with a lock", engine, lambda e=engine: holds(bench, e))
