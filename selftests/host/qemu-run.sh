#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
#
# qemu-run.sh: what qemu/run promises to the tests that it runs.
#
# requires: vm
# timeout: 900
#
# shellcheck disable=SC2016

set -u

cd "$(dirname "$0")/../.." || exit 1
top=$(pwd -P)
KERNEL=$(bash -c '. qemu/lib.sh && set_series && printf %s "$KERNEL"') || exit 1
export KERNEL
mkdir -p build
work=$(mktemp -d "$top/build/qemu-run.XXXXXX")
trap 'rm -rf "$work"' EXIT
count=0 failed=0

again='QEMU has died before the command began; another one is started'

# vm NAME [OPTION]... -- COMMAND...: run in the background, two at a time, with
# the output in files.
vm() {
	local name=$1
	shift
	while (($(jobs -pr | wc -l) >= 2)); do
		wait -n
	done
	(
		rc=0
		"$top/qemu/run" --timeout 300 "$@" >"$work/$name.out" 2>"$work/$name.err" || rc=$?
		# What is said of a machine that had to be started again comes before all else.
		! grep -q "$again" "$work/$name.err" || sed -i "1,/$again/d" "$work/$name.err"
		printf '%s\n' "$rc" >"$work/$name.rc"
	) &
}

ok() {
	local name=$1 rc=0
	shift
	"$@" || rc=$?
	count=$((count + 1))
	if ((rc == 0)); then
		printf 'ok %d %s\n' "$count" "$name"
		return
	fi
	printf 'not ok %d %s\n' "$count" "$name"
	failed=1
}

status() {
	[ "$(<"$work/$1.rc")" = "$2" ] && return
	printf '# status %s instead of %s:\n' "$(<"$work/$1.rc")" "$2"
	sed 's/^/# /' "$work/$1.err"
	return 1
}

has() {
	grep -qE -e "$2" "$work/$1" && return
	printf '# no line of %s matches %s:\n' "$1" "$2"
	head -c 2000 "$work/$1" | sed 's/^/# /'
	return 1
}

is() {
	[ "$1" = "$2" ] && return
	printf '# %q instead of %q\n' "$1" "$2"
	return 1
}

# no_machine NAME: nothing of that run is alive.
no_machine() {
	local id
	id=$(sed -nE 's,.*build/vm/([0-9-]+)/console.log.*,\1,p' "$work/$1.err" | head -n 1)
	[ -n "$id" ] || return 1
	sleep 0.5
	! grep -qsa "vmrun=$id" /proc/[0-9]*/cmdline
}

# interrupt NAME SIGNAL: start a machine, and send the signal while it runs.
interrupt() {
	local pid rc=0 i
	env --default-signal=INT "$top/qemu/run" -- \
		sh -c 'echo up; exec sleep 1000' >"$work/$1.out" 2>"$work/$1.err" &
	pid=$!
	for ((i = 0; i < 600; i++)); do
		grep -q up "$work/$1.out" && break
		sleep 0.1
	done
	kill "-$2" "$pid"
	wait "$pid" || rc=$?
	printf '%s\n' "$rc" >"$work/$1.rc"
}

# silence NAME: stop the processor emulator before the kernel has said anything.
silence() {
	local mark=$1-$BASHPID rc=0 i
	for ((i = 0; i < 1000; i++)); do
		! pkill -STOP -f "^qemu-system-[^ ]* .*vmrun=.*$mark" || break
		sleep 0.05
	done &
	"$top/qemu/run" --timeout 300 --append "$mark" -- echo up >"$work/$1.out" 2>"$work/$1.err" || rc=$?
	printf '%s\n' "$rc" >"$work/$1.rc"
}

