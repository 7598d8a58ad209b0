//! Parquet tables of a run, some rows at a time.

use std::sync::Arc;

use arrow_array::{ArrayRef, BooleanArray, Float32Array, Float64Array, Int64Array, RecordBatch};

use crate::{CandidateScore, RankedMovie, RatedPrediction};

pub(super) fn predictions_table(rated: &[RatedPrediction]) -> parquet::errors::Result<RecordBatch> {
    let stars = |stars: fn(&RatedPrediction) -> f64| floats(rated.iter().map(stars));
    Ok(RecordBatch::try_from_iter([
        ("userId", ids(rated.iter().map(|rated| rated.user_id))),
        ("movieId", ids(rated.iter().map(|rated| rated.movie_id))),
        ("rating", stars(|rated| rated.rating)),
        ("prediction", stars(|rated| rated.prediction)),
    ])?)
}

pub(super) fn candidates_table(scored: &[CandidateScore]) -> parquet::errors::Result<RecordBatch> {
    let held_out = scored.iter().map(|scored| Some(scored.held_out));
    let held_out: ArrayRef = Arc::new(held_out.collect::<BooleanArray>());
    Ok(RecordBatch::try_from_iter([
        ("userId", ids(scored.iter().map(|scored| scored.user_id))),
        ("movieId", ids(scored.iter().map(|scored| scored.movie_id))),
        ("score", floats(scored.iter().map(|scored| scored.score))),
        ("held_out", held_out),
    ])?)
}

pub(super) fn rankings_table(ranked: &[RankedMovie]) -> parquet::errors::Result<RecordBatch> {
    let scores = ranked.iter().map(|ranked| ranked.score);
    let scores: ArrayRef = Arc::new(Float32Array::from_iter_values(scores));
    Ok(RecordBatch::try_from_iter([
        ("userId", ids(ranked.iter().map(|ranked| ranked.user_id))),
        ("rank", ids(ranked.iter().map(|ranked| ranked.rank))),
        ("movieId", ids(ranked.iter().map(|ranked| ranked.movie_id))),
        ("score", scores),
    ])?)
}

fn ids(ids: impl Iterator<Item = u32>) -> ArrayRef {
    Arc::new(Int64Array::from_iter_values(ids.map(i64::from)))
}

fn floats(values: impl Iterator<Item = f64>) -> ArrayRef {
    Arc::new(Float64Array::from_iter_values(values))
}
