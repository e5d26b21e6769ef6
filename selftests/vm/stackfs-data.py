#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0
"""stackfs-data.py CASE FOLDER LOWER: what becomes of data in FOLDER, which is LOWER or
a stackfs on top of it. Prints what is to be the same in both; says what is wrong, if
anything is.
"""

import ctypes
import errno
import fcntl
import hashlib
import mmap
import os
import struct
import sys

sys.dont_write_bytecode = True
from expect import check, fails, tried  # noqa: E402
from uring import OP_READ, Ring  # noqa: E402

libc = ctypes.CDLL(None, use_errno=True)
KEEP, PUNCH, COLLAPSE, ZERO, INSERT = 1, 2, 8, 16, 32
K, M = 1 << 10, 1 << 20
folder, lower = sys.argv[2:4]


def at(name):
    return os.path.join(folder, name)


def below(name):
    return os.path.join(lower, name)


def content(path):
    with open(path, "rb") as file:
        return file.read()


def said(result):
    if result < 0:
        raise OSError(ctypes.get_errno(), os.strerror(ctypes.get_errno()))
    return result


def fallocate(fd, mode, offset, length):
    return said(libc.fallocate(fd, mode, ctypes.c_long(offset), ctypes.c_long(length)))


# Sizes -------------------------------------------------------------------------

FIRST = ("w", 0, 4 * K), ("s",), ("w", M, 4 * K)
SIZES = {
    "punch": [*FIRST, (PUNCH | KEEP, 512 * K, M), ("s",)],
    "punch-exact": [*FIRST, (PUNCH | KEEP, 512 * K, 516 * K), ("s",)],
    "zero-keep": [*FIRST, (ZERO | KEEP, 512 * K, M), ("s",)],
    "zero": [*FIRST, (ZERO, 512 * K, M), ("s",)],
    "punch-insert": [*FIRST, (PUNCH | KEEP, 512 * K, M), (INSERT, 64 * K, 64 * K)],
    "zero-collapse": [*FIRST, (ZERO | KEEP, 512 * K, M), (COLLAPSE, 128 * K, 64 * K)],
    "punch-truncate": [*FIRST, (PUNCH | KEEP, 512 * K, M), ("t", 600 * K), ("s",)],
    "mapped": [("t", M), ("m", 512 * K, 4 * K), (PUNCH | KEEP, 500 * K, 2 * M), ("s",)],
    "reserved": [(KEEP, 0, M), ("w", 0, 5000), (PUNCH | KEEP, 4 * K, M)],
}


def step(fd, what, *arguments):
    if what == "w":
        offset, length = arguments
        os.pwrite(fd, b"\x5a" * length, offset)
    elif what == "m":
        offset, length = arguments
        with mmap.mmap(fd, 0) as memory:
            memory[offset : offset + length] = b"\x5b" * length
    elif what == "t":
        os.ftruncate(fd, *arguments)
    elif what == "s":
        os.fsync(fd)
    else:
        return tried(fallocate, fd, what, *arguments)
    return 0


def sizes():
    """Of a file whose end is dirty, and is punched out, or zeroed, beyond its end."""
    for name, steps in SIZES.items():
        fd = os.open(at(name), os.O_RDWR | os.O_CREAT)
        print(name, [step(fd, *each) for each in steps])
        os.close(fd)
    sizes_after()


def sizes_after():
    for name in SIZES:
        data = content(at(name))
        print(name, len(data), hashlib.sha256(data).hexdigest()[:16])


# Want of room ------------------------------------------------------------------


def fill():
    """Takes all of the room below but a little."""
    fd = os.open(below("filler"), os.O_RDWR | os.O_CREAT)
    length = 0
    while tried(fallocate, fd, 0, length, 128 * K) == 0:
        length += 128 * K
    os.ftruncate(fd, length - 256 * K)
    os.close(fd)


