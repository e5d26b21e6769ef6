// SPDX-License-Identifier: GPL-2.0

//! What can be done with the data and metadata of an I/O that is in a worker's hands.

use super::Target;
use crate::{
    bindings,
    block::{
        dm::{Io, Working},
        integrity::{
            region::Attached,
            pool::AllocMode,
            private::{self, PrivateBio},
            writes,
            Region,
            MetadataError,
            Payload, //
        },
        Status, //
    },
    pi, //
};
use core::ops::Range;

impl<'a, T: Target> Io<'a, T, Working> {
    /// Waits until each write of the target that is in flight now has settled, repairs included, and
    /// watches for those to the `bytes` bytes at `from` that come from now on. Sleeps.
    ///
    /// For reads only: what a write waits for must not wait for writes. No [`Reread`] may be kept
    /// meanwhile, since a write may be waiting for the memory that it has.
    pub fn watch_writes(&self, from: &Region<'_>, bytes: u32) -> Watch<'a> {
        Watch(self.pools().writes.watch(sectors(from, bytes)))
    }

    /// Writes the data once more, in place, with metadata generated anew, and apart from other
    /// bios. Sleeps until that has ended.
    pub fn write_again(&mut self, to: &Region<'_>) -> Result<Status, Status> {
        self.detach();
        self.generate_in_place(to)?;

        let iter = self.iter();
        // SAFETY: By the type invariant that is the bio's data, whose pages stay until its end is
        // reported, which is after this function.
        let mut again = unsafe {
            self.pools()
                .bios
                .resubmit(self.bio(), to.device, to.sector, iter)
        };
        again.set_no_merge();
        // SAFETY: It ends here, right after.
        unsafe { self.attach_to(&mut again, to) };
        Ok(again.submit_and_wait(to))
    }

    /// Copies as much of the data as memory allows, from `skip` bytes after its start on, and
    /// writes the copy to where that goes, apart from other bios. `to` is where the I/O goes. Sleeps
    /// until that has ended.
    ///
    /// Returns how that ended and the number of bytes. Where a `payload` came from above that the
    /// copy does not match, that is [`Status::PROTECTION`].
    pub fn write_copy(
        &mut self,
        to: &Region<'_>,
        payload: Option<&Payload>,
        skip: u32,
    ) -> Result<(Status, u32), Status> {
        self.detach();
        let mode = self.alloc_mode();
        let mut private = match payload {
            None => self.copy(&to.advance(skip), skip, mode)?,
            Some(payload) => self
                .copy_forwarded(to, payload, skip, mode)?
                .ok_or(Status::PROTECTION)?,
        };
        private.set_no_merge();
        let bytes = private.bytes();
        let to = payload.map_or(*to, |payload| to.with(payload));
        // SAFETY: It ends here, right after.
        unsafe { self.attach_to(&mut private, &to.advance(skip)) };
        Ok((private.submit_and_wait(&to), bytes))
    }

    /// Reads the data again, `most` bytes of it at the most (whole intervals) from `skip` bytes after
    /// its start on, into as many private pages as memory allows, with all checks below off. Sleeps
    /// until that has ended.
    pub fn read_again(
        &mut self,
        from: &Region<'_>,
        payload: Option<&Payload>,
        skip: u32,
        most: u32,
    ) -> Result<(Status, Reread<'a>), Status> {
        self.detach();
        let from = payload
            .map_or(*from, |payload| from.with(payload))
            .advance(skip);
        let left = self.data_bytes().saturating_sub(skip).min(most);
        let wanted = self.make_metadata(&from, left.min(private::MAX_COPY), AllocMode::Partial)?;
        let mut private = self.alloc_private(&from, left, wanted, AllocMode::Partial)?;
        let bytes = private.bytes();
        private.set_no_merge();
        // SAFETY: It ends here, right after.
        unsafe { self.attach_to(&mut private, &from.unchecked()) };
        let status = private.submit_and_wait(&from);
        Ok((
            status,
            Reread {
                private,
                skip,
                bytes,
            },
        ))
    }

    /// Compares what [`read_again`](Self::read_again) has read last with its tuples, and calls
    /// `report` for each interval that does not match, counted from the start of the I/O. Returns
    /// their number.
    pub fn verify_again(
        &self,
        from: &Region<'_>,
        payload: Option<&Payload>,
        reread: &Reread<'_>,
        report: &mut impl FnMut(pi::Mismatch),
    ) -> Result<u64, MetadataError> {
        let from = payload
            .map_or(*from, |payload| from.with(payload))
            .advance(reread.skip);
        let base = u64::from(reread.skip >> from.profile.format.interval_exp());
        let mut report = |mismatch: pi::Mismatch| {
            report(pi::Mismatch {
                interval: base + mismatch.interval,
                ..mismatch
            })
        };
        self.verify_metadata(
            &from,
            from.checks(),
            reread.bytes,
            &mut report,
            |verifier, report| {
                let mut done = 0;
                while done < reread.bytes {
                    let piece = reread.private.data(done).ok_or(MetadataError)?;
                    verifier.push(&piece, report)?;
                    done += pi::Data::len(&piece) as u32;
                }
                Ok(())
            },
        )
    }

    /// Copies what [`read_again`](Self::read_again) has read last to where the I/O wants it, and
    /// its tuples, too, where a payload came from above.
    pub fn copy_to_bio(
        &mut self,
        from: &Region<'_>,
        payload: Option<&Payload>,
        reread: &Reread<'_>,
    ) -> Result<(), MetadataError> {
        let mut done = 0;
        self.for_each_segment(reread.skip, reread.bytes, |segment| {
            let mut at = 0;
            let len = pi::Data::len(segment);
            while at < len {
                let from = reread.private.data(done).ok_or(MetadataError)?;
                let n = segment.slice(at..len).fill(&from);
                at += n;
                done += n as u32;
            }
            Ok::<_, MetadataError>(())
        })?;
        match payload {
            Some(payload) => self.store(from, payload, reread),
            None => Ok(()),
        }
    }

    /// Copies the tuples that were read last to a payload from above.
    fn store(
        &mut self,
        from: &Region<'_>,
        payload: &Payload,
        reread: &Reread<'_>,
    ) -> Result<(), MetadataError> {
        let start = from.metadata_bytes(reread.skip);
        let len = from.metadata_bytes(reread.bytes);
        let tuples = self.buffer();
        let tuples = tuples.and_then(|m| m.as_slice().get(..len)).ok_or(MetadataError)?;
        if start + len > payload.bytes() {
            return Err(MetadataError);
        }
        // SAFETY: The bio has the payload, the range is inside of it, and the buffer is as long.
        unsafe {
            bindings::sp_payload_write(
                self.bio().as_raw(),
                payload.as_raw(),
                start as u32,
                tuples.as_ptr().cast(),
                len as u32,
            )
        };
        Ok(())
    }
}

/// Data that was read again where nobody else can reach it.
pub struct Reread<'a> {
    private: PrivateBio<'a>,
    skip: u32,
    bytes: u32,
}

