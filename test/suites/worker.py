# SPDX-License-Identifier: MIT
"""`nebulet worker`: messages of a real nats-server, and what becomes of them (test/worker/handler.c).

The server is Debian's nats-server, one for each case, in a folder of its own. What the tests say to it is said by
a client of a few lines. Waits are for what must come; nothing depends on how long something takes.
"""
import base64
import binascii
import contextlib
import json
import os
import pathlib
import re
import shutil
import signal
import socket
import ssl
import subprocess
import tempfile
import time

from . import base, guest, net, sdk, serve

SOURCES = base.ROOT / "test/worker"
BUILT = base.ROOT / "build/test-worker"
LIMIT = net.LIMIT
expect = serve.expect


def build(name="handler"):
    source, wasm = SOURCES / f"{name}.c", BUILT / f"{name}.wasm"
    BUILT.mkdir(parents=True, exist_ok=True)
    if not wasm.exists() or wasm.stat().st_mtime < source.stat().st_mtime:
        with tempfile.TemporaryDirectory(dir=BUILT) as part:
            base.run([*guest.CLANG, source, "-o", f"{part}/{name}.wasm"], limit=120).check()
            os.rename(f"{part}/{name}.wasm", wasm)
    return wasm


class Client:
    """Says PUB, SUB and the like, and hears messages: (subject, headers, data)."""

    def __init__(self, port, tls=None, sign=None, **login):
        self.socket = socket.create_connection(("127.0.0.1", port))
        self.socket.settimeout(LIMIT)
        self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.count = 0
        info = b""
        while not info.endswith(b"\n"):
            info += self.socket.recv(1)
        if tls:
            self.socket = ssl.create_default_context(cafile=tls).wrap_socket(self.socket, server_hostname="localhost")
        self.file = self.socket.makefile("rb")
        if sign:
            login = sign(json.loads(info[5:])["nonce"])
        options = {"verbose": False, "pedantic": False, "headers": True, "no_responders": True, **login}
        self.say(b"CONNECT " + json.dumps(options).encode() + b"\r\nPING\r\n")
        expect("nats-server", self.file.readline(), b"PONG\r\n")

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.file.close()
        self.socket.close()

    def say(self, data):
        self.socket.sendall(data)

    def subscribe(self, subject):
        self.count += 1
        self.say(f"SUB {subject} {self.count}\r\n".encode())

    def publish(self, subject, data=b"", reply="", headers=None):
        head = b""
        if headers:
            head = b"NATS/1.0\r\n" + b"".join(f"{k}: {v}\r\n".encode() for k, v in headers.items()) + b"\r\n"
        sizes = f"{len(head)} {len(head) + len(data)}" if headers else f"{len(data)}"
        self.say(f"{'HPUB' if headers else 'PUB'} {subject} {reply} {sizes}\r\n".encode() + head + data + b"\r\n")

    def next(self):
        while line := self.file.readline():
            words = line.split()
            if words[0] == b"PING":
                self.say(b"PONG\r\n")
            elif words[0] == b"-ERR":
                raise base.Failed(line.decode())
            elif words[0] in (b"MSG", b"HMSG"):
                data, head = self.file.read(int(words[-1]) + 2)[:-2], b""
                if words[0] == b"HMSG":
                    head, data = data[:int(words[-2])], data[int(words[-2]):]
                lines = head.decode().split("\r\n")
                fields = dict(line.split(": ", 1) for line in lines[1:] if ": " in line)
                if lines[0][9:]:
                    fields["Status"] = lines[0][9:12]
                return words[1].decode(), fields, data
        raise base.Failed("the connection to nats-server ended")

    def request(self, subject, data=b"", headers=None):
        self.count += 1
        inbox = f"_INBOX.{id(self)}.{self.count}"
        self.say(f"SUB {inbox} {self.count}\r\nUNSUB {self.count} 1\r\n".encode())
        self.publish(subject, data, inbox, headers)
        return self.next()[1:]

    def api(self, call, what=None):
        """Of JetStream."""
        head, data = self.request(f"$JS.API.{call}", json.dumps(what).encode() if what else b"")
        if head.get("Status"):
            raise base.Failed(f"{call}: {head}")
        got = json.loads(data)
        if "error" in got:
            raise base.Failed(f"{call}: {got['error']}")
        return got

    def stream(self, name, subjects, **how):
        self.api(f"STREAM.CREATE.{name}", {"name": name, "subjects": [subjects], "storage": "file", **how})

    def messages(self, stream):
        return self.api(f"STREAM.INFO.{stream}")["state"]["messages"]



