// SPDX-License-Identifier: GPL-2.0

//! Who may go on with a file, and who waits.

use crate::{
    bindings,
    mm::Sleep, //
};
use kernel::{error::to_result, prelude::*, types::Opaque};

/// A gate: any number are inside, or any number have it closed.
///
/// It is not a semaphore. Who waits to get in may do so in a page fault, and have locks of the
/// filesystem below, just as one who waits there for the end of writeback; so every wait for it
/// but that of writeback itself ends with a fatal signal.
pub(super) struct Gate(Opaque<bindings::sp_gate>);

// SAFETY: It is an atomic number.
unsafe impl Send for Gate {}

// SAFETY: It is an atomic number, which all that C does with it takes into account.
unsafe impl Sync for Gate {}

impl Gate {
    /// One that is open.
    pub(super) fn new() -> Self {
        Self(Opaque::zeroed())
    }

    /// Sleeps while it is closed; `EINTR` on a fatal signal, where the sleep can be cut short.
    pub(super) fn enter(&self, sleep: Sleep) -> Result<Inside<'_>> {
        // SAFETY: The gate is valid.
        unsafe {
            match sleep {
                Sleep::Uninterruptible => bindings::sp_gate_enter(self.0.get()),
                Sleep::Killable => to_result(bindings::sp_gate_enter_killable(self.0.get()))?,
            }
        }
        Ok(Inside(self))
    }

    /// None while it is closed. Does not sleep.
    pub(super) fn try_enter(&self) -> Option<Inside<'_>> {
        // SAFETY: The gate is valid.
        unsafe { bindings::sp_gate_try_enter(self.0.get()) }.then(|| Inside(self))
    }

    /// Lets no task in any more, and sleeps until all are out; `EINTR` on a fatal signal.
    pub(super) fn close(&self) -> Result<Closed<'_>> {
        // SAFETY: The gate is valid.
        to_result(unsafe { bindings::sp_gate_close(self.0.get()) })?;
        Ok(Closed(self))
    }
}

/// A task inside of a gate. See [`Gate::enter`].
pub(super) struct Inside<'a>(&'a Gate);

impl Drop for Inside<'_> {
    fn drop(&mut self) {
        // SAFETY: The gate is valid, and was entered when this was made.
        unsafe { bindings::sp_gate_leave(self.0 .0.get()) };
    }
}

/// A closed gate. See [`Gate::close`].
pub(super) struct Closed<'a>(&'a Gate);

impl Drop for Closed<'_> {
    fn drop(&mut self) {
        // SAFETY: The gate is valid, and was closed when this was made.
        unsafe { bindings::sp_gate_open(self.0 .0.get()) };
    }
}
