//! Trains models side by side on the same rows, and says which is best.
//!
//! Without options it makes up a small MovieLens folder; `--data` names a real one.
//! `mmdlrm compare` does the same.

use std::process::ExitCode;

use clap::Parser;
use mmdlrm_commands::{compare, options, status};

/// Compare saved runs; or, without any, train models on the same rows and compare them.
#[derive(Debug, Parser)]
#[command(version)]
pub struct Options {
    #[command(flatten)]
    compare: compare::Args,
}

fn main() -> ExitCode {
    let Options { compare } = options();
    status(compare::run(compare))
}
