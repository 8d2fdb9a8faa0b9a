# SPDX-License-Identifier: MIT
"""Our own guest programs, test/guest: drop a file in and it is a test, on each engine.

NAME.c is built with clang and wasi-libc, NAME.wat with wat2wasm after the C preprocessor (so that it
can include print.inc and have macros). Beside the source there may be:

    NAME.out    the expected standard output (nothing, when there is no such file)
    NAME.code   the expected exit code (0)
    NAME.err    regular expressions, one a line, that lines of stderr must match in this order;
                when there is no such file, nothing may be written to stderr
    NAME.in     the standard input
    NAME.args   the program's arguments, one a line
    NAME.opts   options of `nebulet run`, one a line; @DIR@ is a fresh empty folder of the host
    NAME.flags  flags for the compiler, after -O2
"""
import concurrent.futures
import pathlib
import shlex
import tempfile

from . import base

SOURCES = base.ROOT / "test/guest"
BUILT = base.ROOT / "build/guest"
CLANG = ["clang-22", "--target=wasm32-wasi", "-Wno-deprecated", "--no-wasm-opt", "-std=gnu11", "-Wall",
         "-Wextra", "-O2"]
EXPAND = ["clang-22", "-E", "-P", "-undef", "-x", "assembler-with-cpp"]


def compile_c(source, wasm):
    flags = shlex.split(" ".join(base.read_lines(source.with_suffix(".flags"))))
    base.run([*CLANG, *flags, source, "-o", wasm], limit=120).check()


def compile_wat(source, wasm):
    expanded = wasm.with_suffix(".expanded.wat")
    expanded.write_bytes(base.run([*EXPAND, source]).check().out)
    base.run(["wat2wasm", "--debug-names", "--enable-threads", "--enable-exceptions", expanded, "-o", wasm]).check()


def build(source):
    """Builds one program when its source is newer, and returns its .wasm."""
    wasm = BUILT / (source.stem + ".wasm")
    inputs = [source, source.with_suffix(".flags"), *SOURCES.glob("*.inc"), pathlib.Path(__file__)]
    newest = max(path.stat().st_mtime for path in inputs if path.exists())
    if not wasm.exists() or wasm.stat().st_mtime < newest:
        wasm.unlink(missing_ok=True)
        part = wasm.with_suffix(".part")
        (compile_c if source.suffix == ".c" else compile_wat)(source, part)
        part.rename(wasm)
    return wasm


def attempt(source):
    """Builds it; the text of what went wrong, "" when all is well."""
    try:
        BUILT.mkdir(parents=True, exist_ok=True)
        build(source)
        return ""
    except (base.Failed, OSError) as why:
        return f"does not build: {why}"


def build_all(jobs):
    """Builds every program; returns source -> the text of what went wrong ("" when all is well)."""
    sources = sorted([*SOURCES.glob("*.c"), *SOURCES.glob("*.wat")])
    with concurrent.futures.ThreadPoolExecutor(jobs) as pool:
        return dict(zip(sources, pool.map(attempt, sources)))


def run_program(bench, engine, source, broken, built=BUILT, more=()):
    """Runs what was built of the source, with more options."""
    if broken:
        raise base.Failed(broken)

    def beside(suffix):
        return source.with_suffix(suffix)

    with tempfile.TemporaryDirectory(prefix="nebulet-guest-") as scratch:
        options = [line.replace("@DIR@", scratch) for line in base.read_lines(beside(".opts"))]
        options += more
        stdin = beside(".in").read_bytes() if beside(".in").exists() else b""
        # From the folder of the programs, so that messages name the file alike everywhere.
        result = bench.nebulet("run", "--engine", engine, *options, source.stem + ".wasm",
                               *base.read_lines(beside(".args")), stdin=stdin, cwd=built)
    out = beside(".out").read_bytes() if beside(".out").exists() else b""
    code = int(beside(".code").read_text()) if beside(".code").exists() else 0
    patterns = base.read_lines(beside(".err"))
    result.check(code, out, None if patterns else b"")
    missing = base.match_in_order(patterns, result.err.decode("utf-8", "backslashreplace"))
    if missing is not None:
        raise base.Failed(f"stderr has no line, in this order, like: {missing}\n"
                          + base.excerpt(result.err))


def cases(bench):
    for source, broken in build_all(bench.jobs).items():
        for engine in bench.engines:
            yield base.Case(source.stem, engine,
                            lambda e=engine, s=source, b=broken: run_program(bench, e, s, b))
