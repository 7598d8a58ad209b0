use std::collections::HashMap;
use std::fmt;
use std::path::PathBuf;
use std::time::Instant;

use mmdlrm_data::Interactions;
use mmdlrm_features::{Dataset, TrainingData};
use mmdlrm_train::{EpochMetrics, NextItemData, NextItemRanker, train_next_item};
use serde::Serialize;

use crate::experiment::Ready;
use crate::made_from::Learned;
use crate::measure::{FinalMetrics, no_held_out};
use crate::page;
use crate::rankings::{Asked, Contestants, Ranking, held_out, rank_candidates, write_table};
use crate::release::Release;
use crate::report::{Inputs, Seconds};
use crate::{Experiment, Observer, Result, Task};

/// Seconds after the rating before, within which a rating belongs to the same
/// sitting for sure.
const MINUTE: u32 = 60;

/// What [`Experiment::rank`] came to: one held-out movie of each user among its
/// candidates.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[non_exhaustive]
pub struct RankingReport {
    /// Users with a held-out movie.
    pub users: u64,
    /// Which items compete.
    pub protocol: String,
    /// Share of the users whose held-out movie is among the first ten; of movies
    /// with one score the others come first.
    pub hit_rate_at_10: f64,
    /// 95 % confidence interval, by users drawn with replacement.
    pub hit_rate_interval: Option<(f64, f64)>,
    /// Mean of `1 / log₂(place + 1)` where the place is 10 or less.
    pub ndcg_at_10: f64,
    /// 95 % confidence interval, likewise.
    pub ndcg_interval: Option<(f64, f64)>,
    /// Mean of `1 / place` where the place is 10 or less.
    pub mrr_at_10: f64,
    /// The same figures with the simple baselines beside.
    pub rankings: Vec<Ranking>,
    /// Share of the held-out ratings that were given within a minute of the user's
    /// training rating before: they belong to one sitting.
    pub within_a_minute: f64,
    /// The rest: what went in.
    pub inputs: Inputs,
    /// Seconds of each stage.
    pub seconds: Seconds,
    /// The run's folder.
    pub out: PathBuf,
}

impl Experiment {
    /// Trains a [`NextItem`](mmdlrm_model::NextItem) on everything but what the candidates' file
    /// holds out, and ranks each user's candidates; the configuration's task must be
    /// [`Task::Rank`] and its split
    /// [`SplitConfig::Candidates`](crate::SplitConfig::Candidates). The scores are left in
    /// `candidates.parquet`, and a [`Recommender`](crate::Recommender) opens the folder as that
    /// of any other run.
    ///
    /// # Errors
    /// Another task, a loss that diverges, or a folder that can no longer be written.
    pub fn rank(self, observer: &mut dyn Observer) -> Result<RankingReport> {
        let learned = Learned::of_config::<NextItemRanker>();
        let Ready {
            config,
            release,
            catalogue,
            modalities,
            inputs,
            made_from,
            run,
            mut seconds,
        } = self.prepare(Task::Rank, &learned, observer)?;
        let Release::Whole {
            interactions,
            split,
            candidates: Some(candidates),
            ..
        } = release
        else {
            return Err(config.needs_candidates());
        };
        let interactions = *interactions;
        let start = Instant::now();
        let data = NextItemData::new(&interactions, &split, &candidates, &modalities)?;
        let model = data.model(config.dim, config.seed)?;
        let shape = serde_json::to_value(model.config())?;
        let whole = Dataset::new(&interactions, split.clone(), modalities)?;
        let mut ranker = NextItemRanker::new(model, data, whole.features())?;
        let run = run.begin(&config, made_from, &learned, &shape)?;
        run.write_known(&whole, &catalogue)?;
        // All ratings once more, which nobody looks at while the model learns.
        drop(whole);
        let sequences = ranker.data().sequences();
        let inputs = Inputs {
            train_ratings: sequences.len(),
            users: sequences.users().len(),
            movies: sequences.catalogue().len(),
            parameters: ranker.model().parameters().len(),
            ..inputs
        };
        let train = &config.next_item;
        let rows = sequences.places(0).len() * train.epochs;
        ((), seconds.train) = run.train(&config, rows, observer, |session| {
            train_next_item(&mut ranker, train, session)
        })?;
        run.write_model(&ranker)?;
        let folder = &run.folder;
        seconds.train += start.elapsed().as_secs_f64();

        let start = Instant::now();
        let data = Dataset::new(&interactions, split.clone(), Vec::new())?;
        let contestants = Contestants::new(&ranker, &data, false)?;
        let asked = Asked {
            split: &config.split,
            held_out: held_out(&config.split, &inputs.words),
            words: inputs.words.clone(),
            candidates: Some(&candidates),
            users: config.ranking,
            seed: config.seed,
            streamed: false,
        };
        let ranking = rank_candidates(&contestants, data.features(), &candidates, &asked, folder)?;
        seconds.rank = start.elapsed().as_secs_f64();

        let figure = |metric: &str| ranking.figure(metric).ok_or_else(no_held_out);
        let (hits, ndcg) = (figure("hit rate")?, figure("nDCG")?);
        let report = RankingReport {
            users: ranking.users,
            protocol: ranking.protocol.clone(),
            hit_rate_at_10: hits.value,
            hit_rate_interval: hits.interval,
            ndcg_at_10: ndcg.value,
            ndcg_interval: ndcg.interval,
            mrr_at_10: figure("MRR")?.value,
            rankings: vec![ranking],
            within_a_minute: within_a_minute(&interactions, split.test(), split.train()),
            inputs,
            seconds,
            out: folder.path().to_owned(),
        };
        folder.append_metrics(&FinalMetrics {
            r#final: true,
            report: &report,
        })?;
        let epochs: Vec<EpochMetrics> = folder.read_metrics()?;
        page::write_for_ranking(folder, &config, &report, &epochs)?;
        Ok(report)
    }
}

/// Share of the rows `held_out` that come within a minute after the latest row of
/// `before` that is no later.
fn within_a_minute(interactions: &Interactions, held_out: &[u32], before: &[u32]) -> f64 {
    let ratings = &interactions.ratings;
    let of = |row: u32| {
        let row = row as usize;
        (ratings.user_ids()[row], ratings.timestamps()[row])
    };
    let mut times: HashMap<u32, Vec<u32>> = HashMap::new();
    for &row in before {
        let (user, time) = of(row);
        times.entry(user).or_default().push(time);
    }
    let follows = held_out.iter().filter(|&&row| {
        let (user, time) = of(row);
        let times = times.get(&user).map_or(&[][..], Vec::as_slice);
        times
            .iter()
            .any(|&earlier| time.checked_sub(earlier).is_some_and(|gap| gap <= MINUTE))
    });
    follows.count() as f64 / held_out.len().max(1) as f64
}

impl fmt::Display for RankingReport {
    /// A table to paste into a message.
    fn fmt(&self, f: &mut fmt::Formatter) -> fmt::Result {
        let Inputs {
            train_ratings,
            users,
            movies,
            parameters,
            words,
            ..
        } = &self.inputs;
        write_table(f, &self.rankings)?;
        writeln!(
            f,
            "{} users; {:.0} % of the held-out {} follow the one before within a minute",
            self.users,
            100.0 * self.within_a_minute,
            words.ratings
        )?;
        writeln!(
            f,
            "trained on {train_ratings} {} of {users} users and {movies} {}; {parameters} \
             parameters",
            words.ratings, words.items
        )?;
        writeln!(f, "{}", self.seconds)?;
        write!(f, "left in {}", self.out.display())
    }
}
