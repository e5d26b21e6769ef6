#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
#
# messages.sh: policy, verify and recheck change on a live device, from the next
# bio on, under a load as well, without a suspend and without an error; counters
# go back to 0; what is wrong with a message is said in the kernel log.
#
# timeout: 240
# covers: rust/filter rust/block/dm rust/block/integrity

. "$(dirname "$0")/lib.sh"

say() {
	dmsetup message t "${at:-0}" "$@"
}
at=0

# write_some, read_some: four bios.
write_some() {
	dd if=/dev/urandom of=/dev/mapper/t bs=8k count=4 oflag=direct status=none
}

read_some() {
	dd if=/dev/mapper/t of=/dev/null bs=8k count=4 iflag=direct status=none
}

# after MESSAGE EXPRESSION: said of the counters since then, with a few writes and
# reads behind it.
after() {
	local message=$1
	# shellcheck disable=SC2086
	say $message && say reset && write_some && read_some || return
	counters t
	holds "$writes == 4 && $2"
}

# head_is WORD...: the beginning of the status line.
head_is() {
	local words
	read -r -a words <<<"$(dmsetup status t)"
	is "${words[*]:3:$#}" "$*"
}

arguments_are() {
	is "$(dmsetup table t | cut -d' ' -f5-)" "0 $*"
}

