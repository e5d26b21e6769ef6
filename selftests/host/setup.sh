#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
#
# The set-up says what it lacks, and trusts nothing that is half made. A false
# mmdebstrap stands in for the real one, since that takes minutes.
#
# shellcheck disable=SC2317

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

# A tar stream of nothing, which mkroot can unpack and finish.
empty_root() {
	# shellcheck disable=SC2016 # for the script that it writes
	pretend 'd=$(mktemp -d); mkdir -p "$d/usr/bin" "$d/etc"; tar -C "$d" -c .; rm -rf "$d"'
	setup && ! no_root_file_system
}

# The root file system itself is a machine without mmdebstrap and bubblewrap.
on_a_bare_machine() {
	. "$top/qemu/lib.sh"
	in_root --uid 1000 --setenv XDG_CACHE_HOME /tmp/cache -- "$top/qemu/setup" root
}

plan 7
ok "a series that is not supported is refused, with those that are" \
	says "supported: 7.2 7.3" env KERNEL=6.1 "$top/qemu/setup" kernel
pretend 'echo "E: no such mirror" >&2; exit 1'
ok "a step that fails names its log" says "the whole log is in $work/cache" setup
ok "it leaves no root file system" no_root_file_system
ok "a set-up that is killed leaves none either" killed_set_up
ok "nor a process" nobody_left
ok "the next one starts anew and goes through" empty_root
ok "what is missing is named in one line, with the command" \
	says "type: sudo apt-get install mmdebstrap bubblewrap" bash -c "$(declare -f on_a_bare_machine); top=$top; on_a_bare_machine"
finish
