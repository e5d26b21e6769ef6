// SPDX-License-Identifier: GPL-2.0

//! Which files bad sectors belong to.

use std::fs::{self, OpenOptions};
use std::os::fd::AsRawFd;
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;

use anyhow::Result;
use serde::Serialize;

use super::files;
use super::sysfs::{Machine, Mount};
use crate::model::bad::Range;
use crate::model::size::SECTOR;
use crate::model::stack::{Dev, Kind, Node};

/// Some of the bytes of a file.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Part {
    /// The file.
    pub path: String,
    /// The first byte in it.
    pub offset: u64,
    /// How many.
    pub bytes: u64,
}

/// A bad range and what lies there.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Owned {
    /// The range, on the device that was scrubbed.
    #[serde(flatten)]
    pub range: Range,
    /// The files with data there.
    pub files: Vec<Part>,
    /// What is known where there is no file.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub note: Option<String>,
}

/// A device further up on which sectors of the one below lie.
struct Piece {
    dev: Dev,
    /// The first sector on the device that was scrubbed.
    lower: u64,
    /// The same on `dev`.
    upper: u64,
    sectors: u64,
}

/// The owners of all ranges.
pub fn owners(machine: &Machine, node: &Node, bad: &[Range]) -> Result<Vec<Owned>> {
    let mut owned: Vec<Owned> = bad
        .iter()
        .map(|range| Owned {
            range: range.clone(),
            files: Vec::new(),
            note: None,
        })
        .collect();
    if bad.is_empty() {
        return Ok(owned);
    }
    let mut pieces = vec![Piece {
        dev: node.dev,
        lower: 0,
        upper: 0,
        sectors: node.sectors,
    }];
    go_up(machine, node.dev, 0, 0, node.sectors, &mut pieces)?;
    let mut filesystems = Vec::new();
    for piece in &pieces {
        let here = machine.node(piece.dev)?;
        let mounts = machine.mounts();
        let mount = mounts
            .into_iter()
            .find(|m| m.root == "/" && (m.dev == piece.dev || m.source == here.path));
        if let Some(mount) = mount {
            look(&mount, piece, &mut owned);
            filesystems.push(format!("{} at {}", mount.fs, mount.dir));
        }
    }
    for range in owned.iter_mut().filter(|o| o.files.is_empty()) {
        range.note = Some(if filesystems.is_empty() {
            "no filesystem is mounted on it: mount it to learn whose it is".into()
        } else {
            format!(
                "no file of {}: free, or the filesystem's own",
                filesystems.join(", ")
            )
        });
    }
    Ok(owned)
}

/// Follows the sectors of a device to partitions and to targets that map them one by one.
fn go_up(
    machine: &Machine,
    dev: Dev,
    lower: u64,
    upper: u64,
    sectors: u64,
    out: &mut Vec<Piece>,
) -> Result<()> {
    for holder in machine.holders(dev)? {
        let maps: Vec<(u64, u64, u64)> = match &holder.kind {
            // First sector below, the same above, how many.
            Kind::Partition { start } => vec![(*start, 0, holder.sectors)],
            Kind::Mapped { targets, .. } => targets
                .iter()
                .filter_map(|t| match t.straight() {
                    Some((below, sector)) if below == dev => Some((sector, t.start, t.length)),
                    _ => None,
                })
                .collect(),
            Kind::Raid { level } if level == "raid1" => {
                vec![(machine.member_offset(holder.dev, dev), 0, holder.sectors)]
            }
            _ => Vec::new(),
        };
        for (from, to, length) in maps {
            // Only what lies within the piece that we come from.
            let first = from.max(upper);
            let end = (from + length).min(upper + sectors);
            if first < end {
                let piece = Piece {
                    dev: holder.dev,
                    lower: lower + (first - upper),
                    upper: to + (first - from),
                    sectors: end - first,
                };
                let (l, u, n) = (piece.lower, piece.upper, piece.sectors);
                out.push(piece);
                go_up(machine, holder.dev, l, u, n, out)?;
            }
        }
    }
    Ok(())
}

/// Looks for extents of files that lie in bad ranges.
fn look(mount: &Mount, piece: &Piece, owned: &mut [Owned]) {
    if mount.fs == "btrfs" {
        for range in owned.iter_mut() {
            range.note = Some(format!(
                "btrfs at {} keeps the places to itself; see: btrfs scrub",
                mount.dir
            ));
        }
        return;
    }
    let Ok(data) = fs::metadata(&mount.dir) else {
        return;
    };
    use std::os::unix::fs::MetadataExt;
    let dev = Dev::new(libc::major(data.dev()), libc::minor(data.dev()));
    files::walk(
        Path::new(&mount.dir),
        dev,
        &mut usize::MAX.clone(),
        &mut |path, data| {
            if !data.is_file() && !data.is_dir() {
                return None::<()>;
            }
            for extent in extents(path) {
                for range in owned.iter_mut() {
                    if let Some((offset, bytes)) = extent.within(piece, &range.range) {
                        range.files.push(Part {
                            path: path.display().to_string(),
                            offset,
                            bytes,
                        });
                    }
                }
            }
            None
        },
    );
}

