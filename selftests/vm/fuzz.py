#!/usr/bin/python3 -S
# SPDX-License-Identifier: GPL-2.0
"""Table lines and messages of stable-pi, thousands of them, right and wrong.

usage: fuzz.py tables|messages SEED COUNT DISK PLAIN BUSY

DISK has an integrity profile and blocks of 4096 bytes, PLAIN has no profile and
blocks of 512, BUSY can be opened exclusively and is kept open here.

All goes through the ioctls of device mapper, from this one process. What the
answer has to be, grammar.py says: accepted or refused, the errno, each line of
the kernel log and, of what was accepted, the table and the status that are
printed. A printed table has to be accepted again.

The first lines that were answered otherwise are printed, and then how often each
answer came. Exits with 1 if an answer was wrong, or if one that there is never
came to 2000 lines or more.
"""

import errno
import fcntl
import mmap
import os
import random
import struct
import sys
import time

sys.dont_write_bytecode = True
import grammar  # noqa: E402
from grammar import KEYS, TAGS, U64, VALUES, WAYS  # noqa: E402

# The ioctls ------------------------------------------------------------------

DEV_CREATE, DEV_REMOVE, DEV_SUSPEND = 3, 4, 6
TABLE_LOAD, TABLE_CLEAR, TABLE_STATUS, TARGET_MSG = 9, 10, 12, 14
STATUS_TABLE, QUERY_INACTIVE, BUFFER_FULL = 1 << 4, 1 << 12, 1 << 8
HEADER = struct.Struct("<3I I I I i I I I Q 128s 129s 7s")
SPEC = struct.Struct("<QQiI16s")
IOWR, DM_IOCTL = 3, 0xFD


class Control:
    """/dev/mapper/control; each ioctl gives an errno, 0 if there is none."""

    def __init__(self):
        self.fd = os.open("/dev/mapper/control", os.O_RDWR)

    def call(self, command, name, data=b"", count=0, flags=0, room=0):
        size = HEADER.size + max(len(data), room)
        buffer = bytearray(size)
        HEADER.pack_into(buffer, 0, 4, 0, 0, size, HEADER.size, count, 0, flags, 0, 0, 0,
                         name.encode(), b"", b"")
        buffer[HEADER.size:HEADER.size + len(data)] = data
        number = IOWR << 30 | HEADER.size << 16 | DM_IOCTL << 8 | command
        try:
            fcntl.ioctl(self.fd, number, buffer)
        except OSError as error:
            return error.errno, None
        return 0, buffer

    def must(self, command, name, *args, **kwargs):
        error, buffer = self.call(command, name, *args, **kwargs)
        if error:
            sys.exit(f"fuzz.py: ioctl {command} on {name}: {os.strerror(error)}")
        return buffer

    def create(self, name):
        dev = HEADER.unpack_from(self.must(DEV_CREATE, name))[10]
        return os.makedev(dev >> 8 & 0xFFF, dev & 0xFF | dev >> 12 & 0xFFF00)

    def load(self, name, targets):
        data = b""
        for start, length, kind, params in targets:
            body = params + b"\0"
            body += b"\0" * (-(SPEC.size + len(body)) % 8)
            data += SPEC.pack(start, length, 0, SPEC.size + len(body), kind) + body
        return self.call(TABLE_LOAD, name, data, len(targets))[0]

    def status(self, name, flags):
        """The texts of all targets, with the start and the length of each."""
        buffer = self.must(TABLE_STATUS, name, flags=flags, room=1 << 16)
        fields = HEADER.unpack_from(buffer)
        if fields[7] & BUFFER_FULL:
            sys.exit("fuzz.py: the status does not fit")
        begin, texts = fields[4], []
        at = begin
        for _ in range(fields[5]):
            start, length, _, after, kind = SPEC.unpack_from(buffer, at)
            text = bytes(buffer[at + SPEC.size:]).split(b"\0", 1)[0]
            texts.append((start, length, kind.rstrip(b"\0"), text))
            at = begin + after
        return texts

    def message(self, name, sector, text):
        return self.call(TARGET_MSG, name, struct.pack("<Q", sector) + text + b"\0")[0]

    def resume(self, name):
        self.must(DEV_SUSPEND, name)


