# SPDX-License-Identifier: GPL-2.0
"""The directive "stack": a picture of layers, as SVG, from a line for each.

    .. stack::

       ext4
       stable-pi policy:copy
       md RAID1
       sda | sdb

The top comes first; legs are separated by bars. Where a builder cannot show the picture, it
shows the lines.

As a program, it prints the picture of the lines of its standard input.
"""

import sys
from xml.sax.saxutils import escape

from docutils import nodes
from docutils.parsers.rst import Directive

WIDTH, HEIGHT, GAP = 420, 34, 14
# Of what is ours, of what does not change data on the way, and of disks.
OURS, OTHER, DISK = "#cfe8cf", "#eeeeee", "#d8e2f0"


def box(x, y, width, text, fill):
    middle = x + width / 2
    return (f'<rect x="{x:g}" y="{y:g}" width="{width:g}" height="{HEIGHT}" rx="4" fill="{fill}" '
            f'stroke="#555555"/><text x="{middle:g}" y="{y + HEIGHT / 2 + 5:g}" font-size="14" '
            f'font-family="sans-serif" text-anchor="middle">{escape(text)}</text>')


def line(x, y):
    return f'<line x1="{x:g}" y1="{y:g}" x2="{x:g}" y2="{y + GAP:g}" stroke="#555555"/>'


def picture(rows):
    """The SVG of rows of cells, from top to bottom."""
    out, y = [], 1
    for number, cells in enumerate(rows):
        last = number == len(rows) - 1
        width = (WIDTH - 2 - GAP * (len(cells) - 1)) / len(cells)
        if number:
            legs = max(len(cells), len(rows[number - 1]))
            for leg in range(legs):
                out.append(line(1 + (WIDTH - 2) * (2 * leg + 1) / (2 * legs), y - GAP))
        for leg, text in enumerate(cells):
            fill = OURS if text.startswith("stable-pi") else DISK if last else OTHER
            out.append(box(1 + leg * (width + GAP), y, width, text, fill))
        y += HEIGHT + GAP
    height = y - GAP + 1
    title = escape(", over ".join(" and ".join(cells) for cells in rows))
    return (f'<svg xmlns="http://www.w3.org/2000/svg" role="img" width="{WIDTH}" height="{height}" '
            f'viewBox="0 0 {WIDTH} {height}"><title>{title}</title>{"".join(out)}</svg>')


class Stack(Directive):
    has_content = True

    def run(self):
        rows = [[cell.strip() for cell in row.split("|")] for row in self.content if row.strip()]
        if not rows or not all(all(cells) for cells in rows):
            raise self.error("a stack has a line for each layer, with something in it")
        if self.state.document.settings.env.app.builder.format == "html":
            return [nodes.raw("", f"<p>{picture(rows)}</p>", format="html")]
        return [nodes.literal_block("", "\n".join(" | ".join(cells) for cells in rows))]


def setup(app):
    app.add_directive("stack", Stack)
    return {"parallel_read_safe": True, "parallel_write_safe": True}


if __name__ == "__main__":
    print(picture([[cell.strip() for cell in row.split("|")] for row in sys.stdin if row.strip()]))
