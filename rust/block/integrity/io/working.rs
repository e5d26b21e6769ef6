// SPDX-License-Identifier: GPL-2.0

//! What can be done with the data and metadata of an I/O that is in a worker's hands.

use super::Target;
use crate::{
    bindings,
    block::{
        dm::{Io, Working},
        integrity::{
            pool::AllocMode,
            private::{self, PrivateBio},
            region::Attached,
            writes,
            MetadataError,
            Payload,
            Region, //
        },
        Sector,
        Status, //
    },
    pi, //
};
use core::ops::Range;

impl<'a, T: Target> Io<'a, T, Working> {
    /// Waits until each write of the target that is in flight now has settled, repairs included, and
    /// has `reread` watch for those to the `bytes` bytes at `from` that come from now on. What was read
    /// last is gone then, since a write may be waiting for the memory that it has. Sleeps.
    ///
    /// For reads only: what a write waits for must not wait for writes.
    pub fn watch_writes(&self, reread: &mut Reread<'a>, from: &Region<'_>, bytes: u32) {
        reread.last = None;
        // One that watches already would have the place that it waits for.
        reread.watch = None;
        reread.watch = Some(self.pools().writes.watch(sectors(from, bytes)));
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
    /// until that has ended. What `reread` had read before is gone then: there is
    /// one private bio for an I/O at a time.
    ///
    /// What went down without room for metadata gets none here, since a worker must not wait for that:
    /// those that have some may wait for the worker. It is for the layers below to verify it.
    ///
    /// Returns how that ended, and of how many bytes.
    pub fn read_again(
        &mut self,
        reread: &mut Reread<'a>,
        from: &Region<'_>,
        payload: Option<&Payload>,
        skip: u32,
        most: u32,
    ) -> Result<(Status, u32), Status> {
        reread.last = None;
        self.detach();
        let from = payload
            .map_or(*from, |payload| from.with(payload))
            .advance(skip);
        let left = self.data_bytes().saturating_sub(skip).min(most);
        let mut wanted = left.min(private::MAX_COPY);
        if self.buffer().is_some() {
            wanted = self.make_metadata(&from, wanted, AllocMode::Partial)?;
        }
        let mut private = self.alloc_private(&from, left, wanted, AllocMode::Partial)?;
        let bytes = private.bytes();
        private.set_no_merge();
        // SAFETY: It ends here, right after.
        unsafe { self.attach_to(&mut private, &from.unchecked()) };
        let status = private.submit_and_wait(&from);
        reread.last = Some(Piece {
            private,
            skip,
            bytes,
        });
        Ok((status, bytes))
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
        let last = reread.last()?;
        let from = payload
            .map_or(*from, |payload| from.with(payload))
            .advance(last.skip);
        let base = u64::from(last.skip >> from.profile.format.interval_exp());
        let mut report = |mismatch: pi::Mismatch| {
            report(pi::Mismatch {
                interval: base + mismatch.interval,
                ..mismatch
            })
        };
        self.verify_metadata(
            &from,
            from.checks(),
            last.bytes,
            &mut report,
            |verifier, report| {
                let mut done = 0;
                while done < last.bytes {
                    let piece = last.private.data(done).ok_or(MetadataError)?;
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
        let last = reread.last()?;
        let mut done = 0;
        self.for_each_segment(last.skip, last.bytes, |segment| {
            let mut at = 0;
            let len = pi::Data::len(segment);
            while at < len {
                let from = last.private.data(done).ok_or(MetadataError)?;
                let n = segment.slice(at..len).fill(&from);
                at += n;
                done += n as u32;
            }
            Ok::<_, MetadataError>(())
        })?;
        match payload {
            Some(payload) => self.store(from, payload, last),
            None => Ok(()),
        }
    }

    /// Copies the tuples that were read last to a payload from above.
    fn store(
        &mut self,
        from: &Region<'_>,
        payload: &Payload,
        last: &Piece<'_>,
    ) -> Result<(), MetadataError> {
        let start = from.metadata_bytes(last.skip);
        let len = from.metadata_bytes(last.bytes);
        let tuples = self.buffer();
        let tuples = tuples
            .and_then(|m| m.as_slice().get(..len))
            .ok_or(MetadataError)?;
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

/// What is read again where no application can reach it, piece by piece, and the writes that come
/// meanwhile.
#[derive(Default)]
pub struct Reread<'a> {
    /// What was read last.
    last: Option<Piece<'a>>,
    watch: Option<writes::Watch<'a>>,
}

struct Piece<'a> {
    private: PrivateBio<'a>,
    skip: u32,
    bytes: u32,
}

impl Reread<'_> {
    fn last(&self) -> Result<&Piece<'_>, MetadataError> {
        self.last.as_ref().ok_or(MetadataError)
    }

    /// How many bytes after the start of the I/O what was read last begins.
    pub fn skip(&self) -> u32 {
        self.last.as_ref().map_or(0, |last| last.skip)
    }

    /// The bytes of data that were read last.
    pub fn bytes(&self) -> u32 {
        self.last.as_ref().map_or(0, |last| last.bytes)
    }

    /// Whether that came with tuples: the device may have stopped to show its profile.
    pub fn has_tuples(&self) -> bool {
        self.last.as_ref().is_some_and(|last| {
            matches!(last.private.attached(), Ok(Attached::Yes | Attached::Hasty))
        })
    }

    /// Leaves out all but the first `bytes` bytes of it, which must be whole intervals.
    pub fn shorten(&mut self, bytes: u32) {
        if let Some(last) = &mut self.last {
            last.bytes = last.bytes.min(bytes);
        }
    }

    /// Whether a write came to any of the `bytes` bytes at `from` since
    /// [`watch_writes`](Io::watch_writes), or may have, since that was never called. It may say so where
    /// one came to both sides of them. Does not sleep.
    pub fn is_disturbed(&self, from: &Region<'_>, bytes: u32) -> bool {
        let watch = self.watch.as_ref();
        watch.is_none_or(|watch| watch.is_disturbed(sectors(from, bytes)))
    }
}

/// The sectors of the `bytes` bytes at `from`.
fn sectors(from: &Region<'_>, bytes: u32) -> Range<Sector> {
    from.sector..from.sector.skip_bytes(bytes)
}
