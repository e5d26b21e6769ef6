#!/usr/bin/python3 -S
# SPDX-License-Identifier: GPL-2.0
"""Make a zonefs, or append to its files from buffers that change meanwhile.

usage: zonefs.py make DEVICE
       zonefs.py append SECONDS FILE...

make    writes the block at the start of the device that is all there is of a zonefs
append  one thread for each file appends to it in direct I/O until the time is up, or
        a write has failed, or the zone is full, while another one changes what they
        write; prints how many writes succeeded, and the errors
"""

import errno
import mmap
import os
import struct
import sys
import threading
import time
import zlib

SIZE = 4096
MAGIC = 0x5A4F4653


def superblock():
    """struct zonefs_super: each zone a file, root's, with mode 0640."""
    block = bytearray(SIZE)
    struct.pack_into("<II64s16sQIII", block, 0, MAGIC, 0, b"", os.urandom(16), 0, 0, 0, 0o640)
    # The kernel's crc32() leaves out what zlib does in the end.
    struct.pack_into("<I", block, 4, zlib.crc32(block) ^ 0xFFFFFFFF)
    return block


def make(device):
    fd = os.open(device, os.O_WRONLY | os.O_DIRECT)
    buffer = mmap.mmap(-1, SIZE)
    buffer[:] = superblock()
    os.pwrite(fd, buffer, 0)
    os.close(fd)


class Appender(threading.Thread):
    """Appends a buffer to a file until `end`."""

    def __init__(self, path, end):
        super().__init__()
        self.fd = os.open(path, os.O_WRONLY | os.O_DIRECT | os.O_APPEND)
        self.buffer = mmap.mmap(-1, SIZE)
        self.end = end
        self.written, self.error = 0, None

    def run(self):
        while not self.error and time.monotonic() < self.end:
            try:
                self.written += os.write(self.fd, self.buffer) == SIZE
            except OSError as error:
                if error.errno in (errno.EFBIG, errno.ENOSPC):
                    break
                self.error = errno.errorcode[error.errno]
        os.close(self.fd)


def append(seconds, paths):
    end = time.monotonic() + seconds
    threads = [Appender(path, end) for path in paths]
    for thread in threads:
        thread.start()
    changes = 0
    while any(thread.is_alive() for thread in threads):
        for thread in threads:
            thread.buffer[changes % SIZE] ^= 0xFF
        changes += 1
    print(sum(thread.written for thread in threads),
          *sorted({thread.error for thread in threads if thread.error}))


def main():
    match sys.argv[1:]:
        case ["make", device]:
            make(device)
        case ["append", seconds, *paths] if paths:
            append(float(seconds), paths)
        case _:
            sys.exit("zonefs.py: wrong usage, see the head of the file")


if __name__ == "__main__":
    main()
