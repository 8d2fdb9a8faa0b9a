# SPDX-License-Identifier: MIT
"""The kernel, under QEMU: what the other suites run on Linux runs here in ring 0 and must come out
the same, by the same functions: `nebulet boot` takes the place of `nebulet run`, with one word
changed. To that come boots of different machines, and hostile programs by the thousand.

Where many programs run one after another in one machine, they are described by words, as
src/main/kernel.c reads them, and their output is sorted by the marks of src/plat/pc/console.h.
"""
import fcntl
import io
import pathlib
import re
import shutil
import socket
import subprocess
import tarfile
import tempfile
import threading
import time

from . import base, guest, kern, real, sdk, section, spec, stack, wasi

QEMU = ["qemu-system-x86_64", "-nodefaults", "-no-user-config", "-display", "none", "-no-reboot",
        "-accel", "tcg", "-cpu", "max", "-serial", "stdio",
        "-device", "isa-debug-exit,iobase=0xf4,iosize=4"]
COUNT = ["-icount", "shift=3,sleep=off", "-seed", "1",  # an instruction takes 8 ns
         "-rtc", "base=2026-01-01T00:00:00,clock=vm"]
MACHINES = {"microvm": ["-machine", "microvm,acpi=off"], "q35": ["-machine", "q35"],
            "iommu": ["-machine", "q35", "-device", "intel-iommu,intremap=on"]}
HOSTILE = ["trap_unreachable", "trap_load", "trap_divide_by_zero", "trap_recursion",
           "trap_call_type", "trap_table_get"]
HOSTILE_RUNS = 1000
TIMED = ["budgets", "floods", "lookup", "preempt", "prompt", "registers", "watchdog"]  # of test/kern, on a clock of instructions
QUICKER = {("prompt", COUNT[1]): "shift=1,sleep=off"}  # 2 ns: 5,000 instructions for the end of each thread
# QEMU's server knows files by their paths: a directory that was removed is not there for who has it open.
BY_PATH = {"odd_names"}
TICKS = {"interp": 100000, "fast": 30000}
CLOCKS = ["clocks", "sleep"]  # guests whose output depends on how long things take
ENDLESS = "(module (memory 1) (func (export \"_start\") (loop $l (i32.store (i32.const 0) " \
          "(i32.add (i32.load (i32.const 0)) (i32.const 1))) (br $l))))"
READS = "(module (import \"wasi_snapshot_preview1\" \"fd_read\" (func $f (param i32 i32 i32 i32) " \
        "(result i32))) (memory (export \"memory\") 1) (data (i32.const 4) \"\\10\") " \
        "(func (export \"_start\") (drop (call $f (i32.const 0) (i32.const 0) (i32.const 1) " \
        "(i32.const 8)))))"
POLLS = "(module (import \"wasi_snapshot_preview1\" \"poll_oneoff\" (func $f (param i32 i32 i32 i32) " \
        "(result i32))) (memory (export \"memory\") 1) (data (i32.const 8) \"\\01\") " \
        "(func (export \"_start\") (drop (call $f (i32.const 0) (i32.const 256) (i32.const 1) " \
        "(i32.const 512)))))"
# The exit code is random_fill's error, without its sign.
RANDOM = "(module (import \"nebulet\" \"random_fill\" (func $random (param i32 i32) (result i64))) " \
         "(import \"nebulet\" \"cprng_fill\" (func $cprng (param i32 i32) (result i64))) " \
         "(import \"nebulet\" \"exit\" (func $exit (param i32))) (memory 1) " \
         "(func (export \"_start\") " \
         "(if (i64.ne (call $cprng (i32.const 0) (i32.const 3000)) (i64.const 0)) " \
         "(then (call $exit (i32.const 99)))) " \
         "(if (i64.eqz (i64.load (i32.const 2992))) (then (call $exit (i32.const 98)))) " \
         "(i32.store (i32.const 8000) (i32.wrap_i64 (call $random (i32.const 4000) " \
         "(i32.const 2001)))) " \
         "(if (i32.load (i32.const 8000)) " \
         "(then (call $exit (i32.sub (i32.const 0) (i32.load (i32.const 8000)))))) " \
         "(if (i64.eqz (i64.load (i32.const 5993))) (then (call $exit (i32.const 97)))) " \
         "(if (i32.load8_u (i32.const 6001)) (then (call $exit (i32.const 96))))))"
