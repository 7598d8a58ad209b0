use candle_core::{Result, Tensor};

use super::attention::{Attention, AttentionBuffers};
use super::dense::{Dense, Norm};
use super::elementwise::{Activation, swiglu};
use crate::models::layers::NormWeights;
use crate::models::transformer::{Keep, LayerWeights, TransformerConfig, Weights};

/// A transformer's layers, packed for one thread at a time.
pub(crate) struct CpuTransformer {
    layers: Vec<Layer>,
    attention: Attention,
    activation: Activation,
    mlp_width: usize,
    norm_first: bool,
    keep: Keep,
}

impl CpuTransformer {
    /// Packs the layers, each of which `layer` reads.
    pub fn new(
        config: TransformerConfig,
        layer: impl Fn(&TransformerConfig, usize) -> Result<LayerWeights>,
    ) -> Result<Self> {
        let layers = (0..config.layers)
            .map(|number| Layer::new(config.epsilon as f32, &layer(&config, number)?));
        Ok(Self {
            layers: layers.collect::<Result<_>>()?,
            attention: Attention {
                width: config.width,
                heads: config.heads,
                causal: config.causal,
                distances: config.distances,
            },
            activation: config.activation,
            mlp_width: config.mlp_width,
            norm_first: config.norm_first,
            keep: config.keep,
        })
    }

    /// Rows of sequences, one after another, `[rows, width]`, to the rows that
    /// are kept.
    pub fn forward(&self, mut x: Vec<f32>, lengths: &[usize]) -> Vec<f32> {
        let mut buffers = Buffers::default();
        for (number, layer) in self.layers.iter().enumerate() {
            let last = number + 1 == self.layers.len();
            let keep = if last { self.keep } else { Keep::All };
            self.layer(layer, &mut x, lengths, keep, &mut buffers);
        }
        x
    }

    fn layer(
        &self,
        layer: &Layer,
        x: &mut Vec<f32>,
        lengths: &[usize],
        keep: Keep,
        buffers: &mut Buffers,
    ) {
        let width = self.attention.width;
        let Buffers {
            normed,
            queries,
            keys_values,
            attended,
            hidden,
            scratch,
            attention,
        } = buffers;
        if self.norm_first {
            layer.attention_norm.apply(x, normed);
        } else {
            normed.clone_from(x);
        }
        layer.key_value.apply(normed, None, keys_values, scratch);
        leave_kept(normed, keep, lengths, width);
        leave_kept(x, keep, lengths, width);
        layer.query.apply(normed, None, queries, scratch);
        attended.resize(queries.len(), 0.0);
        let (mut row, mut query) = (0, 0);
        for &length in lengths {
            let kept_rows = keep.of(length);
            let kept = kept_rows.len();
            self.attention.attend(
                &queries[query * width..(query + kept) * width],
                kept_rows.start,
                &keys_values[row * 2 * width..(row + length) * 2 * width],
                &mut attended[query * width..(query + kept) * width],
                attention,
            );
            row += length;
            query += kept;
        }
        layer.out.add(attended, x, scratch);
        if self.norm_first {
            layer.mlp_norm.apply(x, normed);
        } else {
            layer.attention_norm.apply(x, normed);
            x.clone_from(normed);
        }
        layer
            .up
            .apply(normed, Some(self.activation), hidden, scratch);
        if self.activation == Activation::SwiGlu {
            swiglu(hidden, self.mlp_width);
        }
        layer.down.add(hidden, x, scratch);
        if !self.norm_first {
            layer.mlp_norm.apply(x, normed);
            std::mem::swap(x, normed);
        }
    }
}

/// What a layer computes on its way, kept for the next.
#[derive(Default)]
struct Buffers {
    normed: Vec<f32>,
    queries: Vec<f32>,
    keys_values: Vec<f32>,
    attended: Vec<f32>,
    hidden: Vec<f32>,
    scratch: Vec<f32>,
    attention: AttentionBuffers,
}

/// Of the rows of sequences, leaves those that are kept.
fn leave_kept(rows: &mut Vec<f32>, keep: Keep, lengths: &[usize], width: usize) {
    if keep == Keep::All {
        return;
    }
    let mut first = 0;
    for (number, &length) in lengths.iter().enumerate() {
        let row = first + keep.of(length).start;
        rows.copy_within(row * width..(row + 1) * width, number * width);
        first += length;
    }
    rows.truncate(lengths.len() * width);
}

struct Layer {
    attention_norm: Norm,
    query: Dense,
    /// Keys and values side by side.
    key_value: Dense,
    out: Dense,
    mlp_norm: Norm,
    up: Dense,
    down: Dense,
}

impl Layer {
    fn new(epsilon: f32, weights: &LayerWeights) -> Result<Self> {
        let key_value = (
            Tensor::cat(&[&weights.key.weight, &weights.value.weight], 0)?,
            Tensor::cat(&[&weights.key.bias, &weights.value.bias], 0)?,
        );
        let dense = |weights: &Weights| Dense::new(&weights.weight, Some(&weights.bias));
        let norm = |weights: &NormWeights| Norm::new(&weights.weight, &weights.bias, epsilon);
        Ok(Self {
            attention_norm: norm(&weights.attention_norm)?,
            query: dense(&weights.query)?,
            key_value: Dense::new(&key_value.0, Some(&key_value.1))?,
            out: dense(&weights.out)?,
            mlp_norm: norm(&weights.mlp_norm)?,
            up: dense(&weights.up)?,
            down: dense(&weights.down)?,
        })
    }
}
