// SPDX-License-Identifier: GPL-2.0

//! Who can change a page that is part of an I/O, and what makes it stable.
//!
//! | class | who can change it | what makes it stable |
//! | --- | --- | --- |
//! | kernel | its owner in the kernel | nothing is needed |
//! | waits | no thread until its writeback ends | nothing more is needed: its mapping waits |
//! | cache | write(2), stores through a mapping, the filesystem itself | lock, write-protect, wait for writeback; or copy |
//! | anon | the process | copy |
//! | pinned | the process, and devices that it gave it to | copy: write-protection does not stop DMA |
//! | foreign | a device | copy |

use crate::bindings;
use core::{mem::MaybeUninit, ptr::NonNull};

/// Who can change a page.
///
/// The numbers are those of the trace events.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub enum Class {
    /// Memory that the kernel keeps for itself.
    Kernel = 0,
    /// Page cache under writeback, whose mapping waits for the end of that (`AS_STABLE_WRITES`).
    Waits = 1,
    /// Other page cache: its mapping does not wait, or has nothing to wait for. The latter is what
    /// sendfile(2) sends to a file with `O_DIRECT`, and what `submit_bh()` writes, such as a
    /// filesystem's metadata.
    Cache = 2,
    /// Anonymous memory.
    Anon = 3,
    /// Memory that is pinned (`FOLL_PIN`), or that looks like it.
    Pinned = 4,
    /// Memory of a device, without a folio that could be asked.
    Foreign = 5,
}

impl Class {
    /// Whether user space, or a device on its behalf, can change such a page while it is being
    /// written. Any context.
    #[inline]
    pub fn is_user_writable(self) -> bool {
        !matches!(self, Self::Kernel | Self::Waits)
    }

    /// The name in trace events, log lines and counters. Any context.
    pub fn name(self) -> &'static str {
        match self {
            Self::Kernel => "kernel",
            Self::Waits => "waits",
            Self::Cache => "cache",
            Self::Anon => "anon",
            Self::Pinned => "pinned",
            Self::Foreign => "foreign",
        }
    }
}

/// What is known of a page: who can change it, and whose it is.
///
/// It was so when it was asked for. A page under writeback stays so until the I/O ends that it is
/// part of; any page may be pinned a moment later.
#[derive(Clone, Copy)]
pub struct Owner(bindings::sp_page_facts);

impl Owner {
    /// Asks for the owner of `page`. Any context; does not sleep.
    ///
    /// # Safety
    ///
    /// The page must be part of an I/O that has not been reported as ended, which keeps it.
    pub(crate) unsafe fn of_page(page: NonNull<bindings::page>) -> Self {
        let mut facts = MaybeUninit::uninit();
        // SAFETY: The caller vouches for the page.
        unsafe { bindings::sp_page_facts(page.as_ptr(), facts.as_mut_ptr()) };
        // SAFETY: The function sets all of it.
        Self(unsafe { facts.assume_init() })
    }

    /// The kernel's: where there is no page to ask. Any context.
    pub fn kernel() -> Self {
        Self(bindings::sp_page_facts::default())
    }

    /// Who can change the page. Any context.
    ///
    /// A pin counts for more than where the page is from: it works around all that protects others.
    pub fn class(&self) -> Class {
        let facts = &self.0;
        if facts.foreign {
            Class::Foreign
        } else if facts.pinned {
            Class::Pinned
        } else if facts.anon {
            Class::Anon
        } else if facts.cache && !facts.waits {
            Class::Cache
        } else if facts.cache {
            Class::Waits
        } else {
            Class::Kernel
        }
    }

    /// The file, where the page is in the page cache. Any context.
    pub fn file(&self) -> Option<PageLocation> {
        let facts = &self.0;
        facts.cache.then_some(PageLocation {
            device: facts.s_dev,
            inode: facts.ino,
            index: facts.index,
        })
    }

    pub(crate) fn as_raw(&self) -> &bindings::sp_page_facts {
        &self.0
    }
}

/// A place in a file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PageLocation {
    /// The device of the filesystem (`dev_t`), or the block device itself.
    pub device: u32,
    /// The number of the inode; 0 for a block device.
    pub inode: u64,
    /// The index of the page.
    pub index: u64,
}
