// SPDX-License-Identifier: GPL-2.0

//! The command line: help, man pages and completions are made of this.

use std::path::PathBuf;

use clap::{ArgGroup, Args, Parser, Subcommand, ValueEnum};

use crate::failure::EXIT_STATUS;
use crate::model::size;

/// Administration of stable-pi devices.
///
/// A stable-pi device keeps the data of each write as it was when its checksum was made. This
/// program looks at stacks of block devices, makes stable-pi devices, watches them, and goes over
/// disks with protection information.
///
/// Sizes are in bytes; the suffixes K, M, G and T stand for powers of 1024, and s for sectors of
/// 512 bytes.
#[derive(Parser)]
#[command(name = "stablepi", version, after_help = EXIT_STATUS, max_term_width = 100)]
pub struct Cli {
    /// Print JSON instead of text.
    #[arg(long, global = true)]
    pub json: bool,

    /// What to do.
    #[command(subcommand)]
    pub command: Command,
}

/// What to do.
#[derive(Subcommand)]
pub enum Command {
    /// Say what a device is, what is at risk with it, and where stable-pi should stand.
    #[command(after_help = "Example:\n  stablepi probe /dev/sda")]
    Probe(Probe),
    /// Make a stable-pi device over another.
    #[command(after_help = "Example:\n  stablepi open /dev/sda pi --policy auto")]
    Open(Open),
    /// Show the stable-pi devices that there are.
    #[command(after_help = "Example:\n  stablepi list")]
    List,
    /// Show the settings and counters of a stable-pi device.
    #[command(after_help = "Example:\n  stablepi status pi --json")]
    Status(Status),
    /// Change settings while the device is in use.
    #[command(after_help = "Example:\n  stablepi change pi --policy copy --verify on")]
    Change(Change),
    /// Show, time and again, what goes on.
    #[command(after_help = "Example:\n  stablepi top --batch 1 --interval 0.2")]
    Top(Top),
    /// Show who changed which page, and reads that did not match.
    #[command(after_help = "Example:\n  stablepi events pi --follow --seconds 1")]
    Events(Events),
    /// Wait for reads that do not match and for changes of the device below, and tell of each.
    #[command(
        after_help = "Example:\n  stablepi watch pi --journal --run /etc/stablepi/on-fault --seconds 1"
    )]
    Watch(Watch),
    /// Read a whole device and list what does not match.
    #[command(after_help = "Example:\n  stablepi scrub pi --rate 100M --state /run/scrub.json")]
    Scrub(Scrub),
    /// Remove a stable-pi device.
    #[command(after_help = "Example:\n  stablepi close pi")]
    Close(Close),
    /// Make protection information anew for the data as it is.
    #[command(
        after_help = "Example:\n  stablepi adopt /dev/sda --from 0 --to 1M --yes --state /run/adopt.json"
    )]
    Adopt(Adopt),
    /// Show on a scratch device what changing pages do to it, and that stable-pi helps.
    #[command(after_help = "Example:\n  stablepi test /dev/sda --seconds 2")]
    Test(Test),
    /// Write the counters for Prometheus.
    #[command(after_help = "Example:\n  stablepi metrics --textfile /run/stablepi.prom")]
    Metrics(Metrics),
    /// Open or close what /etc/stablepitab names.
    #[command(after_help = "Example:\n  stablepi tab check --file /run/stablepitab")]
    Tab(Tab),
    /// Print the completions of a shell.
    #[command(after_help = "Example:\n  stablepi completions bash")]
    Completions(Completions),
    /// Write the man pages into a folder.
    #[command(after_help = "Example:\n  stablepi man /run/man")]
    Man(Man),
}

/// Arguments of `probe`.
#[derive(Args)]
pub struct Probe {
    /// Block devices, or names of mapped devices.
    #[arg(required = true, value_name = "DEV")]
    pub devices: Vec<String>,
    /// End with exit status 3 if a device is at risk.
    #[arg(long)]
    pub check: bool,
}

