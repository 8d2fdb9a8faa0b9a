# SPDX-License-Identifier: MIT
"""The kernel's own operations: calls, switches, messages, processes, and how many of them there can
be; in the kernel, and in the Linux program beside what Linux itself takes.

bench/kern/kern.c measures from inside. Counts in the kernel are exact: under -icount its clock
counts instructions. On Linux ours and Linux's own take turns, and medians are shown.
"""
import os
import re
import statistics
import subprocess
from contextlib import contextmanager
from dataclasses import dataclass

from harness import boot, build, polls, proc, table

LINE = re.compile(r"^(\w+) (\d+)\r?$", re.MULTILINE)
HERDS = [1000, 2000, 5000, 10000, 12000, 13000, 16000, 20000]
MEGABYTES = 1024  # that the kernel has for them
GUEST_TOUCHED = 4096  # the page of its memory that a process of the herd has written to


@dataclass
class Row:
    """An operation: what kern.c is to do, and which of its lines says how long n of it took."""
    title: str
    words: list  # after n
    line: str
    kernel_n: int  # 0: not in the kernel
    linux_n: int
    kernel_goal: str
    linux_goal: str = ""
    peer: str = ""
    peer_n: int = 0
    per: int = 1  # operations in one of n
    minus: str = "" # a line to subtract
    cpus: int = 1


ROWS = [
    Row("null call", [], "null", 10000, 3000000, "12", "1/10", "getppid", 300000, minus="loop"),
    Row("call with handle, type, rights", [], "checked", 10000, 3000000, "25", "1/10", "getppid",
        300000, minus="loop"),
    Row("switch to another thread", [], "switch", 10000, 300000, "30", "", "futex", 20000, per=2,
        minus="null"),
    Row("round trip of 64 bytes, same CPU", ["1"], "channel", 10000, 100000, "400, 300", "", "pipe",
        20000),
    Row("the same, a call at each end", ["1"], "call", 10000, 100000, "400, 300", "", "pipe", 20000),
    Row("round trip of 64 bytes, two CPUs", ["2"], "channel", 0, 100000, "", "1000", "pipe", 20000,
        cpus=2),
    Row("the same, a call at each end, two CPUs", ["2"], "call", 0, 100000, "", "1000", "pipe",
        20000, cpus=2),
    Row("process, made to over", [], "process", 500, 3000, "8000, 5000", "5000, 3000", "spawn",
        200),
    Row("window of 64 KiB on shared memory, and undone", [], "map", 500, 3000, "2500", "", "mmap",
        3000),
]
MODE = {"null": "calls", "checked": "calls", "call": "channel"}
PEERS = {"yield": ("sched_yield, to another process and back", 100000)}


# --- Running

def lines(text):
    """What kern.c has printed, by name."""
    if "FAILED" in text or not LINE.search(text):
        last = (text.strip().splitlines() or ["it printed nothing"])[-1]
        raise proc.Failed(f"kern.c: {last}")
    return {name: int(value) for name, value in LINE.findall(text)}


def linux_command(options, words, cpus):
    folder = options.dirs.out / "kern"
    return [options.dirs.build / "nebulet", "run", "--cpus", cpus, "--dir", f"{folder}::/",
            folder / "kern.wasm", *words]


@contextmanager
def on_cpus(count):
    """Whatever is started meanwhile may use so many of the CPUs that we may."""
    all_cpus = os.sched_getaffinity(0)
    os.sched_setaffinity(0, sorted(all_cpus)[-count:])
    yield
    os.sched_setaffinity(0, all_cpus)


def on_linux(options, words, cpus=1):
    with on_cpus(cpus):
        result = proc.run(linux_command(options, words, cpus), timeout=120)
    if result.code != 0:
        raise proc.Failed(f"kern {' '.join(map(str, words))}: {result.stdout.strip()[-80:]} {result.why()}")
    return lines(result.stdout)


def peer(options, what, n, cpus=1):
    """Nanoseconds that Linux takes for one."""
    with on_cpus(cpus):
        return int(proc.check([options.dirs.native("peers"), what, n]).split()[1]) / n


def in_kernel(options, files, words, *flags, memory=256):
    line = "init=/kern.wasm " + " ".join(map(str, words))
    return lines(boot.boot_archive(options, files, line, *flags, memory=("-m", str(memory))))


def one(row, found, n):
    return (found[row.line] - (found[row.minus] if row.minus else 0)) / (n * row.per)


# --- Operations

def words_of(row, n):
    words = [MODE.get(row.line, row.line), n, *row.words]
    return words if row.cpus == 1 else ["pinned", *words]


