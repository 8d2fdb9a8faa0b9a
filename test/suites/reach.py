# SPDX-License-Identifier: MIT
"""What programs reach through the service "net": test/net/reach.c does what it is told, and says what has become of
it, on Linux (`nebulet run --allow-net`) and in ring 0 (lwIP, `nebulet boot --allow-net`, and init), where QEMU's own network leads
to the same servers, which are this file's. Both must say the same, but for the host's address.
"""
import contextlib
import shutil
import socket
import struct
import tempfile
import threading

from . import base, boot, drv, sdk

SOURCE = base.ROOT / "test/net/reach.c"
LIMIT = 200
LINUX, MACHINE = "127.0.0.1", "10.0.2.2"  # where the servers are


def build(source=SOURCE):
    wasm = base.ROOT / f"build/test-net/{source.stem}.wasm"
    wasm.parent.mkdir(parents=True, exist_ok=True)
    newest = max(p.stat().st_mtime for p in [source, *(base.ROOT / "build/sdk/lib").iterdir()])
    if not wasm.exists() or wasm.stat().st_mtime < newest:
        part = wasm.with_suffix(f".{threading.get_ident()}.part")
        base.run(["clang-22", f"--config={base.ROOT}/build/sdk/nebulet.cfg", "-std=gnu11", "-O2", "-Wall", "-Wextra",
                  source, "-o", part], limit=120).check()
        part.rename(wasm)
    return wasm


# --- Servers

