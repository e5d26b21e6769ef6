# SPDX-License-Identifier: GPL-2.0
# shellcheck shell=bash
#
# The kernel log.

log_marker=none logged=()

# log_mark: new_log prints what comes after this.
log_mark() {
	log_marker="selftests: mark $RANDOM$RANDOM"
	echo "$log_marker" >/dev/kmsg
}

# read_log: sets logged to the lines after the mark. They are not counted: the
# buffer forgets its first ones when it is full.
read_log() {
	local i
	dmesg >"$work/kernel_log"
	mapfile -t logged <"$work/kernel_log"
	for ((i = ${#logged[@]}; i > 0; i--)); do
		[[ ${logged[i - 1]} != *"$log_marker" ]] || break
	done
	logged=("${logged[@]:i}")
}

new_log() {
	read_log
	((${#logged[@]} == 0)) || printf '%s\n' "${logged[@]}"
}

# log_says TEXT: after the mark, in one line.
log_says() {
	read_log
	[[ "${logged[*]}" != *"$1"* ]] || return 0
	echo "the log does not say: $1"
	((${#logged[@]} == 0)) || printf '%s\n' "${logged[@]}"
	return 1
}

scan_kernel_log() {
	local allow=() regex
	while IFS= read -r regex; do
		allow+=(--allow "$regex")
	done < <(sed -nE '/^#/!q; s/^# allow: *(.*)/\1/p' "$0")
	dmesg >"$work/dmesg"
	qemu/scan-log "${allow[@]}" --taint "$(</proc/sys/kernel/tainted)" "$work/dmesg"
}
