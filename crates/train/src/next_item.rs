use std::borrow::Cow;
use std::collections::HashSet;
use std::time::Instant;

use mmdlrm_data::{Candidates, DataFingerprint, DataPart, IdMap, Modality, MovieLens, Split};
use mmdlrm_features::{ItemFeatures, Nearness, Sequences};
use mmdlrm_model::{
    ItemInputs, NextItem, NextItemConfig, NextItemExample, NextItemGradients, PairFeatures,
};
use serde::{Deserialize, Serialize};

use crate::checkpoint::Progress;
use crate::optimizer::DenseAdam;
use crate::scorer::unsound;
use crate::trainer::check_epochs;
use crate::{Decay, Error, OptimizerConfig, Result, Schedule, Session};

/// Ratings of a history that are looked at.
const LONGEST: usize = 100;
/// Moments that are told apart, with as many ratings each.
const MOMENTS: usize = 24;
/// Lengths of a history that are told apart, two to each doubling.
const LENGTHS: usize = 24;
/// Users that are ranked at once.
const USERS: usize = 512;

/// Name of the parameters in a checkpoint.
const PARAMETERS: &str = "parameters";

/// How a [`NextItem`] is trained.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct NextItemTrainConfig {
    /// Passes over the training ratings.
    pub epochs: usize,
    /// Ratings a step.
    pub batch_size: usize,
    /// Seed of their order, and of what is dropped.
    pub seed: u64,
    /// Learning rate of Adam; it rises over the first tenth of the steps, and falls
    /// along half a cosine.
    pub learning_rate: f64,
    /// Share of a parameter, times the learning rate, that is taken off each step;
    /// that product may be 0.1 at most.
    pub weight_decay: f64,
}

impl Default for NextItemTrainConfig {
    /// Chosen on ratings before the held-out ones; `docs/accuracy.md` has the
    /// figures.
    fn default() -> Self {
        Self {
            epochs: 5,
            batch_size: 512,
            seed: 42,
            learning_rate: 3e-3,
            weight_decay: 1e-2,
        }
    }
}

impl NextItemTrainConfig {
    /// Checks every setting.
    ///
    /// # Errors
    /// [`Error::Setting`] for the first value that makes no sense.
    pub fn validate(&self) -> Result<()> {
        check_epochs(self.epochs)?;
        if self.batch_size == 0 {
            return Err(Error::Setting {
                setting: "batch_size",
                value: "0".to_owned(),
                rule: "it must be 1 or more",
            });
        }
        self.optimizer().validate()
    }

    /// As the one of other models.
    fn optimizer(&self) -> OptimizerConfig {
        OptimizerConfig {
            learning_rate: self.learning_rate,
            weight_decay: self.weight_decay,
            ..OptimizerConfig::default()
        }
    }
}

/// What one epoch came to.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct NextItemEpoch {
    /// The epoch, from 1.
    pub epoch: usize,
    /// Mean cross-entropy while the ratings were learned from.
    pub train_loss: f64,
    /// Seconds of training.
    pub seconds: f64,
    /// Training ratings a second.
    pub samples_per_s: f64,
}

/// The score of one candidate of one user.
#[derive(Debug, Clone, Copy, PartialEq)]
#[non_exhaustive]
pub struct CandidateScore {
    /// Raw user id.
    pub user_id: u32,
    /// Raw movie id.
    pub movie_id: u32,
    /// Higher is better; comparable within the user alone.
    pub score: f64,
    /// Whether it is the movie that was held out.
    pub held_out: bool,
}

/// Sequences, features and vectors: all that a [`NextItem`] learns from.
#[derive(Debug, Clone)]
pub struct NextItemData {
    nearness: Nearness,
    features: ItemFeatures,
    offsets: Vec<u32>,
    rows: Vec<u32>,
    vectors: Vec<f32>,
    vector: usize,
    moments: Vec<u32>,
}

