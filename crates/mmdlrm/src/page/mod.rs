//! `report.html`: one file that says what a run came to.

mod charts;
mod comparison;
mod machine;
mod people;
mod rankings;

use askama::Template;
use mmdlrm_features::TrainingData;
use mmdlrm_train::{EpochMetrics, Ranker, RunFolder};

use charts::Curve;
pub(crate) use comparison::of_comparison;
use people::{Person, people};
use rankings::RankingTable;

use crate::made_from::Learned;
use crate::report::{Errors, GroupError, Report, Seconds};
use crate::{
    Catalogue, Error, ExperimentConfig, GroupNdcg, RankingFigure, RankingReport, Rankings, Result,
    Words, told,
};

/// Leaves the page of a model over the whole catalogue in the run's folder.
pub(crate) fn write_for_model(
    folder: &RunFolder,
    (config, learned): (&ExperimentConfig, &Learned),
    report: &Report,
    epochs: &[EpochMetrics],
    model: &dyn Ranker,
    data: &dyn TrainingData,
    catalogue: &Catalogue,
) -> Result<()> {
    let people = people(model, data, catalogue, &report.inputs.words)?;
    let page = Page::of_model(config, learned, report, epochs, people)?;
    Ok(folder.write_report(&page.html()?)?)
}

/// The same of a model that ranked candidates.
pub(crate) fn write_for_ranking(
    folder: &RunFolder,
    config: &ExperimentConfig,
    report: &RankingReport,
    epochs: &[EpochMetrics],
) -> Result<()> {
    let page = Page::of_ranking(config, report, epochs)?;
    Ok(folder.write_report(&page.html()?)?)
}

/// What the page shows.
#[derive(Template)]
#[template(path = "report.html")]
struct Page {
    title: String,
    figures: Vec<Figure>,
    rankings: RankingTable,
    charts: Vec<Chart>,
    bars: Vec<Bars>,
    people: Vec<Person>,
    words: Words,
    inputs: Vec<(String, String)>,
    seconds: Bars,
    machine: Vec<(&'static str, String)>,
    config: String,
}

struct Figure {
    name: String,
    value: String,
    about: String,
}

struct Chart {
    title: &'static str,
    about: String,
    svg: String,
}

struct Bars {
    title: String,
    about: String,
    rows: Vec<Bar>,
}

struct Bar {
    name: String,
    value: String,
    about: String,
    /// Of the longest.
    percent: f64,
}

impl Bars {
    /// `rows` are names, values as they are written, numbers, and what is said of them.
    fn new(
        title: impl Into<String>,
        about: impl Into<String>,
        rows: impl IntoIterator<Item = (String, String, f64, String)>,
    ) -> Self {
        let rows: Vec<_> = rows.into_iter().collect();
        let longest = rows.iter().map(|row| row.2).fold(0.0, f64::max);
        let rows = rows.into_iter().map(|(name, value, number, about)| Bar {
            name,
            value,
            about,
            percent: if longest > 0.0 {
                100.0 * number / longest
            } else {
                0.0
            },
        });
        Self {
            title: title.into(),
            about: about.into(),
            rows: rows.collect(),
        }
    }

    fn of_errors(title: String, words: &Words, groups: &[GroupError]) -> Self {
        let groups = groups.iter().filter_map(|group| {
            let rmse = group.rmse?;
            let about = format!("{} {}", group.count, words.ratings);
            Some((group.group.clone(), told(rmse), rmse, about))
        });
        Self::new(
            title,
            format!(
                "RMSE in {} on held-out {}; less is better.",
                words.unit, words.ratings
            ),
            groups,
        )
    }

    fn of_ndcg(words: &Words, groups: &[GroupNdcg]) -> Self {
        let rows = groups.iter().filter_map(|group| {
            let ndcg = group.ndcg?;
            let about = format!("{} users", group.users);
            Some((group.group.clone(), format!("{ndcg:.4}"), ndcg, about))
        });
        Self::new(
            format!("nDCG@10 by the training {} of the user", words.ratings),
            format!(
                "The whole catalogue ranked, less the {} that the user is known to have; more is \
                 better.",
                words.items
            ),
            rows,
        )
    }

