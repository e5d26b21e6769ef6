// SPDX-License-Identifier: GPL-2.0

//! How a bio ended.

use crate::bindings;

/// The outcome of a bio, `blk_status_t`.
///
/// C header: [`include/linux/blk_types.h`](srctree/include/linux/blk_types.h)
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Status(bindings::blk_status_t);

impl Status {
    /// The bio succeeded.
    pub const OK: Self = Self(bindings::SP_BLK_STS_OK);
    /// The bio failed, and nothing better is known.
    pub const IOERR: Self = Self(bindings::SP_BLK_STS_IOERR);
    /// Data and protection information do not match; `EILSEQ` in user space.
    pub const PROTECTION: Self = Self(bindings::SP_BLK_STS_PROTECTION);

    /// The bio asks for what is not supported; `EOPNOTSUPP` in user space.
    pub const NOTSUPP: Self = Self(bindings::SP_BLK_STS_NOTSUPP);
    /// The bio would have had to wait, which it forbids (`REQ_NOWAIT`); `EAGAIN` in user space.
    pub const AGAIN: Self = Self(bindings::SP_BLK_STS_AGAIN);

    /// Whether the bio succeeded.
    #[inline]
    pub fn is_ok(self) -> bool {
        self == Self::OK
    }

    /// The number of the status, a `blk_status_t`.
    #[inline]
    pub fn code(self) -> u8 {
        self.0
    }

    /// The status with this number.
    #[inline]
    pub fn from_code(code: u8) -> Self {
        Self(code)
    }

    pub(super) fn from_raw(raw: bindings::blk_status_t) -> Self {
        Self(raw)
    }

    pub(super) fn as_raw(self) -> bindings::blk_status_t {
        self.0
    }
}
