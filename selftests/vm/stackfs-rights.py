#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0
"""stackfs-rights.py CASE DIR: what root and a user do in DIR, and what becomes of rights,
attributes and times; prints one line for each thing seen. On a stack and on the filesystem
below alone the lines are the same, which is for the caller to compare.
"""

import ctypes
import errno
import fcntl
import mmap
import os
import signal
import stat
import struct
import subprocess
import sys
import time

sys.dont_write_bytecode = True
from expect import tried  # noqa: E402

libc = ctypes.CDLL(None, use_errno=True)
SYS_io_setup, SYS_io_getevents, SYS_io_submit, IOCB_CMD_FSYNC = 206, 208, 209, 2
USER, OTHER_GROUP = 1000, 1001
CAPABILITY = "security.capability"
# Version 2, cap_net_raw, effective.
NET_RAW = struct.pack("<IIIII", 0x02000001, 1 << 13, 0, 0, 0)
F_SETDELEG = 1024 + 16
CLONE_NEWUSER, PR_SET_DUMPABLE, PR_SET_NO_NEW_PRIVS = 0x10000000, 4, 38
SYS_landlock_create_ruleset, SYS_landlock_add_rule, SYS_landlock_restrict_self = 444, 445, 446
LONG_AGO = 1_000_000_000
where = sys.argv[2]


def at(name):
    return os.path.join(where, name)


def say(*words):
    print(*words, flush=True)


def write(name, data=b"data", mode=0o644):
    with open(at(name), "wb") as file:
        os.fchmod(file.fileno(), mode)
        file.write(data)
    return at(name)


def append(path, data=b"more"):
    fd = os.open(path, os.O_WRONLY | os.O_APPEND)
    try:
        return os.write(fd, data)
    finally:
        os.close(fd)


def as_user(function, *arguments, groups=(USER,)):
    """Calls it in a child without privileges; what it returns is a word."""
    ours, theirs = os.pipe()
    child = os.fork()
    if child == 0:
        os.setgroups(groups)
        os.setresgid(groups[0], groups[0], groups[0])
        os.setresuid(USER, USER, USER)
        os.write(theirs, str(tried(function, *arguments)).encode())
        os._exit(0)
    os.close(theirs)
    with open(ours, "rb") as pipe:
        answer = pipe.read().decode()
    os.waitpid(child, 0)
    return answer


def has(path, name=CAPABILITY):
    value = tried(os.getxattr, path, name)
    return value.hex() if isinstance(value, bytes) else value


def mode(path):
    return stat.filemode(os.lstat(path).st_mode)


def aio_fsync(path):
    """IOCB_CMD_FSYNC: a kernel thread does it, with the credentials of the caller."""
    fd = os.open(path, os.O_RDONLY)
    context = ctypes.c_ulong(0)
    block = struct.pack("<QIIHHIQQQQII", 0, 0, 0, IOCB_CMD_FSYNC, 0, fd, 0, 0, 0, 0, 0, 0)
    block = ctypes.create_string_buffer(block)
    pointer = ctypes.c_void_p(ctypes.addressof(block))
    event = ctypes.create_string_buffer(32)
    if libc.syscall(SYS_io_setup, 1, ctypes.byref(context)):
        raise OSError(ctypes.get_errno(), "io_setup")
    if libc.syscall(SYS_io_submit, context, 1, ctypes.byref(pointer)) != 1:
        raise OSError(ctypes.get_errno(), "io_submit")
    libc.syscall(SYS_io_getevents, context, 1, 1, event, None)
    return struct.unpack_from("<q", event.raw, 16)[0]


def reader():
    """A reader who synchronizes takes nothing from the file."""
    path = write("set-user-id", b"x" * 5000)
    os.chmod(path, 0o4755)
    say("fsync", as_user(aio_fsync, path), mode(path))
    path = write("capable", b"x" * 5000)
    os.setxattr(path, CAPABILITY, NET_RAW)
    say("fsync", as_user(aio_fsync, path), has(path))


def written_back(path):
    with open(path, "rb") as file:
        os.fsync(file.fileno())


def fill(path):
    """Writes until not even a block fits, and says why; all of it is synchronized."""
    fd = os.open(path, os.O_WRONLY | os.O_CREAT, 0o644)
    size, position = 1 << 20, 0
    while True:
        try:
            end = position + os.pwrite(fd, b"x" * size, position)
            os.fsync(fd)
            position = end
        except OSError as e:
            # What stays dirty for want of room is not asked for any more.
            os.ftruncate(fd, position)
            if size == 4096:
                os.close(fd)
                return errno.errorcode[e.errno]
            size //= 4


