//! A DLRM that ranks by what comes next.

mod config;
mod forward;
mod gradients;
mod input;
mod layout;
mod weights;

use mmdlrm_kernels::InstructionSet;
use rand::SeedableRng;
use rand_chacha::ChaCha8Rng;
use rand_distr::{Distribution, StandardNormal};
use rayon::prelude::*;

pub use config::{NextItemConfig, RecencyBag};
use forward::{Composed, UserSide};
pub use gradients::NextItemGradients;
pub use input::{ItemInputs, NextItemExample, NoPairFeatures, PairFeatures};
use layout::NextItemLayout;

use crate::parameters::{furthest, furthest_of};
use crate::{Error, Result};

/// Examples that are worked on together.
const PIECE: usize = 64;
/// Standard deviation of the vectors at first.
const SPREAD: f32 = 0.05;

/// A DLRM whose user side is a history and whose top is linear, so that the
/// interaction with a whole catalogue is one matrix product, trained by softmax over
/// the catalogue.
///
/// Each item has two vectors, as history and as target, the sum of one of its own and
/// of the bag of its features; the target's also of a linear tower over what
/// encoders say of it. A user is bags of the history of different recency, through
/// a linear layer, and vectors of the moment and of the history's length. The score
/// is
///
/// `s(u, i) = ⟨u, e_i⟩ + b_i + Σ_f w_f φ_f(u, i)`.
///
/// The causal form of factorised item similarity (FISM, Kabbur et al., 2013; FPMC,
/// Rendle et al., 2010) beside a wide part (Cheng et al., 2016).
///
/// ```
/// use mmdlrm_model::{ItemInputs, NextItem, NextItemConfig, NextItemExample, NoPairFeatures};
///
/// let mut config = NextItemConfig::default();
/// (config.items, config.features) = (3, 1);
/// let inputs = ItemInputs { offsets: &[0, 1, 1, 1], features: &[0], vectors: &[] };
/// let model = NextItem::new(config, &[5, 1, 2], 42)?;
/// let example = NextItemExample {
///     history: &[1], deviations: &[0.5], moment: 0, length: 0, seen: &[1], next: 0,
/// };
/// let scores = model.scores(&inputs, &[example], &NoPairFeatures)?;
/// assert_eq!(scores.len(), 3);
/// assert_eq!(model.target_vectors(&inputs)?.len(), 3 * model.config().dim);
/// # Ok::<(), mmdlrm_model::Error>(())
/// ```
#[derive(Debug, Clone, PartialEq)]
pub struct NextItem {
    config: NextItemConfig,
    layout: NextItemLayout,
    parameters: Vec<f32>,
}

impl NextItem {
    /// A model that has learned nothing but how often each item is rated.
    ///
    /// # Errors
    /// Sizes of 0, shares that are none, or `counts` of another number of items.
    pub fn new(config: NextItemConfig, counts: &[u32], seed: u64) -> Result<Self> {
        config.validate()?;
        InstructionSet::in_use()?;
        if counts.len() != config.items {
            return Err(Error::Length {
                what: "the counts of items".to_owned(),
                found: counts.len(),
                expected: config.items,
            });
        }
        let layout = NextItemLayout::new(&config);
        let mut parameters = vec![0.0; layout.len];
        let mut rng = ChaCha8Rng::seed_from_u64(seed);
        let mut normal = || SPREAD * Distribution::<f32>::sample(&StandardNormal, &mut rng);
        for span in [
            &layout.history_items,
            &layout.items,
            &layout.history_features,
            &layout.features,
        ] {
            parameters[span.clone()].fill_with(&mut normal);
        }
        // Bags are added up at first.
        let dim = config.dim;
        for (row, out) in parameters[layout.user.clone()]
            .chunks_exact_mut(dim)
            .enumerate()
        {
            out[row % dim] = 1.0;
        }
        for (bias, &count) in parameters[layout.bias.clone()].iter_mut().zip(counts) {
            *bias = (count as f32).ln_1p();
        }
        Ok(Self {
            config,
            layout,
            parameters,
        })
    }

    /// The shape.
    pub fn config(&self) -> &NextItemConfig {
        &self.config
    }

    /// All parameters, one after the other.
    pub fn parameters(&self) -> &[f32] {
        &self.parameters
    }

    /// The same, to be changed.
    pub fn parameters_mut(&mut self) -> &mut [f32] {
        &mut self.parameters
    }

    /// Name and value of the parameter furthest from 0, as
    /// [`Dlrm::extreme_parameter`](crate::Dlrm::extreme_parameter).
    pub fn extreme_parameter(&self) -> (String, f32) {
        let tensors = self.layout.tensors(&self.config).into_iter();
        furthest_of(
            tensors.map(|(name, span, _)| (name.to_owned(), furthest(&self.parameters[span]))),
        )
    }

    /// The items' vectors as targets, `E`, `[items, dim]`, each of all that the item is made of.
    ///
    /// # Errors
    /// Inputs that do not fit the model.
    pub fn target_vectors(&self, inputs: &ItemInputs<'_>) -> Result<Vec<f32>> {
        input::check(&self.config, inputs, &[])?;
        Ok(Composed::new(self, inputs).targets)
    }

    /// Scores of all items, `[examples, items]`; what was seen is scored too.
    ///
    /// # Errors
    /// Inputs that do not fit the model.
    pub fn scores(
        &self,
        inputs: &ItemInputs<'_>,
        examples: &[NextItemExample<'_>],
        pairs: &dyn PairFeatures,
    ) -> Result<Vec<f32>> {
        input::check(&self.config, inputs, examples)?;
        let composed = Composed::new(self, inputs);
        let items = self.config.items;
        let mut out = vec![0.0; examples.len() * items];
        let pieces = out
            .par_chunks_mut(PIECE * items)
            .zip(examples.par_chunks(PIECE));
        pieces.enumerate().for_each(|(number, (scores, examples))| {
            let users = UserSide::new(self, &composed, examples, None);
            self.score_users(&composed, &users, scores);
            let mut features = vec![0.0; self.config.pair_features * items];
            for (example, scores) in (number * PIECE..).zip(scores.chunks_exact_mut(items)) {
                pairs.fill(example, &mut features);
                self.add_bias_and_pairs(&features, scores);
            }
        });
        Ok(out)
    }
}
