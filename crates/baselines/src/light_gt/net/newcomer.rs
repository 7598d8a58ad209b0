//! Somebody new: a node that nobody knew of.

use std::sync::Arc;

use mmdlrm_kernels::add_scaled;

use super::{ADDED, LightGtNet};
use crate::light_gt::encoder::{Rooms, Trace};
use crate::light_gt::folded::Weights;
use crate::light_gt::nodes::Nodes;
use crate::light_gt::positions::Positions;
use crate::light_gt::sequences::cut;
use crate::pairwise::Factors;

/// What somebody new is computed by.
#[derive(Debug)]
pub(super) struct Ready {
    positions: Positions,
    weights: Vec<Weights>,
    /// The mean of the users' own vectors.
    own: Vec<f32>,
    counts: Vec<u32>,
}

impl LightGtNet {
    /// Keeps what somebody new is computed by.
    pub(super) fn get_ready(&mut self, positions: Positions, weights: Vec<Weights>) {
        let dim = self.config.dim;
        let table = self.shape.own.of(&self.parameters.values);
        let rows = table.chunks_exact(dim).enumerate();
        let known = rows.filter(|(user, _)| !self.pairs.of_user(*user as u32).is_empty());
        let count = known.clone().count().max(1);
        let mut own = vec![0.0; dim];
        known.for_each(|(_, row)| add_scaled(&mut own, row, 1.0 / count as f32));
        self.ready = Some(Arc::new(Ready {
            positions,
            weights,
            own,
            counts: self.pairs.counts(),
        }));
    }

    /// The vector of somebody new who rated some items, ascending; zeros before there are any
    /// vectors of users.
    pub(super) fn newcomer(&self, rated: &[u32], factors: &Factors) -> Vec<f32> {
        let mut vector = vec![0.0; factors.vectors().width];
        let Some(ready) = &self.ready else {
            return vector;
        };
        let neighbours = rated.iter().map(|&item| {
            let degrees = (rated.len() as f64 + ADDED)
                * (f64::from(ready.counts[item as usize].max(1)) + ADDED);
            let node = self.shape.users.rows as u32 + item;
            (node, degrees.sqrt().recip() as f32)
        });
        let neighbours: Vec<(u32, f32)> = neighbours.collect();
        let own = ready.positions.of_newcomer(&neighbours, self.config.dim);
        let items = cut(rated, self.config.history, self.config.training.seed);
        let modalities = 0..ready.weights.len();
        let nodes: Vec<Nodes> = modalities
            .map(|number| self.newcomer_nodes((number, &items), &own, ready))
            .collect();
        let prepared: Vec<_> = ready.weights.iter().zip(&nodes).collect();
        let sequence: Vec<u32> = (0..=items.len() as u32).collect();
        let id = &own[self.config.id_layers()];
        let room = (&mut Trace::default(), &mut Rooms::default());
        self.user_vector(id, &sequence, &prepared, room, &mut vector);
        vector
    }

    /// What a modality knows of somebody new and of the items of the sequence, in this order.
    fn newcomer_nodes(
        &self,
        (number, items): (usize, &[u32]),
        own: &[Vec<f32>],
        ready: &Ready,
    ) -> Nodes {
        let dim = self.config.dim;
        let mut x = ready.own.clone();
        x.extend(self.projected(number, items));
        let first = self.shape.users.rows;
        let positions = (1..=self.config.blocks).map(|block| {
            let mean = ready.positions.mean(block);
            let rows = items.iter().map(|&item| first + item as usize);
            let rows = rows.flat_map(|node| &mean[node * dim..][..dim]);
            own[block].iter().chain(rows).copied().collect()
        });
        let positions: Vec<Vec<f32>> = positions.collect();
        let positions: Vec<&[f32]> = positions.iter().map(Vec::as_slice).collect();
        let rows: Vec<u32> = (0..=items.len() as u32).collect();
        let layer = self.shape.encoders[number].position;
        Nodes::of(
            x,
            (&positions, &rows),
            (layer, &self.parameters.values),
            (&self.folded, &ready.weights[number]),
        )
    }
}
