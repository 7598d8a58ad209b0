//! facebookresearch/dlrm's own job: learns from a click log in Criteo's format which rows were
//! clicked on, and measures AUC and log loss on the last day.
//!
//! Without options it makes a log up, of which it is known how well any model can do; `--log`
//! names a real one. `mmdlrm clicks` does the same.

use std::process::ExitCode;

use clap::Parser;
use mmdlrm_commands::{clicks, options, status};

/// Train a DLRM on a click log in Criteo's format.
#[derive(Debug, Parser)]
#[command(version)]
pub struct Options {
    #[command(flatten)]
    clicks: clicks::Args,
}

fn main() -> ExitCode {
    let Options { clicks } = options();
    status(clicks::run(clicks))
}
