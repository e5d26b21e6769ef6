#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
#
# table.sh: what is wrong with a table line is said in the kernel log; what is
# right comes back from `dmsetup table` as a line that means the same; status,
# dependencies and queue limits.
#
# timeout: 240
#
# shellcheck disable=SC2317,SC2154

. "$(dirname "$0")/lib.sh"

plan 75

# refused MESSAGE START LENGTH WORD...: no such device is made, and the log says
# exactly that.
refused() {
	local message=$1
	shift
	log_mark
	if printf '%s\n' "$1 $2 stable-pi ${*:3}" | dmsetup create x; then
		dmsetup remove x
		echo "it was accepted"
		return 1
	fi
	new_log | grep -qF "stable-pi: $message (" || {
		echo "the log says:"
		new_log
		return 1
	}
}

# bad MESSAGE WORD...: the same, with these words behind <dev>.
bad() {
	local message=$1
	shift
	ok "refused: $*" refused "$message" 0 2048 "$disk" "$@"
}

# round_trip WANTED WORD...: the arguments come back as WANTED, and that again.
round_trip() {
	local wanted=$1 line
	shift
	map t "0 2048 stable-pi $disk $*" || return
	line=$(dmsetup table t)
	unmap t || return
	is "$line" "0 2048 stable-pi $number $wanted" || return
	map t "$line" || return
	is "$(dmsetup table t)" "$line"
	unmap t
}

# stable_writes WORD...: of the mapped device with these arguments.
stable_writes() {
	map t "0 2048 stable-pi $disk 0 $# $*" >&2 || return
	cat "$(sysfs_of t)/queue/stable_writes"
	unmap t >&2
}

make_disk dev_size_mb=16 dif=1 dix=1 guard=0
number=$(<"/sys/block/${disk##*/}/dev")
ok "the module loads" load_module

ok "refused: no argument" refused "expected: <dev> <offset> [<#args> <arg>...]" 0 2048
ok "refused: a device alone" refused "expected: <dev> <offset> [<#args> <arg>...]" 0 2048 "$disk"
ok "refused: a device that is not there" refused "dev: the device cannot be opened" 0 2048 /dev/none 0
ok "refused: a device that is none" refused "dev: the device cannot be opened" 0 2048 /dev/null 0
for offset in x -1 0x10 1.5 99999999999999999999 +1; do
	bad "offset: not a number of sectors" $offset
done
bad "offset: the target reaches beyond the end of the device" $((sectors - 2047))
bad "offset: the target reaches beyond the end of the device" 18446744073709551615
ok "refused: longer than the device" refused "offset: the target reaches beyond the end of the device" 0 $((sectors + 1)) "$disk" 0
bad "#args: not a number" 0 x
bad "#args: not a number" 0 -1 policy:copy
bad "#args: not the number of arguments that follow" 0 1
bad "#args: not the number of arguments that follow" 0 0 policy:copy
bad "#args: not the number of arguments that follow" 0 2 policy:copy
bad "#args: not the number of arguments that follow" 0 1 policy:copy waits:on
bad "optional argument 1 is unknown" 0 1 verbose
bad "optional argument 1 is unknown" 0 1 speed:fast
bad "optional argument 1 is unknown" 0 1 POLICY:copy
bad "optional argument 2 is unknown" 0 2 policy:copy x
bad "optional argument 3 is unknown" 0 3 policy:copy waits:on x:y
bad "optional argument 4 is unknown" 0 4 policy:copy waits:on recheck:on :
bad "an optional argument behind the fourth is unknown" 0 5 policy:copy waits:on recheck:on app_tag:1 x
bad "policy: not one of optimistic, copy, wait" 0 1 policy:fast
bad "policy: not one of optimistic, copy, wait" 0 1 policy:
bad "waits: not one of auto, on, off" 0 1 waits:yes
bad "recheck: not one of auto, on, off" 0 1 recheck:1
for tag in 0xffff 65535 65536 -1 0x x 0x10000 0x1g; do
	bad "app_tag: not a number from 0 to 0xfffe" 0 1 app_tag:$tag
