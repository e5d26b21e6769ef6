#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
#
# install.sh: a Debian machine installs the packages of build/deb with apt, opens a device,
# finds it again after it was started anew, starts from a root filesystem on stable-pi, and
# has nothing left of them once they are purged.
#
# The machine's disk is a tar archive that mmdebstrap goes on with (qemu/mkimage), and its
# own init and initramfs start it. selftests/host/install/ has what is typed there: packages
# in the archive, first and second in the running machine.
#
# run: by name
# requires: vm
# timeout: 600
# covers: debian tools/dkms tools/stablepi selftests/host/install

cd "$(dirname "$0")/../.." || exit 1
. qemu/lib.sh
. qemu/accelerator.sh
. selftests/ktap.sh
. selftests/host/install/lib.sh
set +e

# Disks --------------------------------------------------------------------------

# Those of NVMe have 8 bytes of protection information with each block of 512. They are
# large enough for mkfs to take blocks of 4 KiB: where a smaller one has been written, QEMU
# no longer knows that its neighbours in the file have not, and reads fail.
make_disks() {
	in_deb_root -- mke2fs -q -F -t ext4 -d "$work/root.tar" "$work/root.img" 1536m &&
		rm "$work/root.tar" && truncate -s 1560M "$work/nvme-root.img" &&
		truncate -s 520M "$work/nvme-data.img"
}

# nvme NAME: options of QEMU. What the kernel knows the disk by is the serial number.
nvme() {
	printf '%s\n' -drive "if=none,id=$1,format=raw,file=$work/nvme-$1.img,cache=unsafe" \
		-device "nvme,id=c$1,serial=stable-$1" \
		-device "nvme-ns,drive=$1,bus=c$1,nsid=1,ms=8,pi=1"
}

# start STEP INITRD ROOT OPTION...: a machine that runs the step once it has started, and
# goes off.
start() {
	local step=$1 initrd=$2 root=$3 qemu accel append
	shift 3
	append="console=ttyS0 root=$root rw panic=-1 mitigations=off random.trust_cpu=on"
	append+=" no_timer_check tsc=reliable"
	if [ "$(cat "$kvm_file" 2>/dev/null)" = yes ]; then
		accel=("${kvm[@]}")
	else
		accel=("${tcg[@]}")
		append+=" $(emulated)"
	fi
	append+=" systemd.show_status=yes systemd.run_success_action=poweroff systemd.run_failure_action=poweroff"
	append+=" systemd.run=\"/bin/sh -c 'mkdir -p /run/steps && mount -t 9p -o trans=virtio steps /run/steps && exec bash /run/steps/$step'\""
	qemu=(
		timeout --kill-after=10 300 qemu-system-x86_64 -nodefaults -no-user-config
		-machine q35 -display none -vga none -nic none -no-reboot -m 1G -smp 2
		-kernel "$work/vmlinuz" -initrd "$work/initrd-$initrd" -append "$append"
		-serial "file:$work/$step.console" -device virtio-serial-pci
		-virtfs "local,path=$work/steps,mount_tag=steps,security_model=none"
	)
	in_root -- "${qemu[@]}" "${accel[@]}" "$@" >"$work/$step.qemu" 2>&1 </dev/null
}

# ends_well STEP: the machine has gone off by itself, and no unit failed on the way.
ends_well() {
	cat "$work/$1.qemu"
	! grep -a -E 'FAILED|Kernel panic|Oops|BUG:|WARNING:' "$work/$1.console" &&
		grep -a -q 'reboot: Power down' "$work/$1.console" && return
	tail -n 40 "$work/$1.console"
	return 1
}

# is_clean IMAGE: the filesystem at its begin was unmounted.
is_clean() {
	in_deb_root -- dumpe2fs -h "$1" 2>&1 | tee "$work/dumpe2fs"
	grep -q '^Filesystem state: *clean$' "$work/dumpe2fs" &&
		! grep -q needs_recovery "$work/dumpe2fs"
}

find_machine
find_packages stable-pages "stable-pages-modules-$release" stable-pages-doc
make_work
ok "mmdebstrap goes on with the machine" go_on packages \
	--customize-hook="download /boot/vmlinuz-$release $work/vmlinuz" \
	--customize-hook="download /tmp/initrd-plain $work/initrd-plain" \
	--customize-hook="download /boot/initrd.img-$release $work/initrd-attach"
relay packages
((ktap_failed == 0)) || finish
ok "its disk" make_disks

mapfile -t data < <(nvme data)
mapfile -t root < <(nvme root)
ok "a machine starts from it" start first plain /dev/vda "${data[@]}" "${root[@]}" \
	-drive "if=none,id=disk,format=raw,file=$work/root.img,cache=unsafe" \
	-device virtio-blk-pci,drive=disk
relay first
ok "it goes off, and no unit has failed" ends_well first
ok "another starts without that disk" start second attach /dev/mapper/root "${data[@]}" "${root[@]}"
relay second
ok "it goes off, and no unit has failed" ends_well second
ok "without a try to close the device of the root filesystem" \
	fails grep -a 'Stopp.*stablepi@root' "$work/second.console"
ok "but that of the other" grep -a 'Stopp.*stablepi@pi' "$work/second.console"
ok "the root filesystem is clean" is_clean "$work/nvme-root.img"
finish
