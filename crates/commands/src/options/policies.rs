//! What to do with ratings that a release should not have.

use clap::{Args, ValueEnum};

/// For `#[command(flatten)]`.
#[derive(Debug, Default, Args)]
pub struct Policies {
    /// What to do with ratings of movies, or interactions with items, that their table lacks
    #[arg(long, value_enum, default_value = "refuse")]
    unknown_movies: UnknownMovies,
    /// What to do where a user rated a movie, or interacted with an item, more than once [default:
    /// refuse; keep-latest of interactions that are no ratings of a scale]
    #[arg(long, value_enum)]
    duplicates: Option<Duplicates>,
}

#[derive(Debug, Clone, Copy, Default, ValueEnum)]
enum UnknownMovies {
    #[default]
    Refuse,
    Drop,
}

#[derive(Debug, Clone, Copy, ValueEnum)]
enum Duplicates {
    Refuse,
    KeepFirst,
    KeepLatest,
    KeepAll,
}

impl Policies {
    pub fn unknown_movies(&self) -> mmdlrm::data::UnknownMovies {
        match self.unknown_movies {
            UnknownMovies::Refuse => mmdlrm::data::UnknownMovies::Refuse,
            UnknownMovies::Drop => mmdlrm::data::UnknownMovies::Drop,
        }
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
            Duplicates::KeepAll => mmdlrm::data::Duplicates::KeepAll,
        })
    }
}