class Servers:
    """Of TCP: `echo` sends what came back at its end, `reset` hangs up at once, nobody is at `closed`. Of UDP: `back` sends
    datagrams back, `twice` from another port first, `dns` lies."""

    def __init__(self, host_seen):
        self.seen, self.open, self.asked = host_seen, [], {}
        self.echo, self.reset = self.tcp(self.on_echo), self.tcp(self.on_reset)
        with contextlib.closing(socket.create_server(("127.0.0.1", 0))) as s:
            self.closed = s.getsockname()[1]
        self.echo6 = self.tcp(self.on_echo, "::1")
        self.back, self.twice, self.dns = self.udp(self.on_back), self.udp(self.on_twice), self.names()

    def tcp(self, serve, host="127.0.0.1", port=0):
        s = socket.create_server((host, port), family=socket.AF_INET6 if ":" in host else socket.AF_INET, backlog=1000)
        self.open.append(s)

        def accept():
            with contextlib.suppress(OSError):
                while True:
                    threading.Thread(target=serve, args=(s.accept()[0],), daemon=True).start()
        threading.Thread(target=accept, daemon=True).start()
        return s.getsockname()[1]

    def udp(self, serve):
        s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        s.bind(("127.0.0.1", 0))
        self.open.append(s)

        def take():
            with contextlib.suppress(OSError):
                while (got := s.recvfrom(4096))[1]:
                    serve(s, *got)
        threading.Thread(target=take, daemon=True).start()
        return s.getsockname()[1]

    def names(self):
        """By datagrams and by TCP, at the same port."""
        while True:
            port = self.udp(self.on_dns)
            with contextlib.suppress(OSError):
                return self.tcp(self.on_dns_tcp, port=port)

    def close(self):
        for s in self.open:
            with contextlib.suppress(OSError):
                s.shutdown(socket.SHUT_RDWR)
            s.close()

    @staticmethod
    def on_echo(c):
        with contextlib.suppress(OSError), c:
            got = b""
            while part := c.recv(65536):
                got += part
            c.sendall(got)

    @staticmethod
    def on_reset(c):
        c.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        c.close()

    @staticmethod
    def on_back(s, data, whence):
        s.sendto(data, whence)

    @staticmethod
    def on_twice(s, data, whence):
        """Another's goes first, which must not be taken for the answer; then one that is too long; then this."""
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as other:
            other.sendto(b"a lie", whence)
        s.sendto(b"." * 1473, whence)
        s.sendto(data + b"!", whence)

    # --- Names

    @staticmethod
    def question(query):
        name, at = [], 12
        while query[at]:
            name.append(query[at + 1:at + 1 + query[at]].decode())
            at += 1 + query[at]
        return query[:2], query[12:at + 5], ".".join(name).lower(), struct.unpack(">H", query[at + 1:at + 3])[0]

    def on_dns(self, s, query, whence):
        with contextlib.suppress(OSError):
            for data in self.answers(*self.question(query)):
                s.sendto(data, whence)

    def on_dns_tcp(self, c):
        """Those whose name begins with `long`, which by datagrams are cut short."""
        with contextlib.suppress(OSError), c:
            c.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            query = c.recv(2)
            query = c.recv(struct.unpack(">H", query)[0])
            for data in self.answers(*self.question(query), by_tcp=True):
                data = struct.pack(">H", len(data)) + data
                for i in range(20):
                    c.sendall(data[i:i + 1])
                c.sendall(data[20:])
                c.recv(1)

    def answers(self, number, question, name, kind, by_tcp=False):
        def message(records, number=number, question=question, flags=0x8180):
            return number + struct.pack(">5H", flags, 1, len(records), 0, 0) + question + b"".join(records)

        def record(kind, data, owner=b"\xc0\x0c"):
            return owner + struct.pack(">HHIH", kind, 1, 60, len(data)) + data

        def encode(text):
            return b"".join(bytes([len(l)]) + l.encode() for l in text.split(".")) + b"\0"
        here, evil = socket.inet_aton(self.seen), socket.inet_aton("10.0.2.3")
        a = [record(1, here)] if kind == 1 else []
        count = self.asked[name, kind] = self.asked.get((name, kind), 0) + 1
        first = name.split(".")[0]
        if first == "good":
            return [message(a)]
        if first.startswith("long") and not by_tcp:
            return [message([], flags=0x8380)]
        if first == "long":
            return [message(a * 200)]
        if first == "long-split":
            return [message([record(5, encode("good.test"))])]
        if first == "long-late":  # behind more than is looked at
            return [message([record(16, b"x" * 5000)] + a)]
        if first == "long-none":
            return [message([], flags=0x8183)]
        if first == "long-lie":
            return [message([record(1, evil)], number=bytes(b ^ 1 for b in number))]
        if first == "long-cut":
            return [message([], flags=0x8380)]
        if first == "long-end":
            return []
        if first == "chain":
            return [message([record(5, encode("a.test")), record(5, encode("b.test"), encode("a.test"))] +
                            ([record(1, here, encode("b.test"))] if a else []))]
        if first == "split":
            return [message([record(5, encode("good.test"))])]
        if first == "self":
            return [message([record(5, encode(name))])]
        if first in ("ping", "pong"):
            return [message([record(5, encode(("pong" if first == "ping" else "ping") + ".test"))])]
        if first == "pointer":
            at = 12 + len(question)
            return [message([record(1, here, struct.pack(">H", 0xc000 | at))])]
        if first == "forward":
            return [message([record(1, here, struct.pack(">H", 0xc000 | 500))] + a)]
        if first == "wrong":  # number, question, no answer, cut off at every byte; then the truth
            lie = [record(1, evil)]
            whole = message(lie)
            return [message(lie, number=bytes(b ^ 1 for b in number)), message(lie, question=encode("x.test") + question[-4:]),
                    message(lie, flags=0x0100), *(whole[:n] for n in range(12)), message(a)]
        if first == "huge":
            return [message(a * 80)]
        if first == "cut":
            return [message([record(1, here)])[:-2]]
        if first == "flip":
            return [message([record(1, here if count == 1 else evil)] if kind == 1 else [])]
        if first == "mapped":
            return [message([record(28, b"\0" * 10 + b"\xff\xff" + here)] if kind == 28 else [])]
        if first == "refuses":
            return [message([], flags=0x8182)]
        if first == "silent":
            return []
        if first == "lost":  # the first time
            return [message(a)] if count > 1 else []
        if first == "half":  # of two questions, where there is IPv6, one is answered
            return [message(a)] if a else []
        return [message([], flags=0x8183)]


# --- The two platforms

def on_linux(bench, engine, servers, rules, asks, more=()):
    options = [w for r in rules for w in ("--allow-net", r)]
    return base.run([bench.program, "run", "--engine", engine, "--dns", f"127.0.0.1:{servers.dns}", *options, *more, build(),
                     *asks], limit=LIMIT)


