// SPDX-License-Identifier: GPL-2.0

//! What can be done with an I/O that is to be mapped.

use super::{enough, Io, Mapped, Mapping, PerIo};
use crate::{
    bindings,
    block::{
        dm::{instance::Instance, Target},
        pool::Effort,
        private::PrivateBio,
        Bio,
        Destination,
        Device,
        Payload,
        Status, //
    },
};
use core::{marker::PhantomData, ptr::NonNull};
use kernel::types::Opaque;

impl<'a, T: Target> Io<'a, T, Mapping> {
    /// Takes over a clone that is to be mapped.
    ///
    /// # Safety
    ///
    /// `bio` must be a clone of `instance`'s, in its map function, and nobody else may use it.
    pub(in crate::block::dm) unsafe fn new(
        bio: *mut bindings::bio,
        instance: &'a Instance<T>,
    ) -> Self {
        // SAFETY: The caller vouches for the bio.
        let per = unsafe { PerIo::<T>::of(bio) };
        // SAFETY: The area is as large as this and ours.
        unsafe {
            per.write(PerIo {
                work: Opaque::uninit(),
                payload: Opaque::uninit(),
                instance: NonNull::from(instance),
                bio: NonNull::new_unchecked(bio),
                data: (*bio).bi_iter,
                metadata: None,
                attached: false,
                finished: false,
                deferred: None,
                state: T::State::default(),
            })
        };
        // INVARIANT: Initialised right here; the data is all of the bio's.
        Self {
            // SAFETY: The caller vouches for the bio.
            bio: unsafe { Bio::from_raw(bio) },
            // SAFETY: Not null: it is in front of the bio.
            per: unsafe { NonNull::new_unchecked(per) },
            instance,
            _phase: PhantomData,
        }
    }

    /// How hard the I/O may try: its submitter may have forbidden to sleep.
    fn submitters_effort(&self) -> Effort {
        if self.bio.is_nowait() {
            Effort::Now
        } else {
            self.effort()
        }
    }

    /// Leaves all but the first `bytes` bytes of data for another I/O.
    ///
    /// `bytes` must be a whole number of sectors, and the I/O one with data.
    fn shorten(&mut self, bytes: u32) {
        if bytes < self.bio.bytes() {
            // SAFETY: By the type invariant this is a clone in its map function, and one with data
            // is no duplicate. Atomic writes and writes to zones do not get here: `enough()` has
            // let them pass only as a whole.
            unsafe {
                bindings::dm_accept_partial_bio(self.bio.as_raw(), bytes >> bindings::SECTOR_SHIFT)
            };
        }
        let data = &mut self.per_mut().data;
        // INVARIANT: Less of the same data.
        data.bi_size = data.bi_size.min(bytes);
    }

    /// Makes room for metadata and leaves what it is not enough for to another I/O.
    fn make_room(&mut self, to: &Destination<'_>) -> Result<(), Status> {
        let effort = self.submitters_effort();
        let wanted = self.data_bytes();
        let bytes = self.make_metadata(to, wanted, effort)?;
        enough(bytes, wanted, effort)?;
        self.shorten(bytes);
        Ok(())
    }

    /// Attaches the metadata to the bio, for what it is to be sent to.
    fn attach(&mut self, to: &Destination<'_>) {
        // SAFETY: By the type invariant it is initialised and ours.
        let per = unsafe { self.per.as_ref() };
        if let Some(metadata) = &per.metadata {
            // SAFETY: The bio is ours; payload and buffer stay until it has ended, and are detached
            // then.
            unsafe { to.attach(self.bio, per.payload.get(), metadata, per.data.bi_size) };
        }
        self.per_mut().attached = to.profile.stored;
    }

    /// Generates metadata for the data where it is, and attaches it to the bio. Sleeps.
    ///
    /// Where there is not enough memory at once for all the metadata, the I/O is shortened. Fails
    /// with [`Status::IOERR`] where the data is not a whole number of intervals, and with
    /// [`Status::AGAIN`] where it must not sleep and would have to.
    pub fn generate(&mut self, to: &Destination<'_>) -> Result<(), Status> {
        self.make_room(to)?;
        self.generate_in_place(to)?;
        self.attach(to);
        Ok(())
    }

    /// Makes room for the metadata that a read is to bring, and attaches that to the bio. Sleeps.
    ///
    /// Shortens and fails as [`generate`](Self::generate) does.
    pub fn expect(&mut self, from: &Destination<'_>) -> Result<(), Status> {
        self.make_room(from)?;
        self.attach(from);
        Ok(())
    }

    /// Copies the data and generates metadata for the copy, in one pass. Sleeps.
    ///
    /// Where there is not enough memory at once for all of it, the I/O is shortened. Fails as
    /// [`generate`](Self::generate) does.
    pub fn copy_and_generate(&mut self, to: &Destination<'_>) -> Result<Private<'a>, Status> {
        let private = self.copy(to, 0, self.submitters_effort())?;
        self.shorten(private.bytes());
        Ok(Private(private))
    }

    /// Makes room for tuples of the bio's payload, for when the I/O has ended. Sleeps for a page of
    /// memory, or fails with [`Status::AGAIN`] where it must not.
    pub fn reserve(&mut self, to: &Destination<'_>) -> Result<(), Status> {
        let effort = self.submitters_effort().at_least_a_page();
        self.make_metadata(to, self.data_bytes(), effort)?;
        Ok(())
    }

    /// Whether the data matches the tuples of the bio's `payload`, as far as that asks for it.
    /// Sleeps for a page of memory, or fails with [`Status::AGAIN`] where it must not. The room is
    /// kept for when the I/O has ended.
    pub fn verify_payload(
        &mut self,
        to: &Destination<'_>,
        payload: &Payload,
    ) -> Result<bool, Status> {
        let effort = self.submitters_effort().at_least_a_page();
        let to = to.with(payload);
        let mismatches = self.check(&to, Some(payload), None, effort, &mut |_| ())?;
        Ok(mismatches == 0)
    }

    /// Copies the data together with the tuples of the bio's `payload`; `None` where they do not
    /// match. Sleeps.
    ///
    /// Shortens and fails as [`generate`](Self::generate) does.
    pub fn copy_with_payload(
        &mut self,
        to: &Destination<'_>,
        payload: &Payload,
    ) -> Result<Option<Private<'a>>, Status> {
        let Some(private) = self.copy_forwarded(to, payload, 0, self.submitters_effort())? else {
            return Ok(None);
        };
        self.shorten(private.bytes());
        Ok(Some(Private(private)))
    }

    /// Sends the bio to `sector` (of 512 bytes) of `device`.
    pub fn remap(self, device: &Device, sector: u64) -> Mapped {
        self.bio.remap(device, sector);
        Mapped(bindings::SP_DM_MAPIO_REMAPPED)
    }

    /// Sends the copy instead of the bio, which ends as the copy does.
    pub fn submit_copy(self, copy: Private<'a>) -> Mapped {
        // SAFETY: This is the last that the map function does with the clone, and the pool is the
        // instance's, which outlives its I/O.
        unsafe { copy.0.submit_for(self.bio.as_raw()) };
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

/// A private copy of an I/O's data, with its metadata.
pub struct Private<'a>(PrivateBio<'a>);

impl Private<'_> {
    /// The bytes of data.
    pub fn bytes(&self) -> u32 {
        self.0.bytes()
    }
}