class Nats:
    """A nats-server that can die and come back."""

    def __init__(self, folder, *options):
        with socket.create_server(("127.0.0.1", 0)) as s:
            self.port = s.getsockname()[1]
        self.url = f"nats://127.0.0.1:{self.port}"
        stream = [] if "-c" in options else ["-js", "-sd", str(folder)]
        self.command = ["nats-server", "-a", "127.0.0.1", "-p", str(self.port), *stream, *options]
        self.start()

    def start(self):
        self.process = subprocess.Popen(self.command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        end = time.monotonic() + LIMIT
        while time.monotonic() < end and self.process.poll() is None:
            with contextlib.suppress(OSError):
                socket.create_connection(("127.0.0.1", self.port)).close()
                return
            time.sleep(0.02)
        raise base.Failed("nats-server does not listen")

    def kill(self):
        self.process.kill()
        self.process.wait()


@contextlib.contextmanager
def nats(*options):
    with tempfile.TemporaryDirectory() as folder:
        server = Nats(folder, *options)
        try:
            yield server
        finally:
            server.kill()


def worker(bench, engine, server, *options, module=None, **how):
    """It is asked for metrics, so it says when it works."""
    return net.serving([bench.program, "worker", "--engine", engine, "--nats", server.url, "--metrics", "127.0.0.1:0",
                        "--max-time", "900", "--max-cpu", "300", *options, module or build()], **how)


def metrics(work):
    with serve.Client(work) as client:
        text = client.get("/metrics").body.decode()
    return {line.rsplit(" ", 1)[0]: int(line.rsplit(" ", 1)[1]) for line in text.splitlines() if line[0] != "#"}


def end(work, code=0):
    work.process.send_signal(signal.SIGTERM)
    return work.finish(code)


ERROR = "Nats-Service-Error-Code"
WORK = {"interp": "WORK=8000000", "fast": "WORK=100000000"}  # about a tenth of a second on each


def requests(bench, engine):
    with nats() as server, worker(bench, engine, server, "--subject", "up.>", "--env", "MINE=1") as work, \
            Client(server.port) as client:
        expect("an echo", client.request("up.a", b"hello"), ({}, b"hello"))
        expect("nothing", client.request("up.a", b""), ({}, b""))
        expect("nothing written", client.request("up.a", b"nothing"), ({}, b""))
        for _ in range(3):
            expect("each time a fresh process", client.request("up.a", b"runs"), ({}, b"1\n"))
        head, data = client.request("up.b c".replace(" ", "%"), b"env", {"X-Foo": "bar", "Nats-Subject": "forged"})
        lines = data.decode().split("\n")
        for line in ("MINE=1", "HTTP_NATS_SUBJECT=up.b%c", "HTTP_X_FOO=bar", "CONTENT_LENGTH=3", "REQUEST_METHOD=POST",
                     "PATH_INFO=/up.b%c"):
            if line not in lines:
                raise base.Failed(f"its environment has no {line}:\n{data.decode()}")
        for word, status in (("exit", "500"), ("trap", "500")):
            head, data = client.request("up.a", word.encode())
            expect(word, (head.get(ERROR), data), (status, b""))
        big = bytes(range(256)) * 4000
        expect("a large one", client.request("up.a", big), ({}, big))
        expect("odd names", client.request("up./x.$y.é", b"odd"), ({}, b"odd"))
        counted = metrics(work)
        expect("done", counted['nebulet_messages_total{result="done"}'], 9)
        expect("given up", counted['nebulet_messages_total{result="given_up"}'], 2)
        expect("connected", counted["nebulet_nats_connected"], 1)
        with serve.Client(work) as other:
            expect("health", other.get("/health").status, 200)
        told = end(work)
        for text in (b"handler.wasm: POST /up.a: exit code 3\n", b"handler.wasm: POST /up.a: trap: unreachable\n"):
            expect(text, text in told.err, True)
        expect("the log", told.out.count(b'"POST /up.a HTTP/1.1" 200 '), 7)


def hostile(bench, engine):
    """Messages that loop, flood and are too large, while others are answered."""
    with nats() as server, worker(bench, engine, server, "--subject", "up", "--max-cpu", "5", "--max-body", "100K",
                                  "--log", "none") as work, Client(server.port) as client, Client(server.port) as other:
        for inbox, data in (("loop", b"loop"), ("flood", b"flood"), ("large", bytes(200000))):
            client.subscribe(inbox)
            client.publish("up", data, inbox)
        for i in range(100):
            expect("others", other.request("up", b"%d" % i)[1], b"%d" % i)
        got = {subject: head for subject, head, _ in (client.next() for _ in range(3))}
        expect("loop", got["loop"].get(ERROR), "504")
        expect("too large", got["large"].get(ERROR), "413")
        expect("flood", got["flood"].get("Nats-Service-Error"), "its output is longer than the server takes")
        fields = {f"X-{i}": "y" * 300 for i in range(90)}
        expect("headers", other.request("up", b"x", fields)[0].get(ERROR), "431")
        expect("afterwards", other.request("up", b"x")[1], b"x")
        end(work)



def killed(bench, engine):
    """Three workers, of which one is killed in the midst: no message is lost, and no result is there twice."""
    count = 10000
    with nats() as server, Client(server.port) as client, contextlib.ExitStack() as stack:
        client.stream("JOBS", "jobs.>", retention="workqueue")
        client.stream("RESULTS", "results.>")
        client.api("CONSUMER.DURABLE.CREATE.JOBS.w", {"stream_name": "JOBS", "config": {
            "durable_name": "w", "ack_policy": "explicit", "ack_wait": 5000000000, "max_ack_pending": 20000}})
        works = [stack.enter_context(worker(bench, engine, server, "--jetstream", "JOBS", "--durable", "w", "--result",
                                            "results.all", "--log", "none", "--max-time", "5")) for _ in range(3)]
        for i in range(count):
            if i == count // 3:
                serve.wait_for("the first results", lambda: client.messages("RESULTS") > 0)
            client.publish("jobs.x", b"%d" % i)
        works[1].kill()
        expect("in the midst", client.messages("RESULTS") < count, True)
        serve.wait_for("all", lambda: client.messages("RESULTS") >= count and not client.messages("JOBS"))
        expect("results", client.messages("RESULTS"), count)
        client.api("CONSUMER.DURABLE.CREATE.RESULTS.r", {"stream_name": "RESULTS", "config": {
            "durable_name": "r", "ack_policy": "none", "deliver_subject": "got"}})
        client.subscribe("got")
        got = sorted(int(client.next()[2]) for _ in range(count))
        expect("each one", got == list(range(count)), True)
        for work in (works[0], works[2]):
            end(work)


def poison(bench, engine):
    """One that always fails is given up, and that is told; others do not wait for it."""
    with nats() as server, Client(server.port) as client:
        client.stream("JOBS", "jobs.>", retention="workqueue")
        client.stream("DEAD", "dead.>")
        with worker(bench, engine, server, "--jetstream", "JOBS", "--durable", "w", "--result", "out", "--dead",
                    "dead.jobs", "--deliveries", "3", "--retry", "0.05") as work:
            client.subscribe("out")
            client.subscribe("dead.jobs")
            client.publish("jobs.p", b"trap", headers={"X-Mine": "1"})
            client.publish("jobs.g", b"good")
            got = {subject: (head, data) for subject, head, data in (client.next() for _ in range(2))}
            expect("the good one", got["out"], ({"Nats-Msg-Id": "JOBS.w.2"}, b"good"))
            head, data = got["dead.jobs"]
            expect("the bad one", data, b"trap")
            for name, value in (("Nats-Subject", "jobs.p"), ("Nats-Sequence", "1"), ("Nats-Num-Delivered", "3"),
                                ("X-Mine", "1"), ("Nebulet-Error", "it failed")):
                expect(name, head.get(name), value)
            serve.wait_for("none left", lambda: not client.messages("JOBS"))
            counted = metrics(work)
            expect("again", counted['nebulet_messages_total{result="again"}'], 2)
            expect("given up", counted['nebulet_messages_total{result="given_up"}'], 1)
            told = end(work)
            expect("told", told.err.count(b"jobs.p, message 1 of JOBS: given up after 3 deliveries: it failed\n"), 1)
            expect("runs", told.err.count(b"handler.wasm: wasm trap: unreachable\n"), 3)
        # One with which workers have died is not tried for ever.
        client.publish("jobs.k", b"killer")
        client.subscribe("taken")
        for _ in range(3):
            client.publish("$JS.API.CONSUMER.MSG.NEXT.JOBS.w", b'{"batch":1}', "taken")
            client.say(b"")
            while True:
                line = client.file.readline().split()
                if line[0] == b"MSG":
                    break
            client.file.read(int(line[-1]) + 2)
            client.publish(line[3].decode(), b"-NAK")
        with worker(bench, engine, server, "--jetstream", "JOBS", "--durable", "w", "--result", "out", "--dead",
                    "dead.jobs", "--deliveries", "3") as work:
            subject, head, data = client.next()
            expect("killer", (subject, data, head["Nats-Num-Delivered"]), ("dead.jobs", b"killer", "4"))
            told = end(work)
            expect("never run", b"POST" in told.out, False)


def comes_back(bench, engine):
    """The server dies, and comes back: so do the messages, and workers."""
    with nats() as server:
        with Client(server.port) as client:
            client.stream("JOBS", "jobs", retention="workqueue")
            client.stream("RESULTS", "results")
        with worker(bench, engine, server, "--jetstream", "JOBS", "--durable", "w", "--result", "results") as work:
            for turn in range(3):
                with Client(server.port) as client:
                    for i in range(200):
                        client.publish("jobs", b"%d" % (200 * turn + i))
                    serve.wait_for("all", lambda: client.messages("RESULTS") == 200 * (turn + 1) and not client.messages("JOBS"))
                server.kill()
                serve.wait_for("lost", lambda: not metrics(work)["nebulet_nats_connected"])
                with serve.Client(work) as other:
                    expect("health", other.get("/health").status, 503)
                server.start()
                serve.wait_for("again", lambda: metrics(work)["nebulet_nats_connected"])
            told = end(work)
            expect("lost", told.err.count(b"nebulet: the connection to NATS is lost\n"), 3)
            expect("again", told.err.count(b"nebulet: connected to NATS again"), 3)


def bounded(bench, engine):
    """No more are taken than are worked on, and the rest waits at the server."""
    with nats() as server, Client(server.port) as client:
        client.stream("JOBS", "jobs", retention="workqueue")
        for _ in range(16):
            client.publish("jobs", b"work")
        with worker(bench, engine, server, "--jetstream", "JOBS", "--durable", "w", "--max-processes", "2", "--env",
                    WORK[engine]) as work:
            most = 0
            while client.messages("JOBS"):
                time.sleep(0.005)
                info = client.api("CONSUMER.INFO.JOBS.w")
                most = max(most, info["num_ack_pending"])
            expect("taken at once", 1 <= most <= 4, True)  # what is acknowledged counts a little longer
            end(work)


def ends(bench, engine):
    """What was begun, and what the server has sent already, is answered."""
    with nats() as server, worker(bench, engine, server, "--subject", "up", "--max-processes", "2", "--grace", "900", "--env",
                                  WORK[engine]) as work, Client(server.port) as client:
        client.subscribe("answers")
        for i in range(8):
            client.publish("up", b"work%d" % i, "answers")
        expect("before", client.request("$JS.API.INFO")[0], {})
        serve.wait_for("begun", lambda: metrics(work)["nebulet_handlers_running"])
        told = end(work)
        got = sorted(client.next()[2] for _ in range(8))
        expect("answers", got, [b"work%d" % i for i in range(8)])
        expect("the log", told.out.count(b'"POST /up HTTP/1.1" 200 '), 8)
    with nats() as server, worker(bench, engine, server, "--subject", "up", "--grace", "0.1") as work, \
            Client(server.port) as client:
        client.publish("up", b"loop")
        serve.wait_for("begun", lambda: metrics(work)["nebulet_handlers_running"])
        told = end(work, 1)
        expect("told", b"the grace is over" in told.err, True)


def resident(bench, engine):
    handler = serve.build("resident", serve.SIP)
    with nats() as server, worker(bench, engine, server, "--subject", "*", "--resident", module=handler) as work, \
            Client(server.port) as client:
        expect("first", client.request("one", b"x"), ({}, b"1 /one -\n"))
        expect("second", client.request("two", b"x"), ({}, b"2 /two -\n"))
        expect("an echo", client.request("echo", b"hello"), ({}, b"hello"))
        expect("a trap", client.request("trap", b"x")[0].get(ERROR), "500")
        serve.wait_for("anew", lambda: client.request("one", b"x") == ({}, b"1 /one -\n"))
        end(work)


def reloads(bench, engine):
    with tempfile.TemporaryDirectory() as folder, nats() as server:
        module = pathlib.Path(folder, "handler.wasm")
        shutil.copy(build(), module)
        with worker(bench, engine, server, "--subject", "up", module=module) as work, Client(server.port) as client:
            expect("old", client.request("up", b"runs"), ({}, b"1\n"))
            os.replace(shutil.copy(build("other"), f"{folder}/new"), module)
            work.process.send_signal(signal.SIGHUP)
            serve.wait_for("reload", lambda: client.request("up", b"runs")[1] == b"the other one\n")
            end(work)


def servers(bench, engine):
    """More than one server process, each with its part of the connections, which it ends when they idle."""
    with nats() as server, worker(bench, engine, server, "--subject", "up", "--servers", "2", "--cpus", "2") as work, \
            Client(server.port) as client:
        client.subscribe("answers")
        for i in range(500):
            client.publish("up", b"%d" % i, "answers")
        got = sorted(int(client.next()[2]) for _ in range(500))
        expect("answers", got == list(range(500)), True)
        expect("of both", metrics(work)["nebulet_requests_total"] >= 500, True)
        end(work)


def logins(bench, engine):
    """A user, a password, and TLS."""
    with tempfile.TemporaryDirectory() as folder:
        base.run(["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes",
                  "-keyout", f"{folder}/key", "-out", f"{folder}/cert", "-days", "2", "-subj", "/CN=localhost",
                  "-addext", "subjectAltName=DNS:localhost,IP:127.0.0.1"], limit=60).check()
        with nats("--user", "me", "--pass", "secret") as server:
            plain = server.url
            got = bench.nebulet("worker", "--nats", plain, "--subject", "up", build())
            expect("without", (got.code, b"uthoriz" in got.err), (1, True))
            server.url = plain.replace("//", "//me:secret@")
            with worker(bench, engine, server, "--subject", "up") as work, \
                    Client(server.port, **{"user": "me", "pass": "secret"}) as client:
                expect("with", client.request("up", b"x"), ({}, b"x"))
                told = end(work)
                expect("said", b"secret" in told.err, False)
        with nats("--tls", "--tlscert", f"{folder}/cert", "--tlskey", f"{folder}/key") as server:
            server.url = server.url.replace("nats://127.0.0.1", "tls://localhost")
            got = bench.nebulet("worker", "--nats", server.url, "--subject", "up", build())
            expect("a stranger", (got.code, b"no connection to NATS" in got.err), (1, True))
            with worker(bench, engine, server, "--subject", "up", "--tls-ca", f"{folder}/cert") as work, \
                    Client(server.port, tls=f"{folder}/cert") as client:
                expect("connected", metrics(work)["nebulet_nats_connected"], 1)
                big = os.urandom(900000)  # many records of TLS
                for _ in range(3):
                    expect("an echo", client.request("up", big), ({}, big))
                expect("headers", client.request("up", b"exit")[0].get(ERROR), "500")
                end(work)


class Key:
    """An NKey of NATS: a key of Ed25519, with what it is for. https://docs.nats.io: nkeys, jwt."""
    KINDS = {"operator": 14, "account": 0, "user": 20}

    def __init__(self, folder, kind):
        self.kind, self.seed = kind, os.urandom(32)
        self.file = pathlib.Path(folder, f"key{id(self)}")
        self.file.write_bytes(bytes.fromhex("302e020100300506032b657004220420") + self.seed)
        public = base.run(["openssl", "pkey", "-inform", "DER", "-in", self.file, "-pubout", "-outform", "DER"], limit=60)
        public.check()
        self.name = self.text(bytes([self.KINDS[kind] << 3]) + public.out[-32:])

    @staticmethod
    def text(data):
        return base64.b32encode(data + binascii.crc_hqx(data, 0).to_bytes(2, "little")).decode().rstrip("=")

    def secret(self):
        kind = self.KINDS[self.kind] << 3
        return self.text(bytes([18 << 3 | kind >> 5, (kind & 31) << 3]) + self.seed)

    def sign(self, data):
        with tempfile.NamedTemporaryFile() as f:
            f.write(data)
            f.flush()
            done = base.run(["openssl", "pkeyutl", "-sign", "-rawin", "-keyform", "DER", "-inkey", self.file, "-in", f.name],
                            limit=60)
        done.check()
        return base64.urlsafe_b64encode(done.out).rstrip(b"=").decode()

    def vouch(self, key, **what):
        """A JWT that says what another key may do."""
        limits = {"subs": -1, "data": -1, "payload": -1}
        if key.kind == "account":
            what["limits"] = {**limits, "imports": -1, "exports": -1, "wildcards": True, "conn": -1, "leaf": -1}
        elif key.kind == "user":
            what.update(limits)
        claims = {"jti": key.name, "iat": int(time.time()), "iss": self.name, "sub": key.name, "name": key.kind,
                  "nats": {"type": key.kind, "version": 2, **what}}
        parts = [base64.urlsafe_b64encode(json.dumps(part).encode()).rstrip(b"=").decode()
                 for part in ({"typ": "JWT", "alg": "ed25519-nkey"}, claims)]
        return ".".join([*parts, self.sign(".".join(parts).encode())])


def credentials(path, jwt, key):
    path.write_text(f"-----BEGIN NATS USER JWT-----\n{jwt}\n------END NATS USER JWT------\n\n"
                    f"-----BEGIN USER NKEY SEED-----\n{key.secret()}\n------END USER NKEY SEED------\n")
    return path


def creds(bench, engine):
    """--creds: an operator that vouches for an account, which vouches for users."""
    with tempfile.TemporaryDirectory() as text:
        folder = pathlib.Path(text)
        operator, account, user, stranger = (Key(folder, kind) for kind in ("operator", "account", "user", "account"))
        jwt = account.vouch(user)
        good = credentials(folder / "good", jwt, user)
        bad = credentials(folder / "bad", stranger.vouch(user), user)
        stolen = credentials(folder / "stolen", jwt, Key(folder, "user"))  # without the key that it is for
        (folder / "config").write_text(f'operator: {operator.vouch(operator)}\nresolver: MEMORY\n'
                                       f'resolver_preload: {{ {account.name}: {operator.vouch(account)} }}\n')
        with nats("-c", str(folder / "config")) as server:
            for wrong in (bad, stolen):
                got = bench.nebulet("worker", "--nats", server.url, "--subject", "up", "--creds", wrong, build())
                expect(wrong.name, (got.code, b"uthoriz" in got.err), (1, True))
            with worker(bench, engine, server, "--subject", "up", "--creds", good) as work, \
                    Client(server.port, sign=lambda nonce: {"jwt": jwt, "sig": user.sign(nonce.encode())}) as client:
                expect("an echo", client.request("up", b"hello"), ({}, b"hello"))
                server.kill()
                serve.wait_for("lost", lambda: not metrics(work)["nebulet_nats_connected"])
                server.start()  # who comes back is asked again
                serve.wait_for("again", lambda: metrics(work)["nebulet_nats_connected"])
                told = end(work)
                expect("said", user.secret().encode() in told.err, False)


def one_slot(bench, engine):
    """Whatever became of a message, the next one has the same slot: of answers that did not wait for all of it, that broke
    off, and that were too long."""
    with nats() as server, worker(bench, engine, server, "--subject", "up", "--max-processes", "1", "--max-cpu", "4",
                                  "--max-body", "1M", "--log", "none") as work, Client(server.port) as client:
        big = bytes(500000)
        for turn in range(2):
            for word, status in (("exit", "500"), ("trap", "500"), ("loop", "504"), ("flood", "500")):
                expect(word, client.request("up", word.encode() + big)[0].get(ERROR), status)
                expect(f"after {word}", client.request("up", b"%d" % turn), ({}, b"%d" % turn))
            expect("large", client.request("up", bytes(1048570))[1] == bytes(1048570), True)
        end(work)


def stalled(bench, engine):
    """nats-server stands still: the worker says how it is all the while, and goes on when the server does."""
    with nats() as server, worker(bench, engine, server, "--subject", "up", "--log", "none") as work, \
            Client(server.port) as client:
        client.subscribe("answers")
        for turn in range(3):
            for i in range(200):
                client.publish("up", b"%d" % i, "answers")
            server.process.send_signal(signal.SIGSTOP)
            for _ in range(20):
                expect("connected", metrics(work)["nebulet_nats_connected"], 1)
            server.process.send_signal(signal.SIGCONT)
            got = sorted(int(client.next()[2]) for _ in range(200))
            expect("all", got == list(range(200)), True)
        end(work)


def full(bench, engine):
    """A stream that takes no more results: work that is done is not done again, and none is lost. What it will never take
    is given up."""
    with nats() as server, Client(server.port) as client:
        client.stream("JOBS", "jobs", retention="workqueue")
        client.stream("RESULTS", "results", max_msgs=5, discard="new", max_msg_size=1000)
        for i in range(20):
            client.publish("jobs", b"%d" % i)
        options = ["--jetstream", "JOBS", "--durable", "w", "--result", "results", "--retry", "0.05", "--deliveries", "3"]
        with worker(bench, engine, server, *options) as work:
            done = 'nebulet_messages_total{result="%s"}'
            serve.wait_for("full", lambda: metrics(work)[done % "done"] == 5 and metrics(work)["nebulet_requests_total"] >= 20)
            expect("kept", (client.messages("RESULTS"), client.messages("JOBS")), (5, 15))
            serve.wait_for("held", lambda: metrics(work)["nebulet_messages_held"] == 15)
            client.api("STREAM.UPDATE.RESULTS", {"name": "RESULTS", "subjects": ["results"], "storage": "file",
                                                 "max_msg_size": 1000})
            serve.wait_for("all", lambda: client.messages("RESULTS") == 20 and not client.messages("JOBS"))
            client.publish("jobs", bytes(2000))
            serve.wait_for("given up", lambda: metrics(work)[done % "given_up"] == 1)
            serve.wait_for("none left", lambda: not client.messages("JOBS"))
            expect("again", metrics(work)[done % "again"], 0)
            expect("held", metrics(work)["nebulet_messages_held"], 0)
            told = end(work)
            expect("told", b"the result of jobs: the stream does not take it" in told.err, True)
            expect("too long", b"its output is longer than the stream takes" in told.err, True)
            expect("runs", told.out.count(b'"POST /jobs HTTP/1.1" 200 '), 21)
        client.stream("NONE", "none", max_msgs=1, discard="new")
        client.publish("none", b"")
        client.publish("jobs", b"x")
        options[5] = "none"
        with worker(bench, engine, server, *options) as work:  # what is held at the end goes to others
            serve.wait_for("held", lambda: b"the result of jobs" in work.written(work.err))
            end(work)
            serve.wait_for("back", lambda: not client.api("CONSUMER.INFO.JOBS.w")["num_ack_pending"] or
                           client.api("CONSUMER.INFO.JOBS.w")["num_redelivered"])
        expect("not lost", client.messages("JOBS"), 1)


def too_long_with_its_name(bench, engine):
    """A result that the server would take without the header that it has, and a copy that it would not: both are given up,
    and whoever comes next has their slot."""
    with nats() as server, Client(server.port) as client:
        client.stream("JOBS", "jobs", retention="workqueue")
        client.subscribe("out")
        client.publish("jobs", bytes(1048576 - 10))
        client.publish("jobs", b"next")
        with worker(bench, engine, server, "--jetstream", "JOBS", "--durable", "w", "--result", "out", "--dead", "dead",
                    "--max-processes", "1", "--max-body", "2M", "--retry", "0.05") as work:
            expect("the next one", client.next()[2], b"next")
            serve.wait_for("none left", lambda: not client.messages("JOBS"))
            expect("given up", metrics(work)['nebulet_messages_total{result="given_up"}'], 1)
            expect("again", metrics(work)['nebulet_messages_total{result="again"}'], 0)
            told = end(work)
            for text in (b"given up after 1 deliveries: its output is longer than the server takes\n", b"nebulet: --dead dead: "):
                expect(text, told.err.count(text), 1)


def no_consumer(bench, engine):
    """One that goes is missed, and taken up when it is there again; one of another kind is not taken."""
    module = build()
    config = {"durable_name": "w", "ack_policy": "explicit", "max_ack_pending": 20000}
    with nats() as server, Client(server.port) as client:
        client.stream("JOBS", "jobs.>")
        client.stream("RESULTS", "results")
        client.api("CONSUMER.DURABLE.CREATE.JOBS.pushed", {"stream_name": "JOBS", "config": {
            **config, "durable_name": "pushed", "deliver_subject": "x"}})
        client.api("CONSUMER.DURABLE.CREATE.JOBS.other", {"stream_name": "JOBS", "config": {
            **config, "durable_name": "other", "filter_subject": "jobs.other"}})
        for durable, text in (("pushed", b"messages are pushed"), ("other", b"is for jobs.other, not jobs.mine")):
            got = bench.nebulet("worker", "--nats", server.url, "--jetstream", "JOBS", "--durable", durable, "--subject",
                                "jobs.mine", module)
            got.check(1, b"")
            expect(durable, text in got.err, True)
        with worker(bench, engine, server, "--jetstream", "JOBS", "--durable", "w", "--result", "results") as work:
            client.publish("jobs.a", b"a")
            serve.wait_for("first", lambda: client.messages("RESULTS") == 1)
            client.api("CONSUMER.DELETE.JOBS.w")
            client.publish("jobs.b", b"b")
            serve.wait_for("missed", lambda: b"nebulet: stream JOBS: " in work.written(work.err))
            client.api("CONSUMER.DURABLE.CREATE.JOBS.w", {"stream_name": "JOBS", "config": {**config, "deliver_policy": "last"}})
            serve.wait_for("second", lambda: client.messages("RESULTS") == 2)
            end(work)


def usage(bench):
    module = build()
    with nats() as server:
        for args, code, text in (([module], 2, b"which messages?"), (["--subject", "x"], 2, b"worker needs FILE"),
                                 (["--subject", "x", module, module], 2, b"takes FILE, and no more"),
                                 (["--subject", "a b", module], 2, b"no spaces"),
                                 (["--jetstream", "S", module], 2, b"--durable"),
                                 (["--subject", "x", "--durable", "d", module], 2, b"--jetstream STREAM"),
                                 (["--subject", "x", "--deliveries", "3", module], 2, b"tried again"),
                                 (["--subject", "x", "--tls-key", "k", module], 2, b"go together"),
                                 (["--subject", "x", "--max-processes", "5000", module], 2, b"1024 at most"),
                                 (["--subject", "x", "--servers", "17", module], 2, b"16 at most"),
                                 (["--subject", "x", "nothing.wasm"], 1, b"nothing.wasm"),
                                 (["--subject", "x", "--creds", "/nothing", module], 1, b"/nothing"),
                                 (["--subject", "x", "--tls-ca", "/nothing", module], 1, b"--tls-ca"),
                                 (["--jetstream", "NONE", "--durable", "d", module], 1, b"--jetstream"),
                                 (["--subject", "x", "--nats", "nats://127.0.0.1:1", module], 1, b"no connection")):
            got = bench.nebulet("worker", "--nats", server.url, *args)
            got.check(code, b"")
            if text not in got.err:
                raise base.Failed(f"{args}: stderr does not say {text!r}:\n{base.excerpt(got.err)}")
    with tempfile.TemporaryDirectory() as folder:  # what is found there first is none
        version = re.search(rb"libnats\.so\.[0-9.]+", bench.program.read_bytes())[0].decode()
        pathlib.Path(folder, version).write_bytes(b"")
        got = base.run([bench.program, "worker", "--subject", "x", module], env={**os.environ, "LD_LIBRARY_PATH": folder})
        got.check(1, b"")
        expect("no library", b"apt install libnats" in got.err, True)


def cases(bench):
    broken = sdk.build()
    if broken:
        raise base.Unavailable(broken)
    if not shutil.which("nats-server") or not shutil.which("openssl"):
        raise base.Unavailable("no nats-server or openssl: check/install test")
    for engine in bench.engines:
        for case in (requests, hostile, killed, poison, comes_back, bounded, ends, resident, reloads, servers, logins,
                     creds, one_slot, stalled, full, too_long_with_its_name, no_consumer):
            yield base.Case(case.__name__, engine, lambda c=case, e=engine: c(bench, e))
    yield base.Case("usage", "", lambda: usage(bench))
