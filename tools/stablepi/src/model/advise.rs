// SPDX-License-Identifier: GPL-2.0

//! What is at risk with a stack as it is, and where stable-pi should stand in it.
//!
//! The reasons are those of Documentation/hazards.rst.

use serde::Serialize;

use super::size::SECTOR;
use super::stack::{Above, Kind, Node, Standing};
use super::table::TARGET;

/// The longest interval, in bytes, that the target can do.
const LONGEST_INTERVAL: u64 = 4096;

/// What follows from a stack and from what stands on it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Advice {
    /// `leaf` or `stack`.
    pub shape: &'static str,
    /// Who finds a page that changed under a write.
    pub checked_by: String,
    /// What can happen.
    pub risks: Vec<Risk>,
    /// What to do about it; nothing where nothing is to be done.
    pub recommend: Vec<Recommendation>,
    /// Why that, or why nothing.
    pub reason: String,
}

/// One thing that can go wrong.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Risk {
    /// What goes wrong.
    pub what: String,
    /// Because of whom or what.
    pub because: String,
}

/// One target to make.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Recommendation {
    /// On which device.
    pub over: String,
    /// The table line.
    pub line: String,
    /// What has to be taken down first.
    pub in_use_by: Vec<String>,
}

/// What makes a checksum, or a second copy, of pages that are being written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Maker {
    Profile,
    DmIntegrity,
    Mirror,
    Parity,
    Transport,
}

/// Judges a device with what is below and above it.
pub fn advise(node: &Node, above: &[Above]) -> Advice {
    let mut advice = Advice {
        shape: if node.below.is_empty() {
            "leaf"
        } else {
            "stack"
        },
        checked_by: checked_by(node),
        risks: Vec::new(),
        recommend: Vec::new(),
        reason: String::new(),
    };
    let exposed = exposed(node);
    if exposed.is_empty() {
        advice.reason = if node.all().iter().any(|n| n.is_stable()) {
            "stable-pi is in this stack already, above all that makes checksums or copies of pages"
                .into()
        } else if node.all().iter().any(|n| n.kind.has_target("crypt")) {
            "dm-crypt writes copies of its own, which nothing changes; nothing above it makes checksums".into()
        } else {
            "nothing in this stack makes checksums or second copies of pages that are being written"
                .into()
        };
        return advice;
    }
    for (maker, at) in &exposed {
        risks(*maker, at, node, above, &mut advice.risks);
    }
    recommend(&exposed, node, above, &mut advice);
    advice
}

/// Whether what is written to this device is a copy that nothing changes any more.
fn is_private(node: &Node) -> bool {
    node.is_stable() || node.kind.has_target("crypt")
}

/// Those in the stack that sum up pages which those above can change; the highest first.
fn exposed(node: &Node) -> Vec<(Maker, &Node)> {
    if is_private(node) {
        return Vec::new();
    }
    let mut found = Vec::new();
    match &node.kind {
        Kind::Raid { level } => match level.as_str() {
            "raid1" | "raid10" => found.push((Maker::Mirror, node)),
            "raid4" | "raid5" | "raid6" => found.push((Maker::Parity, node)),
            _ => {}
        },
        Kind::Mapped { .. } => {
            if node.kind.has_target("integrity") {
                found.push((Maker::DmIntegrity, node));
            } else if node.kind.has_target("mirror") {
                found.push((Maker::Mirror, node));
            } else if let Some(level) = dm_raid_level(&node.kind) {
                match level {
                    Level::Mirror => found.push((Maker::Mirror, node)),
                    Level::Parity => found.push((Maker::Parity, node)),
                    Level::Other => {}
                }
            }
        }
        Kind::Partition { .. } => {
            // Its tuples are those of the disk, and a target can stand on it.
            if node.integrity.is_some() {
                return vec![(Maker::Profile, node)];
            }
        }
        Kind::Disk { .. } | Kind::Loop { .. } | Kind::Other => {
            if node.below.is_empty() {
                if node.integrity.is_some() {
                    found.push((Maker::Profile, node));
                } else if node.stable_writes == Some(true) {
                    found.push((Maker::Transport, node));
                }
            }
        }
    }
    for below in &node.below {
        found.extend(exposed(below));
    }
    found
}

enum Level {
    Mirror,
    Parity,
    Other,
}

