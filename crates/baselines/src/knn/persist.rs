//! A [`Knn`] as a safetensors file:
//!
//! | name | numbers | what they are |
//! | --- | --- | --- |
//! | `neighbours.lengths` | items | how many neighbours each has |
//! | `neighbours.items` | neighbours | which, ascending, as whole numbers |
//! | `neighbours.weights` | neighbours | `K_ij` |
//!
//! None of them where users are neighbours. The metadata have the configuration; who rated what is
//! of the data.

use mmdlrm_features::Known;
use mmdlrm_train::{Error, Kept, Persist, Result, Tensors};

use super::by_items::ByItems;
use super::{Knn, KnnConfig, check};
use crate::Side;
use crate::incidence::Incidence;
use crate::training_ratings::histories;

const LENGTHS: &str = "neighbours.lengths";
const ITEMS: &str = "neighbours.items";
const WEIGHTS: &str = "neighbours.weights";

impl Persist for Knn {
    fn kind() -> &'static str {
        "knn"
    }

    fn to_safetensors(&self) -> Result<Vec<u8>> {
        let mut tensors = Tensors::default();
        if let Some(lists) = &self.lists {
            let (lengths, items, weights) = lists.parts();
            tensors.put(LENGTHS, lengths);
            tensors.put(ITEMS, items);
            tensors.put(WEIGHTS, weights);
        }
        tensors.to_safetensors(&self.config)
    }

    fn load(file: &[u8], known: &Known) -> Result<Self> {
        let (config, kept) = Kept::from_safetensors::<KnnConfig>(file)?;
        let items = known.features().movies().len();
        check(items, &config)?;
        let users = Incidence::of(&*histories(known, true)?, items)?;
        let lists = match config.side {
            Side::Users => None,
            Side::Items => Some(lists(&kept, items)?),
        };
        Ok(Self {
            config,
            items: users.transposed(items),
            counts: users.counts(),
            users,
            lists,
        })
    }
}

fn lists(kept: &Kept, items: usize) -> Result<ByItems> {
    let lengths = kept.get(LENGTHS)?;
    if lengths.len() != items {
        return Err(Error::Mismatch(format!(
            "there are {} numbers of {LENGTHS} where {items} should be",
            lengths.len()
        )));
    }
    let lists = ByItems::from_parts(lengths, kept.get(ITEMS)?, kept.get(WEIGHTS)?);
    lists.ok_or_else(|| {
        Error::Mismatch("neighbours of items in the model's file are damaged".to_owned())
    })
}