/// Where some of the bytes of a file lie, all in bytes.
#[derive(Clone, Copy, Debug)]
struct Extent {
    logical: u64,
    physical: u64,
    length: u64,
}

impl Extent {
    /// The bytes of the file that lie in the range.
    fn within(&self, piece: &Piece, range: &Range) -> Option<(u64, u64)> {
        // The range as bytes of the filesystem's device.
        let first = range.sector.max(piece.lower);
        let end = range.end().min(piece.lower + piece.sectors);
        if first >= end {
            return None;
        }
        let to_upper = |sector: u64| (piece.upper + (sector - piece.lower)) * SECTOR;
        let from = to_upper(first).max(self.physical);
        let to = to_upper(end).min(self.physical + self.length);
        (from < to).then(|| (self.logical + (from - self.physical), to - from))
    }
}

/// `struct fiemap_extent`.
#[repr(C)]
#[derive(Clone, Copy, Default)]
struct RawExtent {
    logical: u64,
    physical: u64,
    length: u64,
    reserved64: [u64; 2],
    flags: u32,
    reserved: [u32; 3],
}

const EXTENTS: usize = 128;

/// `struct fiemap`.
#[repr(C)]
struct Fiemap {
    start: u64,
    length: u64,
    flags: u32,
    mapped: u32,
    count: u32,
    reserved: u32,
    extents: [RawExtent; EXTENTS],
}

const FS_IOC_FIEMAP: libc::c_ulong = 0xc020_660b;
const FIEMAP_EXTENT_LAST: u32 = 0x1;
/// `UNKNOWN`, `DELALLOC`: it has no place yet; `DATA_INLINE`: not one of its own.
const WITHOUT_PLACE: u32 = 0x2 | 0x4 | 0x200;

/// The extents of a file; none where the filesystem does not say.
fn extents(path: &Path) -> Vec<Extent> {
    let flags = libc::O_NOFOLLOW | libc::O_NONBLOCK | libc::O_NOATIME;
    let Ok(file) = OpenOptions::new().read(true).custom_flags(flags).open(path) else {
        return Vec::new();
    };
    let mut found = Vec::new();
    let mut start = 0;
    loop {
        let mut map = Fiemap {
            start,
            length: u64::MAX - start,
            flags: 0,
            mapped: 0,
            count: EXTENTS as u32,
            reserved: 0,
            extents: [RawExtent::default(); EXTENTS],
        };
        // SAFETY: the structure has room for as many extents as it says.
        let done = unsafe { libc::ioctl(file.as_raw_fd(), FS_IOC_FIEMAP, &mut map) };
        let mapped = (map.mapped as usize).min(EXTENTS);
        if done != 0 || mapped == 0 {
            return found;
        }
        for raw in &map.extents[..mapped] {
            if raw.flags & WITHOUT_PLACE == 0 {
                found.push(Extent {
                    logical: raw.logical,
                    physical: raw.physical,
                    length: raw.length,
                });
            }
            if raw.flags & FIEMAP_EXTENT_LAST != 0 || raw.length == 0 {
                return found;
            }
            start = raw.logical + raw.length;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::mem::{offset_of, size_of};

    #[test]
    fn the_layout_is_the_kernels() {
        assert_eq!(size_of::<RawExtent>(), 56);
        assert_eq!(offset_of!(RawExtent, flags), 40);
        assert_eq!(offset_of!(Fiemap, extents), 32);
    }

    #[test]
    fn what_lies_in_a_range() {
        // The filesystem begins at sector 100 of the device.
        let piece = Piece {
            dev: Dev::new(8, 1),
            lower: 100,
            upper: 0,
            sectors: 1000,
        };
        let extent = Extent {
            logical: 8192,
            physical: 10 * SECTOR,
            length: 8 * SECTOR,
        };
        let range = |sector, sectors| Range {
            sector,
            sectors,
            error: "EILSEQ".into(),
        };
        let within = |sector, sectors| extent.within(&piece, &range(sector, sectors));
        assert_eq!(within(110, 8), Some((8192, 4096)));
        assert_eq!(within(112, 1), Some((8192 + 1024, 512)));
        assert_eq!(within(0, 111), Some((8192, 512)));
        assert_eq!(within(117, 500), Some((8192 + 7 * 512, 512)));
        assert_eq!(within(118, 10), None);
        assert_eq!(within(0, 110), None);
        assert_eq!(within(5000, 10), None);
    }
}