    fn of_seconds(seconds: Seconds) -> Self {
        let Seconds {
            read,
            encode,
            train,
            rank,
        } = seconds;
        let stages = [
            ("read", read),
            ("encode", encode),
            ("train", train),
            ("rank", rank),
        ];
        let rows = stages.map(|(name, seconds)| {
            (
                name.to_owned(),
                format!("{seconds:.1} s"),
                seconds,
                String::new(),
            )
        });
        Self::new("Time", "What each stage took.", rows)
    }
}

impl Page {
    /// Of a model over the whole catalogue.
    fn of_model(
        config: &ExperimentConfig,
        learned: &Learned,
        report: &Report,
        epochs: &[EpochMetrics],
        people: Vec<Person>,
    ) -> Result<Self> {
        let at = |of: fn(&EpochMetrics) -> Option<f64>| -> Vec<(f64, f64)> {
            let points = epochs.iter();
            points
                .filter_map(|metrics| Some((metrics.epoch as f64, of(metrics)?)))
                .collect()
        };
        let loss = [Curve {
            name: "training",
            points: at(|metrics| Some(metrics.train_loss)),
        }];
        let errors = [
            ("held out", at(|metrics| metrics.test_rmse)),
            ("validation", at(|metrics| metrics.validation_rmse)),
        ];
        let errors = errors.into_iter().filter(|curve| !curve.1.is_empty());
        let errors: Vec<Curve> = errors
            .map(|(name, points)| Curve { name, points })
            .collect();
        let ndcg = [Curve {
            name: "validation",
            points: at(|metrics| metrics.validation_ndcg),
        }];
        let auc = [
            ("held out", at(|metrics| metrics.test_auc)),
            ("validation", at(|metrics| metrics.validation_auc)),
        ];
        let auc = auc.into_iter().filter(|curve| !curve.1.is_empty());
        let auc: Vec<Curve> = auc.map(|(name, points)| Curve { name, points }).collect();
        let words = &report.inputs.words;
        let charts = vec![
            Chart {
                title: "Loss",
                about: "Mean training loss of each epoch, while it was learned from.".to_owned(),
                svg: charts::curves(&loss, "loss")?,
            },
            Chart {
                title: "Error",
                about: format!(
                    "After each epoch. Nothing is chosen by the held-out {}.",
                    words.ratings
                ),
                svg: charts::curves(&errors, &format!("RMSE, {}", words.unit))?,
            },
            Chart {
                title: "Area under the ROC curve",
                about: format!(
                    "After each epoch. Nothing is chosen by the held-out {}.",
                    words.ratings
                ),
                svg: charts::curves(&auc, "AUC")?,
            },
            Chart {
                title: "Ranking",
                about: format!(
                    "After each epoch: how validation {} stand among all {}.",
                    words.ratings, words.items
                ),
                svg: charts::curves(&ndcg, "nDCG@10")?,
            },
            Chart {
                title: "Predicted against given",
                about: format!(
                    "Each column is all held-out {} of so many {}; the stronger the colour, the \
                     more of them. On the line predictions would be right.",
                    words.ratings, words.unit
                ),
                svg: match &report.errors {
                    Some(errors) if errors.labels.is_none() => {
                        charts::density(&errors.density, words)?
                    }
                    _ => String::new(),
                },
            },
        ];
        let missing = report.inputs.missing.iter().map(|missing| {
            let share = missing.movies as f64 / report.inputs.movies.max(1) as f64;
            let all = report.inputs.movies;
            let about = format!("{} of {all} {}", missing.movies, words.items);
            (
                missing.modality.clone(),
                format!("{:.1} %", 100.0 * share),
                share,
                about,
            )
        });
        let mut bars = Vec::new();
        let mut figures = Vec::new();
        if let Some(errors) = &report.errors {
            for (title, groups) in [
                (
                    format!(
                        "Error by the training {} of the {}",
                        words.ratings, words.item
                    ),
                    &errors.by_movie_ratings,
                ),
                (
                    format!("Error by the training {} of the user", words.ratings),
                    &errors.by_user_ratings,
                ),
                (
                    "Error with and without each modality".to_owned(),
                    &errors.by_modality,
                ),
            ] {
                bars.push(Bars::of_errors(title, words, groups));
            }
            figures.extend(Figure::of_errors(errors, words));
        }
        if let Some(ranking) = &report.ranking {
            figures.extend(Figure::of_rankings(ranking));
            bars.push(Bars::of_ndcg(words, &ranking.ndcg_by_user_ratings));
        }
        bars.extend([Bars::new(
            "Missing modalities",
            format!("Of so many {} there is no usable vector.", words.items),
            missing,
        )]);
        Ok(Self {
            title: report.out.display().to_string(),
            figures,
            rankings: match &report.ranking {
                Some(it) => RankingTable::of(&it.rankings).for_users(&it.ranked),
                None => RankingTable::default(),
            },
            charts: charts
                .into_iter()
                .filter(|chart| !chart.svg.is_empty())
                .collect(),
            bars: bars
                .into_iter()
                .filter(|bars| !bars.rows.is_empty())
                .collect(),
            people,
            words: words.clone(),
            inputs: inputs(&report.inputs),
            seconds: Bars::of_seconds(report.seconds),
            machine: machine::machine(),
            config: match learned.fit {
                None => serde_json::to_string_pretty(config)?,
                // What trains is somebody else's, and its settings are not the configuration's.
                Some(_) => serde_json::to_string_pretty(&(learned, config))?,
            },
        })
    }

