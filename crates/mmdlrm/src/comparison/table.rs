//! What models came to, beside each other.

use std::fmt;

use mmdlrm_metrics::{PerUser, Protocol};
use serde::Serialize;
use serde_json::Value;

use super::contestants::Contestant;
use super::outcome::{Outcome, UserErrors, UserRanking};
use crate::measure::{CONFIDENCE, RESAMPLES};
use crate::rankings::held_out;
use crate::report::interval;
use crate::{Result, SplitConfig, Words, told};

/// The metric that a table of rankings is in the order of.
const NDCG: &str = "nDCG@10";

/// Models side by side: a table for each protocol, and one of predicted stars.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[non_exhaustive]
pub struct ComparisonReport {
    /// What is held out, in words.
    pub held_out: String,
    /// The one that the split is for first.
    pub tables: Vec<ComparisonTable>,
    /// Models for which there was no content, memory or time, and what they would have needed.
    pub left_out: Vec<String>,
}

/// Figures of one kind, the best model first.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[non_exhaustive]
pub struct ComparisonTable {
    /// Which movies compete, and which are relevant; or that it is stars.
    pub title: String,
    /// Names of the figures. The first is that which rows are in the order of …
    pub metrics: Vec<String>,
    /// … more being better, or less.
    pub more_is_better: bool,
    /// A row a model.
    pub rows: Vec<Compared>,
}

/// A model in a table.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[non_exhaustive]
pub struct Compared {
    /// Its name.
    pub model: String,
    /// What it is, in a few words.
    pub about: String,
    /// As the table's metrics.
    pub figures: Vec<Estimate>,
    /// The first figure less that of the first row, of the same users; none of that row.
    pub difference: Option<Estimate>,
    /// How many seeds the figures are means of.
    pub seeds: usize,
    /// Whether another seed makes another model of it.
    pub has_chance: bool,
    /// Seconds of one training, in the mean.
    pub seconds: f64,
    /// Most memory that the process held while it was trained, in MiB, where the system tells.
    pub peak_mib: Option<u64>,
    /// How many numbers it learned.
    pub parameters: usize,
    /// What was published of it, and by which protocol: figures that have nothing to do with those
    /// of another. Empty where nothing is said.
    pub published: String,
    /// The settings that validation rows chose, of the first seed.
    pub settings: Value,
}

/// A mean over seeds and users.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
#[non_exhaustive]
pub struct Estimate {
    /// The mean.
    pub value: f64,
    /// 95 % interval, by users drawn with replacement.
    pub interval: Option<(f64, f64)>,
    /// Standard deviation over seeds; none of one seed.
    pub deviation: Option<f64>,
}

/// The ranking that a split is for.
pub(super) fn foremost<'a>(
    rankings: &'a [UserRanking],
    split: &SplitConfig,
) -> Option<&'a UserRanking> {
    let cold = Protocol::ColdItems.to_string();
    let is_cold = |ranking: &&UserRanking| ranking.protocol == cold;
    match split {
        SplitConfig::ColdMovies { .. } => rankings.iter().find(is_cold).or(rankings.first()),
        _ => rankings.first(),
    }
}

/// Mean nDCG of a ranking.
pub(super) fn mean_ndcg(ranking: &UserRanking) -> Result<f64> {
    let column = ranking.metrics.iter().position(|metric| metric == NDCG);
    let figures = figures(ranking, column.unwrap_or(0))?;
    Ok(figures.mean().unwrap_or(0.0))
}

fn figures(ranking: &UserRanking, column: usize) -> Result<PerUser> {
    let mut figures = PerUser::default();
    // An outcome that is read has as many figures of each user as metrics.
    for figure in ranking.users.iter().filter_map(|user| user.get(column)) {
        figures.add(*figure)?;
    }
    Ok(figures)
}

/// One figure of one model: the outcomes of its seeds, user by user.
struct Figure(Vec<PerUser>);

