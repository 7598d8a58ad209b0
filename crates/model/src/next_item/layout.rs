use std::ops::Range;

use super::{NextItemConfig, NextItemExample};

/// Where each parameter of a [`NextItem`](super::NextItem) lies.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct NextItemLayout {
    /// Items' own vectors as history, `[items, dim]`.
    pub history_items: Range<usize>,
    /// Items' own vectors as targets, `[items, dim]`.
    pub items: Range<usize>,
    /// Vectors of item features as history, `[features, dim]`.
    pub history_features: Range<usize>,
    /// Vectors of item features as targets, `[features, dim]`.
    pub features: Range<usize>,
    /// The linear tower over items' vectors of encoders, `[vector, dim]`.
    pub tower: Range<usize>,
    /// The user's linear layer, `A`, `[bags · dim, dim]`.
    pub user: Range<usize>,
    /// Vectors of moments, `[moments, dim]`.
    pub moments: Range<usize>,
    /// Vectors of lengths of a history, `[lengths, dim]`.
    pub lengths: Range<usize>,
    /// Items' biases, `b`, `[items]`.
    pub bias: Range<usize>,
    /// Weights of the features of pairs, `v`, `[pair_features]`.
    pub pairs: Range<usize>,
    /// Number of parameters.
    pub len: usize,
}

impl NextItemLayout {
    pub fn new(config: &NextItemConfig) -> Self {
        let dim = config.dim;
        let mut len = 0;
        let mut take = |count: usize| {
            len += count;
            len - count..len
        };
        let history_items = take(config.items * dim);
        let items = take(config.items * dim);
        let history_features = take(config.features * dim);
        let features = take(config.features * dim);
        let tower = take(config.vector * dim);
        let user = take(config.bags.len() * dim * dim);
        let moments = take(config.moments * dim);
        let lengths = take(config.lengths * dim);
        let bias = take(config.items);
        let pairs = take(config.pair_features);
        Self {
            history_items,
            items,
            history_features,
            features,
            tower,
            user,
            moments,
            lengths,
            bias,
            pairs,
            len,
        }
    }

    /// The vectors of an example's moment and of its history's length, `dim` long each.
    pub fn context(&self, example: &NextItemExample<'_>, dim: usize) -> [Range<usize>; 2] {
        let row = |table: &Range<usize>, row: u32| {
            let start = table.start + row as usize * dim;
            start..start + dim
        };
        [
            row(&self.moments, example.moment),
            row(&self.lengths, example.length),
        ]
    }

    /// Name, place and shape of each tensor in a file.
    pub fn tensors(
        &self,
        config: &NextItemConfig,
    ) -> Vec<(&'static str, Range<usize>, Vec<usize>)> {
        let dim = config.dim;
        let matrix = |name, span: &Range<usize>| (name, span.clone(), vec![span.len() / dim, dim]);
        let vector = |name, span: &Range<usize>| (name, span.clone(), vec![span.len()]);
        vec![
            matrix("history_items.weight", &self.history_items),
            matrix("items.weight", &self.items),
            matrix("history_features.weight", &self.history_features),
            matrix("features.weight", &self.features),
            matrix("tower.weight", &self.tower),
            matrix("user.weight", &self.user),
            matrix("moments.weight", &self.moments),
            matrix("lengths.weight", &self.lengths),
            vector("items.bias", &self.bias),
            vector("pairs.weight", &self.pairs),
        ]
    }
}
