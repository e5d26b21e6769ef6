# SPDX-License-Identifier: GPL-2.0
"""The page of the documentation that is made of a whole run, and its plots."""

import datetime

from . import bars, picture, stacks
from .table import label
from .words import HEAD, SECTIONS, TAIL

# Tables whose ratios are to the first row, with the step of the plot's axis.
PLOTTED = {"direct": 0.05, "batches": 0.05, "interrupt": 0.05, "xfs": 0.05, "layers": 0.05, "mirrored": 0.05}


def ratios(result, table):
    rows = bars.rows_of(result, table)
    first = next(iter(rows.values()))
    return {name: {label(at): row[at] / first[at] for at in row} for name, row in rows.items()}


def moved(result, table):
    """By how many percent the reference has moved in the run, at most."""
    found = result["direct_moved"] if table == "direct" else result[table]["moved"]
    return "%.1f" % (100 * max(abs(value) for value in found.values()))


# Tables --------------------------------------------------------------------

def grid(heads, rows):
    """A list of rows, in the manner of reStructuredText's simple tables; the first column is text."""
    rows = [heads] + rows
    widths = [max(len(row[i]) for row in rows) for i in range(len(heads))]
    rule = "  ".join("=" * width for width in widths)

    def line(row):
        return "  ".join([row[0].ljust(widths[0])] + [word.rjust(width) for word, width in zip(row[1:], widths[1:])]).rstrip()

    return "\n".join([rule, line(heads), rule] + [line(row) for row in rows[1:]] + [rule]) + "\n"


def instructions(result, table):
    """Instructions for an I/O and the ratio to the first row."""
    rows = bars.rows_of(result, table)
    first = next(iter(rows.values()))
    heads = [table_head(table)] + [label(at) for at in first]
    return grid(heads, [[name] + [f"{row[at]:.0f} ({row[at] / first[at]:.3f})" for at in first]
                        for name, row in rows.items()])


def table_head(table):
    return {"xfs": "file on", "mirrored": "on two disks"}.get(table, "device")


def added(result):
    rows = result["integrity_added"]
    columns = list(rows["auto"])
    return grid(["policy"] + [label(at) for at in columns],
                [[name] + [f"{100 * row[at]:.1f} %" for at in columns] for name, row in rows.items()])


def further(result, table):
    rows = stacks.further(table, bars.rows_of(result, table))
    columns = list(next(iter(rows.values())))
    return grid(["layer"] + [label(at) for at in columns],
                [[name] + [f"{row[at]:.0f}" for at in columns] for name, row in rows.items()])


def shares(result):
    return grid(["policy", "changed", "writes/s", "of copy", "copied", "repaired"],
                [[row["policy"] + (", once more" if row["again"] else ""), f"{row['permille'] / 10:g} %",
                  f"{row['writes_per_second']:.0f}", f"{row['relative']:.3f}",
                  f"{row['copied']} of {row['writes']}", str(row["repaired"])] for row in result["changed"]])


def waits(result):
    return grid(["disk, policy", "threads", "KiB", "disk ns", "waits", "writes/s", "mean ns", "99 % ns", "below",
                 "copied", "repaired"],
                [[f"{row['device']}, {row['policy']}", str(row["threads"]), str(row["kib"]), str(row["disk_ns"]),
                  row["waits"], f"{row['writes_per_second']:.0f}", f"{row['write_ns_mean']:.0f}",
                  str(row["write_ns_99"]), str(row["below"]), str(row["copied"]), str(row["repaired"])]
                 for row in result["rewrite"]])


def functions(result, operation):
    """A row for each group of functions, and their sum."""
    rows = result["where"][operation]
    devices = list(next(iter(rows.values())))
    sums = {device: sum(row[device] for row in rows.values()) for device in devices}
    return grid([label(operation)] + devices, [[name] + [f"{row[device]:.0f}" for device in devices]
                                               for name, row in list(rows.items()) + [("all", sums)]])


