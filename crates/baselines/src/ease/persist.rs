//! An [`Ease`] in a file.
//!
//! | tensor, `f32` | length | |
//! | --- | --- | --- |
//! | `items.scales` | items | `√P_ii` |
//! | `items.correlations` | items · (items + 1)/2 | `−P_ij/√(P_ii·P_jj)`, `j ≤ i`, 0 where they are one |
//! | `users.inverse` | users · (users + 1)/2 | `M`, its lower triangle |
//! | `users.fits` | items | `g` |
//! | `neighbours.lengths` | items | in how many items each has a weight |
//! | `neighbours.items` | weights | in which, ascending, as whole numbers |
//! | `neighbours.weights` | weights | `B_ij` |
//!
//! Those of one of the ways alone. The metadata have the configuration. Which way it is, counts,
//! ridges and `X` are made of the histories of the data.

use mmdlrm_features::Known;
use mmdlrm_train::{Error, Kept, Persist, Result, Tensors};

use super::by_items::ByItems;
use super::by_neighbours::ByNeighbours;
use super::by_users::ByUsers;
use super::inputs::{Inputs, matrix};
use super::{Ease, EaseConfig, Way, Weights, check};
use crate::training_ratings::histories;

const SCALES: &str = "items.scales";
const CORRELATIONS: &str = "items.correlations";
const INVERSE: &str = "users.inverse";
const FITS: &str = "users.fits";
const LENGTHS: &str = "neighbours.lengths";
const ITEMS: &str = "neighbours.items";
const WEIGHTS: &str = "neighbours.weights";

impl Persist for Ease {
    fn kind() -> &'static str {
        "ease"
    }

    fn to_safetensors(&self) -> Result<Vec<u8>> {
        let mut tensors = Tensors::default();
        match &self.weights {
            Weights::Items(weights) => {
                let (scales, correlations) = weights.parts();
                tensors.put(SCALES, scales);
                tensors.put(CORRELATIONS, correlations);
            }
            Weights::Users(weights) => {
                let (inverse, fits) = weights.parts();
                tensors.put(INVERSE, inverse);
                tensors.put(FITS, fits);
            }
            Weights::Neighbours(weights) => {
                let (lengths, items, weights) = weights.parts();
                tensors.put(LENGTHS, lengths);
                tensors.put(ITEMS, items);
                tensors.put(WEIGHTS, weights);
            }
        }
        tensors.to_safetensors(&self.config)
    }

    fn load(file: &[u8], known: &Known) -> Result<Self> {
        let (config, kept) = Kept::from_safetensors::<EaseConfig>(file)?;
        let items = known.features().movies().len();
        check(items, &config)?;
        let histories = histories(known, true)?;
        let inputs = Inputs::of(&histories, items, &config)?;
        let way = Way::of(histories.len(), items, &config);
        let weights = match way {
            Way::Items => {
                let scales = of_length(&kept, SCALES, items)?;
                ByItems::from_parts(scales, kept.get(CORRELATIONS)?).map(Weights::Items)
            }
            Way::Users => {
                let fits = of_length(&kept, FITS, items)?;
                let x = matrix(&histories, &config, |item| item)?;
                let weights = ByUsers::from_parts(x, &inputs, kept.get(INVERSE)?, fits);
                weights.map(Weights::Users)
            }
            Way::Neighbours => {
                let lengths = of_length(&kept, LENGTHS, items)?;
                let (items, values) = (kept.get(ITEMS)?, kept.get(WEIGHTS)?);
                ByNeighbours::from_parts(lengths, items, values).map(Weights::Neighbours)
            }
        };
        let weights = weights.ok_or_else(|| {
            let way = way.name();
            Error::Mismatch(format!("weights by {way} in the model's file are damaged"))
        })?;
        Ok(Self {
            config,
            histories,
            inputs,
            weights,
        })
    }
}

/// Numbers as many as there are items.
fn of_length<'a>(kept: &'a Kept, name: &str, items: usize) -> Result<&'a [f32]> {
    let numbers = kept.get(name)?;
    match numbers.len() == items {
        true => Ok(numbers),
        false => Err(Error::Mismatch(format!(
            "there are {} numbers of {name} where {items} should be",
            numbers.len()
        ))),
    }
}
