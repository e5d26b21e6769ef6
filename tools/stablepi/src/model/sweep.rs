// SPDX-License-Identifier: GPL-2.0

//! To go over a device from one end to the other, be stopped, and go on.

use std::io;

use serde::{Deserialize, Serialize};

use super::bad::Ranges;
use super::size::SECTOR;

/// The bytes that are read at once where nothing is wrong.
pub const STEP: u64 = 1 << 20;

/// Into how many pieces what cannot be read is taken apart, time and again.
const PIECES: u64 = 8;

/// What is read.
pub trait Medium {
    /// Reads so many bytes from there. Both are multiples of the grain.
    fn read(&mut self, offset: u64, bytes: u64) -> io::Result<()>;
}

/// Whether an error tells of the data, and not of how it was asked for.
fn is_of_the_medium(error: &io::Error) -> bool {
    matches!(
        error.raw_os_error(),
        Some(libc::EILSEQ | libc::EIO | libc::ENODATA | libc::EREMOTEIO | libc::EBADE)
    )
}

/// The name of an error number that a medium gives.
fn name(error: &io::Error) -> &'static str {
    match error.raw_os_error() {
        Some(libc::EILSEQ) => "EILSEQ",
        Some(libc::ENODATA) => "ENODATA",
        Some(libc::EREMOTEIO) => "EREMOTEIO",
        Some(libc::EBADE) => "EBADE",
        _ => "EIO",
    }
}

/// Reads a range, and takes what fails apart down to the grain, all in bytes.
///
/// An error that does not tell of the data, such as that the device is gone, is returned.
pub fn read(
    medium: &mut impl Medium,
    offset: u64,
    bytes: u64,
    grain: u64,
    bad: &mut Ranges,
) -> io::Result<()> {
    let error = loop {
        match medium.read(offset, bytes) {
            Ok(()) => return Ok(()),
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) if is_of_the_medium(&error) => break error,
            Err(error) => return Err(error),
        }
    };
    if bytes <= grain {
        bad.push(offset / SECTOR, bytes / SECTOR, name(&error));
        return Ok(());
    }
    let piece = (bytes / PIECES / grain * grain).max(grain);
    let mut done = 0;
    while done < bytes {
        let length = piece.min(bytes - done);
        read(medium, offset + done, length, grain, bad)?;
        done += length;
    }
    Ok(())
}

/// How far one has come, as it is kept in a file.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct State {
    /// Which command wrote it.
    pub command: String,
    /// What it goes over.
    pub device: String,
    /// What tells that device from another that has its name later.
    pub identity: String,
    /// The length of the device, in bytes.
    pub length: u64,
    /// The first byte to go over.
    pub from: u64,
    /// The byte behind the last one.
    pub to: u64,
    /// Where to go on.
    pub next: u64,
    /// What was found until there.
    pub bad: Ranges,
}

impl State {
    /// Begins at `from`.
    pub fn new(
        command: &str,
        device: &str,
        identity: &str,
        length: u64,
        from: u64,
        to: u64,
    ) -> Self {
        Self {
            command: command.into(),
            device: device.into(),
            identity: identity.into(),
            length,
            from,
            to,
            next: from,
            bad: Ranges::default(),
        }
    }

    /// Whether all has been gone over.
    pub fn is_done(&self) -> bool {
        self.next >= self.to
    }

    /// The bytes to take next.
    pub fn step(&self) -> u64 {
        STEP.min(self.to - self.next)
    }

    /// Reads what was written, and sees that it is of this command and this device.
    pub fn resume(text: &str, command: &str, identity: &str, length: u64) -> Result<Self, String> {
        let state: Self =
            serde_json::from_str(text).map_err(|e| format!("it is not whole: {e}"))?;
        if state.command != command {
            return Err(format!("it is of {}, not of {command}", state.command));
        }
        if state.identity != identity || state.length != length {
            return Err(format!("it is of another device, {}", state.identity));
        }
        if !(state.from <= state.next && state.next <= state.to && state.to <= length) {
            return Err("its numbers make no sense".into());
        }
        Ok(state)
    }
}

/// Where `--from` and `--to` are, in bytes: within the device and at whole grains.
pub fn bounds(
    from: Option<u64>,
    to: Option<u64>,
    length: u64,
    grain: u64,
) -> Result<(u64, u64), String> {
    let from = from.unwrap_or(0);
    let to = to.unwrap_or(length / grain * grain);
    if to > length {
        return Err(format!("the device ends at byte {length}"));
    }
    if from >= to {
        return Err(format!("nothing lies between byte {from} and byte {to}"));
    }
    if from % grain != 0 || to % grain != 0 {
        return Err(format!(
            "begin and end have to be multiples of {grain} bytes"
        ));
    }
    Ok((from, to))
}