def room():
    """What write(2) has accepted is there once fsync(2) has succeeded."""
    fill()
    data = os.urandom(M)
    fd = os.open(at("file"), os.O_RDWR | os.O_CREAT)
    accepted = 0
    try:
        while accepted < len(data):
            accepted += os.pwrite(fd, data[accepted : accepted + 4 * K], accepted)
        fails(errno.ENOSPC, os.fsync, fd)
        # And it does not go on like that.
        fails(errno.ENOSPC, os.pwrite, fd, data, 2 * M)
    except OSError as error:
        check(error.errno == errno.ENOSPC, f"write(2) says {error}")
    check(accepted > 0, "there was no room at all")
    os.unlink(below("filler"))
    os.fsync(fd)
    check(content(below("file"))[:accepted] == data[:accepted], "fsync(2) has lost what was written")
    os.pwrite(fd, data, 0)
    os.fsync(fd)
    os.close(fd)
    check(content(below("file"))[:M] == data, "what was written later")
    os.unlink(at("file"))
    print("it is there")


def unwritten():
    """Leaves a file that cannot be written below, and what it is to be."""
    fill()
    data = os.urandom(M)
    with open(sys.argv[4], "wb") as file:
        file.write(data)
    fd = os.open(at("unwritten"), os.O_RDWR | os.O_CREAT)
    os.pwrite(fd, data, 0)
    os.close(fd)


# What is dirty when the mount is read-only -------------------------------------

COMMIT = 3 << 30 | 32 << 16 | ord("s") << 8 | 1
SYS_cachestat = 451


def is_dirty(fd):
    """Something of it is, in the page cache."""
    counts = ctypes.create_string_buffer(40)
    said(libc.syscall(SYS_cachestat, fd, ctypes.create_string_buffer(16), counts, 0))
    return struct.unpack_from("<Q", counts, 8)[0] > 0


def pinned():
    """A read from a device that is suspended goes into a page of a file that nobody has open or mapped
    any more, and the mount is read-only by then.
    """
    fd = os.open(at("pinned"), os.O_RDWR | os.O_CREAT)
    os.ftruncate(fd, 4 * K)
    libc.mmap.restype = ctypes.c_void_p
    address = libc.mmap(None, 4 * K, mmap.PROT_READ | mmap.PROT_WRITE, mmap.MAP_SHARED, fd, ctypes.c_long(0))
    ring = Ring()
    source = os.open(sys.argv[4], os.O_RDONLY | os.O_DIRECT)
    ring.push(OP_READ, source, [(ctypes.c_char * (4 * K)).from_address(address)], 0)
    ring.submit()
    # A commit says how many pages are pinned.
    frozen = 0
    while not frozen:
        argument = bytearray(struct.pack("<QQ16x", 0, 4 * K))
        fcntl.ioctl(fd, COMMIT, argument)
        frozen = struct.unpack_from("<I", argument, 20)[0]
    said(libc.munmap(ctypes.c_void_p(address), ctypes.c_long(4 * K)))
    os.close(fd)
    open("/run/stackfs-pinned", "w").close()
    ring.submit(wait=1)
    check([result for _, result in ring.completions()] == [4 * K], "the read has failed")
    fd = os.open(at("pinned"), os.O_RDONLY)
    while not is_dirty(fd):
        libc.usleep(10_000)
    os.close(fd)


# Blocks ------------------------------------------------------------------------


def blocks():
    """Those that were just written, or stored, count."""
    length = 300_000
    fd = os.open(at("written"), os.O_RDWR | os.O_CREAT)
    os.pwrite(fd, os.urandom(length), 0)
    check(os.fstat(fd).st_blocks * 512 >= length - 4 * K, "what was written does not count")
    os.close(fd)
    fd = os.open(at("stored"), os.O_RDWR | os.O_CREAT)
    os.ftruncate(fd, length)
    with mmap.mmap(fd, length) as memory:
        memory[:] = os.urandom(length)
        check(os.fstat(fd).st_blocks * 512 >= length - 4 * K, "what was stored does not count")
    os.fsync(fd)
    check(os.fstat(fd).st_blocks * 512 >= length - 4 * K, "what is below does not count")
    os.pwrite(fd, os.urandom(length), 0)
    check(os.fstat(fd).st_blocks * 512 < 2 * length, "what was overwritten counts twice")
    os.close(fd)
    fd = os.open(at("sparse"), os.O_RDWR | os.O_CREAT)
    os.ftruncate(fd, 1 << 30)
    check(os.fstat(fd).st_blocks * 512 < M, "a hole counts")
    os.pwrite(fd, os.urandom(4 * K), 1 << 29)
    check(0 < os.fstat(fd).st_blocks * 512 < M, "one page does not count, or a hole does")
    os.close(fd)
    os.unlink(at("sparse"))
    print("they count")


