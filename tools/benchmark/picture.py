# SPDX-License-Identifier: GPL-2.0
"""Plots, as SVG."""

from xml.sax.saxutils import escape

COLORS = ["#9a9a9a", "#c8c8c8", "#3b6ea8", "#7fb069", "#d9a441", "#b5533c", "#7d5ba6", "#4fa3a5", "#8c6d46"]
WIDTH, HEIGHT, LEFT, TOP, BOTTOM = 860, 260, 48, 12, 24
LEGEND = 20


class Plot:
    """Values from `low` up, on lines at each `step`."""

    def __init__(self, title, low, high, step):
        self.title, self.low, self.high, self.step = title, low, high, step
        self.out, self.legend = [], []

    def y(self, value):
        value = min(max(value, self.low), self.high)
        return TOP + (HEIGHT - TOP - BOTTOM) * (self.high - value) / (self.high - self.low)

    def text(self, x, y, words, anchor="start"):
        self.out.append(f'<text x="{x:g}" y="{y:g}" font-size="12" font-family="sans-serif" '
                        f'text-anchor="{anchor}">{escape(words)}</text>')

    def rect(self, x, y, width, height, fill, words=""):
        self.out.append(f'<rect x="{x:.1f}" y="{y:.1f}" width="{width:.1f}" height="{max(height, 0.5):.1f}" fill="{fill}">'
                        f'<title>{escape(words)}</title></rect>')

    def line(self, points, color, width=1.0):
        path = " ".join(f"{x:.1f},{y:.1f}" for x, y in points)
        self.out.append(f'<polyline points="{path}" fill="none" stroke="{color}" stroke-width="{width:g}"/>')

    def axis(self, form):
        for i in range(round((self.high - self.low) / self.step) + 1):
            value = self.low + i * self.step
            self.line([(LEFT, self.y(value)), (WIDTH, self.y(value))], "#888888" if value == 1 else "#dddddd")
            self.text(LEFT - 6, self.y(value) + 4, form.format(value), "end")

    def named(self, names, color):
        """The legend, whose first color is that number; returns the height of all."""
        x, y = LEFT, HEIGHT + 4
        for i, name in enumerate(names, color):
            if x + 24 + 7.5 * len(name) > WIDTH:
                x, y = LEFT, y + LEGEND
            self.rect(x, y, 12, 12, COLORS[i % len(COLORS)])
            self.text(x + 17, y + 11, name)
            x += 36 + 7.0 * len(name)
        return y + LEGEND

    def svg(self, height):
        lines = "\n".join(self.out)
        return (f'<svg xmlns="http://www.w3.org/2000/svg" role="img" width="{WIDTH}" height="{height}" '
                f'viewBox="0 0 {WIDTH} {height}"><title>{escape(self.title)}</title>\n{lines}\n</svg>\n')


def around(values, step):
    """From one step below the lowest to one above the highest, with 1 between."""
    low, high = min(min(values), 1), max(max(values), 1)
    low, high = int(low / step) * step - step, (int(high / step) + 1) * step
    return max(low, 0), high


def columns(title, rows, form="{:.2f}", step=0.05, base=1.0, color=0):
    """Upright bars from `base`, a cluster for each column of the rows, in each a bar for each row; the first
    has the color of that number, where the first two are for what the others are compared with."""
    names = list(next(iter(rows.values())))
    values = [value for row in rows.values() for value in row.values()]
    while (max(values) - min(values)) / step > 12:
        step *= 2
    low, high = around(values, step) if base else (0, (int(max(values) / step) + 1) * step)
    plot = Plot(title, low, high, step)
    plot.axis(form)
    cluster = (WIDTH - LEFT) / len(names)
    each = (cluster - 16) / len(rows)
    for at, column in enumerate(names):
        plot.text(LEFT + (at + 0.5) * cluster, HEIGHT - 6, column, "middle")
        for i, (name, row) in enumerate(rows.items()):
            x = LEFT + at * cluster + 8 + i * each
            top, bottom = sorted((plot.y(row[column]), plot.y(base)))
            plot.rect(x, top, each - 1.5, bottom - top, COLORS[(i + color) % len(COLORS)],
                      f"{name}, {column}: {form.format(row[column])}")
    return plot.svg(plot.named(list(rows), color))


def lines(title, points, form="{:.2f}", step=0.05):
    """A line for each row, over columns at equal distances."""
    values = [value for row in points.values() for value in row.values()]
    low, high = around(values, step)
    plot = Plot(title, low, high, step)
    plot.axis(form)
    names = list(next(iter(points.values())))
    cluster = (WIDTH - LEFT) / len(names)
    for at, column in enumerate(names):
        plot.text(LEFT + (at + 0.5) * cluster, HEIGHT - 6, column, "middle")
    for i, row in enumerate(points.values()):
        plot.line([(LEFT + (at + 0.5) * cluster, plot.y(row[column])) for at, column in enumerate(names)],
                  COLORS[(i + 2) % len(COLORS)], 2)
    return plot.svg(plot.named(list(points), 2))
