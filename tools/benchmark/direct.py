# SPDX-License-Identifier: GPL-2.0
"""Direct I/O on a disk that checks: one at a time, many at a time, and with an end that is an interrupt."""

from . import measure
from .machine import CHECKS, choices, delay, disks, fill
from .table import Table

# Device, layers on the disk.
DEVICES = {
    "disk": (),
    "dm-linear": ("linear",),
    "auto": ("policy:auto",),
    "optimistic": ("policy:optimistic",),
    "optimistic recheck:on": ("policy:optimistic recheck:on",),
    "copy": ("policy:copy",),
    "wait": ("policy:wait",),
    "detect": ("policy:detect",),
    "auto verify:off": ("policy:auto verify:off",),
}
QUICK = ["disk", "dm-linear", "auto", "copy"]
# For selftests/host/instructions.
GATED = ["disk", "auto", "optimistic recheck:on", "copy"]
QUEUED = ["disk", "dm-linear", "auto", "optimistic", "optimistic recheck:on", "copy"]
DEPTHS = [1, 4, 16, 64]
# From a millisecond on, the time that scsi_debug needs for the data is not part of its delay.
NDELAY = 1000000


def choice(disk, chosen):
    return choices(disk, {name: DEVICES[name] for name in chosen})


def direct(chosen=tuple(DEVICES), warm=True):
    table = Table("direct", "Direct I/O, one at a time: instructions for each, and how that compares with the disk alone",
                  measure.names(measure.SIZES))
    with disks(CHECKS, delay=0) as (disk,):
        fill(disk)
        table.compare(choice(disk, chosen), lambda device: measure.waiting(device, warm=warm))
    return table


def batches(quick):
    table = Table("batches", "Direct I/O of 4 KiB by io_uring, 16 at a time: instructions of the whole run for each I/O",
                  ["write 4 x16", "read 4 x16"])
    count = 8192 if quick else 32768
    with disks(CHECKS, delay=0) as (disk,):
        fill(disk)
        table.compare(choice(disk, QUICK if quick else QUEUED), lambda device: measure.queued(device, 16, count))
    return table


def depths(quick):
    """The ratio does not grow with the number of I/Os in flight."""
    del quick

    def at_each(device):
        found = {}
        for depth in DEPTHS:
            found.update(measure.queued(device, depth, 16384))
        return found

    table = Table("depths", "Direct I/O of 4 KiB by io_uring, so many at a time: instructions of the whole run for each I/O",
                  ["%s 4 x%d" % (kind, depth) for kind in ("write", "read") for depth in DEPTHS])
    with disks(CHECKS, delay=0) as (disk,):
        fill(disk)
        table.compare(choice(disk, ["disk", "auto"]), at_each)
    return table


def interrupt(quick):
    """The disk ends each command in an interrupt, and the thread sleeps until then."""
    del quick
    table = Table("interrupt", "Direct I/O, one at a time, each of which ends by an interrupt after 1 ms: from submission to "
                  "end, less that\nmillisecond, so that what is done while the disk is waited for does not count",
                  measure.names(measure.FEW))
    with disks(CHECKS, delay=0) as (disk,):
        fill(disk)
        delay(NDELAY)
        table.compare(choice(disk, ["disk", "dm-linear", "auto", "optimistic recheck:on", "copy"]),
                      lambda device: measure.after_delay(device, NDELAY, measure.FEW))
    return table
