// SPDX-License-Identifier: GPL-2.0

//! Counters that every CPU has for itself.

use crate::bindings;
use kernel::prelude::*;

/// `N` counters for each CPU.
///
/// # Invariants
///
/// `0` is a per-CPU allocation of `N` counters.
pub struct Counters<const N: usize>(*mut bindings::u64_);

// SAFETY: A CPU changes its own counters only, in one step.
unsafe impl<const N: usize> Send for Counters<N> {}
// SAFETY: As above.
unsafe impl<const N: usize> Sync for Counters<N> {}

impl<const N: usize> Counters<N> {
    /// Counters that are all 0. Sleeps; fails with `ENOMEM`.
    pub fn new() -> Result<Self> {
        // SAFETY: Can be called for any number, in a context that may sleep.
        let counters = unsafe { bindings::sp_counters_alloc(N as u32) };
        if counters.is_null() {
            return Err(ENOMEM);
        }
        // INVARIANT: Allocated right here.
        Ok(Self(counters))
    }

    /// Adds `n` to counter `i` on this CPU, in any context. Does nothing where there is no such
    /// counter.
    pub fn add(&self, i: usize, n: u64) {
        if i < N {
            // SAFETY: By the type invariant there are `N` counters.
            unsafe { bindings::sp_counters_add(self.0, i as u32, n) }
        }
    }

    /// The sum of counter `i` over all CPUs; 0 where there is no such counter.
    pub fn sum(&self, i: usize) -> u64 {
        if i >= N {
            return 0;
        }
        // SAFETY: By the type invariant there are `N` counters.
        unsafe { bindings::sp_counters_sum(self.0, i as u32) }
    }

    /// Sets all of them to 0, in any context.
    pub fn reset(&self) {
        // SAFETY: By the type invariant there are `N` counters.
        unsafe { bindings::sp_counters_reset(self.0, N as u32) }
    }
}

impl<const N: usize> Drop for Counters<N> {
    fn drop(&mut self) {
        // SAFETY: By the type invariant this was allocated, and there is no reference to it.
        unsafe { bindings::sp_counters_free(self.0) }
    }
}
