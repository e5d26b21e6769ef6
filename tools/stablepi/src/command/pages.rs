// SPDX-License-Identifier: GPL-2.0

//! `stablepi completions` and `man`: made of the definitions of the command line.

use std::fs;

use anyhow::{Context, Result};
use clap::CommandFactory;
use clap_mangen::Man;

use super::Outcome;
use crate::cli::{self, Cli};

/// Prints the completions.
pub fn completions(args: &cli::Completions) -> Outcome {
    clap_complete::generate(
        args.shell,
        &mut Cli::command(),
        "stablepi",
        &mut std::io::stdout(),
    );
    Ok(None)
}

/// Writes the pages.
pub fn man(args: &cli::Man) -> Outcome {
    fs::create_dir_all(&args.folder)
        .with_context(|| format!("{} cannot be made", args.folder.display()))?;
    let mut top = Cli::command();
    top.build();
    page(&top, "stablepi", args)?;
    for command in top.get_subcommands().filter(|c| c.get_name() != "help") {
        page(command, &format!("stablepi-{}", command.get_name()), args)?;
    }
    Ok(None)
}

fn page(command: &clap::Command, name: &str, args: &cli::Man) -> Result<()> {
    // Both live as long as the process; clap wants names that do.
    let title: &'static str = Box::leak(name.to_string().into_boxed_str());
    let man = Man::new(command.clone().name(title))
        .title(name.to_uppercase())
        .section("8")
        .manual("System Administration");
    let mut text = Vec::new();
    man.render(&mut text)?;
    let path = args.folder.join(format!("{name}.8"));
    fs::write(&path, text).with_context(|| format!("{} cannot be written", path.display()))
}
