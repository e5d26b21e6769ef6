#!/usr/bin/python3 -S
# SPDX-License-Identifier: GPL-2.0
"""commit.py CASE UPPER LOWER [DEVICE]: what a commit of a file on stackfs writes to
the file below. UPPER and LOWER are paths of the file, above and below.

A writer stores a number at one place of the file and then at another, again and
again, so at any moment the second one is at most as large as the first. Whoever
writes the two places at different moments can have it the other way round.
"""

import ctypes
import errno
import fcntl
import mmap
import os
import signal
import struct
import sys
import threading
import time

sys.dont_write_bytecode = True
from expect import check, fails  # noqa: E402

COMMIT = 3 << 30 | 32 << 16 | ord('s') << 8 | 1
PAGE = mmap.PAGESIZE
SIZE = 64 * PAGE
PLACES = 0, SIZE - PAGE
PATIENCE = 90 * int(os.environ.get('SELFTEST_SCALE', 1))


class Commit:
    """The ioctl; its fields are the attributes."""

    def __init__(self, fd, start=0, length=SIZE):
        argument = bytearray(struct.pack('<QQ', start, length) + bytes(16))
        fcntl.ioctl(fd, COMMIT, argument)
        self.len, self.written, self.frozen, self.retries, zero = struct.unpack_from('<QIIII', argument, 8)
        check(zero == 0, 'the last field is not 0')


def make(path):
    """A file of folios of one page each; nothing of it is dirty."""
    fd = os.open(path, os.O_RDWR | os.O_CREAT | os.O_TRUNC)
    for page in range(0, SIZE, PAGE):
        os.pwrite(fd, bytes(PAGE), page)
    os.fsync(fd)
    return fd


def below(path, place, length=8):
    with open(path, 'rb') as file:
        return os.pread(file.fileno(), length, place)


def numbers():
    """For a writer: a number and a place on a page, which is another one each time. With a store
    there, too, there is something to be written between the two that count."""
    number = 0
    while True:
        number += 1
        yield struct.pack('<Q', number), number * PAGE % SIZE + 8


def store_mapped(fd):
    mapped = mmap.mmap(fd, SIZE)
    for data, between in numbers():
        for place in *PLACES, between:
            mapped[place:place + 8] = data


def write(fd):
    for data, between in numbers():
        for place in *PLACES, between:
            os.pwrite(fd, data, place)


def torn(store, look, bring_down, is_torn, rounds, enough):
    """How often what is seen below is of two moments, in so many rounds in which the writer, which
    stores all the time, got on."""
    pid = os.fork()
    if pid == 0:
        store()
    found = 0
    last = None
    end = time.monotonic() + PATIENCE
    try:
        while rounds and found < enough:
            check(time.monotonic() < end, f'the writer did not get on: {rounds} rounds left')
            bring_down()
            now = look()
            if now == last:
                time.sleep(0.001)
                continue
            last = now
            rounds -= 1
            if is_torn(now):
                found += 1
                print(now)
    finally:
        os.kill(pid, signal.SIGKILL)
        os.waitpid(pid, 0)
    return found


def number_at(path, place):
    return struct.unpack('<Q', below(path, place))[0]


def moments(torn_in, how, rounds):
    """With fsync(2) there are two moments below some time; after a commit never."""
    if how == 'fsync':
        check(torn_in(rounds, 1), 'fsync never wrote two moments')
    else:
        check(not torn_in(rounds, rounds + 1), 'a commit wrote two moments')


def one_file(upper, lower, writer, how, rounds):
    """A number is stored here, and then there."""
    fd = make(upper)
    bring_down = {'fsync': os.fsync, 'commit': Commit}[how]

    def is_torn(now):
        first, second = now
        return second > first or how == 'commit' and first - second > 1

    def torn_in(rounds, enough):
        return torn(
            lambda: writer(fd),
            lambda: [number_at(lower, place) for place in PLACES],
            lambda: bring_down(fd),
            is_torn,
            rounds,
            enough,
        )

    moments(torn_in, how, rounds)


