# SPDX-License-Identifier: GPL-2.0
"""I/O that is held on its way to the medium, without that time plays a part.

Either a mapped device below is suspended, where bios wait; or a scsi_debug disk
that takes one command at a time (max_queue=1) is busy with another for a second,
so that requests wait in the scheduler.
"""

import contextlib
import os
import subprocess
import time

PATIENCE = 60


def until(condition, what):
    end = time.monotonic() + PATIENCE
    while not condition():
        if time.monotonic() > end:
            raise TimeoutError(f"no {what} after {PATIENCE} s")
        time.sleep(0.005)


def folder(device):
    """That of a block device in /sys."""
    number = os.stat(device).st_rdev
    return os.path.realpath(f"/sys/dev/block/{os.major(number)}:{os.minor(number)}")


def sysfs(device, name):
    """The words of a file there."""
    with open(f"{folder(device)}/{name}", encoding="ascii") as file:
        return file.read().split()


def is_mapped(device):
    """Whether device mapper made it."""
    return os.path.isdir(f"{folder(device)}/dm")


def wait_in_flight(device, count):
    """Until a mapped device has sent so many bios down: their checksums have been
    made, since a bio counts from then on."""
    until(lambda: sum(map(int, sysfs(device, "inflight"))) >= count, f"{count} bios in flight")


@contextlib.contextmanager
def suspended(name):
    """A mapped device keeps what is sent to it until the end of the block."""
    subprocess.run(["dmsetup", "suspend", name], check=True)
    try:
        yield
    finally:
        subprocess.run(["dmsetup", "resume", name], check=True)


@contextlib.contextmanager
def busy(disk):
    """A scsi_debug disk with max_queue=1 and ndelay above 10000 works at a START
    STOP UNIT command, which takes a second, and only then if it changes anything
    (with delay=N instead of ndelay: N seconds). Gives a function that says whether
    it still does."""
    def counter(name):
        return int(sysfs(disk, f"device/{name}_cnt")[0], 16)

    subprocess.run(["sg_start", "--stop", disk], check=True)
    started, done = counter("iorequest"), counter("iodone")
    with subprocess.Popen(["sg_start", "--start", disk]) as start:
        until(lambda: counter("iorequest") > started, "command in flight")
        yield lambda: counter("iodone") == done
        start.wait()
    if start.returncode:
        raise subprocess.SubprocessError(f"sg_start ends with {start.returncode}")
