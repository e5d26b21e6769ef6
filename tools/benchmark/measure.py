# SPDX-License-Identifier: GPL-2.0
"""How many nanoseconds an I/O takes. In virtual time, each is an instruction."""

import json

from .machine import fail, run

# Operation, KiB, how many.
SIZES = [("write", 4, 400), ("write", 64, 100), ("write", 1024, 16),
         ("read", 4, 400), ("read", 64, 100), ("read", 1024, 16)]
# As many as a group needs that compares devices which take a hundredth more or less.
FEW = [(kind, kib, min(count, 8) if kib == 1024 else count) for kind, kib, count in SIZES]


def names(sizes):
    return ["%s %d" % size[:2] for size in sizes]


def fio(*arguments):
    out = run("fio", "--output-format=json", "--thread", "--randrepeat=1", "--norandommap",
              "--group_reporting", *arguments)
    jobs = json.loads(out[out.index("{"):])["jobs"]
    for job in jobs:
        if job["error"]:
            fail("fio: %s ended with error %d" % (job["jobname"], job["error"]))
    return jobs


def waiting(path, sizes=None, warm=True):
    """By one thread that waits for each I/O: from its submission to its end. What a new device does once
    is not to be in it, so a tenth of them goes before, which is not counted."""
    jobs, found = [], {}
    for kind, kib, count in sizes or SIZES:
        for name, number in [("warm", count // 10 + 1)] * warm + [("%s %d" % (kind, kib), count)]:
            jobs += ["--name=" + name, "--stonewall", "--filename=%s" % path, "--direct=1",
                     "--ioengine=psync", "--rw=rand" + kind, "--bs=%dk" % kib, "--size=24m",
                     "--number_ios=%d" % number]
    for job in fio("--random_generator=lfsr", *jobs):
        if job["jobname"] != "warm":
            found[job["jobname"]] = job[job["jobname"].split()[0]]["clat_ns"]["mean"]
    return found


def queued(path, depth, count, sizes=(("write", 4), ("read", 4))):
    """By one thread that submits as many I/Os at a time as the depth says, by io_uring, and waits for
    all of them: the time of the whole run, with fio's own instructions, for each I/O."""
    found = {}
    for kind, kib in sizes:
        job = fio("--name=queued", "--filename=%s" % path, "--direct=1", "--ioengine=io_uring",
                  "--rw=rand" + kind, "--bs=%dk" % kib, "--size=24m", "--io_size=%dk" % (kib * count),
                  "--iodepth=%d" % depth, "--iodepth_batch_submit=%d" % depth,
                  "--iodepth_batch_complete_min=%d" % depth)[0][kind]
        if job["total_ios"] != count:
            fail("fio did %d of %d I/Os" % (job["total_ios"], count))
        found["%s %d x%d" % (kind, kib, depth)] = job["runtime"] * 1e6 / count
    return found


def after_delay(path, ns, sizes=None):
    """As waiting(), less the time that the disk needs for each command."""
    return {at: taken - ns for at, taken in waiting(path, sizes).items()}
