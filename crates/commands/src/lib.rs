//! What the programs of mmdlrm do, and their options.
//!
//! A command is a module: `Args` are its options, for clap, and `run` does what they say,
//! prints what came of it, and returns what went wrong. The program `mmdlrm` has them all
//! as subcommands; a program with one of them is a few lines:
//!
//! ```no_run
//! use std::process::ExitCode;
//!
//! use clap::Parser;
//! use mmdlrm_commands::{options, status, train};
//!
//! /// Train a recommender.
//! #[derive(Parser)]
//! struct Options {
//!     #[command(flatten)]
//!     train: train::Args,
//! }
//!
//! fn main() -> ExitCode {
//!     let Options { train } = options();
//!     status(train::run(train))
//! }
//! ```
//!
//! | command | what it does |
//! | --- | --- |
//! | [`train`] | trains a model of ratings, or of what comes next, and measures it |
//! | [`rank`] | trains a model of what comes next, and ranks candidates |
//! | [`clicks`] | trains a model of a click log, and measures it |
//! | [`evaluate`] | measures a saved run on ratings of one's choice |
//! | [`recommend`] | asks a saved run |
//! | [`encode`] | embeds posters and plots into a store |
//! | [`data`] | makes a MovieLens folder up, or reads one |
//! | [`ablate`] | compares what genres, plots, posters and histories add |
//! | [`compare`] | compares saved runs, or trains models on the same rows and compares them |
//!
//! All of it is [`mmdlrm`]'s: a program that wants the figures and not the words uses that
//! crate itself.
#![cfg_attr(docsrs, feature(doc_cfg))]
#![deny(missing_docs)]
#![forbid(unsafe_code)]

pub mod ablate;
pub mod clicks;
pub mod compare;
pub mod data;
pub mod encode;
pub mod evaluate;
pub mod rank;
pub mod recommend;
pub mod train;

mod error;
mod interrupt;
mod job;
mod options;
mod peak;
mod program;
mod progress;
mod warnings;

pub use error::{Error, Result};
pub use options::AskedRun;
pub use program::{options, status};

#[cfg(doctest)]
#[doc = include_str!("../README.md")]
struct ReadMe;
