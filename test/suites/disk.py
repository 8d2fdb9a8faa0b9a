# SPDX-License-Identifier: MIT
"""Files on a disk (user/svc/fs): on Linux over a file, by its own tool; and in machines, over virtio-blk.

Left out where the sources of littlefs cannot be had.
"""
import contextlib
import pathlib
import random
import re
import shutil
import subprocess
import tempfile
import threading
import time

from . import base, boot, drv, files, sdk

FS = base.ROOT / "build/svc/fs.wasm"
LITTLEFS = base.ROOT / "build/src/micropython/lib/littlefs"
SERVICES = drv.service_of("virtio-blk") + """
service fs
    file /fs.wasm
    args files
    may print serve connect
    daemon 100s
    needs driver

service client
    file /client.wasm
    args {args}
    may print
    folder /data files
    needs fs
"""


class Image:
    """A disk for as long as the block lasts."""

    def __init__(self, bench, size=8 << 20, formatted=True):
        self.bench, self.size, self.formatted = bench, size, formatted

    def __enter__(self):
        self.scratch = tempfile.TemporaryDirectory(prefix="nebulet-disk-")
        self.path = pathlib.Path(self.scratch.name, "disk")
        with open(self.path, "wb") as file:
            file.truncate(self.size)
        if self.formatted:
            self.path.unlink()
            self.tool("create", "--size", self.size).check(0, b"", b"")
        return self

    def __exit__(self, *_):
        self.scratch.cleanup()

    def tool(self, command, *args, **how):
        return self.bench.nebulet("disk", command, self.path, *args, **how)

    def drive(self, more=""):
        return ["-drive", f"file={self.path},format=raw,if=none,id=d,cache=unsafe{more}"]


def boot_disk(bench, engine, machine, image, args, **how):
    return drv.run_init(bench, engine, SERVICES.format(args=args), {
        "driver.wasm": drv.driver("virtio-blk"), "fs.wasm": FS.read_bytes(), "client.wasm": drv.build("lasts")},
        [*image.drive(), "-device", f"virtio-blk-{drv.BUSES[machine]},drive=d"], machine=machine, **how)


def lasts(bench, engine, machine):
    """What one machine writes is there in the next."""
    with Image(bench) as image:
        for step in "write", "read", "again":
            out = boot_disk(bench, engine, machine, image, step)
            if not re.search(rb"(?ms)^lasts: %s$.*^init: client: exit code 0$" % step.encode(), out):
                raise base.Failed(base.excerpt(out))
            image.tool("check").check(0, None, b"")


def command(bench):
    """What `nebulet disk` does, and how it says what it cannot do."""
    with Image(bench) as image:
        large = pathlib.Path(image.scratch.name, "large")
        large.write_bytes(random.Random(1).randbytes(1000000))
        out, huge = large.with_name("out"), large.with_name("huge")
        with open(huge, "wb") as file:
            file.truncate(9 << 20)
        if image.path.stat().st_blocks * 512 > 100000:
            raise base.Failed("a new image is not sparse")
        image.tool("mkdir", "/some").check(0, b"", b"")
        image.tool("put", large, "/some/large").check(0, b"", b"")
        image.tool("put", "-", "small", stdin=b"hello").check(0, b"", b"")
        image.tool("ls").check(0, b"-rw-r--r--          5 small\ndrwxr-xr-x          0 some\n", b"")
        image.tool("ls", "/some/").check(0, b"-rw-r--r--    1000000 large\n", b"")
        image.tool("cat", "/small").check(0, b"hello", b"")
        image.tool("get", "some/large", out).check(0, b"", b"")
        if out.read_bytes() != large.read_bytes():
            raise base.Failed("it came out as something else")
        image.tool("check").check(0, b"2 files of 1000005 bytes in 2 directories; 996 of 8192 KiB are used\n", b"")
        for args, code, said in (
                (("create", "--size", "1M"), 1, "{0}: File exists"), (("cat", "/none"), 1, "disk: /none: no such file or directory"),
                (("cat", "/some"), 1, "disk: /some: is a directory"), (("rm", "/some"), 1, "disk: /some: the directory is not empty"),
                (("mkdir", "/some"), 1, "disk: /some: it exists"), (("ls", "/small/x"), 1, "disk: /small/x: not a directory"),
                (("put", huge, "/big"), 1, "disk: /big: no space left on the disk"),
                (("put", image.path, "/big"), 1, "{0}: it is the image itself"),
                (("get", "/small", image.path), 1, "{0}: it is the image itself"),
                (("get", "/none", out), 1, "disk: /none: no such file or directory"),
                (("cat",), 2, "disk cat needs IMAGE PATH"), (("lss",), 2, "disk has no action 'lss'\nhint: did you mean ls")):
            image.tool(*args).check(code, b"", f"nebulet: {said}\n".format(image.path).encode())
        for size in "63K", "9T":
            image.tool("create", "--size", size).check(2, b"", b"nebulet: --size: a disk has from 64K to 8T\n")
        for short in b"", b"a few bytes":
            short_image = large.with_name("short")
            short_image.write_bytes(short)
            bench.nebulet("disk", "check", short_image).check(1, b"", b"nebulet: short: there is no file system on it\n")
            short_image.unlink()
        if out.read_bytes() != large.read_bytes():
            raise base.Failed("what could not be got has changed a file")
        image.tool("get", "some/large", out).check(0, b"", b"")
        if out.read_bytes() != large.read_bytes():
            raise base.Failed("a full disk has changed a file")
        if sorted(p.name for p in large.parent.iterdir()) != sorted([image.path.name, "large", "huge", "out"]):
            raise base.Failed("something is left over")
        for path in "/some/large", "/some", "/small", "/big":
            image.tool("rm", path).check(0, b"", b"")
        image.tool("check").check(0, b"0 files of 0 bytes in 1 directories; 8 of 8192 KiB are used\n", b"")


