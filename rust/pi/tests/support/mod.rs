// SPDX-License-Identifier: GPL-2.0

//! An independent oracle, and inputs for the tests that compare with it.

#![allow(dead_code)] // Each test crate uses a part.

use crc::{
    Crc,
    CRC_16_T10_DIF,
    CRC_64_NVME, //
};
use pi::{
    Checksum,
    Format,
    Tags, //
};
use proptest::prelude::*;

pub const CRC16: Crc<u16> = Crc::<u16>::new(&CRC_16_T10_DIF);
pub const CRC64: Crc<u64> = Crc::<u64>::new(&CRC_64_NVME);

pub const CHECKSUMS: [Checksum; 3] = [Checksum::Crc16T10Dif, Checksum::Ip, Checksum::Crc64Nvme];

/// The internet checksum as RFC 1071 describes it: big-endian words, summed, carries added,
/// inverted, in network byte order.
pub fn internet_checksum(bytes: &[u8]) -> [u8; 2] {
    let mut sum: u128 = 0;
    for pair in bytes.chunks(2) {
        let low = pair.get(1).copied().unwrap_or(0);
        sum += u128::from(pair[0]) * 256 + u128::from(low);
    }
    while sum > 0xffff {
        sum = (sum & 0xffff) + (sum >> 16);
    }
    (!(sum as u16)).to_be_bytes()
}

/// The bytes of one tuple, written out.
pub fn tuple(checksum: Checksum, covered: &[u8], app: u16, reference: u64) -> Vec<u8> {
    let reference = reference.to_be_bytes();
    let app = app.to_be_bytes();
    match checksum {
        Checksum::Crc16T10Dif => {
            let guard = CRC16.checksum(covered).to_be_bytes();
            [&guard[..], &app, &reference[4..]].concat()
        }
        Checksum::Ip => [&internet_checksum(covered)[..], &app, &reference[4..]].concat(),
        Checksum::Crc64Nvme => {
            let guard = CRC64.checksum(covered).to_be_bytes();
            [&guard[..], &app, &reference[2..]].concat()
        }
    }
}

/// All the metadata of `data`, with zeroes around the tuples.
pub fn metadata(format: &Format, tags: Tags, data: &[u8]) -> Vec<u8> {
    let mut metadata = Vec::new();
    for (index, interval) in data.chunks(format.interval()).enumerate() {
        let front = vec![0; format.pi_offset()];
        let covered = [interval, &front].concat();
        let reference = tags.reference.wrapping_add(index as u64);
        let tuple = tuple(format.checksum(), &covered, tags.app, reference);
        let back = vec![0; format.metadata_size() - front.len() - tuple.len()];
        metadata.extend([front, tuple, back].concat());
    }
    metadata
}

/// Metadata as a `Generator` makes it, of data that is pushed whole.
pub fn generate(format: &Format, tags: Tags, data: &[u8]) -> Vec<u8> {
    let intervals = format.intervals(data.len() as u64).unwrap();
    let mut metadata = vec![0xa5; format.metadata_bytes(intervals) as usize];
    let mut generator = pi::Generator::new(format, tags, &mut metadata).unwrap();
    generator.push(data).unwrap();
    assert_eq!(generator.finish(), Ok(intervals));
    metadata
}

/// Every format that the tests are about: intervals of 512 to 4096 bytes, metadata of 8 to 64
/// bytes, the tuple anywhere in it.
pub fn formats() -> impl Strategy<Value = Format> {
    let checksum = prop::sample::select(&CHECKSUMS[..]);
    (checksum, any::<bool>(), 9u8..=12).prop_flat_map(|(checksum, ref_tag, interval_exp)| {
        let tuple_size = match checksum {
            Checksum::Crc64Nvme => 16u8,
            _ => 8,
        };
        (tuple_size..=64).prop_flat_map(move |metadata_size| {
            let last = metadata_size - tuple_size;
            prop_oneof![Just(0), Just(last), 0..=last].prop_map(move |pi_offset| {
                Format::new(checksum, ref_tag, interval_exp, metadata_size, pi_offset).unwrap()
            })
        })
    })
}

/// Tags, with reference tags that wrap within a few intervals more often than chance has it.
pub fn tags() -> impl Strategy<Value = Tags> {
    let reference = prop_oneof![
        any::<u64>(),
        0xffff_fffe..=0x1_0000_0000u64,
        0xffff_ffff_fffe..=0x1_0000_0000_0000u64,
        u64::MAX - 2..=u64::MAX,
    ];
    (0..0xffffu16, reference).prop_map(|(app, reference)| Tags { app, reference })
}

/// `bytes` of data: random, constant, or of few ones, where sums and CRCs have their corners.
pub fn data(bytes: usize) -> impl Strategy<Value = Vec<u8>> {
    prop_oneof![
        4 => prop::collection::vec(any::<u8>(), bytes),
        1 => prop::sample::select(vec![0x00, 0x01, 0xff]).prop_map(move |byte| vec![byte; bytes]),
    ]
}

/// A format with one to four intervals of data for it.
pub fn formatted_data() -> impl Strategy<Value = (Format, Vec<u8>)> {
    (formats(), 1usize..=4)
        .prop_flat_map(|(format, intervals)| (Just(format), data(intervals * format.interval())))
}

/// Places to cut data at; `split` makes the segments.
pub fn cuts() -> impl Strategy<Value = Vec<prop::sample::Index>> {
    prop::collection::vec(any::<prop::sample::Index>(), 0..12)
}

/// Cuts `data` into segments; places that coincide make empty ones.
pub fn split<'a>(data: &'a [u8], cuts: &[prop::sample::Index]) -> Vec<&'a [u8]> {
    let mut ends: Vec<usize> = cuts.iter().map(|cut| cut.index(data.len() + 1)).collect();
    ends.push(data.len());
    ends.sort_unstable();
    let mut start = 0;
    ends.into_iter()
        .map(|end| &data[core::mem::replace(&mut start, end)..end])
        .collect()
}
