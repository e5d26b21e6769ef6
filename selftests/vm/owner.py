#!/usr/bin/python3 -S
# SPDX-License-Identifier: GPL-2.0
"""Change memory in flight, and say whose it is.

usage: owner.py TOP BELOW direct PATH OFFSET LENGTH BYTE...
       owner.py TOP BELOW shared PATH OFFSET LENGTH BYTE...
       owner.py TOP BELOW kernel PATH OFFSET BYTE...
       owner.py TOP BELOW swap AREA LENGTH BYTE...
       owner.py TOP BELOW file PATH BYTE...

Has one thread write to the mapped device TOP, or to a file on it, while BELOW under
it gives nothing to the disk; and changes the bytes when everything is in flight.
The bytes count from the start of what is written, or of the file.

direct  one direct write of the process's own memory
shared  one direct write of a file in memory, which others can map, too
kernel  one direct write of a page that the kernel has allocated for itself and mapped
        here: the submission entries of an io_uring
swap    the process's own memory is swapped out; AREA is on TOP, and in use
file    an fsync of a file whose pages with these bytes have been changed before,
        too; no two may be neighbours, so that each is a write of its own, and no
        page may be part of a large folio

Prints `ok' or the name of the error, the number of the thread, and device and inode
of the file that the memory belongs to, or 0:0 0.
"""

import errno
import mmap
import os
import sys
import threading

sys.dont_write_bytecode = True
import held  # noqa: E402
import uring  # noqa: E402

PAGE = 4096
NAME = "owner-write"
MADV_PAGEOUT = 21


def in_flight(top, below, count, write, change):
    """How `write' ends, of which TOP has `count' bios when `change' is called."""
    ended = []

    def run():
        thread = threading.get_native_id()
        with open(f"/proc/self/task/{thread}/comm", "w", encoding="ascii") as comm:
            comm.write(NAME)
        try:
            write()
            ended.append("ok")
        except OSError as error:
            ended.append(errno.errorcode[error.errno])
        ended.append(str(thread))

    writer = threading.Thread(target=run)
    os.sync()
    with held.slow(below):
        writer.start()
        held.wait_in_flight(f"/dev/mapper/{top}", count)
        change()
    writer.join()
    return " ".join(ended)


def identity(fd):
    if fd is None:
        return "0:0 0"
    stat = os.fstat(fd)
    return f"{os.major(stat.st_dev)}:{os.minor(stat.st_dev)} {stat.st_ino}"


def flip(memory, where):
    for byte in where:
        memory[byte] ^= 0x55


def own_memory(length):
    return None, mmap.mmap(-1, length, flags=mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS)


def shared_memory(length):
    fd = os.memfd_create(NAME)
    os.ftruncate(fd, length)
    return fd, mmap.mmap(fd, length)


def kernel_memory(length):
    ring = uring.Ring(length // uring.SQE)
    return None, ring.sqes


def write_direct(top, below, path, memory, offset, where):
    file, buffer = memory
    for start in range(0, len(buffer), PAGE):
        buffer[start:start + 8] = os.urandom(8)
    fd = os.open(path, os.O_WRONLY | os.O_DIRECT)
    ended = in_flight(top, below, 1, lambda: os.pwrite(fd, buffer, offset),
                      lambda: flip(buffer, where))
    print(ended, identity(file))


def swap_out(top, below, length, where):
    # What is paged out must be on the lists of the LRU, to which MADV_PAGEOUT moves only what waits
    # on its own CPU.
    os.sched_setaffinity(0, {0})
    _, memory = own_memory(length)
    for start in range(0, length, PAGE):
        memory[start:start + 8] = os.urandom(8)
    ended = in_flight(top, below, 1, lambda: memory.madvise(MADV_PAGEOUT),
                      lambda: flip(memory, where))
    print(ended, identity(None))


def write_file(top, below, path, where):
    fd = os.open(path, os.O_RDWR)
    memory = mmap.mmap(fd, os.fstat(fd).st_size)
    os.fsync(fd)
    pages = sorted({byte // PAGE for byte in where})

    def write():
        for page in pages:
            memory[page * PAGE] ^= 1
        os.fsync(fd)

    ended = in_flight(top, below, len(pages), write, lambda: flip(memory, where))
    print(ended, identity(fd))


def main():
    if len(sys.argv) < 6:
        sys.exit("usage: owner.py TOP BELOW direct|shared|kernel|swap|file PATH NUMBER...")
    top, below, kind, path = sys.argv[1:5]
    numbers = [int(word) for word in sys.argv[5:]]
    if kind == "direct":
        write_direct(top, below, path, own_memory(numbers[1]), numbers[0], numbers[2:])
    elif kind == "shared":
        write_direct(top, below, path, shared_memory(numbers[1]), numbers[0], numbers[2:])
    elif kind == "kernel":
        write_direct(top, below, path, kernel_memory(PAGE), numbers[0], numbers[1:])
    elif kind == "swap":
        swap_out(top, below, numbers[0], numbers[1:])
    elif kind == "file":
        write_file(top, below, path, numbers)
    else:
        sys.exit(f"owner.py: there is no '{kind}'")


if __name__ == "__main__":
    main()
