// SPDX-License-Identifier: GPL-2.0

//! Names of files and processes in place of their numbers.

use std::collections::HashMap;
use std::fs;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use super::sysfs::Machine;
use crate::model::event::Owner;
use crate::model::stack::Dev;

/// The most files that are looked at for one name.
const MOST: usize = 200_000;

/// Finds names, and remembers them.
pub struct Names {
    machine: Machine,
    files: HashMap<(Dev, u64), Option<String>>,
}

impl Names {
    /// Of this machine.
    pub fn new() -> Self {
        Self {
            machine: Machine::this(),
            files: HashMap::new(),
        }
    }

    /// The page of an owner, in words.
    pub fn owner(&mut self, owner: &Owner) -> String {
        let mut text = format!("{} page", owner.class);
        if let Some((dev, ino)) = owner.file {
            match self.file(dev, ino) {
                Some(path) => text.push_str(&format!(" of {path}")),
                None if ino == 0 => text.push_str(&format!(" of the device {dev} itself")),
                None => text.push_str(&format!(" of inode {ino} on {dev}")),
            }
        }
        text.push_str(&format!(", written by {}", process(owner.pid, &owner.comm)));
        text
    }

    /// The path of a file, by its filesystem's device and its inode.
    pub fn file(&mut self, dev: Dev, ino: u64) -> Option<String> {
        if ino == 0 {
            return None;
        }
        if let Some(known) = self.files.get(&(dev, ino)) {
            return known.clone();
        }
        let found = open_by_a_process(dev, ino).or_else(|| self.in_its_filesystem(dev, ino));
        self.files.insert((dev, ino), found.clone());
        found
    }

    fn in_its_filesystem(&self, dev: Dev, ino: u64) -> Option<String> {
        let mount = self.machine.mounts().into_iter().find(|m| m.dev == dev)?;
        let mut left = MOST;
        walk(Path::new(&mount.dir), dev, &mut left, &mut |path, data| {
            (data.ino() == ino).then(|| path.display().to_string())
        })
    }
}

/// A process by its number: its program if it is still there.
pub fn process(pid: u32, comm: &str) -> String {
    match fs::read_link(format!("/proc/{pid}/exe")) {
        Ok(program) => format!("{} ({pid})", program.display()),
        Err(_) => format!("{comm} ({pid})"),
    }
}

fn dev_of(data: &fs::Metadata) -> Dev {
    Dev::new(libc::major(data.dev()), libc::minor(data.dev()))
}

/// The path under which some process has the file open.
fn open_by_a_process(dev: Dev, ino: u64) -> Option<String> {
    for process in fs::read_dir("/proc").ok()?.flatten() {
        let name = process.file_name();
        if !name.to_string_lossy().bytes().all(|b| b.is_ascii_digit()) {
            continue;
        }
        for folder in ["fd", "map_files"] {
            let entries = fs::read_dir(process.path().join(folder))
                .into_iter()
                .flatten()
                .flatten();
            for entry in entries {
                let Ok(data) = fs::metadata(entry.path()) else {
                    continue;
                };
                if data.ino() == ino && dev_of(&data) == dev && data.is_file() {
                    return fs::read_link(entry.path())
                        .ok()
                        .map(|p| p.display().to_string());
                }
            }
        }
    }
    None
}

/// Goes through a filesystem until `found` gives something, but looks at no more than `left` files.
pub fn walk<T>(
    top: &Path,
    dev: Dev,
    left: &mut usize,
    found: &mut impl FnMut(&Path, &fs::Metadata) -> Option<T>,
) -> Option<T> {
    let mut folders: Vec<PathBuf> = vec![top.into()];
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(&folder).into_iter().flatten().flatten() {
            if *left == 0 {
                return None;
            }
            *left -= 1;
            let path = entry.path();
            let Ok(data) = fs::symlink_metadata(&path) else {
                continue;
            };
            if dev_of(&data) != dev {
                continue;
            }
            if let Some(result) = found(&path, &data) {
                return Some(result);
            }
            if data.is_dir() {
                folders.push(path);
            }
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_that_a_process_has_open_has_a_name() {
        let path = std::env::temp_dir().join(format!("stablepi-names-{}", std::process::id()));
        let file = fs::File::create(&path).expect("a temporary file");
        let data = file.metadata().expect("of a file");
        let name = Names::new().file(dev_of(&data), data.ino());
        assert_eq!(name, Some(path.display().to_string()));
        let _ = fs::remove_file(&path);
    }

    #[test]
    fn a_process_that_is_gone_has_the_name_of_its_thread() {
        assert_eq!(process(u32::MAX, "dd"), format!("dd ({})", u32::MAX));
        let own = process(std::process::id(), "x");
        assert!(own.starts_with('/'), "{own}");
    }

    #[test]
    fn a_walk_finds_and_ends() {
        let top = std::env::temp_dir().join(format!("stablepi-walk-{}", std::process::id()));
        fs::create_dir_all(top.join("a/b")).expect("a temporary folder");
        fs::write(top.join("a/b/c"), "x").expect("a temporary file");
        let dev = dev_of(&fs::metadata(&top).expect("of a folder"));
        let mut c = |path: &Path, _: &fs::Metadata| path.ends_with("c").then(|| path.to_path_buf());
        assert_eq!(walk(&top, dev, &mut 10, &mut c), Some(top.join("a/b/c")));
        assert_eq!(walk(&top, dev, &mut 2, &mut c), None);
        let _ = fs::remove_dir_all(&top);
    }
}