/// How a write is kept stable.
#[derive(Clone, Copy, Debug, ValueEnum)]
pub enum Policy {
    /// In place wherever that is safe.
    Auto,
    /// In place, and put right afterwards.
    Optimistic,
    /// Always copied.
    Copy,
    /// In place; filesystems above are told to wait.
    Wait,
    /// In place; changes are counted only.
    Detect,
}

/// Yes, no, or what is best.
#[derive(Clone, Copy, Debug, ValueEnum)]
pub enum Switch {
    /// What is best.
    Auto,
    /// Yes.
    On,
    /// No.
    Off,
}

/// Yes or no.
#[derive(Clone, Copy, Debug, ValueEnum)]
pub enum OnOff {
    /// Yes.
    On,
    /// No.
    Off,
}

/// A value as the target has it.
pub fn word(value: impl ValueEnum) -> String {
    value
        .to_possible_value()
        .map(|v| v.get_name().to_string())
        .unwrap_or_default()
}

/// Arguments of `open`.
#[derive(Args)]
pub struct Open {
    /// The block device below.
    #[arg(value_name = "DEV")]
    pub device: String,
    /// The name: it will be /dev/mapper/NAME.
    pub name: String,
    /// How a write is kept stable [the target's default: auto].
    #[arg(long)]
    pub policy: Option<Policy>,
    /// Whether reads are verified [the target's default: on, where there is a profile].
    #[arg(long)]
    pub verify: Option<OnOff>,
    /// Whether filesystems above are told to wait [the target's default: auto].
    #[arg(long)]
    pub waits: Option<Switch>,
    /// Whether writes in place are compared once more [the target's default: auto].
    #[arg(long)]
    pub recheck: Option<Switch>,
    /// Whether the target learns which files and processes change their pages [the target's default: on].
    #[arg(long)]
    pub learn: Option<OnOff>,
    /// The application tag to write, such as 7 or 0x1234.
    #[arg(long, value_name = "TAG")]
    pub app_tag: Option<String>,
    /// Show the profile of the device below.
    #[arg(long)]
    pub passthrough: bool,
    /// Another argument of the table line, as it stands there; can be repeated.
    #[arg(long = "argument", value_name = "KEY:VALUE")]
    pub arguments: Vec<String>,
    /// Where on the device to begin.
    #[arg(long, value_name = "SIZE", value_parser = size::parse, default_value = "0")]
    pub offset: u64,
    /// How much of the device to map [default: all that follows].
    #[arg(long, value_name = "SIZE", value_parser = size::parse_positive)]
    pub size: Option<u64>,
    /// Nothing can be written.
    #[arg(long)]
    pub read_only: bool,
    /// Print the table line and change nothing.
    #[arg(long)]
    pub dry_run: bool,
}

/// Arguments of `close`.
#[derive(Args)]
pub struct Close {
    /// The name of the stable-pi device.
    pub name: String,
    /// Remove it as soon as it is not in use any more.
    #[arg(long)]
    pub deferred: bool,
}

/// Arguments of `change`.
#[derive(Args)]
#[command(arg_required_else_help = true)]
#[command(group(ArgGroup::new("changes").required(true).multiple(true)
    .args(["policy", "verify", "recheck", "learn", "reset", "messages"])))]
pub struct Change {
    /// The name of the stable-pi device.
    pub name: String,
    /// How a write is kept stable.
    #[arg(long)]
    pub policy: Option<Policy>,
    /// Whether reads are verified.
    #[arg(long)]
    pub verify: Option<OnOff>,
    /// Whether writes in place are compared once more.
    #[arg(long)]
    pub recheck: Option<Switch>,
    /// Whether the target learns which files and processes change their pages.
    #[arg(long)]
    pub learn: Option<OnOff>,
    /// All counters are 0.
    #[arg(long)]
    pub reset: bool,
    /// Another message, as the target takes it; can be repeated.
    #[arg(long = "message", value_name = "TEXT")]
    pub messages: Vec<String>,
}

