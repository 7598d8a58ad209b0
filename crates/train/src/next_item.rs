use std::collections::HashSet;

use mmdlrm_data::{Candidates, DataFingerprint, DataPart, IdMap, Modality, MovieLens, Split};
use mmdlrm_features::{ItemFeatures, Nearness, Sequences};
use mmdlrm_model::{
    ItemInputs, NextItem, NextItemConfig, NextItemExample, NextItemGradients, PairFeatures,
};
use serde::{Deserialize, Serialize};

use crate::optimizer::DenseAdam;
use crate::scorer::unsound;
use crate::train_config::check_epochs;
use crate::{
    Decay, Error, Kept, OptimizerConfig, Pace, Persist, Result, Schedule, Session, Stepper,
    Tensors, learn,
};

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
/// catalogue; the [`Session`] says whether the run goes on from a checkpoint and writes
/// some, and who is told of steps and epochs.
///
/// The same configuration and data give the same model, to the bit, on any number
/// of threads, and however often the run was stopped and gone on with.
///
/// # Errors
/// Settings that make no sense, a model that does not fit the data, a checkpoint of
/// another run, a loss that diverges, [`Error::Stopped`], or whatever the session's
/// `on_epoch` returns.
pub fn train_next_item(
    model: &mut NextItem,
    data: &NextItemData,
    config: &NextItemTrainConfig,
    session: Session,
) -> Result<()> {
    config.validate()?;
    let settings = Settings {
        train: config.clone(),
        model: model.config().clone(),
    };
    let mut stepper = NextItemStepper {
        optimizer: DenseAdam::new(model.parameters().len()),
        rows: data.sequences().places(0).len(),
        config,
        model,
        data,
        gradients: NextItemGradients::default(),
        losses: Vec::new(),
    };
    let steps = (stepper.rows.div_ceil(config.batch_size) * config.epochs) as u64;
    let pace = Pace {
        epochs: config.epochs,
        batch_size: config.batch_size,
        seed: config.seed,
        patience: None,
        schedule: &Schedule {
            warmup_steps: steps / 10,
            decay: Decay::Cosine,
        },
    };
    learn(&mut stepper, &pace, &settings, data.fingerprint(), session)
}

struct NextItemStepper<'a> {
    model: &'a mut NextItem,
    data: &'a NextItemData,
    config: &'a NextItemTrainConfig,
    rows: usize,
    optimizer: DenseAdam,
    gradients: NextItemGradients,
    losses: Vec<f64>,
}

impl Stepper for NextItemStepper<'_> {
    /// Users and places.
    type Batch = Vec<(u32, u32)>;

    fn rows(&self) -> usize {
        self.rows
    }

    fn batches(
        &self,
        size: usize,
        order: u64,
        first: usize,
    ) -> Box<dyn Iterator<Item = Result<Self::Batch>>> {
        let places = self.data.sequences().places(order);
        let starts = (first * size..places.len()).step_by(size);
        Box::new(starts.map(move |start| {
            let end = places.len().min(start + size);
            Ok(places[start..end].to_vec())
        }))
    }

    fn rows_of(&self, batch: &Self::Batch) -> usize {
        batch.len()
    }

    fn step(&mut self, batch: &Self::Batch, step: u64, factor: f64) -> Result<()> {
        let Self {
            model,
            data,
            config,
            gradients,
            ..
        } = self;
        let draw = config.seed.rotate_left(32) ^ step;
        let loss = next_item_gradients(model, data, batch, draw, gradients)?;
        if loss.is_finite() {
            let rate = config.learning_rate * factor;
            let parameters = model.parameters_mut();
            self.optimizer
                .step(parameters, &gradients.values, rate, config.weight_decay);
        }
        self.losses.push(loss);
        Ok(())
    }

    fn losses(&mut self, _all: bool) -> Result<Vec<f64>> {
        Ok(std::mem::take(&mut self.losses))
    }

    fn extreme_parameter(&mut self) -> Result<(String, f32)> {
        Ok(self.model.extreme_parameter())
    }

    fn parameters(&mut self) -> Result<Tensors<'_>> {
        let mut tensors = Tensors::default();
        tensors.put(PARAMETERS, self.model.parameters());
        Ok(tensors)
    }

    fn state(&mut self) -> Result<Tensors<'_>> {
        let mut tensors = Tensors::default();
        tensors.put(PARAMETERS, self.model.parameters());
        self.optimizer.save(&mut tensors);
        Ok(tensors)
    }

    fn load_parameters(&mut self, kept: &Kept) -> Result<()> {
        kept.load(PARAMETERS, self.model.parameters_mut())
    }

    fn restore(&mut self, kept: &Kept, steps: u64) -> Result<()> {
        self.load_parameters(kept)?;
        self.optimizer.restore(kept, steps)
    }

    fn model(&mut self) -> Result<&dyn Persist> {
        Ok(self.model)
    }
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
