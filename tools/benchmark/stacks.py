# SPDX-License-Identifier: GPL-2.0
"""Layers: what dm-integrity adds to a disk, and what each further layer adds to a stack."""

from . import measure
from .machine import CHECKS, PLAIN, choices, disks, fill, integrity, mirror, run
from .table import Table


def with_integrity(quick):
    """Two tables, of which the page makes one."""
    sizes = [size for size in measure.FEW if size[1] != 1024] if quick else measure.FEW
    columns = measure.names(sizes)
    run("modprobe", "dm_integrity")
    plain = Table("integrity", "dm-integrity without a journal (mode D), with a CRC32C of each 512 bytes, on a disk without "
                  "protection information", columns)
    with disks(PLAIN, delay=0) as (disk,):
        fill(disk)
        plain.add("disk", warm(disk, sizes))
        with integrity(disk) as device:
            plain.add("dm-integrity", warm(device, sizes))
        plain.again(measure.waiting(disk, sizes))
    checks = Table("integrity_pi", "For comparison, stable-pi on a disk with protection information", columns)
    with disks(CHECKS, delay=0) as (disk,):
        fill(disk)
        checks.compare(choices(disk, {"disk": (), "auto": ("policy:auto",), "copy": ("policy:copy",)}),
                       lambda device: measure.waiting(device, sizes))
    print("\nWhat stable-pi adds to its disk, as a part of what dm-integrity adds to its own:\n")
    added = {name: {at: (checks.rows[name][at] - checks.rows["disk"][at]) /
                        (plain.rows["dm-integrity"][at] - plain.rows["disk"][at]) for at in columns}
             for name in ("auto", "copy")}
    for name, row in added.items():
        print(("%-24s" % name) + "".join("%16.1f%%" % (100 * row[at]) for at in columns), flush=True)
    return plain, checks, added


def warm(device, sizes):
    measure.waiting(device, sizes)
    return measure.waiting(device, sizes)


# stable-pi that shows the profile of the disk below, and so takes the tuples of the layer above.
PASSTHROUGH = "policy:auto passthrough"
DEVICES = {
    "disk": (),
    "dm-linear": ("linear",),
    "3 dm-linear": ("linear", "linear", "linear"),
    "auto": ("policy:auto",),
    "auto on dm-linear": ("linear", "policy:auto"),
    "auto on passthrough": (PASSTHROUGH, "policy:auto"),
    "auto on 2 passthrough": (PASSTHROUGH, PASSTHROUGH, "policy:auto"),
    "auto on auto": ("policy:auto", "policy:auto"),
}
MIRRORED = {
    "md RAID1": (),
    "dm-linear on md": ("linear",),
    "auto on md": ("policy:auto",),
    "copy on md": ("policy:copy",),
    "auto on passthrough on md": (PASSTHROUGH, "policy:auto"),
}
# A layer, the row with it, the row without it, how often it is there.
FURTHER = {
    "layers": [("dm-linear on the disk", "dm-linear", "disk", 1),
               ("dm-linear on dm-linear", "3 dm-linear", "dm-linear", 2),
               ("auto on dm-linear", "auto on dm-linear", "dm-linear", 1),
               ("passthrough below auto", "auto on passthrough", "auto", 1),
               ("2 passthrough below auto", "auto on 2 passthrough", "auto", 2),
               ("auto below auto", "auto on auto", "auto", 1)],
    "mirrored": [("dm-linear on md", "dm-linear on md", "md RAID1", 1),
                 ("auto on md", "auto on md", "md RAID1", 1),
                 ("passthrough below auto", "auto on passthrough on md", "auto on md", 1)],
}


def few(device):
    return measure.waiting(device, measure.FEW)


def further(key, rows):
    """What each further layer adds."""
    return {name: {at: (rows[above][at] - rows[below][at]) / count for at in rows[above]}
            for name, above, below, count in FURTHER[key]}


def show_further(table):
    print("\nInstructions that each further layer adds:\n")
    for name, row in further(table.key, table.rows).items():
        print(("%-24s" % name) + "".join("%17d" % taken for taken in row.values()), flush=True)


def layers(quick):
    del quick
    table = Table("layers", "Layers on a disk with protection information",
                  measure.names(measure.FEW), 26)
    with disks(CHECKS, delay=0) as (disk,):
        fill(disk)
        table.compare(choices(disk, DEVICES), few)
    show_further(table)
    return table


def mirrored(quick):
    del quick
    run("modprobe", "raid1")
    table = Table("mirrored", "Layers on md RAID1 of two disks with protection information", measure.names(measure.FEW), 26)
    with disks(CHECKS, 2, delay=0) as legs, mirror(legs) as array:
        table.compare(choices(array, MIRRORED), few)
    show_further(table)
    return table
