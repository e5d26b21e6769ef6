#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
#
# The set-up says what it lacks, and trusts nothing that is half made. A false
# mmdebstrap stands in for the real one, since that takes minutes, and a false apt for
# archives that there are not yet or no more.

. "$(dirname "$0")/../ktap.sh"
top=$(cd "$(dirname "$0")/../.." && pwd -P)

work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
mkdir "$work/bin"

# pretend COMMANDS: what mmdebstrap does from now on.
pretend() {
	printf '#!/bin/bash\n%s\n' "$1" >"$work/bin/mmdebstrap"
	chmod +x "$work/bin/mmdebstrap"
}

setup() {
	XDG_CACHE_HOME=$work/cache PATH=$work/bin:$PATH "$top/qemu/setup" root 2>&1
}

no_root_file_system() {
	! compgen -G "$work/cache/stable-pages/root-*"
}

# says TEXT COMMAND...: the command fails, and one line that it prints has this.
says() {
	local text=$1 out
	shift
	if out=$("$@" 2>&1); then
		echo "it went through"
		return 1
	fi
	printf '%s\n' "$out"
	[ "$(grep -cF -- "$text" <<<"$out")" = 1 ]
}

killed_set_up() {
	pretend "echo partial; echo \$\$ >$work/started; sleep 600"
	(exec env XDG_CACHE_HOME="$work/cache" PATH="$work/bin:$PATH" "$top/qemu/setup" root) >/dev/null 2>&1 &
	local pid=$! i
	for ((i = 0; i < 100; i++)); do
		[ -s "$work/started" ] && break
		sleep 0.1
	done
	kill -TERM "$pid"
	fails wait "$pid" && [ -s "$work/started" ] && no_root_file_system
}

# What the killed set-up had started is gone, too.
nobody_left() {
	local i
	for ((i = 0; i < 100; i++)); do
		kill -0 "$(<"$work/started")" || return 0
		sleep 0.1
	done
	return 1
}

