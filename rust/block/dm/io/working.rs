// SPDX-License-Identifier: GPL-2.0

//! What can be done with an I/O that is in a worker's hands.

use super::{Io, PerIo, Working};
use crate::{
    bindings,
    block::{
        dm::Target,
        pool::Effort,
        private::{self, PrivateBio},
        Bio,
        Destination,
        Misfit,
        Payload,
        Status, //
    },
    mm,
    pi, //
};
use core::{marker::PhantomData, ptr::NonNull};

/// What is no longer what its metadata was made from.
pub struct Change {
    /// The first interval, counted from the start of the I/O.
    pub first: u64,
    /// The last one.
    pub last: u64,
    /// How many there are.
    pub intervals: u64,
    /// Whose page it is.
    pub owner: mm::Owner,
}

impl<'a, T: Target> Io<'a, T, Working> {
    /// # Safety
    ///
    /// Must be called by the workqueue for a work item that [`Io::queue`] queued.
    pub(super) unsafe extern "C" fn work_callback(work: *mut bindings::work_struct) {
        // The work item is the first field.
        let per = work.cast::<PerIo<T>>();
        // SAFETY: `queue` queued it as a part of an initialised `PerIo`, which is ours now.
        let (bio, instance) = unsafe { ((*per).bio.as_ptr(), (*per).instance.as_ref()) };
        // INVARIANT: As above; the bio has ended and device mapper has not been told.
        let mut io = Io::<'_, T, Working> {
            // SAFETY: As above.
            bio: unsafe { Bio::from_raw(bio) },
            // SAFETY: As above.
            per: unsafe { NonNull::new_unchecked(per) },
            instance,
            _phase: PhantomData,
        };
        // Metadata is the worker's to use now.
        io.detach();
        let status = instance.target.work(&mut io);
        io.finish();
        io.bio.set_status(status);
        // SAFETY: The bio is ours and has ended; this calls the end_io function once more, which
        // finds it finished.
        unsafe { bindings::bio_endio(bio) };
    }

    /// The nanoseconds since the I/O was left to a worker.
    pub fn nanoseconds_since_deferred(&self) -> u64 {
        self.per()
            .deferred
            .map_or(0, |deferred| deferred.elapsed().as_nanos() as u64)
    }

    /// Raises the event counter of the mapped device, soon, which wakes `dmsetup wait`.
    pub fn raise_event(&self) {
        self.instance.event.raise();
    }

    /// What of the data, as it is now, differs from the guards of `payload` or, without one, of the
    /// metadata that went with it last.
    pub fn change(
        &mut self,
        to: &Destination<'_>,
        payload: Option<&Payload>,
    ) -> Result<Option<Change>, Status> {
        let checks = pi::Checks {
            // What came from above may ask not to be looked at.
            escapes: payload.is_some(),
            ..pi::Checks::guard_only()
        };
        let mut range = None;
        let intervals = self.check(to, payload, Some(checks), Effort::Some, &mut |mismatch| {
            let (_, last) = range.get_or_insert((mismatch.interval, mismatch.interval));
            *last = mismatch.interval;
        })?;
        Ok(range.map(|(first, last)| {
            let exp = to.profile.format.interval_exp();
            Change {
                first,
                last,
                intervals,
                owner: self.owner((first as u32) << exp, 1 << exp),
            }
        }))
    }

    /// Compares the data, as it is now, with the tuples that were read with it, for `payload` or,
    /// without one, for ourselves. Returns the number of intervals that do not match.
    pub fn verify(
        &mut self,
        from: &Destination<'_>,
        payload: Option<&Payload>,
    ) -> Result<u64, Status> {
        let from = payload.map_or(*from, |payload| from.with(payload));
        self.check(&from, payload, None, Effort::Some, &mut |_| ())
    }

    /// Writes the data once more, in place, with metadata generated anew, and apart from other
    /// bios. Sleeps until that has ended.
    pub fn write_again(&mut self, to: &Destination<'_>) -> Result<Status, Status> {
        self.generate_in_place(to)?;

        let data = self.per().data;
        // SAFETY: By the type invariant that is the bio's data, whose pages stay until its end is
        // reported, which is after this function.
        let mut again = unsafe {
            self.instance
                .bios
                .again(self.bio, to.device, to.sector, data)
        };
        again.set_no_merge();
        self.attach_to(&mut again, to);
        Ok(again.submit_and_wait())
    }

    /// Copies as much of the data as memory allows, from `skip` bytes after its start on, and
    /// writes the copy to where that goes, apart from other bios. `to` is where the I/O goes. Sleeps
    /// until that has ended.
    ///
    /// Returns how that ended and the number of bytes. Where a `payload` came from above that the
    /// copy does not match, that is [`Status::PROTECTION`].
    pub fn write_copy(
        &mut self,
        to: &Destination<'_>,
        payload: Option<&Payload>,
        skip: u32,
    ) -> Result<(Status, u32), Status> {
        let effort = self.effort();
        let mut private = match payload {
            None => self.copy(&to.advance(skip), skip, effort)?,
            Some(payload) => self
                .copy_forwarded(to, payload, skip, effort)?
                .ok_or(Status::PROTECTION)?,
        };
        private.set_no_merge();
        let bytes = private.bytes();
        Ok((private.submit_and_wait(), bytes))
    }

    /// Reads the data again, from `skip` bytes after its start on, into as many private pages as
    /// memory allows, with all checks below off. Sleeps until that has ended.
    pub fn read_again(
        &mut self,
        from: &Destination<'_>,
        payload: Option<&Payload>,
        skip: u32,
    ) -> Result<(Status, Reread<'a>), Status> {
        let from = payload
            .map_or(*from, |payload| from.with(payload))
            .advance(skip);
        let left = self.data_bytes().saturating_sub(skip);
        let wanted = self.make_metadata(&from, left.min(private::MAX_COPY), Effort::Some)?;
        let mut private = self.alloc_private(&from, left, wanted, Effort::Some)?;
        let bytes = private.bytes();
        private.set_no_merge();
        self.attach_to(&mut private, &from.unchecked());
        let status = private.submit_and_wait();
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
        from: &Destination<'_>,
        payload: Option<&Payload>,
        reread: &Reread<'_>,
        report: &mut impl FnMut(pi::Mismatch),
    ) -> Result<u64, Misfit> {
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
                    let piece = reread.private.data(done);
                    verifier.push(piece, report)?;
                    done += piece.len().max(1) as u32;
                }
                Ok(())
            },
        )
    }

    /// Copies what [`read_again`](Self::read_again) has read last to where the I/O wants it, and
    /// its tuples, too, where a payload came from above.
    pub fn hand_over(
        &mut self,
        from: &Destination<'_>,
        payload: Option<&Payload>,
        reread: &Reread<'_>,
    ) -> Result<(), Misfit> {
        let mut done = 0;
        self.for_each_segment(reread.skip, reread.bytes, |segment| {
            let mut at = 0;
            let len = pi::Data::len(segment);
            while at < len {
                let n = segment.slice(at..len).fill(reread.private.data(done));
                if n == 0 {
                    return Err(Misfit);
                }
                at += n;
                done += n as u32;
            }
            Ok(())
        })?;
        match payload {
            Some(payload) => self.store(from, payload, reread),
            None => Ok(()),
        }
    }

    /// Copies the tuples that were read last to a payload from above.
    fn store(
        &mut self,
        from: &Destination<'_>,
        payload: &Payload,
        reread: &Reread<'_>,
    ) -> Result<(), Misfit> {
        let start = from.metadata_bytes(reread.skip);
        let len = from.metadata_bytes(reread.bytes);
        let tuples = self.per().metadata.as_ref();
        let tuples = tuples.and_then(|m| m.as_slice().get(..len)).ok_or(Misfit)?;
        if start + len > payload.bytes() {
            return Err(Misfit);
        }
        // SAFETY: The bio has the payload, the range is inside of it, and the buffer is as long.
        unsafe {
            bindings::sp_payload_write(
                self.bio.as_raw(),
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
    /// The bytes of data.
    pub fn bytes(&self) -> u32 {
        self.bytes
    }
}
