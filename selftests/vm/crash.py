#!/usr/bin/python3 -S
# SPDX-License-Identifier: GPL-2.0
"""Writes whose data changes in flight, and what a power failure would leave of them.

Takes lines from standard input, and answers each with one line of JSON:

write DEVICE ROUNDS SEED LOG [GATE]
    Writes numbered blocks. LOG is a file of recorder.py, or the name of a log-writes device;
    GATE the file that recorder.py waits for. What an fsync(2) or a write with RWF_DSYNC has
    promised becomes a mark in the log.
      writes, failed      direct writes, and calls that ended with EILSEQ, fsync(2) included
      changed             direct writes whose buffer changed in flight
      changed_cache       pages of the page cache that changed while they were written
      from, to            where the log of this is in the file
replay LOG FROM TO [IMAGE]
    Stops after each entry of the log, and looks at each sector. It is asked three times:
    in order, a sector holds what was written to it last; cut, what was written before the last
    flush, or through the cache; any, either, or anything that was written in between.
      entries, flushes, promises   what the log holds
      bad_direct, bad_dsync, bad_cache  sectors written with data that does not match the
                          tuple; by direct writes, those with RWF_DSYNC, and the page cache
      open                of these, those that no later write made good
      width, widest       writes of the disk from there until it was made good; the median,
                          and the most
      settles             the most until that was flushed
      in_order, cut, any  points at which a crash leaves a sector that does not read
      worst               the most sectors that do not read after one crash, in order
      broken              sectors that do not read, or may not, when they have just been promised
      lost                sectors that are older than promised, of all three
      unflushed           the same, of a disk that does not do what a flush is for
      torn                sectors whose data is not what was written there
    IMAGE gets what the disk holds at the worst point, for recorder.py, and IMAGE.bad the
    sectors that do not read.
read DEVICE IMAGE
    Reads all that write writes, and compares.
      unreadable          sectors that do not read
      unexpected          sectors that do not read though they should, or the contrary
      other               sectors with other data than the image
"""

import collections
import contextlib
import errno
import fcntl
import functools
import json
import mmap
import os
import random
import struct
import sys
import threading
import time
import traceback

# Nothing is left behind in the tree.
sys.dont_write_bytecode = True
import held  # noqa: E402
import recorder  # noqa: E402
import uring  # noqa: E402
from recorder import DISCARD, FLUSH, FUA, MARK, SECTOR, TUPLE  # noqa: E402

BLOCK = 4096
PER_BLOCK = BLOCK // SECTOR
# Apart, so that no two writes become one request. A block is written through the cache always,
# or never: log-writes puts a write with FUA before what has not been flushed.
AREAS = {
    "direct": range(0, 64, 2),
    "dsync": range(64, 128, 2),
    "cache": range(128, 144, 2),
}
AREA_OF = {block: name for name, blocks in AREAS.items() for block in blocks}
MAGIC = b"crsh"
# The byte of a sector that changes.
CHANGED = 200
RWF_DSYNC = 0x2
DM_TARGET_MSG = 3 << 30 | 312 << 16 | 0xFD << 8 | 14


@functools.lru_cache(64)
def content(block, version):
    """Of a block; each sector says which it is, and has all else from that."""
    return b"".join(struct.pack(">4sIQ", MAGIC, block * PER_BLOCK + i, version).ljust(
        SECTOR, bytes([version * 37 + i & 0xFF])) for i in range(PER_BLOCK))


