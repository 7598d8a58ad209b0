//! MovieLens folders: makes one up, or reads one and says how long it took.

mod generate;
mod load;

use clap::Subcommand;

use crate::Result;

/// Make up a MovieLens folder, or read one.
#[derive(Debug, clap::Args)]
pub struct Args {
    #[command(subcommand)]
    what: What,
}

#[derive(Debug, Subcommand)]
enum What {
    Generate(generate::Args),
    Load(load::Args),
}

/// Does it, and prints how many rows there are and how long they took.
///
/// # Errors
/// A folder that cannot be written or read, sizes that make no sense, or a download that
/// fails.
pub fn run(args: Args) -> Result<()> {
    match args.what {
        What::Generate(args) => generate::run(&args),
        What::Load(args) => load::run(&args),
    }
}