impl Reread<'_> {
    /// How many bytes after the start of the I/O it begins.
    pub fn skip(&self) -> u32 {
        self.skip
    }

    /// The bytes of data.
    pub fn bytes(&self) -> u32 {
        self.bytes
    }

    /// Whether the data came with tuples: the device may have stopped to show its profile.
    pub fn has_tuples(&self) -> bool {
        matches!(self.private.attached(), Ok(Attached::Yes | Attached::Hasty))
    }

    /// Leaves out all but the first `bytes` bytes, which must be whole intervals.
    pub fn shorten(&mut self, bytes: u32) {
        self.bytes = self.bytes.min(bytes);
    }
}

/// Writes that come are noted until this is dropped.
pub struct Watch<'a>(writes::Watch<'a>);

impl Watch<'_> {
    /// Whether a write came to any of the `bytes` bytes at `from`. It may say so where one came to
    /// both sides of them. Does not sleep.
    pub fn is_disturbed(&self, from: &Region<'_>, bytes: u32) -> bool {
        self.0.is_disturbed(sectors(from, bytes))
    }
}

/// The sectors of the `bytes` bytes at `from`.
fn sectors(from: &Region<'_>, bytes: u32) -> Range<u64> {
    let sectors = u64::from(bytes >> bindings::SECTOR_SHIFT);
    from.sector..from.sector.saturating_add(sectors)
}