def version_of(sector, data):
    """The version that a sector holds, or -1, if it is not what was written there."""
    magic, number, version = struct.unpack_from(">4sIQ", data)
    wanted = content(sector // PER_BLOCK, version) if magic == MAGIC else b""
    at = sector % PER_BLOCK * SECTOR
    wanted = wanted[at:at + SECTOR]
    if number != sector or not wanted:
        return -1
    if data != wanted and (data[:CHANGED] != wanted[:CHANGED] or
                           data[CHANGED + 1:] != wanted[CHANGED + 1:]):
        return -1
    return version


# Writing ---------------------------------------------------------------------

class MappedLog:
    """The log of a log-writes device."""

    def __init__(self, name):
        self.name = name.encode()

    def mark(self, text):
        message = struct.pack("<Q", 0) + b"mark " + text.encode() + b"\0"
        size = 312 + len(message)
        words = bytearray(struct.pack("<3I2IIiIIIQ128s", 4, 0, 0, size, 312, 0, 0, 0, 0, 0, 0,
                                      self.name).ljust(312, b"\0") + message)
        with open("/dev/mapper/control", "rb") as control:
            fcntl.ioctl(control, DM_TARGET_MSG, words)

    def close(self):
        pass

    @staticmethod
    def size():
        return 0


class FileLog:
    """The log of recorder.py."""

    def __init__(self, path):
        self.fd = os.open(path, os.O_WRONLY | os.O_APPEND)

    def mark(self, text):
        recorder.mark(self.fd, text)

    def close(self):
        os.close(self.fd)

    def size(self):
        return os.fstat(self.fd).st_size


class Writer:
    def __init__(self, device, seed, log, gate):
        self.device, self.gate = device, gate
        self.log = FileLog(log) if "/" in log else MappedLog(log)
        self.random = random.Random(seed)
        self.direct = os.open(device, os.O_RDWR | os.O_DIRECT)
        self.cached = os.open(device, os.O_RDWR)
        self.ring = uring.Ring(32)
        self.version = 0
        self.written = {}
        self.counts = collections.Counter(writes=0, failed=0, changed=0, changed_cache=0)

    def close(self):
        self.log.close()
        self.ring.close()
        os.close(self.direct)
        os.close(self.cached)

    def base(self):
        """All blocks as they are before the first round."""
        for block in AREA_OF:
            os.pwrite(self.cached, content(block, 0), block * BLOCK)
        os.fsync(self.cached)

    def promise(self, versions):
        words = [f"{block}:{version}" for block, version in sorted(versions.items())]
        # A mark has room for a sector.
        for i in range(0, len(words), 40):
            self.log.mark("promise=" + ",".join(words[i:i + 40]))

    def in_flight(self):
        return sum(map(int, held.sysfs(self.device, "inflight")))

    def await_flight(self, count, outcome=()):
        """Until so many writes are in flight, or, where nothing keeps them, have been."""
        end = time.monotonic() + 1

        def there():
            return (self.in_flight() >= count or outcome or
                    (not self.gate and time.monotonic() > end))

        held.until(there, f"{count} writes in flight")

    def open_gate(self, is_open):
        if self.gate:
            self.gate[0] = is_open

    def next_version(self):
        self.version += 1
        return self.version

    def direct_round(self, count):
        """Writes of which every other changes in flight; those with RWF_DSYNC are promised."""
        writes = []
        for name, flags in (("direct", 0), ("dsync", RWF_DSYNC)):
            for block in self.random.sample(AREAS[name], count):
                version = self.next_version()
                buffer = mmap.mmap(-1, BLOCK)
                buffer[:] = content(block, version)
                self.ring.push(uring.OP_WRITE, self.direct, [buffer], block * BLOCK, len(writes), flags)
                writes.append((block, version, buffer, name))
        self.open_gate(False)
        self.ring.submit()
        self.await_flight(len(writes))
        for i, (_, _, buffer, _) in enumerate(writes):
            if i % 2 == 0:
                buffer[self.random.randrange(PER_BLOCK) * SECTOR + CHANGED] ^= 0xFF
                self.counts["changed"] += 1
        self.open_gate(True)
        results = {}
        while len(results) < len(writes):
            self.ring.submit(1)
            results.update(self.ring.completions())
        promised = {}
        for i, (block, version, _, name) in enumerate(writes):
            self.counts["writes"] += 1
            if results[i] == BLOCK:
                (promised if name == "dsync" else self.written)[block] = version
            elif results[i] == -errno.EILSEQ:
                self.counts["failed"] += 1
            else:
                raise OSError(-results[i], f"write of block {block}: {results[i]}")
        self.promise(promised)

    def cached_round(self, count):
        for block in self.random.sample(AREAS["cache"], count):
            version = self.next_version()
            os.pwrite(self.cached, content(block, version), block * BLOCK)
            self.written[block] = version

    def sync(self):
        """fsync(2), while which a page changes, unless that has to wait."""
        blocks = [block for block in self.written if AREA_OF[block] == "cache"]
        outcome = []

        def synced():
            try:
                os.fsync(self.cached)
                outcome.append(0)
            except OSError as error:
                outcome.append(error.errno)

        def change():
            block = blocks[0]
            page = os.pread(self.cached, SECTOR, block * BLOCK)
            os.pwrite(self.cached, bytes([page[CHANGED] ^ 0xFF]), block * BLOCK + CHANGED)

        sync, changer = threading.Thread(target=synced), threading.Thread(target=change)
        self.open_gate(False)
        sync.start()
        self.await_flight(len(blocks), outcome)
        changer.start()
        changer.join(0.2)
        self.counts["changed_cache"] += not changer.is_alive() and not outcome
        self.open_gate(True)
        sync.join()
        changer.join()
        if not outcome[0]:
            self.promise(self.written)
        elif outcome[0] == errno.EILSEQ:
            self.counts["failed"] += 1
        else:
            raise OSError(outcome[0], "fsync")
        self.written = {}

    def run(self, rounds):
        start = self.log.size()
        self.base()
        self.log.mark("begin")
        for i in range(rounds):
            self.direct_round(4)
            self.cached_round(2)
            if i % 3 == 2:
                self.sync()
        return {**self.counts, "from": start, "to": self.log.size()}


def write(device, rounds, seed, log, gate=None):
    with contextlib.ExitStack() as stack:
        if gate:
            fd = os.open(gate, os.O_RDWR)
            stack.callback(os.close, fd)
            gate = mmap.mmap(fd, 1)
        writer = Writer(device, int(seed), log, gate)
        stack.callback(writer.close)
        return writer.run(int(rounds))


# Replaying -------------------------------------------------------------------

# What is stored, what that is in each sector (sector, version or -1, and whether it reads), or
# the text of a mark.
Entry = collections.namedtuple("Entry", "sector data tuples flags holds text")


def holds(first, data, tuples):
    for i in range(len(data) // SECTOR):
        piece, sector = data[i * SECTOR:(i + 1) * SECTOR], first + i
        good = not tuples or recorder.matches(piece, tuples[i * TUPLE:(i + 1) * TUPLE], sector)
        yield sector, version_of(sector, piece), good


def entries(path, start, end):
    """Of a log, in order."""
    with open(path, "rb") as file:
        left = None
        if not start:
            magic, _, count = struct.unpack_from("<QQQ", file.read(SECTOR))
            if magic == 0x6A736677736872:
                left, end = count, 1 << 62
                start = SECTOR
        file.seek(start)
        while (left is None or left) and file.tell() < end:
            sector, count, flags, rest = struct.unpack_from("<QQQQ", head := file.read(SECTOR))
            if flags & MARK:
                yield Entry(0, b"", b"", flags, (), head[32:32 + rest].decode())
            else:
                data = b"" if flags & DISCARD else file.read(count * SECTOR)
                tuples = file.read((rest + SECTOR - 1) // SECTOR * SECTOR)[:rest]
                yield Entry(sector, data, tuples, flags, tuple(holds(sector, data, tuples)), "")
            left = left - 1 if left else left


# What a sector holds: the version, whether it can be read, and the number of the write.
State = collections.namedtuple("State", "version good number")


class Replay:
    """What a crash after each entry leaves; `flushes` if the disk does what they are for."""

    def __init__(self, flushes=True):
        self.flushes = flushes
        # For each sector what it may hold after a crash: first what it holds for sure, last
        # what was written last.
        self.states = {}
        self.promised = {}
        self.number = 0
        self.counts = collections.Counter()
        self.bad = {name: set() for name in ("in_order", "cut", "any")}
        self.lost = set()
        # Windows that are open, by sector: the write, and for the flush the same.
        self.windows, self.unsettled = {}, {}
        self.widths, self.settles = [], []
        self.worst = (0, 0)

    def _look(self, sector):
        states = self.states[sector]
        for name, good in (("in_order", states[-1].good), ("cut", states[0].good),
                           ("any", all(state.good for state in states))):
            (self.bad[name].discard if good else self.bad[name].add)(sector)
        wanted = self.promised.get(sector, 0)
        if any(state.version < wanted for state in states):
            self.lost.add((sector, wanted))

    def _settle(self, sector):
        """It holds what was written last, and nothing else, whatever happens."""
        state = self.states[sector][-1]
        self.states[sector] = [state]
        if state.good and sector in self.unsettled:
            self.settles.append(self.number - self.unsettled.pop(sector))

    def _flush(self):
        for sector, states in self.states.items():
            if len(states) > 1:
                self._settle(sector)
                self._look(sector)

    def _write(self, entry, begun):
        self.number += 1
        for sector, version, good in entry.holds:
            self.counts["torn"] += version < 0
            self.states.setdefault(sector, []).append(State(version, good, self.number))
            if good and sector in self.windows:
                self.widths.append(self.number - self.windows.pop(sector))
            elif not good:
                if begun:
                    self.counts["bad_" + AREA_OF[sector // PER_BLOCK]] += 1
                self.windows.setdefault(sector, self.number)
                self.unsettled.setdefault(sector, self.number)
            if entry.flags & FUA and self.flushes:
                self._settle(sector)
            self._look(sector)

    def _promise(self, text):
        for word in text.split(","):
            block, version = map(int, word.split(":"))
            for sector in range(block * PER_BLOCK, (block + 1) * PER_BLOCK):
                self.promised[sector] = version
                self.counts["broken"] += sector in self.bad["any"]
                self._look(sector)
            self.counts["promises"] += 1

    def _point(self):
        for name, bad in self.bad.items():
            self.counts[name] += bool(bad)
        self.worst = max(self.worst, (len(self.bad["in_order"]), -self.number))

    def run(self, log):
        begun = False
        for entry in log:
            if entry.flags & MARK:
                kind, _, text = entry.text.partition("=")
                if kind == "begin":
                    begun = True
                    # What is there at first is there in any case.
                    self._flush()
                elif kind == "promise" and text:
                    self._promise(text)
                continue
            if entry.flags & FLUSH:
                self.counts["flushes"] += begun
                if self.flushes:
                    self._flush()
            if entry.data:
                self._write(entry, begun)
            if begun:
                self.counts["entries"] += 1
                self._point()
        return self.result(begun)

    def result(self, begun):
        if not begun:
            raise ValueError("the log does not begin")
        names = ("entries", "flushes", "promises", "bad_direct", "bad_dsync", "bad_cache",
                 "in_order", "cut", "any", "broken", "torn")
        widths = sorted(self.widths)
        return {
            **{name: self.counts[name] for name in names},
            "open": len(self.windows),
            "width": widths[len(widths) // 2] if widths else 0,
            "widest": max(widths, default=0),
            "settles": max(self.settles, default=0),
            "worst": self.worst[0],
            "lost": len(self.lost),
        }


def image(log, last, path):
    """What the disk holds after so many writes."""
    store, number = recorder.Store(None), 0
    for entry in log:
        if entry.data and number < last:
            number += 1
            store.put(entry.sector, entry.data, entry.tuples)
    bad = [sector for sector in range(recorder.SECTORS)
           if not recorder.matches(*store.get(sector, 1), sector)]
    with open(path, "wb") as file:
        file.write(store.data + store.tuples)
    with open(path + ".bad", "w", encoding="ascii") as file:
        file.write(" ".join(map(str, bad)))


def replay(path, start, end, to=None):
    log = list(entries(path, int(start), int(end)))
    one = Replay()
    result = {**one.run(log), "unflushed": Replay(flushes=False).run(log)["lost"]}
    if to:
        image(log, -one.worst[1], to)
    return result


# Reading ---------------------------------------------------------------------

def read(device, path):
    store = recorder.Store(path)
    with open(path + ".bad", encoding="ascii") as file:
        bad = set(map(int, file.read().split()))
    fd = os.open(device, os.O_RDONLY | os.O_DIRECT)
    buffer = mmap.mmap(-1, SECTOR)
    unreadable, other = set(), 0
    for block in AREA_OF:
        for sector in range(block * PER_BLOCK, (block + 1) * PER_BLOCK):
            try:
                os.preadv(fd, [buffer], sector * SECTOR)
                other += buffer[:] != store.get(sector, 1)[0]
            except OSError as error:
                if error.errno != errno.EILSEQ:
                    raise
                unreadable.add(sector)
    os.close(fd)
    return {"unreadable": len(unreadable), "unexpected": len(unreadable ^ bad), "other": other}


KINDS = {"write": write, "replay": replay, "read": read}


def answer(line):
    kind, *words = line.split()
    start = time.process_time()
    try:
        return {**KINDS[kind](*words), "seconds": round(time.process_time() - start, 2)}
    except Exception:
        traceback.print_exc()
        return {}


if __name__ == "__main__":
    for request in sys.stdin:
        print(json.dumps(answer(request), separators=(",", ":")), flush=True)
