// SPDX-License-Identifier: GPL-2.0

//! Protection information: formats, tuples, generation and verification.
//!
//! A disk formatted with protection information (PI) stores a few bytes of metadata with every
//! *interval* of data. A *tuple* in that metadata holds a *guard* (a checksum of the interval), an
//! *application tag* (opaque) and a *reference tag* (as a rule the low bits of the interval's
//! address). [`Format`] says what a disk has of that, [`Generator`] writes the tuples of a stretch
//! of data, [`Verifier`] compares data with tuples that are there already.
//!
//! The semantics are those of `block/t10-pi.c`: for the same data, format and seed a tuple is the
//! same, byte for byte, as the block layer's own. The standards are SBC (protection information
//! model) for the 8-byte tuple with CRC16 guard, SCSI's DIX for the IP checksum guard, and the NVM
//! Command Set Specification (end-to-end data protection) for the 16-byte tuple with 64-bit guard.
//!
//! Nothing in here allocates, sleeps, locks or panics, and nothing keeps a reference to the data:
//! it works in any context. Data is asked for checksums only, through [`Data`], so it may be
//! memory that an application is changing at the same time. Finding that out is what a tuple is for.
//!
//! # How to use it
//!
//! Describe the format, make room for the metadata, and push the data in segments as they come. An
//! interval may straddle segments, and a segment may have any length, odd ones included:
//!
//! ```
//! # use pi::{Checks, Checksum, Field, Format, Generator, Tags, Verifier};
//! # fn main() -> Result<(), Box<dyn std::error::Error>> {
//! // T10-DIF-TYPE1-CRC over 512-byte intervals, with nothing around the tuple.
//! let format = Format::new(Checksum::Crc16T10Dif, true, 9, 8, 0)?;
//! let mut data = vec![0x5a; 4096];
//! let intervals = format.intervals(4096).ok_or("not a whole number of intervals")?;
//! let mut metadata = vec![0; format.metadata_bytes(intervals) as usize];
//!
//! // A write: tuples for the eight intervals from interval 1000 on.
//! let tags = Tags { app: 0, reference: 1000 };
//! let mut generator = Generator::new(&format, tags, &mut metadata)?;
//! generator.push(&data[..1023])?;
//! generator.push(&data[1023..])?;
//! assert_eq!(generator.finish()?, 8);
//!
//! // A read, checked as the block layer checks it: nothing to report.
//! let mut verifier = Verifier::new(&format, Checks::block_layer(1000), &metadata)?;
//! verifier.push(&data[..], &mut |mismatch| panic!("{mismatch:?}"))?;
//! assert_eq!(verifier.finish()?.mismatches, 0);
//!
//! // An application changed a byte of the fourth interval after the tuples were made.
//! data[3 * 512 + 7] ^= 1;
//! let mut found = Vec::new();
//! let mut recheck = Verifier::new(&format, Checks::guard_only(), &metadata)?;
//! recheck.push(&data[..], &mut |mismatch| found.push((mismatch.interval, mismatch.field)))?;
//! assert_eq!(recheck.finish()?.mismatches, 1);
//! assert_eq!(found, [(3, Field::Guard)]);
//! # Ok(())
//! # }
//! ```

#![forbid(unsafe_code)]

mod crc16;
mod crc64;
mod data;
mod error;
mod format;
mod generate;
mod guard;
mod intervals;
mod ip;
mod tuple;
mod verify;

pub use self::{
    data::Data,
    error::{
        FormatError,
        Incomplete,
        Overrun,
        SetupError, //
    },
    format::{
        Checksum,
        Format, //
    },
    generate::{
        Generator,
        Tags, //
    },
    tuple::{
        Field,
        Tuple, //
    },
    verify::{
        Checks,
        Mismatch,
        Summary,
        Verifier, //
    }, //
};
