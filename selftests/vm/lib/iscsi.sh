# SPDX-License-Identifier: GPL-2.0
# shellcheck shell=bash
#
# A disk behind iSCSI with data digests, on this machine: tgt, a target in user space, and
# open-iscsi. The kernel's own target releases a command twice when a digest is wrong, see
# Documentation/kernel-faults.rst.

iqn=iqn.2026-01.org.example:stable-pages
# The disk that has come.
remote=''

# iscsi_ready: loads what this needs, and starts the daemons of both sides.
iscsi_ready() {
	local driver
	modprobe sd_mod || return
	for driver in scsi_transport_iscsi libiscsi libiscsi_tcp iscsi_tcp; do
		modprobe "$driver" || return
		defer gone_module "$driver"
	done
	# What they keep about each other is gone with the machine.
	ip link set lo up && mount_at /etc/iscsi -t tmpfs none && mount_at /var -t tmpfs none || return
	mkdir -p /var/lib/iscsi /var/run /run/lock/iscsi
	echo "InitiatorName=$iqn-initiator" >/etc/iscsi/initiatorname.iscsi
	: >/etc/iscsi/iscsid.conf
	tgtd -f >"$work/tgtd" 2>&1 &
	defer iscsi_ends $!
	iscsid -f >"$work/iscsid" 2>&1 &
	defer iscsi_ends $!
	wait_for 20 quiet iscsiadm -m iface && wait_for 20 quiet tgtadm --op show --mode sys
}

iscsi_ends() {
	kill -KILL "$1"
	wait "$1" 2>/dev/null
	:
}

# of_tgt WORD...: to tgtd.
of_tgt() {
	tgtadm --lld iscsi --tid 1 "$@"
}

# iscsi_serve DEVICE: at a port on this machine, to all who ask.
iscsi_serve() {
	of_tgt --op new --mode target --targetname "$iqn" && defer iscsi_serve_no_more &&
		of_tgt --op update --mode target --name DataDigest --value CRC32C &&
		of_tgt --op new --mode logicalunit --lun 1 --backing-store "$1" &&
		of_tgt --op bind --mode target --initiator-address ALL
}

iscsi_serve_no_more() {
	of_tgt --op delete --mode target --force
}

# find_iscsi: sets remote.
find_iscsi() {
	find_scsi vendor IET && remote=$scsi_found
}

# iscsi_connect: with digests of data. A write whose digest was wrong ends the session, and is sent again by
# the next one.
iscsi_connect() {
	local node=(iscsiadm -m node -T "$iqn" -p 127.0.0.1:3260) setting
	remote=
	"${node[@]}" -o new || return
	for setting in 'node.conn[0].iscsi.DataDigest=CRC32C' 'node.session.timeo.replacement_timeout=60'; do
		"${node[@]}" -o update -n "${setting%=*}" -v "${setting##*=}" || return
	done
	"${node[@]}" --login && wait_for 20 find_iscsi
}

iscsi_disconnect() {
	iscsiadm -m node -T "$iqn" -p 127.0.0.1:3260 --logout
}

# iscsi_errors: those that tgtd has found so far.
iscsi_errors() {
	printf '%d\n' "$(grep -csi 'digest' "$work/tgtd")"
}

# layer_iscsi: the first leg, behind iSCSI with data digests. See stack.sh.
layer_iscsi() {
	must iscsi_ready
	must iscsi_serve "${legs[0]}"
	must iscsi_connect
	defer iscsi_disconnect
	# shellcheck disable=SC2034 # of stack.sh
	legs=("$remote")
}
