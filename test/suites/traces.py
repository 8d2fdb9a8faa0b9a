# SPDX-License-Identifier: MIT
"""Where a trap was, in the source: the programs of test/trace, each of which traps in the line that says HERE,
unoptimized and optimized. Drop a file in (C, C++ or Rust) and it is a test. And what it probably came from:
test/trap/reasons.c traps in a way of its own for each number, and says there what the second line must be.

What reads debug information must also stand whatever a module says there, so one program is run with its sections
changed at random.
"""
import pathlib
import random
import re
import shutil
import tempfile

from . import base, sdk

SOURCES = base.ROOT / "test/trace"
REASONS = base.ROOT / "test/trap/reasons.c"
BUILT = base.ROOT / "build/trace"
RUSTC = "/usr/bin/rustc"  # Debian's, whose target that is
C = ["clang-22", "--target=wasm32-wasi", "-Wno-deprecated", "--no-wasm-opt", "-Wall", "-Wextra", "-g"]
COMPILERS = {".c": [*C, "-std=gnu11"], ".cc": [*C, "-x", "c++", "-fno-exceptions", "-fno-rtti", "-nostdlib++"],
             ".rs": [RUSTC, "--target=wasm32-wasi", "-g"]}
LEVELS = [0, 2]
LIES = 40


def build(source, level):
    BUILT.mkdir(parents=True, exist_ok=True)
    wasm = BUILT / f"{source.stem}{level}.wasm"
    if not wasm.exists() or wasm.stat().st_mtime < source.stat().st_mtime:
        command = COMPILERS[source.suffix]
        optimize = ["-C", f"opt-level={level}"] if source.suffix == ".rs" else [f"-O{level}"]
        with tempfile.TemporaryDirectory(dir=BUILT) as folder:
            base.run([*command, *optimize, source, "-o", f"{folder}/{wasm.name}"], limit=120).check()
            pathlib.Path(f"{folder}/{wasm.name}").rename(wasm)
    return wasm


def trapped(bench, engine, wasm):
    result = bench.nebulet("run", "--engine", engine, wasm)
    if result.code != base.TRAP or b"nebulet: wasm trap: " not in result.err:
        raise base.Failed(f"exit code {result.code}\n{base.excerpt(result.err)}")
    return result.err.decode("utf-8", "backslashreplace")


def place(bench, engine, source, level):
    said = trapped(bench, engine, build(source, level))
    line = next(i for i, text in enumerate(source.read_text().splitlines(), 1) if "// HERE" in text)
    found = re.search(rf"^  at .* \(\S*/{re.escape(source.name)}:(\d+)", said, re.M)
    if not found or int(found[1]) != line:
        raise base.Failed(f"line {found[1] if found else 'unknown'}, expected {line}\n{said}")
    named = re.search(rf"^  at .* \(\S*/{re.escape(source.name)}(?::\d+)*, {source.stem}{level}\.wasm:0x", said, re.M)
    if not named or re.search(r"^  at _(Z|R)", said, re.M):
        raise base.Failed(f"names\n{said}")


def reasons():
    """By number, the expression that the line behind the trap's name must match, "" for a frame."""
    found = re.findall(r"case (\d+):.*// WHY ?(.*)", REASONS.read_text())
    return {int(number): text.strip() for number, text in found}


def trap_heads(text):
    """The first two lines of each trap that is told in a text, without a frame's place."""
    return sorted(re.findall(r"^nebulet: wasm trap: .*\n(?:  at|.*)", text.decode(), re.M))


def reason(bench, engine, number, text):
    said = bench.nebulet("run", "--engine", engine, build(REASONS, 1), number).check(base.TRAP).err
    second = trap_heads(said)[0].split("\n")[1]
    if not re.fullmatch(rf"  {text or 'at'}", second):
        raise base.Failed(f"{second!r}, expected {text!r}")


def whole_traces(text):
    """They may stand behind what another program has begun to write."""
    return sorted(re.findall(r"nebulet: wasm trap: .*\n(?:  .*\n)*", text.decode("utf-8", "backslashreplace"), re.M))


def in_the_kernel(bench, engine, level, sources):
    """All of them at once in one machine: each trace is, to the byte, that of Linux."""
    wanted, words = [], []
    for wasm in [build(source, level) for source in sources]:
        wanted += whole_traces(bench.nebulet("run", "--engine", engine, wasm).err)
        words += [*(["++"] if words else []), wasm]
    found = whole_traces(bench.nebulet("boot", "--engine", engine, *words).check(base.TRAP).err)
    if found != sorted(wanted) or len(found) != len(sources):
        raise base.Failed(base.difference("traces", "".join(sorted(wanted)).encode(), "".join(found).encode()))


