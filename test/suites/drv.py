# SPDX-License-Identifier: MIT
"""Drivers: devices of QEMU, the programs of user/drv that own them, and test/drv/NAME.c, which use what
they offer or are hostile themselves. All of it in ring 0, started by init; the kernel compares pages
and heap before and after.

test/drv/NAME.c is built with libsip and the rings of user/drv, and prints its name when all went well.
"""
import contextlib
import os
import pathlib
import random
import re
import shutil
import socket
import tempfile
import threading
import time

from . import base, boot, console, screen, sdk

SOURCES = base.ROOT / "test/drv"
BUILT = base.ROOT / "build/test-drv"
CONFINED = "pci,iommu_platform=on,disable-legacy=on"
BUSES = {"microvm": "device", "q35": "pci", "iommu": CONFINED}  # how QEMU's devices of virtio end
PINS = {"q35": "pci,vectors=0", "iommu": f"{CONFINED},vectors=0"}  # without messages: their interrupts are pins'
# Where the device is told by who writes, not later
EXACT_BUSES = {"microvm": "device", "q35": "pci,ioeventfd=off", "iommu": f"{CONFINED},ioeventfd=off"}
MODERN = ["-global", "virtio-mmio.force-legacy=false"]
EXACT = ["-icount", "shift=0,sleep=off"]  # an instruction takes a nanosecond, and waiting nothing
CLIENT = """
service client
    file /{name}.wasm
    may print connect
    needs driver
"""


def build(name):
    BUILT.mkdir(parents=True, exist_ok=True)
    source, wasm = SOURCES / f"{name}.c", BUILT / f"{name}.wasm"
    ring = base.ROOT / "user/drv/virtio.c"
    newest = max(p.stat().st_mtime for p in [source, ring, ring.with_suffix(".h"), *SOURCES.glob("*.h"),
                                             *(base.ROOT / "build/sdk/lib").iterdir(),
                                             *(base.ROOT / "build/sdk/include/nebulet").iterdir()])
    if not wasm.exists() or wasm.stat().st_mtime < newest:
        part = BUILT / f"{name}.{threading.get_ident()}.part"
        base.run(["clang-22", f"--config={base.ROOT}/build/sdk/nebulet.cfg", "-std=gnu11", "-O2", "-Wall",
                  "-Wextra", "-matomics", source, ring, "-o", part], limit=120).check()
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


def run_init(bench, engine, manifest, files, devices, words=(), quiet=True, **how):
    """Output of init and all that it starts, which must end well; quiet: without errors being printed."""
    out, err, code = boot_init(bench, engine, manifest, files, devices, words, **how)
    if code or (err and quiet and "stats" not in words):
        raise base.Failed(f"exit code {code}\n{base.excerpt(out + err)}")
    return out + err


def random_bytes(bench, engine, machine, devices):
    """From the device, through the driver, to a client."""
    out = run_init(bench, engine, service_of("virtio-rng") + CLIENT.format(name="random"),
                   {"driver.wasm": driver("virtio-rng"), "random.wasm": build("random")}, devices,
                   machine=machine)
    if not re.search(rb"(?ms)^random$.*^init: client: exit code 0$", out):
        raise base.Failed(base.excerpt(out))


def short(bench, engine, machine, buses=BUSES):
    """What is no message of 9P does not come to the device."""
    with tempfile.TemporaryDirectory(prefix="nebulet-short-") as folder:
        out = run_init(bench, engine, service_of("virtio-9p") + CLIENT.format(name="short"),
                       {"driver.wasm": driver("virtio-9p"), "short.wasm": build("short")},
                       ["-fsdev", f"local,id=f,path={folder},security_model=none",
                        "-device", f"virtio-9p-{buses[machine]},fsdev=f,mount_tag=folder"], machine=machine)
    if not re.search(rb"(?ms)^short$.*^init: client: exit code 0$", out):
        raise base.Failed(base.excerpt(out))


def alone(bench, engine, name, devices, files=None, args=(), machine="microvm", limit=200, words=()):
    """A program that owns devices itself."""
    words = [f"engine={engine}", "may=63", *words, f"init=/{name}.wasm", *args, "--"]
    found, rest = boot.run_many(bench, words, dict(files or {}, **{f"{name}.wasm": build(name)}),
                                machine=machine, limit=limit, flags=[*MODERN, *devices])
    if len(found) != 1:
        raise base.Failed(f"it has not come to an end\n{base.excerpt(rest)}")
    out, err, code = found[0]
    base.Result(code, out, err).check(0, name.encode() + b"\n")


def qemu_version():
    out = base.run([boot.QEMU[0], "--version"], limit=20).out
    return tuple(map(int, re.search(rb"version (\d+)\.(\d+)", out).groups()))


def confined(bench, engine, kind, cpus=1):
    """Drivers that aim at memory that is not theirs: what is there stays, on the disk is nothing of it, and each is told of."""
    if kind == "interrupts" and qemu_version() < (8, 2):
        raise base.Unavailable("QEMU before 8.2 lets interrupts in the old format through when they are remapped")
    open_to_all = kind == "open"
    bus = BUSES["q35" if open_to_all else "iommu"]
    with tempfile.NamedTemporaryFile(prefix="nebulet-disk-") as disk:
        disk.truncate(1 << 20)
        words = [f"engine={engine}", "may=63", "init=/confined.wasm", kind, "--"]
        found, rest = boot.run_many(bench, words, {"confined.wasm": build("confined")},
                                    machine="q35" if open_to_all else "iommu", flags=[
            "-netdev", "user,id=n,restrict=on", "-device", f"virtio-net-{bus},netdev=n",
            "-drive", f"file={disk.name},format=raw,if=none,id=d,cache=writeback",
            "-device", f"virtio-blk-{bus},drive=d", "-device", f"virtio-rng-{bus}", "-smp", str(cpus)])
        if len(found) != 1 or found[0][2] or b"\nconfined\n" not in b"\n" + found[0][0]:
            raise base.Failed(base.excerpt(b"".join(part for one in found for part in one[:2]) + rest))
        seen = disk.read()
    if bool(seen.strip(b"\0")) != open_to_all:
        raise base.Failed("the disk has " + ("memory on it" if not open_to_all else "nothing on it"))
    told = len(re.findall(rb"(?m)^nebulet: device \d+ \(PCI 00:[0-9a-f]{2}\.0\) tried to (?:read|write) 0x[0-9a-f]+, which is not its "
                          rb"driver's: it reaches no memory any more \(reason \d+\)$", found[0][1]))
    if told != (AIMS if kind in ("rng", "disk") else 0):
        raise base.Failed(f"told {told} times, not {AIMS}\n{base.excerpt(found[0][1])}")


