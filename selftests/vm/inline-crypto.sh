#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
#
# inline-crypto.sh: a filesystem that has its files encrypted by the block layer.
# stable-pi does not offer that its device does it: tuples would be those of what is not
# written. The block layer then encrypts before, into pages of its own.
#
# The keys that it can use at once, 100 by default, have memory that is never freed.
#
# requires: debug kernel
# timeout: 120
# covers: rust/block/limits.rs rust/filter
# append: blk_crypto_fallback.num_keyslots=4

. "$(dirname "$0")/lib.sh"

text='this is no secret '

# ext4_with OPTION...: mounted, on the target.
ext4_with() {
	must mount_at "$mnt" -t ext4 "$@" /dev/mapper/t
}

# put_text FILE, is_text FILE, text_on_disk STATUS: a file of it, whether one is that,
# and whether it is anywhere on the disk: 0 if it is, 1 if not.
put_text() {
	must sh -c "yes '$text' | head -c 1M >'$1'"
	sync
}

is_text() {
	cmp "$1" <(yes "$text" | head -c 1M)
}

text_on_disk() {
	local rc=0
	dd if="$disk" bs=1M iflag=direct status=none | grep -aF "$text" >"$work/found" || rc=$?
	is "$rc" "$1"
}

# stores DIR: to mappings of files there, while these are written.
stores() {
	must mkdir "$1"
	must dmsetup message t 0 reset
	load mmap --dir "$1" --threads 8 --seconds 60 --op-limit "$(scaled 100)" --file-size 256K --stores 512
	counters t
}

# Nobody checks the guard, so that what can change is copied.
make_disk dev_size_mb=48 dif=0 dix=1 guard=0
wipe
ok "the module loads" load_module
protect app_tag:7
ok "it does not say that it can encrypt" test ! -e "$(sysfs_of t)/queue/crypto"

must modprobe ext4
must mkfs.ext4 -q -F -O encrypt -E nodiscard,lazy_itable_init=0,lazy_journal_init=0 /dev/mapper/t
log_mark
ext4_with -o inlinecrypt,test_dummy_encryption
put_text "$mnt/file"
ok "the block layer encrypts" log_says 'using blk-crypto-fallback'
ok "what was written is not on the disk" text_on_disk 1
echo 3 >/proc/sys/vm/drop_caches
ok "it is in the file" is_text "$mnt/file"
stores "$mnt/load"
ok "what is stored to while it is written passes" holds \
	"$done_writes > 0 && $mutations > 0 && $failed == 0 && $unrepaired == 0 && $corrupt == 0"
ok "what was encrypted is nobody's, and stays in place" holds "$in_place >= $done_writes"
must umount_all
ok "the filesystem is clean" fsck.ext4 -fn /dev/mapper/t

# As it is without that.
ext4_with
put_text "$mnt/plain"
ok "not encrypted: what was written is on the disk" text_on_disk 0
stores "$mnt/other"
ok "not encrypted: what is stored to while it is written passes" holds \
	"$done_writes > 0 && $mutations > 0 && $failed == 0 && $unrepaired == 0 && $corrupt == 0"
ok "not encrypted: it was copied" holds "$copied_cache >= $done_writes && $in_place == 0"
must umount_all
ok "the filesystem is clean in the end" fsck.ext4 -fn /dev/mapper/t
must unmap t
ok "all of the disk can be read" reads_back
finish
