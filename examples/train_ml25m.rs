//! The main job: trains a multimodal DLRM and measures it on ratings it never saw.
//!
//! Without options it makes up a small MovieLens folder and trains on that; `--data` names
//! a real one. `mmdlrm train` does the same.

use std::process::ExitCode;

use clap::Parser;
use mmdlrm_commands::{options, status, train};

/// Train a multimodal DLRM on a MovieLens folder, posters and plot summaries.
#[derive(Debug, Parser)]
#[command(version)]
pub struct Options {
    #[command(flatten)]
    train: train::Args,
}

fn main() -> ExitCode {
    let Options { train } = options();
    status(train::run(train))
}
