# SPDX-License-Identifier: GPL-2.0
# shellcheck shell=bash
#
# What the scripts in this folder share: where things are cached, who may change
# them, and how a command runs inside the root file system.

set -euo pipefail
umask 022

top=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd -P)
cache=${XDG_CACHE_HOME:-${HOME:?HOME is not set}/.cache}/stable-pages
build=$top/build

die() {
	printf 'error: %s\n' "$*" >&2
	exit 1
}

# with_lock NAME COMMAND...: only one set-up at a time works on NAME.
with_lock() {
	mkdir -p "$cache"
	exec 9>"$cache/lock-$1"
	flock -n 9 || {
		printf '  waiting for another set-up to finish ...\n' >&2
		flock 9
	}
	scratch=$cache/tmp-$1
	drop_scratch
	shift
	"$@"
	exec 9>&-
}

# What is half made is in $scratch, on the cache's file system; only rename(2)
# makes a result appear under its final name. What a killed set-up left there is
# removed by the next one.
drop_scratch() {
	[ -e "$scratch" ] || return 0
	chmod -R u+w "$scratch" 2>/dev/null || true
	rm -rf "$scratch"
}

# hash_of FILE...: of what they hold and what they are called.
hash_of() {
	local file
	for file; do
		printf '%s\n' "${file##*/}"
		cat "$file"
	done | sha256sum | cut -c1-16
}

root_dir() {
	printf '%s/root-%s\n' "$cache" "$(hash_of "$top"/qemu/packages/* "$top/qemu/mkroot")"
}

# deb_root_dir: the root file system with what makes packages.
deb_root_dir() {
	printf '%s/debroot-%s\n' "$cache" "$(hash_of "$top/qemu/deb-packages" "$top/qemu/mkroot")"
}

# image_file VERSION: the root file system of a Debian machine with that kernel, as a tar
# archive.
image_file() {
	printf '%s/image-%s-%s\n' "$cache" "$1" "$(hash_of "$top/qemu/image-packages" "$top/qemu/mkimage")"
}

# disk_file: the disk of the virtual machine, with all of the root file system.
disk_file() {
	printf '%s/disk-%s\n' "$cache" "$( (root_dir && cat "$top/qemu/mkdisk") | sha256sum | cut -c1-16)"
}

# crates_dir: the folder of the programs that are built from crates.
crates_dir() {
	printf '%s/crates-%s\n' "$cache" \
		"$(hash_of "$top/qemu/packages/toolchain" "$top/qemu/crates" "$top/qemu/build-crates")"
}

# chosen_series: the file with the series that is taken without KERNEL=, which depends
# on those in the table and on what apt offers.
chosen_series() {
	printf '%s/series-%s\n' "$cache" "$(hash_of "$top/qemu/series")"
}

# set_series: KERNEL, where the environment has none.
set_series() {
	if [ -z "${KERNEL:-}" ]; then
		KERNEL=$(cat "$(chosen_series)" 2>/dev/null) ||
			die "there is no kernel yet; type: make setup"
	fi
	export KERNEL
}

# kernel_dir stock|debug: the folder of that kernel of series $KERNEL.
kernel_dir() {
	local link=$cache/$1-$KERNEL
	if [ ! -e "$link/release" ]; then
		case $1 in
		stock) die "there is no kernel of series $KERNEL yet; type: make setup KERNEL=$KERNEL" ;;
		debug) die "there is no debug kernel of series $KERNEL yet; type: make debug-kernel KERNEL=$KERNEL" ;;
		*) die "'$1' is neither stock nor debug" ;;
		esac
	fi
	readlink -f "$link"
}

# keep FOLDER: of the cache; from now on qemu/prune leaves it there, for as long as
# this script or anything that it starts is alive, and for 30 days after. False if
# it is not there.
keep() {
	local fd
	{ exec {fd}<"$1"; } 2>/dev/null || return
	flock -s "$fd"
	# It may have been removed just before that.
	[ "$1" -ef "/dev/fd/$fd" ] && { : >"$1/used"; } 2>/dev/null
}

# in_root [BWRAP-OPTION...] -- COMMAND...: run a command in the root file
# system, which is read-only; the project, the cache and /tmp are not. The
# command sees the project and the cache at the paths they have outside.
in_root() {
	local options=()
	while [ "$1" != -- ]; do
		options+=("$1")
		shift
	done
	shift
	local root=${use_root:-}
	[ -n "$root" ] || root=$(root_dir)
	[ "$root" = "${kept_root:-}" ] || keep "$root" ||
		die "there is no root file system ${use_root:+for packages }yet; type: ${root_made_by:-make setup}"
	kept_root=$root
	mkdir -p "$cache/home" "$build"
	# The root directory itself is a tmpfs, so that the project and the cache
	# can be mounted at whatever path they have outside.
	local args=(
		--unshare-user --uid 0 --gid 0 --unshare-pid --unshare-ipc --die-with-parent
		--tmpfs / --ro-bind "$root/usr" /usr --ro-bind "$root/etc" /etc
		--tmpfs /var --ro-bind "$root/var/lib" /var/lib --dir /var/cache/apt
		--symlink usr/bin /bin --symlink usr/sbin /sbin
		--symlink usr/lib /lib --symlink usr/lib64 /lib64
		--dev-bind /dev /dev --proc /proc --dir /sys --dir /mnt
		--tmpfs /tmp --tmpfs /run --symlink ../run /var/run --symlink ../tmp /var/tmp
		--ro-bind-try /etc/resolv.conf /etc/resolv.conf
		--ro-bind-try /etc/hosts /etc/hosts
		--ro-bind-try /etc/ssl/certs/ca-certificates.crt /etc/ssl/certs/ca-certificates.crt
		--bind "$cache" "$cache" --bind "$top" "$top"
		--setenv HOME "$cache/home" --setenv PATH /usr/sbin:/usr/bin:/sbin:/bin
		--setenv CARGO_HOME "$cache/home/cargo" --setenv LC_ALL C.UTF-8
		--unsetenv MAKEFLAGS --unsetenv MFLAGS --unsetenv MAKELEVEL
		--chdir "$PWD"
	)
	if [ -d "${CARGO_HOME:-$HOME/.cargo}" ]; then
		local c
		for c in config config.toml; do
			[ -f "${CARGO_HOME:-$HOME/.cargo}/$c" ] || continue
			mkdir -p "$cache/home/cargo"
			: >>"$cache/home/cargo/$c"
			args+=(--ro-bind "${CARGO_HOME:-$HOME/.cargo}/$c" "$cache/home/cargo/$c")
		done
	fi
	bwrap "${args[@]}" "${options[@]}" -- "$@"
}

# in_deb_root ...: the same in the root file system with what makes packages.
in_deb_root() {
	local use_root root_made_by='qemu/setup deb'
	use_root=$(deb_root_dir)
	in_root "$@"
}
