//! A [`NextItem`] behind the seam.
//!
//! With the scores `s` of the catalogue's items after all that a user or visitor rated, those of
//! all movies are
//!
//! ```text
//! score(m) = s(item of m)                     of a movie of the catalogue
//!            min s − max(1, |min s|)          of any other: below them all
//! ```

use std::fmt;
use std::sync::atomic::AtomicBool;

use mmdlrm_data::{IdMap, Rated, RatedBag, RatedBags};
use mmdlrm_features::{Features, Known};
use mmdlrm_model::NextItem;

use super::score::scores_after;
use super::{NextItemData, file};
use crate::{Error, Persist, Ranker, Result, Visitor, Who};

/// Of somebody who rated nothing of the catalogue.
const NOTHING: RatedBag<'static> = RatedBag {
    ids: &[],
    stars: &[],
    timestamps: &[],
};

/// A [`NextItem`] with the data that it learns from, and where they stand among all users and
/// movies: what [`train_next_item`](crate::train_next_item) trains, a run's folder keeps, and
/// whoever recommends asks.
///
/// Its catalogue is a part of the movies. Movies outside it all have one score, which is less than
/// that of any movie of it; their [vectors](Ranker::item_vectors) are zeros. A user who rated
/// nothing of the catalogue is told popularity: how often each movie of it is rated.
///
/// Somebody new is known by a sequence, which is what a user is to it: nothing is learned. The
/// ratings of a visitor are put into the order of those of users, the oldest first, those of one
/// moment by movie; those of movies outside the catalogue are left out. So a visitor with the
/// ratings of a user has the scores of that user, to the bit.
pub struct NextItemRanker {
    pub(super) model: NextItem,
    pub(super) data: NextItemData,
    /// Of each user the one in the sequences, where there is one.
    users: Vec<Option<u32>>,
    /// Of each movie the item of the catalogue, where it is one.
    items: Vec<Option<u32>>,
    /// Scores for somebody who is not known, `[items]`.
    popularity: Vec<f32>,
}

/// What a visitor rated, as the one user.
struct Met(RatedBags);

impl NextItemRanker {
    /// Of a model of the shape of `data`, which are a part of what `features` are of: users and
    /// movies are their dense rows.
    ///
    /// # Errors
    /// [`Error::Mismatch`] of a model of another shape, or of users and movies that the features
    /// do not have.
    pub fn new(model: NextItem, data: NextItemData, features: &Features) -> Result<Self> {
        data.check_model(&model)?;
        let sequences = data.sequences();
        let counts = sequences.counts().into_iter();
        Ok(Self {
            users: rows("users", features.users(), sequences.users())?,
            items: rows("movies", features.movies(), sequences.catalogue())?,
            popularity: counts.map(|count| count as f32).collect(),
            model,
            data,
        })
    }

    /// The model.
    pub fn model(&self) -> &NextItem {
        &self.model
    }

    /// What it learns from.
    pub fn data(&self) -> &NextItemData {
        &self.data
    }

    /// What a user rated of the catalogue.
    fn sequence(&self, user: u32) -> Result<RatedBag<'_>> {
        let sequences = self.data.sequences();
        let of_user = row_of(&self.users, "user", user)?;
        Ok(of_user.map_or(NOTHING, |user| sequences.of(user)))
    }

    /// Writes the scores of all movies after each sequence, `[sequences, movies]`.
    fn score_after(&self, sequences: &[RatedBag<'_>], scores: &mut Vec<f32>) -> Result<()> {
        let known = sequences.iter().copied();
        let known: Vec<RatedBag> = known.filter(|sequence| !sequence.is_empty()).collect();
        let of_known = scores_after(&self.model, &self.data, &known)?;
        let mut of_known = of_known.chunks_exact(self.popularity.len());
        scores.clear();
        for sequence in sequences {
            let of_items = match sequence.is_empty() {
                true => None,
                false => of_known.next(),
            };
            self.spread(of_items.unwrap_or(&self.popularity), scores);
        }
        Ok(())
    }

    /// From the catalogue's items, `[items]`, to all movies, `[movies]`.
    fn spread(&self, of_items: &[f32], scores: &mut Vec<f32>) {
        let lowest = of_items.iter().copied().fold(f32::INFINITY, f32::min);
        let below = lowest - lowest.abs().max(1.0);
        let of_movie = |item: &Option<u32>| item.map_or(below, |item| of_items[item as usize]);
        scores.extend(self.items.iter().map(of_movie));
    }
}

