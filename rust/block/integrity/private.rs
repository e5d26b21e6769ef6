// SPDX-License-Identifier: GPL-2.0

//! Bios of our own: over a private copy of an I/O's data, or over the data itself once more.

use super::{
    metadata::Metadata,
    pool::{AllocMode, PagePool, Stash},
    region::Attached,
    Region, //
};
use crate::{
    bindings,
    block::{Bio, Device, Sector, Segment, Status},
};
use core::{
    mem::{size_of, MaybeUninit},
    ptr::NonNull, //
};
use kernel::{
    error::to_result,
    new_mutex,
    page::{Page, PAGE_SIZE},
    prelude::*,
    sync::Mutex,
    types::Opaque, //
};

/// The most bytes that one private bio can hold.
pub(super) const MAX_COPY: u32 = bindings::BIO_MAX_VECS * PAGE_SIZE as u32;

/// What a private bio keeps in front of itself: the pool that its pages go back to.
type FrontPad = *const BioPool;

/// Times that a bio is sent to a device without waiting there, before it may.
const HASTE: u32 = 3;

/// Where private bios and their pages come from.
///
/// # Invariants
///
/// `set` is initialised, with a [`FrontPad`] in front of each bio.
pub(super) struct BioPool {
    set: KBox<Opaque<bindings::bio_set>>,
    pages: PagePool,
    stash: Stash,
    /// Held by a write that needs more than one page of the reserve. Two of them could each have what
    /// the other waits for.
    whole: Pin<KBox<Mutex<()>>>,
    /// Where the data goes of reads that only wait for the device.
    waste: Page,
}

// SAFETY: A bio set has locks of its own.
unsafe impl Send for BioPool {}
// SAFETY: As above.
unsafe impl Sync for BioPool {}

impl BioPool {
    /// A pool that keeps `bios` bios and `pages` pages. Sleeps; fails with `ENOMEM`.
    pub(super) fn new(bios: u16, pages: u16) -> Result<Self> {
        let pages = PagePool::new(pages)?;
        let stash = Stash::new()?;
        let waste = Page::alloc_page(GFP_KERNEL)?;
        let whole = KBox::pin_init(new_mutex!((), "stable_pages_whole"), GFP_KERNEL)?;
        let set = KBox::new(Opaque::<bindings::bio_set>::zeroed(), GFP_KERNEL)?;
        // SAFETY: The set is zeroed, ours, and does not move: it is on the heap.
        to_result(unsafe {
            bindings::bioset_init(
                set.get(),
                bios.into(),
                size_of::<FrontPad>() as u32,
                (bindings::BIOSET_NEED_BVECS | bindings::BIOSET_PERCPU_CACHE) as i32,
            )
        })?;
        // INVARIANT: Initialised right here.
        Ok(Self {
            set,
            pages,
            stash,
            whole,
            waste,
        })
    }

