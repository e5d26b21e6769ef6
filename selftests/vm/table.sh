#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
#
# table.sh: what is wrong with a table line is said in the kernel log; what is
# right comes back from `dmsetup table` as a line that means the same; what a
# device makes the default; status, dependencies and queue limits.
#
# timeout: 240
# covers: rust/filter rust/block/limits.rs rust/block/dm

. "$(dirname "$0")/lib.sh"

# refused MESSAGE START LENGTH WORD...: no such device is made, and the log says
# exactly that.
refused() {
	local message=$1
	shift
	log_mark
	if dmsetup create x <<<"$1 $2 stable-pi ${*:3}"; then
		dmsetup remove x
		echo "it was accepted"
		return 1
	fi
	log_says "stable-pi: $message ("
}

# bad MESSAGE WORD...: the same, with these words behind <dev>.
bad() {
	local message=$1
	shift
	ok "refused: $*" refused "$message" 0 2048 "$disk" "$@"
}

# plain MESSAGE WORD...: the same, over a device without a profile.
plain() {
	local message=$1
	shift
	ok "no profile: refused: $*" refused "$message" 0 2048 /dev/nullb0 0 $# "$@"
}

# round_trip WANTED WORD...: the arguments come back as WANTED, and that again.
round_trip() {
	local wanted=$1 line
	shift
	map t "0 2048 stable-pi ${device:-$disk} $*" || return
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

# status_with WORD...: the beginning of the status line with these arguments.
status_with() {
	local words
	map t "0 2048 stable-pi ${device:-$disk} 0 $# $*" >&2 || return
	read -r -a words <<<"$(dmsetup status t)"
	unmap t >&2
	printf '%s\n' "${words[*]:3:7}"
}

# profile_with WORD...: which is shown to those above.
profile_with() {
	map t "0 2048 stable-pi $disk 0 $# $*" >&2 || return
	cat "$(sysfs_of t)/integrity/format"
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
bad "optional argument 5 is unknown" 0 5 policy:copy waits:on recheck:on app_tag:1 x
bad "optional argument 6 is unknown" 0 6 policy:copy waits:on recheck:on app_tag:1 passthrough x
bad "optional argument 7 is unknown" 0 7 policy:copy verify:on waits:on recheck:on app_tag:1 passthrough x
bad "optional argument 8 is unknown" 0 8 policy:copy verify:on waits:on recheck:on trust:on app_tag:1 passthrough x
bad "optional argument 9 is unknown" 0 9 policy:copy verify:on waits:on recheck:on trust:on learn:on app_tag:1 passthrough x
bad "an optional argument behind the ninth is unknown" \
	0 10 policy:copy verify:on waits:on recheck:on trust:on learn:on app_tag:1 passthrough inject:on x
bad "optional argument 1 is unknown" 0 1 Passthrough
bad "policy: not one of auto, optimistic, copy, wait, detect" 0 1 policy:fast
bad "policy: not one of auto, optimistic, copy, wait, detect" 0 1 policy:
bad "verify: not one of on, off" 0 1 verify:auto
bad "verify: not one of on, off" 0 1 verify:
bad "passthrough: takes no value" 0 1 passthrough:on
bad "waits: not one of auto, on, off" 0 1 waits:yes
bad "recheck: not one of auto, on, off" 0 1 recheck:1
bad "trust: not one of auto, on, off" 0 1 trust:none
bad "learn: not one of on, off" 0 1 learn:auto
bad "inject: not one of on, off" 0 1 inject:guard
for tag in 0xffff 65535 65536 -1 0x x 0x10000 0x1g; do
	bad "app_tag: not a number from 0 to 0xfffe" 0 1 app_tag:$tag
done
bad "policy: given twice" 0 2 policy:copy policy:copy
bad "waits: given twice" 0 2 waits:on waits:off
bad "recheck: given twice" 0 2 recheck:on recheck:on
bad "trust: given twice" 0 2 trust:on trust:off
bad "learn: given twice" 0 2 learn:on learn:on
bad "inject: given twice" 0 2 inject:on inject:off
bad "policy: optimistic relies on what is below, which is not known to hand errors on as they are; trust:on says that it does" \
	0 2 policy:optimistic trust:off
bad "app_tag: given twice" 0 2 app_tag:1 app_tag:2
bad "verify: given twice" 0 2 verify:on verify:off
bad "passthrough: given twice" 0 2 passthrough passthrough
# shellcheck disable=SC2046
bad "too many arguments" 0 31 $(printf 'app_tag:%d ' {1..31})

must modprobe null_blk nr_devices=1 gb=1
plain "verify: the device has no integrity profile" verify:on
plain "verify: the device has no integrity profile" policy:copy verify:on
plain "passthrough: the device has no integrity profile" passthrough
plain "passthrough: the device has no integrity profile" verify:off passthrough
must map t "0 2048 stable-pi $disk 0"
ok "nothing is left of the refused ones" is "$(dmsetup info -c --noheadings -o name)" t
must unmap t

ok "table: no arguments" round_trip "0 1 policy:auto" 0
ok "table: an empty list" round_trip "0 1 policy:auto" 0 0
ok "table: an offset" round_trip "4096 1 policy:auto" 4096
for policy in auto optimistic copy wait detect; do
	ok "table: $policy" round_trip "0 1 policy:$policy" 0 1 "policy:$policy"
done
ok "table: defaults are left out" round_trip "0 1 policy:auto" \
	0 7 waits:auto app_tag:0 recheck:auto trust:auto learn:on inject:off policy:auto
ok "table: what is asked to be verified is" round_trip "0 2 policy:auto verify:on" 0 1 verify:on
ok "table: all, in any order" round_trip \
	"8 9 policy:copy verify:off waits:on recheck:off trust:off learn:off app_tag:0x00ff passthrough inject:on" \
	8 9 inject:on app_tag:255 learn:off trust:off recheck:off passthrough policy:copy waits:on verify:off
ok "table: the highest application tag" round_trip "0 2 policy:auto app_tag:0xfffe" 0 1 app_tag:65534
ok "table: major:minor" map t "0 2048 stable-pi $number 0 1 policy:wait"
must unmap t

# What the device below makes the default.
profile="profile:T10-DIF-TYPE1-CRC interval:512 below:same trust:on"
ok "profile: verified, and no recheck, since the disk checks" is "$(status_with)" \
	"policy:auto verify:on recheck:off $profile"
ok "profile: verify:off" is "$(status_with verify:off)" "policy:auto verify:off recheck:off $profile"
ok "profile: recheck:on" is "$(status_with recheck:on)" "policy:auto verify:on recheck:on $profile"
ok "profile: detect rechecks" is "$(status_with policy:detect recheck:off)" "policy:detect verify:on recheck:on $profile"
ok "profile: none is shown" is "$(profile_with)" none
ok "profile: passthrough shows it" is "$(profile_with passthrough)" T10-DIF-TYPE1-CRC
device=/dev/nullb0 disk_number=$number number=$(</sys/block/nullb0/dev)
ok "no profile: nothing to verify, rechecked" is "$(status_with)" \
	"policy:auto verify:off recheck:on profile:none interval:512 below:same trust:off"
ok "no profile: recheck:off" is "$(status_with recheck:off)" "policy:auto verify:off recheck:off profile:none interval:512 below:same trust:off"
ok "no profile: verify:off is the default" round_trip "0 1 policy:auto" 0 1 verify:off
ok "no profile: other arguments" round_trip "8 4 policy:wait waits:off recheck:off app_tag:0x0001" \
	8 5 policy:wait waits:off recheck:off app_tag:1 verify:off
device='' number=$disk_number

for policy in auto optimistic copy wait detect; do
	case $policy in
	wait | detect) waits=1 ;;
	*) waits=0 ;;
	esac
	ok "waits: $policy" is "$(stable_writes "policy:$policy")" $waits
	ok "waits: $policy waits:on" is "$(stable_writes "policy:$policy" waits:on)" 1
	ok "waits: $policy waits:off" is "$(stable_writes "policy:$policy" waits:off)" 0
