# SPDX-License-Identifier: MIT
"""Sockets of programs: `nebulet run --listen`, by the calls of WASI (test/net). Ports are those that the
kernel chooses, and nothing but 127.0.0.1 and ::1 is used. Nothing here depends on how long something takes:
waits are for what must come, with a limit far beyond.
"""
import contextlib
import fcntl
import os
import re
import socket
import subprocess
import tempfile
import threading

from . import base, guest

SOURCES = base.ROOT / "test/net"
BUILT = base.ROOT / "build/test-net"
CHECKSUM = base.ROOT / "user/svc/net/checksum.c"
LIMIT = 240


def build(name, *flags, of=()):
    source, wasm = SOURCES / f"{name}.c", BUILT / f"{name}.wasm"
    BUILT.mkdir(parents=True, exist_ok=True)
    if not wasm.exists() or wasm.stat().st_mtime < max(s.stat().st_mtime for s in [source, *of]):
        part = BUILT / f"{name}.{threading.get_ident()}.part"
        base.run([*guest.CLANG, *flags, source, "-o", part], limit=120).check()
        part.rename(wasm)
    return wasm


def address_of(text):
    host, port = text.rsplit(":", 1)
    return host.strip("[]"), int(port)


class Server:
    """A nebulet that listens: .addresses, as it says them; .finish waits for its end."""

    def __init__(self, command, listeners=1, out=None, **how):
        self.err = tempfile.TemporaryFile(buffering=0)
        self.out = tempfile.TemporaryFile(buffering=0)
        self.process = subprocess.Popen([str(c) for c in command], stdin=subprocess.DEVNULL, stdout=out or self.out,
                                        stderr=subprocess.PIPE, **how)
        self.addresses, self.early = [], b""
        while len(self.addresses) < listeners:
            line = self.process.stderr.readline()
            self.early += line
            found = re.search(rb"(?:listening|serving).* at (?:tcp:|udp:|http://)(\S+:\d+)", line)
            if found:
                self.addresses.append(address_of(found[1].decode()))
            elif not line:
                self.kill()
                raise base.Failed(f"it ended: {base.excerpt(self.early)}")
        self.reader = threading.Thread(target=self.read, daemon=True)
        self.reader.start()

    def read(self):
        for line in self.process.stderr:
            self.err.write(line)

    def kill(self):
        self.process.kill()
        self.process.wait()

    def finish(self, code=0, out=None):
        try:
            self.process.wait(LIMIT)
        except subprocess.TimeoutExpired:
            self.kill()
            raise base.Failed(f"still running after {LIMIT} s") from None
        self.reader.join()
        return base.Result(self.process.returncode, self.written(self.out), self.written(self.err)).check(code, out)

    @staticmethod
    def written(file):
        """Also while it is being written."""
        return os.pread(file.fileno(), 1 << 24, 0)


@contextlib.contextmanager
def serving(command, listeners=1, **how):
    server = Server(command, listeners, **how)
    try:
        yield server
    finally:
        server.kill()
        server.reader.join()


def connect(address):
    return socket.create_connection(address, timeout=LIMIT)


def read_all(connection):
    got = b""
    while part := connection.recv(65536):
        got += part
    return got


def listen_here(host="127.0.0.1"):
    listener = socket.socket(socket.AF_INET6 if ":" in host else socket.AF_INET)
    listener.bind((host, 0))
    listener.listen()
    return listener


