#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
#
# content.sh: what is written is what is read, for writes of every shape: small
# and large, in pieces, and longer than the metadata that goes with one bio.
#
# Other tests write pieces, and long ones, there:
# requires: stock kernel
# timeout: 150
# covers: rust/block rust/filter

. "$(dirname "$0")/lib.sh"

# verified COUNT BLOCK [OPTION]...: random writes of that size hold what was written.
verified() {
	load direct --path /dev/mapper/t --block-size "$2" --seconds 60 --op-limit "$(scaled "$1")" --depth 2 --no-mutate --verify "${@:3}" || return
	echo "$outcome"
	holds "$done_writes > 0 && $failed == 0 && $mismatched == 0 && $unreadable == 0"
}

make_disk dev_size_mb=48 dif=1 dix=1 guard=0
ok "the module loads" load_module
echo 12 >/proc/sys/vm/nr_hugepages
note "huge pages: $(</proc/sys/vm/nr_hugepages)"

for policy in optimistic copy wait; do
	protect "policy:$policy" recheck:on app_tag:7
	ok "$policy: writes of 512 bytes" verified 40 512 --size 1M
	ok "$policy: writes of 20 KiB" verified 40 20K --size 4M
	ok "$policy: writes of 4 MiB from huge pages" verified 8 4M --size 32M --huge
	for shift in 0 1536; do
		ok "$policy: pieces $shift bytes into their pages" \
			written $((shift * 8)) vector "$shift" 512 4096 1536 8192 3584 512 5120 4608
	done
	counters t
	before=$writes bytes_before=$intervals
	ok "$policy: one write of 16 MiB from huge pages" written 1048576 huge 16777216
	counters t
	split=$((writes - before)) generated=$((intervals - bytes_before))
	note "$split writes of $generated intervals in all"
	ok "$policy: is split, for 4 MiB have as many tuples as go with one bio" holds "$split >= 4 && $generated == 32768"
	must unmap t
done
ok "all of the disk can be read" reads_back
finish
