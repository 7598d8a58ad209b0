//! A model of vectors behind the seam.

use std::fmt;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;

use mmdlrm_data::Rated;
use mmdlrm_features::{Features, Known, TrainingData};
use mmdlrm_train::{Kept, Persist, Ranker, Result, Session, Tensors, Visitor, Who, check_rows};
use serde::Serialize;
use serde::de::DeserializeOwned;

use super::factors::{Factors, check_instructions};
use super::{Draw, Pairwise, PairwiseTraining, Triples, learn_pairs};
use crate::memory::Size;
use crate::pairs::Pairs;
use crate::parameters::Parameters;
use crate::training_ratings::histories;

/// What is particular to a model whose scores are products of a user's vector and an item's.
pub trait Net: Sized + Send + Sync {
    /// How it is shaped and learned.
    type Config: Clone + fmt::Debug + Serialize + DeserializeOwned + Send + Sync;
    /// Its [kind](Persist::kind).
    const KIND: &'static str;

    /// Refuses settings that make no sense, and users and items that cannot be learned of.
    ///
    /// # Errors
    /// Those.
    fn check(config: &Self::Config, features: &Features) -> Result<()>;

    /// Over the data, with the shapes of its parameters and without their numbers: what settings
    /// ask for takes no room yet.
    ///
    /// # Errors
    /// Features that it cannot use.
    fn new(config: &Self::Config, pairs: &Arc<Pairs>, features: &Features) -> Result<Self>;

    /// Gets ready for the first step: draws parameters, and makes what learning alone needs.
    fn begin(&mut self, pairs: &Pairs, features: &Features);

    /// Drops what learning alone needed.
    fn end(&mut self) {}

    /// How long it learns.
    fn training(config: &Self::Config) -> &PairwiseTraining;

    /// Which triples it learns from.
    fn draw() -> Draw;

    /// Bytes that learning takes.
    fn memory(config: &Self::Config, size: Size) -> u64;

    /// What it learns.
    fn parameters(&self) -> &Parameters;

    /// The same, to be moved.
    fn parameters_mut(&mut self) -> &mut Parameters;

    /// The loss of some triples, and its gradients, which are written, one a parameter. What is
    /// drawn is drawn by `draw`.
    fn gradients(&mut self, triples: &Triples, draw: u64, gradients: &mut [f32]) -> f64;

    /// Vectors of users and of items, and their width.
    fn vectors(&mut self) -> (Vec<f32>, Vec<f32>, usize);

    /// The vector of somebody who rated some items, at least one, which exist: ascending, each
    /// once.
    fn visitor(&self, rated: &[u32], factors: &Factors) -> Vec<f32>;
}

/// A model whose scores are products of a user's vector and an item's, learned from pairs of
/// what users rated and what they did not: [`BprMf`](crate::BprMf), [`LightGcn`](crate::LightGcn),
/// [`Vbpr`](crate::Vbpr), [`Freedom`](crate::Freedom), [`Bm3`](crate::Bm3) and
/// [`LightGt`](crate::LightGt). There are no others: `N` is of this crate, and its trait is sealed.
///
/// Somebody of whom nothing is known is told what the mean of all users is. A visitor gets a vector
/// by the model's own formula, in which a movie that was rated twice counts once; it need not be
/// the one that the same ratings had in training. [`item_vectors`](Ranker::item_vectors) are those
/// of the products. There are no stars.
#[derive(Clone)]
pub struct FactorModel<N: Net> {
    config: N::Config,
    pairs: Arc<Pairs>,
    net: N,
    factors: Factors,
}

impl<N: Net> FactorModel<N> {
    /// How it is shaped and learned.
    pub fn config(&self) -> &N::Config {
        &self.config
    }