AIMS = 19  # of test/drv/confined.c, but interrupts
LIVES = int(os.environ.get("NEBULET_LIVES", 12))  # of each driver; 200 are 10 s
DRIVERS = ["virtio-net", "virtio-blk", "virtio-rng"]


def killed(bench, engine, machine, cpus=1, lives=LIVES, buses=BUSES):
    """Every driver killed every 50 ms, and started again, while it is used."""
    bus = buses[machine]
    with tempfile.NamedTemporaryFile(prefix="nebulet-disk-") as disk:
        disk.truncate(1 << 20)
        alone(bench, engine, "killed", [
            "-netdev", "user,id=n,restrict=on", "-device", f"virtio-net-{bus},netdev=n",
            "-drive", f"file={disk.name},format=raw,if=none,id=d,cache=writeback",
            "-device", f"virtio-blk-{bus},drive=d", "-device", f"virtio-rng-{bus}", "-smp", str(cpus)],
            {f"{name}.wasm": driver(name) for name in DRIVERS}, [str(lives), *DRIVERS], machine=machine, limit=200 + 3 * lives)


def restarts(bench, engine, machine, buses=BUSES):
    """A driver that traps, ends or hangs is started again by init."""
    manifest = service_of("virtio-rng").replace("daemon", "restart on-failure 100 1ms\n    daemon")
    out = run_init(bench, engine, manifest + CLIENT.format(name="restarts"),
                   {"driver.wasm": build("mortal"), "restarts.wasm": build("restarts")},
                   ["-device", f"virtio-rng-{buses[machine]}"], machine=machine, quiet=False)
    for how in (b"trap: unreachable", b"exit code 3", b"killed by its watchdog"):
        if len(re.findall(rb"init: driver: %s.*starts again" % how, out)) != 3:
            raise base.Failed(f"not three times: {how.decode()}\n{base.excerpt(out)}")
    if b"\nrestarts\n" not in out:
        raise base.Failed(base.excerpt(out))


# --- Pins: devices in places 4 and 8 share one.
SILENT = """
service silent
    file /silent.wasm
    device virtio-rng
    may print serve
    {}
"""


def beside_silent(bench, machine, silent):
    """Nanoseconds, which are instructions, of a driver and its client beside one that does not acknowledge."""
    manifest = silent + service_of("virtio-rng").replace("daemon", "needs silent\n    daemon" if silent else "daemon")
    devices = [word for place in (4, 8) for word in ("-device", f"virtio-rng-{PINS[machine]},addr={place}")]
    out = run_init(bench, "fast", manifest + CLIENT.format(name="random"), {
        "silent.wasm": build("silent"), "driver.wasm": driver("virtio-rng"), "random.wasm": build("random")},
        [*devices, *EXACT], words=["stats"], machine=machine, quiet=False)
    if b"\nrandom\n" not in out:
        raise base.Failed(base.excerpt(out))
    return cpu_time(out, b"driver") + cpu_time(out, b"client")


def silent(bench, machine, how):
    """One that does not acknowledge, or ends with its line up, costs another one at the same pin nothing."""
    alone_takes, beside = beside_silent(bench, machine, ""), beside_silent(bench, machine, SILENT.format(how))
    if beside > alone_takes * 1.1:
        raise base.Failed(f"{beside} instructions, {alone_takes} alone")


# --- Frames: QEMU's network is two sockets of ours, on which a message is a frame.
FRAMES, IN_FLIGHT = 4000, 32
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
    """Frames that go back."""
    with tempfile.TemporaryDirectory(prefix="nebulet-net-") as scratch:
        here, there = f"{scratch}/here", f"{scratch}/there"
        wire = Wire(here, there)
        wire.start()
        manifest = service_of("virtio-net").replace("daemon", f"args {FRAMES}")
        out = run_init(bench, engine, manifest, {"driver.wasm": build("echo")},
                       ["-netdev", f"dgram,id=n,local.type=unix,local.path={there},remote.type=unix,"
                        f"remote.path={here}", "-device", f"{device},netdev=n"], machine=machine)
    if wire.problem or b"echo: %d frames" % FRAMES not in out:
        raise base.Failed(wire.problem or base.excerpt(out))


# --- The service "net": lwIP in a process of its own, between the driver and streams. QEMU's own network
# forwards a port of the host's.
NET = """
service net
    file /net.wasm
    args --address 10.0.2.15/24 --gateway 10.0.2.2 --allow-net listen:tcp:*:7
    may serve connect print
    needs driver
    daemon

service client
    file /tcp.wasm
    args {connections}
    may print connect
    needs net
"""


