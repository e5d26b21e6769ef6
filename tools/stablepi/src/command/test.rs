// SPDX-License-Identifier: GPL-2.0

//! `stablepi test`.

use std::fs;
use std::io;
use std::path::Path;
use std::process::Command;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use anyhow::{Context, Result};
use serde::Serialize;
use serde_json::json;

use super::open::Wanted;
use super::{say, say_json, Outcome};
use crate::cli;
use crate::failure::{failure, Code};
use crate::model::bad::Ranges;
use crate::model::stack::Node;
use crate::model::status::Status;
use crate::model::sweep::{self, Medium, STEP};
use crate::system::device::{Buffer, Device};
use crate::system::dm::{self, Id};
use crate::system::interrupt;
use crate::system::sysfs::{self, Machine};

/// How much of the device is written to, in bytes.
const AREA: u64 = 4 << 20;

/// The bytes of a write.
const WRITE: u64 = 64 << 10;

/// What came of one half.
#[derive(Serialize)]
struct Half {
    writes: u64,
    failed: u64,
    error: Option<String>,
    /// Sectors that cannot be read afterwards.
    bad_sectors: u64,
}

impl Half {
    fn is_well(&self) -> bool {
        self.failed == 0 && self.bad_sectors == 0
    }
}

/// Writes with pages that change, without stable-pi and with it.
pub fn run(args: &cli::Test, json: bool) -> Outcome {
    interrupt::note();
    let memory = if args.memory {
        Some(Memory::make()?)
    } else {
        None
    };
    let path = match (&memory, &args.device) {
        (Some(memory), _) => memory.path.clone(),
        (None, Some(path)) => path.clone(),
        (None, None) => return Err(failure(Code::Usage, "a device, or --memory")),
    };
    let machine = Machine::this();
    let node = machine.node(sysfs::resolve(&path)?)?;
    if let Some(user) = machine.above(&node)?.first() {
        return Err(failure(Code::Refused, format!("{path} is in use: {user}")));
    }
    let area = {
        let mut device = Device::open_alone(&node.path)?;
        must_be_empty(&mut device, &node)?;
        (device.length / 2).min(AREA) / WRITE * WRITE
    };
    if area < 2 * WRITE {
        return Err(failure(Code::Refused, format!("{path} is too small")));
    }
    let without = half(&node.path, area, args.seconds)?;
    let (mut with, mut status) = with_target(&node, area, args.seconds, &[])?;
    // A device may take the data only after it has checked it.
    let mut arguments: &[&str] = &[];
    if !with.is_well() && !interrupt::is_asked() {
        arguments = &["recheck:on"];
        (with, status) = with_target(&node, area, args.seconds, arguments)?;
    }
    if interrupt::is_asked() {
        return Err(failure(
            Code::Stopped,
            "stopped by a signal; what was written has been cleared",
        ));
    }
    let fails = !without.is_well();
    let helps = with.is_well();
    if json {
        say_json(&json!({
            "device": node.path,
            "without": without,
            "with": with,
            "arguments": arguments,
            "status": status,
            "fails_without": fails,
            "well_with": helps,
        }))?;
    } else {
        let verdict = match (fails, helps) {
            (true, true) => "This stack fails when pages change under a write, and does not with stable-pi.",
            (false, true) if node.integrity.is_none() => {
                "Nothing checks in this stack, so nothing can be seen to fail in it."
            }
            (false, true) => {
                "Nothing failed without stable-pi: no page was caught while it changed; try --seconds 60."
            }
            (_, false) => "It fails with stable-pi as well: see the kernel log, and report it.",
        };
        let needs = if helps && !arguments.is_empty() {
            "\nThe device does not check, or takes the data after it has: open it with --recheck on."
        } else {
            ""
        };
        let changed =
            ["unstable", "repaired", "copied"].map(|key| format!("{key} {}", status.count(key)));
        say(&format!(
            "without stable-pi: {}\nwith stable-pi:    {} ({})\n{verdict}{needs}",
            line(&without),
            line(&with),
            changed.join(", ")
        ))?;
    }
    Ok((!helps).then_some(Code::Found))
}

