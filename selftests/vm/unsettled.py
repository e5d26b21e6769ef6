#!/usr/bin/python3 -S
# SPDX-License-Identifier: GPL-2.0
"""Direct writes whose buffers change when the disk has them, until they have ended.

usage: unsettled.py DEVICE OFFSET WRITES INFLIGHT

So many writes of 4 KiB, one behind the other, at once. INFLIGHT is the file of the
disk in sysfs that says how many it has. Prints how many failed.
"""

import mmap
import os
import sys
import threading

BLOCK = 4096


def main():
    path, offset, count, in_flight = sys.argv[1], int(sys.argv[2]), int(sys.argv[3]), sys.argv[4]
    fd = os.open(path, os.O_WRONLY | os.O_DIRECT)
    buffers = [mmap.mmap(-1, BLOCK) for _ in range(count)]
    failed = []

    def write(i):
        try:
            os.pwrite(fd, buffers[i], offset + i * BLOCK)
        except OSError as error:
            failed.append(error)

    threads = [threading.Thread(target=write, args=(i,)) for i in range(count)]
    for thread in threads:
        thread.start()
    while any(thread.is_alive() for thread in threads):
        with open(in_flight) as file:
            if int(file.read().split()[1]) >= count:
                break
    turn = 0
    while any(thread.is_alive() for thread in threads):
        turn += 1
        for buffer in buffers:
            buffer[turn % BLOCK] ^= 1 + turn % 255
    print(len(failed))


if __name__ == "__main__":
    main()
