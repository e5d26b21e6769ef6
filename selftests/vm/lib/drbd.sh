# SPDX-License-Identifier: GPL-2.0
# shellcheck shell=bash
#
# DRBD, a mirror over a network: both of its nodes on this machine, by drbdsetup, since drbdadm wants
# two of them.

# drbd_node NUMBER DEVICE: a resource with one volume, which has its metadata at the end of the device.
drbd_node() {
	drbdmeta --force "$1" v08 "$2" internal create-md &&
		drbdsetup new-resource "node$1" && defer drbdsetup down "node$1" &&
		drbdsetup new-minor "node$1" "$1" 0 &&
		drbdsetup attach "$1" "$2" "$2" internal
}

# drbd_connect NUMBER OTHER
drbd_connect() {
	drbdsetup connect "node$1" "ipv4:127.0.0.1:779$1" "ipv4:127.0.0.1:779$2" --protocol C \
		--ping-int 1 --connect-int 1 "${drbd_options[@]}"
}
drbd_options=()

# drbd_is STATE: of the connection and of both disks, an extended regular expression of what /proc/drbd
# says of node 0.
drbd_is() {
	grep -qE "^ *0: cs:$1" /proc/drbd
}

# drbd_synced: both nodes have all, and are connected.
drbd_synced() {
	drbd_is 'Connected .* ds:UpToDate/UpToDate'
}

# drbd_differs: sets nodes_differ to the sectors of 512 bytes that the other node has otherwise.
drbd_differs() {
	local size
	wait_for 60 drbd_synced || return
	size=$(blockdev --getsize64 /dev/drbd0)
	echo 3 >/proc/sys/vm/drop_caches
	nodes_differ=$({ cmp -l -n "$size" "${drbd_legs[@]}" || :; } |
		awk '{ s = int(($1 - 1) / 512); n += s != last || !n; last = s } END { print n + 0 }')
}
declare nodes_differ drbd_legs

# drbd_broken: digests that the other node has found wrong.
drbd_broken() {
	new_log | grep -c 'Digest integrity check FAILED' || :
}

# layer_drbd [OPTION...]: of drbdsetup connect. Two legs. See stack.sh.
layer_drbd() {
	drbd_options=("$@") drbd_legs=("${legs[@]:0:2}")
	# Which would ask drbdadm, and that would look for a configuration.
	must modprobe drbd usermode_helper=/usr/bin/true
	defer gone_module drbd
	ip link set lo up
	# Its programs keep notes about devices there, and the root file system is read-only.
	must mount_at /var -t tmpfs none
	mkdir -p /var/lib/drbd /var/lock
	must drbd_node 0 "${legs[0]}"
	must drbd_node 1 "${legs[1]}"
	must drbd_connect 0 1
	must drbd_connect 1 0
	must wait_for 30 drbd_is Connected
	must drbdsetup primary 0 --force
	must wait_for 60 drbd_synced
	# shellcheck disable=SC2034 # of stack.sh
	legs=(/dev/drbd0)
}
