//! Reads a MovieLens folder into Arrow tables, splits it, and goes through its batches.
//!
//! ```sh
//! cargo run --release --example load_movielens -- ml-latest-small
//! ```
//!
//! Without a folder it makes a small one up.

use std::path::PathBuf;
use std::time::Instant;

use mmdlrm::data::generate::{self, GeneratorConfig};
use mmdlrm::data::{MovieLens, Split};
use mmdlrm::features::{Dataset, TrainingData};

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let folder = match std::env::args_os().nth(1) {
        Some(folder) => PathBuf::from(folder),
        None => {
            let folder = std::env::temp_dir().join("mmdlrm-sample");
            generate::write(&folder, &GeneratorConfig::default(), |_| {})?;
            folder
        }
    };
    // Which release it is shows in its files; the second time ratings come from a cache.
    let start = Instant::now();
    let movielens = MovieLens::open(&folder)?;
    let (ratings, seconds) = (&movielens.ratings, start.elapsed().as_secs_f64());
    println!("{} ratings in {seconds:.2} s", ratings.len());
    let stars: f64 = ratings.stars().iter().map(|&stars| f64::from(stars)).sum();
    println!("{:.2} stars on average", stars / ratings.len() as f64);

    // The latest fifth is held out; no feature sees it.
    let split = Split::temporal(ratings, 0.2)?;
    let dataset = Dataset::new(&movielens, split, Vec::new())?;
    let mut batches = 0;
    for batch in dataset.training_batches(2048, 42) {
        batches += 1;
        if batches == 1 {
            println!("a batch of {} ratings", batch?.len());
        }
    }
    let rows = dataset.training_rows();
    println!("{batches} batches of {rows} training ratings");
    Ok(())
}
