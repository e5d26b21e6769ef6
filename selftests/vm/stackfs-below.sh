#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
#
# stackfs-below.sh: what the file system below stackfs sees of writing back: a task
# that allocates nothing that calls file systems, and mappings as they always were;
# and that it is read and written a large folio at a time.
#
# timeout: 300
# covers: samples/stackfs rust/fs
# mem: 1G
#
# shellcheck disable=SC2016

. "$(dirname "$0")/lib.sh"
# shellcheck source=lib/below.sh
. "$vm/lib/below.sh"

types=(tmpfs ext4 xfs)
ways=(fsync msync sync umount)
below=$work/below above=$work/above
mkdir "$below" "$above"

# mount_both TYPE
mount_both() {
	fresh "$1" "$disk" "$below"
	must mount_at "$above" -t stackfs -o "lowerdir=$below" none
}

# bpftrace says nothing when it has attached its probes.
is_probing() {
	(($(grep -cE ' ((shmem|ext4|xfs)_file_(write|read)_iter|filemap_read)\+' /sys/kernel/debug/kprobes/list) == 8))
}

# write_to FILE [WAY]: 1 MiB of new pages, brought down in that way.
write_to() {
	case ${2:-} in
	fsync) must dd if=/dev/zero "of=$1" bs=64K count=16 conv=fsync ;;
	msync)
		must python3 -c 'import mmap, os, sys
fd = os.open(sys.argv[1], os.O_RDWR | os.O_CREAT)
os.ftruncate(fd, 1 << 20)
mapped = mmap.mmap(fd, 1 << 20)
mapped[:] = b"m" * (1 << 20)
mapped.flush()' "$1"
		;;
	*)
		must dd if=/dev/zero "of=$1" bs=64K count=16
		[ "${2:-}" != sync ] || sync
		[ "${2:-}" != umount ] || must unmount "$above"
		;;
	esac
}

# seen MAP NAME FIELDS: what has been counted for a file of that name, each once; of
# that the fields, as cut(1) takes them.
seen() {
	sed -nE "s/^@$1\\[$2, ([0-9, ]*)\\]: .*/\\1/p" "$work/seen" | tr -d , | cut -d' ' -f"$3" | sort -u
}

# is_careful NAME: what wrote to that file was a thread of the kernel, in a NOFS
# section, throttled by the device below only, and all that it allocated was GFP_NOFS.
is_careful() {
	is "$(seen write "$1" 1-3)" "1 1 1" && is "$(seen alloc "$1" 1-2 | grep -vx '1 0')" ""
}

# is_written_whole NAME: the folios, of 64 KiB, with a call each.
is_written_whole() {
	local calls
	calls=$(sed -nE "s/^@write\\[$1, .*\\]: //p" "$work/seen")
	holds "$calls > 0 && $calls <= 32"
}

# is_read_whole NAME: the folios that were read ahead, the first of which are smaller,
# with a call each.
is_read_whole() {
	local calls
	calls=$(sed -nE "s/^@read\\[$1, ${1%%.*}\\]: //p" "$work/seen")
	holds "$calls > 0 && $calls <= 64"
}

# is_careless NAME: what wrote to that file allocated as its mapping lets it.
is_careless() {
	is "$(seen write "$1" 1-3)" "0 0 0" && seen alloc "$1" 1-2 | grep -x '0 1'
}

# mapping_stays TYPE: all the mappings that were seen there have one mask and one set of
# flags, whether written to by hand or by stackfs, and afterwards.
mapping_stays() {
	is "$(seen write "$1\\.[a-z]*" 4-5)" "$(seen write "$1.direct" 4-5)" &&
		is "$(seen write "$1.again" 4-5)" "$(seen write "$1.direct" 4-5)"
}

make_disk dev_size_mb=400
must modprobe -a ext4 xfs
ok "the module loads" modprobe stackfs
# In hexadecimal: PF_KTHREAD 200000, PF_MEMALLOC_NOFS 40000, PF_LOCAL_THROTTLE 100000,
# __GFP_FS 80. Writes, and the pages that are allocated in them.
bpftrace -q -e '
	kprobe:shmem_file_write_iter, kprobe:ext4_file_write_iter, kprobe:xfs_file_write_iter {
		$file = ((struct kiocb *)arg0)->ki_filp;
		$mapping = $file->f_mapping;
		@file[tid] = str($file->f_path.dentry->d_name.name, 32);
		@write[@file[tid], (curtask->flags & 0x200000) != 0, (curtask->flags & 0x40000) != 0,
			(curtask->flags & 0x100000) != 0, (uint64)$mapping->gfp_mask, $mapping->flags] = count();
	}
	kretprobe:shmem_file_write_iter, kretprobe:ext4_file_write_iter, kretprobe:xfs_file_write_iter {
		delete(@file, tid);
	}
	tracepoint:kmem:mm_page_alloc /@file[tid] != ""/ {
		@alloc[@file[tid], (curtask->flags & 0x40000) != 0, (args.gfp_flags & 0x80) != 0] = count();
	}
	kprobe:shmem_file_read_iter, kprobe:filemap_read {
		$file = ((struct kiocb *)arg0)->ki_filp;
		@read[str($file->f_path.dentry->d_name.name, 32), str($file->f_inode->i_sb->s_type->name)] = count();
	}
	END { clear(@file); }' >"$work/seen" 2>&1 &
tracer=$!
ok "bpftrace looks at the file systems below" wait_for 200 is_probing

for type in "${types[@]}"; do
	mount_both "$type"
	write_to "$below/$type.direct"
	for way in "${ways[@]}"; do
		write_to "$above/$type.$way" "$way"
	done
	must mount_at "$above" -t stackfs -o "lowerdir=$below" none
	must cmp -n $((1 << 20)) "$above/$type.fsync" /dev/zero
	must unmount "$above"
	mv "$below/$type.fsync" "$below/$type.again"
	write_to "$below/$type.again"
	must umount_all
done
kill -INT "$tracer"
wait "$tracer"
note "$(cat -s "$work/seen")"

for type in "${types[@]}"; do
	# The mappings of XFS let nobody.
	[ "$type" = xfs ] || ok "$type: a task that writes there may call file systems" is_careless "$type.direct"
	for way in "${ways[@]}"; do
		ok "$type: $way: written by a thread that does not call file systems" is_careful "$type.$way"
	done
	ok "$type: large folios are written as a whole" is_written_whole "$type.fsync"
	ok "$type: large folios are read ahead as a whole" is_read_whole "$type.fsync"
	ok "$type: the mappings have the flags that they had" mapping_stays "$type"
done
finish
