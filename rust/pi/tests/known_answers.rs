// SPDX-License-Identifier: GPL-2.0

//! Answers that the standards print.

mod support;

use pi::{
    Checksum,
    Data,
    Format,
    Tags, //
};

/// What catalogues of checksums use as input.
const CHECK: &[u8] = b"123456789";

fn crc16(bytes: &[u8]) -> u16 {
    bytes.crc16_t10_dif(0, 0..bytes.len())
}

fn crc64(bytes: &[u8]) -> u64 {
    bytes.crc64_nvme(0, 0..bytes.len())
}

#[test]
fn crc16_check_value() {
    assert_eq!(crc16(CHECK), 0xd0db);
}

/// SBC, "CRC test cases".
#[test]
fn crc16_of_sbc() {
    let up: Vec<u8> = (0x00..=0x1f).collect();
    let down: Vec<u8> = (0xe0..=0xff).rev().collect();
    let mut two_ones = [0; 32];
    two_ones[..2].fill(0xff);

    assert_eq!(crc16(&[0x00; 32]), 0x0000);
    assert_eq!(crc16(&[0xff; 32]), 0xa293);
    assert_eq!(crc16(&up), 0x0224);
    assert_eq!(crc16(&two_ones), 0x21b8);
    assert_eq!(crc16(&down), 0xa0b7);
}

#[test]
fn crc64_check_value() {
    assert_eq!(crc64(CHECK), 0xae8b_1486_0a79_9888);
}

/// NVM Command Set Specification, "64b CRC Test Cases for 4 KiB Logical Block with no Metadata".
#[test]
fn crc64_of_nvme() {
    let up: Vec<u8> = (0..4096).map(|i| i as u8).collect();
    let down: Vec<u8> = (0..4096).map(|i| 0xff - i as u8).collect();

    assert_eq!(crc64(&[0x00; 4096]), 0x6482_d367_eb22_b64e);
    assert_eq!(crc64(&[0xff; 4096]), 0xc0dd_ba73_02ec_a3ac);
    assert_eq!(crc64(&up), 0x3e72_9f5f_6750_449c);
    assert_eq!(crc64(&down), 0x9a2d_f64b_8e9e_517e);
}

/// RFC 1071, section 3, "Numerical Examples".
#[test]
fn sum_of_rfc_1071() {
    let bytes = [0x00, 0x01, 0xf2, 0x03, 0xf4, 0xf5, 0xf6, 0xf7];

    assert_eq!(bytes[..].ip_sum(0..8).to_ne_bytes(), [0xdd, 0xf2]);
}

#[test]
fn sum_pads_an_odd_byte_and_never_inverts() {
    assert_eq!([0u8; 9][..].ip_sum(0..9), 0);
    assert_eq!([0x12u8][..].ip_sum(0..1).to_ne_bytes(), [0x12, 0x00]);
    assert_eq!([0xffu8; 4][..].ip_sum(0..4), 0xffff);
}

#[test]
fn tuples_byte_for_byte() {
    let data = [0xff; 512];
    let tags = Tags {
        app: 0x0123,
        reference: 0x1234_5678_9abc_def0,
    };
    let generate = |checksum, metadata_size| {
        let format = Format::new(checksum, true, 9, metadata_size, 0).unwrap();
        support::generate(&format, tags, &data)
    };

    // The sum of all ones is all ones, and inverted nothing.
    let ip = generate(Checksum::Ip, 8);
    assert_eq!(ip, [0x00, 0x00, 0x01, 0x23, 0x9a, 0xbc, 0xde, 0xf0]);

    let crc16 = generate(Checksum::Crc16T10Dif, 8);
    assert_eq!(crc16[..2], support::CRC16.checksum(&data).to_be_bytes());
    assert_eq!(crc16[2..], [0x01, 0x23, 0x9a, 0xbc, 0xde, 0xf0]);

    let crc64 = generate(Checksum::Crc64Nvme, 16);
    assert_eq!(crc64[..8], support::CRC64.checksum(&data).to_be_bytes());
    assert_eq!(crc64[8..], [0x01, 0x23, 0x56, 0x78, 0x9a, 0xbc, 0xde, 0xf0]);
}

/// A sum of zero, inverted, is all ones; only data that is all zeroes has it.
#[test]
fn ip_guard_of_zeroes() {
    let format = Format::new(Checksum::Ip, false, 12, 8, 0).unwrap();
    let metadata = support::generate(&format, Tags::default(), &[0; 4096]);

    assert_eq!(metadata, [0xff, 0xff, 0, 0, 0, 0, 0, 0]);
}

/// NVM Command Set Specification, the same test cases, as the tuple of a 4 KiB block.
#[test]
fn crc64_guard_in_a_tuple() {
    let format = Format::new(Checksum::Crc64Nvme, true, 12, 16, 0).unwrap();
    let metadata = support::generate(&format, Tags::default(), &[0; 4096]);

    let guard = [0x64, 0x82, 0xd3, 0x67, 0xeb, 0x22, 0xb6, 0x4e];
    assert_eq!(metadata[..8], guard);
}