def reserve():
    """What is reserved for root is left by a user, and to be had for root, also where a user
    has it written.
    """
    os.chmod(where, 0o777)
    say("user", as_user(fill, at("full")))
    say("allocated", as_user(allocate, at("allocated")))
    say("directly", as_user(fill_directly, at("direct")))
    left = os.statvfs(where)
    say("left", left.f_bavail * left.f_frsize < 128 << 10, left.f_bfree * left.f_frsize > 1 << 20)
    path = write("root", b"r" * (512 << 10))
    say("fsync", as_user(aio_fsync, path))
    os.sync()
    say("root", os.stat(path).st_size, os.stat(path).st_blocks >= 1024)
    # Root in the file of a user, and a user in that of root.
    os.unlink(path)
    write("theirs", b"u", 0o666)
    os.chown(at("theirs"), USER, USER)
    say("in the user's file", tried(synchronized, at("theirs")))
    write("ours", b"r", 0o666)
    say("in root's file", as_user(synchronized, at("ours")))
    # What root has written before a user opens the file for writing, too.
    fd = os.open(write("both", b"r", 0o666), os.O_WRONLY)
    os.write(fd, b"r" * (2 << 20))
    held = opened_by_user(at("both"))
    say("before the user", tried(os.fsync, fd))
    os.close(held)
    os.close(fd)


def reserve_group():
    """What is reserved for a group is to be had for who is in it, and for nobody else."""
    os.chmod(where, 0o777)
    say("user", as_user(fill, at("full")))
    say("left", os.statvfs(where).f_bfree * os.statvfs(where).f_frsize > 1 << 20)
    say("of the group", as_user(fill, at("more"), groups=(USER, OTHER_GROUP)))
    say("left", os.statvfs(where).f_bfree * os.statvfs(where).f_frsize > 1 << 20)


def allocate(path):
    fd = os.open(path, os.O_WRONLY | os.O_CREAT, 0o644)
    try:
        os.posix_fallocate(fd, 0, 1 << 20)
        return "ok"
    finally:
        os.close(fd)


def fill_directly(path):
    fd = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_DIRECT, 0o644)
    memory = mmap.mmap(-1, 1 << 20)
    try:
        while True:
            os.write(fd, memory)
    finally:
        os.close(fd)


def opened_by_user(path):
    """For writing; it is the caller's."""
    os.seteuid(USER)
    try:
        return os.open(path, os.O_RDWR | os.O_CREAT)
    finally:
        os.seteuid(0)


def synchronized(path):
    fd = os.open(path, os.O_WRONLY | os.O_APPEND)
    left = 2 << 20
    try:
        while left:
            left -= os.write(fd, b"y" * left)
        os.fsync(fd)
        return "ok"
    finally:
        os.close(fd)


def quota():
    """A hard limit of 4 MiB for the user. LOWER is the folder below, and MOUNT where that is mounted."""
    os.chmod(where, 0o777)
    say("user", as_user(fill, at("full")))
    os.sync()
    say("within", os.stat(at("full")).st_blocks <= 8192)
    write("root", b"r" * (8 << 20))
    say("given away", tried(os.chown, at("root"), USER, USER))
    os.unlink(at("full"))
    os.unlink(at("root"))
    # What was accepted, by write(2) or by the page cache, is there when the limit has gone.
    lower, mount = sys.argv[3:5]
    data = os.urandom(8 << 20)
    fd = opened_by_user(at("late"))
    os.seteuid(USER)
    accepted = 0
    try:
        while accepted < len(data):
            accepted += os.write(fd, data[accepted : accepted + 65536])
        os.fsync(fd)
        say("no limit")
    except OSError as e:
        say("late", errno.errorcode[e.errno])
    os.seteuid(0)
    subprocess.run(["setquota", "-u", str(USER), "0", "0", "0", "0", mount], check=True)
    say("later", accepted > 0, tried(os.fsync, fd))
    os.close(fd)
    with open(os.path.join(lower, "late"), "rb") as file:
        say("there", file.read(accepted) == data[:accepted])


