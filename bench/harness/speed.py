# SPDX-License-Identifier: MIT
"""How fast programs run: ratios to native -O2, all engines interleaved, one program at a time.

Every output is compared with the native one. A slow engine runs a part of the work (its scale),
once, and is compared with native runs of the same part.
"""
import re
import statistics
from dataclasses import dataclass, field

from harness import build, proc, table

TIME = re.compile(r"^time_ns (\d+)\s*\Z", re.MULTILINE)


@dataclass
class Runs:
    """What one engine did on one program: times of the body, or why there are none."""
    times: list = field(default_factory=list)
    error: str = None

    def minimum(self):
        return min(self.times) if self.times and not self.error else None

    def median(self):
        return statistics.median(self.times) if self.times and not self.error else None


def run_once(engine, program, scale, runs, stdout):
    """Adds one run to `runs`; `stdout` is what it must print, None when that is not known yet."""
    args = [] if scale == 1 else [f"{scale:g}"]
    result = proc.run(engine.command(program, args), engine.env(args))
    time = TIME.search(result.stderr)
    if result.code != 0 or time is None:
        runs.error = result.why() if result.code != 0 else "no time_ns at the end of stderr"
    elif stdout is not None and result.stdout != stdout:
        runs.error = f"wrong output: {result.stdout.strip()[:60]!r}, not {stdout.strip()!r}"
    else:
        runs.times.append(int(time[1]))
    return result.stdout


def run_program(program, native, engines, reps, scale):
    """Runs all engines on one program; returns {(engine name, scale): Runs}, native included."""
    scales = sorted({scale * e.scale for e in [native, *engines]}, reverse=True)
    runs = {("native", s): Runs() for s in scales}
    runs |= {(e.name, scale * e.scale): Runs() for e in engines}
    expected = {}
    for rep in range(reps):
        for s in scales:
            if not runs["native", s].error:
                expected[s] = run_once(native, program, s, runs["native", s], expected.get(s))
        for engine in engines:
            s = scale * engine.scale
            if rep < engine.max_reps and not runs[engine.name, s].error:
                run_once(engine, program, s, runs[engine.name, s], expected[s])
    return runs


def prepare(programs, engines, dirs):
    """Builds everything; returns {(engine name, program): why the engine cannot run it}."""
    unbuilt = {}
    for program in programs:
        build.program(dirs, program)
        for engine in engines:
            try:
                engine.prepare(program)
            except proc.Failed as error:
                unbuilt[engine.name, program] = str(error).splitlines()[-1]
    return unbuilt


def ratio(runs, engine, scale, which):
    s = scale * engine.scale
    own, base = which(runs[engine.name, s]), which(runs["native", s])
    return own / base if own and base else None


def cell(runs, engine, scale):
    value = ratio(runs, engine, scale, Runs.minimum)
    return "FAIL" if value is None else table.number(value)


def mean_row(title, results, engines, scale, which):
    means = (table.geomean([ratio(r, e, scale, which) for r in results.values()]) for e in engines)
    return [title, "", *(table.number(m) for m in means)]


def slower(results, scale, engine, peer):
    """The programs on which an engine is slower than a peer."""
    pairs = {p: [ratio(r, e, scale, Runs.minimum) for e in (engine, peer)]
             for p, r in results.items()}
    return [p for p, (own, other) in pairs.items() if own and other and own > other]


def notes(results, engines, scale):
    by_name = {e.name: e for e in engines}
    lines = [f"{e.name}: {e.scale * scale:g} of the work, once"
             for e in engines if e.scale != 1]
    if "fast" in by_name and "liftoff" in by_name:
        behind = slower(results, scale, by_name["fast"], by_name["liftoff"])
        lines.append("fast is behind liftoff on: " + (", ".join(behind) or "none"))
    return lines


def show(title, results, engines, scale, reps):
    head = ["program", "native ms", *(e.name for e in engines)]
    rows = [[program, table.ms(runs["native", scale].minimum()),
             *(cell(runs, e, scale) for e in engines)] for program, runs in results.items()]
    rows += [None, mean_row("geomean, minima", results, engines, scale, Runs.minimum),
             mean_row("geomean, medians", results, engines, scale, Runs.median)]
    table.show(f"{title}, ratio to native {build.CC} -O2 (least of {reps})", head, rows,
               notes(results, engines, scale))


def failures(results):
    return [f"{program} on {name}: {runs.error}" for program, all_runs in results.items()
            for (name, _), runs in all_runs.items() if runs.error]


def vectors(options, native, engines):
    """The section "simd": the programs that clang vectorizes, as modules with SIMD."""
    programs = [f"{p}-simd" for p in options.programs if p in build.VECTORIZED]
    able = [e for e in engines if e.simd]
    return main(options, native, able, programs, "Run time with SIMD")


def main(options, native, engines, programs=None, title="Run time"):
    """Runs the section; returns (what goes into the JSON file, failures)."""
    programs = programs or options.programs
    unbuilt = prepare(programs, engines, options.dirs)
    core = proc.pin()
    build.say(f"{len(programs)} programs, {options.reps} reps, pinned to core {core}")
    results = {}
    for program in programs:
        build.say(f"  {program}")
        able = [e for e in engines if (e.name, program) not in unbuilt]
        results[program] = run_program(program, native, able, options.reps, options.scale)
        for engine in engines:
            if engine not in able:
                results[program][engine.name, options.scale * engine.scale] = Runs(
                    error=unbuilt[engine.name, program])
    show(title, results, engines, options.scale, options.reps)
    data = {program: {f"{name}@{scale:g}": runs.error or runs.times
                      for (name, scale), runs in all_runs.items()}
            for program, all_runs in results.items()}
    return data, failures(results)
