# SPDX-License-Identifier: GPL-2.0
"""Pages of files that are written over and over while they are under writeback."""

from . import measure
from .machine import CHECKS, MEGABYTES, PLAIN, counters, delay, disks, mapped, mounted, run
from .table import heading

# Device, policies. Over a disk that checks, optimistic is as auto; without a profile
# auto copies where nothing waits, and is as optimistic where filesystems do.
WAITERS = [("checks", CHECKS, ["auto", "copy"]), ("no profile", PLAIN, ["auto", "optimistic"])]
# Threads, KiB of the file that they share, nanoseconds that the disk needs for a command.
LOADS = [(4, 1024, 20000), (16, 64, 20000), (16, 64, 200000)]
WRITES = 4096


def measured(device, threads, kib, ns):
    """By threads that start writeback after each write."""
    # What has changed behind the check of the disk does not read.
    run("dd", "if=/dev/zero", "of=" + device, "bs=64k", "oflag=direct", "count=%d" % (MEGABYTES * 16))
    run("mkfs.ext4", "-q", "-F", "-E", "nodiscard,lazy_itable_init=0,lazy_journal_init=0", device)
    with mounted("ext4", device) as folder:
        file = folder / "file"
        run("dd", "if=/dev/zero", "of=%s" % file, "bs=4k", "count=%d" % (kib // 4), "conv=fsync")
        run("dmsetup", "message", "bench", "0", "reset")
        delay(ns)
        written = measure.fio(
            "--name=rewrite", "--filename=%s" % file, "--ioengine=psync", "--rw=randwrite",
            "--random_generator=lfsr", "--bs=4k", "--size=%dk" % kib, "--io_size=%dk" % (WRITES * 4 // threads),
            "--numjobs=%d" % threads, "--sync_file_range=write:1", "--overwrite=1", "--end_fsync=1")[0]["write"]
        delay(1)
        counted = counters()
    return {"writes_per_second": written["iops"], "write_ns_mean": written["clat_ns"]["mean"],
            "write_ns_99": written["clat_ns"]["percentile"]["99.000000"],
            "below": counted["writes"], "copied": counted["copied"], "repaired": counted["repaired"]}


def rewrite(quick):
    run("modprobe", "ext4")
    heading("Buffered 4k writes by threads to the same pages of a file on ext4, which are also being written back")
    print("%-24s %7s %6s %8s %6s %9s %9s %9s %7s %7s %8s" % (
        "", "threads", "KiB", "disk ns", "waits", "writes/s", "mean ns", "99 % ns", "below", "copied", "repaired"))
    rows = []
    for kind, parameters, policies in WAITERS[:1] if quick else WAITERS:
        with disks(parameters, max_queue=1, ndelay=1) as (disk,):
            for load in LOADS[:1] if quick else LOADS:
                for policy in policies[:1] if quick else policies:
                    for waits in ("off", "on"):
                        rows.append(row_of(disk, kind, policy, waits, load))
    return rows


def row_of(disk, kind, policy, waits, load):
    threads, kib, ns = load
    with mapped(disk, "policy:%s waits:%s" % (policy, waits)) as device:
        found = measured(device, threads, kib, ns)
    row = dict(device=kind, policy=policy, waits=waits, threads=threads, kib=kib, disk_ns=ns, **found)
    print("%-24s %7d %6d %8d %6s %9d %9d %9d %7d %7d %8d" % (
        kind + ", " + policy, threads, kib, ns, waits, row["writes_per_second"], row["write_ns_mean"],
        row["write_ns_99"], row["below"], row["copied"], row["repaired"]), flush=True)
    return row
