// SPDX-License-Identifier: GPL-2.0

//! What an I/O carries for its metadata, and what can be done with it in more than one phase.

use super::{
    metadata::{Metadata, Room},
    pool::AllocMode,
    private::{self, PrivateBio},
    region::Attached,
    writes::InFlight,
    MetadataError,
    Payload,
    Pools,
    Region, //
};
use crate::{
    bindings,
    block::{
        dm::{self, Io},
        Bio,
        Status, //
    },
    pi, //
};
use core::{pin::Pin, ptr::NonNull};
use kernel::{prelude::*, types::Opaque};

mod looking;
mod submitting;
mod working;

pub use self::{
    looking::Change,
    submitting::Private,
    working::Reread, //
};

/// A device-mapper target whose I/O carries metadata.
pub trait Target: dm::Target<IoData = IoData<<Self as Target>::State>> {
    /// What the target itself keeps with an I/O.
    type State: Default + Send;

    /// The pools, which the target owns.
    fn pools(&self) -> &Pools;
}

/// What a [`Target`] keeps with an I/O: its own state, and the metadata.
#[pin_data]
pub struct IoData<S> {
    #[pin]
    metadata: IoMetadata,
    state: S,
}

impl<S: Default> Default for IoData<S> {
    fn default() -> Self {
        Self {
            metadata: IoMetadata {
                payload: Opaque::uninit(),
                room: Opaque::uninit(),
                buffer: None,
                attached: None,
                hasty: false,
                in_flight: None,
            },
            state: S::default(),
        }
    }
}

/// The metadata of an I/O.
///
/// # Invariants
///
/// `attached` is the I/O's own bio, which is there for longer than this.
#[pin_data(PinnedDrop)]
struct IoMetadata {
    /// What is attached to a bio while that is in flight.
    #[pin]
    payload: Opaque<bindings::sp_payload>,
    /// Where `buffer` is if it is small, and used by nothing else.
    #[pin]
    room: Opaque<Room>,
    /// The bytes, of which the payload is made.
    buffer: Option<Metadata>,
    /// The I/O's own bio, while it has `payload`, over `buffer`.
    attached: Option<NonNull<bindings::bio>>,
    /// What went down does not wait in a suspended device, but fails.
    hasty: bool,
    /// A write that has been sent down.
    in_flight: Option<InFlight>,
}

// SAFETY: It is in the hands of one thread at a time; the bio is that of the same I/O.
unsafe impl Send for IoMetadata {}

#[pinned_drop]
impl PinnedDrop for IoMetadata {
    fn drop(self: Pin<&mut Self>) {
        // The rest goes after that: a bio that still has the payload needs the buffer.
        self.detach();
    }
}

impl IoMetadata {
    /// Takes the payload off the I/O's bio, so that the buffer is ours again, and the block layer
    /// does not free what it has not allocated.
    fn detach(self: Pin<&mut Self>) {
        if let Some(bio) = self.project().attached.take() {
            // SAFETY: By the type invariant the bio is there; it is not in flight, since the I/O is
            // in the target's hands.
            unsafe { bindings::sp_payload_detach(bio.as_ptr()) };
        }
    }

    /// Attaches the buffer to the I/O's own bio for `bytes` bytes of data, if what that is to be sent
    /// to takes it now; says whether it does. Fails with [`Status::IOERR`] where it would have to.
    fn attach(
        self: Pin<&mut Self>,
        bio: &mut Bio,
        to: &Region<'_>,
        bytes: u32,
    ) -> Result<bool, Status> {
        let payload = self.payload.get();
        let this = self.project();
        let mut attached = Attached::No;
        if let Some(buffer) = &*this.buffer {
            // SAFETY: The bio is ours; payload and buffer stay where they are until it has ended, and
            // are detached then, or before the bio has been submitted.
            attached = unsafe { to.attach(bio, payload, buffer, bytes) }?;
        }
        *this.hasty = attached == Attached::Hasty;
        if attached == Attached::No {
            return Ok(false);
        }
        // INVARIANT: That is the I/O's bio.
        *this.attached = NonNull::new(bio.as_raw());
        Ok(true)
    }
}

impl<'a, T: Target, P> Io<'a, T, P> {
    /// What the target keeps with the I/O.
    pub fn state(&mut self) -> &mut T::State {
        self.data().project().state
    }

