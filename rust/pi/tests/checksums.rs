// SPDX-License-Identifier: GPL-2.0

//! The checksums of slices, compared with other implementations.

mod support;

use pi::Data;
use proptest::prelude::*;

fn bytes() -> impl Strategy<Value = Vec<u8>> {
    prop::collection::vec(any::<u8>(), 0..300)
}

proptest! {
    #[test]
    fn crc16_is_that_of_the_oracle(bytes in bytes(), cut: prop::sample::Index) {
        let (len, cut) = (bytes.len(), cut.index(bytes.len() + 1));
        let first = bytes[..].crc16_t10_dif(0, 0..cut);

        prop_assert_eq!(first, support::CRC16.checksum(&bytes[..cut]));
        prop_assert_eq!(
            bytes[..].crc16_t10_dif(first, cut..len),
            support::CRC16.checksum(&bytes)
        );
    }

    #[test]
    fn crc64_is_that_of_the_oracle(bytes in bytes(), cut: prop::sample::Index) {
        let (len, cut) = (bytes.len(), cut.index(bytes.len() + 1));
        let first = bytes[..].crc64_nvme(0, 0..cut);

        prop_assert_eq!(first, support::CRC64.checksum(&bytes[..cut]));
        prop_assert_eq!(
            bytes[..].crc64_nvme(first, cut..len),
            support::CRC64.checksum(&bytes)
        );
    }

    #[test]
    fn sum_is_that_of_the_oracle(bytes in bytes(), start: prop::sample::Index) {
        let (len, start) = (bytes.len(), start.index(bytes.len() + 1));
        let sum = bytes[..].ip_sum(start..len);

        prop_assert_eq!(
            (!sum).to_ne_bytes(),
            support::internet_checksum(&bytes[start..])
        );
    }
}

/// Carries out of 64 bits must come back in.
#[test]
fn sum_of_many_ones() {
    for len in 0..70 {
        let bytes = vec![0xff; len];
        let sum = bytes[..].ip_sum(0..len);
        assert_eq!((!sum).to_ne_bytes(), support::internet_checksum(&bytes));
    }
}

#[test]
fn what_is_outside_of_a_slice_is_empty() {
    let bytes = &[1u8, 2, 3][..];

    assert_eq!(bytes.crc16_t10_dif(0x1234, 2..4), 0x1234);
    assert_eq!(bytes.crc64_nvme(0x1234, 4..9), 0x1234);
    assert_eq!(bytes.ip_sum(2..4), 0);
    assert!(!bytes.is_empty());
}
