// SPDX-License-Identifier: GPL-2.0

//! Block devices as sysfs and procfs tell of them.

use std::fs;
use std::os::unix::fs::{FileTypeExt, MetadataExt};
use std::path::{Path, PathBuf};

use anyhow::Result;

use super::dm;
use crate::failure::{failure, Code};
use crate::model::stack::{Above, Dev, Integrity, Kind, Node, Standing};
use crate::model::table::Target;

/// Where sysfs and procfs are, and who is asked for tables.
pub struct Machine {
    sys: PathBuf,
    proc: PathBuf,
    table: fn(Dev) -> Vec<Target>,
}

/// A mounted filesystem.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Mount {
    /// The number that its files have.
    pub dev: Dev,
    /// The directory within the filesystem that is mounted.
    pub root: String,
    /// Where.
    pub dir: String,
    /// Its type.
    pub fs: String,
    /// The device.
    pub source: String,
    /// Options of the mount and of the filesystem.
    pub options: String,
}

impl Machine {
    /// This one.
    pub fn this() -> Self {
        Self {
            sys: "/sys".into(),
            proc: "/proc".into(),
            table: |dev| dm::table(dm::Id::Dev(dev)).unwrap_or_default(),
        }
    }

    /// The device and all that is below it.
    pub fn node(&self, dev: Dev) -> Result<Node> {
        self.node_at(&self.folder(dev)?)
    }

    fn folder(&self, dev: Dev) -> Result<PathBuf> {
        let link = self.sys.join(format!("dev/block/{dev}"));
        fs::canonicalize(&link)
            .map_err(|_| failure(Code::Missing, format!("there is no block device {dev}")))
    }

    fn node_at(&self, folder: &Path) -> Result<Node> {
        let name = name_of(folder);
        let dev = word(&folder.join("dev"))
            .and_then(|t| t.parse().ok())
            .unwrap_or_default();
        let partition = folder.join("partition").exists();
        // What a partition does not have by itself it has of its disk.
        let disk = if partition {
            folder.parent().unwrap_or(folder)
        } else {
            folder
        };
        let kind = self.kind(folder, dev);
        let mut below = Vec::new();
        if partition {
            below.push(self.node_at(disk)?);
        } else {
            for entry in sorted(&folder.join("slaves")) {
                below.push(self.node_at(&fs::canonicalize(entry)?)?);
            }
        }
        let path = match &kind {
            Kind::Mapped { mapping, .. } => format!("/dev/mapper/{mapping}"),
            // As "cciss!c0d0".
            _ => format!("/dev/{}", name.replace('!', "/")),
        };
        Ok(Node {
            path,
            dev,
            sectors: number(&folder.join("size")).unwrap_or(0),
            logical_block: number(&disk.join("queue/logical_block_size")).unwrap_or(512),
            stable_writes: number(&disk.join("queue/stable_writes")).map(|n| n != 0),
            integrity: integrity(&disk.join("integrity")),
            kind,
            below,
            name,
        })
    }

    fn kind(&self, folder: &Path, dev: Dev) -> Kind {
        let text = |file: &str| word(&folder.join(file));
        if let Some(start) = text("start").and_then(|t| t.parse().ok()) {
            return Kind::Partition { start };
        }
        if let Some(mapping) = text("dm/name") {
            return Kind::Mapped {
                mapping,
                targets: (self.table)(dev),
            };
        }
        if let Some(level) = text("md/level") {
            return Kind::Raid { level };
        }
        if let Some(file) = text("loop/backing_file") {
            return Kind::Loop { file };
        }
        if !sorted(&folder.join("slaves")).is_empty() {
            return Kind::Other;
        }
        Kind::Disk {
            model: text("device/model").unwrap_or_default(),
        }
    }

    /// What stands on the device, directly or further up.
    pub fn above(&self, node: &Node) -> Result<Vec<Above>> {
        let mounts = self.mounts();
        let swaps = fs::read_to_string(self.proc.join("swaps")).unwrap_or_default();
        let mut above = Vec::new();
        self.add_above(&self.folder(node.dev)?, node, &mounts, &swaps, &mut above)?;
        Ok(above)
    }

