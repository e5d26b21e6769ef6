# SPDX-License-Identifier: GPL-2.0
# shellcheck shell=bash
#
# Stacks of block devices, as a test names them, from the bottom to the top:
#
#     stack 'pi' 'md 1 2' 'stable-pi policy:copy'
#
# Below a layer are one device or several, its legs. Disks add legs, most layers go on
# each of them, the rest make one of all. Where a layer needs more than there are, the one
# is cut up.
#
# disks
#   pi [COUNT] [PARAMETER=VALUE...]     scsi_debug with protection information; 16 MiB
#   plain [COUNT] [PARAMETER=VALUE...]  scsi_debug without; not both in one stack
#   ram [COUNT] [MB]                    brd
#   null [PARAMETER=VALUE...]           null_blk that keeps its data; 16 MiB
#   dev DEVICE...                       those, such as /dev/nvme0n1
#   nvme NAMESPACE...                   of the machine's own device, by number; written once, with zeroes
# on each
#   stable-pi [ARGUMENT...]             with control: linear
#   linear [OFFSET]                     from that sector on
#   partition                           one, from sector 2048 on
#   delay READ-MS [WRITE-MS]
#   crypt [OPTION...]
#   integrity J|B|D|I [OPTION=VALUE...] journal, bitmap, neither, inline; formatted and wiped
#   luks                                of cryptsetup, with a sum of each sector (dm-crypt on dm-integrity)
#   loop [OPTION...]                    of losetup
# of all
#   md LEVEL [COUNT] [OPTION...]        of mdadm --create; 0, 1, 5, 6, 10
#   raid LEVEL                          dm-raid, as LVM has it; 1
#   concat [COUNT], striped [COUNT] [CHUNK]
#   thin                                data and metadata
#   snapshot [origin]                   origin and exceptions; the snapshot, or the origin
#   cache [writeback|writethrough]      metadata, cache, origin
#   bcache                              cache, backing device; written through
#   multipath                           each leg is a path to the same
#   volume                              of lib/admin.sh
#   nvme-tcp                            of lib/nvmet.sh
#   iscsi                               of lib/iscsi.sh
#   drbd [OPTION...]                    of lib/drbd.sh, of the first two legs; of drbdsetup connect
#
# "plain" and "pi" take window, too: pi "${window[*]}".

# The device at the top and its sectors; what there is at the top, where it is not one;
# and the names of stable-pi's devices.
# shellcheck disable=SC2034 # for scripts
declare top_device top_sectors
legs=() filters=()
stack_number=0 stack_depth=0 is_control=''