# A root file system of nothing, as a folder or as a tar stream, which mkroot can finish.
empty_root() {
	# shellcheck disable=SC2016 # for the script that it writes
	pretend 'd=$(mktemp -d); mkdir -p "$d/usr/bin" "$d/etc"
		for word; do
			case $word in
			/*/root) cp -r "$d" "$word" ;;
			-) tar -C "$d" -c . ;;
			esac
		done
		rm -rf "$d"'
	setup && ! no_root_file_system
}

# The root file system itself is a machine without mmdebstrap and bubblewrap.
on_a_bare_machine() {
	. "$top/qemu/lib.sh"
	in_root --uid 1000 --setenv XDG_CACHE_HOME /tmp/cache -- "$top/qemu/setup" root
}

# Which kernel ------------------------------------------------------------------

cat >"$work/bin/apt-get" <<'END'
#!/bin/bash
case " $* " in
*" indextargets "*) . /etc/os-release; echo "http://mirror/ $VERSION_CODENAME main" ;;
*" update "*)
	echo >>"$FAKE/requests"
	[ ! -e "$FAKE/off-line" ]
	;;
esac
END
# A line of the archive is a series, and "whole" or which package it lacks.
cat >"$work/bin/apt-cache" <<'END'
#!/bin/bash
command=$1
shift
while read -r series lacks; do
	if [ "$command" = search ]; then
		echo "linux-source-$series - Linux kernel source for version $series"
		continue
	fi
	for package; do
		case $package in
		"linux-source-$series" | "linux-"*"-$series.4+deb13-amd64")
			[[ $package == "linux-$lacks-"* ]] || echo "$package | $series.4-1 | mirror"
			;;
		esac
	done
done <"$FAKE/archive"
END
chmod +x "$work/bin"/apt-*
mapfile -t table < <(sed -e 's/#.*//' -e '/^ *$/d' "$top/qemu/series")
oldest=${table[0]} newest=${table[-1]}

# archive LINE...: what apt offers to a machine that has not asked yet.
archive() {
	rm -rf "$work/apt"
	mkdir "$work/apt"
	printf '%s\n' "$@" >"$work/apt/archive"
}

# series [KERNEL]: what is taken.
series() {
	FAKE=$work/apt XDG_CACHE_HOME=$work/apt PATH=$work/bin:$PATH KERNEL=${1:-} \
		"$top/qemu/setup" series
}

# takes SERIES [KERNEL]: and says nothing about it that is no progress.
takes() {
	local out
	out=$(series "${2:-}" 2>"$work/said")
	cat "$work/said"
	[ "$out" = "$1" ] && ! grep -v 'Asking apt' "$work/said"
}

# takes_with SERIES TEXT [KERNEL]: and one line has this.
takes_with() {
	! takes "$1" "${3:-}" >/dev/null && [ "$(series "${3:-}" 2>"$work/said")" = "$1" ] &&
		[ "$(grep -cF -- "$2" "$work/said")" = 1 ]
}

requests() {
	[ "$(wc -l <"$work/apt/requests")" = "$1" ]
}

# have SERIES: a kernel of it, in the cache.
have() {
	mkdir -p "$work/apt/stable-pages/linux-$1"
	echo "$1.3-1" >"$work/apt/stable-pages/linux-$1/version"
	echo "$1.3+deb13-amd64" >"$work/apt/stable-pages/linux-$1/release"
	ln -s "linux-$1" "$work/apt/stable-pages/stock-$1"
}

newest_is_taken() {
	archive "6.1 whole" "$oldest whole" "99.1 whole" "$newest whole"
	takes "$newest"
}

incomplete_is_skipped() {
	local lacks
	for lacks in modules headers binary-unsigned base; do
		archive "$oldest whole" "$newest $lacks"
		takes "$oldest" || return
	done
}

only_newer() {
	archive "6.1 whole" "99.1 modules" "99.2 whole" "99.10 whole"
	takes_with 99.2 "Linux 99.2 is newer than the series that stable-pages was tried with" &&
		takes_with 99.10 "Linux 99.10 is newer" 99.10
}

one_request_a_day() {
	archive "$newest whole"
	series && series && series "$newest" && requests 1 || return
	# A newer kernel has come meanwhile.
	touch -d '-25 hours' "$work/apt/stable-pages/apt/checked"
	archive_became "$newest modules" "$oldest whole"
	takes "$oldest" && requests 2
}

archive_became() {
	printf '%s\n' "$@" >"$work/apt/archive"
}

off_line() {
	archive
	touch "$work/apt/off-line"
	says "the whole log is in" series || return
	have "$oldest"
	[ "$(series)" = "$oldest" ] && [ "$(series)" = "$oldest" ] && requests 2
}

dropped_by_the_archive() {
	archive "$newest whole"
	says "apt offers no complete kernel of series $oldest" series "$oldest" || return
	have "$oldest"
	takes_with "$oldest" "going on with $oldest.3+deb13-amd64" "$oldest"
}

nothing_fits() {
	archive "6.1 whole" "6.12 whole"
	says "there: 6.1 6.12" series
}

# -------------------------------------------------------------------------------

ok "a series that is not supported is refused, with those that are" \
	says "supported: ${table[*]}" env KERNEL=6.1 "$top/qemu/setup" kernel
ok "of the supported series that apt offers the newest is taken" newest_is_taken
ok "and an older one when it is asked for" takes "$oldest" "$oldest"
ok "one of which a package is missing is none" incomplete_is_skipped
ok "one that is newer than all is tried when there is no other, with a line" only_newer
ok "apt is asked once a day" one_request_a_day
ok "a machine that is off line keeps what it has" off_line
ok "and so does one whose series the archive has dropped" dropped_by_the_archive
ok "when there is none, a line says which there are" nothing_fits
pretend 'echo "E: no such mirror" >&2; exit 1'
ok "a step that fails names its log" says "the whole log is in $work/cache" setup
ok "it leaves no root file system" no_root_file_system
ok "a set-up that is killed leaves none either" killed_set_up
ok "nor a process" nobody_left
ok "the next one starts anew and goes through" empty_root
ok "what is missing is named in one line, with the command" \
	says "type: sudo apt-get install mmdebstrap bubblewrap" bash -c "$(declare -f on_a_bare_machine); top=$top; on_a_bare_machine"
finish
