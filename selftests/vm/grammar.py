# SPDX-License-Identifier: GPL-2.0
"""The grammar of stable-pi's table lines and messages, for fuzz.py.

Written from the documentation of the target and from what device mapper does with
a line before a target sees it; nothing of it is the parser that is tested.
"""

import errno
import os
import re
import stat

# So much of a record is compared; the kernel cuts off what is very long.
RECORD = 500


def record(text):
    """A line of the kernel log, from bytes, as it is read."""
    out = "".join(chr(b) if 32 <= b < 127 and b != 92 else f"\\x{b:02x}" for b in text)
    return out[:RECORD]


POLICIES = ["auto", "optimistic", "copy", "wait", "detect"]
SWITCHES = ["auto", "on", "off"]
BOOLS = ["on", "off"]
KEYS = ["policy", "verify", "waits", "recheck", "trust", "learn", "app_tag", "passthrough", "inject"]
VALUES = {"policy": POLICIES, "verify": BOOLS, "waits": SWITCHES, "recheck": SWITCHES,
          "trust": SWITCHES, "learn": BOOLS, "inject": BOOLS}
TAGS = ["guard", "ref", "app"]
WAYS = ["read", "write"]
LIVE = ["policy", "verify", "recheck", "learn"]
COUNTERS = """writes intervals in_place copied copied_kernel copied_waits copied_cache
copied_anon copied_pinned copied_foreign copied_learned forwarded rechecked retried unstable blameless
repaired unrepaired reads_verified false_alarms corrupt
reads_waited reads_unsettled""".split()

MAX_ARGS = 32
U64 = 1 << 64

MISSING = "expected: <dev> <offset> [<#args> <arg>...]"
OFFSET = "offset: not a number of sectors"
COUNT = "#args: not a number"
COUNT_MISMATCH = "#args: not the number of arguments that follow"
TOO_MANY = "too many arguments"
NO_UTF8 = "an argument is not UTF-8"
NOT_OPENED = "dev: the device cannot be opened"
OFFSET_ALIGNMENT = "offset: not a multiple of the integrity interval"
RANGE_ALIGNMENT = "start and length: not multiples of the integrity interval"
BEYOND = "offset: the target reaches beyond the end of the device"
GAP = "Gap in table"
NAMES = "not one of policy, verify, recheck, learn, reset, inject"
NO_VALUE = "a value is missing"
EXTRA = "more words than it takes"
WAITS = "waits: cannot be changed live, only by a table"
TRUST = "trust: cannot be changed live, only by a table"
NOT_TRUSTED = "policy: optimistic relies on what is below, which is not trusted"
NOT_KNOWN = ("policy: optimistic relies on what is below, which is not known to hand errors on as they "
             "are; trust:on says that it does")


INJECT_WORDS = "inject: expected guard|ref|app read|write <sector> [<count>] [once], or off"
INJECT_TAG = "inject: the tag is not one of guard, ref, app"
INJECT_WAY = "inject: not one of read, write"
INJECT_SECTORS = "inject: no sector and number of sectors"
INJECT_UNSEEN = "inject: application tags of reads are not compared"
INJECT_BEYOND = "inject: the sectors are not the target's"
INJECT_NOT_ALLOWED = "inject: the table line does not say inject:on"


def no_profile(key):
    return f"{key}: the device has no integrity profile"


def twice(key):
    return f"{key}: given twice"


def wrong_value(key):
    if key == "passthrough":
        return "passthrough: takes no value"
    if key == "app_tag":
        return "app_tag: not a number from 0 to 0xfffe"
    return f"{key}: not one of {', '.join(VALUES[key])}"


def unknown(index):
    if index < len(KEYS):
        return f"optional argument {index + 1} is unknown"
    return "an optional argument behind the ninth is unknown"


ACCEPTED = "accepted"
EMPTY = "Empty message received."
OUTSIDE = "Target message sector outside device."