fn line(half: &Half) -> String {
    let Half {
        writes,
        failed,
        error,
        bad_sectors,
    } = half;
    let error = error
        .as_ref()
        .map_or_else(String::new, |e| format!(" ({e})"));
    format!("{failed} of {writes} writes failed{error}, {bad_sectors} sectors cannot be read afterwards")
}

/// Refuses what holds something: data at its begin or its end, or here and there in between.
fn must_be_empty(device: &mut Device, node: &Node) -> Result<()> {
    let last = device.length.saturating_sub(STEP) / node.logical_block * node.logical_block;
    let mut places: Vec<u64> = (0..64).map(|i| last / 64 * i / STEP * STEP).collect();
    places.extend([STEP, 2 * STEP, 3 * STEP, last]);
    places.sort_unstable();
    places.dedup();
    for offset in places {
        let bytes = STEP.min(device.length.saturating_sub(offset)) / node.logical_block
            * node.logical_block;
        if bytes == 0 {
            continue;
        }
        // What cannot be read may hold something as well.
        let empty = device.read(offset, bytes).is_ok() && device.buffer().is_zero(bytes);
        if !empty {
            let text = format!(
                "{} holds something at byte {offset} or a little further on; take a device that reads as zeroes \
                 (blkdiscard -z, or dd, makes one), or --memory",
                node.path
            );
            return Err(failure(Code::Refused, text));
        }
    }
    Ok(())
}

/// Writes for so many seconds while another thread changes the data, and reads all afterwards.
fn half(path: &str, area: u64, seconds: f64) -> Result<Half> {
    let mut device = Device::open_shared(path)?;
    let buffer = Buffer::new(WRITE as usize);
    let over = AtomicBool::new(false);
    let mut half = Half {
        writes: 0,
        failed: 0,
        error: None,
        bad_sectors: 0,
    };
    std::thread::scope(|scope| {
        scope.spawn(|| {
            let mut n = 0u64;
            while !over.load(Ordering::Relaxed) {
                for word in buffer.words() {
                    n = n.wrapping_add(0x9e37_79b9_7f4a_7c15);
                    word.store(n, Ordering::Relaxed);
                }
            }
        });
        let end = Instant::now() + Duration::from_secs_f64(seconds);
        let mut offset = 0;
        while Instant::now() < end && !interrupt::is_asked() {
            half.writes += 1;
            if let Err(e) = device.write_from(&buffer, offset, WRITE) {
                half.failed += 1;
                half.error.get_or_insert_with(|| e.to_string());
            }
            offset = (offset + WRITE) % area;
        }
        over.store(true, Ordering::Relaxed);
    });
    let mut bad = Ranges::default();
    for offset in (0..area).step_by(STEP as usize) {
        sweep::read(
            &mut device,
            offset,
            STEP.min(area - offset),
            WRITE / 16,
            &mut bad,
        )
        .with_context(|| format!("{path} cannot be read"))?;
    }
    half.bad_sectors = bad.sectors();
    clear(&device, area).with_context(|| format!("{path} cannot be cleared"))?;
    Ok(half)
}

/// The half with a target of our own.
fn with_target(node: &Node, area: u64, seconds: f64, arguments: &[&str]) -> Result<(Half, Status)> {
    let name = format!("stablepi-test-{}", std::process::id());
    let wanted = Wanted {
        name: &name,
        device: &node.path,
        arguments: arguments.iter().map(|a| a.to_string()).collect(),
        offset: 0,
        sectors: None,
        read_only: false,
    };
    wanted.make(&wanted.target()?)?;
    let path = format!("/dev/mapper/{name}");
    let result = (|| {
        let done = half(&path, area, seconds);
        let status = dm::status(Id::Name(&name))?
            .first()
            .map(|t| t.params.clone())
            .unwrap_or_default();
        let Ok(status) = status.parse();
        Ok((done?, status))
    })();
    dm::remove(&name, false)?;
    result
}

/// Zeroes, so that nothing of one half is taken for the other's.
fn clear(device: &Device, area: u64) -> Result<()> {
    let zeroes = Buffer::new(WRITE as usize);
    for offset in (0..area).step_by(WRITE as usize) {
        device.write_from(&zeroes, offset, WRITE)?;
    }
    device.flush()?;
    Ok(())
}

