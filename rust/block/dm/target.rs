// SPDX-License-Identifier: GPL-2.0

//! What a target is.

use super::{
    Completing,
    Ended,
    Io,
    Looked,
    Looking,
    Mapped,
    ReportZones,
    Setup,
    Submitting,
    TableError,
    Working, //
};
use crate::{
    bindings,
    block::{Device, QueueLimits, Sector, Status},
};
use kernel::{fmt, prelude::*};

/// What device mapper may take for granted of a target, the `DM_TARGET_` flags.
///
/// C header: [`include/linux/device-mapper.h`](srctree/include/linux/device-mapper.h)
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Features(u64);

impl Features {
    /// None of them.
    pub const NONE: Self = Self(0);
    /// Bios keep their integrity payload, and the mapped device shows the profile of the device
    /// below (`DM_TARGET_PASSES_INTEGRITY`).
    pub const PASSES_INTEGRITY: Self = Self(bindings::SP_DM_TARGET_PASSES_INTEGRITY);
    /// A bio that must not wait does not (`DM_TARGET_NOWAIT`).
    pub const NOWAIT: Self = Self(bindings::SP_DM_TARGET_NOWAIT);
    /// An atomic write stays one (`DM_TARGET_ATOMIC_WRITES`).
    pub const ATOMIC_WRITES: Self = Self(bindings::SP_DM_TARGET_ATOMIC_WRITES);
    /// The device below may be zoned, managed by the host (`DM_TARGET_ZONED_HM`); the target has
    /// [`report_zones`](Target::report_zones) then.
    pub const ZONED_HM: Self = Self(bindings::SP_DM_TARGET_ZONED_HM);

    pub(super) const fn as_raw(self) -> u64 {
        self.0
    }

    /// Both.
    pub const fn and(self, other: Self) -> Self {
        Self(self.0 | other.0)
    }
}

/// A device-mapper target that maps one device.
///
/// All of it may be called for many I/Os at once, on all CPUs. A table that is loaded is constructed
/// ([`new`](Self::new)); its target gets I/O from when the mapped device is resumed, and is dropped
/// when it has been replaced and its last I/O has ended.
///
/// Device mapper splits a bio at the borders of a target. It clones flushes, discards, secure erases
/// and "write zeroes" as often as [`Setup::set_num_bios`] says, which is never unless that is called:
/// device mapper refuses them then, but a flush, which ends well.
#[vtable]
pub trait Target: Sized + Send + Sync + 'static {
    /// The name in a table, of at most 15 bytes.
    const NAME: &'static CStr;

    /// Major, minor and patch level of the target's interface.
    const VERSION: [u32; 3];

    /// What device mapper may take for granted.
    const FEATURES: Features = Features::NONE;

    /// Whether ioctl(2) of what the block layer does not do itself goes on to the
    /// [`device`](Self::device): commands of SCSI (`SG_IO`) and NVMe, and with them persistent
    /// reservations. The target does not see them. Where it does not begin with the device, or is
    /// shorter, device mapper asks for `CAP_SYS_RAWIO`.
    const FORWARDS_IOCTLS: bool = false;

    /// What the workqueues are called in the lists of threads, behind [`NAME`](Self::NAME): that of
    /// [`look`](Self::look), of [`work`](Self::work) for writes, of `work` for everything else.
    const QUEUES: [&'static CStr; 3] = [c"look", c"write", c"read"];

    /// What an I/O carries from phase to phase. Each starts with the default, which is dropped
    /// before the end of the I/O is reported.
    type IoData: Default + Send;

    /// Makes a target from the arguments of a table line. Process context, with the lock of the
    /// mapped device's tables; may sleep, and allocate without `GFP_NOIO`.
    ///
    /// Device mapper logs the text of an error, and the ioctl fails with its number.
    fn new(setup: &mut Setup<'_>, args: &[&str]) -> Result<Self, TableError>;

    /// Maps an I/O: a read, a write, or another bio of one of the kinds above. The submitter's
    /// context, with no locks of device mapper's; may sleep, unless
    /// [`is_nowait`](crate::block::Bio::is_nowait) says otherwise, and must allocate with `GFP_NOIO`
    /// then, from reserves of its own: memory may become free only by this very I/O.
    fn map(&self, io: Io<'_, Self, Submitting>) -> Mapped;

    /// Looks at an I/O that ended with `status`. Any context, hard interrupts included; must not
    /// sleep. Called once for each that was mapped, unless [`end`](Io::end) has ended it.
    fn end_io(&self, io: Io<'_, Self, Completing>, status: Status) -> Ended {
        io.done(status)
    }

    /// Looks at an I/O that `end_io` deferred: in process context, where it must not wait for the
    /// device, for another I/O or for memory, since the I/O behind it would wait as well; or in any
    /// context, must not sleep, where `end_io` said [`look_here`](Io::look_here).
    fn look(&self, io: Io<'_, Self, Looking>) -> Looked {
        io.hand_on()
    }

    /// Does what `look` handed on, and says how the I/O ended. Process context; may sleep, on
    /// other I/O to the device below, too. Writes have a queue of their own, so that other I/O may
    /// wait for writes here, and writes for no other I/O.
    fn work(&self, _io: &mut Io<'_, Self, Working>) -> Status {
        Status::IOERR
    }

    /// The device below and the sector of it at which the target begins.
    fn device(&self) -> (&Device, Sector);

    /// Writes what `dmsetup status` shows. Process context.
    fn status(&self, _out: &mut dyn fmt::Write) -> fmt::Result {
        Ok(())
    }

    /// Writes what `dmsetup table` shows: the arguments, as [`new`](Self::new) takes them.
    fn table(&self, out: &mut dyn fmt::Write) -> fmt::Result;

    /// Writes what is measured of a table (IMA's event log, the label "device-mapper"): `,name=value`
    /// for each argument, also those that were left out. Device mapper writes the name and the version
    /// before them. Process context.
    fn measured(&self, _out: &mut dyn fmt::Write) -> fmt::Result {
        Ok(())
    }

    /// Takes a message to a live device: the words of `dmsetup message`. Process context; may
    /// sleep. I/O goes on meanwhile.
    fn message(&self, _words: &[&str]) -> Result {
        Err(EINVAL)
    }

    /// Reports the zones of the device below. Process context; may sleep.
    fn report_zones(&self, _zones: ReportZones<'_>) -> Result<u32> {
        Err(EIO)
    }

    /// Changes the limits of the device that the target is part of. Process context, once for each
    /// table.
    fn io_hints(&self, _limits: &mut QueueLimits) {}
}
