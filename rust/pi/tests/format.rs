// SPDX-License-Identifier: GPL-2.0

//! Which formats there are, and their arithmetic.

mod support;

use pi::{
    Checksum,
    Format,
    FormatError,
    Tuple, //
};
use proptest::prelude::*;

proptest! {
    #[test]
    fn new_accepts_what_the_block_layer_accepts(
        checksum in prop::sample::select(&support::CHECKSUMS[..]),
        ref_tag: bool,
        interval_exp in 0u8..=20,
        metadata_size: u8,
        pi_offset: u8,
    ) {
        let tuple_size = if checksum == Checksum::Crc64Nvme { 16 } else { 8 };
        let fits = u32::from(pi_offset) + tuple_size <= u32::from(metadata_size);
        let format = Format::new(checksum, ref_tag, interval_exp, metadata_size, pi_offset);

        match format {
            Ok(format) => {
                prop_assert!(fits && (9..=16).contains(&interval_exp));
                prop_assert_eq!(format.checksum(), checksum);
                prop_assert_eq!(format.has_ref_tag(), ref_tag);
                prop_assert_eq!(format.interval(), 2usize.pow(interval_exp.into()));
                prop_assert_eq!(format.interval_exp(), interval_exp);
                prop_assert_eq!(format.tuple_size(), tuple_size as usize);
                prop_assert_eq!(format.metadata_size(), usize::from(metadata_size));
                prop_assert_eq!(format.pi_offset(), usize::from(pi_offset));
            }
            Err(FormatError::IntervalExp) => prop_assert!(!(9..=16).contains(&interval_exp)),
            Err(FormatError::PiOffset) => prop_assert!(!fits),
        }
    }

    #[test]
    fn intervals_are_whole(format in support::formats(), bytes: u64) {
        let interval = format.interval() as u64;
        let whole = bytes - bytes % interval;

        prop_assert_eq!(format.intervals(whole), Some(whole / interval));
        prop_assert_eq!(
            format.intervals(bytes),
            (bytes == whole).then_some(whole / interval)
        );
    }

    #[test]
    fn a_tuple_is_read_as_written(
        format in support::formats(),
        guard: u64,
        app: u16,
        reference: u64,
    ) {
        let wide = format.tuple_size() == 16;
        let tuple = Tuple { guard, app, reference };
        let mut metadata = vec![0x5a; format.metadata_size()];
        let span = format.pi_offset()..format.pi_offset() + format.tuple_size();

        prop_assert!(tuple.write(&format, &mut metadata));
        prop_assert_eq!(
            Tuple::read(&format, &metadata),
            Some(Tuple {
                guard: if wide { guard } else { guard & 0xffff },
                app,
                reference: reference & if wide { 0xffff_ffff_ffff } else { 0xffff_ffff },
            })
        );
        metadata.drain(span);
        prop_assert!(metadata.iter().all(|&byte| byte == 0x5a), "wrote around the tuple");
    }

    #[test]
    fn a_tuple_needs_room(format in support::formats()) {
        let mut short = vec![0x5a; format.pi_offset() + format.tuple_size() - 1];

        prop_assert_eq!(Tuple::read(&format, &short), None);
        prop_assert!(!Tuple::default().write(&format, &mut short));
        prop_assert!(short.iter().all(|&byte| byte == 0x5a));
    }
}

#[test]
fn metadata_bytes() {
    let format = Format::new(Checksum::Crc64Nvme, true, 12, 64, 48).unwrap();

    assert_eq!(format.metadata_bytes(0), 0);
    assert_eq!(format.metadata_bytes(1024), 65536);
    assert_eq!(format.metadata_bytes(u64::MAX), u64::MAX);
}

#[test]
fn reference_tags_have_32_or_48_bits() {
    let narrow = Format::new(Checksum::Ip, true, 9, 8, 0).unwrap();
    let wide = Format::new(Checksum::Crc64Nvme, true, 9, 16, 0).unwrap();

    assert_eq!((narrow.ref_tag_bits(), wide.ref_tag_bits()), (32, 48));
    assert_eq!(narrow.ref_tag(u64::MAX), 0xffff_ffff);
    assert_eq!(wide.ref_tag(u64::MAX), 0xffff_ffff_ffff);
}

/// The names in `blk_integrity_profile_name()`.
#[test]
fn profile_names() {
    let name = |checksum, ref_tag| {
        Format::new(checksum, ref_tag, 9, 16, 0)
            .unwrap()
            .profile_name()
    };

    assert_eq!(name(Checksum::Crc16T10Dif, true), "T10-DIF-TYPE1-CRC");
    assert_eq!(name(Checksum::Crc16T10Dif, false), "T10-DIF-TYPE3-CRC");
    assert_eq!(name(Checksum::Ip, true), "T10-DIF-TYPE1-IP");
    assert_eq!(name(Checksum::Ip, false), "T10-DIF-TYPE3-IP");
    assert_eq!(name(Checksum::Crc64Nvme, true), "EXT-DIF-TYPE1-CRC64");
    assert_eq!(name(Checksum::Crc64Nvme, false), "EXT-DIF-TYPE3-CRC64");
}
