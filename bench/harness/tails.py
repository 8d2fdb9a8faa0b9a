# SPDX-License-Identifier: MIT
"""What tail calls cost: an interpreter whose operations go on to each other by them, against the same as one loop
natively, and a great many of them in a row, which must take no stack.

The interpreter is bench/prog/vm.c. A module without tail calls has the loop. Times are CPU time from start to
exit, the compilation included, but for V8, whose start-up is as long as the work: its programs time themselves.
"""
import re

from harness import build, proc, table

ENGINES = ("native", "fast", "interp", "liftoff", "turbofan")
FORMS = ["vm", "vm-tails"]
CALLS = 1_000_000_000
STACK = "256K"
TIME = re.compile(r"^time_ns (\d+)$", re.MULTILINE)


def prepare(dirs):
    source, header = build.PROGRAMS / "vm.c", build.PROGRAMS / "bench.h"
    build.program(dirs, "vm")
    build.make(dirs.native("vm-tails"), [*build.NATIVE, "-DBENCH_TAILS", source], source, header)
    build.make(dirs.wasm("vm-tails"), [*build.GUEST, "-mtail-call", "-DBENCH_TAILS", source], source, header)
    return build.make(dirs.wasm("tails"), ["wat2wasm", "--enable-tail-call", build.BENCH / "tails.wat"], build.BENCH / "tails.wat")


def interpreters(options, engines, failures):
    """{engine: {form: ns at full scale}}, the least of all runs, which take turns."""
    least = {engine.name: {} for engine in engines}
    for rep in range(options.reps):
        for engine in engines:
            if rep >= engine.max_reps:
                continue
            for form in FORMS:
                scale = options.scale * engine.scale
                result = proc.run(engine.command(form, [str(scale)]), timeout=300)
                time = TIME.search(result.stderr)
                if result.code or not time:
                    failures.append(f"tails: {form} on {engine.name}: {result.why()}")
                    continue
                ns = int(time[1]) / engine.scale
                least[engine.name][form] = min(ns, least[engine.name].get(form, ns))
    return least


def many(options, engine, module, failures):
    """Nanoseconds a call of CPU time, of CALLS in a row on a stack of STACK; None: it failed."""
    calls = int(CALLS * min(options.scale, 1)) // 2 * 2
    command = [options.dirs.build / "nebulet", "run", "--engine", engine, "--stack", STACK, "--invoke", "calls", module, str(calls)]
    result, samples = proc.measure(build.measure(options.dirs), command, 1)
    if result.code or result.stdout.strip() != "0":
        failures.append(f"tails: {calls} calls on {engine}: {result.why()} {result.stdout.strip()}")
        return None
    return samples[0].cpu_ns / calls


def main(options, native, engines):
    """Runs the section; returns (what goes into the JSON file, failures)."""
    module = prepare(options.dirs)
    proc.pin()
    failures = []
    chosen = [e for e in [native, *engines] if e.name in ENGINES]
    times = interpreters(options, chosen, failures)
    data = {"vm": times, "calls": {}}
    loop = times["native"].get("vm")
    rows = []
    for engine in chosen:
        ours = engine.name in ("fast", "interp")
        each = many(options, engine.name, module, failures) if ours else None
        data["calls"][engine.name] = each
        forms = [times[engine.name].get(form) for form in FORMS]
        rows.append([engine.name, *(table.number(t / loop) if t and loop else "-" for t in forms), table.number(each) if each else "-"])
    table.show("Tail calls", ["engine", "loop, ratio to native", "by tail calls, ratio to the loop natively", "ns a call"], rows,
               [f"ns a call: CPU time, {CALLS} calls in a row on a stack of {STACK}"])
    return data, failures
