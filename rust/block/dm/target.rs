// SPDX-License-Identifier: GPL-2.0

//! What a target is.

use super::{
    Completing,
    Ended,
    Io,
    Looked,
    Looking,
    Mapped,
    Mapping,
    Setup,
    TableError,
    Working, //
};
use crate::block::{Device, QueueLimits, Status};
use kernel::{fmt, prelude::*};

/// A device-mapper target that maps one device.
pub trait Target: Sized + Send + Sync + 'static {
    /// The name in a table, of at most 15 bytes.
    const NAME: &'static CStr;

    /// Major, minor and patch level of the target's interface.
    const VERSION: [u32; 3];

    /// What an I/O carries from phase to phase; each starts with the default, and is set back to it
    /// in the end. So the default must not own anything.
    type State: Default + Send;

    /// Makes a target from the arguments of a table line. Process context; may sleep.
    fn new(setup: &mut Setup<'_>, args: &[&str]) -> Result<Self, TableError>;

    /// Maps an I/O. Process context; may sleep.
    fn map(&self, io: Io<'_, Self, Mapping>) -> Mapped;

    /// Looks at an I/O that ended with `status`. Any context; must not sleep.
    fn end_io(&self, io: Io<'_, Self, Completing>, status: Status) -> Ended;

    /// Looks at an I/O that `end_io` deferred: in process context, where it must not wait for the
    /// device, for another I/O or for memory, since the I/O behind it would wait as well; or in any
    /// context, must not sleep, where `end_io` said [`look_here`](Io::look_here).
    fn look(&self, io: Io<'_, Self, Looking>) -> Looked;

    /// Does what `look` handed on, and says how the I/O ended. Process context; may sleep, on
    /// other I/O to the device below, too; a read also [for writes](Io::watch_writes).
    fn work(&self, io: &mut Io<'_, Self, Working>) -> Status;

    /// The device below and the sector (of 512 bytes) of it at which the target begins.
    fn device(&self) -> (&Device, u64);

    /// Writes what `dmsetup status` shows. Process context.
    fn status(&self, out: &mut dyn fmt::Write) -> fmt::Result;

    /// Writes what `dmsetup table` shows: the arguments, as [`new`](Self::new) takes them.
    fn table(&self, out: &mut dyn fmt::Write) -> fmt::Result;

    /// Takes a message to a live device: the words of `dmsetup message`. Process context; may
    /// sleep.
    fn message(&self, words: &[&str]) -> Result;

    /// Changes the limits of the device that the target is part of.
    ///
    /// Atomic writes, and writes to zones, are limited by
    /// [`QueueLimits::cap_whole`] of [`longest_whole`](super::longest_whole).
    fn io_hints(&self, limits: &mut QueueLimits);
}