# Every answer of the target, and what device mapper answers in front of it.
TABLE_ANSWERS = [
    ACCEPTED, MISSING, OFFSET, COUNT, COUNT_MISMATCH, TOO_MANY, NO_UTF8, NOT_OPENED,
    OFFSET_ALIGNMENT, RANGE_ALIGNMENT, BEYOND, GAP, no_profile("verify"),
    no_profile("passthrough"), NOT_KNOWN, *map(twice, KEYS), *map(wrong_value, KEYS),
    *map(unknown, range(len(KEYS) + 1)),
]
MESSAGE_ANSWERS = [
    ACCEPTED, NAMES, NO_VALUE, EXTRA, WAITS, TRUST, NOT_TRUSTED, TOO_MANY, NO_UTF8, no_profile("verify"),
    EMPTY, OUTSIDE, *map(wrong_value, LIVE), INJECT_WORDS, INJECT_TAG, INJECT_WAY, INJECT_SECTORS,
    INJECT_UNSEEN, INJECT_BEYOND, INJECT_NOT_ALLOWED, no_profile("inject"),
]


class Refused(Exception):
    """With a text of the target's, and the errno."""

    def __init__(self, text, number=errno.EINVAL):
        super().__init__(text)
        self.text, self.number = text, number


class RefusedByCore(Exception):
    """With a text of device mapper's own, always with EINVAL."""


# As the kernel's isspace() has it: the last one is a blank of Latin-1, and half
# of a letter in UTF-8.
SPACES = b" \t\n\v\f\r\xa0"


def split(line):
    """The words of a line; a backslash takes away the meaning of what follows."""
    line = line.split(b"\0", 1)[0]
    words, word, i = [], None, 0
    while i < len(line):
        char = line[i:i + 1]
        if char == b"\\" and i + 1 < len(line):
            i += 1
            word = (word or b"") + line[i:i + 1]
        elif char in SPACES:
            if word is not None:
                words.append(word)
            word = None
        else:
            word = (word or b"") + char
        i += 1
    return words if word is None else words + [word]


def decode(words):
    if len(words) > MAX_ARGS:
        raise Refused(TOO_MANY)
    try:
        return [word.decode() for word in words]
    except UnicodeDecodeError:
        raise Refused(NO_UTF8) from None


def decimal(word):
    if not re.fullmatch("[0-9]+", word) or int(word) >= U64:
        return None
    return int(word)


def app_tag(word):
    if re.fullmatch("0x[0-9a-fA-F]+", word):
        tag = int(word, 16)
    else:
        tag = decimal(word)
    return tag if tag is not None and tag < 0xFFFF else None


class Args:
    """What the words of a table line say."""

    def __init__(self, line):
        words = decode(split(line))
        if len(words) < 2:
            raise Refused(MISSING)
        self.device = words[0]
        self.offset = decimal(words[1])
        if self.offset is None:
            raise Refused(OFFSET)
        self.said = {}
        if len(words) == 2:
            return
        count = decimal(words[2])
        if count is None:
            raise Refused(COUNT)
        if count != len(words) - 3:
            raise Refused(COUNT_MISMATCH)
        for index, word in enumerate(words[3:]):
            self.take(index, word)

    def take(self, index, word):
        key, colon, value = word.partition(":")
        if key not in KEYS or (not colon and key != "passthrough"):
            raise Refused(unknown(index))
        if key == "passthrough":
            value = None if colon else True
        elif key == "app_tag":
            value = app_tag(value)
        elif value not in VALUES[key]:
            value = None
        if value is None:
            raise Refused(wrong_value(key))
        if key in self.said:
            raise Refused(twice(key))
        self.said[key] = value