UNAVAILABLE = 18
# Takes all the memory that there is, touches it, and takes the stack, too.
GREEDY = "(module (memory 1) (func $f (call $f)) (func (export \"_start\") (local $p i32) " \
         "(loop $l (local.set $p (memory.grow (i32.const 64))) " \
         "(if (i32.ne (local.get $p) (i32.const -1)) (then " \
         "(memory.fill (i32.mul (local.get $p) (i32.const 65536)) (i32.const 7) " \
         "(i32.const 4194304)) (br $l)))) (call $f)))"


class Machine:
    """A Bench (base.Bench) whose `run` is `boot`."""

    def __init__(self, bench, *flags):
        self.bench = bench
        self.flags = flags

    def __getattr__(self, name):
        return getattr(self.bench, name)

    def nebulet(self, command, *args, **how):
        if command == "run":
            return self.bench.nebulet("boot", *self.flags, *args, **how)
        return self.bench.nebulet(command, "--boot", *self.flags, *args, **how)


# --- Boots: the same small program on every machine.
def boot_one(bench, *flags):
    result = bench.nebulet("boot", "-v", *flags, guest.BUILT / "hello.wasm").check(0, b"Hello, world\n")
    wanted = flags[flags.index("--cpus") + 1] if "--cpus" in flags else "1"
    if f"{wanted} CPUs".encode() not in result.err:
        raise base.Failed(f"{wanted} CPUs are not all there\n{base.excerpt(result.err)}")


def boot_debuggers_share(bench):
    """DWARF stays out of a machine's memory, and whatever is wrong with a module is where it was."""
    hello = (guest.BUILT / "hello.wasm").read_bytes()
    dwarf = section.custom(b".debug_str", bytes(14 << 20))
    with tempfile.TemporaryDirectory(prefix="nebulet-dwarf-") as scratch:
        module = pathlib.Path(scratch, "app.wasm")
        for bytes_ in (hello + dwarf, hello + dwarf + section.custom(b"other", b"") + dwarf):
            module.write_bytes(bytes_)
            bench.nebulet("boot", "--memory", "16M", module).check(0, b"Hello, world\n")
        small = section.custom(b".debug_str", bytes(100))
        for bytes_ in (hello[:8] + small + hello[8:-3], hello + small + hello[8:], hello + small + b"\0\xff\xff", hello[:7],
                       hello + small[:-1], hello + section.custom(b"x", b"")[:-2] + small):
            module.write_bytes(bytes_)
            run, boot = (bench.nebulet(command, module) for command in ("run", "boot"))
            if (run.code, run.err.replace(b"%s/" % scratch.encode(), b""), run.out) != (boot.code, boot.err, boot.out):
                raise base.Failed(f"run: {run.code} {base.excerpt(run.err)}\nboot: {boot.code} {base.excerpt(boot.err)}")


OVMF = ["/usr/share/OVMF/OVMF_CODE_4M.fd", "/usr/share/OVMF/OVMF_CODE.fd"]


def boot_grub(bench, by_efi=False):
    """From a CD, by GRUB, which the BIOS has started, or EFI."""
    if not shutil.which("grub-mkrescue"):
        raise base.Skipped("no grub-mkrescue")
    firmware, flags = [f for f in OVMF if pathlib.Path(f).exists()], []
    if by_efi and not (firmware and pathlib.Path("/usr/lib/grub/x86_64-efi").exists()):
        raise base.Skipped("no OVMF, or no grub-efi-amd64-bin")
    if by_efi:
        flags = ["-drive", f"if=pflash,format=raw,readonly=on,file={firmware[0]}", "-vga", "std"]
    with tempfile.TemporaryDirectory(prefix="nebulet-iso-") as scratch:
        iso = f"{scratch}/nebulet.iso"
        base.run([base.ROOT / "test/make_iso", bench.program.parent / "nebulet.elf", iso,
                  guest.BUILT / "hello.wasm"], limit=120).check()
        result = base.run([*QEMU, *MACHINES["q35"], "-m", "128" if by_efi else "64", "-cdrom", iso, *flags],
                          limit=300 if by_efi else 60)
    if b"Hello, world\n" not in result.out.replace(b"\r", b"") or result.code != 1:
        raise base.Failed(f"exit code {result.code}\n{base.excerpt(result.out)}")


# --- By hand: a command line of one's own, and the archive that a loader gives.
def boot_by_hand(bench, line, archive, machine="microvm", flags=()):
    """What the serial port says, and the kernel's exit code."""
    with tempfile.NamedTemporaryFile(prefix="nebulet-archive-") as file:
        file.write(archive)
        file.flush()
        done = base.run([*QEMU, *MACHINES[machine], "-m", "64", "-kernel", bench.program.parent / "nebulet.elf",
                         "-initrd", file.name, "-append", line, *flags], limit=60)
    return done.out.replace(b"\r\n", b"\n"), done.code >> 1 if done.code & 1 else None