# The file that is written through ---------------------------------------------


def open_files():
    with open("/proc/sys/fs/file-nr", encoding="ascii") as file:
        return int(file.read().split()[0])


def writer():
    """What was closed and written is not open."""
    with open("/usr/bin/true", "rb") as file:
        program = file.read()
    with open(at("program"), "wb") as file:
        file.write(program)
        os.fchmod(file.fileno(), 0o755)
    os.sync()
    check(os.spawnl(os.P_WAIT, below("program"), "true") == 0, "it cannot be executed below")
    before = open_files()
    for i in range(100):
        with open(at(f"closed{i}"), "wb") as file:
            file.write(b"data")
    between = open_files()
    check(between < before + 50, f"{between - before} files are open that nobody has open")
    os.sync()
    # As soon as it is written: a lease says whether somebody has it open for writing.
    for i in range(20):
        with open(at(f"leased{i}"), "wb") as file:
            file.write(b"data")
        fd = os.open(below(f"leased{i}"), os.O_RDONLY)
        os.sync()
        leased = tried(fcntl.fcntl, fd, fcntl.F_SETLEASE, fcntl.F_RDLCK)
        check(leased == 0, f"what was written is open below: {leased}")
        os.close(fd)
    # What is mapped is written back after it was closed.
    fd = os.open(at("mapped"), os.O_RDWR | os.O_CREAT)
    os.ftruncate(fd, 4 * K)
    memory = mmap.mmap(fd, 4 * K)
    os.close(fd)
    memory[:4] = b"once"
    memory.flush()
    memory[:4] = b"more"
    memory.close()
    os.sync()
    check(content(below("mapped"))[:4] == b"more", "what was stored after the file was closed")
    print("it is closed")


# syncfs ------------------------------------------------------------------------


def syncfs():
    """Each who has the file system open hears of an error below, once."""
    fds = [os.open(folder, os.O_RDONLY) for _ in range(2)]
    call = lambda fd: tried(lambda: said(libc.syncfs(fd)))  # noqa: E731
    print([call(fd) for fd in fds])
    with open(at("data"), "wb") as file:
        file.write(os.urandom(M))
    # The rest of the test breaks the disk here.
    open("/run/stackfs-break", "w").close()
    while os.path.exists("/run/stackfs-break"):
        libc.usleep(10_000)
    print([call(fds[0])])
    open("/run/stackfs-break", "w").close()
    while os.path.exists("/run/stackfs-break"):
        libc.usleep(10_000)
    print([call(fd) for fd in (*fds, *fds)])


# Vectors -----------------------------------------------------------------------


