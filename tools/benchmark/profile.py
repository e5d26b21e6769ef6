# SPDX-License-Identifier: GPL-2.0
"""What tools/profile has counted: where the instructions go, and what processors share."""

import bisect
import collections
import json
import re

# Of a function's name and module, the first that fits.
CRC = "CRC"
OURS = "stable-pi"
DM = "device mapper"
PROGRAM = "the program"
GROUPS = [
    (CRC, re.compile(r"crc|fpu_"), None),
    # With what of Rust is in the kernel itself: here nobody else calls that.
    (OURS, re.compile("^(_R|rust_helper_)"), {"stable_pages"}),
    (DM, None, {"dm_mod"}),
    # Nobody else here copies between scatterlists.
    ("the disk (scsi_debug)", re.compile(r"^_*sg_(miter|copy|page_iter|pcopy)"), {"scsi_debug"}),
    ("SCSI", None, {"scsi_mod", "sd_mod", "scsi_common"}),
    ("copies and clears", re.compile(r"^_*(mem(cpy|set|move)|copy_|clear_page|rep_)"), None),
    ("block layer", re.compile(r"^_*(blk|bio|bdev|disk_|part_|dd_|deadline|elv|sbitmap|submit_bio|bvec|bip_|rq_|req_|wbt|ioc_"
                               r"|update_io_ticks|t10_|ext_pi)"), None),
    ("memory", re.compile(r"^_*(kmem|kmalloc|kfree|slab|mempool|alloc_|free_|get_page|put_page|folio|gup|pin_|unpin|iov_iter"
                          r"|get_user_pages|rmqueue|build_detached|memcg|obj_cgroup|mod_|lru)|kmalloc|freelist"), None),
    ("scheduler, work, time", re.compile(
        r"sched|psi_|update_(load|se|curr|rq|cfs|min)|queue|pick_|put_prev|set_next|entity|vruntime|wake|ttwu|switch|worker"
        r"|process_one_work|pool|pwq|insert_work|work|rcu|spin|mutex|sem|timer|ktime|clock|tick|irq|preempt|cpuacct|complet"
        r"|wait|idle|lag_|avg_|_list_|local_bh|task"), None),
]
REST = "system call, the rest"
NAMES = [name for name, _, _ in GROUPS] + [REST, PROGRAM]


def group_of(name, module):
    for group, pattern, modules in GROUPS:
        if modules and module in modules or pattern and pattern.search(name):
            return group
    return REST


class Section:
    """Between two marks, by group of functions."""

    def __init__(self, told):
        self.device, self.operation, self.jobs = told["device"], told["operation"], told["jobs"]
        self.ios = told["count"] * told["jobs"]
        self.least = told["count"] // 2
        self.instructions, self.locked = collections.Counter(), collections.Counter()
        # Reads and writes, by line, processor and group.
        self.lines = collections.defaultdict(lambda: collections.defaultdict(lambda: collections.Counter()))

    def each(self, counts):
        """For one I/O."""
        return {name: counts[name] / self.ios for name in NAMES}

    def shared(self):
        """Reads and writes of each group, for one I/O, of lines that an I/O of one processor touches, and of
        another one too, and somebody writes. What is touched now and then is no such line."""
        reads, writes = collections.Counter(), collections.Counter()
        for cpus in self.lines.values():
            busy = [counts for counts in cpus.values() if sum(counts.values()) >= self.least]
            if len(busy) < 2 or not any(counts[group, "writes"] for counts in cpus.values() for group in NAMES):
                continue
            for counts in busy:
                for (group, kind), number in counts.items():
                    (reads if kind == "reads" else writes)[group] += number
        return self.each(reads), self.each(writes)


def sections(counts, told):
    """What the plugin wrote, and what profile-guest says of it."""
    with open(told, encoding="ascii") as file:
        told = json.load(file)
    functions = sorted(map(tuple, told["functions"]))
    addresses = [address for address, _, _ in functions]
    known = {}

    def group(word):
        if word not in known:
            at = bisect.bisect_right(addresses, int(word, 16)) - 1
            known[word] = group_of(*functions[at][1:])
        return known[word]

    found, rest = [], iter(told["sections"])
    with open(counts, encoding="ascii") as file:
        for kind, *words in map(str.split, file):
            if kind == "section":
                section = Section(next(rest))
                found.append(section)
            elif kind == "user":
                section.instructions[PROGRAM] += int(words[0])
            elif kind == "block":
                instructions, locked, runs = map(int, words[1:])
                section.instructions[group(words[0])] += instructions * runs
                section.locked[group(words[0])] += locked * runs
            elif kind == "line":
                line, block, cpu, reads, writes = words
                by = section.lines[line][cpu]
                by[group(block), "reads"] += int(reads)
                by[group(block), "writes"] += int(writes)
    if next(rest, None):
        raise ValueError("there are fewer marks than sections")
    return found


def where(found):
    """By operation, group and device: instructions for an I/O."""
    tables = {}
    for section in found:
        table = tables.setdefault(section.operation, {name: {} for name in NAMES})
        for name, number in section.each(section.instructions).items():
            table[name][section.device] = number
    return tables


def processors(found):
    """By operation, device and number of processors: what the device's own layers do for an I/O."""
    rows = []
    for section in found:
        reads, writes = section.shared()
        locked, instructions = section.each(section.locked), section.each(section.instructions)
        rows.append({"operation": section.operation, "device": section.device, "jobs": section.jobs} |
                    {key: {"instructions": instructions[name], "locked": locked[name],
                           "shared_reads": reads[name], "shared_writes": writes[name]}
                     for key, name in (("dm", DM), ("ours", OURS))})
    return rows


def add(result, folder):
    """To the result of a run, if there is a profile."""
    if (folder / "one.json").exists():
        result["where"] = where(sections(folder / "one.txt", folder / "one.json"))
        result["processors"] = processors(sections(folder / "many.txt", folder / "many.json"))