impl Figure {
    /// The mean of the seeds, user by user.
    fn mean(&self) -> Result<PerUser> {
        Ok(PerUser::mean_of(&self.0)?)
    }

    fn estimate(&self) -> Result<Estimate> {
        let mean = self.mean()?;
        Ok(Estimate {
            value: mean.mean().unwrap_or(0.0),
            interval: mean.interval(CONFIDENCE, RESAMPLES, 0),
            deviation: deviation(self.0.iter().filter_map(PerUser::mean).collect()),
        })
    }

    /// Of the seeds' roots.
    fn deviation_of_roots(&self) -> Option<f64> {
        let means = self.0.iter().filter_map(PerUser::mean);
        deviation(means.map(f64::sqrt).collect())
    }

    /// By how much the mean is more than another's, or its root where it is roots that are shown.
    fn difference(&self, other: &Self, are_roots: bool) -> Result<Estimate> {
        let (own, other) = (self.mean()?, other.mean()?);
        let (value, interval) = if are_roots {
            let interval = own.root_difference_interval(&other, CONFIDENCE, RESAMPLES, 0)?;
            (own.root_difference(&other)?, interval)
        } else {
            let interval = own.difference_interval(&other, CONFIDENCE, RESAMPLES, 0)?;
            (own.difference(&other)?, interval)
        };
        Ok(Estimate {
            value: value.unwrap_or(0.0),
            interval,
            deviation: None,
        })
    }
}

/// Of a sample.
fn deviation(values: Vec<f64>) -> Option<f64> {
    let freedom = values.len().checked_sub(2)? + 1;
    let mean = values.iter().sum::<f64>() / values.len() as f64;
    let squares = values.iter().map(|value| (value - mean).powi(2));
    Some((squares.sum::<f64>() / freedom as f64).sqrt())
}

impl ComparisonReport {
    pub(super) fn new(
        (split, ranked_for, words): (&SplitConfig, Option<&str>, &Words),
        contestants: &[Contestant],
        outcomes: &[Outcome],
        left_out: Vec<String>,
    ) -> Result<Self> {
        let models = contestants.iter().map(|contestant| {
            let own = outcomes.iter().filter(|it| it.model == contestant.name);
            (contestant, own.collect::<Vec<_>>())
        });
        let models: Vec<Model> = models.filter(|(_, own)| !own.is_empty()).collect();
        let mut protocols: Vec<&str> = Vec::new();
        for outcome in outcomes {
            let foremost = foremost(&outcome.rankings, split).into_iter();
            for ranking in foremost.chain(&outcome.rankings) {
                if !protocols.contains(&&*ranking.protocol) {
                    protocols.push(&ranking.protocol);
                }
            }
        }
        let tables = protocols.into_iter().map(|it| of_protocol(it, &models));
        let mut tables = tables.collect::<Result<Vec<_>>>()?;
        // Of a protocol under which no user has anything relevant there is nothing to say.
        tables.retain(|table| !table.rows.is_empty());
        tables.extend(of_predictions(&models, words)?);
        Ok(Self {
            held_out: match ranked_for {
                Some(users) => {
                    let items = &words.items;
                    format!("{}; {items} are ranked for {users}", held_out(split, words))
                }
                None => held_out(split, words),
            },
            tables,
            left_out,
        })
    }
}

/// A model and what its seeds came to.
type Model<'a> = (&'a Contestant, Vec<&'a Outcome>);

