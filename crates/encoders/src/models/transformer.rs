//! The transformer that CLIP's towers (pre-norm) and BERT (post-norm) are made
//! of, over sequences of any lengths.

use std::ops::Range;

use candle_core::{D, DType, Device, Result, Tensor};
use candle_nn::ops::{sigmoid, softmax_last_dim};
use candle_nn::{LayerNorm, Linear, Module, VarBuilder};

use crate::models::cpu::{Activation, CpuTransformer};
use crate::models::layers::{NormWeights, on_cpu};
use crate::models::limits::TransformerSizes;

/// Shape of a transformer.
pub(crate) struct TransformerConfig {
    pub width: usize,
    pub mlp_width: usize,
    pub layers: usize,
    pub heads: usize,
    pub activation: Activation,
    pub epsilon: f64,
    /// Whether norms come before attention and MLP (CLIP) or after (BERT).
    pub norm_first: bool,
    /// Whether a row sees only itself and the rows before it.
    pub causal: bool,
    pub keep: Keep,
    /// What is added to scores of attention.
    pub distances: Option<Distances>,
}

impl TransformerConfig {
    /// Of these sizes, as vision transformers are: norms come first, rows see all others, and all
    /// are kept.
    pub fn of(sizes: &TransformerSizes, activation: Activation) -> Self {
        Self {
            width: sizes.hidden_size,
            mlp_width: sizes.intermediate_size,
            layers: sizes.num_hidden_layers,
            heads: sizes.num_attention_heads,
            activation,
            epsilon: sizes.layer_norm_eps,
            norm_first: true,
            causal: false,
            keep: Keep::All,
            distances: None,
        }
    }
}

/// What is added to a score by how far apart its two rows are, in buckets that grow with the
/// distance (Raffel et al., 2020).
pub(crate) struct Distances {
    /// `[BUCKETS, heads]`.
    table: Vec<f32>,
    heads: usize,
}

/// Half for rows before, half for those behind.
pub(crate) const BUCKETS: usize = 32;

impl Distances {
    /// Reads `weight`, `[BUCKETS, heads]`.
    pub fn read(heads: usize, weights: &VarBuilder) -> Result<Self> {
        let table = weights.get((BUCKETS, heads), "weight")?;
        let table = table.to_dtype(DType::F32)?.flatten_all()?;
        Ok(Self {
            table: table.to_vec1()?,
            heads,
        })
    }

    /// For a head what `length` rows before a row get, nearest last, then it and those behind:
    /// `[2 · length − 1]`, the row itself in the middle.
    pub fn around(&self, head: usize, length: usize) -> impl Iterator<Item = f32> {
        let before = (1..length).rev().map(bucket);
        let behind = (0..length).map(|distance| match distance {
            0 => 0,
            _ => BUCKETS / 2 + bucket(distance),
        });
        let buckets = before.chain(behind);
        buckets.map(move |bucket| self.table[bucket * self.heads + head])
    }

    /// `[length, length]` for a head: what each row's scores of each get.
    fn matrix(&self, head: usize, length: usize) -> Vec<f32> {
        let around: Vec<f32> = self.around(head, length).collect();
        let of_row = |row: usize| &around[length - 1 - row..2 * length - 1 - row];
        (0..length).flat_map(of_row).copied().collect()
    }
}

/// The bucket of a distance in one direction: each its own below 8, then two a doubling.
fn bucket(distance: usize) -> usize {
    match distance {
        0..8 => distance,
        // 8 + ⌊2 · log₂(distance / 8)⌋, in whole numbers.
        _ => (distance.saturating_mul(distance).ilog2() as usize + 2).min(BUCKETS / 2 - 1),
    }
}

/// The rows of each sequence that are wanted: the last layer need not compute
/// the others.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Keep {
    All,
    First,
    Last,
}

impl Keep {
    /// Which rows of a sequence are kept.
    pub fn of(self, length: usize) -> Range<usize> {
        match self {
            Self::All => 0..length,
            Self::First => 0..1,
            Self::Last => length - 1..length,
        }
    }
}

/// What the weights of a layer are called.
pub(crate) struct Names {
    pub attention_norm: &'static str,
    pub query: &'static str,
    pub key: &'static str,
    pub value: &'static str,
    pub out: &'static str,
    pub mlp_norm: &'static str,
    pub up: &'static str,
    pub down: &'static str,
    /// What the outputs of attention and of the MLP are multiplied by, number by number, where
    /// a model has that (Touvron et al., 2021).
    pub scales: Option<(&'static str, &'static str)>,
}

