//! The example `train_ml25m` does what `mmdlrm train` does: it has the same options, and
//! hands them over.
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

#[path = "../../examples/train_ml25m.rs"]
#[allow(dead_code, reason = "no test is the program")]
mod example;

use clap::{Args, Command, CommandFactory};
use mmdlrm_commands::train;

/// What `--help` says of the options, whatever the program is called.
fn help(command: Command) -> String {
    command
        .name("x")
        .version("1")
        .render_long_help()
        .to_string()
}

#[test]
fn the_example_has_the_options_of_the_command() {
    let example = help(example::Options::command());
    let command = help(train::Args::augment_args(Command::new("train")));
    assert!(example.contains("--preset <PRESET>"), "{example}");
    assert_eq!(example, command);
}
