// SPDX-License-Identifier: GPL-2.0

//! `/etc/stablepitab`: the devices to open when the machine starts.

use std::fmt;
use std::path::PathBuf;

use super::size;

/// A line: name, device, options.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Entry {
    /// The name of the mapped device.
    pub name: String,
    /// A path, or `UUID=`, `PARTUUID=`, `LABEL=`, `PARTLABEL=`, `ID=` or `WWN=`.
    pub device: String,
    /// The words between the commas.
    pub options: Vec<String>,
}

/// The options that are for systemd and not for the target.
const FOR_SYSTEMD: [&str; 5] = ["noauto", "nofail", "_netdev", "x-initrd.attach", "defaults"];

impl Entry {
    /// Whether the option is there.
    pub fn has(&self, option: &str) -> bool {
        self.options.iter().any(|o| o == option)
    }

    /// The device's path, as udev makes it.
    pub fn path(&self) -> PathBuf {
        let (folder, value) = match self.device.split_once('=') {
            Some(("UUID", value)) => ("by-uuid", value.to_ascii_lowercase()),
            Some(("PARTUUID", value)) => ("by-partuuid", value.to_ascii_lowercase()),
            Some(("LABEL", value)) => ("by-label", value.into()),
            Some(("PARTLABEL", value)) => ("by-partlabel", value.into()),
            Some(("ID", value)) => ("by-id", value.into()),
            Some(("WWN", value)) => ("by-id", format!("wwn-{}", value.to_ascii_lowercase())),
            _ => return PathBuf::from(&self.device),
        };
        PathBuf::from("/dev/disk").join(folder).join(value)
    }

    /// The arguments of the table line, the sector to begin at, and the sectors to map.
    pub fn arguments(&self) -> Result<(Vec<String>, u64, Option<u64>), String> {
        let (mut args, mut offset, mut length) = (Vec::new(), 0, None);
        for option in &self.options {
            if FOR_SYSTEMD.contains(&option.as_str()) || option.starts_with("x-systemd.") {
                continue;
            }
            let in_sectors = |value: &str| match size::parse(value)? {
                bytes if bytes % size::SECTOR == 0 => Ok(bytes / size::SECTOR),
                _ => Err("not a whole number of sectors".to_string()),
            };
            match option.split_once('=') {
                Some(("offset", value)) => {
                    offset = in_sectors(value).map_err(|e| format!("offset: {e}"))?
                }
                Some(("size", value)) => {
                    length = Some(in_sectors(value).map_err(|e| format!("size: {e}"))?)
                }
                Some((key, value)) => args.push(format!("{}:{value}", key.replace('-', "_"))),
                None => args.push(option.replace('-', "_")),
            }
        }
        Ok((args, offset, length))
    }
}

impl fmt::Display for Entry {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}", self.name, self.device)?;
        if !self.options.is_empty() {
            write!(f, " {}", self.options.join(","))?;
        }
        Ok(())
    }
}

/// Whether device mapper takes it for a name without changing it.
pub fn is_name(name: &str) -> bool {
    const ALLOWED: &str = "#+-.:=@_";
    !name.is_empty()
        && name.len() < 128
        && !matches!(name, "." | ".." | "control")
        && name
            .chars()
            .all(|c| c.is_ascii_alphanumeric() || ALLOWED.contains(c))
}

/// Whether an entry is of the device with this node and these links, as udev has them.
pub fn has_member(entries: &[Entry], node: &str, links: &str) -> bool {
    let paths = || std::iter::once(node).chain(links.split_ascii_whitespace());
    entries.iter().any(|entry| {
        let path = entry.path();
        paths().any(|p| path.as_os_str() == p)
    })
}