def in_machine(bench, engine, servers, rules, asks, more=()):
    """By `nebulet boot`."""
    options = [w for r in rules for w in ("--allow-net", r)]
    return base.run([bench.program, "boot", "--engine", engine, "--dns", f"10.0.2.2:{servers.dns}", *options, *more, build(),
                     *asks], limit=LIMIT)


MANIFEST = """
service net
    file /net.wasm
    args {args}
    may serve connect print
    needs driver
    daemon

service client
    file /reach.wasm
    args {asks}
    may print connect
    needs net
"""


def by_init(bench, engine, args, asks, netdev, limit=LIMIT, machine="microvm", quiet=True):
    """With init, and a network of ours: what all have printed."""
    return drv.run_init(bench, engine, drv.service_of("virtio-net") + MANIFEST.format(args=args, asks=asks), {
        "driver.wasm": drv.driver("virtio-net"), "net.wasm": drv.net(), "reach.wasm": build().read_bytes()},
        ["-netdev", netdev, "-device", f"virtio-net-{drv.BUSES[machine]},netdev=n"], limit=limit, machine=machine, quiet=quiet)


PLATFORMS = {"Linux": (on_linux, LINUX), "a machine": (in_machine, MACHINE)}


@contextlib.contextmanager
def servers_for(platform):
    s = Servers(PLATFORMS[platform][1])
    try:
        yield s
    finally:
        s.close()


def check(bench, engine, platform, table, rules, more=()):
    """The table has what is asked, and what is said then; H is the host's address."""
    run, host = PLATFORMS[platform]
    with servers_for(platform) as s:
        def fill(text):
            return text.format(H=host, s=s)
        asks = [w for ask, _ in table for w in fill(ask).split(" ")]
        wanted = "".join(f"{w[0]} {w[1]}: {fill(said)}\n" for ask, said in table for w in [fill(ask).split(" ")])
        result = run(bench, engine, s, [fill(r) for r in rules], asks, more)
        result.check(0, wanted.encode())
        return s.asked


