# SPDX-License-Identifier: MIT
"""Tables for people. The JSON has everything; these have what one wants to know first."""

from .compare import CEILING, CONTROL, SLUICE
from .intervals import NOT_RESOLVED


def table(header, rows):
    """Left-aligned first column, the others right-aligned."""
    lines = [header, *rows]
    widths = [max(len(str(line[i])) for line in lines) for i in range(len(header))]

    def one(line):
        first, *others = (str(cell) for cell in line)
        cells = [first.ljust(widths[0])]
        cells += [cell.rjust(width) for cell, width in zip(others, widths[1:])]
        return "  ".join(cells).rstrip()

    return "\n".join(one(line) for line in lines)


def _ratio(found):
    return f"{found['median']:.3f} [{found['low']:.3f} {found['high']:.3f}]"


def _verdict(found):
    if found["verdict"] == NOT_RESOLVED and found["better_throughout"]:
        return f"{NOT_RESOLVED}, yet better throughout"
    return found["verdict"]


def comparison(results):
    parts = [_against_ceiling(results), _against_peers(results)]
    parts += (
        f"{one['path']}: a round failed and does not count: {why}"
        for one in results for why in one["failed_rounds"]
    )
    return "\n\n".join(parts)


def _against_ceiling(results):
    blocks = []
    for measure, unit in (("throughput", "GiB/s"), ("cpu", "CPU s/GiB")):
        rows = []
        for one in results:
            if not one["ratios"]:
                out = one["left_out"]
                why = out.get(SLUICE) or out.get(CEILING) or one["failed_rounds"][0]
                rows.append((one["path"], "-", "-", "-", "-", f"failed: {why}"[:60]))
                continue
            found, medians = one["ratios"][measure], one["medians"]
            rows.append((
                one["path"],
                f"{medians[SLUICE][measure]:.3f}",
                f"{medians[CEILING][measure]:.3f}",
                _ratio(found["ratio"]),
                f"[{found['control']['low']:.3f} {found['control']['high']:.3f}]",
                _verdict(found),
            ))
        header = (unit, "sluice", "ceiling", "sluice:ceiling", "ceiling:ceiling", "verdict")
        blocks.append(table(header, rows))
    return "\n\n".join(blocks)


def _against_peers(results):
    known = [name for one in results for name in one["medians"]]
    names = [SLUICE, CEILING] + sorted({*known} - {SLUICE, CEILING, CONTROL})
    rows = []
    for one in results:
        cells = (one["medians"].get(name) for name in names)
        rows.append((one["path"], *(
            f"{cell['throughput']:.2f} / {cell['cpu']:.3f}" if cell else "-" for cell in cells
        )))
    return table(("GiB/s / CPU s/GiB", *names), rows)


def against_methods(results):
    rows = []
    for one in results:
        for method, measures in one["methods"].items():
            rows.append((
                one["path"], _size(one["bytes"]), method,
                _ratio(measures["throughput"]["ratio"]), measures["throughput"]["result"],
                _ratio(measures["cpu"]["ratio"]), measures["cpu"]["result"],
            ))
    return table(
        ("path", "size", "against", "throughput, auto:method", "auto", "CPU, auto:method", "auto"),
        rows,
    )


def calls(results):
    rows = [
        (one["path"], *(_range(counted) for counted in one["moved_per_gib"].values()),
         one["result"])
        for one in results
    ]
    return table(("data-moving calls per GiB", SLUICE, CEILING, "sluice has"), rows)


def starts(results):
    rows = []
    for one in results:
        for measure, found in one["ratios"].items():
            medians = one["medians_us"]
            rows.append((
                f"1 KiB to {one['output']}", measure,
                f"{medians['sluice'][measure]:.0f}", f"{medians['cat'][measure]:.0f}",
                _ratio(found["ratio"]),
                f"[{found['control']['low']:.3f} {found['control']['high']:.3f}]",
                _verdict(found),
            ))
    return table(("us", "", "sluice", "cat", "sluice:cat", "cat:cat", "verdict"), rows)


def _range(counted):
    low, high = min(counted), max(counted)
    return str(low) if low == high else f"{low}..{high}"


def _size(size):
    for unit in ("B", "KiB", "MiB"):
        if size < 1024:
            return f"{size:g} {unit}"
        size /= 1024
    return f"{size:g} GiB"
