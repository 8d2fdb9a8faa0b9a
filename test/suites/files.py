# SPDX-License-Identifier: MIT
"""Files that a process serves (src/fs/ninep.h): the cases of the suites wasi and guest that have folders, by
the same functions, with folders served by user/svc/memfs instead of the host's, on Linux; and with the forms of
--dir. (That `boot --dir` is the host's folder, by user/drv/virtio-9p and QEMU's server, the cases of the suite boot
show.) In ring 0 on one engine, for what differs is the platform.

test/files/served.c starts server and program, and copy.c fills the folder. The other files there are tests of
their own, which print what NAME.out says.
"""
import pathlib
import re
import shutil
import tempfile
import threading

from . import base, boot, drv, guest, sdk, wasi

SOURCES = base.ROOT / "test/files"
BUILT = base.ROOT / "build/test-files"
TOOLS = ["served", "copy"]
FORMS = {"folder_forms"}  # is about the forms of --dir itself


@base.once
def build(name):
    BUILT.mkdir(parents=True, exist_ok=True)
    source, wasm = SOURCES / f"{name}.c", BUILT / f"{name}.wasm"
    newest = max(p.stat().st_mtime for p in [source, *(base.ROOT / "build/sdk/lib").iterdir(),
                                             *(base.ROOT / "build/sdk/include/nebulet").iterdir()])
    if not wasm.exists() or wasm.stat().st_mtime < newest:
        part = BUILT / f"{name}.{threading.get_ident()}.part"
        base.run(["clang-22", f"--config={base.ROOT}/build/sdk/nebulet.cfg", "-std=gnu11", "-O2", "-Wall",
                  "-Wextra", "-I", base.ROOT, source, base.ROOT / "user/svc/memfs/tree.c",
                  base.ROOT / "user/svc/ninep.c", "-o", part],
                 limit=120).check()
        part.rename(wasm)
    return wasm


def take_apart(args, cwd):
    """Folders as (host, guest), other options, the program, and its arguments."""
    args, options, folders = list(map(str, args)), [], []
    while args[0].startswith("--"):
        word, value = args.pop(0), args.pop(0)
        if word == "--dir":
            folders.append(value.split("::"))
        else:
            options += [word, value]
    return folders, options, pathlib.Path(cwd, args[0]), args[1:]


class Served:
    """A Bench (base.Bench) whose `run` serves the folders."""

    def __init__(self, bench):
        self.bench = bench

    def __getattr__(self, name):
        return getattr(self.bench, name)

    def nebulet(self, command, *args, cwd=".", **how):
        folders, options, program, args = take_apart(args, cwd)
        for i, (host, _) in enumerate(folders):
            options += ["--dir", f"{host}::/seed/{i}"]
        with tempfile.TemporaryDirectory(prefix="nebulet-served-") as scratch:
            for file in [*map(build, TOOLS), base.ROOT / "build/svc/memfs.wasm", program]:
                shutil.copy(file, scratch)
            return self.bench.nebulet(command, *options, "--dir", f"{scratch}::/", "served.wasm", "/memfs.wasm",
                                      "/copy.wasm", f"/{program.name}", len(folders),
                                      *[name for _, name in folders], *args, cwd=scratch, **how)


class Copying:
    """A Bench whose folders are copies."""

    def __init__(self, bench):
        self.bench = bench

    def __getattr__(self, name):
        return getattr(self.bench, name)

    def nebulet(self, command, *args, **how):
        args = [f"{a}:copy" if before == "--dir" else a for before, a in zip([None, *args], args)]
        return self.bench.nebulet(command, *args, **how)


def tree_of(folder):
    """All that is in it, as (name, what)."""
    found = {}
    for path in sorted(folder.rglob("*")):
        name = str(path.relative_to(folder))
        if path.is_symlink():
            found[name] = f"link to {path.readlink()}"
        else:
            found[name] = path.stat().st_mtime_ns, path.read_bytes() if path.is_file() else None
    return found


def written(bench):
    """What a program writes in a machine is on the host."""
    with tempfile.TemporaryDirectory(prefix="nebulet-written-") as scratch:
        source, target = pathlib.Path(scratch, "from, here"), pathlib.Path(scratch, "to")
        (source / "some/place/deep").mkdir(parents=True)
        target.mkdir()
        for i in range(300):
            (source / f"some/file {i} \u00fc").write_bytes(b"%d" % i * i)
        (source / "large").write_bytes(bytes(i * 7 % 251 for i in range(1000000)))
        (source / "some/place/link").symlink_to("../file 1 \u00fc")
        (source / "some/dangling").symlink_to("nowhere")
        build("copy")
        boot.Machine(bench).nebulet("run", "--dir", f"{source}::/from", "--dir", f"{target}::/to", BUILT / "copy.wasm",
                               "/from", "/to").check(0, b"", b"")
        for name, what in tree_of(source).items():
            there = tree_of(target).get(name)
            if what != there and not (source / name).is_dir():
                raise base.Failed(f"{name}: {str(there)[:60]}, not {str(what)[:60]}")
        if tree_of(source).keys() != tree_of(target).keys():
            raise base.Failed("other names")


