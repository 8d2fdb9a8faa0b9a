# SPDX-License-Identifier: MIT
"""What a request costs a server: CPU time of its processes by /proc, over what wrk counts, 30 connections that stay
and 612 bytes of answer; all servers in turn, so many times. Ratios to nginx with a file."""
import contextlib
import os
import re
import shutil
import socket
import statistics
import subprocess
import tempfile
import time
from pathlib import Path

from harness import build, proc, table

SOURCES = build.ROOT / "bench/serve"
CONNECTIONS = 30
NGINX = """
worker_processes 1; pid {dir}/pid; error_log {dir}/errors; daemon off;
events {{ worker_connections 1000; }}
http {{ access_log off; types {{ text/html html; }} client_body_temp_path {dir}/body; fastcgi_temp_path {dir}/fcgi;
  proxy_temp_path {dir}/p; uwsgi_temp_path {dir}/u; scgi_temp_path {dir}/s; keepalive_requests 100000000;
  server {{ listen 127.0.0.1:{port}; root {dir}/www; {more} }} }}
"""
FCGI = """location / {{ fastcgi_pass unix:{dir}/fcgi.sock; fastcgi_param SCRIPT_FILENAME {program};
  fastcgi_param REQUEST_METHOD $request_method; fastcgi_param QUERY_STRING $query_string; }}"""


def free_port():
    with socket.socket() as s:
        s.bind(("127.0.0.1", 0))
        return s.getsockname()[1]


def tree(pid):
    """A process and those that it has started."""
    found = [pid]
    for parent in found:
        with contextlib.suppress(OSError):
            found += [int(c) for c in Path(f"/proc/{parent}/task/{parent}/children").read_text().split()]
    return found


def cpu_seconds(pids):
    """Of all, with their children that are over."""
    ticks = 0
    for root in pids:
        for pid in tree(root):
            with contextlib.suppress(OSError):
                fields = Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()
                ticks += sum(int(f) for f in fields[11:15])
    return ticks / os.sysconf("SC_CLK_TCK")


@contextlib.contextmanager
def announced(command):
    """A server that says its address, on stdout or stderr."""
    process = subprocess.Popen([str(c) for c in command], stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                               stderr=subprocess.STDOUT, text=True)
    try:
        found, said = None, ""
        while not found:
            line = process.stdout.readline()
            said += line
            if not line:
                raise proc.Failed(f"{command[0]}: {said.strip()}")
            found = re.search(r"at (http://\S+)", line)
        yield [process.pid], found[1]
    finally:
        process.terminate()
        process.wait()


@contextlib.contextmanager
def nginx(folder, more=None):
    port, pids = free_port(), []
    (folder / "www").mkdir(exist_ok=True)
    (folder / "www/page.html").write_text("x" * 612)
    processes = []
    if more:
        process = subprocess.Popen(["fcgiwrap", "-s", f"unix:{folder}/fcgi.sock"], stdin=subprocess.DEVNULL)
        processes.append(process)
        while not (folder / "fcgi.sock").exists():
            time.sleep(0.05)
        (folder / "fcgi.sock").chmod(0o666)
        more = FCGI.format(dir=folder, program=more)
    config = folder / "nginx.conf"
    config.write_text(NGINX.format(dir=folder, port=port, more=more or ""))
    for path in folder, folder / "www":
        path.chmod(0o755)
    processes.append(subprocess.Popen(["nginx", "-c", config, "-e", folder / "errors"], stdin=subprocess.DEVNULL))
    try:
        while True:
            with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", port)):
                break
            if processes[-1].poll() is not None:
                raise proc.Failed(f"nginx: {(folder / 'errors').read_text().strip()}")
            time.sleep(0.05)
        pids = [p.pid for p in processes]
        yield pids, f"http://127.0.0.1:{port}/{'' if more else 'page.html'}"
    finally:
        for process in processes:
            process.terminate()
            process.wait()


def load(url, seconds, *more):
    """How many requests were answered."""
    out = proc.check(["wrk", "-t", "1", "-c", CONNECTIONS, "-d", f"{seconds}s", *more, url])
    wrong = re.search(r"Non-2xx.*|Socket errors.*", out)
    if wrong and "Non" in wrong[0]:
        raise proc.Failed(f"{url}: {wrong[0]}")
    return int(re.search(r"(\d+) requests in", out)[1])


def measure(server, seconds):
    with server() as (pids, url):
        load(url, 1)
        before = cpu_seconds(pids)
        count = load(url, seconds)
        used = cpu_seconds(pids) - before
    if not count:
        raise proc.Failed(f"{url}: no request was answered")
    return used / count * 1e6, count / seconds


PIPELINE = """init = function()
  local all = {}
  for i = 1, 32 do all[i] = wrk.format() end
  requests = table.concat(all)
end
request = function() return requests end
"""