def made_up(bench, seeds):
    """Images of random bytes and mutated ones: an end, and a clear one."""
    with Image(bench, 1 << 20) as image:
        for i in range(40):
            image.tool("put", "-", f"/{i}", stdin=random.Random(i).randbytes(i * 700)).check(0, b"", b"")
        good, ends = image.path.read_bytes(), {}
        for seed in seeds:
            dice = random.Random(seed)
            bad = bytearray(dice.randbytes(len(good)) if seed % 10 == 0 else good)
            for _ in range(dice.choice([1, 3, 30, 300])):  # where there is something, mostly
                block = dice.choice([dice.randrange(4), dice.randrange(len(bad) // 4096)])
                bad[block * 4096 + dice.randrange(dice.choice([64, 4096]))] = dice.choice([0, 255, dice.randrange(256)])
            image.path.write_bytes(bad)
            done = image.tool(*dice.choice([["check"], ["ls"], ["rm", "/3"], ["put", "-", "/3"]]), stdin=b"x")
            if done.code not in (0, 1):
                raise base.Failed(f"seed {seed}: exit code {done.code}\n{base.excerpt(done.err)}")
            ends[done.code] = ends.get(done.code, 0) + 1
    return ends


CUT_SEEDS = range(1, 6)


@base.once
def cuts_program():
    """test/disk/cuts.c with the file server's own files."""
    wasm = drv.BUILT / "cuts.wasm"
    sources = [base.ROOT / "test/disk/cuts.c", *(base.ROOT / "user/svc/fs" / name for name in ("volume.c", "littlefs.c",
               "cache.c")), base.ROOT / "user/svc/ninep.c"]
    drv.BUILT.mkdir(parents=True, exist_ok=True)
    part = drv.BUILT / f"cuts.{threading.get_ident()}.part"
    base.run(["clang-22", f"--config={base.ROOT}/build/sdk/nebulet.cfg", "-std=gnu11", "-O2", "-Wall", "-Wextra", "-I",
              base.ROOT, "-I", LITTLEFS, *sources, "-o", part], limit=120).check()
    part.rename(wasm)
    return wasm


def cuts(bench, engine, seeds, steps):
    """Power that goes after each write and each flush."""
    program = cuts_program()
    for seed in seeds:
        done = bench.nebulet("run", "--engine", engine, program, seed, steps)
        if done.code or not re.fullmatch(rb"cuts: after each of [1-9]\d+ writes and flushes\n", done.out):
            raise base.Failed(base.excerpt(done.out + done.err))


# Reads of the disk for 100 files that are opened by a path of four names and read, and for 100 records that are appended
# and synced
READ_LIMITS = {"bare": (3300, 2700), "cached": (40, 20)}


@base.once
def reads_program():
    wasm = drv.BUILT / "reads.wasm"
    sources = [base.ROOT / "test/disk/reads.c", *(base.ROOT / "user/svc/fs" / name for name in (
        "volume.c", "littlefs.c", "cache.c")), base.ROOT / "user/svc/ninep.c"]
    drv.BUILT.mkdir(parents=True, exist_ok=True)
    base.run(["clang-22", f"--config={base.ROOT}/build/sdk/nebulet.cfg", "-std=gnu11", "-O2", "-Wall", "-Wextra", "-I",
              base.ROOT, "-I", LITTLEFS, *sources, "-o", wasm], limit=120).check()
    return wasm


def reads(bench, engine):
    """What the cache of blocks spares the disk."""
    wasm = reads_program()
    for how, limits in READ_LIMITS.items():
        done = bench.nebulet("run", "--engine", engine, wasm, how)
        found = re.fullmatch(rb"reads: (\d+) (\d+)\n", done.out)
        if done.code or not found:
            raise base.Failed(base.excerpt(done.out + done.err))
        counts = tuple(map(int, found.groups()))
        if any(count > limit for count, limit in zip(counts, limits)):
            raise base.Failed(f"{how}: {counts} reads, limits {limits}")


DYING = """
service driver
    file /filedisk.wasm
    args 400
    may print serve files
    restart on-failure 1000 1ms
    daemon
"""


def driver_dies(bench, engine):
    """All on Linux, with a driver that dies again and again: who has files does not see it."""
    with Image(bench) as image:
        folder = pathlib.Path(image.scratch.name)
        for name in "lasts", "filedisk":
            (folder / f"{name}.wasm").write_bytes(drv.build(name))
        shutil.copy(folder / "lasts.wasm", folder / "client.wasm")
        shutil.copy(FS, folder)
        for step in "write", "read", "again":
            manifest = DYING + SERVICES.format(args=step).split("\n\n", 1)[1]
            (folder / "init.manifest").write_text(manifest, encoding="ascii")
            done = bench.nebulet("run", "--engine", engine, "--dir", f"{folder}::/", base.ROOT / "build/user/init.wasm")
            if done.code or b"lasts: %s\n" % step.encode() not in done.out + done.err:
                raise base.Failed(base.excerpt(done.out + done.err))
            if step == "write" and b"driver: exit code 1; starts again" not in done.out + done.err:
                raise base.Failed("the driver has not died")
            image.tool("check").check(0, None, b"")


@base.once
def mortal(name, sources, wrapped, *flags):
    """One of ours that ends after some answers (test/disk/mortal.c)."""
    wasm = drv.BUILT / f"{name}.wasm"
    part = drv.BUILT / f"{name}.{threading.get_ident()}.part"
    drv.BUILT.mkdir(parents=True, exist_ok=True)
    base.run(["clang-22", f"--config={base.ROOT}/build/sdk/nebulet.cfg", "-std=gnu11", "-O2", "-matomics", "-I", LITTLEFS,
              f"-Wl,--wrap={wrapped}", *flags, base.ROOT / "test/disk/mortal.c", *sources, "-o", part], limit=120).check()
    part.rename(wasm)
    return wasm.read_bytes()


def mortal_server(name="mortal_fs", wrapped="sip_answer", *flags):
    return mortal(name, (*(base.ROOT / "user/svc").glob("*.c"), *(base.ROOT / "user/svc/fs").glob("*.c")), wrapped,
                  "-DLIFE=150", *flags)  # init waits longer each time


def server_dies(bench, engine, machine=None):
    """The file server dies again and again: its clients find the next one, and never anything else than what they wrote."""
    program = drv.build("again")
    with Image(bench) as image:
        folder = pathlib.Path(image.scratch.name)
        services = SERVICES.format(args=150).replace("    args files\n", "    args files\n    restart always 10000 1ms\n")
        if machine:
            out = drv.run_init(bench, engine, services, {
                "driver.wasm": drv.driver("virtio-blk"), "fs.wasm": mortal_server(), "client.wasm": program},
                [*image.drive(), "-device", f"virtio-blk-{drv.BUSES[machine]},drive=d"], machine=machine, quiet=False)
        else:
            (folder / "client.wasm").write_bytes(program)
            (folder / "filedisk.wasm").write_bytes(drv.build("filedisk"))
            (folder / "fs.wasm").write_bytes(mortal_server())
            (folder / "init.manifest").write_text(DYING + services.split("\n\n", 1)[1], encoding="ascii")
            done = bench.nebulet("run", "--engine", engine, "--dir", f"{folder}::/", base.ROOT / "build/user/init.wasm", limit=200)
            out = done.out + done.err
        if b"again: all records, and deaths\n" not in out or b"init: client: exit code 0" not in out:
            raise base.Failed(base.excerpt(out))
        image.tool("check").check(0, None, b"")


LINKS = {"boot --disk wasi rust/path_link", "boot --disk guest files"}  # a disk of ours has one name for a file


class OnDisk:
    """A Bench whose `run` is a machine with a disk in the place of each folder, and what was in that on it."""

    def __init__(self, bench, *flags):
        self.bench, self.flags = bench, flags

    def __getattr__(self, name):
        return getattr(self.bench, name)

    def nebulet(self, command, *args, cwd=".", **how):
        folders, options, program, args = files.take_apart(args, cwd)
        with contextlib.ExitStack() as images:
            disks = [images.enter_context(Image(self.bench)) for _ in folders]
            copied, used = [], []
            for i, (disk, (host, name)) in enumerate(zip(disks, folders)):
                copied += ["--dir", f"{host}::/from{i}:ro", "--disk", f"{disk.path}::/to{i}"]
                used += ["--disk", f"{disk.path}::{name}"]
            for i in range(len(folders)):
                self.bench.nebulet("boot", *copied[4 * i:4 * i + 4], files.build("copy"), f"/from{i}", f"/to{i}").check(0)
            done = self.bench.nebulet("boot", *self.flags, *options, *used, program, *args, cwd=cwd, **how)
            for disk in disks:
                disk.tool("check").check(0, None, b"")
            return done


def boot_option(bench, engine, *flags):
    """What one `boot --disk` writes without syncing is there for the next, and for `nebulet disk`; two disks are told
    apart, and one to read stays as it is."""
    lasts_wasm = drv.BUILT / "lasts.wasm"
    drv.build("lasts")
    with Image(bench) as one, Image(bench, 1 << 20) as two:
        two.tool("put", "-", "/which", stdin=b"two").check(0, b"", b"")
        for step in "write", "read", "again":
            done = bench.nebulet("boot", "--engine", engine, *flags, "--disk", f"{two.path}::/other:ro", "--disk",
                                 f"{one.path}::/data", lasts_wasm, step)
            if done.code or b"lasts: %s\n" % step.encode() not in done.out + done.err:
                raise base.Failed(f"{done.code} {base.excerpt(done.out + done.err)}")
            one.tool("check").check(0, None, b"")
        one.tool("put", "-", "/which", stdin=b"one").check(0, b"", b"")
        two.tool("ls").check(0, b"-rw-r--r--          3 which\n", b"")
        for disk in one, two:  # each is what it is called
            done = bench.nebulet("boot", "--engine", engine, *flags, "--disk", f"{one.path}::/one:ro", "--disk",
                                 f"{two.path}::/two", files.build("cat"), f"/{'one' if disk is one else 'two'}/which")
            done.check(0, b"one" if disk is one else b"two", b"")


def boot_errors(bench):
    with Image(bench) as image, Image(bench, 1 << 20, formatted=False) as empty:
        program = files.build("cat")
        for disk, text in ((f"{image.path}x", "No such file or directory"), (empty.path, "there is no file system on it"),
                           (image.scratch.name, "Is a directory"), (f"{image.path}:copy", "a disk is no copy")):
            done = bench.nebulet("boot", "--disk", disk, program, "/disk/x")
            done.check(1, b"", None)
            if f"nebulet: --disk {disk}: {text}".encode() not in done.err:
                raise base.Failed(base.excerpt(done.err))
        bench.nebulet("boot", "--disk", f"{image.path}:ro", program, "/disk/x").check(1, None, b"cat: /disk/x: 44\n")
        # What a superblock says is there, and nothing behind it.
        with open(image.path, "r+b") as file:
            for block in 0, 4096:
                file.seek(block + 20)
                file.write(b"\xff" * 1000)
        done = bench.nebulet("boot", "--disk", image.path, program, "/disk/x")
        if done.code != 1 or b"fs: there is no file system on the disk" not in done.out + done.err:
            raise base.Failed(base.excerpt(done.out + done.err))


def without_links(case):
    """It must fail for that, and nothing else."""
    try:
        case.run()
    except base.Failed as failed:
        if "not permitted" in str(failed):
            return
        raise
    raise base.Failed("there are links now")


def boot_driver_dies(bench, engine):
    """Who has files on a disk does not see that its driver dies again and again."""
    with tempfile.TemporaryDirectory(prefix="nebulet-mortal-") as scratch, Image(bench) as image:
        parts, disk = pathlib.Path(scratch), pathlib.Path(scratch, "disk.wasm")
        (parts / "drv").mkdir()
        (parts / "svc").mkdir()
        (parts / "drv/virtio-blk.wasm").write_bytes(mortal(
            "mortal_blk", (base.ROOT / "user/drv/virtio.c", base.ROOT / "user/drv/virtio-blk/main.c"), "virtio_take_one",
            "-DMORTAL_DRIVER", "-DLIFE=200"))
        shutil.copy(FS, parts / "svc")
        base.run(["clang-22", f"--config={base.ROOT}/build/sdk/nebulet.cfg", "-std=gnu11", "-O2", "-Wno-c23-extensions",
                  f"--embed-dir={parts}", base.ROOT / "user/svc/disk/main.c", "-o", disk], limit=120).check()
        for step in "write", "read", "again":
            found, rest = boot.run_many(bench, [
                f"engine={engine}", "dir=/data::/share/0", "argc=1", "init=/lasts.wasm", step],
                {"lasts.wasm": drv.build("lasts"), "share/0": disk.read_bytes()},
                flags=[*drv.MODERN, *image.drive(), "-device", "virtio-blk-device,drive=d,serial=0"])
            dies = len(found) == 1 and b"disk: virtio-blk: " in found[0][1]
            if len(found) != 1 or found[0][2] or (step == "write" and not dies):
                raise base.Failed(base.excerpt(b"".join(map(bytes, found[0][:2])) if found else rest))
            image.tool("check").check(0, None, b"")


def boot_server_dies(bench, engine, *flags):
    """The file system of `boot --disk` dies again and again: who has files there finds the next one, and all that was
    synced. Flags: how the machine is, beside its disk."""
    with tempfile.TemporaryDirectory(prefix="nebulet-mortal-") as scratch, Image(bench) as image:
        parts, disk = pathlib.Path(scratch), pathlib.Path(scratch, "disk.wasm")
        (parts / "drv").mkdir()
        (parts / "svc").mkdir()
        (parts / "drv/virtio-blk.wasm").write_bytes(drv.driver("virtio-blk"))
        (parts / "svc/fs.wasm").write_bytes(mortal_server("mortal_one", "sip_send", "-DMORTAL_ONE"))
        base.run(["clang-22", f"--config={base.ROOT}/build/sdk/nebulet.cfg", "-std=gnu11", "-O2", "-Wno-c23-extensions",
                  f"--embed-dir={parts}", base.ROOT / "user/svc/disk/main.c", "-o", disk], limit=120).check()
        found, rest = boot.run_many(bench, [
            f"engine={engine}", "dir=/data::/share/0", "argc=1", "init=/again.wasm", "150"],
            {"again.wasm": drv.build("again"), "share/0": disk.read_bytes()},
            flags=[*drv.MODERN, *image.drive(), "-device", "virtio-blk-device,drive=d,serial=0", *flags])
        told = b"".join(map(bytes, found[0][:2])) if found else rest
        deaths = told.count(b"disk: fs: exit code 1; starts again when it is asked\n")
        if len(found) != 1 or b"again: all records, and deaths\n" not in told or deaths < 3:
            raise base.Failed(f"{deaths} deaths\n{base.excerpt(told)}")
        image.tool("check").check(0, None, b"")


POWER_CUTS = 4  # of QEMU in `make test`; test/disk/power makes 1,000


AHEAD = 10  # versions that may be on the disk beyond the one that was told of last


def power(bench, seeds):
    """QEMU is killed while files are written, and what was said to be there is; then it goes on there, as often as there
    are seeds."""
    with Image(bench, 1 << 20) as image, tempfile.NamedTemporaryFile(prefix="nebulet-archive-") as archive:
        command = [*boot.QEMU, *boot.MACHINES["microvm"], "-m", "64", "-kernel", bench.program.parent / "nebulet.elf",
                   "-initrd", archive.name, "-append", "engine=fast may=63 init=/init.wasm --", *drv.MODERN, *image.drive(),
                   "-device", "virtio-blk-device,drive=d"]
        programs = {"init.wasm": (base.ROOT / "build/user/init.wasm").read_bytes(), "driver.wasm": drv.driver("virtio-blk"),
                    "fs.wasm": FS.read_bytes(), "client.wasm": drv.build("power")}
        there, first = [0] * 5, 1  # of each file, the version on the disk
        for seed in seeds:
            dice = random.Random(seed)
            archive.seek(0)
            archive.truncate()
            archive.write(boot.pack(dict(programs, **{"init.manifest": SERVICES.format(args=first).encode()})))
            archive.flush()
            last = killed_at(command, first + int(dice.expovariate(0.2)) % 40, dice.random() * 0.02)
            there = versions(image, there, first, last, seed)
            first = last + AHEAD + 1


def killed_at(command, version, after):
    """The last version that the machine has told of when it is killed, so many seconds after it told of that one."""
    told, other = 0, b""
    with subprocess.Popen(list(map(str, command)), stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                          stderr=subprocess.STDOUT) as machine:
        late = threading.Timer(200, machine.kill)
        late.start()
        for line in machine.stdout:
            other = line if not line.startswith(b"power") else other
            if line.startswith(b"power: ") and line.endswith(b"\n") and line[7:].strip().isdigit():
                told = int(line[7:])
                if told == version:
                    time.sleep(after)
                    machine.kill()
        late.cancel()
    if told < version:
        raise base.Failed(f"the machine has told of {told} versions, not of {version}; {other}")
    return told


def versions(image, before, first, last, seed):
    """Which of each file is there, if they are those that were, or that were written since."""
    image.tool("check").check(0, None, b"")
    found = []
    for i in range(5):
        told = [n for n in range(first, last + 1) if n % 5 == i]
        wanted = [told[-1] if told else before[i], *(n for n in range(last + 1, last + AHEAD + 1) if n % 5 == i)]
        done = image.tool("cat", f"/{i}")
        texts = {((b"%08d" % n) * 2400)[:n % 37 * 500 + 8]: n for n in wanted if n}
        if done.code and 0 in wanted:  # it need not be there yet
            found.append(0)
        elif done.code or done.out not in texts:
            raise base.Failed(f"seed {seed}, file {i} after version {last}: {len(done.out)} bytes, {done.out[:8]}; "
                              f"{done.err.decode()}")
        else:
            found.append(texts[done.out])
    return found


def cases(bench):
    broken = sdk.build()
    if broken:
        raise base.Unavailable(broken)
    if not FS.exists():
        raise base.Unavailable("the sources of littlefs (micropython) cannot be had")
    yield base.Case("made-up images", "fast", lambda: made_up(bench, range(60)) and None)
    for engine in bench.engines:
        yield base.Case("power cuts, each of them", engine, lambda e=engine: cuts(
            bench, e, *((CUT_SEEDS, 40) if e == "fast" else ([1], 12))))
        yield base.Case("reads of the disk", engine, lambda e=engine: reads(bench, e))
    yield base.Case("nebulet disk", "fast", lambda: command(bench))
    if not shutil.which(boot.QEMU[0]):
        return
    for engine in bench.engines:
        yield base.Case("a driver that dies under files", engine, lambda e=engine: driver_dies(bench, e))
    for engine in bench.engines:
        yield base.Case("a file server that dies", engine, lambda e=engine: server_dies(bench, e))
        yield base.Case("a file server that dies, microvm", engine, lambda e=engine: server_dies(bench, e, "microvm"))
    yield base.Case("power cuts of QEMU", "fast", lambda: power(bench, range(POWER_CUTS)))
    for engine in bench.engines:
        yield base.Case("a disk outlives machines, microvm", engine, lambda e=engine: lasts(bench, e, "microvm"))
    yield base.Case("a disk outlives machines, q35", "fast", lambda: lasts(bench, "fast", "q35"))
    for engine in bench.engines:
        yield base.Case("boot --disk, microvm", engine, lambda e=engine: boot_option(bench, e))
    yield base.Case("boot --disk, q35", "fast", lambda: boot_option(bench, "fast", "--machine", "q35"))
    yield base.Case("boot --disk, errors", "fast", lambda: boot_errors(bench))
    for case in files.with_folders(bench, OnDisk(bench), "fast", "boot --disk "):
        yield base.Case(case.name, "fast", lambda c=case: without_links(c)) if case.name in LINKS else case
    for engine in bench.engines:
        yield base.Case("boot --disk, a driver that dies", engine, lambda e=engine: boot_driver_dies(bench, e))
        yield base.Case("boot --disk, a file server that dies", engine, lambda e=engine: boot_server_dies(bench, e))
        yield base.Case("boot --disk, a file server that dies, 2 CPUs", engine,
                        lambda e=engine: boot_server_dies(bench, e, "-smp", "2"))
