//! What a trained model is worth on ratings it never saw.

use std::collections::BTreeMap;
use std::time::Instant;

use mmdlrm_data::{Modality, Target};
use mmdlrm_features::TrainingData;
use mmdlrm_metrics::{Breakdown, PerUser, Regression};
use mmdlrm_train::{LabelErrors, Ranker, RatedPrediction, Rater, RunFolder, predict_test};
use serde::Serialize;

use crate::rankings::{Asked, Contestants, Ranking, Rankings, rank_candidates, rank_catalogue};
use crate::report::{Errors, FEW_RATINGS, GroupError, Inputs, Report, Seconds};
use crate::{Density, Error, Observer, RankedUsers, Result, Words};

/// The last line of `metrics.jsonl`.
#[derive(Serialize)]
pub(crate) struct FinalMetrics<'a, R> {
    pub r#final: bool,
    #[serde(flatten)]
    pub report: &'a R,
}

/// Training ratings up to which movies, and users, are told apart in the report.
const MOVIE_GROUPS: [u64; 4] = [0, 2, 9, 49];
pub(crate) const USER_GROUPS: [u64; 3] = [0, 49, 199];
/// Of the intervals in the report.
pub(crate) const CONFIDENCE: f64 = 0.95;
pub(crate) const RESAMPLES: usize = 1000;

/// Predicts, where the model predicts stars, and ranks; leaves predictions, rankings and final
/// figures in the run folder.
pub(crate) fn measure(
    model: &dyn Ranker,
    data: &dyn TrainingData,
    asked: &Asked,
    inputs: Inputs,
    mut seconds: Seconds,
    run: &RunFolder,
    observer: &mut dyn Observer,
) -> Result<Report> {
    let errors = model
        .rater()
        .map(|rater| predict(rater, data, &inputs.words, run));
    let errors = errors.transpose()?;
    let start = Instant::now();
    let test_users = test_users(data)?;
    let users = test_users.len() as u64;
    if test_users.is_empty() {
        return Err(no_held_out());
    }
    let ranking = match asked.users {
        RankedUsers::Off => None,
        _ => rank(model, data, test_users, asked, run, observer)?,
    };
    seconds.rank = start.elapsed().as_secs_f64();
    let report = Report {
        errors,
        test_users: users,
        catalogue: data.features().movies().len(),
        ranking,
        inputs,
        seconds,
        out: run.path().to_owned(),
    };
    run.append_metrics(&FinalMetrics {
        r#final: true,
        report: &report,
    })?;
    Ok(report)
}

/// Ranks candidates, where there are any, and the catalogue, with the baselines beside.
fn rank(
    model: &dyn Ranker,
    data: &dyn TrainingData,
    test_users: Vec<u32>,
    asked: &Asked,
    run: &RunFolder,
    observer: &mut dyn Observer,
) -> Result<Option<Rankings>> {
    let contestants = Contestants::new(model, data, asked.streamed)?;
    let of_candidates = asked
        .candidates
        .map(|candidates| rank_candidates(&contestants, data.features(), candidates, asked, run));
    let of_candidates: Option<Ranking> = of_candidates.transpose()?;
    let mut rankings = rank_catalogue(&contestants, data, test_users, asked, run, observer)?;
    if let (Some(rankings), Some(of_candidates)) = (&mut rankings, of_candidates) {
        rankings.rankings.insert(0, of_candidates);
    }
    Ok(rankings)
}

/// Users with held-out ratings, by dense row.
fn test_users(data: &dyn TrainingData) -> Result<Vec<u32>> {
    let mut users = Vec::new();
    data.for_each_user(|user| {
        if !user.held_out.is_empty() {
            users.push(user.user);
        }
        Ok::<_, mmdlrm_data::Error>(())
    })?;
    Ok(users)
}

