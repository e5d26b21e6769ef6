# SPDX-License-Identifier: GPL-2.0
# shellcheck shell=bash disable=SC2034 # what it sets is for scripts
#
# I/O of bio.py and payload.py, and what is looked at after it.

declare number # of the disk, as number_of prints it, for requests; a script sets it
declare result in_flight old new
server=()

# ask WORD...: of serve.py, which goes when the script does. Not for a subshell.
# Sets result, in_flight, old, new, done_writes and failed.
ask() {
	local answer='' word words
	if [ -z "${server_PID:-}" ]; then
		coproc server { exec "$vm/serve.py" 2>"$work/serve"; }
	fi
	printf '%s\n' "$*" >&"${server[1]}" && IFS= read -r answer <&"${server[0]}"
	note "$*: $answer"
	result='' in_flight='' old='' new='' done_writes='' failed=''
	IFS=, read -ra words <<<"${answer//[\{\}\"]/}"
	for word in "${words[@]}"; do
		case $word in
		writes:*) done_writes=${word#*:} ;;
		result:* | in_flight:* | old:* | new:* | failed:*) printf -v "${word%%:*}" %s "${word#*:}" ;;
		esac
	done
	[ -n "$result" ] || note "$(<"$work/serve")"
}

# bio ARGUMENT..., payload ARGUMENT...: see bio.py and payload.py.
bio() {
	ask bio "$@"
}

payload() {
	ask payload "$@"
}

# held NAME ARGUMENT...: a direct write of 4 KiB to /dev/mapper/t at 8192, with more
# arguments of bio.py, that is kept by the linear device NAME below until its data has
# changed, if --change says so. Sets content, too: which data the disk holds then, old, new or other.
declare content
held() {
	local hash
	bio write /dev/mapper/t 8192 4096 --slow "$@"
	hash=$(sum 8192 4096)
	content=other
	[ "$hash" != "$new" ] || content=new
	[ "$hash" != "$old" ] || content=old
}

# sum OFFSET SIZE: of what the disk holds, in bytes.
sum() {
	dd if="$disk" bs=64k iflag=direct,skip_bytes,count_bytes skip="$1" count="$2" status=none |
		sha256sum | cut -d' ' -f1
}

# queue DEVICE NAME: of its limits.
queue() {
	cat "/sys/dev/block/$(stat -c %Hr:%Lr "$1")/queue/$2"
}

# requests BYTES: writes of that length that the disk, $number, was given.
requests() {
	traced "block_rq_issue: $number W[A-Z]* $1 "
}

# number_of DEVICE: as trace events have it.
number_of() {
	stat -c %Hr,%Lr "$1"
}
