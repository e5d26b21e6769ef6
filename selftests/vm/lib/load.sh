# SPDX-License-Identifier: GPL-2.0
# shellcheck shell=bash
#
# Loads, and what is on the disk after them.

# shellcheck disable=SC2034 # what load sets
declare outcome done_writes failed mutations bad mismatched unreadable

# load ARGUMENT...: run one of the load generators. Sets outcome, and from it
# done_writes, failed, mutations, bad, mismatched, unreadable.
load() {
	outcome=$("$loads" "$@" 2>"$work/loads") || {
		note "loads $*: $(<"$work/loads")"
		outcome=
	}
	note "$outcome"
	set_fields done_writes=writes failed mutations bad mismatched unreadable
	[ -n "$outcome" ]
}

# set_fields [VARIABLE=]NAME...: each to that field of the last outcome. Without a
# process for each, since on the debug kernel one takes a tenth of a second.
set_fields() {
	local item regex
	for item; do
		regex="[{,]\"${item#*=}\":\"?([^,}\"]*)"
		if [[ ${outcome:-} =~ $regex ]]; then
			printf -v "${item%=*}" %s "${BASH_REMATCH[1]}"
		else
			printf -v "${item%=*}" ''
		fi
	done
}

# field NAME: of the last outcome, a number or a string; empty if it is not there.
field() {
	local value
	set_fields "value=$1"
	printf '%s\n' "$value"
}

# written OFFSET KIND NUMBER...: a write of writes.py; the disk holds what the
# buffers held.
written() {
	local offset=$1 kind=$2 out hash size
	shift 2
	out=$("$vm/writes.py" "$kind" /dev/mapper/t "$offset" "$@")
	read -r hash size <<<"$out"
	[[ $size =~ ^[0-9]+$ ]] || {
		printf '%s\n' "$out"
		return 1
	}
	is "$(dd if="$disk" bs=1M iflag=direct,skip_bytes,count_bytes skip="$offset" count="$size" status=none |
		sha256sum | cut -d' ' -f1)" "$hash"
}

# scribble DEVICE: reads whose buffers change all the time, until one has failed or, of stable-pi, has
# been a false alarm, five times at most.
# shellcheck disable=SC2034 # for scripts
declare reads reads_failed
scribble() {
	local i alarms=0
	for i in 1 2 3 4 5; do
		load direct --path "$1" --size 2M --seconds 60 --op-limit "$(scaled 200)" --read-percent 100 --seed "$i" || return
		set_fields reads reads_failed
		[ "$1" != /dev/mapper/t ] || {
			counters t
			alarms=$false_alarms
		}
		((reads_failed + alarms == 0)) || return 0
	done
}

# Everything that the disk holds passes the kernel's own verification.
reads_back() {
	load readback --path "${1:-$disk}" || return
	echo "$outcome"
	[ "$bad" = 0 ] && [ "$(field transient)" = 0 ]
}

# serve_tuples: from now on one process answers what tuples.py is asked for: to
# start it takes longer than what it does. Not for a subshell; in one it can be
# asked.
serve_tuples() {
	coproc tuples_server { exec "$vm/tuples.py" serve; }
	exec {tuples_to}>&"${tuples_server[1]}" {tuples_from}<&"${tuples_server[0]}"
}
tuples_to=''

# ask_tuples WORD...: see tuples.py.
ask_tuples() {
	local text='' status
	[ -n "$tuples_to" ] || {
		"$vm/tuples.py" "$@"
		return
	}
	printf '%s\n' "$work/answer $*" >&"$tuples_to"
	read -r status <&"$tuples_from" || return
	IFS= read -rd '' text <"$work/answer"
	printf %s "$text"
	return "$status"
}

# tuples_are BLOCK COUNT APP_TAG: what the disk holds there has right tuples with
# that application tag (four hexadecimal digits). Nobody but the target writes one
# that is not 0, so it shows whose tuples they are.
tuples_are() {
	ask_tuples "$disk" "$1" "$2" | awk -v count="$2" -v app="$3" -v profile="$(integrity format)" '
	{
		guard = profile ~ /IP$/ ? $6 : $5
		ref = sprintf("%08x", $1)
		if ($2 != guard || $3 != app || $4 != ref) {
			if (++bad > 5)
				exit
			print "block " $1 ": guard " $2 " app " $3 " ref " $4 \
				" instead of " guard " " app " " ref
		}
	}
	END { exit bad || NR != count }'
}
