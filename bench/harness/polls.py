# SPDX-License-Identifier: MIT
"""What polls cost: programs that import what starts threads have one in each loop (DESIGN.md).

Each program runs as it is, and with a section nebulet.noswitch that names all of its functions, so
that the polls are all that differs. The two are interleaved, and change places from one repetition
to the next.
"""
from harness import build, proc, speed, table
from harness.objects import leb

SECTION = b"nebulet.noswitch"


def read_leb(data, at):
    value, shift = 0, 0
    while True:
        byte = data[at]
        value |= (byte & 0x7f) << shift
        at, shift = at + 1, shift + 7
        if byte < 0x80:
            return value, at


def own_functions(data):
    """The indices of a module's own functions. All that these programs import is functions."""
    counts, at = {}, 8
    while at < len(data):
        section = data[at]
        size, at = read_leb(data, at + 1)
        counts[section] = read_leb(data, at)[0]
        at += size
    imported = counts.get(2, 0)
    return range(imported, imported + counts[3])


def without_polls(source, target):
    """Adds the section that takes the polls out of all functions."""
    data = source.read_bytes()
    funcs = own_functions(data)
    content = leb(len(SECTION)) + SECTION + leb(len(funcs)) + b"".join(map(leb, funcs))
    target.write_bytes(data + b"\0" + leb(len(content)) + content)


class Variant:
    """An engine, as speed.run_once wants it, that runs one of the two."""

    def __init__(self, engine, suffix):
        self.engine, self.suffix = engine, suffix

    def command(self, program, args):
        return self.engine.command(program + self.suffix, args)

    def env(self, args):
        return self.engine.env(args)


def run_program(program, variants, reps, scale):
    """Returns the Runs of the two variants."""
    runs = [speed.Runs() for _ in variants]
    expected = None
    for rep in range(reps):
        for i in (0, 1) if rep % 2 else (1, 0):
            if not runs[i].error:
                expected = speed.run_once(variants[i], program, scale, runs[i], expected)
    return runs


def ratio(runs, which):
    polls, none = (which(r) for r in runs)
    return polls / none if polls and none else None


def show(results, name, reps):
    rows = [[program, table.ms(runs[1].minimum()), table.number(ratio(runs, speed.Runs.minimum), 3)]
            for program, runs in results.items()]
    rows.append(None)
    for title, which in (("minima", speed.Runs.minimum), ("medians", speed.Runs.median)):
        mean = table.geomean([ratio(r, which) for r in results.values()])
        rows.append([f"geomean, {title}", "", table.number(mean, 3)])
    table.show(f"Polls on {name}: run time, ratio to the same without (least of {reps})",
               ["program", "without, ms", "ratio"], rows)


def missing(engine, program):
    """Why the programs cannot run at all, or None."""
    result = proc.run(Variant(engine, "-threads").command(program, ["0"]))
    return result.stderr.strip() if "unknown import" in result.stderr else None


def main(options, engines):
    """Runs the section; returns (what goes into the JSON file, failures)."""
    ours = [e for e in engines if e.name in ("fast", "interp")]
    for program in options.programs:
        source = build.threads(options.dirs, program)
        without_polls(source, options.dirs.wasm(f"{program}-quiet"))
    core = proc.pin()
    build.say(f"{len(options.programs)} programs, {options.reps} reps, pinned to core {core}")
    data, failures = {}, []
    for engine in ours:
        if reason := missing(engine, options.programs[0]):
            build.say(f"polls on {engine.name}: left out, {reason}")
            continue
        variants = [Variant(engine, "-threads"), Variant(engine, "-quiet")]
        results = {program: run_program(program, variants, options.reps,
                                        options.scale * engine.scale)
                   for program in options.programs}
        show(results, engine.name, options.reps)
        data[engine.name] = {p: [r.error or r.times for r in runs] for p, runs in results.items()}
        failures += [f"polls: {p} on {engine.name}: {r.error}" for p, runs in results.items()
                     for r in runs if r.error]
    return data, failures