def busy(pid):
    """CPU time of each thread."""
    return {task.name: sum(int(f) for f in (task / "stat").read_text().rsplit(")", 1)[1].split()[11:13])
            for task in Path(f"/proc/{pid}/task").iterdir()}


def scaling(folder, ours, options):
    """What two CPUs do that one does, where wrk takes next to nothing: requests for each second of the busier CPU."""
    script = folder / "pipeline.lua"
    script.write_text(PIPELINE)
    cgi, files = [folder / "cgi.wasm"], ["--files", folder / "files"]
    cases = {"fresh process": (cgi, []), "fresh process, two servers": (cgi, ["--servers", "2"]),
             "a file, two servers": (files, ["--servers", "2"])}
    rates = {}
    for _ in range(options.reps):
        for name, (what, more) in cases.items():
            for cpus in 1, 2:
                with announced([*ours, "--cpus", str(cpus), *(more if cpus > 1 else []), *what]) as ((pid,), url):
                    load(url, 1, "-s", script)
                    before = busy(pid)
                    count = load(url, max(1, round(4 * options.scale)), "-s", script)
                    most = max(after - before.get(task, 0) for task, after in busy(pid).items())
                rates.setdefault((name, cpus), []).append(count / max(most, 1) * os.sysconf("SC_CLK_TCK"))
    medians = {key: statistics.median(all) for key, all in rates.items()}
    table.show("One CPU and two", ["", "1", "2", "times"],
               [[name, *(table.number(medians[name, n], 0) for n in (1, 2)),
                 table.number(medians[name, 2] / medians[name, 1])] for name in cases],
               ["requests a second of the CPU that is busier, 32 asked for at once, medians"])


def compile_all(folder, dirs):
    sip = build.ROOT / "build/sdk/nebulet.cfg"
    proc.check([build.CC, "-O2", SOURCES / "epoll.c", "-o", folder / "epoll"])
    proc.check([build.CC, "-O2", SOURCES / "cgi.c", "-o", folder / "cgi"])
    proc.check([build.CC, "--target=wasm32-wasi", "-Wno-deprecated", "--no-wasm-opt", "-O2", SOURCES / "cgi.c", "-o",
                folder / "cgi.wasm"])
    for name, more in ("prepares", []), ("prepared", ["-DONCE"]):
        proc.check([build.CC, "--target=wasm32-wasi", "-Wno-deprecated", "--no-wasm-opt", "-O2", *more,
                    SOURCES / "prepares.c", "-o", folder / f"{name}.wasm"])
    proc.check([build.CC, f"--config={sip}", "-O2", SOURCES / "resident.c", "-o", folder / "resident.wasm"])
    proc.check(["make", "-C", build.ROOT, "build/svc/http.wasm"])
    return dirs.build / "nebulet"


def quickjs(folder, dirs):
    """QuickJS from Debian's sources, and a handler with it, that begins anew or where it was left. False: it cannot
    be had."""
    source, out = build.ROOT / "build/src/quickjs", dirs.out / "quickjs"
    if proc.run([build.ROOT / "check/source", "quickjs/sid"]).code:
        build.say("no sources of quickjs: JavaScript is left out")
        return False
    (out / "include").mkdir(parents=True, exist_ok=True)
    (out / "include/setjmp.h").touch()  # is included, and not used
    flags = [build.CC, "--target=wasm32-wasi", "-Wno-deprecated", "-O2", "-w", "-D_GNU_SOURCE", "-DEMSCRIPTEN",
             '-DCONFIG_VERSION=""', "-D_WASI_EMULATED_SIGNAL", f"-I{out / 'include'}", f"-I{source}"]
    parts = [build.make(out / f"{part}.o", [*flags, "-c", source / f"{part}.c"], source / f"{part}.c")
             for part in ("quickjs", "libregexp", "libunicode", "cutils", "dtoa")]
    for name, more in ("script", []), ("scripted", ["-DONCE"]):
        proc.check([*flags, "--no-wasm-opt", "-Wl,--strip-debug", "-Wl,-z,stack-size=1048576", *more,
                    SOURCES / "quickjs.c", *parts, "-lwasi-emulated-signal", "-o", folder / f"{name}.wasm"])
    return True