impl NextItemData {
    /// Finds out whether [`Self::new`] will refuse, at little cost.
    ///
    /// # Errors
    /// As [`Self::new`].
    pub fn check(movielens: &MovieLens, split: &Split, candidates: &Candidates) -> Result<()> {
        let catalogue = candidates.movies();
        Nearness::check_items(catalogue.len())?;
        let ratings = &movielens.ratings;
        let rows = split.train().iter().map(|&row| row as usize);
        let rows = rows.filter(|&row| catalogue.row(ratings.movie_ids()[row]).is_some());
        let (mut users, mut found) = (HashSet::new(), 0);
        for row in rows {
            found += 1;
            if !users.insert(ratings.user_ids()[row]) {
                return Ok(());
            }
        }
        Err(too_few(found))
    }

    /// Of the training rows of `split`; the catalogue is all movies of
    /// `candidates`. `modalities` become a vector of each item, those it lacks
    /// zeros.
    ///
    /// # Errors
    /// Too many movies, no user with two ratings of them, or a split of other ratings.
    pub fn new(
        movielens: &MovieLens,
        split: &Split,
        candidates: &Candidates,
        modalities: &[Modality],
    ) -> Result<Self> {
        let sequences = Sequences::new(movielens, split, candidates.movies())?;
        if sequences.places(0).is_empty() {
            return Err(too_few(sequences.len()));
        }
        let features = sequences.item_features(movielens);
        let items = sequences.catalogue().len();
        let bags = (0..items as u32).map(|item| features.bags.row(item));
        let mut offsets = vec![0];
        let mut rows = Vec::new();
        for bag in bags {
            rows.extend_from_slice(bag);
            offsets.push(rows.len() as u32);
        }
        let (vectors, vector) = vectors(sequences.catalogue(), modalities);
        Ok(Self {
            moments: sequences.quantiles(MOMENTS),
            nearness: Nearness::fit(sequences, features.years.clone())?,
            features,
            offsets,
            rows,
            vectors,
            vector,
        })
    }

    /// A model of the shape that the data need, with vectors of `dim`.
    ///
    /// # Errors
    /// A `dim` that makes no sense.
    pub fn model(&self, dim: usize, seed: u64) -> Result<NextItem> {
        let mut config = NextItemConfig::default();
        config.dim = dim;
        config.items = self.sequences().catalogue().len();
        config.features = self.features.rows;
        config.vector = self.vector;
        config.moments = MOMENTS;
        config.lengths = LENGTHS;
        config.pair_features = Nearness::names().len();
        Ok(NextItem::new(config, &self.sequences().counts(), seed)?)
    }

    /// What is learned from.
    pub fn sequences(&self) -> &Sequences {
        self.nearness.sequences()
    }

    /// Which ratings, movies and vectors it is made of.
    fn fingerprint(&self) -> DataFingerprint {
        let vectors = DataPart::of_words("vectors", self.vectors.iter().map(|x| x.to_bits()));
        let features = self.offsets.iter().chain(&self.rows).copied();
        let years = self.features.years.iter().map(|year| year.to_bits());
        let features = DataPart::of_words("features of movies", features.chain(years));
        let own: DataFingerprint = [features, vectors].into_iter().collect();
        self.sequences().fingerprint().with(own)
    }

    fn inputs(&self) -> ItemInputs<'_> {
        ItemInputs {
            offsets: &self.offsets,
            features: &self.rows,
            vectors: &self.vectors,
        }
    }

    /// The user with the first `place` ratings given.
    fn example(&self, user: u32, place: usize) -> Example {
        let sequence = self.sequences().of(user);
        let stars = &sequence.stars[..place];
        let mean = stars.iter().sum::<f32>() / place.max(1) as f32;
        let recent = place.saturating_sub(LONGEST)..place;
        let last = place
            .checked_sub(1)
            .map_or(0, |last| sequence.timestamps[last]);
        let doublings = 2.0 * ((place + 1) as f32).log2();
        Example {
            user,
            history: sequence.items[recent.clone()]
                .iter()
                .rev()
                .copied()
                .collect(),
            deviations: sequence.stars[recent]
                .iter()
                .rev()
                .map(|stars| stars - mean)
                .collect(),
            moment: self.moments.partition_point(|&moment| moment < last) as u32,
            length: (doublings as u32).min(LENGTHS as u32 - 1),
            place,
        }
    }
}

fn too_few(ratings: usize) -> Error {
    Error::Setting {
        setting: "number of training ratings of the candidates' movies",
        value: ratings.to_string(),
        rule: "some user must have two or more",
    }
}

