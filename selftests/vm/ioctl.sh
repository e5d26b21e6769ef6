#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
#
# ioctl.sh: commands that programs send to the mapped device go to the disk, under the rules of
# the kernel's own targets: SG_IO, and persistent reservations, of a disk of the kernel's SCSI target
# (LIO) in memory. And what is measured of a table.
#
# requires: stock kernel
# timeout: 120
# append: ima_policy=critical_data
# covers: rust/block/dm rust/filter/mod.rs rust/filter/args.rs

. "$(dirname "$0")/lib.sh"

config=/sys/kernel/config/target
backstore=$config/core/rd_mcp_0/stable-pages
wwn=naa.5001405000000001
port=$config/loopback/$wwn/tpgt_1

# The disk goes as it has come, last first.
no_target() {
	rm -f "$port/lun/lun_0/disk" && rmdir "$port/lun/lun_0" && echo NULL >"$port/nexus"
	rmdir "$port" "${port%/*}" "$config/loopback" "$backstore" "${backstore%/*}"
}

must modprobe sd_mod
# All that the first of them asks for.
for driver in configfs target_core_mod uio target_core_{user,pscsi,file,iblock} tcm_loop; do
	must modprobe "$driver"
	defer gone_module "$driver"
done
# Where it keeps reservations; the root file system is read-only.
must mount_at /var -t tmpfs none
mkdir -p /var/target/pr
mountpoint -q /sys/kernel/config || must mount_at /sys/kernel/config -t configfs none
mkdir -p "$backstore"
defer no_target
echo rd_pages=4096 >"$backstore/control"
echo 1 >"$backstore/enable"
mkdir -p "$port/lun/lun_0"
echo "${wwn%1}2" >"$port/nexus"
must ln -s "$backstore" "$port/lun/lun_0/disk"
wait_for 30 find_scsi vendor LIO-ORG || bail "there is no disk"
disk=$scsi_found sectors=$scsi_sectors

ok "the module loads" load_module
must map whole "0 $sectors stable-pi $disk 0"
must map part "0 $((sectors / 2)) stable-pi $disk 0"
must map behind "0 $((sectors - 8)) stable-pi $disk 8"
must map zero "0 $sectors zero"

# without COMMAND...: the right to do anything to devices.
without() {
	setpriv --bounding-set=-sys_rawio --inh-caps=-sys_rawio "$@"
}
inquired() {
	"${@:2}" sg_inq "/dev/mapper/$1" | grep LIO-ORG
}
ok "a device without a disk below takes no command" fails inquired zero
ok "SG_IO reaches the disk" inquired whole
ok "without CAP_SYS_RAWIO, too" inquired whole without
for name in part behind; do
	ok "$name: SG_IO reaches the disk" inquired "$name"
	ok "$name: but not without CAP_SYS_RAWIO" fails inquired "$name" without
	must map "linear-$name" "$(dmsetup table "$name" | sed -E 's/stable-pi ([^ ]+ [0-9]+).*/linear \1/')"
	ok "$name: nor through dm-linear" fails inquired "linear-$name" without
	must unmap "linear-$name"
done

# Reservations ------------------------------------------------------------------

# persist WORD...: of sg_persist, through the mapped device.
persist() {
	sg_persist "$@" /dev/mapper/whole
}
key=0x5eed

# pr COMMAND: by the ioctls of linux/pr.h: 1 reserve, 2 release, 5 clear; the type is exclusive access.
pr() {
	python3 -c 'import fcntl, os, struct, sys
command, key = int(sys.argv[1]), int(sys.argv[2], 16)
data = struct.pack("<QI4x", key, 0) if command == 5 else struct.pack("<QII", key, 2, 0)
IOC_PR = 1 << 30 | 16 << 16 | ord("p") << 8 | 200
fcntl.ioctl(os.open("/dev/mapper/whole", os.O_RDWR), IOC_PR + command, data)' "$1" "$key"
}
ok "a key is registered by SG_IO" persist --out --register --param-sark=$key
keys() {
	sg_persist --in --read-keys "$disk" | tee "$work/keys" | grep -q "$key"
}
ok "the disk has it" keys
ok "it reserves, by the ioctls of reservations" pr 1
reserved() {
	sg_persist --in --read-reservation "$disk" | tee "$work/reserved" | grep -q 'Exclusive Access'
}
ok "the disk is reserved" reserved
ok "it releases" pr 2
ok "the disk is not reserved any more" fails reserved
ok "it clears" pr 5
ok "the disk has no key any more" fails keys

# What is measured ----------------------------------------------------------------

# measured NAME: the last that was logged of a table with that name.
measured() {
	local line
	line=$(python3 -c 'import sys
for line in sys.stdin:
    words = line.split()
    if words[4] == "dm_table_load":
        print(bytes.fromhex(words[5]).decode())' </sys/kernel/security/ima/ascii_runtime_measurements |
		grep -F "name=$1," | tail -n 1)
	printf '%s\n' "$line"
	grep -oE 'target_name=.*;' <<<"$line" >"$work/measured"
}
mountpoint -q /sys/kernel/security || must mount_at /sys/kernel/security -t securityfs none
must map measured "0 $((sectors - 16)) stable-pi $disk 16 2 policy:copy app_tag:7"
ok "IMA's log has the table" measured measured
ok "with all of its arguments" is "$(<"$work/measured")" \
	"target_name=stable-pi,target_version=0.2.0,device_name=$(<"/sys/block/${disk#/dev/}/dev"),start=16,policy=copy,verify=auto,waits=auto,recheck=auto,trust=auto,learn=on,app_tag=0x0007,passthrough=n,inject=off;"
must unmap measured
finish