/// The entries of a file, and what is wrong with those that are none.
pub fn parse(text: &str) -> (Vec<Entry>, Vec<String>) {
    let (mut entries, mut wrong) = (Vec::<Entry>::new(), Vec::new());
    for (i, line) in text.lines().enumerate() {
        let line = line.trim();
        if line.is_empty() || line.starts_with('#') {
            continue;
        }
        let number = i + 1;
        let words: Vec<&str> = line.split_ascii_whitespace().collect();
        let (name, device, options) = match words[..] {
            [name, device] => (name, device, ""),
            [name, device, "-" | "none"] => (name, device, ""),
            [name, device, options] => (name, device, options),
            _ => {
                wrong.push(format!(
                    "line {number}: expected: <name> <device> [<option>[,<option>...]]"
                ));
                continue;
            }
        };
        if !is_name(name) {
            wrong.push(format!(
                "line {number}: {name} is no name for a mapped device"
            ));
        } else if entries.iter().any(|e| e.name == name) {
            wrong.push(format!("line {number}: {name} is there twice"));
        } else {
            let entry = Entry {
                name: name.into(),
                device: device.into(),
                options: options
                    .split(',')
                    .filter(|o| !o.is_empty())
                    .map(String::from)
                    .collect(),
            };
            if !entry.path().is_absolute() {
                wrong.push(format!("line {number}: {device} is no path and none of UUID=, PARTUUID=, LABEL=, PARTLABEL=, ID=, WWN="));
            } else if let Err(reason) = entry.arguments() {
                wrong.push(format!("line {number}: {reason}"));
            } else {
                entries.push(entry);
            }
        }
    }
    (entries, wrong)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const TAB: &str = "\
# name  device  options
pi      /dev/sda
leg0    WWN=0x5000C500A1B2C3D4   policy=copy,nofail
data    PARTUUID=ABCD-01  -
part    ID=scsi-1  offset=1M,size=8s,app-tag=0x12,passthrough,x-systemd.device-timeout=5s
";

    #[test]
    fn entries() {
        let (entries, wrong) = parse(TAB);
        assert!(wrong.is_empty(), "{wrong:?}");
        let paths: Vec<_> = entries
            .iter()
            .map(|e| e.path().display().to_string())
            .collect();
        let expected = [
            "/dev/sda",
            "/dev/disk/by-id/wwn-0x5000c500a1b2c3d4",
            "/dev/disk/by-partuuid/abcd-01",
            "/dev/disk/by-id/scsi-1",
        ];
        assert_eq!(paths, expected);
        assert!(entries[1].has("nofail"));
        assert_eq!(
            entries[1].arguments(),
            Ok((vec!["policy:copy".into()], 0, None))
        );
        let (args, offset, length) = entries[3].arguments().expect("good options");
        assert_eq!(args, ["app_tag:0x12", "passthrough"]);
        assert_eq!((offset, length), (2048, Some(8)));
    }

    #[test]
    fn one_bad_line_does_not_spoil_the_others() {
        let text = "a\nb c d e\npi/x /dev/sda\npi /dev/sda\npi /dev/sdb\nq sda\nr /dev/sdc offset=1\ns /dev/sdd\n";
        let (entries, wrong) = parse(text);
        let names: Vec<_> = entries.iter().map(|e| e.name.as_str()).collect();
        assert_eq!(names, ["pi", "s"]);
        assert_eq!(wrong.len(), 6, "{wrong:?}");
        assert!(wrong[3].starts_with("line 5: pi is there twice"));
    }

    #[test]
    fn members() {
        let (entries, _) = parse(TAB);
        assert!(has_member(&entries, "/dev/sda", ""));
        assert!(has_member(
            &entries,
            "/dev/sdq",
            "/dev/disk/by-path/x /dev/disk/by-partuuid/abcd-01"
        ));
        assert!(!has_member(
            &entries,
            "/dev/sda1",
            "/dev/disk/by-id/scsi-10"
        ));
        assert!(!has_member(&[], "/dev/sda", ""));
    }

    #[test]
    fn names() {
        assert!(is_name("leg0") && is_name("my-disk_1.x"));
        for name in ["", ".", "..", "control", "a b", "a/b", "ä"] {
            assert!(!is_name(name), "{name}");
        }
    }

    proptest! {
        #[test]
        fn round_trip(
            name in "[a-z0-9][a-z0-9_.-]{0,20}",
            device in "(/dev/[a-z0-9]{1,9}|UUID=[a-f0-9-]{1,36}|WWN=0x[a-f0-9]{16})",
            options in prop::collection::vec("(policy=copy|nofail|waits=on|app-tag=0x[0-9a-f]{1,4}|size=[0-9]{1,6}s)", 0..5),
        ) {
            prop_assume!(is_name(&name));
            let entry = Entry { name, device, options };
            let (entries, wrong) = parse(&entry.to_string());
            prop_assert_eq!(wrong, Vec::<String>::new());
            prop_assert_eq!(entries, vec![entry]);
        }

        #[test]
        fn nothing_panics(text in "\\PC*") {
            let _ = parse(&text);
        }
    }
}