    /// The devices directly on this one.
    pub fn holders(&self, dev: Dev) -> Result<Vec<Node>> {
        holder_folders(&self.folder(dev)?)?
            .iter()
            .map(|folder| self.node_at(folder))
            .collect()
    }

    /// The sector of a member at which the data of its md array begins.
    pub fn member_offset(&self, array: Dev, member: Dev) -> u64 {
        let (Ok(array), Ok(member)) = (self.folder(array), self.folder(member)) else {
            return 0;
        };
        number(&array.join(format!("md/dev-{}/offset", name_of(&member)))).unwrap_or(0)
    }

    fn add_above(
        &self,
        folder: &Path,
        node: &Node,
        mounts: &[Mount],
        swaps: &str,
        out: &mut Vec<Above>,
    ) -> Result<()> {
        let mut add = |what| {
            out.push(Above {
                on: node.path.clone(),
                what,
            });
        };
        for mount in mounts
            .iter()
            .filter(|m| m.dev == node.dev || self.is_path_of(&m.source, node))
        {
            add(Standing::Mount {
                dir: mount.dir.clone(),
                fs: mount.fs.clone(),
                options: mount.options.clone(),
            });
        }
        for line in swaps.lines().skip(1) {
            let source = line.split_ascii_whitespace().next().unwrap_or("");
            if self.is_path_of(source, node) {
                add(Standing::Swap);
            }
        }
        for holder in holder_folders(folder)? {
            let upper = self.node_at(&holder)?;
            out.push(Above {
                on: node.path.clone(),
                what: Standing::Device {
                    path: upper.path.clone(),
                    kind: upper.kind.clone(),
                    profile: upper.integrity.is_some(),
                },
            });
            self.add_above(&holder, &upper, mounts, swaps, out)?;
        }
        Ok(())
    }

    /// Whether what a mount or a swap area names as its source is this device.
    fn is_path_of(&self, source: &str, node: &Node) -> bool {
        source.starts_with("/dev/")
            && (source == node.path || dev_of(Path::new(source)) == Some(node.dev))
    }

    /// All mounted filesystems, as this process sees them.
    pub fn mounts(&self) -> Vec<Mount> {
        let text = fs::read_to_string(self.proc.join("self/mountinfo")).unwrap_or_default();
        text.lines().filter_map(mount).collect()
    }
}

/// The number of a block device, by its path.
pub fn dev_of(path: &Path) -> Option<Dev> {
    let data = fs::metadata(path).ok()?;
    let rdev = data.rdev();
    data.file_type()
        .is_block_device()
        .then(|| Dev::new(libc::major(rdev), libc::minor(rdev)))
}

/// The number of what a user typed: a path, or the name of a mapped device.
pub fn resolve(text: &str) -> Result<Dev> {
    if let Some(dev) = dev_of(Path::new(text)) {
        return Ok(dev);
    }
    if Path::new(text).exists() {
        return Err(failure(Code::Missing, format!("{text} is no block device")));
    }
    if !text.contains('/') {
        if let Ok(info) = dm::info(dm::Id::Name(text)) {
            return Ok(info.dev);
        }
        return Err(failure(
            Code::Missing,
            format!(
                "there is no mapped device {text}, and it is no path; see: stablepi list, lsblk"
            ),
        ));
    }
    Err(failure(
        Code::Missing,
        format!("there is no {text}; see: lsblk"),
    ))
}

fn mount(line: &str) -> Option<Mount> {
    // 36 35 98:0 /root /mnt rw,noatime master:1 - ext3 /dev/root rw,errors=continue
    let (front, back) = line.split_once(" - ")?;
    let front: Vec<&str> = front.split(' ').collect();
    let back: Vec<&str> = back.split(' ').collect();
    Some(Mount {
        dev: front.get(2)?.parse().ok()?,
        root: unescape(front.get(3)?),
        dir: unescape(front.get(4)?),
        fs: back.first()?.to_string(),
        source: unescape(back.get(1)?),
        options: format!("{},{}", front.get(5)?, back.get(2)?),
    })
}

