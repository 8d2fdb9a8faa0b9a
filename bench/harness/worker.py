# SPDX-License-Identifier: MIT
"""What a message of NATS costs a worker: CPU time of its process by /proc, over the messages that it has answered, a
fresh process for each. "Messages a second and core" is the other way round. nats-server's own CPU time is not in it.
Beside it what a program of libnats takes that answers them itself."""
import contextlib
import json
import os
import shutil
import socket
import statistics
import subprocess
import tempfile
import time
from pathlib import Path

from harness import build, proc, serve, table

SOURCES = build.ROOT / "bench/worker"
UNDER_WAY = 256
PATIENCE = 60


class Client:
    """Of nats-server, in a few lines: publishes many at once, and counts what comes."""

    def __init__(self, port):
        self.port = port
        self.file = self.connect().makefile("rwb", 0)
        self.say(b"SUB api 1\r\n")

    def connect(self):
        s = socket.create_connection(("127.0.0.1", self.port))
        s.settimeout(PATIENCE)
        s.recv(65536)
        s.sendall(b'CONNECT {"verbose":false}\r\n')
        return s

    def say(self, data):
        self.file.write(data)

    def requests(self, count):
        """So many of them, some under way at any time."""
        message, end = b"PUB work answers 16\r\n0123456789abcdef\r\n", b"cdef\r\n"
        answered, asked, left = 0, 0, b""
        with self.connect() as s:
            s.sendall(b"SUB answers 1\r\n")
            while answered < count:
                more = min(count - asked, UNDER_WAY - (asked - answered))
                if more >= UNDER_WAY // 4 or asked + more == count:
                    s.sendall(message * more)
                    asked += more
                got = s.recv(1 << 18)
                if not got:
                    raise proc.Failed("nats-server has closed the connection")
                if b"PING\r\n" in got:
                    s.sendall(b"PONG\r\n")
                got = left + got
                answered += got.count(end)
                left = b"" if got.endswith(end) else got[1 - len(end):]

    def api(self, call, what=""):
        text = json.dumps(what).encode() if what else b""
        self.say(b"PUB $JS.API.%s api %d\r\n%s\r\n" % (call.encode(), len(text), text))
        while not (line := self.file.readline()).startswith(b"MSG "):
            if line == b"PING\r\n":
                self.say(b"PONG\r\n")
            elif not line:
                raise proc.Failed("nats-server has closed the connection")
        size, text = int(line.split()[-1]) + 2, b""
        while len(text) < size:
            text += self.file.read(size - len(text))
        answer = json.loads(text)
        if "error" in answer:
            raise proc.Failed(f"nats-server: {call}: {answer['error']}")
        return answer

    def count(self, stream):
        return self.api(f"STREAM.INFO.{stream}")["state"]["messages"]

    def stream(self):
        """A stream, another one for results, and a consumer."""
        for name, how in ("JOBS", "workqueue"), ("RESULTS", "limits"):
            self.api(f"STREAM.CREATE.{name}", {"name": name, "subjects": [name.lower()], "storage": "memory", "retention": how})
        self.api("CONSUMER.DURABLE.CREATE.JOBS.w", {"stream_name": "JOBS", "config": {
            "durable_name": "w", "ack_policy": "explicit", "ack_wait": 60 * 10**9, "max_ack_pending": 65536}})

    def jobs(self, count):
        """So many, until each has its result and is acknowledged."""
        want = self.count("RESULTS") + count
        with self.connect() as s:
            s.sendall(b"PUB jobs 16\r\n0123456789abcdef\r\n" * count + b"PING\r\n")
            while b"PONG\r\n" not in s.recv(65536):
                pass
        end = time.monotonic() + PATIENCE
        while self.count("RESULTS") < want or self.count("JOBS"):
            if time.monotonic() > end:
                raise proc.Failed(f"{self.count('RESULTS')} results of {want}")
            time.sleep(0.02)


@contextlib.contextmanager
def nats_server():
    port = serve.free_port()
    with tempfile.TemporaryDirectory(prefix="nebulet-nats-") as folder:
        process = subprocess.Popen(["nats-server", "-a", "127.0.0.1", "-p", str(port), "-js", "-sd", folder],
                                   stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        try:
            while process.poll() is None:
                with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", port)):
                    break
                time.sleep(0.05)
            yield port
        finally:
            process.kill()
            process.wait()


@contextlib.contextmanager
def running(command, says):
    """Until it says that it is ready."""
    process = subprocess.Popen([str(c) for c in command], stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                               stderr=subprocess.STDOUT, text=True)
    try:
        said = ""
        while says not in said:
            line = process.stdout.readline()
            said += line
            if not line:
                raise proc.Failed(f"{command[0]}: {said.strip()}")
        yield process.pid
    finally:
        process.terminate()
        process.wait()


def measure(work, pid, count):
    """Microseconds of CPU time for each."""
    work(count // 10)
    before = serve.cpu_seconds([pid])
    work(count)
    return (serve.cpu_seconds([pid]) - before) / count * 1e6


def workers(folder, nebulet, url):
    ours = [nebulet, "worker", "--nats", url, "--log", "none", "--metrics", "127.0.0.1:0"]
    stream = ["--jetstream", "JOBS", "--durable", "w", "--result", "results"]
    native = [folder / "echo", url]
    for name, more in ("", []), (", one CPU", ["--cpus", "1"]):
        yield f"nebulet{name}", "subject", [*ours, *more, "--subject", "work", folder / "handler.wasm"], "serving"
        yield f"nebulet{name}", "stream", [*ours, *more, *stream, folder / "handler.wasm"], "serving"
    yield "libnats, native", "subject", [*native, "work"], "ready"
    yield "libnats, native", "stream", [*native, "JOBS", "w", "results"], "ready"


def main(options):
    if not shutil.which("nats-server") or not Path("/usr/include/nats/nats.h").exists():
        return {}, ["worker: no nats-server or libnats"]
    results, failed = {}, []
    count = max(100, round(40000 * options.scale))
    with tempfile.TemporaryDirectory(prefix="nebulet-worker-") as scratch:
        folder = Path(scratch)
        proc.check([build.CC, "-O2", SOURCES / "echo.c", "-o", folder / "echo", "-lnats"])
        proc.check([*build.GUEST, SOURCES / "handler.c", "-o", folder / "handler.wasm"])
        proc.check(["make", "-C", build.ROOT, "build/svc/http.wasm"])
        for _ in range(options.reps):
            with nats_server() as port:
                client = Client(port)
                client.stream()
                for name, kind, command, says in workers(folder, options.dirs.build / "nebulet", f"nats://127.0.0.1:{port}"):
                    build.say(f"{name}, {kind}")
                    try:
                        with running(command, says) as pid:
                            cost = measure(client.requests if kind == "subject" else client.jobs, pid, count)
                        results.setdefault((name, kind), []).append(cost)
                    except (OSError, proc.Failed) as why:
                        failed.append(f"worker: {name}, {kind}: {why}")
    costs = {key: statistics.median(all) for key, all in results.items()}
    rows = [[name, *(cell for kind in ("subject", "stream") for cost in [costs.get((name, kind))]
                     for cell in (table.number(cost), table.number(cost and 1e6 / cost, 0)))]
            for name in dict.fromkeys(name for name, _ in costs)]
    table.show("A message of a worker", ["", "subject us", "a second", "stream us", "a second"], rows,
               [f"CPU time of the worker's process, 16 bytes, {UNDER_WAY} under way, medians; a second: of that time. "
                "Stream: with results in a stream"])
    return {f"{name}, {kind}": all for (name, kind), all in results.items()}, failed
