#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
#
# noprofile.sh: stable-pi over disks without a profile, where a checksum of its own
# takes the place of tuples.
#
# timeout: 180
# covers: rust/block rust/filter rust/pi

. "$(dirname "$0")/lib.sh"

# shellcheck source=lib/bio.sh
. "$vm/lib/bio.sh"

# mutate POLICY: writes to /dev/mapper/t whose buffers change, until one of them has
# been found changed or has failed, five times at most. Copies show nothing.
mutate() {
	local i
	for i in 1 2 3 4 5; do
		load direct --path /dev/mapper/t --size 2M --seconds 60 --op-limit "$(scaled 120)" --seed "$i" || return
		counters t
		((unstable == 0)) && [ "$1" = optimistic ] || return 0
	done
}

make_disk dev_size_mb=16 "${window[@]}"
ok "the disk has no profile" is "$(cat "/sys/block/${disk##*/}/integrity/format" 2>/dev/null || echo none)" none
ok "the module loads" load_module

ok "verify:on is refused" refused_line stable-pi "$disk" 0 1 verify:on
ok "and the reason is in the log" grep -q verify <<<"$reason"
ok "passthrough is refused" refused_line stable-pi "$disk" 0 1 passthrough
ok "and the reason is in the log" grep -q passthrough <<<"$reason"
protect
ok "the status says so" is "$(status_of t policy) $(status_of t verify) $(status_of t profile)" "auto off none"

message_refused() {
	fails dmsetup message t 0 verify on && is "$(status_of t verify)" off
}
ok "verify on by message is refused" message_refused
mutate auto
ok "auto: no write fails" holds "$done_writes > 0 && $failed == 0 && $mutations > 0"
ok "auto: what user space can change is copied" holds \
	"$copied == $writes && $copied_anon + $copied_pinned == $copied && $in_place == 0 && $repaired == 0 && $unrepaired == 0"
must unmap t
protect
must dd if=/dev/urandom of=/dev/mapper/t bs=1M count=4 conv=fsync
counters t
ok "auto: page cache of the disk's own node is copied, too" holds "$writes > 0 && $in_place + $copied == $writes"
must unmap t

for policy in copy optimistic; do
	protect "policy:$policy"
	ok "$policy: pieces 1536 bytes into their pages" \
		written 12288 vector 1536 512 4096 1536 8192 3584 512 5120 4608
	ok "$policy: 4 MiB at once" written 1048576 adjacent 131072 32
	must unmap t
done

protect policy:optimistic
mutate optimistic
ok "optimistic: no write fails" holds "$done_writes > 0 && $failed == 0"
ok "optimistic: each is compared" holds "$rechecked >= $done_writes && $in_place == $writes"
ok "optimistic: what changed is repaired" holds "$unstable > 0 && $repaired == $unstable + $blameless && $unrepaired == 0"
must unmap t
protect policy:copy
mutate copy
ok "copy: no write fails" holds "$done_writes > 0 && $failed == 0 && $mutations > 0"
ok "copy: none was in place" holds "$copied == $writes && $in_place == 0 && $repaired == 0"
must unmap t

# The write waits below, so that the change comes for certain while it is there.
must map low "0 $sectors linear $disk 0"
must map t "0 $sectors stable-pi /dev/mapper/low 0 1 policy:wait"
held low --change 0
ok "wait: a change is an error" is "$result $in_flight" "EILSEQ true"
must unmap t
log_mark
must map t "0 $sectors stable-pi /dev/mapper/low 0 1 policy:detect"
held low --change 0
counters t
ok "detect: it is reported" is "$result $unstable $unrepaired $(new_log | grep -c ': sector 16: data changed under a write: pinned page')" "ok 1 1 1"
must unmap t
must map t "0 $sectors stable-pi /dev/mapper/low 0 2 policy:optimistic trust:on"
held low --change 0
counters t
ok "optimistic: it is repaired" is "$result $content $unstable $repaired" "ok new 1 1"
must unmap t
must map t "0 $sectors stable-pi /dev/mapper/low 0 1 policy:auto"
held low --change 0
counters t
ok "auto: it changes nothing" is "$result $content $unstable $copied" "ok old 0 1"
must unmap t
must unmap low
protect policy:optimistic
ext4_on /dev/mapper/t
load direct --path "$mnt/file" --size 2M --seconds 60 --op-limit "$(scaled 120)" --no-mutate --verify
must umount_all
ok "ext4 holds what was written" holds "$done_writes > 0 && $failed == 0 && $mismatched == 0 && $unreadable == 0"
must unmap t

# Others: in memory, without a queue of requests, and in a file.
must modprobe brd rd_nr=1 rd_size=8192 max_part=0
defer gone_module brd
must wait_for 5 test -b /dev/ram0
must modprobe loop
must truncate -s 8M "$work/file"
loop=$(losetup --find --show "$work/file") || bail "there is no loop device"
defer losetup --detach "$loop"
for other in /dev/ram0 "$loop"; do
	ok "${other##*/}: optimistic is refused without a word" fails map t "0 16384 stable-pi $other 0 1 policy:optimistic"
	must map t "0 16384 stable-pi $other 0 2 policy:optimistic trust:on"
	load direct --path /dev/mapper/t --size 4M --seconds 60 --op-limit "$(scaled 120)" --no-mutate --verify
	ok "${other##*/}: what is written is read" holds "$done_writes > 0 && $failed == 0 && $mismatched == 0 && $unreadable == 0"
	load direct --path /dev/mapper/t --size 4M --seconds 60 --op-limit "$(scaled 120)"
	ok "${other##*/}: under a mutator, too" holds "$done_writes > 0 && $failed == 0 && $mutations > 0"
	must unmap t
done
finish
