//! Metapath- and entity-aware graph neural networks.

mod attention;
mod awareness;
mod channel;
mod config;
mod dense;
mod edges;
mod entities;
mod fit;
mod fusion;
#[cfg(test)]
mod golden_tests;
mod graph;
mod layer;
mod links;
mod net;
mod persist;
mod ranker;
mod rows;
mod score;
mod sums;

use std::fmt;

use mmdlrm_train::Result;

use crate::pairwise::{Pairwise, Triples};
use crate::parameters::Parameters;
use awareness::Compared;
use links::Links;
use net::Net;
use ranker::Blocks;

pub use config::{EntitySign, PeaConfig, PeaFusion, PeaLayer};
pub use entities::{Entities, Role};
pub use fit::PeaFit;

/// PEAGNN (Han et al., "Metapath- and Entity-aware Graph Neural Network for Recommendation",
/// arXiv 2010.11793), with graph attention, graph convolution or GraphSAGE.
///
/// Nodes are users, movies, genres, decades, directors, actors, writers and tags, with one table
/// `x`, `[nodes, dim]`; edges are training pairs, any number of stars, and what movies have. A
/// metapath is two steps from nodes to nodes, and two layers of its own,
/// `dim → hidden → repr`:
///
/// ```text
/// H_p  = layer_p2(relu(layer_p1(x, first step)), second step)                  [nodes, repr]
/// r_v  = Σ_p w_vp·H_pv,   w_vp = softmax_p ⟨att_p, H_pv⟩                        [nodes, repr]
/// s_ui = w₂·relu(W₁·[r_u ; r_i] + b₁) + b₂
/// L    = Σ softplus(s_uj − s_ui) + c·(the same of entities, over x)
/// ```
///
/// over a batch of pairs of a user `u`, a movie `i` that `u` rated and another `j`. The term of
/// entities compares how far `i`, and `u`, are from a feature of theirs and from another of its
/// kind; [`EntitySign`] says which is to be nearer. The metapaths are U-I-U, I-U-I, Y-I-U, A-I-U,
/// W-I-U, D-I-U, G-I-U, T-I-U and T-U-I, of users, items (movies), years, actors, writers,
/// directors, genres and tags: those of them whose relations there are, which the run's
/// configuration names. People and tags come from [`Entities`]; a movie whose year is not known is
/// taken for one of the mean year.
///
/// Forwards and back it is the authors' code, to which tests hold it by their losses, gradients
/// and steps. In place of their fixed sample of tags, tags are of training pairs alone: of a
/// held-out one they would tell that the user saw the movie.
///
/// A visitor is a node that the table does not have: `x` of 0, with edges from what was rated;
/// all other nodes are as they stand, as if they did not know. Whoever rated nothing is the same
/// without edges.
pub struct Pea {
    net: Net,
    links: Links,
    /// Parts of the score, as scoring reads them.
    items: Blocks,
}

impl Pea {
    fn of(net: Net, links: Links) -> Self {
        Self {
            net,
            links,
            items: Blocks::default(),
        }
    }

    /// How it is shaped and learned.
    pub fn config(&self) -> &PeaConfig {
        &self.net.config
    }

    /// Names of its metapaths.
    pub fn metapaths(&self) -> Vec<&'static str> {
        self.net.graph.paths().iter().map(|it| it.name).collect()
    }

    /// Weight decay, as a part of the gradients.
    fn add_decay(&self, gradients: &mut [f32]) {
        let decay = self.net.config.weight_decay as f32;
        let values = &self.net.parameters.values;
        let both = gradients.iter_mut().zip(values);
        both.for_each(|(gradient, x)| *gradient += decay * x);
    }
}

impl Pairwise for Pea {
    fn learned(&mut self) -> &mut Parameters {
        &mut self.net.parameters
    }

    /// Gradients are of the sum over the triples, the loss is their mean.
    fn gradients(&mut self, triples: &Triples, draw: u64, gradients: &mut [f32]) -> f64 {
        let compared = match self.net.config.entity_aware {
            true => Compared::draw(&self.net.graph, triples, draw),
            false => Compared::default(),
        };
        let loss = self.net.loss(triples, &compared, gradients);
        self.add_decay(gradients);
        loss / triples.len() as f64
    }

    fn refresh(&mut self) -> Result<()> {
        self.net.forth();
        self.items = Blocks::of(&self.net.parts().items, self.net.config.repr);
        Ok(())
    }
}

impl fmt::Debug for Pea {
    fn fmt(&self, f: &mut fmt::Formatter) -> fmt::Result {
        f.debug_struct("Pea")
            .field("config", &self.net.config)
            .field("metapaths", &self.metapaths())
            .field("nodes", &self.net.graph.nodes())
            .finish_non_exhaustive()
    }
}
