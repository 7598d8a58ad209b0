use std::path::PathBuf;

use mmdlrm::data::{Role, Schema, describe};

use crate::Result;
use crate::options::tables::column;
use crate::program::print;

/// Say what is in tables: columns and what they would be taken for, counts, what looks wrong
#[derive(Debug, clap::Args)]
pub struct Args {
    /// Tables of interactions, items or users: Parquet, CSV or .tsv, which may be compressed by gzip
    #[arg(required = true, value_name = "FILE")]
    files: Vec<PathBuf>,
    /// Column of the users' ids
    #[arg(long, value_name = "COLUMN")]
    user: Option<String>,
    /// Column of the items' ids
    #[arg(long, value_name = "COLUMN")]
    item: Option<String>,
    /// Column of what an interaction came to
    #[arg(long, value_name = "COLUMN")]
    target: Option<String>,
    /// Column of the times
    #[arg(long, value_name = "COLUMN")]
    time: Option<String>,
    /// What a column is, as of train
    #[arg(long, value_name = "COLUMN=ROLE", value_parser = column)]
    column: Vec<(String, Role)>,
}

pub fn run(args: &Args) -> Result<()> {
    let schema = Schema {
        user: args.user.clone(),
        item: args.item.clone(),
        target: args.target.clone(),
        time: args.time.clone(),
        roles: args.column.iter().cloned().collect(),
        ..Schema::default()
    };
    for (number, file) in args.files.iter().enumerate() {
        let blank = if number == 0 { "" } else { "\n" };
        let described = describe(file, &schema)?;
        print(format_args!("{blank}{}: {described}", file.display()))?;
    }
    Ok(())
}