def echo(bench, engine, host="127.0.0.1", count=100, size=30000):
    """Many connections at once, each with more than one buffer takes, and one that sends byte by byte."""
    with serving([bench.program, "run", "--engine", engine, "--listen", f"tcp:{host}:0", build("echo"), count + 1]) \
            as server:
        slow = connect(server.addresses[0])
        slow.sendall(b"s")
        many = [connect(server.addresses[0]) for _ in range(count)]
        for i, c in enumerate(many):
            c.sendall(b"%d abc " % i * (size // 8))
            c.shutdown(socket.SHUT_WR)
        for i, c in enumerate(many):
            if read_all(c) != b"%d ABC " % i * (size // 8):
                raise base.Failed(f"connection {i} got something else")
        for byte in b"low":
            slow.sendall(bytes([byte]))
        slow.shutdown(socket.SHUT_WR)
        if read_all(slow) != b"SLOW":
            raise base.Failed("the slow one got something else")
        server.finish(0, b"LISTEN_FDS=1\nserved %d\n" % (count + 1))


def plain(bench, engine, more=(), descriptor=3):
    """Waiting calls, and what a listener is not for."""
    with serving([bench.program, "run", "--engine", engine, "--listen", "127.0.0.1:0", *more, build("plain"), 3,
                  descriptor]) as server:
        for i in range(3):
            c = connect(server.addresses[0])
            c.sendall(b"line\n" * (i + 1))
            if read_all(c) != b"line %d of %d bytes\n" % (i, 5 * (i + 1)):
                raise base.Failed("another answer")
        out = b"".join(b"%d: " % i + b"line\n" * (i + 1) for i in range(3))
        server.finish(0, out)


def datagrams(bench, engine, host="127.0.0.1"):
    """Each answer goes to whom the last one came from; a longer one is cut."""
    answering([bench.program, "run", "--engine", engine, "--listen", f"udp:{host}:0", build("answers")], host)


def answering(command, host, **more):
    with serving(command, **more) as server:
        peers = [socket.socket(socket.AF_INET6 if ":" in host else socket.AF_INET, socket.SOCK_DGRAM) for _ in range(3)]
        at = server.addresses[0]
        for round_ in range(4):
            for i, peer in enumerate(peers):
                peer.settimeout(LIMIT)
                sent = b"peer %d round %d " % (i, round_) + b"x" * (50 * round_)
                peer.sendto(sent, at)
                got, came = peer.recvfrom(1000)
                if got != sent[:100].upper() or came[:2] != at[:2]:
                    raise base.Failed(f"{sent} was answered by {got} from {came}")
        peers[0].sendto(b"", at)
        server.finish(0, b"over\n")
        for peer in peers:
            peer.close()


def with_folder(bench, engine):
    """Listeners come after folders, also where a program may have none of them."""
    with tempfile.TemporaryDirectory(prefix="nebulet-net-") as scratch:
        plain(bench, engine, ["--dir", f"{scratch}::/a", "--dir", f"{scratch}::/b"], 5)
        plain(bench, engine, ["--dir", f"{scratch}::/a", "--may", "print"], 4)


def inherited(bench, engine):
    """As systemd starts a program: the sockets are 3 and 4."""
    ours = [listen_here(), listen_here("::1")]
    addresses = [s.getsockname()[:2] for s in ours]
    high = [fcntl.fcntl(s, fcntl.F_DUPFD_CLOEXEC, 100) for s in ours]  # not among those that they are to become
    program = "exec 3<&$1 4<&$2; export LISTEN_PID=$$ LISTEN_FDS=2; shift 2; exec \"$@\""
    with serving(["bash", "-c", program, "bash", *high, bench.program, "run", "--engine", engine,
                  "--listen", "inherited", build("plain"), 1, 4], 2, pass_fds=high) as server:
        if sorted(server.addresses) != sorted(addresses):
            raise base.Failed(f"{server.addresses}, not {addresses}")
        c = connect(addresses[1])
        c.sendall(b"a line\n")
        if read_all(c) != b"line 0 of 7 bytes\n":
            raise base.Failed("another answer")
        server.finish(0, b"0: a line\n")
    for s, fd in zip(ours, high):
        s.close()
        os.close(fd)


def inherited_datagrams(bench, engine):
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as ours:
        ours.bind(("127.0.0.1", 0))
        answering(given_one(bench, ours, "run", "--engine", engine, "--listen", "inherited", build("answers")), "127.0.0.1",
                  pass_fds=[ours.fileno()])


def given_one(bench, given, *arguments):
    """A command with that as its descriptor 3, as systemd would start it."""
    program = f"exec 3<&{given.fileno()}; export LISTEN_PID=$$ LISTEN_FDS=1; exec \"$@\""
    return ["bash", "-c", program, "bash", bench.program, *arguments]


def complains(bench, listen, message, env=None, code=1):
    got = bench.nebulet("run", "--listen", listen, build("plain"), env=env)
    got.check(code, b"")
    if not re.search(message, got.err):
        raise base.Failed(f"stderr has no {message}:\n{base.excerpt(got.err)}")


def wrong(bench):
    taken = listen_here()
    complains(bench, "tcp:127.0.0.1:%d" % taken.getsockname()[1], b"address in use\nhint: ")
    for text in ["127.0.0.1", "tcp:127.0.0.1:65536", "tcp:1.2.3:80", "tcp:[::1:80", "udp:127.0.0.1", "udp:udp:1", "::1:80", "",
                 "tcp:127.0.0.1:0x50", "tcp:127.0.0.1:", "tcp:" + "1" * 100 + ":80"]:
        complains(bench, text, b"not an address and a port\nhint: ", code=2)
    got = bench.nebulet("serve", "--listen", "udp:127.0.0.1:0", build("plain"))
    got.check(2, b"", b"nebulet: --listen udp:127.0.0.1:0: HTTP comes by connections\n")
    plain_env = {k: v for k, v in os.environ.items() if not k.startswith("LISTEN_")}
    for more in {}, {"LISTEN_FDS": "1"}, {"LISTEN_FDS": "1", "LISTEN_PID": "1"}:
        complains(bench, "inherited", b"nobody has opened sockets", {**plain_env, **more})


def not_ours(bench):
    """Descriptors that are no listeners are not given away."""
    program = "export LISTEN_PID=$$ LISTEN_FDS=1; exec 3</dev/null; exec \"$@\""
    got = base.run(["bash", "-c", program, "bash", bench.program, "run", "--listen", "inherited", build("plain")])
    got.check(1, b"")
    if b"descriptor 3: not a socket" not in got.err:
        raise base.Failed(base.excerpt(got.err))


def no_listeners(bench):
    """HTTP does not come by datagrams, and of those only what has addresses is taken."""
    for family, command, message in [(socket.AF_INET, "serve", b"HTTP comes by connections"),
                                     (socket.AF_UNIX, "run", b"descriptor 3: invalid argument")]:
        with socket.socket(family, socket.SOCK_DGRAM) as given:
            got = base.run(given_one(bench, given, command, "--listen", "inherited", build("plain")), pass_fds=[given.fileno()])
        got.check(1, b"")
        if message not in got.err.lower() and message not in got.err:
            raise base.Failed(base.excerpt(got.err))


def checksum(bench, engine):
    """Of the service "net", as it is compiled there (user/svc/net/checksum.c)."""
    got = bench.nebulet("run", "--engine", engine, build("checksum", "-msimd128", of=[CHECKSUM]))
    got.check(0, b"20672 compared, 0 differ\n")


def cases(bench):
    for engine in bench.engines:
        yield base.Case("echo", engine, lambda e=engine: echo(bench, e))
        yield base.Case("echo, IPv6", engine, lambda e=engine: echo(bench, e, "[::1]", 3))
        yield base.Case("plain", engine, lambda e=engine: plain(bench, e))
        yield base.Case("datagrams", engine, lambda e=engine: datagrams(bench, e))
        yield base.Case("datagrams, IPv6", engine, lambda e=engine: datagrams(bench, e, "[::1]"))
        yield base.Case("behind folders", engine, lambda e=engine: with_folder(bench, e))
        yield base.Case("checksum", engine, lambda e=engine: checksum(bench, e))
        yield base.Case("inherited", engine, lambda e=engine: inherited(bench, e))
        yield base.Case("inherited datagrams", engine, lambda e=engine: inherited_datagrams(bench, e))
    yield base.Case("wrong addresses", "", lambda: wrong(bench))
    yield base.Case("descriptors that are none", "", lambda: not_ours(bench))
    yield base.Case("descriptors that do not fit", "", lambda: no_listeners(bench))
