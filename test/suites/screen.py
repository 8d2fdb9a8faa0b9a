# SPDX-License-Identifier: MIT
"""A PC with a screen and a keyboard: what is typed comes from QEMU's monitor, what is shown is read out of the card's
memory. Of the suite drv."""
import contextlib
import json
import random
import re
import shutil
import socket
import subprocess
import tempfile
import threading
import time

from . import base, boot

LIMIT = 400
COLUMNS, ROWS = 80, 25
TEXT = 0xb8000
SHIFTED = dict(zip("~!@#$%^&*()_+{}|:\"<>?", "`1234567890-=[]\\;',./"))
NAMES = {" ": "spc", "\n": "ret", "-": "minus", "=": "equal", "[": "bracket_left", "]": "bracket_right", ";": "semicolon",
         "'": "apostrophe", "`": "grave_accent", "\\": "backslash", ",": "comma", ".": "dot", "/": "slash"}


class Ended(base.Failed):
    """The machine is not there any more."""


class Pc:
    """QEMU with a VGA card and a PS/2 keyboard, its serial line, and its monitor."""

    def __init__(self, scratch, flags, machine="q35", vga=True):
        self.path = f"{scratch}/qmp"
        self.machine = subprocess.Popen(
            [*boot.QEMU, "-machine", machine, "-m", "64", *(["-vga", "std"] if vga else []), "-qmp",
             f"unix:{self.path},server,nowait", *flags], stdin=subprocess.DEVNULL, stdout=subprocess.PIPE)
        self.watchdog = threading.Timer(LIMIT, self.machine.kill)
        self.watchdog.start()
        self.serial = b""
        self.reader = threading.Thread(target=self.read, daemon=True)
        self.reader.start()
        self.scratch, self.qmp, self.vga = scratch, None, vga

    def read(self):
        while piece := self.machine.stdout.read1(4096):
            self.serial += piece

    def __enter__(self):
        return self

    def __exit__(self, *how):
        self.watchdog.cancel()
        self.machine.kill()
        self.machine.wait()
        self.reader.join()
        if self.qmp:
            with contextlib.suppress(OSError):
                self.qmp.close()

    def command(self, name, **arguments):
        if not self.qmp:
            self.connect()
        try:
            self.qmp.write(json.dumps({"execute": name, "arguments": arguments}).encode() + b"\n")
            self.qmp.flush()
            lines = iter(self.qmp.readline, b"")
            return self.answer(name, lines)
        except OSError:
            raise Ended(f"the machine has ended\n{base.excerpt(self.serial)}") from None

    def answer(self, name, lines):
        for line in lines:
            answer = json.loads(line)
            if "error" in answer:
                raise base.Failed(f"{name}: {answer['error']}\n{base.excerpt(self.serial)}")
            if "return" in answer:
                return answer["return"]
        raise ConnectionResetError

    def connect(self):
        while True:
            link = socket.socket(socket.AF_UNIX)
            try:
                link.connect(self.path)
                break
            except OSError:
                if self.machine.poll() is not None:
                    raise base.Failed(f"the machine has ended\n{base.excerpt(self.serial)}") from None
                time.sleep(0.05)
        self.qmp = link.makefile("rwb")
        self.qmp.readline()
        self.command("qmp_capabilities")

    def monitor(self, line):
        return self.command("human-monitor-command", **{"command-line": line})

    def cells(self):
        path = f"{self.scratch}/cells"
        self.command("pmemsave", val=TEXT, size=2 * COLUMNS * ROWS, filename=path)
        with open(path, "rb") as file:
            return file.read()

    def rows(self):
        text = self.cells()[::2].decode("cp437")
        return [text[at:at + COLUMNS].rstrip() for at in range(0, COLUMNS * ROWS, COLUMNS)]

    def until(self, wanted, limit=120):
        """Waits until something like this is on the screen, and gives the match."""
        end = time.monotonic() + limit
        while time.monotonic() < end:
            shown = "\n".join(self.rows())
            found = re.search(wanted, shown, re.M)
            if found:
                return found
            time.sleep(0.1)
        raise base.Failed(f"never shown: {wanted}\n{shown}\n--- serial line\n{base.excerpt(self.serial)}")

    def seen(self):
        return self.cells() if self.vga else len(self.serial)

    def keys(self, *keys):
        """By QEMU's names, joined by "-" where they are pressed together. QEMU keeps only a few for a machine that is
        slow, so the next one waits until there is something to be seen of this one, or there is nothing to be seen."""
        for key in keys:
            with contextlib.suppress(Ended):  # by this key, or what follows finds that out
                before, end = self.seen(), time.monotonic() + 1
                self.monitor(f"sendkey {key} 20")
                time.sleep(0.06)
                while self.seen() == before and time.monotonic() < end:
                    time.sleep(0.02)

    def type(self, text):
        for c in text:
            name = NAMES.get(SHIFTED.get(c, c.lower()), SHIFTED.get(c, c.lower()))
            self.keys("shift-" + name if c in SHIFTED or c.isupper() else name)

    def end(self):
        """Exit code and serial line, when the machine has come to its end."""
        self.machine.wait(LIMIT)
        self.reader.join()
        return self.machine.returncode, self.serial