def capabilities():
    """They stay when what was written before is written back, and go when a user writes."""
    path = write("late", b"x" * 50000)
    os.setxattr(path, CAPABILITY, NET_RAW)
    written_back(path)
    say("written back", has(path))
    append(path)
    say("root writes", has(path))
    path = write("early")
    os.chown(path, USER, USER)
    for name, change in (
        ("append", lambda: append(path)),
        ("O_TRUNC", lambda: os.close(os.open(path, os.O_WRONLY | os.O_TRUNC))),
        ("truncate", lambda: os.truncate(path, 100)),
        ("chgrp", lambda: os.chown(path, -1, OTHER_GROUP)),
        ("chmod", lambda: os.chmod(path, 0o600)),
    ):
        os.setxattr(path, CAPABILITY, NET_RAW)
        say(name, as_user(change, groups=(USER, OTHER_GROUP)), has(path))
    say("remove", as_user(os.removexattr, path, CAPABILITY))
    say("a user sets one", as_user(os.setxattr, path, CAPABILITY, NET_RAW))


def namespace():
    """setcap(8) in a user namespace, which has the user as root."""

    def inside(path):
        # Or /proc/self belongs to root.
        libc.prctl(PR_SET_DUMPABLE, 1)
        if libc.unshare(CLONE_NEWUSER):
            return "no namespaces"
        for name, line in (("setgroups", "deny"), ("uid_map", "0 1000 1"), ("gid_map", "0 1000 1")):
            with open("/proc/self/" + name, "w") as file:
                file.write(line)
        os.setxattr(path, CAPABILITY, NET_RAW)
        return has(path)

    path = write("file")
    os.chown(path, USER, USER)
    say("inside", as_user(inside, path))
    say("outside", has(path))


def confine(allowed):
    """From now on this process may do everything in that folder, and nothing elsewhere (Landlock)."""
    # The rights of the first version, which all kernels know that have it.
    rights = struct.pack("<Q", (1 << 13) - 1)
    ruleset = libc.syscall(SYS_landlock_create_ruleset, rights, len(rights), 0)
    rule = rights + struct.pack("<i", os.open(allowed, os.O_PATH))
    libc.prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0)
    for result in (
        libc.syscall(SYS_landlock_add_rule, ruleset, 1, rule, 0),
        libc.syscall(SYS_landlock_restrict_self, ruleset, 0),
    ):
        if result:
            raise OSError(ctypes.get_errno(), "landlock")


def change_profile(name):
    """From now on this process has that profile of AppArmor."""
    with open("/proc/self/attr/apparmor/current", "w") as file:
        file.write("changeprofile " + name)


def profiled():
    """As confined(), by a profile that allows the path above, and not the one below."""
    rules = f"profile stackfs-rights {{\n  {where}/ rw,\n  {where}/** rwkl,\n}}\n"
    subprocess.run(["apparmor_parser", "-r", "-K"], input=rules, text=True, check=True)
    try:
        use_all(lambda: change_profile("stackfs-rights"))
    finally:
        subprocess.run(["apparmor_parser", "-R", "-K"], input=rules, text=True, check=True)


def confined():
    """A process that may use this folder only, by a security module, can use all that is in it."""
    use_all(lambda: confine(where))


def use_all(give_up):
    """What a user can do in the folder after that."""

    def use(name, flags, function):
        fd = os.open(at(name), flags, 0o644)
        try:
            return function(fd)
        finally:
            os.close(fd)

    os.chmod(where, 0o777)
    write("file", b"x" * 50000, 0o666)
    written_back(at("file"))
    for name, step in (
        ("read", lambda: use("file", os.O_RDONLY, lambda fd: os.pread(fd, 4, 40000))),
        ("write", lambda: use("file", os.O_RDWR, lambda fd: (os.write(fd, b"more"), os.fsync(fd)))),
        ("create", lambda: use("new", os.O_WRONLY | os.O_CREAT | os.O_EXCL, os.fsync)),
        ("unnamed", lambda: use(".", os.O_RDWR | os.O_TMPFILE, lambda fd: os.write(fd, b"more"))),
        ("truncate", lambda: os.truncate(at("file"), 100)),
        ("list", lambda: sorted(os.listdir(where))),
        ("stat", lambda: os.stat(at("file")).st_size),
        ("rename", lambda: os.rename(at("new"), at("renamed"))),
        ("outside", lambda: os.open("/etc/passwd", os.O_RDONLY)),
    ):
        say(name, as_user(lambda step=step: (give_up(), step())[1]))


