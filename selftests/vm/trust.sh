#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
#
# trust.sh: a rejection is relied upon only where it reaches the target alone. That is found
# out below, when the table is loaded and whenever what is below changes; it is in the status;
# and the administrator can say otherwise.
#
# timeout: 240
# covers: rust/bindings/below.c rust/filter/policy.rs rust/filter/args.rs

. "$(dirname "$0")/lib.sh"
# shellcheck source=lib/stack.sh
. "$vm/lib/stack.sh"

# trusts: what the status says of the top.
trusts() {
	is "$(status_of "${top_device##*/}" trust)" "$1"
}

# over WHAT ON|OFF LAYER...: with stable-pi on top.
over() {
	stack "${@:3}" stable-pi
	ok "$1: trust:$2" trusts "$2"
	if [ "$2" = off ]; then
		ok "$1: optimistic is refused" fails dmsetup reload "${top_device##*/}" --table \
			"$(dmsetup table "${top_device##*/}" | sed 's/policy:auto/policy:optimistic/')"
		ok "$1: and by a message" fails dmsetup message "${top_device##*/}" 0 policy optimistic
		ok "$1: so it stays" is "$(status_of "${top_device##*/}" policy)" auto
	else
		ok "$1: optimistic is taken" dmsetup message "${top_device##*/}" 0 policy optimistic
	fi
	unstack
}

ok "the module loads" load_module
over "a disk" on pi
over "a plain disk" on plain
over "a partition" on pi partition
over "linear, twice" on pi linear 'linear 8'
over "striped over two disks" on 'pi 2' striped
over "a delay" on pi 'delay 0'
over "multipath" on 'pi 2 per_host_store=0' multipath
over "stable-pi with passthrough" on pi 'stable-pi passthrough'
over "RAID1" off 'pi 2' 'md 1'
over "a volume on RAID1" off 'pi 2' 'md 1' linear
over "RAID5" off 'plain 3' 'md 5'
over "a snapshot" off pi snapshot
over "thin" off pi thin
over "dm-crypt" off pi crypt
over "a disk in memory" off ram
over "loop" off pi loop

# What an administrator says.
stack 'pi 2' 'md 1' 'stable-pi policy:optimistic trust:on'
ok "trust:on: over RAID1" trusts on
ok "trust:on: it is in the table" is "$(dmsetup table "${top_device##*/}" | cut -d' ' -f6-)" "2 policy:optimistic trust:on"
unstack
stack pi 'stable-pi trust:off'
ok "trust:off: over a disk" trusts off
load direct --path "$top_device" --size 1M --seconds 60 --op-limit "$(scaled 30)"
counters "${top_device##*/}"
ok "trust:off: what user space can change is copied" holds "$copied == $writes && $writes > 0 && $failed == 0"
unstack

# It changes below.
stack 'pi 4 dev_size_mb=8'
sda=${legs[0]} sdb=${legs[1]}
legs=("${legs[2]}" "${legs[3]}")
layer_md 1
array=${legs[0]}
size=$((4 << 11))
must map low "0 $size linear $sda 0"
must map t "0 $size stable-pi /dev/mapper/low 0"
top_device=/dev/mapper/t
must dd if=/dev/zero of=/dev/mapper/t bs=1M count=4 oflag=direct
# looked: until what is below has been looked at, which a status starts as well.
looked() {
	[ "$(status_of t trust)" = "$1" ]
}
reload() {
	must dmsetup suspend low
	must dmsetup reload low --table "0 $size linear $1 0"
	must dmsetup resume low
}
# writes: of 8 KiB each; all are counted in the way that is named.
writes() {
	must dmsetup message t 0 reset
	must dd if=/dev/zero of=/dev/mapper/t bs=8k count=8 oflag=direct
	counters t
}
writes
ok "live: in place over a disk" holds "$in_place == $writes && $writes > 0"
reload "$array"
ok "live: over an array it is not trusted" trusts off
writes
ok "live: and writes are copied" holds "$copied == $writes && $writes > 0"
must wait_for 10 looked off
reload "$sdb"
ok "live: over another disk it is trusted again" wait_for 10 looked on
writes
ok "live: and writes go in place" holds "$in_place == $writes && $writes > 0"
must dmsetup message t 0 policy optimistic
reload "$array"
writes
ok "live: optimistic copies what is not trusted" holds "$copied == $writes && $writes > 0"
must unmap t
must unmap low
unstack

# What it is for. A rejection makes a snapshot invalid for ever.
stack "pi ${window[*]}" snapshot
load direct --path "$top_device" --size 2M --depth 4 --seconds 60 --op-limit 200
ok "a snapshot alone is lost when a buffer changes" eval 'dmsetup status --target snapshot | grep -q Invalid'
unstack
stack "pi ${window[*]}" snapshot stable-pi
load direct --path "$top_device" --size 2M --depth 4 --seconds 60 --op-limit "$(scaled 100)"
ok "with stable-pi on top no write fails" holds "$done_writes > 0 && $failed == 0 && $mutations > 0"
ok "and the snapshot is valid" fails eval 'dmsetup status --target snapshot | grep -q Invalid'
unstack
finish