    /// The reserves, which outlive the I/O: the target, which owns them, does.
    fn pools(&self) -> &'a Pools {
        self.target().pools()
    }

    fn metadata(&mut self) -> Pin<&mut IoMetadata> {
        self.data().project().metadata
    }

    fn buffer(&self) -> Option<&Metadata> {
        self.data_ref().metadata.buffer.as_ref()
    }

    /// Takes our payload off the bio, so that the metadata is ours again.
    fn detach(&mut self) {
        self.metadata().detach();
    }

    /// How hard the I/O may try for memory, and whether less than all of it will do.
    fn alloc_mode(&self) -> AllocMode {
        if self.is_whole() {
            AllocMode::Full
        } else {
            AllocMode::Partial
        }
    }

    /// Whether the data must be written as a whole, since it is an atomic write or one to a zone.
    fn is_whole(&self) -> bool {
        let bio = self.bio();
        bio.is_atomic() || bio.is_write() && bio.is_zoned()
    }

    /// Makes room for the metadata of `bytes` bytes of data, zeroed, unless the I/O has some
    /// already. Returns the number of bytes of data that the room is enough for: fewer where memory
    /// is short (a page of metadata) or there is more than goes with one bio (64 KiB).
    ///
    /// Sleeps until there is a page; with [`AllocMode::NoWait`] it fails with [`Status::AGAIN`] instead.
    fn make_metadata(
        &mut self,
        to: &Region<'_>,
        bytes: u32,
        mode: AllocMode,
    ) -> Result<u32, Status> {
        let format = &to.profile.format;
        let exp = format.interval_exp();
        if bytes == 0 || bytes & ((1 << exp) - 1) != 0 || !to.is_aligned() {
            return Err(MetadataError.into());
        }
        if self.buffer().is_none() {
            let len = to.metadata_bytes(bytes);
            let pool = &self.pools().metadata;
            // SAFETY: A field has an address that is not null.
            let room = unsafe { NonNull::new_unchecked(self.metadata().room.get()) };
            // SAFETY: The buffer is dropped when the I/O ends at the latest, with the room, which
            // stays where it is until then, and the pools outlive that. There was no buffer before.
            let buffer = unsafe { Metadata::new(len, room, pool, mode) };
            *self.metadata().project().buffer = Some(buffer.ok_or(Status::AGAIN)?);
        }
        let room = self.buffer().map_or(0, Metadata::len);
        let intervals = format.intervals_in_metadata(room) as u32;
        Ok((bytes >> exp).min(intervals) << exp)
    }

    /// Generates metadata for `bytes` bytes of data, which `push` feeds to the generator.
    fn generate_metadata(
        &mut self,
        to: &Region<'_>,
        bytes: u32,
        push: impl FnOnce(&Self, &mut pi::Generator<'_>) -> Result<(), MetadataError>,
    ) -> Result<(), MetadataError> {
        let len = to.metadata_bytes(bytes);
        let mut buffer = self.metadata().project().buffer.take();
        let generated = (|| {
            let metadata = buffer
                .as_mut()
                .and_then(|m| m.as_mut_slice().get_mut(..len))
                .ok_or(MetadataError)?;
            let mut generator = pi::Generator::new(&to.profile.format, to.tags(), metadata)?;
            push(self, &mut generator)?;
            generator.finish()?;
            if let Some(spoil) = &to.spoil {
                spoil.generated(to, metadata);
            }
            Ok(())
        })();
        *self.metadata().project().buffer = buffer;
        generated
    }

    /// Generates metadata for all the data where it is.
    fn generate_in_place(&mut self, to: &Region<'_>) -> Result<(), MetadataError> {
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
        to: &Region<'_>,
        checks: pi::Checks,
        bytes: u32,
        report: &mut R,
        push: impl FnOnce(&mut pi::Verifier<'_>, &mut R) -> Result<(), MetadataError>,
    ) -> Result<u64, MetadataError> {
        let metadata = self
            .buffer()
            .and_then(|m| m.as_slice().get(..to.metadata_bytes(bytes)))
            .ok_or(MetadataError)?;
        let mut verifier = pi::Verifier::new(&to.profile.format, checks, metadata)?;
        push(&mut verifier, report)?;
        let mismatches = verifier.finish()?.mismatches;
        Ok(match &to.spoil {
            Some(spoil) => mismatches + spoil.brought(to, &checks, metadata, report),
            None => mismatches,
        })
    }

    /// Copies tuples of a payload from above to our metadata: those of as many of the `bytes` bytes
    /// of data from `skip` on as there is room for. `to` is where these go. Returns their number.
    fn load(
        &mut self,
        to: &Region<'_>,
        payload: &Payload,
        skip: u32,
        bytes: u32,
        mode: AllocMode,
    ) -> Result<u32, Status> {
        let bytes = self.make_metadata(to, bytes, mode)?;
        let (start, len) = (to.metadata_bytes(skip), to.metadata_bytes(bytes));
        if start + len > payload.bytes() {
            return Err(MetadataError.into());
        }
        let (bio, data) = self.parts();
        let bio = bio.as_raw();
        let buffer = data.project().metadata.project().buffer;
        let buffer = buffer
            .as_mut()
            .and_then(|m| m.as_mut_slice().get_mut(..len))
            .ok_or(MetadataError)?;
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
    /// with our own metadata: as far as `checks` says or, without, as the region does. Calls
    /// `report` for each interval that does not match; returns their number.
    ///
    /// Sleeps for a page of memory at the most, where there is a payload and `mode` lets it.
    fn check(
        &mut self,
        to: &Region<'_>,
        payload: Option<&Payload>,
        checks: Option<pi::Checks>,
        mode: AllocMode,
        report: &mut impl FnMut(pi::Mismatch),
    ) -> Result<u64, Status> {
        let bytes = self.data_bytes();
        let mut mismatches = 0;
        let mut done = 0;
        while done < bytes {
            let to = to.advance(done);
            let n = match payload {
                Some(payload) => self.load(&to, payload, done, bytes - done, mode)?,
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
    /// Waits for metadata, then for a bio, then for pages, as each I/O does; see [the module](super).
    fn copy(
        &mut self,
        to: &Region<'_>,
        skip: u32,
        mode: AllocMode,
    ) -> Result<PrivateBio<'a>, Status> {
        let left = self.data_bytes().saturating_sub(skip);
        let mut wanted = left.min(private::MAX_COPY);
        if to.profile.stored {
            wanted = self.make_metadata(to, wanted, mode)?;
        }
        let mut private = self.alloc_private(to, left, wanted, mode)?;

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
                filler.push(segment, |_| Ok::<_, MetadataError>(()))
            })?;
        }
        Ok(private)
    }

    /// Copies data as [`copy`](Self::copy) does, but with the tuples of a payload from above; `None`
    /// where they do not match.
    fn copy_forwarded(
        &mut self,
        to: &Region<'_>,
        payload: &Payload,
        skip: u32,
        mode: AllocMode,
    ) -> Result<Option<PrivateBio<'a>>, Status> {
        let to = to.with(payload).advance(skip);
        let left = self.data_bytes().saturating_sub(skip);
        let wanted = self.load(&to, payload, skip, left.min(private::MAX_COPY), mode)?;
        let mut private = self.alloc_private(&to, left, wanted, mode)?;

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
        Ok(Some(private))
    }

    /// A private bio for `wanted` of `left` bytes of data, or for fewer where that will do.
    fn alloc_private(
        &self,
        to: &Region<'_>,
        left: u32,
        wanted: u32,
        mode: AllocMode,
    ) -> Result<PrivateBio<'a>, Status> {
        let private = self
            .pools()
            .bios
            .alloc(self.bio(), to.device, to.sector, wanted, mode)
            .ok_or(Status::AGAIN)?;
        enough(private.bytes(), left, mode)?;
        Ok(private)
    }

    /// Attaches our metadata to a private bio, as [`Region::admit`] lets it.
    ///
    /// # Safety
    ///
    /// The private bio must have ended before the I/O ends, and before anything else is done with its
    /// metadata.
    unsafe fn attach_to(&mut self, private: &mut PrivateBio<'_>, to: &Region<'_>) {
        let metadata = self.metadata();
        let payload = metadata.payload.get();
        let this = metadata.project();
        if let Some(buffer) = &*this.buffer {
            // SAFETY: Both stay until the I/O ends; the caller vouches for the rest.
            unsafe { private.attach(payload, buffer, to) };
            *this.hasty = private.attached() == Ok(Attached::Hasty);
        }
    }
}

/// Says whether `bytes` of the `wanted` bytes will do.
fn enough(bytes: u32, wanted: u32, mode: AllocMode) -> Result<(), Status> {
    match mode {
        _ if bytes >= wanted => Ok(()),
        AllocMode::Partial => Ok(()),
        AllocMode::NoWait => Err(Status::AGAIN),
        // No write that has to stay whole is longer than what there is a reserve for.
        AllocMode::Full => Err(Status::IOERR),
    }
}
