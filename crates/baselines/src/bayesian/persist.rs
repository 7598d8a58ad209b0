//! A [`BayesianFactorization`] in a file.
//!
//! | tensor, `f32` | length | |
//! | --- | --- | --- |
//! | `users.biases`, `users.factors` | users, users · S · k | means of `A` and `P` |
//! | `items.biases`, `items.factors` | items, items · S · k | means of `w₀ + B` and `Q` |
//! | `draws.biases`, `draws.factors` | items · S, items · S · k | draws of them |
//! | `histories.biases`, `histories.factors` | the same | draws of `w` and `v` of items in histories, where there are any |
//! | `priors` | S · (1 + 2 · (k + 1)) | draws of `α`, and of `μ` and `λ` of users; of a model that is not done those of the stretches that are over |
//!
//! The metadata have the configuration. What users rated is of the data.

use mmdlrm_features::Known;
use mmdlrm_train::{Error, Kept, Persist, Result, Tensors};

use super::samples::{Draws, Means, Samples, of_prior};
use super::{BayesianConfig, BayesianFactorization, check, check_bag};
use crate::training_ratings::histories;

const USERS: [&str; 2] = ["users.biases", "users.factors"];
const ITEMS: [&str; 2] = ["items.biases", "items.factors"];
const DRAWS: [&str; 2] = ["draws.biases", "draws.factors"];
const HISTORIES: [&str; 2] = ["histories.biases", "histories.factors"];
const PRIORS: &str = "priors";

impl Persist for BayesianFactorization {
    fn kind() -> &'static str {
        "bayesian"
    }

    fn to_safetensors(&self) -> Result<Vec<u8>> {
        let Samples {
            users,
            items,
            priors,
            draws,
            histories,
            ..
        } = &self.samples;
        let mut tensors = Tensors::default();
        for ([biases, factors], means) in [(USERS, users), (ITEMS, items)] {
            tensors.put(biases, &means.biases);
            tensors.put(factors, &means.factors);
        }
        let draws = [(DRAWS, Some(draws)), (HISTORIES, histories.as_ref())];
        for ([biases, factors], draws) in draws {
            if let Some(draws) = draws {
                tensors.put(biases, &draws.biases);
                tensors.put(factors, &draws.factors);
            }
        }
        tensors.put(PRIORS, priors);
        tensors.to_safetensors(&self.config)
    }

    fn load(file: &[u8], known: &Known) -> Result<Self> {
        let (config, kept) = Kept::from_safetensors::<BayesianConfig>(file)?;
        check(&config)?;
        let features = known.features();
        let (users, items) = (features.users().len(), features.movies().len());
        let (rank, stretches) = (config.rank, config.stretches);
        let means = |[biases, factors]: [&str; 2], rows| {
            Ok::<_, Error>(Means {
                biases: of_length(&kept, biases, rows)?,
                factors: of_length(&kept, factors, rows * stretches * rank)?,
            })
        };
        let draws = |[biases, factors]: [&str; 2]| {
            Ok::<_, Error>(Draws {
                biases: of_length(&kept, biases, items * stretches)?,
                factors: of_length(&kept, factors, items * stretches * rank)?,
            })
        };
        let samples = Samples {
            rank,
            stretches,
            users: means(USERS, users)?,
            items: means(ITEMS, items)?,
            priors: priors(&kept, &config)?,
            draws: draws(DRAWS)?,
            histories: config.histories.then(|| draws(HISTORIES)).transpose()?,
        };
        let histories = histories(known, false)?;
        for user in 0..histories.len() as u32 {
            check_bag(histories.row(user), items)?;
        }
        Ok(Self {
            config,
            histories,
            samples,
        })
    }
}

/// Those of as many stretches as there are, at least one, with which somebody can be met.
fn priors(kept: &Kept, config: &BayesianConfig) -> Result<Vec<f32>> {
    let priors = kept.get(PRIORS)?;
    let length = of_prior(config.rank);
    let is_sound = |prior: &[f32]| {
        let precisions = &prior[config.rank + 2..];
        prior[0] > 0.0 && precisions.iter().all(|&precision| precision > 0.0)
    };
    let over = priors.len() / length;
    let is_whole = priors.len() == over * length && (1..=config.stretches).contains(&over);
    match is_whole && priors.chunks_exact(length).all(is_sound) {
        true => Ok(priors.to_vec()),
        false => Err(Error::Mismatch(
            "numbers of priors in the model's file are damaged".to_owned(),
        )),
    }
}

/// Numbers, so many.
fn of_length(kept: &Kept, name: &str, length: usize) -> Result<Vec<f32>> {
    let numbers = kept.get(name)?;
    match numbers.len() == length {
        true => Ok(numbers.to_vec()),
        false => Err(Error::Mismatch(format!(
            "there are {} numbers of {name} where {length} should be",
            numbers.len()
        ))),
    }
}
