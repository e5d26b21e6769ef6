#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
#
# dm-linear-rust.sh: another target on rust/block/dm, the sample of its documentation,
# does what the kernel's own does, and gets nothing that is stable-pi's.
#
# timeout: 120
# covers: rust/block samples/dm-linear-rust

. "$(dirname "$0")/lib.sh"

# pattern SECTORS: of 512 bytes, each of which is like no other.
pattern() {
	seq -w 0 $(($1 - 1)) | while read -r line; do
		printf '%-512s' "$line"
	done
}

# digest DEVICE SECTOR COUNT
digest() {
	dd if="$1" bs=512 skip="$2" count="$3" iflag=direct status=none | sha256sum
}

# requests REGEX: of the disk, in the words of the trace event.
requests() {
	traced "block_rq_issue: $number $1"
}

# workers NAME: the workqueues of a target of that name, by the threads that they keep for
# when there is no memory.
workers() {
	pgrep -c "^kworker/R-$1" || true
}

make_disk dev_size_mb=16 dif=1 dix=1 guard=0 lbpu=1 lbpws=1
number=$(tr : , <"/sys/block/${disk##*/}/dev")
ok "the module loads" load_module
ok "the sample loads" modprobe dm_linear_rust
defer gone_module dm_linear_rust
ok "device mapper knows the target" bash -c "dmsetup targets | grep -q '^linear-rust *v1.0.0'"

ok "a line without an offset is refused" refused_line linear-rust "$disk"
ok "and the log says why" is "$reason" "two arguments: a device, a sector (-EINVAL)"
ok "an offset that is no number is refused" refused_line linear-rust "$disk" two
ok "and the log says why" is "$reason" "offset: not a number of sectors (-EINVAL)"
ok "a device that is not there is refused" refused_line linear-rust /dev/nothing 0
ok "and the log says why" is "${reason%% (*}" "dev: cannot be opened"

# Two ranges, the second before the first, beside the kernel's own target.
ranges() {
	printf '%s\n' "0 2048 $1 $disk 4096" "2048 1024 $1 $disk 1024"
}
mapfile -t lines < <(ranges linear-rust)
must map t "${lines[@]}"
mapfile -t lines < <(ranges linear)
must map low "${lines[@]}"
ok "the table reads as it was written" is "$(dmsetup table t | cut -d' ' -f1-3,5)" \
	"$(ranges linear-rust | cut -d' ' -f1-3,5)"
pattern 3072 >"$work/data"
must dd if="$work/data" of=/dev/mapper/t bs=64k oflag=direct conv=fsync status=none
ok "what was written is read" cmp "$work/data" <(dd if=/dev/mapper/t bs=64k iflag=direct status=none)
ok "it is where the kernel's target has it" is "$(digest /dev/mapper/low 0 3072)" "$(sha256sum <"$work/data")"
ok "a bio over both ranges is split" is "$(digest /dev/mapper/t 2000 96)" "$(digest /dev/mapper/low 2000 96)"
ok "the first range is there on the disk" is "$(digest "$disk" 4096 2048)" "$(head -c 1048576 "$work/data" | sha256sum)"
ok "the profile of the disk is shown" is "$(<"$(sysfs_of t)/integrity/format")" "$(integrity format)"
ok "all of the disk can be read" reads_back

trace_on block:block_rq_issue
must dd if="$work/data" of=/dev/mapper/t bs=4k count=1 oflag=direct conv=fsync,notrunc status=none
must blkdiscard -o $((2048 * 512)) -l 65536 /dev/mapper/t
trace_off
note "$(<"$work/trace")"
ok "a flush comes through, once for each range" holds "$(requests 'FF ') >= 1"
ok "a discard goes to its sectors" is "$(requests 'DS? .* 1024 \+ 128 ')" 1
must unmap low

ok "a target without messages takes none" fails dmsetup message t 0 policy copy
ok "it has no status of its own" is "$(dmsetup status t | head -n 1)" "0 2048 linear-rust "
ok "and no workqueues, which stable-pi has" is "$(workers linear-rust)" 0
must map over "0 3072 stable-pi /dev/mapper/t 0"
ok "(control: stable-pi has them)" holds "$(workers stable-pi) > 0"
ok "stable-pi trusts the disk below it" is "$(status_of over trust)" on
load direct --path /dev/mapper/over --size 1M --seconds 60 --op-limit "$(scaled 60)"
counters over
ok "whose rejections come through: what changed is repaired" holds "$failed == 0 && $mutations > 0 && $in_place > 0 && $repaired > 0"
must unmap over
ok "the sample stays while it is used" fails rmmod dm_linear_rust
must unmap t
ok "and goes then" rmmod dm_linear_rust
ok "(stable_pages after it)" unload_module
finish
