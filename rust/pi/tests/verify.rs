// SPDX-License-Identifier: GPL-2.0

//! The verifier: finds what is wrong, where it is, and nothing else.

mod support;

use pi::{
    Checks,
    Checksum,
    Field,
    Format,
    Incomplete,
    Mismatch,
    Overrun,
    SetupError,
    Summary,
    Tags,
    Tuple,
    Verifier, //
};
use proptest::prelude::*;

fn verify(
    format: &Format,
    checks: Checks,
    metadata: &[u8],
    segments: &[&[u8]],
) -> (Summary, Vec<Mismatch>) {
    let mut found = Vec::new();
    let mut verifier = Verifier::new(format, checks, metadata).unwrap();
    for segment in segments {
        verifier
            .push(*segment, &mut |mismatch| found.push(mismatch))
            .unwrap();
    }
    (verifier.finish().unwrap(), found)
}

/// All fields, without escapes.
fn all(tags: Tags) -> Checks {
    Checks {
        guard: true,
        app: Some(tags.app),
        reference: Some(tags.reference),
        escapes: false,
    }
}

#[test]
fn a_spoilt_tuple_is_wrong_in_one_field_and_right_again_the_second_time() {
    let right = Tuple {
        guard: 0x1926,
        app: 7,
        reference: 1000,
    };
    for field in [Field::Guard, Field::Application, Field::Reference] {
        let mut tuple = right;
        tuple.spoil(field);
        let differs = [
            (Field::Guard, tuple.guard != right.guard),
            (Field::Application, tuple.app != right.app),
            (Field::Reference, tuple.reference != right.reference),
        ];
        for (other, differs) in differs {
            assert_eq!(differs, other == field, "{field} {other}");
        }
        tuple.spoil(field);
        assert_eq!(tuple, right);
    }
}

/// The field that a bit of an interval's metadata belongs to, `None` behind the tuple.
fn field_at(format: &Format, byte: usize) -> Option<Field> {
    let guard = if format.tuple_size() == 16 { 8 } else { 2 };
    match byte.checked_sub(format.pi_offset()) {
        None => Some(Field::Guard),
        Some(at) if at < guard => Some(Field::Guard),
        Some(at) if at < guard + 2 => Some(Field::Application),
        Some(at) if at < format.tuple_size() => Some(Field::Reference),
        Some(_) => None,
    }
}