/// Predicts every held-out rating, writes the predictions, and says how far they are off.
fn predict(
    model: &dyn Rater,
    data: &dyn TrainingData,
    words: &Words,
    run: &RunFolder,
) -> Result<Errors> {
    let target = words.target;
    let mut labels = (Vec::new(), Vec::new());
    let movie_counts = data.features().movie_counts();
    let user_counts = data.features().user_counts();
    let (mut all, mut few) = (Regression::default(), Regression::default());
    let mut by_movie_ratings: Breakdown<Regression> = Breakdown::new(&MOVIE_GROUPS);
    let mut by_user_ratings: Breakdown<Regression> = Breakdown::new(&USER_GROUPS);
    let mut density = Density::default();
    let mut by_modality = ByModality::new(data.features().modalities());
    // In order: the interval is to be the same whenever it is computed.
    let mut users: BTreeMap<u32, Regression> = BTreeMap::new();
    run.write_predictions(data.features(), |write| {
        predict_test(model, data, |rated| {
            for rated in rated {
                let (prediction, rating) = (rated.prediction, rated.rating);
                all.add(prediction, rating)?;
                match target {
                    Target::Label => {
                        labels.0.push(prediction as f32);
                        labels.1.push(rating as f32);
                    }
                    _ => density.add(target.in_stars(prediction), target.in_stars(rating)),
                }
                let of_one = users.entry(rated.user).or_default();
                of_one.add(prediction, rating)?;
                let of_movie = movie_counts[rated.movie as usize];
                if of_movie <= FEW_RATINGS {
                    few.add(prediction, rating)?;
                }
                let of_user = user_counts[rated.user as usize];
                let group = by_movie_ratings.at(of_movie.into());
                group.add(prediction, rating)?;
                let group = by_user_ratings.at(of_user.into());
                group.add(prediction, rating)?;
                by_modality.add(rated)?;
            }
            write(rated)
        })
    })?;
    let mut squared_errors = PerUser::default();
    for user in users.values() {
        squared_errors.add_sum(user.squared_error(), user.count() as f64)?;
    }
    let interval = squared_errors.interval(CONFIDENCE, RESAMPLES, 0);
    Ok(Errors {
        test_ratings: all.count(),
        mse: figure(all.mse())?,
        rmse: figure(all.rmse())?,
        mae: figure(all.mae())?,
        r2: all.r2(),
        rmse_interval: interval.map(|(low, high)| (low.sqrt(), high.sqrt())),
        by_movie_ratings: errors(&words.item, words, &by_movie_ratings),
        by_user_ratings: errors("user", words, &by_user_ratings),
        by_modality: by_modality.errors(&words.item),
        labels: LabelErrors::of_predictions(&labels.0, &labels.1)?,
        few_ratings: few.count(),
        few_ratings_rmse: few.rmse(),
        density,
    })
}

/// A figure over what is held out.
///
/// # Errors
/// There is none, since nothing is.
fn figure(value: Option<f64>) -> Result<f64> {
    value.ok_or_else(no_held_out)
}

pub(crate) fn no_held_out() -> Error {
    Error::Setting {
        setting: "number of held-out ratings",
        value: "0".to_owned(),
        rule: "there must be some to measure on; choose another split",
    }
}

fn errors(side: &str, words: &Words, breakdown: &Breakdown<Regression>) -> Vec<GroupError> {
    let of_group = |(ratings, errors)| {
        let group = format!("{side} with {ratings} training {}", words.ratings);
        GroupError::new(group, errors)
    };
    breakdown.groups().map(of_group).collect()
}

/// Errors for movies with and without a vector of each modality.
struct ByModality<'a> {
    modalities: &'a [Modality],
    with: Vec<Regression>,
    without: Vec<Regression>,
}

impl<'a> ByModality<'a> {
    fn new(modalities: &'a [Modality]) -> Self {
        Self {
            modalities,
            with: vec![Regression::default(); modalities.len()],
            without: vec![Regression::default(); modalities.len()],
        }
    }

    fn add(&mut self, rated: &RatedPrediction) -> mmdlrm_metrics::Result<()> {
        for (number, modality) in self.modalities.iter().enumerate() {
            let row = modality.row_of_movie()[rated.movie as usize];
            let group = match row {
                Modality::MISSING => &mut self.without,
                _ => &mut self.with,
            };
            group[number].add(rated.prediction, rated.rating)?;
        }
        Ok(())
    }

    fn errors(&self, item: &str) -> Vec<GroupError> {
        let pairs = self.with.iter().zip(&self.without);
        let named = self.modalities.iter().map(Modality::name).zip(pairs);
        named
            .flat_map(|(name, (with, without))| {
                [
                    GroupError::new(format!("{item} with {name}"), with),
                    GroupError::new(format!("{item} without {name}"), without),
                ]
            })
            .collect()
    }
}
