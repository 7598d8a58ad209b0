//! Which matrices there are to be learned, and what they begin with.

use rand_chacha::ChaCha8Rng;

use super::LightGtConfig;
use crate::item_features::ItemFeatures;
use crate::linear::Linear;
use crate::parameters::{Matrix, Parameters, uniform, xavier_normal};

/// A head of attention: queries, keys, values, and what is made of the values' mean.
#[derive(Debug, Clone, Copy)]
pub(super) struct HeadShape {
    pub query: Linear,
    pub key: Linear,
    pub value: Linear,
    pub out: Linear,
}

#[derive(Debug, Clone)]
pub(super) struct BlockShape {
    pub heads: Vec<HeadShape>,
    /// Of the layer's norm.
    pub scale: Matrix,
    pub shift: Matrix,
}

/// What a modality has of its own.
#[derive(Debug, Clone)]
pub(super) struct EncoderShape {
    /// Of an item's vector.
    pub contents: Linear,
    /// Of a position in the graph.
    pub position: Linear,
    /// Of what comes out of the last block.
    pub dense: Linear,
    pub blocks: Vec<BlockShape>,
}

#[derive(Debug, Clone)]
pub(super) struct Shape {
    /// `E⁰`: users, and behind them items.
    pub users: Matrix,
    pub items: Matrix,
    /// What stands for a user among the vectors of items.
    pub own: Matrix,
    pub encoders: Vec<EncoderShape>,
}

/// A layer begins even within `±1/√inputs`.
fn begin(layer: Linear, values: &mut [f32], random: &mut ChaCha8Rng) {
    let bound = (layer.inputs().max(1) as f32).sqrt().recip();
    uniform(layer.weight.of_mut(values), bound, random);
    uniform(layer.bias.of_mut(values), bound, random);
}

fn copy(from: Linear, to: Linear, values: &mut [f32]) {
    for (from, to) in [(from.weight, to.weight), (from.bias, to.bias)] {
        let copied = from.of(values).to_vec();
        to.of_mut(values).copy_from_slice(&copied);
    }
}

impl HeadShape {
    pub fn layers(&self) -> [Linear; 4] {
        [self.query, self.key, self.value, self.out]
    }
}

impl Shape {
    /// For so many users and items.
    pub fn new(
        config: &LightGtConfig,
        (users, items): (usize, usize),
        contents: &[ItemFeatures],
        parameters: &mut Parameters,
    ) -> Self {
        let dim = config.dim;
        Self {
            users: parameters.add("lightgcn.user_emb.weight", users, dim),
            items: parameters.add("lightgcn.item_emb.weight", items, dim),
            own: parameters.add("user_exp", users, dim),
            encoders: contents
                .iter()
                .map(|it| EncoderShape::new(config, it, parameters))
                .collect(),
        }
    }

    /// As the authors begin: tables normal by their sizes, linear layers even by their inputs, the
    /// blocks of a modality as copies of one another.
    pub fn begin(&self, values: &mut [f32], random: &mut ChaCha8Rng) {
        for table in [self.users, self.items, self.own] {
            xavier_normal(table, values, random);
        }
        for encoder in &self.encoders {
            for layer in [encoder.contents, encoder.position, encoder.dense] {
                begin(layer, values, random);
            }
            for (number, block) in encoder.blocks.iter().enumerate() {
                block.scale.of_mut(values).fill(1.0);
                for (head, first) in block.heads.iter().zip(&encoder.blocks[0].heads) {
                    for (layer, first) in head.layers().into_iter().zip(first.layers()) {
                        match number {
                            0 => begin(layer, values, random),
                            _ => copy(first, layer, values),
                        }
                    }
                }
            }
        }
    }
}

impl EncoderShape {
    fn new(config: &LightGtConfig, contents: &ItemFeatures, parameters: &mut Parameters) -> Self {
        let (name, dim) = (&contents.name, config.dim);
        let block = |number: usize, parameters: &mut Parameters| {
            let name = format!("{name}_encoder.layers.{number}");
            let head = |head: usize, parameters: &mut Parameters| {
                let mut layer = |of| {
                    let name = format!("{name}.self_attn.{head}.{of}");
                    Linear::add(parameters, &name, dim, dim)
                };
                HeadShape {
                    query: layer("q_in_proj"),
                    key: layer("k_in_proj"),
                    value: layer("v_in_proj"),
                    out: layer("out_proj"),
                }
            };
            BlockShape {
                heads: (0..config.heads)
                    .map(|number| head(number, parameters))
                    .collect(),
                scale: parameters.add(format!("{name}.norm1.weight"), 1, dim),
                shift: parameters.add(format!("{name}.norm1.bias"), 1, dim),
            }
        };
        Self {
            contents: Linear::add(parameters, &format!("{name}_linear"), contents.width, dim),
            position: Linear::add(parameters, &format!("{name}_mlp"), dim, dim),
            dense: Linear::add(parameters, &format!("{name}_dense"), dim, dim),
            blocks: (0..config.blocks)
                .map(|number| block(number, parameters))
                .collect(),
        }
    }
}