class Log:
    """The kernel log from now on, record by record."""

    def __init__(self):
        self.fd = os.open("/dev/kmsg", os.O_RDONLY | os.O_NONBLOCK)
        os.lseek(self.fd, 0, os.SEEK_END)

    def new(self):
        lines = []
        while True:
            try:
                read = os.read(self.fd, 8192)
            except BlockingIOError:
                return lines
            except OSError as error:
                if error.errno != errno.EPIPE:
                    raise
                lines.append("(records were overwritten before they were read)")
                continue
            text = read.split(b"\n")[0].split(b";", 1)[1]
            lines.append(text.decode(errors="replace")[:grammar.RECORD])


# Lines -----------------------------------------------------------------------

NEAR = """0 1 2 3 6 7 00 01 +1 -1 1.0 0x 0x1 1_000 1e3 policy policy: policy:auto policy:Copy
policy:copy policy:copy:copy policy=copy policy:automatic policy:detect waits waits: waits:1
waits:on recheck:yes recheck:off learn learn: learn:on learn:off learn:auto verify verify: verify:auto verify:off verify:on VERIFY:on
app_tag: app_tag:0x app_tag:0X1 app_tag:0xffff app_tag:0xfffe app_tag:65535 app_tag:65534
app_tag:65536 app_tag:0x10000 app_tag:-1 app_tag:+1 app_tag:0x+1 app_tag:0x0x1 app_tag:ff
app_tag:000000000000000000000000000042 app_tag:18446744073709551616 passthrough passthrough:
passthrough:on Passthrough inject inject: inject:on inject:once guard ref app read write once reset auto on off detect ON : :: @ @stats @policy "" '' ١ é à
18446744073709551615 18446744073709551616 9223372036854775808 4294967296""".split()
NEAR = [word.encode() for word in NEAR]
BYTES = [bytes([b]) for b in b"0123456789abcdefxX:+-_,.=/\\ \t\n\r\v\f\"'@#%\x00\x01\x7f\x80\xa0\xc3\xff"]
NUMBERS = [0, 1, 7, 8, 1 << 31, 1 << 32, (1 << 54) - 8, 1 << 54, (1 << 63) - 8, 1 << 63, U64 - 8, U64 - 1]


