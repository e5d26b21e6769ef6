// SPDX-License-Identifier: GPL-2.0

//! An I/O of a target, from its mapping to its end.

use super::{Instance, Target};
use crate::{
    bindings,
    block::{
        destination::Attached,
        metadata::Metadata,
        pool::Effort,
        private::{self, PrivateBio},
        segment::{for_each_segment, Segment},
        writes::InFlight,
        Bio,
        Destination,
        Misfit,
        Payload,
        Status, //
    },
    mm,
    pi, //
};
use core::{
    marker::PhantomData,
    mem::{align_of, size_of},
    ptr::NonNull, //
};
use kernel::{
    time::{Instant, Monotonic},
    types::Opaque, //
};

mod completing;
mod looking;
mod mapping;
mod working;

pub use self::{
    looking::{Change, Deferred},
    mapping::Private,
    working::{Reread, Watch}, //
};

/// The phase in which an I/O is mapped, in the context of whoever submits it.
pub struct Mapping;
/// The phase in which an I/O has ended below, in any context.
pub struct Completing;
/// The phase in which an I/O that has ended below is in the hands of a worker that does not wait.
pub struct Looking;
/// The phase in which an I/O that has ended below is in the hands of a worker that may wait.
pub struct Working;

/// Says that [`Mapping`] is over; only what ends it makes one.
#[must_use]
pub struct Mapped(pub(super) i32);

/// Says that [`Completing`] is over; only what ends it makes one.
#[must_use]
pub struct Ended(pub(super) Ending);

/// What becomes of an I/O that has ended below.
pub(super) enum Ending {
    /// It ends with this.
    With(Status),
    /// The target looks at it here and now.
    Here,
    /// A worker has the target look at it.
    Deferred,
}

/// Says that [`Looking`] is over; only what ends it makes one.
#[must_use]
pub struct Looked(Option<Status>);

/// What device mapper allocates in front of each clone for us (`per_io_data_size`).
///
/// Initialised when the clone is mapped, dropped before device mapper is told of its end.
#[repr(C)]
pub(super) struct PerIo<T: Target> {
    work: Opaque<bindings::work_struct>,
    payload: Opaque<bindings::sp_payload>,
    instance: NonNull<Instance<T>>,
    bio: NonNull<bindings::bio>,
    /// Where the data is; the bio's own iterator is used up when it has ended.
    data: bindings::bvec_iter,
    metadata: Option<Metadata>,
    /// The bio's integrity payload is `payload`, over `metadata`.
    attached: bool,
    /// What went down does not wait in a suspended device, but fails.
    hasty: bool,
    /// A write that has been sent down.
    in_flight: Option<InFlight>,
    /// Device mapper is to be told that the I/O has ended; everything else is dropped already.
    finished: bool,
    /// When the I/O ended below, if somebody wants to know.
    ended: Option<Instant<Monotonic>>,
    state: T::State,
}

impl<T: Target> PerIo<T> {
    pub(super) const SIZE: u32 = {
        // Device mapper aligns the end of the area, to this at least.
        assert!(align_of::<Self>() <= align_of::<u64>());
        size_of::<Self>() as u32
    };

    /// # Safety
    ///
    /// `bio` must be a clone of a target of type `T`.
    unsafe fn of(bio: *mut bindings::bio) -> *mut Self {
        // SAFETY: The caller vouches for the bio, and each clone of `T`'s has so much in front.
        unsafe { bindings::dm_per_bio_data(bio, size_of::<Self>()) }.cast()
    }
}

/// An I/O of the target `T` in phase `P`.
///
/// # Invariants
///
/// `bio` is a clone of `instance`'s that is in phase `P` and nobody else's, and `per` is its
/// initialised [`PerIo`]. `per.data` describes data of the bio.
pub struct Io<'a, T: Target, P> {
    bio: &'a mut Bio,
    per: NonNull<PerIo<T>>,
    instance: &'a Instance<T>,
    _phase: PhantomData<P>,
}

impl<'a, T: Target, P> Io<'a, T, P> {
    fn per(&self) -> &PerIo<T> {
        // SAFETY: By the type invariant it is initialised and ours.
        unsafe { self.per.as_ref() }
    }

    fn per_mut(&mut self) -> &mut PerIo<T> {
        // SAFETY: By the type invariant it is initialised and ours.
        unsafe { self.per.as_mut() }
    }

