#!/usr/bin/python3 -S
# SPDX-License-Identifier: GPL-2.0
"""One direct I/O of a given kind, or several next to each other at once.

Data can change while a write is on its way: --suspend holds it at a mapped device
below, --busy at the disk, until the change has been made; --slow trusts a device below
to take longer than that.

Prints one line of JSON:
  result     ok, short or the error's name, if it is that of all; else mixed
  writes     how many (also if they are reads), and how many of them failed
  in_flight  whether none had ended when the data had been changed
  old, new   SHA-256 of the data at first and in the end
"""

import argparse
import collections
import contextlib
import errno
import hashlib
import json
import mmap
import os
import random

import held
import uring

PAGE = 4096
RWF_HIPRI, RWF_DSYNC, RWF_NOWAIT, RWF_ATOMIC = 0x1, 0x2, 0x8, 0x40


def parse(words=None):
    parser = argparse.ArgumentParser(description=__doc__.split("\n", 1)[0])
    parser.add_argument("kind", choices=("read", "write"))
    parser.add_argument("device")
    parser.add_argument("offset", type=int)
    parser.add_argument("size", type=int)
    parser.add_argument("--count", type=int, default=1, help="so many, one behind the other")
    parser.add_argument("--pieces", metavar="LENGTH,...",
                        help="of such lengths, apart in memory, instead of one buffer")
    parser.add_argument("--shift", type=int, default=0,
                        help="bytes from the start of a page to each buffer")
    parser.add_argument("--huge", action="store_true", help="huge pages")
    parser.add_argument("--dsync", action="store_true", help="RWF_DSYNC")
    parser.add_argument("--nowait", action="store_true", help="RWF_NOWAIT")
    parser.add_argument("--atomic", action="store_true", help="RWF_ATOMIC")
    parser.add_argument("--poll", action="store_true", help="IORING_SETUP_IOPOLL")
    parser.add_argument("--sync", action="store_true", help="pwritev2() or preadv2()")
    hold = parser.add_mutually_exclusive_group()
    hold.add_argument("--suspend", metavar="NAME", help="a mapped device below")
    hold.add_argument("--busy", metavar="DISK", help="of scsi_debug")
    hold.add_argument("--slow", metavar="NAME", help="a mapped device below, linear")
    parser.add_argument("--change", type=int, action="append", default=[], metavar="BYTE",
                        help="of all the data; several times")
    parser.add_argument("--seed", type=int, default=1)
    args = parser.parse_args(words)
    if args.change and not (args.suspend or args.busy or args.slow):
        parser.error("--change needs --suspend, --busy or --slow")
    return args


def rw_flags(args):
    return (args.dsync * RWF_DSYNC | args.nowait * RWF_NOWAIT | args.atomic * RWF_ATOMIC)


def buffers(args):
    """The pieces of memory for each I/O."""
    lengths = [int(n) for n in args.pieces.split(",")] if args.pieces else [args.size]
    if sum(lengths) != args.size:
        raise SystemExit(f"bio.py: the pieces are {sum(lengths)} bytes")
    flags = mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS
    if args.huge:
        flags |= 0x40000  # MAP_HUGETLB
    lists = []
    for _ in range(args.count):
        pieces = []
        for length in lengths:
            # A page more, so that neighbours are apart.
            spare = 0 if args.huge else 2 * PAGE
            area = mmap.mmap(-1, length + spare, flags=flags)
            pieces.append(memoryview(area)[args.shift:args.shift + length])
        lists.append(pieces)
    return lists


def fill(lists, seed):
    source = random.Random(seed)
    for pieces in lists:
        for piece in pieces:
            piece[:] = source.randbytes(len(piece))


def flip(lists, byte):
    for pieces in lists:
        for piece in pieces:
            if byte < len(piece):
                piece[byte] ^= 0xFF
                return
            byte -= len(piece)
    raise SystemExit("bio.py: --change is outside of the data")


def digest(lists):
    total = hashlib.sha256()
    for pieces in lists:
        for piece in pieces:
            total.update(piece)
    return total.hexdigest()


def name(result, size):
    if result < 0:
        return errno.errorcode.get(-result, str(-result))
    return "ok" if result == size else "short"


@contextlib.contextmanager
def hold(args):
    if args.busy:
        with held.busy(args.busy) as still:
            yield still
    else:
        with held.kept(args):
            yield lambda: bool(args.suspend or args.slow)


def synchronous(args, fd, lists):
    """The results of one after the other; where they are held, they must not wait."""
    call = os.pwritev if args.kind == "write" else os.preadv
    results = []
    with hold(args):
        for i, pieces in enumerate(lists):
            try:
                results.append(call(fd, pieces, args.offset + i * args.size, rw_flags(args)))
            except OSError as error:
                results.append(-error.errno)
    return results


def asynchronous(args, fd, lists):
    """The results of all at once, and whether none had ended at the change."""
    op = uring.OP_WRITE if args.kind == "write" else uring.OP_READ
    results = {}
    with contextlib.closing(uring.Ring(max(args.count, 2), args.poll)) as ring:
        for i, pieces in enumerate(lists):
            ring.push(op, fd, pieces, args.offset + i * args.size, i, rw_flags(args))
        with hold(args) as holds:
            ring.submit()
            waits = (args.suspend or args.busy or args.slow) and not args.nowait
            if waits and held.is_mapped(args.device):
                held.wait_in_flight(args.device, args.count)
            for byte in args.change:
                flip(lists, byte)
            results.update(ring.completions())
            in_flight = not results and holds()
        while len(results) < args.count:
            ring.submit(1)
            results.update(ring.completions())
    return [results[i] for i in range(args.count)], in_flight


def run(args):
    """What is to be printed."""
    lists = buffers(args)
    if args.kind == "write":
        fill(lists, args.seed)
    old, in_flight = digest(lists), False
    fd = os.open(args.device, os.O_DIRECT | (os.O_RDONLY if args.kind == "read" else os.O_WRONLY))
    try:
        if args.sync:
            results = synchronous(args, fd, lists)
        else:
            results, in_flight = asynchronous(args, fd, lists)
    finally:
        os.close(fd)
    names = collections.Counter(name(result, args.size) for result in results)
    return {
        "result": next(iter(names)) if len(names) == 1 else "mixed",
        "writes": args.count,
        "failed": args.count - names["ok"],
        "in_flight": in_flight,
        "old": old,
        "new": digest(lists),
        "results": dict(names),
    }


if __name__ == "__main__":
    print(json.dumps(run(parse()), separators=(",", ":")))
