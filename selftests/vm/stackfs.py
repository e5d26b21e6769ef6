#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0
"""stackfs.py CASE UPPER LOWER: what a user does with stackfs, in the folder
UPPER of a mount on top of the folder LOWER. Says what is wrong, if anything is.
"""

import ctypes
import errno
import mmap
import os
import random
import resource
import signal
import stat
import sys
import threading

sys.dont_write_bytecode = True
from expect import check, fails  # noqa: E402

libc = ctypes.CDLL(None, use_errno=True)
PAGE = mmap.PAGESIZE
AT_FDCWD = -100
NOREPLACE, EXCHANGE, WHITEOUT = 1, 2, 4
upper, lower = sys.argv[2:4]


def above(name):
    return os.path.join(upper, name)


def below(name):
    return os.path.join(lower, name)


def content(path):
    with open(path, "rb") as file:
        return file.read()


def write(path, data):
    with open(path, "wb") as file:
        file.write(data)


def said(result):
    """What a function of the C library has returned, if that is no error."""
    if result < 0:
        raise OSError(ctypes.get_errno(), os.strerror(ctypes.get_errno()))
    return result


def rename2(old, new, flags):
    said(libc.renameat2(AT_FDCWD, old.encode(), AT_FDCWD, new.encode(), flags))


def fallocate(fd, mode, offset, length):
    said(libc.fallocate(fd, mode, ctypes.c_long(offset), ctypes.c_long(length)))


def buffer(length, data=b""):
    """Memory that O_DIRECT likes."""
    memory = mmap.mmap(-1, length)
    memory[: len(data)] = data
    return memory


def names():
    write(above("file"), b"hello")
    check(os.listdir(lower).count("file") == 1, "the file is not below")
    os.mkdir(above("dir"), 0o750)
    check(stat.S_IMODE(os.stat(below("dir")).st_mode) == 0o750, "the mode of the folder")
    os.link(above("file"), above("dir/link"))
    check(os.stat(above("file")).st_nlink == 2, "the link does not count")
    check(os.path.samefile(above("file"), above("dir/link")), "the link is another file")
    os.symlink("dir/link", above("symlink"))
    check(os.readlink(below("symlink")) == "dir/link", "the symbolic link below")
    check(content(above("symlink")) == b"hello", "through the symbolic link")
    os.mkfifo(above("fifo"))
    check(stat.S_ISFIFO(os.lstat(below("fifo")).st_mode), "the FIFO below")
    fails(errno.EEXIST, os.mkdir, above("dir"))
    fails(errno.ENOTEMPTY, os.rmdir, above("dir"))
    fails(errno.ENOENT, os.unlink, above("nothing"))
    fails(errno.ENOTDIR, os.rmdir, above("file"))
    fails(errno.ENAMETOOLONG, write, above("n" * 256), b"")
    fails(errno.EINVAL, os.rename, above("dir"), above("dir/below"))
    write(above("other"), b"other")
    fails(errno.EEXIST, rename2, above("file"), above("other"), NOREPLACE)
    rename2(above("file"), above("other"), EXCHANGE)
    check(content(above("file")) == b"other", "exchanged")
    check(content(above("other")) == b"hello", "exchanged")
    os.rename(above("file"), above("dir/moved"))
    check(content(above("dir/moved")) == b"other", "moved")
    fails(errno.ENOENT, os.stat, above("file"))
    with open(above("other"), "rb") as file:
        os.rename(above("dir/moved"), above("other"))
        check(file.read() == b"hello", "replaced while it is open")
        check(os.fstat(file.fileno()).st_nlink == 1, "one link is left")
    os.unlink(above("dir/link"))
    check(sorted(os.listdir(above("."))) == ["dir", "fifo", "other", "symlink"], "readdir")
    check(sorted(os.listdir(lower)) == ["dir", "fifo", "other", "symlink"], "readdir below")
    many = {f"entry{i}" for i in range(500)}
    for name in many:
        os.mkdir(above("dir/" + name))
    check(set(os.listdir(above("dir"))) == many, "readdir of many")
    for name in many:
        os.rmdir(above("dir/" + name))
    os.rmdir(above("dir"))
    # What is changed below is seen above.
    os.rename(below("other"), below("renamed"))
    fails(errno.ENOENT, os.stat, above("other"))
    check(content(above("renamed")) == b"other", "renamed below")
    os.unlink(below("renamed"))
    fails(errno.ENOENT, os.stat, above("renamed"))