/// The level of a target `raid`: its first parameter.
fn dm_raid_level(kind: &Kind) -> Option<Level> {
    let Kind::Mapped { targets, .. } = kind else {
        return None;
    };
    let target = targets.iter().find(|t| t.kind == "raid")?;
    let level = target.params.split(' ').next()?;
    Some(if level.starts_with("raid10") || level == "raid1" {
        Level::Mirror
    } else if level.starts_with("raid4") || level.starts_with("raid5") || level.starts_with("raid6")
    {
        Level::Parity
    } else {
        Level::Other
    })
}

fn checked_by(node: &Node) -> String {
    let mut by: Vec<String> = Vec::new();
    for n in node.all() {
        if n.is_stable() {
            by.push(format!("stable-pi ({})", n.path));
        } else if n.kind.has_target("integrity") {
            by.push(format!("dm-integrity, on reads ({})", n.path));
        } else if n.below.is_empty() {
            match &n.integrity {
                Some(i) if i.device_checks => by.push(format!("the device ({})", n.path)),
                Some(i) if i.verifies => by.push(format!("the block layer, on reads ({})", n.path)),
                _ => {}
            }
        }
    }
    if by.is_empty() {
        "nobody".into()
    } else {
        by.join(", ")
    }
}

/// The first device on the way from `node` down to `leaf` that hides the profile.
fn hidden_at<'a>(node: &'a Node, leaf: &Node) -> Option<&'a Node> {
    if node.dev == leaf.dev {
        return None;
    }
    let next = node
        .below
        .iter()
        .find(|n| n.all().iter().any(|m| m.dev == leaf.dev))?;
    if node.integrity.is_none() {
        Some(node)
    } else {
        hidden_at(next, leaf)
    }
}

fn risks(maker: Maker, at: &Node, node: &Node, above: &[Above], out: &mut Vec<Risk>) {
    let mut risk = |what: &str, because: String| {
        let risk = Risk {
            what: what.into(),
            because,
        };
        if !out.contains(&risk) {
            out.push(risk);
        }
    };
    let mounts: Vec<_> = above
        .iter()
        .filter_map(|a| match &a.what {
            Standing::Mount { dir, fs, options } => Some((dir, fs, options)),
            _ => None,
        })
        .collect();
    let direct: Vec<String> = mounts
        .iter()
        .filter(|(_, fs, _)| *fs != "xfs")
        .map(|(dir, fs, _)| format!("{fs} at {dir}"))
        .collect();
    let direct = if mounts.is_empty() {
        "any program that writes to the device, and filesystems other than XFS".to_string()
    } else {
        direct.join(", ")
    };
    let path = &at.path;
    match maker {
        Maker::Profile => {
            let checks = at.integrity.as_ref().is_some_and(|i| i.device_checks);
            let what = if checks {
                "a write fails when a page changes under it"
            } else {
                "data that changed under its write is stored with a checksum that does not match"
            };
            if !direct.is_empty() {
                risk(what, format!("direct I/O is not protected: {direct}"));
                risk(
                    "a read fails although the disk is right, when its buffer changes meanwhile",
                    format!("direct reads are verified in the reader's own memory: {direct}"),
                );
            }
            if let Some(hides) = hidden_at(node, at) {
                risk(
                    what,
                    format!(
                        "{} ({}) hides the profile of {path}, so no filesystem above waits for writeback",
                        hides.path, hides.kind
                    ),
                );
            }
            for a in above {
                if let Standing::Device { path: upper, kind, profile: false } = &a.what {
                    if !matches!(kind, Kind::Partition { .. }) && !kind.is_stable() && !kind.has_target("crypt") {
                        risk(
                            what,
                            format!("{upper} ({kind}) hides the profile, so no filesystem above waits for writeback"),
                        );
                    }
                }
            }
            for (dir, fs, options) in &mounts {
                if *fs == "btrfs" && options.split(',').any(|o| o == "nodatasum" || o == "nodatacow") {
                    risk(what, format!("btrfs at {dir} does not wait for writeback: it is mounted without checksums"));
                }
                if matches!(fs.as_str(), "ext2" | "vfat" | "msdos" | "jfs" | "minix" | "nilfs2" | "udf" | "ufs") {
                    risk(what, format!("{fs} at {dir} zeroes the end of a file without waiting"));
                }
                if *fs == "ceph" {
                    risk(what, format!("ceph at {dir} does not wait before a mapped page is written to"));
                }
            }
        }
        Maker::DmIntegrity => risk(
            "sectors that can never be read again, without an error when they are written",
            format!("dm-integrity ({path}) makes tags of pages that can change, unless it has a journal"),
        ),
        Maker::Mirror => risk(
            "the legs of the mirror differ, without an error",
            format!("{path} reads a page once for each leg"),
        ),
        Maker::Parity => risk(
            "parity does not match the data, and a rebuild makes other data",
            format!("{path} makes parity of pages that can change"),
        ),
        Maker::Transport => risk(
            "a digest on the wire does not match, and the connection is reset",
            format!("{path} asks for stable pages, since something below makes checksums, but direct I/O is not protected"),
        ),
    }
}

