// SPDX-License-Identifier: GPL-2.0

//! Error numbers by the names that people look for.

use std::io;

macro_rules! names {
    ($($name:ident)*) => {
        /// The symbolic name of an error number, or `E` and the number.
        pub fn name(errno: i32) -> String {
            match errno {
                $(libc::$name => stringify!($name).to_string(),)*
                _ => format!("E{errno}"),
            }
        }
    };
}

names! {
    EPERM ENOENT EINTR EIO ENXIO E2BIG EBADF EAGAIN ENOMEM EACCES EFAULT EBUSY EEXIST EXDEV
    ENODEV EISDIR EINVAL EFBIG ENOSPC ESPIPE EROFS EMLINK EDEADLK ENOSYS ENODATA ETIME ENOLINK
    ECOMM EPROTO EBADMSG EOVERFLOW EBADE EILSEQ EOPNOTSUPP ETIMEDOUT ESTALE EUCLEAN EREMOTEIO
    EDQUOT ENOMEDIUM EMEDIUMTYPE ECANCELED ETOOMANYREFS
}

/// The name of the error that a system call returned.
pub fn name_of(error: &io::Error) -> String {
    error.raw_os_error().map_or("other".into(), name)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_guard_failure_becomes_has_its_name() {
        assert_eq!(name(84), "EILSEQ");
        assert_eq!(name_of(&io::Error::from_raw_os_error(5)), "EIO");
    }

    #[test]
    fn an_unlisted_number_stays_readable() {
        assert_eq!(name(4000), "E4000");
        assert_eq!(name_of(&io::Error::other("x")), "other");
    }
}
