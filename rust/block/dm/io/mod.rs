// SPDX-License-Identifier: GPL-2.0

//! An I/O of a target, from its mapping to its end.

use super::{Instance, Target};
use crate::{
    bindings,
    block::{
        segment::{for_each_segment, Segment},
        Bio,
        Status, //
    },
    mm,
};
use core::{
    marker::PhantomData,
    mem::{align_of, size_of, ManuallyDrop},
    pin::Pin,
    ptr::NonNull, //
};
use kernel::types::Opaque;

mod completing;
mod looking;
mod submitting;
mod working;

pub use self::looking::Deferred;

/// The phase in which an I/O is mapped, in the context of the thread that submits it.
pub struct Submitting;
/// The phase in which an I/O has ended below, in any context.
pub struct Completing;
/// The phase in which an I/O that has ended below is in the hands of a worker that does not wait.
pub struct Looking;
/// The phase in which an I/O that has ended below is in the hands of a worker that may wait.
pub struct Working;

/// Says that [`Submitting`] is over; only what ends it makes one.
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
/// Initialised when the clone is mapped; the target's part of it is dropped before device mapper is
/// told of its end.
#[repr(C)]
pub(super) struct PerIo<T: Target> {
    work: Opaque<bindings::work_struct>,
    instance: NonNull<Instance<T>>,
    bio: NonNull<bindings::bio>,
    /// Where the data is; the bio's own iterator is used up when it has ended.
    iter: bindings::bvec_iter,
    /// Device mapper is to be told that the I/O has ended; the target's part is dropped already.
    finished: bool,
    data: ManuallyDrop<T::IoData>,
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
/// `bio` is a clone of `instance`'s that is in phase `P` and not in other hands, and `per` is its
/// initialised `PerIo`, not finished. `per.iter` describes data of the bio.
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

    /// The target.
    pub fn target(&self) -> &'a T {
        &self.instance.target
    }

    /// What the target keeps with the I/O.
    pub fn data(&mut self) -> Pin<&mut T::IoData> {
        // SAFETY: It stays where it is until it is dropped there: nothing here moves it.
        unsafe { Pin::new_unchecked(&mut *self.per_mut().data) }
    }

    /// The same, to be looked at.
    pub fn data_ref(&self) -> &T::IoData {
        &self.per().data
    }

    /// The bio.
    pub fn bio(&self) -> &Bio {
        self.bio
    }

    pub(in crate::block) fn bio_mut(&mut self) -> &mut Bio {
        self.bio
    }

    /// The bio and what the target keeps with the I/O.
    pub(in crate::block) fn parts(&mut self) -> (&mut Bio, Pin<&mut T::IoData>) {
        // SAFETY: By the type invariant it is initialised and ours; see `data()`.
        let data = unsafe { Pin::new_unchecked(&mut *self.per.as_mut().data) };
        (self.bio, data)
    }

    /// The bytes of data, also when the bio has ended.
    pub fn data_bytes(&self) -> u32 {
        self.per().iter.bi_size
    }

    /// Where the data of the bio is, whose pages stay until its end is reported.
    pub(in crate::block) fn iter(&self) -> bindings::bvec_iter {
        self.per().iter
    }

    /// Calls `f` for each segment of the `bytes` bytes of data that begin `skip` bytes after the
    /// first. What is outside of the data is left out. Stops at the first error.
    ///
    /// An application may be changing the data meanwhile. Does not sleep.
    pub fn for_each_segment<E>(
        &self,
        skip: u32,
        bytes: u32,
        f: impl FnMut(&Segment<'_>) -> Result<(), E>,
    ) -> Result<(), E> {
        let data = &self.per().iter;
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
        let user_writable = self.for_each_segment(skip, bytes, |segment| {
            let owner = segment.owner();
            if owner.class().is_user_writable() {
                return Err(owner);
            }
            first.get_or_insert(owner);
            Ok(())
        });
        match (user_writable, first) {
            (Err(owner), _) | (Ok(()), Some(owner)) => owner,
            (Ok(()), None) => mm::Owner::kernel(),
        }
    }

    /// Raises the event counter of the mapped device, soon, which wakes `dmsetup wait`. Any context.
    pub fn raise_event(&self) {
        self.instance.event.raise();
    }

    /// Drops what the target keeps with the I/O.
    fn finish(&mut self) {
        let per = self.per_mut();
        per.finished = true;
        // SAFETY: It is initialised, and by the type invariant not dropped yet. What ends an I/O
        // calls this, and has no `Io` afterwards.
        unsafe { ManuallyDrop::drop(&mut per.data) };
    }
}
