# SPDX-License-Identifier: GPL-2.0
# shellcheck shell=bash disable=SC2034 # what it sets is for scripts
#
# Trace events.

tracing=/sys/kernel/tracing

# trace_on EVENT... [-- PROBE...]: begin anew; an event is subsystem:name, a
# probe one line of kprobe_events, to be called kprobes:NAME.
trace_on() {
	local event
	echo 0 >"$tracing/tracing_on"
	echo 0 >"$tracing/events/enable"
	: >"$tracing/kprobe_events"
	: >"$tracing/trace"
	echo 16384 >"$tracing/buffer_size_kb"
	while (($#)) && [ "$1" != -- ]; do
		trace_events+=("$1")
		shift
	done
	for event in "${@:2}"; do
		echo "$event" >>"$tracing/kprobe_events" || return
		event=${event#*:}
		trace_events+=("kprobes:${event%% *}")
	done
	for event in "${trace_events[@]}"; do
		echo 1 >"$tracing/events/${event/://}/enable" || return
	done
	trace_events=()
	echo 1 >"$tracing/tracing_on"
}
trace_events=()

# trace_off: what was traced is in $work/trace then.
trace_off() {
	echo 0 >"$tracing/tracing_on"
	grep -v '^#' "$tracing/trace" >"$work/trace"
	echo 0 >"$tracing/events/enable"
	: >"$tracing/kprobe_events"
}

# prepared COMMAND...: how often the block layer generates, or verifies, meanwhile: count.
prepared() {
	trace_on -- 'p:prep bio_integrity_prep' || return
	"$@" || return
	trace_off
	count=$(traced ' prep: ')
}

# traced REGEX: the number of lines.
traced() {
	grep -cE -e "$1" "$work/trace" || :
}
