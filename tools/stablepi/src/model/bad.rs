// SPDX-License-Identifier: GPL-2.0

//! Ranges of sectors that could not be read.

use serde::{Deserialize, Serialize};

/// Sectors, of 512 bytes, that lie side by side and fail alike.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Range {
    /// The first.
    pub sector: u64,
    /// How many.
    pub sectors: u64,
    /// The error, by the name of its number: `EILSEQ` is data that does not match its tuple.
    pub error: String,
}

impl Range {
    /// The sector behind the last one.
    pub fn end(&self) -> u64 {
        self.sector + self.sectors
    }
}

/// Such ranges in their order, none next to one with the same error.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Ranges {
    list: Vec<Range>,
}

impl Ranges {
    /// Adds sectors behind all that are there already.
    pub fn push(&mut self, sector: u64, sectors: u64, error: &str) {
        if let Some(last) = self.list.last_mut() {
            if last.end() == sector && last.error == error {
                last.sectors += sectors;
                return;
            }
        }
        self.list.push(Range {
            sector,
            sectors,
            error: error.into(),
        });
    }

    /// All of them.
    pub fn list(&self) -> &[Range] {
        &self.list
    }

    /// The sectors in all of them.
    pub fn sectors(&self) -> u64 {
        self.list.iter().map(|r| r.sectors).sum()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn neighbours_are_one() {
        let mut bad = Ranges::default();
        bad.push(0, 8, "EILSEQ");
        bad.push(8, 8, "EILSEQ");
        bad.push(16, 8, "EIO");
        bad.push(32, 8, "EIO");
        assert_eq!(bad.list().len(), 3);
        assert_eq!(bad.sectors(), 32);
    }

    proptest! {
        // The same sectors come out, in the same order, however they are put in.
        #[test]
        fn nothing_is_lost(pieces in prop::collection::vec((0u64..3, 1u64..9, prop::bool::ANY), 0..40)) {
            let mut bad = Ranges::default();
            let mut next = 0;
            let mut expected = Vec::new();
            for (gap, sectors, io) in pieces {
                let error = if io { "EIO" } else { "EILSEQ" };
                next += gap;
                bad.push(next, sectors, error);
                expected.extend((next..next + sectors).map(|s| (s, error)));
                next += sectors;
            }
            let found: Vec<_> = bad
                .list()
                .iter()
                .flat_map(|r| (r.sector..r.end()).map(|s| (s, r.error.as_str())))
                .collect();
            prop_assert_eq!(found, expected);
            for pair in bad.list().windows(2) {
                prop_assert!(pair[0].end() < pair[1].sector || pair[0].error != pair[1].error);
            }
            let json = serde_json::to_string(&bad).expect("numbers and names");
            prop_assert_eq!(serde_json::from_str::<Ranges>(&json).expect("what was written"), bad);
        }
    }
}
