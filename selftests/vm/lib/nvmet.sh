# SPDX-License-Identifier: GPL-2.0
# shellcheck shell=bash
#
# A disk behind NVMe/TCP with data digests, on this machine.

nvmet=/sys/kernel/config/nvmet
nqn=stable-pages
# The disk that has come.
remote=''

# nvmet_serve DEVICE: as a namespace behind a port on this machine.
nvmet_serve() {
	defer nvmet_serve_no_more
	mkdir "$nvmet/subsystems/$nqn" "$nvmet/subsystems/$nqn/namespaces/1" "$nvmet/ports/1" &&
		echo 1 >"$nvmet/subsystems/$nqn/attr_allow_any_host" &&
		echo "$1" >"$nvmet/subsystems/$nqn/namespaces/1/device_path" &&
		echo 1 >"$nvmet/subsystems/$nqn/namespaces/1/enable" &&
		echo ipv4 >"$nvmet/ports/1/addr_adrfam" &&
		echo tcp >"$nvmet/ports/1/addr_trtype" &&
		echo 127.0.0.1 >"$nvmet/ports/1/addr_traddr" &&
		echo 4420 >"$nvmet/ports/1/addr_trsvcid" &&
		ln -s "$nvmet/subsystems/$nqn" "$nvmet/ports/1/subsystems/$nqn"
}

nvmet_serve_no_more() {
	rm "$nvmet/ports/1/subsystems/$nqn" && rmdir "$nvmet/ports/1" \
		"$nvmet/subsystems/$nqn/namespaces/1" "$nvmet/subsystems/$nqn"
}

# find_nvmet: sets remote.
find_nvmet() {
	local dir
	for dir in /sys/block/nvme*n1; do
		[ "$(cat "$dir/device/transport")" = tcp ] || continue
		remote=/dev/${dir##*/}
		test -b "$remote" && return
	done 2>/dev/null
	return 1
}

# nvmet_connect: to what is served, with a data digest.
nvmet_connect() {
	remote=
	nvme connect --transport=tcp --traddr=127.0.0.1 --trsvcid=4420 --nqn="$nqn" --data-digest \
		--nr-io-queues=2 --reconnect-delay=1 --ctrl-loss-tmo=60 && wait_for 10 find_nvmet
}

nvmet_disconnect() {
	nvme disconnect --nqn="$nqn" >/dev/null
}

# nvmet_ready: loads what this needs. A request that fails has failed, and is not sent again on another
# path or on this one.
nvmet_ready() {
	modprobe nvme_core multipath=N max_retries=0 && modprobe nvmet_tcp && modprobe nvme_tcp || return
	mountpoint -q /sys/kernel/config || mount_at /sys/kernel/config -t configfs configfs
}

nvmet_errors() {
	new_log | grep -c 'data digest error' || :
}

# layer_nvme_tcp: the first leg, behind NVMe/TCP with data digests. See stack.sh.
layer_nvme_tcp() {
	must nvmet_ready
	must nvmet_serve "${legs[0]}"
	must nvmet_connect
	defer nvmet_disconnect
	# shellcheck disable=SC2034 # of stack.sh
	legs=("$remote")
}
