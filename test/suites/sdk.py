# SPDX-License-Identifier: MIT
"""What guests are written with, and what is written with it: libsip, user/demo, user/init, the
examples in other languages, and the installation.

All of it is built by `make userspace`. Drop a file in and it is a test:

    user/demo/NAME.c          with NAME.out beside it; runs with the folder of all demos as /
    test/sdk/NAME.c, .out     a program on libsip, built with wasi-libc and without any libc
    test/init/NAME.manifest   for user/init, with NAME.out and NAME.code (0); / holds the demos, too

.code, .err, .args and .opts are as for test/guest.
"""
import pathlib
import shutil
import tempfile
import threading

from . import base, guest

ROOT = base.ROOT
DEMOS = ROOT / "build/demo"
LIBRARY = ROOT / "build/test-sdk"
EXAMPLES = ["c", "rust", "assemblyscript"]
NAMES = {"c": "C", "rust": "Rust", "assemblyscript": "AssemblyScript"}
EXPECTED = """hello from {}
received 6 bytes: a word
the other end was closed: peer closed
a timer came
"""
UNAVAILABLE = 75


@base.once
def build():
    """The text of what went wrong, "" when all is well."""
    try:
        base.run(["make", "-s", "userspace"], cwd=ROOT, limit=600).check()
        return ""
    except base.Failed as why:
        return f"make userspace: {why}"


STAGE = threading.Lock()  # of the one tree that is installed and packed


def make(*words):
    with STAGE:
        base.run(["make", "-s", *words], cwd=ROOT, limit=600).check()


# --- Demos, and tests of libsip
def library_programs():
    """Builds test/sdk; yields (source, .wasm)."""
    LIBRARY.mkdir(parents=True, exist_ok=True)
    for config in ("nebulet", "nebulet-freestanding"):
        for source in sorted((ROOT / "test/sdk").glob("*.c")):
            wasm = LIBRARY / f"{source.stem}-{config}.wasm"
            newest = max(p.stat().st_mtime for p in [source, *(ROOT / "build/sdk/lib").iterdir()])
            if not wasm.exists() or wasm.stat().st_mtime < newest:
                base.run(["clang-22", f"--config={ROOT}/build/sdk/{config}.cfg", "-std=gnu11", "-O2",
                          "-Wall", "-Wextra", source, "-o", wasm], limit=120).check()
            yield source, wasm


def run_demo(bench, engine, source):
    guest.run_program(bench, engine, source, "", DEMOS, ["--dir", ".::/"])


def run_library_program(bench, engine, source, wasm):
    expected = source.with_suffix(".out").read_bytes()
    code = source.with_suffix(".code")
    bench.nebulet("run", "--engine", engine, wasm, "one", "two").check(
        int(code.read_text()) if code.exists() else 0, expected, b"")


# --- init
def by_service(text):
    """The lines of each service together: which one comes first is up to the scheduler."""
    lines = text.splitlines(keepends=True)
    return b"".join(sorted(lines, key=lambda line: line.split(b":")[:2]
                           if line.startswith(b"init: ") else []))


def run_init(bench, engine, manifest):
    with tempfile.TemporaryDirectory(prefix="nebulet-init-") as scratch:
        shutil.copy(manifest, pathlib.Path(scratch, "init.manifest"))
        for wasm in [*DEMOS.glob("*.wasm"), *LIBRARY.glob("*.wasm")]:
            shutil.copy(wasm, scratch)
        pathlib.Path(scratch, "broken.wasm").write_bytes(b"\0asm\1\0\0\0\1\1")
        result = bench.nebulet("run", "--engine", engine, "--dir", f"{scratch}::/",
                               ROOT / "build/user/init.wasm")
    code = manifest.with_suffix(".code")
    result.out = by_service(result.out)
    result.check(int(code.read_text()) if code.exists() else 0,
                 by_service(manifest.with_suffix(".out").read_bytes()))


# --- Examples
def run_example(bench, engine, language):
    built = base.run([ROOT / "sdk/examples/build", language], limit=120)
    if built.code == UNAVAILABLE:
        raise base.Skipped(built.err.decode().strip().rsplit("\n", 1)[-1])
    built.check()
    bench.nebulet("run", "--engine", engine, ROOT / f"build/examples/{language}.wasm").check(
        0, EXPECTED.format(NAMES[language]).encode(), b"")


