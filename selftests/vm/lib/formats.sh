# SPDX-License-Identifier: GPL-2.0
# shellcheck shell=bash disable=SC2154,SC2317
#
# What holds of a disk with protection information, in whatever format and whoever
# emulates it. For each disk a script sets disk, part, interval and profile, and
# calls these functions. All of it happens in the first 4 MiB:
#
#     0  one after the other what the kernel and the target write
#   1 M  a partition
#   2 M  nothing, and then blocks that are corrupt
#   3 M  blocks that are discarded and zeroed

area=8192
head -c 65536 /dev/urandom >"$work/a"
head -c 65536 /dev/urandom >"$work/b"

# through ARGUMENT... -- COMMAND...: with the target over the area, as
# /dev/mapper/t.
through() {
	local args=() status=0
	while [ "$1" != -- ]; do
		args+=("$1")
		shift
	done
	shift
	map t "0 $area stable-pi ${below:-$disk} 0 ${#args[@]} ${args[*]}" || return
	"$@" || {
		status=$?
		dmsetup status t
	}
	unmap t || return
	return "$status"
}

# put FILE DEVICE OFFSET BYTES
put() {
	dd if="$1" of="$2" bs="$4" seek="$3" count=1 oflag=direct,seek_bytes conv=notrunc status=none
}

# got FILE DEVICE OFFSET BYTES: that is what is read there.
got() {
	dd if="$2" of="$work/got" bs="$4" skip="$3" count=1 iflag=direct,skip_bytes status=none &&
		cmp -n "$4" "$work/got" "$1"
}

# verified COMMAND...: it reads through t, and the target finds nothing wrong.
verified() {
	local before
	before=$(status_of t reads_verified) || return
	"$@" || return
	(($(status_of t reads_verified) > before)) || {
		echo "nothing was verified"
		return 1
	}
	is "$(status_of t corrupt) $(status_of t false_alarms)" "0 0"
}

# tuples OFFSET BYTES
tuples() {
	ask_tuples "$disk" $(($1 / interval)) $(($2 / interval))
}

# right APP_TAG OFFSET BYTES
right() {
	ask_tuples check "$disk" "$1" $(($2 / interval))+$(($3 / interval))
}

# blank OFFSET BYTES: nothing is written there: it reads as zeroes, with tuples
# that nobody is to check.
blank() {
	through -- verified got /dev/zero /dev/mapper/t "$1" "$2" || return
	tuples "$1" "$2" >"$work/tuples"
	awk -v count=$(($2 / interval)) '
		$2 $3 $4 !~ /^f+$/ {
			print
			bad = 1
		}
		END { exit bad || NR != count }' "$work/tuples"
}

# same_tuples: the target's are those of the kernel's own generator, to the byte.
# Only where the reference tag means nothing, the kernel leaves the number of the
# sector there, and the target that of the block.
same_tuples() {
	local policy kernel fields=1-
	[[ $profile != *TYPE3* ]] || fields=1-3,5-
	put "$work/a" "$disk" 32768 8192 || return
	kernel=$(tuples 32768 8192 | cut -d' ' -f"$fields")
	for policy in optimistic copy; do
		put "$work/b" "$disk" 32768 8192 &&
			through "policy:$policy" -- put "$work/a" /dev/mapper/t 32768 8192 &&
			is "$(tuples 32768 8192 | cut -d' ' -f"$fields")" "$kernel" || return
	done
}

# make_partition: $part; its sectors have other numbers than those of the disk,
# which the reference tags have to be.
make_partition() {
	local unit=$((interval / 512))
	sfdisk --quiet --no-tell-kernel "$disk" <<<"start=$((2048 / unit)), size=$((1024 / unit)), type=83" &&
		blockdev --rereadpt "$disk" && wait_for 5 test -b "$part"
}

