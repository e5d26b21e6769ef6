#!/usr/bin/python3 -S
# SPDX-License-Identifier: GPL-2.0
"""Direct writes of a given shape, and reads.

usage: writes.py vector DEVICE OFFSET SHIFT LENGTH...
       writes.py read DEVICE OFFSET SHIFT LENGTH...
       writes.py adjacent DEVICE OFFSET SIZE COUNT [--change INDEX MS] [--sync]
       writes.py huge DEVICE OFFSET SIZE

vector    one write at OFFSET, whose pieces have these lengths and lie apart in
          memory, each SHIFT bytes behind the start of a page
read      one read into such pieces
adjacent  COUNT writes of SIZE bytes, one behind the other, all at once; --change
          changes a byte of the buffer of one of them MS milliseconds later, and
          --sync makes them write through (O_DSYNC)
huge      one write from huge pages

Prints the error's name for each write or read that fails, and in the end the
SHA-256 of what all buffers hold then, and the number of bytes.
"""

import errno
import hashlib
import mmap
import os
import random
import sys
import threading
import time

MAP_HUGETLB = 0x40000
PAGE = 4096


def fill(size, seed):
    return random.Random(seed).randbytes(size)


def report(chunks):
    digest, size = hashlib.sha256(), 0
    for chunk in chunks:
        digest.update(chunk)
        size += len(chunk)
    print(digest.hexdigest(), size)


def transfer(call, fd, buffers, offset, index=0):
    wanted = sum(len(b) for b in buffers)
    try:
        done = call(fd, buffers, offset)
        if done != wanted:
            print(index, f"{done} bytes instead of {wanted}", flush=True)
    except OSError as error:
        print(index, errno.errorcode.get(error.errno, error.errno), flush=True)


def pieces(shift, lengths):
    """Memory of these lengths, each piece apart from the one before, whatever mmap() does."""
    for length in lengths:
        area = mmap.mmap(-1, (shift + length + PAGE - 1) // PAGE * PAGE + PAGE)
        yield memoryview(area)[shift:shift + length]


def vector(fd, offset, shift, lengths):
    buffers = list(pieces(shift, lengths))
    for i, piece in enumerate(buffers):
        piece[:] = fill(len(piece), offset + i)
    transfer(os.pwritev, fd, buffers, offset)
    report(buffers)


def read(fd, offset, shift, lengths):
    buffers = list(pieces(shift, lengths))
    transfer(os.preadv, fd, buffers, offset)
    report(buffers)


def adjacent(fd, offset, size, count, change):
    areas = [mmap.mmap(-1, size) for _ in range(count)]
    for i, area in enumerate(areas):
        area[:] = fill(size, offset + i)
    threads = [threading.Thread(target=transfer,
                                args=(os.pwritev, fd, [area], offset + i * size, i))
               for i, area in enumerate(areas)]
    for thread in threads:
        thread.start()
    if change:
        index, delay = change
        time.sleep(delay / 1000)
        areas[index][size // 2] ^= 0x55
    for thread in threads:
        thread.join()
    report(areas)


def huge(fd, offset, size):
    area = mmap.mmap(-1, size, flags=mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS | MAP_HUGETLB)
    area[:] = fill(size, offset)
    transfer(os.pwritev, fd, [area], offset)
    report([area])


def main():
    if len(sys.argv) < 5:
        sys.exit("usage: writes.py vector|read|adjacent|huge DEVICE OFFSET NUMBER...")
    kind, path, words = sys.argv[1], sys.argv[2], sys.argv[3:]
    flags = (os.O_RDONLY if kind == "read" else os.O_WRONLY) | os.O_DIRECT
    if "--sync" in words:
        words.remove("--sync")
        flags |= os.O_DSYNC
    change = None
    if "--change" in words:
        at = words.index("--change")
        change = int(words[at + 1]), int(words[at + 2])
        del words[at:at + 3]
    numbers = [int(word) for word in words]
    fd = os.open(path, flags)
    if kind == "vector":
        vector(fd, numbers[0], numbers[1], numbers[2:])
    elif kind == "read":
        read(fd, numbers[0], numbers[1], numbers[2:])
    elif kind == "adjacent":
        adjacent(fd, *numbers, change)
    elif kind == "huge":
        huge(fd, *numbers)
    else:
        sys.exit(f"writes.py: there is no '{kind}'")


if __name__ == "__main__":
    main()
