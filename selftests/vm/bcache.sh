#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
#
# bcache.sh: bcache writes what it is given to the cache and to the backing device, each
# at a moment of its own. Where buffers change meanwhile, the two differ in silence; with
# stable-pi on top, with its default arguments, they do not. With stable-pi below the
# cache, what is corrupt there is read from the backing device.
#
# timeout: 240
# covers: rust/block rust/filter

. "$(dirname "$0")/lib.sh"
# shellcheck source=lib/stack.sh
. "$vm/lib/stack.sh"
# shellcheck source=lib/bcache.sh
. "$vm/lib/bcache.sh"

# changing PATH: writes whose buffers change, until cache and backing device differ, five times
# at most.
changing() {
	local i
	for i in 1 2 3 4 5; do
		load direct --path "$1" --size 2M --depth 4 --seconds 60 --op-limit "$(scaled 60)" --seed "$i" || return
		apart
		note "$hits sectors were in the cache, $apart blocks differ"
		((apart == 0)) || return 0
	done
}

modprobe -nq bcache || bail "this kernel has no bcache"
ok "the module loads" load_module

for top in none stable-pi; do
	stack "plain 2 ${window[*]}"
	all_disks=("${legs[@]}")
	layer_bcache
	[ $top = none ] || layer_stable_pi policy:auto
	# All of it is in the cache then.
	must dd if=/dev/zero "of=${legs[0]}" bs=64k count=32 oflag=direct
	changing "${legs[0]}"
	case $top in
	none) ok "without stable-pi cache and backing device differ" holds "$failed == 0 && $hits > 0 && $apart > 0" ;;
	*)
		ok "stable-pi on top: no write fails" holds "$done_writes > 0 && $failed == 0 && $mutations > 0"
		ok "stable-pi on top: cache and backing device are the same" holds "$hits > 0 && $apart == 0"
		counters "${filters[0]}"
		ok "stable-pi on top: it is not trusted, and all was copied" is \
			"$(status_of "${filters[0]}" trust) $((copied == writes))" "off 1"
		;;
	esac
	unstack
done

# corrupt DEVICE BLOCK: other data below the same tuples; a block has 4096 bytes.
corrupt() {
	must without_tuples "$1" dd if=/dev/urandom "of=$1" bs=4096 "seek=$2" count=1 oflag=direct conv=notrunc
}

# find_cached TEXT: sets cached to the block of the cache's disk that begins with it.
find_cached() {
	local at
	at=$(dd if="${all_disks[0]}" bs=1M iflag=direct status=none | grep -abo -m 1 "$1" | head -n 1)
	cached=$((${at%%:*} / 4096))
}
declare cached

# block: the top hands out what was written.
block() {
	dd if=/dev/bcache0 bs=4096 skip=9 count=1 iflag=direct status=none | cmp - "$work/block"
}

yes "bcache-and-a-block" | head -c 4096 >"$work/block"
for below in linear stable-pi; do
	stack "pi 2"
	all_disks=("${legs[@]}")
	for disk in "${all_disks[@]}"; do
		must dd if=/dev/zero "of=$disk" bs=1M count=16 oflag=direct
		[ $below = stable-pi ] || echo 0 >"/sys/block/${disk##*/}/integrity/read_verify"
	done
	case $below in
	linear) layer_linear 0 ;;
	*) layer_stable_pi policy:auto ;;
	esac
	layer_bcache
	must dd if="$work/block" of=/dev/bcache0 bs=4096 seek=9 oflag=direct
	must find_cached bcache-and-a-block
	corrupt "${all_disks[0]}" "$cached"
	case $below in
	linear) ok "over disks that nobody verifies it hands out other data" fails block ;;
	*)
		ok "over stable-pi it hands out what was written" block
		ok "the cache has reported the corrupt sector" holds \
			"$(status_of "${filters[0]}" corrupt) > 0 && $(status_of "${filters[1]}" corrupt) == 0"
		;;
	esac
	unstack
done
finish
