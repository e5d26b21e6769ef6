#!/usr/bin/python3 -S
# SPDX-License-Identifier: GPL-2.0
"""A disk with protection information that records what it stores, in order.

usage: recorder.py KIND LOG GATE [IMAGE]

KIND    stores   takes data and tuples as they come, and does not check
        checks   checks its own copy of a write, and rejects what does not match
        late     says that it checks, and does it before it takes the data, as scsi_debug
LOG     a file that entries are appended to, as drivers/md/dm-log-writes.c has them. Behind
        the data of a write are its tuples, padded to a sector; the field for the length
        of the rest says how many bytes they are
GATE    a file of one byte: while it is 0, writes that have come wait, though late has
        checked them; what is written to them is taken when it is 1
IMAGE   what the disk holds at first: all data, then all tuples

The disk is one of ublk, with a write cache and FUA; its checksum is that of IP, which Python
computes fast. Prints the name of the device when it is there. Ends when standard input does.
"""

import contextlib
import mmap
import os
import select
import struct
import sys
import time

# Nothing is left behind in the tree.
sys.dont_write_bytecode = True
import uring  # noqa: E402

SECTOR, TUPLE = 512, 8
SECTORS = 4096
FLUSH, FUA, DISCARD, MARK = 1, 2, 4, 8

DEPTH = 64
ADD, DELETE, START, STOP, SET_PARAMS = 0x04, 0x05, 0x06, 0x07, 0x08
FETCH, COMMIT = 0x20, 0x21
USER_COPY, INTEGRITY, NO_SCAN, IOCTL = 1 << 7, 1 << 16, 1 << 18, 1 << 6
OP_READ, OP_WRITE, OP_FLUSH = 0, 1, 2
IO_FUA, IO_INTEGRITY = 1 << 13, 1 << 18
BUFFER, TUPLES = 0x80000000, 1 << 62
EILSEQ, EOPNOTSUPP, ENODEV = 84, 95, 19
CONTROL = 1 << 16


def guard(data):
    """The checksum of IP: the sum of 16-bit words, modulo 65535."""
    number = int.from_bytes(data, "big")
    total = number % 0xFFFF
    return 0xFFFF if not number else ~(total or 0xFFFF) & 0xFFFF


def matches(data, pi, sector):
    """Whether the sector can be read."""
    got, app, ref = struct.unpack(">HHI", pi)
    return app == 0xFFFF or (got == guard(data) and ref == sector)


def entry(sector, count, flags, rest=0):
    return struct.pack("<QQQQ", sector, count, flags, rest).ljust(SECTOR, b"\0")


