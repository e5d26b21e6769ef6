#!/usr/bin/python3 -S
# SPDX-License-Identifier: GPL-2.0
"""Reads, one or many, and what they come to.

usage: reads.py read DEVICE OFFSET LENGTH [--buffered]
       reads.py race DEVICE OFFSET LENGTH
       reads.py many DEVICE SIZE READS

read  one read, direct unless it is --buffered: prints ok and the SHA-256 of the
      data, or the error's name
race  one direct read whose buffer is changed as soon as the device has filled
      it. Prints the result (ok or the error's name), when the change came (flight
      or late) and what the buffer holds in the end (disk, changed or other)
many  random bytes, written to the first SIZE bytes, then so many direct reads of
      1 to 64 KiB by two threads on each processor: prints how many failed and how
      many gave other data
"""

import errno
import hashlib
import mmap
import os
import random
import sys
import threading

BLOCK = 4096
THREADS_PER_CPU = 2


def name_of(error):
    return errno.errorcode.get(error.errno, str(error.errno))


def read_into(fd, buffer, offset):
    """ok, short or the error's name."""
    try:
        return "ok" if os.preadv(fd, [buffer], offset) == len(buffer) else "short"
    except OSError as error:
        return name_of(error)


def read(path, offset, length, buffered):
    fd = os.open(path, os.O_RDONLY | (0 if buffered else os.O_DIRECT))
    if buffered:
        # No other page than these is to be read on the way.
        os.posix_fadvise(fd, 0, 0, os.POSIX_FADV_RANDOM)
    buffer = mmap.mmap(-1, length)
    result = read_into(fd, buffer, offset)
    print(result, hashlib.sha256(buffer).hexdigest() if result == "ok" else "")


def race(path, offset, length):
    fd = os.open(path, os.O_RDONLY | os.O_DIRECT)
    disk = mmap.mmap(-1, length)
    if read_into(fd, disk, offset) != "ok":
        sys.exit(f"reads.py: {path} cannot be read before the race")
    buffer = mmap.mmap(-1, length)
    # Whatever the last byte is, it changes when the data arrives.
    last, victim = length - 1, length // 2
    empty = disk[last] ^ 0xFF
    buffer[last] = empty
    result = []
    thread = threading.Thread(target=lambda: result.append(read_into(fd, buffer, offset)))
    thread.start()
    while buffer[last] == empty and thread.is_alive():
        pass
    buffer[victim] ^= 0x55
    when = "flight" if thread.is_alive() else "late"
    thread.join()
    changed = bytearray(disk)
    changed[victim] ^= 0x55
    content = {bytes(disk): "disk", bytes(changed): "changed"}.get(bytes(buffer), "other")
    print(result[0], when, content)


class Reader(threading.Thread):
    """Reads at random places, on one processor, and compares."""

    def __init__(self, fd, image, cpu, seed, reads):
        super().__init__()
        self.fd, self.image, self.cpu, self.reads = fd, image, cpu, reads
        self.random = random.Random(seed)
        self.failed = self.other = 0

    def run(self):
        os.sched_setaffinity(0, {self.cpu})
        area = memoryview(mmap.mmap(-1, 16 * BLOCK))
        for _ in range(self.reads):
            length = self.random.randint(1, 16) * BLOCK
            offset = self.random.randrange((len(self.image) - length) // BLOCK + 1) * BLOCK
            if read_into(self.fd, area[:length], offset) != "ok":
                self.failed += 1
            elif area[:length].tobytes() != self.image[offset:offset + length]:
                self.other += 1


def many(path, size, reads):
    image = random.Random(size).randbytes(size)
    fd = os.open(path, os.O_RDWR | os.O_DIRECT)
    area = mmap.mmap(-1, size)
    area[:] = image
    os.pwrite(fd, area, 0)
    cpus = sorted(os.sched_getaffinity(0)) * THREADS_PER_CPU
    threads = [Reader(fd, image, cpu, i, reads // len(cpus)) for i, cpu in enumerate(cpus)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    print(sum(t.failed for t in threads), sum(t.other for t in threads))


def main():
    words = sys.argv[1:]
    buffered = "--buffered" in words
    if buffered:
        words.remove("--buffered")
    if len(words) != 4 or words[0] not in ("read", "race", "many"):
        sys.exit("usage: reads.py read|race|many DEVICE NUMBER NUMBER [--buffered]")
    path, first, second = words[1], int(words[2]), int(words[3])
    if words[0] == "read":
        read(path, first, second, buffered)
    elif words[0] == "race":
        race(path, first, second)
    else:
        many(path, first, second)


if __name__ == "__main__":
    main()
