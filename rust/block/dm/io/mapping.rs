// SPDX-License-Identifier: GPL-2.0

//! What can be done with an I/O that is to be mapped.

use super::{enough, Io, Mapped, Mapping, PerIo};
use crate::{
    bindings,
    block::{
        destination::Attached,
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
                hasty: false,
                in_flight: None,
                finished: false,
                ended: None,
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

    /// Attaches the metadata to the bio, for what it is to be sent to, if that takes it now; says
    /// whether it does. Fails with [`Status::IOERR`] where it would have to.
    fn attach(&mut self, to: &Destination<'_>) -> Result<bool, Status> {
        // SAFETY: By the type invariant it is initialised and ours.
        let per = unsafe { self.per.as_ref() };
        let mut attached = Attached::No;
        if let Some(metadata) = &per.metadata {
            let (payload, bytes) = (per.payload.get(), per.data.bi_size);
            // SAFETY: The bio is ours; payload and buffer stay until it has ended, and are detached
            // then.
            attached = unsafe { to.attach(self.bio, payload, metadata, bytes) }?;
        }
        let per = self.per_mut();
        per.attached = attached != Attached::No;
        per.hasty = attached == Attached::Hasty;
        Ok(per.attached)
    }

    /// Lets the bio go down with the payload that it came with, if that can be now; fails with
    /// [`Status::IOERR`] otherwise.
    fn forward(&mut self, to: &Destination<'_>) -> Result<(), Status> {
        let admitted = to.admit(self.bio)?;
        self.per_mut().hasty = admitted == Attached::Hasty;
        match admitted {
            Attached::No => Err(Status::IOERR),
            Attached::Yes | Attached::Hasty => Ok(()),
        }
    }

    /// Generates metadata for the data where it is, and attaches it to the bio. Sleeps.
    ///
    /// Where there is not enough memory at once for all the metadata, the I/O is shortened. Fails
    /// with [`Status::IOERR`] where the data is not a whole number of intervals, and with
    /// [`Status::AGAIN`] where it must not sleep and would have to.
    pub fn generate(&mut self, to: &Destination<'_>) -> Result<(), Status> {
        self.make_room(to)?;
        self.generate_in_place(to)?;
        self.attach(to)?;
        Ok(())
    }

    /// Makes room for the metadata that a read is to bring, and attaches that to the bio; says
    /// whether the device can bring any now. Sleeps.
    ///
    /// Shortens and fails as [`generate`](Self::generate) does.
    pub fn expect(&mut self, from: &Destination<'_>) -> Result<bool, Status> {
        self.make_room(from)?;
        self.attach(from)
    }

    /// Copies the data and generates metadata for the copy, in one pass. Sleeps.
    ///
    /// Where there is not enough memory at once for all of it, the I/O is shortened. Fails as
    /// [`generate`](Self::generate) does.
    pub fn copy_and_generate(&mut self, to: &Destination<'_>) -> Result<Private<'a>, Status> {
        let private = self.copy(to, 0, self.submitters_effort())?;
        private.attached()?;
        self.shorten(private.bytes());
        Ok(Private(private))
    }

    /// Makes room for tuples of the bio's payload, for when the I/O has ended. Sleeps for a page of
    /// memory, or fails with [`Status::AGAIN`] where it must not.
    pub fn reserve(&mut self, to: &Destination<'_>) -> Result<(), Status> {
        let effort = self.submitters_effort().at_least_a_page();
        self.make_metadata(to, self.data_bytes(), effort)?;
        self.forward(to)
    }

    /// Whether the data matches the tuples of the bio's `payload`, as far as that asks for it.
    /// Sleeps for a page of memory, or fails with [`Status::AGAIN`] where it must not, and with
    /// [`Status::IOERR`] where the payload cannot go down. The room is kept for when the I/O has
    /// ended.
    pub fn verify_payload(
        &mut self,
        to: &Destination<'_>,
        payload: &Payload,
    ) -> Result<bool, Status> {
        let effort = self.submitters_effort().at_least_a_page();
        let to = to.with(payload);
        let mismatches = self.check(&to, Some(payload), None, effort, &mut |_| ())?;
        self.forward(&to)?;
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
        private.attached()?;
        self.shorten(private.bytes());
        Ok(Some(Private(private)))
    }

    /// Raises the event counter of the mapped device, soon, which wakes `dmsetup wait`.
    pub fn announce(&self) {
        self.instance.event.raise();
    }

    /// Says that the I/O is about to be sent down, if it is one that reads may have to wait for.
    ///
    /// It waits for nothing then that a read may hold; see [`Writes`](crate::block::writes::Writes).
    fn enter(&mut self, sector: u64) {
        if !self.bio.stores() {
            return;
        }
        let sectors = match u64::from(self.data_bytes() >> bindings::SECTOR_SHIFT) {
            // What is said about a zone may be about all of them.
            0 => 0..u64::MAX,
            sectors => sector..sector.saturating_add(sectors),
        };
        let in_flight = self.instance.writes.enter(sectors);
        self.per_mut().in_flight = Some(in_flight);
    }

    /// Sends the bio to `sector` (of 512 bytes) of `device`.
    pub fn remap(mut self, device: &Device, sector: u64) -> Mapped {
        self.enter(sector);
        self.bio.remap(device, sector);
        Mapped(bindings::SP_DM_MAPIO_REMAPPED)
    }

    /// Sends the copy instead of the bio, which ends as the copy does.
    pub fn submit_copy(mut self, copy: Private<'a>) -> Mapped {
        self.enter(copy.0.sector());
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
