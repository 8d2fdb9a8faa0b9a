# SPDX-License-Identifier: MIT
"""Drivers: devices of QEMU, the programs of user/drv that own them, and test/drv/NAME.c, which use what
they offer or are hostile themselves. All of it in ring 0, started by init; the kernel compares pages
and heap before and after.

test/drv/NAME.c is built with libsip, and prints its name when all went well.
"""
import re
import shutil
import socket
import tempfile
import threading

from . import base, boot, sdk

SOURCES = base.ROOT / "test/drv"
BUILT = base.ROOT / "build/test-drv"
MODERN = ["-global", "virtio-mmio.force-legacy=false"]
CLIENT = """
service client
    file /{name}.wasm
    may print connect
    needs driver
"""


def build(name):
    BUILT.mkdir(parents=True, exist_ok=True)
    source, wasm = SOURCES / f"{name}.c", BUILT / f"{name}.wasm"
    newest = max(p.stat().st_mtime for p in [source, *(base.ROOT / "build/sdk/lib").iterdir(),
                                             *(base.ROOT / "build/sdk/include/nebulet").iterdir()])
    if not wasm.exists() or wasm.stat().st_mtime < newest:
        part = BUILT / f"{name}.{threading.get_ident()}.part"
        base.run(["clang-22", f"--config={base.ROOT}/build/sdk/nebulet.cfg", "-std=gnu11", "-O2", "-Wall",
                  "-Wextra", "-matomics", source, "-o", part], limit=120).check()
        part.rename(wasm)
    return wasm.read_bytes()


def driver(name):
    return (base.ROOT / f"build/drv/{name}.wasm").read_bytes()


def service_of(name):
    return f"service driver\n    file /driver.wasm\n    device {name}\n    may print serve\n    daemon\n"


def boot_init(bench, engine, manifest, files, devices, words=(), machine="microvm", limit=120):
    """What init and all that it starts have written, and its exit code."""
    files = dict(files, **{"init.manifest": manifest.encode(),
                           "init.wasm": (base.ROOT / "build/user/init.wasm").read_bytes()})
    words = [f"engine={engine}", "may=63", *words, "init=/init.wasm", "--"]
    found, rest = boot.run_many(bench, words, files, machine=machine, limit=limit,
                                flags=[*MODERN, *devices])
    if len(found) != 1:
        raise base.Failed(f"it has not come to an end\n{base.excerpt(rest)}")
    return found[0]


def run_init(bench, engine, manifest, files, devices, words=(), **how):
    """Output of init and all that it starts, which must end well."""
    out, err, code = boot_init(bench, engine, manifest, files, devices, words, **how)
    if code or (err and "stats" not in words):
        raise base.Failed(f"exit code {code}\n{base.excerpt(out + err)}")
    return out + err


def random_bytes(bench, engine, machine, devices):
    """From the device, through the driver, to a client."""
    out = run_init(bench, engine, service_of("virtio-rng") + CLIENT.format(name="random"),
                   {"driver.wasm": driver("virtio-rng"), "random.wasm": build("random")}, devices,
                   machine=machine)
    if b"random\ninit: client: exit code 0\n" not in out:
        raise base.Failed(base.excerpt(out))


def alone(bench, engine, name, devices, files=None, words=(), machine="microvm", limit=200):
    """A program that owns devices itself."""
    words = [f"engine={engine}", "may=63", *words, f"init=/{name}.wasm", "--"]
    found, rest = boot.run_many(bench, words, dict(files or {}, **{f"{name}.wasm": build(name)}),
                                machine=machine, limit=limit, flags=[*MODERN, *devices])
    if len(found) != 1:
        raise base.Failed(f"it has not come to an end\n{base.excerpt(rest)}")
    out, err, code = found[0]
    base.Result(code, out, err).check(0, name.encode() + b"\n")


# --- Frames: QEMU's network is two sockets of ours, on which a message is a frame.
# How many come between two interrupts is up to how busy this machine is; so the limit is that of one each.
FRAMES, IN_FLIGHT, INSTRUCTIONS = 4000, 32, 2000
MAC = bytes([2, 0, 0, 0, 0, 1])


