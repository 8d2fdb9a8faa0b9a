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
    NAME/*.c    further programs, which lie beside it
"""
import os
import pathlib
import re
import shlex
import shutil
import subprocess
import tempfile
import threading
import time

from . import base, guest, section, stack

SOURCES = base.ROOT / "test/kern"
BUILT = base.ROOT / "build/kern"
FLAGS = ["-I", base.ROOT / "src", "-Wl,--export=__stack_pointer", "-Wl,-z,stack-size=65536"]
CPUS = [1, 2]


def build(source):
    """Builds one program when something is newer, and returns its .wasm, alone in a folder."""
    wasm = BUILT / source.stem / (source.stem + ".wasm")
    inputs = [*SOURCES.glob("*.[ch]"), *source.parent.glob("*.h"), source, source.with_suffix(".flags"),
              source.with_suffix(".noswitch"), pathlib.Path(__file__),
              *(base.ROOT / "src/abi").glob("nebulet*"), base.ROOT / "src/base/errors.def"]
    newest = max(path.stat().st_mtime for path in inputs if path.exists())
    if not wasm.exists() or wasm.stat().st_mtime < newest:
        wasm.parent.mkdir(parents=True, exist_ok=True)
        own = shlex.split(" ".join(base.read_lines(source.with_suffix(".flags"))))
        part = BUILT / f"{source.stem}.{threading.get_ident()}.part"
        base.run([*guest.CLANG, *FLAGS, *own, source, "-o", part], limit=120).check()
        if quiet := base.read_lines(source.with_suffix(".noswitch")):
            section.add_noswitch(part, quiet)
        part.rename(wasm)
    for other in source.with_suffix("").glob("*.c"):
        part = BUILT / f"{other.stem}.{threading.get_ident()}.copy"
        shutil.copyfile(build(other), part)
        part.rename(wasm.parent / f"{other.stem}.wasm")
    return wasm


def files_of(source):
    """What it finds in its folder, by name."""
    return {wasm.name: wasm.read_bytes() for wasm in build(source).parent.glob("*.wasm")}


# --- Time
# A program that finds something late cannot know whose fault that was: the machine may have kept all
# of it from running. So it says for how much it blames the machine (test/kern/nebulet.h), and that
# must not be more than twice what Linux says it did. On a machine that is not busy nothing is forgiven.
# Not all that a machine does can be seen, so a program that was late is tried again: what is our fault is late
# every time. (`boot` has the same programs where time is the number of instructions; there nothing is tried twice.)
TRIES = 3
BLAME = re.compile(rb"[^\n]*: blames the machine for (\d+) us\n")


class Late(base.Failed):
    """Later than allowed, and not by what is known of the machine."""


def often(measure):
    """What it returns, in the first of TRIES that was not late."""
    for tried in range(1, TRIES + 1):
        try:
            return measure()
        except Late:
            if tried == TRIES:
                raise


def children(pid):
    yield pid
    for tasks in pathlib.Path(f"/proc/{pid}/task").glob("*/children"):
        for child in tasks.read_text().split():
            yield from children(child)


def stolen_us():
    """From this machine, by the one that it runs on."""
    fields = pathlib.Path("/proc/stat").read_text().split("\n", 1)[0].split()
    return int(fields[8]) * 1000000 // os.sysconf("SC_CLK_TCK")


class Waits:
    """How long a program, and those that it has started, could have run and did not."""

    def __init__(self):
        self.ns = {}  # of each thread
        self.stolen = stolen_us()

    def look(self, pid):
        try:
            for process in children(pid):
                for stat in pathlib.Path(f"/proc/{process}/task").glob("*/schedstat"):
                    self.ns[stat] = int(stat.read_text().split()[1])
        except OSError:
            pass  # it is over

    def us(self):
        return sum(self.ns.values()) // 1000 + stolen_us() - self.stolen


def run_watched(command, late=None, limit=300):
    """Runs it, with input that comes half a second late and without an end of it, or none. Returns
    its Result and for how long it had to wait, in us."""
    command = [str(part) for part in command]
    waits, got = Waits(), {}
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE,
                          stderr=subprocess.PIPE) as process:
        readers = [threading.Thread(target=lambda f=f: got.update({f: f.read()}))
                   for f in (process.stdout, process.stderr)]
        for reader in readers:
            reader.start()
        if late is None:
            process.stdin.close()
        end, send = time.monotonic() + limit, time.monotonic() + 0.5
        while process.poll() is None and time.monotonic() < end:
            waits.look(process.pid)
            if late is not None and time.monotonic() > send:
                process.stdin.write(late)
                process.stdin.flush()
                late, send = b"", float("inf")
            try:
                process.wait(0.02)
            except subprocess.TimeoutExpired:
                pass
        over = process.poll() is not None
        process.kill()
        for reader in readers:
            reader.join()
    result = base.Result(process.returncode, got[process.stdout], got[process.stderr])
    if not over:
        raise base.Failed(f"still running after {limit} s: {' '.join(command)}\n"
                          + base.excerpt(result.out + result.err))
    return result, waits.us()


