use std::collections::HashMap;

use mmdlrm_data::arrow_array::{Array, RecordBatch, StringArray, UInt32Array};
use mmdlrm_data::{DataFingerprint, DataPart, Interactions};
use mmdlrm_features::Features;
use mmdlrm_train::{Error, Result};

use super::PeaConfig;
use super::graph::Relation;
use super::links::{Links, People, Tags};
use crate::pairs::Pairs;

/// What somebody did for a movie.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Role {
    /// Directed it.
    Director,
    /// Played in it.
    Actor,
    /// Wrote it.
    Writer,
}

/// What a [`Pea`](crate::Pea) may know of movies beside their years and genres: who made them, and
/// what tags users gave them, by raw ids. Of ids that the data do not have nothing is used.
///
/// ```
/// use mmdlrm_baselines::{Entities, Role};
///
/// let mut entities = Entities::default();
/// entities.add_credit(1, Role::Director, "John Lasseter");
/// entities.add_credit(2355, Role::Director, " John Lasseter");
/// entities.add_tag(7, 1, "Pixar");
/// assert_eq!(entities.credits(), 2);
/// assert_eq!(entities.tags(), 1);
/// ```
#[derive(Debug, Clone, Default)]
pub struct Entities {
    /// Of each role `(movie, person)`.
    credits: [Names; 3],
    /// `(user, movie)` of each tagging.
    tagged: Vec<(u32, u32)>,
    tags: Names,
}

/// Names that something has, numbered as they come.
#[derive(Debug, Clone, Default)]
struct Names {
    numbers: HashMap<String, u32>,
    /// `(owner, name)`.
    rows: Vec<(u32, u32)>,
}

impl Names {
    fn add(&mut self, owner: u32, name: String) {
        let next = self.numbers.len() as u32;
        let number = *self.numbers.entry(name).or_insert(next);
        self.rows.push((owner, number));
    }

    fn part(&self, name: &str) -> DataPart {
        let words = self
            .rows
            .iter()
            .flat_map(|&(owner, number)| [owner, number]);
        DataPart::of_words(name, words)
    }
}

impl Role {
    const ALL: [Self; 3] = [Self::Director, Self::Actor, Self::Writer];

    /// By the name that tables of credits have for it; `None` of any other.
    ///
    /// ```
    /// use mmdlrm_baselines::Role;
    ///
    /// assert_eq!(Role::of("Writer"), Some(Role::Writer));
    /// assert_eq!(Role::of("grip"), None);
    /// ```
    pub fn of(name: &str) -> Option<Self> {
        match name.trim().to_lowercase().as_str() {
            "director" => Some(Self::Director),
            "actor" => Some(Self::Actor),
            "writer" => Some(Self::Writer),
            _ => None,
        }
    }

    fn of_relation(relation: Relation) -> Option<Self> {
        match relation {
            Relation::DirectorMovie => Some(Self::Director),
            Relation::ActorMovie => Some(Self::Actor),
            Relation::WriterMovie => Some(Self::Writer),
            _ => None,
        }
    }
}

impl Entities {
    /// The tags of a release, or none where it has none.
    ///
    /// # Errors
    /// A table of tags that was put there with other columns.
    pub fn of_tags(data: impl Into<Interactions>) -> Result<Self> {
        let mut entities = Self::default();
        let Some(table) = &data.into().tags else {
            return Ok(entities);
        };
        let users: &UInt32Array = column(table, "userId")?;
        let movies: &UInt32Array = column(table, "movieId")?;
        let texts: &StringArray = column(table, "tag")?;
        let pairs = users.values().iter().zip(movies.values());
        for (row, (&user, &movie)) in pairs.enumerate() {
            if texts.is_valid(row) {
                entities.add_tag(user, movie, texts.value(row));
            }
        }
        Ok(entities)
    }

    /// Adds a tag that a user gave a movie. Tags are compared without regard to case or
    /// surrounding blanks.
    pub fn add_tag(&mut self, user_id: u32, movie_id: u32, tag: &str) {
        self.tagged.push((user_id, movie_id));
        self.tags.add(movie_id, tag.trim().to_lowercase());
    }

    /// Adds somebody who had a part in a movie. Names are compared without regard to surrounding
    /// blanks; who did two things is two.
    pub fn add_credit(&mut self, movie_id: u32, role: Role, name: &str) {
        self.credits[role as usize].add(movie_id, name.trim().to_owned());
    }