fn of_protocol(protocol: &str, models: &[Model]) -> Result<ComparisonTable> {
    let of = |outcome: &&Outcome| -> Option<UserRanking> {
        let is_this = |it: &&UserRanking| it.protocol == protocol && !it.users.is_empty();
        outcome.rankings.iter().find(is_this).cloned()
    };
    let mut rows = Vec::new();
    let mut metrics = Vec::new();
    for (contestant, outcomes) in models {
        let rankings: Vec<UserRanking> = outcomes.iter().filter_map(of).collect();
        let Some(first) = rankings.first() else {
            continue;
        };
        metrics = first.metrics.clone();
        let first = metrics
            .iter()
            .position(|metric| metric == NDCG)
            .unwrap_or(0);
        metrics[..=first].rotate_right(1);
        let mut columns: Vec<usize> = (0..metrics.len()).collect();
        columns[..=first].rotate_right(1);
        let figures_of = |column: usize| {
            let of_seeds = rankings.iter().map(|ranking| figures(ranking, column));
            of_seeds.collect::<Result<Vec<_>>>().map(Figure)
        };
        let figures = columns.into_iter().map(figures_of);
        rows.push((contestant, outcomes, figures.collect::<Result<Vec<_>>>()?));
    }
    let title = protocol.to_owned();
    table(title, metrics, Order::Rankings, rows)
}

/// Of models that predict what users give.
fn of_predictions(models: &[Model], words: &Words) -> Result<Option<ComparisonTable>> {
    let mut rows = Vec::new();
    for (contestant, outcomes) in models {
        let errors: Vec<&UserErrors> = outcomes
            .iter()
            .filter_map(|it| it.errors.as_ref())
            .collect();
        if errors.is_empty() {
            continue;
        }
        let of = |of: fn(&UserErrors) -> Result<PerUser>| {
            let of_seeds = errors.iter().map(|errors| of(errors));
            of_seeds.collect::<Result<Vec<_>>>().map(Figure)
        };
        let figures = vec![of(UserErrors::squared)?, of(UserErrors::absolute)?];
        rows.push((contestant, outcomes, figures));
    }
    if rows.is_empty() {
        return Ok(None);
    }
    let metrics = vec!["RMSE".to_owned(), "MAE".to_owned()];
    let title = match words.target.is_probability() {
        true => format!("probability of {}", words.unit),
        false => words.unit.clone(),
    };
    let mut table = table(title, metrics, Order::Errors, rows)?;
    for row in &mut table.rows {
        // The mean of the errors' roots would be another figure.
        let error = &mut row.figures[0];
        error.interval = error.interval.map(|(low, high)| (low.sqrt(), high.sqrt()));
        error.value = error.value.sqrt();
    }
    Ok(Some(table))
}

/// What the first figure of a table is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Order {
    /// More is better.
    Rankings,
    /// Squared errors, of whose mean the root is shown.
    Errors,
}

/// Rows in order, with differences to the first.
fn table(
    title: String,
    metrics: Vec<String>,
    order: Order,
    rows: Vec<(&&Contestant, &Vec<&Outcome>, Vec<Figure>)>,
) -> Result<ComparisonTable> {
    let mut all = Vec::with_capacity(rows.len());
    let are_errors = order == Order::Errors;
    for (contestant, outcomes, figures) in rows {
        let estimates = figures.iter().map(Figure::estimate);
        let mut estimates = estimates.collect::<Result<Vec<_>>>()?;
        if are_errors {
            estimates[0].deviation = figures[0].deviation_of_roots();
        }
        all.push((compared(contestant, outcomes, estimates), figures));
    }
    let sign = if are_errors { 1.0 } else { -1.0 };
    let first = |row: &Compared| sign * row.figures[0].value;
    all.sort_by(|(a, _), (b, _)| first(a).total_cmp(&first(b)));
    for place in 1..all.len() {
        let difference = all[place].1[0].difference(&all[0].1[0], are_errors)?;
        all[place].0.difference = Some(difference);
    }
    Ok(ComparisonTable {
        title,
        metrics,
        more_is_better: !are_errors,
        rows: all.into_iter().map(|(row, _)| row).collect(),
    })
}

fn compared(contestant: &Contestant, outcomes: &[&Outcome], figures: Vec<Estimate>) -> Compared {
    let seconds: f64 = outcomes.iter().map(|it| it.seconds).sum();
    Compared {
        model: contestant.name.to_owned(),
        about: contestant.about.to_owned(),
        figures,
        difference: None,
        seeds: outcomes.len(),
        has_chance: contestant.has_seed(),
        seconds: seconds / outcomes.len().max(1) as f64,
        peak_mib: outcomes.iter().filter_map(|it| it.peak_mib).max(),
        parameters: outcomes.first().map_or(0, |it| it.parameters),
        published: contestant.published.to_owned(),
        settings: outcomes
            .first()
            .map_or(Value::Null, |it| it.settings.clone()),
    }
}

