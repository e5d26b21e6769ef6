#!/usr/bin/python3
# SPDX-License-Identifier: GPL-2.0
"""guests.py IMAGE [OPTION]...: QEMU writes for a guest whose memory changes meanwhile.

QEMU has the image as a raw disk without a cache (cache=none), as it does for a virtual
machine, and its virtio-blk takes the requests out of the memory of the guest. There is no
system in it, and its processor halts: this program has the memory mapped, and reaches the
registers of the device through QEMU's protocol for tests (-qtest), so it is what a guest's
driver and applications are. It changes the buffers of requests in flight as another processor of the
guest would. What the disk returns is virtio's status (VIRTIO v1.2, 5.2.6).

In the end each slot is written once more, from a buffer that does not change, and read
through the same disk into other memory.

Prints what was done, as JSON: writes that succeeded, that failed, mutations of buffers in flight,
and blocks that did not read as they were written.
"""

import argparse
import json
import mmap
import random
import socket
import struct
import subprocess
import tempfile
import time

PATIENCE = 600
MEMORY = 16 << 20
# Of the guest's memory: the queue, headers and states of requests, buffers.
DESCRIPTORS, AVAILABLE, USED, HEADERS, STATES = range(1 << 20, (1 << 20) + 5 * 4096, 4096)
BUFFERS = 2 << 20
READ_BACK = 10 << 20

# virtio over MMIO (4.2.2).
DEVICE = 0x008
DRIVER_FEATURES, DRIVER_FEATURES_SELECT = 0x020, 0x024
QUEUE, SIZE, READY, NOTIFY, STATUS = 0x030, 0x038, 0x044, 0x050, 0x070
QUEUE_DESCRIPTORS, QUEUE_DRIVER, QUEUE_DEVICE = 0x080, 0x090, 0x0a0
ACKNOWLEDGE, DRIVER, DRIVER_OK, FEATURES_OK = 1, 2, 4, 8
BLOCK_DEVICE = 2
# Where the machine "microvm" has its transports.
TRANSPORTS, TRANSPORT_SIZE, TRANSPORT_COUNT = 0xfeb00000, 0x200, 24

NEXT, DEVICE_WRITES = 1, 2
BLK_IN, BLK_OUT = 0, 1
OK = 0


class Guest:
    """A machine without a system, and its memory."""

    def __init__(self, image, aio):
        self.memory_file = tempfile.TemporaryFile(dir="/dev/shm")
        self.memory_file.truncate(MEMORY)
        self.memory = mmap.mmap(self.memory_file.fileno(), MEMORY)
        number = self.memory_file.fileno()
        # Instead of a firmware: cli, hlt, and hlt again, where a processor begins.
        self.firmware = tempfile.NamedTemporaryFile()
        self.firmware.write(bytes(0xfff0) + b"\xfa\xf4\xeb\xfd" + bytes(12))
        self.firmware.flush()
        ours, theirs = socket.socketpair()
        self.qemu = subprocess.Popen([
            "qemu-system-x86_64", "-machine", "microvm,memory-backend=ram", "-accel", "tcg",
            "-bios", self.firmware.name, "-m", f"{MEMORY >> 20}M", "-nodefaults", "-no-user-config", "-display", "none",
            "-object", f"memory-backend-file,id=ram,size={MEMORY},share=on,mem-path=/proc/self/fd/{number}",
            "-global", "virtio-mmio.force-legacy=false",
            "-drive", f"id=disk,if=none,format=raw,cache=none,aio={aio},file={image}",
            "-device", "virtio-blk-device,drive=disk",
            "-chardev", f"socket,id=tests,fd={theirs.fileno()}", "-qtest", "chardev:tests", "-qtest-log", "none",
        ], pass_fds=(number, theirs.fileno()), stdin=subprocess.DEVNULL)
        theirs.close()
        ours.settimeout(PATIENCE)
        self.commands = ours.makefile("rw", encoding="ascii", buffering=1)
        self.notified = self.seen = 0

    def ask(self, command):
        """The answer to a command of the protocol for tests."""
        self.commands.write(command + "\n")
        for line in self.commands:
            words = line.split()
            if words[:1] == ["OK"]:
                return words[1:]
            if words[:1] != ["IRQ"]:
                break
        raise SystemExit(f"guests.py: QEMU has no answer to '{command}': {self.qemu.poll()}")

    def read(self, register):
        return int(self.ask(f"readl {self.base + register:#x}")[0], 16)

    def write(self, register, value):
        self.ask(f"writel {self.base + register:#x} {value:#x}")

    def find_disk(self):
        """The registers of the disk, which becomes ready to use."""
        for self.base in range(TRANSPORTS, TRANSPORTS + TRANSPORT_COUNT * TRANSPORT_SIZE, TRANSPORT_SIZE):
            if self.read(DEVICE) == BLOCK_DEVICE:
                break
        else:
            raise SystemExit("guests.py: the machine has no disk")
        self.write(STATUS, ACKNOWLEDGE | DRIVER)
        # Nothing but VIRTIO_F_VERSION_1, the first of the second word.
        for word, features in enumerate((0, 1)):
            self.write(DRIVER_FEATURES_SELECT, word)
            self.write(DRIVER_FEATURES, features)
        self.write(STATUS, ACKNOWLEDGE | DRIVER | FEATURES_OK)
        self.write(QUEUE, 0)
        self.write(SIZE, 64)
        for register, address in ((QUEUE_DESCRIPTORS, DESCRIPTORS), (QUEUE_DRIVER, AVAILABLE), (QUEUE_DEVICE, USED)):
            self.write(register, address)
            self.write(register + 4, 0)
        self.write(READY, 1)
        self.write(STATUS, ACKNOWLEDGE | DRIVER | FEATURES_OK | DRIVER_OK)

    def submit(self, slot, kind, sector, address, size):
        """A request of three descriptors: header, data, state (5.2.6)."""
        header, state, first = HEADERS + slot * 16, STATES + slot, slot * 3
        struct.pack_into("<IIQ", self.memory, header, kind, 0, sector)
        self.memory[state] = 0xff
        for number, part in enumerate((
                (header, 16, NEXT, first + 1),
                (address, size, NEXT | (DEVICE_WRITES if kind == BLK_IN else 0), first + 2),
                (state, 1, DEVICE_WRITES, 0))):
            struct.pack_into("<QIHH", self.memory, DESCRIPTORS + (first + number) * 16, *part)
        struct.pack_into("<H", self.memory, AVAILABLE + 4 + self.notified % 64 * 2, first)
        self.notified += 1
        struct.pack_into("<H", self.memory, AVAILABLE + 2, self.notified & 0xffff)
        self.write(NOTIFY, 0)

    def done(self):
        """The slots of what has come back since."""
        until, = struct.unpack_from("<H", self.memory, USED + 2)
        while self.seen & 0xffff != until:
            first, = struct.unpack_from("<I", self.memory, USED + 4 + self.seen % 64 * 8)
            self.seen += 1
            yield first // 3

    def wait(self, meanwhile=lambda: time.sleep(0.001)):
        """For one that comes back or several; which of them."""
        end = time.monotonic() + PATIENCE
        while not (slots := list(self.done())):
            if time.monotonic() > end:
                raise SystemExit(f"guests.py: no request has come back in {PATIENCE} s")
            meanwhile()
        return slots

    def state(self, slot):
        return self.memory[STATES + slot]

    def stop(self):
        self.qemu.terminate()
        self.qemu.wait()


