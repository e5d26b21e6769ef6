// SPDX-License-Identifier: GPL-2.0

//! `stablepi probe`.

use serde::Serialize;

use super::{say, say_json, Outcome};
use crate::cli;
use crate::failure::Code;
use crate::model::advise::{advise, Advice};
use crate::model::stack::{Above, Node};
use crate::system::sysfs::{self, Machine};

#[derive(Serialize)]
struct Report {
    device: Node,
    above: Vec<Above>,
    #[serde(flatten)]
    advice: Advice,
}

/// Looks at each device.
pub fn run(args: &cli::Probe, json: bool) -> Outcome {
    let machine = Machine::this();
    let mut reports = Vec::new();
    for text in &args.devices {
        let device = machine.node(sysfs::resolve(text)?)?;
        let above = machine.above(&device)?;
        let advice = advise(&device, &above);
        reports.push(Report {
            device,
            above,
            advice,
        });
    }
    if json {
        say_json(&reports)?;
    } else {
        let texts: Vec<String> = reports.iter().map(text).collect();
        say(&texts.join("\n"))?;
    }
    let at_risk = reports.iter().any(|r| !r.advice.risks.is_empty());
    Ok((args.check && at_risk).then_some(Code::Found))
}

fn text(report: &Report) -> String {
    let Report {
        device,
        above,
        advice,
    } = report;
    let mut out = format!(
        "{} is a {}:\n{}",
        device.path,
        advice.shape,
        indent(&device.tree())
    );
    out.push_str(&format!("Who checks: {}\n", advice.checked_by));
    if above.is_empty() {
        out.push_str("On it: nothing\n");
    } else {
        out.push_str("On it:\n");
        for a in above {
            out.push_str(&format!("  {a}\n"));
        }
    }
    if advice.risks.is_empty() {
        out.push_str("At risk: nothing\n");
    } else {
        out.push_str("At risk:\n");
        for risk in &advice.risks {
            out.push_str(&format!("  {}\n      {}\n", risk.what, risk.because));
        }
    }
    if advice.recommend.is_empty() {
        out.push_str(&format!("Recommended: nothing, since {}\n", advice.reason));
        return out;
    }
    out.push_str(&format!("Recommended: {}\n", advice.reason));
    for place in &advice.recommend {
        out.push_str(&format!("  over {}: {}\n", place.over, place.line));
        out.push_str(&format!("      stablepi open {} NAME\n", place.over));
        for user in &place.in_use_by {
            out.push_str(&format!("      take down first: {user}\n"));
        }
    }
    out
}

fn indent(text: &str) -> String {
    let lines: Vec<&str> = text.lines().collect();
    format!("  {}\n", lines.join("\n  "))
}