fn recommend(exposed: &[(Maker, &Node)], node: &Node, above: &[Above], advice: &mut Advice) {
    let profiles: Vec<&Node> = exposed
        .iter()
        .filter(|(maker, _)| *maker == Maker::Profile)
        .map(|(_, at)| *at)
        .collect();
    // Profiles first: a target on each leg makes tuples and lets a mirror heal.
    let (places, reason) = if !profiles.is_empty() {
        let reason = if profiles.len() > 1 || profiles[0].dev != node.dev {
            "directly on each device with protection information: what changes is put right for that leg alone, \
             and a read that does not match lets the layers above take another copy"
        } else {
            "directly on the device with protection information: tuples are made once, of data that stays \
             as it is, and everything above is free of the hazard"
        };
        (profiles, reason)
    } else {
        (
            vec![exposed[0].1],
            "above what makes checksums or copies, so that all of them are made of the same data",
        )
    };
    advice.reason = reason.into();
    for place in places {
        let interval = place
            .integrity
            .as_ref()
            .map_or(place.logical_block, |i| i.interval)
            .max(SECTOR);
        if interval > LONGEST_INTERVAL {
            advice.reason = format!(
                "{} has intervals of {interval} bytes, and the target can do {LONGEST_INTERVAL} at most",
                place.path
            );
            continue;
        }
        let unit = interval / SECTOR;
        let sectors = place.sectors / unit * unit;
        let mut in_use_by: Vec<String> = Vec::new();
        if place.dev == node.dev {
            in_use_by.extend(
                above
                    .iter()
                    .filter(|a| a.on == place.path)
                    .map(|a| a.to_string()),
            );
        } else {
            in_use_by.push(format!("{} ({})", node.path, node.kind));
            in_use_by.extend(above.iter().map(|a| a.to_string()));
        }
        advice.recommend.push(Recommendation {
            over: place.path.clone(),
            line: format!("0 {sectors} {TARGET} {} 0", place.path),
            in_use_by,
        });
    }
}

#[cfg(test)]
mod tests {
    use super::super::stack::samples::*;
    use super::*;
    use filter::args;

    fn places(advice: &Advice) -> Vec<&str> {
        advice.recommend.iter().map(|r| r.over.as_str()).collect()
    }

    fn says(advice: &Advice, words: &str) -> bool {
        advice
            .risks
            .iter()
            .any(|r| r.what.contains(words) || r.because.contains(words))
    }

    #[test]
    fn a_plain_disk_needs_nothing() {
        let advice = advise(&disk("sda", 0), &[]);
        assert_eq!(advice.shape, "leaf");
        assert_eq!(advice.checked_by, "nobody");
        assert!(advice.risks.is_empty() && advice.recommend.is_empty());
        assert!(advice.reason.starts_with("nothing in this stack"));
    }

    #[test]
    fn a_disk_with_protection_information_gets_a_target() {
        let disk = pi_disk("sda", 0);
        let advice = advise(&disk, &[]);
        assert_eq!(advice.checked_by, "the device (/dev/sda)");
        assert!(says(&advice, "direct I/O is not protected"));
        assert_eq!(advice.recommend[0].line, "0 131072 stable-pi /dev/sda 0");
        assert!(advice.recommend[0].in_use_by.is_empty());
        let words: Vec<&str> = advice.recommend[0].line.split(' ').skip(3).collect();
        assert!(args::Line::parse(&words).is_ok());
    }

    #[test]
    fn what_the_device_does_not_check_is_stored() {
        let mut disk = pi_disk("sda", 0);
        disk.integrity = Some(profile(512, false));
        let advice = advise(&disk, &[]);
        assert!(says(
            &advice,
            "is stored with a checksum that does not match"
        ));
        assert_eq!(advice.checked_by, "the block layer, on reads (/dev/sda)");
    }

    #[test]
    fn only_xfs_protects_direct_io() {
        let disk = pi_disk("sda", 0);
        assert!(says(
            &advise(&disk, &[mounted(&disk, "ext4")]),
            "ext4 at /mnt"
        ));
        let xfs = advise(&disk, &[mounted(&disk, "xfs")]);
        assert!(xfs.risks.is_empty(), "{:?}", xfs.risks);
        assert_eq!(xfs.recommend[0].in_use_by, ["xfs at /mnt on /dev/sda"]);
    }

