// SPDX-License-Identifier: GPL-2.0

//! The systemd generator, see systemd.generator(7): the same program under another name.

use std::ffi::OsString;
use std::fs;
use std::os::unix::fs::symlink;
use std::path::Path;
use std::process::ExitCode;

use anyhow::{Context, Result};

use crate::model::tab::{self, Entry};

/// The name under which systemd runs it.
const NAME: &str = "stablepi-generator";

/// Where the package has the template.
const TEMPLATE: &str = "/usr/lib/systemd/system/stablepi@.service";

/// Whether the program was started as the generator.
pub fn is_asked_for(arguments: &[OsString]) -> bool {
    arguments
        .first()
        .is_some_and(|path| Path::new(path).file_name() == Some(NAME.as_ref()))
}

/// Writes the units for `/etc/stablepitab` into the first folder that it is given.
pub fn run(arguments: &[OsString]) -> ExitCode {
    let Some(folder) = arguments.get(1) else {
        eprintln!("{NAME}: which folder? See systemd.generator(7)");
        return ExitCode::from(2);
    };
    let tab = std::env::var_os("STABLEPITAB").unwrap_or_else(|| "/etc/stablepitab".into());
    match write(Path::new(&tab), Path::new(folder)) {
        Ok(()) => ExitCode::SUCCESS,
        Err(e) => {
            eprintln!("{NAME}: {e:#}");
            ExitCode::FAILURE
        }
    }
}

fn write(tab: &Path, folder: &Path) -> Result<()> {
    let text = match fs::read_to_string(tab) {
        Ok(text) => text,
        Err(e) if e.kind() == std::io::ErrorKind::NotFound => return Ok(()),
        Err(e) => return Err(e).with_context(|| format!("{} cannot be read", tab.display())),
    };
    let (entries, wrong) = tab::parse(&text);
    for line in wrong {
        eprintln!("{NAME}: {}: {line}", tab.display());
    }
    for entry in &entries {
        units(entry, folder)
            .with_context(|| format!("the unit of {} cannot be written", entry.name))?;
    }
    Ok(())
}

/// The units of one entry: when to start the instance, and who needs it.
fn units(entry: &Entry, folder: &Path) -> Result<()> {
    let instance = format!("stablepi@{}.service", escape(&entry.name));
    let drop_in = folder.join(format!("{instance}.d"));
    fs::create_dir_all(&drop_in)?;
    fs::write(drop_in.join("50-device.conf"), drop_in_text(entry))?;
    let link = |wanted_by: &str| -> Result<()> {
        let folder = folder.join(wanted_by);
        fs::create_dir_all(&folder)?;
        symlink(TEMPLATE, folder.join(&instance))?;
        Ok(())
    };
    let device = format!("dev-mapper-{}.device", escape(&entry.name));
    if !entry.has("noauto") {
        link(&format!("{device}.wants"))?;
        link(if entry.has("nofail") {
            "stablepi.target.wants"
        } else {
            "stablepi.target.requires"
        })?;
    }
    Ok(())
}

fn drop_in_text(entry: &Entry) -> String {
    let path = entry.path();
    let device = format!("{}.device", escape_path(&path.to_string_lossy()));
    let mut text = format!(
        "# Made by {NAME} from /etc/stablepitab\n[Unit]\nBindsTo={device}\nAfter={device}\n"
    );
    if entry.has("_netdev") {
        text.push_str("After=remote-fs-pre.target\nBefore=remote-fs.target\n");
    } else if !entry.has("noauto") && !entry.has("nofail") {
        text.push_str("Before=stablepi.target\n");
    }
    // What the initramfs has opened holds the root filesystem, which is there until the end.
    if !entry.has("x-initrd.attach") {
        text.push_str("Conflicts=umount.target\nBefore=umount.target\n");
    }
    text
}

/// As systemd-escape(1).
fn escape(text: &str) -> String {
    let mut out = String::new();
    for (i, byte) in text.bytes().enumerate() {
        match byte {
            b'/' => out.push('-'),
            b'.' if i == 0 => out.push_str("\\x2e"),
            b':' | b'_' | b'.' => out.push(byte as char),
            _ if byte.is_ascii_alphanumeric() => out.push(byte as char),
            _ => out.push_str(&format!("\\x{byte:02x}")),
        }
    }
    out
}

/// As `systemd-escape --path`.
fn escape_path(path: &str) -> String {
    let parts: Vec<&str> = path
        .split('/')
        .filter(|p| !p.is_empty() && *p != ".")
        .collect();
    if parts.is_empty() {
        "-".into()
    } else {
        escape(&parts.join("/"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    // What systemd-escape(1) of systemd 257 says.
    #[test]
    fn escapes_are_those_of_systemd() {
        assert_eq!(escape("leg-0.x_y:z"), "leg\\x2d0.x_y:z");
        assert_eq!(escape(".a+b"), "\\x2ea\\x2bb");
        assert_eq!(
            escape_path("/dev//disk/by-id/wwn-0x5/"),
            "dev-disk-by\\x2did-wwn\\x2d0x5"
        );
        assert_eq!(escape_path("/"), "-");
    }

    #[test]
    fn units_of_a_tab() {
        let folder =
            std::env::temp_dir().join(format!("stablepi-generator-{}", std::process::id()));
        let _ = fs::remove_dir_all(&folder);
        fs::create_dir_all(&folder).expect("a temporary folder");
        let tab = folder.join("tab");
        fs::write(
            &tab,
            "pi /dev/sda\nb WWN=0x5 nofail\nc /dev/sdc noauto\nbad\nroot /dev/sdd x-initrd.attach\n",
        )
        .expect("a temporary file");
        let out = folder.join("units");
        write(&tab, &out).expect("units");
        let drop_in = |name: &str| {
            fs::read_to_string(out.join(format!("stablepi@{name}.service.d/50-device.conf")))
                .expect("a drop-in")
        };
        let text = drop_in("pi");
        assert!(
            text.contains("BindsTo=dev-sda.device\nAfter=dev-sda.device\nBefore=stablepi.target\n"),
            "{text}"
        );
        assert!(text.contains("Conflicts=umount.target\n"), "{text}");
        assert!(!drop_in("root").contains("umount.target"));
        for link in [
            "dev-mapper-pi.device.wants/stablepi@pi.service",
            "stablepi.target.requires/stablepi@pi.service",
            "stablepi.target.wants/stablepi@b.service",
        ] {
            let target = fs::read_link(out.join(link)).unwrap_or_else(|e| panic!("{link}: {e}"));
            assert_eq!(target, Path::new(TEMPLATE));
        }
        assert!(out.join("stablepi@c.service.d").exists());
        assert!(!out.join("dev-mapper-c.device.wants").exists());
        write(&folder.join("none"), &out).expect("no tab, no units");
        let _ = fs::remove_dir_all(&folder);
    }
}