    /// What the target keeps with the I/O.
    pub fn state(&mut self) -> &mut T::State {
        &mut self.per_mut().state
    }

    /// The bio.
    pub fn bio(&self) -> &Bio {
        self.bio
    }

    /// The bytes of data, also when the bio has ended.
    pub fn data_bytes(&self) -> u32 {
        self.per().data.bi_size
    }

    /// Calls `f` for each segment of the `bytes` bytes of data that begin `skip` bytes after the
    /// first. What is outside of the data is left out. Stops at the first error.
    ///
    /// Somebody else may be changing the data meanwhile. Does not sleep.
    pub fn for_each_segment<E>(
        &self,
        skip: u32,
        bytes: u32,
        f: impl FnMut(&Segment<'_>) -> Result<(), E>,
    ) -> Result<(), E> {
        let data = &self.per().data;
        let skip = skip.min(data.bi_size);
        let bytes = bytes.min(data.bi_size - skip);
        // SAFETY: By the type invariant `data` describes data of the bio, whose pages stay until
        // its end is reported; the range is clamped to it.
        unsafe { for_each_segment((*self.bio.as_raw()).bi_io_vec, *data, skip, bytes, f) }
    }

    /// Whose page it is among the `bytes` bytes of data from `skip` on: the first that user space
    /// can change, else the first. Does not sleep.
    pub fn owner(&self, skip: u32, bytes: u32) -> mm::Owner {
        let mut first = None;
        let exposed = self.for_each_segment(skip, bytes, |segment| {
            let owner = segment.owner();
            if owner.class().is_exposed() {
                return Err(owner);
            }
            first.get_or_insert(owner);
            Ok(())
        });
        match (exposed, first) {
            (Err(owner), _) | (Ok(()), Some(owner)) => owner,
            (Ok(()), None) => mm::Owner::kernel(),
        }
    }

    /// How hard the I/O may try for memory, and whether less than all of it will do.
    fn effort(&self) -> Effort {
        if self.is_whole() {
            Effort::All
        } else {
            Effort::Some
        }
    }

    /// Whether the data must be written as a whole, since it is an atomic write or one to a zone.
    fn is_whole(&self) -> bool {
        self.bio.is_atomic() || self.bio.is_write() && self.bio.is_zoned()
    }

    /// Makes room for the metadata of `bytes` bytes of data, zeroed, unless the I/O has some
    /// already. Returns the number of bytes of data that the room is enough for: fewer where memory
    /// is short (a page of metadata) or there is more than goes with one bio (64 KiB).
    ///
    /// Sleeps until there is a page; with [`Effort::Now`] it fails with [`Status::AGAIN`] instead.
    fn make_metadata(
        &mut self,
        to: &Destination<'_>,
        bytes: u32,
        effort: Effort,
    ) -> Result<u32, Status> {
        let format = &to.profile.format;
        let exp = format.interval_exp();
        if bytes == 0 || bytes & ((1 << exp) - 1) != 0 || !to.is_aligned() {
            return Err(Misfit.into());
        }
        if self.per().metadata.is_none() {
            let len = to.metadata_bytes(bytes);
            // SAFETY: The buffer is dropped when the I/O ends at the latest, and the instance
            // outlives its I/O.
            let metadata = unsafe { Metadata::new(len, &self.instance.metadata, effort) };
            self.per_mut().metadata = Some(metadata.ok_or(Status::AGAIN)?);
        }
        let room = self.per().metadata.as_ref().map_or(0, Metadata::len);
        let intervals = format.intervals_in_metadata(room) as u32;
        Ok((bytes >> exp).min(intervals) << exp)
    }

    /// Generates metadata for `bytes` bytes of data, which `push` feeds to the generator.
    fn generate_metadata(
        &mut self,
        to: &Destination<'_>,
        bytes: u32,
        push: impl FnOnce(&Self, &mut pi::Generator<'_>) -> Result<(), Misfit>,
    ) -> Result<(), Misfit> {
        let len = to.metadata_bytes(bytes);
        let mut buffer = self.per_mut().metadata.take();
        let generated = (|| {
            let metadata = buffer
                .as_mut()
                .and_then(|m| m.as_mut_slice().get_mut(..len))
                .ok_or(Misfit)?;
            let mut generator = pi::Generator::new(&to.profile.format, to.tags(), metadata)?;
            push(self, &mut generator)?;
            generator.finish()?;
            Ok(())
        })();
        self.per_mut().metadata = buffer;
        generated
    }

    /// Generates metadata for all the data where it is.
    fn generate_in_place(&mut self, to: &Destination<'_>) -> Result<(), Misfit> {
        let bytes = self.data_bytes();
        self.generate_metadata(to, bytes, |io, generator| {
            io.for_each_segment(0, bytes, |segment| generator.push(segment))?;
            Ok(())
        })
    }

    /// Compares metadata with data, which `push` feeds to the verifier, and calls `report` for each
    /// interval that does not match; returns their number.
    fn verify_metadata<R: FnMut(pi::Mismatch)>(
        &self,
        to: &Destination<'_>,
        checks: pi::Checks,
        bytes: u32,
        report: &mut R,
        push: impl FnOnce(&mut pi::Verifier<'_>, &mut R) -> Result<(), Misfit>,
    ) -> Result<u64, Misfit> {
        let metadata = self
            .per()
            .metadata
            .as_ref()
            .and_then(|m| m.as_slice().get(..to.metadata_bytes(bytes)))
            .ok_or(Misfit)?;
        let mut verifier = pi::Verifier::new(&to.profile.format, checks, metadata)?;
        push(&mut verifier, report)?;
        Ok(verifier.finish()?.mismatches)
    }

    /// Copies tuples of a payload from above to our metadata: those of as many of the `bytes` bytes
    /// of data from `skip` on as there is room for. `to` is where these go. Returns their number.
    fn load(
        &mut self,
        to: &Destination<'_>,
        payload: &Payload,
        skip: u32,
        bytes: u32,
        effort: Effort,
    ) -> Result<u32, Status> {
        let bytes = self.make_metadata(to, bytes, effort)?;
        let (start, len) = (to.metadata_bytes(skip), to.metadata_bytes(bytes));
        if start + len > payload.bytes() {
            return Err(Misfit.into());
        }
        let bio = self.bio.as_raw();
        let buffer = self.per_mut().metadata.as_mut();
        let buffer = buffer
            .and_then(|m| m.as_mut_slice().get_mut(..len))
            .ok_or(Misfit)?;
        // SAFETY: The bio has the payload, the range is inside of it, and the buffer is as long.
        unsafe {
            bindings::sp_payload_read(
                bio,
                payload.as_raw(),
                start as u32,
                buffer.as_mut_ptr().cast(),
                len as u32,
            )
        };
        Ok(bytes)
    }

    /// Compares the data, as it is now, with the tuples of a payload from above or, without one,
    /// with our own metadata: as far as `checks` says or, without, as the destination does. Calls
    /// `report` for each interval that does not match; returns their number.
    ///
    /// Sleeps for a page of memory at the most, where there is a payload and `effort` lets it.
    fn check(
        &mut self,
        to: &Destination<'_>,
        payload: Option<&Payload>,
        checks: Option<pi::Checks>,
        effort: Effort,
        report: &mut impl FnMut(pi::Mismatch),
    ) -> Result<u64, Status> {
        let bytes = self.data_bytes();
        let mut mismatches = 0;
        let mut done = 0;
        while done < bytes {
            let to = to.advance(done);
            let n = match payload {
                Some(payload) => self.load(&to, payload, done, bytes - done, effort)?,
                None => bytes - done,
            };
            let base = u64::from(done >> to.profile.format.interval_exp());
            let mut report = |mismatch: pi::Mismatch| {
                report(pi::Mismatch {
                    interval: base + mismatch.interval,
                    ..mismatch
                })
            };
            let checks = checks.unwrap_or(to.checks());
            mismatches +=
                self.verify_metadata(&to, checks, n, &mut report, |verifier, report| {
                    self.for_each_segment(done, n, |segment| verifier.push(segment, report))?;
                    Ok(())
                })?;
            done += n;
        }
        Ok(mismatches)
    }

    /// Copies as much of the data as memory allows, from `skip` bytes after its start on, and
    /// generates metadata for the copy in the same pass, if it is to be stored. Sleeps until there
    /// is a page.
    ///
    /// Waits for metadata, then for a bio, then for pages, as everybody does; see [`Instance`].
    fn copy(
        &mut self,
        to: &Destination<'_>,
        skip: u32,
        effort: Effort,
    ) -> Result<PrivateBio<'a>, Status> {
        let left = self.data_bytes().saturating_sub(skip);
        let mut wanted = left.min(private::MAX_COPY);
        if to.profile.stored {
            wanted = self.make_metadata(to, wanted, effort)?;
        }
        let mut private = self.alloc_private(to, left, wanted, effort)?;

        let bytes = private.bytes();
        if to.profile.stored {
            self.generate_metadata(to, bytes, |io, generator| {
                let mut filler = private.filler();
                io.for_each_segment(skip, bytes, |segment| {
                    filler.push(segment, |piece| generator.push(piece))
                })?;
                Ok(())
            })?;
        } else {
            let mut filler = private.filler();
            self.for_each_segment(skip, bytes, |segment| {
                filler.push(segment, |_| Ok::<_, Misfit>(()))
            })?;
        }
        self.attach_to(&mut private, to);
        Ok(private)
    }

    /// Copies data as [`copy`](Self::copy) does, but with the tuples of a payload from above; `None`
    /// where they do not match.
    fn copy_forwarded(
        &mut self,
        to: &Destination<'_>,
        payload: &Payload,
        skip: u32,
        effort: Effort,
    ) -> Result<Option<PrivateBio<'a>>, Status> {
        let to = to.with(payload).advance(skip);
        let left = self.data_bytes().saturating_sub(skip);
        let wanted = self.load(&to, payload, skip, left.min(private::MAX_COPY), effort)?;
        let mut private = self.alloc_private(&to, left, wanted, effort)?;

        let bytes = private.bytes();
        let mut filler = private.filler();
        let mismatches =
            self.verify_metadata(&to, to.checks(), bytes, &mut |_| (), |verifier, report| {
                self.for_each_segment(skip, bytes, |segment| {
                    filler.push(segment, |piece| verifier.push(piece, report))
                })?;
                Ok(())
            })?;
        if mismatches != 0 {
            return Ok(None);
        }
        self.attach_to(&mut private, &to);
        Ok(Some(private))
    }

    /// A private bio for `wanted` of `left` bytes of data, or for fewer where that will do.
    fn alloc_private(
        &self,
        to: &Destination<'_>,
        left: u32,
        wanted: u32,
        effort: Effort,
    ) -> Result<PrivateBio<'a>, Status> {
        let private = self
            .instance
            .bios
            .alloc(self.bio, to.device, to.sector, wanted, effort)
            .ok_or(Status::AGAIN)?;
        enough(private.bytes(), left, effort)?;
        Ok(private)
    }

