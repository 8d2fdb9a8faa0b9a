# SPDX-License-Identifier: MIT
"""What drivers cost in the kernel: what the suite `drv` measures and asserts (test/suites/drv.py), printed."""
import sys

from harness import build, table

sys.path.insert(0, str(build.ROOT / "test"))
from suites import base, drv, sdk  # noqa: E402


def main(options):
    bench = base.Bench("fast", 1)
    bench.program = options.dirs.build / "nebulet"
    broken, rows, failed = sdk.build(), [], []
    if broken:
        return {}, [broken]
    for machine in drv.BUSES:
        for name, measure in drv.COSTS:
            build.say(f"{name}, {machine}")
            try:
                found = measure(bench, machine)
                drv.check_costs(found)
            except base.Failed as why:
                failed.append(f"{name}, {machine}: {why}")
                continue
            rows += [(f"{title}, {machine}", value, limit) for title, (value, limit) in found.items()]
    table.show("Drivers in the kernel", ["", "", "limit"],
               [[title, table.number(value, 0 if value >= 1 else 3), str(limit)]
                for title, value, limit in rows])
    return {title: value for title, value, _ in rows}, failed
