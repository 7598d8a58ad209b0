//! What users and movies are called in questions and answers.

use mmdlrm::{Movie, Recommender, Source};
use serde::Serialize;
use utoipa::ToSchema;

use crate::error::ApiError;

/// What the data call a user or a movie: a number, or a text where their ids are names.
#[derive(Debug, Clone, PartialEq, Serialize, ToSchema)]
#[serde(untagged)]
pub enum Id {
    Number(u32),
    Name(String),
}

impl From<u32> for Id {
    fn from(id: u32) -> Self {
        Self::Number(id)
    }
}

impl From<String> for Id {
    fn from(name: String) -> Self {
        Self::Name(name)
    }
}

/// Whether ids are names: those of tables are, and those of MovieLens are numbers.
pub fn are_names(recommender: &Recommender) -> bool {
    matches!(recommender.config().source, Source::Tables(_))
}

impl Id {
    pub fn of_user(recommender: &Recommender, user_id: u32) -> Result<Self, ApiError> {
        match are_names(recommender) {
            true => Ok(Self::Name(recommender.name_of_user(user_id)?)),
            false => Ok(Self::Number(user_id)),
        }
    }

    pub fn of_movie(movie: &Movie) -> Self {
        let name = movie.named.clone();
        name.map_or(Self::Number(movie.id), Self::Name)
    }

    /// The recommender's number of this user; whether there is a user of a number is left to it.
    pub fn user(&self, recommender: &Recommender) -> Result<u32, ApiError> {
        match self {
            Self::Number(id) => Ok(*id),
            Self::Name(name) => Ok(recommender.user_named(name)?),
        }
    }

    /// The same of a movie.
    pub fn movie(&self, recommender: &Recommender) -> Result<u32, ApiError> {
        match self {
            Self::Number(id) => Ok(*id),
            Self::Name(name) => Ok(recommender.catalogue().named(name)?.id),
        }
    }

    /// As a part of a path.
    pub fn in_path(&self) -> String {
        match self {
            Self::Number(id) => id.to_string(),
            Self::Name(name) => name.bytes().map(encoded).collect(),
        }
    }
}

/// A byte of a path: as it is where it can mean nothing else (RFC 3986, 2.3).
fn encoded(byte: u8) -> String {
    match byte {
        b'A'..=b'Z' | b'a'..=b'z' | b'0'..=b'9' | b'-' | b'.' | b'_' | b'~' => {
            char::from(byte).to_string()
        }
        _ => format!("%{byte:02X}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_one_part_of_a_path() {
        let path = |name: &str| Id::from(name.to_owned()).in_path();
        assert_eq!(path("sku-1_a.b~"), "sku-1_a.b~");
        assert_eq!(path("a/b c?ü%"), "a%2Fb%20c%3F%C3%BC%25");
        assert_eq!(Id::from(7).in_path(), "7");
    }
}
