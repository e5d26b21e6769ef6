# SPDX-License-Identifier: GPL-2.0
"""Direct I/O to a file on XFS, which bounces direct writes itself where the device wants stable pages
(IOMAP_DIO_BOUNCE)."""

import contextlib

from . import measure
from .machine import CHECKS, MNT, disks, mapped, mounted, run
from .table import Table

# mkfs.xfs takes no less than 300.
MEGABYTES = 330
DEVICES = {
    "XFS on the disk": (),
    "XFS on dm-linear": ("linear",),
    "XFS on stable-pi, copy": ("policy:copy",),
    "XFS on stable-pi, auto": ("policy:auto",),
}


@contextlib.contextmanager
def on(disk, layers):
    """The file, of the one filesystem that is below each of the devices."""
    with mapped(disk, *layers) as device, mounted("xfs", device):
        yield MNT / "file"


def xfs(quick):
    del quick
    run("modprobe", "xfs")
    table = Table("xfs", "Direct I/O to a file on XFS that has been written, one at a time: instructions for each, "
                  "and how that compares\nwith XFS on the disk, which bounces writes itself",
                  measure.names(measure.FEW), 26)
    with disks(CHECKS, megabytes=MEGABYTES, delay=0) as (disk,):
        run("mkfs.xfs", "-q", "-f", "-K", disk)
        with on(disk, ()) as file:
            run("dd", "if=/dev/urandom", "of=%s" % file, "bs=1M", "oflag=direct", "count=24")
        table.compare([(name, lambda layers=layers: on(disk, layers)) for name, layers in DEVICES.items()],
                      lambda path: measure.waiting(path, measure.FEW))
    return table