# stack LAYER...: sets top_device, top_sectors, legs and filters. One at a time.
stack() {
	local layer words
	legs=() filters=() stack_depth=${#deferred[@]}
	for layer; do
		read -ra words <<<"$layer"
		declare -F "layer_${words[0]//-/_}" >/dev/null || bail "there is no layer '${words[0]}'"
		"layer_${words[0]//-/_}" "${words[@]:1}"
	done
	top_device=${legs[0]}
	top_sectors=$(blockdev --getsz "$top_device")
}

# control LAYER...: the stack with linear in the place of stable-pi.
control() {
	is_control=1
	stack "$@"
	is_control=
}

# unstack: all of it goes, and what else was made since.
unstack() {
	take_down "$stack_depth" || bail "the stack does not go"
	legs=() filters=()
}

# on_each COMMAND...: of which each gets a leg, and sets made.
on_each() {
	local i under=("${legs[@]}")
	for i in "${!under[@]}"; do
		"$@" "${under[i]}"
		legs[i]=$made
	done
}
declare made

# mapped_as TYPE TABLE: sets made to the new device, which has a name of its own.
mapped_as() {
	made=$1-$stack_number
	stack_number=$((stack_number + 1))
	must map "$made" "$2"
	made=/dev/mapper/$made
}

sectors_of() {
	blockdev --getsz "$1"
}

# cut COUNT: into so many of the same size, if there are fewer legs.
cut_up() {
	local size i whole=${legs[0]}
	((${#legs[@]} < $1)) || return 0
	((${#legs[@]} == 1)) || bail "${#legs[@]} legs instead of $1"
	# In the units of every target that is built on them.
	size=$(($(sectors_of "$whole") / $1 / 128 * 128))
	for ((i = 0; i < $1; i++)); do
		mapped_as linear "0 $size linear $whole $((i * size))"
		legs[i]=$made
	done
}

# cut_at SECTOR...: the one leg, if there is one.
cut_at() {
	local whole=${legs[0]} begin=0 end i=0
	((${#legs[@]} == 1)) || {
		((${#legs[@]} == $# + 1)) || bail "${#legs[@]} legs instead of $(($# + 1))"
		return 0
	}
	for end in "$@" "$(sectors_of "$whole")"; do
		mapped_as linear "0 $((end - begin)) linear $whole $begin"
		legs[i++]=$made
		begin=$end
	done
}

# Disks -----------------------------------------------------------------------

layer_pi() {
	scsi_disks dif=1 dix=1 guard=0 "$@"
}

layer_plain() {
	scsi_disks dif=0 dix=0 "$@"
}

# scsi_disks PARAMETER... [COUNT] [PARAMETER...]: one host for each, with data of its own.
scsi_disks() {
	local word count=1 words=()
	for word; do
		if [[ $word =~ ^[0-9]+$ ]]; then
			count=$word
		else
			words+=("$word")
		fi
	done
	# The last of two that say different things counts.
	make_disk dev_size_mb=16 "add_host=$count" per_host_store=1 "${words[@]}"
	must wait_for 10 scsi_legs "$count"
}

# scsi_legs COUNT: all disks of scsi_debug are there; they become legs.
scsi_legs() {
	local dir model size found=()
	for dir in /sys/block/sd*; do
		model=''
		read -r model <"$dir/device/model"
		[[ $model == scsi_debug* ]] || continue
		read -r size <"$dir/size"
		((size > 0)) && test -b "/dev/${dir##*/}" && found+=("/dev/${dir##*/}")
	done 2>/dev/null
	((${#found[@]} == $1)) && legs+=("${found[@]}")
}

layer_ram() {
	local i
	must modprobe brd "rd_nr=${1:-1}" "rd_size=$((${2:-16} << 10))"
	defer gone_module brd
	for ((i = 0; i < ${1:-1}; i++)); do
		legs+=("/dev/ram$i")
	done
}

layer_null() {
	must modprobe null_blk nr_devices=1 memory_backed=1 gb=1 "$@"
	defer gone_module null_blk
	legs+=(/dev/nullb0)
}

layer_dev() {
	legs+=("$@")
}

layer_nvme() {
	local number device
	for number; do
		device=$(namespace "$number")
		test -b "$device" || bail "the machine has no namespace $number"
		# What was never written has no right tuples in QEMU.
		must dd if=/dev/zero "of=$device" bs=1M oflag=direct iflag=count_bytes \
			"count=$(($(sectors_of "$device") * 512))"
		legs+=("$device")
	done
}

# namespace NUMBER: prints the disk, whose name depends on which was found first.
namespace() {
	local file number
	for file in /sys/block/nvme*/nsid; do
		read -r number <"$file"
		if [ "$number" = "$1" ] && [ "$(<"${file%/*}/device/transport")" = pcie ]; then
			file=${file%/nsid}
			printf '/dev/%s\n' "${file##*/}"
		fi
	done
}

# On each ---------------------------------------------------------------------

layer_stable_pi() {
	local leg i=0
	[ -z "$is_control" ] || {
		on_each one_linear 0
		return
	}
	for leg in "${legs[@]}"; do
		mapped_as stable-pi "0 $(sectors_of "$leg") stable-pi $leg 0 $# $*"
		legs[i++]=$made
		filters+=("${made##*/}")
	done
}

layer_linear() {
	on_each one_linear "${1:-0}"
}

one_linear() {
	mapped_as linear "0 $(($(sectors_of "$2") - $1)) linear $2 $1"
}

layer_partition() {
	on_each one_partition
}

# A disk whose name ends with a digit has a p before the partition's number.
one_partition() {
	local unit
	made=${1}1
	[[ $1 != *[0-9] ]] || made=${1}p1
	unit=$(($(blockdev --getss "$1") / 512))
	# What was never written cannot be read on every disk.
	must dd if=/dev/zero "of=$1" bs=1M count=1 oflag=direct
	must sfdisk --quiet --no-tell-kernel "$1" <<<"start=$((2048 / unit)), type=83"
	must blockdev --rereadpt "$1"
	must wait_for 5 test -b "$made"
}

layer_delay() {
	on_each one_delay "$1" "${2:-$1}"
}

one_delay() {
	mapped_as delay "0 $(sectors_of "$3") delay $3 0 $1 $3 0 $2"
}

layer_crypt() {
	on_each one_crypt "$# $*"
}

one_crypt() {
	local key
	printf -v key '%064d%064d' 7 9
	mapped_as crypt "0 $(sectors_of "$2") crypt aes-xts-plain64 $key 0 $2 0 $1"
}

layer_integrity() {
	must modprobe dm_integrity
	on_each one_integrity "$@"
}

# one_integrity MODE [OPTION...] LEG: a table of one sector makes it write its superblock,
# which says how many sectors it provides then. What it provides is written once, so that
# all has a checksum.
one_integrity() {
	local mode=$1 leg=${*: -1} options=("internal_hash:crc32c" "${@:2:$#-2}") sectors
	[ "$mode" != D ] || modprobe -q crc32c || :
	must dd if=/dev/zero "of=$leg" bs=4k count=1 oflag=direct
	must dmsetup create format --table "0 1 integrity $leg 0 - ${mode/[BD]/J} ${#options[@]} ${options[*]}"
	must gone_device format
	# The number is at the 17th byte, after magic, version, size of an interleave and of a tag, sections.
	sectors=$(od -An -t u8 -j 16 -N 8 "$leg")
	mapped_as integrity "0 $((sectors)) integrity $leg 0 - $mode ${#options[@]} ${options[*]}"
	must dd if=/dev/zero "of=$made" bs=1M oflag=direct iflag=count_bytes "count=$((sectors * 512))"
}

layer_luks() {
	on_each one_luks
}

one_luks() {
	local words=(--batch-mode --key-file "$work/key")
	made=luks-$stack_number
	stack_number=$((stack_number + 1))
	printf '%064d' 7 >"$work/key"
	must cryptsetup "${words[@]}" luksFormat --type luks2 --pbkdf pbkdf2 --pbkdf-force-iterations 1000 \
		--luks2-metadata-size 16k --luks2-keyslots-size 1m --integrity hmac-sha256 "$1"
	must cryptsetup "${words[@]}" open "$1" "$made"
	defer gone_luks "$made"
	made=/dev/mapper/$made
	must test -b "$made"
}

gone_luks() {
	wait_for 10 quiet cryptsetup close "$1"
}

layer_loop() {
	on_each one_loop "$@"
}

one_loop() {
	made=$(losetup --find --show "$@") || bail "there is no loop device"
	defer losetup --detach "$made"
}

# Of all ----------------------------------------------------------------------

# The data is as new: zeroes, of which the parity is zeroes.
layer_md() {
	local level=$1 count=2 number=0 new=(--assume-clean)
	shift
	[[ $* == *--bitmap=* ]] || new+=(--bitmap=none)
	case $level in
	0) new=() ;;
	5) count=3 ;;
	6 | 10) count=4 ;;
	esac
	if [[ ${1:-} =~ ^[0-9]+$ ]]; then
		count=$1
		shift
	fi
	case $level in
	0 | 1 | 10) must modprobe "raid$level" ;;
	*) must modprobe raid456 ;;
	esac
	((count >= ${#legs[@]})) || count=${#legs[@]}
	cut_up "$count"
	while [ -e "/sys/block/md$number" ]; do
		number=$((number + 1))
	done
	made=/dev/md$number
	must mdadm --create "$made" --run --metadata=1.0 "${new[@]}" "--level=$level" \
		"--raid-devices=$count" "$@" "${legs[@]}"
	defer gone_array "$made"
	must wait_for 10 test -b "$made"
	legs=("$made")
}

layer_raid() {
	local leg size table
	must modprobe dm_raid
	must modprobe "raid$1"
	cut_up 2
	size=$(sectors_of "${legs[0]}")
	table="0 $size raid raid$1 2 0 nosync ${#legs[@]}"
	for leg in "${legs[@]}"; do
		table+=" - $leg"
	done
	mapped_as raid "$table"
	legs=("$made")
}

layer_concat() {
	local leg size at=0 table=''
	cut_up "${1:-2}"
	for leg in "${legs[@]}"; do
		size=$(sectors_of "$leg")
		table+="$at $size linear $leg 0"$'\n'
		at=$((at + size))
	done
	mapped_as concat "${table%$'\n'}"
	legs=("$made")
}

layer_striped() {
	local count=${1:-2} chunk=${2:-128} leg table size
	((count >= ${#legs[@]})) || count=${#legs[@]}
	cut_up "$count"
	size=$(($(sectors_of "${legs[0]}") / chunk * chunk * count))
	table="0 $size striped $count $chunk"
	for leg in "${legs[@]}"; do
		table+=" $leg 0"
	done
	mapped_as striped "$table"
	legs=("$made")
}

layer_thin() {
	local pool size
	must modprobe dm_thin_pool
	((${#legs[@]} > 1)) || {
		cut_at 4096
		legs=("${legs[1]}" "${legs[0]}")
	}
	must dd if=/dev/zero "of=${legs[1]}" bs=4k count=1 oflag=direct
	size=$(sectors_of "${legs[0]}")
	mapped_as thin-pool "0 $((size / 128 * 128)) thin-pool ${legs[1]} ${legs[0]} 128 0"
	pool=$made
	must dmsetup message "$pool" 0 'create_thin 0'
	# As much as there can be of it.
	mapped_as thin "0 $((size / 128 * 128)) thin $pool 0"
	legs=("$made")
}

layer_snapshot() {
	local size
	must modprobe dm_snapshot
	# Where all of the origin is written, the exceptions are as much, and their table.
	((${#legs[@]} > 1)) || cut_at $(($(sectors_of "${legs[0]}") * 2 / 5 / 128 * 128))
	size=$(sectors_of "${legs[0]}")
	must dd if=/dev/zero "of=${legs[1]}" bs=4k count=1 oflag=direct
	mapped_as snapshot "0 $size snapshot ${legs[0]} ${legs[1]} P 8"
	local snapshot=$made
	mapped_as origin "0 $size snapshot-origin ${legs[0]}"
	legs=("$snapshot")
	[ "${1:-}" != origin ] || legs=("$made")
}

layer_cache() {
	local size
	must modprobe dm_cache
	must modprobe dm_cache_smq
	((${#legs[@]} > 1)) || cut_at 4096 $(($(sectors_of "${legs[0]}") / 3 / 128 * 128))
	must dd if=/dev/zero "of=${legs[0]}" bs=4k count=1 oflag=direct
	size=$(sectors_of "${legs[2]}")
	mapped_as cache "0 $size cache ${legs[0]} ${legs[1]} ${legs[2]} 128 1 ${1:-writeback} smq 0"
	legs=("$made")
}

layer_bcache() {
	local leg dir
	must modprobe bcache
	defer gone_module bcache
	((${#legs[@]} > 1)) || cut_at $(($(sectors_of "${legs[0]}") * 2 / 5 / 128 * 128))
	for leg in "${legs[@]}"; do
		must dd if=/dev/zero "of=$leg" bs=64k count=1 oflag=direct
	done
	# More than 512 buckets, fewer of which the kernel refuses.
	must make-bcache --block 4k --bucket 8k -C "${legs[0]}" -B "${legs[1]}"
	for leg in "${legs[@]}"; do
		must registered "$leg"
	done
	made=/dev/bcache0
	must wait_for 10 test -b "$made"
	dir=/sys/block/${made##*/}/bcache
	must wait_for 10 test -e "$dir/cache"
	defer gone_bcache "$dir" "$(readlink -f "$dir/cache")"
	# A small cache that writes back hangs in bch_bucket_alloc() when it is full (7.3), whatever is on top.
	echo writethrough >"$dir/cache_mode"
	echo 0 >"$dir/sequential_cutoff"
	echo 0 >"$dir/cache/congested_read_threshold_us"
	echo 0 >"$dir/cache/congested_write_threshold_us"
	legs=("$made")
}

# registered DEVICE: with bcache.
registered() {
	echo "$1" >/sys/fs/bcache/register
}

# gone_bcache DEVICE SET: folders in /sys, for defer. Nothing is written back.
gone_bcache() {
	local dir
	for dir; do
		[ ! -e "$dir/stop" ] || echo 1 >"$dir/stop"
	done
	wait_for 20 test ! -e "$1" && wait_for 20 test ! -e "$2"
}

layer_multipath() {
	local leg paths=''
	must modprobe dm_multipath
	must modprobe dm_round_robin
	for leg in "${legs[@]}"; do
		paths+=" $leg 1"
	done
	mapped_as multipath "0 $(sectors_of "${legs[0]}") multipath 0 0 1 1 round-robin 0 ${#legs[@]} 1$paths"
	legs=("$made")
}