def same_size(program, wasm):
    """What is installed is built in another way than what the tests run, and makes the same code."""
    sizes = [base.run([p, "compile", "--time", wasm]).out.split()[-1] for p in (program, ROOT / "build/nebulet")]
    if sizes[0] != sizes[1]:
        raise base.Failed(f"{wasm}: bytes of machine code, installed and in the tests: {sizes}")


def installed(bench):
    """The example in C, outside the tree, with nothing but what was installed."""
    if not shutil.which("pkg-config"):
        raise base.Skipped("no pkg-config (Debian: pkgconf)")
    with tempfile.TemporaryDirectory(prefix="nebulet sdk ") as scratch:
        prefix = pathlib.Path(scratch, "a prefix")
        example = pathlib.Path(scratch, "an example")
        make("install", f"PREFIX={prefix}")
        shutil.copytree(ROOT / "sdk/examples/c", example)
        base.run(["make", f"PREFIX={prefix}"], cwd=example, limit=120,
                 env={"PATH": "/usr/local/bin:/usr/bin:/bin",
                      "PKG_CONFIG_PATH": str(prefix / "lib/pkgconfig")}).check()
        made = sorted(example.glob("*.wasm"))
        if len(made) != 3:
            raise base.Failed(f"{len(made)} programs were built, expected 3")
        for wasm in made:
            bench.nebulet("run", wasm).check(0, EXPECTED.format("C").encode(), b"")
            base.run([prefix / "bin/nebulet", wasm]).check(0, EXPECTED.format("C").encode(), b"")
            same_size(prefix / "bin/nebulet", wasm)
        if shutil.which("man"):
            base.run(["man", "--warnings", "-l", prefix / "share/man/man1/nebulet.1"]).check(0, None, b"")
        (prefix / "share/mine").write_text("")
        make("uninstall", f"PREFIX={prefix}")
        left = [str(f.relative_to(prefix)) for f in prefix.rglob("*") if f.is_file() or "nebulet" in f.name]
        if left != ["share/mine"]:
            raise base.Failed(f"left: {left}")


def packed(bench):
    """What is in the Debian package runs where it lies."""
    if not shutil.which("dpkg-deb"):
        raise base.Skipped("no dpkg-deb here")
    make("deb")
    package = next((ROOT / "build").glob("nebulet_*.deb"))
    with tempfile.TemporaryDirectory(prefix="nebulet-deb-") as root:
        base.run(["dpkg-deb", "-x", package, root]).check()
        base.run([f"{root}/usr/bin/nebulet", ROOT / "build/examples/c.wasm"]).check(
            0, EXPECTED.format("C").encode(), b"")
        for name in ("lib/nebulet/nebulet.elf", "share/man/man1/nebulet.1.gz", "share/doc/nebulet/copyright"):
            if not pathlib.Path(root, "usr", name).exists():
                raise base.Failed(f"no {name}")


def programs(bench):
    """The cases that are the same on every machine."""
    demos = [s for s in sorted((ROOT / "user/demo").glob("*.c")) if s.with_suffix(".out").exists()]
    libraries = list(library_programs())
    manifests = sorted((ROOT / "test/init").glob("*.manifest"))
    for engine in bench.engines:
        for source in demos:
            yield base.Case(source.stem, engine,
                            lambda e=engine, s=source: run_demo(bench, e, s))
        for source, wasm in libraries:
            yield base.Case(wasm.stem, engine,
                            lambda e=engine, s=source, w=wasm: run_library_program(bench, e, s, w))
        for manifest in manifests:
            yield base.Case(f"init: {manifest.stem}", engine,
                            lambda e=engine, m=manifest: run_init(bench, e, m))
        for language in EXAMPLES:
            yield base.Case(f"example in {NAMES[language]}", engine,
                            lambda e=engine, n=language: run_example(bench, e, n))


def cases(bench):
    broken = build()
    if broken:
        yield base.Case("make userspace", "", lambda: base.Result(1, b"", broken.encode()).check())
        return
    yield from programs(bench)
    yield base.Case("installed, and taken away", "", lambda: installed(bench))
    yield base.Case("the Debian package", "", lambda: packed(bench))
