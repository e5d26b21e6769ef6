# SPDX-License-Identifier: GPL-2.0
"""I/O that is held on its way to the medium, without that time plays a part.

A mapped device below is suspended, and bios wait to get into it; or it takes them, and
gives none to the disk; or a scsi_debug disk that takes one command at a time
(max_queue=1) is busy with another for a second, so that requests wait in the scheduler.
"""

import contextlib
import os
import subprocess
import time

PATIENCE = 600


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


def replace(name, table):
    """What a mapped device has taken goes down first."""
    subprocess.run(["dmsetup", "load", name, "--table", table], check=True)
    subprocess.run(["dmsetup", "suspend", name], check=True)
    subprocess.run(["dmsetup", "resume", name], check=True)


@contextlib.contextmanager
def slow(name):
    """A mapped device that is one linear target takes what is written to it, and sends
    nothing down until the end of the block. stable-pi sends a write with metadata to a
    suspended device only if it is a copy; here it goes in place."""
    table = subprocess.run(["dmsetup", "table", name], check=True, capture_output=True,
                           encoding="ascii").stdout.strip()
    start, length, target, disk, offset = table.split()
    if target != "linear":
        raise SystemExit(f"held.py: {name} is {target}")
    # Longer than any test takes. When the table goes, dm-delay sends all that it has.
    delay = PATIENCE * 2000
    replace(name, f"{start} {length} delay {disk} {offset} 0 {disk} {offset} {delay}")
    try:
        yield
    finally:
        replace(name, table)


def kept(args):
    """As the options --suspend and --slow say: in a mapped device below, or not at all."""
    if args.suspend:
        return suspended(args.suspend)
    return slow(args.slow) if args.slow else contextlib.nullcontext()


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