def vectors():
    """Direct I/O of several segments is one I/O."""
    fd = os.open(at("vectors"), os.O_RDWR | os.O_CREAT | os.O_DIRECT)
    memory = mmap.mmap(-1, 64 * K)
    memory[:] = bytes(range(256)) * 256
    view = memoryview(memory)
    print(tried(os.pwritev, fd, [view[: 64 * K]], 0))
    for lengths in (2048, 2048), (512, 3072, 512), (4096, 512, 3584), (1024, 1024), (8192, 4096):
        parts, offset = [], 0
        for length in lengths:
            # With room in between, each at the beginning of a page.
            parts.append(view[offset : offset + length])
            offset += length + -length % 4096
        written = tried(os.pwritev, fd, parts, 4096)
        expected = b"".join(parts)
        found = content(at("vectors"))[4096 : 4096 + len(expected)] == expected
        reading = mmap.mmap(-1, 64 * K)
        into, offset = [], 0
        for length in lengths:
            into.append(memoryview(reading)[offset : offset + length])
            offset += length + -length % 4096
        read = tried(os.preadv, fd, into, 4096)
        same = [bytes(part) for part in into] == [bytes(part) for part in parts]
        print(lengths, written, found or written == "EINVAL", read, same or read == "EINVAL")
        memory[:] = os.urandom(64 * K)
    # The second one is where, or as long as, no device takes it.
    for begin, length in (4097, 4096), (4100, 4096), (4352, 4096), (4096, 2049), (4096, 2304):
        parts = [view[:4096], view[begin : begin + length], view[12288 : 12288 + 8192 - length]]
        wrote = tried(os.pwritev, fd, parts, 0)
        reading = memoryview(mmap.mmap(-1, 64 * K))
        into = [reading[:4096], reading[begin : begin + length], reading[12288 : 12288 + 8192 - length]]
        print(begin, length, wrote, tried(os.preadv, fd, into, 0))
    # What no device takes is read from a hole, where none is asked.
    hole = os.open(at("hole"), os.O_RDWR | os.O_CREAT | os.O_DIRECT)
    os.ftruncate(hole, 64 * K)
    for length in 4096, 5000, 12289:
        print(length, tried(os.preadv, hole, [view[:length]], 0), tried(os.preadv, fd, [view[:length]], 0))
    # More of them than fit in a MiB at once.
    whole = mmap.mmap(-1, 4 * M)
    whole[:] = os.urandom(4 * M)
    many = [memoryview(whole)[i * 4 * K : (i + 1) * 4 * K] for i in range(1000)]
    print(tried(os.pwritev, fd, many, 0), content(at("vectors"))[: 4000 * K] == whole[: 4000 * K])
    # The second one is not there.
    libc.mmap.restype = ctypes.c_void_p
    address = ctypes.addressof(ctypes.c_char.from_buffer(memory))
    vector = (ctypes.c_size_t * 4)(address, 2048, 4096, 2048)
    print(tried(lambda: said(libc.pwritev(fd, vector, 2, ctypes.c_long(0)))))
    vector = (ctypes.c_size_t * 4)(address, 4096, 4096, 4096)
    print(tried(lambda: said(libc.pwritev(fd, vector, 2, ctypes.c_long(0)))))
    # What is refused, since it is not aligned, leaves times alone.
    for offset in 100, 4096:
        os.utime(fd, (1000, 1000))
        print(tried(os.pwritev, fd, [view[:4096]], offset), os.fstat(fd).st_mtime == 1000)
    os.close(fd)


def behind():
    """What was stored behind the end of a file is no data once a direct write has made it longer."""
    fd = os.open(at("behind"), os.O_RDWR | os.O_CREAT | os.O_TRUNC | os.O_DIRECT)
    os.ftruncate(fd, 1000)
    memory = mmap.mmap(fd, 1000)
    ctypes.memset(ctypes.addressof(ctypes.c_char.from_buffer(memory)) + 1000, 0x41, 3096)
    os.pwritev(fd, [mmap.mmap(-1, 4 * K)], 64 * K)
    found = content(at("behind"))
    check(len(found) == 68 * K and not any(found), f"{len(found)} bytes, {found[1000:1010]}")


# Promises ----------------------------------------------------------------------

RWF_NOWAIT, RWF_DONTCACHE, RWF_ATOMIC = 8, 0x80, 0x40
FIEMAP, GETFLAGS, SETFLAGS, GETXATTR = 0xC020660B, 0x80086601, 0x40086602, 0x801C581F
IMMUTABLE, APPEND, NODUMP = 0x10, 0x20, 0x40


def extents(path):
    fd = os.open(path, os.O_RDONLY)
    request = bytearray(struct.pack("<QQIIII", 0, (1 << 64) - 1, 0, 0, 64, 0) + bytes(64 * 56))
    try:
        fcntl.ioctl(fd, FIEMAP, request)
    except OSError as error:
        return errno.errorcode[error.errno]
    finally:
        os.close(fd)
    count = struct.unpack_from("<I", request, 20)[0]
    # Where in the file, where on the device, how long.
    return [struct.unpack_from("<QQQ", request, 32 + i * 56) for i in range(count)]


def flags(path):
    fd = os.open(path, os.O_RDONLY)
    word = bytearray(8)
    attributes = bytearray(28)
    found = tried(fcntl.ioctl, fd, GETFLAGS, word), tried(fcntl.ioctl, fd, GETXATTR, attributes)
    os.close(fd)
    return found, struct.unpack_from("<I", word)[0], bytes(attributes[:4]), bytes(attributes[12:16])


def set_flags(path, value):
    fd = os.open(path, os.O_RDONLY)
    result = tried(fcntl.ioctl, fd, SETFLAGS, bytearray(struct.pack("<Q", value)))
    os.close(fd)
    return result if isinstance(result, str) else 0


