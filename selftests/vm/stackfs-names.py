#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0
"""stackfs-names.py CASE DIR [ARGUMENT]: names that change while others look at them."""

import errno
import os
import random
import signal
import sys
import time

sys.dont_write_bytecode = True
from expect import check, fails, tried  # noqa: E402

where = sys.argv[2]
arguments = sys.argv[3:]


def at(*names):
    return os.path.join(where, *names)


def child(function, *arguments):
    """Its process; one that fails says why."""
    pid = os.fork()
    if pid:
        return pid
    code = 1
    try:
        function(*arguments)
        code = 0
    except SystemExit as e:
        print(e.code, file=sys.stderr, flush=True)
    except BaseException as e:
        print(f"{type(e).__name__}: {e} ({arguments})", file=sys.stderr, flush=True)
    os._exit(code)


def ended(pids):
    """All of them have succeeded."""
    results = [os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) for pid in pids]
    check(not any(results), f"one has failed: {results}")


def stopped(pids):
    for pid in pids:
        os.kill(pid, signal.SIGKILL)
        os.waitpid(pid, 0)


def look(names):
    """At all of them, again and again."""
    while True:
        for name in names:
            try:
                os.lstat(name)
            except FileNotFoundError:
                pass


def not_deleted(fd, name):
    seen = os.readlink(f"/proc/self/fd/{fd}")
    check(seen == os.path.realpath(name), f"what has the name {name} is shown as {seen}")


def created():
    """A name is looked at while a file gets it."""
    number = int(arguments[0])
    names = [at(f"new{i}") for i in range(10)]
    lookers = [child(look, names) for _ in range(2)]
    try:
        for i in range(number):
            name = names[i % len(names)]
            kind = i % 4
            if kind == 0:
                fd = os.open(name, os.O_CREAT | os.O_EXCL | os.O_RDWR)
            elif kind == 1:
                os.mkdir(name)
                fd = os.open(name, os.O_RDONLY)
            elif kind == 2:
                with open(at("old"), "w"):
                    pass
                os.link(at("old"), name)
                os.unlink(at("old"))
                fd = os.open(name, os.O_RDONLY)
            else:
                with open(at("old"), "w"):
                    pass
                fd = os.open(at("old"), os.O_RDONLY)
                os.rename(at("old"), name)
            not_deleted(fd, name)
            os.close(fd)
            (os.rmdir if kind == 1 else os.unlink)(name)
    finally:
        stopped(lookers)


def renamed():
    """A user renames a folder in which something is mounted, and looks at it. The caller has
    mounted it on dir/inner/mount.
    """

    def user(function, *arguments):
        os.setresgid(1000, 1000, 1000)
        os.setresuid(1000, 1000, 1000)
        function(*arguments)

    def rename():
        for _ in range(int(arguments[0])):
            os.rename(at("dir"), at("other"))
            os.rename(at("other"), at("dir"))

    os.chmod(where, 0o777)
    inner = [at(name, "inner/mount") for name in ("dir", "other")]
    lookers = [child(user, look, [at("dir"), at("other"), *inner]) for _ in range(2)]
    try:
        ended([child(user, rename)])
    finally:
        stopped(lookers)
    check(os.path.ismount(inner[0]), "it is not mounted any more")
    check(os.listdir(inner[0]) == ["inside"], "something else is mounted")


def busy():
    """Eight at once create, link, rename, exchange and unlink, each its own names in folders that
    all share, and look at those of the others.
    """
    end = time.monotonic() + float(arguments[0])
    dirs = [at(f"shared{i}") for i in range(3)]
    for name in dirs:
        os.mkdir(name)

    def others(rng):
        name = os.path.join(rng.choice(dirs), f"{rng.choice('abc')}{rng.randrange(8)}")
        try:
            os.stat(name)
        except FileNotFoundError:
            pass

    def work(own):
        rng = random.Random(own)
        count = 0

        def name(letter):
            return os.path.join(rng.choice(dirs), f"{letter}{own}")

        while time.monotonic() < end or count < 20:
            first, second, third = name("a"), name("b"), name("c")
            fd = os.open(first, os.O_CREAT | os.O_EXCL | os.O_RDWR)
            not_deleted(fd, first)
            others(rng)
            os.link(first, second)
            check(os.path.samestat(os.stat(first), os.stat(second)), "a link is another file")
            check(os.fstat(fd).st_nlink == 2, "links of a file")
            os.mkdir(third)
            moved = os.path.join(third, "inside")
            os.rename(second, moved)
            fails(errno.ENOENT, os.stat, second)
            others(rng)
            os.rename(moved, first)  # The same file: nothing happens.
            os.unlink(moved)
            os.rename(first, second)
            not_deleted(fd, second)
            fails(errno.ENOENT, os.stat, first)
            os.rmdir(third)
            fails(errno.ENOENT, os.stat, third)
            others(rng)
            os.unlink(second)
            check(os.readlink(f"/proc/self/fd/{fd}").endswith(" (deleted)"), "it is gone")
            os.close(fd)
            count += 1
        print(f"{own}: {count} times", flush=True)

    ended([child(work, own) for own in range(8)])
    for name in dirs:
        check(os.listdir(name) == [], f"left: {os.listdir(name)}")
        os.rmdir(name)


