//! What to do with ratings that a release should not have, as arguments.

use mmdlrm::data::{Duplicates, UnknownMovies};

#[derive(clap::Args)]
pub struct Policies {
    /// What to do with ratings of movies that the table of movies lacks
    #[arg(long, default_value = "refuse", value_parser = ["refuse", "drop"])]
    unknown_movies: String,
    /// What to do where a user rated a movie more than once
    #[arg(long, default_value = "refuse",
          value_parser = ["refuse", "keep-first", "keep-latest", "keep-all"])]
    duplicates: String,
}

impl Policies {
    pub fn unknown_movies(&self) -> UnknownMovies {
        match self.unknown_movies.as_str() {
            "drop" => UnknownMovies::Drop,
            _ => UnknownMovies::Refuse,
        }
    }

    pub fn duplicates(&self) -> Duplicates {
        match self.duplicates.as_str() {
            "keep-first" => Duplicates::KeepFirst,
            "keep-latest" => Duplicates::KeepLatest,
            "keep-all" => Duplicates::KeepAll,
            _ => Duplicates::Refuse,
        }
    }
}
