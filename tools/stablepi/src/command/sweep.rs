// SPDX-License-Identifier: GPL-2.0

//! What `scrub` and `adopt` have in common: to go over a device, slowly if asked to, to keep how
//! far one has come, and to stop in good order.

use std::path::PathBuf;
use std::time::Instant;

use anyhow::Result;

use crate::cli;
use crate::failure::{failure, Code};
use crate::model::sweep::{bounds, pause, State};
use crate::system::progress::Progress;
use crate::system::{interrupt, store};

/// A sweep that has not been made yet.
pub struct Plan {
    /// How far it has come.
    pub state: State,
    path: PathBuf,
    rate: Option<u64>,
    first: u64,
}

/// What is gone over.
pub struct Subject<'a> {
    /// `scrub` or `adopt`.
    pub command: &'a str,
    /// The device's path.
    pub path: &'a str,
    /// What tells it from others.
    pub identity: &'a str,
    /// Its length in bytes.
    pub length: u64,
    /// What can be read by itself, in bytes.
    pub grain: u64,
}

impl Plan {
    /// From the command line, or from what was kept.
    pub fn new(subject: &Subject<'_>, args: &cli::Sweep) -> Result<Self> {
        let Subject {
            command,
            path,
            identity,
            length,
            grain,
        } = *subject;
        let file = args
            .state
            .clone()
            .unwrap_or_else(|| store::default_path(command, path));
        let state = if args.resume {
            let text = store::load(&file).map_err(|e| failure(Code::Missing, format!("{e:#}")))?;
            State::resume(&text, command, identity, length).map_err(|e| {
                failure(
                    Code::Refused,
                    format!("{} cannot be gone on with: {e}", file.display()),
                )
            })?
        } else {
            let (from, to) =
                bounds(args.from, args.to, length, grain).map_err(|e| failure(Code::Usage, e))?;
            State::new(command, path, identity, length, from, to)
        };
        Ok(Self {
            first: state.next,
            state,
            path: file,
            rate: args.rate,
        })
    }

    /// Goes over all that is left. `step` does so many bytes from `state.next` on. Gives the
    /// seconds that it took, or none if a signal has stopped it.
    pub fn go(
        &mut self,
        quiet: bool,
        mut step: impl FnMut(&mut State, u64) -> Result<()>,
    ) -> Result<Option<f64>> {
        interrupt::note();
        store::save(&self.path, &self.state)?;
        let mut progress = Progress::new(self.first, quiet);
        let mut saved = Instant::now();
        while !self.state.is_done() && !interrupt::is_asked() {
            let bytes = self.state.step();
            if let Err(e) = step(&mut self.state, bytes) {
                progress.end();
                store::save(&self.path, &self.state)?;
                return Err(e);
            }
            self.state.next += bytes;
            let State { from, next, to, .. } = self.state;
            progress.show(from, next, to, self.state.bad.sectors());
            if saved.elapsed().as_secs() >= 1 {
                store::save(&self.path, &self.state)?;
                saved = Instant::now();
            }
            if let Some(rate) = self.rate {
                interrupt::sleep(pause(next - self.first, progress.seconds(), rate));
            }
        }
        progress.end();
        if self.state.is_done() {
            store::remove(&self.path);
            return Ok(Some(progress.seconds()));
        }
        store::save(&self.path, &self.state)?;
        Ok(None)
    }

    /// The bytes that were gone over, by this process.
    pub fn done(&self) -> u64 {
        self.state.next - self.first
    }

    /// What to say when a signal has stopped it.
    pub fn stopped(&self) -> anyhow::Error {
        let State {
            command,
            device,
            next,
            ..
        } = &self.state;
        let text = format!("stopped at byte {next}; to go on: stablepi {command} {device} --resume, with the same --state");
        failure(Code::Stopped, text)
    }
}
