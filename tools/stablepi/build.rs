// SPDX-License-Identifier: GPL-2.0

//! Links libdevmapper by its soname, as Debian ships it with dmsetup: its header and its link for
//! the linker are not needed.

fn main() {
    println!("cargo:rustc-link-arg=-l:libdevmapper.so.1.02.1");
    println!("cargo:rerun-if-changed=build.rs");
}