def changing(guest, arguments, counts):
    """Requests in all slots, whose buffers change until they are back."""
    sectors, submitted = arguments.block >> 9, 0
    flying = set()

    def mutate():
        for slot in flying:
            at = BUFFERS + slot * arguments.block + random.randrange(arguments.block >> 3 << 3)
            guest.memory[at] = random.randrange(256)
        counts["mutations"] += len(flying)

    while submitted < arguments.requests or flying:
        for slot in range(arguments.depth):
            if slot not in flying and submitted < arguments.requests:
                begin = BUFFERS + slot * arguments.block
                guest.memory[begin:begin + arguments.block] = random.randbytes(arguments.block)
                guest.submit(slot, BLK_OUT, slot * sectors, begin, arguments.block)
                flying.add(slot)
                submitted += 1
        for slot in guest.wait(mutate):
            flying.remove(slot)
            counts["writes" if guest.state(slot) == OK else "failed"] += 1


def read_back(guest, arguments, counts):
    """What does not change is read as it was written."""
    sectors = arguments.block >> 9
    for slot in range(arguments.depth):
        begin, other = BUFFERS + slot * arguments.block, READ_BACK + slot * arguments.block
        for kind, address in ((BLK_OUT, begin), (BLK_IN, other)):
            guest.submit(slot, kind, slot * sectors, address, arguments.block)
            guest.wait()
            if guest.state(slot) != OK:
                break
        written, read = (guest.memory[at:at + arguments.block] for at in (begin, other))
        counts["mismatched"] += guest.state(slot) != OK or written != read


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("image")
    parser.add_argument("--aio", default="threads", help="threads, native or io_uring")
    parser.add_argument("--requests", type=int, default=60)
    parser.add_argument("--depth", type=int, default=4)
    parser.add_argument("--block", type=int, default=65536, help="bytes")
    parser.add_argument("--seed", type=int, default=1)
    arguments = parser.parse_args()
    random.seed(arguments.seed)
    counts = {"writes": 0, "failed": 0, "mutations": 0, "mismatched": 0}
    guest = Guest(arguments.image, arguments.aio)
    try:
        guest.find_disk()
        changing(guest, arguments, counts)
        read_back(guest, arguments, counts)
    finally:
        guest.stop()
    print(json.dumps(counts, separators=(",", ":")))


if __name__ == "__main__":
    main()
