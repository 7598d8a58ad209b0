//! Parquet tables of a run, some rows at a time.

use std::sync::Arc;

use arrow_array::{ArrayRef, BooleanArray, Float32Array, Float64Array, Int64Array, RecordBatch};
use mmdlrm_data::IdNames;
use mmdlrm_features::Features;

use crate::{CandidateScore, RankedMovie, RatedPrediction};

/// What users and items are called in the data, where their ids are numbers of names.
pub(super) struct Names<'a> {
    users: Option<&'a Arc<IdNames>>,
    items: Option<&'a Arc<IdNames>>,
}

impl<'a> Names<'a> {
    pub fn of(features: &'a Features) -> Self {
        Self {
            users: features.users().names(),
            items: features.movies().names(),
        }
    }

    fn users(&self, ids: impl Iterator<Item = u32>) -> ArrayRef {
        named(self.users, ids)
    }

    fn items(&self, ids: impl Iterator<Item = u32>) -> ArrayRef {
        named(self.items, ids)
    }
}

fn named(names: Option<&Arc<IdNames>>, ids: impl Iterator<Item = u32>) -> ArrayRef {
    match names {
        None => whole(ids),
        Some(names) => names.column_of(ids),
    }
}

pub(super) fn predictions_table(
    names: &Names,
    rated: &[RatedPrediction],
) -> parquet::errors::Result<RecordBatch> {
    let stars = |stars: fn(&RatedPrediction) -> f64| floats(rated.iter().map(stars));
    Ok(RecordBatch::try_from_iter([
        (
            "userId",
            names.users(rated.iter().map(|rated| rated.user_id)),
        ),
        (
            "movieId",
            names.items(rated.iter().map(|rated| rated.movie_id)),
        ),
        ("rating", stars(|rated| rated.rating)),
        ("prediction", stars(|rated| rated.prediction)),
    ])?)
}

pub(super) fn candidates_table(
    names: &Names,
    scored: &[CandidateScore],
) -> parquet::errors::Result<RecordBatch> {
    let held_out = scored.iter().map(|scored| Some(scored.held_out));
    let held_out: ArrayRef = Arc::new(held_out.collect::<BooleanArray>());
    Ok(RecordBatch::try_from_iter([
        (
            "userId",
            names.users(scored.iter().map(|scored| scored.user_id)),
        ),
        (
            "movieId",
            names.items(scored.iter().map(|scored| scored.movie_id)),
        ),
        ("score", floats(scored.iter().map(|scored| scored.score))),
        ("held_out", held_out),
    ])?)
}

pub(super) fn rankings_table(
    names: &Names,
    ranked: &[RankedMovie],
) -> parquet::errors::Result<RecordBatch> {
    let scores = ranked.iter().map(|ranked| ranked.score);
    let scores: ArrayRef = Arc::new(Float32Array::from_iter_values(scores));
    Ok(RecordBatch::try_from_iter([
        (
            "userId",
            names.users(ranked.iter().map(|ranked| ranked.user_id)),
        ),
        ("rank", whole(ranked.iter().map(|ranked| ranked.rank))),
        (
            "movieId",
            names.items(ranked.iter().map(|ranked| ranked.movie_id)),
        ),
        ("score", scores),
    ])?)
}

fn whole(ids: impl Iterator<Item = u32>) -> ArrayRef {
    Arc::new(Int64Array::from_iter_values(ids.map(i64::from)))
}

fn floats(values: impl Iterator<Item = f64>) -> ArrayRef {
    Arc::new(Float64Array::from_iter_values(values))
}