# on_partition: the target writes there, in place and copies, and reads.
on_partition() {
	local below=$part area=1024
	through policy:optimistic app_tag:0xfffe -- wrote in_place 4096 8192 &&
		through policy:copy app_tag:0x1234 -- wrote copied 65536 8192 &&
		right fffe 1052672 8192 && right 1234 1114112 8192 || return
	got "$work/a" "$part" 4096 8192 && got "$work/a" "$part" 65536 8192 || return
	through -- verified got "$work/a" /dev/mapper/t 4096 8192
}

# wrote COUNTER OFFSET BYTES: in one write, which is counted there.
wrote() {
	put "$work/a" /dev/mapper/t "$2" "$3" &&
		is "$(status_of t writes) $(status_of t "$1") $(status_of t intervals)" "1 1 $(($3 / interval))"
}

# kernel_wrote: on the disk and on a partition of it.
kernel_wrote() {
	put "$work/a" "$disk" 131072 32768 &&
		through -- verified got "$work/a" /dev/mapper/t 131072 32768 || return
	local below=$part area=1024
	put "$work/b" "$part" 131072 32768 &&
		through -- verified got "$work/b" /dev/mapper/t 131072 32768
}

# discarded: what held something once.
discarded() {
	through -- put_and_discard 3145728 && blank 3145728 8192
}

put_and_discard() {
	put "$work/a" /dev/mapper/t "$1" 65536 && blkdiscard -f -o "$1" -l 65536 /dev/mapper/t
}

# Corruption -----------------------------------------------------------------

# 9 blocks from here on, in bytes, of which some are made corrupt.
spoilt=2097152

# unreadable PATH: sets $unread to those of the 9 that fail, counted from 0.
unreadable() {
	load readback --path "$1" --start "$spoilt" --size $((9 * interval)) || return
	unread=$(sed -nE 's/.*"first_bad":\[([^]]*)\].*/\1/p' <<<"$outcome" | tr , '\n' |
		awk -v first="$spoilt" -v interval="$interval" 'NF { printf "%s%d", sep, ($1 - first) / interval; sep = " " }')
	is "$(field bad)" "$(field EILSEQ)"
}

# refused BLOCK...: by the kernel alone, and as EILSEQ.
refused() {
	unreadable "$disk" && is "$unread" "$*"
}

# reported BLOCK...: by the target, with what $work/reports says.
reported() {
	trace_on stable_pi:read_mismatch || return
	through -- refused_by_target "$@" || return
	trace_off
	sed -nE 's/.* read_mismatch: [0-9]+,[0-9]+ (.*)/\1/p' "$work/trace" | sort -u >"$work/traced"
	sort -u "$work/reports" | diff - "$work/traced"
}

refused_by_target() {
	unreadable /dev/mapper/t && is "$unread" "$*" && is "$(status_of t false_alarms)" 0 &&
		(($(status_of t corrupt) >= $#))
}

# report BLOCK GUARD WANTED APP_TAG REF WANTED: a line of the trace event, from
# hexadecimal numbers, the block counted from the start of the disk.
report() {
	local guard=$2 wanted=$3
	# An IP checksum is a number as the processor sums it.
	if [[ $profile == *-IP ]]; then
		guard=${guard:2}${guard:0:2} wanted=${wanted:2}${wanted:0:2}
	fi
	printf 'sector %d guard 0x%x should be 0x%x app 0x%x should be 0x%x ref 0x%x should be 0x%x\n' \
		$(($1 * interval / 512)) "0x$guard" "0x$wanted" "0x$4" "0x$4" "0x$5" "0x$6" >>"$work/reports"
}

# both_ways: seven cases: what the target writes and the kernel reads, and the other way
# round. zeroed and spoil, which sets corrupt, are the script's own.
both_ways() {
	must make_partition
	ok "$name: the target writes on a partition" on_partition
	ok "$name: the target reads what the kernel wrote" kernel_wrote
	ok "$name: sectors that were discarded" discarded
	ok "$name: sectors that were zeroed" zeroed
	ok "$name: some become corrupt" spoil
	ok "$name: the kernel refuses those" refused "${corrupt[@]}"
	ok "$name: the target reports them" reported "${corrupt[@]}"
}