class Disk:
    """A device below."""

    def __init__(self, path):
        self.path = path
        self.dev = os.stat(path).st_rdev
        self.number = f"{os.major(self.dev)}:{os.minor(self.dev)}"
        self.folder = os.path.realpath(f"/sys/dev/block/{self.number}")
        self.sectors = int(self.read("size"))
        self.profile = self.read("integrity/format")
        if self.profile == "none":
            self.profile = None
        self.checks = bool(self.profile) and self.read("integrity/device_is_integrity_capable") == "1"
        # What hands its errors on as they are.
        self.passes = bool(re.match("sd[a-z]|nvme", os.path.basename(self.folder)))
        interval = "integrity/protection_interval_bytes" if self.profile else "queue/logical_block_size"
        self.interval = int(self.read(interval))

    def read(self, name):
        try:
            with open(f"{self.folder}/{name}", encoding="ascii") as file:
                return file.read().strip()
        except FileNotFoundError:
            return "none"


class Target:
    """A target that was accepted, and what messages make of it."""

    def __init__(self, start, length, args, disk):
        self.start, self.length, self.disk = start, length, disk
        self.offset = args.offset
        said = args.said
        self.policy = said.get("policy", "auto")
        self.verify = said.get("verify", "on" if disk.profile else "off")
        self.required = said.get("verify") == "on"
        self.recheck = said.get("recheck", "auto")
        self.trust = said.get("trust", "auto")
        self.learn = said.get("learn", "on")
        self.waits = said.get("waits", "auto")
        self.app_tag = said.get("app_tag", 0)
        self.passthrough = "passthrough" in said
        self.injects = said.get("inject") == "on"
        self.writes = 0

    def table(self):
        args = [f"policy:{self.policy}"]
        if self.required or (self.verify == "on") != bool(self.disk.profile):
            args.append(f"verify:{self.verify}")
        if self.waits != "auto":
            args.append(f"waits:{self.waits}")
        if self.recheck != "auto":
            args.append(f"recheck:{self.recheck}")
        if self.trust != "auto":
            args.append(f"trust:{self.trust}")
        if self.learn != "on":
            args.append(f"learn:{self.learn}")
        if self.app_tag:
            args.append(f"app_tag:0x{self.app_tag:04x}")
        if self.passthrough:
            args.append("passthrough")
        if self.injects:
            args.append("inject:on")
        return f"{self.disk.number} {self.offset} {len(args)} {' '.join(args)}".encode()

    def rechecks(self):
        if self.policy == "detect" or self.recheck == "on":
            return True
        return self.recheck == "auto" and not (self.disk.checks and self.trusted())

    def trusted(self):
        return self.trust == "on" or self.trust == "auto" and self.disk.passes

    def status(self):
        """The line without the counters, but for that of the writes."""
        return (f"policy:{self.policy} verify:{self.verify} "
                f"recheck:{'on' if self.rechecks() else 'off'} "
                f"profile:{self.disk.profile or 'none'} interval:{self.disk.interval} "
                f"below:same trust:{'on' if self.trusted() else 'off'} learned:0 "
                f"writes:{self.writes}")

    def take(self, line):
        """Does what a message says, or raises what is wrong with it. Gives what the log says then."""
        words = split(line)
        if not words:
            raise RefusedByCore(f"device-mapper: ioctl: {EMPTY}")
        if words[0].startswith(b"@"):
            raise RefusedByCore(
                record(b"device-mapper: ioctl: Unsupported message sent to DM core: " + words[0]))
        name, *values = decode(words)
        if name == "waits":
            raise Refused(WAITS)
        if name == "trust":
            raise Refused(TRUST)
        if name == "inject":
            return [self.inject(values)]
        if name not in LIVE + ["reset"]:
            raise Refused(NAMES)
        if len(values) != (name != "reset"):
            raise Refused(EXTRA if values else NO_VALUE)
        if name == "reset":
            self.writes = 0
            return []
        if values[0] not in VALUES[name]:
            raise Refused(wrong_value(name))
        if (name, values[0]) == ("verify", "on") and not self.disk.profile:
            raise Refused(no_profile("verify"))
        if (name, values[0]) == ("policy", "optimistic") and not self.trusted():
            raise Refused(NOT_TRUSTED)
        setattr(self, name, values[0])
        if name == "verify":
            self.required = values[0] == "on"
        return []

    def inject(self, words):
        if words[:1] == ["off"]:
            if len(words) > 1:
                raise Refused(EXTRA)
            if not self.injects:
                raise Refused(INJECT_NOT_ALLOWED)
            return "nothing is wrong on purpose"
        if len(words) < 3:
            raise Refused(INJECT_WORDS)
        tag, way, *numbers = words
        if tag not in TAGS:
            raise Refused(INJECT_TAG)
        if way not in WAYS:
            raise Refused(INJECT_WAY)
        once = len(numbers) > 1 and numbers[-1] == "once"
        numbers = numbers[:-1] if once else numbers
        if len(numbers) > 2:
            raise Refused(EXTRA)
        first, count = [decimal(number) for number in (numbers + ["1"])[:2]]
        if first is None or not count or first + count >= U64:
            raise Refused(INJECT_SECTORS)
        if (tag, way) == ("app", "read"):
            raise Refused(INJECT_UNSEEN)
        if not self.injects:
            raise Refused(INJECT_NOT_ALLOWED)
        if not self.disk.profile:
            raise Refused(no_profile("inject"))
        if first < self.start or first + count > self.start + self.length:
            raise Refused(INJECT_BEYOND)
        return (f"{tag} tags of {way}s of sectors {first} to {first + count - 1} are wrong on purpose"
                f"{', once' if once else ''}")


