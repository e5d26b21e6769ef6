#!/usr/bin/python3 -S
# SPDX-License-Identifier: GPL-2.0
"""range-device.py DEVICE [FOLDER]: stable ranges of a block device: of one that is mounted
at FOLDER, or of one that nobody has for himself.
"""

import errno
import fcntl
import mmap
import multiprocessing
import os
import struct
import sys
import threading
import time

sys.dont_write_bytecode = True
from expect import check, fails  # noqa: E402

CHECK = 3 << 30 | 80 << 16 | ord("S") << 8 | 1
SIZE = 1 << 20
stop = threading.Event()


def take(fd, unprotected=False, hold=20_000):
    """Whether the data changed while the range was held."""
    argument = bytearray(struct.pack("<IIQQQ", fd, unprotected, 0, SIZE, hold) + bytes(48))
    with open("/dev/stable-range", "rb") as device:
        fcntl.ioctl(device, CHECK, argument)
    first, second = struct.unpack_from("<QQ", argument, 40)
    return first != second


def take_when_free(fd):
    """However often somebody has it for himself meanwhile."""
    while True:
        try:
            return take(fd, hold=500_000)
        except OSError as error:
            check(error.errno == errno.EOPNOTSUPP, error)


def changes(fd):
    """It does without a range, sooner or later. That looks at what is cached."""
    return any(len(os.pread(fd, SIZE, 0)) == SIZE and take(fd, unprotected=True) for _ in range(200))


def make_names(folder):
    while not stop.is_set():
        for i in range(20):
            open(f"{folder}/name{i}", "w").close()
        for i in range(20):
            os.unlink(f"{folder}/name{i}")


def store(fd, mapped):
    number = 0
    while True:
        number += 1
        mapped[number * 8 % SIZE : number * 8 % SIZE + 8] = struct.pack("<Q", number)
        os.pwrite(fd, struct.pack("<Q", number), number * 4104 % SIZE)


def main():
    mounted = len(sys.argv) > 2
    # Some kernels let nobody write to what is mounted.
    fd = os.open(sys.argv[1], os.O_RDONLY if mounted else os.O_RDWR)
    if mounted:
        threading.Thread(target=make_names, args=(sys.argv[2],), daemon=True).start()
        check(changes(fd), "the metadata did not change")
        fails(errno.EOPNOTSUPP, take, fd)
        stop.set()
        return
    # A process, since a thread that waits with a store keeps all others of Python waiting.
    storing = multiprocessing.Process(target=store, args=(fd, mmap.mmap(fd, SIZE)), daemon=True)
    storing.start()
    check(changes(fd), "nothing changed the device")
    check(not any(take(fd) for _ in range(20)), "the range changed")
    # Two at once, and somebody who wants it for himself.
    others = [threading.Thread(target=take_when_free, args=(fd,)) for _ in range(2)]
    for other in others:
        other.start()
    refused = 0
    while any(other.is_alive() for other in others):
        try:
            os.close(os.open(sys.argv[1], os.O_RDONLY | os.O_EXCL))
            time.sleep(0.001)
        except OSError as error:
            check(error.errno == errno.EBUSY, error)
            refused += 1
    check(refused > 0, "it could be had meanwhile")
    storing.kill()
    storing.join()
    mine = os.open(sys.argv[1], os.O_RDONLY | os.O_EXCL)
    fails(errno.EOPNOTSUPP, take, fd)
    os.close(mine)
    take(fd)


main()
