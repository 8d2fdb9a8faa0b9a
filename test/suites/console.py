# SPDX-License-Identifier: MIT
"""The console of a machine when there is much to carry, so that it moves from the serial port to a virtio console
(src/plat/pc/serial.c): the same bytes in the same order, whatever ends, is slow or goes away. Of the suite drv."""
import os
import random
import struct
import subprocess
import tempfile
import threading
import time

from . import base, boot

LIMIT = 120
COST_MB, COST_LIMIT = 25, 20  # s of CPU time, in and out: 2 on a machine that does nothing else, 7 on a busy one; by the
# serial line it is minutes


class Boot:
    """`nebulet boot` of test/drv/console.c, with pipes."""

    def __init__(self, bench, wasm, engine, machine, *args, options=(), **pipes):
        self.process = subprocess.Popen(
            [bench.program, "boot", "--engine", engine,
             *boot.machine_option(machine), *options, wasm, *map(str, args)],
            **{"stdin": subprocess.DEVNULL, "stdout": subprocess.PIPE, "stderr": subprocess.PIPE, **pipes})
        self.watchdog = threading.Timer(LIMIT, self.process.kill)
        self.watchdog.start()

    def end(self, stdin=None):
        """Exit code, output, errors."""
        out, err = self.process.communicate(stdin)
        self.watchdog.cancel()
        return self.process.returncode, out, err


def check(found, code, out, err=b""):
    if found[0] != code or found[1] != out or err not in found[2]:
        at = next((i for i, (a, b) in enumerate(zip(found[1], out)) if a != b), min(len(found[1]), len(out)))
        raise base.Failed(f"exit code {found[0]}, expected {code}; {len(found[1])} bytes, expected {len(out)}, as "
                          f"expected up to {at}\n{base.excerpt(found[2])}")


def numbers(n):
    return struct.pack(f"<{n}I", *range(n))


def through(bench, wasm, engine, machine):
    """What comes when the program already waits for it goes through it."""
    data = random.Random(1).randbytes(3_000_000)
    boot = Boot(bench, wasm, engine, machine, "cat", stdin=subprocess.PIPE)
    time.sleep(0.5)  # what is there at once does not go by the console
    check(boot.end(data), 0, data)


def at_once(bench, wasm, engine, machine):
    check(Boot(bench, wasm, engine, machine, "count", 300_001).end(), 7, numbers(300_001))


def in_order(bench, wasm, engine, machine):
    boot = Boot(bench, wasm, engine, machine, "turns", 30_000, stderr=subprocess.STDOUT)
    out = boot.process.stdout.read()
    boot.watchdog.cancel()
    boot.process.wait()
    check((boot.process.returncode, out, b""), 0, b"".join(b"%d\n" % i for i in range(30_000)))


def slow(bench, wasm, engine, machine):
    """Nobody takes anything for a while, twice."""
    boot = Boot(bench, wasm, engine, machine, "count", 300_000)
    out = b""
    for part in (1000, 400_000):
        time.sleep(1.5)
        out += boot.process.stdout.read(part)
    out += boot.process.stdout.read()
    boot.process.wait()
    boot.watchdog.cancel()
    check((boot.process.returncode, out, b""), 7, numbers(300_000))


def traps(bench, wasm, engine, machine):
    check(Boot(bench, wasm, engine, machine, "trap", 100_000).end(), base.TRAP, numbers(100_000), b"wasm trap: unreachable")


def closed(bench, wasm, engine, machine):
    """Whoever reads goes away."""
    boot = Boot(bench, wasm, engine, machine, "closed")
    out = boot.process.stdout.read(100_000)
    boot.process.stdout.close()
    err = boot.process.stderr.read()
    boot.process.wait()
    boot.watchdog.cancel()
    check((boot.process.returncode, out, err), 3, numbers(25_000), b"Broken pipe")


def killed(bench, wasm, engine, machine):
    """Its time is up while it writes; nothing of what it has written is missing in between."""
    code, out, err = Boot(bench, wasm, engine, machine, "count", 400_000_000, options=["--max-time", "0.7"]).end()
    check((code, out, err), base.TRAP, numbers(len(out) // 4 + 1)[:len(out)], b"time limit")
    if len(out) < 20_000:
        raise base.Failed(f"only {len(out)} bytes")


def cost(bench, wasm, machine):
    """The CPU time of it all, with the program `nebulet`."""
    data = random.Random(2).randbytes(COST_MB * 1_000_000)
    with tempfile.TemporaryFile() as out:
        boot = Boot(bench, wasm, "fast", machine, "cat", stdin=subprocess.PIPE, stdout=out)
        time.sleep(0.5)
        boot.process.stdin.write(data)
        boot.process.stdin.close()
        _, status, used = os.wait4(boot.process.pid, 0)
        boot.watchdog.cancel()
        out.seek(0)
        check((os.waitstatus_to_exitcode(status), out.read(), b""), 0, data)
    return {f"s of CPU time, {COST_MB} MB in and out": (used.ru_utime + used.ru_stime, COST_LIMIT)}


def cases(bench, build, machines):
    for engine in bench.engines:
        for machine in machines:
            for test in (through, at_once, in_order, slow, traps, closed, killed):
                yield base.Case(f"console: {test.__name__.replace('_', ' ')}, {machine}", engine,
                                lambda t=test, e=engine, m=machine: t(bench, build(), e, m))
