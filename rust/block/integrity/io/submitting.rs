// SPDX-License-Identifier: GPL-2.0

//! What can be done with the data and metadata of an I/O that is to be mapped.

use super::{enough, Target};
use crate::block::{
    dm::{Io, Mapped, Submitting},
    integrity::{
        pool::AllocMode,
        private::PrivateBio,
        region::Attached,
        Payload,
        Region, //
    },
    Sector,
    Status, //
};

impl<'a, T: Target> Io<'a, T, Submitting> {
    /// How hard the I/O may try: its submitter may have forbidden to sleep.
    fn submitters_mode(&self) -> AllocMode {
        if self.bio().is_nowait() {
            AllocMode::NoWait
        } else {
            self.alloc_mode()
        }
    }

    /// Leaves all but the first `bytes` bytes of data for another I/O.
    ///
    /// `bytes` must be a whole number of sectors, and the I/O one with data.
    fn shorten(&mut self, bytes: u32) {
        // SAFETY: What was made room for, or copied, is whole intervals of data. Atomic writes and
        // writes to zones do not get here with less: `enough()` has let them pass only as a whole.
        unsafe { self.accept_partial(bytes) }
    }

    /// Makes room for metadata and leaves what it is not enough for to another I/O.
    fn make_room(&mut self, to: &Region<'_>) -> Result<(), Status> {
        let mode = self.submitters_mode();
        let wanted = self.data_bytes();
        let bytes = self.make_metadata(to, wanted, mode)?;
        enough(bytes, wanted, mode)?;
        self.shorten(bytes);
        Ok(())
    }

    /// Attaches the metadata to the bio, for what it is to be sent to, if that takes it now; says
    /// whether it does. Fails with [`Status::IOERR`] where it would have to.
    fn attach(&mut self, to: &Region<'_>) -> Result<bool, Status> {
        let bytes = self.data_bytes();
        let (bio, data) = self.parts();
        data.project().metadata.attach(bio, to, bytes)
    }

    /// Lets the bio go down with the payload that it came with, if that can be now; fails with
    /// [`Status::IOERR`] otherwise.
    fn forward(&mut self, to: &Region<'_>) -> Result<(), Status> {
        let admitted = to.admit(self.bio_mut())?;
        *self.metadata().project().hasty = admitted == Attached::Hasty;
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
    pub fn generate(&mut self, to: &Region<'_>) -> Result<(), Status> {
        self.make_room(to)?;
        self.generate_in_place(to)?;
        self.attach(to)?;
        Ok(())
    }

    /// Makes room for the metadata that a read is to bring, and attaches that to the bio; says
    /// whether the device can bring any now. Sleeps.
    ///
    /// Shortens and fails as [`generate`](Self::generate) does.
    pub fn attach_read_metadata(&mut self, from: &Region<'_>) -> Result<bool, Status> {
        self.make_room(from)?;
        self.attach(from)
    }

    /// Copies the data and generates metadata for the copy, in one pass. Sleeps.
    ///
    /// Where there is not enough memory at once for all of it, the I/O is shortened. Fails as
    /// [`generate`](Self::generate) does.
    pub fn copy_and_generate(&mut self, to: &Region<'_>) -> Result<Private<'a>, Status> {
        let private = self.copy(to, 0, self.submitters_mode())?;
        self.shorten(private.bytes());
        Ok(Private(private))
    }

    /// Makes room for tuples of the bio's payload, for when the I/O has ended. Sleeps for a page of
    /// memory, or fails with [`Status::AGAIN`] where it must not.
    pub fn reserve(&mut self, to: &Region<'_>) -> Result<(), Status> {
        let mode = self.submitters_mode().at_least_a_page();
        self.make_metadata(to, self.data_bytes(), mode)?;
        self.forward(to)
    }

    /// Whether the data matches the tuples of the bio's `payload`, as far as that asks for it.
    /// Sleeps for a page of memory, or fails with [`Status::AGAIN`] where it must not, and with
    /// [`Status::IOERR`] where the payload cannot go down. The room is kept for when the I/O has
    /// ended.
    pub fn verify_payload(&mut self, to: &Region<'_>, payload: &Payload) -> Result<bool, Status> {
        let mode = self.submitters_mode().at_least_a_page();
        let to = to.with(payload);
        let mismatches = self.check(&to, Some(payload), None, mode, &mut |_| ())?;
        self.forward(&to)?;
        Ok(mismatches == 0)
    }

    /// Copies the data together with the tuples of the bio's `payload`; `None` where they do not
    /// match. Sleeps.
    ///
    /// Shortens and fails as [`generate`](Self::generate) does.
    pub fn copy_with_payload(
        &mut self,
        to: &Region<'_>,
        payload: &Payload,
    ) -> Result<Option<Private<'a>>, Status> {
        let Some(private) = self.copy_forwarded(to, payload, 0, self.submitters_mode())? else {
            return Ok(None);
        };
        self.shorten(private.bytes());
        Ok(Some(Private(private)))
    }

    /// Says that the I/O is about to be sent down, if it is one that reads may have to wait for.
    ///
    /// It waits for nothing then that a read may hold; see [`watch_writes`](Io::watch_writes).
    fn enter(&mut self, sector: Sector) {
        if !self.bio().stores() {
            return;
        }
        let sectors = match self.data_bytes() {
            // What is said about a zone may be about all of them.
            0 => Sector::default()..Sector::new(u64::MAX),
            bytes => sector..sector.skip_bytes(bytes),
        };
        // SAFETY: It leaves when the I/O ends at the latest, and the pools outlive that.
        let in_flight = unsafe { self.pools().writes.enter(sectors) };
        *self.metadata().project().in_flight = Some(in_flight);
    }

    /// Sends the bio to the region, with what is attached to it for that, as one that reads may have to
    /// wait for.
    pub fn send(mut self, to: &Region<'_>) -> Mapped {
        self.enter(to.sector);
        self.remap(to.device, to.sector)
    }

    /// Sends the copy, with its metadata, to `to` instead of the bio, which ends as the copy does.
    /// Where the device does not take metadata any more that has to go with it, the I/O ends with
    /// [`Status::IOERR`].
    pub fn submit_copy(mut self, copy: Private<'a>, to: &Region<'_>) -> Mapped {
        let Private(mut copy) = copy;
        // SAFETY: The bio that is submitted has ended before the I/O does, which is left alone until
        // then; the others are not submitted.
        unsafe { self.attach_to(&mut copy, to) };
        if let Err(status) = copy.attached() {
            drop(copy);
            return self.end(status);
        }
        self.enter(copy.sector());
        // SAFETY: This is the last that the map function does with the clone, which ends when the
        // copy does; the pool is the target's, which outlives its I/O.
        unsafe { self.submit_instead(|clone| copy.submit_for(clone)) }
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