    /// A bio over pages of its own for up to `bytes` bytes, of `source`'s operation and flags, for
    /// `sector` of `device`. With [`AllocMode::Partial`] it may be for whole pages where it is less, and
    /// for one at least.
    ///
    /// Sleeps until that can be had and never fails; with [`AllocMode::NoWait`] it does instead.
    pub(super) fn alloc(
        &self,
        source: &Bio,
        device: &Device,
        sector: Sector,
        bytes: u32,
        mode: AllocMode,
    ) -> Option<PrivateBio<'_>> {
        let pages = (bytes as usize)
            .div_ceil(PAGE_SIZE)
            .min(bindings::BIO_MAX_VECS as usize);
        let gfp = match mode {
            AllocMode::NoWait => bindings::SP_GFP_NOWAIT_TRY,
            AllocMode::Partial | AllocMode::Full => bindings::SP_GFP_NOIO,
        };
        // SAFETY: The device is open, the set is initialised by the type invariant, and the number
        // of vectors is within bounds.
        let bio = unsafe {
            bindings::bio_alloc_bioset(
                device.bdev(),
                pages as u16,
                PrivateBio::opf(source),
                gfp,
                self.set.get(),
            )
        };
        if bio.is_null() {
            return None;
        }
        // SAFETY: Just allocated from our set.
        let mut bio = unsafe { PrivateBio::new(bio, self, source, sector) };
        if mode != AllocMode::NoWait {
            bio.bio_mut().clear_flags(bindings::SP_REQ_NOWAIT);
        }
        self.add_pages(&mut bio, pages, bytes, mode).then_some(bio)
    }

    /// Adds pages for `bytes` bytes to a bio with room for `pages`; returns whether there are
    /// enough for `mode`.
    fn add_pages(
        &self,
        bio: &mut PrivateBio<'_>,
        pages: usize,
        bytes: u32,
        mode: AllocMode,
    ) -> bool {
        let mut left = bytes as usize;
        let mut whole = None;
        for i in 0..pages {
            let at_hand = self.stash.take();
            let page = match (at_hand.or_else(|| self.pages.try_alloc_page(mode)), mode) {
                (Some(page), _) => page,
                (None, AllocMode::NoWait) => return false,
                (None, AllocMode::Partial) if i > 0 => break,
                (None, AllocMode::Partial) => self.pages.alloc_page(),
                (None, AllocMode::Full) => {
                    whole.get_or_insert_with(|| self.whole.lock());
                    self.pages.alloc_page()
                }
            };
            let len = left.min(PAGE_SIZE);
            // SAFETY: The bio is ours and has a vector for each page; the page is ours, too, and
            // now the bio's.
            unsafe { bindings::__bio_add_page(bio.raw(), page.as_ptr(), len as u32, 0) };
            left -= len;
        }
        true
    }

    /// A bio over all of `source`'s data, as `iter` describes it, to be written to `sector` of
    /// `device`. Sleeps until there is one; never fails.
    ///
    /// # Safety
    ///
    /// `iter` must describe data of `source`, whose pages must stay until the result is dropped.
    pub(super) unsafe fn resubmit(
        &self,
        source: &Bio,
        device: &Device,
        sector: Sector,
        iter: bindings::bvec_iter,
    ) -> PrivateBio<'_> {
        // SAFETY: The device is open, the set is initialised, and the caller keeps the pages.
        let bio = unsafe {
            bindings::bio_alloc_clone(
                device.bdev(),
                source.as_raw(),
                bindings::SP_GFP_NOIO,
                self.set.get(),
            )
        };
        // SAFETY: A clone is ours alone. Setting the device anew says that `sector` is relative to
        // it: `source` may have been remapped from a partition to its disk.
        unsafe {
            bindings::sp_bio_set_dev(bio, device.bdev());
            (*bio).bi_iter = iter;
            (*bio).bi_opf = PrivateBio::opf(source);
        }
        // SAFETY: Just allocated from our set, and an allocation that may sleep does not fail.
        let mut bio = unsafe { PrivateBio::new(bio, self, source, sector) };
        bio.bio_mut().clear_flags(bindings::SP_REQ_NOWAIT);
        bio
    }
}

impl Drop for BioPool {
    fn drop(&mut self) {
        // SAFETY: By the type invariant the set is initialised; each bio borrows the pool, or is in
        // flight for an I/O of the target that owns the pool.
        unsafe { bindings::bioset_exit(self.set.get()) }
    }
}

/// A bio that no layer above knows.
///
/// # Invariants
///
/// The bio is valid, is `pool`'s and ours alone, and is not in flight. Unless it is a clone, its
/// vectors are pages of `pool`.
pub(super) struct PrivateBio<'a> {
    bio: NonNull<bindings::bio>,
    pool: &'a BioPool,
    /// Whether it has metadata; or why it cannot be submitted.
    attached: Result<Attached, Status>,
}

impl<'a> PrivateBio<'a> {
    /// The operation and flags of a private bio: those of `source`, but with no payload yet, and
    /// completed by interrupt, since no thread polls for it, and from no per-CPU cache. Whether it may
    /// fail early is for [`Region::admit`] to say.
    fn opf(source: &Bio) -> u32 {
        source.opf()
            & !(bindings::SP_REQ_INTEGRITY
                | bindings::SP_REQ_POLLED
                | bindings::SP_REQ_ALLOC_CACHE
                | bindings::SP_REQ_RAHEAD)
    }

    /// # Safety
    ///
    /// `bio` must be allocated from `pool`'s set and in no other hands.
    unsafe fn new(
        bio: *mut bindings::bio,
        pool: &'a BioPool,
        source: &Bio,
        sector: Sector,
    ) -> Self {
        // SAFETY: Each bio of the set has room for this in front.
        unsafe { bio.cast::<FrontPad>().sub(1).write(pool) };
        // SAFETY: Both bios are valid, and the first is ours.
        unsafe {
            bindings::sp_bio_copy_attributes(bio, source.as_raw());
            (*bio).bi_iter.bi_sector = sector.number();
        }
        // INVARIANT: The caller vouches for it; there are no vectors yet, or they are cloned.
        Self {
            // SAFETY: The caller vouches for a bio.
            bio: unsafe { NonNull::new_unchecked(bio) },
            pool,
            attached: Ok(Attached::No),
        }
    }

    fn raw(&self) -> *mut bindings::bio {
        self.bio.as_ptr()
    }