/// `\040` and the like, as procfs writes what would end a word.
fn unescape(text: &str) -> String {
    let bytes = text.as_bytes();
    let mut out = Vec::with_capacity(bytes.len());
    let mut i = 0;
    while i < bytes.len() {
        let code = (bytes[i] == b'\\')
            .then(|| text.get(i + 1..i + 4))
            .flatten();
        match code.and_then(|digits| u8::from_str_radix(digits, 8).ok()) {
            Some(byte) => {
                out.push(byte);
                i += 4;
            }
            None => {
                out.push(bytes[i]);
                i += 1;
            }
        }
    }
    String::from_utf8_lossy(&out).into_owned()
}

fn name_of(folder: &Path) -> String {
    folder
        .file_name()
        .unwrap_or_default()
        .to_string_lossy()
        .into_owned()
}

fn word(file: &Path) -> Option<String> {
    let text = fs::read_to_string(file).ok()?;
    Some(text.trim().to_string())
}

fn number(file: &Path) -> Option<u64> {
    word(file)?.parse().ok()
}

fn sorted(folder: &Path) -> Vec<PathBuf> {
    let entries = fs::read_dir(folder).into_iter().flatten().flatten();
    let mut paths: Vec<PathBuf> = entries.map(|e| e.path()).collect();
    paths.sort();
    paths
}

/// The folders of what is directly on a device: holders, and partitions.
fn holder_folders(folder: &Path) -> Result<Vec<PathBuf>> {
    let mut holders = sorted(&folder.join("holders"));
    holders.extend(
        sorted(folder)
            .into_iter()
            .filter(|f| f.join("partition").exists()),
    );
    Ok(holders
        .into_iter()
        .map(fs::canonicalize)
        .collect::<Result<_, _>>()?)
}

