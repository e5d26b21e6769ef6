// SPDX-License-Identifier: GPL-2.0

//! Raw C interfaces: `kernel::bindings`, and what the module needs beside it.
//!
//! Only layers of safe abstractions, such as [`block`](crate::block), may use this module. A
//! type that `kernel::bindings` has is that one type here, too: the build fails
//! where a generated name shadows one of its names, and where rustc and the C
//! compiler see a type differently.

#[allow(
    clippy::all,
    clippy::undocumented_unsafe_blocks,
    clippy::as_underscore,
    clippy::cast_lossless,
    clippy::ptr_as_ptr,
    clippy::ref_as_ptr,
    dead_code,
    improper_ctypes,
    missing_docs,
    non_camel_case_types,
    non_snake_case,
    non_upper_case_globals,
    unreachable_pub,
    unsafe_op_in_unsafe_fn
)]
mod raw {
    use kernel::{bindings::*, ffi};

    include!(concat!(
        env!("STABLE_PAGES_OBJ"),
        "/rust/bindings/generated.rs"
    ));

    mod layout {
        use super::*;

        include!(concat!(
            env!("STABLE_PAGES_OBJ"),
            "/rust/bindings/layout.rs"
        ));
    }
}

pub(crate) use kernel::bindings::*;
pub(crate) use raw::*;