def flagged(fd, raw, memory):
    """Flags that a stack takes also where the filesystem below does not, and the other way round."""
    # What is cached can be read without waiting.
    os.pread(fd, 4 * K, M)
    done = tried(os.preadv, fd, [bytearray(4 * K)], M, RWF_NOWAIT)
    check(done == 4 * K or folder == lower and done == "ENOTSUP", f"RWF_NOWAIT: {done}")
    fresh = os.urandom(64 * K)
    written = tried(os.pwritev, fd, [fresh], 2 * M, RWF_DONTCACHE)
    if folder == lower and written == "ENOTSUP":
        return
    check(written == 64 * K, f"RWF_DONTCACHE: {written}")
    os.fsync(fd)
    read = bytearray(64 * K)
    check(os.preadv(fd, [read], 2 * M, RWF_DONTCACHE) == 64 * K, "a short read")
    check(bytes(read) == fresh == content(below("promises"))[2 * M :], "RWF_DONTCACHE")
    # A file of which no page was ever dirty.
    direct = os.open(at("direct"), os.O_RDWR | os.O_CREAT | os.O_DIRECT)
    written = os.pwritev(direct, [memoryview(memory)[: 4 * K]], 0, RWF_DONTCACHE)
    check(written == 4 * K, f"RWF_DONTCACHE with O_DIRECT: {written}")
    os.close(direct)
    if folder != lower:
        part = [memoryview(memory)[: 4 * K]]
        for expected, *call in (
            ("EAGAIN", os.preadv, raw, part, 0),
            ("EAGAIN", os.pwritev, raw, part, 0),
            ("ENOTSUP", os.pwritev, fd, part, 0),
        ):
            done = tried(*call, RWF_NOWAIT)
            check(done == expected, f"RWF_NOWAIT: {call[0].__name__}: {done}, not {expected}")


def promises():
    """What is promised is kept, or not promised."""
    path = at("promises")
    fd = os.open(path, os.O_RDWR | os.O_CREAT)
    os.pwrite(fd, os.urandom(64 * K), 0)
    os.pwrite(fd, os.urandom(64 * K), M)
    check(extents(path) == extents(below("promises")), "where the file is")
    print(isinstance(extents(path), str) or len(extents(path)))
    raw = os.open(path, os.O_RDWR | os.O_DIRECT)
    memory = mmap.mmap(-1, 64 * K)
    stat = ctypes.create_string_buffer(256)
    said(libc.statx(-100, path.encode(), 0, 0x10000, stat))
    mask, attributes = struct.unpack_from("<I4xQ", stat)
    unit = struct.unpack_from("<I", stat, 168)[0]
    if mask & 0x10000 and unit:
        check(os.pwritev(raw, [memoryview(memory)[:unit]], 0, RWF_ATOMIC) == unit, "an atomic write")
    else:
        check(not attributes & 0x400000, "atomic writes are promised")
        refused = errno.EOPNOTSUPP
        fails(refused, os.pwritev, raw, [memoryview(memory)[: 4 * K]], 0, RWF_ATOMIC)
    flagged(fd, raw, memory)
    # Attributes are those below.
    check(flags(path) == flags(below("promises")), "the flags")
    print(set_flags(path, flags(path)[1] | NODUMP), flags(path)[1] & NODUMP)
    check(flags(path) == flags(below("promises")), "the flags that were set")
    os.pwrite(fd, b"before", 0)
    shared = mmap.mmap(fd, 4 * K)
    print(set_flags(path, flags(path)[1] | IMMUTABLE))
    print(tried(os.open, path, os.O_RDWR), tried(os.unlink, path))
    # Some say no to who has it open already.
    expected = b"xefore" if tried(os.pwrite, fd, b"x", 0) == 1 else b"before"
    shared.close()
    os.fsync(fd)
    check(content(below("promises"))[:6] == expected, "what was dirty before it was immutable")
    print(set_flags(path, flags(path)[1] & ~IMMUTABLE), os.pwrite(fd, b"after", 0))
    os.fsync(fd)
    if os.fork() == 0:
        os.setuid(12345)
        print(set_flags(path, 0), flush=True)
        os._exit(0)
    os.wait()
    os.close(raw)
    os.close(fd)


globals()[sys.argv[1]]()
