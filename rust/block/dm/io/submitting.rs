// SPDX-License-Identifier: GPL-2.0

//! What can be done with an I/O that is to be mapped.

use super::{Io, Mapped, PerIo, Submitting};
use crate::{
    bindings,
    block::{
        dm::{instance::Instance, Target},
        Bio,
        Device,
        Sector,
        Status, //
    },
};
use core::{
    marker::PhantomData,
    mem::ManuallyDrop,
    ptr::NonNull, //
};
use kernel::types::Opaque;

impl<'a, T: Target> Io<'a, T, Submitting> {
    /// Takes over a clone that is to be mapped.
    ///
    /// # Safety
    ///
    /// `bio` must be a clone of `instance`'s, in its map function, and in no other hands.
    pub(in crate::block::dm) unsafe fn new(
        bio: *mut bindings::bio,
        instance: &'a Instance<T>,
    ) -> Self {
        // SAFETY: The caller vouches for the bio. The area in front of it is large enough, and ours.
        let (bio, per) = unsafe {
            let per = PerIo::<T>::of(bio);
            per.write(PerIo {
                work: Opaque::uninit(),
                instance: NonNull::from(instance),
                bio: NonNull::new_unchecked(bio),
                iter: (*bio).bi_iter,
                finished: false,
                data: ManuallyDrop::new(T::IoData::default()),
            });
            (Bio::from_raw(bio), NonNull::new_unchecked(per))
        };
        // INVARIANT: Initialised right here; the data is all of the bio's.
        Self {
            bio,
            per,
            instance,
            _phase: PhantomData,
        }
    }

    /// The first sector, relative to the start of the target. 0 where the bio is for no sector, as a
    /// flush is.
    pub fn sector(&self) -> Sector {
        Sector::new(self.bio.sector().since(self.instance.begin))
    }

    /// Leaves all but the first `bytes` bytes of data for another I/O, which device mapper comes
    /// with.
    ///
    /// # Safety
    ///
    /// `bytes` must be a whole number of sectors, more than none. The I/O must be a read or a write
    /// with data; neither an atomic write nor one to a zone.
    pub(in crate::block) unsafe fn accept_partial(&mut self, bytes: u32) {
        if bytes < self.bio.bytes() {
            // SAFETY: By the type invariant this is a clone in its map function, and one with data
            // is no duplicate; the caller vouches for the rest.
            unsafe {
                bindings::dm_accept_partial_bio(self.bio.as_raw(), bytes >> bindings::SECTOR_SHIFT)
            };
        }
        let iter = &mut self.per_mut().iter;
        // INVARIANT: Less of the same data.
        iter.bi_size = iter.bi_size.min(bytes);
    }

    /// Sends the bio to `sector` of `device`.
    pub fn remap(self, device: &Device, sector: Sector) -> Mapped {
        self.bio.remap(device, sector);
        Mapped(bindings::SP_DM_MAPIO_REMAPPED)
    }

    /// Has `submit` submit what takes the place of the bio, and ends it then.
    ///
    /// # Safety
    ///
    /// `submit` must see to it that the bio is ended with `bio_endio()`, once.
    pub(in crate::block) unsafe fn submit_instead(
        self,
        submit: impl FnOnce(*mut bindings::bio),
    ) -> Mapped {
        submit(self.bio.as_raw());
        Mapped(bindings::SP_DM_MAPIO_SUBMITTED)
    }

    /// Ends the I/O with `status` before anything of it has gone down.
    pub fn end(mut self, status: Status) -> Mapped {
        self.finish();
        self.bio.set_status(status);
        // SAFETY: The bio is ours, and this is the last that the map function does with it; it
        // calls the end_io function, which finds it finished.
        unsafe { bindings::bio_endio(self.bio.as_raw()) };
        Mapped(bindings::SP_DM_MAPIO_SUBMITTED)
    }
}