    /// Attaches our metadata to a private bio.
    fn attach_to(&mut self, private: &mut PrivateBio<'_>, to: &Destination<'_>) {
        // SAFETY: By the type invariant it is initialised and ours.
        let per = unsafe { self.per.as_ref() };
        if let Some(metadata) = &per.metadata {
            // SAFETY: Both stay until the I/O ends, which is after the private bio; whoever has
            // that gives the I/O away or waits for it.
            unsafe { private.attach(per.payload.get(), metadata, to) };
            self.per_mut().hasty = private.attached() == Ok(Attached::Hasty);
        }
    }

    /// Takes our payload off the bio, so that the metadata is ours again, and the block layer does
    /// not free what it has not allocated.
    fn detach(&mut self) {
        if core::mem::take(&mut self.per_mut().attached) {
            // SAFETY: By the type invariant the bio is ours.
            unsafe { bindings::sp_payload_detach(self.bio.as_raw()) };
        }
    }

    /// Drops what the I/O carries.
    fn finish(&mut self) {
        self.detach();
        if let Some(in_flight) = self.per_mut().in_flight.take() {
            self.instance.writes.leave(in_flight);
        }
        let per = self.per_mut();
        per.metadata = None;
        per.state = T::State::default();
        per.finished = true;
    }
}

/// Says whether `bytes` of the `wanted` bytes will do.
fn enough(bytes: u32, wanted: u32, effort: Effort) -> Result<(), Status> {
    match effort {
        _ if bytes >= wanted => Ok(()),
        Effort::Some => Ok(()),
        Effort::Now => Err(Status::AGAIN),
        // No write that has to stay whole is longer than what there is a reserve for.
        Effort::All => Err(Status::IOERR),
    }
}
