#!/usr/bin/python3 -S
# SPDX-License-Identifier: GPL-2.0
"""One direct read or write with protection information of the application's own.

The metadata around the tuples, if the disk has any, is 0. Prints one line of JSON:
  result     ok, short or the error's name
  in_flight  whether it had not ended when something had been changed
  old, new   SHA-256 of the data at first and in the end
"""

import argparse
import contextlib
import hashlib
import json
import mmap
import os
import random

import bio
import held
import tuples
import uring

CHECKS = {"guard": 1, "ref": 2, "app": 4}


def parse(words=None):
    parser = argparse.ArgumentParser(description=__doc__.split("\n", 1)[0])
    parser.add_argument("kind", choices=("read", "write"))
    parser.add_argument("device")
    parser.add_argument("block", type=int, help="the first logical block")
    parser.add_argument("count", type=int, help="of logical blocks")
    parser.add_argument("--like", metavar="DEVICE", help="whose format it is, if not DEVICE's")
    parser.add_argument("--app", type=lambda n: int(n, 0), default=0, help="the application tag")
    parser.add_argument("--first", type=int,
                        help="the reference tag of the first block, if not its number")
    parser.add_argument("--check", default="guard,ref", metavar="guard,ref,app",
                        help="what the kernel is told to check; - for nothing")
    parser.add_argument("--spoil", choices=("guard", "ref"), help="a wrong tag")
    parser.add_argument("--in", dest="block_in", type=int, default=0, metavar="BLOCK",
                        help="of the data: which tuple is wrong")
    hold = parser.add_mutually_exclusive_group()
    hold.add_argument("--suspend", metavar="NAME", help="a mapped device below")
    hold.add_argument("--slow", metavar="NAME", help="a mapped device below, linear")
    parser.add_argument("--change", type=int, metavar="BYTE", help="of the data, in flight")
    parser.add_argument("--change-tuple", type=int, metavar="BLOCK", help="its guard, in flight")
    parser.add_argument("--seed", type=int, default=1, help="of the data")
    args = parser.parse_args(words)
    args.first = args.block if args.first is None else args.first
    return args


def generate(args, disk, data, metadata):
    """A tuple for each interval, of which one may be wrong."""
    for i in range(args.count):
        interval = data[i * disk.interval:(i + 1) * disk.interval]
        around = metadata[i * disk.metadata:(i + 1) * disk.metadata]
        wrong = args.spoil if i == args.block_in else None
        guard = disk.guard(interval, around) ^ (0x40 if wrong == "guard" else 0)
        ref = args.first + i ^ (0x40 if wrong == "ref" else 0)
        around[disk.offset:disk.offset + disk.tuple] = disk.pack(guard, args.app, ref)


def transfer(args, disk, data, metadata):
    """The result, and whether it came after all changes."""
    op, mode = (uring.OP_WRITE, os.O_WRONLY) if args.kind == "write" else (uring.OP_READ, os.O_RDONLY)
    flags = sum(CHECKS[word] for word in args.check.split(",") if word != "-")
    fd = os.open(args.device, mode | os.O_DIRECT)
    with contextlib.closing(uring.Ring(2)) as ring:
        ring.push(op, fd, [data], args.block * disk.interval,
                  payload=(metadata, flags, args.app, args.first))
        with held.kept(args):
            ring.submit()
            if args.suspend or args.slow:
                held.wait_in_flight(args.device, 1)
            if args.change is not None:
                data[args.change] ^= 0xFF
            if args.change_tuple is not None:
                metadata[args.change_tuple * disk.metadata + disk.offset] ^= 0xFF
            ended = ring.completions()
        in_flight = not ended
        if in_flight:
            ring.submit(1)
            ended = ring.completions()
    os.close(fd)
    (_, result), = ended
    return result, in_flight


def run(args):
    """What is to be printed."""
    disk = tuples.Disk(args.like or args.device, os.O_RDONLY)
    os.close(disk.fd)
    data = mmap.mmap(-1, args.count * disk.interval)
    size = args.count * disk.metadata
    # As long as the metadata has to be, and no longer.
    metadata = memoryview(mmap.mmap(-1, size))[:size]
    if args.kind == "write":
        data[:] = random.Random(args.seed).randbytes(len(data))
        generate(args, disk, data, metadata)
    old = hashlib.sha256(data).hexdigest()
    result, in_flight = transfer(args, disk, data, metadata)
    return {
        "result": bio.name(result, len(data)),
        "in_flight": in_flight,
        "old": old,
        "new": hashlib.sha256(data).hexdigest(),
    }


if __name__ == "__main__":
    print(json.dumps(run(parse()), separators=(",", ":")))
