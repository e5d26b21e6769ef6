// SPDX-License-Identifier: GPL-2.0

//! All that is in a folder.

use std::collections::{hash_map::DefaultHasher, BTreeMap};
use std::fs;
use std::hash::{Hash, Hasher};
use std::io::Read;
use std::os::unix::fs::MetadataExt;
use std::path::Path;

use anyhow::Result;

use super::side::time;

/// What can be seen of a file.
#[derive(Debug, PartialEq, Eq)]
pub struct Entry {
    mode: u32,
    links: u64,
    owner: (u32, u32),
    size: u64,
    device: u64,
    modified: Option<(i64, i64)>,
    content: u64,
}

/// What is in the folder, by name.
pub fn of(root: &Path) -> Result<BTreeMap<String, Entry>> {
    let mut found = BTreeMap::new();
    add(root, "", &mut found)?;
    Ok(found)
}

fn add(folder: &Path, prefix: &str, found: &mut BTreeMap<String, Entry>) -> Result<()> {
    for entry in fs::read_dir(folder)? {
        let entry = entry?;
        let name = format!("{prefix}{}", entry.file_name().to_string_lossy());
        let path = entry.path();
        let meta = fs::symlink_metadata(&path)?;
        found.insert(
            name.clone(),
            Entry {
                mode: meta.mode(),
                links: meta.nlink(),
                owner: (meta.uid(), meta.gid()),
                // Of a folder it is what it was at its largest.
                size: if meta.is_dir() { 0 } else { meta.len() },
                device: meta.rdev(),
                modified: time(meta.mtime(), meta.mtime_nsec()),
                content: content(&path, &meta).unwrap_or(1),
            },
        );
        if meta.is_dir() {
            // A user may have no right to look into it.
            let _ = add(&path, &format!("{name}/"), found);
        }
    }
    Ok(())
}

/// Something that is the same for the same content.
fn content(path: &Path, meta: &fs::Metadata) -> Result<u64> {
    let mut hasher = DefaultHasher::new();
    if meta.is_symlink() {
        fs::read_link(path)?.hash(&mut hasher);
    } else if meta.is_file() {
        let mut data = Vec::new();
        fs::File::open(path)?.read_to_end(&mut data)?;
        data.hash(&mut hasher);
    }
    Ok(hasher.finish())
}
