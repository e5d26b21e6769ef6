#!/usr/bin/python3 -S
# SPDX-License-Identifier: GPL-2.0
"""Stores into a shared mapping, one at a time, and what is needed around them.

mkwrite.py store FILE OFFSET BYTE	store a byte at an offset of a file
mkwrite.py late FILE OFFSET BYTE	the same, but map the page for reading and print a
					line first, and wait for one from standard input
mkwrite.py read FILE OFFSET BYTE	the same by a read(2) into the mapping: the
					kernel stores; 1 and EFAULT if it cannot
mkwrite.py fill FILE BYTES BYTE		write(2) so many bytes in one piece
mkwrite.py writeback FILE		begin writeback of the file
mkwrite.py byte FILE OFFSET		print a byte of it

The process has the name that this was called by.
"""

import mmap
import os
import sys

SYNC_FILE_RANGE_WRITE = 2


def mapping(path):
    fd = os.open(path, os.O_RDWR)
    return mmap.mmap(fd, os.fstat(fd).st_size, mmap.MAP_SHARED)


def main():
    with open('/proc/self/comm', 'w', encoding='ascii') as comm:
        comm.write(os.path.basename(sys.argv[0]))
    how, path, *rest = sys.argv[1:]
    if how == 'store':
        mapping(path)[int(rest[0])] = int(rest[1])
    elif how == 'late':
        mapped = mapping(path)
        print(mapped[int(rest[0])], flush=True)
        sys.stdin.readline()
        mapped[int(rest[0])] = int(rest[1])
    elif how == 'read':
        offset, source = int(rest[0]), os.memfd_create('source')
        os.write(source, bytes([int(rest[1])]))
        piece = memoryview(mapping(path))[offset:offset + 1]
        try:
            os.preadv(source, [piece], 0)
        except OSError as e:
            sys.exit(f'{e.strerror}')
    elif how == 'fill':
        fd = os.open(path, os.O_RDWR)
        os.write(fd, bytes([int(rest[1])]) * int(rest[0]))
    elif how == 'writeback':
        import ctypes

        libc = ctypes.CDLL(None, use_errno=True)
        fd = os.open(path, os.O_RDWR)
        if libc.sync_file_range(fd, ctypes.c_longlong(0), ctypes.c_longlong(0),
                                SYNC_FILE_RANGE_WRITE):
            sys.exit(os.strerror(ctypes.get_errno()))
    elif how == 'byte':
        # Not through a mapping: a fault needs the folio's lock.
        print(os.pread(os.open(path, os.O_RDONLY), 1, int(rest[0]))[0])
    else:
        sys.exit(__doc__)


main()
