// SPDX-License-Identifier: GPL-2.0

//! Writes in flight, and reads that wait for them.

use crate::{bindings, block::Sector};
use core::{ops::Range, ptr::NonNull};
use kernel::{
    new_condvar, new_spinlock,
    prelude::*,
    sync::{
        atomic::{Atomic, Relaxed},
        CondVar,
        SpinLock, //
    },
};

/// Reads that can watch for writes at a time; others wait for one of them to end.
const WATCHES: usize = 8;

/// The writes of a target that are in flight: from when they are sent down until they have settled,
/// with all that a worker does about them.
///
/// A write [enters](Self::enter), and leaves when what it got is dropped; that counts on the CPU where
/// it happens and takes no lock. A read that has to know what became of the writes that were before it
/// [watches](Self::watch), which waits for those, and for none that comes later: those the
/// [`Watch`] notes, if they are to the same sectors.
///
/// It is a section of sleepable RCU that a write is in. So a write that a watch does not wait for
/// has entered after the watch had begun, and sees it.
///
/// # Forward progress
///
/// A write that has entered waits for no memory but a private bio and pages for it, and never for a
/// read. So what watches must not hold such, nor the worker that a write needs; it may hold
/// metadata, since a write has that before it enters.
///
/// # Invariants
///
/// `srcu` came from `sp_srcu_alloc()`.
///
/// C header: [`include/linux/srcu.h`](srctree/include/linux/srcu.h)
pub(super) struct Writes {
    srcu: NonNull<bindings::srcu_struct>,
    /// How many watches there are. A write that finds none looks no further.
    watching: Atomic<u32>,
    watches: Pin<KBox<SpinLock<[Option<Watched>; WATCHES]>>>,
    free: Pin<KBox<CondVar>>,
}

/// What is watched for.
#[derive(Clone)]
struct Watched {
    /// Sectors of the device below.
    sectors: Range<Sector>,
    /// The sectors among them of the writes that came, and those in between; empty if none came.
    disturbed: Range<Sector>,
}

fn intersection(a: &Range<Sector>, b: &Range<Sector>) -> Range<Sector> {
    a.start.max(b.start)..a.end.min(b.end)
}

/// The smallest range with both in it.
fn hull(a: &Range<Sector>, b: &Range<Sector>) -> Range<Sector> {
    if a.is_empty() {
        return b.clone();
    }
    a.start.min(b.start)..a.end.max(b.end)
}

// SAFETY: Sleepable RCU is there to be used from any thread.
unsafe impl Send for Writes {}
// SAFETY: As above.
unsafe impl Sync for Writes {}

/// A write that has entered, and leaves when this is dropped. That can be done in any context.
///
/// # Invariants
///
/// `ctr` came from `sp_srcu_down_read()` for `writes`, which is still there.
#[must_use]
pub(super) struct InFlight {
    ctr: NonNull<bindings::srcu_ctr>,
    writes: NonNull<Writes>,
}

// SAFETY: A section of sleepable RCU that was entered with `srcu_down_read()` can be left anywhere.
unsafe impl Send for InFlight {}

impl Drop for InFlight {
    fn drop(&mut self) {
        // SAFETY: By the type invariant the writes are there and initialised, and this is what
        // entering gave.
        unsafe { bindings::sp_srcu_up_read(self.writes.as_ref().srcu.as_ptr(), self.ctr.as_ptr()) }
    }
}

impl Writes {
    /// No writes. Sleeps; fails with `ENOMEM`.
    pub(super) fn new() -> Result<Self> {
        let watches = KBox::pin_init(
            new_spinlock!([const { None }; WATCHES], "stable_pages_watches"),
            GFP_KERNEL,
        )?;
        let free = KBox::pin_init(new_condvar!("stable_pages_watches"), GFP_KERNEL)?;
        // SAFETY: Can be called where it may sleep.
        let srcu = NonNull::new(unsafe { bindings::sp_srcu_alloc() }).ok_or(ENOMEM)?;
        // INVARIANT: Made right here.
        Ok(Self {
            srcu,
            watching: Atomic::new(0),
            watches,
            free,
        })
    }

