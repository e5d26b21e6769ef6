#!/usr/bin/python3 -S
# SPDX-License-Identifier: GPL-2.0
"""stackfs-races.py CASE UPPER LOWER [ARGUMENT]: what several do with one file on
stackfs at once. UPPER and LOWER are folders, above and below. Says what is wrong, if
anything is.
"""

import ctypes
import errno
import fcntl
import mmap
import os
import signal
import struct
import subprocess
import sys
import time

sys.dont_write_bytecode = True
from expect import check, fails  # noqa: E402

PAGE = mmap.PAGESIZE
SECTOR = 512
SCALE = int(os.environ.get('SELFTEST_SCALE', 1))
PATIENCE = 30 * SCALE
KEEP_SIZE, PUNCH, COLLAPSE, INSERT = 1, 2, 8, 32
FIFREEZE, FITHAW = 0xc0045877, 0xc0045878
FS_IOC_GETFLAGS, FS_IOC_SETFLAGS, IMMUTABLE = 0x80086601, 0x40086602, 0x10

libc = ctypes.CDLL(None, use_errno=True)
upper, lower = sys.argv[2:4]
path, path_below = os.path.join(upper, 'file'), os.path.join(lower, 'file')
children = []


def fallocate(fd, mode, offset, length):
    if libc.fallocate(fd, mode, ctypes.c_long(offset), ctypes.c_long(length)):
        raise OSError(ctypes.get_errno(), os.strerror(ctypes.get_errno()))


def start(function, *arguments):
    """In a process of its own."""
    pid = os.fork()
    if pid == 0:
        function(*arguments)
        os._exit(0)
    children.append(pid)
    return pid


def state(pid):
    with open(f'/proc/{pid}/stat') as file:
        return file.read().rpartition(')')[2].split()[0]


def until(condition, what):
    end = time.monotonic() + PATIENCE
    while not condition():
        check(time.monotonic() < end, what)
        time.sleep(0.01)


def sleeps(pid, who, where=''):
    """In a function with that in its name; who freezes sleeps elsewhere before."""
    def there():
        with open(f'/proc/{pid}/wchan') as file:
            return where in file.read() and state(pid) == 'D'
    until(there, f'{who} does not wait')


def ends(pid, who):
    until(lambda: state(pid) == 'Z', f'{who} waits for ever')
    children.remove(pid)
    status = os.waitpid(pid, 0)[1]
    check(status == 0, f'{who}: status {status}')


def stop(pid):
    if state(pid) == 'Z':
        sys.exit(f'it has ended: {os.waitpid(pid, 0)}')
    os.kill(pid, signal.SIGKILL)
    children.remove(pid)
    os.waitpid(pid, 0)


def make(pages):
    """A file of that many pages, none of them dirty, nor in the page cache."""
    fd = os.open(path, os.O_RDWR | os.O_CREAT | os.O_TRUNC)
    os.pwrite(fd, b'\1' * (pages * PAGE), 0)
    forget(fd)
    return fd


def forget(fd):
    os.fsync(fd)
    os.posix_fadvise(fd, 0, 0, os.POSIX_FADV_DONTNEED)


def below(length, offset=0):
    with open(path_below, 'rb') as file:
        return os.pread(file.fileno(), length, offset)


def aligned(data):
    memory = mmap.mmap(-1, len(data))
    memory[:] = data
    return memory


# A freeze ---------------------------------------------------------------------

