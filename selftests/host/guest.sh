#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
#
# guest.sh: what selftests/guest, inside the virtual machine, sees a test leave
# behind, and what it tells of one that hangs in the kernel.
#
# requires: vm
# timeout: 300
#
# shellcheck disable=SC2016

. "$(dirname "$0")/../ktap.sh"
cd "$(dirname "$0")/../.." || exit 1

mkdir -p build
work=$(mktemp -d "$PWD/build/guest.XXXXXX")
trap 'rm -rf "$work"' EXIT

# script NAME COMMANDS: a test.
script() {
	printf '#!/bin/bash\n%s\n' "$2" >"$work/$1.sh"
	chmod +x "$work/$1.sh"
}

# machine NAME TEST=SECONDS...: what is said in it is in $work/NAME then.
machine() {
	local name=$1
	shift
	qemu/run --timeout 900 -- selftests/guest "${@/#/../build/${work##*/}/}" >"$work/$name" 2>&1
	printf 'status %d\n' $? >>"$work/$name"
}

script good 'modprobe null_blk nr_devices=1; modprobe ext4; dmsetup create x --table "0 8 zero"; dmsetup remove x'
script dirty 'modprobe loop; truncate -s 1M /dev/shm/f; losetup /dev/loop0 /dev/shm/f
	dmsetup create forgotten --table "0 8 zero"; mkdir /dev/shm/m; mount -t tmpfs x /dev/shm/m'
script next 'echo next'
script stuck 'dmsetup create stopped --table "0 8 zero"; dmsetup suspend stopped
	exec dd if=/dev/mapper/stopped of=/dev/null bs=4k count=1 iflag=direct'

machine left good=60 dirty=60 next=60 &
machine hung stuck=5 next=60
wait

says() {
	grep -qE -e "$2" "$work/$1" && return
	cat "$work/$1"
	return 1
}

ok "a test that takes down what it made is clean" says left '^# guest: clean$'
ok "one that does not is not" says left '^# guest: unclean$'
ok "a mapped device is named" says left '^#   block device dm-0 forgotten$'
ok "so is a loop device" says left '^#   block device loop0$'
ok "and a mount" says left '^#   mount /dev/shm/m$'
ok "and a module that is in use" says left '^#   module loop$'
ok "that machine runs no other test" fails says left '^next$'
ok "one that is stuck in the kernel is given up" says hung '^Bail out! not ended after 5 s$'
ok "and it is told where it is stuck" says hung '^#   .*(dm_|bio_|blk|io_schedule)'
ok "it ended with the status of a time-out" says hung '^# guest: end .*stuck 124$'
ok "that machine runs no other test" fails says hung '^next$'
finish