/// Arguments of `status`.
#[derive(Args)]
pub struct Status {
    /// The name of the stable-pi device.
    pub name: String,
}

/// Arguments of `top`.
#[derive(Args)]
pub struct Top {
    /// Names of stable-pi devices [default: all].
    #[arg(value_name = "NAME")]
    pub names: Vec<String>,
    /// Seconds from one picture to the next.
    #[arg(long, value_name = "SECONDS", default_value = "1", value_parser = seconds)]
    pub interval: f64,
    /// Also measure how long reads wait to be verified, by an event for each read.
    #[arg(long)]
    pub waits: bool,
    /// Print so many pictures as text, without a terminal, and end.
    #[arg(long, value_name = "COUNT")]
    pub batch: Option<u32>,
}

/// Arguments of `events`.
#[derive(Args)]
pub struct Events {
    /// Names of stable-pi devices [default: all].
    #[arg(value_name = "NAME")]
    pub names: Vec<String>,
    /// Also show what comes from now on, until a signal ends it. Without it: what the kernel log
    /// still has.
    #[arg(long)]
    pub follow: bool,
    /// End after so long.
    #[arg(long, value_name = "SECONDS", value_parser = seconds, requires = "follow")]
    pub seconds: Option<f64>,
    /// End after so many events.
    #[arg(long, value_name = "COUNT", requires = "follow")]
    pub count: Option<u64>,
    /// Also show each copy that is made.
    #[arg(long, requires = "follow")]
    pub copies: bool,
}

/// Arguments of `watch`.
#[derive(Args)]
pub struct Watch {
    /// Names of stable-pi devices [default: all, also those that are made later].
    #[arg(value_name = "NAME")]
    pub names: Vec<String>,
    /// Also write each as an entry of the journal, with fields of its own.
    #[arg(long)]
    pub journal: bool,
    /// Run this program for each, if it is there, with the name of the device and the kind of
    /// fault (corrupt, below, other), and more in its environment.
    #[arg(long, value_name = "PROGRAM")]
    pub run: Option<PathBuf>,
    /// End after so long.
    #[arg(long, value_name = "SECONDS", value_parser = seconds)]
    pub seconds: Option<f64>,
    /// End after so many faults.
    #[arg(long, value_name = "COUNT")]
    pub count: Option<u64>,
}

/// The range of a sweep, and where it is kept how far it has come.
#[derive(Args)]
pub struct Sweep {
    /// The first byte.
    #[arg(long, value_name = "SIZE", value_parser = size::parse)]
    pub from: Option<u64>,
    /// The byte behind the last one.
    #[arg(long, value_name = "SIZE", value_parser = size::parse)]
    pub to: Option<u64>,
    /// No more than so many bytes a second.
    #[arg(long, value_name = "SIZE", value_parser = size::parse_positive)]
    pub rate: Option<u64>,
    /// Go on where the last one was stopped, also one that was killed.
    #[arg(long, conflicts_with_all = ["from", "to"])]
    pub resume: bool,
    /// Where it is kept how far it has come [default: in /var/lib/stablepi].
    #[arg(long, value_name = "FILE")]
    pub state: Option<PathBuf>,
}

/// Arguments of `scrub`.
#[derive(Args)]
pub struct Scrub {
    /// The name of a stable-pi device, or a block device.
    #[arg(value_name = "NAME|DEV")]
    pub device: String,
    /// The range and the rate.
    #[command(flatten)]
    pub sweep: Sweep,
    /// Read it also where nothing verifies what is read: only what the device itself cannot read
    /// is found then.
    #[arg(long)]
    pub unverified: bool,
}

