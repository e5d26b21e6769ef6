// SPDX-License-Identifier: GPL-2.0

//! Where a sweep keeps how far it has come.

use std::fs;
use std::io::Write;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result};

use crate::model::sweep::State;

/// The file for a command on a device, unless another one is asked for.
pub fn default_path(command: &str, device: &str) -> PathBuf {
    let name: String = device
        .trim_start_matches("/dev/")
        .chars()
        .map(|c| {
            if c.is_ascii_alphanumeric() || "-_.".contains(c) {
                c
            } else {
                '-'
            }
        })
        .collect();
    Path::new("/var/lib/stablepi").join(format!("{command}-{name}.json"))
}

/// Writes it so that there is a whole one at any time, also when power fails.
pub fn save(path: &Path, state: &State) -> Result<()> {
    let what = || {
        format!(
            "cannot keep how far it has come in {}; see --state",
            path.display()
        )
    };
    if let Some(folder) = path.parent().filter(|f| !f.as_os_str().is_empty()) {
        fs::create_dir_all(folder).with_context(what)?;
    }
    replace(path, &serde_json::to_vec(state)?).with_context(what)
}

/// Writes a file that is the old one or the new one for those who read it.
pub fn replace(path: &Path, contents: &[u8]) -> std::io::Result<()> {
    let mut new = path.as_os_str().to_owned();
    new.push(".new");
    let new = PathBuf::from(new);
    let mut file = fs::File::create(&new)?;
    file.write_all(contents)?;
    file.sync_all()?;
    fs::rename(&new, path)
}

/// The text that was kept.
pub fn load(path: &Path) -> Result<String> {
    fs::read_to_string(path)
        .with_context(|| format!("there is nothing to go on with in {}", path.display()))
}

/// Nothing is left to go on with.
pub fn remove(path: &Path) {
    let _ = fs::remove_file(path);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_of_files() {
        let path = default_path("scrub", "/dev/disk/by-id/x y");
        assert_eq!(
            path,
            Path::new("/var/lib/stablepi/scrub-disk-by-id-x-y.json")
        );
    }

    #[test]
    fn what_is_saved_is_loaded() {
        let folder = std::env::temp_dir().join(format!("stablepi-store-{}", std::process::id()));
        let path = folder.join("state");
        let state = State::new("scrub", "/dev/sda", "x", 4096, 0, 4096);
        save(&path, &state).expect("a temporary folder");
        save(&path, &state).expect("over what is there");
        let text = load(&path).expect("what was saved");
        assert_eq!(State::resume(&text, "scrub", "x", 4096), Ok(state));
        remove(&path);
        assert!(load(&path).is_err());
        let _ = fs::remove_dir(&folder);
    }
}
