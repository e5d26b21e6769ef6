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
# append: blk_crypto_fallback.num_keyslots=4
#
# shellcheck disable=SC2317,SC2154

. "$(dirname "$0")/lib.sh"

plan 10

text='this is no secret '

# holds_text FILE: that text, somewhere.
holds_text() {
	grep -qaF "$text" "$1"
}

make_disk dev_size_mb=48 dif=1 dix=1 guard=0
wipe
ok "the module loads" load_module
protect app_tag:7
ok "it does not say that it can encrypt" test ! -e "$(sysfs_of t)/queue/crypto"

must modprobe ext4
must mkfs.ext4 -q -F -O encrypt -E nodiscard,lazy_itable_init=0,lazy_journal_init=0 /dev/mapper/t
mkdir "$mnt"
log_mark
must mount -t ext4 -o inlinecrypt,test_dummy_encryption /dev/mapper/t "$mnt"
mounts=("$mnt")
must sh -c "yes '$text' | head -c 4M >'$mnt/file'"
sync
ok "the block layer encrypts" log_says 'using blk-crypto-fallback'
ok "on the disk is what it has encrypted" fails holds_text "$disk"
echo 3 >/proc/sys/vm/drop_caches
ok "in the file is what was written" is "$(sha256sum <"$mnt/file")" "$(yes "$text" | head -c 4M | sha256sum)"
mkdir "$mnt/load"
ok "files are stored to while they are written" load mmap --dir "$mnt/load" --threads 8 --seconds 1 \
	--file-size 256K --stores 512
counters t
ok "no sync fails, and all is verified" holds \
	'done_writes > 0 && failed == 0 && unrepaired == 0 && corrupt == 0'
ok "what was encrypted is nobody's, and stays in place" holds 'in_place > 0 && copied_cache == 0'
must umount_all
ok "the filesystem is clean" fsck.ext4 -fn /dev/mapper/t
must unmap t
ok "all of the disk can be read" reads_back
finish
