#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
#
# lifecycle.sh: the module and its targets come and go, with I/O and without.
#
# timeout: 240
# covers: rust/block rust/filter rust/stable_pages.rs
#
# shellcheck disable=SC2119

. "$(dirname "$0")/lib.sh"

# begin ARGUMENT...: a load on the target, in the background, until the end.
begin() {
	"$loads" direct --path /dev/mapper/t --size 2M --seconds 3000 "$@" >"$work/outcome" 2>&1 &
	background=$!
	wait_for 10 counts writes
}

# counts KEY: a counter of the table in use is not 0 any more.
counts() {
	[ "$(status_of t "$1")" != 0 ]
}

# running: the load is still at it.
running() {
	kill -0 "$background" && return
	echo "the load has ended too early"
	return 1
}

# end: sets what load would.
end() {
	kill "$background"
	wait "$background" || return
	outcome=$(<"$work/outcome")
	note "$outcome"
	done_writes=$(field writes) failed=$(field failed)
	mismatched=$(field mismatched) unreadable=$(field unreadable)
}

reload() {
	dmsetup load t --table "0 $sectors stable-pi $disk 0 $# $*" && dmsetup suspend t && dmsetup resume t
}

busy() {
	"$@" 2>"$work/busy" && return 1
	cat "$work/busy"
	grep -qiE 'busy|in use' "$work/busy"
}

make_disk dev_size_mb=16 dif=1 dix=1 guard=0 max_queue=4 ndelay=1000000
wipe

# The kernel asks for the module by a name that the module has.
modprobe dm_mod
alias=$(modinfo -F alias "$module")
ok "the module has the target's alias" is "$alias" dm-stable-pi

# says FIELD REGEX: one value of the module's field.
says() {
	local value
	value=$(modinfo -F "$1" "$module")
	echo "$1: $value"
	[[ $value =~ ^$2$ ]]
}
ok "modinfo says the version" says version '[0-9]+\.[0-9]+\.[0-9]+'
ok "the source, as a commit or a hash of the files" says source '([0-9a-f]{12})?(-dirty-)?([0-9a-f]{12})?'
ok "the same as modpost sees it" says srcversion '[0-9A-F]{23}'
ok "the compiler" says rustc 'rustc [0-9]+\..*'
ok "and the kernel" is "$(modinfo -F vermagic "$module" | cut -d ' ' -f 1)" "$(uname -r)"

cat >"$work/modprobe" <<END
#!/bin/sh
case "\$*" in
*dm-stable-pi*) exec insmod $module ;;
esac
exec /sbin/modprobe "\$@"
END
chmod +x "$work/modprobe"
echo "$work/modprobe" >/proc/sys/kernel/modprobe
ok "the first target loads the module" map t "0 $sectors stable-pi $disk 0"
ok "what is loaded is what modinfo spoke of" is "$(</sys/module/stable_pages/srcversion)" \
	"$(modinfo -F srcversion "$module")"
echo /sbin/modprobe >/proc/sys/kernel/modprobe
ok "dmsetup knows the target" grep -qE '^stable-pi +v[0-9]+\.[0-9]+\.[0-9]+$' <(dmsetup targets)
ok "a module with a target stays" busy rmmod stable_pages

exec {fd}<>/dev/mapper/t
ok "an open target stays" busy dmsetup remove t
must dd if=/dev/urandom of=/dev/mapper/t bs=4k count=4 oflag=direct
counters t
ok "and works" holds "$writes == 4"
exec {fd}>&-
ok "a closed one goes" unmap t
again() {
	local i
	for i in 1 2 3; do
		unload_module || return
		fails grep -qE '^stable-pi ' <(dmsetup targets) || return
		load_module && map t "0 $sectors stable-pi $disk 0" &&
			dd if=/dev/urandom of=/dev/mapper/t bs=4k count=4 oflag=direct && unmap t || return
	done
}
ok "the module goes and comes back, three times" again
ok "a second of the same is refused" fails insmod "$module"

more() {
	(($(status_of t writes) > $1))
}

# suspended [OPTION...]: I/O waits while the target is suspended, and goes on.
suspended() {
	local i one two
	for i in 1 2 3; do
		dmsetup suspend "$@" t || return
		one=$(status_of t writes)
		sleep 0.3
		two=$(status_of t writes)
		dmsetup resume t || return
		is "$two" "$one" && wait_for 5 more "$two" && running || return
	done
}
# This disk copies the data after it has checked it, hence the recheck: all is read in the end.
protect policy:optimistic recheck:on
begin --no-mutate --verify
ok "suspended under load: nothing is written meanwhile" suspended
ok "the load ends" end
ok "and holds what was written" holds "$done_writes > 0 && $failed == 0 && $mismatched == 0 && $unreadable == 0"
begin --jobs 1
ok "the same while buffers change" suspended
ok "and without a flush" suspended --noflush --nolockfs
end
counters t
ok "nothing fails, something was repaired" holds "$done_writes > 0 && $failed == 0 && $repaired > 0 && $unrepaired == 0"
must unmap t

protect policy:optimistic recheck:on
begin --jobs 1
# The counters begin anew with each table.
reloads() {
	reload policy:copy && wait_for 5 counts copied &&
		reload policy:optimistic recheck:on app_tag:3 && wait_for 5 counts in_place &&
		reload policy:copy app_tag:4 && wait_for 5 counts copied && running
}
ok "another policy under load" reloads
ok "the load ends" end
ok "and nothing failed" holds "$done_writes > 0 && $failed == 0"
unmap t
ok "all can be read" reads_back

# A table that was loaded but never used, and a device without one.
must map t "0 2048 error"
inactive() {
	dmsetup load t --table "0 2048 stable-pi $disk 0" && busy rmmod stable_pages && dmsetup clear t
}
ok "an inactive table holds the module, until it is cleared" inactive
must unmap t
ok "the module goes" unload_module
ok "nothing is left mapped" is "$(dmsetup info -c --noheadings -o name)" "No devices found"
finish
