// SPDX-License-Identifier: GPL-2.0

//! What is wrong with a command line, in one line.

use clap::error::ErrorKind;

/// What clap has to say, on one line and without the usage; `question` where there was no command.
pub fn in_one_line(error: &clap::Error, question: &str) -> String {
    match error.kind() {
        // All of the help, otherwise.
        ErrorKind::DisplayHelpOnMissingArgumentOrSubcommand => question.to_string(),
        _ => first_paragraph(&error.to_string()),
    }
}

fn first_paragraph(message: &str) -> String {
    let lines = message.lines().map(str::trim);
    let lines: Vec<_> = lines.take_while(|line| !line.is_empty()).collect();
    let text = lines.join(" ");
    text.strip_prefix("error: ").unwrap_or(&text).to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_message_of_several_lines_becomes_one() {
        let message = "error: missing:\n  --path <PATH>\n\nUsage: loads\n";
        assert_eq!(first_paragraph(message), "missing: --path <PATH>");
    }
}
