//! How a [`Pea`] is learned.

use std::sync::Arc;

use mmdlrm_data::Error as DataError;
use mmdlrm_features::{Features, TrainingData};
use mmdlrm_kernels::InstructionSet;
use mmdlrm_train::{Fit, Result, Session};
use serde::ser::SerializeStruct;
use serde::{Deserialize, Serialize, Serializer};
use serde_json::{Value, json};

use super::graph::{Graph, metapaths};
use super::links::check_count;
use super::net::Net;
use super::{Entities, Pea, PeaConfig};
use crate::memory::{Size, numbers};
use crate::pairs::Pairs;
use crate::pairwise::{Draw, learn_pairs};

/// A [`Pea`] that knows more of movies than years and genres.
///
/// ```
/// use mmdlrm_baselines::{Entities, PeaConfig, PeaFit};
/// use mmdlrm_data::{MovieLens, Split, generate};
/// use mmdlrm_features::Dataset;
/// use mmdlrm_train::{Fit, Session};
///
/// # let folder = tempfile::tempdir()?;
/// # let folder = folder.path().join("sample");
/// generate::write(&folder, &generate::GeneratorConfig::tiny(), |_| {})?;
/// let movielens = MovieLens::open(&folder)?;
/// let split = Split::random(movielens.ratings.len(), 0.2, 42)?;
/// let dataset = Dataset::new(&movielens, split, Vec::new())?;
/// let mut fit = PeaFit::new(PeaConfig::peagat(), Entities::of_tags(&movielens)?);
/// fit.config.training.epochs = 1;
/// fit.config.least_taggings = 1;
/// let model = fit.fit(&dataset, Session::default())?;
/// assert_eq!(model.metapaths(), ["U-I-U", "I-U-I", "Y-I-U", "G-I-U", "T-I-U", "T-U-I"]);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug, Clone, Default)]
pub struct PeaFit {
    /// How the model is shaped and learned.
    pub config: PeaConfig,
    /// What it is told.
    pub entities: Entities,
}

impl PeaFit {
    /// Of both.
    pub fn new(config: PeaConfig, entities: Entities) -> Self {
        Self { config, entities }
    }
}

/// What tells a run from others.
#[derive(Serialize, Deserialize)]
struct Settings {
    config: PeaConfig,
    entities: Told,
}

/// How much a model was told, and a hash of it.
#[derive(Serialize, Deserialize)]
struct Told {
    credits: usize,
    tags: usize,
    hash: String,
}

impl Told {
    fn of(entities: &Entities) -> Self {
        Self {
            credits: entities.credits(),
            tags: entities.tags(),
            hash: entities.fingerprint().digest(),
        }
    }
}

impl Serialize for PeaFit {
    /// The settings, and what tells the entities from others.
    fn serialize<S: Serializer>(&self, serializer: S) -> std::result::Result<S::Ok, S::Error> {
        let mut settings = serializer.serialize_struct("PeaFit", 2)?;
        settings.serialize_field("config", &self.config)?;
        settings.serialize_field("entities", &Told::of(&self.entities))?;
        settings.end()
    }
}

impl Fit for PeaFit {
    type Model = Pea;

    fn check(&self, features: &Features) -> Result<Value> {
        check(&self.config, features)?;
        let paths = metapaths(|relation| self.entities.has(relation, features, &self.config));
        let names: Vec<&str> = paths.iter().map(|path| path.name).collect();
        Ok(json!({
            "users": features.users().len(),
            "items": features.movies().len(),
            "dim": self.config.dim,
            "hidden": self.config.hidden,
            "repr": self.config.repr,
            "metapaths": names,
        }))
    }

    fn rows(&self, data: &dyn TrainingData) -> usize {
        // Of a rating that was made twice one counts.
        self.config.times * data.training_rows() * self.config.training.epochs
    }

    fn memory(&self, data: &dyn TrainingData) -> u64 {
        let (size, config) = (Size::of(data), &self.config);
        let has = |relation| self.entities.has(relation, data.features(), config);
        let paths = metapaths(has).len() as u64;
        let (dim, repr) = (config.dim as u64, config.repr as u64);
        let hidden = (config.hidden * config.heads) as u64;
        // Products, results and gradients of each layer, and attention.
        let of_node = paths * (4 * hidden + 6 * repr + 8) + 6 * dim + 4 * repr;
        // An epoch's order, and edges by both of their ends.
        let order = (config.times as u64 + 1) * size.ratings;
        size.histories() + numbers(size.nodes() * of_node + order) + (4 + 24) * size.ratings
    }

    fn fit(&self, data: &dyn TrainingData, session: Session) -> Result<Pea> {
        let (features, config) = (data.features(), &self.config);
        check(config, features)?;
        let histories = data.training_histories()?;
        let pairs = Arc::new(Pairs::of(&histories, features.movies().len())?);
        let links = self.entities.links(features, &pairs, config);
        let graph = Graph::of(&pairs, features, &links)?;
        let mut model = Pea::of(Net::new(config, graph), links);
        model.net.begin();
        let draw = Draw::EachPair {
            times: config.times,
        };
        let settings = Settings {
            config: *config,
            entities: Told::of(&self.entities),
        };
        let training = (&config.training, &settings);
        learn_pairs(&mut model, data, (&pairs, draw), training, session)?;
        model.net.end();
        Ok(model)
    }
}

impl Fit for PeaConfig {
    type Model = Pea;

    fn check(&self, features: &Features) -> Result<Value> {
        PeaFit::new(*self, Entities::default()).check(features)
    }

    fn rows(&self, data: &dyn TrainingData) -> usize {
        PeaFit::new(*self, Entities::default()).rows(data)
    }

    fn memory(&self, data: &dyn TrainingData) -> u64 {
        PeaFit::new(*self, Entities::default()).memory(data)
    }

    fn fit(&self, data: &dyn TrainingData, session: Session) -> Result<Pea> {
        PeaFit::new(*self, Entities::default()).fit(data, session)
    }
}

/// Refuses what cannot be fitted, or not be kept.
pub(super) fn check(config: &PeaConfig, features: &Features) -> Result<()> {
    InstructionSet::in_use().map_err(|error| DataError::External(error.into()))?;
    config.validate()?;
    check_count("users", features.users().len())?;
    check_count("movies", features.movies().len())
}