    fn bio(&self) -> &Bio {
        // SAFETY: By the type invariant the bio is valid and ours alone.
        unsafe { Bio::from_raw(self.raw()) }
    }

    fn bio_mut(&mut self) -> &mut Bio {
        // SAFETY: As above.
        unsafe { Bio::from_raw(self.raw()) }
    }

    /// The vectors.
    fn vecs(&self) -> &[bindings::bio_vec] {
        // SAFETY: By the type invariant the bio is valid and ours; it has `bi_vcnt` vectors.
        unsafe {
            let bio = &*self.raw();
            match bio.bi_vcnt {
                0 => &[],
                vcnt => core::slice::from_raw_parts(bio.bi_io_vec, vcnt.into()),
            }
        }
    }

    /// The private data from `skip` bytes after its start to the end of that page; none behind the
    /// end. Not for a clone, whose data is not private.
    pub(super) fn data(&self, skip: u32) -> Option<Segment<'_>> {
        let vec = self.vecs().get(skip as usize / PAGE_SIZE)?;
        let offset = skip as usize % PAGE_SIZE;
        // SAFETY: The pages of the pool are not in high memory, so that a mapping is an address and
        // needs no unmapping; each begins with its vector, and is the bio's alone.
        unsafe {
            let start = bindings::kmap_local_page(vec.bv_page).cast::<u8>();
            let data = core::slice::from_raw_parts(start, vec.bv_len as usize).get(offset..)?;
            let page = NonNull::new_unchecked(vec.bv_page);
            (!data.is_empty()).then(|| Segment::of_private(data, page, offset))
        }
    }

    /// The bytes of data.
    pub(super) fn bytes(&self) -> u32 {
        self.bio().bytes()
    }

    /// The first sector of the device that the bio is for.
    pub(super) fn sector(&self) -> Sector {
        self.bio().sector()
    }

    /// Keeps the bio apart from others, whose changed pages would fail it, too.
    pub(super) fn set_no_merge(&mut self) {
        self.bio_mut().set_flags(bindings::SP_REQ_NOMERGE);
    }

    /// The private pages.
    pub(super) fn filler(&mut self) -> Filler<'_> {
        // INVARIANT: By the type invariant, and only a bio with pages of its own is filled.
        Filler {
            vecs: self.vecs(),
            index: 0,
            done: 0,
        }
    }

    /// Attaches metadata for the bio's data, if the device takes that now; where it does not, and
    /// would have to, the bio cannot be submitted any more. See [`Region::admit`].
    ///
    /// # Safety
    ///
    /// `payload` and `metadata` must stay, and must not be used, until the bio has ended.
    pub(super) unsafe fn attach(
        &mut self,
        payload: *mut bindings::sp_payload,
        metadata: &Metadata,
        to: &Region<'_>,
    ) {
        let bytes = self.bytes();
        // SAFETY: The caller keeps both.
        self.attached = unsafe { to.attach(self.bio_mut(), payload, metadata, bytes) };
    }

    /// Whether the bio has metadata; or why it cannot be submitted.
    pub(super) fn attached(&self) -> Result<Attached, Status> {
        self.attached
    }

    /// Submits the bio and sleeps until it has ended.
    ///
    /// One that does not wait in the device may have failed because that is suspended. So when that
    /// lets I/O pass, it is sent again; if without its metadata, since the device does not show the
    /// profile any more, it may wait.
    pub(super) fn submit_and_wait(&mut self, to: &Region<'_>) -> Status {
        if let Err(status) = self.attached {
            return status;
        }
        let mut start = MaybeUninit::uninit();
        // SAFETY: By the type invariant the bio is ours.
        unsafe { bindings::sp_bio_keep_start(self.raw(), start.as_mut_ptr()) };
        for tried in 1.. {
            // SAFETY: By the type invariant the bio is ours and can be submitted.
            unsafe { bindings::submit_bio_wait(self.raw()) };
            let status = self.bio().status();
            if status.is_ok()
                || status == Status::PROTECTION
                || self.attached != Ok(Attached::Hasty)
            {
                return status;
            }
            // SAFETY: The device is open. The bio has ended; its start was kept.
            unsafe {
                let sector = (*start.as_ptr()).data.bi_sector;
                bindings::sp_bdev_wait(to.device.bdev(), sector, self.pool.waste.as_ptr());
                bindings::sp_bio_start_again(self.raw(), start.as_ptr());
            }
            if let Err(status) = self.attach_again(to, tried == HASTE) {
                return status;
            }
        }
        Status::IOERR
    }

    /// Decides anew whether the metadata of a bio that has ended can go with it, and whether it
    /// `waits`.
    fn attach_again(&mut self, to: &Region<'_>, waits: bool) -> Result<(), Status> {
        self.bio_mut().clear_flags(bindings::SP_REQ_RAHEAD);
        let attached = to.admit(self.bio_mut());
        self.attached = match attached? {
            Attached::No => {
                // SAFETY: The bio is ours, and the payload is not the block layer's to free.
                unsafe { bindings::sp_payload_detach(self.raw()) };
                Ok(Attached::No)
            }
            _ if waits => Ok(Attached::Yes),
            attached => Ok(attached),
        };
        if self.attached != Ok(Attached::Hasty) {
            self.bio_mut().clear_flags(bindings::SP_REQ_RAHEAD);
        }
        Ok(())
    }

    /// Submits the bio in `clone`'s stead: when it ends, `clone` ends in the same way.
    ///
    /// # Safety
    ///
    /// `clone` must be a device-mapper clone whose map function returns `DM_MAPIO_SUBMITTED` next
    /// and touches it no more; the pool must stay until `clone` has ended.
    pub(super) unsafe fn submit_for(self, clone: *mut bindings::bio) {
        let bio = self.raw();
        core::mem::forget(self);
        // SAFETY: The bio is ours until it is submitted, and the callback frees it then.
        unsafe {
            (*bio).bi_private = clone.cast();
            (*bio).bi_end_io = Some(Self::end_io_callback);
            bindings::dm_submit_bio_remap(clone, bio);
        }
    }

    /// # Safety
    ///
    /// Must be called for a bio that [`submit_for`](Self::submit_for) submitted, when it has ended.
    unsafe extern "C" fn end_io_callback(bio: *mut bindings::bio) {
        // SAFETY: The bio has ended, so it is ours again. `submit_for` put the clone there, and `new`
        // the pool in front of it.
        let (clone, private) = unsafe {
            let private = PrivateBio {
                bio: NonNull::new_unchecked(bio),
                pool: &**bio.cast::<FrontPad>().sub(1),
                attached: Ok(Attached::No),
            };
            ((*bio).bi_private.cast::<bindings::bio>(), private)
        };
        let status = private.bio().status();
        drop(private);
        // SAFETY: The clone was left to us.
        unsafe {
            (*clone).bi_status = status.as_raw();
            bindings::bio_endio(clone);
        }
    }
}

