# SPDX-License-Identifier: GPL-2.0
"""The words of the page. Between @ are the parts that come from the run."""

HEAD = """\
.. SPDX-License-Identifier: GPL-2.0

==========
Benchmarks
==========

This page says what ``stable-pi`` costs. ``make bench`` measures all of it in the virtual machine and writes
this page ({date}, Linux {kernel}).

The machine's time is virtual (``qemu/run --icount``): an instruction is a nanosecond, whatever else the host
does. So the figures are instructions, not times. There are no caches and no buses in them, so a pass over the
data costs what its instructions cost, and memory nothing. An instruction that handles 16 bytes counts as much
as one that handles a byte. The machine has one processor. QEMU runs several of them in turns, and virtual time
does not count the instructions of each then, so ``qemu/run --icount`` allows one. The section about several
processors counts instructions in another way, without times.

The disk is scsi_debug with type 1 protection information, which it checks; for the largest I/O most of the
instructions are its own. Each figure has its ratio to the first row of its table in brackets. The first row
is measured before all others, after a run that only warms up, and again at the end. The ratios are to the
mean of both.

"""

SECTIONS = [
    ("What is asked, and what is missed", """\
Of {bars} bars, {missed} are missed. A ratio counts at two digits.
@missed@
"""),
    ("One I/O at a time", """\
@plot direct@
One thread submits a direct I/O and waits for it. The time is that from its submission to its end. On the disk
alone, the block layer generates and verifies. Copies and rechecks are of writes, so the policies do not differ
for reads.
@table direct@
@moved direct@
"""),
    ("Sixteen at a time", """\
@plot batches@
One thread submits 16 I/Os of 4 KiB with one call of io_uring and waits until all have ended. The time is that of
the whole run, with the instructions of fio itself, for each I/O.
@table batches@
@moved batches@
"""),
    ("More at a time", """\
@plot depths@
The same with 1, 4, 16 and 64 at a time. What ``auto`` adds to a write is the same at each depth. With one at a time,
each I/O has the system calls for itself, so the ratio is smaller there.
@table depths@
@moved depths@
"""),
    ("Where the instructions go", """\
A plugin of QEMU (``tools/profile``) counts them by function, while one thread does 100 direct I/Os
(``loads steady``), and functions are put together by their names and modules. CRC is with the sections in
which the kernel may use the vector registers. The disk alone verifies reads in a worker, so ``auto`` has less of
the scheduler.
@where write 4@
@where read 4@
@where write 64@
@where read 64@
"""),
    ("Several processors", """\
The same, with one thread and with one on each of four processors, each with a piece of the disk of its own. The
table has, for an I/O, the instructions of ``dm_mod`` and of ``stable-pi``, with the kernel's own Rust; how many of those lock the bus; and how
often they read and write lines of 64 bytes that are shared: that I/Os of several processors touch, and somebody
writes. ``stable-pi`` calls functions of the kernel, which are not in it; with one processor they are in the tables
above. On the disk alone all of this is 0. scsi_debug has a lock for all of its store, for which the processors
wait, so sums over all functions say nothing here.
@processors@
"""),
    ("An end that is an interrupt", """\
@plot interrupt@
The disk takes a millisecond for each command and ends it in an interrupt; the thread sleeps until then. The
table has the time from submission to end less that millisecond. So waiting does not count, nor does what the
processor does while the disk works.
@table interrupt@
@moved interrupt@
"""),
    ("XFS", """\
@plot xfs@
XFS copies the data of direct I/O itself where the device wants stable pages (``IOMAP_DIO_BOUNCE``). On ``stable-pi``
it need not. The file is of 24 MiB and was written before; the filesystem is the same in each row.
@table xfs@
@moved xfs@
"""),
    ("dm-integrity", """\
@plot integrity@
dm-integrity keeps checksums on a disk that has no protection information. Here it has neither journal nor
bitmap (mode D), and a CRC32C of each 512 bytes.
@table integrity@
@moved integrity@
``stable-pi`` on a disk with protection information, in the same run:
@table integrity_pi@
@moved integrity_pi@
What ``stable-pi`` adds to its disk, as a part of what dm-integrity adds to its own; where that is less than zero,
an I/O takes fewer instructions with ``stable-pi`` than on the disk alone:
@added@
"""),
    ("Layers", """\
@plot layers@
A ``stable-pi`` with ``passthrough`` shows the profile of what is below it. The one above makes the tuples. The one
below verifies the data of each write with them before it sends it on, and the data of each read. So it adds a pass
over the data, which ``dm-linear`` does not. Without ``passthrough`` the one above sees no profile, so it makes no
tuples and copies writes, and only the one below verifies reads.
@table layers@
@moved layers@
What each further layer adds, in instructions:
@further layers@
On md RAID1, each write goes to two disks:
@plot mirrored@
@table mirrored@
@moved mirrored@
What each further layer adds, in instructions:
@further mirrored@
"""),
    ("Writes that change", """\
@plot changed@
16 direct writes of 4 KiB at a time, to a disk that takes one command after the other, each in 200 us. Of the
buffers, so many are changed all the time from before the submission until the end (``loads direct --change``).
A write that has changed is repaired, so it goes to the disk twice. The thread that changes them takes time of the
one processor, with each policy. Where a program changes enough of them, ``auto`` learns it and copies
(:ref:`learn`).
@shares@
"""),
    ("Pages that are written again", """\
This table shows why ``waits:auto`` does not ask filesystems to wait, except with ``wait`` and ``detect``. The threads
write 4 KiB each to the same pages of a file on ext4, and start writeback after each write. Where they do not wait,
a page that is written again while it is under writeback goes down once for several writes. That saves more than
repairs and copies cost. The column ``below`` counts the writes that the target was given. Each row is one run, of
one order of events among many, so a quarter more or less says nothing. Where the disk is slow, waiting takes a
third of the writes away, or more; elsewhere it makes no such difference. A file whose pages are written
over and over is learned, and then ``auto`` is as ``copy`` for it.
@waits@
"""),
]

TAIL = """\
How to repeat it
================

::

    make bench                            # all of it, and this page
    BENCH=quick make bench                # a part of it, with fewer I/Os
    BENCH="xfs integrity" make bench      # some groups; the page stays
    BENCH=profile make bench              # where the instructions go, and several processors

``build/results/bench.json`` has all figures. ``tools/bench-guest`` names the groups but the last.
"""