def processors(result):
    """What dm and stable-pi do, on one processor and on several."""
    rows = []
    for row in result["processors"]:
        if row["device"] != "disk":
            rows.append([f"{row['device']}, {label(row['operation'])}", str(row["jobs"])] +
                        [f"{row[layer][key]:.{digits}f}" for layer in ("dm", "ours")
                         for key, digits in (("instructions", 0), ("locked", 1), ("shared_reads", 1), ("shared_writes", 1))])
    return grid(["device", "processors", "dm", "locked", "reads", "writes", "stable-pi", "locked", "reads", "writes"], rows)


def show_profile(result):
    """For who reads no page."""
    if "where" in result:
        for operation in result["where"]:
            print("\n" + functions(result, operation), end="")
        print("\n" + processors(result), end="", flush=True)


def missed(result):
    """The bars, those that are missed first."""
    judged = sorted(bars.judged(result), key=lambda pair: bars.met(*pair))
    rows = []
    for bar, value in judged:
        percent = bar.table == "integrity_added"
        limit, found = ((f"{100 * n:.1f} %" for n in (bar.limit, value)) if percent else
                        (f"{n:.3f}" for n in (bar.limit, value)))
        by = "" if bars.met(bar, value) else f"{100 * (value - bar.limit):.1f} {'points' if percent else '%'}"
        rows.append([f"{bar.what}, {label(bar.column)}", limit, found, by or "met"])
    return grid(["what", "at most", "measured", "missed by"], rows)


# The page ------------------------------------------------------------------

def by_depth(result):
    """The ratios of auto, a line for each operation."""
    found = {}
    for column, ratio in ratios(result, "depths")["auto"].items():
        operation, depth = column.rsplit(" x", 1)
        found.setdefault("auto, " + operation, {})[depth] = ratio
    return found


def plots(result):
    found = {}
    for table, step in PLOTTED.items():
        title = "ratio to the first row: " + table
        found[f"benchmarks-{table}.svg"] = picture.columns(title, ratios(result, table), step=step)
    found["benchmarks-depths.svg"] = picture.lines("auto, ratio to the disk, by depth", by_depth(result))
    found["benchmarks-integrity.svg"] = picture.columns(
        "what stable-pi adds, as a part of what dm-integrity adds",
        {name: {label(at): value for at, value in row.items()} for name, row in result["integrity_added"].items()},
        base=0.0, color=2)
    rates = {}
    for row in result["changed"]:
        if not row["again"]:
            rates.setdefault(row["policy"], {})[f"{row['permille'] / 10:g} %"] = row["relative"]
    found["benchmarks-changed.svg"] = picture.lines("writes per second, of those of copy, by the share that changes", rates, step=0.1)
    return found


def files(result):
    """The page and its plots, by name."""
    date = datetime.date.today()
    judged = list(bars.judged(result))
    words = {"date": f"{date.day} {date:%B %Y}", "kernel": result["kernel"].split("+")[0],
             "bars": len(judged), "missed": sum(not bars.met(*pair) for pair in judged)}
    makers = {"missed": missed, "added": added, "shares": shares, "waits": waits, "processors": processors}
    out = [HEAD.format(**words)]
    for title, text in SECTIONS:
        out.append(f"{title}\n{'=' * len(title)}\n\n")
        for part in text.split("@"):
            name = part.strip()
            if name.startswith("plot "):
                out.append(f".. raw:: html\n   :file: benchmarks-{name[5:]}.svg\n\n")
            elif name.startswith("table "):
                out.append(instructions(result, name[6:]) + "\n")
            elif name.startswith("moved "):
                out.append(f"The first row, measured again at the end, had moved by {moved(result, name[6:])} % at most.\n\n")
            elif name.startswith("where "):
                out.append(functions(result, name[6:]) + "\n")
            elif name.startswith("further "):
                out.append(further(result, name[8:]) + "\n")
            elif name in makers:
                out.append(makers[name](result) + "\n")
            elif name:
                name = name.format(**words)
                out.append(name + "\n\n")
    out.append(TAIL)
    return {"benchmarks.rst": "".join(out)} | plots(result)