proptest! {
    #[test]
    fn what_was_generated_matches(
        (format, data) in support::formatted_data(),
        tags in support::tags(),
        cuts in support::cuts(),
    ) {
        let metadata = support::generate(&format, tags, &data);
        let segments = support::split(&data, &cuts);
        let intervals = (data.len() / format.interval()) as u64;

        for checks in [all(tags), Checks::block_layer(tags.reference), Checks::guard_only()] {
            let (summary, found) = verify(&format, checks, &metadata, &segments);
            prop_assert_eq!(found, []);
            prop_assert_eq!(summary, Summary { intervals, mismatches: 0 });
        }
    }

    #[test]
    fn a_changed_bit_of_data_is_found(
        (format, mut data) in support::formatted_data(),
        tags in support::tags(),
        cuts in support::cuts(),
        byte: prop::sample::Index,
        bit in 0..8u8,
    ) {
        let metadata = support::generate(&format, tags, &data);
        let byte = byte.index(data.len());
        data[byte] ^= 1u8 << bit;
        let index = byte / format.interval();
        let slot = index * format.metadata_size();
        let right = support::metadata(&format, tags, &data);

        for checks in [all(tags), Checks::block_layer(tags.reference), Checks::guard_only()] {
            let segments = support::split(&data, &cuts);
            let (summary, found) = verify(&format, checks, &metadata, &segments);
            prop_assert_eq!(summary.mismatches, 1);
            prop_assert_eq!(found, [Mismatch {
                interval: index as u64,
                field: Field::Guard,
                expected: Tuple::read(&format, &right[slot..]).unwrap(),
                actual: Tuple::read(&format, &metadata[slot..]).unwrap(),
            }]);
        }
    }

    #[test]
    fn a_changed_bit_of_metadata_is_found(
        (format, data) in support::formatted_data(),
        tags in support::tags(),
        byte: prop::sample::Index,
        bit in 0..8u8,
    ) {
        let mut metadata = support::generate(&format, tags, &data);
        let byte = byte.index(metadata.len());
        metadata[byte] ^= 1u8 << bit;
        let field = field_at(&format, byte % format.metadata_size())
            .filter(|&field| field != Field::Reference || format.has_ref_tag());
        let interval = (byte / format.metadata_size()) as u64;

        let (summary, found) = verify(&format, all(tags), &metadata, &[&data]);
        let found: Vec<_> = found.iter().map(|found| (found.interval, found.field)).collect();
        let expected: Vec<_> = field.map(|field| (interval, field)).into_iter().collect();
        prop_assert_eq!(summary.mismatches, expected.len() as u64);
        prop_assert_eq!(found, expected);
    }

    #[test]
    fn what_is_not_to_be_compared_does_not_matter(
        (format, data) in support::formatted_data(),
        tags in support::tags(),
        garbage in prop::collection::vec(any::<u8>(), 4 * 64),
    ) {
        let len = data.len() / format.interval() * format.metadata_size();
        let nothing = Checks { guard: false, app: None, reference: None, escapes: false };
        let (_, found) = verify(&format, nothing, &garbage[..len], &[&data]);
        prop_assert_eq!(found, []);

        let other = Tags { app: tags.app ^ 1, reference: !tags.reference };
        let metadata = support::generate(&format, tags, &data);
        let tags_only = Checks { guard: false, ..all(tags) };
        let (_, found) = verify(&format, tags_only, &metadata, &[&vec![0x5a; data.len()]]);
        prop_assert_eq!(found, []);

        let guard_only = support::generate(&format, other, &data);
        let (_, found) = verify(&format, Checks::guard_only(), &guard_only, &[&data]);
        prop_assert_eq!(found, []);
    }

    /// A misplaced write: every interval is reported, once, as the block layer would.
    #[test]
    fn the_reference_tag_goes_first(
        (format, data) in support::formatted_data(),
        tags in support::tags(),
    ) {
        let metadata = support::generate(&format, tags, &data);
        let wrong = Tags { app: tags.app ^ 1, reference: tags.reference.wrapping_add(1) };
        let mut changed = data.clone();
        changed.iter_mut().step_by(format.interval()).for_each(|byte| *byte ^= 1);
        let intervals = (data.len() / format.interval()) as u64;
        let first = if format.has_ref_tag() { Field::Reference } else { Field::Guard };

        let (summary, found) = verify(&format, all(wrong), &metadata, &[&changed]);
        prop_assert_eq!(summary, Summary { intervals, mismatches: intervals });
        prop_assert!(found.iter().all(|found| found.field == first));
        prop_assert!(found.iter().map(|found| found.interval).eq(0..intervals));
    }

    /// An escape is skipped when asked for, and an escape of the other type is not one.
    #[test]
    fn escapes(
        (format, data) in support::formatted_data(),
        tags in support::tags(),
        victim: prop::sample::Index,
        all_ones: bool,
    ) {
        let mut metadata = support::generate(&format, tags, &data);
        let intervals = data.len() / format.interval();
        let victim = victim.index(intervals);
        let slot = &mut metadata[victim * format.metadata_size()..];
        let tuple = Tuple::read(&format, slot).unwrap();
        let escape = Tuple {
            guard: !tuple.guard,
            app: 0xffff,
            reference: if all_ones { u64::MAX } else { 0 },
        };
        prop_assert!(escape.write(&format, slot));

        let honoured = format.has_ref_tag() || all_ones;
        let checks = Checks { app: Some(tags.app), ..Checks::block_layer(tags.reference) };
        let (summary, found) = verify(&format, checks, &metadata, &[&data]);
        prop_assert_eq!(summary.mismatches, u64::from(!honoured));
        prop_assert_eq!(found.len(), usize::from(!honoured));
        prop_assert_eq!(summary.intervals, intervals as u64);

        let (summary, found) = verify(&format, Checks::guard_only(), &metadata, &[&data]);
        prop_assert_eq!(summary.mismatches, 1);
        prop_assert_eq!(found.len(), 1);
        prop_assert_eq!(found[0].interval, victim as u64);
    }

    #[test]
    fn data_must_end_with_an_interval(
        (format, data) in support::formatted_data(),
        end: prop::sample::Index,
    ) {
        let metadata = support::generate(&format, Tags::default(), &data);
        let end = end.index(data.len() + 1);
        let (intervals, filled) = ((end / format.interval()) as u64, end % format.interval());

        let mut verifier = Verifier::new(&format, Checks::guard_only(), &metadata).unwrap();
        verifier.push(&data[..end], &mut |_| ()).unwrap();
        let excess = vec![0; data.len() - end + 1];
        let room = (data.len() - end) as u64;
        prop_assert_eq!(verifier.push(&excess[..], &mut |_| ()), Err(Overrun { room }));
        let expected = match filled {
            0 => Ok(intervals),
            _ => Err(Incomplete { intervals, missing: format.interval() - filled }),
        };
        prop_assert_eq!(verifier.finish().map(|summary| summary.intervals), expected);
    }
}

#[test]
fn reference_tags_wrap() {
    for (checksum, metadata_size, last) in [
        (Checksum::Crc16T10Dif, 8, 0xffff_ffff),
        (Checksum::Crc64Nvme, 16, 0xffff_ffff_ffff),
    ] {
        let format = Format::new(checksum, true, 9, metadata_size, 0).unwrap();
        let tags = Tags {
            app: 0,
            reference: last,
        };
        let data = [0x5a; 2 * 512];
        let metadata = support::generate(&format, tags, &data);

        let (_, found) = verify(&format, Checks::block_layer(last), &metadata, &[&data]);
        assert_eq!(found, []);
        let (_, found) = verify(&format, Checks::block_layer(0), &metadata, &[&data]);
        assert_eq!(found.len(), 2);
        assert_eq!(found[1].expected.reference, 1);
        assert_eq!(found[1].actual.reference, 0);
    }
}

#[test]
fn metadata_must_be_whole() {
    let format = Format::new(Checksum::Crc64Nvme, true, 9, 16, 0).unwrap();
    let error = Verifier::new(&format, Checks::guard_only(), &[0; 24]).err();

    assert_eq!(error, Some(SetupError::MetadataLength));
}
