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
use crate::report::{GroupError, Report, Seconds};
use crate::{
    Catalogue, Error, ExperimentConfig, GroupNdcg, RankingFigure, RankingReport, Rankings, Result,
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
    let people = people(model, data, catalogue)?;
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
    inputs: Vec<(&'static str, String)>,
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
    about: &'static str,
    svg: String,
}

struct Bars {
    title: &'static str,
    about: &'static str,
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
        title: &'static str,
        about: &'static str,
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
            title,
            about,
            rows: rows.collect(),
        }
    }

    fn of_errors(title: &'static str, groups: &[GroupError]) -> Self {
        let groups = groups.iter().filter_map(|group| {
            let rmse = group.rmse?;
            let about = format!("{} ratings", group.count);
            Some((group.group.clone(), format!("{rmse:.4}"), rmse, about))
        });
        Self::new(
            title,
            "RMSE in stars on held-out ratings; less is better.",
            groups,
        )
    }

    fn of_ndcg(groups: &[GroupNdcg]) -> Self {
        let rows = groups.iter().filter_map(|group| {
            let ndcg = group.ndcg?;
            let about = format!("{} users", group.users);
            Some((group.group.clone(), format!("{ndcg:.4}"), ndcg, about))
        });
        Self::new(
            "nDCG@10 by how much the user has rated",
            "The whole catalogue ranked, less what the user is known to have rated; more is \
             better.",
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
        let charts = vec![
            Chart {
                title: "Loss",
                about: "Mean training loss of each epoch, while it was learned from.",
                svg: charts::curves(&loss, "loss")?,
            },
            Chart {
                title: "Error",
                about: "After each epoch. Nothing is chosen by the held-out ratings.",
                svg: charts::curves(&errors, "RMSE, stars")?,
            },
            Chart {
                title: "Ranking",
                about: "After each epoch: how validation ratings stand among all movies.",
                svg: charts::curves(&ndcg, "nDCG@10")?,
            },
            Chart {
                title: "Predicted against given",
                about: "Each column is all held-out ratings of so many stars; the stronger the \
                        colour, the more of them. On the line predictions would be right.",
                svg: match &report.errors {
                    Some(errors) => charts::density(&errors.density)?,
                    None => String::new(),
                },
            },
        ];
        let missing = report.inputs.missing.iter().map(|missing| {
            let share = missing.movies as f64 / report.inputs.movies.max(1) as f64;
            let about = format!("{} of {} movies", missing.movies, report.inputs.movies);
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
                    "Error by how often the movie was rated",
                    &errors.by_movie_ratings,
                ),
                (
                    "Error by how much the user has rated",
                    &errors.by_user_ratings,
                ),
                ("Error with and without each modality", &errors.by_modality),
            ] {
                bars.push(Bars::of_errors(title, groups));
            }
            let ratings = format!("{} held-out ratings", errors.test_ratings);
            figures.extend([
                Figure::new("RMSE, stars", errors.rmse, interval(errors.rmse_interval)),
                Figure::new("MAE, stars", errors.mae, ratings.clone()),
                Figure::new("MSE, stars²", errors.mse, ratings),
            ]);
        }
        if let Some(ranking) = &report.ranking {
            figures.extend(Figure::of_rankings(ranking));
            bars.push(Bars::of_ndcg(&ranking.ndcg_by_user_ratings));
        }
        bars.extend([Bars::new(
            "Missing modalities",
            "Movies without a usable vector.",
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
                about: "Mean cross-entropy of each epoch, while it was learned from.",
                svg: charts::curves(&loss, "loss")?,
            }],
            bars: Vec::new(),
            people: Vec::new(),
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
            value: format!("{value:.4}"),
            about,
        }
    }
}

fn interval(interval: Option<(f64, f64)>) -> String {
    match interval {
        Some((low, high)) => format!("95 % interval over users {low:.4} to {high:.4}"),
        None => String::new(),
    }
}

fn inputs(inputs: &crate::Inputs) -> Vec<(&'static str, String)> {
    let left_out = inputs.left_out;
    let left_out = left_out.of_unknown_movies + left_out.duplicates + left_out.by_split;
    vec![
        ("training ratings", inputs.train_ratings.to_string()),
        ("ratings left out", left_out.to_string()),
        ("users", inputs.users.to_string()),
        ("movies", inputs.movies.to_string()),
        ("parameters", inputs.parameters.to_string()),
        (
            "encoder",
            inputs.encoder.clone().unwrap_or_else(|| "none".to_owned()),
        ),
        ("posters", inputs.posters.to_string()),
        (
            "posters that could not be used",
            inputs.broken_posters.to_string(),
        ),
        ("plots", inputs.summaries.to_string()),
    ]
}
