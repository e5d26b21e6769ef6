#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
#
# format.sh: Rust is formatted as the kernel formats it.

cd "$(dirname "$0")/../.." || exit 1
. selftests/ktap.sh

# shellcheck disable=SC2317
format() {
	local folder=$1 files
	mapfile -t files < <(find "$folder" -name '*.rs')
	((${#files[@]})) || {
		echo "there are no files"
		return 1
	}
	qemu/enter rustfmt --check --config-path .rustfmt.toml "${files[@]}"
}

for folder in rust samples tools; do
	ok "rustfmt in $folder/" format "$folder"
done
finish
