# SPDX-License-Identifier: GPL-2.0
# shellcheck shell=bash
#
# What the tests inside the virtual machine share. A test is
#
#     #!/bin/bash
#     # SPDX-License-Identifier: GPL-2.0
#     #
#     # name.sh: what is so.
#     #
#     # timeout: 120
#     # covers: rust/filter rust/block
#
#     . "$(dirname "$0")/lib.sh"
#     # shellcheck source=lib/stack.sh
#     . "$vm/lib/stack.sh"
#
#     load_module
#     stack 'pi delay:2' 'md 1 2' 'stable-pi policy:copy'
#     load direct --path "$top_device" --size 2M --seconds 60 --op-limit "$(scaled 120)"
#     ok "no write fails whose buffer changes" holds "$failed == 0 && $done_writes > 0"
#     unstack
#     finish
#
# - ok NAME COMMAND... is a case. finish counts them, looks at the kernel log, prints
#   the plan and ends the script; one that ends before that has failed. must COMMAND...
#   is for what is no case, and ends the script if it fails.
# - What a function gives is in variables, which its file declares without a value: so
#   their names are known to shellcheck, and to read one too early ends the script.
#   Expressions are in double quotes, holds "$failed == 0", so that their names are seen,
#   too. Declare what your own functions give in the same way.
# - defer COMMAND... takes down what you make, in finish, last first; map, mount_at,
#   make_disk, load_module and stack do that for what they make. unmap, unmount, unstack
#   and drop_disk do it earlier.
# - stack, and control, which is the same without stable-pi, are in lib/stack.sh; lib/ has
#   more of what several tests need.
# - covers: the files (or folders) that the test shows something of; see selftests/run.

cd "$(dirname "${BASH_SOURCE[0]}")/../.." || exit 1
. selftests/ktap.sh
top=$PWD
vm=$top/selftests/vm
# shellcheck disable=SC2034 # for scripts
loads=$top/build/cargo/release/loads
module=$top/build/module/$(uname -r)/stable_pages.ko
work=$(mktemp -d)

# How many times slower than on the stock kernel everything is; selftests/run says. Where
# it is more than 1, a test that goes through many alike goes through few.
SELFTEST_SCALE=${SELFTEST_SCALE:-1}

# scaled NUMBER: of repetitions, so that they take about as long as they do on the
# stock kernel; 1 at least.
scaled() {
	printf '%d\n' $((($1 + SELFTEST_SCALE - 1) / SELFTEST_SCALE))
}

# pause SECONDS: without the process that sleep(1) is, which costs an emulated machine more
# than what it waits for.
exec {nothing}<> <(:)
pause() {
	read -rt "$1" -u "$nothing" || :
}

# wait_for SECONDS COMMAND...: until it succeeds; much longer, since all may be slower.
wait_for() {
	local end=$((SECONDS + $1 * 4 * SELFTEST_SCALE))
	shift
	until "$@"; do
		((SECONDS <= end)) || return 1
		pause 0.05
	done
}

# within SECONDS PROGRAM...: ended after that, or much later, as above.
within() {
	timeout $(($1 * 4 * SELFTEST_SCALE)) "${@:2}"
}

# must COMMAND...: what a test cannot do without.
must() {
	"$@" >"$work/must" 2>&1 || {
		note "$(<"$work/must")"
		bail "failed: $*"
	}
}

. "$vm/lib/disk.sh"
. "$vm/lib/dm.sh"
. "$vm/lib/load.sh"
. "$vm/lib/trace.sh"
. "$vm/lib/log.sh"

finish() {
	take_down 0 || fail "what it made goes away"
	gone_module stackfs || fail "stackfs goes"
	gone_module stable_pages || fail "the module goes"
	ok "the kernel log has no finding" scan_kernel_log
	cd / && rm -rf "$work" "$ktap_output"
	printf '1..%d\n' "$ktap_count"
	((ktap_failed == 0))
	exit
}

# A test that has a function of the same name would change what these do.
mapfile -t functions < <(compgen -A function)
readonly -f "${functions[@]}"
unset functions