    /// Of a run that ranks what comes next.
    fn of_ranking(
        config: &ExperimentConfig,
        report: &RankingReport,
        epochs: &[EpochMetrics],
    ) -> Result<Self> {
        let points = epochs.iter();
        let points = points.map(|metrics| (metrics.epoch as f64, metrics.train_loss));
        let loss = [Curve {
            name: "training",
            points: points.collect(),
        }];
        Ok(Self {
            title: report.out.display().to_string(),
            figures: vec![
                Figure::new(
                    "Hit rate@10",
                    report.hit_rate_at_10,
                    interval(report.hit_rate_interval),
                ),
                Figure::new("nDCG@10", report.ndcg_at_10, interval(report.ndcg_interval)),
                Figure::new(
                    "MRR@10",
                    report.mrr_at_10,
                    format!("{} users", report.users),
                ),
            ],
            rankings: RankingTable::of(&report.rankings),
            charts: vec![Chart {
                title: "Loss",
                about: "Mean cross-entropy of each epoch, while it was learned from.".to_owned(),
                svg: charts::curves(&loss, "loss")?,
            }],
            bars: Vec::new(),
            people: Vec::new(),
            words: report.inputs.words.clone(),
            inputs: inputs(&report.inputs),
            seconds: Bars::of_seconds(report.seconds),
            machine: machine::machine(),
            config: serde_json::to_string_pretty(config)?,
        })
    }

    /// The file.
    fn html(&self) -> Result<String> {
        self.render()
            .map_err(|error| Error::Page(error.to_string()))
    }
}

impl Figure {
    /// Of ratings errors, of labels what their probabilities are worth.
    fn of_errors(errors: &Errors, words: &Words) -> Vec<Self> {
        let ratings = format!("{} held-out {}", errors.test_ratings, words.ratings);
        if let Some(labels) = &errors.labels {
            let auc = labels.auc.map(|auc| Self::new("AUC", auc, ratings.clone()));
            let log_loss = Self::new("Log loss", labels.log_loss, ratings);
            return auc.into_iter().chain([log_loss]).collect();
        }
        let unit = &words.unit;
        vec![
            Self::new(
                &format!("RMSE, {unit}"),
                errors.rmse,
                interval(errors.rmse_interval),
            ),
            Self::new(&format!("MAE, {unit}"), errors.mae, ratings.clone()),
            Self::new(&format!("MSE, {unit}²"), errors.mse, ratings),
        ]
    }

    /// The first figure of the ranking, and that of the best simple baseline.
    fn of_rankings(rankings: &Rankings) -> Vec<Self> {
        let name = "nDCG@10";
        let first = Self::new(name, rankings.ndcg_at_10, interval(rankings.ndcg_interval));
        let of_catalogue = rankings.rankings.iter();
        let ndcg = of_catalogue
            .filter(|ranking| ranking.protocol == rankings.ranking_protocol)
            .find_map(|ranking| ranking.figure("nDCG"));
        let best = ndcg.and_then(RankingFigure::best_baseline);
        let beside = best.map(|best| {
            let about = "the best simple baseline".to_owned();
            Self::new(&format!("{name} by {}", best.name), best.value, about)
        });
        std::iter::once(first).chain(beside).collect()
    }

    fn new(name: &str, value: f64, about: String) -> Self {
        Self {
            name: name.to_owned(),
            value: told(value),
            about,
        }
    }
}

fn interval(interval: Option<(f64, f64)>) -> String {
    match interval {
        Some((low, high)) => {
            format!("95 % interval over users {} to {}", told(low), told(high))
        }
        None => String::new(),
    }
}

fn inputs(inputs: &crate::Inputs) -> Vec<(String, String)> {
    let (words, left_out) = (&inputs.words, inputs.left_out);
    let left_out = left_out.of_unknown_movies + left_out.duplicates + left_out.by_split;
    let numbers = [
        (format!("training {}", words.ratings), inputs.train_ratings),
        (format!("{} left out", words.ratings), left_out),
        ("users".to_owned(), inputs.users),
        (words.items.clone(), inputs.movies),
        ("parameters".to_owned(), inputs.parameters),
        ("pictures".to_owned(), inputs.posters),
        (
            "pictures that could not be used".to_owned(),
            inputs.broken_posters,
        ),
        (
            "rows of pictures left out".to_owned(),
            inputs.left_out_posters,
        ),
        ("texts".to_owned(), inputs.summaries),
        ("texts that are blank".to_owned(), inputs.blank_summaries),
        (
            "rows of texts left out".to_owned(),
            inputs.left_out_summaries,
        ),
    ];
    let numbers = numbers.map(|(name, number)| (name, number.to_string()));
    let encoder = inputs.encoder.clone().unwrap_or_else(|| "none".to_owned());
    let encoder = ("encoder".to_owned(), encoder);
    numbers.into_iter().chain([encoder]).collect()
}
