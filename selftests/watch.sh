# SPDX-License-Identifier: GPL-2.0
# shellcheck shell=bash
#
# What a test leaves behind in the kernel: block devices, mounts, swap, modules and
# threads; and on the debug kernel objects of the slab allocator, and leaks that
# kmemleak finds. For selftests/guest.
#
# A process takes a tenth of a second on the debug kernel, so this starts few.

leaks=/sys/kernel/debug/kmemleak
caches='^(kmalloc-|bio|dm)'
# What other work in the kernel was seen to change in one cache while a test ran is
# less than half of this; a load has more writes.
tolerance=150

is_debug_kernel() {
	[ -e "$leaks" ]
}

# grown_limit CACHE: sets limit. A processor keeps bios of io_uring's direct I/O that
# were freed, 256 of them (ALLOC_CACHE_MAX in block/bio.c).
processors=(/sys/devices/system/cpu/cpu[0-9]*)
grown_limit() {
	limit=$tolerance
	[[ $1 != bio* ]] || limit=$((tolerance + 256 * ${#processors[@]}))
}

# Each of these prints a line for each thing that there is --------------------

devices() {
	local dir name
	for dir in /sys/class/block/*; do
		# A loop device without a file is always there.
		[[ $dir != */loop* ]] || [ -e "$dir/loop" ] || continue
		name=
		[ ! -e "$dir/dm/name" ] || read -r name <"$dir/dm/name"
		printf 'block device %s\n' "${dir##*/}${name:+ $name}"
	done
}

# columns N TITLE FILE: that column of each line. tracefs comes by itself below
# debugfs, when somebody looks there.
columns() {
	local line
	while read -ra line; do
		[ "${line[$1]}" = /sys/kernel/debug/tracing ] ||
			printf '%s %s\n' "$2" "${line[$1]}"
	done <"$3"
}

# A worker of a pool is not counted: it keeps the name of what it did last.
threads() {
	local file name
	for file in /proc/[0-9]*/comm; do
		name=
		read -r name <"$file"
		[[ $name != *stable* || $name == kworker/[0-9u]* ]] || printf 'thread %s\n' "$name"
	done 2>/dev/null
}

things() {
	devices
	columns 1 mount /proc/self/mounts
	columns 0 swap /proc/swaps
	columns 0 module /proc/modules
	threads
}

# missing LINES OTHERS: those of the first that are not among the others.
missing() {
	local line
	while IFS= read -r line; do
		[[ $'\n'$2$'\n' == *$'\n'"$line"$'\n'* ]] || printf '%s\n' "$line"
	done <<<"$1"
}

# remove_modules: those that were loaded since; a test has no need to do that. One
# that cannot go is still used, and is found among the things.
remove_modules() {
	local word name again=1
	while ((again)); do
		again=0
		while read -r word name; do
			[ "$word" = module ] || continue
			rmmod "$name" 2>/dev/null && again=1
		done < <(missing "$(columns 0 module /proc/modules)" "$before")
	done
}

# The slab allocator ----------------------------------------------------------

# drain: nothing is kept that nobody uses. An object that was freed stays in
# KASAN's quarantine, and is counted, until its cache is shrunk; each page of the
# trace buffer has an object.
drain() {
	local dir
	echo 8 >/sys/kernel/tracing/buffer_size_kb
	sync
	echo 3 >/proc/sys/vm/drop_caches
	for dir in /sys/kernel/slab/*; do
		[[ ! ${dir##*/} =~ $caches ]] || echo 1 >"$dir/shrink"
	done 2>/dev/null
}

# objects: CACHE COUNT, those of the caches that bios and ours come from.
objects() {
	local cache count rest
	while read -r cache count rest; do
		[[ ! $cache =~ $caches ]] || printf '%s %s\n' "$cache" "$count"
	done </proc/slabinfo
}

# grown: CACHE BEFORE AFTER, where there are more than chance explains.
grown() {
	local cache count limit
	local -A old=()
	while read -r cache count; do
		old[$cache]=$count
	done <<<"$objects_before"
	while read -r cache count; do
		grown_limit "$cache"
		((count <= ${old[$cache]:-0} + limit)) ||
			printf '%s %d %d\n' "$cache" "${old[$cache]:-0}" "$count"
	done < <(objects)
}

