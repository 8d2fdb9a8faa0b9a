# SPDX-License-Identifier: MIT
"""`nebulet serve` (user/svc/http): requests as bytes, and the answers to them.

test/serve/*.http are exchanges: what is sent, and what must come back, both as bytes, each on a connection of
its own. Each is tried as it is, cut after every byte, and all of them behind each other where the connection
stays. What handlers do is in test/serve/handler.c. Nothing depends on how long something takes.
"""
import array
import contextlib
import fcntl
import json
import os
import re
import shutil
import signal
import socket
import subprocess
import tempfile
import termios
import threading
import time
import pathlib
import urllib.parse

from . import base, boot, drv, guest, net, reach, sdk

SOURCES = base.ROOT / "test/serve"
BUILT = base.ROOT / "build/test-serve"
PAGE = b"0123456789abcdefghijklmnopqrstuvwxyz"


SIP = ["clang-22", f"--config={base.ROOT}/build/sdk/nebulet.cfg", "-std=gnu11", "-O2", "-Wall", "-Wextra"]


def build(name, compiler=guest.CLANG):
    source, wasm = SOURCES / f"{name}.c", BUILT / f"{name}.wasm"
    BUILT.mkdir(parents=True, exist_ok=True)
    if not wasm.exists() or wasm.stat().st_mtime < source.stat().st_mtime:
        with tempfile.TemporaryDirectory(dir=BUILT) as part:  # its name is in the module
            base.run([*compiler, source, "-o", f"{part}/{name}.wasm"], limit=120).check()
            os.rename(f"{part}/{name}.wasm", wasm)
    return wasm


def serve(bench, engine, *options, listeners=1):
    """Its limits of time are far beyond what anything takes, for the machine may be busy; the last one counts."""
    patient = ["--max-time", "900", "--max-cpu", "300", "--idle", "900"]
    return net.serving([bench.program, "serve", "--engine", engine, "--listen", "127.0.0.1:0", *patient, *options],
                       listeners)


def again(attempt):
    """For where a server has a right to be impatient: once more, when we were too slow for it."""
    for _ in range(50):
        try:
            return attempt()
        except (base.Failed, OSError):
            pass
    return attempt()


def wait_for(what, true):
    """What must come."""
    end = time.monotonic() + net.LIMIT
    while not true():
        if time.monotonic() > end:
            raise base.Failed(f"{what}: not within {net.LIMIT} s")
        time.sleep(0.02)


def handler(bench, engine, *options, **how):
    return serve(bench, engine, *options, "--env", "SECRET=of the server", build("handler"), **how)


class Answer:
    def __init__(self, file, head_only=False):
        line = file.readline()
        if not line:
            raise base.Failed("the connection ended without an answer")
        self.status = int(line.split()[1])
        self.fields = {}
        while (line := file.readline()) not in (b"\r\n", b""):
            name, _, value = line.partition(b":")
            name = name.decode().lower()
            if name in self.fields:
                raise base.Failed(f"{name} is there twice")
            self.fields[name] = value.strip().decode("latin-1")
        if not line:
            raise base.Failed("a head does not end")
        if self.status == 100:
            self.__init__(file, head_only)
            return
        self.body = b""
        if head_only or self.status in (204, 304):
            return
        if self.fields.get("transfer-encoding") == "chunked":
            while size := int(file.readline(), 16):
                self.body += file.read(size)
                if file.read(2) != b"\r\n":
                    raise base.Failed("a chunk does not end")
            if file.readline() != b"\r\n":
                raise base.Failed("the body does not end")
        elif "content-length" in self.fields:
            self.body = file.read(int(self.fields["content-length"]))
            if len(self.body) != int(self.fields["content-length"]):
                raise base.Failed("the body is too short")
        else:
            self.body = file.read()


class Client:
    def __init__(self, server, number=0):
        self.socket = net.connect(server.addresses[number])
        self.file = self.socket.makefile("rb")

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.file.close()
        self.socket.close()

    def send(self, data):
        self.socket.sendall(data)

    def answer(self, head_only=False):
        return Answer(self.file, head_only)

    def ask(self, method, path, fields="", body=b""):
        length = f"Content-Length: {len(body)}\r\n" if body else ""
        self.send(f"{method} {path} HTTP/1.1\r\nHost: test\r\n{fields}{length}\r\n".encode() + body)
        return self.answer(method == "HEAD")

    def get(self, path, fields=""):
        return self.ask("GET", path, fields)


def expect(what, got, wanted):
    if got != wanted:
        raise base.Failed(f"{what}: {got!r}, not {wanted!r}")


# --- The corpus: blocks of a title, the bytes that are sent (">" lines; \r\n, \x00 and the like as in Python), and
# statuses that come back in order; "close" or "open" says whether the connection stays. "=" lines are the bodies of
# the answers, "~" lines fields that the last one has.

class Exchange:
    def __init__(self, file, lines):
        def of(mark):
            return [line[2:] for line in lines if line[:2] == mark]

        def unescape(text):
            text = re.sub(r"\{(.)\*(\d+)\}", lambda m: m[1] * int(m[2]), text)
            return text.encode("latin-1").decode("unicode_escape").encode("latin-1")

        self.title = f"{file.stem}: {lines[0]}"
        self.sent = unescape("".join(of("> ")))
        *statuses, self.then = of("< ")[0].split()
        self.statuses = [int(status) for status in statuses]
        self.bodies = [unescape(body) for body in of("= ")]
        self.fields = [field.split(": ", 1) for field in of("~ ")]
        self.head_only = self.sent.startswith(b"HEAD ")

    def check(self, answers):
        """What answers there are; of the bodies only those that are named."""
        expect(self.title, [a.status for a in answers], self.statuses)
        expect(f"{self.title}: bodies", [a.body for a in answers][:len(self.bodies)], self.bodies)
        for name, value in self.fields:
            expect(f"{self.title}: {name}", answers[-1].fields.get(name.lower()), value)


def exchanges():
    for file in sorted(SOURCES.glob("*.http")):
        for block in file.read_text().split("\n\n"):
            lines = [line for line in block.splitlines() if line and not line.startswith("#")]
            if lines:
                yield Exchange(file, lines)


def corpus_server(bench, engine):
    """Handlers and, below /www, files, whose tags are known."""
    scratch, root = folder()
    os.utime(root / "page.txt", (1700000000, 1700000000))
    return scratch, handler(bench, engine, "--files", f"/www={root}")


def run_exchange(server, x, pieces):
    with Client(server) as client:
        for piece in pieces:
            try:
                client.send(piece)
            except OSError:
                break  # it was refused already
        if x.then == "close":
            try:
                client.socket.shutdown(socket.SHUT_WR)
            except OSError:
                pass
        answers = []
        try:
            while len(answers) < len(x.statuses):
                answers.append(client.answer(x.head_only))
        except (base.Failed, OSError) as why:
            raise base.Failed(f"{x.title}: {why} after {[a.status for a in answers]}") from None
        x.check(answers)
        if x.then == "open":
            expect(f"{x.title}: afterwards", client.get("/plain").body, b"plain\n")
        else:
            try:
                expect(f"{x.title}: at the end", client.file.read(), b"")
            except OSError:
                pass


def corpus(bench, engine):
    counts = base.Counts()
    scratch, serving = corpus_server(bench, engine)
    with scratch, serving as server:
        for x in exchanges():
            run_exchange(server, x, [x.sent])
            counts.passed += 1
    return counts