# --- The whole of it: what `make iso` makes.
BUILT = {"init.wasm": "build/user/init.wasm", "init.manifest": "user/svc/shell/pc.manifest",
         "drv/vga.wasm": "build/drv/vga.wasm", "drv/ps2.wasm": "build/drv/ps2.wasm",
         "svc/shell.wasm": "build/svc/shell.wasm", "wordfreq.wasm": "build/guest/wordfreq.wasm"}
COLOURS = r"""(module
  (import "wasi_snapshot_preview1" "fd_write" (func $write (param i32 i32 i32 i32) (result i32)))
  (memory (export "memory") 1)
  (data (i32.const 0) "\08\00\00\00\20\00\00\00")
  (data (i32.const 8) "\1b[2J\1b[12;40H\1b[1;33;44mG\c3\a4\e2\95\90\1b[0m\1b[23;1H")
  (func (export "_start") (drop (call $write (i32.const 1) (i32.const 0) (i32.const 1) (i32.const 100)))))"""
SPOILS = r"""(module
  (import "wasi_snapshot_preview1" "fd_write" (func $write (param i32 i32 i32 i32) (result i32)))
  (memory (export "memory") 1)
  (data (i32.const 0) "\08\00\00\00\24\00\00\00")
  (data (i32.const 8) "\1b[2J\1b[4;5r\1b[5;1H\1b[?7l\1b[?25l\1b[31m\1b]0;")
  (func (export "_start") (drop (call $write (i32.const 1) (i32.const 0) (i32.const 1) (i32.const 100)))))"""
FLOODS = r"""(module
  (import "wasi_snapshot_preview1" "fd_write" (func $write (param i32 i32 i32 i32) (result i32)))
  (memory (export "memory") 1)
  (data (i32.const 0) "\08\00\00\00\20\00\00\00")
  (data (i32.const 8) "0123456789012345678901234567890\0a")
  (func (export "_start") (local $i i32)
    (loop $l
      (drop (call $write (i32.const 1) (i32.const 0) (i32.const 1) (i32.const 100)))
      (br_if $l (i32.lt_u (local.tee $i (i32.add (local.get $i) (i32.const 1))) (i32.const %d))))))"""
TRAPS = "(module (memory (export \"memory\") 1) (func (export \"_start\") unreachable))"


def assembled(scratch, text):
    with open(f"{scratch}/it.wat", "w", encoding="ascii") as source:
        source.write(text)
    base.run(["wat2wasm", source.name, "-o", f"{scratch}/it.wasm"]).check()
    with open(f"{scratch}/it.wasm", "rb") as file:
        return file.read()


def files_of(scratch, lines=1, **changes):
    files = {name: (base.ROOT / path).read_bytes() for name, path in BUILT.items()}
    programs = {"endless": boot.ENDLESS, "colours": COLOURS, "floods": FLOODS % lines, "traps": TRAPS, "spoils": SPOILS}
    files |= {f"{name}.wasm": assembled(scratch, text) for name, text in programs.items()}
    manifest = files["init.manifest"].decode()
    for old, new in changes.values():
        if old not in manifest:
            raise base.Failed(f"the manifest has no {old}")
        manifest = manifest.replace(old, new)
    return files | {"init.manifest": manifest.encode()}


def flags_of(bench, engine, scratch, files, by_cd=False):
    words = f"engine={engine} may=63 init=/init.wasm"
    with open(f"{scratch}/archive.tar", "wb") as archive:
        archive.write(boot.pack(files))
    kernel = bench.program.parent / "nebulet.elf"
    if not by_cd:
        return ["-kernel", str(kernel), "-initrd", archive.name, "-append", words]
    if not shutil.which("grub-mkrescue"):
        raise base.Skipped("no grub-mkrescue")
    base.run([base.ROOT / "test/make_iso", kernel, f"{scratch}/it.iso", archive.name, *words.split()], limit=120).check()
    return ["-cdrom", f"{scratch}/it.iso"]