impl Names {
    /// CLIP's, which SigLIP has too.
    pub const OF_CLIP: Self = Self {
        attention_norm: "layer_norm1",
        query: "self_attn.q_proj",
        key: "self_attn.k_proj",
        value: "self_attn.v_proj",
        out: "self_attn.out_proj",
        mlp_norm: "layer_norm2",
        up: "mlp.fc1",
        down: "mlp.fc2",
        scales: None,
    };
}

/// A linear layer's: `[outputs, inputs]` and `[outputs]`.
pub(crate) struct Weights {
    pub weight: Tensor,
    pub bias: Tensor,
}

/// The weights of a layer.
pub(crate) struct LayerWeights {
    pub attention_norm: NormWeights,
    pub query: Weights,
    pub key: Weights,
    pub value: Weights,
    pub out: Weights,
    pub mlp_norm: NormWeights,
    pub up: Weights,
    pub down: Weights,
}

impl LayerWeights {
    fn read(config: &TransformerConfig, names: &Names, weights: &VarBuilder) -> Result<Self> {
        let linear = |name: &str, outputs: usize, inputs: usize| {
            let weights = weights.pp(name);
            Ok::<_, candle_core::Error>(Weights {
                weight: weights.get((outputs, inputs), "weight")?,
                bias: weights.get(outputs, "bias")?,
            })
        };
        let norm = |name: &str| NormWeights::read(config.width, &weights.pp(name));
        let (width, mlp_width) = (config.width, config.mlp_width);
        // Into the layer whose outputs they scale.
        let scaled = |layer: Weights, scale: Option<&str>| match scale {
            None => Ok::<_, candle_core::Error>(layer),
            Some(name) => {
                let scale = weights.get(width, name)?;
                Ok(Weights {
                    weight: layer.weight.broadcast_mul(&scale.unsqueeze(1)?)?,
                    bias: (layer.bias * scale)?,
                })
            }
        };
        let (out_scale, down_scale) = names.scales.unzip();
        // A gate as wide as what it opens.
        let up_width = match config.activation {
            Activation::SwiGlu => 2 * mlp_width,
            _ => mlp_width,
        };
        Ok(Self {
            attention_norm: norm(names.attention_norm)?,
            query: linear(names.query, width, width)?,
            key: linear(names.key, width, width)?,
            value: linear(names.value, width, width)?,
            out: scaled(linear(names.out, width, width)?, out_scale)?,
            mlp_norm: norm(names.mlp_norm)?,
            up: linear(names.up, up_width, width)?,
            down: scaled(linear(names.down, width, mlp_width)?, down_scale)?,
        })
    }
}

pub(crate) enum Transformer {
    /// On a CPU in f32.
    Cpu(CpuTransformer),
    /// On any device, by candle's operations.
    Device(DeviceTransformer),
}

impl Transformer {
    /// `weights` is where the layers `0`, `1`, … are.
    pub fn new(config: TransformerConfig, names: &Names, weights: VarBuilder) -> Result<Self> {
        let layer = |config: &_, layer| LayerWeights::read(config, names, &weights.pp(layer));
        if on_cpu(&weights) {
            return Ok(Self::Cpu(CpuTransformer::new(config, layer)?));
        }
        let layers = (0..config.layers)
            .map(|number| Ok(Layer::new(config.epsilon, layer(&config, number)?)))
            .collect::<Result<_>>()?;
        Ok(Self::Device(DeviceTransformer { layers, config }))
    }

    /// Sequences of `lengths` rows, one after another, `[rows, width]` → the
    /// rows that are kept: as many again, or one a sequence.
    pub fn forward(&self, x: Tensor, lengths: &[usize]) -> Result<Tensor> {
        match self {
            Self::Cpu(transformer) => {
                let width = x.dim(1)?;
                let kept = transformer.forward(x.flatten_all()?.to_vec1()?, lengths);
                let rows = kept.len() / width;
                Tensor::from_vec(kept, (rows, width), x.device())
            }
            Self::Device(transformer) => transformer.forward(&x, lengths),
        }
    }
}

pub(crate) struct DeviceTransformer {
    layers: Vec<Layer>,
    config: TransformerConfig,
}