def set_user_id():
    """What stays, and what goes, who writes, and who changes what."""
    for who in (lambda f, *a: str(tried(f, *a)), as_user):
        name = "user" if who is as_user else "root"
        for bits in (0o6777, 0o2767):
            for what, change in (
                ("write", lambda: append(path)),
                ("truncate", lambda: os.truncate(path, 1)),
                ("chown", lambda: os.chown(path, USER, USER)),
            ):
                path = write("file")
                os.chown(path, USER, OTHER_GROUP)
                os.chmod(path, bits)
                say(name, oct(bits), what, who(change), mode(path))
                written_back(path)
                say("written back", mode(path))
        path = write("file")
        os.chown(path, USER, OTHER_GROUP)
        say(name, "chmod", who(os.chmod, path, 0o2755), mode(path))
        os.chmod(path, 0o2777)
        say(name, "list", who(os.setxattr, path, "system.posix_acl_access", acl(7)), mode(path))
        # Written, then made set-user-ID, then written back.
        path = write("late", b"x" * 9000)
        os.chown(path, USER, USER)
        say(name, "late", who(os.chmod, path, 0o4755))
        written_back(path)
        say("written back", mode(path))
        os.unlink(path)


def acl(rights):
    """Owner, user 1000, group, mask, other."""
    none = 0xFFFFFFFF
    entries = ((1, 6, none), (2, rights, USER), (4, 4, none), (0x10, 7, none), (0x20, 4, none))
    return struct.pack("<I", 2) + b"".join(struct.pack("<HHI", *e) for e in entries)


def lists():
    """What is set is what is got."""
    name = "system.posix_acl_access"
    path = write("file")
    say("before", has(path, name))
    for rights in (7, 4, 6):
        os.setxattr(path, name, acl(rights))
        say("set", has(path, name), mode(path), as_user(append, path))
    os.removexattr(path, name)
    say("removed", has(path, name), mode(path), as_user(append, path))
    os.mkdir(at("dir"))
    os.setxattr(at("dir"), "system.posix_acl_default", acl(7))
    say("default", has(at("dir"), "system.posix_acl_default"), has(write("dir/file"), name))
    os.removexattr(at("dir"), "system.posix_acl_default")
    say("removed", has(at("dir"), "system.posix_acl_default"), has(write("dir/other"), name))


def attributes():
    """Extended ones, of all kinds, by root and by a user."""
    path = write("file", mode=0o666)
    for name in ("user.a", "trusted.a", "security.a", "system.a", "b"):
        for who in (as_user, lambda f, *a: str(tried(f, *a))):
            say(name, who(os.setxattr, path, name, b"value"), who(os.getxattr, path, name))
            say(name, who(os.removexattr, path, "no" + name), who(os.listxattr, path))
    os.chmod(path, 0o600)
    say("not allowed", as_user(os.setxattr, path, "user.a", b"x"), as_user(os.getxattr, path, "user.a"))
    say("a link", (os.symlink("file", at("link")), tried(os.setxattr, at("link"), "user.c", b"d"))[1])


def accessed(path, follow=True):
    return os.stat(path, follow_symlinks=follow).st_atime_ns > LONG_AGO * 10**9


def access():
    """When an access is marked."""

    def read(path, flags):
        fd = os.open(path, os.O_RDONLY | flags)
        os.pread(fd, 10, 0)
        os.close(fd)

    def mapped(path):
        with open(path, "rb") as file:
            mmap.mmap(file.fileno(), 0, prot=mmap.PROT_READ).close()

    def spliced(path):
        ours, theirs = os.pipe()
        with open(path, "rb") as file:
            os.splice(file.fileno(), theirs, 10)
        os.close(ours)
        os.close(theirs)

    def directly(path):
        fd = os.open(path, os.O_RDONLY | os.O_DIRECT)
        os.preadv(fd, [mmap.mmap(-1, 4096)], 0)
        os.close(fd)

    def set_later(path):
        fd = os.open(path, os.O_RDONLY)
        fcntl.fcntl(fd, fcntl.F_SETFL, os.O_NOATIME)
        os.pread(fd, 10, 0)
        os.close(fd)

    path = write("file", b"x" * 5000)
    os.mkdir(at("dir"))
    os.symlink("file", at("link"))
    os.sync()
    for cold in (False, True):
        steps = (
            ("read", read, path, 0),
            ("O_NOATIME", read, path, os.O_NOATIME),
            ("F_SETFL", set_later, path),
            ("mmap", mapped, path),
            ("splice", spliced, path),
            ("O_DIRECT", directly, path),
            ("readdir", os.listdir, at("dir")),
            ("readlink", os.readlink, at("link")),
            ("through it", os.stat, at("link")),
            ("stat", os.stat, path),
        )
        for name, function, *arguments in steps[:2] if cold else steps:
            for each in ("file", "dir", "link"):
                times = (LONG_AGO * 10**9, (LONG_AGO + 1) * 10**9)
                os.utime(at(each), ns=times, follow_symlinks=False)
            if cold:
                with open("/proc/sys/vm/drop_caches", "w") as file:
                    file.write("3")
            function(*arguments)
            say(name, *(f"{e}:{accessed(at(e), False)}" for e in ("file", "dir", "link")))


