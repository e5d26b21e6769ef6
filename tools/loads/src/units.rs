// SPDX-License-Identifier: GPL-2.0

//! Sizes as people type them, and how long a load may run.

use std::mem::MaybeUninit;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::{Duration, Instant};

/// The longest run, so that a mistyped number does not block a test machine.
pub const MAX_SECONDS: u64 = 3600;

/// Bytes from a decimal number with an optional suffix K, M or G (powers of
/// 1024).
pub fn parse_bytes(text: &str) -> Result<u64, String> {
    let (digits, shift) = match text.as_bytes().last() {
        Some(b'k' | b'K') => (&text[..text.len() - 1], 10),
        Some(b'm' | b'M') => (&text[..text.len() - 1], 20),
        Some(b'g' | b'G') => (&text[..text.len() - 1], 30),
        _ => (text, 0),
    };
    // u64's own parser takes a plus sign.
    if !digits.bytes().all(|b| b.is_ascii_digit()) {
        return Err("not a number of bytes, such as 4096, 4K, 1M or 2G".into());
    }
    let number: u64 = digits
        .parse()
        .map_err(|_| "not a number of bytes, such as 4096, 4K, 1M or 2G")?;
    // An offset is a signed 64-bit number to the kernel.
    match number.checked_mul(1 << shift) {
        Some(bytes) if bytes <= i64::MAX as u64 => Ok(bytes),
        _ => Err("too large".into()),
    }
}

/// Whether somebody has said that it is enough.
static ENDED: AtomicBool = AtomicBool::new(false);

/// Takes SIGTERM as the end of the time. A thread waits for it, so that no system
/// call of the others is interrupted; they are started later and have it blocked.
fn end_on_sigterm() {
    let mut set = MaybeUninit::uninit();
    // SAFETY: The set is ours, and sigemptyset() writes all of it.
    let set = unsafe {
        libc::sigemptyset(set.as_mut_ptr());
        libc::sigaddset(set.as_mut_ptr(), libc::SIGTERM);
        set.assume_init()
    };
    // SAFETY: The set is initialised, and nobody asks for the old one.
    unsafe { libc::pthread_sigmask(libc::SIG_BLOCK, &set, std::ptr::null_mut()) };
    thread::spawn(move || {
        let mut signal = 0;
        // SAFETY: Both are ours, and the set is initialised.
        unsafe { libc::sigwait(&set, &mut signal) };
        ENDED.store(true, Ordering::Relaxed);
    });
}

/// The time a load began and the time it has to end, by the monotonic clock.
#[derive(Clone, Copy)]
pub struct Clock {
    begin: Instant,
    end: Instant,
}

impl Clock {
    /// Starts now and ends in so many seconds, or with SIGTERM; with 0 it only tells
    /// the time. For the only thread that there is, since the others inherit what it
    /// does with signals.
    pub fn start(seconds: u64) -> Self {
        if seconds > 0 {
            end_on_sigterm();
        }
        let begin = Instant::now();
        Self {
            begin,
            end: begin + Duration::from_secs(seconds),
        }
    }

    /// Whether the time is over.
    pub fn over(&self) -> bool {
        Instant::now() >= self.end || ENDED.load(Ordering::Relaxed)
    }

    /// Seconds since the start, to the millisecond.
    pub fn seconds(&self) -> f64 {
        (self.begin.elapsed().as_secs_f64() * 1000.0).round() / 1000.0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn suffixes_are_powers_of_1024() {
        assert_eq!(parse_bytes("0"), Ok(0));
        assert_eq!(parse_bytes("4096"), Ok(4096));
        assert_eq!(parse_bytes("4k"), Ok(4096));
        assert_eq!(parse_bytes("3M"), Ok(3 << 20));
        assert_eq!(parse_bytes("2G"), Ok(2 << 30));
    }

    #[test]
    fn everything_else_is_refused() {
        for text in ["", "K", "-1", "+1", "1.5M", "4KB", "1 M", "0x10", "é"] {
            assert!(parse_bytes(text).is_err(), "{text:?}");
        }
    }

    #[test]
    fn an_offset_fits_a_signed_number() {
        assert!(parse_bytes("9223372036854775807").is_ok());
        assert!(parse_bytes("9223372036854775808").is_err());
        assert!(parse_bytes("18446744073709551615G").is_err());
    }
}
