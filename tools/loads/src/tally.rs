// SPDX-License-Identifier: GPL-2.0

//! What became of the calls of a load.

use std::collections::BTreeMap;

use serde::Serialize;

use crate::errno;

/// Calls that returned, and those of them that returned an error.
#[derive(Default, Serialize)]
pub struct Tally {
    /// Calls that returned, with or without an error.
    pub writes: u64,
    /// Calls that returned an error.
    pub failed: u64,
    /// Errors by name.
    pub errors: BTreeMap<String, u64>,
    /// Bytes that the calls without an error stand for.
    pub bytes: u64,
}

impl Tally {
    /// Counts one call: the bytes it stands for, or its error number.
    pub fn count(&mut self, result: Result<u64, i32>) {
        self.writes += 1;
        match result {
            Ok(bytes) => self.bytes += bytes,
            Err(errno) => {
                self.failed += 1;
                *self.errors.entry(errno::name(errno)).or_default() += 1;
            }
        }
    }

    /// Counts the result of a system call that stands for so many bytes.
    pub fn count_call<T>(&mut self, result: &std::io::Result<T>, bytes: u64) {
        self.count(match result {
            Ok(_) => Ok(bytes),
            Err(e) => Err(e.raw_os_error().unwrap_or(libc::EIO)),
        });
    }

    /// Adds what another thread has counted.
    pub fn add(&mut self, other: Self) {
        self.writes += other.writes;
        self.failed += other.failed;
        self.bytes += other.bytes;
        for (name, count) in other.errors {
            *self.errors.entry(name).or_default() += count;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn failures_are_among_the_writes() {
        let mut tally = Tally::default();
        tally.count(Ok(4096));
        tally.count(Err(libc::EILSEQ));
        let mut other = Tally::default();
        other.count(Err(libc::EILSEQ));
        other.count(Err(libc::EIO));
        tally.add(other);
        assert_eq!(
            serde_json::to_string(&tally).unwrap(),
            r#"{"writes":4,"failed":3,"errors":{"EILSEQ":2,"EIO":1},"bytes":4096}"#
        );
    }
}
