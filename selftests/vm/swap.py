#!/usr/bin/python3 -S
# SPDX-License-Identifier: GPL-2.0
"""Use more memory than there is, and check what it holds.

usage: swap.py PROCESSES MEGABYTES OPERATIONS

Each process fills its share of so many megabytes. When all have done so, it rewrites
its share of so many pages, chosen at random, each after a look at whether it holds
what was written to it last, and looks at all of them in the end. Prints the number
of pages that held something else.
"""

import mmap
import os
import random
import struct
import sys
import time

PAGE = 4096


def content(page, generation):
    return struct.pack("<QQ", page, generation) * (PAGE // 16)


class Memory:
    """Pages, and how often each has been written."""

    def __init__(self, pages):
        self.area = mmap.mmap(-1, pages * PAGE, flags=mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS)
        # Pages of their own, which are swapped one by one.
        self.area.madvise(mmap.MADV_NOHUGEPAGE)
        self.generations = bytearray(pages)
        self.wrong = 0
        for page in range(pages):
            self.store(page)

    def store(self, page):
        self.area[page * PAGE:(page + 1) * PAGE] = content(page, self.generations[page])

    def check(self, page):
        found = self.area[page * PAGE:(page + 1) * PAGE]
        self.wrong += found != content(page, self.generations[page])

    def rewrite(self, page):
        self.check(page)
        self.generations[page] = (self.generations[page] + 1) % 256
        self.store(page)


def work(pages, operations, seed, filled):
    memory, numbers = Memory(pages), random.Random(seed)
    filled[seed] = 1
    while not all(filled):
        time.sleep(0.01)
    for _ in range(operations):
        memory.rewrite(numbers.randrange(pages))
    for page in range(pages):
        memory.check(page)
    return memory.wrong


def start(pages, operations, seed, filled):
    """A process; its result comes through the pipe that is returned."""
    read, write = os.pipe()
    if os.fork() == 0:
        os.write(write, str(work(pages, operations, seed, filled)).encode())
        os._exit(0)
    os.close(write)
    return read


def main():
    if len(sys.argv) != 4:
        sys.exit("usage: swap.py PROCESSES MEGABYTES OPERATIONS")
    processes, megabytes, operations = (int(word) for word in sys.argv[1:])
    pages = megabytes * (1 << 20) // PAGE // processes
    filled = memoryview(mmap.mmap(-1, PAGE))[:processes]
    pipes = [start(pages, operations // processes, seed, filled) for seed in range(processes)]
    wrong = [os.read(pipe, 100) for pipe in pipes]
    if not all(wrong):
        sys.exit("swap.py: a process has died")
    print(sum(int(word) for word in wrong))


if __name__ == "__main__":
    main()