    /// How many credits there are.
    pub fn credits(&self) -> usize {
        self.credits.iter().map(|it| it.rows.len()).sum()
    }

    /// How often tags were given.
    pub fn tags(&self) -> usize {
        self.tagged.len()
    }

    /// What tells them from others.
    pub(super) fn fingerprint(&self) -> DataFingerprint {
        let parts = ["directors", "actors", "writers"].into_iter();
        let credits = Role::ALL.into_iter().zip(parts);
        let parts = credits.map(|(role, name)| self.credits[role as usize].part(name));
        let users = self.tagged.iter().map(|it| it.0);
        let tags = [
            self.tags.part("tags"),
            DataPart::of_words("who tagged", users),
        ];
        parts.chain(tags).collect()
    }

    /// Whether anything of a relation is often enough among what the data have to be a node. Of
    /// tags those count that are of no training pair, too: which pairs these are is not known.
    pub(super) fn has(&self, relation: Relation, features: &Features, config: &PeaConfig) -> bool {
        match relation {
            Relation::TagMovie | Relation::TagUser => {
                let given = self.given(features, |_, _| true);
                !often(given.iter().map(|it| it[0]), config.least_taggings).is_empty()
            }
            Relation::GenreMovie => !features.genre_names().is_empty(),
            Relation::UserMovie | Relation::YearMovie => true,
            _ => self.people(relation, features, config).is_some(),
        }
    }

    /// What is used of them.
    pub(super) fn links(&self, features: &Features, pairs: &Pairs, config: &PeaConfig) -> Links {
        let is_trained = |user, movie| pairs.of_user(user).binary_search(&movie).is_ok();
        let tags = self.has(Relation::TagMovie, features, config);
        let tags = tags.then(|| {
            let mut given = self.given(features, is_trained);
            let kept = often(given.iter().map(|it| it[0]), config.least_taggings);
            given.retain(|it| kept.binary_search(&it[0]).is_ok());
            for [tag, ..] in &mut given {
                *tag = kept.partition_point(|it| it < tag) as u32;
            }
            Tags {
                count: kept.len(),
                given,
            }
        });
        Links::new(|relation| self.people(relation, features, config), tags)
    }

    /// `[tag, user, movie]` of the pairs that are wanted, by dense row.
    fn given(&self, features: &Features, wanted: impl Fn(u32, u32) -> bool) -> Vec<[u32; 3]> {
        let rows = self.tagged.iter().zip(&self.tags.rows);
        let row = |(&(user, movie), &(_, tag)): (&(u32, u32), &(u32, u32))| {
            let user = features.users().row(user)?;
            let movie = features.movies().row(movie)?;
            wanted(user, movie).then_some([tag, user, movie])
        };
        rows.filter_map(row).collect()
    }

    /// Those of a role who have a part in movies enough; `None` where nobody has.
    fn people(
        &self,
        relation: Relation,
        features: &Features,
        config: &PeaConfig,
    ) -> Option<People> {
        let credits = &self.credits[Role::of_relation(relation)? as usize];
        let row = |&(movie, person): &(u32, u32)| Some((person, features.movies().row(movie)?));
        let mut edges: Vec<(u32, u32)> = credits.rows.iter().filter_map(row).collect();
        edges.sort_unstable();
        edges.dedup();
        let kept = often(edges.iter().map(|it| it.0), config.least_movies);
        edges.retain(|it| kept.binary_search(&it.0).is_ok());
        for (person, _) in &mut edges {
            *person = kept.partition_point(|it| it < person) as u32;
        }
        (!kept.is_empty()).then_some(People {
            count: kept.len(),
            edges,
        })
    }
}

/// Numbers that come so many times or more, ascending.
fn often(numbers: impl Iterator<Item = u32>, least: usize) -> Vec<u32> {
    let mut numbers: Vec<u32> = numbers.collect();
    numbers.sort_unstable();
    let groups = numbers.chunk_by(|a, b| a == b);
    groups
        .filter(|group| group.len() >= least)
        .map(|group| group[0])
        .collect()
}

fn column<'a, T: 'static>(table: &'a RecordBatch, name: &str) -> Result<&'a T> {
    let found = table.column_by_name(name);
    let found = found.and_then(|column| column.as_any().downcast_ref());
    found.ok_or_else(|| Error::Mismatch(format!("the table of tags has no {name} as it should be")))
}
