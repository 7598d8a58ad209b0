use mmdlrm_data::{Batches, Target};
#[cfg(doc)]
use mmdlrm_features::Features;
use mmdlrm_features::TrainingData;
use mmdlrm_metrics::Regression;

use crate::answers::check_numbers;
use crate::{LabelErrors, Measured, Rater, Result, validation_ndcg};

/// Held-out rows that are predicted at a time.
const ROWS_AT_A_TIME: usize = 16_384;
/// Items that a ranking is measured by.
const CUT_OFF: usize = 10;

/// One held-out rating and what a model says of it.
#[derive(Debug, Clone, Copy, PartialEq)]
#[non_exhaustive]
pub struct RatedPrediction {
    /// Raw user id.
    pub user_id: u32,
    /// Raw movie id.
    pub movie_id: u32,
    /// User by dense row.
    pub user: u32,
    /// Movie by dense row.
    pub movie: u32,
    /// What the user gave: stars, or what else the [target](Features::target) is.
    pub rating: f64,
    /// What the model gives.
    pub prediction: f64,
}

/// Predicts every held-out row, in the order of the file, and hands out some at
/// a time.
///
/// # Errors
/// A model that does not fit the data, data of which rows are missing, or what `take`
/// returns.
pub fn predict_test(
    model: &dyn Rater,
    data: &dyn TrainingData,
    take: impl FnMut(&[RatedPrediction]) -> Result<()>,
) -> Result<()> {
    let seen = predict(model, data, data.test_batches(ROWS_AT_A_TIME), take)?;
    all_came("held-out ratings", seen, data.test_rows())
}

/// The same for the validation rows.
///
/// # Errors
/// As [`predict_test`].
pub fn predict_validation(
    model: &dyn Rater,
    data: &dyn TrainingData,
    take: impl FnMut(&[RatedPrediction]) -> Result<()>,
) -> Result<()> {
    let seen = predict(model, data, data.validation_batches(ROWS_AT_A_TIME), take)?;
    all_came("validation ratings", seen, data.validation_rows())
}

/// What a model is worth after an epoch: its errors on the validation rows and on the
/// held-out ones; of labels the log loss and the AUC; of interactions without a target how well it
/// ranks those of the validation rows. A [`Session`](crate::Session) may say otherwise.
///
/// # Errors
/// As [`predict_test`].
pub fn measure(model: &dyn Rater, data: &dyn TrainingData) -> Result<Measured> {
    match data.features().target() {
        Target::Label => measure_labels(model, data),
        Target::Implicit => Ok(Measured::of_ranking(validation_ndcg(model, data, CUT_OFF)?)),
        _ => measure_stars(model, data),
    }
}

fn measure_labels(model: &dyn Rater, data: &dyn TrainingData) -> Result<Measured> {
    let mut validation = (Vec::new(), Vec::new());
    let mut test = (Vec::new(), Vec::new());
    let gather = |all: &mut (Vec<f32>, Vec<f32>), rated: &[RatedPrediction]| {
        all.0.extend(rated.iter().map(|it| it.prediction as f32));
        all.1.extend(rated.iter().map(|it| it.rating as f32));
        Ok(())
    };
    predict_validation(model, data, |rated| gather(&mut validation, rated))?;
    predict_test(model, data, |rated| gather(&mut test, rated))?;
    let validation = LabelErrors::of_predictions(&validation.0, &validation.1)?;
    let test = LabelErrors::of_predictions(&test.0, &test.1)?;
    Ok(Measured {
        validation_log_loss: validation.map(|it| it.log_loss),
        validation_auc: validation.and_then(|it| it.auc),
        test_log_loss: test.map(|it| it.log_loss),
        test_auc: test.and_then(|it| it.auc),
        ..Measured::default()
    })
}

fn measure_stars(model: &dyn Rater, data: &dyn TrainingData) -> Result<Measured> {
    let (mut validation, mut test) = (Regression::default(), Regression::default());
    predict_validation(model, data, |rated| add(&mut validation, rated))?;
    predict_test(model, data, |rated| add(&mut test, rated))?;
    Ok(Measured::new(validation.rmse(), test.rmse()))
}

fn add(errors: &mut Regression, rated: &[RatedPrediction]) -> Result<()> {
    for rated in rated {
        errors.add(rated.prediction, rated.rating)?;
    }
    Ok(())
}

/// How many there are in one of a target of the digits that come through 32 bits of stars: below a
/// millionth of a star all is rounding.
fn digits_of(target: Target) -> f64 {
    const OF_A_STAR: i32 = 6;
    10f64.powi(OF_A_STAR - target.of_a_star().log10().floor() as i32)
}

/// A figure is of all rows, or of none.
pub(crate) fn all_came(rows: &'static str, seen: usize, expected: usize) -> Result<()> {
    Ok(mmdlrm_data::Error::unless_all(rows, seen, expected)?)
}

/// The number of rows that were predicted.
fn predict(
    model: &dyn Rater,
    data: &dyn TrainingData,
    batches: Batches,
    mut take: impl FnMut(&[RatedPrediction]) -> Result<()>,
) -> Result<usize> {
    let features = data.features();
    let (users, movies) = (features.users().ids(), features.movies().ids());
    let target = features.target();
    let digits = digits_of(target);
    let (mut predictions, mut rated) = (Vec::new(), Vec::new());
    let mut seen = 0;
    for batch in batches {
        let batch = batch?;
        model.rate(&batch, &mut predictions)?;
        check_numbers("predictions", &predictions, batch.len())?;
        rated.clear();
        for (row, &prediction) in predictions.iter().enumerate() {
            let (user, movie) = (batch.users[row], batch.movies[row]);
            let rating = target.from_stars(f64::from(batch.stars[row]));
            rated.push(RatedPrediction {
                user_id: users[user as usize],
                movie_id: movies[movie as usize],
                user,
                movie,
                rating: (rating * digits).round() / digits,
                prediction: target.from_stars(f64::from(prediction)),
            });
        }
        seen += rated.len();
        take(&rated)?;
    }
    Ok(seen)
}