def below():
    """What is changed below is seen, and takes along what is mounted. ARGUMENT is the folder
    below; something is mounted on dir/mount.
    """
    under = arguments[0]
    os.rename(os.path.join(under, "dir"), os.path.join(under, "moved"))
    check(os.listdir(at("moved/mount")) == ["inside"], "what is mounted did not move")
    fails(errno.ENOENT, os.stat, at("dir"))
    os.rename(os.path.join(under, "moved"), os.path.join(under, "dir"))
    fails(errno.ENOENT, os.stat, at("moved"))
    check(os.listdir(at("dir/mount")) == ["inside"], "what is mounted did not move back")
    with open(os.path.join(under, "file"), "w") as file:
        file.write("1")
    check(os.stat(at("file")).st_size == 1, "a new file")
    os.unlink(os.path.join(under, "file"))
    fails(errno.ENOENT, os.stat, at("file"))
    with open(at("file"), "w") as file:
        file.write("12")
    os.unlink(os.path.join(under, "file"))
    os.mkdir(os.path.join(under, "file"))
    check(os.path.isdir(at("file")), "it is a folder now")
    os.rmdir(os.path.join(under, "file"))
    os.mkdir(at("file"))
    os.rmdir(at("file"))


def folded():
    """Names that are equal without being the same. Prints what becomes of them."""

    def say(*words):
        print(*words, flush=True)

    def write(name, text):
        with open(at(name), "w") as file:
            file.write(text)

    write("File", "1")
    os.stat(at("FILE"))
    write("fILE", "22")
    say(os.listdir(where), os.stat(at("file")).st_size)
    say(tried(os.mkdir, at("FILE")), tried(os.rename, at("File"), at("Other")))
    say(os.listdir(where), tried(os.stat, at("file")), os.stat(at("OTHER")).st_size)
    os.mkdir(at("Dir"))
    write("DIR/one", "1")
    say(os.listdir(at("dir")), os.path.samefile(at("Dir"), at("dir")))
    say(tried(os.unlink, at("dIR/ONE")), os.listdir(at("Dir")), tried(os.rmdir, at("DIR")))
    say(tried(os.stat, at("Dir")) == "ENOENT", tried(os.unlink, at("otheR")), os.listdir(where))


def remote():
    """What another client, or the server, does is seen: ARGUMENT is the folder there."""
    there = arguments[0]

    def over(name):
        return os.path.join(there, name)

    def until(condition, what):
        # As long as attributes may be cached, and longer.
        for _ in range(100):
            if condition():
                return
            time.sleep(0.1)
        sys.exit(what)

    with open(at("file"), "w") as file:
        file.write("12345")
        file.flush()
        os.fsync(file.fileno())
    check(os.stat(over("file")).st_size == 5, "it is not there")
    os.utime(at("file"), (10**9, 10**9))
    os.sync()
    check(os.stat(over("file")).st_mtime == 10**9, "the time is not there")
    os.chmod(over("file"), 0o600)
    until(lambda: os.stat(at("file")).st_mode & 0o777 == 0o600, "the mode is not seen")
    os.rename(over("file"), over("moved"))
    until(lambda: not os.path.exists(at("file")), "the name is still there")
    with open(at("moved")) as file:
        check(file.read() == "12345", "what is in it")
    os.unlink(over("moved"))
    until(lambda: not os.path.exists(at("moved")), "the file is still there")
    os.mkdir(over("moved"))
    until(lambda: os.path.isdir(at("moved")), "the folder is not there")
    os.rmdir(at("moved"))
    check(not os.path.exists(over("moved")), "the folder is still there")


if __name__ == "__main__":
    globals()[sys.argv[1]]()
