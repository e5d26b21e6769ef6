// SPDX-License-Identifier: GPL-2.0

//! A line that says how far a sweep has come, on a terminal only.

use std::io::{IsTerminal, Write};
use std::time::Instant;

use crate::model::size;

/// The line, on standard error.
pub struct Progress {
    began: Instant,
    shown: Option<Instant>,
    first: u64,
    terminal: bool,
}

impl Progress {
    /// Begins at byte `first`.
    pub fn new(first: u64, quiet: bool) -> Self {
        Self {
            began: Instant::now(),
            shown: None,
            first,
            terminal: !quiet && std::io::stderr().is_terminal(),
        }
    }

    /// Seconds since the beginning.
    pub fn seconds(&self) -> f64 {
        self.began.elapsed().as_secs_f64()
    }

    /// Shows it, a few times a second.
    pub fn show(&mut self, from: u64, next: u64, to: u64, bad_sectors: u64) {
        if !self.terminal || self.shown.is_some_and(|at| at.elapsed().as_millis() < 250) {
            return;
        }
        self.shown = Some(Instant::now());
        let line = line(
            from,
            next,
            to,
            next - self.first,
            self.seconds(),
            bad_sectors,
        );
        let _ = write!(std::io::stderr(), "\r{line}\x1b[K");
    }

    /// Takes the line away.
    pub fn end(&self) {
        if self.shown.is_some() {
            let _ = write!(std::io::stderr(), "\r\x1b[K");
        }
    }
}

fn line(from: u64, next: u64, to: u64, done: u64, seconds: f64, bad_sectors: u64) -> String {
    const WIDTH: usize = 24;
    let part = (next - from) as f64 / (to - from).max(1) as f64;
    let full = ((part * WIDTH as f64) as usize).min(WIDTH);
    let rate = if seconds > 0.0 {
        done as f64 / seconds
    } else {
        0.0
    };
    let left = if rate > 0.0 {
        size::clock(((to - next) as f64 / rate) as u64)
    } else {
        "?".into()
    };
    format!(
        "[{}{}] {:5.1} %  {}/s  {left} left  {bad_sectors} bad sectors",
        "#".repeat(full),
        ".".repeat(WIDTH - full),
        part * 100.0,
        size::human(rate as u64)
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_line() {
        let text = line(0, 50 << 20, 100 << 20, 50 << 20, 5.0, 3);
        assert_eq!(
            text,
            "[############............]  50.0 %  10.0 MiB/s  0:05 left  3 bad sectors"
        );
        assert!(line(0, 0, 0, 0, 0.0, 0).contains("? left"));
    }
}
