// SPDX-License-Identifier: GPL-2.0

//! What writing to a file changes beside its data: its times, and what it may do.

use super::{object::Object, stack::Stacked, File};
use crate::bindings;
use kernel::{error::to_result, prelude::*};

impl Stacked<File> {
    /// What writing to a file takes from it: set-user-ID bits and capabilities, as far as the caller
    /// may not leave them there. Sleeps; the inode is locked.
    pub fn remove_privileges(&self) -> Result {
        let lower = self.lower();
        // SAFETY: The inode is valid.
        if unsafe { bindings::sp_inode_has_no_privileges(lower.inode().as_raw()) } {
            return Ok(());
        }
        let _writing = lower.start_write();
        let _lock = lower.inode().lock();
        // SAFETY: The file is valid, and its inode locked.
        let result = to_result(unsafe { bindings::file_remove_privs(lower.as_raw()) });
        self.inode().copy_attributes();
        result
    }

    /// Sets the times of a file that is being written to, below. Sleeps.
    pub fn touch(&self) -> Result {
        let _writing = self.lower().start_write();
        self.update_time()
    }

    /// The same for a page fault.
    pub(super) fn touch_fault(&self) -> Result {
        let lower = self.lower();
        let _store = lower.super_block().start_fault();
        self.update_time()
    }

    fn update_time(&self) -> Result {
        to_result(self.lower().act(|file| {
            // SAFETY: The file is valid.
            unsafe { bindings::file_update_time(file) }
        }))?;
        self.inode().copy_attributes();
        Ok(())
    }
}