impl DeviceTransformer {
    fn forward(&self, x: &Tensor, lengths: &[usize]) -> Result<Tensor> {
        let longest = lengths.iter().copied().max().unwrap_or(0);
        let starts: Vec<usize> = lengths
            .iter()
            .scan(0, |next, length| {
                let start = *next;
                *next += length;
                Some(start)
            })
            .collect();
        // Short sequences are filled up with rows that nobody looks at.
        let padded: Vec<u32> = starts
            .iter()
            .zip(lengths)
            .flat_map(|(start, length)| {
                (0..longest).map(move |row| (start + row.min(length - 1)) as u32)
            })
            .collect();
        let gather =
            |x: &Tensor, rows: Vec<u32>| x.index_select(&Tensor::new(rows, x.device())?, 0);
        let mut x = gather(x, padded)?.reshape((lengths.len(), longest, self.config.width))?;
        let mask = mask(lengths, longest, self.config.causal, x.device())?.to_dtype(x.dtype())?;
        let added = self.config.distances.as_ref().map(|distances| {
            let heads = 0..self.config.heads;
            let added: Vec<f32> = heads
                .flat_map(|head| distances.matrix(head, longest))
                .collect();
            let shape = (1, self.config.heads, longest, longest);
            Tensor::from_vec(added, shape, x.device())?.to_dtype(x.dtype())
        });
        let seen = Seen {
            mask,
            added: added.transpose()?,
        };
        for layer in &self.layers {
            x = layer.forward(&x, &seen, &self.config)?;
        }
        let kept = lengths.iter().enumerate().flat_map(|(number, length)| {
            let rows = self.config.keep.of(*length);
            rows.map(move |row| (number * longest + row) as u32)
        });
        gather(&x.flatten(0, 1)?, kept.collect())
    }
}

/// What is added to attention scores.
struct Seen {
    /// `[sequences, 1, longest, longest]`: nothing where a row sees another.
    mask: Tensor,
    /// `[1, heads, longest, longest]`, by how far apart rows are.
    added: Option<Tensor>,
}

/// What is added to attention scores, `[sequences, 1, longest, longest]`: zero
/// where a row sees another.
fn mask(lengths: &[usize], longest: usize, causal: bool, device: &Device) -> Result<Tensor> {
    let mask: Vec<f32> = lengths
        .iter()
        .flat_map(|&length| {
            (0..longest * longest).map(move |i| {
                let (row, seen) = (i / longest, i % longest);
                match seen < length && !(causal && seen > row) {
                    true => 0.0,
                    false => f32::NEG_INFINITY,
                }
            })
        })
        .collect();
    Tensor::from_vec(mask, (lengths.len(), 1, longest, longest), device)
}

struct Layer {
    attention_norm: LayerNorm,
    query: Linear,
    key: Linear,
    value: Linear,
    out: Linear,
    mlp_norm: LayerNorm,
    up: Linear,
    down: Linear,
}

impl Layer {
    fn new(epsilon: f64, weights: LayerWeights) -> Self {
        let linear = |weights: Weights| Linear::new(weights.weight, Some(weights.bias));
        let norm = |weights: NormWeights| LayerNorm::new(weights.weight, weights.bias, epsilon);
        Self {
            attention_norm: norm(weights.attention_norm),
            query: linear(weights.query),
            key: linear(weights.key),
            value: linear(weights.value),
            out: linear(weights.out),
            mlp_norm: norm(weights.mlp_norm),
            up: linear(weights.up),
            down: linear(weights.down),
        }
    }

    fn forward(&self, x: &Tensor, seen: &Seen, config: &TransformerConfig) -> Result<Tensor> {
        if config.norm_first {
            let x = (x + self.attend(&self.attention_norm.forward(x)?, seen, config.heads)?)?;
            let mlp = self.mlp(&self.mlp_norm.forward(&x)?, config.activation)?;
            return x + mlp;
        }
        let x = (x + self.attend(x, seen, config.heads)?)?;
        let x = self.attention_norm.forward(&x)?;
        let mlp = self.mlp(&x, config.activation)?;
        self.mlp_norm.forward(&(x + mlp)?)
    }

