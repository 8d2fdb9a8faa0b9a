#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Many connections at once, slow clients among them, and wrk on top of that: what fails, what memory the server takes,
and how long answers take. `bench/run serve --load SECONDS` runs it; exit code 1: something failed, or memory grew.

Most connections say nothing and ask now and then; of the slow ones one half sends its requests a byte at a time, the
other asks for a file of 64 KiB and takes 1 KiB at a time. wrk asks as fast as it is answered, then half as often.
"""
import argparse
import contextlib
import heapq
import json
import os
import random
import re
import resource
import selectors
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import time
from pathlib import Path

LONG = 65536
PAUSE = """
function delay() return %d end
"""
REPORT = """
done = function(summary, latency, requests)
  io.write(string.format("RESULT %d %d %d %d %d %d\\n", summary.requests, summary.duration, summary.errors.status,
    summary.errors.connect + summary.errors.read + summary.errors.write + summary.errors.timeout,
    latency:percentile(50), latency:percentile(99)))
end
"""


class Connection:
    """What it is to send, a piece at a time, and what must come."""

    def __init__(self, load, kind):
        self.load, self.kind = load, kind
        self.socket = socket.socket()
        if kind == "takes":
            self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        self.socket.connect(load.address)
        self.socket.setblocking(False)
        self.got, self.left = b"", b""

    def begin(self):
        path = "/files/long" if self.kind == "takes" else self.load.path
        self.left = f"GET {path} HTTP/1.1\r\nHost: load\r\n\r\n".encode()
        self.got = b""

    def turn(self):
        """Its time has come: when it will come again."""
        if not self.left and not self.got:
            self.begin()
        if self.left:
            piece = self.left[:1] if self.kind == "sends" else self.left
            self.socket.send(piece)
            self.left = self.left[len(piece):]
        if self.kind == "takes":
            self.read(1024)
        elif not self.left:
            return None  # until the answer is there
        return 0.3 + random.random() * 0.2

    def read(self, room=65536):
        try:
            part = self.socket.recv(room)
        except BlockingIOError:
            return
        if not part:
            raise OSError("the connection has ended")
        self.got += part
        head, end, body = self.got.partition(b"\r\n\r\n")
        if not end:
            return
        if not head.startswith(b"HTTP/1.1 200 "):
            raise OSError(head.split(b"\r\n")[0].decode())
        length = re.search(rb"Content-Length: (\d+)", head)
        if len(body) == int(length[1]) if length else body.endswith(b"\r\n0\r\n\r\n"):
            self.got = b""
            self.load.answers += 1


class Load:
    """On a thread: all connections, each in its turn."""

    def __init__(self, address, path, idle, slow):
        self.address, self.path, self.answers, self.failures = address, path, 0, []
        self.over = False
        kinds = ["idle"] * idle + ["sends"] * (slow // 2) + ["takes"] * (slow - slow // 2)
        self.all = [Connection(self, kind) for kind in kinds]
        self.thread = threading.Thread(target=self.run, daemon=True)

    def fail(self, c, why):
        self.failures.append(f"{c.kind}: {why}")
        with contextlib.suppress(KeyError, ValueError):
            self.selector.unregister(c.socket)
        c.socket.close()

    def run(self):
        self.selector = selectors.DefaultSelector()
        begun = time.monotonic()
        turns = []
        for i, c in enumerate(self.all):
            heapq.heappush(turns, (begun + random.random() * (20 if c.kind == "idle" else 1), i))
            if c.kind != "takes":
                self.selector.register(c.socket, selectors.EVENT_READ, (c, i))
        while not self.over:
            now = time.monotonic()
            while turns and turns[0][0] <= now:
                _, i = heapq.heappop(turns)
                try:
                    again = self.all[i].turn()
                    if again:
                        heapq.heappush(turns, (now + again, i))
                except OSError as why:
                    self.fail(self.all[i], why)
            for key, _ in self.selector.select(min(0.1, max(0, turns[0][0] - now)) if turns else 0.1):
                c, i = key.data
                waited = not c.left and c.got is not None
                try:
                    c.read()
                except OSError as why:
                    self.fail(c, why)
                    continue
                if waited and not c.got:
                    heapq.heappush(turns, (now + (10 + random.random() * 10 if c.kind == "idle" else 0.3), i))

    def __enter__(self):
        self.thread.start()
        return self

    def __exit__(self, *_):
        self.over = True
        self.thread.join()
        for c in self.all:
            c.socket.close()


@contextlib.contextmanager
def serving(command):
    with tempfile.TemporaryFile() as err:
        process = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=err)
        try:
            while not (found := re.search(rb"at http://([\d.]+):(\d+)/", os.pread(err.fileno(), 1 << 16, 0))):
                if process.poll() is not None:
                    sys.exit(os.pread(err.fileno(), 1 << 16, 0).decode())
                time.sleep(0.01)
            yield process, (found[1].decode(), int(found[2]))
        finally:
            process.send_signal(signal.SIGTERM)
            process.wait()


def memory(pid):
    """KiB of its own, beyond what files have."""
    return int(re.search(r"RssAnon:\s*(\d+)", Path(f"/proc/{pid}/status").read_text())[1])


@contextlib.contextmanager
def watching(pid, seconds):
    """Memory, every so often."""
    seen, over = [], threading.Event()

    def watch():
        while not over.wait(seconds):
            seen.append(memory(pid))
    thread = threading.Thread(target=watch)
    thread.start()
    try:
        yield seen
    finally:
        over.set()
        thread.join()


def cpu(pid):
    return sum(map(int, Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()[11:13])) / os.sysconf("SC_CLK_TCK")


def wrk(address, path, seconds, connections, pause=0):
    """What its report says, times in microseconds."""
    with tempfile.NamedTemporaryFile("w", suffix=".lua") as script:
        script.write(REPORT + (PAUSE % pause if pause else ""))
        script.flush()
        out = subprocess.run(["wrk", "-t", "1", "-c", str(connections), "-d", f"{seconds}s", "--timeout", "30s", "-s",
                              script.name, "http://%s:%d%s" % (*address, path)], stdout=subprocess.PIPE, text=True, check=True).stdout
    n, us, status, errors, median, p99 = map(int, re.search(r"RESULT (.*)", out)[1].split())
    return {"requests": n, "rate": n / us * 1e6, "failed": status + errors, "median": median, "p99": p99}


def measure(o):
    command = [o.nebulet, "serve", "--listen", "127.0.0.1:0", "--log", "none", "--max-connections",
               str(o.connections + 200), "--queue", str(o.connections + 200), "--idle", "900",
               "--engine", o.engine, *(["--cpus", str(o.cpus)] if o.cpus else []), "--files",
               f"/files={o.folder}", o.module]
    with serving(command) as (process, address), watching(process.pid, o.seconds / 20) as watched:
        wrk(address, o.path, 1, o.wrk)
        before = memory(process.pid)
        with Load(address, o.path, o.connections - o.slow, o.slow) as load:
            full = wrk(address, o.path, max(1, o.seconds // 4), o.wrk)
            at_first, used = memory(process.pid), cpu(process.pid)
            long = wrk(address, o.path, max(1, o.seconds // 2), o.wrk)
            at_last, used = memory(process.pid), cpu(process.pid) - used
            half = wrk(address, o.path, max(1, o.seconds // 4), o.wrk, round(o.wrk / max(1, full["rate"] / 2) * 1000))
            open_now = sum(c.socket.fileno() >= 0 for c in load.all)
        return {"connections": open_now, "answers": load.answers, "broken": load.failures, "full": long, "half": half,
                "failed": full["failed"] + long["failed"] + half["failed"] + len(load.failures),
                "us": used / max(1, long["requests"]) * 1e6, "memory": [before, at_first, at_last], "watched": watched}


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--seconds", type=int, default=60)
    parser.add_argument("--connections", type=int, default=10000, help="open at once, without those of wrk")
    parser.add_argument("--slow", type=int, default=1000, help="among them")
    parser.add_argument("--wrk", type=int, default=30, help="connections of wrk")
    parser.add_argument("--cpus", type=int)
    parser.add_argument("--engine", default="fast")
    parser.add_argument("--json", action="store_true")
    parser.add_argument("nebulet")
    parser.add_argument("module", help="a handler")
    parser.add_argument("path", nargs="?", default="/", help="that it answers")
    o = parser.parse_args()
    hard = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    if hard < o.connections + 200:
        sys.exit(f"{o.connections} connections need as many descriptors, and the system allows {hard}")
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    with tempfile.TemporaryDirectory(prefix="nebulet-load-") as folder:
        o.folder = folder
        Path(folder, "long").write_bytes(b"x" * LONG)
        r = measure(o)
    grown = r["memory"][2] - r["memory"][1]
    if o.json:
        print(json.dumps(r))
    else:
        full, half = r["full"], r["half"]
        kinds = {kind: sum(b.startswith(kind) for b in r["broken"]) for kind in ("idle", "sends", "takes")}
        print(f"{r['connections']} connections, {o.slow} of them slow, {r['answers']} answers to them, "
              f"{full['requests'] + half['requests']} to wrk; {r['failed']} failed {kinds} {r['broken'][:3]}")
        print(f"as fast as it goes: {full['rate']:.0f} requests/s, {r['us']:.1f} us of CPU each, median {full['median']} us, "
              f"99 % {full['p99']} us")
        print(f"half as fast: {half['rate']:.0f} requests/s, median {half['median']} us, 99 % {half['p99']} us: "
              f"{half['p99'] / max(1, half['median']):.1f} times")
        print(f"memory: {r['memory'][0]} KiB before, {r['memory'][1]} after a quarter, {r['memory'][2]} after three; "
              f"all the while: {' '.join(map(str, r['watched']))}")
    sys.exit(bool(r["failed"]) or grown > max(2048, r["memory"][1] // 20))


if __name__ == "__main__":
    main()
