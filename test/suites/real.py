# SPDX-License-Identifier: MIT
"""Real programs: bzip2, zstd, minigzip and sqlite3, built by test/real/build, on each engine.

The compressors take a long text that every Debian has through compression and back. What they wrote
must also be understood by the system's own tools, where those are installed: a fault that cancels
itself out in a round trip does not pass. sqlite3 runs the scripts in test/real on one database file,
each in a process of its own, so the later ones read what the earlier ones left on the disk.
"""
import pathlib
import shutil
import tempfile

from . import base

HERE = base.ROOT / "test/real"
BUILT = base.ROOT / "build/real"
LICENCES = pathlib.Path("/usr/share/common-licenses")
SQL = ["create", "query", "change", "search"]
LIMIT = 300


def text(part=1):
    """A real text of a third of a megabyte, or a part of it: the licences, in the order of their names."""
    files = sorted(p for p in LICENCES.glob("*") if p.is_file() and not p.is_symlink())
    if not files:
        raise base.Skipped(f"no texts in {LICENCES}")
    whole = b"".join(p.read_bytes() for p in files)
    return whole[:len(whole) // part]


def round_trip(bench, engine, part, program, pack, unpack, native):
    original = text(part)
    wasm = BUILT / f"{program}.wasm"

    def guest(flags, data):
        return bench.nebulet("run", "--engine", engine, wasm, *flags, stdin=data, limit=LIMIT).check()

    packed = guest(pack, original).out
    if not 0 < len(packed) < len(original) // 2:
        raise base.Failed(f"{len(original)} bytes were packed into {len(packed)}")
    if guest(unpack, packed).out != original:
        raise base.Failed("unpacking does not give the original back")
    if shutil.which(native[0]):
        base.run(native, stdin=packed, limit=LIMIT).check(0, original)


def damaged(bench, engine, part, program, pack, unpack):
    """A damaged input must be refused with a message, not crash and not pass."""
    wasm = BUILT / f"{program}.wasm"
    packed = bytearray(bench.nebulet("run", "--engine", engine, wasm, *pack, stdin=text(part),
                                     limit=LIMIT).check().out)
    packed[len(packed) // 2] ^= 0x55
    result = bench.nebulet("run", "--engine", engine, wasm, *unpack, stdin=bytes(packed), limit=LIMIT)
    if result.code in (0, base.TRAP) or not result.err:
        raise base.Failed(f"exit code {result.code} on damaged input\n{base.excerpt(result.err)}")


def sqlite(bench, engine):
    with tempfile.TemporaryDirectory(prefix="nebulet-sqlite-") as scratch:
        for name in SQL:
            result = bench.nebulet("run", "--engine", engine, "--dir", f"{scratch}::/db",
                                   "--env", "HOME=/db", BUILT / "sqlite3.wasm", "-batch", "-bail",
                                   "/db/test.db", stdin=(HERE / f"{name}.sql").read_bytes(),
                                   limit=LIMIT)
            try:
                result.check(0, (HERE / f"{name}.out").read_bytes(), b"")
            except base.Failed as why:
                raise base.Failed(f"{name}.sql: {why}") from None
        database = pathlib.Path(scratch, "test.db").read_bytes()
        if not database.startswith(b"SQLite format 3\0"):
            raise base.Failed("no database on the disk")
        if shutil.which("sqlite3"):
            base.run(["sqlite3", f"{scratch}/test.db", "pragma integrity_check"]).check(0, b"ok\n")


def cases(bench, part=1):
    """On interp the text is only that part."""
    made = base.run([HERE / "build"], limit=1200)
    if made.code == 75:
        raise base.Unavailable("the sources of bzip2, zstd, minigzip and sqlite3 cannot be fetched; "
                               "run test/real/build when online\n" + base.excerpt(made.err))
    if made.code != 0:
        return [base.Case("build", "", lambda: made.check())]

    def every(name, function, *args):
        return [base.Case(name, e, lambda e=e: function(bench, e, part if e == "interp" else 1, *args) and None)
                for e in bench.engines]

    found = []
    for level in ("-1", "-9"):
        found += every(f"bzip2 {level}", round_trip, "bzip2", [level], ["-dc"], ["bzip2", "-dc"])
    for level in ("-1", "-3", "-19"):
        found += every(f"zstd {level}", round_trip, "zstd", ["-c", level], ["-dc"], ["zstd", "-dc"])
    for level in ("-1", "-9"):
        found += every(f"minigzip {level}", round_trip, "minigzip", [level], ["-d"], ["gzip", "-dc"])
    found += every("bzip2 damaged", damaged, "bzip2", ["-9"], ["-dc"])
    found += every("zstd damaged", damaged, "zstd", ["-c", "-3"], ["-dc"])
    found += every("minigzip damaged", damaged, "minigzip", ["-9"], ["-d"])
    found += [base.Case("sqlite3", e, lambda e=e: sqlite(bench, e)) for e in bench.engines]
    return found