def measure_linux(options, row):
    """Two lists of nanoseconds: ours and Linux's own, taken in turns."""
    n, peer_n = (max(10, int(x * options.scale)) for x in (row.linux_n, row.peer_n))
    ours, theirs = [], []
    for _ in range(options.reps):
        ours.append(one(row, on_linux(options, words_of(row, n), row.cpus), n))
        theirs.append(peer(options, row.peer, peer_n, row.cpus))
    return ours, theirs


def measure(options, files, row):
    data = {"kernel": None, "linux": [], "peer": []}
    if row.kernel_n:
        n = row.kernel_n
        data["kernel"] = one(row, in_kernel(options, files, words_of(row, n), *boot.COUNT), n)
    data["linux"], data["peer"] = measure_linux(options, row)
    return data


def show_operations(results, other):
    rows = []
    for row in ROWS:
        d = results[row.title]
        ours, theirs = statistics.median(d["linux"]), statistics.median(d["peer"])
        least = min(d["linux"])
        rows.append([row.title, table.number(d["kernel"], 0), row.kernel_goal or "-",
                     table.number(ours, 1), table.number(least, 1), row.linux_goal or "-",
                     table.number(theirs, 0),
                     row.peer, table.number(theirs / ours, 1)])
    table.show("Operations: instructions in the kernel, nanoseconds on Linux (medians)",
               ["operation", "kernel", "goal", "nebulet run", "least", "goal", "Linux itself", "its",
                "times"],
               rows, [f"{title} of Linux: {statistics.median(all_ns):.0f} ns"
                      for title, all_ns in other.items()])


def operations(options, files):
    results = {}
    for row in ROWS:
        build.say(f"  {row.title}")
        results[row.title] = measure(options, files, row)
    other = {title: [peer(options, what, max(10, int(n * options.scale)))
                     for _ in range(options.reps)] for what, (title, n) in PEERS.items()}
    show_operations(results, other)
    return {"operations": results, "peers": other}


# --- A ring

RING_MIB = 1000


def ring(options):
    """Bytes that one process writes and another reads, copied in and out, on two CPUs."""
    build.say("  a ring between two processes")
    amount = max(10, int(RING_MIB * options.scale))
    rates = [(amount << 20) / on_linux(options, ["ring", amount], 2)["ring"] for _ in range(options.reps)]
    table.show("A ring in a memory object, between two processes", ["what", "", "goal"], [
        ["nebulet run --cpus 2: GB a second", table.number(statistics.median(rates), 2), "1"],
        ["the same, most", table.number(max(rates), 2), ""]])
    return rates


# --- Memory, and how many there can be

def status_of(pid):
    """(resident bytes, bytes of page tables, mappings) of a process."""
    with open(f"/proc/{pid}/status", encoding="ascii", errors="replace") as file:
        fields = dict(line.split(":", 1) for line in file)
    with open(f"/proc/{pid}/maps", "rb") as file:
        maps = file.read().count(b"\n")
    return (int(fields["VmRSS"].split()[0]) * 1024, int(fields["VmPTE"].split()[0]) * 1024, maps)