impl Estimate {
    /// As a difference is written.
    pub(crate) fn signed(&self) -> String {
        match self.interval {
            Some((low, high)) => format!("{:+.4} ({low:+.4} to {high:+.4})", self.value),
            None => format!("{:+.4}", self.value),
        }
    }
}

impl fmt::Display for Estimate {
    fn fmt(&self, f: &mut fmt::Formatter) -> fmt::Result {
        write!(f, "{}{}", told(self.value), interval(self.interval))?;
        match self.deviation {
            Some(deviation) => write!(f, " sd {}", told(deviation)),
            None => Ok(()),
        }
    }
}

impl ComparisonTable {
    /// Whether something was published of one of the models.
    fn has_published(&self) -> bool {
        self.rows.iter().any(|row| !row.published.is_empty())
    }
}

impl fmt::Display for ComparisonTable {
    /// In Markdown.
    fn fmt(&self, f: &mut fmt::Formatter) -> fmt::Result {
        write!(f, "| {} |", self.title)?;
        self.metrics
            .iter()
            .try_for_each(|metric| write!(f, " {metric} |"))?;
        writeln!(
            f,
            " {} less the best's | training | memory | parameters | {}",
            self.metrics[0],
            if self.has_published() {
                "published |"
            } else {
                ""
            },
        )?;
        let columns = "---: | ".repeat(self.metrics.len() + 4);
        let published = if self.has_published() { " --- |" } else { "" };
        writeln!(f, "| --- | {}{published}", columns.trim_end())?;
        for row in &self.rows {
            write!(f, "| {}, {} |", row.model, row.about)?;
            row.figures
                .iter()
                .try_for_each(|figure| write!(f, " {figure} |"))?;
            match row.difference {
                Some(difference) => write!(f, " {} |", difference.signed())?,
                None => write!(f, " |")?,
            }
            let memory = row
                .peak_mib
                .map_or("?".to_owned(), |mib| format!("{mib} MiB"));
            write!(f, " {:.1} s | {memory} | {} |", row.seconds, row.parameters)?;
            match self.has_published() {
                true => writeln!(f, " {} |", row.published)?,
                false => writeln!(f)?,
            }
        }
        Ok(())
    }
}

impl ComparisonReport {
    /// How many seeds figures are means over, and of which models they are not as many.
    pub(crate) fn seeds(&self) -> String {
        let rows = || self.tables.iter().flat_map(|table| &table.rows);
        let most = rows().map(|row| row.seeds).max().unwrap_or(0);
        let mut others: Vec<String> = rows()
            .filter(|row| row.seeds < most && row.has_chance)
            .map(|row| format!("{} of {}", row.seeds, row.model))
            .collect();
        others.dedup();
        others.insert(
            0,
            match most {
                0 => "no model has come to anything".to_owned(),
                1 => "means over 1 seed".to_owned(),
                _ => format!("means over {most} seeds where a model draws anything"),
            },
        );
        others.join(", ")
    }
}

impl fmt::Display for ComparisonReport {
    /// Tables in Markdown.
    fn fmt(&self, f: &mut fmt::Formatter) -> fmt::Result {
        writeln!(
            f,
            "Held out: {}. Settings and epochs are chosen by validation rows of the training set; \
             {}, 95 % intervals over users.\n",
            self.held_out,
            self.seeds(),
        )?;
        self.tables
            .iter()
            .try_for_each(|table| writeln!(f, "{table}"))?;
        if !self.left_out.is_empty() {
            writeln!(f, "Left out:\n")?;
            self.left_out
                .iter()
                .try_for_each(|it| writeln!(f, "- {it}"))?;
        }
        Ok(())
    }
}
