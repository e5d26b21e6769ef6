# SPDX-License-Identifier: GPL-2.0
# shellcheck shell=bash
#
# What host/install and host/dkms share: the machine that the packages of build/deb are
# installed on.

# find_machine: sets release, and image, the root file system.
find_machine() {
	local kernel
	set_series
	kernel=$(kernel_dir stock) || bail "there is no kernel; type: make setup"
	release=$(<"$kernel/release")
	image=$(image_file "$(<"$kernel/version")")
	[ -e "$image" ] || bail "there is no machine to install on; type: qemu/setup image"
	touch "$image"
}

# find_packages NAME...: sets packages to their files.
find_packages() {
	local package file wanted
	wanted=$(debian/version)
	packages=()
	for package; do
		file=$(compgen -G "build/deb/${package}_${wanted}_*.deb") ||
			bail "build/deb has no $package of version $wanted; type: make deb"
		packages+=("$file")
	done
}

# make_work: sets work, a folder that goes away with the test, with what is typed.
make_work() {
	mkdir -p build
	work=$(mktemp -d "$top/build/install.XXXXXX")
	trap 'rm -rf "$work"' EXIT
	mkdir "$work/steps"
	cp selftests/host/install/* selftests/ktap.sh "$work/steps"
}

# relay STEP: its cases, as those of this test.
relay() {
	local line plan=''
	while IFS= read -r line; do
		line=${line%$'\r'}
		case $line in
		'ok '*) pass "${line#ok * }" ;;
		'not ok '*) fail "${line#not ok * }" ;;
		'#'*) printf '%s\n' "$line" ;;
		1..*) plan=1 ;;
		esac
	done <"$work/steps/$1.ktap"
	[ -n "$plan" ] || fail "$1 goes on to its end"
}

# go_on STEP [MMDEBSTRAP-OPTION...]: mmdebstrap, with what it has made before, does the step
# in there, and leaves all of it in root.tar. Its output has that of the hooks.
go_on() {
	local step=$1 mode=unshare
	shift
	[ "$(id -u)" != 0 ] || mode=root
	# shellcheck disable=SC2016 # the hooks' own
	mmdebstrap --quiet --mode="$mode" --variant=custom --skip=update --format=tar \
		--setup-hook="tar-in $image /" \
		--customize-hook='mkdir -p "$1/tmp/debs"' \
		--customize-hook="copy-in ${packages[*]} /tmp/debs" \
		--customize-hook="copy-in $work/steps /tmp" \
		--customize-hook="chroot \"\$1\" bash /tmp/steps/$step $release" \
		"$@" '' "$work/root.tar" >"$work/steps/$step.ktap" 2>&1 || {
		tail -n 40 "$work/steps/$step.ktap"
		return 1
	}
}
