#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
#
# dm-pi-rust.sh: another target on rust/block/integrity, the sample of its documentation,
# makes the tuples of what is written, and checks what is read.
#
# timeout: 120
# covers: rust/block/integrity samples/dm-pi-rust

. "$(dirname "$0")/lib.sh"

# write_and_read DEVICE: 8 blocks of 4 KiB.
write_and_read() {
	dd if=/dev/urandom of="$1" bs=4k count=8 oflag=direct status=none &&
		dd if="$1" of=/dev/null bs=4k count=8 iflag=direct status=none
}

# result DEVICE SECTOR: how a read ends.
result() {
	"$vm/reads.py" read "$1" $(($2 * 512)) 512 | cut -d' ' -f1
}

ok "the module loads" load_module
ok "the sample loads" modprobe dm_pi_rust
defer gone_module dm_pi_rust

make_disk dev_size_mb=16
ok "a device without a profile is refused" refused_line pi-rust "$disk"
ok "and the log says why" is "$reason" "dev: has no integrity profile (-EINVAL)"
ok "a line with more words is refused" refused_line pi-rust "$disk" 0
ok "and the log says why" is "$reason" "one argument: a device (-EINVAL)"
drop_disk

make_disk dev_size_mb=16 dif=1 dix=1 guard=0 "${window[@]}"
wipe
ok "(control: the disk alone: the block layer makes and checks 16 times)" prepared write_and_read "$disk"
ok "(that many)" is "$count" 16
must map t "0 $sectors pi-rust $disk"
ok "a write and a read" prepared write_and_read /dev/mapper/t
ok "the block layer has nothing to do" is "$count" 0
ok "the disk has taken the tuples, and all of it can be read" reads_back
ok "through the target, too" reads_back /dev/mapper/t
must without_tuples "$disk" dd if=/dev/urandom "of=$disk" bs=512 seek=4100 count=1 oflag=direct conv=notrunc status=none
ok "a sector that does not match is not read" is "$(result /dev/mapper/t 4100) $(result /dev/mapper/t 4101)" "EILSEQ ok"
wipe
# The disk itself sees nothing of what changes after it has filled the buffer.
ok "reads into buffers that change" scribble /dev/mapper/t
ok "the target finds data that does not match" holds "$reads_failed > 0"
must unmap t
must map t "0 $sectors stable-pi $disk 0"
ok "(control: stable-pi, which reads again)" scribble /dev/mapper/t
counters t
ok "(none fails, and there were false alarms)" holds "$reads > 0 && $reads_failed == 0 && $false_alarms > 0 && $corrupt == 0"
must unmap t
ok "the sample goes" rmmod dm_pi_rust
finish