impl Ranker for NextItemRanker {
    fn parameters(&self) -> usize {
        self.model.parameters().len()
    }

    fn score(&self, who: Who, scores: &mut Vec<f32>) -> Result<()> {
        match who {
            Who::Users(users) => {
                let sequences = users.iter().map(|&user| self.sequence(user));
                self.score_after(&sequences.collect::<Result<Vec<_>>>()?, scores)
            }
            Who::Visitor(visitor) => {
                let Met(rated) = visitor.state()?;
                self.score_after(&[rated.row(0)], scores)
            }
        }
    }

    fn meet(&self, ratings: &[Rated], _stop: Option<&AtomicBool>) -> Result<Visitor> {
        let mut rated = Vec::with_capacity(ratings.len());
        for rating in ratings {
            let item = row_of(&self.items, "movie", rating.movie)?;
            rated.extend(item.map(|movie| Rated {
                user: 0,
                movie,
                ..*rating
            }));
        }
        let met = Met(RatedBags::of_users(1, rated.into_iter()));
        Ok(Visitor::new(ratings.to_vec(), met))
    }

    fn item_vectors(&self) -> Result<Option<Vec<f32>>> {
        let of_items = self.model.target_vectors(&self.data.inputs())?;
        let dim = self.model.config().dim;
        let mut vectors = vec![0.0; self.items.len() * dim];
        for (vector, item) in vectors.chunks_exact_mut(dim).zip(&self.items) {
            if let Some(item) = *item {
                let start = item as usize * dim;
                vector.copy_from_slice(&of_items[start..start + dim]);
            }
        }
        Ok(Some(vectors))
    }
}

impl Persist for NextItemRanker {
    fn kind() -> &'static str {
        "next-item"
    }

    fn to_safetensors(&self) -> Result<Vec<u8>> {
        file::write(&self.model, &self.data)
    }

    fn load(file: &[u8], known: &Known) -> Result<Self> {
        let (model, catalogue, features) = file::read(file)?;
        let data = NextItemData::of_known(known, &catalogue, features)?;
        Self::new(model, data, known.features())
    }
}

impl fmt::Debug for NextItemRanker {
    fn fmt(&self, f: &mut fmt::Formatter) -> fmt::Result {
        f.debug_struct("NextItemRanker")
            .field("config", self.model.config())
            .field("users", &self.users.len())
            .field("movies", &self.items.len())
            .finish_non_exhaustive()
    }
}

/// Of each of `all` the row among `some`, all of which must be there.
fn rows(what: &str, all: &IdMap, some: &IdMap) -> Result<Vec<Option<u32>>> {
    match some.ids().iter().find(|&&id| all.row(id).is_none()) {
        None => Ok(all.ids().iter().map(|&id| some.row(id)).collect()),
        Some(id) => Err(Error::Mismatch(format!(
            "what comes next is ranked with {what} that the data lack, such as {id}"
        ))),
    }
}

/// Where a dense row stands, where there is such a row.
fn row_of(rows: &[Option<u32>], what: &str, row: u32) -> Result<Option<u32>> {
    let found = rows.get(row as usize).copied();
    found.ok_or_else(|| {
        let count = rows.len();
        Error::Mismatch(format!(
            "there is no {what} in row {row}: there are {count}"
        ))
    })
}
