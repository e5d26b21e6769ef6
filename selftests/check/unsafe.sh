#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
#
# unsafe.sh: the layers that are to do without unsafe code do.

cd "$(dirname "$0")/../.." || exit 1
. selftests/ktap.sh

# The word outside of comments.
unsafe_in() {
	find "$1" -name '*.rs' -exec grep -HnwE 'unsafe' {} + | grep -vE '^[^:]*:[0-9]*: *//'
}

refused_by_compiler() {
	grep -qE '^#!\[(deny|forbid)\(unsafe_code\)\]' "$@" && fails grep -rnE 'allow\(unsafe_code' "$(dirname "$1")"
}

for layer in pi filter; do
	ok "no unsafe in rust/$layer" fails unsafe_in "rust/$layer"
	ok "the compiler sees to it in rust/$layer" refused_by_compiler "rust/$layer/mod.rs"
done

# A filesystem of the library needs none; what `module!` makes is in its root.
for sample in dm-linear-rust dm-pi-rust mkwrite-rust range stackfs; do
	ok "no unsafe in samples/$sample" fails unsafe_in "samples/$sample"
done
ok "the compiler sees to it in samples/stackfs" is \
	"$(grep -LE '^#!\[(deny|forbid)\(unsafe_code\)\]' samples/stackfs/*.rs)" samples/stackfs/stackfs.rs
finish
