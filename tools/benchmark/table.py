# SPDX-License-Identifier: GPL-2.0
"""Rows of figures, each as a ratio to a reference of the same run."""


def heading(words):
    print("\n" + words + "\n", flush=True)


def label(column):
    """The operation and its KiB, for a reader."""
    kind, kib, *rest = column.split()
    return " ".join(["%s %sk" % (kind, kib), *rest])


class Table:
    """Nanoseconds of virtual time for an I/O, a row for each device.

    The first row is the reference. It is measured once more at the end, and what the ratios are of is
    the mean of both."""

    def __init__(self, key, title, columns, width=24):
        self.key, self.title, self.columns, self.width = key, title, columns, width
        self.rows, self.moved = {}, {}
        heading(title)
        print(" " * width + "".join("%17s" % label(name) for name in columns), flush=True)

    @property
    def reference(self):
        return next(iter(self.rows.values()))

    def line(self, name, taken):
        print(("%-*s" % (self.width, name)) + "".join(
            "%10d %5.3fx" % (taken[at], taken[at] / self.reference[at]) for at in self.columns), flush=True)

    def add(self, name, taken):
        self.rows[name] = taken
        self.line(name, taken)

    def again(self, taken):
        """The reference, at the end. Half of what it has moved meanwhile is in each ratio."""
        name, first = next(iter(self.rows.items()))
        self.line(name + ", once more", taken)
        self.moved = {at: taken[at] / first[at] - 1 for at in self.columns}
        self.rows[name] = {at: (taken[at] + first[at]) / 2 for at in self.columns}
        print("It has moved by %.1f %% at most." % (100 * max(map(abs, self.moved.values()))), flush=True)

    def compare(self, devices, measure):
        """Measures each of (NAME, context that yields the device), with a first time for the caches of
        the kernel's that are filled then."""
        for number, (name, context) in enumerate(devices):
            with context() as device:
                if number == 0:
                    measure(device)
                self.add(name, measure(device))
        with devices[0][1]() as device:
            self.again(measure(device))

    def result(self):
        return {"title": self.title, "columns": self.columns, "rows": self.rows, "moved": self.moved}