FIRECRACKER = "reboot=k panic=1 pci=off nomodules 8250.nr_uarts=0 i8042.noaux i8042.nomux i8042.nopnp i8042.dumbkbd"
WORDS = [  # a name, the line, exit code, what is said
    ("an unknown word", "memory=0 verbose init=/args.wasm", 2,
     rb'^nebulet: word 2 of the command line, "verbose": unknown; there are init= dir= [^\n]* memory= '),
    ("a typo", "memroy=0 init=/args.wasm", 2, rb'^nebulet: word 1 of the command line, "memroy=0": unknown'),
    ("almost ours, and nobody else's", "console=multiplx init=/args.wasm", 2,
     rb'^nebulet: word 1 of the command line, "console=multiplx": unknown'),
    ("no stream", "tty=0x init=/args.wasm", 2, rb'^nebulet: word 1 of the command line, "tty=0x": not digits of streams\n'),
    ("an unknown word for the second program", "init=/args.wasm ++ tik=1 init=/args.wasm", 2,
     rb'^nebulet: word 3 of the command line, "tik=1": unknown'),
    ("an unknown word in a file", "words=/words", 2, rb'^nebulet: word 2 of /words, "demon": unknown'),
    ("no number", "memory=64M init=/args.wasm", 2, rb'^nebulet: word 1 of the command line, "memory=64M": not a number\n'),
    ("no privilege", "may=64 init=/args.wasm", 2, rb'^nebulet: word 1 of the command line, "may=64": too large\n'),
    ("more than any weight", "weight=1000 weight=1001 init=/args.wasm", 2,
     rb'^nebulet: word 2 of the command line, "weight=1001": too large\n'),
    ("limits that others had", "weight=0 handles=0 time=0 init=/args.wasm", 0, rb"(?m)^argc 1$"),
    ("no engine", "engine=opt init=/args.wasm", 2,
     rb'^nebulet: word 1 of the command line, "engine=opt": there are fast and interp\n'),
    ("a word twice", "time=1 time=0 name=a name=b init=/args.wasm", 0, rb"(?m)^argv\[0\] = <b>$"),
    ("words of loaders", f"BOOT_IMAGE=x {FIRECRACKER} console=ttyS0 root=/dev/vda ro init=/args.wasm 7 virtio_mmio.device=4K@0xd0000000:5",
     0, rb"^argc 2\nargv\[0\] = <args.wasm>\nargv\[1\] = <7>\n"),
    ("words of loaders, at the end", f"init=/args.wasm 7 -- virtio_mmio.device=4K@0xd0000000:5 {FIRECRACKER}", 0, rb"^argc 2\nargv\[0\] = <args.wasm>\nargv\[1\] = <7>\n"),
]


def boot_words(bench, line, code, said):
    files = {"args.wasm": (guest.BUILT / "args.wasm").read_bytes(), "words": b"more\0demon\0init=/args.wasm\0"}
    out, found = boot_by_hand(bench, line, pack(files))
    if found != code or not re.search(said, out):
        raise base.Failed(f"exit code {found}\n{base.excerpt(out)}")


def boot_module(bench, archive, line, code, said):
    """-initrd is no tar."""
    out, found = boot_by_hand(bench, line, archive)
    if found != code or not re.search(said, out):
        raise base.Failed(f"exit code {found}\n{base.excerpt(out)}")


