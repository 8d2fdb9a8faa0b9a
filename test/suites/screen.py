# SPDX-License-Identifier: MIT
"""A PC with a screen and a keyboard: what is typed comes from QEMU's monitor, what is shown is read out of the card's
memory. Of the suite drv."""
import json
import re
import socket
import subprocess
import tempfile
import threading
import time

from . import base, boot, sdk

LIMIT = 120
COLUMNS, ROWS = 80, 25
TEXT = 0xb8000
SHIFTED = dict(zip("~!@#$%^&*()_+{}|:\"<>?", "`1234567890-=[]\\;',./"))
NAMES = {" ": "spc", "\n": "ret", "-": "minus", "=": "equal", "[": "bracket_left", "]": "bracket_right", ";": "semicolon",
         "'": "apostrophe", "`": "grave_accent", "\\": "backslash", ",": "comma", ".": "dot", "/": "slash"}


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
        self.scratch, self.qmp = scratch, None

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
            self.qmp.close()

    def command(self, name, **arguments):
        if not self.qmp:
            self.connect()
        self.qmp.write(json.dumps({"execute": name, "arguments": arguments}).encode() + b"\n")
        self.qmp.flush()
        while True:
            answer = json.loads(self.qmp.readline() or b'{"error": "the machine has ended"}')
            if "error" in answer:
                raise base.Failed(f"{name}: {answer['error']}\n{base.excerpt(self.serial)}")
            if "return" in answer:
                return answer["return"]

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

    def until(self, wanted, limit=60):
        """Waits until something like this is on the screen, and gives the match."""
        end = time.monotonic() + limit
        while time.monotonic() < end:
            shown = "\n".join(self.rows())
            found = re.search(wanted, shown, re.M)
            if found:
                return found
            time.sleep(0.1)
        raise base.Failed(f"never shown: {wanted}\n{shown}\n--- serial line\n{base.excerpt(self.serial)}")

    def keys(self, *keys):
        """By QEMU's names, joined by "-" where they are pressed together."""
        for key in keys:
            self.monitor(f"sendkey {key} 20")
            time.sleep(0.06)

    def type(self, text):
        for c in text:
            name = NAMES.get(SHIFTED.get(c, c.lower()), SHIFTED.get(c, c.lower()))
            self.keys("shift-" + name if c in SHIFTED or c.isupper() else name)

    def end(self):
        """Exit code and serial line, when the machine has come to its end."""
        self.machine.wait(LIMIT)
        self.reader.join()
        return self.machine.returncode, self.serial
