#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
#
# raid1.sh: md RAID1 over two stable-pi devices heals a corrupt sector from the
# other leg, since its leg says that it is corrupt. Over two bare legs that nobody
# verifies, the array hands out the other data, and spreads it.
#
# timeout: 120
# covers: rust/block rust/filter

. "$(dirname "$0")/lib.sh"

# legs [ARGUMENT...]: the halves of the disk, as /dev/mapper/leg0 and leg1: of
# stable-pi with these arguments, or without any of the disk alone.
legs() {
	local i half=$((sectors / 2))
	for i in 0 1; do
		if (($#)); then
			must map leg$i "0 $half stable-pi $disk $((i * half)) $# $*"
		else
			must map leg$i "0 $half linear $disk $((i * half))"
		fi
	done
}

# array: of the legs, which hold the same. What is read comes from the first.
array() {
	must mdadm --create /dev/md0 --run --metadata=1.0 --bitmap=none --assume-clean \
		--level=1 --raid-devices=2 /dev/mapper/leg0 --write-mostly /dev/mapper/leg1
	must wait_for 10 test -b /dev/md0
	defer gone_array /dev/md0
}

drop_array() {
	must gone_array /dev/md0
	must unmap leg1
	must unmap leg0
}

# idle: nobody checks or repairs the array.
idle() {
	[ "$(<"$md/sync_action")" = idle ]
}
md=/sys/block/md0/md

# sync_legs check|repair: all of the array.
sync_legs() {
	echo "$1" >"$md/sync_action" && wait_for 60 idle
}

# corrupt LEG BLOCK: other data below the same tuples; a block has 4096 bytes.
corrupt() {
	local at=$(($1 * sectors / 2 / 8 + $2))
	must without_tuples "$disk" dd if=/dev/urandom "of=$disk" bs=4096 seek=$at count=1 oflag=direct conv=notrunc
}

# block DEVICE NUMBER: its hash, or nothing if it cannot be read.
block() {
	dd if="$1" bs=4096 skip="$2" count=1 iflag=direct of="$work/block" 2>/dev/null &&
		sha256sum <"$work/block" | cut -d' ' -f1
}

# fill: the array with random data; the hashes of the blocks that get corrupt.
fill() {
	must dd if=/dev/urandom of=/dev/md0 bs=1M count=4 oflag=direct
	first=$(block /dev/md0 50)
	second=$(block /dev/md0 90)
}

if ! modprobe -q raid1; then
	bail "this kernel has no raid1"
fi
make_disk dev_size_mb=16 dif=1 dix=1 guard=0
ok "the module loads" load_module

# The hazard: nobody verifies ------------------------------------------------

echo 0 >"/sys/block/${disk##*/}/integrity/read_verify"
legs
array
fill
corrupt 0 50
corrupt 0 90
handed_out=$(block /dev/md0 50)
ok "without verification the array hands out other data" fails is "$handed_out" "$first"
ok "and a repair" sync_legs repair
ok "spreads it to the leg that was right" is "$(block /dev/mapper/leg1 50) $(block /dev/md0 50)" "$handed_out $handed_out"
drop_array
echo 1 >"/sys/block/${disk##*/}/integrity/read_verify"
wipe

# Verified -------------------------------------------------------------------

legs policy:optimistic app_tag:0x0011
array
fill
corrupt 0 50
log_mark
ok "over stable-pi it hands out what was written" is "$(block /dev/md0 50)" "$first"
ok "the leg has reported the corrupt sector" holds "$(status_of leg0 corrupt) > 0 && $(status_of leg1 corrupt) == 0"
ok "the array has corrected it" grep -q 'md/raid1:md0: read error corrected (8 sectors at 400 on ' <(new_log)
before=$(status_of leg0 corrupt)
ok "the leg holds what was written" is "$(block /dev/mapper/leg0 50)" "$first"
ok "with the target's tuples" tuples_are 400 8 0011

# A leg that is never read in daily life heals when the array is checked.
corrupt 1 90
ok "a check" sync_legs check
ok "finds a corrupt sector of the other leg" holds "$(status_of leg1 corrupt) > 0"
ok "and heals it" is "$(block /dev/mapper/leg1 90)" "$second"
ok "with the target's tuples" tuples_are $((sectors / 2 + 720)) 8 0011
ok "the first leg has nothing new to report" is "$(status_of leg0 corrupt)" "$before"

# Both at once, in different places: each heals from the other.
corrupt 0 90
corrupt 1 50
ok "a repair when each leg has a corrupt sector" sync_legs repair
legs_hold() {
	is "$(block /dev/mapper/leg0 90) $(block /dev/mapper/leg1 50)" "$second $first"
}
ok "heals both" legs_hold
ok "the legs are the same" is "$(dd if=/dev/mapper/leg0 bs=1M count=4 iflag=direct status=none | sha256sum)" \
	"$(dd if=/dev/mapper/leg1 bs=1M count=4 iflag=direct status=none | sha256sum)"

# To heal and to agree: one more on top, which gives both legs the same.
must map top "0 $(blockdev --getsz /dev/md0) stable-pi /dev/md0 0 1 policy:copy"
corrupt 0 50
ok "with a target on top, it hands out what was written" is "$(block /dev/mapper/top 50)" "$first"
ok "and the leg heals" is "$(block /dev/mapper/leg0 50)" "$first"
load direct --path /dev/mapper/top --size 128K --depth 4 --seconds 60 --op-limit "$(scaled 200)"
ok "no write fails whose buffer changes" holds "$done_writes > 0 && $failed == 0 && $mutations > 0"
ok "a check" sync_legs check
ok "finds no sector in which the legs differ" is "$(cat /sys/block/md0/md/mismatch_cnt)" 0
must unmap top

# Both legs corrupt in the same place: there is nothing to heal from.
corrupt 0 50
corrupt 1 50
ok "what no leg holds is an error" fails block /dev/md0 50
ok "and its neighbours can be read" block /dev/md0 51
drop_array
ok "all of the rest was written with the target's tuples" tuples_are 720 8 0011
finish