class Wire(threading.Thread):
    """Sends FRAMES frames of 64 bytes, up to IN_FLIGHT at a time; each must come back once, to its sender."""

    def __init__(self, here, there):
        super().__init__(daemon=True)
        self.there, self.problem, self.back = there, "", set()
        self.socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self.socket.bind(here)
        self.socket.settimeout(0.5)

    def send(self, number):
        frame = b"\xff" * 6 + MAC + b"\x88\xb5" + number.to_bytes(4, "little")
        try:
            self.socket.sendto(frame.ljust(64, b"."), self.there)
        except OSError:
            pass  # QEMU is not there yet, or full: it is sent again

    def run(self):
        sent = 0
        while len(self.back) < FRAMES and not self.problem:
            if sent - len(self.back) <= IN_FLIGHT // 4:
                for number in range(sent, min(FRAMES, len(self.back) + IN_FLIGHT)):
                    self.send(number)
                    sent += 1
            try:
                frame = self.socket.recv(2000)
            except TimeoutError:
                for number in set(range(sent)) - self.back:
                    self.send(number)
                continue
            if frame[:6] != MAC or frame[18:] != b"." * 46:
                self.problem = f"another frame has come back: {frame}"
            self.back.add(int.from_bytes(frame[14:18], "little"))


def echo(bench, engine, machine, device):
    """Frames that go back, and what they cost: an instruction takes a nanosecond."""
    with tempfile.TemporaryDirectory(prefix="nebulet-net-") as scratch:
        here, there = f"{scratch}/here", f"{scratch}/there"
        wire = Wire(here, there)
        wire.start()
        manifest = service_of("virtio-net").replace("    daemon\n", f"    args {FRAMES}\n")
        out = run_init(bench, engine, manifest, {"driver.wasm": driver("virtio-net")},
                       ["-netdev", f"dgram,id=n,local.type=unix,local.path={there},remote.type=unix,"
                        f"remote.path={here}", "-device", f"{device},netdev=n",
                        "-icount", "shift=0,sleep=off"], words=["stats"], machine=machine)
    told = re.search(rb"virtio-net: (\d+) frames, (\d+) interrupts", out)
    if not told or wire.problem:
        raise base.Failed(wire.problem or base.excerpt(out))
    frames, interrupts = map(int, told.groups())
    spent = int(re.search(rb"driver: cpu (\d+) us", out)[1]) * 1000 / frames
    if engine == "fast" and spent > INSTRUCTIONS:
        raise base.Failed(f"{spent:.0f} instructions a frame")
    if frames < interrupts:
        raise base.Failed(f"{interrupts} interrupts for {frames} frames")


def cases(bench):
    if not shutil.which(boot.QEMU[0]):
        raise base.Unavailable("QEMU is not installed (qemu-system-x86)")
    broken = sdk.build()
    if broken:
        raise base.Unavailable(broken)
    for engine in bench.engines:
        yield base.Case("random bytes, microvm", engine,
                        lambda e=engine: random_bytes(bench, e, "microvm", ["-device", "virtio-rng-device"]))
        yield base.Case("random bytes, registers in a page with another's", engine,
                        lambda e=engine: random_bytes(bench, e, "microvm", [
                            "-device", "virtio-rng-device", "-device", "virtio-net-device"]))
        yield base.Case("random bytes, q35", engine,
                        lambda e=engine: random_bytes(bench, e, "q35", ["-device", "virtio-rng-pci"]))
        yield base.Case("a driver killed every 50 ms", engine, lambda e=engine: alone(
            bench, e, "killed", ["-device", "virtio-rng-device"], {"driver.wasm": driver("virtio-rng")}))
        yield base.Case("random calls on devices", engine, lambda e=engine: alone(
            bench, e, "hostile", ["-device", "virtio-rng-device", "-device", "virtio-net-device"]))
        yield base.Case("random calls on a device alone in its page", engine, lambda e=engine: alone(
            bench, e, "hostile", ["-device", "virtio-rng-device"]))
        yield base.Case("random calls without devices", engine, lambda e=engine: alone(
            bench, e, "hostile", []))
        yield base.Case("frames go back, microvm", engine,
                        lambda e=engine: echo(bench, e, "microvm", "virtio-net-device"))
        yield base.Case("frames go back, q35", engine,
                        lambda e=engine: echo(bench, e, "q35", "virtio-net-pci"))
