//! What a prediction is made of, and the vectors behind it.

use std::borrow::Borrow;
use std::ops::Range;

use crate::config::{Interaction, Side};
use crate::forward::{PIECE, Pass, PieceBuffers};
use crate::interaction::pair;
use crate::mlp::MlpBuffers;
use crate::{Dlrm, Error, Inputs, Predictor, Result};

/// One of the things that a prediction is made of: how two vectors meet, or what one
/// says by itself.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Part {
    /// Name of the table or modality, or [`Part::FEATURES`].
    pub first: String,
    /// That of the other, where two meet.
    pub second: Option<String>,
    /// Columns of what the top MLP reads.
    columns: Vec<usize>,
}

impl Part {
    /// What the dense features are called.
    pub const FEATURES: &'static str = "features";
}

impl Dlrm {
    /// The parts that predictions are made of, in the order of
    /// [`Predictor::contributions`]: the dense features, then each pair of vectors that
    /// meet in a product; with [`Interaction::Cat`] each vector.
    pub fn parts(&self) -> Vec<Part> {
        let (config, layout) = (&self.config, &self.layout);
        let bottoms = config.bottoms.iter().map(|_| Part::FEATURES.to_owned());
        let tables = config.tables.iter().map(|table| table.name.clone());
        let modalities = config.modalities.iter().map(|it| it.name.clone());
        let names: Vec<String> = bottoms.chain(tables).chain(modalities).collect();
        let first = layout.bottom_width();
        let mut features: Vec<usize> = (0..first).collect();
        if layout.wide.is_some() {
            features.extend(layout.interaction_width..layout.top_width);
        }
        let mut parts = Vec::new();
        if !features.is_empty() {
            parts.push(Part {
                first: Part::FEATURES.to_owned(),
                second: None,
                columns: features,
            });
        }
        match config.interaction {
            Interaction::Cat => {
                let behind = config.bottoms.len();
                let slots = names.iter().zip(&layout.slots).skip(behind);
                parts.extend(slots.map(|(name, slot)| Part {
                    first: name.clone(),
                    second: None,
                    columns: slot.clone().collect(),
                }));
            }
            Interaction::Dot { itself } => {
                for (i, high) in names.iter().enumerate() {
                    for (j, low) in names[..=i].iter().enumerate() {
                        let Some(column) = pair(i, j, itself).map(|pair| first + pair) else {
                            continue;
                        };
                        parts.push(Part {
                            first: low.clone(),
                            second: Some(high.clone()),
                            columns: vec![column],
                        });
                    }
                }
            }
        }
        parts
    }
}

impl<M: Borrow<Dlrm>> Predictor<M> {
    /// How much of each prediction each of the model's [parts](Dlrm::parts) makes,
    /// `[batch, parts]` in the unit of the targets: how far the prediction falls when
    /// the part is what it is on average over `background`, the rest being left as it
    /// is (occlusion: Zeiler and Fergus, 2014). What parts make together is not among it, so
    /// that they need not add up.
    ///
    /// # Errors
    /// As [`Self::predict`]; an empty background.
    ///
    /// ```
    /// use mmdlrm_model::{Dlrm, DlrmConfig, Inputs, Predictor, Side, TableConfig, TableInput};
    ///
    /// let config = DlrmConfig {
    ///     tables: vec![
    ///         TableConfig::new("user", 2, Side::User),
    ///         TableConfig::new("movie", 3, Side::Item),
    ///     ],
    ///     ..DlrmConfig::default()
    /// };
    /// let model = Dlrm::new(config, 42)?;
    /// let predictor = Predictor::new(&model, &[])?;
    /// let bags = [TableInput::Single(&[0, 0, 0]), TableInput::Single(&[0, 1, 2])];
    /// let catalogue = Inputs { dense: &[0.5, 0.1, 0.3], tables: &bags, modalities: &[] };
    /// let found = predictor.contributions(&catalogue, &catalogue)?;
    /// let parts = model.parts();
    /// assert_eq!(found.len(), 3 * parts.len());
    /// // How the user meets the movies.
    /// let part = parts.iter().position(|part| {
    ///     (part.first.as_str(), part.second.as_deref()) == ("user", Some("movie"))
    /// });
    /// assert!(part.is_some());
    /// # Ok::<(), mmdlrm_model::Error>(())
    /// ```
    pub fn contributions(&self, batch: &Inputs, background: &Inputs) -> Result<Vec<f32>> {
        let model = self.model();
        let width = model.layout.top_width;
        let mut mean = vec![0f32; width];
        let mut samples = 0;
        self.for_each_piece(background, |pass, range, piece| {
            samples += range.len();
            pass.fill_top_input(range, piece);
            for row in pass.top_input(piece).chunks_exact(width) {
                mean.iter_mut().zip(row).for_each(|(sum, x)| *sum += x);
            }
        })?;
        if samples == 0 {
            return Err(Error::Length {
                what: "the background".to_owned(),
                found: 0,
                expected: 1,
            });
        }
        mean.iter_mut().for_each(|sum| *sum /= samples as f32);

        let parts = model.parts();
        let (mut found, mut buffers) = (Vec::new(), MlpBuffers::default());
        self.for_each_piece(batch, |pass, range, piece| {
            pass.fill_top_input(range, piece);
            for row in pass.top_input(piece).chunks_exact(width) {
                let mut rows = row.to_vec();
                for part in &parts {
                    let start = rows.len();
                    rows.extend_from_slice(row);
                    for &column in &part.columns {
                        rows[start + column] = mean[column];
                    }
                }
                let mut predictions = vec![0.0; 1 + parts.len()];
                pass.forward_top(&rows, predictions.len(), &mut buffers, None);
                model.write_predictions(buffers.last_output(), &mut predictions);
                let whole = predictions[0];
                found.extend(predictions[1..].iter().map(|without| whole - without));
            }
        })?;
        Ok(found)
    }

    /// The vectors of a side of each sample, one behind the other, `[batch, width]`: what
    /// the model knows of a user, or of an item, apart from the dense features. Inputs
    /// of other sides are read and make no difference.
    ///
    /// # Errors
    /// As [`Self::predict`].
    pub fn vectors(&self, batch: &Inputs, side: Side) -> Result<Vec<f32>> {
        let model = self.model();
        let behind = model.config.bottoms.len();
        let sides = model.config.sides();
        let slots = model.layout.slots.iter().zip(&sides).skip(behind);
        let slots: Vec<&Range<usize>> = slots
            .filter(|(_, of)| **of == side)
            .map(|(slot, _)| slot)
            .collect();
        let mut vectors = Vec::new();
        self.for_each_piece(batch, |pass, range, piece| {
            pass.fill_rows(range, piece);
            for row in piece.rows.chunks_exact(model.layout.row_width) {
                let wanted = slots.iter().flat_map(|slot| &row[(*slot).clone()]);
                vectors.extend(wanted);
            }
        })?;
        Ok(vectors)
    }

    fn for_each_piece(
        &self,
        batch: &Inputs,
        mut with: impl FnMut(&Pass, Range<usize>, &mut PieceBuffers),
    ) -> Result<()> {
        let samples = self.check(batch)?;
        let mut fetched = Vec::new();
        self.model().fetch_rows(batch, None, None, &mut fetched)?;
        let pass = self.pass(batch, &fetched);
        let mut piece = PieceBuffers::default();
        for start in (0..samples).step_by(PIECE) {
            with(&pass, start..samples.min(start + PIECE), &mut piece);
        }
        Ok(())
    }
}