done
bad "policy: given twice" 0 2 policy:copy policy:copy
bad "waits: given twice" 0 2 waits:on waits:off
bad "recheck: given twice" 0 2 recheck:on recheck:on
bad "app_tag: given twice" 0 2 app_tag:1 app_tag:2
# shellcheck disable=SC2046
bad "too many arguments" 0 31 $(printf 'app_tag:%d ' {1..31})

must modprobe null_blk nr_devices=1 gb=1
ok "refused: a device without a profile" refused "dev: the device has no integrity profile" 0 2048 /dev/nullb0 0
must map t "0 2048 stable-pi $disk 0"
ok "nothing is left of the refused ones" is "$(dmsetup info -c --noheadings -o name)" t
must unmap t

ok "table: no arguments" round_trip "0 1 policy:optimistic" 0
ok "table: an empty list" round_trip "0 1 policy:optimistic" 0 0
ok "table: an offset" round_trip "4096 1 policy:optimistic" 4096
for policy in optimistic copy wait; do
	ok "table: $policy" round_trip "0 1 policy:$policy" 0 1 "policy:$policy"
done
ok "table: defaults are left out" round_trip "0 1 policy:optimistic" 0 4 waits:auto app_tag:0 recheck:auto policy:optimistic
ok "table: all, in any order" round_trip "8 4 policy:copy waits:on recheck:off app_tag:0x00ff" \
	8 4 app_tag:255 recheck:off policy:copy waits:on
ok "table: the highest application tag" round_trip "0 2 policy:optimistic app_tag:0xfffe" 0 1 app_tag:65534
ok "table: major:minor" map t "0 2048 stable-pi $number 0 1 policy:wait"
must unmap t

ok "waits: optimistic" is "$(stable_writes policy:optimistic)" 0
ok "waits: copy" is "$(stable_writes policy:copy)" 0
ok "waits: wait" is "$(stable_writes policy:wait)" 1
ok "waits: no arguments" is "$(stable_writes)" 0
for policy in optimistic copy wait; do
	ok "waits: $policy waits:on" is "$(stable_writes "policy:$policy" waits:on)" 1
	ok "waits: $policy waits:off" is "$(stable_writes "policy:$policy" waits:off)" 0
done

protect policy:copy
ok "status: at first" is "$(dmsetup status t)" \
	"0 $sectors stable-pi policy:copy profile:T10-DIF-TYPE1-CRC interval:512 writes:0 intervals:0 in_place:0 copied:0 rechecked:0 retried:0 repaired:0 unrepaired:0"
must dd if=/dev/zero of=/dev/mapper/t bs=8k count=2 oflag=direct
must dd if=/dev/mapper/t of=/dev/null bs=8k count=2 iflag=direct
ok "status: two copied writes of 16 intervals" is "$(dmsetup status t)" \
	"0 $sectors stable-pi policy:copy profile:T10-DIF-TYPE1-CRC interval:512 writes:2 intervals:32 in_place:0 copied:2 rechecked:0 retried:0 repaired:0 unrepaired:0"
ok "dependencies: the disk" is "$(dmsetup deps -o devname t)" "1 dependencies	: (${disk##*/})"
ok "limits: nobody polls" is "$(<"$(sysfs_of t)/queue/io_poll")" 0
ok "limits: the disk's block size" is "$(<"$(sysfs_of t)/queue/logical_block_size")" 512
ok "limits: no profile is shown" is "$(<"$(sysfs_of t)/integrity/format")" none
must unmap t

drop_disk
make_disk dev_size_mb=16 dif=1 dix=1 guard=0 sector_size=4096
ok "4 KiB: an offset that is not whole" refused "offset: not a multiple of the integrity interval" 0 2048 "$disk" 4
ok "4 KiB: a length that is not whole" refused "start and length: not multiples of the integrity interval" 0 2044 "$disk" 0
number=$(<"/sys/block/${disk##*/}/dev")
ok "4 KiB: whole ones" round_trip "8 1 policy:optimistic" 8
finish