    /// Says that a write to `sectors` (of the device below) is about to be sent down.
    /// Does not sleep; process context.
    ///
    /// # Safety
    ///
    /// `self` must outlive the result.
    pub(super) unsafe fn enter(&self, sectors: Range<Sector>) -> InFlight {
        // INVARIANT: Entered right here; the caller vouches for the rest.
        let in_flight = InFlight {
            // SAFETY: By the type invariant it is initialised. What is returned is the address of a
            // per-CPU counter.
            ctr: unsafe { NonNull::new_unchecked(bindings::sp_srcu_down_read(self.srcu.as_ptr())) },
            writes: NonNull::from(self),
        };
        // A watch that began before the write entered is seen here; one that did not waits for it.
        if self.watching.load(Relaxed) != 0 {
            self.disturb(&sectors);
        }
        in_flight
    }

    #[cold]
    fn disturb(&self, sectors: &Range<Sector>) {
        for watched in self.watches.lock().iter_mut().flatten() {
            let hit = intersection(&watched.sectors, sectors);
            if !hit.is_empty() {
                watched.disturbed = hull(&watched.disturbed, &hit);
            }
        }
    }

    /// Waits until each write that is in flight now has settled, and watches for those to `sectors`
    /// (of the device below) that come from now on. Sleeps.
    pub(super) fn watch(&self, sectors: Range<Sector>) -> Watch<'_> {
        let slot = self.take_slot(Watched {
            sectors,
            disturbed: Sector::default()..Sector::default(),
        });
        // INVARIANT: The slot was taken right here.
        let watch = Watch { writes: self, slot };
        // SAFETY: By the type invariant it is initialised; nothing here is in a section of it.
        unsafe { bindings::synchronize_srcu(self.srcu.as_ptr()) };
        watch
    }

    fn take_slot(&self, watched: Watched) -> usize {
        let mut watches = self.watches.lock();
        loop {
            let mut slots = watches.iter_mut().enumerate();
            if let Some((slot, free)) = slots.find(|(_, watched)| watched.is_none()) {
                *free = Some(watched);
                self.watching
                    .store(self.watching.load(Relaxed) + 1, Relaxed);
                return slot;
            }
            self.free.wait(&mut watches);
        }
    }
}

impl Drop for Writes {
    fn drop(&mut self) {
        // SAFETY: By the type invariant this is ours to free; no write is in flight any more, since
        // each is an I/O of the target that owns this.
        unsafe { bindings::sp_srcu_free(self.srcu.as_ptr()) }
    }
}

/// A read that watches for writes until this is dropped.
///
/// # Invariants
///
/// `slot` is one of `writes.watches`, taken, and this watch's alone.
pub(super) struct Watch<'a> {
    writes: &'a Writes,
    slot: usize,
}

impl Watch<'_> {
    /// Whether a write came to any of these `sectors` (of the device below) since the
    /// watch began. It may say so where one came to both sides of them. Does not sleep.
    pub(super) fn is_disturbed(&self, sectors: Range<Sector>) -> bool {
        let watches = self.writes.watches.lock();
        // By the type invariant there is one.
        let watched = watches.get(self.slot).and_then(Option::as_ref);
        watched.is_none_or(|watched| !intersection(&watched.disturbed, &sectors).is_empty())
    }
}

impl Drop for Watch<'_> {
    fn drop(&mut self) {
        let writes = self.writes;
        let mut watches = writes.watches.lock();
        if let Some(slot) = watches.get_mut(self.slot) {
            *slot = None;
            writes
                .watching
                .store(writes.watching.load(Relaxed).saturating_sub(1), Relaxed);
        }
        drop(watches);
        writes.free.notify_one();
    }
}
