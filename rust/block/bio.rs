// SPDX-License-Identifier: GPL-2.0

//! A bio that is ours to look at and to change.

use super::{Device, Sector, Status};
use crate::bindings;
use kernel::types::Opaque;

/// A bio, `struct bio`.
///
/// # Invariants
///
/// The bio is valid, and changed only through a `&mut Bio`, of which there is one: it has not been
/// submitted, or it has ended and the one who submitted it has not been told yet.
///
/// C header: [`include/linux/blk_types.h`](srctree/include/linux/blk_types.h)
#[repr(transparent)]
pub struct Bio(Opaque<bindings::bio>);

impl Bio {
    /// Borrows a bio that C owns.
    ///
    /// # Safety
    ///
    /// `bio` must be valid and in no other hands, both for the lifetime `'a`.
    pub(super) unsafe fn from_raw<'a>(bio: *mut bindings::bio) -> &'a mut Self {
        // SAFETY: `Bio` is transparent over `bindings::bio`; the caller vouches for the rest.
        // INVARIANT: The caller does so for the type invariant, too.
        unsafe { &mut *bio.cast() }
    }

    pub(super) fn as_raw(&self) -> *mut bindings::bio {
        self.0.get()
    }

    /// The operation and its `REQ_` flags.
    pub(super) fn opf(&self) -> u32 {
        // SAFETY: By the type invariant the bio is valid and not changed meanwhile.
        unsafe { (*self.as_raw()).bi_opf }
    }

    /// The operation, one of the `REQ_OP_` values.
    #[inline]
    pub fn op(&self) -> u32 {
        self.opf() & bindings::SP_REQ_OP_MASK
    }

    /// Whether this is a read.
    #[inline]
    pub fn is_read(&self) -> bool {
        self.op() == bindings::req_op_REQ_OP_READ && self.bytes() != 0
    }

    /// Whether the bio would rather end with [`Status::AGAIN`] than wait.
    #[inline]
    pub fn is_nowait(&self) -> bool {
        self.opf() & bindings::SP_REQ_NOWAIT != 0
    }

    /// Whether the bio may fail whenever that is easier (`REQ_RAHEAD`).
    pub(super) fn is_read_ahead(&self) -> bool {
        self.opf() & bindings::SP_REQ_RAHEAD != 0
    }

    /// Sets these `REQ_` flags.
    pub(super) fn set_flags(&mut self, flags: u32) {
        // SAFETY: By the type invariant the bio is valid and ours to change.
        unsafe { (*self.as_raw()).bi_opf |= flags };
    }

    /// Takes these `REQ_` flags away.
    pub(super) fn clear_flags(&mut self, flags: u32) {
        // SAFETY: As above.
        unsafe { (*self.as_raw()).bi_opf &= !flags };
    }

    /// Whether the vectors are those of another bio.
    pub(super) fn is_cloned(&self) -> bool {
        // SAFETY: By the type invariant the bio is valid.
        let flags = unsafe { (*self.as_raw()).bi_flags };
        u32::from(flags) & (1 << bindings::BIO_CLONED) != 0
    }

    /// Whether the data is to be written as a whole or not at all.
    #[inline]
    pub fn is_atomic(&self) -> bool {
        self.opf() & bindings::SP_REQ_ATOMIC != 0
    }

    /// Whether the device that the bio is for is zoned.
    pub(super) fn is_zoned(&self) -> bool {
        // SAFETY: By the type invariant the bio is valid, so it has a device.
        unsafe { bindings::sp_bdev_is_zoned((*self.as_raw()).bi_bdev) }
    }

    /// Whether this is a write, also when it has ended.
    pub(super) fn is_write(&self) -> bool {
        self.op() == bindings::req_op_REQ_OP_WRITE
    }

    /// Whether this changes what is stored: a write, a discard, zeroes or the reset of a zone, but
    /// not a flush. Only right until the bio has been submitted.
    pub(super) fn stores(&self) -> bool {
        // As `op_is_write()` has it; and a write without data is a flush.
        self.op() & 1 != 0 && (self.bytes() != 0 || !self.is_write())
    }

    /// Whether this is a write that carries data: not a flush, a discard or the like.
    #[inline]
    pub fn is_data_write(&self) -> bool {
        self.is_write() && self.bytes() != 0
    }

    /// Whether the device below is to encrypt the data.
    #[inline]
    pub fn has_crypt_context(&self) -> bool {
        // SAFETY: By the type invariant the bio is valid.
        unsafe { bindings::sp_bio_has_crypt_ctx(self.as_raw()) }
    }

    /// The first sector of the bio's device.
    #[inline]
    pub fn sector(&self) -> Sector {
        // SAFETY: By the type invariant the bio is valid and not changed meanwhile.
        Sector::new(unsafe { (*self.as_raw()).bi_iter.bi_sector })
    }

    /// The bytes of data still to be transferred.
    #[inline]
    pub fn bytes(&self) -> u32 {
        // SAFETY: By the type invariant the bio is valid and not changed meanwhile.
        unsafe { (*self.as_raw()).bi_iter.bi_size }
    }

    /// The bytes of data still to be transferred, in sectors of 512 bytes.
    #[inline]
    pub fn sectors(&self) -> u32 {
        self.bytes() >> bindings::SECTOR_SHIFT
    }

    /// Sends the bio to `sector` of `device`.
    pub fn remap(&mut self, device: &Device, sector: Sector) {
        // SAFETY: By the type invariant the bio is valid and ours to change; a `Device` keeps its
        // block device open.
        unsafe {
            bindings::sp_bio_set_dev(self.as_raw(), device.bdev());
            (*self.as_raw()).bi_iter.bi_sector = sector.number();
        }
    }

    /// How the bio ended, once it has.
    pub(super) fn status(&self) -> Status {
        // SAFETY: By the type invariant the bio is valid and in no other hands.
        Status::from_raw(unsafe { (*self.as_raw()).bi_status })
    }

    pub(super) fn set_status(&mut self, status: Status) {
        // SAFETY: By the type invariant the bio is valid and ours to change.
        unsafe { (*self.as_raw()).bi_status = status.as_raw() }
    }
}