RULES = ["tcp:{H}:{s.echo}", "tcp:{H}:{s.reset}", "tcp:{H}/31:{s.closed}", "udp:{H}:{s.back}", "listen:tcp:127.0.0.1:*"]
DENIED, INVALID = "access denied", "invalid argument"
CONNECTIONS = [
    ("c {H} {s.echo}", "5 bytes"), ("c {H} {s.closed}", "unavailable"), ("c {H} {s.back}", DENIED),
    ("c {H} 0", INVALID), ("c {H} 65536", INVALID), ("m {H} {s.echo} 100", "100"), ("m {H} {s.echo} 100", "100"),
    ("u {H} {s.back}", "5 bytes"), ("U {H} {s.back}", "5 bytes"), ("u {H} {s.twice}", DENIED), ("U {H} {s.twice}", "timed out"),
    ("l 10.9.8.7 80", DENIED), ("l ::1 80", DENIED),
]
# What some take for an address that rules say nothing of, or for one that they do.
FORMS = [
    ("c ::ffff:{H} {s.echo}", "5 bytes"), ("c ::ffff:{H} {s.back}", DENIED), ("c ::{H} {s.echo}", DENIED),
    ("c 64:ff9b::{H} {s.echo}", DENIED), ("c 64:ff9b:1::{H} {s.echo}", DENIED), ("c 2002:7f00:1::1 {s.echo}", DENIED),
    ("c 2001:0:1:1:1:1:80ff:fffe {s.echo}", DENIED), ("c ::1 {s.echo}", DENIED), ("c :: {s.echo}", INVALID),
    ("c 0.0.0.0 {s.echo}", INVALID), ("c ::ffff:0.0.0.0 {s.echo}", INVALID), ("c 0 {s.echo}", INVALID),
    ("c 127.1 {s.echo}", INVALID), ("c 0x7f.0.0.1 {s.echo}", INVALID), ("c 1.2.3.4.example {s.echo}", DENIED), ("c 0x7f000001 {s.echo}", INVALID),
    ("c 0177.0.0.1 {s.echo}", INVALID), ("c 127.0.0.01 {s.echo}", INVALID), ("c 2130706433 {s.echo}", INVALID),
    ("c 127.0.0.1. {s.echo}", INVALID), ("c fe80::1%eth0 {s.echo}", INVALID), ("c [::1] {s.echo}", INVALID),
    ("c localhost {s.echo}", "{LOCAL}"), ("c 255.255.255.255 {s.echo}", DENIED), ("c 169.254.169.254 {s.echo}", DENIED),
]
NAMES = [
    ("r good.test", "{H}"), ("r GOOD.Test", "{H}"), ("r good.test.", "{H}"), ("r chain.test", "{H}"), ("r split.test", "{H}"),
    ("r wrong.test", "{H}"), ("r huge.test", "{H}"), ("r none.test", "not found"), ("r self.test", "unavailable"),
    ("r ping.test", "unavailable"), ("r pointer.test", "not found"), ("r forward.test", "not found"), ("r cut.test", "not found"),
    ("r refuses.test", "unavailable"), ("r good.other", DENIED), ("r x..test", INVALID), ("r localhost", "127.0.0.1"), ("r LocalHost.", "127.0.0.1"),
    ("t silent.test {s.echo} 100", "timed out"), ("r lost.test", "{H}"), ("t half.test {s.echo} 3000", "5 bytes"),
    ("c good.test {s.echo}", "5 bytes"), ("c good.test {s.reset}", DENIED), ("c chain.test {s.echo}", DENIED),
    ("c flip.test {s.echo}", "5 bytes"), ("c flip.test {s.echo}", DENIED),
    ("r long.test", "{H}"), ("r long-split.test", "{H}"), ("r long-late.test", "unavailable"), ("r long-none.test", "not found"),
    ("r long-lie.test", "unavailable"), ("r long-cut.test", "unavailable"), ("r long-end.test", "unavailable"),
    ("c private.good.test {s.echo}", "not found"), ("u good.test {s.twice}", "6 bytes"),
]
NAME_RULES = ["dns:*.test", "tcp:good.test@{H}/24:{s.echo}", "tcp:flip.test@{H}:{s.echo}", "tcp:half.test@{H}:{s.echo}", "tcp:chain.test:{s.echo}",
              "tcp:mapped.test:{s.echo}", "tcp:private.good.test:*", "udp:good.test@{H}:1-65535"]
HOSTILE = [("f 50", "lives"), ("o 200", "open"), ("c {H} {s.echo}", "5 bytes"), ("f 10", "lives"), ("c {H} {s.echo}", "5 bytes")]


def connections(bench, engine, platform):
    check(bench, engine, platform, CONNECTIONS, RULES)


def forms(bench, engine, platform):
    local = DENIED if platform != "Linux" else "5 bytes"
    check(bench, engine, platform, [(a, b.replace("{LOCAL}", local)) for a, b in FORMS], RULES)


def names(bench, engine, platform):
    mapped = [("c mapped.test {s.echo}", DENIED)]  # asked for where there is IPv6, which takes a machine a while
    asked = check(bench, engine, platform, NAMES + mapped * (platform == "Linux"), NAME_RULES)
    if asked["flip.test", 1] != 2:
        raise base.Failed(f"flip.test was asked for {asked['flip.test', 1]} times by two connections")


def hostile(bench, engine, platform):
    check(bench, engine, platform, HOSTILE, RULES)


def dies(bench, engine, platform):
    """One that ends with connections open, and one beside it that floods: the third does not notice, and what they had
    is given back (the kernel compares)."""
    run, host = PLATFORMS[platform]
    with servers_for(platform) as s:
        wasm = build()
        result = run(bench, engine, s, [f"tcp:{host}:{s.echo}"], [
            "x", host, str(s.echo), "++", str(wasm), "f", "30", "++", str(wasm), "m", host, str(s.echo), "50"])
        if result.code or sorted(result.out.splitlines()) != sorted(
                [f"x {host}: open".encode(), b"f 30: lives", f"m {host}: 50".encode()]):
            raise base.Failed(f"exit code {result.code}\n{base.excerpt(result.out + result.err)}")


