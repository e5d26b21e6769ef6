#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
#
# prune.sh: the cache loses what nobody has used for 30 days, and nothing else.

. "$(dirname "$0")/../ktap.sh"
top=$(cd "$(dirname "$0")/../.." && pwd -P)

work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
cache=$work/cache/stable-pages

# folder NAME AGE [AGE-OF-LAST-USE]: of the cache, in days.
folder() {
	mkdir -p "$cache/$1/source"
	echo 1 >"$cache/$1/release"
	[ -z "${3:-}" ] || touch -d "$3 days ago" "$cache/$1/used"
	touch -d "$2 days ago" "$cache/$1"
}

file() {
	mkdir -p "$cache"
	touch -d "$2 days ago" "$cache/$1"
}

prune() {
	XDG_CACHE_HOME=$work/cache "$top/qemu/prune" 2>&1
}

# in_cache COMMAND...: a function of qemu/lib.sh, in a shell of its own.
in_cache() {
	XDG_CACHE_HOME=$work/cache bash -c '. "$1/qemu/lib.sh"; "${@:2}"' - "$top" "$@"
}

is_there() {
	[ -e "$cache/$1" ]
}

is_gone() {
	[ ! -e "$cache/$1" ] && [ ! -L "$cache/$1" ]
}

folder linux-new 29
folder linux-used 90 29
folder linux-old 90 31
folder linux-never 31
folder linux-held 90 90
folder debug-1-used 90 0
folder debug-1-old 31 31
folder root-used 90 1
folder root-old 90 90
mkdir "$cache/root-old/locked"
touch "$cache/root-old/locked/file"
chmod a-w "$cache/root-old/locked"
ln -s linux-used "$cache/stock-7.2"
ln -s linux-old "$cache/stock-7.1"
ln -s debug-1-used "$cache/debug-7.2"
ln -s debug-1-old "$cache/debug-7.1"
file initramfs-old 31
file initramfs-used 29
for name in apt home log; do
	folder $name 90
done
file lock-kernel-7.2 90

# Somebody works in it, and has for long.
in_cache eval "keep '$cache/linux-held'; touch -d '90 days ago' '$cache/linux-held/used'
	echo \$\$; exec sleep 60" >"$work/holder" &
for ((i = 0; i < 100; i++)); do
	[ ! -s "$work/holder" ] || break
	sleep 0.1
done

ok "it prunes" prune
ok "what is new stays" is_there linux-new
ok "what is old and in use stays" is_there linux-used
ok "what was used last 31 days ago goes" is_gone linux-old
ok "so does what is older and was never used" is_gone linux-never
ok "what is being used stays, however old" is_there linux-held
ok "a debug kernel in use stays" is_there debug-1-used
ok "an old one goes" is_gone debug-1-old
ok "a root file system in use stays" is_there root-used
ok "an old one goes, whatever its modes" is_gone root-old
ok "an initramfs in use stays" is_there initramfs-used
ok "an old one goes" is_gone initramfs-old
ok "the links of kernels in use stay" eval 'is_there stock-7.2 && is_there debug-7.2'
ok "those of the others go" eval 'is_gone stock-7.1 && is_gone debug-7.1'
ok "all else stays" eval 'is_there apt && is_there home && is_there log && is_there lock-kernel-7.2'
ok "nothing half removed is left" fails compgen -G "$cache/tmp-*"

kill "$(<"$work/holder")"
wait
ok "a folder goes when nobody holds it any more" eval 'prune && is_gone linux-held'
ok "what is gone cannot be kept" fails in_cache keep "$cache/linux-held"
used() {
	touch -d '40 days ago' "$cache/linux-used/used" && in_cache keep "$cache/linux-used" &&
		prune && is_there linux-used
}
ok "what is kept has been used today" used
finish
