// SPDX-License-Identifier: GPL-2.0

//! Filesystems that can be mounted.

use super::{mount, super_block, FileSystem};
use crate::bindings;
use core::{marker::PhantomData, ptr};
use kernel::{
    error::to_result,
    ffi::c_int,
    prelude::*,
    types::Opaque, //
};

/// A type of filesystem. It has to be a `static`: it holds the keys of lockdep.
pub struct Type<T>(Opaque<bindings::file_system_type>, PhantomData<T>);

// SAFETY: The kernel locks what it changes; [`Registration::new`] says what else is.
unsafe impl<T> Sync for Type<T> {}

impl<T: FileSystem> Type<T> {
    /// A type that is not registered yet.
    #[allow(clippy::new_without_default)]
    pub const fn new() -> Self {
        Self::with(
            T::NAME,
            mount::init_fs_context::<T>,
            super_block::kill_super,
            // A rename here is one change with that below.
            bindings::FS_RENAME_DOES_D_MOVE,
        )
    }
}

impl<T> Type<T> {
    pub(super) const fn with(
        name: &'static CStr,
        init: unsafe extern "C" fn(*mut bindings::fs_context) -> c_int,
        kill: unsafe extern "C" fn(*mut bindings::super_block),
        flags: u32,
    ) -> Self {
        let raw = bindings::file_system_type {
            name: name.to_bytes_with_nul().as_ptr(),
            init_fs_context: Some(init),
            kill_sb: Some(kill),
            fs_flags: flags as c_int,
            ..pin_init::zeroed()
        };
        Self(Opaque::new(raw), PhantomData)
    }
}

/// A registered type of filesystem.
///
/// # Invariants
///
/// The kernel knows the type.
pub struct Registration<T: 'static>(&'static Type<T>);

impl<T> Registration<T> {
    /// Registers `kind`, so that it can be mounted. Sleeps. EBUSY where the name is taken.
    pub fn new(kind: &'static Type<T>, module: &'static ThisModule) -> Result<Self> {
        let raw = kind.0.get();
        // SAFETY: The module is the only one that can have this type, so that nothing but this same
        // value was, or is being, written there.
        unsafe { ptr::addr_of_mut!((*raw).owner).write(module.as_ptr()) };
        // SAFETY: The type is static, and set up. It is refused if it is registered already.
        to_result(unsafe { bindings::register_filesystem(raw) })?;
        // INVARIANT: It was registered just now.
        Ok(Self(kind))
    }
}

impl<T> Drop for Registration<T> {
    fn drop(&mut self) {
        // SAFETY: By type invariant. The module goes only after the last mount, and what comes
        // after a grace period is waited for.
        unsafe {
            bindings::unregister_filesystem(self.0 .0.get());
            bindings::rcu_barrier();
        }
    }
}
