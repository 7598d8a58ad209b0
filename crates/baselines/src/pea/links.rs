//! Who and what movies are tied to, beside their years and genres.

use mmdlrm_train::{Error, Kept, Result, Tensors};

use super::graph::Relation;
use crate::whole::{LIMIT, whole};

/// People of a role, and their movies, by dense row.
#[derive(Debug, Clone, Default, PartialEq)]
pub(crate) struct People {
    pub count: usize,
    /// `(person, movie)`, each once.
    pub edges: Vec<(u32, u32)>,
}

/// Tags, and who gave them to which movies.
#[derive(Debug, Clone, Default, PartialEq)]
pub(crate) struct Tags {
    pub count: usize,
    /// `[tag, user, movie]`.
    pub given: Vec<[u32; 3]>,
}

/// `None` of what the model does not know of.
#[derive(Debug, Clone, Default, PartialEq)]
pub(crate) struct Links {
    directors: Option<People>,
    actors: Option<People>,
    writers: Option<People>,
    tags: Option<Tags>,
}

impl Tags {
    /// `(tag, movie)`, as often as it was given.
    pub fn to_movies(&self) -> impl Iterator<Item = (u32, u32)> {
        self.given.iter().map(|&[tag, _, movie]| (tag, movie))
    }

    /// `(tag, user)`, as often as it was given.
    pub fn to_users(&self) -> impl Iterator<Item = (u32, u32)> {
        self.given.iter().map(|&[tag, user, _]| (tag, user))
    }
}

impl Links {
    pub fn new(people: impl Fn(Relation) -> Option<People>, tags: Option<Tags>) -> Self {
        Self {
            directors: people(Relation::DirectorMovie),
            actors: people(Relation::ActorMovie),
            writers: people(Relation::WriterMovie),
            tags,
        }
    }

    /// The people of a relation.
    pub fn people(&self, relation: Relation) -> Option<&People> {
        match relation {
            Relation::DirectorMovie => self.directors.as_ref(),
            Relation::ActorMovie => self.actors.as_ref(),
            Relation::WriterMovie => self.writers.as_ref(),
            _ => None,
        }
    }

    pub fn tags(&self) -> Option<&Tags> {
        self.tags.as_ref()
    }

    /// Hands over what is not in the features, to be kept: whole numbers.
    pub fn save(&self, tensors: &mut Tensors) {
        let people = [&self.directors, &self.actors, &self.writers];
        for (people, name) in people.into_iter().zip(["directors", "actors", "writers"]) {
            if let Some(People { edges, .. }) = people {
                tensors.put(
                    format!("{name}.people"),
                    numbers(edges.iter().map(|it| it.0)),
                );
                tensors.put(
                    format!("{name}.movies"),
                    numbers(edges.iter().map(|it| it.1)),
                );
            }
        }
        if let Some(Tags { given, .. }) = &self.tags {
            for (column, name) in ["tags.tags", "tags.users", "tags.movies"]
                .iter()
                .enumerate()
            {
                tensors.put(*name, numbers(given.iter().map(|it| it[column])));
            }
        }
    }

    /// Takes over what was kept.
    ///
    /// # Errors
    /// Numbers that are not whole, or not as many as they should be.
    pub fn load(kept: &Kept) -> Result<Self> {
        let people = |name: &str| -> Result<_> {
            let [people, movies] = [format!("{name}.people"), format!("{name}.movies")];
            if kept.get(&people).is_err() {
                return Ok(None);
            }
            let (people, movies) = (ids(kept, &people)?, ids(kept, &movies)?);
            check_lengths(name, [people.len(), movies.len()])?;
            Ok(Some(People {
                count: count(name, &people)?,
                edges: people.into_iter().zip(movies).collect(),
            }))
        };
        let tags = match kept.get("tags.tags") {
            Err(_) => None,
            Ok(_) => {
                let tags = ids(kept, "tags.tags")?;
                let (users, movies) = (ids(kept, "tags.users")?, ids(kept, "tags.movies")?);
                check_lengths("tags", [tags.len(), users.len()])?;
                check_lengths("tags", [tags.len(), movies.len()])?;
                let count = count("tags", &tags)?;
                let given = tags.into_iter().zip(users).zip(movies);
                let given = given.map(|((tag, user), movie)| [tag, user, movie]);
                let given = given.collect();
                Some(Tags { count, given })
            }
        };
        Ok(Self {
            directors: people("directors")?,
            actors: people("actors")?,
            writers: people("writers")?,
            tags,
        })
    }
}

fn numbers(ids: impl Iterator<Item = u32>) -> Vec<f32> {
    ids.map(|id| id as f32).collect()
}

fn ids(kept: &Kept, name: &str) -> Result<Vec<u32>> {
    let ids = whole(kept.get(name)?, LIMIT);
    ids.ok_or_else(|| Error::Mismatch(format!("{name} in the model's file has what is no id")))
}

/// How many there are, each of which comes at least once.
fn count(name: &str, numbers: &[u32]) -> Result<usize> {
    let count = numbers.iter().max().map_or(0, |&last| last as usize + 1);
    match count <= numbers.len() {
        true => Ok(count),
        false => Err(Error::Mismatch(format!(
            "{name} in the model's file have numbers that are too high"
        ))),
    }
}

fn check_lengths(name: &str, lengths: [usize; 2]) -> Result<()> {
    match lengths[0] == lengths[1] {
        true => Ok(()),
        false => Err(Error::Mismatch(format!(
            "{name} in the model's file are {} and {}, and should be as many",
            lengths[0], lengths[1]
        ))),
    }
}

/// Refuses more nodes than can be kept.
///
/// # Errors
/// What there is too much of.
pub(crate) fn check_count(what: &str, count: usize) -> Result<()> {
    match count <= LIMIT {
        true => Ok(()),
        false => Err(Error::Mismatch(format!(
            "{count} {what} are more than {LIMIT}"
        ))),
    }
}