class ByInit:
    """A Bench whose `run` is a machine with the folders as QEMU's virtio-9p, started by init."""

    def __init__(self, bench, machine, device):
        self.bench, self.machine, self.device = bench, machine, device

    def __getattr__(self, name):
        return getattr(self.bench, name)

    def nebulet(self, command, *args, cwd=".", **_):
        folders, options, program, args = take_apart(args, cwd)
        engine = options[options.index("--engine") + 1]
        words = [f"env.{value}" for word, value in zip(options, options[1:]) if word == "--env"]
        manifest, devices = "", []
        for i, (host, _) in enumerate(folders):
            manifest += f"service driver{i}\n    file /driver.wasm\n    device virtio-9p\n    may print serve\n    daemon\n"
            devices += ["-fsdev", f"local,id=f{i},path={host},security_model=none",
                        "-device", f"{self.device},fsdev=f{i},mount_tag=tag{i}"]
        manifest += f"service {program.name}\n    file /{program.name}\n    may print\n"
        manifest += "".join(f"    folder \"{name}\" tag{i}\n" for i, (_, name) in enumerate(folders))
        if args:
            raise base.Failed("arguments are for programs without folders")
        files = {"driver.wasm": drv.driver("virtio-9p"), program.name: program.read_bytes()}
        out, err, _ = drv.boot_init(self.bench, engine, manifest, files, devices, words=words, machine=self.machine)
        told = re.search(rb"^init: %s: exit code (\d+)" % program.name.encode(), out, re.M)
        out = re.sub(rb"^init: .*\n", b"", out, flags=re.M)
        return base.Result(int(told[1]) if told else base.TRAP, out, err)


def own(bench, engine, name):
    files = {"memfs.wasm": base.ROOT / "build/svc/memfs.wasm", f"{name}.wasm": build(name)}
    with tempfile.TemporaryDirectory(prefix="nebulet-files-") as scratch:
        for to, file in files.items():
            shutil.copy(file, f"{scratch}/{to}")
        bench.nebulet("run", "--engine", engine, "--dir", f"{scratch}::/", f"{name}.wasm", cwd=scratch,
                      limit=200).check(0, (SOURCES / f"{name}.out").read_bytes(), None)


def guests(served, engine, where, without=frozenset()):
    for source in sorted(guest.SOURCES.glob("*.opts")):
        source = source.with_suffix(".c")
        if "@DIR@" in source.with_suffix(".opts").read_text() and source.stem not in FORMS | without:
            broken = guest.attempt(source)
            yield base.Case(f"{where}guest {source.stem}", engine,
                            lambda s=source, b=broken: guest.run_program(served, engine, s, b))


def with_folders(bench, served, engine, where, without=frozenset()):
    """The cases of others that have folders."""
    folder = base.unpack_suite(bench, "wasi-p1", "the WASI preview 1 suite", wasi.HOW)
    for wasm in sorted(folder.rglob("*.wasm")):
        description = wasm.with_suffix(".json")
        text = description.read_text() if description.exists() else ""
        if '"dirs"' in text or '"root"' in text:
            name = wasm.relative_to(folder).with_suffix("")
            yield base.Case(f"{where}wasi {name}", engine, lambda w=wasm: wasi.run_program(served, engine, w))
    yield from guests(served, engine, where, without)


def on_one(bench, engine, where):
    yield from with_folders(bench, Served(bench), engine, where)
    for source in sorted(SOURCES.glob("*.out")):
        yield base.Case(f"{where}{source.stem}", engine, lambda n=source.stem: own(bench, engine, n))


def cases(bench):
    broken = sdk.build()
    if broken:
        raise base.Unavailable(broken)
    for engine in bench.engines:
        yield from on_one(bench, engine, "")
    if "fast" not in bench.engines or not shutil.which(boot.QEMU[0]):
        return
    machine = boot.Machine(bench)
    yield base.Case("boot lives", "fast", lambda: own(machine, "fast", "lives"))
    yield from guests(Served(machine), "fast", "boot ")
    yield from with_folders(bench, Copying(bench), "fast", "copy ")
    yield from guests(Copying(machine), "fast", "boot copy ")
    yield from guests(boot.Machine(bench, "--machine", "q35"), "fast", "boot q35 ", boot.BY_PATH)
    yield base.Case("boot --dir, written", "fast", lambda: written(bench))
    for name, device in ("microvm", "virtio-9p-device"), ("q35", "virtio-9p-pci"):
        yield from guests(ByInit(bench, name, device), "fast", f"init {name} ", boot.BY_PATH | {"many_iovecs"})
