//! A [`Pea`] in a file.
//!
//! Its parameters are called as in the authors' code: `x`, `att`, `pea_channels.0.gnn_layers.0.bias`
//! and so on, `fc1.weight`, …. What else it was told stands beside them, whole numbers:
//!
//! | tensor, `f32` | length | |
//! | --- | --- | --- |
//! | `directors.people`, `directors.movies` | credits | numbers of people, from 0, and dense rows of movies; so of `actors` and `writers` |
//! | `tags.tags`, `tags.users`, `tags.movies` | taggings | numbers of tags, and dense rows |
//!
//! Those alone that it was told of. The metadata have the configuration; training pairs, years and
//! genres are those of the data.

use mmdlrm_features::Known;
use mmdlrm_train::{Kept, Persist, Result, Tensors};

use super::fit::check;
use super::graph::Graph;
use super::links::Links;
use super::net::Net;
use super::{Pea, PeaConfig};
use crate::pairs::Pairs;
use crate::pairwise::Pairwise;
use crate::training_ratings::histories;

impl Persist for Pea {
    fn kind() -> &'static str {
        "pea"
    }

    fn to_safetensors(&self) -> Result<Vec<u8>> {
        let mut tensors = Tensors::default();
        self.net.parameters.save(&mut tensors);
        self.links.save(&mut tensors);
        tensors.to_safetensors(&self.net.config)
    }

    fn load(file: &[u8], known: &Known) -> Result<Self> {
        let (config, kept) = Kept::from_safetensors::<PeaConfig>(file)?;
        let features = known.features();
        check(&config, features)?;
        let histories = histories(known, true)?;
        let pairs = Pairs::of(&histories, features.movies().len())?;
        let links = Links::load(&kept)?;
        let graph = Graph::of(&pairs, features, &links)?;
        let mut model = Self::of(Net::new(&config, graph), links);
        model.net.parameters.load(&kept)?;
        model.refresh()?;
        Ok(model)
    }
}
