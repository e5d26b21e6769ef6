# SPDX-License-Identifier: GPL-2.0
"""The part of io_uring that the tests need, without a library.

A ring takes reads and writes, also with protection information of the caller's
(IORING_RW_ATTR_FLAG_PI), as many in one system call as it has entries: these reach
the block layer together, where they are merged. A ring of big entries takes commands
to drivers, too.
"""

import ctypes
import mmap
import os
import struct

NR_SETUP, NR_ENTER = 425, 426
SETUP_IOPOLL, SETUP_SQE128 = 1, 1 << 10
ENTER_GETEVENTS = 1
OFF_SQ_RING, OFF_CQ_RING, OFF_SQES = 0, 0x8000000, 0x10000000
OP_READV, OP_WRITEV, OP_READ, OP_WRITE, OP_URING_CMD = 1, 2, 22, 23, 46
ATTR_PI = 1
SQE, CQE = 64, 16

libc = ctypes.CDLL(None, use_errno=True)


def syscall(number, *args):
    """A system call; fails as the functions in os do."""
    result = libc.syscall(ctypes.c_long(number), *(ctypes.c_long(a) for a in args))
    if result < 0:
        errno = ctypes.get_errno()
        raise OSError(errno, os.strerror(errno))
    return result


def address(buffer):
    """Where a writable buffer lies."""
    return ctypes.addressof(ctypes.c_char.from_buffer(buffer))


class Ring:
    """A ring; `poll` for one whose completions are polled for, `big` for one whose entries
    have room for a command of 80 bytes."""

    def __init__(self, entries=8, poll=False, big=False):
        params = bytearray(120)
        self.size = 2 * SQE if big else SQE
        struct.pack_into("<II", params, 8,
                         (SETUP_IOPOLL if poll else 0) | (SETUP_SQE128 if big else 0), 0)
        self.fd = syscall(NR_SETUP, entries, address(params))
        self.entries, self.cq_entries = struct.unpack_from("<II", params, 0)
        self.sq_off = struct.unpack_from("<10I", params, 40)
        self.cq_off = struct.unpack_from("<10I", params, 80)
        self.sq = mmap.mmap(self.fd, self.sq_off[6] + 4 * self.entries, offset=OFF_SQ_RING)
        self.cq = mmap.mmap(self.fd, self.cq_off[5] + CQE * self.cq_entries, offset=OFF_CQ_RING)
        self.sqes = mmap.mmap(self.fd, self.size * self.entries, offset=OFF_SQES)
        self.queued = 0
        # What the kernel reads until an operation has ended.
        self.kept = []

    def close(self):
        """Only when nothing is on its way any more."""
        os.close(self.fd)

    def push(self, op, fd, pieces, offset, tag=0, rw_flags=0, payload=None):
        """Queues one operation on the buffers `pieces`; `payload` is the buffer of
        the tuples, and what goes with them: (tuples, flags, app_tag, seed)."""
        if len(pieces) == 1:
            where, length = address(pieces[0]), len(pieces[0])
        else:
            op = {OP_READ: OP_READV, OP_WRITE: OP_WRITEV}[op]
            iovecs = bytearray().join(struct.pack("<QQ", address(p), len(p)) for p in pieces)
            self.kept.append(iovecs)
            where, length = address(iovecs), len(pieces)
        attr, attr_type = 0, 0
        if payload:
            tuples, flags, app_tag, seed = payload
            info = bytearray(struct.pack("<HHIQQQ", flags, app_tag, len(tuples),
                                         address(tuples), seed, 0))
            self.kept.append(info)
            attr, attr_type = address(info), ATTR_PI
        self._push(struct.pack("<BBHiQQIIQHHiQQ", op, 0, 0, fd, offset, where, length, rw_flags,
                               tag, 0, 0, 0, attr, attr_type))

    def command(self, fd, number, words, tag=0):
        """Queues a command to the driver behind a file."""
        self._push(struct.pack("<BBHiQQIIQHHi", OP_URING_CMD, 0, 0, fd, number, 0, 0, 0, tag,
                               0, 0, 0) + words)

    def _push(self, entry):
        tail, = struct.unpack_from("<I", self.sq, self.sq_off[1])
        index = tail % self.entries
        self.sqes[index * self.size:(index + 1) * self.size] = entry.ljust(self.size, b"\0")
        struct.pack_into("<I", self.sq, self.sq_off[6] + 4 * index, index)
        struct.pack_into("<I", self.sq, self.sq_off[1], tail + 1)
        self.queued += 1

    def submit(self, wait=0):
        """Hands over what is queued, and waits for so many completions."""
        while True:
            try:
                done = syscall(NR_ENTER, self.fd, self.queued, wait,
                               ENTER_GETEVENTS if wait else 0, 0, 0)
            except InterruptedError:
                continue
            self.queued -= done
            if not self.queued:
                return

    def completions(self):
        """What has ended since the last call: pairs of a tag and a result, which is
        a number of bytes or a negative error number."""
        head, = struct.unpack_from("<I", self.cq, self.cq_off[0])
        tail, = struct.unpack_from("<I", self.cq, self.cq_off[1])
        ended = []
        while head != tail:
            at = self.cq_off[5] + CQE * (head % self.cq_entries)
            ended.append(struct.unpack_from("<Qi", self.cq, at))
            head = (head + 1) & 0xFFFFFFFF
        struct.pack_into("<I", self.cq, self.cq_off[0], head)
        return ended
