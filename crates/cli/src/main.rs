//! The program `mmdlrm`: all commands of `mmdlrm-commands`, and the server of
//! `mmdlrm-serve`.

mod log;
mod serve;

use std::process::ExitCode;

use clap::{Parser, Subcommand};
use mmdlrm_commands::{
    ablate, clicks, compare, data, encode, evaluate, options, rank, recommend, status, train,
};

/// A multimodal DLRM: train a recommender on MovieLens ratings, genres, posters and plots,
/// measure it, ask it, serve it.
#[derive(Parser)]
#[command(name = "mmdlrm", version, propagate_version = true)]
struct Options {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    Train(Box<train::Args>),
    Rank(Box<rank::Args>),
    Clicks(Box<clicks::Args>),
    Evaluate(evaluate::Args),
    Recommend(recommend::Args),
    Serve(serve::Args),
    Encode(encode::Args),
    Data(data::Args),
    Ablate(ablate::Args),
    Compare(Box<compare::Args>),
}

fn main() -> ExitCode {
    let Options { command } = options();
    match command {
        Command::Train(args) => status(train::run(*args)),
        Command::Rank(args) => status(rank::run(*args)),
        Command::Clicks(args) => status(clicks::run(*args)),
        Command::Evaluate(args) => status(evaluate::run(args)),
        Command::Recommend(args) => status(recommend::run(args)),
        Command::Serve(args) => serve::run(&args),
        Command::Encode(args) => status(encode::run(args)),
        Command::Data(args) => status(data::run(args)),
        Command::Ablate(args) => status(ablate::run(args)),
        Command::Compare(args) => status(compare::run(*args)),
    }
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory;

    use super::Options;

    #[test]
    fn options_of_all_commands_fit_together() {
        Options::command().debug_assert();
    }
}
