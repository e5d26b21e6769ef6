// SPDX-License-Identifier: GPL-2.0

//! System calls, and what they answer.

use std::io;

use crate::errno;

/// Descriptors at a time.
pub const FDS: usize = 8;

/// The names that there are, few enough that they meet.
pub const PATHS: [&str; 16] = [
    "a", "b", "c", "d", "e", "x", "y", "x/a", "x/b", "x/c", "y/a", "y/b", "x/y", "x/y/a", "x/y/b",
    "a/b",
];

/// A system call. What is a path is an index of [`PATHS`], what is a descriptor one of [`FDS`].
/// Reads and writes of a file with `ring` are done by io_uring.
#[derive(Clone, Debug)]
#[allow(missing_docs)]
pub enum Call {
    Open {
        fd: usize,
        path: usize,
        flags: i32,
        mode: u32,
    },
    Close {
        fd: usize,
    },
    Read {
        fd: usize,
        offset: i64,
        len: i64,
        count: usize,
        flags: i32,
        ring: bool,
    },
    Write {
        fd: usize,
        offset: i64,
        len: i64,
        fill: u64,
        count: usize,
        flags: i32,
        ring: bool,
    },
    ReadNext {
        fd: usize,
        len: i64,
    },
    WriteNext {
        fd: usize,
        len: i64,
        fill: u64,
    },
    Seek {
        fd: usize,
        offset: i64,
        whence: i32,
    },
    Truncate {
        fd: usize,
        size: i64,
    },
    Allocate {
        fd: usize,
        mode: i32,
        offset: i64,
        len: i64,
    },
    Sync {
        fd: usize,
        data: bool,
    },
    Copy {
        from: usize,
        fd: usize,
        source: i64,
        offset: i64,
        len: i64,
    },
    Send {
        from: usize,
        fd: usize,
        source: i64,
        len: i64,
    },
    Store {
        fd: usize,
        offset: i64,
        len: i64,
        fill: u64,
        behind: bool,
        sync: bool,
    },
    Load {
        fd: usize,
        offset: i64,
        len: i64,
    },
    Forget {
        fd: usize,
    },
    Stat {
        fd: usize,
    },
    SetTimes {
        fd: usize,
        time: i64,
    },
    Mode {
        fd: usize,
        mode: u32,
    },
    MakeFolder {
        path: usize,
        mode: u32,
    },
    RemoveFolder {
        path: usize,
    },
    Unlink {
        path: usize,
    },
    Rename {
        path: usize,
        other: usize,
        flags: u32,
    },
    Link {
        path: usize,
        other: usize,
    },
    Symlink {
        path: usize,
        other: usize,
    },
    ReadLink {
        path: usize,
    },
    MakeFifo {
        path: usize,
        mode: u32,
    },
    StatPath {
        path: usize,
        follow: bool,
    },
    List {
        path: usize,
    },
    TruncatePath {
        path: usize,
        size: i64,
    },
    ModePath {
        path: usize,
        mode: u32,
    },
    Owner {
        path: usize,
        owner: u32,
        group: u32,
    },
    SetTimesPath {
        path: usize,
        time: i64,
    },
    SetAttribute {
        path: usize,
        name: usize,
        len: usize,
        fill: u64,
        flags: i32,
    },
    GetAttribute {
        path: usize,
        name: usize,
    },
    ListAttributes {
        path: usize,
    },
    RemoveAttribute {
        path: usize,
        name: usize,
    },
    Access {
        path: usize,
        mode: i32,
    },
}

/// What a call has answered.
#[derive(Debug, PartialEq)]
pub struct Answer {
    /// What it has returned, or the name of its error.
    pub result: Result<i64, String>,
    /// What it gave, if that is text.
    text: String,
    /// What it gave, if that is data, as a hash.
    data: Option<u64>,
}

impl Answer {
    pub(super) fn new(result: Result<i64, String>) -> Self {
        Self {
            result,
            text: String::new(),
            data: None,
        }
    }

    pub(super) fn with_text(mut self, text: impl FnOnce() -> String) -> Self {
        if self.result.is_ok() {
            self.text = text();
        }
        self
    }

    pub(super) fn with_data(mut self, data: impl FnOnce(usize) -> u64) -> Self {
        if let Ok(len) = self.result {
            self.data = Some(data(len as usize));
        }
        self
    }
}

/// What the last system call has returned.
pub(super) fn said(result: impl TryInto<i64>) -> Result<i64, String> {
    let result = result.try_into().unwrap_or(i64::MAX);
    if result < 0 {
        Err(errno::name_of(&io::Error::last_os_error()))
    } else {
        Ok(result)
    }
}

/// What io_uring has returned.
pub(super) fn completed(result: i32) -> Result<i64, String> {
    if result < 0 {
        Err(errno::name_of(&io::Error::from_raw_os_error(-result)))
    } else {
        Ok(result.into())
    }
}
