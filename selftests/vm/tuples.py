#!/usr/bin/python3 -S
# SPDX-License-Identifier: GPL-2.0
"""Protection information as a disk holds it: print it, check it, write it.

usage: tuples.py DEVICE BLOCK COUNT
       tuples.py check DEVICE APP_TAG BLOCK+COUNT...
       tuples.py write DEVICE BLOCK[,WORD]...
       tuples.py format DEVICE
       tuples.py serve

Reads and writes logical blocks together with their metadata, which io_uring
carries (IORING_RW_ATTR_FLAG_PI), and asks nobody to verify anything. What has to
be there is computed here, from the standards alone. Tags are hexadecimal.

Without a word in front, prints a line for each block:

    BLOCK guard app_tag ref_tag crc16 ip crc64 rest

crc16, ip and crc64: what the guard has to be in the checksum that the disk has,
- in the two others; rest: the metadata around the tuple, - if there is none.

check    fails if a tuple is not right: guard, application tag, and where the
         profile has one, the reference tag, which is the number of the block,
         or what of it there is room for
write    writes single blocks of random data with a right tuple, with random
         metadata around it, and then what the words change:
           data     one bit of the data, behind the tuple's back
           guard    one bit of the guard
           rest     one bit of the metadata around the tuple
           app=TAG  the application tag, 0 without this
           ref=TAG  the reference tag, the number of the block without this
format   prints checksum, whether there is a reference tag, interval, metadata,
         tuple, and offset of the tuple, the last four in bytes
serve    takes such lines from standard input, with the name of a file for the
         output in front, and answers each with the exit status
"""

import contextlib
import errno
import fcntl
import mmap
import os
import struct
import sys

# Nothing is left behind in the tree.
sys.dont_write_bytecode = True
import uring  # noqa: E402
from uring import OP_READ, OP_WRITE  # noqa: E402

GET_METADATA_CAP = 0xC0101502  # FS_IOC_GETLBMD_CAP
CAP_REF_TAG = 2
CHECKSUMS = {1: "ip", 2: "crc16", 4: "crc64"}


def transfer(op, fd, offset, data, metadata, seed):
    """One read or write of data at an offset in bytes, with its metadata."""
    with contextlib.closing(uring.Ring(1)) as ring:
        ring.push(op, fd, [data], offset, payload=(metadata, 0, 0, seed))
        ring.submit(1)
        (_, result), = ring.completions()
    if result < 0:
        raise OSError(-result, os.strerror(-result))
    if result != len(data):
        raise OSError(errno.EIO, f"{result} bytes instead of {len(data)}")


def crc16_table():
    for value in range(0, 0x10000, 0x100):
        for _ in range(8):
            value = (value << 1) ^ (0x18BB7 if value & 0x8000 else 0)
        yield value


def crc64_table():
    for value in range(0x100):
        for _ in range(8):
            value = value >> 1 ^ (0x9A6C9329AC4BC9B5 if value & 1 else 0)
        yield value


def crc16(data, table=tuple(crc16_table())):
    crc = 0
    for byte in data:
        crc = (crc << 8 & 0xFF00) ^ table[crc >> 8 ^ byte]
    return crc


def crc64(data, table=tuple(crc64_table())):
    crc = 0xFFFFFFFFFFFFFFFF
    for byte in data:
        crc = crc >> 8 ^ table[crc & 0xFF ^ byte]
    return crc ^ 0xFFFFFFFFFFFFFFFF


def ip_checksum(data):
    total = sum(struct.unpack(f">{len(data) // 2}H", data))
    while total >> 16:
        total = (total & 0xFFFF) + (total >> 16)
    return ~total & 0xFFFF


GUARDS = {"crc16": crc16, "ip": ip_checksum, "crc64": crc64}


class Wrong(Exception):
    """What was asked for makes no sense."""


