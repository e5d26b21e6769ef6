// SPDX-License-Identifier: GPL-2.0

//! Administration of stable-pi devices.
//!
//! `model` is pure: what texts say, and what follows from them. `system` asks the machine and
//! tells it; all unsafe code is there. `command` has a file for each command.

mod cli;
mod command;
mod failure;
mod model;
mod system;

use std::process::ExitCode;

use clap::Parser;

use cli::{Cli, Command};
use failure::Code;

fn main() -> ExitCode {
    let arguments: Vec<_> = std::env::args_os().collect();
    if command::generator::is_asked_for(&arguments) {
        return command::generator::run(&arguments);
    }
    let cli = match Cli::try_parse_from(arguments) {
        Ok(cli) => cli,
        Err(e) if !e.use_stderr() => e.exit(),
        Err(e) => {
            eprintln!(
                "stablepi: {}",
                usage::in_one_line(&e, "what to do? See: stablepi --help")
            );
            return ExitCode::from(Code::Usage as u8);
        }
    };
    match run(cli) {
        Ok(None) => ExitCode::SUCCESS,
        Ok(Some(code)) => ExitCode::from(code as u8),
        Err(e) => {
            // A reader that has seen enough, such as head, is no failure.
            if e.downcast_ref::<std::io::Error>()
                .is_some_and(|e| e.kind() == std::io::ErrorKind::BrokenPipe)
            {
                return ExitCode::SUCCESS;
            }
            eprintln!("stablepi: {}", format!("{e:#}").replace('\n', " "));
            ExitCode::from(failure::code_of(&e) as u8)
        }
    }
}

fn run(cli: Cli) -> command::Outcome {
    let json = cli.json;
    match cli.command {
        Command::Probe(args) => command::probe::run(&args, json),
        Command::Open(args) => command::open::open(&args, json),
        Command::Close(args) => command::open::close(&args, json),
        Command::Change(args) => command::open::change(&args, json),
        Command::List => command::status::list(json),
        Command::Status(args) => command::status::status(&args, json),
        Command::Metrics(args) => command::metrics::run(&args, json),
        Command::Top(args) => command::top::run(&args, json),
        Command::Events(args) => command::events::run(&args, json),
        Command::Watch(args) => command::watch::run(&args, json),
        Command::Scrub(args) => command::scrub::run(&args, json),
        Command::Adopt(args) => command::adopt::run(&args, json),
        Command::Test(args) => command::test::run(&args, json),
        Command::Tab(args) => command::tab::run(&args, json),
        Command::Completions(args) => command::pages::completions(&args),
        Command::Man(args) => command::pages::man(&args),
    }
}