def modules(bench):
    hello, args = ((guest.BUILT / f"{name}.wasm").read_bytes() for name in ("hello", "args"))
    broken = rb"^nebulet: app.wasm: .* at offset 0x[0-9a-f]+: "
    for name, archive, line, code, said in [
            ("a module alone", hello, "", 0, rb"^Hello, world\n"),
            ("a module alone, Firecracker's words", hello, FIRECRACKER, 0, rb"^Hello, world\n"),
            ("a module alone, with arguments", args, "init=/args.wasm 7", 0, rb"^argc 2\nargv\[0\] = <args.wasm>\nargv\[1\] = <7>\n"),
            ("a module alone, cut", hello[:len(hello) // 2], "", 1, broken),
            ("a module alone, of its first bytes", hello[:4], "", 1, broken),
            ("a module alone, broken", hello[:40] + b"\xff" * 40 + hello[80:], "", 1, broken),
            ("neither a module nor a tar", b"#!/bin/sh\n" * 100, "init=/app.wasm", 1,
             rb"^nebulet: the archive is neither a tar \(ustar\) nor a module, or damaged\n"),
            ("a tar and no init=", pack({"hello.wasm": hello}), "", 2, rb"^nebulet: nothing to run: ")]:
        yield base.Case(name, "", lambda a=(archive, line, code, said): boot_module(bench, *a))


# --- Input that is not there yet when the program asks for it.
def boot_slow_input(bench, *flags):
    """A few bytes while the program waits, then more at once than the kernel's ring holds."""
    parts = [b"one ", b"two\0\x10", bytes(i * 7 % 256 for i in range(30000))]
    whole = b"".join(parts)
    wanted = bench.nebulet("run", guest.BUILT / "stdin.wasm", stdin=whole).check(0).out
    with subprocess.Popen([bench.program, "boot", *flags, guest.BUILT / "stdin.wasm"],
                          stdin=subprocess.PIPE, stdout=subprocess.PIPE) as machine:
        watchdog = threading.Timer(60, machine.kill)
        watchdog.start()
        for part in parts:
            time.sleep(0.4)
            machine.stdin.write(part)
            machine.stdin.flush()
        machine.stdin.close()
        out = machine.stdout.read()
        watchdog.cancel()
    base.Result(machine.returncode, out, b"").check(0, wanted)


def boot_silent_input(bench, text):
    """A program that waits for input that never comes is ended when its time is up."""
    with tempfile.TemporaryDirectory(prefix="nebulet-silent-") as scratch:
        with open(f"{scratch}/waits.wat", "w", encoding="ascii") as source:
            source.write(text)
        base.run(["wat2wasm", f"{scratch}/waits.wat", "-o", f"{scratch}/waits.wasm"]).check()
        with subprocess.Popen([bench.program, "boot", "--max-time", "0.5", f"{scratch}/waits.wasm"],
                              stdin=subprocess.PIPE, stderr=subprocess.PIPE) as machine:
            watchdog = threading.Timer(60, machine.kill)
            watchdog.start()
            err = machine.stderr.read()
            machine.wait()
            watchdog.cancel()
    if machine.returncode != base.TRAP or b"time limit" not in err:
        raise base.Failed(f"exit code {machine.returncode}\n{base.excerpt(err)}")


def boot_unread(bench):
    """Messages that nobody takes are lost after a while, and that is said; nobody waits for them."""
    wasm = kern.build(kern.SOURCES / "silenced.c")
    files = {wasm.name: wasm.read_bytes(), "words": f"init=/{wasm.name}\0--\0".encode()}
    with tempfile.NamedTemporaryFile(prefix="nebulet-archive-") as archive:
        archive.write(pack(files))
        archive.flush()
        with subprocess.Popen(
                [*QEMU, *MACHINES["microvm"], "-m", "64", "-kernel", str(bench.program.parent / "nebulet.elf"),
                 "-initrd", archive.name, "-append", "console=multiplex words=/words"],
                stdin=subprocess.DEVNULL, stdout=subprocess.PIPE) as machine:
            fcntl.fcntl(machine.stdout, fcntl.F_SETPIPE_SZ, 4096)
            watchdog = threading.Timer(60, machine.kill)
            watchdog.start()
            time.sleep(6)
            found, rest = sort_output(machine.stdout.read())
            watchdog.cancel()
    if len(found) != 1 or found[0][0] != b"silenced\n":
        raise base.Failed(f"it has not come to an end\n{base.excerpt(rest)}")
    if not re.search(rb"\nnebulet: \d+ bytes of messages lost: nobody took them\n", found[0][1]):
        raise base.Failed(f"nothing was lost\n{base.excerpt(found[0][1])}")


def boot_old_cpu(bench):
    """QEMU's default one: what the kernel has to say so early is heard."""
    out, code = boot_by_hand(bench, "init=/x", b"", machine="q35", flags=["-cpu", "qemu64"])
    if not out.startswith(b"nebulet: fatal: this CPU is too old: ") or code is None:
        raise base.Failed(f"exit code {code}\n{base.excerpt(out)}")


def boot_machine_check(bench):
    """QEMU's monitor reports an uncorrected error; the machine says so, with registers."""
    with tempfile.TemporaryDirectory(prefix="nebulet-check-") as scratch:
        with open(f"{scratch}/endless.wat", "w", encoding="ascii") as source:
            source.write(ENDLESS)
        wasm, monitor = f"{scratch}/endless.wasm", f"{scratch}/monitor"
        base.run(["wat2wasm", source.name, "-o", wasm]).check()
        with open(wasm, "rb") as code, open(f"{scratch}/archive", "wb") as archive:
            archive.write(pack({"endless.wasm": code.read()}))
        with subprocess.Popen(
                [*QEMU, *MACHINES["q35"], "-m", "64", "-kernel", str(bench.program.parent / "nebulet.elf"),
                 "-initrd", archive.name, "-append", "init=/endless.wasm", "-monitor",
                 f"unix:{monitor},server,nowait"], stdin=subprocess.DEVNULL, stdout=subprocess.PIPE) as machine:
            end = time.monotonic() + 60
            while machine.poll() is None and time.monotonic() < end:
                time.sleep(1)
                with socket.socket(socket.AF_UNIX) as control:
                    try:
                        control.connect(monitor)
                        control.sendall(b"mce 0 1 0xbe00000000000135 0x5 0xdead 0x8c\n")
                    except OSError:
                        pass  # not yet, or over
            machine.kill()
            out = machine.stdout.read()
    if b"fatal: machine check" not in out or b"rip " not in out:
        raise base.Failed(f"it does not say so\n{base.excerpt(out)}")


def stress(bench, cpus, threads, rounds):
    """All CPUs at once: test/kernel/smp.c. With `single`, QEMU runs them in turns; otherwise it is
    slow when this machine has not as many cores to spare."""
    kernel = bench.program.parent / "test/kernel/smp.elf"
    if not kernel.exists():
        raise base.Skipped(f"no {kernel.name}: run make unit first")
    flags = [f"tcg,thread={threads}" if flag == "tcg" else flag for flag in QEMU]
    result = base.run([*flags, *MACHINES["microvm"], "-m", "128", "-smp", str(cpus), "-kernel", kernel,
                       "-append", f"rounds={rounds}"], limit=120)
    if result.code != 1 or f"{cpus} CPUs, ".encode() not in result.out:
        raise base.Failed(f"exit code {result.code}\n{base.excerpt(result.out)}")


# --- Many programs in one machine.
def pack(files):
    archive = io.BytesIO()
    with tarfile.open(fileobj=archive, mode="w", format=tarfile.USTAR_FORMAT) as tar:
        for name, data in files.items():
            entry = tarfile.TarInfo(name)
            entry.size = len(data)
            tar.addfile(entry, io.BytesIO(data))
    return archive.getvalue()


def sort_output(data):
    """(output, errors, exit code) of each program, and what came after the last."""
    found, streams, stream, at = [], {1: bytearray(), 2: bytearray()}, 1, 0
    while at < len(data):
        if data[at] != 0x10:
            streams[stream].append(data[at])
            at += 1
        elif data[at + 1:at + 2] in (b"1", b"2", b"3"):
            stream = min(data[at + 1] - ord("0"), 2)
            at += 2
        elif data[at + 1:at + 2] == b"R":
            at += 2
        elif data[at + 1:at + 2] == b"E":
            found.append((bytes(streams[1]), bytes(streams[2]), data[at + 2]))
            streams = {1: bytearray(), 2: bytearray()}
            at += 3
        else:
            streams[stream].append(data[at + 1])
            at += 2
    return found, bytes(streams[1] + streams[2])


def run_many(bench, words, files, machine="microvm", memory=64, limit=200, flags=(),
             kernel="nebulet.elf"):
    """Boots with a file of words; returns what sort_output does."""
    words = ["iommu", *words] if machine == "iommu" else words
    files = dict(files, words=b"".join(word.encode() + b"\0" for word in words))
    with tempfile.NamedTemporaryFile(prefix="nebulet-archive-") as archive:
        archive.write(pack(files))
        archive.flush()
        command = [*QEMU, *MACHINES[machine], "-m", str(memory), "-kernel",
                   str(bench.program.parent / kernel), "-initrd", archive.name,
                   "-append", "console=multiplex words=/words", *flags]
        try:
            done = subprocess.run(command, stdin=subprocess.DEVNULL, capture_output=True,
                                  timeout=limit, check=False)
        except subprocess.TimeoutExpired as late:
            raise base.Failed(f"still running after {limit} s\n{base.excerpt(late.stdout or b'')}") from None
    found, rest = sort_output(done.stdout)
    if done.returncode < 0 or done.returncode % 2 == 0:  # a signal: QEMU itself
        raise base.Failed(f"the machine has crashed after {len(found)} programs, exit code "
                          f"{done.returncode}\n{base.excerpt(rest or done.stderr)}")
    return found, rest


def hostile(bench, engine):
    """The kernel compares free pages itself after every program, and panics when one is missing."""
    with tempfile.TemporaryDirectory(prefix="nebulet-hostile-") as scratch:
        files = {f"{name}.wasm": (guest.BUILT / f"{name}.wasm").read_bytes() for name in HOSTILE}
        for name, text in (("endless", ENDLESS), ("greedy", GREEDY)):
            with open(f"{scratch}/{name}.wat", "w", encoding="ascii") as source:
                source.write(text)
            base.run(["wat2wasm", f"{scratch}/{name}.wat", "-o", f"{scratch}/{name}.wasm"]).check()
            with open(f"{scratch}/{name}.wasm", "rb") as wasm:
                files[f"{name}.wasm"] = wasm.read()
    names = [name for i in range(HOSTILE_RUNS) for name in [
        "greedy" if i % 100 == 99 else "endless" if i % 20 == 19 else HOSTILE[i % len(HOSTILE)]]]
    words = [f"engine={engine}", "time=0"]
    for name in names:
        words += [f"time={10_000_000 if name == 'endless' else 0}", f"init=/{name}.wasm", "--"]
    found, rest = run_many(bench, words, files)
    if len(found) != len(names):
        raise base.Failed(f"{len(names)} programs, but {len(found)} came to an end\n"
                          + base.excerpt(rest))
    for name, (out, err, code) in zip(names, found):
        if code != base.TRAP or b"wasm trap: " not in err:
            raise base.Failed(f"{name}: exit code {code}\n{base.excerpt(out + err)}")
    return base.Counts(passed=len(found))


REQUESTS = 450  # more than test/kern/missing.c leads to
DEPTHS = range(60, 400, 12)  # of frames of 32 bytes: over several pages


def stacks(bench, engine):
    """Every way into C with the stack, or memory for it, at its end; one after another in a machine
    that hangs, or misses a page, when one of them is not ended cleanly."""
    programs = {f"deep {what}, greedy {greedy}": stack.deep(what, greedy)
                for what in stack.DEEP for greedy in (False, True)}
    programs |= {f"waits for {what} at {depth}": stack.waiting(what, depth)
                 for what in stack.WAITING for depth in DEPTHS}
    files, words = {}, [f"engine={engine}"]
    with tempfile.TemporaryDirectory(prefix="nebulet-stack-") as scratch:
        for i, text in enumerate(programs.values()):
            with open(stack.assemble(scratch, str(i), text), "rb") as wasm:
                files[f"{i}.wasm"] = wasm.read()
            words += ["time=0", f"init=/{i}.wasm", "--"]
    found, rest = run_many(bench, words, files, memory=24)
    for name, (out, err, code) in zip(programs, found):
        wanted = [base.TRAP] if name.startswith("deep") else [0, base.TRAP]
        if code not in wanted or (code and b"wasm trap: call stack exhausted" not in err):
            raise base.Failed(f"{name}: exit code {code}\n{base.excerpt(out + err)}")
    if len(found) != len(programs):
        raise base.Failed(f"after {len(found)} of {len(programs)} programs nothing came any more\n"
                          + base.excerpt(rest))
    return base.Counts(passed=len(found))


def refused(bench, engine, word, steps):
    """test/kern/missing.c, over and over, each time with the next request for memory refused:
    pages, promises of pages and blocks of the heap, until a run has none left to refuse. Whatever
    that leads to, the program ends, and the kernel finds all its pages again."""
    wasm = kern.build(kern.SOURCES / "missing.c")
    words, numbers = [f"engine={engine}", f"time={2_000_000_000}"], list(steps)
    for n in numbers:
        words += [f"{word}={n}", f"init=/{wasm.name}", "--"]
    found, rest = run_many(bench, words, {wasm.name: wasm.read_bytes()})
    if len(found) != len(numbers):
        raise base.Failed(f"{word}={numbers[len(found)]}: it has not come to an end\n"
                          + base.excerpt(rest))
    for n, (out, err, code) in zip(numbers, found):
        if code not in (0, 1, base.TRAP) or (code == base.TRAP and b"nebulet: " not in err):
            raise base.Failed(f"{word}={n}: exit code {code}\n{base.excerpt(out + err)}")
    if found[0][2] == 0 or found[-1] != (b"missing\n", b"", 0):
        raise base.Failed(f"what was refused is not all there is\n{base.excerpt(found[-1][1])}")
    return base.Counts(passed=len(found))


def interrupted(bench, engine):
    """All guests that take nothing but themselves, with a timer interrupt every 30 us that does
    nothing: wherever it comes, it must not show. On interp every 100 us, which are as many in all."""
    chosen = [s for s in sorted(guest.SOURCES.glob("*.*")) if s.suffix in (".c", ".wat") and not any(
        s.with_suffix(x).exists() for x in (".opts", ".in", ".args", ".err", ".flags"))]
    chosen = [s for s in chosen if s.stem not in CLOCKS]
    files = {f"{s.stem}.wasm": (guest.BUILT / f"{s.stem}.wasm").read_bytes() for s in chosen}
    words = [f"engine={engine}", f"tick={TICKS[engine]}"]
    for source in chosen:
        words += ["dir=", f"init=/{source.stem}.wasm", "--"]
    found, rest = run_many(bench, words, files, memory=2000)
    for source, (out, err, code) in zip(chosen, found):
        wanted = source.with_suffix(".out")
        number = source.with_suffix(".code")
        try:
            base.Result(code, out, err).check(int(number.read_text()) if number.exists() else 0,
                                              wanted.read_bytes() if wanted.exists() else b"")
        except base.Failed as why:
            raise base.Failed(f"{source.name}: {why}") from None
    if len(found) != len(chosen):
        raise base.Failed(f"only {len(found)} programs came to an end\n{base.excerpt(rest)}")
    return base.Counts(passed=len(found))


def timed(bench, engine, source):
    """A program of test/kern on a machine whose time is the number of instructions: how busy this
    one is cannot show, so the program is told `exact`, and forgives nothing. (Only one CPU: with
    -icount QEMU gives each its turn so seldom that others wait for seconds.)"""
    words = [f"engine={engine}", f"init=/{source.stem}.wasm", *kern.exact(source, engine), "--"]
    flags = [QUICKER.get((source.stem, flag), flag) for flag in COUNT]
    found, rest = run_many(bench, words, kern.files_of(source), limit=250, memory=1536, flags=flags)
    if len(found) != 1:
        raise base.Failed(f"it has not come to an end\n{base.excerpt(rest)}")
    out, err, code = found[0]
    base.Result(code, out, err).check(0, source.stem.encode() + b"\n")


def hardware_random(bench, has_one):
    """random_fill is the CPU's own generator, and says so when there is none; cprng_fill always is."""
    with tempfile.TemporaryDirectory(prefix="nebulet-random-") as scratch:
        with open(f"{scratch}/random.wat", "w", encoding="ascii") as source:
            source.write(RANDOM)
        base.run(["wat2wasm", f"{scratch}/random.wat", "-o", f"{scratch}/random.wasm"]).check()
        with open(f"{scratch}/random.wasm", "rb") as wasm:
            files = {"random.wasm": wasm.read()}
    flags = [] if has_one else ["-cpu", "max,-rdrand,-rdseed"]
    found, rest = run_many(bench, ["init=/random.wasm", "--"], files, flags=flags)
    if not found:
        raise base.Failed(f"it has not come to an end\n{base.excerpt(rest)}")
    out, err, code = found[0]
    base.Result(code, out, err).check(0 if has_one else UNAVAILABLE)


def sqlite(bench, engine):
    """sqlite3 four times on one database, which the memory file system keeps in between."""
    files = {"sqlite3.wasm": (real.BUILT / "sqlite3.wasm").read_bytes(), "db/empty": b""}
    words = [f"engine={engine}", "keep"]
    for name in real.SQL:
        files[f"{name}.sql"] = (real.HERE / f"{name}.sql").read_bytes()
        words += [f"stdin=/{name}.sql", "env.HOME=/db", "dir=/db::/db", "init=/sqlite3.wasm",
                  "-batch", "-bail", "/db/test.db", "--"]
    found, rest = run_many(bench, words, files, memory=128)
    for name, (out, err, code) in zip(real.SQL, found):
        try:
            base.Result(code, out, err).check(0, (real.HERE / f"{name}.out").read_bytes(), b"")
        except base.Failed as why:
            raise base.Failed(f"{name}.sql: {why}") from None
    if len(found) != len(real.SQL):
        raise base.Failed(f"only {len(found)} programs came to an end\n{base.excerpt(rest)}")


def spec_suite(bench, engine, simd):
    """All scripts in one machine; the totals must be those on Linux."""
    scripts = [script for name, script in spec.scripts(bench) if name.startswith("simd") == simd]
    result = bench.nebulet("wast", "--boot", "--engine", engine, *scripts, limit=300)
    linux = bench.nebulet("wast", "--engine", engine, *scripts, limit=300)
    counts = spec.counts_of(result.out)
    if counts is None or result.out != linux.out:
        raise base.Failed(base.difference("stdout", linux.out, result.out))
    counts.note = "text format"
    if counts.failed:
        counts.problem = base.excerpt(result.out)
    return counts


def machine_option(machine):
    """What `nebulet boot` takes for one of MACHINES."""
    return ["--iommu"] if machine == "iommu" else ["--machine", machine]


def boots(bench):
    for machine in MACHINES:
        for flags in ([], ["--cpus", "4"], ["--memory", "16M"], ["--engine", "interp"]):
            yield base.Case(" ".join(["boots", machine, *flags]), "",
                            lambda f=flags, m=machine: boot_one(bench, *machine_option(m), *f))
    yield base.Case("boots from CD, by GRUB", "", lambda: boot_grub(bench))
    yield base.Case("boots from CD, by EFI", "", lambda: boot_grub(bench, True))
    for name, line, code, said in WORDS:
        yield base.Case(f"by hand: {name}", "", lambda a=(line, code, said): boot_words(bench, *a))
    yield from renamed("by hand", modules(bench))
    yield base.Case("what debuggers read stays out", "", lambda: boot_debuggers_share(bench))
    yield base.Case("messages that nobody takes", "", lambda: boot_unread(bench))
    yield base.Case("an old CPU", "", lambda: boot_old_cpu(bench))
    yield base.Case("machine check", "", lambda: boot_machine_check(bench))
    for flags in (["--machine", "microvm"], ["--machine", "q35", "--cpus", "2"]):
        yield base.Case(" ".join(["slow input", *flags]), "",
                        lambda f=flags: boot_slow_input(bench, *f))
    for name, text in (("read", READS), ("polled", POLLS)):
        yield base.Case(f"silent input, {name}", "", lambda t=text: boot_silent_input(bench, t))
    for has_one in (True, False):
        yield base.Case(f"a CPU {'with' if has_one else 'without'} random numbers", "",
                        lambda h=has_one: hardware_random(bench, h))
    for cpus, threads, rounds in ((2, "multi", 2000), (4, "single", 20000)):
        yield base.Case(f"{cpus} CPUs share everything", "",
                        lambda c=cpus, t=threads, r=rounds: stress(bench, c, t, r))


def renamed(suite, cases):
    """Cases of another suite, whose names say where they come from."""
    for case in cases:
        yield base.Case(f"{suite}: {case.name}", case.engine, case.run)


def cases(bench):
    if not shutil.which(QEMU[0]):
        raise base.Unavailable("QEMU is not installed (qemu-system-x86)")
    if not (bench.program.parent / "nebulet.elf").exists():
        raise base.Unavailable(f"no nebulet.elf beside {bench.program}: run make first")
    machine = Machine(bench)
    yield from renamed("guest", (c for c in guest.cases(machine) if c.name not in BY_PATH))
    yield from renamed("kern", kern.programs(bench, "boot"))
    yield from renamed("kern", kern.keeps(bench, "boot"))
    if not sdk.build():
        yield from renamed("sdk", sdk.programs(machine))
    yield from boots(bench)
    for name in TIMED:
        for engine in bench.engines:
            source = kern.SOURCES / f"{name}.c"
            yield base.Case(f"kern: {name}, exact time", engine,
                            lambda e=engine, s=source: timed(bench, e, s))
    for engine in bench.engines:
        yield base.Case(f"{HOSTILE_RUNS} hostile programs", engine,
                        lambda e=engine: hostile(bench, e))
        yield base.Case("the end of the stack", engine, lambda e=engine: stacks(bench, e))
        yield base.Case("every request for memory refused", engine,
                        lambda e=engine: refused(bench, e, "refuse", range(1, REQUESTS)))
        yield base.Case("every request for memory refused from one on", engine,
                        lambda e=engine: refused(bench, e, "refuse.all", range(1, REQUESTS, 3)))
        yield base.Case("guests, interrupted", engine, lambda e=engine: interrupted(bench, e))
    yield from others(bench, machine)


def others(bench, machine):
    """What needs the official suites or the sources of real programs."""
    try:
        list(spec.scripts(bench))
        for engine in bench.engines:
            for simd in (False, True):
                name = "spec: simd" if simd else "spec"
                yield base.Case(name, engine, lambda e=engine, s=simd: spec_suite(bench, e, s))
        yield from renamed("wasi", wasi.cases(machine))
        # The interpreter is slow there, and has had the whole of the text on Linux.
        programs = [c for c in real.cases(machine, 3) if not c.name.startswith("sqlite")]
        yield from renamed("real", programs)
        for engine in bench.engines:
            yield base.Case("real: sqlite3", engine, lambda e=engine: sqlite(bench, e))
    except base.Unavailable as why:
        print(f"boot: some cases are left out: {why}")