def python(folder, dirs):
    """The same of MicroPython as its "embed" port has it, whose makefile puts its files and what is generated into a
    folder. False: it cannot be had."""
    source, out, ours = build.ROOT / "build/src/micropython", dirs.out / "python", SOURCES / "python"
    if proc.run([build.ROOT / "check/source", "micropython/trixie"]).code:
        build.say("no sources of micropython: Python is left out")
        return False
    out.mkdir(parents=True, exist_ok=True)
    (out / "Makefile").write_text(f"MICROPYTHON_TOP = {source}\ninclude {source}/ports/embed/embed.mk\n")
    shutil.copy(ours / "mpconfigport.h", out)
    proc.check(["make", "-C", out, f"CC={build.CC}", f"CPP={build.CC} -E", "micropython-embed-package"], timeout=600)
    package = out / "micropython_embed"
    flags = [build.CC, "--target=wasm32-wasi", "-Wno-deprecated", "-O2", "-w", "-mexception-handling", "-mllvm",
             "-wasm-enable-sjlj", "-mllvm", "-wasm-use-legacy-eh=false", f"-I{ours}", f"-I{package}", f"-I{package / 'port'}"]
    parts = [build.make(out / f"{part.stem}.o", [*flags, "-c", part], ours / "mpconfigport.h")
             for part in [*sorted((package / "py").glob("*.c")), ours / "setjmp.c"]]
    for name, more in ("python", []), ("pythoned", ["-DONCE"]):
        proc.check([*flags, "--no-wasm-opt", "-Wl,--strip-debug", "-Wl,-z,stack-size=262144", *more, ours / "handler.c",
                    *parts, "-o", folder / f"{name}.wasm"])
    return True


def serve_command(nebulet):
    return [nebulet, "serve", "--listen", "127.0.0.1:0", "--log", "none"]


def servers(folder, nebulet, languages):
    """Name -> what makes it; those whose program is not here are left out."""
    ours = [*serve_command(nebulet), "--cpus", "1"]
    (folder / "files").mkdir()
    (folder / "files/index.html").write_text("x" * 612)
    found = {"epoll, native": lambda: announced([folder / "epoll"])}
    if shutil.which("nginx"):
        found["nginx, a file"] = lambda: nginx(folder)
        if shutil.which("fcgiwrap"):
            found["nginx + fcgiwrap, native, fresh process"] = lambda: nginx(folder, folder / "cgi")
    if shutil.which("node"):
        found["node http"] = lambda: announced(["node", SOURCES / "node.js"])
    found["nebulet, a file"] = lambda: announced([*ours, "--files", folder / "files"])
    found["nebulet, fresh process"] = lambda: announced([*ours, folder / "cgi.wasm"])
    found["nebulet, fresh process, 256 KiB to fill"] = lambda: announced([*ours, folder / "prepares.wasm"])
    found["nebulet, the same, filled once"] = lambda: announced([*ours, folder / "prepared.wasm"])
    for language, anew, once in languages:
        found[f"nebulet, {language}"] = lambda a=anew: announced([*ours, folder / a])
        found[f"nebulet, {language}, begun once"] = lambda o=once: announced([*ours, folder / o])
    found["nebulet, handler that stays"] = lambda: announced([*ours, "--stream", folder / "resident.wasm"])
    return found


def under_load(seconds, dirs):
    """Many connections, slow clients among them, and wrk: bench/serve/load.py says what it saw."""
    with tempfile.TemporaryDirectory(prefix="nebulet-serve-") as folder:
        nebulet = compile_all(Path(folder), dirs)
        done = proc.run([SOURCES / "load.py", "--seconds", seconds, nebulet, f"{folder}/cgi.wasm"],
                        timeout=2 * seconds + 300)
    print(done.stdout, end="")
    return {}, [f"serve: under load: {done.stderr.strip() or 'see above'}"] if done.code else []


def main(options):
    build.packages(["serve"])
    if not shutil.which("wrk"):
        return {}, ["serve: no wrk"]
    if options.load:
        return under_load(options.load, options.dirs)
    seconds = max(1, round(4 * options.scale))
    results, failed = {}, []
    with tempfile.TemporaryDirectory(prefix="nebulet-serve-") as scratch:
        folder = Path(scratch)
        nebulet = compile_all(folder, options.dirs)
        languages = [names for get, *names in ((quickjs, "JavaScript", "script.wasm", "scripted.wasm"),
                                               (python, "Python", "python.wasm", "pythoned.wasm")) if get(folder, options.dirs)]
        found = servers(folder, nebulet, languages)
        for _ in range(options.reps):
            for name, server in found.items():
                build.say(name)
                try:
                    cost = measure(server, seconds)
                    results.setdefault(name, []).append(cost)
                except proc.Failed as why:
                    failed.append(f"serve: {name}: {why}")
        build.say("one CPU and two")
        try:
            scaling(folder, serve_command(nebulet), options)
        except proc.Failed as why:
            failed.append(f"serve: one CPU and two: {why}")
    costs = {name: statistics.median(cost for cost, _ in r) for name, r in results.items()}
    base = costs.get("nginx, a file")
    if not costs:
        return {}, failed
    rows = [[name, table.number(cost), table.number(cost / base) if base else "-",
             table.number(statistics.median(rate for _, rate in results[name]), 0)]
            for name, cost in costs.items()]
    table.show("A request of a server", ["", "CPU us", "ratio", "requests/s"], rows,
               [f"{CONNECTIONS} connections that stay, 612 bytes, medians; ratio of CPU time to nginx with a file"])
    return results, failed
