// SPDX-License-Identifier: GPL-2.0

//! A stack of block devices, from one down to its disks, and what stands on it.

use std::fmt;
use std::str::FromStr;

use serde::{Serialize, Serializer};

use super::size;
use super::table::Target;

/// The number of a block device.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Dev {
    /// The driver's.
    pub major: u32,
    /// The device's within that.
    pub minor: u32,
}

impl Dev {
    /// The device `major:minor`.
    pub fn new(major: u32, minor: u32) -> Self {
        Self { major, minor }
    }
}

impl fmt::Display for Dev {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}", self.major, self.minor)
    }
}

impl FromStr for Dev {
    type Err = String;

    /// `8:0`, or `8,0` as trace events have it.
    fn from_str(text: &str) -> Result<Self, String> {
        let parsed = text
            .split_once([':', ','])
            .and_then(|(major, minor)| Some(Self::new(major.parse().ok()?, minor.parse().ok()?)));
        parsed.ok_or_else(|| format!("{text} is not major:minor"))
    }
}

impl Serialize for Dev {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

/// What a device is.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(tag = "kind", rename_all = "kebab-case")]
pub enum Kind {
    /// Nothing is below it that the kernel tells of.
    Disk {
        /// As the disk names itself.
        model: String,
    },
    /// A part of the one below.
    Partition {
        /// Its first sector there.
        start: u64,
    },
    /// A mapped device.
    Mapped {
        /// Its name.
        mapping: String,
        /// Its table; empty where it could not be read.
        targets: Vec<Target>,
    },
    /// A device of md.
    Raid {
        /// As `md/level` has it: `raid1`, `raid5`...
        level: String,
    },
    /// A file as a device.
    Loop {
        /// The file.
        file: String,
    },
    /// Something with devices below that this program does not know.
    Other,
}

/// An integrity profile, as sysfs tells of it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Integrity {
    /// Such as `T10-DIF-TYPE1-CRC`.
    pub format: String,
    /// The bytes that one tuple protects.
    pub interval: u64,
    /// The device says that it checks the guard itself.
    pub device_checks: bool,
    /// The block layer makes tuples for writes that have none.
    pub generates: bool,
    /// The block layer verifies reads that no layer above does.
    pub verifies: bool,
}

/// A device with what is below it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Node {
    /// The kernel's name: `sda1`, `dm-0`.
    pub name: String,
    /// The path under which it is opened.
    pub path: String,
    /// Its number.
    pub dev: Dev,
    /// What it is.
    #[serde(flatten)]
    pub kind: Kind,
    /// Its length.
    pub sectors: u64,
    /// The bytes of a logical block.
    pub logical_block: u64,
    /// Whether filesystems are told to leave pages alone while they are written.
    pub stable_writes: Option<bool>,
    /// Its profile, if it shows one.
    pub integrity: Option<Integrity>,
    /// The devices that it is made of.
    pub below: Vec<Node>,
}

/// What stands on a device.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Above {
    /// The device on which it stands, by path.
    pub on: String,
    /// What it is.
    #[serde(flatten)]
    pub what: Standing,
}

/// A use of a device.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(tag = "use", rename_all = "kebab-case")]
pub enum Standing {
    /// A mounted filesystem.
    Mount {
        /// The directory.
        dir: String,
        /// The type of filesystem.
        fs: String,
        /// The options, of mount and filesystem.
        options: String,
    },
    /// Swap space.
    Swap,
    /// Another device.
    Device {
        /// Its path.
        path: String,
        /// What it is.
        #[serde(flatten)]
        kind: Kind,
        /// Whether it shows a profile.
        profile: bool,
    },
}

impl Node {
    /// The node itself and all below it, each before those that are below it.
    pub fn all(&self) -> Vec<&Node> {
        let mut all = vec![self];
        for node in &self.below {
            all.extend(node.all());
        }
        all
    }

    /// The devices with nothing below.
    pub fn leaves(&self) -> Vec<&Node> {
        self.all()
            .into_iter()
            .filter(|n| n.below.is_empty())
            .collect()
    }

    /// Whether each target is one of stable-pi.
    pub fn is_stable(&self) -> bool {
        self.kind.is_stable()
    }

    /// The tree with one line for each device.
    pub fn tree(&self) -> String {
        let mut out = String::new();
        self.draw(&mut out, "", "");
        out
    }

    fn draw(&self, out: &mut String, first: &str, rest: &str) {
        out.push_str(&format!("{first}{}\n", self.in_a_line()));
        for (i, node) in self.below.iter().enumerate() {
            let (branch, stem) = if i + 1 < self.below.len() {
                ("├─ ", "│  ")
            } else {
                ("└─ ", "   ")
            };
            node.draw(out, &format!("{rest}{branch}"), &format!("{rest}{stem}"));
        }
    }

    fn in_a_line(&self) -> String {
        let mut line = format!(
            "{}  {}, {}",
            self.path,
            self.kind,
            size::human(self.sectors * size::SECTOR)
        );
        match &self.integrity {
            Some(i) => {
                line.push_str(&format!(", {} per {} bytes", i.format, i.interval));
                line.push_str(if i.device_checks {
                    ", the device checks"
                } else {
                    ", the device does not say that it checks"
                });
            }
            None => line.push_str(", no profile"),
        }
        if self.stable_writes == Some(true) {
            line.push_str(", stable_writes");
        }
        line
    }
}

