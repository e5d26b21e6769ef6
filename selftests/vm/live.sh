#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
#
# live.sh: what is below may change while the target is in use: its table, by a snapshot or a
# move of data, or its format. Where it has no profile any more, no bio with a payload gets
# there, be it that it waited in the suspended device: the kernel has a NULL pointer for
# such a bio. I/O goes on without, but for what cannot be without; that is said.
#
# timeout: 240
# covers: rust/block rust/filter rust/bindings/below.c
# drive: if=none,id=n,format=raw,file.driver=null-co,file.size=32M,file.read-zeroes=on,snapshot=on
# device: nvme,id=c,serial=1
# device: nvme-ns,drive=n,ms=8,pi=1,logical_block_size=512,physical_block_size=512

. "$(dirname "$0")/lib.sh"
# shellcheck source=lib/bio.sh
. "$vm/lib/bio.sh"

# below NAME TARGET...: another table of that device, of all sectors. What waits in it goes on
# when it is resumed.
below() {
	must dmsetup suspend "$1"
	must dmsetup reload "$1" --table "0 $sectors ${*:2}"
	must dmsetup resume "$1"
}

with_profile() {
	below low linear "$disk" 0
}

# flakey hands everything on, and does not pass the profile.
without_profile() {
	below low flakey "$disk" 0 100 0
}

write_at() {
	dd if="$work/data" of=/dev/mapper/t bs=4k seek="$1" count=64 oflag=direct conv=notrunc status=none
}

# holds_data BLOCK: what write_at has written, read through the target.
holds_data() {
	dd if=/dev/mapper/t bs=4k skip="$1" count=64 iflag=direct status=none | cmp - "$work/data"
}

# says STATE: the status does, of what is below.
says() {
	is "$(status_of t below)" "$1"
}

events() {
	dmsetup info -c --noheadings -o events t
}

# happened COUNT: an event more than so many.
happened() {
	(($(events) > $1))
}

make_disk dev_size_mb=16 dif=1 dix=1 guard=0
wipe
must modprobe dm_flakey
must modprobe dm_snapshot
must dd if=/dev/urandom "of=$work/data" bs=4k count=64
ok "the module loads" load_module
must map low "0 $sectors linear $disk 0"

# The same without stable-pi: life goes on.
must map t "0 $sectors linear /dev/mapper/low 0"
ok "linear: before, writes succeed" write_at 0
without_profile
ok "linear: without the profile, they do" write_at 64
ok "linear: and are read" holds_data 64
must unmap t
with_profile

for policy in auto copy; do
	must map t "0 $sectors stable-pi /dev/mapper/low 0 1 policy:$policy"
	ok "$policy: what is below is what it was" says same
	ok "$policy: a write" write_at 0
	seen=$(events)
	log_mark
	without_profile
	ok "$policy: without the profile, a write succeeds" write_at 64
	ok "$policy: and is read" holds_data 64
	ok "$policy: so is what was written before" holds_data 0
	ok "$policy: the status says it" says changed
	ok "$policy: the log says it" log_says "below does not show the profile that the table was made for"
	ok "$policy: there is an event" wait_for 10 happened "$seen"
	verified=$(status_of t reads_verified)
	with_profile
	ok "$policy: with the profile again, a write" write_at 128
	ok "$policy: is read" holds_data 128
	ok "$policy: and verified" holds "$(status_of t reads_verified) > $verified"
	ok "$policy: the status says it" says same

	# What waits below, and has a payload already.
	for kind in write read; do
		must dmsetup suspend low
		if [ $kind = write ]; then
			write_at 192 &
		else
			holds_data 128 &
		fi
		waiting=$!
		# It has been mapped, and is with a worker or waits below.
		sleep 1
		must dmsetup reload low --table "0 $sectors flakey $disk 0 100 0"
		must dmsetup resume low
		ok "$policy: a $kind that waited for a table without the profile succeeds" wait $waiting
		with_profile
	done
	ok "$policy: what had waited is read" holds_data 192
	must unmap t
done

# Where there are only reads, they find out.
must map t "0 $sectors stable-pi /dev/mapper/low 0"
ok "only reads: what was written is read" holds_data 128
seen=$(events)
log_mark
without_profile
ok "only reads: without the profile, too" holds_data 128
ok "only reads: the log says it" log_says "below does not show the profile that the table was made for"
ok "only reads: there is an event" wait_for 10 happened "$seen"
seen=$(events)
with_profile
ok "only reads: with the profile again" holds_data 128
ok "only reads: there is another event" wait_for 10 happened "$seen"
must unmap t

# What cannot be without.
must map t "0 $sectors stable-pi /dev/mapper/low 0 1 verify:on"
without_profile
ok "verify:on: what was asked to be verified is an error" fails holds_data 128
ok "verify:on: a write is not" write_at 128
must dmsetup message t 0 verify off
ok "verify off: nor is a read" holds_data 128
with_profile
must unmap t
must map t "0 $sectors stable-pi /dev/mapper/low 0 1 app_tag:0x1234"
without_profile
ok "app_tag: a write without the tag is an error" fails write_at 128
ok "app_tag: a read is not" holds_data 128
with_profile
ok "app_tag: with the profile, it is written" write_at 128
ok "app_tag: with the tag" tuples_are 1024 8 1234
must unmap t
must map t "0 $sectors stable-pi /dev/mapper/low 0 1 passthrough"
payload write /dev/mapper/t 8 8 --like "$disk"
ok "passthrough: a payload is taken" is "$result" ok
without_profile
payload write /dev/mapper/t 8 8 --like "$disk"
ok "passthrough: without the profile it is an error" is "$result" EIO
payload read /dev/mapper/t 8 8 --like "$disk"
ok "passthrough: for a read, too" is "$result" EIO
with_profile
payload read /dev/mapper/t 8 8 --like "$disk"
ok "passthrough: it is taken again" is "$result" ok
ok "a table that hides the profile does not take the place of one that shows it" \
	fails dmsetup reload t --table "0 $sectors stable-pi /dev/mapper/low 0"
