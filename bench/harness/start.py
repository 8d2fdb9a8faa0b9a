# SPDX-License-Identifier: MIT
"""Hello world as a WASI command: the whole process, from vfork to exit."""
import statistics

from harness import build, proc, table

HELLO = "hello, world\n"


def measure(helper, engine, samples):
    """One more run; returns an error or None."""
    result, new = proc.measure(helper, engine.command("hello", []), 1, timeout=60)
    if result.code != 0 or result.stdout != HELLO:
        return result.why()
    samples.extend(new)
    return None


def row(engine, samples, error):
    if error:
        return [engine.name, "FAIL", "-", "-", "-"]
    walls = [s.wall_ns for s in samples]
    return [engine.name, table.ms(min(walls), 2), table.ms(statistics.median(walls), 2),
            table.ms(min(s.cpu_ns for s in samples), 2),
            table.number(min(s.rss_kb for s in samples) / 1e3, 1)]


def main(options, native, engines):
    """Runs the section; returns (what goes into the JSON file, failures)."""
    helper = build.measure(options.dirs)
    build.program(options.dirs, "hello")
    errors = {}
    for engine in engines:
        try:
            engine.prepare("hello")
        except proc.Failed as error:
            errors[engine.name] = str(error).splitlines()[-1]
    proc.pin()
    everyone = [native, *engines]
    samples = {e.name: [] for e in everyone}
    times = 3 if options.quick else max(20, options.reps)
    for _ in range(times):
        for engine in everyone:
            if engine.name not in errors:
                error = measure(helper, engine, samples[engine.name])
                if error:
                    errors[engine.name] = error
    table.show(f"Hello world, start to exit ({times} runs)",
               ["engine", "wall min ms", "median ms", "CPU min ms", "peak MB"],
               [row(e, samples[e.name], errors.get(e.name)) for e in everyone])
    data = {name: [vars(s) for s in all_samples] for name, all_samples in samples.items()}
    return data, [f"hello on {name}: {error}" for name, error in errors.items()]