def linux_herd(options, n):
    """(status, bytes that process_info tells) while n processes wait."""
    with subprocess.Popen([str(w) for w in linux_command(options, ["idle", n], 1)],
                          stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as program:
        text = ""
        while "herd " not in text and (line := program.stdout.readline()):
            text += line
        found, status = lines(text), status_of(program.pid)
        program.stdin.close()
        program.stdout.read()
    return status, found["kernel_memory"]


def linux_memory(options):
    """What a process costs more than it touches: the difference of 500 and 2500 of them, by one."""
    few, many = (linux_herd(options, n) for n in (500, 2500))
    rss, tables, maps = ((b - a) / 2000 for a, b in zip(few[0], many[0]))
    return {"records": many[1], "resident": rss - GUEST_TOUCHED, "tables": tables, "mappings": maps}


def kernel_memory(options, files):
    few, many = (boot.touched(options, files, f"init=/kern.wasm herd {n}", MEGABYTES)
                 for n in (500, 2500))
    return {"records": lines(many[0])["kernel_memory"],
            "touched": (many[1] - few[1]) / 2000 - GUEST_TOUCHED}


def most(run):
    """The largest herd that lives, and why the next one does not."""
    alive, why = 0, ""
    for n in HERDS:
        try:
            alive = run(n)["alive"]
        except proc.Failed as error:
            why = str(error).splitlines()[-1][:100]
            break
    return {"alive": alive, "why": why}


def show_memory(data):
    linux, kernel = data["linux"], data["kernel"]
    kib = [table.number(v / 1024, 1) for v in (
        kernel["records"], kernel["touched"], linux["records"], linux["resident"], linux["tables"])]
    table.show("An idle process, KiB beyond the page of its memory that it has touched",
               ["what", "", "goal"], [
        ["kernel: its records, by process_info", kib[0], ""],
        ["kernel: pages that anything touched, with page tables and stack", kib[1], "16, 8"],
        ["nebulet run: its records, by process_info", kib[2], ""],
        ["nebulet run: resident, with its stack", kib[3], "16, 8"],
        ["nebulet run: page tables of Linux's", kib[4], ""],
        ["nebulet run: mappings of Linux's", table.number(linux["mappings"], 1), ""],
    ], ["differences of 2500 and 500 processes, by one"])
    table.show("Processes that live and answer at the same time (tried: "
               + ", ".join(map(str, HERDS)) + ")", ["where", "most", "goal"], [
        [f"kernel, {MEGABYTES} MiB", str(data["kernel_most"]["alive"]), "10000, 20000"],
        ["nebulet run", str(data["linux_most"]["alive"]), "10000"],
    ], [f"{where}: {data[key]['why']}" for where, key in (
        ("kernel", "kernel_most"), ("nebulet run", "linux_most")) if data[key]["why"]])


def memory(options, files):
    build.say("  memory, and how many live")
    data = {"linux": linux_memory(options), "kernel": kernel_memory(options, files)}
    data["linux_most"] = most(lambda n: on_linux(options, ["herd", n]))
    data["kernel_most"] = most(lambda n: in_kernel(options, files, ["herd", n], memory=MEGABYTES))
    show_memory(data)
    return data


# --- Compute code

def same_code(options, files):
    """Whether a loop is compiled to the same bytes as with polls ruled out."""
    quiet = options.dirs.out / "work-quiet.wasm"
    polls.without_polls(files["work.wasm"], quiet)
    listings = [proc.check([options.dirs.build / "nebulet", "inspect", "--code=2", module])
                for module in (files["work.wasm"], quiet)]
    return listings[0] == listings[1] and len(listings[0]) > 0


def least(options, words, cpus):
    return min(on_linux(options, words, cpus)["work"] for _ in range(options.reps))


def compute(options, files):
    build.say("  compute code")
    n, few = int(100_000_000 * options.scale), 1_000_000
    alone, beside = (in_kernel(options, files, ["work", few, 1, idle], *boot.COUNT)["work"]
                     for idle in (0, 1000))
    linux_alone = linux_beside = one_cpu = two_cpus = peer_one = peer_two = float("inf")
    for _ in range(options.reps):
        linux_alone = min(linux_alone, on_linux(options, ["work", n, 1, 0])["work"])
        linux_beside = min(linux_beside, on_linux(options, ["work", n, 1, 1000])["work"])
        one_cpu = min(one_cpu, on_linux(options, ["work", n, 2, 0], 1)["work"])
        peer_one = min(peer_one, peer(options, "work", n, 1))
        two_cpus = min(two_cpus, on_linux(options, ["work", n, 2, 0], 2)["work"])
        peer_two = min(peer_two, peer(options, "work", n, 2))
    data = {"same_code": same_code(options, files), "kernel": [alone, beside],
            "linux": [linux_alone, linux_beside], "scaling": [one_cpu, two_cpus],
            "peer_scaling": [peer_one, peer_two]}
    table.show("Compute code without threads", ["what", "", "goal"], [
        ["code bytes of a loop, against those with polls ruled out",
         "same" if data["same_code"] else "DIFFERENT", "same"],
        ["kernel: instructions, 1000 processes idle, ratio to none", f"{beside / alone:.5f}", "1"],
        ["nebulet run: time, 1000 processes idle, ratio to none (least)",
         table.number(linux_beside / linux_alone, 3), "1"],
        ["nebulet run: two processes, --cpus 2 faster than 1 (least)",
         table.number(one_cpu / two_cpus, 2), "1.9"],
        ["two processes of Linux's own, likewise: what was to be had", table.number(
            peer_one / peer_two, 2), ""],
    ], ["with threads: bench/run polls"])
    return data


def main(options):
    """Runs the section; returns (what goes into the JSON file, failures)."""
    files = build.kernel_guests(options.dirs)
    if not (options.dirs.build / "nebulet.elf").exists():
        build.say("kern: no nebulet.elf: run make first")
        return {}, []
    data = operations(options, files)
    data["ring"] = ring(options)
    data["memory"] = memory(options, files)
    data["compute"] = compute(options, files)
    return data, [] if data["compute"]["same_code"] else ["compute code polls"]