class Disk:
    """A device, and what it says of its metadata."""

    def __init__(self, path, flags):
        self.fd = os.open(path, flags | os.O_DIRECT)
        try:
            self._ask(path)
        except BaseException:
            os.close(self.fd)
            raise

    def _ask(self, path):
        cap = bytearray(16)
        fcntl.ioctl(self.fd, GET_METADATA_CAP, cap)
        (flags, self.interval, self.metadata, _, _, self.tuple, self.offset,
         kind) = struct.unpack_from("<IH6B", cap)
        if kind not in CHECKSUMS:
            raise Wrong(f"{path} has no protection information")
        self.checksum = CHECKSUMS[kind]
        self.has_ref_tag = bool(flags & CAP_REF_TAG)
        # Bytes of guard, application tag and reference tag.
        self.sizes = (8, 2, 6) if self.checksum == "crc64" else (2, 2, 4)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        os.close(self.fd)

    def guard(self, data, metadata):
        """What it has to be: it covers the metadata in front of the tuple, too."""
        covered = bytes(data) + bytes(metadata[:self.offset])
        return GUARDS[self.checksum](covered)

    def unpack(self, metadata):
        """Guard, application tag and reference tag."""
        at, tags = self.offset, []
        for size in self.sizes:
            tags.append(int.from_bytes(metadata[at:at + size], "big"))
            at += size
        return tuple(tags)

    def pack(self, *tags):
        return b"".join((tag & (1 << 8 * size) - 1).to_bytes(size, "big")
                        for tag, size in zip(tags, self.sizes))

    def transfer(self, op, block, data, metadata):
        transfer(op, self.fd, block * self.interval, data, metadata, block)

    def read(self, first, count):
        """For each block its number, its data and its metadata."""
        data = mmap.mmap(-1, count * self.interval)
        size = count * self.metadata
        # As long as the metadata has to be, and no longer.
        metadata = memoryview(mmap.mmap(-1, size))[:size]
        self.transfer(OP_READ, first, data, metadata)
        metadata = bytes(metadata)
        for i in range(count):
            yield (first + i, data[i * self.interval:(i + 1) * self.interval],
                   metadata[i * self.metadata:(i + 1) * self.metadata])

    def write(self, block, words):
        values = dict(word.partition("=")[::2] for word in words)
        if unknown := values.keys() - {"data", "guard", "rest", "app", "ref"}:
            raise Wrong(f"there is no '{unknown.pop()}'")
        data = mmap.mmap(-1, self.interval)
        data[:] = os.urandom(self.interval)
        metadata = memoryview(mmap.mmap(-1, self.metadata))[:self.metadata]
        metadata[:] = os.urandom(self.metadata)
        guard = self.guard(data, metadata) ^ ("guard" in values)
        metadata[self.offset:self.offset + self.tuple] = self.pack(
            guard, int(values.get("app", "0"), 16), int(values.get("ref", f"{block:x}"), 16))
        if "data" in values:
            data[0] ^= 1
        if "rest" in values:
            metadata[0 if self.offset else self.metadata - 1] ^= 1
        self.transfer(OP_WRITE, block, data, metadata)


def show(disk, first, count):
    for block, data, metadata in disk.read(first, count):
        tags = (f"{tag:0{2 * size}x}" for tag, size in zip(disk.unpack(metadata), disk.sizes))
        guard = f"{disk.guard(data, metadata):0{2 * disk.sizes[0]}x}"
        guards = (guard if disk.checksum == kind else "-" for kind in GUARDS)
        rest = metadata[:disk.offset] + metadata[disk.offset + disk.tuple:]
        print(block, *tags, *guards, rest.hex() or "-")


def check(disk, app, first, count):
    """Prints what is not right, and returns how many blocks that are."""
    bad = 0
    for block, data, metadata in disk.read(first, count):
        found = disk.unpack(metadata)
        ref = block & (1 << 8 * disk.sizes[2]) - 1
        wanted = (disk.guard(data, metadata), app, ref if disk.has_ref_tag else found[2])
        if found != wanted:
            bad += 1
            if bad <= 5:
                print("block {}: guard {:x} app {:x} ref {:x} instead of {:x} {:x} {:x}".format(
                    block, *found, *wanted))
    return bad


def span(word):
    first, count = word.split("+")
    return int(first), int(count)


def run(words):
    """What the words ask for; returns the exit status."""
    if words[0] == "check":
        with Disk(words[1], os.O_RDONLY) as disk:
            app = int(words[2], 16)
            return int(any([check(disk, app, *span(word)) for word in words[3:]]))
    if words[0] == "write":
        with Disk(words[1], os.O_WRONLY) as disk:
            for word in words[2:]:
                block, *changes = word.split(",")
                disk.write(int(block), changes)
    elif words[0] == "format":
        with Disk(words[1], os.O_RDONLY) as disk:
            print(disk.checksum, "ref" if disk.has_ref_tag else "noref", disk.interval,
                  disk.metadata, disk.tuple, disk.offset)
    else:
        with Disk(words[0], os.O_RDONLY) as disk:
            show(disk, int(words[1]), int(words[2]))
    return 0


def answer(words):
    try:
        return run(words)
    except (IndexError, ValueError):
        print("tuples.py: wrong usage, see the head of the file", file=sys.stderr)
    except Wrong as error:
        print(f"tuples.py: {error}", file=sys.stderr)
    except OSError as error:
        print(f"tuples.py: {errno.errorcode.get(error.errno, error.errno)}: {error.strerror}",
              file=sys.stderr)
    return 1


def serve():
    for line in sys.stdin:
        name, *words = line.split()
        with open(name, "w", encoding="ascii") as file, contextlib.redirect_stdout(file), \
                contextlib.redirect_stderr(file):
            status = answer(words)
        print(status, flush=True)


if __name__ == "__main__":
    if sys.argv[1:] == ["serve"]:
        serve()
    else:
        sys.exit(answer(sys.argv[1:]))
