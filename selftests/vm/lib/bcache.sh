# SPDX-License-Identifier: GPL-2.0
# shellcheck shell=bash
#
# What bcache's cache and its backing device hold.

# bcache's superblock of a backing device, in bytes.
data_start=8192

# apart: how many blocks of what the cache has are other ones on the backing device. Sets apart,
# and hits: sectors that were read from the cache. A small cache does not take all that is written.
apart() {
	local size=$((2 << 20)) backing=${all_disks[1]}
	hits=$(($(read_from "$backing") + size / 512))
	must dd if=/dev/bcache0 of="$work/cache" bs=64k iflag=direct,count_bytes "count=$size"
	hits=$((hits - $(read_from "$backing")))
	must dd if="$backing" of="$work/backing" bs=4k iflag=direct,skip_bytes,count_bytes "skip=$data_start" "count=$size"
	apart=$(cmp -l "$work/cache" "$work/backing" | awk '{ blocks[int(($1 - 1) / 4096)] } END { print length(blocks) }')
}
declare apart hits
# The two disks: the cache's, and the one that is backed.
declare -a all_disks

# read_from DEVICE: sectors, until now.
read_from() {
	local sectors
	read -r _ _ sectors _ <"/sys/block/${1##*/}/stat"
	echo "$sectors"
}
