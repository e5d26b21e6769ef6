// SPDX-License-Identifier: GPL-2.0

//! What callers can get wrong.

use core::{
    error,
    fmt, //
};

/// A combination of parameters that no [`Format`](super::Format) has.
///
/// The conditions are those of `blk_validate_integrity_limits()`.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum FormatError {
    /// The interval is not 2⁹ to 2¹⁶ bytes.
    IntervalExp,
    /// The tuple does not fit into the metadata at its offset.
    PiOffset,
}

impl fmt::Display for FormatError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::IntervalExp => "interval_exp is not 9 to 16",
            Self::PiOffset => "pi_offset + pi_tuple_size exceeds metadata_size",
        })
    }
}

impl error::Error for FormatError {}

/// Why a [`Generator`](super::Generator) or a [`Verifier`](super::Verifier) cannot start.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum SetupError {
    /// The metadata buffer does not hold a whole number of intervals' metadata.
    MetadataLength,
    /// The application tag to generate is the escape 0xffff, which turns checking off.
    AppTag,
}

impl fmt::Display for SetupError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::MetadataLength => "metadata length is not a multiple of metadata_size",
            Self::AppTag => "application tag 0xffff means: do not check",
        })
    }
}

impl error::Error for SetupError {}

/// More data was pushed than there is metadata for; none of it was taken.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Overrun {
    /// How many bytes of data could still have been taken.
    pub room: u64,
}

impl fmt::Display for Overrun {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "metadata has room for {} more bytes of data", self.room)
    }
}

impl error::Error for Overrun {}

/// The data ended within an interval.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Incomplete {
    /// How many intervals were complete.
    pub intervals: u64,
    /// How many bytes the last one still lacks.
    pub missing: usize,
}

impl fmt::Display for Incomplete {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "data ends {} bytes short of the end of interval {}",
            self.missing, self.intervals
        )
    }
}

impl error::Error for Incomplete {}