def write_below(slow, slow_at, mapped):
    """Has the right to write while it waits for the first half, and takes what is
    mapped of the file above for the other."""
    fd = os.open(os.path.join(lower, 'other'), os.O_WRONLY | os.O_CREAT)
    halves = memoryview(slow)[slow_at:slow_at + PAGE // 2], memoryview(mapped)[:PAGE // 2]
    check(os.writev(fd, halves) == PAGE, 'a short write')


def freeze(what):
    fd = os.open(lower, os.O_RDONLY)
    fcntl.ioctl(fd, what, 0)


def write_direct(size):
    raw = os.open(path, os.O_RDWR | os.O_DIRECT)
    check(os.pwrite(raw, aligned(b'\2' * size), 0) == size, 'a short write')


def frozen():
    """One writes below from memory that is a mapping of a file above, the filesystem
    below is about to be frozen, and then something changes the file above. The argument is
    a device that can be suspended."""
    device = sys.argv[4]
    fd = make(16)
    slow_fd = os.open(device, os.O_RDONLY)
    slow = mmap.mmap(slow_fd, 16 << 20, mmap.MAP_SHARED, mmap.PROT_READ)
    slow.madvise(mmap.MADV_RANDOM)
    changes = {
        'truncation': lambda: os.ftruncate(fd, 12 * PAGE),
        'a longer file': lambda: os.ftruncate(fd, 20 * PAGE),
        'a hole': lambda: fallocate(fd, KEEP_SIZE | PUNCH, 0, 2 * PAGE),
        'a part less': lambda: fallocate(fd, COLLAPSE, 4 * PAGE, 4 * PAGE),
        'a part more': lambda: fallocate(fd, INSERT, 4 * PAGE, 4 * PAGE),
        'a direct write': lambda: write_direct(8 * PAGE),
    }
    for i, (name, change) in enumerate(changes.items()):
        forget(fd)
        mapped = mmap.mmap(fd, 4 * PAGE, mmap.MAP_SHARED, mmap.PROT_READ)
        subprocess.run(['dmsetup', 'suspend', '--nolockfs', '--noflush', 'd'], check=True)
        try:
            writer = start(write_below, slow, i << 20, mapped)
            sleeps(writer, 'who writes below', 'folio')
            freezer = start(freeze, FIFREEZE)
            sleeps(freezer, 'who freezes', 'freeze_super')
            changer = start(change)
            sleeps(changer, name)
        finally:
            subprocess.run(['dmsetup', 'resume', 'd'], check=True)
        ends(writer, f'{name}: who writes below')
        ends(freezer, f'{name}: who freezes')
        check(state(changer) == 'D', f'{name} while it is frozen')
        if i == 0:
            # What is stored meanwhile waits, and is not known below.
            store = mmap.mmap(fd, 4 * PAGE)
            storing = start(lambda: store.__setitem__(0, 7))
            sleeps(storing, 'a store')
        freeze(FITHAW)
        ends(changer, name)
        if i == 0:
            ends(storing, 'a store')
    os.fsync(fd)
    check(below(1 << 20) == os.pread(fd, 1 << 20, 0), 'the content below')


# Direct I/O ---------------------------------------------------------------------

APART, TOGETHER = range(4), range(4, 48)


def store_all(mapped):
    """In the first sector of each page; of those that are written sector by sector nothing
    is lost."""
    number = 0
    os.nice(15)
    while True:
        number += 1
        for page in APART:
            data = struct.pack('<Q', number)
            mapped[page * PAGE:page * PAGE + 8] = data
            check(mapped[page * PAGE:page * PAGE + 8] == data, 'a store is lost')
        for page in TOGETHER:
            mapped[page * PAGE] = number & 0xff


def read_all(fd):
    os.nice(15)
    while True:
        os.pread(fd, 48 * PAGE, 0)
        os.posix_fadvise(fd, 0, 0, os.POSIX_FADV_DONTNEED)


def expect(found, number, who):
    """All but the first sector of each page is that number."""
    expected = bytes([number]) * (PAGE - SECTOR)
    for page in range(48):
        piece = found[page * PAGE + SECTOR:(page + 1) * PAGE]
        check(piece == expected, f'{who}: page {page} has {piece[0]}, not {number}')


def direct():
    """Direct writes, with stores to the same pages, reads that bring them into the page
    cache, and writing back."""
    rounds = int(sys.argv[4])
    fd = make(48)
    raw = os.open(path, os.O_RDWR | os.O_DIRECT)
    mapped = mmap.mmap(fd, 48 * PAGE)
    others = start(store_all, mapped), start(read_all, fd)
    memory = aligned(bytes(48 * PAGE))
    for i in range(rounds):
        number = 2 + i % 250
        piece = aligned(bytes([number]) * (44 * PAGE))
        for page in APART:
            at = page * PAGE + SECTOR
            check(os.pwrite(raw, memoryview(piece)[:PAGE - SECTOR], at) == PAGE - SECTOR, 'short')
        check(os.pwrite(raw, piece, 4 * PAGE) == 44 * PAGE, 'a short write')
        expect(os.pread(fd, 48 * PAGE, 0), number, 'read')
        expect(mapped[:], number, 'mapped')
        check(os.preadv(raw, [memory], 0) == 48 * PAGE, 'a short read')
        expect(memory[:], number, 'read directly')
        if i % 4 == 0:
            os.fsync(fd)
            expect(below(48 * PAGE), number, 'below')
    for pid in others:
        stop(pid)
    os.fsync(fd)
    check(below(48 * PAGE) == mapped[:], 'the content below')


# Parts that are taken out, or put in --------------------------------------------

STORED = range(8, 40)


def number_of(page, slot):
    return struct.pack('<II', page, slot + 1)


def store_slots(mapped):
    """Each place once."""
    for slot in range(512):
        for page in STORED:
            if slot % 2 == page % 2:
                at = page * PAGE + slot * 8
                mapped[at:at + 8] = number_of(page, slot)


def shift():
    """A page is put into the file and taken out again, all the time, while others store to
    pages behind it. What was stored when it was there is one page further in front then."""
    pairs, wanted = 0, int(sys.argv[4])
    while pairs < wanted:
        fd = make(48)
        mapped = mmap.mmap(fd, 48 * PAGE)
        pid = start(store_slots, mapped)
        while state(pid) != 'Z':
            fallocate(fd, INSERT, 2 * PAGE, PAGE)
            fallocate(fd, COLLAPSE, 2 * PAGE, PAGE)
            pairs += 1
        ends(pid, 'who stores')
        check(os.fstat(fd).st_size == 48 * PAGE, 'the size')
        os.fsync(fd)
        for found, who in (mapped[:], 'above'), (below(49 * PAGE), 'below'):
            for page in STORED:
                for slot in range(page % 2, 512, 2):
                    at, data = page * PAGE + slot * 8, number_of(page, slot)
                    there = found[at:at + 8], found[at - PAGE:at - PAGE + 8]
                    check(data in there, f'{who}: what was stored to {page}, {slot} is lost')
        os.close(fd)


def write_back(fd):
    os.nice(15)
    while True:
        os.fsync(fd)


def same(found, expected, who):
    for at in range(0, len(expected), 4):
        if found[at:at + 4] != expected[at:at + 4]:
            sys.exit(f'{who}: at {at} is {found[at]}, not {expected[at]}')
    check(len(found) == len(expected), f'{who}: it ends at {len(found)}')


def hole():
    """Dirty pages are punched while they are written back."""
    fd = make(16)
    mapped = mmap.mmap(fd, 16 * PAGE)
    writer = start(write_back, fd)
    first, length = 4 * PAGE + 100, 8 * PAGE
    for i in range(int(sys.argv[4])):
        piece = bytes([1 + i % 255])
        mapped[:] = piece * (16 * PAGE)
        fallocate(fd, KEEP_SIZE | PUNCH, first, length)
        expected = piece * first + bytes(length) + piece * (16 * PAGE - first - length)
        same(mapped[:], expected, f'round {i}')
        if i % 4 == 0:
            os.fsync(fd)
            same(below(16 * PAGE), expected, f'round {i}, below')
    stop(writer)


# Errors ---------------------------------------------------------------------------

def set_immutable(fd, on):
    flags = struct.unpack('<q', fcntl.ioctl(fd, FS_IOC_GETFLAGS, bytes(8)))[0]
    flags = flags | IMMUTABLE if on else flags & ~IMMUTABLE
    fcntl.ioctl(fd, FS_IOC_SETFLAGS, struct.pack('<q', flags))


def refused():
    """What fails below has changed nothing above."""
    fd = make(16)
    bottom = os.open(path_below, os.O_RDONLY)
    data = os.urandom(16 * PAGE)
    os.pwrite(fd, data, 0)
    set_immutable(bottom, True)
    try:
        fails(errno.EPERM, os.ftruncate, fd, 100)
        fails(errno.EPERM, os.ftruncate, fd, 20 * PAGE)
    finally:
        set_immutable(bottom, False)
    check(os.fstat(fd).st_size == 16 * PAGE, 'the size')
    check(os.pread(fd, 20 * PAGE, 0) == data, 'something is lost')
    os.fsync(fd)
    check(below(20 * PAGE) == data, 'something is lost below')


parent = os.getpid()
try:
    globals()[sys.argv[1]]()
finally:
    if os.getpid() == parent:
        for pid in children:
            os.kill(pid, signal.SIGKILL)
