#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
#
# The build notices when rustc, libclang and the C compiler disagree about a C
# type, and when a generated name shadows one of kernel::bindings: each is
# brought about in a copy of the sources, which then must not build.

. "$(dirname "$0")/../ktap.sh"
top=$(cd "$(dirname "$0")/../.." && pwd -P)
. "$top/qemu/lib.sh"
set_series
set +e

copy=$build/bindings-test
dir=$(kernel_dir stock)
mapfile -t toolchain <"$dir/make-arguments"
rm -rf "$copy"
mkdir -p "$copy"
# The modules in samples/ have no bindings of their own; the documentation of the library shows them.
cp -r "$top/Kbuild" "$top/include" "$top/rust" "$top/samples" "$copy"
sed -i 's,^\(obj-m := stable_pages\.o\) samples/$,\1,' "$copy/Kbuild"

build_copy() {
	in_root -- make -C "$dir/source" -j"$(nproc)" "${toolchain[@]}" M="$copy" modules \
		>"$copy.log" 2>&1
}

# build_with EDIT FILE: whether the copy of the sources builds while sed has edited a file
# of it; what it says is in $copy.log. What the edit does not touch is not built again.
build_with() {
	local status=0
	cp "$copy/$2" "$copy.as-it-was"
	sed -i "$1" "$copy/$2"
	build_copy || status=$?
	cp "$copy.as-it-was" "$copy/$2"
	return "$status"
}

# refused_with TEXT EDIT FILE: the edited sources do not build, for this reason.
refused_with() {
	if build_with "$2" "$3"; then
		echo "the build went through"
		return 1
	fi
	grep -F "$1" "$copy.log" || {
		tail -n 20 "$copy.log"
		return 1
	}
}

ok "the sources build as they are" build_copy
ok "a define that only bindgen sees fails the build" refused_with "static assertion failed" \
	's/-D__BINDGEN__/& -DCONFIG_DMA_DECLARE_COHERENT=1/' Kbuild
ok "an offset that rustc sees otherwise fails the build" refused_with "assertion failed" \
	's/rust.append(f.const _: () = assert!(core::mem::size_of::<{bare(n)}>() == {v}/&+1/' \
	rust/bindings/layout.py
ok "a name that shadows one of kernel::bindings fails the build" refused_with "generated names that shadow" \
	's/^--allowlist-type dm_target$/&\n--allowlist-type bio_vec/' rust/bindings/bindgen_parameters
# Without rustfmt bindgen writes all in one line, and says so, and goes on.
in_one_line() {
	tr '\n' ' ' <"$copy/rust/bindings/reachable.rs" >"$copy/line.rs"
	in_root -- python3 "$copy/rust/bindings/layout.py" --reachable "$copy/line.rs" \
		--generated "$copy/rust/bindings/generated.rs" \
		--kernel "$dir/source/rust/bindings/bindings_generated.rs" --c /tmp/layout.h --rust /tmp/layout.rs
}
says_no_rustfmt() {
	! in_one_line >"$copy.log" 2>&1 && grep -F 'there was no rustfmt' "$copy.log"
}
ok "bindings that rustfmt has not seen fail the build" says_no_rustfmt
rm -rf "$copy" "$copy.log" "$copy.as-it-was"
finish
