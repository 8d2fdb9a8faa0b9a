# SPDX-License-Identifier: MIT
"""The command line: every test/cli/NAME.sh is a case.

A script runs under `sh` in a fresh folder, with test/cli/lib read first; it passes when it ends with
status 0, and otherwise says on stderr what differed. It finds the program in $NEBULET, the guests of
test/guest, built, in $GUESTS and its own folder in $HERE. A script that says `# engines: each`
runs on each engine, with its name in $ENGINE.
"""
import os
import tempfile

from . import base, guest

HERE = base.ROOT / "test/cli"


def run_script(bench, script, engine):
    env = dict(os.environ, NEBULET=str(bench.program), GUESTS=str(guest.BUILT), HERE=str(HERE),
               ENGINE=engine, LC_ALL="C")
    with tempfile.TemporaryDirectory(prefix="nebulet-cli-") as scratch:
        result = base.run(["sh", "-eu", "-c", f'. "{HERE}/lib"; . "{script}"', script.stem],
                          cwd=scratch, env=env)
    if result.code == 77:
        raise base.Skipped(base.excerpt(result.err) or "the script says so")
    if result.code != 0:
        raise base.Failed(base.excerpt(result.out + result.err, 30) or f"exit code {result.code}")


def cases(bench):
    broken = [why for why in guest.build_all(bench.jobs).values() if why]
    if broken:
        print("cli: some guests do not build, see the guest suite")
    for script in sorted(HERE.glob("*.sh")):
        each = "# engines: each" in script.read_text()
        for engine in bench.engines if each else [""]:
            yield base.Case(script.stem, engine,
                            lambda s=script, e=engine: run_script(bench, s, e or "fast"))