def steps(upper, lower):
    """As a journal has it: a fault, a store, pwrite, and the commit."""
    fd = make(upper)
    mapped = mmap.mmap(fd, SIZE)
    mapped[0] = ord('a')
    os.pwrite(fd, b'b', 1)
    check(below(lower, 0, 2) == bytes(2), 'it was below before the commit')
    done = Commit(fd)
    check((done.len, done.written, done.frozen) == (SIZE, 1, 0), vars(done))
    check(below(lower, 0, 2) == b'ab', 'the commit has not written it')
    mapped[0] = ord('c')
    os.pwrite(fd, b'd', 1)
    check(below(lower, 0, 2) == b'ab', 'what came after the commit is below')
    Commit(fd, 0, 1)
    check(below(lower, 0, 2) == b'cd', 'the second commit has not written it')
    check(Commit(fd).written == 0, 'there was nothing to be written')
    # A part of a file, and what is behind its end.
    os.pwrite(fd, b'e', 0)
    os.pwrite(fd, b'f', 2 * PAGE)
    check(Commit(fd, PAGE, PAGE).written == 0, 'another page was written')
    check(Commit(fd, 2 * PAGE, 1 << 40).len == SIZE - 2 * PAGE, 'the range does not end with the file')
    check(below(lower, 0, 1) + below(lower, 2 * PAGE, 1) == b'cf', 'the wrong page was written')


def refused(upper, _lower):
    fd = make(upper)
    fails(errno.EINVAL, Commit, fd, SIZE, 1)
    fails(errno.EINVAL, Commit, fd, 0, 0)
    fails(errno.EINVAL, Commit, fd, 1 << 63, 1 << 63)
    fails(errno.EBADF, Commit, os.open(upper, os.O_RDONLY))
    fails(errno.ENOTTY, Commit, os.open(os.path.dirname(upper), os.O_RDONLY))
    fails(errno.ENOTTY, fcntl.ioctl, fd, COMMIT + 1, bytearray(32))
    fails(errno.EFAULT, fcntl.ioctl, fd, COMMIT, 1)


def pinned(upper, lower, device):
    """A read from a suspended device goes into a page of the file meanwhile."""
    fd = make(upper)
    mapped = mmap.mmap(fd, SIZE)
    mapped[0:4] = b'here'
    source = os.open(device, os.O_RDONLY | os.O_DIRECT)
    reader = threading.Thread(target=os.preadv, args=(source, [memoryview(mapped)[:PAGE]], 0))
    reader.start()
    for _ in range(600):
        # The read is under way when it has pinned the page.
        done = Commit(fd)
        if done.frozen:
            break
        time.sleep(0.1)
    check(done.frozen == 1, 'nothing was pinned')
    check(below(lower, 0, 4) == b'here', 'the page was not written as it was')
    print('frozen', flush=True)
    reader.join()
    check(mapped[0:4] == b'read', 'the read is lost')
    check(Commit(fd).frozen == 0, 'it is still pinned')
    check(below(lower, 0, 4) == b'read', 'what was read is not below')


def full(upper, _lower):
    """The filesystem below takes no more."""
    fd = os.open(upper, os.O_RDWR | os.O_CREAT)
    other = os.open(upper, os.O_RDWR)
    for page in range(0, SIZE, PAGE):
        os.pwrite(fd, b'x' * PAGE, page)
    fails(errno.ENOSPC, Commit, fd)
    # It is still dirty.
    for file in fd, other, fd:
        fails(errno.ENOSPC, os.fsync, file)


SET = 3 << 30 | 24 << 16 | ord('s') << 8 | 2
# The first one has more folios than a stable range.
SET_SIZES = 400 * PAGE, 24 * PAGE, 24 * PAGE


def commit_set(*parts):
    """The ioctl; what it says it has written, and of that copies."""
    packed = b''.join(struct.pack('<IIQQ', fd, 0, start, length) for fd, start, length in parts)
    memory = ctypes.create_string_buffer(packed, max(len(packed), 1))
    argument = bytearray(struct.pack('<QI12x', ctypes.addressof(memory), len(parts)))
    fcntl.ioctl(parts[0][0] if parts else sys.exit('no parts'), SET, argument)
    return struct.unpack_from('<II', argument, 12)


