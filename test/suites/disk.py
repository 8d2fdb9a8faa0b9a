# SPDX-License-Identifier: MIT
"""Files on a disk (user/svc/fs): on Linux over a file, by its own tool; and in machines, over virtio-blk.

Left out where the sources of littlefs cannot be had.
"""
import pathlib
import re
import shutil
import tempfile

from . import base, boot, drv, sdk

FS = base.ROOT / "build/svc/fs.wasm"
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
            self.tool("create").check(0, b"", b"")
        return self

    def __exit__(self, *_):
        self.scratch.cleanup()

    def tool(self, command, *args, **how):
        return self.bench.nebulet("run", "--dir", f"{self.scratch.name}::/", FS, "--tool", command, "/disk", *args,
                                  **how)

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


def cases(bench):
    broken = sdk.build()
    if broken:
        raise base.Unavailable(broken)
    if not FS.exists():
        raise base.Unavailable("the sources of littlefs (micropython) cannot be had")
    if not shutil.which(boot.QEMU[0]):
        return
    for engine in bench.engines:
        yield base.Case("a disk outlives machines, microvm", engine, lambda e=engine: lasts(bench, e, "microvm"))
    yield base.Case("a disk outlives machines, q35", "fast", lambda: lasts(bench, "fast", "q35"))