impl Drop for PrivateBio<'_> {
    fn drop(&mut self) {
        let bio = self.raw();
        // SAFETY: By the type invariant the bio is ours. The payload is not the block layer's to
        // free.
        unsafe { bindings::sp_payload_detach(bio) };
        if !self.bio().is_cloned() {
            for vec in self.vecs() {
                // SAFETY: By the type invariant the vectors are pages of the pool.
                unsafe {
                    let page = NonNull::new_unchecked(vec.bv_page);
                    self.pool.stash.put(page, &self.pool.pages);
                }
            }
        }
        // SAFETY: By the type invariant the bio is ours, and not used any more.
        unsafe { bindings::bio_put(bio) };
    }
}

/// Fills the pages of a private bio from their start.
///
/// # Invariants
///
/// `vecs` are those of a private bio over pages of its own, which is borrowed for the lifetime `'a`.
pub(super) struct Filler<'a> {
    vecs: &'a [bindings::bio_vec],
    index: usize,
    done: usize,
}

impl Filler<'_> {
    /// Copies `segment` behind what has been copied already, and calls `f` with each piece of the
    /// copy. What does not fit is left out.
    pub(super) fn push<E>(
        &mut self,
        segment: &Segment<'_>,
        mut f: impl FnMut(&Segment<'_>) -> Result<(), E>,
    ) -> Result<(), E> {
        let len = crate::pi::Data::len(segment);
        let mut at = 0;
        while at < len {
            let Some(vec) = self.vecs.get(self.index) else {
                break;
            };
            let room = vec.bv_len as usize - self.done;
            if room == 0 {
                self.index += 1;
                self.done = 0;
                continue;
            }
            // SAFETY: The pages of the pool are not in high memory, so that a mapping is an address
            // and needs no unmapping; the vector lies in its page, which is ours alone. What was
            // copied is of that page, from `done` on.
            let (n, copy) = unsafe {
                let page = bindings::kmap_local_page(vec.bv_page).cast::<u8>();
                let to = core::slice::from_raw_parts_mut(page.add(self.done), room);
                let n = segment.slice(at..len).copy_to(to);
                let page = NonNull::new_unchecked(vec.bv_page);
                (n, Segment::of_private(&to[..n], page, self.done))
            };
            f(&copy)?;
            at += n;
            self.done += n;
        }
        Ok(())
    }
}