/// How long to wait so that `bytes` in `seconds` are no more than `rate` bytes a second.
pub fn pause(bytes: u64, seconds: f64, rate: u64) -> f64 {
    (bytes as f64 / rate as f64 - seconds).max(0.0)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use std::collections::BTreeMap;

    /// A medium with bad blocks.
    struct Blocks {
        grain: u64,
        bad: BTreeMap<u64, i32>,
        reads: usize,
    }

    impl Medium for Blocks {
        fn read(&mut self, offset: u64, bytes: u64) -> io::Result<()> {
            assert!(bytes > 0 && offset % self.grain == 0 && bytes % self.grain == 0);
            self.reads += 1;
            match self
                .bad
                .range(offset / self.grain..(offset + bytes) / self.grain)
                .next()
            {
                Some((_, errno)) => Err(io::Error::from_raw_os_error(*errno)),
                None => Ok(()),
            }
        }
    }

    #[test]
    fn one_bad_block_is_found_with_few_reads() {
        let mut medium = Blocks {
            grain: 512,
            bad: [(1000, libc::EILSEQ)].into(),
            reads: 0,
        };
        let mut bad = Ranges::default();
        read(&mut medium, 0, STEP, 512, &mut bad).expect("a bad block is no error");
        assert_eq!((bad.list()[0].sector, bad.sectors()), (1000, 1));
        assert!(medium.reads <= 1 + 4 * 8, "{} reads", medium.reads);
    }

    #[test]
    fn a_device_that_is_gone_is_an_error() {
        let mut medium = Blocks {
            grain: 512,
            bad: [(0, libc::ENXIO)].into(),
            reads: 0,
        };
        let mut bad = Ranges::default();
        let error = read(&mut medium, 0, STEP, 512, &mut bad).expect_err("gone");
        assert_eq!(error.raw_os_error(), Some(libc::ENXIO));
        assert!(bad.list().is_empty());
    }

    #[test]
    fn limits() {
        assert_eq!(bounds(None, None, 1000 * 512, 4096), Ok((0, 125 * 4096)));
        assert_eq!(bounds(Some(512), Some(1024), 4096, 512), Ok((512, 1024)));
        assert!(bounds(Some(512), None, 4096, 4096).is_err());
        assert!(bounds(None, Some(8192), 4096, 512).is_err());
        assert!(bounds(Some(4096), None, 4096, 512).is_err());
        assert!(bounds(None, None, 100, 512).is_err());
    }

    #[test]
    fn a_rate_is_kept_to() {
        assert_eq!(pause(1 << 20, 0.25, 1 << 20), 0.75);
        assert_eq!(pause(1 << 20, 2.0, 1 << 20), 0.0);
    }

    #[test]
    fn a_state_is_for_one_device() {
        let state = State::new("scrub", "/dev/sda", "wwn-1", 8192, 0, 8192);
        let text = serde_json::to_string(&state).expect("plain data");
        assert_eq!(State::resume(&text, "scrub", "wwn-1", 8192), Ok(state));
        assert!(State::resume(&text, "adopt", "wwn-1", 8192).is_err());
        assert!(State::resume(&text, "scrub", "wwn-2", 8192).is_err());
        assert!(State::resume(&text, "scrub", "wwn-1", 4096).is_err());
        assert!(State::resume(&text[..20], "scrub", "wwn-1", 8192).is_err());
        let odd = text.replace("\"next\":0", "\"next\":9000");
        assert!(State::resume(&odd, "scrub", "wwn-1", 8192).is_err());
    }

    proptest! {
        // Exactly the bad blocks are found, wherever they are and whatever the grain is.
        #[test]
        fn what_is_bad_is_found(
            grain in prop::sample::select(vec![512u64, 4096]),
            blocks in prop::collection::btree_map(0u64..256, prop::sample::select(vec![libc::EILSEQ, libc::EIO]), 0..40),
            length in 1u64..256,
        ) {
            let mut medium = Blocks { grain, bad: blocks.clone(), reads: 0 };
            let mut bad = Ranges::default();
            read(&mut medium, 0, length * grain, grain, &mut bad).expect("bad blocks only");
            let found: Vec<u64> = bad
                .list()
                .iter()
                .flat_map(|r| (r.sector..r.end()).step_by((grain / SECTOR) as usize))
                .map(|sector| sector * SECTOR / grain)
                .collect();
            let expected: Vec<u64> = blocks.into_keys().filter(|b| *b < length).collect();
            prop_assert_eq!(found, expected);
        }

        // A sweep that is stopped anywhere and resumed finds what one in one go finds.
        #[test]
        fn stopped_and_resumed(
            blocks in prop::collection::btree_set(0u64..8192, 0..10),
            stop in 0u64..5,
        ) {
            let length = 4 * STEP;
            let blocks: BTreeMap<u64, i32> = blocks.into_iter().map(|b| (b, libc::EILSEQ)).collect();
            let sweep = |mut state: State, steps: u64| {
                let mut medium = Blocks { grain: 512, bad: blocks.clone(), reads: 0 };
                for _ in 0..steps {
                    if !state.is_done() {
                        let step = state.step();
                        let mut bad = std::mem::take(&mut state.bad);
                        read(&mut medium, state.next, step, 512, &mut bad).expect("bad blocks only");
                        state.bad = bad;
                        state.next += step;
                    }
                }
                state
            };
            let fresh = State::new("scrub", "/dev/sda", "x", length, 0, length);
            let at_once = sweep(fresh.clone(), 4);
            let half = sweep(fresh, stop);
            let text = serde_json::to_string(&half).expect("plain data");
            let resumed = State::resume(&text, "scrub", "x", length).expect("the same device");
            prop_assert_eq!(sweep(resumed, 4), at_once);
        }
    }
}