def link_of(fd, path):
    """What open(2) says about O_TMPFILE; os.link() does not follow the link."""
    follow = 0x400
    said(libc.linkat(AT_FDCWD, f"/proc/self/fd/{fd}".encode(), AT_FDCWD, path.encode(), follow))


def unnamed():
    """Files that have no name yet, and those that never will."""
    data = bytes(range(256)) * 64
    fd = os.open(above("."), os.O_TMPFILE | os.O_RDWR, 0o640)
    check(os.listdir(above(".")) == [] and os.listdir(lower) == [], "it has a name")
    check(os.fstat(fd).st_nlink == 0, "it has a link")
    check(stat.S_IMODE(os.fstat(fd).st_mode) == 0o640, "the mode")
    check(os.write(fd, data) == len(data), "written")
    with mmap.mmap(fd, len(data)) as memory:
        check(memory[:] == data, "what is mapped")
        memory[PAGE - 1 : PAGE + 1] = b"XY"
    data = data[: PAGE - 1] + b"XY" + data[PAGE + 1 :]
    os.fsync(fd)
    check(os.pread(fd, len(data), 0) == data, "what is read")
    link_of(fd, above("named"))
    check(os.fstat(fd).st_nlink == 1, "it has no link")
    os.pwrite(fd, b"Z", 0)
    os.close(fd)
    data = b"Z" + data[1:]
    check(content(above("named")) == data, "by its name")
    with open(above("named"), "rb") as file:
        os.fsync(file.fileno())
    check(content(below("named")) == data, "below")
    # One that may not be given a name, and whose data nobody needs.
    fd = os.open(above("."), os.O_TMPFILE | os.O_EXCL | os.O_WRONLY, 0o600)
    os.write(fd, data)
    fails(errno.ENOENT, link_of, fd, above("never"))
    os.close(fd)
    fails(errno.ENOTDIR, os.open, above("named"), os.O_TMPFILE | os.O_RDWR)
    check(os.listdir(lower) == ["named"], "what is left below")


def attributes():
    path = above("file")
    write(path, b"data")
    os.chmod(path, 0o4755)
    check(stat.S_IMODE(os.stat(below("file")).st_mode) == 0o4755, "chmod")
    os.chown(path, 12, 34)
    found = os.stat(below("file"))
    check((found.st_uid, found.st_gid) == (12, 34), "chown")
    os.utime(path, ns=(1_000_000_000, 2_000_000_000))
    # What is dirty is written back after the times were set, and leaves them alone.
    with open(path, "r+b") as file:
        file.write(b"later")
        file.flush()
        os.utime(path, ns=(3_000_000_000, 4_000_000_000))
        os.fsync(file.fileno())
    for found in os.stat(path), os.stat(below("file")):
        check(found.st_mtime_ns == 4_000_000_000, f"writing back sets the time: {found}")
    with open(path, "r+b") as file:
        file.write(b"again")
    check(os.stat(path).st_mtime_ns > 4_000_000_000, "write(2) does not set the time")
    os.setxattr(path, "user.name", b"value")
    check(os.getxattr(below("file"), "user.name") == b"value", "setxattr")
    check("user.name" in os.listxattr(path), "listxattr")
    os.removexattr(path, "user.name")
    fails(errno.ENODATA, os.getxattr, path, "user.name")
    check(os.statvfs(upper).f_bfree == os.statvfs(lower).f_bfree, "statfs")
    # Writing as somebody else takes the set-user-ID bit; writing it back is nobody's.
    os.chmod(path, 0o4777)
    if os.fork() == 0:
        os.setuid(12345)
        with open(path, "r+b") as file:
            file.write(b"x")
        os._exit(0)
    os.wait()
    check(stat.S_IMODE(os.stat(path).st_mode) == 0o777, "the set-user-ID bit stays")
    os.chmod(path, 0o4755)
    os.sync()
    check(stat.S_IMODE(os.stat(path).st_mode) == 0o4755, "writing back takes the bit")
    os.chmod(path, 0)
    if os.fork() == 0:
        os.setuid(12345)
        fails(errno.EACCES, content, path)
        os._exit(0)
    check(os.wait()[1] == 0, "who may not read it does")
    os.unlink(path)