/// A disk of scsi_debug; it goes when this is dropped.
struct Memory {
    path: String,
}

impl Memory {
    fn make() -> Result<Self> {
        if Path::new("/sys/module/scsi_debug").exists() {
            return Err(failure(
                Code::Refused,
                "scsi_debug is loaded already, perhaps in use: rmmod it, or give a device",
            ));
        }
        // One request at a time, that takes 2 ms: time for a page to change between checksum and check.
        let parameters = [
            "dev_size_mb=32",
            "dif=1",
            "dix=1",
            "guard=0",
            "max_queue=1",
            "ndelay=2000000",
        ];
        modprobe("sd_mod", &[])?;
        modprobe("scsi_debug", &parameters)?;
        let mut memory = Self {
            path: String::new(),
        };
        let end = Instant::now() + Duration::from_secs(30);
        while memory.path.is_empty() {
            if Instant::now() > end {
                return Err(failure(
                    Code::Failed,
                    "scsi_debug has made no disk; see the kernel log",
                ));
            }
            std::thread::sleep(Duration::from_millis(50));
            memory.path = find().unwrap_or_default();
        }
        Ok(memory)
    }
}

fn modprobe(module: &str, parameters: &[&str]) -> Result<()> {
    let out = Command::new("modprobe")
        .arg(module)
        .args(parameters)
        .output();
    let said = match out {
        Ok(out) if out.status.success() => return Ok(()),
        Ok(out) => String::from_utf8_lossy(&out.stderr).trim().to_string(),
        Err(e) => e.to_string(),
    };
    Err(failure(
        Code::Failed,
        format!("the module {module} cannot be loaded: {said}"),
    ))
}

/// The disk with the model of scsi_debug, when it is ready.
fn find() -> Option<String> {
    for entry in fs::read_dir("/sys/block").ok()?.flatten() {
        let read =
            |file: &str| -> io::Result<String> { fs::read_to_string(entry.path().join(file)) };
        let model = read("device/model").unwrap_or_default();
        let ready = read("integrity/format").is_ok() && read("size").is_ok_and(|s| s.trim() != "0");
        let path = format!("/dev/{}", entry.file_name().to_string_lossy());
        if model.starts_with("scsi_debug") && ready && Path::new(&path).exists() {
            return Some(path);
        }
    }
    None
}

/// Whether the hosts of scsi_debug are gone; if nothing uses their disks, they soon are.
///
/// When the module goes, it does not wait for what removes its targets, which then may find neither
/// its folder in debugfs nor its code (Linux 7.3). So they go before.
fn hosts_are_gone() -> bool {
    const HOSTS: &str = "/sys/bus/pseudo/drivers/scsi_debug/add_host";
    let read = |path| fs::read_to_string(path).unwrap_or_default();
    if read("/sys/module/scsi_debug/refcnt").trim() != "0" {
        return false;
    }
    let hosts = read(HOSTS);
    if hosts.trim() != "0" {
        let _ = fs::write(HOSTS, format!("-{}", hosts.trim()));
        return false;
    }
    let left = fs::read_dir("/sys/kernel/debug/scsi_debug").map(|entries| {
        entries.flatten().any(|entry| {
            let name = entry.file_name();
            let name = name.to_string_lossy();
            // A target without a disk stays in any case.
            name.starts_with("target") && name.ends_with(":0:0")
        })
    });
    !left.unwrap_or(false)
}

fn rmmod(module: &str) -> bool {
    Command::new("rmmod")
        .arg(module)
        .output()
        .is_ok_and(|out| out.status.success())
}

impl Drop for Memory {
    fn drop(&mut self) {
        // udev may have the disk open for a moment.
        for _ in 0..100 {
            if hosts_are_gone() && rmmod("scsi_debug") {
                return;
            }
            std::thread::sleep(Duration::from_millis(100));
        }
        eprintln!("stablepi: scsi_debug is still loaded: rmmod scsi_debug");
    }
}