def net(name="net"):
    """Its program; Debian's source package of lwIP may not be at hand."""
    path = base.ROOT / f"build/svc/{name}.wasm"
    if not path.exists():
        raise base.Unavailable("there is no build/svc/net.wasm, for the sources of lwIP could not be had (check/source lwip)")
    return path.read_bytes()


def free_port():
    """One that nobody gets by chance, for it is not among those that are given to who asks for any."""
    while True:
        port = random.SystemRandom().randrange(20000, 32000)
        with socket.socket() as s:
            s.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            try:
                s.bind(("127.0.0.1", port))
                return port
            except OSError:
                pass


class Caller(threading.Thread):
    """Sends pieces of different sizes to a port, each on a connection of its own; each must come back as it was.
    With one more the machine ends, which may be before that has come back."""

    def __init__(self, port, sizes):
        super().__init__(daemon=True)
        self.port, self.sizes, self.problem = port, sizes, ""

    def connect(self):
        while True:
            try:
                return socket.create_connection(("127.0.0.1", self.port), timeout=100)
            except ConnectionRefusedError:
                time.sleep(0.05)  # QEMU is not there yet

    def call(self, sent):
        """Until the machine listens, QEMU accepts and hangs up."""
        back = b""
        with self.connect() as s:
            sender = threading.Thread(target=lambda: (s.sendall(sent), s.shutdown(socket.SHUT_WR)), daemon=True)
            sender.start()
            while piece := s.recv(65536):
                back += piece
            sender.join()
        return back

    def run(self):
        for size in self.sizes:
            sent, back = random.Random(size).randbytes(size), b""
            while not back and not self.problem:
                try:
                    back = self.call(sent)
                except (ConnectionResetError, BrokenPipeError):
                    time.sleep(0.05)
                except OSError as why:
                    self.problem = str(why)
            if back != sent:
                self.problem = self.problem or f"{len(back)} bytes of {size} came back, or others"
                return
        with contextlib.suppress(OSError):
            self.call(b"")


def tcp(bench, engine, machine, cpus=1):
    port, sizes = free_port(), [1, 200, 1460, 5000, 300000]
    caller = Caller(port, sizes)
    caller.start()
    out = run_init(bench, engine, service_of("virtio-net") + NET.format(connections=len(sizes) + 1),
                   {"driver.wasm": driver("virtio-net"), "net.wasm": net(), "tcp.wasm": build("tcp")},
                   ["-netdev", f"user,id=n,restrict=on,hostfwd=tcp:127.0.0.1:{port}-10.0.2.15:7",
                    "-device", f"virtio-net-{BUSES[machine]},netdev=n", "-smp", str(cpus)], machine=machine)
    if caller.problem or b"\ntcp\n" not in out:
        raise base.Failed(caller.problem or base.excerpt(out))


# --- A disk: the host makes it, and compares it afterwards.
DISK = 3 * (1 << 20) + 4096
ERRORS = """id 20 "nebulet-disk"
sectors 6152, read-only {read_only}
the last sector 512
across the end -8
past the end -8
far past the end -8
past the memory -8
far past the memory -8
half a sector -5
nothing -5
too much -5
an unknown request -5
writing {writing}
sector 8 512
sector 9 {bad}
sector 10 512
sector 11 512
flushing 0
block: over
"""
BLKDEBUG = """[inject-error]
event = "read_aio"
errno = "5"
sector = "9"
immediately = "off"
once = "off"
"""


def block(bench, engine, machine, words, drive, more=(), bus=""):
    """Output of the machine with test/drv/block.c as the driver's client."""
    manifest = service_of("virtio-blk") + CLIENT.format(name="block").replace(
        "    may", f"    args {words}\n    may")
    return run_init(bench, engine, manifest,
                    {"driver.wasm": driver("virtio-blk"), "block.wasm": build("block")},
                    [*drive, "-device", f"virtio-blk-{bus or BUSES[machine]},drive=d,serial=nebulet-disk"],
                    words=more, machine=machine)


def disk_turned(bench, engine, machine):
    with tempfile.NamedTemporaryFile(prefix="nebulet-disk-") as disk:
        before = random.Random(1).randbytes(DISK)
        disk.write(before)
        disk.flush()
        out = block(bench, engine, machine, "turn",
                    ["-drive", f"file={disk.name},format=raw,if=none,id=d,cache=writeback"])
        with open(disk.name, "rb") as again:
            after = again.read()
    wanted = b"".join(bytes(~b & 255 for b in before[at:at + 4096]) if at // 4096 % 16 % 2 else
                      before[at:at + 4096] for at in range(0, DISK, 4096))
    if b"block: over" not in out or after != wanted:
        differs = [at for at in range(0, DISK, 4096) if after[at:at + 4096] != wanted[at:at + 4096]]
        raise base.Failed(f"pieces that differ: {differs[:20]}\n{base.excerpt(out)}")


def disk_errors(bench, engine, machine, read_only):
    """What cannot be done, a disk that must not be written to, and one of which a sector is bad."""
    with tempfile.TemporaryDirectory(prefix="nebulet-disk-") as scratch:
        disk, rules = pathlib.Path(f"{scratch}/disk"), pathlib.Path(f"{scratch}/rules")
        disk.write_bytes(bytes(DISK))
        rules.write_text(BLKDEBUG, encoding="ascii")
        drive = f"file=blkdebug:{rules}:{disk},format=raw,if=none,id=d,rerror=report,werror=report"
        out = block(bench, engine, machine, "errors",
                    ["-drive", drive + (",readonly=on" if read_only else "")])
    wanted = ERRORS.format(read_only=int(read_only), writing=-19 if read_only else 512, bad=-1)
    told = re.sub(rb"(?m)^init: .*\n", b"", out)  # a client may be at work before init has said so
    if wanted.encode() not in told:
        raise base.Failed(base.difference("output", wanted.encode(), told, 40))


