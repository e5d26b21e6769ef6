// SPDX-License-Identifier: GPL-2.0

//! Turns the results of a series of loads into a file and a table.

use std::fs::{self, File};
use std::io::{self, BufRead, Write};
use std::path::{Path, PathBuf};

use anyhow::{bail, Context, Result};
use serde::{Deserialize, Deserializer, Serialize};

/// Reads results from stdin, writes a JSON list to a file, prints a table
///
/// Each line of stdin is an object with the keys load, device, writes, failed,
/// repaired and bad_on_readback, all of them and no others; the last two may be
/// null, where a device has no such count.
#[derive(clap::Args)]
pub struct Args {
    /// Where to write the list; an older file is replaced in one step
    #[arg(long, value_name = "FILE")]
    out: PathBuf,
}

#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Row {
    load: String,
    device: String,
    writes: u64,
    failed: u64,
    #[serde(deserialize_with = "present")]
    repaired: Option<u64>,
    #[serde(deserialize_with = "present")]
    bad_on_readback: Option<u64>,
}

/// A number or null; with serde's own Option a missing key would pass too.
fn present<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<u64>, D::Error> {
    Option::deserialize(deserializer)
}

/// Runs the command.
pub fn run(args: &Args) -> Result<()> {
    let rows = group(read(io::stdin().lock())?);
    write(&args.out, &rows).with_context(|| args.out.display().to_string())?;
    io::stdout().write_all(table(&rows).as_bytes())?;
    Ok(())
}

fn read(input: impl BufRead) -> Result<Vec<Row>> {
    let mut rows = Vec::new();
    for (line, number) in input.lines().zip(1..) {
        let line = line.context("stdin")?;
        if line.trim().is_empty() {
            continue;
        }
        let row: Row =
            serde_json::from_str(&line).with_context(|| format!("line {number} of stdin"))?;
        if row.failed > row.writes {
            bail!("line {number} of stdin: more writes failed than there were");
        }
        rows.push(row);
    }
    if rows.is_empty() {
        bail!("there are no results on stdin");
    }
    Ok(rows)
}

/// Brings the rows of a load together, in the order in which they first came.
fn group(rows: Vec<Row>) -> Vec<Row> {
    let mut groups: Vec<Vec<Row>> = Vec::new();
    for row in rows {
        match groups.iter_mut().find(|group| group[0].load == row.load) {
            Some(group) => group.push(row),
            None => groups.push(vec![row]),
        }
    }
    groups.into_iter().flatten().collect()
}

fn write(path: &Path, rows: &[Row]) -> Result<()> {
    let Some(name) = path.file_name() else {
        bail!("not the name of a file");
    };
    let mut hidden = std::ffi::OsString::from(".");
    hidden.push(name);
    hidden.push(format!(".{}", std::process::id()));
    let temporary = path.with_file_name(hidden);
    let result = write_new(&temporary, rows).and_then(|()| Ok(fs::rename(&temporary, path)?));
    if result.is_err() {
        // The first error is the one to tell.
        let _ = fs::remove_file(&temporary);
    }
    result
}

fn write_new(path: &Path, rows: &[Row]) -> Result<()> {
    let mut file = File::create(path)?;
    let mut text = serde_json::to_string_pretty(rows)?;
    text.push('\n');
    file.write_all(text.as_bytes())?;
    file.sync_all()?;
    Ok(())
}

fn table(rows: &[Row]) -> String {
    let heading = [
        "load",
        "device",
        "writes",
        "failed writes",
        "repaired",
        "bad on read-back",
    ];
    let mut lines = vec![heading.map(String::from)];
    let mut load = None;
    for row in rows {
        let first = load.replace(&row.load) != Some(&row.load);
        let count = |count: Option<u64>| count.map_or("-".into(), |count| count.to_string());
        lines.push([
            if first { row.load.clone() } else { "".into() },
            row.device.clone(),
            row.writes.to_string(),
            row.failed.to_string(),
            count(row.repaired),
            count(row.bad_on_readback),
        ]);
    }
    let width = |column: usize| lines.iter().map(|line| line[column].chars().count()).max();
    let widths: [usize; 6] = std::array::from_fn(|column| width(column).unwrap_or(0));
    lines.insert(1, widths.map(|width| "-".repeat(width)));
    lines.iter().map(|line| aligned(line, &widths)).collect()
}

/// Names to the left, numbers to the right.
fn aligned(line: &[String; 6], widths: &[usize; 6]) -> String {
    let mut text = String::new();
    for (column, (cell, &width)) in line.iter().zip(widths).enumerate() {
        text += &match column {
            0 => format!("{cell:<width$}"),
            1 => format!("  {cell:<width$}"),
            _ => format!("  {cell:>width$}"),
        };
    }
    text + "\n"
}

#[cfg(test)]
mod tests {
    use super::*;

    const LINES: &str = concat!(
        r#"{"load":"B","device":"plain","writes":125,"failed":98,"repaired":null,"#,
        r#""bad_on_readback":3}"#,
        "\n\n",
        r#"{"load":"direct","device":"plain","writes":9,"failed":1,"repaired":null,"#,
        r#""bad_on_readback":0}"#,
        "\n",
        r#"{"load":"B","device":"stable-pi","writes":1250,"failed":0,"repaired":41,"#,
        r#""bad_on_readback":0}"#,
        "\n",
    );

    #[test]
    fn the_table_is_aligned_and_grouped() {
        let rows = group(read(LINES.as_bytes()).unwrap());
        assert_eq!(
            table(&rows),
            "\
load    device     writes  failed writes  repaired  bad on read-back
------  ---------  ------  -------------  --------  ----------------
B       plain         125             98         -                 3
        stable-pi    1250              0        41                 0
direct  plain           9              1         -                 0
"
        );
    }

    #[test]
    fn what_is_not_a_result_is_refused_with_its_line() {
        let good = LINES.lines().next().unwrap();
        for (change, why) in [
            (good.replace("98", "-1"), "invalid value"),
            (good.replace("98", "126"), "more writes failed"),
            (good.replace("failed", "fail"), "unknown field `fail`"),
            (
                good.replace(r#""repaired":null,"#, ""),
                "missing field `repaired`",
            ),
            (good.replace('}', ",\"writes\":1}"), "duplicate field"),
            ("[]".into(), "invalid length"),
        ] {
            let input = format!("{good}\n{change}\n");
            let error = format!("{:#}", read(input.as_bytes()).unwrap_err());
            assert!(error.starts_with("line 2 of stdin: "), "{error}");
            assert!(error.contains(why), "{error}");
        }
        assert!(read("\n".as_bytes()).is_err());
    }
}