/// Arguments of `adopt`.
#[derive(Args)]
pub struct Adopt {
    /// The disk, or a partition of it, that nothing uses.
    #[arg(value_name = "DEV")]
    pub device: String,
    /// The range and the rate.
    #[command(flatten)]
    pub sweep: Sweep,
    /// Write only what does not match now. What was never written passes for matching, and stays
    /// unprotected.
    #[arg(long)]
    pub only_bad: bool,
    /// Do not ask.
    #[arg(long)]
    pub yes: bool,
}

/// Arguments of `test`.
#[derive(Args)]
#[command(group(ArgGroup::new("what").required(true).args(["device", "memory"])))]
pub struct Test {
    /// A device that holds nothing. It is written to.
    #[arg(value_name = "DEV")]
    pub device: Option<String>,
    /// Make a disk in memory, by the module scsi_debug.
    #[arg(long)]
    pub memory: bool,
    /// How long each of the two halves takes.
    #[arg(long, value_name = "SECONDS", default_value = "20", value_parser = seconds)]
    pub seconds: f64,
}

/// Arguments of `metrics`.
#[derive(Args)]
pub struct Metrics {
    /// Names of stable-pi devices [default: all].
    #[arg(value_name = "NAME")]
    pub names: Vec<String>,
    /// Write this file instead, for the textfile collector of node_exporter. A reader finds the old one
    /// or the new one.
    #[arg(long, value_name = "FILE")]
    pub textfile: Option<PathBuf>,
}

/// Arguments of `tab`.
#[derive(Args)]
pub struct Tab {
    /// What to do with the entries.
    pub action: TabAction,
    /// Only these entries [default: all, but for those with noauto].
    #[arg(value_name = "NAME")]
    pub names: Vec<String>,
    /// Another file.
    #[arg(long, value_name = "FILE", default_value = "/etc/stablepitab")]
    pub file: PathBuf,
}

/// What to do with the entries of the tab.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum TabAction {
    /// See that the file can be read, and show what would be opened.
    Check,
    /// Open what is not open.
    Open,
    /// Close what is open.
    Close,
    /// For udev: whether the device with this node, and the links in $DEVLINKS, is named in it;
    /// the status is 0 or 1.
    Member,
}

/// Arguments of `completions`.
#[derive(Args)]
pub struct Completions {
    /// The shell.
    pub shell: clap_complete::Shell,
}

/// Arguments of `man`.
#[derive(Args)]
pub struct Man {
    /// The folder; it is made if it is not there.
    pub folder: PathBuf,
}

fn seconds(text: &str) -> Result<f64, String> {
    match text.parse::<f64>() {
        Ok(n) if n > 0.0 && n < 1e9 => Ok(n),
        _ => Err("not a number of seconds above 0".into()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::CommandFactory;

    #[test]
    fn the_command_line_is_consistent() {
        Cli::command().debug_assert();
    }

    /// The examples in the help, as the selftest runs them.
    #[test]
    fn each_command_has_an_example_that_parses() {
        for command in Cli::command().get_subcommands() {
            let help = command
                .get_after_help()
                .map(|h| h.to_string())
                .unwrap_or_default();
            let line = help.lines().find_map(|l| l.strip_prefix("  stablepi "));
            let line = line.unwrap_or_else(|| panic!("{} has no example", command.get_name()));
            let words = std::iter::once("stablepi").chain(line.split(' '));
            assert!(line.starts_with(command.get_name()), "{line}");
            assert!(Cli::try_parse_from(words).is_ok(), "{line}");
        }
    }

    #[test]
    fn what_makes_no_sense_is_refused() {
        for line in [
            "probe",
            "open /dev/sda",
            "open /dev/sda pi --policy best",
            "open /dev/sda pi --size 0",
            "change pi",
            "scrub pi --rate 0",
            "scrub pi --resume --from 0",
            "test",
            "test /dev/sda --memory",
            "top --interval 0",
            "events --seconds 1",
        ] {
            let words = std::iter::once("stablepi").chain(line.split(' '));
            assert!(Cli::try_parse_from(words).is_err(), "{line}");
        }
    }
}
