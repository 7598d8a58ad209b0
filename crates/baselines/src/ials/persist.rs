//! An [`Ials`] as a safetensors file:
//!
//! | name | numbers | what they are |
//! | --- | --- | --- |
//! | `items` | items · factors | `Y`, turned so that `YᵀY` is diagonal |
//! | `spectrum` | factors | `YᵀY` |
//!
//! The metadata have the configuration; who rated what is of the data.

use mmdlrm_features::Known;
use mmdlrm_train::{Error, Kept, Persist, Result, Tensors};

use super::fixed::Fixed;
use super::{Ials, IalsConfig, check};
use crate::incidence::Incidence;
use crate::training_ratings::histories;

const ITEMS: &str = "items";
const SPECTRUM: &str = "spectrum";

impl Persist for Ials {
    fn kind() -> &'static str {
        "ials"
    }

    fn to_safetensors(&self) -> Result<Vec<u8>> {
        let (items, spectrum) = self.vectors.parts();
        let mut tensors = Tensors::default();
        tensors.put(ITEMS, items);
        tensors.put(SPECTRUM, spectrum);
        tensors.to_safetensors(&self.config)
    }

    fn load(file: &[u8], known: &Known) -> Result<Self> {
        let (config, kept) = Kept::from_safetensors::<IalsConfig>(file)?;
        check(&config)?;
        let items = known.features().movies().len();
        let mut numbers = vec![0.0; items * config.factors];
        kept.load(ITEMS, &mut numbers)?;
        let mut spectrum = vec![0.0; config.factors];
        kept.load(SPECTRUM, &mut spectrum)?;
        let vectors = Fixed::from_parts(items, &numbers, &spectrum).ok_or_else(|| {
            Error::Mismatch("vectors of items in the model's file are damaged".to_owned())
        })?;
        let users = Incidence::of(&*histories(known, true)?, items)?;
        Ok(Self {
            config,
            counts: users.transposed(items).counts(),
            users,
            vectors,
        })
    }
}