def session(bench, engine, machine, by_cd):
    """Everything that can be typed, and what is seen then."""
    with tempfile.TemporaryDirectory(prefix="nebulet-screen-") as scratch:
        flags = flags_of(bench, engine, scratch, files_of(scratch), by_cd)
        with Pc(scratch, [*flags, "-rtc", "base=2031-02-03T04:05:06"], machine) as pc:
            pc.until(r"N e b u l e t(.|\n)*^init: screen: started\ninit: keyboard: started\n(.|\n)*^nebulet>$")
            pc.type("help\n")
            pc.until(r"^kill +NUMBER(.|\n)*^nebulet>$")
            pc.type("clear\n")
            pc.until(r"\A\n*nebulet>$")
            pc.type("ls\n")
            pc.until(r"^ +drv/\n(.|\n)*^ +\d+  wordfreq.wasm\n(.|\n)*^nebulet>$")
            pc.type("date\n")
            pc.until(r"^2031-02-03 04:0[5-7]:\d\d UTC, Monday\nnebulet>$")
            pc.type("wordfreq\nred Green rex")
            pc.keys("backspace")
            pc.type("d red\n")
            pc.keys("ctrl-d")
            pc.until(r"^red Green red red\n(.|\n)*1\. red +3 .*\n.*2\. green +1 .*\nnebulet>$")
            pc.type("nothing\n")
            pc.until(r"^nothing: there is no such program .*\nnebulet>$")
            pc.type("traps\n")
            pc.until(r"^\[1\] traps: trap: unreachable.*\nnebulet>$")
            pc.type("endless\n")
            time.sleep(0.3)
            pc.keys("ctrl-c")
            pc.until(r"^nebulet> endless\n\^C\n(.|\n)*killed\nnebulet>$")
            pc.type("endless &\nps\n")
            pc.until(r"^ +1 .* endless\nnebulet>$")
            pc.type("kill 7\nkill 1\n")
            pc.until(r"^kill: 7 is not(.|\n)*^\[1\] endless: killed\nnebulet>$")
            pc.type("ps\n")
            pc.until(r"^no program runs\nnebulet>$")
            # A line is edited: the end comes first, then what is before it; then the same line again.
            pc.type("te")
            pc.keys("home", "d", "a", "end", "up", "up", "down", "ctrl-u")
            pc.type("te")
            pc.keys("home", "d", "a", "ret")
            pc.until(r"^nebulet> date\n2031-02-03 .*\nnebulet>$")
            pc.type("colours\n")
            pc.until(r"^ {39}Gä═\n(.|\n)*^nebulet>$")
            cells = pc.cells()[2 * (11 * COLUMNS + 39):][:6]
            if cells != b"G\x1e\x84\x1e\xcd\x1e":
                raise base.Failed(f"other colours: {cells}")
            # What a program has done to the terminal is over with it, and what it has begun to say.
            pc.type("spoils\nhelp\n")
            pc.until(r"^nebulet> help\nNAME \[WORD(.|\n)*^kill +NUMBER(.|\n)*^Ctrl-C ends .*\nnebulet>$")
            pc.keys("caps_lock")
            pc.type("ls")
            pc.keys("caps_lock", "ctrl-u")
            pc.type("exit\n")
            code, serial = pc.end()
    if code != 1 or b"init: all over\n" not in serial.replace(b"\r", b""):
        raise base.Failed(f"exit code {code}\n{base.excerpt(serial)}")


def screen_dies(bench, engine):
    """Its driver is ended again and again while a program writes; it goes on, and so do the others."""
    with tempfile.TemporaryDirectory(prefix="nebulet-screen-") as scratch:
        files = files_of(scratch, {"fast": 20000, "interp": 1000}[engine], cpu=("    console screen\n    restart on-failure\n",
                                       "    console screen\n    restart always 1000 1ms\n    cpu 60ms\n"))
        with Pc(scratch, flags_of(bench, engine, scratch, files)) as pc:
            pc.until(r"^nebulet>$")
            while pc.serial.count(b"starts again") < 3:
                pc.type("floods\n")
            pc.until(r"^nebulet>$")
            pc.type("exit\n")
            code, serial = pc.end()
    if code != 1:
        raise base.Failed(f"exit code {code}\n{base.excerpt(serial)}")


