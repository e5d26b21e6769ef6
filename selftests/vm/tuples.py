#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0
"""Print the protection information that a disk holds.

usage: tuples.py DEVICE SECTOR COUNT

Reads COUNT logical blocks from the logical block SECTOR on, together with their
tuples, which io_uring hands out (IORING_RW_ATTR_FLAG_PI) without that anybody
verifies them. Prints a line for each block:

    SECTOR guard app_tag ref_tag crc ip

in hexadecimal but for the first; the last two are what a guard over the data has
to be, as a CRC16 of T10-DIF and as an IP checksum.
"""

import ctypes
import mmap
import os
import struct
import sys

NR_SETUP, NR_ENTER = 425, 426
OP_READ = 22
ENTER_GETEVENTS = 1
OFF_SQ_RING, OFF_CQ_RING, OFF_SQES = 0, 0x8000000, 0x10000000
ATTR_PI = 1
BLKSSZGET = 0x1268

libc = ctypes.CDLL(None, use_errno=True)


def syscall(number, *args):
    result = libc.syscall(ctypes.c_long(number), *(ctypes.c_long(a) for a in args))
    if result < 0:
        errno = ctypes.get_errno()
        raise OSError(errno, os.strerror(errno))
    return result


def address(buffer):
    return ctypes.addressof(ctypes.c_char.from_buffer(buffer))


def read_with_tuples(fd, offset, data, tuples, seed):
    """One read of the data at an offset in bytes, with its tuples."""
    params = bytearray(120)
    ring = syscall(NR_SETUP, 1, address(params))
    sq_off = struct.unpack_from("<10I", params, 40)
    cq_off = struct.unpack_from("<10I", params, 80)
    sq = mmap.mmap(ring, sq_off[6] + 4, offset=OFF_SQ_RING)
    cq = mmap.mmap(ring, cq_off[5] + 16 * 2, offset=OFF_CQ_RING)
    sqes = mmap.mmap(ring, 64, offset=OFF_SQES)

    attr = bytearray(struct.pack("<HHIQQQ", 0, 0, len(tuples), address(tuples), seed, 0))
    struct.pack_into("<BBHiQQIIQHHiQQ", sqes, 0, OP_READ, 0, 0, fd, offset, address(data),
                     len(data), 0, 0, 0, 0, 0, address(attr), ATTR_PI)
    struct.pack_into("<I", sq, sq_off[6], 0)
    tail, = struct.unpack_from("<I", sq, sq_off[1])
    struct.pack_into("<I", sq, sq_off[1], tail + 1)
    syscall(NR_ENTER, ring, 1, 1, ENTER_GETEVENTS, 0, 0)
    head, = struct.unpack_from("<I", cq, cq_off[0])
    mask, = struct.unpack_from("<I", cq, cq_off[2])
    _, result, _ = struct.unpack_from("<QiI", cq, cq_off[5] + 16 * (head & mask))
    os.close(ring)
    if result < 0:
        raise OSError(-result, os.strerror(-result))
    if result != len(data):
        raise OSError(f"{result} bytes instead of {len(data)}")


def crc16_table():
    for value in range(0, 0x10000, 0x100):
        for _ in range(8):
            value = (value << 1) ^ (0x18BB7 if value & 0x8000 else 0)
        yield value


TABLE = tuple(crc16_table())


def crc16(data):
    crc = 0
    for byte in data:
        crc = (crc << 8 & 0xFF00) ^ TABLE[crc >> 8 ^ byte]
    return crc


def ip_checksum(data):
    total = sum(struct.unpack(f">{len(data) // 2}H", data))
    while total >> 16:
        total = (total & 0xFFFF) + (total >> 16)
    return ~total & 0xFFFF


def main():
    if len(sys.argv) != 4:
        sys.exit("usage: tuples.py DEVICE SECTOR COUNT")
    path, first, count = sys.argv[1], int(sys.argv[2]), int(sys.argv[3])
    fd = os.open(path, os.O_RDONLY | os.O_DIRECT)
    size = bytearray(4)
    if libc.ioctl(fd, ctypes.c_ulong(BLKSSZGET), ctypes.c_void_p(address(size))):
        sys.exit(f"tuples.py: {path} is no block device")
    block, = struct.unpack("<I", size)
    data, tuples = mmap.mmap(-1, count * block), mmap.mmap(-1, max(count * 8, 4096))
    # As long as the payload must be, and no longer.
    exact = (ctypes.c_char * (count * 8)).from_buffer(tuples)
    read_with_tuples(fd, first * block, data, exact, first)
    for i in range(count):
        guard, app, ref = struct.unpack_from(">HHI", tuples, i * 8)
        content = data[i * block:(i + 1) * block]
        print(f"{first + i} {guard:04x} {app:04x} {ref:08x}",
              f"{crc16(content):04x} {ip_checksum(content):04x}")


if __name__ == "__main__":
    main()