class Generator:
    """Lines from a seed."""

    def __init__(self, seed, world):
        self.random = random.Random(seed)
        self.world = world
        self.disks = list(world.disks.values())

    def chance(self, p):
        return self.random.random() < p

    def pick(self, choices):
        return self.random.choice(choices)

    def option(self, key):
        if key == "passthrough":
            return key
        if key == "app_tag":
            tag = self.pick([0, 1, 0xFFFE, self.random.randrange(0xFFFF)])
            return "app_tag:" + self.pick(["%d", "%#x", "0x%04X", "%07d"]) % tag
        return f"{key}:{self.pick(VALUES[key])}"

    def words(self, disk, length):
        room = max(0, disk.sectors - length) // 8
        offset = 8 * self.pick([0, 0, room, self.random.randrange(room + 1)])
        words = [self.pick([disk.path, disk.number]), str(offset)]
        options = [self.option(k) for k in self.random.sample(KEYS, self.random.randrange(len(KEYS) + 1))]
        if not disk.profile and self.chance(0.8):
            options = [o for o in options if o not in ("verify:on", "passthrough")]
        if options or self.chance(0.5):
            words += [str(len(options)), *options]
        return [word.encode() for word in words]

    def valid_table(self):
        """Targets that adjoin, as lists of start, length, type and words."""
        lines, start = [], 0
        for _ in range(self.pick([1, 1, 1, 1, 1, 1, 2, 3])):
            disk = self.pick(self.disks)
            length = 8 * self.random.randrange(1, disk.sectors // 8 // 4)
            lines.append([start, length, b"stable-pi", self.words(disk, length)])
            start += length
        return lines

    def other_device(self):
        if self.chance(0.02):
            # Device mapper asks for a module for each of these.
            return self.pick([b"8:4095", b"4294967304:200"])
        path = self.disks[0].path
        own = f"{os.major(self.world.own)}:{os.minor(self.world.own)}"
        return self.pick([
            b"/dev/none", b"/dev/null", b"/dev", b".", b"/", b"sda", b"none", b"/dev/sda/x", b"4096:0",
            b"0:1048576", b"8", b"8:", b":0", b"8:x", b"8:0:0", b"-8:0", b"8:-0", own.encode(),
            own.encode(), f"/dev/dm-{os.minor(self.world.own)}".encode(), path.encode() + b"/",
            b"/dev/../" + path.encode(), b"8:\\ 0", b"\\ 8:0", b"/" + b"x" * 300, b"/x" * 3000,
            *(f"/dev/block/{dev}".encode() for dev in self.world.busy),
        ] + [self.world.busy_path] * 4)

    def change_word(self, words):
        """Something else in place of a word, or in it."""
        i = self.random.randrange(len(words))
        word = words[i]
        j = self.random.randrange(len(word) + 1)
        return i, self.pick([
            lambda: self.pick(NEAR),
            lambda: str(self.pick(NUMBERS)).encode(),
            lambda: word.upper(),
            lambda: word[:j] + self.pick(BYTES) + word[j:],
            lambda: word[:j] + self.pick(BYTES) + word[j:],
            lambda: word[:j] + word[j + 1:],
            lambda: word + word,
            lambda: word + self.pick([b"x", b"0"]) * self.pick([20, 200, 5000]),
            lambda: word[:j] + self.random.randbytes(self.random.randrange(1, 8)) + word[j:],
        ])()

    def change_words(self, words):
        """One change to the words of a line."""
        i = self.random.randrange(len(words))
        kind = self.random.randrange(8)
        if kind == 0:
            del words[i]
        elif kind == 1:
            words.insert(self.random.randrange(len(words) + 1), words[i])
        elif kind == 2:
            j = self.random.randrange(len(words))
            words[i], words[j] = words[j], words[i]
        elif kind == 3:
            words += [self.pick(NEAR) for _ in range(self.pick([1, 1, 2, 30, 70]))]
        else:
            i, word = self.change_word(words)
            words[i] = word
        return words

    def change_line(self, words):
        kind = self.random.randrange(8)
        if kind == 0:
            words[0] = self.other_device()
        elif kind == 1:
            number = self.pick(NUMBERS) + self.random.randrange(-9, 10)
            if len(words) > 1:
                words[1] = str(number).encode()
        elif kind == 2 and len(words) > 2:
            words[2] = str(self.pick(NUMBERS + [len(words) - 2, len(words) - 4])).encode()
        elif kind == 3:
            # One more, right or wrong or the same again, that is counted.
            words += [b"0"] if len(words) == 2 else []
            words.append(self.pick([self.option(self.pick(KEYS)).encode(), self.pick(NEAR),
                                    self.pick(words[3:] or NEAR)]))
        else:
            words = self.change_words(words)
        if len(words) > 3 and self.chance(0.7):
            words[2] = str(len(words) - 3).encode()
        return words or [b""]

    def change_table(self, lines):
        i = self.random.randrange(len(lines))
        kind = self.random.randrange(12)
        if kind == 0:
            lines[i][1] = self.pick([0, lines[i][1] + 1, lines[i][1] + 4, lines[i][1] * 8, *NUMBERS])
        elif kind == 1:
            lines[i][0] = self.pick([lines[i][0] + 1, lines[i][0] + 8, *NUMBERS])
        elif kind == 2 and self.chance(0.05):
            lines[i][2] = self.pick([b"stable-pj", b"STABLE-PI"])
        else:
            lines[i][3] = self.change_line(lines[i][3])
        return lines

    def join(self, words):
        if self.chance(0.9):
            return b" ".join(words)
        blank = self.pick([b"  ", b"\t", b"\n", b" \r ", b"\xa0", b"\v\f"])
        return self.pick([b"", blank]) + blank.join(words) + self.pick([b"", blank, b"\\", b"\0", b"\0x"])

    def table(self):
        lines = self.valid_table()
        if self.chance(0.7):
            for _ in range(self.pick([1, 1, 1, 2, 3])):
                lines = self.change_table(lines)
        return [(start % U64, length % U64, kind, self.join(words)) for start, length, kind, words in lines]

    def injection(self):
        """The words behind inject."""
        if self.chance(0.1):
            return ["off"]
        return [self.pick(TAGS), self.pick(WAYS), str(self.random.randrange(10000)),
                *self.pick([[], [str(self.random.randrange(100))]]), *self.pick([[], ["once"]])]

    def message(self):
        name = self.pick(["policy", "policy", "verify", "recheck", "learn", "reset", "waits", "trust",
                          "inject", "inject"])
        values = [self.pick(VALUES[name])] if name in VALUES else []
        if name == "inject":
            values = self.injection()
        words = [word.encode() for word in [name, *values]]
        if self.chance(0.6):
            for _ in range(self.pick([1, 1, 2])):
                words = self.change_words(words) or [b""]
        return self.join(words)


# The test --------------------------------------------------------------------

# From so many lines on, every answer that there is has to come.
ENOUGH = 2000


class Score:
    """Which answers came, and which were wrong."""

    def __init__(self, wanted):
        self.answers = {text: 0 for text in wanted}
        self.wrong = 0
        self.begin = time.monotonic()

    def count(self, answer):
        self.answers[answer] = self.answers.get(answer, 0) + 1

    def compare(self, what, got, wanted):
        if got == wanted:
            return True
        self.wrong += 1
        if self.wrong <= 10:
            print(f"{what!r:.2000}\n  gave     {got!r}\n  and not  {wanted!r}")
        return False

    def finish(self, lines):
        for answer, times in sorted(self.answers.items(), key=lambda item: -item[1]):
            print(f"{times:6} {answer}")
        never = [answer for answer, times in self.answers.items() if not times]
        if never:
            print("never:", *never, sep="\n  ")
        print(f"{lines} lines in {time.monotonic() - self.begin:.0f} s, {self.wrong} wrong answers")
        return not self.wrong and not (never and lines >= ENOUGH)


def error_name(number):
    return errno.errorcode.get(number, str(number))


class Tables:
    """Table lines, loaded beside a table in use and never used themselves."""

    def __init__(self, control, log, world):
        self.control, self.log, self.world = control, log, world
        self.score = Score(grammar.TABLE_ANSWERS)
        world.own = control.create("fuzz")
        self.number = f"{os.major(world.own)}:{os.minor(world.own)}"
        self.staged = []
        # A table in use keeps the disks open, which takes longer than all the rest.
        in_use = [(i * 8, 8, b"linear", f"{disk.path} 0".encode())
                  for i, disk in enumerate(world.disks.values())]
        if control.load("fuzz", in_use):
            sys.exit("fuzz.py: the first table was refused")
        control.resume("fuzz")
        log.new()

    def expected(self, lines):
        """The targets, the errno and the kernel log."""
        try:
            return self.world.table(self.number, lines), 0, []
        except grammar.Refused as refused:
            self.score.count(refused.text)
            log = (f"device-mapper: table: {self.number}: stable-pi: {refused.text} "
                   f"(-{error_name(refused.number)})")
            number = refused.number
        except grammar.RefusedByCore as refused:
            log, number = str(refused), errno.EINVAL
            self.score.count(log.split(": ")[-1])
        return None, number, [log, "device-mapper: ioctl: error adding target to table"]

    def load(self, lines):
        return self.control.load("fuzz", lines), self.log.new()

    def is_staged(self, what, targets):
        """The table that waits to be used is the last one that was accepted."""
        self.staged = [(t.start, t.length, b"stable-pi", t.table()) for t in targets]
        printed = self.control.status("fuzz", STATUS_TABLE | QUERY_INACTIVE)
        return self.score.compare(what, printed, self.staged)

    def one(self, lines, again):
        targets, number, log = self.expected(lines)
        right = self.score.compare(lines, self.load(lines), (number, log))
        if targets is None:
            return
        self.score.count(grammar.ACCEPTED)
        if right and self.is_staged(lines, targets) and again:
            self.score.compare(self.staged, self.load(self.staged), (0, []))
            self.is_staged(self.staged, targets)

    def unchanged(self):
        """What was refused since has not taken the place of what was accepted."""
        printed = self.control.status("fuzz", STATUS_TABLE | QUERY_INACTIVE)
        self.score.compare("refused lines", printed, self.staged)

    def run(self, generator, count):
        for _ in range(count):
            self.one(generator.table(), generator.chance(0.3))
            if generator.chance(0.1):
                self.unchanged()
        self.control.must(TABLE_CLEAR, "fuzz")
        self.score.compare("the end", self.log.new(), [])
        self.control.must(DEV_REMOVE, "fuzz")
        return self.score.finish(count)


class Messages:
    """Messages to devices in use, one of them with two targets."""

    DEVICES = ["fuzz1", "fuzz2"]
    LENGTH = 4096

    def __init__(self, control, log, world):
        self.control, self.log, self.world = control, log, world
        self.score = Score(grammar.MESSAGE_ANSWERS)
        self.devices, self.files, self.numbers = {}, {}, {}
        disk, plain = world.disks.values()
        layouts = [
            [f"{disk.path} 0", f"{plain.path} 8 2 policy:copy inject:on"],
            [f"{disk.path} 8192 3 passthrough app_tag:7 inject:on"],
        ]
        for name, layout in zip(self.DEVICES, layouts):
            self.make(name, [(i * self.LENGTH, self.LENGTH, b"stable-pi", line.encode())
                             for i, line in enumerate(layout)])
        self.block = mmap.mmap(-1, 4096)
        log.new()

    def make(self, name, lines):
        dev = self.control.create(name)
        if self.control.load(name, lines):
            sys.exit(f"fuzz.py: {lines} were refused")
        self.control.resume(name)
        self.devices[name] = self.world.table(name, lines)
        self.numbers[name] = f"{os.major(dev)}:{os.minor(dev)}"
        self.files[name] = os.open(f"/dev/dm-{os.minor(dev)}", os.O_RDWR | os.O_DIRECT)

    def expected(self, name, target, line):
        """The errno and the kernel log."""
        try:
            if target is None:
                # What is wrong with the words comes first, if it is not up to the target.
                if not grammar.split(line) or grammar.split(line)[0].startswith(b"@"):
                    grammar.Target.take(self.devices[self.DEVICES[0]][0], line)
                raise grammar.RefusedByCore(f"device-mapper: ioctl: {grammar.OUTSIDE}")
            said = target.take(line)
        except grammar.Refused as refused:
            self.score.count(refused.text)
            return refused.number, [f"stable_pages: message: {refused.text}"]
        except grammar.RefusedByCore as refused:
            self.score.count(str(refused).split(": ")[2])
            return errno.EINVAL, [str(refused)]
        self.score.count(grammar.ACCEPTED)
        return 0, [f"stable_pages: stable-pi {self.numbers[name]}: {text}" for text in said]

    def shows(self, name, line):
        """Status and table say what the messages said."""
        targets = self.devices[name]
        for target, (_, _, _, text) in zip(targets, self.control.status(name, 0)):
            words = text.decode().split(" ")
            head = " ".join(words[:9])
            self.score.compare(line, head, target.status())
            counters = [word.partition(":") for word in words[8:]]
            self.score.compare(line, [key for key, _, _ in counters], grammar.COUNTERS)
            self.score.compare(line, all(value.isdigit() for _, _, value in counters), True)
        wanted = [(t.start, t.length, b"stable-pi", t.table()) for t in targets]
        self.score.compare(line, self.control.status(name, STATUS_TABLE), wanted)
        return wanted

    def loads_again(self, name, table):
        self.score.compare(table, (self.control.load(name, table), self.log.new()), (0, []))
        printed = self.control.status(name, STATUS_TABLE | QUERY_INACTIVE)
        self.score.compare(table, printed, table)
        self.control.must(TABLE_CLEAR, name)

    def write(self, name, target):
        if target.injects:
            # So that it can succeed.
            self.control.message(name, target.start, b"inject off")
            self.log.new()
        os.pwrite(self.files[name], self.block, target.start * 512)
        target.writes += 1

    def one(self, generator, index):
        name = generator.pick(self.DEVICES)
        targets = self.devices[name]
        target = generator.pick(targets + [None] * (index % 20 == 0))
        line = generator.message()
        if target is None:
            sector = targets[-1].start + targets[-1].length
        else:
            sector = target.start + generator.random.randrange(target.length)
        wanted = self.expected(name, target, line)
        number = self.control.message(name, sector, line)
        # Whether the words can be read at all is not the target's to say.
        log = [text.replace("stable_pages: stable-pi: ", "stable_pages: ") for text in self.log.new()]
        self.score.compare((name, sector, line), (number, log), wanted)
        table = self.shows(name, line)
        if wanted[0] == 0 and generator.chance(0.3):
            self.loads_again(name, table)
        if target is not None and generator.chance(0.2):
            self.write(name, target)

    def run(self, generator, count):
        for i in range(count):
            self.one(generator, i)
        self.score.compare("the end", self.log.new(), [])
        for name in self.DEVICES:
            os.close(self.files[name])
            self.control.must(DEV_REMOVE, name)
        return self.score.finish(count)


def main():
    if len(sys.argv) != 7 or sys.argv[1] not in ("tables", "messages"):
        sys.exit(__doc__)
    what, seed, count, disk, plain, busy = sys.argv[1:]
    world = grammar.World([grammar.Disk(disk), grammar.Disk(plain)], busy)
    world.busy_path = busy.encode()
    sys.set_int_max_str_digits(0)
    held = os.open(busy, os.O_RDWR | os.O_EXCL)
    log = Log()
    kind = Tables if what == "tables" else Messages
    test = kind(Control(), log, world)
    good = test.run(Generator(f"{what} {seed}", world), int(count))
    os.close(held)
    sys.exit(not good)


if __name__ == "__main__":
    main()
