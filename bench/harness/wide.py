# SPDX-License-Identifier: MIT
"""What addresses of 64 bits cost: the programs of bench/wide.c for memory64, against the same for memories of 32
bits, interleaved. CPU time from start to exit, the compilation included."""
import re

from harness import build, proc, table

TARGETS = ["wasm32", "wasm64"]
FLAGS = ["--no-wasm-opt", "-O2", "-nostdlib", "-mbulk-memory", "-Wl,--no-entry"]


def main(options, engines):
    """Runs the section; returns (what goes into the JSON file, failures)."""
    source = build.BENCH / "wide.c"
    names = re.findall(r"^PROGRAM\((\w+)\)$", source.read_text(), re.M)
    for target in TARGETS:
        proc.check(["clang-22", f"--target={target}", *FLAGS, source, "-o", options.dirs.wasm(f"wide-{target}")])
    helper, core = build.measure(options.dirs), proc.pin()
    build.say(f"{len(names)} programs, {options.reps} reps, pinned to core {core}")
    data, failures = {}, []
    for engine in [e for e in engines if e.name in ("fast", "interp")]:
        times = {}
        for name in names:
            least = {}
            for rep in range(options.reps):
                for target in TARGETS if rep % 2 else TARGETS[::-1]:
                    command = [options.dirs.build / "nebulet", "run", "--engine", engine.name, "--invoke", name,
                               options.dirs.wasm(f"wide-{target}")]
                    result, samples = proc.measure(helper, command, 1)
                    if result.code:
                        failures.append(f"wide: {name} on {engine.name}: {result.why()}")
                        continue
                    least[target] = min(least.get(target, samples[0].cpu_ns), samples[0].cpu_ns)
            times[name] = [least.get(target) for target in TARGETS]
        data[engine.name] = times
        ratios = {name: wide / narrow for name, (narrow, wide) in times.items() if wide and narrow}
        rows = [[name, table.ms(times[name][0]), table.number(ratio)] for name, ratio in ratios.items()]
        rows += [None, ["geomean", "", table.number(table.geomean(ratios.values()))]]
        table.show(f"memory64 on {engine.name}: CPU time, ratio to a memory of 32 bits (least of {options.reps})",
                   ["program", "32 bits, ms", "ratio"], rows)
    return data, failures
