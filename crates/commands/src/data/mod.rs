//! MovieLens folders: makes one up, or reads one and says how long it took. Tables of anybody's:
//! makes some up, or describes them.

mod describe;
mod generate;
mod load;
mod shop;

use clap::Subcommand;

use crate::Result;

/// Make up a MovieLens folder or the tables of a shop, read a folder, or describe tables.
#[derive(Debug, clap::Args)]
pub struct Args {
    #[command(subcommand)]
    what: What,
}

#[derive(Debug, Subcommand)]
enum What {
    Generate(generate::Args),
    Shop(shop::Args),
    Load(load::Args),
    Describe(describe::Args),
}

/// Does it, and prints how many rows there are and how long they took.
///
/// # Errors
/// A folder that cannot be written or read, sizes that make no sense, or a download that
/// fails.
pub fn run(args: Args) -> Result<()> {
    match args.what {
        What::Generate(args) => generate::run(&args),
        What::Shop(args) => shop::run(&args),
        What::Describe(args) => describe::run(&args),
        What::Load(args) => load::run(&args),
    }
}