def append(fd, sector, data, flags, tuples=b""):
    """One entry; whole, since the file is opened to be appended to."""
    padding = bytes(-len(tuples) % SECTOR)
    os.write(fd, entry(sector, len(data) // SECTOR, flags, len(tuples)) + data + tuples + padding)


def mark(fd, text):
    raw = text.encode()
    head = struct.pack("<QQQQ", 0, 0, MARK, len(raw))
    os.write(fd, (head + raw).ljust(SECTOR, b"\0"))


class Store:
    """What the disk holds."""

    def __init__(self, image):
        if image:
            with open(image, "rb") as file:
                self.data = bytearray(file.read(SECTORS * SECTOR))
                self.tuples = bytearray(file.read(SECTORS * TUPLE))
        else:
            self.data = bytearray(SECTORS * SECTOR)
            self.tuples = bytearray(b"\xff" * SECTORS * TUPLE)

    def put(self, sector, data, tuples):
        self.data[sector * SECTOR:sector * SECTOR + len(data)] = data
        self.tuples[sector * TUPLE:sector * TUPLE + len(tuples)] = tuples

    def get(self, sector, count):
        return (self.data[sector * SECTOR:(sector + count) * SECTOR],
                self.tuples[sector * TUPLE:(sector + count) * TUPLE])


class Disk:
    def __init__(self, kind, log, gate, image):
        self.kind, self.log, self.store = kind, log, Store(image)
        self.gate = gate
        self.ring = uring.Ring(DEPTH * 2, big=True)
        self.control = os.open("/dev/ublk-control", os.O_RDWR)
        self.ended = {}
        self.pending = []
        self._add()

    def _command(self, number, address=0, length=0, data=0, wait=True):
        direction = 3
        words = struct.pack("<IHHQQHHI", self.number, 0xFFFF, length, address, data, 0, 0, 0)
        self.ring.command(self.control, direction << 30 | 32 << 16 | 0x75 << 8 | number, words,
                          CONTROL | number)
        self.ring.submit()
        while wait and CONTROL | number not in self.ended:
            self.turn()
        if not wait:
            return
        result = self.ended.pop(CONTROL | number)
        if result < 0:
            raise OSError(-result, f"command {number:#x}: {os.strerror(-result)}")

    def _add(self):
        self.number = 0xFFFFFFFF
        info = bytearray(struct.pack("<HHHHIIiIQQIIQQ", 1, DEPTH, 0, 0, 1 << 17, self.number, 0,
                                     0, USER_COPY | INTEGRITY | NO_SCAN | IOCTL, 0, 0, 0, 0, 0))
        self._command(ADD, uring.address(info), len(info))
        self.number, = struct.unpack_from("<I", info, 12)
        params = bytearray(152)
        struct.pack_into("<II", params, 0, len(params), 1 | 1 << 6)
        # A write cache and FUA.
        struct.pack_into("<IBBBBIIQQ", params, 8, 4 | 8, 9, 12, 0, 12, 256, 0, SECTORS, 0)
        # Whether it checks, and that it has a reference tag; the checksum of IP.
        capable = self.kind != "stores"
        struct.pack_into("<IHBBBBB", params, 136, capable | 2, 0, 9, TUPLE, 0, 1, 2)
        self._command(SET_PARAMS, uring.address(params), len(params))
        self.char = None
        end = time.monotonic() + 60
        while self.char is None:
            try:
                self.char = os.open(f"/dev/ublkc{self.number}", os.O_RDWR)
            except OSError:
                if time.monotonic() > end:
                    raise
                time.sleep(0.01)
        size = (DEPTH * 24 + mmap.PAGESIZE - 1) // mmap.PAGESIZE * mmap.PAGESIZE
        self.queue = mmap.mmap(self.char, size, prot=mmap.PROT_READ)
        for tag in range(DEPTH):
            self._io(FETCH, tag)
        self._command(START, data=os.getpid())

    def _io(self, number, tag, result=0):
        self.ring.command(self.char, 3 << 30 | 16 << 16 | 0x75 << 8 | number,
                          struct.pack("<HHiQ", 0, tag, result, 0), tag)

    def turn(self, wait=True):
        """Takes what has come, and does what can be done."""
        self.ring.submit(0 if self.pending or not wait else 1)
        for tag, result in self.ring.completions():
            if tag & CONTROL or result < 0:
                self.ended[tag] = result
            else:
                self._arrived(tag)
        if not self.pending:
            return
        if self.gate[0]:
            requests, self.pending = self.pending, []
            for request in requests:
                self._do(*request)
            self.ring.submit()
        else:
            time.sleep(0.002)

    def _arrived(self, tag):
        flags, count, sector, _ = struct.unpack_from("<IIQQ", self.queue, tag * 24)
        verdict = 0
        if self.kind == "late" and flags & 0xFF == OP_WRITE:
            verdict = self._verdict(*self._take(tag, count, flags), sector)
        self.pending.append((tag, flags, sector, count, verdict))

    def _take(self, tag, count, flags):
        at = BUFFER + (tag << 25)
        tuples = os.pread(self.char, count * TUPLE, at | TUPLES) if flags & IO_INTEGRITY else b""
        return os.pread(self.char, count * SECTOR, at), tuples or b"\xff" * count * TUPLE

    @staticmethod
    def _verdict(data, tuples, sector):
        for i in range(len(data) // SECTOR):
            if not matches(data[i * SECTOR:(i + 1) * SECTOR],
                           tuples[i * TUPLE:(i + 1) * TUPLE], sector + i):
                return -EILSEQ
        return 0

    def _do(self, tag, flags, sector, count, verdict):
        op = flags & 0xFF
        result = count * SECTOR
        if op == OP_READ:
            data, tuples = self.store.get(sector, count)
            os.pwrite(self.char, data, BUFFER + (tag << 25))
            if flags & IO_INTEGRITY:
                os.pwrite(self.char, tuples, (BUFFER + (tag << 25)) | TUPLES)
        elif op == OP_WRITE:
            data, tuples = self._take(tag, count, flags)
            if self.kind == "checks":
                verdict = self._verdict(data, tuples, sector)
            if verdict:
                result = verdict
            else:
                self.store.put(sector, data, tuples)
                append(self.log, sector, data, FUA if flags & IO_FUA else 0, tuples)
        elif op == OP_FLUSH:
            result = 0
            append(self.log, 0, b"", FLUSH)
        else:
            result = -EOPNOTSUPP
        self._io(COMMIT, tag, result)

    def close(self):
        self._command(STOP, wait=False)
        while CONTROL | STOP not in self.ended or len(self.ended) < DEPTH + 1:
            self.turn()
        self.queue.close()
        os.close(self.char)
        self._command(DELETE)


def watched(disk):
    """Until standard input ends: a byte of it cannot be waited for together with the ring, but
    the ring can be polled."""
    poll = select.poll()
    poll.register(sys.stdin.fileno(), select.POLLIN | select.POLLHUP)
    poll.register(disk.ring.fd, select.POLLIN)
    while True:
        ready = dict(poll.poll(2 if disk.pending else None))
        if sys.stdin.fileno() in ready:
            return
        disk.turn(wait=False)


def main():
    if len(sys.argv) not in (4, 5) or sys.argv[1] not in ("stores", "checks", "late"):
        sys.exit(__doc__)
    kind, log, gate = sys.argv[1:4]
    log = os.open(log, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o600)
    fd = os.open(gate, os.O_RDWR)
    with contextlib.closing(Disk(kind, log, mmap.mmap(fd, 1), sys.argv[4] if len(sys.argv) > 4
                                 else None)) as disk:
        print(f"/dev/ublkb{disk.number}", flush=True)
        watched(disk)


if __name__ == "__main__":
    main()