def disk_left(bench, engine, machine):
    """Requests of clients that have gone keep their places."""
    with tempfile.NamedTemporaryFile(prefix="nebulet-disk-") as disk:
        disk.truncate(16 << 20)
        out = block(bench, engine, machine, "leave", [
            "-drive", f"file={disk.name},format=raw,if=none,id=d,throttling.iops-total=4"])
    if b"reading 512\n" not in out or b"block: over" not in out:
        raise base.Failed(base.excerpt(out))


# --- What it costs, on `fast`: figures by their names, each with its limit. All is the same in every run, and a
# beginning is in none of them. bench/run prints them (`drivers`).
FRAME_RUNS, BLOCK_RUNS = (2000, 12000), (1000, 5000)
NETWORK = ["-netdev", "hubport,id=a,hubid=0", "-netdev", "hubport,id=b,hubid=0"]
OTHER_END = """
service client
    file /frames.wasm
    device virtio-net
    args {frames}
    may print
    needs driver
"""


def cpu_time(out, service):
    """In nanoseconds, from what `stats` prints."""
    return int(re.search(rb"%s: cpu (\d+) us" % service, out)[1]) * 1000


def frame_costs(bench, machine):
    """The other end is a device of the same machine; what is sent leaves at once."""
    spent, woken = [], []
    devices = [word for n in "ab" for word in (
        "-device", f"virtio-net-{EXACT_BUSES[machine]},netdev={n},tx=timer,x-txtimer=1")]
    for frames in FRAME_RUNS:
        manifest = service_of("virtio-net").replace("daemon", f"args {frames}")
        out = run_init(bench, "fast", manifest + OTHER_END.format(frames=frames),
                       {"driver.wasm": build("echo"), "frames.wasm": build("frames")},
                       [*NETWORK, *devices, *EXACT], words=["stats"], machine=machine)
        told = re.search(rb"echo: (\d+) frames, (\d+) interrupts, (\d+) pauses", out)
        if not told or int(told[1]) < frames or b"\nframes\n" not in out:
            raise base.Failed(base.excerpt(out))
        spent.append(cpu_time(out, b"driver"))
        woken.append(int(told[2]) + int(told[3]))
    more = FRAME_RUNS[1] - FRAME_RUNS[0]
    return {"instructions of the driver a frame of 64 bytes": ((spent[1] - spent[0]) / more, 400),
            "wakes by interrupts and the clock, a frame": ((woken[1] - woken[0]) / more, 0.1)}


def interrupt_cost(bench, machine):
    out = run_init(bench, "fast", service_of("virtio-net").replace("    daemon\n", ""),
                   {"driver.wasm": build("interrupt")}, ["-netdev", "user,id=a,restrict=on", "-device",
                   f"virtio-net-{EXACT_BUSES[machine]},netdev=a,tx=timer,x-txtimer=4000", *EXACT], machine=machine)
    return {"instructions from an interrupt to its driver":
            (int(re.search(rb"\ninterrupt: (\d+)\n", out)[1]), 680)}


def memory_cost(bench, machine):
    out = run_init(bench, "fast", service_of("virtio-rng").replace("    daemon\n", ""), {"driver.wasm": build("gives")},
                   ["-device", f"virtio-rng-{EXACT_BUSES[machine].replace(',ioeventfd=off', '')}", *EXACT], machine=machine)
    return {"instructions to give a device 64 KiB": (int(re.search(rb"\ngives: (\d+)\n", out)[1]), 8000)}


def block_cost(bench, machine):
    """Two sizes of request tell what copying takes, which is in neither; the other end of the disk is
    QEMU's null."""
    spent, more = {}, BLOCK_RUNS[1] - BLOCK_RUNS[0]
    for size in 512, 4096:
        runs = []
        for count in BLOCK_RUNS:
            out = block(bench, "fast", machine, f"read {count} {size}", [
                "-drive", "driver=null-co,size=16M,read-zeroes=on,if=none,id=d", *EXACT], ["stats"],
                EXACT_BUSES[machine])
            runs.append(cpu_time(out, b"driver"))
        spent[size] = (runs[1] - runs[0]) / more
    copying = (spent[4096] - spent[512]) * 4096 / (4096 - 512)
    return {"instructions of the driver a read of 4 KiB, without copying": (spent[4096] - copying, 1000)}


# --- A peer that lies: QEMU's network is a socket of ours, by which frames come that are wrong in all ways. The one
# connection that is right is made afterwards, by hand, and ends the machine.
STRANGE = 3000  # frames; `NEBULET_FRAMES` says how many by hand
PEER, OURS = bytes([2, 0, 0, 0, 0, 9]), (bytes([10, 0, 2, 2]), bytes([10, 0, 2, 15]))


def internet_sum(data):
    data += b"\0" * (len(data) % 2)
    total = sum(int.from_bytes(data[i:i + 2], "big") for i in range(0, len(data), 2))
    while total >> 16:
        total = (total & 0xffff) + (total >> 16)
    return (~total & 0xffff).to_bytes(2, "big")


def ip_frame(mac, protocol, payload, fragment=0, source=OURS[0]):
    head = b"\x45\0" + (20 + len(payload)).to_bytes(2, "big") + b"\0\1" + fragment.to_bytes(2, "big") + bytes(
        [64, protocol, 0, 0]) + source + OURS[1]
    return mac + PEER + b"\x08\0" + head[:10] + internet_sum(head) + head[12:] + payload