must dmsetup clear t
must unmap t

# Further down: the device below does not know itself that it has lost the profile.
must map high "0 $sectors linear /dev/mapper/low 0"
must map t "0 $sectors stable-pi /dev/mapper/high 0"
without_profile
ok "two below: a write succeeds" write_at 0
ok "two below: the status says it" says changed
with_profile
ok "two below: and is read" holds_data 0

# A device that has come between later, as the reads have to find out by themselves: the status would
# look, too.
must map middle "0 $sectors linear $disk 0"
must trace_on -- 'r:looked sp_below_look'
below low linear /dev/mapper/middle 0
ok "three below, only reads: what was written is read" holds_data 0
ok "three below, only reads: a worker looks" wait_for 30 grep -q ' looked: ' "$tracing/trace"
trace_off
seen=$(events)
below middle flakey "$disk" 0 100 0
ok "three below, only reads: without the profile, too" holds_data 0
ok "three below, only reads: there is an event" wait_for 10 happened "$seen"
below middle linear "$disk" 0
with_profile
must unmap middle
must unmap t
must unmap high

# Under load, time and again: as lvcreate --snapshot does it, with a filesystem on top. The
# disk takes data after it has checked it, which a recheck finds.
must map t "0 $sectors stable-pi /dev/mapper/low 0 1 recheck:on"
# The disk leaves tuples behind where blocks become zeroes.
wipe
ext4_on /dev/mapper/t
(
	i=0
	while [ ! -e "$work/enough" ]; do
		case $((i++ % 2)) in
		0) below low snapshot-origin "$disk" ;;
		1) with_profile ;;
		esac
	done
	echo $i >"$work/reloads"
) &
reloader=$!
load mmap --dir "$mnt" --threads 4 --seconds 3
mapped_writes=$done_writes mapped_failed=$failed
must dd if=/dev/zero "of=$mnt/direct" bs=1M count=2 conv=fsync
load direct --path "$mnt/direct" --size 2M --depth 8 --seconds 60 --op-limit "$(scaled 400)"
touch "$work/enough"
wait $reloader
note "$(<"$work/reloads") reloads"
ok "under load: no write to a mapping fails" holds "$mapped_writes > 0 && $mapped_failed == 0"
ok "under load: no direct write fails whose buffer changes" holds "$done_writes > 0 && $failed == 0 && $mutations > 0"
ok "under load: the table was another one many times" holds "$(<"$work/reloads") > 5"
must umount_all
with_profile
ok "under load: the filesystem is sound" e2fsck -fn /dev/mapper/t
counters t
ok "under load: nothing is corrupt" holds "$corrupt == 0"
must unmap t
must unmap low
ok "all of the disk can be read" reads_back

# A format ---------------------------------------------------------------------

drop_disk
disk=/dev/nvme0n1
must wait_for 10 test -b "$disk"
sectors=$(blockdev --getsz "$disk")

# formats: sets with and bare, the numbers of the formats with 8 bytes of metadata for each 512
# bytes, and without.
formats() {
	local line
	while read -r line; do
		[[ $line =~ ^lbaf\ +([0-9]+)\ :\ ms:([08])\ +lbads:9\  ]] || continue
		case ${BASH_REMATCH[2]} in
		0) bare=${BASH_REMATCH[1]} ;;
		8) with=${BASH_REMATCH[1]} ;;
		esac
	done < <(nvme id-ns "$disk")
}
declare with bare
formats

# formatted NUMBER PI PROFILE
formatted() {
	# It says that it failed where it cannot set the block size of a device in use.
	note "$(nvme format "$disk" "--lbaf=$1" "--pi=$2" --force --ses=0 2>&1)"
	must wait_for 10 eval "[ \"\$(integrity format)\" = '$3' ]"
}

wipe
for policy in auto copy; do
	protect "policy:$policy"
	must write_at 0
	for format in "$with 0 nop" "$bare 0 none"; do
		# shellcheck disable=SC2086
		formatted $format
		load direct --path /dev/mapper/t --size 2M --depth 4 --seconds 60 --op-limit "$(scaled 200)"
		ok "$policy, ${format##* }: no write fails whose buffer changes" holds "$done_writes > 0 && $failed == 0 && $mutations > 0"
		ok "$policy, ${format##* }: the status says that the format is another one" says changed
		ok "$policy, ${format##* }: all can be read" dd if=/dev/mapper/t of=/dev/null bs=16k count=128 iflag=direct status=none
		counters t
		ok "$policy, ${format##* }: nothing is corrupt" holds "$corrupt == 0"
	done
	formatted "$with" 1 T10-DIF-TYPE1-CRC
	wipe
	ok "$policy: with the old format again, a write" write_at 0
	ok "$policy: is read" holds_data 0
	ok "$policy: the status says it" says same
	must unmap t
done
finish
