//! What carries a score, in words.

use mmdlrm_data::{Batch, Rated};
use mmdlrm_model::{Dlrm, Part};
use mmdlrm_train::{NewUser, Scorer};

use super::Reason;
use crate::Result;

/// Movies that stand for the average one: so many tell the mean well.
const BACKGROUND: usize = 256;

/// The parts of a prediction beside the model's.
const BIAS: &str = "bias";
const PROCESS: &str = "process";

/// The strongest reasons for each of `movies`, `count` of them at most; `user` is the row of
/// somebody `new`, or of a user of the model's.
pub(super) fn reasons(
    scorer: &Scorer<Dlrm>,
    new: Option<&NewUser>,
    user: u32,
    movies: &[u32],
    count: usize,
) -> Result<Vec<Vec<Reason>>> {
    if count == 0 || movies.is_empty() {
        return Ok(vec![Vec::new(); movies.len()]);
    }
    let features = new.map_or(scorer.features(), NewUser::features);
    let batch = |movies: &mut dyn Iterator<Item = u32>| {
        let rows: Vec<Rated> = movies.map(|movie| features.unrated(user, movie)).collect();
        features.test_batch(&rows)
    };
    let step = features.movies().len().div_ceil(BACKGROUND).max(1);
    let background = batch(&mut (0..features.movies().len() as u32).step_by(step));
    let own = batch(&mut movies.iter().copied());
    let (parts, found) = scorer.contributions(new, &own, &background)?;
    let beside = beside(features.process_share(), &own, &background);
    let of_model = 1.0 - features.process_share();
    let movies = found.chunks_exact(parts.len().max(1)).zip(beside);
    let reasons = movies.map(|(found, beside)| {
        let found = parts.iter().zip(found);
        let mut reasons: Vec<Reason> = found
            .map(|(part, &stars)| of_part(part, of_model * stars))
            .chain(beside)
            .filter(|reason| reason.stars > 0.0)
            .collect();
        reasons.sort_by(|a, b| b.stars.total_cmp(&a.stars));
        reasons.truncate(count);
        reasons
    });
    Ok(reasons.collect())
}

/// What stands beside the model: biases, and the Gaussian process beyond them.
fn beside(share: f32, own: &Batch, background: &Batch) -> Vec<Vec<Reason>> {
    let mean = |values: &[f32]| values.iter().sum::<f32>() / values.len().max(1) as f32;
    let bias_mean = mean(&background.base);
    let beyond = |process: &[f32], base: &[f32]| -> Vec<f32> {
        let pairs = process.iter().zip(base);
        pairs.map(|(process, base)| process - base).collect()
    };
    let process = beyond(&own.process, &own.base);
    let process_mean = mean(&beyond(&background.process, &background.base));
    let of_row = |row: usize| {
        let bias = own.base.get(row).map(|base| Reason {
            part: BIAS.to_owned(),
            words: "it is liked by most who rated it".to_owned(),
            stars: base - bias_mean,
        });
        let process = process.get(row).map(|process| Reason {
            part: PROCESS.to_owned(),
            words: "you liked movies like it, at that time".to_owned(),
            stars: share * (process - process_mean),
        });
        bias.into_iter().chain(process).collect()
    };
    (0..own.len()).map(of_row).collect()
}

fn of_part(part: &Part, stars: f32) -> Reason {
    let name = match &part.second {
        Some(second) => format!("{} × {second}", part.first),
        None => part.first.clone(),
    };
    Reason {
        words: words(part, &name),
        part: name,
        stars,
    }
}

/// What a side of a pair is called, and whether it is the user's.
fn side(name: &str) -> (&str, bool) {
    match name {
        "user" => ("your taste", true),
        "history" | "rated_history" => ("what you rated", true),
        "movie" => ("the movie", false),
        "genre" => ("its genres", false),
        "image" => ("its poster", false),
        "text" => ("its plot", false),
        "genome" => ("its tags", false),
        "audience" | "rated_audience" => ("who rated it", false),
        Part::FEATURES => ("how and when it is rated", false),
        other => (other, false),
    }
}

fn suits(what: &str) -> &'static str {
    match what {
        "its genres" | "its tags" => "suit",
        _ => "suits",
    }
}

fn words(part: &Part, name: &str) -> String {
    let Some(second) = &part.second else {
        return side(&part.first).0.to_owned();
    };
    let ((first, first_is_yours), (second, second_is_yours)) = (side(&part.first), side(second));
    match (first_is_yours, second_is_yours) {
        (true, false) => format!("{second} {} {first}", suits(second)),
        (false, true) => format!("{first} {} {second}", suits(first)),
        (true, true) => format!("{first} alone"),
        (false, false) if first == second => format!("{first} ({name})"),
        (false, false) => format!("{first}, with {second}"),
    }
}