# origins: CACHE FUNCTION COUNT, who has asked for the objects of these caches. A function is
# one place, on whatever way it was called.
# shellcheck disable=SC2016 # what has a dollar is awk's
origins() {
	local dir
	for dir in /sys/kernel/debug/slab/*/; do
		dir=${dir%/}
		[[ ! ${dir##*/} =~ $caches ]] || printf '%s/alloc_traces\0' "$dir"
	done | xargs -0r awk '
	/^ *[0-9]/ { sub(/\+0x.*/, "", $2); n = split(FILENAME, part, "/"); count[part[n - 1] " " $2] += $1 }
	END { for (of in count) print of, count[of] }' 2>/dev/null
}

# grown_by CACHE: FUNCTION BEFORE AFTER, where one has asked for many more. False if nothing
# says who has asked for what there is. Names are what the kernel's objects have, such as the
# folders in sysfs; of those that a test leaves behind there are other signs. And each disk of
# scsi_debug leaves a host and a target with up to four objects of a function in this kernel, with
# nothing of ours loaded: `modprobe scsi_debug; rmmod scsi_debug`.
names='^(kstrdup_const|kvasprintf_const)$'
grown_by() {
	awk -v cache="$1" -v names="$names" '
	NF != 3 { next }
	$2 == "scsi_alloc_target" { disks += NR == FNR ? -$3 : $3 }
	$1 == cache && NR == FNR { old[$2] = $3 }
	$1 == cache && NR != FNR { new[$2] = $3 }
	END {
		for (of in new) {
			all++
			limit = old[of] + 50 + (of ~ /^rust_helper_/ ? 0 : 4 * disks)
			if (of !~ names && new[of] > limit) print of, old[of] + 0, new[of]
		}
		exit !all
	}' <(printf '%s\n' "$origins_before") <(printf '%s\n' "$origins_after")
}

# The whole -------------------------------------------------------------------

# complain TITLE TEXT: if there is a text.
complain() {
	[ -n "$2" ] || return 0
	printf '# left behind: %s\n' "$1"
	printf '#   %s\n' "${2//$'\n'/$'\n#   '}"
	left=1
}

watch_begin() {
	before=$(things)
	is_debug_kernel || return 0
	drain
	objects_before=$(objects)
	origins_before=$(origins)
	echo clear >"$leaks"
}

# watch_end: false, with the reasons, if anything is left of what was not there at
# the beginning.
watch_end() {
	local left=0 after more cache rest from leaked i begin=$SECONDS
	remove_modules
	after=$(things)
	complain "there was not before" "$(missing "$after" "$before")"
	complain "there is no more" "$(missing "$before" "$after")"
	is_debug_kernel || return "$left"
	# An object counts as leaked when it is 5 s old, and two scans have missed it.
	echo scan >"$leaks"
	# Some is freed by RCU, or by a worker, in a while.
	for ((i = 0; i < 5; i++)); do
		drain
		more=$(grown)
		[ -n "$more" ] || break
		sleep 1
	done
	# What comes from many places, a few from each, are a kernel's own: folders in sysfs, modules.
	origins_after=
	[ -z "$more" ] || origins_after=$(origins)
	while read -r cache rest; do
		[ -n "$cache" ] || continue
		from=$(grown_by "$cache") || from="it is not known who"
		if [ -n "$from" ]; then
			complain "objects of $cache, $rest (before, after), which were asked for by" "$from"
		else
			printf '# more objects of %s, %s (before, after), but not from one place\n' "$cache" "$rest"
		fi
	done <<<"$more"
	((SECONDS - begin >= 6)) || sleep $((begin + 6 - SECONDS))
	echo scan >"$leaks"
	# The first of them say it; a leak in each write would be a hundred thousand lines.
	IFS= read -rN 16384 leaked <"$leaks"
	complain "memory that nobody refers to" "$leaked"
	return "$left"
}
