use std::fmt;
use std::path::PathBuf;

use mmdlrm_data::LeftOut;
use mmdlrm_features::Features;
use mmdlrm_metrics::Regression;
use mmdlrm_train::LabelErrors;
use serde::Serialize;

use crate::rankings::{Rankings, write_table};
use crate::{Density, Words, told};

/// Training ratings up to which a movie counts as rated by few.
pub const FEW_RATINGS: u32 = 5;

/// What an experiment came to, on ratings that the model never saw.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[non_exhaustive]
pub struct Report {
    /// Errors of predicted stars; `None` of a model that predicts none.
    #[serde(flatten)]
    pub errors: Option<Errors>,
    /// Users with held-out ratings.
    pub test_users: u64,
    /// Movies of the catalogue.
    pub catalogue: usize,
    /// Figures of ranking; `None` where nothing was to be ranked.
    #[serde(flatten)]
    pub ranking: Option<Rankings>,
    /// The rest: what went in.
    pub inputs: Inputs,
    /// Seconds of each stage.
    pub seconds: Seconds,
    /// The run's folder.
    pub out: PathBuf,
}

impl Report {
    /// Root mean squared error of predicted stars; `None` of a model that predicts none.
    pub fn rmse(&self) -> Option<f64> {
        self.errors.as_ref().map(|errors| errors.rmse)
    }

    /// Mean nDCG@10 over the catalogue, the held-out rating as graded relevance; `None` where
    /// nothing was ranked.
    pub fn ndcg_at_10(&self) -> Option<f64> {
        self.ranking.as_ref().map(|ranking| ranking.ndcg_at_10)
    }
}

/// How far predicted stars are from those that were given.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[non_exhaustive]
pub struct Errors {
    /// Held-out ratings.
    pub test_ratings: u64,
    /// Mean squared error, in stars².
    pub mse: f64,
    /// Its root, in stars.
    pub rmse: f64,
    /// Mean absolute error, in stars.
    pub mae: f64,
    /// Share of the variance of the ratings that is explained; `None` where they
    /// are all the same.
    pub r2: Option<f64>,
    /// 95 % confidence interval of [`Self::rmse`], by users drawn with
    /// replacement.
    pub rmse_interval: Option<(f64, f64)>,
    /// Errors by the training ratings of the movie.
    pub by_movie_ratings: Vec<GroupError>,
    /// The same by the training ratings of the user.
    pub by_user_ratings: Vec<GroupError>,
    /// The same for movies with and without a vector of each modality.
    pub by_modality: Vec<GroupError>,
    /// Held-out ratings of movies with at most [`FEW_RATINGS`] training
    /// ratings.
    pub few_ratings: u64,
    /// Root mean squared error on those; `None` where there are none.
    pub few_ratings_rmse: Option<f64>,
    /// Held-out ratings by what was given and what was predicted.
    #[serde(skip)]
    pub density: Density,
    /// Of labels, how good the predicted probabilities are; `None` of ratings.
    #[serde(flatten)]
    pub labels: Option<LabelErrors>,
}

/// Errors on a group of held-out ratings.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[non_exhaustive]
pub struct GroupError {
    /// Which: `movie with 3–9 training ratings`, `movie without image`.
    pub group: String,
    /// Held-out ratings in it.
    pub count: u64,
    /// Root mean squared error, in stars; `None` of none.
    pub rmse: Option<f64>,
}

impl GroupError {
    pub(crate) fn new(group: String, errors: &Regression) -> Self {
        Self {
            group,
            count: errors.count(),
            rmse: errors.rmse(),
        }
    }
}

/// Movies without a vector of a modality.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct MissingModality {
    /// Its name.
    pub modality: String,
    /// How many they are.
    pub movies: usize,
}

impl MissingModality {
    /// Of each modality.
    pub(crate) fn of(features: &Features) -> Vec<Self> {
        let movies = features.movies().len();
        let modalities = features.modalities().iter();
        let missing = modalities.map(|modality| Self {
            modality: modality.name().to_owned(),
            movies: movies - modality.present(),
        });
        missing.collect()
    }
}

/// What went into a run.
#[derive(Debug, Clone, Default, PartialEq, Serialize)]
#[non_exhaustive]
pub struct Inputs {
    /// What the things of the data are called.
    pub words: Words,
    /// Ratings trained on.
    pub train_ratings: usize,
    /// Ratings used for nothing.
    pub left_out: LeftOutRatings,
    /// Users.
    pub users: usize,
    /// Movies of the catalogue.
    pub movies: usize,
    /// Numbers that the model learned.
    pub parameters: usize,
    /// What encoded posters and plots; `None` where nothing did.
    pub encoder: Option<String>,
    /// Movies with a usable poster.
    pub posters: usize,
    /// Posters that could not be used.
    pub broken_posters: usize,
    /// Rows of the table of posters that name no picture, or none of a movie there is.
    pub left_out_posters: usize,
    /// Movies with a plot.
    pub summaries: usize,
    /// Plots that are blank.
    pub blank_summaries: usize,
    /// Rows of the table of plots of no movie there is.
    pub left_out_summaries: usize,
    /// Movies without a vector, of each modality.
    pub missing: Vec<MissingModality>,
}

/// Ratings of the release that are used neither to learn from nor to test on.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct LeftOutRatings {
    /// Of movies that the table of movies lacks.
    pub of_unknown_movies: usize,
    /// Of a pair of user and movie that has another rating.
    pub duplicates: usize,
    /// By the split: of users who have too few, or, where a saved run is evaluated, those
    /// that it learned from.
    pub by_split: usize,
}

