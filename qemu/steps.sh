# SPDX-License-Identifier: GPL-2.0
# shellcheck shell=bash
#
# Steps that take long: each has its output in a log, shows that it is alive, and names
# the log if it fails. Those that need nothing of each other go on side by side.

planned=()
declare -A step_title step_needs step_command step_state step_pid step_start step_last

# plan NAME TITLE NEEDS COMMAND...: a step to be run once all that it NEEDS, the names
# of others, have been; one that is not planned is taken to be there. The command is
# words without blanks.
plan() {
	planned+=("$1")
	step_title[$1]=$2 step_needs[$1]=$3 step_command[$1]=${*:4} step_state[$1]=waiting
}

# step TITLE COMMAND...: one step alone, at once.
step() {
	local planned=()
	plan alone "$1" '' "${@:2}"
	run_steps
}

log_of() {
	printf '%s/log/%s.log\n' "$cache" "$(printf '%s' "${step_title[$1]}" | tr -cs 'A-Za-z0-9.' '-')"
}

# label NAME: "step K of N: TITLE", where there are several.
label() {
	local i
	if ((${#planned[@]} > 1)); then
		for ((i = 0; i < ${#planned[@]}; i++)); do
			[ "${planned[i]}" != "$1" ] || printf 'step %d of %d: ' $((i + 1)) ${#planned[@]}
		done
	fi
	printf '%s' "${step_title[$1]}"
}

is_ready() {
	local need
	[ "${step_state[$1]}" = waiting ] || return
	for need in ${step_needs[$1]}; do
		case ${step_state[$need]:-done} in
		waiting | running) return 1 ;;
		esac
	done
}

start_step() {
	local command
	read -ra command <<<"${step_command[$1]}"
	printf '  %s ...\n' "$(label "$1")" >&2
	# A process group of its own, so that an interrupt ends all of it.
	set -m
	("${command[@]}") >"$(log_of "$1")" 2>&1 </dev/null &
	step_pid[$1]=$!
	set +m
	step_state[$1]=running step_start[$1]=$SECONDS step_last[$1]=0
}

# show_alive NAME: four times a minute.
show_alive() {
	local seconds=$((SECONDS - step_start[$1]))
	((seconds >= step_last[$1] + 15)) || return 0
	step_last[$1]=$seconds
	printf '    %4d s  %s: %s\n' "$seconds" "$(label "$1")" \
		"$(tail -c 300 "$(log_of "$1")" | tr '\r' '\n' | tail -n 1 | cut -c1-70)" >&2
}

end_steps() {
	local name
	for name in "${planned[@]}"; do
		[ "${step_state[$name]}" != running ] || kill -TERM -- "-${step_pid[$name]}" 2>/dev/null || true
	done
}

finish_step() {
	local status=0 seconds=$((SECONDS - step_start[$1]))
	wait "${step_pid[$1]}" || status=$?
	step_state[$1]=done
	if ((status)); then
		end_steps
		tail -n 15 "$(log_of "$1")" >&2
		die "${step_title[$1]} failed (status $status); the whole log is in $(log_of "$1")"
	fi
	printf '  %s: %d s\n' "$(label "$1")" "$seconds" >&2
	# What the run of all tests shows at its end.
	[ -z "${STEP_TIMES:-}" ] || printf '%d\t%s\n' "$seconds" "${step_title[$1]}" >>"$STEP_TIMES"
}

# run_steps: all that were planned, as many side by side as there are processors, and
# one more.
run_steps() {
	local name running limit
	limit=$(($(nproc) + 1))
	mkdir -p "$cache/log"
	trap 'end_steps; exit 130' INT TERM HUP
	while :; do
		running=0
		for name in "${planned[@]}"; do
			if [ "${step_state[$name]}" = running ]; then
				if kill -0 "${step_pid[$name]}" 2>/dev/null; then
					show_alive "$name"
					running=$((running + 1))
				else
					finish_step "$name"
				fi
			fi
		done
		for name in "${planned[@]}"; do
			if ((running < limit)) && is_ready "$name"; then
				start_step "$name"
				running=$((running + 1))
			fi
		done
		((running)) || break
		sleep 0.2
	done
	trap - INT TERM HUP
	planned=()
}
