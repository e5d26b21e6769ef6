# SPDX-License-Identifier: GPL-2.0
"""The disks and devices of the virtual machine, and the programs that are run there."""

import contextlib
import os
import stat
import subprocess
import sys
import time
from pathlib import Path

TOP = Path(__file__).resolve().parents[2]
MNT = Path("/mnt/bench")
SCSI = Path("/sys/bus/pseudo/drivers/scsi_debug")
MEGABYTES = 32
# Of a disk that checks, by a CRC of each 512 bytes; and of one that has no checksums.
CHECKS = {"dif": 1, "dix": 1, "guard": 0}
PLAIN = {"dif": 0, "dix": 0}


def fail(words):
    sys.exit("bench: failed: " + words)


def run(*command):
    done = subprocess.run([str(word) for word in command], capture_output=True, text=True)
    if done.returncode:
        fail("%s: %s" % (" ".join(map(str, command)), done.stderr or done.stdout))
    return done.stdout


def succeeds(*command):
    return subprocess.run(command, capture_output=True).returncode == 0


def wait_for(what, condition):
    for _ in range(200):
        found = condition()
        if found:
            return found
        time.sleep(0.05)
    return fail(what)


def is_block(path):
    return os.path.exists(path) and stat.S_ISBLK(os.stat(path).st_mode)


def sectors_of(device):
    return int(run("blockdev", "--getsz", device))


# Disks ---------------------------------------------------------------------

def find_disks(count):
    found = []
    for model in sorted(Path("/sys/block").glob("sd*/device/model")):
        disk = "/dev/" + model.parts[3]
        if model.read_text().startswith("scsi_debug") and is_block(disk):
            found.append(disk)
    return found if len(found) == count else None


@contextlib.contextmanager
def disks(kind, count=1, megabytes=MEGABYTES, **parameters):
    """So many disks of scsi_debug, each with a store of its own."""
    words = dict(dev_size_mb=megabytes, **kind, **parameters)
    if count > 1:
        words.update(add_host=count, per_host_store=1)
    run("modprobe", "scsi_debug", *("%s=%s" % pair for pair in words.items()))
    yield wait_for("scsi_debug made no disk", lambda: find_disks(count))
    drop_disks()


def drop_disks():
    """The hosts of scsi_debug go before it: when it goes, it does not wait for what removes its
    targets, which then finds neither its folder in debugfs nor its code."""
    hosts = SCSI / "add_host"
    wait_for("scsi_debug is in use", lambda:
             Path("/sys/module/scsi_debug/refcnt").read_text().strip() == "0")
    hosts.write_text("-" + hosts.read_text().strip())
    # Targets without a disk stay in any case.
    wait_for("a target stays", lambda:
             not list(Path("/sys/kernel/debug/scsi_debug").glob("target*:0:0")))
    wait_for("scsi_debug stays", lambda: succeeds("rmmod", "scsi_debug"))


def delay(ns):
    """How long the disk takes for a command."""
    def put():
        try:
            (SCSI / "ndelay").write_text(str(ns))
            return True
        except OSError:
            return False
    wait_for("the delay of scsi_debug cannot be set", put)


def fill(device, source="/dev/urandom"):
    """What was never written is not verified, by the disk alone no more than by the target."""
    run("dd", "if=" + source, "of=" + device, "bs=1M", "oflag=direct", "iflag=count_bytes",
        "count=%d" % (sectors_of(device) * 512))


# Devices -------------------------------------------------------------------

# The devices that there are, from the bottom to the top.
names = []


@contextlib.contextmanager
def created(table):
    name = "bench%s" % (len(names) or "")
    names.append(name)
    run("dmsetup", "create", name, "--table", table)
    device = "/dev/mapper/" + name
    if not is_block(device):
        fail(device + " is no block device")
    yield device
    wait_for("the device stays", lambda: succeeds("dmsetup", "remove", name))
    names.remove(name)


@contextlib.contextmanager
def mapped(disk, *layers):
    """Layers on a disk, from the bottom to the top: `linear`, or the arguments of stable-pi."""
    with contextlib.ExitStack() as stack:
        for layer in layers:
            sectors = sectors_of(disk)
            if layer == "linear":
                table = "0 %d linear %s 0" % (sectors, disk)
            else:
                table = "0 %d stable-pi %s 0 %d %s" % (sectors, disk, len(layer.split()), layer)
            disk = stack.enter_context(created(table))
        yield disk


def choices(disk, devices):
    """What Table.compare() takes: of names and layers, names and contexts."""
    return [(name, lambda layers=layers: mapped(disk, *layers)) for name, layers in devices.items()]


@contextlib.contextmanager
def integrity(disk):
    """dm-integrity without a journal, with a CRC32C of each 512 bytes, all of it written once. A table
    of one sector makes it write its superblock, which says how many sectors it provides then."""
    run("modprobe", "-q", "crc32c")
    run("dd", "if=/dev/zero", "of=" + disk, "bs=4k", "count=1", "oflag=direct")
    table = "integrity %s 0 - %s 1 internal_hash:crc32c"
    with created("0 1 " + table % (disk, "J")):
        pass
    with open(disk, "rb") as file:
        sectors = int.from_bytes(file.read(24)[16:], "little")
    with created("0 %d " % sectors + table % (disk, "D")) as device:
        fill(device)
        yield device


@contextlib.contextmanager
def mirror(legs):
    """md RAID1."""
    run("mdadm", "--create", "/dev/md0", "--run", "--metadata=1.0", "--assume-clean", "--bitmap=none",
        "--level=1", "--raid-devices=%d" % len(legs), *legs)
    wait_for("there is no array", lambda: is_block("/dev/md0"))
    fill("/dev/md0")
    yield "/dev/md0"
    wait_for("the array stays", lambda: succeeds("mdadm", "--stop", "/dev/md0"))
    wait_for("the array stays", lambda: not os.path.exists("/sys/block/md0"))


@contextlib.contextmanager
def mounted(kind, device):
    run("mount", "-t", kind, "-o", "noatime", device, MNT)
    yield MNT
    run("umount", MNT)


def counters(name="bench"):
    """Of stable-pi."""
    words = [word.split(":") for word in run("dmsetup", "status", name).split() if ":" in word]
    return {word[0]: int(word[1]) for word in words if word[1].isdigit()}