def reasons_in_the_kernel(bench, engine):
    """Byte for byte the same as on Linux, by one machine."""
    wasm, words, wanted = build(REASONS, 1), [], []
    for number in reasons():
        wanted += trap_heads(bench.nebulet("run", wasm, number).err)
        words += [*(["++"] if words else []), wasm, number]
    found = trap_heads(bench.nebulet("boot", "--engine", engine, *words).check(base.TRAP).err)
    if found != sorted(wanted):
        raise base.Failed(base.difference("traps", "\n".join(sorted(wanted)).encode(), "\n".join(found).encode()))


def debug_sections(module):
    """Where the contents of those sections are."""
    def number(at):
        value = shift = 0
        while True:
            value |= (module[at] & 127) << shift
            shift, at = shift + 7, at + 1
            if module[at - 1] < 128:
                return value, at
    at = 8
    while at < len(module):
        kind = module[at]
        size, at = number(at + 1)
        name, start = number(at)
        if kind == 0 and module[start:start + 7] == b".debug_":
            yield start + name, at + size
        at += size


def lies(bench):
    """It traps, and that is told, whatever is made of the lines."""
    module = build(SOURCES / "method.cc", 2).read_bytes()
    places = list(debug_sections(module))
    wasm = BUILT / "lies.wasm"
    draw = random.Random(1)
    for _ in range(LIES):
        changed = bytearray(module)
        for _ in range(draw.choice([1, 4, 100])):
            start, end = draw.choice(places)
            changed[draw.randrange(start, end)] = draw.choice([0, 1, 0x7f, 0x80, 0xff, draw.randrange(256)])
        wasm.write_bytes(changed)
        said = trapped(bench, "fast", wasm)
        if not re.search(r"^  at .*\.wasm:0x", said, re.M):
            raise base.Failed(f"no trace: {said}")


def by_hand(bench):
    """The command adds to what is a trace of that module, and leaves the rest alone."""
    wasm = build(SOURCES / "divide.c", 0)
    plain = base.run([bench.program, "run", "-"], stdin=wasm.read_bytes()).err
    where = re.search(rb"at divided \(.*divide0\.wasm:(0x[0-9a-f]+)\)", plain)
    if not where:
        raise base.Failed(base.excerpt(plain))
    text = b"a\n  at divided (%s:%s)\n  at divided (x:%s)\n  at (\n  at x (divide0.wasm:0x)\n  at ()\nb" % (
        wasm.name.encode(), where[1], where[1])
    said = base.run([bench.program, "explain", wasm], stdin=text).check().out
    wanted = rb"a\n  at divided \(\S*/divide\.c:6:14, divide0\.wasm:%s\)\n  at divided \(x:%s\)\n  at \(\n" \
             rb"  at x \(divide0\.wasm:0x\)\n  at \(\)\nb" % (where[1], where[1])
    if not re.fullmatch(wanted, said):
        raise base.Failed(base.excerpt(said))


def wrapped(bench):
    """A function that was wrapped (--wrap) is not where its wrapper is, nor what the linker makes behind that."""
    if broken := sdk.build():
        raise base.Unavailable(broken)
    wasm, source = BUILT / "wrapped.wasm", BUILT / "wrapped.c"
    source.write_text("#include <stdlib.h>\n"
                      "__attribute__((constructor)) static void early(void) { if (getenv(\"PATH\")) __builtin_trap(); }\n"
                      "int main(void) { return 0; }\n", encoding="ascii")
    base.run(["clang-22", f"--config={base.ROOT}/build/sdk/nebulet.cfg", "-g", "-O1", source, "-o", wasm], limit=120).check()
    said = base.run([bench.program, "run", "--env", "PATH=", wasm]).err
    if not re.search(rb"\n  at early \(\S*wrapped\.c:2:\d+, [^\n]*\n  at __wasm_call_ctors \(wrapped\.wasm:0x[0-9a-f]+\)\n"
                     rb"  at _start\.command_export \(wrapped\.wasm:0x[0-9a-f]+\)\n$", said):
        raise base.Failed(base.excerpt(said))


def cases(bench):
    sources = sorted(pathlib.Path(SOURCES).iterdir())
    for source in sources:
        if source.suffix == ".rs" and not shutil.which(RUSTC):
            raise base.Unavailable("Debian's rustc is not installed")
        for level in LEVELS:
            for engine in bench.engines:
                yield base.Case(f"{source.name}, -O{level}", engine,
                                lambda e=engine, s=source, n=level: place(bench, e, s, n))
    for engine in bench.engines:
        for level in LEVELS:
            yield base.Case(f"the same from boot, -O{level}", engine,
                            lambda e=engine, n=level: in_the_kernel(bench, e, n, sources))
        for number, text in reasons().items():
            yield base.Case(f"reason {number}", engine, lambda e=engine, n=number, t=text: reason(bench, e, n, t))
        yield base.Case("reasons in the kernel", engine, lambda e=engine: reasons_in_the_kernel(bench, e))
    yield base.Case("debug information that lies", "", lambda: lies(bench))
    yield base.Case("a trace by hand", "", lambda: by_hand(bench))
    yield base.Case("a trace by what was wrapped", "", lambda: wrapped(bench))
