//! A [`GaussianProcess`] in a file.
//!
//! | tensor, `f32` | length | |
//! | --- | --- | --- |
//! | `mean` | 1 | `μ`, in stars |
//! | `means` | movies | `μ + b_i`, in stars |
//! | `factors` | 5 · movies · 16 | for each fifth of the users the factors of each movie |
//! | `weights` | training ratings | `w`, user by user, the oldest rating first |
//!
//! The metadata have the configuration. Years, genres and histories are those of the data.

use std::sync::Arc;

use mmdlrm_data::RatedBags;
use mmdlrm_features::{Features, Known};
use mmdlrm_train::{Kept, Persist, Result, Tensors};

use super::factors::Factors;
use super::process::{MovieSide, UserSide, traits};
use super::{GaussianProcess, GaussianProcessConfig};
use crate::training_ratings::histories;

impl Persist for GaussianProcess {
    fn kind() -> &'static str {
        "gaussian-process"
    }

    fn to_safetensors(&self) -> Result<Vec<u8>> {
        let MovieSide {
            factors,
            mean,
            means,
            ..
        } = &self.movies;
        let mut tensors = Tensors::default();
        tensors.put("mean", vec![*mean]);
        tensors.put("means", means);
        tensors.put("factors", factors.numbers());
        tensors.put("weights", &**self.users.weights);
        tensors.to_safetensors(&self.config)
    }

    fn load(file: &[u8], known: &Known) -> Result<Self> {
        let (config, kept) = Kept::from_safetensors::<GaussianProcessConfig>(file)?;
        let histories = histories(known, config.timestamps)?;
        Self::of_kept(config, &kept, known.features(), histories)
    }
}

impl GaussianProcess {
    /// Of what a file keeps, over the training ratings that it was fitted to.
    fn of_kept(
        config: GaussianProcessConfig,
        kept: &Kept,
        features: &Features,
        histories: Arc<RatedBags>,
    ) -> Result<Self> {
        let movies = features.movies().len();
        let numbers = |name, length| {
            let mut numbers = vec![0.0; length];
            kept.load(name, &mut numbers)?;
            Ok::<_, mmdlrm_train::Error>(numbers)
        };
        let movies = MovieSide {
            traits: traits(features),
            factors: Factors::of_numbers(&numbers("factors", Factors::length(movies))?).into(),
            mean: numbers("mean", 1)?[0],
            means: numbers("means", movies)?,
            times: config.timestamps,
        };
        let users = UserSide {
            weights: numbers("weights", histories.ratings())?.into(),
            histories,
        };
        Ok(Self {
            config,
            features: features.clone(),
            movies,
            users,
        })
    }
}