def data():
    random.seed(1)
    path, model = above("file"), bytearray()
    fd = os.open(path, os.O_RDWR | os.O_CREAT)
    for _ in range(300):
        length = random.choice([1, 100, 4096, 5000, 70000, 300000])
        offset = random.randrange(2 << 20)
        what = random.random()
        if what < 0.6:
            piece = random.randbytes(length)
            if offset > len(model):
                model.extend(bytes(offset - len(model)))
            model[offset : offset + length] = piece
            check(os.pwrite(fd, piece, offset) == length, "a short write")
        elif what < 0.7:
            os.truncate(path, offset)
            del model[offset:]
            model.extend(bytes(offset - len(model)))
        elif what < 0.8:
            os.fsync(fd)
        elif what < 0.85:
            os.posix_fadvise(fd, 0, 0, os.POSIX_FADV_DONTNEED)
        else:
            check(os.pread(fd, length, offset) == bytes(model[offset : offset + length]), "read")
        check(os.fstat(fd).st_size == len(model), "the size")
    check(content(path) == bytes(model), "the content")
    os.fsync(fd)
    check(content(below("file")) == bytes(model), "the content below")
    os.close(fd)
    fd = os.open(path, os.O_WRONLY | os.O_APPEND)
    os.write(fd, b"end")
    check(os.fstat(fd).st_size == len(model) + 3, "O_APPEND")
    os.close(fd)
    os.close(os.open(path, os.O_WRONLY | os.O_TRUNC))
    check(os.stat(below("file")).st_size == 0, "O_TRUNC")
    for flag in os.O_DSYNC, os.O_SYNC, os.O_SYNC | os.O_DIRECT:
        fd = os.open(path, os.O_WRONLY | flag)
        piece = random.randbytes(2 * PAGE)
        check(os.pwrite(fd, buffer(2 * PAGE, piece), 0) == 2 * PAGE, "a short write")
        check(content(below("file")) == piece, f"flag {flag:o}")
        os.close(fd)
    fails(errno.EEXIST, os.open, path, os.O_CREAT | os.O_EXCL)
    os.unlink(path)


def holes():
    path = above("file")
    fd = os.open(path, os.O_RDWR | os.O_CREAT)
    far = (5 << 30) + 123
    os.pwrite(fd, b"far", far)
    check(os.pread(fd, 10, far - 3) == b"\0\0\0far", "over 4 GiB")
    check(os.pread(fd, PAGE, 1 << 32) == bytes(PAGE), "a hole")
    os.fsync(fd)
    found = os.stat(below("file"))
    check(found.st_size == far + 3, "the size below")
    check(found.st_blocks < 10000, f"{found.st_blocks} blocks are no hole")
    check(os.lseek(fd, 0, os.SEEK_DATA) > 1 << 32, "SEEK_DATA")
    check(os.lseek(fd, 0, os.SEEK_HOLE) == 0, "SEEK_HOLE")
    os.ftruncate(fd, 64 << 10)
    os.pwrite(fd, b"\1" * (64 << 10), 0)
    fallocate(fd, 3, 4096, 8192)
    expected = b"\1" * 4096 + bytes(8192) + b"\1" * (52 << 10)
    check(os.pread(fd, 1 << 20, 0) == expected, "a punched hole")
    fallocate(fd, 0, 0, 128 << 10)
    check(os.fstat(fd).st_size == 128 << 10, "allocated behind the end")
    check(os.pread(fd, 1 << 20, 0) == expected + bytes(64 << 10), "what was allocated")
    os.close(fd)
    os.unlink(path)


def mapped():
    path = above("file")
    fd = os.open(path, os.O_RDWR | os.O_CREAT)
    os.ftruncate(fd, 3 * PAGE + 100)
    shared = mmap.mmap(fd, 3 * PAGE + 100)
    private = mmap.mmap(fd, 3 * PAGE + 100, mmap.MAP_PRIVATE)
    shared[10:15] = b"store"
    check(os.pread(fd, 5, 10) == b"store", "a store is not read")
    check(private[10:15] == b"store", "a store is not seen in a private mapping")
    private[10:15] = b"mine!"
    check(os.pread(fd, 5, 10) == b"store", "a private store is read")
    os.pwrite(fd, b"write", 2 * PAGE)
    check(shared[2 * PAGE : 2 * PAGE + 5] == b"write", "a write is not seen")
    shared.flush()
    check(content(below("file"))[10:15] == b"store", "msync does not bring it below")
    shared[20:25] = b"again"
    shared.flush()
    check(content(below("file"))[20:25] == b"again", "a second store after msync")
    # What is stored behind the end is not part of the file when it grows.
    whole = mmap.mmap(fd, 0)
    address = ctypes.addressof(ctypes.c_char.from_buffer(whole))
    ctypes.memset(address + 3 * PAGE + 100, 0x55, 50)
    os.ftruncate(fd, 4 * PAGE)
    check(os.pread(fd, PAGE, 3 * PAGE) == bytes(PAGE), "stored behind the end, then truncate")
    os.ftruncate(fd, 3 * PAGE + 100)
    ctypes.memset(address + 3 * PAGE + 100, 0x55, 50)
    os.pwrite(fd, b"x", 4 * PAGE - 1)
    check(os.pread(fd, PAGE - 1, 3 * PAGE) == bytes(PAGE - 1), "stored behind the end, then write")
    os.fsync(fd)
    check(content(below("file")) == content(path), "the content below")
    os.close(fd)
    os.unlink(path)


