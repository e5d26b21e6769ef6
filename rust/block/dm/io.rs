// SPDX-License-Identifier: GPL-2.0

//! An I/O of a target, from its mapping to its end.

use super::{Instance, Target};
use crate::{
    bindings,
    block::{
        metadata::Metadata,
        private::{self, PrivateBio},
        segment::{for_each_segment, Segment},
        Bio,
        Destination,
        Device,
        Misfit,
        Status, //
    },
    pi,
};
use core::{
    marker::PhantomData,
    mem::{align_of, size_of},
    ptr::NonNull, //
};
use kernel::{prelude::*, types::Opaque};

/// The phase in which an I/O is mapped, in the context of whoever submits it.
pub struct Mapping;
/// The phase in which an I/O has ended below, in any context.
pub struct Completing;
/// The phase in which an I/O that has ended below is in a worker's hands.
pub struct Working;

/// Says that [`Mapping`] is over; only what ends it makes one.
#[must_use]
pub struct Mapped(pub(super) i32);

/// Says that [`Completing`] is over; only what ends it makes one.
#[must_use]
pub struct Ended(pub(super) Option<Status>);

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
    /// Device mapper is to be told that the I/O has ended; everything else is dropped already.
    finished: bool,
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

    /// Makes room for the metadata of `bytes` bytes of data, zeroed, unless the I/O has some
    /// already. Returns the number of bytes of data that the room is enough for: fewer where memory
    /// is short (a page of metadata) or there is more than goes with one bio (64 KiB).
    ///
    /// Sleeps until there is a page.
    fn make_metadata(&mut self, to: &Destination<'_>, bytes: u32) -> Result<u32, Misfit> {
        let format = &to.profile.format;
        let exp = format.interval_exp();
        if bytes == 0 || bytes & ((1 << exp) - 1) != 0 || !to.is_aligned() {
            return Err(Misfit);
        }
        let per = self.per_mut();
        if per.metadata.is_none() {
            let len = to.metadata_bytes(bytes);
            // SAFETY: The buffer is dropped when the I/O ends at the latest, and the instance
            // outlives its I/O.
            let metadata = unsafe { Metadata::new(len, &self.instance.metadata) };
            self.per_mut().metadata = Some(metadata);
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

    /// Copies as much of the data as memory allows, from `skip` bytes after its start on, and
    /// generates metadata for the copy in the same pass. Sleeps until there is a page.
    ///
    /// Waits for metadata, then for a bio, then for a page, as everybody does; see [`Instance`].
    fn copy(&mut self, to: &Destination<'_>, skip: u32) -> Result<PrivateBio<'a>, Misfit> {
        let left = self.data_bytes().saturating_sub(skip);
        let wanted = self.make_metadata(to, left.min(private::MAX_COPY))?;
        let mut private = self
            .instance
            .bios
            .copy(self.bio, to.device, to.sector, wanted);

        let bytes = private.bytes();
        self.generate_metadata(to, bytes, |io, generator| {
            let mut filler = private.filler();
            io.for_each_segment(skip, bytes, |segment| {
                filler.push(segment, |piece| generator.push(piece))
            })?;
            Ok(())
        })?;

        let payload = self.per().payload.get();
        if let Some(metadata) = &self.per().metadata {
            // SAFETY: Both stay until the I/O ends, which is after the private bio; the caller
            // gives the I/O away or waits for the bio.
            unsafe { private.attach(payload, metadata, to) };
        }
        Ok(private)
    }

    /// Drops what the I/O carries and takes its payload off the bio, which the block layer would
    /// free otherwise.
    fn finish(&mut self) {
        if self.per().metadata.is_some() {
            // SAFETY: By the type invariant the bio is ours.
            unsafe { bindings::sp_payload_detach(self.bio.as_raw()) };
        }
        let per = self.per_mut();
        per.metadata = None;
        per.state = T::State::default();
        per.finished = true;
    }
}

impl<'a, T: Target> Io<'a, T, Mapping> {
    /// Takes over a clone that is to be mapped.
    ///
    /// # Safety
    ///
    /// `bio` must be a clone of `instance`'s, in its map function, and nobody else may use it.
    pub(super) unsafe fn new(bio: *mut bindings::bio, instance: &'a Instance<T>) -> Self {
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
                finished: false,
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

    /// Leaves all but the first `bytes` bytes of data for another I/O.
    ///
    /// `bytes` must be a whole number of sectors, and the I/O one with data.
    fn shorten(&mut self, bytes: u32) {
        if bytes < self.bio.bytes() {
            // SAFETY: By the type invariant this is a clone in its map function, and one with data
            // is no duplicate. Neither zoned devices nor atomic writes get here: the target does
            // not say that it can do them.
            unsafe {
                bindings::dm_accept_partial_bio(self.bio.as_raw(), bytes >> bindings::SECTOR_SHIFT)
            };
        }
        let data = &mut self.per_mut().data;
        // INVARIANT: Less of the same data.
        data.bi_size = data.bi_size.min(bytes);
    }

    /// Generates metadata for the data where it is, and attaches it to the bio. Sleeps.
    ///
    /// Where there is not enough memory at once for all the metadata, the I/O is shortened. Fails
    /// where the data is not a whole number of intervals.
    pub fn generate(&mut self, to: &Destination<'_>) -> Result<(), Misfit> {
        let bytes = self.make_metadata(to, self.data_bytes())?;
        self.shorten(bytes);
        self.generate_in_place(to)?;

        // SAFETY: By the type invariant it is initialised and ours.
        let per = unsafe { self.per.as_ref() };
        if let Some(metadata) = &per.metadata {
            // SAFETY: The bio is ours; payload and buffer stay until it has ended, and are detached
            // then.
            unsafe { to.attach(self.bio, per.payload.get(), metadata, per.data.bi_size) };
        }
        Ok(())
    }

    /// Copies the data and generates metadata for the copy, in one pass. Sleeps.
    ///
    /// Where there is not enough memory at once for all of it, the I/O is shortened. Fails where
    /// the data is not a whole number of intervals.
    pub fn copy_and_generate(&mut self, to: &Destination<'_>) -> Result<Private<'a>, Misfit> {
        let private = self.copy(to, 0)?;
        self.shorten(private.bytes());
        Ok(Private(private))
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

    /// Fails the I/O with `BLK_STS_IOERR`.
    pub fn kill(mut self) -> Mapped {
        self.finish();
        Mapped(bindings::SP_DM_MAPIO_KILL)
    }
}

impl<'a, T: Target> Io<'a, T, Completing> {
    /// Takes over a clone that has ended below; `None` where it is all done and only device mapper
    /// has not heard of it.
    ///
    /// # Safety
    ///
    /// `bio` must be a clone of `instance`'s, in its end_io function, and nobody else may use it.
    pub(super) unsafe fn new(bio: *mut bindings::bio, instance: &'a Instance<T>) -> Option<Self> {
        // SAFETY: The caller vouches for the bio, which was mapped before.
        let per = unsafe { NonNull::new_unchecked(PerIo::<T>::of(bio)) };
        // SAFETY: As above.
        if unsafe { per.as_ref() }.finished {
            return None;
        }
        // INVARIANT: It was mapped, so it is initialised; the data has not changed since.
        Some(Self {
            // SAFETY: The caller vouches for the bio.
            bio: unsafe { Bio::from_raw(bio) },
            per,
            instance,
            _phase: PhantomData,
        })
    }

    /// Ends the I/O with `status`.
    pub fn done(mut self, status: Status) -> Ended {
        self.finish();
        Ended(Some(status))
    }

    /// Leaves the I/O to [`Target::work`].
    pub fn defer(self) -> Ended {
        Ended(None)
    }

    /// Queues the I/O whose bio this is, after the target deferred it.
    ///
    /// # Safety
    ///
    /// `bio` must be a clone of `instance`'s whose end_io function returns `DM_ENDIO_INCOMPLETE`
    /// next, and touches it no more.
    pub(super) unsafe fn queue(bio: *mut bindings::bio, instance: &Instance<T>) {
        // SAFETY: The caller vouches for the bio.
        let per = unsafe { PerIo::<T>::of(bio) };
        // SAFETY: The area is initialised and ours until the work function runs.
        unsafe {
            let work = (*per).work.get();
            bindings::init_work_with_key(
                work,
                Some(Io::<'_, T, Working>::work_callback),
                false,
                c"stable_pages_io".as_char_ptr(),
                kernel::static_lock_class!().as_ptr(),
            );
            instance.queue.queue(work);
        }
    }
}

impl<'a, T: Target> Io<'a, T, Working> {
    /// # Safety
    ///
    /// Must be called by the workqueue for a work item that [`Io::queue`] queued.
    unsafe extern "C" fn work_callback(work: *mut bindings::work_struct) {
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
        let status = instance.target.work(&mut io);
        io.finish();
        io.bio.set_status(status);
        // SAFETY: The bio is ours and has ended; this calls the end_io function once more, which
        // finds it finished.
        unsafe { bindings::bio_endio(bio) };
    }

    /// Takes the payload off the ended bio, so that the metadata is ours again.
    fn detach(&mut self) {
        // SAFETY: By the type invariant the bio has ended and is ours.
        unsafe { bindings::sp_payload_detach(self.bio.as_raw()) };
    }

    /// Compares the data, as it is now, with the guards that went with it, and calls `report` for
    /// each interval that differs. Returns their number.
    pub fn compare(
        &mut self,
        to: &Destination<'_>,
        report: &mut impl FnMut(pi::Mismatch),
    ) -> Result<u64, Misfit> {
        self.detach();
        let bytes = self.data_bytes();
        let metadata = self.per().metadata.as_ref().ok_or(Misfit)?;
        let metadata = metadata
            .as_slice()
            .get(..to.metadata_bytes(bytes))
            .ok_or(Misfit)?;
        let mut verifier =
            pi::Verifier::new(&to.profile.format, pi::Checks::guard_only(), metadata)?;
        self.for_each_segment(0, bytes, |segment| verifier.push(segment, report))?;
        Ok(verifier.finish()?.mismatches)
    }

    /// Writes the data once more, in place, with metadata generated anew, and apart from other
    /// bios. Sleeps until that has ended.
    pub fn write_again(&mut self, to: &Destination<'_>) -> Result<Status, Misfit> {
        self.detach();
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
        let payload = self.per().payload.get();
        if let Some(metadata) = &self.per().metadata {
            // SAFETY: Both stay until the bio has ended, for which we wait.
            unsafe { again.attach(payload, metadata, to) };
        }
        Ok(again.submit_and_wait())
    }

    /// Copies as much of the data as memory allows, from `skip` bytes after its start on, and
    /// writes the copy. Sleeps until that has ended.
    ///
    /// Returns how that ended and the number of bytes.
    pub fn write_copy(&mut self, to: &Destination<'_>, skip: u32) -> Result<(Status, u32), Misfit> {
        self.detach();
        let mut private = self.copy(to, skip)?;
        private.set_no_merge();
        let bytes = private.bytes();
        Ok((private.submit_and_wait(), bytes))
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