def greedy(bench, engine, platform):
    """One that wants everything for itself has half, as far as others leave that, and these get what they want meanwhile."""
    run, host = PLATFORMS[platform]
    with servers_for(platform) as s:
        wasm, port = str(build()), str(s.echo)
        hoards = ["b", "silent.test", "k", host, str(s.back), *(["h", host, port] * (platform != "Linux")), "a", "200"]
        others = ["r", "good.test", "c", host, port, "u", host, str(s.back), "s", "300"]
        result = run(bench, engine, s, ["dns:*.test", f"tcp:{host}:*", f"udp:{host}:*"],
                     [*hoards, "++", wasm, *others * 10])
        most = {"b": 32, "k": 32, "h": 128, "a": 100}
        for line in sorted(result.out.decode().splitlines()):
            what, _, got = line.split(" ", 2)
            got = got.split(" ")[0].rstrip(",") if what in most else got
            if what in most and not most[what] - 2 <= int(got) <= most[what]:
                raise base.Failed(f"{line}: not {most[what]}")
        wanted = [f"r good.test: {host}", f"c {host}: 5 bytes", f"u {host}: 5 bytes", "s 300: over"] * 10
        lines = [l for l in result.out.decode().splitlines() if l[0] not in most]
        if result.code or lines != wanted or len(result.out.splitlines()) != len(wanted) + 3 + (platform != "Linux"):
            raise base.Failed(f"exit code {result.code}\n{base.excerpt(result.out + result.err)}")


def nothing_is_allowed(bench, engine):
    for rule in (["tcp:1.2.3.4:1"], []):
        with servers_for("Linux") as s:
            out = on_linux(bench, engine, s, rule, ["c", "127.0.0.1", str(s.echo), "r", "good.test", "u", "127.0.0.1", str(s.back)])
            said = "access denied" if rule else "unavailable"
            out.check(0, f"c 127.0.0.1: {said}\nr good.test: {said}\nu 127.0.0.1: {said}\n".encode())


WRONG = ["", "tcp", "tcp:", "tcp:1.2.3.4", "tcp:1.2.3.4:", "tcp:1.2.3.4:65536", "tcp:1.2.3.4:9-8", "tcp:1.2.3.4/33:1",
         "tcp:1.2.3:1", "tcp:01.2.3.4:1", "tcp:[::1:1", "tcp:::1:1", "tcp:[::1]x:1", "tcp:[::1]/129:1", "tcp:a..b:1",
         "tcp:a@b:1", "udp:*.*.x:1", "icmp:1.2.3.4:1", "listen:tcp:name:80", "listen:dns:x", "dns:1.2.3.4", "tcp:%s:1" % ("a" * 600)]


def wrong_rules(bench, engine):
    for command, rule in [("run", rule) for rule in WRONG] + [("boot", WRONG[1])]:
        result = base.run([bench.program, command, "--engine", engine, "--allow-net", rule, build(), "f", "1"], limit=60)
        if result.code != 2 or result.out.startswith(b"f") or b"hint: " not in result.err:
            raise base.Failed(f"--allow-net '{rule}': exit code {result.code}\n{base.excerpt(result.out + result.err)}")


def host_names(bench, engine):
    """A machine asks whom its host asks, although that one is reached from the host only (127.0.0.1). Where names are as
    usual is known by a file and a port of the system, so this has a system of its own: mounts and a network."""
    own = ["unshare", "-mn"]
    if not shutil.which("unshare") or base.run([*own, "true"], limit=20).code:
        raise base.Unavailable("unshare -mn is not allowed")
    with tempfile.TemporaryDirectory(prefix="nebulet-names-") as folder:
        open(f"{folder}/resolv.conf", "w").write("nameserver 127.0.0.1\n")
        open(f"{folder}/names.py", "w").write(
            f"import sys; sys.path.insert(0, {str(base.ROOT / 'test')!r})\n"
            "import socket, subprocess, threading\nfrom suites import reach\n"
            "s = reach.Servers('1.2.3.4')\nn = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)\nn.bind(('127.0.0.1', 53))\n"
            "def serve():\n    while True:\n        s.on_dns(n, *n.recvfrom(4096))\n"
            "threading.Thread(target=serve, daemon=True).start()\nsys.exit(subprocess.call(sys.argv[1:]))\n")
        base.run([*own, "sh", "-c", f"ip link set lo up && mount --bind {folder}/resolv.conf /etc/resolv.conf && "
                  f"exec python3 {folder}/names.py {bench.program} boot --engine {engine} --allow-net dns:good.test {build()} r good.test"],
                 limit=LIMIT).check(0, b"r good.test: 1.2.3.4\n")