impl Kind {
    /// The kinds of a mapped device's targets, each once.
    pub fn target_kinds(&self) -> Vec<&str> {
        let Kind::Mapped { targets, .. } = self else {
            return Vec::new();
        };
        let mut kinds: Vec<&str> = targets.iter().map(|t| t.kind.as_str()).collect();
        kinds.dedup();
        kinds
    }

    /// Whether it has targets and each is one of stable-pi.
    pub fn is_stable(&self) -> bool {
        matches!(self, Kind::Mapped { targets, .. } if !targets.is_empty() && targets.iter().all(Target::is_ours))
    }

    /// Whether one of its targets is of this kind.
    pub fn has_target(&self, kind: &str) -> bool {
        self.target_kinds().contains(&kind)
    }
}

impl fmt::Display for Kind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Kind::Disk { model } if model.is_empty() => f.write_str("disk"),
            Kind::Disk { model } => write!(f, "disk {model}"),
            Kind::Partition { start } => write!(f, "partition from sector {start}"),
            Kind::Mapped { targets, .. } if targets.is_empty() => f.write_str("mapped"),
            Kind::Mapped { .. } => write!(f, "mapped: {}", self.target_kinds().join(", ")),
            Kind::Raid { level } => write!(f, "md {level}"),
            Kind::Loop { file } => write!(f, "loop over {file}"),
            Kind::Other => f.write_str("stacked"),
        }
    }
}

impl fmt::Display for Above {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.what {
            Standing::Mount { dir, fs, .. } => write!(f, "{fs} at {dir} on {}", self.on),
            Standing::Swap => write!(f, "swap on {}", self.on),
            Standing::Device { path, kind, .. } => write!(f, "{path} ({kind}) on {}", self.on),
        }
    }
}

#[cfg(test)]
pub mod samples {
    //! Stacks for tests.

    use super::*;

    /// A disk of 64 MiB.
    pub fn disk(name: &str, minor: u32) -> Node {
        Node {
            name: name.into(),
            path: format!("/dev/{name}"),
            dev: Dev::new(8, minor),
            kind: Kind::Disk {
                model: "scsi_debug".into(),
            },
            sectors: 131072,
            logical_block: 512,
            stable_writes: Some(false),
            integrity: None,
            below: Vec::new(),
        }
    }

    /// A profile with intervals of so many bytes.
    pub fn profile(interval: u64, device_checks: bool) -> Integrity {
        Integrity {
            format: "T10-DIF-TYPE1-CRC".into(),
            interval,
            device_checks,
            generates: true,
            verifies: true,
        }
    }

    /// A disk with protection information.
    pub fn pi_disk(name: &str, minor: u32) -> Node {
        Node {
            integrity: Some(profile(512, true)),
            ..disk(name, minor)
        }
    }

    /// An array of them.
    pub fn raid(level: &str, below: Vec<Node>) -> Node {
        Node {
            name: "md0".into(),
            path: "/dev/md0".into(),
            dev: Dev::new(9, 0),
            kind: Kind::Raid {
                level: level.into(),
            },
            below,
            ..disk("md0", 0)
        }
    }

    /// A mapped device with one target over the whole of another.
    pub fn mapped(name: &str, kind: &str, below: Node) -> Node {
        let target = Target {
            start: 0,
            length: below.sectors,
            kind: kind.into(),
            params: format!("{} 0", below.dev),
        };
        Node {
            name: "dm-0".into(),
            path: format!("/dev/mapper/{name}"),
            dev: Dev::new(254, 0),
            kind: Kind::Mapped {
                mapping: name.into(),
                targets: vec![target],
            },
            below: vec![below],
            ..disk("dm-0", 0)
        }
    }

    /// A filesystem on a device.
    pub fn mounted(on: &Node, fs: &str) -> Above {
        Above {
            on: on.path.clone(),
            what: Standing::Mount {
                dir: "/mnt".into(),
                fs: fs.into(),
                options: "rw,relatime".into(),
            },
        }
    }
}

#[cfg(test)]
mod tests {
    use super::samples::*;
    use super::*;

    #[test]
    fn numbers() {
        assert_eq!("8:16".parse(), Ok(Dev::new(8, 16)));
        assert_eq!("254,0".parse(), Ok(Dev::new(254, 0)));
        for text in ["", "8", "8:", ":0", "8:x", "-1:0"] {
            assert!(text.parse::<Dev>().is_err(), "{text}");
        }
    }

    #[test]
    fn the_tree_goes_down_to_the_disks() {
        let legs = vec![
            mapped("leg0", "stable-pi", pi_disk("sda", 0)),
            disk("sdb", 16),
        ];
        let tree = raid("raid1", legs).tree();
        let expected = "\
/dev/md0  md raid1, 64.0 MiB, no profile
├─ /dev/mapper/leg0  mapped: stable-pi, 64.0 MiB, no profile
│  └─ /dev/sda  disk scsi_debug, 64.0 MiB, T10-DIF-TYPE1-CRC per 512 bytes, the device checks
└─ /dev/sdb  disk scsi_debug, 64.0 MiB, no profile
";
        assert_eq!(tree, expected);
    }

    #[test]
    fn a_device_is_stable_if_all_its_targets_are() {
        let mut node = mapped("pi", "stable-pi", pi_disk("sda", 0));
        assert!(node.is_stable());
        let Kind::Mapped { targets, .. } = &mut node.kind else {
            unreachable!()
        };
        targets.push(Target {
            start: 131072,
            length: 8,
            kind: "linear".into(),
            params: "8:16 0".into(),
        });
        assert!(!node.is_stable());
        assert!(node.kind.has_target("linear"));
    }
}