/// Vectors of the items, the modalities side by side.
fn vectors(catalogue: &IdMap, modalities: &[Modality]) -> (Vec<f32>, usize) {
    let width = modalities.iter().map(Modality::width).sum();
    let mut out = vec![0.0; catalogue.len() * width];
    if width == 0 {
        return (out, 0);
    }
    for (&id, out) in catalogue.ids().iter().zip(out.chunks_exact_mut(width)) {
        let mut parts: &mut [f32] = out;
        for modality in modalities {
            let (part, rest) = parts.split_at_mut(modality.width());
            parts = rest;
            let vector = modality.vector(id).unwrap_or_default();
            for (out, value) in part.iter_mut().zip(vector) {
                *out = value.to_f32();
            }
        }
    }
    (out, width)
}

struct Example {
    user: u32,
    history: Vec<u32>,
    deviations: Vec<f32>,
    moment: u32,
    length: u32,
    place: usize,
}

/// Examples of a batch, and their features of pairs.
struct Examples<'a> {
    data: &'a NextItemData,
    examples: Vec<Example>,
}

impl Examples<'_> {
    /// As the model takes them.
    fn views(&self, next: impl Fn(&Example) -> u32) -> Vec<NextItemExample<'_>> {
        let views = self.examples.iter().map(|example| NextItemExample {
            history: &example.history,
            deviations: &example.deviations,
            moment: example.moment,
            length: example.length,
            seen: &self.data.sequences().of(example.user).items[..example.place],
            next: next(example),
        });
        views.collect()
    }
}

impl PairFeatures for Examples<'_> {
    fn fill(&self, example: usize, out: &mut [f32]) {
        let example = &self.examples[example];
        self.data.nearness.fill(example.user, example.place, out);
    }
}

/// All that a run is told.
#[derive(Serialize, Deserialize)]
struct Settings {
    train: NextItemTrainConfig,
    model: NextItemConfig,
}

/// Trains `model` to tell what each user rates next, among all movies of the
/// catalogue. `session` says whether the run goes on from a checkpoint and writes some.
/// `on_step` gets the number of ratings of each step as it ends, `on_epoch` the figures
/// of each epoch and the model as it stands.
///
/// The same configuration and data give the same model, to the bit, on any number
/// of threads, and however often the run was stopped and gone on with.
///
/// # Errors
/// Settings that make no sense, a model that does not fit the data, a checkpoint of
/// another run, a loss that diverges, [`Error::Stopped`], or whatever `on_epoch`
/// returns.
pub fn train_next_item(
    model: &mut NextItem,
    data: &NextItemData,
    config: &NextItemTrainConfig,
    mut session: Session<NextItemEpoch>,
    mut on_step: impl FnMut(usize),
    mut on_epoch: impl FnMut(&NextItemEpoch, &NextItem) -> Result<()>,
) -> Result<()> {
    config.validate()?;
    let rows = data.sequences().places(0).len();
    let settings = Settings {
        train: config.clone(),
        model: model.config().clone(),
    };
    let mut progress = session.begin(&settings, data.fingerprint())?;
    let mut optimizer = DenseAdam::new(model.parameters().len());
    if let Some(checkpoint) = session.resumed.take() {
        checkpoint.load(PARAMETERS, model.parameters_mut())?;
        optimizer.restore(&checkpoint)?;
    }
    let diverged = |model: &NextItem, progress: &Progress<NextItemEpoch>, loss| {
        let (parameter, value) = model.extreme_parameter();
        Error::Diverged {
            loss,
            step: progress.step,
            epoch: progress.epoch(),
            parameter,
            value,
        }
    };
    // What is not to be kept.
    let check = |model: &NextItem, progress: &Progress<NextItemEpoch>| match model
        .extreme_parameter()
        .1
        .is_finite()
    {
        true => Ok(()),
        false => Err(diverged(model, progress, f64::NAN)),
    };
    let keep = |model: &NextItem, optimizer: &DenseAdam, progress: &Progress<NextItemEpoch>| {
        check(model, progress)?;
        let mut tensors = optimizer.state();
        let parameters = Cow::Borrowed(model.parameters());
        tensors.push((PARAMETERS.to_owned(), parameters));
        session.keep(progress, tensors)
    };
    let mut gradients = NextItemGradients::default();
    let steps = (rows.div_ceil(config.batch_size) * config.epochs) as u64;
    let schedule = Schedule {
        warmup_steps: steps / 10,
        decay: Decay::Cosine,
    };
    while progress.epochs.len() < config.epochs {
        let mut since = Instant::now();
        let epoch = progress.epoch();
        let places = data.sequences().places(progress.order(config.seed));
        let done = progress.steps_of_epoch * config.batch_size;
        for batch in places[done.min(rows)..].chunks(config.batch_size) {
            if progress.steps_of_epoch > 0 && session.is_due(progress.step) {
                progress.seconds += since.elapsed().as_secs_f64();
                since = Instant::now();
                keep(model, &optimizer, &progress)?;
            }
            let draw = config.seed.rotate_left(32) ^ progress.step;
            let loss = next_item_gradients(model, data, batch, draw, &mut gradients)?;
            let rate = config.learning_rate * schedule.factor(progress.step, steps);
            progress.step += 1;
            progress.steps_of_epoch += 1;
            if !loss.is_finite() {
                return Err(diverged(model, &progress, loss));
            }
            progress.add(loss, batch.len());
            let parameters = model.parameters_mut();
            optimizer.step(parameters, &gradients.values, rate, config.weight_decay);
            on_step(batch.len());
        }
        check(model, &progress)?;
        let seconds = progress.seconds + since.elapsed().as_secs_f64();
        let metrics = NextItemEpoch {
            epoch,
            train_loss: progress.loss_sum / rows as f64,
            seconds,
            samples_per_s: rows as f64 / seconds,
        };
        progress.end_epoch(metrics.clone());
        on_epoch(&metrics, model)?;
        keep(model, &optimizer, &progress)?;
    }
    Ok(())
}