class World:
    """The devices that there are."""

    def __init__(self, disks, busy):
        self.disks = {disk.dev: disk for disk in disks}
        self.busy = {os.stat(busy).st_rdev}
        self.own = None

    def number(self, path):
        """The device number that device mapper gets from a word."""
        space = f"[{SPACES[:-1].decode()}]*"
        match = re.fullmatch(f"{space}([0-9]+):{space}([0-9]+)", path)
        if not match:
            found = os.stat(path.encode())
            if not stat.S_ISBLK(found.st_mode):
                raise OSError(errno.ENOTBLK, "")
            return found.st_rdev
        major, minor = (int(text) % (1 << 32) for text in match.groups())
        if major >= 1 << 12 or minor >= 1 << 20:
            raise OSError(errno.EOVERFLOW, "")
        return os.makedev(major, minor)

    def open(self, path):
        try:
            dev = self.number(path)
        except OSError as error:
            raise Refused(NOT_OPENED, error.errno) from None
        if dev == self.own:
            raise Refused(NOT_OPENED, errno.EINVAL)
        if dev in self.busy:
            raise Refused(NOT_OPENED, errno.EBUSY)
        if dev not in self.disks:
            raise Refused(NOT_OPENED, errno.ENXIO)
        return self.disks[dev]

    def target(self, start, length, line):
        args = Args(line)
        disk = self.open(args.device)
        if not disk.profile:
            for key, value in (("verify", "on"), ("passthrough", True)):
                if args.said.get(key) == value:
                    raise Refused(no_profile(key))
        trust = args.said.get("trust", "auto")
        trusted = trust == "on" or trust == "auto" and disk.passes
        if args.said.get("policy") == "optimistic" and not trusted:
            raise Refused(NOT_KNOWN)
        mask = (disk.interval >> 9) - 1
        if args.offset & mask:
            raise Refused(OFFSET_ALIGNMENT)
        if (start | length) & mask:
            raise Refused(RANGE_ALIGNMENT)
        if args.offset + length > disk.sectors:
            raise Refused(BEYOND)
        return Target(start, length, args, disk)

    def table(self, name, lines):
        """The targets of a table, or what is wrong with the first bad line."""
        table = f"device-mapper: table: {name}:"
        targets, end = [], 0
        for start, length, kind, line in lines:
            if not length:
                raise RefusedByCore(f"{table} zero-length target")
            if start + length > ((1 << 63) - 1) >> 9:
                raise RefusedByCore(f"{table} too large device")
            if kind != b"stable-pi":
                raise RefusedByCore(f"{table} {kind.decode()}: unknown target type")
            if start != end:
                raise Refused(GAP)
            targets.append(self.target(start, length, line))
            end = start + length
        return targets
