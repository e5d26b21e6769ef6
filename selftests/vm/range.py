#!/usr/bin/python3 -S
# SPDX-License-Identifier: GPL-2.0
"""range.py FILE [DEVICE]: take a stable range of all of a file.

Prints how many folios it has, and how many of them are pinned. With a device,
which is suspended, an O_DIRECT read of its first page into the file's first one
is under way meanwhile.
"""

import fcntl
import mmap
import os
import struct
import sys
import threading
import time

CHECK = 3 << 30 | 80 << 16 | ord('S') << 8 | 1


def check(fd):
    size = os.fstat(fd).st_size
    arg = bytearray(struct.pack('<IIQQQ', fd, 0, 0, size, 0) + bytes(48))
    with open('/dev/stable-range', 'rb') as device:
        fcntl.ioctl(device, CHECK, arg)
    folios, pinned = struct.unpack_from('<II', arg, 64)
    return folios, pinned


def read_direct(device, mapped):
    os.preadv(os.open(device, os.O_RDONLY | os.O_DIRECT), [memoryview(mapped)[:4096]], 0)


def main():
    fd = os.open(sys.argv[1], os.O_RDWR)
    mapped = mmap.mmap(fd, os.fstat(fd).st_size, mmap.MAP_SHARED)
    if len(sys.argv) == 2:
        print(*check(fd))
        return
    mapped[0] = 1
    reader = threading.Thread(target=read_direct, args=(sys.argv[2], mapped), daemon=True)
    reader.start()
    found = check(fd)
    # The read is under way when it has pinned the page.
    for _ in range(600):
        if found[1]:
            break
        time.sleep(0.1)
        found = check(fd)
    print(*found, flush=True)
    reader.join()


main()