/// Gradients of the mean loss at the places of a batch, which is returned.
fn next_item_gradients(
    model: &NextItem,
    data: &NextItemData,
    batch: &[(u32, u32)],
    draw: u64,
    gradients: &mut NextItemGradients,
) -> Result<f64> {
    let examples = batch
        .iter()
        .map(|&(user, place)| data.example(user, place as usize));
    let examples = Examples {
        data,
        examples: examples.collect(),
    };
    let next = |example: &Example| data.sequences().of(example.user).items[example.place];
    let views = examples.views(next);
    Ok(model.gradients(&data.inputs(), &views, &examples, draw, gradients)?)
}

/// Scores every candidate of every user, after all training ratings; `write` gets
/// the scores of one user after the other. A user without any is told popularity.
///
/// # Errors
/// A model that does not fit the data, or whatever `write` returns.
pub fn score_candidates(
    model: &NextItem,
    data: &NextItemData,
    candidates: &Candidates,
    mut write: impl FnMut(&[CandidateScore]) -> Result<()>,
) -> Result<()> {
    let sequences = data.sequences();
    let items = sequences.catalogue().len();
    let counts = sequences.counts();
    for rows in candidates.rows().chunks(USERS) {
        let known = rows
            .iter()
            .filter_map(|row| sequences.users().row(row.user_id));
        let examples = Examples {
            data,
            examples: known
                .map(|user| data.example(user, sequences.of(user).items.len()))
                .collect(),
        };
        let scores = model.scores(&data.inputs(), &examples.views(|_| 0), &examples)?;
        if let Some(&score) = scores.iter().find(|score| !score.is_finite()) {
            return Err(unsound(score, model.extreme_parameter()));
        }
        let mut scores = scores.chunks_exact(items);
        for row in rows {
            let known = sequences
                .users()
                .row(row.user_id)
                .and_then(|_| scores.next());
            let score = |movie_id: u32| {
                let item = sequences
                    .catalogue()
                    .row(movie_id)
                    .map_or(0, |item| item as usize);
                known.map_or(f64::from(counts[item]), |scores| f64::from(scores[item]))
            };
            let ids = row.movie_ids.iter().enumerate();
            let scored = ids.map(|(place, &movie_id)| CandidateScore {
                user_id: row.user_id,
                movie_id,
                score: score(movie_id),
                held_out: place == 0,
            });
            write(&scored.collect::<Vec<_>>())?;
        }
    }
    Ok(())
}
