# SPDX-License-Identifier: GPL-2.0
# shellcheck shell=bash disable=SC2034 # what it sets is for scripts
#
# What crash.py writes and replays.

rounds=${SELFTEST_SOAK:-$(scaled 6)}
((rounds >= 3)) || rounds=3

# What crash.py answers.
declare changed changed_cache from to entries flushes promises bad_direct bad_dsync bad_cache open \
	width widest settles in_order cut any worst broken lost unflushed torn unexpected other

coproc crash { exec "$vm/crash.py" 2>"$work/crash"; }

# ask WORD...: of crash.py; sets outcome.
ask() {
	outcome=
	printf '%s\n' "$*" >&"${crash[1]}" && IFS= read -r outcome <&"${crash[0]}"
	note "$1: $outcome"
	[ "${outcome:-{\}}" != '{}' ] || {
		note "$(<"$work/crash")"
		bail "crash.py does not $1"
	}
}

# replayed WORD...: of crash.py's replay. Prints the figures, of a kind of disk and the arguments
# of stable-pi, which a script sets.
kind='' arguments=''
figures='# figures: %-6s %-36s %7s %8s %4s %6s %7s %11s %5s %6s %5s\n'
# shellcheck disable=SC2059 # which is a format
printf "$figures" disk arguments entries bad open width flushed points worst broken lost
replayed() {
	ask replay "$@"
	set_fields entries flushes promises bad_direct bad_dsync bad_cache open width widest settles \
		in_order cut any worst broken lost unflushed torn
	# shellcheck disable=SC2059
	printf "$figures" "$kind" "$arguments" "$entries" "$bad_direct/$bad_dsync/$bad_cache" "$open" \
		"$width-$widest" "$settles" "$in_order/$cut/$any" "$worst" "$broken" "$lost/$unflushed"
}

# kept: what was promised is there, and is what was written. A disk that ignores flushes would
# have lost some of it.
kept="lost == 0 && torn == 0 && promises > 0 && flushes > 0 && unflushed > 0"
all_read="bad_direct + bad_dsync + bad_cache == 0 && in_order + cut + any == 0 && broken == 0"

# slowly DEVICE LOG ARGUMENT...: writes to a stable-pi device with these arguments over another, on
# the way to which data takes 100 ms, so that it changes. Sets the counters, too.
slowly() {
	local size
	size=$(blockdev --getsz "$1")
	arguments=${*:3}
	must map slow "0 $size delay $1 0 0 $1 0 100"
	must map t "0 $size stable-pi /dev/mapper/slow 0 $(($# - 2)) $arguments"
	ask write /dev/mapper/t "$rounds" 1 "$2"
	set_fields done_writes=writes failed changed changed_cache
	counters t
	must unmap t
	must unmap slow
}
