#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
#
# Put into the initramfs what opens the devices of /etc/stablepitab that have the
# option x-initrd.attach. dracut sources this and calls the functions.
#
# shellcheck disable=SC2154 # initdir is dracut's

check() {
	require_binaries stablepi || return 1
	[[ $hostonly ]] && grep -qs '^[^#]*x-initrd\.attach' /etc/stablepitab && return 0
	return 255
}

depends() {
	echo systemd dm
}

installkernel() {
	hostonly='' instmods dm_mod stable_pages
}

install() {
	inst_multiple stablepi \
		/usr/lib/systemd/system/stablepi@.service \
		/usr/lib/systemd/system/stablepi.target \
		/usr/lib/systemd/system/system-stablepi.slice \
		/usr/lib/systemd/system-generators/stablepi-generator \
		/usr/lib/udev/rules.d/61-stablepi.rules
	grep '^[^#]*x-initrd\.attach' /etc/stablepitab >"$initdir/etc/stablepitab"
}