def take_blame(result, waited):
    """The result without what it blames the machine for, which must be true."""
    blamed = sum(int(us) for us in BLAME.findall(result.err))
    if blamed > waited * 2:  # not all is seen: not the last 20 ms, not waits for QEMU's own lock
        raise Late(f"it blames the machine for {blamed} us, which kept it waiting for {waited} us\n"
                   + base.excerpt(result.out + result.err))
    return base.Result(result.code, result.out, BLAME.sub(b"", result.err))


def run_program(bench, command, engine, cpus, source, *args, limit=300):
    def beside(suffix):
        return source.with_suffix(suffix)

    wasm = build(source)
    late = beside(".in").read_bytes() if beside(".in").exists() else None
    result = take_blame(*run_watched(
        [bench.program, command, "--engine", engine, "--cpus", cpus, "--dir", f"{wasm.parent}::/",
         wasm, *base.read_lines(beside(".args")), *args], late, limit))
    out = beside(".out").read_bytes() if beside(".out").exists() else source.stem.encode() + b"\n"
    patterns = base.read_lines(beside(".err"))
    result.check(0, out, None if patterns else b"")
    missing = base.match_in_order(patterns, result.err.decode("utf-8", "backslashreplace"))
    if missing is not None:
        raise base.Failed(f"stderr has no line, in this order, like: {missing}\n"
                          + base.excerpt(result.err))


# --- parking.c: bytes that come one by one, while another process computes
BYTES, APART, SOON = 40, 0.02, 0.05  # s


def answer_times(process, outlets, waits):
    """Gives it a byte after the other, each when the one before was answered, and returns by how much
    the answers came late, but for what the machine kept it waiting; the worst last."""
    late, ready = [], process.stdout.read(1)
    if ready != b".":
        raise base.Failed(base.excerpt(ready + process.stdout.read() + process.stderr.read()))
    for i in range(BYTES):
        time.sleep(APART)
        waits.look(process.pid)
        start, waited = time.monotonic(), waits.us()
        os.write(outlets[i % len(outlets)], bytes([65 + i % 26]))
        said = process.stdout.read(1)
        took = time.monotonic() - start
        waits.look(process.pid)
        if said != bytes([65 + i % 26]):
            raise base.Failed(f"byte {i}: the answer is {said!r}\n" + base.excerpt(
                process.stdout.read() + process.stderr.read()))
        late.append(took - (waits.us() - waited) / 1e6)
    return sorted(late)


def run_parking(bench, command, engine, cpus, source, limit=300):
    wasm = build(source)
    words = [bench.program, command, "--engine", engine, "--cpus", cpus, "--dir", f"{wasm.parent}::/"]
    with tempfile.TemporaryDirectory(prefix="nebulet-parking-") as scratch:
        os.mkfifo(f"{scratch}/pipe")
        outlets = [os.open(f"{scratch}/pipe", os.O_RDWR)]
        if command == "run":
            words += ["--dir", f"{scratch}::/pipes", wasm, "/pipes/pipe"]
        else:  # the kernel has no pipes
            words += [wasm]
            os.close(outlets.pop())
        waits = Waits()
        with subprocess.Popen([str(word) for word in words], stdin=subprocess.PIPE, bufsize=0,
                              stdout=subprocess.PIPE, stderr=subprocess.PIPE) as process:
            end = threading.Timer(limit, process.kill)
            end.start()
            try:
                late = answer_times(process, [process.stdin.fileno(), *outlets], waits)
                out, err = process.stdout.read(), process.stderr.read()
                code = process.wait()
            finally:
                process.kill()
                end.cancel()
        for outlet in outlets:
            os.close(outlet)
    take_blame(base.Result(code, out, err), waits.us()).check(0, b"", b"")
    if late[-1] > SOON:
        raise Late(f"an answer came after {late[-1] * 1000:.1f} ms, half of them within "
                   f"{late[len(late) // 2] * 1000:.1f} ms")


# --- keeps.c: what a hostile guest makes the kernel keep is what it was given, and no more
GIVEN, BESIDES = 64 << 10, 8 << 10  # KiB
KINDS = ["channels", "messages", "handles", "events", "streams", "arguments", "environments", "memories",
         "shared", "mappings", "stacks", "low stacks", "senders", "waiters", "services", "instances",
         "polls", "wide", "chain", "bare", "bare chain", "bushes", "code", "images", "exports", "tables",
         "grows", "small holes", "large holes", "places", "gone"]
IN_MEMORY = ["files", "folders"]  # where the machine has its own file system
PROGRAMS = {"instances": "instances.wasm", "polls": "instances.wasm"}
DESCENDANTS = {"bare": 1000, "bushes": 1000}  # that there is room for, where code is compiled
PEAK = re.compile(rb"at most (\d+) KiB of memory in use")
CHARGED = re.compile(rb"charged at most (\d+) KiB")


