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
use mmdlrm_train::{Error, Kept, Persist, Result, Tensors};

use super::fit::check;
use super::graph::Graph;
use super::links::Links;
use super::net::Net;
use super::{Pea, PeaConfig, PeaLayer};
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
        check_sizes(&config, graph.nodes(), &kept)?;
        let mut model = Self::of(Net::new(&config, graph), links);
        model.net.parameters.load(&kept)?;
        model.refresh()?;
        Ok(model)
    }
}

/// Refuses sizes that are not those of the file, before there is room for what they ask for.
fn check_sizes(config: &PeaConfig, nodes: usize, kept: &Kept) -> Result<()> {
    let bias = match config.layer {
        PeaLayer::Gat | PeaLayer::Gcn => "pea_channels.0.gnn_layers.0.bias",
        PeaLayer::Sage => "pea_channels.0.gnn_layers.0.lin_l.bias",
    };
    for (name, sizes) in [
        ("x", [nodes, config.dim]),
        (bias, [config.heads, config.hidden]),
        ("fc1.bias", [config.repr, 1]),
    ] {
        let found = kept.get(name)?.len();
        if sizes[0].checked_mul(sizes[1]) != Some(found) {
            return Err(Error::Mismatch(format!(
                "there are {found} numbers of {name} where {} times {} should be",
                sizes[0], sizes[1]
            )));
        }
    }
    Ok(())
}