def split(bench, engine):
    """Each is cut after every byte, or, if it is long, after some."""
    counts = base.Counts()
    scratch, serving = corpus_server(bench, engine)
    with scratch, serving as server:
        for x in exchanges():
            step = max(1, len(x.sent) // 40)
            for at in range(1, len(x.sent), step):
                try:
                    run_exchange(server, x, [x.sent[:at], x.sent[at:]])
                except base.Failed as why:
                    raise base.Failed(f"cut at {at}: {why}") from None
                counts.passed += 1
    return counts


def pipelined(bench, engine):
    """All that leave the connection as it was, behind each other in one go, and byte by byte."""
    stay = [x for x in exchanges() if x.then == "open" and not x.head_only]
    data = b"".join(x.sent for x in stay)
    scratch, serving = corpus_server(bench, engine)
    with scratch, serving as server:
        for pieces in [data], [data[i:i + 1] for i in range(len(data))]:
            with Client(server) as client:
                client.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
                sender = threading.Thread(target=lambda p=pieces, c=client: [c.send(x) for x in p])
                sender.start()
                for x in stay:
                    x.check([client.answer() for _ in x.statuses])
                sender.join()


# --- Handlers

def environment(bench, engine):
    with handler(bench, engine) as server, Client(server) as client:
        answer = client.ask("POST", "/env/a%20b/../c?x=%31&y", "X-Two: 1\r\nX-Two: 2\r\nProxy: evil\r\nA_B: c\r\n"
                                                               "Cookie: a=1\r\nCookie: b=2\r\n"
                                                               "Content-Type: text/x\r\n", b"body")
        got = dict(line.split("=", 1) for line in answer.body.decode().splitlines())
        wanted = {"GATEWAY_INTERFACE": "CGI/1.1", "REQUEST_METHOD": "POST", "PATH_INFO": "/env/c",
                  "QUERY_STRING": "x=%31&y", "HTTP_X_TWO": "1, 2", "HTTP_COOKIE": "a=1; b=2",
                  "CONTENT_LENGTH": "4", "CONTENT_TYPE": "text/x", "SERVER_NAME": "test", "SERVER_PORT": "80",
                  "REMOTE_ADDR": "127.0.0.1", "HTTP_HOST": "test", "SECRET": "of the server", "SCRIPT_NAME": "",
                  "REQUEST_URI": "/env/a%20b/../c?x=%31&y", "SERVER_PROTOCOL": "HTTP/1.1",
                  "SERVER_SOFTWARE": "nebulet", "REMOTE_PORT": str(client.socket.getsockname()[1])}
        expect("the environment", got, wanted)


def same_lines(bench, engine):
    """Heads whose fields are those of the one before, those of another connection's, and others."""
    def told(client, target, lines):
        client.send(f"GET /env/{target} HTTP/1.1\r\n{lines}\r\n".encode())
        return dict(line.split("=", 1) for line in client.answer().body.decode().splitlines())

    one, two, longer = "Host: one:81\r\nX-A: 1\r\n", "Host: two:82\r\nX-A: 2\r\n", "Host: one:81\r\nX-A: 1\r\nX-B: 3\r\n"
    with handler(bench, engine) as server, Client(server) as client, Client(server) as other:
        for who, target, lines in [(client, "a", one), (client, "b?c", one), (client, "d", two), (other, "e", two),
                                   (client, "f", one), (other, "g", one), (client, "h", longer), (client, "i", one),
                                   (other, "j", longer), (other, "", longer), (client, "a", one)]:
            path, _, query = target.partition("?")
            got = told(who, target, lines)
            expect(f"{target} of {lines!r}", [got.get(name) for name in (
                "PATH_INFO", "QUERY_STRING", "SERVER_NAME", "SERVER_PORT", "HTTP_HOST", "HTTP_X_A", "HTTP_X_B", "REMOTE_PORT")],
                ["/env/" + path, query, *lines[6:12].split(":"), lines[6:12], lines[19], "3" if "X-B" in lines else None,
                 str(who.socket.getsockname()[1])])


def bodies(bench, engine):
    """Small ones, what a stream does not hold, in chunks, and what nobody reads."""
    with handler(bench, engine, "--max-body", "8M") as server, Client(server) as client:
        for size in 0, 1, 1000, 65535, 65536, 65537, 200000, 3000000:
            data = bytes(i * 7 % 251 for i in range(1000)) * (size // 1000) + b"x" * (size % 1000)
            sender = threading.Thread(target=lambda d=data, n=size: client.send(
                b"POST /echo HTTP/1.1\r\nHost: test\r\nContent-Length: %d\r\n\r\n" % n + d))
            sender.start()
            answer = client.answer()
            sender.join()
            expect(f"{size} bytes", (answer.status, answer.body == data), (200, True))
        chunks = b"".join(b"%x;a=b\r\n" % n + b"y" * n + b"\r\n" for n in [1, 10, 70000, 3])
        sender = threading.Thread(target=lambda: client.send(
            b"POST /echo HTTP/1.1\r\nHost: test\r\nTransfer-Encoding: chunked\r\n\r\n" + chunks +
            b"0\r\nTrailer: x\r\n\r\n"))
        sender.start()
        expect("chunks", client.answer().body, b"y" * 70014)
        sender.join()
        expect("what is not read", client.ask("POST", "/plain", "", b"z" * 30000).body, b"plain\n")
        expect("afterwards", client.get("/plain").body, b"plain\n")
    with handler(bench, engine, "--max-body", "1000") as server:
        with Client(server) as client:
            expect("too long", client.ask("POST", "/echo", "", b"x" * 1001).status, 413)
        with Client(server) as client:
            client.send(b"POST /echo HTTP/1.1\r\nHost: test\r\nTransfer-Encoding: chunked\r\n\r\n" +
                        b"100\r\n" + b"x" * 256 + b"\r\n" + b"400\r\n")
            client.send(b"x" * 1024)
            expect("chunks that are too long", client.answer().status, 413)


def continues(bench, engine):
    """Expect: 100-continue is answered when somebody wants the body, and not before."""
    with handler(bench, engine) as server, Client(server) as client:
        client.send(b"POST /echo HTTP/1.1\r\nHost: test\r\nExpect: 100-continue\r\nContent-Length: 4\r\n\r\n")
        expect("interim", client.file.readline() + client.file.readline(), b"HTTP/1.1 100 Continue\r\n\r\n")
        client.send(b"body")
        expect("the answer", client.answer().body, b"body")


def long_answers(bench, engine):
    with handler(bench, engine) as server, Client(server) as client:
        for size in 16000, 17000, 100000, 1000000:
            answer = client.get(f"/long?{size}")
            expect(f"{size} bytes", (len(answer.body), set(answer.body)), (size, {ord("l")}))
        client.send(b"GET /long?100000 HTTP/1.0\r\n\r\n")
        answer = client.answer()
        expect("HTTP/1.0", (len(answer.body), answer.fields.get("transfer-encoding")), (100000, None))


def faults(bench, engine):
    """Handlers that trap, loop, take all memory, write nonsense: the client is told, others do not notice."""
    wanted = {"/trap": 500, "/exit": 200, "/nothing": 500, "/nonsense": 500, "/injects": 500, "/memory": 500,
              "/endless-head": 500, "/half": 500, "/loop": 504, "/missing": 404, "/moved": 302, "/status?204": 204,
              "/stack": 500}
    with handler(bench, engine, "--max-cpu", "5", "--max-memory", "16M") as server, Client(server) as other:
        for path, status in wanted.items():
            with Client(server) as client:
                expect(path, client.get(path).status, status)
            expect(f"another after {path}", other.get("/plain").body, b"plain\n")
        with Client(server) as client:  # what had been begun cannot be called wrong any more: it is cut
            client.send(b"GET /long-trap HTTP/1.1\r\nHost: test\r\n\r\n")
            try:
                client.answer()
            except (base.Failed, ValueError):
                pass
            else:
                raise base.Failed("half an answer looks like a whole one")
        expect("another at the end", other.get("/plain").body, b"plain\n")
        server.process.send_signal(signal.SIGTERM)
        told = server.finish(0)
        for text in (b"nebulet: handler.wasm: wasm trap: unreachable\n  it gave up", b"handler.wasm: to the log",
                     b"handler.wasm: GET /trap: trap: unreachable", b"its head does not end"):
            if text not in told.err:
                raise base.Failed(f"stderr does not say {text!r}:\n{base.excerpt(told.err, 60)}")


def isolated(bench, engine):
    """No request sees what another has left: memory, environment, descriptors."""
    with handler(bench, engine, "--max-processes", "1") as server, Client(server) as client:
        for i in range(20):
            fields = f"X-Mine: {i}\r\nX-{i}: yes\r\n"
            answer = client.get("/mark", fields)
            expect("marks", answer.body, b"fresh, 1 field, descriptors 0 1 2\n")


def many(bench, engine):
    """More requests at once than handlers may run: they wait in line, and all are answered; none when the line is
    short."""
    with handler(bench, engine, "--max-processes", "4", "--queue", "200") as server:
        clients = [Client(server) for _ in range(100)]
        for i, c in enumerate(clients):
            c.send(b"GET /env/%d HTTP/1.1\r\nHost: test\r\n\r\n" % i)
        for i, c in enumerate(clients):
            answer = c.answer()
            if b"PATH_INFO=/env/%d\n" % i not in answer.body:
                raise base.Failed(f"{i}: {answer.status} {answer.body!r}")
            c.__exit__()
    with handler(bench, engine, "--max-processes", "1", "--queue", "1") as server:
        clients = [Client(server) for _ in range(3)]
        clients[0].send(b"GET /waits HTTP/1.1\r\nHost: test\r\n\r\n")
        expect("it begins", clients[0].file.readline(), b"HTTP/1.1 200 OK\r\n")
        for c in clients[1:]:
            c.send(b"GET /plain HTTP/1.1\r\nHost: test\r\n\r\n")
        refused = None
        for c in clients[1:]:  # one of them stands in line
            c.socket.settimeout(0.2)
        while refused is None:
            for c in clients[1:]:
                try:
                    if c.socket.recv(1, socket.MSG_PEEK):
                        refused = c
                        break
                except TimeoutError:
                    pass
        refused.socket.settimeout(net.LIMIT)
        answer = refused.answer()
        expect("refused", (answer.status, answer.fields.get("retry-after")), (503, "1"))


def slow(bench, engine):
    """Clients that say little and take nothing hold only their connection."""
    with handler(bench, engine, "--max-processes", "2") as server:
        idle = [Client(server) for _ in range(200)]
        for c in idle[:100]:
            c.send(b"GET /plain HTTP/1.1\r\nHo")
        for c in idle[100:150]:
            c.send(b"POST /echo HTTP/1.1\r\nHost: test\r\nContent-Length: 1000\r\n\r\nhalf")
        with Client(server) as client:
            for _ in range(50):
                expect("another", client.get("/plain").body, b"plain\n")
        for c in idle[:100]:
            c.send(b"st: test\r\n\r\n")
            expect("a slow one", c.answer().body, b"plain\n")
        for c in idle[100:150]:
            c.send(b"x" * 996)
            expect("a slow body", c.answer().body, b"half" + b"x" * 996)


def slots(bench, engine):
    """A slot is free when its handler is over, however little the client takes of the answer: of one that was kept as
    a whole, and of one whose rest lies in a stream."""
    with handler(bench, engine, "--max-processes", "1") as server:
        for size in 16000, 81000, 80000, 75000:
            with Client(server) as lazy, Client(server) as client:
                lazy.socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
                lazy.send(b"GET /long?%d HTTP/1.1\r\nHost: test\r\n\r\n" % size * 500)
                for _ in range(20):
                    expect(f"beside {size} bytes", client.get("/plain").body, b"plain\n")
                while True:  # until it is stuck: then nothing goes out to it any more
                    before = sent_to(lazy)
                    expect("another", client.get("/plain").body, b"plain\n")
                    threading.Event().wait(0.05)
                    if sent_to(lazy) == before > 0:
                        break
                expect("while it is stuck", client.get("/plain").body, b"plain\n")


def sent_to(client):
    """Bytes that lie in the socket, and are not taken."""
    return len(client.socket.recv(1 << 20, socket.MSG_PEEK))


def drips(bench, engine):
    """A handler that stays has its time for the whole of a request, however often the client sends a byte."""
    with serve(bench, engine, "--max-time", "0.5", "--max-processes", "1", "--stream", build("resident", SIP)) as server:
        with Client(server) as client:
            client.send(b"POST /keeps HTTP/1.1\r\nHost: a\r\nContent-Length: 1000000\r\n\r\n" + b"x" * 60000)
            over = threading.Event()

            def drip():
                try:
                    while not over.wait(0.02):
                        client.send(b"x")
                except OSError:
                    pass
            sender = threading.Thread(target=drip)
            sender.start()
            try:
                expect("a slow body", client.answer().status, 504)
            finally:
                over.set()
                sender.join()
        with Client(server) as client:
            again(lambda: expect("another", client.get("/a").status, 200))


def reload(server, line=b"http: reloaded\n", times=1):
    """Until it has said so."""
    before = server.written(server.err).count(line)

    def told():
        if server.process.poll() is not None:
            raise base.Failed("it ended")
        return server.written(server.err).count(line) >= before + times
    server.process.send_signal(signal.SIGHUP)
    wait_for("reload", told)


def reloads(bench, engine):
    """SIGHUP: new requests get what is there now, also on connections that were there; what was begun ends as it
    began; what is broken changes nothing; and nothing is left of what was."""
    def memory(server):
        return int(re.search(r"RssAnon:\s*(\d+)", pathlib.Path(f"/proc/{server.process.pid}/status").read_text())[1])

    with tempfile.TemporaryDirectory(prefix="nebulet-serve-") as scratch:
        module, stays = pathlib.Path(scratch, "a.wasm"), pathlib.Path(scratch, "b.wasm")
        shutil.copy(build("handler"), module)
        shutil.copy(build("resident", SIP), stays)
        with serve(bench, engine, "--metrics", "127.0.0.1:0", "--stream", f"/stays={stays}", module, listeners=2) as server, \
                Client(server) as client, Client(server) as busy, Client(server, 1) as watcher:
            expect("at first", client.get("/plain").body, b"plain\n")
            expect("its count", client.get("/stays/a").body, b"1 /a -\n")
            expect("its count", client.get("/stays/a").body, b"2 /a -\n")
            busy.send(b"POST /echo HTTP/1.1\r\nHost: test\r\nContent-Length: 200000\r\n\r\n" + b"x" * 100000)
            expect("it begins", busy.file.readline(), b"HTTP/1.1 200 OK\r\n")
            shutil.copy(build("other"), module)
            reload(server)
            expect("the new one", client.get("/plain").body, b"other  /plain\n")
            expect("one that stays begins anew", client.get("/stays/a").body, b"1 /a -\n")
            busy.send(b"x" * 100000)
            while busy.file.readline() not in (b"\r\n", b""):
                pass
            body = b""
            while size := int(busy.file.readline(), 16):
                body += busy.file.read(size)
                busy.file.readline()
            busy.file.readline()
            expect("what was begun", (len(body), set(body)), (200000, {ord("x")}))
            expect("on the same connection", busy.get("/plain").body, b"other  /plain\n")
            module.write_bytes(b"\0asm\1\0\0\0")
            reload(server, b"nebulet: reload: what was served is served on\n")
            module.write_bytes(b"nonsense")
            reload(server, b"nebulet: reload: what was served is served on\n")
            expect("as before", client.get("/plain").body, b"other  /plain\n")
            text = watcher.get("/metrics").body.decode()
            if 'nebulet_route_requests_total{path="/"} 5\n' not in text:
                raise base.Failed(f"counts do not go on:\n{text}")
            shutil.copy(build("handler"), module)
            over, answers = threading.Event(), []

            def ask():
                with Client(server) as one:
                    while not over.is_set():
                        answers.append(one.get("/plain").body)
                        answers.append(one.get("/stays/a").status)
            askers = [threading.Thread(target=ask) for _ in range(4)]
            for asker in askers:
                asker.start()
            try:
                for i in range(40):
                    reload(server)
                    if i == 10:
                        before = memory(server)
                after = memory(server)
            finally:
                over.set()
                for asker in askers:
                    asker.join()
            expect("all answers meanwhile", set(answers) - {b"other  /plain\n"}, {b"plain\n", 200})
            if after - before > 8 << 10:
                raise base.Failed(f"30 reloads have left {after - before} KiB")
            server.process.send_signal(signal.SIGTERM)
            server.finish(0)


def timeouts(bench, engine):
    def one(server, what, sent, status):
        with Client(server) as client:
            client.send(sent)
            expect(what, client.answer().status, status)

    def takes_nothing(server):
        with Client(server) as client:
            client.socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
            client.send(b"GET /endless HTTP/1.1\r\nHost: test\r\n\r\n")
            expect("it begins", client.file.readline(), b"HTTP/1.1 200 OK\r\n")
            while b"the client is gone" not in server.written(server.err):
                threading.Event().wait(0.1)

    with handler(bench, engine, "--idle", "0.5") as server:
        with Client(server) as client:
            expect("who says nothing", client.file.read(), b"")
        again(lambda: one(server, "half a head", b"GET / HTTP/1.1\r\n", 408))
        again(lambda: one(server, "half a body",
                          b"POST /echo HTTP/1.1\r\nHost: test\r\nContent-Length: 9\r\n\r\nhalf", 408))
        again(lambda: takes_nothing(server))
        again(lambda: one(server, "another", b"GET /plain HTTP/1.1\r\nHost: test\r\n\r\n", 200))


def ends(bench, engine):
    """SIGTERM: what was begun is answered, what idles is closed, nobody new comes."""
    with handler(bench, engine) as server:
        idle, busy = Client(server), Client(server)
        expect("an answer", idle.get("/plain").body, b"plain\n")
        busy.send(b"POST /echo HTTP/1.1\r\nHost: test\r\nContent-Length: 200000\r\n\r\n" + b"x" * 100000)
        expect("it begins", busy.file.readline(), b"HTTP/1.1 200 OK\r\n")
        server.process.send_signal(signal.SIGTERM)
        expect("the idle one", idle.file.read(), b"")
        busy.send(b"x" * 100000)
        while busy.file.readline() not in (b"\r\n", b""):
            pass
        body = busy.file.read()
        if body.count(b"x") != 200000 or not body.endswith(b"\r\n0\r\n\r\n"):
            raise base.Failed(f"the rest is {len(body)} bytes")
        server.finish(0)
    with handler(bench, engine, "--grace", "0.1") as server, Client(server) as client:
        client.send(b"GET /loop HTTP/1.1\r\nHost: test\r\n\r\n")
        before = used(server)
        wait_for("it runs", lambda: used(server) > before + 0.1)
        server.process.send_signal(signal.SIGTERM)
        server.finish(1)  # who is not over then is killed


def stuck_reload(bench, engine):
    """A reload that has something to say, which nobody takes: the end does not wait for it."""
    with tempfile.TemporaryDirectory() as scratch:
        module = pathlib.Path(scratch, "handler.wasm")
        shutil.copy(build("handler"), module)
        server = subprocess.Popen([bench.program, "serve", "--engine", engine, "--listen", "127.0.0.1:0", module],
                                  stdout=subprocess.DEVNULL, stderr=subprocess.PIPE)
        try:
            server.stderr.readline()
            fill = os.open(f"/proc/{server.pid}/fd/2", os.O_WRONLY | os.O_NONBLOCK)
            with contextlib.suppress(BlockingIOError):
                while os.write(fill, bytes(4096)):
                    pass
            module.write_bytes(b"no module")
            server.send_signal(signal.SIGHUP)
            wait_for("it waits", lambda: "1" in calls_of(server.pid))
            server.send_signal(signal.SIGTERM)
            expect("exit code", server.wait(net.LIMIT), 0)
            os.close(fill)
        finally:
            server.kill()
            server.wait()
            server.stderr.close()


def calls_of(pid):
    """The numbers of the calls that its threads are in: 1 is write."""
    found = []
    for task in os.listdir(f"/proc/{pid}/task"):
        with contextlib.suppress(OSError):
            found.append(pathlib.Path(f"/proc/{pid}/task/{task}/syscall").read_text().split()[0])
    return found


def used(server):
    """Seconds of processors."""
    fields = pathlib.Path(f"/proc/{server.process.pid}/stat").read_text().rsplit(")", 1)[1].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def pool(bench, engine):
    """What requests took that were there at once goes back."""
    def anonymous():
        return int(re.search(r"RssAnon:\s*(\d+)", pathlib.Path(f"/proc/{server.process.pid}/status").read_text())[1])

    body, count = b"x" * 40000, 500
    with handler(bench, engine) as server:
        clients = [Client(server) for _ in range(count)]
        for client in clients:
            expect("an answer", client.get("/plain").status, 200)
        least = anonymous()
        for client in clients:
            client.send(b"POST /echo HTTP/1.1\r\nHost: test\r\nX-Long: " + b"y" * 8000 +
                        b"\r\nContent-Length: %d\r\n\r\n" % len(body) + body[1:])
        wait_for("all are there", lambda: anonymous() - least > count * 30)
        most = 0
        while most < anonymous():
            most = anonymous()
            time.sleep(0.5)
        for client in clients:
            client.send(b"x")
            expect("its answer", client.answer().body, body)
        wait_for("it has gone back", lambda: anonymous() - least < (most - least) * 0.65)  # 0.45: a few stay
        for client in clients:
            expect("and is used again", client.get("/plain").status, 200)
            client.__exit__()
        server.process.send_signal(signal.SIGTERM)
        server.finish(0)


# --- Files

def folder():
    scratch = tempfile.TemporaryDirectory(prefix="nebulet-serve-")
    root = pathlib.Path(scratch.name, "www")
    (root / "sub/deep").mkdir(parents=True)
    (root / "index.html").write_text("<p>index")
    (root / "sub/index.html").write_text("<p>sub")
    (root / "page.txt").write_bytes(PAGE)
    (root / "empty").write_bytes(b"")
    (root / "large.bin").write_bytes(bytes(i % 256 for i in range(1000000)))
    (root / ".hidden").write_text("secret")
    (root / "a b").write_text("space")
    os.symlink("/etc/passwd", root / "out")
    os.symlink("page.txt", root / "in")
    os.mkfifo(root / "fifo")
    (root.parent / "secret").write_text("secret")
    return scratch, root


def files(bench, engine):
    scratch, root = folder()
    with scratch, serve(bench, engine, "--files", f"/={root}") as server, Client(server) as client:
        page = client.get("/page.txt")
        expect("a page", (page.status, page.body, page.fields["content-type"]),
               (200, PAGE, "text/plain; charset=utf-8"))
        tag, time = page.fields["etag"], page.fields["last-modified"]
        for path, body in {"/": b"<p>index", "/sub/": b"<p>sub", "/a%20b": b"space", "/in": PAGE, "/empty": b"",
                           "/sub/../page.txt": PAGE, "//page.txt": PAGE, "/./page.txt?x": PAGE}.items():
            expect(path, client.get(path).body, body)
        for path, status in {"/sub": 301, "/sub/deep/": 404, "/nothing": 404, "/out": 403, "/.hidden": 404,
                             "/%2e%2e/secret": 400, "/../secret": 400, "/sub/..%2f..%2fsecret": 400,
                             "/page.txt%00": 400, "/page.txt/": 404, "/page.txt/x": 404, "/fifo": 404,
                             "/" + "x" * 300: 404, "/%": 400, "/sub/%2ehidden": 404}.items():
            expect(path, client.get(path).status, status)
        expect("redirected", client.get("/sub?q").fields["location"], "/sub/?q")
        for method, status in {"POST": 405, "DELETE": 405, "HEAD": 200}.items():
            expect(method, client.ask(method, "/page.txt").status, status)
        expect("HEAD", client.ask("HEAD", "/page.txt").fields["content-length"], str(len(PAGE)))
        for fields, status in {f"If-None-Match: {tag}\r\n": 304, "If-None-Match: \"x\"\r\n": 200,
                               f"If-None-Match: \"x\", {tag}\r\n": 304, "If-None-Match: *\r\n": 304,
                               f"If-Modified-Since: {time}\r\n": 304,
                               "If-Modified-Since: Thu, 01 Jan 1970 00:00:00 GMT\r\n": 200,
                               "If-Modified-Since: nonsense\r\n": 200}.items():
            expect(fields, client.get("/page.txt", fields).status, status)
        n = len(PAGE)
        for value, wanted in {"0-0": (206, PAGE[:1]), "2-5": (206, PAGE[2:6]), "30-": (206, PAGE[30:]),
                              "-4": (206, PAGE[-4:]), "-999": (206, PAGE), "5-999": (206, PAGE[5:]),
                              f"{n}-": (416, b""), "-0": (416, b""), "5-2": (200, PAGE), "x": (200, PAGE),
                              "0-1,3-4": (200, PAGE), "-": (200, PAGE), "99999999999999999999-": (200, PAGE)}.items():
            answer = client.get("/page.txt", f"Range: bytes={value}\r\n")
            expect(value, (answer.status, answer.body), wanted)
        expect("If-Range", client.get("/page.txt", f"Range: bytes=0-1\r\nIf-Range: {tag}\r\n").status, 206)
        expect("If-Range", client.get("/page.txt", "Range: bytes=0-1\r\nIf-Range: \"x\"\r\n").status, 200)
        large = (root / "large.bin").read_bytes()
        expect("a large one", client.get("/large.bin").body == large, True)
        expect("of it", client.get("/large.bin", "Range: bytes=300000-799999\r\n").body == large[300000:800000], True)


def kept(bench, engine):
    """Small files are opened once a second, and what is new is seen then."""
    scratch, root = folder()
    with scratch, serve(bench, engine, "--trace", "--files", f"/={root}") as server, Client(server) as client:
        for _ in range(100):
            expect("a page", client.get("/page.txt").body, PAGE)
        opened = server.written(server.err).count(b"path_open")
        if not 0 < opened < 50:
            raise base.Failed(f"opened {opened} times")
        (root / "page.txt").write_bytes(b"another")
        while (answer := client.get("/page.txt")).body == PAGE:
            threading.Event().wait(0.05)
        expect("what is new", (answer.body, answer.fields["content-length"]), (b"another", "7"))
        (root / "page.txt").unlink()
        while (answer := client.get("/page.txt")).status == 200:
            threading.Event().wait(0.05)
        expect("what is gone", answer.status, 404)
        for i in range(300):  # more than are kept, some of which take each other's place
            (root / f"{i}.txt").write_text(f"file {i}")
        for turn in range(3):
            for i in range(300):
                expect("each", client.get(f"/{i}.txt").body, b"file %d" % i)


def routes(bench, engine):
    """The longest path that fits counts, and by whole names."""
    scratch, root = folder()
    with scratch, serve(bench, engine, "--files", f"/={root}", "--route", f"/api={build('handler')}", "--route",
                        f"/api/v2={build('other')}") as server, Client(server) as client:
        expect("files", client.get("/page.txt").body, PAGE)
        expect("a route", client.get("/api/plain").body, b"plain\n")
        expect("a longer one", client.get("/api/v2/plain").body, b"other /api/v2 /plain\n")
        expect("itself", client.get("/api/v2").body, b"other /api/v2 \n")
        expect("not by halves", client.get("/apis/plain").status, 404)
        expect("decoded first", client.get("/%61pi/plain").body, b"plain\n")
        # A handler sees no folder: neither those that are served, nor any other.
        expect("descriptors", client.get("/api/mark").body, b"fresh, 0 field, descriptors 0 1 2\n")


def with_dir(bench, engine):
    scratch, root = folder()
    with scratch, serve(bench, engine, "--files", f"/files={root}", "--dir", f"{root}/sub::/data",
                        build("handler")) as server, Client(server) as client:
        expect("what it is given", client.get("/mark").body, b"fresh, 0 field, descriptors 0 1 2 3=/data\n")


def resident(bench, engine):
    """One process for all requests, by messages: it keeps count; one that dies is started again."""
    with serve(bench, engine, "--max-time", "0.5", "--stream", build("resident", SIP)) as server:
        with Client(server) as client:
            expect("no answer", client.get("/keeps").status, 504)
    with serve(bench, engine, "--env", "SECRET=s", "--stream", f"/={build('resident', SIP)}") as server:
        with Client(server) as client:
            for i in range(1, 4):
                expect("its count", client.get("/a").body, b"%d /a s\n" % i)
            for size in 10, 60000, 500000:
                sender = threading.Thread(target=lambda n=size: client.send(
                    b"POST /echo HTTP/1.1\r\nHost: a\r\nContent-Length: %d\r\n\r\n" % n + b"x" * n))
                sender.start()
                expect("a body", client.answer().body == b"x" * size, True)
                sender.join()
            expect("nothing", client.get("/nothing").status, 500)
            expect("its count", client.get("/b").body, b"8 /b s\n")
        for path in "/trap", "/half":
            with Client(server) as client, Client(server) as other:
                expect(path, client.get(path).status, 500)
                while (answer := other.get("/again")).status == 503:
                    pass  # not all the time
                expect("a fresh one", answer.body, b"1 /again s\n")


def deaf(bench, engine):
    """One that closes its channel and lives is not asked again: it is ended, and there is another in its place."""
    with serve(bench, engine, "--metrics", "127.0.0.1:0", "--stream", build("resident", SIP), listeners=2) as server, \
            Client(server) as client, Client(server, 1) as watcher:
        for n in range(1, 4):
            expect("its last word", client.get("/deaf").body, b"no more\n")
            wait_for("a fresh one", lambda: client.get("/again").status == 200)  # not all the time
            wait_for("its end", lambda: server.written(server.err).count(b"ended, for it takes no more requests") == n)
        expect("health", watcher.get("/health").status, 200)


def metrics(bench, engine):
    with handler(bench, engine, "--metrics", "127.0.0.1:0", listeners=2) as server:
        with Client(server) as client, Client(server, 1) as watcher:
            for _ in range(5):
                client.get("/plain")
            client.get("/trap")
            expect("a handler's", client.get("/missing").status, 404)
            expect("health", watcher.get("/health").status, 200)
            text = watcher.get("/metrics").body.decode()
            for line in ["nebulet_answers_total{class=\"5xx\"} 1", "nebulet_handlers_failed_total 1",
                         "nebulet_connections_open 2", "nebulet_handlers_running 0",
                         "nebulet_route_requests_total{path=\"/\"} 7"]:
                if line not in text.splitlines():
                    raise base.Failed(f"no line {line}:\n{text}")
            expect("not there", watcher.get("/plain").status, 404)


def peers(bench, engine):
    """Of one peer's connections, more than seven eighths of all are refused; others get what is left. Who is on this machine is
    not counted."""
    got = bench.nebulet("run", "--engine", engine, "--dir", f"{base.ROOT}/build/svc::/http", build("peers", SIP))
    got.check(0, b"IPv4: 14 of 16, another 1 0, one more 1, a third 1\n"
                 b"IPv6: 14 of 16, another 1 0, one more 1, a third 1\n"
                 b"this machine: 16 of 16\n")


def started(bench, engine):
    """A module that exports wizer.initialize is run once, and requests begin there, each with that memory as it was."""
    module = build("started")
    with serve(bench, engine, module) as server, Client(server) as client:
        for i in range(20):
            expect("an answer", client.get(f"/{i}").body, b"same 1 0.5 entry 999 /%d\n" % i)
        reload(server)
        expect("anew", client.get("/again").body, b"same 1 0.5 entry 999 /again\n")
        server.process.send_signal(signal.SIGTERM)
        expect("how often it was started", (server.early + server.finish(0).err).count(b"started\n"), 2)
    scratch, root = folder()
    with scratch:
        for what, code, text in (("trap", 1, b"wasm trap: unreachable"), ("exit", 1, b"another exit code than 0"),
                                 ("open", 1, b"it has files that are open")):
            got = bench.nebulet("serve", "--engine", engine, "--listen", "127.0.0.1:0", "--dir", f"{root}::/data", "--env",
                                f"WHAT={what}", module)
            got.check(code, b"")
            if text not in got.err:
                raise base.Failed(f"{what}: {base.excerpt(got.err)}")
        with serve(bench, engine, "--dir", f"{root}::/data", "--env", "WHAT=closed", module) as server, \
                Client(server) as client:
            expect("what was closed", client.get("/").body, b"same 1 0.5 entry 999 /\n")


def servers(bench, engine):
    """Several server processes: together they accept, are counted, reloaded and ended as one."""
    with handler(bench, engine, "--servers", "3", "--metrics", "127.0.0.1:0", "--stream", f"/stays={build('resident', SIP)}",
                 listeners=2) as server:
        clients = [Client(server) for _ in range(60)]
        for turn in range(3):
            for client in clients:
                expect("an answer", client.get("/plain").body, b"plain\n")
        counts = []
        while len(counts) == len(set(counts)):  # each server has its own handler that stays, which counts
            clients.append(Client(server))
            counts.append(clients[-1].get("/stays/a").body)
            if len(counts) == 3000:
                raise base.Failed("one server has accepted all")
        reload(server, times=3)
        for client in clients[:60]:
            expect("an answer", client.get("/plain").body, b"plain\n")
        with Client(server, 1) as watcher:
            text = watcher.get("/metrics").body.decode()
        for line in [f"nebulet_connections_open {len(clients) + 1}", f"nebulet_connections_total {len(clients) + 1}",
                     "nebulet_route_requests_total{path=\"/\"} 240",
                     f"nebulet_route_requests_total{{path=\"/stays/\"}} {len(counts)}"]:
            if line not in text.splitlines():
                raise base.Failed(f"no line {line}:\n{text}")
        server.process.send_signal(signal.SIGTERM)
        for client in clients:
            expect("an idle one", client.file.read(), b"")
            client.__exit__()
        server.finish(0)


def logs(bench, engine):
    for form, pattern in (("common", rb'127\.0\.0\.1 - - \[\d\d/\w{3}/\d{4}:[\d:]{8} \+0000\] '
                                     rb'"GET /plain\?\\u0022 HTTP/1\.1" 200 6 "from" "a\\u0022\\u005cb"\n'),
                          ("json", rb'\{"time":[\d.]+,"address":"127\.0\.0\.1","method":"GET",'
                                   rb'"target":"/plain\?\\u0022","host":"test","status":200,"bytes":6,"body":0,'
                                   rb'"us":\d+,"agent":"a\\u0022\\u005cb"\}\n'), ("none", rb"")):
        with handler(bench, engine, "--log", form) as server:
            with Client(server) as client:
                client.get('/plain?"', 'Referer: from\r\nUser-Agent: a"\\b\r\n')
            server.process.send_signal(signal.SIGTERM)
            out = server.finish(0).out
            if not re.fullmatch(pattern, out):
                raise base.Failed(f"{form}: {out!r}")


def log_of_several(bench, engine):
    """Servers that write to one pipe, which is read slowly, do not break each other's lines."""
    ours, theirs = os.pipe()
    with net.serving([bench.program, "serve", "--engine", engine, "--listen", "127.0.0.1:0", "--servers", "3", "--log", "json",
                      "--grace", "900", build("handler")], out=theirs) as server:
        os.close(theirs)
        text = f"{'x' * 900}"

        def ask(count):
            with Client(server) as client:
                for _ in range(count):
                    expect("an answer", client.get(f"/plain?{text}", f"User-Agent: {text}\r\n").status, 200)
        askers = [threading.Thread(target=ask, args=(40,), daemon=True) for _ in range(12)]
        for asker in askers:
            asker.start()
        threading.Event().wait(1)  # or less: then the pipe is not full, and nothing can break
        got = b""
        while got.count(b"\n") < 12 * 40:
            got += os.read(ours, 3000)
        for asker in askers:
            asker.join()
        server.process.send_signal(signal.SIGTERM)
        server.finish(0)
    os.close(ours)
    for line in got.splitlines():
        expect(line, json.loads(line)["status"], 200)


def nobody_reads(bench, engine):
    """Where standard output or standard error is a pipe that nobody takes anything from, a server reloads and ends all
    the same, when those have had their time who have begun."""
    for which in "out", "err":
        ours, theirs = os.pipe()
        with tempfile.TemporaryFile() as other, contextlib.ExitStack() as stack:
            listener = stack.enter_context(net.listen_here())
            how = {"stdout": other, "stderr": other, f"std{which}": theirs}
            program = "exec 3<&$1; export LISTEN_PID=$$ LISTEN_FDS=1; shift; exec \"$@\""
            process = subprocess.Popen(["bash", "-c", program, "bash", str(listener.fileno()), bench.program, "serve", "--engine",
                                        engine, "--listen", "inherited", "--grace", "1", "--max-log", "100M", build("handler")],
                                       pass_fds=[listener.fileno()], **how)
            os.close(theirs)
            try:
                path = f"/plain?{'x' * 1000}" if which == "out" else "/errors?3000"
                full = array.array("i", [0])
                for _ in range(120 if which == "out" else 2):
                    client = stack.enter_context(net.connect(listener.getsockname()))
                    client.sendall(f"GET {path} HTTP/1.1\r\nHost: test\r\nConnection: close\r\n\r\n".encode())
                    if which == "out":
                        client.recv(100)
                while full[0] < 45000: # a pipe of 16 pages, and lines are not cut at their ends
                    threading.Event().wait(0.01)
                    fcntl.ioctl(ours, termios.FIONREAD, full)
                process.send_signal(signal.SIGHUP)
                process.send_signal(signal.SIGTERM)
                if process.wait(net.LIMIT) < 0:
                    raise base.Failed(f"{which}: killed by a signal")
            finally:
                process.kill()
                process.wait()
        os.close(ours)


def early_hangup(bench, engine):
    """A SIGHUP that comes while modules are read is a reload when they are."""
    with tempfile.TemporaryDirectory(prefix="nebulet-serve-") as scratch:
        fifo = pathlib.Path(scratch, "a.wasm")
        os.mkfifo(fifo)
        process = subprocess.Popen([bench.program, "serve", "--engine", engine, "--listen", "127.0.0.1:0", fifo],
                                   stdout=subprocess.DEVNULL, stderr=subprocess.PIPE)
        try:
            with open(fifo, "wb") as module:  # it waits there
                process.send_signal(signal.SIGHUP)
                module.write(build("handler").read_bytes())
            expect("it begins", process.stderr.readline()[:20], b"nebulet: serving at ")
            with open(fifo, "wb") as module:
                module.write(build("other").read_bytes())
            expect("and reloads", process.stderr.readline(), b"http: reloaded\n")
            process.send_signal(signal.SIGTERM)
            expect("its code", process.wait(net.LIMIT), 0)
        finally:
            process.kill()
            process.wait()


def long_logs(bench, engine):
    """What a client makes long or strange is cut or escaped in such a way that a line stays what it is."""
    strange = "".join(chr(c) for c in range(0x21, 0x7f) if chr(c) not in '#?')
    targets = [f"/plain?{'%22' * 500}", "/plain?" + '"' * 7000, "/plain?" + strange * 70]
    with handler(bench, engine, "--log", "json") as server:
        for target in targets:
            for agent in "a", '"' * 3000, "\u00e9" * 2000:
                with Client(server) as client:
                    client.send(f"GET {target} HTTP/1.1\r\nHost: {'h' * 200}\r\nUser-Agent: {agent}\r\n\r\n"
                                .encode("latin-1"))
                    client.answer()
        server.process.send_signal(signal.SIGTERM)
        lines = server.finish(0).out.decode().splitlines()
    expect("lines", len(lines), 3 * len(targets))
    for line in lines:
        told = json.loads(line)
        expect(line, (set(told), told["status"]), ({"time", "address", "method", "target", "host", "status", "bytes",
                                                   "body", "us", "agent"}, 200))


def reach_others(server, host, s, at_8000="access denied"):
    """What rules allow, and nobody else; some that want all of the service's time leave others what they want."""
    with Client(server) as client:
        for path, said in ((f"c/good.test/{s.echo}", "hello\n"), (f"c/{host}/{s.echo}", "access denied"),
                           (f"c/good.test/{s.reset}", "access denied"), (f"c/chain.test/{s.echo}", "access denied"),
                           (f"c/2130706433/{s.echo}", "invalid argument"), ("l/127.0.0.1/0", "access denied"),
                           ("l/0.0.0.0/8000", at_8000)):
            expect(path, client.get(f"/{path}").body, said.encode() + b"\n")
        greedy = [Client(server) for _ in range(4)]
        for other in greedy:
            other.send(b"GET /b/silent.test HTTP/1.1\r\nHost: test\r\n\r\n")
        for _ in range(20):
            expect("meanwhile", client.get(f"/c/good.test/{s.echo}").body, b"hello\n\n")
        for other in greedy:
            expect("refused", other.answer().body, b"no resources\n")
            other.__exit__()


def rules_for(host, s):
    return [w for rule in (f"tcp:good.test@{host}:{s.echo}", "dns:*.test") for w in ("--allow-net", rule)]


def reaches(bench, engine):
    """Handlers reach others."""
    with reach.servers_for("Linux") as s:
        with serve(bench, engine, "--dns", f"127.0.0.1:{s.dns}", *rules_for("127.0.0.1", s), build("reaches", SIP)) as server:
            reach_others(server, "127.0.0.1", s)
    with serve(bench, engine, build("reaches", SIP)) as server, Client(server) as client:
        expect("without rules", client.get(f"/c/127.0.0.1/{s.echo}").body, b"access denied\n")


def handlers_errors(bench, engine):
    """What handlers write to standard error has their name in front, nothing that a terminal acts upon, and so much
    for each request."""
    def told(server):
        server.process.send_signal(signal.SIGTERM)
        lines = server.finish(0).err.split(b"\n")
        if stray := [line for line in lines if line and not line.startswith((b"handler.wasm: ", b"nebulet: "))]:
            raise base.Failed(f"without a name: {stray[0]!r}")
        return [line[14:] for line in lines if line.startswith(b"handler.wasm: ")]

    with handler(bench, engine) as server, Client(server) as client:
        expect("strange ones", client.get("/terminal").body, b"told\n")
        expect("the end of a line", client.get("/errors?1").body, b"told\n")
        expect("nothing for a terminal", told(server),
               [rb"a\x1b[2J\x9b0m\x0d" + "\tb \u00e9 ".encode() + rb"\xc2\x9b \xe2\x80\xae \xed\xa0\x80 "
                + "\U0001f600 ".encode() + rb"\xc0\xaf \x7f", rb"no end of a line \xe2\x82" + b"0" * 99])
    many = 3000  # lines of 100 bytes
    with handler(bench, engine, "--max-log", "10000") as server, Client(server) as client:
        expect("many", client.get(f"/errors?{many}").body, b"told\n")
        expect("a few more", client.get("/errors?10").body, b"told\n")
        lines = told(server)
    cut = [int(found[1]) for line in lines if (found := re.fullmatch(rb"(\d+) bytes more are not shown .*", line))]
    numbers = [int(line) for line in lines if line.isdigit()]
    expect("what is cut", sum(cut), (many + 10 - len(numbers)) * 100)
    expect("lines of the first request", numbers[:100], list(range(100)))
    if len(numbers) > 2 * 100:
        raise base.Failed(f"{len(numbers)} lines of 100 bytes for two requests")


def curl(bench, engine):
    if not shutil.which("curl"):
        raise base.Skipped("no curl (Debian: curl)")
    with handler(bench, engine) as server, tempfile.TemporaryDirectory(prefix="nebulet-serve-") as scratch:
        url = "http://%s:%d" % server.addresses[0]
        data = pathlib.Path(scratch, "data")
        data.write_bytes(b"data" * 50000)
        for args, wanted in ((["/plain", url + "/plain"], None), (["--http1.0", url + "/plain"], b"plain\n"),
                             ([url + "/plain", url + "/plain"], b"plain\nplain\n"),
                             (["--data-binary", f"@{data}", url + "/echo"], data.read_bytes()),
                             (["-H", "Transfer-Encoding: chunked", "--data-binary", f"@{data}", url + "/echo"],
                              data.read_bytes()),
                             (["-I", url + "/plain"], None)):
            if args[0].startswith("/"):
                continue
            got = base.run(["curl", "-s", "-S", *args]).check(0, wanted)
            if wanted is None and not got.out.startswith(b"HTTP/1.1 200 OK\r\n"):
                raise base.Failed(base.excerpt(got.out))


def load(bench, engine):
    """Two thousand connections, slow ones among them: none fails, and memory stays."""
    if not shutil.which("wrk"):
        raise base.Skipped("no wrk (Debian: wrk)")
    got = base.run([base.ROOT / "bench/serve/load.py", "--seconds", "8", "--connections", "2000", "--slow", "400", "--engine",
                    engine, "--json", bench.program, build("handler"), "/plain"], limit=net.LIMIT)
    if not got.out:
        raise base.Failed(base.excerpt(got.err))
    told = json.loads(got.out)
    expect(f"failed, of {told}", told["failed"], 0)
    expect("open at the end", told["connections"], 2000)
    _, at_first, at_last = told["memory"]
    if at_last - at_first > 40 << 10:  # some more may speak at once than before, each with 100 KiB
        raise base.Failed(f"memory: {told['memory']}")


PAGES = {
    "index.html": """<!doctype html><link rel="stylesheet" href="style.css"><body><img src="picture.svg">
<form method="post" action="/form"><input name="text" value="a b&amp;c=\u00e4"><input name="seen"></form>
<script type="module" src="script.mjs"></script>""",
    "style.css": "body { margin: 7px }",
    "picture.svg": '<svg xmlns="http://www.w3.org/2000/svg" width="31" height="17"/>',
    "script.mjs": """import { value } from "./sub/more.mjs";
const form = document.forms[0], image = document.images[0];
await image.decode();
const parts = await Promise.all([...Array(20).keys()].map(i => fetch("/path/" + i).then(r => r.text())));
const part = await fetch("large.bin", { headers: { Range: "bytes=999000-" } });
const long = await (await fetch("/echo", { method: "POST", body: "x".repeat(300000) })).text();
form.elements.seen.value = [value, image.width, getComputedStyle(document.body).marginLeft, parts.join(""), part.status,
  (await part.arrayBuffer()).byteLength, long.length].join(" ");
form.submit();
""",
    "sub/more.mjs": "export const value = 'module';\n",
}


def browser(bench, engine):
    """A page with all that belongs to it, scripts that ask for more, and a form that is posted."""
    if not shutil.which("chromium"):
        raise base.Skipped("no chromium (Debian: chromium)")
    scratch, root = folder()
    for name, text in PAGES.items():
        (root / name).write_text(text)
    with scratch, handler(bench, engine, "--files", f"/www={root}") as server, \
            tempfile.TemporaryDirectory(prefix="nebulet-browser-", ignore_cleanup_errors=True) as profile:
        browser = subprocess.Popen(["chromium", "--headless", "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage",
                                    "--disable-background-networking", f"--user-data-dir={profile}",
                                    "http://%s:%d/www/" % server.addresses[0]], stdin=subprocess.DEVNULL,
                                   stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, start_new_session=True)
        seen = "module 31 7px " + "".join(f"/path/{i}?" for i in range(20)) + " 206 1000 300000"
        form = urllib.parse.urlencode({"text": "a b&c=\u00e4", "seen": seen})
        wanted = f"handler.wasm: POST application/x-www-form-urlencoded {form}\n".encode()
        end = time.monotonic() + net.LIMIT
        try:
            while b"GET /plain?shown HTTP/1.1\" 200 " not in server.written(server.out):
                if browser.poll() is not None or time.monotonic() > end:
                    raise base.Failed(f"it has not come to the end:\n{base.excerpt(server.written(server.out), 60)}")
                time.sleep(0.1)
        finally:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(browser.pid, signal.SIGKILL)
            browser.wait()
        if wanted not in server.written(server.err):
            raise base.Failed(f"another form: {base.excerpt(server.written(server.err))}")


def wrk(bench, engine):
    """No request fails, with more connections than handlers may run at once."""
    if not shutil.which("wrk"):
        raise base.Skipped("no wrk (Debian: wrk)")
    scratch, root = folder()
    with scratch, handler(bench, engine, "--max-processes", "8", "--log", "none", "--files", f"/www={root}") as server:
        for path in "plain", "www/page.txt", "long?30000":
            out = base.run(["wrk", "-t", "1", "-c", "40", "-d", "1s", "--timeout", "200s",
                            "http://%s:%d/%s" % (*server.addresses[0], path)]).check(0).out
            wrong = re.search(rb"Non-2xx.*|Socket errors.*", out)
            if wrong or not re.search(rb"[1-9]\d* requests in", out):
                raise base.Failed(f"{path}: {base.excerpt(out)}")


# --- In a machine of its own: http, lwIP and the driver as processes on our kernel.

def machine(bench, engine, *options, listeners=1):
    """With the least memory that a machine has; emulated, as all machines of tests."""
    if not shutil.which(boot.QEMU[0]):
        raise base.Unavailable("QEMU is not installed (qemu-system-x86)")
    drv.net()
    listen = [word for _ in range(listeners) for word in ("--listen", f"127.0.0.1:{drv.free_port()}")]
    return net.serving([bench.program, "serve", "--boot", "--accel", "tcg", "--memory", "16M", "--engine", engine, *listen, "--max-time",
                        "900", "--max-cpu", "300", "--idle", "900", "--grace", "900", *options], listeners)


def in_machine(bench, engine):
    scratch, root = folder()
    with scratch, machine(bench, engine, "--max-processes", "4", "--files", f"/www={root}", "--route",
                          f"/started={build('started')}", build("handler")) as server, Client(server) as client:
        for _ in range(10):
            expect("what was started before", client.get("/started/a").body, b"same 1 0.5 entry 999 /a\n")
        for _ in range(200):
            expect("an answer", client.get("/plain").body, b"plain\n")
        body = bytes(i * 7 % 251 for i in range(200000))
        expect("a long body", client.ask("POST", "/echo", body=body).body, body)
        expect("a file", client.get("/www/large.bin").body, (root / "large.bin").read_bytes())
        expect("nothing there", client.get("/www/nothing").status, 404)
        for path, status in (("/trap", 500), ("/nothing", 500), ("/missing", 404)):
            with Client(server) as other:
                expect(path, other.get(path).status, status)
        expect("another after these", client.get("/plain").body, b"plain\n")
        clients = [Client(server) for _ in range(20)]
        for one in clients:
            one.send(b"GET /mark HTTP/1.1\r\nHost: test\r\nX-Mine: 1\r\n\r\n")
        for one in clients:
            expect("all at once", one.answer().body, b"fresh, 0 field, descriptors 0 1 2\n")
            one.__exit__()
        client.send(b"POST /echo HTTP/1.1\r\nHost: test\r\nContent-Length: 200000\r\n\r\n" + body[:100000])
        expect("it begins", client.file.readline(), b"HTTP/1.1 200 OK\r\n")
        server.process.send_signal(signal.SIGTERM)
        client.send(body[100000:])
        if not client.file.read().endswith(b"\r\n0\r\n\r\n"):
            raise base.Failed("what was begun is not answered")
        told = server.finish(0)
        expect("lines of the log", told.out.count(b'"GET /plain HTTP/1.1" 200 6 '), 201)
        for text in (b"handler.wasm: wasm trap: unreachable\n", b"handler.wasm: to the log"):
            if text not in told.err:
                raise base.Failed(f"stderr does not say {text!r}:\n{base.excerpt(told.err, 60)}")


def machine_reaches(bench, engine):
    """Handlers in a machine reach others, this system among them; not without rules."""
    with reach.servers_for("a machine") as s:
        with machine(bench, engine, "--memory", "32M", "--dns", f"10.0.2.2:{s.dns}", *rules_for("10.0.2.2", s),
                     build("reaches", SIP)) as server:
            reach_others(server, "10.0.2.2", s, "already owned")  # where the server itself listens
    with machine(bench, engine, build("reaches", SIP)) as server, Client(server) as client:
        expect("without rules", client.get(f"/c/10.0.2.2/{s.echo}").body, b"access denied\n")


def machine_with_folders(bench, engine):
    """Handlers have the folders that are given, and no others; what they write is on the host, and on the disk."""
    scratch, root = folder()
    kept, image = root / "kept", pathlib.Path(scratch.name, "disk")
    kept.mkdir()
    (root / "copied").mkdir()
    bench.nebulet("disk", "create", image, "--size", "1M").check(0)
    with scratch:
        for turn in 1, 2:
            with machine(bench, engine, "--memory", "32M", "--max-processes", "4", "--files", f"/www={root}", "--dir", f"{kept}::/kept", "--dir",
                         f"{root}/copied::/copy:copy", "--disk", f"{image}::/disk", build("handler")) as server, \
                    Client(server) as client:
                expect("what it is given", client.get("/mark").body,
                       b"fresh, 0 field, descriptors 0 1 2 3=/kept 4=/copy 5=/disk\n")
                expect("a file", client.get("/www/large.bin").body, (root / "large.bin").read_bytes())
                for again in 0, 1:
                    lines = 2 * (turn - 1) + again + 1
                    expect("a folder", client.get("/keep/kept/file").body, b"kept\n" * lines)
                    expect("a disk", client.get("/keep/disk/file").body, b"kept\n" * lines)
                    expect("a copy", client.get("/keep/copy/file").body, b"kept\n" * (again + 1))
                server.process.send_signal(signal.SIGTERM)
                server.finish(0)
            expect("on the host", (kept / "file").read_bytes(), b"kept\n" * 2 * turn)
            bench.nebulet("disk", "cat", image, "/file").check(0, b"kept\n" * 2 * turn, b"")
        expect("a copy's original", list((root / "copied").iterdir()), [])


def usage(bench):
    module = build("handler")
    not_program = BUILT / "none.wasm"
    not_program.write_bytes(b"\0asm\1\0\0\0")
    for args, code, text in (([], 2, b"nothing to serve"), ([module, module], 2, b"one FILE"),
                             (["--log", "xml", module], 2, b"common, json and none"),
                             (["nothing.wasm"], 1, b"nothing.wasm"), ([not_program], 1, b"exports no _start"),
                             ([pathlib.Path(__file__)], 1, b"serve.py"),
                             (["--files", "/=/nothing"], 1, b"/nothing"),
                             (["--route", "/a b=x.wasm"], 1, b"without spaces"),
                             (["--boot", "--dir", "/nothing", module], 1, b"/nothing"),
                             (["--boot", "--disk", "/nothing", module], 1, b"/nothing"),
                             (["--disk", "/nothing", module], 2, b"disks are of machines"),
                             (["--boot", "--servers", "2", module], 2, b"one server"),
                             (["--servers", "17", module], 2, b"16 at most"),
                             (["--boot", "--listen", "inherited", module], 2, b"cannot be given to a machine"),
                             (["--boot", "--memory", "1M", module], 2, b"at least 16M"),
                             (["--boot", "--allow-net", "tcp:x", module], 2, b"tcp:x"),
                             (["--boot", *["--allow-net", "dns:x"] * 64, module], 2, b"63 rules at most"),
                             (["--boot", *["--listen", "127.0.0.1:0"] * 17, module], 2, b"16 addresses at most"),
                             (["--listen", "1.2.3.4.5:80", module], 2, b"not an address"),
                             (["--max-body", "x", module], 2, b"--max-body"),
                             (["--listen", "192.0.2.1:80", module], 1, b"address not available")):
        got = bench.nebulet("serve", *args)
        got.check(code, b"")
        if text not in got.err:
            raise base.Failed(f"{args}: stderr does not say {text!r}:\n{base.excerpt(got.err)}")
    expect("help", b"127.0.0.1:8080" in bench.nebulet("serve", "--help").check(0).out, True)


def cases(bench):
    broken = sdk.build()
    if broken:
        raise base.Unavailable(broken)
    for engine in bench.engines:
        for case in (corpus, split, pipelined, environment, same_lines, bodies, continues, long_answers, faults, isolated, many,
                     slow, slots, drips, timeouts, reloads, ends, pool, stuck_reload, files, kept, routes, with_dir, resident, deaf, metrics, servers,
                     peers, started, logs, long_logs, log_of_several, nobody_reads, early_hangup, reaches, handlers_errors, curl, wrk,
                     load, browser, in_machine, machine_reaches, machine_with_folders):
            yield base.Case(case.__name__, engine, lambda c=case, e=engine: c(bench, e))
    yield base.Case("usage", "", lambda: usage(bench))