fn integrity(folder: &Path) -> Option<Integrity> {
    let format = word(&folder.join("format"))?;
    if format == "none" || format.is_empty() {
        return None;
    }
    let flag = |file: &str| number(&folder.join(file)) == Some(1);
    Some(Integrity {
        interval: number(&folder.join("protection_interval_bytes")).unwrap_or(512),
        device_checks: flag("device_is_integrity_capable"),
        generates: flag("write_generate"),
        verifies: flag("read_verify"),
        format,
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::symlink;

    /// A sysfs of folders and files in a temporary folder.
    struct Fixture(PathBuf);

    impl Drop for Fixture {
        fn drop(&mut self) {
            let _ = fs::remove_dir_all(&self.0);
        }
    }

    impl Fixture {
        fn new(name: &str) -> Self {
            let root =
                std::env::temp_dir().join(format!("stablepi-sysfs-{name}-{}", std::process::id()));
            let _ = fs::remove_dir_all(&root);
            fs::create_dir_all(root.join("proc/self")).expect("a temporary folder");
            Self(root)
        }

        fn file(&self, path: &str, text: &str) {
            let path = self.0.join(path);
            fs::create_dir_all(path.parent().expect("a folder")).expect("a temporary folder");
            fs::write(path, format!("{text}\n")).expect("a temporary file");
        }

        /// A device with its number and size, and the link by number.
        fn device(&self, path: &str, dev: &str) {
            self.file(&format!("sys/devices/{path}/dev"), dev);
            self.file(&format!("sys/devices/{path}/size"), "131072");
            let links = self.0.join("sys/dev/block");
            fs::create_dir_all(&links).expect("a temporary folder");
            symlink(self.0.join("sys/devices").join(path), links.join(dev)).expect("a link");
        }

        fn stack(&self, upper: &str, lower: &str) {
            for (from, to, folder) in [(upper, lower, "slaves"), (lower, upper, "holders")] {
                let folder = self.0.join("sys/devices").join(from).join(folder);
                fs::create_dir_all(&folder).expect("a temporary folder");
                let target = self.0.join("sys/devices").join(to);
                symlink(&target, folder.join(name_of(&target))).expect("a link");
            }
        }

        fn machine(&self) -> Machine {
            Machine {
                sys: self.0.join("sys"),
                proc: self.0.join("proc"),
                table: |dev| {
                    vec![Target {
                        start: 0,
                        length: 131072,
                        kind: if dev.minor == 0 {
                            "stable-pi"
                        } else {
                            "linear"
                        }
                        .into(),
                        params: "8:1 0".into(),
                    }]
                },
            }
        }
    }

    /// ext4 on a linear device on a partition of a disk with protection information.
    fn linear_on_partition(name: &str) -> Fixture {
        let fixture = Fixture::new(name);
        fixture.device("host0/sda", "8:0");
        fixture.device("host0/sda/sda1", "8:1");
        fixture.device("virtual/dm-1", "254:1");
        fixture.file("sys/devices/host0/sda/device/model", "scsi_debug      ");
        fixture.file("sys/devices/host0/sda/queue/logical_block_size", "4096");
        fixture.file("sys/devices/host0/sda/queue/stable_writes", "1");
        for (file, text) in [
            ("format", "T10-DIF-TYPE1-CRC"),
            ("protection_interval_bytes", "4096"),
            ("device_is_integrity_capable", "1"),
            ("read_verify", "1"),
            ("write_generate", "0"),
        ] {
            fixture.file(&format!("sys/devices/host0/sda/integrity/{file}"), text);
        }
        fixture.file("sys/devices/host0/sda/sda1/partition", "1");
        fixture.file("sys/devices/host0/sda/sda1/start", "2048");
        fixture.file("sys/devices/virtual/dm-1/dm/name", "lv");
        fixture.file("sys/devices/virtual/dm-1/integrity/format", "none");
        fixture.stack("virtual/dm-1", "host0/sda/sda1");
        fixture.file(
            "proc/self/mountinfo",
            "36 35 254:1 / /mnt/my\\040data rw,noatime shared:1 - ext4 /dev/mapper/lv rw,errors=remount-ro",
        );
        fixture.file("proc/swaps", "Filename Type Size Used Priority");
        fixture
    }

    #[test]
    fn down_to_the_disk() {
        let fixture = linear_on_partition("down");
        let node = fixture.machine().node(Dev::new(254, 1)).expect("a device");
        assert_eq!(node.path, "/dev/mapper/lv");
        assert!(node.kind.has_target("linear") && node.integrity.is_none());
        let partition = &node.below[0];
        assert_eq!(
            (partition.path.as_str(), &partition.kind),
            ("/dev/sda1", &Kind::Partition { start: 2048 })
        );
        let disk = &partition.below[0];
        assert_eq!(partition.integrity, disk.integrity);
        let integrity = disk.integrity.clone().expect("a profile");
        assert_eq!(
            (
                integrity.interval,
                integrity.device_checks,
                integrity.generates
            ),
            (4096, true, false)
        );
        assert_eq!((disk.logical_block, disk.stable_writes), (4096, Some(true)));
        assert_eq!(
            disk.kind,
            Kind::Disk {
                model: "scsi_debug".into()
            }
        );
        assert!(disk.below.is_empty());
    }

    #[test]
    fn up_to_the_mount() {
        let fixture = linear_on_partition("up");
        let machine = fixture.machine();
        let disk = machine.node(Dev::new(8, 0)).expect("a device");
        let above = machine.above(&disk).expect("what stands on it");
        let lines: Vec<String> = above.iter().map(|a| a.to_string()).collect();
        let expected = [
            "/dev/sda1 (partition from sector 2048) on /dev/sda",
            "/dev/mapper/lv (mapped: linear) on /dev/sda1",
            "ext4 at /mnt/my data on /dev/mapper/lv",
        ];
        assert_eq!(lines, expected);
        let Standing::Mount { options, .. } = &above[2].what else {
            panic!("{above:?}")
        };
        assert_eq!(options, "rw,noatime,rw,errors=remount-ro");
    }

    #[test]
    fn no_such_device() {
        let fixture = linear_on_partition("none");
        let error = fixture
            .machine()
            .node(Dev::new(7, 7))
            .expect_err("no such device");
        assert_eq!(crate::failure::code_of(&error), Code::Missing);
    }

    #[test]
    fn escapes() {
        assert_eq!(unescape(r"/mnt/a\040b\134"), r"/mnt/a b\");
        assert_eq!(unescape(r"/mnt/\9ä\04"), r"/mnt/\9ä\04");
    }
}