    pub(crate) fn fit(
        config: &N::Config,
        data: &dyn TrainingData,
        session: Session,
    ) -> Result<Self> {
        let features = data.features();
        Self::check(config, features)?;
        let histories = data.training_histories()?;
        let pairs = Arc::new(Pairs::of(&histories, features.movies().len())?);
        let mut model = Self::of(config, Arc::clone(&pairs), features)?;
        model.net.begin(&pairs, features);
        let training = N::training(config);
        learn_pairs(
            &mut model,
            data,
            (&pairs, N::draw()),
            (training, config),
            session,
        )?;
        model.net.end();
        Ok(model)
    }

    /// Refuses what cannot be fitted.
    pub(crate) fn check(config: &N::Config, features: &Features) -> Result<()> {
        check_instructions()?;
        N::training(config).validate()?;
        N::check(config, features)
    }

    /// Training rows in all.
    pub(crate) fn rows(config: &N::Config, data: &dyn TrainingData) -> usize {
        // Of a rating that was made twice one counts.
        match N::draw() {
            Draw::EachPair { times } => times * data.training_rows() * N::training(config).epochs,
            Draw::UsersEvenly => data.training_rows() * N::training(config).epochs,
        }
    }

    fn of(config: &N::Config, pairs: Arc<Pairs>, features: &Features) -> Result<Self> {
        Ok(Self {
            config: config.clone(),
            net: N::new(config, &pairs, features)?,
            pairs,
            factors: Factors::default(),
        })
    }
}

impl<N: Net> Pairwise for FactorModel<N> {
    fn learned(&mut self) -> &mut Parameters {
        self.net.parameters_mut()
    }

    fn gradients(&mut self, triples: &Triples, draw: u64, gradients: &mut [f32]) -> f64 {
        self.net.gradients(triples, draw, gradients)
    }

    fn refresh(&mut self) -> Result<()> {
        let (users, items, width) = self.net.vectors();
        self.factors = Factors::new(users, items, width, &self.pairs);
        Ok(())
    }
}

impl<N: Net> Ranker for FactorModel<N> {
    fn parameters(&self) -> usize {
        self.net.parameters().values.len()
    }

    fn score(&self, who: Who, scores: &mut Vec<f32>) -> Result<()> {
        match who {
            Who::Users(users) => self.factors.score_users(users, scores),
            Who::Visitor(visitor) => {
                self.factors.score(visitor.state::<Vec<f32>>()?, scores);
                Ok(())
            }
        }
    }

    fn meet(&self, ratings: &[Rated], _stop: Option<&AtomicBool>) -> Result<Visitor> {
        let mut rated: Vec<u32> = ratings.iter().map(|rated| rated.movie).collect();
        check_rows("movie", rated.iter().copied(), self.pairs.items())?;
        rated.sort_unstable();
        rated.dedup();
        let vector = match rated.is_empty() {
            true => self.factors.mean().to_vec(),
            false => self.net.visitor(&rated, &self.factors),
        };
        Ok(Visitor::new(ratings.to_vec(), vector))
    }

    fn item_vectors(&self) -> Result<Option<Vec<f32>>> {
        Ok(Some(self.factors.vectors().items.to_vec()))
    }
}

impl<N: Net> Persist for FactorModel<N> {
    fn kind() -> &'static str {
        N::KIND
    }

    fn to_safetensors(&self) -> Result<Vec<u8>> {
        let mut tensors = Tensors::default();
        self.net.parameters().save(&mut tensors);
        tensors.to_safetensors(&self.config)
    }

    fn load(file: &[u8], known: &Known) -> Result<Self> {
        let (config, kept) = Kept::from_safetensors::<N::Config>(file)?;
        let features = known.features();
        Self::check(&config, features)?;
        let histories = histories(known, true)?;
        let pairs = Arc::new(Pairs::of(&histories, features.movies().len())?);
        let mut model = Self::of(&config, pairs, features)?;
        model.net.parameters_mut().load(&kept)?;
        model.refresh()?;
        Ok(model)
    }
}

impl<N: Net> fmt::Debug for FactorModel<N> {
    fn fmt(&self, f: &mut fmt::Formatter) -> fmt::Result {
        f.debug_struct("FactorModel")
            .field("kind", &N::KIND)
            .field("config", &self.config)
            .finish_non_exhaustive()
    }
}
