// SPDX-License-Identifier: GPL-2.0

//! The file below that an inode is written back through.
//!
//! It is open while a process may write to the inode, or something of it has not been written back:
//! no longer, since it keeps others from executing it below, or from mounting that read-only. A page
//! that gets dirty later, as one can that was pinned, has it opened once more.

use super::{
    rights::Rights,
    stack::Stacked,
    Dentry,
    File,
    Inode,
    Lower, //
};
use crate::bindings;
use core::pin::Pin;
use kernel::{
    alloc::flags,
    new_spinlock,
    prelude::*,
    sync::{aref::ARef, SpinLock}, //
};

/// What an inode keeps for it.
pub(super) struct Writer(Pin<KBox<SpinLock<Kept>>>);

#[derive(Default)]
struct Kept {
    file: Option<ARef<File>>,
    /// Open files that can be written to.
    users: usize,
    /// Where it was opened last, and with which rights.
    place: Option<(ARef<Dentry>, Rights)>,
}

impl Writer {
    pub(super) fn new() -> Result<Self> {
        let kept = KBox::pin_init(new_spinlock!(Kept::default()), flags::GFP_KERNEL)?;
        Ok(Self(kept))
    }

    /// Nothing is left to be written. Sleeps.
    pub(super) fn forget(&self) {
        let (file, place) = {
            let mut kept = self.0.lock();
            (kept.file.take(), kept.place.take())
        };
        drop(file);
        drop(place);
    }
}

/// The file below that is written through, for as long as this is there.
pub struct WriterFile(ARef<File>);

impl WriterFile {
    /// The file, with its rights.
    #[inline]
    pub fn lower(&self) -> Lower<'_> {
        Lower::new(&self.0)
    }
}

impl Stacked<Inode> {
    /// The file to write through, which is opened if it is not, as it was the last time. Sleeps;
    /// EBADF if the inode has never been open for writing.
    pub fn writer(&self) -> Result<WriterFile> {
        if let Some(file) = self.open_writer() {
            return Ok(file);
        }
        let place = self.kept().lock().place.clone().ok_or(EBADF)?;
        self.writer_at(place, false)
    }

    /// The same, if it is open.
    pub fn open_writer(&self) -> Option<WriterFile> {
        self.kept().lock().file.clone().map(WriterFile)
    }

    /// What is written through it leaves the times alone. It takes the place of one that is open
    /// only where `anew` says so.
    fn writer_at(
        &self,
        (dentry, rights): (ARef<Dentry>, Rights),
        anew: bool,
    ) -> Result<WriterFile> {
        let path = self.layer().lower().at(&dentry)?;
        let new = path.open(bindings::SP_O_RDWR, &rights)?;
        // SAFETY: No other thread has the file yet.
        unsafe { bindings::sp_file_no_times(new.as_raw()) };
        let (file, old) = {
            let mut kept = self.kept().lock();
            match kept.file.clone() {
                // Another thread has been faster.
                Some(file) if !anew => (file, None),
                _ => {
                    let file = kept.file.replace(new.clone());
                    (new, Some((file, kept.place.replace((dentry, rights)))))
                }
            }
        };
        if let Some((Some(file), _place)) = old {
            File::close(file);
        }
        Ok(WriterFile(file))
    }

    /// The caller may write to the inode from now on, which is at `place` below. Sleeps.
    pub(super) fn begin_writing(&self, place: &Dentry) -> Result {
        self.kept().lock().users += 1;
        self.open_for_caller(place)
            .inspect_err(|_| self.end_writing())
    }

    /// What a process with other limits has made dirty is written back before, with those.
    fn open_for_caller(&self, place: &Dentry) -> Result {
        let rights = self.layer().rights()?;
        if let Some(writer) = self.open_writer() {
            if writer.lower().has_limits_of(&rights) {
                return Ok(());
            }
            // What fails is kept for fsync(2).
            let _ = self.write_and_wait();
        }
        self.writer_at((place.into(), rights), true).map(drop)
    }

    /// Who began to does no longer. Sleeps.
    pub(super) fn end_writing(&self) {
        self.kept().lock().users -= 1;
        self.close_idle_writer();
    }

    /// Closes the file if no process can write to it, and all is written back. Sleeps; to be called
    /// after something has been written back, or dropped.
    pub(super) fn close_idle_writer(&self) {
        let idle = {
            let mut kept = self.kept().lock();
            // Of the two the one that comes last sees it: the last user, or the last writeback.
            let idle = kept.users == 0 && self.cache().is_written();
            idle.then(|| kept.file.take()).flatten()
        };
        if let Some(file) = idle {
            File::close(file);
        }
    }

    fn kept(&self) -> &SpinLock<Kept> {
        &self.node().writer.0
    }
}

impl File {
    /// Gives up the reference. If it is the last one the file is closed when this returns, by
    /// whatever thread. Sleeps.
    fn close(file: ARef<Self>) {
        // SAFETY: The reference is given away.
        unsafe { bindings::__fput_sync(ARef::into_raw(file).cast().as_ptr()) };
    }
}
