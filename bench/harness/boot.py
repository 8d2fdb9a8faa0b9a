# SPDX-License-Identifier: MIT
"""The kernel under QEMU: instructions from entry to the first one of a hello world, instructions of
a trap and its unwinding, memory touched, size of the image.

Counts are those of `-icount shift=0,sleep=off`, which is the same in every run: the time stamp
counter then counts instructions. They know nothing of caches, so wall time stands beside them.
"""
import io
import os
import re
import tarfile
import tempfile
import time
from pathlib import Path

from harness import build, proc, table

QEMU = ["qemu-system-x86_64", "-nodefaults", "-no-user-config", "-display", "none", "-no-reboot",
        "-accel", "tcg", "-cpu", "max,-erms", "-serial", "stdio",
        "-device", "isa-debug-exit,iobase=0xf4,iosize=4"]
COUNT = ["-icount", "shift=0,sleep=off", "-seed", "1", "-rtc", "base=2026-01-01T00:00:00,clock=vm"]
MACHINE = "microvm,acpi=off"
STEP = ["-singlestep", "-d", "exec,nochain"]
STAMPS = re.compile(r"paging (\d+), first wasm instruction (\d+), exit (\d+)")
STRIP = "llvm-strip-22"
WAT = {
    "divide": "(module (func (export \"_start\") (drop (i32.div_u (i32.const 1) (i32.const 0)))))",
    "memory": "(module (memory 1) (func (export \"_start\") "
              "(drop (i32.load (i32.const 0x10000)))))",
}


def boot_archive(options, files, line, *flags, machine=MACHINE, memory=("-m", "256")):
    """Boots the kernel with files {name: path} and a command line; returns what the console showed."""
    with tempfile.NamedTemporaryFile(prefix="nebulet-archive-") as archive:
        with tarfile.open(fileobj=archive, mode="w", format=tarfile.USTAR_FORMAT) as tar:
            for name, path in files.items():
                entry = tarfile.TarInfo(name)
                data = Path(path).read_bytes()
                entry.size = len(data)
                tar.addfile(entry, io.BytesIO(data))
        archive.flush()
        result = proc.run([*QEMU, "-machine", machine, *memory, "-kernel",
                           options.dirs.build / "nebulet.elf", "-initrd", archive.name, "-append",
                           line, *flags], timeout=120)
    if result.code == 0 or result.code % 2 == 0:
        raise proc.Failed(f"the kernel has crashed: {result.why()}")
    return result.stdout


def boot(options, wasm, words, *flags, **how):
    """Runs a program; returns what the console showed."""
    return boot_archive(options, {"program.wasm": wasm}, f"{words} dir= init=/program.wasm", *flags,
                        **how)


def stamps(options, wasm, engine, *flags):
    """(after paging, at the first wasm instruction, at the end), in ticks since entry."""
    found = STAMPS.search(boot(options, wasm, f"-v engine={engine}", *flags))
    if not found:
        raise proc.Failed("the kernel printed no time stamps")
    return tuple(map(int, found.groups()))


def symbols(kernel):
    lines = proc.check(["llvm-nm-22", kernel]).splitlines()
    return {name: int(address, 16) for address, _, name in (line.split() for line in lines)}


def trap_cost(options, name):
    """Instructions from the one that traps to where the call returns its error, from a log of all."""
    known = symbols(options.dirs.build / "nebulet.elf")
    handler, end = known["fault_trap"], known["leave_guest"]
    with tempfile.TemporaryDirectory(prefix="nebulet-trap-") as scratch:
        proc.check(["wat2wasm", write(f"{scratch}/p.wat", WAT[name]), "-o", f"{scratch}/p.wasm"])
        boot(options, f"{scratch}/p.wasm", "", *COUNT, *STEP, "-D", f"{scratch}/log")
        with open(f"{scratch}/log", encoding="ascii", errors="replace") as log:
            pcs = [int(found[1], 16) for found in (re.search(r"/([0-9a-f]{16})/", line) for line in log)
                   if found]
    at = pcs.index(handler)
    start = max(i for i in range(at) if pcs[i] >= 1 << 40)
    return pcs.index(end, at) - start


def write(path, text):
    Path(path).write_text(text, encoding="ascii")
    return path


def touched(options, files, line, megabytes=256):
    """What the console showed, and the bytes of the machine's memory that anything has touched: of
    the file behind it, which is sparse."""
    folder = "/dev/shm" if os.path.isdir("/dev/shm") else None
    with tempfile.NamedTemporaryFile(prefix="nebulet-memory-", dir=folder) as memory:
        backend = f"memory-backend-file,id=ram,size={megabytes}M,mem-path={memory.name},share=on"
        text = boot_archive(options, files, line, "-object", backend,
                            machine=f"{MACHINE},memory-backend=ram", memory=("-m", str(megabytes)))
        return text, os.stat(memory.name).st_blocks * 512


def wall_ms(options, wasm, engine):
    """The best time of a whole run: QEMU's start, firmware, kernel, program, end."""
    best = float("inf")
    for _ in range(3 if options.quick else 10):
        start = time.monotonic()
        boot(options, wasm, f"engine={engine}")
        best = min(best, time.monotonic() - start)
    return best * 1e3


def image_bytes(options):
    stripped = options.dirs.out / "nebulet.elf.stripped"
    proc.check([STRIP, "-o", stripped, options.dirs.build / "nebulet.elf"])
    return stripped.stat().st_size


def main(options):
    """Runs the section; returns (what goes into the JSON file, failures)."""
    if not (options.dirs.build / "nebulet.elf").exists():
        build.say("boot: no nebulet.elf: run make first")
        return {}, []
    build.program(options.dirs, "hello")
    wasm = options.dirs.wasm("hello")
    data, rows = {"wasm_bytes": wasm.stat().st_size}, []
    for engine in ("fast", "interp"):
        paging, first, end = stamps(options, wasm, engine, *COUNT)
        wall = wall_ms(options, wasm, engine)
        data[engine] = {"paging": paging, "first": first, "exit": end, "wall_ms": wall}
        rows.append([engine, str(paging), str(first), str(end), table.number(wall, 0)])
    table.show(f"Kernel: hello world of {data['wasm_bytes']} bytes, instructions since entry",
               ["engine", "paging", "first of wasm", "exit", "QEMU, all, ms"], rows)
    data["image"] = image_bytes(options)
    data["touched"] = touched(options, {"program.wasm": wasm}, "dir= init=/program.wasm")[1]
    data["trap"] = {name: trap_cost(options, name) for name in WAT}
    table.show("Kernel: sizes and traps", ["what", ""], [
        ["image, stripped, KB", table.number(data["image"] / 1e3, 1)],
        ["memory touched by hello world, KB", table.number(data["touched"] / 1e3, 0)],
        *[[f"trap and unwind, {name}, instructions", str(cost)]
          for name, cost in data["trap"].items()]])
    return data, []
