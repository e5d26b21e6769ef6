#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
#
# classes.sh: a page counts as one that nobody changes only while its writeback is waited for.
# sendfile(2) into a file with O_DIRECT sends clean page cache, and submit_bh() writes metadata,
# both without writeback: nobody waits for these, though the mapping is one that waits. They are
# copied where nothing checks.
#
# timeout: 120
# covers: rust/mm/class.rs rust/bindings/helpers.c

. "$(dirname "$0")/lib.sh"

# sent: sendfile() of 64 KiB from a file whose mapping waits, while a write(2) changes that file.
# Sets took, the milliseconds that the write took, and stored, which of its states is on the disk
# in the end.
sent() {
	local out
	out=$(/usr/bin/python3 - "$mnt/source" "$1" <<'PY'
import os, sys, threading, time
source = os.open(sys.argv[1], os.O_RDWR | os.O_CREAT)
target = os.open(sys.argv[2], os.O_RDWR | os.O_DIRECT)
os.pwrite(source, b"a" * 65536, 0)
os.fsync(source)
sending = threading.Event()
took = []
def change():
    sending.wait()
    time.sleep(0.15)
    begin = time.monotonic()
    os.pwrite(source, b"b" * 65536, 0)
    took.append(time.monotonic() - begin)
    took.append(time.monotonic())
thread = threading.Thread(target=change)
thread.start()
sending.set()
done = os.sendfile(target, source, 0, 65536)
ended = time.monotonic()
thread.join()
print("during" if took[1] < ended else "after", done)
PY
	) || return
	note "$out"
	read -r changed bytes <<<"$out"
}
declare changed bytes

# The mapping of the source waits: it is on a disk with a profile.
make_disk dev_size_mb=16 dif=1 dix=1 guard=0
must modprobe brd rd_nr=1 rd_size=32768
defer gone_module brd
must modprobe dm_delay
ok "the module loads" load_module
ext4_on "$disk"
# A device that does not check, and takes half a second for a write.
must map slow "0 32768 delay /dev/ram0 0 0 /dev/ram0 0 500"

must map t "0 32768 stable-pi /dev/mapper/slow 0 1 policy:detect"
trace_on stable_pi:in_place stable_pi:unstable_write
sent /dev/mapper/t
trace_off
counters t
ok "the source is written to while its pages are on their way" is "$changed $bytes" "during 65536"
ok "that changes the data in flight" holds "$unstable > 0"
ok "it is page cache that nobody waits for" holds "$(traced 'in_place: .* class cache') > 0 && $(traced 'in_place: .* class waits') == 0"
ok "the report says so" holds "$(traced 'unstable_write: .* class cache') > 0"
must unmap t

must map t "0 32768 stable-pi /dev/mapper/slow 0"
sent /dev/mapper/t
counters t
ok "auto copies it" holds "$copied_cache == $writes && $writes > 0 && $in_place == 0"
must unmap t
must umount_all

# Page cache under writeback of a mapping that waits goes in place.
must map t "0 32768 stable-pi /dev/ram0 0 1 waits:on"
ext4_on /dev/mapper/t
must dmsetup message t 0 reset
trace_on stable_pi:in_place stable_pi:copy
must dd if=/dev/urandom "of=$mnt/file" bs=64k count=4 conv=fsync
must umount_all
trace_off
counters t
ok "writeback that is waited for goes in place" holds "$(traced 'in_place: .* class waits') > 0"
# The journal and the superblock are written by submit_bh().
ok "metadata in buffers is copied" holds "$copied_cache > 0 && $(traced 'copy: .* class cache') == $copied_cache"
must unmap t
finish
