// SPDX-License-Identifier: GPL-2.0

//! How a command ends, for scripts that read the exit status.

use std::fmt;

/// The exit status. 0 is that all went well.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub enum Code {
    /// The command could not do its work.
    Failed = 1,
    /// The command line makes no sense.
    Usage = 2,
    /// The command did its work, and found what should not be there: bad ranges, a device at risk,
    /// or writes that failed.
    Found = 3,
    /// There is no such device, or it is none of stable-pi.
    Missing = 4,
    /// It is in use, holds data, or the user said no; nothing was changed.
    Refused = 5,
    /// It was ended by a signal before it was through; `--resume` goes on.
    Stopped = 6,
}

/// The exit codes as the help and the man pages list them.
pub const EXIT_STATUS: &str = "\
Exit status:
  0  all went well
  1  the command could not do its work
  2  the command line makes no sense
  3  done, and something was found: bad ranges, a device at risk, failed writes
  4  there is no such device, or it is none of stable-pi
  5  refused: in use, holds data, or the answer was no; nothing was changed
  6  ended by a signal before it was through; --resume goes on";

/// An error with its exit status and one line that says what to do.
#[derive(Debug)]
pub struct Failure {
    /// The exit status.
    pub code: Code,
    /// What happened, and what to do.
    pub text: String,
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

impl std::error::Error for Failure {}

/// A [`Failure`] as an error.
pub fn failure(code: Code, text: impl Into<String>) -> anyhow::Error {
    Failure {
        code,
        text: text.into(),
    }
    .into()
}

/// The exit status of an error.
pub fn code_of(error: &anyhow::Error) -> Code {
    error
        .downcast_ref::<Failure>()
        .map_or(Code::Failed, |failure| failure.code)
}