impl LeftOutRatings {
    /// By the policies on what a release should not have.
    pub(crate) fn of(left_out: &LeftOut) -> Self {
        Self {
            of_unknown_movies: left_out.of_unknown_movies,
            duplicates: left_out.duplicates,
            by_split: 0,
        }
    }
}

/// Seconds of each stage.
#[derive(Debug, Clone, Copy, Default, PartialEq, Serialize)]
#[non_exhaustive]
pub struct Seconds {
    /// Reading files.
    pub read: f64,
    /// Encoding posters and plots.
    pub encode: f64,
    /// Training, with the evaluation after each epoch.
    pub train: f64,
    /// Ranking the catalogue.
    pub rank: f64,
}

impl fmt::Display for Seconds {
    fn fmt(&self, f: &mut fmt::Formatter) -> fmt::Result {
        let Self {
            read,
            encode,
            train,
            rank,
        } = self;
        write!(
            f,
            "read {read:.1} s, encode {encode:.1} s, train {train:.1} s, rank {rank:.1} s"
        )
    }
}

impl Errors {
    /// Rows of a table.
    fn write(&self, f: &mut fmt::Formatter, words: &Words) -> fmt::Result {
        let ratings = format!("{} held-out {}", self.test_ratings, words.ratings);
        if let Some(labels) = &self.labels {
            if let Some(auc) = labels.auc {
                writeln!(f, "| AUC | {auc:.4} | {ratings} |")?;
            }
            writeln!(f, "| log loss | {:.4} | {ratings} |", labels.log_loss)?;
            let about = format!("mean {:.4} where {:.4} is", labels.predicted, labels.label);
            writeln!(
                f,
                "| calibration error ({about}) | {:.4} | {ratings} |",
                labels.calibration_error
            )?;
        }
        let unit = &words.unit;
        writeln!(
            f,
            "| RMSE ({unit}, 95 % interval over users) | {}{} | {ratings} |",
            told(self.rmse),
            interval(self.rmse_interval)
        )?;
        writeln!(f, "| MAE ({unit}) | {} | {ratings} |", told(self.mae))?;
        writeln!(f, "| MSE ({unit}²) | {} | {ratings} |", told(self.mse))?;
        if let Some(r2) = self.r2 {
            writeln!(f, "| R² | {r2:.4} | {ratings} |")?;
        }
        if let Some(rmse) = self.few_ratings_rmse {
            let few = self.few_ratings;
            writeln!(
                f,
                "| RMSE, {} with ≤ {FEW_RATINGS} training {} | {} | {few} of them |",
                words.items,
                words.ratings,
                told(rmse)
            )?;
        }
        let groups = self.by_movie_ratings.iter().chain(&self.by_user_ratings);
        for GroupError { group, count, rmse } in groups.chain(&self.by_modality) {
            if let Some(rmse) = rmse {
                writeln!(f, "| RMSE, {group} | {} | {count} of them |", told(*rmse))?;
            }
        }
        Ok(())
    }
}

/// What could not be used, as it stands behind a figure: things, and rows of their table.
fn in_brackets((count, are): (usize, &str), rows: usize) -> String {
    let mut parts = Vec::new();
    if count > 0 {
        parts.push(format!("{count} {are}"));
    }
    match rows {
        0 => {}
        1 => parts.push("1 row left out".to_owned()),
        rows => parts.push(format!("{rows} rows left out")),
    }
    match parts.is_empty() {
        true => String::new(),
        false => format!(" ({})", parts.join("; ")),
    }
}

/// As it stands behind a figure.
pub(crate) fn interval(interval: Option<(f64, f64)>) -> String {
    match interval {
        None => String::new(),
        Some((low, high)) => format!(" ({}–{})", told(low), told(high)),
    }
}

impl fmt::Display for Report {
    /// A table to paste into a message.
    fn fmt(&self, f: &mut fmt::Formatter) -> fmt::Result {
        let Inputs {
            train_ratings,
            users,
            movies,
            words,
            ..
        } = &self.inputs;
        if let Some(errors) = &self.errors {
            writeln!(f, "| test metric | value | over |")?;
            writeln!(f, "| --- | ---: | --- |")?;
            errors.write(f, words)?;
            writeln!(f)?;
        }
        if let Some(ranking) = &self.ranking {
            write_table(f, &ranking.rankings)?;
            writeln!(f, "ranked for {}", ranking.ranked)?;
        }
        writeln!(
            f,
            "trained on {train_ratings} {} of {users} users and {movies} {}; {} parameters",
            words.ratings, words.items, self.inputs.parameters
        )?;
        let LeftOutRatings {
            of_unknown_movies,
            duplicates,
            by_split,
        } = self.inputs.left_out;
        if of_unknown_movies + duplicates + by_split > 0 {
            writeln!(
                f,
                "left out: {of_unknown_movies} {} of unknown {}, {duplicates} duplicates, \
                 {by_split} by the split",
                words.ratings, words.items
            )?;
        }
        if let Some(encoder) = &self.inputs.encoder {
            let Inputs {
                posters, summaries, ..
            } = &self.inputs;
            let broken = (self.inputs.broken_posters, "broken, treated as missing");
            let blank = (self.inputs.blank_summaries, "blank, treated as missing");
            let of_posters = in_brackets(broken, self.inputs.left_out_posters);
            let of_plots = in_brackets(blank, self.inputs.left_out_summaries);
            writeln!(
                f,
                "encoder: {encoder}; {posters} posters{of_posters}, {summaries} plots{of_plots}"
            )?;
        }
        writeln!(f, "{}", self.seconds)?;
        write!(f, "left in {}", self.out.display())
    }
}