    fn attend(&self, x: &Tensor, seen: &Seen, heads: usize) -> Result<Tensor> {
        let (batch, length, width) = x.dims3()?;
        let head_width = width / heads;
        let split = |projection: &Linear| -> Result<Tensor> {
            projection
                .forward(x)?
                .reshape((batch, length, heads, head_width))?
                .transpose(1, 2)?
                .contiguous()
        };
        let query = (split(&self.query)? * (head_width as f64).powf(-0.5))?;
        let scores = query.matmul(&split(&self.key)?.transpose(D::Minus2, D::Minus1)?)?;
        let scores = match &seen.added {
            Some(added) => scores.broadcast_add(added)?,
            None => scores,
        };
        let scores = softmax_last_dim(&scores.broadcast_add(&seen.mask)?)?;
        let attended = scores.matmul(&split(&self.value)?)?;
        self.out
            .forward(&attended.transpose(1, 2)?.reshape((batch, length, width))?)
    }

    fn mlp(&self, x: &Tensor, activation: Activation) -> Result<Tensor> {
        let hidden = self.up.forward(x)?;
        let hidden = activated(hidden, activation)?;
        self.down.forward(&hidden)
    }
}

/// What an activation makes of the numbers of a layer, by candle's operations.
pub(crate) fn activated(hidden: Tensor, activation: Activation) -> Result<Tensor> {
    match activation {
        Activation::QuickGelu => &hidden * sigmoid(&(&hidden * 1.702)?)?,
        Activation::Gelu => hidden.gelu_erf(),
        Activation::GeluTanh => hidden.gelu(),
        Activation::Relu => hidden.relu(),
        Activation::SwiGlu => {
            let halves = hidden.chunk(2, D::Minus1)?;
            halves[0].silu()? * &halves[1]
        }
    }
}

#[cfg(test)]
mod tests {
    use candle_core::DType;

    use super::*;
    use crate::models::untrained::SeededWeights;

    const NAMES: Names = Names {
        attention_norm: "norm1",
        query: "q",
        key: "k",
        value: "v",
        out: "o",
        mlp_norm: "norm2",
        up: "up",
        down: "down",
        scales: Some(("scale1", "scale2")),
    };

    fn config(
        norm_first: bool,
        causal: bool,
        keep: Keep,
        activation: Activation,
    ) -> TransformerConfig {
        TransformerConfig {
            width: 24,
            mlp_width: 40,
            layers: 3,
            heads: 3,
            activation,
            epsilon: 1e-5,
            norm_first,
            causal,
            keep,
            distances: (activation == Activation::Gelu).then(|| Distances {
                table: (0..3 * BUCKETS).map(|i| (i as f32).sin()).collect(),
                heads: 3,
            }),
        }
    }

    /// This crate's code against candle's operations.
    #[test]
    fn a_cpu_and_candle_agree_on_sequences_of_any_lengths() {
        let lengths = [5, 1, 17, 2];
        let rows: usize = lengths.iter().sum();
        let numbers = (0..rows * 24).map(|i| ((i * 7919) % 1009) as f32 / 504.5 - 1.0);
        let x = Tensor::from_iter(numbers, &Device::Cpu).unwrap();
        let x = x.reshape((rows, 24)).unwrap();
        let backend = || Box::new(SeededWeights { seed: 3 });
        let activations = [
            Activation::Gelu,
            Activation::GeluTanh,
            Activation::QuickGelu,
            Activation::SwiGlu,
        ];
        let flags = [(true, true), (true, false), (false, true), (false, false)];
        for (activation, (norm_first, causal)) in activations.into_iter().zip(flags) {
            for keep in [Keep::All, Keep::First, Keep::Last] {
                let config = || config(norm_first, causal, keep, activation);
                let weights = VarBuilder::from_backend(backend(), DType::F32, Device::Cpu);
                let own = Transformer::new(config(), &NAMES, weights.clone()).unwrap();
                assert!(matches!(own, Transformer::Cpu(_)));
                let read = |layer| LayerWeights::read(&config(), &NAMES, &weights.pp(layer));
                let layers = (0..3).map(|layer: usize| Layer::new(1e-5, read(layer).unwrap()));
                let candle = DeviceTransformer {
                    layers: layers.collect(),
                    config: config(),
                };
                let own = own.forward(x.clone(), &lengths).unwrap();
                let candle = candle.forward(&x, &lengths).unwrap();
                assert_eq!(own.dims(), candle.dims());
                let difference = (own - candle).unwrap().flatten_all().unwrap();
                for difference in difference.to_vec1::<f32>().unwrap() {
                    assert!(
                        difference.abs() < 1e-4,
                        "{activation:?} {keep:?}: {difference}"
                    );
                }
            }
        }
    }
}