def tcp_frame(mac, flags, number, confirmed, data=b"", port=5000, options=b"", source=OURS[0]):
    head = port.to_bytes(2, "big") + b"\0\7" + (number % 2**32).to_bytes(4, "big") + (confirmed % 2**32).to_bytes(
        4, "big") + bytes([(5 + len(options) // 4) << 4, flags]) + b"\xff\xff\0\0\0\0" + options + data
    pseudo = source + OURS[1] + b"\0\6" + len(head).to_bytes(2, "big")
    return ip_frame(mac, 6, head[:16] + internet_sum(pseudo + head) + head[18:], source=source)


def arp_frame(mac, op):
    return (b"\xff" * 6 if op == 1 else mac) + PEER + b"\x08\6\0\1\x08\0\6\4\0" + bytes([op]) + PEER + OURS[
        0] + mac + OURS[1]


def strange_frame(mac, chance):
    data = chance.randbytes(chance.choice((0, 1, 7, 64, 1400)))
    options = b"\2\4" + chance.randbytes(2) if chance.random() < 0.3 else chance.randbytes(4 * chance.randrange(11))
    frame = chance.choice((
        lambda: arp_frame(mac, chance.randrange(4)),
        lambda: ip_frame(mac, 1, b"\x08\0" + internet_sum(b"\x08\0\0\0" + data) + data),
        lambda: ip_frame(mac, chance.randrange(256), data, chance.randrange(1 << 16)),
        lambda: ip_frame(mac, 17, chance.randbytes(2) + b"\0\x44" + (8 + len(data)).to_bytes(2, "big") + b"\0\0" + data),
        # no connection is opened: places for these are few, and the right one shall have one
        lambda: tcp_frame(mac, chance.randrange(64) & ~2, chance.getrandbits(32), chance.getrandbits(32), data,
                          chance.randrange(1, 4000), options),
        lambda: tcp_frame(mac, 2, chance.getrandbits(32), 0, data, chance.randrange(4000, 4020), options),
        lambda: chance.randbytes(chance.randrange(1515))))()
    if chance.random() < 0.5:
        frame = bytearray(frame)
        for _ in range(chance.randrange(1, 5)):
            if frame:
                frame[chance.randrange(len(frame))] = chance.getrandbits(8)
    if chance.random() < 0.2:
        frame = frame[:chance.randrange(len(frame) + 1)]
    return bytes(frame)[:1514] or b"."  # nothing at all is the end, to QEMU


class Liar(threading.Thread):
    def __init__(self, here, there, seed, frames):
        super().__init__(daemon=True)
        self.there, self.frames, self.chance, self.problem = there, frames, random.Random(seed), "it did not come to an end"
        self.before, self.deceived = b"", False  # a segment whose sum is wrong, which is sent before others; it was answered
        self.socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self.socket.bind(here)
        self.socket.settimeout(0.5)

    def send(self, frame):
        with contextlib.suppress(OSError):  # QEMU is not there yet, or full
            self.socket.sendto(frame.ljust(60, b"\0") if len(frame) > 14 else frame, self.there)

    def until(self, frame, wanted):
        """Sends it again and again until a frame comes that is wanted."""
        while True:
            if self.before:
                self.send(self.before)
            self.send(frame)
            try:
                for _ in range(100):
                    got = self.socket.recv(2000)
                    self.deceived |= got[12:14] == b"\x08\0" and got[23] == 6 and got[36:38] == b"\x13\x87"
                    if wanted(got):
                        return got
            except TimeoutError:
                pass

    def segment(self, frame, flags, number, confirmed):
        """The number that comes next, of one with these flags."""
        found = self.until(frame(number, confirmed), lambda f: f[12:14] == b"\x08\0" and f[23] == 6 and f[36:38] ==
                           b"\x13\x88" and f[47] & 23 == flags)
        return int.from_bytes(found[38:42], "big"), int.from_bytes(found[42:46], "big")

    def run(self):
        answer = self.until(arp_frame(bytes(6), 1), lambda f: f[12:14] == b"\x08\6" and f[20:22] == b"\0\2")
        mac = answer[6:12]
        for i in range(self.frames):
            self.send(strange_frame(mac, self.chance))
            if i % 20 == 19:  # it keeps up: it answers
                self.until(arp_frame(bytes(6), 1), lambda f: f[12:14] == b"\x08\6" and f[20:22] == b"\0\2")
        wrong = bytearray(tcp_frame(mac, 2, 100, 0, port=4999))
        wrong[50] ^= 1  # its sum
        self.before = bytes(wrong)
        theirs, _ = self.segment(lambda n, c: tcp_frame(mac, 2, n, c), 18, 100, 0)
        self.before = b""
        self.send(tcp_frame(mac, 16, 101, theirs + 1))
        _, confirmed = self.segment(lambda n, c: tcp_frame(mac, 25, n, c, b"x"), 17, 101, theirs + 1)
        self.send(tcp_frame(mac, 16, 103, theirs + 3))
        self.problem = "" if confirmed == 103 else f"{confirmed} is confirmed, not 103"


class Crowd(Liar):
    """Two peers, of which one wants all connections."""
    ONES = 224  # of 256

    def until(self, frame, wanted):
        return super().until(frame, lambda f: not self.is_asked(f) and wanted(f))

    def is_asked(self, f):
        """Who has an address: we do."""
        asked = f[12:14] == b"\x08\6" and f[20:22] == b"\0\1"
        if asked:
            self.send(f[6:12] + PEER + f[12:20] + b"\0\2" + PEER + f[38:42] + f[22:32])
        return asked

    def connect(self, mac, source, ports):
        """On how many of them a connection is there and takes a byte. All at once, for what comes alone is confirmed
        only a quarter of a second later."""
        def of(f, port):
            return f[12:14] == b"\x08\0" and f[23] == 6 and f[30:34] == source and f[36:38] == port.to_bytes(2, "big")

        def tells(f, port):
            return of(f, port) and (f[47] & 4 or f[42:46] == (102).to_bytes(4, "big"))
        theirs, told = {}, {}
        for port in ports:
            got = self.until(tcp_frame(mac, 2, 100, 0, port=port, source=source), lambda f: of(f, port) and f[47] & 23 == 18)
            theirs[port] = int.from_bytes(got[38:42], "big") + 1
        while left := [port for port in ports if port not in told]:
            for port in left[:-1]:
                self.send(tcp_frame(mac, 24, 101, theirs[port], b"x", port=port, source=source))

            def heard(f):
                told.update({port: not f[47] & 4 for port in left if tells(f, port)})
                return all(port in told for port in left)
            self.until(tcp_frame(mac, 24, 101, theirs[left[-1]], b"x", port=left[-1], source=source), heard)
        return sum(told.values())

    def run(self):
        answer = self.until(arp_frame(bytes(6), 1), lambda f: f[12:14] == b"\x08\6" and f[20:22] == b"\0\2")
        mac, other = answer[6:12], bytes([10, 0, 2, 3])
        ports = range(5001, 5001 + self.ONES + 3)
        ones = sum(self.connect(mac, OURS[0], ports[i:i + 8]) for i in range(0, len(ports), 8))
        others = self.connect(mac, other, range(5001, 5006))
        self.problem = "" if (ones, others) == (self.ONES, 5) else f"{ones} of one, {others} of the other"
        self.send(tcp_frame(mac, 4, 102, 0, port=5001))  # the first one goes, and with it the machine


def crowd(bench, engine, machine):
    lies(bench, engine, machine, peer=Crowd)


def lies(bench, engine, machine, seed=1, frames=STRANGE, peer=Liar):
    with tempfile.TemporaryDirectory(prefix="nebulet-net-") as scratch:
        here, there = f"{scratch}/here", f"{scratch}/there"
        liar = peer(here, there, seed, int(os.environ.get("NEBULET_FRAMES", frames)))
        liar.start()
        out = run_init(bench, engine, service_of("virtio-net") + NET.format(connections=1),
                       {"driver.wasm": driver("virtio-net"), "net.wasm": net(), "tcp.wasm": build("tcp")},
                       ["-netdev", f"dgram,id=n,local.type=unix,local.path={there},remote.type=unix,"
                        f"remote.path={here}", "-device", f"virtio-net-{BUSES[machine]},netdev=n"], machine=machine,
                       limit=600)
    if b"\ntcp\n" not in out or b"starts again" in out or liar.deceived or (peer is Crowd and liar.problem):
        raise base.Failed(f"{'a wrong sum is answered' if liar.deceived else liar.problem}\n{base.excerpt(out)}")


# --- Driver, net and http die again and again while they serve: each is ended after so many instructions.
MORTAL = """
service driver
    file /driver.wasm
    device virtio-net
    may print serve
    restart always 1000 1ms
    cpu {driver}
    daemon

service net
    file /net.wasm
    args --address 10.0.2.15/24 --gateway 10.0.2.2 --allow-net listen:tcp:*:7 --allow-net listen:tcp:*:8000
    may serve connect print
    needs driver
    restart always 1000 1ms
    cpu {net}
    daemon

service serve
    file /serve.wasm
    args /told
    may spawn connect files
    needs net
    daemon

service client
    file /tcp.wasm
    args 1
    may print connect
    needs net
    restart on-failure 1000 1ms
"""
LONG = "1000s"


class Requests(threading.Thread):
    """So many requests, on one connection while that lives; then the machine is told to end."""

    def __init__(self, port, last, count):
        super().__init__(daemon=True)
        self.port, self.last, self.count, self.lost, self.problem = port, last, count, 0, ""

    def ask(self, file, s):
        s.sendall(b"GET /plain HTTP/1.1\r\nHost: test\r\n\r\n")
        if file.readline() != b"HTTP/1.1 200 OK\r\n":
            raise ConnectionResetError
        while (line := file.readline()) not in (b"\r\n", b""):
            if line.lower().startswith(b"content-length:") and int(line[15:]) != 612:
                self.problem = f"this is no answer: {line}"
        if file.read(612) != b"x" * 612:
            raise ConnectionResetError

    def connection(self, port, action):
        while True:
            try:
                with socket.create_connection(("127.0.0.1", port), timeout=5) as s, s.makefile("rb") as file:
                    return action(file, s)
            except OSError:
                time.sleep(0.02)

    def some(self, file, s):
        """What is asked on a connection that has been answered before is lost when that ends."""
        used = False
        while self.count:
            self.lost += used
            self.ask(file, s)
            self.lost -= used
            self.count -= 1
            used = True

    def run(self):
        self.connection(self.port, self.some)
        self.connection(self.last, lambda file, s: (s.shutdown(socket.SHUT_WR), file.read()))


def deaths(bench, driver_lives=LONG, net_lives=LONG, http_lives=0, count=600):
    """How many lives of driver and net there were, and how many requests were lost."""
    client = Requests(free_port(), free_port(), count)
    client.start()
    told = f"port 8000\nlisten 10.0.2.15:8000\nmodule /handler.wasm\ncgi /\nname handler\nlog none\nlives {http_lives}\n"
    out = run_init(bench, "fast", MORTAL.format(driver=driver_lives, net=net_lives), {
        "driver.wasm": driver("virtio-net"), "net.wasm": net(), "serve.wasm": service("serve"),
        "serve/http.wasm": service("http"), "told": told.encode(), "handler.wasm": handler("cgi"),
        "tcp.wasm": build("tcp")}, [
            "-netdev", f"user,id=n,restrict=on,hostfwd=tcp:127.0.0.1:{client.port}-10.0.2.15:8000,"
            f"hostfwd=tcp:127.0.0.1:{client.last}-10.0.2.15:7", "-device", "virtio-net-device,netdev=n",
            "-icount", "shift=0"], quiet=False, limit=400)
    if client.problem or client.count:
        raise base.Failed(client.problem or f"{client.count} requests are left\n{base.excerpt(out)}")
    return [out.count(b"init: %s: started" % name) for name in (b"driver", b"net")] + [client.lost]


def drivers_die(bench):
    """Connections go on."""
    drivers, nets, lost = deaths(bench, driver_lives="1300us")
    if drivers < 2 or nets > 1 or lost:
        raise base.Failed(f"{drivers} drivers, {nets} nets, {lost} requests lost")


def all_die(bench):
    """Every request is answered, some by another try."""
    drivers, nets, lost = deaths(bench, "1300us", "8600us", 9000000)
    if drivers < 2 or nets < 2 or not lost:
        raise base.Failed(f"{drivers} drivers, {nets} nets, {lost} requests lost")


# --- What a request of HTTP costs in all: driver, lwIP, http, handler and kernel, but not the client, which is a
# process of the same machine at the other end of a wire.
SERVE = """
service net
    file /net.wasm
    args --address 10.0.2.15/24 --listen 8000
    may serve connect print
    needs driver
    daemon

service serve
    file /serve.wasm
    args /told
    may spawn connect files
    needs net
    daemon

service client
    file /requests.wasm
    device virtio-net
    args {requests} {at_once}
    may print
    needs serve
"""
REQUEST_RUNS, LIMIT_FRESH, LIMIT_STAYS, LIMIT_THIRTY = (100, 500), 23810, 14110, 17000
REQUEST_PARTS = {"driver": 2710, "net": 5290, "http": 5010, "handler": 1140}  # of the latter, with calls that each makes


def service(name):
    return (base.ROOT / f"build/svc/{name}.wasm").read_bytes()


def handler(name):
    """Of bench/serve: the least that a handler is."""
    BUILT.mkdir(parents=True, exist_ok=True)
    wasm = BUILT / f"{name}.wasm"
    if not wasm.exists():
        BUILT.mkdir(parents=True, exist_ok=True)
        part = BUILT / f"{name}.{threading.get_ident()}.part"
        base.run(["clang-22", f"--config={base.ROOT}/build/sdk/nebulet.cfg", "-std=gnu11", "-O2",
                  base.ROOT / f"bench/serve/{name}.c", "-o", part], limit=120).check()
        part.rename(wasm)
    return wasm.read_bytes()


def requests(bench, machine, kind, name, count, at_once=1):
    """Instructions: of so many requests, of the client and the others each, and until it was connected."""
    told = f"port 8000\nlisten 10.0.2.15:8000\nmodule /handler.wasm\n{kind} /\nname handler\nlog none\n"
    devices = [word for n in "ab" for word in (
        "-device", f"virtio-net-{EXACT_BUSES[machine]},netdev={n},tx=timer,x-txtimer=1")]
    out = run_init(bench, "fast", service_of("virtio-net") + SERVE.format(requests=count, at_once=at_once), {
        "driver.wasm": driver("virtio-net"), "net.wasm": net("net-listen"), "serve.wasm": service("serve"),
        "serve/http.wasm": service("http"), "told": told.encode(), "handler.wasm": handler(name),
        "requests.wasm": build("requests")}, [*NETWORK, *devices, *EXACT],
        words=["stats"] if kind == "stream" else [], machine=machine)
    found = [re.search(text, out) for text in (rb"requests: (\d+) for", rb"requests: connected at (\d+)")]
    if not all(found):
        raise base.Failed(base.excerpt(out))
    times = {part: cpu_time(out, part.encode()) for part in ["client", *REQUEST_PARTS]} if kind == "stream" else {}
    return int(found[0][1]), times, int(found[1][1])


def request_cost(bench, machine):
    more = REQUEST_RUNS[1] - REQUEST_RUNS[0]
    thirty = [requests(bench, machine, "stream", "resident", n, 30) for n in REQUEST_RUNS]
    stays = [requests(bench, machine, "stream", "resident", n) for n in REQUEST_RUNS]
    fresh = [requests(bench, machine, "cgi", "cgi", n) for n in REQUEST_RUNS]
    parts = {part: (stays[1][1][part] - stays[0][1][part]) / more for part in stays[0][1]}
    client = parts.pop("client")
    client_of_thirty = (thirty[1][1]["client"] - thirty[0][1]["client"]) / more
    of_each = {f"of which {part}": (n, REQUEST_PARTS[part]) for part, n in parts.items()}
    return {"instructions a request, a fresh process": ((fresh[1][0] - fresh[0][0]) / more - client, LIMIT_FRESH),
            "instructions a request, a handler that stays": ((stays[1][0] - stays[0][0]) / more - client, LIMIT_STAYS),
            "instructions a request, of 30 connections at once": (
                (thirty[1][0] - thirty[0][0]) / more - client_of_thirty, LIMIT_THIRTY),
            **of_each,
            "instructions from the start to a connection": (fresh[0][2], 30e6)}


def console_program():
    build("console")
    return BUILT / "console.wasm"


def console_cost(bench, machine):
    return console.cost(bench, console_program(), machine)


COSTS = [("frames", frame_costs), ("reads", block_cost), ("an interrupt", interrupt_cost), ("memory", memory_cost), ("the console", console_cost),
         ("requests", request_cost)]


def check_costs(found):
    if any(value > limit for value, limit in found.values()):
        raise base.Failed("\n".join(f"{value:.3f} {name}, limit {limit}"
                                    for name, (value, limit) in found.items()))


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
        yield base.Case("short messages of 9P", engine, lambda e=engine: short(bench, e, "microvm"))
        yield base.Case("random bytes, 2 CPUs", engine, lambda e=engine: random_bytes(
            bench, e, "microvm", ["-device", "virtio-rng-device", "-smp", "2"]))
        yield base.Case("random bytes, q35", engine,
                        lambda e=engine: random_bytes(bench, e, "q35", ["-device", "virtio-rng-pci"]))
        for kind, cpus in (("open", 1), ("rng", 1), ("disk", 1), ("rng", 2), ("disk", 2),
                           ("interrupts by number", 1), ("interrupts", 1)):
            yield base.Case(f"a driver aims at what is not its own: {kind}, {cpus} CPUs", engine,
                            lambda e=engine, k=kind, n=cpus: confined(bench, e, k, n))
        yield base.Case("random bytes, iommu", engine,
                        lambda e=engine: random_bytes(bench, e, "iommu", ["-device", f"virtio-rng-{CONFINED}"]))
        for machine, cpus in (("microvm", 1), ("microvm", 2), ("q35", 2), ("iommu", 2)):
            yield base.Case(f"every driver killed every 50 ms, {machine}, {cpus} CPUs", engine,
                            lambda e=engine, m=machine, n=cpus: killed(bench, e, m, n))
        for machine in BUSES:
            yield base.Case(f"a driver traps, ends, hangs, {machine}", engine,
                            lambda e=engine, m=machine: restarts(bench, e, m))
        for machine in PINS:
            yield base.Case(f"by pins: every driver killed every 50 ms, {machine}, 2 CPUs", engine,
                            lambda e=engine, m=machine: killed(bench, e, m, 2, buses=PINS))
            yield base.Case(f"by a pin: a driver traps, ends, hangs, {machine}", engine,
                            lambda e=engine, m=machine: restarts(bench, e, m, PINS))
            yield base.Case(f"by a pin: random bytes, {machine}", engine, lambda e=engine, m=machine: random_bytes(
                bench, e, m, ["-device", f"virtio-rng-{PINS[m]}"]))
            yield base.Case(f"by a pin: frames go back, {machine}", engine,
                            lambda e=engine, m=machine: echo(bench, e, m, f"virtio-net-{PINS[m]}"))
        # What the kernel makes of calls does not depend on who makes them, and the interpreter makes few in that time.
        how_many = ["few"] if engine == "interp" else ["all"]

        def hostile(devices, more=(), e=engine, n=how_many, **how):
            return lambda: alone(bench, e, "hostile", devices, args=[*n, *more], **how)

        two = ["-device", "virtio-rng-device", "-device", "virtio-net-device"]
        yield base.Case("by pins: random calls on devices, 2 CPUs", engine, hostile(
            ["-device", f"virtio-rng-{PINS['q35']},addr=4", "-device", f"virtio-net-{PINS['q35']},addr=8", "-smp", "2"],
            machine="q35"))
        yield base.Case("random calls on devices", engine, hostile(two))
        yield base.Case("random calls on devices, 2 CPUs", engine, hostile([*two, "-smp", "2"]))
        yield base.Case("random calls on a device alone in its page", engine, hostile(["-device", "virtio-rng-device"]))
        for cpus in 1, 2:
            yield base.Case(f"random calls and addresses, iommu, {cpus} CPUs", engine, hostile(
                ["-netdev", "user,id=n,restrict=on", "-device", f"virtio-net-{CONFINED},netdev=n", "-device",
                 f"virtio-rng-{CONFINED}", "-smp", str(cpus)], ["wild"], machine="iommu"))
        yield base.Case("random calls without devices", engine, hostile([]))
        for machine in BUSES:
            yield base.Case(f"a disk, {machine}", engine,
                            lambda e=engine, m=machine: disk_turned(bench, e, m))
            yield base.Case(f"errors of a disk, {machine}", engine,
                            lambda e=engine, m=machine: disk_errors(bench, e, m, m != "microvm"))
        yield base.Case("clients leave a slow disk", engine, lambda e=engine: disk_left(bench, e, "iommu"))
        yield base.Case("frames go back, microvm", engine,
                        lambda e=engine: echo(bench, e, "microvm", "virtio-net-device"))
        yield base.Case("frames go back, q35", engine,
                        lambda e=engine: echo(bench, e, "q35", "virtio-net-pci"))
        yield base.Case("frames go back, iommu", engine,
                        lambda e=engine: echo(bench, e, "iommu", f"virtio-net-{CONFINED}"))
        for machine, cpus in (("microvm", 1), ("q35", 2), ("iommu", 2)):
            yield base.Case(f"TCP, {machine}, {cpus} CPUs", engine,
                            lambda e=engine, m=machine, n=cpus: tcp(bench, e, m, n))
        yield base.Case("frames that lie", engine, lambda e=engine: lies(bench, e, "microvm"))
        yield base.Case("a crowd of one", engine, lambda e=engine: crowd(bench, e, "microvm"))
    yield from console.cases(bench, console_program, BUSES)
    yield from screen.cases(bench, alone, build)
    if "fast" in bench.engines:
        yield base.Case("drivers die, connections go on", "fast", lambda: drivers_die(bench))
        yield base.Case("driver, net and http die", "fast", lambda: all_die(bench))
    for machine in PINS if "fast" in bench.engines else ():
        for name, how in (("never acknowledges", "daemon"), ("ends with its line up", "args end\n    restart never")):
            yield base.Case(f"by a pin: a driver {name}, {machine}", "fast",
                            lambda m=machine, h=how: silent(bench, m, h))
    for machine in BUSES if "fast" in bench.engines else ():
        for name, measure in COSTS:
            yield base.Case(f"what {name} cost{'s' * name.startswith('a')}, {machine}", "fast",
                            lambda f=measure, m=machine: check_costs(f(bench, m)))
