use std::ops::Range;

use super::NextItemConfig;

/// Where each parameter lies.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Layout {
    /// `[items, dim]`, in histories.
    pub history_items: Range<usize>,
    /// `[items, dim]`, as targets.
    pub items: Range<usize>,
    /// `[features, dim]`, in histories.
    pub history_features: Range<usize>,
    /// `[features, dim]`, of targets.
    pub features: Range<usize>,
    /// `[vector, dim]`.
    pub tower: Range<usize>,
    /// `[bags · dim, dim]`.
    pub user: Range<usize>,
    /// `[moments, dim]`.
    pub moments: Range<usize>,
    /// `[lengths, dim]`.
    pub lengths: Range<usize>,
    /// `[items]`.
    pub bias: Range<usize>,
    /// `[pair_features]`.
    pub pairs: Range<usize>,
    pub len: usize,
}

impl Layout {
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
