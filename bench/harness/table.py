# SPDX-License-Identifier: MIT
"""Tables of text, and the means in them."""
import math
import statistics


def geomean(values):
    values = [v for v in values if v is not None]
    return math.exp(statistics.fmean(math.log(v) for v in values)) if values else None


def number(value, digits=2):
    return "-" if value is None else f"{value:.{digits}f}"


def ms(ns, digits=1):
    return number(None if ns is None else ns / 1e6, digits)


def show(title, head, rows, notes=()):
    """Prints a table: the first column to the left, the others to the right. None is a rule."""
    cells = [head] + [row for row in rows if row is not None]
    widths = [max(len(row[i]) for row in cells) for i in range(len(head))]
    rule = "  ".join("-" * w for w in widths)
    print(f"\n## {title}\n")
    for row in [head, None, *rows]:
        print(rule if row is None else "  ".join(
            [row[0].ljust(widths[0])] + [c.rjust(w) for c, w in zip(row[1:], widths[1:])]))
    for note in notes:
        print(note)
    print(end="", flush=True)
