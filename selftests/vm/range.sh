#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
#
# range.sh: a stable range does not change, with 64 threads that store into
# mappings, write(2) and truncation against it, on tmpfs, ext4 and xfs (where 32 do),
# with large folios and huge pages.
#
# SELFTEST_SOAK=SECONDS: so long on each filesystem.
#
# timeout: 600
# covers: rust/mm samples/range
# mem: 1500M

. "$(dirname "$0")/lib.sh"

# Each take waits for its turn among the threads: minutes for one, where all is slower.
takes=20 threads=64
((SELFTEST_SCALE == 1)) || takes=4 threads=16
soak=(${SELFTEST_SOAK:+--seconds "$SELFTEST_SOAK"})

filesystems=(tmpfs huge ext4 xfs)
((SELFTEST_SCALE == 1)) || [ -n "${SELFTEST_SOAK:-}" ] || filesystems=(huge xfs)
# mount_fs KIND DEVICE
mount_fs() {
	case $1 in
	tmpfs) must mount_at "$mnt" -t tmpfs -o size=64M,huge=never none ;;
	huge) must mount_at "$mnt" -t tmpfs -o size=64M,huge=always none ;;
	ext4)
		must modprobe ext4
		must mkfs.ext4 -q -F -E nodiscard,lazy_itable_init=0,lazy_journal_init=0 "$2" 64M
		must mount_at "$mnt" -t ext4 "$2"
		;;
	xfs)
		must modprobe xfs
		must mkfs.xfs -q -f -K "$2"
		must mount_at "$mnt" -t xfs "$2"
		;;
	esac
}

# storm ARGUMENT...: sets taken, differed, busy, errors, retries, order.
storm() {
	load storm --path "$mnt/storm" "$@" || return
	taken=$(field takes) differed=$(field differed) busy=$(field busy)
	retries=$(field retries) order=$(field order)
	errors=$(sed -nE 's/.*"errors":\[([^]]*)\].*/\1/p' <<<"$outcome")
}

stays_the_same() {
	holds "$taken > 0 && $differed == 0 && $busy == 0" && is "$errors" ""
}

# Until it has been seen, five times at most.
changes_unprotected() {
	local i
	for i in 1 2 3 4 5; do
		storm "${options[@]}" --takes 4 --unprotected || return
		((differed == 0)) || return 0
	done
	return 1
}

# With few others, so that there is much truncation.
meets_retries() {
	local i
	for i in 1 2 3 4 5; do
		storm --size 1M --range 512K --takes "$(scaled 40)" --stores 2 --truncate && stays_the_same || return
		((retries == 0)) || return 0
	done
	return 1
}

ok "the module and the sample load" modprobe stable_range
must modprobe brd rd_nr=2 rd_size=409600
defer gone_module brd

for fs in "${filesystems[@]}"; do
	mount_fs "$fs" /dev/ram0
	size=1M stores=$threads
	case $fs in
	huge) size=4M ;;
	# On a disk all of them wait for one folio, and truncation for its turn among them.
	ext4 | xfs) stores=$((threads / 2)) ;;
	esac
	options=(--size "$size" --range 64K --stores "$stores")
	ok "$fs: without a range the data changes" changes_unprotected
	storm "${options[@]}" --takes "$takes" "${soak[@]}"
	ok "$fs: a range does not change" stays_the_same
	largest=$order
	storm "${options[@]}" --takes "$takes" --truncate "${soak[@]}"
	ok "$fs: nor with truncation, and it is taken each time" stays_the_same
	case $fs in
	huge) ok "huge: it had huge pages" is "$largest" 9 ;;
	xfs) ok "xfs: it had large folios" holds "$largest > 0" ;;
	esac
	umount_all
done

mount_fs tmpfs
ok "folios are truncated and split while a range is taken, which does not change" meets_retries

# An O_DIRECT read into a page of the range, on a device that does not answer.
must dd if=/dev/zero "of=$mnt/pinned" bs=16K count=1
must map d "0 8192 linear /dev/ram1 0"
must dmsetup suspend --nolockfs --noflush d
"$vm/range.py" "$mnt/pinned" /dev/mapper/d >"$work/pinned" &
pid=$!
wait_for 90 test -s "$work/pinned"
must dmsetup resume d
wait "$pid"
ok "a pinned folio is reported" is "$(<"$work/pinned")" "4 1"
ok "and is none any more when the read has ended" is "$("$vm/range.py" "$mnt/pinned")" "4 0"
umount_all
must unmap d
must rmmod stable_range
finish