def no_keyboard(bench, engine):
    """The screen says what is waited for."""
    with tempfile.TemporaryDirectory(prefix="nebulet-screen-") as scratch:
        with Pc(scratch, flags_of(bench, engine, scratch, files_of(scratch)), "q35,i8042=off") as pc:
            pc.until(r"N e b u l e t(.|\n)*^init: keyboard: does not start: device ps2: not found; starts again in")


def keys(bench, build, engine, machine, codes):
    """The driver of the keyboard: killed and started again, and with garbage in its port."""
    with tempfile.TemporaryDirectory(prefix="nebulet-screen-") as scratch:
        files = {"keys.wasm": build("keys"), "ps2.wasm": (base.ROOT / "build/drv/ps2.wasm").read_bytes()}
        with open(f"{scratch}/archive.tar", "wb") as archive:
            archive.write(boot.pack(files))
        with Pc(scratch, ["-kernel", str(bench.program.parent / "nebulet.elf"), "-initrd", archive.name, "-append",
                          f"engine={engine} may=63 init=/keys.wasm {codes}"], machine, vga=False) as pc:
            def ready(times):
                end = time.monotonic() + LIMIT
                while pc.serial.count(b"ready\n") < times:
                    if time.monotonic() > end or pc.machine.poll() is not None:
                        raise base.Failed(f"not ready\n{base.excerpt(pc.serial)}")
                    time.sleep(0.05)

            pc.connect()
            for life in range(1, 6):
                ready(life)
                pc.type("aB~\\ \n")
                pc.keys("ctrl-c", "alt-x", "up", "f1", "kp_add", "pause")
                pc.type("?" if life == 3 else "!")
            ready(6)
            pc.type("z")
            pc.keys("esc")
            code, serial = pc.end()
    typed = [text for text in re.findall(rb"(?m)^key \w+, \w+: (.*)$", serial)]
    life = [b"a", b"", b"B", b"", b"~", b"\\", b"\\20", b"\\d", b"", b"\\3", b"", b"\\1bx", b"\\1b[A", b"\\1b[[A", b"+", b"",
            b""]
    wanted = [*life, b"!", *life, b"!", *life, b"?", *life, b"!", *life, b"!", b"z", b"\\1b"]
    if code != 1 or typed != wanted or b"garbage: many keys" not in serial or b"\nkeys\n" not in serial:
        raise base.Failed(f"exit code {code}\n{typed}\n{wanted}\n{base.excerpt(serial)}")


def pointer(bench, build, engine, machine):
    """A mouse beside the keyboard, while its driver dies."""
    with tempfile.TemporaryDirectory(prefix="nebulet-screen-") as scratch:
        files = {"pointer.wasm": build("pointer"), "ps2.wasm": (base.ROOT / "build/drv/ps2.wasm").read_bytes()}
        with open(f"{scratch}/archive.tar", "wb") as archive:
            archive.write(boot.pack(files))
        with Pc(scratch, ["-kernel", str(bench.program.parent / "nebulet.elf"), "-initrd", archive.name, "-append",
                          f"engine={engine} may=63 init=/pointer.wasm"], machine, vga=False) as pc:
            wanted = b""

            def until(text):
                nonlocal wanted
                wanted += text
                end = time.monotonic() + LIMIT
                while wanted not in pc.serial.replace(b"\r", b""):
                    if time.monotonic() > end or pc.machine.poll() is not None:
                        raise base.Failed(base.difference("serial line", wanted, pc.serial))
                    time.sleep(0.02)

            pc.connect()
            for life in range(4):
                until(b"ready\n")
                if life:
                    pc.monitor("mouse_button 0")
                    until(b"mouse 0: 0 0 0\n")
                pc.monitor("mouse_move 5 -3")
                until(b"mouse 0: 5 -3 0\n")
                pc.monitor("mouse_move -100 127")
                until(b"mouse 0: -100 127 0\n")
                pc.monitor("sendkey a 20")
                until(b"key 4\n")
                pc.monitor("mouse_move 0 0 1")
                until(b"mouse 0: 0 0 -1\nmouse 0: 0 0 0\n")  # QEMU turns a wheel as it presses a button
                pc.monitor("mouse_button 1")
                until(b"mouse 1: 0 0 0\n")
                pc.monitor("mouse_move 1 1")
                until(b"mouse 1: 1 1 0\n")
                pc.monitor("mouse_button 0")
                until(b"mouse 0: 0 0 0\n")
                pc.monitor("mouse_button 2")
                until(b"mouse 2: 0 0 0\n")
            until(b"ready\n")
            pc.monitor("mouse_button 6")
            until(b"mouse 6: 0 0 0\nready\npointer\n")
            code, serial = pc.end()
    if code != 1:
        raise base.Failed(f"exit code {code}\n{base.excerpt(serial)}")


