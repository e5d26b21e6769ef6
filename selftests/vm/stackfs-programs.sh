#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
#
# stackfs-programs.sh: programs on stackfs: what they wrote they find again, and what
# they are told is what the file system below would have told them.
#
# SELFTEST_SOAK=SECONDS makes it a million operations of fsx and a hundred times as many of stress-ng.
#
# timeout: 400
# covers: samples/stackfs rust/fs

. "$(dirname "$0")/lib.sh"
# shellcheck source=lib/filesystem.sh
. "$vm/lib/filesystem.sh"

lower=$work/lower stack=$work/stack
mkdir "$lower" "$stack"

# same_names: pjdfstest finds the same in both.
same_names() {
	mkdir "$lower/names" "$stack/names.stack"
	names "$lower/names" >"$work/below"
	names "$stack/names.stack" >"$work/above"
	grep -E '^Summary: .* [1-9][0-9]* passed' "$work/below" || return
	diff "$work/below" "$work/above"
}

must mount_at "$lower" -t tmpfs -o size=512M none
ok "the module loads" modprobe stackfs
ok "stackfs is mounted" mount_at "$stack" -t stackfs -o "lowerdir=$lower" none
ok "fsx finds what it wrote" exercised "$stack"
ok "so do the stressors of files, aio and mappings" stressed "$stack"
# On the debug kernel this takes minutes, in the programs.
((SELFTEST_SCALE > 1)) || ok "a repository is cloned, whole, and built" cloned "$stack"
mkdir "$stack/wal" "$stack/delete"
ok "a database with a log is killed and recovers" survives "$stack/wal" wal
ok "so does one with a journal" survives "$stack/delete" delete
ok "pjdfstest finds what it finds below" same_names
finish