def times():
    """Those that were set stay; those of a write do not change when that is written back. What
    is written to a FIFO does not get to any filesystem, but its time does.
    """
    path = write("file", b"x" * 50000)
    os.utime(path, ns=(LONG_AGO * 10**9, LONG_AGO * 10**9))
    say("set", os.stat(path).st_mtime == LONG_AGO)
    written_back(path)
    say("written back", os.stat(path).st_mtime == LONG_AGO, os.stat(path).st_atime == LONG_AGO)
    before = os.stat(path).st_mtime_ns
    append(path)
    written = os.stat(path).st_mtime_ns
    say("written", written > before)
    written_back(path)
    say("written back", os.stat(path).st_mtime_ns == written)
    os.mkfifo(at("fifo"))
    os.utime(at("fifo"), (LONG_AGO, LONG_AGO))
    fd = os.open(at("fifo"), os.O_RDWR)
    os.write(fd, b"x")
    say("fifo", os.stat(at("fifo")).st_mtime > LONG_AGO, os.fstat(fd).st_mtime > LONG_AGO)
    os.close(fd)


def executed(path):
    """The user that a program is run as: a shell script cannot have rights, id(1) can."""
    ours, theirs = os.pipe()
    child = os.fork()
    if child == 0:
        os.dup2(theirs, 1)
        try:
            os.execv(path, [path, "-u"])
        except OSError as e:
            os.write(1, errno.errorcode[e.errno].encode())
        os._exit(0)
    os.close(theirs)
    os.waitpid(child, 0)
    with os.fdopen(ours) as pipe:
        return pipe.read().strip()


def restricted():
    """What a mount may not allow: programs, set-user-ID bits, devices."""
    with open("/usr/bin/id", "rb") as file:
        program = write("id", file.read(), 0o755)
    say("program", as_user(executed, program))
    os.chmod(program, 0o4755)
    say("set-user-ID", as_user(executed, program))
    os.mknod(at("null"), stat.S_IFCHR | 0o666, os.makedev(1, 3))
    say("device", tried(lambda: os.close(os.open(at("null"), os.O_WRONLY))))


def delegated():
    """Who has a delegation is told, and waited for."""
    for name, change in (
        ("unlink", lambda path: os.unlink(path)),
        ("rename", lambda path: os.rename(path, path + "2")),
        ("link", lambda path: os.link(path, path + "3")),
        ("chmod", lambda path: os.chmod(path, 0o600)),
    ):
        path = write(name)
        written_back(path)
        held = sys.argv[3] + "/" + name
        ours, theirs = os.pipe()
        child = os.fork()
        if child == 0:
            fd = os.open(held, os.O_RDONLY)
            signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGIO})
            try:
                fcntl.fcntl(fd, F_SETDELEG, struct.pack("<IHH", 0, fcntl.F_RDLCK, 0))
            except OSError as e:
                os.write(theirs, errno.errorcode[e.errno].encode())
            os.write(theirs, b".")
            signal.sigwait({signal.SIGIO})
            fcntl.fcntl(fd, F_SETDELEG, struct.pack("<IHH", 0, fcntl.F_UNLCK, 0))
            os._exit(0)
        say(name, "held", os.read(ours, 10))
        say(name, tried(change, path))
        # It has been asked, so it ends.
        say(name, "asked", os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]))


if __name__ == "__main__":
    os.umask(0)
    globals()[sys.argv[1]]()
