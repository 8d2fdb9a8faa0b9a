# SPDX-License-Identifier: MIT
"""Processes, messages, threads and time: the programs of test/kern, on each engine, on one CPU and
on two. Drop a file in and it is a test.

NAME.c is built with clang and wasi-libc, and test/kern/nebulet.h gives it the platform's calls. It
finds its own module as /NAME.wasm, to start further processes of, and prints NAME.out, or else its
name, when all went well. Beside it there may be:

    NAME.args   arguments, one a line
    NAME.err    regular expressions that lines of stderr must match in this order
    NAME.flags  further flags for the compiler
    NAME.in     what comes at standard input, half a second after the start
    NAME.noswitch  functions for the section nebulet.noswitch, one a line
"""
import pathlib
import shlex
import subprocess
import threading

from . import base, guest, section

SOURCES = base.ROOT / "test/kern"
BUILT = base.ROOT / "build/kern"
FLAGS = ["-I", base.ROOT / "src", "-Wl,--export=__stack_pointer", "-Wl,-z,stack-size=65536"]
CPUS = [1, 2]


def build(source, *flags):
    """Builds one program when something is newer, and returns its .wasm, alone in a folder."""
    wasm = BUILT / source.stem / (source.stem + ".wasm")
    inputs = [*SOURCES.glob("*.[ch]"), source.with_suffix(".flags"),
              source.with_suffix(".noswitch"), pathlib.Path(__file__),
              *(base.ROOT / "src/abi").glob("nebulet*"), base.ROOT / "src/base/errors.def"]
    newest = max(path.stat().st_mtime for path in inputs if path.exists())
    if not wasm.exists() or wasm.stat().st_mtime < newest:
        wasm.parent.mkdir(parents=True, exist_ok=True)
        own = shlex.split(" ".join(base.read_lines(source.with_suffix(".flags"))))
        part = BUILT / f"{source.stem}.{threading.get_ident()}.part"
        base.run([*guest.CLANG, *FLAGS, *flags, *own, source, "-o", part], limit=120).check()
        if quiet := base.read_lines(source.with_suffix(".noswitch")):
            section.add_noswitch(part, quiet)
        part.rename(wasm)
    return wasm


def run_late(bench, text, *args, limit):
    """As bench.nebulet, with input that comes late, and no end of it."""
    command = [str(part) for part in [bench.program, *args]]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE,
                          stderr=subprocess.PIPE) as process:
        timers = [threading.Timer(limit, process.kill),
                  threading.Timer(0.5, lambda: (process.stdin.write(text), process.stdin.flush()))]
        for timer in timers:
            timer.start()
        out, err = process.stdout.read(), process.stderr.read()
        code = process.wait()
        for timer in timers:
            timer.cancel()
        return base.Result(code, out, err)


def run_program(bench, command, engine, cpus, source, *args, limit=60):
    def beside(suffix):
        return source.with_suffix(suffix)

    wasm = build(source)
    words = [command, "--engine", engine, "--cpus", cpus, "--dir", f"{wasm.parent}::/", wasm,
             *base.read_lines(beside(".args")), *args]
    if beside(".in").exists():
        result = run_late(bench, beside(".in").read_bytes(), *words, limit=limit)
    else:
        result = bench.nebulet(*words, limit=limit)
    out = beside(".out").read_bytes() if beside(".out").exists() else source.stem.encode() + b"\n"
    patterns = base.read_lines(beside(".err"))
    result.check(0, out, None if patterns else b"")
    missing = base.match_in_order(patterns, result.err.decode("utf-8", "backslashreplace"))
    if missing is not None:
        raise base.Failed(f"stderr has no line, in this order, like: {missing}\n"
                          + base.excerpt(result.err))


def programs(bench, command):
    for source in sorted(SOURCES.glob("*.c")):
        for engine in bench.engines:
            for cpus in CPUS:
                yield base.Case(f"{source.stem}, {cpus} CPU{'s' if cpus > 1 else ''}", engine,
                                lambda e=engine, c=cpus, s=source: run_program(bench, command, e, c, s))


def cases(bench):
    yield from programs(bench, "run")
