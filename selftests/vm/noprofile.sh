#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
#
# noprofile.sh: stable-pi over disks without a profile, where a checksum of its own
# takes the place of tuples.
#
# timeout: 180
#
# shellcheck disable=SC2317,SC2154,SC2034

. "$(dirname "$0")/lib.sh"

plan $((8 + 3 + 2 * 2 + 5 + 5 + 4))

# refused ARGUMENT... : the table is, and the kernel log says why: $reason.
refused() {
	log_mark
	fails map t "0 $sectors stable-pi $disk 0 $# $*" || return
	reason=$(new_log | sed -nE 's/.*stable-pi: (.*)/\1/p' | tail -n 1)
	note "$reason"
}

# mutate POLICY: writes to /dev/mapper/t whose buffers change, until one of them has
# been found changed or has failed, five times at most. Copies show nothing.
mutate() {
	local i
	for i in 1 2 3 4 5; do
		load direct --path /dev/mapper/t --size 2M --seconds 1 --seed "$i" || return
		counters t
		((unstable == 0)) && [ "$1" = optimistic ] || return 0
	done
}

make_disk dev_size_mb=16 "${window[@]}"
ok "the disk has no profile" is "$(cat "/sys/block/${disk##*/}/integrity/format" 2>/dev/null || echo none)" none
ok "the module loads" load_module

ok "verify:on is refused" refused verify:on
ok "and the reason is in the log" grep -q verify <<<"$reason"
ok "passthrough is refused" refused passthrough
ok "and the reason is in the log" grep -q passthrough <<<"$reason"
protect
ok "the status says so" is "$(status_of t policy) $(status_of t verify) $(status_of t profile)" "auto off none"

message_refused() {
	fails dmsetup message t 0 verify on && is "$(status_of t verify)" off
}
ok "verify on by message is refused" message_refused
mutate auto
ok "auto: no write fails" holds 'done_writes > 0 && failed == 0 && mutations > 0'
ok "auto: what user space can change is copied" holds \
	'copied == writes && copied_anon + copied_pinned == copied && in_place == 0 && repaired == 0 && unrepaired == 0'
must unmap t
protect
must dd if=/dev/urandom of=/dev/mapper/t bs=1M count=4 conv=fsync
counters t
ok "auto: page cache of the disk's own node is copied, too" holds 'writes > 0 && in_place + copied == writes'
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
ok "optimistic: no write fails" holds 'done_writes > 0 && failed == 0'
ok "optimistic: each is compared" holds 'rechecked >= done_writes && in_place == writes'
ok "optimistic: what changed is repaired" holds 'unstable > 0 && repaired == unstable + blameless && unrepaired == 0'
must unmap t
protect policy:copy
mutate copy
ok "copy: no write fails" holds 'done_writes > 0 && failed == 0 && mutations > 0'
ok "copy: none was in place" holds 'copied == writes && in_place == 0 && repaired == 0'
must unmap t

# A slow disk below, so that the change comes for certain while the write is there.
must map slow "0 $sectors delay $disk 0 300"
must map t "0 $sectors stable-pi /dev/mapper/slow 0 1 policy:wait"
load hold --path /dev/mapper/t --offset 8192 --mutate-once --after-ms 100 --read-back
ok "wait: a change is an error" is "$(field result) $(field in_flight)" "EILSEQ true"
must unmap t
log_mark
must map t "0 $sectors stable-pi /dev/mapper/slow 0 1 policy:detect"
load hold --path /dev/mapper/t --offset 8192 --mutate-once --after-ms 100 --read-back
counters t
ok "detect: it is reported" is "$(field result) $unstable $unrepaired $(new_log | grep -c ': sector 16: data changed under a write: pinned page')" "ok 1 1 1"
must unmap t
must map t "0 $sectors stable-pi /dev/mapper/slow 0 1 policy:optimistic"
load hold --path /dev/mapper/t --offset 8192 --mutate-once --after-ms 100 --read-back
counters t
ok "optimistic: it is repaired" is "$(field result) $(field content) $unstable $repaired" "ok new 1 1"
must unmap t
must map t "0 $sectors stable-pi /dev/mapper/slow 0 1 policy:auto"
load hold --path /dev/mapper/t --offset 8192 --mutate-once --after-ms 100 --read-back
counters t
ok "auto: it changes nothing" is "$(field result) $(field content) $unstable $copied" "ok old 0 1"
must unmap t
must unmap slow
protect policy:optimistic
ext4_on /dev/mapper/t
load direct --path "$mnt/file" --size 2M --seconds 1 --no-mutate --verify
must umount_all
ok "ext4 holds what was written" holds 'done_writes > 0 && failed == 0 && mismatched == 0 && unreadable == 0'
must unmap t

# Others: in memory, without a queue of requests, and in a file.
must modprobe brd rd_nr=1 rd_size=8192 max_part=0
must wait_for 5 test -b /dev/ram0
must modprobe loop
must truncate -s 8M "$work/file"
loop=$(losetup --find --show "$work/file") || bail "there is no loop device"
for other in /dev/ram0 "$loop"; do
	must map t "0 16384 stable-pi $other 0 1 policy:optimistic"
	load direct --path /dev/mapper/t --size 4M --seconds 1 --no-mutate --verify
	ok "${other##*/}: what is written is read" holds 'done_writes > 0 && failed == 0 && mismatched == 0 && unreadable == 0'
	load direct --path /dev/mapper/t --size 4M --seconds 1
	ok "${other##*/}: under a mutator, too" holds 'done_writes > 0 && failed == 0 && mutations > 0'
	must unmap t
done
must losetup --detach "$loop"
must rmmod brd
finish