# refused WHY WORD...: the message is not taken, one line of the log says why, and
# everything is as it was.
refused() {
	local why=$1 before
	shift
	before=$(dmsetup table t)
	log_mark
	if say "$@"; then
		echo "it was accepted"
		return 1
	fi
	read_log
	if ((${#logged[@]} != 1)) || [[ ! ${logged[0]} =~ "message: "$why$ ]]; then
		echo "the log says:"
		printf '%s\n' "${logged[@]}"
		return 1
	fi
	is "$(dmsetup table t)" "$before"
}

bad() {
	ok "refused: ${*:2}" refused "$@"
}

# begin ARGUMENT...: loads on the target, one after the other, in the background.
begin() {
	rm -f "$work/stop" "$work/outcomes"
	again "$@" &
	background=$!
	wait_for 10 more writes 0
}

again() {
	local i=0 ops
	ops=$(scaled 200)
	until [ -e "$work/stop" ]; do
		i=$((i + 1))
		"$loads" direct --path /dev/mapper/t --size 2M --seconds 60 --op-limit "$ops" --seed "$i" "$@" >>"$work/outcomes" || return
	done
}

end() {
	touch "$work/stop"
	wait "$background" || return
	note "$(<"$work/outcomes")"
}

# total KEY: of all outcomes.
total() {
	grep -oE "\"$1\":[0-9]+" "$work/outcomes" | awk -F: '{ sum += $2 } END { print sum + 0 }'
}

# more KEY NUMBER: it counts more than that.
more() {
	(($(status_of t "$1") > $2))
}

# Enough bios that none is left that was mapped before the first of them.
some=64

grows() {
	wait_for 20 more "$1" $(($(status_of t "$1") + some))
}

# only KEY OTHER...: while KEY grows, the others do not. A bio that is just being
# mapped when a message comes may still be counted for what was said before.
only() {
	local key=$1 i name before now
	shift
	for i in 1 2 3 4 5; do
		grows "$key" || return
		before=$(for name; do status_of t "$name"; done)
		grows "$key" || return
		now=$(for name; do status_of t "$name"; done)
		[ "$now" != "$before" ] || return 0
	done
	echo "while $key grew:" "$@" "went from" "${before//$'\n'/ }" "to" "${now//$'\n'/ }"
	return 1
}

make_disk dev_size_mb=16 dif=1 dix=1 guard=0 max_queue=4 ndelay=500000
wipe
ok "the module loads" load_module

# A device without a profile, and one of two targets.
must modprobe null_blk nr_devices=1 gb=1
must map t "0 2048 stable-pi $disk 0" "2048 2048 stable-pi /dev/nullb0 0"
at=2048
ok "no profile: there is nothing to verify" refused "verify: the device has no integrity profile" verify on
ok "one of two targets" say policy wait
ok "and only that one" is "$(dmsetup table t | grep -o 'policy:[a-z]*' | tr '\n' ' ')" "policy:auto policy:wait "
must unmap t
at=0

protect policy:copy

# The next bio. This disk checks the guard by itself, so auto is optimistic.
ok "policy auto" after "policy auto" 'in_place == 4 && copied == 0'
ok "policy optimistic" after "policy optimistic" 'in_place == 4 && copied == 0'
ok "policy copy" after "policy copy" 'copied == 4 && in_place == 0'
ok "policy wait" after "policy wait" 'in_place == 4 && copied == 0 && rechecked == 0'
ok "policy detect" after "policy detect" 'in_place == 4 && copied == 0 && rechecked == 4'

say policy optimistic
ok "recheck on" after "recheck on" 'rechecked == 4'
ok "recheck off" after "recheck off" 'rechecked == 0'
ok "recheck auto" after "recheck auto" 'rechecked == 0'
say recheck off
ok "detect rechecks all the same" after "policy detect" 'rechecked == 4'

say policy optimistic
say recheck auto
ok "verify off" after "verify off" 'reads_verified == 0'
ok "it is printed" arguments_are 2 policy:optimistic verify:off
ok "verify on" after "verify on" 'reads_verified >= 4'
ok "what was asked for is printed" arguments_are 2 policy:optimistic verify:on

say policy detect
say verify off
say recheck on
ok "the status says what was said" head_is policy:detect verify:off recheck:on
ok "and so does the table" arguments_are 3 policy:detect verify:off recheck:on
table_again() {
	local table
	table=$(dmsetup table t)
	dmsetup load t --table "$table" && dmsetup suspend t && dmsetup resume t &&
		is "$(dmsetup table t)" "$table" && head_is policy:detect verify:off recheck:on
}
trace_on -- 'p:suspended dm_suspend' 'p:swapped dm_swap_table'
ok "which makes the same device again" table_again

reset() {
	local name
	write_some && read_some || return
	counters t
	holds "$writes > 0" || return
	say reset || return
	counters t
	for name in "${counter_names[@]}"; do
		is "$name ${!name}" "$name 0" || return
	done
}
ok "reset: every counter" reset
ok "reset: nothing else" head_is policy:detect verify:off recheck:on
must dmsetup suspend t
ok "a suspended device takes a message" say policy copy
must dmsetup resume t
ok "and does as it was told" after "recheck auto" 'copied == 4'

names="not one of policy, verify, recheck, learn, reset, inject"
policies="policy: not one of auto, optimistic, copy, wait, detect"
bad "$names" polic copy
bad "$names" policy:copy
bad "$names" Policy copy
bad "$names" app_tag 1
bad "$names" passthrough
bad "waits: cannot be changed live, only by a table" waits on
bad "a value is missing" policy
bad "a value is missing" verify
bad "more words than it takes" policy copy wait
bad "more words than it takes" reset all
bad "$policies" policy fast
bad "$policies" policy COPY
bad "verify: not one of on, off" verify auto
bad "recheck: not one of auto, on, off" recheck 1
bad "learn: not one of on, off" learn auto
bad "inject: the table line does not say inject:on" inject guard read 8
bad "inject: the table line does not say inject:on" inject off
# shellcheck disable=SC2046
ok "refused: 33 words" refused "too many arguments" policy $(printf 'copy %.0s' {1..32})
ok "refused: a byte that is no UTF-8" refused "an argument is not UTF-8" $'polic\xff' copy

# Under a load, of which nothing fails.
say verify on
begin --no-mutate --verify --read-percent 30
ok "under load: copy" only copied in_place
say policy optimistic
ok "under load: optimistic" only in_place copied
say policy wait
ok "under load: wait" only in_place copied rechecked
say policy detect
ok "under load: detect" only rechecked copied
say policy auto
ok "under load: auto" only in_place copied
say verify off
ok "under load: verify off" only writes reads_verified
say verify on
ok "under load: verify on" grows reads_verified
ok "the load ends" end
done_writes=$(total writes) failed=$(total failed) reads_failed=$(total reads_failed)
mismatched=$(total mismatched) unreadable=$(total unreadable)
ok "nothing failed, and all holds what was written" holds \
	"$done_writes > 0 && $failed == 0 && $reads_failed == 0 && $mismatched == 0 && $unreadable == 0"

# With buffers that change, until that has been seen.
say reset
begin
changes() {
	local i
	for i in 1 2 3 4 5 6 7 8 9 10; do
		say policy copy && grows copied && say recheck on && say policy optimistic && grows in_place &&
			say verify off && say recheck off && say policy auto && grows in_place &&
			say recheck on && say verify on && grows in_place || return
		! say policy fast 2>/dev/null || return
		more repaired 0 && return
	done
}
ok "buffers change: the messages are taken" changes
ok "the load ends" end
failed=$(total failed) mutations=$(total mutations)
counters t
ok "no write failed, what had changed was repaired" holds \
	"$failed == 0 && $mutations > 0 && $repaired > 0 && $unrepaired == 0"
note "$(<"$work/outcomes")"
trace_off
ok "nothing was suspended but by the two commands that say so" is "$(traced suspended)" 2
ok "no table was changed but by one of them" is "$(traced swapped)" 1
must unmap t
ok "the module goes" unload_module
finish
