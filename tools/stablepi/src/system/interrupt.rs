// SPDX-License-Identifier: GPL-2.0

//! SIGINT and SIGTERM ask a command to end in good order.

use std::sync::atomic::{AtomicBool, Ordering};

static ASKED: AtomicBool = AtomicBool::new(false);

extern "C" fn asked(_signal: libc::c_int) {
    ASKED.store(true, Ordering::Relaxed);
}

/// From now on these signals are noted and do not end the process.
pub fn note() {
    let handler = asked as extern "C" fn(libc::c_int) as libc::sighandler_t;
    // SAFETY: all zeroes are a `sigaction` with an empty mask and no flags, so that system calls
    // are interrupted; the handler only stores to an atomic.
    unsafe {
        let mut action: libc::sigaction = std::mem::zeroed();
        action.sa_sigaction = handler;
        for signal in [libc::SIGINT, libc::SIGTERM, libc::SIGHUP] {
            libc::sigaction(signal, &action, std::ptr::null_mut());
        }
    }
}

/// Whether one has come.
pub fn is_asked() -> bool {
    ASKED.load(Ordering::Relaxed)
}

/// Sleeps, but not longer than until one has come.
pub fn sleep(seconds: f64) {
    let end = std::time::Instant::now() + std::time::Duration::from_secs_f64(seconds);
    while !is_asked() {
        let left = end.saturating_duration_since(std::time::Instant::now());
        if left.is_zero() {
            break;
        }
        std::thread::sleep(left.min(std::time::Duration::from_millis(100)));
    }
}