WRONG_SERVERS = ["", "x", "1.2.3.4:", "1.2.3.4:0", "1.2.3.4: 53", "1.2.3.4:53x", "1.2.3.4:65536", "[::1", "[::1]:x", "0.0.0.0"]


def wrong_servers(bench, engine):
    for server in WRONG_SERVERS:
        result = base.run([bench.program, "run", "--engine", engine, "--allow-net", "dns:*", "--dns", server, build(), "f", "1"], limit=60)
        if result.code != 2 or result.out.startswith(b"f"):
            raise base.Failed(f"--dns '{server}': exit code {result.code}\n{base.excerpt(result.out + result.err)}")


def by_dhcp(bench, engine, machine):
    """Address, gateway and name server are what QEMU says."""
    with servers_for("a machine") as s:
        out = by_init(bench, engine, f"--allow-net tcp:10.0.2.2:{s.echo} --allow-net dns:localhost",
                      f"c 10.0.2.2 {s.echo} r localhost", "user,id=n", machine=machine)
        if f"c 10.0.2.2: 5 bytes\nr localhost: 127.0.0.1\n".encode() not in out:
            raise base.Failed(base.excerpt(out))


def by_ipv6(bench, engine):
    """An address by router advertisements; the peer is ::1 here."""
    with servers_for("a machine") as s:
        out = by_init(bench, engine, f"--address 10.0.2.15/24 --allow-net tcp:[fec0::]/64:{s.echo6}",
                      f"s 4000 c fec0::2 {s.echo6} c fec0::2 {s.echo} c ::ffff:10.0.2.2 {s.echo}",
                      "user,id=n,ipv4=on,ipv6=on,ipv6-host=fec0::2,ipv6-prefix=fec0::,ipv6-prefixlen=64")
        if b"c fec0::2: 5 bytes\nc fec0::2: access denied\nc ::ffff:10.0.2.2: access denied\n" not in out:
            raise base.Failed(base.excerpt(out))


def examples(bench, engine):
    """sdk/examples/c, as their heads say (udpecho: a server of datagrams, below, does the same)."""
    def run(name, rule, *args):
        return base.run([bench.program, "run", "--engine", engine, "--dns", f"127.0.0.1:{s.dns}", "--allow-net", rule,
                         build(base.ROOT / f"sdk/examples/c/{name}.c"), *args], limit=60)

    def page(c):
        with c:
            while not c.recv(4096).endswith(b"\r\n\r\n"):
                pass
            c.sendall(b"HTTP/1.0 200 OK\r\n\r\na page\n")
    with servers_for("Linux") as s:
        port = s.tcp(page)
        run("fetch", f"tcp:good.test@127.0.0.1:{port}", "good.test", port).check(0, b"HTTP/1.0 200 OK\r\n\r\na page\n")
        run("fetch", f"tcp:good.test:{port}", "good.test", port).check(1)
        run("resolve", "dns:good.test", "good.test").check(0, b"127.0.0.1\n")
        build(base.ROOT / "sdk/examples/c/udpecho.c")


def udp_server(bench, engine):
    """A datagram to a program that listens, and back."""
    with servers_for("Linux") as s:
        port = drv.free_port()
        heard = []

        def send():
            with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as c:
                c.settimeout(0.2)
                while not heard:
                    c.sendto(b"x" * 1472, ("127.0.0.1", port))
                    with contextlib.suppress(OSError):
                        heard.append(c.recv(2000))
        thread = threading.Thread(target=send, daemon=True)
        thread.start()
        out = on_linux(bench, engine, s, [f"listen:udp:127.0.0.1:{port}"], ["e", "127.0.0.1", str(port)])
        thread.join(10)
        if heard != [b"x" * 1472]:
            raise base.Failed(base.excerpt(out.out + out.err))
        out.check(0, f"e at 127.0.0.1:{port}\ne 127.0.0.1: 1472 bytes\n".encode())


