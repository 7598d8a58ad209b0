//! Predictions of pairs.

use std::borrow::Borrow;

use rayon::prelude::*;

use crate::forward::{PIECE, Packed, Pass, PieceBuffers};
use crate::input::same;
use crate::per_thread::PerThread;
use crate::table_rows::Fetched;
use crate::towers::Towered;
use crate::{Dlrm, Inputs, Result, Vectors};

/// A model whose parameters do not change meanwhile, ready to predict batch
/// after batch: each vector of each modality has gone through its tower, once. `M` is the
/// model, or a reference to it.
///
/// ```
/// use mmdlrm_model::{Dlrm, DlrmConfig, Inputs, ModalityConfig, ModalityInput, Predictor};
///
/// let config = DlrmConfig {
///     modalities: vec![ModalityConfig::new("image", 2, vec![64])],
///     ..DlrmConfig::default()
/// };
/// let model = Dlrm::new(config, 42)?;
/// let posters: &[f32] = &[0.1, 0.2, 0.3, 0.4, 0.5, 0.6];
/// let predictor = Predictor::new(&model, &[posters.into()])?;
///
/// let of_samples = ModalityInput { vectors: posters.into(), rows: &[2, ModalityInput::MISSING] };
/// let batch = Inputs { dense: &[0.5, -0.5], tables: &[], modalities: &[of_samples] };
/// let (mut predictions, mut expected) = (Vec::new(), Vec::new());
/// predictor.predict(&batch, &mut predictions)?;
/// model.predict(&batch, &mut expected)?;
/// assert_eq!(predictions, expected);
/// # Ok::<(), mmdlrm_model::Error>(())
/// ```
#[derive(Debug)]
pub struct Predictor<M> {
    model: M,
    packed: Packed,
    towered: Vec<Towered>,
    /// Numbers of each modality's vectors.
    lengths: Vec<usize>,
    pieces: PerThread<PieceBuffers>,
}

impl<M: Borrow<Dlrm>> Predictor<M> {
    /// Takes all `vectors`, one list a modality in the order of the
    /// configuration, through their towers.
    ///
    /// # Errors
    /// Vectors that do not fit the configuration.
    pub fn new(model: M, vectors: &[Vectors]) -> Result<Self> {
        let own: &Dlrm = model.borrow();
        let modalities = &own.config.modalities;
        same("the list of modalities", vectors.len(), modalities.len())?;
        for (vectors, modality) in vectors.iter().zip(modalities) {
            let whole = vectors.len() / modality.width * modality.width;
            same(
                &format!("vectors of {}", modality.name),
                vectors.len(),
                whole,
            )?;
        }
        let mut packed = Packed::default();
        packed.pack(&own.layout, &own.parameters.dense);
        let buffers = PerThread::new();
        let towered = vectors
            .iter()
            .enumerate()
            .map(|(number, &vectors)| {
                let pass = own.tower_pass(vectors, &packed, number);
                let mut towered = Towered::default();
                if !pass.tower.mlp.layers.is_empty() {
                    towered.take_all(vectors.len() / modalities[number].width);
                    towered.run(pass, &buffers);
                }
                towered
            })
            .collect();
        Ok(Self {
            model,
            packed,
            towered,
            lengths: vectors.iter().map(Vectors::len).collect(),
            pieces: PerThread::new(),
        })
    }

    /// Writes the prediction of each sample, `[batch]`, in the unit of the
    /// targets; `predictions` is resized to fit. The batch's vectors must be
    /// those that the predictor was made with.
    ///
    /// # Errors
    /// A batch that does not fit the configuration, vectors of another number, or a
    /// [store](crate::TableStore) that fails.
    pub fn predict(&self, batch: &Inputs, predictions: &mut Vec<f32>) -> Result<()> {
        let samples = self.check(batch)?;
        let mut fetched = Vec::new();
        self.model().fetch_rows(batch, None, None, &mut fetched)?;
        predictions.resize(samples, 0.0);
        self.pass(batch, &fetched)
            .predict(predictions, &self.pieces);
        Ok(())
    }

    /// The model.
    pub fn model(&self) -> &Dlrm {
        self.model.borrow()
    }

    /// The number of samples of a batch that fits.
    pub(crate) fn check(&self, batch: &Inputs) -> Result<usize> {
        let config = &self.model().config;
        let samples = batch.check(config)?;
        for ((input, &length), modality) in batch
            .modalities
            .iter()
            .zip(&self.lengths)
            .zip(&config.modalities)
        {
            same(
                &format!("vectors of {}", modality.name),
                input.vectors.len(),
                length,
            )?;
        }
        Ok(samples)
    }

    pub(crate) fn pass<'r>(&'r self, batch: &'r Inputs<'r>, fetched: &'r [Fetched]) -> Pass<'r> {
        Pass {
            model: self.model(),
            packed: &self.packed,
            batch,
            towered: &self.towered,
            fetched,
            dropout: None,
            first: 0,
            only: None,
        }
    }
}

impl Dlrm {
    /// Writes the prediction of each sample, `[batch]`, in the unit of the
    /// targets; `predictions` is resized to fit. For many batches, with the same
    /// parameters, a [`Predictor`] is quicker.
    ///
    /// # Errors
    /// A batch that does not fit the configuration, or a [store](crate::TableStore) that
    /// fails.
    pub fn predict(&self, batch: &Inputs, predictions: &mut Vec<f32>) -> Result<()> {
        let samples = batch.check(&self.config)?;
        let prepared = self.prepare(batch, None)?;
        predictions.resize(samples, 0.0);
        let pass = prepared.pass(self, batch, None);
        pass.predict(predictions, &PerThread::new());
        Ok(())
    }
}

impl Pass<'_> {
    fn predict(&self, predictions: &mut [f32], pieces: &PerThread<PieceBuffers>) {
        let tasks = predictions.par_chunks_mut(PIECE).enumerate();
        tasks.for_each(|(number, out)| {
            pieces.with(|piece| {
                let start = number * PIECE;
                self.forward_piece(start..start + out.len(), piece);
                self.model.write_predictions(piece.top.last_output(), out);
            });
        });
    }
}