done
ok "waits: no arguments" is "$(stable_writes)" 0

# all_zero_but KEY:NUMBER...: the counters of a status line, in their order.
all_zero_but() {
	local name pair line=''
	for name in "${counter_names[@]}"; do
		for pair in "$@" "$name:0"; do
			[ "${pair%:*}" != "$name" ] || break
		done
		line+=" $pair"
	done
	printf '%s' "${line# }"
}
status="0 $sectors stable-pi policy:copy verify:on recheck:off $profile learned:0"

protect policy:copy
ok "status: at first" is "$(dmsetup status t)" "$status $(all_zero_but)"
must dd if=/dev/zero of=/dev/mapper/t bs=8k count=2 oflag=direct
ok "status: two copied writes of 16 intervals" is "$(dmsetup status t)" \
	"$status $(all_zero_but writes:2 intervals:32 copied:2 copied_pinned:2)"
must dd if=/dev/mapper/t of=/dev/null bs=8k count=2 iflag=direct
ok "status: two verified reads" is "$(dmsetup status t)" \
	"$status $(all_zero_but writes:2 intervals:32 copied:2 copied_pinned:2 reads_verified:2)"
ok "dependencies: the disk" is "$(dmsetup deps -o devname t)" "1 dependencies	: (${disk##*/})"
ok "limits: nobody polls" is "$(<"$(sysfs_of t)/queue/io_poll")" 0
ok "limits: the disk's block size" is "$(<"$(sysfs_of t)/queue/logical_block_size")" 512
must unmap t

drop_disk
make_disk dev_size_mb=16 dif=1 dix=1 guard=0 sector_size=4096
ok "4 KiB: an offset that is not whole" refused "offset: not a multiple of the integrity interval" 0 2048 "$disk" 4
ok "4 KiB: a length that is not whole" refused "start and length: not multiples of the integrity interval" 0 2044 "$disk" 0
number=$(<"/sys/block/${disk##*/}/dev")
ok "4 KiB: whole ones" round_trip "8 1 policy:auto" 8
finish