@contextlib.contextmanager
def second_port(bench, build, engine, machine, args=""):
    """A machine with test/drv/port.c, and the other end of its port, a socket."""
    with tempfile.TemporaryDirectory(prefix="nebulet-port-") as scratch:
        files = {"port.wasm": build("port"), "serial.wasm": (base.ROOT / "build/drv/serial.wasm").read_bytes()}
        with open(f"{scratch}/archive.tar", "wb") as archive:
            archive.write(boot.pack(files))
        with Pc(scratch, ["-kernel", str(bench.program.parent / "nebulet.elf"), "-initrd", archive.name, "-append",
                          f"engine={engine} may=63 init=/port.wasm{args}", "-chardev",
                          f"socket,id=second,path={scratch}/second,server=on,wait=on", "-serial", "chardev:second"],
                machine, vga=False) as pc, socket.socket(socket.AF_UNIX) as line:
            while line.connect_ex(f"{scratch}/second"):
                time.sleep(0.05)
            line.settimeout(LIMIT)
            yield pc, line


def full_port(bench, build, engine, machine):
    """Nobody reads at the other end of the port, so it takes no byte any more: who sends is hung up on."""
    with second_port(bench, build, engine, machine, " full") as (pc, _):
        code, serial = pc.end()
    if code != 1 or b"hung up\nhung up\nport\n" not in serial.replace(b"\r", b""):
        raise base.Failed(f"exit code {code}\n{base.excerpt(serial)}")


def port(bench, build, engine, machine):
    """Bytes come back turned over, all of them, and go on with the next life of the driver."""
    with second_port(bench, build, engine, machine) as (pc, line):
        def until(what):
            got = b""
            while not got.endswith(what):
                piece = line.recv(1 if len(what) < 100 else len(what) - len(got))
                if not piece:
                    raise base.Failed(f"hung up after {base.excerpt(got)}\n{base.excerpt(pc.serial)}")
                got += piece
                if len(what) >= 100 and not what.startswith(got):
                    raise base.Failed("other bytes have come back")

        chance = random.Random(1)
        for size in (1, 17, 6000):
            until(b"ready\n")
            sent = chance.randbytes(size)
            sender = threading.Thread(target=line.sendall, args=(sent,), daemon=True)
            sender.start()
            until(bytes(255 - byte for byte in sent))
            sender.join()
            line.sendall(b"x" * 300 + b"kill\n")
        until(b"ready\n")
        line.sendall(b"\nend\n")
        code, serial = pc.end()
    if code != 1 or b"port\n" not in serial.replace(b"\r", b""):
        raise base.Failed(f"exit code {code}\n{base.excerpt(serial)}")


def cases(bench, alone, build):
    for engine in bench.engines:
        for machine, by_cd in (("q35", False), ("pc", True)):
            yield base.Case(f"a screen and a keyboard, {machine}{', from CD' if by_cd else ''}", engine,
                            lambda e=engine, m=machine, c=by_cd: session(bench, e, m, c))
        yield base.Case("a screen whose driver dies", engine, lambda e=engine: screen_dies(bench, e))
        yield base.Case("a screen and no keyboard", engine, lambda e=engine: no_keyboard(bench, e))
        for machine, codes in (("q35", 1), ("pc", 2)):
            yield base.Case(f"a keyboard, its driver dies, {machine}, set {codes}", engine,
                            lambda e=engine, m=machine, c=codes: keys(bench, build, e, m, c))
        for machine in ("q35", "pc"):
            yield base.Case(f"a mouse, its driver dies, {machine}", engine,
                            lambda e=engine, m=machine: pointer(bench, build, e, m))
            yield base.Case(f"a second serial port, its driver dies, {machine}", engine,
                            lambda e=engine, m=machine: port(bench, build, e, m))
        yield base.Case("a second serial port that takes nothing", engine, lambda e=engine: full_port(bench, build, e, "q35"))
        yield base.Case("what a PC has without a bus, q35", engine, lambda e=engine: alone(
            bench, e, "legacy", ["-vga", "std", "-serial", "null"], args=["ps2", "vga", "rtc", "serial"], machine="q35",
            words=["dir="]))  # no files, whose times would be looked at before
        yield base.Case("what a PC has without a bus, microvm", engine, lambda e=engine: alone(
            bench, e, "legacy", [], args=["rtc"], machine="microvm"))