    #[test]
    fn filesystems_that_do_not_wait() {
        let disk = pi_disk("sda", 0);
        let mut btrfs = mounted(&disk, "btrfs");
        assert!(!says(
            &advise(&disk, std::slice::from_ref(&btrfs)),
            "without checksums"
        ));
        let Standing::Mount { options, .. } = &mut btrfs.what else {
            unreachable!()
        };
        options.push_str(",nodatasum");
        assert!(says(&advise(&disk, &[btrfs]), "without checksums"));
        assert!(says(
            &advise(&disk, &[mounted(&disk, "vfat")]),
            "zeroes the end"
        ));
    }

    #[test]
    fn a_layer_that_hides_the_profile_is_named() {
        let flakey = mapped("fl", "flakey", pi_disk("sda", 0));
        let advice = advise(&flakey, &[]);
        assert!(says(
            &advice,
            "/dev/mapper/fl (mapped: flakey) hides the profile of /dev/sda"
        ));
        assert_eq!(places(&advice), ["/dev/sda"]);
        assert_eq!(
            advice.recommend[0].in_use_by,
            ["/dev/mapper/fl (mapped: flakey)"]
        );
        let mut linear = mapped("lv", "linear", pi_disk("sda", 0));
        linear.integrity = Some(profile(512, true));
        assert!(!says(&super::advise(&linear, &[]), "hides"));
    }

    #[test]
    fn each_leg_of_a_mirror_gets_its_own() {
        let array = raid("raid1", vec![pi_disk("sda", 0), pi_disk("sdb", 16)]);
        let advice = advise(&array, &[]);
        assert_eq!(advice.shape, "stack");
        assert_eq!(places(&advice), ["/dev/sda", "/dev/sdb"]);
        assert!(says(&advice, "legs of the mirror differ"));
    }

    #[test]
    fn legs_with_a_target_are_left_alone() {
        let legs = vec![
            mapped("leg0", "stable-pi", pi_disk("sda", 0)),
            mapped("leg1", "stable-pi", pi_disk("sdb", 16)),
        ];
        // The legs may still differ: each target sees its own copy of a page.
        let array = raid("raid1", legs);
        let advice = advise(&array, &[]);
        assert!(says(&advice, "legs of the mirror differ"));
        assert_eq!(places(&advice), ["/dev/md0"]);
    }

    #[test]
    fn parity_and_tags_get_one_above() {
        let parity = raid(
            "raid5",
            vec![disk("sda", 0), disk("sdb", 16), disk("sdc", 32)],
        );
        assert_eq!(places(&advise(&parity, &[])), ["/dev/md0"]);
        let striped = raid("raid0", vec![disk("sda", 0), disk("sdb", 16)]);
        assert!(advise(&striped, &[]).recommend.is_empty());
        let tags = mapped("tags", "integrity", disk("sda", 0));
        let advice = advise(&tags, &[]);
        assert!(says(&advice, "can never be read again"));
        assert_eq!(places(&advice), ["/dev/mapper/tags"]);
    }

    #[test]
    fn a_transport_with_digests_asks_for_stable_pages() {
        let mut nvme = disk("nvme0n1", 0);
        nvme.stable_writes = Some(true);
        let advice = advise(&nvme, &[]);
        assert!(says(&advice, "digest"));
        assert_eq!(places(&advice), ["/dev/nvme0n1"]);
    }

    #[test]
    fn nothing_is_to_be_done_where_pages_are_private() {
        let stable = mapped("pi", "stable-pi", pi_disk("sda", 0));
        let advice = advise(&stable, &[]);
        assert!(advice.risks.is_empty() && advice.recommend.is_empty());
        assert!(advice.reason.contains("already"));
        let crypt = mapped("c", "crypt", pi_disk("sda", 0));
        let advice = super::advise(&crypt, &[]);
        assert!(advice.risks.is_empty(), "{:?}", advice.risks);
        assert!(advice.reason.contains("dm-crypt"));
    }

    #[test]
    fn the_length_is_of_whole_intervals_that_the_target_can_do() {
        let mut disk = pi_disk("sda", 0);
        disk.integrity = Some(profile(4096, true));
        disk.sectors = 1003;
        assert_eq!(
            advise(&disk, &[]).recommend[0].line,
            "0 1000 stable-pi /dev/sda 0"
        );
        disk.integrity = Some(profile(8192, true));
        let advice = advise(&disk, &[]);
        assert!(advice.recommend.is_empty());
        assert!(advice.reason.contains("8192"));
    }
}
