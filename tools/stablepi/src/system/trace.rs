// SPDX-License-Identifier: GPL-2.0

//! The module's trace events, by a trace instance of our own.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Read};
use std::os::fd::AsRawFd;
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result};

use crate::failure::{failure, Code};

const INSTANCES: &str = "/sys/kernel/tracing/instances";

/// An instance; it goes when this is dropped.
pub struct Trace {
    folder: PathBuf,
    pipe: Option<File>,
    rest: Vec<u8>,
}

impl Trace {
    /// Begins to trace all events of the module but those named.
    pub fn begin(leave_out: &[&str]) -> Result<Self> {
        if !Path::new(INSTANCES).exists() {
            return Err(failure(
                Code::Failed,
                "tracefs is not there; are you root? Else: mount -t tracefs none /sys/kernel/tracing",
            ));
        }
        remove_left_over();
        let folder = Path::new(INSTANCES).join(format!("stablepi-{}", std::process::id()));
        fs::create_dir(&folder).with_context(|| format!("{} cannot be made", folder.display()))?;
        let mut trace = Self {
            folder,
            pipe: None,
            rest: Vec::new(),
        };
        let events = trace.folder.join("events/stable_pi");
        let entries = fs::read_dir(&events).map_err(|_| {
            failure(
                Code::Failed,
                "the module stable_pages is not loaded: modprobe stable_pages",
            )
        })?;
        for event in entries.flatten() {
            let name = event.file_name().to_string_lossy().into_owned();
            let switch = event.path().join("enable");
            if switch.exists() && !leave_out.contains(&name.as_str()) {
                fs::write(&switch, "1")
                    .with_context(|| format!("the event {name} cannot be traced"))?;
            }
        }
        // Wake us for one event, not only when the buffer is half full.
        fs::write(trace.folder.join("buffer_percent"), "0")
            .context("the trace cannot be set up")?;
        let pipe = OpenOptions::new()
            .read(true)
            .custom_flags(libc::O_NONBLOCK)
            .open(trace.folder.join("trace_pipe"))
            .context("the trace cannot be read")?;
        trace.pipe = Some(pipe);
        Ok(trace)
    }

    /// Waits for lines, but no longer than so many milliseconds, and gives those that are whole.
    pub fn lines(&mut self, timeout_ms: i32) -> Result<Vec<String>> {
        let Some(pipe) = &mut self.pipe else {
            return Ok(Vec::new());
        };
        let mut poll = libc::pollfd {
            fd: pipe.as_raw_fd(),
            events: libc::POLLIN,
            revents: 0,
        };
        // SAFETY: one structure, that lives longer than the call.
        unsafe { libc::poll(&mut poll, 1, timeout_ms) };
        let mut block = [0; 65536];
        loop {
            match pipe.read(&mut block) {
                Ok(0) => break,
                Ok(n) => self.rest.extend_from_slice(&block[..n]),
                Err(e) if e.kind() == io::ErrorKind::WouldBlock => break,
                Err(e) if e.kind() == io::ErrorKind::Interrupted => break,
                Err(e) => return Err(e).context("the trace cannot be read"),
            }
            if self.rest.len() > 1 << 20 {
                break;
            }
        }
        let Some(end) = self.rest.iter().rposition(|b| *b == b'\n') else {
            return Ok(Vec::new());
        };
        let behind = self.rest.split_off(end + 1);
        let whole = std::mem::replace(&mut self.rest, behind);
        let lines = String::from_utf8_lossy(&whole)
            .lines()
            .map(String::from)
            .collect();
        Ok(lines)
    }
}

impl Drop for Trace {
    fn drop(&mut self) {
        self.pipe = None;
        let _ = fs::write(self.folder.join("events/enable"), "0");
        let _ = fs::remove_dir(&self.folder);
    }
}

/// What one that was killed has left.
fn remove_left_over() {
    for entry in fs::read_dir(INSTANCES).into_iter().flatten().flatten() {
        let name = entry.file_name().to_string_lossy().into_owned();
        if let Some(pid) = name.strip_prefix("stablepi-") {
            if !Path::new("/proc").join(pid).exists() {
                let _ = fs::remove_dir(entry.path());
            }
        }
    }
}
