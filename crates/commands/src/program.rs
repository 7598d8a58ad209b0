//! How a program begins and ends.

use std::fmt::Display;
use std::io::{ErrorKind, Write};
use std::process::ExitCode;

use clap::Parser;

use crate::{Error, Result};

/// The options of the command line. Where they do not fit, and after `--help`, the process
/// ends as clap ends it, with status 2 or 0.
///
/// [`Parser::parse`] does the same, but adds the usage to errors that say all in a line: of
/// options that would do nothing beside the others.
pub fn options<P: Parser>() -> P {
    let matches = P::command().get_matches();
    P::from_arg_matches(&matches).unwrap_or_else(|error| error.exit())
}

/// The status that a process ends with; says on standard error what went wrong.
pub fn status<E: Display>(outcome: std::result::Result<(), E>) -> ExitCode {
    match outcome {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("error: {}", printable(error));
            ExitCode::FAILURE
        }
    }
}

/// Prints what came of a command. Whoever has closed the other end wants to know no more.
pub(crate) fn print(what: impl Display) -> Result<()> {
    let mut out = std::io::stdout().lock();
    match writeln!(out, "{}", printable(what)).and_then(|()| out.flush()) {
        Err(error) if error.kind() == ErrorKind::BrokenPipe => Ok(()),
        printed => printed.map_err(Error::Print),
    }
}

/// Text for a terminal: what data say must not move its cursor or change its colours.
pub(crate) fn printable(what: impl Display) -> String {
    let mut text = String::new();
    for letter in what.to_string().chars() {
        match letter.is_control() && letter != '\n' {
            true => text.extend(letter.escape_default()),
            false => text.push(letter),
        }
    }
    text
}

/// The same on one line.
pub(crate) fn on_one_line(what: &str) -> String {
    printable(what).replace('\n', "\\n")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_data_say_commands_no_terminal() {
        assert_eq!(
            printable("\u{1b}[31mÉté\u{7}\nnext"),
            "\\u{1b}[31mÉté\\u{7}\nnext"
        );
        assert_eq!(on_one_line("two\nlines"), "two\\nlines");
    }
}
