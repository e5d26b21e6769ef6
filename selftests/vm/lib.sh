# SPDX-License-Identifier: GPL-2.0
# shellcheck shell=bash
# shellcheck source-path=SCRIPTDIR disable=SC2034
#
# What the tests inside the virtual machine share: disks, targets, loads, and
# what is looked at afterwards. A script sources this, calls plan, and ends with
# finish; what it has made is taken down by finish, in reverse order.

cd "$(dirname "${BASH_SOURCE[0]}")/../.." || exit 1
. selftests/ktap.sh
top=$PWD
vm=$top/selftests/vm
loads=$top/build/cargo/release/loads
module=$top/build/module/$(uname -r)/stable_pages.ko
work=$(mktemp -d)

# plan N: and one case more, the kernel log at the end.
plan() {
	printf 'KTAP version 1\n1..%d\n' $(($1 + 1))
}

# How many times slower than on the stock kernel everything is; selftests/run says. Where
# it is more than 1, a test that goes through many alike goes through few.
SELFTEST_SCALE=${SELFTEST_SCALE:-1}

# scaled NUMBER: of repetitions, so that they take about as long as they do on the
# stock kernel; 1 at least.
scaled() {
	printf '%d\n' $((($1 + SELFTEST_SCALE - 1) / SELFTEST_SCALE))
}

# wait_for SECONDS COMMAND...: until it succeeds; longer where all is slower.
wait_for() {
	local end=$((SECONDS + $1 * SELFTEST_SCALE))
	shift
	until "$@"; do
		((SECONDS <= end)) || return 1
		sleep 0.05
	done
}

# must COMMAND...: what a test cannot do without.
must() {
	"$@" >"$work/must" 2>&1 || {
		note "$(<"$work/must")"
		bail "failed: $*"
	}
}

# The module -----------------------------------------------------------------

load_module() {
	modprobe dm_mod && insmod "$module"
}

unload_module() {
	rmmod stable_pages
}

# The disk -------------------------------------------------------------------

disk='' sectors=0

# Keep a write waiting between the checksum, which is made when it is submitted,
# and the check: the disk takes one at a time and needs 2 ms for it.
# shellcheck disable=SC2034
window=(max_queue=1 ndelay=2000000)

find_disk() {
	local dir model
	for dir in /sys/block/sd*; do
		model=
		read -r model <"$dir/device/model"
		[[ $model == scsi_debug* ]] || continue
		disk=/dev/${dir##*/}
		read -r sectors <"$dir/size"
		((sectors > 0)) && test -b "$disk" && return
	done 2>/dev/null
	return 1
}

# make_disk PARAMETER...: of scsi_debug. Sets disk and sectors.
make_disk() {
	must modprobe sd_mod
	must modprobe scsi_debug "$@"
	wait_for 10 find_disk || bail "scsi_debug made no disk"
	[[ " $* " != *" dix=1 "* ]] || wait_for 5 test -e "/sys/block/${disk##*/}/integrity/format" ||
		bail "$disk has no sysfs folder"
}

drop_disk() {
	local gone=$disk
	[ -n "$gone" ] || return 0
	must wait_for 10 rmmod scsi_debug
	must wait_for 10 test ! -e "$gone"
	disk=
}

# integrity FILE: of the disk.
integrity() {
	cat "/sys/block/${disk##*/}/integrity/$1"
}

# sysfs_of NAME: the folder of a mapped device.
sysfs_of() {
	printf '/sys/block/%s\n' "$(dmsetup info -c --noheadings -o blkdevname "$1")"
}

# wipe: nothing of an earlier load is left; all of the disk can be read.
wipe() {
	must dd if=/dev/zero "of=$disk" bs=1M oflag=direct iflag=count_bytes "count=$((sectors * 512))"
}

# partition: one sfdisk line each from standard input.
partition() {
	must sfdisk --quiet --no-tell-kernel "$disk"
	must blockdev --rereadpt "$disk"
	must wait_for 5 test -b "${disk}1"
}

# Mapped devices -------------------------------------------------------------

mapped=() mounts=()

# map NAME LINE...: a mapped device with that table.
map() {
	local name=$1 lines
	shift
	printf -v lines '%s\n' "$@"
	dmsetup create "$name" <<<"$lines" || return
	test -b "/dev/mapper/$name" || {
		echo "/dev/mapper/$name is no block device"
		return 1
	}
	mapped+=("$name")
}

unmap() {
	local name=$1 i
	dmsetup remove "$name" || return
	for i in "${!mapped[@]}"; do
		[ "${mapped[i]}" != "$name" ] || unset "mapped[i]"
	done
}

# protect [ARGUMENT...]: stable-pi over all of the disk, as /dev/mapper/t.
protect() {
	must map t "0 $sectors stable-pi $disk 0 $# $*"
}

# status_of NAME KEY: a field of the status line.
status_of() {
	local word
	for word in $(dmsetup status "$1"); do
		[[ $word != "$2":* ]] || {
			printf '%s\n' "${word#*:}"
			return
		}
	done
	return 1
}

# What a status line counts.
counter_names=(
	writes intervals in_place copied copied_kernel copied_waits copied_cache copied_anon
	copied_pinned copied_foreign forwarded rechecked retried unstable blameless repaired
	unrepaired reads_verified false_alarms corrupt
)

# counters NAME: sets the shell variables of these names; of several targets to the
# sums.
counters() {
	local status word name
	for name in "${counter_names[@]}"; do
		printf -v "$name" 0
	done
	status=$(dmsetup status "$1")
	for word in $status; do
		name=${word%%:*}
		[[ " ${counter_names[*]} " != *" $name "* ]] ||
			printf -v "$name" %d $((${!name} + ${word#*:}))
	done
	note "$status"
}

# ext4_on DEVICE: made and mounted on $mnt.
mnt=$work/mnt
ext4_on() {
	mkdir -p "$mnt"
	must modprobe ext4
	must mkfs.ext4 -q -F -E nodiscard,lazy_itable_init=0,lazy_journal_init=0 "$1"
	must mount -t ext4 "$1" "$mnt"
	mounts+=("$mnt")
}

umount_all() {
	local dir
	for dir in "${mounts[@]}"; do
		umount "$dir" || return
	done
	mounts=()
}

# Loads ----------------------------------------------------------------------

bad=''

# load ARGUMENT...: run one of the load generators. Sets outcome, and from it
# the shell variables done_writes, failed, mutations, bad, mismatched, unreadable.
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

# Trace events ---------------------------------------------------------------

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

# traced REGEX: the number of lines.
traced() {
	grep -cE -e "$1" "$work/trace" || :
}

# The kernel log -------------------------------------------------------------

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

# The end --------------------------------------------------------------------

# cleanup: everything that the script made, last first; false if any of it does
# not go.
cleanup() {
	local i rc=0
	umount_all || rc=1
	for i in $(printf '%s\n' "${!mapped[@]}" | tac); do
		dmsetup remove "${mapped[i]}" || rc=1
	done
	[ ! -e /sys/module/stackfs ] || rmmod stackfs || rc=1
	[ ! -e /sys/module/stable_pages ] || unload_module || rc=1
	[ ! -e /sys/module/scsi_debug ] || wait_for 10 rmmod scsi_debug || rc=1
	return $rc
}

finish() {
	cleanup || note "what the test made cannot all be removed"
	ok "the kernel log has no finding" scan_kernel_log
	cd / && rm -rf "$work" "$ktap_output"
	((ktap_failed == 0))
	exit
}
