use rayon::prelude::*;

use crate::forward::{PIECE, Piece};
use crate::input::same;
use crate::layout::Layout;
use crate::{Batch, DlrmConfig, Parameters, Result, Segment};

/// The deep learning recommendation model (Naumov et al., 2019) with towers
/// for further modalities.
///
/// Dense features go through a bottom MLP, ids through embedding bags, and
/// vectors from encoders through towers; the resulting vectors interact, and a
/// top MLP makes a prediction of what they interact to.
///
/// ```
/// use mmdlrm_model::{Bags, Batch, Dlrm, DlrmConfig, Gradients, Loss, Side, TableConfig};
///
/// let config = DlrmConfig {
///     dim: 8,
///     dense_features: 2,
///     bottom: vec![8],
///     tables: vec![TableConfig::new("user", 3, Side::User)],
///     ..DlrmConfig::default()
/// };
/// let model = Dlrm::new(config, 42)?;
/// let batch = Batch {
///     dense: &[0.5, 1.0, -0.5, 2.0],
///     bags: &[Bags::Single(&[0, 2])],
///     modalities: &[],
/// };
/// let mut predictions = Vec::new();
/// model.predict(&batch, &mut predictions)?;
/// assert_eq!(predictions.len(), 2);
///
/// let mut gradients = Gradients::default();
/// let loss = model.gradients(&batch, &[3.5, 4.0], Loss::Mse, &mut gradients)?;
/// assert!(loss > 0.0);
/// assert_eq!(gradients.tables[0].rows, [0, 2]);
/// # Ok::<(), mmdlrm_model::Error>(())
/// ```
#[derive(Debug, Clone)]
pub struct Dlrm {
    pub(crate) config: DlrmConfig,
    pub(crate) layout: Layout,
    pub(crate) parameters: Parameters,
}

impl Dlrm {
    /// A model with parameters drawn by `seed`, as facebookresearch/dlrm draws
    /// them.
    ///
    /// # Errors
    /// [`Error::Config`](crate::Error::Config) for a setting that makes no
    /// sense.
    pub fn new(config: DlrmConfig, seed: u64) -> Result<Self> {
        config.validate()?;
        let layout = Layout::new(&config);
        let parameters = Parameters::draw(&config, &layout, seed)?;
        Ok(Self {
            config,
            layout,
            parameters,
        })
    }

    /// What the model looks like.
    pub fn config(&self) -> &DlrmConfig {
        &self.config
    }

    /// Everything it has learned.
    pub fn parameters(&self) -> &Parameters {
        &self.parameters
    }

    /// For optimisers. The lengths must stay as they are.
    pub fn parameters_mut(&mut self) -> &mut Parameters {
        &mut self.parameters
    }

    /// Names and places of the pieces of [`Parameters::dense`].
    pub fn segments(&self) -> Vec<Segment> {
        self.layout.segments()
    }

    /// Writes the prediction of each sample, `[batch]`, in the unit of the
    /// targets; `predictions` is resized to fit.
    ///
    /// # Errors
    /// A batch that does not fit the configuration.
    pub fn predict(&self, batch: &Batch, predictions: &mut Vec<f32>) -> Result<()> {
        let samples = batch.check(&self.config)?;
        let mut towered = Vec::new();
        self.run_towers(batch, &mut towered);
        predictions.resize(samples, 0.0);
        predictions.par_chunks_mut(PIECE).enumerate().for_each_init(
            Piece::default,
            |piece, (number, out)| {
                let range = number * PIECE..number * PIECE + out.len();
                self.forward_piece(batch, &towered, range, piece);
                self.write_predictions(piece.top.last_output(), out);
            },
        );
        Ok(())
    }

    /// Computes once what depends on the items alone: embedding bags of the
    /// item's side and towers. The samples of `catalogue` are the items; its
    /// user-side bags are not read further than for their shape.
    ///
    /// # Errors
    /// A batch that does not fit the configuration.
    pub fn item_vectors(&self, catalogue: &Batch) -> Result<ItemVectors> {
        let items = catalogue.check(&self.config)?;
        let mut towered = Vec::new();
        self.run_towers(catalogue, &mut towered);
        let width = self.layout.slot_width;
        let mut slots = vec![0.0; items * width];
        slots
            .par_chunks_mut(PIECE * width)
            .enumerate()
            .for_each(|(number, slots)| {
                let range = number * PIECE..number * PIECE + slots.len() / width;
                self.fill_vectors(catalogue, &towered, range, slots);
            });
        Ok(ItemVectors { items, slots })
    }

    /// Scores every item for one user, `[items]`, in the unit of the targets.
    ///
    /// `catalogue` holds the dense features of the user with each item and the
    /// user's bags, as [`Self::predict`] takes them; everything else is taken
    /// from `items`. The scores equal [`Self::predict`]'s.
    ///
    /// # Errors
    /// A batch that does not fit the configuration or `items`.
    pub fn score_items(
        &self,
        items: &ItemVectors,
        catalogue: &Batch,
        scores: &mut Vec<f32>,
    ) -> Result<()> {
        let dense_length = items.items * self.config.dense_features;
        same("dense", catalogue.dense.len(), dense_length)?;
        catalogue.check_bags(&self.config, items.items)?;
        let width = self.layout.slot_width;
        scores.resize(items.items, 0.0);
        scores.par_chunks_mut(PIECE).enumerate().for_each_init(
            Piece::default,
            |piece, (number, out)| {
                let range = number * PIECE..number * PIECE + out.len();
                piece.slots.clear();
                piece
                    .slots
                    .extend_from_slice(&items.slots[range.start * width..range.end * width]);
                self.fill_bottom(catalogue.dense, range.clone(), piece);
                self.fill_user(catalogue, range.clone(), &mut piece.slots);
                self.finish_piece(range.len(), piece);
                self.write_predictions(piece.top.last_output(), out);
            },
        );
        Ok(())
    }
}

/// What [`Dlrm::item_vectors`] computed.
#[derive(Debug, Clone)]
pub struct ItemVectors {
    items: usize,
    /// `[items, slot_width]`, the item-side slots filled.
    slots: Vec<f32>,
}

impl ItemVectors {
    /// Number of items.
    pub fn len(&self) -> usize {
        self.items
    }

    /// Whether there is no item.
    pub fn is_empty(&self) -> bool {
        self.items == 0
    }
}

impl Dlrm {
    /// User-side embedding bags of the samples `range`, into their slots.
    fn fill_user(&self, batch: &Batch, range: std::ops::Range<usize>, slots: &mut [f32]) {
        let tables = &self.config.tables;
        let table_slots = self.layout.table_slots(tables.len());
        for (row, sample) in slots.chunks_exact_mut(self.layout.slot_width).zip(range) {
            for (number, table) in tables.iter().enumerate() {
                if table.side == crate::Side::User {
                    let out = &mut row[table_slots[number].clone()];
                    let bag = batch.bags[number].bag(sample);
                    let values = &self.parameters.tables[number];
                    crate::embedding_bag::pool(values, bag, table.pooling, out);
                }
            }
        }
    }
}
