// SPDX-License-Identifier: GPL-2.0

//! The ones'-complement sum of the internet checksum (RFC 1071).
//!
//! Words wider than 16 bits sum to the same after folding, since 2¹⁶ is 1 modulo 0xffff; and a sum
//! folds to zero only if all that was added is zero. So neither the width nor the order of the
//! additions shows in the result.

/// Sums `bytes` as native-endian 16-bit words, an odd last byte padded with zero, folded.
pub(super) fn sum(mut bytes: &[u8]) -> u16 {
    let mut sum = 0;
    while let Some((&word, rest)) = bytes.split_first_chunk() {
        sum = add_wide(sum, u64::from_ne_bytes(word));
        bytes = rest;
    }
    let mut last = [0; 8];
    for (place, &byte) in last.iter_mut().zip(bytes) {
        *place = byte;
    }
    fold(add_wide(sum, u64::from_ne_bytes(last)))
}

/// Adds two folded sums.
pub(super) fn add(a: u16, b: u16) -> u16 {
    let (sum, carry) = a.overflowing_add(b);
    sum.wrapping_add(carry.into())
}

fn add_wide(a: u64, b: u64) -> u64 {
    let (sum, carry) = a.overflowing_add(b);
    sum.wrapping_add(carry.into())
}

fn fold(sum: u64) -> u16 {
    add(fold_half((sum >> 32) as u32), fold_half(sum as u32))
}

fn fold_half(sum: u32) -> u16 {
    add((sum >> 16) as u16, sum as u16)
}
