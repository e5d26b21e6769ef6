# SPDX-License-Identifier: GPL-2.0
"""Direct writes of which some change while they are in flight."""

import json

from .machine import CHECKS, TOP, counters, delay, disks, fail, mapped, run
from .table import heading

POLICIES = ["copy", "auto", "auto learn:off"]
# Writes of a thousand whose buffers change.
SHARES = [0, 1, 10, 100, 1000]
WRITES = 4000
# The disk takes one command after the other, so that others wait, and so long for each.
NDELAY = 200000


def load(device, share, writes):
    return json.loads(run(
        TOP / "build/cargo/release/loads", "direct", "--path", device, "--size", "4M", "--jobs", 1,
        "--depth", 16, "--seconds", 60, "--op-limit", writes, "--change", share))


def changed(quick):
    heading("Direct writes of 4 KiB, 16 at a time, of which some change while they are in flight, to a disk that takes "
            "one command\nafter the other, each in 200 us: writes per second, and how that compares with copying all of them")
    print("%-24s %9s %9s %8s %7s %7s %7s %8s" % ("", "changed", "writes/s", "", "writes", "chosen", "copied", "repaired"))
    rows, writes = [], WRITES // 4 if quick else WRITES
    with disks(CHECKS, max_queue=1, ndelay=1) as (disk,):
        delay(NDELAY)
        for share in SHARES[2:] if quick else SHARES:
            found = []
            for policy in POLICIES:
                found.append(row_of(disk, policy, share, writes, found))
            found.append(row_of(disk, POLICIES[0], share, writes, found))
            reference = (found[0]["writes_per_second"] + found[-1]["writes_per_second"]) / 2
            for row in found:
                row["relative"] = row["writes_per_second"] / reference
            rows += found
        delay(1)
    return rows


def row_of(disk, policy, share, writes, before):
    with mapped(disk, "policy:" + policy) as device:
        out = load(device, share, writes)
        counted = counters()
    if out["failed"]:
        fail("%d writes failed" % out["failed"])
    row = dict(policy=policy, permille=share, writes_per_second=out["writes"] / out["seconds"],
               writes=out["writes"], chosen=out["chosen"], copied=counted["copied"],
               repaired=counted["repaired"], again=policy == POLICIES[0] and bool(before))
    print("%-24s %8g%% %9d %7.3fx %7d %7d %7d %8d" % (
        policy + (", once more" if row["again"] else ""), share / 10, row["writes_per_second"],
        row["writes_per_second"] / (before or [row])[0]["writes_per_second"], row["writes"], row["chosen"],
        row["copied"], row["repaired"]), flush=True)
    return row
