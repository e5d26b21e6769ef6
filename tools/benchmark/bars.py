# SPDX-License-Identifier: GPL-2.0
"""What is asked of stable-pi's figures: for each, at most how much it may be."""

from typing import NamedTuple


class Bar(NamedTuple):
    """A row of a table, and the most that a column may be, as a ratio to the table's first row."""
    what: str
    table: str
    row: str
    column: str
    limit: float


def bars_of(what, table, row, **limits):
    return [Bar(what, table, row, column.replace("_", " "), limit) for column, limit in limits.items()]


BARS = [bar for row in ("auto", "optimistic") for bar in
        bars_of(row + ", written in place", "direct", row, write_4=1.02, write_64=0.95, write_1024=0.99) +
        bars_of(row + ", written in place", "batches", row, write_4_x16=1.01)]
for name in ("auto", "optimistic", "copy"):
    BARS += bars_of(name + ", reads verified", "direct", name, read_4=0.98, read_64=0.94, read_1024=0.99)
    BARS += bars_of(name + ", reads verified", "batches", name, read_4_x16=0.94)
BARS += bars_of("copy", "direct", "copy", write_4=1.08, write_64=1.05, write_1024=1.01)
BARS += bars_of("copy", "batches", "copy", write_4_x16=1.10)
BARS += bars_of("a recheck", "direct", "optimistic recheck:on", write_4=1.15)
BARS += bars_of("copy on XFS, against XFS's own", "xfs", "XFS on stable-pi, copy",
                write_4=1, write_64=1, write_1024=1, read_4=1, read_64=1, read_1024=1)
# Not ratios to a disk, but parts of what dm-integrity adds.
BARS += bars_of("what auto adds, of what dm-integrity adds", "integrity_added", "auto",
                write_4=0.25, write_64=0.25, write_1024=0.25, read_4=0.25, read_64=0.25, read_1024=0.25)


def rows_of(result, table):
    """By name; where the table is only rows, it is that."""
    found = result.get(table, {})
    return found.get("rows", found)


def ratio(result, table, row, column):
    """None where the run has not measured it."""
    rows = rows_of(result, table)
    if row not in rows or column not in rows[row]:
        return None
    if table == "integrity_added":
        return rows[row][column]
    return rows[row][column] / next(iter(rows.values()))[column]


def judged(result):
    """Each bar that the run has a figure for, with the figure."""
    for bar in BARS:
        value = ratio(result, bar.table, bar.row, bar.column)
        if value is not None:
            yield bar, value


def met(bar, value):
    """At the two digits that the limits have."""
    return round(value, 2) <= bar.limit
