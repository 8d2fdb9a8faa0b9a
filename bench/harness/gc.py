# SPDX-License-Identifier: MIT
"""How fast programs run that make objects: the modules of objects.py, on our engines and on V8 as it comes, with both
of its compilers and its collector of generations; all interleaved, one program at a time.

What is compared is CPU time, of all threads: V8 collects with several. A slow engine runs a part of the work, once, and
is compared with V8 doing the same part.
"""
from harness import build, engines as known, objects, speed, table


def name_of(program, scale):
    return f"{program}-{scale:g}"


class Part:
    """An engine, as speed.run_once wants it, with programs that have their scale in them."""

    def __init__(self, engine, scale):
        self.engine, self.scale = engine, scale

    def command(self, program, _):
        return self.engine.command(name_of(program, self.scale), [])

    def env(self, _):
        return {}


def run_program(program, v8, ours, options):
    """Returns {(engine name, scale): Runs}."""
    scales = sorted({options.scale * e.scale for e in ours}, reverse=True)
    runs, printed = {}, {}
    for scale in scales:
        options.dirs.wasm(name_of(program, scale)).write_bytes(objects.PROGRAMS[program](scale))
    for rep in range(options.reps):
        for engine, scale in [(v8, s) for s in scales] + [(e, options.scale * e.scale) for e in ours]:
            kept = runs.setdefault((engine.name, scale), speed.Runs())
            if rep < engine.max_reps and not kept.error:
                printed[scale] = speed.run_once(Part(engine, scale), program, 1, kept, printed.get(scale))
    return runs


def main(options, engines):
    """Runs the section; returns (what goes into the JSON file, failures)."""
    v8 = known.Node("v8", "node as it comes", dirs=options.dirs)
    ours = [e for e in engines if e.name in ("fast", "interp")]
    if reason := v8.missing():
        build.say(f"gc: left out, {reason}")
        return {}, []
    data, failures, rows = {}, [], []
    for program in objects.PROGRAMS:
        runs = run_program(program, v8, ours, options)
        cells = []
        for engine in ours:
            scale = options.scale * engine.scale
            own, base = (runs[name, scale].minimum() for name in (engine.name, "v8"))
            cells.append(table.number(own / base) if own and base else "FAIL")
        rows.append([program, table.ms(runs["v8", options.scale].minimum()) if ("v8", options.scale) in runs else "",
                     *cells])
        data[program] = {f"{name} {scale:g}": r.error or r.times for (name, scale), r in runs.items()}
        failures += [f"gc: {program} on {name}: {r.error}" for (name, _), r in runs.items() if r.error]
    table.show(f"Objects: CPU time, ratio to V8's (least of {options.reps})",
               ["program", "V8, ms", *(e.name for e in ours)], rows)
    return data, failures
