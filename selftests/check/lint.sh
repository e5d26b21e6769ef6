#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
#
# lint.sh: what the compilers and the linters say, as errors.
#
# timeout: 900

cd "$(dirname "$0")/../.." || exit 1
. selftests/ktap.sh

# From nothing, since a warning does not come again for what has been built, and
# apart from the module that the tests use.
kernel_clippy() {
	rm -rf build/clippy
	qemu/build CLIPPY=1 MO="$PWD/build/clippy" >build/clippy.log 2>&1 || {
		cat build/clippy.log
		return 1
	}
	grep -E -A 10 '^warning' build/clippy.log && return 1
	grep -q CLIPPY build/clippy.log || {
		echo "clippy did not run:"
		cat build/clippy.log
		return 1
	}
}

# What is built is what check/crates runs.
crates_clippy() {
	qemu/enter env "RUSTC_WORKSPACE_WRAPPER=$PWD/selftests/lib/rustc" \
		cargo build --quiet --workspace --all-targets --locked
}

# scripts REGEX: the files whose first line matches.
scripts() {
	local file line
	while IFS= read -r -d '' file; do
		IFS= read -r line <"$file" 2>/dev/null || continue
		[[ $line =~ $1 ]] && printf '%s\n' "${file#./}"
	done < <(find . \( -path ./build -o -path ./.git \) -prune -o -type f -print0)
}

# What is sourced is looked at in each script that sources it: there its variables are
# used, or are there to be used. One process for each processor; xargs fails if any does.
check_shell() {
	local files
	mapfile -t files < <(scripts '^#!.*[/ ](ba|da|busybox )?sh( |$)')
	((${#files[@]})) || return
	printf '%s\0' "${files[@]}" |
		qemu/enter xargs -0 -n 4 -P "$(nproc)" shellcheck -x -a -P SCRIPTDIR
}

python_scripts() {
	scripts '^#!.*[/ ]python3( |$)'
	find . \( -path ./build -o -path ./.git \) -prune -o -name '*.py' -print
}

check_python() {
	local files
	mapfile -t files < <(python_scripts | sed 's,^\./,,' | sort -u)
	((${#files[@]})) && qemu/enter env PYTHONPYCACHEPREFIX=/tmp/pycache \
		python3 -W error -m py_compile "${files[@]}"
}

ok "clippy, on the module" kernel_clippy
ok "clippy, on the crates" crates_clippy
ok "shellcheck" check_shell
ok "python compiles" check_python
finish