def whole(fds):
    return [(fd, 0, size) for fd, size in zip(fds, SET_SIZES)]


def fill(fds, byte):
    """Page by page, so that the folios have one each."""
    for fd, size in zip(fds, SET_SIZES):
        for page in range(0, size, PAGE):
            os.pwrite(fd, byte * PAGE, page)


def make_set(upper):
    fds = [os.open(f'{upper}{i}', os.O_RDWR | os.O_CREAT | os.O_TRUNC) for i in range(3)]
    fill(fds, b'\0')
    sync_set(fds)
    return fds


def store_set(fds):
    """A number in each of the files, one after the other, the last one by write(2), and more pages."""
    mapped = [mmap.mmap(fd, size) for fd, size in zip(fds, SET_SIZES)]
    last = SET_SIZES[1] - PAGE
    number = 0
    while True:
        number += 1
        data = struct.pack('<Q', number)
        mapped[0][0:8] = data
        mapped[1][last:last + 8] = data
        os.pwrite(fds[2], data, 0)
        for one, size in zip(mapped, SET_SIZES):
            page = number % (size // PAGE) * PAGE
            one[page + 8:page + 16] = data


def sync_set(fds):
    for fd in fds:
        os.fsync(fd)


def several_files(upper, lower, how, rounds):
    """A number is stored in one after the other."""
    fds = make_set(upper)
    bring_down = {'fsync': sync_set, 'commit': lambda fds: commit_set(*whole(fds))}[how]
    places = 0, SET_SIZES[1] - PAGE, 0

    def torn_in(rounds, enough):
        return torn(
            lambda: store_set(fds),
            lambda: [number_at(f'{lower}{i}', place) for i, place in enumerate(places)],
            lambda: bring_down(fds),
            lambda now: sorted(now, reverse=True) != now or now[0] - now[2] > 1,
            rounds,
            enough,
        )

    moments(torn_in, how, rounds)


def refused_set(upper, lower):
    fds = make_set(upper)
    check(commit_set(*whole(fds)) == (0, 0), 'there was nothing to be written')
    fill(fds, b'y')
    check(commit_set(*whole(fds)) == (sum(SET_SIZES) // PAGE, 0), 'not all was written')
    check(below(f'{lower}2', SET_SIZES[2] - PAGE, 1) == b'y', 'it is not below')
    os.pwrite(fds[0], b'z', 0)
    # The same twice, and a part.
    check(commit_set((fds[0], 0, PAGE), (fds[0], 0, 2 * PAGE)) == (1, 0), 'it was written twice')
    read = os.open(f'{upper}0', os.O_RDONLY)
    fails(errno.EBADF, commit_set, (fds[0], 0, 1), (read, 0, 1))
    fails(errno.EINVAL, commit_set, (fds[0], 0, 0))
    fails(errno.EINVAL, commit_set, (fds[0], 1 << 63, 1 << 63))
    fails(errno.EXDEV, commit_set, (fds[0], 0, 1), (os.open('/tmp', os.O_RDWR | os.O_TMPFILE), 0, 1))
    fails(errno.EBADF, commit_set, (fds[0], 0, 1), (9999, 0, 1))
    fails(errno.E2BIG, commit_set, *[(fds[0], 0, 1)] * 257)


def main():
    case, upper, lower = sys.argv[1:4]
    if case in ('steps', 'refused', 'refused_set', 'full'):
        globals()[case](upper, lower)
    elif case == 'set':
        several_files(upper, lower, sys.argv[4], int(sys.argv[5]))
    elif case == 'pinned':
        pinned(upper, lower, sys.argv[4])
    else:
        writer = {'mapped': store_mapped, 'write': write}[case]
        one_file(upper, lower, writer, sys.argv[4], int(sys.argv[5]))


main()