# --- A wire of ours: the machine answers to ping.

class Pinger(threading.Thread):
    """Asks for the machine's address (ARP), then for an echo (ICMP), until one comes."""
    US, THEM = socket.inet_aton("10.0.2.2"), socket.inet_aton("10.0.2.15")

    def __init__(self, here, there):
        super().__init__(daemon=True)
        self.there, self.back, self.over = there, None, False
        self.socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self.socket.bind(here)
        self.socket.settimeout(0.2)

    @staticmethod
    def sum(data):
        n = sum(struct.unpack(f">{len(data) // 2}H", data))
        n = (n & 0xffff) + (n >> 16)
        return struct.pack(">H", ~((n & 0xffff) + (n >> 16)) & 0xffff)

    def echo(self, mac):
        icmp = b"\x08\0\0\0\x12\x34\0\x01" + b"ping" * 10
        icmp = icmp[:2] + self.sum(icmp) + icmp[4:]
        ip = struct.pack(">BBHHHBBH", 0x45, 0, 20 + len(icmp), 1, 0, 64, 1, 0) + self.US + self.THEM
        return mac + drv.MAC + b"\x08\0" + ip[:10] + self.sum(ip) + ip[12:] + icmp

    def run(self):
        arp = b"\xff" * 6 + drv.MAC + b"\x08\x06\0\x01\x08\0\x06\x04\0\x01" + drv.MAC + self.US + b"\0" * 6 + self.THEM
        frame = arp.ljust(60, b"\0")
        while not self.over and not self.back:
            with contextlib.suppress(OSError):
                self.socket.sendto(frame, self.there)
            with contextlib.suppress(TimeoutError):
                got = self.socket.recv(2000)
                if got[12:14] == b"\x08\x06" and got[20:22] == b"\0\x02":
                    frame = self.echo(got[6:12])
                elif got[12:14] == b"\x08\0" and got[23] == 1 and got[34] == 0:
                    self.back = got[42:82]


def ping(bench, engine):
    with tempfile.TemporaryDirectory(prefix="nebulet-ping-") as scratch:
        here, there = f"{scratch}/here", f"{scratch}/there"
        pinger = Pinger(here, there)
        pinger.start()
        by_init(bench, engine, "--address 10.0.2.15/24 --allow-net dns:x", "s 4000",
                f"dgram,id=n,local.type=unix,local.path={there},remote.type=unix,remote.path={here}")
        pinger.over = True
        pinger.join(5)
        if pinger.back != b"ping" * 10:
            raise base.Failed("no answer to ping")


def cases(bench):
    broken = sdk.build()
    if broken:
        raise base.Unavailable(broken)
    machine = shutil.which(boot.QEMU[0]) and (base.ROOT / "build/svc/net.wasm").exists()
    for engine in bench.engines:
        for platform in PLATFORMS if machine else ["Linux"]:
            for name, run in (("connections, datagrams", connections), ("forms of addresses", forms),
                              ("names, and who lies about them", names), ("clients that are hostile", hostile),
                              ("one that wants everything", greedy), ("programs that end with connections open", dies)):
                yield base.Case(f"{name}, {platform}", engine, lambda r=run, e=engine, p=platform: r(bench, e, p))
        yield base.Case("nothing is allowed", engine, lambda e=engine: nothing_is_allowed(bench, e))
        yield base.Case("rules that are none", engine, lambda e=engine: wrong_rules(bench, e))
        yield base.Case("name servers that are none", engine, lambda e=engine: wrong_servers(bench, e))
        yield base.Case("examples", engine, lambda e=engine: examples(bench, e))
        yield base.Case("a server of datagrams", engine, lambda e=engine: udp_server(bench, e))
        if machine:
            yield base.Case("names by the host's server", engine, lambda e=engine: host_names(bench, e))
            for kind in drv.BUSES:
                yield base.Case(f"an address by DHCP, {kind}", engine, lambda e=engine, m=kind: by_dhcp(bench, e, m))
            yield base.Case("IPv6, by router advertisements", engine, lambda e=engine: by_ipv6(bench, e))
            yield base.Case("ping", engine, lambda e=engine: ping(bench, e))