# early NAME: the emulator aborts as it does when it finds a fault of its own, once the kernel
# has said something.
early() {
	local mark=$1-$BASHPID rc=0 i
	for ((i = 0; i < 1000; i++)); do
		! grep -qsa "vmrun=.*$mark" "$top"/build/vm/*/console.log ||
			! pkill -ABRT -f "^qemu-system-[^ ]* .*vmrun=.*$mark" || break
		sleep 0.05
	done &
	"$top/qemu/run" --timeout 300 --append "$mark" -- echo up >"$work/$1.out" 2>"$work/$1.err" || rc=$?
	printf '%s\n' "$rc" >"$work/$1.rc"
}

# refused NAME ARGUMENT...: fails before any machine starts, with one error.
refused() {
	local name=$1 rc=0
	shift
	"$@" >"$work/$name.out" 2>"$work/$name.err" || rc=$?
	is "$rc" 125 && has "$name.err" '^qemu/run: error: ' && [ ! -s "$work/$name.out" ]
}

words=(plain '' 'two words' "a'b\"c" $'new\nline' 'back\slash' '$HOME `id` *' $'\xff\x01\t')
script_words='printf "%s\0" "$@"; pwd >&2; printf "<%s>" "$QUOTED" "$KERNEL" "$DM_DISABLE_UDEV" "$SECRET" >&2
	[ ! -s /dev/stdin ] && ! read -r line; echo " stdin $?" >&2; exit 77'
script_big='sleep 1000 & cat "$1/big"; echo via-stderr >/dev/stderr; echo from-guest >"$1/from-guest"; exit 130'
script_order='for ((i = 0; i < 300; i += 2)); do echo $i; echo $((i + 1)) >&2; done
	echo old >"$1/live"; cat "$1/live" >/dev/null; echo ready >"$1/ready"
	for ((i = 0; i < 600; i++)); do [ "$(<"$1/live")" = old ] || exit 1; sleep 0.1; done; exit 2'
# The interrupt vectors of real mode, as the firmware has left them.
script_vectors='od -A n -t x4 -v -N 64 /dev/mem | tr -d "\n" | sed "s/^/vectors/"; echo'
script_disk='set -ex; modprobe scsi_debug dev_size_mb=64 dif=1 dix=1; test -b /dev/sda
	cat /sys/block/sda/integrity/format
	dd if=/dev/urandom of=/dev/sda bs=64k count=16 oflag=direct; dd if=/dev/sda bs=64k count=16 iflag=direct | wc -c
	test -b /dev/nvme0n1; cat /sys/block/nvme0n1/integrity/format
	bpftrace -e "BEGIN { printf(\"bpftrace runs\\n\"); exit() }"
	dmsetup create x --table "0 8 zero"; test -b /dev/mapper/x; '"$script_vectors"'
	echo "WARNING: excused" >/dev/kmsg'
script_time='for n in {1..6}; do
		s=$EPOCHREALTIME; for ((i = 0; i < 5000; i++)); do :; done; e=$EPOCHREALTIME
	done; echo $((${e/./} - ${s/./}))'

head -c 10485760 /dev/urandom >"$work/big"
printf 'TAP version 14\n'

silence silence &
early early &
vm first -- uname -r
export QUOTED="it's \"so\"" SECRET=1
(cd selftests/host && vm words --env QUOTED -- bash -c "$script_words" - "${words[@]}" && wait)
vm big -- bash -c "$script_big" - "$work"
(
	rc=0
	qemu/run -- bash -c "$script_order" - "$work" >"$work/order.out" 2>&1 || rc=$?
	printf '%s\n' "$rc" >"$work/order.rc"
) &
for ((i = 0; i < 600; i++)); do
	[ ! -s "$work/ready" ] || break
	sleep 0.1
done
echo new >"$work/live"
nvme=(--drive 'if=none,id=n,format=raw,file.driver=null-co,file.size=64M,file.read-zeroes=on')
vm disk --allow 'WARNING: excused' "${nvme[@]}" --device nvme,id=c,serial=1 \
	--device nvme-ns,drive=n,ms=8,pi=1 -- sh -c "$script_disk"
vm crash -- sh -c 'echo started; echo c >/proc/sysrq-trigger; sleep 1000'
vm hang --timeout 20 -- sleep 1000
# A disk to boot from, which the firmware does look into.
vm splat "${nvme[@]}" --device nvme,id=c,serial=1,bootindex=9 --device nvme-ns,drive=n,ms=64,pi=1 -- \
	sh -c "$script_vectors"'; echo "BUG: a finding" >/dev/kmsg; echo 512 >/proc/sys/kernel/tainted; exit 3'
vm icount1 --icount -- bash -c "$script_time"
vm icount2 --icount -- bash -c "$script_time"
vm device --device there-is-no-such-device -- true
(
	qemu/run -- yes 2>"$work/pipe.err" | head -n 1 >"$work/pipe.out"
	printf '%s\n' "${PIPESTATUS[0]}" >"$work/pipe.rc"
) &
interrupt int INT
interrupt term TERM
wait

ok "the kernel is that of the series" is "$(<"$work/first.out")" \
	"$(<"${XDG_CACHE_HOME:-$HOME/.cache}/stable-pages/stock-$KERNEL/release")"
ok "status 0, and nothing else on standard error" is "$(<"$work/first.rc") $(<"$work/first.err")" "0 "
ok "status 77" status words 77
ok "arguments arrive byte for byte" cmp "$work/words.out" <(printf '%s\0' "${words[@]}")
ok "the working directory is kept" has words.err "^$top/selftests/host\$"
ok "the environment is what was named" has words.err "^<it's \"so\"><$KERNEL><1><>"
ok "standard input is empty" has words.err 'stdin 0$'
ok "status 130" status big 130
ok "10 MiB of binary output arrive, with a process left behind" cmp "$work/big.out" "$work/big"
ok "/dev/stderr can be opened" is "$(<"$work/big.err")" via-stderr
ok "a file written inside is seen outside" is "$(cat "$work/from-guest")" from-guest
ok "status 1, and a file changed outside is seen inside" status order 1
ok "both outputs in one file keep their order" cmp "$work/order.out" <(seq 0 299)
ok "disks and tools work, an excused finding passes" status disk 0
ok "scsi_debug has protection information" has disk.out '^T10-DIF-TYPE1-CRC$'
ok "direct reads and writes" has disk.out '^1048576$'
ok "bpftrace" has disk.out '^bpftrace runs$'
ok "the firmware has left the disks alone, and all interrupt vectors are there" \
	has disk.out '^vectors( f000[0-9a-f]{4}){16}$'
ok "control: where it looks into one, the timer's is gone" \
	has splat.out '^vectors( [0-9a-f]{8}){8} (0000|ffff)[0-9a-f]{4} '
ok "a crash is status 86" status crash 86
ok "with the end of the log" has crash.err 'Kernel panic - not syncing: sysrq triggered crash'
ok "and the output before it" is "$(<"$work/crash.out")" started
ok "a time-out is status 124" status hang 124
ok "with the end of the log" has hang.err '^  \[ *[0-9]+\.[0-9]+\] '
ok "and no process left" no_machine hang
ok "a finding in the log is status 86" status splat 86
ok "with the line" has splat.err '^> .*BUG: a finding'
ok "and the taint" has splat.err 'tainted: W'
ok "and the command's own status" has splat.err 'status 3'
ok "virtual time: it runs" status icount1 0
ok "virtual time: twice the same to 1 %" awk "BEGIN { a = $(<"$work/icount1.out"); b = $(<"$work/icount2.out")
	print \"# \" a \" and \" b \" us\"; exit a > b * 1.01 || b > a * 1.01 }"
ok "a device that QEMU does not know is status 125" status device 125
ok "and QEMU says so" has device.err 'there-is-no-such-device'
ok "no reader: ended as by SIGPIPE" status pipe 141
ok "after what was read" is "$(<"$work/pipe.out")" y
ok "an interrupt ends the machine" status int 130
ok "and leaves no process" no_machine int
ok "so does a termination" status term 143
ok "and leaves no process" no_machine term
ok "a machine that says nothing is started once more" has silence.err 'said nothing for 60 s'
ok "and does what it is to do" is "$(<"$work/silence.rc") $(<"$work/silence.out")" "0 up"
ok "so is one whose emulator dies before the command begins" has early.err 'QEMU has died before the command began'
ok "and it does so, too" is "$(<"$work/early.rc") $(<"$work/early.out")" "0 up"
ok "an unknown option" refused option qemu/run --what -- true
ok "no command" refused command qemu/run --
ok "a series that is not there" refused series env KERNEL=1.0 qemu/run -- true
ok "a size that is none" refused size qemu/run --mem lots -- true
ok "a regular expression that is none" refused regex qemu/run --allow '(' -- true
ok "a folder that the guest cannot see" refused folder sh -c "cd /tmp && '$top/qemu/run' -- true"
ok "a shell without a terminal" refused shell sh -c 'qemu/run --shell </dev/null'

printf '1..%d\n' "$count"
exit "$failed"
