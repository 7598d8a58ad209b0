//! Where everything stands: parameters in the flat list, vectors in a row of
//! slots.

use std::ops::Range;

use crate::mlp::Mlp;
use crate::{Activation, DlrmConfig, Interaction, Segment};

#[derive(Debug, Clone)]
pub(crate) struct Layout {
    pub bottom: Mlp,
    pub towers: Vec<Tower>,
    pub top: Mlp,
    /// Columns of each vector in a row of slots: the bottom MLP's, the
    /// tables', the modalities'.
    pub slots: Vec<Range<usize>>,
    /// Numbers in a row of slots.
    pub slot_width: usize,
    /// Numbers that a row of slots interacts to.
    pub interaction_width: usize,
    pub dense_length: usize,
}

#[derive(Debug, Clone)]
pub(crate) struct Tower {
    pub name: String,
    pub mlp: Mlp,
    /// Where the vector that stands for a missing one begins.
    pub missing: usize,
    /// Length of that vector and of the tower's output.
    pub width: usize,
}

impl Layout {
    /// Of a validated configuration.
    pub fn new(config: &DlrmConfig) -> Self {
        let relu = Activation::Relu;
        let bottom = Mlp::new(config.dense_features, &config.bottom, 0, relu, relu);
        let mut end = bottom.end(0);
        let mut widths = vec![config.bottom.last().copied().unwrap_or(0)];
        widths.extend(config.tables.iter().map(|_| config.dim));
        let mut towers = Vec::new();
        for modality in &config.modalities {
            let mlp = Mlp::new(modality.width, &modality.tower, end, relu, relu);
            let missing = mlp.end(end);
            let width = modality.output_width();
            end = missing + width;
            widths.push(width);
            towers.push(Tower {
                name: modality.name.clone(),
                mlp,
                missing,
                width,
            });
        }
        let mut slot_width = 0;
        let slots: Vec<Range<usize>> = widths
            .into_iter()
            .map(|width| {
                slot_width += width;
                slot_width - width..slot_width
            })
            .collect();
        let interaction_width = config
            .interaction
            .width(slots.len(), config.dim, slot_width);
        let mut top_widths = config.top.clone();
        top_widths.push(1);
        let top = Mlp::new(
            interaction_width,
            &top_widths,
            end,
            config.top_activation,
            Activation::Identity,
        );
        let dense_length = top.end(end);
        Self {
            bottom,
            towers,
            top,
            slots,
            slot_width,
            interaction_width,
            dense_length,
        }
    }

    /// All MLPs with the prefix of their parameters' names.
    pub fn mlps(&self) -> impl Iterator<Item = (String, &Mlp)> {
        std::iter::once(("bot_l".to_owned(), &self.bottom))
            .chain(
                self.towers
                    .iter()
                    .map(|tower| (format!("tower.{}", tower.name), &tower.mlp)),
            )
            .chain(std::iter::once(("top_l".to_owned(), &self.top)))
    }

    /// Names, as facebookresearch/dlrm counts them: the activation after each
    /// layer takes a number too.
    pub fn segments(&self) -> Vec<Segment> {
        let mut segments = Vec::new();
        for (prefix, mlp) in self.mlps() {
            for (number, layer) in mlp.layers.iter().enumerate() {
                segments.push(Segment {
                    name: format!("{prefix}.{}.weight", 2 * number),
                    shape: vec![layer.outputs, layer.inputs],
                    start: layer.start,
                });
                segments.push(Segment {
                    name: format!("{prefix}.{}.bias", 2 * number),
                    shape: vec![layer.outputs],
                    start: layer.bias_start(),
                });
            }
        }
        for tower in &self.towers {
            segments.push(Segment {
                name: format!("tower.{}.missing", tower.name),
                shape: vec![tower.width],
                start: tower.missing,
            });
        }
        segments
    }

    /// Where the tables' slots are.
    pub fn table_slots(&self, tables: usize) -> &[Range<usize>] {
        &self.slots[1..1 + tables]
    }

    /// Where the modalities' slots are.
    pub fn modality_slots(&self, tables: usize) -> &[Range<usize>] {
        &self.slots[1 + tables..]
    }

    pub fn interact(&self, interaction: Interaction, slots: &[f32], dim: usize, out: &mut [f32]) {
        match interaction {
            Interaction::Cat => out.copy_from_slice(slots),
            Interaction::Dot { itself } => {
                crate::interaction::dot_forward(slots, self.slots.len(), dim, itself, out);
            }
        }
    }

    pub fn interact_backward(
        &self,
        interaction: Interaction,
        slots: &[f32],
        dim: usize,
        upstream: &[f32],
        gradient: &mut [f32],
    ) {
        match interaction {
            Interaction::Cat => gradient.copy_from_slice(upstream),
            Interaction::Dot { itself } => crate::interaction::dot_backward(
                slots,
                self.slots.len(),
                dim,
                itself,
                upstream,
                gradient,
            ),
        }
    }
}