def direct():
    path = above("file")
    random.seed(2)
    size = 2 << 20
    model = bytearray(random.randbytes(size))
    write(path, model)
    fd = os.open(path, os.O_RDWR)
    raw = os.open(path, os.O_RDWR | os.O_DIRECT)
    shared = mmap.mmap(fd, size)
    memory = buffer(256 << 10)
    for _ in range(150):
        length = random.randrange(1, 65) * PAGE
        offset = random.randrange((size - length) // PAGE + 1) * PAGE
        piece = random.randbytes(length)
        what = random.randrange(5)
        if what == 0:
            os.pwrite(fd, piece, offset)
        elif what == 1:
            shared[offset : offset + length] = piece
        elif what == 2:
            memory[:length] = piece
            check(os.pwrite(raw, memoryview(memory)[:length], offset) == length, "a short write")
        elif what == 3:
            check(os.preadv(raw, [memoryview(memory)[:length]], offset) == length, "a short read")
            check(memory[:length] == model[offset : offset + length], "what is dirty is not read")
            continue
        else:
            check(os.pread(fd, length, offset) == model[offset : offset + length], "read")
            check(shared[offset : offset + length] == model[offset : offset + length], "mapped")
            continue
        model[offset : offset + length] = piece
    check(content(path) == model, "the content")
    # Written directly from a mapping of the same pages, and read into one.
    check(os.pwrite(raw, memoryview(shared)[: 64 << 10], 0) == 64 << 10, "from itself")
    check(os.preadv(raw, [memoryview(shared)[1 << 20 : (1 << 20) + PAGE]], 0) == PAGE, "into itself")
    model[1 << 20 : (1 << 20) + PAGE] = model[:PAGE]
    check(content(path) == model, "the content, with itself as the buffer")
    # It grows, and the hole before is one.
    memory[:PAGE] = b"\7" * PAGE
    os.pwrite(raw, memoryview(memory)[:PAGE], size + 4 * PAGE)
    check(os.pread(fd, 5 * PAGE, size) == bytes(4 * PAGE) + b"\7" * PAGE, "behind the end")
    os.fsync(raw)
    check(content(below("file")) == content(path), "the content below")
    os.close(raw)
    os.close(fd)
    os.unlink(path)


def limits():
    """What a task may write, and whether it is killed, does not harm what is dirty."""
    path = above("file")
    piece = random.Random(3).randbytes(4 << 20)
    fd = os.open(path, os.O_RDWR | os.O_CREAT)
    os.write(fd, piece)
    if os.fork() == 0:
        resource.setrlimit(resource.RLIMIT_FSIZE, (4096, 4096))
        signal.signal(signal.SIGXFSZ, signal.SIG_DFL)
        os.fsync(fd)
        os._exit(0)
    check(os.wait()[1] == 0, "fsync fails where the task may not write so much")
    check(content(below("file")) == piece, "fsync has lost something")
    for i in range(6):
        piece = random.Random(i).randbytes(4 << 20)
        os.pwrite(fd, piece, 0)
        child = os.fork()
        if child == 0:
            os.fsync(fd)
            os._exit(0)
        threading.Event().wait(random.random() / 100)
        os.kill(child, signal.SIGKILL)
        os.waitpid(child, 0)
        os.fsync(fd)
        check(content(below("file")) == piece, "who was killed in fsync has lost something")
    os.close(fd)
    os.unlink(path)


def system_call(number, *arguments):
    words = [ctypes.c_long(a) if isinstance(a, int) else a for a in arguments]
    return said(libc.syscall(ctypes.c_long(number), *words))


def mounts():
    """By the calls for a new mount, and by mount(2)."""
    fsopen, fsconfig, fsmount, move_mount, set_string, create = 430, 431, 432, 429, 1, 6
    folder, target = lower.encode(), upper.encode()
    write(below("file"), b"below")

    context = system_call(fsopen, b"stackfs", 0)
    fails(errno.EINVAL, system_call, fsconfig, context, set_string, b"upperdir", folder, 0)
    check(b"upperdir" in os.read(context, 200), "nobody says what is wrong")
    system_call(fsconfig, context, set_string, b"lowerdir", folder, 0)
    system_call(fsconfig, context, create, None, None, 0)
    mount = system_call(fsmount, context, 0, 0)
    with open(os.open("file", os.O_RDONLY, dir_fd=mount), "rb") as file:
        check(file.read() == b"below", "the content before it has a place")
    system_call(move_mount, mount, b"", AT_FDCWD, target, 4)
    check(content(above("file")) == b"below", "the content")
    os.close(mount)
    os.close(context)
    check(libc.umount(target) == 0, "umount")

    fails(errno.EINVAL, system_call, 165, b"none", target, b"stackfs", 0, b"upperdir=" + folder)
    system_call(165, b"none", target, b"stackfs", 0, b"lowerdir=" + folder)
    check(content(above("file")) == b"below", "the content after mount(2)")
    check(libc.umount(target) == 0, "umount")
    os.unlink(below("file"))


def two():
    """Two mounts over one folder: UPPER and LOWER are both above it."""
    stop = threading.Event()
    failures = []

    def change(folder, seed):
        chance = random.Random(seed)
        while not stop.is_set():
            path = os.path.join(folder, f"file{chance.randrange(4)}")
            try:
                what = chance.randrange(8)
                if what == 0:
                    os.unlink(path)
                elif what == 1:
                    os.rename(path, os.path.join(folder, f"file{chance.randrange(4)}"))
                elif what == 2:
                    os.truncate(path, chance.randrange(1 << 18))
                elif what == 3:
                    content(path)
                else:
                    with open(path, "ab" if what < 6 else "r+b") as file:
                        file.write(chance.randbytes(chance.randrange(1 << 17)))
                        if what == 7:
                            os.fsync(file.fileno())
            except OSError as e:
                if e.errno not in (errno.ENOENT, errno.EINVAL, errno.EEXIST, errno.ESTALE):
                    failures.append(e)

    threads = [
        threading.Thread(target=change, args=(folder, seed))
        for seed, folder in enumerate([upper, lower, upper, lower])
    ]
    for thread in threads:
        thread.start()
    threading.Event().wait(4)
    stop.set()
    for thread in threads:
        thread.join()
    check(not failures, str(failures[:3]))
    os.sync()
    check(sorted(os.listdir(upper)) == sorted(os.listdir(lower)), "other names")
    for name in os.listdir(upper):
        os.unlink(above(name))
    check(not os.listdir(lower), "something is left")


def once():
    """What was written cannot be brought down: each open file says so once. /run/stackfs-failed
    is there until that has been repaired."""
    expected = int(sys.argv[4])
    path = above("full")
    first = os.open(path, os.O_RDWR)
    second = os.open(path, os.O_RDWR)
    length = int(sys.argv[5])
    piece = b"\x5a" * (1 << 20)
    for offset in range(0, length, len(piece)):
        check(os.pwrite(first, piece, offset) == len(piece), "write(2) fails")
    fails(expected, os.fsync, first)
    write("/run/stackfs-failed", b"")
    while os.path.exists("/run/stackfs-failed"):
        threading.Event().wait(0.05)
    os.fsync(first)
    fails(expected, os.fsync, second)
    os.fsync(second)
    third = os.open(path, os.O_RDWR)
    os.fsync(third)
    if expected == errno.ENOSPC:
        check(content(below("full")) == piece * (length // len(piece)), "what there was no room for")


def msync():
    """msync(2) says 0 or an error, whatever happens to the pages meanwhile."""
    expected = int(sys.argv[4])
    path = above("mapped")
    fd = os.open(path, os.O_RDWR | os.O_CREAT)
    length = 8 << 20
    os.ftruncate(fd, length)
    shared = mmap.mmap(fd, length)
    address = ctypes.c_void_p(ctypes.addressof(ctypes.c_char.from_buffer(shared)))
    for offset in range(0, length, PAGE):
        shared[offset] = 1
    result = libc.msync(address, ctypes.c_size_t(length), 4)
    check(result == -1, f"msync says {result}")
    check(ctypes.get_errno() == expected, f"msync fails with {ctypes.get_errno()}")
    # It is still dirty, and there still is no room for it.
    result = libc.msync(address, ctypes.c_size_t(length), 4)
    check(result == -1, f"msync says {result} the second time")
    check(ctypes.get_errno() == expected, f"msync fails with {ctypes.get_errno()} then")


globals()[sys.argv[1]]()