def build_keeps():
    """All of them lie in one folder."""
    folder = build(SOURCES / "keeps.c").parent
    for source in (SOURCES / "keeps").glob("*.wat"):
        wasm = folder / f"{source.stem}.wasm"
        if not wasm.exists() or wasm.stat().st_mtime < source.stat().st_mtime:
            part = BUILT / f"{source.stem}.{threading.get_ident()}.part"
            base.run(["wat2wasm", "--enable-threads", source, "-o", part]).check()
            part.rename(wasm)
    return folder


def run_keeps(bench, command, engine, kind):
    folder = build_keeps()
    machine = ["--memory", "512M"] if command == "boot" else []
    result = base.run([bench.program, command, "--engine", engine, "--stats", "--cpus", 1, *machine,
                       "--max-memory", f"{GIVEN}K", "--max-time", 60, "--dir",
                       f"{folder}::/{':copy' if kind in IN_MEMORY else ''}",
                       *(["--env", f"LONG={'x' * 100000}"] if kind == "environments" else []),
                       folder / PROGRAMS.get(kind, "keeps.wasm"), kind], limit=180)
    peak = PEAK.search(result.err)
    if not peak or not result.out.startswith(b"kept "):
        raise base.Failed(base.excerpt(result.out + result.err))
    least = DESCENDANTS.get(kind, 1) if engine != "interp" else 1
    if kind not in PROGRAMS and int(result.out.split(b",")[0][5:]) < least:
        raise base.Failed(f"less than {least}\n{base.excerpt(result.out)}")
    if kind in PROGRAMS and not any(int(kib) > GIVEN / 2 for kib in CHARGED.findall(result.err)):
        raise base.Failed("it has not met its limit\n" + base.excerpt(result.err))
    if base.is_sanitized(bench.program):
        raise base.Skipped("sanitizers take memory of their own")
    if int(peak[1]) > GIVEN + BESIDES:
        raise base.Failed(f"{int(peak[1])} KiB were in use, of {GIVEN} given\n"
                          + base.excerpt(result.out + result.err))


def run_told(bench, command, engine):
    """--stats has a line for every account: of what it starts, and of children with limits of their own."""
    wasm = build(SOURCES / "processes.c")
    result = base.run([bench.program, command, "--engine", engine, "--stats", "--dir", f"{wasm.parent}::/", wasm],
                      limit=100)
    told = re.findall(rb"nebulet: (\d+ )?processes.wasm: charged at most (\d+) KiB.*?( so far)?\n", result.err)
    mine = [int(kib) for number, kib, so_far in told if not number and not so_far]
    others = [int(kib) for number, kib, so_far in told if number and so_far]
    if len(mine) != 1 or not others or max(others) > mine[0]:
        raise base.Failed(base.excerpt(result.out + result.err))


def keeps(bench, command):
    for engine in bench.engines:
        yield base.Case("what was charged is told", engine, lambda e=engine: run_told(bench, command, e))
    for kind in KINDS + (IN_MEMORY if command == "boot" else []):
        for engine in bench.engines:
            yield base.Case(f"keeps {kind}", engine,
                            lambda e=engine, k=kind: run_keeps(bench, command, e, k))


def run_prompt(bench, *how):
    if base.is_sanitized(bench.program):
        raise base.Skipped("sanitizers take time of their own")
    run_program(bench, *how)


SPECIAL = {"parking": run_parking, "prompt": run_prompt}

# What a program is told where it is to do more, or less, than it does by itself. The interpreter, which is C, is left and
# entered again at a few places of its own, so a fifth of the times a CPU is taken from it shows the same; and the loops
# of preempt take as long on it as five times as many on fast.
MORE = {("registers", "run", "fast"): ["50000"], ("registers", "boot", "fast"): ["10000"],
        ("registers", "run", "interp"): ["10000"], ("registers", "boot", "interp"): ["2000"],
        ("preempt", "boot", "interp"): ["20000"],
        **{("watchdog", "boot", engine): ["200"] for engine in base.ENGINES}}  # boot.timed does a thousand
EXACT = {("registers", "interp"): ["exact", "20000"]}


def exact(source, engine):
    """Words for it on a machine whose time is the number of instructions."""
    return EXACT.get((source.stem, engine), ["exact"])



def programs(bench, command):
    for source in sorted(SOURCES.glob("*.c")):
        for engine in bench.engines:
            for cpus in CPUS:
                yield base.Case(f"{source.stem}, {cpus} CPU{'s' if cpus > 1 else ''}", engine,
                                lambda e=engine, c=cpus, s=source: often(
                                    lambda: SPECIAL.get(s.stem, run_program)(
                                        bench, command, e, c, s, *MORE.get((s.stem, command, e), []))))


def cases(bench):
    yield from programs(bench, "run")
    for engine in bench.engines:
        yield base.Case("the end of the stack", engine, lambda e=engine: stack.exhausted(bench, e))
    yield from keeps(bench, "run")
