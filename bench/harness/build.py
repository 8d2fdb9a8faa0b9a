# SPDX-License-Identifier: MIT
"""Builds what the benchmarks need into build/bench: compilers, flags and paths in one place."""
import shutil
import subprocess
import sys
from pathlib import Path

from harness import proc

BENCH = Path(__file__).resolve().parent.parent
ROOT = BENCH.parent
PROGRAMS = BENCH / "prog"
WASM2C_RUNTIME = Path("/usr/share/wabt/wasm2c")

CC = "clang-22"
WARNINGS = ["-Wall", "-Wextra", "-Wshadow", "-Werror"]
NATIVE = [CC, "-std=gnu11", "-O2", *WARNINGS]
# No SIMD: native code keeps SSE2 and its vectorizer, as programs are built in practice. clang would
# run a wasm-opt found in PATH behind our back.
GUEST = [CC, "--target=wasm32-wasi", "-Wno-deprecated", "-std=gnu11", "-O2", *WARNINGS,
         "--no-wasm-opt", "-Wl,--strip-debug"]
NPM_PACKAGES = ["node@latest", "@bytecodealliance/wizer"]


class Dirs:
    """Where built things are: `out` is build/bench."""

    def __init__(self, build):
        self.build = Path(build).resolve()
        self.out = self.build / "bench"
        self.npm = self.out / "npm"
        self.real = self.build / "real"
        self.out.mkdir(parents=True, exist_ok=True)

    def native(self, name):
        return self.out / name

    def wasm(self, name):
        return self.out / f"{name}.wasm"

    def wasm2c(self, name):
        return self.out / f"{name}.wasm2c"

    def node(self):
        return self.npm / "node_modules/node/bin/node"

    def wizer(self):
        return self.npm / "node_modules/@bytecodealliance/wizer-linux-x64/wizer"

    def bound(self, name):
        return self.out / f"{name}.bound"

    def measure(self):
        return self.out / "measure"


def programs():
    """The names of the programs that time themselves."""
    return sorted(p.stem for p in PROGRAMS.glob("*.c") if p.stem != "hello")


# Those of which clang's vectorizer makes something that runs for long.
VECTORIZED = ["aes", "chacha", "image", "json", "matmul", "memory", "modular", "nbody", "sha256",
              "stencil", "strings"]


def say(text):
    print(text, file=sys.stderr, flush=True)


def stale(target, *sources):
    """Whether the target must be made again; a change of the flags in this file counts too."""
    if not target.exists():
        return True
    made = target.stat().st_mtime
    return any(Path(s).stat().st_mtime > made for s in (*sources, __file__))


def make(target, command, *sources):
    """Runs a compiler when its target is older than its sources."""
    if stale(target, *sources):
        proc.check([*command, "-o", target])
    return target


def program(dirs, name):
    """Builds one program natively and for wasm: "NAME" without SIMD, "NAME-simd" with it."""
    stem, _, variant = name.partition("-")
    source, header = PROGRAMS / f"{stem}.c", PROGRAMS / "bench.h"
    make(dirs.native(name), [*NATIVE, source, "-lm"], source, header)
    make(dirs.wasm(name), [*GUEST, *(["-msimd128"] if variant else []), source], source, header)


def threads(dirs, name):
    """Builds one program for wasm as a module that could start threads."""
    source, header = PROGRAMS / f"{name}.c", PROGRAMS / "bench.h"
    return make(dirs.wasm(f"{name}-threads"), [*GUEST, "-DBENCH_THREADS", source], source, header)


def wasm2c(dirs, name):
    """Builds a program through wabt's wasm2c and gcc -O2."""
    module, target, main = dirs.wasm(name), dirs.wasm2c(name), BENCH / "wasm2c_main.c"
    if not stale(target, module, main):
        return
    base = dirs.out / "wasm2c" / name
    base.parent.mkdir(exist_ok=True)
    proc.check(["wasm2c", "-n", "prog", module, "-o", f"{base}.c"])
    proc.check(["gcc", "-O2", f"-I{WASM2C_RUNTIME}", f'-DPROGRAM_H="{base}.h"', f"{base}.c", main,
                WASM2C_RUNTIME / "wasm-rt-impl.c", "-lm", "-o", target])


def bound(dirs, name):
    """The same through clang -O2, the memory at a constant address, which addresses then contain, and
    without what makes wasm2c's loads happen: about the best that a compiler can do with a module."""
    module, target, main = dirs.wasm(name), dirs.bound(name), BENCH / "wasm2c_main.c"
    if not stale(target, module, main):
        return
    base = dirs.out / "bound" / name
    base.parent.mkdir(exist_ok=True)
    proc.check(["wasm2c", "-n", "prog", module, "-o", f"{base}.c"])
    source = Path(f"{base}.c")
    text = source.read_text()
    for old, new in [("&mem->data[addr]", "(u8 *)BOUND_MEMORY + addr"),
                     ('wasm_asm("" ::"r"(result));', ""),
                     ("wasm_rt_allocate_memory(",
                      "void bound_memory(wasm_rt_memory_t *, u32, u32); bound_memory(")]:
        if old not in text:
            raise proc.Failed(f"bound: wasm2c does not write {old!r}")
        text = text.replace(old, new)
    source.write_text(text)
    proc.check([CC, "-O2", "-w", "-fPIE", "-pie", "-DBOUND_MEMORY=0x10000000", f"-I{WASM2C_RUNTIME}",
                f'-DPROGRAM_H="{base}.h"', source, main, WASM2C_RUNTIME / "wasm-rt-impl.c", "-lm",
                "-o", target])


def measure(dirs):
    """Builds the helper that measures processes."""
    return make(dirs.measure(), [*NATIVE, BENCH / "measure.c"], BENCH / "measure.c")


def wat(dirs, name):
    """Assembles bench/NAME.wat."""
    source, target = BENCH / f"{name}.wat", dirs.wasm(name)
    return make(target, ["wat2wasm", source], source)


def kernel_guests(dirs):
    """Builds what measures the kernel's operations, from bench/kern; returns {file name: path}."""
    folder, out = BENCH / "kern", dirs.out / "kern"
    out.mkdir(exist_ok=True)
    types = ROOT / "src/abi/nebulet_types.h"
    make(out / "kern.wasm", [*GUEST, f"-I{ROOT / 'src'}", "-Wl,--export=__stack_pointer",
                             folder / "kern.c"], folder / "kern.c", types)
    for source in folder.glob("*.wat"):
        make(out / f"{source.stem}.wasm", ["wat2wasm", source], source)
    make(dirs.native("peers"), [*NATIVE, folder / "peers.c", "-lpthread"], folder / "peers.c")
    return {path.name: path for path in sorted(out.glob("*.wasm"))}


def packages(groups):
    """Installs the Debian packages of these groups of check/packages."""
    done = subprocess.run([ROOT / "check/install", *groups], check=False)
    if done.returncode != 0:
        say("check/install failed: what needs a missing package will be left out")


def npm(dirs):
    """Installs node and wizer from npm, once. No failure: engines look whether they are there."""
    if dirs.node().exists() and dirs.wizer().exists():
        return
    if shutil.which("npm") is None:
        say("no npm: node and wizer are left out")
        return
    say("installing from npm: " + " ".join(NPM_PACKAGES))
    dirs.npm.mkdir(exist_ok=True)
    result = proc.run(["npm", "install", "--prefix", dirs.npm, "--no-audit", "--no-fund",
                       "--loglevel=error", *NPM_PACKAGES])
    if result.code != 0:
        say("npm: " + result.why())


