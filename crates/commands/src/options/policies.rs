//! What to do with ratings that a release should not have.

use clap::{Args, ValueEnum};

/// For `#[command(flatten)]`.
#[derive(Debug, Clone, Default, Args)]
pub struct Policies {
    /// What to do with ratings of movies, or interactions with items, that their table lacks
    /// [default: refuse]
    #[arg(long, value_enum)]
    unknown_movies: Option<UnknownMovies>,
    /// What to do where a user rated a movie, or interacted with an item, more than once [default:
    /// refuse; keep-latest of labels of 0 and 1, keep-earliest of interactions without a target]
    #[arg(long, value_enum)]
    duplicates: Option<Duplicates>,
}

#[derive(Debug, Clone, Copy, ValueEnum)]
enum UnknownMovies {
    Refuse,
    Drop,
}

#[derive(Debug, Clone, Copy, ValueEnum)]
enum Duplicates {
    Refuse,
    KeepFirst,
    KeepLatest,
    KeepEarliest,
    KeepAll,
}

impl Policies {
    pub fn unknown_movies(&self) -> mmdlrm::data::UnknownMovies {
        self.named_unknown_movies().unwrap_or_default()
    }

    /// What is named, if anything is.
    pub fn named_unknown_movies(&self) -> Option<mmdlrm::data::UnknownMovies> {
        self.unknown_movies.map(|policy| match policy {
            UnknownMovies::Refuse => mmdlrm::data::UnknownMovies::Refuse,
            UnknownMovies::Drop => mmdlrm::data::UnknownMovies::Drop,
        })
    }

    pub fn duplicates(&self) -> mmdlrm::data::Duplicates {
        self.named_duplicates().unwrap_or_default()
    }

    /// What is named, if anything is.
    pub fn named_duplicates(&self) -> Option<mmdlrm::data::Duplicates> {
        self.duplicates.map(|policy| match policy {
            Duplicates::Refuse => mmdlrm::data::Duplicates::Refuse,
            Duplicates::KeepFirst => mmdlrm::data::Duplicates::KeepFirst,
            Duplicates::KeepLatest => mmdlrm::data::Duplicates::KeepLatest,
            Duplicates::KeepEarliest => mmdlrm::data::Duplicates::KeepEarliest,
            Duplicates::KeepAll => mmdlrm::data::Duplicates::KeepAll,
        })
    }
}
