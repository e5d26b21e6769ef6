// SPDX-License-Identifier: GPL-2.0

//! Whose rights are used below: one rule, and the only place where credentials change hands.
//!
//! | what | with whose credentials |
//! | --- | --- |
//! | permission, looking up, making and removing names, owners, modes, times, access control lists | the caller's |
//! | opening a file below, data, attributes that are read, extended attributes | [`Rights`] |
//!
//! What is in the first line is checked below as it is done. What is in the second has been allowed
//! before, to the caller or to the one who made a page dirty, and is not to fail, or to take
//! anything from the file, for what the task that moves it may or may not do.

use super::Layer;
use crate::bindings;
use core::{
    marker::PhantomData,
    ptr::{self, NonNull},
    sync::atomic::{AtomicPtr, Ordering}, //
};
use kernel::{cred::Credential, prelude::*, sync::aref::ARef, types::NotThreadSafe};

/// The rights of who has mounted a filesystem, within the limits of who asked for something.
///
/// Capabilities, user namespace and security label are those of the first. What limits look at is
/// that of the second: owner and groups for files (`fsuid`, `fsgid`, `group_info`), and
/// `CAP_SYS_RESOURCE`, which only they have who both have it. So quotas and reserved blocks count
/// for them as they do below, while set-user-ID bits stay (`CAP_FSETID`): a page that is written
/// back takes nothing from the file that write(2) has not taken before.
///
/// C header: [`include/linux/cred.h`](srctree/include/linux/cred.h)
#[derive(Clone)]
pub struct Rights(ARef<Credential>);

impl Rights {
    /// For open(2).
    pub(super) fn credential(&self) -> &Credential {
        &self.0
    }

    /// Calls `f` with these rights. They are taken, and given back, here only, so that they can be
    /// neither kept nor mixed up.
    pub fn act<R>(&self, f: impl FnOnce() -> R) -> R {
        act(&self.0, f)
    }
}

/// A task with other rights than its own. Only [`act`] makes one, and gives it away to no caller.
struct Assumed<'a> {
    own: *const bindings::cred,
    _rights: PhantomData<&'a Credential>,
    _task: NotThreadSafe,
}

impl Drop for Assumed<'_> {
    fn drop(&mut self) {
        // SAFETY: These are what this task had, and what it has assumed since has been given back.
        unsafe { bindings::sp_revert_creds(self.own) };
    }
}

/// The credentials of this task.
pub(super) fn current() -> ARef<Credential> {
    // SAFETY: The function returns a reference to credentials, and never fails.
    unsafe {
        ARef::from_raw(NonNull::new_unchecked(
            bindings::sp_current_cred().cast_mut().cast(),
        ))
    }
}

pub(super) fn act<R>(rights: &Credential, f: impl FnOnce() -> R) -> R {
    let _assumed = Assumed {
        // SAFETY: The credentials stay for longer than this.
        own: unsafe { bindings::sp_override_creds(rights.as_ptr()) },
        _rights: PhantomData,
        _task: NotThreadSafe,
    };
    f()
}

/// What [`Layer::rights`] has made last, for others who are alike.
///
/// # Invariants
///
/// NULL, or credentials with a reference that is this one's; only exchanged.
pub(super) struct Recent(AtomicPtr<bindings::cred>);

impl Recent {
    pub(super) const fn new() -> Self {
        // INVARIANT: It is NULL.
        Self(AtomicPtr::new(ptr::null_mut()))
    }
}

impl Drop for Recent {
    fn drop(&mut self) {
        // SAFETY: By type invariant; NULL is ignored.
        unsafe { bindings::sp_put_cred(self.0.load(Ordering::Relaxed)) };
    }
}

impl Layer {
    /// The rights for the caller. ENOMEM, if they are not those of the caller before. May sleep.
    pub fn rights(&self) -> Result<Rights> {
        let mounter = self.credential.as_ptr();
        // SAFETY: Both are valid, and the function knows how to change the second. The result is
        // NULL, or a new reference.
        let rights = unsafe {
            NonNull::new(bindings::sp_rights(mounter, self.recent.0.as_ptr()).cast_mut())
                .map(|raw| ARef::from_raw(raw.cast()))
        };
        rights.map(Rights).ok_or(ENOMEM)
    }
}
