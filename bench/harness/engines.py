# SPDX-License-Identifier: MIT
"""The engines: what each is called, what it needs, and how it runs a WASI command.

An engine that is not there says why in missing(); the report leaves it out and tells.
"""
import shutil
from dataclasses import dataclass, field

from harness import build

V8 = ["--no-warnings", "--no-wasm-lazy-compilation", "--no-wasm-native-module-cache"]


@dataclass
class Engine:
    name: str
    about: str
    scale: float = 1.0      # of the work given to it: slow engines get less
    max_reps: int = 1000
    simd: bool = True       # runs modules with SIMD
    dirs: build.Dirs = field(default=None, repr=False)

    def missing(self):
        """Why it cannot run here, or None."""
        return None

    def prepare(self, program):
        """Builds what it needs to run a program; raises proc.Failed."""

    def command(self, program, args):
        """The command line that runs a program; arguments may also be in env()."""
        raise NotImplementedError

    def env(self, args):
        return {}


class Native(Engine):
    def command(self, program, args):
        return [self.dirs.native(program), *args]


class Nebulet(Engine):
    def missing(self):
        path = self.dirs.build / "nebulet"
        return None if path.exists() else f"no {path}: run make first"

    def command(self, program, args):
        return [self.dirs.build / "nebulet", "run", "--engine", self.name,
                self.dirs.wasm(program), *args]


@dataclass
class Node(Engine):
    flags: tuple = ()

    def missing(self):
        return None if self.dirs.node().exists() else "node was not installed from npm"

    def command(self, program, args):
        return [self.dirs.node(), *V8, *self.flags, build.BENCH / "wasi.mjs",
                self.dirs.wasm(program), *args]


class Wizer(Engine):
    """wasmtime's Cranelift: wizer runs _start, without arguments, and drops the snapshot."""

    def missing(self):
        return None if self.dirs.wizer().exists() else "wizer was not installed from npm"

    def command(self, program, args):
        return [self.dirs.wizer(), "--allow-wasi", "--inherit-env", "true", "-f", "_start",
                "-o", "/dev/null", self.dirs.wasm(program)]

    def env(self, args):
        return {"BENCH_SCALE": args[0]} if args else {}


class Wasm2c(Engine):
    def missing(self):
        for tool in ("wasm2c", "gcc"):
            if shutil.which(tool) is None:
                return f"no {tool}: see check/packages"
        return None

    def prepare(self, program):
        build.wasm2c(self.dirs, program)

    def command(self, program, args):
        return [self.dirs.wasm2c(program), *args]


class Bound(Wasm2c):
    def prepare(self, program):
        build.bound(self.dirs, program)

    def command(self, program, args):
        return [self.dirs.bound(program), *args]


def all_engines(dirs):
    """Native first, then in the order of the table's columns."""
    return [
        Native("native", "clang-22 -O2", dirs=dirs),
        Nebulet("fast", "nebulet run --engine fast", dirs=dirs),
        Nebulet("interp", "nebulet run --engine interp", scale=0.05, max_reps=1, dirs=dirs),
        Node("liftoff", "V8's baseline, node --liftoff-only", flags=("--liftoff-only",), dirs=dirs),
        Node("turbofan", "V8's optimizing compiler, node --no-liftoff", flags=("--no-liftoff",),
             dirs=dirs),
        Wizer("cranelift", "wasmtime's optimizing compiler, inside wizer", dirs=dirs),
        Wasm2c("wasm2c", "wabt's wasm2c, then gcc -O2, bounds by guard pages", simd=False,
               dirs=dirs),
        Bound("bound", "LLVM's best: wasm2c, then clang-22 -O2, the memory at a constant address",
              simd=False, dirs=dirs),
    ]
