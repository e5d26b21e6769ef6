// SPDX-License-Identifier: GPL-2.0

//! Counters in the text format of Prometheus.
//!
//! Names are stable: `stable_pi_<key of the status line>_total` for what is counted, with the
//! device's name and the sector at which the target begins as labels. A counter begins again at 0
//! when a table is loaded, which `rate()` and `increase()` expect of counters.

use anyhow::Result;
use prometheus::core::Collector;
use prometheus::{IntCounterVec, IntGaugeVec, Opts, Registry, TextEncoder};

use super::size::SECTOR;
use super::status::{meaning, Status};

/// A target of a mapped device.
pub struct Target {
    /// The name of the device.
    pub name: String,
    /// The sector of the device at which it begins.
    pub start: u64,
    /// Its length, in sectors.
    pub sectors: u64,
    /// The device below.
    pub below: String,
    /// The words of its status line.
    pub status: Status,
}

/// What has a unit of its own, and may become less.
const GAUGES: [(&str, &str); 2] = [
    ("interval", "interval_bytes"),
    ("learned", "learned_owners"),
];

/// What is told as labels of `stable_pi_info`, besides the names of devices.
const SETTINGS: [&str; 6] = ["policy", "verify", "recheck", "profile", "below", "trust"];

const LABELS: [&str; 2] = ["name", "start"];

/// All of them.
pub fn text(targets: &[Target]) -> Result<String> {
    let registry = Registry::new();
    settings(targets, &registry)?;
    let sizes = labelled(targets, |target| Some(target.sectors * SECTOR));
    gauge(&registry, "size_bytes", "bytes that the target maps", sizes)?;
    for key in numbers(targets) {
        let help = meaning(key).unwrap_or("see Documentation/admin-guide/stable-pi.rst");
        let values = labelled(targets, |target| target.status.get(key)?.parse().ok());
        match GAUGES.iter().find(|(known, _)| *known == key) {
            Some((_, name)) => gauge(&registry, name, help, values)?,
            None => counter(&registry, key, help, values)?,
        }
    }
    Ok(TextEncoder::new().encode_to_string(&registry.gather())?)
}

/// The keys whose values are numbers, each once.
fn numbers(targets: &[Target]) -> Vec<&str> {
    let mut keys = Vec::new();
    for (key, value) in targets.iter().flat_map(|target| target.status.words()) {
        let counted = value.is_some_and(|value| value.parse::<u64>().is_ok());
        if counted && !keys.contains(&key) {
            keys.push(key);
        }
    }
    keys
}

fn settings(targets: &[Target], registry: &Registry) -> Result<()> {
    let labels: Vec<&str> = LABELS
        .into_iter()
        .chain(["device"])
        .chain(SETTINGS)
        .collect();
    let options = Opts::new(
        "stable_pi_info",
        "settings of the target, and what is below it",
    );
    let info = IntGaugeVec::new(options, &labels)?;
    for target in targets {
        let start = target.start.to_string();
        let mut values = vec![target.name.as_str(), &start, &target.below];
        values.extend(SETTINGS.map(|key| target.status.get(key).unwrap_or("")));
        info.with_label_values(&values).set(1);
    }
    register(registry, info)
}

/// A value, and the labels of the target that has it.
type Labelled = ([String; 2], u64);

fn labelled(targets: &[Target], value: impl Fn(&Target) -> Option<u64>) -> Vec<Labelled> {
    let labelled = targets.iter().filter_map(|target| {
        let labels = [target.name.clone(), target.start.to_string()];
        Some((labels, value(target)?))
    });
    labelled.collect()
}

fn counter(registry: &Registry, key: &str, help: &str, values: Vec<Labelled>) -> Result<()> {
    let options = Opts::new(format!("stable_pi_{key}_total"), help);
    let counter = IntCounterVec::new(options, &LABELS)?;
    for (labels, value) in values {
        counter.with_label_values(&labels).inc_by(value);
    }
    register(registry, counter)
}

fn gauge(registry: &Registry, name: &str, help: &str, values: Vec<Labelled>) -> Result<()> {
    let gauge = IntGaugeVec::new(Opts::new(format!("stable_pi_{name}"), help), &LABELS)?;
    for (labels, value) in values {
        let value = i64::try_from(value).unwrap_or(i64::MAX);
        gauge.with_label_values(&labels).set(value);
    }
    register(registry, gauge)
}

fn register(registry: &Registry, metric: impl Collector + 'static) -> Result<()> {
    Ok(registry.register(Box::new(metric))?)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn target(name: &str, start: u64, words: &str) -> Target {
        let Ok(status) = words.parse();
        Target {
            name: name.into(),
            start,
            sectors: 2048,
            below: "/dev/sda".into(),
            status,
        }
    }

    #[test]
    fn the_text_of_two_targets() {
        let targets = [
            target(
                "pi",
                0,
                "policy:auto interval:512 learned:1 writes:330 new:2",
            ),
            target("a\"b", 8, "policy:copy profile:T10-DIF-TYPE1-CRC writes:1"),
        ];
        let text = text(&targets).expect("valid names");
        for line in [
            "# HELP stable_pi_writes_total writes with data",
            "# TYPE stable_pi_writes_total counter",
            r#"stable_pi_writes_total{name="pi",start="0"} 330"#,
            r#"stable_pi_writes_total{name="a\"b",start="8"} 1"#,
            r#"stable_pi_new_total{name="pi",start="0"} 2"#,
            "# TYPE stable_pi_interval_bytes gauge",
            r#"stable_pi_interval_bytes{name="pi",start="0"} 512"#,
            r#"stable_pi_learned_owners{name="pi",start="0"} 1"#,
            r#"stable_pi_size_bytes{name="pi",start="0"} 1048576"#,
        ] {
            assert!(text.lines().any(|l| l == line), "{line}\nin\n{text}");
        }
        assert!(
            text.contains(r#"policy="auto""#) && text.contains(r#"profile="T10-DIF-TYPE1-CRC""#)
        );
    }

    #[test]
    fn without_a_device_there_is_nothing() {
        assert_eq!(text(&[]).expect("nothing to go wrong"), "");
    }
}
