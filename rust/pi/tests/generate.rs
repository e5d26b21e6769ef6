// SPDX-License-Identifier: GPL-2.0

//! The generator, compared with tuples that are written out.

mod support;

use std::{
    cell::Cell,
    ops::Range, //
};

use pi::{
    Checksum,
    Data,
    Format,
    Generator,
    Incomplete,
    Overrun,
    SetupError,
    Tags, //
};
use proptest::prelude::*;

proptest! {
    /// However the data is cut, and whatever was in the buffer, the metadata is the oracle's.
    #[test]
    fn metadata_is_that_of_the_oracle(
        (format, data) in support::formatted_data(),
        tags in support::tags(),
        cuts in support::cuts(),
        garbage: u8,
    ) {
        let expected = support::metadata(&format, tags, &data);
        let mut metadata = vec![garbage; expected.len()];

        let mut generator = Generator::new(&format, tags, &mut metadata).unwrap();
        for segment in support::split(&data, &cuts) {
            generator.push(segment).unwrap();
        }
        let intervals = (data.len() / format.interval()) as u64;
        prop_assert_eq!(generator.finish(), Ok(intervals));
        prop_assert_eq!(metadata, expected);
    }

    /// Data that changes under the generator is looked at once, in order, and never outside.
    #[test]
    fn every_byte_is_asked_for_once(
        (format, data) in support::formatted_data(),
        cuts in support::cuts(),
    ) {
        let intervals = data.len() / format.interval();
        let mut metadata = vec![0; intervals * format.metadata_size()];
        let mut generator = Generator::new(&format, Tags::default(), &mut metadata).unwrap();
        for segment in support::split(&data, &cuts) {
            let watched = Watched { segment, next: Cell::new(0) };
            generator.push(&watched).unwrap();
            prop_assert_eq!(watched.next.get(), segment.len());
        }
    }

    /// What does not fit is refused as a whole, and what fits is still taken afterwards.
    #[test]
    fn overrun_takes_nothing(
        (format, data) in support::formatted_data(),
        tags in support::tags(),
        start: prop::sample::Index,
        excess in 1usize..=5000,
    ) {
        let (taken, rest) = data.split_at(start.index(data.len() + 1));
        let too_much = [rest, &vec![0x5a; excess]].concat();
        let expected = support::metadata(&format, tags, &data);
        let mut metadata = vec![0; expected.len()];

        let mut generator = Generator::new(&format, tags, &mut metadata).unwrap();
        generator.push(taken).unwrap();
        let room = rest.len() as u64;
        prop_assert_eq!(generator.push(&too_much[..]), Err(Overrun { room }));
        generator.push(rest).unwrap();
        prop_assert!(generator.finish().is_ok());
        prop_assert_eq!(metadata, expected);
    }

    /// Ending in mid-interval is an error; the intervals before are written, the rest is not.
    #[test]
    fn data_must_end_with_an_interval(
        (format, data) in support::formatted_data(),
        tags in support::tags(),
        end: prop::sample::Index,
    ) {
        let end = end.index(data.len() + 1);
        let (intervals, filled) = (end / format.interval(), end % format.interval());
        let written = intervals * format.metadata_size();
        let oracle = support::metadata(&format, tags, &data);
        let mut metadata = vec![0xa5; oracle.len()];

        let mut generator = Generator::new(&format, tags, &mut metadata).unwrap();
        generator.push(&data[..end]).unwrap();
        let expected = match filled {
            0 => Ok(intervals as u64),
            _ => Err(Incomplete {
                intervals: intervals as u64,
                missing: format.interval() - filled,
            }),
        };
        prop_assert_eq!(generator.finish(), expected);
        prop_assert_eq!(&metadata[..written], &oracle[..written]);
        prop_assert!(metadata[written..].iter().all(|&byte| byte == 0xa5));
    }

    #[test]
    fn metadata_must_be_whole(format in support::formats(), len in 0usize..300) {
        let mut metadata = vec![0; len];
        let generator = Generator::new(&format, Tags::default(), &mut metadata);

        prop_assert_eq!(generator.is_ok(), len % format.metadata_size() == 0);
    }
}

struct Watched<'a> {
    segment: &'a [u8],
    next: Cell<usize>,
}

impl Watched<'_> {
    fn watch(&self, range: &Range<usize>) {
        assert_eq!(range.start, self.next.get(), "skipped or asked twice");
        assert!(range.start < range.end, "asked for nothing");
        assert!(range.end <= self.segment.len(), "asked for more");
        self.next.set(range.end);
    }
}

impl Data for Watched<'_> {
    fn len(&self) -> usize {
        self.segment.len()
    }

    fn crc16_t10_dif(&self, crc: u16, range: Range<usize>) -> u16 {
        self.watch(&range);
        self.segment.crc16_t10_dif(crc, range)
    }

    fn ip_sum(&self, range: Range<usize>) -> u16 {
        self.watch(&range);
        self.segment.ip_sum(range)
    }

    fn crc64_nvme(&self, crc: u64, range: Range<usize>) -> u64 {
        self.watch(&range);
        self.segment.crc64_nvme(crc, range)
    }
}

fn reference_tags(checksum: Checksum, metadata_size: u8, first: u64) -> Vec<u64> {
    let format = Format::new(checksum, true, 9, metadata_size, 0).unwrap();
    let tags = Tags {
        app: 0,
        reference: first,
    };
    support::generate(&format, tags, &[0; 3 * 512])
        .chunks(format.metadata_size())
        .map(|slot| pi::Tuple::read(&format, slot).unwrap().reference)
        .collect()
}

#[test]
fn reference_tags_wrap() {
    let wide = reference_tags(Checksum::Crc64Nvme, 16, 0xffff_ffff_fffe);
    assert_eq!(wide, [0xffff_ffff_fffe, 0xffff_ffff_ffff, 0]);

    let narrow = reference_tags(Checksum::Crc16T10Dif, 8, 0xffff_ffff);
    assert_eq!(narrow, [0xffff_ffff, 0, 1]);

    let all = reference_tags(Checksum::Ip, 8, u64::MAX);
    assert_eq!(all, [0xffff_ffff, 0, 1]);
}

/// As the block layer, which counts the seed into every tuple.
#[test]
fn reference_tags_without_a_reference_tag() {
    let format = Format::new(Checksum::Crc16T10Dif, false, 9, 8, 0).unwrap();
    let tags = Tags {
        app: 0,
        reference: 7,
    };
    let metadata = support::generate(&format, tags, &[0; 1024]);

    assert_eq!(metadata, [0, 0, 0, 0, 0, 0, 0, 7, 0, 0, 0, 0, 0, 0, 0, 8]);
}

#[test]
fn the_escape_is_not_an_application_tag() {
    let format = Format::new(Checksum::Ip, true, 9, 8, 0).unwrap();
    let tags = Tags {
        app: 0xffff,
        reference: 0,
    };

    let error = Generator::new(&format, tags, &mut []).err();
    assert_eq!(error, Some(SetupError::AppTag));
}

#[test]
fn nothing_is_zero_intervals() {
    let format = Format::new(Checksum::Ip, true, 9, 8, 0).unwrap();
    let mut generator = Generator::new(&format, Tags::default(), &mut []).unwrap();

    generator.push(&[][..]).unwrap();
    assert_eq!(generator.push(&[0][..]), Err(Overrun { room: 0 }));
    assert_eq!(generator.finish(), Ok(0));
}
